/* What the screens of machines show. */
#include "engine/vm/machine_state.h"

#include <errno.h>
#include <fcntl.h>

int machine_screen(struct machine *m, bool wake, machine_screen_fn *done, void *ctx)
{
	struct shim_request r = {.verb = SHIM_SCREEN, .files = wake ? 1 : 0};
	if (m->is_box)
		return -ENOTSUP;
	int error = m->state == MACHINE_RUNNING ? machine_ask(m, &r, NULL, 0) : -ESRCH;
	if (error)
		return error;
	struct asked *a = list_last(&m->asked, struct asked, at);
	a->screen = done;
	a->screen_ctx = ctx;
	return 0;
}

void machine_screen_answered(const struct asked *q, int fd, int error)
{
	if (!q->screen)
		return;
	int own = error || fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (!error && own < 0)
		error = -EIO;
	q->screen(q->screen_ctx, own, error);
}

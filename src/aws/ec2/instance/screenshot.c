/* GetConsoleScreenshot: the machine's screen, asked of its shim, and made a picture of on a worker thread. */
#include "aws/ec2/instance/instances.h"
#include "base/base64.h"
#include "base/log.h"
#include "engine/vm/machine.h"
#include "engine/vm/screen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct shot {
	struct call *call; /* NULL: it has left */
	struct work *work;
	int fd, error;
	unsigned char *jpeg;
	size_t bytes;
	bool done;
};

static void shot_free(struct shot *s)
{
	free(s->jpeg);
	free(s);
}

static void call_freed(struct call *c)
{
	struct shot *s = c->state;
	if (!s)
		return;
	s->call = NULL;
	if (s->done)
		shot_free(s);
}

static void call_gone(struct call *c)
{
	((struct shot *)c->state)->call = NULL; /* is_done() frees it */
	c->state = NULL;
}

/* What a service keeps around its handlers holds for the second run as well. */
static int again(struct call *c)
{
	return ec2_run(c, c->row->handle);
}

static void is_done(void *job)
{
	struct shot *s = job;
	s->done = true;
	if (s->call)
		call_resume(s->call);
	else
		shot_free(s);
}

static void compress(void *job)
{
	struct shot *s = job;
	s->error = screen_jpeg(s->fd, &s->jpeg, &s->bytes);
	close(s->fd);
}

static void shown(void *ctx, int fd, int error)
{
	struct shot *s = ctx;
	s->fd = fd;
	s->error = error;
	if (error)
		is_done(s);
	else
		work_add(s->work, compress, is_done, s);
}

static int answer(struct call *c, const struct shot *s, struct str id, struct ec2_get_console_screenshot_result *out)
{
	if (s->error == -ENOTSUP || s->error == -EREMOTEIO)
		return call_fail(c, "UnsupportedOperation", 400,
		                 "The instance '%.*s' has no screen: it is a container, or its console is a serial line.",
		                 STR_ARG(id));
	if (s->error == -ESRCH)
		return call_fail(c, "IncorrectInstanceState", 400, "The instance '%.*s' is not in the 'running' state.",
		                 STR_ARG(id));
	if (s->error)
		return call_broken(c, "the screen of %.*s: %s", STR_ARG(id), strerror(-s->error));
	out->instance_id = id;
	out->image_data = base64_encode(c->arena, str_of((const char *)s->jpeg, s->bytes));
	return CALL_OK;
}

int ec2_get_console_screenshot(struct call *c, const struct ec2_get_console_screenshot_request *in,
                               struct ec2_get_console_screenshot_result *out)
{
	struct shot *s = c->state;
	struct state_ec2_instance_record r;
	if (s && s->done)
		return answer(c, s, in->instance_id, out);
	if (ec2_get(c, &ec2_kind_instance, in->instance_id, &r) != CALL_OK)
		return CALL_FAIL;
	struct desk *desk = ec2_state(c)->desk;
	struct desk_item *i = desk ? desk_item(desk, in->instance_id) : NULL;
	struct shot none = {.error = -ESRCH};
	if (ec2_instance_state(r.instance) != INSTANCE_RUNNING || !i || !i->machine || !i->running)
		return answer(c, &none, in->instance_id, out);
	s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	*s = (struct shot){.call = c, .work = c->cloud->work, .fd = -1};
	none.error = machine_screen(i->machine, in->wake_up.v, shown, s);
	if (none.error) {
		free(s);
		return answer(c, &none, in->instance_id, out);
	}
	c->state = s;
	call_on_free(c, call_freed);
	return call_wait(c, again, call_gone);
}

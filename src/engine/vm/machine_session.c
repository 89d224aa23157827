/* Sessions inside a machine. The shim makes the stream; who asked for it has it from then on. */
#include "engine/vm/machine_state.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct machine_session {
	struct machine *m; /* NULL: it is over */
	unsigned port;
	machine_session_fn *begun; /* NULL: it was called */
	void *ctx;
	int stream;
	bool asked, closed; /* the shim has not answered; nobody wants it any more */
};

struct machine_session *machine_session(struct machine *m, machine_session_fn *begun, void *ctx)
{
	struct shim_request r = {.verb = SHIM_SESSION};
	unsigned n = 0;
	/* in turn: a guest hears late that somebody has left a port */
	do
		r.files = m->next_session++ % MACHINE_SESSIONS;
	while (m->sessions[r.files] && ++n < MACHINE_SESSIONS);
	if (m->state != MACHINE_RUNNING || m->sessions[r.files] || machine_ask(m, &r, NULL, 0) < 0)
		return NULL;
	struct machine_session *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory");
	*s = (struct machine_session){.m = m, .port = r.files, .begun = begun, .ctx = ctx, .stream = -1, .asked = true};
	struct asked *a = list_last(&m->asked, struct asked, at);
	a->session = s;
	m->sessions[r.files] = s;
	return s;
}

static void drop(struct machine_session *s)
{
	if (s->m)
		s->m->sessions[s->port] = NULL;
	if (s->stream >= 0)
		close(s->stream);
	free(s);
}

static void tell(struct machine_session *s, int stream, int error)
{
	machine_session_fn *begun = s->begun;
	s->begun = NULL;
	if (begun)
		begun(s->ctx, stream, error);
}

void machine_session_answered(struct machine_session *s, int error, int fd)
{
	s->asked = false;
	if (s->closed) {
		drop(s);
		return;
	}
	if (!error && (s->stream = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3)) < 0)
		error = -EIO;
	tell(s, s->stream, error);
}

void machine_session_close(struct machine_session *s)
{
	if (!s)
		return;
	s->closed = true;
	s->begun = NULL;
	if (!s->asked)
		drop(s);
}

void machine_session_orphan(struct machine *m)
{
	for (int i = 0; i < MACHINE_SESSIONS; i++) {
		struct machine_session *s = m->sessions[i];
		if (!s)
			continue;
		bool waits = s->asked;
		m->sessions[i] = NULL;
		s->m = NULL;
		s->asked = false;
		if (s->closed)
			drop(s);
		else if (waits)
			tell(s, -1, -ESRCH);
	}
}

/* The conversations with the steward and with shims. A shim is another privilege, and perhaps its containers': what it says is
 * checked, and believed of its own task only. */
#include "engine/oci/task_state.h"

#include "base/clock.h"
#include "base/log.h"
#include "engine/cell/cell.h"
#include "engine/cell/proto.h"
#include "io/msg.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CHANNEL_AGAIN_US = 200 * 1000 };
#define INTERRUPTED "the task's making was interrupted"

/* ---- ends ---- */

static void end_execs(struct task *t)
{
	list_each (&t->execs, struct asked_exec, at, e) {
		list_remove(&e->at);
		if (e->opened)
			e->events->closed(e->ctx, 137);
		else
			e->events->opened(e->ctx, -1, -ESRCH, "the task has ended");
		free(e);
	}
}

void task_report_end(struct task *t, int error, const char *why)
{
	if (t->stage == TASK_OVER)
		return;
	t->stage = TASK_OVER;
	/* one that an earlier steward started is nobody's child */
	if (t->has_slot)
		tasks_kill_slot(t->owner, t->slot);
	t->has_slot = false;
	loop_remove_fd(t->owner->loop, t->watch);
	t->watch = NULL;
	if (t->sock >= 0)
		close(t->sock);
	t->sock = -1;
	loop_remove_timer(t->owner->loop, t->later);
	t->later = NULL;
	end_execs(t);
	t->user->events->ended(t->ctx, t, error, why);
}

static void fail_now(void *ctx)
{
	struct task *t = ctx;
	t->later = NULL;
	task_report_end(t, t->failure, t->why);
}

void task_fail_later(struct task *t, int error, const char *why)
{
	t->failure = error;
	snprintf(t->why, sizeof(t->why), "%s", why);
	loop_remove_timer(t->owner->loop, t->later);
	t->later = loop_add_timer(t->owner->loop, 0, fail_now, t);
}

/* ---- the shim ---- */

int task_order(struct task *t, const struct task_order *o, int fd)
{
	if (t->sock < 0 || t->stage != TASK_STANDING)
		return -ESRCH;
	return msg_send(t->sock, o, sizeof(*o), &fd, fd >= 0);
}

/* The steward has answered, the runtime was tried, and every task of before has said whose it is. */
void tasks_check_settled(struct tasks *s)
{
	if (s->facts.known || !s->answered || s->trial)
		return;
	list_each (&s->all, struct task, at, t)
		if (t->adopted)
			return;
	s->facts.known = true;
	for (unsigned i = 0; i < s->user_count; i++)
		s->users[i].events->settled(s->users[i].ctx);
}

/* False: it is gone. */
static bool is_adopted(struct task *t)
{
	struct tasks *s = t->owner;
	t->adopted = false;
	t->ctx = t->user->found(t->user->ctx, t, t->id);
	bool wanted = t->ctx;
	if (!wanted)
		task_free(t);
	tasks_check_settled(s);
	return wanted;
}

static void hello(struct task *t, const struct task_word *w, const char *text, int fd)
{
	unsigned n = 0;
	if (fd < 0 || w->number > STEWARD_CONTAINERS_MAX || t->stage != TASK_CONNECTING) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (const char *p = text; n < w->number && p < text + w->bytes; n++) {
		snprintf(t->names[n], sizeof(t->names[n]), "%.255s", p);
		t->runs[n] = w->flags >> n & 1;
		p += strlen(p) + 1;
	}
	t->count = w->number;
	t->slot = w->slot;
	t->has_slot = w->slot < STEWARD_SLOTS;
	t->listener = fd;
	t->stage = TASK_STANDING;
	free(t->start);
	t->start = NULL;
	if (t->adopted && !is_adopted(t))
		return;
	t->user->events->ready(t->ctx, t);
}

static struct asked_exec *find_exec(struct task *t, uint32_t number)
{
	list_each (&t->execs, struct asked_exec, at, e)
		if (e->number == number)
			return e;
	return NULL;
}

static void opened(struct task *t, const struct task_word *w, const char *text, int fd)
{
	struct asked_exec *e = find_exec(t, w->number);
	if (!e || e->opened || (!w->error && fd < 0)) {
		if (fd >= 0)
			close(fd);
		return;
	}
	const struct task_exec_events *events = e->events;
	void *ctx = e->ctx;
	if (w->error) {
		list_remove(&e->at);
		free(e);
		if (fd >= 0)
			close(fd);
	}
	if (!w->error)
		e->opened = true;
	events->opened(ctx, w->error ? -1 : fd, w->error, text);
}

static void closed(struct task *t, const struct task_word *w)
{
	struct asked_exec *e = find_exec(t, w->number);
	if (!e || !e->opened)
		return;
	list_remove(&e->at);
	e->events->closed(e->ctx, (int)(w->code & 255));
	free(e);
}

/* By the cloud's clock, which the user may have moved. */
static int64_t wall_us(const struct task_word *w)
{
	return (w->at_ms + clock_wall_ms() - clock_machine_ms()) * 1000;
}

static void exited(struct task *t, const struct task_word *w, const char *text)
{
	t->runs[w->container] = false;
	const struct task_exit e = {.code = (int)(w->code & 255),
	                            .oom = w->flags & TASK_WAS_OOM,
	                            .not_started = w->flags & TASK_NEVER_RAN,
	                            .why = text,
	                            .at_us = wall_us(w)};
	t->user->events->exited(t->ctx, t, w->container, &e);
}

static void line(struct task *t, const struct task_word *w, const char *text)
{
	struct task_order taken = {.verb = TASK_TAKEN, .number = w->number};
	task_order(t, &taken, -1);
	t->user->events->output(t->ctx, t, w->container, w->flags & TASK_IS_ERROR, wall_us(w), str_of(text, w->bytes));
}

static void hear(struct task *t, const struct task_word *w, const char *text, int fd)
{
	const struct task_events *events = t->user->events;
	if (w->verb == TASK_HELLO) {
		hello(t, w, text, fd);
		return;
	}
	if (w->verb == TASK_OPENED) {
		opened(t, w, text, fd);
		return;
	}
	if (fd >= 0)
		close(fd);
	if (t->stage != TASK_STANDING || w->container >= t->count)
		return;
	switch (w->verb) {
	case TASK_STARTED:
		t->runs[w->container] = true;
		events->started(t->ctx, t, w->container, wall_us(w));
		break;
	case TASK_EXITED:
		exited(t, w, text);
		break;
	case TASK_LINE:
		line(t, w, text);
		break;
	case TASK_HEALTH:
		if (w->flags <= TASK_UNHEALTHY)
			events->health(t->ctx, t, w->container, (enum task_health_state)w->flags);
		break;
	case TASK_CLOSED:
		closed(t, w);
		break;
	case TASK_STATS:
		t->usage[w->container] = (struct task_usage){.cpu_us = w->cpu_us,
		                                             .memory_bytes = w->memory_bytes,
		                                             .memory_peak_bytes = w->memory_peak_bytes,
		                                             .at_us = loop_now_us(t->owner->loop)};
		break;
	default:
		break;
	}
}

static void shim_speaks(void *ctx, uint32_t events)
{
	(void)events;
	struct task *t = ctx;
	static struct {
		struct task_word w;
		char text[TASK_TEXT_MAX + 1];
	} m;
	int fd = -1;
	size_t nfds = 0;
	ssize_t n = msg_recv(t->sock, &m, sizeof(m) - 1, &fd, 1, &nfds);
	if (n == -EAGAIN)
		return;
	if (n >= (ssize_t)sizeof(m.w) && m.w.bytes == (size_t)n - sizeof(m.w)) {
		m.text[m.w.bytes] = 0;
		hear(t, &m.w, m.text, nfds ? fd : -1);
		return;
	}
	msg_close_fds(&fd, nfds);
	/* the shim is gone, and everything with it; its group is cleared too */
	if (t->adopted && !is_adopted(t))
		return;
	if (t->start && !t->ending)
		task_report_end(t, -EAGAIN, INTERRUPTED);
	else
		task_report_end(t, t->ending ? 0 : -EIO, t->ending ? "" : "the task was killed");
}

static int connect_shim(struct task *t)
{
	struct sockaddr_un to = task_address(t);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	t->sock = fd;
	t->stage = TASK_CONNECTING;
	t->watch = loop_add_fd(t->owner->loop, fd, EPOLLIN, shim_speaks, t);
	return 0;
}

/* ---- the steward ---- */

void task_send_start(struct task *t)
{
	struct tasks *s = t->owner;
	if (s->channel < 0 || !t->fd_count || t->stage != TASK_WAITING)
		return;
	int error = msg_send(s->channel, t->start, sizeof(*t->start), t->fds, t->fd_count);
	if (error == -EAGAIN)
		return; /* with the next answer */
	if (error == -EPIPE || error == -ECONNRESET || error == -ENOTCONN)
		return; /* the steward has died, which nobody has noticed yet: the next one is asked */
	task_drop_fds(t);
	if (error)
		task_fail_later(t, error, "the task cannot be asked for");
}

static void send_all(struct tasks *s)
{
	list_each (&s->all, struct task, at, t)
		task_send_start(t);
}

void tasks_kill_slot(struct tasks *s, uint32_t slot)
{
	const struct {
		uint32_t verb, number;
	} r = {STEWARD_KILL, slot};
	if (s->channel >= 0)
		msg_send(s->channel, &r, sizeof(r), NULL, 0);
}

static void was_started(struct tasks *s, const struct steward_answer *a)
{
	list_each (&s->all, struct task, at, t) {
		if (t->stage != TASK_WAITING || !t->start || t->start->number != a->number)
			continue;
		free(t->start);
		t->start = NULL;
		int error = a->error;
		if (!error) {
			t->slot = a->slot;
			t->has_slot = true;
			error = connect_shim(t);
		}
		if (error)
			task_report_end(t, error, a->error ? a->why : "the task's shim does not answer");
		return;
	}
	/* nobody wants it any more */
	if (!a->error)
		tasks_kill_slot(s, a->slot);
}

/* Tasks of before have sockets. */
static void look_for_tasks(struct tasks *s)
{
	int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		char id[TASK_ID_MAX];
		char *dot = strrchr(e->d_name, '.');
		if (!dot || strcmp(dot, ".sock") != 0 || (size_t)(dot - e->d_name) >= sizeof(id))
			continue;
		memcpy(id, e->d_name, (size_t)(dot - e->d_name));
		id[dot - e->d_name] = 0;
		bool ours = false;
		list_each (&s->all, struct task, at, t)
			ours |= strcmp(t->id, id) == 0;
		if (ours)
			continue;
		struct task *t = task_make(s, id);
		t->adopted = true;
		/* one without a shim ended with the cloud or with the machine under it */
		if (connect_shim(t) < 0)
			task_free(t);
	}
	closedir(d);
}

static void lose_channel(struct tasks *s)
{
	loop_remove_fd(s->loop, s->watch);
	s->watch = NULL;
	close(s->channel);
	s->channel = -1;
	/* whether it was made is not known: then its shim says so */
	list_each (&s->all, struct task, at, t)
		if (t->stage == TASK_WAITING && !t->fd_count && !t->later && connect_shim(t) < 0)
			task_report_end(t, -EAGAIN, INTERRUPTED);
	if (!s->again)
		s->again = loop_add_timer(s->loop, CHANNEL_AGAIN_US, tasks_open_channel, s);
}

static void steward_speaks(void *ctx, uint32_t events)
{
	(void)events;
	struct tasks *s = ctx;
	struct steward_answer a;
	ssize_t n = msg_recv(s->channel, &a, sizeof(a), NULL, 0, NULL);
	if (n == -EAGAIN)
		return;
	if (n != sizeof(a)) {
		lose_channel(s);
		return;
	}
	a.why[sizeof(a.why) - 1] = 0;
	if (a.verb == STEWARD_FACTS) {
		if (!s->scanned) {
			s->scanned = true;
			look_for_tasks(s);
		}
		s->answered = true;
		s->facts.works = a.works;
		snprintf(s->facts.why_not, sizeof(s->facts.why_not), "%.150s", a.why);
		if (a.works && s->runtime != STEWARD_CRUN && !s->tried)
			trial_begin(s);
		tasks_check_settled(s);
	} else if (a.verb == STEWARD_START) {
		was_started(s, &a);
	}
	send_all(s);
}

void tasks_open_channel(void *ctx)
{
	struct tasks *s = ctx;
	const struct {
		uint32_t verb, number;
	} r = {STEWARD_FACTS, s->runtime};
	s->again = NULL;
	int fd = s->cells ? cells_open_channel(s->cells, PRIV_CHANNEL_TASK) : -EPIPE;
	if (fd < 0) {
		s->again = loop_add_timer(s->loop, CHANNEL_AGAIN_US, tasks_open_channel, s);
		return;
	}
	s->channel = fd;
	s->watch = loop_add_fd(s->loop, fd, EPOLLIN, steward_speaks, s);
	msg_send(fd, &r, sizeof(r), NULL, 0);
	send_all(s);
}

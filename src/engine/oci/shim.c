/* The conversation: what happens goes into one queue, so that a container's end never overtakes its last line. While api is away,
 * or slow, lines wait here up to a limit; then the pipes are not read, and who writes to them waits too. */
#include "engine/oci/shim_state.h"

#include "base/clock.h"
#include "base/log.h"
#include "io/msg.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { QUEUE_MAX = 256 * 1024, EXEC_BYTES_MAX = 1 << 20 };

int task_check_order(const void *p, unsigned long n, unsigned long nfds)
{
	struct task_order o;
	if (n != sizeof(o))
		return -EINVAL;
	memcpy(&o, p, n);
	if (o.verb < TASK_START || o.verb > TASK_QUIT || o.container >= STEWARD_CONTAINERS_MAX || nfds != (o.verb == TASK_EXEC))
		return -EINVAL;
	return o.verb != TASK_EXEC || (o.bytes && o.bytes <= EXEC_BYTES_MAX) ? 0 : -EINVAL;
}

/* ---- speaking ---- */

static void hang_up(struct shim *s)
{
	loop_remove_fd(s->loop, s->peer_watch);
	s->peer_watch = NULL;
	if (s->peer >= 0)
		close(s->peer);
	s->peer = -1;
}

bool shim_is_full(const struct shim *s)
{
	return s->queued_bytes > QUEUE_MAX;
}

static void drop(struct shim *s, struct said *q)
{
	list_remove(&q->at);
	s->queued_bytes -= q->word.bytes;
	free(q);
}

static void send_on(struct shim *s)
{
	static char room[sizeof(struct task_word) + TASK_TEXT_MAX];
	while (s->peer >= 0 && !list_empty(&s->unsent)) {
		struct said *q = list_first(&s->unsent, struct said, at);
		memcpy(room, &q->word, sizeof(q->word));
		memcpy(room + sizeof(q->word), q->text, q->word.bytes);
		int error = msg_send(s->peer, room, sizeof(q->word) + q->word.bytes, NULL, 0);
		if (error == -EAGAIN) {
			loop_set_fd(s->loop, s->peer_watch, EPOLLIN | EPOLLOUT);
			return;
		}
		if (error) {
			shutdown(s->peer, SHUT_RDWR); /* the loop hears of it */
			return;
		}
		if (q->word.verb == TASK_LINE) {
			list_remove(&q->at);
			list_push(&s->untaken, &q->at);
		} else {
			drop(s, q);
		}
	}
	if (s->peer >= 0)
		loop_set_fd(s->loop, s->peer_watch, EPOLLIN);
}

void shim_say(struct shim *s, const struct task_word *w, const char *text, size_t n)
{
	if (n > TASK_TEXT_MAX)
		n = TASK_TEXT_MAX;
	if (w->verb != TASK_LINE && s->peer < 0)
		return; /* the next listener is told how things stand */
	struct said *q = malloc(sizeof(*q) + n);
	if (!q)
		die("out of memory");
	q->word = *w;
	q->word.bytes = (uint32_t)n;
	if (w->verb == TASK_LINE)
		q->word.number = ++s->next_line;
	if (n)
		memcpy(q->text, text, n);
	s->queued_bytes += n;
	list_push(&s->unsent, &q->at);
	send_on(s);
}

void shim_say_fd(struct shim *s, const struct task_word *w, const char *text, size_t n, int fd)
{
	char room[sizeof(*w) + 8192];
	struct task_word word = *w;
	if (n > sizeof(room) - sizeof(word))
		n = sizeof(room) - sizeof(word);
	word.bytes = (uint32_t)n;
	memcpy(room, &word, sizeof(word));
	if (n)
		memcpy(room + sizeof(word), text, n);
	if (s->peer >= 0 && msg_send(s->peer, room, sizeof(word) + n, &fd, fd >= 0) < 0)
		shutdown(s->peer, SHUT_RDWR);
}

/* ---- a new listener ---- */

static void say_hello(struct shim *s)
{
	char names[STEWARD_CONTAINERS_MAX * 256];
	size_t n = 0;
	uint32_t begun = 0;
	for (unsigned i = 0; i < s->plan->container_count; i++) {
		begun |= (uint32_t)(s->containers[i].state != CONTAINER_NEW) << i;
		size_t length = strlen(s->containers[i].head.name) + 1;
		memcpy(names + n, s->containers[i].head.name, length);
		n += length;
	}
	struct task_word w = {.verb = TASK_HELLO, .number = s->plan->container_count, .slot = s->plan->slot, .flags = begun};
	shim_say_fd(s, &w, names, n, s->plan->metadata);
}

static void tell_everything(struct shim *s)
{
	struct list lines;
	list_init(&lines);
	/* what was sent and not taken is older than what was not sent */
	struct list *const queues[] = {&s->untaken, &s->unsent};
	for (int i = 0; i < 2; i++)
		list_each (queues[i], struct said, at, q) {
			if (q->word.verb != TASK_LINE) {
				drop(s, q);
				continue;
			}
			list_remove(&q->at);
			list_push(&lines, &q->at);
		}
	say_hello(s);
	for (unsigned i = 0; i < s->plan->container_count; i++)
		container_tell_start(&s->containers[i]);
	list_each (&lines, struct said, at, q) {
		list_remove(&q->at);
		list_push(&s->unsent, &q->at);
	}
	for (unsigned i = 0; i < s->plan->container_count; i++)
		container_tell_end(&s->containers[i]);
	send_on(s);
}

static void taken(struct shim *s, uint32_t number)
{
	bool was_full = shim_is_full(s);
	list_each (&s->untaken, struct said, at, q)
		if ((int32_t)(q->word.number - number) <= 0)
			drop(s, q);
	if (was_full && !shim_is_full(s))
		for (unsigned i = 0; i < s->plan->container_count; i++)
			container_read_on(&s->containers[i]);
}

static void say_stats(struct shim *s, unsigned index, uint32_t number)
{
	const struct task_shim_container *p = &s->plan->containers[index];
	int version = s->plan->cgroup_version;
	int64_t now = p->memory < 0 ? 0 : cgroup_get_memory_now(version, p->memory);
	int64_t peak = p->memory_peak < 0 ? 0 : cgroup_get_memory_peak(version, p->memory_peak);
	int64_t cpu = p->cpu < 0 ? 0 : cgroup_get_cpu_us(version, p->cpu);
	struct task_word w = {.verb = TASK_STATS,
	                      .number = number,
	                      .container = index,
	                      .cpu_us = cpu > 0 ? (uint64_t)cpu : 0,
	                      .memory_bytes = now > 0 ? (uint64_t)now : 0,
	                      .memory_peak_bytes = peak > 0 ? (uint64_t)peak : 0};
	shim_say(s, &w, NULL, 0);
}

static void obey(struct shim *s, const struct task_order *o, int fd)
{
	struct held_container *c = &s->containers[o->container];
	int error;
	switch (o->verb) {
	case TASK_START:
		container_start(c);
		break;
	case TASK_STOP:
		container_stop(c);
		break;
	case TASK_EXEC:
		error = exec_begin(c, o, fd);
		if (error) {
			struct task_word w = {.verb = TASK_OPENED, .number = o->number, .container = o->container, .error = error};
			shim_say(s, &w, NULL, 0);
		}
		break;
	case TASK_TAKEN:
		taken(s, o->number);
		break;
	case TASK_STAT:
		say_stats(s, o->container, o->number);
		break;
	default:
		_exit(0); /* QUIT: process 1 of the namespace, so everything goes with it */
	}
}

static void peer_speaks(void *ctx, uint32_t events)
{
	struct shim *s = ctx;
	struct task_order o;
	int fd = -1;
	size_t nfds = 0;
	if (events & EPOLLOUT)
		send_on(s);
	ssize_t n = msg_recv(s->peer, &o, sizeof(o), &fd, 1, &nfds);
	if (n == -EAGAIN)
		return;
	if (n <= 0 || task_check_order(&o, (size_t)n, nfds) < 0 || o.container >= s->plan->container_count) {
		msg_close_fds(&fd, nfds);
		hang_up(s);
		return;
	}
	obey(s, &o, fd);
	msg_close_fds(&fd, nfds);
}

/* The newest api is the one that counts. */
static void peer_comes(void *ctx, uint32_t events)
{
	(void)events;
	struct shim *s = ctx;
	int fd = accept4(s->plan->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	hang_up(s);
	s->peer = fd;
	s->peer_watch = loop_add_fd(s->loop, fd, EPOLLIN, peer_speaks, s);
	tell_everything(s);
}

/* ---- children ---- */

static void children_end(void *ctx, int signo)
{
	(void)signo;
	struct shim *s = ctx;
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		bool known = exec_reaped(s, pid, status);
		for (unsigned i = 0; i < s->plan->container_count && !known; i++)
			known = container_reaped(&s->containers[i], pid, status);
	}
}

_Noreturn void task_shim_run(const struct task_shim_plan *plan)
{
	static struct shim shim;
	struct shim *s = &shim;
	*s = (struct shim){.plan = plan, .peer = -1, .loop = loop_new()};
	list_init(&s->unsent);
	list_init(&s->untaken);
	signal(SIGPIPE, SIG_IGN);
	for (unsigned i = 0; i < plan->container_count; i++)
		container_open(s, i, &plan->containers[i]);
	loop_add_signal(s->loop, SIGCHLD, children_end, s);
	loop_add_fd(s->loop, plan->listen, EPOLLIN, peer_comes, s);
	loop_run(s->loop);
	_exit(1);
}

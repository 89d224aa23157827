/* Timers are a binary heap ordered by due time; descriptors are level- or edge-triggered epoll entries whose
 * registrations are freed at the end of the round, so that a callback may remove one whose event is still to come. */
#include "io/loop.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct loop_fd {
	int fd;
	uint32_t events;
	loop_fd_fn *fn; /* NULL: removed */
	void *ctx;
	struct loop_fd *next_dead;
};

struct loop_timer {
	int64_t due_us;
	uint64_t seq; /* equal times fire in the order they were made */
	size_t at;    /* place in the heap */
	bool by_clock;
	loop_fn *fn;
	void *ctx;
};

struct post {
	struct post *next;
	loop_fn *fn;
	void *ctx;
};

enum { SIGNALS_MAX = 8, ROUND_FNS_MAX = 8, EVENTS_MAX = 128 };

struct loop {
	int epoll;
	bool stop;
	int64_t now_us;
	struct loop_fd *dead;
	struct loop_timer **heap;
	size_t timers, heap_cap;
	uint64_t timer_seq;
	int wake; /* eventfd */
	struct loop_fd *wake_watch, *signal_watch;
	pthread_mutex_t lock;
	struct post *posts, **posts_last;
	int signal_fd;
	sigset_t signal_set;
	struct {
		int signo;
		loop_signal_fn *fn;
		void *ctx;
	} signals[SIGNALS_MAX];
	struct {
		loop_fn *fn;
		void *ctx;
	} round[ROUND_FNS_MAX];
	unsigned signal_count, round_count;
};

static void *must(void *p)
{
	if (!p)
		die("out of memory (loop)");
	return p;
}

/* --- descriptors */

struct loop_fd *loop_add_fd(struct loop *l, int fd, uint32_t events, loop_fd_fn *fn, void *ctx)
{
	struct loop_fd *f = must(malloc(sizeof(*f)));
	*f = (struct loop_fd){.fd = fd, .events = events, .fn = fn, .ctx = ctx};
	struct epoll_event ev = {.events = events, .data.ptr = f};
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		free(f);
		return NULL;
	}
	return f;
}

void loop_set_fd(struct loop *l, struct loop_fd *f, uint32_t events)
{
	if (f->events == events)
		return;
	f->events = events;
	struct epoll_event ev = {.events = events, .data.ptr = f};
	if (epoll_ctl(l->epoll, EPOLL_CTL_MOD, f->fd, &ev) < 0)
		die("epoll_ctl: %s", strerror(errno));
}

void loop_remove_fd(struct loop *l, struct loop_fd *f)
{
	if (!f)
		return;
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, f->fd, NULL);
	f->fn = NULL;
	f->next_dead = l->dead;
	l->dead = f;
}

/* --- timers */

static bool timer_before(const struct loop_timer *a, const struct loop_timer *b)
{
	return a->due_us != b->due_us ? a->due_us < b->due_us : a->seq < b->seq;
}

static void heap_set(struct loop *l, size_t at, struct loop_timer *t)
{
	l->heap[at] = t;
	t->at = at;
}

static void heap_settle(struct loop *l, size_t at)
{
	struct loop_timer *t = l->heap[at];
	while (at && timer_before(t, l->heap[(at - 1) / 2])) {
		heap_set(l, at, l->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	for (;;) {
		size_t child = 2 * at + 1;
		if (child + 1 < l->timers && timer_before(l->heap[child + 1], l->heap[child]))
			child++;
		if (child >= l->timers || !timer_before(l->heap[child], t))
			break;
		heap_set(l, at, l->heap[child]);
		at = child;
	}
	heap_set(l, at, t);
}

struct loop_timer *loop_add_timer(struct loop *l, int64_t delay_us, loop_fn *fn, void *ctx)
{
	struct loop_timer *t = must(malloc(sizeof(*t)));
	*t = (struct loop_timer){
	        .due_us = clock_mono_us() + (delay_us > 0 ? delay_us : 0), .seq = ++l->timer_seq, .fn = fn, .ctx = ctx};
	if (l->timers == l->heap_cap) {
		l->heap_cap = l->heap_cap ? l->heap_cap * 2 : 64;
		l->heap = must(realloc(l->heap, l->heap_cap * sizeof(*l->heap)));
	}
	heap_set(l, l->timers++, t);
	heap_settle(l, t->at);
	return t;
}

struct loop_timer *loop_add_clock_timer(struct loop *l, int64_t delay_us, loop_fn *fn, void *ctx)
{
	struct loop_timer *t = loop_add_timer(l, delay_us, fn, ctx);
	t->by_clock = true;
	return t;
}

void loop_skip(struct loop *l, int64_t us)
{
	size_t count = l->timers;
	for (l->timers = 0; l->timers < count;) {
		struct loop_timer *t = l->heap[l->timers++];
		t->due_us -= t->by_clock ? us : 0;
		heap_settle(l, l->timers - 1);
	}
}

void loop_remove_timer(struct loop *l, struct loop_timer *t)
{
	if (!t)
		return;
	size_t at = t->at;
	struct loop_timer *last = l->heap[--l->timers];
	if (last != t) {
		heap_set(l, at, last);
		heap_settle(l, at);
	}
	free(t);
}

static void timers_fire(struct loop *l)
{
	/* Timers made by these callbacks wait for the next round, so that a chain of zero delays cannot starve descriptors. */
	uint64_t newest = l->timer_seq;
	while (l->timers && l->heap[0]->due_us <= l->now_us && l->heap[0]->seq <= newest) {
		struct loop_timer *t = l->heap[0];
		loop_fn *fn = t->fn;
		void *ctx = t->ctx;
		loop_remove_timer(l, t);
		fn(ctx);
	}
}

/* --- posts from other threads */

void loop_post(struct loop *l, loop_fn *fn, void *ctx)
{
	struct post *p = must(malloc(sizeof(*p)));
	*p = (struct post){.fn = fn, .ctx = ctx};
	pthread_mutex_lock(&l->lock);
	bool first = l->posts == NULL;
	*l->posts_last = p;
	l->posts_last = &p->next;
	pthread_mutex_unlock(&l->lock);
	if (first) {
		uint64_t one = 1;
		ssize_t ignored = write(l->wake, &one, sizeof(one));
		(void)ignored;
	}
}

static void posts_run(void *ctx, uint32_t events)
{
	(void)events;
	struct loop *l = ctx;
	uint64_t count;
	ssize_t ignored = read(l->wake, &count, sizeof(count));
	(void)ignored;
	pthread_mutex_lock(&l->lock);
	struct post *p = l->posts;
	l->posts = NULL;
	l->posts_last = &l->posts;
	pthread_mutex_unlock(&l->lock);
	while (p) {
		struct post *next = p->next;
		p->fn(p->ctx);
		free(p);
		p = next;
	}
}

void loop_on_round(struct loop *l, loop_fn *fn, void *ctx)
{
	if (l->round_count == ROUND_FNS_MAX)
		die("more than %d functions at the end of a round", ROUND_FNS_MAX);
	l->round[l->round_count].fn = fn;
	l->round[l->round_count++].ctx = ctx;
}

void loop_off_round(struct loop *l, loop_fn *fn, void *ctx)
{
	for (unsigned i = 0; i < l->round_count; i++)
		if (l->round[i].fn == fn && l->round[i].ctx == ctx) {
			memmove(&l->round[i], &l->round[i + 1], (--l->round_count - i) * sizeof(l->round[0]));
			return;
		}
}

/* --- signals and children */

static void signals_read(void *ctx, uint32_t events)
{
	(void)events;
	struct loop *l = ctx;
	struct signalfd_siginfo info;
	while (read(l->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		for (unsigned i = 0; i < l->signal_count; i++)
			if (l->signals[i].signo == (int)info.ssi_signo)
				l->signals[i].fn(l->signals[i].ctx, l->signals[i].signo);
}

int loop_add_signal(struct loop *l, int signo, loop_signal_fn *fn, void *ctx)
{
	if (l->signal_count == SIGNALS_MAX)
		return -ENOSPC;
	sigaddset(&l->signal_set, signo);
	pthread_sigmask(SIG_BLOCK, &l->signal_set, NULL);
	int fd = signalfd(l->signal_fd, &l->signal_set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (l->signal_fd < 0) {
		l->signal_fd = fd;
		l->signal_watch = loop_add_fd(l, fd, EPOLLIN, signals_read, l);
		if (!l->signal_watch)
			return -errno;
	}
	l->signals[l->signal_count].signo = signo;
	l->signals[l->signal_count].fn = fn;
	l->signals[l->signal_count++].ctx = ctx;
	return 0;
}

struct child {
	struct loop *loop;
	struct loop_fd *watch;
	int pidfd;
	loop_child_fn *fn;
	void *ctx;
	int pid;
};

static void child_exited(void *ctx, uint32_t events)
{
	(void)events;
	struct child *c = ctx;
	int status = 0;
	if (waitpid(c->pid, &status, WNOHANG) == 0)
		return;
	loop_remove_fd(c->loop, c->watch);
	close(c->pidfd);
	c->fn(c->ctx, status);
	free(c);
}

int loop_add_child(struct loop *l, int pid, loop_child_fn *fn, void *ctx)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return -errno;
	struct child *c = must(malloc(sizeof(*c)));
	*c = (struct child){.loop = l, .pidfd = fd, .fn = fn, .ctx = ctx, .pid = pid};
	c->watch = loop_add_fd(l, fd, EPOLLIN, child_exited, c);
	if (!c->watch) {
		int e = errno;
		close(fd);
		free(c);
		return -e;
	}
	return 0;
}

/* --- the loop itself */

struct loop *loop_new(void)
{
	struct loop *l = must(calloc(1, sizeof(*l)));
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	l->signal_fd = -1;
	sigemptyset(&l->signal_set);
	pthread_mutex_init(&l->lock, NULL);
	l->posts_last = &l->posts;
	l->now_us = clock_mono_us();
	if (l->epoll < 0 || l->wake < 0 || !(l->wake_watch = loop_add_fd(l, l->wake, EPOLLIN, posts_run, l)))
		die("cannot make an event loop: %s", strerror(errno));
	return l;
}

static void dead_free(struct loop *l)
{
	while (l->dead) {
		struct loop_fd *next = l->dead->next_dead;
		free(l->dead);
		l->dead = next;
	}
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	while (l->timers)
		loop_remove_timer(l, l->heap[0]);
	free(l->heap);
	loop_remove_fd(l, l->wake_watch);
	loop_remove_fd(l, l->signal_watch);
	dead_free(l);
	if (l->signal_fd >= 0)
		close(l->signal_fd);
	close(l->wake);
	close(l->epoll);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

int64_t loop_now_us(const struct loop *l)
{
	return l->now_us;
}

static void round_end(struct loop *l)
{
	for (unsigned i = 0; i < l->round_count; i++)
		l->round[i].fn(l->round[i].ctx);
}

void loop_turn(struct loop *l, int64_t timeout_us)
{
	struct epoll_event events[EVENTS_MAX];
	round_end(l); /* what was done outside of rounds must not wait for the next event */
	if (l->timers) {
		int64_t until = l->heap[0]->due_us - clock_mono_us();
		if (until < 0)
			until = 0;
		if (timeout_us < 0 || until < timeout_us)
			timeout_us = until;
	}
	struct timespec wait = {.tv_sec = timeout_us / 1000000, .tv_nsec = timeout_us % 1000000 * 1000};
	int n = epoll_pwait2(l->epoll, events, EVENTS_MAX, timeout_us < 0 ? NULL : &wait, NULL);
	if (n < 0 && errno == ENOSYS) /* before Linux 5.11 */
		n = epoll_wait(l->epoll, events, EVENTS_MAX, timeout_us < 0 ? -1 : (int)((timeout_us + 999) / 1000));
	l->now_us = clock_mono_us();
	for (int i = 0; i < n; i++) {
		struct loop_fd *f = events[i].data.ptr;
		if (f->fn)
			f->fn(f->ctx, events[i].events);
	}
	timers_fire(l);
	round_end(l);
	dead_free(l);
}

void loop_run(struct loop *l)
{
	l->stop = false;
	while (!l->stop)
		loop_turn(l, -1);
}

void loop_stop(struct loop *l)
{
	l->stop = true;
}

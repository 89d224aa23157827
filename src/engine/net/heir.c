/* The heir waits for two things: words from net, and net's death. The death is asked of a descriptor of the process, for when that
 * tells it everything that net had open has been closed, so that ports of sockets are free again; and all that net has said is
 * there to be read. Its own copies of net's descriptors an heir closes at once: whoever speaks with net has to see that it died. */
#include "engine/net/heir.h"
#include "engine/net/net.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "io/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { YOUNG_US = 1000000, DEATHS_MAX = 20, SEND_TRIES = 2000, SEND_AGAIN_US = 1000, END_WAIT_MS = 2000 };
/* Where an heir has its descriptors. */
enum { SOCK = 3, LISTENER, HOME, NET, PLACES, ABOVE = 16 };

enum verb { TELL = 1, FORGET, END };

struct word {
	uint32_t verb;
	uint32_t number, last_number, device, uplink;
	uint32_t places; /* a bit for each that has a descriptor */
	char router[NETWORK_ID_MAX], id[NETWORK_ID_MAX];
	union net_message message; /* as much of it as there is */
};

struct heir {
	struct loop *loop;
	int listener, home;
	unsigned deaths;
	void (*tell_all)(void *ctx);
	void *ctx;
	pid_t pid;
	int sock; /* -1: there is none */
	int64_t born_us;
	struct loop_fd *watch;
	struct loop_timer *again;
};

/* ---- the one who waits ---- */

void legacy_free(struct legacy *l)
{
	list_remove(&l->at);
	msg_close_fds(l->fds, LEGACY_FDS_MAX);
	free((void *)(uintptr_t)l->message);
	free(l);
}

static void forget(struct list *legacies, const struct word *w)
{
	bool all = strcmp(w->router, w->id) == 0;
	list_each (legacies, struct legacy, at, l)
		if (strcmp(l->router, w->router) == 0 && (all || strcmp(l->id, w->id) == 0))
			legacy_free(l);
}

static void keep(struct list *legacies, const struct word *w, size_t bytes, const int *fds, size_t nfds)
{
	struct legacy *l = calloc(1, sizeof(*l));
	union net_message *m = calloc(1, bytes + 1);
	if (!l || !m)
		die("out of memory");
	list_each (legacies, struct legacy, at, o)
		if (strcmp(o->router, w->router) == 0 && strcmp(o->id, w->id) == 0)
			legacy_free(o);
	memcpy(m, &w->message, bytes);
	*l = (struct legacy){.number = w->number,
	                     .last_number = w->last_number,
	                     .device = w->device,
	                     .uplink = w->uplink,
	                     .bytes = bytes,
	                     .message = m};
	memcpy(l->router, w->router, sizeof(l->router));
	memcpy(l->id, w->id, sizeof(l->id));
	size_t next = 0;
	for (unsigned i = 0; i < LEGACY_FDS_MAX; i++)
		l->fds[i] = w->places >> i & 1 && next < nfds ? fds[next++] : -1;
	list_push(legacies, &l->at);
}

/* One word. False: there is none; *ret_over: there will be none. */
static bool hear(struct list *legacies, bool *ret_over)
{
	static struct word w;
	int fds[LEGACY_FDS_MAX];
	size_t nfds = 0;
	ssize_t n = msg_recv(SOCK, &w, sizeof(w), fds, LEGACY_FDS_MAX, &nfds);
	if (n == -EAGAIN || n == 0) {
		*ret_over = n == 0;
		return false;
	}
	if (n < (ssize_t)offsetof(struct word, message))
		die("net's heir does not understand");
	if (w.verb == END)
		_exit(0);
	if (w.verb == FORGET)
		forget(legacies, &w);
	if (w.verb == TELL)
		keep(legacies, &w, (size_t)n - offsetof(struct word, message), fds, nfds);
	return true;
}

static _Noreturn void be_heir(unsigned deaths)
{
	struct list legacies;
	int64_t born_us = clock_mono_us();
	bool over = false, dead = false;
	list_init(&legacies);
	prctl(PR_SET_NAME, "quartet-heir", 0, 0, 0);
	while (!dead) {
		struct pollfd p[] = {{.fd = NET, .events = POLLIN}, {.fd = over ? -1 : SOCK, .events = POLLIN}};
		if (poll(p, 2, -1) < 0)
			continue;
		dead = p[0].revents;
		while (!over && hear(&legacies, &over))
			;
	}
	close(SOCK);
	close(NET);
	deaths = clock_mono_us() - born_us < YOUNG_US ? deaths + 1 : 0;
	if (deaths > DEATHS_MAX) {
		log_error("net dies again and again: networks are given up");
		_exit(1);
	}
	rand_forget();
	prctl(PR_SET_NAME, "quartet-net", 0, 0, 0);
	net_serve(LISTENER, HOME, &legacies, deaths);
	_exit(1);
}

static _Noreturn void begin(const struct heir *h, int sock, int net)
{
	const int had[] = {[SOCK] = sock, [LISTENER] = h->listener, [HOME] = h->home, [NET] = net};
	int high[PLACES];
	for (int i = SOCK; i < PLACES; i++)
		if ((high[i] = fcntl(had[i], F_DUPFD_CLOEXEC, ABOVE)) < 0)
			_exit(1);
	for (int i = SOCK; i < PLACES; i++)
		if (dup3(high[i], i, O_CLOEXEC) < 0)
			_exit(1);
	close_range(PLACES, ~0u, 0);
	be_heir(h->deaths);
}

/* ---- net's side ---- */

static void make(void *ctx);

static void make_later(struct heir *h, int64_t delay_us)
{
	if (!h->again)
		h->again = loop_add_timer(h->loop, delay_us, make, h);
}

static void lose(struct heir *h)
{
	loop_remove_fd(h->loop, h->watch);
	h->watch = NULL;
	close(h->sock);
	h->sock = -1;
	kill(h->pid, SIGKILL);
	while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
		;
	make_later(h, clock_mono_us() - h->born_us < YOUNG_US ? YOUNG_US : 0);
}

static void is_gone(void *ctx, uint32_t events)
{
	(void)events; /* it says nothing */
	lose(ctx);
}

static void make(void *ctx)
{
	struct heir *h = ctx;
	int pair[2] = {-1, -1}, self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	h->again = NULL;
	int error = self < 0 ? -errno : msg_pair(pair);
	h->pid = error ? -1 : fork();
	if (h->pid == 0)
		begin(h, pair[1], self);
	if (!error && h->pid < 0)
		error = -errno;
	msg_close_fds((const int[]){self, pair[1]}, 2);
	if (error) {
		msg_close_fds(pair, 1);
		log_error("net has no heir: %s", strerror(-error));
		make_later(h, YOUNG_US);
		return;
	}
	h->born_us = clock_mono_us();
	h->sock = pair[0];
	h->watch = loop_add_fd(h->loop, h->sock, EPOLLIN, is_gone, h);
	if (!h->watch)
		die("cannot watch net's heir");
	h->tell_all(h->ctx);
}

struct heir *heir_new(struct loop *l, int listener, int home_ns_fd, unsigned deaths, void (*tell_all)(void *ctx), void *ctx)
{
	struct heir *h = calloc(1, sizeof(*h));
	if (!h)
		die("out of memory");
	*h = (struct heir){.loop = l,
	                   .listener = listener,
	                   .home = home_ns_fd,
	                   .deaths = deaths,
	                   .tell_all = tell_all,
	                   .ctx = ctx,
	                   .sock = -1};
	make(h);
	return h;
}

/* The kernel lets nobody have too many descriptors under way, so it may have to read some first. */
static void say(struct heir *h, const struct word *w, size_t n, const int *fds, size_t nfds)
{
	for (int i = 0; h->sock >= 0; i++) {
		int error = msg_send(h->sock, w, n, fds, nfds);
		if (!error)
			return;
		if ((error == -EAGAIN || error == -ETOOMANYREFS) && i < SEND_TRIES) {
			usleep(SEND_AGAIN_US);
			continue;
		}
		log_error("net's heir does not hear: %s", strerror(-error));
		lose(h);
	}
}

void heir_tell(struct heir *h, const struct legacy *l)
{
	static struct word w;
	int fds[LEGACY_FDS_MAX];
	size_t nfds = 0;
	memset(&w, 0, offsetof(struct word, message));
	w.verb = TELL;
	w.number = l->number;
	w.last_number = l->last_number;
	w.device = l->device;
	w.uplink = l->uplink;
	memcpy(w.router, l->router, sizeof(w.router));
	memcpy(w.id, l->id, sizeof(w.id));
	memcpy(&w.message, l->message, l->bytes);
	for (unsigned i = 0; i < LEGACY_FDS_MAX; i++)
		if (l->fds[i] >= 0) {
			w.places |= 1u << i;
			fds[nfds++] = l->fds[i];
		}
	say(h, &w, offsetof(struct word, message) + l->bytes, fds, nfds);
}

void heir_forget(struct heir *h, const char *router, const char *id)
{
	static struct word w;
	if (!h)
		return; /* nothing was told yet */
	memset(&w, 0, offsetof(struct word, message));
	w.verb = FORGET;
	memcpy(w.router, router, strlen(router));
	memcpy(w.id, id, strlen(id));
	say(h, &w, offsetof(struct word, message), NULL, 0);
}

void heir_end(struct heir *h)
{
	const struct word w = {.verb = END};
	if (h->sock < 0)
		return;
	struct pollfd p = {.fd = h->sock};
	if (msg_send(h->sock, &w, offsetof(struct word, message), NULL, 0) == 0)
		poll(&p, 1, END_WAIT_MS);
	kill(h->pid, SIGKILL);
	waitpid(h->pid, NULL, 0);
}

/* Deadlines: each kind has one duration, so its connections stand in a list in the order in which they fall due; setting one is
 * a move to the list's end, and one timer watches the lists' heads. */
#include "http/conn.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPT_BATCH = 64 };
static const int64_t linger_us = 3000000, accept_pause_us = 100000, deadline_slack_us = 20000;

static void deadlines_check(void *ctx);

/* --- deadlines */

static int64_t deadline_length_us(const struct http_server *s, enum deadline d)
{
	switch (d) {
	case DEADLINE_IDLE:
		return s->limits.idle_us;
	case DEADLINE_HEAD:
		return s->limits.head_us;
	case DEADLINE_STALL:
		return s->limits.stall_us;
	default:
		return linger_us;
	}
}

static void deadline_arm(struct http_server *s, int64_t due_us)
{
	if (s->deadline_timer && s->deadline_due_us <= due_us)
		return;
	loop_remove_timer(s->loop, s->deadline_timer);
	s->deadline_due_us = due_us;
	s->deadline_timer = loop_add_timer(s->loop, due_us - clock_mono_us(), deadlines_check, s);
}

void server_set_deadline(struct http_conn *c, enum deadline d)
{
	struct http_server *s = c->server;
	list_remove(&c->timed);
	if (c->listener->patient && d != DEADLINE_LINGER)
		d = DEADLINES;
	c->deadline = (uint8_t)d;
	if (d == DEADLINES)
		return;
	c->due_us = loop_now_us(s->loop) + deadline_length_us(s, d);
	list_push(&s->timed[d], &c->timed);
	deadline_arm(s, c->due_us + deadline_slack_us); /* the slack gathers neighbours into one wake-up */
}

static void deadlines_check(void *ctx)
{
	struct http_server *s = ctx;
	s->deadline_timer = NULL;
	int64_t now_us = loop_now_us(s->loop), next_us = INT64_MAX;
	for (enum deadline d = 0; d < DEADLINES; d++) {
		struct http_conn *c;
		while ((c = list_first(&s->timed[d], struct http_conn, timed)) && c->due_us <= now_us) {
			server_set_deadline(c, DEADLINES);
			conn_timeout(c);
		}
		if (c && c->due_us < next_us)
			next_us = c->due_us;
	}
	if (next_us != INT64_MAX)
		deadline_arm(s, next_us + deadline_slack_us);
}

/* --- what waits for the end of the callback under way */

static void later_run(void *ctx)
{
	struct http_server *s = ctx;
	s->later_timer = NULL;
	struct http_conn *c;
	/* Those that come back meanwhile go to the next round. */
	struct list now = LIST_INIT(now);
	if (!list_empty(&s->later)) {
		now = s->later;
		now.next->prev = now.prev->next = &now;
		list_init(&s->later);
	}
	while ((c = list_first(&now, struct http_conn, later)))
		conn_run(c);
}

void conn_later(struct http_conn *c)
{
	struct http_server *s = c->server;
	if (c->running || list_linked(&c->later))
		return;
	list_push(&s->later, &c->later);
	if (!s->later_timer)
		s->later_timer = loop_add_timer(s->loop, 0, later_run, s);
}

/* --- listeners */

static void listeners_watch(struct http_server *s, bool on)
{
	s->paused = !on;
	list_each (&s->listeners, struct http_listener, in_server, l)
		if (l->watch)
			loop_set_fd(s->loop, l->watch, on ? EPOLLIN : 0);
}

static void accept_again(void *ctx)
{
	struct http_server *s = ctx;
	s->accept_timer = NULL;
	if (s->conns < s->limits.connections)
		listeners_watch(s, true);
}

/* True: there may be more. */
static bool accept_some(struct http_listener *l)
{
	struct http_server *s = l->server;
	for (unsigned i = 0; i < ACCEPT_BATCH; i++) {
		if (s->conns >= s->limits.connections) {
			listeners_watch(s, false);
			return false;
		}
		struct sockaddr_storage peer;
		socklen_t peer_bytes = sizeof(peer);
		int fd = accept4(l->fd, (struct sockaddr *)&peer, &peer_bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			/* A stem connects before its listener is served, and so before there was anything to inherit. */
			if (l->aside)
				setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
			conn_new(l, fd, (struct sockaddr *)&peer, peer_bytes);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM) { /* others must close something first */
			listeners_watch(s, false);
			if (!s->accept_timer)
				s->accept_timer = loop_add_timer(s->loop, accept_pause_us, accept_again, s);
			return false;
		}
		if (errno != ECONNABORTED && errno != EINTR)
			return false;
	}
	return true;
}

static void listener_event(void *ctx, uint32_t events)
{
	(void)events;
	accept_some(ctx);
}

struct http_listener *http_listen(struct http_server *s, int fd, struct http_tls *tls, void *listener_ctx)
{
	struct http_listener *l = calloc(1, sizeof(*l));
	if (!l)
		die("out of memory (listener)");
	l->server = s;
	l->fd = fd;
	l->tls = tls;
	l->ctx = listener_ctx;
	list_init(&l->conns);
	if (fd >= 0) {
		int one = 1;
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
		           sizeof(one)); /* accepted sockets inherit it; Unix sockets need none */
		l->watch = loop_add_fd(s->loop, fd, s->paused ? 0 : EPOLLIN, listener_event, l);
		if (!l->watch) {
			close(fd);
			free(l);
			return NULL;
		}
	}
	list_push(&s->listeners, &l->in_server);
	return l;
}

bool http_serve(struct http_listener *l, int fd)
{
	struct sockaddr_storage peer = {0};
	socklen_t peer_bytes = sizeof(peer);
	if (getpeername(fd, (struct sockaddr *)&peer, &peer_bytes) < 0)
		peer_bytes = sizeof(peer.ss_family);
	return conn_new(l, fd, (struct sockaddr *)&peer, peer_bytes) != NULL;
}

static void listener_stop(struct http_listener *l)
{
	loop_remove_fd(l->server->loop, l->watch);
	l->watch = NULL;
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

void http_listener_close(struct http_listener *l)
{
	if (!l)
		return;
	listener_stop(l);
	list_remove(&l->in_server);
	bool empty = list_empty(&l->conns);
	/* Not yet `closed`: the last connection's end would free it inside the loop. */
	list_each (&l->conns, struct http_conn, in_listener, c)
		conn_kill(c);
	l->closed = true;
	if (empty || list_empty(&l->conns))
		free(l);
}

/* --- the server */

struct str server_date(struct http_server *s)
{
	int64_t ms = clock_machine_ms(), now_s = ms / 1000; /* clients correct their clocks by it */
	if (now_s != s->date_s) {
		char text[40];
		size_t n = time_format_to(text, ms, TIME_RFC822);
		memcpy(s->date, "Date: ", 6);
		memcpy(s->date + 6, text, n);
		memcpy(s->date + 6 + n, "\r\n", 2);
		s->date_n = n + 8;
		s->date_s = now_s;
	}
	return str_of(s->date, s->date_n);
}

struct http_server *http_server_new(struct loop *l, const struct http_limits *limits, http_request_fn *on_request, void *ctx)
{
	struct http_server *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory (server)");
	s->loop = l;
	s->on_request = on_request;
	s->ctx = ctx;
	if (limits)
		s->limits = *limits;
	struct http_limits *m = &s->limits;
	m->head_bytes = m->head_bytes ? m->head_bytes : 65536;
	m->headers = m->headers ? m->headers : 200;
	m->connections = m->connections ? m->connections : 20000;
	m->head_us = m->head_us ? m->head_us : 20000000;
	m->idle_us = m->idle_us ? m->idle_us : 75000000;
	m->stall_us = m->stall_us ? m->stall_us : 60000000;
	list_init(&s->listeners);
	list_init(&s->tunnels);
	list_init(&s->later);
	for (enum deadline d = 0; d < DEADLINES; d++)
		list_init(&s->timed[d]);
	s->scratch = malloc(SCRATCH_BYTES);
	if (!s->scratch)
		die("out of memory (server)");
	signal(SIGPIPE, SIG_IGN); /* sendfile and OpenSSL have no flag against it */
	return s;
}

size_t http_connections(const struct http_server *s)
{
	return s->conns;
}

static void drained_tell(void *ctx)
{
	struct http_server *s = ctx;
	s->drained_timer = NULL;
	loop_fn *fn = s->drained;
	s->drained = NULL;
	if (fn)
		fn(s->drained_ctx);
}

void http_listener_aside(struct http_listener *l)
{
	l->aside = true;
}

void http_listener_patient(struct http_listener *l)
{
	l->patient = true;
}

/* Nobody is left to be waited for. */
static bool drain_is_over(const struct http_server *s)
{
	list_each (&s->listeners, struct http_listener, in_server, l)
		if (!l->aside && !list_empty(&l->conns))
			return false;
	return true;
}

void server_conn_gone(struct http_server *s)
{
	if (s->paused && !s->draining && !s->accept_timer && s->conns < s->limits.connections)
		listeners_watch(s, true);
	if (s->draining && s->drained && !s->drained_timer && drain_is_over(s))
		s->drained_timer = loop_add_timer(s->loop, 0, drained_tell, s);
}

static void drain_over(void *ctx)
{
	struct http_server *s = ctx;
	s->drain_timer = NULL;
	list_each (&s->listeners, struct http_listener, in_server, l)
		list_each (&l->conns, struct http_conn, in_listener, c)
			conn_kill(c);
}

void http_server_drain(struct http_server *s, enum http_drain how, int64_t grace_us, loop_fn *drained, void *ctx)
{
	s->draining = true;
	s->leaving = how == HTTP_DRAIN_LEAVE;
	s->drained = drained;
	s->drained_ctx = ctx;
	list_each (&s->listeners, struct http_listener, in_server, l) {
		if (l->aside)
			continue;
		while (!s->leaving && l->watch && accept_some(l)) /* who has come by now has been let in */
			continue;
		listener_stop(l);
		list_each (&l->conns, struct http_conn, in_listener, c) {
			if (c->state == CONN_IDLE && s->leaving)
				conn_kill(c);
			else if (c->state == CONN_IDLE)
				conn_later(c); /* a last look at what it has sent, and the end */
		}
	}
	loop_remove_timer(s->loop, s->drain_timer);
	s->drain_timer = loop_add_timer(s->loop, grace_us, drain_over, s);
	server_conn_gone(s);
}

void http_server_free(struct http_server *s)
{
	if (!s)
		return;
	s->drained = NULL;
	s->draining = true;
	struct http_listener *l;
	while ((l = list_first(&s->listeners, struct http_listener, in_server)))
		http_listener_close(l);
	struct http_tunnel *t;
	while ((t = tunnel_first(s)))
		tunnel_free(t);
	struct loop_timer *timers[] = {s->later_timer, s->deadline_timer, s->accept_timer, s->drain_timer, s->drained_timer};
	for (unsigned i = 0; i < sizeof(timers) / sizeof(timers[0]); i++)
		loop_remove_timer(s->loop, timers[i]);
	while (s->free_requests) {
		struct http_request *r = s->free_requests;
		s->free_requests = r->next_free;
		arena_done(&r->arena);
		free(r);
	}
	free(s->scratch);
	free(s);
}

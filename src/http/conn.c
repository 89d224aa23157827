/* One connection is a small state machine that conn_run() drives as far as it can: send what waits, take the next step, read more
 * if a step needs it. Callbacks of the request's owner happen only inside steps, never inside the owner's own calls: those set
 * fields and, outside of conn_run, put the connection on the server's `later` list.
 *
 * Input is read into one scratch buffer that all connections share; what is left there when conn_run returns moves to a buffer of
 * the connection's own. So an idle connection holds no buffer at all. */
#include "http/conn.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FILLS_A_RUN = 16, ARENA_KEPT_BYTES = 16384 };

static void conn_event(void *ctx, uint32_t events);

struct http_conn *conn_new(struct http_listener *l, int fd, const struct sockaddr *peer, socklen_t peer_bytes)
{
	struct http_conn *c = calloc(1, sizeof(*c));
	if (!c)
		die("out of memory (connection)");
	c->server = l->server;
	c->listener = l;
	c->fd = fd;
	c->deadline = DEADLINES;
	list_init(&c->timed);
	list_init(&c->later);
	if (peer_bytes <= sizeof(c->peer))
		memcpy(&c->peer, peer, peer_bytes);
	else
		c->peer.any.sa_family = peer->sa_family;
	if (l->tls)
		c->tls = tls_conn_new(l->tls, fd);
	c->watch = loop_add_fd(l->server->loop, fd, EPOLLIN | EPOLLRDHUP, conn_event, c);
	if (!c->watch || (l->tls && !c->tls)) {
		loop_remove_fd(l->server->loop, c->watch);
		tls_conn_free(c->tls);
		close(fd);
		free(c);
		return NULL;
	}
	list_push(&l->conns, &c->in_listener);
	l->server->conns++;
	server_set_deadline(c, l->tls ? DEADLINE_HEAD : DEADLINE_IDLE);
	return c;
}

void conn_request_free(struct http_conn *c)
{
	struct http_server *s = c->server;
	struct http_request *r = c->req;
	if (!r)
		return;
	c->req = NULL;
	if (r->done)
		r->done(r->done_ctx);
	if (r->head.chunked)
		transfer_done(&r->transfer);
	if (r->kept)
		return;
	arena_reset(&r->arena);
	if (s->free_count == REQUESTS_KEPT || r->arena.end - r->arena.at > ARENA_KEPT_BYTES) {
		arena_done(&r->arena);
		free(r);
		return;
	}
	r->next_free = s->free_requests;
	s->free_requests = r;
	s->free_count++;
}

static struct http_request *request_new(struct http_conn *c)
{
	struct http_server *s = c->server;
	struct http_request *r = s->free_requests;
	if (r) {
		s->free_requests = r->next_free;
		s->free_count--;
		struct arena kept = r->arena;
		*r = (struct http_request){.conn = c, .arena = kept};
		r->arena.limit_bytes = 0;
	} else {
		r = calloc(1, sizeof(*r));
		if (!r)
			die("out of memory (request)");
		r->conn = c;
		arena_init(&r->arena, 0);
	}
	c->req = r;
	return r;
}

/* --- input */

static void input_free(struct http_conn *c)
{
	if (!c->borrowed)
		free(c->in);
	c->in = NULL;
	c->borrowed = false;
	c->in_at = c->in_n = c->in_cap = 0;
}

static void input_move(struct http_conn *c, size_t cap)
{
	char *own = malloc(cap);
	if (!own)
		die("out of memory (input of %zu bytes)", cap);
	uint32_t n = c->in_n;
	if (n)
		memcpy(own, c->in + c->in_at, n);
	input_free(c);
	c->in = own;
	c->in_n = n;
	c->in_cap = (uint32_t)cap;
}

void conn_own_input(struct http_conn *c)
{
	if (!c->borrowed)
		return;
	if (c->in_n)
		input_move(c, c->in_n < 512 ? 512 : c->in_n);
	else
		input_free(c);
}

void conn_consume(struct http_conn *c, size_t n)
{
	c->in_at += (uint32_t)n;
	c->in_n -= (uint32_t)n;
	c->scan = 0;
}

static bool conn_wants_input(const struct http_conn *c)
{
	switch (c->state) {
	case CONN_IDLE:
	case CONN_HEAD:
		return true;
	case CONN_BUSY:
		return c->req->body_fn && !c->req->replied;
	default:
		return false;
	}
}

/* Makes room: an empty buffer is replaced by the scratch buffer, or by a large one of its own where pieces are lent out. */
static void input_prepare(struct http_conn *c)
{
	if (c->in_n == 0) {
		bool lends = c->state == CONN_BUSY && !c->req->collect;
		if (c->in && (lends ? c->borrowed || c->in_cap < SCRATCH_BYTES : !c->borrowed))
			input_free(c);
		if (lends && !c->in)
			input_move(c, SCRATCH_BYTES);
		if (!c->in) {
			c->in = c->server->scratch;
			c->in_cap = SCRATCH_BYTES;
			c->borrowed = true;
		}
		c->in_at = 0;
		return;
	}
	if (c->in_at + c->in_n < c->in_cap)
		return;
	if (c->in_at && c->in_n < c->in_cap / 2) {
		memmove(c->in, c->in + c->in_at, c->in_n);
		c->in_at = 0;
		return;
	}
	input_move(c, (size_t)c->in_n * 2 < 4096 ? 4096 : (size_t)c->in_n * 2);
}

/* Reads once. Bytes read, 0 at the end of the stream, -EAGAIN, -ECONNRESET, or -EPROTO (tls.h). *ret_short: the kernel had no more.
 */
static ssize_t conn_fill(struct http_conn *c, bool *ret_short)
{
	input_prepare(c);
	char *to = c->in + c->in_at + c->in_n;
	size_t room = c->in_cap - c->in_at - c->in_n;
	ssize_t n;
	if (c->tls) {
		n = tls_read(c->tls, to, room);
	} else {
		do
			n = recv(c->fd, to, room, MSG_DONTWAIT);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			n = errno == EAGAIN ? -EAGAIN : -ECONNRESET;
		*ret_short = n < (ssize_t)room;
	}
	if (n > 0) {
		c->in_n += (uint32_t)n;
		c->progress = true;
	}
	return n;
}

/* --- steps */

static void linger_start(struct http_conn *c)
{
	conn_request_free(c);
	input_free(c);
	if (c->tls)
		tls_close(c->tls);
	shutdown(c->fd, SHUT_WR);
	c->state = CONN_LINGER;
}

/* Discards what a refused client still sends. False: it is done, or has had its share. */
static bool linger_read(struct http_conn *c)
{
	for (unsigned i = 0; i < FILLS_A_RUN; i++) {
		/* With MSG_TRUNC TCP throws the bytes away without copying them; other sockets copy at most the buffer. */
		ssize_t n = recv(c->fd, c->server->scratch, SCRATCH_BYTES, MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		c->lingered += (uint32_t)(n + 1023) / 1024;
		c->progress = true;
		if (n == 0 || c->lingered > LINGER_BYTES / 1024)
			return false;
	}
	return true;
}

/* The connection ends here, its socket goes on: the caller's. */
static int give_away(struct http_conn *c)
{
	int fd = c->fd;
	loop_remove_fd(c->server->loop, c->watch);
	c->watch = NULL;
	c->fd = -1;
	c->dead = true;
	return fd;
}

static struct str unread(const struct http_conn *c)
{
	return str_of(c->in_n ? c->in + c->in_at : "", c->in_n);
}

static void upgrade_finish(struct http_conn *c)
{
	struct http_request *r = c->req;
	http_upgraded_fn *fn = r->upgraded;
	int fd = give_away(c);
	r->upgraded = NULL;
	if (c->tls)
		fd = tunnel_open(c->server, c->tls, fd);
	c->tls = NULL;
	fn(r->upgraded_ctx, fd, unread(c));
}

static void pass_finish(struct http_conn *c)
{
	int fd = give_away(c);
	tunnel_join(c->server, c->tls, fd, c->req->passed_to, (const struct str[]){c->req->text, unread(c)});
	c->req->passed = false;
	c->tls = NULL;
}

/* The reply is out: on to the next request, or the end. */
static void request_finish(struct http_conn *c)
{
	struct http_request *r = c->req;
	if (r->passed) {
		pass_finish(c);
		return;
	}
	bool whole = body_skip(r), end = r->close || !whole;
	if (r->upgraded) {
		upgrade_finish(c);
	} else if (!end) {
		conn_request_free(c);
		c->state = c->in_n ? CONN_HEAD : CONN_IDLE;
	} else if (!whole || c->in_n) {
		linger_start(c); /* closing with unread input would reset the connection under the reply */
	} else {
		c->dead = true;
	}
}

static bool head_step(struct http_conn *c)
{
	struct http_server *s = c->server;
	while (c->in_n && (c->in[c->in_at] == '\r' || c->in[c->in_at] == '\n'))
		conn_consume(c, 1); /* empty lines before a request line, as some clients send after a body */
	c->state = c->in_n ? CONN_HEAD : CONN_IDLE;
	if (c->in_n == 0)
		return false;
	size_t scan = c->scan, end = head_end(c->in + c->in_at, c->in_n, &scan);
	c->scan = (uint32_t)scan;
	/* TLS on the plain port, most likely: its first message has no line end to wait for. */
	unsigned char first = (unsigned char)c->in[c->in_at];
	if (end == 0 && (first <= ' ' || first >= 0x7f)) {
		reply_refuse(c, 400, "this is not HTTP");
		return true;
	}
	if (end == 0 && c->in_n < s->limits.head_bytes)
		return false;
	if (end == 0 || end > s->limits.head_bytes) {
		if (memchr(c->in + c->in_at, '\n', s->limits.head_bytes))
			reply_refuse(c, 431, "request head too large");
		else
			reply_refuse(c, 414, "request target too long");
		return true;
	}
	struct http_request *r = request_new(c);
	struct str text = arena_dup(&r->arena, str_of(c->in + c->in_at, end));
	conn_consume(c, end);
	const char *why = "";
	unsigned refused = head_parse(&r->arena, text, s->limits.headers, &r->head, &r->facts, &why);
	if (refused) {
		reply_refuse(c, refused, why);
		return true;
	}
	request_note_names(r);
	r->text = text;
	r->head.tls = c->tls != NULL;
	r->head.listener_ctx = c->listener->ctx;
	memcpy(&r->head.peer, &c->peer, sizeof(c->peer));
	r->is_head = str_eq(r->head.method, S("HEAD"));
	r->body_left = r->head.content_length > 0 ? (uint64_t)r->head.content_length : 0;
	r->body_ended = !r->head.has_body;
	if (r->head.chunked)
		transfer_init(&r->transfer);
	c->state = CONN_BUSY;
	server_set_deadline(c, DEADLINES);
	s->on_request(s->ctx, r);
	return true;
}

/* Does what can be done without reading. False: nothing. */
static bool conn_step(struct http_conn *c)
{
	switch (c->state) {
	case CONN_IDLE:
	case CONN_HEAD:
		if (c->state == CONN_IDLE && c->server->leaving && !c->listener->aside && c->in_n == 0) {
			c->dead = true;
			return true;
		}
		return c->in_n && head_step(c);
	case CONN_BUSY:
		if (c->req->replied) {
			if (!out_empty(&c->out))
				return false;
			request_finish(c);
			return true;
		}
		return c->req->body_fn && body_step(c);
	case CONN_CLOSING:
		if (!out_empty(&c->out))
			return false;
		linger_start(c);
		return true;
	default:
		if (!linger_read(c))
			c->dead = true;
		return c->dead;
	}
}

static bool writer_is_due(const struct http_conn *c)
{
	return c->req && c->req->waiting && out_waiting(&c->out) <= OUT_LOW_BYTES;
}

static void writer_wake(struct http_conn *c)
{
	struct http_request *r = c->req;
	if (!writer_is_due(c))
		return;
	r->waiting = false;
	if (r->drained)
		r->drained(r->drained_ctx);
}

static void conn_end(struct http_conn *c)
{
	struct http_server *s = c->server;
	struct http_listener *l = c->listener;
	struct http_request *r = c->req;
	c->running = c->dead = c->broken = true;
	if (r && !r->replied)
		body_fail(c, -ECONNRESET);
	if (r && (!r->replied || r->upgraded) && r->gone)
		r->gone(r->gone_ctx);
	if (r && r->passed)
		close(r->passed_to);
	conn_request_free(c);
	input_free(c);
	out_done(&c->out);
	loop_remove_fd(s->loop, c->watch);
	if (c->tls && c->fd >= 0)
		tls_close(c->tls);
	tls_conn_free(c->tls);
	if (c->fd >= 0)
		close(c->fd);
	server_set_deadline(c, DEADLINES);
	list_remove(&c->later);
	list_remove(&c->in_listener);
	if (l->closed && list_empty(&l->conns))
		free(l);
	free(c);
	s->conns--;
	server_conn_gone(s);
}

void conn_kill(struct http_conn *c)
{
	c->dead = c->broken = true;
	if (!c->running)
		conn_end(c);
}

/* What the kernel is to report, and by when something must have happened. */
static void conn_settle(struct http_conn *c)
{
	bool wants = conn_wants_input(c) || c->state == CONN_LINGER, sends = !out_empty(&c->out);
	if (c->borrowed)
		conn_own_input(c);
	else if (c->in && c->in_n == 0 && c->state != CONN_BUSY)
		input_free(c);
	if (wants)
		c->mute_in = c->mute_hup = false;
	loop_set_fd(c->server->loop, c->watch,
	            (c->mute_in ? 0 : EPOLLIN) | (c->mute_hup ? 0 : EPOLLRDHUP) |
	                    (sends || (c->tls && tls_wants_write(c->tls)) ? EPOLLOUT : 0));

	enum deadline d = DEADLINES;
	switch (c->state) {
	case CONN_IDLE:
		d = c->tls && c->deadline == DEADLINE_HEAD && !c->progress ? DEADLINE_HEAD : DEADLINE_IDLE;
		break;
	case CONN_HEAD:
		d = DEADLINE_HEAD;
		break;
	case CONN_BUSY:
		d = wants || sends ? DEADLINE_STALL : DEADLINES;
		break;
	default:
		d = DEADLINE_LINGER;
	}
	if (d != c->deadline || (c->progress && d != DEADLINE_HEAD && d != DEADLINES))
		server_set_deadline(c, d);
	c->progress = false;
}

void conn_run(struct http_conn *c)
{
	if (c->running)
		return;
	c->running = true;
	list_remove(&c->later);
	bool dry = false;
	for (unsigned fills = 0; !c->dead;) {
		if (out_flush(c) < 0) {
			c->dead = true;
			break;
		}
		writer_wake(c);
		if (c->dead || conn_step(c))
			continue;
		/* A callback may have queued a piece that fits the socket's buffer: send it before waiting. */
		if (dry || !conn_wants_input(c) || fills == FILLS_A_RUN)
			break;
		fills++;
		ssize_t n = conn_fill(c, &dry);
		if (n == -EAGAIN) {
			dry = true;
		} else if (n == -EPROTO) {
			tls_conn_free(c->tls);
			c->tls = NULL;
			reply_refuse(c, 400, "this port speaks TLS: use https");
		} else if (n <= 0)
			c->dead = true;
	}
	c->running = false;
	/* A request that has come by now is still served. */
	if (c->state == CONN_IDLE && c->server->draining && !c->listener->aside)
		c->dead = true;
	if (c->dead) {
		conn_end(c);
		return;
	}
	if (!dry && c->tls && conn_wants_input(c) && tls_has_pending(c->tls))
		conn_later(c);
	if (out_flush(c) < 0) {
		conn_end(c);
		return;
	}
	/* The socket may have found room since the last look, and then nothing else would bring us back. */
	if (writer_is_due(c) || (out_empty(&c->out) && (c->state == CONN_CLOSING || (c->state == CONN_BUSY && c->req->replied))))
		conn_later(c);
	conn_settle(c);
}

static void conn_event(void *ctx, uint32_t events)
{
	struct http_conn *c = ctx;
	bool wants = conn_wants_input(c);
	if ((events & (EPOLLERR | EPOLLHUP)) && !wants) {
		conn_kill(c);
		return;
	}
	if (!wants && c->state != CONN_LINGER) {
		if (events & EPOLLIN)
			c->mute_in = true;
		if (events & EPOLLRDHUP) {
			/* A client that hangs up while we think has left; one that only has no more to send may still read its
			 * reply. */
			if (c->state == CONN_BUSY && !c->req->replied && c->req->body_ended) {
				conn_kill(c);
				return;
			}
			c->mute_hup = true;
			c->mute_in = true;
		}
	}
	conn_run(c);
}

void conn_timeout(struct http_conn *c)
{
	if (c->state == CONN_HEAD) {
		reply_refuse(c, 408, "the request head did not arrive in time");
		conn_run(c);
	} else if (c->state == CONN_BUSY && out_empty(&c->out) && !c->req->replied) {
		c->running = true;
		body_fail(c, -ETIMEDOUT);
		c->running = false;
		conn_run(c);
	} else {
		conn_kill(c);
	}
}

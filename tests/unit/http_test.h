/* A server on a real loop and clients on socketpairs: what the tests of the HTTP server share. */
#pragma once
#include "unit.h"

#include "base/buf.h"
#include "http/http.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct site {
	struct loop *loop;
	struct http_server *server;
	struct http_listener *listener;
	struct http_request *held; /* a handler may leave its request here */
	int gone, drained, pieces, status;
	size_t bytes;
	struct buf seen; /* what body callbacks were given */
};

static inline void site_open(struct site *t, const struct http_limits *limits, http_request_fn *fn)
{
	*t = (struct site){.loop = loop_new()};
	buf_init(&t->seen, 64 << 20);
	t->server = http_server_new(t->loop, limits, fn, t);
	t->listener = http_listen(t->server, -1, NULL, t);
}

static inline void site_close(struct site *t)
{
	http_server_free(t->server);
	loop_free(t->loop);
	buf_done(&t->seen);
}

/* A client's end of a new connection. */
static inline int site_connect(struct site *t)
{
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	assert_true(http_serve(t->listener, ends[1]));
	return ends[0];
}

static inline void site_turn(struct site *t, int turns)
{
	while (turns--)
		loop_turn(t->loop, 0);
}

static inline void client_send(int fd, struct str s)
{
	assert_int_equal(send(fd, s.p, s.n, MSG_NOSIGNAL), (ssize_t)s.n);
}

/* Everything the server has to say now, appended to b; true when it closed the connection. */
static inline bool client_read(struct site *t, int fd, struct buf *b)
{
	for (int quiet = 0; quiet < 3;) {
		loop_turn(t->loop, 0);
		char piece[65536];
		ssize_t n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return true;
		if (n > 0)
			buf_add(b, piece, (size_t)n);
		quiet = n > 0 ? 0 : quiet + 1;
	}
	return false;
}

/* Sends all of s on a connection of its own, ends it, and returns what came back. Dates are blanked. */
static inline struct str site_exchange(struct site *t, struct arena *a, struct str s, bool *ret_closed)
{
	struct buf CLEAN_BUF out;
	buf_init(&out, 16 << 20);
	int fd = site_connect(t);
	for (size_t at = 0; at < s.n;) {
		ssize_t n = send(fd, s.p + at, s.n - at, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			break;
		at += (size_t)n;
		site_turn(t, 2);
	}
	bool closed = client_read(t, fd, &out);
	if (ret_closed)
		*ret_closed = closed;
	close(fd);
	site_turn(t, 3);
	for (size_t i = 0; i + 37 <= out.n; i++)
		if (memcmp(out.p + i, "\r\nDate: ", 8) == 0) {
			memmove(out.p + i, out.p + i + 37, out.n - i - 37);
			out.n -= 37;
		}
	return arena_dup(a, buf_str(&out));
}

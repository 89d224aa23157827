#include "role/exec.h"

#include "aws/lambda/enter.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/uri.h"
#include "engine/cell/cell.h"
#include "http/http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { PIECE_BYTES = 16384, ARGS_MAX = 64 };

/* One direction: what was read at one end and waits for the other. */
struct way {
	char bytes[PIECE_BYTES];
	size_t at, n;
	bool ended;
};
struct session {
	struct loop *loop;
	int pty, sock; /* -1: not there yet */
	struct loop_fd *pty_watch, *sock_watch;
	struct way in, out; /* to and from the sandbox */
};

static void session_end(struct session *s)
{
	loop_remove_fd(s->loop, s->pty_watch);
	loop_remove_fd(s->loop, s->sock_watch);
	if (s->pty >= 0)
		close(s->pty);
	if (s->sock >= 0)
		close(s->sock);
	free(s);
}

static void pump(struct way *w, int from, int to)
{
	if (w->n == 0 && !w->ended) {
		ssize_t n = read(from, w->bytes, sizeof(w->bytes));
		if (n > 0) {
			w->at = 0;
			w->n = (size_t)n;
		} else if (n == 0 || errno != EAGAIN) {
			w->ended = true; /* a terminal whose last process is gone says EIO */
		}
	}
	if (w->n) {
		ssize_t n = write(to, w->bytes + w->at, w->n);
		if (n > 0) {
			w->at += (size_t)n;
			w->n -= (size_t)n;
		} else if (errno != EAGAIN) {
			w->ended = true;
			w->n = 0;
		}
	}
}

static uint32_t wanted(const struct way *from_here, const struct way *to_here)
{
	return (from_here->n == 0 && !from_here->ended ? EPOLLIN : 0u) | (to_here->n ? EPOLLOUT : 0u);
}

static void session_turn(void *ctx, uint32_t events)
{
	(void)events;
	struct session *s = ctx;
	pump(&s->in, s->sock, s->pty);
	pump(&s->out, s->pty, s->sock);
	if (s->in.ended || (s->out.ended && s->out.n == 0)) {
		session_end(s);
		return;
	}
	loop_set_fd(s->loop, s->sock_watch, wanted(&s->in, &s->out));
	loop_set_fd(s->loop, s->pty_watch, wanted(&s->out, &s->in));
}

static void on_upgraded(void *ctx, int fd, struct str early)
{
	struct session *s = ctx;
	s->sock = fd;
	if (fd < 0) {
		session_end(s);
		return;
	}
	s->in.n = early.n < sizeof(s->in.bytes) ? early.n : sizeof(s->in.bytes);
	memcpy(s->in.bytes, early.p, s->in.n);
	s->pty_watch = loop_add_fd(s->loop, s->pty, EPOLLIN, session_turn, s);
	s->sock_watch = loop_add_fd(s->loop, s->sock, EPOLLIN, session_turn, s);
	if (!s->pty_watch || !s->sock_watch) {
		session_end(s);
		return;
	}
	session_turn(s, 0);
}

/* The client left before the connection was handed over. */
static void session_gone(void *ctx)
{
	session_end(ctx);
}

static void refuse(struct http_request *r, unsigned status, struct str why)
{
	struct http_header h[] = {{S("content-type"), S("text/plain")}};
	http_reply(r, status, h, 1, why);
}

static bool knows_root_key(struct cloud *cloud, struct http_request *r)
{
	struct str secret = http_header(r, S("x-quartet-key")), id = str_cut(&secret, ':');
	struct credential c;
	if (!str_set(secret) || cloud->identity.find_key(cloud->identity.ctx, id, STR_NONE, clock_wall_ms(), &c) != KEY_GOOD)
		return false;
	bool good = c.principal->kind == PRINCIPAL_ROOT && hash_equal(c.secret, secret);
	principal_unref(c.principal);
	return good;
}

static void set_window(struct http_request *r, int pty)
{
	int64_t rows, columns;
	if (!str_to_i64(http_header(r, S("x-quartet-rows")), &rows) ||
	    !str_to_i64(http_header(r, S("x-quartet-columns")), &columns))
		return;
	struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
	ioctl(pty, TIOCSWINSZ, &size);
}

struct asked {
	struct cloud *cloud;
	struct http_request *request;
};

static void on_terminal(void *ctx, int pty)
{
	struct asked *a = ctx;
	struct http_request *r = a->request;
	if (pty < 0) {
		refuse(r, 500, arena_printf(http_arena(r), "no terminal in that sandbox: %s\n", strerror(-pty)));
		return;
	}
	struct session *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory (exec)");
	*s = (struct session){.loop = a->cloud->loop, .pty = pty, .sock = -1};
	fcntl(pty, F_SETFL, O_NONBLOCK);
	set_window(r, pty);
	http_on_gone(r, session_gone, s);
	struct http_header h[] = {{S("upgrade"), S("quartet-terminal")}};
	if (http_upgrade(r, h, 1, on_upgraded, s) < 0) {
		session_end(s);
		refuse(r, 400, S("a terminal needs a plain connection\n"));
	}
}

void exec_take(struct cloud *cloud, struct http_request *r)
{
	struct arena *a = http_arena(r);
	const struct http_head *head = http_head(r);
	if (!knows_root_key(cloud, r)) {
		refuse(r, 403,
		       S("a shell in a sandbox is for the root user: the key in the data directory's credentials is wanted\n"));
		return;
	}
	struct str name = uri_decode(a, str_from_at(head->path, sizeof("/_quartet/exec/") - 1)), rest = head->query;
	struct cell *cell = lambda_enter(cloud, S("000000000000"), http_header(r, S("x-quartet-region")), name);
	if (!cell) {
		refuse(r, 404,
		       arena_printf(a, "no sandbox of a function \"%.*s\" is alive here: invoke it first\n", STR_ARG(name)));
		return;
	}
	const char *argv[ARGS_MAX + 1] = {0};
	unsigned n = 1;
	struct uri_part part;
	argv[0] = "/usr/bin/env"; /* finds the command as a shell would */
	while (n < ARGS_MAX && uri_next_part(&rest, &part))
		if (str_is(part.name, "arg"))
			argv[n++] = arena_dupz(a, uri_decode(a, part.value));
	struct asked *asked = arena_new(a, struct asked);
	*asked = (struct asked){cloud, r};
	cell_enter(cell, n > 1 ? argv : NULL, on_terminal, asked);
}

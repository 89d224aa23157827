/* A connection fed with anything, in parts of a size that the first byte gives; the handler that the second byte chooses collects,
 * takes pieces, answers early, streams or upgrades. Every reply must be well framed as far as the first line goes, and the server
 * must end empty. */
#include "http/http.h"

#include "base/log.h"

#include <sys/socket.h>
#include <unistd.h>

struct subject {
	struct http_request *held;
	unsigned mode;
};

static void collected(void *ctx, struct str body, int status)
{
	struct http_request *r = ctx;
	http_reply(r, status ? 400 : 200, http_head(r)->headers, http_head(r)->header_count, body);
}

static void piece_took(void *ctx, struct str piece, int status)
{
	struct http_request *r = ctx;
	http_reply_write(r, piece);
	if (status > 0) {
		http_body_next(r, piece_took, r);
		return;
	}
	unsigned count;
	const struct http_header *trailers = http_trailers(r, &count);
	if (status < 0)
		http_reply_abort(r);
	else
		http_reply_end(r, trailers, count);
}

static void upgraded(void *ctx, int fd, struct str early)
{
	(void)ctx;
	(void)early;
	close(fd);
}

static void forget(void *ctx)
{
	((struct subject *)ctx)->held = NULL;
}

static void requested(void *ctx, struct http_request *r)
{
	struct subject *t = ctx;
	const struct http_head *h = http_head(r);
	if (h->path.n == 0 || h->method.n == 0 || (h->chunked && h->content_length >= 0))
		die("a request without a path or with two lengths");
	switch (t->mode & 7) {
	case 0:
		http_body_collect(r, 4096, collected, r);
		break;
	case 1:
		http_reply_start(r, 200, h->headers, h->header_count, -1, NULL, NULL);
		http_body_next(r, piece_took, r);
		break;
	case 2:
		http_reply(r, 403, NULL, 0, h->target);
		break;
	case 3:
		if (http_upgrade(r, NULL, 0, upgraded, t) < 0)
			http_reply(r, 400, NULL, 0, S("no"));
		break;
	case 4:
		http_reply_start(r, 200, NULL, 0, 10, NULL, NULL);
		http_reply_write(r, h->target);
		http_reply_end(r, NULL, 0);
		break;
	default:
		t->held = r;
		http_on_gone(r, forget, t);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (n < 2 || n > 100000)
		return 0;
	struct subject t = {.mode = p[1]};
	struct loop *l = loop_new();
	struct http_server *s = http_server_new(l, &(struct http_limits){.head_bytes = 2048, .headers = 20}, requested, &t);
	struct http_listener *listener = http_listen(s, -1, NULL, NULL);
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0 || !http_serve(listener, ends[1]))
		die("no socketpair");
	size_t step = p[0] ? p[0] : n;
	char back[65536];
	bool first = true;
	for (size_t at = 2; at < n; at += step) {
		size_t part = n - at < step ? n - at : step;
		if (send(ends[0], p + at, part, MSG_NOSIGNAL) < 0)
			break;
		loop_turn(l, 0);
		loop_turn(l, 0);
		ssize_t got = recv(ends[0], back, sizeof(back), MSG_DONTWAIT);
		if (got > 0 && first && (got < 9 || memcmp(back, "HTTP/1.1 ", 9) != 0))
			die("a reply that begins with no status line");
		first &= got <= 0;
		if (t.held && (at & 1)) {
			struct http_request *r = t.held;
			t.held = NULL;
			http_reply(r, 200, NULL, 0, S("late"));
		}
	}
	close(ends[0]);
	for (int i = 0; i < 4; i++)
		loop_turn(l, 0);
	if (http_connections(s) && !t.held)
		die("a connection outlived its client");
	http_server_free(s);
	loop_free(l);
	return 0;
}

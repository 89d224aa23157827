/* A socket that is full at one write and has room at the very next one, within one run of the connection: nobody may be left
 * asleep. */
#include "http_test.h"

enum { LARGE = 2 << 20 };

static char large[LARGE];
static unsigned full_of; /* of so many writes of the server one finds the socket full; 0: none */
static unsigned full_at; /* which one */
static unsigned writes;

ssize_t __real_send(int fd, const void *p, size_t n, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __wrap_send(int fd, const void *p, size_t n, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);

static bool full(void)
{
	errno = EAGAIN;
	return full_of && ++writes % full_of == full_at;
}

ssize_t __wrap_send(int fd, const void *p, size_t n, int flags)
{
	return full() ? -1 : __real_send(fd, p, n, flags);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	return full() ? -1 : __real_sendmsg(fd, m, flags);
}

static void write_some(void *ctx)
{
	struct site *t = ctx;
	while (t->bytes < LARGE) {
		struct str piece = str_of(large + t->bytes, LARGE / 4);
		t->bytes += piece.n;
		if (!http_reply_write(t->held, piece)) {
			t->drained++;
			return;
		}
	}
	http_reply_end(t->held, NULL, 0);
}

static void reply_by_path(void *ctx, struct http_request *r)
{
	struct site *t = ctx;
	t->held = r;
	full_of = (unsigned)t->status;
	if (str_is(http_head(r)->path, "/stream")) {
		http_reply_start(r, 200, NULL, 0, LARGE, write_some, t);
		write_some(t);
	} else {
		http_reply(r, 200, NULL, 0, str_of(large, LARGE));
	}
}

static void ask(const char *request, bool closes, unsigned of, unsigned at)
{
	struct site t;
	struct buf CLEAN_BUF out;
	buf_init(&out, 16 << 20);
	site_open(&t, NULL, reply_by_path);
	t.status = (int)of;
	full_at = at;
	writes = full_of = 0;
	int fd = site_connect(&t);
	client_send(fd, str_from(request));
	bool closed = client_read(&t, fd, &out);
	full_of = 0;
	if (closed != closes || out.n < LARGE)
		fail_msg("%s: %zu bytes, %s, write %u of %u", request, out.n, closed ? "closed" : "open", at, of);
	close(fd);
	site_turn(&t, 3);
	site_close(&t);
}

static void ask_often(const char *request, bool closes)
{
	for (unsigned of = 2; of < 9; of++)
		for (unsigned at = 0; at < of; at++)
			ask(request, closes, of, at);
}

static void a_stream_goes_on(void **state)
{
	(void)state;
	ask_often("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n", false);
}

static void a_stream_ends(void **state)
{
	(void)state;
	ask_often("GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", true);
}

static void a_reply_ends(void **state)
{
	(void)state;
	ask_often("GET /whole HTTP/1.1\r\nHost: x\r\n\r\n", false);
	ask_often("GET /whole HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_stream_goes_on), cmocka_unit_test(a_stream_ends),
	                                   cmocka_unit_test(a_reply_ends)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

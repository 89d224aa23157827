/* Bodies: pieces and back-pressure in, streams, files and trailers out, refusals in the middle. */
#include "http_test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>

#define HOST " HTTP/1.1\r\nHost: x\r\n"
enum { LARGE = 3 << 20 };

static char large[LARGE];

/* --- in */

static void piece_all(void *ctx, struct str piece, int status)
{
	struct site *t = ctx;
	t->pieces++;
	t->status = status;
	t->bytes += piece.n;
	buf_add_str(&t->seen, piece);
	if (status > 0) {
		http_body_next(t->held, piece_all, t);
		return;
	}
	unsigned count;
	const struct http_header *trailers = http_trailers(t->held, &count);
	struct str text = arena_printf(http_arena(t->held), "%d %zu", status, t->bytes);
	for (unsigned i = 0; i < count; i++)
		text = ARENA_CAT(http_arena(t->held), text, S(" "), trailers[i].name, S("="), trailers[i].value);
	http_reply(t->held, status ? 400 : 200, NULL, 0, text);
}

static void take_all(void *ctx, struct http_request *r)
{
	struct site *t = ctx;
	t->held = r;
	http_body_next(r, piece_all, t);
}

static void pieces_of_large_bodies(void **state)
{
	(void)state;
	struct site t;
	struct arena CLEAN_ARENA a = {0};
	site_open(&t, NULL, take_all);
	struct str body = str_of(large, LARGE);
	struct str out = site_exchange(
	        &t, &a, ARENA_CAT(&a, arena_printf(&a, "PUT /" HOST "Content-Length: %d\r\n\r\n", LARGE), body), NULL);
	assert_true(str_ends(out, arena_printf(&a, "\r\n\r\n0 %d", LARGE)));
	assert_true(str_eq(buf_str(&t.seen), body));
	assert_true(t.pieces > LARGE / 70000);
	/* the same in chunks of odd sizes, with trailers */
	struct buf CLEAN_BUF b;
	buf_init(&b, 8 << 20);
	buf_add_lit(&b, "PUT /" HOST "Transfer-Encoding: chunked\r\n\r\n");
	for (size_t at = 0, n = 1; at < LARGE; at += n, n = (n * 7 + 3) % 90001 + 1) {
		if (n > LARGE - at)
			n = LARGE - at;
		buf_printf(&b, "%zx;a=\"b\"\r\n", n);
		buf_add(&b, large + at, n);
		buf_add_lit(&b, "\r\n");
	}
	buf_add_lit(&b, "000\r\nX-One: 1\r\nx-two:  2 \r\n\r\nGET /next" HOST "\r\n");
	buf_clear(&t.seen);
	t.bytes = 0;
	out = site_exchange(&t, &a, buf_str(&b), NULL);
	assert_true(str_find(out, arena_printf(&a, "\r\n\r\n0 %d X-One=1 x-two=2HTTP/1.1 200", LARGE)) > 0);
	assert_true(str_eq(buf_str(&t.seen), body));
	site_close(&t);
}

static void bad_chunks(void **state)
{
	(void)state;
	static const char *const cases[] = {
	        "x\r\n",
	        "\r\n",
	        "-1\r\n\r\n",
	        "3\nabc\r\n0\r\n\r\n",
	        "3\r\nabcd\r\n0\r\n\r\n",
	        "3\r\nabc\n0\r\n\r\n",
	        "3\r\nabc\r\n0\r\nbad\r\n\r\n",
	        "3\r\nabc\r\n0\r\na: b\n\r\n",
	        "10000000000000003\r\nabc\r\n0\r\n\r\n",
	        "0x3\r\nabc\r\n0\r\n\r\n",
	        " 3\r\nabc\r\n0\r\n\r\n",
	        "3\r\r\nabc\r\n0\r\n\r\n",
	        "3;a\nb\r\nabc\r\n0\r\n\r\n",
	        "3\r\nabc\r\n0\r\n a: b\r\n\r\n",
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct site t;
		struct arena CLEAN_ARENA a = {0};
		site_open(&t, NULL, take_all);
		struct str out = site_exchange(&t, &a,
		                               ARENA_CAT(&a, S("PUT /" HOST "Transfer-Encoding: chunked\r\n\r\n"),
		                                         str_from(cases[i]), S("GET /next" HOST "\r\n")),
		                               NULL);
		if (t.status != -EPROTO || !str_starts(out, S("HTTP/1.1 400 ")) || str_find(out, S("Connection: close")) < 0 ||
		    str_find(out, S("HTTP/1.1 200")) >= 0)
			fail_msg("case %u: status %d, %.*s", i, t.status, STR_ARG(out));
		site_close(&t);
	}
	struct site t;
	struct arena CLEAN_ARENA a = {0};
	site_open(&t, NULL, take_all);
	struct buf CLEAN_BUF b; /* trailers without end */
	buf_init(&b, 1 << 20);
	buf_add_lit(&b, "PUT /" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n");
	for (int i = 0; i < 2000; i++)
		buf_add_lit(&b, "name: value\r\n");
	assert_true(str_starts(site_exchange(&t, &a, buf_str(&b), NULL), S("HTTP/1.1 400 ")));
	site_close(&t);
}

static void gone(void *ctx)
{
	((struct site *)ctx)->gone++;
}

static void hold(void *ctx, struct http_request *r)
{
	((struct site *)ctx)->held = r;
	http_on_gone(r, gone, ctx);
}

/* Sends until the socket is full; bytes taken. */
static size_t client_flood(struct site *t, int fd, size_t most)
{
	size_t sent = 0;
	for (int quiet = 0; quiet < 5 && sent < most;) {
		size_t want = most - sent < LARGE ? most - sent : LARGE;
		ssize_t n = send(fd, large, want, MSG_NOSIGNAL | MSG_DONTWAIT);
		quiet = n > 0 ? 0 : quiet + 1;
		sent += n > 0 ? (size_t)n : 0;
		loop_turn(t->loop, 0);
	}
	return sent;
}

static void piece_count(void *ctx, struct str piece, int status)
{
	struct site *t = ctx;
	t->bytes += piece.n;
	t->status = status;
	t->pieces++;
}

static void not_asking_holds_the_sender(void **state)
{
	(void)state;
	struct site t;
	site_open(&t, NULL, hold);
	int fd = site_connect(&t);
	client_send(fd, S("PUT /" HOST "Content-Length: 100000000\r\n\r\n"));
	size_t sent = client_flood(&t, fd, 100000000);
	assert_true(sent < 2 << 20);
	assert_non_null(t.held);
	int pieces = 0;
	while (t.bytes < 50000000) {
		http_body_next(t.held, piece_count, &t);
		sent += client_flood(&t, fd, 100000000 - sent);
		assert_int_equal(t.pieces, ++pieces); /* one a call */
	}
	assert_true(sent - t.bytes < 2 << 20);
	close(fd);
	site_turn(&t, 3);
	assert_int_equal(t.gone, 1);
	assert_int_equal(http_connections(t.server), 0);
	/* a waiting reader hears of it first */
	fd = site_connect(&t);
	client_send(fd, S("PUT /" HOST "Content-Length: 10\r\n\r\n12345"));
	site_turn(&t, 2);
	http_body_next(t.held, piece_count, &t);
	site_turn(&t, 2);
	http_body_next(t.held, piece_count, &t);
	site_turn(&t, 2);
	assert_true(t.status > 0);
	close(fd);
	site_turn(&t, 2);
	assert_int_equal(t.status, -ECONNRESET);
	assert_int_equal(t.gone, 2);
	site_close(&t);
}

static int tcp_pair(struct site *t)
{
	int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(at);
	assert_int_equal(bind(l, (struct sockaddr *)&at, n), 0);
	assert_int_equal(listen(l, 5), 0);
	getsockname(l, (struct sockaddr *)&at, &n);
	assert_non_null(http_listen(t->server, l, NULL, t));
	assert_int_equal(connect(fd, (struct sockaddr *)&at, n), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	site_turn(t, 2);
	return fd;
}

static void piece_refuse(void *ctx, struct str piece, int status)
{
	struct site *t = ctx;
	t->pieces++;
	assert_true(piece.n && status > 0);
	http_reply(t->held, 403, NULL, 0, S("no more of this"));
}

static void take_one_then_refuse(void *ctx, struct http_request *r)
{
	struct site *t = ctx;
	t->held = r;
	if (str_is(http_head(r)->path, "/at-once"))
		http_reply(r, 403, NULL, 0, S("no more of this"));
	else
		http_body_next(r, piece_refuse, t);
}

static void refusal_in_the_middle_of_five_gib(void **state)
{
	(void)state;
	const char *const paths[] = {"PUT /", "PUT /at-once"};
	for (int i = 0; i < 2; i++) {
		struct site t;
		struct arena CLEAN_ARENA a = {0};
		site_open(&t, NULL, take_one_then_refuse);
		int fd = tcp_pair(&t);
		client_send(fd, arena_printf(&a, "%s" HOST "Content-Length: 5368709120\r\n\r\n", paths[i]));
		/* A client that reads only when it has sent a lot: what it sends must not reset the connection under the reply. */
		size_t sent = client_flood(&t, fd, 40 << 20);
		assert_int_equal(sent, 40 << 20);
		struct buf CLEAN_BUF b;
		buf_init(&b, 65536);
		assert_true(client_read(&t, fd, &b)); /* its end has come too */
		assert_true(str_starts(buf_str(&b), S("HTTP/1.1 403 ")));
		assert_true(str_find(buf_str(&b), S("\r\nConnection: close\r\n")) > 0);
		assert_true(str_ends(buf_str(&b), S("no more of this")));
		assert_int_equal(http_connections(t.server), 1); /* lingering */
		close(fd);
		site_turn(&t, 4);
		assert_int_equal(http_connections(t.server), 0);
		site_close(&t);
	}
}

static void continue_when_asked(void **state)
{
	(void)state;
	struct site t;
	struct buf CLEAN_BUF b;
	buf_init(&b, 65536);
	site_open(&t, NULL, hold);
	int fd = site_connect(&t);
	client_send(fd, S("PUT /" HOST "Content-Length: 3\r\nExpect: 100-Continue\r\n\r\n"));
	client_read(&t, fd, &b);
	assert_int_equal(b.n, 0); /* not before the handler wants it */
	http_body_next(t.held, piece_all, &t);
	client_read(&t, fd, &b);
	assert_str(buf_str(&b), "HTTP/1.1 100 Continue\r\n\r\n");
	client_send(fd, S("abc"));
	buf_clear(&b);
	assert_false(client_read(&t, fd, &b));
	assert_true(str_starts(buf_str(&b), S("HTTP/1.1 200 ")));
	assert_str(buf_str(&t.seen), "abc");
	/* an empty body is invited too: clients are known that mistake the next reply otherwise */
	client_send(fd, S("PUT /" HOST "Content-Length: 0\r\nExpect: 100-continue\r\n\r\n"));
	site_turn(&t, 3);
	http_body_next(t.held, piece_all, &t);
	buf_clear(&b);
	assert_false(client_read(&t, fd, &b));
	assert_true(str_starts(buf_str(&b), S("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")));
	/* refused: no 100, and the connection is over, for nobody knows whether a body will come */
	client_send(fd, S("PUT /" HOST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"));
	site_turn(&t, 3);
	http_reply(t.held, 403, NULL, 0, S("no"));
	buf_clear(&b);
	assert_true(client_read(&t, fd, &b));
	assert_true(str_starts(buf_str(&b), S("HTTP/1.1 403 ")));
	close(fd);
	site_close(&t);
}

static void collected_too_much(void *ctx, struct str body, int status)
{
	struct site *t = ctx;
	t->status = status;
	http_reply(t->held, status == -EMSGSIZE ? 413 : 200, NULL, 0, body);
}

static void collect_ten(void *ctx, struct http_request *r)
{
	struct site *t = ctx;
	t->held = r;
	http_body_collect(r, 10, collected_too_much, t);
}

static void collect_has_a_limit(void **state)
{
	(void)state;
	struct site t;
	struct arena CLEAN_ARENA a = {0};
	site_open(&t, NULL, collect_ten);
	assert_true(str_ends(site_exchange(&t, &a, S("PUT /" HOST "Content-Length: 10\r\n\r\n0123456789"), NULL),
	                     S("\r\n\r\n0123456789")));
	bool closed;
	struct str out = site_exchange(&t, &a, S("PUT /" HOST "Content-Length: 11\r\nExpect: 100-continue\r\n\r\n"), &closed);
	assert_true(str_starts(out, S("HTTP/1.1 413 ")) && closed);
	out = site_exchange(&t, &a, S("PUT /" HOST "Transfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n5\r\n01234\r\n0\r\n\r\n"),
	                    NULL);
	assert_true(str_starts(out, S("HTTP/1.1 413 ")));
	assert_true(str_ends(
	        site_exchange(&t, &a, S("PUT /" HOST "Transfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n4\r\n0123\r\n0\r\n\r\n"),
	                      NULL),
	        S("\r\n\r\n0123450123")));
	site_close(&t);
}

/* --- out */

static void drained(void *ctx)
{
	((struct site *)ctx)->drained++;
}

static void write_all(void *ctx)
{
	struct site *t = ctx;
	while (t->bytes < LARGE) {
		size_t n = t->bytes % 50000 + 1;
		if (n > LARGE - t->bytes)
			n = LARGE - t->bytes;
		struct str piece = str_of(large + t->bytes, n);
		t->bytes += n;
		if (!http_reply_write(t->held, piece)) {
			t->drained++;
			return;
		}
	}
	http_reply_end(t->held, (const struct http_header[]){{S("x-sum"), S("12\r\nx")}}, 1);
}

static void reply_by_path(void *ctx, struct http_request *r)
{
	struct site *t = ctx;
	struct str path = http_head(r)->path;
	t->held = r;
	t->bytes = 0;
	http_on_gone(r, gone, t);
	if (str_is(path, "/stream")) {
		http_reply_start(r, 200, NULL, 0, -1, write_all, t);
		write_all(t);
	} else if (str_is(path, "/counted")) {
		http_reply_start(r, 200, NULL, 0, LARGE, write_all, t);
		write_all(t);
	} else if (str_is(path, "/short")) {
		http_reply_start(r, 200, NULL, 0, 10, NULL, NULL);
		http_reply_write(r, S("123456789"));
		http_reply_end(r, NULL, 0);
	} else if (str_is(path, "/long")) {
		http_reply_start(r, 200, NULL, 0, 3, NULL, NULL);
		http_reply_write(r, S("123456789"));
		http_reply_end(r, NULL, 0);
	} else if (str_is(path, "/abort")) {
		http_reply_start(r, 200, NULL, 0, -1, NULL, NULL);
		http_reply_write(r, S("part"));
		http_reply_abort(r);
	} else if (str_is(path, "/file")) {
		int fd = memfd_create("file", MFD_CLOEXEC);
		assert_int_equal(write(fd, large, LARGE), LARGE);
		http_reply_file(r, 206, NULL, 0, fd, 1000, LARGE - 1000);
	} else if (str_is(path, "/torn")) {
		int fd = memfd_create("file", MFD_CLOEXEC);
		assert_int_equal(write(fd, large, 1000), 1000);
		http_reply_file(r, 200, NULL, 0, fd, 0, 2000);
	} else if (str_is(path, "/arena")) {
		http_reply(r, 200, NULL, 0, arena_dup(http_arena(r), str_of(large, LARGE)));
	} else if (str_is(path, "/static")) {
		http_reply(r, 200, NULL, 0, str_of(large, LARGE));
	} else if (str_is(path, "/headers")) {
		http_reply(r, 200,
		           (const struct http_header[]){{S("X-Echo"), S("a\r\nEvil: b\0c")},
		                                        {S("bad name"), S("x")},
		                                        {S("Content-Length"), S("99")},
		                                        {S("connection"), S("x")},
		                                        {S("date"), S("x")},
		                                        {S("absent"), STR_NONE},
		                                        {S("empty"), S("")}},
		           7, S("body"));
	} else {
		http_reply(r, str_is(path, "/204") ? 204 : str_is(path, "/304") ? 304 : 200, NULL, 0, S("body"));
	}
}

static void large_replies(void **state)
{
	(void)state;
	struct site t;
	struct arena CLEAN_ARENA a = {0};
	site_open(&t, NULL, reply_by_path);
	struct str body = str_of(large, LARGE);
	const char *const paths[] = {"/arena", "/static", "/counted", "/file"};
	for (int i = 0; i < 4; i++) {
		bool closed;
		size_t cut = i == 3 ? 1000 : 0;
		struct str out = site_exchange(&t, &a, arena_printf(&a, "GET %s" HOST "\r\n", paths[i]), &closed);
		assert_false(closed);
		assert_true(str_find(str_sub(out, 0, 200), arena_printf(&a, "Content-Length: %zu\r\n\r\n", LARGE - cut)) > 0);
		assert_true(str_ends(out, str_from_at(body, cut)));
		/* HEAD: the same head and no body */
		struct str head = site_exchange(&t, &a, arena_printf(&a, "HEAD %s" HOST "\r\n", paths[i]), &closed);
		assert_true(str_eq(head, str_sub(out, 0, out.n - LARGE + cut)));
		assert_false(closed);
	}
	assert_int_equal(t.gone, 0);
	site_close(&t);
}

static void chunked_replies(void **state)
{
	(void)state;
	struct site t;
	struct arena CLEAN_ARENA a = {0};
	site_open(&t, NULL, reply_by_path);
	bool closed;
	struct str out = site_exchange(&t, &a, S("GET /stream" HOST "\r\n"), &closed);
	assert_false(closed);
	struct str head = S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	assert_true(str_starts(out, head));
	assert_true(t.drained > 0); /* it was told to wait at least once */
	size_t at = head.n, sum = 0;
	for (;;) {
		size_t n = strtoul(out.p + at, NULL, 16);
		at = at + (size_t)str_find_char(str_from_at(out, at), '\n') + 1;
		if (n == 0)
			break;
		assert_memory_equal(out.p + at, large + sum, n);
		assert_memory_equal(out.p + at + n, "\r\n", 2);
		at += n + 2;
		sum += n;
	}
	assert_int_equal(sum, LARGE);
	assert_str(str_from_at(out, at), "x-sum: 12  x\r\n\r\n");
	/* HTTP/1.0 knows no chunks: the end of the connection is the end */
	out = site_exchange(&t, &a, S("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), &closed);
	assert_true(closed);
	head = S("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
	assert_true(str_starts(out, head));
	assert_true(str_eq(str_from_at(out, head.n), str_of(large, LARGE)));
	out = site_exchange(&t, &a, S("HEAD /stream" HOST "\r\n"), &closed);
	assert_str(out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	assert_false(closed);
	site_close(&t);
}

static void replies_cut_and_mended(void **state)
{
	(void)state;
	struct site t;
	struct arena CLEAN_ARENA a = {0};
	site_open(&t, NULL, reply_by_path);
	bool closed;
	struct str out = site_exchange(&t, &a, S("GET /short" HOST "\r\nGET /x" HOST "\r\n"), &closed);
	assert_true(closed && str_find(out, S("body")) < 0);
	out = site_exchange(&t, &a, S("GET /long" HOST "\r\nGET /x" HOST "\r\n"), &closed);
	assert_false(closed);
	assert_str(out, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n123HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody");
	out = site_exchange(&t, &a, S("GET /abort" HOST "\r\nGET /x" HOST "\r\n"), &closed);
	assert_true(closed && !str_ends(out, S("0\r\n\r\n")) && str_find(out, S("body")) < 0);
	out = site_exchange(&t, &a, S("GET /torn" HOST "\r\nGET /x" HOST "\r\n"), &closed);
	assert_true(closed && str_find(out, S("body")) < 0);
	assert_str(site_exchange(&t, &a, S("GET /204" HOST "\r\nGET /304" HOST "\r\nHEAD /" HOST "\r\nGET /headers" HOST "\r\n"),
	                         &closed),
	           "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
	           "HTTP/1.1 200 OK\r\nX-Echo: a  Evil: b c\r\nempty: \r\nContent-Length: 4\r\n\r\nbody");
	assert_false(closed);
	/* an unread body that is already here is skipped; one that is not ends the connection */
	out = site_exchange(&t, &a, S("POST /" HOST "Content-Length: 4\r\n\r\nGET GET /" HOST "\r\n"), &closed);
	assert_str(out, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbodyHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody");
	out = site_exchange(&t, &a, S("POST /" HOST "Content-Length: 5\r\n\r\nGET "), &closed);
	assert_true(closed);
	assert_str(out, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody");
	assert_int_equal(t.gone, 0);
	site_close(&t);
}

static void piece_echo(void *ctx, struct str piece, int status)
{
	struct site *t = ctx;
	http_reply_write(t->held, piece);
	if (status > 0)
		http_body_next(t->held, piece_echo, t);
	else
		http_reply_end(t->held, NULL, 0);
}

static void echo_while_reading(void *ctx, struct http_request *r)
{
	struct site *t = ctx;
	t->held = r;
	http_reply_start(r, 200, NULL, 0, -1, drained, t);
	http_body_next(r, piece_echo, t);
}

/* --- order of replies */

static int asker; /* the client whose reply comes after the other's */

static void hold_or_release(void *ctx, struct http_request *r)
{
	struct site *t = ctx;
	char byte;
	if (!t->held) {
		t->held = r;
		return;
	}
	http_reply_after(r, 202, NULL, 0, S("released"));
	t->status = (int)recv(asker, &byte, 1, MSG_DONTWAIT);
	http_reply(t->held, 200, NULL, 0, S("at last"));
}

static void a_reply_after_the_others(void **state)
{
	(void)state;
	struct site t;
	struct buf CLEAN_BUF b;
	buf_init(&b, 4096);
	site_open(&t, NULL, hold_or_release);
	int waiter = site_connect(&t);
	asker = site_connect(&t);
	client_send(waiter, S("GET /wait" HOST "\r\n"));
	site_turn(&t, 2);
	client_send(asker, S("GET /release" HOST "\r\n"));
	client_read(&t, waiter, &b);
	assert_int_equal(t.status, -1);
	assert_true(str_ends(buf_str(&b), S("\r\n\r\nat last")));
	buf_clear(&b);
	client_read(&t, asker, &b);
	struct str out = buf_str(&b);
	assert_true(str_starts(out, S("HTTP/1.1 202 ")));
	assert_true(str_ends(out, S("\r\n\r\nreleased")));
	close(waiter);
	close(asker);
	site_turn(&t, 3);
	site_close(&t);
}

static void release_then_hold(void *ctx, struct http_request *r)
{
	struct site *t = ctx;
	if (str_is(http_head(r)->path, "/release"))
		http_reply_after(r, 202, NULL, 0, S("released"));
	else
		t->held = r;
}

/* Only TCP holds back what is to be sent with more. */
static int connect_by_tcp(struct site *t)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof(a);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &n), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_true(http_serve(t->listener, accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)));
	close(listener);
	return fd;
}

/* Who has asked for the next thing already is woken once for both replies; but he does not wait for ever. */
static void a_reply_that_waits_for_the_next(void **state)
{
	(void)state;
	struct site t;
	char bytes[1024];
	site_open(&t, NULL, release_then_hold);
	int fd = connect_by_tcp(&t);
	client_send(fd, S("GET /release" HOST "\r\nGET /hold" HOST "\r\n"));
	site_turn(&t, 3);
	assert_non_null(t.held);
	assert_int_equal(recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT), -1);
	http_reply(t.held, 200, NULL, 0, S("at last"));
	ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
	assert_true(n > 0 && str_ends(str_of(bytes, (size_t)n), S("\r\n\r\nat last")));
	assert_true(str_starts(str_of(bytes, (size_t)n), S("HTTP/1.1 202 ")));

	t.held = NULL;
	client_send(fd, S("GET /release" HOST "\r\nGET /hold" HOST "\r\n"));
	site_turn(&t, 5);
	n = recv(fd, bytes, sizeof(bytes), 0);
	assert_true(n > 0 && str_ends(str_of(bytes, (size_t)n), S("\r\n\r\nreleased")));
	close(fd);
	site_turn(&t, 3);
	site_close(&t);
}

static void both_ways_at_once(void **state)
{
	(void)state;
	struct site t;
	struct buf CLEAN_BUF b;
	buf_init(&b, 65536);
	site_open(&t, NULL, echo_while_reading);
	int fd = site_connect(&t);
	client_send(fd, S("POST /" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"));
	client_read(&t, fd, &b);
	assert_true(str_ends(buf_str(&b), S("\r\n\r\n3\r\nabc\r\n")));
	client_send(fd, S("2\r\nde\r\n0\r\n\r\n"));
	assert_false(client_read(&t, fd, &b));
	assert_true(str_ends(buf_str(&b), S("\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")));
	close(fd);
	site_close(&t);
}

int main(void)
{
	for (size_t i = 0; i < LARGE; i++)
		large[i] = (char)(i * 2654435761u >> 13);
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(pieces_of_large_bodies),
	        cmocka_unit_test(bad_chunks),
	        cmocka_unit_test(not_asking_holds_the_sender),
	        cmocka_unit_test(refusal_in_the_middle_of_five_gib),
	        cmocka_unit_test(continue_when_asked),
	        cmocka_unit_test(collect_has_a_limit),
	        cmocka_unit_test(large_replies),
	        cmocka_unit_test(chunked_replies),
	        cmocka_unit_test(replies_cut_and_mended),
	        cmocka_unit_test(a_reply_after_the_others),
	        cmocka_unit_test(a_reply_that_waits_for_the_next),
	        cmocka_unit_test(both_ways_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

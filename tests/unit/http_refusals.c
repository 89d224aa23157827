#include "http_test.h"

static void answer(void *ctx, struct http_request *r)
{
	struct site *t = ctx;
	t->pieces++;
	const struct http_head *h = http_head(r);
	struct arena *a = http_arena(r);
	struct str joined = http_header_joined(r, S("x-list"));
	http_reply(r, 200, NULL, 0,
	           arena_printf(a, "%.*s|%.*s|%s|%.*s|%.*s", STR_ARG(h->host), STR_ARG(h->path), str_set(h->query) ? "?" : "",
	                        STR_ARG(h->query), STR_ARG(joined)));
}

#define GET "GET / HTTP/1.1\r\nHost: x\r\n"
#define POST "POST / HTTP/1.1\r\nHost: x\r\n"

/* What never becomes a request: the status, and nothing else on that connection. */
static void refused_heads(void **state)
{
	(void)state;
	static const struct {
		struct str in;
		const char *status;
	} cases[] = {
	        /* two readers could disagree about the end of these */
	        {S_INIT(POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "400"},
	        {S_INIT(POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"), "400"},
	        {S_INIT(POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"), "400"},
	        {S_INIT(POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"), "400"},
	        {S_INIT(POST "Content-Length: 3, 3\r\n\r\nabc"), "400"},
	        {S_INIT(POST "Content-Length: +3\r\n\r\nabc"), "400"},
	        {S_INIT(POST "Content-Length: -3\r\n\r\nabc"), "400"},
	        {S_INIT(POST "Content-Length: 0x3\r\n\r\nabc"), "400"},
	        {S_INIT(POST "Content-Length: \r\n\r\nabc"), "400"},
	        {S_INIT(POST "Content-Length: 99999999999999999999\r\n\r\nabc"), "400"},
	        {S_INIT(POST "Content-Length : 3\r\n\r\nabc"), "400"},
	        {S_INIT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "400"},
	        {S_INIT(POST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"), "501"},
	        {S_INIT(POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), "501"},
	        {S_INIT(POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), "501"},
	        {S_INIT(POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"), "501"},
	        {S_INIT(POST "Transfer-Encoding:\vchunked\r\n\r\n0\r\n\r\n"), "400"},
	        {S_INIT("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "400"},
	        {S_INIT(POST "Content-Length: 3\n\r\nabc"), "400"}, /* bare LF and a body */
	        {S_INIT(GET "A: b\r\n c\r\n\r\n"), "400"},          /* folded */
	        {S_INIT("GET / HTTP/1.1\r\n Host: x\r\n\r\n"), "400"},
	        {S_INIT(GET "A: b\rC: d\r\n\r\n"), "400"}, /* bare CR */
	        {S_INIT(GET "A: b\0c\r\n\r\n"), "400"},    /* NUL */
	        {S_INIT(GET "A\0: b\r\n\r\n"), "400"},
	        {S_INIT("GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	        {S_INIT(GET ": b\r\n\r\n"), "400"},
	        {S_INIT(GET "no colon\r\n\r\n"), "400"},
	        {S_INIT(GET "na me: b\r\n\r\n"), "400"},
	        /* hosts */
	        {S_INIT("GET / HTTP/1.1\r\n\r\n"), "400"},
	        {S_INIT(GET "Host: y\r\n\r\n"), "400"},
	        {S_INIT("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), "400"},
	        {S_INIT("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), "400"},
	        /* request lines */
	        {S_INIT("GET\r\n\r\n"), "400"},
	        {S_INIT("GET /\r\n\r\n"), "400"},
	        {S_INIT("GET / HTTP/1.1 x\r\nHost: x\r\n\r\n"), "400"},
	        {S_INIT("GET / a HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	        {S_INIT("G(T / HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	        {S_INIT("GET x HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	        {S_INIT("GET * HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	        {S_INIT("GET /#a HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	        {S_INIT("GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	        {S_INIT("GET http://u@h/a HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	        {S_INIT("GET ftp://h/a HTTP/1.1\r\nHost: x\r\n\r\n"), "400"},
	        {S_INIT("GET / http/1.1\r\nHost: x\r\n\r\n"), "400"},
	        {S_INIT("GET / HTTP/1.\r\nHost: x\r\n\r\n"), "400"},
	        {S_INIT("GET / HTTP/1.10\r\nHost: x\r\n\r\n"), "400"},
	        {S_INIT("GET / HTTP/2.0\r\nHost: x\r\n\r\n"), "505"},
	        {S_INIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "505"},
	        {S_INIT("GET / HTTP/0.9\r\nHost: x\r\n\r\n"), "505"},
	        {S_INIT("CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n"), "501"},
	        {S_INIT(POST "Content-Length: 3\r\nExpect: miracles\r\n\r\nabc"), "417"},
	        {S_INIT("\x16\x03\x01\x02\x00\x01\r\n\r\n"), "400"}, /* TLS to a plain door */
	};
	struct site t;
	struct arena CLEAN_ARENA a = {0};
	site_open(&t, NULL, answer);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool closed;
		struct str out = site_exchange(&t, &a, cases[i].in, &closed);
		if (!str_starts(out, arena_printf(&a, "HTTP/1.1 %s ", cases[i].status)) ||
		    str_find(out, S("\r\nConnection: close\r\n")) < 0)
			fail_msg("case %u: %.*s -> %.*s", i, STR_ARG(cases[i].in), STR_ARG(out));
		assert_int_equal(t.pieces, 0);
		assert_int_equal(str_find(out, S("\nHTTP/1.1 ")), -1); /* one reply only */
		(void)closed;
		assert_int_equal(http_connections(t.server), 0);
	}
	site_close(&t);
}

static void accepted_heads(void **state)
{
	(void)state;
	static const struct {
		struct str in;
		const char *body;
	} cases[] = {
	        {S_INIT("GET /a%20b/../c//d?e=%2F&f HTTP/1.1\r\nHost: x\r\n\r\n"), "x|/a%20b/../c//d|?|e=%2F&f|"},
	        {S_INIT("GET /? HTTP/1.1\r\nHost: x:4566\r\n\r\n"), "x:4566|/|?||"},
	        {S_INIT("GET http://real.host:80/p?q HTTP/1.1\r\nHost: x\r\n\r\n"), "real.host:80|/p|?|q|"},
	        {S_INIT("GET HTTPS://real.host HTTP/1.1\r\nHost: x\r\n\r\n"), "real.host|/|||"},
	        {S_INIT("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"), "x|*|||"},
	        {S_INIT("GET / HTTP/1.1\nHost: x\n\n"), "x|/|||"}, /* by hand */
	        {S_INIT("\r\n\r\nGET / HTTP/1.1\r\nHost:x\t \r\n\r\n"), "x|/|||"},
	        {S_INIT("GET / HTTP/1.1\r\nHost: [::1]:80\r\nX-List: a\r\nx-list:b , c\r\n\r\n"), "[::1]:80|/|||a, b , c"},
	        {S_INIT("GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\nX-LIST: \xc3\xa9\r\n\r\n"), "x|/\xc3\xa9|||\xc3\xa9"},
	        {S_INIT("GET / HTTP/1.7\r\nHost: x\r\n\r\n"), "x|/|||"},
	        {S_INIT(POST "Content-Length: 0\r\n\r\n"), "x|/|||"},
	};
	struct site t;
	struct arena CLEAN_ARENA a = {0};
	site_open(&t, NULL, answer);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool closed;
		struct str out = site_exchange(&t, &a, cases[i].in, &closed);
		ptrdiff_t at = str_find(out, S("\r\n\r\n"));
		if (!str_starts(out, S("HTTP/1.1 200 ")) || at < 0 || closed)
			fail_msg("case %u: %.*s", i, STR_ARG(out));
		assert_str(str_from_at(out, (size_t)at + 4), cases[i].body);
	}
	site_close(&t);
}

static void keep_alive_by_version(void **state)
{
	(void)state;
	static const struct {
		struct str in;
		const char *connection;
		bool closed;
	} cases[] = {
	        {S_INIT("GET / HTTP/1.0\r\n\r\n"), "close", true},
	        {S_INIT("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), "keep-alive", false},
	        {S_INIT(GET "Connection: close\r\n\r\n"), "close", true},
	        {S_INIT(GET "Connection: te, Close\r\n\r\n"), "close", true},
	        {S_INIT(GET "Connection: te\r\nConnection: close\r\n\r\n"), "close", true},
	        {S_INIT(GET "\r\n"), NULL, false},
	};
	struct site t;
	struct arena CLEAN_ARENA a = {0};
	site_open(&t, NULL, answer);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool closed;
		struct str out = site_exchange(&t, &a, cases[i].in, &closed);
		assert_int_equal(closed, cases[i].closed);
		if (cases[i].connection)
			assert_true(str_find(out, arena_printf(&a, "\r\nConnection: %s\r\n", cases[i].connection)) > 0);
		else
			assert_true(str_find(out, S("Connection")) < 0);
	}
	site_close(&t);
}

static void limits_of_heads(void **state)
{
	(void)state;
	struct site t;
	struct arena CLEAN_ARENA a = {0};
	site_open(&t, &(struct http_limits){.head_bytes = 4096, .headers = 5}, answer);
	char filler[5000];
	memset(filler, 'f', sizeof(filler));
	struct str lot = str_of(filler, sizeof(filler)), some = str_of(filler, 3900);
	assert_true(str_starts(site_exchange(&t, &a, ARENA_CAT(&a, S("GET /"), lot, S(" HTTP/1.1\r\nHost: x\r\n\r\n")), NULL),
	                       S("HTTP/1.1 414 ")));
	assert_true(str_starts(site_exchange(&t, &a, ARENA_CAT(&a, S(GET "A: "), lot, S("\r\n\r\n")), NULL), S("HTTP/1.1 431 ")));
	assert_true(str_starts(site_exchange(&t, &a, ARENA_CAT(&a, S(GET "A: "), some, S("\r\n\r\n")), NULL), S("HTTP/1.1 200 ")));
	assert_true(str_starts(site_exchange(&t, &a, S(GET "A:\r\nB:\r\nC:\r\nD:\r\n\r\n"), NULL), S("HTTP/1.1 200 ")));
	assert_true(str_starts(site_exchange(&t, &a, S(GET "A:\r\nB:\r\nC:\r\nD:\r\nE:\r\n\r\n"), NULL), S("HTTP/1.1 431 ")));
	site_close(&t);
	/* The default takes a head of nearly 64 KiB that comes in small parts, and more headers than are room for at first. */
	site_open(&t, NULL, answer);
	struct str big = S(GET);
	for (int i = 0; i < 150; i++)
		big = ARENA_CAT(&a, big, S("Name: "), str_of(filler, 400), S("\r\n"));
	big = ARENA_CAT(&a, big, S("X-List: last\r\n\r\n"));
	struct str out = site_exchange(&t, &a, big, NULL);
	assert_true(str_ends(out, S("|last")));
	int fd = site_connect(&t);
	for (size_t at = 0; at < big.n; at += 700) {
		client_send(fd, str_sub(big, at, 700));
		site_turn(&t, 1);
	}
	struct buf CLEAN_BUF b;
	buf_init(&b, 4096);
	client_read(&t, fd, &b);
	assert_true(str_ends(buf_str(&b), S("|last")));
	close(fd);
	site_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(refused_heads),
	        cmocka_unit_test(accepted_heads),
	        cmocka_unit_test(keep_alive_by_version),
	        cmocka_unit_test(limits_of_heads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "http_test.h"

static void collected(void *ctx, struct str body, int status)
{
	struct http_request *r = ctx;
	struct arena *a = http_arena(r);
	if (status < 0)
		http_reply(r, 400, NULL, 0, arena_printf(a, "error %d", -status));
	else
		http_reply(r, 200, NULL, 0,
		           arena_printf(a, "%.*s %.*s [%.*s]", STR_ARG(http_head(r)->method), STR_ARG(http_head(r)->target),
		                        STR_ARG(body)));
}

static void echo(void *ctx, struct http_request *r)
{
	(void)ctx;
	http_body_collect(r, 1000, collected, r);
}

#define OK(text, n) "HTTP/1.1 200 OK\r\nContent-Length: " n "\r\n\r\n" text

static void one_request(void **state)
{
	(void)state;
	struct site t;
	struct arena CLEAN_ARENA a = {0};
	site_open(&t, NULL, echo);
	bool closed;
	assert_str(site_exchange(&t, &a, S("GET /a%2Fb?c=d HTTP/1.1\r\nHost: x\r\n\r\n"), &closed), OK("GET /a%2Fb?c=d []", "17"));
	assert_false(closed);
	assert_str(site_exchange(&t, &a, S("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"), &closed),
	           OK("POST / [abc]", "12"));
	assert_false(closed);
	assert_str(site_exchange(
	                   &t, &a,
	                   S("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n"),
	                   &closed),
	           OK("POST / [abc]", "12"));
	assert_false(closed);
	assert_int_equal(http_connections(t.server), 0);
	site_close(&t);
}

static void pipelined_requests_in_order(void **state)
{
	(void)state;
	struct site t;
	struct arena CLEAN_ARENA a = {0};
	site_open(&t, NULL, echo);
	assert_str(
	        site_exchange(
	                &t, &a,
	                S("POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n"
	                  "POST /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nz\r\n0\r\n\r\nGET /4 HTTP/1.1\r\nHost: x\r\n\r\n"),
	                NULL),
	        OK("POST /1 [hi]", "12") OK("GET /2 []", "9") OK("POST /3 [z]", "11") OK("GET /4 []", "9"));
	site_close(&t);
}

static const struct str sample = S_INIT(
        "POST /p?q HTTP/1.1\r\nHost: x\r\nX-Y:  z \r\nTransfer-Encoding: chunked\r\n\r\n3;e\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n"
        "GET /next HTTP/1.1\r\nHost: x\r\n\r\n");

static void byte_by_byte(void **state)
{
	(void)state;
	struct site t;
	site_open(&t, NULL, echo);
	struct buf CLEAN_BUF out;
	buf_init(&out, 4096);
	int fd = site_connect(&t);
	for (size_t i = 0; i < sample.n; i++) {
		client_send(fd, str_sub(sample, i, 1));
		site_turn(&t, 2);
	}
	client_read(&t, fd, &out);
	assert_true(str_find(buf_str(&out), S("POST /p?q [abcde]")) > 0);
	assert_true(str_find(buf_str(&out), S("GET /next []")) > 0);
	close(fd);
	site_close(&t);
}

static void truncation_at_every_offset(void **state)
{
	(void)state;
	struct site t;
	site_open(&t, NULL, echo);
	for (size_t cut = 0; cut < sample.n; cut++) {
		int fd = site_connect(&t);
		client_send(fd, str_sub(sample, 0, cut));
		site_turn(&t, 2);
		assert_int_equal(http_connections(t.server), 1);
		close(fd);
		site_turn(&t, 3);
		assert_int_equal(http_connections(t.server), 0);
	}
	site_close(&t);
}

static char value[24];
static size_t value_n;

static void answer_value(void *ctx, struct http_request *r)
{
	(void)ctx;
	const struct http_header header = {S("X"), str_of(value, value_n)};
	http_reply(r, 200, &header, 1, S(""));
}

/* Whatever a value holds, wherever it stands in it: it ends no line. */
static void values_end_no_line(void **state)
{
	(void)state;
	struct site t;
	site_open(&t, NULL, answer_value);
	for (int byte = 0; byte < 256; byte++)
		for (value_n = 1; value_n <= 18; value_n++) {
			struct arena CLEAN_ARENA a = {0};
			size_t at = (size_t)byte % value_n;
			bool control = (byte < ' ' && byte != '\t') || byte == 127;
			char want[100] = "HTTP/1.1 200 OK\r\nX: ";
			size_t n = strlen(want);
			for (size_t i = 0; i < value_n; i++) {
				value[i] = i == at ? (char)byte : i % 2 ? '~' : ' ';
				want[n++] = i == at && control ? ' ' : value[i];
			}
			struct str got = site_exchange(&t, &a, S("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), NULL);
			assert_str(got, ARENA_CAT(&a, str_of(want, n), S("\r\nContent-Length: 0\r\n\r\n"), str_of("", 1)).p);
		}
	site_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(one_request),        cmocka_unit_test(pipelined_requests_in_order),
	        cmocka_unit_test(byte_by_byte),       cmocka_unit_test(truncation_at_every_offset),
	        cmocka_unit_test(values_end_no_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* WebSockets: the opening handshake, what frames make what messages, what is refused, and a link over a pair of sockets. */
#include "unit.h"

#include "http/websocket_link.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void accept_is_the_standards_example(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	assert_str(ws_accept(&a, S("dGhlIHNhbXBsZSBub25jZQ==")), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	assert_false(str_set(ws_accept(&a, S("dGhlIHNhbXBsZSBub25j"))));
	assert_false(str_set(ws_accept(&a, S("not base64"))));
	assert_false(str_set(ws_accept(&a, S(""))));
}

/* A client's frame: masked. */
static void add(struct buf *b, unsigned first, const char *payload, size_t n)
{
	static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
	buf_add_char(b, (char)first);
	if (n < 126) {
		buf_add_char(b, (char)(0x80 | n));
	} else if (n < 65536) {
		buf_add_char(b, (char)(0x80 | 126));
		buf_add(b, (const unsigned char[]){(unsigned char)(n >> 8), (unsigned char)n}, 2);
	} else {
		buf_add_char(b, (char)(0x80 | 127));
		for (int shift = 56; shift >= 0; shift -= 8)
			buf_add_char(b, (char)((uint64_t)n >> shift));
	}
	buf_add(b, mask, 4);
	for (size_t i = 0; i < n; i++)
		buf_add_char(b, (char)(payload[i] ^ (char)mask[i & 3]));
}

/* Feeds bytes in pieces of `step`; what comes out, spelled "kind:bytes " one after another, or the code that ends it. */
static void read_all(struct str in, size_t step, size_t max, struct buf *out)
{
	struct ws_reader r;
	ws_reader_init(&r, max);
	buf_clear(out);
	while (in.n) {
		struct str piece = str_sub(in, 0, step);
		in = str_from_at(in, piece.n);
		for (;;) {
			struct ws_message m;
			int n = ws_read(&r, &piece, &m);
			if (n < 0) {
				buf_printf(out, "%d", -n);
				ws_reader_done(&r);
				return;
			}
			if (n == 0)
				break;
			buf_printf(out, "%d:%.*s ", (int)m.kind, STR_ARG(m.bytes));
		}
		assert_int_equal(piece.n, 0);
	}
	ws_reader_done(&r);
}

static void frames_make_messages(void **state)
{
	(void)state;
	struct buf CLEAN_BUF b, CLEAN_BUF out;
	buf_init(&b, 1 << 20);
	buf_init(&out, 1 << 20);
	add(&b, 0x81, "Hello", 5);
	add(&b, 0x01, "Hel", 3);
	add(&b, 0x89, "ping", 4); /* between fragments */
	add(&b, 0x00, "", 0);
	add(&b, 0x80, "lo", 2);
	add(&b, 0x82, "", 0);
	add(&b, 0x8a, "", 0);
	add(&b, 0x88,
	    "\x03\xe8"
	    "bye",
	    5);
	for (size_t step = 1; step < 40; step++) {
		read_all(buf_str(&b), step, 100, &out);
		assert_str(buf_str(&out), "1:Hello 9:ping 1:Hello 2: 10: 8:\x03\xe8"
		                          "bye ");
	}
	char *large = malloc(70000);
	memset(large, 'x', 70000);
	buf_clear(&b);
	add(&b, 0x82, large, 70000);
	read_all(buf_str(&b), 1000, 70000, &out);
	assert_int_equal(out.n, 70003);
	read_all(buf_str(&b), 1000, 69999, &out);
	assert_str(buf_str(&out), "1009");
	/* the limit is that of all fragments together */
	buf_clear(&b);
	add(&b, 0x02, large, 60);
	add(&b, 0x80, large, 41);
	read_all(buf_str(&b), 7, 100, &out);
	assert_str(buf_str(&out), "1009");
	free(large);
}

static void wrong_frames_are_refused(void **state)
{
	(void)state;
	struct buf CLEAN_BUF b, CLEAN_BUF out;
	static const struct {
		const char *bytes;
		size_t n;
		const char *code;
	} cases[] = {
	        {"\x81\x05Hello", 7, "1002"},                         /* without a mask */
	        {"\xc1\x80\0\0\0\0", 6, "1002"},                      /* a reserved bit */
	        {"\x83\x80\0\0\0\0", 6, "1002"},                      /* an unknown kind */
	        {"\x8b\x80\0\0\0\0", 6, "1002"},                      /* an unknown control */
	        {"\x80\x80\0\0\0\0", 6, "1002"},                      /* nothing to go on with */
	        {"\x01\x80\0\0\0\0\x81\x80\0\0\0\0", 12, "1002"},     /* a message within another */
	        {"\x09\x80\0\0\0\0", 6, "1002"},                      /* a control in fragments */
	        {"\x89\xfe\0\x7e\0\0\0\0", 8, "1002"},                /* a large control */
	        {"\x82\xfe\0\x7d\0\0\0\0", 8, "1002"},                /* a length that is too long */
	        {"\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0", 14, "1002"}, /* another */
	        {"\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0", 14, "1002"},   /* a negative one */
	        {"\x82\xff\x7f\0\0\0\0\0\0\0\0\0\0\0", 14, "1009"},   /* all the world */
	        {"\x88\x81\0\0\0\0\x03", 7, "1002"},                  /* half a code */
	        {"\x88\x82\0\0\0\0\x03\xed", 8, "1002"},              /* 1005 is not for sending */
	        {"\x88\x83\0\0\0\0\x03\xe8\xff", 9, "1002"},          /* a reason that is no text */
	        {"\x81\x82\0\0\0\0\xc3\x28", 8, "1007"},              /* a text that is none */
	};
	buf_init(&b, 1024);
	buf_init(&out, 1024);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		read_all(str_of(cases[i].bytes, cases[i].n), 1, 1000, &out);
		assert_str(buf_str(&out), cases[i].code);
		read_all(str_of(cases[i].bytes, cases[i].n), 100, 1000, &out);
		assert_str(buf_str(&out), cases[i].code);
	}
	/* a text's character may be cut by a fragment */
	add(&b, 0x01, "\xc3", 1);
	add(&b, 0x80, "\xa4", 1);
	read_all(buf_str(&b), 3, 100, &out);
	assert_str(buf_str(&out), "1:\xc3\xa4 ");
}

static void heads_are_the_shortest(void **state)
{
	(void)state;
	unsigned char head[WS_HEAD_MAX];
	assert_int_equal(ws_head(head, WS_BINARY, 125), 2);
	assert_memory_equal(head, "\x82\x7d", 2);
	assert_int_equal(ws_head(head, WS_TEXT, 126), 4);
	assert_memory_equal(head, "\x81\x7e\x00\x7e", 4);
	assert_int_equal(ws_head(head, WS_CLOSE, 65536), 10);
	assert_memory_equal(head, "\x88\x7f\0\0\0\0\0\x01\0\0", 10);
}

struct heard {
	struct ws_link *link;
	unsigned messages, drained, closed, code;
	bool close_at_message;
	struct buf bytes;
};

static void on_message(void *ctx, bool binary, struct str bytes)
{
	struct heard *h = ctx;
	assert_true(binary);
	h->messages++;
	buf_add_str(&h->bytes, bytes);
	if (h->close_at_message)
		ws_link_close(h->link, WS_POLICY, S("no"));
}

static void on_drained(void *ctx)
{
	((struct heard *)ctx)->drained++;
}

static void on_closed(void *ctx, unsigned code)
{
	struct heard *h = ctx;
	h->closed++;
	h->code = code;
}

static const struct ws_link_events events = {.message = on_message, .drained = on_drained, .closed = on_closed};

static int link_open(struct loop *l, struct heard *h, struct str early)
{
	int pair[2];
	memset(h, 0, sizeof(*h));
	buf_init(&h->bytes, 1 << 20);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	h->link = ws_link_new(l, pair[0], early, 1000, &events, h);
	assert_non_null(h->link);
	return pair[1];
}

static void turn(struct loop *l)
{
	for (int i = 0; i < 8; i++)
		loop_turn(l, 1000);
}

static void links(void **state)
{
	(void)state;
	struct loop *l = loop_new();
	struct heard h;
	struct buf CLEAN_BUF b;
	char got[256];
	buf_init(&b, 1 << 16);
	add(&b, 0x82, "early", 5);
	int fd = link_open(l, &h, str_of(b.p, 4));
	assert_int_equal(write(fd, b.p + 4, b.n - 4), (ssize_t)(b.n - 4));
	buf_clear(&b);
	add(&b, 0x89, "there", 5);
	assert_int_equal(write(fd, b.p, b.n), (ssize_t)b.n);
	turn(l);
	assert_str(buf_str(&h.bytes), "early");
	assert_int_equal(read(fd, got, sizeof(got)), 7);
	assert_memory_equal(got, "\x8a\x05there", 7);
	assert_true(ws_link_send(h.link, WS_BINARY, S("out")));
	turn(l);
	assert_int_equal(read(fd, got, sizeof(got)), 5);
	assert_memory_equal(got, "\x82\x03out", 5);
	/* the client says goodbye and is answered */
	buf_clear(&b);
	add(&b, 0x88, "\x03\xe9", 2);
	assert_int_equal(write(fd, b.p, b.n), (ssize_t)b.n);
	turn(l);
	assert_int_equal(h.closed, 1);
	assert_int_equal(h.code, 1001);
	assert_int_equal(read(fd, got, sizeof(got)), 4);
	assert_memory_equal(got, "\x88\x02\x03\xe8", 4);
	close(fd);
	buf_done(&h.bytes);
	/* closed by its owner, from inside: nothing is called any more, and what follows is thrown away */
	buf_clear(&b);
	add(&b, 0x82, "one", 3);
	add(&b, 0x82, "two", 3);
	fd = link_open(l, &h, buf_str(&b));
	h.close_at_message = true;
	turn(l);
	assert_int_equal(h.messages, 1);
	assert_int_equal(read(fd, got, sizeof(got)), 6);
	assert_memory_equal(got, "\x88\x04\x03\xf0no", 6);
	close(fd);
	turn(l);
	assert_int_equal(h.closed, 0);
	buf_done(&h.bytes);
	/* one that does not read is not read from: what is written to it stays within bounds */
	fd = link_open(l, &h, S(""));
	char piece[900] = {0};
	unsigned sent = 0;
	while (ws_link_send(h.link, WS_BINARY, str_of(piece, sizeof(piece)))) {
		assert_true(++sent < 100000);
		if (sent % 64 == 0)
			turn(l);
	}
	buf_clear(&b);
	add(&b, 0x82, "unheard", 7);
	assert_int_equal(write(fd, b.p, b.n), (ssize_t)b.n);
	turn(l);
	assert_int_equal(h.messages, 0);
	static char drain[1 << 16];
	for (int i = 0; i < 10000 && !h.messages; i++) {
		while (read(fd, drain, sizeof(drain)) > 0)
			;
		turn(l);
	}
	assert_int_equal(h.messages, 1);
	assert_int_equal(h.drained, 1);
	close(fd);
	turn(l);
	assert_int_equal(h.code, 1006);
	buf_done(&h.bytes);
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(accept_is_the_standards_example),
	        cmocka_unit_test(frames_make_messages),
	        cmocka_unit_test(wrong_frames_are_refused),
	        cmocka_unit_test(heads_are_the_shortest),
	        cmocka_unit_test(links),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Session Manager's messages as bytes, and a data channel over a clock of the test's: handshake, order, acknowledgements, what is
 * sent again, and an end. */
#include "unit.h"

#include "base/rand.h"
#include "engine/session/channel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void messages(void **state)
{
	(void)state;
	struct buf CLEAN_BUF b;
	struct ssm_message m = {.type = SSM_INPUT,
	                        .created_ms = 1700000000123,
	                        .sequence = 258,
	                        .flags = 3,
	                        .payload_type = 1,
	                        .payload = S("hi")},
	                   got;
	char text[37];
	buf_init(&b, SSM_MESSAGE_MAX);
	for (unsigned char i = 0; i < 16; i++)
		m.id[i] = i;
	ssm_message_write(&m, &b);
	/* the head as others spell it */
	assert_int_equal(b.n, 122);
	assert_memory_equal(b.p,
	                    "\0\0\0\x74"
	                    "input_stream_data               "
	                    "\0\0\0\1",
	                    40);
	assert_memory_equal(b.p + 40,
	                    "\0\0\x01\x8b\xcf\xe5\x68\x7b"
	                    "\0\0\0\0\0\0\x01\x02"
	                    "\0\0\0\0\0\0\0\3",
	                    24);
	assert_memory_equal(b.p + 64, "\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\0\1\2\3\4\5\6\7", 16);
	assert_memory_equal(b.p + 80, "\x8f\x43\x43\x46\x64\x8f\x6b\x96", 8); /* of SHA-256 of "hi" */
	assert_memory_equal(b.p + 112, "\0\0\0\1\0\0\0\2hi", 10);
	assert_int_equal(ssm_message_read(buf_str(&b), &got), 0);
	assert_int_equal(got.type, SSM_INPUT);
	assert_int_equal(got.sequence, 258);
	assert_int_equal(got.created_ms, m.created_ms);
	assert_int_equal(got.flags, 3);
	assert_str(got.payload, "hi");
	ssm_message_id_text(got.id, text);
	assert_string_equal(text, "00010203-0405-0607-0809-0a0b0c0d0e0f");
	/* whatever is changed in lengths, digest or payload is noticed */
	for (size_t i = 0; i < b.n; i++) {
		bool matters = i < 4 || (i >= 80 && i < 112) || i >= 116;
		b.p[i] ^= 0x40;
		assert_int_equal(ssm_message_read(buf_str(&b), &got), matters ? -EPROTO : 0);
		b.p[i] ^= 0x40;
	}
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(ssm_message_read(str_of(b.p, n), &got), -EPROTO);
	memcpy(b.p + 4, "pause_publication\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32);
	assert_int_equal(ssm_message_read(buf_str(&b), &got), 0);
	assert_int_equal(got.type, SSM_PAUSE);
	memset(b.p + 4, 'x', 32);
	assert_int_equal(ssm_message_read(buf_str(&b), &got), 0);
	assert_int_equal(got.type, SSM_OTHER);
	memset(b.p + 4, ' ', 32);
	assert_int_equal(ssm_message_read(buf_str(&b), &got), -EPROTO);
	ssm_message_new_id(m.id);
	assert_int_equal(m.id[6] >> 4, 4);
	assert_int_equal(m.id[8] >> 6, 2);
}

enum { SENT_MAX = 400 };
struct end {
	struct channel *c;
	unsigned sent, ready, windows, ended;
	struct sent_one {
		enum ssm_type type;
		uint32_t payload_type;
		int64_t sequence;
		char payload[1200];
		size_t n;
	} v[SENT_MAX];
	struct buf input;
	bool full;
	unsigned rows, columns;
	char why[200];
};

static void on_send(void *ctx, struct str bytes)
{
	struct end *e = ctx;
	struct ssm_message m;
	assert_int_equal(ssm_message_read(bytes, &m), 0);
	assert_true(e->sent < SENT_MAX && m.payload.n < sizeof(e->v[0].payload));
	e->v[e->sent] = (struct sent_one){.type = m.type, .payload_type = m.payload_type, .sequence = m.sequence, .n = m.payload.n};
	memcpy(e->v[e->sent++].payload, m.payload.p, m.payload.n);
}

static void on_ready(void *ctx)
{
	((struct end *)ctx)->ready++;
}

static bool on_input(void *ctx, struct str bytes)
{
	struct end *e = ctx;
	if (e->full)
		return false;
	buf_add_str(&e->input, bytes);
	return true;
}

static void on_window(void *ctx, unsigned rows, unsigned columns)
{
	struct end *e = ctx;
	e->windows++;
	e->rows = rows;
	e->columns = columns;
}

static void on_terminate(void *ctx, struct str why)
{
	struct end *e = ctx;
	e->ended++;
	snprintf(e->why, sizeof(e->why), "%.*s", STR_ARG(why));
	channel_close(e->c, why);
}

static const struct channel_events channel_events = {
        .send = on_send, .ready = on_ready, .input = on_input, .window = on_window, .terminate = on_terminate};

static int say(struct end *e, enum ssm_type type, uint32_t payload_type, int64_t sequence, const char *payload, int64_t now_us)
{
	struct buf CLEAN_BUF b;
	struct ssm_message m = {
	        .type = type, .created_ms = 1, .sequence = sequence, .payload_type = payload_type, .payload = str_from(payload)};
	buf_init(&b, SSM_MESSAGE_MAX);
	ssm_message_new_id(m.id);
	ssm_message_write(&m, &b);
	return channel_receive(e->c, buf_str(&b), now_us);
}

static void acknowledge(struct end *e, int64_t sequence, int64_t now_us)
{
	char text[200];
	snprintf(text, sizeof(text),
	         "{\"AcknowledgedMessageType\":\"output_stream_data\",\"AcknowledgedMessageId\":\"x\","
	         "\"AcknowledgedMessageSequenceNumber\":%d,\"IsSequentialMessage\":true}",
	         (int)sequence);
	assert_int_equal(say(e, SSM_ACKNOWLEDGE, 0, 0, text, now_us), 0);
}

#define ANSWER(status) \
	"{\"ClientVersion\":\"1.2.0\",\"ProcessedClientActions\":[{\"ActionType\":\"SessionType\",\"ActionStatus\":" status \
	",\"ActionResult\":null,\"Error\":\"cannot\"}],\"Errors\":null}"

static void end_open(struct end *e)
{
	struct channel_kind kind = {
	        .session_id = S("s-1"), .target = S("i-1"), .type = S("Standard_Stream"), .properties = S("{\"a\":1}")};
	memset(e, 0, sizeof(*e));
	buf_init(&e->input, 8 << 20);
	e->c = channel_new(&kind, &channel_events, e);
}

static void end_close(struct end *e)
{
	channel_free(e->c);
	buf_done(&e->input);
}

/* Handshake done, everything acknowledged; the client's next number is 1, ours 2. */
static void end_shake(struct end *e)
{
	end_open(e);
	channel_connected(e->c, 1000);
	acknowledge(e, 0, 2000);
	assert_int_equal(say(e, SSM_INPUT, SSM_PAYLOAD_HANDSHAKE_RESPONSE, 0, ANSWER("1"), 2000), 0);
	acknowledge(e, 1, 3000);
	assert_int_equal(e->ready, 1);
	e->sent = 0;
}

static void handshake(void **state)
{
	(void)state;
	struct end e;
	end_open(&e);
	assert_true(channel_full(e.c));
	assert_true(channel_due_us(e.c) == INT64_MAX);
	channel_connected(e.c, 1000);
	assert_int_equal(e.sent, 1);
	assert_int_equal(e.v[0].type, SSM_OUTPUT);
	assert_int_equal(e.v[0].payload_type, SSM_PAYLOAD_HANDSHAKE_REQUEST);
	assert_string_equal(e.v[0].payload,
	                    "{\"AgentVersion\":\"3.3.0.0\",\"RequestedClientActions\":[{\"ActionType\":\"SessionType\","
	                    "\"ActionParameters\":{\"SessionType\":\"Standard_Stream\",\"Properties\":{\"a\":1}}}]}");
	/* what comes too early is acknowledged and passed over */
	assert_int_equal(say(&e, SSM_INPUT, SSM_PAYLOAD_OUTPUT, 0, "early", 1100), 0);
	assert_int_equal(e.v[1].type, SSM_ACKNOWLEDGE);
	assert_int_equal(e.input.n, 0);
	assert_int_equal(say(&e, SSM_INPUT, SSM_PAYLOAD_HANDSHAKE_RESPONSE, 1, ANSWER("1"), 5000), 0);
	assert_int_equal(e.ready, 1);
	assert_int_equal(e.v[3].payload_type, SSM_PAYLOAD_HANDSHAKE_COMPLETE);
	assert_int_equal(e.v[3].sequence, 1);
	assert_non_null(strstr(e.v[3].payload, "\"HandshakeTimeToComplete\":4000000,"));
	/* once */
	assert_int_equal(say(&e, SSM_INPUT, SSM_PAYLOAD_HANDSHAKE_RESPONSE, 2, ANSWER("2"), 6000), 0);
	assert_int_equal(e.ready, 1);
	assert_int_equal(e.ended, 0);
	end_close(&e);
	/* a client that cannot, one that answers nonsense, one that says nothing */
	static const char *const answers[][2] = {
	        {ANSWER("2"), "cannot"}, {"[]", "not readable"}, {"{}", "does not say"}, {"", "not readable"}};
	for (size_t i = 0; i < 4; i++) {
		end_open(&e);
		channel_connected(e.c, 0);
		say(&e, SSM_INPUT, SSM_PAYLOAD_HANDSHAKE_RESPONSE, 0, answers[i][0], 0);
		assert_int_equal(e.ended, 1);
		assert_int_equal(e.ready, 0);
		assert_non_null(strstr(e.why, answers[i][1]));
		end_close(&e);
	}
	end_open(&e);
	channel_connected(e.c, 0);
	for (int64_t now = 0; !e.ended; now = channel_due_us(e.c)) {
		assert_true(now <= 16000000);
		channel_tick(e.c, now);
	}
	assert_non_null(strstr(e.why, "Handshake timed out"));
	end_close(&e);
}

static void input_in_order(void **state)
{
	(void)state;
	struct end e;
	end_shake(&e);
	say(&e, SSM_INPUT, SSM_PAYLOAD_OUTPUT, 3, "c", 0);
	say(&e, SSM_INPUT, SSM_PAYLOAD_OUTPUT, 2, "b", 0);
	say(&e, SSM_INPUT, SSM_PAYLOAD_OUTPUT, 2, "B", 0);
	assert_int_equal(e.input.n, 0);
	assert_int_equal(e.sent, 3); /* all acknowledged */
	say(&e, SSM_INPUT, SSM_PAYLOAD_OUTPUT, 1, "a", 0);
	assert_str(buf_str(&e.input), "abc");
	say(&e, SSM_INPUT, SSM_PAYLOAD_OUTPUT, 1, "a", 0);
	assert_str(buf_str(&e.input), "abc");
	assert_int_equal(e.sent, 5); /* the old one once more */
	assert_non_null(strstr(e.v[4].payload, "\"AcknowledgedMessageSequenceNumber\":1,"));
	e.sent = 0;
	say(&e, SSM_INPUT, SSM_PAYLOAD_OUTPUT, 5000, "far", 0);
	say(&e, SSM_INPUT, SSM_PAYLOAD_OUTPUT, -1, "far", 0);
	say(&e, SSM_INPUT, SSM_PAYLOAD_OUTPUT, INT64_MAX, "far", 0);
	assert_int_equal(e.sent, 0);
	/* a program that takes nothing now */
	e.full = true;
	say(&e, SSM_INPUT, SSM_PAYLOAD_OUTPUT, 4, "d", 0);
	say(&e, SSM_INPUT, SSM_PAYLOAD_OUTPUT, 5, "e", 0);
	assert_str(buf_str(&e.input), "abc");
	e.full = false;
	channel_go_on(e.c);
	assert_str(buf_str(&e.input), "abcde");
	/* windows, and what is none */
	say(&e, SSM_INPUT, SSM_PAYLOAD_SIZE, 6, "{\"cols\":80,\"rows\":24}", 0);
	assert_int_equal(e.rows, 24);
	assert_int_equal(e.columns, 80);
	say(&e, SSM_INPUT, SSM_PAYLOAD_SIZE, 7, "{\"cols\":-80,\"rows\":24}", 0);
	say(&e, SSM_INPUT, SSM_PAYLOAD_SIZE, 8, "[]", 0);
	assert_int_equal(e.windows, 1);
	assert_int_equal(channel_receive(e.c, S("garbage"), 0), -EPROTO);
	end_close(&e);
	/* what waits has a bound, but the one whose turn it is finds room */
	end_shake(&e);
	char *large = malloc(100001);
	memset(large, 'x', 100000);
	large[100000] = 0;
	e.full = true;
	for (int i = 2; i < 40; i++)
		say(&e, SSM_INPUT, SSM_PAYLOAD_OUTPUT, i, large, 0);
	assert_in_range(e.sent, 5, 11);
	unsigned kept = e.sent;
	say(&e, SSM_INPUT, SSM_PAYLOAD_OUTPUT, 1, large, 0);
	assert_int_equal(e.sent, kept + 1);
	e.full = false;
	channel_go_on(e.c);
	assert_int_equal(e.input.n, 100000 * (size_t)e.sent);
	free(large);
	end_close(&e);
}

static void output_again(void **state)
{
	(void)state;
	struct end e;
	end_shake(&e);
	channel_output(e.c, SSM_PAYLOAD_OUTPUT, S("one"), 10000);
	channel_output(e.c, SSM_PAYLOAD_OUTPUT, S("two"), 10000);
	assert_int_equal(e.sent, 2);
	assert_int_equal(e.v[0].sequence, 2);
	int64_t due = channel_due_us(e.c);
	assert_in_range(due, 10001, 1010000);
	channel_tick(e.c, due - 1);
	assert_int_equal(e.sent, 2);
	channel_tick(e.c, due);
	assert_int_equal(e.sent, 3); /* the first alone, with its number */
	assert_int_equal(e.v[2].sequence, 2);
	assert_string_equal(e.v[2].payload, "one");
	acknowledge(&e, 3, due);
	acknowledge(&e, 77, due);
	assert_true(channel_owes(e.c));
	acknowledge(&e, 2, due);
	assert_false(channel_owes(e.c));
	assert_true(channel_due_us(e.c) == INT64_MAX);
	/* one that is never acknowledged is let go, for its connection has delivered it */
	e.sent = 0;
	channel_output(e.c, SSM_PAYLOAD_OUTPUT, S("lost"), 20000);
	for (int i = 0; i < 100 && channel_owes(e.c); i++)
		channel_tick(e.c, channel_due_us(e.c));
	assert_false(channel_owes(e.c));
	assert_int_equal(e.sent, 50);
	/* a pause, and a lost connection */
	e.sent = 0;
	assert_int_equal(say(&e, SSM_PAUSE, 0, 0, "", 0), 0);
	channel_output(e.c, SSM_PAYLOAD_OUTPUT, S("paused"), 30000000);
	assert_int_equal(e.sent, 0);
	assert_int_equal(say(&e, SSM_START, 0, 0, "", 30000000), 0);
	assert_int_equal(e.sent, 1);
	channel_disconnected(e.c);
	channel_output(e.c, SSM_PAYLOAD_OUTPUT, S("gone"), 30000000);
	assert_int_equal(e.sent, 1);
	assert_true(channel_due_us(e.c) == INT64_MAX);
	channel_connected(e.c, 40000000);
	assert_int_equal(e.sent, 3);
	assert_string_equal(e.v[1].payload, "paused");
	assert_string_equal(e.v[2].payload, "gone");
	/* as much as is under way */
	static char text[60000];
	memset(text, 'x', sizeof(text));
	channel_output(e.c, SSM_PAYLOAD_OUTPUT, str_of(text, 40000), 40000000);
	assert_false(channel_full(e.c));
	channel_output(e.c, SSM_PAYLOAD_OUTPUT, str_of(text, 30000), 40000000);
	assert_true(channel_full(e.c));
	for (unsigned i = 0; i < e.sent; i++)
		assert_true(e.v[i].n <= 1024);
	/* an end */
	e.sent = 0;
	channel_close(e.c, S("why"));
	assert_int_equal(e.sent, 1);
	assert_int_equal(e.v[0].type, SSM_CHANNEL_CLOSED);
	assert_non_null(
	        strstr(e.v[0].payload, "\"DestinationId\":\"i-1\",\"SessionId\":\"s-1\",\"MessageType\":\"channel_closed\""));
	assert_non_null(strstr(e.v[0].payload, "\"Output\":\"why\"}"));
	assert_false(channel_owes(e.c));
	channel_close(e.c, S("again"));
	channel_output(e.c, SSM_PAYLOAD_OUTPUT, S("more"), 1);
	assert_int_equal(say(&e, SSM_INPUT, SSM_PAYLOAD_OUTPUT, 1, "a", 0), 0);
	assert_int_equal(e.sent, 1);
	end_close(&e);
}

static void the_clients_end(void **state)
{
	(void)state;
	struct end e;
	struct buf CLEAN_BUF b;
	struct ssm_message m = {.type = SSM_INPUT,
	                        .created_ms = 1,
	                        .sequence = 2,
	                        .payload_type = SSM_PAYLOAD_FLAG,
	                        .payload = str_of("\0\0\0\2", 4)};
	end_shake(&e);
	buf_init(&b, 1000);
	ssm_message_write(&m, &b);
	/* out of its turn, with another behind it: closed from inside, nothing of it is touched again */
	say(&e, SSM_INPUT, SSM_PAYLOAD_OUTPUT, 3, "behind", 0);
	assert_int_equal(channel_receive(e.c, buf_str(&b), 0), 0);
	assert_int_equal(e.ended, 0);
	say(&e, SSM_INPUT, SSM_PAYLOAD_OUTPUT, 1, "before", 0);
	assert_int_equal(e.ended, 1);
	assert_str(buf_str(&e.input), "before");
	end_close(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(messages),     cmocka_unit_test(handshake),       cmocka_unit_test(input_in_order),
	        cmocka_unit_test(output_again), cmocka_unit_test(the_clients_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

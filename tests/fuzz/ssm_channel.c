/* What a client of a data channel may send: messages out of the input, some with their digest put right, to a channel in any state.
 */
#include "base/hash.h"
#include "engine/session/channel.h"

#include <assert.h>
#include <string.h>

struct end {
	struct channel *c;
	bool ended;
};

static void on_send(void *ctx, struct str bytes)
{
	struct ssm_message m;
	(void)ctx;
	assert(ssm_message_read(bytes, &m) == 0 && m.type != SSM_INPUT && m.type != SSM_OTHER);
}

static void on_ready(void *ctx)
{
	(void)ctx;
}

static bool on_input(void *ctx, struct str bytes)
{
	(void)ctx;
	return bytes.p[0] != 'n';
}

static void on_window(void *ctx, unsigned rows, unsigned columns)
{
	(void)ctx;
	assert(rows && columns && rows < 65536 && columns < 65536);
}

static void on_terminate(void *ctx, struct str why)
{
	struct end *e = ctx;
	e->ended = true;
	channel_close(e->c, why);
}

static const struct channel_events events = {
        .send = on_send, .ready = on_ready, .input = on_input, .window = on_window, .terminate = on_terminate};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct end e = {0};
	struct channel_kind kind = {.session_id = S("s"), .target = S("t"), .type = S("Standard_Stream")};
	struct ssm_message m;
	int64_t now_us = 0;
	ssm_message_read(str_of((const char *)data, size), &m);
	e.c = channel_new(&kind, &events, &e);
	/* a command, a number, a length and a payload: messages that are well made but for what they say */
	while (size >= 5 && !e.ended) {
		uint8_t command = data[0];
		size_t n = data[4] < size - 5 ? data[4] : size - 5;
		struct buf CLEAN_BUF b;
		m = (struct ssm_message){.type = (enum ssm_type)(SSM_INPUT + command % 6),
		                         .created_ms = 1,
		                         .sequence = (int64_t)data[1] + (data[2] & 0x80 ? INT64_C(1) << 40 : 0),
		                         .payload_type = data[3] % 13,
		                         .payload = str_of((const char *)data + 5, n)};
		buf_init(&b, SSM_MESSAGE_MAX);
		now_us += 100000;
		if (command & 0x80)
			channel_connected(e.c, now_us);
		else if (command & 0x40)
			channel_disconnected(e.c);
		ssm_message_write(&m, &b);
		assert(channel_receive(e.c, buf_str(&b), now_us) == 0);
		channel_output(e.c, SSM_PAYLOAD_OUTPUT, m.payload, now_us);
		channel_go_on(e.c);
		if (channel_due_us(e.c) <= now_us)
			channel_tick(e.c, now_us);
		data += 5 + n;
		size -= 5 + n;
	}
	channel_free(e.c);
	return 0;
}

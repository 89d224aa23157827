/* The first line picks an API and says "METHOD URI"; then come headers as "name: value" lines, an empty line and the body: any
 * request. What decodes must survive our own record format unchanged. The same body is then read as a reply of the operation. */
#include "wire/wire.h"
#include "base/rand.h"
#include "wire/eventstream.h"

#include <assert.h>
#include <stdint.h>

static const struct api *pick(struct str id)
{
	const struct api *api = model_api(id);
	return api ? api : model_apis[0];
}

static struct str record_of(struct arena *a, const struct api *api, const struct shape *s, const void *value)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, 64 << 20);
	wire_record_write(a, api, s, value, &b);
	return arena_dup(a, buf_str(&b));
}

static void read_as_reply(struct arena *a, const struct wire_target *t, const struct wire_headers *headers, struct str body)
{
	const struct shape *s = operation_output(t->api, t->op);
	struct wire_reply_error error;
	static const uint16_t statuses[] = {200, 404, 500};
	for (size_t i = 0; i < 3; i++) {
		void *out = arena_zalloc(a, s ? s->size : 1);
		wire_decode_reply(a, t->api, t->op, t->protocol, statuses[i], headers, body, out, &error);
		wire_reply_check(a, t->api, t->op, t->protocol, statuses[i], headers, body);
	}
	struct event_frame frame;
	event_read(a, body, &frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena CLEAN_ARENA a = {0};
	struct str rest = str_of(data, size), line = str_cut(&rest, '\n');
	const struct api *api = pick(str_cut(&line, ' '));
	struct wire_request r = {.method = str_cut(&line, ' ')};
	r.path = str_cut(&line, '?');
	r.query = str_set(line) ? line : S("");
	struct wire_pairs headers = {0};
	while (str_set(rest) && (line = str_cut(&rest, '\n')).n) {
		struct str name = str_cut(&line, ':');
		wire_pairs_add(&a, &headers, name, str_set(line) ? str_trim(line) : S(""));
	}
	r.headers = wire_headers_of(&headers);
	r.body = str_set(rest) ? rest : S("");
	r.content_type = r.headers.get(r.headers.ctx, S("content-type"));
	r.target = r.headers.get(r.headers.ctx, S("x-amz-target"));
	r.smithy_protocol = r.headers.get(r.headers.ctx, S("smithy-protocol"));
	rand_seed(1); /* tokens */
	wire_guess_api(&a, &r);
	struct wire_target t;
	struct wire_fault fault = {0};
	if (!wire_identify(&a, api, &r, &t, &fault)) {
		assert(fault.code.n && fault.status >= 400);
		return 0;
	}
	const struct shape *s = operation_input(t.api, t.op);
	void *in = arena_zalloc(&a, s ? s->size : 1);
	if (!wire_decode(&a, &t, &r, in, &fault)) {
		assert(fault.code.n && fault.status >= 400);
	} else if (s) {
		void *back = arena_zalloc(&a, s->size);
		struct str record = record_of(&a, t.api, s, in);
		assert(wire_record_read(&a, t.api, s, record, back));
		assert(str_eq(record_of(&a, t.api, s, back), record));
	}
	read_as_reply(&a, &t, &r.headers, r.body);
	return 0;
}

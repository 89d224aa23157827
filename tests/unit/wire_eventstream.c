#include "unit.h"

#include "base/hash.h"
#include "gen/lambda.h"
#include "wire/eventstream.h"

#include <errno.h>

static void writes_the_published_frame(void **state)
{
	(void)state;
	struct buf CLEAN_BUF b;
	buf_init(&b, 1 << 20);
	event_put(&b, NULL, 0, S("{'foo':'bar'}"));
	char hex[256];
	hex_encode(b.p, b.n, hex);
	assert_string_equal(hex, "0000001d00000000fd528c5a7b27666f6f273a27626172277dc3653936");
}

static void reads_what_it_writes(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct buf CLEAN_BUF b;
	buf_init(&b, 1 << 20);
	struct lambda_invoke_response_stream_update chunk = {.payload = S("chunk")};
	struct lambda_invoke_with_response_stream_complete_event end = {.error_code = S("E"), .error_details = S("d")};
	event_put_typed(&a, &b, &lambda_api, PROTOCOL_REST_JSON, S("PayloadChunk"),
	                api_shape_named(&lambda_api, S("InvokeResponseStreamUpdate")), &chunk);
	event_put_typed(&a, &b, &lambda_api, PROTOCOL_REST_JSON, S("InvokeComplete"),
	                api_shape_named(&lambda_api, S("InvokeWithResponseStreamCompleteEvent")), &end);
	event_put_exception(&a, &b, S("X"), S("m"));
	struct str rest = buf_str(&b);
	struct event_frame f;
	int64_t n = event_read(&a, rest, &f);
	assert_true(n > 0);
	struct wire_headers view = wire_headers_of(&f.headers);
	assert_str(view.get(view.ctx, S(":event-type")), "PayloadChunk");
	assert_str(view.get(view.ctx, S(":content-type")), "application/octet-stream");
	assert_str(f.payload, "chunk");
	for (size_t i = 0; i < (size_t)n; i++)
		assert_int_equal(event_read(&a, str_sub(rest, 0, i), &f), 0);
	rest = str_from_at(rest, (size_t)n);
	n = event_read(&a, rest, &f);
	assert_str(f.payload, "{\"ErrorCode\":\"E\",\"ErrorDetails\":\"d\"}");
	rest = str_from_at(rest, (size_t)n);
	n = event_read(&a, rest, &f);
	view = wire_headers_of(&f.headers);
	assert_str(view.get(view.ctx, S(":message-type")), "exception");
	assert_int_equal((size_t)n, rest.n);
}

static void refuses_damage(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct buf CLEAN_BUF b;
	buf_init(&b, 4096);
	struct wire_pair header = {S("a"), S("b")};
	event_put(&b, &header, 1, S("payload"));
	for (size_t i = 0; i < b.n; i++) {
		struct event_frame f;
		b.p[i] ^= 1;
		assert_int_equal(event_read(&a, buf_str(&b), &f), -EBADMSG);
		b.p[i] ^= 1;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(writes_the_published_frame), cmocka_unit_test(reads_what_it_writes),
	                                   cmocka_unit_test(refuses_damage)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

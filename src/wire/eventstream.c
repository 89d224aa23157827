#include "wire/eventstream.h"

#include "base/hash.h"
#include "wire/codec.h"

#include <errno.h>

enum { PRELUDE = 12, TRAILER = 4, HEADER_STRING = 7 };

static void put_be(struct buf *b, uint64_t v, size_t bytes)
{
	unsigned char out[8];
	for (size_t i = 0; i < bytes; i++)
		out[i] = (unsigned char)(v >> (8 * (bytes - 1 - i)));
	buf_add(b, out, bytes);
}

static uint32_t get_be(const char *p, size_t bytes)
{
	uint32_t v = 0;
	for (size_t i = 0; i < bytes; i++)
		v = v << 8 | (unsigned char)p[i];
	return v;
}

static void put_crc(struct buf *b, size_t from)
{
	unsigned char crc[HASH_MAX_BYTES];
	if (b->overflow)
		return;
	hash_of(HASH_CRC32, str_of(b->p + from, b->n - from), crc);
	buf_add(b, crc, 4);
}

void event_put(struct buf *b, const struct wire_pair *headers, size_t header_count, struct str payload)
{
	size_t header_bytes = 0, from = b->n;
	for (size_t i = 0; i < header_count; i++)
		header_bytes += 1 + headers[i].name.n + 1 + 2 + headers[i].value.n;
	put_be(b, PRELUDE + header_bytes + payload.n + TRAILER, 4);
	put_be(b, header_bytes, 4);
	put_crc(b, from);
	for (size_t i = 0; i < header_count; i++) {
		put_be(b, headers[i].name.n, 1);
		buf_add_str(b, headers[i].name);
		put_be(b, HEADER_STRING, 1);
		put_be(b, headers[i].value.n, 2);
		buf_add_str(b, headers[i].value);
	}
	buf_add_str(b, payload);
	put_crc(b, from);
}

void event_put_typed(struct arena *a, struct buf *b, const struct api *api, enum protocol protocol, struct str event_type,
                     const struct shape *shape, const void *value)
{
	struct wire_pair headers[3 + 8] = {
	        {S(":event-type"), event_type}, {S(":content-type"), S("application/json")}, {S(":message-type"), S("event")}};
	size_t n = 3;
	struct buf CLEAN_BUF body;
	buf_init(&body, EVENT_FRAME_MAX);
	struct wire_out out = {.arena = a, .api = api, .protocol = protocol, .body = &body};
	struct json_out json = json_out(&body);
	bool payload = false;
	for (uint32_t i = 0; i < shape->members; i++) {
		const struct member *m = shape_member(api, shape, i);
		const struct shape *s = member_shape(api, m);
		const void *p = member_value(api, m, value);
		payload |= (m->flags & MEMBER_EVENT_PAYLOAD) != 0;
		if (p && (m->flags & MEMBER_EVENT_HEADER) && n < sizeof(headers) / sizeof(*headers))
			headers[n++] = (struct wire_pair){api_text(api, m->name),
			                                  value_text(a, m, s, p, MT_ISO8601, false, arena_alloc(a, VALUE_SCRATCH))};
		if (p && (m->flags & MEMBER_EVENT_PAYLOAD) && (s->kind == SHAPE_BLOB || s->kind == SHAPE_STRING)) {
			headers[1].value = s->kind == SHAPE_BLOB ? S("application/octet-stream") : S("text/plain");
			buf_add_str(&body, *(const struct str *)p);
		} else if (p && (m->flags & MEMBER_EVENT_PAYLOAD)) {
			wire_json_write(&out, &json, s, p);
		}
	}
	if (!payload && protocol == PROTOCOL_CBOR) {
		headers[1].value = S("application/cbor");
		wire_cbor_write(&out, shape, value);
	} else if (!payload && protocol == PROTOCOL_REST_XML) {
		headers[1].value = S("text/xml");
		wire_xml_structure(&out, shape, value, event_type, STR_NONE);
	} else if (!payload) {
		wire_json_write(&out, &json, shape, value);
	}
	event_put(b, headers, n, buf_str(&body));
}

void event_put_exception(struct arena *a, struct buf *b, struct str exception_type, struct str message)
{
	struct wire_pair headers[] = {{S(":exception-type"), exception_type},
	                              {S(":content-type"), S("application/json")},
	                              {S(":message-type"), S("exception")}};
	struct buf CLEAN_BUF body;
	buf_init(&body, EVENT_FRAME_MAX);
	(void)a;
	struct json_out json = json_out(&body);
	json_open(&json, '{');
	json_key(&json, S("message"));
	json_string(&json, message);
	json_close(&json, '}');
	event_put(b, headers, 3, buf_str(&body));
}

void event_put_initial_response(struct buf *b, enum protocol protocol)
{
	struct wire_pair headers[] = {
	        {S(":event-type"), S("initial-response")},
	        {S(":content-type"), protocol == PROTOCOL_CBOR ? S("application/cbor") : S("application/json")},
	        {S(":message-type"), S("event")}};
	event_put(b, headers, 3, protocol == PROTOCOL_CBOR ? S("\xa0") : S("{}"));
}

/* Length of a header's value by its type, when it is fixed; -1: two bytes of length come first; -2: no such type. */
static int value_bytes(unsigned char type)
{
	static const signed char bytes[] = {0, 0, 1, 2, 4, 8, -1, -1, 8, 16};
	return type < sizeof(bytes) ? bytes[type] : -2;
}

static bool read_headers(struct arena *a, struct str h, struct wire_pairs *ret)
{
	while (h.n) {
		size_t name = (unsigned char)h.p[0];
		if (!name || h.n < name + 2)
			return false;
		unsigned char type = (unsigned char)h.p[1 + name];
		struct str rest = str_from_at(h, name + 2);
		int bytes = value_bytes(type);
		size_t skip = 0, n = bytes < 0 ? 0 : (size_t)bytes;
		if (bytes == -2 || (bytes == -1 && rest.n < 2))
			return false;
		if (bytes == -1) {
			n = get_be(rest.p, 2);
			skip = 2;
		}
		if (rest.n < skip + n)
			return false;
		if (type == HEADER_STRING)
			wire_pairs_add(a, ret, arena_dup(a, str_sub(h, 1, name)), arena_dup(a, str_sub(rest, skip, n)));
		h = str_from_at(rest, skip + n);
	}
	return true;
}

static bool crc_is(struct str bytes, const char *want)
{
	unsigned char crc[HASH_MAX_BYTES];
	hash_of(HASH_CRC32, bytes, crc);
	return memcmp(crc, want, 4) == 0;
}

int64_t event_read(struct arena *a, struct str bytes, struct event_frame *ret)
{
	if (bytes.n < PRELUDE)
		return 0;
	size_t total = get_be(bytes.p, 4), headers = get_be(bytes.p + 4, 4);
	if (!crc_is(str_sub(bytes, 0, 8), bytes.p + 8) || total > EVENT_FRAME_MAX || headers > EVENT_HEADERS_MAX ||
	    total < PRELUDE + headers + TRAILER)
		return -EBADMSG;
	if (bytes.n < total)
		return 0;
	struct event_frame frame = {.payload = str_sub(bytes, PRELUDE + headers, total - PRELUDE - headers - TRAILER)};
	if (!crc_is(str_sub(bytes, 0, total - TRAILER), bytes.p + total - TRAILER) ||
	    !read_headers(a, str_sub(bytes, PRELUDE, headers), &frame.headers))
		return -EBADMSG;
	*ret = frame;
	return (int64_t)total;
}

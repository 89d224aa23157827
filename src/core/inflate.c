/* Clients compress what is long of their own accord where a model allows it: PutMetricData is the one operation of ours. What is
 * signed is what comes over the wire. */
#include "core/gate_call.h"

#include "core/service.h"

#include <zlib.h>

enum { PIECE = 64 * 1024 };

static bool inflate_into(struct buf *b, struct str body)
{
	z_stream z = {.next_in = (void *)(uintptr_t)body.p, .avail_in = (uInt)body.n};
	int r = inflateInit2(&z, 15 + 16); /* gzip's header alone */
	while (r == Z_OK) {
		char *room = buf_room(b, PIECE);
		if (!room)
			break;
		z.next_out = (void *)room;
		z.avail_out = PIECE;
		r = inflate(&z, Z_NO_FLUSH);
		buf_grew(b, PIECE - z.avail_out);
		if (r == Z_BUF_ERROR)
			break;
	}
	inflateEnd(&z);
	return r == Z_STREAM_END && !z.avail_in;
}

bool gate_inflate(struct gate_call *g)
{
	struct call *c = &g->call;
	if (!g->api || !str_is(str_from(g->api->id), "cloudwatch") || str_set(g->compressed) ||
	    !str_ieq(call_header(c, S("content-encoding")), S("gzip")))
		return true;
	size_t limit = c->service && c->service->body_limit_bytes ? c->service->body_limit_bytes : 1 << 20;
	struct buf CLEAN_BUF b;
	buf_init(&b, limit + PIECE);
	bool good = inflate_into(&b, g->wire.body);
	if (b.overflow || b.n > limit) {
		call_fail(c, "RequestEntityTooLarge", 413, "Request body is larger than this operation takes");
		return false;
	}
	if (!good) {
		call_fail(c, "SerializationException", 400, "The body of the request is not compressed as it says");
		return false;
	}
	g->compressed = g->wire.body;
	g->wire.body = arena_dup(c->arena, buf_str(&b));
	return true;
}

/* The last step: a call's outcome in the words of its protocol, and out. */
#include "core/gate_call.h"

#include <string.h>
#include <unistd.h>

static void add_pairs(struct call *c, const struct wire_pairs *pairs)
{
	for (uint32_t i = 0; i < pairs->n; i++)
		call_reply_header(c, pairs->v[i].name, pairs->v[i].value);
}

static bool encode_error(struct gate_call *g, struct buf *body, struct wire_reply *reply)
{
	struct call *c = &g->call;
	if (!str_set(c->error.code))
		return false;
	if (c->service && c->service->dress_error)
		c->service->dress_error(c);
	struct wire_error error = {
	        .code = c->error.code,
	        .message = c->error.message,
	        .status = (uint16_t)c->error.status,
	        .server_fault = c->error.receiver,
	        .field_count = c->error.fields.n,
	        .shape = c->error.shape,
	        .value = c->error.value,
	};
	_Static_assert(sizeof(struct wire_pair) == sizeof(struct str_map_entry), "fields are handed over as they lie");
	error.fields = (const struct wire_pair *)(const void *)c->error.fields.v;
	wire_encode_error(c->arena, &g->target, &error, c->request_id, body, reply);
	return true;
}

static void stream_drained(void *ctx)
{
	struct gate_call *g = ctx;
	if (g->call.reply.stream_drained)
		g->call.reply.stream_drained(&g->call);
}

static void cors_headers(struct gate_call *g)
{
	struct call *c = &g->call;
	if (str_is(str_from(g->api->id), "s3") || g->taken || !str_set(call_header(c, S("origin"))))
		return;
	call_reply_header(c, S("access-control-allow-origin"), S("*"));
	call_reply_header(
	        c, S("access-control-expose-headers"),
	        S("x-amzn-RequestId,x-amzn-ErrorType,x-amzn-query-error,x-amz-function-error,x-amz-log-result,x-amz-executed-version,date"));
}

/* A handler that spoke HTTP itself: its status, headers and bytes, and nothing else. */
static void encode_taken(struct gate_call *g, struct buf *body, struct wire_reply *reply)
{
	const struct service *s = g->call.service;
	if (str_set(g->call.error.code) && s && s->spell_error) {
		s->spell_error(&g->call);
	} else if (encode_error(g, body, reply)) {
		add_pairs(&g->call, &reply->headers);
		return;
	}
	reply->status = 200;
	if (g->call.reply.kind == REPLY_MEMORY)
		buf_add_str(body, g->call.reply.memory);
}

static uint64_t payload_bytes(const struct reply_body *out)
{
	return out->kind == REPLY_MEMORY ? out->memory.n
	       : out->kind == REPLY_FILE ? out->length
	       : out->stream_length > 0  ? (uint64_t)out->stream_length
	                                 : 0;
}

void gate_encode(struct gate_call *g)
{
	struct call *c = &g->call;
	struct http_request *r = c->http;
	struct reply_body *out = &c->reply;
	struct buf *body = gate_scratch(g->gate);
	struct wire_reply reply = {0};
	buf_clear(body);
	bool failed = str_set(c->error.code);
	if (g->taken) {
		encode_taken(g, body, &reply);
	} else if (!encode_error(g, body, &reply)) {
		wire_encode(c->arena, &g->target, c->out, c->request_id, body, &reply);
		add_pairs(c, &reply.headers);
		if (g->reply_status)
			reply.status = (uint16_t)g->reply_status;
	} else {
		add_pairs(c, &reply.headers);
	}
	g->sent_status = g->taken && g->reply_status ? g->reply_status : reply.status;
	g->sent_bytes = failed || out->kind == REPLY_PLAIN ? body->n : payload_bytes(out);
	if (c->service && c->service->dress_reply)
		c->service->dress_reply(c);
	if (g->taken && g->reply_status)
		reply.status = (uint16_t)g->reply_status;
	cors_headers(g);
	g->step = STEP_SENT;
	g->sent = true;
	if (failed || out->kind == REPLY_PLAIN || (g->taken && out->kind == REPLY_MEMORY)) {
		struct str bytes = buf_str(body);
		unsigned count = g->reply_header_count;
		const struct http_header *headers = g->reply_headers;
		gate_call_free(g);
		http_reply(r, reply.status, headers, count, bytes);
		return;
	}
	switch (out->kind) {
	case REPLY_MEMORY: {
		struct str memory = out->memory;
		gate_call_free(g);
		http_reply(r, reply.status, g->reply_headers, g->reply_header_count, memory);
		break;
	}
	case REPLY_FILE: {
		int fd = out->fd;
		out->fd = -1;
		uint64_t offset = out->offset, length = out->length;
		gate_call_free(g);
		http_reply_file(r, reply.status, g->reply_headers, g->reply_header_count, fd, offset, length);
		break;
	}
	default:
		http_reply_start(r, reply.status, g->reply_headers, g->reply_header_count, out->stream_length, stream_drained, g);
		g->waiting = true; /* call_gone() tells the service when the client leaves in the middle */
		out->stream_start(c);
	}
}

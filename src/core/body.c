/* A streamed request body on its way from HTTP to a service. One of three things is verified as it passes, as the signature
 * demands: nothing (UNSIGNED-PAYLOAD), the SHA-256 of the whole, or the framing of aws-chunked with a signature a chunk. */
#include "core/gate_call.h"

#include "base/clock.h"
#include "base/hash.h"
#include "http/chunked.h"

#include <errno.h>

struct body {
	struct gate_call *g;
	bool chunked; /* aws-chunked framing */
	bool hashed;  /* the content hash was signed */
	struct hash hash;
	struct chunked frames;
	struct sigv4_chunks chain;
	int64_t length; /* decoded, or -1 */
	uint64_t seen;
	struct str pending; /* raw bytes not decoded yet: of the piece in hand */
	int raw_status;     /* of that piece */
	body_piece_fn *fn;
	void *ctx;
	bool pumping, again;
	int failed;
};

static void body_pump(struct body *b);

static bool check_chunk(void *ctx, struct str sha256_hex, struct str signature)
{
	return sigv4_chunks_next(&((struct body *)ctx)->chain, sha256_hex, signature);
}

static bool check_trailer(void *ctx, struct str sha256_hex, struct str signature)
{
	return sigv4_chunks_trailer(&((struct body *)ctx)->chain, sha256_hex, signature);
}

static void frames_free(struct call *c)
{
	chunked_done(&c->body->frames);
}

struct body *gate_body_new(struct gate_call *g)
{
	struct call *c = &g->call;
	struct body *b = arena_new(c->arena, struct body);
	const struct sigv4 *sig = &g->signature;
	b->g = g;
	b->raw_status = 1;
	b->length = http_head(c->http)->content_length;
	bool in_header = sig->form == SIGV4_IN_HEADER;
	struct str encoding = call_header(c, S("content-encoding"));
	b->chunked = (in_header && sig->payload != SIGV4_PAYLOAD_HASH && sig->payload != SIGV4_PAYLOAD_UNSIGNED) ||
	             (str_set(encoding) && str_istarts(encoding, S("aws-chunked")) &&
	              str_set(call_header(c, S("x-amz-decoded-content-length"))));
	if (b->chunked) {
		int64_t decoded;
		b->length = str_to_i64(call_header(c, S("x-amz-decoded-content-length")), &decoded) && decoded >= 0 ? decoded : -1;
		bool is_signed =
		        in_header && (sig->payload == SIGV4_PAYLOAD_CHUNKS || sig->payload == SIGV4_PAYLOAD_CHUNKS_TRAILER);
		if (is_signed)
			sigv4_chunks_init(&b->chain, sig, g->credential.secret);
		chunked_init(&b->frames, &(struct chunked_rules){
		                                 .decoded_length = b->length,
		                                 .trailer = sig->payload == SIGV4_PAYLOAD_CHUNKS_TRAILER ||
		                                            sig->payload == SIGV4_PAYLOAD_UNSIGNED_TRAILER,
		                                 .check_chunk = is_signed ? check_chunk : NULL,
		                                 .check_trailer = is_signed ? check_trailer : NULL,
		                                 .ctx = b,
		                         });
		call_on_free(c, frames_free);
	} else if (sig->payload == SIGV4_PAYLOAD_HASH && str_set(sig->content_hash)) {
		b->hashed = true;
		hash_init(&b->hash, HASH_SHA256);
	}
	return b;
}

struct body *gate_body_of_bytes(struct gate_call *g, struct str bytes)
{
	struct body *b = arena_new(g->call.arena, struct body);
	b->g = g;
	b->length = (int64_t)bytes.n;
	b->seen = bytes.n;
	b->pending = bytes;
	return b;
}

/* Hands one piece to the reader, who may ask for the next from inside. */
static void body_give(struct body *b, struct str piece, int status)
{
	body_piece_fn *fn = b->fn;
	b->fn = NULL;
	fn(b->ctx, piece, status);
}

static void body_fail(struct body *b, int status)
{
	b->failed = status;
	body_give(b, STR_NONE, status);
}

static void body_end(struct body *b, struct str last)
{
	if (b->length >= 0 && !b->chunked && b->seen != (uint64_t)b->length) {
		body_fail(b, -EPROTO);
		return;
	}
	if (b->hashed) {
		unsigned char digest[HASH_MAX_BYTES];
		char hex[65];
		hash_end(&b->hash, digest);
		b->hashed = false;
		hex_encode(digest, 32, hex);
		if (!hash_equal(str_from(hex), b->g->signature.content_hash)) {
			body_fail(b, -EBADMSG);
			return;
		}
	}
	b->g->received_us = clock_mono_us();
	body_give(b, last, 0);
}

static void body_received(void *ctx, struct str piece, int status)
{
	struct body *b = ctx;
	if (status == -ECONNRESET)
		return; /* the call's gone() follows */
	if (status < 0) {
		body_fail(b, status);
		return;
	}
	b->pending = piece;
	b->raw_status = status;
	if (b->hashed)
		hash_add(&b->hash, piece.p, piece.n);
	if (!b->chunked)
		b->seen += piece.n;
	body_pump(b);
}

/* Decodes what is in hand until there is a piece to give, or asks HTTP for more. */
static void body_pump(struct body *b)
{
	if (!b->chunked) {
		struct str piece = b->pending;
		b->pending = STR_NONE;
		if (b->raw_status == 0)
			body_end(b, piece);
		else
			body_give(b, piece, 1);
		return;
	}
	struct str piece;
	int got = b->pending.n ? chunked_next(&b->frames, &b->pending, &piece) : 0;
	if (got < 0) {
		body_fail(b, got);
		return;
	}
	if (got > 0) {
		body_give(b, piece, 1);
		return;
	}
	if (b->raw_status == 0) {
		int end = chunked_finish(&b->frames);
		if (end < 0)
			body_fail(b, end);
		else
			body_end(b, STR_NONE);
		return;
	}
	http_body_next(b->g->call.http, body_received, b);
}

void body_next(struct body *b, body_piece_fn *fn, void *ctx)
{
	b->fn = fn;
	b->ctx = ctx;
	if (b->failed) {
		body_give(b, STR_NONE, b->failed);
		return;
	}
	/* A reader that asks again from inside its callback must not grow the stack with every piece. */
	if (b->pumping) {
		b->again = true;
		return;
	}
	struct gate_call *g = b->g;
	b->pumping = true;
	g->busy++;
	do {
		b->again = false;
		if (b->pending.n || b->raw_status == 0)
			body_pump(b);
		else
			http_body_next(g->call.http, body_received, b);
	} while (b->again);
	b->pumping = false;
	/* The reader may have resumed the call: that could free it, so it is done last. */
	if (--g->busy == 0 && g->again && !g->running) {
		g->again = false;
		gate_go(g);
	}
}

int64_t body_length(const struct body *b)
{
	return b->length;
}

struct str body_trailer(const struct body *b, struct str name)
{
	if (b->chunked)
		return chunked_trailer(&b->frames, name);
	unsigned count = 0;
	const struct http_header *t = http_trailers(b->g->call.http, &count);
	for (unsigned i = 0; i < count; i++)
		if (str_ieq(t[i].name, name))
			return t[i].value;
	return STR_NONE;
}

void body_error(const struct body *b, int status, struct str *ret_code, struct str *ret_message)
{
	switch (status) {
	case -EBADMSG:
		*ret_code = b->chunked ? S("SignatureDoesNotMatch") : S("XAmzContentSHA256Mismatch");
		*ret_message =
		        b->chunked
		                ? S("The request signature we calculated does not match the signature you provided. Check your key and signing method.")
		                : S("The provided 'x-amz-content-sha256' header does not match what was computed.");
		break;
	case -EMSGSIZE:
		*ret_code = S("InvalidChunkSizeError");
		*ret_message = S("Only the last chunk is allowed to have a size less than 8192 bytes");
		break;
	case -ETIMEDOUT:
		*ret_code = S("RequestTimeout");
		*ret_message = S(
		        "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed.");
		break;
	default:
		*ret_code = S("IncompleteBody");
		*ret_message = S("You did not provide the number of bytes specified by the Content-Length HTTP header");
	}
}

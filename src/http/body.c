#include "http/conn.h"

#include <errno.h>

enum { COLLECT_FIRST_BYTES = 4096 };

static const struct str continue_line = S_INIT("HTTP/1.1 100 Continue\r\n\r\n");

static void body_ask(struct http_request *r, http_piece_fn *fn, void *ctx)
{
	struct http_conn *c = r->conn;
	if (r->replied)
		return;
	r->body_fn = fn;
	r->body_ctx = ctx;
	/* An empty body could go without, but botocore keeps a final answer in its place for the connection's next request. */
	bool awaited = !r->body_ended || !r->head.has_body;
	if (r->head.expects_continue && !r->continued && !r->started && !r->body_error && awaited) {
		r->continued = true;
		if (c->in_n == 0) /* a client that has begun to send needs no invitation */
			out_send(c, &continue_line, 1);
	}
	conn_later(c);
}

void http_body_next(struct http_request *r, http_piece_fn *fn, void *ctx)
{
	r->collect = false;
	body_ask(r, fn, ctx);
}

void http_body_collect(struct http_request *r, size_t max_bytes, http_piece_fn *fn, void *ctx)
{
	r->collect = true;
	r->collect_max = max_bytes;
	r->collected_n = 0;
	if (!r->body_error && r->body_left > max_bytes)
		r->body_error = -EMSGSIZE;
	body_ask(r, fn, ctx);
}

const struct http_header *http_trailers(const struct http_request *r, unsigned *ret_count)
{
	*ret_count = r->trailer_count;
	return r->trailers;
}

static void body_deliver(struct http_request *r, struct str piece, int status)
{
	http_piece_fn *fn = r->body_fn;
	r->body_fn = NULL;
	fn(r->body_ctx, piece, status);
}

void body_fail(struct http_conn *c, int error)
{
	struct http_request *r = c->req;
	if (!r->body_error)
		r->body_error = error;
	if (r->body_fn)
		body_deliver(r, S(""), r->body_error);
}

bool body_skip(struct http_request *r)
{
	struct http_conn *c = r->conn;
	if (!r->body_ended && !r->head.chunked && r->body_left <= c->in_n && !r->body_fn) {
		conn_consume(c, (size_t)r->body_left);
		r->body_left = 0;
		r->body_ended = true;
	}
	return r->body_ended;
}

/* Takes what input there is of the body, out of its chunks. *ret_piece may be empty. */
static int body_take(struct http_conn *c, struct str *ret_piece)
{
	struct http_request *r = c->req;
	char *p = c->in_n ? c->in + c->in_at : NULL;
	if (!r->head.chunked) {
		size_t n = c->in_n < r->body_left ? c->in_n : (size_t)r->body_left;
		*ret_piece = str_of(p, n);
		conn_consume(c, n);
		r->body_left -= n;
		r->body_ended = r->body_left == 0;
		return 0;
	}
	size_t n = 0, used = 0;
	if (transfer_decode(&r->transfer, p, c->in_n, &n, &used) < 0)
		return -EPROTO;
	*ret_piece = str_of(p, n);
	conn_consume(c, used);
	if (!transfer_ended(&r->transfer))
		return 0;
	bool bare_lf;
	const char *why;
	struct str text = arena_dup(&r->arena, buf_str(&r->transfer.trailers));
	if (head_parse_fields(&r->arena, text, c->server->limits.headers, &r->trailers, &r->trailer_count, &bare_lf, &why))
		return -EPROTO;
	r->body_ended = true;
	return 0;
}

static int body_collect(struct http_request *r, struct str piece)
{
	if (piece.n > r->collect_max - r->collected_n)
		return -EMSGSIZE;
	if (piece.n > r->collected_cap - r->collected_n) {
		/* A known length is taken at once: pages that never come are never touched. */
		size_t cap = r->head.chunked ? r->collected_cap * 2 : (size_t)r->head.content_length;
		if (cap < r->collected_n + piece.n)
			cap = r->collected_n + piece.n;
		if (cap < COLLECT_FIRST_BYTES && r->head.chunked)
			cap = COLLECT_FIRST_BYTES;
		char *more = arena_alloc(&r->arena, cap + 1);
		if (r->collected_n)
			memcpy(more, r->collected, r->collected_n);
		r->collected = more;
		r->collected_cap = cap;
	}
	if (piece.n)
		memcpy(r->collected + r->collected_n, piece.p, piece.n);
	r->collected_n += piece.n;
	return 0;
}

bool body_step(struct http_conn *c)
{
	struct http_request *r = c->req;
	struct str piece = S("");
	if (!r->body_error && !r->body_ended) {
		if (c->in_n == 0)
			return false;
		if (!r->collect)
			conn_own_input(c); /* the piece outlives this round */
		r->body_error = body_take(c, &piece);
		if (!r->body_error && r->collect)
			r->body_error = body_collect(r, piece);
		if (!r->body_error && !r->body_ended && (r->collect || piece.n == 0))
			return true; /* taken, not enough yet */
	}
	if (r->body_error)
		body_deliver(r, S(""), r->body_error);
	else if (r->collect)
		body_deliver(r, str_of(r->collected_n ? r->collected : "", r->collected_n), 0);
	else
		body_deliver(r, piece.p ? piece : S(""), r->body_ended ? 0 : 1);
	return true;
}

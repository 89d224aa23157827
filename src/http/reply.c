#include "http/conn.h"

#include "base/log.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DIRECT_BYTES = 16384, HEAD_ROOM = 256 };

const char *reply_reason(unsigned status)
{
	static const char *const reasons[600] = {
	        [100] = "Continue",
	        [101] = "Switching Protocols",
	        [200] = "OK",
	        [201] = "Created",
	        [202] = "Accepted",
	        [204] = "No Content",
	        [206] = "Partial Content",
	        [300] = "Multiple Choices",
	        [301] = "Moved Permanently",
	        [302] = "Found",
	        [303] = "See Other",
	        [304] = "Not Modified",
	        [307] = "Temporary Redirect",
	        [308] = "Permanent Redirect",
	        [400] = "Bad Request",
	        [401] = "Unauthorized",
	        [403] = "Forbidden",
	        [404] = "Not Found",
	        [405] = "Method Not Allowed",
	        [406] = "Not Acceptable",
	        [408] = "Request Timeout",
	        [409] = "Conflict",
	        [410] = "Gone",
	        [411] = "Length Required",
	        [412] = "Precondition Failed",
	        [413] = "Content Too Large",
	        [414] = "URI Too Long",
	        [415] = "Unsupported Media Type",
	        [416] = "Range Not Satisfiable",
	        [417] = "Expectation Failed",
	        [424] = "Failed Dependency",
	        [426] = "Upgrade Required",
	        [429] = "Too Many Requests",
	        [431] = "Request Header Fields Too Large",
	        [499] = "Client Closed Request",
	        [500] = "Internal Server Error",
	        [501] = "Not Implemented",
	        [502] = "Bad Gateway",
	        [503] = "Service Unavailable",
	        [504] = "Gateway Timeout",
	        [505] = "HTTP Version Not Supported",
	        [507] = "Insufficient Storage",
	        [509] = "Bandwidth Limit Exceeded",
	};
	return status < 600 && reasons[status] ? reasons[status] : "Unknown";
}

/* --- heads */

static char *put(char *to, const void *p, size_t n)
{
	memcpy(to, p, n);
	return to + n;
}
#define PUT(to, lit) put((to), "" lit, sizeof(lit) - 1)

static char *put_u64(char *to, uint64_t v)
{
	char digits[20];
	size_t n = sizeof(digits);
	do
		digits[--n] = (char)('0' + v % 10);
	while (v /= 10);
	return put(to, digits + n, sizeof(digits) - n);
}

/* Headers that only the server writes. */
static bool header_is_ours(struct str name)
{
	switch (name.n) {
	case 4:
		return str_ieq(name, S("date"));
	case 10:
		return str_ieq(name, S("connection"));
	case 14:
		return str_ieq(name, S("content-length"));
	case 17:
		return str_ieq(name, S("transfer-encoding"));
	default:
		return false;
	}
}

/* Printable ASCII alone? A word at a time: no byte is below ' ', 127 or above. A borrow or carry between bytes comes only from one
 * that is itself not so. */
static bool is_plain(struct str s)
{
	uint64_t odd = 0, word;
	size_t i = 0;
	for (; s.n - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, s.p + i, sizeof(word));
		odd |= (word - UINT64_C(0x2020202020202020)) | (word + UINT64_C(0x0101010101010101));
	}
	for (; i < s.n; i++)
		odd |= (unsigned)((unsigned char)s.p[i] - 0x20) | ((unsigned char)s.p[i] + 1u);
	return !(odd & UINT64_C(0x8080808080808080));
}

static char *put_headers(char *to, const struct http_header *headers, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct http_header *h = &headers[i];
		if (!str_set(h->value) || !head_is_token(h->name) || header_is_ours(h->name))
			continue;
		to = put(to, h->name.p, h->name.n);
		to = PUT(to, ": ");
		/* A value may echo what a client sent; a line break in it would begin a header of the client's choice. */
		bool plain = is_plain(h->value);
		if (plain)
			to = put(to, h->value.p, h->value.n);
		for (size_t k = 0; k < h->value.n && !plain; k++) {
			unsigned char byte = (unsigned char)h->value.p[k];
			*to++ = (byte < ' ' && byte != '\t') || byte == 127 ? ' ' : (char)byte;
		}
		to = PUT(to, "\r\n");
	}
	return to;
}

static size_t headers_bytes(const struct http_header *headers, unsigned count)
{
	size_t n = 0;
	for (unsigned i = 0; i < count; i++)
		n += headers[i].name.n + headers[i].value.n + 4;
	return n;
}

static bool status_has_body(unsigned status)
{
	return status >= 200 && status != 204 && status != 304;
}

/* Writes the head into the arena and decides how the body is framed. length -1: unknown beforehand. */
static struct str head_make(struct http_request *r, unsigned status, const struct http_header *headers, unsigned count,
                            int64_t length, bool stream)
{
	struct http_server *s = r->conn->server;
	if (r->started)
		die("a second reply to one request");
	r->started = true;
	r->conn->out.held = false;
	struct str date = server_date(s);
	const char *reason = reply_reason(status);
	char *head = arena_alloc(&r->arena, headers_bytes(headers, count) + date.n + HEAD_ROOM), *to = head;
	to = PUT(to, "HTTP/1.1 ");
	to = put_u64(to, status);
	*to++ = ' ';
	to = put(to, reason, strlen(reason));
	to = PUT(to, "\r\n");
	to = put(to, date.p, date.n);
	to = put_headers(to, headers, count);
	bool unframed = false;
	if (!status_has_body(status)) {
		r->is_head = true;
	} else if (length >= 0) {
		to = PUT(to, "Content-Length: ");
		to = put_u64(to, (uint64_t)length);
		to = PUT(to, "\r\n");
	} else if (!r->facts.http10) {
		r->chunked = true;
		to = PUT(to, "Transfer-Encoding: chunked\r\n");
	} else {
		unframed = !r->is_head;
	}
	/* A streaming handler may still take the body while its reply goes out; how that ends decides then. */
	bool undecided = stream && (r->continued || !r->head.expects_continue);
	r->close = !r->facts.keep_alive || (s->draining && !r->conn->listener->aside) || unframed || (!undecided && !body_skip(r));
	if (r->close)
		to = PUT(to, "Connection: close\r\n");
	else if (r->facts.http10)
		to = PUT(to, "Connection: keep-alive\r\n");
	to = PUT(to, "\r\n");
	return str_of(head, (size_t)(to - head));
}

/* --- whole replies */

static void reply_done(struct http_request *r)
{
	r->replied = true;
	r->body_fn = NULL;
	conn_later(r->conn);
}

void http_reply(struct http_request *r, unsigned status, const struct http_header *headers, unsigned header_count, struct str body)
{
	struct http_conn *c = r->conn;
	r->body_fn = NULL;
	struct str head = head_make(r, status, headers, header_count, (int64_t)body.n, false);
	if (r->is_head)
		body.n = 0;
	if (!out_empty(&c->out)) { /* an interim reply is stuck */
		out_send(c, (const struct str[]){head, body}, 2);
	} else {
		c->out.ref[0] = head;
		c->out.ref[1] = body;
		if (out_send(c, NULL, 0) > 0 && c->out.ref[1].n && !arena_owns(&r->arena, body.p)) {
			struct str rest = c->out.ref[1];
			if (c->out.ref[0].n) {
				out_add(&c->out, c->out.ref[0].p, c->out.ref[0].n);
				c->out.ref[0] = STR_NONE;
			}
			c->out.ref[1] = STR_NONE;
			out_add(&c->out, rest.p, rest.n);
		}
	}
	reply_done(r);
}

void http_reply_after(struct http_request *r, unsigned status, const struct http_header *headers, unsigned header_count,
                      struct str body)
{
	struct http_conn *c = r->conn;
	r->body_fn = NULL;
	struct str head = head_make(r, status, headers, header_count, (int64_t)body.n, false);
	out_add(&c->out, head.p, head.n);
	if (!r->is_head)
		out_add(&c->out, body.p, body.n);
	c->out.held = c->in_n > 0 && !r->close;
	reply_done(r);
}

void http_reply_file(struct http_request *r, unsigned status, const struct http_header *headers, unsigned header_count, int fd,
                     uint64_t offset, uint64_t length)
{
	struct http_conn *c = r->conn;
	r->body_fn = NULL;
	struct str head = head_make(r, status, headers, header_count, (int64_t)length, false);
	out_add(&c->out, head.p, head.n);
	if (r->is_head || length == 0 || c->broken) {
		close(fd);
	} else {
		c->out.file = fd;
		c->out.file_at = offset;
		c->out.file_left = length;
	}
	out_flush(c);
	reply_done(r);
}

/* --- streams */

void http_reply_start(struct http_request *r, unsigned status, const struct http_header *headers, unsigned header_count,
                      int64_t length, loop_fn *drained, void *ctx)
{
	struct http_conn *c = r->conn;
	struct str head = head_make(r, status, headers, header_count, length, true);
	r->drained = drained;
	r->drained_ctx = ctx;
	r->counted = length >= 0 && !r->is_head;
	r->owed = r->counted ? (uint64_t)length : 0;
	out_add(&c->out, head.p, head.n);
	conn_later(c); /* the head goes out with the first piece if that comes now */
}

bool http_reply_write(struct http_request *r, struct str piece)
{
	struct http_conn *c = r->conn;
	if (r->counted && piece.n > r->owed)
		piece.n = (size_t)r->owed;
	if (r->is_head || piece.n == 0 || c->broken)
		return true;
	r->owed -= r->counted ? piece.n : 0;
	char size[20];
	static const char digits[] = "0123456789abcdef";
	size_t at = sizeof(size);
	size[--at] = '\n';
	size[--at] = '\r';
	for (size_t n = piece.n; n; n >>= 4)
		size[--at] = digits[n & 15];
	struct str parts[] = {str_of(size + at, r->chunked ? sizeof(size) - at : 0), piece, str_of("\r\n", r->chunked ? 2 : 0)};
	if (piece.n >= DIRECT_BYTES && out_waiting(&c->out) < OUT_HIGH_BYTES) {
		out_send(c, parts, 3);
	} else {
		for (unsigned i = 0; i < 3; i++)
			out_add(&c->out, parts[i].p, parts[i].n);
		if (out_waiting(&c->out) >= DIRECT_BYTES && out_waiting(&c->out) < OUT_HIGH_BYTES)
			out_send(c, NULL, 0);
	}
	conn_later(c);
	r->waiting = out_waiting(&c->out) > OUT_HIGH_BYTES;
	return !r->waiting;
}

void http_reply_end(struct http_request *r, const struct http_header *trailers, unsigned count)
{
	struct http_conn *c = r->conn;
	r->waiting = false;
	if (r->counted && r->owed) { /* the promise of a length is broken: only a cut tells the client */
		http_reply_abort(r);
		return;
	}
	if (r->chunked && !r->is_head) {
		out_add(&c->out, "0\r\n", 3);
		if (count) {
			char *text = arena_alloc(&r->arena, headers_bytes(trailers, count));
			out_add(&c->out, text, (size_t)(put_headers(text, trailers, count) - text));
		}
		out_add(&c->out, "\r\n", 2);
	}
	out_flush(c);
	reply_done(r);
}

void http_reply_abort(struct http_request *r)
{
	/* A reset, not an end: a client of a reply without a length must not take what it has for the whole. */
	setsockopt(r->conn->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
	r->conn->broken = true;
	reply_done(r);
}

int http_upgrade(struct http_request *r, const struct http_header *headers, unsigned header_count, http_upgraded_fn *fn, void *ctx)
{
	struct http_conn *c = r->conn;
	if (!r->body_ended || r->facts.http10)
		return -EPROTO;
	char *head = arena_alloc(&r->arena, headers_bytes(headers, header_count) + HEAD_ROOM), *to = head;
	to = PUT(to, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n");
	to = put_headers(to, headers, header_count);
	to = PUT(to, "\r\n");
	r->started = true;
	c->out.held = false;
	r->upgraded = fn;
	r->upgraded_ctx = ctx;
	out_add(&c->out, head, (size_t)(to - head));
	reply_done(r);
	return 0;
}

void http_pass_on(struct http_request *r, int to)
{
	r->started = true;
	r->conn->out.held = false;
	r->passed = true;
	r->passed_to = to;
	reply_done(r);
}

/* --- refusals by the server itself */

void reply_refuse(struct http_conn *c, unsigned status, const char *why)
{
	char text[512], code[20];
	struct str date = server_date(c->server);
	const char *reason = reply_reason(status);
	size_t code_n = (size_t)(put_u64(code, status) - code), reason_n = strlen(reason), why_n = strlen(why);
	char *to = PUT(text, "HTTP/1.1 ");
	to = put(to, code, code_n);
	*to++ = ' ';
	to = put(to, reason, reason_n);
	to = PUT(to, "\r\n");
	to = put(to, date.p, date.n);
	to = PUT(to, "Content-Type: text/plain\r\nConnection: close\r\nContent-Length: ");
	to = put_u64(to, code_n + 1 + reason_n + 2 + why_n + 1);
	to = PUT(to, "\r\n\r\n");
	to = put(to, code, code_n);
	*to++ = ' ';
	to = put(to, reason, reason_n);
	to = PUT(to, ": ");
	to = put(to, why, why_n);
	*to++ = '\n';
	conn_request_free(c);
	c->out.held = false;
	out_add(&c->out, text, (size_t)(to - text));
	c->state = CONN_CLOSING;
}

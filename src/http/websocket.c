#include "http/websocket.h"

#include "base/base64.h"
#include "base/hash.h"

#include <string.h>

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
enum { OP_CONTINUATION = 0, FIN = 0x80, RESERVED = 0x70, OPCODE = 0x0f, MASKED = 0x80, NO_CODE = 1005 };

/* --- the opening handshake */

struct str ws_accept(struct arena *a, struct str key)
{
	unsigned char digest[HASH_MAX_BYTES];
	struct str bytes = base64_decode(a, key);
	if (!str_set(bytes) || bytes.n != WS_KEY_BYTES)
		return STR_NONE;
	hash_of(HASH_SHA1, ARENA_CAT(a, key, S(GUID)), digest);
	return base64_encode(a, str_of((const char *)digest, hash_size(HASH_SHA1)));
}

/* Is the word among those that commas separate? */
static bool lists(struct str list, struct str word)
{
	while (list.n)
		if (str_ieq(str_trim(str_cut(&list, ',')), word))
			return true;
	return false;
}

static bool refuse(struct http_request *r, unsigned status, struct str why)
{
	struct http_header h[] = {{S("content-type"), S("text/plain")}, {S("sec-websocket-version"), S("13")}};
	http_reply(r, status, h, status == 426 ? 2 : 1, why);
	return false;
}

bool ws_upgrade(struct http_request *r, http_upgraded_fn *fn, void *ctx)
{
	if (!str_is(http_head(r)->method, "GET") || !lists(http_header_joined(r, S("upgrade")), S("websocket")) ||
	    !lists(http_header_joined(r, S("connection")), S("upgrade")))
		return refuse(r, 400, S("a WebSocket is wanted here: GET with Upgrade: websocket and Connection: Upgrade\n"));
	if (!str_is(http_header(r, S("sec-websocket-version")), "13"))
		return refuse(r, 426, S("version 13 of the WebSocket protocol is spoken here\n"));
	struct str accept = ws_accept(http_arena(r), str_trim(http_header(r, S("sec-websocket-key"))));
	if (!str_set(accept))
		return refuse(r, 400, S("Sec-WebSocket-Key has to be 16 bytes in Base64\n"));
	struct http_header h[] = {{S("Upgrade"), S("websocket")}, {S("Sec-WebSocket-Accept"), accept}};
	if (http_upgrade(r, h, 2, fn, ctx) < 0)
		return refuse(r, 400, S("a WebSocket is opened by HTTP/1.1 and without a body\n"));
	return true;
}

/* --- frames in */

void ws_reader_init(struct ws_reader *r, size_t message_max)
{
	*r = (struct ws_reader){.message_max = message_max, .head_want = 2};
	buf_init(&r->message, message_max);
}

void ws_reader_done(struct ws_reader *r)
{
	buf_done(&r->message);
}

static bool is_control(uint8_t opcode)
{
	return opcode >= WS_CLOSE;
}

/* What the first two bytes say; 0, or a code below zero. */
static int begin_frame(struct ws_reader *r)
{
	uint8_t opcode = r->head[0] & OPCODE, length = r->head[1] & 0x7f;
	if (r->head[0] & RESERVED || !(r->head[1] & MASKED))
		return -WS_BROKEN; /* extensions that nobody agreed on; clients have to mask */
	r->opcode = opcode;
	r->fin = (r->head[0] & FIN) != 0;
	if (is_control(opcode) ? opcode > WS_PONG || !r->fin || length > WS_CONTROL_MAX : opcode > WS_BINARY)
		return -WS_BROKEN;
	if (!is_control(opcode) && (opcode == OP_CONTINUATION) != (r->kind != 0))
		return -WS_BROKEN; /* only fragments are continued, and they are continued by nothing else */
	r->head_want = 2 + 4 + (length == 126 ? 2u : length == 127 ? 8u : 0u);
	return 0;
}

static int head_is_whole(struct ws_reader *r)
{
	uint64_t length = r->head[1] & 0x7f;
	size_t at = 2;
	if (length >= 126) {
		size_t bytes = length == 126 ? 2 : 8;
		uint64_t least = length == 126 ? 126 : 65536;
		length = 0;
		while (bytes-- > 0)
			length = length << 8 | r->head[at++];
		if (length < least || length >> 63)
			return -WS_BROKEN; /* not the shortest way to say it */
	}
	memcpy(r->mask, r->head + at, 4);
	r->left = length;
	r->at = 0;
	r->in_payload = true;
	if (is_control(r->opcode)) {
		r->control_n = 0;
		return 0;
	}
	if (length > r->message_max || length + r->message.n > r->message_max)
		return -WS_TOO_LARGE;
	if (r->opcode != OP_CONTINUATION)
		r->kind = r->opcode;
	return 0;
}

static void take_payload(struct ws_reader *r, struct str *in)
{
	size_t n = r->left < in->n ? (size_t)r->left : in->n;
	char *to = is_control(r->opcode) ? r->control + r->control_n : buf_room(&r->message, n ? n : 1);
	for (size_t i = 0; i < n; i++)
		to[i] = (char)(in->p[i] ^ (char)r->mask[(r->at + i) & 3]);
	if (is_control(r->opcode))
		r->control_n += n;
	else
		buf_grew(&r->message, n);
	r->at += n;
	r->left -= n;
	*in = str_from_at(*in, n);
}

/* A frame has ended: is there something to tell? */
static int frame_is_whole(struct ws_reader *r, struct ws_message *ret)
{
	r->in_payload = false;
	r->head_n = 0;
	r->head_want = 2;
	if (is_control(r->opcode)) {
		*ret = (struct ws_message){r->opcode, str_of(r->control, r->control_n)};
		if (r->opcode == WS_CLOSE && !ws_close_code(ret->bytes))
			return -WS_BROKEN;
		return 1;
	}
	if (!r->fin)
		return 0;
	*ret = (struct ws_message){r->kind, buf_str(&r->message)};
	r->kind = 0;
	r->given = true;
	return ret->kind == WS_TEXT && !str_is_utf8(ret->bytes) ? -WS_NOT_TEXT : 1;
}

int ws_read(struct ws_reader *r, struct str *in, struct ws_message *ret)
{
	if (r->given)
		buf_clear(&r->message);
	r->given = false;
	for (;;) {
		int n = 0;
		while (!r->in_payload && in->n && n == 0) {
			r->head[r->head_n++] = (unsigned char)in->p[0];
			*in = str_from_at(*in, 1);
			if (r->head_n == 2)
				n = begin_frame(r);
			if (n == 0 && r->head_n == r->head_want)
				n = head_is_whole(r);
		}
		if (n < 0 || !r->in_payload)
			return n;
		take_payload(r, in);
		if (r->left)
			return 0;
		n = frame_is_whole(r, ret);
		if (n)
			return n;
	}
}

/* --- frames out */

size_t ws_head(unsigned char out[static WS_HEAD_MAX], enum ws_kind kind, size_t n)
{
	size_t at = 2, bytes = n < 126 ? 0 : n < 65536 ? 2 : 8;
	out[0] = (unsigned char)(FIN | (unsigned)kind);
	out[1] = (unsigned char)(bytes == 0 ? n : bytes == 2 ? 126 : 127);
	while (bytes-- > 0)
		out[at++] = (unsigned char)(n >> (8 * bytes));
	return at;
}

unsigned ws_close_code(struct str payload)
{
	if (payload.n == 0)
		return NO_CODE;
	if (payload.n == 1 || !str_is_utf8(str_from_at(payload, 2)))
		return 0;
	unsigned code = (unsigned)(unsigned char)payload.p[0] << 8 | (unsigned char)payload.p[1];
	bool good = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code < 5000);
	return good ? code : 0;
}

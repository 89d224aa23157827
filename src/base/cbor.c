#include "base/cbor.h"

#include <math.h>

void cbor_reader_init(struct cbor_reader *r, struct arena *a, struct str bytes)
{
	const unsigned char *p = (const unsigned char *)(bytes.p ? bytes.p : "");
	*r = (struct cbor_reader){.arena = a, .begin = p, .next = p, .end = p + bytes.n};
}

static struct cbor_item reader_fail(struct cbor_reader *r, const char *why)
{
	if (!r->error)
		r->error = why;
	return (struct cbor_item){.kind = CBOR_ERROR};
}

/* An unsigned big-endian number of n bytes; the caller has checked that they are there. */
static uint64_t read_be(const unsigned char *p, size_t n)
{
	uint64_t v = 0;
	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static double half_to_double(uint64_t h)
{
	int exponent = (int)(h >> 10 & 31);
	double mantissa = (double)(h & 1023), v;
	if (exponent == 0)
		v = ldexp(mantissa, -24);
	else if (exponent == 31)
		v = mantissa != 0 ? (double)NAN : (double)INFINITY;
	else
		v = ldexp(mantissa + 1024, exponent - 25);
	return h & 0x8000 ? -v : v;
}

static struct cbor_item simple(struct cbor_reader *r, unsigned info, uint64_t n)
{
	switch (info) {
	case 20:
	case 21:
		return (struct cbor_item){.kind = CBOR_BOOL, .n = info == 21};
	case 22:
	case 23:
		return (struct cbor_item){.kind = CBOR_NULL};
	case 25:
		return (struct cbor_item){.kind = CBOR_FLOAT, .d = half_to_double(n)};
	case 26: {
		uint32_t bits = (uint32_t)n;
		float f;
		memcpy(&f, &bits, sizeof(f));
		return (struct cbor_item){.kind = CBOR_FLOAT, .d = (double)f};
	}
	case 27: {
		double d;
		memcpy(&d, &n, sizeof(d));
		return (struct cbor_item){.kind = CBOR_FLOAT, .d = d};
	}
	case 31:
		return (struct cbor_item){.kind = CBOR_BREAK};
	default:
		return reader_fail(r, "simple value without a meaning");
	}
}

static struct cbor_item string(struct cbor_reader *r, unsigned major, uint64_t n)
{
	if (n > (uint64_t)(r->end - r->next))
		return reader_fail(r, "unexpected end");
	struct cbor_item item = {.kind = major == 2 ? CBOR_BYTES : CBOR_TEXT, .text = str_of(r->next, n), .n = n};
	r->next += n;
	if (major == 3 && !str_is_utf8(item.text))
		return reader_fail(r, "malformed UTF-8 in text");
	return item;
}

/* A head of any kind, breaks included. Chunked strings are put together by the caller. */
static struct cbor_item read_head(struct cbor_reader *r, unsigned *ret_major)
{
	if (r->error)
		return (struct cbor_item){.kind = CBOR_ERROR};
	r->at = (size_t)(r->next - r->begin);
	if (r->next >= r->end)
		return reader_fail(r, "unexpected end");
	unsigned major = *r->next >> 5, info = *r->next & 31;
	r->next++;
	uint64_t n = info;
	if (info >= 24 && info <= 27) {
		size_t bytes = (size_t)1 << (info - 24);
		if ((size_t)(r->end - r->next) < bytes)
			return reader_fail(r, "unexpected end");
		n = read_be(r->next, bytes);
		r->next += bytes;
	} else if (info >= 28 && (info != 31 || major < 2 || major == 6)) {
		return reader_fail(r, "reserved length");
	}
	*ret_major = major;
	bool indefinite = info == 31;
	switch (major) {
	case 0:
		return (struct cbor_item){.kind = CBOR_UINT, .n = n};
	case 1:
		return (struct cbor_item){.kind = CBOR_NINT, .n = n};
	case 2:
	case 3:
		if (indefinite)
			return (struct cbor_item){.kind = major == 2 ? CBOR_BYTES : CBOR_TEXT, .indefinite = true};
		return string(r, major, n);
	case 4:
	case 5:
		/* Each element takes a byte at least: a longer count is a lie, refused before anybody loops on it. */
		if (!indefinite && n > (uint64_t)(r->end - r->next))
			return reader_fail(r, "unexpected end");
		return (struct cbor_item){
		        .kind = major == 4 ? CBOR_ARRAY : CBOR_MAP, .n = indefinite ? 0 : n, .indefinite = indefinite};
	case 6:
		return (struct cbor_item){.kind = CBOR_TAG, .n = n};
	default:
		return simple(r, info, n);
	}
}

static struct cbor_item chunked(struct cbor_reader *r, unsigned major)
{
	const unsigned char *from = r->next;
	char *out = NULL;
	size_t total = 0;
	for (int pass = 0; pass < 2; pass++) {
		r->next = from;
		total = 0;
		for (;;) {
			unsigned m = 0;
			struct cbor_item piece = read_head(r, &m);
			if (piece.kind == CBOR_BREAK)
				break;
			if (piece.kind == CBOR_ERROR)
				return piece;
			if (m != major || piece.indefinite)
				return reader_fail(r, "wrong piece in a string");
			if (out && piece.text.n)
				memcpy(out + total, piece.text.p, piece.text.n);
			total += piece.text.n;
		}
		if (!out)
			out = arena_alloc(r->arena, total + 1);
	}
	out[total] = '\0';
	return (struct cbor_item){.kind = major == 2 ? CBOR_BYTES : CBOR_TEXT, .text = str_of(out, total), .n = total};
}

struct cbor_item cbor_next(struct cbor_reader *r)
{
	unsigned major = 0;
	struct cbor_item item = read_head(r, &major);
	if (item.kind == CBOR_BREAK)
		return reader_fail(r, "break where a value must stand");
	if (item.indefinite && (item.kind == CBOR_BYTES || item.kind == CBOR_TEXT))
		return chunked(r, major);
	return item;
}

struct cbor_walk cbor_enter(struct cbor_reader *r, const struct cbor_item *item)
{
	if (++r->depth > CBOR_DEPTH_MAX)
		reader_fail(r, "nested too deeply");
	return (struct cbor_walk){.left = item->n, .indefinite = item->indefinite};
}

bool cbor_more(struct cbor_reader *r, struct cbor_walk *w)
{
	if (r->error)
		return false;
	if (w->indefinite) {
		if (r->next >= r->end) {
			reader_fail(r, "unexpected end");
			return false;
		}
		if (*r->next != 0xff)
			return true;
		r->next++;
	} else if (w->left) {
		w->left--;
		return true;
	}
	r->depth--;
	return false;
}

bool cbor_skip(struct cbor_reader *r, const struct cbor_item *item)
{
	if (item->kind == CBOR_TAG) {
		struct cbor_item inner = cbor_next(r);
		while (inner.kind == CBOR_TAG) /* tags upon tags cost no stack */
			inner = cbor_next(r);
		return cbor_skip(r, &inner);
	}
	if (item->kind != CBOR_ARRAY && item->kind != CBOR_MAP)
		return item->kind != CBOR_ERROR;
	struct cbor_walk w = cbor_enter(r, item);
	while (cbor_more(r, &w)) {
		for (int i = item->kind == CBOR_MAP ? 2 : 1; i; i--) {
			struct cbor_item inner = cbor_next(r);
			if (!cbor_skip(r, &inner))
				return false;
		}
	}
	return !r->error;
}

bool cbor_done(const struct cbor_reader *r)
{
	return !r->error && r->next == r->end;
}

bool cbor_to_int(const struct cbor_item *item, int64_t *ret)
{
	if ((item->kind != CBOR_UINT && item->kind != CBOR_NINT) || item->n > INT64_MAX)
		return false;
	*ret = item->kind == CBOR_UINT ? (int64_t)item->n : -1 - (int64_t)item->n;
	return true;
}

static void put_be(struct buf *b, unsigned char first, uint64_t n, size_t bytes)
{
	unsigned char out[9] = {first};
	for (size_t i = 0; i < bytes; i++)
		out[1 + i] = (unsigned char)(n >> (8 * (bytes - 1 - i)));
	buf_add(b, out, 1 + bytes);
}

void cbor_put_head(struct buf *b, unsigned major, uint64_t n)
{
	unsigned char m = (unsigned char)(major << 5);
	if (n < 24)
		buf_add_char(b, (char)(m | n));
	else if (n <= UINT8_MAX)
		put_be(b, m | 24, n, 1);
	else if (n <= UINT16_MAX)
		put_be(b, m | 25, n, 2);
	else if (n <= UINT32_MAX)
		put_be(b, m | 26, n, 4);
	else
		put_be(b, m | 27, n, 8);
}

void cbor_put_int(struct buf *b, int64_t v)
{
	if (v < 0)
		cbor_put_head(b, 1, (uint64_t)(-1 - v));
	else
		cbor_put_head(b, 0, (uint64_t)v);
}

void cbor_put_text(struct buf *b, struct str s)
{
	cbor_put_head(b, 3, s.n);
	buf_add_str(b, s);
}

void cbor_put_bytes(struct buf *b, struct str s)
{
	cbor_put_head(b, 2, s.n);
	buf_add_str(b, s);
}

void cbor_put_bool(struct buf *b, bool v)
{
	buf_add_char(b, (char)(v ? 0xf5 : 0xf4));
}

void cbor_put_null(struct buf *b)
{
	buf_add_char(b, (char)0xf6);
}

void cbor_put_float(struct buf *b, float v)
{
	uint32_t bits;
	memcpy(&bits, &v, sizeof(bits));
	put_be(b, 0xfa, bits, 4);
}

void cbor_put_double(struct buf *b, double v)
{
	uint64_t bits;
	if (isnan(v) || isinf(v) || (fabs(v) <= 3e38 && (double)(float)v == v)) {
		cbor_put_float(b, (float)v);
		return;
	}
	memcpy(&bits, &v, sizeof(bits));
	put_be(b, 0xfb, bits, 8);
}

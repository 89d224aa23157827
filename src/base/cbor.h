/* CBOR (RFC 8949): a reader of one data item head at a time, and a writer.
 *
 * The reader takes definite and indefinite lengths and every float width; the caller walks arrays and maps with
 * cbor_more(). Texts and bytes are views of the input unless they came in pieces (then the arena's). */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

enum { CBOR_DEPTH_MAX = 64 };

enum cbor_kind {
	CBOR_ERROR, /* sticky: cbor_reader.error says why */
	CBOR_UINT,  /* n */
	CBOR_NINT,  /* -1 - n */
	CBOR_BYTES, /* text */
	CBOR_TEXT,  /* text, well-formed UTF-8 */
	CBOR_ARRAY, /* n elements, or indefinite */
	CBOR_MAP,   /* n pairs, or indefinite */
	CBOR_TAG,   /* n; its item comes next */
	CBOR_BOOL,  /* n: 0 or 1 */
	CBOR_NULL,  /* undefined too */
	CBOR_FLOAT, /* d */
	CBOR_BREAK, /* the end of something indefinite: only cbor_more() may meet it */
};

struct cbor_item {
	enum cbor_kind kind;
	bool indefinite;
	uint64_t n;
	double d;
	struct str text;
};
struct cbor_reader {
	struct arena *arena;
	const unsigned char *begin, *next, *end;
	const char *error;
	size_t at;      /* byte offset of the last item or of the error */
	uint32_t depth; /* open arrays and maps, by cbor_enter() */
};

void cbor_reader_init(struct cbor_reader *r, struct arena *a, struct str bytes);
/* The next item's head; a CBOR_BREAK where an item must stand is an error. */
struct cbor_item cbor_next(struct cbor_reader *r);
/* Walking an array or map: struct cbor_walk w = cbor_enter(r, &item); while (cbor_more(r, &w)) read one element or one pair.
 * After the loop r->error tells whether it ended well. */
struct cbor_walk {
	uint64_t left;
	bool indefinite;
};
struct cbor_walk cbor_enter(struct cbor_reader *r, const struct cbor_item *item);
bool cbor_more(struct cbor_reader *r, struct cbor_walk *w);
/* Passes over the rest of the item whose head was just read; false: an error in it. */
bool cbor_skip(struct cbor_reader *r, const struct cbor_item *item);
/* Is everything read, without error? */
bool cbor_done(const struct cbor_reader *r);
/* The integer value of a CBOR_UINT or CBOR_NINT; false: neither, or out of range. */
bool cbor_to_int(const struct cbor_item *item, int64_t *ret);

void cbor_put_head(struct buf *b, unsigned major, uint64_t n);
void cbor_put_int(struct buf *b, int64_t v);
void cbor_put_text(struct buf *b, struct str s);
void cbor_put_bytes(struct buf *b, struct str s);
static inline void cbor_put_array(struct buf *b, uint64_t n)
{
	cbor_put_head(b, 4, n);
}
static inline void cbor_put_map(struct buf *b, uint64_t pairs)
{
	cbor_put_head(b, 5, pairs);
}
static inline void cbor_put_tag(struct buf *b, uint64_t tag)
{
	cbor_put_head(b, 6, tag);
}
void cbor_put_bool(struct buf *b, bool v);
void cbor_put_null(struct buf *b);
/* In 32 bits where that loses nothing, else in 64. */
void cbor_put_double(struct buf *b, double v);
void cbor_put_float(struct buf *b, float v);

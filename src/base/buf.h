/* A growable byte buffer with a maximum given when it is made.
 *
 * Appending past the maximum sets the sticky `overflow` flag and drops the bytes; the caller checks
 * once, when the result is used. Memory comes from malloc and belongs to the buffer until buf_done()
 * or buf_take(). */
#pragma once
#include "base/str.h"

#include <stdarg.h>

struct buf {
	char *p;
	size_t n, cap;
	size_t max_bytes;
	bool overflow;
};

void buf_init(struct buf *b, size_t max_bytes);
void buf_done(struct buf *b); /* safe on a zeroed or done buffer */
static inline void buf_clear(struct buf *b)
{
	b->n = 0;
	b->overflow = false;
}
static inline struct str buf_str(const struct buf *b)
{
	return str_of(b->p ? b->p : "", b->n);
}

void buf_add(struct buf *b, const void *p, size_t n);
static inline void buf_add_str(struct buf *b, struct str s)
{
	buf_add(b, s.p, s.n);
}
void buf_add_char(struct buf *b, char c);
#define buf_add_lit(b, lit) buf_add((b), "" lit, sizeof(lit) - 1)
__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *b, const char *fmt, ...);
/* Room for at least n more bytes, or NULL when that would cross the maximum; say with buf_grew() how many were used. */
char *buf_room(struct buf *b, size_t n);
static inline void buf_grew(struct buf *b, size_t n)
{
	b->n += n;
}
/* Removes the first n bytes. */
void buf_consume(struct buf *b, size_t n);
/* The bytes, now the caller's to free(); the buffer is empty afterwards. NULL when it never held any. */
char *buf_take(struct buf *b, size_t *ret_n);

static inline void buf_cleanup(struct buf *b)
{
	buf_done(b);
}
#define CLEAN_BUF __attribute__((cleanup(buf_cleanup)))

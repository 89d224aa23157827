#include "base/buf.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *b, size_t max_bytes)
{
	*b = (struct buf){.max_bytes = max_bytes};
}

void buf_done(struct buf *b)
{
	free(b->p);
	*b = (struct buf){.max_bytes = b->max_bytes};
}

char *buf_room(struct buf *b, size_t n)
{
	size_t need;
	if (__builtin_add_overflow(b->n, n, &need) || need > b->max_bytes) {
		b->overflow = true;
		return NULL;
	}
	if (need > b->cap) {
		size_t cap = b->cap ? b->cap : 256;
		while (cap < need)
			cap += cap;
		if (cap > b->max_bytes)
			cap = b->max_bytes;
		char *p = realloc(b->p, cap);
		if (!p)
			die("out of memory (buffer of %zu bytes)", cap);
		b->p = p;
		b->cap = cap;
	}
	return b->p + b->n;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	char *to = buf_room(b, n);
	if (to) {
		memcpy(to, p, n);
		b->n += n;
	}
}

void buf_add_char(struct buf *b, char c)
{
	if (b->n < b->cap)
		b->p[b->n++] = c;
	else
		buf_add(b, &c, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		die("vsnprintf: bad format");
	char *to = buf_room(b, (size_t)n + 1);
	if (!to)
		return;
	va_start(ap, fmt);
	vsnprintf(to, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)n;
}

void buf_consume(struct buf *b, size_t n)
{
	if (n >= b->n) {
		b->n = 0;
		return;
	}
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

char *buf_take(struct buf *b, size_t *ret_n)
{
	char *p = b->p;
	*ret_n = b->n;
	b->p = NULL;
	b->n = b->cap = 0;
	return p;
}

#include "base/arena.h"

#include "base/log.h"
#include "base/sanitized.h"

#include <stdio.h>
#include <stdlib.h>

#define ARENA_SEPARATE SANITIZED /* every piece is its own malloc, so that the sanitizer sees overruns */

enum { CHUNK_MIN = 4096 - 64, CHUNK_MAX = 256 * 1024, ALIGN = 16 };

struct arena_chunk {
	struct arena_chunk *next;
	size_t size;
	_Alignas(ALIGN) char data[];
};

void arena_init(struct arena *a, size_t limit_bytes)
{
	*a = (struct arena){.limit_bytes = limit_bytes};
}

static void chunks_free(struct arena_chunk *c)
{
	while (c) {
		struct arena_chunk *next = c->next;
		free(c);
		c = next;
	}
}

void arena_reset(struct arena *a)
{
	/* The first chunk is the smallest; keeping it bounds what an idle arena holds. */
	struct arena_chunk *keep = NULL;
	if (!ARENA_SEPARATE && a->head) {
		struct arena_chunk **last = &a->head;
		while ((*last)->next)
			last = &(*last)->next;
		keep = *last;
		*last = NULL;
	}
	chunks_free(a->head);
	a->head = keep;
	a->at = keep ? keep->data : NULL;
	a->end = keep ? keep->data + keep->size : NULL;
	a->used_bytes = 0;
	a->overflow = false;
}

void arena_done(struct arena *a)
{
	chunks_free(a->head);
	*a = (struct arena){.limit_bytes = a->limit_bytes, .first_bytes = a->first_bytes};
}

static void arena_grow(struct arena *a, size_t n)
{
	size_t size = a->head ? a->head->size * 2 : a->first_bytes ? a->first_bytes : CHUNK_MIN;
	if (size > CHUNK_MAX)
		size = CHUNK_MAX;
	if (size < n || ARENA_SEPARATE)
		size = n;
	struct arena_chunk *c = malloc(sizeof(*c) + size);
	if (!c)
		die("out of memory (arena of %zu bytes)", a->used_bytes);
	c->next = a->head;
	c->size = size;
	a->head = c;
	a->at = c->data;
	a->end = c->data + size;
}

void *arena_alloc(struct arena *a, size_t n)
{
	size_t want = ARENA_SEPARATE ? n : (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (want < n)
		die("arena allocation of %zu bytes", n);
	a->used_bytes += want;
	if (a->limit_bytes && a->used_bytes > a->limit_bytes)
		a->overflow = true;
	if (ARENA_SEPARATE || !a->at || (size_t)(a->end - a->at) < want)
		arena_grow(a, want);
	void *p = a->at;
	a->at += want;
	return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
	return memset(arena_alloc(a, n), 0, n);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
	size_t n;
	if (__builtin_mul_overflow(count, size, &n))
		die("arena array of %zu x %zu bytes", count, size);
	return arena_zalloc(a, n);
}

bool arena_owns(const struct arena *a, const void *p)
{
	const char *at = p;
	for (const struct arena_chunk *c = a->head; c; c = c->next)
		if (at >= c->data && at < c->data + c->size)
			return true;
	return false;
}

struct str arena_dup(struct arena *a, struct str s)
{
	if (!str_set(s))
		return s;
	char *p = arena_alloc(a, s.n + 1);
	memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return str_of(p, s.n);
}

char *arena_dupz(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);
	if (s.n)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

struct str arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	/* Most texts fit where the next piece will lie, and are written once. */
	char *here = a->at;
	size_t room = ARENA_SEPARATE || !here ? 0 : (size_t)(a->end - here);
	int n = vsnprintf(here, room, fmt, ap);
	if (n < 0)
		die("vsnprintf: bad format");
	char *p = arena_alloc(a, (size_t)n + 1);
	if (p != here || room == 0)
		vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return str_of(p, (size_t)n);
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str s = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return s;
}

struct str arena_cat(struct arena *a, const struct str *parts, size_t count)
{
	size_t n = 0;
	for (size_t i = 0; i < count; i++)
		n += parts[i].n;
	char *p = arena_alloc(a, n + 1), *at = p;
	for (size_t i = 0; i < count; i++) {
		if (parts[i].n)
			memcpy(at, parts[i].p, parts[i].n);
		at += parts[i].n;
	}
	*at = '\0';
	return str_of(p, n);
}

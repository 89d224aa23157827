/* Bump allocation with one lifetime: a request, a job, a parse.
 *
 * An arena grows in chunks and is freed or reset as a whole. Allocation never returns NULL: a process
 * that is out of memory aborts and is restarted. Arenas of requests carry a limit; crossing it sets
 * the sticky `overflow` flag and hands out memory all the same, so that the gate can answer with an
 * error at the next step instead of every caller checking. Not for use by two threads at once. */
#pragma once
#include "base/str.h"

#include <stdarg.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *head; /* the chunk in use; older ones are linked behind it */
	char *at, *end;           /* free space in the chunk in use */
	size_t used_bytes;        /* handed out since the last reset */
	size_t limit_bytes;       /* 0: none */
	size_t first_bytes;       /* the first chunk's size; 0: nearly a page */
	bool overflow;            /* limit_bytes was crossed */
};

void arena_init(struct arena *a, size_t limit_bytes);
/* Frees everything but one chunk, which is kept for the next use. */
void arena_reset(struct arena *a);
/* Frees everything. Safe on a zeroed or done arena. */
void arena_done(struct arena *a);

/* `n` bytes, uninitialised / zeroed, aligned for any type. */
void *arena_alloc(struct arena *a, size_t n);
void *arena_zalloc(struct arena *a, size_t n);
/* A zeroed array; aborts when count * size overflows. */
void *arena_array(struct arena *a, size_t count, size_t size);
#define arena_new(a, type) ((type *)arena_zalloc((a), sizeof(type)))
/* Does p point into memory of this arena? */
bool arena_owns(const struct arena *a, const void *p);

/* Copies; the copy is NUL-terminated behind its counted bytes. An absent str stays absent. */
struct str arena_dup(struct arena *a, struct str s);
char *arena_dupz(struct arena *a, struct str s);
__attribute__((format(printf, 2, 3))) struct str arena_printf(struct arena *a, const char *fmt, ...);
__attribute__((format(printf, 2, 0))) struct str arena_vprintf(struct arena *a, const char *fmt, va_list ap);
/* All the parts, one after the other; the list ends with STR_NONE. Use ARENA_CAT. */
struct str arena_cat(struct arena *a, const struct str *parts, size_t count);
#define ARENA_CAT(a, ...) \
	arena_cat((a), (const struct str[]){__VA_ARGS__}, sizeof((const struct str[]){__VA_ARGS__}) / sizeof(struct str))

static inline void arena_cleanup(struct arena *a)
{
	arena_done(a);
}
/* struct arena CLEAN_ARENA a; */
#define CLEAN_ARENA __attribute__((cleanup(arena_cleanup)))

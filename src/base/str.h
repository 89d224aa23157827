/* Counted strings.
 *
 * `struct str` is a view: it owns nothing and lives as long as the bytes it points at (a request's
 * arena, a constant, a mapped record). Bytes may be anything; a terminating NUL is never assumed.
 * p == NULL means "absent", which is different from an empty string and is how optional members
 * of requests and replies say that they were not given. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *p;
	size_t n;
};

#define STR_NONE ((struct str){0})
/* A constant string literal as a str. */
#define S(lit) ((struct str){.p = "" lit, .n = sizeof(lit) - 1})
/* The same, usable in static initialisers. */
#define S_INIT(lit) \
	{ \
		.p = "" lit, .n = sizeof(lit) - 1 \
	}
/* printf("%.*s", STR_ARG(s)) */
#define STR_ARG(s) (int)(s).n, ((s).p ? (s).p : "")

static inline struct str str_from(const char *z)
{
	return (struct str){.p = z, .n = z ? strlen(z) : 0};
}
static inline struct str str_of(const void *p, size_t n)
{
	return (struct str){.p = p, .n = n};
}
static inline bool str_set(struct str s)
{
	return s.p != NULL;
}
static inline bool str_empty(struct str s)
{
	return s.n == 0;
}

static inline bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool str_is(struct str a, const char *z)
{
	return str_eq(a, str_from(z));
}
bool str_ieq(struct str a, struct str b); /* ASCII case-insensitive */
/* Byte order, shorter first on a common prefix: the order of store keys and S3 listings. */
int str_cmp(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_istarts(struct str s, struct str prefix);

/* Offset of the first c, or -1. */
ptrdiff_t str_find_char(struct str s, char c);
ptrdiff_t str_rfind_char(struct str s, char c);
/* Offset of the first needle, or -1; an empty needle is found at 0. */
ptrdiff_t str_find(struct str s, struct str needle);

/* The part from `from` on, or up to `n` bytes of it; clamps at the ends, never fails. */
struct str str_from_at(struct str s, size_t from);
struct str str_sub(struct str s, size_t from, size_t n);
/* Without ASCII white space at both ends. */
struct str str_trim(struct str s);
/* Cuts *s at the first sep: returns what is before it and leaves in *s what is after it. Without a sep
 * it returns all and *s becomes absent, so `while (str_set(rest)) part = str_cut(&rest, ',')` visits every part. */
struct str str_cut(struct str *s, char sep);

/* Whole-string decimal parse; false on anything else (signs only where the type has them), *ret untouched. */
bool str_to_i64(struct str s, int64_t *ret);
bool str_to_u64(struct str s, uint64_t *ret);
bool str_to_double(struct str s, double *ret);

/* Glob with * and ?, as IAM and S3 use it: * spans every byte. Linear time in the usual case, never exponential. */
bool str_glob(struct str pattern, struct str text, bool fold_case);

/* Valid UTF-8 (no surrogates, no overlong forms)? */
bool str_is_utf8(struct str s);
/* Number of Unicode code points, counting each malformed byte as one: AWS length limits count these. */
size_t str_utf8_len(struct str s);

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}
static inline char ascii_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}
static inline bool ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}
static inline bool ascii_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static inline bool ascii_is_alnum(char c)
{
	return ascii_is_digit(c) || ascii_is_alpha(c);
}
static inline bool ascii_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

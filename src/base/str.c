#include "base/str.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

bool str_ieq(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

int str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int d = n ? memcmp(a.p, b.p, n) : 0;
	if (d)
		return d;
	return a.n < b.n ? -1 : a.n > b.n;
}

bool str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n && (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

bool str_istarts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_ieq(str_of(s.p, prefix.n), prefix);
}

ptrdiff_t str_find_char(struct str s, char c)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
	return at ? at - s.p : -1;
}

ptrdiff_t str_rfind_char(struct str s, char c)
{
	const char *at = s.n ? memrchr(s.p, c, s.n) : NULL;
	return at ? at - s.p : -1;
}

ptrdiff_t str_find(struct str s, struct str needle)
{
	if (needle.n == 0)
		return 0;
	const char *at = s.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
	return at ? at - s.p : -1;
}

struct str str_from_at(struct str s, size_t from)
{
	if (from > s.n)
		from = s.n;
	return (struct str){.p = s.p ? s.p + from : NULL, .n = s.n - from};
}

struct str str_sub(struct str s, size_t from, size_t n)
{
	s = str_from_at(s, from);
	if (n < s.n)
		s.n = n;
	return s;
}

struct str str_trim(struct str s)
{
	while (s.n && ascii_is_space(s.p[0]))
		s.p++, s.n--;
	while (s.n && ascii_is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

struct str str_cut(struct str *s, char sep)
{
	ptrdiff_t at = str_find_char(*s, sep);
	struct str head = *s;
	if (at < 0) {
		*s = STR_NONE;
		return head;
	}
	head.n = (size_t)at;
	*s = str_from_at(*s, (size_t)at + 1);
	return head;
}

bool str_to_u64(struct str s, uint64_t *ret)
{
	uint64_t v = 0;
	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_digit(s.p[i]))
			return false;
		if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			return false;
	}
	*ret = v;
	return true;
}

bool str_to_i64(struct str s, int64_t *ret)
{
	bool negative = s.n && s.p[0] == '-';
	if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
		s = str_from_at(s, 1);
	uint64_t v;
	if (!str_to_u64(s, &v) || v > (uint64_t)INT64_MAX + negative)
		return false;
	*ret = negative ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

bool str_to_double(struct str s, double *ret)
{
	char z[64];
	if (s.n == 0 || s.n >= sizeof(z) || ascii_is_space(s.p[0]))
		return false;
	memcpy(z, s.p, s.n);
	z[s.n] = '\0';
	char *end;
	double v = strtod(z, &end);
	if (end != z + s.n)
		return false;
	*ret = v;
	return true;
}

bool str_glob(struct str pattern, struct str text, bool fold_case)
{
	size_t p = 0, t = 0, star = SIZE_MAX, mark = 0;
	while (t < text.n) {
		char c = p < pattern.n ? pattern.p[p] : '\0';
		if (p < pattern.n && c == '*') {
			star = p++;
			mark = t;
		} else if (p < pattern.n &&
		           (c == '?' || c == text.p[t] || (fold_case && ascii_lower(c) == ascii_lower(text.p[t])))) {
			p++, t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++mark;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

/* Length of the UTF-8 sequence at s[i], or 0 when it is malformed. */
static size_t utf8_sequence(struct str s, size_t i)
{
	const unsigned char *u = (const unsigned char *)s.p + i;
	size_t left = s.n - i;
	if (u[0] < 0x80)
		return 1;
	if (u[0] >= 0xc2 && u[0] <= 0xdf)
		return left >= 2 && (u[1] & 0xc0) == 0x80 ? 2 : 0;
	if ((u[0] & 0xf0) == 0xe0) {
		if (left < 3 || (u[1] & 0xc0) != 0x80 || (u[2] & 0xc0) != 0x80)
			return 0;
		bool overlong = u[0] == 0xe0 && u[1] < 0xa0, surrogate = u[0] == 0xed && u[1] >= 0xa0;
		return overlong || surrogate ? 0 : 3;
	}
	if (u[0] >= 0xf0 && u[0] <= 0xf4) {
		if (left < 4 || (u[1] & 0xc0) != 0x80 || (u[2] & 0xc0) != 0x80 || (u[3] & 0xc0) != 0x80)
			return 0;
		bool overlong = u[0] == 0xf0 && u[1] < 0x90, beyond = u[0] == 0xf4 && u[1] >= 0x90;
		return overlong || beyond ? 0 : 4;
	}
	return 0;
}

bool str_is_utf8(struct str s)
{
	uint64_t word;
	for (size_t i = 0; i < s.n;) {
		/* Eight ASCII characters at once: nearly all that is ever asked about. */
		if (s.n - i >= sizeof(word)) {
			memcpy(&word, s.p + i, sizeof(word));
			if (!(word & UINT64_C(0x8080808080808080))) {
				i += sizeof(word);
				continue;
			}
		}
		size_t k = utf8_sequence(s, i);
		if (k == 0)
			return false;
		i += k;
	}
	return true;
}

size_t str_utf8_len(struct str s)
{
	size_t count = 0;
	for (size_t i = 0; i < s.n; count++) {
		size_t k = utf8_sequence(s, i);
		i += k ? k : 1;
	}
	return count;
}

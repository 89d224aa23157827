#include "base/base64.h"

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static size_t encode(const char *alphabet, bool pad, struct str s, char *out)
{
	const unsigned char *p = (const unsigned char *)s.p;
	char *o = out;
	size_t i = 0;
	for (; i + 3 <= s.n; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16 | (uint32_t)p[i + 1] << 8 | p[i + 2];
		*o++ = alphabet[v >> 18];
		*o++ = alphabet[v >> 12 & 63];
		*o++ = alphabet[v >> 6 & 63];
		*o++ = alphabet[v & 63];
	}
	if (i < s.n) {
		bool two = s.n - i == 2;
		uint32_t v = (uint32_t)p[i] << 16 | (two ? (uint32_t)p[i + 1] << 8 : 0);
		*o++ = alphabet[v >> 18];
		*o++ = alphabet[v >> 12 & 63];
		if (two)
			*o++ = alphabet[v >> 6 & 63];
		if (pad)
			*o++ = '=';
		if (pad && !two)
			*o++ = '=';
	}
	return (size_t)(o - out);
}

/* What a character stands for, and one more: 0 is none of the alphabet. */
#define LETTERS_AND_DIGITS \
	['A'] = 1, ['B'] = 2, ['C'] = 3, ['D'] = 4, ['E'] = 5, ['F'] = 6, ['G'] = 7, ['H'] = 8, ['I'] = 9, ['J'] = 10, ['K'] = 11, \
	['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, \
	['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, \
	['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, \
	['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49, ['x'] = 50, ['y'] = 51, \
	['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, \
	['9'] = 62
static const unsigned char of_standard[256] = {LETTERS_AND_DIGITS, ['+'] = 63, ['/'] = 64};
static const unsigned char of_url[256] = {LETTERS_AND_DIGITS, ['-'] = 63, ['_'] = 64};

static struct str decode(struct arena *a, const unsigned char *values, bool padded, struct str s)
{
	if (!str_set(s))
		return STR_NONE;
	size_t n = s.n, padding = 0;
	while (padding < 2 && n && s.p[n - 1] == '=') {
		n--;
		padding++;
	}
	if ((padded || padding) ? s.n % 4 != 0 : n % 4 == 1)
		return STR_NONE;
	char *out = arena_alloc(a, n / 4 * 3 + 4), *o = out;
	const unsigned char *p = (const unsigned char *)s.p;
	uint32_t v = 0, bits = 0;
	size_t i = 0;
	for (; i + 4 <= n; i += 4) {
		uint32_t d0 = values[p[i]], d1 = values[p[i + 1]], d2 = values[p[i + 2]], d3 = values[p[i + 3]];
		if (!d0 || !d1 || !d2 || !d3)
			return STR_NONE;
		uint32_t three = (d0 - 1) << 18 | (d1 - 1) << 12 | (d2 - 1) << 6 | (d3 - 1);
		*o++ = (char)(three >> 16);
		*o++ = (char)(three >> 8);
		*o++ = (char)three;
	}
	for (; i < n; i++) {
		uint32_t d = values[p[i]];
		if (!d)
			return STR_NONE;
		v = v << 6 | (d - 1);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			*o++ = (char)(v >> bits);
			v &= (1u << bits) - 1;
		}
	}
	/* "QQ==" leaves four bits over, "QQ=" is cut short and "QR==" holds bits that no byte has. */
	if (v || bits == 6 || padding > (bits == 4 ? 2u : bits == 2 ? 1u : 0u))
		return STR_NONE;
	*o = '\0';
	return str_of(out, (size_t)(o - out));
}

void base64_put(struct buf *b, struct str bytes)
{
	char *room = buf_room(b, (bytes.n + 2) / 3 * 4);
	if (room)
		buf_grew(b, encode(standard, true, bytes, room));
}

struct str base64_encode(struct arena *a, struct str bytes)
{
	char *out = arena_alloc(a, (bytes.n + 2) / 3 * 4 + 1);
	return str_of(out, encode(standard, true, bytes, out));
}

struct str base64url_encode(struct arena *a, struct str bytes)
{
	char *out = arena_alloc(a, (bytes.n + 2) / 3 * 4 + 1);
	return str_of(out, encode(url, false, bytes, out));
}

struct str base64_decode(struct arena *a, struct str text)
{
	return decode(a, of_standard, true, text);
}

struct str base64url_decode(struct arena *a, struct str text)
{
	return decode(a, of_url, false, text);
}

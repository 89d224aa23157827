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

static int digit(const char *alphabet, char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (ascii_is_digit(c))
		return c - '0' + 52;
	return c == alphabet[62] ? 62 : c == alphabet[63] ? 63 : -1;
}

static struct str decode(struct arena *a, const char *alphabet, bool padded, struct str s)
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
	uint32_t v = 0, bits = 0;
	for (size_t i = 0; i < n; i++) {
		int d = digit(alphabet, s.p[i]);
		if (d < 0)
			return STR_NONE;
		v = v << 6 | (uint32_t)d;
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
	return decode(a, standard, true, text);
}

struct str base64url_decode(struct arena *a, struct str text)
{
	return decode(a, url, false, text);
}

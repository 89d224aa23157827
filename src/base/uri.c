#include "base/uri.h"

static bool unreserved(char c)
{
	return ascii_is_alnum(c) || c == '-' || c == '_' || c == '.' || c == '~';
}

static size_t encode(struct str s, bool keep_slash, char *out)
{
	static const char hex[] = "0123456789ABCDEF";
	char *o = out;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (unreserved((char)c) || (keep_slash && c == '/')) {
			*o++ = (char)c;
		} else {
			*o++ = '%';
			*o++ = hex[c >> 4];
			*o++ = hex[c & 15];
		}
	}
	return (size_t)(o - out);
}

void uri_put(struct buf *b, struct str s, bool keep_slash)
{
	/* In pieces, so that the room asked for stays close to what is used. */
	enum { PIECE = 256 };
	for (size_t at = 0; at < s.n; at += PIECE) {
		char out[PIECE * 3];
		buf_add(b, out, encode(str_sub(s, at, PIECE), keep_slash, out));
	}
}

struct str uri_encode(struct arena *a, struct str s, bool keep_slash)
{
	char *out = arena_alloc(a, s.n * 3 + 1);
	return str_of(out, encode(s, keep_slash, out));
}

static int hex_digit(char c)
{
	c = ascii_lower(c);
	return ascii_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct str decode(struct arena *a, struct str s, bool plus)
{
	size_t i = 0;
	while (i < s.n && s.p[i] != '%' && !(plus && s.p[i] == '+'))
		i++;
	if (i == s.n)
		return str_set(s) ? s : S("");
	char *out = arena_alloc(a, s.n + 1), *o = out;
	memcpy(o, s.p, i);
	for (o += i; i < s.n; i++) {
		if (s.p[i] == '+' && plus) {
			*o++ = ' ';
		} else if (s.p[i] == '%') {
			int high = i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1, low = i + 2 < s.n ? hex_digit(s.p[i + 2]) : -1;
			if (high < 0 || low < 0)
				return STR_NONE;
			*o++ = (char)(high << 4 | low);
			i += 2;
		} else {
			*o++ = s.p[i];
		}
	}
	*o = '\0';
	return str_of(out, (size_t)(o - out));
}

struct str uri_decode(struct arena *a, struct str s)
{
	return decode(a, s, false);
}

struct str uri_decode_form(struct arena *a, struct str s)
{
	return decode(a, s, true);
}

bool uri_next_part(struct str *rest, struct uri_part *ret)
{
	while (str_set(*rest)) {
		struct str value = str_cut(rest, '&');
		if (str_empty(value))
			continue;
		struct str name = str_cut(&value, '=');
		*ret = (struct uri_part){.name = name, .value = str_set(value) ? value : S(""), .has_value = str_set(value)};
		return true;
	}
	return false;
}

struct str uri_normalize_path(struct arena *a, struct str path)
{
	char *out = arena_alloc(a, path.n + 2), *o = out;
	struct str rest = path;
	bool slash = false; /* does the result end as a folder? */
	while (str_set(rest)) {
		struct str segment = str_cut(&rest, '/');
		slash = str_empty(segment) || str_is(segment, ".") || str_is(segment, "..");
		if (str_is(segment, "..")) {
			while (o > out && *--o != '/')
				;
		} else if (!slash) {
			*o++ = '/';
			memcpy(o, segment.p, segment.n);
			o += segment.n;
		}
	}
	if (slash || o == out)
		*o++ = '/';
	return str_of(out, (size_t)(o - out));
}

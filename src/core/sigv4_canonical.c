/* Canonical requests, built in one pass into one piece of the arena that is sized beforehand: every byte of path and query becomes
 * at most three, headers do not grow. */
#include "core/sigv4_canonical.h"

#include <stdlib.h>

static const char upper_hex[] = "0123456789ABCDEF";

/* 1: stays as it is in URIs. */
static const unsigned char unreserved[256] = {
        ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1, ['0' ... '9'] = 1, ['-'] = 1, ['_'] = 1, ['.'] = 1, ['~'] = 1,
};

static inline int hex_digit(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static inline char *put(char *out, struct str s)
{
	if (s.n)
		memcpy(out, s.p, s.n);
	return out + s.n;
}

static inline char *put_encoded(char *out, unsigned char c)
{
	if (unreserved[c]) {
		*out++ = (char)c;
		return out;
	}
	*out++ = '%';
	*out++ = upper_hex[c >> 4];
	*out++ = upper_hex[c & 15];
	return out;
}

char *sigv4_encode(char *out, struct str s, bool keep_slash)
{
	for (size_t i = 0; i < s.n; i++) {
		if (keep_slash && s.p[i] == '/')
			*out++ = '/';
		else
			out = put_encoded(out, (unsigned char)s.p[i]);
	}
	return out;
}

/* Encoded the way AWS encodes, whatever way it came encoded. An encoded slash stays encoded: it is no separator. */
static char *put_recoded(char *out, struct str s, bool path)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c == '%' && i + 2 < s.n && hex_digit(s.p[i + 1]) >= 0 && hex_digit(s.p[i + 2]) >= 0) {
			out = put_encoded(out, (unsigned char)(hex_digit(s.p[i + 1]) << 4 | hex_digit(s.p[i + 2])));
			i += 2;
		} else if (path && c == '/') {
			*out++ = '/';
		} else if (!path && c == '+') {
			out = put(out, S("%20"));
		} else {
			out = put_encoded(out, (unsigned char)c);
		}
	}
	return out;
}

/* Everything but S3: empty and dot segments removed, then the path as it came is encoded once more. */
static char *put_normal_path(char *out, struct str path)
{
	char *begin = out;
	struct str rest = path;
	bool slash = false;
	*out++ = '/';
	while (str_set(rest)) {
		struct str part = str_cut(&rest, '/');
		slash = false;
		if (part.n == 0 || str_is(part, ".")) {
			slash = true;
		} else if (str_is(part, "..")) {
			/* Back to behind the slash before the last segment. */
			if (out > begin + 1)
				out--;
			while (out > begin + 1 && out[-1] != '/')
				out--;
			slash = true;
		} else {
			out = sigv4_encode(out, part, false);
			*out++ = '/';
		}
	}
	/* A slash stays at the end only where one was given. */
	if (!slash && out > begin + 1)
		out--;
	return out;
}

struct pair {
	struct str name, value;
};

static int pair_compare(const void *x, const void *y)
{
	const struct pair *a = x, *b = y;
	int c = str_cmp(a->name, b->name);
	return c ? c : str_cmp(a->value, b->value);
}

static char *put_query(struct arena *a, char *out, struct str query)
{
	if (query.n == 0)
		return out;
	size_t count = 1;
	for (size_t i = 0; i < query.n; i++)
		count += query.p[i] == '&';
	struct pair few[24], *pairs = count <= 24 ? few : arena_alloc(a, count * sizeof(*pairs));
	char *scratch = arena_alloc(a, 3 * query.n + 1);
	size_t n = 0;
	bool sorted = true;
	struct str rest = query;
	while (str_set(rest)) {
		struct str value = str_cut(&rest, '&');
		if (value.n == 0)
			continue;
		struct str name = str_cut(&value, '=');
		char *end = put_recoded(scratch, name, false);
		pairs[n].name = str_of(scratch, (size_t)(end - scratch));
		scratch = end;
		end = put_recoded(scratch, value, false);
		pairs[n].value = str_of(scratch, (size_t)(end - scratch));
		scratch = end;
		if (str_is(pairs[n].name, "X-Amz-Signature"))
			continue;
		sorted = sorted && (n == 0 || pair_compare(&pairs[n - 1], &pairs[n]) <= 0);
		n++;
	}
	if (!sorted)
		qsort(pairs, n, sizeof(*pairs), pair_compare);
	for (size_t i = 0; i < n; i++) {
		if (i)
			*out++ = '&';
		out = put(out, pairs[i].name);
		*out++ = '=';
		out = put(out, pairs[i].value);
	}
	return out;
}

/* A value without space around it and with single spaces inside. */
static char *put_value(char *out, struct str v)
{
	v = str_trim(v);
	bool space = false;
	for (size_t i = 0; i < v.n; i++) {
		bool now = ascii_is_space(v.p[i]);
		if (!now)
			*out++ = v.p[i];
		else if (!space)
			*out++ = ' ';
		space = now;
	}
	return out;
}

static inline bool names(const struct sigv4_header *h, struct str lower)
{
	if (h->name.n != lower.n)
		return false;
	for (size_t i = 0; i < lower.n; i++)
		if (ascii_lower(h->name.p[i]) != lower.p[i])
			return false;
	return true;
}

struct str sigv4_header(const struct sigv4_request *r, struct str name)
{
	for (unsigned i = 0; i < r->header_count; i++)
		if (names(&r->headers[i], name))
			return r->headers[i].value;
	return STR_NONE;
}

static char *put_headers(char *out, const struct sigv4_request *r, struct str signed_headers)
{
	struct str rest = signed_headers;
	while (str_set(rest)) {
		struct str name = str_cut(&rest, ';');
		out = put(out, name);
		*out++ = ':';
		bool first = true;
		for (unsigned i = 0; i < r->header_count; i++) {
			if (!names(&r->headers[i], name))
				continue;
			if (!first)
				*out++ = ',';
			first = false;
			out = put_value(out, r->headers[i].value);
		}
		*out++ = '\n';
	}
	return out;
}

/* A name that is signed twice brings its values twice, so the size counts what really goes in. */
static size_t headers_size(const struct sigv4_request *r, struct str signed_headers)
{
	size_t n = signed_headers.n + 2;
	struct str rest = signed_headers;
	while (str_set(rest)) {
		struct str name = str_cut(&rest, ';');
		n += 2;
		for (unsigned i = 0; i < r->header_count; i++)
			if (names(&r->headers[i], name))
				n += r->headers[i].value.n + 1;
	}
	return n;
}

struct str sigv4_canonical(struct arena *a, const struct sigv4_request *r, struct str signed_headers, struct str payload_hash,
                           bool s3)
{
	size_t room = r->method.n + 3 * r->path.n + 3 * r->query.n + headers_size(r, signed_headers) + signed_headers.n +
	              payload_hash.n + 64;
	/* Every pair of the query may gain a '='. */
	for (size_t i = 0; i < r->query.n; i++)
		room += r->query.p[i] == '&';
	char *begin = arena_alloc(a, room), *out = begin;
	out = put(out, r->method);
	*out++ = '\n';
	if (r->path.n == 0)
		*out++ = '/';
	else
		out = s3 ? put_recoded(out, r->path, true) : put_normal_path(out, r->path);
	*out++ = '\n';
	out = put_query(a, out, r->query);
	*out++ = '\n';
	out = put_headers(out, r, signed_headers);
	*out++ = '\n';
	out = put(out, signed_headers);
	*out++ = '\n';
	out = put(out, payload_hash);
	return str_of(begin, (size_t)(out - begin));
}

struct str sigv4_string_to_sign(struct arena *a, struct str timestamp, struct str scope, struct str canonical)
{
	char *begin = arena_alloc(a, 20 + timestamp.n + scope.n + 68), *out = begin;
	out = put(out, S("AWS4-HMAC-SHA256\n"));
	out = put(out, timestamp);
	*out++ = '\n';
	out = put(out, scope);
	*out++ = '\n';
	sigv4_sha256_hex(canonical, out);
	return str_of(begin, (size_t)(out + 64 - begin));
}

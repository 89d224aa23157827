/* The pull parser is a small pushdown automaton: `expect` says which tokens may come, one bit per depth
 * says whether the enclosing value is an object. Nothing recurses, so depth costs no stack. */
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { EXPECT_VALUE, EXPECT_FIRST_VALUE, EXPECT_KEY, EXPECT_FIRST_KEY, EXPECT_COMMA, EXPECT_NOTHING };

void json_reader_init(struct json_reader *r, struct arena *a, struct str text, uint32_t depth_max)
{
	*r = (struct json_reader){
	        .arena = a,
	        .begin = text.p,
	        .next = text.p,
	        .end = text.p + text.n,
	        .depth_max = depth_max ? depth_max < JSON_DEPTH_CAP ? depth_max : JSON_DEPTH_CAP : JSON_DEPTH_MAX,
	        .expect = EXPECT_VALUE,
	};
}

static enum json_token reader_fail(struct json_reader *r, const char *at, const char *why)
{
	if (!r->error) {
		r->error = why;
		r->at = (size_t)(at - r->begin);
	}
	return JSON_ERROR;
}

static void reader_skip_space(struct json_reader *r)
{
	while (r->next < r->end && (*r->next == ' ' || *r->next == '\n' || *r->next == '\r' || *r->next == '\t'))
		r->next++;
}

/* Length of the well-formed UTF-8 sequence at p, or 0. */
static size_t utf8_sequence(const unsigned char *p, size_t n)
{
	size_t want;
	unsigned char low = 0x80, high = 0xbf;
	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		want = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		want = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		want = 4;
	else
		return 0;
	if (n < want)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0; /* overlong */
	else if (p[0] == 0xed)
		high = 0x9f; /* surrogates */
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f; /* above U+10FFFF */
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < want; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return want;
}

static int hex4(const char *p)
{
	int v = 0;
	for (int i = 0; i < 4; i++) {
		char c = ascii_lower(p[i]);
		if (ascii_is_digit(c))
			v = v * 16 + (c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v * 16 + (c - 'a' + 10);
		else
			return -1;
	}
	return v;
}

static char *put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
		*out++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*out++ = (char)(0xe0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	} else {
		*out++ = (char)(0xf0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	}
	return out;
}

/* Decodes the escapes of a string that was checked up to its closing quote; the result is never longer than the source. */
static bool string_unescape(struct json_reader *r, const char *from, const char *to)
{
	char *start = arena_alloc(r->arena, (size_t)(to - from) + 1), *out = start;
	for (const char *p = from; p < to;) {
		if (*p != '\\') {
			*out++ = *p++;
			continue;
		}
		static const char escapes[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
		const char *e = escapes;
		while (*e && *e != p[1])
			e += 2;
		if (*e) {
			*out++ = e[1];
			p += 2;
			continue;
		}
		int c = p[1] == 'u' && to - p >= 6 ? hex4(p + 2) : -1;
		if (c < 0)
			return reader_fail(r, p, "invalid escape in string");
		p += 6;
		if (c >= 0xdc00 && c <= 0xdfff)
			return reader_fail(r, p - 6, "unpaired surrogate in string");
		if (c >= 0xd800 && c <= 0xdbff) {
			int low = to - p >= 6 && p[0] == '\\' && p[1] == 'u' ? hex4(p + 2) : -1;
			if (low < 0xdc00 || low > 0xdfff)
				return reader_fail(r, p - 6, "unpaired surrogate in string");
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			p += 6;
		}
		out = put_utf8(out, (uint32_t)c);
	}
	*out = '\0';
	r->text = str_of(start, (size_t)(out - start));
	return true;
}

/* The string whose opening quote stands at r->next, into r->text. */
static bool reader_string(struct json_reader *r)
{
	const char *from = r->next + 1, *p = from;
	bool escapes = false;
	for (;;) {
		if (p >= r->end)
			return reader_fail(r, p, "string without an end");
		unsigned char c = (unsigned char)*p;
		if (c == '"')
			break;
		if (c == '\\') {
			escapes = true;
			p++;
			if (p >= r->end)
				return reader_fail(r, p, "string without an end");
			p++;
			continue;
		}
		if (c < 0x20)
			return reader_fail(r, p, "control character in string");
		size_t n = utf8_sequence((const unsigned char *)p, (size_t)(r->end - p));
		if (!n)
			return reader_fail(r, p, "malformed UTF-8 in string");
		p += n;
	}
	r->next = p + 1;
	if (escapes)
		return string_unescape(r, from, p);
	r->text = str_of(from, (size_t)(p - from));
	return true;
}

static const char *digits(const char *p, const char *end)
{
	while (p < end && ascii_is_digit(*p))
		p++;
	return p;
}

static bool reader_number(struct json_reader *r)
{
	const char *p = r->next, *d;
	if (*p == '-')
		p++;
	d = digits(p, r->end);
	if (d == p || (*p == '0' && d - p > 1))
		return reader_fail(r, r->next, "invalid number");
	p = d;
	if (p < r->end && *p == '.') {
		d = digits(p + 1, r->end);
		if (d == p + 1)
			return reader_fail(r, r->next, "invalid number");
		p = d;
	}
	if (p < r->end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < r->end && (*p == '+' || *p == '-'))
			p++;
		d = digits(p, r->end);
		if (d == p)
			return reader_fail(r, r->next, "invalid number");
		p = d;
	}
	r->text = str_of(r->next, (size_t)(p - r->next));
	r->next = p;
	return true;
}

static bool reader_in_object(const struct json_reader *r)
{
	return r->depth && (r->objects[(r->depth - 1) / 64] >> ((r->depth - 1) % 64) & 1);
}

static void reader_ended_value(struct json_reader *r)
{
	r->expect = r->depth ? EXPECT_COMMA : EXPECT_NOTHING;
}

static enum json_token reader_open(struct json_reader *r, bool object)
{
	if (r->depth >= r->depth_max)
		return reader_fail(r, r->next, "nested too deeply");
	uint64_t bit = 1ull << (r->depth % 64), *word = &r->objects[r->depth / 64];
	*word = object ? *word | bit : *word & ~bit;
	r->depth++;
	r->next++;
	r->expect = object ? EXPECT_FIRST_KEY : EXPECT_FIRST_VALUE;
	return object ? JSON_OBJECT : JSON_ARRAY;
}

static enum json_token reader_close(struct json_reader *r)
{
	bool object = reader_in_object(r);
	r->next++;
	r->depth--;
	reader_ended_value(r);
	return object ? JSON_OBJECT_END : JSON_ARRAY_END;
}

static enum json_token reader_literal(struct json_reader *r, const char *word, size_t n, enum json_token t)
{
	if ((size_t)(r->end - r->next) < n || memcmp(r->next, word, n) != 0)
		return reader_fail(r, r->next, "unexpected character");
	r->next += n;
	reader_ended_value(r);
	return t;
}

static enum json_token reader_value(struct json_reader *r)
{
	switch (*r->next) {
	case '{':
		return reader_open(r, true);
	case '[':
		return reader_open(r, false);
	case '"':
		if (!reader_string(r))
			return JSON_ERROR;
		reader_ended_value(r);
		return JSON_STRING;
	case 't':
		return reader_literal(r, "true", 4, JSON_TRUE);
	case 'f':
		return reader_literal(r, "false", 5, JSON_FALSE);
	case 'n':
		return reader_literal(r, "null", 4, JSON_NULL);
	default:
		if (*r->next != '-' && !ascii_is_digit(*r->next))
			return reader_fail(r, r->next, "unexpected character");
		if (!reader_number(r))
			return JSON_ERROR;
		reader_ended_value(r);
		return JSON_NUMBER;
	}
}

static enum json_token reader_key(struct json_reader *r)
{
	if (*r->next != '"')
		return reader_fail(r, r->next, "expected a member name");
	if (!reader_string(r))
		return JSON_ERROR;
	reader_skip_space(r);
	if (r->next >= r->end || *r->next != ':')
		return reader_fail(r, r->next, "expected ':'");
	r->next++;
	r->expect = EXPECT_VALUE;
	return JSON_KEY;
}

enum json_token json_next(struct json_reader *r)
{
	if (r->error)
		return JSON_ERROR;
	reader_skip_space(r);
	r->at = (size_t)(r->next - r->begin);
	if (r->expect == EXPECT_NOTHING)
		return r->next == r->end ? JSON_END : reader_fail(r, r->next, "text behind the value");
	if (r->next >= r->end)
		return reader_fail(r, r->next, "unexpected end");
	if (r->expect == EXPECT_COMMA) {
		if (*r->next == (reader_in_object(r) ? '}' : ']'))
			return reader_close(r);
		if (*r->next != ',')
			return reader_fail(r, r->next, "expected ',' or the end of the value");
		r->next++;
		reader_skip_space(r);
		r->at = (size_t)(r->next - r->begin);
		if (r->next >= r->end)
			return reader_fail(r, r->next, "unexpected end");
		r->expect = reader_in_object(r) ? EXPECT_KEY : EXPECT_VALUE;
	}
	switch (r->expect) {
	case EXPECT_FIRST_KEY:
		if (*r->next == '}')
			return reader_close(r);
		return reader_key(r);
	case EXPECT_KEY:
		return reader_key(r);
	case EXPECT_FIRST_VALUE:
		if (*r->next == ']')
			return reader_close(r);
		return reader_value(r);
	default:
		return reader_value(r);
	}
}

bool json_skip(struct json_reader *r, enum json_token first)
{
	if (first != JSON_OBJECT && first != JSON_ARRAY)
		return first != JSON_ERROR;
	uint32_t outside = r->depth - 1;
	while (r->depth > outside)
		if (json_next(r) == JSON_ERROR)
			return false;
	return true;
}

struct str json_raw_value(struct json_reader *r, enum json_token first)
{
	const char *from = r->begin + r->at;
	if (!json_skip(r, first))
		return STR_NONE;
	return str_of(from, (size_t)(r->next - from));
}

const char *json_token_name(enum json_token t)
{
	static const char *const names[] = {
	        [JSON_ERROR] = "ERROR",         [JSON_END] = "END",
	        [JSON_NULL] = "NULL_VALUE",     [JSON_TRUE] = "TRUE_VALUE",
	        [JSON_FALSE] = "FALSE_VALUE",   [JSON_NUMBER] = "NUMBER_VALUE",
	        [JSON_STRING] = "STRING_VALUE", [JSON_KEY] = "KEY",
	        [JSON_ARRAY] = "START_ARRAY",   [JSON_ARRAY_END] = "END_ARRAY",
	        [JSON_OBJECT] = "START_OBJECT", [JSON_OBJECT_END] = "END_OBJECT",
	};
	return names[t];
}

bool json_to_double(struct str number, double *ret)
{
	return str_to_double(number, ret);
}

bool json_to_int(struct str number, int64_t *ret)
{
	if (str_to_i64(number, ret))
		return true;
	double d;
	/* 2^63 is a double, the largest int64 is not. */
	if (!json_to_double(number, &d) || d != floor(d) || d < -9223372036854775808.0 || d >= 9223372036854775808.0)
		return false;
	*ret = (int64_t)d;
	return true;
}

#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void out_value(struct json_out *o)
{
	if (o->comma)
		buf_add_char(o->b, ',');
	o->comma = true;
}

void json_open(struct json_out *o, char bracket)
{
	out_value(o);
	buf_add_char(o->b, bracket);
	o->comma = false;
}

void json_close(struct json_out *o, char bracket)
{
	buf_add_char(o->b, bracket);
	o->comma = true;
}

void json_key(struct json_out *o, struct str key)
{
	out_value(o);
	json_put_string(o->b, key);
	buf_add_char(o->b, ':');
	o->comma = false;
}

void json_string(struct json_out *o, struct str s)
{
	out_value(o);
	if (str_set(s))
		json_put_string(o->b, s);
	else
		buf_add_lit(o->b, "null");
}

void json_int(struct json_out *o, int64_t v)
{
	out_value(o);
	json_put_int(o->b, v);
}

void json_double(struct json_out *o, double v)
{
	out_value(o);
	char text[32];
	if (isnan(v))
		buf_add_lit(o->b, "\"NaN\"");
	else if (isinf(v))
		buf_add_str(o->b, v < 0 ? S("\"-Infinity\"") : S("\"Infinity\""));
	else
		buf_add(o->b, text, json_double_to(text, v));
}

void json_bool(struct json_out *o, bool v)
{
	out_value(o);
	buf_add_str(o->b, v ? S("true") : S("false"));
}

void json_null(struct json_out *o)
{
	out_value(o);
	buf_add_lit(o->b, "null");
}

void json_raw(struct json_out *o, struct str json)
{
	out_value(o);
	buf_add_str(o->b, json);
}

/* Length of the UTF-8 sequence at p when it is well formed, else 0. */
static size_t sequence(struct str s, size_t at)
{
	for (size_t n = 2; n <= 4 && at + n <= s.n; n++)
		if (str_is_utf8(str_sub(s, at, n)))
			return n;
	return 0;
}

void json_put_string(struct buf *b, struct str s)
{
	static const char short_escape[32] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
	buf_add_char(b, '"');
	size_t plain = 0; /* where the bytes begin that are copied as they are */
	for (size_t i = 0; i < s.n;) {
		unsigned char c = (unsigned char)s.p[i];
		if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
			i++;
			continue;
		}
		if (c >= 0x80) {
			size_t n = sequence(s, i);
			if (n) {
				i += n;
				continue;
			}
		}
		buf_add(b, s.p + plain, i - plain);
		if (c >= 0x80)
			buf_add_lit(b, "\xef\xbf\xbd");
		else if (c >= 0x20)
			buf_add(b, (char[]){'\\', (char)c}, 2);
		else if (short_escape[c])
			buf_add(b, (char[]){'\\', short_escape[c]}, 2);
		else
			buf_printf(b, "\\u%04x", c);
		plain = ++i;
	}
	if (s.n > plain)
		buf_add(b, s.p + plain, s.n - plain);
	buf_add_char(b, '"');
}

void json_put_int(struct buf *b, int64_t v)
{
	char text[24], *p = text + sizeof(text);
	uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	do
		*--p = (char)('0' + u % 10);
	while (u /= 10);
	if (v < 0)
		*--p = '-';
	buf_add(b, p, (size_t)(text + sizeof(text) - p));
}

size_t json_double_to(char out[static 32], double v)
{
	for (int digits = 15;; digits++) {
		int n = snprintf(out, 32, "%.*g", digits, v);
		if (digits == 17 || strtod(out, NULL) == v)
			return (size_t)n;
	}
}

void json_put_value(struct buf *b, const struct json_value *v)
{
	bool comma = false;
	switch (v->kind) {
	case JSON_TRUE:
		buf_add_lit(b, "true");
		return;
	case JSON_FALSE:
		buf_add_lit(b, "false");
		return;
	case JSON_NUMBER:
		buf_add_str(b, v->text);
		return;
	case JSON_STRING:
		json_put_string(b, v->text);
		return;
	case JSON_ARRAY:
	case JSON_OBJECT:
		buf_add_char(b, v->kind == JSON_ARRAY ? '[' : '{');
		json_each(v, child)
		{
			if (comma)
				buf_add_char(b, ',');
			comma = true;
			if (v->kind == JSON_OBJECT) {
				json_put_string(b, child->key);
				buf_add_char(b, ':');
			}
			json_put_value(b, child);
		}
		buf_add_char(b, v->kind == JSON_ARRAY ? ']' : '}');
		return;
	default:
		buf_add_lit(b, "null");
		return;
	}
}

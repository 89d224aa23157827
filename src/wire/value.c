#include "wire/codec.h"

#include "base/clock.h"
#include "base/id.h"

#include <math.h>
#include <stdio.h>

void wire_pairs_add(struct arena *a, struct wire_pairs *pairs, struct str name, struct str value)
{
	if (pairs->n == pairs->cap) {
		uint32_t cap = pairs->cap ? pairs->cap * 2 : 8;
		struct wire_pair *grown = arena_array(a, cap, sizeof(*grown));
		if (pairs->n)
			memcpy(grown, pairs->v, pairs->n * sizeof(*grown));
		pairs->v = grown;
		pairs->cap = cap;
	}
	pairs->v[pairs->n++] = (struct wire_pair){name, value};
}

static struct str pairs_get(void *ctx, struct str name)
{
	const struct wire_pairs *pairs = ctx;
	for (uint32_t i = 0; i < pairs->n; i++)
		if (str_ieq(pairs->v[i].name, name))
			return pairs->v[i].value;
	return STR_NONE;
}

static bool pairs_at(void *ctx, size_t i, struct str *ret_name, struct str *ret_value)
{
	const struct wire_pairs *pairs = ctx;
	if (i >= pairs->n)
		return false;
	*ret_name = pairs->v[i].name;
	*ret_value = pairs->v[i].value;
	return true;
}

struct wire_headers wire_headers_of(const struct wire_pairs *pairs)
{
	return (struct wire_headers){.get = pairs_get, .at = pairs_at, .ctx = (void *)(uintptr_t)pairs};
}

bool wire_in_fail(struct wire_in *in, const char *fmt, ...)
{
	if (!str_set(in->fault)) {
		va_list ap;
		va_start(ap, fmt);
		in->fault = arena_vprintf(in->arena, fmt, ap);
		va_end(ap);
	}
	return false;
}

bool wire_in_full(struct wire_in *in)
{
	return in->arena->overflow && !wire_in_fail(in, "The request is too large to be processed");
}

bool value_present(const struct shape *s, const void *p)
{
	switch (s->kind) {
	case SHAPE_STRUCTURE:
		return true;
	case SHAPE_LIST:
	case SHAPE_MAP:
		return ((const struct any_list *)p)->set || ((const struct any_list *)p)->n;
	case SHAPE_BOOLEAN:
		return ((const struct opt_bool *)p)->set;
	case SHAPE_INTEGER:
	case SHAPE_LONG:
		return ((const struct opt_int *)p)->set;
	case SHAPE_FLOAT:
	case SHAPE_DOUBLE:
		return ((const struct opt_double *)p)->set;
	case SHAPE_TIMESTAMP:
		return ((const struct opt_time *)p)->set;
	default:
		return str_set(*(const struct str *)p);
	}
}

const void *member_value(const struct api *api, const struct member *m, const void *base)
{
	const struct shape *s = member_shape(api, m);
	const void *p = (const char *)base + m->offset;
	if (member_streams(api, m))
		return NULL;
	if (s->kind == SHAPE_STRUCTURE)
		return *(const void *const *)p;
	return value_present(s, p) ? p : NULL;
}

void *member_slot(struct wire_in *in, const struct member *m, void *base)
{
	const struct shape *s = member_shape(in->api, m);
	void *p = (char *)base + m->offset;
	if (s->kind != SHAPE_STRUCTURE)
		return p;
	return *(void **)p = arena_zalloc(in->arena, s->size);
}

static bool text_is(const char *z, struct str s)
{
	return strncmp(z, s.p, s.n) == 0 && z[s.n] == '\0';
}

const struct member *member_named(const struct api *api, const struct shape *s, struct str name, bool own_names, uint32_t *hint)
{
	/* Senders mostly keep an order of their own; looking on behind the last hit finds most at the first try. */
	uint32_t at = *hint;
	if (name.n && memchr(name.p, '\0', name.n))
		return NULL;
	for (uint32_t i = 0; i < s->members; i++, at++) {
		if (at >= s->members)
			at = 0;
		const struct member *m = shape_member(api, s, at);
		if (!text_is(api->text + (own_names ? m->name : m->wire_name), name))
			continue;
		if (!own_names && m->location != IN_BODY)
			continue;
		*hint = at + 1;
		return m;
	}
	return NULL;
}

bool value_double(struct str text, double *ret)
{
	if (str_is(text, "NaN"))
		*ret = (double)NAN;
	else if (str_is(text, "Infinity"))
		*ret = (double)INFINITY;
	else if (str_is(text, "-Infinity"))
		*ret = -(double)INFINITY;
	else
		return str_to_double(text, ret);
	return true;
}

static struct str time_text(const struct opt_time *t, enum member_time time, bool ms, char scratch[static VALUE_SCRATCH])
{
	static const enum time_format formats[] = {
	        [MT_DEFAULT] = TIME_ISO8601,
	        [MT_ISO8601] = TIME_ISO8601,
	        [MT_RFC822] = TIME_RFC822,
	        [MT_EPOCH] = TIME_EPOCH,
	};
	enum time_format format = formats[time];
	if (format == TIME_ISO8601 && ms)
		format = TIME_ISO8601_MS;
	return str_of(scratch, time_format_to(scratch, t->ms, format));
}

static struct str int_text(int64_t v, char scratch[static VALUE_SCRATCH])
{
	char *p = scratch + VALUE_SCRATCH;
	uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	do
		*--p = (char)('0' + u % 10);
	while (u /= 10);
	if (v < 0)
		*--p = '-';
	return str_of(p, (size_t)(scratch + VALUE_SCRATCH - p));
}

struct str value_text(struct arena *a, const struct member *m, const struct shape *s, const void *p, enum member_time time, bool ms,
                      char scratch[static VALUE_SCRATCH])
{
	switch (s->kind) {
	case SHAPE_BOOLEAN:
		return ((const struct opt_bool *)p)->v ? S("true") : S("false");
	case SHAPE_INTEGER:
	case SHAPE_LONG:
		return int_text(((const struct opt_int *)p)->v, scratch);
	case SHAPE_FLOAT:
	case SHAPE_DOUBLE: {
		double d = ((const struct opt_double *)p)->v;
		if (isnan(d))
			return S("NaN");
		if (isinf(d))
			return d < 0 ? S("-Infinity") : S("Infinity");
		size_t n = json_double_to(scratch, d);
		if (d == floor(d) && fabs(d) < 1e15) { /* 1.0, as AWS writes whole floating numbers in text */
			memcpy(scratch + n, ".0", 2);
			n += 2;
		}
		return str_of(scratch, n);
	}
	case SHAPE_TIMESTAMP:
		return time_text(p, m->time != MT_DEFAULT ? m->time : time, ms, scratch);
	case SHAPE_BLOB:
		return base64_encode(a, *(const struct str *)p);
	default:
		if ((m->flags & MEMBER_JSON_VALUE) || (s->flags & SHAPE_JSON_VALUE))
			return base64_encode(a, *(const struct str *)p);
		return *(const struct str *)p;
	}
}

static bool int_from_text(struct wire_in *in, const struct shape *s, struct str text, struct opt_int *ret)
{
	int64_t v;
	if (!str_to_i64(text, &v) || (s->kind == SHAPE_INTEGER && (v < INT32_MIN || v > INT32_MAX)))
		return wire_in_fail(in, "Value '%.*s' at '%.*s' is not a valid %s", STR_ARG(text), STR_ARG(in->where),
		                    s->kind == SHAPE_INTEGER ? "Integer" : "Long");
	*ret = OPT_INT(v);
	return true;
}

bool value_from_text(struct wire_in *in, const struct member *m, const struct shape *s, struct str text, enum member_time time,
                     void *p)
{
	struct str word = s->kind == SHAPE_STRING || s->kind == SHAPE_DOCUMENT ? text : str_trim(text);
	in->text = text;
	switch (s->kind) {
	case SHAPE_BOOLEAN:
		if (!str_is(word, "true") && !str_is(word, "false") &&
		    (in->strict || (!str_ieq(word, S("true")) && !str_ieq(word, S("false")))))
			return wire_in_fail(in, "Value '%.*s' at '%.*s' is not a valid Boolean", STR_ARG(text), STR_ARG(in->where));
		*(struct opt_bool *)p = OPT_BOOL(ascii_lower(word.p[0]) == 't');
		return true;
	case SHAPE_INTEGER:
	case SHAPE_LONG:
		return int_from_text(in, s, word, p);
	case SHAPE_FLOAT:
	case SHAPE_DOUBLE: {
		double d;
		if (!value_double(word, &d))
			return wire_in_fail(in, "Value '%.*s' at '%.*s' is not a valid Double", STR_ARG(text), STR_ARG(in->where));
		*(struct opt_double *)p = OPT_DOUBLE(d);
		return true;
	}
	case SHAPE_TIMESTAMP: {
		struct opt_time t = {.set = true};
		char scratch[VALUE_SCRATCH];
		enum member_time want = m->time != MT_DEFAULT ? m->time : time;
		if (!time_parse(word, &t.ms))
			return wire_in_fail(in, "Value '%.*s' at '%.*s' is not a valid timestamp", STR_ARG(text),
			                    STR_ARG(in->where));
		if (in->strict && !str_eq(word, time_text(&t, want, false, scratch)) &&
		    !str_eq(word, time_text(&t, want, true, scratch)))
			return wire_in_fail(in, "timestamp '%.*s' at '%.*s' is not in its format", STR_ARG(text),
			                    STR_ARG(in->where));
		*(struct opt_time *)p = t;
		return true;
	}
	default:
		if (s->kind == SHAPE_BLOB || (m->flags & MEMBER_JSON_VALUE) || (s->flags & SHAPE_JSON_VALUE)) {
			struct str bytes = base64_decode(in->arena, word);
			if (!str_set(bytes))
				return wire_in_fail(in, "Value at '%.*s' is not valid Base64", STR_ARG(in->where));
			*(struct str *)p = bytes;
			return true;
		}
		/* Stored records are CBOR, whose texts are UTF-8: what is not could be written but never read again. */
		if (!str_is_utf8(text))
			return wire_in_fail(in, "Value at '%.*s' is not valid UTF-8", STR_ARG(in->where));
		*(struct str *)p = text.p ? text : S("");
		return true;
	}
}

void wire_fill_tokens(struct wire_in *in, const struct shape *s, void *base)
{
	for (uint32_t i = 0; i < s->members; i++) {
		const struct member *m = shape_member(in->api, s, i);
		struct str *token = (struct str *)((char *)base + m->offset);
		if ((m->flags & MEMBER_TOKEN) && member_shape(in->api, m)->kind == SHAPE_STRING && !str_set(*token))
			*token = id_uuid(in->arena);
	}
}

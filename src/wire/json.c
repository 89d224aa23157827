/* JSON bodies: JSON 1.0 and 1.1, and rest-json. Reading walks the token stream against the shape; what the
 * model does not know is passed over. AWS's own words are kept where its services are known to use them. */
#include "wire/codec.h"

#include "base/clock.h"

#include <math.h>

static bool read_value(struct wire_in *in, struct json_reader *r, const struct member *m, const struct shape *s, enum json_token t,
                       void *p);

static bool syntax_fail(struct wire_in *in, struct json_reader *r)
{
	in->syntax = true;
	return wire_in_fail(in, "%s at offset %zu", r->error, r->at);
}

static bool type_fail(struct wire_in *in, enum json_token t, const char *type)
{
	if (t == JSON_OBJECT)
		return wire_in_fail(in, "Start of structure or map found where not expected.");
	if (t == JSON_ARRAY)
		return wire_in_fail(in, "Start of list found where not expected");
	return wire_in_fail(in, "%s can not be converted to %s", json_token_name(t), type);
}

static bool read_structure(struct wire_in *in, struct json_reader *r, const struct shape *s, void *base)
{
	uint32_t hint = 0;
	for (;;) {
		enum json_token t = json_next(r);
		if (t == JSON_OBJECT_END)
			break;
		if (t != JSON_KEY)
			return syntax_fail(in, r);
		struct str name = r->text;
		const struct member *m = member_named(in->api, s, name, wire_own_names(in->protocol), &hint);
		t = json_next(r);
		if (!m || t == JSON_NULL) {
			if (!m && in->strict && !str_is(name, "__type"))
				return wire_in_fail(in, "unknown member %.*s of %s", STR_ARG(name), in->api->text + s->name);
			if (!json_skip(r, t))
				return syntax_fail(in, r);
			continue;
		}
		if (t == JSON_ERROR)
			return syntax_fail(in, r);
		in->where = name;
		if (!read_value(in, r, m, member_shape(in->api, m), t, member_slot(in, m, base)))
			return false;
	}
	if (in->request)
		wire_fill_tokens(in, s, base);
	return true;
}

static bool read_list(struct wire_in *in, struct json_reader *r, const struct shape *s, struct any_list *list)
{
	const struct member *item = shape_member(in->api, s, 0);
	const struct shape *inner = member_shape(in->api, item);
	*list = (struct any_list){.set = true};
	for (;;) {
		enum json_token t = json_next(r);
		if (t == JSON_ARRAY_END)
			return true;
		if (t == JSON_ERROR)
			return syntax_fail(in, r);
		if (t == JSON_NULL && inner->kind == SHAPE_STRUCTURE)
			continue;
		void *slot = model_list_add(in->arena, list, s->size);
		if (t != JSON_NULL && !read_value(in, r, item, inner, t, slot))
			return false;
	}
}

static bool read_map(struct wire_in *in, struct json_reader *r, const struct shape *s, struct any_list *map)
{
	const struct member *key = shape_member(in->api, s, 0), *value = shape_member(in->api, s, 1);
	const struct shape *inner = member_shape(in->api, value);
	*map = (struct any_list){.set = true};
	for (;;) {
		enum json_token t = json_next(r);
		if (t == JSON_OBJECT_END)
			return true;
		if (t != JSON_KEY)
			return syntax_fail(in, r);
		struct str name = r->text;
		t = json_next(r);
		if (t == JSON_NULL && inner->kind == SHAPE_STRUCTURE)
			continue;
		char *entry = model_list_add(in->arena, map, s->size);
		*(struct str *)(void *)(entry + key->offset) = name;
		if (t != JSON_NULL && !read_value(in, r, value, inner, t, entry + value->offset))
			return false;
	}
}

static bool read_time(struct wire_in *in, struct json_reader *r, const struct member *m, enum json_token t, struct opt_time *ret)
{
	bool epoch = m->time == MT_DEFAULT || m->time == MT_EPOCH;
	if (t == JSON_STRING) {
		int64_t ms;
		if ((in->strict && epoch) || !time_parse(r->text, &ms))
			return wire_in_fail(in, "STRING_VALUE can not be converted to a timestamp");
		*ret = OPT_TIME(ms);
		return true;
	}
	double d;
	if (t != JSON_NUMBER || (in->strict && !epoch))
		return type_fail(in, t, "a timestamp");
	if (!json_to_double(r->text, &d) || fabs(d) > 9e12)
		return wire_in_fail(in, "NUMBER_VALUE can not be converted to a timestamp");
	*ret = OPT_TIME((int64_t)llround(d * 1000));
	return true;
}

static bool read_number(struct wire_in *in, struct json_reader *r, const struct shape *s, enum json_token t, void *p)
{
	if (s->kind == SHAPE_FLOAT || s->kind == SHAPE_DOUBLE) {
		double d;
		bool named =
		        t == JSON_STRING && (str_is(r->text, "NaN") || str_is(r->text, "Infinity") || str_is(r->text, "-Infinity"));
		if (named ? !value_double(r->text, &d) : t != JSON_NUMBER || !json_to_double(r->text, &d))
			return type_fail(in, t, s->kind == SHAPE_FLOAT ? "a Float" : "a Double");
		*(struct opt_double *)p = OPT_DOUBLE(d);
		return true;
	}
	int64_t v;
	if (t != JSON_NUMBER || !json_to_int(r->text, &v) || (s->kind == SHAPE_INTEGER && (v < INT32_MIN || v > INT32_MAX)))
		return type_fail(in, t, s->kind == SHAPE_INTEGER ? "an Integer" : "a Long");
	*(struct opt_int *)p = OPT_INT(v);
	return true;
}

static bool read_value(struct wire_in *in, struct json_reader *r, const struct member *m, const struct shape *s, enum json_token t,
                       void *p)
{
	if (t == JSON_ERROR)
		return syntax_fail(in, r);
	if (wire_in_full(in))
		return false;
	switch (s->kind) {
	case SHAPE_STRUCTURE:
		if (t != JSON_OBJECT)
			return type_fail(in, t, "a structure");
		return read_structure(in, r, s, p);
	case SHAPE_LIST:
		if (t != JSON_ARRAY)
			return type_fail(in, t, "a list");
		return read_list(in, r, s, p);
	case SHAPE_MAP:
		if (t != JSON_OBJECT)
			return type_fail(in, t, "a map");
		return read_map(in, r, s, p);
	case SHAPE_BOOLEAN:
		if (t != JSON_TRUE && t != JSON_FALSE)
			return type_fail(in, t, "a Boolean");
		*(struct opt_bool *)p = OPT_BOOL(t == JSON_TRUE);
		return true;
	case SHAPE_INTEGER:
	case SHAPE_LONG:
	case SHAPE_FLOAT:
	case SHAPE_DOUBLE:
		return read_number(in, r, s, t, p);
	case SHAPE_TIMESTAMP:
		return read_time(in, r, m, t, p);
	case SHAPE_DOCUMENT: {
		struct str raw = json_raw_value(r, t);
		if (!str_set(raw))
			return syntax_fail(in, r);
		*(struct str *)p = raw;
		return true;
	}
	case SHAPE_BLOB: {
		if (t != JSON_STRING)
			return type_fail(in, t, "a Blob");
		struct str bytes = base64_decode(in->arena, r->text);
		if (!str_set(bytes))
			return wire_in_fail(in, "Invalid Base64 in %.*s", STR_ARG(in->where));
		*(struct str *)p = bytes;
		return true;
	}
	default:
		if (t != JSON_STRING)
			return type_fail(in, t, "a String");
		*(struct str *)p = r->text;
		return true;
	}
}

bool wire_json_read(struct wire_in *in, const struct shape *s, struct str text, void *base)
{
	struct json_reader r;
	json_reader_init(&r, in->arena, text, 0);
	static const struct member none = {0};
	enum json_token t = json_next(&r);
	if (!read_value(in, &r, &none, s, t, base))
		return false;
	if (json_next(&r) != JSON_END)
		return syntax_fail(in, &r);
	return true;
}

static void write_value(struct wire_out *out, struct json_out *json, const struct member *m, const struct shape *s, const void *p);

static void write_time(struct json_out *json, const struct member *m, const struct opt_time *t)
{
	char text[40];
	if (m->time == MT_DEFAULT || m->time == MT_EPOCH)
		json_raw(json, str_of(text, time_format_to(text, t->ms, TIME_EPOCH)));
	else
		json_string(json, str_of(text, time_format_to(text, t->ms, m->time == MT_RFC822 ? TIME_RFC822 : TIME_ISO8601)));
}

static void write_list(struct wire_out *out, struct json_out *json, const struct shape *s, const struct any_list *list)
{
	const struct member *item = shape_member(out->api, s, 0);
	const struct shape *inner = member_shape(out->api, item);
	json_open(json, '[');
	for (uint32_t i = 0; i < list->n; i++)
		write_value(out, json, item, inner, (const char *)list->v + (size_t)i * s->size);
	json_close(json, ']');
}

static void write_map(struct wire_out *out, struct json_out *json, const struct shape *s, const struct any_list *map)
{
	const struct member *key = shape_member(out->api, s, 0), *value = shape_member(out->api, s, 1);
	const struct shape *inner = member_shape(out->api, value);
	json_open(json, '{');
	for (uint32_t i = 0; i < map->n; i++) {
		const char *entry = (const char *)map->v + (size_t)i * s->size;
		json_key(json, *(const struct str *)(const void *)(entry + key->offset));
		write_value(out, json, value, inner, entry + value->offset);
	}
	json_close(json, '}');
}

static void write_value(struct wire_out *out, struct json_out *json, const struct member *m, const struct shape *s, const void *p)
{
	if (!value_present(s, p)) { /* an element of a sparse list or map */
		json_null(json);
		return;
	}
	switch (s->kind) {
	case SHAPE_STRUCTURE:
		wire_json_write(out, json, s, p);
		return;
	case SHAPE_LIST:
		write_list(out, json, s, p);
		return;
	case SHAPE_MAP:
		write_map(out, json, s, p);
		return;
	case SHAPE_BOOLEAN:
		json_bool(json, ((const struct opt_bool *)p)->v);
		return;
	case SHAPE_INTEGER:
	case SHAPE_LONG:
		json_int(json, ((const struct opt_int *)p)->v);
		return;
	case SHAPE_FLOAT:
	case SHAPE_DOUBLE: {
		double d = ((const struct opt_double *)p)->v;
		if (fabs(d) < 1e15 && d == floor(d) && !signbit(d)) {
			json_int(json, (int64_t)d);
			buf_add_lit(json->b, ".0");
		} else {
			json_double(json, d);
		}
		return;
	}
	case SHAPE_TIMESTAMP:
		write_time(json, m, p);
		return;
	case SHAPE_DOCUMENT:
		json_raw(json, *(const struct str *)p);
		return;
	case SHAPE_BLOB:
		json_raw(json, S("\""));
		base64_put(json->b, *(const struct str *)p);
		buf_add_char(json->b, '"');
		return;
	default:
		json_string(json, *(const struct str *)p);
	}
}

void wire_json_members(struct wire_out *out, struct json_out *json, const struct shape *s, const void *base, struct str skip)
{
	bool own = wire_own_names(out->protocol);
	for (uint32_t i = 0; i < s->members; i++) {
		const struct member *m = shape_member(out->api, s, i);
		if (!own && m->location != IN_BODY)
			continue;
		const void *p = member_value(out->api, m, base);
		if (!p)
			continue;
		struct str name = api_text(out->api, own ? m->name : m->wire_name);
		if (str_set(skip) && str_ieq(name, skip))
			continue;
		json_key(json, name);
		write_value(out, json, m, member_shape(out->api, m), p);
	}
}

void wire_json_write(struct wire_out *out, struct json_out *json, const struct shape *s, const void *base)
{
	json_open(json, '{');
	wire_json_members(out, json, s, base, STR_NONE);
	json_close(json, '}');
}

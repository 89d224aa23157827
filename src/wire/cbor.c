/* RPC-v2 CBOR bodies. Timestamps are tag 1 with seconds; blobs are byte strings. */
#include "wire/codec.h"

#include <math.h>

static bool read_value(struct wire_in *in, struct cbor_reader *r, const struct shape *s, struct cbor_item item, void *p);

static bool syntax_fail(struct wire_in *in, struct cbor_reader *r)
{
	in->syntax = true;
	return wire_in_fail(in, "%s at offset %zu", r->error, r->at);
}

static bool read_structure(struct wire_in *in, struct cbor_reader *r, const struct shape *s, const struct cbor_item *map,
                           void *base)
{
	uint32_t hint = 0;
	struct cbor_walk w = cbor_enter(r, map);
	while (cbor_more(r, &w)) {
		struct cbor_item key = cbor_next(r);
		if (key.kind == CBOR_ERROR)
			break;
		if (key.kind != CBOR_TEXT)
			return wire_in_fail(in, "member name of %s is not text", in->api->text + s->name);
		const struct member *m = member_named(in->api, s, key.text, true, &hint);
		struct cbor_item value = cbor_next(r);
		if (!m && in->strict && !str_is(key.text, "__type"))
			return wire_in_fail(in, "unknown member %.*s of %s", STR_ARG(key.text), in->api->text + s->name);
		if (!m || value.kind == CBOR_NULL) {
			if (!cbor_skip(r, &value))
				break;
			continue;
		}
		in->where = key.text;
		if (!read_value(in, r, member_shape(in->api, m), value, member_slot(in, m, base)))
			return false;
	}
	if (r->error)
		return syntax_fail(in, r);
	if (in->request)
		wire_fill_tokens(in, s, base);
	return true;
}

static bool read_list(struct wire_in *in, struct cbor_reader *r, const struct shape *s, const struct cbor_item *array,
                      struct any_list *list)
{
	const struct shape *inner = member_shape(in->api, shape_member(in->api, s, 0));
	struct cbor_walk w = cbor_enter(r, array);
	*list = (struct any_list){.set = true};
	while (cbor_more(r, &w)) {
		struct cbor_item item = cbor_next(r);
		if (item.kind == CBOR_NULL && inner->kind == SHAPE_STRUCTURE)
			continue;
		void *slot = model_list_add(in->arena, list, s->size);
		if (item.kind != CBOR_NULL && !read_value(in, r, inner, item, slot))
			return false;
	}
	return r->error ? syntax_fail(in, r) : true;
}

static bool read_map(struct wire_in *in, struct cbor_reader *r, const struct shape *s, const struct cbor_item *head,
                     struct any_list *map)
{
	const struct member *key = shape_member(in->api, s, 0), *value = shape_member(in->api, s, 1);
	const struct shape *inner = member_shape(in->api, value);
	struct cbor_walk w = cbor_enter(r, head);
	*map = (struct any_list){.set = true};
	while (cbor_more(r, &w)) {
		struct cbor_item name = cbor_next(r), item = cbor_next(r);
		if (r->error)
			break;
		if (name.kind != CBOR_TEXT)
			return wire_in_fail(in, "key of %s is not text", in->api->text + s->name);
		if (item.kind == CBOR_NULL && inner->kind == SHAPE_STRUCTURE)
			continue;
		char *entry = model_list_add(in->arena, map, s->size);
		*(struct str *)(void *)(entry + key->offset) = name.text;
		if (item.kind != CBOR_NULL && !read_value(in, r, inner, item, entry + value->offset))
			return false;
	}
	return r->error ? syntax_fail(in, r) : true;
}

static bool read_time(struct wire_in *in, struct cbor_reader *r, struct cbor_item item, struct opt_time *ret)
{
	int64_t seconds;
	if (item.kind != CBOR_TAG || item.n != 1)
		return wire_in_fail(in, "%.*s is not a timestamp", STR_ARG(in->where));
	item = cbor_next(r);
	if (item.kind == CBOR_FLOAT && fabs(item.d) < 9e12)
		*ret = OPT_TIME((int64_t)llround(item.d * 1000));
	else if (cbor_to_int(&item, &seconds) && seconds < 9000000000000 && seconds > -9000000000000)
		*ret = OPT_TIME(seconds * 1000);
	else
		return r->error ? syntax_fail(in, r) : wire_in_fail(in, "%.*s is not a timestamp", STR_ARG(in->where));
	return true;
}

static bool read_int(struct wire_in *in, const struct shape *s, const struct cbor_item *item, struct opt_int *ret)
{
	int64_t v;
	if (item->kind == CBOR_FLOAT && item->d == floor(item->d) && fabs(item->d) < 9e18)
		v = (int64_t)item->d;
	else if (!cbor_to_int(item, &v))
		return wire_in_fail(in, "%.*s is not an integer", STR_ARG(in->where));
	if (s->kind == SHAPE_INTEGER && (v < INT32_MIN || v > INT32_MAX))
		return wire_in_fail(in, "%.*s is out of range", STR_ARG(in->where));
	*ret = OPT_INT(v);
	return true;
}

static bool read_value(struct wire_in *in, struct cbor_reader *r, const struct shape *s, struct cbor_item item, void *p)
{
	int64_t v;
	if (item.kind == CBOR_ERROR)
		return syntax_fail(in, r);
	if (wire_in_full(in))
		return false;
	switch (s->kind) {
	case SHAPE_STRUCTURE:
		return item.kind == CBOR_MAP ? read_structure(in, r, s, &item, p)
		                             : wire_in_fail(in, "%.*s is not a structure", STR_ARG(in->where));
	case SHAPE_LIST:
		return item.kind == CBOR_ARRAY ? read_list(in, r, s, &item, p)
		                               : wire_in_fail(in, "%.*s is not a list", STR_ARG(in->where));
	case SHAPE_MAP:
		return item.kind == CBOR_MAP ? read_map(in, r, s, &item, p)
		                             : wire_in_fail(in, "%.*s is not a map", STR_ARG(in->where));
	case SHAPE_BOOLEAN:
		if (item.kind != CBOR_BOOL)
			return wire_in_fail(in, "%.*s is not a boolean", STR_ARG(in->where));
		*(struct opt_bool *)p = OPT_BOOL(item.n != 0);
		return true;
	case SHAPE_INTEGER:
	case SHAPE_LONG:
		return read_int(in, s, &item, p);
	case SHAPE_FLOAT:
	case SHAPE_DOUBLE:
		if (item.kind == CBOR_FLOAT)
			*(struct opt_double *)p = OPT_DOUBLE(item.d);
		else if (cbor_to_int(&item, &v))
			*(struct opt_double *)p = OPT_DOUBLE((double)v);
		else
			return wire_in_fail(in, "%.*s is not a number", STR_ARG(in->where));
		return true;
	case SHAPE_TIMESTAMP:
		return read_time(in, r, item, p);
	case SHAPE_BLOB:
		if (item.kind != CBOR_BYTES)
			return wire_in_fail(in, "%.*s is not a byte string", STR_ARG(in->where));
		*(struct str *)p = item.text;
		return true;
	default:
		if (item.kind != CBOR_TEXT)
			return wire_in_fail(in, "%.*s is not a string", STR_ARG(in->where));
		*(struct str *)p = item.text;
		return true;
	}
}

bool wire_cbor_read(struct wire_in *in, const struct shape *s, struct str bytes, void *base)
{
	struct cbor_reader r;
	cbor_reader_init(&r, in->arena, bytes);
	if (!read_value(in, &r, s, cbor_next(&r), base))
		return false;
	if (!cbor_done(&r)) {
		in->syntax = true;
		return wire_in_fail(in, "bytes behind the value at offset %zu", (size_t)(r.next - r.begin));
	}
	return true;
}

static void write_value(struct wire_out *out, const struct shape *s, const void *p)
{
	struct buf *b = out->body;
	if (!value_present(s, p)) {
		cbor_put_null(b);
		return;
	}
	switch (s->kind) {
	case SHAPE_STRUCTURE:
		wire_cbor_write(out, s, p);
		return;
	case SHAPE_LIST:
	case SHAPE_MAP: {
		const struct any_list *list = p;
		bool map = s->kind == SHAPE_MAP;
		const struct member *m = shape_member(out->api, s, map ? 1 : 0);
		cbor_put_head(b, map ? 5 : 4, list->n);
		for (uint32_t i = 0; i < list->n; i++) {
			const char *entry = (const char *)list->v + (size_t)i * s->size;
			if (map)
				cbor_put_text(b, *(const struct str *)(const void *)entry);
			write_value(out, member_shape(out->api, m), entry + (map ? m->offset : 0));
		}
		return;
	}
	case SHAPE_BOOLEAN:
		cbor_put_bool(b, ((const struct opt_bool *)p)->v);
		return;
	case SHAPE_INTEGER:
	case SHAPE_LONG:
		cbor_put_int(b, ((const struct opt_int *)p)->v);
		return;
	case SHAPE_FLOAT:
	case SHAPE_DOUBLE:
		cbor_put_double(b, ((const struct opt_double *)p)->v);
		return;
	case SHAPE_TIMESTAMP: {
		int64_t ms = ((const struct opt_time *)p)->ms;
		cbor_put_tag(b, 1);
		if (ms % 1000)
			cbor_put_double(b, (double)ms / 1000);
		else
			cbor_put_int(b, ms / 1000);
		return;
	}
	case SHAPE_BLOB:
		cbor_put_bytes(b, *(const struct str *)p);
		return;
	default:
		cbor_put_text(b, *(const struct str *)p);
	}
}

uint32_t wire_cbor_count(const struct api *api, const struct shape *s, const void *base, struct str skip)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < s->members; i++) {
		const struct member *m = shape_member(api, s, i);
		n += member_value(api, m, base) && !(str_set(skip) && str_ieq(api_text(api, m->name), skip));
	}
	return n;
}

void wire_cbor_members(struct wire_out *out, const struct shape *s, const void *base, struct str skip)
{
	for (uint32_t i = 0; i < s->members; i++) {
		const struct member *m = shape_member(out->api, s, i);
		const void *p = member_value(out->api, m, base);
		struct str name = api_text(out->api, m->name);
		if (!p || (str_set(skip) && str_ieq(name, skip)))
			continue;
		cbor_put_text(out->body, name);
		write_value(out, member_shape(out->api, m), p);
	}
}

void wire_cbor_write(struct wire_out *out, const struct shape *s, const void *base)
{
	cbor_put_map(out->body, wire_cbor_count(out->api, s, base, STR_NONE));
	wire_cbor_members(out, s, base, STR_NONE);
}

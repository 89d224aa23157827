/* Members of rest-json and rest-xml that lie in headers, labels, the query string or the status. */
#include "wire/codec.h"

#include "base/uri.h"

/* One element of a header's list off *rest: a quoted string with its escapes, or what stands before the next comma.
 * HTTP dates hold a comma themselves, so two pieces make one. */
static struct str next_item(struct arena *a, struct str *rest, bool date)
{
	*rest = str_trim(*rest);
	if (rest->n && rest->p[0] == '"') {
		char *out = arena_alloc(a, rest->n + 1);
		size_t n = 0, i = 1;
		for (; i < rest->n && rest->p[i] != '"'; i++) {
			if (rest->p[i] == '\\' && i + 1 < rest->n)
				i++;
			out[n++] = rest->p[i];
		}
		struct str behind = str_from_at(*rest, i + 1);
		str_cut(&behind, ',');
		*rest = behind;
		return str_of(out, n);
	}
	struct str all = *rest, item = str_cut(rest, ',');
	if (date && str_set(*rest)) {
		str_cut(rest, ',');
		item = str_set(*rest) ? str_of(all.p, (size_t)(rest->p - all.p) - 1) : all;
	}
	return str_trim(item);
}

static bool read_header(struct wire_in *in, const struct member *m, struct str value, void *base)
{
	const struct shape *s = member_shape(in->api, m);
	in->where = api_text(in->api, m->wire_name);
	if (s->kind == SHAPE_LIST) {
		const struct member *item = shape_member(in->api, s, 0);
		const struct shape *inner = member_shape(in->api, item);
		bool date = inner->kind == SHAPE_TIMESTAMP && item->time != MT_ISO8601 && item->time != MT_EPOCH;
		struct any_list *list = member_slot(in, m, base);
		list->set = true;
		for (struct str rest = value; str_set(rest) && rest.n;) {
			struct str one = next_item(in->arena, &rest, date);
			if (!value_from_text(in, item, inner, one, MT_RFC822, model_list_add(in->arena, list, s->size)))
				return false;
		}
		return true;
	}
	if (s->kind == SHAPE_STRUCTURE || s->kind == SHAPE_MAP)
		return true;
	if (s->kind != SHAPE_STRING && str_empty(str_trim(value)))
		return true;
	return value_from_text(in, m, s, value, MT_RFC822, member_slot(in, m, base));
}

static bool read_prefix_headers(struct wire_in *in, const struct member *m, const struct wire_headers *headers, void *base)
{
	const struct shape *s = member_shape(in->api, m);
	struct str prefix = api_text(in->api, m->wire_name), name, value;
	struct any_list *map = member_slot(in, m, base);
	for (size_t i = 0; headers->at(headers->ctx, i, &name, &value); i++) {
		if (!str_istarts(name, prefix) || s->kind != SHAPE_MAP)
			continue;
		if (!str_is_utf8(name) || !str_is_utf8(value))
			return wire_in_fail(in, "A header %.*s is not valid UTF-8", STR_ARG(prefix));
		struct str_map_entry *entry = model_list_add(in->arena, map, s->size);
		struct str key = arena_dup(in->arena, str_from_at(name, prefix.n));
		if (in->request) /* names of HTTP headers have no case: the stored spelling is the small one */
			for (size_t j = 0; j < key.n; j++)
				((char *)(uintptr_t)key.p)[j] = ascii_lower(key.p[j]);
		*entry = (struct str_map_entry){.key = key, .value = value};
	}
	return true;
}

static bool read_query(struct wire_in *in, const struct member *m, const struct form *form, void *base)
{
	const struct shape *s = member_shape(in->api, m);
	struct str name = api_text(in->api, m->wire_name);
	in->where = name;
	for (size_t i = 0; i < form->n; i++) {
		if (!str_eq(form->v[i].name, name))
			continue;
		if (s->kind != SHAPE_LIST)
			return (s->kind != SHAPE_STRING && str_empty(form->v[i].value)) ||
			       value_from_text(in, m, s, form->v[i].value, MT_ISO8601, member_slot(in, m, base));
		const struct member *item = shape_member(in->api, s, 0);
		struct any_list *list = member_slot(in, m, base);
		if (!value_from_text(in, item, member_shape(in->api, item), form->v[i].value, MT_ISO8601,
		                     model_list_add(in->arena, list, s->size)))
			return false;
	}
	return true;
}

static bool query_is_taken(struct wire_in *in, const struct shape *s, struct str name)
{
	for (uint32_t i = 0; i < s->members; i++) {
		const struct member *m = shape_member(in->api, s, i);
		if (m->location == IN_QUERY && str_eq(api_text(in->api, m->wire_name), name))
			return true;
	}
	return false;
}

/* All parameters that no other member names; one key may come with many values. */
static bool read_query_map(struct wire_in *in, const struct shape *owner, const struct member *m, const struct form *form,
                           void *base)
{
	const struct shape *s = member_shape(in->api, m);
	const struct member *value = shape_member(in->api, s, 1);
	const struct shape *inner = member_shape(in->api, value);
	struct any_list *map = member_slot(in, m, base);
	for (size_t i = 0; i < form->n; i++) {
		struct str name = form->v[i].name;
		if (query_is_taken(in, owner, name))
			continue;
		if (!str_is_utf8(name))
			return wire_in_fail(in, "A parameter's name is not valid UTF-8");
		char *entry = NULL;
		for (uint32_t j = 0; j < map->n && inner->kind == SHAPE_LIST; j++) {
			char *other = (char *)map->v + (size_t)j * s->size;
			if (str_eq(*(struct str *)(void *)other, name))
				entry = other;
		}
		if (!entry) {
			entry = model_list_add(in->arena, map, s->size);
			*(struct str *)(void *)entry = name;
		}
		void *slot = entry + value->offset;
		const struct member *item = value;
		if (inner->kind == SHAPE_LIST) {
			item = shape_member(in->api, inner, 0);
			slot = model_list_add(in->arena, slot, inner->size);
		}
		if (!value_from_text(in, item, member_shape(in->api, item), form->v[i].value, MT_ISO8601, slot))
			return false;
	}
	return true;
}

bool wire_bind_request(struct wire_in *in, const struct shape *s, const struct wire_target *target,
                       const struct wire_request *request, void *base)
{
	struct form form = {0};
	bool parsed = false;
	for (uint32_t i = 0; i < s->members; i++) {
		const struct member *m = shape_member(in->api, s, i);
		if (m->location == IN_BODY)
			continue;
		struct str name = api_text(in->api, m->wire_name);
		bool ok = true;
		if ((m->location == IN_QUERY || m->location == IN_QUERY_MAP) && !parsed) {
			parsed = true;
			if (!form_parse(in->arena, request->query, &form))
				return wire_in_fail(in, "The query string is not well-formed");
		}
		switch (m->location) {
		case IN_URI:
			for (uint32_t l = 0; l < target->label_count && ok; l++)
				if (str_eq(target->labels[l].name, name)) {
					in->where = name;
					ok = value_from_text(in, m, member_shape(in->api, m), target->labels[l].value, MT_ISO8601,
					                     member_slot(in, m, base));
				}
			break;
		case IN_HEADER: {
			struct str value = request->headers.get(request->headers.ctx, name);
			ok = !str_set(value) || (in->request && quirk_passes_over(in->api, name, value)) ||
			     read_header(in, m, value, base);
			break;
		}
		case IN_HEADERS:
			ok = read_prefix_headers(in, m, &request->headers, base);
			break;
		case IN_QUERY:
			ok = read_query(in, m, &form, base);
			break;
		case IN_QUERY_MAP:
			ok = read_query_map(in, s, m, &form, base);
			break;
		default:
			break;
		}
		if (!ok)
			return false;
	}
	return true;
}

bool wire_bind_reply(struct wire_in *in, const struct shape *s, uint16_t status, const struct wire_headers *headers, void *base)
{
	for (uint32_t i = 0; i < s->members; i++) {
		const struct member *m = shape_member(in->api, s, i);
		if (m->location == IN_STATUS) {
			*(struct opt_int *)member_slot(in, m, base) = OPT_INT(status);
		} else if (m->location == IN_HEADER) {
			struct str value = headers->get(headers->ctx, api_text(in->api, m->wire_name));
			if (str_set(value) && !read_header(in, m, value, base))
				return false;
		} else if (m->location == IN_HEADERS && !read_prefix_headers(in, m, headers, base)) {
			return false;
		}
	}
	return true;
}

static struct str quoted(struct arena *a, struct str s)
{
	if (str_find_char(s, ',') < 0 && str_find_char(s, '"') < 0)
		return s;
	char *out = arena_alloc(a, 2 * s.n + 3), *o = out;
	*o++ = '"';
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			*o++ = '\\';
		*o++ = s.p[i];
	}
	*o++ = '"';
	return str_of(out, (size_t)(o - out));
}

static struct str header_text(struct wire_out *out, const struct member *m, const void *p)
{
	const struct shape *s = member_shape(out->api, m);
	char *scratch = arena_alloc(out->arena, VALUE_SCRATCH);
	if (s->kind != SHAPE_LIST)
		return value_text(out->arena, m, s, p, MT_RFC822, out->ms, scratch);
	const struct any_list *list = p;
	const struct member *item = shape_member(out->api, s, 0);
	const struct shape *inner = member_shape(out->api, item);
	struct str *parts = arena_array(out->arena, 2 * (size_t)list->n + 1, sizeof(*parts));
	size_t n = 0;
	for (uint32_t i = 0; i < list->n; i++) {
		const void *v = (const char *)list->v + (size_t)i * s->size;
		if (!value_present(inner, v))
			continue;
		if (n)
			parts[n++] = S(", ");
		struct str text =
		        value_text(out->arena, item, inner, v, MT_RFC822, out->ms, arena_alloc(out->arena, VALUE_SCRATCH));
		parts[n++] = inner->kind == SHAPE_STRING ? quoted(out->arena, text) : text;
	}
	return arena_cat(out->arena, parts, n);
}

void wire_put_headers(struct wire_out *out, const struct shape *s, const void *base, struct wire_pairs *headers, uint16_t *status)
{
	for (uint32_t i = 0; i < s->members; i++) {
		const struct member *m = shape_member(out->api, s, i);
		if (m->location != IN_HEADER && m->location != IN_HEADERS && m->location != IN_STATUS)
			continue;
		const void *p = member_value(out->api, m, base);
		if (!p)
			continue;
		struct str name = api_text(out->api, m->wire_name);
		if (m->location == IN_STATUS && status) {
			*status = (uint16_t)((const struct opt_int *)p)->v;
		} else if (m->location == IN_HEADER) {
			struct str text = header_text(out, m, p);
			if (str_set(text))
				wire_pairs_add(out->arena, headers, name, text);
		} else if (m->location == IN_HEADERS) {
			const struct str_map *map = p;
			for (uint32_t j = 0; j < map->n; j++)
				if (str_set(map->v[j].value))
					wire_pairs_add(out->arena, headers, ARENA_CAT(out->arena, name, map->v[j].key),
					               map->v[j].value);
		}
	}
}

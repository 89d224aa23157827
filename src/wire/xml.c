/* XML bodies: rest-xml both ways, replies of query and ec2. */
#include "wire/codec.h"

static bool read_value(struct wire_in *in, const struct member *m, const struct shape *s, const struct xml_node *node, void *p);

static bool flattened(const struct member *m, const struct shape *s)
{
	return (s->kind == SHAPE_LIST || s->kind == SHAPE_MAP) && ((m->flags & MEMBER_FLATTENED) || (s->flags & SHAPE_FLATTENED));
}

static bool read_entry(struct wire_in *in, const struct shape *s, const struct xml_node *node, struct any_list *map)
{
	const struct member *key = shape_member(in->api, s, 0), *value = shape_member(in->api, s, 1);
	const struct xml_node *k = xml_child(node, api_text(in->api, key->wire_name)),
	                      *v = xml_child(node, api_text(in->api, value->wire_name));
	if (!k)
		return wire_in_fail(in, "entry of a map without a key in %.*s", STR_ARG(in->where));
	if (in->strict && node->count != (v ? 2u : 1u))
		return wire_in_fail(in, "unknown element in an entry of %.*s", STR_ARG(in->where));
	char *entry = model_list_add(in->arena, map, s->size);
	*(struct str *)(void *)(entry + key->offset) = k->text;
	return !v || read_value(in, value, member_shape(in->api, value), v, entry + value->offset);
}

static bool read_item(struct wire_in *in, const struct shape *s, const struct xml_node *node, struct any_list *list)
{
	const struct member *item = shape_member(in->api, s, 0);
	return read_value(in, item, member_shape(in->api, item), node, model_list_add(in->arena, list, s->size));
}

static bool read_list(struct wire_in *in, const struct shape *s, const struct xml_node *node, struct any_list *list)
{
	struct str name = s->kind == SHAPE_MAP ? S("entry") : api_text(in->api, shape_member(in->api, s, 0)->wire_name);
	*list = (struct any_list){.set = true};
	xml_each(node, child)
	{
		if (!str_eq(child->name, name)) {
			if (in->strict || in->closed)
				return wire_in_fail(in, "element %.*s where %.*s belongs, in %.*s", STR_ARG(child->name),
				                    STR_ARG(name), STR_ARG(node->name));
			continue;
		}
		if (!(s->kind == SHAPE_MAP ? read_entry(in, s, child, list) : read_item(in, s, child, list)))
			return false;
	}
	return true;
}

static bool read_attributes(struct wire_in *in, const struct shape *s, const struct xml_node *node, void *base)
{
	uint32_t found = 0, there = 0;
	for (const struct xml_attr *x = node->attrs; x; x = x->next)
		there++;
	for (uint32_t i = 0; i < s->members; i++) {
		const struct member *m = shape_member(in->api, s, i);
		if (!(m->flags & MEMBER_XML_ATTRIBUTE))
			continue;
		struct str value = xml_attr(node, api_text(in->api, m->wire_name));
		if (!str_set(value))
			continue;
		found++;
		if (!value_from_text(in, m, member_shape(in->api, m), value, MT_ISO8601, member_slot(in, m, base)))
			return false;
	}
	if (in->strict && found != there)
		return wire_in_fail(in, "unknown attribute of %.*s", STR_ARG(node->name));
	return true;
}

bool wire_xml_read(struct wire_in *in, const struct shape *s, const struct xml_node *node, struct str ignore, void *base)
{
	uint32_t hint = 0;
	if (node->attrs && !read_attributes(in, s, node, base))
		return false;
	xml_each(node, child)
	{
		const struct member *m = member_named(in->api, s, child->name, false, &hint);
		if (!m || (m->flags & MEMBER_XML_ATTRIBUTE)) {
			if ((in->strict || in->closed) && !(str_set(ignore) && str_eq(child->name, ignore)))
				return wire_in_fail(in, "unknown element %.*s in %.*s", STR_ARG(child->name), STR_ARG(node->name));
			continue;
		}
		const struct shape *inner = member_shape(in->api, m);
		in->where = child->name;
		if (flattened(m, inner)) {
			hint--; /* the next one is likely of the same list */
			struct any_list *list = member_slot(in, m, base);
			if (!(inner->kind == SHAPE_MAP ? read_entry(in, inner, child, list) : read_item(in, inner, child, list)))
				return false;
		} else if (!read_value(in, m, inner, child, member_slot(in, m, base))) {
			return false;
		}
	}
	if (in->request)
		wire_fill_tokens(in, s, base);
	return true;
}

static bool read_value(struct wire_in *in, const struct member *m, const struct shape *s, const struct xml_node *node, void *p)
{
	bool space = str_empty(str_trim(node->text));
	if (wire_in_full(in))
		return false;
	switch (s->kind) {
	case SHAPE_STRUCTURE:
		if (!space && (in->strict || !node->first))
			return wire_in_fail(in, "text in %.*s, which is a structure", STR_ARG(node->name));
		return wire_xml_read(in, s, node, STR_NONE, p);
	case SHAPE_LIST:
	case SHAPE_MAP:
		if (!space && (in->strict || !node->first))
			return wire_in_fail(in, "text in %.*s, which is a list", STR_ARG(node->name));
		return read_list(in, s, node, p);
	default:
		if (node->first)
			return wire_in_fail(in, "elements in %.*s, which is a text", STR_ARG(node->name));
		return value_from_text(in, m, s, node->text, MT_ISO8601, p);
	}
}

static void write_value(struct wire_out *out, const struct member *m, const struct shape *s, const void *p, struct str name);

static void write_entry(struct wire_out *out, const struct shape *s, const char *entry, struct str name)
{
	const struct member *key = shape_member(out->api, s, 0), *value = shape_member(out->api, s, 1);
	const struct shape *inner = member_shape(out->api, value);
	xml_put_open(out->body, name);
	xml_put_element(out->body, api_text(out->api, key->wire_name), *(const struct str *)(const void *)(entry + key->offset));
	if (value_present(inner, entry + value->offset))
		write_value(out, value, inner, entry + value->offset, api_text(out->api, value->wire_name));
	xml_put_close(out->body, name);
}

static void write_list(struct wire_out *out, const struct shape *s, const struct any_list *list, struct str name)
{
	const struct member *item = shape_member(out->api, s, 0);
	const struct shape *inner = member_shape(out->api, item);
	for (uint32_t i = 0; i < list->n; i++) {
		const char *p = (const char *)list->v + (size_t)i * s->size;
		if (s->kind == SHAPE_MAP)
			write_entry(out, s, p, name);
		else if (value_present(inner, p))
			write_value(out, item, inner, p, name);
		else
			xml_put_element(out->body, name, S(""));
	}
}

/* A value as an element of that name; a flattened list as many. */
static void write_value(struct wire_out *out, const struct member *m, const struct shape *s, const void *p, struct str name)
{
	char scratch[VALUE_SCRATCH];
	switch (s->kind) {
	case SHAPE_STRUCTURE:
		wire_xml_structure(out, s, p, name, STR_NONE);
		return;
	case SHAPE_LIST:
	case SHAPE_MAP:
		if (flattened(m, s)) {
			write_list(out, s, p, name);
			return;
		}
		xml_put_open(out->body, name);
		write_list(out, s, p,
		           s->kind == SHAPE_MAP ? S("entry") : api_text(out->api, shape_member(out->api, s, 0)->wire_name));
		xml_put_close(out->body, name);
		return;
	case SHAPE_BLOB:
		xml_put_open(out->body, name);
		base64_put(out->body, *(const struct str *)p);
		xml_put_close(out->body, name);
		return;
	default:
		xml_put_element(out->body, name, value_text(out->arena, m, s, p, MT_ISO8601, out->ms, scratch));
	}
}

void wire_xml_members(struct wire_out *out, const struct shape *s, const void *base, struct str skip)
{
	for (uint32_t i = 0; i < s->members; i++) {
		const struct member *m = shape_member(out->api, s, i);
		if (m->location != IN_BODY || (m->flags & MEMBER_XML_ATTRIBUTE))
			continue;
		const void *p = member_value(out->api, m, base);
		struct str name = api_text(out->api, m->wire_name);
		if (p && !(str_set(skip) && str_ieq(name, skip)))
			write_value(out, m, member_shape(out->api, m), p, name);
	}
}

void wire_xml_structure(struct wire_out *out, const struct shape *s, const void *base, struct str name, struct str ns)
{
	struct buf *b = out->body;
	buf_add_char(b, '<');
	buf_add_str(b, name);
	if (ns.n) {
		buf_add_lit(b, " xmlns=\"");
		xml_put_attr(b, ns);
		buf_add_char(b, '"');
	}
	if (s->xml_ns && (s->xml_ns_prefix || !ns.n)) {
		buf_add_lit(b, " xmlns");
		if (s->xml_ns_prefix) {
			buf_add_char(b, ':');
			buf_add_str(b, api_text(out->api, s->xml_ns_prefix));
		}
		buf_add_lit(b, "=\"");
		xml_put_attr(b, api_text(out->api, s->xml_ns));
		buf_add_char(b, '"');
	}
	for (uint32_t i = 0; i < s->members; i++) {
		const struct member *m = shape_member(out->api, s, i);
		const void *p = m->flags & MEMBER_XML_ATTRIBUTE ? member_value(out->api, m, base) : NULL;
		char scratch[VALUE_SCRATCH];
		if (!p)
			continue;
		buf_add_char(b, ' ');
		buf_add_str(b, api_text(out->api, m->wire_name));
		buf_add_lit(b, "=\"");
		xml_put_attr(b, value_text(out->arena, m, member_shape(out->api, m), p, MT_ISO8601, out->ms, scratch));
		buf_add_char(b, '"');
	}
	buf_add_char(b, '>');
	wire_xml_members(out, s, base, STR_NONE);
	xml_put_close(b, name);
}

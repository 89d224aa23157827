/* Query and ec2 requests: parameters whose dotted names spell the path into the input.
 *
 * Reading sorts the parameters by name, so that all that lie under one prefix are neighbours; a value is then a
 * range of parameters and the length of the prefix that they share. */
#include "wire/codec.h"

#include <stdlib.h>

struct range {
	const struct form_pair *v;
	size_t n;
	size_t prefix; /* bytes of the names that are dealt with, the dot included */
};

static int pair_order(const void *a, const void *b)
{
	return str_cmp(((const struct form_pair *)a)->name, ((const struct form_pair *)b)->name);
}

static struct form_pair *sorted(struct arena *a, const struct form *form)
{
	struct form_pair *v = arena_alloc(a, (form->n + 1) * sizeof(*v));
	if (form->n > 24) {
		memcpy(v, form->v, form->n * sizeof(*v));
		qsort(v, form->n, sizeof(*v), pair_order);
		return v;
	}
	for (size_t i = 0; i < form->n; i++) {
		size_t at = i;
		for (; at && str_cmp(v[at - 1].name, form->v[i].name) > 0; at--)
			v[at] = v[at - 1];
		v[at] = form->v[i];
	}
	return v;
}

/* Takes the first group off a range: the parameters whose names go on with the same segment, which is left in *ret_segment.
 * *ret_leaf: the name ends there, so that the group is a value. */
static struct range next_group(struct range *rest, struct str *ret_segment, bool *ret_leaf)
{
	struct str name = str_from_at(rest->v[0].name, rest->prefix);
	ptrdiff_t dot = str_find_char(name, '.');
	struct str segment = dot < 0 ? name : str_sub(name, 0, (size_t)dot);
	size_t end = rest->prefix + segment.n;
	bool leaf = dot < 0;
	size_t n = 1;
	while (n < rest->n && rest->v[n].name.n >= end && (rest->v[n].name.n == end) == leaf &&
	       (leaf || rest->v[n].name.p[end] == '.') && memcmp(rest->v[n].name.p + rest->prefix, segment.p, segment.n) == 0)
		n++;
	struct range group = {.v = rest->v, .n = n, .prefix = end + 1};
	rest->v += n;
	rest->n -= n;
	*ret_segment = segment;
	*ret_leaf = leaf;
	return group;
}

static bool read_value(struct wire_in *in, const struct member *m, const struct shape *s, struct range r, bool leaf, uint32_t depth,
                       void *p);

static bool shape_fail(struct wire_in *in, const struct range *r)
{
	return wire_in_fail(in, "Unexpected parameter %.*s", STR_ARG(r->v[0].name));
}

static const struct member *query_member(struct wire_in *in, const struct shape *s, struct str segment)
{
	for (uint32_t i = 0; i < s->members; i++) {
		const struct member *m = shape_member(in->api, s, i);
		const char *name = in->api->text + (in->protocol == PROTOCOL_EC2 ? m->ec2_name : m->wire_name);
		if (strncmp(name, segment.p, segment.n) == 0 && name[segment.n] == '\0')
			return m;
	}
	return NULL;
}

static bool read_structure(struct wire_in *in, const struct shape *s, struct range r, uint32_t depth, void *base)
{
	while (r.n) {
		struct str segment;
		bool leaf;
		struct range group = next_group(&r, &segment, &leaf);
		const struct member *m = segment.n ? query_member(in, s, segment) : NULL;
		if (!m) {
			if (in->strict && !(depth == 0 && (str_is(segment, "Action") || str_is(segment, "Version"))))
				return shape_fail(in, &group);
			continue;
		}
		in->where = str_sub(group.v[0].name, 0, group.prefix - 1);
		if (!read_value(in, m, member_shape(in->api, m), group, leaf, depth + 1, member_slot(in, m, base)))
			return false;
	}
	if (in->request)
		wire_fill_tokens(in, s, base);
	return true;
}

struct element {
	uint64_t index;
	struct range range;
	bool leaf;
};

static int element_order(const void *a, const void *b)
{
	uint64_t x = ((const struct element *)a)->index, y = ((const struct element *)b)->index;
	return (x > y) - (x < y);
}

static bool read_entry(struct wire_in *in, const struct shape *s, struct range r, uint32_t depth, char *entry)
{
	const struct member *key = shape_member(in->api, s, 0), *value = shape_member(in->api, s, 1);
	struct str *name = (struct str *)(void *)(entry + key->offset);
	while (r.n) {
		struct str segment;
		bool leaf;
		struct range group = next_group(&r, &segment, &leaf);
		if (str_eq(segment, api_text(in->api, key->wire_name)) && leaf)
			*name = str_is_utf8(group.v[0].value) ? group.v[0].value : STR_NONE;
		else if (!str_eq(segment, api_text(in->api, value->wire_name)))
			return shape_fail(in, &group);
		else if (!read_value(in, value, member_shape(in->api, value), group, leaf, depth + 1, entry + value->offset))
			return false;
	}
	return str_set(*name) || wire_in_fail(in, "An entry of %.*s has no valid key", STR_ARG(in->where));
}

/* The numbered elements of a list or map. */
static bool read_elements(struct wire_in *in, const struct shape *s, struct range r, uint32_t depth, struct any_list *list)
{
	struct element *v = arena_array(in->arena, r.n, sizeof(*v));
	size_t n = 0;
	while (r.n) {
		struct str segment;
		struct element *e = &v[n++];
		e->range = next_group(&r, &segment, &e->leaf);
		if (!str_to_u64(segment, &e->index) || (e->leaf && s->kind == SHAPE_MAP))
			return shape_fail(in, &e->range);
	}
	qsort(v, n, sizeof(*v), element_order);
	for (size_t i = 0; i < n; i++) {
		if (i && v[i].index == v[i - 1].index)
			return shape_fail(in, &v[i].range);
		char *slot = model_list_add(in->arena, list, s->size);
		const struct member *item = shape_member(in->api, s, 0);
		if (s->kind == SHAPE_MAP
		            ? !read_entry(in, s, v[i].range, depth, slot)
		            : !read_value(in, item, member_shape(in->api, item), v[i].range, v[i].leaf, depth + 1, slot))
			return false;
	}
	return true;
}

static bool read_list(struct wire_in *in, const struct member *m, const struct shape *s, struct range r, bool leaf, uint32_t depth,
                      struct any_list *list)
{
	list->set = true;
	if (leaf) /* "Names=" is the empty list */
		return str_empty(r.v[0].value) || wire_in_fail(in, "Value at %.*s is not a list", STR_ARG(in->where));
	if (in->protocol == PROTOCOL_EC2 || (m->flags & MEMBER_FLATTENED) || (s->flags & SHAPE_FLATTENED))
		return read_elements(in, s, r, depth, list);
	struct str inner = s->kind == SHAPE_MAP ? S("entry") : api_text(in->api, shape_member(in->api, s, 0)->wire_name);
	while (r.n) {
		struct str segment;
		bool ends;
		struct range group = next_group(&r, &segment, &ends);
		if (!str_eq(segment, inner) || ends)
			return shape_fail(in, &group);
		if (!read_elements(in, s, group, depth, list))
			return false;
	}
	return true;
}

static bool read_value(struct wire_in *in, const struct member *m, const struct shape *s, struct range r, bool leaf, uint32_t depth,
                       void *p)
{
	if (depth > WIRE_DEPTH_MAX)
		return wire_in_fail(in, "Parameters are nested too deeply");
	if (wire_in_full(in))
		return false;
	switch (s->kind) {
	case SHAPE_STRUCTURE:
		if (leaf)
			return str_empty(r.v[0].value) || wire_in_fail(in, "Value at %.*s is not a structure", STR_ARG(in->where));
		return read_structure(in, s, r, depth, p);
	case SHAPE_LIST:
	case SHAPE_MAP:
		return read_list(in, m, s, r, leaf, depth, p);
	default:
		if (!leaf)
			return shape_fail(in, &r);
		return value_from_text(in, m, s, r.v[0].value, MT_ISO8601, p);
	}
}

bool wire_form_read(struct wire_in *in, const struct shape *s, const struct form *form, void *base)
{
	struct range all = {.v = sorted(in->arena, form), .n = form->n};
	return read_structure(in, s, all, 0, base);
}

/* ---- Writing: the name so far stands in a buffer and is cut back after each member ---- */

static void write_value(struct wire_out *out, struct buf *name, const struct member *m, const struct shape *s, const void *p);

static void push(struct buf *name, struct str segment)
{
	if (name->n)
		buf_add_char(name, '.');
	buf_add_str(name, segment);
}

static void write_structure(struct wire_out *out, struct buf *name, const struct shape *s, const void *base)
{
	size_t n = name->n;
	for (uint32_t i = 0; i < s->members; i++, name->n = n) {
		const struct member *m = shape_member(out->api, s, i);
		const void *p = member_value(out->api, m, base);
		if (!p)
			continue;
		push(name, api_text(out->api, out->protocol == PROTOCOL_EC2 ? m->ec2_name : m->wire_name));
		write_value(out, name, m, member_shape(out->api, m), p);
	}
}

static void write_list(struct wire_out *out, struct buf *name, const struct member *m, const struct shape *s,
                       const struct any_list *list)
{
	bool flat = out->protocol == PROTOCOL_EC2 || (m->flags & MEMBER_FLATTENED) || (s->flags & SHAPE_FLATTENED);
	const struct member *first = shape_member(out->api, s, 0),
	                    *value = s->kind == SHAPE_MAP ? shape_member(out->api, s, 1) : first;
	char scratch[VALUE_SCRATCH];
	if (!list->n && s->kind == SHAPE_LIST && out->protocol != PROTOCOL_EC2)
		form_put(out->body, buf_str(name), S(""));
	if (!flat)
		push(name, s->kind == SHAPE_MAP ? S("entry") : api_text(out->api, first->wire_name));
	size_t n = name->n;
	for (uint32_t i = 0; i < list->n; i++, name->n = n) {
		const char *entry = (const char *)list->v + (size_t)i * s->size;
		struct opt_int index = OPT_INT((int64_t)i + 1);
		push(name, value_text(out->arena, first, &(struct shape){.kind = SHAPE_LONG}, &index, MT_DEFAULT, false, scratch));
		if (s->kind == SHAPE_MAP) {
			size_t inner = name->n;
			push(name, api_text(out->api, first->wire_name));
			form_put(out->body, buf_str(name), *(const struct str *)(const void *)(entry + first->offset));
			name->n = inner;
			push(name, api_text(out->api, value->wire_name));
			entry += value->offset;
		}
		if (value_present(member_shape(out->api, value), entry))
			write_value(out, name, value, member_shape(out->api, value), entry);
	}
}

static void write_value(struct wire_out *out, struct buf *name, const struct member *m, const struct shape *s, const void *p)
{
	char scratch[VALUE_SCRATCH];
	switch (s->kind) {
	case SHAPE_STRUCTURE:
		write_structure(out, name, s, p);
		return;
	case SHAPE_LIST:
	case SHAPE_MAP:
		write_list(out, name, m, s, p);
		return;
	default:
		form_put(out->body, buf_str(name), value_text(out->arena, m, s, p, MT_ISO8601, false, scratch));
	}
}

void wire_form_write(struct wire_out *out, const struct shape *s, const void *base)
{
	struct buf CLEAN_BUF name;
	buf_init(&name, 64 * 1024);
	write_structure(out, &name, s, base);
}

/* Events of libyaml become a tree, by recursion that is bounded. An anchor is known once its node is whole, so nothing holds
 * itself. */
#include "base/yaml.h"

#include <yaml.h>

struct anchor {
	struct anchor *next;
	struct str name;
	struct yaml_value *value;
};

struct reading {
	struct arena *arena;
	yaml_parser_t parser;
	struct anchor *anchors;
	struct str error;
	size_t nodes;
};

#define TAG "tag:yaml.org,2002:"

static struct yaml_value *fail(struct reading *r, const char *why, const yaml_mark_t *at)
{
	if (!str_set(r->error))
		r->error = arena_printf(r->arena, "%s, line %zu, column %zu", why, at->line + 1, at->column + 1);
	return NULL;
}

static bool next(struct reading *r, yaml_event_t *ret)
{
	if (yaml_parser_parse(&r->parser, ret))
		return true;
	fail(r, r->parser.problem ? r->parser.problem : "it cannot be read",
	     r->parser.problem_mark.line ? &r->parser.problem_mark : &r->parser.mark);
	return false;
}

static struct yaml_value *new_value(struct reading *r, enum yaml_kind kind)
{
	struct yaml_value *v = arena_new(r->arena, struct yaml_value);
	v->kind = kind;
	v->written = 1;
	return v;
}

static void add(struct reading *r, struct yaml_value *to, struct str key, struct yaml_value *item)
{
	if ((to->n & (to->n - 1)) == 0) { /* room for twice as many */
		struct yaml_value **items = arena_array(r->arena, to->n ? 2 * (size_t)to->n : 1, sizeof(*items));
		struct str *keys = arena_array(r->arena, to->n ? 2 * (size_t)to->n : 1, sizeof(*keys));
		if (to->n) {
			memcpy(items, to->items, to->n * sizeof(*items));
			memcpy(keys, to->keys, to->n * sizeof(*keys));
		}
		to->items = items;
		to->keys = keys;
	}
	to->items[to->n] = item;
	to->keys[to->n++] = key;
	to->written += item->written;
}

static void keep(struct reading *r, const yaml_char_t *anchor, struct yaml_value *v)
{
	if (!anchor)
		return;
	struct anchor *n = arena_new(r->arena, struct anchor);
	*n = (struct anchor){r->anchors, arena_dup(r->arena, str_from((const char *)anchor)), v};
	r->anchors = n;
}

static struct yaml_value *find(struct reading *r, const yaml_char_t *name)
{
	for (struct anchor *n = r->anchors; n; n = n->next)
		if (str_is(n->name, (const char *)name))
			return n->value;
	return NULL;
}

static bool is_known(const yaml_char_t *tag)
{
	const char *text = (const char *)tag;
	return !text || strcmp(text, "!") == 0 || strncmp(text, TAG, strlen(TAG)) == 0;
}

static struct yaml_value *scalar(struct reading *r, const yaml_event_t *e)
{
	struct str text = arena_dup(r->arena, str_of(e->data.scalar.value, e->data.scalar.length));
	bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !e->data.scalar.tag;
	bool nothing = plain && (!text.n || str_is(text, "~") || str_is(text, "null"));
	struct yaml_value *v = new_value(r, nothing ? YAML_NULL : YAML_TEXT);
	v->text = nothing ? STR_NONE : text;
	return v;
}

static struct yaml_value *read_value(struct reading *r, const yaml_event_t *e, unsigned depth);

static struct yaml_value *read_list(struct reading *r, unsigned depth)
{
	struct yaml_value *list = new_value(r, YAML_LIST);
	for (;;) {
		yaml_event_t e;
		if (!next(r, &e))
			return NULL;
		bool over = e.type == YAML_SEQUENCE_END_EVENT;
		struct yaml_value *item = over ? NULL : read_value(r, &e, depth);
		yaml_event_delete(&e);
		if (over)
			return list;
		if (!item)
			return NULL;
		add(r, list, STR_NONE, item);
	}
}

/* What is merged comes first, so that a key of the map's own has the last word. */
static struct yaml_value *merged(struct reading *r, struct yaml_value *own, struct yaml_value *from, const yaml_mark_t *at)
{
	struct yaml_value *all = new_value(r, YAML_MAP);
	uint32_t parts = from->kind == YAML_LIST ? from->n : 1;
	for (uint32_t i = parts; i-- > 0;) { /* of several, the first one counts */
		const struct yaml_value *part = from->kind == YAML_LIST ? from->items[i] : from;
		if (part->kind != YAML_MAP)
			return fail(r, "what is merged is no map", at);
		for (uint32_t k = 0; k < part->n; k++)
			add(r, all, part->keys[k], part->items[k]);
		if (all->written > YAML_NODES_MAX)
			return fail(r, "it is too large", at);
	}
	for (uint32_t k = 0; k < own->n; k++)
		add(r, all, own->keys[k], own->items[k]);
	return all;
}

static struct yaml_value *read_map(struct reading *r, unsigned depth)
{
	struct yaml_value *map = new_value(r, YAML_MAP), *from = NULL;
	yaml_mark_t at = r->parser.mark;
	for (;;) {
		yaml_event_t e;
		if (!next(r, &e))
			return NULL;
		bool over = e.type == YAML_MAPPING_END_EVENT, merges = e.type == YAML_SCALAR_EVENT &&
		                                                       e.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
		                                                       strcmp((char *)e.data.scalar.value, "<<") == 0;
		struct yaml_value *key = over ? NULL : read_value(r, &e, depth);
		yaml_event_delete(&e);
		if (over)
			return from ? merged(r, map, from, &at) : map;
		if (!key)
			return NULL;
		if (key->kind == YAML_LIST || key->kind == YAML_MAP)
			return fail(r, "a key is no text", &r->parser.mark);
		if (!next(r, &e))
			return NULL;
		struct yaml_value *value = read_value(r, &e, depth);
		yaml_event_delete(&e);
		if (!value)
			return NULL;
		if (merges)
			from = value;
		else
			add(r, map, str_set(key->text) ? key->text : S(""), value);
	}
}

static struct yaml_value *read_value(struct reading *r, const yaml_event_t *e, unsigned depth)
{
	struct yaml_value *v;
	if (depth >= YAML_DEPTH_MAX)
		return fail(r, "it is too deep", &e->start_mark);
	switch (e->type) {
	case YAML_ALIAS_EVENT:
		v = find(r, e->data.alias.anchor);
		if (!v)
			return fail(r, "there is no such anchor", &e->start_mark);
		break;
	case YAML_SCALAR_EVENT:
		if (!is_known(e->data.scalar.tag))
			return fail(r, "there is no such tag", &e->start_mark);
		v = scalar(r, e);
		keep(r, e->data.scalar.anchor, v);
		break;
	case YAML_SEQUENCE_START_EVENT:
		if (!is_known(e->data.sequence_start.tag))
			return fail(r, "there is no such tag", &e->start_mark);
		v = read_list(r, depth + 1);
		if (v)
			keep(r, e->data.sequence_start.anchor, v);
		break;
	case YAML_MAPPING_START_EVENT:
		if (!is_known(e->data.mapping_start.tag))
			return fail(r, "there is no such tag", &e->start_mark);
		v = read_map(r, depth + 1);
		if (v)
			keep(r, e->data.mapping_start.anchor, v);
		break;
	default:
		return fail(r, "it is not one document", &e->start_mark);
	}
	if (v && (v->written > YAML_NODES_MAX || ++r->nodes > YAML_NODES_MAX))
		return fail(r, "it is too large", &e->start_mark);
	return v;
}

/* From the stream's beginning to its end. */
static struct yaml_value *read_document(struct reading *r)
{
	struct yaml_value *v = NULL;
	for (;;) {
		yaml_event_t e;
		if (!next(r, &e))
			return NULL;
		bool over = e.type == YAML_STREAM_END_EVENT, frame = e.type == YAML_STREAM_START_EVENT ||
		                                                     e.type == YAML_DOCUMENT_START_EVENT ||
		                                                     e.type == YAML_DOCUMENT_END_EVENT;
		if (!over && !frame)
			v = v ? fail(r, "it is more than one document", &e.start_mark) : read_value(r, &e, 0);
		yaml_event_delete(&e);
		if (over)
			return v ? v : new_value(r, YAML_NULL);
		if (str_set(r->error))
			return NULL;
	}
}

const struct yaml_value *yaml_parse(struct arena *a, struct str text, struct str *ret_error)
{
	struct reading r = {.arena = a};
	struct yaml_value *v = NULL;
	if (text.n > YAML_BYTES_MAX)
		r.error = S("it is too long");
	else if (!yaml_parser_initialize(&r.parser))
		abort();
	if (!str_set(r.error)) {
		yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.n ? text.p : ""), text.n);
		v = read_document(&r);
		yaml_parser_delete(&r.parser);
	}
	if (!v && ret_error)
		*ret_error = r.error;
	return v;
}

const struct yaml_value *yaml_get(const struct yaml_value *m, const char *key)
{
	for (uint32_t i = yaml_is(m, YAML_MAP) ? m->n : 0; i-- > 0;)
		if (str_is(m->keys[i], key))
			return m->items[i];
	return NULL;
}

struct str yaml_get_text(const struct yaml_value *m, const char *key)
{
	const struct yaml_value *v = yaml_get(m, key);
	return yaml_is(v, YAML_TEXT) ? v->text : STR_NONE;
}

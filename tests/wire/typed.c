#include "typed.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/rand.h"

#include <math.h>
#include <stdlib.h>

static const struct member *member_at(const struct api *api, const struct shape *s, uint32_t i)
{
	return &api->members[s->first_member + i];
}

static bool streams(const struct api *api, const struct member *m)
{
	return (m->flags & MEMBER_STREAMING) || (api_shape(api, m->shape)->flags & (SHAPE_STREAMING | SHAPE_EVENT_STREAM));
}

static struct str as_json(struct arena *a, const struct json_value *v)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, 1 << 20);
	json_put_value(&b, v);
	return arena_dup(a, buf_str(&b));
}

static bool structure_from_json(struct arena *a, const struct api *api, const struct shape *s, const struct json_value *v, void *p)
{
	json_each(v, child)
	{
		const struct member *m = NULL;
		for (uint32_t i = 0; i < s->members && !m; i++)
			if (str_eq(api_text(api, member_at(api, s, i)->name), child->key))
				m = member_at(api, s, i);
		if (!m)
			return false;
		if (streams(api, m) || child->kind == JSON_NULL)
			continue;
		const struct shape *inner = api_shape(api, m->shape);
		void *slot = (char *)p + m->offset;
		if (inner->kind == SHAPE_STRUCTURE)
			slot = *(void **)slot = arena_zalloc(a, inner->size);
		bool json = (m->flags & MEMBER_JSON_VALUE) || (inner->flags & SHAPE_JSON_VALUE);
		if (json && (m->location != IN_BODY || child->kind != JSON_STRING))
			*(struct str *)slot = as_json(a, child);
		else if (!typed_from_json(a, api, inner, child, slot))
			return false;
	}
	return true;
}

static bool list_from_json(struct arena *a, const struct api *api, const struct shape *s, const struct json_value *v,
                           struct any_list *list)
{
	bool map = s->kind == SHAPE_MAP;
	const struct member *m = member_at(api, s, map ? 1 : 0);
	if (v->kind != (map ? JSON_OBJECT : JSON_ARRAY))
		return false;
	list->set = true;
	json_each(v, child)
	{
		char *entry = model_list_add(a, list, s->size);
		if (map)
			*(struct str *)(void *)(entry + member_at(api, s, 0)->offset) = child->key;
		if (child->kind != JSON_NULL &&
		    !typed_from_json(a, api, api_shape(api, m->shape), child, entry + (map ? m->offset : 0)))
			return false;
	}
	return true;
}

static bool double_from_json(const struct json_value *v, double *ret)
{
	if (v->kind == JSON_NUMBER)
		return json_to_double(v->text, ret);
	if (v->kind != JSON_STRING)
		return false;
	*ret = str_is(v->text, "NaN") ? (double)NAN : str_is(v->text, "Infinity") ? (double)INFINITY : -(double)INFINITY;
	return true;
}

bool typed_from_json(struct arena *a, const struct api *api, const struct shape *s, const struct json_value *v, void *p)
{
	double d;
	switch (s->kind) {
	case SHAPE_STRUCTURE:
		return v->kind == JSON_OBJECT && structure_from_json(a, api, s, v, p);
	case SHAPE_LIST:
	case SHAPE_MAP:
		return list_from_json(a, api, s, v, p);
	case SHAPE_BOOLEAN:
		*(struct opt_bool *)p = OPT_BOOL(v->kind == JSON_TRUE);
		return v->kind == JSON_TRUE || v->kind == JSON_FALSE;
	case SHAPE_INTEGER:
	case SHAPE_LONG:
		((struct opt_int *)p)->set = true;
		return v->kind == JSON_NUMBER && json_to_int(v->text, &((struct opt_int *)p)->v);
	case SHAPE_FLOAT:
	case SHAPE_DOUBLE:
		((struct opt_double *)p)->set = true;
		return double_from_json(v, &((struct opt_double *)p)->v);
	case SHAPE_TIMESTAMP:
		if (v->kind == JSON_STRING)
			((struct opt_time *)p)->set = time_parse(v->text, &((struct opt_time *)p)->ms);
		else if (double_from_json(v, &d))
			*(struct opt_time *)p = OPT_TIME((int64_t)llround(d * 1000));
		return ((struct opt_time *)p)->set;
	case SHAPE_DOCUMENT:
		*(struct str *)p = as_json(a, v);
		return true;
	default:
		*(struct str *)p = v->text;
		return v->kind == JSON_STRING;
	}
}

static int text_order(const void *x, const void *y)
{
	return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

static bool present(const struct shape *s, const void *p)
{
	switch (s->kind) {
	case SHAPE_STRUCTURE:
		return true;
	case SHAPE_LIST:
	case SHAPE_MAP:
		return ((const struct any_list *)p)->set;
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

static void dump_list(struct buf *b, const struct api *api, const struct shape *s, const struct any_list *list)
{
	bool map = s->kind == SHAPE_MAP;
	const struct member *m = member_at(api, s, map ? 1 : 0);
	struct arena CLEAN_ARENA a = {0};
	struct str *parts = arena_array(&a, list->n + 1u, sizeof(*parts));
	for (uint32_t i = 0; i < list->n; i++) {
		const char *entry = (const char *)list->v + (size_t)i * s->size;
		struct buf CLEAN_BUF one;
		buf_init(&one, 1 << 20);
		if (map) {
			json_put_string(&one, *(const struct str *)(const void *)entry);
			buf_add_char(&one, ':');
		}
		typed_dump(&one, api, api_shape(api, m->shape), entry + (map ? m->offset : 0));
		parts[i] = arena_dup(&a, buf_str(&one));
	}
	if (map)
		qsort(parts, list->n, sizeof(*parts), text_order);
	buf_add_char(b, map ? '<' : '[');
	for (uint32_t i = 0; i < list->n; i++) {
		buf_add_str(b, parts[i]);
		buf_add_char(b, ',');
	}
	buf_add_char(b, map ? '>' : ']');
}

void typed_dump(struct buf *b, const struct api *api, const struct shape *s, const void *p)
{
	if (!present(s, p)) {
		buf_add_lit(b, "absent");
		return;
	}
	switch (s->kind) {
	case SHAPE_STRUCTURE:
		buf_add_char(b, '{');
		for (uint32_t i = 0; i < s->members; i++) {
			const struct member *m = member_at(api, s, i);
			const struct shape *inner = api_shape(api, m->shape);
			const void *slot = (const char *)p + m->offset;
			if (inner->kind == SHAPE_STRUCTURE && !streams(api, m))
				slot = *(const void *const *)slot;
			if (streams(api, m) || !slot || !present(inner, slot))
				continue;
			buf_printf(b, "%s=", api->text + m->name);
			typed_dump(b, api, inner, slot);
			buf_add_char(b, ' ');
		}
		buf_add_char(b, '}');
		return;
	case SHAPE_LIST:
	case SHAPE_MAP:
		dump_list(b, api, s, p);
		return;
	case SHAPE_BOOLEAN:
		buf_add_str(b, ((const struct opt_bool *)p)->v ? S("true") : S("false"));
		return;
	case SHAPE_INTEGER:
	case SHAPE_LONG:
		buf_printf(b, "%lld", (long long)((const struct opt_int *)p)->v);
		return;
	case SHAPE_FLOAT: /* some carriers have only the 32 bits */
		buf_printf(b, "%.9gf", (double)(float)((const struct opt_double *)p)->v);
		return;
	case SHAPE_DOUBLE:
		buf_printf(b, "%.17gd", ((const struct opt_double *)p)->v);
		return;
	case SHAPE_TIMESTAMP:
		buf_printf(b, "@%lld", (long long)((const struct opt_time *)p)->ms);
		return;
	case SHAPE_DOCUMENT: {
		struct arena CLEAN_ARENA a = {0};
		struct json_value *v = json_parse(&a, *(const struct str *)p, NULL);
		if (v)
			json_put_value(b, v);
		else
			buf_add_lit(b, "not JSON");
		return;
	}
	default:
		json_put_string(b, *(const struct str *)p);
	}
}

struct str typed_text(struct arena *a, const struct api *api, const struct shape *s, const void *p)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, 1 << 22);
	if (s)
		typed_dump(&b, api, s, p);
	return arena_dup(a, buf_str(&b));
}

static void wrapped(struct json_out *o, struct str name, struct str text)
{
	json_open(o, '{');
	json_key(o, name);
	json_string(o, text);
	json_close(o, '}');
}

static void structure_json(struct arena *a, struct json_out *o, const struct api *api, const struct shape *s, const void *p)
{
	json_open(o, '{');
	for (uint32_t i = 0; i < s->members; i++) {
		const struct member *m = member_at(api, s, i);
		const struct shape *inner = api_shape(api, m->shape);
		const void *slot = (const char *)p + m->offset;
		if (streams(api, m))
			continue;
		if (inner->kind == SHAPE_STRUCTURE)
			slot = *(const void *const *)slot;
		if (!slot || !present(inner, slot))
			continue;
		json_key(o, api_text(api, m->name));
		if ((m->flags & MEMBER_JSON_VALUE) || (inner->flags & SHAPE_JSON_VALUE))
			wrapped(o, S("$json"), *(const struct str *)slot);
		else
			typed_json(a, o, api, inner, slot);
	}
	json_close(o, '}');
}

void typed_json(struct arena *a, struct json_out *o, const struct api *api, const struct shape *s, const void *p)
{
	const struct any_list *list = p;
	switch (s->kind) {
	case SHAPE_STRUCTURE:
		structure_json(a, o, api, s, p);
		return;
	case SHAPE_LIST:
		json_open(o, '[');
		for (uint32_t i = 0; i < list->n; i++)
			typed_json(a, o, api, api_shape(api, member_at(api, s, 0)->shape),
			           (const char *)list->v + (size_t)i * s->size);
		json_close(o, ']');
		return;
	case SHAPE_MAP:
		json_open(o, '{');
		for (uint32_t i = 0; i < list->n; i++) {
			const char *entry = (const char *)list->v + (size_t)i * s->size;
			json_key(o, *(const struct str *)(const void *)entry);
			typed_json(a, o, api, api_shape(api, member_at(api, s, 1)->shape), entry + member_at(api, s, 1)->offset);
		}
		json_close(o, '}');
		return;
	case SHAPE_BOOLEAN:
		json_bool(o, ((const struct opt_bool *)p)->v);
		return;
	case SHAPE_INTEGER:
	case SHAPE_LONG:
		json_int(o, ((const struct opt_int *)p)->v);
		return;
	case SHAPE_FLOAT:
	case SHAPE_DOUBLE:
		json_double(o, ((const struct opt_double *)p)->v);
		return;
	case SHAPE_TIMESTAMP:
		json_open(o, '{');
		json_key(o, S("$time"));
		json_int(o, ((const struct opt_time *)p)->ms);
		json_close(o, '}');
		return;
	case SHAPE_BLOB:
		wrapped(o, S("$blob"), base64_encode(a, *(const struct str *)p));
		return;
	case SHAPE_DOCUMENT:
		json_raw(o, *(const struct str *)p);
		return;
	default:
		json_string(o, *(const struct str *)p);
	}
}

static bool drop_from_list(const struct api *api, const struct shape *s, struct any_list *list)
{
	const struct member *m = member_at(api, s, s->kind == SHAPE_MAP ? 1 : 0);
	uint32_t kept = 0;
	for (uint32_t i = 0; i < list->n; i++) {
		char *entry = (char *)list->v + (size_t)i * s->size;
		if (typed_drop_empty(api, api_shape(api, m->shape), entry + (s->kind == SHAPE_MAP ? m->offset : 0)))
			continue;
		memmove((char *)list->v + (size_t)kept++ * s->size, entry, s->size);
	}
	list->n = kept;
	list->set = kept > 0;
	return !kept;
}

bool typed_drop_empty(const struct api *api, const struct shape *s, void *p)
{
	bool empty = true;
	if (!s || (s->kind != SHAPE_STRUCTURE && s->kind != SHAPE_LIST && s->kind != SHAPE_MAP))
		return false;
	if (s->kind != SHAPE_STRUCTURE)
		return drop_from_list(api, s, p);
	for (uint32_t i = 0; i < s->members; i++) {
		const struct member *m = member_at(api, s, i);
		const struct shape *inner = api_shape(api, m->shape);
		void *slot = (char *)p + m->offset;
		if (inner->kind == SHAPE_STRUCTURE && !streams(api, m)) {
			if (*(void **)slot && typed_drop_empty(api, inner, *(void **)slot))
				*(void **)slot = NULL;
			empty &= !*(void **)slot;
		} else if (!streams(api, m)) {
			typed_drop_empty(api, inner, slot);
			empty &= !present(inner, slot);
		}
	}
	return empty;
}

static struct str random_text(struct arena *a)
{
	static const char *const texts[] = {"a",     "Z9",   "a b",  "x&y<z>\"q\"", "\xc3\xa9\xe2\x82\xac", "1",
	                                    "a/b:c", "100%", "[]{}", "a=b+c",       "\xf0\x9f\x98\x80",     "~-_."};
	return arena_dup(a, str_from(texts[rand_below(sizeof(texts) / sizeof(*texts))]));
}

static void random_list(struct arena *a, const struct api *api, const struct shape *s, unsigned depth, struct any_list *list)
{
	bool map = s->kind == SHAPE_MAP;
	const struct member *m = member_at(api, s, map ? 1 : 0);
	uint64_t n = depth ? 1 + rand_below(3) : 0;
	list->set = n > 0; /* an empty list does not travel everywhere */
	for (uint64_t i = 0; i < n; i++) {
		char *entry = model_list_add(a, list, s->size);
		if (map)
			*(struct str *)(void *)(entry + member_at(api, s, 0)->offset) = arena_printf(a, "k%d", (int)i);
		typed_random(a, api, api_shape(api, m->shape), depth - 1, entry + (map ? m->offset : 0));
	}
}

void typed_random(struct arena *a, const struct api *api, const struct shape *s, unsigned depth, void *p)
{
	switch (s->kind) {
	case SHAPE_STRUCTURE:
		for (uint32_t i = 0; i < s->members; i++) {
			const struct member *m = member_at(api, s, i);
			const struct shape *inner = api_shape(api, m->shape);
			bool needed = (m->flags & MEMBER_REQUIRED) || m->location == IN_URI;
			bool nests = inner->kind == SHAPE_STRUCTURE || inner->kind == SHAPE_LIST || inner->kind == SHAPE_MAP;
			if (streams(api, m) || (nests && !depth) || (!needed && rand_below(3) == 0))
				continue;
			void *slot = (char *)p + m->offset;
			if (inner->kind == SHAPE_STRUCTURE)
				slot = *(void **)slot = arena_zalloc(a, inner->size);
			typed_random(a, api, inner, nests ? depth - 1 : depth, slot);
		}
		return;
	case SHAPE_LIST:
	case SHAPE_MAP:
		random_list(a, api, s, depth, p);
		return;
	case SHAPE_BOOLEAN:
		*(struct opt_bool *)p = OPT_BOOL(rand_below(2));
		return;
	case SHAPE_INTEGER:
		*(struct opt_int *)p = OPT_INT((int32_t)rand_u64());
		return;
	case SHAPE_LONG:
		*(struct opt_int *)p = OPT_INT((int64_t)rand_u64());
		return;
	case SHAPE_FLOAT:
	case SHAPE_DOUBLE:
		*(struct opt_double *)p = OPT_DOUBLE((double)(int32_t)rand_u64() / 1024);
		return;
	case SHAPE_TIMESTAMP:
		*(struct opt_time *)p = OPT_TIME((int64_t)rand_below(4000000000) * 1000);
		return;
	case SHAPE_DOCUMENT:
		*(struct str *)p = S("{\"a\":[1,null,\"x\"]}");
		return;
	default:
		if (s->kind == SHAPE_STRING && (s->have & HAS_ENUM))
			*(struct str *)p = api_text(api, api->enum_values[s->enum_first + rand_below(s->enums)]);
		else
			*(struct str *)p = random_text(a);
	}
}

#include "base/json.h"

struct json_value *json_parse(struct arena *a, struct str text, struct str *ret_error)
{
	struct json_reader r;
	json_reader_init(&r, a, str_set(text) ? text : S(""), 0);
	struct json_value *open[JSON_DEPTH_MAX + 1], **tail[JSON_DEPTH_MAX + 1];
	struct json_value *root = NULL;
	struct str key = STR_NONE;
	size_t depth = 0;
	tail[0] = &root;
	for (;;) {
		enum json_token t = json_next(&r);
		switch (t) {
		case JSON_ERROR:
			if (ret_error)
				*ret_error = arena_printf(a, "%s at offset %zu", r.error, r.at);
			return NULL;
		case JSON_END:
			return root;
		case JSON_KEY:
			key = r.text;
			break;
		case JSON_ARRAY_END:
		case JSON_OBJECT_END:
			open[depth--]->end = r.at + 1;
			break;
		default: {
			struct json_value *v = arena_new(a, struct json_value);
			*v = (struct json_value){.kind = t, .key = key, .at = r.at};
			if (t == JSON_STRING || t == JSON_NUMBER)
				v->text = r.text;
			key = STR_NONE;
			*tail[depth] = v;
			tail[depth] = &v->next;
			if (depth)
				open[depth]->count++;
			if (t == JSON_ARRAY || t == JSON_OBJECT) {
				depth++;
				open[depth] = v;
				tail[depth] = &v->first;
			}
		}
		}
	}
}

const struct json_value *json_get(const struct json_value *v, struct str key)
{
	const struct json_value *found = NULL;
	if (!json_is(v, JSON_OBJECT))
		return NULL;
	json_each(v, member) if (str_eq(member->key, key)) found = member;
	return found;
}

struct str json_get_str(const struct json_value *v, struct str key)
{
	const struct json_value *member = json_get(v, key);
	return json_is(member, JSON_STRING) ? member->text : STR_NONE;
}

struct str json_duplicate(const struct json_value *v)
{
	json_each(v, child)
	{
		if (v->kind == JSON_OBJECT)
			for (const struct json_value *other = child->next; other; other = other->next)
				if (str_eq(child->key, other->key))
					return child->key;
		struct str below = json_duplicate(child);
		if (str_set(below))
			return below;
	}
	return STR_NONE;
}

#include "aws/lambda/filter.h"

/* --- what a pattern may be */

static bool wrong(struct arena *a, struct str *ret_why, const char *what, struct str key)
{
	*ret_why = arena_printf(a, "%s: %.*s", what, STR_ARG(key));
	return false;
}

static bool numeric_valid(const struct json_value *list)
{
	uint32_t i = 0;
	json_each(list, v)
	{
		static const char *const words[] = {"<", "<=", "=", ">", ">="};
		bool known = i % 2 == 1;
		for (size_t k = 0; k < sizeof(words) / sizeof(*words); k++)
			known |= i % 2 == 0 && v->kind == JSON_STRING && str_is(v->text, words[k]);
		if (!known || (i % 2 && v->kind != JSON_NUMBER))
			return false;
		i++;
	}
	return i == 2 || i == 4;
}

static bool leaf_list_valid(const struct json_value *v)
{
	if (v->kind == JSON_STRING || v->kind == JSON_NUMBER)
		return true;
	if (v->kind == JSON_OBJECT) {
		const struct json_value *only = v->first;
		return v->count == 1 && only->kind == JSON_STRING && (str_is(only->key, "prefix") || str_is(only->key, "suffix"));
	}
	json_each(v, e) if (e->kind != JSON_STRING && e->kind != JSON_NUMBER) return false;
	return v->kind == JSON_ARRAY && v->count > 0;
}

static bool condition_valid(const struct json_value *v)
{
	if (v->kind == JSON_ARRAY)
		return false;
	if (v->kind != JSON_OBJECT)
		return true;
	const struct json_value *only = v->first;
	if (v->count != 1)
		return false;
	if (str_is(only->key, "prefix") || str_is(only->key, "suffix") || str_is(only->key, "equals-ignore-case"))
		return only->kind == JSON_STRING;
	if (str_is(only->key, "exists"))
		return only->kind == JSON_TRUE || only->kind == JSON_FALSE;
	if (str_is(only->key, "numeric"))
		return only->kind == JSON_ARRAY && numeric_valid(only);
	return str_is(only->key, "anything-but") && leaf_list_valid(only);
}

bool filter_valid(struct arena *a, const struct json_value *pattern, struct str *ret_why)
{
	if (!json_is(pattern, JSON_OBJECT))
		return wrong(a, ret_why, "a pattern is an object", S(""));
	json_each(pattern, m)
	{
		bool is_or = str_is(m->key, "$or");
		if (m->kind == JSON_OBJECT && !is_or) {
			if (!m->count)
				return wrong(a, ret_why, "an empty object", m->key);
			if (!filter_valid(a, m, ret_why))
				return false;
			continue;
		}
		if (m->kind != JSON_ARRAY || !m->count)
			return wrong(a, ret_why, "it has to be an object or a list of conditions", m->key);
		json_each(m, v)
		{
			if (is_or ? !filter_valid(a, v, ret_why) : !condition_valid(v))
				return is_or ? false : wrong(a, ret_why, "no condition that is known", m->key);
		}
	}
	return true;
}

/* --- does it match? */

static bool equal(const struct json_value *a, const struct json_value *b)
{
	double x, y;
	if (a->kind != b->kind)
		return false;
	if (a->kind == JSON_NUMBER)
		return json_to_double(a->text, &x) && json_to_double(b->text, &y) && x == y;
	return a->kind != JSON_STRING || str_eq(a->text, b->text);
}

static bool text_holds(const struct json_value *word, const struct json_value *v)
{
	if (v->kind != JSON_STRING)
		return false;
	if (str_is(word->key, "prefix"))
		return str_starts(v->text, word->text);
	if (str_is(word->key, "suffix"))
		return str_ends(v->text, word->text);
	return str_ieq(v->text, word->text);
}

static bool listed(const struct json_value *list, const struct json_value *v)
{
	if (list->kind == JSON_OBJECT)
		return text_holds(list->first, v);
	if (list->kind != JSON_ARRAY)
		return equal(list, v);
	json_each(list, e) if (equal(e, v)) return true;
	return false;
}

static bool numeric_holds(const struct json_value *list, const struct json_value *v)
{
	double x, bound;
	if (v->kind != JSON_NUMBER || !json_to_double(v->text, &x))
		return false;
	for (const struct json_value *op = list->first; op && op->next; op = op->next->next) {
		if (!json_to_double(op->next->text, &bound))
			return false;
		bool holds = str_is(op->text, "<")    ? x < bound
		             : str_is(op->text, "<=") ? x <= bound
		             : str_is(op->text, "=")  ? x == bound
		             : str_is(op->text, ">")  ? x > bound
		                                      : x >= bound;
		if (!holds)
			return false;
	}
	return true;
}

static bool holds_of_one(const struct json_value *condition, const struct json_value *v)
{
	if (condition->kind != JSON_OBJECT)
		return equal(condition, v);
	const struct json_value *word = condition->first;
	if (str_is(word->key, "numeric"))
		return numeric_holds(word, v);
	if (str_is(word->key, "anything-but"))
		return !listed(word, v);
	return text_holds(word, v);
}

/* v: NULL where the record has nothing of that name. Of a list, one element is enough. */
static bool holds(const struct json_value *condition, const struct json_value *v)
{
	if (condition->kind == JSON_OBJECT && str_is(condition->first->key, "exists")) {
		bool there = v && v->kind != JSON_OBJECT;
		return there == (condition->first->kind == JSON_TRUE);
	}
	if (!v || v->kind == JSON_OBJECT)
		return false;
	if (v->kind != JSON_ARRAY)
		return holds_of_one(condition, v);
	json_each(v, e) if (e->kind != JSON_ARRAY && e->kind != JSON_OBJECT && holds_of_one(condition, e)) return true;
	return false;
}

static bool member_matches(const struct json_value *m, const struct json_value *record)
{
	if (str_is(m->key, "$or")) {
		json_each(m, alternative) if (filter_matches(alternative, record)) return true;
		return false;
	}
	const struct json_value *v = json_get(record, m->key);
	if (m->kind == JSON_ARRAY) {
		json_each(m, condition) if (holds(condition, v)) return true;
		return false;
	}
	if (!json_is(v, JSON_ARRAY))
		return filter_matches(m, v);
	json_each(v, e) if (filter_matches(m, e)) return true;
	return false;
}

bool filter_matches(const struct json_value *pattern, const struct json_value *record)
{
	if (record && record->kind != JSON_OBJECT)
		record = NULL;
	json_each(pattern, m) if (!member_matches(m, record)) return false;
	return true;
}

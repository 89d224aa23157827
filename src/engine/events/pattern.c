/* An event is asked as a tree. Arrays in it match when one of their elements does, and all that is said of the fields of one object
 * has to be true of the same element. */
#include "engine/events/pattern_tree.h"

#include <string.h>

static bool same_begin(struct str s, struct str begin, bool fold)
{
	return fold ? str_istarts(s, begin) : str_starts(s, begin);
}

/* The first and the last part are at the ends, the others one behind the other between them: each is looked for once. */
static bool wildcard(const struct str_list *parts, struct str s)
{
	struct str first = parts->v[0], last = parts->v[parts->n - 1];
	if (parts->n == 1)
		return str_eq(s, first);
	if (s.n < first.n + last.n || !str_starts(s, first) || !str_ends(s, last))
		return false;
	struct str rest = str_sub(s, first.n, s.n - first.n - last.n);
	for (uint32_t i = 1; i + 1 < parts->n; i++) {
		const char *at = memmem(rest.p, rest.n, parts->v[i].p, parts->v[i].n);
		if (!at)
			return false;
		rest = str_from_at(rest, (size_t)(at - rest.p) + parts->v[i].n);
	}
	return true;
}

static bool in_cidr(const struct test *t, struct str text)
{
	struct test host = {0};
	if (str_find_char(text, '/') >= 0 || !test_parse_cidr(text, &host) || host.six != t->six)
		return false;
	unsigned whole = t->bits / 8, rest = t->bits % 8;
	if (memcmp(host.network, t->network, whole))
		return false;
	return !rest || (host.network[whole] ^ t->network[whole]) >> (8 - rest) == 0;
}

static bool in_range(const struct test *t, const struct json_value *v)
{
	double x;
	if (v->kind != JSON_NUMBER || !json_to_double(v->text, &x))
		return false;
	return (t->above ? x > t->from : x >= t->from) && (t->below ? x < t->to : x <= t->to);
}

/* Of a value that is there: no object, no array. */
static bool test_value(const struct test *t, const struct json_value *v)
{
	bool text = v->kind == JSON_STRING;
	switch (t->kind) {
	case TEST_EXACT:
		return v->kind == t->value && str_eq(v->text, t->text);
	case TEST_PREFIX:
		return text && same_begin(v->text, t->text, t->fold);
	case TEST_SUFFIX:
		return text && v->text.n >= t->text.n && same_begin(str_from_at(v->text, v->text.n - t->text.n), t->text, t->fold);
	case TEST_FOLDED:
		return text && str_ieq(v->text, t->text);
	case TEST_WILDCARD:
		return text && wildcard(&t->parts, v->text);
	case TEST_RANGE:
		return in_range(t, v);
	case TEST_CIDR:
		return text && in_cidr(t, v->text);
	case TEST_THERE:
		return true;
	case TEST_ABSENT:
		return false;
	case TEST_NONE_OF:
		for (const struct test *one = t->of; one; one = one->next)
			if (test_value(one, v))
				return false;
		return true;
	}
	return false;
}

static bool has_scalar(const struct json_value *v)
{
	if (!v || v->kind == JSON_OBJECT)
		return false;
	if (v->kind != JSON_ARRAY)
		return true;
	json_each(v, one) if (has_scalar(one)) return true;
	return false;
}

static bool test_any(const struct test *t, const struct json_value *v)
{
	if (v->kind == JSON_OBJECT)
		return false;
	if (v->kind != JSON_ARRAY)
		return test_value(t, v);
	json_each(v, one) if (test_any(t, one)) return true;
	return false;
}

static bool match_leaf(const struct test *tests, const struct json_value *v)
{
	bool there = has_scalar(v);
	for (const struct test *t = tests; t; t = t->next)
		if (there ? test_any(t, v) : t->kind == TEST_ABSENT)
			return true;
	return false;
}

static bool match_fields(const struct fields *f, const struct json_value *v);

/* Of an object, of one in an array, or of none, for what asks that something is absent. */
static bool match_object(const struct fields *f, const struct json_value *v, bool *found)
{
	if (v && v->kind == JSON_OBJECT) {
		*found = true;
		return match_fields(f, v);
	}
	if (v && v->kind == JSON_ARRAY)
		json_each(v, one) if (match_object(f, one, found)) return true;
	return false;
}

static bool match_fields(const struct fields *f, const struct json_value *v)
{
	for (const struct field *one = f->first; one; one = one->next) {
		const struct json_value *of = json_get(v, one->name);
		bool found = false;
		if (one->tests ? !match_leaf(one->tests, of)
		               : !match_object(one->fields, of, &found) && (found || !match_fields(one->fields, NULL)))
			return false;
	}
	for (const struct ways *w = f->ways; w; w = w->next) {
		const struct fields *any = w->any;
		while (any && !match_fields(any, v))
			any = any->next;
		if (!any)
			return false;
	}
	return true;
}

bool event_pattern_match(const struct event_pattern *p, const struct json_value *event)
{
	return match_fields(&p->all, event);
}

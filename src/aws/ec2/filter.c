#include "aws/ec2/filter.h"

#include "base/clock.h"

#include <assert.h>

enum { FILTERS_MAX = 50, VALUES_MAX = 200 };

/* Linear but for the way back to the last star; a backslash takes the meaning from what follows it. */
static bool glob(struct str pattern, struct str text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, star_text = 0;
	while (t < text.n || p < pattern.n) {
		char want = p < pattern.n ? pattern.p[p] : '\0';
		bool literal = want == '\\' && p + 1 < pattern.n;
		if (literal)
			want = pattern.p[p + 1];
		if (p < pattern.n && !literal && want == '*') {
			star = ++p;
			star_text = t;
		} else if (p < pattern.n && t < text.n && ((!literal && want == '?') || want == text.p[t])) {
			p += literal ? 2 : 1;
			t++;
		} else if (star != SIZE_MAX && star_text < text.n) {
			p = star;
			t = ++star_text;
		} else {
			return false;
		}
	}
	return true;
}

bool ec2_filter_matches(const struct ec2_filter *filter, struct str text)
{
	for (uint32_t i = 0; str_set(text) && i < filter->values.n; i++)
		if (glob(filter->values.v[i], text))
			return true;
	return false;
}

static const struct ec2_field *field_of(const struct ec2_field *fields, struct str name)
{
	for (; fields->name; fields++)
		if (str_is(name, fields->name))
			return fields;
	return NULL;
}

static bool about_tags(struct str name)
{
	return str_starts(name, S("tag:")) || str_is(name, "tag-key") || str_is(name, "tag-value");
}

int ec2_filters_check(struct call *c, const struct ec2_field *fields, const struct ec2_filter_list *filters)
{
	size_t values = 0;
	for (uint32_t i = 0; i < filters->n; i++) {
		const struct ec2_filter *f = &filters->v[i];
		if (!str_set(f->name))
			return ec2_missing(c, "Filter.Name");
		if (!about_tags(f->name) && !field_of(fields, f->name))
			return ec2_invalid(c, "The filter '%.*s' is invalid", STR_ARG(f->name));
		if (!f->values.n)
			return ec2_invalid(c, "The filter '%.*s' has no values", STR_ARG(f->name));
		values += f->values.n;
	}
	if (filters->n > FILTERS_MAX || values > VALUES_MAX)
		return call_fail(c, "FilterLimitExceeded", 400,
		                 "The maximum number of filter values specified on a single call is %d", VALUES_MAX);
	return CALL_OK;
}

static bool tags_pass(const struct ec2_tag_list *tags, const struct ec2_filter *f)
{
	struct str key = str_starts(f->name, S("tag:")) ? str_from_at(f->name, 4) : STR_NONE;
	for (uint32_t i = 0; i < tags->n; i++) {
		const struct ec2_tag *tag = &tags->v[i];
		if (str_set(key) ? str_eq(key, tag->key) && ec2_filter_matches(f, tag->value)
		                 : ec2_filter_matches(f, str_is(f->name, "tag-key") ? tag->key : tag->value))
			return true;
	}
	return false;
}

/* --- values */

static void leaf(struct arena *a, const struct shape *shape, const void *at, struct str_list *ret)
{
	if (!model_is_set(shape, at))
		return;
	struct str text = STR_NONE;
	switch ((enum shape_kind)shape->kind) {
	case SHAPE_STRING:
		text = *(const struct str *)at;
		break;
	case SHAPE_BOOLEAN:
		text = ((const struct opt_bool *)at)->v ? S("true") : S("false");
		break;
	case SHAPE_INTEGER:
	case SHAPE_LONG:
		text = arena_printf(a, "%ld", ((const struct opt_int *)at)->v);
		break;
	case SHAPE_FLOAT:
	case SHAPE_DOUBLE:
		text = arena_printf(a, "%g", ((const struct opt_double *)at)->v);
		break;
	case SHAPE_TIMESTAMP:
		text = time_format(a, ((const struct opt_time *)at)->ms, TIME_ISO8601_MS);
		break;
	case SHAPE_STRUCTURE:
	case SHAPE_LIST:
	case SHAPE_MAP:
	case SHAPE_BLOB:
	case SHAPE_DOCUMENT:
		assert(false);
	}
	*LIST_ADD(a, ret) = text;
}

/* A structure is at `at`; what is none lies in the slot there. A path that leads nowhere is a bug of the row. */
static void walk(struct arena *a, const struct shape *shape, const char *at, struct str path, struct str_list *ret)
{
	if (shape->kind == SHAPE_LIST) {
		const struct any_list *list = (const struct any_list *)(const void *)at;
		const struct shape *item = api_shape(&ec2_api, ec2_api.members[shape->first_member].shape);
		for (uint32_t i = 0; i < list->n; i++)
			walk(a, item, (const char *)list->v + (size_t)i * shape->size, path, ret);
		return;
	}
	if (shape->kind != SHAPE_STRUCTURE) {
		assert(!path.n);
		leaf(a, shape, at, ret);
		return;
	}
	size_t n = 0;
	while (n < path.n && path.p[n] != '.')
		n++;
	const struct member *m = &ec2_api.members[shape->first_member], *end = m + shape->members;
	while (m < end && !str_eq(api_text(&ec2_api, m->name), str_sub(path, 0, n)))
		m++;
	assert(m < end);
	const struct shape *target = api_shape(&ec2_api, m->shape);
	const char *slot = at + m->offset;
	if (target->kind == SHAPE_STRUCTURE)
		slot = *(char *const *)(const void *)slot;
	if (slot)
		walk(a, target, slot, str_from_at(path, n < path.n ? n + 1 : n), ret);
}

void ec2_path_values(struct arena *a, const char *shape, const void *at, const char *path, struct str_list *ret)
{
	walk(a, api_shape_named(&ec2_api, str_from(shape)), at, str_from(path), ret);
}

static void values_of(struct call *c, const struct ec2_kind *kind, void *record, const struct ec2_field *field,
                      struct str_list *ret)
{
	const char *at = (const char *)ec2_shape(kind, record) + field->at;
	switch (field->kind) {
	case EC2_TEXT:
		*LIST_ADD(c->arena, ret) = *(const struct str *)(const void *)at;
		break;
	case EC2_FLAG:
		*LIST_ADD(c->arena, ret) = ((const struct opt_bool *)(const void *)at)->v ? S("true") : S("false");
		break;
	case EC2_NUMBER:
		if (((const struct opt_int *)(const void *)at)->set)
			*LIST_ADD(c->arena, ret) = arena_printf(c->arena, "%ld", ((const struct opt_int *)(const void *)at)->v);
		break;
	case EC2_EACH: {
		const struct any_list *list = (const struct any_list *)(const void *)at;
		for (uint32_t i = 0; i < list->n; i++)
			*LIST_ADD(c->arena, ret) =
			        *(const struct str *)(const void *)((const char *)list->v + i * field->size + field->in);
		break;
	}
	case EC2_PATH:
		ec2_path_values(c->arena, field->shape, at, field->path, ret);
		break;
	case EC2_ASK:
		field->ask(c, record, ret);
		break;
	case EC2_NEVER:
		break;
	}
}

bool ec2_filters_pass(struct call *c, const struct ec2_kind *kind, void *record, const struct ec2_field *fields,
                      const struct ec2_filter_list *filters)
{
	for (uint32_t i = 0; i < filters->n; i++) {
		const struct ec2_filter *f = &filters->v[i];
		const struct ec2_field *field = field_of(fields, f->name);
		bool pass = false;
		if (field) {
			struct str_list values = {0};
			values_of(c, kind, record, field, &values);
			for (uint32_t k = 0; k < values.n && !pass; k++)
				pass = ec2_filter_matches(f, values.v[k]);
		} else if (kind->prefix) { /* what has no ids has no tags */
			pass = tags_pass(ec2_tags(kind, record), f);
		}
		if (!pass)
			return false;
	}
	return true;
}

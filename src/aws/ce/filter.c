/* Expressions over dimensions and tags. */
#include "aws/ce/cost.h"

enum { DEPTH_MAX = 10 };

static bool known_option(struct str option, bool tags)
{
	static const char *const ours[] = {"EQUALS", "STARTS_WITH", "ENDS_WITH", "CONTAINS", "CASE_SENSITIVE", "CASE_INSENSITIVE"};
	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		if (str_is(option, ours[i]))
			return true;
	return tags && str_is(option, "ABSENT");
}

static bool has_option(const struct str_list *options, const char *name)
{
	for (uint32_t i = 0; i < options->n; i++)
		if (str_is(options->v[i], name))
			return true;
	return false;
}

static int check_options(struct call *c, const struct str_list *options, bool tags)
{
	for (uint32_t i = 0; i < options->n; i++)
		if (!known_option(options->v[i], tags))
			return cost_invalid(c, "Match option %.*s is not supported for %s", STR_ARG(options->v[i]),
			                    tags ? "tags" : "dimensions");
	if (has_option(options, "CASE_SENSITIVE") && has_option(options, "CASE_INSENSITIVE"))
		return cost_invalid(c, "Match options CASE_SENSITIVE and CASE_INSENSITIVE exclude each other");
	return CALL_OK;
}

static int check_dimension(struct call *c, const struct ce_dimension_values *d, bool resources)
{
	if (!str_set(d->key) || !d->values.n)
		return cost_invalid(c, "Dimensions need a Key and Values");
	if (!cost_dimension_known(d->key, resources))
		return cost_invalid(c, "The dimension %.*s is not supported in a filter", STR_ARG(d->key));
	return check_options(c, &d->match_options, false);
}

static int check_tags(struct call *c, const struct ce_tag_values *t)
{
	if (!str_set(t->key))
		return cost_invalid(c, "Tags need a Key");
	if (!t->values.n && !has_option(&t->match_options, "ABSENT"))
		return cost_invalid(c, "Tags need Values, or the match option ABSENT");
	return check_options(c, &t->match_options, true);
}

static int check(struct call *c, const struct ce_expression *e, bool resources, int depth)
{
	int parts = (e->or.n > 0) + (e->and.n > 0) + (e->not != NULL) + (e->dimensions != NULL) + (e->tags != NULL) +
	            (e->cost_categories != NULL);
	if (parts != 1)
		return cost_invalid(c, "Expression should have exactly one of Or, And, Not, Dimensions, Tags and CostCategories");
	if (depth > DEPTH_MAX)
		return cost_invalid(c, "The filter is nested too deeply");
	if (e->cost_categories)
		return cost_invalid(c, "There are no cost categories");
	if (e->dimensions)
		return check_dimension(c, e->dimensions, resources);
	if (e->tags)
		return check_tags(c, e->tags);
	if (e->not )
		return check(c, e->not, resources, depth + 1);
	const struct ce_expressions *all = e->or.n ? &e->or : &e->and;
	if (all->n < 2)
		return cost_invalid(c, "Or and And need two expressions at least");
	for (uint32_t i = 0; i < all->n; i++)
		if (check(c, &all->v[i], resources, depth + 1) != CALL_OK)
			return CALL_FAIL;
	return CALL_OK;
}

int cost_filter_check(struct call *c, const struct ce_expression *e, bool resources)
{
	return e ? check(c, e, resources, 0) : CALL_OK;
}

/* Walks all leaves: does one satisfy it? */
static bool any(const struct ce_expression *e, bool (*is)(const struct ce_expression *, const char *), const char *what)
{
	if (!e)
		return false;
	if (is(e, what) || any(e->not, is, what))
		return true;
	for (uint32_t i = 0; i < e->or.n; i++)
		if (any(&e->or.v[i], is, what))
			return true;
	for (uint32_t i = 0; i < e->and.n; i++)
		if (any(&e->and.v[i], is, what))
			return true;
	return false;
}

static bool is_tags(const struct ce_expression *e, const char *what)
{
	(void)what;
	return e->tags != NULL;
}

static bool is_about(const struct ce_expression *e, const char *dimension)
{
	return e->dimensions && str_is(e->dimensions->key, dimension);
}

bool cost_filter_has_tags(const struct ce_expression *e)
{
	return any(e, is_tags, NULL);
}

bool cost_filter_has(const struct ce_expression *e, const char *dimension)
{
	return any(e, is_about, dimension);
}

static struct str folded(struct arena *a, struct str s)
{
	struct str copy = arena_dup(a, s);
	for (size_t i = 0; i < copy.n; i++)
		((char *)(uintptr_t)copy.p)[i] = ascii_lower(copy.p[i]);
	return copy;
}

static bool matches(struct arena *a, const struct str_list *options, const struct str_list *values, struct str value)
{
	bool fold = has_option(options, "CASE_INSENSITIVE");
	if (fold)
		value = folded(a, value);
	for (uint32_t i = 0; i < values->n; i++) {
		struct str wanted = fold ? folded(a, values->v[i]) : values->v[i];
		bool is = has_option(options, "STARTS_WITH") ? str_starts(value, wanted)
		          : has_option(options, "ENDS_WITH") ? str_ends(value, wanted)
		          : has_option(options, "CONTAINS")  ? str_find(value, wanted) >= 0
		                                             : str_eq(value, wanted);
		if (is)
			return true;
	}
	return false;
}

static bool matches_tag(struct arena *a, const struct ce_tag_values *t, const struct cost_line *line)
{
	struct str value = meter_tag(a, line->tags, t->key);
	if (!str_set(value) && has_option(&t->match_options, "ABSENT"))
		return true;
	return matches(a, &t->match_options, &t->values, str_set(value) ? value : S(""));
}

bool cost_filter_matches(struct arena *a, const struct ce_expression *e, const struct cost_line *line)
{
	struct str value;
	if (!e)
		return true;
	if (e->dimensions)
		return cost_dimension(a, line, e->dimensions->key, &value) &&
		       matches(a, &e->dimensions->match_options, &e->dimensions->values, value);
	if (e->tags)
		return matches_tag(a, e->tags, line);
	if (e->not )
		return !cost_filter_matches(a, e->not, line);
	const struct ce_expressions *all = e->or.n ? &e->or : &e->and;
	for (uint32_t i = 0; i < all->n; i++)
		if (cost_filter_matches(a, &all->v[i], line) == (e->or.n > 0))
			return e->or.n > 0;
	return e->or.n == 0;
}

/* Dimensions and the expressions over them. */
#include "aws/ce/cost.h"

enum { DEPTH_MAX = 10 };

static struct str instance_type(const struct cost_line *line)
{
	ptrdiff_t at = str_find(line->usage_type, S("Usage:"));
	struct str type = at < 0 ? STR_NONE : str_from_at(line->usage_type, (size_t)at + sizeof("Usage:") - 1);
	bool box = at >= 0 && str_starts(str_from(line->price->service), S("Amazon Elastic Compute Cloud"));
	return box ? type : S("NoInstanceType");
}

static struct str family(const struct cost_line *line)
{
	struct str type = instance_type(line);
	return str_is(type, "NoInstanceType") ? S("NoInstanceTypeFamily") : str_cut(&type, '.');
}

static struct str purchase(const struct cost_line *line)
{
	struct str usage = str_from(line->price->usage);
	return str_starts(usage, S("SpotUsage")) ? S("Spot Instances") : S("On Demand Instances");
}

bool cost_dimension(struct arena *a, const struct cost_line *line, struct str key, struct str *ret)
{
	(void)a;
	if (str_is(key, "SERVICE"))
		*ret = str_from(line->price->service);
	else if (str_is(key, "USAGE_TYPE"))
		*ret = line->usage_type;
	else if (str_is(key, "REGION"))
		*ret = line->region;
	else if (str_is(key, "LINKED_ACCOUNT"))
		*ret = line->account;
	else if (str_is(key, "INSTANCE_TYPE"))
		*ret = instance_type(line);
	else if (str_is(key, "RECORD_TYPE"))
		*ret = S("Usage");
	else if (str_is(key, "BILLING_ENTITY"))
		*ret = S("AWS");
	else if (str_is(key, "INSTANCE_TYPE_FAMILY"))
		*ret = family(line);
	else if (str_is(key, "PURCHASE_TYPE"))
		*ret = purchase(line);
	else if (str_is(key, "RESOURCE_ID"))
		*ret = line->resource.n ? line->resource : S("NoResourceId");
	else
		return false;
	return true;
}

static bool known_option(struct str option)
{
	return str_is(option, "EQUALS") || str_is(option, "STARTS_WITH") || str_is(option, "ENDS_WITH") ||
	       str_is(option, "CONTAINS") || str_is(option, "CASE_SENSITIVE") || str_is(option, "CASE_INSENSITIVE");
}

static int check_dimension(struct call *c, const struct ce_dimension_values *d, bool resources)
{
	static const struct price some = {.usage = "", .service = "", .unit = ""};
	const struct cost_line line = {.price = &some};
	struct str value;
	if (!str_set(d->key) || !d->values.n)
		return cost_invalid(c, "Dimensions need a Key and Values");
	if (!cost_dimension(c->arena, &line, d->key, &value) || (str_is(d->key, "RESOURCE_ID") && !resources))
		return cost_invalid(c, "The dimension %.*s is not supported in a filter", STR_ARG(d->key));
	for (uint32_t i = 0; i < d->match_options.n; i++)
		if (!known_option(d->match_options.v[i]))
			return cost_invalid(c, "The match option %.*s is not supported", STR_ARG(d->match_options.v[i]));
	return CALL_OK;
}

static int check(struct call *c, const struct ce_expression *e, bool resources, int depth)
{
	int parts = (e->or.n > 0) + (e->and.n > 0) + (e->not != NULL) + (e->dimensions != NULL) + (e->tags != NULL) +
	            (e->cost_categories != NULL);
	if (parts != 1)
		return cost_invalid(c, "Expression should have exactly one of Or, And, Not, Dimensions, Tags and CostCategories");
	if (depth > DEPTH_MAX)
		return cost_invalid(c, "The filter is nested too deeply");
	if (e->tags || e->cost_categories)
		return cost_invalid(c, "Filters by tags and cost categories are not supported");
	if (e->dimensions)
		return check_dimension(c, e->dimensions, resources);
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

static bool has_option(const struct ce_dimension_values *d, const char *name)
{
	for (uint32_t i = 0; i < d->match_options.n; i++)
		if (str_is(d->match_options.v[i], name))
			return true;
	return false;
}

static struct str folded(struct arena *a, struct str s)
{
	struct str copy = arena_dup(a, s);
	for (size_t i = 0; i < copy.n; i++)
		((char *)(uintptr_t)copy.p)[i] = ascii_lower(copy.p[i]);
	return copy;
}

static bool matches_dimension(struct arena *a, const struct ce_dimension_values *d, const struct cost_line *line)
{
	struct str value;
	bool fold = has_option(d, "CASE_INSENSITIVE");
	if (!cost_dimension(a, line, d->key, &value))
		return false;
	if (fold)
		value = folded(a, value);
	for (uint32_t i = 0; i < d->values.n; i++) {
		struct str wanted = fold ? folded(a, d->values.v[i]) : d->values.v[i];
		bool is = has_option(d, "STARTS_WITH") ? str_starts(value, wanted)
		          : has_option(d, "ENDS_WITH") ? str_ends(value, wanted)
		          : has_option(d, "CONTAINS")  ? str_find(value, wanted) >= 0
		                                       : str_eq(value, wanted);
		if (is)
			return true;
	}
	return false;
}

bool cost_filter_matches(struct arena *a, const struct ce_expression *e, const struct cost_line *line)
{
	if (!e)
		return true;
	if (e->dimensions)
		return matches_dimension(a, e->dimensions, line);
	if (e->not )
		return !cost_filter_matches(a, e->not, line);
	const struct ce_expressions *all = e->or.n ? &e->or : &e->and;
	for (uint32_t i = 0; i < all->n; i++)
		if (cost_filter_matches(a, &all->v[i], line) == (e->or.n > 0))
			return e->or.n > 0;
	return e->or.n == 0;
}

/* What a budget may be, and what it is about. */
#include "aws/budgets/rows.h"

#include "aws/pricing/pricing.h"
#include "core/meter.h"

#include <stdarg.h>

/* 2087-06-15, AWS's end of what has none. */
#define NO_END_MS INT64_C(3706473600000)

int budgets_invalid(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str message = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "InvalidParameterException", 400, "%.*s", STR_ARG(message));
}

/* --- filters */

static const struct {
	const char *name, *dimension;
} filters[] = {{"Service", "SERVICE"},
               {"LinkedAccount", "LINKED_ACCOUNT"},
               {"Region", "REGION"},
               {"InstanceType", "INSTANCE_TYPE"},
               {"UsageType", "USAGE_TYPE"},
               {"UsageTypeGroup", "USAGE_TYPE_GROUP"},
               {"Operation", "OPERATION"},
               {"PurchaseType", "PURCHASE_TYPE"},
               {"RecordType", "RECORD_TYPE"},
               {"BillingEntity", "BILLING_ENTITY"},
               {"LegalEntityName", "LEGAL_ENTITY_NAME"},
               {"InvoicingEntity", "INVOICING_ENTITY"},
               {"Tenancy", "TENANCY"},
               {"Platform", "PLATFORM"}};

static const char *dimension_of(struct str name)
{
	for (size_t i = 0; i < sizeof(filters) / sizeof(*filters); i++)
		if (str_is(name, filters[i].name))
			return filters[i].dimension;
	return NULL;
}

/* "user:team$red" */
static bool read_tag(struct str text, struct str *ret_key, struct str *ret_value)
{
	ptrdiff_t dollar = str_find_char(text, '$');
	size_t skip = str_starts(text, S("user:")) ? 5 : 0;
	if (dollar <= (ptrdiff_t)skip)
		return false;
	*ret_key = str_sub(text, skip, (size_t)dollar - skip);
	*ret_value = str_from_at(text, (size_t)dollar + 1);
	return true;
}

static int check_filters(struct call *c, const struct budgets_budget *b)
{
	bool type = false;
	enum ce_share share;
	struct str key, value;
	for (uint32_t i = 0; i < b->cost_filters.n; i++) {
		const struct budgets_cost_filters_entry *e = &b->cost_filters.v[i];
		bool tags = str_is(e->key, "TagKeyValue");
		if (!tags && !dimension_of(e->key))
			return budgets_invalid(c, "Cost filter %.*s is not supported", STR_ARG(e->key));
		if (tags && budgets_is_share(b->budget_type, &share))
			return budgets_invalid(c, "Cost filter TagKeyValue is only for budgets of costs and usage");
		if (!e->value.n)
			return budgets_invalid(c, "Cost filter %.*s has no values", STR_ARG(e->key));
		for (uint32_t k = 0; tags && k < e->value.n; k++)
			if (!read_tag(e->value.v[k], &key, &value))
				return budgets_invalid(c, "Tag filter %.*s is not of the form user:KEY$VALUE",
				                       STR_ARG(e->value.v[k]));
		type |= str_is(e->key, "UsageType") || str_is(e->key, "UsageTypeGroup");
	}
	if (str_is(b->budget_type, "USAGE") && !type)
		return budgets_invalid(c, "Usage budgets need a cost filter by UsageType or UsageTypeGroup");
	return CALL_OK;
}

static struct ce_expression tag_filter(struct arena *a, struct str text)
{
	struct ce_expression e = {.tags = arena_new(a, struct ce_tag_values)};
	struct str value;
	if (read_tag(text, &e.tags->key, &value))
		*LIST_ADD(a, &e.tags->values) = value;
	return e;
}

static struct ce_expression filter_of(struct arena *a, const struct budgets_cost_filters_entry *f)
{
	struct ce_expression e = {0};
	if (!str_is(f->key, "TagKeyValue")) {
		e.dimensions = arena_new(a, struct ce_dimension_values);
		e.dimensions->key = str_from(dimension_of(f->key));
		e.dimensions->values = f->value;
		return e;
	}
	if (f->value.n == 1)
		return tag_filter(a, f->value.v[0]);
	for (uint32_t i = 0; i < f->value.n; i++)
		*LIST_ADD(a, &e.or) = tag_filter(a, f->value.v[i]);
	return e;
}

struct ce_expression *budgets_filter(struct arena *a, const struct budgets_cost_filters *all)
{
	struct ce_expression *e = all->n ? arena_new(a, struct ce_expression) : NULL;
	if (all->n == 1)
		*e = filter_of(a, &all->v[0]);
	for (uint32_t i = 0; all->n > 1 && i < all->n; i++)
		*LIST_ADD(a, &e->and) = filter_of(a, &all->v[i]);
	return e;
}

/* --- periods */

static int months_of(struct str unit)
{
	return str_is(unit, "ANNUALLY") ? 12 : str_is(unit, "QUARTERLY") ? 3 : str_is(unit, "MONTHLY") ? 1 : 0;
}

void budgets_days(const struct budgets_budget *b, int64_t now_ms, int64_t *ret_from, int64_t *ret_to)
{
	int64_t start = b->time_period->start.ms, end = b->time_period->end.ms;
	int64_t at = now_ms < start ? start : now_ms >= end ? end - 1 : now_ms;
	int months = months_of(b->time_unit);
	*ret_from = at / METER_DAY_MS;
	*ret_to = *ret_from + 1;
	if (months)
		ce_unit_days(at / METER_DAY_MS, months, ret_from, ret_to);
}

static int check_period(struct call *c, const struct budgets_budget *in, int64_t at_ms, struct budgets_budget *b)
{
	int months = months_of(b->time_unit);
	int64_t from = at_ms / METER_DAY_MS, to;
	if (months)
		ce_unit_days(from, months, &from, &to);
	b->time_period = arena_new(c->arena, struct budgets_time_period);
	b->time_period->start = OPT_TIME(from * METER_DAY_MS);
	b->time_period->end = OPT_TIME(NO_END_MS);
	if (in->time_period && in->time_period->start.set)
		b->time_period->start = in->time_period->start;
	if (in->time_period && in->time_period->end.set)
		b->time_period->end = in->time_period->end;
	if (b->time_period->start.ms >= b->time_period->end.ms)
		return budgets_invalid(c, "Start time should be before end time");
	if (b->time_period->start.ms < 0)
		return budgets_invalid(c, "Start time is invalid");
	return CALL_OK;
}

/* --- all of it */

bool budgets_is_share(struct str type, enum ce_share *ret)
{
	static const struct {
		const char *type;
		enum ce_share share;
	} shares[] = {{"RI_UTILIZATION", CE_RESERVATION_UTILIZATION},
	              {"RI_COVERAGE", CE_RESERVATION_COVERAGE},
	              {"SAVINGS_PLANS_UTILIZATION", CE_PLAN_UTILIZATION},
	              {"SAVINGS_PLANS_COVERAGE", CE_PLAN_COVERAGE}};
	for (size_t i = 0; i < sizeof(shares) / sizeof(*shares); i++)
		if (str_is(type, shares[i].type)) {
			*ret = shares[i].share;
			return true;
		}
	return false;
}

static int check_limit(struct call *c, const struct budgets_budget *in)
{
	const struct budgets_spend *limit = in->budget_limit;
	__int128 n = 0, all = (__int128)100 * INT64_C(10000000000);
	enum ce_share share;
	if (budgets_is_share(in->budget_type, &share)) {
		if (!limit || (price_parse(limit->amount, 10, &n) && n == all && str_is(limit->unit, "PERCENTAGE")))
			return CALL_OK;
		return budgets_invalid(c, "The limit of a budget of the type %.*s is 100 PERCENTAGE: notifications have thresholds",
		                       STR_ARG(in->budget_type));
	}
	if (!limit)
		return budgets_invalid(c, "BudgetLimit is required for budgets of the type %.*s", STR_ARG(in->budget_type));
	if (!price_parse(limit->amount, 10, &n) || n <= 0)
		return budgets_invalid(c, "The amount of the budget limit should be greater than 0");
	if (str_is(in->budget_type, "COST") && !str_is(limit->unit, "USD"))
		return budgets_invalid(c, "The unit of a cost budget is USD, not %.*s", STR_ARG(limit->unit));
	return CALL_OK;
}

static int check_types(struct call *c, const struct budgets_budget *in, struct budgets_budget *b)
{
	static const struct opt_bool yes = OPT_BOOL(true), no = OPT_BOOL(false);
	struct budgets_cost_types t = {yes, yes, no, yes, yes, yes, yes, yes, yes, yes, no};
	const struct budgets_cost_types *given = in->cost_types;
	const struct opt_bool *from = (const struct opt_bool *)(const void *)given;
	struct opt_bool *to = (struct opt_bool *)(void *)&t;
	for (size_t i = 0; given && i < sizeof(t) / sizeof(*to); i++)
		if (from[i].set)
			to[i] = from[i];
	if (t.use_blended.v && t.use_amortized.v)
		return budgets_invalid(c, "UseBlended and UseAmortized exclude each other");
	if (!str_is(b->budget_type, "COST"))
		return given ? budgets_invalid(c, "Cost types are only for cost budgets") : CALL_OK;
	b->cost_types = arena_new(c->arena, struct budgets_cost_types);
	*b->cost_types = t;
	return CALL_OK;
}

int budgets_take(struct call *c, const struct budgets_budget *in, int64_t at_ms, struct budgets_budget *ret)
{
	struct budgets_budget b = {.budget_name = in->budget_name,
	                           .budget_limit = in->budget_limit,
	                           .cost_filters = in->cost_filters,
	                           .time_unit = in->time_unit,
	                           .budget_type = in->budget_type,
	                           .last_updated_time = OPT_TIME(c->now_ms)};
	enum ce_share share;
	if (budgets_is_share(b.budget_type, &share)) {
		b.budget_limit = arena_new(c->arena, struct budgets_spend);
		*b.budget_limit = (struct budgets_spend){S("100"), S("PERCENTAGE")};
	}
	if (in->planned_budget_limits.n || in->auto_adjust_data)
		return budgets_invalid(c, "Planned and adjusted budget limits are not supported: a budget has one limit");
	if (in->filter_expression || in->metrics.n || str_set(in->billing_view_arn))
		return budgets_invalid(
		        c, "Filter expressions, metrics and billing views are not supported: CostFilters and CostTypes are");
	if (check_limit(c, in) != CALL_OK || check_types(c, in, &b) != CALL_OK || check_filters(c, in) != CALL_OK ||
	    check_period(c, in, at_ms, &b) != CALL_OK)
		return CALL_FAIL;
	*ret = b;
	return CALL_OK;
}

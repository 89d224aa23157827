/* GetSavingsPlansUtilization and GetSavingsPlansUtilizationDetails: how much of what was committed to was used, and what that
 * saved. */
#include "aws/ce/savings.h"

#include "aws/savingsplans/savingsplans.h"

#include <time.h>

static const char *const filters[] = {
        "LINKED_ACCOUNT", "SAVINGS_PLAN_ARN", "SAVINGS_PLANS_TYPE", "REGION", "PAYMENT_OPTION", "INSTANCE_TYPE_FAMILY", NULL};

void plan_use_add(struct plan_use *u, const struct cost_line *l)
{
	struct str record = str_from(l->record);
	if (str_is(record, "SavingsPlanCoveredUsage")) {
		u->used += l->amortized_e10;
		u->demand += l->demand_e10;
	} else if (str_is(record, "SavingsPlanRecurringFee")) {
		u->unused += l->amortized_e10;
		u->recurring += l->usd_e10;
	}
}

struct uses {
	struct plan_use *v;
	uint32_t n;
	bool set;
};

/* A plan's fees say whether a filter is about it: what it covers may lie in other regions. */
static bool is_asked(struct call *c, const struct ce_expression *filter, const struct cost_lines *lines,
                     const struct savings_plan *p)
{
	for (uint32_t i = 0; i < lines->n; i++)
		if (lines->v[i].plan == p && str_is(str_from(lines->v[i].record), "SavingsPlanRecurringFee"))
			return cost_filter_matches(c->arena, filter, &lines->v[i]);
	return false;
}

/* By plan, in the order in which their lines come. */
static struct uses uses_of(struct call *c, const struct ce_expression *filter, const struct cost_lines *lines)
{
	struct uses all = {0};
	for (uint32_t i = 0; i < lines->n; i++) {
		const struct cost_line *l = &lines->v[i];
		struct plan_use *u = NULL;
		for (uint32_t k = 0; l->plan && k < all.n && !u; k++)
			if (all.v[k].plan == l->plan)
				u = &all.v[k];
		if (l->plan && !u && is_asked(c, filter, lines, l->plan)) {
			u = LIST_ADD(c->arena, &all);
			*u = (struct plan_use){.plan = l->plan};
		}
		if (u)
			plan_use_add(u, l);
	}
	return all;
}

static struct plan_use sum_of(const struct uses *all)
{
	struct plan_use sum = {0};
	for (uint32_t i = 0; i < all->n; i++) {
		sum.used += all->v[i].used;
		sum.unused += all->v[i].unused;
		sum.demand += all->v[i].demand;
		sum.recurring += all->v[i].recurring;
	}
	return sum;
}

/* The three parts that every answer has. */
static void show(struct arena *a, const struct plan_use *u, struct ce_savings_plans_utilization **utilization,
                 struct ce_savings_plans_savings **savings, struct ce_savings_plans_amortized_commitment **commitment)
{
	__int128 all = u->used + u->unused;
	*utilization = arena_new(a, struct ce_savings_plans_utilization);
	**utilization = (struct ce_savings_plans_utilization){price_text_e10(a, all), price_text_e10(a, u->used),
	                                                      price_text_e10(a, u->unused), cost_percentage(a, u->used, all)};
	*savings = arena_new(a, struct ce_savings_plans_savings);
	**savings = (struct ce_savings_plans_savings){price_text_e10(a, u->demand - all), price_text_e10(a, u->demand)};
	*commitment = arena_new(a, struct ce_savings_plans_amortized_commitment);
	**commitment = (struct ce_savings_plans_amortized_commitment){
	        price_text_e10(a, u->recurring), price_text_e10(a, all - u->recurring), price_text_e10(a, all)};
}

static struct ce_savings_plans_utilization_aggregates *total_of(struct arena *a, const struct plan_use *u)
{
	struct ce_savings_plans_utilization_aggregates *t = arena_new(a, struct ce_savings_plans_utilization_aggregates);
	show(a, u, &t->utilization, &t->savings, &t->amortized_commitment);
	return t;
}

static struct cost_lines part_of(struct arena *a, const struct cost_lines *lines, int64_t from, int64_t to)
{
	struct cost_lines part = {0};
	for (uint32_t i = 0; i < lines->n; i++)
		if (cost_line_hour(&lines->v[i]) >= from && cost_line_hour(&lines->v[i]) < to)
			*LIST_ADD(a, &part) = lines->v[i];
	return part;
}

/* AWS has no answer where there was no plan. */
static int unavailable(struct call *c)
{
	return call_fail(c, "DataUnavailableException", 400, "There are no savings plans in this period.");
}

int ce_get_savings_plans_utilization(struct call *c, const struct ce_get_savings_plans_utilization_request *in,
                                     struct ce_get_savings_plans_utilization_response *out)
{
	struct cost_period p;
	if (cost_question_period(c, in->time_period, in->granularity, false, &p) != CALL_OK ||
	    cost_only_dimensions(c, in->filter, filters) != CALL_OK)
		return CALL_FAIL;
	if (in->sort_by)
		return cost_invalid(c, "SortBy is not supported: parts come by time");
	const struct cost_scope s = cost_scope(c);
	struct cost_lines lines = cost_read(&s, METER_PLAIN, &p);
	struct uses all = uses_of(c, in->filter, &lines);
	struct plan_use total = sum_of(&all);
	if (!all.n)
		return unavailable(c);
	out->savings_plans_utilizations_by_time.set = true;
	while (p.from < p.to) {
		int64_t end = cost_part_end(&p, p.from);
		struct cost_lines part = part_of(c->arena, &lines, p.from, end);
		struct uses uses = uses_of(c, in->filter, &part);
		struct plan_use sum = sum_of(&uses);
		struct ce_savings_plans_utilization_by_time *r = LIST_ADD(c->arena, &out->savings_plans_utilizations_by_time);
		r->time_period = arena_new(c->arena, struct ce_date_interval);
		*r->time_period =
		        (struct ce_date_interval){cost_time_text(c->arena, &p, p.from), cost_time_text(c->arena, &p, end)};
		show(c->arena, &sum, &r->utilization, &r->savings, &r->amortized_commitment);
		p.from = end;
	}
	out->total = total_of(c->arena, &total);
	return CALL_OK;
}

/* --- by plan */

static struct str time_text(struct arena *a, int64_t ms)
{
	time_t at = (time_t)(ms / 1000);
	struct tm tm;
	gmtime_r(&at, &tm);
	return arena_printf(a, "%04d-%02d-%02dT%02d:%02d:%02d.000Z", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
	                    tm.tm_min, tm.tm_sec);
}

static void add(struct arena *a, struct str_map *to, const char *key, struct str value)
{
	*LIST_ADD(a, to) = (struct str_map_entry){str_from(key), value};
}

static void add_attributes(struct call *c, const struct savings_plan *p, struct str_map *to)
{
	struct arena *a = c->arena;
	__int128 all_e5 = (__int128)p->commitment_e5 * p->years * SAVINGS_YEAR_H, hours = p->years * SAVINGS_YEAR_H;
	add(a, to, "AccountId", c->account);
	add(a, to, "SavingsPlansType", str_is(p->type, "Compute") ? S("ComputeSavingsPlans") : S("EC2InstanceSavingsPlans"));
	add(a, to, "Region", str_set(p->region) ? p->region : S("Any"));
	add(a, to, "InstanceFamily", str_set(p->family) ? p->family : S("Any"));
	add(a, to, "PaymentOption", p->payment);
	add(a, to, "PurchaseTerm", p->years == 1 ? S("1yr") : S("3yr"));
	add(a, to, "HourlyCommitment", price_text_e10(a, (__int128)p->commitment_e5 * 100000));
	add(a, to, "UpfrontFee", price_text_e10(a, (__int128)p->upfront_e5 * 100000));
	add(a, to, "HourlyRecurringFee", price_text_e10(a, ((all_e5 - p->upfront_e5) * 100000 + hours / 2) / hours));
	add(a, to, "StartDateTime", time_text(a, p->from_ms));
	add(a, to, "EndDateTime", time_text(a, p->to_ms - 1000));
	add(a, to, "Status", c->now_ms < p->to_ms ? S("Active") : S("Retired"));
}

/* What is not asked for is left out. */
static bool wants(const struct str_list *types, const char *name)
{
	for (uint32_t i = 0; i < types->n; i++)
		if (str_is(types->v[i], name))
			return true;
	return !types->n;
}

int ce_get_savings_plans_utilization_details(struct call *c, const struct ce_get_savings_plans_utilization_details_request *in,
                                             struct ce_get_savings_plans_utilization_details_response *out)
{
	struct cost_period p;
	uint32_t from, to;
	enum { PAGE = 20 };
	const struct opt_int most = in->max_results.set ? in->max_results : (struct opt_int)OPT_INT(PAGE);
	if (cost_period(c, in->time_period, STR_NONE, &p) != CALL_OK || cost_only_dimensions(c, in->filter, filters) != CALL_OK)
		return CALL_FAIL;
	if (in->sort_by)
		return cost_invalid(c, "SortBy is not supported: plans come by their beginnings");
	const struct cost_scope s = cost_scope(c);
	struct cost_lines lines = cost_read(&s, METER_PLAIN, &p);
	struct uses all = uses_of(c, in->filter, &lines);
	struct plan_use total = sum_of(&all);
	if (!all.n)
		return unavailable(c);
	if (cost_page(c, in->next_token, &most, all.n, &from, &to, &out->next_token) != CALL_OK)
		return CALL_FAIL;
	out->savings_plans_utilization_details.set = true;
	for (uint32_t i = from; i < to; i++) {
		struct ce_savings_plans_utilization_detail *d = LIST_ADD(c->arena, &out->savings_plans_utilization_details);
		d->savings_plan_arn = all.v[i].plan->arn;
		show(c->arena, &all.v[i], &d->utilization, &d->savings, &d->amortized_commitment);
		if (wants(&in->data_type, "ATTRIBUTES"))
			add_attributes(c, all.v[i].plan, &d->attributes);
		if (!wants(&in->data_type, "UTILIZATION"))
			d->utilization = NULL;
		if (!wants(&in->data_type, "SAVINGS"))
			d->savings = NULL;
		if (!wants(&in->data_type, "AMORTIZED_COMMITMENT"))
			d->amortized_commitment = NULL;
	}
	out->total = total_of(c->arena, &total);
	out->time_period = in->time_period;
	return CALL_OK;
}

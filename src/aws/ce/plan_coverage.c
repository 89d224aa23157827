/* GetSavingsPlansCoverage: how much of what plans may cover they did, at prices on demand. */
#include "aws/ce/savings.h"

#include <stdlib.h>

/* On demand, of what plans of instances, tasks and functions may cover. */
static bool is_eligible(const struct cost_line *l)
{
	struct str usage = str_from(l->price->usage);
	return str_is(str_from(l->record), "Usage") &&
	       (str_starts(usage, S("BoxUsage:")) || str_starts(usage, S("Lambda-GB-Second")) ||
	        str_starts(usage, S("Lambda-Provisioned-")) ||
	        (str_starts(usage, S("Fargate-")) && !str_starts(usage, S("Fargate-Ephemeral"))));
}

bool plan_coverage_add(struct plan_coverage *to, const struct cost_line *l)
{
	bool covered = str_is(str_from(l->record), "SavingsPlanCoveredUsage");
	if (!covered && !is_eligible(l))
		return false;
	to->covered += covered ? l->demand_e10 : 0;
	to->demand += covered ? 0 : l->usd_e10;
	return true;
}

struct group {
	struct str values[3];
	struct plan_coverage sum;
};
struct groups {
	struct group *v;
	uint32_t n;
	bool set;
};

static const struct {
	const char *name, *dimension;
} group_names[] = {{"INSTANCE_FAMILY", "INSTANCE_TYPE_FAMILY"}, {"REGION", "REGION"}, {"SERVICE", "SERVICE"}};
enum { GROUPS_MAX = sizeof(group_names) / sizeof(*group_names) };

static const char *dimension_of(struct str name)
{
	for (int i = 0; i < GROUPS_MAX; i++)
		if (str_is(name, group_names[i].name))
			return group_names[i].dimension;
	return NULL;
}

static struct group *group_of(struct arena *a, const struct ce_group_definitions *by, struct groups *all, const struct cost_line *l)
{
	struct group like = {.values = {S(""), S(""), S("")}};
	for (uint32_t i = 0; i < by->n; i++)
		cost_dimension(a, l, str_from(dimension_of(by->v[i].key)), &like.values[i]);
	for (uint32_t i = 0; i < all->n; i++) {
		const struct str *v = all->v[i].values;
		if (str_eq(v[0], like.values[0]) && str_eq(v[1], like.values[1]) && str_eq(v[2], like.values[2]))
			return &all->v[i];
	}
	struct group *made = LIST_ADD(a, all);
	*made = like;
	return made;
}

static int by_values(const void *x, const void *y)
{
	const struct group *a = x, *b = y;
	int order = 0;
	for (int i = 0; i < GROUPS_MAX && !order; i++)
		order = str_cmp(a->values[i], b->values[i]);
	return order;
}

static int check(struct call *c, const struct ce_get_savings_plans_coverage_request *in)
{
	static const char *const names[] = {"LINKED_ACCOUNT", "REGION", "SERVICE", "INSTANCE_TYPE_FAMILY", NULL};
	for (uint32_t i = 0; i < in->metrics.n; i++)
		if (!str_is(in->metrics.v[i], "SpendCoveredBySavingsPlans"))
			return cost_invalid(c, "Metric %.*s is not supported: SpendCoveredBySavingsPlans is",
			                    STR_ARG(in->metrics.v[i]));
	if (in->group_by.n > GROUPS_MAX)
		return cost_invalid(c, "Group by can't be more than %d", GROUPS_MAX);
	for (uint32_t i = 0; i < in->group_by.n; i++)
		if (!str_set(in->group_by.v[i].key) || !dimension_of(in->group_by.v[i].key))
			return cost_invalid(c, "GroupBy %.*s is not supported: INSTANCE_FAMILY, REGION and SERVICE are",
			                    STR_ARG(in->group_by.v[i].key));
	if (in->sort_by)
		return cost_invalid(c, "SortBy is not supported: parts come by time");
	return cost_only_dimensions(c, in->filter, names);
}

/* The parts of the period (or their groups) in which there was something. */
static struct ce_savings_plans_coverages found(struct call *c, const struct ce_get_savings_plans_coverage_request *in,
                                               struct cost_period p)
{
	const struct cost_scope s = cost_scope(c);
	struct cost_lines lines = cost_read(&s, METER_PLAIN, &p);
	struct ce_savings_plans_coverages all = {0};
	struct arena *a = c->arena;
	uint32_t at = 0;
	while (p.from < p.to) {
		int64_t end = in->group_by.n ? p.to : cost_part_end(&p, p.from);
		struct groups groups = {0};
		for (; at < lines.n && cost_line_hour(&lines.v[at]) < end; at++) {
			const struct cost_line *l = &lines.v[at];
			struct plan_coverage one = {0};
			if (cost_filter_matches(a, in->filter, l) && plan_coverage_add(&one, l))
				plan_coverage_add(&group_of(a, &in->group_by, &groups, l)->sum, l);
		}
		if (groups.n)
			qsort(groups.v, groups.n, sizeof(*groups.v), by_values);
		for (uint32_t i = 0; i < groups.n; i++) {
			const struct plan_coverage *sum = &groups.v[i].sum;
			struct ce_savings_plans_coverage *r = LIST_ADD(a, &all);
			for (uint32_t k = 0; k < in->group_by.n; k++)
				*LIST_ADD(a, &r->attributes) = (struct str_map_entry){in->group_by.v[k].key, groups.v[i].values[k]};
			r->coverage = arena_new(a, struct ce_savings_plans_coverage_data);
			*r->coverage = (struct ce_savings_plans_coverage_data){
			        price_text_e10(a, sum->covered), price_text_e10(a, sum->demand),
			        price_text_e10(a, sum->covered + sum->demand),
			        cost_percentage(a, sum->covered, sum->covered + sum->demand)};
			r->time_period = arena_new(a, struct ce_date_interval);
			*r->time_period = (struct ce_date_interval){cost_time_text(a, &p, p.from), cost_time_text(a, &p, end)};
		}
		p.from = end;
	}
	return all;
}

int ce_get_savings_plans_coverage(struct call *c, const struct ce_get_savings_plans_coverage_request *in,
                                  struct ce_get_savings_plans_coverage_response *out)
{
	struct cost_period p;
	uint32_t from, to;
	if (cost_question_period(c, in->time_period, in->granularity, in->group_by.n > 0, &p) != CALL_OK || check(c, in) != CALL_OK)
		return CALL_FAIL;
	struct ce_savings_plans_coverages all = found(c, in, p);
	if (cost_page(c, in->next_token, &in->max_results, all.n, &from, &to, &out->next_token) != CALL_OK)
		return CALL_FAIL;
	out->savings_plans_coverages.set = true;
	for (uint32_t i = from; i < to; i++)
		*LIST_ADD(c->arena, &out->savings_plans_coverages) = all.v[i];
	return CALL_OK;
}

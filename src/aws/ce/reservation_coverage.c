/* GetReservationCoverage: how much of what ran was reserved. */
#include "aws/ce/reservation_coverage.h"

#include "aws/ce/savings.h"
#include "base/map.h"

#include <stdlib.h>

bool reservation_coverage_add(struct reservation_coverage *to, const struct cost_line *l)
{
	bool reserved = str_is(str_from(l->record), "DiscountedUsage");
	if (!str_starts(str_from(l->price->usage), S("BoxUsage:")) || (!reserved && !str_is(str_from(l->record), "Usage")))
		return false;
	__int128 units = cost_metric_e10(l, COST_NORMALIZED);
	*(reserved ? &to->reserved : &to->demand) += l->quantity_e10;
	*(reserved ? &to->reserved_units : &to->demand_units) += units;
	to->usd += reserved ? 0 : l->usd_e10;
	return true;
}

static struct ce_coverage *shown(struct call *c, const struct str_list *metrics, const struct reservation_coverage *r)
{
	struct arena *a = c->arena;
	struct ce_coverage *out = arena_new(a, struct ce_coverage);
	static const char *const names[] = {"Hour", "Unit", "Cost", NULL};
	bool asked[3] = {false};
	for (uint32_t i = 0; i < metrics->n; i++)
		asked[cost_name_index(metrics->v[i], names)] = true;
	if (asked[0] || !metrics->n) {
		out->coverage_hours = arena_new(a, struct ce_coverage_hours);
		*out->coverage_hours = (struct ce_coverage_hours){price_text_e10(a, r->demand), price_text_e10(a, r->reserved),
		                                                  price_text_e10(a, r->demand + r->reserved),
		                                                  cost_percentage(a, r->reserved, r->demand + r->reserved)};
	}
	__int128 units = r->demand_units + r->reserved_units;
	if (asked[1] || !metrics->n) {
		out->coverage_normalized_units = arena_new(a, struct ce_coverage_normalized_units);
		*out->coverage_normalized_units = (struct ce_coverage_normalized_units){
		        price_text_e10(a, r->demand_units), price_text_e10(a, r->reserved_units), price_text_e10(a, units),
		        cost_percentage(a, r->reserved_units, units)};
	}
	if (asked[2] || !metrics->n) {
		out->coverage_cost = arena_new(a, struct ce_coverage_cost);
		out->coverage_cost->on_demand_cost = price_text_e10(a, r->usd);
	}
	return out;
}

/* --- groups */

static const struct {
	const char *name, *attribute;
} group_names[] = {{"INSTANCE_TYPE", "instanceType"},
                   {"REGION", "region"},
                   {"LINKED_ACCOUNT", "linkedAccount"},
                   {"PLATFORM", "platform"},
                   {"TENANCY", "tenancy"},
                   {"OPERATING_SYSTEM", "operatingSystem"},
                   {"DEPLOYMENT_OPTION", "deploymentOption"}};
enum { GROUP_NAMES = sizeof(group_names) / sizeof(*group_names), GROUPS_MAX = 2 };

struct group {
	struct str values[GROUPS_MAX];
	struct reservation_coverage sum;
};
struct groups {
	struct group *v;
	uint32_t n;
	bool set;
};

static const char *attribute_of(struct str name)
{
	for (int i = 0; i < GROUP_NAMES; i++)
		if (str_is(name, group_names[i].name))
			return group_names[i].attribute;
	return NULL;
}

static struct group *group_of(struct arena *a, const struct ce_group_definitions *by, struct groups *all, const struct cost_line *l)
{
	struct str values[GROUPS_MAX] = {S(""), S("")};
	for (uint32_t i = 0; i < by->n; i++)
		cost_dimension(a, l, by->v[i].key, &values[i]);
	for (uint32_t i = 0; i < all->n; i++)
		if (str_eq(all->v[i].values[0], values[0]) && str_eq(all->v[i].values[1], values[1]))
			return &all->v[i];
	struct group *made = LIST_ADD(a, all);
	*made = (struct group){.values = {values[0], values[1]}};
	return made;
}

static int by_values(const void *x, const void *y)
{
	const struct group *a = x, *b = y;
	int order = str_cmp(a->values[0], b->values[0]);
	return order ? order : str_cmp(a->values[1], b->values[1]);
}

static int check(struct call *c, const struct ce_get_reservation_coverage_request *in)
{
	static const char *const names[] = {"INSTANCE_TYPE", "INSTANCE_TYPE_FAMILY", "LINKED_ACCOUNT", "PLATFORM", "REGION",
	                                    "SERVICE",       "OPERATING_SYSTEM",     "TENANCY",        NULL};
	static const char *const metrics[] = {"Hour", "Unit", "Cost", NULL};
	if (str_set(in->next_page_token))
		return call_fail(c, "InvalidNextTokenException", 400, "The pagination token is invalid. Try again without one.");
	for (uint32_t i = 0; i < in->metrics.n; i++)
		if (cost_name_index(in->metrics.v[i], metrics) < 0)
			return cost_invalid(c, "Metric %.*s is not supported: Hour, Unit and Cost are", STR_ARG(in->metrics.v[i]));
	if (in->group_by.n > GROUPS_MAX)
		return cost_invalid(c, "Group by can't be more than %d", GROUPS_MAX);
	for (uint32_t i = 0; i < in->group_by.n; i++)
		if (!attribute_of(in->group_by.v[i].key))
			return cost_invalid(c, "GroupBy %.*s is not supported", STR_ARG(in->group_by.v[i].key));
	if (in->sort_by)
		return cost_invalid(c, "SortBy is not supported: groups come by name");
	return cost_only_dimensions(c, in->filter, names);
}

int ce_get_reservation_coverage(struct call *c, const struct ce_get_reservation_coverage_request *in,
                                struct ce_get_reservation_coverage_response *out)
{
	struct cost_period p;
	struct reservation_coverage total = {0};
	uint32_t at = 0;
	if (cost_question_period(c, in->time_period, in->granularity, in->group_by.n > 0, &p) != CALL_OK || check(c, in) != CALL_OK)
		return CALL_FAIL;
	const struct cost_scope s = cost_scope(c);
	struct cost_lines lines = cost_read(&s, METER_PLAIN, &p);
	out->coverages_by_time.set = true;
	while (p.from < p.to) {
		int64_t end = in->group_by.n ? p.to : cost_part_end(&p, p.from);
		struct reservation_coverage sum = {0};
		struct groups groups = {0};
		for (; at < lines.n && cost_line_hour(&lines.v[at]) < end; at++) {
			const struct cost_line *l = &lines.v[at];
			if (!cost_filter_matches(c->arena, in->filter, l) || !reservation_coverage_add(&sum, l))
				continue;
			reservation_coverage_add(&total, l);
			if (in->group_by.n)
				reservation_coverage_add(&group_of(c->arena, &in->group_by, &groups, l)->sum, l);
		}
		struct ce_coverage_by_time *r = LIST_ADD(c->arena, &out->coverages_by_time);
		r->time_period = arena_new(c->arena, struct ce_date_interval);
		*r->time_period =
		        (struct ce_date_interval){cost_time_text(c->arena, &p, p.from), cost_time_text(c->arena, &p, end)};
		r->total = shown(c, &in->metrics, &sum);
		r->groups.set = true;
		if (groups.n)
			qsort(groups.v, groups.n, sizeof(*groups.v), by_values);
		for (uint32_t i = 0; i < groups.n; i++) {
			struct ce_reservation_coverage_group *g = LIST_ADD(c->arena, &r->groups);
			for (uint32_t k = 0; k < in->group_by.n; k++)
				*LIST_ADD(c->arena, &g->attributes) = (struct str_map_entry){
				        str_from(attribute_of(in->group_by.v[k].key)), groups.v[i].values[k]};
			g->coverage = shown(c, &in->metrics, &groups.v[i].sum);
		}
		p.from = end;
	}
	out->total = shown(c, &in->metrics, &total);
	return CALL_OK;
}

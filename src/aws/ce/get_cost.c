/* GetCostAndUsage: the lines of a period, summed by day or month and by up to two dimensions. */
#include "aws/ce/cost.h"

#include "core/meter.h"

#include <stdlib.h>

enum { GROUPS_MAX = 2 };

static const char *const cost_metrics[] = {"AmortizedCost", "BlendedCost", "NetAmortizedCost", "NetUnblendedCost", "UnblendedCost"};

static bool is_cost(struct str metric)
{
	for (size_t i = 0; i < sizeof(cost_metrics) / sizeof(*cost_metrics); i++)
		if (str_is(metric, cost_metrics[i]))
			return true;
	return false;
}

static int check(struct call *c, const struct ce_get_cost_and_usage_request *in, bool resources)
{
	static const struct price some = {.usage = "", .service = "", .unit = ""};
	const struct cost_line line = {.price = &some};
	struct str value;
	if (str_set(in->next_page_token))
		return call_fail(c, "InvalidNextTokenException", 400, "The pagination token is invalid. Try again without one.");
	if (!in->metrics.n)
		return cost_invalid(c, "Metrics should not be empty");
	for (uint32_t i = 0; i < in->metrics.n; i++)
		if (!is_cost(in->metrics.v[i]) && !str_is(in->metrics.v[i], "UsageQuantity"))
			return cost_invalid(
			        c,
			        "Metric %.*s is not supported: AmortizedCost, BlendedCost, NetAmortizedCost, NetUnblendedCost, UnblendedCost and UsageQuantity are",
			        STR_ARG(in->metrics.v[i]));
	if (in->group_by.n > GROUPS_MAX)
		return cost_invalid(c, "Group by can't be more than 2");
	for (uint32_t i = 0; i < in->group_by.n; i++) {
		const struct ce_group_definition *g = &in->group_by.v[i];
		if (!str_is(g->type, "DIMENSION") || !str_set(g->key) || !cost_dimension(c->arena, &line, g->key, &value) ||
		    (str_is(g->key, "RESOURCE_ID") && !resources))
			return cost_invalid(c, "Grouping by %.*s %.*s is not supported", STR_ARG(g->type), STR_ARG(g->key));
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(in->group_by.v[k].key, g->key))
				return cost_invalid(c, "Group by %.*s is given twice", STR_ARG(g->key));
	}
	return cost_filter_check(c, in->filter, resources);
}

/* --- sums */

struct sum {
	struct str keys[GROUPS_MAX];
	__int128 quantity_e10, usd_e10;
	const char *unit; /* NULL: of several */
	bool used;
};
struct sums {
	struct sum *v;
	uint32_t n;
	bool set;
};

static void add(struct sum *s, const struct cost_line *line)
{
	if (!s->used)
		s->unit = line->price->unit;
	else if (s->unit && !str_is(str_from(s->unit), line->price->unit))
		s->unit = NULL;
	s->used = true;
	s->quantity_e10 += line->quantity_e10;
	s->usd_e10 += line->usd_e10;
}

static struct ce_metrics metrics_of(struct call *c, const struct str_list *metrics, const struct sum *s)
{
	struct ce_metrics made = {.set = true};
	for (uint32_t i = 0; i < metrics->n; i++) {
		bool cost = is_cost(metrics->v[i]);
		struct ce_metrics_entry *e = LIST_ADD(c->arena, &made);
		e->key = metrics->v[i];
		e->value.amount = price_text_e10(c->arena, cost ? s->usd_e10 : s->quantity_e10);
		e->value.unit = cost ? S("USD") : s->unit ? str_from(s->unit) : S("N/A");
	}
	return made;
}

static int by_keys(const void *x, const void *y)
{
	const struct sum *a = x, *b = y;
	int order = str_cmp(a->keys[0], b->keys[0]);
	return order ? order : str_cmp(a->keys[1], b->keys[1]);
}

static struct sum *sum_of(struct call *c, const struct ce_group_definitions *by, struct sums *sums, const struct cost_line *line)
{
	struct sum wanted = {.keys = {S(""), S("")}};
	for (uint32_t i = 0; i < by->n; i++)
		cost_dimension(c->arena, line, by->v[i].key, &wanted.keys[i]);
	for (uint32_t i = 0; i < sums->n; i++)
		if (by_keys(&sums->v[i], &wanted) == 0)
			return &sums->v[i];
	struct sum *made = LIST_ADD(c->arena, sums);
	*made = wanted;
	return made;
}

static void add_result(struct call *c, const struct ce_get_cost_and_usage_request *in, const struct cost_lines *lines, int64_t from,
                       int64_t to, struct ce_get_cost_and_usage_response *out)
{
	struct sums sums = {0};
	struct sum total = {0};
	for (uint32_t i = 0; i < lines->n; i++) {
		const struct cost_line *line = &lines->v[i];
		if (line->day < from || line->day >= to || !cost_filter_matches(c->arena, in->filter, line))
			continue;
		add(in->group_by.n ? sum_of(c, &in->group_by, &sums, line) : &total, line);
	}
	struct ce_result_by_time *r = LIST_ADD(c->arena, &out->results_by_time);
	r->time_period = arena_new(c->arena, struct ce_date_interval);
	r->time_period->start = cost_day_text(c->arena, from);
	r->time_period->end = cost_day_text(c->arena, to);
	r->groups.set = r->total.set = true;
	/* What has not ended yet may grow. */
	r->estimated = OPT_BOOL(to > cost_month_start(c->now_ms / METER_DAY_MS));
	if (!sums.n) {
		r->total = metrics_of(c, &in->metrics, &total);
		return;
	}
	qsort(sums.v, sums.n, sizeof(*sums.v), by_keys);
	for (uint32_t i = 0; i < sums.n; i++) {
		struct ce_group *g = LIST_ADD(c->arena, &r->groups);
		for (uint32_t k = 0; k < in->group_by.n; k++)
			*LIST_ADD(c->arena, &g->keys) = sums.v[i].keys[k];
		g->metrics = metrics_of(c, &in->metrics, &sums.v[i]);
	}
}

static int get(struct call *c, const struct ce_get_cost_and_usage_request *in, bool resources,
               struct ce_get_cost_and_usage_response *out)
{
	int64_t from, to, oldest = c->now_ms / METER_DAY_MS - METER_RESOURCE_DAYS;
	if (cost_view(c, in->billing_view_arn) != CALL_OK || cost_period(c, in->time_period, &from, &to) != CALL_OK ||
	    cost_granularity(c, in->granularity) != CALL_OK || check(c, in, resources) != CALL_OK)
		return CALL_FAIL;
	if (resources && from < oldest)
		return cost_invalid(c, "Start date is invalid: usage by resource is kept for %d days", METER_RESOURCE_DAYS);
	struct cost_lines lines = resources ? cost_read_resources(c, from, to) : cost_read(c, from, to, c->now_ms);
	bool daily = str_is(in->granularity, "DAILY");
	out->results_by_time.set = out->dimension_value_attributes.set = true;
	out->group_definitions = in->group_by;
	while (from < to) {
		int64_t end = daily ? from + 1 : cost_month_end(from);
		if (end > to)
			end = to;
		add_result(c, in, &lines, from, end, out);
		from = end;
	}
	return CALL_OK;
}

int ce_get_cost_and_usage(struct call *c, const struct ce_get_cost_and_usage_request *in,
                          struct ce_get_cost_and_usage_response *out)
{
	return get(c, in, false, out);
}

int ce_get_cost_and_usage_with_resources(struct call *c, const struct ce_get_cost_and_usage_with_resources_request *in,
                                         struct ce_get_cost_and_usage_with_resources_response *out)
{
	const struct ce_get_cost_and_usage_request same = {.time_period = in->time_period,
	                                                   .granularity = in->granularity,
	                                                   .filter = in->filter,
	                                                   .metrics = in->metrics,
	                                                   .group_by = in->group_by,
	                                                   .billing_view_arn = in->billing_view_arn,
	                                                   .next_page_token = in->next_page_token};
	struct ce_get_cost_and_usage_response found = {0};
	if (get(c, &same, true, &found) != CALL_OK)
		return CALL_FAIL;
	out->group_definitions = found.group_definitions;
	out->results_by_time = found.results_by_time;
	out->dimension_value_attributes = found.dimension_value_attributes;
	return CALL_OK;
}

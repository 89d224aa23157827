/* GetCostAndUsage: the lines of a period, summed by time and by up to two dimensions or tags. */
#include "aws/ce/cost.h"

#include "base/map.h"
#include "core/meter.h"

#include <stdlib.h>

enum { GROUPS_MAX = 2 };

static int check_group(struct call *c, const struct ce_group_definition *g, bool resources)
{
	if (str_is(g->type, "COST_CATEGORY"))
		return cost_invalid(c, "There are no cost categories");
	if (!str_set(g->type) || !str_set(g->key) || !g->key.n)
		return cost_invalid(c, "GroupBy needs a Type and a Key");
	if (str_is(g->type, "DIMENSION") && !cost_dimension_known(g->key, resources))
		return cost_invalid(c, "Group Definition dimension is invalid. Dimension %.*s is not supported here",
		                    STR_ARG(g->key));
	return CALL_OK;
}

static int check(struct call *c, const struct ce_get_cost_and_usage_request *in, bool resources)
{
	if (str_set(in->next_page_token))
		return call_fail(c, "InvalidNextTokenException", 400, "The pagination token is invalid. Try again without one.");
	if (!in->metrics.n)
		return cost_invalid(c, "Metrics should not be empty");
	for (uint32_t i = 0; i < in->metrics.n; i++)
		if (cost_metric_find(in->metrics.v[i]) == COST_METRICS)
			return cost_invalid(
			        c,
			        "Metric %.*s is not supported: AmortizedCost, BlendedCost, NetAmortizedCost, NetUnblendedCost, UnblendedCost, UsageQuantity and NormalizedUsageAmount are",
			        STR_ARG(in->metrics.v[i]));
	if (in->group_by.n > GROUPS_MAX)
		return cost_invalid(c, "Group by can't be more than 2");
	for (uint32_t i = 0; i < in->group_by.n; i++) {
		const struct ce_group_definition *g = &in->group_by.v[i];
		if (check_group(c, g, resources) != CALL_OK)
			return CALL_FAIL;
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(in->group_by.v[k].key, g->key) && str_eq(in->group_by.v[k].type, g->type))
				return cost_invalid(c, "Group by %.*s is given twice", STR_ARG(g->key));
	}
	return cost_filter_check(c, in->filter, resources);
}

static bool by_tags(const struct ce_get_cost_and_usage_request *in)
{
	for (uint32_t i = 0; i < in->group_by.n; i++)
		if (str_is(in->group_by.v[i].type, "TAG"))
			return true;
	return cost_filter_has_tags(in->filter);
}

/* --- sums */

struct sum {
	struct str keys[GROUPS_MAX];
	__int128 metric_e10[COST_METRICS];
	const char *unit; /* NULL: of several */
	bool used;
};
/* Of one part of the period: in the order in which they came, and found by their keys. */
struct sums {
	struct sum **v;
	uint32_t n;
	bool set;
	struct map found;
};

static void add(struct sum *s, const struct cost_line *line)
{
	if (!s->used)
		s->unit = line->price->unit;
	else if (s->unit && !str_is(str_from(s->unit), line->price->unit))
		s->unit = NULL;
	s->used = true;
	for (int i = 0; i < COST_METRICS; i++)
		s->metric_e10[i] += cost_metric_e10(line, (enum cost_metric)i);
}

static struct ce_metrics metrics_of(struct call *c, const struct str_list *metrics, const struct sum *s)
{
	struct ce_metrics made = {.set = true};
	for (uint32_t i = 0; i < metrics->n; i++) {
		enum cost_metric metric = cost_metric_find(metrics->v[i]);
		struct ce_metrics_entry *e = LIST_ADD(c->arena, &made);
		e->key = metrics->v[i];
		e->value.amount = price_text_e10(c->arena, s->metric_e10[metric]);
		e->value.unit = metric <= COST_AMORTIZED             ? S("USD")
		                : s->unit && metric == COST_QUANTITY ? str_from(s->unit)
		                                                     : S("N/A");
	}
	return made;
}

static int by_keys(const void *x, const void *y)
{
	const struct sum *a = *(struct sum *const *)x, *b = *(struct sum *const *)y;
	int order = str_cmp(a->keys[0], b->keys[0]);
	return order ? order : str_cmp(a->keys[1], b->keys[1]);
}

static struct str key_of(struct call *c, const struct ce_group_definition *g, const struct cost_line *line)
{
	struct str value = S("");
	if (!str_is(g->type, "TAG")) {
		cost_dimension(c->arena, line, g->key, &value);
		return value;
	}
	value = meter_tag(c->arena, line->tags, g->key);
	return ARENA_CAT(c->arena, g->key, S("$"), str_set(value) ? value : S(""));
}

static struct sum *sum_of(struct call *c, const struct ce_group_definitions *by, struct sums *sums, const struct cost_line *line)
{
	struct str keys[GROUPS_MAX] = {S(""), S("")};
	for (uint32_t i = 0; i < by->n; i++)
		keys[i] = key_of(c, &by->v[i], line);
	struct str both = ARENA_CAT(c->arena, keys[0], S("\t"), keys[1]);
	struct sum *s = map_get(&sums->found, both);
	if (s)
		return s;
	s = arena_new(c->arena, struct sum);
	s->keys[0] = keys[0];
	s->keys[1] = keys[1];
	map_put(&sums->found, both, s);
	*LIST_ADD(c->arena, sums) = s;
	return s;
}

/* The part [from, to) of the period; *at is the first line that is not before it, and then the first behind it. */
static void add_result(struct call *c, const struct ce_get_cost_and_usage_request *in, const struct cost_period *p,
                       const struct cost_lines *lines, uint32_t *at, int64_t from, int64_t to,
                       struct ce_get_cost_and_usage_response *out)
{
	struct sums sums = {0};
	struct sum total = {0};
	for (; *at < lines->n && cost_line_hour(&lines->v[*at]) < to; ++*at) {
		const struct cost_line *line = &lines->v[*at];
		if (cost_filter_matches(c->arena, in->filter, line))
			add(in->group_by.n ? sum_of(c, &in->group_by, &sums, line) : &total, line);
	}
	map_done(&sums.found);
	struct ce_result_by_time *r = LIST_ADD(c->arena, &out->results_by_time);
	r->time_period = arena_new(c->arena, struct ce_date_interval);
	r->time_period->start = cost_time_text(c->arena, p, from);
	r->time_period->end = cost_time_text(c->arena, p, to);
	r->groups.set = r->total.set = true;
	/* What has not ended yet may grow. */
	r->estimated = OPT_BOOL(to > cost_month_start(c->now_ms / METER_DAY_MS) * 24);
	if (!sums.n) {
		r->total = metrics_of(c, &in->metrics, &total);
		return;
	}
	qsort(sums.v, sums.n, sizeof(*sums.v), by_keys);
	for (uint32_t i = 0; i < sums.n; i++) {
		struct ce_group *g = LIST_ADD(c->arena, &r->groups);
		for (uint32_t k = 0; k < in->group_by.n; k++)
			*LIST_ADD(c->arena, &g->keys) = sums.v[i]->keys[k];
		g->metrics = metrics_of(c, &in->metrics, sums.v[i]);
	}
}

static int get(struct call *c, const struct ce_get_cost_and_usage_request *in, bool resources,
               struct ce_get_cost_and_usage_response *out)
{
	struct cost_period p;
	int64_t oldest = (c->now_ms / METER_DAY_MS - METER_RESOURCE_DAYS) * 24;
	uint32_t at = 0;
	if (cost_view(c, in->billing_view_arn) != CALL_OK || cost_period(c, in->time_period, in->granularity, &p) != CALL_OK ||
	    check(c, in, resources) != CALL_OK)
		return CALL_FAIL;
	if (resources && p.granularity == COST_HOURLY)
		return call_fail(c, "DataUnavailableException", 400,
		                 "Usage by resource is kept by the day: the granularity is DAILY or MONTHLY.");
	if (resources && p.from < oldest)
		return cost_invalid(c, "Start date is invalid: usage by resource is kept for %d days", METER_RESOURCE_DAYS);
	const struct cost_scope scope = cost_scope(c);
	struct cost_lines lines = cost_read(&scope, resources ? METER_RESOURCES : by_tags(in) ? METER_TAGGED : METER_PLAIN, &p);
	out->results_by_time.set = out->dimension_value_attributes.set = true;
	out->group_definitions = in->group_by;
	while (p.from < p.to) {
		int64_t end = cost_part_end(&p, p.from);
		add_result(c, in, &p, &lines, &at, p.from, end, out);
		p.from = end;
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

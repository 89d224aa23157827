/* GetCostForecast and GetUsageForecast. What goes on now is taken to go on; what is counted one by one (requests, bytes) to come as
 * on the mean of the last two weeks' whole days. How far the days of these weeks lie from each other says how far the truth may lie
 * from that: the bounds are those of a normal distribution. */
#include "aws/ce/cost.h"

#include <math.h>

enum { PAST_DAYS = 14 };

struct question {
	struct str view, granularity, metric;
	const struct ce_date_interval *time;
	const struct ce_expression *filter;
	struct opt_int level;
	bool usage;
};
struct answer {
	struct ce_metric_value *total;
	struct ce_forecast_results_by_time results;
};

static int check(struct call *c, const struct question *q, enum cost_metric *ret)
{
	*ret = cost_metric_find(q->metric);
	if (*ret == COST_METRICS || (*ret <= COST_AMORTIZED) == q->usage)
		return cost_invalid(c, "The metric %.*s is not supported", STR_ARG(q->metric));
	if (str_is(q->granularity, "HOURLY"))
		return cost_invalid(c, "The granularity HOURLY is not supported by forecasts");
	if (q->usage && !cost_filter_has(q->filter, "USAGE_TYPE") && !cost_filter_has(q->filter, "USAGE_TYPE_GROUP"))
		return cost_invalid(c, "Usage forecast needs a filter by USAGE_TYPE or USAGE_TYPE_GROUP");
	return cost_filter_check(c, q->filter, false);
}

/* --- the past */

static void add_count(struct arena *a, struct meter_lines *counts, const struct meter_line *l)
{
	for (uint32_t i = 0; i < counts->n; i++)
		if (str_eq(counts->v[i].usage, l->usage) && str_eq(counts->v[i].region, l->region) &&
		    str_eq(counts->v[i].tags, l->tags)) {
			counts->v[i].amount += l->amount;
			return;
		}
	*LIST_ADD(a, counts) = *l;
}

static void spread(const struct cost_scope *s, const struct ce_expression *filter, enum cost_metric metric,
                   const struct meter_lines *used, struct cost_past *p)
{
	struct cost_lines lines = cost_bill(s, used, p->from, p->from + p->days, s->now_ms);
	double sums[PAST_DAYS] = {0}, mean = 0, squares = 0;
	for (uint32_t i = 0; i < lines.n; i++)
		if (cost_filter_matches(s->arena, filter, &lines.v[i]))
			sums[lines.v[i].day - p->from] += (double)cost_metric_e10(&lines.v[i], metric);
	for (int64_t i = 0; i < p->days; i++)
		mean += sums[i] / (double)p->days;
	for (int64_t i = 0; i < p->days; i++)
		squares += (sums[i] - mean) * (sums[i] - mean);
	p->deviation = p->days > 1 ? sqrt(squares / (double)(p->days - 1)) : 0;
}

struct cost_past cost_look_back(const struct cost_scope *s, const struct ce_expression *filter, enum cost_metric metric,
                                enum meter_detail detail)
{
	int64_t today = s->now_ms / METER_DAY_MS, first = today - PAST_DAYS;
	struct cost_past p = {.from = today};
	struct meter_lines used = meter_read(s->txn, s->arena, s->account, detail, cost_month_start(first), today, s->now_ms);
	for (uint32_t i = 0; i < used.n; i++) {
		const struct price *price = price_find(used.v[i].usage);
		if (used.v[i].day < first)
			continue;
		if (used.v[i].day < p.from)
			p.from = used.v[i].day;
		if (price && price->per == PER_COUNT)
			add_count(s->arena, &p.counts, &used.v[i]);
	}
	p.days = today - p.from;
	if (p.days)
		spread(s, filter, metric, &used, &p);
	return p;
}

/* --- what is to come */

struct cost_lines cost_expect(const struct cost_scope *s, const struct cost_past *past, enum meter_detail detail,
                              const struct cost_period *p)
{
	int64_t today = s->now_ms / METER_DAY_MS, from = p->from / 24, to = p->to / 24, month = cost_month_start(from);
	struct meter_lines open = meter_read(s->txn, s->arena, s->account, detail, month, to, p->to * METER_HOUR_MS), used = {0};
	uint32_t at = 0;
	for (int64_t day = month; day < to; day++) {
		for (; at < open.n && open.v[at].day == day; at++)
			*LIST_ADD(s->arena, &used) = open.v[at];
		for (uint32_t i = 0; day > today && i < past->counts.n; i++) {
			struct meter_line *l = LIST_ADD(s->arena, &used);
			*l = past->counts.v[i];
			l->day = day;
			l->amount /= past->days;
		}
	}
	return cost_bill(s, &used, from, to, p->to * METER_HOUR_MS);
}

/* The normal distribution's quantile, of a part between a half and one: bisection, since erf() is at hand. */
static double quantile(double part)
{
	double low = 0, high = 10;
	for (int i = 0; i < 60; i++) {
		double middle = (low + high) / 2;
		if ((1 + erf(middle / sqrt(2))) / 2 < part)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static void set_bounds(struct call *c, const struct question *q, const struct cost_past *past, int64_t days, __int128 mean_e10,
                       struct ce_forecast_result *r)
{
	if (!q->level.set)
		return;
	/* Days are taken to be independent of each other. */
	double margin = quantile(0.5 + (double)q->level.v / 200) * past->deviation * sqrt((double)days);
	__int128 by = (__int128)margin;
	r->prediction_interval_lower_bound = price_text_e10(c->arena, mean_e10 > by ? mean_e10 - by : 0);
	r->prediction_interval_upper_bound = price_text_e10(c->arena, mean_e10 + by);
}

static int forecast(struct call *c, const struct question *q, struct answer *ret)
{
	struct cost_period p;
	enum cost_metric metric;
	const char *unit = NULL;
	__int128 total = 0;
	if (cost_view(c, q->view) != CALL_OK || cost_period(c, q->time, q->granularity, &p) != CALL_OK ||
	    check(c, q, &metric) != CALL_OK)
		return CALL_FAIL;
	if (p.from / 24 < c->now_ms / METER_DAY_MS)
		return cost_invalid(c, "Start date for forecast should be today or in the future");
	enum meter_detail detail = cost_filter_has_tags(q->filter) ? METER_TAGGED : METER_PLAIN;
	const struct cost_scope scope = cost_scope(c);
	struct cost_past past = cost_look_back(&scope, q->filter, metric, detail);
	struct cost_lines lines = cost_expect(&scope, &past, detail, &p);
	uint32_t at = 0;
	ret->results.set = true;
	for (int64_t end; p.from < p.to; p.from = end) {
		__int128 sum = 0;
		end = cost_part_end(&p, p.from);
		for (; at < lines.n && cost_line_hour(&lines.v[at]) < end; at++) {
			const struct cost_line *line = &lines.v[at];
			if (!cost_filter_matches(c->arena, q->filter, line))
				continue;
			if (q->usage && unit && !str_is(str_from(unit), line->price->unit))
				return cost_invalid(c, "The usage types of the filter have several units");
			unit = line->price->unit;
			sum += cost_metric_e10(line, metric);
		}
		struct ce_forecast_result *r = LIST_ADD(c->arena, &ret->results);
		r->time_period = arena_new(c->arena, struct ce_date_interval);
		r->time_period->start = cost_time_text(c->arena, &p, p.from);
		r->time_period->end = cost_time_text(c->arena, &p, end);
		r->mean_value = price_text_e10(c->arena, sum);
		set_bounds(c, q, &past, (end - p.from) / 24, sum, r);
		total += sum;
	}
	ret->total = arena_new(c->arena, struct ce_metric_value);
	ret->total->amount = price_text_e10(c->arena, total);
	ret->total->unit = !q->usage ? S("USD") : unit && metric == COST_QUANTITY ? str_from(unit) : S("N/A");
	return CALL_OK;
}

int ce_get_cost_forecast(struct call *c, const struct ce_get_cost_forecast_request *in, struct ce_get_cost_forecast_response *out)
{
	const struct question q = {in->billing_view_arn, in->granularity, in->metric,
	                           in->time_period,      in->filter,      in->prediction_interval_level};
	struct answer found = {0};
	if (forecast(c, &q, &found) != CALL_OK)
		return CALL_FAIL;
	out->total = found.total;
	out->forecast_results_by_time = found.results;
	return CALL_OK;
}

int ce_get_usage_forecast(struct call *c, const struct ce_get_usage_forecast_request *in,
                          struct ce_get_usage_forecast_response *out)
{
	const struct question q = {in->billing_view_arn,          in->granularity, in->metric, in->time_period, in->filter,
	                           in->prediction_interval_level, .usage = true};
	struct answer found = {0};
	if (forecast(c, &q, &found) != CALL_OK)
		return CALL_FAIL;
	out->total = found.total;
	out->forecast_results_by_time = found.results;
	return CALL_OK;
}

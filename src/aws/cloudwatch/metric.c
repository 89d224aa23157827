#include "aws/cloudwatch/metric.h"

#include "engine/metrics/metrics.h"

#include <string.h>

enum { PAGE = 500, POINTS_MAX = 1440, MINUTE_S = 60 };
#define RECENT_MS (INT64_C(3) * 3600 * 1000)

/* --- ListMetrics */

struct walk {
	struct call *c;
	const struct cloudwatch_list_metrics_input *in;
	struct cloudwatch_list_metrics_output *out;
	int64_t skip;
};

static bool has_dimension(const struct metric *m, const struct cloudwatch_dimension_filter *f)
{
	for (size_t i = 0; i < m->dimension_count; i++)
		if (str_eq(m->dimensions[i].name, f->name) && (!str_set(f->value) || str_eq(m->dimensions[i].value, f->value)))
			return true;
	return false;
}

static bool wanted(const struct walk *w, const struct metric *m, int64_t last_ms)
{
	const struct cloudwatch_list_metrics_input *in = w->in;
	if ((str_set(in->namespace) && !str_eq(in->namespace, m->space)) ||
	    (str_set(in->metric_name) && !str_eq(in->metric_name, m->name)) ||
	    (str_set(in->recently_active) && last_ms < w->c->now_ms - RECENT_MS))
		return false;
	for (uint32_t i = 0; i < in->dimensions.n; i++)
		if (!has_dimension(m, &in->dimensions.v[i]))
			return false;
	return true;
}

static bool list_one(void *ctx, const struct metric *m, int64_t last_ms)
{
	struct walk *w = ctx;
	struct arena *a = w->c->arena;
	if (!wanted(w, m, last_ms) || w->skip-- > 0)
		return true;
	if (w->out->metrics.n == PAGE) {
		w->out->next_token = S("more");
		return false;
	}
	struct cloudwatch_metric *made = LIST_ADD(a, &w->out->metrics);
	made->namespace = m->space;
	made->metric_name = m->name;
	made->dimensions.set = true;
	for (size_t i = 0; i < m->dimension_count; i++)
		*LIST_ADD(a, &made->dimensions) = (struct cloudwatch_dimension){m->dimensions[i].name, m->dimensions[i].value};
	return true;
}

int cloudwatch_list_metrics(struct call *c, const struct cloudwatch_list_metrics_input *in,
                            struct cloudwatch_list_metrics_output *out)
{
	struct walk w = {.c = c, .in = in, .out = out};
	if (in->include_linked_accounts.v || (str_set(in->owning_account) && !str_eq(in->owning_account, c->account)))
		return call_fail(c, "InvalidParameterValueException", 0, "Metrics of linked accounts are not supported.");
	if (str_set(in->next_token) && (!str_to_i64(in->next_token, &w.skip) || w.skip < 0))
		return call_fail(c, "InvalidParameterValueException", 0, "The parameter NextToken is invalid.");
	int64_t skipped = w.skip;
	out->metrics.set = true;
	metrics_list(c->cloud->metrics, c->arena, c->account, c->region, list_one, &w);
	if (str_set(out->next_token))
		out->next_token = arena_printf(c->arena, "%lld", (long long)(skipped + PAGE));
	return CALL_OK;
}

/* --- GetMetricStatistics */

static int check(struct call *c, const struct cloudwatch_get_metric_statistics_input *in)
{
	if (in->extended_statistics.n)
		return call_fail(c, "InvalidParameterValueException", 0,
		                 "Percentiles are not supported: the samples are not kept.");
	if (!in->statistics.n)
		return call_fail(c, "MissingRequiredParameterException", 0, "The parameter Statistics is required.");
	if (in->start_time.ms >= in->end_time.ms)
		return call_fail(c, "InvalidParameterValueException", 0,
		                 "The parameter StartTime must be less than the parameter EndTime.");
	if (in->period.v <= 0 || in->period.v % MINUTE_S)
		return call_fail(c, "InvalidParameterValueException", 0, "The parameter Period must be a multiple of 60.");
	int64_t points = (in->end_time.ms - in->start_time.ms) / 1000 / in->period.v;
	if (points > POINTS_MAX)
		return call_fail(
		        c, "InvalidParameterCombinationException", 0,
		        "You have requested up to %lld datapoints, which exceeds the limit of 1,440. You may reduce the datapoints requested by increasing Period, or decreasing the time range.",
		        (long long)points);
	return CALL_OK;
}

static bool asked(const struct str_list *statistics, const char *name)
{
	for (uint32_t i = 0; i < statistics->n; i++)
		if (str_is(statistics->v[i], name))
			return true;
	return false;
}

int cloudwatch_get_metric_statistics(struct call *c, const struct cloudwatch_get_metric_statistics_input *in,
                                     struct cloudwatch_get_metric_statistics_output *out)
{
	if (check(c, in) != CALL_OK)
		return CALL_FAIL;
	struct metric_dimension *dimensions = arena_array(c->arena, in->dimensions.n + 1, sizeof(*dimensions));
	for (uint32_t i = 0; i < in->dimensions.n; i++)
		dimensions[i] = (struct metric_dimension){in->dimensions.v[i].name, in->dimensions.v[i].value};
	struct metric m = {.account = c->account,
	                   .region = c->region,
	                   .space = in->namespace,
	                   .name = in->metric_name,
	                   .unit = S(""),
	                   .dimensions = dimensions,
	                   .dimension_count = in->dimensions.n};
	struct str unit = STR_NONE;
	/* What is long ago is kept more coarsely: the beginning is that of such a period. */
	int64_t kept_ms = metrics_kept_s(in->start_time.ms, c->now_ms) * 1000,
	        from = in->start_time.ms - in->start_time.ms % kept_ms;
	struct metric_points points = {0};
	if (in->period.v * 1000 % kept_ms == 0)
		points = metrics_read(c->cloud->metrics, c->arena, &m, from, in->end_time.ms, in->period.v, &unit);
	out->label = in->metric_name;
	out->datapoints.set = true;
	for (uint32_t i = 0; i < points.n; i++) {
		const struct metric_set *s = &points.v[i].set;
		if (str_set(in->unit) && !str_eq(in->unit, unit))
			continue;
		struct cloudwatch_datapoint *p = LIST_ADD(c->arena, &out->datapoints);
		p->timestamp = OPT_TIME(points.v[i].time_ms);
		p->unit = unit;
		if (asked(&in->statistics, "SampleCount"))
			p->sample_count = OPT_DOUBLE(s->count);
		if (asked(&in->statistics, "Average"))
			p->average = OPT_DOUBLE(s->sum / s->count);
		if (asked(&in->statistics, "Sum"))
			p->sum = OPT_DOUBLE(s->sum);
		if (asked(&in->statistics, "Minimum"))
			p->minimum = OPT_DOUBLE(s->min);
		if (asked(&in->statistics, "Maximum"))
			p->maximum = OPT_DOUBLE(s->max);
	}
	return CALL_OK;
}

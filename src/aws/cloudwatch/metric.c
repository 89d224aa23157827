#include "aws/cloudwatch/metric.h"

#include "aws/cloudwatch/statistic.h"

#include <string.h>

enum { PAGE = 500, POINTS_MAX = 1440, MINUTE_S = 60 };
#define SHOWN_MS (INT64_C(14) * 86400 * 1000)
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
	/* Nothing for two weeks: it is not shown, and can still be asked for. */
	if (last_ms < w->c->now_ms - SHOWN_MS)
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

struct metric cloudwatch_metric_of(struct call *c, struct str space, struct str name,
                                   const struct cloudwatch_dimensions *dimensions, struct str unit)
{
	struct metric_dimension *made = arena_array(c->arena, dimensions->n + 1, sizeof(*made));
	for (uint32_t i = 0; i < dimensions->n; i++)
		made[i] = (struct metric_dimension){dimensions->v[i].name, dimensions->v[i].value};
	return (struct metric){.account = c->account,
	                       .region = c->region,
	                       .space = space,
	                       .name = name,
	                       .unit = unit,
	                       .dimensions = made,
	                       .dimension_count = dimensions->n};
}

static int check_period(struct call *c, int64_t period_s)
{
	static const int64_t fine[] = {1, 5, 10, 20, 30};
	for (unsigned i = 0; i < sizeof(fine) / sizeof(*fine); i++)
		if (period_s == fine[i])
			return CALL_OK;
	if (period_s <= 0 || period_s % MINUTE_S)
		return call_fail(c, "InvalidParameterValueException", 0,
		                 "The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60.");
	return CALL_OK;
}

static int check(struct call *c, const struct cloudwatch_get_metric_statistics_input *in)
{
	struct statistic s;
	if (!in->statistics.n && !in->extended_statistics.n)
		return call_fail(c, "MissingRequiredParameterException", 0,
		                 "At least one of the parameters must be specified: Statistics, ExtendedStatistics.");
	for (uint32_t i = 0; i < in->extended_statistics.n; i++)
		if (!statistic_parse(in->extended_statistics.v[i], &s) || !statistic_spread(&s))
			return call_fail(c, "InvalidParameterValueException", 0,
			                 "The value %.*s for parameter ExtendedStatistics is not supported.",
			                 STR_ARG(in->extended_statistics.v[i]));
	if (in->start_time.ms >= in->end_time.ms)
		return call_fail(c, "InvalidParameterValueException", 0,
		                 "The parameter StartTime must be less than the parameter EndTime.");
	if (check_period(c, in->period.v) != CALL_OK)
		return CALL_FAIL;
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

static void add_extended(struct call *c, const struct str_list *names, const struct metric_point *from,
                         struct cloudwatch_datapoint *p)
{
	for (uint32_t i = 0; i < names->n; i++) {
		struct statistic s;
		double x;
		if (!statistic_parse(names->v[i], &s) || !statistic_of(&s, from, &x))
			continue;
		p->extended_statistics.set = true;
		struct cloudwatch_datapoint_value_map_entry *e = LIST_ADD(c->arena, &p->extended_statistics);
		e->key = names->v[i];
		e->value = OPT_DOUBLE(x);
	}
}

int cloudwatch_get_metric_statistics(struct call *c, const struct cloudwatch_get_metric_statistics_input *in,
                                     struct cloudwatch_get_metric_statistics_output *out)
{
	if (check(c, in) != CALL_OK)
		return CALL_FAIL;
	struct metric m = cloudwatch_metric_of(c, in->namespace, in->metric_name, &in->dimensions, in->unit);
	/* What is long ago is kept more coarsely: the beginning is that of such a period. */
	int64_t kept_s = metrics_kept_s(in->start_time.ms, c->now_ms), step_s = in->period.v < MINUTE_S ? in->period.v : MINUTE_S;
	step_s = kept_s > step_s ? kept_s : step_s;
	int64_t from = in->start_time.ms - in->start_time.ms % (step_s * 1000);
	struct metric_points points = {0};
	if (in->period.v % step_s == 0)
		points = metrics_read(c->cloud->metrics, c->arena,
		                      &(struct metric_query){.metric = &m,
		                                             .from_ms = from,
		                                             .to_ms = in->end_time.ms,
		                                             .period_s = in->period.v,
		                                             .spread = in->extended_statistics.n > 0});
	out->label = in->metric_name;
	out->datapoints.set = true;
	for (uint32_t i = 0; i < points.n; i++) {
		const struct metric_set *s = &points.v[i].set;
		struct cloudwatch_datapoint *p = LIST_ADD(c->arena, &out->datapoints);
		p->timestamp = OPT_TIME(points.v[i].time_ms);
		p->unit = points.v[i].unit;
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
		add_extended(c, &in->extended_statistics, &points.v[i], p);
	}
	return CALL_OK;
}

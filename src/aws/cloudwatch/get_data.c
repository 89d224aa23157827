/* GetMetricData. A page is so many points of all results as if they stood one behind the other. */
#include "aws/cloudwatch/metric.h"

#include "aws/cloudwatch/query.h"

enum { DATAPOINTS_MAX = 100800 };

struct page {
	struct call *c;
	struct cloudwatch_get_metric_data_output *out;
	int64_t skip, left, passed;
	bool ascending;
};

static void add_result(struct page *p, const struct cloudwatch_metric_data_query *q, const struct math_series *s, bool searched)
{
	struct arena *a = p->c->arena;
	struct cloudwatch_metric_data_result *r = LIST_ADD(a, &p->out->metric_data_results);
	r->id = q->id;
	r->label = str_set(q->label) ? q->label : s->label.n && (q->metric_stat || searched) ? s->label : q->id;
	r->timestamps.set = r->values.set = true;
	r->status_code = S("Complete");
	for (uint32_t i = 0; i < s->points.n; i++, p->passed++) {
		const struct math_point *x = &s->points.v[p->ascending ? i : s->points.n - 1 - i];
		if (p->passed < p->skip)
			continue;
		if (!p->left) {
			r->status_code = S("PartialData");
			if (!str_set(p->out->next_token))
				p->out->next_token = arena_printf(a, "%lld", (long long)p->passed);
			continue;
		}
		p->left--;
		*LIST_ADD(a, &r->timestamps) = OPT_TIME(x->time_ms);
		*LIST_ADD(a, &r->values) = OPT_DOUBLE(x->value);
	}
}

static int refuse(struct call *c, struct str why)
{
	return call_fail(c, "ValidationError", 400, "%.*s", STR_ARG(why));
}

int cloudwatch_get_metric_data(struct call *c, const struct cloudwatch_get_metric_data_input *in,
                               struct cloudwatch_get_metric_data_output *out)
{
	struct page p = {.c = c,
	                 .out = out,
	                 .left = in->max_datapoints.set ? in->max_datapoints.v : DATAPOINTS_MAX,
	                 .ascending = str_is(in->scan_by, "TimestampAscending")};
	struct str why;
	if (in->start_time.ms >= in->end_time.ms)
		return refuse(c, S("The parameter StartTime must be less than the parameter EndTime."));
	if (p.left < 1 || p.left > DATAPOINTS_MAX)
		return refuse(c, S("The parameter MaxDatapoints must be between 1 and 100,800."));
	if (str_set(in->next_token) && (!str_to_i64(in->next_token, &p.skip) || p.skip < 0))
		return call_fail(c, "InvalidNextToken", 0, "The parameter NextToken is invalid.");
	/* Begins where a minute does, or what is kept of so long ago; of seconds, where one does. */
	int64_t step_ms = metrics_kept_s(in->start_time.ms, c->now_ms) * 1000;
	for (uint32_t i = 0; i < in->metric_data_queries.n && step_ms < 60000; i++)
		if (!in->metric_data_queries.v[i].metric_stat || in->metric_data_queries.v[i].metric_stat->period.v >= 60)
			step_ms = 60000;
	struct query_set q = {.cloud = c->cloud,
	                      .arena = c->arena,
	                      .account = c->account,
	                      .region = c->region,
	                      .all = &in->metric_data_queries,
	                      .from_ms = in->start_time.ms - in->start_time.ms % step_ms,
	                      .to_ms = in->end_time.ms};
	if (!in->metric_data_queries.n)
		return refuse(c, S("The parameter MetricDataQueries is required."));
	if (!query_begin(&q, &why))
		return refuse(c, why);
	for (uint32_t i = 0; i < q.all->n; i++) {
		int64_t points = (q.to_ms - q.from_ms) / (query_period_s(&q, i) * 1000);
		if (points > DATAPOINTS_MAX)
			return refuse(c, S("The time range has more than 100,800 datapoints."));
	}
	out->metric_data_results.set = true;
	bool returns = false;
	for (uint32_t i = 0; i < q.all->n; i++) {
		const struct cloudwatch_metric_data_query *x = &q.all->v[i];
		struct math_all all = {0};
		if (x->return_data.set && !x->return_data.v)
			continue;
		returns = true;
		if (!query_run(&q, i, &all, &why))
			return refuse(c, why);
		for (uint32_t k = 0; k < all.n; k++)
			add_result(&p, x, &all.v[k], all.n > 1);
	}
	return returns ? CALL_OK : refuse(c, S("At least one query must return data."));
}

#include "aws/cloudwatch/query.h"

#include "aws/cloudwatch/alarm.h"
#include "aws/cloudwatch/statistic.h"
#include "base/clock.h"

#include <math.h>

enum { FOUND_MAX = 100, QUERIES_MAX = 500 };

struct one {
	struct math_node *tree; /* of an expression */
	struct math_value value;
	enum { FRESH, UNDER_WAY, DONE } stage;
};
struct query_state {
	struct one *v;
	struct math math;
};

/* --- checks */

bool query_period_good(int64_t p)
{
	return p == 1 || p == 5 || p == 10 || p == 20 || p == 30 || (p > 0 && p % 60 == 0);
}

static bool wrong(struct query_set *q, struct str *ret_why, uint32_t i, const char *what)
{
	*ret_why = ARENA_CAT(q->arena, S("Error in query '"), q->all->v[i].id, S("': "), str_from(what));
	return false;
}

static bool id_good(struct str id)
{
	if (!id.n || id.p[0] < 'a' || id.p[0] > 'z')
		return false;
	for (size_t i = 0; i < id.n; i++)
		if (!ascii_is_alnum(id.p[i]) && id.p[i] != '_')
			return false;
	return true;
}

static uint32_t find(const struct query_set *q, struct str id)
{
	uint32_t i = 0;
	while (i < q->all->n && !str_eq(q->all->v[i].id, id))
		i++;
	return i;
}

static bool check_one(struct query_set *q, uint32_t i, struct str *ret_why)
{
	const struct cloudwatch_metric_data_query *x = &q->all->v[i];
	struct statistic s;
	if (!id_good(x->id))
		return wrong(q, ret_why, i, "An Id begins with a lowercase letter and has letters, digits and underscores.");
	if (find(q, x->id) != i)
		return wrong(q, ret_why, i, "The Id is not unique.");
	if (!x->metric_stat == !str_set(x->expression))
		return wrong(q, ret_why, i, "Exactly one of MetricStat and Expression must be given.");
	if (str_set(x->account_id) && !str_eq(x->account_id, q->account))
		return wrong(q, ret_why, i, "Metrics of linked accounts are not supported.");
	if (x->period.set && !query_period_good(x->period.v))
		return wrong(q, ret_why, i, "The Period must be 1, 5, 10, 20, 30 or a multiple of 60.");
	if (!x->metric_stat) {
		struct str why;
		if (str_istarts(str_trim(x->expression), S("SELECT ")))
			return wrong(q, ret_why, i, "Queries in SQL are not supported.");
		q->state->v[i].tree = math_parse(q->arena, x->expression, &why);
		return q->state->v[i].tree || wrong(q, ret_why, i, why.p);
	}
	if (!query_period_good(x->metric_stat->period.v))
		return wrong(q, ret_why, i, "The Period must be 1, 5, 10, 20, 30 or a multiple of 60.");
	if (!statistic_parse(x->metric_stat->stat, &s))
		return wrong(q, ret_why, i, "The Stat is not supported.");
	if (!str_set(x->metric_stat->metric->namespace) || !str_set(x->metric_stat->metric->metric_name))
		return wrong(q, ret_why, i, "A metric has a Namespace and a MetricName.");
	return true;
}

static bool named(struct math *m, struct str name, struct math_value *ret);
static bool metrics(struct math *m, struct str like, struct math_all *ret);
static bool search(struct math *m, struct str query, struct str statistic, int64_t period_s, struct math_all *ret);

bool query_begin(struct query_set *q, struct str *ret_why)
{
	q->state = arena_new(q->arena, struct query_state);
	q->state->v = arena_array(q->arena, q->all->n + 1, sizeof(struct one));
	q->state->math = (struct math){.arena = q->arena,
	                               .from_ms = q->from_ms,
	                               .to_ms = q->to_ms,
	                               .named = named,
	                               .metrics = metrics,
	                               .search = search,
	                               .ctx = q};
	if (q->all->n > QUERIES_MAX) {
		*ret_why = S("The collection MetricDataQueries must not have a size greater than 500.");
		return false;
	}
	for (uint32_t i = 0; i < q->all->n; i++)
		if (!check_one(q, i, ret_why))
			return false;
	for (uint32_t i = 0; i < q->all->n; i++) {
		struct str_list l = math_names(q->arena, q->state->v[i].tree);
		for (uint32_t k = 0; k < l.n; k++)
			if (find(q, l.v[k]) == q->all->n)
				return wrong(q, ret_why, i,
				             arena_printf(q->arena, "There is no query with the Id %.*s.", STR_ARG(l.v[k])).p);
	}
	return true;
}

int64_t query_period_s(struct query_set *q, uint32_t i)
{
	const struct cloudwatch_metric_data_query *x = &q->all->v[i];
	if (x->metric_stat)
		return x->metric_stat->period.v;
	if (x->period.set)
		return x->period.v;
	int64_t most = 0;
	struct str_list l = math_names(q->arena, q->state->v[i].tree);
	for (uint32_t k = 0; k < l.n; k++) {
		uint32_t at = find(q, l.v[k]);
		if (at < q->all->n && q->all->v[at].metric_stat && q->all->v[at].metric_stat->period.v > most)
			most = q->all->v[at].metric_stat->period.v;
	}
	for (uint32_t k = 0; k < q->all->n && !most; k++)
		if (q->all->v[k].metric_stat)
			most = q->all->v[k].metric_stat->period.v;
	return most ? most : 300;
}

/* --- metrics */

static struct math_series read_metric(struct query_set *q, const struct metric *m, struct str statistic, int64_t period_s,
                                      struct str label)
{
	struct statistic s;
	struct math_series made = {.label = label, .period_s = period_s, .points.set = true};
	if (!statistic_parse(statistic, &s))
		return made;
	int64_t kept_s = metrics_kept_s(q->from_ms, clock_wall_ms()), step_s = period_s < 60 ? period_s : 60;
	step_s = kept_s > step_s ? kept_s : step_s;
	if (period_s % step_s)
		return made;
	struct metric_points p = metrics_read(q->cloud->metrics, q->arena,
	                                      &(struct metric_query){.metric = m,
	                                                             .from_ms = q->from_ms - q->from_ms % (step_s * 1000),
	                                                             .to_ms = q->to_ms,
	                                                             .period_s = period_s,
	                                                             .spread = statistic_spread(&s)});
	for (uint32_t i = 0; i < p.n; i++) {
		double x;
		if (statistic_of(&s, &p.v[i], &x) && isfinite(x))
			*LIST_ADD(q->arena, &made.points) = (struct math_point){p.v[i].time_ms, x};
	}
	return made;
}

static struct math_series read_query(struct query_set *q, uint32_t i)
{
	const struct cloudwatch_metric_data_query *x = &q->all->v[i];
	const struct cloudwatch_metric_stat *s = x->metric_stat;
	struct metric_dimension *d = arena_array(q->arena, s->metric->dimensions.n + 1, sizeof(*d));
	for (uint32_t k = 0; k < s->metric->dimensions.n; k++)
		d[k] = (struct metric_dimension){s->metric->dimensions.v[k].name, s->metric->dimensions.v[k].value};
	struct metric m = {.account = q->account,
	                   .region = q->region,
	                   .space = s->metric->namespace,
	                   .name = s->metric->metric_name,
	                   .unit = s->unit,
	                   .dimensions = d,
	                   .dimension_count = s->metric->dimensions.n};
	return read_metric(q, &m, s->stat, s->period.v, str_set(x->label) ? x->label : s->metric->metric_name);
}

static bool value_of(struct query_set *q, uint32_t i, struct math_value *ret)
{
	struct one *x = &q->state->v[i];
	struct math *m = &q->state->math;
	if (x->stage == UNDER_WAY)
		return math_fail(m, "The expression is about itself.");
	if (x->stage == FRESH) {
		int64_t before = m->period_s;
		x->stage = UNDER_WAY;
		m->period_s = query_period_s(q, i);
		if (q->all->v[i].metric_stat) {
			x->value = (struct math_value){.kind = MATH_SERIES, .all.set = true};
			*LIST_ADD(q->arena, &x->value.all) = read_query(q, i);
		} else if (!math_eval(m, x->tree, &x->value))
			return false;
		m->period_s = before;
		x->stage = DONE;
	}
	*ret = x->value;
	return true;
}

static bool named(struct math *m, struct str name, struct math_value *ret)
{
	struct query_set *q = m->ctx;
	uint32_t i = find(q, name);
	if (i == q->all->n)
		return math_fail(m, "There is no query with the Id %.*s.", STR_ARG(name));
	return value_of(q, i, ret);
}

static bool metrics(struct math *m, struct str like, struct math_all *ret)
{
	struct query_set *q = m->ctx;
	for (uint32_t i = 0; i < q->all->n; i++) {
		struct math_value v;
		if (!q->all->v[i].metric_stat || (str_set(like) && str_find(q->all->v[i].id, like) < 0))
			continue;
		if (!value_of(q, i, &v))
			return false;
		*LIST_ADD(q->arena, ret) = v.all.v[0];
	}
	return true;
}

struct finding {
	struct query_set *q;
	const struct search *search;
	struct metric found[FOUND_MAX];
	unsigned n;
};

static bool find_one(void *ctx, const struct metric *m, int64_t last_ms)
{
	struct finding *f = ctx;
	if (last_ms >= f->q->from_ms && search_matches(f->search, m))
		f->found[f->n++] = *m;
	return f->n < FOUND_MAX;
}

static struct str full_name(struct arena *a, const struct metric *m)
{
	struct str made = m->space;
	for (size_t i = 0; i < m->dimension_count; i++)
		made = ARENA_CAT(a, made, S(" "), m->dimensions[i].value);
	return ARENA_CAT(a, made, S(" "), m->name);
}

static bool search(struct math *m, struct str query, struct str statistic, int64_t period_s, struct math_all *ret)
{
	struct query_set *q = m->ctx;
	struct statistic s;
	struct str why;
	struct finding *f = arena_new(q->arena, struct finding);
	f->q = q;
	f->search = search_parse(q->arena, query, &why);
	if (!f->search)
		return math_fail(m, "SEARCH: %.*s", STR_ARG(why));
	if (!statistic_parse(statistic, &s))
		return math_fail(m, "SEARCH: the statistic %.*s is not supported.", STR_ARG(statistic));
	if (!query_period_good(period_s))
		return math_fail(m, "SEARCH: the period is not supported.");
	metrics_list(q->cloud->metrics, q->arena, q->account, q->region, find_one, f);
	for (unsigned i = 0; i < f->n; i++) {
		f->found[i].unit = STR_NONE;
		*LIST_ADD(q->arena, ret) = read_metric(q, &f->found[i], statistic, period_s, full_name(q->arena, &f->found[i]));
	}
	return true;
}

bool query_run(struct query_set *q, uint32_t i, struct math_all *ret, struct str *ret_why)
{
	struct math_value v;
	if (!value_of(q, i, &v))
		return wrong(q, ret_why, i, arena_dupz(q->arena, q->state->math.error));
	if (v.kind != MATH_SERIES && v.kind != MATH_ARRAY)
		return wrong(q, ret_why, i, "An expression must result in a time series, or an array of them.");
	*ret = v.all;
	return true;
}

/* --- alarms */

/* So many samples are few for a percentile. */
static bool few(const struct cloudwatch_metric_alarm *m, const struct statistic *s, double samples)
{
	double p = s->from / 100;
	return s->kind == STAT_PERCENTILE && str_is(m->evaluate_low_sample_count_percentile, "ignore") &&
	       samples < (p >= 0.5 ? 10 / (1 - fmin(p, 0.999999)) : 10 / fmax(p, 0.000001));
}

static void place(struct alarm_point *points, unsigned n, int64_t from_ms, int64_t period_s, const struct alarm_point *p)
{
	int64_t at = (p->time_ms - from_ms) / (period_s * 1000);
	if (p->time_ms < from_ms || at >= n)
		return;
	int64_t began = points[at].time_ms;
	points[at] = *p;
	points[at].time_ms = began;
}

static bool expression_points(struct cloud *cloud, struct arena *a, struct str account, struct str region,
                              const struct cloudwatch_metric_alarm *m, int64_t from_ms, int64_t to_ms, unsigned n,
                              struct alarm_point *ret)
{
	struct query_set q = {.cloud = cloud,
	                      .arena = a,
	                      .account = account,
	                      .region = region,
	                      .all = &m->metrics,
	                      .from_ms = from_ms,
	                      .to_ms = to_ms};
	struct str why;
	if (!query_begin(&q, &why))
		return false;
	for (uint32_t i = 0; i < m->metrics.n; i++) {
		struct math_all all = {0};
		if (m->metrics.v[i].return_data.set && !m->metrics.v[i].return_data.v)
			continue;
		if (!query_run(&q, i, &all, &why) || all.n != 1)
			return false;
		for (uint32_t k = 0; k < all.v[0].points.n; k++) {
			struct alarm_point p = {
			        .there = true, .value = all.v[0].points.v[k].value, .time_ms = all.v[0].points.v[k].time_ms};
			place(ret, n, from_ms, alarm_period_s(m), &p);
		}
	}
	return true;
}

bool alarm_points(struct cloud *cloud, struct arena *a, struct str account, struct str region,
                  const struct cloudwatch_metric_alarm *m, int64_t to_ms, unsigned n, struct alarm_point *ret)
{
	int64_t period_s = alarm_period_s(m), from_ms = to_ms - n * period_s * 1000;
	struct statistic s;
	for (unsigned i = 0; i < n; i++)
		ret[i] = (struct alarm_point){.time_ms = from_ms + i * period_s * 1000};
	if (m->metrics.n)
		return expression_points(cloud, a, account, region, m, from_ms, to_ms, n, ret);
	struct metric_dimension *d = arena_array(a, m->dimensions.n + 1, sizeof(*d));
	for (uint32_t k = 0; k < m->dimensions.n; k++)
		d[k] = (struct metric_dimension){m->dimensions.v[k].name, m->dimensions.v[k].value};
	struct metric metric = {.account = account,
	                        .region = region,
	                        .space = m->namespace,
	                        .name = m->metric_name,
	                        .unit = m->unit,
	                        .dimensions = d,
	                        .dimension_count = m->dimensions.n};
	if (!statistic_parse(str_set(m->statistic) ? m->statistic : m->extended_statistic, &s))
		return false;
	struct metric_points p = metrics_read(cloud->metrics, a,
	                                      &(struct metric_query){.metric = &metric,
	                                                             .from_ms = from_ms,
	                                                             .to_ms = to_ms,
	                                                             .period_s = period_s,
	                                                             .spread = statistic_spread(&s)});
	for (uint32_t i = 0; i < p.n; i++) {
		struct alarm_point made = {.there = true, .time_ms = p.v[i].time_ms, .samples = p.v[i].set.count};
		made.few = few(m, &s, made.samples);
		if (statistic_of(&s, &p.v[i], &made.value) && isfinite(made.value))
			place(ret, n, from_ms, period_s, &made);
	}
	return true;
}

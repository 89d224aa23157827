/* The functions of metric math. An aggregate over one series is a number; over an array it is a series. */
#include "aws/cloudwatch/math.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

enum { ARGUMENTS_MAX = 4 };

struct arguments {
	struct math_value v[ARGUMENTS_MAX];
	unsigned n;
};
typedef bool function(struct math *m, struct arguments *a, struct math_value *ret);

struct math_value math_each(struct math *m, const struct math_value *v, double (*fn)(double x))
{
	struct math_value made = {.kind = v->kind, .all.set = true};
	if (v->kind == MATH_SCALAR)
		return math_scalar(fn(v->scalar));
	for (uint32_t i = 0; i < v->all.n; i++) {
		const struct math_series *s = &v->all.v[i];
		struct math_series one = {.label = s->label, .period_s = s->period_s, .points.set = true};
		for (uint32_t k = 0; k < s->points.n; k++) {
			double x = fn(s->points.v[k].value);
			if (isfinite(x))
				*LIST_ADD(m->arena, &one.points) = (struct math_point){s->points.v[k].time_ms, x};
		}
		*LIST_ADD(m->arena, &made.all) = one;
	}
	return made;
}

/* A series of each series. */
typedef void make_fn(struct math *m, const struct math_series *s, struct math_series *made, const struct arguments *a);
static bool each_series(struct math *m, struct arguments *a, make_fn *fn, struct math_value *ret)
{
	if (a->v[0].kind != MATH_SERIES && a->v[0].kind != MATH_ARRAY)
		return math_fail(m, "A function needs a time series.");
	struct math_value made = {.kind = a->v[0].kind, .all.set = true};
	for (uint32_t i = 0; i < a->v[0].all.n; i++) {
		const struct math_series *s = &a->v[0].all.v[i];
		struct math_series one = {.label = s->label, .period_s = s->period_s, .points.set = true};
		fn(m, s, &one, a);
		*LIST_ADD(m->arena, &made.all) = one;
	}
	*ret = made;
	return true;
}

static void add(struct math *m, struct math_series *s, int64_t time_ms, double value)
{
	if (isfinite(value))
		*LIST_ADD(m->arena, &s->points) = (struct math_point){time_ms, value};
}

/* --- elementwise */

#define ELEMENTWISE(name, fn) \
	static bool name(struct math *m, struct arguments *a, struct math_value *ret) \
	{ \
		if (a->v[0].kind > MATH_ARRAY) \
			return math_fail(m, "A function needs numbers."); \
		*ret = math_each(m, &a->v[0], fn); \
		return true; \
	}
ELEMENTWISE(f_abs, fabs)
ELEMENTWISE(f_ceil, ceil)
ELEMENTWISE(f_floor, floor)
ELEMENTWISE(f_log, log)
ELEMENTWISE(f_log10, log10)

/* --- aggregates */

enum aggregate { AGG_AVG, AGG_SUM, AGG_MIN, AGG_MAX, AGG_STDDEV };

struct gather {
	double n, sum, squares, min, max;
};

static void gather(struct gather *g, double x)
{
	g->min = g->n == 0 || x < g->min ? x : g->min;
	g->max = g->n == 0 || x > g->max ? x : g->max;
	g->n++;
	/* Welford's: sum is the mean here. */
	double off = x - g->sum;
	g->sum += off / g->n;
	g->squares += off * (x - g->sum);
}

static double gathered(const struct gather *g, enum aggregate what)
{
	switch (what) {
	case AGG_AVG:
		return g->sum;
	case AGG_SUM:
		return g->sum * g->n;
	case AGG_MIN:
		return g->min;
	case AGG_MAX:
		return g->max;
	default:
		return sqrt(g->squares / g->n);
	}
}

static double of_series(const struct math_series *s, enum aggregate what)
{
	struct gather g = {0};
	double sum = 0;
	for (uint32_t i = 0; i < s->points.n; i++) {
		gather(&g, s->points.v[i].value);
		sum += s->points.v[i].value;
	}
	return what == AGG_SUM ? sum : gathered(&g, what);
}

/* Over an array: a point wherever one of them has one. */
static struct math_series across(struct math *m, const struct math_all *all, enum aggregate what)
{
	struct math_series made = {.label = all->n ? all->v[0].label : S(""),
	                           .period_s = all->n ? all->v[0].period_s : m->period_s,
	                           .points.set = true};
	uint32_t *at = arena_array(m->arena, all->n + 1, sizeof(*at));
	for (;;) {
		int64_t next = INT64_MAX;
		struct gather g = {0};
		double sum = 0;
		for (uint32_t i = 0; i < all->n; i++)
			if (at[i] < all->v[i].points.n && all->v[i].points.v[at[i]].time_ms < next)
				next = all->v[i].points.v[at[i]].time_ms;
		if (next == INT64_MAX)
			return made;
		for (uint32_t i = 0; i < all->n; i++)
			if (at[i] < all->v[i].points.n && all->v[i].points.v[at[i]].time_ms == next) {
				gather(&g, all->v[i].points.v[at[i]].value);
				sum += all->v[i].points.v[at[i]++].value;
			}
		add(m, &made, next, what == AGG_SUM ? sum : gathered(&g, what));
	}
}

static bool aggregate(struct math *m, struct arguments *a, struct math_value *ret, enum aggregate what)
{
	const struct math_value *v = &a->v[0];
	if (v->kind == MATH_SERIES) {
		*ret = math_scalar(v->all.v[0].points.n ? of_series(&v->all.v[0], what) : 0);
		return true;
	}
	if (v->kind != MATH_ARRAY)
		return math_fail(m, "An aggregate needs time series.");
	*ret = (struct math_value){.kind = MATH_SERIES, .all.set = true};
	*LIST_ADD(m->arena, &ret->all) = across(m, &v->all, what);
	return true;
}

#define AGGREGATE(name, what) \
	static bool name(struct math *m, struct arguments *a, struct math_value *ret) \
	{ \
		return aggregate(m, a, ret, what); \
	}
AGGREGATE(f_avg, AGG_AVG)
AGGREGATE(f_sum, AGG_SUM)
AGGREGATE(f_min, AGG_MIN)
AGGREGATE(f_max, AGG_MAX)
AGGREGATE(f_stddev, AGG_STDDEV)

/* --- over time */

static void make_diff(struct math *m, const struct math_series *s, struct math_series *made, const struct arguments *a)
{
	(void)a;
	for (uint32_t i = 1; i < s->points.n; i++)
		add(m, made, s->points.v[i].time_ms, s->points.v[i].value - s->points.v[i - 1].value);
}

static void make_diff_time(struct math *m, const struct math_series *s, struct math_series *made, const struct arguments *a)
{
	(void)a;
	for (uint32_t i = 1; i < s->points.n; i++)
		add(m, made, s->points.v[i].time_ms, (double)(s->points.v[i].time_ms - s->points.v[i - 1].time_ms) / 1000);
}

static void make_rate(struct math *m, const struct math_series *s, struct math_series *made, const struct arguments *a)
{
	(void)a;
	for (uint32_t i = 1; i < s->points.n; i++)
		add(m, made, s->points.v[i].time_ms,
		    (s->points.v[i].value - s->points.v[i - 1].value) * 1000 /
		            (double)(s->points.v[i].time_ms - s->points.v[i - 1].time_ms));
}

static void make_running_sum(struct math *m, const struct math_series *s, struct math_series *made, const struct arguments *a)
{
	double sum = 0;
	(void)a;
	for (uint32_t i = 0; i < s->points.n; i++)
		add(m, made, s->points.v[i].time_ms, sum += s->points.v[i].value);
}

static const struct math_point *point_at(const struct math_series *s, int64_t time_ms)
{
	uint32_t low = 0, high = s->points.n;
	while (low < high) {
		uint32_t mid = (low + high) / 2;
		if (s->points.v[mid].time_ms < time_ms)
			low = mid + 1;
		else
			high = mid;
	}
	return low < s->points.n ? &s->points.v[low] : NULL; /* or the next one */
}

static void make_fill(struct math *m, const struct math_series *s, struct math_series *made, const struct arguments *a)
{
	const struct math_value *with = &a->v[1];
	int64_t step = (s->period_s ? s->period_s : m->period_s) * 1000;
	const struct math_point *last = NULL;
	for (int64_t t = m->from_ms; t < m->to_ms; t += step) {
		const struct math_point *p = point_at(s, t), *other;
		if (p && p->time_ms == t) {
			last = p;
			add(m, made, t, p->value);
		} else if (with->kind == MATH_SCALAR)
			add(m, made, t, with->scalar);
		else if (with->kind == MATH_SERIES) {
			other = point_at(&with->all.v[0], t);
			if (other && other->time_ms == t)
				add(m, made, t, other->value);
		} else if (last && str_is(with->text, "REPEAT"))
			add(m, made, t, last->value);
		else if (last && p)
			add(m, made, t,
			    last->value +
			            (p->value - last->value) * (double)(t - last->time_ms) / (double)(p->time_ms - last->time_ms));
	}
}

#define OVER_TIME(name, fn) \
	static bool name(struct math *m, struct arguments *a, struct math_value *ret) \
	{ \
		return each_series(m, a, fn, ret); \
	}
OVER_TIME(f_diff, make_diff)
OVER_TIME(f_diff_time, make_diff_time)
OVER_TIME(f_rate, make_rate)
OVER_TIME(f_running_sum, make_running_sum)

static bool f_fill(struct math *m, struct arguments *a, struct math_value *ret)
{
	const struct math_value *with = &a->v[1];
	bool word = with->kind == MATH_WORD && (str_is(with->text, "REPEAT") || str_is(with->text, "LINEAR"));
	if (!word && with->kind != MATH_SCALAR && with->kind != MATH_SERIES)
		return math_fail(m, "FILL needs a number, a time series, REPEAT or LINEAR.");
	return each_series(m, a, make_fill, ret);
}

#define CALENDAR(name, expression) \
	static void make_##name(struct math *m, const struct math_series *s, struct math_series *made, const struct arguments *a) \
	{ \
		(void)a; \
		for (uint32_t i = 0; i < s->points.n; i++) { \
			time_t at = s->points.v[i].time_ms / 1000; \
			struct tm t; \
			gmtime_r(&at, &t); \
			add(m, made, s->points.v[i].time_ms, (double)(expression)); \
		} \
	} \
	OVER_TIME(f_##name, make_##name)
CALENDAR(epoch, at)
CALENDAR(minute, t.tm_min)
CALENDAR(hour, t.tm_hour)
CALENDAR(day, t.tm_wday ? t.tm_wday : 7)
CALENDAR(date, t.tm_mday)
CALENDAR(month, t.tm_mon + 1)
CALENDAR(year, t.tm_year + 1900)

/* --- one of many, many of one */

static bool end_of(struct math *m, struct arguments *a, struct math_value *ret, bool last)
{
	if (a->v[0].kind != MATH_ARRAY || !a->v[0].all.n)
		return math_fail(m, "FIRST and LAST need an array that is not empty.");
	*ret = (struct math_value){.kind = MATH_SERIES, .all.set = true};
	*LIST_ADD(m->arena, &ret->all) = a->v[0].all.v[last ? a->v[0].all.n - 1 : 0];
	return true;
}

static bool f_first(struct math *m, struct arguments *a, struct math_value *ret)
{
	return end_of(m, a, ret, false);
}

static bool f_last(struct math *m, struct arguments *a, struct math_value *ret)
{
	return end_of(m, a, ret, true);
}

static bool f_slice(struct math *m, struct arguments *a, struct math_value *ret)
{
	if (a->v[0].kind != MATH_ARRAY || a->v[1].kind != MATH_SCALAR || (a->n > 2 && a->v[2].kind != MATH_SCALAR) ||
	    a->v[1].scalar < 0)
		return math_fail(m, "SLICE needs an array and positions.");
	double to = a->n > 2 ? a->v[2].scalar : a->v[0].all.n;
	*ret = (struct math_value){.kind = MATH_ARRAY, .all.set = true};
	for (uint32_t i = 0; i < a->v[0].all.n; i++)
		if (i >= a->v[1].scalar && i < to)
			*LIST_ADD(m->arena, &ret->all) = a->v[0].all.v[i];
	return true;
}

static bool f_remove_empty(struct math *m, struct arguments *a, struct math_value *ret)
{
	if (a->v[0].kind != MATH_ARRAY)
		return math_fail(m, "REMOVE_EMPTY needs an array.");
	*ret = (struct math_value){.kind = MATH_ARRAY, .all.set = true};
	for (uint32_t i = 0; i < a->v[0].all.n; i++)
		if (a->v[0].all.v[i].points.n)
			*LIST_ADD(m->arena, &ret->all) = a->v[0].all.v[i];
	return true;
}

struct ranked {
	double by;
	uint32_t at;
};

static int by_rank(const void *x, const void *y)
{
	const struct ranked *a = x, *b = y;
	return a->by < b->by ? -1 : a->by > b->by ? 1 : (a->at > b->at) - (a->at < b->at);
}

static bool f_sort(struct math *m, struct arguments *a, struct math_value *ret)
{
	static const char *const by[] = {"AVG", "SUM", "MIN", "MAX", "STDDEV"};
	unsigned what = 0;
	while (what < 5 && !str_is(a->v[1].text, by[what]))
		what++;
	if (a->v[0].kind != MATH_ARRAY || what == 5 || (!str_is(a->v[2].text, "ASC") && !str_is(a->v[2].text, "DESC")) ||
	    (a->n > 3 && a->v[3].kind != MATH_SCALAR))
		return math_fail(m, "SORT needs an array, a function, and ASC or DESC.");
	uint32_t n = a->v[0].all.n;
	bool down = str_is(a->v[2].text, "DESC");
	struct ranked *all = arena_array(m->arena, n + 1, sizeof(*all));
	for (uint32_t i = 0; i < n; i++) {
		double x = a->v[0].all.v[i].points.n ? of_series(&a->v[0].all.v[i], (enum aggregate)what) : 0;
		all[i] = (struct ranked){down ? -x : x, i};
	}
	qsort(all, n, sizeof(*all), by_rank);
	*ret = (struct math_value){.kind = MATH_ARRAY, .all.set = true};
	for (uint32_t i = 0; i < n && (a->n < 4 || i < a->v[3].scalar); i++)
		*LIST_ADD(m->arena, &ret->all) = a->v[0].all.v[all[i].at];
	return true;
}

static bool f_time_series(struct math *m, struct arguments *a, struct math_value *ret)
{
	struct math_series made = {.label = S(""), .period_s = m->period_s, .points.set = true};
	if (a->v[0].kind != MATH_SCALAR)
		return math_fail(m, "TIME_SERIES needs a number.");
	for (int64_t t = m->from_ms; t < m->to_ms; t += m->period_s * 1000)
		add(m, &made, t, a->v[0].scalar);
	*ret = (struct math_value){.kind = MATH_SERIES, .all.set = true};
	*LIST_ADD(m->arena, &ret->all) = made;
	return true;
}

static bool f_period(struct math *m, struct arguments *a, struct math_value *ret)
{
	if (a->v[0].kind != MATH_SERIES)
		return math_fail(m, "PERIOD needs a time series.");
	*ret = math_scalar((double)a->v[0].all.v[0].period_s);
	return true;
}

static bool f_datapoint_count(struct math *m, struct arguments *a, struct math_value *ret)
{
	if (a->v[0].kind != MATH_SERIES)
		return math_fail(m, "DATAPOINT_COUNT needs a time series.");
	*ret = math_scalar(a->v[0].all.v[0].points.n);
	return true;
}

static bool f_metric_count(struct math *m, struct arguments *a, struct math_value *ret)
{
	if (a->v[0].kind != MATH_ARRAY)
		return math_fail(m, "METRIC_COUNT needs an array.");
	*ret = math_scalar(a->v[0].all.n);
	return true;
}

/* IF(condition, then[, else]): a missing else is no point. */
static bool f_if(struct math *m, struct arguments *a, struct math_value *ret)
{
	const struct math_value *c = &a->v[0];
	for (unsigned i = 0; i < a->n; i++)
		if (a->v[i].kind > MATH_SERIES)
			return math_fail(m, "IF needs time series and numbers.");
	if (c->kind == MATH_SCALAR) {
		if (c->scalar != 0 || a->n > 2)
			*ret = a->v[c->scalar != 0 ? 1 : 2];
		else {
			*ret = (struct math_value){.kind = MATH_SERIES, .all.set = true};
			*LIST_ADD(m->arena, &ret->all) =
			        (struct math_series){.label = S(""), .period_s = m->period_s, .points.set = true};
		}
		return true;
	}
	const struct math_series *s = &c->all.v[0];
	struct math_series made = {.label = s->label, .period_s = s->period_s, .points.set = true};
	for (uint32_t i = 0; i < s->points.n; i++) {
		int64_t t = s->points.v[i].time_ms;
		const struct math_value *v = s->points.v[i].value != 0 ? &a->v[1] : a->n > 2 ? &a->v[2] : NULL;
		const struct math_point *p = v && v->kind == MATH_SERIES ? point_at(&v->all.v[0], t) : NULL;
		if (v && v->kind == MATH_SCALAR)
			add(m, &made, t, v->scalar);
		else if (p && p->time_ms == t)
			add(m, &made, t, p->value);
	}
	*ret = (struct math_value){.kind = MATH_SERIES, .all.set = true};
	*LIST_ADD(m->arena, &ret->all) = made;
	return true;
}

/* --- other metrics */

static bool f_metrics(struct math *m, struct arguments *a, struct math_value *ret)
{
	if (a->n && a->v[0].kind != MATH_TEXT)
		return math_fail(m, "METRICS needs a text.");
	*ret = (struct math_value){.kind = MATH_ARRAY, .all.set = true};
	return m->metrics(m, a->n ? a->v[0].text : STR_NONE, &ret->all);
}

static bool f_search(struct math *m, struct arguments *a, struct math_value *ret)
{
	if (a->v[0].kind != MATH_TEXT || a->v[1].kind != MATH_TEXT ||
	    (a->n > 2 && (a->v[2].kind != MATH_SCALAR || !(a->v[2].scalar >= 1) || a->v[2].scalar > 86400)))
		return math_fail(m, "SEARCH needs a text, a statistic and a period.");
	*ret = (struct math_value){.kind = MATH_ARRAY, .all.set = true};
	return m->search(m, a->v[0].text, a->v[1].text, a->n > 2 ? (int64_t)a->v[2].scalar : m->period_s, &ret->all);
}

/* --- the table */

static const struct {
	const char *name;
	function *fn;
	unsigned min, max;
} functions[] = {{"ABS", f_abs, 1, 1},
                 {"AVG", f_avg, 1, 1},
                 {"CEIL", f_ceil, 1, 1},
                 {"DATAPOINT_COUNT", f_datapoint_count, 1, 1},
                 {"DATE", f_date, 1, 1},
                 {"DAY", f_day, 1, 1},
                 {"DIFF", f_diff, 1, 1},
                 {"DIFF_TIME", f_diff_time, 1, 1},
                 {"EPOCH", f_epoch, 1, 1},
                 {"FILL", f_fill, 2, 2},
                 {"FIRST", f_first, 1, 1},
                 {"FLOOR", f_floor, 1, 1},
                 {"HOUR", f_hour, 1, 1},
                 {"IF", f_if, 2, 3},
                 {"LAST", f_last, 1, 1},
                 {"LOG", f_log, 1, 1},
                 {"LOG10", f_log10, 1, 1},
                 {"MAX", f_max, 1, 1},
                 {"METRICS", f_metrics, 0, 1},
                 {"METRIC_COUNT", f_metric_count, 1, 1},
                 {"MIN", f_min, 1, 1},
                 {"MINUTE", f_minute, 1, 1},
                 {"MONTH", f_month, 1, 1},
                 {"PERIOD", f_period, 1, 1},
                 {"RATE", f_rate, 1, 1},
                 {"REMOVE_EMPTY", f_remove_empty, 1, 1},
                 {"RUNNING_SUM", f_running_sum, 1, 1},
                 {"SEARCH", f_search, 2, 3},
                 {"SLICE", f_slice, 2, 3},
                 {"SORT", f_sort, 3, 4},
                 {"STDDEV", f_stddev, 1, 1},
                 {"SUM", f_sum, 1, 1},
                 {"TIME_SERIES", f_time_series, 1, 1},
                 {"YEAR", f_year, 1, 1}};
enum { FUNCTIONS = sizeof(functions) / sizeof(*functions) };

bool math_known(struct str name)
{
	for (unsigned i = 0; i < FUNCTIONS; i++)
		if (str_ieq(name, str_from(functions[i].name)))
			return true;
	return false;
}

bool math_call(struct math *m, const struct math_node *n, struct math_value *ret)
{
	struct arguments a = {0};
	unsigned at = 0;
	while (at < FUNCTIONS && !str_ieq(n->text, str_from(functions[at].name)))
		at++;
	if (at == FUNCTIONS || n->count < functions[at].min || n->count > functions[at].max)
		return math_fail(m, "The function %.*s has the wrong number of operands.", STR_ARG(n->text));
	for (const struct math_node *x = n->first; x; x = x->next)
		if (!math_eval(m, x, &a.v[a.n++]))
			return false;
	return functions[at].fn(m, &a, ret) &&
	       (ret->kind != MATH_SCALAR || isfinite(ret->scalar) || math_fail(m, "The result is not a number."));
}

/* What other services see of alarms. They change nothing here: that is what operations are for. */
#include "aws/cloudwatch/alarm.h"
#include "aws/cloudwatch/cloudwatch.h"
#include "engine/metrics/metrics.h"

#include <math.h>
#include <stdlib.h>

void cloudwatch_see_alarm(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str name,
                          struct cloudwatch_alarm_seen *ret)
{
	struct alarm_scope s = {t, a, account, region};
	struct state_cloudwatch_alarm_record r = {0};
	struct str plain = alarm_name_of(&s, name);
	*ret = (struct cloudwatch_alarm_seen){.there = plain.n && alarm_find(&s, plain, &r)};
	if (!ret->there)
		return;
	ret->alarm = str_is(*alarm_face(&r).state, "ALARM");
	ret->window_s = r.metric ? alarm_period_s(r.metric) * r.metric->evaluation_periods.v : 0;
}

bool cloudwatch_get_alarm(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str name,
                          struct cloudwatch_metric_alarm *ret, bool *ret_composite)
{
	struct alarm_scope s = {t, a, account, region};
	struct state_cloudwatch_alarm_record r = {0};
	bool found = alarm_find(&s, name, &r);
	*ret_composite = found && !r.metric;
	if (!found || !r.metric)
		return false;
	*ret = *r.metric;
	return true;
}

enum cloudwatch_standing cloudwatch_standing(struct cloud *cloud, struct str account, struct str region,
                                             const struct cloudwatch_metric_alarm *settings, int64_t now_ms)
{
	struct arena CLEAN_ARENA a = {0};
	static const enum cloudwatch_standing by_state[] = {
	        [ALARM_OK] = CLOUDWATCH_OK, [ALARM_ALARM] = CLOUDWATCH_ALARM, [ALARM_INSUFFICIENT] = CLOUDWATCH_INSUFFICIENT};
	struct alarm_rule rule = alarm_rule_of(settings);
	unsigned n = rule.periods + ALARM_RANGE_EXTRA;
	struct alarm_point *points = arena_array(&a, n, sizeof(*points));
	if (!alarm_points(cloud, &a, account, region, settings, now_ms - now_ms % 60000, n, points))
		return CLOUDWATCH_AS_BEFORE;
	struct alarm_verdict v = alarm_decide(&rule, points, n);
	return v.keep ? CLOUDWATCH_AS_BEFORE : by_state[v.state];
}

double cloudwatch_alarm_value(struct cloud *cloud, struct arena *a, const struct alarm_event *e, struct str statistic,
                              int64_t now_ms)
{
	struct metric_dimension by[METRIC_DIMENSIONS_MAX];
	if (!e->metric || str_eq(e->statistic, statistic) || !cloud->metrics || e->period_s < 1 || !str_set(e->metric_name))
		return e->metric ? e->value : (double)NAN;
	struct metric m = {.account = e->account, .region = e->region, .space = e->space, .name = e->metric_name, .unit = e->unit};
	for (uint32_t i = 0; e->dimensions && i < e->dimensions->n && i < METRIC_DIMENSIONS_MAX; i++)
		by[m.dimension_count++] = (struct metric_dimension){e->dimensions->v[i].key, e->dimensions->v[i].value};
	m.dimensions = by;
	int64_t period_ms = e->period_s * 1000, end = now_ms / period_ms * period_ms;
	struct metric_query q = {.metric = &m,
	                         .from_ms = end - e->evaluation_periods * period_ms,
	                         .to_ms = end + period_ms,
	                         .period_s = e->period_s};
	struct metric_points all = metrics_read(cloud->metrics, a, &q);
	if (!all.n)
		return e->value;
	const struct metric_set *newest = &all.v[all.n - 1].set;
	return str_is(statistic, "Minimum")   ? newest->min
	       : str_is(statistic, "Maximum") ? newest->max
	                                      : newest->sum / (newest->count > 0 ? newest->count : 1);
}

struct cloudwatch_alarms_watch {
	struct store_watch *watch;
	cloudwatch_alarms_changed_fn *fn;
	void *ctx;
};

static void changed(void *ctx, const struct store_event *e)
{
	struct cloudwatch_alarms_watch *w = ctx;
	struct arena CLEAN_ARENA a = {0};
	struct str_list parts = record_key_parts(&a, e->key);
	if (parts.n == 5)
		w->fn(w->ctx, parts.v[2], parts.v[3]);
}

struct cloudwatch_alarms_watch *cloudwatch_watch_alarms(struct cloud *cloud, cloudwatch_alarms_changed_fn *fn, void *ctx)
{
	struct arena CLEAN_ARENA a = {0};
	struct cloudwatch_alarms_watch *w = calloc(1, sizeof(*w));
	if (!w)
		abort();
	*w = (struct cloudwatch_alarms_watch){.fn = fn, .ctx = ctx};
	struct str under = KEY_UNDER(&a, S("cloudwatch"), S("alarm"));
	w->watch = store_watch(cloud->store, under, store_prefix_end(&a, under), store_revision(cloud->store), changed, w);
	return w;
}

void cloudwatch_unwatch_alarms(struct cloudwatch_alarms_watch *w)
{
	if (!w)
		return;
	store_unwatch(w->watch);
	free(w);
}

/* Every alarm is looked at once a minute, those with periods below a minute every ten seconds, over periods that end at that
 * moment. What an alarm is, is kept in memory and kept true by a watch; the state is compared and changed in a transaction. An
 * action that is due is a flag of the record, so that a crash between a change and its actions loses none of them. */
#include "aws/cloudwatch/alarm_op.h"

#include "aws/cloudwatch/query.h"
#include "base/clock.h"
#include "base/log.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

enum { TICK_MS = 10000, AFTER_MS = 300, MINUTE_MS = 60000, AT_ONCE = 50 };
#define HISTORY_MS (INT64_C(30) * 86400 * 1000)

struct watched {
	struct alarm_watch *watch;
	struct str key, account, region;
	struct arena arena; /* of the record */
	struct state_cloudwatch_alarm_record record;
	int64_t looked;   /* the moment that it was looked at for */
	int64_t acted_ms; /* when actions that repeat were carried out */
	double value;     /* the newest point */
	bool acting, removed;
};

struct alarm_watch {
	struct cloud *cloud;
	struct map all; /* key -> struct watched */
	struct store_watch *watch;
	struct loop_timer *timer;
	struct arena arena;  /* of one look */
	struct str_list due; /* keys */
	uint32_t due_at;
	bool busy, stopped;
	unsigned acting;
	int64_t swept_ms;
	int64_t soon_ms; /* when the first period of a suppression ends; 0: none runs */
	struct str look_key;
};

static void free_watched(struct watched *i)
{
	arena_done(&i->arena);
	free(i);
}

static void changed(struct alarm_watch *w, struct str key, struct str value)
{
	struct watched *i = map_get(&w->all, key);
	struct arena fresh = {0};
	struct state_cloudwatch_alarm_record record;
	bool good = str_set(value) && record_read(&fresh, value, CLOUDWATCH_ROW("Alarm"), &record);
	if (!good) {
		arena_done(&fresh);
		map_remove(&w->all, key);
		if (i && i->acting)
			i->removed = true;
		else if (i)
			free_watched(i);
		return;
	}
	if (!i) {
		i = calloc(1, sizeof(*i));
		if (!i)
			die("out of memory (alarms)");
		i->watch = w;
		map_put(&w->all, key, i);
	}
	arena_done(&i->arena);
	i->arena = fresh;
	i->record = record;
	i->key = arena_dup(&i->arena, key);
	struct str_list parts = record_key_parts(&i->arena, key);
	i->account = parts.v[2];
	i->region = parts.v[3];
}

/* --- actions */

static void acted(void *ctx)
{
	struct watched *i = ctx;
	i->watch->acting--;
	i->acting = false;
	if (i->removed)
		free_watched(i);
}

static bool repeats(struct watched *i)
{
	struct alarm_face f = alarm_face(&i->record);
	const struct str_list *actions = f.actions[alarm_state_of(*f.state)];
	for (uint32_t k = 0; k < actions->n; k++) {
		const struct alarm_action_kind *kind = alarm_action_find(actions->v[k]);
		if (kind && kind->repeats)
			return true;
	}
	return false;
}

/* In the state that it is in, as it was seen in memory. */
static void act(struct watched *i, int64_t now_ms)
{
	if (alarm_suppressed(&i->record))
		return;
	bool due = i->record.due.v, again = !due && i->acted_ms && now_ms - i->acted_ms >= MINUTE_MS && repeats(i);
	if (i->acting || (!due && !again))
		return;
	i->acted_ms = now_ms;
	i->acting = true;
	i->watch->acting++;
	alarm_act(i->watch->cloud, i->account, i->region, &i->record, again, i->value, acted, i);
}

/* --- a look */

int64_t alarm_period_s(const struct cloudwatch_metric_alarm *m)
{
	int64_t period = m->period.v;
	for (uint32_t i = 0; i < m->metrics.n; i++) {
		const struct cloudwatch_metric_data_query *q = &m->metrics.v[i];
		int64_t one = q->metric_stat ? q->metric_stat->period.v : q->period.v;
		period = one > period ? one : period;
	}
	return period > 0 ? period : 60;
}

struct alarm_rule alarm_rule_of(const struct cloudwatch_metric_alarm *m)
{
	int64_t to_alarm = m->datapoints_to_alarm.set ? m->datapoints_to_alarm.v : m->evaluation_periods.v;
	return (struct alarm_rule){.periods = (unsigned)m->evaluation_periods.v,
	                           .to_alarm = (unsigned)to_alarm,
	                           .operator= m->comparison_operator,
	                           .missing = m->treat_missing_data,
	                           .threshold = m->threshold.v};
}

static void put_time(struct json_out *o, const char *name, int64_t ms)
{
	char text[40];
	json_key(o, str_from(name));
	json_string(o, str_of(text, time_format_to(text, ms, TIME_LAMBDA)));
}

static void put_value(struct json_out *o, const char *name, double x)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, 64);
	alarm_put_double(&b, x);
	json_key(o, str_from(name));
	json_raw(o, buf_str(&b));
}

static struct str reason_data(struct arena *a, const struct cloudwatch_metric_alarm *m, const struct alarm_rule *rule,
                              const struct alarm_point *points, unsigned n, int64_t now_ms)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, 65536);
	struct json_out o = json_out(&b);
	unsigned first = n - rule->periods, shown = 0;
	json_open(&o, '{');
	json_key(&o, S("version"));
	json_string(&o, S("1.0"));
	put_time(&o, "queryDate", now_ms);
	put_time(&o, "startDate", points[first].time_ms);
	if (str_set(m->statistic) || str_set(m->extended_statistic)) {
		json_key(&o, S("statistic"));
		json_string(&o, str_set(m->statistic) ? m->statistic : m->extended_statistic);
	}
	json_key(&o, S("period"));
	json_int(&o, alarm_period_s(m));
	json_key(&o, S("recentDatapoints"));
	json_open(&o, '[');
	for (unsigned i = first; i < n && shown < 10; i++)
		if (points[i].there) {
			struct buf CLEAN_BUF x;
			buf_init(&x, 64);
			alarm_put_double(&x, points[i].value);
			json_raw(&o, buf_str(&x));
			shown++;
		}
	json_close(&o, ']');
	put_value(&o, "threshold", rule->threshold);
	json_key(&o, S("evaluatedDatapoints"));
	json_open(&o, '[');
	shown = 0;
	for (unsigned i = n; i-- > first && shown < 10;) {
		shown++;
		json_open(&o, '{');
		put_time(&o, "timestamp", points[i].time_ms);
		if (points[i].there) {
			if (points[i].samples > 0)
				put_value(&o, "sampleCount", points[i].samples);
			put_value(&o, "value", points[i].value);
		}
		json_close(&o, '}');
	}
	json_close(&o, ']');
	json_close(&o, '}');
	return arena_dup(a, buf_str(&b));
}

static bool look_metric(struct alarm_scope *s, struct watched *i, struct state_cloudwatch_alarm_record *r, int64_t at_ms,
                        int64_t now_ms)
{
	const struct cloudwatch_metric_alarm *m = r->metric;
	struct alarm_rule rule = alarm_rule_of(m);
	unsigned n = rule.periods + ALARM_RANGE_EXTRA;
	struct alarm_point *points = arena_array(s->arena, n, sizeof(*points));
	if (!alarm_points(i->watch->cloud, s->arena, i->account, i->region, m, at_ms, n, points))
		return false;
	i->value = NAN;
	for (unsigned k = 0; k < n; k++)
		if (points[k].there)
			i->value = points[k].value;
	struct alarm_verdict v = alarm_decide(&rule, points, n);
	enum alarm_state before = alarm_state_of(m->state_value);
	/* A new alarm says why it has no data, once it was looked at. */
	bool first = v.state == ALARM_INSUFFICIENT && str_starts(m->state_reason, S("Unchecked"));
	if (v.keep || (v.state == before && !first))
		return false;
	alarm_transition(s, r, v.state, alarm_reason(s->arena, &rule, points, n, &v, before),
	                 reason_data(s->arena, m, &rule, points, n, now_ms), now_ms);
	return true;
}

static int state_by_name(void *ctx, struct str name)
{
	struct alarm_scope *s = ctx;
	struct state_cloudwatch_alarm_record r;
	struct str plain = alarm_name_of(s, name);
	return str_set(plain) && alarm_find(s, plain, &r) ? (int)alarm_state_of(*alarm_face(&r).state) : -1;
}

/* The child that changed last is why. */
static void explain(struct alarm_scope *s, const struct state_cloudwatch_alarm_record *r, struct str_list names,
                    enum alarm_state to, int64_t now_ms, struct str *ret_reason, struct str *ret_data)
{
	struct state_cloudwatch_alarm_record last = {0};
	int64_t at_ms = 0;
	for (uint32_t i = 0; i < names.n; i++) {
		struct state_cloudwatch_alarm_record child;
		struct str plain = alarm_name_of(s, names.v[i]);
		if (str_set(plain) && alarm_find(s, plain, &child) && alarm_face(&child).transitioned->ms > at_ms) {
			last = child;
			at_ms = alarm_face(&child).transitioned->ms;
		}
	}
	if (!at_ms) {
		*ret_reason = ARENA_CAT(s->arena, r->composite->alarm_arn, S(" transitioned to "), str_from(alarm_state_names[to]),
		                        S(" at "), time_format(s->arena, now_ms, TIME_ISO8601_MS));
		return;
	}
	struct alarm_face f = alarm_face(&last);
	time_t seconds = at_ms / 1000;
	struct tm tm;
	char day[80];
	strftime(day, sizeof(day), "%A %d %B, %Y %H:%M:%S UTC", gmtime_r(&seconds, &tm));
	*ret_reason = ARENA_CAT(s->arena, f.arn, S(" transitioned to "), *f.state, S(" at "), str_from(day));
	struct buf CLEAN_BUF b;
	buf_init(&b, 65536);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	json_key(&o, S("triggeringAlarms"));
	json_open(&o, '[');
	json_open(&o, '{');
	json_key(&o, S("arn"));
	json_string(&o, f.arn);
	json_key(&o, S("state"));
	json_open(&o, '{');
	json_key(&o, S("value"));
	json_string(&o, *f.state);
	put_time(&o, "timestamp", at_ms);
	json_close(&o, '}');
	json_close(&o, '}');
	json_close(&o, ']');
	json_close(&o, '}');
	*ret_data = arena_dup(s->arena, buf_str(&b));
}

static bool look_composite(struct alarm_watch *w, struct alarm_scope *s, struct state_cloudwatch_alarm_record *r, int64_t now_ms)
{
	struct str why, reason = STR_NONE, data = STR_NONE;
	bool moved = alarm_suppress(s, r, false, now_ms);
	struct alarm_rule_tree *t = alarm_rule_parse(s->arena, r->composite->alarm_rule, &why);
	enum alarm_state to = t && alarm_rule_holds(t, state_by_name, s) ? ALARM_ALARM : ALARM_OK;
	if (to != alarm_state_of(r->composite->state_value)) {
		explain(s, r, t ? alarm_rule_names(s->arena, t) : (struct str_list){0}, to, now_ms, &reason, &data);
		alarm_transition(s, r, to, str_sub(reason, 0, 1023), data, now_ms);
		moved = true;
	} else if (moved) {
		alarm_save(s, r);
	}
	int64_t until = r->suppressed_until.set ? r->suppressed_until.ms : 0;
	if (until > now_ms && (!w->soon_ms || until < w->soon_ms))
		w->soon_ms = until;
	return moved;
}

static void look_next(void *ctx);

static void looked(void *ctx, int result, uint64_t revision)
{
	struct alarm_watch *w = ctx;
	(void)revision;
	w->busy = false;
	struct watched *i = map_get(&w->all, w->look_key);
	/* Somebody changed the alarm meanwhile: the next tick looks again. */
	if (i && result < 0)
		i->looked = 0;
	else if (i)
		act(i, clock_wall_ms());
	look_next(w);
}

static bool look_at(struct alarm_watch *w, struct watched *i)
{
	int64_t now = clock_wall_ms(), every = i->record.metric && alarm_period_s(i->record.metric) >= 60 ? MINUTE_MS : TICK_MS;
	int64_t at = i->record.metric ? now - now % every : now;
	/* What a state that was set by hand is to do is begun before a look may end that state. */
	bool first = i->record.due.v && !i->acting && !alarm_suppressed(&i->record);
	if (i->looked == at || first) {
		act(i, now);
		return false;
	}
	i->looked = at;
	struct alarm_scope s = {store_begin(w->cloud->store, &w->arena), &w->arena, i->account, i->region};
	struct state_cloudwatch_alarm_record r;
	bool moved = record_get(s.txn, s.arena, i->key, CLOUDWATCH_ROW("Alarm"), &r) &&
	             (r.metric ? look_metric(&s, i, &r, at, now) : look_composite(w, &s, &r, now));
	if (!moved) {
		store_abort(s.txn);
		act(i, now);
		return false;
	}
	w->busy = true;
	w->look_key = arena_dup(&w->arena, i->key);
	store_commit(s.txn, looked, w);
	return true;
}

/* --- ticks */

static void tick(void *ctx);

static void swept(void *ctx, int result, uint64_t revision)
{
	struct alarm_watch *w = ctx;
	(void)result;
	(void)revision;
	w->busy = false;
	look_next(w);
}

/* History is kept for 30 days. */
static bool sweep(struct alarm_watch *w)
{
	int64_t now = clock_wall_ms();
	if (now < w->swept_ms + 3600000 && now >= w->swept_ms)
		return false;
	w->swept_ms = now;
	struct arena *a = &w->arena;
	struct store_txn *t = store_begin(w->cloud->store, a);
	struct str under = KEY_UNDER(a, S("cloudwatch"), S("history")), key;
	struct store_iter *i = store_scan(t, under, store_prefix_end(a, under), false);
	struct store_value v;
	unsigned n = 0;
	while (n < 5000 && store_next(i, &key, &v)) {
		struct state_cloudwatch_history_record r;
		if (!record_read(a, v.value, CLOUDWATCH_ROW("History"), &r) || r.item->timestamp.ms >= now - HISTORY_MS)
			continue;
		store_delete(t, arena_dup(a, key));
		n++;
	}
	if (!n) {
		store_abort(t);
		return false;
	}
	w->busy = true;
	store_commit(t, swept, w);
	return true;
}

static void arm(struct alarm_watch *w, int64_t delay_ms)
{
	w->timer = loop_add_clock_timer(w->cloud->loop, delay_ms * 1000, tick, w);
}

static void look_next(void *ctx)
{
	struct alarm_watch *w = ctx;
	unsigned n = 0;
	if (w->busy || w->stopped)
		return;
	w->timer = NULL; /* none is set during a look */
	while (w->due_at < w->due.n) {
		struct watched *i = map_get(&w->all, w->due.v[w->due_at++]);
		int64_t looked = i ? i->looked : 0;
		if (i && look_at(w, i))
			return;
		/* Who was looked at before is no work: a look that changes begin anew all the time still gets on. */
		n += i && i->looked != looked;
		if (n == AT_ONCE) {
			w->timer = loop_add_timer(w->cloud->loop, 1000, look_next, w);
			return;
		}
	}
	if (sweep(w))
		return;
	w->due = (struct str_list){0};
	arena_reset(&w->arena);
	int64_t now = clock_wall_ms(), delay = TICK_MS - now % TICK_MS + AFTER_MS;
	if (w->soon_ms && w->soon_ms - now < delay)
		delay = w->soon_ms > now ? w->soon_ms - now : 0;
	arm(w, delay);
}

static void tick(void *ctx)
{
	struct alarm_watch *w = ctx;
	size_t at = 0;
	struct str key;
	void *value;
	w->timer = NULL;
	w->due_at = 0;
	w->soon_ms = 0;
	while (map_next(&w->all, &at, &key, &value))
		*LIST_ADD(&w->arena, &w->due) = arena_dup(&w->arena, key);
	look_next(w);
}

/* What was put or set by hand is looked at and acted on at once. */
static void on_change(void *ctx, const struct store_event *e)
{
	struct alarm_watch *w = ctx;
	changed(w, e->key, e->value);
	if (!w->timer || w->busy || w->stopped)
		return;
	loop_remove_timer(w->cloud->loop, w->timer);
	w->due = (struct str_list){0};
	arena_reset(&w->arena);
	arm(w, 0);
}

struct alarm_watch *alarm_watch_start(struct cloud *cloud)
{
	struct alarm_watch *w = calloc(1, sizeof(*w));
	if (!w)
		die("out of memory (alarms)");
	w->cloud = cloud;
	struct arena CLEAN_ARENA a = {0};
	struct store_txn *t = store_begin(cloud->store, &a);
	struct str under = KEY_UNDER(&a, S("cloudwatch"), S("alarm")), end = store_prefix_end(&a, under), key;
	struct store_iter *i = store_scan(t, under, end, false);
	struct store_value v;
	w->watch = store_watch(cloud->store, under, end, store_revision(cloud->store), on_change, w);
	while (store_next(i, &key, &v))
		changed(w, key, v.value);
	store_abort(t);
	int64_t now = clock_wall_ms();
	w->swept_ms = now;
	arm(w, TICK_MS - now % TICK_MS + AFTER_MS);
	return w;
}

void alarm_watch_stop(struct alarm_watch *w)
{
	size_t at = 0;
	struct str key;
	void *value;
	if (!w)
		return;
	w->stopped = true;
	loop_remove_timer(w->cloud->loop, w->timer);
	store_unwatch(w->watch);
	/* The process ends: a decision that is being written, and who still acts, find what they hold. What was not done is due
	 * again at the next start. */
	if (w->busy || w->acting)
		return;
	while (map_next(&w->all, &at, &key, &value))
		free_watched(value);
	map_done(&w->all);
	arena_done(&w->arena);
	free(w);
}

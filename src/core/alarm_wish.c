#include "core/alarm_wish.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/map.h"
#include "core/record.h"

#include <errno.h>
#include <stdlib.h>

enum { AGAIN_US = 10 * 1000000, HIGH_PERIODS = 3, LOW_PERIODS = 15, LOW_MS = 150 * 1000 };

static const struct record_type alarm_row = {&cloudwatch_api, "PutMetricAlarmInput"};

/* One alarm that CloudWatch is asked about. */
struct todo {
	struct alarm_wishes *all;
	struct arena arena, scratch;
	struct str key, account, region, name, value; /* value empty: it is to be deleted */
	const struct principal *owner;
	bool busy, dirty;
	struct loop_timer *again;
};

struct low {
	int64_t at_ms, wanted;
};

struct alarm_wishes {
	struct cloud *cloud;
	const char *service;
	struct store_watch *watch;
	struct map todos, lows;
};

static struct str todo_key(const struct alarm_wisher *w, struct str name)
{
	return KEY(w->arena, str_from(w->service), S("alarm"), w->account, w->region, w->of, name);
}

void alarm_want(const struct alarm_wisher *w, const struct cloudwatch_put_metric_alarm_input *alarm)
{
	store_put(w->txn, todo_key(w, alarm->alarm_name), record_write(w->arena, &alarm_row, alarm));
}

void alarm_unwant(const struct alarm_wisher *w, struct str name)
{
	store_put(w->txn, todo_key(w, name), S(""));
}

void alarm_track(struct arena *arena, struct str of, struct str policy_arn, double target, bool enabled, bool high,
                 struct cloudwatch_put_metric_alarm_input *a)
{
	a->alarm_name = arena_printf(arena, "TargetTracking-%.*s-Alarm%s-%.*s", STR_ARG(of), high ? "High" : "Low",
	                             STR_ARG(id_uuid(arena)));
	a->alarm_description =
	        arena_printf(arena, "DO NOT EDIT OR DELETE. For TargetTrackingScaling policy %.*s.", STR_ARG(policy_arn));
	a->actions_enabled = OPT_BOOL(enabled);
	bool managed = str_is(a->namespace, "AWS/ECS/ManagedScaling");
	a->evaluation_periods = OPT_INT(!high ? LOW_PERIODS : managed ? 1 : HIGH_PERIODS);
	a->threshold = OPT_DOUBLE(high || managed ? target : target * 0.9);
	a->comparison_operator = high ? S("GreaterThanThreshold") : S("LessThanThreshold");
	*LIST_ADD(arena, &a->alarm_actions) = policy_arn;
}

struct str alarm_arn_of(struct arena *arena, struct str region, struct str account, struct str name)
{
	return arena_printf(arena, "arn:aws:cloudwatch:%.*s:%.*s:alarm:%.*s", STR_ARG(region), STR_ARG(account), STR_ARG(name));
}

/* --- doing it */

static void begin(struct todo *t);

static void end(struct todo *t)
{
	map_remove(&t->all->todos, t->key);
	principal_unref(t->owner);
	loop_remove_timer(t->all->cloud->loop, t->again);
	arena_done(&t->scratch);
	arena_done(&t->arena);
	free(t);
}

static void again(void *ctx)
{
	struct todo *t = ctx;
	t->again = NULL;
	begin(t);
}

static void later(struct todo *t)
{
	t->again = loop_add_timer(t->all->cloud->loop, AGAIN_US, again, t);
}

static void forgotten(void *ctx, int result, uint64_t revision)
{
	struct todo *t = ctx;
	(void)revision;
	t->busy = false;
	if (result < 0 && result != -EAGAIN)
		later(t);
	else if (t->dirty || result == -EAGAIN)
		begin(t);
	else
		end(t);
}

static void asked(void *ctx, struct call *sub)
{
	struct todo *t = ctx;
	struct store_value v;
	if (str_set(sub->error.code) && !(str_empty(t->value) && str_is(sub->error.code, "ResourceNotFound"))) {
		log_warn("%s: alarm %.*s: %.*s", t->all->service, STR_ARG(t->name), STR_ARG(sub->error.message));
		t->busy = false;
		later(t);
		return;
	}
	arena_reset(&t->scratch);
	struct store_txn *txn = store_begin(t->all->cloud->store, &t->scratch);
	if (store_get(txn, t->key, &v) && str_eq(v.value, t->value))
		store_delete(txn, t->key);
	else
		t->dirty = true; /* something else is wanted by now */
	store_commit(txn, forgotten, t);
}

static void begin(struct todo *t)
{
	struct cloud *cloud = t->all->cloud;
	struct store_value v;
	if (t->busy || t->again)
		return;
	t->dirty = false;
	arena_reset(&t->scratch);
	struct store_txn *txn = store_begin(cloud->store, &t->scratch);
	bool there = store_get(txn, t->key, &v);
	if (there)
		t->value = arena_dup(&t->arena, v.value);
	store_abort(txn);
	if (!there) {
		end(t);
		return;
	}
	t->busy = true;
	if (str_empty(t->value)) {
		struct cloudwatch_delete_alarms_input in = {.alarm_names = {.v = &t->name, .n = 1, .set = true}};
		call_op(cloud, t->owner, t->region, &cloudwatch_api, "DeleteAlarms", &in, asked, t);
		return;
	}
	struct cloudwatch_put_metric_alarm_input in = {0};
	if (!record_read(&t->scratch, t->value, &alarm_row, &in))
		abort();
	call_op(cloud, t->owner, t->region, &cloudwatch_api, "PutMetricAlarm", &in, asked, t);
}

static void look_at(struct alarm_wishes *all, struct str key)
{
	struct todo *t = map_get(&all->todos, key);
	if (!t) {
		struct arena CLEAN_ARENA a = {0};
		struct str_list parts = record_key_parts(&a, key);
		if (parts.n != 6)
			return;
		t = calloc(1, sizeof(*t));
		if (!t)
			abort();
		t->all = all;
		t->key = arena_dup(&t->arena, key);
		t->account = arena_dup(&t->arena, parts.v[2]);
		t->region = arena_dup(&t->arena, parts.v[3]);
		t->name = arena_dup(&t->arena, parts.v[5]);
		t->owner = principal_new(PRINCIPAL_ROOT, t->account);
		map_put(&all->todos, key, t);
	}
	t->dirty = true;
	begin(t);
}

static void changed(void *ctx, const struct store_event *e)
{
	if (str_set(e->value))
		look_at(ctx, e->key);
}

/* --- what is remembered of low alarms */

bool alarm_is_low(const struct alarm_wishes *all, struct str policy_arn, int64_t now_ms, int64_t *ret_wanted)
{
	const struct low *l = map_get(&all->lows, policy_arn);
	if (!l || now_ms - l->at_ms > LOW_MS)
		return false;
	*ret_wanted = l->wanted;
	return true;
}

void alarm_saw_low(struct alarm_wishes *all, struct str policy_arn, int64_t now_ms, int64_t wanted)
{
	struct low *l = map_get(&all->lows, policy_arn);
	if (!l) {
		l = calloc(1, sizeof(*l));
		if (!l)
			abort();
		map_put(&all->lows, policy_arn, l);
	}
	*l = (struct low){now_ms, wanted};
}

/* --- */

struct alarm_wishes *alarm_wishes_new(struct cloud *cloud, const char *service)
{
	struct arena CLEAN_ARENA a = {0};
	struct alarm_wishes *all = calloc(1, sizeof(*all));
	if (!all)
		abort();
	all->cloud = cloud;
	all->service = service;
	struct str under = KEY_UNDER(&a, str_from(service), S("alarm")), end_key = store_prefix_end(&a, under), key;
	all->watch = store_watch(cloud->store, under, end_key, store_revision(cloud->store), changed, all);
	struct store_txn *t = store_begin(cloud->store, &a);
	struct store_iter *iter = store_scan(t, under, end_key, false);
	struct store_value v;
	struct str_list keys = {0};
	while (store_next(iter, &key, &v))
		*LIST_ADD(&a, &keys) = arena_dup(&a, key);
	store_abort(t);
	for (uint32_t i = 0; i < keys.n; i++)
		look_at(all, keys.v[i]);
	return all;
}

void alarm_wishes_free(struct alarm_wishes *all)
{
	size_t at = 0;
	struct str key;
	void *value;
	if (!all)
		return;
	store_unwatch(all->watch);
	while (map_next(&all->lows, &at, &key, &value))
		free(value);
	map_done(&all->lows);
	at = 0;
	while (map_next(&all->todos, &at, &key, &value)) {
		struct todo *t = value;
		loop_remove_timer(all->cloud->loop, t->again);
		principal_unref(t->owner);
		arena_done(&t->scratch);
		arena_done(&t->arena);
		free(t);
	}
	map_done(&all->todos);
	free(all);
}

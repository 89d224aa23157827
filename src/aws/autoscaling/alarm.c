/* Alarms of target tracking. What CloudWatch is to be asked for lies as a record of its own, written together with the policy that
 * wants it, and goes when it has been done; so a crash between both is made up for. */
#include "keeper.h"
#include "policy.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"

#include <errno.h>
#include <stdlib.h>

enum { AGAIN_US = 10 * 1000000 };

static const struct record_type alarm_row = {&cloudwatch_api, "PutMetricAlarmInput"};

/* One alarm that CloudWatch is asked about. */
struct todo {
	struct alarms *all;
	struct arena arena, scratch;
	struct str key, account, region, name, value; /* value empty: it is to be deleted */
	const struct principal *owner;
	bool busy, dirty;
	struct loop_timer *again;
};

struct low {
	int64_t at_ms;
};

struct alarms {
	struct cloud *cloud;
	struct store_watch *watch;
	struct map todos, lows;
};

static struct str todo_key(const struct scope *s, struct str group, struct str name)
{
	return scaling_key(s, "alarm", group, name);
}

void alarms_want(const struct scope *s, struct str group, const struct cloudwatch_put_metric_alarm_input *alarm)
{
	store_put(s->txn, todo_key(s, group, alarm->alarm_name), record_write(s->arena, &alarm_row, alarm));
}

void alarms_unwant(const struct scope *s, struct str group, struct str name)
{
	store_put(s->txn, todo_key(s, group, name), S(""));
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
		log_warn("autoscaling: alarm %.*s: %.*s", STR_ARG(t->name), STR_ARG(sub->error.message));
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

static void look_at(struct alarms *all, struct str key)
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

static struct low *low_of(struct cloud *cloud, struct str arn, bool make)
{
	struct alarms *all = keepers_alarms(cloud);
	struct low *l = map_get(&all->lows, arn);
	if (l || !make)
		return l;
	l = calloc(1, sizeof(*l));
	if (!l)
		abort();
	map_put(&all->lows, arn, l);
	return l;
}

int64_t policies_low_at(struct cloud *cloud, struct str arn)
{
	const struct low *l = low_of(cloud, arn, false);
	return l ? l->at_ms : 0;
}

void policies_saw_low(struct cloud *cloud, struct str arn, int64_t now_ms)
{
	low_of(cloud, arn, true)->at_ms = now_ms;
}

/* --- */

struct alarms *alarms_new(struct cloud *cloud)
{
	struct arena CLEAN_ARENA a = {0};
	struct alarms *all = calloc(1, sizeof(*all));
	if (!all)
		abort();
	all->cloud = cloud;
	struct str under = KEY_UNDER(&a, S("autoscaling"), S("alarm")), end_key = store_prefix_end(&a, under), key;
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

void alarms_free(struct alarms *all)
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

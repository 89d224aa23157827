/* Invokes what is due. When that is stands in the schedule's own record, and an invocation writes the next time into it in the
 * transaction that writes the delivery: whatever dies, it happens once. What was missed, since the clock was moved over it or
 * nobody ran, happens late, and many that were missed happen as one. */
#include "rows.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/rand.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WRITE_AGAIN_US = 1000000, MINUTE_MS = 60000 };

struct schedule_keeper {
	struct cloud *cloud;
	struct map all; /* key -> struct kept */
	struct store_watch *watch;
};
struct kept {
	struct schedule_keeper *of; /* NULL: the service has ended */
	struct arena arena, work;
	struct str key, account, region, group, name;
	struct loop_timer *timer;
	bool busy, gone;
};

void schedule_next(struct state_scheduler_schedule_record *r, int64_t after_ms)
{
	struct when w;
	int64_t next = 0;
	if (str_is(r->state, "ENABLED") && when_parse(r->expression, zone_find(r->zone), &w)) {
		/* Not before the start, of which the moment itself counts. */
		int64_t from = r->start.set && r->start.ms - 1 > after_ms ? r->start.ms - 1 : after_ms;
		next = when_next(&w, r->base.ms, from);
	}
	if (next && r->end.set && next > r->end.ms)
		next = 0;
	r->next = r->due = (struct opt_time){0};
	if (!next)
		return;
	r->next = OPT_TIME(next);
	r->due = OPT_TIME(next + (r->window.set ? (int64_t)(rand_u64() % (uint64_t)(r->window.v * MINUTE_MS)) : 0));
}

static void kept_free(struct kept *k)
{
	if (k->of) {
		loop_remove_timer(k->of->cloud->loop, k->timer);
		map_remove(&k->of->all, k->key);
	}
	arena_done(&k->work);
	arena_done(&k->arena);
	free(k);
}

static void run(void *ctx);

static void set_timer(struct kept *k, int64_t due_ms)
{
	struct loop *loop = k->of->cloud->loop;
	int64_t wait_ms = due_ms - clock_wall_ms();
	loop_remove_timer(loop, k->timer);
	k->timer = loop_add_clock_timer(loop, wait_ms > 0 ? wait_ms * 1000 : 0, run, k);
}

static void ran(void *ctx, int result, uint64_t revision)
{
	struct kept *k = ctx;
	(void)revision;
	k->busy = false;
	if (!k->of || (k->gone && result >= 0)) {
		kept_free(k);
		return;
	}
	if (result < 0 && result != -EAGAIN)
		log_error("scheduler: an invocation could not be written, and is tried again: %s", strerror(-result));
	/* What was written set a timer already, by the watch. */
	if (result < 0) {
		loop_remove_timer(k->of->cloud->loop, k->timer);
		k->timer = loop_add_timer(k->of->cloud->loop, result == -EAGAIN ? 0 : WRITE_AGAIN_US, run, k);
	}
}

static void run(void *ctx)
{
	struct kept *k = ctx;
	int64_t now_ms = clock_wall_ms();
	k->timer = NULL;
	if (k->busy)
		return;
	arena_reset(&k->work);
	struct schedule s = {.account = k->account, .region = k->region, .group = k->group, .name = k->name, .key = k->key};
	struct store_txn *t = store_begin(k->of->cloud->store, &k->work);
	if (!record_get(t, &k->work, k->key, SCHEDULER_ROW("Schedule"), &s.r) || !s.r.due.set) {
		store_abort(t);
		return;
	}
	if (s.r.due.ms > now_ms) {
		store_abort(t);
		set_timer(k, s.r.due.ms);
		return;
	}
	k->busy = true;
	target_invoke(t, &k->work, &s, now_ms);
	schedule_next(&s.r, now_ms);
	if (!s.r.next.set && str_is(s.r.completion, "DELETE"))
		store_delete(t, k->key);
	else
		schedule_put(t, &k->work, &s);
	store_commit(t, ran, k);
}

static void changed(struct schedule_keeper *all, struct str key, struct str value)
{
	struct kept *k = map_get(&all->all, key);
	struct state_scheduler_schedule_record r;
	struct arena CLEAN_ARENA a = {0};
	if (!str_set(value)) {
		if (k && k->busy)
			k->gone = true;
		else if (k)
			kept_free(k);
		return;
	}
	if (!k) {
		k = calloc(1, sizeof(*k));
		if (!k)
			die("out of memory (scheduler)");
		k->of = all;
		k->key = arena_dup(&k->arena, key);
		struct str_list parts = record_key_parts(&k->arena, k->key);
		k->account = parts.v[2];
		k->region = parts.v[3];
		k->group = parts.v[4];
		k->name = parts.v[5];
		map_put(&all->all, k->key, k);
	}
	k->gone = false;
	if (record_read(&a, value, SCHEDULER_ROW("Schedule"), &r) && r.due.set)
		set_timer(k, r.due.ms);
}

static void on_change(void *ctx, const struct store_event *e)
{
	changed(ctx, e->key, e->value);
}

struct schedule_keeper *schedule_keeper_new(struct cloud *cloud)
{
	struct arena CLEAN_ARENA a = {0};
	struct schedule_keeper *all = calloc(1, sizeof(*all));
	if (!all)
		die("out of memory (scheduler)");
	all->cloud = cloud;
	all->watch = record_follow(cloud->store, KEY_UNDER(&a, S("scheduler"), S("schedule")), on_change, all);
	return all;
}

/* The store still has what is being written: that frees itself. */
void schedule_keeper_free(struct schedule_keeper *all)
{
	size_t at = 0;
	struct str key;
	void *value;
	if (!all)
		return;
	store_unwatch(all->watch);
	while (map_next(&all->all, &at, &key, &value)) {
		struct kept *k = value;
		loop_remove_timer(all->cloud->loop, k->timer);
		k->of = NULL;
		if (!k->busy)
			kept_free(k);
	}
	map_done(&all->all);
	free(all);
}

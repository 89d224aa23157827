/* Rules that are due by the cloud's clock. When a rule fires next is a record beside it, and the firing writes it anew in the
 * transaction that writes its deliveries: whatever dies, a firing happens once. One that was missed, since the clock was moved over
 * it or nobody ran, happens late; many that were missed happen as one. */
#include "rows.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "engine/scaling/cron.h"

#include <errno.h>
#include <stdlib.h>

enum { WRITE_AGAIN_US = 1000000 };

struct firings {
	struct events_state *events;
	struct map all; /* key -> struct firing */
	struct store_watch *watch;
};
struct firing {
	struct firings *of; /* NULL: the service has ended */
	struct arena arena, work;
	struct str key;
	struct bus_name bus;
	struct str name;
	struct loop_timer *timer;
	bool busy, gone;
};

static struct str key_of(struct arena *a, const struct bus_name *bus, struct str name)
{
	return KEY(a, S("events"), S("firing"), bus->account, bus->region, bus->name, name);
}

void firing_put(struct call *c, const struct rule *r)
{
	struct str key = key_of(c->arena, &r->bus, r->r.name);
	struct state_events_firing_record f;
	struct when w;
	if (!str_set(r->r.schedule) || !str_is(r->r.state, "ENABLED") || !when_parse(r->r.schedule, NULL, &w)) {
		store_delete(call_txn(c), key);
		return;
	}
	bool there = record_get(call_txn(c), c->arena, key, EVENTS_ROW("Firing"), &f);
	if (there && str_eq(f.schedule, r->r.schedule))
		return;
	f = (struct state_events_firing_record){.schedule = r->r.schedule, .start = OPT_TIME(c->now_ms)};
	int64_t next = when_next(&w, c->now_ms, c->now_ms);
	if (next)
		f.next = OPT_TIME(next);
	record_put(call_txn(c), c->arena, key, EVENTS_ROW("Firing"), &f);
}

static void firing_free(struct firing *f)
{
	if (f->of) {
		loop_remove_timer(f->of->events->cloud->loop, f->timer);
		map_remove(&f->of->all, f->key);
	}
	arena_done(&f->work);
	arena_done(&f->arena);
	free(f);
}

static void run(void *ctx);

static void set_timer(struct firing *f, int64_t next_ms)
{
	struct loop *loop = f->of->events->cloud->loop;
	int64_t wait_ms = next_ms - clock_wall_ms();
	loop_remove_timer(loop, f->timer);
	f->timer = loop_add_clock_timer(loop, wait_ms > 0 ? wait_ms * 1000 : 0, run, f);
}

static void ran(void *ctx, int result, uint64_t revision)
{
	struct firing *f = ctx;
	(void)revision;
	f->busy = false;
	if (!f->of || (f->gone && result >= 0)) {
		firing_free(f);
		return;
	}
	if (result < 0 && result != -EAGAIN)
		log_error("events: a schedule's event could not be written, and is tried again: %s", strerror(-result));
	/* What was written set a timer already, by the watch. */
	if (result < 0)
		f->timer = loop_add_timer(f->of->events->cloud->loop, result == -EAGAIN ? 0 : WRITE_AGAIN_US, run, f);
}

/* False: the rule has no more firings. */
static bool fire(struct firing *f, struct store_txn *t, struct state_events_firing_record *r, int64_t now_ms)
{
	struct arena *a = &f->work;
	struct when w;
	struct rule rule;
	if (!when_parse(r->schedule, NULL, &w) || !rule_find(t, a, &f->bus, f->name, &rule))
		return false;
	struct str arn = rule_arn(a, &f->bus, f->name);
	const struct str_list resources = {.v = &arn, .n = 1};
	const struct happening h = {.cloud = f->of->events->cloud,
	                            .txn = t,
	                            .arena = a,
	                            .bus = f->bus,
	                            .now_ms = now_ms,
	                            .text = events_text(a, &(struct event_text){.id = id_uuid(a),
	                                                                        .type = S("Scheduled Event"),
	                                                                        .source = S("aws.events"),
	                                                                        .account = f->bus.account,
	                                                                        .region = f->bus.region,
	                                                                        .detail = S("{}"),
	                                                                        .resources = &resources,
	                                                                        .at_ms = r->next.ms})};
	events_give(&h, &rule.r);
	int64_t next = when_next(&w, r->start.ms, now_ms);
	r->next = next ? OPT_TIME(next) : (struct opt_time){0};
	return true;
}

static void run(void *ctx)
{
	struct firing *f = ctx;
	struct state_events_firing_record r;
	int64_t now_ms = clock_wall_ms();
	f->timer = NULL;
	arena_reset(&f->work);
	struct store_txn *t = store_begin(f->of->events->cloud->store, &f->work);
	if (!record_get(t, &f->work, f->key, EVENTS_ROW("Firing"), &r) || !r.next.set) {
		store_abort(t);
		return;
	}
	if (r.next.ms > now_ms) {
		store_abort(t);
		set_timer(f, r.next.ms);
		return;
	}
	f->busy = true;
	if (fire(f, t, &r, now_ms))
		record_put(t, &f->work, f->key, EVENTS_ROW("Firing"), &r);
	else
		store_delete(t, f->key);
	store_commit(t, ran, f);
}

static void changed(struct firings *all, struct str key, struct str value)
{
	struct firing *f = map_get(&all->all, key);
	struct state_events_firing_record r;
	struct arena CLEAN_ARENA a = {0};
	if (!str_set(value)) {
		if (f && f->busy)
			f->gone = true;
		else if (f)
			firing_free(f);
		return;
	}
	if (!f) {
		f = calloc(1, sizeof(*f));
		if (!f)
			die("out of memory (events)");
		f->of = all;
		f->key = arena_dup(&f->arena, key);
		struct str_list parts = record_key_parts(&f->arena, f->key);
		f->bus = (struct bus_name){parts.v[2], parts.v[3], parts.v[4]};
		f->name = parts.v[5];
		map_put(&all->all, f->key, f);
	}
	f->gone = false;
	if (record_read(&a, value, EVENTS_ROW("Firing"), &r) && r.next.set)
		set_timer(f, r.next.ms);
}

static void on_change(void *ctx, const struct store_event *e)
{
	changed(ctx, e->key, e->value);
}

struct firings *firings_new(struct events_state *s)
{
	struct arena CLEAN_ARENA a = {0};
	struct firings *all = calloc(1, sizeof(*all));
	struct store *store = s->cloud->store;
	if (!all)
		die("out of memory (events)");
	all->events = s;
	all->watch = record_follow(store, KEY_UNDER(&a, S("events"), S("firing")), on_change, all);
	return all;
}

/* The store still has what is being written: that frees itself. */
void firings_free(struct firings *all)
{
	size_t at = 0;
	struct str key;
	void *value;
	if (!all)
		return;
	store_unwatch(all->watch);
	while (map_next(&all->all, &at, &key, &value)) {
		struct firing *f = value;
		loop_remove_timer(all->events->cloud->loop, f->timer);
		f->of = NULL;
		if (!f->busy)
			firing_free(f);
	}
	map_done(&all->all);
	free(all);
}

/* What is stored, for the bill: an hour after the last look, and after a restart for all the time that has passed since. Events
 * that came in between count from that look on; so do a group's that went, not at all. What is brought in is counted by put.c. */
#include "rows.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/meter.h"

#include <string.h>

enum { TICK_US = 10 * 1000 * 1000, EVERY_MS = 3600 * 1000, KIB = 1024 };
#define WHAT S("logs")

static void tick(void *ctx);

static void again(struct logs_state *s)
{
	s->usage = loop_add_clock_timer(s->cloud->loop, TICK_US, tick, s);
}

static void measured(void *ctx, int result, uint64_t revision)
{
	(void)revision;
	if (result < 0)
		log_warn("the size of logs could not be written for the bill: %s", strerror(-result));
	again(ctx);
}

static void add_groups(struct logs_state *s, struct store_txn *t, struct arena *a, int64_t from, int64_t to)
{
	struct str under = KEY_UNDER(a, S("logs"), S("group")), key;
	struct store_iter *i = store_scan(t, under, store_prefix_end(a, under), false);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct state_logs_group_record record;
		struct log_stats stats;
		struct str_list parts = record_key_parts(a, key);
		if (parts.n != 5 || !record_read(a, v.value, LOGS_ROW("Group"), &record))
			continue;
		int64_t since = record.created.v > from ? record.created.v : from;
		logs_stats(s->events, (uint64_t)record.id.v, 0, &stats);
		if (since < to)
			meter_spread(t, a, parts.v[2], parts.v[3], S("CW/TimedStorage-ByteHrs"),
			             (int64_t)((__int128)stats.bytes * (to - since) / KIB), since, to);
	}
}

static void tick(void *ctx)
{
	struct logs_state *s = ctx;
	struct arena *a = &s->usage_arena;
	s->usage = NULL;
	arena_reset(a);
	struct store_txn *t = store_begin(s->cloud->store, a);
	int64_t now = clock_wall_ms(), last = meter_measured(t, a, WHAT);
	if (last && now < last + EVERY_MS) {
		store_abort(t);
		again(s);
		return;
	}
	if (last)
		add_groups(s, t, a, last, now);
	meter_measure(t, a, WHAT, now);
	store_commit(t, measured, s);
}

void logs_usage_start(struct logs_state *s)
{
	s->usage = loop_add_timer(s->cloud->loop, 0, tick, s);
}

/* What goes away by itself, in the background: events, streams and leftovers of deleted groups and streams, and events past their
 * group's retention. A deletion leaves a purge record in the same commit, so what a crash interrupts is done after the restart. */
#include "rows.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { EXPIRE_EVERY_US = 60 * 1000 * 1000, RETRY_US = 1000 * 1000, RECORDS_BATCH = 1000 };

struct job {
	struct logs_state *state;
	struct arena arena;
	struct state_logs_purge_record record;
	struct str key;
};

void logs_put_purge(struct call *c, uint64_t group, uint64_t stream)
{
	const struct state_logs_purge_record record = {.group = OPT_INT((int64_t)group), .stream = OPT_INT((int64_t)stream)};
	record_put(call_txn(c), c->arena, logs_purge_key(c->arena, group, stream), LOGS_ROW("Purge"), &record);
}

/* --- deleted groups and streams */

static void purge_records(struct job *j);

static void purge_again(void *ctx)
{
	struct logs_state *s = ctx;
	s->purging = false;
	s->purge_retry = NULL;
	logs_purge_pending(s);
}

static void purge_end(struct job *j, int result)
{
	struct logs_state *s = j->state;
	arena_done(&j->arena);
	free(j);
	if (result < 0) {
		/* The disk is full or ill: there is no hurry. */
		log_warn("removing deleted logs: %s", strerror(-result));
		s->purge_retry = loop_add_timer(s->cloud->loop, RETRY_US, purge_again, s);
		return;
	}
	s->purging = false;
	logs_purge_pending(s);
}

static void purge_forgotten(void *ctx, int result, uint64_t revision)
{
	(void)revision;
	purge_end(ctx, result);
}

static void purge_events_done(void *ctx, int result)
{
	struct job *j = ctx;
	if (result < 0) {
		purge_end(j, result);
		return;
	}
	struct store_txn *t = store_begin(j->state->cloud->store, &j->arena);
	store_delete(t, j->key);
	store_commit(t, purge_forgotten, j);
}

static void purge_records_done(void *ctx, int result, uint64_t revision)
{
	struct job *j = ctx;
	(void)revision;
	if (result < 0)
		purge_end(j, result);
	else
		purge_records(j);
}

static size_t purge_prefix(struct job *j, struct store_txn *t, struct str prefix)
{
	struct store_txn *reads = store_begin(j->state->cloud->store, &j->arena);
	struct store_iter *i = store_scan(reads, prefix, store_prefix_end(&j->arena, prefix), false);
	struct str key;
	struct store_value v;
	size_t n = 0;
	for (; n < RECORDS_BATCH && store_next(i, &key, &v); n++)
		store_delete(t, key);
	store_abort(reads);
	return n;
}

/* The records of a deleted group's streams, a batch at a time, then the events. */
static void purge_records(struct job *j)
{
	uint64_t group = (uint64_t)j->record.group.v, stream = (uint64_t)j->record.stream.v;
	if (stream == 0) {
		struct store_txn *t = store_begin(j->state->cloud->store, &j->arena);
		size_t n = purge_prefix(j, t, logs_streams_under(&j->arena, group));
		n += purge_prefix(j, t, logs_stream_names_under(&j->arena, group));
		if (n) {
			store_commit(t, purge_records_done, j);
			return;
		}
		store_abort(t);
	}
	logs_purge(j->state->events, group, stream, INT64_MAX, purge_events_done, j);
}

void logs_purge_pending(struct logs_state *s)
{
	if (s->purging)
		return;
	struct job *j = calloc(1, sizeof(*j));
	if (!j)
		die("out of memory (logs)");
	j->state = s;
	arena_init(&j->arena, 0);
	struct str under = KEY_UNDER(&j->arena, S("logs"), S("purge")), key;
	struct store_txn *t = store_begin(s->cloud->store, &j->arena);
	struct store_iter *i = store_scan(t, under, store_prefix_end(&j->arena, under), false);
	struct store_value v;
	bool found = store_next(i, &key, &v) && record_read(&j->arena, v.value, LOGS_ROW("Purge"), &j->record);
	if (found)
		j->key = arena_dup(&j->arena, key);
	store_abort(t);
	if (!found) {
		arena_done(&j->arena);
		free(j);
		return;
	}
	s->purging = true;
	purge_records(j);
}

/* --- retention */

static void expire_next(struct logs_state *s);

static void expire_round(void *ctx)
{
	struct logs_state *s = ctx;
	s->expiry = NULL;
	buf_clear(&s->expire_after);
	expire_next(s);
}

static void expire_done(void *ctx, int result)
{
	struct logs_state *s = ctx;
	if (result < 0)
		log_warn("removing expired logs: %s", strerror(-result));
	expire_next(s);
}

static bool has_older(struct logs_state *s, struct arena *a, uint64_t group, int64_t cutoff_ms)
{
	struct log_event e;
	struct logs_walk *w = logs_walk(s->events, a, group, 0, LOG_POSITION_FIRST, (struct log_position){cutoff_ms, 0}, false);
	bool found = logs_walk_next(w, &e);
	logs_walk_end(w);
	return found;
}

/* Goes on to the next group, of any account and region, that has expired events. */
static void expire_next(struct logs_state *s)
{
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	int64_t now_ms = clock_wall_ms();
	struct str under = KEY_UNDER(&a, S("logs"), S("group")), key;
	struct str from = s->expire_after.n ? ARENA_CAT(&a, buf_str(&s->expire_after), str_of("", 1)) : under;
	struct store_txn *t = store_begin(s->cloud->store, &a);
	struct store_iter *i = store_scan(t, from, store_prefix_end(&a, under), false);
	struct store_value v;
	uint64_t group = 0;
	int64_t cutoff = 0;
	while (!group && store_next(i, &key, &v)) {
		struct state_logs_group_record record;
		if (!record_read(&a, v.value, LOGS_ROW("Group"), &record) || !record.retention_in_days.v)
			continue;
		cutoff = logs_retention_cutoff_ms(record.retention_in_days.v, now_ms);
		if (!has_older(s, &a, (uint64_t)record.id.v, cutoff))
			continue;
		group = (uint64_t)record.id.v;
		buf_clear(&s->expire_after);
		buf_add_str(&s->expire_after, key);
	}
	store_abort(t);
	if (group)
		logs_purge(s->events, group, 0, cutoff, expire_done, s);
	else
		s->expiry = loop_add_clock_timer(s->cloud->loop, EXPIRE_EVERY_US, expire_round, s);
}

void logs_expire_start(struct logs_state *s)
{
	s->expiry = loop_add_timer(s->cloud->loop, 0, expire_round, s);
}

/* Removing events. Each step reads one batch of events from a snapshot and deletes them blindly in a transaction of its own: nobody
 * else ever deletes or changes an event, so there is nothing to conflict with. Running it twice does no harm. */
#include "keep.h"

#include "base/log.h"

#include <stdlib.h>

enum { PURGE_BATCH = 1000 };

/* How much a step takes off a total, which it holds until it is done. */
struct purge_total {
	struct keep_live *live;
	int64_t bytes;
};

struct purge {
	struct list link;
	struct logs *logs;
	uint64_t group, stream;
	int64_t before_ms;
	bool last; /* this step is the last one */
	struct arena arena;
	struct purge_total *totals; /* that this step writes */
	size_t total_count;
	logs_done *done;
	void *ctx;
};

static void purge_step(struct purge *p);

static void purge_free(struct purge *p)
{
	list_remove(&p->link);
	arena_done(&p->arena);
	free(p);
}

static void purge_step_done(void *ctx, int result, uint64_t revision)
{
	struct purge *p = ctx;
	(void)revision;
	for (size_t i = 0; i < p->total_count; i++) {
		if (result < 0)
			p->totals[i].live->total.bytes += p->totals[i].bytes;
		keep_unuse(p->logs, p->totals[i].live);
	}
	arena_reset(&p->arena);
	if (result == 0 && !p->last) {
		purge_step(p);
		return;
	}
	p->done(p->ctx, result);
	purge_free(p);
}

/* Counts an event of n bytes out of a total. */
static void purge_count(struct purge *p, struct map *seen, uint64_t stream, int64_t n)
{
	struct keep_key key = keep_key('t', 2, p->group, stream, 0, 0);
	struct purge_total *total = map_get(seen, keep_str(&key));
	if (!total) {
		total = &p->totals[p->total_count++];
		total->live = keep_use(p->logs, p->group, stream);
		map_put(seen, keep_str(&key), total);
	}
	total->bytes += n;
	total->live->total.bytes -= n;
}

static void purge_step(struct purge *p)
{
	struct log_event events[64];
	struct map seen = {0};
	size_t count = 0, n = 1;
	struct store_txn *t = store_begin(p->logs->store, &p->arena);
	/* One for each event's stream at most, and the group's. */
	p->totals = arena_array(&p->arena, PURGE_BATCH + 1, sizeof(*p->totals));
	p->total_count = 0;
	struct logs_walk *w = logs_walk(p->logs, &p->arena, p->group, p->stream, LOG_POSITION_FIRST,
	                                (struct log_position){p->before_ms, 0}, false);
	while (n && count < PURGE_BATCH) {
		size_t room = PURGE_BATCH - count < 64 ? PURGE_BATCH - count : 64;
		for (n = 0; n < room && logs_walk_next(w, &events[n]); n++)
			;
		for (size_t i = 0; i < n; i++) {
			const struct log_event *e = &events[i];
			struct keep_key key = keep_key('e', 3, p->group, (uint64_t)e->at.time_ms, e->at.number, 0);
			store_delete(t, keep_str(&key));
			key = keep_key('s', 4, p->group, e->stream, (uint64_t)e->at.time_ms, e->at.number);
			store_delete(t, keep_str(&key));
			int64_t bytes = (int64_t)e->message.n + LOG_EVENT_OVERHEAD_BYTES;
			purge_count(p, &seen, 0, bytes);
			purge_count(p, &seen, e->stream, bytes);
		}
		count += n;
	}
	logs_walk_end(w);
	map_done(&seen);
	p->last = count < PURGE_BATCH;
	for (size_t i = 0; i < p->total_count; i++)
		keep_put_total(t, p->totals[i].live);
	if (p->last && p->before_ms == INT64_MAX) {
		struct keep_key from = keep_key('t', p->stream ? 2 : 1, p->group, p->stream, 0, 0);
		struct store_txn *reads = store_begin(p->logs->store, &p->arena);
		struct store_iter *i = store_scan(reads, keep_str(&from), store_prefix_end(&p->arena, keep_str(&from)), false);
		struct str key;
		struct store_value v;
		while (store_next(i, &key, &v))
			store_delete(t, key);
		store_abort(reads);
	}
	store_commit(t, purge_step_done, p);
}

void logs_purge(struct logs *l, uint64_t group, uint64_t stream, int64_t before_ms, logs_done *done, void *ctx)
{
	struct purge *p = calloc(1, sizeof(*p));
	if (!p)
		die("out of memory (logs)");
	*p = (struct purge){.logs = l, .group = group, .stream = stream, .before_ms = before_ms, .done = done, .ctx = ctx};
	arena_init(&p->arena, 0);
	list_init(&p->link);
	list_push(&l->purges, &p->link);
	purge_step(p);
}

void keep_close_purges(struct logs *l)
{
	list_each (&l->purges, struct purge, link, p)
		purge_free(p);
}

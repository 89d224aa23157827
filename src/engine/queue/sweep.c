/* What happens in the background: how messages were received is written, what is expired or purged goes, queues that were deleted
 * go. Each step is one transaction of a bounded number of keys. */
#include "keep.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>

enum { FLUSH_US = 100 * 1000, FLUSH_MAX = 5000 };

/* --- how messages were received */

static void flush(void *ctx);

static void flush_later(struct queues *s)
{
	if (!s->flush && !s->flushing && !list_empty(&s->dirty))
		s->flush = loop_add_timer(s->loop, s->behind ? 0 : FLUSH_US, flush, s);
}

static void flushed(void *ctx, int result, uint64_t revision)
{
	struct queues *s = ctx;
	(void)revision;
	if (result < 0)
		log_warn("queues: receives could not be written (%d)", result);
	s->flushing = false;
	arena_reset(&s->flush_arena);
	flush_later(s);
}

static void flush(void *ctx)
{
	struct queues *s = ctx;
	struct item *i;
	s->flush = NULL;
	struct store_txn *t = store_begin(s->store, &s->flush_arena);
	for (int n = 0; n < FLUSH_MAX && (i = list_first(&s->dirty, struct item, dirty)); n++) {
		struct row_key key = row_key('v', 3, i->queue->id, (uint64_t)i->time_ms, i->seq);
		store_put(t, row_str(&key), str_of(&i->state, sizeof(i->state)));
		i->saved = true;
		list_remove(&i->dirty);
	}
	s->behind = !list_empty(&s->dirty);
	s->flushing = true;
	store_commit(t, flushed, s);
}

void item_mark(struct item *i)
{
	if (!list_linked(&i->dirty))
		list_push(&i->queue->all->dirty, &i->dirty);
	flush_later(i->queue->all);
}

/* --- removing keys */

struct drop {
	struct list link;
	struct queues *all;
	struct queue *queue; /* NULL: of a queue that is gone, all of it */
	uint64_t id;
	int64_t now_ms;
	bool more;
	int64_t expired; /* messages */
	struct arena arena;
};
static void drop_step(struct drop *d);

static void drop_free(struct drop *d)
{
	list_remove(&d->link);
	arena_done(&d->arena);
	free(d);
}

static void drop_over(struct drop *d)
{
	struct queue *q = d->queue;
	if (q) {
		q->sweeping = false;
		if (--q->uses == 0 && q->dropped)
			queue_free(q);
	}
	drop_free(d);
}

static void dropped(void *ctx, int result, uint64_t revision)
{
	struct drop *d = ctx;
	(void)revision;
	arena_reset(&d->arena);
	if (result < 0) {
		log_warn("queues: what is gone could not be removed (%d)", result);
		if (d->queue)
			d->queue->total.count += d->expired;
	} else if (d->more && !(d->queue && d->queue->dropped)) {
		drop_step(d);
		return;
	}
	drop_over(d);
}

/* Every key of the queue, kind by kind; its total last, by which it is found again after a crash. */
static size_t drop_all(struct drop *d, struct store_txn *t, struct store_txn *reads)
{
	size_t n = 0;
	for (const char *kind = "mvdxt"; *kind; kind++) {
		struct row_key under = row_key(*kind, 1, d->id, 0, 0);
		struct store_iter *walk = store_scan(reads, row_str(&under), store_prefix_end(&d->arena, row_str(&under)), false);
		struct store_value v;
		struct str key;
		while (n < BATCH && store_next(walk, &key, &v)) {
			store_delete(t, key);
			n++;
		}
		if (n == BATCH)
			break;
	}
	return n;
}

/* Messages that are purged, or so old that nobody can want them any more. */
static size_t drop_old(struct drop *d, struct store_txn *t, struct store_txn *reads)
{
	struct queue *q = d->queue;
	struct row_key under = row_key('m', 1, q->id, 0, 0);
	struct store_iter *walk = store_scan(reads, row_str(&under), store_prefix_end(&d->arena, row_str(&under)), false);
	struct store_value v;
	struct str key;
	size_t n = 0;
	while (n < BATCH && store_next(walk, &key, &v)) {
		int64_t time_ms = (int64_t)row_number(key.p + 9);
		uint64_t seq = row_number(key.p + 17);
		bool purged = seq < q->total.purged;
		if (!purged && time_ms + q->settings.retention_ms > d->now_ms)
			break;
		struct item *i = item_get(q, seq);
		if (i && i->where == ITEM_LEAVES)
			continue;
		if (i)
			item_free(i);
		struct row_key at = row_key('v', 3, q->id, (uint64_t)time_ms, seq);
		store_delete(t, key);
		store_delete(t, row_str(&at));
		d->expired += !purged;
		n++;
	}
	q->total.count -= d->expired;
	return n;
}

static size_t drop_dedup(struct drop *d, struct store_txn *t, struct store_txn *reads)
{
	struct queue *q = d->queue;
	struct row_key from = row_key('x', 1, q->id, 0, 0), to = row_key('x', 2, q->id, (uint64_t)(d->now_ms - QUEUE_DEDUP_MS), 0);
	struct store_iter *walk = store_scan(reads, row_str(&from), row_str(&to), false);
	struct store_value v, known;
	struct str key;
	size_t n = 0;
	while (n < BATCH && store_next(walk, &key, &v)) {
		struct keep_dedup dedup;
		store_delete(t, key);
		n++;
		if (v.value.n != DIGEST_BYTES || map_get(&q->pending, v.value))
			continue;
		struct row_key by = row_digest_key(q->id, (const unsigned char *)v.value.p);
		if (!store_get(reads, row_str(&by), &known) || known.value.n != sizeof(dedup))
			continue;
		memcpy(&dedup, known.value.p, sizeof(dedup));
		if (dedup.seq == row_number(key.p + 17))
			store_delete(t, row_str(&by));
	}
	return n;
}

static void drop_step(struct drop *d)
{
	struct store_txn *t = store_begin(d->all->store, &d->arena), *reads = store_begin(d->all->store, &d->arena);
	d->expired = 0;
	if (d->queue) {
		size_t old = drop_old(d, t, reads), dedup = drop_dedup(d, t, reads);
		d->more = old == BATCH || dedup == BATCH;
		if (d->expired) {
			struct row_key key = row_key('t', 1, d->id, 0, 0);
			store_put(t, row_str(&key), str_of(&d->queue->total, sizeof(d->queue->total)));
		}
	} else
		d->more = drop_all(d, t, reads) == BATCH;
	store_abort(reads);
	store_commit(t, dropped, d);
}

static void drop_start(struct queues *s, struct queue *q, uint64_t id, int64_t now_ms)
{
	struct drop *d = calloc(1, sizeof(*d));
	if (!d)
		die("out of memory (queues)");
	*d = (struct drop){.all = s, .queue = q, .id = id, .now_ms = now_ms};
	arena_init(&d->arena, 0);
	list_init(&d->link);
	list_push(&s->drops, &d->link);
	drop_step(d);
}

void drops_forget(struct queues *s)
{
	list_each (&s->drops, struct drop, link, d)
		drop_over(d);
}

void queue_sweep(struct queue *q, int64_t now_ms)
{
	if (q->sweeping || q->dropped)
		return;
	q->sweeping = true;
	q->uses++;
	drop_start(q->all, q, q->id, now_ms);
}

void queue_drop(struct queues *s, uint64_t id)
{
	struct queue *q = map_remove(&s->open, str_of(&id, sizeof(id)));
	if (q) {
		q->dropped = true;
		q->uses++;
		queue_wake_all(q);
		if (--q->uses == 0)
			queue_free(q);
	}
	drop_start(s, NULL, id, 0);
}

void queues_forget_unknown(struct queues *s, queues_known_fn *fn, void *ctx)
{
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	struct store_txn *t = store_begin(s->store, &a);
	struct store_iter *walk = store_scan(t, S("t"), S("u"), false);
	struct store_value v;
	struct str key;
	while (store_next(walk, &key, &v)) {
		uint64_t id = row_number(key.p + 1);
		if (!fn(ctx, id))
			drop_start(s, NULL, id, 0);
	}
	store_abort(t);
}

/* --- purging */

void queue_purge(struct queue *q, queue_done *done, void *ctx)
{
	struct change *c = change_new(q->all, 0, 0);
	struct item **all = calloc(q->items.count + 1, sizeof(struct item *));
	size_t at = 0, n = 0;
	struct str key;
	void *value;
	if (!all)
		die("out of memory (queues)");
	while (map_next(&q->items, &at, &key, &value))
		if (((struct item *)value)->where != ITEM_LEAVES)
			all[n++] = value;
	while (n)
		item_free(all[--n]);
	free(all);
	q->unloaded = 0;
	q->total.purged = q->total.next_seq;
	q->total.count = 0;
	memset(q->delayed_at, 0, sizeof(q->delayed_at));
	q->delayed = 0;
	change_touch(c, q);
	change_commit(c, done, ctx);
	queue_sweep(q, clock_wall_ms());
}

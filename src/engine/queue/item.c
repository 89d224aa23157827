/* What memory knows of messages: heaps of those that are in flight and those that came back, and the groups of FIFO queues. */
#include "keep.h"

#include "base/log.h"

#include <stdlib.h>

/* --- heaps */

static bool before(const struct heap *h, const struct item *a, const struct item *b)
{
	int64_t x = h->by_time ? a->state.visible_ms : a->time_ms, y = h->by_time ? b->state.visible_ms : b->time_ms;
	return x < y || (x == y && a->seq < b->seq);
}

static void place(struct heap *h, size_t at, struct item *i)
{
	h->v[at] = i;
	i->heap_at = at;
}

static void rise(struct heap *h, struct item *i)
{
	size_t at = i->heap_at;
	for (; at && before(h, i, h->v[(at - 1) / 2]); at = (at - 1) / 2)
		place(h, at, h->v[(at - 1) / 2]);
	place(h, at, i);
}

static void sink(struct heap *h, struct item *i)
{
	size_t at = i->heap_at;
	for (;;) {
		size_t child = 2 * at + 1;
		if (child + 1 < h->n && before(h, h->v[child + 1], h->v[child]))
			child++;
		if (child >= h->n || !before(h, h->v[child], i))
			break;
		place(h, at, h->v[child]);
		at = child;
	}
	place(h, at, i);
}

void heap_again(struct heap *h, struct item *i)
{
	rise(h, i);
	sink(h, i);
}

void heap_push(struct heap *h, struct item *i)
{
	if (h->n == h->cap) {
		h->cap = h->cap ? 2 * h->cap : 16;
		h->v = realloc(h->v, h->cap * sizeof(struct item *));
		if (!h->v)
			die("out of memory (queues)");
	}
	place(h, h->n++, i);
	rise(h, i);
}

void heap_remove(struct heap *h, struct item *i)
{
	struct item *last = h->v[--h->n];
	if (last != i) {
		place(h, i->heap_at, last);
		heap_again(h, last);
	}
	/* What a burst has needed is given back. */
	if (h->cap > 1024 && h->n < h->cap / 4) {
		struct item **smaller = realloc(h->v, h->cap / 2 * sizeof(struct item *));
		if (smaller) {
			h->v = smaller;
			h->cap /= 2;
		}
	}
}

/* --- groups */

/* One more or less that waits or is busy. A group that stays ready keeps its place. */
static void group_count(struct item *i, int waits, int busy)
{
	struct queue *q = i->queue;
	struct group *g = i->group;
	if (!g)
		return;
	bool was = list_linked(&g->ready);
	if (was)
		q->available -= g->waits;
	g->waits += (size_t)waits;
	g->busy += (size_t)busy;
	bool ready = g->waits && !g->busy;
	if (ready)
		q->available += g->waits;
	if (ready && !was)
		list_push(&q->ready_groups, &g->ready);
	else if (!ready && was)
		list_remove(&g->ready);
}

void item_join(struct item *i, struct str name)
{
	struct queue *q = i->queue;
	struct group *g = map_get(&q->groups, name);
	if (!g) {
		char *p = malloc(name.n + 1);
		g = calloc(1, sizeof(*g));
		if (!g || !p)
			die("out of memory (queues)");
		memcpy(p, name.p ? name.p : "", name.n);
		g->name = str_of(p, name.n);
		list_init(&g->items);
		list_init(&g->ready);
		map_put(&q->groups, name, g);
	}
	i->group = g;
	list_push(&g->items, &i->in_group);
	if (i->where == ITEM_WAITS)
		group_count(i, 1, 0);
	else if (i->where == ITEM_FLIES || i->where == ITEM_LEAVES)
		group_count(i, 0, 1);
}

static void leave_group(struct item *i)
{
	struct group *g = i->group;
	list_remove(&i->in_group);
	i->group = NULL;
	if (!list_empty(&g->items))
		return;
	list_remove(&g->ready);
	map_remove(&i->queue->groups, g->name);
	free((char *)(uintptr_t)g->name.p);
	free(g);
}

/* --- items */

static struct str seq_key(const uint64_t *seq)
{
	return str_of(seq, sizeof(*seq));
}

struct item *item_get(const struct queue *q, uint64_t seq)
{
	return map_get(&q->items, seq_key(&seq));
}

struct item *item_new(struct queue *q, int64_t time_ms, uint64_t seq)
{
	struct item *i = calloc(1, sizeof(*i));
	if (!i)
		die("out of memory (queues)");
	*i = (struct item){.time_ms = time_ms, .seq = seq, .queue = q, .where = ITEM_UNLOADED};
	list_init(&i->in_group);
	list_init(&i->dirty);
	map_put(&q->items, seq_key(&seq), i);
	return i;
}

/* Out of wherever it is. */
static void item_out(struct item *i)
{
	struct queue *q = i->queue;
	switch (i->where) {
	case ITEM_WAITS:
		group_count(i, -1, 0);
		break;
	case ITEM_READY:
		heap_remove(&q->ready, i);
		break;
	case ITEM_FLIES:
		heap_remove(&q->flying, i);
		group_count(i, 0, -1);
		break;
	case ITEM_LEAVES:
		group_count(i, 0, -1);
		break;
	case ITEM_UNLOADED:
		break;
	}
	i->where = ITEM_UNLOADED;
}

void item_fly(struct item *i, int64_t visible_ms)
{
	item_out(i);
	i->state.visible_ms = visible_ms;
	i->where = ITEM_FLIES;
	heap_push(&i->queue->flying, i);
	group_count(i, 0, 1);
}

void item_land(struct item *i)
{
	item_out(i);
	if (i->queue->settings.fifo) {
		i->where = ITEM_WAITS;
		group_count(i, 1, 0);
	} else {
		i->where = ITEM_READY;
		heap_push(&i->queue->ready, i);
	}
}

void item_leave(struct item *i)
{
	item_out(i);
	i->where = ITEM_LEAVES;
	group_count(i, 0, 1);
	list_remove(&i->dirty);
}

void item_end(struct item *i)
{
	item_out(i);
	if (i->group)
		leave_group(i);
	list_remove(&i->dirty);
	free(i);
}

void item_free(struct item *i)
{
	map_remove(&i->queue->items, seq_key(&i->seq));
	item_end(i);
}

/* --- time */

void queue_delay(struct queue *q, int64_t until_ms, int64_t now_ms)
{
	int64_t now_s = now_ms / 1000, s = (until_ms + 999) / 1000;
	if (q->delayed_s < now_s && !q->delayed)
		q->delayed_s = now_s;
	if (until_ms <= now_ms || s <= q->delayed_s)
		return;
	if (s >= q->delayed_s + DELAY_SLOTS)
		s = q->delayed_s + DELAY_SLOTS - 1;
	q->delayed_at[s % DELAY_SLOTS]++;
	q->delayed++;
}

void queue_settle(struct queue *q, int64_t now_ms)
{
	struct item *i;
	while ((i = heap_top(&q->flying)) && i->state.visible_ms <= now_ms)
		item_land(i);
	for (; q->delayed && q->delayed_s < now_ms / 1000; q->delayed_s++) {
		uint32_t *n = &q->delayed_at[(q->delayed_s + 1) % DELAY_SLOTS];
		q->delayed -= *n;
		*n = 0;
	}
}

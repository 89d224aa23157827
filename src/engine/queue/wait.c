/* Whoever waits for messages. Nothing polls: a waiter is called when something has come, has come back, or its delay is over. */
#include "keep.h"

#include "base/clock.h"

enum { DUE_MAX_MS = 3600 * 1000 };

/* When something may be seen that cannot be now; INT64_MAX: that is not known. */
static int64_t next_due_ms(struct queue *q)
{
	const struct item *first = heap_top(&q->flying);
	int64_t due = first ? first->state.visible_ms : INT64_MAX;
	if (!q->delayed)
		return due;
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	struct store_txn *t = store_begin(q->all->store, &a);
	struct store_iter *walk = keep_scan(q, t);
	struct store_value v;
	struct str key;
	if (store_next(walk, &key, &v)) {
		int64_t at = (int64_t)row_number(key.p + 9) + (q->settings.fifo ? q->settings.delay_ms : 0);
		due = at < due ? at : due;
	}
	store_abort(t);
	return due;
}

static void came_due(void *ctx)
{
	struct queue *q = ctx;
	q->due = NULL;
	queue_stir(q);
}

static void serve(struct queue *q)
{
	struct queue_waiter *w;
	q->uses++;
	while (!q->dropped && (w = list_first(&q->waiters, struct queue_waiter, link)) && queue_has_some(q, clock_wall_ms())) {
		list_remove(&w->link);
		w->fn(w);
	}
	if (--q->uses == 0 && q->dropped) {
		queue_free(q);
		return;
	}
	loop_remove_timer(q->all->loop, q->due);
	q->due = NULL;
	if (list_empty(&q->waiters) || q->dropped)
		return;
	int64_t due = next_due_ms(q), wait = due == INT64_MAX ? DUE_MAX_MS : due - clock_wall_ms();
	if (due != INT64_MAX)
		q->due = loop_add_clock_timer(q->all->loop, (wait < 1 ? 1 : wait) * 1000, came_due, q);
}

static void stir(void *ctx)
{
	struct queues *s = ctx;
	struct list now;
	s->stir = NULL;
	list_init(&now);
	struct queue *q;
	while ((q = list_first(&s->stirred, struct queue, stir))) {
		list_remove(&q->stir);
		list_push(&now, &q->stir);
	}
	while ((q = list_first(&now, struct queue, stir))) {
		list_remove(&q->stir);
		serve(q);
	}
}

void queue_stir(struct queue *q)
{
	struct queues *s = q->all;
	if (list_empty(&q->waiters) || list_linked(&q->stir))
		return;
	list_push(&s->stirred, &q->stir);
	if (!s->stir)
		s->stir = loop_add_timer(s->loop, 0, stir, s);
}

void queue_wait(struct queue *q, struct queue_waiter *w)
{
	list_init(&w->link);
	list_push(&q->waiters, &w->link);
	queue_stir(q);
}

void queue_unwait(struct queue_waiter *w)
{
	list_remove(&w->link);
}

void queue_wake_all(struct queue *q)
{
	struct queue_waiter *w;
	while ((w = list_first(&q->waiters, struct queue_waiter, link))) {
		list_remove(&w->link);
		w->fn(w);
	}
}

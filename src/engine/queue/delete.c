/* What is done to messages by their handles: a handle is queue, position and the number of the very receive. */
#include "keep.h"

#include <string.h>

struct handle {
	uint64_t queue;
	int64_t time_ms;
	uint64_t seq, nonce;
};

static struct handle handle_read(struct str s)
{
	struct handle h;
	_Static_assert(sizeof(h) == QUEUE_HANDLE_BYTES, "handles are bytes");
	memcpy(&h, s.p, sizeof(h));
	return h;
}

bool queue_handle_valid(const struct queue *q, struct str s)
{
	if (s.n != QUEUE_HANDLE_BYTES)
		return false;
	struct handle h = handle_read(s);
	return h.queue == q->id && h.seq > 0 && h.seq < q->total.next_seq;
}

/* Is there such a message in the store that memory knows nothing of? */
static bool stored(struct queue *q, const struct handle *h)
{
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	struct queue_message m;
	struct store_txn *t = store_begin(q->all->store, &a);
	bool there = h->seq >= q->total.purged && keep_get(t, q, h->time_ms, h->seq, &m);
	store_abort(t);
	return there;
}

static enum queue_answer delete_one(struct change *c, struct queue *q, const struct handle *h)
{
	struct item *i = item_get(q, h->seq);
	if (i && i->where == ITEM_LEAVES)
		return QUEUE_GONE;
	if (!i && !stored(q, h))
		return QUEUE_GONE;
	if (q->settings.fifo && (!i || i->where != ITEM_FLIES || i->state.nonce != h->nonce))
		return QUEUE_STALE;
	change_leave(c, i ? i : item_new(q, h->time_ms, h->seq));
	return QUEUE_GOOD;
}

void queue_delete(struct queue *q, const struct str *handles, size_t count, int64_t now_ms, enum queue_answer *ret_answers,
                  queue_done *done, void *ctx)
{
	struct change *c = change_new(q->all, count, 0);
	/* One that is under way for somebody else is durable when this is, which comes after it. */
	change_touch(c, q);
	queue_settle(q, now_ms);
	for (size_t n = 0; n < count; n++) {
		struct handle h = handle_read(handles[n]);
		ret_answers[n] = delete_one(c, q, &h);
	}
	change_commit(c, done, ctx);
}

enum queue_answer queue_change(struct queue *q, struct str handle, int64_t visibility_ms, int64_t now_ms, bool *ret_too_long)
{
	struct handle h = handle_read(handle);
	queue_settle(q, now_ms);
	struct item *i = item_get(q, h.seq);
	if (!i)
		return stored(q, &h) ? QUEUE_VISIBLE : QUEUE_GONE;
	if (i->where == ITEM_LEAVES)
		return QUEUE_GONE;
	if (i->where != ITEM_FLIES)
		return QUEUE_VISIBLE;
	if (q->settings.fifo && i->state.nonce != h.nonce)
		return QUEUE_STALE;
	*ret_too_long = now_ms + visibility_ms - i->state.received_ms > QUEUE_VISIBILITY_MAX_MS;
	if (*ret_too_long)
		return QUEUE_GOOD;
	if (visibility_ms > 0)
		item_fly(i, now_ms + visibility_ms);
	else {
		i->state.visible_ms = now_ms;
		item_land(i);
	}
	item_mark(i);
	queue_stir(q);
	return QUEUE_GOOD;
}

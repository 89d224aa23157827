/* Transactions, and what becomes true with them: messages that come and that go. A transaction reads nothing, so that it cannot
 * lose a race; what is under way is known from memory. */
#include "keep.h"

#include "base/hash.h"
#include "base/log.h"

#include <stdlib.h>

struct change *change_new(struct queues *s, size_t leaving_max, size_t arriving_max)
{
	struct change *c = calloc(1, sizeof(*c));
	if (!c)
		die("out of memory (queues)");
	c->all = s;
	arena_init(&c->arena, 0);
	c->leaving = arena_array(&c->arena, leaving_max + 1, sizeof(*c->leaving));
	c->arriving = arena_array(&c->arena, arriving_max + 1, sizeof(*c->arriving));
	c->leaving_max = leaving_max;
	c->arriving_max = arriving_max;
	c->queue_max = CHANGE_QUEUES_MAX;
	c->queues = arena_array(&c->arena, c->queue_max, sizeof(struct queue *));
	c->txn = store_begin(s->store, &c->arena);
	list_init(&c->link);
	list_push(&s->changes, &c->link);
	return c;
}

void change_touch(struct change *c, struct queue *q)
{
	for (size_t i = 0; i < c->queue_count; i++)
		if (c->queues[i] == q)
			return;
	if (c->queue_count == c->queue_max) {
		struct queue **more = arena_array(&c->arena, 2 * c->queue_max, sizeof(struct queue *));
		memcpy(more, c->queues, c->queue_count * sizeof(struct queue *));
		c->queues = more;
		c->queue_max *= 2;
	}
	c->queues[c->queue_count++] = q;
	q->uses++;
}

void change_leave(struct change *c, struct item *i)
{
	struct queue *q = i->queue;
	if (c->leaving_count == c->leaving_max)
		die("a change of too many messages");
	change_touch(c, q);
	item_leave(i);
	q->total.count--;
	c->leaving[c->leaving_count++] = i;
	struct row_key key = row_key('m', 3, q->id, (uint64_t)i->time_ms, i->seq);
	store_delete(c->txn, row_str(&key));
	if (i->saved) {
		key.bytes[0] = 'v';
		store_delete(c->txn, row_str(&key));
	}
}

static void put_dedup(struct change *c, struct queue *q, struct arrival *a, const struct queue_message *m)
{
	struct row_key by = row_digest_key(q->id, a->digest), at = row_key('x', 3, q->id, (uint64_t)m->sent_ms, a->seq);
	struct keep_dedup *d = malloc(sizeof(*d));
	if (!d)
		die("out of memory (queues)");
	*d = (struct keep_dedup){.at_ms = m->sent_ms, .seq = a->seq};
	memcpy(d->id, m->id, sizeof(d->id));
	store_put(c->txn, row_str(&by), str_of(d, sizeof(*d)));
	store_put(c->txn, row_str(&at), str_of(a->digest, DIGEST_BYTES));
	free(map_put(&q->pending, str_of(a->digest, DIGEST_BYTES), d));
}

static void dedup_digest(const struct queue *q, const struct queue_message *m, unsigned char ret[DIGEST_BYTES])
{
	unsigned char full[HASH_MAX_BYTES];
	struct hash h;
	hash_init(&h, HASH_SHA256);
	hash_add(&h, m->dedup.p, m->dedup.n);
	if (q->settings.dedup_by_group) {
		hash_add(&h, "", 1);
		hash_add(&h, m->group.p, m->group.n);
	}
	hash_end(&h, full);
	memcpy(ret, full, DIGEST_BYTES);
}

uint64_t change_arrive(struct change *c, struct queue *q, const struct queue_message *m, int64_t time_ms)
{
	if (c->arriving_count == c->arriving_max)
		die("a change of too many messages");
	change_touch(c, q);
	/* In a FIFO queue, what comes later stands later, whatever the clock says. */
	if (q->settings.fifo && time_ms < q->last_ms)
		time_ms = q->last_ms;
	q->last_ms = time_ms > q->last_ms ? time_ms : q->last_ms;
	struct arrival *a = &c->arriving[c->arriving_count++];
	*a = (struct arrival){.queue = q, .time_ms = time_ms, .seq = q->total.next_seq++};
	q->total.count++;
	struct row_key key = row_key('m', 3, q->id, (uint64_t)time_ms, a->seq);
	store_put(c->txn, row_str(&key), keep_message(&c->arena, m));
	if (q->settings.fifo && str_set(m->dedup)) {
		a->deduped = true;
		dedup_digest(q, m, a->digest);
		put_dedup(c, q, a, m);
	}
	return a->seq;
}

static void settle_arrival(const struct arrival *a, bool good)
{
	struct queue *q = a->queue;
	if (!good && a->seq >= q->total.purged)
		q->total.count--;
	if (a->deduped) {
		struct str digest = str_of(a->digest, DIGEST_BYTES);
		struct keep_dedup *d = map_get(&q->pending, digest);
		if (d && d->seq == a->seq) {
			map_remove(&q->pending, digest);
			free(d);
		}
	}
	/* What has become durable behind the place that was looked at last would not be found there any more. */
	bool passed = a->time_ms < q->cursor_ms || (a->time_ms == q->cursor_ms && a->seq <= q->cursor_seq);
	if (good && passed && !q->settings.fifo && a->seq >= q->total.purged && !item_get(q, a->seq))
		item_land(item_new(q, a->time_ms, a->seq));
}

static void change_free(struct change *c)
{
	list_remove(&c->link);
	arena_done(&c->arena);
	free(c);
}

static void committed(void *ctx, int result, uint64_t revision)
{
	struct change *c = ctx;
	(void)revision;
	for (size_t i = 0; i < c->arriving_count; i++)
		settle_arrival(&c->arriving[i], result == 0);
	for (size_t i = 0; i < c->leaving_count; i++) {
		struct item *item = c->leaving[i];
		if (result < 0 && item->seq >= item->queue->total.purged) {
			item->queue->total.count++;
			item_land(item);
		} else
			item_free(item);
	}
	if (result < 0)
		log_warn("queues: messages could not be written (%d)", result);
	for (size_t i = 0; i < c->queue_count; i++) {
		struct queue *q = c->queues[i];
		if (--q->uses == 0 && q->dropped)
			queue_free(q);
		else
			queue_stir(q);
	}
	queue_done *done = c->done;
	ctx = c->ctx;
	change_free(c);
	if (done)
		done(ctx, result);
}

void change_commit(struct change *c, queue_done *done, void *ctx)
{
	c->done = done;
	c->ctx = ctx;
	for (size_t i = 0; i < c->queue_count; i++) {
		const struct queue *q = c->queues[i];
		struct row_key key = row_key('t', 1, q->id, 0, 0);
		if (!q->dropped)
			store_put(c->txn, row_str(&key), str_of(&q->total, sizeof(q->total)));
	}
	store_commit(c->txn, committed, c);
}

void changes_forget(struct queues *s)
{
	list_each (&s->changes, struct change, link, c) {
		for (size_t i = 0; i < c->queue_count; i++)
			if (--c->queues[i]->uses == 0 && c->queues[i]->dropped)
				queue_free(c->queues[i]);
		change_free(c);
	}
}

/* --- sending */

/* The message that has this one's deduplication id, of the last five minutes; one under way included. */
static bool find_duplicate(struct queue *q, struct store_txn *t, const struct queue_message *m, int64_t now_ms,
                           struct queue_sent *ret)
{
	unsigned char digest[DIGEST_BYTES];
	dedup_digest(q, m, digest);
	struct row_key key = row_digest_key(q->id, digest);
	const struct keep_dedup *pending = map_get(&q->pending, str_of(digest, DIGEST_BYTES));
	struct keep_dedup d;
	struct store_value v;
	if (pending)
		d = *pending;
	else if (store_get(t, row_str(&key), &v) && v.value.n == sizeof(d))
		memcpy(&d, v.value.p, sizeof(d));
	else
		return false;
	if (d.at_ms + QUEUE_DEDUP_MS <= now_ms)
		return false;
	*ret = (struct queue_sent){.seq = d.seq, .duplicate = true};
	memcpy(ret->id, d.id, sizeof(ret->id));
	return true;
}

static void send(struct change *c, struct store_txn *reads, struct queue *q, const struct queue_message *m, int64_t delay_ms,
                 int64_t now_ms, struct queue_sent *ret)
{
	/* A duplicate of what is under way is durable when this is, which comes after it. */
	change_touch(c, q);
	queue_settle(q, now_ms);
	if (q->settings.fifo && str_set(m->dedup) && find_duplicate(q, reads, m, now_ms, ret))
		return;
	int64_t delay = q->settings.fifo ? q->settings.delay_ms : delay_ms;
	*ret = (struct queue_sent){.seq = change_arrive(c, q, m, q->settings.fifo ? now_ms : now_ms + delay)};
	memcpy(ret->id, m->id, sizeof(ret->id));
	queue_delay(q, now_ms + delay, now_ms);
}

void queue_send(struct queue *q, const struct queue_message *messages, const int64_t *delays_ms, size_t count, int64_t now_ms,
                struct queue_sent *ret_sent, queue_done *done, void *ctx)
{
	struct change *c = change_new(q->all, 0, count);
	struct store_txn *reads = store_begin(q->all->store, &c->arena);
	for (size_t i = 0; i < count; i++)
		send(c, reads, q, &messages[i], delays_ms[i], now_ms, &ret_sent[i]);
	store_abort(reads);
	change_commit(c, done, ctx);
}

uint64_t queue_next(const struct queue *q)
{
	return q->total.next_seq;
}

void queue_post(struct queues *s, struct queue_letter *letters, size_t count, int64_t now_ms, queue_done *done, void *ctx)
{
	struct change *c = change_new(s, 0, count);
	struct store_txn *reads = store_begin(s->store, &c->arena);
	for (size_t i = 0; i < count; i++) {
		struct queue_letter *l = &letters[i];
		if (!l->unless || !l->unless->sent.duplicate)
			send(c, reads, l->queue, l->message, 0, now_ms, &l->sent);
	}
	store_abort(reads);
	change_commit(c, done, ctx);
}

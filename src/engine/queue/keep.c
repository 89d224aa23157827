/* Keys and values in the store, and what a queue is when it is first asked for. */
#include "keep.h"

#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

static void number_put(char *p, uint64_t x)
{
	x = __builtin_bswap64(x);
	memcpy(p, &x, sizeof(x));
}

uint64_t row_number(const char *p)
{
	uint64_t x;
	memcpy(&x, p, sizeof(x));
	return __builtin_bswap64(x);
}

struct row_key row_key(char kind, unsigned count, uint64_t a, uint64_t b, uint64_t c)
{
	const uint64_t numbers[] = {a, b, c};
	struct row_key k = {.n = 1 + 8 * count};
	k.bytes[0] = kind;
	for (unsigned i = 0; i < count; i++)
		number_put(k.bytes + 1 + 8 * i, numbers[i]);
	return k;
}

struct row_key row_digest_key(uint64_t queue, const unsigned char digest[DIGEST_BYTES])
{
	struct row_key k = row_key('d', 1, queue, 0, 0);
	memcpy(k.bytes + k.n, digest, DIGEST_BYTES);
	k.n += DIGEST_BYTES;
	return k;
}

/* --- messages */

enum { PARTS = 7 };
struct message_head {
	int64_t sent_ms, receives;
	uint32_t lengths[PARTS]; /* 1 more than the length; 0: absent */
	unsigned char id[QUEUE_ID_BYTES];
};

static void parts_of(struct queue_message *m, struct str *ret[PARTS])
{
	struct str *all[PARTS] = {&m->group, &m->dedup, &m->sender, &m->trace, &m->source, &m->attributes, &m->body};
	memcpy(ret, all, sizeof(all));
}

struct str keep_message(struct arena *a, const struct queue_message *given)
{
	struct queue_message m = *given;
	struct message_head head = {.sent_ms = m.sent_ms, .receives = m.receives};
	struct str *parts[PARTS];
	size_t n = sizeof(head), at = sizeof(head);
	parts_of(&m, parts);
	memcpy(head.id, m.id, sizeof(head.id));
	for (int i = 0; i < PARTS; i++) {
		head.lengths[i] = str_set(*parts[i]) ? (uint32_t)parts[i]->n + 1 : 0;
		n += parts[i]->n;
	}
	char *p = arena_alloc(a, n);
	memcpy(p, &head, sizeof(head));
	for (int i = 0; i < PARTS; at += parts[i]->n, i++)
		if (parts[i]->n)
			memcpy(p + at, parts[i]->p, parts[i]->n);
	return str_of(p, n);
}

bool keep_read_message(struct str value, struct queue_message *ret)
{
	struct message_head head;
	struct queue_message m = {0};
	struct str *parts[PARTS];
	if (value.n < sizeof(head))
		return false;
	memcpy(&head, value.p, sizeof(head));
	m.sent_ms = head.sent_ms;
	m.receives = head.receives;
	memcpy(m.id, head.id, sizeof(m.id));
	parts_of(&m, parts);
	size_t at = sizeof(head);
	for (int i = 0; i < PARTS; i++) {
		size_t n = head.lengths[i] ? head.lengths[i] - 1 : 0;
		if (n > value.n - at)
			return false;
		if (head.lengths[i])
			*parts[i] = str_of(value.p + at, n);
		at += n;
	}
	*ret = m;
	return true;
}

bool keep_get(struct store_txn *t, const struct queue *q, int64_t time_ms, uint64_t seq, struct queue_message *ret)
{
	struct row_key key = row_key('m', 3, q->id, (uint64_t)time_ms, seq);
	struct store_value v;
	if (!store_get(t, row_str(&key), &v) || !keep_read_message(v.value, ret))
		return false;
	ret->seq = seq;
	return true;
}

/* --- queues */

static void read_states(struct queue *q, struct store_txn *t, struct arena *a, int64_t now_ms)
{
	struct row_key under = row_key('v', 1, q->id, 0, 0);
	struct store_iter *walk = store_scan(t, row_str(&under), store_prefix_end(a, row_str(&under)), false);
	struct store_value v;
	struct str key;
	while (store_next(walk, &key, &v)) {
		uint64_t seq = row_number(key.p + 17);
		if (v.value.n != sizeof(struct keep_state) || seq < q->total.purged)
			continue;
		struct item *i = item_new(q, (int64_t)row_number(key.p + 9), seq);
		memcpy(&i->state, v.value.p, sizeof(i->state));
		i->saved = true;
		if (q->settings.fifo)
			q->unloaded++;
		else if (i->state.visible_ms > now_ms)
			item_fly(i, i->state.visible_ms);
		else
			item_land(i);
	}
}

/* Messages that are not visible yet are counted. */
static void read_delays(struct queue *q, struct store_txn *t, struct arena *a, int64_t now_ms)
{
	int64_t delay = q->settings.fifo ? q->settings.delay_ms : 0;
	struct row_key from = row_key('m', 2, q->id, (uint64_t)(now_ms - delay + 1), 0), under = row_key('m', 1, q->id, 0, 0);
	struct store_iter *walk = store_scan(t, row_str(&from), store_prefix_end(a, row_str(&under)), false);
	struct store_value v;
	struct str key;
	while (store_next(walk, &key, &v))
		if (row_number(key.p + 17) >= q->total.purged)
			queue_delay(q, (int64_t)row_number(key.p + 9) + delay, now_ms);
}

void keep_open(struct queue *q, int64_t now_ms)
{
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	struct store_txn *t = store_begin(q->all->store, &a);
	struct row_key key = row_key('t', 1, q->id, 0, 0), under = row_key('m', 1, q->id, 0, 0);
	struct store_value v;
	struct str last;
	q->total = (struct keep_total){.next_seq = 1};
	if (store_get(t, row_str(&key), &v) && v.value.n == sizeof(q->total))
		memcpy(&q->total, v.value.p, sizeof(q->total));
	struct store_iter *walk = store_scan(t, row_str(&under), store_prefix_end(&a, row_str(&under)), true);
	if (store_next(walk, &last, &v))
		q->last_ms = (int64_t)row_number(last.p + 9);
	read_states(q, t, &a, now_ms);
	read_delays(q, t, &a, now_ms);
	store_abort(t);
	/* Messages that were received are near the beginning: what stands in front of them is read with them. */
	while (q->unloaded) {
		size_t before = q->unloaded, known = q->items.count;
		arena_reset(&a);
		t = store_begin(q->all->store, &a);
		take_load(q, t, q->available + BATCH, now_ms);
		store_abort(t);
		if (q->unloaded == before && q->items.count == known)
			break;
	}
}

struct queue *queue_get(struct queues *s, uint64_t id, const struct queue_settings *settings, int64_t now_ms)
{
	struct queue *q = map_get(&s->open, str_of(&id, sizeof(id)));
	if (q) {
		q->settings = *settings;
		return q;
	}
	q = calloc(1, sizeof(*q));
	if (!q)
		die("out of memory (queues)");
	*q = (struct queue){.all = s, .id = id, .settings = *settings, .flying.by_time = true, .delayed_s = now_ms / 1000};
	list_init(&q->ready_groups);
	list_init(&q->waiters);
	list_init(&q->attempts);
	list_init(&q->stir);
	map_put(&s->open, str_of(&id, sizeof(id)), q);
	keep_open(q, now_ms);
	return q;
}

void queue_free(struct queue *q)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&q->items, &at, &key, &value))
		item_end(value);
	at = 0;
	while (map_next(&q->pending, &at, &key, &value))
		free(value);
	map_done(&q->items);
	map_done(&q->groups);
	map_done(&q->pending);
	attempts_forget(q);
	free(q->flying.v);
	free(q->ready.v);
	loop_remove_timer(q->all->loop, q->due);
	list_remove(&q->stir);
	list_each (&q->waiters, struct queue_waiter, link, w)
		list_remove(&w->link);
	free(q);
}

void queue_count(struct queue *q, int64_t now_ms, struct queue_counts *ret)
{
	queue_settle(q, now_ms);
	int64_t flying = (int64_t)q->flying.n, visible = q->total.count - flying - q->delayed;
	*ret = (struct queue_counts){.visible = visible > 0 ? visible : 0, .in_flight = flying, .delayed = q->delayed};
}

int64_t queue_oldest_ms(struct queue *q)
{
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	struct store_txn *t = store_begin(q->all->store, &a);
	struct row_key under = row_key('m', 1, q->id, 0, 0);
	struct store_iter *walk = store_scan(t, row_str(&under), store_prefix_end(&a, row_str(&under)), false);
	struct store_value v;
	struct str key;
	struct queue_message m = {0};
	while (store_next(walk, &key, &v))
		if (row_number(key.p + 17) >= q->total.purged && keep_read_message(v.value, &m))
			break;
	store_abort(t);
	return m.sent_ms;
}

/* --- all of them */

int queues_open(struct queues **ret, struct loop *l, const char *dir, bool ephemeral, char ret_why[static 200])
{
	struct queues *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory (queues)");
	const struct store_config config = {.path = dir, .ephemeral = ephemeral, .history = STORE_NO_HISTORY};
	int r = store_open(&s->store, l, &config, ret_why);
	if (r < 0) {
		free(s);
		return r;
	}
	s->loop = l;
	list_init(&s->changes);
	list_init(&s->dirty);
	list_init(&s->drops);
	list_init(&s->stirred);
	arena_init(&s->flush_arena, 0);
	*ret = s;
	return 0;
}

bool queues_busy(const struct queues *s)
{
	return s->flushing || !list_empty(&s->dirty) || !list_empty(&s->changes);
}

void queues_close(struct queues *s)
{
	if (!s)
		return;
	store_close(s->store);
	changes_forget(s);
	drops_forget(s);
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&s->open, &at, &key, &value))
		queue_free(value);
	map_done(&s->open);
	loop_remove_timer(s->loop, s->flush);
	loop_remove_timer(s->loop, s->stir);
	arena_done(&s->flush_arena);
	free(s);
}

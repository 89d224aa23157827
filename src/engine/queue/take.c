/* Receiving: first what came back, oldest first, then what is behind the cursor. In a FIFO queue what is behind the cursor is read
 * into its groups until enough of them can be given. */
#include "keep.h"

#include "base/log.h"
#include "base/rand.h"

#include <errno.h>
#include <stdlib.h>

enum { LOOK_AHEAD = 10 };

/* --- the store */

struct store_iter *keep_scan(struct queue *q, struct store_txn *t)
{
	struct row_key from = row_key('m', 3, q->id, (uint64_t)q->cursor_ms, q->cursor_seq + 1),
	               to = row_key('m', 1, q->id + 1, 0, 0);
	return store_scan(t, row_str(&from), row_str(&to), false);
}

bool take_next(struct queue *q, struct store_iter *i, int64_t now_ms, int64_t *ret_time_ms, uint64_t *ret_seq,
               struct str *ret_value)
{
	int64_t latest = q->settings.fifo ? now_ms - q->settings.delay_ms : now_ms;
	struct store_value v;
	struct str key;
	while (store_next(i, &key, &v)) {
		int64_t time_ms = (int64_t)row_number(key.p + 9);
		uint64_t seq = row_number(key.p + 17);
		if (time_ms > latest)
			return false;
		q->cursor_ms = time_ms;
		q->cursor_seq = seq;
		const struct item *known = item_get(q, seq);
		if (seq < q->total.purged || (known && (!q->settings.fifo || known->where != ITEM_UNLOADED)))
			continue;
		*ret_time_ms = time_ms;
		*ret_seq = seq;
		*ret_value = v.value;
		return true;
	}
	return false;
}

void take_load(struct queue *q, struct store_txn *t, size_t want, int64_t now_ms)
{
	struct store_iter *walk = NULL;
	struct queue_message m;
	struct str value;
	int64_t time_ms;
	uint64_t seq;
	while (q->available < want && q->items.count < LOADED_MAX) {
		if (!walk)
			walk = keep_scan(q, t);
		if (!take_next(q, walk, now_ms, &time_ms, &seq, &value))
			return;
		if (!keep_read_message(value, &m))
			continue;
		struct item *i = item_get(q, seq);
		if (i)
			q->unloaded--;
		else
			i = item_new(q, time_ms, seq);
		item_join(i, str_set(m.group) ? m.group : S(""));
		if (i->state.visible_ms > now_ms)
			item_fly(i, i->state.visible_ms);
		else
			item_land(i);
	}
}

bool queue_has_some(struct queue *q, int64_t now_ms)
{
	queue_settle(q, now_ms);
	if (q->available || q->ready.n)
		return true;
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	struct store_txn *t = store_begin(q->all->store, &a);
	bool some = false;
	if (q->settings.fifo) {
		take_load(q, t, 1, now_ms);
		some = q->available > 0;
	} else {
		struct str value;
		int64_t time_ms;
		uint64_t seq;
		some = take_next(q, keep_scan(q, t), now_ms, &time_ms, &seq, &value);
		/* What was passed over on the way is known or purged; what was found stays to be taken. */
		if (some)
			q->cursor_seq = seq - 1;
	}
	store_abort(t);
	return some;
}

/* --- attempts: what a receive was given, for who asks with the same word again */

struct attempt {
	struct list link;
	int64_t at_ms;
	struct str word;
	size_t count;
	struct {
		uint64_t seq, nonce;
	} given[10];
};

static void attempt_free(struct attempt *t)
{
	list_remove(&t->link);
	free((char *)(uintptr_t)t->word.p);
	free(t);
}

void attempts_forget(struct queue *q)
{
	list_each (&q->attempts, struct attempt, link, t)
		attempt_free(t);
}

static struct attempt *attempt_find(struct queue *q, struct str word, int64_t now_ms)
{
	list_each (&q->attempts, struct attempt, link, t) {
		if (t->at_ms + QUEUE_DEDUP_MS <= now_ms)
			attempt_free(t);
		else if (str_eq(t->word, word))
			return t;
	}
	return NULL;
}

static void attempt_keep(struct queue *q, const struct queue_take *take, const struct queue_message *given, size_t count)
{
	struct attempt *t = calloc(1, sizeof(*t));
	char *word = malloc(take->attempt.n + 1);
	if (!t || !word)
		die("out of memory (queues)");
	memcpy(word, take->attempt.p, take->attempt.n);
	*t = (struct attempt){.at_ms = take->now_ms, .word = str_of(word, take->attempt.n), .count = count};
	for (size_t i = 0; i < count; i++) {
		t->given[i].seq = given[i].seq;
		t->given[i].nonce = item_get(q, given[i].seq)->state.nonce;
	}
	list_init(&t->link);
	list_push(&q->attempts, &t->link);
}

/* --- receiving */

static struct str handle_of(struct arena *a, const struct item *i)
{
	uint64_t *n = arena_alloc(a, QUEUE_HANDLE_BYTES);
	n[0] = i->queue->id;
	n[1] = (uint64_t)i->time_ms;
	n[2] = i->seq;
	n[3] = i->state.nonce;
	return str_of(n, QUEUE_HANDLE_BYTES);
}

static void copy_out(struct arena *a, struct queue_message *m)
{
	struct str *all[] = {&m->group, &m->dedup, &m->sender, &m->trace, &m->source, &m->attributes, &m->body};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		*all[i] = arena_dup(a, *all[i]);
}

/* A take under way. */
struct taking {
	struct queue *q;
	struct arena *arena;
	const struct queue_take *take;
	struct store_txn *txn;
	struct change *change; /* of what does not go to the caller; NULL: nothing yet */
	struct queue_message *out;
	void (*treat)(struct taking *t, struct item *i);
	queue_to_fn *to; /* of a move */
	void *to_ctx;
	size_t n, looked;
	bool stop;
};

static void give(struct taking *t, struct item *i, struct queue_message *m)
{
	const struct queue_take *take = t->take;
	i->state.receives++;
	i->state.received_ms = take->now_ms;
	if (!i->state.first_ms)
		i->state.first_ms = take->now_ms;
	i->state.nonce = rand_u64();
	if (take->visibility_ms > 0)
		item_fly(i, take->now_ms + take->visibility_ms);
	else {
		i->state.visible_ms = take->now_ms;
		item_land(i);
	}
	item_mark(i);
	m->receives += i->state.receives;
	m->first_received_ms = i->state.first_ms;
	m->handle = handle_of(t->arena, i);
	copy_out(t->arena, m);
	t->out[t->n++] = *m;
}

/* One that is expired goes, one that was received too often goes to the other queue, the rest is given. */
static void treat(struct taking *t, struct item *i)
{
	struct queue *q = t->q;
	const struct queue_take *take = t->take;
	struct queue_message m;
	bool there = keep_get(t->txn, q, i->time_ms, i->seq, &m);
	bool expired = there && m.sent_ms + q->settings.retention_ms <= take->now_ms;
	bool dead = there && !expired && take->dead && take->receives_max && i->state.receives >= take->receives_max;
	t->looked++;
	if (!there) {
		item_free(i);
		return;
	}
	if (!expired && !dead) {
		give(t, i, &m);
		return;
	}
	if (!t->change)
		t->change = change_new(q->all, BATCH, BATCH);
	if (dead) {
		m.receives += i->state.receives;
		m.source = take->source;
		/* A standard queue's message keeps its age, so it stands where its age is. */
		if (take->dead->settings.fifo)
			m.sent_ms = take->now_ms;
		change_arrive(t->change, take->dead, &m, m.sent_ms);
	}
	change_leave(t->change, i);
}

static void take_standard(struct taking *t)
{
	struct queue *q = t->q;
	struct store_iter *walk = NULL;
	/* With a visibility of nothing, what is given is ready again at once, and is not given twice. */
	struct item *again[10];
	size_t again_count = 0;
	while (!t->stop && t->n < t->take->max && t->looked < BATCH) {
		struct item *i = heap_top(&q->ready);
		if (!i) {
			struct str value;
			int64_t time_ms;
			uint64_t seq;
			if (!walk)
				walk = keep_scan(q, t->txn);
			if (!take_next(q, walk, t->take->now_ms, &time_ms, &seq, &value))
				break;
			i = item_new(q, time_ms, seq);
		} else
			heap_remove(&q->ready, i), i->where = ITEM_UNLOADED;
		size_t before = t->n;
		t->treat(t, i);
		if (t->n > before && i->where == ITEM_READY) {
			heap_remove(&q->ready, i);
			i->where = ITEM_UNLOADED;
			again[again_count++] = i;
		}
	}
	for (size_t n = 0; n < again_count; n++)
		item_land(again[n]);
}

static void take_group(struct taking *t, struct group *g)
{
	list_each (&g->items, struct item, in_group, i) {
		if (t->stop || t->n == t->take->max || t->looked >= BATCH || i->where != ITEM_WAITS)
			return;
		/* The last item takes the group with it when it goes. */
		bool last = n_i->next == &g->items && g->items.next == n_i;
		t->treat(t, i);
		if (last)
			return;
	}
}

static void take_fifo(struct taking *t)
{
	struct queue *q = t->q;
	while (!t->stop && t->n < t->take->max && t->looked < BATCH) {
		/* Looking further than needed, so that one group can give all. */
		take_load(q, t->txn, LOOK_AHEAD * (t->take->max - t->n), t->take->now_ms);
		struct group *g = list_first(&q->ready_groups, struct group, ready);
		if (!g)
			break;
		take_group(t, g);
		if (t->take->visibility_ms <= 0)
			break; /* one group at a time, or it would be given again */
	}
}

/* Whole groups are looked at in turn; what is behind them in the store is read as it is needed. */
static void take_any(struct taking *t)
{
	if (t->q->settings.fifo)
		take_fifo(t);
	else
		take_standard(t);
}

/* The messages that the same word was given, in flight still. False: it was given none, or something has been done to them. */
static bool give_again(struct taking *t)
{
	const struct queue_take *take = t->take;
	struct attempt *tried = attempt_find(t->q, take->attempt, take->now_ms);
	if (!tried)
		return false;
	for (size_t k = 0; k < tried->count; k++) {
		const struct item *i = item_get(t->q, tried->given[k].seq);
		if (!i || i->where != ITEM_FLIES || i->state.nonce != tried->given[k].nonce)
			return false;
	}
	for (size_t k = 0; k < tried->count; k++) {
		struct item *i = item_get(t->q, tried->given[k].seq);
		struct queue_message m;
		if (!keep_get(t->txn, t->q, i->time_ms, i->seq, &m))
			continue;
		item_fly(i, take->now_ms + take->visibility_ms);
		item_mark(i);
		m.receives += i->state.receives;
		m.first_received_ms = i->state.first_ms;
		m.handle = handle_of(t->arena, i);
		copy_out(t->arena, &m);
		t->out[t->n++] = m;
	}
	return true;
}

int queue_take(struct queue *q, struct arena *a, const struct queue_take *take, struct queue_message *ret, size_t *ret_count)
{
	struct taking t = {.q = q, .arena = a, .take = take, .out = ret, .treat = treat};
	queue_settle(q, take->now_ms);
	*ret_count = 0;
	if (q->flying.n >= QUEUE_IN_FLIGHT_MAX && !q->settings.fifo)
		return -EMFILE;
	t.txn = store_begin(q->all->store, a);
	bool again = q->settings.fifo && str_set(take->attempt) && give_again(&t);
	if (!again && q->flying.n < QUEUE_IN_FLIGHT_MAX) {
		take_any(&t);
		if (q->settings.fifo && str_set(take->attempt) && t.n)
			attempt_keep(q, take, ret, t.n);
	}
	/* Before the snapshot ends: what is moved lies in it until it is copied. */
	if (t.change)
		change_commit(t.change, NULL, NULL);
	store_abort(t.txn);
	*ret_count = t.n;
	queue_stir(q);
	return 0;
}

/* --- moving */

/* The message goes to another queue as a new one. */
static void treat_move(struct taking *t, struct item *i)
{
	struct queue_message m;
	t->looked++;
	if (!keep_get(t->txn, t->q, i->time_ms, i->seq, &m)) {
		item_free(i);
		return;
	}
	if (m.sent_ms + t->q->settings.retention_ms > t->take->now_ms) {
		struct queue *to = t->to(t->to_ctx, m.source);
		if (!to || t->change->queue_count >= CHANGE_QUEUES_MAX - 1) {
			t->stop = true;
			if (i->where == ITEM_UNLOADED)
				item_land(i);
			return;
		}
		m.sent_ms = t->take->now_ms;
		m.receives = 0;
		m.source = STR_NONE;
		rand_bytes(m.id, sizeof(m.id));
		change_arrive(t->change, to, &m, m.sent_ms);
		t->n++;
	}
	change_leave(t->change, i);
}

size_t queue_move(struct queue *q, size_t max, int64_t now_ms, queue_to_fn *to, void *to_ctx, bool *ret_stopped, queue_done *done,
                  void *ctx)
{
	const struct queue_take take = {.max = max < BATCH ? max : BATCH, .visibility_ms = 1, .now_ms = now_ms};
	struct taking t = {.q = q, .take = &take, .treat = treat_move, .to = to, .to_ctx = to_ctx};
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	queue_settle(q, now_ms);
	t.arena = &a;
	t.txn = store_begin(q->all->store, &a);
	t.change = change_new(q->all, BATCH, BATCH);
	change_touch(t.change, q);
	take_any(&t);
	store_abort(t.txn);
	change_commit(t.change, done, ctx);
	*ret_stopped = t.stop;
	return t.n;
}

#include "keep.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

struct logs_ear {
	struct list link;
	struct logs *logs;
	logs_heard *fn; /* NULL: ended */
	void *ctx;
};

/* --- keys and totals */

static void number_put(char *p, uint64_t x)
{
	x = __builtin_bswap64(x);
	memcpy(p, &x, sizeof(x));
}

uint64_t keep_number(const char *p)
{
	uint64_t x;
	memcpy(&x, p, sizeof(x));
	return __builtin_bswap64(x);
}

struct keep_key keep_key(char kind, unsigned count, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	const uint64_t numbers[] = {a, b, c, d};
	struct keep_key k = {.n = 1 + 8 * count};
	k.bytes[0] = kind;
	for (unsigned i = 0; i < count; i++)
		number_put(k.bytes + 1 + 8 * i, numbers[i]);
	return k;
}

struct keep_live *keep_use(struct logs *l, uint64_t group, uint64_t stream)
{
	struct keep_key key = keep_key('t', 2, group, stream, 0, 0);
	struct keep_live *live = map_get(&l->live, keep_str(&key));
	if (!live) {
		live = calloc(1, sizeof(*live));
		if (!live)
			die("out of memory (logs)");
		live->key = key;
		CLEAN_ARENA struct arena a;
		arena_init(&a, 0);
		struct store_txn *t = store_begin(l->store, &a);
		struct store_value v;
		if (store_get(t, keep_str(&key), &v) && v.value.n == sizeof(live->total))
			memcpy(&live->total, v.value.p, sizeof(live->total));
		store_abort(t);
		map_put(&l->live, keep_str(&key), live);
	}
	live->uses++;
	return live;
}

void keep_unuse(struct logs *l, struct keep_live *live)
{
	if (--live->uses)
		return;
	map_remove(&l->live, keep_str(&live->key));
	free(live);
}

void keep_put_total(struct store_txn *t, const struct keep_live *live)
{
	store_put(t, keep_str(&live->key), str_of(&live->total, sizeof(live->total)));
}

void logs_stats(struct logs *l, uint64_t group, uint64_t stream, struct log_stats *ret)
{
	struct keep_live *live = keep_use(l, group, stream);
	*ret = (struct log_stats){
	        .bytes = live->total.bytes, .ingested_ms = live->total.ingested_ms, .first_ms = -1, .last_ms = -1};
	keep_unuse(l, live);
	if (!stream)
		return;
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	for (int descending = 0; descending < 2; descending++) {
		struct keep_key from = keep_key('s', 2, group, stream, 0, 0),
		                to = keep_key('s', 4, group, stream, UINT64_MAX, UINT64_MAX);
		struct store_txn *t = store_begin(l->store, &a);
		struct store_iter *i = store_scan(t, keep_str(&from), keep_str(&to), descending);
		struct str key;
		struct store_value v;
		if (store_next(i, &key, &v))
			*(descending ? &ret->last_ms : &ret->first_ms) = (int64_t)keep_number(key.p + 17);
		store_abort(t);
	}
}

/* --- appending */

struct append {
	struct list link;
	struct logs *logs;
	struct arena arena;
	struct keep_live *group, *stream;
	uint64_t group_id;
	int64_t bytes;
	struct log_event *events;
	size_t count;
	logs_done *done;
	void *ctx;
};

static void append_free(struct append *p)
{
	list_remove(&p->link);
	arena_done(&p->arena);
	free(p);
}

static void append_tell(struct append *p)
{
	struct logs *l = p->logs;
	l->telling = true;
	list_each (&l->ears, struct logs_ear, link, ear)
		for (size_t i = 0; i < p->count && ear->fn; i++)
			ear->fn(ear->ctx, p->group_id, &p->events[i]);
	l->telling = false;
	list_each (&l->ears, struct logs_ear, link, ear) {
		if (ear->fn)
			continue;
		list_remove(&ear->link);
		free(ear);
	}
}

static void append_done(void *ctx, int result, uint64_t revision)
{
	struct append *p = ctx;
	(void)revision;
	if (result < 0) {
		p->group->total.bytes -= p->bytes;
		p->stream->total.bytes -= p->bytes;
	} else {
		append_tell(p);
	}
	keep_unuse(p->logs, p->group);
	keep_unuse(p->logs, p->stream);
	p->done(p->ctx, result);
	append_free(p);
}

static void total_add(struct keep_live *live, int64_t bytes, int64_t now_ms)
{
	live->total.bytes += bytes;
	if (now_ms > live->total.ingested_ms)
		live->total.ingested_ms = now_ms;
}

/* Two passes, so that keys come in rising order, which is how a transaction takes them fastest. */
static void append_put(struct append *p, struct store_txn *t, uint64_t stream)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct log_event *e = &p->events[i];
		struct keep_key key = keep_key('e', 3, p->group_id, (uint64_t)e->at.time_ms, e->at.number, 0);
		char *value = arena_alloc(&p->arena, 16 + e->message.n);
		number_put(value, stream);
		number_put(value + 8, (uint64_t)e->ingested_ms);
		memcpy(value + 16, e->message.p, e->message.n);
		store_put(t, keep_str(&key), str_of(value, 16 + e->message.n));
	}
	for (size_t i = 0; i < p->count; i++) {
		const struct log_event *e = &p->events[i];
		struct keep_key key = keep_key('s', 4, p->group_id, stream, (uint64_t)e->at.time_ms, e->at.number);
		store_put(t, keep_str(&key), S(""));
	}
}

void logs_append(struct logs *l, uint64_t group, uint64_t stream, const struct log_input *events, size_t count, int64_t now_ms,
                 logs_done *done, void *ctx)
{
	struct append *p = calloc(1, sizeof(*p));
	if (!p)
		die("out of memory (logs)");
	arena_init(&p->arena, 0);
	list_init(&p->link);
	list_push(&l->appends, &p->link);
	p->logs = l;
	p->group_id = group;
	p->count = count;
	p->done = done;
	p->ctx = ctx;
	p->events = arena_array(&p->arena, count, sizeof(*p->events));
	for (size_t i = 0; i < count; i++) {
		p->events[i] = (struct log_event){.at = {events[i].time_ms, l->next_number++},
		                                  .ingested_ms = now_ms,
		                                  .stream = stream,
		                                  .message = arena_dup(&p->arena, events[i].message)};
		p->bytes += (int64_t)events[i].message.n + LOG_EVENT_OVERHEAD_BYTES;
	}
	p->group = keep_use(l, group, 0);
	p->stream = keep_use(l, group, stream);
	total_add(p->group, p->bytes, now_ms);
	total_add(p->stream, p->bytes, now_ms);
	struct store_txn *t = store_begin(l->store, &p->arena);
	append_put(p, t, stream);
	keep_put_total(t, p->group);
	keep_put_total(t, p->stream);
	char next[8];
	number_put(next, l->next_number);
	store_put(t, S("n"), str_of(next, sizeof(next)));
	store_commit(t, append_done, p);
}

/* --- walking */

struct logs_walk {
	struct store_txn *txn;
	struct store_iter *iter;
	uint64_t group, stream;
};

struct logs_walk *logs_walk(struct logs *l, struct arena *a, uint64_t group, uint64_t stream, struct log_position from,
                            struct log_position to, bool descending)
{
	struct logs_walk *w = arena_new(a, struct logs_walk);
	*w = (struct logs_walk){.txn = store_begin(l->store, a), .group = group, .stream = stream};
	struct keep_key low, high;
	if (stream) {
		low = keep_key('s', 4, group, stream, (uint64_t)from.time_ms, from.number);
		high = keep_key('s', 4, group, stream, (uint64_t)to.time_ms, to.number);
	} else {
		low = keep_key('e', 3, group, (uint64_t)from.time_ms, from.number, 0);
		high = keep_key('e', 3, group, (uint64_t)to.time_ms, to.number, 0);
	}
	w->iter = store_scan(w->txn, keep_str(&low), keep_str(&high), descending);
	return w;
}

bool logs_walk_next(struct logs_walk *w, struct log_event *ret)
{
	struct str key;
	struct store_value v;
	for (;;) {
		if (!store_next(w->iter, &key, &v))
			return false;
		const char *at = key.p + (w->stream ? 17 : 9);
		ret->at = (struct log_position){(int64_t)keep_number(at), keep_number(at + 8)};
		if (w->stream) {
			struct keep_key event = keep_key('e', 3, w->group, (uint64_t)ret->at.time_ms, ret->at.number, 0);
			if (!store_get(w->txn, keep_str(&event), &v))
				continue;
		}
		if (v.value.n < 16)
			continue;
		ret->stream = keep_number(v.value.p);
		ret->ingested_ms = (int64_t)keep_number(v.value.p + 8);
		ret->message = str_from_at(v.value, 16);
		return true;
	}
}

void logs_walk_end(struct logs_walk *w)
{
	store_abort(w->txn);
}

/* --- listening */

struct logs_ear *logs_listen(struct logs *l, logs_heard *fn, void *ctx)
{
	struct logs_ear *ear = calloc(1, sizeof(*ear));
	if (!ear)
		die("out of memory (logs)");
	*ear = (struct logs_ear){.logs = l, .fn = fn, .ctx = ctx};
	list_init(&ear->link);
	list_push(&l->ears, &ear->link);
	return ear;
}

void logs_unlisten(struct logs_ear *ear)
{
	if (!ear)
		return;
	ear->fn = NULL;
	if (ear->logs->telling)
		return; /* append_tell() frees it */
	list_remove(&ear->link);
	free(ear);
}

/* --- opening */

void logs_make(const char *dir, bool ephemeral)
{
	store_make(&(struct store_config){.path = dir, .ephemeral = ephemeral, .history = STORE_NO_HISTORY});
}

int logs_open(struct logs **ret, struct loop *loop, const char *dir, bool ephemeral, char ret_why[static 200])
{
	struct logs *l = calloc(1, sizeof(*l));
	if (!l)
		die("out of memory (logs)");
	const struct store_config config = {.path = dir, .ephemeral = ephemeral, .history = STORE_NO_HISTORY};
	int r = store_open(&l->store, loop, &config, ret_why);
	if (r < 0) {
		free(l);
		return r;
	}
	l->loop = loop;
	list_init(&l->ears);
	list_init(&l->appends);
	list_init(&l->purges);
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	struct store_txn *t = store_begin(l->store, &a);
	struct store_value v;
	if (store_get(t, S("n"), &v) && v.value.n == 8)
		l->next_number = keep_number(v.value.p);
	store_abort(t);
	*ret = l;
	return 0;
}

void logs_close(struct logs *l)
{
	if (!l)
		return;
	store_close(l->store);
	keep_close_purges(l);
	list_each (&l->appends, struct append, link, p)
		append_free(p);
	size_t at = 0;
	struct str key;
	void *live;
	while (map_next(&l->live, &at, &key, &live))
		free(live);
	map_done(&l->live);
	list_each (&l->ears, struct logs_ear, link, ear)
		free(ear);
	free(l);
}

/* Watches. A live one is fed with the writes of each transaction just before the transaction's done.
 *
 * A watch that starts in the past first gets a replay, gathered when it is made and delivered at the next chance. The
 * history keeps keys, not values, so a replay is compacted: each key that has changed gets one event, with its newest
 * value and revision, in order of revision; what it was in between is not told. */
#include "backend.h"

#include "base/log.h"

#include <stdlib.h>

struct replay {
	struct replay *next;
	struct store_event e;
};

struct store_watch {
	struct list link;
	struct store *store;
	struct str from, to;
	uint64_t seen; /* events up to this revision are not for it */
	store_watch_fn *fn;
	void *ctx;
	bool dead;
	struct replay *replay;    /* in order */
	struct loop_timer *timer; /* delivers the replay when no commit does so earlier */
	struct arena arena;       /* range and replay */
};

static void watch_free(struct store_watch *w)
{
	list_remove(&w->link);
	loop_remove_timer(w->store->loop, w->timer);
	arena_done(&w->arena);
	free(w);
}

static void watch_sweep(struct store *s)
{
	if (s->delivering || !s->dead_watches)
		return;
	s->dead_watches = false;
	list_each (&s->watches, struct store_watch, link, w)
		if (w->dead)
			watch_free(w);
}

static bool watch_covers(const struct store_watch *w, struct str key)
{
	return str_cmp(key, w->from) >= 0 && (!str_set(w->to) || str_cmp(key, w->to) < 0);
}

/* Can any of the keys from first to last be the watch's? */
static bool watch_reaches(const struct store_watch *w, struct str first, struct str last)
{
	return str_cmp(last, w->from) >= 0 && (!str_set(w->to) || str_cmp(first, w->to) < 0);
}

static void watch_replay(struct store_watch *w)
{
	struct replay *r = w->replay;
	w->replay = NULL;
	for (; r && !w->dead; r = r->next)
		w->fn(w->ctx, &r->e);
}

void watch_deliver(struct store *s, const struct store_txn *t)
{
	s->delivering = true;
	list_each (&s->watches, struct store_watch, link, w) {
		if (w->seen >= t->revision)
			continue;
		watch_replay(w);
		if (!t->write_count || !watch_reaches(w, t->writes[0]->key, t->writes[t->write_count - 1]->key))
			continue;
		for (size_t i = 0; i < t->write_count && !w->dead; i++) {
			const struct store_write *write = t->writes[i];
			if (write->same || !watch_covers(w, write->key))
				continue;
			const struct store_event e = {
			        .key = write->key, .value = write->value, .revision = t->revision, .created = write->created};
			w->fn(w->ctx, &e);
		}
	}
	s->delivering = false;
	watch_sweep(s);
}

static void watch_on_timer(void *ctx)
{
	struct store_watch *w = ctx;
	struct store *s = w->store;
	w->timer = NULL;
	s->delivering = true;
	watch_replay(w);
	s->delivering = false;
	watch_sweep(s);
}

/* --- gathering a replay: the history comes newest first, so the first change met of a key is the one to tell */

struct gather {
	struct store_watch *watch;
	struct store_reader *reader;
	struct map keys;
	uint64_t after;
};

static void gather_change(void *ctx, struct str key, bool deleted, uint64_t revision)
{
	struct gather *g = ctx;
	struct store_watch *w = g->watch;
	if (!watch_covers(w, key) || map_get(&g->keys, key))
		return;
	struct replay *r = arena_new(&w->arena, struct replay);
	map_put(&g->keys, key, r);
	r->e.key = arena_dup(&w->arena, key);
	r->e.revision = revision;
	struct store_value v;
	if (!deleted && w->store->ops->get(g->reader, key, &v)) {
		r->e.value = arena_dup(&w->arena, v.value);
		r->e.created = v.created > g->after;
	}
	r->next = w->replay;
	w->replay = r;
}

static bool watch_gather(struct store_watch *w, uint64_t after)
{
	struct gather g = {.watch = w, .after = after};
	const struct store_ops *ops = w->store->ops;
	uint64_t newest = 0;
	g.reader = ops->read_begin(w->store->backend, &newest);
	bool whole = ops->changes(g.reader, after, gather_change, &g);
	ops->read_end(g.reader);
	map_done(&g.keys);
	if (newest > w->seen)
		w->seen = newest;
	return whole;
}

struct store_watch *store_watch(struct store *s, struct str from, struct str to, uint64_t after, store_watch_fn *fn, void *ctx)
{
	struct store_watch *w = calloc(1, sizeof(*w));
	if (!w)
		die("out of memory (watch)");
	arena_init(&w->arena, 0);
	list_init(&w->link);
	w->store = s;
	w->from = arena_dup(&w->arena, from);
	w->to = arena_dup(&w->arena, to);
	w->seen = after;
	w->fn = fn;
	w->ctx = ctx;
	if (after < s->revision && !watch_gather(w, after)) {
		watch_free(w);
		return NULL;
	}
	if (w->replay)
		w->timer = loop_add_timer(s->loop, 0, watch_on_timer, w);
	list_push(&s->watches, &w->link);
	return w;
}

void store_unwatch(struct store_watch *w)
{
	if (!w)
		return;
	/* Its place in the list, and the event in hand, may be in use further up the stack. */
	w->dead = true;
	w->store->dead_watches = true;
	watch_sweep(w->store);
}

void watch_close(struct store *s)
{
	list_each (&s->watches, struct store_watch, link, w)
		watch_free(w);
}

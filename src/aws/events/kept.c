#include "kept.h"

#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FORGET_AT_ONCE = 1000, DIGEST_DIGITS = 32 };

struct kept_events {
	struct store *store;
};

struct kept_events *kept_open(struct events_state *s, bool make)
{
	char dir[4096], why[200];
	if (s->kept)
		return s->kept;
	snprintf(dir, sizeof(dir), "%s/events", s->cloud->data_dir);
	if (!make && access(dir, F_OK) < 0)
		return NULL;
	struct kept_events *k = calloc(1, sizeof(*k));
	if (!k)
		die("out of memory (events)");
	const struct store_config config = {.path = dir, .ephemeral = s->cloud->ephemeral, .history = STORE_NO_HISTORY};
	if (store_open(&k->store, s->cloud->loop, &config, why) < 0) {
		log_error("events: %s", why);
		free(k);
		return NULL;
	}
	return s->kept = k;
}

void kept_close(struct kept_events *k)
{
	if (!k)
		return;
	store_settle(k->store);
	store_close(k->store);
	free(k);
}

struct str kept_archive(struct arena *a, struct str account, struct str region, struct str name)
{
	return KEY_UNDER(a, account, region, name);
}

static struct str key_at(struct arena *a, struct str archive, int64_t time_ms)
{
	return ARENA_CAT(a, archive, arena_printf(a, "%016llx", (unsigned long long)(time_ms > 0 ? time_ms : 0)));
}

void kept_put(struct kept_events *k, struct arena *a, struct str archive, int64_t time_ms, struct str text, store_done *done,
              void *ctx)
{
	struct store_txn *t = store_begin(k->store, a);
	/* The same event has the same text, with its id. */
	store_put(t, ARENA_CAT(a, key_at(a, archive, time_ms), str_sub(hash_hex(a, HASH_SHA256, text), 0, DIGEST_DIGITS)), text);
	store_commit(t, done, ctx);
}

void kept_count(struct kept_events *k, struct str archive, int64_t *ret_count, int64_t *ret_bytes)
{
	struct arena CLEAN_ARENA a = {0};
	struct store_value v;
	struct str key;
	*ret_count = *ret_bytes = 0;
	if (!k)
		return;
	struct store_txn *t = store_begin(k->store, &a);
	struct store_iter *i = store_scan(t, archive, store_prefix_end(&a, archive), false);
	while (store_next(i, &key, &v)) {
		++*ret_count;
		*ret_bytes += (int64_t)v.value.n;
	}
	store_abort(t);
}

size_t kept_read(struct kept_events *k, struct arena *a, struct str archive, int64_t from_ms, int64_t to_ms, struct str after,
                 struct kept_event *ret, size_t room)
{
	struct str from = str_set(after) ? ARENA_CAT(a, archive, after, str_of("", 1)) : key_at(a, archive, from_ms), key;
	struct store_value v;
	size_t n = 0;
	if (!k)
		return 0;
	struct store_txn *t = store_begin(k->store, a);
	struct store_iter *i = store_scan(t, from, key_at(a, archive, to_ms), false);
	while (n < room && store_next(i, &key, &v)) {
		struct str place = arena_dup(a, str_from_at(key, archive.n));
		unsigned long long time_ms = strtoull(arena_dupz(a, str_sub(place, 0, 16)), NULL, 16);
		ret[n++] = (struct kept_event){arena_dup(a, v.value), place, (int64_t)time_ms};
	}
	store_abort(t);
	return n;
}

/* --- forgetting, a piece at a time */

struct forgetting {
	struct arena arena;
	struct kept_events *kept;
	struct str archive;
	int64_t before_ms;
	bool more;
};

static void forget_some(struct forgetting *f);

static void forgotten(void *ctx, int result, uint64_t revision)
{
	struct forgetting *f = ctx;
	(void)revision;
	if (result < 0)
		log_error("events: an archive's events could not be deleted: %s", strerror(-result));
	if (result >= 0 && f->more) {
		forget_some(f);
		return;
	}
	arena_done(&f->arena);
	free(f);
}

static void forget_some(struct forgetting *f)
{
	struct store_txn *t = store_begin(f->kept->store, &f->arena);
	struct str end = f->before_ms == INT64_MAX ? store_prefix_end(&f->arena, f->archive)
	                                           : key_at(&f->arena, f->archive, f->before_ms),
	           key;
	struct store_iter *i = store_scan(t, f->archive, end, false);
	struct store_value v;
	struct str_list gone = {0};
	while (gone.n < FORGET_AT_ONCE && store_next(i, &key, &v))
		*LIST_ADD(&f->arena, &gone) = arena_dup(&f->arena, key);
	for (uint32_t n = 0; n < gone.n; n++)
		store_delete(t, gone.v[n]);
	f->more = gone.n == FORGET_AT_ONCE;
	store_commit(t, forgotten, f);
}

void kept_forget(struct kept_events *k, struct str archive, int64_t before_ms)
{
	if (!k)
		return;
	struct forgetting *f = calloc(1, sizeof(*f));
	if (!f)
		die("out of memory (events)");
	*f = (struct forgetting){.kept = k, .before_ms = before_ms};
	f->archive = arena_dup(&f->arena, archive);
	forget_some(f);
}

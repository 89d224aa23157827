/* What every backend of store.h must do, written against store.h alone. */
#include "unit.h"

#include "base/buf.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct fixture {
	struct loop *loop;
	struct store *store;
	struct arena arena;
	char dir[64];
	struct buf seen; /* what a watch saw, one "revision key=value" (or "-key") a line */
	uint64_t history;
};

static void fixture_open(struct fixture *f)
{
	char why[200] = "";
	f->loop = loop_new();
	const struct store_config config = {.path = f->dir, .map_bytes = (size_t)1 << 30, .history = f->history};
	if (store_open(&f->store, f->loop, &config, why) < 0)
		fail_msg("%s", why);
}

static void fixture_close(struct fixture *f)
{
	store_close(f->store);
	loop_free(f->loop);
}

static void fixture_restart(struct fixture *f)
{
	fixture_close(f);
	fixture_open(f);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	strcpy(f->dir, "/tmp/store_contract.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	arena_init(&f->arena, 0);
	buf_init(&f->seen, 1 << 20);
	fixture_open(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	fixture_close(f);
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	arena_done(&f->arena);
	buf_done(&f->seen);
	free(f);
	return 0;
}

struct outcome {
	int left, result;
	uint64_t revision;
};

static void note_done(void *ctx, int result, uint64_t revision)
{
	struct outcome *o = ctx;
	o->left--;
	o->result = result;
	o->revision = revision;
}

static void wait_for(struct fixture *f, const struct outcome *o)
{
	for (int i = 0; i < 1000 && o->left > 0; i++)
		loop_turn(f->loop, 10000);
	assert_int_equal(o->left, 0);
}

/* Commits and waits. */
static struct outcome commit(struct fixture *f, struct store_txn *t)
{
	struct outcome o = {.left = 1};
	store_commit(t, note_done, &o);
	wait_for(f, &o);
	return o;
}

static struct store_txn *begin(struct fixture *f)
{
	return store_begin(f->store, &f->arena);
}

static uint64_t put(struct fixture *f, const char *key, const char *value)
{
	struct store_txn *t = begin(f);
	store_put(t, str_from(key), str_from(value));
	struct outcome o = commit(f, t);
	assert_int_equal(o.result, 0);
	return o.revision;
}

static void drop(struct fixture *f, const char *key)
{
	struct store_txn *t = begin(f);
	store_delete(t, str_from(key));
	assert_int_equal(commit(f, t).result, 0);
}

static bool get_in(struct store_txn *t, const char *key, struct store_value *ret)
{
	return store_get(t, str_from(key), ret);
}

static struct str get(struct fixture *f, const char *key)
{
	struct store_txn *t = begin(f);
	struct store_value v;
	struct str found = get_in(t, key, &v) ? arena_dup(&f->arena, v.value) : STR_NONE;
	store_abort(t);
	return found;
}

/* The keys of a walk, separated by spaces; at most n. */
static struct str walk_in(struct fixture *f, struct store_txn *t, struct str from, struct str to, bool descending, int n)
{
	struct buf b;
	buf_init(&b, 1 << 20);
	struct store_iter *i = store_scan(t, from, to, descending);
	struct str key;
	struct store_value v;
	for (; n > 0 && store_next(i, &key, &v); n--)
		buf_printf(&b, "%s%.*s", b.n ? " " : "", STR_ARG(key));
	struct str s = arena_dup(&f->arena, buf_str(&b));
	buf_done(&b);
	return s;
}

static struct str walk(struct fixture *f, struct str from, struct str to, bool descending)
{
	struct store_txn *t = begin(f);
	struct str s = walk_in(f, t, from, to, descending, 1000);
	store_abort(t);
	return s;
}

/* --- reading and writing */

static void writes_are_read_back(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(store_revision(f->store), 0);
	assert_int_equal(put(f, "a", "1"), 1);
	assert_int_equal(put(f, "b", ""), 2);
	assert_int_equal(put(f, "a", "2"), 3);
	assert_int_equal(store_revision(f->store), 3);
	struct store_txn *t = begin(f);
	struct store_value v;
	assert_true(get_in(t, "a", &v));
	assert_str(v.value, "2");
	assert_int_equal(v.created, 1);
	assert_int_equal(v.modified, 3);
	assert_int_equal(v.lease, 0);
	assert_true(get_in(t, "b", &v));
	assert_int_equal(v.value.n, 0);
	assert_non_null(v.value.p);
	assert_false(get_in(t, "c", &v));
	assert_false(get_in(t, "", &v));
	assert_str(v.value, ""); /* untouched by the misses */
	store_abort(t);
	drop(f, "a");
	assert_false(str_set(get(f, "a")));
	put(f, "a", "3");
	t = begin(f);
	assert_true(get_in(t, "a", &v));
	assert_int_equal(v.created, v.modified); /* born again */
	store_abort(t);
}

static void bytes_are_bytes(void **state)
{
	struct fixture *f = *state;
	struct store_txn *t = begin(f);
	store_put(t, S("\0\xff\0"), S("a\0b"));
	store_put(t, S("\0\xff"), S("short"));
	assert_int_equal(commit(f, t).result, 0);
	t = begin(f);
	struct store_value v;
	assert_true(store_get(t, S("\0\xff\0"), &v));
	assert_true(str_eq(v.value, S("a\0b")));
	struct store_iter *i = store_scan(t, S(""), STR_NONE, false);
	struct str key;
	assert_true(store_next(i, &key, &v));
	assert_true(str_eq(key, S("\0\xff")));
	assert_true(store_next(i, &key, &v));
	assert_true(str_eq(key, S("\0\xff\0")));
	assert_false(store_next(i, &key, &v));
	store_abort(t);
}

static void a_transaction_is_all_or_nothing(void **state)
{
	struct fixture *f = *state;
	char long_key[481];
	memset(long_key, 'k', sizeof(long_key));
	struct store_txn *t = begin(f);
	store_put(t, S("a"), S("1"));
	store_put(t, str_of(long_key, 481), S("x"));
	assert_int_equal(commit(f, t).result, -ENAMETOOLONG);
	assert_false(str_set(get(f, "a")));
	t = begin(f);
	store_put(t, str_of(long_key, 480), S("x"));
	assert_int_equal(commit(f, t).result, 0);
	t = begin(f);
	store_put(t, S(""), S("x"));
	assert_int_equal(commit(f, t).result, -EINVAL);
	t = begin(f);
	store_put(t, S("a"), S("gone"));
	store_abort(t);
	assert_false(str_set(get(f, "a")));
	assert_int_equal(store_revision(f->store), 1);
}

static void large_values(void **state)
{
	struct fixture *f = *state;
	size_t n = 16 * 1024 * 1024;
	char *p = malloc(n + 1);
	memset(p, 'x', n + 1);
	struct store_txn *t = begin(f);
	store_put(t, S("big"), str_of(p, n));
	assert_int_equal(commit(f, t).result, 0);
	t = begin(f);
	struct store_value v;
	assert_true(get_in(t, "big", &v));
	assert_true(str_eq(v.value, str_of(p, n)));
	store_abort(t);
	t = begin(f);
	store_put(t, S("bigger"), str_of(p, n + 1));
	assert_int_equal(commit(f, t).result, -EFBIG);
	free(p);
}

static void a_transaction_without_writes_ends_at_once(void **state)
{
	struct fixture *f = *state;
	put(f, "a", "1");
	struct store_txn *t = begin(f);
	struct store_value v;
	assert_true(get_in(t, "a", &v));
	assert_false(store_dirty(t));
	struct outcome o = {.left = 1, .result = 99};
	store_commit(t, note_done, &o);
	assert_int_equal(o.left, 0);
	assert_int_equal(o.result, 0);
	assert_int_equal(o.revision, 1);
}

static void deleting_nothing_changes_nothing(void **state)
{
	struct fixture *f = *state;
	put(f, "a", "1");
	struct store_txn *t = begin(f);
	store_delete(t, S("b"));
	assert_true(store_dirty(t));
	assert_int_equal(commit(f, t).result, 0);
	assert_int_equal(store_revision(f->store), 1);
}

static void snapshots_stand_still(void **state)
{
	struct fixture *f = *state;
	put(f, "a", "1");
	struct store_txn *t = begin(f);
	struct store_value v;
	assert_true(get_in(t, "a", &v));
	put(f, "a", "2");
	put(f, "b", "2");
	assert_true(get_in(t, "a", &v));
	assert_str(v.value, "1");
	assert_false(get_in(t, "b", &v));
	assert_str(walk_in(f, t, S(""), STR_NONE, false, 10), "a");
	store_abort(t);
	assert_str(get(f, "a"), "2");
}

/* --- walking */

static void fill(struct fixture *f, const char *keys)
{
	struct store_txn *t = begin(f);
	struct str rest = str_from(keys);
	while (str_set(rest))
		store_put(t, str_cut(&rest, ' '), S("v"));
	assert_int_equal(commit(f, t).result, 0);
}

static void walks_keep_to_their_range(void **state)
{
	struct fixture *f = *state;
	assert_str(walk(f, S(""), STR_NONE, false), "");
	assert_str(walk(f, S(""), STR_NONE, true), "");
	fill(f, "a b ba bb c d");
	assert_str(walk(f, S(""), STR_NONE, false), "a b ba bb c d");
	assert_str(walk(f, S(""), STR_NONE, true), "d c bb ba b a");
	assert_str(walk(f, S("b"), S("c"), false), "b ba bb");
	assert_str(walk(f, S("b"), S("c"), true), "bb ba b");
	assert_str(walk(f, S("aa"), S("bb"), true), "ba b");
	assert_str(walk(f, S("c"), S("b"), false), "");
	assert_str(walk(f, S("c"), S("c"), true), "");
	assert_str(walk(f, S("d"), STR_NONE, true), "d");
	assert_str(walk(f, S("x"), STR_NONE, false), "");
	assert_str(walk(f, S("x"), S("z"), true), "");
	assert_str(walk(f, S(""), S(""), true), "");
	assert_str(walk(f, S("b"), store_prefix_end(&f->arena, S("b")), false), "b ba bb");
}

static void prefix_ends(void **state)
{
	struct fixture *f = *state;
	assert_str(store_prefix_end(&f->arena, S("ab")), "ac");
	assert_true(str_eq(store_prefix_end(&f->arena, S("a\xff")), S("b")));
	assert_true(str_eq(store_prefix_end(&f->arena, S("a\x7f")), S("a\x80")));
	assert_false(str_set(store_prefix_end(&f->arena, S("\xff\xff"))));
	assert_false(str_set(store_prefix_end(&f->arena, S(""))));
}

static void own_writes_are_seen(void **state)
{
	struct fixture *f = *state;
	fill(f, "b d f");
	struct store_txn *t = begin(f);
	struct store_value v;
	store_put(t, S("c"), S("new"));
	store_put(t, S("d"), S("changed"));
	store_delete(t, S("f"));
	store_put(t, S("g"), S("1"));
	store_delete(t, S("g"));
	store_put(t, S("a"), S("1"));
	store_put(t, S("a"), S("2"));
	assert_true(get_in(t, "d", &v));
	assert_str(v.value, "changed");
	assert_int_equal(v.modified, 0);
	assert_false(get_in(t, "f", &v));
	assert_false(get_in(t, "g", &v));
	assert_str(walk_in(f, t, S(""), STR_NONE, false, 10), "a b c d");
	assert_str(walk_in(f, t, S(""), STR_NONE, true, 10), "d c b a");
	assert_str(walk_in(f, t, S("b"), S("d"), false, 10), "b c");
	assert_str(walk_in(f, t, S("b"), S("d"), true, 10), "c b");
	assert_int_equal(commit(f, t).result, 0);
	assert_str(walk(f, S(""), STR_NONE, false), "a b c d");
	assert_str(get(f, "a"), "2");
	assert_str(get(f, "d"), "changed");
}

static void a_walk_may_delete_what_it_meets(void **state)
{
	struct fixture *f = *state;
	fill(f, "a b c d");
	for (int descending = 0; descending < 2; descending++) {
		struct store_txn *t = begin(f);
		struct store_iter *i = store_scan(t, S("b"), STR_NONE, descending);
		struct str key;
		struct store_value v;
		int n = 0;
		while (store_next(i, &key, &v)) {
			store_delete(t, key);
			n++;
		}
		assert_int_equal(n, 3);
		assert_str(walk_in(f, t, S(""), STR_NONE, false, 10), "a");
		store_abort(t);
	}
}

/* --- conflicts */

static void of_two_creators_one_wins(void **state)
{
	struct fixture *f = *state;
	struct store_txn *t[3];
	struct outcome o[3] = {{.left = 1}, {.left = 1}, {.left = 1}};
	struct store_value v;
	for (int i = 0; i < 3; i++) {
		t[i] = begin(f);
		assert_false(get_in(t[i], "name", &v));
		store_put(t[i], S("name"), i == 0 ? S("0") : S("other"));
	}
	for (int i = 0; i < 3; i++)
		store_commit(t[i], note_done, &o[i]);
	for (int i = 0; i < 3; i++)
		wait_for(f, &o[i]);
	assert_int_equal(o[0].result, 0);
	assert_int_equal(o[1].result, -EAGAIN);
	assert_int_equal(o[2].result, -EAGAIN);
	assert_str(get(f, "name"), "0");
	assert_int_equal(store_revision(f->store), 1);
}

/* Runs `read`, lets `change` happen, then commits a write elsewhere; says the result. */
struct race {
	const char *what;
	void (*read)(struct fixture *f, struct store_txn *t);
	const char *put, *drop;
	int want;
};

static void read_k(struct fixture *f, struct store_txn *t)
{
	(void)f;
	struct store_value v;
	get_in(t, "k", &v);
}
static void read_absent(struct fixture *f, struct store_txn *t)
{
	(void)f;
	struct store_value v;
	assert_false(get_in(t, "kk", &v));
}
static void walk_all(struct fixture *f, struct store_txn *t)
{
	walk_in(f, t, S("k"), S("l"), false, 100);
}
static void walk_two(struct fixture *f, struct store_txn *t)
{
	assert_str(walk_in(f, t, S("k"), S("l"), false, 2), "k k3");
}
static void walk_two_down(struct fixture *f, struct store_txn *t)
{
	assert_str(walk_in(f, t, S("k"), S("l"), true, 2), "k7 k5");
}
static void walk_none(struct fixture *f, struct store_txn *t)
{
	store_scan(t, S("k"), S("l"), false);
	(void)f;
}
static void walk_empty(struct fixture *f, struct store_txn *t)
{
	assert_str(walk_in(f, t, S("x"), S("y"), true, 2), "");
}

static void what_was_read_must_not_have_changed(void **state)
{
	struct fixture *f = *state;
	const struct race races[] = {
	        {"key changed", read_k, "k", NULL, -EAGAIN},
	        {"key deleted", read_k, NULL, "k", -EAGAIN},
	        {"other key changed", read_k, "k3", NULL, 0},
	        {"absent key created", read_absent, "kk", NULL, -EAGAIN},
	        {"phantom inside", walk_all, "k4", NULL, -EAGAIN},
	        {"phantom at the end", walk_all, "k9", NULL, -EAGAIN},
	        {"change inside", walk_all, "k5", NULL, -EAGAIN},
	        {"delete inside", walk_all, NULL, "k3", -EAGAIN},
	        {"delete of nothing inside", walk_all, NULL, "k4", 0},
	        {"behind the range", walk_all, "l", NULL, 0},
	        {"before the range", walk_all, "j", NULL, 0},
	        {"phantom before the stop", walk_two, "k2", NULL, -EAGAIN},
	        {"change at the stop", walk_two, "k3", NULL, -EAGAIN},
	        {"phantom behind the stop", walk_two, "k31", NULL, 0},
	        {"next one changed", walk_two, "k5", NULL, 0},
	        {"down: phantom above the stop", walk_two_down, "k8", NULL, -EAGAIN},
	        {"down: at the stop", walk_two_down, "k5", NULL, -EAGAIN},
	        {"down: below the stop", walk_two_down, "k4", NULL, 0},
	        {"nothing walked", walk_none, "k", NULL, 0},
	        {"phantom in an empty range", walk_empty, "x1", NULL, -EAGAIN},
	        {"next to an empty range", walk_empty, "y", NULL, 0},
	};
	for (size_t i = 0; i < sizeof(races) / sizeof(races[0]); i++) {
		const struct race *r = &races[i];
		struct store_txn *t = begin(f);
		struct store_iter *all = store_scan(t, S(""), STR_NONE, false);
		struct str key;
		struct store_value v;
		while (store_next(all, &key, &v))
			store_delete(t, key);
		assert_int_equal(commit(f, t).result, 0);
		fill(f, "k k3 k5 k7");
		t = begin(f);
		r->read(f, t);
		store_put(t, S("elsewhere"), S("1"));
		if (r->put)
			put(f, r->put, "changed");
		else
			drop(f, r->drop);
		struct outcome o = commit(f, t);
		if (o.result != r->want)
			fail_msg("%s: %d instead of %d", r->what, o.result, r->want);
		assert_int_equal(str_set(get(f, "elsewhere")), r->want == 0);
	}
}

static void conditions_are_checked(void **state)
{
	struct fixture *f = *state;
	uint64_t a = put(f, "a", "1");
	struct store_txn *t = begin(f);
	store_expect(t, S("a"), a);
	store_expect(t, S("b"), 0);
	store_put(t, S("c"), S("1"));
	assert_int_equal(commit(f, t).result, 0);
	t = begin(f);
	store_expect(t, S("a"), a + 1);
	store_put(t, S("c"), S("2"));
	assert_int_equal(commit(f, t).result, -EAGAIN);
	t = begin(f);
	store_expect(t, S("a"), 0);
	store_put(t, S("c"), S("2"));
	assert_int_equal(commit(f, t).result, -EAGAIN);
	assert_str(get(f, "c"), "1");
}

static void old_walks_conflict_rather_than_lie(void **state)
{
	struct fixture *f = *state;
	struct store_txn *old = begin(f), *fresh;
	walk_in(f, old, S("a"), S("b"), false, 10);
	store_put(old, S("result"), S("1"));
	/* So many changes elsewhere that a backend may have forgotten the first ones; one of those is in the range. */
	put(f, "a1", "1");
	for (int i = 0; i < 20; i++) {
		fresh = begin(f);
		for (int j = 0; j < 500; j++)
			store_put(fresh, arena_printf(&f->arena, "x%d", j), S("v"));
		assert_int_equal(commit(f, fresh).result, 0);
	}
	assert_int_equal(commit(f, old).result, -EAGAIN);
	fresh = begin(f);
	walk_in(f, fresh, S("a"), S("b"), false, 10);
	store_put(fresh, S("result"), S("1"));
	assert_int_equal(commit(f, fresh).result, 0);
}

static void many_at_once(void **state)
{
	struct fixture *f = *state;
	enum { N = 2000 };
	struct outcome good = {.left = N}, bad = {.left = N};
	struct store_value v;
	put(f, "hot", "0");
	/* Every second one has read a key that the one before it writes, so all but the first of those fail. */
	for (int i = 0; i < N; i++) {
		struct store_txn *t = begin(f);
		store_put(t, arena_printf(&f->arena, "key%d", i), arena_printf(&f->arena, "%d", i));
		store_commit(t, note_done, &good);
		t = begin(f);
		store_get(t, S("hot"), &v);
		store_put(t, S("hot"), arena_printf(&f->arena, "%.*s+", STR_ARG(v.value)));
		store_commit(t, note_done, &bad);
	}
	wait_for(f, &good);
	wait_for(f, &bad);
	for (int i = 0; i < N; i += 97)
		assert_str(get(f, arena_printf(&f->arena, "key%d", i).p), arena_printf(&f->arena, "%d", i).p);
	/* As many pluses as winners: each changed the revision once, besides the N others and the first. */
	assert_int_equal(get(f, "hot").n - 1, store_revision(f->store) - N - 1);
	assert_true(get(f, "hot").n >= 2);
}

/* --- persistence */

static void everything_survives_a_restart(void **state)
{
	struct fixture *f = *state;
	fill(f, "a b c");
	drop(f, "b");
	put(f, "c", "new");
	fixture_restart(f);
	assert_int_equal(store_revision(f->store), 3);
	assert_str(walk(f, S(""), STR_NONE, false), "a c");
	struct store_txn *t = begin(f);
	struct store_value v;
	assert_true(get_in(t, "c", &v));
	assert_int_equal(v.created, 1);
	assert_int_equal(v.modified, 3);
	store_abort(t);
	assert_int_equal(put(f, "d", "1"), 4);
}

static void closing_finishes_what_was_committed(void **state)
{
	struct fixture *f = *state;
	struct outcome o = {.left = 100};
	for (int i = 0; i < 100; i++) {
		struct store_txn *t = begin(f);
		store_put(t, arena_printf(&f->arena, "k%02d", i), S("v"));
		store_commit(t, note_done, &o);
	}
	fixture_restart(f);
	assert_int_equal(o.left, 100); /* no callbacks any more */
	assert_int_equal(store_revision(f->store), 100);
	assert_str(get(f, "k99"), "v");
}

static void never(void *ctx, int result, uint64_t revision)
{
	(void)ctx;
	(void)result;
	(void)revision;
	fail_msg("a callback after store_settle()");
}

static void what_is_begun_outlives_its_owner(void **state)
{
	struct fixture *f = *state;
	char name[16], value[4096];
	for (unsigned i = 0; i < 50; i++) {
		struct arena *a = calloc(50, sizeof(*a));
		for (unsigned k = 0; k < 50; k++) {
			struct store_txn *t = store_begin(f->store, &a[k]);
			snprintf(name, sizeof(name), "k%02u", k);
			memset(value, 'a' + (int)(i + k) % 26, sizeof(value));
			store_put(t, str_from(name), str_of(value, sizeof(value)));
			store_commit(t, never, NULL);
		}
		store_settle(f->store);
		for (unsigned k = 0; k < 50; k++)
			arena_done(&a[k]);
		free(a);
		loop_turn(f->loop, 0); /* nobody is called */
		fixture_restart(f);
		struct store_txn *t = store_begin(f->store, &f->arena);
		for (unsigned k = 0; k < 50; k++) {
			struct store_value v;
			snprintf(name, sizeof(name), "k%02u", k);
			memset(value, 'a' + (int)(i + k) % 26, sizeof(value));
			assert_true(store_get(t, str_from(name), &v) && str_eq(v.value, str_of(value, sizeof(value))));
		}
		store_abort(t);
	}
}

static void one_owner_at_a_time(void **state)
{
	struct fixture *f = *state;
	struct store *second;
	char why[200] = "";
	const struct store_config config = {.path = f->dir, .map_bytes = (size_t)1 << 30};
	assert_int_equal(store_open(&second, f->loop, &config, why), -EBUSY);
	assert_non_null(strstr(why, "in use"));
	const struct store_config nowhere = {.path = "/proc/nowhere/store"};
	assert_true(store_open(&second, f->loop, &nowhere, why) < 0);
	assert_non_null(strstr(why, "/proc/nowhere/store"));
}

/* --- watches */

static void note_event(void *ctx, const struct store_event *e)
{
	struct fixture *f = ctx;
	if (str_set(e->value))
		buf_printf(&f->seen, "%lu %s%.*s=%.*s\n", e->revision, e->created ? "+" : "", STR_ARG(e->key), STR_ARG(e->value));
	else
		buf_printf(&f->seen, "%lu -%.*s\n", e->revision, STR_ARG(e->key));
}

static void note_commit(void *ctx, int result, uint64_t revision)
{
	struct fixture *f = ctx;
	assert_int_equal(result, 0);
	buf_printf(&f->seen, "done %lu\n", revision);
}

static void turn(struct fixture *f)
{
	for (int i = 0; i < 3; i++)
		loop_turn(f->loop, 1000);
}

static void watches_see_changes_before_done(void **state)
{
	struct fixture *f = *state;
	struct store_watch *w = store_watch(f->store, S("k"), S("l"), 0, note_event, f);
	for (int i = 0; i < 2; i++) {
		struct store_txn *t = begin(f);
		store_put(t, S("k1"), i ? S("b") : S("a"));
		store_put(t, S("k2"), S("x"));
		store_delete(t, S("k3"));
		store_put(t, S("j"), S("outside"));
		store_put(t, S("l"), S("outside"));
		store_commit(t, note_commit, f);
	}
	struct store_txn *t = begin(f);
	store_delete(t, S("k2"));
	store_commit(t, note_commit, f);
	for (int i = 0; i < 1000 && store_revision(f->store) < 3; i++)
		loop_turn(f->loop, 10000);
	assert_str(buf_str(&f->seen), "1 +k1=a\n1 +k2=x\ndone 1\n2 k1=b\n2 k2=x\ndone 2\n3 -k2\ndone 3\n");
	store_unwatch(w);
	store_unwatch(NULL);
	put(f, "k1", "unseen");
	turn(f);
	assert_null(strstr(f->seen.p, "unseen"));
}

static void watches_resume(void **state)
{
	struct fixture *f = *state;
	put(f, "k1", "a");
	put(f, "k2", "a");
	put(f, "k3", "a");
	put(f, "k1", "b");
	drop(f, "k2");
	put(f, "k4", "a");
	put(f, "k1", "c");
	for (int again = 0; again < 2; again++) {
		buf_clear(&f->seen);
		assert_non_null(store_watch(f->store, S("k"), S("l"), 2, note_event, f));
		assert_int_equal(f->seen.n, 0); /* never from inside the call */
		put(f, "k5", again ? "y" : "x");
		turn(f);
		/* One event a key, its newest state, in order; then what is live. */
		if (again)
			assert_str(buf_str(&f->seen), "3 +k3=a\n5 -k2\n6 +k4=a\n7 k1=c\n8 +k5=x\n9 k5=y\n");
		else
			assert_str(buf_str(&f->seen), "3 +k3=a\n5 -k2\n6 +k4=a\n7 k1=c\n8 +k5=x\n");
		fixture_restart(f); /* the history is kept, too */
	}
	buf_clear(&f->seen);
	assert_non_null(store_watch(f->store, S("k"), S("l"), store_revision(f->store), note_event, f));
	turn(f);
	assert_int_equal(f->seen.n, 0);
}

static void too_old_watches_are_refused(void **state)
{
	struct fixture *f = *state;
	fixture_close(f);
	f->history = 300;
	fixture_open(f);
	for (int i = 0; i < 40; i++) {
		struct store_txn *t = begin(f);
		for (int j = 0; j < 50; j++)
			store_put(t, arena_printf(&f->arena, "k%02d", j), arena_printf(&f->arena, "%d", i));
		assert_int_equal(commit(f, t).result, 0);
	}
	assert_null(store_watch(f->store, S("k"), S("l"), 0, note_event, f));
	assert_null(store_watch(f->store, S("k"), S("l"), 10, note_event, f));
	assert_non_null(store_watch(f->store, S("k"), S("l"), 35, note_event, f));
	turn(f);
	size_t lines = 0;
	for (size_t i = 0; i < f->seen.n; i++)
		lines += f->seen.p[i] == '\n';
	assert_int_equal(lines, 50);
	assert_non_null(strstr(f->seen.p, "40 k49=39\n"));
}

struct chain {
	struct fixture *f;
	struct store_watch *self, *other;
	int events;
};

static void unwatch_both(void *ctx, const struct store_event *e)
{
	(void)e;
	struct chain *c = ctx;
	c->events++;
	store_unwatch(c->self);
	store_unwatch(c->other);
}

static void watches_may_end_in_their_callback(void **state)
{
	struct fixture *f = *state;
	struct chain c = {.f = f};
	c.self = store_watch(f->store, S("k"), S("l"), 0, unwatch_both, &c);
	c.other = store_watch(f->store, S("k"), S("l"), 0, unwatch_both, &c);
	fill(f, "k1 k2 k3");
	assert_int_equal(c.events, 1);
	put(f, "k1", "x");
	assert_int_equal(c.events, 1);
}

/* --- leases */

static int put_leased(struct fixture *f, const char *key, int64_t lease)
{
	struct store_txn *t = begin(f);
	store_put_leased(t, str_from(key), S("v"), lease);
	return commit(f, t).result;
}

static bool gone_within(struct fixture *f, const char *key, int ms)
{
	for (int i = 0; i < ms; i++) {
		if (!str_set(get(f, key)))
			return true;
		loop_turn(f->loop, 1000);
	}
	return false;
}

static void leased_keys_go_with_their_lease(void **state)
{
	struct fixture *f = *state;
	int64_t lease = store_lease_grant(f->store, 500), other = store_lease_grant(f->store, 60000);
	assert_true(lease && other && lease != other);
	assert_int_equal(put_leased(f, "a", lease), 0);
	assert_int_equal(put_leased(f, "b", lease), 0);
	assert_int_equal(put_leased(f, "c", other), 0);
	assert_int_equal(put_leased(f, "d", lease), 0);
	put(f, "d", "no lease any more");
	assert_int_equal(put_leased(f, "e", lease), 0);
	assert_int_equal(put_leased(f, "e", other), 0);
	struct store_txn *t = begin(f);
	struct store_value v;
	assert_true(get_in(t, "c", &v));
	assert_int_equal(v.lease, other);
	store_abort(t);
	store_watch(f->store, S(""), STR_NONE, store_revision(f->store), note_event, f);
	assert_true(gone_within(f, "a", 3000));
	turn(f);
	assert_str(walk(f, S(""), STR_NONE, false), "c d e");
	assert_str(buf_str(&f->seen), "8 -a\n8 -b\n");
	assert_int_equal(store_lease_renew(f->store, lease), -ENOENT);
	assert_int_equal(put_leased(f, "x", lease), -ENOENT);
	assert_int_equal(store_lease_renew(f->store, other), 0);
	store_lease_revoke(f->store, other);
	store_lease_revoke(f->store, other);
	assert_true(gone_within(f, "c", 3000));
	assert_str(walk(f, S(""), STR_NONE, false), "d");
}

static void renewed_leases_live_on(void **state)
{
	struct fixture *f = *state;
	int64_t lease = store_lease_grant(f->store, 400);
	assert_int_equal(put_leased(f, "a", lease), 0);
	for (int i = 0; i < 6; i++) {
		assert_false(gone_within(f, "a", 90));
		assert_int_equal(store_lease_renew(f->store, lease), 0);
	}
	assert_true(gone_within(f, "a", 3000));
}

static void leases_survive_a_restart(void **state)
{
	struct fixture *f = *state;
	int64_t brief = store_lease_grant(f->store, 300), lasting = store_lease_grant(f->store, 60000);
	assert_int_equal(put_leased(f, "a", brief), 0);
	assert_int_equal(put_leased(f, "b", lasting), 0);
	fixture_close(f);
	usleep(310000);
	fixture_open(f);
	assert_int_equal(store_lease_renew(f->store, lasting), 0);
	assert_true(gone_within(f, "a", 3000));
	assert_str(get(f, "b"), "v");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        T(writes_are_read_back),
	        T(bytes_are_bytes),
	        T(a_transaction_is_all_or_nothing),
	        T(large_values),
	        T(a_transaction_without_writes_ends_at_once),
	        T(deleting_nothing_changes_nothing),
	        T(snapshots_stand_still),
	        T(walks_keep_to_their_range),
	        T(prefix_ends),
	        T(own_writes_are_seen),
	        T(a_walk_may_delete_what_it_meets),
	        T(of_two_creators_one_wins),
	        T(what_was_read_must_not_have_changed),
	        T(conditions_are_checked),
	        T(old_walks_conflict_rather_than_lie),
	        T(many_at_once),
	        T(everything_survives_a_restart),
	        T(closing_finishes_what_was_committed),
	        T(what_is_begun_outlives_its_owner),
	        T(one_owner_at_a_time),
	        T(watches_see_changes_before_done),
	        T(watches_resume),
	        T(too_old_watches_are_refused),
	        T(watches_may_end_in_their_callback),
	        T(leased_keys_go_with_their_lease),
	        T(renewed_leases_live_on),
	        T(leases_survive_a_restart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

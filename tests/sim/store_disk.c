/* A full disk: a small tmpfs in a mount namespace of our own. Transactions that do not fit fail alone and leave nothing; the store
 * stays good, and goes on when there is room again. */
#include "unit.h"

#include "base/hash.h"
#include "store/blob.h"
#include "store/store.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

enum { SKIP = 77 };

static char dir[] = "/tmp/store_disk.XXXXXX";

struct outcome {
	int left, result;
};

static void note_done(void *ctx, int result, uint64_t revision)
{
	struct outcome *o = ctx;
	(void)revision;
	o->left--;
	o->result = result;
}

static void wait_for(struct loop *l, const struct outcome *o)
{
	for (int i = 0; i < 1000 && o->left; i++)
		loop_turn(l, 10000);
	assert_int_equal(o->left, 0);
}

struct fixture {
	struct loop *loop;
	struct store *store;
	struct arena arena;
};

static void start(struct fixture *f, struct outcome *o, struct str key, struct str value)
{
	struct store_txn *t = store_begin(f->store, &f->arena);
	store_put(t, key, value);
	*o = (struct outcome){.left = 1};
	store_commit(t, note_done, o);
}

static int put(struct fixture *f, struct str key, struct str value)
{
	struct outcome o;
	start(f, &o, key, value);
	wait_for(f->loop, &o);
	return o.result;
}

static int keys(struct fixture *f)
{
	struct store_txn *t = store_begin(f->store, &f->arena);
	struct store_iter *i = store_scan(t, S(""), STR_NONE, false);
	struct str key;
	struct store_value v;
	int n = 0;
	for (; store_next(i, &key, &v); n++)
		assert_true(v.value.n == 10000 || v.value.n == 1);
	store_abort(t);
	return n;
}

static void fixture_open(struct fixture *f)
{
	char path[64], why[200];
	snprintf(path, sizeof(path), "%s/store", dir);
	f->loop = loop_new();
	const struct store_config config = {.path = path, .map_bytes = (size_t)1 << 30};
	if (store_open(&f->store, f->loop, &config, why) < 0)
		fail_msg("%s", why);
}

static void fixture_close(struct fixture *f)
{
	store_close(f->store);
	loop_free(f->loop);
}

static void fill_until_full(struct fixture *f, int *n)
{
	static char value[10000];
	int r;
	while ((r = put(f, arena_printf(&f->arena, "k%04d", *n), str_of(value, sizeof(value)))) == 0)
		assert_true(++*n < 10000);
	assert_int_equal(r, -ENOSPC);
}

static void a_full_disk(void **state)
{
	(void)state;
	struct fixture f;
	struct outcome huge, small[5];
	int n = 0;
	size_t huge_bytes = 8 * 1024 * 1024;
	char *huge_value = calloc(1, huge_bytes);
	arena_init(&f.arena, 0);
	fixture_open(&f);

	/* What does not fit must not take its neighbours down. */
	for (int i = 0; i < 5; i++) {
		if (i == 2)
			start(&f, &huge, S("huge"), str_of(huge_value, huge_bytes));
		start(&f, &small[i], arena_printf(&f.arena, "small%d", i), S("1"));
	}
	wait_for(f.loop, &huge);
	assert_int_equal(huge.result, -ENOSPC);
	for (int i = 0; i < 5; i++) {
		wait_for(f.loop, &small[i]);
		assert_int_equal(small[i].result, 0);
	}
	assert_int_equal(keys(&f), 5);

	fill_until_full(&f, &n);
	assert_true(n > 50);
	assert_int_equal(keys(&f), 5 + n);
	uint64_t revision = store_revision(f.store);
	assert_int_equal(revision, 5 + (uint64_t)n);
	fixture_close(&f);
	fixture_open(&f);
	assert_int_equal(keys(&f), 5 + n);
	assert_int_equal(store_revision(f.store), revision);

	assert_int_equal(mount("none", dir, "tmpfs", MS_REMOUNT, "size=16m"), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(put(&f, arena_printf(&f.arena, "more%d", i), S("1")), 0);
	assert_int_equal(keys(&f), 25 + n);
	fixture_close(&f);
	arena_done(&f.arena);
	free(huge_value);
}

static void a_full_disk_for_blobs(void **state)
{
	(void)state;
	char path[64], id[BLOB_ID_LEN + 1], piece[65536] = "";
	struct blobs *b;
	struct blob *w;
	snprintf(path, sizeof(path), "%s/blobs", dir);
	assert_int_equal(blobs_open(&b, path, false), 0);
	assert_int_equal(blob_create(b, &w), 0);
	int r;
	while ((r = blob_write(w, piece, sizeof(piece))) == 0)
		;
	assert_int_equal(r, -ENOSPC);
	blob_drop(w);
	assert_int_equal(blob_create(b, &w), 0);
	assert_int_equal(blob_write(w, piece, sizeof(piece)), 0);
	assert_int_equal(blob_seal(w, id), 0);
	blobs_close(b);
}

/* Mounting anywhere but in a namespace that is surely our own would harm the machine: it must be a new one. */
static bool own_mounts(void)
{
	char before[64] = "", after[64] = "";
	return readlink("/proc/self/ns/mnt", before, sizeof(before) - 1) > 0 && unshare(CLONE_NEWNS) == 0 &&
	       readlink("/proc/self/ns/mnt", after, sizeof(after) - 1) > 0 && strcmp(before, after) != 0 &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

int main(void)
{
	if (!own_mounts()) {
		puts("skipped: cannot have a mount namespace (not root?)");
		return SKIP;
	}
	if (!mkdtemp(dir) || mount("none", dir, "tmpfs", 0, "size=4m") < 0) {
		perror(dir);
		return 1;
	}
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_full_disk), cmocka_unit_test(a_full_disk_for_blobs)};
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	umount(dir);
	rmdir(dir);
	return r;
}

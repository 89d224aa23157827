/* Durable small writes a second, many writers at once: through the store, and by LMDB alone with as many puts to a commit as
 * the store achieved, which is what group commit could reach at best. usage: store_writes [writers] [seconds] [directory] */
#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/store.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct writer {
	struct store *store;
	struct arena arena;
	int id;
	uint64_t n;
};

static uint64_t done_count, failed;
static int64_t latency_us, begin_ns;
static bool over;

static void writer_done(void *ctx, int result, uint64_t revision);

struct started {
	struct writer *w;
	int64_t at_us;
};

static void writer_next(struct writer *w)
{
	arena_reset(&w->arena);
	struct started *s = arena_new(&w->arena, struct started);
	*s = (struct started){.w = w, .at_us = clock_mono_us()};
	struct store_txn *t = store_begin(w->store, &w->arena);
	struct str key = arena_printf(&w->arena, "item/%d/%lu", w->id, w->n++ % 100);
	struct store_value v;
	store_get(t, key, &v);
	store_put(t, key, arena_printf(&w->arena, "{\"value\":%lu,\"padding\":\"%0100d\"}", w->n, 0));
	store_commit(t, writer_done, s);
}

static void writer_done(void *ctx, int result, uint64_t revision)
{
	struct started *s = ctx;
	(void)revision;
	if (result < 0)
		failed++;
	done_count++;
	latency_us += clock_mono_us() - s->at_us;
	if (!over)
		writer_next(s->w);
}

static void time_over(void *ctx)
{
	over = true;
	loop_stop(ctx);
}

static double store_rate(const char *dir, int writers, int seconds)
{
	struct loop *l = loop_new();
	struct store *s;
	char why[200];
	const struct store_config config = {.path = dir};
	if (store_open(&s, l, &config, why) < 0)
		die("%s", why);
	struct writer *w = calloc((size_t)writers, sizeof(*w));
	int64_t start = clock_mono_us();
	for (int i = 0; i < writers; i++) {
		w[i] = (struct writer){.store = s, .id = i};
		writer_next(&w[i]);
	}
	loop_add_timer(l, seconds * 1000000, time_over, l);
	loop_run(l);
	double rate = (double)done_count * 1e6 / (double)(clock_mono_us() - start);

	enum { BEGINS = 1000000 };
	struct arena a;
	arena_init(&a, 0);
	start = clock_mono_us();
	for (int i = 0; i < BEGINS; i++) {
		arena_reset(&a);
		struct store_txn *t = store_begin(s, &a);
		struct store_value v;
		store_get(t, S("item/0/50"), &v);
		store_abort(t);
	}
	begin_ns = (clock_mono_us() - start) * 1000 / BEGINS;
	store_close(s);
	loop_free(l);
	for (int i = 0; i < writers; i++)
		arena_done(&w[i].arena);
	free(w);
	return rate;
}

static void check(int rc)
{
	if (rc)
		die("lmdb: %s", mdb_strerror(rc));
}

static double lmdb_rate(const char *dir, int batch, int seconds)
{
	MDB_env *env;
	mkdir(dir, 0700);
	check(mdb_env_create(&env));
	check(mdb_env_set_mapsize(env, (size_t)1 << 34));
	check(mdb_env_open(env, dir, 0, 0600));
	int64_t start = clock_mono_us(), until = start + seconds * 1000000;
	uint64_t n = 0;
	while (clock_mono_us() < until) {
		MDB_txn *t;
		MDB_dbi dbi;
		check(mdb_txn_begin(env, NULL, 0, &t));
		check(mdb_dbi_open(t, NULL, 0, &dbi));
		for (int i = 0; i < batch; i++, n++) {
			char key[64], value[256];
			MDB_val k = {.mv_data = key,
			             .mv_size = (size_t)snprintf(key, sizeof(key), "item/%d/%lu", i, n / (uint64_t)batch % 100)};
			MDB_val v = {
			        .mv_data = value,
			        .mv_size = (size_t)snprintf(value, sizeof(value), "{\"value\":%lu,\"padding\":\"%0100d\"}", n, 0)};
			check(mdb_put(t, dbi, &k, &v, 0));
		}
		check(mdb_txn_commit(t));
	}
	double rate = (double)n * 1e6 / (double)(clock_mono_us() - start);
	mdb_env_close(env);
	return rate;
}

int main(int argc, char **argv)
{
	int writers = argc > 1 ? atoi(argv[1]) : 256, seconds = argc > 2 ? atoi(argv[2]) : 2;
	char base[] = "/tmp/store_writes.XXXXXX", path[200], command[256];
	if (argc <= 3 && !mkdtemp(base))
		die("cannot make a directory in /tmp");
	const char *dir = argc > 3 ? argv[3] : base;
	mkdir(dir, 0700);
	snprintf(path, sizeof(path), "%s/store", dir);
	double ours = store_rate(path, writers, seconds);
	snprintf(path, sizeof(path), "%s/lmdb", dir);
	double theirs = lmdb_rate(path, writers, seconds);
	printf("durable writes, %d writers: %.0f/s (mean %.2f ms, %lu failed); LMDB alone, %d puts a commit: %.0f/s; ratio %.2f; begin, get, end: %ld ns\n",
	       writers, ours, (double)latency_us / (double)done_count / 1000, failed, writers, theirs, ours / theirs, begin_ns);
	snprintf(command, sizeof(command), "rm -rf %s/store %s/lmdb", dir, dir);
	bool clean = system(command) == 0 && (dir != base || rmdir(base) == 0);
	return clean && failed == 0 ? 0 : 1;
}

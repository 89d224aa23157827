/* A year of metrics by the minute on a clock that the test moves: how much of the disk they take, and that what is kept says what
 * came. Ten thousand such metrics have to fit into a gibibyte. The cloud starts anew in between. */
#include "unit.h"

#include "base/clock.h"
#include "engine/metrics/metrics.h"

#include <lmdb.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define T0 INT64_C(1767225600000) /* 2026-01-01 */
#define MINUTE INT64_C(60000)
#define HOUR INT64_C(3600000)
#define DAY INT64_C(86400000)

enum { DAYS = 365, METRICS = 16, CHUNK = 240, BYTES_MAX = 1 << 30, OF = 10000 };

static struct {
	struct loop *loop;
	struct metrics *metrics;
	char dir[64];
	int64_t wall_ms, mono_us;
	double state[METRICS], sum[METRICS], count[METRICS], max[METRICS];
	uint64_t seed;
} w;

static double uniform(void)
{
	w.seed = w.seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (double)(w.seed >> 11) / 9007199254740992.0;
}

static double normal(void)
{
	return sqrt(-2 * log(uniform() + 1e-300)) * cos(6.283185307179586 * uniform());
}

static double busy(int64_t at_ms)
{
	return 0.55 - 0.45 * cos(6.283185307179586 * (double)(at_ms % DAY) / (double)DAY);
}

/* What an account has: states that hardly change, counts of what seldom happens and of what happens all the time, loads in
 * hundredths, sizes in bytes, and times of which there are several a minute. */
enum kind { STATE, SELDOM, COUNTED, LOAD, BYTES, TIMES, KINDS };
static const char *const kind_names[KINDS] = {"states", "seldom", "counted", "loads", "bytes", "times"};
static const enum kind kinds[METRICS] = {STATE,   STATE,   STATE,   STATE, SELDOM, SELDOM, SELDOM, SELDOM,
                                         COUNTED, COUNTED, COUNTED, LOAD,  LOAD,   LOAD,   BYTES,  TIMES};

static size_t values_of(unsigned i, int64_t at_ms, struct metric_value *v)
{
	double *s = &w.state[i];
	switch (kinds[i]) {
	case STATE:
		*s = uniform() < 0.0002 ? floor(uniform() * 10) : *s;
		v[0] = (struct metric_value){*s, 1};
		return 1;
	case SELDOM:
		v[0] = (struct metric_value){uniform() < 0.02 ? 1 + floor(uniform() * 4) : 0, 1};
		return 1;
	case COUNTED:
		v[0] = (struct metric_value){1, fmax(1, round(200 * busy(at_ms) + 14 * normal()))};
		return 1;
	case LOAD:
		*s = fmin(100, fmax(0, *s + (50 * busy(at_ms) - *s) * 0.05 + normal()));
		v[0] = (struct metric_value){round(*s * 100) / 100, 1};
		return 1;
	case BYTES:
		v[0] = (struct metric_value){round(1e6 * busy(at_ms) * exp(0.3 * normal())), 1};
		return 1;
	default:
		for (unsigned k = 0; k < 3; k++)
			v[k] = (struct metric_value){round(12000 * exp(0.5 * normal())) / 1000, 1};
		return 3;
	}
}

static struct metric metric_of(unsigned i, struct metric_dimension *d)
{
	static char names[METRICS][16];
	snprintf(names[i], sizeof(names[i]), "i-%u", i);
	*d = (struct metric_dimension){S("InstanceId"), str_from(names[i])};
	return (struct metric){S("111122223333"), S("us-east-1"), S("App"), str_from(kind_names[kinds[i]]), S("None"), d, 1};
}

static void open_all(void)
{
	char why[200];
	w.loop = loop_new();
	if (metrics_open(&w.metrics, w.loop, w.dir, true, why) < 0)
		fail_msg("%s", why);
}

static void close_all(void)
{
	metrics_close(w.metrics);
	loop_free(w.loop);
}

static void written(void *ctx, int result)
{
	assert_int_equal(result, 0);
	*(bool *)ctx = true;
}

/* All that is due is done: what was put is written, and then the hourly sweep comes to its end. */
static void pass(int64_t ms)
{
	bool done = false;
	metrics_when_written(w.metrics, written, &done);
	while (!done)
		loop_turn(w.loop, 1000);
	w.wall_ms += ms;
	w.mono_us += ms * 1000;
	clock_fake(w.wall_ms, w.mono_us);
	do
		loop_turn(w.loop, 1000);
	while (metrics_busy(w.metrics));
}

static void put_chunk(int64_t from_ms)
{
	for (unsigned i = 0; i < METRICS; i++) {
		struct metric_dimension d;
		struct metric m = metric_of(i, &d);
		for (int64_t at = from_ms; at < from_ms + CHUNK * MINUTE; at += MINUTE) {
			struct metric_value v[3];
			size_t n = values_of(i, at, v);
			metrics_put_values(w.metrics, &m, at, 60, v, n);
			for (size_t k = 0; k < n; k++) {
				w.sum[i] += v[k].value * v[k].count;
				w.count[i] += v[k].count;
				w.max[i] = fmax(w.max[i], v[k].value);
			}
		}
	}
}

/* The year at periods that all tiers have, and its last days by the minute. */
static void assert_kept(unsigned i, int64_t end_ms)
{
	struct arena CLEAN_ARENA a = {0};
	struct metric_dimension d;
	struct metric m = metric_of(i, &d);
	struct metric_points p =
	        metrics_read(w.metrics, &a, &(struct metric_query){.metric = &m, .from_ms = T0, .to_ms = end_ms, .period_s = 3600});
	double sum = 0, count = 0, max = 0;
	for (uint32_t k = 0; k < p.n; k++) {
		sum += p.v[k].set.sum;
		count += p.v[k].set.count;
		max = fmax(max, p.v[k].set.max);
	}
	assert_int_equal(p.n, (end_ms - T0) / HOUR);
	assert_true(count == w.count[i] && max == w.max[i]);
	assert_true(fabs(sum - w.sum[i]) <= 1e-9 * fabs(sum));
	p = metrics_read(w.metrics, &a,
	                 &(struct metric_query){.metric = &m, .from_ms = end_ms - 14 * DAY, .to_ms = end_ms, .period_s = 60});
	assert_int_equal(p.n, 14 * 1440);
	assert_int_equal(p.v[0].time_ms, end_ms - 14 * DAY);
}

/* Pages in use: those that are free since the last sweep are taken by the next, and are few in a store of thousands of metrics. */
static size_t used_bytes(size_t *ret_file)
{
	MDB_env *e;
	MDB_txn *t;
	MDB_cursor *c;
	MDB_val key, value;
	MDB_envinfo info;
	MDB_stat stat;
	size_t n, pages;
	assert_int_equal(mdb_env_create(&e), 0);
	assert_int_equal(mdb_env_open(e, w.dir, MDB_RDONLY | MDB_NOLOCK, 0), 0);
	assert_int_equal(mdb_env_info(e, &info), 0);
	assert_int_equal(mdb_env_stat(e, &stat), 0);
	assert_int_equal(mdb_txn_begin(e, NULL, MDB_RDONLY, &t), 0);
	assert_int_equal(mdb_cursor_open(t, 0, &c), 0); /* of the lists of free pages */
	pages = info.me_last_pgno + 1;
	*ret_file = pages * stat.ms_psize;
	while (mdb_cursor_get(c, &key, &value, MDB_NEXT) == 0) {
		memcpy(&n, value.mv_data, sizeof(n));
		pages -= n;
	}
	mdb_cursor_close(c);
	mdb_txn_abort(t);
	mdb_env_close(e);
	return pages * stat.ms_psize;
}

static void a_year(void **state)
{
	(void)state;
	open_all();
	int64_t end = T0 + DAYS * DAY;
	for (int64_t at = T0; at < end; at += CHUNK * MINUTE) {
		put_chunk(at);
		pass(CHUNK * MINUTE);
		if ((at - T0) % (73 * DAY) == 72 * DAY) {
			close_all();
			open_all();
		}
	}
	for (unsigned i = 0; i < METRICS; i++)
		assert_kept(i, end);
	close_all();
	size_t file, bytes = used_bytes(&file);
	printf("%zu bytes a metric and year (%zu with free pages), %.2f GiB for %d\n", bytes / METRICS, file / METRICS,
	       (double)bytes / METRICS * OF / (double)BYTES_MAX, OF);
	assert_true(bytes / METRICS < BYTES_MAX / OF);
	assert_true(file < bytes * 2);
}

static int setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	w.seed = 7;
	strcpy(w.dir, "/tmp/metrics_year.XXXXXX");
	assert_non_null(mkdtemp(w.dir));
	w.wall_ms = T0;
	w.mono_us = 1000000000;
	clock_fake(w.wall_ms, w.mono_us);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", w.dir);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(a_year, setup, teardown)};
	return cmocka_run_group_tests_name("metrics year", tests, NULL, NULL);
}

/* Statistic sets over time: by minute, five minutes and hour, as long as each is kept. */
#include "unit.h"

#include "base/clock.h"
#include "engine/metrics/metrics.h"

#include <stdio.h>
#include <stdlib.h>

#define T0 INT64_C(1767225600000) /* 2026-01-01 */
#define MINUTE INT64_C(60000)
#define HOUR INT64_C(3600000)
#define DAY INT64_C(86400000)

static struct {
	struct loop *loop;
	struct metrics *metrics;
	struct arena arena;
	char dir[64];
	int64_t wall_ms, mono_us;
} w;

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

static int setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	strcpy(w.dir, "/tmp/engine_metrics.XXXXXX");
	assert_non_null(mkdtemp(w.dir));
	arena_init(&w.arena, 0);
	w.wall_ms = T0;
	w.mono_us = 1000000000;
	clock_fake(w.wall_ms, w.mono_us);
	open_all();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	char command[128];
	close_all();
	arena_done(&w.arena);
	snprintf(command, sizeof(command), "rm -rf %s", w.dir);
	return system(command);
}

static void pass(int64_t ms)
{
	w.wall_ms += ms;
	w.mono_us += ms * 1000;
	clock_fake(w.wall_ms, w.mono_us);
	for (int i = 0; i < 50; i++)
		loop_turn(w.loop, 1000);
}

static const struct metric_dimension instance = {S_INIT("InstanceId"), S_INIT("i-1")};
static struct metric cpu(void)
{
	return (struct metric){.account = S("111122223333"),
	                       .region = S("us-east-1"),
	                       .space = S("AWS/EC2"),
	                       .name = S("CPUUtilization"),
	                       .unit = S("Percent"),
	                       .dimensions = &instance,
	                       .dimension_count = 1};
}

static void put(int64_t at_ms, unsigned resolution_s, double x)
{
	struct metric m = cpu();
	struct metric_set set = metric_sample(x);
	metrics_put(w.metrics, &m, at_ms, resolution_s, &set);
}

static struct metric_points points(int64_t from_ms, int64_t to_ms, int64_t period_s)
{
	struct metric m = cpu();
	m.unit = STR_NONE;
	return metrics_read(w.metrics, &w.arena,
	                    &(struct metric_query){.metric = &m, .from_ms = from_ms, .to_ms = to_ms, .period_s = period_s});
}

static void assert_set(const struct metric_points *p, uint32_t i, int64_t at_ms, double count, double sum, double min, double max)
{
	assert_true(i < p->n);
	assert_int_equal(p->v[i].time_ms, at_ms);
	assert_true(p->v[i].set.count == count && p->v[i].set.sum == sum && p->v[i].set.min == min && p->v[i].set.max == max);
}

static void periods(void **state)
{
	(void)state;
	for (int i = 0; i < 90; i++)
		put(T0 + i * MINUTE + 30000, 60, i);
	assert_int_equal(points(T0, T0 + HOUR, 60).n, 60); /* gathered, not written */
	pass(1001);
	struct metric_points p = points(T0, T0 + 2 * HOUR, 60);
	assert_int_equal(p.n, 90);
	assert_set(&p, 61, T0 + 61 * MINUTE, 1, 61, 61, 61);
	p = points(T0, T0 + 2 * HOUR, 300);
	assert_int_equal(p.n, 18);
	assert_set(&p, 1, T0 + 5 * MINUTE, 5, 5 + 6 + 7 + 8 + 9, 5, 9);
	p = points(T0, T0 + 2 * HOUR, 3600);
	assert_int_equal(p.n, 2);
	assert_set(&p, 0, T0, 60, 1770, 0, 59);
	assert_set(&p, 1, T0 + HOUR, 30, 2235, 60, 89);
	/* Hours that begin at half past are made of finer ones; a range has its end not in it. */
	p = points(T0 + 30 * MINUTE, T0 + 90 * MINUTE, 3600);
	assert_int_equal(p.n, 1);
	assert_set(&p, 0, T0 + 30 * MINUTE, 60, 3570, 30, 89);
	p = points(T0 + 3 * MINUTE, T0 + 7 * MINUTE, 120);
	assert_int_equal(p.n, 2);
	assert_set(&p, 1, T0 + 5 * MINUTE, 2, 11, 5, 6);
	/* More of the same minute, also after a restart. */
	put(T0, 60, 100);
	close_all();
	open_all();
	p = points(T0, T0 + MINUTE, 60);
	assert_set(&p, 0, T0, 2, 100, 0, 100);
}

static void five_minutes(void **state)
{
	(void)state;
	put(T0 + MINUTE, 300, 4);
	put(T0 + 2 * MINUTE, 300, 8);
	pass(1001);
	assert_int_equal(points(T0, T0 + HOUR, 60).n, 0);
	struct metric_points p = points(T0, T0 + HOUR, 300);
	assert_int_equal(p.n, 1);
	assert_set(&p, 0, T0, 2, 12, 4, 8);
	/* Periods that begin in between have those that begin in them. */
	p = points(T0 - 3 * MINUTE, T0 + HOUR, 300);
	assert_int_equal(p.n, 1);
	assert_set(&p, 0, T0 - 3 * MINUTE, 2, 12, 4, 8);
	assert_int_equal(points(T0 + MINUTE, T0 + HOUR, 300).n, 0);
	p = points(T0 - 3 * MINUTE, T0 + HOUR, 3600);
	assert_int_equal(p.n, 1);
	assert_int_equal(points(T0 - 3 * MINUTE, T0 + HOUR, 60).n, 0);
}

struct seen {
	unsigned n;
	int64_t last_ms;
	struct str name, value;
};

static bool see(void *ctx, const struct metric *m, int64_t last_ms)
{
	struct seen *s = ctx;
	s->n++;
	s->last_ms = last_ms;
	s->name = m->name;
	s->value = m->dimension_count ? m->dimensions[0].value : STR_NONE;
	return true;
}

static unsigned listed(const char *region)
{
	struct seen s = {0};
	metrics_list(w.metrics, &w.arena, S("111122223333"), str_from(region), see, &s);
	return s.n;
}

static void names(void **state)
{
	(void)state;
	struct metric_set one = metric_sample(1);
	struct metric_dimension two[] = {{S("b"), S("2")}, {S("a"), S("1")}}, turned[] = {{S("a"), S("1")}, {S("b"), S("2")}};
	struct metric m = cpu();
	metrics_put(w.metrics, &m, T0, 60, &one);
	m.dimensions = two;
	m.dimension_count = 2;
	metrics_put(w.metrics, &m, T0, 60, &one);
	m.dimensions = turned; /* the same one */
	metrics_put(w.metrics, &m, T0 + MINUTE, 60, &one);
	m.region = S("us-east");
	metrics_put(w.metrics, &m, T0 + MINUTE, 60, &one);
	pass(1001);
	assert_int_equal(listed("us-east-1"), 2);
	assert_int_equal(listed("us-east"), 1);
	struct seen s = {0};
	metrics_list(w.metrics, &w.arena, S("111122223333"), S("us-east"), see, &s);
	assert_str(s.name, "CPUUtilization");
	assert_str(s.value, "1");
	assert_int_equal(s.last_ms, T0 + MINUTE);
}

static void retention(void **state)
{
	(void)state;
	put(T0, 60, 1);
	pass(1001);
	pass(14 * DAY);
	assert_int_equal(points(T0, T0 + HOUR, 60).n, 1);
	pass(3 * DAY);
	assert_int_equal(points(T0, T0 + HOUR, 60).n, 0);
	assert_int_equal(points(T0, T0 + HOUR, 300).n, 1);
	pass(50 * DAY);
	assert_int_equal(points(T0, T0 + HOUR, 300).n, 0);
	assert_int_equal(points(T0, T0 + HOUR, 3600).n, 1);
	assert_int_equal(listed("us-east-1"), 1);
	pass(395 * DAY);
	pass(HOUR);
	assert_int_equal(points(T0, T0 + HOUR, 3600).n, 0);
	assert_int_equal(listed("us-east-1"), 0);
	assert_int_equal(metrics_kept_s(T0, T0 + 15 * DAY), 60);
	assert_int_equal(metrics_kept_s(T0, T0 + 15 * DAY + 1), 300);
	assert_int_equal(metrics_kept_s(T0, T0 + 63 * DAY + 1), 3600);
}

/* What comes late, of a day that is packed, of one that is rolled up, is added to what is there. */
static void late(void **state)
{
	(void)state;
	put(T0, 60, 1);
	put(T0 + MINUTE, 60, 5);
	pass(2 * DAY);
	pass(HOUR);
	put(T0, 60, 3);
	assert_int_equal(points(T0, T0 + HOUR, 60).n, 2);
	pass(1001);
	struct metric_points p = points(T0, T0 + HOUR, 60);
	assert_set(&p, 0, T0, 2, 4, 1, 3);
	pass(HOUR);
	p = points(T0, T0 + HOUR, 60);
	assert_set(&p, 0, T0, 2, 4, 1, 3);
	assert_set(&p, 1, T0 + MINUTE, 1, 5, 5, 5);
	pass(14 * DAY);
	pass(HOUR);
	put(T0 + 2 * MINUTE, 60, 7);
	pass(1001);
	pass(HOUR);
	assert_int_equal(points(T0, T0 + HOUR, 60).n, 0);
	p = points(T0, T0 + HOUR, 300);
	assert_int_equal(p.n, 1);
	assert_set(&p, 0, T0, 4, 16, 1, 7);
	/* A range over all tiers has each sample once. */
	put(T0 + 17 * DAY, 60, 2);
	pass(1001);
	p = points(T0, T0 + 18 * DAY, 18 * 86400);
	assert_int_equal(p.n, 1);
	assert_set(&p, 0, T0, 5, 18, 1, 7);
	close_all();
	open_all();
	p = points(T0, T0 + 18 * DAY, 18 * 86400);
	assert_set(&p, 0, T0, 5, 18, 1, 7);
}

static void seconds(void **state)
{
	(void)state;
	for (int i = 0; i < 120; i++)
		put(T0 + i * 1000, 1, i);
	pass(1001);
	assert_int_equal(points(T0, T0 + HOUR, 1).n, 120);
	struct metric_points p = points(T0, T0 + HOUR, 60);
	assert_int_equal(p.n, 2);
	assert_set(&p, 0, T0, 60, 1770, 0, 59);
	pass(5 * HOUR);
	p = points(T0, T0 + HOUR, 60);
	assert_int_equal(points(T0, T0 + HOUR, 10).n, 0);
	assert_int_equal(p.n, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(periods, setup, teardown),
	        cmocka_unit_test_setup_teardown(five_minutes, setup, teardown),
	        cmocka_unit_test_setup_teardown(names, setup, teardown),
	        cmocka_unit_test_setup_teardown(retention, setup, teardown),
	        cmocka_unit_test_setup_teardown(late, setup, teardown),
	        cmocka_unit_test_setup_teardown(seconds, setup, teardown),
	};
	return cmocka_run_group_tests_name("engine metrics", tests, NULL, NULL);
}

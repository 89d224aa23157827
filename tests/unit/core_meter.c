/* Usage as bills need it: nothing lost, nothing twice, whatever is killed and however the clock goes. */
#include "unit.h"

#include "base/clock.h"
#include "core/meter.h"
#include "core/record.h"

#include <stdio.h>
#include <stdlib.h>

#define T0 INT64_C(1767225600000) /* 2026-01-01 */
enum { DAY0 = 20454 };
#define HOUR INT64_C(3600000)

static struct {
	struct loop *loop;
	struct store *store;
	struct meter *meter;
	struct arena arena;
	char dir[64];
	int64_t wall_ms, mono_us;
	bool done;
	int result;
} w;

static void open_all(void)
{
	char why[200];
	w.loop = loop_new();
	if (store_open(&w.store, w.loop, &(struct store_config){.path = w.dir, .map_bytes = (size_t)1 << 30, .ephemeral = true},
	               why) < 0)
		fail_msg("%s", why);
	w.meter = meter_new(w.loop, w.store);
}

static void close_all(void)
{
	meter_free(w.meter);
	store_close(w.store);
	loop_free(w.loop);
}

static int setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	strcpy(w.dir, "/tmp/core_meter.XXXXXX");
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

static void turn(void)
{
	for (int i = 0; i < 20; i++)
		loop_turn(w.loop, 1000);
	while (meter_busy(w.meter)) /* the disk has the last word */
		loop_turn(w.loop, 1000);
}

static void pass(int64_t ms)
{
	w.wall_ms += ms;
	w.mono_us += ms * 1000;
	clock_fake(w.wall_ms, w.mono_us);
	turn();
}

/* The wall clock alone is set. */
static void set_clock(int64_t ms)
{
	w.wall_ms = ms;
	clock_fake(w.wall_ms, w.mono_us);
}

static void note(void *ctx, int result, uint64_t revision)
{
	(void)ctx;
	(void)revision;
	w.done = true;
	w.result = result;
}

static void set_now(const char *resource, const struct meter_use *uses, size_t n)
{
	struct store_txn *t = store_begin(w.store, &w.arena);
	meter_set(t, &w.arena, S("111122223333"), S("us-east-1"), str_from(resource), uses, n, clock_wall_ms());
	w.done = false;
	store_commit(t, note, NULL);
	while (!w.done)
		loop_turn(w.loop, 1000);
	assert_int_equal(w.result, 0);
}

static const struct meter_use box = {.usage = {"BoxUsage:t3.micro", 17}, .rate = 1, .minimum_ms = 60000, .step_ms = 1000};
static const struct meter_use disk = {.usage = {"EBS:VolumeUsage.gp3", 19}, .rate = 8};

static int64_t amount(const char *usage, int64_t from_day, int64_t to_day)
{
	struct store_txn *t = store_begin(w.store, &w.arena);
	struct meter_lines lines = meter_read(t, &w.arena, S("111122223333"), METER_PLAIN, from_day, to_day, clock_wall_ms());
	int64_t sum = 0;
	for (uint32_t i = 0; i < lines.n; i++)
		if (str_is(lines.v[i].usage, usage))
			sum += lines.v[i].amount;
	store_abort(t);
	return sum;
}

static unsigned count_under(const char *kind)
{
	struct store_txn *t = store_begin(w.store, &w.arena);
	struct str under = KEY_UNDER(&w.arena, S("meter"), str_from(kind)), key;
	struct store_iter *i = store_scan(t, under, store_prefix_end(&w.arena, under), false);
	struct store_value v;
	unsigned n = 0;
	while (store_next(i, &key, &v))
		n++;
	store_abort(t);
	return n;
}

static void restart(void)
{
	close_all();
	open_all();
}

static void intervals(void **state)
{
	(void)state;
	set_now("i-1", &box, 1);
	assert_int_equal(amount("BoxUsage:t3.micro", DAY0, DAY0 + 1), 60000); /* at least a minute */
	pass(10000);
	set_now("i-1", NULL, 0);
	assert_int_equal(amount("BoxUsage:t3.micro", DAY0, DAY0 + 1), 60000);
	set_now("i-1", NULL, 0);
	assert_int_equal(amount("BoxUsage:t3.micro", DAY0, DAY0 + 1), 60000);
	/* Again: a minute of its own, then by the second that has begun. */
	set_now("i-1", &box, 1);
	pass(90001);
	assert_int_equal(amount("BoxUsage:t3.micro", DAY0, DAY0 + 1), 60000 + 91000);
	set_now("i-1", &box, 1); /* the same as before is no change */
	pass(9999);
	set_now("i-1", NULL, 0);
	assert_int_equal(amount("BoxUsage:t3.micro", DAY0, DAY0 + 1), 60000 + 100000);
	/* Folded by now or soon, and the same. */
	pass(2 * 60 * 1000);
	assert_int_equal(count_under("fact"), 0);
	assert_int_equal(count_under("sum"), 1);
	assert_int_equal(amount("BoxUsage:t3.micro", DAY0, DAY0 + 1), 160000);
}

static void changes_and_days(void **state)
{
	(void)state;
	struct meter_use larger = disk;
	larger.rate = 20;
	set_clock(T0 + 23 * HOUR);
	set_now("vol-1", &disk, 1);
	pass(3 * HOUR);
	set_now("vol-1", &larger, 1);
	pass(2 * HOUR);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(amount("EBS:VolumeUsage.gp3", DAY0, DAY0 + 1), 8 * HOUR);
		assert_int_equal(amount("EBS:VolumeUsage.gp3", DAY0 + 1, DAY0 + 2), 2 * 8 * HOUR + 2 * 20 * HOUR);
		set_now("vol-1", NULL, 0);
		/* And once more after what is killed was started again and everything was folded. */
		restart();
		set_clock(w.wall_ms);
		pass(2 * 60 * 1000);
		pass(2 * 60 * 1000);
		assert_int_equal(count_under("fact"), 0);
		assert_int_equal(count_under("open"), 0);
	}
}

static void clocks(void **state)
{
	(void)state;
	set_now("i-1", &box, 1);
	set_clock(T0 - 5 * HOUR);
	set_now("i-1", NULL, 0); /* it has ended before it began: the minimum, no more and no less */
	set_clock(T0 + HOUR);
	assert_int_equal(amount("BoxUsage:t3.micro", DAY0 - 1, DAY0 + 1), 60000);
	pass(61 * 1000);
	assert_int_equal(count_under("fact"), 0);
	assert_int_equal(amount("BoxUsage:t3.micro", DAY0 - 1, DAY0 + 1), 60000);
}

static void counts(void **state)
{
	(void)state;
	struct str account = S("111122223333"), region = S("us-east-1"), usage = S("Request");
	for (int i = 0; i < 1000; i++)
		meter_count(w.meter, account, region, usage, 1);
	meter_count(NULL, account, region, usage, 1);
	assert_int_equal(amount("Request", DAY0, DAY0 + 1), 0);
	pass(1001);
	assert_int_equal(amount("Request", DAY0, DAY0 + 1), 1000);
	assert_int_equal(count_under("sum"), 1);
	/* What comes while it is written is written next. */
	meter_count(w.meter, account, region, usage, 7);
	assert_true(meter_busy(w.meter));
	meter_count(w.meter, account, region, usage, 5);
	while (meter_busy(w.meter))
		loop_turn(w.loop, 1000);
	assert_int_equal(amount("Request", DAY0, DAY0 + 1), 1012);
	restart();
	assert_int_equal(amount("Request", DAY0, DAY0 + 1), 1012);
	pass(24 * HOUR);
	meter_count(w.meter, account, region, usage, 3);
	pass(1001);
	assert_int_equal(amount("Request", DAY0, DAY0 + 1), 1012);
	assert_int_equal(amount("Request", DAY0, DAY0 + 2), 1015);
}

static int64_t amount_of(const char *resource, const char *usage, int64_t from_day, int64_t to_day)
{
	struct store_txn *t = store_begin(w.store, &w.arena);
	struct meter_lines lines = meter_read(t, &w.arena, S("111122223333"), METER_RESOURCES, from_day, to_day, clock_wall_ms());
	int64_t sum = 0;
	for (uint32_t i = 0; i < lines.n; i++)
		if (str_is(lines.v[i].usage, usage) && str_eq(lines.v[i].resource, resource ? str_from(resource) : STR_NONE))
			sum += lines.v[i].amount;
	store_abort(t);
	return sum;
}

/* Whose it was is known for two weeks, folded or not; later it is nobody's, and the sum is the same. */
static void resources(void **state)
{
	(void)state;
	struct str account = S("111122223333"), region = S("us-east-1");
	set_now("vol-1", &disk, 1);
	set_now("vol-2", &disk, 1);
	pass(HOUR);
	set_now("vol-1", NULL, 0);
	meter_count_of(w.meter, account, region, S("arn:f"), S("Request"), 5);
	meter_count_of(w.meter, account, region, S("arn:g"), S("Request"), 2);
	meter_count(w.meter, account, region, S("Request"), 3);
	pass(1001);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(amount_of("vol-1", "EBS:VolumeUsage.gp3", DAY0, DAY0 + 1), 8 * HOUR);
		assert_true(amount_of("vol-2", "EBS:VolumeUsage.gp3", DAY0, DAY0 + 1) >= 8 * HOUR);
		assert_int_equal(amount_of("arn:f", "Request", DAY0, DAY0 + 1), 5);
		assert_int_equal(amount_of("arn:g", "Request", DAY0, DAY0 + 1), 2);
		assert_int_equal(amount_of(NULL, "Request", DAY0, DAY0 + 1), 3);
		assert_int_equal(amount_of(NULL, "EBS:VolumeUsage.gp3", DAY0, DAY0 + 1), 0);
		restart();
		pass(2 * 60 * 1000);
		assert_int_equal(count_under("fact"), 0);
		meter_count_of(w.meter, account, region, S("arn:f"), S("Other"), 1); /* the same days' sums again */
		pass(1001);
	}
	assert_int_equal(amount("Request", DAY0, DAY0 + 1), 10);
	pass(INT64_C(86400000) * (METER_RESOURCE_DAYS + 1));
	pass(60 * 1000);
	assert_int_equal(count_under("of"), 0);
	assert_int_equal(amount_of("arn:f", "Request", DAY0, DAY0 + 1), 0);
	assert_int_equal(amount_of(NULL, "Request", DAY0, DAY0 + 1), 10);
	assert_int_equal(amount("Request", DAY0, DAY0 + 1), 10);
}

static void tag_now(const char *resource, const char *key, const char *value)
{
	struct str_map_entry pair = {str_from(key), str_from(value)};
	const struct str_map tags = {.v = &pair, .n = key ? 1 : 0, .set = true};
	struct store_txn *t = store_begin(w.store, &w.arena);
	meter_tags(t, &w.arena, S("111122223333"), S("us-east-1"), str_from(resource), &tags, clock_wall_ms());
	w.done = false;
	store_commit(t, note, NULL);
	while (!w.done)
		loop_turn(w.loop, 1000);
	assert_int_equal(w.result, 0);
}

static bool activate(const char *key, bool active)
{
	struct store_txn *t = store_begin(w.store, &w.arena);
	bool known = meter_activate_key(t, &w.arena, S("111122223333"), str_from(key), active, clock_wall_ms());
	w.done = false;
	store_commit(t, note, NULL);
	while (!w.done)
		loop_turn(w.loop, 1000);
	assert_int_equal(w.result, 0);
	return known;
}

/* What lines with this value of "team" have; NULL: those without one. */
static int64_t tagged(const char *usage, const char *value)
{
	struct store_txn *t = store_begin(w.store, &w.arena);
	struct meter_lines lines = meter_read(t, &w.arena, S("111122223333"), METER_TAGGED, DAY0, DAY0 + 1, clock_wall_ms());
	int64_t sum = 0;
	for (uint32_t i = 0; i < lines.n; i++)
		if (str_is(lines.v[i].usage, usage) &&
		    str_eq(meter_tag(&w.arena, lines.v[i].tags, S("team")), value ? str_from(value) : STR_NONE))
			sum += lines.v[i].amount;
	store_abort(t);
	return sum;
}

/* Every part of the time is billed under the tags that it had, from the key's activation on. */
static void tags(void **state)
{
	(void)state;
	struct str account = S("111122223333"), region = S("us-east-1");
	assert_false(activate("team", true));
	set_now("i-1", &box, 1);
	tag_now("i-1", "team", "red");
	pass(10000);
	assert_int_equal(tagged("BoxUsage:t3.micro", "red"), 0);
	assert_true(activate("team", true));
	/* Ten seconds before it, and what is left of the minute after it. */
	assert_int_equal(tagged("BoxUsage:t3.micro", NULL), 10000);
	assert_int_equal(tagged("BoxUsage:t3.micro", "red"), 50000);
	pass(80000);
	tag_now("i-1", "team", "blue");
	tag_now("i-1", "team", "blue");
	meter_count_of(w.meter, account, region, S("i-1"), S("Request"), 4);
	pass(2500);
	tag_now("i-1", NULL, NULL);
	meter_count_of(w.meter, account, region, S("i-1"), S("Request"), 1);
	pass(1500);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(tagged("BoxUsage:t3.micro", NULL), 10000 + 2000);
		assert_int_equal(tagged("BoxUsage:t3.micro", "red"), 80000);
		assert_int_equal(tagged("BoxUsage:t3.micro", "blue"), 2000);
		assert_int_equal(tagged("Request", "blue"), 4);
		assert_int_equal(tagged("Request", NULL), 1);
		assert_int_equal(amount_of("i-1", "BoxUsage:t3.micro", DAY0, DAY0 + 1), 94000);
		set_now("i-1", NULL, 0);
		restart();
		pass(2 * 60 * 1000);
		pass(61 * 1000);
		assert_int_equal(count_under("fact"), 0);
	}
	struct store_txn *t = store_begin(w.store, &w.arena);
	struct meter_keys keys = meter_list_keys(t, &w.arena, account);
	assert_int_equal(keys.n, 1);
	assert_true(keys.v[0].active && keys.v[0].updated_ms == T0 + 10000);
	store_abort(t);
	pass(INT64_C(86400000) * (METER_DAYS + 1));
	pass(61 * 1000);
	assert_int_equal(count_under("tagged"), 0);
}

static int64_t in_hour(const char *usage, int64_t hour)
{
	struct store_txn *t = store_begin(w.store, &w.arena);
	struct meter_lines lines = meter_read_hours(t, &w.arena, S("111122223333"), hour, hour + 1, clock_wall_ms());
	int64_t sum = 0;
	for (uint32_t i = 0; i < lines.n; i++)
		if (str_is(lines.v[i].usage, usage))
			sum += lines.v[i].amount;
	store_abort(t);
	return sum;
}

/* Hours add up to days; what commitments may cover is kept by the hour as long as days are, the rest two weeks. */
static void hours(void **state)
{
	(void)state;
	int64_t first = T0 / HOUR;
	set_clock(T0 + 30 * 60000);
	set_now("i-1", &box, 1);
	set_now("vol-1", &disk, 1);
	meter_count(w.meter, S("111122223333"), S("us-east-1"), S("Request"), 3);
	pass(90 * 60000);
	meter_count(w.meter, S("111122223333"), S("us-east-1"), S("Request"), 2);
	pass(1500);
	set_now("i-1", NULL, 0);
	set_now("vol-1", NULL, 0);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(in_hour("BoxUsage:t3.micro", first), 30 * 60000);
		assert_int_equal(in_hour("BoxUsage:t3.micro", first + 1), HOUR);
		assert_int_equal(in_hour("BoxUsage:t3.micro", first + 2), 2000);
		assert_int_equal(in_hour("EBS:VolumeUsage.gp3", first), 8 * 30 * 60000);
		assert_int_equal(in_hour("Request", first), 3);
		assert_int_equal(in_hour("Request", first + 2), 2);
		pass(2 * 60 * 1000);
		assert_int_equal(count_under("fact"), 0);
	}
	pass(INT64_C(86400000) * (METER_HOUR_DAYS + 1));
	pass(61 * 1000);
	assert_int_equal(in_hour("EBS:VolumeUsage.gp3", first), 0);
	assert_int_equal(in_hour("BoxUsage:t3.micro", first + 1), HOUR);
	pass(INT64_C(86400000) * METER_DAYS);
	pass(61 * 1000);
	assert_int_equal(count_under("hour"), 0);
}

/* Many short ones: the store holds their facts for a minute, then one sum, and that for its time. */
static void keeps_little(void **state)
{
	(void)state;
	for (int i = 0; i < 1200; i++) {
		set_now("i-1", &box, 1);
		w.wall_ms += 100;
		clock_fake(w.wall_ms, w.mono_us);
		set_now("i-1", NULL, 0);
	}
	assert_int_equal(amount("BoxUsage:t3.micro", DAY0, DAY0 + 1), 1200 * 60000);
	assert_int_equal(count_under("fact"), 1200);
	pass(10000);
	pass(60 * 1000);
	turn();
	assert_int_equal(count_under("fact"), 0);
	assert_int_equal(count_under("sum"), 1);
	assert_int_equal(amount("BoxUsage:t3.micro", DAY0, DAY0 + 1), 1200 * 60000);
	pass(INT64_C(86400000) * (METER_DAYS - 1));
	pass(60 * 1000);
	assert_int_equal(count_under("sum"), 1);
	pass(INT64_C(86400000) * 2);
	pass(60 * 1000);
	assert_int_equal(count_under("sum"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(intervals, setup, teardown),
	        cmocka_unit_test_setup_teardown(changes_and_days, setup, teardown),
	        cmocka_unit_test_setup_teardown(clocks, setup, teardown),
	        cmocka_unit_test_setup_teardown(counts, setup, teardown),
	        cmocka_unit_test_setup_teardown(resources, setup, teardown),
	        cmocka_unit_test_setup_teardown(tags, setup, teardown),
	        cmocka_unit_test_setup_teardown(hours, setup, teardown),
	        cmocka_unit_test_setup_teardown(keeps_little, setup, teardown),
	};
	return cmocka_run_group_tests_name("core meter", tests, NULL, NULL);
}

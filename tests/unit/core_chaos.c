/* The list of faults: which one hits, which ends when, and who is told. */
#include "unit.h"

#include "base/clock.h"
#include "core/chaos.h"

static unsigned told;

static void changed(void *ctx)
{
	(void)ctx;
	told++;
}

static void pass(struct loop *l, int64_t us)
{
	static int64_t now_us = 1000000000;
	now_us += us;
	clock_fake(1000000, now_us);
	loop_turn(l, 0);
	loop_turn(l, 0);
}

static void faults_hit_and_end(void **state)
{
	(void)state;
	struct loop *l = loop_new();
	pass(l, 0);
	struct chaos *c = chaos_new(l);
	chaos_listen(c, changed, NULL);
	assert_null(chaos_find(c, CHAOS_LOSSY, S("us-east-1a")));
	assert_null(chaos_find(NULL, CHAOS_LOSSY, S("us-east-1a")));
	unsigned weak = chaos_begin(c, CHAOS_LOSSY, S("us-east-1a"), 10, 5000000);
	unsigned strong = chaos_begin(c, CHAOS_LOSSY, S("us-east-1a"), 20, 2000000);
	unsigned all = chaos_begin(c, CHAOS_THROTTLE, S("all"), 100, 9000000);
	assert_true(weak && strong > weak && all > strong);
	assert_int_equal(told, 3);
	assert_int_equal(chaos_find(c, CHAOS_LOSSY, S("us-east-1a"))->number, strong);
	assert_null(chaos_find(c, CHAOS_LOSSY, S("us-east-1b")));
	assert_null(chaos_find(c, CHAOS_SLOW, S("us-east-1a")));
	assert_int_equal(chaos_find(c, CHAOS_THROTTLE, S("ec2"))->number, all);
	pass(l, 2000000);
	assert_int_equal(told, 4);
	assert_int_equal(chaos_find(c, CHAOS_LOSSY, S("us-east-1a"))->number, weak);
	assert_int_equal(chaos_after(c, 0)->number, weak);
	assert_int_equal(chaos_after(c, weak)->number, all);
	assert_null(chaos_after(c, all));
	assert_int_equal(chaos_end(c, strong), 0); /* it is over */
	assert_int_equal(told, 4);
	assert_int_equal(chaos_end(c, weak), 1);
	assert_int_equal(told, 5);
	assert_int_equal(chaos_begin(c, CHAOS_SLOW, S("us-east-1a"), 5, 1000000), all + 1); /* no number comes again */
	assert_int_equal(chaos_end(c, 0), 2);
	assert_null(chaos_after(c, 0));
	pass(l, 20000000);
	assert_int_equal(told, 7);
	chaos_free(c);
	loop_free(l);
}

static void there_is_a_limit(void **state)
{
	(void)state;
	struct loop *l = loop_new();
	struct chaos *c = chaos_new(l);
	char name[CHAOS_TARGET_MAX + 1];
	memset(name, 'x', sizeof(name));
	assert_int_equal(chaos_begin(c, CHAOS_SLOW, str_of(name, CHAOS_TARGET_MAX), 1, 1000000), 0);
	for (unsigned i = 1; i <= CHAOS_FAULTS_MAX; i++)
		assert_int_equal(chaos_begin(c, CHAOS_SLOW, str_of(name, CHAOS_TARGET_MAX - 1), 1, 1000000), i);
	assert_int_equal(chaos_begin(c, CHAOS_SLOW, S("x"), 1, 1000000), 0);
	assert_int_equal(chaos_end(c, 3), 1);
	assert_int_equal(chaos_begin(c, CHAOS_SLOW, S("x"), 1, 1000000), CHAOS_FAULTS_MAX + 1);
	chaos_free(c);
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(faults_hit_and_end), cmocka_unit_test(there_is_a_limit)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A service whose tasks start, become healthy, fail and stop as chance has it, on a clock of rounds: the scheduler's decisions keep
 * its promises in every round, and bring each deployment to its end. */
#include "unit.h"

#include "aws/ecs/rollout.h"
#include "aws/ecs/zones.h"
#include "base/rand.h"

#include <stdio.h>
#include <string.h>

enum phase { GONE, PENDING, SETTLING, HEALTHY, UNHEALTHY, PHASES };
enum { TASKS = 400, ROUNDS = 4000, RUNS = 300 };

static struct world {
	struct {
		enum phase phase;
		unsigned deployment;
	} tasks[TASKS];
	unsigned newest;
	int64_t desired, minimum, maximum;
} w;

static struct rollout_count count(bool primary)
{
	struct rollout_count n = {0};
	for (int i = 0; i < TASKS; i++) {
		if ((w.tasks[i].deployment == w.newest) != primary)
			continue;
		n.pending += w.tasks[i].phase == PENDING;
		n.settling += w.tasks[i].phase == SETTLING;
		n.healthy += w.tasks[i].phase == HEALTHY;
		n.unhealthy += w.tasks[i].phase == UNHEALTHY;
	}
	return n;
}

static int64_t total(struct rollout_count n)
{
	return n.pending + n.settling + n.healthy + n.unhealthy;
}

static void change(enum phase from, enum phase to, bool primary, int64_t n)
{
	for (int i = 0; i < TASKS && n > 0; i++) {
		if (w.tasks[i].phase != from || (from != GONE && (w.tasks[i].deployment == w.newest) != primary))
			continue;
		w.tasks[i].phase = to;
		w.tasks[i].deployment = from == GONE ? w.newest : w.tasks[i].deployment;
		n--;
	}
	assert_int_equal(n, 0);
}

static void stop(struct rollout_count n, bool primary)
{
	change(PENDING, GONE, primary, n.pending);
	change(SETTLING, GONE, primary, n.settling);
	change(HEALTHY, GONE, primary, n.healthy);
	change(UNHEALTHY, GONE, primary, n.unhealthy);
}

static struct rollout_view view(void)
{
	return (struct rollout_view){w.desired, w.minimum, w.maximum, count(true), count(false)};
}

/* One decision, carried out. What it must keep: never above the upper bound by starting, never below the lower by stopping. */
static struct rollout_step step(void)
{
	struct rollout_view v = view();
	struct rollout_step s = rollout_next(&v);
	int64_t lower = (w.desired * w.minimum + 99) / 100, upper = w.desired * w.maximum / 100;
	stop(s.stop, false);
	stop(s.stop_primary, true);
	int64_t healthy = count(true).healthy + count(false).healthy;
	if (s.stop.healthy)
		assert_true(healthy >= lower);
	if (s.stop_primary.healthy)
		assert_true(healthy >= w.desired || healthy >= lower);
	change(GONE, PENDING, true, s.start);
	if (s.start)
		assert_true(total(count(true)) + total(count(false)) <= upper);
	assert_false(s.stuck && s.complete);
	return s;
}

static void chance(unsigned failures_percent)
{
	for (int i = 0; i < TASKS; i++) {
		enum phase *p = &w.tasks[i].phase;
		if (*p == GONE || rand_below(3))
			continue;
		if (rand_below(100) < failures_percent)
			*p = *p == HEALTHY && rand_below(2) ? UNHEALTHY : GONE;
		else if (*p == PENDING || *p == SETTLING)
			(*p)++;
	}
}

/* Can anything ever be replaced with these percentages? */
static bool possible(void)
{
	return w.desired == 0 || w.desired * w.maximum / 100 > w.desired || (w.desired * w.minimum + 99) / 100 < w.desired;
}

static void settle(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct rollout_step s = step();
		if (s.complete) {
			assert_int_equal(total(count(true)), w.desired);
			assert_int_equal(total(count(false)), 0);
			return;
		}
		if (s.stuck) {
			assert_false(possible());
			return;
		}
		chance(0);
	}
	fail_msg("desired %d, %d to %d %%: no end", (int)w.desired, (int)w.minimum, (int)w.maximum);
}

static void any_service_comes_to_rest(void **state)
{
	static const int64_t minima[] = {0, 50, 66, 100}, maxima[] = {100, 125, 150, 200};
	(void)state;
	rand_seed(4);
	for (int run = 0; run < RUNS; run++) {
		memset(&w, 0, sizeof(w));
		w.desired = (int64_t)rand_below(21);
		w.minimum = minima[rand_below(4)];
		w.maximum = maxima[rand_below(4)];
		settle();
		for (int change = 0; change < 6; change++) {
			if (rand_below(2))
				w.newest++;
			else
				w.desired = (int64_t)rand_below(21);
			for (int i = 0; i < 30; i++) {
				step();
				chance(20);
			}
			settle();
		}
	}
}

static void deploy(int64_t desired, int64_t minimum, int64_t maximum)
{
	memset(&w, 0, sizeof(w));
	w.desired = desired;
	w.minimum = minimum;
	w.maximum = maximum;
	change(GONE, HEALTHY, true, desired);
	w.newest++;
}

static void percentages_say_which_comes_first(void **state)
{
	(void)state;
	deploy(4, 100, 200); /* all new ones, and the old ones as new ones become healthy */
	assert_int_equal(step().start, 4);
	change(PENDING, HEALTHY, true, 3);
	struct rollout_step s = step();
	assert_int_equal(s.start, 0);
	assert_int_equal(s.stop.healthy, 3);
	deploy(4, 50, 100); /* room is made first */
	s = step();
	assert_int_equal(s.stop.healthy, 2);
	assert_int_equal(s.start, 2);
	deploy(1, 100, 100); /* neither is possible */
	assert_true(step().stuck);
	deploy(3, 66, 133); /* 2 to 3: one goes, one comes */
	s = step();
	assert_int_equal(s.stop.healthy, 1);
	assert_int_equal(s.start, 1);
}

static void an_unhealthy_task_is_replaced(void **state)
{
	(void)state;
	deploy(2, 100, 200);
	w.newest--;
	change(HEALTHY, UNHEALTHY, true, 1);
	struct rollout_step s = step();
	assert_int_equal(s.start, 1); /* its replacement first */
	assert_int_equal(s.stop_primary.unhealthy, 0);
	change(PENDING, HEALTHY, true, 1);
	assert_int_equal(step().stop_primary.unhealthy, 1);
	assert_true(step().complete);
	deploy(2, 100, 100);
	w.newest--;
	change(HEALTHY, UNHEALTHY, true, 1);
	s = step(); /* no room: it goes first */
	assert_int_equal(s.stop_primary.unhealthy, 1);
	assert_int_equal(s.start + step().start, 1);
}

static void thresholds(void **state)
{
	(void)state;
	assert_int_equal(rollout_breaker_threshold(ROLLOUT_BOUNDED_PERCENT, 50, 0), 3);
	assert_int_equal(rollout_breaker_threshold(ROLLOUT_BOUNDED_PERCENT, 50, 7), 4);
	assert_int_equal(rollout_breaker_threshold(ROLLOUT_BOUNDED_PERCENT, 50, 1000), 200);
	assert_int_equal(rollout_breaker_threshold(ROLLOUT_UNBOUNDED_PERCENT, 50, 1000), 500);
	assert_int_equal(rollout_breaker_threshold(ROLLOUT_UNBOUNDED_PERCENT, 50, 1), 1);
	assert_int_equal(rollout_breaker_threshold(ROLLOUT_UNBOUNDED_PERCENT, 50, 0), 1);
	assert_int_equal(rollout_breaker_threshold(ROLLOUT_COUNT, 7, 1000), 7);
	assert_int_equal(rollout_backoff_ms(2), 0);
	assert_true(rollout_backoff_ms(3) > 0 && rollout_backoff_ms(4) == 2 * rollout_backoff_ms(3));
	assert_int_equal(rollout_backoff_ms(1000), 15 * 60 * 1000);
}

/* Wherever tasks are at first, moving one at a time makes them even and then stops; new ones keep them even. */
static void zones_become_even(void **state)
{
	(void)state;
	for (int round = 0; round < 1000; round++) {
		int64_t tasks[ZONES_MAX] = {0}, all = 0, moves = 0;
		uint32_t n = 1 + (uint32_t)rand_below(ZONES_MAX);
		for (uint32_t i = 0; i < n; i++)
			all += tasks[i] = (int64_t)rand_below(20);
		while (zones_uneven(tasks, n)) {
			tasks[zones_least(tasks, n)]++;
			tasks[zones_most(tasks, n)]--;
			assert_true(moves++ < all);
		}
		for (int64_t i = rand_below(50); i > 0; i--) {
			tasks[zones_least(tasks, n)]++;
			assert_false(zones_uneven(tasks, n));
		}
	}
	assert_false(zones_uneven(NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(any_service_comes_to_rest),
	        cmocka_unit_test(percentages_say_which_comes_first),
	        cmocka_unit_test(an_unhealthy_task_is_replaced),
	        cmocka_unit_test(thresholds),
	        cmocka_unit_test(zones_become_even),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

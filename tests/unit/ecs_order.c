/* The order of a task's containers: what starts when, what ends the task, what stops first. */
#include "unit.h"

#include "aws/ecs/order.h"

enum { A, B, C, MOST };

static struct {
	struct ecs_container_definition d[MOST];
	struct ecs_container_dependency on[MOST];
	struct order_container k[MOST];
	enum order_verb verbs[MOST];
	struct order_next next;
	struct ecs_health_check check;
} w;

static void reset(void)
{
	static struct str cmd = S_INIT("CMD");
	memset(&w, 0, sizeof(w));
	w.check.command = (struct str_list){.v = &cmd, .n = 1};
	for (int i = 0; i < MOST; i++) {
		w.d[i].name = str_from((const char *const[]){"a", "b", "c"}[i]);
		w.k[i].definition = &w.d[i];
	}
}

static void depends(int who, int on, const char *condition)
{
	w.on[who] = (struct ecs_container_dependency){w.d[on].name, str_from(condition)};
	w.d[who].depends_on.v = &w.on[who];
	w.d[who].depends_on.n = 1;
}

static void optional(int who)
{
	w.d[who].essential = OPT_BOOL(false);
}

static void runs(int who, int64_t at_ms)
{
	w.k[who].state = ORDER_RUNNING;
	w.k[who].started = true;
	w.k[who].started_ms = w.k[who].asked_ms = at_ms;
}

static void exits(int who, int code, int64_t at_ms)
{
	w.k[who].state = ORDER_ENDED;
	w.k[who].exit_code = code;
	w.k[who].ended_ms = at_ms;
}

static void look(uint32_t n, bool stopping, int64_t now_ms)
{
	order_next(w.k, n, stopping, now_ms, w.verbs, &w.next);
}

static void without_dependencies_all_start(void **state)
{
	(void)state;
	reset();
	look(3, false, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(w.verbs[i], ORDER_START);
	assert_false(w.next.up);
	for (int i = 0; i < 3; i++)
		runs(i, 1);
	look(3, false, 2);
	assert_true(w.next.up && !w.next.down);
	assert_int_equal(w.next.end, ORDER_GOES_ON);
}

static void conditions(void **state)
{
	(void)state;
	reset();
	depends(A, B, "START");
	look(2, false, 1);
	assert_int_equal(w.verbs[A], ORDER_NOTHING);
	runs(B, 1);
	look(2, false, 2);
	assert_int_equal(w.verbs[A], ORDER_START);

	reset();
	depends(A, B, "HEALTHY");
	w.d[B].health_check = &w.check;
	runs(B, 1000);
	look(2, false, 2000);
	assert_int_equal(w.verbs[A], ORDER_NOTHING);
	assert_int_equal(w.next.again_ms, 1000 + 180 * 1000);
	w.k[B].health = ORDER_HEALTHY;
	look(2, false, 2000);
	assert_int_equal(w.verbs[A], ORDER_START);

	for (int code = 0; code < 2; code++) {
		reset();
		optional(B);
		depends(A, B, "SUCCESS");
		runs(B, 1);
		look(2, false, 2);
		assert_int_equal(w.verbs[A], ORDER_NOTHING);
		exits(B, code, 3);
		look(2, false, 4);
		assert_int_equal(w.verbs[A], code ? ORDER_GIVE_UP : ORDER_START);
		depends(A, B, "COMPLETE");
		look(2, false, 4);
		assert_int_equal(w.verbs[A], ORDER_START);
	}
}

static void a_start_timeout_ends_the_wait(void **state)
{
	(void)state;
	reset();
	depends(A, B, "HEALTHY");
	w.d[B].start_timeout = OPT_INT(10);
	runs(B, 1000);
	look(2, false, 10999);
	assert_int_equal(w.verbs[A], ORDER_NOTHING);
	look(2, false, 11000);
	assert_int_equal(w.verbs[A], ORDER_GIVE_UP);
	exits(A, 0, 11000); /* it never ran, and is essential */
	look(2, false, 11001);
	assert_int_equal(w.next.end, ORDER_FAILED_TO_START);
	assert_int_equal(w.next.because, A);
	assert_int_equal(w.verbs[B], ORDER_STOP);
}

static void an_essential_exit_ends_the_task(void **state)
{
	(void)state;
	reset();
	optional(B);
	runs(A, 1);
	runs(B, 1);
	exits(B, 1, 2);
	look(2, false, 3);
	assert_int_equal(w.next.end, ORDER_GOES_ON);
	exits(A, 0, 3);
	runs(B, 1);
	look(2, false, 4);
	assert_int_equal(w.next.end, ORDER_ESSENTIAL_EXITED);
	assert_int_equal(w.verbs[B], ORDER_STOP);
	w.k[B].stopping = true;
	look(2, false, 5);
	assert_int_equal(w.verbs[B], ORDER_NOTHING);
	exits(B, 143, 6);
	look(2, false, 7);
	assert_true(w.next.down);
}

static void who_is_needed_stops_last(void **state)
{
	(void)state;
	reset();
	depends(A, B, "START");
	depends(B, C, "START");
	for (int i = 0; i < 3; i++)
		runs(i, 1);
	look(3, true, 2);
	assert_true(w.verbs[A] == ORDER_STOP && w.verbs[B] == ORDER_NOTHING && w.verbs[C] == ORDER_NOTHING);
	exits(A, 143, 3);
	look(3, true, 4);
	assert_true(w.verbs[B] == ORDER_STOP && w.verbs[C] == ORDER_NOTHING);
	exits(B, 143, 5);
	look(3, true, 6);
	assert_int_equal(w.verbs[C], ORDER_STOP);
	reset();
	look(2, true, 1); /* nothing has been started: nothing will be */
	assert_true(w.verbs[A] == ORDER_GIVE_UP && w.next.down);
}

static void a_restart_policy_asks_for_some_time_of_running(void **state)
{
	static struct opt_int seven = {.v = 7, .set = true};
	static struct ecs_container_restart_policy policy;
	(void)state;
	policy = (struct ecs_container_restart_policy){.enabled = OPT_BOOL(true), .restart_attempt_period = OPT_INT(60)};
	policy.ignored_exit_codes.v = &seven;
	policy.ignored_exit_codes.n = 1;
	reset();
	w.d[A].restart_policy = &policy;
	runs(A, 1000);
	exits(A, 1, 61000);
	look(1, false, 61000);
	assert_int_equal(w.next.end, ORDER_GOES_ON);
	assert_int_equal(w.verbs[A], ORDER_START);
	exits(A, 1, 60999); /* too soon */
	look(1, false, 61000);
	assert_int_equal(w.next.end, ORDER_ESSENTIAL_EXITED);
	exits(A, 7, 90000); /* ignored */
	look(1, false, 90000);
	assert_int_equal(w.next.end, ORDER_ESSENTIAL_EXITED);
	exits(A, 1, 90000);
	look(1, true, 90000);
	assert_int_equal(w.verbs[A], ORDER_NOTHING);
}

static void health_of_the_task(void **state)
{
	(void)state;
	reset();
	runs(A, 1);
	runs(B, 1);
	assert_int_equal(order_task_health(w.k, 2), ORDER_HEALTH_UNKNOWN);
	w.d[A].health_check = w.d[B].health_check = &w.check;
	w.k[A].health = ORDER_HEALTHY;
	assert_int_equal(order_task_health(w.k, 2), ORDER_HEALTH_UNKNOWN);
	optional(B);
	assert_int_equal(order_task_health(w.k, 2), ORDER_HEALTHY);
	w.k[A].health = ORDER_UNHEALTHY;
	assert_int_equal(order_task_health(w.k, 2), ORDER_UNHEALTHY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(without_dependencies_all_start),
	        cmocka_unit_test(conditions),
	        cmocka_unit_test(a_start_timeout_ends_the_wait),
	        cmocka_unit_test(an_essential_exit_ends_the_task),
	        cmocka_unit_test(who_is_needed_stops_last),
	        cmocka_unit_test(a_restart_policy_asks_for_some_time_of_running),
	        cmocka_unit_test(health_of_the_task),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

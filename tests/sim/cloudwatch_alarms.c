/* Alarms over hours and days of a clock that the test moves: they change when their rule says and at no other time, repeat what
 * they repeat once a minute at most, and what is old goes. */
#include "world.h"

#include "aws/cloudwatch/alarm.h"
#include "base/clock.h"
#include "engine/metrics/metrics.h"
#include "gen/autoscaling.h"

#include <stdlib.h>

#define START INT64_C(1767225600000) /* 2026-01-01 */
#define MINUTE INT64_C(60000)
#define DAY INT64_C(86400000)
#define POLICY "arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:1:autoScalingGroupName/g:policyName/p"
enum { TURNS = 4, PATIENCE = 20000 };

static struct {
	struct arena last;     /* of the last answer */
	unsigned first, again; /* executions of the policy */
	int64_t last_run_ms, closest_ms;
	double value;
} w;

static void policy_run(struct cloud *cloud, const struct alarm_event *e, alarm_ran_fn *ran, void *ctx)
{
	(void)cloud;
	assert_str(e->action, POLICY);
	assert_str(e->new_state, "ALARM");
	int64_t now = clock_wall_ms();
	if (w.last_run_ms && now - w.last_run_ms < w.closest_ms)
		w.closest_ms = now - w.last_run_ms;
	w.last_run_ms = now;
	*(e->repeated ? &w.again : &w.first) += 1;
	w.value = e->value;
	ran(ctx, STR_NONE, STR_NONE);
}

static const struct alarm_action_kind policies[] = {{.prefix = "arn:aws:autoscaling:", .run = policy_run, .repeats = true}};
static const struct service scaler = {.api = &autoscaling_api, .alarm_actions = policies, .alarm_action_count = 1};
extern const struct service cloudwatch_service;
extern const struct service iam_service;
const struct service *const cloud_services[] = {&cloudwatch_service, &iam_service, &scaler, NULL};

static int set_up(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	w.closest_ms = DAY;
	return world_begin(5, WORLD_METER | WORLD_HTTP);
}

static int tear_down(void **state)
{
	(void)state;
	int result = world_end();
	arena_done(&w.last);
	return result;
}

static const void *ask(const char *operation, const void *in)
{
	arena_reset(&w.last);
	const void *out = world_ask(&w.last, &cloudwatch_api, operation, in);
	assert_string_equal(world.code, "");
	return out;
}

static void pass(int64_t ms)
{
	world_move_clock(ms);
	world_turns(TURNS);
}

static struct cloudwatch_metric_alarm alarm_now(void)
{
	struct str name = S("a");
	const struct cloudwatch_describe_alarms_output *out =
	        ask("DescribeAlarms", &(struct cloudwatch_describe_alarms_input){.alarm_names = {.v = &name, .n = 1, .set = true}});
	assert_int_equal(out->metric_alarms.n, 1);
	return out->metric_alarms.v[0];
}

/* A decision is written by a thread: it has come when it has come. */
static void assert_state(const char *wanted)
{
	for (int i = 0; i < PATIENCE && !str_is(alarm_now().state_value, wanted); i++)
		loop_turn(world.cloud.loop, 1000);
	assert_str(alarm_now().state_value, wanted);
}

static uint32_t changes(void)
{
	const struct cloudwatch_describe_alarm_history_output *out =
	        ask("DescribeAlarmHistory",
	            &(struct cloudwatch_describe_alarm_history_input){.alarm_name = S("a"), .history_item_type = S("StateUpdate")});
	return out->alarm_history_items.n;
}

static void sample(double value)
{
	metrics_add(world.cloud.metrics,
	            &(struct metric){.account = S("000000000000"),
	                             .region = S("us-east-1"),
	                             .space = S("mine"),
	                             .name = S("m"),
	                             .unit = S("Percent")},
	            value);
}

static void put_alarm(int64_t periods, const char *missing)
{
	struct str action = S(POLICY);
	ask("PutMetricAlarm", &(struct cloudwatch_put_metric_alarm_input){.alarm_name = S("a"),
	                                                                  .namespace = S("mine"),
	                                                                  .metric_name = S("m"),
	                                                                  .statistic = S("Average"),
	                                                                  .period = OPT_INT(60),
	                                                                  .evaluation_periods = OPT_INT(periods),
	                                                                  .threshold = OPT_DOUBLE(50),
	                                                                  .comparison_operator = S("GreaterThanThreshold"),
	                                                                  .treat_missing_data = str_from(missing),
	                                                                  .alarm_actions = {.v = &action, .n = 1, .set = true}});
}

/* Minutes of noise below the threshold, some without data, and spikes of two minutes at most. */
static void noise(unsigned minutes)
{
	for (unsigned i = 0; i < minutes; i++) {
		unsigned turn = i % 10;
		if (turn == 3 || turn == 8)
			sample(99);
		else if (turn == 4 && i % 20 == 4)
			sample(99);
		else if (turn != 6)
			sample(rand() % 50);
		pass(MINUTE);
	}
}

static void changes_when_it_must(void **state)
{
	(void)state;
	srand(5);
	for (int i = 0; i < 5; i++) {
		sample(1);
		pass(MINUTE);
	}
	put_alarm(3, "missing");
	pass(MINUTE);
	assert_state("OK");
	assert_int_equal(changes(), 1);
	noise(240);
	assert_state("OK");
	assert_int_equal(changes(), 1);
	assert_int_equal(w.first, 0);
	for (int i = 0; i < 15; i++) {
		sample(80 + i);
		pass(MINUTE);
	}
	assert_state("ALARM");
	assert_int_equal(changes(), 2);
	for (int i = 0; i < PATIENCE && (!w.first || w.again < 5); i++) {
		if (i % 20 == 0) {
			sample(95);
			pass(MINUTE);
		}
		loop_turn(world.cloud.loop, 1000);
	}
	assert_int_equal(w.first, 1);
	assert_true(w.again >= 5 && w.closest_ms >= MINUTE);
	assert_true(w.value > 50);
	unsigned again = w.again;
	for (int i = 0; i < 10; i++) {
		sample(1);
		pass(MINUTE);
	}
	assert_state("OK");
	assert_int_equal(changes(), 3);
	assert_true(w.again <= again + 2);
	again = w.again;
	noise(60);
	assert_int_equal(changes(), 3);
	assert_int_equal(w.again, again);
	/* Nothing comes any more. */
	for (int i = 0; i < 10; i++)
		pass(MINUTE);
	assert_state("INSUFFICIENT_DATA");
	assert_int_equal(changes(), 4);
}

static void assert_first_in_history(const char *scan_by, const char *summary)
{
	const struct cloudwatch_describe_alarm_history_output *out =
	        ask("DescribeAlarmHistory", &(struct cloudwatch_describe_alarm_history_input){
	                                            .alarm_name = S("a"), .scan_by = str_from(scan_by), .max_records = OPT_INT(1)});
	assert_int_equal(out->alarm_history_items.n, 1);
	assert_str(out->alarm_history_items.v[0].history_summary, summary);
}

/* On a fast disk an alarm is made and changes within a millisecond; here the clock stands. */
static void history_keeps_its_order(void **state)
{
	(void)state;
	put_alarm(1, "ignore");
	ask("SetAlarmState", &(struct cloudwatch_set_alarm_state_input){
	                             .alarm_name = S("a"), .state_value = S("ALARM"), .state_reason = S("a try")});
	ask("SetAlarmState",
	    &(struct cloudwatch_set_alarm_state_input){.alarm_name = S("a"), .state_value = S("OK"), .state_reason = S("another")});
	assert_int_equal(changes(), 2);
	assert_first_in_history("TimestampAscending", "Alarm \"a\" created");
	assert_first_in_history("TimestampDescending", "Alarm updated from ALARM to OK");
}

/* A minute begins, and with it a look that would end the state, before what was set by hand was acted on. */
static void what_is_set_is_done(void **state)
{
	(void)state;
	put_alarm(1, "missing");
	pass(MINUTE);
	for (unsigned i = 1; i <= 5; i++) {
		ask("SetAlarmState", &(struct cloudwatch_set_alarm_state_input){
		                             .alarm_name = S("a"), .state_value = S("ALARM"), .state_reason = S("a try")});
		world_move_clock(MINUTE);
		for (int k = 0; k < PATIENCE && w.first < i; k++)
			loop_turn(world.cloud.loop, 1000);
		assert_int_equal(w.first, i);
		/* a look that met the action's own change is made anew at one of the next ticks */
		for (int k = 0; k < PATIENCE && !str_is(alarm_now().state_value, "INSUFFICIENT_DATA"); k++) {
			if (k % 50 == 0)
				pass(MINUTE);
			loop_turn(world.cloud.loop, 1000);
		}
		assert_state("INSUFFICIENT_DATA");
	}
}

static uint32_t points(int64_t from_ms, int64_t period_s)
{
	struct str average = S("Average");
	const struct cloudwatch_get_metric_statistics_output *out =
	        ask("GetMetricStatistics",
	            &(struct cloudwatch_get_metric_statistics_input){.namespace = S("mine"),
	                                                             .metric_name = S("m"),
	                                                             .start_time = OPT_TIME(from_ms),
	                                                             .end_time = OPT_TIME(from_ms + 3600000),
	                                                             .period = OPT_INT(period_s),
	                                                             .statistics = {.v = &average, .n = 1, .set = true}});
	return out->datapoints.n;
}

/* What is old is taken away by and by, and what one pass could not is the next one's. */
static void assert_gone(int64_t start_ms, int64_t period_s)
{
	for (int i = 0; i < PATIENCE && points(start_ms, period_s); i++) {
		if (i % 50 == 0)
			pass(MINUTE);
		loop_turn(world.cloud.loop, 1000);
	}
	assert_int_equal(points(start_ms, period_s), 0);
}

static void old_goes(void **state)
{
	(void)state;
	for (int i = 0; i < 30; i++) {
		sample(i);
		pass(MINUTE);
	}
	put_alarm(1, "ignore");
	pass(MINUTE);
	assert_state("OK");
	assert_int_equal(points(START, 60), 30);
	pass(16 * DAY);
	assert_gone(START, 60);
	assert_int_equal(points(START, 300), 6);
	pass(16 * DAY);
	for (int i = 0; i < PATIENCE && changes(); i++) {
		if (i % 50 == 0)
			pass(MINUTE);
		loop_turn(world.cloud.loop, 1000);
	}
	assert_int_equal(changes(), 0);
	assert_state("OK"); /* ignore: it stays */
	pass(40 * DAY);
	assert_gone(START, 300);
	assert_int_equal(points(START, 3600), 1);
	pass(400 * DAY);
	assert_gone(START, 3600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(changes_when_it_must, set_up, tear_down),
	                                   cmocka_unit_test_setup_teardown(history_keeps_its_order, set_up, tear_down),
	                                   cmocka_unit_test_setup_teardown(what_is_set_is_done, set_up, tear_down),
	                                   cmocka_unit_test_setup_teardown(old_goes, set_up, tear_down)};
	return cmocka_run_group_tests_name("cloudwatch alarms", tests, NULL, NULL);
}

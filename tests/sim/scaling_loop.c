/* The whole loop over days: a load that comes and goes, the metric that it makes, CloudWatch's own alarms on it and a group that
 * they scale, over an EC2 that loses answers, has no capacity now and then and lets instances die; minutes without data, and a role
 * that ends in the middle of things. Nothing turns round within what alarms and warm-ups allow, nothing exceeds the greatest size,
 * and no instance is lost. Seeded. */
#include "groups_world.h"

#include "base/rand.h"
#include "core/call.h"
#include "engine/metrics/metrics.h"
#include "gen/cloudwatch.h"

#include <stdlib.h>

enum { TARGET = 50, WARMUP_S = 120, OUT_MIN = 3, IN_MIN = 15, TURN_MIN = 10, DAYS = 2 };

extern const struct service cloudwatch_service;
extern const struct service autoscaling_service;
const struct service *const cloud_services[] = {&cloudwatch_service, &autoscaling_service, &groups_ec2, NULL};

static struct {
	double load; /* percent of one instance */
	int64_t minute, desired, turned_at;
	int way; /* of the last change: 1 out, -1 in */
	unsigned outs, ins, reversals;
	bool silent; /* nothing measures */
} w;

static int set_up(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	memset(&groups, 0, sizeof(groups));
	groups.all = calloc(INSTANCES_MAX, sizeof(*groups.all));
	return world_begin(20264, WORLD_METER | WORLD_HTTP);
}

/* What EC2 would say of the group. */
static void measure(void)
{
	const struct metric_dimension by = {S("AutoScalingGroupName"), S("g")};
	const struct metric m = {S("000000000000"), S("us-east-1"), S("AWS/EC2"), S("CPUUtilization"), S("Percent"), &by, 1};
	unsigned serving = groups_alive(NULL);
	double cpu = serving ? w.load / serving : 0;
	for (unsigned i = 0; i < serving && !w.silent; i++)
		metrics_add(world.cloud.metrics, &m, cpu > 100 ? 100 : cpu);
}

/* Does what was wanted go up and down faster than the alarms' minutes and the warm-up let it? */
static void watch(void)
{
	int64_t now = groups_group()->desired_capacity.v;
	assert_true(now >= 1 && now <= MAX);
	if (now == w.desired)
		return;
	int way = now > w.desired ? 1 : -1;
	*(way > 0 ? &w.outs : &w.ins) += 1;
	if (w.way && way != w.way) {
		w.reversals++;
		if (way < 0) /* in again: the low alarm takes its quarter of an hour, of which some may have been before */
			assert_true(w.minute - w.turned_at >= TURN_MIN);
		else
			assert_true(w.minute - w.turned_at >= OUT_MIN);
	}
	w.way = way;
	w.turned_at = w.minute;
	w.desired = now;
}

static void minute(void)
{
	w.minute++;
	measure();
	/* alarms are looked at when the minute is over, in turns of the loop */
	groups_pass(MINUTE_MS);
	world_turns(6);
	watch();
	groups_check_bounds();
}

static void track(void)
{
	struct autoscaling_predefined_metric_specification metric = {.predefined_metric_type = S("ASGAverageCPUUtilization")};
	struct autoscaling_target_tracking_configuration t = {.predefined_metric_specification = &metric,
	                                                      .target_value = OPT_DOUBLE(TARGET)};
	struct autoscaling_put_scaling_policy_type in = {.auto_scaling_group_name = S("g"),
	                                                 .policy_name = S("p"),
	                                                 .policy_type = S("TargetTrackingScaling"),
	                                                 .estimated_instance_warmup = OPT_INT(WARMUP_S),
	                                                 .target_tracking_configuration = &t};
	groups_ask("PutScalingPolicy", &in);
	assert_string_equal(world.code, "");
}

static unsigned alarms(void)
{
	struct cloudwatch_describe_alarms_input in = {.alarm_name_prefix = S("TargetTracking-g-")};
	const struct cloudwatch_describe_alarms_output *out = world_ask(&groups.last, &cloudwatch_api, "DescribeAlarms", &in);
	return out->metric_alarms.n;
}

/* A load that stays is met within an hour, by as many as it needs and not by more than that needs. */
static void comes_to_rest(void)
{
	w.silent = groups.faults = false;
	groups.full_zone = NULL;
	for (int i = 0; i < 90; i++)
		minute();
	unsigned reversals = w.reversals;
	for (int i = 0; i < 30; i++)
		minute();
	assert_int_equal(w.reversals, reversals);
	groups_check_whole();
	unsigned n = groups_alive(NULL);
	assert_true(w.load / n <= TARGET || n == MAX);
	assert_true(n == 1 || w.load / (n - 1) > TARGET * 0.8);
}

static void days(void **state)
{
	(void)state;
	groups_create(1, 2);
	w.desired = 2;
	track();
	for (int i = 0; i < 10 && alarms() < 2; i++)
		groups_pass(MINUTE_MS);
	assert_int_equal(alarms(), 2);
	for (int day = 0; day < DAYS; day++) {
		groups.faults = true;
		for (int i = 0; i < 22 * 60; i++) {
			if (rand_below(90) == 0)
				w.load = (double)rand_below(60000) / 100;
			if (rand_below(40) == 0)
				w.silent = !w.silent && rand_below(4) == 0;
			if (rand_below(60) == 0)
				groups.full_zone = groups.full_zone ? NULL : "us-east-1b";
			minute();
			if (rand_below(100) == 0)
				groups_restart_role();
		}
		comes_to_rest();
	}
	assert_true(w.outs > 20 && w.ins > 10);
	/* the group goes, and all that it had */
	struct autoscaling_delete_auto_scaling_group_type end = {.auto_scaling_group_name = S("g"), .force_delete = OPT_BOOL(true)};
	groups_ask("DeleteAutoScalingGroup", &end);
	for (int i = 0; i < 30; i++)
		groups_pass(MINUTE_MS);
	assert_null(groups_group());
	assert_int_equal(groups_alive(NULL), 0);
	assert_int_equal(alarms(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(days, set_up, groups_tear_down)};
	return cmocka_run_group_tests_name("scaling_loop", tests, NULL, NULL);
}

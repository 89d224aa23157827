/* Application Auto Scaling over days without a service: its operations, policies and keepers, over an ECS that is one count here,
 * loses answers, is slow to follow and is changed behind its back. The role is started again in the middle of things. Seeded. */
#include "world.h"

#include "aws/ecs/ecs.h"
#include "base/rand.h"
#include "core/alarm.h"
#include "core/call.h"
#include "gen/application_autoscaling.h"
#include "gen/cloudwatch.h"
#include "gen/ecs.h"

#include <math.h>
#include <stdio.h>

enum { MINUTE_MS = 60000, COOLDOWN_MIN = 5 };

static struct {
	struct arena last; /* of the last answer */
	char metric[256];  /* of the last alarm */
	int64_t desired, running;
	bool there, deploying, faults;
	int64_t calls, alarms;
	ecs_service_changed_fn *changed;
	void *changed_ctx;
} w;

static bool chance(unsigned percent)
{
	return w.faults && rand_below(100) < percent;
}

/* --- ECS */

bool ecs_see_service(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str cluster,
                     struct str name, struct ecs_service_seen *ret)
{
	(void)t;
	(void)account;
	(void)region;
	(void)cluster;
	(void)name;
	*ret = (struct ecs_service_seen){.desired = w.desired, .running = w.running, .deploying = w.deploying};
	*LIST_ADD(a, &ret->target_groups) =
	        S("arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/blue/0123456789abcdef");
	return w.there;
}

struct ecs_services_watch *ecs_watch_services(struct cloud *cloud, ecs_service_changed_fn *fn, void *ctx)
{
	(void)cloud;
	w.changed = fn;
	w.changed_ctx = ctx;
	return NULL;
}

void ecs_unwatch_services(struct ecs_services_watch *watch)
{
	(void)watch;
	w.changed = NULL;
}

static void tell(void)
{
	if (w.changed)
		w.changed(w.changed_ctx, S("000000000000"), S("us-east-1"), S("c"), S("web"));
}

static int lost(struct call *c)
{
	call_fail(c, "ServerException", 500, "the answer was lost");
	c->error.receiver = true;
	return CALL_FAIL;
}

static int fake_update(struct call *c, const struct ecs_update_service_request *in, struct ecs_update_service_response *out)
{
	(void)out;
	assert_str(in->cluster, "c");
	assert_str(in->service, "web");
	w.calls++;
	if (!w.there)
		return call_fail(c, "ServiceNotFoundException", 400, "Service not found.");
	if (chance(20))
		return lost(c);
	w.desired = in->desired_count.v;
	return chance(20) ? lost(c) : CALL_OK;
}

static int fake_put_alarm(struct call *c, const struct cloudwatch_put_metric_alarm_input *in, struct model_none *out)
{
	(void)out;
	if (chance(50))
		return lost(c);
	assert_true(str_starts(in->alarm_name, S("TargetTracking-service/c/web-Alarm")));
	w.alarms++;
	snprintf(w.metric, sizeof(w.metric), "%.*s %.*s %.*s", STR_ARG(in->namespace), STR_ARG(in->metric_name),
	         STR_ARG(in->statistic));
	for (uint32_t i = 0; i < in->dimensions.n; i++)
		snprintf(w.metric + strlen(w.metric), sizeof(w.metric) - strlen(w.metric), " %.*s %.*s",
		         STR_ARG(in->dimensions.v[i].name), STR_ARG(in->dimensions.v[i].value));
	return CALL_OK;
}

static int fake_delete_alarms(struct call *c, const struct cloudwatch_delete_alarms_input *in, struct model_none *out)
{
	(void)out;
	(void)in;
	if (chance(50))
		return lost(c);
	w.alarms--;
	return CALL_OK;
}

#define FAKE(fn, op_name) \
	{ \
		.name = op_name, .handle = (call_handler *)(void (*)(void))fn \
	}
static const struct service_op ecs_ops[] = {FAKE(fake_update, "UpdateService")};
static const struct service_op cloudwatch_ops[] = {FAKE(fake_delete_alarms, "DeleteAlarms"),
                                                   FAKE(fake_put_alarm, "PutMetricAlarm")};
static const struct service fake_ecs = {.api = &ecs_api, .iam_prefix = "ecs", .ops = ecs_ops, .op_count = 1};
static const struct service fake_cloudwatch = {
        .api = &cloudwatch_api, .iam_prefix = "cloudwatch", .ops = cloudwatch_ops, .op_count = 2};

extern const struct service application_autoscaling_service;
const struct service *const cloud_services[] = {&application_autoscaling_service, &fake_ecs, &fake_cloudwatch, NULL};

/* --- the world */

static int set_up(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	w.there = true;
	return world_begin(20262, 0);
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
	return world_ask(&w.last, &application_autoscaling_api, operation, in);
}

#define ABOUT .service_namespace = S("ecs"), .resource_id = S("service/c/web"), .scalable_dimension = S("ecs:service:DesiredCount")

static void register_target(int64_t min, int64_t max)
{
	struct application_autoscaling_register_scalable_target_request in = {ABOUT, .min_capacity = OPT_INT(min),
	                                                                      .max_capacity = OPT_INT(max)};
	ask("RegisterScalableTarget", &in);
	assert_string_equal(world.code, "");
}

static void bounds(int64_t *ret_min, int64_t *ret_max)
{
	struct application_autoscaling_describe_scalable_targets_request in = {.service_namespace = S("ecs")};
	const struct application_autoscaling_describe_scalable_targets_response *out = ask("DescribeScalableTargets", &in);
	assert_int_equal(out->scalable_targets.n, 1);
	*ret_min = out->scalable_targets.v[0].min_capacity.v;
	*ret_max = out->scalable_targets.v[0].max_capacity.v;
}

static const struct application_autoscaling_scaling_activities *activities(void)
{
	struct application_autoscaling_describe_scaling_activities_request in = {.service_namespace = S("ecs"),
	                                                                         .include_not_scaled_activities = OPT_BOOL(true)};
	const struct application_autoscaling_describe_scaling_activities_response *out = ask("DescribeScalingActivities", &in);
	return &out->scaling_activities;
}

/* Tasks start one by one and stop at once. */
static void pass(int64_t ms)
{
	int64_t before = w.running;
	world_move_clock(ms);
	if (w.running < w.desired)
		w.running++;
	else if (w.running > w.desired)
		w.running = w.desired;
	if (w.running != before || chance(10))
		tell();
	world_turns(8);
}

static unsigned ran;
static char what[128];

static void alarm_ran(void *ctx, struct str error, struct str said)
{
	(void)ctx;
	snprintf(what, sizeof(what), "%.*s", STR_ARG(str_set(error) ? error : said));
	ran++;
}

static void fire(struct str arn, bool high, double value, double threshold)
{
	struct alarm_event e = {.action = arn,
	                        .account = S("000000000000"),
	                        .region = S("us-east-1"),
	                        .alarm_name = S("a"),
	                        .alarm_arn = S("arn"),
	                        .old_state = S("OK"),
	                        .new_state = S("ALARM"),
	                        .statistic = S("Average"),
	                        .metric = true,
	                        .operator= high ? S("GreaterThanThreshold") : S("LessThanThreshold"),
	                        .threshold = threshold,
	                        .value = value};
	unsigned before = ran;
	application_autoscaling_service.alarm_actions[0].run(&world.cloud, &e, alarm_ran, NULL);
	while (ran == before)
		loop_turn(world.cloud.loop, 1000);
}

static struct str put_tracking(const char *name, const char *type, double target)
{
	struct application_autoscaling_predefined_metric_specification metric = {.predefined_metric_type = str_from(type)};
	struct application_autoscaling_target_tracking_scaling_policy_configuration t = {.predefined_metric_specification = &metric,
	                                                                                 .target_value = OPT_DOUBLE(target)};
	struct application_autoscaling_put_scaling_policy_request in = {ABOUT, .policy_name = str_from(name),
	                                                                .policy_type = S("TargetTrackingScaling"),
	                                                                .target_tracking_scaling_policy_configuration = &t};
	const struct application_autoscaling_put_scaling_policy_response *out = ask("PutScalingPolicy", &in);
	assert_string_equal(world.code, "");
	return arena_dup(&world.arena, out->policy_arn);
}

static struct str put_steps(int64_t cooldown_s)
{
	struct application_autoscaling_step_adjustment steps[] = {
	        {OPT_DOUBLE(0), OPT_DOUBLE(20), OPT_INT(2)},
	        {.metric_interval_lower_bound = OPT_DOUBLE(20), .scaling_adjustment = OPT_INT(3)},
	        {.metric_interval_upper_bound = OPT_DOUBLE(0), .scaling_adjustment = OPT_INT(-1)}};
	struct application_autoscaling_step_scaling_policy_configuration conf = {
	        .adjustment_type = S("ChangeInCapacity"),
	        .cooldown = OPT_INT(cooldown_s),
	        .step_adjustments = {.v = steps, .n = 3, .set = true}};
	struct application_autoscaling_put_scaling_policy_request in = {
	        ABOUT, .policy_name = S("s"), .policy_type = S("StepScaling"), .step_scaling_policy_configuration = &conf};
	const struct application_autoscaling_put_scaling_policy_response *out = ask("PutScalingPolicy", &in);
	assert_string_equal(world.code, "");
	return arena_dup(&world.arena, out->policy_arn);
}

/* --- what AWS says of cooldowns */

static void cooldowns(void **state)
{
	(void)state;
	w.desired = w.running = 4;
	register_target(1, 20);
	struct str arn = put_steps(300);
	fire(arn, true, 55, 50);
	pass(1000);
	assert_int_equal(w.desired, 6);
	fire(arn, true, 55, 50); /* the same is felt already */
	pass(1000);
	assert_int_equal(w.desired, 6);
	assert_string_equal(what, "The cooldown of the last scale-out has not ended.");
	fire(arn, true, 75, 50); /* three, of which two are there */
	pass(1000);
	assert_int_equal(w.desired, 7);
	pass(301 * 1000);
	fire(arn, true, 55, 50);
	pass(1000);
	assert_int_equal(w.desired, 9);
	for (int i = 0; i < 10; i++)
		pass(MINUTE_MS);
	fire(arn, false, 45, 50);
	pass(1000);
	assert_int_equal(w.desired, 8);
	fire(arn, false, 45, 50); /* in goes slowly */
	pass(1000);
	assert_int_equal(w.desired, 8);
	assert_string_equal(what, "The cooldown of the last scale-in has not ended.");
	fire(arn, true, 75, 50); /* out at once */
	pass(1000);
	assert_int_equal(w.desired, 11);
	for (int i = 0; i < 10; i++)
		pass(MINUTE_MS);
	w.deploying = true;
	fire(arn, false, 45, 50);
	pass(1000);
	assert_int_equal(w.desired, 11);
	assert_str(activities()->v[0].not_scaled_reasons.v[0].code, "TargetServicePutResourceAsUnscalable");
	fire(arn, true, 75, 50);
	pass(1000);
	assert_int_equal(w.desired, 14);
}

/* --- one load is one way */

static void tracking_comes_to_rest(void **state)
{
	(void)state;
	enum { MOST = 12 };
	w.desired = w.running = 1;
	register_target(1, MOST);
	w.faults = true; /* of CloudWatch: alarms are asked for until they are there */
	struct str cpu_arn = put_tracking("cpu", "ECSServiceAverageCPUUtilization", 50);
	struct str memory_arn = put_tracking("memory", "ECSServiceAverageMemoryUtilization", 80);
	for (int i = 0; i < 60 && w.alarms < 4; i++)
		pass(MINUTE_MS);
	assert_int_equal(w.alarms, 4);
	w.faults = false;
	for (int plateau = 0; plateau < 30; plateau++) {
		double load = (double)rand_below(60000) / 100, memory = (double)rand_below(60000) / 100; /* percent of one task */
		unsigned over[2] = {0}, under[2] = {0}, turned = 0;
		int64_t last = w.desired, way = 0;
		for (int minute = 0; minute < 120; minute++) {
			const struct str arns[2] = {cpu_arn, memory_arn};
			const double loads[2] = {load, memory}, targets[2] = {50, 80};
			pass(MINUTE_MS);
			for (int k = 0; k < 2; k++) {
				double x = loads[k] / (double)w.running;
				x = x > 100 ? 100 : x;
				over[k] = x > targets[k] ? over[k] + 1 : 0;
				under[k] = x < targets[k] * 0.9 ? under[k] + 1 : 0;
				if (over[k] >= 3)
					fire(arns[k], true, x, targets[k]);
				if (under[k] >= 15)
					fire(arns[k], false, x, targets[k] * 0.9);
			}
			assert_true(w.desired >= 1 && w.desired <= MOST);
			if (w.desired != last) {
				turned += way && (w.desired > last) != (way > 0);
				way = w.desired > last ? 1 : -1;
				last = w.desired;
			}
		}
		assert_true(turned <= 1);
		assert_true((load / (double)w.desired <= 50 && memory / (double)w.desired <= 80) || w.desired == MOST);
		double least = (double)w.desired - 1;
		assert_true(w.desired == 1 || load / least > 40 || memory / least > 64);
	}
	struct application_autoscaling_deregister_scalable_target_request end = {ABOUT};
	ask("DeregisterScalableTarget", &end);
	for (int i = 0; i < 10 && w.alarms; i++)
		pass(MINUTE_MS);
	assert_int_equal(w.alarms, 0);
}

/* --- days of faults: never beyond the bounds, never in twice within a cooldown */

static int64_t count_of(const struct application_autoscaling_scaling_activity *a)
{
	struct str text = str_from_at(a->description, S("Setting desired count to ").n);
	int64_t n = -1;
	return str_starts(a->description, S("Setting desired count to ")) && str_to_i64(str_sub(text, 0, text.n - 1), &n) ? n : -1;
}

/* How many times alarms have made less of it, each at least a cooldown after the one before. */
static unsigned check_cooldowns(void)
{
	enum { MOST = 4096 };
	static struct {
		int64_t count, at_ms;
		bool alarm;
	} all[MOST];
	struct application_autoscaling_describe_scaling_activities_request in = {.service_namespace = S("ecs")};
	unsigned n = 0, ins = 0;
	int64_t last_in_ms = 0;
	do { /* the newest first */
		const struct application_autoscaling_describe_scaling_activities_response *out =
		        ask("DescribeScalingActivities", &in);
		assert_string_equal(world.code, "");
		for (uint32_t i = 0; i < out->scaling_activities.n; i++) {
			const struct application_autoscaling_scaling_activity *a = &out->scaling_activities.v[i];
			if (count_of(a) < 0)
				continue;
			assert_true(n < MOST);
			all[n].count = count_of(a);
			all[n].at_ms = a->start_time.ms;
			all[n++].alarm = str_starts(a->cause, S("monitor alarm"));
		}
		in.next_token = arena_dup(&world.arena, out->next_token);
	} while (str_set(in.next_token));
	for (unsigned i = n; i-- > 0;) {
		bool less = i + 1 < n && all[i].count < all[i + 1].count;
		if (!all[i].alarm)
			continue;
		if (!less) {
			last_in_ms = 0; /* a way out ends the cooldown */
			continue;
		}
		assert_true(!last_in_ms || all[i].at_ms - last_in_ms >= COOLDOWN_MIN * MINUTE_MS);
		last_in_ms = all[i].at_ms;
		ins++;
	}
	return ins;
}

static void days_of_faults(void **state)
{
	(void)state;
	w.desired = w.running = 2;
	register_target(2, 9);
	struct str arn = put_steps(COOLDOWN_MIN * 60);
	struct application_autoscaling_scalable_target_action less = {.min_capacity = OPT_INT(1), .max_capacity = OPT_INT(5)},
	                                                      more = {.min_capacity = OPT_INT(3), .max_capacity = OPT_INT(9)};
	struct application_autoscaling_put_scheduled_action_request night = {
	        ABOUT, .scheduled_action_name = S("night"), .schedule = S("cron(0 22 * * ? *)"), .timezone = S("Europe/Berlin"),
	        .scalable_target_action = &less};
	struct application_autoscaling_put_scheduled_action_request day = {
	        ABOUT, .scheduled_action_name = S("day"), .schedule = S("cron(0 6 * * ? *)"), .timezone = S("Europe/Berlin"),
	        .scalable_target_action = &more};
	ask("PutScheduledAction", &night);
	assert_string_equal(world.code, "");
	ask("PutScheduledAction", &day);
	w.faults = true;
	for (int64_t t = 0; t < 3 * 24 * 60; t++) {
		int64_t min, max;
		pass(MINUTE_MS);
		bounds(&min, &max);
		assert_true(w.desired <= 9 && w.desired >= 1);
		if (rand_below(10) == 0)
			fire(arn, rand_below(2), 20 + (double)rand_below(60), 50);
		if (rand_below(300) == 0) {
			world_close(); /* in the middle of whatever is under way */
			world_open();
		}
	}
	w.faults = false;
	for (int i = 0; i < 30; i++)
		pass(MINUTE_MS);
	int64_t min, max;
	bounds(&min, &max);
	assert_true(w.desired >= min && w.desired <= max);
	assert_int_equal(w.running, w.desired);
	assert_true(check_cooldowns() > 20);
	/* nothing is under way for ever */
	const struct application_autoscaling_scaling_activities *all = activities();
	for (uint32_t i = 0; i < all->n; i++)
		assert_string_not_equal(arena_dupz(&world.arena, all->v[i].status_code), "InProgress");
	/* at peace nothing is written, but what the clock asks for */
	struct application_autoscaling_delete_scheduled_action_request drop = {ABOUT, .scheduled_action_name = S("day")};
	ask("DeleteScheduledAction", &drop);
	drop.scheduled_action_name = S("night");
	ask("DeleteScheduledAction", &drop);
	pass(MINUTE_MS);
	uint64_t revision = store_revision(world.cloud.store);
	int64_t calls = w.calls;
	for (int i = 0; i < 24 * 6; i++)
		pass(10 * MINUTE_MS);
	assert_int_equal(store_revision(world.cloud.store), revision);
	assert_int_equal(w.calls, calls);
	/* the service goes: what is under way fails, and says so */
	w.there = false;
	fire(arn, true, 60, 50);
	assert_string_equal(what, "ECS service doesn't exist: service/c/web");
}

static void by_the_clock(void **state)
{
	(void)state;
	w.desired = w.running = 1;
	register_target(1, 4);
	struct application_autoscaling_scalable_target_action up = {.min_capacity = OPT_INT(3)};
	struct application_autoscaling_put_scheduled_action_request in = {
	        ABOUT, .scheduled_action_name = S("x"), .schedule = S("rate(6 hours)"), .scalable_target_action = &up,
	        .end_time = OPT_TIME(world.wall_ms + 13 * 60 * MINUTE_MS)};
	ask("PutScheduledAction", &in);
	assert_string_equal(world.code, "");
	for (int i = 0; i < 6 * 60 - 1; i++)
		pass(MINUTE_MS);
	assert_int_equal(w.desired, 1);
	pass(MINUTE_MS + 1000);
	pass(1000);
	assert_int_equal(w.desired, 3);
	register_target(1, 4);
	w.desired = 1;
	for (int i = 0; i < 6 * 60 + 1; i++)
		pass(MINUTE_MS);
	assert_int_equal(w.desired, 3);
	struct application_autoscaling_describe_scheduled_actions_request left = {.service_namespace = S("ecs")};
	const struct application_autoscaling_describe_scheduled_actions_response *out = ask("DescribeScheduledActions", &left);
	assert_int_equal(out->scheduled_actions.n, 0); /* its end comes before its next time */
	/* what somebody else sets is his */
	w.desired = 2;
	tell();
	for (int i = 0; i < 60; i++)
		pass(MINUTE_MS);
	assert_int_equal(w.desired, 2);
}

static void put_requests(const char *label, const char *code)
{
	struct application_autoscaling_predefined_metric_specification metric = {
	        .predefined_metric_type = S("ALBRequestCountPerTarget"), .resource_label = str_from(label)};
	struct application_autoscaling_target_tracking_scaling_policy_configuration t = {.predefined_metric_specification = &metric,
	                                                                                 .target_value = OPT_DOUBLE(100)};
	struct application_autoscaling_put_scaling_policy_request in = {ABOUT, .policy_name = S("r"),
	                                                                .policy_type = S("TargetTrackingScaling"),
	                                                                .target_tracking_scaling_policy_configuration = &t};
	ask("PutScalingPolicy", &in);
	assert_string_equal(world.code, code);
}

static void requests_per_target(void **state)
{
	(void)state;
	w.desired = w.running = 1;
	register_target(1, 4);
	put_requests("app/web/0123456789abcdef/targetgroup/green/0123456789abcdef", "ValidationException");
	put_requests("app/web/0123456789abcdef", "ValidationException");
	put_requests("app/web/0123456789abcdef/targetgroup/blue/0123456789abcdef", "");
	for (int i = 0; i < 10 && w.alarms < 2; i++)
		pass(MINUTE_MS);
	assert_int_equal(w.alarms, 2);
	assert_string_equal(w.metric, "AWS/ApplicationELB RequestCountPerTarget Sum TargetGroup targetgroup/blue/0123456789abcdef "
	                              "LoadBalancer app/web/0123456789abcdef");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(cooldowns, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(tracking_comes_to_rest, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(days_of_faults, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(by_the_clock, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(requests_per_target, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("scaling_targets", tests, NULL, NULL);
}

/* Groups over days without an instance: Auto Scaling's operations and keepers, over an EC2 that is a list here, loses answers, has
 * no capacity now and then and lets instances die. The role is started again in the middle of things. Seeded. */
#include "groups_world.h"

#include "base/clock.h"
#include "base/rand.h"
#include "core/alarm.h"
#include "core/service.h"
#include "engine/metrics/metrics.h"

#include <math.h>

extern const struct service autoscaling_service;
const struct service *const cloud_services[] = {&autoscaling_service, &groups_ec2, &groups_cloudwatch, NULL};

static void days_of_faults(void **state)
{
	(void)state;
	groups_create(1, 3);
	for (int day = 0; day < 2; day++) {
		groups.faults = true;
		for (int64_t t = 0; t < 22 * 60; t++) {
			groups_pass(20000 + (int64_t)rand_below(80000));
			if (rand_below(40) == 0) {
				struct autoscaling_set_desired_capacity_type in = {.auto_scaling_group_name = S("g"),
				                                                   .desired_capacity =
				                                                           OPT_INT(1 + (int64_t)rand_below(MAX))};
				groups_ask("SetDesiredCapacity", &in);
				assert_string_equal(world.code, "");
			}
			if (rand_below(60) == 0)
				groups.full_zone = groups.full_zone ? NULL : "us-east-1b";
			if (rand_below(50) == 0)
				groups_restart_role();
			if (t % 10 == 0)
				groups_check_bounds();
		}
		groups_heal();
		groups_check_whole();
	}
	/* at peace nothing is written */
	uint64_t revision = store_revision(world.cloud.store);
	for (int i = 0; i < 24 * 6; i++)
		groups_pass(10 * MINUTE_MS);
	assert_int_equal(store_revision(world.cloud.store), revision);
	struct autoscaling_delete_auto_scaling_group_type end = {.auto_scaling_group_name = S("g"), .force_delete = OPT_BOOL(true)};
	groups_ask("DeleteAutoScalingGroup", &end);
	for (int i = 0; i < 30; i++)
		groups_pass(MINUTE_MS);
	assert_null(groups_group());
	assert_int_equal(groups_alive(NULL), 0);
}

/* --- refreshes */

static const struct autoscaling_instance_refresh *refresh(void)
{
	struct autoscaling_describe_instance_refreshes_type in = {.auto_scaling_group_name = S("g")};
	const struct autoscaling_describe_instance_refreshes_answer *out = groups_ask("DescribeInstanceRefreshes", &in);
	return &out->instance_refreshes.v[0];
}

static bool over(void)
{
	struct str status = refresh()->status;
	return str_is(status, "Successful") || str_is(status, "Failed") || str_is(status, "Cancelled") ||
	       str_is(status, "RollbackSuccessful") || str_is(status, "RollbackFailed");
}

static void start_refresh(int64_t version, int64_t min, int64_t max, int64_t warmup_s, bool back)
{
	struct autoscaling_refresh_preferences p = {.min_healthy_percentage = OPT_INT(min),
	                                            .max_healthy_percentage = OPT_INT(max),
	                                            .instance_warmup = OPT_INT(warmup_s),
	                                            .auto_rollback = OPT_BOOL(back)};
	struct autoscaling_launch_template_specification t = {.launch_template_name = S("tmpl"),
	                                                      .version = arena_printf(&world.arena, "%lld", (long long)version)};
	struct autoscaling_desired_configuration desired = {.launch_template = &t};
	struct autoscaling_start_instance_refresh_type in = {
	        .auto_scaling_group_name = S("g"), .preferences = &p, .desired_configuration = &desired};
	groups_ask("StartInstanceRefresh", &in);
	assert_string_equal(world.code, "");
}

/* Within its percentages all the time, and in the end everybody is new. */
static void refreshes_keep_their_bounds(void **state)
{
	static const struct {
		int64_t desired, min, max;
	} of[] = {{6, 90, 100}, {6, 50, 100}, {6, 100, 150}, {6, 100, 110}, {1, 90, 100}, {1, 100, 200}, {6, 0, 100}, {5, 80, 120}};
	int64_t version = 1;
	(void)state;
	groups_create(0, 6);
	groups_heal();
	for (size_t i = 0; i < sizeof(of) / sizeof(*of); i++) {
		struct autoscaling_set_desired_capacity_type set = {.auto_scaling_group_name = S("g"),
		                                                    .desired_capacity = OPT_INT(of[i].desired)};
		groups_ask("SetDesiredCapacity", &set);
		groups_heal();
		unsigned desired = (unsigned)of[i].desired;
		unsigned least = (desired * (unsigned)of[i].min + 99) / 100, most = desired * (unsigned)of[i].max / 100;
		if (of[i].max > 100 && most == desired)
			most++;
		if (of[i].max == 100 && least == desired)
			least--; /* one can always go */
		start_refresh(++version, of[i].min, of[i].max, 120, false);
		int minutes = 0;
		while (!over()) {
			groups_pass(MINUTE_MS / 2);
			assert_true(++minutes < 1000);
			const struct autoscaling_auto_scaling_group *g = groups_group();
			unsigned counted = 0;
			for (uint32_t k = 0; k < g->instances.n; k++)
				counted += !str_starts(g->instances.v[k].lifecycle_state, S("Terminat"));
			assert_true(counted <= most);
			assert_true(groups_serving(0) >= least);
		}
		assert_str(refresh()->status, "Successful");
		assert_int_equal(refresh()->percentage_complete.v, 100);
		assert_int_equal(groups_serving(version), desired);
		assert_str(groups_group()->launch_template->version,
		           arena_dupz(&world.arena, arena_printf(&world.arena, "%lld", (long long)version)));
		groups_heal();
		groups_check_whole();
	}
}

/* With faults: it ends, and what is left is a group as it should be, all of one version. */
static void refreshes_among_faults(void **state)
{
	int64_t version = 1;
	unsigned ended[2] = {0};
	(void)state;
	groups_create(1, 5);
	for (int round = 0; round < 12; round++) {
		struct autoscaling_update_auto_scaling_group_type pin = {.auto_scaling_group_name = S("g")};
		struct autoscaling_launch_template_specification t = {
		        .launch_template_name = S("tmpl"), .version = arena_printf(&world.arena, "%lld", (long long)version)};
		pin.launch_template = &t;
		groups_ask("UpdateAutoScalingGroup", &pin);
		groups_heal();
		groups.faults = true;
		start_refresh(version + 1, 50 + 10 * (int64_t)rand_below(5), 100 + 10 * (int64_t)rand_below(5), 60, true);
		for (int i = 0; i < 3000 && !over(); i++) {
			groups_pass(MINUTE_MS);
			groups_check_bounds();
			if (rand_below(40) == 0)
				groups_restart_role();
			if (round % 3 == 2 && i == 4) {
				struct autoscaling_rollback_instance_refresh_type back = {.auto_scaling_group_name = S("g")};
				groups_ask("RollbackInstanceRefresh", &back);
			}
		}
		assert_true(over());
		groups_heal();
		groups_check_whole();
		bool done = str_is(refresh()->status, "Successful");
		ended[done]++;
		version += done;
		if (done || str_is(refresh()->status, "RollbackSuccessful"))
			assert_int_equal(groups_serving(version), groups_group()->desired_capacity.v);
	}
	assert_true(ended[0] && ended[1]);
}

/* --- warm pools */

static unsigned of_pool(const char *state)
{
	struct autoscaling_describe_warm_pool_type in = {.auto_scaling_group_name = S("g")};
	const struct autoscaling_describe_warm_pool_answer *out = groups_ask("DescribeWarmPool", &in);
	unsigned n = 0;
	for (uint32_t i = 0; i < out->instances.n; i++)
		n += str_is(out->instances.v[i].lifecycle_state, state);
	return n;
}

/* The last one of the group's. */
static double metric_now(const char *name)
{
	const struct metric_dimension by = {S("AutoScalingGroupName"), S("g")};
	struct metric m = {S("000000000000"), S("us-east-1"), S("AWS/AutoScaling"), str_from(name), S("None"), &by, 1};
	struct arena CLEAN_ARENA a = {0};
	int64_t now_ms = clock_wall_ms() / MINUTE_MS * MINUTE_MS;
	struct metric_points p = metrics_read(
	        world.cloud.metrics, &a,
	        &(struct metric_query){.metric = &m, .from_ms = now_ms - 60 * MINUTE_MS, .to_ms = now_ms + 1, .period_s = 60});
	assert_true(p.n > 0);
	return p.v[p.n - 1].set.sum / p.v[p.n - 1].set.count;
}

static void pool_is_measured(int64_t desired)
{
	assert_true(metric_now("GroupDesiredCapacity") == (double)desired);
	assert_true(metric_now("WarmPoolDesiredCapacity") == (double)(MAX - desired));
	assert_true(metric_now("WarmPoolWarmedCapacity") == (double)(MAX - desired));
	assert_true(metric_now("WarmPoolPendingCapacity") == 0);
	assert_true(metric_now("WarmPoolTerminatingCapacity") == 0);
	assert_true(metric_now("WarmPoolTotalCapacity") == (double)(MAX - desired));
	assert_true(metric_now("GroupAndWarmPoolDesiredCapacity") == MAX);
	assert_true(metric_now("GroupAndWarmPoolTotalCapacity") == MAX);
}

static void pools_over_days(void **state)
{
	(void)state;
	groups_create(1, 2);
	struct autoscaling_instance_reuse_policy reuse = {OPT_BOOL(true)};
	struct autoscaling_put_warm_pool_type put = {.auto_scaling_group_name = S("g"), .instance_reuse_policy = &reuse};
	groups_ask("PutWarmPool", &put);
	assert_string_equal(world.code, "");
	struct autoscaling_enable_metrics_collection_query collect = {.auto_scaling_group_name = S("g"),
	                                                              .granularity = S("1Minute")};
	groups_ask("EnableMetricsCollection", &collect);
	assert_string_equal(world.code, "");
	for (int day = 0; day < 2; day++) {
		groups.faults = true;
		for (int64_t t = 0; t < 20 * 60; t++) {
			groups_pass(MINUTE_MS);
			if (rand_below(40) == 0) {
				struct autoscaling_set_desired_capacity_type in = {.auto_scaling_group_name = S("g"),
				                                                   .desired_capacity =
				                                                           OPT_INT(1 + (int64_t)rand_below(MAX))};
				groups_ask("SetDesiredCapacity", &in);
			}
			if (rand_below(50) == 0)
				groups_restart_role();
			if (t % 10 == 0)
				groups_check_bounds();
		}
		groups_heal();
		const struct autoscaling_auto_scaling_group *g = groups_group();
		int64_t desired = g->desired_capacity.v;
		assert_int_equal(g->instances.n, desired);
		assert_int_equal(groups_serving(0), desired);
		assert_int_equal(of_pool("Warmed:Stopped"), MAX - desired);
		unsigned stopped = 0; /* all that is there is of the group or of the pool */
		for (unsigned i = 0; i < groups.count; i++)
			stopped += strcmp(groups.all[i].state, "stopped") == 0;
		assert_int_equal(groups_alive(NULL), desired);
		assert_int_equal(stopped, MAX - desired);
	}
	/* who is needed comes from the pool, and goes back to it: nothing is launched */
	unsigned launched = groups.count;
	for (int i = 0; i < 20; i++) {
		struct autoscaling_set_desired_capacity_type in = {.auto_scaling_group_name = S("g"),
		                                                   .desired_capacity = OPT_INT(1 + i * 5 % MAX)};
		groups_ask("SetDesiredCapacity", &in);
		for (int k = 0; k < 30; k++)
			groups_pass(MINUTE_MS);
		assert_int_equal(groups_serving(0), 1 + i * 5 % MAX);
	}
	/* zones are balanced by launches, as ever */
	assert_true(groups.count - launched <= 12);
	uint64_t revision = store_revision(world.cloud.store);
	for (int i = 0; i < 24; i++)
		groups_pass(10 * MINUTE_MS);
	assert_int_equal(store_revision(world.cloud.store), revision);
	pool_is_measured(groups_group()->desired_capacity.v);
	struct autoscaling_delete_auto_scaling_group_type end = {.auto_scaling_group_name = S("g"), .force_delete = OPT_BOOL(true)};
	groups_ask("DeleteAutoScalingGroup", &end);
	for (int i = 0; i < 60; i++)
		groups_pass(MINUTE_MS);
	assert_null(groups_group());
	for (unsigned i = 0; i < groups.count; i++)
		assert_string_equal(groups.all[i].state, "terminated");
}

/* --- target tracking */

static unsigned ran;

static void alarm_ran(void *ctx, struct str error, struct str what)
{
	(void)ctx;
	(void)what;
	assert_false(str_set(error));
	ran++;
}

static void fire(struct str arn, bool high, double value, double target)
{
	struct alarm_event e = {.action = arn,
	                        .account = S("000000000000"),
	                        .region = S("us-east-1"),
	                        .alarm_name = S("a"),
	                        .alarm_arn = S("arn"),
	                        .old_state = S("OK"),
	                        .new_state = S("ALARM"),
	                        .metric = true,
	                        .operator= high ? S("GreaterThanThreshold") : S("LessThanThreshold"),
	                        .threshold = target,
	                        .value = value};
	unsigned before = ran;
	autoscaling_service.alarm_actions[0].run(&world.cloud, &e, alarm_ran, NULL);
	while (ran == before)
		loop_turn(world.cloud.loop, 1000);
}

static void tracking_comes_to_rest(void **state)
{
	(void)state;
	groups_create(1, 1);
	groups.faults = true; /* of CloudWatch: alarms are asked for until they are there */
	struct autoscaling_predefined_metric_specification metric = {.predefined_metric_type = S("ASGAverageCPUUtilization")};
	struct autoscaling_target_tracking_configuration t = {.predefined_metric_specification = &metric,
	                                                      .target_value = OPT_DOUBLE(50)};
	struct autoscaling_put_scaling_policy_type in = {.auto_scaling_group_name = S("g"),
	                                                 .policy_name = S("p"),
	                                                 .policy_type = S("TargetTrackingScaling"),
	                                                 .target_tracking_configuration = &t};
	const struct autoscaling_policy_arn_type *out = groups_ask("PutScalingPolicy", &in);
	assert_string_equal(world.code, "");
	struct str arn = arena_dup(&world.arena, out->policy_arn);
	for (int i = 0; i < 60 && groups.alarms < 2; i++)
		groups_pass(MINUTE_MS);
	assert_int_equal(groups.alarms, 2);
	groups.faults = false;
	for (int plateau = 0; plateau < 30; plateau++) {
		double load = (double)rand_below(60000) / 100; /* percent of one instance */
		unsigned over = 0, under = 0, turned = 0;
		int64_t last = groups_group()->desired_capacity.v, way = 0;
		for (int minute = 0; minute < 120; minute++) {
			groups_pass(MINUTE_MS);
			unsigned serving = groups_alive(NULL);
			double cpu = serving ? load / serving : 100;
			cpu = cpu > 100 ? 100 : cpu;
			over = cpu > 50 ? over + 1 : 0;
			under = cpu < 45 ? under + 1 : 0;
			if (over >= 3)
				fire(arn, true, cpu, 50);
			if (under >= 15)
				fire(arn, false, cpu, 45);
			int64_t now = groups_group()->desired_capacity.v;
			assert_true(now >= 1 && now <= MAX);
			if (now != last) {
				turned += way && (now > last) != (way > 0);
				way = now > last ? 1 : -1;
				last = now;
			}
		}
		/* one load is one way */
		assert_true(turned <= 1);
		double cpu = load / groups_alive(NULL);
		assert_true(cpu <= 50 || groups_alive(NULL) == MAX);
		assert_true(groups_alive(NULL) == 1 || load / (groups_alive(NULL) - 1) > 40);
	}
	struct autoscaling_delete_policy_type drop = {.auto_scaling_group_name = S("g"), .policy_name = S("p")};
	groups_ask("DeletePolicy", &drop);
	for (int i = 0; i < 10 && groups.alarms; i++)
		groups_pass(MINUTE_MS);
	assert_int_equal(groups.alarms, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(days_of_faults, groups_set_up, groups_tear_down),
	        cmocka_unit_test_setup_teardown(refreshes_keep_their_bounds, groups_set_up, groups_tear_down),
	        cmocka_unit_test_setup_teardown(refreshes_among_faults, groups_set_up, groups_tear_down),
	        cmocka_unit_test_setup_teardown(pools_over_days, groups_set_up, groups_tear_down),
	        cmocka_unit_test_setup_teardown(tracking_comes_to_rest, groups_set_up, groups_tear_down),
	};
	return cmocka_run_group_tests_name("scaling_groups", tests, NULL, NULL);
}

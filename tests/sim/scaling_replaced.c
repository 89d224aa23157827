/* Members that are replaced though they serve, over days: by age, by recommendation, by health in groups with a maintenance policy;
 * within the policy's percentages all the time, and among faults. */
#include "groups_world.h"

#include "base/rand.h"
#include "core/service.h"

#include <stdio.h>

extern const struct service autoscaling_service;
const struct service *const cloud_services[] = {&autoscaling_service, &groups_ec2, &groups_cloudwatch, NULL};

enum { DAY_S = 86400, DAY_MIN = 24 * 60 };

static void update(int64_t lifetime_s, int64_t min, int64_t max)
{
	struct autoscaling_instance_maintenance_policy p = {OPT_INT(min), OPT_INT(max)};
	struct autoscaling_update_auto_scaling_group_type in = {
	        .auto_scaling_group_name = S("g"), .max_instance_lifetime = OPT_INT(lifetime_s), .instance_maintenance_policy = &p};
	groups_ask("UpdateAutoScalingGroup", &in);
	assert_string_equal(world.code, "");
}

static struct instance *member(unsigned at)
{
	const struct autoscaling_auto_scaling_group *g = groups_group();
	return groups_instance(g->instances.v[at % g->instances.n].instance_id);
}

/* Minutes pass; never more nor fewer than that. */
static void watch(int minutes, unsigned least, unsigned most)
{
	int step = minutes > 60 ? 4 : 1;
	for (int i = 0; i < minutes; i += step) {
		groups_pass(step * MINUTE_MS);
		assert_true(groups_counted() <= most);
		assert_true(groups_serving(0) >= least);
	}
}

static const struct shares {
	int64_t min, max; /* of the policy; -1: none */
	unsigned least, most;
} shares[] = {{-1, -1, 5, 6}, {100, 110, 6, 7}, {100, 150, 6, 9}, {50, 100, 3, 6}, {90, 100, 5, 6}};

static void nobody_grows_old(void **state)
{
	(void)state;
	groups_create(0, 6);
	groups_heal();
	for (size_t i = 0; i < sizeof(shares) / sizeof(*shares); i++) {
		update(DAY_S, shares[i].min, shares[i].max);
		unsigned before = groups.count;
		for (int day = 0; day < 2; day++) {
			watch(DAY_MIN, shares[i].least, shares[i].most);
			/* two hours for all of them, one after the other */
			for (unsigned k = 0; k < 6; k++)
				assert_true(world.wall_ms - member(k)->launched_ms <= (DAY_S + 7200) * INT64_C(1000));
		}
		assert_true(groups.count - before >= 6 && groups.count - before <= 24);
		update(0, -1, -1);
		groups_heal();
		groups_check_whole();
	}
	unsigned before = groups.count;
	watch(2 * DAY_MIN, 6, 6);
	assert_int_equal(groups.count, before);
}

/* Unhealthy and still there: it stays until another one serves, where the policy says so. */
static void the_unhealthy_wait_for_others(void **state)
{
	(void)state;
	groups_create(0, 3);
	groups_heal();
	update(0, 100, 120);
	for (int i = 0; i < 20; i++) {
		struct instance *x = member((unsigned)i);
		x->impaired_ms = world.wall_ms;
		groups_tell(x);
		watch(30, 3, 4);
		assert_string_equal(x->state, "terminated");
		groups_check_whole();
	}
	/* one that is gone is not waited for */
	struct instance *x = member(0);
	x->impaired_ms = world.wall_ms;
	groups_tell(x);
	groups_pass(1000);
	x->state = "terminated";
	groups_tell(x);
	watch(30, 2, 4);
	groups_check_whole();
	/* without a policy it goes at once */
	update(0, -1, -1);
	x = member(0);
	x->impaired_ms = world.wall_ms;
	groups_tell(x);
	watch(30, 2, 3);
	assert_string_equal(x->state, "terminated");
	groups_check_whole();
}

static void on_spot(void)
{
	struct str zones[] = {S("us-east-1a"), S("us-east-1b"), S("us-east-1c")};
	struct autoscaling_launch_template_specification spec = {.launch_template_name = S("tmpl")};
	struct autoscaling_launch_template t = {.launch_template_specification = &spec};
	struct autoscaling_instances_distribution d = {.on_demand_percentage_above_base_capacity = OPT_INT(0)};
	struct autoscaling_mixed_instances_policy mixed = {.launch_template = &t, .instances_distribution = &d};
	struct autoscaling_create_auto_scaling_group_type in = {.auto_scaling_group_name = S("g"),
	                                                        .min_size = OPT_INT(0),
	                                                        .max_size = OPT_INT(MAX),
	                                                        .desired_capacity = OPT_INT(4),
	                                                        .capacity_rebalance = OPT_BOOL(true),
	                                                        .mixed_instances_policy = &mixed,
	                                                        .availability_zones = {.v = zones, .n = 3, .set = true}};
	groups_ask("CreateAutoScalingGroup", &in);
	assert_string_equal(world.code, "");
	groups_heal();
}

static void recommendations_are_followed(void **state)
{
	(void)state;
	on_spot();
	for (int i = 0; i < 20; i++) {
		struct instance *x = member((unsigned)i);
		assert_true(x->spot);
		x->recommended = true;
		groups_tell(x);
		watch(30, 4, 5);
		assert_string_equal(x->state, "terminated");
		groups_check_whole();
	}
	/* interrupted before another one served: that one takes its place */
	struct instance *x = member(0);
	x->recommended = true;
	groups_tell(x);
	groups_pass(1000);
	unsigned launched = groups.count;
	x->state = "terminated";
	groups_tell(x);
	watch(30, 3, 5);
	assert_true(groups.count <= launched + 1);
	groups_check_whole();
	/* a group that does not rebalance waits for the end */
	struct autoscaling_update_auto_scaling_group_type in = {.auto_scaling_group_name = S("g"),
	                                                        .capacity_rebalance = OPT_BOOL(false)};
	groups_ask("UpdateAutoScalingGroup", &in);
	x = member(0);
	x->recommended = true;
	groups_tell(x);
	watch(30, 4, 4);
	assert_string_equal(x->state, "running");
}

/* With all of it at once, in the end there is what is wanted and nothing else. */
static void days_of_replacing(void **state)
{
	(void)state;
	on_spot();
	for (int day = 0; day < 2; day++) {
		bool policy = day > 0;
		update(DAY_S, policy ? 50 + 10 * (int64_t)rand_below(5) : -1, policy ? 100 + 10 * (int64_t)rand_below(4) : -1);
		groups.faults = true;
		for (int t = 0; t < 22 * 60; t++) {
			groups_pass(20000 + (int64_t)rand_below(80000));
			if (rand_below(60) == 0)
				groups_want(1 + (int64_t)rand_below(MAX));
			if (rand_below(60) == 0)
				groups.full_zone = groups.full_zone ? NULL : "us-east-1b";
			if (rand_below(30) == 0 && groups_group()->instances.n) {
				struct instance *x = member((unsigned)rand_below(MAX));
				if (rand_below(2))
					x->recommended = true;
				else
					x->impaired_ms = world.wall_ms;
				groups_tell(x);
			}
			if (rand_below(50) == 0)
				groups_restart_role();
			assert_true(groups_counted() <= MAX * 13 / 10 + 1);
		}
		groups_heal();
		groups_check_whole();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(nobody_grows_old, groups_set_up, groups_tear_down),
	        cmocka_unit_test_setup_teardown(the_unhealthy_wait_for_others, groups_set_up, groups_tear_down),
	        cmocka_unit_test_setup_teardown(recommendations_are_followed, groups_set_up, groups_tear_down),
	        cmocka_unit_test_setup_teardown(days_of_replacing, groups_set_up, groups_tear_down),
	};
	return cmocka_run_group_tests_name("scaling_replaced", tests, NULL, NULL);
}

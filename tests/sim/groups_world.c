#include "groups_world.h"

#include "aws/ec2/ec2.h"
#include "base/rand.h"
#include "core/gate.h"
#include "core/service.h"
#include "gen/cloudwatch.h"
#include "gen/ec2.h"

#include <stdio.h>
#include <stdlib.h>

struct groups_world groups;

static bool chance(unsigned percent)
{
	return groups.faults && rand_below(100) < percent;
}

/* --- EC2 */

struct instance *groups_instance(struct str id)
{
	for (unsigned i = 0; i < groups.count; i++)
		if (str_is(id, groups.all[i].id))
			return &groups.all[i];
	return NULL;
}

void ec2_see_instance(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id,
                      struct ec2_seen *ret)
{
	(void)t;
	(void)account;
	(void)region;
	const struct instance *i = groups_instance(id);
	*ret = (struct ec2_seen){0};
	if (!i)
		return;
	*ret = (struct ec2_seen){.there = true,
	                         .state = str_from(i->state),
	                         .type = S("t3.nano"),
	                         .zone = str_from(i->zone),
	                         .image = S("ami-1"),
	                         .launched_ms = i->launched_ms,
	                         .impaired_ms = i->impaired_ms,
	                         .spot = i->spot,
	                         .recommended = i->recommended};
	if (i->grouped)
		*LIST_ADD(a, &ret->tags) = (struct str_map_entry){S("aws:autoscaling:groupName"), S("g")};
}

struct ec2_instances_watch *ec2_watch_instances(struct cloud *cloud, ec2_instance_changed_fn *fn, void *ctx)
{
	(void)cloud;
	groups.changed = fn;
	groups.changed_ctx = ctx;
	return NULL;
}

void ec2_unwatch_instances(struct ec2_instances_watch *watch)
{
	(void)watch;
	groups.changed = NULL;
}

bool ec2_see_template(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id, struct str name,
                      struct str version, struct ec2_template_seen *ret, struct str *ret_why)
{
	(void)t;
	(void)account;
	(void)region;
	(void)id;
	(void)name;
	(void)ret_why;
	int64_t number = 1;
	str_to_i64(version, &number);
	*ret = (struct ec2_template_seen){
	        .id = S("lt-1"), .name = S("tmpl"), .version = number, .data = arena_new(a, struct ec2_run_instances_request)};
	ret->data->image_id = S("ami-1");
	ret->data->instance_type = S("t3.nano");
	return true;
}

struct str ec2_zone_named(struct arena *a, struct str region, struct str name)
{
	(void)a;
	(void)region;
	return name;
}

struct str ec2_zone_id_of(struct arena *a, struct str region, struct str name)
{
	(void)a;
	(void)region;
	return name;
}

bool ec2_type_offered(struct str type)
{
	(void)type;
	return true;
}

struct str ec2_subnet_zone(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id)
{
	(void)t;
	(void)a;
	(void)account;
	(void)region;
	(void)id;
	return STR_NONE;
}

static int lost(struct call *c)
{
	call_fail(c, "InternalError", 500, "the answer was lost");
	c->error.receiver = true;
	return CALL_FAIL;
}

static int fake_run(struct call *c, const struct ec2_run_instances_request *in, struct ec2_reservation *out)
{
	struct instance *i = NULL;
	assert_true(str_set(in->client_token) && in->max_count.v == 1);
	for (unsigned k = 0; k < groups.count && !i; k++)
		if (str_is(in->client_token, groups.all[k].token))
			i = &groups.all[k];
	if (!i) {
		struct str zone = in->placement->availability_zone;
		if (chance(10) || (groups.full_zone && str_is(zone, groups.full_zone)))
			return call_fail(c, "InsufficientInstanceCapacity", 500, "There is no capacity in %.*s.", STR_ARG(zone));
		assert_true(groups.count < INSTANCES_MAX);
		i = &groups.all[groups.count];
		snprintf(i->id, sizeof(i->id), "i-%017x", ++groups.count);
		snprintf(i->token, sizeof(i->token), "%.*s", STR_ARG(in->client_token));
		snprintf(i->zone, sizeof(i->zone), "%.*s", STR_ARG(zone));
		i->state = "pending";
		i->grouped = true;
		i->spot = in->instance_market_options != NULL;
		assert_true(str_to_i64(in->launch_template->version, &i->version));
		i->launched_ms = c->now_ms;
	}
	if (chance(15))
		return lost(c);
	*LIST_ADD(c->arena, &out->instances) = (struct ec2_instance){.instance_id = arena_dup(c->arena, str_from(i->id))};
	return CALL_OK;
}

static int fake_terminate(struct call *c, const struct ec2_terminate_instances_request *in,
                          struct ec2_terminate_instances_result *out)
{
	(void)out;
	struct instance *i = groups_instance(in->instance_ids.v[0]);
	assert_non_null(i);
	if (chance(15))
		return lost(c);
	if (strcmp(i->state, "terminated") != 0)
		i->state = "shutting-down";
	return CALL_OK;
}

static int fake_start(struct call *c, const struct ec2_start_instances_request *in, struct ec2_start_instances_result *out)
{
	(void)out;
	struct instance *i = groups_instance(in->instance_ids.v[0]);
	assert_non_null(i);
	if (chance(15))
		return lost(c);
	if (strcmp(i->state, "stopped") != 0)
		return call_fail(c, "IncorrectInstanceState", 400, "The instance is not in a state from which it can be started.");
	i->state = "pending";
	return CALL_OK;
}

static int fake_stop(struct call *c, const struct ec2_stop_instances_request *in, struct ec2_stop_instances_result *out)
{
	(void)out;
	struct instance *i = groups_instance(in->instance_ids.v[0]);
	assert_non_null(i);
	if (chance(15))
		return lost(c);
	if (strcmp(i->state, "running") == 0)
		i->state = "stopping";
	return CALL_OK;
}

static int fake_put_alarm(struct call *c, const struct cloudwatch_put_metric_alarm_input *in, struct model_none *out)
{
	(void)out;
	if (chance(50))
		return lost(c);
	assert_true(str_starts(in->alarm_name, S("TargetTracking-g-Alarm")));
	groups.alarms++;
	return CALL_OK;
}

static int fake_delete_alarms(struct call *c, const struct cloudwatch_delete_alarms_input *in, struct model_none *out)
{
	(void)out;
	(void)in;
	if (chance(50))
		return lost(c);
	groups.alarms--;
	return CALL_OK;
}

#define FAKE(fn, op_name) \
	{ \
		.name = op_name, .handle = (call_handler *)(void (*)(void))fn \
	}
static const struct service_op ec2_ops[] = {FAKE(fake_run, "RunInstances"), FAKE(fake_start, "StartInstances"),
                                            FAKE(fake_stop, "StopInstances"), FAKE(fake_terminate, "TerminateInstances")};
static const struct service_op cloudwatch_ops[] = {FAKE(fake_delete_alarms, "DeleteAlarms"),
                                                   FAKE(fake_put_alarm, "PutMetricAlarm")};
const struct service groups_ec2 = {.api = &ec2_api, .iam_prefix = "ec2", .ops = ec2_ops, .op_count = 4};
const struct service groups_cloudwatch = {.api = &cloudwatch_api, .iam_prefix = "cloudwatch", .ops = cloudwatch_ops, .op_count = 2};

/* --- the world */

int groups_set_up(void **state)
{
	(void)state;
	memset(&groups, 0, sizeof(groups));
	groups.all = calloc(INSTANCES_MAX, sizeof(*groups.all));
	return world_begin(20261, WORLD_METRICS);
}

int groups_tear_down(void **state)
{
	(void)state;
	int result = world_end();
	arena_done(&groups.last);
	free(groups.all);
	return result;
}

void groups_restart_role(void)
{
	world_close();
	world_open();
}

const void *groups_ask(const char *operation, const void *in)
{
	arena_reset(&groups.last);
	return world_ask(&groups.last, &autoscaling_api, operation, in);
}

const struct autoscaling_auto_scaling_group *groups_group(void)
{
	struct autoscaling_auto_scaling_group_names_type in = {0};
	const struct autoscaling_auto_scaling_groups_type *out = groups_ask("DescribeAutoScalingGroups", &in);
	return out->auto_scaling_groups.n ? &out->auto_scaling_groups.v[0] : NULL;
}

unsigned groups_alive(const char *zone)
{
	unsigned n = 0;
	for (unsigned i = 0; i < groups.count; i++)
		n += (strcmp(groups.all[i].state, "pending") == 0 || strcmp(groups.all[i].state, "running") == 0) &&
		     (!zone || strcmp(groups.all[i].zone, zone) == 0);
	return n;
}

void groups_tell(const struct instance *i)
{
	if (groups.changed)
		groups.changed(groups.changed_ctx, S("000000000000"), S("us-east-1"), str_from(i->id));
}

/* Instances start and end, or die. */
static void live(void)
{
	for (unsigned i = 0; i < groups.count; i++) {
		struct instance *x = &groups.all[i];
		const char *before = x->state;
		if (strcmp(x->state, "pending") == 0 && rand_below(100) < 70)
			x->state = "running";
		else if (strcmp(x->state, "stopping") == 0 && rand_below(100) < 70)
			x->state = "stopped";
		else if (strcmp(x->state, "shutting-down") == 0 && rand_below(100) < 70)
			x->state = "terminated";
		else if (strcmp(x->state, "running") == 0 && groups.faults && rand_below(2000) < 3)
			x->state = rand_below(2) ? "terminated" : "stopped";
		if (x->state != before)
			groups_tell(x);
	}
}

void groups_pass(int64_t ms)
{
	world_move_clock(ms);
	live();
	world_turns(12);
}

void groups_create(int64_t min, int64_t desired)
{
	struct str zones[] = {S("us-east-1a"), S("us-east-1b"), S("us-east-1c")};
	struct autoscaling_launch_template_specification t = {.launch_template_name = S("tmpl")};
	struct autoscaling_create_auto_scaling_group_type in = {.auto_scaling_group_name = S("g"),
	                                                        .min_size = OPT_INT(min),
	                                                        .max_size = OPT_INT(MAX),
	                                                        .desired_capacity = OPT_INT(desired),
	                                                        .launch_template = &t,
	                                                        .availability_zones = {.v = zones, .n = 3, .set = true}};
	groups_ask("CreateAutoScalingGroup", &in);
	assert_string_equal(world.code, "");
}

/* No more than may be: the greatest size, and one while zones are balanced. Who is in service is there. */
void groups_check_bounds(void)
{
	const struct autoscaling_auto_scaling_group *g = groups_group();
	unsigned counted = 0;
	for (uint32_t i = 0; i < g->instances.n; i++)
		counted += !str_starts(g->instances.v[i].lifecycle_state, S("Terminat"));
	assert_true(counted <= MAX + 1);
}

/* All that lives is of the group, nothing else is, and zones are equal. */
void groups_check_whole(void)
{
	const struct autoscaling_auto_scaling_group *g = groups_group();
	assert_int_equal(g->instances.n, g->desired_capacity.v);
	assert_int_equal(groups_alive(NULL), g->desired_capacity.v);
	for (uint32_t i = 0; i < g->instances.n; i++) {
		const struct instance *x = groups_instance(g->instances.v[i].instance_id);
		assert_non_null(x);
		assert_string_equal(x->state, "running");
		assert_str(g->instances.v[i].lifecycle_state, "InService");
	}
	unsigned a = groups_alive("us-east-1a"), b = groups_alive("us-east-1b"), c = groups_alive("us-east-1c");
	unsigned most = a > b ? a > c ? a : c : b > c ? b : c, least = a < b ? a < c ? a : c : b < c ? b : c;
	assert_true(most - least <= 1);
}

void groups_heal(void)
{
	groups.faults = false;
	groups.full_zone = NULL;
	for (int i = 0; i < 120; i++)
		groups_pass(MINUTE_MS);
	world_turns(200);
}

unsigned groups_serving(int64_t version)
{
	const struct autoscaling_auto_scaling_group *g = groups_group();
	unsigned n = 0;
	for (uint32_t i = 0; i < g->instances.n; i++)
		n += str_is(g->instances.v[i].lifecycle_state, "InService") &&
		     (!version || groups_instance(g->instances.v[i].instance_id)->version == version);
	return n;
}

unsigned groups_counted(void)
{
	const struct autoscaling_auto_scaling_group *g = groups_group();
	unsigned n = 0;
	for (uint32_t i = 0; i < g->instances.n; i++)
		n += !str_starts(g->instances.v[i].lifecycle_state, S("Terminat"));
	return n;
}

void groups_want(int64_t desired)
{
	struct autoscaling_set_desired_capacity_type in = {.auto_scaling_group_name = S("g"), .desired_capacity = OPT_INT(desired)};
	groups_ask("SetDesiredCapacity", &in);
	assert_string_equal(world.code, "");
}

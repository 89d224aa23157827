/* Groups over days without an instance: Auto Scaling's operations and keepers, over an EC2 that is a list here, loses answers, has
 * no capacity now and then and lets instances die. The role is started again in the middle of things. Seeded. */
#include "unit.h"

#include "aws/ec2/ec2.h"
#include "aws/iam/iam.h"
#include "base/clock.h"
#include "base/rand.h"
#include "core/alarm.h"
#include "core/gate.h"
#include "gen/autoscaling.h"
#include "gen/cloudwatch.h"
#include "gen/ec2.h"
#include "store/blob.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A cloud is never taken apart in the program; this one is, and what its identities held goes with the test. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

enum { INSTANCES_MAX = 8192, MINUTE_MS = 60000, MAX = 9 };

struct instance {
	char id[24], token[40], zone[16];
	const char *state;
	int64_t launched_ms, version;
	bool grouped;
};

static struct {
	struct cloud cloud;
	struct arena arena, last;
	const struct principal *root;
	char dir[64], code[128];
	int64_t wall_ms, mono_us;
	struct instance *all;
	unsigned count, alarms;
	bool faults; /* answers are lost, capacity lacks, instances die */
	const char *full_zone;
	ec2_instance_changed_fn *changed;
	void *changed_ctx;
} w;

static bool chance(unsigned percent)
{
	return w.faults && rand_below(100) < percent;
}

/* --- EC2 */

static struct instance *instance_of(struct str id)
{
	for (unsigned i = 0; i < w.count; i++)
		if (str_is(id, w.all[i].id))
			return &w.all[i];
	return NULL;
}

void ec2_see_instance(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id,
                      struct ec2_seen *ret)
{
	(void)t;
	(void)account;
	(void)region;
	const struct instance *i = instance_of(id);
	*ret = (struct ec2_seen){0};
	if (!i)
		return;
	*ret = (struct ec2_seen){.there = true,
	                         .state = str_from(i->state),
	                         .type = S("t3.nano"),
	                         .zone = str_from(i->zone),
	                         .image = S("ami-1"),
	                         .launched_ms = i->launched_ms};
	if (i->grouped)
		*LIST_ADD(a, &ret->tags) = (struct str_map_entry){S("aws:autoscaling:groupName"), S("g")};
}

struct ec2_instances_watch *ec2_watch_instances(struct cloud *cloud, ec2_instance_changed_fn *fn, void *ctx)
{
	(void)cloud;
	w.changed = fn;
	w.changed_ctx = ctx;
	return NULL;
}

void ec2_unwatch_instances(struct ec2_instances_watch *watch)
{
	(void)watch;
	w.changed = NULL;
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
	for (unsigned k = 0; k < w.count && !i; k++)
		if (str_is(in->client_token, w.all[k].token))
			i = &w.all[k];
	if (!i) {
		struct str zone = in->placement->availability_zone;
		if (chance(10) || (w.full_zone && str_is(zone, w.full_zone)))
			return call_fail(c, "InsufficientInstanceCapacity", 500, "There is no capacity in %.*s.", STR_ARG(zone));
		assert_true(w.count < INSTANCES_MAX);
		i = &w.all[w.count];
		snprintf(i->id, sizeof(i->id), "i-%017x", ++w.count);
		snprintf(i->token, sizeof(i->token), "%.*s", STR_ARG(in->client_token));
		snprintf(i->zone, sizeof(i->zone), "%.*s", STR_ARG(zone));
		i->state = "pending";
		i->grouped = true;
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
	struct instance *i = instance_of(in->instance_ids.v[0]);
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
	struct instance *i = instance_of(in->instance_ids.v[0]);
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
	struct instance *i = instance_of(in->instance_ids.v[0]);
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
	w.alarms++;
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
static const struct service_op ec2_ops[] = {FAKE(fake_run, "RunInstances"), FAKE(fake_start, "StartInstances"),
                                            FAKE(fake_stop, "StopInstances"), FAKE(fake_terminate, "TerminateInstances")};
static const struct service_op cloudwatch_ops[] = {FAKE(fake_delete_alarms, "DeleteAlarms"),
                                                   FAKE(fake_put_alarm, "PutMetricAlarm")};
static const struct service fake_ec2 = {.api = &ec2_api, .iam_prefix = "ec2", .ops = ec2_ops, .op_count = 4};
static const struct service fake_cloudwatch = {
        .api = &cloudwatch_api, .iam_prefix = "cloudwatch", .ops = cloudwatch_ops, .op_count = 2};

extern const struct service autoscaling_service;
const struct service *const cloud_services[] = {&autoscaling_service, &fake_ec2, &fake_cloudwatch, NULL};

/* --- the world */

static void open_cloud(void)
{
	char why[200];
	struct cloud *c = &w.cloud;
	*c = (struct cloud){.data_dir = w.dir, .ephemeral = true, .endpoint = "http://127.0.0.1:1"};
	c->loop = loop_new();
	c->work = work_new(c->loop, 1);
	struct store_config config = {.path = arena_printf(&w.arena, "%s/state", w.dir).p, .ephemeral = true};
	assert_int_equal(store_open(&c->store, c->loop, &config, why), 0);
	assert_int_equal(blobs_open(&c->blobs, arena_printf(&w.arena, "%s/blobs", w.dir).p, true), 0);
	iam_open(c, &(struct iam_config){.well_known = true});
	c->gate = gate_new(c, &(struct gate_config){.well_known_keys = true});
	c->service_state = calloc(4, sizeof(void *));
	assert_int_equal(autoscaling_service.start(c, &c->service_state[0]), 0);
}

static void close_cloud(void)
{
	struct cloud *c = &w.cloud;
	store_settle(c->store);
	autoscaling_service.stop(c->service_state[0]);
	free(c->service_state);
	iam_close(c);
	gate_free(c->gate);
	work_free(c->work);
	blobs_close(c->blobs);
	store_close(c->store);
	loop_free(c->loop);
}

/* In the middle of whatever is under way: no answer and no commit is heard of any more. */
static void restart_role(void)
{
	close_cloud();
	open_cloud();
}

static int set_up(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	rand_seed(20261);
	w.all = calloc(INSTANCES_MAX, sizeof(*w.all));
	snprintf(w.dir, sizeof(w.dir), "/tmp/quartet-sim-XXXXXX");
	if (!mkdtemp(w.dir))
		return -1;
	w.wall_ms = INT64_C(1767225600000); /* 2026-01-01 */
	w.mono_us = 1000000000;
	clock_fake(w.wall_ms, w.mono_us);
	w.root = principal_new(PRINCIPAL_ROOT, S("000000000000"));
	open_cloud();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	char command[128];
	close_cloud();
	principal_unref(w.root);
	arena_done(&w.arena);
	arena_done(&w.last);
	free(w.all);
	snprintf(command, sizeof(command), "rm -rf %s", w.dir);
	return system(command);
}

/* Commits are another thread's: what is not over in one turn is in one of the next. */
static void turns(int n)
{
	for (int i = 0; i < n; i++)
		loop_turn(w.cloud.loop, 200);
}

struct waiting {
	bool done;
	const void *out;
};

static void op_done(void *ctx, struct call *sub)
{
	struct waiting *x = ctx;
	const struct shape *shape = operation_output(sub->service->api, sub->op);
	x->done = true;
	snprintf(w.code, sizeof(w.code), "%.*s", STR_ARG(sub->error.code));
	if (sub->error.code.n || !shape)
		return;
	void *copy = arena_zalloc(&w.last, shape->size);
	model_copy(&w.last, sub->service->api, shape, sub->out, copy);
	x->out = copy;
}

static const void *ask(const char *operation, const void *in)
{
	struct waiting x = {0};
	arena_reset(&w.last);
	call_op(&w.cloud, w.root, S("us-east-1"), &autoscaling_api, operation, in, op_done, &x);
	while (!x.done)
		loop_turn(w.cloud.loop, 1000);
	return x.out;
}

static const struct autoscaling_auto_scaling_group *group(void)
{
	struct autoscaling_auto_scaling_group_names_type in = {0};
	const struct autoscaling_auto_scaling_groups_type *out = ask("DescribeAutoScalingGroups", &in);
	return out->auto_scaling_groups.n ? &out->auto_scaling_groups.v[0] : NULL;
}

static unsigned alive(const char *zone)
{
	unsigned n = 0;
	for (unsigned i = 0; i < w.count; i++)
		n += (strcmp(w.all[i].state, "pending") == 0 || strcmp(w.all[i].state, "running") == 0) &&
		     (!zone || strcmp(w.all[i].zone, zone) == 0);
	return n;
}

/* Instances start and end, or die. */
static void live(void)
{
	for (unsigned i = 0; i < w.count; i++) {
		struct instance *x = &w.all[i];
		const char *before = x->state;
		if (strcmp(x->state, "pending") == 0 && rand_below(100) < 70)
			x->state = "running";
		else if (strcmp(x->state, "stopping") == 0 && rand_below(100) < 70)
			x->state = "stopped";
		else if (strcmp(x->state, "shutting-down") == 0 && rand_below(100) < 70)
			x->state = "terminated";
		else if (strcmp(x->state, "running") == 0 && w.faults && rand_below(2000) < 3)
			x->state = rand_below(2) ? "terminated" : "stopped";
		if (x->state != before && w.changed)
			w.changed(w.changed_ctx, S("000000000000"), S("us-east-1"), str_from(x->id));
	}
}

static void pass(int64_t ms)
{
	w.wall_ms += ms;
	w.mono_us += ms * 1000;
	clock_fake(w.wall_ms, w.mono_us);
	live();
	turns(12);
}

static void create(int64_t min, int64_t desired)
{
	struct str zones[] = {S("us-east-1a"), S("us-east-1b"), S("us-east-1c")};
	struct autoscaling_launch_template_specification t = {.launch_template_name = S("tmpl")};
	struct autoscaling_create_auto_scaling_group_type in = {.auto_scaling_group_name = S("g"),
	                                                        .min_size = OPT_INT(min),
	                                                        .max_size = OPT_INT(MAX),
	                                                        .desired_capacity = OPT_INT(desired),
	                                                        .launch_template = &t,
	                                                        .availability_zones = {.v = zones, .n = 3, .set = true}};
	ask("CreateAutoScalingGroup", &in);
	assert_string_equal(w.code, "");
}

/* No more than may be: the greatest size, and one while zones are balanced. Who is in service is there. */
static void check_bounds(void)
{
	const struct autoscaling_auto_scaling_group *g = group();
	unsigned counted = 0;
	for (uint32_t i = 0; i < g->instances.n; i++)
		counted += !str_starts(g->instances.v[i].lifecycle_state, S("Terminat"));
	assert_true(counted <= MAX + 1);
}

/* All that lives is of the group, nothing else is, and zones are equal. */
static void check_whole(void)
{
	const struct autoscaling_auto_scaling_group *g = group();
	assert_int_equal(g->instances.n, g->desired_capacity.v);
	assert_int_equal(alive(NULL), g->desired_capacity.v);
	for (uint32_t i = 0; i < g->instances.n; i++) {
		const struct instance *x = instance_of(g->instances.v[i].instance_id);
		assert_non_null(x);
		assert_string_equal(x->state, "running");
		assert_str(g->instances.v[i].lifecycle_state, "InService");
	}
	unsigned a = alive("us-east-1a"), b = alive("us-east-1b"), c = alive("us-east-1c");
	unsigned most = a > b ? a > c ? a : c : b > c ? b : c, least = a < b ? a < c ? a : c : b < c ? b : c;
	assert_true(most - least <= 1);
}

static void heal(void)
{
	w.faults = false;
	w.full_zone = NULL;
	for (int i = 0; i < 120; i++)
		pass(MINUTE_MS);
	turns(200);
}

static void days_of_faults(void **state)
{
	(void)state;
	create(1, 3);
	for (int day = 0; day < 2; day++) {
		w.faults = true;
		for (int64_t t = 0; t < 22 * 60; t++) {
			pass(20000 + (int64_t)rand_below(80000));
			if (rand_below(40) == 0) {
				struct autoscaling_set_desired_capacity_type in = {.auto_scaling_group_name = S("g"),
				                                                   .desired_capacity =
				                                                           OPT_INT(1 + (int64_t)rand_below(MAX))};
				ask("SetDesiredCapacity", &in);
				assert_string_equal(w.code, "");
			}
			if (rand_below(60) == 0)
				w.full_zone = w.full_zone ? NULL : "us-east-1b";
			if (rand_below(50) == 0)
				restart_role();
			if (t % 10 == 0)
				check_bounds();
		}
		heal();
		check_whole();
	}
	/* at peace nothing is written */
	uint64_t revision = store_revision(w.cloud.store);
	for (int i = 0; i < 24 * 6; i++)
		pass(10 * MINUTE_MS);
	assert_int_equal(store_revision(w.cloud.store), revision);
	struct autoscaling_delete_auto_scaling_group_type end = {.auto_scaling_group_name = S("g"), .force_delete = OPT_BOOL(true)};
	ask("DeleteAutoScalingGroup", &end);
	for (int i = 0; i < 30; i++)
		pass(MINUTE_MS);
	assert_null(group());
	assert_int_equal(alive(NULL), 0);
}

/* --- refreshes */

static const struct autoscaling_instance_refresh *refresh(void)
{
	struct autoscaling_describe_instance_refreshes_type in = {.auto_scaling_group_name = S("g")};
	const struct autoscaling_describe_instance_refreshes_answer *out = ask("DescribeInstanceRefreshes", &in);
	return &out->instance_refreshes.v[0];
}

static bool over(void)
{
	struct str status = refresh()->status;
	return str_is(status, "Successful") || str_is(status, "Failed") || str_is(status, "Cancelled") ||
	       str_is(status, "RollbackSuccessful") || str_is(status, "RollbackFailed");
}

static unsigned serving(int64_t version)
{
	const struct autoscaling_auto_scaling_group *g = group();
	unsigned n = 0;
	for (uint32_t i = 0; i < g->instances.n; i++)
		n += str_is(g->instances.v[i].lifecycle_state, "InService") &&
		     (!version || instance_of(g->instances.v[i].instance_id)->version == version);
	return n;
}

static void start_refresh(int64_t version, int64_t min, int64_t max, int64_t warmup_s, bool back)
{
	struct autoscaling_refresh_preferences p = {.min_healthy_percentage = OPT_INT(min),
	                                            .max_healthy_percentage = OPT_INT(max),
	                                            .instance_warmup = OPT_INT(warmup_s),
	                                            .auto_rollback = OPT_BOOL(back)};
	struct autoscaling_launch_template_specification t = {.launch_template_name = S("tmpl"),
	                                                      .version = arena_printf(&w.arena, "%lld", (long long)version)};
	struct autoscaling_desired_configuration desired = {.launch_template = &t};
	struct autoscaling_start_instance_refresh_type in = {
	        .auto_scaling_group_name = S("g"), .preferences = &p, .desired_configuration = &desired};
	ask("StartInstanceRefresh", &in);
	assert_string_equal(w.code, "");
}

/* Within its percentages all the time, and in the end everybody is new. */
static void refreshes_keep_their_bounds(void **state)
{
	static const struct {
		int64_t desired, min, max;
	} of[] = {{6, 90, 100}, {6, 50, 100}, {6, 100, 150}, {6, 100, 110}, {1, 90, 100}, {1, 100, 200}, {6, 0, 100}, {5, 80, 120}};
	int64_t version = 1;
	(void)state;
	create(0, 6);
	heal();
	for (size_t i = 0; i < sizeof(of) / sizeof(*of); i++) {
		struct autoscaling_set_desired_capacity_type set = {.auto_scaling_group_name = S("g"),
		                                                    .desired_capacity = OPT_INT(of[i].desired)};
		ask("SetDesiredCapacity", &set);
		heal();
		unsigned desired = (unsigned)of[i].desired;
		unsigned least = (desired * (unsigned)of[i].min + 99) / 100, most = desired * (unsigned)of[i].max / 100;
		if (of[i].max > 100 && most == desired)
			most++;
		if (of[i].max == 100 && least == desired)
			least--; /* one can always go */
		start_refresh(++version, of[i].min, of[i].max, 120, false);
		int minutes = 0;
		while (!over()) {
			pass(MINUTE_MS / 2);
			assert_true(++minutes < 1000);
			const struct autoscaling_auto_scaling_group *g = group();
			unsigned counted = 0;
			for (uint32_t k = 0; k < g->instances.n; k++)
				counted += !str_starts(g->instances.v[k].lifecycle_state, S("Terminat"));
			assert_true(counted <= most);
			assert_true(serving(0) >= least);
		}
		assert_str(refresh()->status, "Successful");
		assert_int_equal(refresh()->percentage_complete.v, 100);
		assert_int_equal(serving(version), desired);
		assert_str(group()->launch_template->version,
		           arena_dupz(&w.arena, arena_printf(&w.arena, "%lld", (long long)version)));
		heal();
		check_whole();
	}
}

/* With faults: it ends, and what is left is a group as it should be, all of one version. */
static void refreshes_among_faults(void **state)
{
	int64_t version = 1;
	unsigned ended[2] = {0};
	(void)state;
	create(1, 5);
	for (int round = 0; round < 12; round++) {
		struct autoscaling_update_auto_scaling_group_type pin = {.auto_scaling_group_name = S("g")};
		struct autoscaling_launch_template_specification t = {
		        .launch_template_name = S("tmpl"), .version = arena_printf(&w.arena, "%lld", (long long)version)};
		pin.launch_template = &t;
		ask("UpdateAutoScalingGroup", &pin);
		heal();
		w.faults = true;
		start_refresh(version + 1, 50 + 10 * (int64_t)rand_below(5), 100 + 10 * (int64_t)rand_below(5), 60, true);
		for (int i = 0; i < 3000 && !over(); i++) {
			pass(MINUTE_MS);
			check_bounds();
			if (rand_below(40) == 0)
				restart_role();
			if (round % 3 == 2 && i == 4) {
				struct autoscaling_rollback_instance_refresh_type back = {.auto_scaling_group_name = S("g")};
				ask("RollbackInstanceRefresh", &back);
			}
		}
		assert_true(over());
		heal();
		check_whole();
		bool done = str_is(refresh()->status, "Successful");
		ended[done]++;
		version += done;
		if (done || str_is(refresh()->status, "RollbackSuccessful"))
			assert_int_equal(serving(version), group()->desired_capacity.v);
	}
	assert_true(ended[0] && ended[1]);
}

/* --- warm pools */

static unsigned of_pool(const char *state)
{
	struct autoscaling_describe_warm_pool_type in = {.auto_scaling_group_name = S("g")};
	const struct autoscaling_describe_warm_pool_answer *out = ask("DescribeWarmPool", &in);
	unsigned n = 0;
	for (uint32_t i = 0; i < out->instances.n; i++)
		n += str_is(out->instances.v[i].lifecycle_state, state);
	return n;
}

static void pools_over_days(void **state)
{
	(void)state;
	create(1, 2);
	struct autoscaling_instance_reuse_policy reuse = {OPT_BOOL(true)};
	struct autoscaling_put_warm_pool_type put = {.auto_scaling_group_name = S("g"), .instance_reuse_policy = &reuse};
	ask("PutWarmPool", &put);
	assert_string_equal(w.code, "");
	for (int day = 0; day < 2; day++) {
		w.faults = true;
		for (int64_t t = 0; t < 20 * 60; t++) {
			pass(MINUTE_MS);
			if (rand_below(40) == 0) {
				struct autoscaling_set_desired_capacity_type in = {.auto_scaling_group_name = S("g"),
				                                                   .desired_capacity =
				                                                           OPT_INT(1 + (int64_t)rand_below(MAX))};
				ask("SetDesiredCapacity", &in);
			}
			if (rand_below(50) == 0)
				restart_role();
			if (t % 10 == 0)
				check_bounds();
		}
		heal();
		const struct autoscaling_auto_scaling_group *g = group();
		int64_t desired = g->desired_capacity.v;
		assert_int_equal(g->instances.n, desired);
		assert_int_equal(serving(0), desired);
		assert_int_equal(of_pool("Warmed:Stopped"), MAX - desired);
		unsigned stopped = 0; /* all that is there is of the group or of the pool */
		for (unsigned i = 0; i < w.count; i++)
			stopped += strcmp(w.all[i].state, "stopped") == 0;
		assert_int_equal(alive(NULL), desired);
		assert_int_equal(stopped, MAX - desired);
	}
	/* who is needed comes from the pool, and goes back to it: nothing is launched */
	unsigned launched = w.count;
	for (int i = 0; i < 20; i++) {
		struct autoscaling_set_desired_capacity_type in = {.auto_scaling_group_name = S("g"),
		                                                   .desired_capacity = OPT_INT(1 + i * 5 % MAX)};
		ask("SetDesiredCapacity", &in);
		for (int k = 0; k < 30; k++)
			pass(MINUTE_MS);
		assert_int_equal(serving(0), 1 + i * 5 % MAX);
	}
	/* zones are balanced by launches, as ever */
	assert_true(w.count - launched <= 12);
	uint64_t revision = store_revision(w.cloud.store);
	for (int i = 0; i < 24; i++)
		pass(10 * MINUTE_MS);
	assert_int_equal(store_revision(w.cloud.store), revision);
	struct autoscaling_delete_auto_scaling_group_type end = {.auto_scaling_group_name = S("g"), .force_delete = OPT_BOOL(true)};
	ask("DeleteAutoScalingGroup", &end);
	for (int i = 0; i < 60; i++)
		pass(MINUTE_MS);
	assert_null(group());
	for (unsigned i = 0; i < w.count; i++)
		assert_string_equal(w.all[i].state, "terminated");
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
	autoscaling_service.alarm_actions[0].run(&w.cloud, &e, alarm_ran, NULL);
	while (ran == before)
		loop_turn(w.cloud.loop, 1000);
}

static void tracking_comes_to_rest(void **state)
{
	(void)state;
	create(1, 1);
	w.faults = true; /* of CloudWatch: alarms are asked for until they are there */
	struct autoscaling_predefined_metric_specification metric = {.predefined_metric_type = S("ASGAverageCPUUtilization")};
	struct autoscaling_target_tracking_configuration t = {.predefined_metric_specification = &metric,
	                                                      .target_value = OPT_DOUBLE(50)};
	struct autoscaling_put_scaling_policy_type in = {.auto_scaling_group_name = S("g"),
	                                                 .policy_name = S("p"),
	                                                 .policy_type = S("TargetTrackingScaling"),
	                                                 .target_tracking_configuration = &t};
	const struct autoscaling_policy_arn_type *out = ask("PutScalingPolicy", &in);
	assert_string_equal(w.code, "");
	struct str arn = arena_dup(&w.arena, out->policy_arn);
	for (int i = 0; i < 60 && w.alarms < 2; i++)
		pass(MINUTE_MS);
	assert_int_equal(w.alarms, 2);
	w.faults = false;
	for (int plateau = 0; plateau < 30; plateau++) {
		double load = (double)rand_below(60000) / 100; /* percent of one instance */
		unsigned over = 0, under = 0, turned = 0;
		int64_t last = group()->desired_capacity.v, way = 0;
		for (int minute = 0; minute < 120; minute++) {
			pass(MINUTE_MS);
			unsigned serving = alive(NULL);
			double cpu = serving ? load / serving : 100;
			cpu = cpu > 100 ? 100 : cpu;
			over = cpu > 50 ? over + 1 : 0;
			under = cpu < 45 ? under + 1 : 0;
			if (over >= 3)
				fire(arn, true, cpu, 50);
			if (under >= 15)
				fire(arn, false, cpu, 45);
			int64_t now = group()->desired_capacity.v;
			assert_true(now >= 1 && now <= MAX);
			if (now != last) {
				turned += way && (now > last) != (way > 0);
				way = now > last ? 1 : -1;
				last = now;
			}
		}
		/* one load is one way */
		assert_true(turned <= 1);
		double cpu = load / alive(NULL);
		assert_true(cpu <= 50 || alive(NULL) == MAX);
		assert_true(alive(NULL) == 1 || load / (alive(NULL) - 1) > 40);
	}
	struct autoscaling_delete_policy_type drop = {.auto_scaling_group_name = S("g"), .policy_name = S("p")};
	ask("DeletePolicy", &drop);
	for (int i = 0; i < 10 && w.alarms; i++)
		pass(MINUTE_MS);
	assert_int_equal(w.alarms, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(days_of_faults, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(refreshes_keep_their_bounds, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(refreshes_among_faults, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(pools_over_days, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(tracking_comes_to_rest, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("scaling_groups", tests, NULL, NULL);
}

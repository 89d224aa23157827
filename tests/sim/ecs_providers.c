/* A capacity provider over a day without an instance: a service that grows and shrinks, an Auto Scaling group that is a list here
 * and follows the reservation as its policy would, agents that run what is placed. Answers are lost, and the role is started again.
 * No task is lost by scaling, no group exceeds its greatest size, and in the end there are as many instances as are needed. Seeded.
 */
#include "ecs_world.h"

#include "aws/autoscaling/autoscaling.h"
#include "aws/ecs/container_instance.h"
#include "aws/ecs/insights.h"
#include "base/clock.h"
#include "base/rand.h"
#include "engine/metrics/metrics.h"
#include "gen/autoscaling.h"

#include <math.h>

enum { MEMBERS = 512, MAX = 5, EACH = 4, PASS_MS = 10 * 1000, PASSES = 6 }; /* an instance has room for four tasks */

struct grouped {
	char id[24];
	enum { MEMBER_NONE, MEMBER_PENDING, MEMBER_SERVES, MEMBER_WAITS, MEMBER_ENDED } state;
	bool protected, died;
};

static struct {
	struct grouped all[MEMBERS];
	unsigned count;
	int64_t desired;
	bool policy, hook, faults;
	double reservation, cpu, memory;
	struct ecs_attributes attributes;
	int low;
	autoscaling_group_changed_fn *changed;
	void *changed_ctx;
} g;

static bool chance(unsigned percent)
{
	return g.faults && rand_below(100) < percent;
}

static unsigned in_state(int state)
{
	unsigned n = 0;
	for (unsigned i = 0; i < g.count; i++)
		n += (int)g.all[i].state == state;
	return n;
}

static struct grouped *member_of(struct str id)
{
	for (unsigned i = 0; i < g.count; i++)
		if (str_is(id, g.all[i].id))
			return &g.all[i];
	return NULL;
}

/* --- Auto Scaling */

#define ARN "arn:aws:autoscaling:us-east-1:000000000000:autoScalingGroup:1:autoScalingGroupName/g"

bool autoscaling_see_group(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str arn,
                           struct autoscaling_group_seen *ret)
{
	(void)t;
	(void)account;
	(void)region;
	assert_str(arn, ARN);
	*ret = (struct autoscaling_group_seen){
	        .name = S("g"), .protects = true, .members = arena_array(a, MEMBERS, sizeof(*ret->members))};
	for (unsigned i = 0; i < g.count; i++) {
		if (g.all[i].state == MEMBER_NONE || g.all[i].state == MEMBER_ENDED)
			continue;
		struct autoscaling_member_seen *m = &ret->members[ret->member_count++];
		*m = (struct autoscaling_member_seen){
		        .id = str_from(g.all[i].id), .serves = g.all[i].state == MEMBER_SERVES, .protected = g.all[i].protected};
		if (g.all[i].state == MEMBER_WAITS)
			*LIST_ADD(a, &m->waits) = S("ecs-managed-draining-termination-hook");
	}
	return true;
}

bool autoscaling_has_policy(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str group,
                            struct str policy, double target, int64_t warmup_s)
{
	(void)t;
	(void)a;
	(void)account;
	(void)region;
	(void)group;
	(void)policy;
	(void)target;
	(void)warmup_s;
	return g.policy;
}

bool autoscaling_has_hook(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str group,
                          struct str hook)
{
	(void)t;
	(void)a;
	(void)account;
	(void)region;
	(void)group;
	(void)hook;
	return g.hook;
}

struct autoscaling_groups_watch *autoscaling_watch_groups(struct cloud *cloud, autoscaling_group_changed_fn *fn, void *ctx)
{
	(void)cloud;
	g.changed = fn;
	g.changed_ctx = ctx;
	return NULL;
}

void autoscaling_unwatch_groups(struct autoscaling_groups_watch *watch)
{
	(void)watch;
	g.changed = NULL;
}

static int lost(struct call *c)
{
	return call_fail(c, "InternalFailure", 500, "the answer was lost");
}

static int fake_put_policy(struct call *c, const struct autoscaling_put_scaling_policy_type *in,
                           struct autoscaling_policy_arn_type *out)
{
	(void)out;
	assert_str(in->target_tracking_configuration->customized_metric_specification->metric_name, "CapacityProviderReservation");
	if (chance(30))
		return lost(c);
	g.policy = true;
	return CALL_OK;
}

static int fake_put_hook(struct call *c, const struct autoscaling_put_lifecycle_hook_type *in,
                         struct autoscaling_put_lifecycle_hook_answer *out)
{
	(void)in;
	(void)out;
	if (chance(30))
		return lost(c);
	g.hook = true;
	return CALL_OK;
}

static int fake_protect(struct call *c, const struct autoscaling_set_instance_protection_query *in,
                        struct autoscaling_set_instance_protection_answer *out)
{
	(void)out;
	for (uint32_t i = 0; i < in->instance_ids.n; i++) {
		struct grouped *m = member_of(in->instance_ids.v[i]);
		assert_non_null(m);
		if (m->state == MEMBER_SERVES)
			m->protected = in->protected_from_scale_in.v;
	}
	return chance(20) ? lost(c) : CALL_OK;
}

static int fake_complete(struct call *c, const struct autoscaling_complete_lifecycle_action_type *in,
                         struct autoscaling_complete_lifecycle_action_answer *out)
{
	(void)out;
	struct grouped *m = member_of(in->instance_id);
	assert_non_null(m);
	if (chance(20))
		return lost(c);
	m->state = MEMBER_ENDED;
	return CALL_OK;
}

#define FAKE(fn, op_name) \
	{ \
		.name = op_name, .handle = (call_handler *)(void (*)(void))fn \
	}
static const struct service_op ops[] = {FAKE(fake_complete, "CompleteLifecycleAction"), FAKE(fake_put_hook, "PutLifecycleHook"),
                                        FAKE(fake_put_policy, "PutScalingPolicy"), FAKE(fake_protect, "SetInstanceProtection")};
static const struct service fake_autoscaling = {.api = &autoscaling_api, .iam_prefix = "autoscaling", .ops = ops, .op_count = 4};
extern const struct service ecs_agent_service;
const struct service *const cloud_services[] = {&ecs_service, &ecs_agent_service, &iam_service,      &logs_service,
                                                &ssm_service, &sts_service,       &fake_autoscaling, NULL};

void metrics_add(struct metrics *m, const struct metric *metric, double value)
{
	(void)m;
	if (str_is(metric->name, "CPUReservation"))
		g.cpu = value;
	else if (str_is(metric->name, "MemoryReservation"))
		g.memory = value;
	else {
		assert_str(metric->name, "CapacityProviderReservation");
		g.reservation = value;
	}
}

/* What the cluster's instances have reserved: of each 1,024 units and room for EACH tasks of 10. */
static void check_reserved(unsigned tasks, unsigned serving)
{
	struct arena CLEAN_ARENA a = {0};
	struct crew crew = {.cloud = &w.cloud};
	struct store_txn *t = store_begin(w.cloud.store, &a);
	g.cpu = g.memory = -1;
	insights_clusters(&crew, t, &a);
	store_abort(t);
	if (!tasks) {
		assert_true(g.cpu < 0 && g.memory < 0); /* nothing runs, nothing is said */
		return;
	}
	assert_true(fabs(g.cpu - tasks * 10 * 100.0 / (serving * 1024)) < 1e-6);
	assert_true(fabs(g.memory - tasks * 100.0 / (serving * EACH)) < 1e-6);
}

/* --- instances and their agents */

/* Tasks of the network mode bridge have none. */
void ec2_return_interface(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id)
{
	(void)t;
	(void)a;
	(void)account;
	(void)region;
	assert_false(str_set(id));
}

bool roster_connected(struct roster *r, struct str id)
{
	(void)r;
	(void)id;
	return true;
}

enum ec2_life ec2_instance_life(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id)
{
	(void)t;
	(void)a;
	(void)account;
	(void)region;
	const struct grouped *m = member_of(id);
	return m && m->state != MEMBER_ENDED ? EC2_LIFE_UP : EC2_LIFE_GONE;
}

static void written(void *ctx, int result, uint64_t revision)
{
	(void)revision;
	*(int *)ctx = result + 1000;
}

/* What an edit of the store says; false: something got in between. */
static bool commit(struct store_txn *t)
{
	int result = 0;
	store_commit(t, written, &result);
	while (!result)
		loop_turn(w.cloud.loop, 1000);
	return result >= 1000;
}

static struct ecs_scope scope(struct arena *a)
{
	return (struct ecs_scope){
	        .txn = store_begin(w.cloud.store, a), .arena = a, .account = S("000000000000"), .region = S("us-east-1")};
}

static void joins(struct grouped *m)
{
	for (bool done = false; !done;) {
		struct arena CLEAN_ARENA a = {0};
		struct ecs_scope s = scope(&a);
		struct ecs_container_instance i = {.container_instance_arn =
		                                           ecs_instance_arn(&a, &s, S("default"), str_from(m->id)),
		                                   .ec2_instance_id = str_from(m->id),
		                                   .capacity_provider_name = S("p"),
		                                   .status = S("ACTIVE"),
		                                   .registered_at = OPT_TIME(w.wall_ms)};
		*LIST_ADD(&a, &i.registered_resources) =
		        (struct ecs_resource){.name = S("CPU"), .type = S("INTEGER"), .integer_value = OPT_INT(1024)};
		*LIST_ADD(&a, &i.registered_resources) =
		        (struct ecs_resource){.name = S("MEMORY"), .type = S("INTEGER"), .integer_value = OPT_INT(EACH * 128)};
		i.attributes = g.attributes;
		struct state_ecs_instance_record r = {.id = str_from(m->id), .cluster = S("default"), .instance = &i};
		ecs_instance_put(&s, &r);
		done = commit(s.txn);
	}
}

/* Agents start what they are told to, and stop it. A task on an instance that has ended was lost, unless it was stopped before. */
static unsigned agents(unsigned *ret_waiting)
{
	unsigned running = 0;
	*ret_waiting = 0;
	for (bool done = false; !done;) {
		struct arena CLEAN_ARENA a = {0};
		struct ecs_scope s = scope(&a);
		struct str under = ecs_tasks_under(&s, S("default")), key;
		struct store_iter *iter = store_scan(s.txn, under, store_prefix_end(&a, under), false);
		struct store_value v;
		struct {
			struct state_ecs_task_record r;
		} *all = arena_array(&a, 4096, sizeof(*all));
		unsigned n = 0;
		running = *ret_waiting = 0;
		while (store_next(iter, &key, &v) && n < 4096) {
			struct state_ecs_task_record r = {0};
			if (ecs_task_read(&a, v.value, &r) && ecs_task_status(r.task) != ECS_STOPPED)
				all[n++].r = r;
		}
		for (unsigned i = 0; i < n; i++) {
			struct state_ecs_task_record *r = &all[i].r;
			if (!str_set(r->task->container_instance_arn)) {
				++*ret_waiting;
				continue;
			}
			const struct grouped *m = member_of(ecs_task_instance(r->task));
			assert_non_null(m);
			if (m->died) /* nobody has noticed yet */
				continue;
			bool wanted = str_is(r->task->desired_status, "RUNNING");
			assert_true(!wanted || m->state == MEMBER_SERVES || m->state == MEMBER_WAITS);
			if (!wanted) {
				ecs_task_end(&s, r, w.wall_ms);
				ecs_task_put(&s, r);
			} else if (ecs_task_status(r->task) == ECS_PENDING) {
				ecs_task_move(&s, r, ECS_ACTIVATING, w.wall_ms);
				ecs_task_move(&s, r, ECS_RUNNING, w.wall_ms);
				ecs_task_put(&s, r);
			}
			running += wanted;
		}
		done = commit(s.txn);
	}
	return running;
}

/* --- the group's own life: a minute of it */

static void scale(void)
{
	unsigned serving = in_state(MEMBER_SERVES), there = serving + in_state(MEMBER_PENDING);
	double v = g.reservation;
	if (!g.policy)
		return;
	if (v > 100) {
		int64_t want = (int64_t)ceil((double)serving * v / 100 - 1e-9);
		want = want > serving ? want : serving + 1;
		want = want > MAX ? MAX : want;
		g.desired = want > g.desired ? want : g.desired;
	}
	g.low = v < 100 ? g.low + 1 : 0;
	if (g.low >= 15 && there == serving) {
		int64_t want = (int64_t)ceil((double)serving * v / 100 - 1e-9);
		g.desired = want < g.desired ? want : g.desired;
	}
	for (; there < (unsigned)g.desired; there++) {
		struct grouped *m = &g.all[g.count];
		assert_true(g.count < MEMBERS);
		snprintf(m->id, sizeof(m->id), "i-%017x", ++g.count);
		m->state = MEMBER_PENDING;
		m->protected = true;
	}
	for (unsigned i = 0; i < g.count && there > (unsigned)g.desired; i++)
		if (g.all[i].state == MEMBER_SERVES && !g.all[i].protected) {
			g.all[i].state = MEMBER_WAITS;
			there--;
		}
	assert_true(there <= MAX);
}

static unsigned minute(unsigned *ret_waiting)
{
	unsigned running = 0;
	for (unsigned i = 0; i < g.count; i++)
		if (g.all[i].state == MEMBER_PENDING && rand_below(100) < 60) {
			g.all[i].state = MEMBER_SERVES;
			joins(&g.all[i]);
		}
	if (chance(5)) /* one dies, with what it runs */
		for (unsigned i = 0; i < g.count; i++)
			if (g.all[i].state == MEMBER_SERVES) {
				g.all[i].state = MEMBER_ENDED;
				g.all[i].died = true;
				break;
			}
	for (int i = 0; i < PASSES; i++) {
		pass(PASS_MS);
		if (g.changed)
			g.changed(g.changed_ctx, S("000000000000"), S("us-east-1"), S("g"));
		running = agents(ret_waiting);
	}
	scale();
	return running;
}

static void desire(int64_t count)
{
	struct ecs_update_service_request in = {.service = S("web"), .desired_count = OPT_INT(count)};
	ask(&ecs_api, "UpdateService", &in, "");
}

static void begin(void)
{
	memset(&g, 0, sizeof(g));
	rand_seed(20263);
	static struct str ec2 = S_INIT("EC2"), name = S_INIT("p");
	struct ecs_managed_scaling scaling = {.status = S("ENABLED")};
	struct ecs_auto_scaling_group_provider provider = {
	        .auto_scaling_group_arn = S(ARN), .managed_scaling = &scaling, .managed_termination_protection = S("ENABLED")};
	struct ecs_create_capacity_provider_request make = {.name = name, .auto_scaling_group_provider = &provider};
	ask(&ecs_api, "CreateCapacityProvider", &make, "");
	struct ecs_capacity_provider_strategy_item item = {.capacity_provider = name, .weight = OPT_INT(1)};
	struct ecs_put_cluster_capacity_providers_request put = {
	        .cluster = S("default"),
	        .capacity_providers = {.v = &name, .n = 1, .set = true},
	        .default_capacity_provider_strategy = {.v = &item, .n = 1, .set = true}};
	ask(&ecs_api, "PutClusterCapacityProviders", &put, "");
	struct ecs_container_definition k = container("app");
	k.cpu = OPT_INT(10);
	k.memory = OPT_INT(128);
	struct ecs_register_task_definition_request definition = {.family = S("app"),
	                                                          .network_mode = S("bridge"),
	                                                          .requires_compatibilities = {.v = &ec2, .n = 1, .set = true},
	                                                          .container_definitions = {.v = &k, .n = 1, .set = true}};
	ask(&ecs_api, "RegisterTaskDefinition", &definition, "");
	struct ecs_describe_task_definition_request describe = {.task_definition = S("app")};
	const struct ecs_describe_task_definition_response *found = ask(&ecs_api, "DescribeTaskDefinition", &describe, "");
	for (uint32_t i = 0; i < found->task_definition->requires_attributes.n; i++) /* its agents know all that it needs */
		*LIST_ADD(&w.arena, &g.attributes) =
		        (struct ecs_attribute){.name = arena_dup(&w.arena, found->task_definition->requires_attributes.v[i].name)};
	struct ecs_create_service_request service = {.service_name = S("web"),
	                                             .task_definition = S("app"),
	                                             .desired_count = OPT_INT(0),
	                                             .capacity_provider_strategy = {.v = &item, .n = 1, .set = true}};
	static struct ecs_placement_strategy pack = {.type = S_INIT("binpack"), .field = S_INIT("memory")};
	service.placement_strategy.v = &pack;
	service.placement_strategy.n = 1;
	service.placement_strategy.set = true;
	ask(&ecs_api, "CreateService", &service, "");
}

static void instances_follow_tasks(void **state)
{
	(void)state;
	unsigned waiting, running;
	begin();
	for (int plateau = 0; plateau < 24; plateau++) {
		int64_t want = (int64_t)rand_below(MAX * EACH + 1);
		desire(want);
		g.faults = true;
		for (int i = 0; i < 15; i++) {
			running = minute(&waiting);
			if (rand_below(20) == 0) {
				close_cloud();
				open_cloud();
			}
		}
		g.faults = false;
		for (int i = 0; i < 30; i++)
			running = minute(&waiting);
		assert_int_equal(running, want);
		assert_int_equal(waiting, 0);
		unsigned least = (unsigned)(want + EACH - 1) / EACH, serving = in_state(MEMBER_SERVES);
		assert_true(serving >= least && serving <= MAX);
		/* tasks stay where they are, but none of the instances is empty for nothing */
		assert_true(g.reservation >= 100 - 1e-9 || serving == 0);
		assert_int_equal(in_state(MEMBER_WAITS) + in_state(MEMBER_PENDING), 0);
		check_reserved(running, serving);
	}
	desire(0);
	for (int i = 0; i < 60; i++)
		running = minute(&waiting);
	assert_int_equal(running, 0);
	assert_int_equal(in_state(MEMBER_SERVES), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(instances_follow_tasks, set_up, tear_down)};
	return cmocka_run_group_tests_name("ecs_providers", tests, NULL, NULL);
}

/* Services over hours: healing, rolling deployments, their rollback, protection. */
#include "ecs_world.h"

#include "aws/cloudwatch/cloudwatch.h"
#include "base/clock.h"

static const struct ecs_service *service(void)
{
	static struct str name = S_INIT("web");
	struct ecs_describe_services_request in = {.services = {.v = &name, .n = 1, .set = true}};
	const struct ecs_describe_services_response *out = ask(&ecs_api, "DescribeServices", &in, "");
	return &out->services.v[0];
}

static bool told(const char *text)
{
	const struct ecs_service *v = service();
	for (uint32_t i = 0; i < v->events.n; i++)
		if (str_find(v->events.v[i].message, str_from(text)) >= 0)
			return true;
	return false;
}

static void ask_for_service(const char *family, int64_t desired, struct ecs_deployment_configuration *conf, const char *error)
{
	struct ecs_run_task_request like = request(family);
	struct ecs_create_service_request in = {.service_name = S("web"),
	                                        .task_definition = str_from(family),
	                                        .desired_count = OPT_INT(desired),
	                                        .launch_type = S("FARGATE"),
	                                        .network_configuration = like.network_configuration,
	                                        .deployment_configuration = conf};
	ask(&ecs_api, "CreateService", &in, error);
}

static void create_service(const char *family, int64_t desired, struct ecs_deployment_configuration *conf)
{
	ask_for_service(family, desired, conf, "");
}

static void update_service(struct str definition, int64_t desired)
{
	struct ecs_update_service_request in = {
	        .service = S("web"), .task_definition = definition, .desired_count = OPT_INT(desired)};
	ask(&ecs_api, "UpdateService", &in, "");
}

static int alive(void)
{
	int n = 0;
	for (int i = 0; i < TASKS; i++)
		n += task_list[i].there && task_list[i].c[0].runs;
	return n;
}

static void a_service_heals(void **state)
{
	(void)state;
	struct ecs_container_definition k = container("app");
	define("app", &k, 1);
	create_service("app", 3, NULL);
	settle();
	settle();
	assert_int_equal(service()->running_count.v, 3);
	assert_true(told("has started 3 tasks: (task "));
	assert_true(told("has reached a steady state."));
	assert_true(told("deployment completed."));
	assert_str(service()->deployments.v[0].rollout_state, "COMPLETED");
	exits(&task_list[0], 0, 1, false);
	settle();
	settle();
	assert_int_equal(alive(), 3);
	assert_int_equal(service()->running_count.v, 3);
	close_cloud(); /* with all three running */
	open_cloud();
	for (int i = 0; i < TASKS; i++)
		if (task_list[i].there) {
			calls->ready(task_list[i].ctx, &task_list[i]);
			calls->started(task_list[i].ctx, &task_list[i], 0, w.wall_ms * 1000);
		}
	settle();
	settle();
	assert_int_equal(alive(), 3);
	update_service(STR_NONE, 1);
	settle();
	settle();
	assert_int_equal(alive(), 1);
	struct ecs_delete_service_request gone = {.service = S("web")};
	ask(&ecs_api, "DeleteService", &gone, "InvalidParameterException");
	gone.force = OPT_BOOL(true);
	ask(&ecs_api, "DeleteService", &gone, "");
	/* it drains until its tasks are told to stop, and its name is taken that long */
	ask_for_service("app", 1, NULL, "InvalidParameterException");
	settle();
	settle();
	assert_int_equal(alive(), 0);
	assert_str(service()->status, "INACTIVE");
}

/* A deployment never takes away what it has no replacement for. */
static void a_deployment_rolls(void **state)
{
	(void)state;
	struct ecs_container_definition k = container("app");
	define("app", &k, 1);
	create_service("app", 3, NULL);
	settle();
	settle();
	pass(41 * 1000);
	define("app", &k, 1);
	update_service(S("app"), 3);
	for (int i = 0; i < 12; i++) {
		pass(5 * 1000);
		assert_true(alive() >= 3 && alive() <= 6);
	}
	const struct ecs_service *v = service();
	assert_int_equal(v->deployments.n, 1);
	assert_true(str_ends(v->deployments.v[0].task_definition, S(":2")));
	assert_str(v->deployments.v[0].rollout_state, "COMPLETED");
	assert_int_equal(alive(), 3);
	assert_true(told("has stopped 3 running tasks: (task "));
}

static void a_bad_deployment_is_rolled_back(void **state)
{
	(void)state;
	struct ecs_deployment_circuit_breaker breaker = {OPT_BOOL(true), OPT_BOOL(true)};
	struct ecs_deployment_configuration conf = {.deployment_circuit_breaker = &breaker};
	struct ecs_container_definition k = container("app");
	define("app", &k, 1);
	create_service("app", 2, &conf);
	settle();
	settle();
	pass(41 * 1000);
	k.image = S("missing");
	define("app", &k, 1);
	update_service(S("app"), 2);
	for (int i = 0; i < 8; i++) {
		pass(20 * 1000);
		assert_true(alive() >= 2 && alive() <= 4);
	}
	assert_true(told("deployment failed: tasks failed to start."));
	assert_true(told("rolling back to deployment ecs-svc/"));
	const struct ecs_service *v = service();
	assert_true(str_ends(v->task_definition, S("app:1")));
	assert_true(str_ends(v->deployments.v[0].task_definition, S("app:1")));
	for (int i = 0; i < 4; i++)
		pass(41 * 1000);
	assert_str(service()->deployments.v[0].rollout_state, "COMPLETED");
	assert_int_equal(service()->deployments.n, 1);
	assert_int_equal(alive(), 2);
}

/* --- alarms, which the test sets off */

static bool alarm_on;
static cloudwatch_alarms_changed_fn *alarm_changed;
static void *alarm_ctx;

void cloudwatch_see_alarm(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str name,
                          struct cloudwatch_alarm_seen *ret)
{
	(void)t;
	(void)a;
	(void)account;
	(void)region;
	*ret = (struct cloudwatch_alarm_seen){.there = str_is(name, "bad")};
	ret->window_s = ret->there ? 300 : 0;
	ret->alarm = ret->there && alarm_on;
}

struct cloudwatch_alarms_watch *cloudwatch_watch_alarms(struct cloud *cloud, cloudwatch_alarms_changed_fn *fn, void *ctx)
{
	(void)cloud;
	alarm_changed = fn;
	alarm_ctx = ctx;
	return NULL;
}

void cloudwatch_unwatch_alarms(struct cloudwatch_alarms_watch *watch)
{
	(void)watch;
}

static void set_alarm(bool on)
{
	alarm_on = on;
	alarm_changed(alarm_ctx, S("000000000000"), S("us-east-1"));
}

static const struct ecs_service_deployment *last_deployment(void)
{
	struct ecs_list_service_deployments_request list = {.service = S("web")};
	const struct ecs_list_service_deployments_response *all = ask(&ecs_api, "ListServiceDeployments", &list, "");
	struct str arn = arena_dup(&w.arena, all->service_deployments.v[0].service_deployment_arn);
	struct ecs_describe_service_deployments_request in = {.service_deployment_arns = {.v = &arn, .n = 1, .set = true}};
	const struct ecs_describe_service_deployments_response *out = ask(&ecs_api, "DescribeServiceDeployments", &in, "");
	return &out->service_deployments.v[0];
}

static void an_alarm_turns_a_deployment_back(void **state)
{
	(void)state;
	struct str names[] = {S("bad")};
	struct ecs_deployment_alarms alarms = {
	        .alarm_names = {.v = names, .n = 1, .set = true}, .rollback = OPT_BOOL(true), .enable = OPT_BOOL(true)};
	struct ecs_deployment_configuration conf = {.alarms = &alarms};
	struct ecs_container_definition k = container("app");
	alarm_on = true; /* from before: it says nothing about this deployment */
	define("app", &k, 1);
	create_service("app", 2, &conf);
	settle();
	settle();
	for (int i = 0; i < 4; i++)
		pass(20 * 1000);
	assert_str(service()->deployments.v[0].rollout_state, "COMPLETED");
	assert_str(last_deployment()->alarms->status, "DISABLED");
	set_alarm(false);
	define("app", &k, 1);
	update_service(S("app"), 2);
	for (int i = 0; i < 6; i++)
		pass(20 * 1000);
	/* all is replaced, and is watched for as long as the alarm looks back */
	assert_int_equal(service()->deployments.n, 1);
	assert_str(service()->deployments.v[0].rollout_state, "IN_PROGRESS");
	assert_str(last_deployment()->alarms->status, "MONITORING");
	for (int i = 0; i < 6; i++)
		pass(60 * 1000);
	assert_str(service()->deployments.v[0].rollout_state, "COMPLETED");
	assert_str(last_deployment()->status, "SUCCESSFUL");
	assert_str(last_deployment()->alarms->status, "MONITORING_COMPLETE");
	set_alarm(true); /* too late */
	settle();
	assert_str(service()->deployments.v[0].rollout_state, "COMPLETED");
	set_alarm(false);
	define("app", &k, 1);
	update_service(S("app"), 2);
	for (int i = 0; i < 6; i++)
		pass(20 * 1000);
	set_alarm(true);
	for (int i = 0; i < 12; i++) {
		pass(20 * 1000);
		assert_true(alive() >= 2 && alive() <= 4);
	}
	assert_true(told("deployment failed: alarm detected."));
	assert_true(told("rolling back to deployment ecs-svc/"));
	assert_true(str_ends(service()->task_definition, S("app:2")));
	assert_str(service()->deployments.v[0].rollout_state, "COMPLETED");
	const struct ecs_service_deployment *d = last_deployment();
	assert_str(d->status, "ROLLBACK_SUCCESSFUL");
	assert_str(d->alarms->status, "TRIGGERED");
	assert_int_equal(d->alarms->triggered_alarm_names.n, 1);
	assert_str(d->alarms->triggered_alarm_names.v[0], "bad");
}

static void protection(void **state)
{
	(void)state;
	struct ecs_container_definition k = container("app");
	define("app", &k, 1);
	create_service("app", 2, NULL);
	settle();
	settle();
	struct str kept = str_from(task_list[0].id);
	struct ecs_update_task_protection_request in = {.tasks = {.v = &kept, .n = 1, .set = true},
	                                                .protection_enabled = OPT_BOOL(true)};
	in.cluster = S("default");
	const struct ecs_update_task_protection_response *out = ask(&ecs_api, "UpdateTaskProtection", &in, "");
	assert_int_equal(out->protected_tasks.n, 1);
	update_service(STR_NONE, 1);
	settle();
	settle();
	assert_int_equal(alive(), 1);
	assert_true(task_list[0].c[0].runs);
	update_service(STR_NONE, 0);
	settle();
	settle();
	assert_int_equal(alive(), 1); /* until it is not protected any more */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(a_service_heals, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(a_deployment_rolls, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(a_bad_deployment_is_rolled_back, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(an_alarm_turns_a_deployment_back, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(protection, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("ecs services", tests, NULL, NULL);
}

/* Tasks over hours: their lives, failures, logs, restarts, sessions. */
#include "ecs_world.h"

#include "base/json.h"
#include "core/meter.h"
#include "gen/logs.h"
#include "gen/ssm.h"

static void a_life(void **state)
{
	(void)state;
	struct ecs_container_definition k = container("app");
	define("web", &k, 1);
	struct str arn = run("web");
	assert_str(look(arn)->last_status, "PROVISIONING");
	assert_str(look(arn)->group, "family:web");
	settle();
	const struct ecs_task *t = look(arn);
	assert_str(t->last_status, "RUNNING");
	assert_str(t->attachments.v[0].status, "ATTACHED");
	assert_str(t->containers.v[0].last_status, "RUNNING");
	assert_str(t->containers.v[0].image_digest, "sha256:abc");
	assert_true(t->pull_started_at.set && t->pull_stopped_at.set && t->started_at.set && !t->stopping_at.set);
	assert_string_equal(engine_task(arn)->c[0].arguments, "/in\nit\n");
	stop(arn);
	settle();
	t = look(arn);
	assert_str(t->last_status, "STOPPED");
	assert_str(t->stop_code, "UserInitiated");
	assert_str(t->stopped_reason, "enough");
	assert_int_equal(t->containers.v[0].exit_code.v, 143);
	assert_true(t->stopped_at.set && t->execution_stopped_at.set);
	assert_null(engine_task(arn));
	pass(3599 * 1000);
	assert_non_null(look(arn));
	pass(2 * 1000);
	assert_null(look(arn));
}

static void essential_exits(void **state)
{
	(void)state;
	struct ecs_container_definition k[2] = {container("app"), container("side")};
	k[1].essential = OPT_BOOL(false);
	define("pair", k, 2);
	struct str arn = run("pair");
	settle();
	exits(engine_task(arn), 1, 3, false);
	settle();
	assert_str(look(arn)->last_status, "RUNNING");
	assert_int_equal(look(arn)->containers.v[1].exit_code.v, 3);
	exits(engine_task(arn), 0, 137, true);
	settle();
	const struct ecs_task *t = look(arn);
	assert_str(t->last_status, "STOPPED");
	assert_str(t->stop_code, "EssentialContainerExited");
	assert_str(t->stopped_reason, "Essential container in task exited");
	assert_str(t->containers.v[0].reason, "OutOfMemoryError: Container killed due to memory usage");
}

static void starts_that_fail(void **state)
{
	(void)state;
	struct ecs_container_definition k = container("app");
	k.image = S("missing");
	define("missing", &k, 1);
	struct str arn = run("missing");
	settle();
	const struct ecs_task *t = look(arn);
	assert_str(t->last_status, "STOPPED");
	assert_str(t->stop_code, "TaskFailedToStart");
	assert_true(str_starts(t->stopped_reason, S("CannotPullContainerError: ")));
	assert_false(t->containers.v[0].exit_code.set);
	struct ecs_secret secret = {S("PASSWORD"), S("/no/such")};
	k = container("app");
	k.secrets.v = &secret;
	k.secrets.n = 1;
	define("secret", &k, 1);
	arn = run("secret");
	settle();
	assert_true(str_starts(look(arn)->stopped_reason, S("ResourceInitializationError: unable to pull secrets")));
	w.no_ports = true;
	arn = run("missing");
	settle();
	assert_str(look(arn)->last_status, "PROVISIONING");
	pass(181 * 1000);
	assert_str(look(arn)->stopped_reason, "Timeout waiting for network interface provisioning to complete.");
	struct ecs_run_task_request in = request("missing");
	struct str other = S("subnet-9");
	struct ecs_aws_vpc_configuration vpc = {.subnets = {.v = &other, .n = 1, .set = true}};
	struct ecs_network_configuration network = {.awsvpc_configuration = &vpc};
	in.network_configuration = &network;
	ask(&ecs_api, "RunTask", &in, "InvalidParameterException");
}

static void variables_and_logs(void **state)
{
	(void)state;
	struct ssm_put_parameter_request put = {.name = S("/p"), .value = S("hush"), .type = S("SecureString")};
	ask(&ssm_api, "PutParameter", &put, "");
	struct ecs_secret secret = {S("PASSWORD"), S("/p")};
	struct ecs_key_value_pair own = {S("A"), S("own")};
	struct str_map_entry options[] = {{S("awslogs-group"), S("g")},
	                                  {S("awslogs-region"), S("us-east-1")},
	                                  {S("awslogs-stream-prefix"), S("p")},
	                                  {S("awslogs-create-group"), S("true")}};
	struct ecs_log_configuration log = {.log_driver = S("awslogs"), .options = {.v = options, .n = 4, .set = true}};
	struct ecs_container_definition k = container("app");
	k.secrets.v = &secret;
	k.environment.v = &own;
	k.secrets.n = k.environment.n = 1;
	k.log_configuration = &log;
	w.logs = true;
	define("vars", &k, 1);
	struct str arn = run("vars");
	settle();
	assert_str(look(arn)->last_status, "RUNNING");
	struct str environment = str_from(engine_task(arn)->c[0].environment);
	assert_true(str_find(environment, S("A=own\n")) >= 0 && str_find(environment, S("B=image\n")) >= 0);
	assert_true(str_find(environment, S("PASSWORD=hush\n")) >= 0);
	struct logs_describe_log_streams_request streams = {.log_group_name = S("g")};
	const struct logs_describe_log_streams_response *out = ask(&logs_api, "DescribeLogStreams", &streams, "");
	assert_int_equal(out->log_streams.n, 1);
	struct str stream = out->log_streams.v[0].log_stream_name;
	assert_true(str_starts(stream, S("p/app/")));
	struct task *t = engine_task(arn);
	struct arena CLEAN_ARENA a = {0};
	struct state_ecs_task_record r = {0};
	struct ecs_scope s = {.arena = &a, .account = S("000000000000"), .region = S("us-east-1")};
	s.txn = store_begin(w.cloud.store, &a);
	assert_true(ecs_task_find(&s, S("default"), str_from(t->id), &r));
	const struct json_value *whole = json_parse(&a, metadata_task(&(struct metadata_facts){&a, t->ctx, &r, NULL}, true), NULL);
	store_abort(s.txn);
	assert_str(json_get_str(whole, S("TaskARN")), arena_dupz(&a, arn));
	assert_str(json_get_str(whole, S("KnownStatus")), "RUNNING");
	const struct json_value *first = json_get(whole, S("Containers"))->first;
	assert_str(json_get_str(first, S("Name")), "app");
	assert_str(json_get_str(first, S("KnownStatus")), "RUNNING");
	assert_str(json_get_str(json_get(first, S("LogOptions")), S("awslogs-stream")), arena_dupz(&a, stream));
	calls->output(t->ctx, t, 0, false, w.wall_ms * 1000, S("one"));
	calls->output(t->ctx, t, 0, true, w.wall_ms * 1000, S("two"));
	settle();
	calls->output(t->ctx, t, 0, true, w.wall_ms * 1000, S("last words"));
	exits(t, 0, 0, false);
	settle();
	struct logs_get_log_events_request get = {
	        .log_group_name = S("g"), .log_stream_name = stream, .start_from_head = OPT_BOOL(true)};
	const struct logs_get_log_events_response *events = ask(&logs_api, "GetLogEvents", &get, "");
	assert_int_equal(events->events.n, 3);
	assert_str(events->events.v[2].message, "last words");
}

/* A stop asked for at every point of the way up ends in STOPPED, with nothing left of it. */
static void stops_on_the_way_up(void **state)
{
	(void)state;
	struct ecs_container_definition k = container("app");
	define("web", &k, 1);
	for (int turns = 0; turns < 40; turns++) {
		struct str arn = run("web");
		give_ports(w.lent);
		engine_holds = turns % 2;
		for (int i = 0; i < turns; i++)
			loop_turn(w.cloud.loop, 200);
		if (turns % 3 == 0)
			obey();
		stop(arn);
		settle();
		engine_holds = false;
		settle();
		const struct ecs_task *t = look(arn);
		assert_str(t->last_status, "STOPPED");
		assert_str(t->stop_code, "UserInitiated");
		assert_null(engine_task(arn));
	}
}

/* Its container has a while to end in, also when the role began again and has not heard yet that it runs. */
static void a_stop_outlives_the_role(void **state)
{
	(void)state;
	struct ecs_container_definition k = container("app");
	define("web", &k, 1);
	struct str arn = run("web");
	settle();
	engine_is_slow = true;
	stop(arn);
	settle();
	close_cloud();
	struct task *t = engine_task(arn);
	open_cloud();
	calls->ready(t->ctx, t);
	settle();
	assert_false(t->ending);
	calls->started(t->ctx, t, 0, w.wall_ms * 1000);
	settle();
	assert_false(t->ending);
	exits(t, 0, 7, false);
	engine_is_slow = false;
	settle();
	assert_str(look(arn)->last_status, "STOPPED");
	assert_int_equal(look(arn)->containers.v[0].exit_code.v, 7);
}

/* The role ends and begins again: what runs is adopted, what ended meanwhile is found to have. */
static void restarts(void **state)
{
	(void)state;
	struct ecs_container_definition k = container("app");
	define("web", &k, 1);
	struct str arn = run("web"), lost = run("web"), early = run("web");
	w.no_ports = false;
	settle();
	close_cloud();
	engine_task(lost)->there = false; /* its shim was killed */
	struct task *t = engine_task(early);
	open_cloud();
	calls->ready(engine_task(arn)->ctx, engine_task(arn));
	calls->started(engine_task(arn)->ctx, engine_task(arn), 0, w.wall_ms * 1000);
	calls->ready(t->ctx, t);
	exits(t, 0, 5, false);
	settle();
	assert_str(look(arn)->last_status, "RUNNING");
	assert_str(look(lost)->last_status, "STOPPED");
	assert_str(look(lost)->stop_code, "TerminationNotice");
	assert_str(look(early)->last_status, "STOPPED");
	assert_int_equal(look(early)->containers.v[0].exit_code.v, 5);
	stop(arn);
	settle();
	assert_str(look(arn)->last_status, "STOPPED");
}

static void tokens_and_room(void **state)
{
	(void)state;
	struct ecs_container_definition k = container("app");
	define("web", &k, 1);
	struct ecs_run_task_request in = request("web");
	in.client_token = S("once");
	in.count = OPT_INT(2);
	const struct ecs_run_task_response *first = ask(&ecs_api, "RunTask", &in, "");
	const struct ecs_run_task_response *again = ask(&ecs_api, "RunTask", &in, "");
	assert_int_equal(again->tasks.n, 2);
	assert_true(str_eq(first->tasks.v[0].task_arn, again->tasks.v[0].task_arn));
	in.count = OPT_INT(1);
	ask(&ecs_api, "RunTask", &in, "ConflictException");
	struct ecs_delete_cluster_request gone = {.cluster = S("default")};
	ask(&ecs_api, "DeleteCluster", &gone, "ClusterContainsTasksException");
	((struct crew *)cloud_state(&w.cloud, &ecs_service))->memory_mib = 1600;
	settle();
	in = request("web");
	in.count = OPT_INT(2);
	first = ask(&ecs_api, "RunTask", &in, "");
	assert_int_equal(first->tasks.n, 1);
	assert_true(str_starts(first->failures.v[0].reason, S("Capacity is unavailable at this time.")));
}

static void counted(void *ctx, struct call *sub)
{
	const struct ecs_run_task_response *out = sub->out;
	int *tasks = ctx;
	assert_false(str_set(sub->error.code));
	*tasks += 100 + (int)out->tasks.n;
}

/* Calls that come at the same time share what room there is; none is promised what another one has taken. */
static void room_is_given_once(void **state)
{
	(void)state;
	enum { CALLS = 4, ROOM = 3 };
	struct ecs_container_definition k = container("app");
	define("web", &k, 1);
	((struct crew *)cloud_state(&w.cloud, &ecs_service))->memory_mib = ROOM * 512;
	struct ecs_run_task_request in = request("web");
	int tasks = 0;
	in.count = OPT_INT(2);
	for (int i = 0; i < CALLS; i++)
		call_op(&w.cloud, w.root, S("us-east-1"), &ecs_api, "RunTask", &in, counted, &tasks);
	while (tasks < CALLS * 100)
		loop_turn(w.cloud.loop, 1000);
	assert_int_equal(tasks, CALLS * 100 + ROOM);
	settle();
	const struct ecs_run_task_response *more = ask(&ecs_api, "RunTask", &in, "");
	assert_int_equal(more->tasks.n, 0);
	/* A call that fails gives back what it would have taken. */
	in = request("none");
	ask(&ecs_api, "RunTask", &in, "ClientException");
	assert_true(list_empty(&((struct crew *)cloud_state(&w.cloud, &ecs_service))->rooms));
}

static void registered(void *ctx, struct call *sub)
{
	const struct ecs_register_task_definition_response *out = sub->out;
	bool *revisions = ctx;
	assert_false(str_set(sub->error.code));
	assert_false(revisions[out->task_definition->revision.v]);
	revisions[out->task_definition->revision.v] = true;
}

/* However many calls want the next of something at once, each gets one. */
static void calls_take_turns(void **state)
{
	(void)state;
	enum { CALLS = 240 };
	bool revisions[CALLS + 1] = {false};
	struct ecs_container_definition k = container("app");
	k.memory = OPT_INT(64);
	struct ecs_register_task_definition_request in = {.family = S("web")};
	in.container_definitions.v = &k;
	in.container_definitions.n = 1;
	in.container_definitions.set = true;
	for (int i = 0; i < CALLS; i++)
		call_op(&w.cloud, w.root, S("us-east-1"), &ecs_api, "RegisterTaskDefinition", &in, registered, revisions);
	for (int i = 1; i <= CALLS; i++)
		while (!revisions[i])
			loop_turn(w.cloud.loop, 1000);
}

static uint32_t sessions(const char *of)
{
	struct ssm_describe_sessions_request in = {.state = str_from(of)};
	return ((const struct ssm_describe_sessions_response *)ask(&ssm_api, "DescribeSessions", &in, ""))->sessions.n;
}

/* A session in which nobody says anything for twenty minutes. */
static void sessions_idle(void **state)
{
	(void)state;
	struct ecs_container_definition k = container("app");
	struct ecs_task_override role = {.task_role_arn = S("exec")};
	define("app", &k, 1);
	struct ecs_run_task_request in = request("app");
	in.enable_execute_command = OPT_BOOL(true);
	in.overrides = &role;
	struct str arn = ((const struct ecs_run_task_response *)ask(&ecs_api, "RunTask", &in, ""))->tasks.v[0].task_arn;
	settle();
	struct ecs_execute_command_request command = {.task = arn, .command = S("sh"), .interactive = OPT_BOOL(true)};
	ask(&ecs_api, "ExecuteCommand", &command, "");
	pass(19 * 60 * 1000);
	assert_int_equal(sessions("Active"), 1);
	pass(2 * 60 * 1000);
	assert_int_equal(sessions("Active"), 0);
	assert_int_equal(sessions("History"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(a_life, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(essential_exits, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(starts_that_fail, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(variables_and_logs, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(stops_on_the_way_up, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(a_stop_outlives_the_role, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(restarts, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(tokens_and_room, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(room_is_given_once, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(calls_take_turns, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(sessions_idle, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("ecs tasks", tests, NULL, NULL);
}

/* What comes to instances at a time: events of their hosts, over hours and days. */
#include "ec2_world.h"

#include "aws/ec2/event.h"
#include "aws/ec2/retire.h"
#include "base/clock.h"

#include <stdio.h>

enum { MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS, DAY_MS = 24 * HOUR_MS };

static struct {
	bool came;
	char error[128], said[64];
} answer;

static void retired(void *ctx, const char *error, struct str said)
{
	(void)ctx;
	answer.came = true;
	snprintf(answer.error, sizeof(answer.error), "%s", error ? error : "");
	snprintf(answer.said, sizeof(answer.said), "%.*s", STR_ARG(said));
}

/* The gate asks about a request from outside, which is not here: the root user may do everything. */
bool gate_may(struct gate *g, struct http_request *r, const struct principal *who, struct str region, struct authz *az,
              const struct str_map *tags, struct str *ret_why)
{
	(void)g;
	(void)r;
	(void)tags;
	(void)ret_why;
	assert_str(az->action, "quartet:RetireInstance");
	assert_true(str_starts(az->resource, S("arn:aws:ec2:us-east-1:000000000000:instance/i-")));
	return who == w.root && str_is(region, "us-east-1");
}

static struct str retire(struct str id, const char *code, int64_t in_ms)
{
	struct retire_ask ask = {
	        .region = S("us-east-1"), .instance = id, .code = code ? str_from(code) : S(""), .in_ms = in_ms, .cancel = !code};
	unsigned status;
	struct str why;
	memset(&answer, 0, sizeof(answer));
	if (!retire_instance(&w.cloud, NULL, &w.last, w.root, &ask, retired, NULL, &status, &why))
		fail_msg("%u %.*s", status, STR_ARG(why));
	settle();
	assert_true(answer.came);
	assert_string_equal(answer.error, "");
	return arena_dup(&w.last, str_from(answer.said));
}

static const struct ec2_instance_status *status_of(struct str id)
{
	struct ec2_describe_instance_status_request in = {.instance_ids = one(&id), .include_all_instances = OPT_BOOL(true)};
	const struct ec2_describe_instance_status_result *out = ask("DescribeInstanceStatus", &in, "");
	return &out->instance_statuses.v[0];
}

static void a_retirement(void **state)
{
	(void)state;
	struct ec2_run_instances_request in = request(new_image());
	struct str id = run(&in);
	struct str event = retire(id, "instance-retirement", 2 * DAY_MS);
	assert_true(str_starts(event, S("instance-event-0")));
	const struct ec2_instance_status *s = status_of(id);
	assert_int_equal(s->events.n, 1);
	assert_str(s->events.v[0].code, "instance-retirement");
	assert_true(str_eq(s->events.v[0].instance_event_id, event));
	assert_str(s->events.v[0].description, "The instance is running on degraded hardware");
	assert_int_equal(s->events.v[0].not_before.ms, (clock_wall_ms() + 2 * DAY_MS) / 1000 * 1000);
	assert_false(s->events.v[0].not_before_deadline.set);
	pass(DAY_MS);
	assert_state(id, "running");
	/* The cloud is off for a while; the record remembers. */
	close_cloud();
	open_cloud();
	settle();
	pass(DAY_MS - 2000);
	assert_state(id, "running");
	pass(2000);
	assert_state(id, "stopping");
	assert_int_equal(machine_of(id)->stops, 1);
	end(id, MACHINE_STOPPED);
	assert_state(id, "stopped");
	assert_str(instance(id)->state_reason->code, "Server.ScheduledStop");
	assert_str(status_of(id)->events.v[0].description, "[Completed] The instance is running on degraded hardware");
	pass(8 * DAY_MS);
	assert_int_equal(status_of(id)->events.n, 0);
}

static void reboots(void **state)
{
	(void)state;
	struct ec2_run_instances_request in = request(new_image());
	struct str id = run(&in);
	struct str event = retire(id, "system-reboot", 3 * HOUR_MS);
	struct ec2_modify_instance_event_start_time_request move = {
	        .instance_id = id, .instance_event_id = event, .not_before = OPT_TIME(clock_wall_ms() + 30 * MINUTE_MS)};
	ask("ModifyInstanceEventStartTime", &move, "InvalidInstanceEventStartTime");
	move.not_before = OPT_TIME(clock_wall_ms() + 8 * DAY_MS);
	ask("ModifyInstanceEventStartTime", &move, "InvalidInstanceEventStartTime");
	move.not_before = OPT_TIME(clock_wall_ms() + DAY_MS);
	move.instance_event_id = S("instance-event-00000000000000000");
	ask("ModifyInstanceEventStartTime", &move, "InvalidInstanceEventIDNotFound");
	move.instance_event_id = event;
	const struct ec2_modify_instance_event_start_time_result *moved = ask("ModifyInstanceEventStartTime", &move, "");
	assert_int_equal(moved->event->not_before.ms, move.not_before.ms);
	assert_int_equal(moved->event->not_after.ms, move.not_before.ms + 2 * HOUR_MS);
	pass(4 * HOUR_MS);
	assert_int_equal(machine_of(id)->resets, 0);
	/* A reboot of one's own is not that of the host, but takes the place of an instance's own. */
	retire(id, "instance-reboot", HOUR_MS);
	struct ec2_reboot_instances_request reboot = {.instance_ids = one(&id)};
	ask("RebootInstances", &reboot, "");
	settle();
	assert_int_equal(machine_of(id)->resets, 1);
	pass(2 * HOUR_MS);
	assert_int_equal(machine_of(id)->resets, 1);
	pass(18 * HOUR_MS - 1000);
	assert_int_equal(machine_of(id)->resets, 1);
	move.not_before = OPT_TIME(clock_wall_ms() + DAY_MS);
	ask("ModifyInstanceEventStartTime", &move, "InvalidInstanceEventStartTime"); /* too late */
	pass(1000);
	assert_int_equal(machine_of(id)->resets, 2);
	assert_state(id, "running");
	assert_str(status_of(id)->events.v[0].description, "[Completed] The instance is scheduled for a reboot of its host");
}

static void calling_off(void **state)
{
	(void)state;
	struct ec2_run_instances_request in = request(new_image());
	struct str id = run(&in);
	retire(id, "instance-stop", HOUR_MS);
	retire(id, "system-reboot", HOUR_MS);
	assert_str(retire(id, NULL, 0), "2");
	pass(2 * HOUR_MS);
	assert_state(id, "running");
	assert_int_equal(machine_of(id)->resets, 0);
	assert_str(status_of(id)->events.v[0].description, "[Canceled] The instance is scheduled to be stopped");
	/* Started again it is on another host. */
	retire(id, "instance-stop", HOUR_MS);
	struct ec2_stop_instances_request stop = {.instance_ids = one(&id)};
	ask("StopInstances", &stop, "");
	settle();
	end(id, MACHINE_STOPPED);
	struct ec2_start_instances_request start = {.instance_ids = one(&id)};
	ask("StartInstances", &start, "");
	settle();
	give_tap(id);
	machine_calls->started(machine_of(id)->ctx, machine_of(id));
	settle();
	pass(2 * HOUR_MS);
	assert_state(id, "running");
	/* As many as there may be. */
	for (int k = 0; k < 8; k++)
		retire(id, "system-reboot", DAY_MS);
	struct retire_ask ask_more = {.region = S("us-east-1"), .instance = id, .code = S("system-reboot"), .in_ms = DAY_MS};
	unsigned status;
	struct str why;
	assert_true(retire_instance(&w.cloud, NULL, &w.last, w.root, &ask_more, retired, NULL, &status, &why));
	settle();
	assert_true(str_find(str_from(answer.error), S("as many events")) == 0);
	ask_more.code = S("system-maintenance");
	assert_false(retire_instance(&w.cloud, NULL, &w.last, w.root, &ask_more, retired, NULL, &status, &why));
	assert_int_equal(status, 400);
	ask_more = (struct retire_ask){.region = S("us-east-1"), .instance = S("i-0123456789abcdef0"), .code = S("instance-stop")};
	assert_false(retire_instance(&w.cloud, NULL, &w.last, w.root, &ask_more, retired, NULL, &status, &why));
	assert_int_equal(status, 404);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(a_retirement, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(reboots, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(calling_off, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("ec2 events", tests, NULL, NULL);
}

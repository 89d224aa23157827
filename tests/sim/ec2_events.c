/* What comes to instances at a time: events of their hosts, over hours and days. */
#include "ec2_world.h"

#include "aws/ec2/instance/event.h"
#include "aws/ec2/instance/event_window.h"
#include "aws/ec2/instance/retire.h"
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

/* --- windows */

static struct ec2_instance_event_window_time_range_request range(const char *from_day, int from, const char *to_day, int to)
{
	return (struct ec2_instance_event_window_time_range_request){.start_week_day = str_from(from_day),
	                                                             .start_hour = OPT_INT(from),
	                                                             .end_week_day = str_from(to_day),
	                                                             .end_hour = OPT_INT(to)};
}

static int64_t at(int day_of_january, int hour, int minute)
{
	return INT64_C(1767225600000) + (int64_t)(day_of_january - 1) * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS;
}

/* The first of January 2026 is a Thursday. */
static void hours_of_the_week(void **state)
{
	(void)state;
	bool open[WINDOW_HOURS];
	struct ec2_instance_event_window window = {.cron_expression = S("* 0-4,20-23 * * 1,FRI")};
	assert_null(window_hours(&window, open));
	assert_true(window_next(open, at(1, 12, 0)) == at(2, 0, 0));
	assert_true(window_next(open, at(2, 3, 59)) == at(2, 3, 59));
	assert_true(window_next(open, at(2, 4, 0)) == at(2, 20, 0));
	assert_true(window_next(open, at(2, 23, 0)) == at(5, 0, 0));
	assert_true(window_next(open, at(5, 22, 59)) == at(5, 22, 59));
	assert_true(window_next(open, at(6, 1, 0)) == at(9, 0, 0));
	static const char *const wrong[] = {"* 0-1 * * 1",   "0 0-4 * * 1", "* 0-4 1 * 1",   "* 0-4 * 1 1",
	                                    "* 0-4 * * 7",   "* 0-4 * *",   "* 22-26 * * 1", "* 4-0 * * MON",
	                                    "* 0-4 * * XYZ", "* 0-3 * * 1", "* 0-4,",        "*"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		window.cron_expression = str_from(wrong[i]);
		assert_non_null(window_hours(&window, open));
	}
	window.cron_expression = S("* * * * *");
	assert_null(window_hours(&window, open));
	assert_true(window_next(open, at(1, 12, 34)) == at(1, 12, 34));
	window.cron_expression = STR_NONE;
	*LIST_ADD(&w.arena, &window.time_ranges) = (struct ec2_instance_event_window_time_range){
	        .start_week_day = S("saturday"), .start_hour = OPT_INT(22), .end_week_day = S("sunday"), .end_hour = OPT_INT(2)};
	assert_null(window_hours(&window, open));
	assert_true(window_next(open, at(1, 0, 0)) == at(3, 22, 0));
	assert_true(window_next(open, at(4, 1, 30)) == at(4, 1, 30));
	assert_true(window_next(open, at(4, 2, 0)) == at(10, 22, 0));
}

static const struct ec2_instance_status_event *event_of(struct str id)
{
	const struct ec2_instance_status *s = status_of(id);
	return &s->events.v[s->events.n - 1];
}

/* What is scheduled for an instance with a window comes when it is open, and what cannot wait comes at once. */
static void windows_are_kept(void **state)
{
	(void)state;
	struct ec2_run_instances_request launch = request(new_image());
	struct str id = run(&launch), other = run(&launch);
	struct ec2_instance_event_window_time_range_request saturday = range("saturday", 2, "saturday", 6);
	struct ec2_create_instance_event_window_request create = {.name = S("nights")};
	*LIST_ADD(&w.arena, &create.time_ranges) = saturday;
	const struct ec2_create_instance_event_window_result *made = ask("CreateInstanceEventWindow", &create, "");
	struct str window = arena_dup(&w.arena, made->instance_event_window->instance_event_window_id);
	assert_true(str_starts(window, S("iew-")));
	assert_str(made->instance_event_window->state, "creating");
	struct ec2_tag tag = {S("kept"), S("yes")};
	struct ec2_instance_event_window_association_request target = {0};
	*LIST_ADD(&w.arena, &target.instance_tags) = tag;
	struct ec2_associate_instance_event_window_request associate = {.instance_event_window_id = window,
	                                                                .association_target = &target};
	ask("AssociateInstanceEventWindow", &associate, "");
	struct ec2_create_tags_request tags = {.resources = one(&id)};
	*LIST_ADD(&w.arena, &tags.tags) = tag;
	ask("CreateTags", &tags, "");
	/* from Thursday to Saturday */
	retire(id, "system-reboot", 10 * MINUTE_MS);
	retire(other, "system-reboot", 10 * MINUTE_MS);
	assert_true(event_of(other)->not_before.ms < clock_wall_ms() + 11 * MINUTE_MS);
	assert_true(event_of(id)->not_before.ms == at(3, 2, 0));
	assert_true(event_of(id)->not_before_deadline.ms == at(10, 2, 0));
	/* a change of the window is for what is scheduled later */
	struct ec2_modify_instance_event_window_request modify = {.instance_event_window_id = window,
	                                                          .cron_expression = S("* 0-4 * * SUN")};
	ask("ModifyInstanceEventWindow", &modify, "");
	assert_true(event_of(id)->not_before.ms == at(3, 2, 0));
	pass(at(3, 2, 0) - clock_wall_ms() - MINUTE_MS);
	assert_int_equal(machine_of(other)->resets, 1);
	assert_int_equal(machine_of(id)->resets, 0);
	pass(2 * MINUTE_MS);
	assert_int_equal(machine_of(id)->resets, 1);
	retire(id, "instance-stop", HOUR_MS);
	assert_true(event_of(id)->not_before.ms == at(4, 0, 0));
	/* inside of it the time stays what it is */
	retire(id, NULL, 0);
	pass(at(4, 1, 0) - clock_wall_ms());
	retire(id, "instance-stop", HOUR_MS);
	assert_true(event_of(id)->not_before.ms <= at(4, 2, 1));
	retire(id, NULL, 0);
	retire(id, "instance-stop", 0);
	pass(1000);
	assert_state(id, "stopping");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(a_retirement, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(reboots, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(calling_off, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(hours_of_the_week, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(windows_are_kept, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("ec2 events", tests, NULL, NULL);
}

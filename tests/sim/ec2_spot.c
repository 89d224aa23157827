/* Spot requests over hours: what persistent ones come back to, what waits for its time, and how requests end. */
#include "ec2_world.h"

#include "aws/ec2/capacity/spot.h"
#include "base/clock.h"

enum { MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS, DAY_MS = 24 * HOUR_MS };

static const struct ec2_spot_instance_request *spot_request(struct str id)
{
	struct ec2_describe_spot_instance_requests_request in = {.spot_instance_request_ids = one(&id)};
	const struct ec2_describe_spot_instance_requests_result *out = ask("DescribeSpotInstanceRequests", &in, "");
	return &out->spot_instance_requests.v[0];
}

#define assert_request(id, want_state, want_code) \
	do { \
		assert_str(spot_request(id)->state, want_state); \
		assert_str(spot_request(id)->status->code, want_code); \
	} while (0)

static void cancel(struct str id, const char *state)
{
	struct ec2_cancel_spot_instance_requests_request in = {.spot_instance_request_ids = one(&id)};
	const struct ec2_cancel_spot_instance_requests_result *out = ask("CancelSpotInstanceRequests", &in, "");
	assert_str(out->cancelled_spot_instance_requests.v[0].state, state);
}

static void terminate(struct str id)
{
	struct ec2_terminate_instances_request in = {.instance_ids = one(&id)};
	ask("TerminateInstances", &in, "");
	settle();
	end(id, MACHINE_STOPPED);
	assert_state(id, "terminated");
}

static void starts(struct str id)
{
	give_tap(id);
	struct machine *m = machine_of(id);
	assert_non_null(m);
	machine_calls->started(m->ctx, m);
	settle();
	assert_state(id, "running");
}

static struct ec2_spot_market_options options;
static struct ec2_instance_market_options_request market;
static struct ec2_tag tag;
static struct ec2_tag_specification tags;

static struct ec2_run_instances_request persistent(void)
{
	struct ec2_run_instances_request in = request(new_image());
	options = (struct ec2_spot_market_options){.spot_instance_type = S("persistent")};
	market = (struct ec2_instance_market_options_request){.market_type = S("spot"), .spot_options = &options};
	tag = (struct ec2_tag){.key = S("k"), .value = S("v")};
	tags = (struct ec2_tag_specification){.resource_type = S("instance"), .tags = {.v = &tag, .n = 1, .set = true}};
	in.instance_market_options = &market;
	in.tag_specifications = (struct ec2_tag_specification_list){.v = &tags, .n = 1, .set = true};
	in.user_data = S("aGVsbG8=");
	return in;
}

static struct str spot_image_of(struct str id)
{
	return instance(id)->image_id;
}

static void it_comes_back(void **state)
{
	(void)state;
	struct ec2_run_instances_request in = persistent();
	struct str first = run(&in), sir = instance(first)->spot_instance_request_id;
	assert_request(sir, "active", "fulfilled");
	assert_str(spot_request(sir)->type, "persistent");
	terminate(first);
	assert_request(sir, "open", "pending-evaluation");
	assert_false(str_set(spot_request(sir)->instance_id));
	pass(6000);
	assert_request(sir, "active", "fulfilled");
	struct str second = spot_request(sir)->instance_id;
	assert_false(str_eq(first, second));
	assert_str(instance(second)->instance_lifecycle, "spot");
	assert_true(str_eq(instance(second)->spot_instance_request_id, sir));
	assert_true(str_eq(spot_image_of(second), spot_image_of(first)));
	assert_str(instance(second)->tags.v[0].key, "k");
	starts(second);
	/* The user stops and starts it; the request takes part. */
	struct ec2_stop_instances_request stop = {.instance_ids = one(&second)};
	ask("StopInstances", &stop, "");
	settle();
	end(second, MACHINE_STOPPED);
	assert_request(sir, "disabled", "instance-stopped-by-user");
	pass(HOUR_MS);
	assert_request(sir, "disabled", "instance-stopped-by-user");
	struct ec2_start_instances_request start = {.instance_ids = one(&second)};
	ask("StartInstances", &start, "");
	settle();
	assert_request(sir, "active", "fulfilled");
	starts(second);
	ask("StopInstances", &stop, "");
	settle();
	end(second, MACHINE_STOPPED);
	cancel(sir, "cancelled");
	ask("StartInstances", &start, "IncorrectSpotRequestState");
	struct ec2_terminate_instances_request gone = {.instance_ids = one(&second)};
	ask("TerminateInstances", &gone, "");
	settle();
	assert_state(second, "terminated");
	assert_request(sir, "cancelled", "instance-terminated-by-user");
	pass(HOUR_MS);
	assert_request(sir, "cancelled", "instance-terminated-by-user");
	cancel(sir, "cancelled");
	/* it is listed for two days */
	pass(46 * HOUR_MS);
	assert_request(sir, "cancelled", "instance-terminated-by-user");
	pass(2 * HOUR_MS);
	struct ec2_describe_spot_instance_requests_request in_vain = {.spot_instance_request_ids = one(&sir)};
	ask("DescribeSpotInstanceRequests", &in_vain, "InvalidSpotInstanceRequestID.NotFound");
}

/* It is not tried every few seconds for ever. */
static void what_cannot_be_made_waits_longer_and_longer(void **state)
{
	(void)state;
	struct ec2_run_instances_request in = persistent();
	struct str id = run(&in), sir = instance(id)->spot_instance_request_id;
	terminate(id);
	pass(6000);
	id = spot_request(sir)->instance_id;
	static const int waits_s[] = {30, 60, 120, 240};
	for (size_t i = 0; i < sizeof(waits_s) / sizeof(*waits_s); i++) {
		give_tap(id);
		assert_non_null(machine_of(id));
		end(id, MACHINE_NOT_STARTED);
		assert_state(id, "terminated");
		assert_request(sir, "open", "system-error");
		pass(waits_s[i] * 1000 - 3000);
		assert_request(sir, "open", "system-error");
		pass(5000);
		assert_request(sir, "active", "fulfilled");
		id = spot_request(sir)->instance_id;
	}
	/* one that runs and is ended by its user counts for no failure */
	starts(id);
	terminate(id);
	pass(6000);
	assert_request(sir, "active", "fulfilled");
}

/* What is taken back is given again when there is room, over a restart of the cloud too; until its time is over. */
static void interruptions(void **state)
{
	(void)state;
	struct ec2_run_instances_request in = persistent();
	options.valid_until = OPT_TIME(clock_wall_ms() + DAY_MS);
	struct str first = run(&in), sir = instance(first)->spot_instance_request_id;
	const struct instance_type *type = instance_type_find(S("t3.micro"));
	uint64_t memory;
	unsigned vcpus;
	capacity_of_host(&memory, &vcpus);
	/* Somebody fills the machine. */
	struct desk_item *crowd = desk_item(desk(), first);
	unsigned had = crowd->vcpus;
	struct ec2_run_instances_request other = request(in.image_id);
	other.min_count = other.max_count = OPT_INT(capacity_fit((int64_t)memory, vcpus, type));
	struct ec2_run_instances_request too_many = other;
	too_many.min_count = too_many.max_count = OPT_INT(other.max_count.v + 1);
	ask("RunInstances", &too_many, "InsufficientInstanceCapacity");
	assert_int_equal(had, 2);
	const struct ec2_reservation *r = ask("RunInstances", &other, "");
	struct str_list ids = {.set = true};
	for (uint32_t k = 0; k < r->instances.n; k++)
		*LIST_ADD(&w.arena, &ids) = arena_dup(&w.arena, r->instances.v[k].instance_id);
	assert_request(sir, "active", "marked-for-termination");
	pass(2 * MINUTE_MS);
	assert_state(first, "shutting-down");
	assert_true(machine_of(first)->asked_at_once);
	end(first, MACHINE_STOPPED);
	assert_str(instance(first)->state_reason->code, "Server.SpotInstanceTermination");
	assert_request(sir, "open", "instance-terminated-no-capacity");
	pass(6000);
	assert_request(sir, "open", "capacity-not-available");
	close_cloud();
	open_cloud();
	settle();
	pass(HOUR_MS);
	assert_request(sir, "open", "capacity-not-available");
	struct ec2_terminate_instances_request gone = {.instance_ids = ids};
	ask("TerminateInstances", &gone, "");
	settle();
	pass(31000);
	assert_request(sir, "active", "fulfilled");
	struct str second = spot_request(sir)->instance_id;
	starts(second);
	pass(DAY_MS);
	assert_state(second, "running");
	terminate(second);
	assert_request(sir, "closed", "instance-terminated-by-user");
	cancel(sir, "completed");
}

static void times_and_prices(void **state)
{
	(void)state;
	struct str image = new_image();
	struct ec2_request_spot_launch_specification spec = {.image_id = image, .instance_type = S("t3.micro")};
	struct ec2_request_spot_instances_request in = {.launch_specification = &spec,
	                                                .valid_from = OPT_TIME(clock_wall_ms() + 2 * HOUR_MS),
	                                                .valid_until = OPT_TIME(clock_wall_ms() + HOUR_MS)};
	ask("RequestSpotInstances", &in, "InvalidParameterValue");
	in.valid_until = OPT_TIME(clock_wall_ms() + 3 * HOUR_MS);
	in.instance_interruption_behavior = S("stop");
	ask("RequestSpotInstances", &in, "InvalidParameterCombination");
	in.type = S("persistent");
	ask("RequestSpotInstances", &in, "UnsupportedOperation");
	in.type = in.instance_interruption_behavior = STR_NONE;
	const struct ec2_request_spot_instances_result *made = ask("RequestSpotInstances", &in, "");
	struct str later = made->spot_instance_requests.v[0].spot_instance_request_id;
	assert_request(later, "open", "not-scheduled-yet");
	in.valid_from = (struct opt_time){0};
	in.spot_price = S("0.0001");
	made = ask("RequestSpotInstances", &in, "");
	struct str poor = made->spot_instance_requests.v[0].spot_instance_request_id;
	assert_request(poor, "open", "price-too-low");
	pass(HOUR_MS);
	assert_request(later, "open", "not-scheduled-yet");
	pass(HOUR_MS);
	assert_request(later, "active", "fulfilled");
	struct str id = spot_request(later)->instance_id;
	starts(id);
	assert_request(poor, "open", "price-too-low");
	pass(HOUR_MS);
	assert_request(poor, "closed", "schedule-expired");
	cancel(poor, "completed");
	/* A one-time instance that breaks is not there to be started again. */
	end(id, MACHINE_CRASHED);
	assert_state(id, "terminated");
	assert_str(spot_request(later)->state, "closed");
	/* What cannot be launched when its time comes. */
	in.spot_price = STR_NONE;
	in.valid_from = OPT_TIME(clock_wall_ms() + HOUR_MS);
	in.valid_until = (struct opt_time){0};
	made = ask("RequestSpotInstances", &in, "");
	struct str broken = made->spot_instance_requests.v[0].spot_instance_request_id;
	assert_int_equal(made->spot_instance_requests.v[0].valid_until.ms, clock_wall_ms() + 7 * DAY_MS);
	struct ec2_deregister_image_request without = {.image_id = image};
	ask("DeregisterImage", &without, "");
	pass(HOUR_MS);
	assert_request(broken, "failed", "bad-parameters");
	assert_true(str_starts(spot_request(broken)->fault->code, S("InvalidAMIID.")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(it_comes_back, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(what_cannot_be_made_waits_longer_and_longer, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(interruptions, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(times_and_prices, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("ec2 spot", tests, NULL, NULL);
}

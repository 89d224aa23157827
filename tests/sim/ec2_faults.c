/* Disks that cannot be made, guests that do not let go of theirs, and images that a guest has to stop for. */
#include "ec2_world.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static const struct ec2_volume *volume(struct str id)
{
	struct ec2_describe_volumes_request in = {.volume_ids = one(&id)};
	const struct ec2_describe_volumes_result *out = ask("DescribeVolumes", &in, "");
	return &out->volumes.v[0];
}

static void a_full_disk(void **state)
{
	(void)state;
	struct ec2_run_instances_request in = request(new_image());
	disk_error = -ENOSPC;
	const struct ec2_reservation *r = ask("RunInstances", &in, "");
	struct str id = r->instances.v[0].instance_id;
	settle();
	assert_null(machine_of(id));
	assert_state(id, "terminated");
	assert_str(instance(id)->state_reason->code, "Client.VolumeLimitExceeded");
	assert_str(instance(id)->state_transition_reason, "Client.VolumeLimitExceeded: Volume limit exceeded");
	assert_int_equal(file_count(), 1); /* the image's layer */
	struct ec2_describe_volumes_request all = {0};
	const struct ec2_describe_volumes_result *volumes = ask("DescribeVolumes", &all, "");
	assert_int_equal(volumes->volumes.n, 0);
	disk_error = -EIO;
	r = ask("RunInstances", &in, "");
	id = r->instances.v[0].instance_id;
	settle();
	assert_state(id, "terminated");
	assert_str(instance(id)->state_reason->code, "Server.InternalError");
	disk_error = 0;
	assert_state(run(&in), "running");
}

/* The file was made and does not come to the disk: the machine on it was prepared, and never runs. */
static void a_disk_that_breaks_late(void **state)
{
	(void)state;
	struct ec2_run_instances_request in = request(new_image());
	disk_is_slow = true;
	const struct ec2_reservation *r = ask("RunInstances", &in, "");
	struct str id = r->instances.v[0].instance_id;
	instances_port(desk(), instance(id)->network_interfaces.v[0].network_interface_id, open("/dev/null", O_RDWR | O_CLOEXEC));
	for (int i = 0; i < 10000 && !machine_of(id); i++)
		loop_turn(w.cloud.loop, 1000);
	struct machine *m = machine_of(id);
	assert_non_null(m);
	disk_error = -ENOSPC;
	disk_is_slow = false;
	settle();
	assert_true(m->held);
	assert_int_equal(m->stops, 1);
	assert_true(m->asked_at_once);
	machine_calls->ended(m->ctx, m, MACHINE_NOT_STARTED, -EIO);
	settle();
	assert_state(id, "terminated");
	assert_str(instance(id)->state_reason->code, "Client.VolumeLimitExceeded");
	assert_int_equal(file_count(), 1);
	disk_error = 0;
}

static struct str attached(struct str id)
{
	struct ec2_create_volume_request make = {.availability_zone = S("us-east-1a"), .size = OPT_INT(1)};
	make.availability_zone = instance(id)->placement->availability_zone;
	struct str v = ((const struct ec2_volume *)ask("CreateVolume", &make, ""))->volume_id;
	settle();
	struct ec2_attach_volume_request attach = {.volume_id = v, .instance_id = id, .device = S("/dev/sdf")};
	ask("AttachVolume", &attach, "");
	settle();
	assert_str(volume(v)->attachments.v[0].state, "attached");
	return v;
}

static void a_guest_that_holds_on(void **state)
{
	(void)state;
	struct ec2_run_instances_request in = request(new_image());
	struct str id = run(&in), v = attached(id);
	struct machine *m = machine_of(id);
	struct ec2_detach_volume_request detach = {.volume_id = v};
	machine_holds_on = true;
	ask("DetachVolume", &detach, "");
	settle();
	assert_str(volume(v)->attachments.v[0].state, "detaching");
	assert_string_equal(m->holds, v.p);
	ask("DetachVolume", &detach, "IncorrectState");
	machine_calls->disk(m->ctx, m, m->holds, -ETIMEDOUT);
	settle();
	assert_str(volume(v)->attachments.v[0].state, "busy");
	assert_int_equal(m->forced, 0);
	/* With force it is a matter of the machine alone; asked for while the guest is still being asked, it comes after that. */
	ask("DetachVolume", &detach, "");
	settle();
	detach.force = OPT_BOOL(true);
	ask("DetachVolume", &detach, "");
	settle();
	assert_int_equal(m->forced, 0);
	machine_calls->disk(m->ctx, m, m->holds, -ETIMEDOUT);
	settle();
	assert_int_equal(m->forced, 1);
	assert_str(volume(v)->state, "available");
	machine_holds_on = false;
	/* The next time it is asked again. */
	struct ec2_attach_volume_request attach = {.volume_id = v, .instance_id = id, .device = S("/dev/sdf")};
	ask("AttachVolume", &attach, "");
	settle();
	detach.force = (struct opt_bool){0};
	ask("DetachVolume", &detach, "");
	settle();
	assert_int_equal(m->forced, 1);
	assert_str(volume(v)->state, "available");
}

static struct str image_of(struct str id, const char *name, bool no_reboot)
{
	struct ec2_create_image_request in = {.instance_id = id, .name = str_from(name), .no_reboot = OPT_BOOL(no_reboot)};
	struct str image = ((const struct ec2_create_image_result *)ask("CreateImage", &in, ""))->image_id;
	settle();
	return image;
}

static void assert_image(struct str id, const char *state)
{
	struct ec2_describe_images_request in = {.image_ids = one(&id)};
	const struct ec2_describe_images_result *out = ask("DescribeImages", &in, "");
	assert_str(out->images.v[0].state, state);
}

static void images_of_what_stands_still(void **state)
{
	(void)state;
	struct ec2_run_instances_request in = request(new_image());
	struct str id = run(&in);
	attached(id);
	struct machine *m = machine_of(id);
	struct str image = image_of(id, "one", true);
	assert_image(image, "available");
	assert_int_equal(m->downs, 0);
	assert_int_equal(m->snapshots, 2);
	image = image_of(id, "two", false);
	assert_image(image, "pending");
	assert_int_equal(m->downs, 1);
	assert_int_equal(m->snapshots, 2);
	assert_state(id, "running");
	machine_calls->down(m->ctx, m, 0);
	m->is_down = true;
	settle();
	assert_image(image, "available");
	assert_int_equal(m->snapshots, 4);
	assert_int_equal(m->ups, 1);
	assert_int_equal(m->downs, 1);
	assert_int_equal(m->resets, 0);
	/* The cloud ends while the guest is down: the next one finds it so and goes on. */
	image = image_of(id, "three", false);
	m->is_down = true;
	close_cloud();
	open_cloud();
	settle();
	assert_image(image, "available");
	assert_int_equal(m->ups, 2);
	assert_int_equal(m->downs, 2);
	/* It is stopped before it was down: what there is then is imaged. */
	image = image_of(id, "four", false);
	struct ec2_stop_instances_request stop = {.instance_ids = one(&id)};
	ask("StopInstances", &stop, "");
	settle();
	assert_image(image, "pending");
	end(id, MACHINE_STOPPED);
	assert_image(image, "available");
	assert_state(id, "stopped");
}

/* What one call takes is not promised to the next, however close they come, and is free again when it was not taken. */
static void room_is_given_once(void **state)
{
	(void)state;
	enum { CALLS = 6 };
	struct str image = new_image(), zones[] = {S("us-east-1a"), S("us-east-1b"), S("us-east-1c")};
	const struct instance_type *type = instance_type_find(S("t3.micro"));
	uint64_t memory;
	unsigned vcpus;
	capacity_of_host(&memory, &vcpus);
	int64_t fits = capacity_fit((int64_t)memory, vcpus, type), each = fits / 3 + 1;
	struct ec2_run_instances_request in[CALLS];
	struct ec2_placement places[CALLS] = {0};
	const void *all[CALLS];
	char codes[CALLS][128];
	for (int i = 0; i < CALLS; i++) {
		in[i] = request(image);
		places[i].availability_zone = zones[i % 3];
		in[i].placement = &places[i];
		in[i].min_count = in[i].max_count = OPT_INT(each);
		all[i] = &in[i];
	}
	/* What fails holds nothing. */
	struct ec2_run_instances_request bad = in[0];
	bad.min_count = bad.max_count = OPT_INT(fits);
	bad.key_name = S("no-such-key");
	ask("RunInstances", &bad, "InvalidKeyPair.NotFound");
	ask_at_once("RunInstances", all, CALLS, codes);
	int made = 0;
	for (int i = 0; i < CALLS; i++) {
		if (!codes[i][0])
			made++;
		else
			assert_string_equal(codes[i], "InsufficientInstanceCapacity");
	}
	assert_int_equal(made, 2);
	settle();
	uint64_t used;
	unsigned used_vcpus;
	instances_usage(desk(), &used, &used_vcpus);
	assert_int_equal(used_vcpus, 2 * each * type->vcpus);
	/* The rest can still be had, to the last place. */
	in[0].min_count = in[0].max_count = OPT_INT(fits - 2 * each + 1);
	ask("RunInstances", &in[0], "InsufficientInstanceCapacity");
	in[0].min_count = in[0].max_count = OPT_INT(fits - 2 * each);
	ask("RunInstances", &in[0], "");
	in[0].min_count = in[0].max_count = OPT_INT(1);
	ask("RunInstances", &in[0], "InsufficientInstanceCapacity");
}

/* Reservations and starts take their places in the same way. */
static void places_are_kept_once(void **state)
{
	(void)state;
	enum { CALLS = 3 };
	struct ec2_run_instances_request launch = request(new_image());
	struct str stopped = run(&launch);
	struct ec2_stop_instances_request stop = {.instance_ids = one(&stopped)};
	ask("StopInstances", &stop, "");
	settle();
	end(stopped, MACHINE_STOPPED);
	const struct instance_type *type = instance_type_find(S("t3.micro"));
	uint64_t memory;
	unsigned vcpus;
	capacity_of_host(&memory, &vcpus);
	int64_t fits = capacity_fit((int64_t)memory, vcpus, type);
	struct ec2_create_capacity_reservation_request in = {.instance_type = S("t3.micro"),
	                                                     .instance_platform = S("Linux/UNIX"),
	                                                     .availability_zone = S("us-east-1a"),
	                                                     .instance_match_criteria = S("targeted"),
	                                                     .instance_count = OPT_INT(fits)};
	const void *all[CALLS] = {&in, &in, &in};
	char codes[CALLS][128];
	ask_at_once("CreateCapacityReservation", all, CALLS, codes);
	int made = 0;
	for (int i = 0; i < CALLS; i++)
		made += !codes[i][0];
	assert_int_equal(made, 1);
	struct ec2_start_instances_request start = {.instance_ids = one(&stopped)};
	ask("StartInstances", &start, "InsufficientInstanceCapacity");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(a_full_disk, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(a_disk_that_breaks_late, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(a_guest_that_holds_on, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(images_of_what_stands_still, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(room_is_given_once, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(places_are_kept_once, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("ec2 faults", tests, NULL, NULL);
}

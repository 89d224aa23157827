/* Instances over hours without a machine: their lives, ends and disks, and what they are told of themselves. */
#include "ec2_world.h"

#include "aws/ec2/metadata/metadata_find.h"
#include "base/clock.h"
#include "base/json.h"
#include "gen/iam.h"
#include "http/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- tests */

static void a_life(void **state)
{
	(void)state;
	struct str image = new_image();
	struct ec2_run_instances_request in = request(image);
	struct str id = run(&in);
	struct machine *m = machine_of(id);
	assert_int_equal(m->vcpus, 2);
	assert_int_equal(m->memory_mb, 1024);
	assert_int_equal(m->cpu_percent, 200); /* unlimited credits */
	assert_int_equal(m->disks, 1);
	const struct ec2_instance *i = instance(id);
	assert_true(str_starts(i->private_ip_address, S("172.31.")));
	assert_int_equal(i->block_device_mappings.n, 1);
	assert_true(i->block_device_mappings.v[0].ebs->delete_on_termination.v);

	struct ec2_reboot_instances_request reboot = {.instance_ids = one(&id)};
	ask("RebootInstances", &reboot, "");
	settle();
	assert_int_equal(m->resets, 1);
	assert_state(id, "running");

	struct ec2_stop_instances_request stop = {.instance_ids = one(&id)};
	ask("StopInstances", &stop, "");
	settle();
	assert_int_equal(m->stops, 1);
	assert_false(m->asked_at_once);
	assert_state(id, "stopping");
	ask("RebootInstances", &reboot, "IncorrectInstanceState");
	end(id, MACHINE_STOPPED);
	assert_state(id, "stopped");
	assert_str(instance(id)->state_reason->code, "Client.UserInitiatedShutdown");
	assert_true(str_starts(instance(id)->state_transition_reason, S("User initiated (2026-01-01 ")));
	assert_false(str_set(instance(id)->public_ip_address));
	struct ec2_get_console_output_request console = {.instance_id = id};
	const struct ec2_get_console_output_result *said = ask("GetConsoleOutput", &console, "");
	assert_str(said->output, "bG9naW46IA==");

	struct ec2_start_instances_request start = {.instance_ids = one(&id)};
	ask("StartInstances", &start, "");
	settle();
	assert_state(id, "pending");
	give_tap(id);
	m = machine_of(id);
	machine_calls->started(m->ctx, m);
	settle();
	assert_state(id, "running");

	struct ec2_terminate_instances_request terminate = {.instance_ids = one(&id)};
	ask("TerminateInstances", &terminate, "");
	settle();
	assert_state(id, "shutting-down");
	end(id, MACHINE_STOPPED);
	assert_state(id, "terminated");
	assert_int_equal(instance(id)->network_interfaces.n, 0);
	assert_int_equal(file_count(), 1); /* the image's layer */
	ask("TerminateInstances", &terminate, "");
	ask("StartInstances", &start, "IncorrectInstanceState");
	pass(59 * 60 * 1000);
	assert_state(id, "terminated");
	pass(2 * 60 * 1000);
	pass(1000);
	struct ec2_describe_instances_request gone = {.instance_ids = one(&id)};
	ask("DescribeInstances", &gone, "InvalidInstanceID.NotFound");
}

/* A machine is prepared while its new volume comes to the disk, and does not run before. */
static void a_slow_disk(void **state)
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
	for (int i = 0; i < 50; i++)
		loop_turn(w.cloud.loop, 1000);
	assert_true(m->held);
	disk_is_slow = false;
	settle();
	assert_false(m->held);
	machine_calls->started(m->ctx, m);
	settle();
	assert_state(id, "running");
}

static void ends_that_nobody_asked_for(void **state)
{
	(void)state;
	struct str image = new_image();
	struct ec2_run_instances_request in = request(image);
	struct str crashed = run(&in);
	end(crashed, MACHINE_CRASHED);
	assert_state(crashed, "stopped");
	assert_str(instance(crashed)->state_reason->code, "Server.InternalError");
	struct str off = run(&in);
	end(off, MACHINE_SHUT_DOWN);
	assert_state(off, "stopped");
	assert_str(instance(off)->state_reason->code, "Client.InstanceInitiatedShutdown");
	in.instance_initiated_shutdown_behavior = S("terminate");
	struct str leaves = run(&in);
	end(leaves, MACHINE_SHUT_DOWN);
	assert_state(leaves, "terminated");
	/* One that never ran. */
	const struct ec2_reservation *r = ask("RunInstances", &in, "");
	struct str never = r->instances.v[0].instance_id;
	settle();
	give_tap(never);
	end(never, MACHINE_NOT_STARTED);
	assert_state(never, "terminated");
	assert_str(instance(never)->state_reason->code, "Server.InternalError");
	struct str ids[] = {crashed, off};
	struct ec2_terminate_instances_request terminate = {.instance_ids = {.v = ids, .n = 2, .set = true}};
	ask("TerminateInstances", &terminate, "");
	settle();
	assert_state(crashed, "terminated");
	assert_int_equal(file_count(), 1); /* the image's layer */
}

static void restarts(void **state)
{
	(void)state;
	struct str image = new_image();
	struct ec2_run_instances_request in = request(image);
	struct str kept = run(&in), lost = run(&in);
	unsigned starts = machine_starts;
	machine_of(lost)->there = false; /* the whole machine was off */
	close_cloud();
	open_cloud();
	settle();
	assert_non_null(machine_of(kept));
	assert_state(kept, "running");
	assert_int_equal(machine_starts, starts);
	assert_state(lost, "running");
	give_tap(lost);
	assert_int_equal(machine_starts, starts + 1);
	struct machine *m = machine_of(lost);
	machine_calls->started(m->ctx, m);
	struct str ids[] = {kept, lost};
	struct ec2_terminate_instances_request terminate = {.instance_ids = {.v = ids, .n = 2, .set = true},
	                                                    .force = OPT_BOOL(true)};
	ask("TerminateInstances", &terminate, "");
	settle();
	assert_true(machine_of(kept)->asked_at_once);
	end(kept, MACHINE_STOPPED);
	end(lost, MACHINE_STOPPED);
	assert_state(kept, "terminated");
	assert_state(lost, "terminated");
}

static const struct ec2_volume *volume(struct str id)
{
	struct ec2_describe_volumes_request in = {.volume_ids = one(&id)};
	const struct ec2_describe_volumes_result *out = ask("DescribeVolumes", &in, "");
	return &out->volumes.v[0];
}

static void disks(void **state)
{
	(void)state;
	struct str image = new_image();
	unsigned before = file_count();
	struct ec2_run_instances_request in = request(image);
	struct str id = run(&in);
	struct machine *m = machine_of(id);
	struct str zone = instance(id)->placement->availability_zone;
	struct ec2_create_volume_request create = {.availability_zone = zone, .size = OPT_INT(1)};
	struct str data = ((const struct ec2_volume *)ask("CreateVolume", &create, ""))->volume_id;
	create.availability_zone = str_is(zone, "us-east-1c") ? S("us-east-1a") : S("us-east-1c");
	struct str far = ((const struct ec2_volume *)ask("CreateVolume", &create, ""))->volume_id;
	settle();
	assert_str(volume(data)->state, "available");
	struct ec2_attach_volume_request attach = {.volume_id = far, .instance_id = id, .device = S("/dev/sdf")};
	ask("AttachVolume", &attach, "InvalidVolume.ZoneMismatch");
	attach.volume_id = data;
	attach.device = S("/dev/xvda");
	ask("AttachVolume", &attach, "InvalidParameterValue");
	attach.device = S("sdf");
	ask("AttachVolume", &attach, "InvalidParameterValue");
	attach.device = S("/dev/sdf");
	ask("AttachVolume", &attach, "");
	settle();
	assert_int_equal(m->attached, 1);
	assert_str(volume(data)->attachments.v[0].state, "attached");
	struct ec2_delete_volume_request drop = {.volume_id = data};
	ask("DeleteVolume", &drop, "VolumeInUse");
	struct ec2_modify_volume_request grow = {.volume_id = data, .size = OPT_INT(2), .volume_type = S("gp3")};
	ask("ModifyVolume", &grow, "");
	settle();
	assert_int_equal(volume(data)->size.v, 2);
	assert_int_equal(m->iops, 3000); /* the machine has it, and no bucket as gp2 had */
	assert_int_equal(m->burst, 0);
	assert_int_equal(file_named(arena_dupz(&w.last, data))->size, UINT64_C(2) << 30);
	ask("ModifyVolume", &grow, "VolumeModificationRateExceeded");

	/* An image of the running instance: both volumes are frozen by the machine itself. */
	struct ec2_create_image_request make = {.instance_id = id, .name = S("of an instance"), .no_reboot = OPT_BOOL(true)};
	struct str made = ((const struct ec2_create_image_result *)ask("CreateImage", &make, ""))->image_id;
	struct ec2_describe_images_request look = {.image_ids = one(&made)};
	assert_str(((const struct ec2_describe_images_result *)ask("DescribeImages", &look, ""))->images.v[0].state, "pending");
	ask("CreateImage", &make, "InvalidAMIName.Duplicate");
	settle();
	const struct ec2_describe_images_result *images = ask("DescribeImages", &look, "");
	assert_str(images->images.v[0].state, "available");
	assert_int_equal(images->images.v[0].block_device_mappings.n, 2);
	assert_int_equal(m->snapshots, 2);
	assert_int_equal(m->resets, 0);
	struct str snapshots[2];
	for (int k = 0; k < 2; k++)
		snapshots[k] = images->images.v[0].block_device_mappings.v[k].ebs->snapshot_id;

	struct ec2_detach_volume_request detach = {.volume_id = data};
	ask("DetachVolume", &detach, "");
	settle();
	assert_int_equal(m->detached, 1);
	assert_str(volume(data)->state, "available");
	detach.volume_id = instance(id)->block_device_mappings.v[0].ebs->volume_id;
	ask("DetachVolume", &detach, "OperationNotPermitted");

	/* Layers stay as long as something stands on them, and no longer. */
	struct ec2_delete_snapshot_request forget = {.snapshot_id = snapshots[0]};
	ask("DeleteSnapshot", &forget, "InvalidSnapshot.InUse");
	struct ec2_deregister_image_request leave = {.image_id = made};
	ask("DeregisterImage", &leave, "");
	for (int k = 0; k < 2; k++) {
		forget.snapshot_id = snapshots[k];
		ask("DeleteSnapshot", &forget, "");
	}
	settle();
	assert_non_null(file_named(arena_dupz(&w.last, snapshots[0])));
	struct ec2_terminate_instances_request terminate = {.instance_ids = one(&id)};
	ask("TerminateInstances", &terminate, "");
	settle();
	end(id, MACHINE_STOPPED);
	drop.volume_id = data;
	ask("DeleteVolume", &drop, "");
	drop.volume_id = far;
	ask("DeleteVolume", &drop, "");
	settle();
	assert_int_equal(file_count(), before);
}

/* --- metadata over HTTP */

static struct str metadata_instance;

/* A machine that ends in the middle of a snapshot has perhaps gone over to the volume's new file: freezing is completed before it
 * starts again. */
static void an_end_in_a_snapshot(void **state)
{
	(void)state;
	struct str image = new_image();
	struct ec2_run_instances_request in = request(image);
	struct str id = run(&in);
	struct machine *m = machine_of(id);
	struct str root = instance(id)->block_device_mappings.v[0].ebs->volume_id;
	struct ec2_create_snapshot_request snap = {.volume_id = root};
	machine_keeps_silent = true;
	struct str made = ((const struct ec2_snapshot *)ask("CreateSnapshot", &snap, ""))->snapshot_id;
	settle();
	machine_keeps_silent = false;
	assert_int_equal(m->snapshots, 1);
	assert_null(file_named(arena_dupz(&w.last, made)));
	machine_calls->disk(m->ctx, m, arena_dupz(&w.last, root), -ESRCH);
	end(id, MACHINE_CRASHED);
	assert_state(id, "stopped");
	struct ec2_describe_snapshots_request look = {.snapshot_ids = one(&made)};
	assert_str(((const struct ec2_describe_snapshots_result *)ask("DescribeSnapshots", &look, ""))->snapshots.v[0].state,
	           "completed");
	assert_non_null(file_named(arena_dupz(&w.last, made)));
	struct ec2_start_instances_request start = {.instance_ids = one(&id)};
	ask("StartInstances", &start, "");
	settle();
	give_tap(id);
	m = machine_of(id);
	assert_non_null(m);
	machine_calls->started(m->ctx, m);
	settle();
	assert_state(id, "running");
}

static bool find_it(void *ctx, struct arena *a, struct str vpc_id, const struct sockaddr_storage *peer,
                    struct metadata_view *ret_view, struct metadata_options *ret_options)
{
	(void)ctx;
	assert_str(vpc_id, "vpc-1");
	if (((const struct sockaddr_in *)(const void *)peer)->sin_addr.s_addr != htonl(INADDR_LOOPBACK))
		return false;
	struct ec2_scope s = {.arena = a, .account = S("000000000000"), .region = S("us-east-1")};
	s.txn = store_begin(w.cloud.store, a);
	bool there = metadata_of_instance(&s, &w.cloud, metadata_instance, ret_view, ret_options);
	store_abort(s.txn);
	return there;
}

static struct sockaddr_in door;

/* Status and body of one request. */
static unsigned fetch(const char *method, const char *path, const char *headers, struct str *ret_body)
{
	static char reply[64 * 1024];
	size_t n = 0;
	ssize_t got;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&door, sizeof(door)), 0);
	struct str text = arena_printf(&w.last, "%s %s HTTP/1.1\r\nHost: 169.254.169.254\r\nConnection: close\r\n%s\r\n", method,
	                               path, headers);
	assert_int_equal(write(fd, text.p, text.n), text.n);
	for (int i = 0; i < 5000; i++) {
		loop_turn(w.cloud.loop, 200);
		while ((got = recv(fd, reply + n, sizeof(reply) - n, MSG_DONTWAIT)) > 0)
			n += (size_t)got;
		if (got == 0)
			break;
	}
	close(fd);
	struct str all = arena_dup(&w.last, str_of(reply, n));
	ptrdiff_t at = str_find(all, S("\r\n\r\n"));
	assert_true(at > 0);
	*ret_body = str_from_at(all, (size_t)at + 4);
	return (unsigned)atoi(reply + 9);
}

static void count_tokenless(void *ctx, struct str instance_id, bool refused)
{
	unsigned *counts = ctx;
	assert_true(str_eq(instance_id, metadata_instance));
	counts[refused]++;
}

static void metadata(void **state)
{
	(void)state;
	static const char trust[] =
	        "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"ec2.amazonaws.com\"},\"Action\":\"sts:AssumeRole\"}]}";
	struct iam_create_role_request role = {.role_name = S("worker"), .assume_role_policy_document = str_from(trust)};
	ask_api(&iam_api, "CreateRole", &role, "");
	struct iam_create_instance_profile_request profile = {.instance_profile_name = S("p")};
	ask_api(&iam_api, "CreateInstanceProfile", &profile, "");
	struct iam_add_role_to_instance_profile_request both = {.instance_profile_name = S("p"), .role_name = S("worker")};
	ask_api(&iam_api, "AddRoleToInstanceProfile", &both, "");
	struct str image = new_image(), body;
	struct ec2_run_instances_request in = request(image);
	struct ec2_iam_instance_profile_specification with = {.name = S("nobody")};
	struct ec2_instance_metadata_options_request options = {.http_tokens = S("required")};
	in.iam_instance_profile = &with;
	in.metadata_options = &options;
	in.user_data = S("IyEvYmluL3NoCg==");
	ask("RunInstances", &in, "InvalidParameterValue");
	with.name = S("p");
	in.user_data = S("!");
	ask("RunInstances", &in, "InvalidUserData.Malformed");
	in.user_data = S("IyEvYmluL3NoCg==");
	metadata_instance = run(&in);

	unsigned char key[METADATA_KEY_BYTES] = {7};
	int error = 0, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t size = sizeof(door);
	door = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (struct sockaddr *)&door, sizeof(door)) | listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&door, &size), 0);
	struct roles *roles = roles_new(&w.cloud);
	struct identity *identity = identity_open(arena_printf(&w.arena, "%s/ec2", w.dir).p, NULL, &error);
	assert_non_null(identity);
	unsigned tokenless[2] = {0}; /* answered, refused */
	struct metadata_source source = {.find = find_it, .tokenless = count_tokenless, .ctx = tokenless};
	struct metadata_server *server = metadata_server_new(&w.cloud, key, &source, roles, identity);
	metadata_serve(server, S("vpc-1"), false, fd);

	const char *id_path = "/latest/meta-data/instance-id", *ttl = "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n";
	assert_int_equal(fetch("GET", id_path, "", &body), 401);
	assert_int_equal(tokenless[0], 0);
	assert_int_equal(tokenless[1], 1);
	assert_int_equal(fetch("PUT", "/latest/api/token", "", &body), 400);
	assert_int_equal(fetch("PUT", "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 21601\r\n", &body), 400);
	assert_int_equal(fetch("PUT", "/latest/api/token", arena_printf(&w.last, "%sX-Forwarded-For: 1.2.3.4\r\n", ttl).p, &body),
	                 403);
	assert_int_equal(fetch("PUT", "/latest/api/token", ttl, &body), 200);
	const char *token = arena_printf(&w.last, "X-aws-ec2-metadata-token: %.*s\r\n", STR_ARG(body)).p;
	assert_int_equal(fetch("GET", id_path, token, &body), 200);
	assert_true(str_eq(body, metadata_instance));
	assert_int_equal(fetch("POST", id_path, token, &body), 405);
	assert_int_equal(fetch("GET", "/latest/meta-data/nothing", token, &body), 404);
	assert_true(str_find(body, S("404 - Not Found")) > 0);
	assert_int_equal(fetch("GET", "/latest/user-data", token, &body), 200);
	assert_str(body, "#!/bin/sh\n");
	assert_int_equal(fetch("GET", "/latest/meta-data/iam/security-credentials/", token, &body), 200);
	assert_str(body, "worker");
	assert_int_equal(fetch("GET", "/latest/meta-data/iam/security-credentials/worker", token, &body), 200);
	struct json_value *json = json_parse(&w.last, body, NULL);
	assert_str(json_get_str(json, S("Code")), "Success");
	struct str first = json_get_str(json, S("AccessKeyId"));
	struct credential found = {0};
	assert_int_equal(
	        w.cloud.identity.find_key(w.cloud.identity.ctx, first, json_get_str(json, S("Token")), clock_wall_ms(), &found),
	        KEY_GOOD);
	assert_true(str_find(found.principal->arn, ARENA_CAT(&w.last, S(":assumed-role/worker/"), metadata_instance)) > 0);
	principal_unref(found.principal);
	assert_int_equal(fetch("GET", "/latest/dynamic/instance-identity/document", token, &body), 200);
	assert_true(str_eq(json_get_str(json_parse(&w.last, body, NULL), S("instanceId")), metadata_instance));
	assert_int_equal(fetch("GET", "/latest/dynamic/instance-identity/signature", token, &body), 200);
	assert_int_equal(body.n, 349); /* 256 bytes in base64, with ends of lines */
	/* An hour later there are others, and the token has ended. */
	pass(3600 * 1000);
	assert_int_equal(fetch("GET", id_path, token, &body), 401);
	assert_int_equal(fetch("PUT", "/latest/api/token", ttl, &body), 200);
	token = arena_printf(&w.last, "X-aws-ec2-metadata-token: %.*s\r\n", STR_ARG(body)).p;
	assert_int_equal(fetch("GET", "/latest/meta-data/iam/security-credentials/worker", token, &body), 200);
	json = json_parse(&w.last, body, NULL);
	assert_str(json_get_str(json, S("Code")), "Success");
	assert_false(str_eq(json_get_str(json, S("AccessKeyId")), first));

	metadata_server_free(server);
	identity_close(identity);
	roles_free(roles);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(a_life, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(a_slow_disk, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(ends_that_nobody_asked_for, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(restarts, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(disks, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(an_end_in_a_snapshot, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(metadata, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("ec2 machines", tests, NULL, NULL);
}

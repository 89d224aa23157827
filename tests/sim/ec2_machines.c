/* Instances over hours without a machine: EC2's operations and what makes them real, over machines, disks and files that are a few
 * lines here and keep a list of what was asked of them. */
#include "unit.h"

#include "aws/ec2/metadata_find.h"
#include "aws/iam/iam.h"
#include "base/clock.h"
#include "base/json.h"
#include "core/gate.h"
#include "engine/vm/machine.h"
#include "engine/volume/volume.h"
#include "gen/iam.h"
#include "http/http.h"
#include "store/blob.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- files of volumes: a list of names and what each stands on */

enum { FILES_MAX = 64 };
static struct file {
	char name[VOLUME_NAME_MAX], under[VOLUME_NAME_MAX];
	uint64_t size;
} files[FILES_MAX];
static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;

static struct file *file_named(const char *name)
{
	for (int i = 0; i < FILES_MAX; i++)
		if (strcmp(files[i].name, name) == 0)
			return &files[i];
	return NULL;
}

static unsigned file_count(void)
{
	unsigned n = 0;
	for (int i = 0; i < FILES_MAX; i++)
		n += files[i].name[0] != '\0';
	return n;
}

static int make_file(const char *name, uint64_t size, const char *under)
{
	struct file *f = file_named("");
	if (file_named(name))
		return -EEXIST;
	if (!f || (under && !file_named(under)))
		return -ENOENT;
	snprintf(f->name, sizeof(f->name), "%s", name);
	snprintf(f->under, sizeof(f->under), "%s", under ? under : "");
	f->size = size;
	return 0;
}

static int freeze_file(const char *name, const char *layer)
{
	struct file *f = file_named(name);
	if (!f)
		return -ENOENT;
	uint64_t size = f->size;
	snprintf(f->name, sizeof(f->name), "%s", layer);
	return make_file(name, size, layer);
}

#define LOCKED(call) \
	pthread_mutex_lock(&files_lock); \
	int e = call; \
	pthread_mutex_unlock(&files_lock); \
	return e

int volume_create(int dir, const char *name, uint64_t size, const char *layer)
{
	(void)dir;
	LOCKED(make_file(name, size, layer));
}

static atomic_bool disk_is_slow;

int volume_settle(int dir, const char *name)
{
	(void)dir;
	while (disk_is_slow)
		usleep(1000);
	LOCKED(file_named(name) ? 0 : -ENOENT);
}

int volume_freeze(int dir, const char *name, const char *layer)
{
	(void)dir;
	LOCKED(freeze_file(name, layer));
}

static int delete_file(const char *name)
{
	struct file *f = file_named(name);
	for (int i = 0; i < FILES_MAX && f; i++)
		if (files[i].name[0] && strcmp(files[i].under, name) == 0)
			return -EBUSY; /* the records should have known */
	if (f)
		memset(f, 0, sizeof(*f));
	return 0;
}

int volume_delete(int dir, const char *name)
{
	(void)dir;
	LOCKED(delete_file(name));
}

static int resize_file(const char *name, uint64_t size)
{
	struct file *f = file_named(name);
	if (!f)
		return -ENOENT;
	f->size = size;
	return 0;
}

int volume_resize(int dir, const char *name, uint64_t size)
{
	(void)dir;
	LOCKED(resize_file(name, size));
}

int volume_stat(int dir, const char *name, uint64_t *ret_size, uint64_t *ret_disk_bytes)
{
	(void)dir;
	(void)name;
	(void)ret_size;
	(void)ret_disk_bytes;
	return -ENOENT;
}

int volume_import(int dir, const char *layer, int src_fd, uint64_t *ret_size)
{
	(void)dir;
	(void)layer;
	(void)src_fd;
	(void)ret_size;
	return -ENOSPC; /* tests make an image of their own */
}

/* --- machines */

struct machine {
	char id[MACHINE_ID_MAX];
	void *ctx;
	unsigned disks, resets, snapshots, attached, detached, stops, vcpus, memory_mb, cpu_percent;
	bool there, known, asked_at_once, held;
};
static struct machine machine_list[8];
static const struct machine_events *machine_calls;
static unsigned machine_starts;
static bool machine_keeps_silent; /* about snapshots */

struct machines *machines_new(struct loop *l, struct work *work, struct cells *cells, const char *data_dir,
                              const struct machine_events *events, machine_found_fn *found, void *ctx)
{
	(void)l;
	(void)work;
	(void)cells;
	(void)data_dir;
	machine_calls = events;
	for (int i = 0; i < 8; i++) {
		struct machine *m = &machine_list[i];
		if (!m->there)
			continue;
		m->ctx = found(ctx, m, m->id);
		m->known = m->ctx != NULL;
		m->there = m->known;
	}
	return (struct machines *)machine_list;
}

int machines_volumes_dir(const struct machines *s)
{
	(void)s;
	return -1;
}

const struct machines_facts *machines_facts(const struct machines *s)
{
	static const struct machines_facts facts = {.known = true, .works = true};
	(void)s;
	return &facts;
}

void machines_free(struct machines *s)
{
	(void)s;
	for (int i = 0; i < 8; i++)
		machine_list[i].known = false;
}

struct machine *machine_start(struct machines *s, const struct machine_spec *spec, void *ctx)
{
	(void)s;
	struct machine *m = machine_list;
	while (m->there)
		m++;
	*m = (struct machine){.ctx = ctx,
	                      .there = true,
	                      .held = spec->hold,
	                      .known = true,
	                      .disks = (unsigned)spec->disk_count,
	                      .vcpus = spec->vcpus,
	                      .memory_mb = spec->memory_mb,
	                      .cpu_percent = spec->cpu_percent};
	snprintf(m->id, sizeof(m->id), "%s", spec->id);
	for (size_t i = 0; i < spec->disk_count; i++)
		if (!file_named(spec->disks[i].volume))
			fail_msg("a machine was started without its volume %s", spec->disks[i].volume);
	machine_starts++;
	return m;
}

void machine_release(struct machine *m)
{
	m->held = false;
}

void machine_give_ports(struct machine *m, const struct machine_port *ports, size_t n)
{
	(void)ports;
	fail_msg("%s is a virtual machine and has its %zu ports already", m->id, n);
}

void machine_stop(struct machine *m, int64_t grace_us)
{
	m->stops++;
	m->asked_at_once = grace_us == 0;
}

void machine_reset(struct machine *m)
{
	m->resets++;
}

void machine_free(struct machine *m)
{
	m->there = m->known = false;
}

int machine_attach(struct machine *m, const struct machine_disk *d)
{
	m->attached++;
	machine_calls->disk(m->ctx, m, d->volume, 0);
	return 0;
}

int machine_detach(struct machine *m, const char *volume)
{
	m->detached++;
	machine_calls->disk(m->ctx, m, volume, 0);
	return 0;
}

int machine_snapshot(struct machine *m, const char *volume, const char *layer)
{
	m->snapshots++;
	if (machine_keeps_silent)
		return 0;
	int e = freeze_file(volume, layer);
	machine_calls->disk(m->ctx, m, volume, e);
	return 0;
}

int machine_resize(struct machine *m, const char *volume, uint64_t size)
{
	machine_calls->disk(m->ctx, m, volume, resize_file(volume, size));
	return 0;
}

struct str machine_console(struct machine *m)
{
	(void)m;
	return S("login: ");
}

/* --- a cloud of EC2 and what it needs */

static int service_start(struct cloud *cloud, void **ret_state)
{
	struct ec2_state *s = calloc(1, sizeof(*s));
	s->cloud = cloud;
	*ret_state = s;
	return compute_start(s);
}

static void service_stop(void *state)
{
	compute_stop(state);
	free(state);
}

#define ROW(c_name, name) OP(ec2, c_name, name)
static const struct service_op ops[] = {
        ROW(attach_volume, AttachVolume),
        ROW(copy_image, CopyImage),
        ROW(copy_snapshot, CopySnapshot),
        ROW(create_image, CreateImage),
        ROW(create_snapshot, CreateSnapshot),
        ROW(create_volume, CreateVolume),
        ROW(delete_snapshot, DeleteSnapshot),
        ROW(delete_volume, DeleteVolume),
        ROW(deregister_image, DeregisterImage),
        ROW(describe_images, DescribeImages),
        ROW(describe_instance_status, DescribeInstanceStatus),
        ROW(describe_instances, DescribeInstances),
        ROW(describe_snapshots, DescribeSnapshots),
        ROW(describe_volumes, DescribeVolumes),
        ROW(detach_volume, DetachVolume),
        ROW(get_console_output, GetConsoleOutput),
        ROW(modify_image_attribute, ModifyImageAttribute),
        ROW(modify_volume, ModifyVolume),
        ROW(reboot_instances, RebootInstances),
        ROW(register_image, RegisterImage),
        ROW(run_instances, RunInstances),
        ROW(start_instances, StartInstances),
        ROW(stop_instances, StopInstances),
        ROW(terminate_instances, TerminateInstances),
};
const struct service ec2_service = {.api = &ec2_api,
                                    .iam_prefix = "ec2",
                                    .ops = ops,
                                    .op_count = sizeof(ops) / sizeof(*ops),
                                    .around = ec2_run,
                                    .start = service_start,
                                    .stop = service_stop};
extern const struct service iam_service, sts_service;
const struct service *const cloud_services[] = {&ec2_service, &iam_service, &sts_service, NULL};

struct ec2_state *ec2_state(const struct call *c)
{
	return cloud_state(c->cloud, &ec2_service);
}

static struct {
	struct cloud cloud;
	struct arena arena, last;
	const struct principal *root;
	char dir[64], code[128];
	int64_t wall_ms, mono_us;
} w;

static void on_request(void *ctx, struct http_request *r)
{
	(void)ctx;
	if (!listener_take(r))
		fail_msg("a request from outside");
}

static void open_cloud(void)
{
	struct cloud *c = &w.cloud;
	char why[200];
	*c = (struct cloud){.data_dir = w.dir, .ephemeral = true, .endpoint = "http://127.0.0.1:1"};
	c->loop = loop_new();
	c->work = work_new(c->loop, 2);
	assert_int_equal(store_open(&c->store, c->loop,
	                            &(struct store_config){.path = arena_printf(&w.arena, "%s/state", w.dir).p, .ephemeral = true},
	                            why),
	                 0);
	assert_int_equal(blobs_open(&c->blobs, arena_printf(&w.arena, "%s/blobs", w.dir).p, true), 0);
	iam_open(c, &(struct iam_config){.well_known = true});
	c->gate = gate_new(c, &(struct gate_config){.well_known_keys = true});
	c->http = http_server_new(c->loop, NULL, on_request, &w);
	c->service_state = calloc(4, sizeof(void *));
	for (unsigned i = 0; cloud_services[i]; i++)
		if (cloud_services[i]->start)
			assert_int_equal(cloud_services[i]->start(c, &c->service_state[i]), 0);
}

static void close_cloud(void)
{
	struct cloud *c = &w.cloud;
	for (unsigned i = 0; cloud_services[i]; i++)
		if (cloud_services[i]->stop)
			cloud_services[i]->stop(c->service_state[i]);
	free(c->service_state);
	iam_close(c);
	http_server_free(c->http);
	gate_free(c->gate);
	work_free(c->work);
	blobs_close(c->blobs);
	store_close(c->store);
	loop_free(c->loop);
}

static void settle(void)
{
	for (int i = 0; i < 200; i++) {
		loop_turn(w.cloud.loop, 500);
		while (work_pending(w.cloud.work))
			loop_turn(w.cloud.loop, 1000);
	}
}

static void pass(int64_t ms)
{
	w.wall_ms += ms;
	w.mono_us += ms * 1000;
	clock_fake(w.wall_ms, w.mono_us);
	settle();
}

struct waiting {
	bool done;
	const void *out;
};

static void op_done(void *ctx, struct call *sub)
{
	struct waiting *o = ctx;
	snprintf(w.code, sizeof(w.code), "%.*s", STR_ARG(str_set(sub->error.code) ? sub->error.code : S("")));
	if (w.code[0])
		print_message("%s: %.*s\n", w.code, STR_ARG(sub->error.message));
	const struct shape *shape = operation_output(sub->service->api, sub->op);
	void *copy = arena_zalloc(&w.last, shape ? shape->size : 1);
	if (shape && !w.code[0])
		model_copy(&w.last, sub->service->api, shape, sub->out, copy);
	o->out = copy;
	o->done = true;
}

static const void *ask_api(const struct api *api, const char *operation, const void *in, const char *code)
{
	struct waiting o = {0};
	call_op(&w.cloud, w.root, S("us-east-1"), api, operation, in, op_done, &o);
	while (!o.done)
		loop_turn(w.cloud.loop, 1000);
	assert_string_equal(w.code, code);
	return o.out;
}

static const void *ask(const char *operation, const void *in, const char *code)
{
	return ask_api(&ec2_api, operation, in, code);
}

/* --- what tests ask */

static struct str_list one(struct str *id)
{
	return (struct str_list){.v = id, .n = 1, .set = true};
}

static const struct ec2_instance *instance(struct str id)
{
	struct ec2_describe_instances_request in = {.instance_ids = one(&id)};
	const struct ec2_describe_instances_result *out = ask("DescribeInstances", &in, "");
	return &out->reservations.v[0].instances.v[0];
}

static void assert_state(struct str id, const char *state)
{
	assert_str(instance(id)->state->name, state);
}

static struct machine *machine_of(struct str id)
{
	for (int i = 0; i < 8; i++)
		if (machine_list[i].there && str_is(id, machine_list[i].id))
			return &machine_list[i];
	return NULL;
}

static struct str new_image(void)
{
	struct ec2_create_volume_request volume = {.availability_zone = S("us-east-1a"), .size = OPT_INT(8)};
	const struct ec2_volume *v = ask("CreateVolume", &volume, "");
	assert_str(v->state, "creating");
	settle();
	struct ec2_create_snapshot_request snapshot = {.volume_id = v->volume_id};
	const struct ec2_snapshot *s = ask("CreateSnapshot", &snapshot, "");
	settle();
	struct ec2_delete_volume_request gone = {.volume_id = v->volume_id};
	ask("DeleteVolume", &gone, "");
	settle();
	assert_int_equal(file_count(), 1);
	struct ec2_ebs_block_device ebs = {.snapshot_id = s->snapshot_id};
	struct ec2_block_device_mapping disk = {.device_name = S("/dev/xvda"), .ebs = &ebs};
	struct ec2_register_image_request image = {.name = arena_printf(&w.last, "image %lld", (long long)w.wall_ms),
	                                           .root_device_name = S("/dev/xvda"),
	                                           .block_device_mappings = {.v = &disk, .n = 1, .set = true}};
	w.wall_ms++;
	const struct ec2_register_image_result *made = ask("RegisterImage", &image, "");
	return made->image_id;
}

static struct ec2_run_instances_request request(struct str image)
{
	return (struct ec2_run_instances_request){
	        .image_id = image, .instance_type = S("t3.micro"), .min_count = OPT_INT(1), .max_count = OPT_INT(1)};
}

static struct desk *desk(void)
{
	return ((struct ec2_state *)cloud_state(&w.cloud, &ec2_service))->desk;
}

static void give_tap(struct str id)
{
	fleet_port(desk(), instance(id)->network_interfaces.v[0].network_interface_id, open("/dev/null", O_RDWR | O_CLOEXEC));
	settle();
}

static struct str run(const struct ec2_run_instances_request *in)
{
	const struct ec2_reservation *r = ask("RunInstances", in, "");
	assert_str(r->instances.v[0].state->name, "pending");
	struct str id = r->instances.v[0].instance_id;
	settle();
	assert_null(machine_of(id)); /* its port is not there yet */
	give_tap(id);
	struct machine *m = machine_of(id);
	assert_non_null(m);
	assert_state(id, "pending");
	assert_false(m->held);
	machine_calls->started(m->ctx, m);
	settle();
	assert_state(id, "running");
	return id;
}

static void end(struct str id, enum machine_end how)
{
	struct machine *m = machine_of(id);
	machine_calls->ended(m->ctx, m, how, 0);
	settle();
}

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
	fleet_port(desk(), instance(id)->network_interfaces.v[0].network_interface_id, open("/dev/null", O_RDWR | O_CLOEXEC));
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
	struct ec2_modify_volume_request grow = {.volume_id = data, .size = OPT_INT(2)};
	ask("ModifyVolume", &grow, "");
	settle();
	assert_int_equal(volume(data)->size.v, 2);
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
	struct identity *identity = identity_open(arena_printf(&w.arena, "%s/ec2", w.dir).p, &error);
	assert_non_null(identity);
	struct metadata_source source = {.find = find_it};
	struct metadata_server *server = metadata_server_new(&w.cloud, key, &source, roles, identity);
	metadata_serve(server, S("vpc-1"), false, fd);

	const char *id_path = "/latest/meta-data/instance-id", *ttl = "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n";
	assert_int_equal(fetch("GET", id_path, "", &body), 401);
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

static int set_up(void **state)
{
	(void)state;
	memset(files, 0, sizeof(files));
	memset(machine_list, 0, sizeof(machine_list));
	memset(&w, 0, sizeof(w));
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
	snprintf(command, sizeof(command), "rm -rf %s", w.dir);
	return system(command);
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

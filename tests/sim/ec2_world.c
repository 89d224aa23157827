#include "ec2_world.h"

#include "turn.h"

#include "aws/ec2/capacity/reservation.h"
#include "aws/ec2/capacity/spot.h"
#include "aws/ec2/instance/event.h"
#include "aws/ec2/instance/event_window.h"
#include "aws/ec2/metadata/metadata_find.h"
#include "aws/ec2/tag.h"
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

enum { FILES_MAX = 1024 };
static struct file files[FILES_MAX];
static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;

struct file *file_named(const char *name)
{
	for (int i = 0; i < FILES_MAX; i++)
		if (strcmp(files[i].name, name) == 0)
			return &files[i];
	return NULL;
}

unsigned file_count(void)
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
	if (disk_error && !disk_is_slow)
		return disk_error;
	LOCKED(make_file(name, size, layer));
}

atomic_bool disk_is_slow;
atomic_int disk_error;

int volume_settle(int dir, const char *name)
{
	(void)dir;
	while (disk_is_slow)
		usleep(1000);
	if (disk_error)
		return disk_error;
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

struct machine machine_list[8];
const struct machine_events *machine_calls;
unsigned machine_starts;
bool machine_keeps_silent, machine_holds_on;

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

void machines_try_kvm(struct machines *s, const char *kernel, const char *initrd)
{
	(void)s;
	(void)kernel;
	(void)initrd;
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

int machine_down(struct machine *m)
{
	m->downs++;
	return 0;
}

void machine_up(struct machine *m)
{
	m->is_down = false;
	m->ups++;
}

bool machine_is_down(const struct machine *m)
{
	return m->is_down;
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

int machine_detach(struct machine *m, const char *volume, bool force)
{
	m->detached++;
	m->forced += force;
	if (machine_holds_on && !force) {
		snprintf(m->holds, sizeof(m->holds), "%s", volume);
		return 0;
	}
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

int machine_resize(struct machine *m, const struct machine_disk *d, uint64_t size)
{
	m->iops = d->iops;
	m->burst = d->burst;
	machine_calls->disk(m->ctx, m, d->volume, resize_file(d->volume, size));
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
        ROW(associate_instance_event_window, AssociateInstanceEventWindow),
        ROW(attach_volume, AttachVolume),
        ROW(cancel_spot_instance_requests, CancelSpotInstanceRequests),
        ROW(copy_image, CopyImage),
        ROW(copy_snapshot, CopySnapshot),
        ROW(create_capacity_reservation, CreateCapacityReservation),
        ROW(create_image, CreateImage),
        ROW(create_instance_event_window, CreateInstanceEventWindow),
        ROW(create_tags, CreateTags),
        ROW(modify_instance_event_window, ModifyInstanceEventWindow),
        ROW(create_snapshot, CreateSnapshot),
        ROW(create_volume, CreateVolume),
        ROW(delete_snapshot, DeleteSnapshot),
        ROW(delete_volume, DeleteVolume),
        ROW(deregister_image, DeregisterImage),
        ROW(describe_images, DescribeImages),
        ROW(describe_instance_status, DescribeInstanceStatus),
        ROW(describe_instances, DescribeInstances),
        ROW(describe_snapshots, DescribeSnapshots),
        ROW(describe_spot_instance_requests, DescribeSpotInstanceRequests),
        ROW(describe_volumes, DescribeVolumes),
        ROW(detach_volume, DetachVolume),
        ROW(get_console_output, GetConsoleOutput),
        ROW(modify_image_attribute, ModifyImageAttribute),
        ROW(modify_instance_event_start_time, ModifyInstanceEventStartTime),
        ROW(modify_volume, ModifyVolume),
        ROW(reboot_instances, RebootInstances),
        ROW(register_image, RegisterImage),
        ROW(request_spot_instances, RequestSpotInstances),
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

struct sim_world w;

static void on_request(void *ctx, struct http_request *r)
{
	(void)ctx;
	if (!listener_take(r))
		fail_msg("a request from outside");
}

void open_cloud(void)
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

void close_cloud(void)
{
	struct cloud *c = &w.cloud;
	/* what was begun comes to its end: a thread's work, a commit */
	for (int i = 0; i < 20; i++)
		cloud_turn(c);
	store_settle(c->store);
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

void settle(void)
{
	for (int i = 0; i < 200; i++) {
		cloud_turn(&w.cloud);
		while (work_pending(w.cloud.work))
			loop_turn(w.cloud.loop, 1000);
	}
}

void pass(int64_t ms)
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

const void *ask_api(const struct api *api, const char *operation, const void *in, const char *code)
{
	struct waiting o = {0};
	call_op(&w.cloud, w.root, S("us-east-1"), api, operation, in, op_done, &o);
	while (!o.done)
		loop_turn(w.cloud.loop, 1000);
	assert_string_equal(w.code, code);
	return o.out;
}

const void *ask(const char *operation, const void *in, const char *code)
{
	return ask_api(&ec2_api, operation, in, code);
}

static void one_done(void *ctx, struct call *sub)
{
	snprintf(ctx, 128, "%.*s", STR_ARG(str_set(sub->error.code) ? sub->error.code : S("")));
}

void ask_at_once(const char *operation, const void *const *in, unsigned n, char (*ret_codes)[128])
{
	unsigned left = n;
	for (unsigned i = 0; i < n; i++)
		strcpy(ret_codes[i], "?");
	for (unsigned i = 0; i < n; i++)
		call_op(&w.cloud, w.root, S("us-east-1"), &ec2_api, operation, in[i], one_done, ret_codes[i]);
	while (left) {
		loop_turn(w.cloud.loop, 1000);
		left = 0;
		for (unsigned i = 0; i < n; i++)
			left += !strcmp(ret_codes[i], "?");
	}
}

/* --- what tests ask */

struct str_list one(struct str *id)
{
	return (struct str_list){.v = id, .n = 1, .set = true};
}

const struct ec2_instance *instance(struct str id)
{
	struct ec2_describe_instances_request in = {.instance_ids = one(&id)};
	const struct ec2_describe_instances_result *out = ask("DescribeInstances", &in, "");
	return &out->reservations.v[0].instances.v[0];
}

void assert_state(struct str id, const char *state)
{
	assert_str(instance(id)->state->name, state);
}

struct machine *machine_of(struct str id)
{
	for (int i = 0; i < 8; i++)
		if (machine_list[i].there && str_is(id, machine_list[i].id))
			return &machine_list[i];
	return NULL;
}

struct str new_image(void)
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

struct ec2_run_instances_request request(struct str image)
{
	return (struct ec2_run_instances_request){
	        .image_id = image, .instance_type = S("t3.micro"), .min_count = OPT_INT(1), .max_count = OPT_INT(1)};
}

struct desk *desk(void)
{
	return ((struct ec2_state *)cloud_state(&w.cloud, &ec2_service))->desk;
}

void give_tap(struct str id)
{
	instances_port(desk(), instance(id)->network_interfaces.v[0].network_interface_id, open("/dev/null", O_RDWR | O_CLOEXEC));
	settle();
}

struct str run(const struct ec2_run_instances_request *in)
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

void end(struct str id, enum machine_end how)
{
	struct machine *m = machine_of(id);
	machine_calls->ended(m->ctx, m, how, 0);
	settle();
}

int set_up(void **state)
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

int tear_down(void **state)
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

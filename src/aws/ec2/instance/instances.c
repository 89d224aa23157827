/* One step of an instance looks at its record's state and at its machine:
 *
 *	pending         no machine: start it once its volumes and ports are there; started() makes it running
 *	running         no machine (the role or the whole machine was started again): start it anew
 *	stopping        press the button, pull the plug after a while; ended() makes it stopped
 *	shutting-down   the same; ended() makes it terminated
 *	terminated      an hour later the record goes
 *
 * Events of machines change records and nothing else; the change brings the next step. */
#include "aws/ec2/instance/instances.h"

#include "aws/ec2/capacity/fleet.h"
#include "aws/ec2/capacity/spot.h"
#include "aws/ec2/instance/credit.h"
#include "aws/ec2/instance/event.h"
#include "aws/ec2/network/interface.h"
#include "aws/ec2/storage/volume_speed.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "engine/vm/machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GRACE_US = 60 * 1000000, TERMINATED_MS = 3600 * 1000, PORTS = MACHINE_PORTS_MAX };

/* --- events */

struct ending {
	struct desk_item *item;
	enum machine_end how;
	int error;
	char *console;
	size_t console_bytes;
};

static void item_ended(void *ctx)
{
	desk_done(ctx);
}

static void edit_started(const struct ec2_scope *s, void *ctx)
{
	struct desk_item *i = ctx;
	struct state_ec2_instance_record r;
	if (!ec2_find(s, &ec2_kind_instance, i->id, &r) || ec2_instance_state(r.instance) != INSTANCE_PENDING)
		return;
	ec2_instance_move(s->arena, &r, INSTANCE_RUNNING, clock_wall_ms(), NULL, NULL);
	r.booted = OPT_BOOL(true);
	ec2_put(s, &ec2_kind_instance, i->id, &r);
}

static void started(void *ctx, struct machine *m)
{
	struct desk_item *i = ctx;
	(void)m;
	i->running = true;
	i->busy++;
	desk_edit(i->desk, i->account, i->region, edit_started, item_ended, i);
}

static void edit_ended(const struct ec2_scope *s, void *ctx)
{
	struct ending *e = ctx;
	struct state_ec2_instance_record r;
	int64_t now = clock_wall_ms();
	if (!ec2_find(s, &ec2_kind_instance, e->item->id, &r))
		return;
	enum instance_state state = ec2_instance_state(r.instance);
	if (e->console_bytes) {
		r.console = arena_dup(s->arena, str_of(e->console, e->console_bytes));
		r.console_time = OPT_TIME(now);
	}
	bool asked = state == INSTANCE_STOPPING || state == INSTANCE_SHUTTING_DOWN;
	/* nothing of it has run: the next step starts it */
	if (e->how == MACHINE_CUT_OFF && !asked)
		return;
	bool itself = !asked && e->how == MACHINE_SHUT_DOWN;
	bool full = e->how == MACHINE_NOT_STARTED && e->error == -ENOSPC;
	const char *reason = asked    ? NULL
	                     : itself ? "Client.InstanceInitiatedShutdown"
	                     : full   ? "Client.VolumeLimitExceeded"
	                              : "Server.InternalError";
	const char *message = itself                          ? "Instance initiated shutdown"
	                      : full                          ? "Volume limit exceeded"
	                      : e->how == MACHINE_NOT_STARTED ? "Internal error on launch"
	                                                      : "The instance ended unexpectedly";
	bool ends = state == INSTANCE_SHUTTING_DOWN || (itself && r.terminate_on_shutdown.v) ||
	            (e->how == MACHINE_NOT_STARTED && !r.booted.v) || (!asked && spot_is_one_time(s, r.instance));
	if (state == INSTANCE_TERMINATED || state == INSTANCE_STOPPED)
		return;
	if (ends)
		ec2_instance_terminated(s, &r, now, reason, message);
	else
		ec2_instance_stopped(s, &r, now, reason, message);
}

static void ending_written(void *ctx)
{
	struct ending *e = ctx;
	desk_done(e->item);
	free(e->console);
	free(e);
}

static void end_record(struct desk_item *i, enum machine_end how, int error, struct str console)
{
	struct ending *e = calloc(1, sizeof(*e));
	if (!e)
		abort();
	*e = (struct ending){.item = i, .how = how, .error = error};
	if (console.n && (e->console = malloc(console.n))) {
		memcpy(e->console, console.p, console.n);
		e->console_bytes = console.n;
	}
	i->busy++;
	desk_edit(i->desk, i->account, i->region, edit_ended, ending_written, e);
}

static void close_taps(struct desk_item *i)
{
	for (int k = 0; k < PORTS; k++)
		instances_drop_tap(&i->taps[k]);
}

/* What was linked went with the machine's namespace, and the record goes on wanting it. */
static void renew_taps(struct desk_item *i)
{
	for (int k = 0; k < PORTS; k++) {
		struct instances_tap t = i->taps[k];
		instances_drop_tap(&i->taps[k]);
		if (t.id[0])
			network_renew_port(i->desk->ec2->networks, t.id);
	}
}

static void ended(void *ctx, struct machine *m, enum machine_end how, int error)
{
	struct desk_item *i = ctx;
	if (how == MACHINE_NOT_STARTED)
		log_warn("ec2: %.*s did not start: %s", STR_ARG(i->id), strerror(-error));
	end_record(i, how, how == MACHINE_NOT_STARTED && i->launch_error ? i->launch_error : error, machine_console(m));
	machine_free(m);
	i->machine = NULL;
	i->running = i->stopping = i->unplugged = i->reached = i->held = i->awaits_ports = i->downing = i->down = false;
	i->launch_error = 0;
	i->ports_found = false;
	if (how == MACHINE_CUT_OFF)
		renew_taps(i);
	else
		close_taps(i);
}

static void disk(void *ctx, struct machine *m, const char *volume, int error)
{
	struct desk_item *i = ctx;
	(void)m;
	storage_machine_did(i->desk, str_from(volume), error);
}

/* What waited to know whether its machine is still there. */
static void wake_all(struct desk *d)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&d->items, &at, &key, &value))
		if (((struct desk_item *)value)->waiting)
			desk_mark(value);
}

static void settled(void *ctx)
{
	wake_all(ctx);
}

/* Snapshots wait for it. One that cannot is imaged as it is. */
static void down(void *ctx, struct machine *m, int error)
{
	struct desk_item *i = ctx;
	(void)m;
	if (error < 0)
		log_warn("ec2: %.*s did not stop for its image: %s", STR_ARG(i->id), strerror(-error));
	i->downing = false;
	i->down = true;
	desk_mark(i);
	wake_all(i->desk);
}

static const struct machine_events events = {
        .started = started, .ended = ended, .settled = settled, .disk = disk, .port = instances_port_answered, .down = down};

static void *found(void *ctx, struct machine *m, const char *id)
{
	struct desk_item *i = desk_item(ctx, str_from(id));
	if (!i || i->machine)
		return NULL;
	i->machine = m;
	i->running = !machine_is_cut_off(m);
	i->ports_found = true;
	i->down = machine_is_down(m);
	desk_mark(i);
	return i;
}

/* --- starting */

struct start {
	struct machine_spec spec;
	struct machine_disk disks[MACHINE_DISKS_MAX];
	struct machine_port ports[PORTS];
};

/* Its disks' files are there and in no job, but for the one that brings a new file to the disk. *ret_made: that is done too. */
static bool volume_ready(struct desk *d, const struct ec2_scope *s, struct str id, const struct state_ec2_volume_record *v,
                         bool *ret_made)
{
	struct desk_item *job = desk_item(d, id);
	*ret_made &= v->made.v;
	return (v->made.v ? !job || !job->busy : job && job->there) && !storage_snapshot_pending(s, id);
}

/* A disk that could not be made is none that anybody waits for. 0, or why the instance cannot start. */
static int broken_disk(struct desk_item *i, const struct ec2_scope *s)
{
	struct ec2_held held = ec2_held(s, &ec2_kind_volume, i->id);
	while (ec2_held_next(&held)) {
		struct state_ec2_volume_record v;
		if (ec2_find(s, &ec2_kind_volume, held.id, &v) && str_is(v.volume->state, "error"))
			return v.full.v ? -ENOSPC : -EIO;
	}
	return 0;
}

/* The root device first; all of them there. */
static bool gather_disks(struct desk_item *i, const struct ec2_scope *s, const struct ec2_instance *instance, struct start *st)
{
	struct ec2_held held = ec2_held(s, &ec2_kind_volume, i->id);
	bool made = true;
	size_t n = 1;
	while (ec2_held_next(&held)) {
		struct state_ec2_volume_record v = {0};
		struct str id = held.id;
		if (!ec2_find(s, &ec2_kind_volume, id, &v))
			continue;
		if (!volume_ready(i->desk, s, id, &v, &made))
			return false;
		struct str device = v.volume->attachments.v[0].device;
		bool root = str_eq(device, instance->root_device_name);
		if (!root && n == MACHINE_DISKS_MAX)
			return false;
		struct str hex = str_from_at(id, sizeof("vol-") - 1);
		struct volume_speed speed = ec2_volume_speed(v.volume);
		st->disks[root ? 0 : n++] = (struct machine_disk){.volume = arena_dupz(s->arena, id),
		                                                  .serial = ARENA_CAT(s->arena, S("vol"), hex).p,
		                                                  .device = arena_dupz(s->arena, device),
		                                                  .iops = speed.iops,
		                                                  .mib_per_s = speed.mib_per_s,
		                                                  .burst = speed.burst,
		                                                  .burst_s = speed.burst_s};
	}
	st->spec.disks = st->disks;
	st->spec.disk_count = n;
	st->spec.hold = !made;
	return st->disks[0].volume != NULL;
}

/* What its guest flushes must be there after a power cut, so it runs when its volumes are made. */
static void let_go(struct desk_item *i, const struct ec2_scope *s)
{
	struct ec2_held held = ec2_held(s, &ec2_kind_volume, i->id);
	bool made = true;
	if (i->launch_error)
		return;
	i->launch_error = broken_disk(i, s);
	if (i->launch_error) {
		i->waiting = false;
		machine_stop(i->machine, 0);
		return;
	}
	while (ec2_held_next(&held) && made) {
		struct state_ec2_volume_record v;
		if (ec2_find(s, &ec2_kind_volume, held.id, &v))
			made = v.made.v;
	}
	i->held = !made;
	i->waiting |= !made;
	if (made)
		machine_release(i->machine);
}

static bool gather_ports(struct desk_item *i, const struct ec2_scope *s, struct start *st)
{
	struct ec2_interfaces all;
	ec2_interfaces_of(s, i->id, &all);
	for (uint32_t k = 0; k < all.n && k < PORTS; k++) {
		const struct ec2_network_interface *n = all.v[k].interface;
		const struct instances_tap *t = instances_tap(i, n->network_interface_id, false);
		if (!t || t->fd < 0 || !instances_port_of(s, n, t->fd, &st->ports[k]))
			return false;
		st->spec.port_count++;
	}
	st->spec.ports = st->ports;
	return true;
}

static void give_ports(struct desk_item *i, const struct ec2_scope *s)
{
	struct start st = {0};
	i->awaits_ports = !gather_ports(i, s, &st);
	i->waiting |= i->awaits_ports;
	if (!i->awaits_ports)
		machine_give_ports(i->machine, st.ports, st.spec.port_count);
}

/* How the image boots: "kernel initrd command line", or nothing for the disk's own loader. */
static void set_boot(struct arena *a, struct str boot, struct machine_spec *spec)
{
	struct str rest = boot;
	if (str_empty(boot))
		return;
	spec->kernel = arena_dupz(a, str_cut(&rest, ' '));
	spec->initrd = arena_dupz(a, str_cut(&rest, ' '));
	spec->cmdline = arena_dupz(a, rest);
}

static void start(struct desk_item *i, const struct ec2_scope *s, const struct state_ec2_instance_record *r)
{
	struct start st = {0};
	const struct instance_type *type = instance_type_find(r->instance->instance_type);
	if (spot_waits(i, r))
		return;
	int error = type ? broken_disk(i, s) : -ENOTSUP;
	if (error) {
		close_taps(i);
		end_record(i, MACHINE_NOT_STARTED, error, STR_NONE);
		return;
	}
	if (!machines_facts(i->desk->machines)->known || !gather_disks(i, s, r->instance, &st)) {
		i->waiting = true;
		return;
	}
	/* A container is fitted out while the network is made; QEMU's command line names its taps. */
	i->awaits_ports = !gather_ports(i, s, &st);
	if (i->awaits_ports && !r->container.v) {
		i->awaits_ports = false;
		i->waiting = true;
		return;
	}
	if (i->awaits_ports)
		st.spec.port_count = 0;
	st.spec.ports_follow = i->awaits_ports;
	st.spec.id = i->id.p;
	st.spec.kind = r->container.v ? MACHINE_CONTAINER : MACHINE_VM;
	st.spec.vcpus = type->vcpus;
	st.spec.memory_mb = type->memory_mib;
	st.spec.cpu_percent = credit_percent_at_start(s, r->instance, type);
	set_boot(s->arena, r->boot, &st.spec);
	i->resets = r->reboots.v;
	i->held = st.spec.hold;
	i->waiting = i->held || i->awaits_ports;
	i->machine = machine_start(i->desk->machines, &st.spec, i);
}

static void edit_imaged(const struct ec2_scope *s, void *ctx)
{
	struct desk_item *i = ctx;
	struct state_ec2_instance_record r;
	if (!ec2_find(s, &ec2_kind_instance, i->id, &r))
		return;
	r.quiet = (struct opt_bool){0};
	ec2_put(s, &ec2_kind_instance, i->id, &r);
}

static bool being_imaged(struct desk_item *i, const struct ec2_scope *s)
{
	struct ec2_held held = ec2_held(s, &ec2_kind_volume, i->id);
	while (ec2_held_next(&held))
		if (storage_snapshot_pending(s, held.id))
			return true;
	return false;
}

/* Its guest ends in order, stays down while snapshots are taken, and boots anew. False: it is about no such thing. */
static bool image(struct desk_item *i, const struct ec2_scope *s, const struct state_ec2_instance_record *r)
{
	if (!r->quiet.v) {
		if (i->down)
			machine_up(i->machine);
		i->down = false;
		return false;
	}
	if (!being_imaged(i, s)) {
		i->busy++;
		desk_edit(i->desk, i->account, i->region, edit_imaged, item_ended, i);
		return true;
	}
	i->waiting = true;
	if (i->down || i->downing)
		return true;
	i->downing = true;
	int error = machine_down(i->machine);
	if (error < 0)
		down(i, i->machine, error);
	return true;
}

static void run(struct desk_item *i, const struct ec2_scope *s, const struct state_ec2_instance_record *r)
{
	if (!i->machine) {
		start(i, s, r);
		return;
	}
	if (i->awaits_ports)
		give_ports(i, s);
	if (i->held)
		let_go(i, s);
	/* One that was found: whatever was asked for before the restart has been done. */
	if (i->resets < 0)
		i->resets = r->reboots.v;
	if (i->running && ec2_instance_state(r->instance) == INSTANCE_PENDING) {
		i->busy++;
		desk_edit(i->desk, i->account, i->region, edit_started, item_ended, i);
	} else if (i->running && image(i, s, r)) {
		return;
	} else if (i->running && i->resets < r->reboots.v) {
		i->resets = r->reboots.v;
		machine_reset(i->machine);
	} else if (i->running) {
		credit_apply(i, s, r->instance);
		instances_step_ports(i, s);
	}
}

static void end(struct desk_item *i, bool now)
{
	if (!i->machine && i->desk->machines && !machines_facts(i->desk->machines)->known) {
		i->waiting = true;
	} else if (!i->machine) {
		close_taps(i);
		end_record(i, MACHINE_STOPPED, 0, STR_NONE);
	} else if (!i->stopping || (now && !i->unplugged)) {
		i->stopping = true;
		i->unplugged = now;
		machine_stop(i->machine, now ? 0 : GRACE_US);
	}
}

/* --- the record's end */

static void hour_over(void *ctx)
{
	struct desk_item *i = ctx;
	i->timer = NULL;
	desk_mark(i);
}

static void edit_forget(const struct ec2_scope *s, void *ctx)
{
	struct desk_item *i = ctx;
	ec2_drop(s, &ec2_kind_instance, i->id);
}

static void forget(struct desk_item *i, const struct state_ec2_instance_record *r)
{
	int64_t left = r->changed.ms + TERMINATED_MS - clock_wall_ms();
	if (left > 0) {
		if (!i->timer)
			i->timer = loop_add_clock_timer(i->desk->cloud->loop, left * 1000, hour_over, i);
		return;
	}
	i->busy++;
	desk_edit(i->desk, i->account, i->region, edit_forget, item_ended, i);
}

void instances_step(struct desk_item *i, const struct ec2_scope *s)
{
	struct state_ec2_instance_record r;
	i->memory_mib = i->vcpus = 0;
	if (!ec2_find(s, &ec2_kind_instance, i->id, &r))
		return;
	enum instance_state state = ec2_instance_state(r.instance);
	const struct instance_type *type = instance_type_find(r.instance->instance_type);
	if (type && state != INSTANCE_STOPPED && state != INSTANCE_TERMINATED) {
		i->memory_mib = type->memory_mib;
		i->vcpus = type->vcpus;
	}
	spot_step(i, &r);
	event_step(i, &r);
	if (state == INSTANCE_SHUTTING_DOWN || state == INSTANCE_TERMINATED)
		fleet_instance_ends(i, r.instance);
	switch (state) {
	case INSTANCE_PENDING:
	case INSTANCE_RUNNING:
		run(i, s, &r);
		break;
	case INSTANCE_STOPPING:
	case INSTANCE_SHUTTING_DOWN:
		end(i, r.force.v);
		break;
	case INSTANCE_STOPPED:
		break;
	case INSTANCE_TERMINATED:
		forget(i, &r);
		break;
	}
}

/* --- what others ask */

bool instances_is_starting_with(struct desk *d, const struct ec2_volume *volume)
{
	struct desk_item *i = volume->attachments.n ? desk_item(d, volume->attachments.v[0].instance_id) : NULL;
	return i && i->machine && !i->running;
}

bool instances_is_going_down_with(const struct ec2_scope *s, struct desk *d, const struct ec2_volume *volume)
{
	struct desk_item *i = volume->attachments.n ? desk_item(d, volume->attachments.v[0].instance_id) : NULL;
	struct state_ec2_instance_record r;
	return i && i->running && !i->down && ec2_find(s, &ec2_kind_instance, i->id, &r) && r.quiet.v;
}

struct machine *instances_machine_with(struct desk *d, const struct ec2_volume *volume)
{
	struct desk_item *i = volume->attachments.n ? desk_item(d, volume->attachments.v[0].instance_id) : NULL;
	return i && i->running ? i->machine : NULL;
}

static void edit_reached(const struct ec2_scope *s, void *ctx)
{
	struct desk_item *i = ctx;
	struct state_ec2_instance_record r;
	if (!ec2_find(s, &ec2_kind_instance, i->id, &r) || r.reached.set || ec2_instance_state(r.instance) != INSTANCE_RUNNING)
		return;
	r.reached = OPT_TIME(clock_wall_ms());
	ec2_put(s, &ec2_kind_instance, i->id, &r);
}

void instances_reached(struct desk *d, struct str instance_id)
{
	struct desk_item *i = desk_item(d, instance_id);
	if (!i || !i->running || i->reached)
		return;
	i->reached = true;
	i->busy++;
	desk_edit(d, i->account, i->region, edit_reached, item_ended, i);
}

void instances_usage(const struct desk *d, uint64_t *ret_memory_mib, unsigned *ret_vcpus)
{
	size_t at = 0;
	struct str key;
	void *value;
	*ret_memory_mib = *ret_vcpus = 0;
	while (map_next(&d->items, &at, &key, &value)) {
		*ret_memory_mib += ((struct desk_item *)value)->memory_mib;
		*ret_vcpus += ((struct desk_item *)value)->vcpus;
	}
}

struct str instances_console(struct desk *d, struct str instance_id)
{
	struct desk_item *i = desk_item(d, instance_id);
	return i && i->machine ? machine_console(i->machine) : STR_NONE;
}

void instances_start(struct desk *d, struct cells *cells)
{
	d->machines = machines_new(d->cloud->loop, d->cloud->work, cells, d->cloud->data_dir, &events, found, d);
}

void instances_stop(struct desk *d)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&d->items, &at, &key, &value))
		close_taps(value);
	if (d->machines)
		machines_free(d->machines);
	d->machines = NULL;
}

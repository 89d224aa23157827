/* The life of instances: the table of states, what leaving each entails, and the operations that ask for it. Machines follow the
 * records (instances.c). */
#include "aws/ec2/capacity/capacity.h"
#include "aws/ec2/capacity/quota.h"
#include "aws/ec2/capacity/reservation.h"
#include "aws/ec2/capacity/spot.h"
#include "aws/ec2/instance/credit.h"
#include "aws/ec2/instance/event.h"
#include "aws/ec2/instance/instances.h"
#include "aws/ec2/network/interface.h"
#include "base/clock.h"

#include <assert.h>

static const struct {
	enum instance_state state;
	const char *name;
} names[] = {
        {INSTANCE_PENDING, "pending"},       {INSTANCE_RUNNING, "running"},   {INSTANCE_SHUTTING_DOWN, "shutting-down"},
        {INSTANCE_TERMINATED, "terminated"}, {INSTANCE_STOPPING, "stopping"}, {INSTANCE_STOPPED, "stopped"},
};

static const struct {
	enum instance_state from, to;
} edges[] = {
        {INSTANCE_PENDING, INSTANCE_RUNNING},        {INSTANCE_PENDING, INSTANCE_STOPPING},
        {INSTANCE_PENDING, INSTANCE_STOPPED},        {INSTANCE_PENDING, INSTANCE_SHUTTING_DOWN},
        {INSTANCE_PENDING, INSTANCE_TERMINATED},     {INSTANCE_RUNNING, INSTANCE_STOPPING},
        {INSTANCE_RUNNING, INSTANCE_STOPPED},        {INSTANCE_RUNNING, INSTANCE_SHUTTING_DOWN},
        {INSTANCE_RUNNING, INSTANCE_TERMINATED},     {INSTANCE_STOPPING, INSTANCE_STOPPED},
        {INSTANCE_STOPPING, INSTANCE_SHUTTING_DOWN}, {INSTANCE_STOPPED, INSTANCE_PENDING},
        {INSTANCE_STOPPED, INSTANCE_SHUTTING_DOWN},  {INSTANCE_SHUTTING_DOWN, INSTANCE_TERMINATED},
};

enum instance_state ec2_instance_state(const struct ec2_instance *i)
{
	return (enum instance_state)i->state->code.v;
}

struct ec2_instance_state *ec2_instance_state_shape(struct arena *a, enum instance_state state)
{
	struct ec2_instance_state *made = arena_new(a, struct ec2_instance_state);
	made->code = OPT_INT(state);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].state == state)
			made->name = str_from(names[i].name);
	return made;
}

void ec2_instance_move(struct arena *a, struct state_ec2_instance_record *r, enum instance_state to, int64_t now_ms,
                       const char *reason, const char *message)
{
	struct ec2_instance *i = r->instance;
	bool known = false;
	for (size_t k = 0; k < sizeof(edges) / sizeof(*edges); k++)
		known |= edges[k].from == ec2_instance_state(i) && edges[k].to == to;
	assert(known);
	i->state = ec2_instance_state_shape(a, to);
	r->changed = OPT_TIME(now_ms);
	if (to == INSTANCE_PENDING || to == INSTANCE_RUNNING) {
		i->state_reason = NULL;
		i->state_transition_reason = S("");
		return;
	}
	/* The end of what was asked for keeps the reason that it was asked with. */
	if (!reason)
		return;
	char when[40];
	time_format_to(when, now_ms - now_ms % 1000, TIME_ISO8601);
	when[10] = ' ';
	when[19] = '\0';
	bool user = str_is(str_from(reason), "Client.UserInitiatedShutdown");
	i->state_reason = arena_new(a, struct ec2_state_reason);
	i->state_reason->code = str_from(reason);
	i->state_reason->message = arena_printf(a, "%s: %s", reason, message);
	i->state_transition_reason = user ? arena_printf(a, "User initiated (%s GMT)", when) : i->state_reason->message;
}

/* --- ends */

static void close_ports(const struct ec2_scope *s, struct str instance, bool terminate)
{
	struct ec2_interfaces all;
	ec2_interfaces_of(s, instance, &all);
	for (uint32_t k = 0; k < all.n; k++) {
		struct state_vpc_interface_record *port = &all.v[k];
		struct ec2_network_interface_attachment *at = port->interface->attachment;
		ec2_interface_set_up(s, port, false, false);
		/* What a machine was asked for is so when the next one starts. */
		if (!terminate && str_is(at->status, "attaching"))
			at->status = S("attached");
		if (!terminate && !str_is(at->status, "detaching"))
			ec2_interface_release_public(s, port);
		else if (terminate && at->delete_on_termination.v)
			ec2_interface_remove(s, port);
		else
			ec2_interface_detach(s, port);
	}
}

static void let_volumes_go(const struct ec2_scope *s, struct str instance)
{
	struct ec2_all all = ec2_all(s, &ec2_kind_volume);
	struct state_ec2_volume_record r;
	struct str_list ids = {0};
	while (ec2_next(&all, &r))
		if (r.volume->attachments.n && str_eq(r.volume->attachments.v[0].instance_id, instance))
			*LIST_ADD(s->arena, &ids) = all.id;
	for (uint32_t k = 0; k < ids.n; k++) {
		if (!ec2_find(s, &ec2_kind_volume, ids.v[k], &r))
			continue;
		bool goes = r.volume->attachments.v[0].delete_on_termination.v;
		r.volume->attachments.n = 0;
		/* One that is being made is made first, then deleted. */
		if (goes)
			r.volume->state = S("deleting");
		else if (r.made.v)
			r.volume->state = S("available");
		ec2_put(s, &ec2_kind_volume, ids.v[k], &r);
	}
}

void ec2_instance_stopped(const struct ec2_scope *s, struct state_ec2_instance_record *r, int64_t now_ms, const char *reason,
                          const char *message)
{
	close_ports(s, r->instance->instance_id, false);
	ec2_instance_move(s->arena, r, INSTANCE_STOPPED, now_ms, reason, message);
	reservation_leave(s, r->instance);
	spot_instance_stopped(s, r, now_ms);
	credit_end(s, r->instance, false);
	r->quiet = (struct opt_bool){0};
	r->reached = (struct opt_time){0};
	ec2_put(s, &ec2_kind_instance, r->instance->instance_id, r);
}

void ec2_instance_terminated(const struct ec2_scope *s, struct state_ec2_instance_record *r, int64_t now_ms, const char *reason,
                             const char *message)
{
	struct ec2_instance *i = r->instance;
	close_ports(s, i->instance_id, true);
	let_volumes_go(s, i->instance_id);
	ec2_instance_move(s->arena, r, INSTANCE_TERMINATED, now_ms, reason, message);
	reservation_leave(s, i);
	spot_instance_ended(s, r, now_ms);
	credit_end(s, i, true);
	r->quiet = (struct opt_bool){0};
	i->block_device_mappings.n = 0;
	i->security_groups.n = 0;
	i->subnet_id = i->vpc_id = STR_NONE;
	r->reached = (struct opt_time){0};
	ec2_put(s, &ec2_kind_instance, i->instance_id, r);
}

/* --- operations */

struct picked {
	struct state_ec2_instance_record *v;
	uint32_t n;
};

static bool named_before(const struct str_list *ids, uint32_t at)
{
	for (uint32_t k = 0; k < at; k++)
		if (str_eq(ids->v[k], ids->v[at]))
			return true;
	return false;
}

/* All that were named are there, or none is touched. */
static int pick(struct call *c, const struct str_list *ids, struct picked *ret)
{
	struct ec2_scope s = ec2_scope(c);
	struct str_list missing = {0};
	if (!ids->n)
		return ec2_missing(c, "InstanceId");
	for (uint32_t k = 0; k < ids->n; k++)
		if (!ec2_id_well_formed(ids->v[k], "i"))
			return ec2_malformed(c, &ec2_kind_instance, ids->v[k]);
	*ret = (struct picked){.v = arena_array(c->arena, ids->n, sizeof(*ret->v))};
	for (uint32_t k = 0; k < ids->n; k++) {
		if (named_before(ids, k))
			continue;
		if (ec2_find(&s, &ec2_kind_instance, ids->v[k], &ret->v[ret->n]))
			ret->n++;
		else
			*LIST_ADD(c->arena, &missing) = ids->v[k];
	}
	return missing.n ? ec2_not_found(c, &ec2_kind_instance, &missing) : CALL_OK;
}

static struct ec2_instance_state_change change_of(struct ec2_instance *i, struct ec2_instance_state *before)
{
	return (struct ec2_instance_state_change){
	        .instance_id = i->instance_id, .current_state = i->state, .previous_state = before};
}

static int wrong_state(struct call *c, const struct ec2_instance *i, const char *asked)
{
	return call_fail(c, "IncorrectInstanceState", 400, "The instance '%.*s' is not in a state from which it can be %s.",
	                 STR_ARG(i->instance_id), asked);
}

#define USER "Client.UserInitiatedShutdown", "User initiated shutdown"

int ec2_stop_instances(struct call *c, const struct ec2_stop_instances_request *in, struct ec2_stop_instances_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct picked all;
	if (in->hibernate.v)
		return call_fail(c, "UnsupportedHibernationConfiguration", 400,
		                 "Hibernation is not supported: no instance was launched with it.");
	if (pick(c, &in->instance_ids, &all) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t k = 0; k < all.n; k++) {
		struct ec2_instance *i = all.v[k].instance;
		enum instance_state state = ec2_instance_state(i);
		if (state == INSTANCE_TERMINATED || state == INSTANCE_SHUTTING_DOWN || state == INSTANCE_PENDING)
			return wrong_state(c, i, "stopped");
		if (spot_check_stop(c, i) != CALL_OK)
			return CALL_FAIL;
		if (all.v[k].no_stop.v && state == INSTANCE_RUNNING)
			return call_fail(
			        c, "OperationNotPermitted", 400,
			        "The instance '%.*s' may not be stopped. Modify its 'disableApiStop' instance attribute and try again.",
			        STR_ARG(i->instance_id));
	}
	for (uint32_t k = 0; k < all.n; k++) {
		struct ec2_instance *i = all.v[k].instance;
		struct ec2_instance_state *before = i->state;
		if (ec2_instance_state(i) == INSTANCE_RUNNING)
			ec2_instance_move(c->arena, &all.v[k], INSTANCE_STOPPING, c->now_ms, USER);
		if (in->force.v || in->skip_os_shutdown.v)
			all.v[k].force = OPT_BOOL(true);
		ec2_put(&s, &ec2_kind_instance, i->instance_id, &all.v[k]);
		*LIST_ADD(c->arena, &out->stopping_instances) = change_of(i, before);
	}
	return CALL_OK;
}

static int open_ports(struct call *c, const struct ec2_instance *i, bool container)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_interfaces all;
	ec2_interfaces_of(&s, i->instance_id, &all);
	for (uint32_t k = 0; k < all.n; k++) {
		ec2_interface_limit(&all.v[k], instance_type_find(i->instance_type));
		/* Amazon lends an address to an instance with one interface, if it had one at its launch. */
		if ((all.n == 1 && !all.v[k].no_public.v && ec2_interface_take_public(&s, &all.v[k]) < 0) ||
		    ec2_interface_set_up(&s, &all.v[k], true, container) < 0)
			return call_fail(c, "InsufficientAddressCapacity", 400,
			                 "Not enough available addresses to satisfy your request.");
	}
	return CALL_OK;
}

/* vCPUs that those before this one in the list take of the same quota; they are not counted as running yet. */
static int64_t others_vcpus(const struct picked *all, uint32_t before)
{
	const struct ec2_instance *own = all->v[before].instance;
	int64_t sum = 0;
	for (uint32_t k = 0; k < before; k++) {
		const struct ec2_instance *i = all->v[k].instance;
		const struct instance_type *type = instance_type_find(i->instance_type);
		if (type && ec2_instance_state(i) == INSTANCE_STOPPED && quota_same_bucket(i->instance_type, own->instance_type) &&
		    str_is(i->instance_lifecycle, "spot") == str_is(own->instance_lifecycle, "spot"))
			sum += type->vcpus;
	}
	return sum;
}

/* A place for each that is to start: in a reservation, or what this machine has left. */
static int take_places(struct call *c, struct picked *all)
{
	struct ec2_scope s = ec2_scope(c);
	int64_t left_memory, left_vcpus, memory, vcpus;
	capacity_left(c, &memory, &vcpus);
	left_memory = memory, left_vcpus = vcpus;
	for (uint32_t k = 0; k < all->n; k++) {
		struct ec2_instance *i = all->v[k].instance;
		const struct instance_type *type = instance_type_find(i->instance_type);
		struct reserved reserved;
		if (ec2_instance_state(i) != INSTANCE_STOPPED || !type)
			continue;
		if (reservation_find_again(c, i, &reserved) != CALL_OK)
			return CALL_FAIL;
		reservation_enter(&s, &reserved, i);
		if (i->capacity_reservation_id.n)
			continue;
		bool spot = str_is(i->instance_lifecycle, "spot");
		if (quota_vcpus(c, type, spot) - others_vcpus(all, k) < type->vcpus)
			return quota_fail(c, spot);
		if (reserved.only || capacity_fit(left_memory, left_vcpus, type) < 1)
			return call_fail(
			        c, "InsufficientInstanceCapacity", 500,
			        "We currently do not have sufficient %s capacity in the Availability Zone of the instance (%.*s).",
			        type->name, STR_ARG(i->placement->availability_zone));
		left_memory -= type->memory_mib;
		left_vcpus -= type->vcpus;
	}
	if (left_memory < memory)
		capacity_take(c, memory - left_memory, vcpus - left_vcpus);
	return CALL_OK;
}

int ec2_start_instances(struct call *c, const struct ec2_start_instances_request *in, struct ec2_start_instances_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct picked all;
	if (pick(c, &in->instance_ids, &all) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t k = 0; k < all.n; k++) {
		enum instance_state state = ec2_instance_state(all.v[k].instance);
		if (state != INSTANCE_STOPPED && state != INSTANCE_RUNNING && state != INSTANCE_PENDING)
			return wrong_state(c, all.v[k].instance, "started");
		if (state == INSTANCE_STOPPED && spot_check_start(c, all.v[k].instance) != CALL_OK)
			return CALL_FAIL;
	}
	if (take_places(c, &all) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t k = 0; k < all.n; k++) {
		struct ec2_instance *i = all.v[k].instance;
		struct ec2_instance_state *before = i->state;
		if (ec2_instance_state(i) == INSTANCE_STOPPED) {
			int said = open_ports(c, i, all.v[k].container.v);
			if (said != CALL_OK)
				return said;
			ec2_instance_move(c->arena, &all.v[k], INSTANCE_PENDING, c->now_ms, NULL, NULL);
			i->launch_time = OPT_TIME(c->now_ms);
			event_overtaken(&all.v[k], true, c->now_ms);
			spot_instance_starts(&s, i, c->now_ms);
			all.v[k].force = (struct opt_bool){0};
			ec2_put(&s, &ec2_kind_instance, i->instance_id, &all.v[k]);
		}
		*LIST_ADD(c->arena, &out->starting_instances) = change_of(i, before);
	}
	return CALL_OK;
}

int ec2_reboot_instances(struct call *c, const struct ec2_reboot_instances_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct picked all;
	if (pick(c, &in->instance_ids, &all) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t k = 0; k < all.n; k++)
		if (ec2_instance_state(all.v[k].instance) != INSTANCE_RUNNING)
			return wrong_state(c, all.v[k].instance, "rebooted");
	for (uint32_t k = 0; k < all.n; k++) {
		all.v[k].reboots = OPT_INT(all.v[k].reboots.v + 1);
		event_overtaken(&all.v[k], false, c->now_ms);
		ec2_put(&s, &ec2_kind_instance, all.v[k].instance->instance_id, &all.v[k]);
	}
	return CALL_OK;
}

static int protected_fail(struct call *c, const struct ec2_instance *i)
{
	return call_fail(
	        c, "OperationNotPermitted", 400,
	        "The instance '%.*s' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.",
	        STR_ARG(i->instance_id));
}

/* The first one that is protected from termination; NULL: none is. */
static const struct ec2_instance *find_protected(const struct picked *all)
{
	for (uint32_t k = 0; k < all->n; k++)
		if (all->v[k].no_termination.v && ec2_instance_state(all->v[k].instance) != INSTANCE_TERMINATED)
			return all->v[k].instance;
	return NULL;
}

static bool zone_is_protected(const struct picked *all, struct str zone)
{
	for (uint32_t k = 0; k < all->n; k++)
		if (all->v[k].no_termination.v && ec2_instance_state(all->v[k].instance) != INSTANCE_TERMINATED &&
		    str_eq(all->v[k].instance->placement->availability_zone, zone))
			return true;
	return false;
}

int ec2_terminate_all(struct call *c, const struct ec2_terminate_instances_request *in, struct ec2_terminate_instances_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct picked all;
	if (pick(c, &in->instance_ids, &all) != CALL_OK)
		return CALL_FAIL;
	const struct ec2_instance *kept = find_protected(&all);
	if (kept)
		return protected_fail(c, kept);
	for (uint32_t k = 0; k < all.n; k++) {
		struct ec2_instance *i = all.v[k].instance;
		struct ec2_instance_state *before = i->state;
		enum instance_state state = ec2_instance_state(i);
		if (state != INSTANCE_TERMINATED && state != INSTANCE_SHUTTING_DOWN) {
			ec2_instance_move(c->arena, &all.v[k], INSTANCE_SHUTTING_DOWN, c->now_ms, USER);
			if (in->force.v || in->skip_os_shutdown.v)
				all.v[k].force = OPT_BOOL(true);
			ec2_put(&s, &ec2_kind_instance, i->instance_id, &all.v[k]);
		}
		*LIST_ADD(c->arena, &out->terminating_instances) = change_of(i, before);
	}
	return CALL_OK;
}

/* A protected instance keeps those of its zone, and those of other zones end although the call fails: a call of their own, since
 * one that fails changes nothing. */
int ec2_terminate_instances(struct call *c, const struct ec2_terminate_instances_request *in,
                            struct ec2_terminate_instances_result *out)
{
	struct picked all;
	const char *said;
	if (pick(c, &in->instance_ids, &all) != CALL_OK)
		return CALL_FAIL;
	const struct ec2_instance *kept = find_protected(&all);
	if (!kept)
		return ec2_terminate_all(c, in, out);
	struct ec2_terminate_instances_request others = {.force = in->force, .skip_os_shutdown = in->skip_os_shutdown};
	for (uint32_t k = 0; k < all.n; k++)
		if (!zone_is_protected(&all, all.v[k].instance->placement->availability_zone))
			*LIST_ADD(c->arena, &others.instance_ids) = all.v[k].instance->instance_id;
	if (others.instance_ids.n && !call_tried(c, &said))
		return call_try(c, c->caller, c->region, &ec2_api, "TerminateInstances", &others);
	return protected_fail(c, kept);
}

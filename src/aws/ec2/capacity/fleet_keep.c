/* Fleets that are kept: of type maintain, whose instances are replaced when they end, and of type request, which launch their
 * target once. fleet_settle() compares the record with the instances that carry the fleet's tag: who is new, who has gone, who is
 * too many, what time has done. Whatever differs is written first, then what is missing is launched. An instance's client token
 * says of which pool it is, so a crash between a launch and its record changes nothing. */
#include "aws/ec2/capacity/fleet_plan.h"

#include "aws/ec2/capacity/capacity.h"
#include "aws/ec2/ec2.h"
#include "aws/ec2/instance/instance_type.h"
#include "aws/ec2/instance/instances.h"
#include "aws/ec2/instance/launch_data.h"
#include "aws/ec2/instance/run.h"
#include "base/clock.h"

#include <math.h>
#include <stdlib.h>

enum {
	AGAIN_MS = 2000,   /* from one try to the next */
	TROUBLE_MS = 5000, /* when one was refused; twice as long each time */
	TROUBLE_MOST_MS = 60000,
	LOOK_MS = 60 * 1000, /* the wall clock may be moved while a timer runs */
};

/* --- at the creation */

static bool may(struct call *c, const struct ec2_kind *kind, struct str id)
{
	return !id.n || call_allowed(c, "ec2:RunInstances", ec2_arn(c, kind, id));
}

static bool may_launch(struct call *c, const struct ec2_run_instances_request *run,
                       const struct ec2_response_launch_template_data *d)
{
	struct str image = run->image_id.n ? run->image_id : d->image_id;
	bool ok = may(c, &ec2_kind_instance, S("*")) &&
	          may(c, &ec2_kind_launch_template, run->launch_template->launch_template_id) &&
	          (ec2_image_is_named(image) || may(c, &ec2_kind_image, image)) && may(c, &ec2_kind_subnet, run->subnet_id);
	for (uint32_t k = 0; ok && k < d->security_group_ids.n; k++)
		ok = may(c, &ec2_kind_group, d->security_group_ids.v[k]);
	for (uint32_t k = 0; ok && k < d->network_interfaces.n; k++)
		ok = may(c, &ec2_kind_subnet, d->network_interfaces.v[k].subnet_id);
	if (!ok || !d->iam_instance_profile)
		return ok;
	struct ec2_iam_instance_profile_specification profile = {.arn = d->iam_instance_profile->arn,
	                                                         .name = d->iam_instance_profile->name};
	struct ec2_run_instances_request asked = {.iam_instance_profile = &profile};
	struct launch l = {.in = &asked};
	return ec2_run_take_profile(c, &l) == CALL_OK;
}

int fleet_may_launch(struct call *c, const struct fleet_plan *plan)
{
	for (uint32_t k = 0; k < plan->n; k++) {
		const struct ec2_run_instances_request *run = plan->pools[k].run;
		struct state_ec2_launch_template_record r;
		struct ec2_launch_template_version v;
		if (ec2_launch_template_given(c, run->launch_template->launch_template_id, STR_NONE, &r) != CALL_OK ||
		    ec2_launch_version_given(c, r.template, run->launch_template->version, &v) != CALL_OK ||
		    !may_launch(c, run, v.launch_template_data))
			return CALL_FAIL;
	}
	return CALL_OK;
}

struct state_ec2_fleet_pool_list fleet_pools_kept(struct call *c, const struct fleet_plan *plan)
{
	struct state_ec2_fleet_pool_list all = {0};
	for (uint32_t k = 0; k < plan->n; k++) {
		const struct fleet_pool *p = &plan->pools[k];
		*LIST_ADD(c->arena, &all) = (struct state_ec2_fleet_pool){.request = (struct ec2_run_instances_request *)p->run,
		                                                          .what = p->what,
		                                                          .spot = OPT_BOOL(p->spot),
		                                                          .weight = {p->weight, true},
		                                                          .priority = {p->priority, !isinf(p->priority)},
		                                                          .type = p->type};
	}
	return all;
}

/* --- what there is, and what there should be */

/* The last part of its client token; SIZE_MAX: none of the fleet's. */
static size_t pool_of(const struct state_ec2_fleet_record *r, struct str token)
{
	size_t at = token.n;
	uint64_t pool;
	while (at && token.p[at - 1] != '.')
		at--;
	return at && str_to_u64(str_sub(token, at, token.n - at), &pool) && pool < r->pools.n ? (size_t)pool : SIZE_MAX;
}

static bool is_over(enum instance_state state)
{
	return state == INSTANCE_SHUTTING_DOWN || state == INSTANCE_TERMINATED;
}

struct found {
	struct state_ec2_instance_record record;
	size_t pool;
};

/* Those of the fleet that have not been asked to end; *ret_ending: how many have and are not terminated. */
static struct found *find_all(const struct ec2_scope *s, const struct state_ec2_fleet_record *r, uint32_t *ret_n,
                              uint32_t *ret_ending)
{
	struct ec2_all all = ec2_all(s, &ec2_kind_instance);
	struct found *list = NULL;
	uint32_t n = 0, cap = 0;
	*ret_ending = 0;
	for (;;) {
		struct state_ec2_instance_record i = {0};
		if (!ec2_next(&all, &i))
			break;
		size_t pool = pool_of(r, i.instance->client_token);
		if (pool == SIZE_MAX || !str_eq(fleet_of(i.instance), r->fleet->fleet_id))
			continue;
		*ret_ending += ec2_instance_state(i.instance) == INSTANCE_SHUTTING_DOWN;
		if (is_over(ec2_instance_state(i.instance)))
			continue;
		if (n == cap) {
			struct found *more = arena_array(s->arena, cap = cap ? cap * 2 : 16, sizeof(*more));
			for (uint32_t k = 0; k < n; k++)
				more[k] = list[k];
			list = more;
		}
		list[n++] = (struct found){i, pool};
	}
	*ret_n = n;
	return list;
}

static double target_of(const struct state_ec2_fleet_record *r, bool spot)
{
	const struct ec2_target_capacity_specification *t = r->fleet->target_capacity_specification;
	return (double)(spot ? t->spot_target_capacity.v : t->on_demand_target_capacity.v);
}

static double alive_of(const struct state_ec2_fleet_record *r, bool spot)
{
	double sum = 0;
	for (uint32_t k = 0; k < r->members.n; k++) {
		const struct state_ec2_fleet_pool *p = &r->pools.v[r->members.v[k].pool.v];
		sum += p->spot.v == spot ? p->weight.v : 0;
	}
	return sum;
}

static double missing_of(const struct state_ec2_fleet_record *r, bool spot)
{
	double had = str_is(r->fleet->type, "request") ? (spot ? r->launched_spot.v : r->launched_on_demand.v) : alive_of(r, spot);
	return target_of(r, spot) - had;
}

static bool has_begun(const struct state_ec2_fleet_record *r, int64_t now)
{
	return !r->fleet->valid_from.set || r->fleet->valid_from.ms <= now;
}

static void end_one(const struct ec2_scope *s, struct found *f, int64_t now, bool write)
{
	if (!write)
		return;
	ec2_instance_move(s->arena, &f->record, INSTANCE_SHUTTING_DOWN, now, "Client.UserInitiatedShutdown",
	                  "User initiated shutdown");
	ec2_put(s, &ec2_kind_instance, f->record.instance->instance_id, &f->record);
}

/* Is it to go? surplus: units that are too many, on demand and of spot. */
static bool has_to_go(const struct state_ec2_fleet_record *r, const struct found *f, int64_t now, double *surplus)
{
	const struct state_ec2_fleet_pool *p = &r->pools.v[f->pool];
	if (f->record.no_termination.v)
		return false;
	if (str_is(r->fleet->fleet_state, "deleted_terminating") ||
	    (r->expired.v && r->fleet->terminate_instances_with_expiration.v))
		return true;
	if (!str_is(r->fleet->fleet_state, "active") || !str_is(r->fleet->type, "maintain"))
		return false;
	if (p->weight.v <= surplus[p->spot.v] && str_is(r->fleet->excess_capacity_termination_policy, "termination"))
		return true;
	return r->fleet->replace_unhealthy_instances.v && ec2_instance_state(f->record.instance) == INSTANCE_RUNNING &&
	       ec2_instance_impaired(&f->record, now);
}

static bool is_among(const struct found *all, uint32_t n, struct str id)
{
	for (uint32_t k = 0; k < n; k++)
		if (str_eq(all[k].record.instance->instance_id, id))
			return true;
	return false;
}

static bool is_member(const struct state_ec2_fleet_record *r, struct str id)
{
	for (uint32_t k = 0; k < r->members.n; k++)
		if (str_eq(r->members.v[k].instance, id))
			return true;
	return false;
}

/* Members are who was found. False: nothing has changed. */
static bool settle_members(const struct ec2_scope *s, struct state_ec2_fleet_record *r, const struct found *all, uint32_t n,
                           int64_t now)
{
	bool changed = false;
	struct state_ec2_fleet_member_list stay = {0};
	for (uint32_t k = 0; k < r->members.n; k++) {
		struct str id = r->members.v[k].instance;
		if (is_among(all, n, id)) {
			*LIST_ADD(s->arena, &stay) = r->members.v[k];
			continue;
		}
		changed = true;
		fleet_note(s, r, now, "instance-change", "terminated", id, STR_NONE);
	}
	r->members = stay;
	for (uint32_t k = 0; k < n; k++) {
		const struct state_ec2_fleet_pool *p = &r->pools.v[all[k].pool];
		struct str id = all[k].record.instance->instance_id;
		if (is_member(r, id))
			continue;
		changed = true;
		*LIST_ADD(s->arena, &r->members) = (struct state_ec2_fleet_member){id, OPT_INT((int64_t)all[k].pool)};
		struct opt_double *launched = p->spot.v ? &r->launched_spot : &r->launched_on_demand;
		*launched = (struct opt_double){launched->v + p->weight.v, true};
		fleet_note(s, r, now, "instance-change", "launched", id, STR_NONE);
	}
	return changed;
}

static bool change_state(const struct ec2_scope *s, struct state_ec2_fleet_record *r, int64_t now, const char *state)
{
	r->fleet->fleet_state = str_from(state);
	fleet_note(s, r, now, "fleet-change", state, STR_NONE, STR_NONE);
	return true;
}

/* What the state of affairs is called. */
static struct str activity_of(const struct state_ec2_fleet_record *r)
{
	if (str_is(r->fleet->fleet_state, "deleted_terminating"))
		return S("pending_termination");
	if (!str_is(r->fleet->fleet_state, "active") && !str_is(r->fleet->fleet_state, "submitted"))
		return STR_NONE;
	if (r->expired.v || (missing_of(r, false) <= 0 && missing_of(r, true) <= 0))
		return S("fulfilled");
	return r->trouble.v ? S("error") : S("pending_fulfillment");
}

/* Brings the record to what there is, and with write ends whoever has to go. False: nothing was to be done. */
static bool fleet_settle(const struct ec2_scope *s, struct state_ec2_fleet_record *r, int64_t now, bool write)
{
	struct ec2_fleet_data *f = r->fleet;
	uint32_t n, stay = 0, ending;
	bool changed = false, begun = str_is(f->fleet_state, "active") || str_is(f->fleet_state, "submitted");
	if (begun && !r->expired.v && f->valid_until.set && f->valid_until.ms <= now) {
		changed = true;
		r->expired = OPT_BOOL(true);
		fleet_note(s, r, now, "fleet-change", "expired", STR_NONE, STR_NONE);
	}
	if (str_is(f->fleet_state, "submitted") && has_begun(r, now))
		changed = change_state(s, r, now, "active");
	struct found *all = find_all(s, r, &n, &ending);
	changed |= settle_members(s, r, all, n, now);
	double surplus[2] = {-missing_of(r, false), -missing_of(r, true)};
	for (uint32_t k = n; k--;) {
		if (!has_to_go(r, &all[k], now, surplus))
			continue;
		const struct state_ec2_fleet_pool *p = &r->pools.v[all[k].pool];
		surplus[p->spot.v] -= p->weight.v;
		changed = true;
		end_one(s, &all[k], now, write);
		all[k].pool = SIZE_MAX;
	}
	for (uint32_t k = 0; k < n; k++)
		if (all[k].pool != SIZE_MAX)
			all[stay++] = all[k];
	settle_members(s, r, all, stay, now);
	if (!n && !ending && (str_is(f->fleet_state, "deleted_terminating") || str_is(f->fleet_state, "deleted_running")))
		changed = change_state(s, r, now, "deleted");
	struct str activity = activity_of(r);
	double spot = alive_of(r, true), demand = alive_of(r, false);
	changed |= f->fulfilled_on_demand_capacity.v != demand || f->fulfilled_capacity.v != demand + spot ||
	           !str_eq(activity, f->activity_status);
	f->fulfilled_on_demand_capacity = (struct opt_double){demand, true};
	f->fulfilled_capacity = (struct opt_double){demand + spot, true};
	f->activity_status = activity;
	return changed;
}

static void edit_settle(const struct ec2_scope *s, void *ctx)
{
	struct desk_item *i = ctx;
	struct state_ec2_fleet_record r;
	if (ec2_find(s, &ec2_kind_fleet, i->id, &r) && fleet_settle(s, &r, clock_wall_ms(), true))
		ec2_put(s, &ec2_kind_fleet, i->id, &r);
}

static void settled(void *ctx)
{
	desk_done(ctx);
}

/* --- launching what is missing */

static int64_t room_for(const struct desk *d, const struct instance_type *type)
{
	uint64_t memory, used_memory;
	unsigned vcpus, used_vcpus;
	capacity_of_host(&memory, &vcpus);
	instances_usage(d, &used_memory, &used_vcpus);
	int64_t room = type ? capacity_fit((int64_t)memory - (int64_t)used_memory, (int64_t)vcpus - used_vcpus, type) : 0;
	return room > 0 ? room : 0;
}

static void launch(struct desk_item *i, const struct ec2_scope *s, const struct state_ec2_fleet_record *r)
{
	struct fleet_plan plan = {.fleet = r->fleet, .left = {missing_of(r, false), missing_of(r, true)}};
	plan.pools = arena_array(s->arena, r->pools.n + 1, sizeof(*plan.pools));
	for (uint32_t k = 0; k < r->pools.n; k++) {
		const struct state_ec2_fleet_pool *p = &r->pools.v[k];
		uint64_t price = ec2_type_price(p->type);
		if (p->retired.v || plan.left[p->spot.v] <= 0)
			continue;
		struct fleet_pool *to = &plan.pools[plan.n++];
		*to = (struct fleet_pool){.spot = p->spot.v,
		                          .index = k,
		                          .weight = p->weight.v,
		                          .priority = p->priority.set ? p->priority.v : INFINITY,
		                          .price = price ? (double)price / p->weight.v : INFINITY,
		                          .room = room_for(i->desk, instance_type_find(p->type)),
		                          .share = INFINITY,
		                          .type = p->type,
		                          .run = p->request,
		                          .what = p->what};
		for (uint32_t m = 0; m < r->members.n; m++)
			to->had += r->members.v[m].pool.v == k ? p->weight.v : 0;
	}
	fleet_sort(&plan);
	i->tried_ms = clock_wall_ms();
	fleet_launch_for(i, &plan);
}

struct outcome {
	struct desk_item *item;
	struct str code, message;
	struct arena arena;
};

static const char *event_of(struct str code)
{
	if (str_is(code, "UnauthorizedOperation") || str_is(code, "AccessDenied"))
		return "iamFleetRoleInvalid";
	if (str_is(code, "MaxSpotInstanceCountExceeded"))
		return "spotInstanceCountLimitExceeded";
	return str_is(code, "SpotMaxPriceTooLow") ? "launchSpecUnusable" : "launchSpecTemporarilyBlacklisted";
}

static void edit_outcome(const struct ec2_scope *s, void *ctx)
{
	const struct outcome *o = ctx;
	struct state_ec2_fleet_record r;
	int64_t now = clock_wall_ms();
	if (!ec2_find(s, &ec2_kind_fleet, o->item->id, &r))
		return;
	r.trouble = OPT_BOOL(o->code.n > 0);
	fleet_settle(s, &r, now, true);
	struct str said = ARENA_CAT(s->arena, o->code, S(": "), o->message);
	/* The same again and again is one event. */
	const struct ec2_history_record_entry *last = r.history.n ? &r.history.v[r.history.n - 1] : NULL;
	if (o->code.n && !(last && last->event_information && str_eq(last->event_information->event_description, said)))
		fleet_note(s, &r, now, "service-error", event_of(o->code), STR_NONE, said);
	ec2_put(s, &ec2_kind_fleet, o->item->id, &r);
}

static void outcome_written(void *ctx)
{
	struct outcome *o = ctx;
	struct desk_item *i = o->item;
	arena_done(&o->arena);
	free(o);
	desk_done(i);
}

void fleet_launch_ended(struct desk_item *i, const char *code, const char *message)
{
	struct outcome *o = calloc(1, sizeof(*o));
	if (!o)
		abort();
	*o = (struct outcome){.item = i};
	o->code = arena_dup(&o->arena, str_from(code));
	o->message = arena_dup(&o->arena, str_from(message));
	i->again_ms = !*code ? AGAIN_MS : i->again_ms < TROUBLE_MS ? TROUBLE_MS : i->again_ms * 2;
	if (i->again_ms > TROUBLE_MOST_MS)
		i->again_ms = TROUBLE_MOST_MS;
	desk_edit(i->desk, i->account, i->region, edit_outcome, outcome_written, o);
}

/* --- the step */

static void look(void *ctx)
{
	struct desk_item *i = ctx;
	i->timer = NULL;
	desk_mark(i);
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

void fleet_keep_step(struct desk_item *i, const struct ec2_scope *s, struct state_ec2_fleet_record *r)
{
	int64_t now = clock_wall_ms(), left = INT64_MAX;
	const struct ec2_fleet_data *f = r->fleet;
	if (fleet_settle(s, r, now, false)) {
		i->busy++;
		desk_edit(i->desk, i->account, i->region, edit_settle, settled, i);
		return;
	}
	if (str_is(f->fleet_state, "active") && !r->expired.v && (missing_of(r, false) > 0 || missing_of(r, true) > 0)) {
		left = i->tried_ms + i->again_ms - now;
		if (left <= 0) {
			launch(i, s, r);
			return;
		}
	}
	if (f->valid_from.set && f->valid_from.ms > now)
		left = sooner(left, f->valid_from.ms - now);
	if (!r->expired.v && f->valid_until.set)
		left = sooner(left, f->valid_until.ms - now);
	if (f->replace_unhealthy_instances.v)
		left = sooner(left, LOOK_MS);
	if (left != INT64_MAX)
		i->timer = loop_add_clock_timer(i->desk->cloud->loop, sooner(left > 0 ? left : 0, LOOK_MS) * 1000, look, i);
}

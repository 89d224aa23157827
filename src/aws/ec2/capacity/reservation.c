/* Who may go into which reservation, and what holds its places. */
#include "aws/ec2/capacity/reservation.h"

#include "aws/ec2/instance/instances.h"
#include "base/clock.h"

enum { LISTED_MS = 3600 * 1000 };

static bool matches(const struct ec2_capacity_reservation *r, const struct instance_type *type, struct str zone)
{
	return str_is(r->state, "active") && str_is(r->instance_type, type->name) && str_eq(r->availability_zone, zone);
}

static int find_target(struct call *c, struct str id, const struct instance_type *type, struct str zone, int64_t count,
                       struct reserved *ret)
{
	struct ec2_capacity_reservation *r = ret->v = arena_new(c->arena, struct ec2_capacity_reservation);
	if (ec2_get(c, &ec2_kind_reservation, id, r) != CALL_OK)
		return CALL_FAIL;
	if (!str_is(r->state, "active"))
		return call_fail(c, "InvalidCapacityReservationState", 400, "The Capacity Reservation '%.*s' is not active.",
		                 STR_ARG(id));
	if (!matches(r, type, zone))
		return ec2_combination(
		        c,
		        "The Capacity Reservation '%.*s' is for %.*s in %.*s, and does not match the attributes of the instance.",
		        STR_ARG(id), STR_ARG(r->instance_type), STR_ARG(r->availability_zone));
	if (r->available_instance_count.v < count)
		return call_fail(c, "ReservationCapacityExceeded", 400,
		                 "The Capacity Reservation '%.*s' does not have sufficient available capacity.", STR_ARG(id));
	ret->n = 1;
	ret->places = r->available_instance_count.v;
	ret->only = true;
	return CALL_OK;
}

static int find(struct call *c, struct str preference, struct str target, const struct instance_type *type, struct str zone,
                int64_t count, struct reserved *ret)
{
	struct ec2_scope s = ec2_scope(c);
	if (target.n)
		return find_target(c, target, type, zone, count, ret);
	ret->only = str_is(preference, "capacity-reservations-only");
	if (str_is(preference, "none"))
		return CALL_OK;
	struct ec2_all all = ec2_all(&s, &ec2_kind_reservation);
	struct ec2_capacity_reservation r;
	ret->v = arena_array(c->arena, EC2_RESERVATIONS_MAX, sizeof(r));
	while (ec2_next(&all, &r)) {
		if (!matches(&r, type, zone) || !str_is(r.instance_match_criteria, "open") || r.available_instance_count.v < 1)
			continue;
		ret->v[ret->n++] = r;
		ret->places += r.available_instance_count.v;
	}
	return CALL_OK;
}

int reservation_find(struct call *c, const struct ec2_capacity_reservation_specification *spec, const struct instance_type *type,
                     struct str zone, int64_t count, struct reserved *ret)
{
	static const struct ec2_capacity_reservation_specification none;
	static const struct ec2_capacity_reservation_target nowhere;
	if (!spec)
		spec = &none;
	const struct ec2_capacity_reservation_target *t =
	        spec->capacity_reservation_target ? spec->capacity_reservation_target : &nowhere;
	struct str preference = spec->capacity_reservation_preference;
	*ret = (struct reserved){.shown = arena_new(c->arena, struct ec2_capacity_reservation_specification_response)};
	if (t->capacity_reservation_resource_group_arn.n)
		return call_fail(c, "UnsupportedOperation", 400, "Groups of Capacity Reservations are not supported.");
	if (preference.n && t->capacity_reservation_id.n && !str_is(preference, "capacity-reservations-only"))
		return ec2_combination(c, "CapacityReservationPreference and CapacityReservationTarget cannot both be specified.");
	if (t->capacity_reservation_id.n) {
		ret->shown->capacity_reservation_target = arena_new(c->arena, struct ec2_capacity_reservation_target_response);
		ret->shown->capacity_reservation_target->capacity_reservation_id = t->capacity_reservation_id;
	} else {
		ret->shown->capacity_reservation_preference = preference.n ? preference : S("open");
	}
	return find(c, preference, t->capacity_reservation_id, type, zone, count, ret);
}

int reservation_find_again(struct call *c, const struct ec2_instance *i, struct reserved *ret)
{
	const struct ec2_capacity_reservation_specification_response *spec = i->capacity_reservation_specification;
	const struct instance_type *type = instance_type_find(i->instance_type);
	*ret = (struct reserved){0};
	if (!spec || !type)
		return CALL_OK;
	struct str target =
	        spec->capacity_reservation_target ? spec->capacity_reservation_target->capacity_reservation_id : STR_NONE;
	return find(c, spec->capacity_reservation_preference, target, type, i->placement->availability_zone, 1, ret);
}

void reservation_enter(const struct ec2_scope *s, struct reserved *all, struct ec2_instance *i)
{
	for (uint32_t k = 0; k < all->n; k++) {
		struct ec2_capacity_reservation *r = &all->v[k];
		if (r->available_instance_count.v < 1)
			continue;
		r->available_instance_count.v--;
		all->places--;
		i->capacity_reservation_id = r->capacity_reservation_id;
		ec2_put(s, &ec2_kind_reservation, r->capacity_reservation_id, r);
		return;
	}
}

void reservation_leave(const struct ec2_scope *s, struct ec2_instance *i)
{
	struct ec2_capacity_reservation r;
	struct str id = i->capacity_reservation_id;
	if (!id.n)
		return;
	i->capacity_reservation_id = STR_NONE;
	if (!ec2_find(s, &ec2_kind_reservation, id, &r) || !str_is(r.state, "active"))
		return;
	r.available_instance_count.v++;
	ec2_put(s, &ec2_kind_reservation, id, &r);
}

/* --- the desk */

static void edit_step(const struct ec2_scope *s, void *ctx)
{
	struct desk_item *i = ctx;
	struct ec2_capacity_reservation r;
	if (!ec2_find(s, &ec2_kind_reservation, i->id, &r))
		return;
	if (!str_is(r.state, "active"))
		ec2_drop(s, &ec2_kind_reservation, i->id);
	else
		reservation_end(s, &r, "expired", clock_wall_ms());
}

static void edited(void *ctx)
{
	desk_done(ctx);
}

static void due(void *ctx)
{
	struct desk_item *i = ctx;
	i->timer = NULL;
	desk_mark(i);
}

void reservation_end(const struct ec2_scope *s, struct ec2_capacity_reservation *r, const char *state, int64_t now_ms)
{
	struct ec2_all all = ec2_all(s, &ec2_kind_instance);
	struct state_ec2_instance_record instance,
	        *inside = arena_array(s->arena, (size_t)r->total_instance_count.v + 1, sizeof(instance));
	int64_t n = 0;
	/* they go on, at the price that they would have without it */
	while (ec2_next(&all, &instance))
		if (str_eq(instance.instance->capacity_reservation_id, r->capacity_reservation_id) && n < r->total_instance_count.v)
			inside[n++] = instance;
	while (n-- > 0) {
		inside[n].instance->capacity_reservation_id = STR_NONE;
		ec2_put(s, &ec2_kind_instance, inside[n].instance->instance_id, &inside[n]);
	}
	r->state = str_from(state);
	r->available_instance_count = OPT_INT(0);
	r->end_date = OPT_TIME(now_ms);
	ec2_put(s, &ec2_kind_reservation, r->capacity_reservation_id, r);
}

void reservation_step(struct desk_item *i, const struct ec2_scope *s)
{
	struct ec2_capacity_reservation r;
	i->memory_mib = i->vcpus = 0;
	i->counted = false;
	loop_remove_timer(i->desk->cloud->loop, i->timer);
	i->timer = NULL;
	if (!ec2_find(s, &ec2_kind_reservation, i->id, &r))
		return;
	bool active = i->counted = str_is(r.state, "active");
	const struct instance_type *type = instance_type_find(r.instance_type);
	if (active && type) {
		i->memory_mib = (uint64_t)r.available_instance_count.v * type->memory_mib;
		i->vcpus = (uint32_t)r.available_instance_count.v * type->vcpus;
	}
	/* what has ended is listed for a while */
	int64_t at = active ? r.end_date.ms : r.end_date.ms + LISTED_MS, left = at - clock_wall_ms();
	if (active && !r.end_date.set)
		return;
	if (left > 0) {
		i->timer = loop_add_clock_timer(i->desk->cloud->loop, left * 1000, due, i);
		return;
	}
	i->busy++;
	desk_edit(i->desk, i->account, i->region, edit_step, edited, i);
}

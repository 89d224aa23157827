/* Operations of capacity reservations. */
#include "aws/ec2/capacity/capacity.h"
#include "aws/ec2/capacity/quota.h"
#include "aws/ec2/capacity/reservation.h"
#include "aws/ec2/capacity/spot.h"
#include "aws/ec2/compute.h"
#include "aws/ec2/page.h"
#include "aws/ec2/tag.h"
#include "base/clock.h"

enum { COUNT_MAX = 1000 };

static int unsupported(struct call *c, const char *what)
{
	return call_fail(c, "UnsupportedOperation", 400, "%s not supported.", what);
}

static int check_end(struct call *c, struct str type, struct opt_time end)
{
	if (str_is(type, "limited") && !end.set)
		return ec2_missing(c, "EndDate");
	if (str_is(type, "unlimited") && end.set)
		return ec2_combination(c, "The parameter EndDate cannot be used with the EndDateType unlimited.");
	if (end.set && !str_is(type, "limited"))
		return ec2_combination(c, "The parameter EndDate needs the EndDateType limited.");
	if (end.set && end.ms <= c->now_ms)
		return ec2_invalid(c, "The EndDate has to be in the future.");
	return CALL_OK;
}

static int check_new(struct call *c, const struct ec2_create_capacity_reservation_request *in)
{
	if (in->outpost_arn.n || in->placement_group_arn.n)
		return unsupported(c, "Capacity Reservations on Outposts and in placement groups are");
	if (in->start_date.set || in->commitment_duration.set || in->delivery_preference.n)
		return unsupported(c, "Capacity Reservations that begin later are");
	if (in->ephemeral_storage.v)
		return unsupported(c, "Instance store volumes are");
	if (str_is(in->tenancy, "dedicated"))
		return unsupported(c, "Dedicated tenancy is");
	if (!in->instance_type.n || !in->instance_platform.n || !in->instance_count.set)
		return ec2_missing(c, !in->instance_type.n       ? "InstanceType"
		                      : !in->instance_platform.n ? "InstancePlatform"
		                                                 : "InstanceCount");
	if (!in->availability_zone.n && !in->availability_zone_id.n)
		return ec2_missing(c, "AvailabilityZone");
	if (!str_is(in->instance_platform, "Linux/UNIX"))
		return unsupported(c, "Platforms other than Linux/UNIX are");
	if (in->instance_count.v < 1 || in->instance_count.v > COUNT_MAX)
		return ec2_invalid(c, "Value (%lld) for parameter instanceCount is invalid. Expected a number from 1 to %d.",
		                   (long long)in->instance_count.v, COUNT_MAX);
	return check_end(c, in->end_date_type, in->end_date);
}

static int no_room(struct call *c, const struct instance_type *type, struct str zone)
{
	return call_fail(c, "InsufficientInstanceCapacity", 500,
	                 "We currently do not have sufficient %s capacity in the Availability Zone you requested (%.*s).",
	                 type->name, STR_ARG(zone));
}

/* Instances that run already and would have gone into it: they do, and take no room besides. */
static void absorb(struct call *c, struct ec2_capacity_reservation *r)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_all all = ec2_all(&s, &ec2_kind_instance);
	struct state_ec2_instance_record i, *found = arena_array(c->arena, (size_t)r->total_instance_count.v, sizeof(i));
	int64_t n = 0;
	while (n < r->total_instance_count.v && ec2_next(&all, &i)) {
		enum instance_state state = ec2_instance_state(i.instance);
		const struct ec2_capacity_reservation_specification_response *spec = i.instance->capacity_reservation_specification;
		if ((state == INSTANCE_PENDING || state == INSTANCE_RUNNING) && !i.instance->capacity_reservation_id.n && spec &&
		    str_is(spec->capacity_reservation_preference, "open") && str_eq(i.instance->instance_type, r->instance_type) &&
		    !str_is(i.instance->instance_lifecycle, "spot") &&
		    str_eq(i.instance->placement->availability_zone, r->availability_zone))
			found[n++] = i;
	}
	r->available_instance_count = OPT_INT(r->total_instance_count.v - n);
	while (n-- > 0) {
		found[n].instance->capacity_reservation_id = r->capacity_reservation_id;
		ec2_put(&s, &ec2_kind_instance, found[n].instance->instance_id, &found[n]);
	}
}

int ec2_create_capacity_reservation(struct call *c, const struct ec2_create_capacity_reservation_request *in,
                                    struct ec2_create_capacity_reservation_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_capacity_reservation *r = arena_new(c->arena, struct ec2_capacity_reservation);
	struct ec2_tag_list tags;
	if (check_new(c, in) != CALL_OK)
		return CALL_FAIL;
	struct str zone = in->availability_zone.n ? in->availability_zone : in->availability_zone_id;
	int z = ec2_zone_find(c->arena, c->region, zone);
	if (z < 0)
		return ec2_zone_invalid(c, zone);
	const struct instance_type *type = instance_type_find(in->instance_type);
	if (!type || !instance_type_offered(type))
		return ec2_invalid(c, "Invalid value '%.*s' for InstanceType.", STR_ARG(in->instance_type));
	if (ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_reservation, &tags) != CALL_OK)
		return CALL_FAIL;
	unsigned before = 0;
	struct ec2_all all = ec2_all(&s, &ec2_kind_reservation);
	while (ec2_next(&all, r))
		before++;
	if (before >= EC2_RESERVATIONS_MAX)
		return call_fail(c, "CapacityReservationLimitExceeded", 400,
		                 "You have as many Capacity Reservations as you can have.");
	struct str id = ec2_new_id(c->arena, "cr");
	*r = (struct ec2_capacity_reservation){
	        .capacity_reservation_id = id,
	        .owner_id = c->account,
	        .capacity_reservation_arn = ec2_arn(c, &ec2_kind_reservation, id),
	        .availability_zone = ec2_zone_name(c->arena, c->region, (unsigned)z),
	        .availability_zone_id = ec2_zone_id(c->arena, c->region, (unsigned)z),
	        .instance_type = in->instance_type,
	        .instance_platform = in->instance_platform,
	        .tenancy = S("default"),
	        .total_instance_count = in->instance_count,
	        .ebs_optimized = OPT_BOOL(in->ebs_optimized.v),
	        .ephemeral_storage = OPT_BOOL(false),
	        .state = S("active"),
	        .start_date = OPT_TIME(c->now_ms),
	        .create_date = OPT_TIME(c->now_ms),
	        .end_date = in->end_date,
	        .end_date_type = in->end_date_type.n ? in->end_date_type : S("unlimited"),
	        .instance_match_criteria = in->instance_match_criteria.n ? in->instance_match_criteria : S("open"),
	        .reservation_type = S("default"),
	        .tags = tags,
	};
	r->available_instance_count = r->total_instance_count;
	if (str_is(r->instance_match_criteria, "open"))
		absorb(c, r);
	if (quota_room(c, type, false) < r->available_instance_count.v)
		return quota_fail(c, false);
	if (capacity_room(c, type) < r->available_instance_count.v)
		return no_room(c, type, r->availability_zone);
	capacity_take(c, r->available_instance_count.v * type->memory_mib, r->available_instance_count.v * type->vcpus);
	ec2_put(&s, &ec2_kind_reservation, id, r);
	out->capacity_reservation = r;
	return CALL_OK;
}

/* One that is changed: it has to be there and active. */
static int take_active(struct call *c, struct str id, struct ec2_capacity_reservation *ret)
{
	if (ec2_get(c, &ec2_kind_reservation, id, ret) != CALL_OK)
		return CALL_FAIL;
	if (!str_is(ret->state, "active"))
		return call_fail(c, "InvalidCapacityReservationState", 400,
		                 "The Capacity Reservation '%.*s' is '%.*s' and cannot be changed.", STR_ARG(id),
		                 STR_ARG(ret->state));
	return CALL_OK;
}

int ec2_modify_capacity_reservation(struct call *c, const struct ec2_modify_capacity_reservation_request *in,
                                    struct ec2_modify_capacity_reservation_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_capacity_reservation r;
	if (in->additional_info.n)
		return unsupported(c, "AdditionalInfo is");
	if (take_active(c, in->capacity_reservation_id, &r) != CALL_OK)
		return CALL_FAIL;
	struct str end_type = in->end_date_type.n ? in->end_date_type : in->end_date.set ? r.end_date_type : STR_NONE;
	if (!in->instance_count.set && !in->end_date.set && !in->end_date_type.n && !in->instance_match_criteria.n)
		return ec2_combination(c, "No attributes specified.");
	if (check_end(c, end_type, in->end_date) != CALL_OK)
		return CALL_FAIL;
	if (in->instance_count.set) {
		int64_t used = r.total_instance_count.v - r.available_instance_count.v,
		        more = in->instance_count.v - r.total_instance_count.v;
		const struct instance_type *type = instance_type_find(r.instance_type);
		if (in->instance_count.v < 1 || in->instance_count.v > COUNT_MAX || in->instance_count.v < used)
			return ec2_invalid(c, "Value (%lld) for parameter instanceCount is invalid: %lld instances run in it.",
			                   (long long)in->instance_count.v, (long long)used);
		if (more > 0 && quota_room(c, type, false) < more)
			return quota_fail(c, false);
		if (more > 0 && capacity_room(c, type) < more)
			return no_room(c, type, r.availability_zone);
		if (more > 0)
			capacity_take(c, more * type->memory_mib, more * type->vcpus);
		r.total_instance_count = in->instance_count;
		r.available_instance_count.v += more;
	}
	if (end_type.n) {
		r.end_date_type = end_type;
		r.end_date = in->end_date;
	}
	if (in->instance_match_criteria.n)
		r.instance_match_criteria = in->instance_match_criteria;
	ec2_put(&s, &ec2_kind_reservation, r.capacity_reservation_id, &r);
	out->return_ = OPT_BOOL(true);
	return CALL_OK;
}

int ec2_cancel_capacity_reservation(struct call *c, const struct ec2_cancel_capacity_reservation_request *in,
                                    struct ec2_cancel_capacity_reservation_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_capacity_reservation r;
	if (take_active(c, in->capacity_reservation_id, &r) != CALL_OK)
		return CALL_FAIL;
	reservation_end(&s, &r, "cancelled", c->now_ms);
	out->return_ = OPT_BOOL(true);
	return CALL_OK;
}

static void ask_start(struct call *c, void *record, struct str_list *ret)
{
	*LIST_ADD(c->arena, ret) =
	        time_format(c->arena, ((struct ec2_capacity_reservation *)record)->start_date.ms, TIME_ISO8601_MS);
}

static void ask_end(struct call *c, void *record, struct str_list *ret)
{
	const struct ec2_capacity_reservation *r = record;
	if (r->end_date.set)
		*LIST_ADD(c->arena, ret) = time_format(c->arena, r->end_date.ms, TIME_ISO8601_MS);
}

static const struct ec2_field fields[] = {
        FIELD_TEXT("availability-zone", ec2_capacity_reservation, availability_zone),
        FIELD_TEXT("availability-zone-id", ec2_capacity_reservation, availability_zone_id),
        FIELD_ASK("end-date", ask_end),
        FIELD_TEXT("end-date-type", ec2_capacity_reservation, end_date_type),
        FIELD_TEXT("instance-match-criteria", ec2_capacity_reservation, instance_match_criteria),
        FIELD_TEXT("instance-platform", ec2_capacity_reservation, instance_platform),
        FIELD_TEXT("instance-type", ec2_capacity_reservation, instance_type),
        FIELD_TEXT("outpost-arn", ec2_capacity_reservation, outpost_arn),
        FIELD_TEXT("owner-id", ec2_capacity_reservation, owner_id),
        FIELD_TEXT("placement-group-arn", ec2_capacity_reservation, placement_group_arn),
        FIELD_ASK("start-date", ask_start),
        FIELD_TEXT("state", ec2_capacity_reservation, state),
        FIELD_TEXT("tenancy", ec2_capacity_reservation, tenancy),
        {0},
};

static void show(struct call *c, void *record, void *output)
{
	struct ec2_describe_capacity_reservations_result *out = output;
	struct ec2_capacity_reservation *r = record;
	int64_t used = r->total_instance_count.v - r->available_instance_count.v;
	if (str_is(r->state, "active") && used > 0)
		*LIST_ADD(c->arena, &r->capacity_allocations) =
		        (struct ec2_capacity_allocation){.allocation_type = S("used"), .count = OPT_INT(used)};
	*LIST_ADD(c->arena, &out->capacity_reservations) = *r;
}

int ec2_describe_capacity_reservations(struct call *c, const struct ec2_describe_capacity_reservations_request *in,
                                       struct ec2_describe_capacity_reservations_result *out)
{
	const struct ec2_walk walk = {.kind = &ec2_kind_reservation,
	                              .fields = fields,
	                              .filters = &in->filters,
	                              .ids = &in->capacity_reservation_ids,
	                              .max_results = &in->max_results,
	                              .next_token = in->next_token,
	                              .show = show,
	                              .min = 1,
	                              .max = 1000};
	out->capacity_reservations.set = true;
	return ec2_describe(c, &walk, out, &out->next_token);
}

/* Counts at the next start, so whether there is a place is seen then. */
int ec2_modify_instance_capacity_reservation_attributes(
        struct call *c, const struct ec2_modify_instance_capacity_reservation_attributes_request *in,
        struct ec2_modify_instance_capacity_reservation_attributes_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_instance_record r;
	struct reserved found;
	if (ec2_get(c, &ec2_kind_instance, in->instance_id, &r) != CALL_OK)
		return CALL_FAIL;
	if (!in->capacity_reservation_specification)
		return ec2_missing(c, "CapacityReservationSpecification");
	if (ec2_instance_state(r.instance) != INSTANCE_STOPPED)
		return call_fail(c, "IncorrectInstanceState", 400, "The instance '%.*s' is not in the 'stopped' state.",
		                 STR_ARG(in->instance_id));
	if (str_is(r.instance->instance_lifecycle, "spot"))
		return unsupported(c, "Capacity Reservations of Spot Instances are");
	if (reservation_find(c, in->capacity_reservation_specification, instance_type_find(r.instance->instance_type),
	                     r.instance->placement->availability_zone, 0, &found) != CALL_OK)
		return CALL_FAIL;
	r.instance->capacity_reservation_specification = found.shown;
	ec2_put(&s, &ec2_kind_instance, in->instance_id, &r);
	out->return_ = OPT_BOOL(true);
	return CALL_OK;
}

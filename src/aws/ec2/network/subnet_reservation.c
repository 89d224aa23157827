/* Reserved blocks of subnets: CreateSubnetCidrReservation, GetSubnetCidrReservations, DeleteSubnetCidrReservation. An address of
 * one is nobody's until somebody names it; interfaces that have one already keep it. */
#include "aws/ec2/network/ipv6.h"
#include "aws/ec2/page.h"
#include "aws/ec2/state.h"

static struct str subnet_of(const void *record)
{
	return ((const struct ec2_subnet_cidr_reservation *)record)->subnet_id;
}

const struct ec2_kind ec2_kind_subnet_reservation = {
        .prefix = "scr",
        .type = "subnet-cidr-reservation",
        .noun = "subnetCidrReservation ID",
        .ids = "subnetCidrReservationIds",
        .not_found = "InvalidSubnetCidrReservationID.NotFound",
        .malformed = "InvalidSubnetCidrReservationID.Malformed",
        .tags_at = offsetof(struct ec2_subnet_cidr_reservation, tags),
        .row = {&ec2_api, "SubnetCidrReservation"},
        .size = sizeof(struct ec2_subnet_cidr_reservation),
        .holder = subnet_of,
};

struct ec2_reserved ec2_subnet_reserved(const struct ec2_scope *s, struct str subnet)
{
	struct ec2_reserved all = {0};
	struct ec2_held held = ec2_held(s, &ec2_kind_subnet_reservation, subnet);
	while (ec2_held_next(&held)) {
		struct ec2_subnet_cidr_reservation r;
		struct ec2_block *b = LIST_ADD(s->arena, &all);
		if (!ec2_find(s, &ec2_kind_subnet_reservation, held.id, &r) || !ec2_block_parse(r.cidr, b))
			all.n--; /* of the other family */
	}
	return all;
}

struct ec2_reserved6 ec2_subnet_reserved6(const struct ec2_scope *s, struct str subnet)
{
	struct ec2_reserved6 all = {0};
	struct ec2_held held = ec2_held(s, &ec2_kind_subnet_reservation, subnet);
	while (ec2_held_next(&held)) {
		struct ec2_subnet_cidr_reservation r;
		struct ec2_block6 *b = LIST_ADD(s->arena, &all);
		if (!ec2_find(s, &ec2_kind_subnet_reservation, held.id, &r) || !ec2_block6_parse(r.cidr, b))
			all.n--;
	}
	return all;
}

void ec2_subnet_reservations_drop(const struct ec2_scope *s, struct str subnet, bool only_ipv6)
{
	struct str_list ids = {0};
	struct ec2_subnet_cidr_reservation r;
	struct ec2_held held = ec2_held(s, &ec2_kind_subnet_reservation, subnet);
	while (ec2_held_next(&held))
		if (ec2_find(s, &ec2_kind_subnet_reservation, held.id, &r) && (!only_ipv6 || ec2_is_ipv6(r.cidr)))
			*LIST_ADD(s->arena, &ids) = held.id;
	for (uint32_t i = 0; i < ids.n; i++)
		ec2_drop(s, &ec2_kind_subnet_reservation, ids.v[i]);
}

/* Within the subnet, clear of its other reservations? The block's own spelling goes to *ret. */
static int check_block(struct call *c, const struct ec2_subnet *subnet, struct str given, struct str *ret)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_block b;
	struct ec2_block6 b6, whole6;
	bool within, taken = false;
	if (ec2_block_parse(given, &b)) {
		struct ec2_reserved others = ec2_subnet_reserved(&s, subnet->subnet_id);
		within = ec2_block_within(b, ec2_subnet_block(subnet));
		for (uint32_t i = 0; i < others.n; i++)
			taken |= ec2_block_overlap(b, others.v[i]);
		*ret = ec2_block_text(c->arena, b);
	} else if (ec2_block6_parse(given, &b6)) {
		struct ec2_reserved6 others = ec2_subnet_reserved6(&s, subnet->subnet_id);
		within = ec2_subnet_block6(subnet, &whole6) && ec2_block6_within(&b6, &whole6);
		for (uint32_t i = 0; i < others.n; i++)
			taken |= ec2_block6_overlap(&b6, &others.v[i]);
		*ret = ec2_block6_text(c->arena, &b6);
	} else {
		return ec2_invalid(c, "Value (%.*s) for parameter cidr is invalid. This is not a valid CIDR block.",
		                   STR_ARG(given));
	}
	if (!within)
		return ec2_invalid(c, "The CIDR '%.*s' is not within the CIDR blocks of the subnet '%.*s'.", STR_ARG(given),
		                   STR_ARG(subnet->subnet_id));
	if (taken)
		return ec2_invalid(c, "The CIDR '%.*s' overlaps with an existing CIDR reservation of the subnet '%.*s'.",
		                   STR_ARG(given), STR_ARG(subnet->subnet_id));
	return CALL_OK;
}

int ec2_create_subnet_cidr_reservation(struct call *c, const struct ec2_create_subnet_cidr_reservation_request *in,
                                       struct ec2_create_subnet_cidr_reservation_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_subnet subnet;
	struct ec2_subnet_cidr_reservation *made = arena_new(c->arena, struct ec2_subnet_cidr_reservation);
	if (ec2_get(c, &ec2_kind_subnet, in->subnet_id, &subnet) != CALL_OK)
		return CALL_FAIL;
	if (!str_set(in->cidr))
		return ec2_missing(c, "cidr");
	if (!str_set(in->reservation_type))
		return ec2_missing(c, "reservationType");
	if (!str_is(in->reservation_type, "prefix") && !str_is(in->reservation_type, "explicit"))
		return ec2_invalid(c, "Value (%.*s) for parameter reservationType is invalid. Valid values: prefix, explicit.",
		                   STR_ARG(in->reservation_type));
	if (check_block(c, &subnet, in->cidr, &made->cidr) != CALL_OK ||
	    ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_subnet_reservation, &made->tags) != CALL_OK)
		return CALL_FAIL;
	made->subnet_cidr_reservation_id = ec2_new_id(c->arena, "scr");
	made->subnet_id = in->subnet_id;
	made->reservation_type = in->reservation_type;
	made->owner_id = c->account;
	made->description = in->description;
	ec2_put(&s, &ec2_kind_subnet_reservation, made->subnet_cidr_reservation_id, made);
	out->subnet_cidr_reservation = made;
	return CALL_OK;
}

int ec2_delete_subnet_cidr_reservation(struct call *c, const struct ec2_delete_subnet_cidr_reservation_request *in,
                                       struct ec2_delete_subnet_cidr_reservation_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	out->deleted_subnet_cidr_reservation = arena_new(c->arena, struct ec2_subnet_cidr_reservation);
	if (ec2_get(c, &ec2_kind_subnet_reservation, in->subnet_cidr_reservation_id, out->deleted_subnet_cidr_reservation) !=
	    CALL_OK)
		return CALL_FAIL;
	ec2_drop(&s, &ec2_kind_subnet_reservation, in->subnet_cidr_reservation_id);
	return CALL_OK;
}

static const struct ec2_field fields[] = {
        FIELD_TEXT("reservationType", ec2_subnet_cidr_reservation, reservation_type),
        FIELD_TEXT("subnet-id", ec2_subnet_cidr_reservation, subnet_id),
        {0},
};

static bool of_another(struct call *c, void *record)
{
	return !str_eq(subnet_of(record), ec2_input_text(c, "SubnetId"));
}

static void show(struct call *c, void *record, void *result)
{
	struct ec2_get_subnet_cidr_reservations_result *out = result;
	const struct ec2_subnet_cidr_reservation *r = record;
	*LIST_ADD(c->arena, ec2_is_ipv6(r->cidr) ? &out->subnet_ipv6_cidr_reservations : &out->subnet_ipv4_cidr_reservations) = *r;
}

int ec2_get_subnet_cidr_reservations(struct call *c, const struct ec2_get_subnet_cidr_reservations_request *in,
                                     struct ec2_get_subnet_cidr_reservations_result *out)
{
	struct ec2_subnet subnet;
	if (ec2_get(c, &ec2_kind_subnet, in->subnet_id, &subnet) != CALL_OK)
		return CALL_FAIL;
	out->subnet_ipv4_cidr_reservations.set = out->subnet_ipv6_cidr_reservations.set = true;
	return ec2_describe(c,
	                    &(struct ec2_walk){.kind = &ec2_kind_subnet_reservation,
	                                       .fields = fields,
	                                       .filters = &in->filters,
	                                       .max_results = &in->max_results,
	                                       .next_token = in->next_token,
	                                       .hidden = of_another,
	                                       .show = show},
	                    out, &out->next_token);
}

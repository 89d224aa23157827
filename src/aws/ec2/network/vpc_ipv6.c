/* IPv6 blocks of VPCs and subnets. A block of a VPC is recorded under ("ec2", "ipv6", block) too, whatever account and region it is
 * of, so that nobody else gets it. */
#include "aws/ec2/network/ipv6.h"

#include "base/rand.h"

enum { VPC_BITS = 56, SUBNET_BITS_MIN = 44, SUBNET_BITS_MAX = 64 };

/* --- VPCs */

int ec2_vpc_check_ipv6(struct call *c, struct str block, struct str pool, struct str ipam, struct str border_group)
{
	if (str_set(block) || str_set(pool) || str_set(ipam))
		return ec2_unsupported(c, "An IPv6 block of one's own");
	if (str_set(border_group) && !str_eq(border_group, c->region))
		return ec2_invalid(c, "Value (%.*s) for parameter ipv6CidrBlockNetworkBorderGroup is invalid.",
		                   STR_ARG(border_group));
	return CALL_OK;
}

static struct str block_key(const struct ec2_scope *s, struct str block)
{
	return KEY(s->arena, S("ec2"), S("ipv6"), block);
}

static struct ec2_block6 free_block(const struct ec2_scope *s)
{
	struct ec2_block6 b = {.bits = VPC_BITS};
	struct store_value v;
	do {
		rand_bytes(b.base + 1, VPC_BITS / 8 - 1);
		b.base[0] = 0xfd;
		/* fd00: has the addresses that people choose by hand, and Amazon's own services */
	} while (b.base[1] == 0 || store_get(s->txn, block_key(s, ec2_block6_text(s->arena, &b)), &v));
	return b;
}

static struct ec2_block6 vpc_block(const struct ec2_vpc *vpc, uint32_t at)
{
	struct ec2_block6 b = {.bits = 128};
	ec2_block6_parse(vpc->ipv6_cidr_block_association_set.v[at].ipv6_cidr_block, &b);
	return b;
}

bool ec2_vpc_has_block6(const struct ec2_vpc *vpc, const struct ec2_block6 *block)
{
	for (uint32_t i = 0; i < vpc->ipv6_cidr_block_association_set.n; i++) {
		struct ec2_block6 own = vpc_block(vpc, i);
		if (ec2_block6_within(block, &own))
			return true;
	}
	return false;
}

bool ec2_vpc_has_ipv6(const struct ec2_scope *s, struct str vpc)
{
	struct state_vpc_vpc_record record;
	return ec2_find(s, &ec2_kind_vpc, vpc, &record) && record.vpc->ipv6_cidr_block_association_set.n;
}

struct ec2_vpc_ipv6_cidr_block_association *ec2_vpc_add_ipv6(struct call *c, struct ec2_vpc *vpc)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_block6 block = free_block(&s);
	bool first = vpc->ipv6_cidr_block_association_set.n == 0;
	struct ec2_vpc_ipv6_cidr_block_association *a = LIST_ADD(c->arena, &vpc->ipv6_cidr_block_association_set);
	*a = (struct ec2_vpc_ipv6_cidr_block_association){
	        .association_id = ec2_new_id(c->arena, "vpc-cidr-assoc"),
	        .ipv6_cidr_block = ec2_block6_text(c->arena, &block),
	        .ipv6_cidr_block_state = arena_new(c->arena, struct ec2_vpc_cidr_block_state),
	        .network_border_group = c->region,
	        .ipv6_pool = S("Amazon"),
	        .ipv6_address_attribute = S("public"),
	        .ip_source = S("amazon"),
	};
	a->ipv6_cidr_block_state->state = S("associated");
	store_put(s.txn, block_key(&s, a->ipv6_cidr_block), vpc->vpc_id);
	ec2_route_tables_set_block(c, vpc->vpc_id, a->ipv6_cidr_block, true);
	if (first) {
		ec2_acls_add_ipv6(&s, vpc->vpc_id);
		ec2_groups_add_ipv6(c, vpc->vpc_id);
	}
	return a;
}

void ec2_vpc_forget_ipv6(const struct ec2_scope *s, const struct ec2_vpc *vpc)
{
	for (uint32_t i = 0; i < vpc->ipv6_cidr_block_association_set.n; i++)
		store_delete(s->txn, block_key(s, vpc->ipv6_cidr_block_association_set.v[i].ipv6_cidr_block));
}

int ec2_vpc_drop_ipv6(struct call *c, struct state_vpc_vpc_record *vpc, uint32_t at,
                      struct ec2_vpc_ipv6_cidr_block_association **ret)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_vpc_ipv6_cidr_block_association_set *set = &vpc->vpc->ipv6_cidr_block_association_set;
	struct ec2_block6 block = vpc_block(vpc->vpc, at), own;
	struct ec2_subnet subnet;
	struct ec2_all all = ec2_all(&s, &ec2_kind_subnet);
	while (ec2_next(&all, &subnet))
		if (str_eq(subnet.vpc_id, vpc->vpc->vpc_id) && ec2_subnet_block6(&subnet, &own) && ec2_block6_within(&own, &block))
			return call_fail(c, "CidrBlockInUse", 400, "The CIDR block %.*s is in use by a subnet of this VPC",
			                 STR_ARG(set->v[at].ipv6_cidr_block));
	struct ec2_vpc_ipv6_cidr_block_association *gone = arena_new(c->arena, struct ec2_vpc_ipv6_cidr_block_association);
	*gone = set->v[at];
	gone->ipv6_cidr_block_state = arena_new(c->arena, struct ec2_vpc_cidr_block_state);
	gone->ipv6_cidr_block_state->state = S("disassociating");
	memmove(&set->v[at], &set->v[at + 1], (set->n - at - 1) * sizeof(*set->v));
	set->n--;
	store_delete(s.txn, block_key(&s, gone->ipv6_cidr_block));
	ec2_put(&s, &ec2_kind_vpc, vpc->vpc->vpc_id, vpc);
	ec2_route_tables_set_block(c, vpc->vpc->vpc_id, gone->ipv6_cidr_block, false);
	*ret = gone;
	return CALL_OK;
}

/* --- subnets */

bool ec2_subnet_block6(const struct ec2_subnet *subnet, struct ec2_block6 *ret)
{
	return subnet->ipv6_cidr_block_association_set.n &&
	       ec2_block6_parse(subnet->ipv6_cidr_block_association_set.v[0].ipv6_cidr_block, ret);
}

int ec2_subnet_check_block6(struct call *c, const struct ec2_vpc *vpc, struct str text, struct ec2_block6 *ret)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_subnet subnet;
	struct ec2_block6 other;
	if (!ec2_block6_parse(text, ret))
		return ec2_invalid(c, "Value (%.*s) for parameter ipv6CidrBlock is invalid. This is not a valid CIDR block.",
		                   STR_ARG(text));
	if (ret->bits < SUBNET_BITS_MIN || ret->bits > SUBNET_BITS_MAX || ret->bits % 4 || !ec2_vpc_has_block6(vpc, ret))
		return call_fail(c, "InvalidSubnet.Range", 400, "The CIDR '%.*s' is invalid.", STR_ARG(text));
	struct ec2_all all = ec2_all(&s, &ec2_kind_subnet);
	while (ec2_next(&all, &subnet))
		if (str_eq(subnet.vpc_id, vpc->vpc_id) && ec2_subnet_block6(&subnet, &other) && ec2_block6_overlap(&other, ret))
			return call_fail(c, "InvalidSubnet.Conflict", 400, "The CIDR '%.*s' conflicts with another subnet",
			                 STR_ARG(text));
	return CALL_OK;
}

struct ec2_subnet_ipv6_cidr_block_association *ec2_subnet_add_block6(struct call *c, struct ec2_subnet *subnet,
                                                                     const struct ec2_block6 *block)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_subnet_ipv6_cidr_block_association *a = LIST_ADD(c->arena, &subnet->ipv6_cidr_block_association_set);
	*a = (struct ec2_subnet_ipv6_cidr_block_association){
	        .association_id = ec2_new_id(c->arena, "subnet-cidr-assoc"),
	        .ipv6_cidr_block = ec2_block6_text(c->arena, block),
	        .ipv6_cidr_block_state = arena_new(c->arena, struct ec2_subnet_cidr_block_state),
	        .ipv6_address_attribute = S("public"),
	        .ip_source = S("amazon"),
	};
	a->ipv6_cidr_block_state->state = S("associated");
	ec2_put(&s, &ec2_kind_subnet, subnet->subnet_id, subnet);
	return a;
}

int ec2_associate_subnet_cidr_block(struct call *c, const struct ec2_associate_subnet_cidr_block_request *in,
                                    struct ec2_associate_subnet_cidr_block_result *out)
{
	struct ec2_subnet subnet;
	struct state_vpc_vpc_record vpc;
	struct ec2_block6 block;
	if (str_set(in->ipv6_ipam_pool_id) || in->ipv6_netmask_length.set)
		return ec2_unsupported(c, "An IPAM pool");
	if (!str_set(in->ipv6_cidr_block))
		return ec2_missing(c, "ipv6CidrBlock");
	if (ec2_get(c, &ec2_kind_subnet, in->subnet_id, &subnet) != CALL_OK ||
	    ec2_get(c, &ec2_kind_vpc, subnet.vpc_id, &vpc) != CALL_OK)
		return CALL_FAIL;
	if (subnet.ipv6_cidr_block_association_set.n)
		return call_fail(c, "CidrLimitExceeded", 400,
		                 "This subnet '%.*s' has met its maximum number of allowed IPv6 CIDRs: 1", STR_ARG(in->subnet_id));
	if (ec2_subnet_check_block6(c, vpc.vpc, in->ipv6_cidr_block, &block) != CALL_OK)
		return CALL_FAIL;
	out->subnet_id = in->subnet_id;
	out->ipv6_cidr_block_association = ec2_subnet_add_block6(c, &subnet, &block);
	return CALL_OK;
}

int ec2_disassociate_subnet_cidr_block(struct call *c, const struct ec2_disassociate_subnet_cidr_block_request *in,
                                       struct ec2_disassociate_subnet_cidr_block_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_subnet subnet;
	struct state_vpc_interface_record eni;
	struct ec2_all all = ec2_all(&s, &ec2_kind_subnet);
	bool found = false;
	while (!found && ec2_next(&all, &subnet))
		found = subnet.ipv6_cidr_block_association_set.n &&
		        str_eq(subnet.ipv6_cidr_block_association_set.v[0].association_id, in->association_id);
	if (!found)
		return call_fail(c, "InvalidSubnetCidrBlockAssociationID.NotFound", 400,
		                 "The subnet CIDR block association ID '%.*s' does not exist", STR_ARG(in->association_id));
	struct ec2_subnet_ipv6_cidr_block_association *gone = &subnet.ipv6_cidr_block_association_set.v[0];
	all = ec2_all(&s, &ec2_kind_interface);
	while (ec2_next(&all, &eni))
		if (str_eq(eni.interface->subnet_id, subnet.subnet_id) && eni.interface->ipv6_addresses.n)
			return ec2_depends(c, "The subnet CIDR block with association ID %.*s has dependencies",
			                   STR_ARG(in->association_id));
	if (subnet.assign_ipv6_address_on_creation.v)
		return ec2_invalid(c, "Subnet '%.*s' assigns IPv6 addresses on creation. Disable that first.",
		                   STR_ARG(subnet.subnet_id));
	out->subnet_id = subnet.subnet_id;
	out->ipv6_cidr_block_association = arena_new(c->arena, struct ec2_subnet_ipv6_cidr_block_association);
	*out->ipv6_cidr_block_association = *gone;
	out->ipv6_cidr_block_association->ipv6_cidr_block_state = arena_new(c->arena, struct ec2_subnet_cidr_block_state);
	out->ipv6_cidr_block_association->ipv6_cidr_block_state->state = S("disassociating");
	subnet.ipv6_cidr_block_association_set = (struct ec2_subnet_ipv6_cidr_block_association_set){.set = true};
	ec2_subnet_reservations_drop(&s, subnet.subnet_id, true);
	ec2_put(&s, &ec2_kind_subnet, subnet.subnet_id, &subnet);
	return CALL_OK;
}

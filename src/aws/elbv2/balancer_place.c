/* Where a balancer has its nodes: one in each subnet, with an interface lent by EC2, and the groups that guard them. */
#include "rows.h"

#include "aws/ec2/ec2.h"

#include <arpa/inet.h>

/* --- subnets */

static int take_subnet(struct call *c, const struct elbv2_subnet_mapping *m, bool network, bool internal, bool ipv6,
                       struct elb_places *ret)
{
	struct str zone = ec2_subnet_zone(call_txn(c), c->arena, c->account, c->region, m->subnet_id);
	struct str vpc = ec2_subnet_vpc(call_txn(c), c->arena, c->account, c->region, m->subnet_id);
	if (!str_set(zone))
		return call_fail(c, "SubnetNotFound", 0, "The subnet ID '%.*s' does not exist", STR_ARG(m->subnet_id));
	if (str_set(ret->vpc) && !str_eq(vpc, ret->vpc))
		return elb_configuration(c, "All subnets must belong to the same VPC: '%.*s'", STR_ARG(ret->vpc));
	ret->vpc = vpc;
	for (uint32_t i = 0; i < ret->n; i++)
		if (str_eq(ret->v[i].zone, zone))
			return elb_configuration(
			        c, "A load balancer cannot be attached to multiple subnets in the same Availability Zone");
	if (m->source_nat_ipv6_prefix.n)
		return elb_absent(c, "Prefixes for IPv6 source NAT are");
	if (ipv6 && !ec2_subnet_has_ipv6(c, m->subnet_id))
		return elb_invalid(c, "You must specify subnets with an associated IPv6 CIDR block.");
	if (m->ipv6_address.n && !ipv6)
		return elb_configuration(
		        c, "IPv6 addresses can be specified for load balancers with the IP address type 'dualstack' only");
	if (!network && (m->allocation_id.n || m->private_ipv4_address.n || m->ipv6_address.n))
		return elb_configuration(c, "Addresses of nodes can be specified for load balancers of type 'network' only");
	if (m->allocation_id.n && internal)
		return elb_configuration(c, "Allocation IDs can be specified for internet-facing load balancers only");
	if (m->private_ipv4_address.n && !internal)
		return elb_configuration(c, "Private IPv4 addresses can be specified for internal load balancers only");
	*LIST_ADD(c->arena, ret) =
	        (struct state_elbv2_node){.subnet = m->subnet_id,
	                                  .zone = zone,
	                                  .allocation = m->allocation_id.n ? m->allocation_id : STR_NONE,
	                                  .address = m->private_ipv4_address.n ? m->private_ipv4_address : STR_NONE,
	                                  .address6 = m->ipv6_address.n ? m->ipv6_address : STR_NONE};
	for (uint32_t k = ret->n - 1; k && str_cmp(ret->v[k - 1].zone, ret->v[k].zone) > 0; k--) {
		struct state_elbv2_node other = ret->v[k];
		ret->v[k] = ret->v[k - 1];
		ret->v[k - 1] = other;
	}
	return CALL_OK;
}

int elb_places_check(struct call *c, bool network, bool internal, const struct str_list *subnets,
                     const struct elbv2_subnet_mappings *mappings, bool ipv6, struct elb_places *ret)
{
	*ret = (struct elb_places){0};
	if (subnets->n && mappings->n)
		return elb_invalid(c, "Subnets and subnet mappings cannot be specified at the same time");
	for (uint32_t i = 0; i < subnets->n; i++)
		if (take_subnet(c, &(struct elbv2_subnet_mapping){.subnet_id = subnets->v[i]}, network, internal, ipv6, ret) !=
		    CALL_OK)
			return CALL_FAIL;
	for (uint32_t i = 0; i < mappings->n; i++)
		if (take_subnet(c, &mappings->v[i], network, internal, ipv6, ret) != CALL_OK)
			return CALL_FAIL;
	if (!network && ret->n < 2)
		return elb_invalid(c, "At least two subnets in two different Availability Zones must be specified");
	if (!ret->n)
		return elb_invalid(c, "At least one subnet must be specified");
	if (!internal && !ec2_vpc_reaches_internet(c, ret->vpc))
		return call_fail(c, "InvalidSubnet", 0, "VPC %.*s has no internet gateway", STR_ARG(ret->vpc));
	return CALL_OK;
}

/* --- groups */

int elb_security_groups_check(struct call *c, const struct str_list *in, struct str vpc, bool usual, struct str_list *ret)
{
	*ret = (struct str_list){.set = true};
	for (uint32_t i = 0; i < in->n; i++) {
		struct str of = ec2_group_vpc(c, in->v[i]);
		if (!str_set(of))
			return call_fail(c, "InvalidSecurityGroup", 0, "The security group '%.*s' does not exist",
			                 STR_ARG(in->v[i]));
		if (!str_eq(of, vpc))
			return elb_configuration(c, "The security group '%.*s' does not belong to VPC '%.*s'", STR_ARG(in->v[i]),
			                         STR_ARG(vpc));
		if (!elb_among(ret, in->v[i]))
			*LIST_ADD(c->arena, ret) = in->v[i];
	}
	if (!ret->n && usual)
		*LIST_ADD(c->arena, ret) = ec2_default_group(c, vpc);
	if (ret->n > ELB_SECURITY_GROUPS_MAX)
		return elb_configuration(c, "A load balancer can have at most '%d' security groups", ELB_SECURITY_GROUPS_MAX);
	return CALL_OK;
}

/* --- interfaces */

/* EC2's error in the words of this service. */
static int not_lent(struct call *c, const struct state_elbv2_node *n)
{
	struct str code = c->error.code;
	if (str_is(code, "InsufficientFreeAddressesInSubnet"))
		return call_fail(c, "InvalidSubnet", 0, "Not enough IP space available in %.*s", STR_ARG(n->subnet));
	if (str_is(code, "InsufficientAddressCapacity"))
		return call_fail(c, "InsufficientCapacity", 0, "There are no public addresses left");
	if (str_starts(code, S("Invalid")))
		return elb_configuration(c, "%.*s", STR_ARG(c->error.message));
	return CALL_FAIL;
}

/* With an address of Amazon's pool? */
static bool is_public(const struct elbv2_load_balancer *b, const struct state_elbv2_node *n)
{
	return !str_is(b->scheme, "internal") && !str_is(b->ip_address_type, "dualstack-without-public-ipv4") &&
	       !str_set(n->allocation);
}

static int lend(struct call *c, const struct state_elbv2_balancer_record *r, struct state_elbv2_node *n)
{
	const struct elbv2_load_balancer *b = r->balancer;
	struct elb_scope s = elb_scope(c);
	struct elb_name name;
	struct ec2_lent lent;
	bool network = elb_is_network(r);
	if (!elb_name_parse(&s, b->load_balancer_arn, &name))
		return call_broken(c, "a load balancer has no name");
	if (str_set(n->allocation) && !ec2_allocation_free(c, n->allocation))
		return call_fail(c, "AllocationIdNotFound", 0, "The allocation IDs '%.*s' are not available for use",
		                 STR_ARG(n->allocation));
	struct ec2_lend what = {
	        .subnet = n->subnet,
	        .groups = &b->security_groups,
	        .public = is_public(b, n),
	        .ipv6 = elb_has_ipv6(b),
	        .address6 = n->address6,
	        .requester = S("amazon-elb"),
	        .description = ARENA_CAT(c->arena, network ? S("ELB net/") : S("ELB app/"), name.name, S("/"), name.id),
	        .type = network ? S("network_load_balancer") : STR_NONE,
	        .unfiltered = network && !b->security_groups.n,
	        .address = n->address,
	        .allocation = n->allocation,
	};
	if (ec2_lend_interface(c, &what, &lent) != CALL_OK)
		return not_lent(c, n);
	n->interface = lent.id;
	return CALL_OK;
}

static struct state_elbv2_node *node_in(struct state_elbv2_nodes *nodes, const struct state_elbv2_node *wanted)
{
	for (uint32_t i = 0; i < nodes->n; i++)
		if (str_eq(nodes->v[i].subnet, wanted->subnet) && str_eq(nodes->v[i].allocation, wanted->allocation) &&
		    str_eq(nodes->v[i].address, wanted->address) && str_eq(nodes->v[i].address6, wanted->address6))
			return &nodes->v[i];
	return NULL;
}

static void show_zones(struct call *c, struct state_elbv2_balancer_record *r)
{
	struct elbv2_availability_zones zones = {.set = true};
	for (uint32_t i = 0; i < r->nodes.n; i++) {
		const struct state_elbv2_node *n = &r->nodes.v[i];
		struct elbv2_availability_zone *z = LIST_ADD(c->arena, &zones);
		*z = (struct elbv2_availability_zone){
		        .zone_name = n->zone, .subnet_id = n->subnet, .load_balancer_addresses = {.set = true}};
		struct ec2_lent lent;
		bool given = str_set(n->allocation) || str_set(n->address) || (elb_is_network(r) && elb_has_ipv6(r->balancer));
		if (!given || !ec2_find_lent(call_txn(c), c->arena, c->account, c->region, n->interface, &lent))
			continue;
		*LIST_ADD(c->arena, &z->load_balancer_addresses) =
		        (struct elbv2_load_balancer_address){.ip_address = lent.public,
		                                             .allocation_id = n->allocation,
		                                             .private_ipv4_address = n->address,
		                                             .ipv6_address = elb_is_network(r) ? lent.address6 : STR_NONE};
	}
	r->balancer->availability_zones = zones;
}

int elb_places_take(struct call *c, struct state_elbv2_balancer_record *r, const struct elb_places *places)
{
	struct state_elbv2_nodes nodes = {.set = true};
	for (uint32_t i = 0; i < places->n; i++) {
		const struct state_elbv2_node *old = node_in(&r->nodes, &places->v[i]);
		*LIST_ADD(c->arena, &nodes) = old ? *old : places->v[i];
	}
	/* what goes makes room first */
	for (uint32_t i = 0; i < r->nodes.n; i++)
		if (!node_in(&nodes, &r->nodes.v[i]))
			ec2_return_interface(call_txn(c), c->arena, c->account, c->region, r->nodes.v[i].interface);
	for (uint32_t i = 0; i < nodes.n; i++)
		if (!str_set(nodes.v[i].interface) && lend(c, r, &nodes.v[i]) != CALL_OK)
			return CALL_FAIL;
	r->nodes = nodes;
	show_zones(c, r);
	return CALL_OK;
}

/* --- kinds of addresses */

int elb_address_type_check(struct call *c, bool network, bool internal, struct str type, struct str *ret)
{
	*ret = str_set(type) ? type : S("ipv4");
	if (str_is(*ret, "ipv4") || str_is(*ret, "dualstack"))
		return CALL_OK;
	if (str_is(*ret, "dualstack-without-public-ipv4") && !network && !internal)
		return CALL_OK;
	return elb_invalid(c, "The IP address type '%.*s' is not supported for this load balancer", STR_ARG(type));
}

/* Packets of UDP would have to be led by the router, which leads those of IPv4 alone. */
static int check_listeners(struct call *c, const struct state_elbv2_balancer_record *r)
{
	struct elb_scope s = elb_scope(c);
	struct elb_listeners all = elb_listeners_of(&s, r->balancer->load_balancer_name);
	for (uint32_t i = 0; i < all.n; i++)
		if (elb_listener_is_of_packets(all.v[i].listener->protocol))
			return elb_absent(c, "Prefixes for IPv6 source NAT, which listeners of UDP need with 'dualstack', are");
	return CALL_OK;
}

static int change_type(struct call *c, struct state_elbv2_balancer_record *r, struct str wanted)
{
	struct str type;
	if (elb_address_type_check(c, elb_is_network(r), str_is(r->balancer->scheme, "internal"), wanted, &type) != CALL_OK)
		return CALL_FAIL;
	if (str_eq(type, r->balancer->ip_address_type))
		return CALL_OK;
	r->balancer->ip_address_type = type;
	bool ipv6 = elb_has_ipv6(r->balancer);
	if (ipv6 && check_listeners(c, r) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < r->nodes.n; i++) {
		struct state_elbv2_node *n = &r->nodes.v[i];
		if (ipv6 && !ec2_subnet_has_ipv6(c, n->subnet))
			return elb_invalid(c, "You must specify subnets with an associated IPv6 CIDR block.");
		n->address6 = ipv6 ? n->address6 : STR_NONE;
		if (ec2_lent_set_addresses(c, n->interface, ipv6, is_public(r->balancer, n)) != CALL_OK)
			return not_lent(c, n);
	}
	show_zones(c, r);
	return CALL_OK;
}

/* --- operations */

int elbv2_set_subnets(struct call *c, const struct elbv2_set_subnets_input *in, struct elbv2_set_subnets_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_balancer_record r;
	struct elb_places places;
	if (elb_balancer_get(c, in->load_balancer_arn, &r) != CALL_OK)
		return CALL_FAIL;
	if (str_is(in->enable_prefix_for_ipv6_source_nat, "on"))
		return elb_absent(c, "Prefixes for IPv6 source NAT are");
	bool ipv6 = str_set(in->ip_address_type) ? str_starts(in->ip_address_type, S("dualstack")) : elb_has_ipv6(r.balancer);
	if (elb_places_check(c, elb_is_network(&r), str_is(r.balancer->scheme, "internal"), &in->subnets, &in->subnet_mappings,
	                     ipv6, &places) != CALL_OK)
		return CALL_FAIL;
	if (!str_eq(places.vpc, r.balancer->vpc_id))
		return elb_configuration(c, "The subnets must belong to the VPC of the load balancer: '%.*s'",
		                         STR_ARG(r.balancer->vpc_id));
	if (str_set(in->ip_address_type) && change_type(c, &r, in->ip_address_type) != CALL_OK)
		return CALL_FAIL;
	if (elb_places_take(c, &r, &places) != CALL_OK)
		return CALL_FAIL;
	elb_balancer_put(&s, &r);
	out->availability_zones = r.balancer->availability_zones;
	out->ip_address_type = r.balancer->ip_address_type;
	return CALL_OK;
}

int elbv2_set_security_groups(struct call *c, const struct elbv2_set_security_groups_input *in,
                              struct elbv2_set_security_groups_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_balancer_record r;
	struct str_list groups;
	if (elb_balancer_get(c, in->load_balancer_arn, &r) != CALL_OK)
		return CALL_FAIL;
	if (elb_is_network(&r) && !r.balancer->security_groups.n)
		return elb_configuration(
		        c, "Security groups cannot be set on a network load balancer that was created without any: '%.*s'",
		        STR_ARG(in->load_balancer_arn));
	if (!in->security_groups.n)
		return elb_invalid(c, "At least one security group must be specified");
	if (str_is(in->enforce_security_group_inbound_rules_on_private_link_traffic, "off"))
		return elb_absent(c, "Traffic through AWS PrivateLink is");
	if (elb_security_groups_check(c, &in->security_groups, r.balancer->vpc_id, false, &groups) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < r.nodes.n; i++)
		if (ec2_lent_set_groups(c, r.nodes.v[i].interface, &groups) != CALL_OK)
			return not_lent(c, &r.nodes.v[i]);
	r.balancer->security_groups = groups;
	elb_balancer_put(&s, &r);
	out->security_group_ids = groups;
	if (elb_is_network(&r))
		out->enforce_security_group_inbound_rules_on_private_link_traffic = S("on");
	return CALL_OK;
}

int elbv2_set_ip_address_type(struct call *c, const struct elbv2_set_ip_address_type_input *in,
                              struct elbv2_set_ip_address_type_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_balancer_record r;
	if (elb_balancer_get(c, in->load_balancer_arn, &r) != CALL_OK || change_type(c, &r, in->ip_address_type) != CALL_OK)
		return CALL_FAIL;
	elb_balancer_put(&s, &r);
	out->ip_address_type = r.balancer->ip_address_type;
	return CALL_OK;
}

/* Routes: CreateRoute, ReplaceRoute, DeleteRoute. */
#include "aws/ec2/network/endpoint.h"
#include "aws/ec2/network/ipv6.h"

/* What a request says a route leads to, whichever request it is. */
struct target {
	struct str gateway, nat, interface, instance, peering, egress, other;
	bool local;
};
#define TARGET(in) \
	((struct target){ \
	        .gateway = (in)->gateway_id, \
	        .nat = (in)->nat_gateway_id, \
	        .interface = (in)->network_interface_id, \
	        .instance = (in)->instance_id, \
	        .peering = (in)->vpc_peering_connection_id, \
	        .egress = (in)->egress_only_internet_gateway_id, \
	        .other = str_set((in)->vpc_endpoint_id)      ? (in)->vpc_endpoint_id \
	                 : str_set((in)->transit_gateway_id) ? (in)->transit_gateway_id \
	                 : str_set((in)->local_gateway_id)   ? (in)->local_gateway_id \
	                 : str_set((in)->carrier_gateway_id) ? (in)->carrier_gateway_id \
	                 : str_set((in)->core_network_arn)   ? (in)->core_network_arn \
	                                                     : (in)->odb_network_arn, \
	})

bool ec2_route_works(const struct ec2_scope *s, const struct ec2_route *route, struct str vpc)
{
	if (str_is(route->gateway_id, "local"))
		return true;
	if (str_starts(route->gateway_id, S("vpce-")))
		return ec2_find(s, &ec2_kind_endpoint, route->gateway_id, &(struct ec2_vpc_endpoint){0});
	if (str_set(route->gateway_id)) {
		struct ec2_internet_gateway gateway;
		return ec2_find(s, &ec2_kind_gateway, route->gateway_id, &gateway) && gateway.attachments.n &&
		       str_eq(gateway.attachments.v[0].vpc_id, vpc);
	}
	if (str_set(route->nat_gateway_id)) {
		struct ec2_nat_gateway nat;
		return ec2_find(s, &ec2_kind_nat, route->nat_gateway_id, &nat) &&
		       (str_is(nat.state, "available") || str_is(nat.state, "pending"));
	}
	if (str_set(route->vpc_peering_connection_id)) {
		struct ec2_vpc_peering_connection peering;
		return ec2_find(s, &ec2_kind_peering, route->vpc_peering_connection_id, &peering) &&
		       str_is(peering.status->code, "active");
	}
	if (str_set(route->egress_only_internet_gateway_id)) {
		struct ec2_egress_only_internet_gateway egress;
		return ec2_find(s, &ec2_kind_egress_gateway, route->egress_only_internet_gateway_id, &egress);
	}
	struct state_vpc_interface_record eni;
	return ec2_find(s, &ec2_kind_interface, route->network_interface_id, &eni) && eni.interface->attachment;
}

static int different_networks(struct call *c, const struct ec2_route_table *table, const char *what, struct str id)
{
	return ec2_invalid(c, "route table %.*s and %s %.*s belong to different networks", STR_ARG(table->route_table_id), what,
	                   STR_ARG(id));
}

static bool list_is_ipv6(struct call *c, struct str list)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_prefix_list_record record;
	return str_set(list) && ec2_find(&s, &ec2_kind_prefix_list, list, &record) && str_is(record.list->address_family, "IPv6");
}

static int instance_interface(struct call *c, struct str instance, struct str *ret)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_interfaces all = {0};
	if (!ec2_id_well_formed(instance, "i"))
		return call_fail(c, "InvalidInstanceID.Malformed", 400, "Invalid id: \"%.*s\"", STR_ARG(instance));
	ec2_interfaces_of(&s, instance, &all);
	if (!all.n)
		return call_fail(c, "InvalidInstanceID.NotFound", 400, "The instance ID '%.*s' does not exist", STR_ARG(instance));
	if (all.n > 1)
		return call_fail(
		        c, "InvalidInstanceID", 400,
		        "There are multiple interfaces attached to instance '%.*s'. Please specify an interface ID for the operation instead.",
		        STR_ARG(instance));
	*ret = all.v[0].interface->network_interface_id;
	return CALL_OK;
}

/* Fills what the route leads to; everything it names must be there, in this VPC. */
static int set_target(struct call *c, const struct ec2_route_table *table, const struct target *t, struct ec2_route *route)
{
	if (str_set(t->other))
		return ec2_unsupported(c, "A route to a target of this kind");
	bool ipv6 = ec2_is_ipv6(route->destination_ipv6_cidr_block) || list_is_ipv6(c, route->destination_prefix_list_id);
	if (str_set(t->gateway) + str_set(t->nat) + str_set(t->interface) + str_set(t->instance) + str_set(t->peering) +
	            str_set(t->egress) + t->local !=
	    1)
		return ec2_combination(
		        c,
		        "The request must contain exactly one of gatewayId, natGatewayId, networkInterfaceId, "
		        "vpcPeeringConnectionId, egressOnlyInternetGatewayId, transitGatewayId, localGatewayId, carrierGatewayId or instanceId");
	if (str_set(t->egress)) {
		struct ec2_egress_only_internet_gateway egress;
		if (ec2_get(c, &ec2_kind_egress_gateway, t->egress, &egress) != CALL_OK)
			return CALL_FAIL;
		if (!ipv6)
			return ec2_invalid(c, "Egress only internet gateways can only be the target of IPv6 destinations");
		if (!str_eq(egress.attachments.v[0].vpc_id, table->vpc_id))
			return different_networks(c, table, "egress only internet gateway", t->egress);
		route->egress_only_internet_gateway_id = t->egress;
		return CALL_OK;
	}
	if (t->local || str_is(t->gateway, "local")) {
		route->gateway_id = S("local");
		return CALL_OK;
	}
	if (str_set(t->gateway)) {
		struct ec2_internet_gateway gateway;
		if (str_starts(t->gateway, S("vgw-")))
			return ec2_unsupported(c, "A virtual private gateway");
		if (!str_starts(t->gateway, S("igw-")))
			return call_fail(c, "InvalidGatewayID.NotFound", 400, "The gateway ID '%.*s' does not exist",
			                 STR_ARG(t->gateway));
		if (ec2_get(c, &ec2_kind_gateway, t->gateway, &gateway) != CALL_OK)
			return CALL_FAIL;
		if (!gateway.attachments.n || !str_eq(gateway.attachments.v[0].vpc_id, table->vpc_id))
			return different_networks(c, table, "network gateway", t->gateway);
		route->gateway_id = t->gateway;
		return CALL_OK;
	}
	if (str_set(t->nat)) {
		struct ec2_nat_gateway nat;
		if (ipv6)
			return ec2_unsupported(c, "A route of IPv6 to a NAT gateway");
		if (ec2_get(c, &ec2_kind_nat, t->nat, &nat) != CALL_OK)
			return CALL_FAIL;
		if (str_is(nat.state, "deleted") || str_is(nat.state, "deleting") || str_is(nat.state, "failed"))
			return call_fail(c, "InvalidNatGatewayID.NotFound", 400, "The natGateway ID '%.*s' does not exist",
			                 STR_ARG(t->nat));
		if (!str_eq(nat.vpc_id, table->vpc_id))
			return different_networks(c, table, "NAT gateway", t->nat);
		route->nat_gateway_id = t->nat;
		return CALL_OK;
	}
	if (str_set(t->peering)) {
		struct ec2_vpc_peering_connection peering;
		if (ec2_get(c, &ec2_kind_peering, t->peering, &peering) != CALL_OK)
			return CALL_FAIL;
		if (!str_is(peering.status->code, "active") && !str_is(peering.status->code, "pending-acceptance"))
			return call_fail(c, "InvalidVpcPeeringConnectionID.NotFound", 400,
			                 "The vpcPeeringConnection ID '%.*s' does not exist", STR_ARG(t->peering));
		if (!str_eq(peering.requester_vpc_info->vpc_id, table->vpc_id) &&
		    !str_eq(peering.accepter_vpc_info->vpc_id, table->vpc_id))
			return different_networks(c, table, "vpc peering connection", t->peering);
		route->vpc_peering_connection_id = t->peering;
		return CALL_OK;
	}
	struct str id = t->interface;
	struct state_vpc_interface_record eni;
	if (str_set(t->instance) && instance_interface(c, t->instance, &id) != CALL_OK)
		return CALL_FAIL;
	if (ec2_get(c, &ec2_kind_interface, id, &eni) != CALL_OK)
		return CALL_FAIL;
	if (!str_eq(eni.interface->vpc_id, table->vpc_id))
		return different_networks(c, table, "interface", id);
	route->network_interface_id = id;
	return CALL_OK;
}

static int destination(struct call *c, struct str cidr, struct str cidr6, struct str list, struct ec2_route *ret)
{
	struct ec2_block block;
	struct state_vpc_prefix_list_record record;
	int given = str_set(cidr) + str_set(cidr6) + str_set(list);
	if (given != 1)
		return given ? ec2_combination(
		                       c,
		                       "Only one of destinationCidrBlock, destinationIpv6CidrBlock and destinationPrefixListId can be given")
		             : ec2_missing(c, "destinationCidrBlock");
	if (str_set(cidr6)) {
		struct ec2_block6 block6;
		if (!ec2_block6_parse(cidr6, &block6))
			return ec2_invalid(
			        c,
			        "Value (%.*s) for parameter destinationIpv6CidrBlock is invalid. This is not a valid CIDR block.",
			        STR_ARG(cidr6));
		ret->destination_ipv6_cidr_block = ec2_block6_text(c->arena, &block6);
		return CALL_OK;
	}
	if (str_set(list) && ec2_is_service_list(list))
		return ec2_invalid(c, "cannot change the route of %.*s: it comes and goes with its VPC endpoint", STR_ARG(list));
	if (str_set(list)) {
		ret->destination_prefix_list_id = list;
		return ec2_get(c, &ec2_kind_prefix_list, list, &record);
	}
	if (!ec2_block_parse(cidr, &block))
		return ec2_invalid(c, "Value (%.*s) for parameter destinationCidrBlock is invalid. This is not a valid CIDR block.",
		                   STR_ARG(cidr));
	ret->destination_cidr_block = ec2_block_text(c->arena, block);
	return CALL_OK;
}

static struct str route_name(const struct ec2_route *r)
{
	return str_set(r->destination_cidr_block)        ? r->destination_cidr_block
	       : str_set(r->destination_ipv6_cidr_block) ? r->destination_ipv6_cidr_block
	                                                 : r->destination_prefix_list_id;
}

static struct ec2_route *find_route(const struct ec2_route_table *table, const struct ec2_route *like)
{
	for (uint32_t i = 0; i < table->routes.n; i++) {
		struct ec2_route *r = &table->routes.v[i];
		if (str_eq(route_name(r), route_name(like)))
			return r;
	}
	return NULL;
}

/* Within the VPC's own blocks a route may lead to an interface alone. */
static int check_inside(struct call *c, const struct ec2_route_table *table, const struct ec2_route *route)
{
	struct state_vpc_vpc_record vpc;
	struct ec2_block block;
	struct ec2_block6 block6;
	struct ec2_scope s = ec2_scope(c);
	if (str_set(route->network_interface_id) || !ec2_find(&s, &ec2_kind_vpc, table->vpc_id, &vpc))
		return CALL_OK;
	bool inside = (ec2_block_parse(route->destination_cidr_block, &block) && ec2_vpc_has_block(&vpc, block)) ||
	              (ec2_block6_parse(route->destination_ipv6_cidr_block, &block6) && ec2_vpc_has_block6(vpc.vpc, &block6));
	if (!inside)
		return CALL_OK;
	return ec2_invalid(
	        c,
	        "The destination CIDR block %.*s is equal to or more specific than one of this VPC's CIDR blocks. This route "
	        "can target only an interface or an instance.",
	        STR_ARG(route_name(route)));
}

int ec2_create_route(struct call *c, const struct ec2_create_route_request *in, struct ec2_create_route_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_route_table table;
	struct ec2_route route = {.origin = S("CreateRoute"), .state = S("active")};
	struct target target = TARGET(in);
	if (ec2_get(c, &ec2_kind_route_table, in->route_table_id, &table) != CALL_OK ||
	    destination(c, in->destination_cidr_block, in->destination_ipv6_cidr_block, in->destination_prefix_list_id, &route) !=
	            CALL_OK)
		return CALL_FAIL;
	if (find_route(&table, &route))
		return call_fail(c, "RouteAlreadyExists", 400, "The route identified by %.*s already exists.",
		                 STR_ARG(route_name(&route)));
	if (set_target(c, &table, &target, &route) != CALL_OK)
		return CALL_FAIL;
	if (str_is(route.gateway_id, "local"))
		return ec2_invalid(c, "Value (local) for parameter gatewayId is invalid. A local route cannot be created.");
	if (check_inside(c, &table, &route) != CALL_OK)
		return CALL_FAIL;
	int64_t n = ec2_prefix_list_weight(&s, route.destination_prefix_list_id);
	for (uint32_t i = 0; i < table.routes.n; i++)
		n += ec2_prefix_list_weight(&s, table.routes.v[i].destination_prefix_list_id);
	if (n > EC2_ROUTES_MAX)
		return call_fail(c, "RouteLimitExceeded", 400, "The maximum number of routes has been reached.");
	*LIST_ADD(c->arena, &table.routes) = route;
	ec2_put(&s, &ec2_kind_route_table, table.route_table_id, &table);
	out->return_ = OPT_BOOL(true);
	return CALL_OK;
}

static int no_route(struct call *c, const struct ec2_route_table *table, const struct ec2_route *route)
{
	return call_fail(c, "InvalidRoute.NotFound", 400, "no route with destination-%s %.*s in route table %.*s",
	                 str_set(route->destination_cidr_block)        ? "cidr-block"
	                 : str_set(route->destination_ipv6_cidr_block) ? "ipv6-cidr-block"
	                                                               : "prefix-list-id",
	                 STR_ARG(route_name(route)), STR_ARG(table->route_table_id));
}

int ec2_replace_route(struct call *c, const struct ec2_replace_route_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct ec2_route_table table;
	struct ec2_route route = {.state = S("active")};
	struct target target = TARGET(in);
	target.local = in->local_target.v;
	if (ec2_get(c, &ec2_kind_route_table, in->route_table_id, &table) != CALL_OK ||
	    destination(c, in->destination_cidr_block, in->destination_ipv6_cidr_block, in->destination_prefix_list_id, &route) !=
	            CALL_OK)
		return CALL_FAIL;
	struct ec2_route *old = find_route(&table, &route);
	if (!old)
		return no_route(c, &table, &route);
	if (set_target(c, &table, &target, &route) != CALL_OK)
		return CALL_FAIL;
	bool of_vpc = str_is(old->origin, "CreateRouteTable");
	if (str_is(route.gateway_id, "local") && !of_vpc)
		return ec2_invalid(c, "Cannot replace the target of %.*s with local: it is no local route",
		                   STR_ARG(route_name(&route)));
	if (!str_is(route.gateway_id, "local") && check_inside(c, &table, &route) != CALL_OK)
		return CALL_FAIL;
	route.origin = old->origin;
	*old = route;
	ec2_put(&s, &ec2_kind_route_table, table.route_table_id, &table);
	return CALL_OK;
}

int ec2_delete_route(struct call *c, const struct ec2_delete_route_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct ec2_route_table table;
	struct ec2_route route = {0};
	if (ec2_get(c, &ec2_kind_route_table, in->route_table_id, &table) != CALL_OK ||
	    destination(c, in->destination_cidr_block, in->destination_ipv6_cidr_block, in->destination_prefix_list_id, &route) !=
	            CALL_OK)
		return CALL_FAIL;
	struct ec2_route *old = find_route(&table, &route);
	if (!old)
		return no_route(c, &table, &route);
	if (str_is(old->origin, "CreateRouteTable"))
		return ec2_invalid(c, "cannot remove local route %.*s in route table %.*s", STR_ARG(route_name(&route)),
		                   STR_ARG(table.route_table_id));
	size_t at = (size_t)(old - table.routes.v);
	memmove(old, old + 1, (table.routes.n - at - 1) * sizeof(*old));
	table.routes.n--;
	ec2_put(&s, &ec2_kind_route_table, table.route_table_id, &table);
	return CALL_OK;
}

#include "aws/ec2/compute.h"

#include "aws/ec2/capacity/fleet.h"
#include "aws/ec2/capacity/placement.h"
#include "aws/ec2/capacity/reservation.h"
#include "aws/ec2/capacity/spot.h"
#include "aws/ec2/flow/flow_log.h"
#include "aws/ec2/instance/event_window.h"
#include "aws/ec2/network/endpoint.h"
#include "aws/ec2/network/vpc.h"
#include "aws/ec2/storage/import.h"
#include "aws/ec2/usage.h"
#include "base/id.h"

#define ROW_OF(api, shape, type) .row = {&api##_api, shape}, .size = sizeof(struct type)

const struct ec2_kind ec2_kind_vpc = {
        .prefix = "vpc",
        .type = "vpc",
        .noun = "vpc ID",
        .ids = "vpcIds",
        .not_found = "InvalidVpcID.NotFound",
        .malformed = "InvalidVpcID.Malformed",
        .tags_at = offsetof(struct ec2_vpc, tags),
        .nested = true,
        ROW_OF(state_vpc, "VpcRecord", state_vpc_vpc_record),
};
const struct ec2_kind ec2_kind_subnet = {
        .prefix = "subnet",
        .type = "subnet",
        .noun = "subnet ID",
        .ids = "subnetIds",
        .not_found = "InvalidSubnetID.NotFound",
        .malformed = "InvalidSubnetID.Malformed",
        .tags_at = offsetof(struct ec2_subnet, tags),
        ROW_OF(ec2, "Subnet", ec2_subnet),
};
const struct ec2_kind ec2_kind_group = {
        .prefix = "sg",
        .type = "security-group",
        .noun = "security group",
        .ids = "groupIds",
        .not_found = "InvalidGroup.NotFound",
        .malformed = "InvalidGroupId.Malformed",
        .tags_at = offsetof(struct ec2_security_group, tags),
        .nested = true,
        ROW_OF(state_vpc, "GroupRecord", state_vpc_group_record),
};
const struct ec2_kind ec2_kind_rule = {
        .prefix = "sgr",
        .type = "security-group-rule",
        .noun = "security group rule ID",
        .ids = "securityGroupRuleIds",
        .not_found = "InvalidSecurityGroupRuleId.NotFound",
        .malformed = "InvalidSecurityGroupRuleId.Malformed",
        .tags_at = offsetof(struct ec2_security_group_rule, tags),
        ROW_OF(ec2, "SecurityGroupRule", ec2_security_group_rule),
};
const struct ec2_kind ec2_kind_route_table = {
        .prefix = "rtb",
        .type = "route-table",
        .noun = "routeTable ID",
        .ids = "routeTableIds",
        .not_found = "InvalidRouteTableID.NotFound",
        .malformed = "InvalidRouteTableId.Malformed",
        .tags_at = offsetof(struct ec2_route_table, tags),
        ROW_OF(ec2, "RouteTable", ec2_route_table),
};
const struct ec2_kind ec2_kind_gateway = {
        .prefix = "igw",
        .type = "internet-gateway",
        .noun = "internetGateway ID",
        .ids = "internetGatewayIds",
        .not_found = "InvalidInternetGatewayID.NotFound",
        .malformed = "InvalidInternetGatewayId.Malformed",
        .tags_at = offsetof(struct ec2_internet_gateway, tags),
        ROW_OF(ec2, "InternetGateway", ec2_internet_gateway),
};
const struct ec2_kind ec2_kind_nat = {
        .prefix = "nat",
        .type = "natgateway",
        .absent = "NatGateway",
        .ids = "natGatewayIds",
        .not_found = "NatGatewayNotFound",
        .malformed = "NatGatewayMalformed",
        .tags_at = offsetof(struct ec2_nat_gateway, tags),
        ROW_OF(ec2, "NatGateway", ec2_nat_gateway),
};
const struct ec2_kind ec2_kind_acl = {
        .prefix = "acl",
        .type = "network-acl",
        .noun = "networkAcl ID",
        .ids = "networkAclIds",
        .not_found = "InvalidNetworkAclID.NotFound",
        .malformed = "InvalidNetworkAclId.Malformed",
        .tags_at = offsetof(struct ec2_network_acl, tags),
        ROW_OF(ec2, "NetworkAcl", ec2_network_acl),
};
const struct ec2_kind ec2_kind_interface = {
        .prefix = "eni",
        .type = "network-interface",
        .noun = "networkInterface ID",
        .ids = "networkInterfaceIds",
        .not_found = "InvalidNetworkInterfaceID.NotFound",
        .malformed = "InvalidNetworkInterfaceId.Malformed",
        .tags_at = offsetof(struct ec2_network_interface, tag_set),
        .nested = true,
        .holder = ec2_interface_holder,
        ROW_OF(state_vpc, "InterfaceRecord", state_vpc_interface_record),
};
const struct ec2_kind ec2_kind_address = {
        .prefix = "eipalloc",
        .type = "elastic-ip",
        .noun = "allocation ID",
        .ids = "allocationIds",
        .not_found = "InvalidAllocationID.NotFound",
        .malformed = "InvalidAllocationID.Malformed",
        .tags_at = offsetof(struct ec2_address, tags),
        ROW_OF(ec2, "Address", ec2_address),
};
const struct ec2_kind ec2_kind_dhcp = {
        .prefix = "dopt",
        .type = "dhcp-options",
        .noun = "dhcpOption ID",
        .ids = "dhcpOptionsIds",
        .not_found = "InvalidDhcpOptionID.NotFound",
        .malformed = "InvalidDhcpOptionsId.Malformed",
        .tags_at = offsetof(struct ec2_dhcp_options, tags),
        ROW_OF(ec2, "DhcpOptions", ec2_dhcp_options),
};
const struct ec2_kind ec2_kind_prefix_list = {
        .prefix = "pl",
        .type = "prefix-list",
        .noun = "prefix list ID",
        .ids = "prefixListIds",
        .not_found = "InvalidPrefixListID.NotFound",
        .malformed = "InvalidPrefixListId.Malformed",
        .tags_at = offsetof(struct ec2_managed_prefix_list, tags),
        .nested = true,
        ROW_OF(state_vpc, "PrefixListRecord", state_vpc_prefix_list_record),
};

const struct ec2_kind *const ec2_kinds[] = {
        &ec2_kind_acl,
        &ec2_kind_image,
        &ec2_kind_reservation,
        &ec2_kind_dhcp,
        &ec2_kind_egress_gateway,
        &ec2_kind_address,
        &ec2_kind_endpoint,
        &ec2_kind_flow_log,
        &ec2_kind_interface,
        &ec2_kind_instance,
        &ec2_kind_event_window,
        &ec2_kind_fleet,
        &ec2_kind_gateway,
        &ec2_kind_import_image,
        &ec2_kind_import_snapshot,
        &ec2_kind_key_pair,
        &ec2_kind_launch_template,
        &ec2_kind_nat,
        &ec2_kind_analysis,
        &ec2_kind_path,
        &ec2_kind_peering,
        &ec2_kind_placement_group,
        &ec2_kind_prefix_list,
        &ec2_kind_route_table,
        &ec2_kind_subnet_reservation,
        &ec2_kind_group,
        &ec2_kind_rule,
        &ec2_kind_snapshot,
        &ec2_kind_spot_request,
        &ec2_kind_subnet,
        &ec2_kind_volume,
        &ec2_kind_vpc,
        NULL,
};

const struct ec2_kind *ec2_kind_of_id(struct str id)
{
	for (const struct ec2_kind *const *k = ec2_kinds; *k; k++) {
		struct str prefix = str_from((*k)->prefix);
		if (id.n > prefix.n && str_starts(id, prefix) && id.p[prefix.n] == '-')
			return *k;
	}
	return NULL;
}

const struct ec2_kind *ec2_kind_of_type(struct str type)
{
	for (const struct ec2_kind *const *k = ec2_kinds; *k; k++)
		if (str_is(type, (*k)->type))
			return *k;
	return NULL;
}

struct ec2_scope ec2_scope(struct call *c)
{
	return (struct ec2_scope){.txn = call_txn(c), .arena = c->arena, .account = c->account, .region = c->region};
}

/* --- ids */

struct str ec2_new_id(struct arena *a, const char *prefix)
{
	return ARENA_CAT(a, str_from(prefix), S("-0"), id_hex(a, 16));
}

bool ec2_id_well_formed(struct str id, const char *prefix)
{
	struct str head = str_from(prefix);
	if (!str_starts(id, head) || id.n < head.n + 1 || id.p[head.n] != '-')
		return false;
	struct str digits = str_from_at(id, head.n + 1);
	for (size_t i = 0; i < digits.n; i++)
		if (!ascii_is_digit(digits.p[i]) && !(digits.p[i] >= 'a' && digits.p[i] <= 'f'))
			return false;
	return digits.n == 17 || digits.n == 8;
}

struct str ec2_arn(struct call *c, const struct ec2_kind *kind, struct str id)
{
	return ARENA_CAT(c->arena, S("arn:aws:ec2:"), c->region, S(":"), c->account, S(":"), str_from(kind->type), S("/"), id);
}

/* --- records */

struct str ec2_key(const struct ec2_scope *s, const struct ec2_kind *kind, struct str id)
{
	return KEY(s->arena, S("ec2"), s->account, s->region, str_from(kind->prefix), id);
}

struct str ec2_keys_under(const struct ec2_scope *s, const struct ec2_kind *kind)
{
	return KEY_UNDER(s->arena, S("ec2"), s->account, s->region, str_from(kind->prefix));
}

bool ec2_find(const struct ec2_scope *s, const struct ec2_kind *kind, struct str id, void *record)
{
	return ec2_id_well_formed(id, kind->prefix) && record_get(s->txn, s->arena, ec2_key(s, kind, id), &kind->row, record);
}

void ec2_put(const struct ec2_scope *s, const struct ec2_kind *kind, struct str id, const void *record)
{
	ec2_held_note(s, kind, id, record);
	ec2_tell(s, kind, id, record);
	record_put(s->txn, s->arena, ec2_key(s, kind, id), &kind->row, record);
	ec2_meter(s, kind, id, record);
}

void ec2_drop(const struct ec2_scope *s, const struct ec2_kind *kind, struct str id)
{
	ec2_held_note(s, kind, id, NULL);
	ec2_tell(s, kind, id, NULL);
	store_delete(s->txn, ec2_key(s, kind, id));
	ec2_meter(s, kind, id, NULL);
}

struct ec2_all ec2_all(const struct ec2_scope *s, const struct ec2_kind *kind)
{
	return ec2_all_after(s, kind, STR_NONE);
}

struct ec2_all ec2_all_after(const struct ec2_scope *s, const struct ec2_kind *kind, struct str after)
{
	struct str under = ec2_keys_under(s, kind), from = under;
	if (str_set(after))
		from = ARENA_CAT(s->arena, under, after, str_of("", 1));
	return (struct ec2_all){
	        .kind = kind, .arena = s->arena, .iter = store_scan(s->txn, from, store_prefix_end(s->arena, under), false)};
}

bool ec2_next(struct ec2_all *all, void *record)
{
	struct str key;
	struct store_value v;
	while (store_next(all->iter, &key, &v)) {
		if (!record_read(all->arena, v.value, &all->kind->row, record))
			continue;
		all->id = arena_dup(all->arena, str_from_at(key, (size_t)str_rfind_char(key, '\0') + 1));
		return true;
	}
	return false;
}

void *ec2_shape(const struct ec2_kind *kind, void *record)
{
	return kind->nested ? *(void **)record : record;
}

struct ec2_tag_list *ec2_tags(const struct ec2_kind *kind, void *record)
{
	return (struct ec2_tag_list *)(void *)((char *)ec2_shape(kind, record) + kind->tags_at);
}

/* --- errors */

int ec2_malformed(struct call *c, const struct ec2_kind *kind, struct str id)
{
	struct str prefix = ARENA_CAT(c->arena, str_from(kind->prefix), S("-"));
	if (str_starts(id, prefix))
		return call_fail(c, kind->malformed, 400, "Invalid id: \"%.*s\"", STR_ARG(id));
	return call_fail(c, kind->malformed, 400, "Invalid id: \"%.*s\" (expecting \"%s-...\")", STR_ARG(id), kind->prefix);
}

int ec2_not_found(struct call *c, const struct ec2_kind *kind, const struct str_list *missing)
{
	struct str all = missing->v[0];
	for (uint32_t i = 1; i < missing->n; i++)
		all = ARENA_CAT(c->arena, all, S(", "), missing->v[i]);
	if (kind->absent)
		return call_fail(c, kind->not_found, 400, "%s %.*s was not found", kind->absent, STR_ARG(all));
	if (missing->n == 1)
		return call_fail(c, kind->not_found, 400, "The %s '%.*s' does not exist", kind->noun, STR_ARG(all));
	return call_fail(c, kind->not_found, 400, "The %ss '%.*s' do not exist", kind->noun, STR_ARG(all));
}

int ec2_get(struct call *c, const struct ec2_kind *kind, struct str id, void *record)
{
	if (!ec2_id_well_formed(id, kind->prefix))
		return ec2_malformed(c, kind, id);
	struct ec2_scope s = ec2_scope(c);
	if (ec2_find(&s, kind, id, record))
		return CALL_OK;
	return ec2_not_found(c, kind, &(struct str_list){.v = &id, .n = 1});
}

#define FAIL_WITH(code) \
	va_list ap; \
	va_start(ap, fmt); \
	struct str message = arena_vprintf(c->arena, fmt, ap); \
	va_end(ap); \
	return call_fail(c, code, 400, "%.*s", STR_ARG(message))

int ec2_invalid(struct call *c, const char *fmt, ...)
{
	FAIL_WITH("InvalidParameterValue");
}

int ec2_combination(struct call *c, const char *fmt, ...)
{
	FAIL_WITH("InvalidParameterCombination");
}

int ec2_depends(struct call *c, const char *fmt, ...)
{
	FAIL_WITH("DependencyViolation");
}

int ec2_missing(struct call *c, const char *parameter)
{
	return call_fail(c, "MissingParameter", 400, "The request must contain the parameter %s", parameter);
}

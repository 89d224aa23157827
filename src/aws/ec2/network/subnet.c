/* Subnets: CreateSubnet, CreateDefaultSubnet, DeleteSubnet, DescribeSubnets, ModifySubnetAttribute. */
#include "aws/ec2/network/ipv6.h"

/* Of every subnet: network, router, resolver, future use and broadcast. */
enum { RESERVED = 5 };

struct ec2_block ec2_subnet_block(const struct ec2_subnet *subnet)
{
	struct ec2_block b = {0};
	ec2_block_parse(subnet->cidr_block, &b);
	return b;
}

void ec2_subnet_make(struct call *c, const struct state_vpc_vpc_record *vpc, struct ec2_block block, unsigned zone, bool is_default,
                     struct ec2_tag_list tags, struct ec2_subnet *ret)
{
	struct ec2_scope s = ec2_scope(c);
	*ret = (struct ec2_subnet){
	        .subnet_id = ec2_new_id(c->arena, "subnet"),
	        .vpc_id = vpc->vpc->vpc_id,
	        .cidr_block = ec2_block_text(c->arena, block),
	        .availability_zone = ec2_zone_name(c->arena, c->region, zone),
	        .availability_zone_id = ec2_zone_id(c->arena, c->region, zone),
	        .owner_id = c->account,
	        .state = S("available"),
	        .default_for_az = OPT_BOOL(is_default),
	        .map_public_ip_on_launch = OPT_BOOL(is_default),
	        .map_customer_owned_ip_on_launch = OPT_BOOL(false),
	        .assign_ipv6_address_on_creation = OPT_BOOL(false),
	        .enable_dns64 = OPT_BOOL(false),
	        .ipv6_native = OPT_BOOL(false),
	        .available_ip_address_count = OPT_INT((int64_t)ec2_block_size(block) - RESERVED),
	        .tags = tags,
	};
	ret->subnet_arn = ec2_arn(c, &ec2_kind_subnet, ret->subnet_id);
	ret->ipv6_cidr_block_association_set.set = true;
	ret->private_dns_name_options_on_launch = arena_new(c->arena, struct ec2_private_dns_name_options_on_launch);
	*ret->private_dns_name_options_on_launch = (struct ec2_private_dns_name_options_on_launch){
	        .hostname_type = S("ip-name"),
	        .enable_resource_name_dns_a_record = OPT_BOOL(false),
	        .enable_resource_name_dns_aaaa_record = OPT_BOOL(false),
	};
	ec2_put(&s, &ec2_kind_subnet, ret->subnet_id, ret);
	ec2_acl_add_subnet(&s, ret->vpc_id, ret->subnet_id);
}

/* Another subnet of the VPC that has some of the block; absent: none. `ret_n`: how many the VPC has. */
static bool conflict(struct call *c, struct str vpc, struct ec2_block block, uint32_t *ret_n)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_subnet subnet;
	struct ec2_all all = ec2_all(&s, &ec2_kind_subnet);
	*ret_n = 0;
	bool found = false;
	while (ec2_next(&all, &subnet)) {
		if (!str_eq(subnet.vpc_id, vpc))
			continue;
		++*ret_n;
		found |= ec2_block_overlap(ec2_subnet_block(&subnet), block);
	}
	return found;
}

static int find_zone(struct call *c, struct str name, struct str id, unsigned *ret)
{
	struct str given = str_set(name) ? name : id;
	*ret = 0;
	if (!str_set(given))
		return CALL_OK;
	int zone = ec2_zone_find(c->arena, c->region, given);
	if (zone < 0)
		return ec2_zone_invalid(c, given);
	*ret = (unsigned)zone;
	return CALL_OK;
}

int ec2_create_subnet(struct call *c, const struct ec2_create_subnet_request *in, struct ec2_create_subnet_result *out)
{
	struct state_vpc_vpc_record vpc;
	struct ec2_block block;
	struct ec2_block6 block6;
	struct ec2_tag_list tags;
	unsigned zone;
	uint32_t subnets;
	if (in->ipv6_native.v)
		return ec2_unsupported(c, "A subnet without IPv4");
	if (str_set(in->ipv4_ipam_pool_id) || in->ipv4_netmask_length.set || str_set(in->ipv6_ipam_pool_id) ||
	    in->ipv6_netmask_length.set)
		return ec2_unsupported(c, "An IPAM pool");
	if (str_set(in->outpost_arn))
		return ec2_unsupported(c, "An Outpost");
	if (ec2_get(c, &ec2_kind_vpc, in->vpc_id, &vpc) != CALL_OK)
		return CALL_FAIL;
	if (!str_set(in->cidr_block))
		return ec2_missing(c, "cidrBlock");
	if (!ec2_block_parse(in->cidr_block, &block))
		return ec2_invalid(c, "Value (%.*s) for parameter cidrBlock is invalid. This is not a valid CIDR block.",
		                   STR_ARG(in->cidr_block));
	if (block.bits < 16 || block.bits > 28 || !ec2_vpc_has_block(&vpc, block))
		return call_fail(c, "InvalidSubnet.Range", 400, "The CIDR '%.*s' is invalid.", STR_ARG(in->cidr_block));
	if (find_zone(c, in->availability_zone, in->availability_zone_id, &zone) != CALL_OK ||
	    ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_subnet, &tags) != CALL_OK)
		return CALL_FAIL;
	if (conflict(c, in->vpc_id, block, &subnets))
		return call_fail(c, "InvalidSubnet.Conflict", 400, "The CIDR '%.*s' conflicts with another subnet",
		                 STR_ARG(in->cidr_block));
	if (subnets >= EC2_SUBNETS_MAX)
		return call_fail(c, "SubnetLimitExceeded", 400, "The maximum number of subnets has been reached.");
	if (str_set(in->ipv6_cidr_block) && ec2_subnet_check_block6(c, vpc.vpc, in->ipv6_cidr_block, &block6) != CALL_OK)
		return CALL_FAIL;
	out->subnet = arena_new(c->arena, struct ec2_subnet);
	ec2_subnet_make(c, &vpc, block, zone, false, tags, out->subnet);
	if (str_set(in->ipv6_cidr_block))
		ec2_subnet_add_block6(c, out->subnet, &block6);
	return CALL_OK;
}

/* --- default subnets */

void ec2_default_subnet_make(struct call *c, const struct state_vpc_vpc_record *vpc, unsigned zone, struct ec2_subnet *ret)
{
	struct ec2_block block = {0};
	uint32_t n;
	ec2_block_parse(vpc->vpc->cidr_block, &block);
	block.bits = 20;
	while (conflict(c, vpc->vpc->vpc_id, block, &n) && ec2_vpc_has_block(vpc, block))
		block.base += 1u << 12;
	ec2_subnet_make(c, vpc, block, zone, true, (struct ec2_tag_list){0}, ret);
}

static bool default_subnet(struct call *c, struct str zone, struct ec2_subnet *ret)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_all all = ec2_all(&s, &ec2_kind_subnet);
	bool found = false;
	struct ec2_subnet subnet;
	while (ec2_next(&all, &subnet)) {
		if (!subnet.default_for_az.v || (str_set(zone) && !str_eq(subnet.availability_zone, zone)))
			continue;
		if (found && str_cmp(ret->availability_zone, subnet.availability_zone) < 0)
			continue;
		*ret = subnet;
		found = true;
	}
	return found;
}

int ec2_create_default_subnet(struct call *c, const struct ec2_create_default_subnet_request *in,
                              struct ec2_create_default_subnet_result *out)
{
	struct state_vpc_vpc_record vpc;
	struct ec2_subnet there;
	unsigned zone;
	if (in->ipv6_native.v)
		return ec2_unsupported(c, "A subnet without IPv4");
	if (!str_set(in->availability_zone) && !str_set(in->availability_zone_id))
		return ec2_missing(c, "availabilityZone");
	if (find_zone(c, in->availability_zone, in->availability_zone_id, &zone) != CALL_OK)
		return CALL_FAIL;
	if (!ec2_default_vpc(c, &vpc))
		return call_fail(c, "DefaultVpcDoesNotExist", 400, "No default VPC exists for this account in this region.");
	struct str name = ec2_zone_name(c->arena, c->region, zone);
	if (default_subnet(c, name, &there))
		return call_fail(c, "DefaultSubnetAlreadyExistsInAvailabilityZone", 400,
		                 "'%.*s' already has a default subnet '%.*s'.", STR_ARG(name), STR_ARG(there.subnet_id));
	out->subnet = arena_new(c->arena, struct ec2_subnet);
	ec2_default_subnet_make(c, &vpc, zone, out->subnet);
	return CALL_OK;
}

int ec2_subnet_for_launch(struct call *c, struct str subnet, struct str zone, struct ec2_subnet *ret)
{
	struct state_vpc_vpc_record vpc;
	if (str_set(subnet))
		return ec2_get(c, &ec2_kind_subnet, subnet, ret);
	if (str_set(zone) && ec2_zone_find(c->arena, c->region, zone) < 0)
		return ec2_invalid(c, "Invalid availability zone: [%.*s]", STR_ARG(zone));
	if (!ec2_default_vpc(c, &vpc))
		return call_fail(c, "VPCIdNotSpecified", 400,
		                 "No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.");
	if (default_subnet(c, zone, ret))
		return CALL_OK;
	return str_set(zone)
	               ? call_fail(c, "MissingInput", 400, "No default subnet for availability zone: '%.*s'.", STR_ARG(zone))
	               : call_fail(c, "MissingInput", 400, "No subnets found for the default VPC '%.*s'. Please specify a subnet.",
	                           STR_ARG(vpc.vpc->vpc_id));
}

/* --- removing */

int ec2_delete_subnet(struct call *c, const struct ec2_delete_subnet_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct ec2_subnet subnet;
	struct state_vpc_interface_record interface;
	if (ec2_get(c, &ec2_kind_subnet, in->subnet_id, &subnet) != CALL_OK)
		return CALL_FAIL;
	struct ec2_all all = ec2_all(&s, &ec2_kind_interface);
	while (ec2_next(&all, &interface))
		if (str_eq(interface.interface->subnet_id, in->subnet_id))
			return ec2_depends(c, "The subnet '%.*s' has dependencies and cannot be deleted.", STR_ARG(in->subnet_id));
	ec2_route_tables_drop_subnet(&s, in->subnet_id);
	ec2_acls_drop_subnet(&s, in->subnet_id);
	ec2_subnet_reservations_drop(&s, in->subnet_id, false);
	ec2_drop(&s, &ec2_kind_subnet, in->subnet_id);
	return CALL_OK;
}

/* --- lists */

static int64_t free_addresses(struct call *c, const struct ec2_subnet *subnet)
{
	struct str under = KEY_UNDER(c->arena, S("ec2"), c->account, c->region, S("address"), subnet->subnet_id), key;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	int64_t n = (int64_t)ec2_block_size(ec2_subnet_block(subnet)) - RESERVED;
	while (store_next(i, &key, &v))
		n--;
	return n;
}

static void free_count(struct call *c, void *record, struct str_list *ret)
{
	*LIST_ADD(c->arena, ret) = arena_printf(c->arena, "%ld", free_addresses(c, record));
}

static void block6_states(struct call *c, void *record, struct str_list *ret)
{
	const struct ec2_subnet *subnet = record;
	for (uint32_t i = 0; i < subnet->ipv6_cidr_block_association_set.n; i++)
		*LIST_ADD(c->arena, ret) = subnet->ipv6_cidr_block_association_set.v[i].ipv6_cidr_block_state->state;
}

#define NAMES(name, path) FIELD_PATH("private-dns-name-options-on-launch." name, "Subnet", "PrivateDnsNameOptionsOnLaunch." path)
#define BLOCK6(name, member) \
	FIELD_EACH("ipv6-cidr-block-association." name, ec2_subnet, ipv6_cidr_block_association_set, \
	           ec2_subnet_ipv6_cidr_block_association, member)
static const struct ec2_field fields[] = {
        FIELD_TEXT("availability-zone", ec2_subnet, availability_zone),
        FIELD_TEXT("availabilityZone", ec2_subnet, availability_zone),
        FIELD_TEXT("availability-zone-id", ec2_subnet, availability_zone_id),
        FIELD_TEXT("availabilityZoneId", ec2_subnet, availability_zone_id),
        FIELD_ASK("available-ip-address-count", free_count),
        FIELD_TEXT("cidr", ec2_subnet, cidr_block),
        FIELD_TEXT("cidr-block", ec2_subnet, cidr_block),
        FIELD_TEXT("cidrBlock", ec2_subnet, cidr_block),
        FIELD_TEXT("customer-owned-ipv4-pool", ec2_subnet, customer_owned_ipv4_pool),
        FIELD_FLAG("default-for-az", ec2_subnet, default_for_az),
        FIELD_FLAG("defaultForAz", ec2_subnet, default_for_az),
        FIELD_FLAG("enable-dns64", ec2_subnet, enable_dns64),
        FIELD_NUMBER("enable-lni-at-device-index", ec2_subnet, enable_lni_at_device_index),
        BLOCK6("association-id", association_id),
        BLOCK6("ipv6-cidr-block", ipv6_cidr_block),
        FIELD_ASK("ipv6-cidr-block-association.state", block6_states),
        FIELD_FLAG("ipv6-native", ec2_subnet, ipv6_native),
        FIELD_FLAG("map-customer-owned-ip-on-launch", ec2_subnet, map_customer_owned_ip_on_launch),
        FIELD_FLAG("map-public-ip-on-launch", ec2_subnet, map_public_ip_on_launch),
        FIELD_TEXT("owner-id", ec2_subnet, owner_id),
        FIELD_TEXT("outpost-arn", ec2_subnet, outpost_arn),
        NAMES("hostname-type", "HostnameType"),
        NAMES("enable-resource-name-dns-a-record", "EnableResourceNameDnsARecord"),
        NAMES("enable-resource-name-dns-aaaa-record", "EnableResourceNameDnsAAAARecord"),
        FIELD_TEXT("state", ec2_subnet, state),
        FIELD_TEXT("subnet-arn", ec2_subnet, subnet_arn),
        FIELD_TEXT("subnet-id", ec2_subnet, subnet_id),
        FIELD_TEXT("vpc-id", ec2_subnet, vpc_id),
        {0},
};

static void show(struct call *c, void *record, void *out)
{
	struct ec2_subnet *subnet = record;
	subnet->available_ip_address_count = OPT_INT(free_addresses(c, subnet));
	*LIST_ADD(c->arena, &((struct ec2_describe_subnets_result *)out)->subnets) = *subnet;
}

int ec2_describe_subnets(struct call *c, const struct ec2_describe_subnets_request *in, struct ec2_describe_subnets_result *out)
{
	out->subnets.set = true;
	return ec2_describe(c,
	                    &(struct ec2_walk){.kind = &ec2_kind_subnet,
	                                       .fields = fields,
	                                       .filters = &in->filters,
	                                       .ids = &in->subnet_ids,
	                                       .max_results = &in->max_results,
	                                       .next_token = in->next_token,
	                                       .show = show},
	                    out, &out->next_token);
}

int ec2_modify_subnet_attribute(struct call *c, const struct ec2_modify_subnet_attribute_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct ec2_subnet subnet;
	const struct ec2_attribute_boolean_value *absent[] = {
	        in->enable_dns64,
	        in->enable_resource_name_dns_aaaa_record_on_launch,
	        in->map_customer_owned_ip_on_launch,
	        in->enable_resource_name_dns_a_record_on_launch,
	};
	for (size_t i = 0; i < sizeof(absent) / sizeof(*absent); i++)
		if (absent[i] && absent[i]->value.v)
			return ec2_unsupported(c, i == 0   ? "DNS64"
			                          : i == 2 ? "A customer-owned address"
			                                   : "A DNS record of the instance's id");
	if (in->enable_lni_at_device_index.set || str_set(in->customer_owned_ipv4_pool))
		return ec2_unsupported(c, "An Outpost");
	if (str_set(in->private_dns_hostname_type_on_launch) && !str_is(in->private_dns_hostname_type_on_launch, "ip-name"))
		return ec2_unsupported(c, "A hostname of the instance's id");
	if (ec2_get(c, &ec2_kind_subnet, in->subnet_id, &subnet) != CALL_OK)
		return CALL_FAIL;
	if (in->assign_ipv6_address_on_creation) {
		bool on = in->assign_ipv6_address_on_creation->value.v;
		if (on && !subnet.ipv6_cidr_block_association_set.n)
			return ec2_invalid(
			        c, "Invalid value 'true' for assignIpv6AddressOnCreation. The subnet '%.*s' has no IPv6 CIDR block",
			        STR_ARG(in->subnet_id));
		subnet.assign_ipv6_address_on_creation = OPT_BOOL(on);
	}
	if (in->map_public_ip_on_launch)
		subnet.map_public_ip_on_launch = OPT_BOOL(in->map_public_ip_on_launch->value.v);
	ec2_put(&s, &ec2_kind_subnet, in->subnet_id, &subnet);
	return CALL_OK;
}

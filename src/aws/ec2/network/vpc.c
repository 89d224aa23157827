/* VPCs: CreateVpc, CreateDefaultVpc, DeleteVpc, DescribeVpcs, their blocks and attributes. */
#include "aws/ec2/network/ipv6.h"

#include "aws/ec2/instance/instances.h"
#include "aws/ec2/network/endpoint.h"

int ec2_unsupported(struct call *c, const char *what)
{
	return call_fail(c, "UnsupportedOperation", 400, "%s is not supported.", what);
}

/* --- look-ups */

bool ec2_default_vpc(struct call *c, struct state_vpc_vpc_record *ret)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_all all = ec2_all(&s, &ec2_kind_vpc);
	while (ec2_next(&all, ret))
		if (ret->vpc->is_default.v)
			return true;
	return false;
}

int ec2_vpc_or_default(struct call *c, struct str id, struct state_vpc_vpc_record *ret)
{
	if (str_set(id))
		return ec2_get(c, &ec2_kind_vpc, id, ret);
	if (!ec2_default_vpc(c, ret))
		return call_fail(c, "VPCIdNotSpecified", 400, "No default VPC for this user");
	return CALL_OK;
}

static struct ec2_block association_block(const struct ec2_vpc_cidr_block_association *a)
{
	struct ec2_block b = {0};
	ec2_block_parse(a->cidr_block, &b);
	return b;
}

bool ec2_vpc_has_block(const struct state_vpc_vpc_record *vpc, struct ec2_block block)
{
	for (uint32_t i = 0; i < vpc->vpc->cidr_block_association_set.n; i++)
		if (ec2_block_within(block, association_block(&vpc->vpc->cidr_block_association_set.v[i])))
			return true;
	return false;
}

struct str ec2_default_dhcp(const struct ec2_scope *s)
{
	struct str key = KEY(s->arena, S("ec2"), s->account, s->region, S("default-dhcp"));
	struct store_value v;
	struct ec2_dhcp_options dhcp;
	if (store_get(s->txn, key, &v) && ec2_find(s, &ec2_kind_dhcp, arena_dup(s->arena, v.value), &dhcp))
		return dhcp.dhcp_options_id;
	dhcp = (struct ec2_dhcp_options){.owner_id = s->account, .dhcp_options_id = ec2_new_id(s->arena, "dopt")};
	struct ec2_dhcp_configuration *name = LIST_ADD(s->arena, &dhcp.dhcp_configurations);
	name->key = S("domain-name");
	LIST_ADD(s->arena, &name->values)->value =
	        str_is(s->region, "us-east-1") ? S("ec2.internal") : ARENA_CAT(s->arena, s->region, S(".compute.internal"));
	struct ec2_dhcp_configuration *servers = LIST_ADD(s->arena, &dhcp.dhcp_configurations);
	servers->key = S("domain-name-servers");
	LIST_ADD(s->arena, &servers->values)->value = S("AmazonProvidedDNS");
	ec2_put(s, &ec2_kind_dhcp, dhcp.dhcp_options_id, &dhcp);
	store_put(s->txn, key, dhcp.dhcp_options_id);
	return dhcp.dhcp_options_id;
}

/* --- making */

static struct ec2_vpc_cidr_block_association *add_block(struct call *c, struct ec2_vpc *vpc, struct ec2_block block)
{
	struct ec2_vpc_cidr_block_association *a = LIST_ADD(c->arena, &vpc->cidr_block_association_set);
	a->association_id = ec2_new_id(c->arena, "vpc-cidr-assoc");
	a->cidr_block = ec2_block_text(c->arena, block);
	a->cidr_block_state = arena_new(c->arena, struct ec2_vpc_cidr_block_state);
	a->cidr_block_state->state = S("associated");
	return a;
}

void ec2_vpc_make(struct call *c, struct ec2_block block, bool is_default, struct ec2_tag_list tags,
                  struct state_vpc_vpc_record *ret)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_vpc *vpc = arena_new(c->arena, struct ec2_vpc);
	vpc->vpc_id = ec2_new_id(c->arena, "vpc");
	vpc->owner_id = c->account;
	vpc->state = S("available");
	vpc->cidr_block = ec2_block_text(c->arena, block);
	vpc->dhcp_options_id = ec2_default_dhcp(&s);
	vpc->instance_tenancy = S("default");
	vpc->is_default = OPT_BOOL(is_default);
	vpc->tags = tags;
	add_block(c, vpc, block);
	*ret = (struct state_vpc_vpc_record){.vpc = vpc,
	                                     .dns_support = OPT_BOOL(true),
	                                     .dns_hostnames = OPT_BOOL(is_default),
	                                     .address_usage_metrics = OPT_BOOL(false)};
	ec2_put(&s, &ec2_kind_vpc, vpc->vpc_id, ret);
	struct ec2_route_table table;
	struct ec2_network_acl acl;
	struct state_vpc_group_record group;
	ec2_route_table_make(c, ret, true, (struct ec2_tag_list){0}, &table);
	ec2_acl_make(c, vpc->vpc_id, true, (struct ec2_tag_list){0}, &acl);
	ec2_group_make(c, vpc->vpc_id, S("default"), S("default VPC security group"), (struct ec2_tag_list){0}, &group);
}

/* A block that a VPC may have: /16 to /28, and nothing that this machine or the cloud itself uses. */
static int parse_block(struct call *c, struct str text, struct ec2_block *ret)
{
	if (!str_set(text))
		return ec2_missing(c, "cidrBlock");
	if (!ec2_block_parse(text, ret))
		return ec2_invalid(c, "Value (%.*s) for parameter cidrBlock is invalid. This is not a valid CIDR block.",
		                   STR_ARG(text));
	static const struct ec2_block kept[] = {{0, 8}, {127u << 24, 8}, {0xa9fe0000, 16}, {224u << 24, 3}};
	bool free = ret->bits >= 16 && ret->bits <= 28;
	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
		free = free && !ec2_block_overlap(*ret, kept[i]);
	if (!free)
		return call_fail(c, "InvalidVpc.Range", 400, "The CIDR '%.*s' is invalid.", STR_ARG(text));
	return CALL_OK;
}

static uint32_t count(struct call *c, const struct ec2_kind *kind)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_all all = ec2_all(&s, kind);
	void *record = arena_zalloc(c->arena, kind->size);
	uint32_t n = 0;
	while (ec2_next(&all, record))
		n++;
	return n;
}

static int room_for_vpc(struct call *c)
{
	if (count(c, &ec2_kind_vpc) >= EC2_VPCS_MAX)
		return call_fail(c, "VpcLimitExceeded", 400, "The maximum number of VPCs has been reached.");
	return CALL_OK;
}

int ec2_create_vpc(struct call *c, const struct ec2_create_vpc_request *in, struct ec2_create_vpc_result *out)
{
	struct ec2_block block;
	struct ec2_tag_list tags;
	struct state_vpc_vpc_record record;
	if (ec2_vpc_check_ipv6(c, in->ipv6_cidr_block, in->ipv6_pool, in->ipv6_ipam_pool_id,
	                       in->ipv6_cidr_block_network_border_group) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->ipv4_ipam_pool_id) || in->ipv4_netmask_length.set)
		return ec2_unsupported(c, "An IPAM pool");
	if (in->vpc_encryption_control)
		return ec2_unsupported(c, "Encryption control of a VPC");
	if (str_set(in->instance_tenancy) && !str_is(in->instance_tenancy, "default"))
		return ec2_unsupported(c, "Dedicated tenancy");
	if (parse_block(c, in->cidr_block, &block) != CALL_OK ||
	    ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_vpc, &tags) != CALL_OK || room_for_vpc(c) != CALL_OK)
		return CALL_FAIL;
	ec2_vpc_make(c, block, false, tags, &record);
	if (in->amazon_provided_ipv6_cidr_block.v) {
		struct ec2_scope s = ec2_scope(c);
		ec2_vpc_add_ipv6(c, record.vpc);
		ec2_put(&s, &ec2_kind_vpc, record.vpc->vpc_id, &record);
	}
	out->vpc = record.vpc;
	return CALL_OK;
}

int ec2_create_default_vpc(struct call *c, const struct ec2_create_default_vpc_request *in,
                           struct ec2_create_default_vpc_result *out)
{
	(void)in;
	struct state_vpc_vpc_record record;
	if (ec2_default_vpc(c, &record))
		return call_fail(c, "DefaultVpcAlreadyExists", 400,
		                 "A Default VPC already exists for this account in this region.");
	if (room_for_vpc(c) != CALL_OK)
		return CALL_FAIL;
	ec2_default_vpc_make(c, &record);
	out->vpc = record.vpc;
	return CALL_OK;
}

/* --- removing */

/* Is there one of this kind in the VPC, but for those that the VPC brings along? */
#define IN_VPC(kind, type, of, own) \
	{ \
		struct type r; \
		struct ec2_all all = ec2_all(&s, &kind); \
		while (ec2_next(&all, &r)) \
			if (str_eq(r.of, id) && !(own)) \
				return true; \
	}

static bool table_is_main(const struct ec2_route_table *t)
{
	for (uint32_t i = 0; i < t->associations.n; i++)
		if (t->associations.v[i].main.v)
			return true;
	return false;
}

static bool vpc_in_use(struct call *c, struct str id)
{
	struct ec2_scope s = ec2_scope(c);
	IN_VPC(ec2_kind_subnet, ec2_subnet, vpc_id, false)
	IN_VPC(ec2_kind_group, state_vpc_group_record, group->vpc_id, str_is(r.group->group_name, "default"))
	IN_VPC(ec2_kind_route_table, ec2_route_table, vpc_id, table_is_main(&r))
	IN_VPC(ec2_kind_acl, ec2_network_acl, vpc_id, r.is_default.v)
	IN_VPC(ec2_kind_interface, state_vpc_interface_record, interface->vpc_id, false)
	struct ec2_internet_gateway gateway;
	struct ec2_all all = ec2_all(&s, &ec2_kind_gateway);
	while (ec2_next(&all, &gateway))
		if (gateway.attachments.n && str_eq(gateway.attachments.v[0].vpc_id, id))
			return true;
	struct ec2_egress_only_internet_gateway egress;
	all = ec2_all(&s, &ec2_kind_egress_gateway);
	while (ec2_next(&all, &egress))
		if (str_eq(egress.attachments.v[0].vpc_id, id))
			return true;
	return ec2_peering_of(&s, id) || ec2_vpc_has_endpoint(&s, id);
}

static void leave_vpc(struct call *c)
{
	const struct ec2_delete_vpc_request *in = c->in;
	compute_vpc_gone(ec2_state(c), in->vpc_id);
}

int ec2_delete_vpc(struct call *c, const struct ec2_delete_vpc_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_vpc_record vpc;
	if (ec2_get(c, &ec2_kind_vpc, in->vpc_id, &vpc) != CALL_OK)
		return CALL_FAIL;
	if (vpc_in_use(c, in->vpc_id))
		return ec2_depends(c, "The vpc '%.*s' has dependencies and cannot be deleted.", STR_ARG(in->vpc_id));
	struct state_vpc_group_record group;
	if (ec2_group_named(&s, in->vpc_id, S("default"), &group))
		ec2_group_remove(&s, &group);
	struct ec2_route_table table;
	struct ec2_all tables = ec2_all(&s, &ec2_kind_route_table);
	while (ec2_next(&tables, &table))
		if (str_eq(table.vpc_id, in->vpc_id))
			ec2_drop(&s, &ec2_kind_route_table, table.route_table_id);
	struct ec2_network_acl acl;
	struct ec2_all acls = ec2_all(&s, &ec2_kind_acl);
	while (ec2_next(&acls, &acl))
		if (str_eq(acl.vpc_id, in->vpc_id))
			ec2_drop(&s, &ec2_kind_acl, acl.network_acl_id);
	ec2_vpc_forget_ipv6(&s, vpc.vpc);
	ec2_drop(&s, &ec2_kind_vpc, in->vpc_id);
	call_after_commit(c, leave_vpc);
	return CALL_OK;
}

/* --- lists */

static void block_states(struct call *c, void *record, struct str_list *ret)
{
	const struct state_vpc_vpc_record *r = record;
	for (uint32_t i = 0; i < r->vpc->cidr_block_association_set.n; i++)
		*LIST_ADD(c->arena, ret) = r->vpc->cidr_block_association_set.v[i].cidr_block_state->state;
}

static void block6_states(struct call *c, void *record, struct str_list *ret)
{
	const struct state_vpc_vpc_record *r = record;
	for (uint32_t i = 0; i < r->vpc->ipv6_cidr_block_association_set.n; i++)
		*LIST_ADD(c->arena, ret) = r->vpc->ipv6_cidr_block_association_set.v[i].ipv6_cidr_block_state->state;
}

#define BLOCK6(name, member) \
	FIELD_EACH("ipv6-cidr-block-association." name, ec2_vpc, ipv6_cidr_block_association_set, \
	           ec2_vpc_ipv6_cidr_block_association, member)
static const struct ec2_field fields[] = {
        FIELD_TEXT("cidr", ec2_vpc, cidr_block),
        FIELD_TEXT("cidr-block", ec2_vpc, cidr_block),
        FIELD_TEXT("cidrBlock", ec2_vpc, cidr_block),
        FIELD_EACH("cidr-block-association.cidr-block", ec2_vpc, cidr_block_association_set, ec2_vpc_cidr_block_association,
                   cidr_block),
        FIELD_EACH("cidr-block-association.association-id", ec2_vpc, cidr_block_association_set, ec2_vpc_cidr_block_association,
                   association_id),
        FIELD_ASK("cidr-block-association.state", block_states),
        FIELD_TEXT("dhcp-options-id", ec2_vpc, dhcp_options_id),
        FIELD_TEXT("dhcpOptionsId", ec2_vpc, dhcp_options_id),
        BLOCK6("association-id", association_id),
        BLOCK6("ipv6-cidr-block", ipv6_cidr_block),
        BLOCK6("ipv6-pool", ipv6_pool),
        FIELD_ASK("ipv6-cidr-block-association.state", block6_states),
        FIELD_FLAG("is-default", ec2_vpc, is_default),
        FIELD_FLAG("isDefault", ec2_vpc, is_default),
        FIELD_TEXT("owner-id", ec2_vpc, owner_id),
        FIELD_TEXT("state", ec2_vpc, state),
        FIELD_TEXT("vpc-id", ec2_vpc, vpc_id),
        {0},
};

static void show(struct call *c, void *record, void *out)
{
	*LIST_ADD(c->arena, &((struct ec2_describe_vpcs_result *)out)->vpcs) = *((struct state_vpc_vpc_record *)record)->vpc;
}

int ec2_describe_vpcs(struct call *c, const struct ec2_describe_vpcs_request *in, struct ec2_describe_vpcs_result *out)
{
	out->vpcs.set = true;
	return ec2_describe(c,
	                    &(struct ec2_walk){.kind = &ec2_kind_vpc,
	                                       .fields = fields,
	                                       .filters = &in->filters,
	                                       .ids = &in->vpc_ids,
	                                       .max_results = &in->max_results,
	                                       .next_token = in->next_token,
	                                       .show = show},
	                    out, &out->next_token);
}

/* --- further blocks */

static int associate_ipv6(struct call *c, const struct ec2_associate_vpc_cidr_block_request *in,
                          struct ec2_associate_vpc_cidr_block_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_vpc_record vpc;
	if (str_set(in->cidr_block))
		return ec2_combination(c, "Only one of cidrBlock and amazonProvidedIpv6CidrBlock can be given");
	if (ec2_get(c, &ec2_kind_vpc, in->vpc_id, &vpc) != CALL_OK)
		return CALL_FAIL;
	if (vpc.vpc->ipv6_cidr_block_association_set.n >= EC2_VPC_BLOCKS6_MAX)
		return call_fail(c, "CidrLimitExceeded", 400, "This network '%.*s' has met its maximum number of allowed CIDRs: %d",
		                 STR_ARG(in->vpc_id), EC2_VPC_BLOCKS6_MAX);
	out->vpc_id = in->vpc_id;
	out->ipv6_cidr_block_association = ec2_vpc_add_ipv6(c, vpc.vpc);
	ec2_put(&s, &ec2_kind_vpc, in->vpc_id, &vpc);
	return CALL_OK;
}

int ec2_associate_vpc_cidr_block(struct call *c, const struct ec2_associate_vpc_cidr_block_request *in,
                                 struct ec2_associate_vpc_cidr_block_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_vpc_record vpc;
	struct ec2_block block;
	if (ec2_vpc_check_ipv6(c, in->ipv6_cidr_block, in->ipv6_pool, in->ipv6_ipam_pool_id,
	                       in->ipv6_cidr_block_network_border_group) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->ipv4_ipam_pool_id) || in->ipv4_netmask_length.set)
		return ec2_unsupported(c, "An IPAM pool");
	if (in->amazon_provided_ipv6_cidr_block.v)
		return associate_ipv6(c, in, out);
	if (ec2_get(c, &ec2_kind_vpc, in->vpc_id, &vpc) != CALL_OK || parse_block(c, in->cidr_block, &block) != CALL_OK)
		return CALL_FAIL;
	if (vpc.vpc->cidr_block_association_set.n >= EC2_VPC_BLOCKS_MAX)
		return call_fail(c, "CidrLimitExceeded", 400, "This network '%.*s' has met its maximum number of allowed CIDRs: %d",
		                 STR_ARG(in->vpc_id), EC2_VPC_BLOCKS_MAX);
	for (uint32_t i = 0; i < vpc.vpc->cidr_block_association_set.n; i++)
		if (ec2_block_overlap(block, association_block(&vpc.vpc->cidr_block_association_set.v[i])))
			return call_fail(c, "CidrConflict", 400, "The CIDR '%.*s' conflicts with another one of this VPC",
			                 STR_ARG(in->cidr_block));
	struct ec2_vpc_cidr_block_association *added = add_block(c, vpc.vpc, block);
	ec2_put(&s, &ec2_kind_vpc, in->vpc_id, &vpc);
	ec2_route_tables_set_block(c, in->vpc_id, added->cidr_block, true);
	out->vpc_id = in->vpc_id;
	out->cidr_block_association = added;
	return CALL_OK;
}

static bool block_in_use(struct call *c, struct str vpc, struct ec2_block block)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_subnet subnet;
	struct ec2_all all = ec2_all(&s, &ec2_kind_subnet);
	while (ec2_next(&all, &subnet))
		if (str_eq(subnet.vpc_id, vpc) && ec2_block_within(ec2_subnet_block(&subnet), block))
			return true;
	return false;
}

int ec2_disassociate_vpc_cidr_block(struct call *c, const struct ec2_disassociate_vpc_cidr_block_request *in,
                                    struct ec2_disassociate_vpc_cidr_block_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_vpc_record vpc;
	struct ec2_all all = ec2_all(&s, &ec2_kind_vpc);
	while (ec2_next(&all, &vpc)) {
		for (uint32_t i = 0; i < vpc.vpc->ipv6_cidr_block_association_set.n; i++)
			if (str_eq(vpc.vpc->ipv6_cidr_block_association_set.v[i].association_id, in->association_id)) {
				out->vpc_id = vpc.vpc->vpc_id;
				return ec2_vpc_drop_ipv6(c, &vpc, i, &out->ipv6_cidr_block_association);
			}
		struct ec2_vpc_cidr_block_association_set *set = &vpc.vpc->cidr_block_association_set;
		for (uint32_t i = 0; i < set->n; i++) {
			if (!str_eq(set->v[i].association_id, in->association_id))
				continue;
			struct str id = vpc.vpc->vpc_id, text = set->v[i].cidr_block;
			if (str_eq(text, vpc.vpc->cidr_block))
				return call_fail(
				        c, "OperationNotPermitted", 400,
				        "The vpc CIDR block with association ID %.*s may not be disassociated. It is the primary IPv4 CIDR block of the VPC",
				        STR_ARG(in->association_id));
			if (block_in_use(c, id, association_block(&set->v[i])))
				return call_fail(c, "CidrBlockInUse", 400, "The CIDR block %.*s is in use by a subnet of this VPC",
				                 STR_ARG(text));
			struct ec2_vpc_cidr_block_association *gone = arena_new(c->arena, struct ec2_vpc_cidr_block_association);
			*gone = set->v[i];
			gone->cidr_block_state = arena_new(c->arena, struct ec2_vpc_cidr_block_state);
			gone->cidr_block_state->state = S("disassociating");
			memmove(&set->v[i], &set->v[i + 1], (set->n - i - 1) * sizeof(*set->v));
			set->n--;
			ec2_put(&s, &ec2_kind_vpc, id, &vpc);
			ec2_route_tables_set_block(c, id, text, false);
			out->vpc_id = id;
			out->cidr_block_association = gone;
			return CALL_OK;
		}
	}
	return call_fail(c, "InvalidVpcCidrBlockAssociationID.NotFound", 400,
	                 "The vpc CIDR block association ID '%.*s' does not exist", STR_ARG(in->association_id));
}

/* --- attributes */

int ec2_modify_vpc_attribute(struct call *c, const struct ec2_modify_vpc_attribute_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_vpc_record vpc;
	int given = !!in->enable_dns_hostnames + !!in->enable_dns_support + !!in->enable_network_address_usage_metrics;
	if (given != 1)
		return ec2_combination(c,
		                       given ? "Only one attribute can be modified at a time" : "No attribute to modify was given");
	if (in->enable_network_address_usage_metrics && in->enable_network_address_usage_metrics->value.v)
		return ec2_unsupported(c, "Network address usage metrics");
	if (ec2_get(c, &ec2_kind_vpc, in->vpc_id, &vpc) != CALL_OK)
		return CALL_FAIL;
	if (in->enable_dns_hostnames || in->enable_dns_support) {
		if (in->enable_dns_hostnames)
			vpc.dns_hostnames = OPT_BOOL(in->enable_dns_hostnames->value.v);
		else
			vpc.dns_support = OPT_BOOL(in->enable_dns_support->value.v);
		ec2_put(&s, &ec2_kind_vpc, in->vpc_id, &vpc);
		ec2_interfaces_rename(&s, in->vpc_id);
	}
	return CALL_OK;
}

int ec2_describe_vpc_attribute(struct call *c, const struct ec2_describe_vpc_attribute_request *in,
                               struct ec2_describe_vpc_attribute_result *out)
{
	struct state_vpc_vpc_record vpc;
	if (ec2_get(c, &ec2_kind_vpc, in->vpc_id, &vpc) != CALL_OK)
		return CALL_FAIL;
	struct ec2_attribute_boolean_value *v = arena_new(c->arena, struct ec2_attribute_boolean_value);
	out->vpc_id = in->vpc_id;
	if (str_is(in->attribute, "enableDnsSupport")) {
		v->value = vpc.dns_support;
		out->enable_dns_support = v;
	} else if (str_is(in->attribute, "enableDnsHostnames")) {
		v->value = vpc.dns_hostnames;
		out->enable_dns_hostnames = v;
	} else {
		v->value = OPT_BOOL(false);
		out->enable_network_address_usage_metrics = v;
	}
	return CALL_OK;
}

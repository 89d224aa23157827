/* Security groups: CreateSecurityGroup, DeleteSecurityGroup, DescribeSecurityGroups, references. Their rules are in rule.c. */
#include "aws/ec2/network/ipv6.h"

enum { TEXT_MAX = 255 };

static void let_out_ipv6(struct call *c, struct state_vpc_group_record *group)
{
	ec2_rule_add(c, group,
	             (struct ec2_security_group_rule){.is_egress = OPT_BOOL(true),
	                                              .ip_protocol = S("-1"),
	                                              .from_port = OPT_INT(-1),
	                                              .to_port = OPT_INT(-1),
	                                              .cidr_ipv6 = S("::/0")});
}

/* Is everything let out over IPv4, and that the only rule? */
static bool lets_out_all(const struct ec2_scope *s, const struct state_vpc_group_record *group)
{
	struct ec2_security_group_rule rule;
	bool all = false;
	for (uint32_t i = 0; i < group->rule_ids.n; i++) {
		if (!ec2_find(s, &ec2_kind_rule, group->rule_ids.v[i], &rule) || !rule.is_egress.v)
			continue;
		if (all || !str_is(rule.ip_protocol, "-1") || !str_is(rule.cidr_ipv4, "0.0.0.0/0"))
			return false;
		all = true;
	}
	return all;
}

void ec2_groups_add_ipv6(struct call *c, struct str vpc)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_group_record group;
	struct ec2_all all = ec2_all(&s, &ec2_kind_group);
	while (ec2_next(&all, &group))
		if (str_eq(group.group->vpc_id, vpc) && lets_out_all(&s, &group)) {
			let_out_ipv6(c, &group);
			ec2_put(&s, &ec2_kind_group, group.group->group_id, &group);
		}
}

void ec2_group_make(struct call *c, struct str vpc, struct str name, struct str description, struct ec2_tag_list tags,
                    struct state_vpc_group_record *ret)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_security_group *group = arena_new(c->arena, struct ec2_security_group);
	group->group_id = ec2_new_id(c->arena, "sg");
	group->vpc_id = vpc;
	group->owner_id = c->account;
	group->group_name = name;
	group->description = description;
	group->security_group_arn = ec2_arn(c, &ec2_kind_group, group->group_id);
	group->tags = tags;
	*ret = (struct state_vpc_group_record){.group = group};
	ec2_rule_add(c, ret,
	             (struct ec2_security_group_rule){.is_egress = OPT_BOOL(true),
	                                              .ip_protocol = S("-1"),
	                                              .from_port = OPT_INT(-1),
	                                              .to_port = OPT_INT(-1),
	                                              .cidr_ipv4 = S("0.0.0.0/0")});
	if (ec2_vpc_has_ipv6(&s, vpc))
		let_out_ipv6(c, ret);
	if (str_is(name, "default")) {
		struct ec2_referenced_security_group *self = arena_new(c->arena, struct ec2_referenced_security_group);
		*self = (struct ec2_referenced_security_group){.group_id = group->group_id, .user_id = c->account};
		ec2_rule_add(c, ret,
		             (struct ec2_security_group_rule){.is_egress = OPT_BOOL(false),
		                                              .ip_protocol = S("-1"),
		                                              .from_port = OPT_INT(-1),
		                                              .to_port = OPT_INT(-1),
		                                              .referenced_group_info = self});
	}
	ec2_put(&s, &ec2_kind_group, group->group_id, ret);
}

void ec2_group_remove(const struct ec2_scope *s, struct state_vpc_group_record *group)
{
	for (uint32_t i = 0; i < group->rule_ids.n; i++)
		ec2_drop(s, &ec2_kind_rule, group->rule_ids.v[i]);
	ec2_drop(s, &ec2_kind_group, group->group->group_id);
}

bool ec2_group_named(const struct ec2_scope *s, struct str vpc, struct str name, struct state_vpc_group_record *ret)
{
	struct ec2_all all = ec2_all(s, &ec2_kind_group);
	while (ec2_next(&all, ret))
		if (str_eq(ret->group->vpc_id, vpc) && str_eq(ret->group->group_name, name))
			return true;
	return false;
}

int ec2_group_given(struct call *c, struct str id, struct str name, struct state_vpc_group_record *ret)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_vpc_record vpc;
	if (str_set(id))
		return ec2_get(c, &ec2_kind_group, id, ret);
	if (!str_set(name))
		return call_fail(c, "MissingParameter", 400, "The request must contain the parameter groupName or groupId");
	if (!ec2_default_vpc(c, &vpc))
		return call_fail(c, "VPCIdNotSpecified", 400, "No default VPC for this user");
	if (!ec2_group_named(&s, vpc.vpc->vpc_id, name, ret))
		return call_fail(c, "InvalidGroup.NotFound", 400, "The security group '%.*s' does not exist in default VPC '%.*s'",
		                 STR_ARG(name), STR_ARG(vpc.vpc->vpc_id));
	return CALL_OK;
}

int ec2_groups_by_name(struct call *c, struct str vpc, const struct str_list *names, struct str_list *ret_ids)
{
	struct ec2_scope s = ec2_scope(c);
	for (uint32_t i = 0; i < names->n; i++) {
		struct state_vpc_group_record group;
		if (!ec2_group_named(&s, vpc, names->v[i], &group))
			return call_fail(c, "InvalidGroup.NotFound", 400, "The security group '%.*s' does not exist in VPC '%.*s'",
			                 STR_ARG(names->v[i]), STR_ARG(vpc));
		*LIST_ADD(c->arena, ret_ids) = group.group->group_id;
	}
	return CALL_OK;
}

/* --- making */

static bool ascii_text(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_alnum(s.p[i]) && !memchr(" ._-:/()#,@[]+=&;{}!$*", s.p[i], 22))
			return false;
	return true;
}

static int check_texts(struct call *c, struct str name, struct str description)
{
	if (!str_set(name) || !name.n)
		return ec2_missing(c, "GroupName");
	if (!str_set(description) || !description.n)
		return ec2_missing(c, "GroupDescription");
	if (name.n > TEXT_MAX || !ascii_text(name))
		return ec2_invalid(
		        c, "Value (%.*s) for parameter GroupName is invalid. Character sets beyond ASCII are not supported.",
		        STR_ARG(name));
	if (str_istarts(name, S("sg-")))
		return ec2_invalid(c, "Value (%.*s) for parameter GroupName is invalid. Group names may not be in the format sg-*.",
		                   STR_ARG(name));
	if (description.n > TEXT_MAX || !ascii_text(description))
		return ec2_invalid(
		        c, "Value (%.*s) for parameter GroupDescription is invalid. Character sets beyond ASCII are not supported.",
		        STR_ARG(description));
	if (str_ieq(name, S("default")))
		return call_fail(c, "InvalidGroup.Reserved", 400, "Cannot use reserved security group name: default");
	return CALL_OK;
}

int ec2_create_security_group(struct call *c, const struct ec2_create_security_group_request *in,
                              struct ec2_create_security_group_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_vpc_record vpc;
	struct state_vpc_group_record group;
	struct ec2_tag_list tags;
	if (check_texts(c, in->group_name, in->description) != CALL_OK || ec2_vpc_or_default(c, in->vpc_id, &vpc) != CALL_OK ||
	    ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_group, &tags) != CALL_OK)
		return CALL_FAIL;
	uint32_t n = 0;
	struct ec2_all all = ec2_all(&s, &ec2_kind_group);
	while (ec2_next(&all, &group)) {
		n++;
		if (str_eq(group.group->vpc_id, vpc.vpc->vpc_id) && str_eq(group.group->group_name, in->group_name))
			return call_fail(c, "InvalidGroup.Duplicate", 400,
			                 "The security group '%.*s' already exists for VPC '%.*s'", STR_ARG(in->group_name),
			                 STR_ARG(vpc.vpc->vpc_id));
	}
	if (n >= EC2_GROUPS_MAX)
		return call_fail(c, "SecurityGroupLimitExceeded", 400, "The maximum number of security groups has been reached.");
	ec2_group_make(c, vpc.vpc->vpc_id, in->group_name, in->description, tags, &group);
	out->group_id = group.group->group_id;
	out->security_group_arn = group.group->security_group_arn;
	out->tags = tags;
	return CALL_OK;
}

/* --- removing */

static bool has_group(const struct ec2_network_interface *eni, struct str id)
{
	for (uint32_t i = 0; i < eni->groups.n; i++)
		if (str_eq(eni->groups.v[i].group_id, id))
			return true;
	return false;
}

static bool group_in_use(struct call *c, struct str id)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_interface_record interface;
	struct ec2_all all = ec2_all(&s, &ec2_kind_interface);
	while (ec2_next(&all, &interface))
		if (has_group(interface.interface, id))
			return true;
	struct ec2_security_group_rule rule;
	all = ec2_all(&s, &ec2_kind_rule);
	while (ec2_next(&all, &rule))
		if (rule.referenced_group_info && str_eq(rule.referenced_group_info->group_id, id) && !str_eq(rule.group_id, id))
			return true;
	return false;
}

int ec2_delete_security_group(struct call *c, const struct ec2_delete_security_group_request *in,
                              struct ec2_delete_security_group_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_group_record group;
	if (ec2_group_given(c, in->group_id, in->group_name, &group) != CALL_OK)
		return CALL_FAIL;
	struct str id = group.group->group_id;
	if (str_is(group.group->group_name, "default"))
		return call_fail(c, "CannotDelete", 400,
		                 "the specified group: \"%.*s\" name: \"default\" cannot be deleted by a user", STR_ARG(id));
	if (group_in_use(c, id))
		return ec2_depends(c, "resource %.*s has a dependent object", STR_ARG(id));
	ec2_group_remove(&s, &group);
	out->return_ = OPT_BOOL(true);
	out->group_id = id;
	return CALL_OK;
}

/* --- lists */

/* The values of one member of the group's rules in one direction. */
static void rule_values(struct call *c, void *record, bool egress, struct str_list *ret,
                        struct str (*of)(struct call *c, const struct ec2_security_group_rule *rule))
{
	struct ec2_scope s = ec2_scope(c);
	const struct state_vpc_group_record *group = record;
	for (uint32_t i = 0; i < group->rule_ids.n; i++) {
		struct ec2_security_group_rule rule;
		if (ec2_find(&s, &ec2_kind_rule, group->rule_ids.v[i], &rule) && rule.is_egress.v == egress)
			*LIST_ADD(c->arena, ret) = of(c, &rule);
	}
}

static struct str rule_cidr(struct call *c, const struct ec2_security_group_rule *rule)
{
	(void)c;
	return rule->cidr_ipv4;
}
static struct str rule_cidr6(struct call *c, const struct ec2_security_group_rule *rule)
{
	(void)c;
	return rule->cidr_ipv6;
}
static struct str rule_protocol(struct call *c, const struct ec2_security_group_rule *rule)
{
	(void)c;
	return rule->ip_protocol;
}
static struct str rule_from(struct call *c, const struct ec2_security_group_rule *rule)
{
	return arena_printf(c->arena, "%ld", rule->from_port.v);
}
static struct str rule_to(struct call *c, const struct ec2_security_group_rule *rule)
{
	return arena_printf(c->arena, "%ld", rule->to_port.v);
}
static struct str rule_group(struct call *c, const struct ec2_security_group_rule *rule)
{
	(void)c;
	return rule->referenced_group_info ? rule->referenced_group_info->group_id : STR_NONE;
}
static struct str rule_group_name(struct call *c, const struct ec2_security_group_rule *rule)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_group_record other;
	bool found = rule->referenced_group_info && ec2_find(&s, &ec2_kind_group, rule->referenced_group_info->group_id, &other);
	return found ? other.group->group_name : STR_NONE;
}
static struct str rule_user(struct call *c, const struct ec2_security_group_rule *rule)
{
	if (!rule->referenced_group_info)
		return STR_NONE;
	return str_set(rule->referenced_group_info->user_id) ? rule->referenced_group_info->user_id : c->account;
}
static struct str rule_list(struct call *c, const struct ec2_security_group_rule *rule)
{
	(void)c;
	return rule->prefix_list_id;
}

#define OF_RULES(name) \
	static void in_##name(struct call *c, void *record, struct str_list *ret) \
	{ \
		rule_values(c, record, false, ret, rule_##name); \
	} \
	static void out_##name(struct call *c, void *record, struct str_list *ret) \
	{ \
		rule_values(c, record, true, ret, rule_##name); \
	}
OF_RULES(cidr)
OF_RULES(cidr6)
OF_RULES(protocol)
OF_RULES(from)
OF_RULES(to)
OF_RULES(group)
OF_RULES(group_name)
OF_RULES(user)
OF_RULES(list)

static const struct ec2_field fields[] = {
        FIELD_TEXT("description", ec2_security_group, description),
        FIELD_TEXT("group-id", ec2_security_group, group_id),
        FIELD_TEXT("group-name", ec2_security_group, group_name),
        FIELD_TEXT("owner-id", ec2_security_group, owner_id),
        FIELD_TEXT("vpc-id", ec2_security_group, vpc_id),
        FIELD_ASK("ip-permission.cidr", in_cidr),
        FIELD_ASK("ip-permission.ipv6-cidr", in_cidr6),
        FIELD_ASK("ip-permission.protocol", in_protocol),
        FIELD_ASK("ip-permission.from-port", in_from),
        FIELD_ASK("ip-permission.to-port", in_to),
        FIELD_ASK("ip-permission.group-id", in_group),
        FIELD_ASK("ip-permission.group-name", in_group_name),
        FIELD_ASK("ip-permission.user-id", in_user),
        FIELD_ASK("ip-permission.prefix-list-id", in_list),
        FIELD_ASK("egress.ip-permission.cidr", out_cidr),
        FIELD_ASK("egress.ip-permission.ipv6-cidr", out_cidr6),
        FIELD_ASK("egress.ip-permission.protocol", out_protocol),
        FIELD_ASK("egress.ip-permission.from-port", out_from),
        FIELD_ASK("egress.ip-permission.to-port", out_to),
        FIELD_ASK("egress.ip-permission.group-id", out_group),
        FIELD_ASK("egress.ip-permission.group-name", out_group_name),
        FIELD_ASK("egress.ip-permission.user-id", out_user),
        FIELD_ASK("egress.ip-permission.prefix-list-id", out_list),
        {0},
};

static void show(struct call *c, void *record, void *out)
{
	struct state_vpc_group_record *group = record;
	ec2_group_fill(c, group);
	*LIST_ADD(c->arena, &((struct ec2_describe_security_groups_result *)out)->security_groups) = *group->group;
}

int ec2_describe_security_groups(struct call *c, const struct ec2_describe_security_groups_request *in,
                                 struct ec2_describe_security_groups_result *out)
{
	struct str_list ids = {0};
	for (uint32_t i = 0; i < in->group_ids.n; i++)
		*LIST_ADD(c->arena, &ids) = in->group_ids.v[i];
	for (uint32_t i = 0; i < in->group_names.n; i++) {
		struct state_vpc_group_record group;
		if (ec2_group_given(c, STR_NONE, in->group_names.v[i], &group) != CALL_OK)
			return CALL_FAIL;
		*LIST_ADD(c->arena, &ids) = group.group->group_id;
	}
	out->security_groups.set = true;
	return ec2_describe(c,
	                    &(struct ec2_walk){.kind = &ec2_kind_group,
	                                       .fields = fields,
	                                       .filters = &in->filters,
	                                       .ids = &ids,
	                                       .max_results = &in->max_results,
	                                       .next_token = in->next_token,
	                                       .show = show},
	                    out, &out->next_token);
}

/* --- GetSecurityGroupsForVpc: those that interfaces of the VPC may have, which are its own */

static const struct ec2_field vpc_fields[] = {
        FIELD_TEXT("description", ec2_security_group, description), FIELD_TEXT("group-id", ec2_security_group, group_id),
        FIELD_TEXT("group-name", ec2_security_group, group_name),   FIELD_TEXT("owner-id", ec2_security_group, owner_id),
        FIELD_TEXT("primary-vpc-id", ec2_security_group, vpc_id),   {0},
};

static bool of_other_vpc(struct call *c, void *record)
{
	const struct ec2_get_security_groups_for_vpc_request *in = c->in;
	return !str_eq(((const struct state_vpc_group_record *)record)->group->vpc_id, in->vpc_id);
}

static void show_of_vpc(struct call *c, void *record, void *output)
{
	struct ec2_get_security_groups_for_vpc_result *out = output;
	const struct ec2_security_group *g = ((const struct state_vpc_group_record *)record)->group;
	*LIST_ADD(c->arena, &out->security_group_for_vpcs) = (struct ec2_security_group_for_vpc){.description = g->description,
	                                                                                         .group_name = g->group_name,
	                                                                                         .owner_id = g->owner_id,
	                                                                                         .group_id = g->group_id,
	                                                                                         .tags = g->tags,
	                                                                                         .primary_vpc_id = g->vpc_id};
}

int ec2_get_security_groups_for_vpc(struct call *c, const struct ec2_get_security_groups_for_vpc_request *in,
                                    struct ec2_get_security_groups_for_vpc_result *out)
{
	struct state_vpc_vpc_record vpc;
	if (ec2_get(c, &ec2_kind_vpc, in->vpc_id, &vpc) != CALL_OK)
		return CALL_FAIL;
	out->security_group_for_vpcs.set = true;
	return ec2_describe(c,
	                    &(struct ec2_walk){.kind = &ec2_kind_group,
	                                       .fields = vpc_fields,
	                                       .filters = &in->filters,
	                                       .max_results = &in->max_results,
	                                       .next_token = in->next_token,
	                                       .show = show_of_vpc,
	                                       .hidden = of_other_vpc},
	                    out, &out->next_token);
}

/* Groups of VPCs beyond a peering connection that name these groups. There are no peering connections here, so there are none;
 * the groups have to be there all the same. */
int ec2_describe_security_group_references(struct call *c, const struct ec2_describe_security_group_references_request *in,
                                           struct ec2_describe_security_group_references_result *out)
{
	struct state_vpc_group_record group;
	for (uint32_t i = 0; i < in->group_id.n; i++)
		if (ec2_get(c, &ec2_kind_group, in->group_id.v[i], &group) != CALL_OK)
			return CALL_FAIL;
	out->security_group_reference_set.set = true;
	return CALL_OK;
}

/* Rules that name deleted groups beyond a peering connection: none here. */
int ec2_describe_stale_security_groups(struct call *c, const struct ec2_describe_stale_security_groups_request *in,
                                       struct ec2_describe_stale_security_groups_result *out)
{
	struct state_vpc_vpc_record vpc;
	struct str after;
	out->stale_security_group_set.set = true;
	if (ec2_page_begin(c, &in->max_results, 5, 255, in->next_token, &after) != CALL_OK)
		return CALL_FAIL;
	return ec2_get(c, &ec2_kind_vpc, in->vpc_id, &vpc);
}

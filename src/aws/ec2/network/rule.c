/* Rules of security groups. Every rule is a record of its own with an id (sgr-); its group lists the ids in order. Requests spell
 * rules in three ways - a few parameters, IpPermissions, SecurityGroupRuleRequest - which all become a struct
 * ec2_security_group_rule first. */
#include "aws/ec2/network/endpoint.h"
#include "aws/ec2/network/ipv6.h"

struct rule_list {
	struct ec2_security_group_rule *v;
	uint32_t n;
	bool set;
};

/* --- spelling and checks */

static struct str protocol_name(struct arena *a, struct str given)
{
	static const struct {
		const char *number, *name;
	} known[] = {{"1", "icmp"}, {"6", "tcp"}, {"17", "udp"}, {"58", "icmpv6"}, {"all", "-1"}};
	char *lower = arena_dupz(a, given);
	for (size_t i = 0; i < given.n; i++)
		lower[i] = ascii_lower(lower[i]);
	struct str name = str_of(lower, given.n);
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (str_is(name, known[i].number))
			return str_from(known[i].name);
	return name;
}

static bool has_ports(struct str protocol)
{
	return str_is(protocol, "tcp") || str_is(protocol, "udp");
}

static bool is_icmp(struct str protocol)
{
	return str_is(protocol, "icmp") || str_is(protocol, "icmpv6");
}

static int check_ports(struct call *c, struct ec2_security_group_rule *r)
{
	if (has_ports(r->ip_protocol)) {
		if (!r->from_port.set || !r->to_port.set)
			return ec2_invalid(c, "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.");
		int64_t ports[] = {r->from_port.v, r->to_port.v};
		for (int i = 0; i < 2; i++)
			if (ports[i] < 0 || ports[i] > 65535)
				return ec2_invalid(c, "TCP/UDP port (%ld) out of range", ports[i]);
		if (ports[0] > ports[1])
			return ec2_invalid(c, "Invalid TCP/UDP port range (%ld:%ld)", ports[0], ports[1]);
		return CALL_OK;
	}
	if (is_icmp(r->ip_protocol)) {
		if (!r->from_port.set)
			r->from_port = OPT_INT(-1);
		if (!r->to_port.set)
			r->to_port = OPT_INT(-1);
		if (r->from_port.v < -1 || r->from_port.v > 255 || r->to_port.v < -1 || r->to_port.v > 255)
			return ec2_invalid(c, "ICMP type (%ld) or code (%ld) out of range", r->from_port.v, r->to_port.v);
		if (r->from_port.v == -1 && r->to_port.v != -1)
			return ec2_invalid(c, "ICMP code (%ld) with all ICMP types is not valid", r->to_port.v);
		return CALL_OK;
	}
	r->from_port = r->to_port = OPT_INT(-1);
	return CALL_OK;
}

/* Brings a rule into the one form in which rules are kept and compared. */
static int normal(struct call *c, const struct state_vpc_group_record *group, struct ec2_security_group_rule *r)
{
	struct ec2_scope s = ec2_scope(c);
	if (!str_set(r->ip_protocol))
		return ec2_missing(c, "ipProtocol");
	struct str given = r->ip_protocol;
	r->ip_protocol = protocol_name(c->arena, given);
	int64_t number;
	bool known = has_ports(r->ip_protocol) || is_icmp(r->ip_protocol) || str_is(r->ip_protocol, "-1");
	if (!known && (!str_to_i64(r->ip_protocol, &number) || number < 0 || number > 255))
		return ec2_invalid(c, "Invalid value '%.*s' for IP protocol. Unknown protocol.", STR_ARG(given));
	if (check_ports(c, r) != CALL_OK)
		return CALL_FAIL;
	if (str_set(r->description) && r->description.n > 255)
		return ec2_invalid(c, "Invalid rule description. Rule descriptions may have at most 255 characters.");
	if (str_set(r->cidr_ipv4)) {
		struct ec2_block block;
		if (!ec2_block_parse(r->cidr_ipv4, &block))
			return ec2_invalid(c, "CIDR block %.*s is malformed", STR_ARG(r->cidr_ipv4));
		r->cidr_ipv4 = ec2_block_text(c->arena, block);
	}
	if (str_set(r->cidr_ipv6)) {
		struct ec2_block6 block;
		if (!ec2_block6_parse(r->cidr_ipv6, &block))
			return ec2_invalid(c, "CIDR block %.*s is malformed", STR_ARG(r->cidr_ipv6));
		r->cidr_ipv6 = ec2_block6_text(c->arena, &block);
	}
	if (str_set(r->prefix_list_id) && !ec2_is_service_list(r->prefix_list_id)) {
		struct state_vpc_prefix_list_record list;
		if (ec2_get(c, &ec2_kind_prefix_list, r->prefix_list_id, &list) != CALL_OK)
			return CALL_FAIL;
	}
	if (r->referenced_group_info) {
		struct state_vpc_group_record other;
		struct str id = r->referenced_group_info->group_id;
		if (!ec2_id_well_formed(id, "sg"))
			return ec2_malformed(c, &ec2_kind_group, id);
		struct str user = str_set(r->referenced_group_info->user_id) ? r->referenced_group_info->user_id : c->account;
		struct ec2_scope owner = s;
		owner.account = user;
		if (!ec2_find(&owner, &ec2_kind_group, id, &other))
			return ec2_not_found(c, &ec2_kind_group, &(struct str_list){.v = &id, .n = 1});
		bool foreign = !str_eq(other.group->vpc_id, group->group->vpc_id);
		struct str peering = foreign ? ec2_peering_between(&s, group->group->vpc_id, other.group->vpc_id) : STR_NONE;
		if (foreign && !str_set(peering) && !str_eq(user, c->account))
			return ec2_not_found(c, &ec2_kind_group, &(struct str_list){.v = &id, .n = 1});
		if (foreign && !str_set(peering))
			return call_fail(c, "InvalidGroup.NotFound", 400,
			                 "You have specified two resources that belong to different networks.");
		r->referenced_group_info = arena_new(c->arena, struct ec2_referenced_security_group);
		*r->referenced_group_info = (struct ec2_referenced_security_group){.group_id = id, .user_id = user};
		if (foreign) {
			r->referenced_group_info->vpc_id = other.group->vpc_id;
			r->referenced_group_info->vpc_peering_connection_id = peering;
			r->referenced_group_info->peering_status = S("active");
		}
	}
	return CALL_OK;
}

static struct str rule_peer(const struct ec2_security_group_rule *r)
{
	return r->referenced_group_info     ? r->referenced_group_info->group_id
	       : str_set(r->prefix_list_id) ? r->prefix_list_id
	       : str_set(r->cidr_ipv6)      ? r->cidr_ipv6
	                                    : r->cidr_ipv4;
}

static bool same_rule(const struct ec2_security_group_rule *a, const struct ec2_security_group_rule *b)
{
	return a->is_egress.v == b->is_egress.v && str_eq(a->ip_protocol, b->ip_protocol) && a->from_port.v == b->from_port.v &&
	       a->to_port.v == b->to_port.v && str_eq(rule_peer(a), rule_peer(b));
}

/* The rules of IpPermissions: one for each peer. */
static int add_permissions(struct call *c, const struct state_vpc_group_record *group, const struct ec2_ip_permission_list *given,
                           bool egress, struct rule_list *ret)
{
	struct ec2_scope s = ec2_scope(c);
	for (uint32_t i = 0; i < given->n; i++) {
		const struct ec2_ip_permission *p = &given->v[i];
		struct ec2_security_group_rule base = {.is_egress = OPT_BOOL(egress),
		                                       .ip_protocol = p->ip_protocol,
		                                       .from_port = p->from_port,
		                                       .to_port = p->to_port};
		uint32_t before = ret->n;
		for (uint32_t k = 0; k < p->ip_ranges.n; k++) {
			struct ec2_security_group_rule *r = LIST_ADD(c->arena, ret);
			*r = base;
			if (!str_set(p->ip_ranges.v[k].cidr_ip))
				return ec2_missing(c, "cidrIp");
			r->cidr_ipv4 = p->ip_ranges.v[k].cidr_ip;
			r->description = p->ip_ranges.v[k].description;
		}
		for (uint32_t k = 0; k < p->ipv6_ranges.n; k++) {
			struct ec2_security_group_rule *r = LIST_ADD(c->arena, ret);
			*r = base;
			if (!str_set(p->ipv6_ranges.v[k].cidr_ipv6))
				return ec2_missing(c, "cidrIpv6");
			r->cidr_ipv6 = p->ipv6_ranges.v[k].cidr_ipv6;
			r->description = p->ipv6_ranges.v[k].description;
		}
		for (uint32_t k = 0; k < p->prefix_list_ids.n; k++) {
			struct ec2_security_group_rule *r = LIST_ADD(c->arena, ret);
			*r = base;
			r->prefix_list_id = p->prefix_list_ids.v[k].prefix_list_id;
			r->description = p->prefix_list_ids.v[k].description;
		}
		for (uint32_t k = 0; k < p->user_id_group_pairs.n; k++) {
			const struct ec2_user_id_group_pair *pair = &p->user_id_group_pairs.v[k];
			struct ec2_security_group_rule *r = LIST_ADD(c->arena, ret);
			struct state_vpc_group_record named;
			*r = base;
			r->description = pair->description;
			r->referenced_group_info = arena_new(c->arena, struct ec2_referenced_security_group);
			r->referenced_group_info->user_id = pair->user_id;
			r->referenced_group_info->group_id = pair->group_id;
			if (str_set(pair->group_id))
				continue;
			if (!str_set(pair->group_name))
				return ec2_missing(c, "groupId");
			if (!ec2_group_named(&s, group->group->vpc_id, pair->group_name, &named))
				return call_fail(c, "InvalidGroup.NotFound", 400, "The security group '%.*s' does not exist",
				                 STR_ARG(pair->group_name));
			r->referenced_group_info->group_id = named.group->group_id;
		}
		if (ret->n == before)
			return ec2_missing(c, "ipRanges, ipv6Ranges, prefixListIds or groups");
	}
	for (uint32_t i = 0; i < ret->n; i++)
		if (normal(c, group, &ret->v[i]) != CALL_OK)
			return CALL_FAIL;
	return CALL_OK;
}

/* What Authorize and Revoke have in common, in both directions. */
struct change {
	struct str group_id, group_name;
	bool egress;
	struct ec2_ip_permission_list permissions;
	struct str protocol, cidr, source_name;
	struct opt_int from, to;
};
#define CHANGE(in, is_egress, name) \
	((struct change){(in)->group_id, name, is_egress, (in)->ip_permissions, (in)->ip_protocol, (in)->cidr_ip, \
	                 (in)->source_security_group_name, (in)->from_port, (in)->to_port})

static int change_rules(struct call *c, const struct change *in, struct state_vpc_group_record *group, struct rule_list *ret)
{
	if (ec2_group_given(c, in->group_id, in->group_name, group) != CALL_OK)
		return CALL_FAIL;
	struct ec2_ip_permission_list permissions = in->permissions;
	bool plain = str_set(in->protocol) || str_set(in->cidr) || in->from.set || in->to.set || str_set(in->source_name);
	if (plain && permissions.n)
		return ec2_combination(c, "The parameter 'ipPermissions' may not be used in combination with 'ipProtocol'");
	struct ec2_ip_permission one = {.ip_protocol = in->protocol, .from_port = in->from, .to_port = in->to};
	if (plain && str_set(in->source_name)) {
		*LIST_ADD(c->arena, &one.user_id_group_pairs) = (struct ec2_user_id_group_pair){.group_name = in->source_name};
		if (!str_set(one.ip_protocol))
			one.ip_protocol = S("-1");
	} else if (plain) {
		if (!str_set(in->protocol))
			return ec2_missing(c, "ipProtocol");
		*LIST_ADD(c->arena, &one.ip_ranges) = (struct ec2_ip_range){.cidr_ip = in->cidr};
	}
	if (plain)
		permissions = (struct ec2_ip_permission_list){.v = &one, .n = 1};
	return add_permissions(c, group, &permissions, in->egress, ret);
}

static void load_rules(struct call *c, const struct state_vpc_group_record *group, struct rule_list *ret)
{
	struct ec2_scope s = ec2_scope(c);
	for (uint32_t i = 0; i < group->rule_ids.n; i++) {
		struct ec2_security_group_rule rule;
		if (ec2_find(&s, &ec2_kind_rule, group->rule_ids.v[i], &rule))
			*LIST_ADD(c->arena, ret) = rule;
	}
}

/* --- adding */

struct ec2_security_group_rule *ec2_rule_add(struct call *c, struct state_vpc_group_record *group,
                                             struct ec2_security_group_rule rule)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_security_group_rule *r = arena_new(c->arena, struct ec2_security_group_rule);
	*r = rule;
	r->security_group_rule_id = ec2_new_id(c->arena, "sgr");
	r->security_group_rule_arn = ec2_arn(c, &ec2_kind_rule, r->security_group_rule_id);
	r->group_id = group->group->group_id;
	r->group_owner_id = c->account;
	*LIST_ADD(c->arena, &group->rule_ids) = r->security_group_rule_id;
	ec2_put(&s, &ec2_kind_rule, r->security_group_rule_id, r);
	return r;
}

static int duplicate(struct call *c, const struct ec2_security_group_rule *r)
{
	struct str what = S("ALL");
	if (has_ports(r->ip_protocol))
		what = arena_printf(c->arena, "%s, from port: %ld, to port: %ld", str_is(r->ip_protocol, "tcp") ? "TCP" : "UDP",
		                    r->from_port.v, r->to_port.v);
	else if (is_icmp(r->ip_protocol))
		what = arena_printf(c->arena, "%s, type: %ld, code: %ld", str_is(r->ip_protocol, "icmp") ? "ICMP" : "ICMPv6",
		                    r->from_port.v, r->to_port.v);
	else if (!str_is(r->ip_protocol, "-1"))
		what = r->ip_protocol;
	struct str peer = rule_peer(r);
	return call_fail(c, "InvalidPermission.Duplicate", 400, "the specified rule \"peer: %.*s, %.*s, ALLOW\" already exists",
	                 STR_ARG(peer), STR_ARG(what));
}

static int authorize(struct call *c, const struct change *in, const struct ec2_tag_specification_list *specs, struct opt_bool *ret,
                     struct ec2_security_group_rule_list *ret_rules)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_group_record group;
	struct rule_list there = {0}, rules = {0};
	struct ec2_tag_list tags;
	if (change_rules(c, in, &group, &rules) != CALL_OK || ec2_tags_at_creation(c, specs, &ec2_kind_rule, &tags) != CALL_OK)
		return CALL_FAIL;
	if (!rules.n)
		return ec2_missing(c, "ipPermissions");
	load_rules(c, &group, &there);
	int64_t n[2] = {0}; /* each family for itself */
	for (uint32_t k = 0; k < there.n; k++)
		if (there.v[k].is_egress.v == in->egress)
			n[str_set(there.v[k].cidr_ipv6)] += ec2_prefix_list_weight(&s, there.v[k].prefix_list_id);
	for (uint32_t i = 0; i < rules.n; i++) {
		n[str_set(rules.v[i].cidr_ipv6)] += ec2_prefix_list_weight(&s, rules.v[i].prefix_list_id);
		for (uint32_t k = 0; k < there.n; k++)
			if (same_rule(&rules.v[i], &there.v[k]))
				return duplicate(c, &rules.v[i]);
		for (uint32_t k = 0; k < i; k++)
			if (same_rule(&rules.v[i], &rules.v[k]))
				return ec2_invalid(c, "The same permission must not appear multiple times");
	}
	if (n[0] > EC2_GROUP_RULES_MAX || n[1] > EC2_GROUP_RULES_MAX)
		return call_fail(c, "RulesPerSecurityGroupLimitExceeded", 400,
		                 "The maximum number of rules per security group has been reached.");
	for (uint32_t i = 0; i < rules.n; i++) {
		rules.v[i].tags = tags;
		*LIST_ADD(c->arena, ret_rules) = *ec2_rule_add(c, &group, rules.v[i]);
	}
	ec2_put(&s, &ec2_kind_group, group.group->group_id, &group);
	*ret = OPT_BOOL(true);
	return CALL_OK;
}

int ec2_authorize_security_group_ingress(struct call *c, const struct ec2_authorize_security_group_ingress_request *in,
                                         struct ec2_authorize_security_group_ingress_result *out)
{
	struct change change = CHANGE(in, false, in->group_name);
	return authorize(c, &change, &in->tag_specifications, &out->return_, &out->security_group_rules);
}

int ec2_authorize_security_group_egress(struct call *c, const struct ec2_authorize_security_group_egress_request *in,
                                        struct ec2_authorize_security_group_egress_result *out)
{
	struct change change = CHANGE(in, true, STR_NONE);
	return authorize(c, &change, &in->tag_specifications, &out->return_, &out->security_group_rules);
}

/* --- removing */

static void forget(struct call *c, struct state_vpc_group_record *group, const struct ec2_security_group_rule *rule,
                   struct ec2_revoked_security_group_rule_list *ret)
{
	struct ec2_scope s = ec2_scope(c);
	struct str_list left = {0};
	for (uint32_t i = 0; i < group->rule_ids.n; i++)
		if (!str_eq(group->rule_ids.v[i], rule->security_group_rule_id))
			*LIST_ADD(c->arena, &left) = group->rule_ids.v[i];
	group->rule_ids = left;
	ec2_drop(&s, &ec2_kind_rule, rule->security_group_rule_id);
	*LIST_ADD(c->arena, ret) = (struct ec2_revoked_security_group_rule){
	        .security_group_rule_id = rule->security_group_rule_id,
	        .group_id = rule->group_id,
	        .is_egress = rule->is_egress,
	        .ip_protocol = rule->ip_protocol,
	        .from_port = rule->from_port,
	        .to_port = rule->to_port,
	        .cidr_ipv4 = rule->cidr_ipv4,
	        .cidr_ipv6 = rule->cidr_ipv6,
	        .prefix_list_id = rule->prefix_list_id,
	        .referenced_group_id = rule->referenced_group_info ? rule->referenced_group_info->group_id : STR_NONE,
	        .description = rule->description,
	};
}

static int rules_by_id(struct call *c, const struct state_vpc_group_record *group, const struct str_list *ids, bool egress,
                       struct rule_list *ret)
{
	struct str_list missing = {0};
	struct ec2_scope s = ec2_scope(c);
	for (uint32_t i = 0; i < ids->n; i++) {
		struct ec2_security_group_rule rule;
		if (!ec2_id_well_formed(ids->v[i], "sgr"))
			return ec2_malformed(c, &ec2_kind_rule, ids->v[i]);
		if (ec2_find(&s, &ec2_kind_rule, ids->v[i], &rule) && str_eq(rule.group_id, group->group->group_id) &&
		    rule.is_egress.v == egress)
			*LIST_ADD(c->arena, ret) = rule;
		else
			*LIST_ADD(c->arena, &missing) = ids->v[i];
	}
	return missing.n ? ec2_not_found(c, &ec2_kind_rule, &missing) : CALL_OK;
}

static int revoke(struct call *c, const struct change *in, const struct str_list *ids, struct opt_bool *ret,
                  struct ec2_revoked_security_group_rule_list *ret_rules)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_group_record group;
	struct rule_list there = {0}, wanted = {0}, gone = {0};
	if (change_rules(c, in, &group, &wanted) != CALL_OK)
		return CALL_FAIL;
	if (ids->n && wanted.n)
		return ec2_combination(c,
		                       "The parameter 'ipPermissions' may not be used in combination with 'securityGroupRuleIds'");
	if (!ids->n && !wanted.n)
		return ec2_missing(c, "ipPermissions or securityGroupRuleIds");
	if (rules_by_id(c, &group, ids, in->egress, &gone) != CALL_OK)
		return CALL_FAIL;
	load_rules(c, &group, &there);
	for (uint32_t i = 0; i < wanted.n; i++) {
		uint32_t k = 0;
		while (k < there.n && !same_rule(&wanted.v[i], &there.v[k]))
			k++;
		if (k == there.n)
			return call_fail(c, "InvalidPermission.NotFound", 400,
			                 "The specified rule does not exist in this security group.");
		*LIST_ADD(c->arena, &gone) = there.v[k];
	}
	for (uint32_t i = 0; i < gone.n; i++)
		forget(c, &group, &gone.v[i], ret_rules);
	ec2_put(&s, &ec2_kind_group, group.group->group_id, &group);
	*ret = OPT_BOOL(true);
	return CALL_OK;
}

int ec2_revoke_security_group_ingress(struct call *c, const struct ec2_revoke_security_group_ingress_request *in,
                                      struct ec2_revoke_security_group_ingress_result *out)
{
	struct change change = CHANGE(in, false, in->group_name);
	return revoke(c, &change, &in->security_group_rule_ids, &out->return_, &out->revoked_security_group_rules);
}

int ec2_revoke_security_group_egress(struct call *c, const struct ec2_revoke_security_group_egress_request *in,
                                     struct ec2_revoke_security_group_egress_result *out)
{
	struct change change = CHANGE(in, true, STR_NONE);
	return revoke(c, &change, &in->security_group_rule_ids, &out->return_, &out->revoked_security_group_rules);
}

/* --- changing */

int ec2_modify_security_group_rules(struct call *c, const struct ec2_modify_security_group_rules_request *in,
                                    struct ec2_modify_security_group_rules_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_group_record group;
	struct rule_list there = {0};
	if (ec2_get(c, &ec2_kind_group, in->group_id, &group) != CALL_OK)
		return CALL_FAIL;
	if (!in->security_group_rules.n)
		return ec2_missing(c, "securityGroupRules");
	load_rules(c, &group, &there);
	for (uint32_t i = 0; i < in->security_group_rules.n; i++) {
		struct str id = in->security_group_rules.v[i].security_group_rule_id;
		const struct ec2_security_group_rule_request *r = in->security_group_rules.v[i].security_group_rule;
		if (!ec2_id_well_formed(id, "sgr"))
			return ec2_malformed(c, &ec2_kind_rule, id);
		uint32_t at = 0;
		while (at < there.n && !str_eq(there.v[at].security_group_rule_id, id))
			at++;
		if (at == there.n)
			return ec2_not_found(c, &ec2_kind_rule, &(struct str_list){.v = &id, .n = 1});
		if (!r)
			return ec2_missing(c, "securityGroupRule");
		if (str_set(r->cidr_ipv4) + str_set(r->cidr_ipv6) + str_set(r->prefix_list_id) + str_set(r->referenced_group_id) !=
		    1)
			return ec2_combination(
			        c, "Exactly one of CidrIpv4, CidrIpv6, PrefixListId and ReferencedGroupId must be given");
		struct ec2_security_group_rule *to = &there.v[at];
		to->ip_protocol = r->ip_protocol;
		to->from_port = r->from_port;
		to->to_port = r->to_port;
		to->cidr_ipv4 = r->cidr_ipv4;
		to->cidr_ipv6 = r->cidr_ipv6;
		to->prefix_list_id = r->prefix_list_id;
		to->description = r->description;
		to->referenced_group_info = NULL;
		if (str_set(r->referenced_group_id)) {
			to->referenced_group_info = arena_new(c->arena, struct ec2_referenced_security_group);
			to->referenced_group_info->group_id = r->referenced_group_id;
		}
		if (normal(c, &group, to) != CALL_OK)
			return CALL_FAIL;
	}
	for (uint32_t i = 0; i < there.n; i++)
		for (uint32_t k = 0; k < i; k++)
			if (same_rule(&there.v[i], &there.v[k]))
				return duplicate(c, &there.v[i]);
	for (uint32_t i = 0; i < there.n; i++)
		ec2_put(&s, &ec2_kind_rule, there.v[i].security_group_rule_id, &there.v[i]);
	out->return_ = OPT_BOOL(true);
	return CALL_OK;
}

static int describe_rules(struct call *c, const struct change *in, const struct ec2_security_group_rule_description_list *by_id,
                          struct opt_bool *ret)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_group_record group;
	struct rule_list there = {0}, wanted = {0};
	if (change_rules(c, in, &group, &wanted) != CALL_OK)
		return CALL_FAIL;
	if (!wanted.n == !by_id->n)
		return ec2_combination(c, "Exactly one of ipPermissions and securityGroupRuleDescriptions must be given");
	load_rules(c, &group, &there);
	for (uint32_t i = 0; i < wanted.n + by_id->n; i++) {
		uint32_t at = 0;
		while (at < there.n &&
		       !(wanted.n ? same_rule(&wanted.v[i], &there.v[at])
		                  : str_eq(by_id->v[i].security_group_rule_id, there.v[at].security_group_rule_id) &&
		                            there.v[at].is_egress.v == in->egress))
			at++;
		if (at == there.n && wanted.n)
			return call_fail(c, "InvalidPermission.NotFound", 400,
			                 "The specified rule does not exist in this security group.");
		if (at == there.n)
			return ec2_not_found(c, &ec2_kind_rule,
			                     &(struct str_list){.v = &by_id->v[i].security_group_rule_id, .n = 1});
		there.v[at].description = wanted.n ? wanted.v[i].description : by_id->v[i].description;
		if (str_set(there.v[at].description) && there.v[at].description.n > 255)
			return ec2_invalid(c, "Invalid rule description. Rule descriptions may have at most 255 characters.");
	}
	for (uint32_t i = 0; i < there.n; i++)
		ec2_put(&s, &ec2_kind_rule, there.v[i].security_group_rule_id, &there.v[i]);
	*ret = OPT_BOOL(true);
	return CALL_OK;
}

int ec2_update_security_group_rule_descriptions_ingress(
        struct call *c, const struct ec2_update_security_group_rule_descriptions_ingress_request *in,
        struct ec2_update_security_group_rule_descriptions_ingress_result *out)
{
	struct change change = {.group_id = in->group_id, .group_name = in->group_name, .permissions = in->ip_permissions};
	return describe_rules(c, &change, &in->security_group_rule_descriptions, &out->return_);
}

int ec2_update_security_group_rule_descriptions_egress(struct call *c,
                                                       const struct ec2_update_security_group_rule_descriptions_egress_request *in,
                                                       struct ec2_update_security_group_rule_descriptions_egress_result *out)
{
	struct change change = {
	        .group_id = in->group_id, .group_name = in->group_name, .egress = true, .permissions = in->ip_permissions};
	return describe_rules(c, &change, &in->security_group_rule_descriptions, &out->return_);
}

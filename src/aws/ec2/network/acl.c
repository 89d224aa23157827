/* Network ACLs. Every subnet is associated with exactly one; entry 32767, which denies, is the last of each and cannot be changed.
 */
#include "aws/ec2/network/ipv6.h"

/* Entry 101 of the default ACL and the last one over IPv6 come with the VPC's first IPv6 block. */
enum { RULE_LAST = 32767, RULE_LAST_IPV6 = 32768, RULE_MAX = 32766, RULE_DEFAULT = 100, RULE_DEFAULT_IPV6 = 101 };

static void put(const struct ec2_scope *s, const struct ec2_network_acl *acl)
{
	ec2_put(s, &ec2_kind_acl, acl->network_acl_id, acl);
}

static void add_entry(struct arena *a, struct ec2_network_acl *acl, int64_t number, bool egress, const char *action)
{
	*LIST_ADD(a, &acl->entries) = (struct ec2_network_acl_entry){.rule_number = OPT_INT(number),
	                                                             .egress = OPT_BOOL(egress),
	                                                             .protocol = S("-1"),
	                                                             .rule_action = str_from(action),
	                                                             .cidr_block = S("0.0.0.0/0")};
}

static void add_entry6(struct arena *a, struct ec2_network_acl *acl, int64_t number, bool egress, const char *action)
{
	add_entry(a, acl, number, egress, action);
	struct ec2_network_acl_entry *e = &acl->entries.v[acl->entries.n - 1];
	e->cidr_block = STR_NONE;
	e->ipv6_cidr_block = S("::/0");
}

void ec2_acl_make(struct call *c, struct str vpc, bool is_default, struct ec2_tag_list tags, struct ec2_network_acl *ret)
{
	struct ec2_scope s = ec2_scope(c);
	*ret = (struct ec2_network_acl){.network_acl_id = ec2_new_id(c->arena, "acl"),
	                                .vpc_id = vpc,
	                                .owner_id = c->account,
	                                .is_default = OPT_BOOL(is_default),
	                                .tags = tags};
	ret->associations.set = true;
	for (int egress = 1; egress >= 0; egress--) {
		if (is_default)
			add_entry(c->arena, ret, RULE_DEFAULT, egress, "allow");
		add_entry(c->arena, ret, RULE_LAST, egress, "deny");
		if (ec2_vpc_has_ipv6(&s, vpc))
			add_entry6(c->arena, ret, RULE_LAST_IPV6, egress, "deny");
	}
	put(&s, ret);
}

/* --- associations */

static void associate(struct arena *a, struct ec2_network_acl *acl, struct str subnet, struct str *ret_id)
{
	struct ec2_network_acl_association *as = LIST_ADD(a, &acl->associations);
	*as = (struct ec2_network_acl_association){ec2_new_id(a, "aclassoc"), acl->network_acl_id, subnet};
	if (ret_id)
		*ret_id = as->network_acl_association_id;
}

void ec2_acl_add_subnet(const struct ec2_scope *s, struct str vpc, struct str subnet)
{
	struct ec2_network_acl acl;
	struct ec2_all all = ec2_all(s, &ec2_kind_acl);
	while (ec2_next(&all, &acl))
		if (acl.is_default.v && str_eq(acl.vpc_id, vpc)) {
			associate(s->arena, &acl, subnet, NULL);
			put(s, &acl);
			return;
		}
}

static bool find_association(const struct ec2_scope *s, struct str id, struct str subnet, struct ec2_network_acl *ret,
                             uint32_t *ret_at)
{
	struct ec2_all all = ec2_all(s, &ec2_kind_acl);
	while (ec2_next(&all, ret))
		for (*ret_at = 0; *ret_at < ret->associations.n; ++*ret_at) {
			const struct ec2_network_acl_association *as = &ret->associations.v[*ret_at];
			if (str_set(id) ? str_eq(as->network_acl_association_id, id) : str_eq(as->subnet_id, subnet))
				return true;
		}
	return false;
}

static void drop_association(const struct ec2_scope *s, struct ec2_network_acl *acl, uint32_t at)
{
	struct ec2_network_acl_association_list *l = &acl->associations;
	memmove(&l->v[at], &l->v[at + 1], (l->n - at - 1) * sizeof(*l->v));
	l->n--;
	put(s, acl);
}

void ec2_acls_drop_subnet(const struct ec2_scope *s, struct str subnet)
{
	struct ec2_network_acl acl;
	uint32_t at;
	if (find_association(s, STR_NONE, subnet, &acl, &at))
		drop_association(s, &acl, at);
}

int ec2_replace_network_acl_association(struct call *c, const struct ec2_replace_network_acl_association_request *in,
                                        struct ec2_replace_network_acl_association_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_network_acl from, to;
	uint32_t at;
	if (ec2_get(c, &ec2_kind_acl, in->network_acl_id, &to) != CALL_OK)
		return CALL_FAIL;
	if (!find_association(&s, in->association_id, STR_NONE, &from, &at))
		return call_fail(c, "InvalidAssociationID.NotFound", 400, "The association ID '%.*s' does not exist",
		                 STR_ARG(in->association_id));
	if (!str_eq(from.vpc_id, to.vpc_id))
		return ec2_invalid(c, "The networkAcl '%.*s' and association '%.*s' belong to different networks",
		                   STR_ARG(in->network_acl_id), STR_ARG(in->association_id));
	if (str_eq(from.network_acl_id, to.network_acl_id)) {
		out->new_association_id = in->association_id;
		return CALL_OK;
	}
	struct str subnet = from.associations.v[at].subnet_id;
	drop_association(&s, &from, at);
	associate(c->arena, &to, subnet, &out->new_association_id);
	put(&s, &to);
	return CALL_OK;
}

/* --- the ACLs themselves */

int ec2_create_network_acl(struct call *c, const struct ec2_create_network_acl_request *in,
                           struct ec2_create_network_acl_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_vpc_record vpc;
	struct ec2_network_acl other;
	struct ec2_tag_list tags;
	if (ec2_get(c, &ec2_kind_vpc, in->vpc_id, &vpc) != CALL_OK ||
	    ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_acl, &tags) != CALL_OK)
		return CALL_FAIL;
	uint32_t n = 0;
	struct ec2_all all = ec2_all(&s, &ec2_kind_acl);
	while (ec2_next(&all, &other))
		n += str_eq(other.vpc_id, in->vpc_id);
	if (n >= EC2_ACLS_MAX)
		return call_fail(c, "NetworkAclLimitExceeded", 400, "The maximum number of network ACLs has been reached.");
	out->network_acl = arena_new(c->arena, struct ec2_network_acl);
	out->client_token = in->client_token;
	ec2_acl_make(c, in->vpc_id, false, tags, out->network_acl);
	return CALL_OK;
}

int ec2_delete_network_acl(struct call *c, const struct ec2_delete_network_acl_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct ec2_network_acl acl;
	if (ec2_get(c, &ec2_kind_acl, in->network_acl_id, &acl) != CALL_OK)
		return CALL_FAIL;
	if (acl.is_default.v)
		return ec2_invalid(c, "cannot delete default network ACL %.*s", STR_ARG(in->network_acl_id));
	if (acl.associations.n)
		return ec2_depends(c, "The networkAcl '%.*s' has dependencies and cannot be deleted.", STR_ARG(in->network_acl_id));
	ec2_drop(&s, &ec2_kind_acl, in->network_acl_id);
	return CALL_OK;
}

/* --- entries */

static struct ec2_network_acl_entry *find_entry(struct ec2_network_acl *acl, int64_t number, bool egress)
{
	for (uint32_t i = 0; i < acl->entries.n; i++)
		if (acl->entries.v[i].rule_number.v == number && acl->entries.v[i].egress.v == egress)
			return &acl->entries.v[i];
	return NULL;
}

/* The protocol's number, as ACLs spell it. */
static int entry_protocol(struct call *c, struct str given, struct str *ret)
{
	static const char *const names[][2] = {{"tcp", "6"}, {"udp", "17"}, {"icmp", "1"}, {"icmpv6", "58"}, {"all", "-1"}};
	int64_t n;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (str_ieq(given, str_from(names[i][0])))
			given = str_from(names[i][1]);
	if (!str_to_i64(given, &n) || n < -1 || n > 255)
		return ec2_invalid(c, "Invalid value '%.*s' for IP protocol. Unknown protocol.", STR_ARG(given));
	*ret = arena_printf(c->arena, "%ld", n);
	return CALL_OK;
}

static int check_entry(struct call *c, const struct ec2_create_network_acl_entry_request *in, struct ec2_network_acl_entry *ret)
{
	struct ec2_block block;
	struct ec2_block6 block6;
	if (in->rule_number.v < 1 || in->rule_number.v > RULE_MAX)
		return ec2_invalid(c, "Value (%ld) for parameter ruleNumber is invalid. Expecting a value between 1 and %d.",
		                   in->rule_number.v, RULE_MAX);
	*ret = (struct ec2_network_acl_entry){.rule_number = in->rule_number, .egress = in->egress, .rule_action = in->rule_action};
	if (entry_protocol(c, in->protocol, &ret->protocol) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->cidr_block) && str_set(in->ipv6_cidr_block))
		return ec2_combination(c, "Only one of cidrBlock and ipv6CidrBlock can be given");
	if (str_set(in->ipv6_cidr_block)) {
		if (!ec2_block6_parse(in->ipv6_cidr_block, &block6))
			return ec2_invalid(c,
			                   "Value (%.*s) for parameter ipv6CidrBlock is invalid. This is not a valid CIDR block.",
			                   STR_ARG(in->ipv6_cidr_block));
		ret->ipv6_cidr_block = ec2_block6_text(c->arena, &block6);
	} else {
		if (!str_set(in->cidr_block))
			return ec2_missing(c, "cidrBlock");
		if (!ec2_block_parse(in->cidr_block, &block))
			return ec2_invalid(c, "Value (%.*s) for parameter cidrBlock is invalid. This is not a valid CIDR block.",
			                   STR_ARG(in->cidr_block));
		ret->cidr_block = ec2_block_text(c->arena, block);
	}
	if (str_is(ret->protocol, "6") || str_is(ret->protocol, "17")) {
		if (!in->port_range || !in->port_range->from.set || !in->port_range->to.set)
			return ec2_missing(c, "portRange");
		if (in->port_range->from.v < 0 || in->port_range->to.v > 65535 || in->port_range->from.v > in->port_range->to.v)
			return ec2_invalid(c, "Invalid TCP/UDP port range (%ld:%ld)", in->port_range->from.v, in->port_range->to.v);
		ret->port_range = in->port_range;
	} else if (str_is(ret->protocol, "1") || str_is(ret->protocol, "58")) {
		if (!in->icmp_type_code || !in->icmp_type_code->type.set || !in->icmp_type_code->code.set)
			return ec2_missing(c, "icmpTypeCode");
		const struct ec2_icmp_type_code *icmp = in->icmp_type_code;
		if (icmp->type.v < -1 || icmp->type.v > 255 || icmp->code.v < -1 || icmp->code.v > 255)
			return ec2_invalid(c, "ICMP type (%ld) or code (%ld) out of range", icmp->type.v, icmp->code.v);
		ret->icmp_type_code = in->icmp_type_code;
	}
	return CALL_OK;
}

/* In order of number, each direction for itself, as they are tried. */
static void sort_entries(struct ec2_network_acl *acl)
{
	for (uint32_t i = 1; i < acl->entries.n; i++)
		for (uint32_t k = i; k > 0; k--) {
			struct ec2_network_acl_entry *a = &acl->entries.v[k - 1], *b = &acl->entries.v[k], t = *a;
			if (a->egress.v > b->egress.v || (a->egress.v == b->egress.v && a->rule_number.v <= b->rule_number.v))
				break;
			*a = *b;
			*b = t;
		}
}

void ec2_acls_add_ipv6(const struct ec2_scope *s, struct str vpc)
{
	struct ec2_network_acl acl;
	struct ec2_all all = ec2_all(s, &ec2_kind_acl);
	while (ec2_next(&all, &acl)) {
		if (!str_eq(acl.vpc_id, vpc))
			continue;
		for (int egress = 0; egress < 2; egress++) {
			if (acl.is_default.v && !find_entry(&acl, RULE_DEFAULT_IPV6, egress))
				add_entry6(s->arena, &acl, RULE_DEFAULT_IPV6, egress, "allow");
			if (!find_entry(&acl, RULE_LAST_IPV6, egress))
				add_entry6(s->arena, &acl, RULE_LAST_IPV6, egress, "deny");
		}
		sort_entries(&acl);
		put(s, &acl);
	}
}

int ec2_create_network_acl_entry(struct call *c, const struct ec2_create_network_acl_entry_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct ec2_network_acl acl;
	struct ec2_network_acl_entry entry;
	if (ec2_get(c, &ec2_kind_acl, in->network_acl_id, &acl) != CALL_OK || check_entry(c, in, &entry) != CALL_OK)
		return CALL_FAIL;
	if (find_entry(&acl, in->rule_number.v, in->egress.v))
		return call_fail(c, "NetworkAclEntryAlreadyExists", 400, "The network acl entry identified by %ld already exists.",
		                 in->rule_number.v);
	int n = 0;
	for (uint32_t i = 0; i < acl.entries.n; i++)
		n += acl.entries.v[i].egress.v == in->egress.v && acl.entries.v[i].rule_number.v <= RULE_MAX &&
		     str_set(acl.entries.v[i].ipv6_cidr_block) == str_set(in->ipv6_cidr_block);
	if (n >= EC2_ACL_RULES_MAX)
		return call_fail(c, "NetworkAclEntryLimitExceeded", 400,
		                 "The maximum number of network ACL entries has been reached.");
	*LIST_ADD(c->arena, &acl.entries) = entry;
	sort_entries(&acl);
	put(&s, &acl);
	return CALL_OK;
}

static int no_entry(struct call *c, struct str acl, int64_t number)
{
	return call_fail(c, "InvalidNetworkAclEntry.NotFound", 400,
	                 "The network acl entry identified by %ld does not exist in '%.*s'", number, STR_ARG(acl));
}

int ec2_replace_network_acl_entry(struct call *c, const struct ec2_replace_network_acl_entry_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct ec2_network_acl acl;
	struct ec2_network_acl_entry entry;
	const struct ec2_create_network_acl_entry_request like = {.rule_number = in->rule_number,
	                                                          .protocol = in->protocol,
	                                                          .rule_action = in->rule_action,
	                                                          .egress = in->egress,
	                                                          .cidr_block = in->cidr_block,
	                                                          .ipv6_cidr_block = in->ipv6_cidr_block,
	                                                          .icmp_type_code = in->icmp_type_code,
	                                                          .port_range = in->port_range};
	if (ec2_get(c, &ec2_kind_acl, in->network_acl_id, &acl) != CALL_OK || check_entry(c, &like, &entry) != CALL_OK)
		return CALL_FAIL;
	struct ec2_network_acl_entry *old = find_entry(&acl, in->rule_number.v, in->egress.v);
	if (!old)
		return no_entry(c, in->network_acl_id, in->rule_number.v);
	*old = entry;
	put(&s, &acl);
	return CALL_OK;
}

int ec2_delete_network_acl_entry(struct call *c, const struct ec2_delete_network_acl_entry_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct ec2_network_acl acl;
	if (ec2_get(c, &ec2_kind_acl, in->network_acl_id, &acl) != CALL_OK)
		return CALL_FAIL;
	if (in->rule_number.v < 1 || in->rule_number.v > RULE_MAX)
		return ec2_invalid(c, "Value (%ld) for parameter ruleNumber is invalid. Expecting a value between 1 and %d.",
		                   in->rule_number.v, RULE_MAX);
	struct ec2_network_acl_entry *old = find_entry(&acl, in->rule_number.v, in->egress.v);
	if (!old)
		return no_entry(c, in->network_acl_id, in->rule_number.v);
	size_t at = (size_t)(old - acl.entries.v);
	memmove(old, old + 1, (acl.entries.n - at - 1) * sizeof(*old));
	acl.entries.n--;
	put(&s, &acl);
	return CALL_OK;
}

/* --- lists */

#define ENTRY(name, member) FIELD_EACH(name, ec2_network_acl, entries, ec2_network_acl_entry, member)
#define ASSOCIATION(name, member) FIELD_EACH(name, ec2_network_acl, associations, ec2_network_acl_association, member)
static const struct ec2_field fields[] = {
        ASSOCIATION("association.association-id", network_acl_association_id),
        ASSOCIATION("association.network-acl-id", network_acl_id),
        ASSOCIATION("association.subnet-id", subnet_id),
        FIELD_FLAG("default", ec2_network_acl, is_default),
        ENTRY("entry.cidr", cidr_block),
        ENTRY("entry.ipv6-cidr", ipv6_cidr_block),
        FIELD_PATH("entry.egress", "NetworkAcl", "Entries.Egress"),
        FIELD_PATH("entry.icmp.code", "NetworkAcl", "Entries.IcmpTypeCode.Code"),
        FIELD_PATH("entry.icmp.type", "NetworkAcl", "Entries.IcmpTypeCode.Type"),
        FIELD_PATH("entry.port-range.from", "NetworkAcl", "Entries.PortRange.From"),
        FIELD_PATH("entry.port-range.to", "NetworkAcl", "Entries.PortRange.To"),
        ENTRY("entry.protocol", protocol),
        ENTRY("entry.rule-action", rule_action),
        FIELD_PATH("entry.rule-number", "NetworkAcl", "Entries.RuleNumber"),
        FIELD_TEXT("network-acl-id", ec2_network_acl, network_acl_id),
        FIELD_TEXT("owner-id", ec2_network_acl, owner_id),
        FIELD_TEXT("vpc-id", ec2_network_acl, vpc_id),
        {0},
};

static void show(struct call *c, void *record, void *out)
{
	*LIST_ADD(c->arena, &((struct ec2_describe_network_acls_result *)out)->network_acls) = *(struct ec2_network_acl *)record;
}

int ec2_describe_network_acls(struct call *c, const struct ec2_describe_network_acls_request *in,
                              struct ec2_describe_network_acls_result *out)
{
	out->network_acls.set = true;
	return ec2_describe(c,
	                    &(struct ec2_walk){.kind = &ec2_kind_acl,
	                                       .fields = fields,
	                                       .filters = &in->filters,
	                                       .ids = &in->network_acl_ids,
	                                       .max_results = &in->max_results,
	                                       .next_token = in->next_token,
	                                       .show = show},
	                    out, &out->next_token);
}

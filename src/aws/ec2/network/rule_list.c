/* Rules of security groups as they are shown: one by one, and gathered as IpPermissions. */
#include "aws/ec2/network/vpc.h"

static void add_peer(struct call *c, struct ec2_ip_permission *p, const struct ec2_security_group_rule *r)
{
	if (r->referenced_group_info)
		*LIST_ADD(c->arena, &p->user_id_group_pairs) = (struct ec2_user_id_group_pair){
		        .description = r->description,
		        .user_id = r->referenced_group_info->user_id,
		        .group_id = r->referenced_group_info->group_id,
		        .vpc_id = r->referenced_group_info->vpc_id,
		        .vpc_peering_connection_id = r->referenced_group_info->vpc_peering_connection_id,
		        .peering_status = r->referenced_group_info->peering_status};
	else if (str_set(r->prefix_list_id))
		*LIST_ADD(c->arena, &p->prefix_list_ids) =
		        (struct ec2_prefix_list_id){.description = r->description, .prefix_list_id = r->prefix_list_id};
	else if (str_set(r->cidr_ipv6))
		*LIST_ADD(c->arena, &p->ipv6_ranges) =
		        (struct ec2_ipv6_range){.description = r->description, .cidr_ipv6 = r->cidr_ipv6};
	else
		*LIST_ADD(c->arena, &p->ip_ranges) = (struct ec2_ip_range){.description = r->description, .cidr_ip = r->cidr_ipv4};
}

void ec2_group_fill(struct call *c, struct state_vpc_group_record *group)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_ip_permission_list *lists[] = {&group->group->ip_permissions, &group->group->ip_permissions_egress};
	for (int i = 0; i < 2; i++)
		*lists[i] = (struct ec2_ip_permission_list){.set = true};
	for (uint32_t i = 0; i < group->rule_ids.n; i++) {
		struct ec2_security_group_rule *r = arena_new(c->arena, struct ec2_security_group_rule);
		if (!ec2_find(&s, &ec2_kind_rule, group->rule_ids.v[i], r))
			continue;
		struct ec2_ip_permission_list *list = lists[r->is_egress.v];
		bool all = str_is(r->ip_protocol, "-1");
		uint32_t at = 0;
		while (at < list->n &&
		       !(str_eq(list->v[at].ip_protocol, r->ip_protocol) &&
		         (all || (list->v[at].from_port.v == r->from_port.v && list->v[at].to_port.v == r->to_port.v))))
			at++;
		if (at == list->n) {
			struct ec2_ip_permission *p = LIST_ADD(c->arena, list);
			p->ip_protocol = r->ip_protocol;
			if (!all) {
				p->from_port = r->from_port;
				p->to_port = r->to_port;
			}
			p->ip_ranges.set = p->ipv6_ranges.set = p->prefix_list_ids.set = p->user_id_group_pairs.set = true;
		}
		add_peer(c, &list->v[at], r);
	}
}

static const struct ec2_field fields[] = {
        FIELD_TEXT("group-id", ec2_security_group_rule, group_id),
        FIELD_TEXT("security-group-rule-id", ec2_security_group_rule, security_group_rule_id),
        {0},
};

static void show(struct call *c, void *record, void *out)
{
	*LIST_ADD(c->arena, &((struct ec2_describe_security_group_rules_result *)out)->security_group_rules) =
	        *(struct ec2_security_group_rule *)record;
}

int ec2_describe_security_group_rules(struct call *c, const struct ec2_describe_security_group_rules_request *in,
                                      struct ec2_describe_security_group_rules_result *out)
{
	out->security_group_rules.set = true;
	return ec2_describe(c,
	                    &(struct ec2_walk){.kind = &ec2_kind_rule,
	                                       .fields = fields,
	                                       .filters = &in->filters,
	                                       .ids = &in->security_group_rule_ids,
	                                       .max_results = &in->max_results,
	                                       .next_token = in->next_token,
	                                       .show = show},
	                    out, &out->next_token);
}

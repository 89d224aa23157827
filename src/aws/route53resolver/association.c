/* Which rules hold in which VPCs, and what else can be said of a VPC's resolver. */
#include "rows.h"

#include "aws/ec2/ec2.h"

static const struct resolver_field fields[] = {
#define FIELD(name, member) \
	{ \
		name, RESOLVER_TEXT, offsetof(struct route53resolver_resolver_rule_association, member) \
	}
        FIELD("Name", name), FIELD("ResolverRuleId", resolver_rule_id), FIELD("Status", status), FIELD("VPCId", vpc_id), {0}
#undef FIELD
};

int route53resolver_associate_resolver_rule(struct call *c, const struct route53resolver_associate_resolver_rule_request *in,
                                            struct route53resolver_associate_resolver_rule_response *out)
{
	struct resolver_scope s = resolver_scope(c);
	struct state_route53resolver_rule_record rule, other;
	struct state_route53resolver_association_record held;
	int64_t count = 0;
	if (resolver_rule_get(c, in->resolver_rule_id, &rule) != CALL_OK)
		return CALL_FAIL;
	if (str_is(in->resolver_rule_id, RESOLVER_INTERNET))
		return resolver_bad(c, "The autodefined rule %.*s is associated with all VPCs.", STR_ARG(in->resolver_rule_id));
	if (!ec2_vpc_there(c, in->vpc_id))
		return resolver_absent(c, "vpc", "VPC", in->vpc_id);
	struct resolver_all all = resolver_all(&s, RESOLVER_ASSOCIATION);
	while (resolver_next(&all, &held)) {
		count++;
		if (!str_eq(held.association->vpc_id, in->vpc_id))
			continue;
		if (str_eq(held.association->resolver_rule_id, rule.rule->id)) {
			call_fail(c, "ResourceExistsException", 400, "Resolver rule %.*s is associated with VPC %.*s already.",
			          STR_ARG(rule.rule->id), STR_ARG(in->vpc_id));
			return call_field(c, "ResourceType", S("resolver-rule-association"));
		}
		if (resolver_find(&s, RESOLVER_RULE, held.association->resolver_rule_id, &other) &&
		    str_eq(other.rule->domain_name, rule.rule->domain_name))
			return resolver_bad(c, "VPC %.*s has a Resolver rule for the domain name %.*s already.",
			                    STR_ARG(in->vpc_id), STR_ARG(rule.rule->domain_name));
	}
	if (count >= RESOLVER_ASSOCIATIONS_MAX)
		return resolver_limit(c, "resolver-rule-association", "Resolver rule associations per Region",
		                      RESOLVER_ASSOCIATIONS_MAX);
	struct route53resolver_resolver_rule_association *a = arena_new(c->arena, struct route53resolver_resolver_rule_association);
	*a = (struct route53resolver_resolver_rule_association){.id = resolver_make_id(c, "rslvr-rrassoc-"),
	                                                        .resolver_rule_id = rule.rule->id,
	                                                        .name = in->name,
	                                                        .vpc_id = in->vpc_id,
	                                                        .status = S("COMPLETE"),
	                                                        .status_message = S("")};
	resolver_put(&s, RESOLVER_ASSOCIATION, a->id, &(struct state_route53resolver_association_record){.association = a});
	out->resolver_rule_association = a;
	a->status = S("CREATING");
	a->status_message = resolver_traced(c, "Creating the association.");
	return CALL_OK;
}

int route53resolver_disassociate_resolver_rule(struct call *c, const struct route53resolver_disassociate_resolver_rule_request *in,
                                               struct route53resolver_disassociate_resolver_rule_response *out)
{
	struct resolver_scope s = resolver_scope(c);
	struct state_route53resolver_rule_record rule;
	struct state_route53resolver_association_record held;
	if (resolver_rule_get(c, in->resolver_rule_id, &rule) != CALL_OK)
		return CALL_FAIL;
	if (str_is(in->resolver_rule_id, RESOLVER_INTERNET))
		return resolver_bad(c, "The autodefined rule %.*s cannot be disassociated.", STR_ARG(in->resolver_rule_id));
	struct resolver_all all = resolver_all(&s, RESOLVER_ASSOCIATION);
	while (resolver_next(&all, &held)) {
		struct route53resolver_resolver_rule_association *a = held.association;
		if (!str_eq(a->vpc_id, in->vpc_id) || !str_eq(a->resolver_rule_id, rule.rule->id))
			continue;
		resolver_drop(&s, RESOLVER_ASSOCIATION, a->id);
		out->resolver_rule_association = a;
		a->status = S("DELETING");
		a->status_message = resolver_traced(c, "Deleting Association");
		return CALL_OK;
	}
	call_fail(c, "ResourceNotFoundException", 400, "Resolver rule %.*s is not associated with VPC %.*s.",
	          STR_ARG(rule.rule->id), STR_ARG(in->vpc_id));
	return call_field(c, "ResourceType", S("resolver-rule-association"));
}

int route53resolver_get_resolver_rule_association(struct call *c,
                                                  const struct route53resolver_get_resolver_rule_association_request *in,
                                                  struct route53resolver_get_resolver_rule_association_response *out)
{
	struct resolver_scope s = resolver_scope(c);
	struct state_route53resolver_association_record r;
	if (!resolver_find(&s, RESOLVER_ASSOCIATION, in->resolver_rule_association_id, &r))
		return resolver_absent(c, "resolver-rule-association", "Resolver rule association",
		                       in->resolver_rule_association_id);
	out->resolver_rule_association = r.association;
	return CALL_OK;
}

int route53resolver_list_resolver_rule_associations(struct call *c,
                                                    const struct route53resolver_list_resolver_rule_associations_request *in,
                                                    struct route53resolver_list_resolver_rule_associations_response *out)
{
	struct resolver_page p;
	struct state_route53resolver_association_record r;
	if (resolver_filters_check(c, &in->filters, fields) != CALL_OK ||
	    resolver_page_begin(c, &p, RESOLVER_ASSOCIATION, in->max_results, in->next_token) != CALL_OK)
		return CALL_FAIL;
	out->resolver_rule_associations.set = true;
	out->max_results = OPT_INT(p.limit);
	while (resolver_next(&p.all, &r)) {
		if (!resolver_filters_pass(c->arena, &in->filters, fields, r.association))
			continue;
		if (!resolver_page_add(c, &p, &out->next_token))
			break;
		*LIST_ADD(c->arena, &out->resolver_rule_associations) = *r.association;
	}
	return CALL_OK;
}

/* --- configurations: what is not said is as AWS has it from the beginning */

static struct route53resolver_resolver_config *config_of(struct call *c, struct str vpc)
{
	struct resolver_scope s = resolver_scope(c);
	struct state_route53resolver_config_record r;
	if (resolver_find(&s, RESOLVER_CONFIG, vpc, &r))
		return r.config;
	struct route53resolver_resolver_config *config = arena_new(c->arena, struct route53resolver_resolver_config);
	struct str number = vpc;
	str_cut(&number, '-');
	*config = (struct route53resolver_resolver_config){.id = ARENA_CAT(c->arena, S("rslvr-rc-"), number),
	                                                   .resource_id = vpc,
	                                                   .owner_id = c->account,
	                                                   .autodefined_reverse = S("ENABLED")};
	return config;
}

int route53resolver_get_resolver_config(struct call *c, const struct route53resolver_get_resolver_config_request *in,
                                        struct route53resolver_get_resolver_config_response *out)
{
	if (!ec2_vpc_there(c, in->resource_id))
		return resolver_absent(c, "vpc", "VPC", in->resource_id);
	out->resolver_config = config_of(c, in->resource_id);
	return CALL_OK;
}

int route53resolver_update_resolver_config(struct call *c, const struct route53resolver_update_resolver_config_request *in,
                                           struct route53resolver_update_resolver_config_response *out)
{
	struct resolver_scope s = resolver_scope(c);
	bool on = str_is(in->autodefined_reverse_flag, "ENABLE");
	if (!ec2_vpc_there(c, in->resource_id))
		return resolver_absent(c, "vpc", "VPC", in->resource_id);
	if (!on && !str_is(in->autodefined_reverse_flag, "DISABLE"))
		return resolver_invalid(c, "AutodefinedReverseFlag", "USE_LOCAL_RESOURCE_SETTING is for Route 53 Profiles.");
	struct route53resolver_resolver_config *config = config_of(c, in->resource_id);
	config->autodefined_reverse = on ? S("ENABLED") : S("DISABLED");
	resolver_put(&s, RESOLVER_CONFIG, in->resource_id, &(struct state_route53resolver_config_record){.config = config});
	config->autodefined_reverse = on ? S("ENABLING") : S("DISABLING");
	out->resolver_config = config;
	return CALL_OK;
}

int route53resolver_list_resolver_configs(struct call *c, const struct route53resolver_list_resolver_configs_request *in,
                                          struct route53resolver_list_resolver_configs_response *out)
{
	struct resolver_page p;
	struct state_route53resolver_config_record r;
	if (resolver_page_begin(c, &p, RESOLVER_CONFIG, in->max_results, in->next_token) != CALL_OK)
		return CALL_FAIL;
	out->resolver_configs.set = true;
	while (resolver_next(&p.all, &r)) {
		if (!resolver_page_add(c, &p, &out->next_token))
			break;
		*LIST_ADD(c->arena, &out->resolver_configs) = *r.config;
	}
	return CALL_OK;
}

/* Route 53 Resolver's table of operations, its beginning and its end. */
#include "rows.h"

/* --- what permissions are about */

static int about_endpoint(struct call *c, struct authz *az, struct str id)
{
	struct resolver_scope s = resolver_scope(c);
	struct state_route53resolver_endpoint_record r;
	az->resource = resolver_arn(c->arena, c->region, c->account, "resolver-endpoint", id);
	if (resolver_find(&s, RESOLVER_ENDPOINT, id, &r))
		resolver_authz_tags(c, az, &r.tags);
	return CALL_OK;
}

static int about_rule(struct call *c, struct authz *az, struct str id)
{
	struct resolver_scope s = resolver_scope(c);
	struct state_route53resolver_rule_record r;
	az->resource = resolver_arn(c->arena, c->region, c->account, "resolver-rule", id);
	if (resolver_find(&s, RESOLVER_RULE, id, &r))
		resolver_authz_tags(c, az, &r.tags);
	return CALL_OK;
}

static int about_arn(struct call *c, struct authz *az, struct str arn)
{
	struct str id = str_from_at(arn, (size_t)(str_rfind_char(arn, '/') + 1));
	int result = str_starts(id, S("rslvr-rr-")) ? about_rule(c, az, id) : about_endpoint(c, az, id);
	az->resource = arn;
	return result;
}

static int about_config(struct call *c, struct authz *az, struct str vpc)
{
	az->resource = resolver_arn(c->arena, c->region, c->account, "resolver-config", vpc);
	return CALL_OK;
}

/* What is to be made, with the tags that it is to have. */
static int about_new(struct call *c, struct authz *az, const char *type, const struct route53resolver_tag_list *tags)
{
	struct str_map map = {0};
	az->resource = resolver_arn(c->arena, c->region, c->account, type, S("*"));
	for (uint32_t i = 0; i < tags->n; i++) {
		*LIST_ADD(c->arena, &map) = (struct str_map_entry){tags->v[i].key, tags->v[i].value};
		authz_add(c, az, "aws:TagKeys", tags->v[i].key);
	}
	authz_add_tags(c, az, "aws:RequestTag", &map);
	return CALL_OK;
}

#define ABOUT(type, answer) \
	static int about_##type(struct call *c, const void *input, struct authz *az) \
	{ \
		const struct route53resolver_##type##_request *in = input; \
		return answer; \
	}
ABOUT(associate_resolver_endpoint_ip_address, about_endpoint(c, az, in->resolver_endpoint_id))
ABOUT(associate_resolver_rule, about_rule(c, az, in->resolver_rule_id))
ABOUT(create_resolver_endpoint, about_new(c, az, "resolver-endpoint", &in->tags))
ABOUT(create_resolver_rule, about_new(c, az, "resolver-rule", &in->tags))
ABOUT(delete_resolver_endpoint, about_endpoint(c, az, in->resolver_endpoint_id))
ABOUT(delete_resolver_rule, about_rule(c, az, in->resolver_rule_id))
ABOUT(disassociate_resolver_endpoint_ip_address, about_endpoint(c, az, in->resolver_endpoint_id))
ABOUT(disassociate_resolver_rule, about_rule(c, az, in->resolver_rule_id))
ABOUT(get_resolver_config, about_config(c, az, in->resource_id))
ABOUT(get_resolver_endpoint, about_endpoint(c, az, in->resolver_endpoint_id))
ABOUT(get_resolver_rule, about_rule(c, az, in->resolver_rule_id))
ABOUT(list_resolver_endpoint_ip_addresses, about_endpoint(c, az, in->resolver_endpoint_id))
ABOUT(list_tags_for_resource, about_arn(c, az, in->resource_arn))
ABOUT(tag_resource, about_arn(c, az, in->resource_arn))
ABOUT(untag_resource, about_arn(c, az, in->resource_arn))
ABOUT(update_resolver_config, about_config(c, az, in->resource_id))
ABOUT(update_resolver_endpoint, about_endpoint(c, az, in->resolver_endpoint_id))
ABOUT(update_resolver_rule, about_rule(c, az, in->resolver_rule_id))

/* AWS says it in words of its own, before it looks at the rest. */
static bool check_first(struct call *c, const void *input)
{
	const struct route53resolver_create_resolver_endpoint_request *in = input;
	if (!c->row || c->row->handle != (call_handler *)(void (*)(void))route53resolver_create_resolver_endpoint ||
	    !in->ip_addresses.set || in->ip_addresses.n >= RESOLVER_ENDPOINT_IPS_MIN)
		return true;
	resolver_bad(c, "[RSLVR-00400] Resolver endpoint need to have at least 2 IP addresses.");
	return false;
}

/* --- the table */

#define ROW(c_name, name, ...) OP(route53resolver, c_name, name, ##__VA_ARGS__)
#define ABOUT_IT(c_name) .resource = about_##c_name
static const struct service_op ops[] = {
        ROW(associate_resolver_endpoint_ip_address, AssociateResolverEndpointIpAddress,
            ABOUT_IT(associate_resolver_endpoint_ip_address), .missing = "IPv6"),
        ROW(associate_resolver_rule, AssociateResolverRule, ABOUT_IT(associate_resolver_rule)),
        ROW(create_resolver_endpoint, CreateResolverEndpoint, ABOUT_IT(create_resolver_endpoint),
            .missing = "inbound delegation, IPv6, DNS over HTTPS, Outposts, metrics"),
        ROW(create_resolver_rule, CreateResolverRule, ABOUT_IT(create_resolver_rule),
            .missing = "delegation, IPv6, DNS over HTTPS"),
        ROW(delete_resolver_endpoint, DeleteResolverEndpoint, ABOUT_IT(delete_resolver_endpoint)),
        ROW(delete_resolver_rule, DeleteResolverRule, ABOUT_IT(delete_resolver_rule)),
        ROW(disassociate_resolver_endpoint_ip_address, DisassociateResolverEndpointIpAddress,
            ABOUT_IT(disassociate_resolver_endpoint_ip_address)),
        ROW(disassociate_resolver_rule, DisassociateResolverRule, ABOUT_IT(disassociate_resolver_rule)),
        ROW(get_resolver_config, GetResolverConfig, ABOUT_IT(get_resolver_config), .flags = OP_READ),
        ROW(get_resolver_endpoint, GetResolverEndpoint, ABOUT_IT(get_resolver_endpoint), .flags = OP_READ),
        ROW(get_resolver_rule, GetResolverRule, ABOUT_IT(get_resolver_rule), .flags = OP_READ),
        ROW(get_resolver_rule_association, GetResolverRuleAssociation, .flags = OP_READ),
        ROW(list_resolver_configs, ListResolverConfigs, .flags = OP_READ),
        ROW(list_resolver_endpoint_ip_addresses, ListResolverEndpointIpAddresses, ABOUT_IT(list_resolver_endpoint_ip_addresses),
            .flags = OP_READ),
        ROW(list_resolver_endpoints, ListResolverEndpoints, .flags = OP_READ),
        ROW(list_resolver_rule_associations, ListResolverRuleAssociations, .flags = OP_READ,
            .missing = "associations of the rules that AWS defines"),
        ROW(list_resolver_rules, ListResolverRules, .flags = OP_READ),
        ROW(list_tags_for_resource, ListTagsForResource, ABOUT_IT(list_tags_for_resource), .flags = OP_READ),
        ROW(tag_resource, TagResource, ABOUT_IT(tag_resource)),
        ROW(untag_resource, UntagResource, ABOUT_IT(untag_resource)),
        ROW(update_resolver_config, UpdateResolverConfig, ABOUT_IT(update_resolver_config), .missing = "Route 53 Profiles"),
        ROW(update_resolver_endpoint, UpdateResolverEndpoint, ABOUT_IT(update_resolver_endpoint),
            .missing = "IPv6, DNS over HTTPS, metrics"),
        ROW(update_resolver_rule, UpdateResolverRule, ABOUT_IT(update_resolver_rule), .missing = "IPv6, DNS over HTTPS"),
};

static int resolver_start(struct cloud *cloud, void **ret_state)
{
	*ret_state = resolver_index_open(cloud);
	return 0;
}

static void resolver_stop(void *state)
{
	resolver_index_close(state);
}

const struct service route53resolver_service = {
        .api = &route53resolver_api,
        .iam_prefix = "route53resolver",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(ops[0]),
        .check_first = check_first,
        .start = resolver_start,
        .stop = resolver_stop,
};

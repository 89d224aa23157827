/* Rules: names below a domain are asked of others (FORWARD), or of the VPC's own resolver although a wider rule says otherwise
 * (SYSTEM). */
#include "rows.h"

#include "engine/dns/name.h"

#include <arpa/inet.h>

enum { DNS_PORT = 53 };

static const struct resolver_field fields[] = {
#define FIELD(name, member) \
	{ \
		name, RESOLVER_TEXT, offsetof(struct route53resolver_resolver_rule, member) \
	}
        FIELD("CreatorRequestId", creator_request_id),
        FIELD("DomainName", domain_name),
        FIELD("Name", name),
        FIELD("ResolverEndpointId", resolver_endpoint_id),
        FIELD("Status", status),
        FIELD("Type", rule_type),
        {0}
#undef FIELD
};

struct route53resolver_resolver_rule *resolver_internet_rule(struct arena *a, struct str region)
{
	struct route53resolver_resolver_rule *r = arena_new(a, struct route53resolver_resolver_rule);
	*r = (struct route53resolver_resolver_rule){.id = S(RESOLVER_INTERNET),
	                                            .creator_request_id = S(""),
	                                            .arn = resolver_arn(a, region, S(""), "autodefined-rule", S(RESOLVER_INTERNET)),
	                                            .domain_name = S("."),
	                                            .status = S("COMPLETE"),
	                                            .rule_type = S("RECURSIVE"),
	                                            .name = S("Internet Resolver"),
	                                            .owner_id = S("Route 53 Resolver"),
	                                            .share_status = S("NOT_SHARED")};
	return r;
}

/* --- what a rule may be */

static int take_targets(struct call *c, const struct route53resolver_target_list *in, struct route53resolver_target_list *ret)
{
	struct in_addr address;
	*ret = (struct route53resolver_target_list){.set = true};
	if (in->n > RESOLVER_TARGETS_MAX)
		return resolver_limit(c, "target-ip", "target IP addresses per Resolver rule", RESOLVER_TARGETS_MAX);
	for (uint32_t i = 0; i < in->n; i++) {
		const struct route53resolver_target_address *t = &in->v[i];
		if (resolver_only(c, t->ipv6.n, "TargetIps", "An IPv6 address") != CALL_OK ||
		    resolver_only(c, t->protocol.n && !str_is(t->protocol, "Do53"), "TargetIps", "A protocol other than Do53") !=
		            CALL_OK ||
		    resolver_only(c, t->server_name_indication.n, "TargetIps", "A ServerNameIndication") != CALL_OK)
			return CALL_FAIL;
		if (!t->ip.n || inet_pton(AF_INET, arena_dupz(c->arena, t->ip), &address) != 1)
			return resolver_invalid(c, "TargetIps", "The IP address \"%.*s\" is not valid.", STR_ARG(t->ip));
		*LIST_ADD(c->arena, ret) = (struct route53resolver_target_address){
		        .ip = t->ip, .port = OPT_INT(t->port.v ? t->port.v : DNS_PORT), .protocol = S("Do53")};
	}
	return CALL_OK;
}

static int check_outbound(struct call *c, struct str id)
{
	struct state_route53resolver_endpoint_record r;
	if (resolver_endpoint_get(c, id, &r) != CALL_OK)
		return CALL_FAIL;
	return str_is(r.endpoint->direction, "OUTBOUND")
	               ? CALL_OK
	               : resolver_invalid(c, "ResolverEndpointId", "The Resolver endpoint %.*s is not an outbound one.",
	                                  STR_ARG(id));
}

static int take_domain(struct call *c, struct str domain, struct str *ret)
{
	uint8_t wire[DNS_NAME_MAX];
	const char *why;
	if (!domain.n)
		return resolver_invalid(c, "DomainName", "A domain name is needed.");
	if (str_is(domain, ".")) {
		*ret = domain;
		return CALL_OK;
	}
	if (!dns_name_parse(domain, true, wire, &why))
		return resolver_invalid(c, "DomainName", "The domain name \"%.*s\" is not valid: %s.", STR_ARG(domain), why);
	*ret = dns_name_text(c->arena, wire);
	return CALL_OK;
}

static int check_new(struct call *c, const struct route53resolver_create_resolver_rule_request *in)
{
	struct resolver_scope s = resolver_scope(c);
	struct resolver_all all = resolver_all(&s, RESOLVER_RULE);
	struct state_route53resolver_rule_record r;
	int64_t count = 0;
	if (str_is(in->rule_type, "RECURSIVE"))
		return resolver_invalid(c, "RuleType", "Rules of the type RECURSIVE are made by Route 53 Resolver alone.");
	if (resolver_only(c, str_is(in->rule_type, "DELEGATE") || in->delegation_record.n, "RuleType",
	                  "A rule of the type DELEGATE") != CALL_OK ||
	    resolver_tags_check(c, &in->tags) != CALL_OK)
		return CALL_FAIL;
	while (resolver_next(&all, &r)) {
		count++;
		if (!str_eq(r.rule->creator_request_id, in->creator_request_id))
			continue;
		call_fail(c, "ResourceExistsException", 400, "Resolver rule with creator request id %.*s already exists",
		          STR_ARG(in->creator_request_id));
		return call_field(c, "ResourceType", S("resolver-rule"));
	}
	return count < RESOLVER_RULES_MAX ? CALL_OK
	                                  : resolver_limit(c, "resolver-rule", "Resolver rules per Region", RESOLVER_RULES_MAX);
}

/* --- operations */

int route53resolver_create_resolver_rule(struct call *c, const struct route53resolver_create_resolver_rule_request *in,
                                         struct route53resolver_create_resolver_rule_response *out)
{
	struct resolver_scope s = resolver_scope(c);
	struct route53resolver_resolver_rule *r = arena_new(c->arena, struct route53resolver_resolver_rule);
	bool forward = str_is(in->rule_type, "FORWARD");
	if (check_new(c, in) != CALL_OK)
		return CALL_FAIL;
	*r = (struct route53resolver_resolver_rule){
	        .id = resolver_make_id(c, "rslvr-rr-"),
	        .creator_request_id = in->creator_request_id,
	        .name = in->name,
	        .rule_type = in->rule_type,
	        .owner_id = c->account,
	        .share_status = S("NOT_SHARED"),
	        .status = S("COMPLETE"),
	        .status_message = resolver_traced(c, "Successfully created Resolver Rule."),
	        .creation_time = resolver_time(c->arena, c->now_ms),
	        .modification_time = resolver_time(c->arena, c->now_ms),
	        .resolver_endpoint_id = forward ? in->resolver_endpoint_id : STR_NONE,
	};
	r->arn = resolver_arn(c->arena, c->region, c->account, "resolver-rule", r->id);
	if (take_domain(c, in->domain_name, &r->domain_name) != CALL_OK)
		return CALL_FAIL;
	if (!forward && (in->target_ips.n || in->resolver_endpoint_id.n))
		return resolver_invalid(c, in->target_ips.n ? "TargetIps" : "ResolverEndpointId",
		                        "A rule of the type SYSTEM has neither target IP addresses nor a Resolver endpoint.");
	if (forward && !in->target_ips.n)
		return resolver_invalid(c, "TargetIps", "A rule of the type FORWARD needs target IP addresses.");
	if (forward && !in->resolver_endpoint_id.n)
		return resolver_invalid(c, "ResolverEndpointId", "A rule of the type FORWARD needs an outbound Resolver endpoint.");
	if (forward &&
	    (take_targets(c, &in->target_ips, &r->target_ips) != CALL_OK || check_outbound(c, in->resolver_endpoint_id) != CALL_OK))
		return CALL_FAIL;
	resolver_put(&s, RESOLVER_RULE, r->id, &(struct state_route53resolver_rule_record){.rule = r, .tags = in->tags});
	out->resolver_rule = r;
	return CALL_OK;
}

int route53resolver_get_resolver_rule(struct call *c, const struct route53resolver_get_resolver_rule_request *in,
                                      struct route53resolver_get_resolver_rule_response *out)
{
	struct state_route53resolver_rule_record r;
	if (resolver_rule_get(c, in->resolver_rule_id, &r) != CALL_OK)
		return CALL_FAIL;
	out->resolver_rule = r.rule;
	return CALL_OK;
}

int route53resolver_list_resolver_rules(struct call *c, const struct route53resolver_list_resolver_rules_request *in,
                                        struct route53resolver_list_resolver_rules_response *out)
{
	struct resolver_page p;
	struct state_route53resolver_rule_record r;
	const struct route53resolver_resolver_rule *internet = resolver_internet_rule(c->arena, c->region);
	if (resolver_filters_check(c, &in->filters, fields) != CALL_OK ||
	    resolver_page_begin(c, &p, RESOLVER_RULE, in->max_results, in->next_token) != CALL_OK)
		return CALL_FAIL;
	out->resolver_rules.set = true;
	out->max_results = OPT_INT(p.limit);
	/* It is on every first page, beside as many of the account's own as were asked for. */
	if (!in->next_token.n && resolver_filters_pass(c->arena, &in->filters, fields, internet))
		*LIST_ADD(c->arena, &out->resolver_rules) = *internet;
	while (resolver_next(&p.all, &r)) {
		if (!resolver_filters_pass(c->arena, &in->filters, fields, r.rule))
			continue;
		if (!resolver_page_add(c, &p, &out->next_token))
			break;
		*LIST_ADD(c->arena, &out->resolver_rules) = *r.rule;
	}
	return CALL_OK;
}

static int get_own(struct call *c, struct str id, struct state_route53resolver_rule_record *ret)
{
	if (str_is(id, RESOLVER_INTERNET))
		return resolver_bad(c, "The autodefined rule %.*s cannot be changed.", STR_ARG(id));
	return resolver_rule_get(c, id, ret);
}

int route53resolver_update_resolver_rule(struct call *c, const struct route53resolver_update_resolver_rule_request *in,
                                         struct route53resolver_update_resolver_rule_response *out)
{
	struct resolver_scope s = resolver_scope(c);
	struct state_route53resolver_rule_record r;
	const struct route53resolver_resolver_rule_config *to = in->config;
	if (get_own(c, in->resolver_rule_id, &r) != CALL_OK)
		return CALL_FAIL;
	if (!str_is(r.rule->rule_type, "FORWARD") && (to->target_ips.n || to->resolver_endpoint_id.n))
		return resolver_invalid(c, to->target_ips.n ? "TargetIps" : "ResolverEndpointId",
		                        "A rule of the type SYSTEM has neither target IP addresses nor a Resolver endpoint.");
	if (to->target_ips.n && take_targets(c, &to->target_ips, &r.rule->target_ips) != CALL_OK)
		return CALL_FAIL;
	if (to->resolver_endpoint_id.n && check_outbound(c, to->resolver_endpoint_id) != CALL_OK)
		return CALL_FAIL;
	if (to->resolver_endpoint_id.n)
		r.rule->resolver_endpoint_id = to->resolver_endpoint_id;
	if (str_set(to->name))
		r.rule->name = to->name;
	r.rule->modification_time = resolver_time(c->arena, c->now_ms);
	r.rule->status_message = resolver_traced(c, "Successfully updated Resolver Rule.");
	resolver_put(&s, RESOLVER_RULE, r.rule->id, &r);
	out->resolver_rule = r.rule;
	return CALL_OK;
}

int route53resolver_delete_resolver_rule(struct call *c, const struct route53resolver_delete_resolver_rule_request *in,
                                         struct route53resolver_delete_resolver_rule_response *out)
{
	struct resolver_scope s = resolver_scope(c);
	struct state_route53resolver_rule_record r;
	struct state_route53resolver_association_record a;
	if (get_own(c, in->resolver_rule_id, &r) != CALL_OK)
		return CALL_FAIL;
	struct resolver_all all = resolver_all(&s, RESOLVER_ASSOCIATION);
	while (resolver_next(&all, &a))
		if (str_eq(a.association->resolver_rule_id, r.rule->id)) {
			call_fail(c, "ResourceInUseException", 400,
			          "Resolver rule %.*s is associated with VPCs. Disassociate it from them first.",
			          STR_ARG(r.rule->id));
			return call_field(c, "ResourceType", S("resolver-rule"));
		}
	resolver_drop(&s, RESOLVER_RULE, r.rule->id);
	out->resolver_rule = r.rule;
	out->resolver_rule->status = S("DELETING");
	out->resolver_rule->status_message = resolver_traced(c, "Deleting the Resolver Rule.");
	return CALL_OK;
}

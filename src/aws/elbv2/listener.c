/* Listeners: CreateListener, ModifyListener, DeleteListener, DescribeListeners. A listener's default actions are its default
 * rule's. */
#include "rows.h"

#include "base/id.h"

static bool is_tls(struct str protocol)
{
	return str_is(protocol, "HTTPS") || str_is(protocol, "TLS");
}

static void show(const struct elb_scope *s, const struct state_elbv2_listener_record *r, struct elbv2_listener *ret)
{
	struct elb_name at;
	struct state_elbv2_rule_record rule = {0};
	*ret = *r->listener;
	ret->default_actions.set = true;
	if (elb_name_parse(s, r->listener->listener_arn, &at)) {
		at.rule = r->default_rule;
		if (elb_rule_find(s, &at, &rule))
			ret->default_actions = rule.rule->actions;
	}
	if (str_is(ret->protocol, "HTTPS") && !ret->mutual_authentication) {
		ret->mutual_authentication = arena_new(s->arena, struct elbv2_mutual_authentication_attributes);
		ret->mutual_authentication->mode = S("off");
	}
}

/* --- what it may be */

static int check_protocol(struct call *c, const struct state_elbv2_balancer_record *b, struct str protocol)
{
	bool network = elb_is_network(b);
	if (!str_set(protocol))
		return elb_invalid(c, "A listener protocol must be specified");
	if (network && (str_is(protocol, "QUIC") || str_is(protocol, "TCP_QUIC")))
		return elb_absent(c, "The protocols QUIC and TCP_QUIC are");
	if (network && elb_has_ipv6(b->balancer) && elb_listener_is_of_packets(protocol))
		return elb_absent(c, "Prefixes for IPv6 source NAT, which listeners of UDP need with 'dualstack', are");
	if (network ? str_is(protocol, "TCP") || str_is(protocol, "TLS") || str_is(protocol, "UDP") || str_is(protocol, "TCP_UDP")
	            : elb_protocol_http(protocol))
		return CALL_OK;
	return elb_invalid(c, "Listener protocol '%.*s' must be one of '%s'", STR_ARG(protocol),
	                   network ? "UDP, TCP, TCP_UDP, TLS" : "HTTPS, HTTP");
}

/* Certificate, policy and ALPN are of TLS alone. */
static int check_tls(struct call *c, struct elbv2_listener *l)
{
	if (!is_tls(l->protocol)) {
		if (l->certificates.n)
			return elb_invalid(c, "A certificate cannot be specified for %.*s listeners", STR_ARG(l->protocol));
		if (str_set(l->ssl_policy))
			return elb_invalid(c, "An SSL policy cannot be specified for %.*s listeners", STR_ARG(l->protocol));
	} else {
		if (!l->certificates.n)
			return elb_invalid(c, "A certificate must be specified for %.*s listeners", STR_ARG(l->protocol));
		if (l->certificates.n > 1 || l->certificates.v[0].is_default.set)
			return elb_invalid(c, "Exactly one certificate must be specified, without IsDefault");
		if (!str_set(l->ssl_policy))
			l->ssl_policy = S("ELBSecurityPolicy-2016-08");
		if (!elb_policy_named(l->ssl_policy))
			return call_fail(c, "SSLPolicyNotFound", 0, "SSL policy '%.*s' not found", STR_ARG(l->ssl_policy));
		if (elb_certificate_check(c, l->certificates.v[0].certificate_arn) != CALL_OK)
			return CALL_FAIL;
	}
	if (!l->alpn_policy.n)
		return CALL_OK;
	if (!str_is(l->protocol, "TLS"))
		return elb_invalid(c, "An ALPN policy cannot be specified for %.*s listeners", STR_ARG(l->protocol));
	struct str p = l->alpn_policy.v[0];
	if (l->alpn_policy.n > 1 || (!str_is(p, "None") && !str_is(p, "HTTP1Only") && !str_is(p, "HTTP2Only") &&
	                             !str_is(p, "HTTP2Optional") && !str_is(p, "HTTP2Preferred")))
		return call_fail(c, "ALPNPolicyNotFound", 0, "ALPN policy '%.*s' not found", STR_ARG(p));
	return CALL_OK;
}

static int check_port(struct call *c, const struct elb_listeners *others, struct str balancer_arn, const struct elbv2_listener *l)
{
	if (!l->port.set)
		return elb_invalid(c, "A listener port must be specified");
	for (uint32_t i = 0; i < others->n; i++)
		if (others->v[i].listener->port.v == l->port.v && !str_eq(others->v[i].listener->listener_arn, l->listener_arn))
			return call_fail(c, "DuplicateListener", 0,
			                 "A listener already exists on this port for this load balancer '%.*s'",
			                 STR_ARG(balancer_arn));
	return CALL_OK;
}

/* --- operations */

int elbv2_create_listener(struct call *c, const struct elbv2_create_listener_input *in, struct elbv2_create_listener_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_balancer_record b;
	struct state_elbv2_rule_record rule = {.rule = arena_new(c->arena, struct elbv2_rule)};
	struct elb_name at;
	struct elbv2_listener *l = arena_new(c->arena, struct elbv2_listener);
	*l = (struct elbv2_listener){.load_balancer_arn = in->load_balancer_arn,
	                             .port = in->port,
	                             .protocol = in->protocol,
	                             .certificates = in->certificates,
	                             .ssl_policy = in->ssl_policy,
	                             .alpn_policy = in->alpn_policy};
	if (elb_balancer_get(c, in->load_balancer_arn, &b) != CALL_OK || check_protocol(c, &b, in->protocol) != CALL_OK)
		return CALL_FAIL;
	struct elb_listeners others = elb_listeners_of(&s, b.balancer->load_balancer_name);
	if (check_port(c, &others, in->load_balancer_arn, l) != CALL_OK ||
	    elb_mutual_check(c, &b, l, in->mutual_authentication) != CALL_OK || check_tls(c, l) != CALL_OK ||
	    elb_tags_check(c, &in->tags) != CALL_OK ||
	    elb_actions_check(c, &b, l, &in->default_actions, &rule.rule->actions) != CALL_OK)
		return CALL_FAIL;
	if (others.n >= ELB_LISTENERS_MAX)
		return call_fail(c, "TooManyListeners", 0,
		                 "The maximum number of listeners of a load balancer, '%d', has been reached", ELB_LISTENERS_MAX);
	elb_name_parse(&s, in->load_balancer_arn, &at);
	at.kind = ELB_LISTENER;
	at.listener = id_hex(c->arena, 16);
	at.rule = id_hex(c->arena, 16);
	struct str_list before = elb_certificates_of(&s, at.name);
	l->listener_arn = elb_arn(&s, &at);
	struct state_elbv2_listener_record r = {.listener = l, .tags = in->tags, .default_rule = at.rule};
	elb_listener_put(&s, &at, &r);
	elb_certificates_note(&s, &at, &before);
	at.kind = ELB_RULE;
	rule.rule->rule_arn = elb_arn(&s, &at);
	rule.rule->priority = S("default");
	rule.rule->is_default = OPT_BOOL(true);
	elb_rule_put(&s, &at, &rule);
	out->listeners.set = true;
	show(&s, &r, LIST_ADD(c->arena, &out->listeners));
	return CALL_OK;
}

/* Rules go with the protocol: all of them have to be good for the new one. */
static int check_rules(struct call *c, const struct elb_scope *s, const struct state_elbv2_balancer_record *b,
                       const struct elb_name *at, const struct elbv2_listener *l)
{
	struct elb_rules rules = elb_rules_of(s, at->name, at->listener);
	for (uint32_t i = 0; i < rules.n; i++) {
		struct elbv2_actions again;
		if (elb_actions_check(c, b, l, &rules.v[i].rule->actions, &again) != CALL_OK)
			return CALL_FAIL;
	}
	return CALL_OK;
}

int elbv2_modify_listener(struct call *c, const struct elbv2_modify_listener_input *in, struct elbv2_modify_listener_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_balancer_record b = {0};
	struct state_elbv2_listener_record r;
	struct state_elbv2_rule_record rule = {0};
	struct elb_name at;
	if (elb_listener_get(c, in->listener_arn, &at, &r) != CALL_OK)
		return CALL_FAIL;
	struct elbv2_listener *l = r.listener;
	struct str_list before = elb_certificates_of(&s, at.name);
	at.rule = r.default_rule;
	if (!elb_balancer_find(&s, at.name, &b) || !elb_rule_find(&s, &at, &rule))
		return call_broken(c, "a listener lacks its load balancer or its default rule");
	if (in->port.set)
		l->port = in->port;
	if (str_set(in->protocol) && !str_eq(in->protocol, l->protocol)) {
		if (check_protocol(c, &b, in->protocol) != CALL_OK)
			return CALL_FAIL;
		l->protocol = in->protocol;
		if (!is_tls(in->protocol)) {
			l->certificates = r.certificates = (struct elbv2_certificate_list){0};
			l->ssl_policy = STR_NONE;
			l->mutual_authentication = NULL;
		}
		if (!str_is(in->protocol, "TLS"))
			l->alpn_policy = (struct str_list){0};
	}
	if (str_set(in->ssl_policy))
		l->ssl_policy = in->ssl_policy;
	if (in->certificates.n)
		l->certificates = in->certificates;
	if (in->alpn_policy.n)
		l->alpn_policy = in->alpn_policy;
	struct elb_listeners others = elb_listeners_of(&s, at.name);
	if (check_port(c, &others, l->load_balancer_arn, l) != CALL_OK ||
	    elb_mutual_check(c, &b, l, in->mutual_authentication) != CALL_OK || check_tls(c, l) != CALL_OK)
		return CALL_FAIL;
	if (in->default_actions.set) {
		if (elb_actions_check(c, &b, l, &in->default_actions, &rule.rule->actions) != CALL_OK)
			return CALL_FAIL;
		elb_rule_put(&s, &at, &rule);
	}
	if (check_rules(c, &s, &b, &at, l) != CALL_OK)
		return CALL_FAIL;
	elb_listener_put(&s, &at, &r);
	elb_certificates_note(&s, &at, &before);
	out->listeners.set = true;
	show(&s, &r, LIST_ADD(c->arena, &out->listeners));
	return CALL_OK;
}

int elbv2_delete_listener(struct call *c, const struct elbv2_delete_listener_input *in, struct elbv2_delete_listener_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_listener_record r;
	struct elb_name at;
	(void)out;
	if (elb_listener_get(c, in->listener_arn, &at, &r) != CALL_OK)
		return CALL_FAIL;
	struct str_list before = elb_certificates_of(&s, at.name);
	elb_listener_drop(&s, &at);
	elb_certificates_note(&s, &at, &before);
	return CALL_OK;
}

int elbv2_describe_listeners(struct call *c, const struct elbv2_describe_listeners_input *in,
                             struct elbv2_describe_listeners_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_balancer_record b;
	uint32_t from, to;
	out->listeners.set = true;
	if (in->load_balancer_arn.n && in->listener_arns.n)
		return elb_invalid(c, "A load balancer ARN and listener ARNs cannot be specified at the same time");
	if (!in->load_balancer_arn.n && !in->listener_arns.n)
		return elb_invalid(c, "A load balancer ARN or listener ARNs must be specified");
	for (uint32_t i = 0; i < in->listener_arns.n; i++) {
		struct state_elbv2_listener_record r;
		struct elb_name at;
		if (elb_listener_get(c, in->listener_arns.v[i], &at, &r) != CALL_OK)
			return CALL_FAIL;
		show(&s, &r, LIST_ADD(c->arena, &out->listeners));
	}
	if (in->listener_arns.n)
		return CALL_OK;
	if (elb_balancer_get(c, in->load_balancer_arn, &b) != CALL_OK)
		return str_is(c->error.code, "LoadBalancerNotFound")
		               ? call_fail(c, "LoadBalancerNotFound", 0, "One or more load balancers not found")
		               : CALL_FAIL;
	struct elb_listeners all = elb_listeners_of(&s, b.balancer->load_balancer_name);
	if (elb_page_of(c, in->marker, in->page_size, all.n, &from, &to, &out->next_marker) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = from; i < to; i++)
		show(&s, &all.v[i], LIST_ADD(c->arena, &out->listeners));
	return CALL_OK;
}

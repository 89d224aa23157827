/* What a rule does with a request: forward, redirect, fixed-response. */
#include "rows.h"

static int invalid_action(struct call *c, const char *why)
{
	return call_fail(c, "InvalidLoadBalancerAction", 0, "%s", why);
}

void elb_actions_groups(struct arena *a, const struct elbv2_actions *actions, struct str_list *ret)
{
	for (uint32_t i = 0; i < actions->n; i++) {
		const struct elbv2_forward_action_config *f = actions->v[i].forward_config;
		for (uint32_t k = 0; f && k < f->target_groups.n; k++)
			if (!elb_among(ret, f->target_groups.v[k].target_group_arn))
				*LIST_ADD(a, ret) = f->target_groups.v[k].target_group_arn;
	}
}

/* --- forward */

static bool compatible(const struct elbv2_listener *l, const struct elbv2_target_group *g)
{
	struct str p = g->protocol;
	if (elb_protocol_http(l->protocol))
		return elb_group_is_http(g) || str_is(g->target_type, "lambda");
	if (str_is(l->protocol, "UDP") || str_is(l->protocol, "TCP_UDP"))
		return str_is(p, "TCP_UDP") || str_eq(p, l->protocol);
	if (elb_group_is_alb(g))
		return str_is(l->protocol, "TCP");
	return str_is(p, "TCP") || (str_is(p, "TLS") && str_is(l->protocol, "TLS")) ||
	       (str_is(p, "TCP_UDP") && str_is(l->protocol, "TCP"));
}

static int check_group(struct call *c, const struct state_elbv2_balancer_record *b, const struct elbv2_listener *l, struct str arn)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_group_record g;
	if (elb_group_get(c, arn, &g) != CALL_OK)
		return CALL_FAIL;
	if (!compatible(l, g.group))
		return call_fail(c, "IncompatibleProtocols", 0,
		                 "The listener and its associated target group '%.*s' have incompatible protocols", STR_ARG(arn));
	if (str_is(g.group->protocol_version, "GRPC") && !str_is(l->protocol, "HTTPS"))
		return elb_configuration(
		        c, "Listener protocol '%.*s' is not supported with a target group with the protocol-version 'GRPC'",
		        STR_ARG(l->protocol));
	if (!str_is(g.group->target_type, "lambda") && !str_eq(g.group->vpc_id, b->balancer->vpc_id))
		return elb_configuration(c, "The target group '%.*s' is not in the VPC of the load balancer, '%.*s'", STR_ARG(arn),
		                         STR_ARG(b->balancer->vpc_id));
	struct str_list users = elb_group_users(&s, g.group->target_group_name);
	if (users.n && !str_eq(users.v[0], b->balancer->load_balancer_name))
		return call_fail(c, "TargetGroupAssociationLimit", 0,
		                 "The following target groups cannot be associated with more than one load balancer: %.*s",
		                 STR_ARG(arn));
	return CALL_OK;
}

static int take_forward(struct call *c, const struct state_elbv2_balancer_record *b, const struct elbv2_listener *l,
                        struct elbv2_action *a)
{
	bool sole = a->target_group_arn.n > 0;
	struct elbv2_forward_action_config *f = arena_new(c->arena, struct elbv2_forward_action_config);
	if (a->forward_config)
		*f = *a->forward_config;
	if (sole && f->target_groups.n &&
	    (f->target_groups.n != 1 || !str_eq(f->target_groups.v[0].target_group_arn, a->target_group_arn)))
		return invalid_action(c,
		                      "You can specify a target group ARN or a forward config with other target groups, not both");
	if (sole && !f->target_groups.n)
		LIST_ADD(c->arena, &f->target_groups)->target_group_arn = a->target_group_arn;
	f->target_groups.set = true;
	if (!f->target_groups.n)
		return invalid_action(c, "A target group must be specified for actions of type 'forward'");
	if (f->target_groups.n > ELB_ACTION_GROUPS_MAX)
		return call_fail(c, "TooManyTargetGroups", 0, "An action can have at most '%d' target groups",
		                 ELB_ACTION_GROUPS_MAX);
	for (uint32_t i = 0; i < f->target_groups.n; i++) {
		struct elbv2_target_group_tuple *t = &f->target_groups.v[i];
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(f->target_groups.v[k].target_group_arn, t->target_group_arn))
				return invalid_action(c, "A target group is specified more than once");
		if (!t->weight.set)
			t->weight = OPT_INT(1);
		if (t->weight.v < 0 || t->weight.v > 999)
			return elb_invalid(c, "Target group weight '%lld' must be between '0' and '999' inclusive",
			                   (long long)t->weight.v);
		if (check_group(c, b, l, t->target_group_arn) != CALL_OK)
			return CALL_FAIL;
	}
	struct elbv2_target_group_stickiness_config *sticky = arena_new(c->arena, struct elbv2_target_group_stickiness_config);
	if (f->target_group_stickiness_config)
		*sticky = *f->target_group_stickiness_config;
	sticky->enabled = OPT_BOOL(sticky->enabled.v);
	if (sticky->enabled.v && (sticky->duration_seconds.v < 1 || sticky->duration_seconds.v > 604800))
		return elb_invalid(c, "Target group stickiness duration must be between '1' and '604800' seconds");
	if (sticky->enabled.v && elb_is_network(b))
		return invalid_action(c, "Target group stickiness is not supported for network load balancers");
	f->target_group_stickiness_config = sticky;
	a->forward_config = f;
	a->target_group_arn = f->target_groups.n == 1 ? f->target_groups.v[0].target_group_arn : STR_NONE;
	return CALL_OK;
}

/* --- redirect */

/* Only the five names that mean something may stand in #{}. */
static bool placeholders_good(struct str text)
{
	ptrdiff_t at;
	while ((at = str_find(text, S("#{"))) >= 0) {
		text = str_from_at(text, (size_t)at + 2);
		struct str name = str_cut(&text, '}');
		if (!str_set(text) || (!str_is(name, "protocol") && !str_is(name, "host") && !str_is(name, "port") &&
		                       !str_is(name, "path") && !str_is(name, "query")))
			return false;
	}
	return true;
}

static bool printable(struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] <= ' ' || text.p[i] >= 127)
			return false;
	return true;
}

static int take_redirect(struct call *c, const struct elbv2_listener *l, struct elbv2_action *a)
{
	struct elbv2_redirect_action_config *r = arena_new(c->arena, struct elbv2_redirect_action_config);
	int64_t port = l->port.v;
	if (!a->redirect_config)
		return invalid_action(c, "A redirect config must be specified for actions of type 'redirect'");
	*r = *a->redirect_config;
	r->protocol = r->protocol.n ? r->protocol : S("#{protocol}");
	r->host = r->host.n ? r->host : S("#{host}");
	r->port = r->port.n ? r->port : S("#{port}");
	r->path = r->path.n ? r->path : S("/#{path}");
	r->query = str_set(r->query) ? r->query : S("#{query}");
	if (!str_is(r->port, "#{port}") && (!str_to_i64(r->port, &port) || port < 1 || port > 65535))
		return elb_invalid(c, "Redirect port '%.*s' must be '#{port}' or between '1' and '65535'", STR_ARG(r->port));
	if (r->path.p[0] != '/')
		return elb_invalid(c, "Redirect path '%.*s' must begin with a '/' character", STR_ARG(r->path));
	if (!placeholders_good(r->host) || !placeholders_good(r->path) || !placeholders_good(r->query) || !printable(r->host) ||
	    !printable(r->path) || !printable(r->query))
		return invalid_action(c,
		                      "The redirect configuration is not valid because it contains invalid characters or keywords");
	struct str protocol = str_is(r->protocol, "#{protocol}") ? l->protocol : r->protocol;
	if (str_is(l->protocol, "HTTPS") && str_is(protocol, "HTTP"))
		return invalid_action(c, "The redirect configuration is not valid because it redirects HTTPS to HTTP");
	if (str_eq(protocol, l->protocol) && port == l->port.v && str_is(r->host, "#{host}") && str_is(r->path, "/#{path}") &&
	    str_is(r->query, "#{query}"))
		return invalid_action(c, "The redirect configuration is not valid because it creates a loop.");
	a->redirect_config = r;
	return CALL_OK;
}

/* --- fixed-response */

static int take_fixed(struct call *c, struct elbv2_action *a)
{
	static const char *const types[] = {"text/plain", "text/css", "text/html", "application/javascript", "application/json"};
	struct elbv2_fixed_response_action_config *f = arena_new(c->arena, struct elbv2_fixed_response_action_config);
	bool good = false;
	if (!a->fixed_response_config)
		return invalid_action(c, "A fixed response config must be specified for actions of type 'fixed-response'");
	*f = *a->fixed_response_config;
	if (!f->content_type.n)
		f->content_type = S("text/plain");
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		good |= str_is(f->content_type, types[i]);
	if (!good)
		return elb_invalid(c,
		                   "Fixed response content type '%.*s' must be one of 'text/plain, text/css, text/html, "
		                   "application/javascript, application/json'",
		                   STR_ARG(f->content_type));
	a->fixed_response_config = f;
	return CALL_OK;
}

/* --- all of a rule */

static int check_unique(struct call *c, const struct state_elbv2_balancer_record *b, const struct elbv2_actions *actions)
{
	struct elb_scope s = elb_scope(c);
	struct elb_rules rules = elb_rules_of(&s, b->balancer->load_balancer_name, STR_NONE);
	struct str_list arns = {0};
	for (uint32_t i = 0; i < rules.n; i++)
		elb_actions_groups(c->arena, &rules.v[i].rule->actions, &arns);
	elb_actions_groups(c->arena, actions, &arns);
	return arns.n > ELB_BALANCER_GROUPS_MAX
	               ? call_fail(c, "TooManyUniqueTargetGroupsPerLoadBalancer", 0,
	                           "A load balancer can have at most '%d' target groups", ELB_BALANCER_GROUPS_MAX)
	               : CALL_OK;
}

int elb_actions_check(struct call *c, const struct state_elbv2_balancer_record *b, const struct elbv2_listener *l,
                      const struct elbv2_actions *in, struct elbv2_actions *ret)
{
	*ret = (struct elbv2_actions){.set = true};
	for (uint32_t i = 0; i < in->n; i++)
		if (str_starts(in->v[i].type, S("authenticate-")) || str_is(in->v[i].type, "jwt-validation"))
			return elb_absent(c, "Actions that authenticate users are");
	if (!in->n)
		return elb_invalid(c, "At least one action must be specified");
	if (in->n > 1)
		return invalid_action(c, "You must specify exactly one action of type forward, redirect or fixed-response");
	struct elbv2_action a = in->v[0];
	if (elb_is_network(b) && !str_is(a.type, "forward"))
		return elb_invalid(c, "Action type '%.*s' must be one of 'forward'", STR_ARG(a.type));
	if ((a.redirect_config && !str_is(a.type, "redirect")) || (a.fixed_response_config && !str_is(a.type, "fixed-response")) ||
	    ((a.forward_config || a.target_group_arn.n) && !str_is(a.type, "forward")))
		return invalid_action(c, "The configuration does not match the type of the action");
	int said = str_is(a.type, "forward")    ? take_forward(c, b, l, &a)
	           : str_is(a.type, "redirect") ? take_redirect(c, l, &a)
	                                        : take_fixed(c, &a);
	if (said != CALL_OK)
		return CALL_FAIL;
	*LIST_ADD(c->arena, ret) = a;
	return check_unique(c, b, ret);
}

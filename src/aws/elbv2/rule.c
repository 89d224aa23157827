/* Rules of listeners: CreateRule, ModifyRule, DeleteRule, DescribeRules, SetRulePriorities. */
#include "rows.h"

#include "base/id.h"

struct place {
	struct elb_name at;
	struct state_elbv2_balancer_record balancer;
	struct state_elbv2_listener_record listener;
};

static int load_place(struct call *c, struct str listener_arn, struct place *p)
{
	struct elb_scope s = elb_scope(c);
	*p = (struct place){0};
	if (elb_listener_get(c, listener_arn, &p->at, &p->listener) != CALL_OK)
		return CALL_FAIL;
	return elb_balancer_find(&s, p->at.name, &p->balancer) ? CALL_OK : call_broken(c, "a listener without a load balancer");
}

static int priority_in_use(struct call *c, int64_t priority)
{
	return call_fail(c, "PriorityInUse", 0, "Priority '%lld' is currently in use", (long long)priority);
}

static void show(const struct state_elbv2_rule_record *r, struct elbv2_rule *ret)
{
	*ret = *r->rule;
	ret->conditions.set = ret->actions.set = true;
}

int elbv2_create_rule(struct call *c, const struct elbv2_create_rule_input *in, struct elbv2_create_rule_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_rule_record r = {.tags = in->tags};
	struct place p;
	uint32_t count = 0;
	if (load_place(c, in->listener_arn, &p) != CALL_OK || elb_tags_check(c, &in->tags) != CALL_OK)
		return CALL_FAIL;
	if (!elb_protocol_http(p.listener.listener->protocol))
		return call_fail(c, "UnsupportedProtocol", 0, "Rules are not supported for listeners with protocol '%.*s'",
		                 STR_ARG(p.listener.listener->protocol));
	r.rule = arena_new(c->arena, struct elbv2_rule);
	if (elb_conditions_check(c, &in->conditions, &r.rule->conditions) != CALL_OK ||
	    elb_actions_check(c, &p.balancer, p.listener.listener, &in->actions, &r.rule->actions) != CALL_OK ||
	    elb_transforms_check(c, &in->transforms, &r.rule->actions) != CALL_OK)
		return CALL_FAIL;
	r.rule->transforms = in->transforms;
	struct elb_rules rules = elb_rules_of(&s, p.at.name, STR_NONE);
	for (uint32_t i = 0; i < rules.n; i++) {
		struct elb_name other;
		if (rules.v[i].rule->is_default.v)
			continue;
		count++;
		if (elb_name_parse(&s, rules.v[i].rule->rule_arn, &other) && str_eq(other.listener, p.at.listener) &&
		    elb_rule_priority(&rules.v[i]) == in->priority.v)
			return priority_in_use(c, in->priority.v);
	}
	if (count >= ELB_RULES_MAX)
		return call_fail(c, "TooManyRules", 0, "The maximum number of rules of a load balancer, '%d', has been reached",
		                 ELB_RULES_MAX);
	struct elb_name at = p.at;
	at.kind = ELB_RULE;
	at.rule = id_hex(c->arena, 16);
	r.rule->rule_arn = elb_arn(&s, &at);
	r.rule->priority = arena_printf(c->arena, "%lld", (long long)in->priority.v);
	r.rule->is_default = OPT_BOOL(false);
	elb_rule_put(&s, &at, &r);
	out->rules.set = true;
	show(&r, LIST_ADD(c->arena, &out->rules));
	return CALL_OK;
}

int elbv2_modify_rule(struct call *c, const struct elbv2_modify_rule_input *in, struct elbv2_modify_rule_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_rule_record r;
	struct elb_name at, listener;
	struct place p;
	if (elb_rule_get(c, in->rule_arn, &at, &r) != CALL_OK)
		return CALL_FAIL;
	if (r.rule->is_default.v)
		return call_fail(c, "OperationNotPermitted", 0, "Default rule '%.*s' cannot be modified", STR_ARG(in->rule_arn));
	listener = at;
	listener.kind = ELB_LISTENER;
	if (load_place(c, elb_arn(&s, &listener), &p) != CALL_OK)
		return CALL_FAIL;
	if (in->conditions.set && elb_conditions_check(c, &in->conditions, &r.rule->conditions) != CALL_OK)
		return CALL_FAIL;
	if (in->actions.set && elb_actions_check(c, &p.balancer, p.listener.listener, &in->actions, &r.rule->actions) != CALL_OK)
		return CALL_FAIL;
	if (in->transforms.n && in->reset_transforms.v)
		return elb_invalid(c, "Transforms cannot be specified and reset at the same time");
	if (in->transforms.n || in->reset_transforms.v)
		r.rule->transforms = in->transforms;
	if (elb_transforms_check(c, &r.rule->transforms, &r.rule->actions) != CALL_OK)
		return CALL_FAIL;
	elb_rule_put(&s, &at, &r);
	out->rules.set = true;
	show(&r, LIST_ADD(c->arena, &out->rules));
	return CALL_OK;
}

int elbv2_delete_rule(struct call *c, const struct elbv2_delete_rule_input *in, struct elbv2_delete_rule_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_rule_record r;
	struct elb_name at;
	(void)out;
	if (elb_rule_get(c, in->rule_arn, &at, &r) != CALL_OK)
		return CALL_FAIL;
	if (r.rule->is_default.v)
		return call_fail(c, "OperationNotPermitted", 0, "Default rule '%.*s' cannot be deleted", STR_ARG(in->rule_arn));
	elb_rule_drop(&s, &at);
	return CALL_OK;
}

int elbv2_describe_rules(struct call *c, const struct elbv2_describe_rules_input *in, struct elbv2_describe_rules_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct place p;
	uint32_t from, to;
	out->rules.set = true;
	if (in->listener_arn.n && in->rule_arns.n)
		return elb_invalid(c, "A listener ARN and rule ARNs cannot be specified at the same time");
	if (!in->listener_arn.n && !in->rule_arns.n)
		return elb_invalid(c, "A listener ARN or rule ARNs must be specified");
	for (uint32_t i = 0; i < in->rule_arns.n; i++) {
		struct state_elbv2_rule_record r;
		struct elb_name at;
		if (elb_rule_get(c, in->rule_arns.v[i], &at, &r) != CALL_OK)
			return CALL_FAIL;
		show(&r, LIST_ADD(c->arena, &out->rules));
	}
	if (in->rule_arns.n)
		return CALL_OK;
	if (load_place(c, in->listener_arn, &p) != CALL_OK)
		return CALL_FAIL;
	struct elb_rules rules = elb_rules_of(&s, p.at.name, p.at.listener);
	if (elb_page_of(c, in->marker, in->page_size, rules.n, &from, &to, &out->next_marker) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = from; i < to; i++)
		show(&rules.v[i], LIST_ADD(c->arena, &out->rules));
	return CALL_OK;
}

/* All of them move at once, so that two can change places. */
int elbv2_set_rule_priorities(struct call *c, const struct elbv2_set_rule_priorities_input *in,
                              struct elbv2_set_rule_priorities_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct elb_name first = {0};
	out->rules.set = true;
	if (!in->rule_priorities.n)
		return elb_invalid(c, "At least one rule priority must be specified");
	for (uint32_t i = 0; i < in->rule_priorities.n; i++) {
		const struct elbv2_rule_priority_pair *pair = &in->rule_priorities.v[i];
		struct state_elbv2_rule_record r;
		struct elb_name at;
		if (!str_set(pair->rule_arn) || !pair->priority.set)
			return elb_invalid(c, "A rule ARN and a priority must be specified");
		if (elb_rule_get(c, pair->rule_arn, &at, &r) != CALL_OK)
			return CALL_FAIL;
		if (r.rule->is_default.v)
			return call_fail(c, "OperationNotPermitted", 0, "The priority of default rule '%.*s' cannot be set",
			                 STR_ARG(pair->rule_arn));
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(in->rule_priorities.v[k].rule_arn, pair->rule_arn))
				return elb_invalid(c, "Rule '%.*s' is specified more than once", STR_ARG(pair->rule_arn));
		if (i && !str_eq(first.listener, at.listener))
			return elb_invalid(c, "The rules must belong to one listener");
		first = at;
		r.rule->priority = arena_printf(c->arena, "%lld", (long long)pair->priority.v);
		elb_rule_put(&s, &at, &r);
		show(&r, LIST_ADD(c->arena, &out->rules));
	}
	struct elb_rules rules = elb_rules_of(&s, first.name, first.listener);
	for (uint32_t i = 1; i < rules.n; i++)
		if (elb_rule_priority(&rules.v[i]) == elb_rule_priority(&rules.v[i - 1]))
			return priority_in_use(c, elb_rule_priority(&rules.v[i]));
	return CALL_OK;
}

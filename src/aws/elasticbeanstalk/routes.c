/* Processes of an application beside the usual one, and who is led to them: target groups (environment:process:NAME) and
 * rules of listeners (elbv2:listenerrule:NAME). Which of all that there should
 * be, from the options and from what is there, and the questions that make it; extra.c has the order. */
#include "extra.h"

#include "core/cloud.h"
#include "gen/ec2.h"
#include "gen/elbv2.h"

#define PROCESS_OF "aws:elasticbeanstalk:environment:process:"
#define RULE_OF "aws:elbv2:listenerrule:"
#define USUAL "default"
enum { HTTP_PORT = 80, NAME_MAX_BYTES = 12, NAMES_MAX = 100 };

bool routes_is_process(struct str space)
{
	return str_starts(space, S(PROCESS_OF)) && !str_is(space, PROCESS_OF USUAL);
}

bool routes_is_rule(struct str space)
{
	return str_starts(space, S(RULE_OF));
}

static bool has(const struct str_list *l, struct str text)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (str_eq(l->v[i], text))
			return true;
	return false;
}

/* Names after a prefix of namespaces, each once. */
static struct str_list names_of(struct arena *a, const struct environment_record *r, const char *prefix)
{
	struct str_list l = {0};
	for (uint32_t i = 0; i < r->options.n && l.n < NAMES_MAX; i++) {
		struct str space = r->options.v[i].namespace;
		if (!str_starts(space, str_from(prefix)))
			continue;
		struct str name = str_from_at(space, strlen(prefix));
		if (!has(&l, name) && (strcmp(prefix, PROCESS_OF) != 0 || !str_is(name, USUAL)))
			*LIST_ADD(a, &l) = name;
	}
	return l;
}

static struct str_list split(struct arena *a, struct str texts)
{
	struct str_list l = {.set = true};
	while (texts.n && str_set(texts)) {
		struct str one = str_trim(str_cut(&texts, ','));
		if (one.n)
			*LIST_ADD(a, &l) = one;
	}
	return l;
}

static struct str value(struct arena *a, const struct environment_record *r, const char *prefix, struct str name, const char *key)
{
	struct str found = option_value(r, arena_dupz(a, ARENA_CAT(a, str_from(prefix), name)), key);
	return str_set(found) ? found : S("");
}

/* The options of a listener that is there. */
static const char *space_of(struct arena *a, const struct environment_record *r, int64_t port)
{
	const char *own = arena_printf(a, "aws:elbv2:listener:%lld", (long long)port).p;
	for (uint32_t i = 0; i < r->options.n; i++)
		if (str_is(r->options.v[i].namespace, own))
			return own;
	return port == HTTP_PORT ? "aws:elbv2:listener:" USUAL : own;
}

/* Absent: it is not there, or not yet. */
static struct str targets_of(const struct environment_record *r, struct str process)
{
	const struct state_elasticbeanstalk_extra *had = extra_there(r, EXTRA_TARGETS, process);
	return str_is(process, USUAL) ? r->targets : had ? had->arn : STR_NONE;
}

/* --- what there should be */

static struct extra *want(struct arena *a, struct extras *to, enum extra_kind kind, struct str name, struct str terms)
{
	struct extra *e = LIST_ADD(a, to);
	*e = (struct extra){true, true, kind, name, terms, STR_NONE};
	return e;
}

static struct str members_in(struct arena *a, const struct environment_record *r)
{
	struct str all = S("");
	for (uint32_t i = 0; i < r->members.n; i++)
		if (r->members.v[i].phase.v == PHASE_IN)
			all = ARENA_CAT(a, all, all.n ? S(",") : S(""), r->members.v[i].instance);
	return all;
}

static void want_process(struct arena *a, const struct environment_record *r, struct str name, struct extras *to)
{
	static const char *const checks[] = {"HealthCheckPath",       "HealthCheckInterval",     "HealthCheckTimeout",
	                                     "HealthyThresholdCount", "UnhealthyThresholdCount", "MatcherHTTPCode"};
	static const char *const attributes[] = {"DeregistrationDelay", "StickinessEnabled", "StickinessLBCookieDuration"};
	struct str port = value(a, r, PROCESS_OF, name, "Port"), check = S(""), attribute = S("");
	for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++)
		check = ARENA_CAT(a, check, value(a, r, PROCESS_OF, name, checks[i]), S("|"));
	for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++)
		attribute = ARENA_CAT(a, attribute, value(a, r, PROCESS_OF, name, attributes[i]), S("|"));
	bool opened = str_is(port, "80");
	for (uint32_t i = 0; i < to->n; i++)
		opened |= to->v[i].kind == EXTRA_PORT && str_eq(to->v[i].name, port);
	if (!opened)
		want(a, to, EXTRA_PORT, port, port);
	want(a, to, EXTRA_TARGETS, name, port);
	if (!targets_of(r, name).n)
		return;
	want(a, to, EXTRA_CHECKS, name, check);
	want(a, to, EXTRA_ATTRIBUTES, name, attribute);
	want(a, to, EXTRA_MEMBERS, name, members_in(a, r));
}

static void want_listener(struct arena *a, const struct environment_record *r, const struct state_elasticbeanstalk_listening *l,
                          struct extras *to)
{
	const char *space = space_of(a, r, l->port.v);
	struct str port = arena_printf(a, "%lld", (long long)l->port.v);
	struct str_list rules = split(a, option_value(r, space, "Rules"));
	for (uint32_t i = 0; i < rules.n; i++) {
		struct str targets = targets_of(r, value(a, r, RULE_OF, rules.v[i], "Process"));
		if (targets.n)
			want(a, to, EXTRA_RULE, ARENA_CAT(a, port, S("/"), rules.v[i]),
			     ARENA_CAT(a, l->arn, S("|"), targets, S("|"), value(a, r, RULE_OF, rules.v[i], "HostHeaders"), S("|"),
			               value(a, r, RULE_OF, rules.v[i], "PathPatterns"), S("|"),
			               value(a, r, RULE_OF, rules.v[i], "Priority")));
	}
}

void routes_want(struct arena *a, const struct environment_record *r, struct extras *to)
{
	struct str_list processes = names_of(a, r, PROCESS_OF);
	if (!environment_balanced(r))
		return;
	for (uint32_t i = 0; i < processes.n; i++)
		want_process(a, r, processes.v[i], to);
	for (uint32_t i = 0; i < r->listeners.n; i++)
		want_listener(a, r, &r->listeners.v[i], to);
}

/* --- questions */

static void ask_of(const struct question *q, const struct api *api, const char *operation, const void *in)
{
	call_op(q->cloud, q->owner, q->region, api, operation, in, q->done, q->ctx);
}

static void ask_port(const struct question *q, struct arena *a, const struct environment_record *r, const struct extra *e)
{
	struct ec2_ip_permission_list l = {.set = true};
	struct ec2_ip_permission *p = LIST_ADD(a, &l);
	int64_t port = 0;
	str_to_i64(e->name, &port);
	*p = (struct ec2_ip_permission){.ip_protocol = S("tcp"), .from_port = OPT_INT(port), .to_port = OPT_INT(port)};
	LIST_ADD(a, &p->user_id_group_pairs)->group_id = r->balancer_group;
	p->user_id_group_pairs.set = true;
	if (e->wanted)
		ask_of(q, &ec2_api, "AuthorizeSecurityGroupIngress",
		       &(struct ec2_authorize_security_group_ingress_request){.group_id = r->group, .ip_permissions = l});
	else
		ask_of(q, &ec2_api, "RevokeSecurityGroupIngress",
		       &(struct ec2_revoke_security_group_ingress_request){.group_id = r->group, .ip_permissions = l});
}

struct str routes_registered(struct arena *a, const struct state_elasticbeanstalk_extra *had, const struct extra *e,
                             struct str_list *ret_leave, struct str_list *ret_join)
{
	struct str_list there = split(a, had ? had->terms : S("")), wanted = split(a, e->terms);
	struct str stay = S("");
	for (uint32_t i = 0; i < there.n; i++)
		if (has(&wanted, there.v[i]))
			stay = ARENA_CAT(a, stay, stay.n ? S(",") : S(""), there.v[i]);
		else
			*LIST_ADD(a, ret_leave) = there.v[i];
	for (uint32_t i = 0; i < wanted.n; i++)
		if (!has(&there, wanted.v[i]))
			*LIST_ADD(a, ret_join) = wanted.v[i];
	return ret_leave->n ? stay : e->terms;
}

static void ask_members(const struct question *q, struct arena *a, const struct environment_record *r, const struct extra *e)
{
	struct str_list leave = {0}, join = {0};
	routes_registered(a, extra_there(r, EXTRA_MEMBERS, e->name), e, &leave, &join);
	const struct str_list *which = leave.n ? &leave : &join;
	struct elbv2_register_targets_input in = {.target_group_arn = targets_of(r, e->name), .targets.set = true};
	for (uint32_t i = 0; i < which->n; i++)
		LIST_ADD(a, &in.targets)->id = which->v[i];
	if (leave.n)
		ask_of(q, &elbv2_api, "DeregisterTargets",
		       &(struct elbv2_deregister_targets_input){.target_group_arn = in.target_group_arn, .targets = in.targets});
	else
		ask_of(q, &elbv2_api, "RegisterTargets", &in);
}

static struct elbv2_actions forward(struct arena *a, struct str targets)
{
	struct elbv2_actions l = {.set = true};
	*LIST_ADD(a, &l) = (struct elbv2_action){.type = S("forward"), .target_group_arn = targets};
	return l;
}

static void ask_rule(const struct question *q, struct arena *a, const struct environment_record *r, const struct extra *e)
{
	struct str rest = e->terms, name = e->name;
	struct str listener = str_cut(&rest, '|'), targets = str_cut(&rest, '|');
	struct elbv2_create_rule_input in = {
	        .listener_arn = listener, .actions = forward(a, targets), .conditions.set = true, .priority = OPT_INT(1)};
	str_cut(&name, '/');
	struct str hosts = value(a, r, RULE_OF, name, "HostHeaders"), paths = value(a, r, RULE_OF, name, "PathPatterns");
	str_to_i64(value(a, r, RULE_OF, name, "Priority"), &in.priority.v);
	if (hosts.n)
		*LIST_ADD(a, &in.conditions) = (struct elbv2_rule_condition){.field = S("host-header"), .values = split(a, hosts)};
	if (paths.n)
		*LIST_ADD(a, &in.conditions) = (struct elbv2_rule_condition){.field = S("path-pattern"), .values = split(a, paths)};
	ask_of(q, &elbv2_api, "CreateRule", &in);
}

void routes_ask(const struct question *q, struct arena *a, const struct environment_record *r, const struct extra *e)
{
	const char *space = arena_dupz(a, ARENA_CAT(a, S(PROCESS_OF), e->name));
	switch (e->kind) {
	case EXTRA_PORT:
		ask_port(q, a, r, e);
		break;
	case EXTRA_TARGETS:
		if (e->wanted)
			balance_make_targets(q, a, r, space, ARENA_CAT(a, S("awseb-"), e->name, S("-"), r->suffix));
		else
			ask_of(q, &elbv2_api, "DeleteTargetGroup",
			       &(struct elbv2_delete_target_group_input){.target_group_arn = e->arn});
		break;
	case EXTRA_CHECKS:
		balance_set_checks(q, r, space, targets_of(r, e->name));
		break;
	case EXTRA_ATTRIBUTES:
		balance_set_attributes(q, a, r, space, targets_of(r, e->name));
		break;
	case EXTRA_MEMBERS:
		ask_members(q, a, r, e);
		break;
	default: /* EXTRA_RULE */
		if (e->wanted)
			ask_rule(q, a, r, e);
		else
			ask_of(q, &elbv2_api, "DeleteRule", &(struct elbv2_delete_rule_input){.rule_arn = e->arn});
		break;
	}
}

struct str routes_answer(struct arena *a, const struct call *sub)
{
	if (strcmp(sub->row->name, "CreateTargetGroup") == 0)
		return arena_dup(a,
		                 ((const struct elbv2_create_target_group_output *)sub->out)->target_groups.v[0].target_group_arn);
	if (strcmp(sub->row->name, "CreateRule") == 0)
		return arena_dup(a, ((const struct elbv2_create_rule_output *)sub->out)->rules.v[0].rule_arn);
	return STR_NONE;
}

/* --- what the options may be together */

static int wrong(struct call *c, const char *space, struct str name, const char *why)
{
	return call_fail(c, "ConfigurationValidationException", 400,
	                 "Configuration validation exception: Invalid option specification (Namespace: '%s%.*s'): %s", space,
	                 STR_ARG(name), why);
}

static bool is_name(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && (name.p[i] != '-' || i == 0))
			return false;
	return name.n > 0 && name.n <= NAME_MAX_BYTES;
}

static int check_rules(struct call *c, const struct environment_record *r, const char *space, const struct str_list *rules)
{
	struct str_list known = names_of(c->arena, r, RULE_OF), taken = {0};
	struct str of = str_from_at(str_from(space), strlen("aws:elbv2:listener:"));
	for (uint32_t i = 0; i < rules->n; i++) {
		struct str priority = value(c->arena, r, RULE_OF, rules->v[i], "Priority");
		if (!has(&known, rules->v[i]))
			return wrong(c, "aws:elbv2:listener:", of, "One of its Rules has no options of its own.");
		if (has(&taken, priority))
			return wrong(c, RULE_OF, rules->v[i], "Another rule of the listener has its Priority.");
		*LIST_ADD(c->arena, &taken) = priority;
	}
	return CALL_OK;
}

int routes_check(struct call *c, const struct environment_record *r)
{
	struct str_list processes = names_of(c->arena, r, PROCESS_OF), rules = names_of(c->arena, r, RULE_OF);
	bool used = processes.n > 0;
	for (uint32_t i = 0; i < processes.n; i++)
		if (!is_name(processes.v[i]))
			return wrong(c, PROCESS_OF, processes.v[i],
			             "The name of a process has at most 12 letters, digits and dashes here.");
	*LIST_ADD(c->arena, &processes) = S(USUAL);
	for (uint32_t i = 0; i < rules.n; i++) {
		if (!has(&processes, value(c->arena, r, RULE_OF, rules.v[i], "Process")))
			return wrong(c, RULE_OF, rules.v[i], "There is no such Process.");
		if (!value(c->arena, r, RULE_OF, rules.v[i], "HostHeaders").n &&
		    !value(c->arena, r, RULE_OF, rules.v[i], "PathPatterns").n)
			return wrong(c, RULE_OF, rules.v[i], "It needs HostHeaders or PathPatterns.");
	}
	for (uint32_t i = 0; i < r->options.n; i++) {
		struct str space = r->options.v[i].namespace;
		const char *of = arena_dupz(c->arena, space);
		if (!str_starts(space, S("aws:elbv2:listener:")))
			continue;
		struct str_list list = split(c->arena, option_value(r, of, "Rules"));
		used |= list.n > 0;
		if (check_rules(c, r, of, &list) != CALL_OK)
			return CALL_FAIL;
	}
	if (used && str_is(option_value(r, "aws:elasticbeanstalk:command", "DeploymentPolicy"), "TrafficSplitting"))
		return beanstalk_invalid(c, "TrafficSplitting with more than one process or with rules is not supported.");
	return CALL_OK;
}

int routes_fixed(struct call *c, const struct environment_record *before, const struct environment_record *after)
{
	for (uint32_t i = 0; i < before->extras.n; i++) {
		const struct state_elasticbeanstalk_extra *had = &before->extras.v[i];
		struct str_list names = names_of(c->arena, after, PROCESS_OF);
		if (had->kind.v == EXTRA_TARGETS && has(&names, had->name) &&
		    !str_eq(value(c->arena, after, PROCESS_OF, had->name, "Port"), had->terms))
			return wrong(c, PROCESS_OF, had->name, "Changing the Port of a process is not supported.");
	}
	return CALL_OK;
}

/* PutRule, DescribeRule, ListRules, ListRuleNamesByTarget, EnableRule, DisableRule, DeleteRule, TestEventPattern. */
#include "rows.h"

#include "engine/scaling/cron.h"

static int bad_pattern(struct call *c, struct str why)
{
	return call_fail(c, "InvalidEventPatternException", 400, "Event pattern is not valid. Reason: %.*s", STR_ARG(why));
}

static int check_rule(struct call *c, const struct events_put_rule_request *in, const struct bus_name *bus)
{
	struct when when;
	struct str why = STR_NONE;
	if (!in->event_pattern.n && !in->schedule_expression.n)
		return events_invalid(c, "Parameter(s) EventPattern or ScheduleExpression must be specified.");
	if (str_is(in->state, "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"))
		return events_invalid(c, "Parameter State is not valid. Reason: There are no events of CloudTrail here.");
	if (in->schedule_expression.n) {
		if (!str_is(bus->name, "default"))
			return events_invalid(c, "ScheduleExpression is supported only on the default event bus.");
		if (!when_parse(in->schedule_expression, NULL, &when) || when.kind == WHEN_AT)
			return events_invalid(c, "Parameter ScheduleExpression is not valid.");
	}
	if (in->event_pattern.n && !event_pattern_compile(c->arena, in->event_pattern, &why))
		return bad_pattern(c, why);
	if (in->role_arn.n && !call_allowed(c, "iam:PassRole", in->role_arn))
		return CALL_FAIL;
	return CALL_OK;
}

static struct str or_none(struct str s)
{
	return s.n ? s : STR_NONE;
}

int events_put_rule(struct call *c, const struct events_put_rule_request *in, struct events_put_rule_response *out)
{
	struct bus b;
	struct rule r;
	if (bus_get(c, in->event_bus_name, &b) != CALL_OK || check_rule(c, in, &b.at) != CALL_OK)
		return CALL_FAIL;
	bool there = rule_find(call_txn(c), c->arena, &b.at, in->name, &r);
	if (there && rule_own(c, &r) != CALL_OK)
		return CALL_FAIL;
	if (!there) {
		if (event_rules_count(events_state(c->cloud)->rules, &b.at) >= EVENTS_RULES_MAX)
			return call_fail(c, "LimitExceededException", 400,
			                 "The requested resource exceeds the maximum number allowed.");
		if (events_take_tags(c, &r.r.tags, &in->tags) != CALL_OK)
			return CALL_FAIL;
		r.r.name = in->name;
		r.r.created = OPT_TIME(c->now_ms);
	}
	r.r.pattern = or_none(in->event_pattern);
	r.r.schedule = or_none(in->schedule_expression);
	r.r.state = str_set(in->state) ? in->state : S("ENABLED");
	r.r.description = in->description;
	r.r.role = or_none(in->role_arn);
	rule_put(c, &r);
	firing_put(c, &r);
	out->rule_arn = rule_arn(c->arena, &b.at, in->name);
	return CALL_OK;
}

int events_describe_rule(struct call *c, const struct events_describe_rule_request *in, struct events_describe_rule_response *out)
{
	struct rule r;
	if (rule_get(c, in->event_bus_name, in->name, &r) != CALL_OK)
		return CALL_FAIL;
	*out = (struct events_describe_rule_response){.name = r.r.name,
	                                              .arn = rule_arn(c->arena, &r.bus, r.r.name),
	                                              .event_pattern = r.r.pattern,
	                                              .schedule_expression = r.r.schedule,
	                                              .state = r.r.state,
	                                              .description = r.r.description,
	                                              .role_arn = r.r.role,
	                                              .managed_by = r.r.managed_by,
	                                              .event_bus_name = r.bus.name,
	                                              .created_by = r.bus.account};
	return CALL_OK;
}

int events_list_rules(struct call *c, const struct events_list_rules_request *in, struct events_list_rules_response *out)
{
	struct bus b;
	struct events_page p;
	if (bus_get(c, in->event_bus_name, &b) != CALL_OK)
		return CALL_FAIL;
	out->rules.set = true;
	events_page_begin(c, &p, KEY_UNDER(c->arena, S("events"), S("rule"), b.at.account, b.at.region, b.at.name), in->limit,
	                  in->next_token);
	while (events_page_next(c, &p, in->name_prefix, &out->next_token)) {
		struct state_events_rule_record r;
		if (!record_read(c->arena, p.value, EVENTS_ROW("Rule"), &r))
			continue;
		struct events_rule *one = LIST_ADD(c->arena, &out->rules);
		one->name = r.name;
		one->arn = rule_arn(c->arena, &b.at, r.name);
		one->event_pattern = r.pattern;
		one->state = r.state;
		one->description = r.description;
		one->schedule_expression = r.schedule;
		one->role_arn = r.role;
		one->managed_by = r.managed_by;
		one->event_bus_name = b.at.name;
	}
	return CALL_OK;
}

int events_list_rule_names_by_target(struct call *c, const struct events_list_rule_names_by_target_request *in,
                                     struct events_list_rule_names_by_target_response *out)
{
	struct bus b;
	struct events_page p;
	struct str over;
	int64_t left = in->limit.set ? in->limit.v : EVENTS_RULES_MAX;
	if (bus_get(c, in->event_bus_name, &b) != CALL_OK)
		return CALL_FAIL;
	out->rule_names.set = true;
	struct str under = KEY_UNDER(c->arena, S("events"), S("rule"), b.at.account, b.at.region, b.at.name);
	events_page_begin(c, &p, under, (struct opt_int){0}, in->next_token);
	p.left = INT64_MAX;
	while (events_page_next(c, &p, STR_NONE, &over)) {
		struct state_events_rule_record r;
		bool has = false;
		if (!record_read(c->arena, p.value, EVENTS_ROW("Rule"), &r))
			continue;
		for (uint32_t i = 0; i < r.targets.n; i++)
			has |= str_eq(r.targets.v[i].arn, in->target_arn);
		if (!has)
			continue;
		if (!left--) {
			out->next_token = out->rule_names.v[out->rule_names.n - 1];
			break;
		}
		*LIST_ADD(c->arena, &out->rule_names) = r.name;
	}
	return CALL_OK;
}

static int set_state(struct call *c, struct str bus, struct str name, struct str state)
{
	struct rule r;
	if (rule_get(c, bus, name, &r) != CALL_OK || rule_own(c, &r) != CALL_OK)
		return CALL_FAIL;
	r.r.state = state;
	rule_put(c, &r);
	firing_put(c, &r);
	return CALL_OK;
}

int events_enable_rule(struct call *c, const struct events_enable_rule_request *in, struct model_none *out)
{
	(void)out;
	return set_state(c, in->event_bus_name, in->name, S("ENABLED"));
}

int events_disable_rule(struct call *c, const struct events_disable_rule_request *in, struct model_none *out)
{
	(void)out;
	return set_state(c, in->event_bus_name, in->name, S("DISABLED"));
}

int events_delete_rule(struct call *c, const struct events_delete_rule_request *in, struct model_none *out)
{
	struct bus b;
	struct rule r;
	(void)out;
	if (bus_get(c, in->event_bus_name, &b) != CALL_OK)
		return CALL_FAIL;
	if (!rule_find(call_txn(c), c->arena, &b.at, in->name, &r))
		return CALL_OK;
	if (rule_own(c, &r) != CALL_OK)
		return CALL_FAIL;
	if (r.r.targets.n)
		return events_invalid(c, "Rule can't be deleted since it has targets.");
	store_delete(call_txn(c), r.key);
	r.r.schedule = STR_NONE;
	firing_put(c, &r);
	return CALL_OK;
}

/* --- trying a pattern */

int events_test_event_pattern(struct call *c, const struct events_test_event_pattern_request *in,
                              struct events_test_event_pattern_response *out)
{
	static const char *const needed[] = {"id", "account", "source", "time", "region", "resources", "detail-type", NULL};
	struct str why = STR_NONE;
	const struct json_value *event = json_parse(c->arena, in->event, &why);
	if (!json_is(event, JSON_OBJECT))
		return events_invalid(c, "Parameter Event is not valid. Reason: It is no JSON object.");
	for (int i = 0; needed[i]; i++)
		if (!json_get(event, str_from(needed[i])))
			return events_invalid(c, "Parameter Event is not valid. Reason: %s is a required argument.", needed[i]);
	const struct event_pattern *p = event_pattern_compile(c->arena, in->event_pattern, &why);
	if (!p)
		return bad_pattern(c, why);
	out->result = OPT_BOOL(event_pattern_match(p, event));
	return CALL_OK;
}

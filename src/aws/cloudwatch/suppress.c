/* A composite alarm with a suppressor keeps its actions to itself while that one is in ALARM. Two periods are for alarms that do
 * not change together: after a change of its own the alarm waits for the suppressor to come (WaitPeriod), and after the suppressor
 * has gone for its own state to follow (ExtensionPeriod). When nothing holds them back any more, the actions of the state that it
 * is in by then are carried out, if none were since it is in that. */
#include "aws/cloudwatch/alarm_op.h"

static bool in_alarm(struct alarm_scope *s, struct str suppressor)
{
	struct state_cloudwatch_alarm_record r;
	struct str name = alarm_name_of(s, suppressor);
	return str_set(name) && alarm_find(s, name, &r) && alarm_state_of(*alarm_face(&r).state) == ALARM_ALARM;
}

/* NULL: nothing holds back. */
static const char *next_by(struct alarm_scope *s, struct state_cloudwatch_alarm_record *r, bool changed, int64_t now_ms)
{
	const struct cloudwatch_composite_alarm *m = r->composite;
	struct str by = m->actions_suppressed_by;
	if (!str_set(m->actions_suppressor))
		return NULL;
	if (in_alarm(s, m->actions_suppressor))
		return "Alarm";
	if (str_is(by, "Alarm") && m->actions_suppressor_extension_period.v > 0) {
		r->suppressed_until = OPT_TIME(now_ms + m->actions_suppressor_extension_period.v * 1000);
		return "ExtensionPeriod";
	}
	if (str_is(by, "ExtensionPeriod") && r->suppressed_until.ms > now_ms)
		return "ExtensionPeriod";
	if (changed && m->actions_suppressor_wait_period.v > 0) {
		r->suppressed_until = OPT_TIME(now_ms + m->actions_suppressor_wait_period.v * 1000);
		return "WaitPeriod";
	}
	return str_is(by, "WaitPeriod") && r->suppressed_until.ms > now_ms ? "WaitPeriod" : NULL;
}

bool alarm_suppress(struct alarm_scope *s, struct state_cloudwatch_alarm_record *r, bool changed, int64_t now_ms)
{
	struct cloudwatch_composite_alarm *m = r->composite;
	if (!m)
		return false;
	struct opt_time until = r->suppressed_until;
	const char *next = next_by(s, r, changed, now_ms);
	struct str by = next ? str_from(next) : STR_NONE;
	bool timed = next && !str_is(by, "Alarm");
	if (!timed)
		r->suppressed_until = (struct opt_time){0};
	bool another = str_set(by) != str_set(m->actions_suppressed_by) || (next && !str_eq(by, m->actions_suppressed_by));
	m->actions_suppressed_by = by;
	m->actions_suppressed_reason = next ? ARENA_CAT(s->arena, S("Actions suppressed by "), by) : STR_NONE;
	if (next && r->due.v && (another || changed) && alarm_face(r).actions[alarm_state_of(m->state_value)]->n)
		alarm_remember(s, r, now_ms, "Action", m->actions_suppressed_reason, STR_NONE);
	return another || until.ms != r->suppressed_until.ms;
}

int alarm_check_suppressor(struct call *c, const struct cloudwatch_put_composite_alarm_input *in)
{
	struct alarm_scope s = alarm_scope(c);
	struct state_cloudwatch_alarm_record r;
	struct opt_int wait = in->actions_suppressor_wait_period, extension = in->actions_suppressor_extension_period;
	if (!str_set(in->actions_suppressor)) {
		if (!wait.set && !extension.set)
			return CALL_OK;
		return call_fail(c, "ValidationError", 400,
		                 "ActionsSuppressorWaitPeriod and ActionsSuppressorExtensionPeriod need an ActionsSuppressor");
	}
	if (!wait.set || !extension.set)
		return call_fail(
		        c, "ValidationError", 400,
		        "ActionsSuppressorWaitPeriod and ActionsSuppressorExtensionPeriod are required with ActionsSuppressor");
	if (wait.v < 0 || extension.v < 0)
		return call_fail(c, "ValidationError", 400, "The periods of a suppressor must not be negative");
	struct str name = alarm_name_of(&s, in->actions_suppressor);
	if (!str_set(name) || str_eq(name, in->alarm_name) || !alarm_find(&s, name, &r))
		return call_fail(c, "ValidationError", 400,
		                 "Could not save the composite alarm as the suppressor alarm [%.*s] does not exist",
		                 STR_ARG(in->actions_suppressor));
	return CALL_OK;
}

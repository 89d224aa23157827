/* What a policy does: by an alarm, or by ExecutePolicy.
 *
 * Instances that are on their way in or warm up count as if their work were already felt: a policy that fires again meanwhile adds
 * only what is wanted beyond them, and nothing shrinks. */
#include "keeper.h"
#include "policy.h"

#include "aws/cloudwatch/cloudwatch.h"
#include "base/clock.h"
#include "base/json.h"
#include "core/alarm_turn.h"
#include "core/alarm_wish.h"
#include "engine/scaling/adjust.h"

#include <math.h>

static int64_t warmup_s(const struct state_autoscaling_group_record *r, const struct autoscaling_scaling_policy *p)
{
	return p->estimated_instance_warmup.set        ? p->estimated_instance_warmup.v
	       : r->group->default_instance_warmup.set ? r->group->default_instance_warmup.v
	                                               : r->group->default_cooldown.v;
}

/* Capacity that serves and is warm; *ret_cold: there is some that is not yet. */
static int64_t warm_capacity(const struct scope *s, const struct state_autoscaling_group_record *r, int64_t warmup, bool *ret_cold)
{
	int64_t warm = 0;
	*ret_cold = false;
	for (uint32_t i = 0; i < r->members.n; i++) {
		const struct state_autoscaling_member *m = &r->members.v[i];
		if (!member_counts(m))
			continue;
		if (member_in(m, "InService") && s->now_ms >= m->in_service.ms + warmup * 1000)
			warm += member_weight(m);
		else
			*ret_cold = true;
	}
	return warm;
}

static bool busy(const struct state_autoscaling_group_record *r)
{
	for (uint32_t i = 0; i < r->members.n; i++)
		if (member_begins(&r->members.v[i]) || member_ends(&r->members.v[i]))
			return true;
	return scaling_capacity(r) != r->group->desired_capacity.v;
}

static bool simple(const struct scope *s, struct state_autoscaling_group_record *r, const struct autoscaling_scaling_policy *p,
                   const struct policy_event *e, int64_t *ret, const char **ret_code, struct str *ret_why)
{
	if (e->honor_cooldown && (r->cooling.set || r->cooldown_until.ms > s->now_ms || busy(r))) {
		*ret_code = "ScalingActivityInProgress";
		*ret_why = S("Scaling activity is in progress, or the cooldown of the last one has not ended.");
		return false;
	}
	int64_t least = p->min_adjustment_magnitude.set ? p->min_adjustment_magnitude.v : p->min_adjustment_step.v;
	*ret = adjust_capacity(p->adjustment_type, r->group->desired_capacity.v, p->scaling_adjustment.v, least);
	r->cooling = p->cooldown.set ? p->cooldown : r->group->default_cooldown;
	return true;
}

static bool stepped(const struct scope *s, struct state_autoscaling_group_record *r, const struct autoscaling_scaling_policy *p,
                    const struct policy_event *e, int64_t *ret, const char **ret_code, struct str *ret_why)
{
	struct adjust_step *all = arena_array(s->arena, p->step_adjustments.n + 1, sizeof(*all));
	int64_t desired = r->group->desired_capacity.v;
	bool cold;
	for (uint32_t i = 0; i < p->step_adjustments.n; i++) {
		const struct autoscaling_step_adjustment *a = &p->step_adjustments.v[i];
		all[i] = (struct adjust_step){
		        a->metric_interval_lower_bound.set ? a->metric_interval_lower_bound.v : -(double)INFINITY,
		        a->metric_interval_upper_bound.set ? a->metric_interval_upper_bound.v : (double)INFINITY,
		        a->scaling_adjustment.v};
	}
	const struct adjust_step *in = isnan(e->value) ? NULL : adjust_find(all, p->step_adjustments.n, e->value - e->threshold);
	*ret_code = "ValidationError";
	if (!in) {
		*ret_why = S("There is no step adjustment for the metric's value.");
		return false;
	}
	int64_t warm = warm_capacity(s, r, warmup_s(r, p), &cold);
	int64_t from = cold ? warm : desired;
	*ret = adjust_capacity(p->adjustment_type, from, in->adjustment, p->min_adjustment_magnitude.v);
	bool shrinks = *ret < from;
	if (cold && shrinks) {
		*ret_why = S("Nothing shrinks while instances warm up.");
		return false;
	}
	if (cold && *ret < desired)
		*ret = desired;
	return true;
}

/* --- target tracking: out when any policy wants it, in when all do, and to what the one asks for that needs the most */

static struct autoscaling_scaling_policy *next_policy(const struct scope *s, struct store_iter *iter)
{
	struct str key;
	struct store_value v;
	struct state_autoscaling_policy_record r = {0};
	return store_next(iter, &key, &v) && record_read(s->arena, v.value, &policy_row, &r) ? r.policy : NULL;
}

static bool all_agree(const struct scope *s, const struct state_autoscaling_group_record *r,
                      const struct autoscaling_scaling_policy *p, int64_t *want)
{
	struct str under = scaling_under(s, "policy", r->group->auto_scaling_group_name);
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct autoscaling_scaling_policy *other;
	while ((other = next_policy(s, iter)) != NULL) {
		const struct autoscaling_target_tracking_configuration *t = other->target_tracking_configuration;
		if (str_eq(other->policy_arn, p->policy_arn) || !t || !other->enabled.v || t->disable_scale_in.v)
			continue;
		int64_t wanted;
		if (!alarm_is_low(keepers_alarms(s->cloud), other->policy_arn, s->now_ms, &wanted))
			return false;
		*want = wanted > *want ? wanted : *want;
	}
	return true;
}

static bool tracked(const struct scope *s, struct state_autoscaling_group_record *r, const struct autoscaling_scaling_policy *p,
                    const struct policy_event *e, int64_t *ret, const char **ret_code, struct str *ret_why)
{
	const struct autoscaling_target_tracking_configuration *t = p->target_tracking_configuration;
	int64_t desired = r->group->desired_capacity.v;
	bool cold;
	int64_t warm = warm_capacity(s, r, warmup_s(r, p), &cold);
	*ret_code = "ValidationError";
	if (isnan(e->value)) {
		*ret_why = S("The metric has no value.");
		return false;
	}
	if (e->high) {
		int64_t want = adjust_to_target(warm, e->value, t->target_value.v);
		*ret = want > warm ? want : warm + 1;
		if (*ret < desired)
			*ret = desired;
		return true;
	}
	int64_t want = adjust_to_target(desired, e->value, t->target_value.v);
	alarm_saw_low(keepers_alarms(s->cloud), p->policy_arn, s->now_ms, want);
	if (cold || t->disable_scale_in.v || !all_agree(s, r, p, &want)) {
		*ret_why = cold ? S("Nothing shrinks while instances warm up.") : S("Another policy wants the capacity of now.");
		return false;
	}
	*ret = want > desired ? desired : want;
	return true;
}

bool policy_run(const struct scope *s, struct state_autoscaling_group_record *r, const struct autoscaling_scaling_policy *p,
                const struct policy_event *e, const char **ret_code, struct str *ret_why)
{
	int64_t desired = r->group->desired_capacity.v, want = desired;
	bool said = str_is(p->policy_type, "SimpleScaling") ? simple(s, r, p, e, &want, ret_code, ret_why)
	            : str_is(p->policy_type, "StepScaling") ? stepped(s, r, p, e, &want, ret_code, ret_why)
	                                                    : tracked(s, r, p, e, &want, ret_code, ret_why);
	if (!said)
		return false;
	want = want < r->group->min_size.v ? r->group->min_size.v : want > r->group->max_size.v ? r->group->max_size.v : want;
	if (want == desired) {
		r->cooling = (struct opt_int){0};
		*ret_code = NULL;
		*ret_why = S("The capacity is what the policy asks for, or at its bound.");
		return false;
	}
	scaling_set_desired(s, r, want, e->reason);
	r->alarms = e->alarms;
	return true;
}

/* --- by an alarm */

static struct str invoking(struct arena *a, const struct alarm_event *e)
{
	const struct {
		const char *name;
		struct str value;
	} texts[] = {{"Region", e->region},
	             {"AlarmArn", e->alarm_arn},
	             {"AlarmName", e->alarm_name},
	             {"NewStateValue", e->new_state},
	             {"OldStateValue", e->old_state}};
	struct buf CLEAN_BUF b;
	buf_init(&b, 1 << 16);
	struct json_out o = json_out(&b);
	json_open(&o, '[');
	json_open(&o, '{');
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		json_key(&o, str_from(texts[i].name));
		json_string(&o, texts[i].value);
	}
	json_key(&o, S("StateChangeTime"));
	json_int(&o, e->changed_ms);
	json_close(&o, '}');
	json_close(&o, ']');
	return arena_dup(a, buf_str(&b));
}

static void decide(struct alarm_turn *run)
{
	const struct alarm_event *e = run->event;
	struct str group, name;
	struct state_autoscaling_group_record r = {0};
	struct state_autoscaling_policy_record p = {0};
	struct scope s = {.txn = run->txn,
	                  .arena = run->arena,
	                  .cloud = run->cloud,
	                  .account = e->account,
	                  .region = e->region,
	                  .now_ms = run->now_ms};
	if (!policy_of_arn(e->action, &group, &name) || !policy_find(&s, group, name, &p) ||
	    !str_eq(p.policy->policy_arn, e->action) || !scaling_find(&s, group, &r) || r.deleting.v) {
		run->error = arena_printf(s.arena, "The policy %.*s does not exist.", STR_ARG(e->action));
	} else if (!p.policy->enabled.v || scaling_suspended(&r, "AlarmNotification")) {
		run->what = S("The policy is disabled, or the group's process AlarmNotification is suspended.");
	} else {
		const char *code = NULL;
		bool steps = str_is(p.policy->policy_type, "StepScaling");
		struct str statistic = steps ? p.policy->metric_aggregation_type : e->statistic;
		struct policy_event event = {.value = cloudwatch_alarm_value(s.cloud, s.arena, e, statistic, s.now_ms),
		                             .threshold = e->threshold,
		                             .high = str_starts(e->operator, S("Greater")),
		                             .honor_cooldown = true,
		                             .reason = arena_printf(s.arena,
		                                                    "a monitor alarm %.*s in state %.*s triggered policy %.*s",
		                                                    STR_ARG(e->alarm_name), STR_ARG(e->new_state), STR_ARG(name)),
		                             .alarms = invoking(s.arena, e)};
		if (policy_run(&s, &r, p.policy, &event, &code, &run->what)) {
			scaling_put(&s, &r);
			run->what = STR_NONE;
		}
	}
}

static void alarm_run(struct cloud *cloud, const struct alarm_event *e, alarm_ran_fn *ran, void *ctx)
{
	alarm_turn_begin(cloud, e, decide, "The group's state could not be written.", ran, ctx);
}

/* One that is deleted later makes the action fail; one that never was is refused. */
static int alarm_check(struct call *c, struct str arn)
{
	struct scope s = scaling_scope(c);
	struct state_autoscaling_policy_record p = {0};
	struct str group, name;
	if (policy_of_arn(arn, &group, &name) && policy_find(&s, group, name, &p) && str_eq(p.policy->policy_arn, arn))
		return CALL_OK;
	return scaling_invalid(c, "Invalid arn syntax or unknown scaling policy: %.*s", STR_ARG(arn));
}

const struct alarm_action_kind policy_alarm_action = {.prefix = "arn:aws:autoscaling:*:*:scalingPolicy:*:autoScalingGroupName/",
                                                      .check = alarm_check,
                                                      .run = alarm_run,
                                                      .repeats = true};

/* What a policy does when its alarm says so.
 *
 * A scale-out begins a cooldown during which what it added counts as if it were felt: only a policy that wants more than that, from
 * the count before it, scales further. A scale-in blocks others until its cooldown ends; a scale-out ends that at once. */
#include "keeper.h"
#include "policy.h"

#include "aws/cloudwatch/cloudwatch.h"
#include "base/clock.h"
#include "core/alarm_turn.h"
#include "core/alarm_wish.h"
#include "engine/scaling/adjust.h"

#include <math.h>

struct decision {
	const struct appscale *s;
	const struct resource *of;
	struct state_applicationautoscaling_target_record *r;
	const struct application_autoscaling_scaling_policy *p;
	const struct alarm_event *e;
	struct resource_seen seen;
	struct str cause, what; /* what: for the alarm's history */
	bool written;
};

static void not_scaled(struct decision *d, const char *code)
{
	struct str before = d->r->not_scaled;
	activity_not_scaled(d->s, d->of, d->r, code, d->cause);
	d->written = !str_set(before) || !str_eq(before, d->r->not_scaled);
	d->what = arena_printf(d->s->arena, "Not scaled: %s", code);
}

/* From which count a scale-out counts: what the last one added is not felt yet. */
static int64_t out_from(const struct decision *d, int64_t count)
{
	return d->r->out_until.ms > d->s->now_ms ? d->r->out_base.v : count;
}

static void scale(struct decision *d, int64_t count, int64_t to, int64_t cooldown_s)
{
	bool out = to > count;
	int64_t until = d->s->now_ms + cooldown_s * 1000;
	if (out) {
		d->r->out_base = OPT_INT(out_from(d, count));
		d->r->out_until = OPT_TIME(until);
		d->r->in_until = (struct opt_time){0};
	} else {
		d->r->in_until = OPT_TIME(until);
		d->r->out_until = (struct opt_time){0};
	}
	target_want(d->s, d->of, d->r, to, d->cause);
	d->written = true;
}

static void scale_out(struct decision *d, int64_t want, int64_t cooldown_s)
{
	int64_t count = target_count(d->r, &d->seen), max = d->r->target->max_capacity.v;
	if (d->r->target->suspended_state->dynamic_scaling_out_suspended.v) {
		d->what = S("Scaling out is suspended.");
		return;
	}
	int64_t to = want < max ? want : max;
	if (to > count)
		scale(d, count, to, cooldown_s);
	else if (count >= max)
		not_scaled(d, "AlreadyAtMaxCapacity");
	else if (d->r->out_until.ms > d->s->now_ms)
		d->what = S("The cooldown of the last scale-out has not ended.");
	else
		not_scaled(d, "AlreadyAtDesiredCapacity");
}

static void scale_in(struct decision *d, int64_t want, int64_t cooldown_s, const char *unchanged)
{
	int64_t count = target_count(d->r, &d->seen), min = d->r->target->min_capacity.v;
	if (d->r->target->suspended_state->dynamic_scaling_in_suspended.v) {
		d->what = S("Scaling in is suspended.");
		return;
	}
	int64_t to = want > min ? want : min;
	if (count <= min)
		not_scaled(d, "AlreadyAtMinCapacity");
	else if (to >= count)
		not_scaled(d, unchanged);
	else if (d->seen.moves)
		not_scaled(d, "TargetServicePutResourceAsUnscalable");
	else if (d->r->in_until.ms > d->s->now_ms)
		d->what = S("The cooldown of the last scale-in has not ended.");
	else
		scale(d, count, to, cooldown_s);
}

/* Out when any policy wants it, in when all do, and to what the one asks for that needs the most. */
static bool all_agree(const struct decision *d, int64_t *want)
{
	struct policies all = appscale_policies_of(d->s, d->of);
	for (uint32_t i = 0; i < all.n; i++) {
		const struct application_autoscaling_scaling_policy *p = all.v[i].policy;
		int64_t other;
		if (!p->target_tracking_scaling_policy_configuration || str_eq(p->policy_arn, d->p->policy_arn) ||
		    p->target_tracking_scaling_policy_configuration->disable_scale_in.v)
			continue;
		if (!alarm_is_low(appscale_keepers_alarms(d->s->cloud), p->policy_arn, d->s->now_ms, &other))
			return false;
		*want = other > *want ? other : *want;
	}
	return true;
}

static void track(struct decision *d)
{
	const struct application_autoscaling_target_tracking_scaling_policy_configuration *t =
	        d->p->target_tracking_scaling_policy_configuration;
	int64_t count = target_count(d->r, &d->seen);
	if (!d->e->metric || isnan(d->e->value)) {
		d->what = S("The metric has no value.");
	} else if (str_starts(d->e->operator, S("Greater"))) {
		/* the metric is that of those who run */
		int64_t from = out_from(d, count), felt = d->seen.running > 0 && d->seen.running < from ? d->seen.running : from;
		int64_t want = adjust_to_target(felt, d->e->value, t->target_value.v);
		scale_out(d, want > felt ? want : felt + 1, t->scale_out_cooldown.v);
	} else {
		int64_t want = adjust_to_target(count, d->e->value, t->target_value.v);
		alarm_saw_low(appscale_keepers_alarms(d->s->cloud), d->p->policy_arn, d->s->now_ms, want);
		if (t->disable_scale_in.v)
			d->what = S("The policy does not scale in.");
		else if (!all_agree(d, &want))
			d->what = S("Another policy wants the capacity of now.");
		else
			scale_in(d, want, t->scale_in_cooldown.v, "AutoScalingAnticipatedFlapping");
	}
}

static void step(struct decision *d)
{
	const struct application_autoscaling_step_scaling_policy_configuration *conf = d->p->step_scaling_policy_configuration;
	double value = cloudwatch_alarm_value(d->s->cloud, d->s->arena, d->e, conf->metric_aggregation_type, d->s->now_ms);
	int64_t count = target_count(d->r, &d->seen);
	const struct adjust_step *one = isnan(value) ? NULL
	                                             : adjust_find(appscale_policy_steps(d->s->arena, conf),
	                                                           conf->step_adjustments.n, value - d->e->threshold);
	if (!one) {
		d->what = S("There is no step adjustment for the metric's value.");
		return;
	}
	int64_t least = conf->min_adjustment_magnitude.v, from = out_from(d, count);
	int64_t out = adjust_capacity(conf->adjustment_type, from, one->adjustment, least);
	if (out > from) {
		scale_out(d, out, conf->cooldown.v);
		return;
	}
	int64_t in = adjust_capacity(conf->adjustment_type, count, one->adjustment, least);
	if (in < count)
		scale_in(d, in, conf->cooldown.v, "AlreadyAtDesiredCapacity");
	else
		not_scaled(d, "AlreadyAtDesiredCapacity");
}

/* --- by an alarm */

static void decide(struct alarm_turn *run, const struct appscale *s, const struct application_autoscaling_scaling_policy *p)
{
	struct resource of = {resource_kind_of(p->service_namespace, p->scalable_dimension), p->service_namespace, p->resource_id,
	                      p->scalable_dimension};
	struct state_applicationautoscaling_target_record r;
	struct decision d = {.s = s, .of = &of, .r = &r, .p = p, .e = run->event};
	if (!target_find(s, &of, &r)) {
		run->error = S("The scalable target does not exist.");
		return;
	}
	resource_see(s, &of, &d.seen);
	if (!d.seen.there) {
		run->error = ARENA_CAT(s->arena, str_from(of.kind->missing), of.id);
		return;
	}
	d.cause = arena_printf(s->arena, "monitor alarm %.*s in state %.*s triggered policy %.*s", STR_ARG(run->event->alarm_name),
	                       STR_ARG(run->event->new_state), STR_ARG(p->policy_name));
	if (p->target_tracking_scaling_policy_configuration)
		track(&d);
	else
		step(&d);
	if (d.written)
		target_put(s, &of, &r);
	run->what = d.what;
}

static void act(struct alarm_turn *run)
{
	const struct alarm_event *e = run->event;
	struct state_applicationautoscaling_policy_record p;
	struct appscale s = {.txn = run->txn,
	                     .arena = run->arena,
	                     .cloud = run->cloud,
	                     .account = e->account,
	                     .region = e->region,
	                     .now_ms = run->now_ms};
	if (appscale_policy_of_arn(&s, e->action, &p))
		decide(run, &s, p.policy);
	else
		run->error = arena_printf(s.arena, "The policy %.*s does not exist.", STR_ARG(e->action));
}

static void alarm_run(struct cloud *cloud, const struct alarm_event *e, alarm_ran_fn *ran, void *ctx)
{
	alarm_turn_begin(cloud, e, act, "The target's state could not be written.", ran, ctx);
}

/* One that is deleted later makes the action fail; one that never was is refused. */
static int alarm_check(struct call *c, struct str arn)
{
	struct appscale s = appscale_of_call(c);
	struct state_applicationautoscaling_policy_record p;
	return appscale_policy_of_arn(&s, arn, &p)
	               ? CALL_OK
	               : call_fail(c, "ValidationError", 400, "Invalid arn syntax or unknown scaling policy: %.*s", STR_ARG(arn));
}

const struct alarm_action_kind appscale_alarm_action = {
        .prefix = "arn:aws:autoscaling:*:*:scalingPolicy:*:resource/", .check = alarm_check, .run = alarm_run, .repeats = true};

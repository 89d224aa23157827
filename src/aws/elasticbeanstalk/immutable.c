/* Deployments that bring new instances in a group of their own: Immutable tries one, then as many as there are; TrafficSplitting
 * brings all at once and leads a share of the requests to them for a while. When they serve as they should, they move into the
 * environment's group, and those of before end. Otherwise they end, and nobody else has been touched. */
#include "health.h"
#include "rollout.h"

enum {
	MAKE_GROUP = REPLACE,
	WAIT,
	MORE,
	MAKE_TARGETS,
	FILL_TARGETS,
	LISTEN,
	CHECK,
	SPLIT,
	EVALUATE,
	ROOM,
	DETACH,
	ATTACH,
	OLD,
	GONE,
	UNSPLIT,
	DROP_TARGETS,
	DROP_GROUP,
};
enum { MINUTE_MS = 60 * 1000, LOOK_MS = 1000 };

#define member state_elasticbeanstalk_member
#define SPLITTING "aws:elasticbeanstalk:trafficsplitting"

static bool splits(const struct environment_record *r)
{
	return step_is(r, "deploy") && rollout_policy_is(r, "TrafficSplitting");
}

static void say(const struct scope *s, const struct environment_record *r, const char *text)
{
	environment_event(s, r, "INFO", str_from(text));
}

struct next immutable_begin(const struct scope *s, struct environment_record *r)
{
	say(s, r,
	    step_is(r, "configure")
	            ? "Immutable update policy enabled. Launching one instance with the new settings to verify health."
	    : splits(r) ? "Traffic splitting deployment policy enabled. Launching instances with the new settings to verify health."
	                : "Immutable deployment policy enabled. Launching one instance with the new settings to verify health.");
	r->batch = OPT_INT(r->members.n);
	r->extra = OPT_INT(splits(r) ? r->members.n : 1);
	r->temporary = OPT_BOOL(true);
	r->evaluated = OPT_BOOL(false);
	return step_go_on(r, MAKE_GROUP);
}

static bool is_gone(const struct answer *a)
{
	return str_find(a->code, S("NotFound")) >= 0 || str_find(a->message, S("not found")) >= 0 ||
	       str_find(a->message, S("not part of")) >= 0;
}

/* --- they come */

static struct next make_group(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	if (a->kind != ASK_OTHER_SCALING)
		return step_ask(ASK_OTHER_SCALING);
	if (str_set(a->code) && !step_was_there(a))
		return step_failed(s, r, a->message);
	step_say(s, r, "Created temporary auto scaling group ",
	         ARENA_CAT(s->arena, environment_other_scaling_name(s->arena, r), S(".")));
	r->until = OPT_TIME(s->now_ms + STEP_LAUNCH_MS);
	return step_go_on(r, WAIT);
}

static struct next wait(const struct scope *s, struct environment_record *r)
{
	if (rollout_taking_part(r) < r->extra.v)
		return s->now_ms < r->until.ms ? rollout_pause(ROLLOUT_POLL_MS) : step_late(s, r);
	if (r->extra.v == r->batch.v && r->batch.v > 1)
		say(s, r, "Successfully launched all instances.");
	r->until = (struct opt_time){0};
	return step_go_on(r, WORK);
}

static struct next more(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	if (a->kind != ASK_OTHER_SIZES)
		return step_ask(ASK_OTHER_SIZES);
	if (str_set(a->code))
		return step_failed(s, r, a->message);
	r->until = OPT_TIME(s->now_ms + STEP_LAUNCH_MS);
	return step_go_on(r, WAIT);
}

int64_t immutable_worked(const struct environment_record *r)
{
	return splits(r) && !r->evaluated.v ? MAKE_TARGETS : JOIN;
}

struct next immutable_arrived(const struct scope *s, struct environment_record *r)
{
	if (r->extra.v >= r->batch.v) {
		/* from here on those of before go */
		r->environment->abortable_operation_in_progress = OPT_BOOL(false);
		return step_go_on(r, ROOM);
	}
	say(s, r, "Test instance passed health checks. Launching remaining new instances.");
	r->extra = r->batch;
	return step_go_on(r, MORE);
}

/* --- a share of the requests */

static struct next make_targets(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	if (a->kind != ASK_OTHER_TARGETS)
		return step_ask(ASK_OTHER_TARGETS);
	if (str_set(a->code))
		return step_failed(s, r, a->message);
	r->other_targets = a->first;
	step_say(s, r, "Created target group named: ", a->first);
	return step_go_on(r, FILL_TARGETS);
}

static struct next fill_targets(struct environment_record *r, const struct answer *a)
{
	if (a->kind != ASK_OTHER_REGISTER)
		return step_ask(ASK_OTHER_REGISTER);
	if (str_set(a->code))
		return step_ask_later(ASK_OTHER_REGISTER, ROLLOUT_POLL_MS);
	return step_go_on(r, LISTEN);
}

/* With a share of nothing they are checked already. */
static struct next share(const struct scope *s, struct environment_record *r, const struct answer *a, int64_t percent, int64_t then)
{
	if (!r->share.set || r->share.v != percent) {
		r->share = OPT_INT(percent);
		return (struct next){.changed = true, .ask = ASK_SHARES};
	}
	if (a->kind != ASK_SHARES)
		return step_ask(ASK_SHARES);
	if (str_set(a->code))
		return step_failed(s, r, a->message);
	r->until = (struct opt_time){0};
	return step_go_on(r, then);
}

/* Are those that take part as they should be? *ret_ill: one is not. */
static bool healthy(const struct scope *s, const struct environment_record *r, const struct answer *a,
                    const struct health_samples *samples, bool *ret_ill)
{
	bool all = true;
	for (uint32_t i = 0; i < r->members.n; i++) {
		const struct member *m = &r->members.v[i];
		if (!rollout_takes_part(r, m))
			continue;
		struct str state = rollout_target_state(a, m->instance);
		struct environment_record idle = *r;
		idle.operation = STR_NONE;
		const char *status = health_judge_member(s->arena, &idle, m, samples, s->now_ms).status;
		bool judged = health_enhanced(r) && (strcmp(status, "Degraded") == 0 || strcmp(status, "Severe") == 0);
		*ret_ill |= str_is(state, "unhealthy") || !m->answers.v || judged;
		all &= str_is(state, "healthy");
	}
	return all;
}

static struct next check(const struct scope *s, struct environment_record *r, const struct answer *a,
                         const struct health_samples *samples)
{
	bool ill = false;
	if (!r->until.set) {
		r->until = OPT_TIME(s->now_ms + step_patience_ms(r));
		return (struct next){.changed = true};
	}
	if (a->kind != ASK_OTHER_HEALTH)
		return step_ask_later(ASK_OTHER_HEALTH, 200);
	if (healthy(s, r, a, samples, &ill))
		return step_go_on(r, SPLIT);
	return s->now_ms < r->until.ms ? step_ask_later(ASK_OTHER_HEALTH, 200)
	                               : step_failed(s, r, S("The new instances did not pass health checks."));
}

static struct next evaluate(const struct scope *s, struct environment_record *r, const struct answer *a,
                            const struct health_samples *samples)
{
	bool ill = false;
	int64_t minutes = option_number(r, SPLITTING, "EvaluationTime");
	if (!r->until.set) {
		environment_event(
		        s, r, "INFO",
		        arena_printf(s->arena,
		                     "%lld%% of the traffic goes to the new version, which is evaluated for %lld minutes.",
		                     (long long)r->share.v, (long long)minutes));
		r->until = OPT_TIME(s->now_ms + minutes * MINUTE_MS);
		return (struct next){.changed = true};
	}
	if (a->kind != ASK_OTHER_HEALTH)
		return step_ask_later(ASK_OTHER_HEALTH, LOOK_MS);
	healthy(s, r, a, samples, &ill);
	if (ill || rollout_taking_part(r) < r->extra.v)
		return step_failed(
		        s, r, S("The new version did not pass its evaluation. All traffic goes back to the instances of before."));
	if (s->now_ms < r->until.ms)
		return rollout_pause(LOOK_MS);
	r->evaluated = OPT_BOOL(true);
	r->until = (struct opt_time){0};
	return step_go_on(r, JOIN);
}

/* Those of before have left the balancer: only then the new ones are all that its own targets are, whatever else changes about it.
 */
static struct next gone(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	bool drains = a->kind != ASK_HEALTH;
	if (!r->until.set) {
		r->until = OPT_TIME(s->now_ms + step_patience_ms(r));
		return (struct next){.changed = true};
	}
	for (uint32_t i = 0; i < a->all.n && !drains; i++)
		drains = !member_find(r, a->all.v[i]);
	if (drains && s->now_ms < r->until.ms)
		return step_ask_later(ASK_HEALTH, a->kind == ASK_HEALTH ? ROLLOUT_POLL_MS : 0);
	r->until = (struct opt_time){0};
	return step_go_on(r, UNSPLIT);
}

static struct next unsplit(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	if (r->share.set) {
		r->share = (struct opt_int){0};
		return (struct next){.changed = true, .ask = ASK_SHARES};
	}
	if (a->kind != ASK_SHARES)
		return step_ask(ASK_SHARES);
	if (str_set(a->code))
		return step_failed(s, r, a->message);
	return step_go_on(r, DROP_TARGETS);
}

static struct next drop_targets(struct environment_record *r, const struct answer *a)
{
	if (a->kind != ASK_DROP_OTHER_TARGETS)
		return step_ask(ASK_DROP_OTHER_TARGETS);
	if (str_set(a->code) && !is_gone(a))
		return step_ask_later(ASK_DROP_OTHER_TARGETS, ROLLOUT_POLL_MS);
	r->other_targets = STR_NONE;
	return step_go_on(r, DROP_GROUP);
}

/* --- they move in, and the others end */

static bool any_at(const struct environment_record *r, int64_t place)
{
	for (uint32_t i = 0; i < r->members.n; i++)
		if (r->members.v[i].place.v == place)
			return true;
	return false;
}

static void moved(struct environment_record *r, int64_t from, int64_t to)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < r->members.n && n < MEMBERS_MOVED_MAX; i++)
		if (r->members.v[i].place.v == from) {
			r->members.v[i].place = OPT_INT(to);
			n++;
		}
}

static struct next detach(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	if (a->kind == ASK_DETACH && (!str_set(a->code) || is_gone(a))) {
		moved(r, PLACE_OTHER, PLACE_NONE);
		return (struct next){.changed = true};
	}
	if (any_at(r, PLACE_OTHER))
		return step_ask_later(ASK_DETACH, a->kind == ASK_DETACH ? ROLLOUT_POLL_MS : 0);
	say(s, r, "Detached new instance(s) from temporary auto scaling group.");
	return step_go_on(r, ATTACH);
}

static struct next attach(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	/* one that is just leaving the other group is still part of that one */
	bool there =
	        str_find(a->message, S("already part of")) >= 0 && str_find(a->message, environment_scaling_name(s->arena, r)) >= 0;
	if (a->kind == ASK_ATTACH_MEMBERS && (!str_set(a->code) || there)) {
		moved(r, PLACE_NONE, PLACE_COMING);
		return (struct next){.changed = true};
	}
	if (any_at(r, PLACE_NONE))
		return step_ask_later(ASK_ATTACH_MEMBERS, a->kind == ASK_ATTACH_MEMBERS ? ROLLOUT_POLL_MS : 0);
	say(s, r, "Attached new instance(s) to the permanent auto scaling group.");
	say(s, r, "Deployment succeeded. Terminating old instances and temporary Auto Scaling group.");
	return step_go_on(r, OLD);
}

static struct next end_old(struct environment_record *r, const struct answer *a)
{
	const struct member *old = member_old(r);
	if (!old)
		return step_go_on(r, splits(r) ? GONE : DROP_GROUP);
	if (a->kind != ASK_DROP_OLD)
		return step_ask(ASK_DROP_OLD);
	if (str_set(a->code) && !is_gone(a))
		return step_ask_later(ASK_DROP_OLD, ROLLOUT_POLL_MS);
	uint32_t at = (uint32_t)(old - r->members.v);
	for (uint32_t i = at + 1; i < r->members.n; i++)
		r->members.v[i - 1] = r->members.v[i];
	r->members.n--;
	members_sum(r);
	return (struct next){.changed = true};
}

static struct next drop_group(struct environment_record *r, const struct answer *a)
{
	if (a->kind != ASK_DROP_OTHER_SCALING)
		return step_ask(ASK_DROP_OTHER_SCALING);
	if (str_set(a->code) && !is_gone(a))
		return step_ask_later(ASK_DROP_OTHER_SCALING, ROLLOUT_POLL_MS);
	r->temporary = OPT_BOOL(false);
	return step_go_on(r, SHRINK); /* the group gets its size again */
}

struct next immutable_step(const struct scope *s, struct environment_record *r, const struct answer *a,
                           const struct health_samples *samples)
{
	switch (r->step.v) {
	case MAKE_GROUP:
		return make_group(s, r, a);
	case WAIT:
		return wait(s, r);
	case MORE:
		return more(s, r, a);
	case MAKE_TARGETS:
		return make_targets(s, r, a);
	case FILL_TARGETS:
		return fill_targets(r, a);
	case LISTEN:
		return share(s, r, a, 0, CHECK);
	case CHECK:
		return check(s, r, a, samples);
	case SPLIT:
		return share(s, r, a, option_number(r, SPLITTING, "NewVersionPercent"), EVALUATE);
	case EVALUATE:
		return evaluate(s, r, a, samples);
	case GONE:
		return gone(s, r, a);
	case UNSPLIT:
		return unsplit(s, r, a);
	case DROP_TARGETS:
		return drop_targets(r, a);
	case ROOM:
		if (a->kind != ASK_ROOM)
			return step_ask(ASK_ROOM);
		return str_set(a->code) ? step_failed(s, r, a->message) : step_go_on(r, DETACH);
	case DETACH:
		return detach(s, r, a);
	case ATTACH:
		return attach(s, r, a);
	case OLD:
		return end_old(r, a);
	default:
		return drop_group(r, a);
	}
}

/* --- the way back */

/* Out of the balancer, and nobody's request is with them any more. */
static bool leave(struct environment_record *r, const struct answer *a, struct next *ret)
{
	bool any = false, drains = false;
	for (uint32_t i = 0; i < r->members.n; i++) {
		struct member *m = &r->members.v[i];
		if (m->place.v != PLACE_OTHER)
			continue;
		if (m->phase.v == PHASE_IN || m->phase.v == PHASE_JOIN)
			m->phase = OPT_INT(PHASE_OUT);
		any |= m->phase.v == PHASE_OUT;
		drains |= m->phase.v == PHASE_WORK && (a->kind != ASK_HEALTH || str_set(rollout_target_state(a, m->instance)));
	}
	if (any && a->kind == ASK_DEREGISTER) {
		rollout_move(r, PHASE_OUT, PHASE_WORK);
		*ret = (struct next){.changed = true};
	} else if (any) {
		*ret = (struct next){.changed = true, .ask = ASK_DEREGISTER};
	} else if (drains) {
		*ret = step_ask_later(ASK_HEALTH, ROLLOUT_POLL_MS);
	}
	return any || drains;
}

bool immutable_tidy(struct environment_record *r, const struct answer *a, struct next *ret)
{
	if (!r->temporary.v)
		return false;
	if (str_set(r->other_targets) && (r->share.set || a->kind == ASK_SHARES)) {
		r->share = (struct opt_int){0};
		*ret = (struct next){.changed = true, .ask = ASK_SHARES};
		if (a->kind == ASK_SHARES && !str_set(a->code))
			*ret = step_ask(ASK_DROP_OTHER_TARGETS);
		else if (a->kind == ASK_SHARES)
			*ret = step_ask_later(ASK_SHARES, ROLLOUT_POLL_MS);
	} else if (str_set(r->other_targets)) {
		*ret = step_ask_later(ASK_DROP_OTHER_TARGETS, a->kind == ASK_DROP_OTHER_TARGETS ? ROLLOUT_POLL_MS : 0);
		if (a->kind == ASK_DROP_OTHER_TARGETS && (!str_set(a->code) || is_gone(a))) {
			r->other_targets = STR_NONE;
			*ret = (struct next){.changed = true};
		}
	} else if (!leave(r, a, ret)) {
		*ret = step_ask_later(ASK_DROP_OTHER_SCALING, a->kind == ASK_DROP_OTHER_SCALING ? ROLLOUT_POLL_MS : 0);
		if (a->kind == ASK_DROP_OTHER_SCALING && (!str_set(a->code) || is_gone(a))) {
			members_leave_other(r);
			r->temporary = OPT_BOOL(false);
			*ret = (struct next){.changed = true};
		}
	}
	return true;
}

/* What an instance refresh does next.
 *
 * Members that are to go are marked when it begins, `old`. Up to the least healthy percentage some of them end, and the group
 * launches others in their places as it does anyway; above a hundred percent others are launched first, and old ones end when those
 * are warm. A member is new until its warm-up is over. Checkpoints, and the bake time at the end, are waits. */
#include "hooks.h"
#include "refresh.h"
#include "replace.h"
#include "traffic.h"

#include "aws/cloudwatch/cloudwatch.h"

enum { STUCK_MS = 3600 * 1000 };

static int64_t warmup_ms(const struct state_autoscaling_group_record *r)
{
	const struct autoscaling_refresh_preferences *p = r->refresh->preferences;
	return 1000 * (p->instance_warmup.set                  ? p->instance_warmup.v
	               : r->group->default_instance_warmup.set ? r->group->default_instance_warmup.v
	                                                       : r->group->health_check_grace_period.v);
}

static bool cold(struct step *t, const struct state_autoscaling_member *m)
{
	int64_t warm_ms = m->in_service.ms + warmup_ms(t->r);
	if (!member_in(m, "InService") || m->old.v || m->in_service.ms < t->r->refresh->start_time.ms || warm_ms <= t->s->now_ms)
		return false;
	step_wake(t, warm_ms);
	return true;
}

int64_t refresh_cold(struct step *t)
{
	int64_t n = 0;
	for (uint32_t i = 0; refresh_replaces(t->r) && i < t->r->members.n; i++)
		if (cold(t, &t->r->members.v[i]))
			n += member_weight(&t->r->members.v[i]);
	return n;
}

void refresh_mark(const struct scope *s, struct state_autoscaling_group_record *r)
{
	const struct autoscaling_refresh_preferences *p = r->refresh->preferences;
	bool back = str_is(r->refresh->status, "RollbackInProgress");
	int64_t old = 0;
	for (uint32_t i = 0; i < r->members.n; i++) {
		struct state_autoscaling_member *m = &r->members.v[i];
		bool standby = member_in(m, "Standby");
		/* launches that are under way too: what they are of was decided before */
		bool goes = (member_counts(m) || standby || member_warm(m)) && !member_ends(m);
		if ((p->skip_matching.v || back) && scaling_current(s, r, m))
			goes = false;
		if ((m->protected.v && str_is(p->scale_in_protected_instances, "Ignore")) ||
		    (standby && str_is(p->standby_instances, "Ignore")))
			goes = false;
		m->old = OPT_BOOL(goes);
		old += goes && !member_warm(m);
	}
	r->refresh_total = OPT_INT(old);
	r->refresh_passed = OPT_INT(0);
	r->refreshing = OPT_INT(0);
	r->refresh_moved_at = OPT_TIME(s->now_ms);
	r->refresh->instances_to_update = OPT_INT(old);
	r->refresh->percentage_complete = OPT_INT(0);
}

void refresh_end(const struct scope *s, struct state_autoscaling_group_record *r, const char *status, struct str reason)
{
	struct autoscaling_instance_refresh *f = r->refresh;
	bool done = str_is(str_from(status), "Successful");
	f->status = str_from(status);
	f->status_reason = reason;
	f->end_time = OPT_TIME(s->now_ms);
	if (done && f->desired_configuration) {
		r->group->launch_template = f->desired_configuration->launch_template;
		r->group->mixed_instances_policy = f->desired_configuration->mixed_instances_policy;
		r->group->launch_configuration_name = STR_NONE;
	}
	struct state_autoscaling_refresh_record over = {.refresh = f};
	record_put(
	        s->txn, s->arena,
	        scaling_key(s, "refresh", r->group->auto_scaling_group_name,
	                    arena_printf(s->arena, "%016lld %.*s", (long long)f->start_time.ms, STR_ARG(f->instance_refresh_id))),
	        &refresh_row, &over);
	r->refresh = NULL;
	r->refresh_until = r->refresh_moved_at = (struct opt_time){0};
	r->refresh_total = r->refresh_passed = r->refreshing = (struct opt_int){0};
	for (uint32_t i = 0; i < r->members.n; i++)
		r->members.v[i].old = (struct opt_bool){0};
}

void refresh_turn_back(const struct scope *s, struct state_autoscaling_group_record *r, struct str reason)
{
	struct autoscaling_instance_refresh *f = r->refresh;
	f->rollback_details = arena_new(s->arena, struct autoscaling_rollback_details);
	*f->rollback_details = (struct autoscaling_rollback_details){.rollback_reason = reason,
	                                                             .rollback_start_time = OPT_TIME(s->now_ms),
	                                                             .percentage_complete_on_rollback = f->percentage_complete,
	                                                             .instances_to_update_on_rollback = f->instances_to_update};
	f->status = S("RollbackInProgress");
	f->status_reason = reason;
	r->refresh_until = (struct opt_time){0};
	refresh_mark(s, r);
}

static void fail(struct step *t, struct str reason)
{
	struct autoscaling_instance_refresh *f = t->r->refresh;
	if (str_is(f->status, "RollbackInProgress"))
		refresh_end(t->s, t->r, "RollbackFailed", reason);
	else if (f->preferences->auto_rollback.v)
		refresh_turn_back(t->s, t->r, reason);
	else
		refresh_end(t->s, t->r, "Failed", reason);
}

static bool alarmed(struct step *t)
{
	const struct autoscaling_alarm_specification *a = t->r->refresh->preferences->alarm_specification;
	for (uint32_t i = 0; a && !str_is(t->r->refresh->status, "RollbackInProgress") && i < a->alarms.n; i++) {
		struct cloudwatch_alarm_seen seen;
		cloudwatch_see_alarm(t->s->txn, t->s->arena, t->s->account, t->s->region, a->alarms.v[i], &seen);
		if (seen.alarm) {
			fail(t, arena_printf(t->s->arena, "The CloudWatch alarm %.*s is in the ALARM state.",
			                     STR_ARG(a->alarms.v[i])));
			return true;
		}
	}
	return false;
}

/* --- counting */

struct view {
	int64_t old, healthy, moving; /* moving: members that come, warm up or go */
	bool held;                    /* old ones are left that must not be touched */
};

static bool may_end(const struct state_autoscaling_group_record *r, const struct state_autoscaling_member *m)
{
	const struct autoscaling_refresh_preferences *p = r->refresh->preferences;
	if (member_in(m, "Standby"))
		return str_is(p->standby_instances, "Terminate");
	return member_in(m, "InService") && (!m->protected.v || str_is(p->scale_in_protected_instances, "Refresh"));
}

static struct view look(struct step *t)
{
	struct view v = {0};
	for (uint32_t i = 0; i < t->r->members.n; i++) {
		const struct state_autoscaling_member *m = &t->r->members.v[i];
		if (member_warm(m))
			continue;
		bool is_cold = cold(t, m);
		v.moving += member_begins(m) || member_ends(m) || is_cold;
		v.healthy += member_in(m, "InService") && !is_cold && !str_set(m->unhealthy) ? member_weight(m) : 0;
		if (!m->old.v || member_ends(m) || member_in(m, "Detaching"))
			continue;
		v.old++;
		v.held |= !may_end(t->r, m) && !member_begins(m);
	}
	return v;
}

/* The percentage of now; a checkpoint that is reached with it begins its wait. */
static void progress(struct step *t, int64_t old)
{
	struct autoscaling_instance_refresh *f = t->r->refresh;
	const struct autoscaling_checkpoint_percentages *at = &f->preferences->checkpoint_percentages;
	int64_t total = t->r->refresh_total.v, done = total > old ? total - old : 0;
	int64_t percent = total ? done * 100 / total : 100;
	if (f->instances_to_update.v != old)
		t->r->refresh_moved_at = OPT_TIME(t->s->now_ms);
	f->instances_to_update = OPT_INT(old);
	f->percentage_complete = OPT_INT(percent);
	uint32_t passed = (uint32_t)t->r->refresh_passed.v;
	if (str_is(f->status, "InProgress") && passed < at->n && percent >= at->v[passed].v) {
		while (passed < at->n && percent >= at->v[passed].v)
			passed++;
		t->r->refresh_passed = OPT_INT(passed);
		t->r->refresh_until = OPT_TIME(t->s->now_ms + f->preferences->checkpoint_delay.v * 1000);
		f->status_reason = arena_printf(t->s->arena, "Waiting for the checkpoint at %lld percent to be over.",
		                                (long long)at->v[passed - 1].v);
	}
}

/* --- replacing */

static struct state_autoscaling_member *next_old(struct step *t)
{
	struct state_autoscaling_member *best = NULL;
	for (uint32_t i = 0; i < t->r->members.n; i++) {
		struct state_autoscaling_member *m = &t->r->members.v[i];
		if (!m->old.v || !may_end(t->r, m))
			continue;
		if (!best || (str_set(m->unhealthy) && !str_set(best->unhealthy)) ||
		    (str_set(m->unhealthy) == str_set(best->unhealthy) && m->launched.ms < best->launched.ms))
			best = m;
	}
	return best;
}

static void end_old(struct step *t, int64_t most)
{
	struct state_autoscaling_member *m;
	while (most-- > 0 && (m = next_old(t)) != NULL) {
		bool counts = member_counts(m);
		step_terminate(t->s, t->r, m,
		               arena_printf(t->s->arena,
		                            "At %.*s an instance was taken out of service in response to an instance refresh.",
		                            STR_ARG(scaling_time(t->s->arena, t->s->now_ms))));
		if (traffic_left(t, m) && hooks_passed(t, m))
			step_act(t, ACT_TERMINATE, m);
		if (counts)
			t->r->refreshing = OPT_INT(t->r->refreshing.v + 1);
	}
}

static void end_warm(struct step *t)
{
	for (uint32_t i = 0; i < t->r->members.n; i++) {
		struct state_autoscaling_member *m = &t->r->members.v[i];
		if (m->old.v && member_warm(m) && !member_ends(m) && str_set(m->id))
			step_terminate(
			        t->s, t->r, m,
			        arena_printf(
			                t->s->arena,
			                "At %.*s an instance was taken out of the warm pool in response to an instance refresh.",
			                STR_ARG(scaling_time(t->s->arena, t->s->now_ms))));
	}
}

static void replace(struct step *t, const struct view *v)
{
	const struct autoscaling_refresh_preferences *p = t->r->refresh->preferences;
	int64_t desired = t->r->group->desired_capacity.v;
	const struct replace_share share = {p->min_healthy_percentage.v, p->max_healthy_percentage.v};
	int64_t have = scaling_capacity(t->r), most = replace_most(t->r, share), spare = v->healthy - replace_least(t->r, share);
	if (most <= desired) {
		if (spare < 1 && !v->moving)
			spare = 1; /* one at a time can always go */
		end_old(t, spare);
		return;
	}
	/* Others first; old ones go when there are more warm ones than wanted. */
	end_old(t, v->healthy - desired);
	struct places all = scaling_places(t->s, t->r->group);
	struct str cause = arena_printf(t->s->arena, "At %.*s an instance was launched in response to an instance refresh.",
	                                STR_ARG(scaling_time(t->s->arena, t->s->now_ms)));
	int64_t coming = have - v->healthy; /* each of which lets one old go */
	for (int64_t n = v->old - coming; n > 0 && have < most; n--, have++) {
		int at = balance_place(t, &all);
		if (scaling_suspended(t->r, "Launch") || t->r->not_before.ms > t->s->now_ms || at < 0 ||
		    !step_launch(t, &all, at, cause, true))
			return;
	}
}

static void finish(struct step *t)
{
	struct autoscaling_instance_refresh *f = t->r->refresh;
	if (str_is(f->status, "RollbackInProgress")) {
		refresh_end(t->s, t->r, "RollbackSuccessful", f->rollback_details->rollback_reason);
		return;
	}
	if (str_is(f->status, "InProgress") && f->preferences->bake_time.v) {
		f->status = S("Baking");
		f->status_reason = S("Waiting for the bake time to be over.");
		t->r->refresh_until = OPT_TIME(t->s->now_ms + f->preferences->bake_time.v * 1000);
		step_wake(t, t->r->refresh_until.ms);
		return;
	}
	refresh_end(t->s, t->r, "Successful", STR_NONE);
}

void refresh_step(struct step *t)
{
	struct autoscaling_instance_refresh *f = t->r->refresh;
	if (!f)
		return;
	if (t->r->deleting.v) {
		refresh_end(t->s, t->r, "Cancelled", S("Cancelled because the Auto Scaling group is being deleted"));
		return;
	}
	if (scaling_suspended(t->r, "InstanceRefresh") || alarmed(t))
		return;
	if (str_is(f->status, "Pending"))
		f->status = S("InProgress");
	struct view v = look(t);
	if (str_is(f->status, "Cancelling")) {
		if (!v.moving)
			refresh_end(t->s, t->r, "Cancelled", S("Cancelled by user"));
		return;
	}
	if (refresh_replaces(t->r))
		progress(t, v.old);
	if (t->r->refresh_until.ms > t->s->now_ms) {
		step_wake(t, t->r->refresh_until.ms);
		return;
	}
	end_warm(t);
	if (!v.old && !v.moving && scaling_capacity(t->r) == t->r->group->desired_capacity.v) {
		finish(t);
		return;
	}
	if (!refresh_replaces(t->r))
		return; /* baking, and something is replaced by and by */
	int64_t stuck = t->r->refresh_moved_at.ms + STUCK_MS + warmup_ms(t->r);
	if (t->s->now_ms >= stuck) {
		fail(t, v.held ? S("Instances that are protected from scale in or in standby did not become available for an hour.")
		               : S("No progress was made for an hour."));
		return;
	}
	step_wake(t, stuck);
	f->status_reason = v.held && !v.moving ? S("Waiting for instances that are protected from scale in or in standby.")
	                   : v.moving          ? S("Waiting for instances to warm up before continuing.")
	                                       : STR_NONE;
	if (!scaling_suspended(t->r, "Terminate"))
		replace(t, &v);
}

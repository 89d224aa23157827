#include "step.h"

#include "base/id.h"
#include "hooks.h"
#include "refresh.h"
#include "replace.h"
#include "schedule.h"
#include "traffic.h"
#include "warm.h"

enum { LAUNCHES_MAX = 20, RETRY_MS = 15 * 1000, RETRY_MOST_MS = 15 * 60 * 1000, ZONE_BAD_MS = 5 * 60 * 1000 };

void step_wake(struct step *t, int64_t at_ms)
{
	if (!t->wake_ms || at_ms < t->wake_ms)
		t->wake_ms = at_ms;
}

static struct str now_text(const struct scope *s)
{
	return scaling_time(s->arena, s->now_ms);
}

void step_act(struct step *t, enum act_kind kind, const struct state_autoscaling_member *m)
{
	*LIST_ADD(t->s->arena, &t->acts) = (struct act){.kind = kind, .slot = m->slot, .id = m->id, .request = m->request};
}

static void remove_member(struct state_autoscaling_group_record *r, uint32_t at)
{
	memmove(&r->members.v[at], &r->members.v[at + 1], (r->members.n - at - 1) * sizeof(*r->members.v));
	r->members.n--;
}

static bool gone(const struct ec2_seen *e)
{
	return !e->there || str_is(e->state, "terminated");
}

static bool down(const struct ec2_seen *e)
{
	return !str_is(e->state, "running") && !str_is(e->state, "pending");
}

/* --- launches */

static struct state_autoscaling_member *slot_of(struct state_autoscaling_group_record *r, struct str slot)
{
	for (uint32_t i = 0; i < r->members.n; i++)
		if (str_eq(r->members.v[i].slot, slot))
			return &r->members.v[i];
	return NULL;
}

void step_launched(const struct scope *s, struct state_autoscaling_group_record *r, struct str slot, struct str id)
{
	struct state_autoscaling_member *m = slot_of(r, slot);
	struct ec2_seen e;
	if (!m || str_set(m->id))
		return;
	ec2_see_instance(s->txn, s->arena, s->account, s->region, id, &e);
	m->id = arena_dup(s->arena, id); /* the news goes before EC2 is asked */
	m->request = STR_NONE;
	m->launched = OPT_TIME(e.there ? e.launched_ms : s->now_ms);
	if (e.there) {
		m->type = e.type;
		m->zone = e.zone;
		m->subnet = e.subnet;
		m->image = e.image;
	}
	scaling_note_member(s, id, r->group->auto_scaling_group_name);
	scaling_activity_say(s, r, m, ARENA_CAT(s->arena, S("Launching a new EC2 instance: "), id), "PreInService", 30, STR_NONE);
	hooks_begin(s, r, m);
}

/* A launch that did not come about is tried again, elsewhere at once where there is another zone, else later and later. */
static void launch_lost(const struct scope *s, struct state_autoscaling_group_record *r, struct str zone, bool of_zone)
{
	int64_t after = RETRY_MS;
	r->failures = OPT_INT(r->failures.v + 1);
	for (int64_t i = 1; i < r->failures.v && after < RETRY_MOST_MS; i++)
		after *= 2;
	after = after > RETRY_MOST_MS ? RETRY_MOST_MS : after;
	if (of_zone) {
		*LIST_ADD(s->arena, &r->bad_zones) =
		        (struct state_autoscaling_zone_failure){.zone = zone, .until = OPT_TIME(s->now_ms + ZONE_BAD_MS)};
		struct places all = scaling_places(s, r->group);
		for (uint32_t i = 0; i < all.n; i++) {
			bool bad = false;
			for (uint32_t k = 0; k < r->bad_zones.n; k++)
				bad |= str_eq(r->bad_zones.v[k].zone, all.v[i].zone);
			if (!bad)
				return;
		}
	}
	r->not_before = OPT_TIME(s->now_ms + after);
}

void step_launch_failed(const struct scope *s, struct state_autoscaling_group_record *r, struct str slot, struct str code,
                        struct str message)
{
	struct state_autoscaling_member *m = slot_of(r, slot);
	if (!m || str_set(m->id))
		return;
	struct str what = ARENA_CAT(s->arena, message, S(". Launching EC2 instance failed."));
	if (message.n && message.p[message.n - 1] == '.')
		what = ARENA_CAT(s->arena, message, S(" Launching EC2 instance failed."));
	scaling_activity_say(s, r, m, ARENA_CAT(s->arena, S("Launching a new EC2 instance.  Status Reason: "), what), "Failed", 100,
	                     what);
	launch_lost(s, r, m->zone, str_is(code, "InsufficientInstanceCapacity") || str_is(code, "Unsupported"));
	remove_member(r, (uint32_t)(m - r->members.v));
}

bool step_launch_as(struct step *t, const struct places *all, int at, struct str cause, bool extra, const char *state)
{
	struct state_autoscaling_group_record *r = t->r;
	struct state_autoscaling_member m = {.slot = id_uuid(t->s->arena),
	                                     .state = str_from(state),
	                                     .extra = OPT_BOOL(extra),
	                                     .protected = OPT_BOOL(r->group->new_instances_protected_from_scale_in.v)};
	struct str why;
	if (!scaling_prepare(t->s, r, &all->v[at], &m, &why)) {
		struct str what = ARENA_CAT(t->s->arena, why, S(" Launching EC2 instance failed."));
		scaling_activity_refused(t->s, r, ARENA_CAT(t->s->arena, S("Launching a new EC2 instance.  Status Reason: "), what),
		                         cause, "Failed", what);
		launch_lost(t->s, r, m.zone, false);
		return false;
	}
	scaling_activity_begin(t->s, r, &m, S("Launching a new EC2 instance"), cause,
	                       m.spot.v ? "PendingSpotBidPlacement" : "WaitingForInstanceId");
	*LIST_ADD(t->s->arena, &r->members) = m;
	step_act(t, ACT_LAUNCH, &m);
	return true;
}

/* --- ends */

void step_terminate(const struct scope *s, struct state_autoscaling_group_record *r, struct state_autoscaling_member *m,
                    struct str cause)
{
	if (member_begins(m) || str_starts(m->state, S("Warmed:Pending"))) /* its launch ends with it */
		scaling_activity_say(s, r, m, STR_NONE, "Cancelled", 100, STR_NONE);
	m->state = member_warm(m) ? S("Warmed:Terminating") : S("Terminating");
	m->extra = m->starting = m->returning = m->leads = (struct opt_bool){0};
	m->leaving = STR_NONE;
	scaling_activity_begin(s, r, m, ARENA_CAT(s->arena, S("Terminating EC2 instance: "), m->id), cause, "InProgress");
	hooks_begin(s, r, m);
}

void step_abandoned(struct step *t, struct state_autoscaling_member *m)
{
	launch_lost(t->s, t->r, m->zone, false);
	scaling_activity_begin(t->s, t->r, m, ARENA_CAT(t->s->arena, S("Terminating EC2 instance: "), m->id),
	                       arena_printf(t->s->arena,
	                                    "At %.*s an instance was taken out of service in response to a launch failure.",
	                                    STR_ARG(now_text(t->s))),
	                       "InProgress");
}

static void is_unhealthy(struct step *t, struct state_autoscaling_member *m, bool lost)
{
	struct str cause = arena_printf(t->s->arena, "At %.*s an instance was taken out of service in response to %.*s.",
	                                STR_ARG(now_text(t->s)), STR_ARG(m->unhealthy));
	if (scaling_suspended(t->r, "ReplaceUnhealthy") || scaling_suspended(t->r, "Terminate") || (!lost && replace_later(t, m)))
		return;
	if (!replace_lost(t, m))
		t->r->replacing = OPT_INT(t->r->replacing.v + 1);
	step_terminate(t->s, t->r, m, cause);
}

/* --- one member. False: it is gone. */

static void in_service(struct step *t, struct state_autoscaling_member *m)
{
	m->state = S("InService");
	m->in_service = OPT_TIME(t->s->now_ms);
	m->extra = (struct opt_bool){0};
	m->attached = m->starting = (struct opt_bool){0};
	t->r->failures = (struct opt_int){0};
	scaling_activity_say(t->s, t->r, m, STR_NONE, "Successful", 100, STR_NONE);
}

static bool tagged(const struct step *t, const struct ec2_seen *e)
{
	struct str group = str_map_get(&e->tags, S("aws:autoscaling:groupName"));
	return str_set(group) && str_eq(group, t->r->group->auto_scaling_group_name);
}

static void begins(struct step *t, struct state_autoscaling_member *m, const struct ec2_seen *e)
{
	if (m->starting.v && str_is(e->state, "stopped")) { /* out of the warm pool */
		step_act(t, ACT_START, m);
		return;
	}
	if (!e->there || (down(e) && !(m->starting.v && str_is(e->state, "stopping")))) {
		struct str why = arena_printf(t->s->arena,
		                              "Instance became unhealthy while waiting for instance to be in InService state. "
		                              "Termination Reason: %.*s",
		                              STR_ARG(e->reason.n ? e->reason : S("unknown")));
		scaling_activity_say(t->s, t->r, m, STR_NONE, "Failed", 100, why);
		launch_lost(t->s, t->r, m->zone, false);
		m->state = S("Terminating");
		m->waits.n = 0;
		scaling_activity_begin(
		        t->s, t->r, m, ARENA_CAT(t->s->arena, S("Terminating EC2 instance: "), m->id),
		        arena_printf(t->s->arena,
		                     "At %.*s an instance was taken out of service in response to an EC2 health check "
		                     "indicating it has been terminated or stopped.",
		                     STR_ARG(now_text(t->s))),
		        "InProgress");
		return;
	}
	if (m->attached.v && !tagged(t, e))
		step_act(t, ACT_TAG, m);
	else if (str_is(e->state, "running") && hooks_passed(t, m))
		in_service(t, m);
}

static void serves(struct step *t, struct state_autoscaling_member *m, const struct ec2_seen *e)
{
	int64_t grace = m->in_service.ms + t->r->group->health_check_grace_period.v * 1000;
	if (!str_set(m->unhealthy) && !scaling_suspended(t->r, "HealthCheck")) {
		int64_t late = e->impaired_ms > grace ? e->impaired_ms : grace;
		if (!e->there || down(e))
			m->unhealthy = S("an EC2 health check indicating it has been terminated or stopped");
		else if (e->impaired_ms && t->s->now_ms >= late)
			m->unhealthy = S("EC2 instance status checks failure");
		else if (e->impaired_ms)
			step_wake(t, late);
	}
	if (traffic_serves(t, m) && !str_set(m->unhealthy) && !scaling_suspended(t->r, "HealthCheck")) {
		if (t->s->now_ms >= grace)
			m->unhealthy = S("an ELB system health check failure");
		else
			step_wake(t, grace);
	}
	if (str_set(m->unhealthy))
		is_unhealthy(t, m, !e->there || down(e));
}

static bool ends(struct step *t, struct state_autoscaling_member *m, const struct ec2_seen *e)
{
	if (gone(e)) {
		scaling_activity_say(t->s, t->r, m, STR_NONE, "Successful", 100, STR_NONE);
		scaling_forget_member(t->s, m->id);
		return false;
	}
	bool left = down(e) || traffic_left(t, m);
	if (str_is(e->state, "shutting-down") || !hooks_passed(t, m))
		return true;
	if (!left) {
		scaling_activity_say(t->s, t->r, m, STR_NONE, "WaitingForELBConnectionDraining", 50, STR_NONE);
		return true;
	}
	if (m->returning.v)
		warm_returned(t, m);
	else
		step_act(t, ACT_TERMINATE, m);
	return true;
}

static bool member_step(struct step *t, struct state_autoscaling_member *m, const struct ec2_seen *e)
{
	if (!str_set(m->id)) {
		step_act(t, ACT_LAUNCH, m);
		return true;
	}
	if (member_warm(m) && !member_ends(m))
		warm_member_step(t, m, e);
	else if (member_begins(m))
		begins(t, m, e);
	else if (member_in(m, "InService"))
		serves(t, m, e);
	if (member_ends(m))
		return ends(t, m, e);
	if (member_in(m, "Standby") && !down(e))
		traffic_left(t, m);
	if (!member_in(m, "Detaching"))
		return true;
	if (!gone(e) && !traffic_left(t, m))
		return true;
	if (!gone(e) && tagged(t, e)) {
		step_act(t, ACT_UNTAG, m);
		return true;
	}
	scaling_activity_say(t->s, t->r, m, STR_NONE, "Successful", 100, STR_NONE);
	scaling_forget_member(t->s, m->id);
	return false;
}

/* --- the capacity */

static unsigned begun(const struct state_autoscaling_group_record *r, bool extras)
{
	unsigned n = 0;
	for (uint32_t i = 0; i < r->members.n; i++)
		n += extras ? r->members.v[i].extra.v : !str_set(r->members.v[i].id);
	return n;
}

static void grow(struct step *t, const struct places *all, int64_t have, int64_t desired)
{
	struct str cause =
	        arena_printf(t->s->arena,
	                     "%.*sAt %.*s an instance was started in response to a difference between desired and actual "
	                     "capacity, increasing the capacity from %lld to %lld.",
	                     STR_ARG(t->r->reason), STR_ARG(now_text(t->s)), (long long)have, (long long)desired);
	struct str replaces = arena_printf(t->s->arena,
	                                   "At %.*s an instance was launched in response to an unhealthy instance needing to be "
	                                   "replaced.",
	                                   STR_ARG(now_text(t->s)));
	struct str renews =
	        arena_printf(t->s->arena, "At %.*s an instance was launched in response to an instance needing to be replaced.",
	                     STR_ARG(now_text(t->s)));
	struct str refreshes = arena_printf(t->s->arena, "At %.*s an instance was launched in response to an instance refresh.",
	                                    STR_ARG(now_text(t->s)));
	while (have < desired && begun(t->r, false) < LAUNCHES_MAX) {
		if (warm_take(t, cause)) {
			have++;
			continue;
		}
		int at = balance_place(t, all);
		bool replacement = t->r->replacing.v > 0;
		bool refreshed = !replacement && t->r->refreshing.v > 0,
		     renewed = !replacement && !refreshed && t->r->renewing.v > 0;
		struct str why = replacement ? replaces : refreshed ? refreshes : renewed ? renews : cause;
		if (at < 0 || !step_launch(t, all, at, why, false))
			return;
		if (renewed)
			t->r->renewing = OPT_INT(t->r->renewing.v - 1);
		if (refreshed)
			t->r->refreshing = OPT_INT(t->r->refreshing.v - 1);
		if (replacement)
			t->r->replacing = OPT_INT(t->r->replacing.v - 1);
		have += member_weight(&t->r->members.v[t->r->members.n - 1]);
	}
	if (have >= desired)
		t->r->reason = STR_NONE;
}

static void shrink(struct step *t, int64_t have, int64_t desired)
{
	int64_t from = have;
	while (have > desired) {
		struct state_autoscaling_member *m = balance_victim(t);
		if (!m || have - member_weight(m) < desired)
			return;
		have -= member_weight(m);
		struct str cause =
		        str_set(m->leaving)
		                ? replace_cause(t->s, m)
		                : arena_printf(
		                          t->s->arena,
		                          "%.*sAt %.*s an instance was taken out of service in response to a difference between desired "
		                          "and actual capacity, shrinking the capacity from %lld to %lld.  At %.*s instance %.*s was "
		                          "selected for termination.",
		                          STR_ARG(t->r->reason), STR_ARG(now_text(t->s)), (long long)from, (long long)desired,
		                          STR_ARG(now_text(t->s)), STR_ARG(m->id));
		if (!str_set(m->leaving) && warm_give(t, m, cause))
			continue;
		step_terminate(t->s, t->r, m, cause);
		if (traffic_left(t, m) && hooks_passed(t, m))
			step_act(t, ACT_TERMINATE, m);
	}
	t->r->reason = STR_NONE;
}

/* Beyond the greatest size by a tenth, or as the maintenance policy says: where that allows no more than wanted, one goes first. */
static void rebalance(struct step *t, const struct places *all, int64_t have)
{
	const struct autoscaling_instance_maintenance_policy *p = t->r->group->instance_maintenance_policy;
	int64_t max = t->r->group->max_size.v, more = max / 10 > 1 ? max / 10 : 1;
	struct replace_share share = replace_share_of(t->r, 100, 110);
	int64_t most = p ? replace_most(t->r, share) : max + more;
	bool first = have + 1 <= most;
	struct str zones;
	if (scaling_suspended(t->r, "AZRebalance") || scaling_suspended(t->r, "Launch") || scaling_suspended(t->r, "Terminate") ||
	    (!first && !p) || t->r->not_before.ms > t->s->now_ms)
		return;
	for (uint32_t i = 0; i < t->r->members.n; i++)
		if (member_ends(&t->r->members.v[i]))
			return;
	int at = balance_wanted(t, all, &zones);
	struct state_autoscaling_member *m = at >= 0 && !first ? balance_victim(t) : NULL;
	if (m)
		step_terminate(t->s, t->r, m,
		               arena_printf(t->s->arena,
		                            "At %.*s an instance was taken out of service to balance instances in zones %.*s with "
		                            "other zones resulting in more than desired number of instances in the group.",
		                            STR_ARG(now_text(t->s)), STR_ARG(zones)));
	else if (at >= 0 && first)
		step_launch(
		        t, all, at,
		        arena_printf(
		                t->s->arena,
		                "At %.*s instances were launched to balance instances in zones %.*s with other zones resulting in more "
		                "than desired number of instances in the group.",
		                STR_ARG(now_text(t->s)), STR_ARG(zones)),
		        true);
}

static void capacity(struct step *t)
{
	struct places all = scaling_places(t->s, t->r->group);
	int64_t have = scaling_capacity(t->r), desired = t->r->group->desired_capacity.v;
	int64_t extra = begun(t->r, true);
	if (have - extra < desired) {
		if (scaling_suspended(t->r, "Launch"))
			return;
		if (t->r->not_before.ms > t->s->now_ms)
			step_wake(t, t->r->not_before.ms);
		else
			grow(t, &all, have - extra, desired);
		return;
	}
	t->r->replacing = t->r->refreshing = t->r->renewing = (struct opt_int){0};
	int64_t kept = have - extra > desired ? refresh_cold(t) + replace_cold(t) : 0; /* others go when these are warm */
	if (have - extra > desired + kept) {
		if (!scaling_suspended(t->r, "Terminate"))
			shrink(t, have - extra, desired + kept);
	} else {
		t->r->reason = STR_NONE;
		t->r->alarms = STR_NONE;
		if (!extra && !kept && !refresh_replaces(t->r) && !replace_waits(t->r))
			rebalance(t, &all, have);
	}
}

static void cooling(struct step *t)
{
	if (!t->r->cooling.set)
		return;
	for (uint32_t i = 0; i < t->r->members.n; i++)
		if (member_begins(&t->r->members.v[i]) || member_ends(&t->r->members.v[i]))
			return;
	t->r->cooldown_until = OPT_TIME(t->s->now_ms + t->r->cooling.v * 1000);
	t->r->cooling = (struct opt_int){0};
}

void step_run(struct step *t)
{
	struct state_autoscaling_zone_failures *bad = &t->r->bad_zones;
	uint32_t left = 0;
	for (uint32_t i = 0; i < bad->n; i++) {
		if (bad->v[i].until.ms <= t->s->now_ms)
			continue;
		step_wake(t, bad->v[i].until.ms);
		bad->v[left++] = bad->v[i];
	}
	bad->n = left;
	schedule_step(t);
	for (uint32_t i = 0; i < t->r->members.n;) {
		struct ec2_seen e = {0};
		struct state_autoscaling_member *m = &t->r->members.v[i];
		if (str_set(m->id))
			ec2_see_instance(t->s->txn, t->s->arena, t->s->account, t->s->region, m->id, &e);
		if (member_step(t, m, &e))
			i++;
		else
			remove_member(t->r, i);
	}
	traffic_step(t);
	replace_step(t);
	refresh_step(t);
	capacity(t);
	warm_pool_step(t);
	cooling(t);
	t->over = t->r->deleting.v && !t->r->members.n;
}

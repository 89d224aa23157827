/* Who is to be replaced is marked with the reason (`leaving`), and keeps serving. Where more members than wanted are allowed,
 * others are launched first, beyond the desired capacity; when these serve, the capacity is too great, and who is marked goes
 * first. Where not, marked ones end as far as the least healthy percentage allows, and the group launches others in their places.
 */
#include "replace.h"

#include "hooks.h"
#include "refresh.h"
#include "traffic.h"

enum { LAUNCHES_MAX = 20 };

struct replace_share replace_share_of(const struct state_autoscaling_group_record *r, int64_t min, int64_t max)
{
	const struct autoscaling_instance_maintenance_policy *p = r->group->instance_maintenance_policy;
	return p ? (struct replace_share){p->min_healthy_percentage.v, p->max_healthy_percentage.v}
	         : (struct replace_share){min, max};
}

int64_t replace_least(const struct state_autoscaling_group_record *r, struct replace_share share)
{
	return (r->group->desired_capacity.v * share.min + 99) / 100;
}

int64_t replace_most(const struct state_autoscaling_group_record *r, struct replace_share share)
{
	int64_t desired = r->group->desired_capacity.v, most = desired * share.max / 100;
	return share.max > 100 && most == desired ? desired + 1 : most;
}

struct str replace_cause(const struct scope *s, const struct state_autoscaling_member *m)
{
	return arena_printf(s->arena, "At %.*s an instance was taken out of service in response to %.*s.",
	                    STR_ARG(scaling_time(s->arena, s->now_ms)), STR_ARG(m->leaving));
}

/* --- who */

static bool marked(const struct state_autoscaling_member *m)
{
	return str_set(m->leaving) && member_in(m, "InService");
}

static void mark(struct step *t, struct state_autoscaling_member *m)
{
	const struct autoscaling_auto_scaling_group *g = t->r->group;
	struct ec2_seen e = {0};
	if (str_set(m->unhealthy))
		return; /* marked by who found that out, or on its way out */
	m->leaving = STR_NONE;
	m->leads = (struct opt_bool){0};
	if (!member_in(m, "InService"))
		return;
	if (g->capacity_rebalance.v && m->spot.v)
		ec2_see_instance(t->s->txn, t->s->arena, t->s->account, t->s->region, m->id, &e);
	if (e.recommended) {
		m->leaving = S("an EC2 instance rebalance recommendation");
		m->leads = OPT_BOOL(true);
	} else if (g->max_instance_lifetime.v) {
		int64_t end_ms = m->launched.ms + g->max_instance_lifetime.v * 1000;
		if (t->s->now_ms < end_ms) {
			step_wake(t, end_ms);
			return;
		}
		m->leaving = S("the maximum instance lifetime of the group");
		m->leads = OPT_BOOL(replace_share_of(t->r, 90, 100).max > 100);
	}
}

bool replace_later(struct step *t, struct state_autoscaling_member *m)
{
	if (replace_share_of(t->r, 0, 100).max <= 100 || refresh_replaces(t->r) || t->r->deleting.v)
		return false;
	m->leaving = m->unhealthy;
	m->leads = OPT_BOOL(true);
	return true;
}

bool replace_lost(struct step *t, const struct state_autoscaling_member *m)
{
	for (uint32_t i = 0; str_set(m->leaving) && i < t->r->members.n; i++) {
		struct state_autoscaling_member *other = &t->r->members.v[i];
		if (!other->extra.v || !member_begins(other))
			continue;
		other->extra = (struct opt_bool){0};
		return true;
	}
	return false;
}

bool replace_waits(const struct state_autoscaling_group_record *r)
{
	for (uint32_t i = 0; i < r->members.n; i++)
		if (marked(&r->members.v[i]))
			return true;
	return false;
}

static bool cold(struct step *t, const struct state_autoscaling_member *m)
{
	int64_t warm_ms = m->in_service.ms + t->r->group->default_instance_warmup.v * 1000;
	if (!member_in(m, "InService") || str_set(m->leaving) || warm_ms <= t->s->now_ms)
		return false;
	step_wake(t, warm_ms);
	return true;
}

int64_t replace_cold(struct step *t)
{
	int64_t fresh = 0, leaving = 0;
	for (uint32_t i = 0; i < t->r->members.n; i++) {
		const struct state_autoscaling_member *m = &t->r->members.v[i];
		leaving += marked(m) ? member_weight(m) : 0;
	}
	for (uint32_t i = 0; leaving && i < t->r->members.n; i++)
		fresh += cold(t, &t->r->members.v[i]) ? member_weight(&t->r->members.v[i]) : 0;
	return fresh < leaving ? fresh : leaving;
}

/* --- how */

/* Others first. A recommendation is no time to be thrifty: a tenth more than wanted is allowed for it in any group. */
static void launch_others(struct step *t)
{
	struct replace_share share = replace_share_of(t->r, 100, 110);
	share.max = share.max < 110 ? 110 : share.max;
	int64_t need = 0, have = 0, extra = 0, begun = 0, desired = t->r->group->desired_capacity.v;
	for (uint32_t i = 0; i < t->r->members.n; i++) {
		const struct state_autoscaling_member *m = &t->r->members.v[i];
		need += marked(m) && m->leads.v ? member_weight(m) : 0;
		have += member_counts(m) ? member_weight(m) : 0;
		extra += m->extra.v ? member_weight(m) : 0;
		begun += m->extra.v;
	}
	if (!need)
		return;
	need -= extra + (have - extra > desired ? have - extra - desired : 0);
	struct places all = scaling_places(t->s, t->r->group);
	struct str cause =
	        arena_printf(t->s->arena, "At %.*s an instance was launched in response to an instance needing to be replaced.",
	                     STR_ARG(scaling_time(t->s->arena, t->s->now_ms)));
	for (int64_t most = replace_most(t->r, share); need > 0 && have < most && begun < LAUNCHES_MAX; begun++) {
		int at = balance_place(t, &all);
		if (t->r->not_before.ms > t->s->now_ms) {
			step_wake(t, t->r->not_before.ms);
			return;
		}
		if (at < 0 || !step_launch(t, &all, at, cause, true))
			return;
		int64_t weight = member_weight(&t->r->members.v[t->r->members.n - 1]);
		need -= weight;
		have += weight;
	}
}

static struct state_autoscaling_member *next_to_end(struct step *t)
{
	struct state_autoscaling_member *best = NULL;
	for (uint32_t i = 0; i < t->r->members.n; i++) {
		struct state_autoscaling_member *m = &t->r->members.v[i];
		if (marked(m) && !m->leads.v && (!best || m->launched.ms < best->launched.ms))
			best = m;
	}
	return best;
}

static void end_some(struct step *t)
{
	struct state_autoscaling_member *m;
	int64_t healthy = 0;
	bool moving = false;
	for (uint32_t i = 0; i < t->r->members.n; i++) {
		const struct state_autoscaling_member *one = &t->r->members.v[i];
		bool is_cold = !member_warm(one) && cold(t, one);
		moving |= member_begins(one) || member_ends(one) || is_cold;
		healthy += member_in(one, "InService") && !is_cold && !str_set(one->unhealthy) ? member_weight(one) : 0;
	}
	int64_t spare = healthy - replace_least(t->r, replace_share_of(t->r, 90, 100));
	if (spare < 1 && !moving)
		spare = 1; /* one at a time can always go */
	while (spare > 0 && (m = next_to_end(t)) != NULL) {
		spare -= member_weight(m);
		step_terminate(t->s, t->r, m, replace_cause(t->s, m));
		if (traffic_left(t, m) && hooks_passed(t, m))
			step_act(t, ACT_TERMINATE, m);
		t->r->renewing = OPT_INT(t->r->renewing.v + 1);
	}
}

void replace_step(struct step *t)
{
	for (uint32_t i = 0; i < t->r->members.n; i++)
		mark(t, &t->r->members.v[i]);
	if (t->r->deleting.v || !replace_waits(t->r) || refresh_replaces(t->r) || scaling_suspended(t->r, "Launch") ||
	    scaling_suspended(t->r, "Terminate"))
		return;
	launch_others(t);
	end_some(t);
}

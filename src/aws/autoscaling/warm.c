/* PutWarmPool, DescribeWarmPool, DeleteWarmPool, and what becomes of a pool's members. */
#include "warm.h"

#include "hooks.h"
#include "traffic.h"

#include "gen/ec2.h"

enum { USUAL = 50, MOST = 50, LAUNCHES_MAX = 20, CAPACITY_MAX = 10000 };

static const struct autoscaling_warm_pool_configuration *pool_of(const struct state_autoscaling_group_record *r)
{
	const struct autoscaling_warm_pool_configuration *p = r->group->warm_pool_configuration;
	return p && !str_is(p->status, "PendingDelete") && !r->deleting.v ? p : NULL;
}

static bool keeps_running(const struct state_autoscaling_group_record *r)
{
	return r->group->warm_pool_configuration && str_is(r->group->warm_pool_configuration->pool_state, "Running");
}

int64_t warm_count(const struct state_autoscaling_group_record *r, bool ending)
{
	int64_t n = 0;
	for (uint32_t i = 0; i < r->members.n; i++)
		n += member_warm(&r->members.v[i]) && (ending || !member_ends(&r->members.v[i]));
	return n;
}

int64_t warm_wanted(const struct state_autoscaling_group_record *r)
{
	const struct autoscaling_warm_pool_configuration *p = pool_of(r);
	if (!p)
		return 0;
	int64_t most = p->max_group_prepared_capacity.set ? p->max_group_prepared_capacity.v : r->group->max_size.v;
	int64_t ahead = most - r->group->desired_capacity.v;
	return ahead > p->min_size.v ? ahead : p->min_size.v;
}

/* --- members */

static void is_lost(struct step *t, struct state_autoscaling_member *m)
{
	step_terminate(t->s, t->r, m,
	               arena_printf(t->s->arena,
	                            "At %.*s an instance was taken out of the warm pool in response to an EC2 health check "
	                            "indicating it has been terminated or stopped.",
	                            STR_ARG(scaling_time(t->s->arena, t->s->now_ms))));
}

static void is_warm(struct step *t, struct state_autoscaling_member *m, const char *state)
{
	m->state = str_from(state);
	t->r->failures = (struct opt_int){0};
	scaling_activity_say(t->s, t->r, m, STR_NONE, "Successful", 100, STR_NONE);
}

void warm_member_step(struct step *t, struct state_autoscaling_member *m, const struct ec2_seen *e)
{
	bool pending = str_starts(m->state, S("Warmed:Pending")), running = str_is(e->state, "running");
	bool stopped = str_is(e->state, "stopped"), stops = str_is(e->state, "stopping");
	if (!e->there || str_is(e->state, "terminated") || str_is(e->state, "shutting-down") || str_set(m->unhealthy)) {
		is_lost(t, m);
	} else if (keeps_running(t->r)) {
		if (stopped)
			step_act(t, ACT_START, m);
		else if (pending && running && hooks_passed(t, m))
			is_warm(t, m, "Warmed:Running");
		else if (member_in(m, "Warmed:Stopped") && running)
			m->state = S("Warmed:Running");
	} else if (pending) {
		if (stopped && !str_ends(m->state, S(":Wait")))
			is_warm(t, m, "Warmed:Stopped");
		else if (running && hooks_passed(t, m))
			step_act(t, ACT_STOP, m);
	} else if (running) {
		step_act(t, ACT_STOP, m);
	} else if (stopped || stops) {
		m->state = S("Warmed:Stopped");
	}
}

bool warm_take(struct step *t, struct str cause)
{
	struct state_autoscaling_member *best = NULL;
	for (uint32_t i = 0; i < t->r->members.n; i++) {
		struct state_autoscaling_member *m = &t->r->members.v[i];
		if ((member_in(m, "Warmed:Stopped") || member_in(m, "Warmed:Running")) && !m->old.v &&
		    (!best || m->launched.ms < best->launched.ms))
			best = m;
	}
	if (!best)
		return false;
	best->state = S("Pending");
	best->starting = OPT_BOOL(true);
	best->protected = OPT_BOOL(t->r->group->new_instances_protected_from_scale_in.v);
	scaling_activity_begin(t->s, t->r, best,
	                       ARENA_CAT(t->s->arena, S("Launching a new EC2 instance from warm pool: "), best->id), cause,
	                       "PreInService");
	hooks_begin(t->s, t->r, best);
	step_wake(t, t->s->now_ms); /* it is started in a step of its own */
	return true;
}

bool warm_give(struct step *t, struct state_autoscaling_member *m, struct str cause)
{
	const struct autoscaling_warm_pool_configuration *p = pool_of(t->r);
	if (!p || !p->instance_reuse_policy || !p->instance_reuse_policy->reuse_on_scale_in.v || m->old.v ||
	    str_set(m->unhealthy) || !member_in(m, "InService") || warm_count(t->r, false) >= warm_wanted(t->r))
		return false;
	step_terminate(t->s, t->r, m, cause);
	m->returning = OPT_BOOL(true);
	if (traffic_left(t, m) && hooks_passed(t, m))
		warm_returned(t, m);
	return true;
}

void warm_returned(struct step *t, struct state_autoscaling_member *m)
{
	m->state = S("Warmed:Pending");
	m->returning = (struct opt_bool){0};
	m->in_service = (struct opt_time){0};
	scaling_activity_say(t->s, t->r, m, ARENA_CAT(t->s->arena, S("Returning EC2 instance to warm pool: "), m->id), "InProgress",
	                     80, STR_NONE);
	step_act(t, keeps_running(t->r) ? ACT_START : ACT_STOP, m);
}

/* --- the pool */

static void launch_warm(struct step *t, int64_t missing)
{
	struct places all = scaling_places(t->s, t->r->group);
	struct str cause = arena_printf(t->s->arena, "At %.*s an instance was started to fill the warm pool.",
	                                STR_ARG(scaling_time(t->s->arena, t->s->now_ms)));
	if (scaling_suspended(t->r, "Launch") || !all.n)
		return;
	if (t->r->not_before.ms > t->s->now_ms) {
		step_wake(t, t->r->not_before.ms);
		return;
	}
	for (int64_t i = 0; i < missing && i < LAUNCHES_MAX; i++) {
		int at = (int)(warm_count(t->r, false) % all.n);
		if (!step_launch_as(t, &all, at, cause, false, "Warmed:Pending"))
			return;
	}
}

static void end_warm(struct step *t, int64_t surplus)
{
	struct str cause = arena_printf(t->s->arena, "At %.*s an instance was taken out of the warm pool.",
	                                STR_ARG(scaling_time(t->s->arena, t->s->now_ms)));
	if (scaling_suspended(t->r, "Terminate"))
		return;
	for (uint32_t i = 0; surplus > 0 && i < t->r->members.n; i++) {
		struct state_autoscaling_member *m = &t->r->members.v[i];
		if (!member_warm(m) || member_ends(m) || !str_set(m->id))
			continue;
		step_terminate(t->s, t->r, m, cause);
		if (hooks_passed(t, m))
			step_act(t, ACT_TERMINATE, m);
		surplus--;
	}
}

void warm_pool_step(struct step *t)
{
	struct autoscaling_warm_pool_configuration *p = t->r->group->warm_pool_configuration;
	int64_t have = warm_count(t->r, false), want = warm_wanted(t->r);
	/* the group comes first */
	if (have < want && scaling_capacity(t->r) >= t->r->group->desired_capacity.v)
		launch_warm(t, want - have);
	else if (have > want)
		end_warm(t, have - want);
	if (p && str_is(p->status, "PendingDelete") && !warm_count(t->r, true))
		t->r->group->warm_pool_configuration = NULL;
}

/* --- operations */

/* Members of the pool are stopped and started, and of one kind. */
static int check_group(struct call *c, const struct state_autoscaling_group_record *r)
{
	struct scope s = scaling_scope(c);
	struct launch_source from = scaling_source(r);
	struct state_autoscaling_configuration_record k = {0};
	struct ec2_template_seen seen;
	struct str why;
	bool spot = from.mixed != NULL;
	if (from.template && !from.mixed &&
	    ec2_see_template(s.txn, c->arena, c->account, c->region, from.template->launch_template_id,
	                     from.template->launch_template_name, from.template->version, &seen, &why))
		spot = seen.data->instance_market_options && str_is(seen.data->instance_market_options->market_type, "spot");
	else if (!from.template && scaling_configuration_find(&s, from.configuration, &k))
		spot = k.configuration->spot_price.n > 0;
	return spot ? scaling_invalid(
	                      c, "You can't add a warm pool to an Auto Scaling group that has a mixed instances policy or a launch "
	                         "template or launch configuration that requests Spot Instances.")
	            : CALL_OK;
}

int autoscaling_put_warm_pool(struct call *c, const struct autoscaling_put_warm_pool_type *in,
                              struct autoscaling_put_warm_pool_answer *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	if (scaling_get(c, in->auto_scaling_group_name, &r) != CALL_OK || check_group(c, &r) != CALL_OK)
		return CALL_FAIL;
	struct autoscaling_warm_pool_configuration *p = r.group->warm_pool_configuration;
	if (p && str_is(p->status, "PendingDelete"))
		return call_fail(c, "ScalingActivityInProgress", 400,
		                 "The warm pool of the Auto Scaling group %.*s is being deleted.",
		                 STR_ARG(in->auto_scaling_group_name));
	if (!p)
		p = r.group->warm_pool_configuration = arena_new(c->arena, struct autoscaling_warm_pool_configuration);
	if (str_is(in->pool_state, "Hibernated"))
		return scaling_invalid(c, "The pool state Hibernated is not supported.");
	if (in->pool_state.n && !str_is(in->pool_state, "Stopped") && !str_is(in->pool_state, "Running"))
		return scaling_invalid(c, "Invalid pool state: %.*s. Valid values are Stopped, Running and Hibernated.",
		                       STR_ARG(in->pool_state));
	if (in->min_size.v < 0 || in->max_group_prepared_capacity.v < -1 || in->max_group_prepared_capacity.v > CAPACITY_MAX)
		return scaling_invalid(c, "The sizes of a warm pool are numbers from 0 to %d.", CAPACITY_MAX);
	if (in->max_group_prepared_capacity.set)
		p->max_group_prepared_capacity =
		        in->max_group_prepared_capacity.v < 0 ? (struct opt_int){0} : in->max_group_prepared_capacity;
	p->min_size = in->min_size.set ? in->min_size : p->min_size.set ? p->min_size : OPT_INT(0);
	if (p->max_group_prepared_capacity.set && p->max_group_prepared_capacity.v < r.group->min_size.v)
		return scaling_invalid(c,
		                       "MaxGroupPreparedCapacity must be greater than or equal to the minimum size of the group.");
	p->pool_state = in->pool_state.n ? in->pool_state : p->pool_state.n ? p->pool_state : S("Stopped");
	if (in->instance_reuse_policy)
		p->instance_reuse_policy = in->instance_reuse_policy;
	scaling_put(&s, &r);
	return CALL_OK;
}

int autoscaling_describe_warm_pool(struct call *c, const struct autoscaling_describe_warm_pool_type *in,
                                   struct autoscaling_describe_warm_pool_answer *out)
{
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	struct page p;
	struct str last = STR_NONE;
	if (scaling_get(c, in->auto_scaling_group_name, &r) != CALL_OK ||
	    scaling_page(c, in->max_records, in->next_token, USUAL, MOST, &p) != CALL_OK)
		return CALL_FAIL;
	out->warm_pool_configuration = r.group->warm_pool_configuration;
	out->instances.set = true;
	for (uint32_t i = 0; i < r.members.n; i++) {
		const struct state_autoscaling_member *m = &r.members.v[i];
		struct str at = arena_printf(c->arena, "%05u", i);
		if (!member_warm(m) || !str_set(m->id) || (str_set(p.after) && str_cmp(at, p.after) <= 0))
			continue;
		if (!p.left--) {
			out->next_token = scaling_token(c, last);
			break;
		}
		last = at;
		scaling_member_show(&s, m, LIST_ADD(c->arena, &out->instances));
	}
	return CALL_OK;
}

int autoscaling_delete_warm_pool(struct call *c, const struct autoscaling_delete_warm_pool_type *in,
                                 struct autoscaling_delete_warm_pool_answer *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	if (scaling_get(c, in->auto_scaling_group_name, &r) != CALL_OK)
		return CALL_FAIL;
	if (!r.group->warm_pool_configuration)
		return scaling_invalid(c, "No warm pool found for the Auto Scaling group %.*s.",
		                       STR_ARG(in->auto_scaling_group_name));
	r.group->warm_pool_configuration->status = S("PendingDelete");
	for (uint32_t i = 0; in->force_delete.v && i < r.members.n; i++)
		if (member_warm(&r.members.v[i])) /* nothing is waited for */
			for (uint32_t k = 0; k < r.members.v[i].waits.n; k++)
				r.members.v[i].waits.v[k].result = S("CONTINUE");
	scaling_put(&s, &r);
	return CALL_OK;
}

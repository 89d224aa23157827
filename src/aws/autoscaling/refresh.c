/* StartInstanceRefresh, DescribeInstanceRefreshes, CancelInstanceRefresh, RollbackInstanceRefresh. */
#include "refresh.h"

#include "base/id.h"
#include "group_check.h"
#include "replace.h"

enum {
	HEALTHY_STANDARD = 90,
	CHECKPOINT_DELAY_S = 3600,
	LONGEST_S = 172800,
	CHECKPOINTS_MAX = 20,
	ALARMS_MAX = 10,
	USUAL = 50,
	MOST = 100
};

const struct record_type refresh_row = {&state_autoscaling_api, "RefreshRecord"};

bool refresh_replaces(const struct state_autoscaling_group_record *r)
{
	return r->refresh && (str_is(r->refresh->status, "InProgress") || str_is(r->refresh->status, "RollbackInProgress"));
}

bool refresh_leads(const struct state_autoscaling_group_record *r)
{
	const struct autoscaling_instance_refresh *f = r->refresh;
	return f && f->desired_configuration &&
	       (str_is(f->status, "Pending") || str_is(f->status, "InProgress") || str_is(f->status, "Baking"));
}

/* --- what one may be */

static bool one_of(struct str text, const char *a, const char *b, const char *c)
{
	return str_is(text, a) || str_is(text, b) || str_is(text, c);
}

/* A version that may be another one tomorrow is no way back. */
static bool reversible(const struct autoscaling_auto_scaling_group *g)
{
	const struct autoscaling_launch_template_specification *t =
	        g->mixed_instances_policy ? g->mixed_instances_policy->launch_template->launch_template_specification
	                                  : g->launch_template;
	return !t || (t->version.n && t->version.p[0] != '$');
}

static int check_checkpoints(struct call *c, const struct autoscaling_refresh_preferences *p)
{
	if (p->checkpoint_percentages.n > CHECKPOINTS_MAX)
		return scaling_invalid(c, "At most %d checkpoint percentages are allowed.", CHECKPOINTS_MAX);
	for (uint32_t i = 0; i < p->checkpoint_percentages.n; i++)
		if (p->checkpoint_percentages.v[i].v < 1 || p->checkpoint_percentages.v[i].v > 100 ||
		    (i && p->checkpoint_percentages.v[i].v <= p->checkpoint_percentages.v[i - 1].v))
			return scaling_invalid(c, "CheckpointPercentages must be numbers from 1 to 100 in ascending order.");
	if (p->checkpoint_delay.set && !p->checkpoint_percentages.n)
		return scaling_invalid(c, "CheckpointDelay can only be specified with CheckpointPercentages.");
	if (p->checkpoint_delay.v < 0 || p->checkpoint_delay.v > LONGEST_S)
		return scaling_invalid(c, "CheckpointDelay must be between 0 and %d seconds.", LONGEST_S);
	return CALL_OK;
}

static int check_preferences(struct call *c, const struct state_autoscaling_group_record *r, bool desired,
                             const struct autoscaling_refresh_preferences *p)
{
	int64_t min = p->min_healthy_percentage.v, max = p->max_healthy_percentage.v;
	if (min < 0 || min > 100)
		return scaling_invalid(c, "MinHealthyPercentage must be between 0 and 100.");
	if (max < 100 || max > 200 || max - min > 100)
		return scaling_invalid(
		        c, "MaxHealthyPercentage must be between 100 and 200, and at most 100 above MinHealthyPercentage.");
	if (p->instance_warmup.v < 0 || p->bake_time.v < 0 || p->bake_time.v > LONGEST_S)
		return scaling_invalid(c, "InstanceWarmup and BakeTime are non-negative numbers of seconds, BakeTime at most %d.",
		                       LONGEST_S);
	if (p->scale_in_protected_instances.n && !one_of(p->scale_in_protected_instances, "Refresh", "Ignore", "Wait"))
		return scaling_invalid(c, "Invalid ScaleInProtectedInstances: %.*s. Valid values are Refresh, Ignore and Wait.",
		                       STR_ARG(p->scale_in_protected_instances));
	if (p->standby_instances.n && !one_of(p->standby_instances, "Terminate", "Ignore", "Wait"))
		return scaling_invalid(c, "Invalid StandbyInstances: %.*s. Valid values are Terminate, Ignore and Wait.",
		                       STR_ARG(p->standby_instances));
	if (p->alarm_specification && p->alarm_specification->alarms.n > ALARMS_MAX)
		return scaling_invalid(c, "At most %d alarms are allowed.", ALARMS_MAX);
	if (p->auto_rollback.v && !desired)
		return scaling_invalid(
		        c, "AutoRollback cannot be set to true when the DesiredConfiguration parameter is not specified.");
	if (p->auto_rollback.v && !reversible(r->group))
		return scaling_invalid(
		        c, "AutoRollback cannot be set to true when the Auto Scaling group uses the launch template version "
		           "$Latest or $Default.");
	return check_checkpoints(c, p);
}

static struct autoscaling_refresh_preferences *preferences_of(struct call *c, const struct state_autoscaling_group_record *r,
                                                              const struct autoscaling_refresh_preferences *given)
{
	struct replace_share share = replace_share_of(r, HEALTHY_STANDARD, 100);
	struct autoscaling_refresh_preferences *p = arena_new(c->arena, struct autoscaling_refresh_preferences);
	if (given)
		*p = *given;
	if (!p->min_healthy_percentage.set)
		p->min_healthy_percentage = OPT_INT(share.min);
	if (!p->max_healthy_percentage.set)
		p->max_healthy_percentage = OPT_INT(share.max);
	if (p->checkpoint_percentages.n && !p->checkpoint_delay.set)
		p->checkpoint_delay = OPT_INT(CHECKPOINT_DELAY_S);
	if (!p->skip_matching.set)
		p->skip_matching = OPT_BOOL(false);
	if (!p->auto_rollback.set)
		p->auto_rollback = OPT_BOOL(false);
	if (!p->scale_in_protected_instances.n)
		p->scale_in_protected_instances = S("Wait");
	if (!p->standby_instances.n)
		p->standby_instances = S("Wait");
	return p;
}

/* --- operations */

static int none_active(struct call *c, struct str group)
{
	return call_fail(c, "ActiveInstanceRefreshNotFound", 400,
	                 "No in progress or pending Instance Refresh found for Auto Scaling group %.*s", STR_ARG(group));
}

int autoscaling_start_instance_refresh(struct call *c, const struct autoscaling_start_instance_refresh_type *in,
                                       struct autoscaling_start_instance_refresh_answer *out)
{
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	struct autoscaling_desired_configuration *desired = NULL;
	if (scaling_get(c, in->auto_scaling_group_name, &r) != CALL_OK)
		return CALL_FAIL;
	if (in->strategy.n && !str_is(in->strategy, "Rolling"))
		return scaling_invalid(c, "The strategy %.*s is not supported.", STR_ARG(in->strategy));
	if (r.refresh)
		return call_fail(c, "InstanceRefreshInProgress", 400,
		                 "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.");
	struct autoscaling_refresh_preferences *p = preferences_of(c, &r, in->preferences);
	if (in->desired_configuration) {
		desired = arena_new(c->arena, struct autoscaling_desired_configuration);
		if ((in->desired_configuration->launch_template != NULL) ==
		    (in->desired_configuration->mixed_instances_policy != NULL))
			return scaling_invalid(c, "Exactly one of LaunchTemplate and MixedInstancesPolicy is required in a "
			                          "DesiredConfiguration.");
		if (group_check_source(c, in->desired_configuration->launch_template,
		                       in->desired_configuration->mixed_instances_policy, &desired->launch_template,
		                       &desired->mixed_instances_policy) != CALL_OK)
			return CALL_FAIL;
	}
	if (check_preferences(c, &r, desired != NULL, p) != CALL_OK)
		return CALL_FAIL;
	struct autoscaling_instance_refresh *f = arena_new(c->arena, struct autoscaling_instance_refresh);
	*f = (struct autoscaling_instance_refresh){.instance_refresh_id = id_uuid(c->arena),
	                                           .auto_scaling_group_name = r.group->auto_scaling_group_name,
	                                           .status = S("Pending"),
	                                           .start_time = OPT_TIME(c->now_ms),
	                                           .percentage_complete = OPT_INT(0),
	                                           .preferences = p,
	                                           .desired_configuration = desired,
	                                           .strategy = S("Rolling")};
	r.refresh = f;
	r.refresh_until = (struct opt_time){0};
	refresh_mark(&s, &r);
	scaling_put(&s, &r);
	out->instance_refresh_id = f->instance_refresh_id;
	return CALL_OK;
}

int autoscaling_cancel_instance_refresh(struct call *c, const struct autoscaling_cancel_instance_refresh_type *in,
                                        struct autoscaling_cancel_instance_refresh_answer *out)
{
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	if (scaling_get(c, in->auto_scaling_group_name, &r) != CALL_OK)
		return CALL_FAIL;
	if (!r.refresh || str_is(r.refresh->status, "Cancelling"))
		return none_active(c, in->auto_scaling_group_name);
	out->instance_refresh_id = r.refresh->instance_refresh_id;
	if (in->wait_for_transitioning_instances.set && !in->wait_for_transitioning_instances.v)
		refresh_end(&s, &r, "Cancelled", S("Cancelled by user"));
	else
		r.refresh->status = S("Cancelling");
	scaling_put(&s, &r);
	return CALL_OK;
}

int autoscaling_rollback_instance_refresh(struct call *c, const struct autoscaling_rollback_instance_refresh_type *in,
                                          struct autoscaling_rollback_instance_refresh_answer *out)
{
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	if (scaling_get(c, in->auto_scaling_group_name, &r) != CALL_OK)
		return CALL_FAIL;
	if (!r.refresh || str_is(r.refresh->status, "Cancelling") || str_is(r.refresh->status, "RollbackInProgress"))
		return none_active(c, in->auto_scaling_group_name);
	if (!r.refresh->desired_configuration)
		return call_fail(c, "IrreversibleInstanceRefresh", 400,
		                 "The instance refresh has no desired configuration, so there is nothing to roll back to.");
	if (!reversible(r.group))
		return call_fail(c, "IrreversibleInstanceRefresh", 400,
		                 "The Auto Scaling group uses the launch template version $Latest or $Default.");
	refresh_turn_back(&s, &r, S("Rollback initiated by user"));
	scaling_put(&s, &r);
	out->instance_refresh_id = r.refresh->instance_refresh_id;
	return CALL_OK;
}

int autoscaling_describe_instance_refreshes(struct call *c, const struct autoscaling_describe_instance_refreshes_type *in,
                                            struct autoscaling_describe_instance_refreshes_answer *out)
{
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	struct page p;
	if (scaling_get(c, in->auto_scaling_group_name, &r) != CALL_OK ||
	    scaling_page(c, in->max_records, in->next_token, USUAL, MOST, &p) != CALL_OK)
		return CALL_FAIL;
	out->instance_refreshes.set = true;
	if (r.refresh && !str_set(p.after) && scaling_among(&in->instance_refresh_ids, r.refresh->instance_refresh_id)) {
		*LIST_ADD(c->arena, &out->instance_refreshes) = *r.refresh;
		p.left--;
	}
	struct str under = scaling_under(&s, "refresh", r.group->auto_scaling_group_name), key, last = S("~");
	struct store_iter *iter = store_scan(s.txn, under, store_prefix_end(c->arena, under), true);
	struct store_value v;
	while (store_next(iter, &key, &v)) {
		struct state_autoscaling_refresh_record one = {0};
		struct str_list parts = record_key_parts(c->arena, key);
		if (!record_read(c->arena, v.value, &refresh_row, &one) ||
		    (str_set(p.after) && str_cmp(parts.v[5], p.after) >= 0) ||
		    !scaling_among(&in->instance_refresh_ids, one.refresh->instance_refresh_id))
			continue;
		if (!p.left--) {
			out->next_token = scaling_token(c, last);
			break;
		}
		last = parts.v[5];
		*LIST_ADD(c->arena, &out->instance_refreshes) = *one.refresh;
	}
	return CALL_OK;
}

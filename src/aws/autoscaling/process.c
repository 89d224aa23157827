/* Processes that can be suspended, metrics that can be collected, and what Auto Scaling knows of itself. */
#include "rows.h"

enum { GROUPS_MAX = 500, CONFIGURATIONS_MAX = 200 };

static const char *const processes[] = {"AZRebalance", "AddToLoadBalancer", "AlarmNotification", "HealthCheck", "InstanceRefresh",
                                        "Launch",      "ReplaceUnhealthy",  "ScheduledActions",  "Terminate",   NULL};
static const char *const metrics[] = {"GroupMinSize",
                                      "GroupMaxSize",
                                      "GroupDesiredCapacity",
                                      "GroupInServiceInstances",
                                      "GroupPendingInstances",
                                      "GroupTerminatingInstances",
                                      "GroupStandbyInstances",
                                      "GroupTotalInstances",
                                      "GroupInServiceCapacity",
                                      "GroupPendingCapacity",
                                      "GroupTerminatingCapacity",
                                      "GroupStandbyCapacity",
                                      "GroupTotalCapacity",
                                      "WarmPoolDesiredCapacity",
                                      "WarmPoolWarmedCapacity",
                                      "WarmPoolPendingCapacity",
                                      "WarmPoolTerminatingCapacity",
                                      "WarmPoolTotalCapacity",
                                      "GroupAndWarmPoolDesiredCapacity",
                                      "GroupAndWarmPoolTotalCapacity",
                                      NULL};

static bool known(const char *const *all, struct str name)
{
	while (*all && !str_is(name, *all))
		all++;
	return *all != NULL;
}

static int check(struct call *c, const struct str_list *names)
{
	for (uint32_t i = 0; i < names->n; i++)
		if (!known(processes, names->v[i]))
			return scaling_invalid(c, "Invalid Scaling Process: %.*s", STR_ARG(names->v[i]));
	return CALL_OK;
}

int autoscaling_suspend_processes(struct call *c, const struct autoscaling_scaling_process_query *in, struct model_none *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	if (scaling_get(c, in->auto_scaling_group_name, &r) != CALL_OK || check(c, &in->scaling_processes) != CALL_OK)
		return CALL_FAIL;
	for (const char *const *p = processes; *p; p++)
		if (scaling_among(&in->scaling_processes, str_from(*p)) && !scaling_suspended(&r, *p))
			*LIST_ADD(c->arena, &r.group->suspended_processes) = (struct autoscaling_suspended_process){
			        .process_name = str_from(*p),
			        .suspension_reason =
			                ARENA_CAT(c->arena, S("User suspended at "), scaling_time(c->arena, c->now_ms))};
	scaling_put(&s, &r);
	return CALL_OK;
}

int autoscaling_resume_processes(struct call *c, const struct autoscaling_scaling_process_query *in, struct model_none *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	if (scaling_get(c, in->auto_scaling_group_name, &r) != CALL_OK || check(c, &in->scaling_processes) != CALL_OK)
		return CALL_FAIL;
	struct autoscaling_suspended_processes *all = &r.group->suspended_processes;
	uint32_t left = 0;
	for (uint32_t i = 0; i < all->n; i++)
		if (!scaling_among(&in->scaling_processes, all->v[i].process_name))
			all->v[left++] = all->v[i];
	all->n = left;
	scaling_put(&s, &r);
	return CALL_OK;
}

int autoscaling_describe_scaling_process_types(struct call *c, const struct model_none *in, struct autoscaling_processes_type *out)
{
	(void)in;
	for (const char *const *p = processes; *p; p++)
		*LIST_ADD(c->arena, &out->processes) = (struct autoscaling_process_type){.process_name = str_from(*p)};
	return CALL_OK;
}

int autoscaling_describe_termination_policy_types(struct call *c, const struct model_none *in,
                                                  struct autoscaling_describe_termination_policy_types_answer *out)
{
	static const char *const all[] = {
	        "AllocationStrategy",        "ClosestToNextInstanceHour", "Default", "NewestInstance", "OldestInstance",
	        "OldestLaunchConfiguration", "OldestLaunchTemplate",      NULL};
	(void)in;
	for (const char *const *p = all; *p; p++)
		*LIST_ADD(c->arena, &out->termination_policy_types) = str_from(*p);
	return CALL_OK;
}

int autoscaling_describe_adjustment_types(struct call *c, const struct model_none *in,
                                          struct autoscaling_describe_adjustment_types_answer *out)
{
	static const char *const all[] = {"ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity", NULL};
	(void)in;
	for (const char *const *p = all; *p; p++)
		*LIST_ADD(c->arena, &out->adjustment_types) = (struct autoscaling_adjustment_type){.adjustment_type = str_from(*p)};
	return CALL_OK;
}

int autoscaling_describe_account_limits(struct call *c, const struct model_none *in,
                                        struct autoscaling_describe_account_limits_answer *out)
{
	(void)in;
	struct scope s = scaling_scope(c);
	int64_t counts[2] = {0, 0};
	static const char *const kinds[] = {"group", "configuration"};
	for (unsigned i = 0; i < 2; i++) {
		struct str under = scaling_under(&s, kinds[i], STR_NONE), key;
		struct store_value v;
		struct store_iter *iter = store_scan(s.txn, under, store_prefix_end(c->arena, under), false);
		while (store_next(iter, &key, &v))
			counts[i]++;
	}
	*out = (struct autoscaling_describe_account_limits_answer){.max_number_of_auto_scaling_groups = OPT_INT(GROUPS_MAX),
	                                                           .max_number_of_launch_configurations =
	                                                                   OPT_INT(CONFIGURATIONS_MAX),
	                                                           .number_of_auto_scaling_groups = OPT_INT(counts[0]),
	                                                           .number_of_launch_configurations = OPT_INT(counts[1])};
	return CALL_OK;
}

/* --- metrics */

int autoscaling_describe_metric_collection_types(struct call *c, const struct model_none *in,
                                                 struct autoscaling_describe_metric_collection_types_answer *out)
{
	(void)in;
	for (const char *const *p = metrics; *p; p++)
		*LIST_ADD(c->arena, &out->metrics) = (struct autoscaling_metric_collection_type){.metric = str_from(*p)};
	*LIST_ADD(c->arena, &out->granularities) = (struct autoscaling_metric_granularity_type){.granularity = S("1Minute")};
	return CALL_OK;
}

static int check_metrics(struct call *c, const struct str_list *names)
{
	for (uint32_t i = 0; i < names->n; i++)
		if (!known(metrics, names->v[i]))
			return scaling_invalid(c, "'%.*s' is not a valid metric name of a group.", STR_ARG(names->v[i]));
	return CALL_OK;
}

static bool collected(const struct autoscaling_enabled_metrics *all, const char *name)
{
	for (uint32_t i = 0; i < all->n; i++)
		if (str_is(all->v[i].metric, name))
			return true;
	return false;
}

int autoscaling_enable_metrics_collection(struct call *c, const struct autoscaling_enable_metrics_collection_query *in,
                                          struct model_none *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	if (!str_is(in->granularity, "1Minute"))
		return scaling_invalid(c, "Granularity must be 1Minute");
	if (scaling_get(c, in->auto_scaling_group_name, &r) != CALL_OK || check_metrics(c, &in->metrics) != CALL_OK)
		return CALL_FAIL;
	for (const char *const *p = metrics; *p; p++)
		if (scaling_among(&in->metrics, str_from(*p)) && !collected(&r.group->enabled_metrics, *p))
			*LIST_ADD(c->arena, &r.group->enabled_metrics) =
			        (struct autoscaling_enabled_metric){.metric = str_from(*p), .granularity = S("1Minute")};
	scaling_put(&s, &r);
	return CALL_OK;
}

int autoscaling_disable_metrics_collection(struct call *c, const struct autoscaling_disable_metrics_collection_query *in,
                                           struct model_none *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	if (scaling_get(c, in->auto_scaling_group_name, &r) != CALL_OK || check_metrics(c, &in->metrics) != CALL_OK)
		return CALL_FAIL;
	struct autoscaling_enabled_metrics *all = &r.group->enabled_metrics;
	uint32_t left = 0;
	for (uint32_t i = 0; i < all->n; i++)
		if (!scaling_among(&in->metrics, all->v[i].metric))
			all->v[left++] = all->v[i];
	all->n = left;
	scaling_put(&s, &r);
	return CALL_OK;
}

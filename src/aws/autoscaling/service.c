#include "keeper.h"
#include "notify.h"
#include "policy.h"
#include "rows.h"

#include "core/alarm.h"

/* --- what permissions are about */

static struct str group_arn(struct call *c, struct str name)
{
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r = {0};
	return str_set(name) && scaling_find(&s, name, &r)
	               ? r.group->auto_scaling_group_arn
	               : scaling_arn(&s, "autoScalingGroup", S("*"), ARENA_CAT(c->arena, S("autoScalingGroupName/"), name));
}

static int about_group(struct call *c, struct authz *az, struct str name)
{
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r = {0};
	struct str_map tags = {0};
	az->resource = group_arn(c, name);
	if (str_set(name) && scaling_find(&s, name, &r))
		for (uint32_t i = 0; i < r.group->tags.n; i++)
			*LIST_ADD(c->arena, &tags) = (struct str_map_entry){r.group->tags.v[i].key, r.group->tags.v[i].value};
	authz_add_tags(c, az, "autoscaling:ResourceTag", &tags);
	authz_add_tags(c, az, "aws:ResourceTag", &tags);
	return CALL_OK;
}

static int about_instance(struct call *c, struct authz *az, struct str id)
{
	struct scope s = scaling_scope(c);
	return about_group(c, az, scaling_group_of(&s, id));
}

static int about_policy(struct call *c, struct authz *az, struct str group, struct str policy)
{
	struct str of = group, name = policy;
	policy_of_arn(policy, &of, &name);
	return about_group(c, az, of);
}

static int about_configuration(struct call *c, struct authz *az, struct str name)
{
	struct scope s = scaling_scope(c);
	struct state_autoscaling_configuration_record r = {0};
	az->resource =
	        scaling_configuration_find(&s, name, &r)
	                ? r.configuration->launch_configuration_arn
	                : scaling_arn(&s, "launchConfiguration", S("*"), ARENA_CAT(c->arena, S("launchConfigurationName/"), name));
	return CALL_OK;
}

static int about_tags(struct call *c, struct authz *az, const struct autoscaling_tags *tags, struct str group)
{
	struct str_map map = {0};
	int said = about_group(c, az, str_set(group) ? group : tags->n ? tags->v[0].resource_id : STR_NONE);
	for (uint32_t i = 0; i < tags->n; i++) {
		*LIST_ADD(c->arena, &map) = (struct str_map_entry){tags->v[i].key, tags->v[i].value};
		authz_add(c, az, "aws:TagKeys", tags->v[i].key);
	}
	authz_add_tags(c, az, "aws:RequestTag", &map);
	return said;
}

#define ABOUT(name, type, answer) \
	static int about_##name(struct call *c, const void *input, struct authz *az) \
	{ \
		const struct autoscaling_##type *in = input; \
		return answer; \
	}
#define ABOUT_GROUP(name, type) ABOUT(name, type, about_group(c, az, in->auto_scaling_group_name))
ABOUT(create, create_auto_scaling_group_type, about_tags(c, az, &in->tags, in->auto_scaling_group_name))
ABOUT_GROUP(update, update_auto_scaling_group_type)
ABOUT_GROUP(delete, delete_auto_scaling_group_type)
ABOUT_GROUP(put_notification, put_notification_configuration_type)
ABOUT_GROUP(delete_notification, delete_notification_configuration_type)
ABOUT_GROUP(set_desired, set_desired_capacity_type)
ABOUT(terminate, terminate_instance_in_auto_scaling_group_type, about_instance(c, az, in->instance_id))
ABOUT(health, set_instance_health_query, about_instance(c, az, in->instance_id))
ABOUT_GROUP(protection, set_instance_protection_query)
ABOUT_GROUP(attach, attach_instances_query)
ABOUT_GROUP(detach, detach_instances_query)
ABOUT_GROUP(attach_targets, attach_load_balancer_target_groups_type)
ABOUT_GROUP(detach_targets, detach_load_balancer_target_groups_type)
ABOUT_GROUP(attach_sources, attach_traffic_sources_type)
ABOUT_GROUP(detach_sources, detach_traffic_sources_type)
ABOUT_GROUP(enter, enter_standby_query)
ABOUT_GROUP(exit, exit_standby_query)
ABOUT_GROUP(process, scaling_process_query)
ABOUT_GROUP(enable_metrics, enable_metrics_collection_query)
ABOUT_GROUP(disable_metrics, disable_metrics_collection_query)
ABOUT_GROUP(put_hook, put_lifecycle_hook_type)
ABOUT_GROUP(delete_hook, delete_lifecycle_hook_type)
ABOUT_GROUP(complete, complete_lifecycle_action_type)
ABOUT_GROUP(heartbeat, record_lifecycle_action_heartbeat_type)
ABOUT_GROUP(put_schedule, put_scheduled_update_group_action_type)
ABOUT_GROUP(put_schedules, batch_put_scheduled_update_group_action_type)
ABOUT_GROUP(delete_schedule, delete_scheduled_action_type)
ABOUT_GROUP(delete_schedules, batch_delete_scheduled_action_type)
ABOUT_GROUP(put_policy, put_scaling_policy_type)
ABOUT(delete_policy, delete_policy_type, about_policy(c, az, in->auto_scaling_group_name, in->policy_name))
ABOUT_GROUP(start_refresh, start_instance_refresh_type)
ABOUT_GROUP(cancel_refresh, cancel_instance_refresh_type)
ABOUT_GROUP(rollback_refresh, rollback_instance_refresh_type)
ABOUT_GROUP(put_warm, put_warm_pool_type)
ABOUT_GROUP(delete_warm, delete_warm_pool_type)
ABOUT(execute, execute_policy_type, about_policy(c, az, in->auto_scaling_group_name, in->policy_name))
ABOUT(create_configuration, create_launch_configuration_type, about_configuration(c, az, in->launch_configuration_name))
ABOUT(delete_configuration, launch_configuration_name_type, about_configuration(c, az, in->launch_configuration_name))
ABOUT(create_tags, create_or_update_tags_type, about_tags(c, az, &in->tags, STR_NONE))
ABOUT(delete_tags, delete_tags_type, about_tags(c, az, &in->tags, STR_NONE))

/* --- the table */

#define ROW(c_name, name, ...) OP(autoscaling, c_name, name, ##__VA_ARGS__)
#define READ .flags = OP_READ
static const struct service_op ops[] = {
        ROW(attach_instances, AttachInstances, .resource = about_attach),
        ROW(attach_load_balancer_target_groups, AttachLoadBalancerTargetGroups, .resource = about_attach_targets),
        ROW(attach_traffic_sources, AttachTrafficSources, .resource = about_attach_sources,
            .missing = "Classic Load Balancers, VPC Lattice"),
        ROW(batch_delete_scheduled_action, BatchDeleteScheduledAction, .resource = about_delete_schedules),
        ROW(batch_put_scheduled_update_group_action, BatchPutScheduledUpdateGroupAction, .resource = about_put_schedules),
        ROW(cancel_instance_refresh, CancelInstanceRefresh, .resource = about_cancel_refresh),
        ROW(complete_lifecycle_action, CompleteLifecycleAction, .resource = about_complete),
        ROW(create_auto_scaling_group, CreateAutoScalingGroup, .resource = about_create,
            .missing = "InstanceId, Classic Load Balancers, instance lifecycle policies, zonal shift"),
        ROW(create_launch_configuration, CreateLaunchConfiguration, .resource = about_create_configuration,
            .missing = "InstanceId, kernels, dedicated tenancy"),
        ROW(create_or_update_tags, CreateOrUpdateTags, .resource = about_create_tags),
        ROW(delete_auto_scaling_group, DeleteAutoScalingGroup, .resource = about_delete),
        ROW(delete_launch_configuration, DeleteLaunchConfiguration, .resource = about_delete_configuration),
        ROW(delete_lifecycle_hook, DeleteLifecycleHook, .resource = about_delete_hook),
        ROW(delete_notification_configuration, DeleteNotificationConfiguration, .resource = about_delete_notification),
        ROW(delete_policy, DeletePolicy, .resource = about_delete_policy),
        ROW(delete_scheduled_action, DeleteScheduledAction, .resource = about_delete_schedule),
        ROW(delete_tags, DeleteTags, .resource = about_delete_tags),
        ROW(delete_warm_pool, DeleteWarmPool, .resource = about_delete_warm),
        ROW(describe_account_limits, DescribeAccountLimits, READ),
        ROW(describe_adjustment_types, DescribeAdjustmentTypes, READ),
        ROW(describe_auto_scaling_groups, DescribeAutoScalingGroups, READ),
        ROW(describe_auto_scaling_instances, DescribeAutoScalingInstances, READ),
        ROW(describe_auto_scaling_notification_types, DescribeAutoScalingNotificationTypes, READ),
        ROW(describe_instance_refreshes, DescribeInstanceRefreshes, READ),
        ROW(describe_launch_configurations, DescribeLaunchConfigurations, READ),
        ROW(describe_lifecycle_hook_types, DescribeLifecycleHookTypes, READ),
        ROW(describe_lifecycle_hooks, DescribeLifecycleHooks, READ),
        ROW(describe_load_balancer_target_groups, DescribeLoadBalancerTargetGroups, READ),
        ROW(describe_metric_collection_types, DescribeMetricCollectionTypes, READ),
        ROW(describe_notification_configurations, DescribeNotificationConfigurations, READ),
        ROW(describe_policies, DescribePolicies, READ),
        ROW(describe_scaling_activities, DescribeScalingActivities, READ),
        ROW(describe_scaling_process_types, DescribeScalingProcessTypes, READ),
        ROW(describe_scheduled_actions, DescribeScheduledActions, READ),
        ROW(describe_tags, DescribeTags, READ),
        ROW(describe_termination_policy_types, DescribeTerminationPolicyTypes, READ),
        ROW(describe_traffic_sources, DescribeTrafficSources, READ),
        ROW(describe_warm_pool, DescribeWarmPool, READ),
        ROW(detach_instances, DetachInstances, .resource = about_detach),
        ROW(detach_load_balancer_target_groups, DetachLoadBalancerTargetGroups, .resource = about_detach_targets),
        ROW(detach_traffic_sources, DetachTrafficSources, .resource = about_detach_sources),
        ROW(disable_metrics_collection, DisableMetricsCollection, .resource = about_disable_metrics),
        ROW(enable_metrics_collection, EnableMetricsCollection, .resource = about_enable_metrics),
        ROW(enter_standby, EnterStandby, .resource = about_enter),
        ROW(execute_policy, ExecutePolicy, .resource = about_execute),
        ROW(exit_standby, ExitStandby, .resource = about_exit),
        ROW(put_lifecycle_hook, PutLifecycleHook, .resource = about_put_hook, .missing = "notification targets"),
        ROW(put_notification_configuration, PutNotificationConfiguration, .resource = about_put_notification),
        ROW(put_scaling_policy, PutScalingPolicy, .resource = about_put_policy, .missing = "predictive scaling"),
        ROW(put_scheduled_update_group_action, PutScheduledUpdateGroupAction, .resource = about_put_schedule),
        ROW(put_warm_pool, PutWarmPool, .resource = about_put_warm, .missing = "hibernation"),
        ROW(record_lifecycle_action_heartbeat, RecordLifecycleActionHeartbeat, .resource = about_heartbeat),
        ROW(resume_processes, ResumeProcesses, .resource = about_process),
        ROW(rollback_instance_refresh, RollbackInstanceRefresh, .resource = about_rollback_refresh),
        ROW(set_desired_capacity, SetDesiredCapacity, .resource = about_set_desired),
        ROW(set_instance_health, SetInstanceHealth, .resource = about_health),
        ROW(set_instance_protection, SetInstanceProtection, .resource = about_protection),
        ROW(start_instance_refresh, StartInstanceRefresh, .resource = about_start_refresh,
            .missing = "the strategy ReplaceRootVolume"),
        ROW(suspend_processes, SuspendProcesses, .resource = about_process),
        ROW(terminate_instance_in_auto_scaling_group, TerminateInstanceInAutoScalingGroup, .resource = about_terminate),
        ROW(update_auto_scaling_group, UpdateAutoScalingGroup, .resource = about_update, .missing = "as CreateAutoScalingGroup"),
};

static int start(struct cloud *cloud, void **ret_state)
{
	*ret_state = keepers_new(cloud);
	return 0;
}

static void stop(void *state)
{
	keepers_free(state);
}

const struct service autoscaling_service = {
        .api = &autoscaling_api,
        .iam_prefix = "autoscaling",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(*ops),
        .alarm_actions = &policy_alarm_action,
        .alarm_action_count = 1,
        .start = start,
        .stop = stop,
};

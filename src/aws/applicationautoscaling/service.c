#include "keeper.h"
#include "policy.h"

#include "core/alarm.h"

/* --- what permissions are about */

static int about(struct call *c, struct authz *az, struct str namespace, struct str id, struct str dimension)
{
	struct appscale s = appscale_of_call(c);
	struct resource of = {resource_kind_of(namespace, dimension), namespace, id, dimension};
	struct state_applicationautoscaling_target_record r;
	authz_add(c, az, "application-autoscaling:service-namespace", namespace);
	authz_add(c, az, "application-autoscaling:scalable-dimension", dimension);
	az->resource = arena_printf(c->arena, "arn:aws:application-autoscaling:%.*s:%.*s:scalable-target/*", STR_ARG(c->region),
	                            STR_ARG(c->account));
	if (!target_find(&s, &of, &r))
		return CALL_OK;
	az->resource = r.target->scalable_target_arn;
	authz_add_tags(c, az, "aws:ResourceTag", &r.tags);
	return CALL_OK;
}

static void add_request_tags(struct call *c, struct authz *az, const struct str_map *tags)
{
	authz_add_tags(c, az, "aws:RequestTag", tags);
	for (uint32_t i = 0; i < tags->n; i++)
		authz_add(c, az, "aws:TagKeys", tags->v[i].key);
}

static int about_register(struct call *c, const void *input, struct authz *az)
{
	const struct application_autoscaling_register_scalable_target_request *in = input;
	about(c, az, in->service_namespace, in->resource_id, in->scalable_dimension);
	if (!in->tags.n)
		return CALL_OK;
	add_request_tags(c, az, &in->tags);
	struct authz tagging = *az;
	tagging.action = S("application-autoscaling:TagResource");
	return call_authorize(c, &tagging) ? CALL_OK : CALL_FAIL;
}

static int about_arn(struct call *c, struct authz *az, struct str arn)
{
	struct appscale s = appscale_of_call(c);
	struct store_value v;
	az->resource = arn;
	if (!store_get(s.txn, appscale_id_key(&s, "target-id", str_from_at(arn, (size_t)str_rfind_char(arn, '/') + 1)), &v))
		return CALL_OK;
	struct str_list parts = record_key_parts(c->arena, v.value);
	return about(c, az, parts.v[4], parts.v[5], parts.v[6]);
}

static int about_tag(struct call *c, const void *input, struct authz *az)
{
	const struct application_autoscaling_tag_resource_request *in = input;
	about_arn(c, az, in->resource_arn);
	add_request_tags(c, az, &in->tags);
	return CALL_OK;
}

#define ABOUT(type, answer) \
	static int about_##type(struct call *c, const void *input, struct authz *az) \
	{ \
		const struct application_autoscaling_##type##_request *in = input; \
		return answer; \
	}
#define ABOUT_TARGET(type) ABOUT(type, about(c, az, in->service_namespace, in->resource_id, in->scalable_dimension))
ABOUT_TARGET(deregister_scalable_target)
ABOUT_TARGET(put_scaling_policy)
ABOUT_TARGET(delete_scaling_policy)
ABOUT_TARGET(put_scheduled_action)
ABOUT_TARGET(delete_scheduled_action)
ABOUT(untag_resource, about_arn(c, az, in->resource_arn))
ABOUT(list_tags_for_resource, about_arn(c, az, in->resource_arn))

/* --- the table */

#define ROW(c_name, name, ...) OP(application_autoscaling, c_name, name, ##__VA_ARGS__)
#define READ .flags = OP_READ
static const struct service_op ops[] = {
        ROW(delete_scaling_policy, DeleteScalingPolicy, .resource = about_delete_scaling_policy),
        ROW(delete_scheduled_action, DeleteScheduledAction, .resource = about_delete_scheduled_action),
        ROW(deregister_scalable_target, DeregisterScalableTarget, .resource = about_deregister_scalable_target),
        ROW(describe_scalable_targets, DescribeScalableTargets, READ),
        ROW(describe_scaling_activities, DescribeScalingActivities, READ),
        ROW(describe_scaling_policies, DescribeScalingPolicies, READ),
        ROW(describe_scheduled_actions, DescribeScheduledActions, READ),
        ROW(list_tags_for_resource, ListTagsForResource, READ, .resource = about_list_tags_for_resource),
        ROW(put_scaling_policy, PutScalingPolicy, .resource = about_put_scaling_policy, .missing = "predictive scaling"),
        ROW(put_scheduled_action, PutScheduledAction, .resource = about_put_scheduled_action),
        ROW(register_scalable_target, RegisterScalableTarget, .resource = about_register,
            .missing = "other resources than services of ECS and provisioned concurrency of Lambda"),
        ROW(tag_resource, TagResource, .resource = about_tag),
        ROW(untag_resource, UntagResource, .resource = about_untag_resource),
};

static int start(struct cloud *cloud, void **ret_state)
{
	*ret_state = appscale_keepers_new(cloud);
	return 0;
}

static void stop(void *state)
{
	appscale_keepers_free(state);
}

const struct service application_autoscaling_service = {
        .api = &application_autoscaling_api,
        .iam_prefix = "application-autoscaling",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(*ops),
        .alarm_actions = &appscale_alarm_action,
        .alarm_action_count = 1,
        .start = start,
        .stop = stop,
};

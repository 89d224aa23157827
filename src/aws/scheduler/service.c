#include "rows.h"

/* --- what permissions are about */

static int about_schedule(struct call *c, struct authz *az, struct str group, struct str name)
{
	const struct schedule s = {
	        .account = c->account, .region = c->region, .group = str_set(group) ? group : S("default"), .name = name};
	az->resource = schedule_arn(c->arena, &s);
	return CALL_OK;
}

static int about_group(struct call *c, struct authz *az, struct str name)
{
	az->resource = group_arn(c, name);
	return CALL_OK;
}

static int about_arn(struct call *c, struct authz *az, struct str arn)
{
	(void)c;
	az->resource = arn;
	return CALL_OK;
}

#define ABOUT(type, answer) \
	static int about_##type(struct call *c, const void *input, struct authz *az) \
	{ \
		const struct scheduler_##type##_input *in = input; \
		return answer; \
	}
ABOUT(create_schedule, about_schedule(c, az, in->group_name, in->name))
ABOUT(update_schedule, about_schedule(c, az, in->group_name, in->name))
ABOUT(get_schedule, about_schedule(c, az, in->group_name, in->name))
ABOUT(delete_schedule, about_schedule(c, az, in->group_name, in->name))
ABOUT(create_schedule_group, about_group(c, az, in->name))
ABOUT(get_schedule_group, about_group(c, az, in->name))
ABOUT(delete_schedule_group, about_group(c, az, in->name))
ABOUT(tag_resource, about_arn(c, az, in->resource_arn))
ABOUT(untag_resource, about_arn(c, az, in->resource_arn))
ABOUT(list_tags_for_resource, about_arn(c, az, in->resource_arn))

/* --- the table */

#define MISSING "universal targets, KMS keys; targets other than functions, queues, topics, buses and tasks of ECS"
static const struct service_op ops[] = {
        OP(scheduler, create_schedule, CreateSchedule, .resource = about_create_schedule, .missing = MISSING),
        OP(scheduler, create_schedule_group, CreateScheduleGroup, .resource = about_create_schedule_group),
        OP(scheduler, delete_schedule, DeleteSchedule, .resource = about_delete_schedule),
        OP(scheduler, delete_schedule_group, DeleteScheduleGroup, .resource = about_delete_schedule_group),
        OP(scheduler, get_schedule, GetSchedule, .resource = about_get_schedule, .flags = OP_READ),
        OP(scheduler, get_schedule_group, GetScheduleGroup, .resource = about_get_schedule_group, .flags = OP_READ),
        OP(scheduler, list_schedule_groups, ListScheduleGroups, .flags = OP_READ),
        OP(scheduler, list_schedules, ListSchedules, .flags = OP_READ),
        OP(scheduler, list_tags_for_resource, ListTagsForResource, .resource = about_list_tags_for_resource, .flags = OP_READ),
        OP(scheduler, tag_resource, TagResource, .resource = about_tag_resource),
        OP(scheduler, untag_resource, UntagResource, .resource = about_untag_resource),
        OP(scheduler, update_schedule, UpdateSchedule, .resource = about_update_schedule, .missing = MISSING),
};

static int scheduler_start(struct cloud *cloud, void **ret_state)
{
	*ret_state = schedule_keeper_new(cloud);
	return 0;
}

static void scheduler_stop(void *state)
{
	schedule_keeper_free(state);
}

const struct service scheduler_service = {
        .api = &scheduler_api,
        .iam_prefix = "scheduler",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(ops[0]),
        .start = scheduler_start,
        .stop = scheduler_stop,
};

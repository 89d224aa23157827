/* What EventBridge is told: changes of tasks, container instances, services and their deployments, written in the transaction that
 * changes them. What has changed is seen by the record as it is. */
#include "container_instance.h"
#include "scheduled.h"

#include "aws/events/events.h"
#include "base/clock.h"

enum { DETAIL_MAX = 1 << 20 };

static void tell(const struct ecs_scope *s, const char *type, struct str resource, struct str detail)
{
	const struct events_news news = {.account = s->account,
	                                 .region = s->region,
	                                 .source = S("aws.ecs"),
	                                 .type = str_from(type),
	                                 .resource = resource,
	                                 .detail = detail,
	                                 .at_ms = clock_wall_ms()};
	events_tell(s->txn, s->arena, &news);
}

static struct str shape_of(const struct ecs_scope *s, const char *shape, const void *value)
{
	struct buf CLEAN_BUF b = {0};
	buf_init(&b, DETAIL_MAX);
	struct json_out j = json_out(&b);
	events_put_shape(&j, &ecs_api, shape, value);
	return arena_dup(s->arena, buf_str(&b));
}

/* --- tasks and container instances: the whole of them, as Describe shows it */

static bool containers_same(const struct ecs_task *a, const struct ecs_task *b)
{
	for (uint32_t i = 0; i < a->containers.n && i < b->containers.n; i++)
		if (!str_eq(a->containers.v[i].last_status, b->containers.v[i].last_status))
			return false;
	return a->containers.n == b->containers.n;
}

void ecs_tell_task(const struct ecs_scope *s, const struct state_ecs_task_record *r)
{
	struct state_ecs_task_record before = {0};
	if (!events_heard(s->account, s->region))
		return;
	if (ecs_task_find(s, r->cluster, r->id, &before) && str_eq(before.task->last_status, r->task->last_status) &&
	    str_eq(before.task->desired_status, r->task->desired_status) &&
	    str_eq(before.task->health_status, r->task->health_status) && containers_same(before.task, r->task))
		return;
	tell(s, "ECS Task State Change", r->task->task_arn, shape_of(s, "Task", r->task));
}

void ecs_tell_instance(const struct ecs_scope *s, const struct state_ecs_instance_record *r)
{
	struct state_ecs_instance_record before = {0};
	if (!events_heard(s->account, s->region))
		return;
	if (ecs_instance_find(s, r->cluster, r->id, &before) && str_eq(before.instance->status, r->instance->status) &&
	    before.instance->agent_connected.v == r->instance->agent_connected.v &&
	    before.instance->running_tasks_count.v == r->instance->running_tasks_count.v &&
	    before.instance->pending_tasks_count.v == r->instance->pending_tasks_count.v)
		return;
	tell(s, "ECS Container Instance State Change", r->instance->container_instance_arn,
	     shape_of(s, "ContainerInstance", r->instance));
}

/* --- services: those of their messages that have a name, and how deployments go */

static const struct {
	const char *words, *kind, *name;
} named[] = {
        {"has reached a steady state.", "INFO", "SERVICE_STEADY_STATE"},
        {"was unable to place a task", "ERROR", "SERVICE_TASK_PLACEMENT_FAILURE"},
        {"is unable to consistently start tasks successfully", "WARN", "SERVICE_TASK_START_IMPAIRED"},
};

static void put(struct json_out *j, const char *key, struct str value)
{
	json_key(j, str_from(key));
	json_string(j, value);
}

static void tell_named(const struct ecs_scope *s, const struct ecs_service *v, const char *type, const char *kind, struct str name,
                       const char *key, struct str value, struct opt_time at, struct str reason)
{
	struct buf CLEAN_BUF b = {0};
	char when[40];
	buf_init(&b, DETAIL_MAX);
	struct json_out j = json_out(&b);
	time_format_to(when, at.ms, TIME_ISO8601_MS);
	json_open(&j, '{');
	put(&j, "eventType", str_from(kind));
	put(&j, "eventName", name);
	put(&j, key, value);
	put(&j, str_set(reason) ? "updatedAt" : "createdAt", str_from(when));
	if (str_set(reason))
		put(&j, "reason", reason);
	json_close(&j, '}');
	tell(s, type, v->service_arn, arena_dup(s->arena, buf_str(&b)));
}

static void tell_messages(const struct ecs_scope *s, const struct ecs_service *v, const struct ecs_service *before)
{
	struct str last = before && before->events.n ? before->events.v[0].id : STR_NONE;
	for (uint32_t i = 0; i < v->events.n && !str_eq(v->events.v[i].id, last); i++)
		for (size_t k = 0; k < sizeof(named) / sizeof(*named); k++)
			if (str_find(v->events.v[i].message, str_from(named[k].words)) >= 0)
				tell_named(s, v, "ECS Service Action", named[k].kind, str_from(named[k].name), "clusterArn",
				           v->cluster_arn, v->events.v[i].created_at, STR_NONE);
}

static struct str rollout_before(const struct ecs_service *before, struct str id)
{
	for (uint32_t i = 0; before && i < before->deployments.n; i++)
		if (str_eq(before->deployments.v[i].id, id))
			return before->deployments.v[i].rollout_state;
	return STR_NONE;
}

static void tell_deployments(const struct ecs_scope *s, const struct ecs_service *v, const struct ecs_service *before)
{
	for (uint32_t i = 0; i < v->deployments.n; i++) {
		const struct ecs_deployment *d = &v->deployments.v[i];
		if (!str_set(d->rollout_state) || str_eq(d->rollout_state, rollout_before(before, d->id)))
			continue;
		tell_named(s, v, "ECS Deployment State Change", str_is(d->rollout_state, "FAILED") ? "ERROR" : "INFO",
		           ARENA_CAT(s->arena, S("SERVICE_DEPLOYMENT_"), d->rollout_state), "deploymentId", d->id,
		           OPT_TIME(clock_wall_ms()), str_set(d->rollout_state_reason) ? d->rollout_state_reason : S(""));
	}
}

void ecs_tell_service(const struct ecs_scope *s, const struct state_ecs_service_record *r)
{
	struct state_ecs_service_record before = {0};
	if (!events_heard(s->account, s->region))
		return;
	bool there = ecs_service_find(s, r->cluster, r->name, &before);
	tell_messages(s, r->service, there ? before.service : NULL);
	tell_deployments(s, r->service, there ? before.service : NULL);
}

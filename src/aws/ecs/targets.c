/* Tasks of services as targets of load balancers. A task joins its target groups in the transaction that makes it run, and leaves
 * them in the one that lets it end; its containers hear of that when its targets have drained. */
#include "aws/elbv2/elbv2.h"
#include "base/clock.h"
#include "container_instance.h"

static struct elbv2_scope groups(const struct ecs_scope *s, int64_t now_ms)
{
	return (struct elbv2_scope){.txn = s->txn, .arena = s->arena, .account = s->account, .region = s->region, .now_ms = now_ms};
}

static int64_t published_port(const struct ecs_task *t, const struct ecs_load_balancer *b)
{
	for (uint32_t i = 0; i < t->containers.n; i++)
		for (uint32_t k = 0; k < t->containers.v[i].network_bindings.n; k++) {
			const struct ecs_network_binding *at = &t->containers.v[i].network_bindings.v[k];
			if (str_eq(t->containers.v[i].name, b->container_name) && at->container_port.v == b->container_port.v)
				return at->host_port.v;
		}
	return 0;
}

bool ecs_task_target(const struct ecs_scope *s, const struct state_ecs_task_record *r, const struct ecs_load_balancer *b,
                     struct elbv2_target *ret)
{
	struct state_ecs_instance_record at = {0};
	*ret = (struct elbv2_target){
	        .id = ecs_task_address(r->task), .zone = r->task->availability_zone, .port = b->container_port.v};
	if (str_set(ret->id) || !ecs_task_is_remote(r->task))
		return str_set(ret->id);
	if (!ecs_instance_find(s, r->cluster, ecs_task_instance(r->task), &at))
		return false;
	ret->id = at.instance->ec2_instance_id;
	ret->port = published_port(r->task, b);
	return ret->port > 0;
}

void ecs_targets_join(const struct ecs_scope *s, struct state_ecs_task_record *r)
{
	struct elbv2_scope to = groups(s, clock_wall_ms());
	if (!r->balancers.n || r->targeted.v || ecs_task_status(r->task) != ECS_RUNNING ||
	    !str_is(r->task->desired_status, "RUNNING"))
		return;
	for (uint32_t i = 0; i < r->balancers.n; i++) {
		struct elbv2_target t;
		if (ecs_task_target(s, r, &r->balancers.v[i], &t))
			elbv2_register(&to, r->balancers.v[i].target_group_arn, &t);
	}
	r->targeted = OPT_BOOL(true);
}

void ecs_targets_leave(const struct ecs_scope *s, struct state_ecs_task_record *r, int64_t now_ms)
{
	struct elbv2_scope from = groups(s, now_ms);
	int64_t until_ms = 0;
	if (!r->targeted.v)
		return;
	for (uint32_t i = 0; i < r->balancers.n; i++) {
		struct elbv2_target t;
		int64_t one_ms = ecs_task_target(s, r, &r->balancers.v[i], &t)
		                         ? elbv2_deregister(&from, r->balancers.v[i].target_group_arn, &t)
		                         : 0;
		until_ms = one_ms > until_ms ? one_ms : until_ms;
	}
	r->targeted = OPT_BOOL(false);
	/* What has ended by itself serves nobody any more. */
	bool asked = str_is(r->task->stop_code, "UserInitiated") || str_is(r->task->stop_code, "ServiceSchedulerInitiated");
	if (until_ms && asked)
		r->drain_until = OPT_TIME(until_ms);
}

bool ecs_task_drains(const struct state_ecs_task_record *r, int64_t now_ms)
{
	return r->drain_until.set && r->drain_until.ms > now_ms && ecs_task_status(r->task) == ECS_DEACTIVATING;
}

/* Capacity providers of Auto Scaling groups. Private to aws/ecs.
 *
 * A record lies under ("ecs", "provider", account, region, name): AWS's own structure, which cluster it is associated with, and the
 * name of the policy that scales its group. A task that is run by a strategy and finds no room waits in PROVISIONING, without a
 * container instance. provider_keep.c has a manager for each provider: it measures how much of its instances is needed, has the
 * group scaled by that, protects who is needed, drains who ends, and has waiting tasks placed when there is room. */
#pragma once
#include "rows.h"
#include "task.h"

/* --- provider.c */
bool ecs_provider_builtin(struct str name); /* FARGATE, FARGATE_SPOT */
bool ecs_provider_find(const struct ecs_scope *s, struct str name, struct state_ecs_provider_record *ret);
bool ecs_provider_read(struct arena *a, struct str value, struct state_ecs_provider_record *ret);
void ecs_provider_put(const struct ecs_scope *s, const struct state_ecs_provider_record *r);
void ecs_provider_drop(const struct ecs_scope *s, struct str name);
/* The provider of the cluster whose group an instance is in; absent: none. */
struct str ecs_provider_of(const struct ecs_scope *s, const struct ecs_cluster *cluster, struct str ec2_id);
/* The cluster has these from now on, and no others. CALL_FAIL: one of them is another cluster's. */
int ecs_providers_associate(struct call *c, struct str cluster, const struct str_list *before, const struct str_list *now);
/* Does it run on container instances? Of a strategy, whose providers are all of one kind. */
bool ecs_strategy_on_instances(const struct ecs_capacity_provider_strategy *s);
static inline bool ecs_provider_scales(const struct state_ecs_provider_record *r)
{
	return str_is(r->provider->auto_scaling_group_provider->managed_scaling->status, "ENABLED");
}
/* Does the task wait for an instance? */
static inline bool ecs_task_waits(const struct ecs_task *t)
{
	return str_is(t->launch_type, "EC2") && !str_set(t->container_instance_arn);
}

/* --- provider_need.c: how many instances a provider's tasks need, without effects */
struct provider_size {
	int64_t cpu, memory;
};
/* used: instances with tasks; waiting: sizes of tasks that have no place; each: of an instance, 0: not known. */
int64_t provider_needed(int64_t used, const struct provider_size *waiting, uint32_t count, const struct provider_size *each);
/* What is reported when so many are needed and so many are there, with the least and the greatest step. */
double provider_reservation(int64_t needed, int64_t there, int64_t least, int64_t most);

/* --- provider_keep.c */
struct crew;
struct managers;
struct managers *managers_new(struct crew *crew);
void managers_free(struct managers *m);
/* Something has changed that no record says: agents have come or gone. NULL is harmless. */
void managers_mark(struct managers *m, struct str account, struct str region);

ecs_create_capacity_provider_handler ecs_create_capacity_provider;
ecs_update_capacity_provider_handler ecs_update_capacity_provider;
ecs_delete_capacity_provider_handler ecs_delete_capacity_provider;

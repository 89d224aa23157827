/* ECS's face for other services: services as those see them that scale them, and the engine of tasks, which others run tasks of
 * their own by. What is given lives in the arena. */
#pragma once
#include "core/call.h"

struct ecs_service_seen {
	int64_t desired, running;
	bool daemon, deploying;        /* deploying: a deployment is under way */
	struct str_list target_groups; /* ARNs of those that its tasks are targets in */
};
/* False: there is none such that is active. */
bool ecs_see_service(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str cluster,
                     struct str name, struct ecs_service_seen *ret);
/* fn is called for every change of a service's record. */
typedef void ecs_service_changed_fn(void *ctx, struct str account, struct str region, struct str cluster, struct str name);
struct ecs_services_watch;
struct ecs_services_watch *ecs_watch_services(struct cloud *cloud, ecs_service_changed_fn *fn, void *ctx);
void ecs_unwatch_services(struct ecs_services_watch *w); /* NULL is harmless */

struct tasks;
/* NULL: this machine has no sandboxes. Valid from ECS's start to its stop, which is after those of services that start later. */
struct tasks *ecs_tasks(const struct cloud *cloud);

/* Task sets are how an external controller deploys a service, and no service of this cloud has one (CreateService refuses it). So
 * all that can be said of them is what ECS says of a service that it deploys itself. */
#include "scheduled.h"

static int refuse(struct call *c, struct str cluster, struct str service)
{
	struct ecs_cluster found = {0};
	struct ecs_scope s = ecs_scope(c);
	struct state_ecs_service_record r = {0};
	if (ecs_cluster_get(c, cluster, &found) != CALL_OK)
		return CALL_FAIL;
	struct str name = ecs_service_name(c, found.cluster_name, service);
	if (!str_set(name) || !ecs_service_find(&s, found.cluster_name, name, &r))
		return call_fail(c, "ServiceNotFoundException", 400, "Service not found.");
	if (!str_is(r.service->status, "ACTIVE"))
		return call_fail(c, "ServiceNotActiveException", 400, "Service was not ACTIVE.");
	return ecs_invalid(
	        c, "Amazon ECS only supports task set management on services configured to use external deployment controllers.");
}

int ecs_create_task_set(struct call *c, const struct ecs_create_task_set_request *in, struct ecs_create_task_set_response *out)
{
	(void)out;
	return refuse(c, in->cluster, in->service);
}

int ecs_update_task_set(struct call *c, const struct ecs_update_task_set_request *in, struct ecs_update_task_set_response *out)
{
	(void)out;
	return refuse(c, in->cluster, in->service);
}

int ecs_delete_task_set(struct call *c, const struct ecs_delete_task_set_request *in, struct ecs_delete_task_set_response *out)
{
	(void)out;
	return refuse(c, in->cluster, in->service);
}

int ecs_describe_task_sets(struct call *c, const struct ecs_describe_task_sets_request *in,
                           struct ecs_describe_task_sets_response *out)
{
	(void)out;
	return refuse(c, in->cluster, in->service);
}

int ecs_update_service_primary_task_set(struct call *c, const struct ecs_update_service_primary_task_set_request *in,
                                        struct ecs_update_service_primary_task_set_response *out)
{
	(void)out;
	return refuse(c, in->cluster, in->service);
}

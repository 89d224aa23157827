/* The API that our container agent polls; the rest of what it calls is ECS's own. */
#include "agent.h"

static int about_poll(struct call *c, const void *input, struct authz *az)
{
	const struct ecs_agent_poll_request *in = input;
	struct ecs_scope s = ecs_scope(c);
	struct str cluster = ecs_cluster_name(c, in->cluster),
	           id = str_set(cluster) ? ecs_instance_id(c, cluster, in->container_instance) : STR_NONE;
	az->resource = str_set(id) ? ecs_instance_arn(c->arena, &s, cluster, id) : in->container_instance;
	if (str_set(cluster))
		authz_add(c, az, "ecs:cluster", ecs_cluster_arn(c, cluster));
	return CALL_OK;
}

static const struct service_op ops[] = {OP(ecs_agent, place_task, PlaceTask), OP(ecs_agent, poll, Poll, .resource = about_poll)};

const struct service ecs_agent_service = {
        .api = &ecs_agent_api,
        .iam_prefix = "ecs",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(ops[0]),
};

#include "resource.h"

#include "aws/ecs/ecs.h"
#include "gen/ecs.h"

/* --- services of ECS: service/CLUSTER/NAME */

static bool ecs_parts(struct str id, struct str *ret_cluster, struct str *ret_name)
{
	struct str rest = id;
	if (!str_eq(str_cut(&rest, '/'), S("service")) || !str_set(rest))
		return false;
	*ret_cluster = str_cut(&rest, '/');
	*ret_name = rest;
	return rest.n > 0 && str_find_char(rest, '/') < 0;
}

static void ecs_see(const struct appscale *s, struct str id, struct resource_seen *ret)
{
	struct str cluster, name;
	struct ecs_service_seen seen;
	*ret = (struct resource_seen){0};
	if (!ecs_parts(id, &cluster, &name) || !ecs_see_service(s->txn, s->arena, s->account, s->region, cluster, name, &seen))
		return;
	*ret = (struct resource_seen){.there = true, .wanted = seen.desired, .running = seen.running, .moves = seen.deploying};
	ret->target_groups = seen.target_groups;
	if (seen.daemon)
		ret->refused = S("The desired count of a service with the scheduling strategy DAEMON cannot be scaled.");
}

static void ecs_dimensions(struct arena *a, struct str id, struct cloudwatch_dimensions *ret)
{
	struct str cluster, name;
	if (!ecs_parts(id, &cluster, &name))
		return;
	*LIST_ADD(a, ret) = (struct cloudwatch_dimension){S("ClusterName"), cluster};
	*LIST_ADD(a, ret) = (struct cloudwatch_dimension){S("ServiceName"), name};
}

static void ecs_set(struct cloud *cloud, const struct principal *as, struct str region, struct str id, int64_t count,
                    call_done_fn *done, void *ctx)
{
	struct ecs_update_service_request in = {.desired_count = OPT_INT(count)};
	ecs_parts(id, &in.cluster, &in.service);
	call_op(cloud, as, region, &ecs_api, "UpdateService", &in, done, ctx);
}

static const struct resource_metric ecs_metrics[] = {
        {"ECSServiceAverageCPUUtilization", "AWS/ECS", "CPUUtilization", "Percent"},
        {"ECSServiceAverageMemoryUtilization", "AWS/ECS", "MemoryUtilization", "Percent"},
        {0},
};

/* --- */

static const struct resource_kind kinds[] = {
        {.namespace = "ecs",
         .dimension = "ecs:service:DesiredCount",
         .what = "desired count",
         .missing = "ECS service doesn't exist: ",
         .head = "0ec5",
         .linked = "ecs.application-autoscaling.amazonaws.com",
         .role = "AWSServiceRoleForApplicationAutoScaling_ECSService",
         .most = 3000,
         .cooldown_s = 300,
         .metrics = ecs_metrics,
         .see = ecs_see,
         .add_dimensions = ecs_dimensions,
         .set = ecs_set},
};

const struct resource_kind *resource_kind_of(struct str namespace, struct str dimension)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (str_is(namespace, kinds[i].namespace) && str_is(dimension, kinds[i].dimension))
			return &kinds[i];
	return NULL;
}

void resource_see(const struct appscale *s, const struct resource *of, struct resource_seen *ret)
{
	of->kind->see(s, of->id, ret);
}

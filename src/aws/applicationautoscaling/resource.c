#include "resource.h"

#include "aws/ecs/ecs.h"
#include "aws/lambda/lambda.h"
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

/* --- provisioned concurrency of Lambda: function:NAME:QUALIFIER */

static bool lambda_parts(struct str id, struct str *ret_name, struct str *ret_qualifier)
{
	struct str rest = id;
	if (!str_eq(str_cut(&rest, ':'), S("function")) || !str_set(rest))
		return false;
	*ret_name = str_cut(&rest, ':');
	*ret_qualifier = rest;
	return ret_name->n > 0 && str_set(rest) && rest.n > 0 && str_find_char(rest, ':') < 0;
}

static void lambda_see(const struct appscale *s, struct str id, struct resource_seen *ret)
{
	struct str name, qualifier;
	struct lambda_provisioned_seen seen;
	*ret = (struct resource_seen){0};
	if (!lambda_parts(id, &name, &qualifier))
		return;
	lambda_see_provisioned(s->txn, s->arena, s->cloud, s->account, s->region, name, qualifier, &seen);
	*ret = (struct resource_seen){.there = seen.there, .wanted = seen.wanted, .running = seen.ready};
}

static void lambda_dimensions(struct arena *a, struct str id, struct cloudwatch_dimensions *ret)
{
	struct str name, qualifier;
	if (!lambda_parts(id, &name, &qualifier))
		return;
	*LIST_ADD(a, ret) = (struct cloudwatch_dimension){S("FunctionName"), name};
	*LIST_ADD(a, ret) = (struct cloudwatch_dimension){S("Resource"), ARENA_CAT(a, name, S(":"), qualifier)};
}

/* None at all is no number of them. */
static void lambda_set(struct cloud *cloud, const struct principal *as, struct str region, struct str id, int64_t count,
                       call_done_fn *done, void *ctx)
{
	struct lambda_put_provisioned_concurrency_config_request put = {.provisioned_concurrent_executions = OPT_INT(count)};
	struct lambda_delete_provisioned_concurrency_config_request drop = {0};
	lambda_parts(id, &put.function_name, &put.qualifier);
	drop.function_name = put.function_name;
	drop.qualifier = put.qualifier;
	if (count > 0)
		call_op(cloud, as, region, &lambda_api, "PutProvisionedConcurrencyConfig", &put, done, ctx);
	else
		call_op(cloud, as, region, &lambda_api, "DeleteProvisionedConcurrencyConfig", &drop, done, ctx);
}

static const struct resource_metric lambda_metrics[] = {
        {"LambdaProvisionedConcurrencyUtilization", "AWS/Lambda", "ProvisionedConcurrencyUtilization", NULL},
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
        {.namespace = "lambda",
         .dimension = "lambda:function:ProvisionedConcurrency",
         .what = "provisioned concurrency",
         .missing = "Unable to find the function alias or version: ",
         .head = "0lm5",
         .linked = "lambda.application-autoscaling.amazonaws.com",
         .role = "AWSServiceRoleForApplicationAutoScaling_LambdaConcurrency",
         .most = 3000,
         .poll_ms = 1000,
         .metrics = lambda_metrics,
         .see = lambda_see,
         .add_dimensions = lambda_dimensions,
         .set = lambda_set},
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

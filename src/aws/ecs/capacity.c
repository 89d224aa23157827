/* Capacity providers: FARGATE and FARGATE_SPOT, which are there without being made. PutClusterCapacityProviders,
 * DescribeCapacityProviders. */
#include "rows.h"

enum { STRATEGY_MAX = 20 };

static const char *const providers[] = {"FARGATE", "FARGATE_SPOT", NULL};

static bool provider_known(struct str name)
{
	for (const char *const *p = providers; *p; p++)
		if (str_is(name, *p))
			return true;
	return false;
}

static bool among(const struct str_list *list, struct str name)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (str_eq(list->v[i], name))
			return true;
	return false;
}

int ecs_strategy_check(struct call *c, const struct ecs_capacity_provider_strategy *s, const struct str_list *associated)
{
	unsigned bases = 0;
	int64_t weights = 0;
	for (uint32_t i = 0; i < associated->n; i++)
		if (!provider_known(associated->v[i]))
			return ecs_invalid(
			        c,
			        "The specified capacity provider '%.*s' was not found. Specify a valid name or ARN and try again.",
			        STR_ARG(associated->v[i]));
	if (s->n > STRATEGY_MAX)
		return ecs_invalid(c, "A capacity provider strategy can contain a maximum of %d capacity providers.", STRATEGY_MAX);
	for (uint32_t i = 0; i < s->n; i++) {
		const struct ecs_capacity_provider_strategy_item *item = &s->v[i];
		if (!among(associated, item->capacity_provider))
			return ecs_invalid(
			        c,
			        "The specified capacity provider strategy contains a capacity provider that is not associated with the "
			        "cluster. Associate the capacity provider with the cluster and try again.");
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(s->v[k].capacity_provider, item->capacity_provider))
				return ecs_invalid(c, "A capacity provider strategy cannot contain duplicate capacity providers.");
		bases += item->base.v > 0;
		weights += item->weight.v;
	}
	if (bases > 1)
		return ecs_invalid(c, "A capacity provider strategy can have only one capacity provider with a defined base.");
	if (s->n > 1 && !weights)
		return ecs_invalid(
		        c,
		        "A capacity provider strategy must contain at least one capacity provider with a weight greater than 0.");
	return CALL_OK;
}

int ecs_put_cluster_capacity_providers(struct call *c, const struct ecs_put_cluster_capacity_providers_request *in,
                                       struct ecs_put_cluster_capacity_providers_response *out)
{
	struct ecs_cluster cluster = {0};
	if (ecs_cluster_get(c, in->cluster, &cluster) != CALL_OK ||
	    ecs_strategy_check(c, &in->default_capacity_provider_strategy, &in->capacity_providers) != CALL_OK)
		return CALL_FAIL;
	cluster.capacity_providers = in->capacity_providers;
	cluster.default_capacity_provider_strategy = in->default_capacity_provider_strategy;
	ecs_cluster_put(c, &cluster);
	out->cluster = arena_new(c->arena, struct ecs_cluster);
	*out->cluster = cluster;
	out->cluster->capacity_providers.set = out->cluster->default_capacity_provider_strategy.set = true;
	return CALL_OK;
}

int ecs_describe_capacity_providers(struct call *c, const struct ecs_describe_capacity_providers_request *in,
                                    struct ecs_describe_capacity_providers_response *out)
{
	uint32_t limit;
	out->capacity_providers.set = out->failures.set = true;
	if (ecs_page_size(c, in->max_results, 10, &limit) != CALL_OK)
		return CALL_FAIL;
	if (in->next_token.n && !provider_known(in->next_token))
		return ecs_invalid(c, "Invalid token in ListRequest");
	bool behind = !in->next_token.n;
	for (const char *const *p = providers; *p; p++) {
		struct str name = str_from(*p), arn = ecs_arn(c, ARENA_CAT(c->arena, S("capacity-provider/"), name));
		if (in->capacity_providers.n && !among(&in->capacity_providers, name) && !among(&in->capacity_providers, arn))
			continue;
		if (!behind) {
			behind = str_eq(name, in->next_token);
			continue;
		}
		if (out->capacity_providers.n == limit) {
			out->next_token = out->capacity_providers.v[limit - 1].name;
			break;
		}
		struct ecs_capacity_provider *shown = LIST_ADD(c->arena, &out->capacity_providers);
		*shown = (struct ecs_capacity_provider){.capacity_provider_arn = arn, .name = name, .status = S("ACTIVE")};
		shown->tags.set = true;
	}
	for (uint32_t i = 0; i < in->capacity_providers.n; i++)
		if (!provider_known(ecs_of_arn(c, "capacity-provider", in->capacity_providers.v[i])))
			ecs_failure(c, &out->failures, in->capacity_providers.v[i], "MISSING");
	return CALL_OK;
}

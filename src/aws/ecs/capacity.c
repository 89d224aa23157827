/* Which capacity providers a cluster has, and what strategies may be: FARGATE and FARGATE_SPOT are there without being made.
 * PutClusterCapacityProviders, DescribeCapacityProviders. */
#include "provider.h"

enum { STRATEGY_MAX = 20 };

static const char *const providers[] = {"FARGATE", "FARGATE_SPOT", NULL};

static bool provider_known(struct call *c, struct str name)
{
	struct ecs_scope s = ecs_scope(c);
	struct state_ecs_provider_record r;
	return ecs_provider_builtin(name) || (ecs_provider_find(&s, name, &r) && str_is(r.provider->status, "ACTIVE"));
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
		if (!provider_known(c, associated->v[i]))
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
		if (ecs_provider_builtin(item->capacity_provider) != ecs_provider_builtin(s->v[0].capacity_provider))
			return ecs_invalid(
			        c, "A capacity provider strategy cannot contain a mix of capacity providers using Auto Scaling "
			           "groups and Fargate providers. Specify one or the other and try again.");
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
	    ecs_strategy_check(c, &in->default_capacity_provider_strategy, &in->capacity_providers) != CALL_OK ||
	    ecs_providers_associate(c, cluster.cluster_name, &cluster.capacity_providers, &in->capacity_providers) != CALL_OK)
		return CALL_FAIL;
	cluster.capacity_providers = in->capacity_providers;
	cluster.default_capacity_provider_strategy = in->default_capacity_provider_strategy;
	ecs_cluster_put(c, &cluster);
	out->cluster = arena_new(c->arena, struct ecs_cluster);
	*out->cluster = cluster;
	out->cluster->capacity_providers.set = out->cluster->default_capacity_provider_strategy.set = true;
	return CALL_OK;
}

/* Those that were made, behind the two that are always there. */
static struct ecs_capacity_providers all_providers(struct call *c)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_capacity_providers all = {0};
	struct str under = KEY_UNDER(c->arena, S("ecs"), S("provider"), c->account, c->region), key;
	for (const char *const *p = providers; *p; p++) {
		struct str name = str_from(*p);
		*LIST_ADD(c->arena, &all) = (struct ecs_capacity_provider){
		        .capacity_provider_arn = ecs_arn(c, ARENA_CAT(c->arena, S("capacity-provider/"), name)),
		        .name = name,
		        .status = S("ACTIVE")};
	}
	struct store_iter *iter = store_scan(s.txn, under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	while (store_next(iter, &key, &v)) {
		struct state_ecs_provider_record r = {0};
		if (ecs_provider_read(c->arena, v.value, &r))
			*LIST_ADD(c->arena, &all) = *r.provider;
	}
	return all;
}

int ecs_describe_capacity_providers(struct call *c, const struct ecs_describe_capacity_providers_request *in,
                                    struct ecs_describe_capacity_providers_response *out)
{
	uint32_t limit;
	bool tags = false;
	struct ecs_capacity_providers all = all_providers(c);
	out->capacity_providers.set = out->failures.set = true;
	if (ecs_page_size(c, in->max_results, 10, &limit) != CALL_OK)
		return CALL_FAIL;
	bool behind = !in->next_token.n, known = behind;
	for (uint32_t i = 0; i < all.n; i++)
		known |= str_eq(all.v[i].name, in->next_token);
	if (!known)
		return ecs_invalid(c, "Invalid token in ListRequest");
	for (uint32_t i = 0; i < in->include.n; i++)
		tags |= str_is(in->include.v[i], "TAGS");
	for (uint32_t i = 0; i < all.n; i++) {
		struct ecs_capacity_provider *p = &all.v[i];
		if (in->capacity_providers.n && !among(&in->capacity_providers, p->name) &&
		    !among(&in->capacity_providers, p->capacity_provider_arn))
			continue;
		if (!behind) {
			behind = str_eq(p->name, in->next_token);
			continue;
		}
		if (out->capacity_providers.n == limit) {
			out->next_token = out->capacity_providers.v[limit - 1].name;
			break;
		}
		struct ecs_capacity_provider *shown = LIST_ADD(c->arena, &out->capacity_providers);
		*shown = *p;
		if (!tags)
			shown->tags = (struct ecs_tags){0};
		shown->tags.set = true;
	}
	for (uint32_t i = 0; i < in->capacity_providers.n; i++) {
		bool there = false;
		for (uint32_t k = 0; k < all.n && !there; k++)
			there = str_eq(ecs_of_arn(c, "capacity-provider", in->capacity_providers.v[i]), all.v[k].name);
		if (!there)
			ecs_failure(c, &out->failures, in->capacity_providers.v[i], "MISSING");
	}
	return CALL_OK;
}

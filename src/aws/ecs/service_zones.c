/* A service's tasks over the zones of its subnets: new ones go where the fewest are, and where that is not enough, one is started
 * there before one goes elsewhere. */
#include "aws/ec2/ec2.h"
#include "rollout.h"
#include "service_instance.h"

static bool has(const struct str *zones, uint32_t n, struct str zone)
{
	for (uint32_t i = 0; i < n; i++)
		if (str_eq(zones[i], zone))
			return true;
	return false;
}

struct service_zones service_zones(const struct service_look *l, const struct ecs_scope *s,
                                   const struct state_ecs_service_record *r, const struct ecs_network_configuration *network,
                                   const struct service_view *view)
{
	struct service_zones all = {0};
	struct str instances[ZONES_MAX];
	bool remote = service_on_instances(r->service);
	uint32_t n = remote ? service_instance_zones(l, s, r, instances, ZONES_MAX) : 0;
	const struct ecs_aws_vpc_configuration *v = network ? network->awsvpc_configuration : NULL;
	for (uint32_t i = 0; v && i < v->subnets.n && all.n < ZONES_MAX; i++) {
		struct str zone = ec2_subnet_zone(s->txn, s->arena, s->account, s->region, v->subnets.v[i]);
		uint32_t at = 0;
		while (at < all.n && !str_eq(all.zone[at], zone))
			at++;
		if (!str_set(zone) || at < all.n || (remote && !has(instances, n, zone)))
			continue;
		all.zone[at] = zone;
		all.subnet[at] = v->subnets.v[i];
		all.n++;
	}
	for (uint32_t i = 0; !v && i < n; i++)
		all.zone[all.n++] = instances[i];
	for (uint32_t i = 0; i < view->n; i++)
		for (uint32_t k = 0; k < all.n; k++)
			if (view->v[i].deployment == 0 && str_is(view->v[i].record.task->desired_status, "RUNNING") &&
			    str_eq(view->v[i].record.task->availability_zone, all.zone[k]))
				all.tasks[k]++;
	return all;
}

struct ecs_network_configuration *service_zone_subnets(struct arena *a, const struct ecs_network_configuration *network,
                                                       struct service_zones zones, int64_t count)
{
	struct ecs_network_configuration *n = arena_new(a, struct ecs_network_configuration);
	struct ecs_aws_vpc_configuration *v = arena_new(a, struct ecs_aws_vpc_configuration);
	struct str_list subnets = {0};
	*n = *network;
	*v = *network->awsvpc_configuration;
	for (int64_t i = 0; i < count; i++) {
		uint32_t at = zones_least(zones.tasks, zones.n);
		zones.tasks[at]++;
		*LIST_ADD(a, &subnets) = zones.subnet[at];
	}
	v->subnets = subnets;
	n->awsvpc_configuration = v;
	return n;
}

static struct str counts(struct arena *a, const struct service_zones *zones)
{
	struct str text = S("");
	for (uint32_t i = 0; i < zones->n; i++)
		text = arena_printf(a, "%.*s%s%lld tasks in %.*s", STR_ARG(text),
		                    !i                  ? ""
		                    : i + 1 == zones->n ? ", and "
		                                        : ", ",
		                    (long long)zones->tasks[i], STR_ARG(zones->zone[i]));
	return text;
}

static bool may(const struct state_ecs_service_record *r, const struct rollout_view *roll)
{
	const struct ecs_service *v = r->service;
	return str_is(v->availability_zone_rebalancing, "ENABLED") && str_is(v->status, "ACTIVE") && v->deployments.n == 1 &&
	       str_is(v->deployments.v[0].rollout_state, "COMPLETED") && !roll->primary.unhealthy && roll->desired > 1 &&
	       roll->desired * roll->maximum_percent / 100 > roll->desired;
}

void service_rebalance(const struct service_look *l, const struct ecs_scope *s, struct state_ecs_service_record *r,
                       const struct service_view *view, struct rollout_view *roll, int64_t now_ms)
{
	int64_t there = roll->primary.pending + roll->primary.settling + roll->primary.healthy;
	struct service_zones zones =
	        may(r, roll) ? service_zones(l, s, r, r->service->network_configuration, view) : (struct service_zones){0};
	if (!zones.n) {
		r->rebalancing = STR_NONE;
		r->unbalanced = OPT_BOOL(false);
		return;
	}
	if (str_set(r->rebalancing) && roll->primary.healthy > roll->desired) {
		r->rebalancing = STR_NONE; /* the new one serves: now one of the fullest zone goes */
		return;
	}
	bool steady = roll->primary.healthy == roll->desired && there == roll->desired;
	if (!str_set(r->rebalancing) && steady && zones_uneven(zones.tasks, zones.n)) {
		uint32_t most = zones_most(zones.tasks, zones.n);
		bool one = false; /* that may go */
		for (uint32_t i = 0; i < view->n; i++)
			one = one || (!view->v[i].protected && str_eq(view->v[i].record.task->availability_zone, zones.zone[most]));
		if (!one)
			return;
		if (!r->unbalanced.v)
			ecs_service_event(s->arena, r, now_ms, "is not AZ balanced with %.*s. AZ Rebalancing in progress.",
			                  STR_ARG(counts(s->arena, &zones)));
		r->unbalanced = OPT_BOOL(true);
		r->rebalancing = zones.zone[zones_least(zones.tasks, zones.n)];
	} else if (!str_set(r->rebalancing) && steady && r->unbalanced.v) {
		r->unbalanced = OPT_BOOL(false);
		ecs_service_event(s->arena, r, now_ms, "is AZ balanced with %.*s.", STR_ARG(counts(s->arena, &zones)));
	}
	if (str_set(r->rebalancing))
		roll->desired++;
}

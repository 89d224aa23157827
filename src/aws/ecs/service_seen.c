/* What other services see of ours. They change nothing here: that is what operations are for. */
#include "aws/ecs/ecs.h"
#include "scheduled.h"
#include "service_instance.h"

#include <stdlib.h>

bool ecs_see_service(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str cluster,
                     struct str name, struct ecs_service_seen *ret)
{
	struct ecs_scope s = {.txn = t, .arena = a, .account = account, .region = region};
	struct state_ecs_service_record r = {0};
	if (!ecs_name_good(cluster) || !ecs_service_find(&s, cluster, name, &r) || !str_is(r.service->status, "ACTIVE"))
		return false;
	*ret = (struct ecs_service_seen){.desired = r.service->desired_count.v,
	                                 .running = r.service->running_count.v,
	                                 .daemon = service_is_daemon(r.service),
	                                 .deploying = r.service->deployments.n &&
	                                              str_is(r.service->deployments.v[0].rollout_state, "IN_PROGRESS")};
	for (uint32_t i = 0; i < r.service->load_balancers.n; i++)
		if (str_set(r.service->load_balancers.v[i].target_group_arn))
			*LIST_ADD(a, &ret->target_groups) = r.service->load_balancers.v[i].target_group_arn;
	return true;
}

struct ecs_services_watch {
	struct store_watch *watch;
	ecs_service_changed_fn *fn;
	void *ctx;
};

static void changed(void *ctx, const struct store_event *e)
{
	struct ecs_services_watch *w = ctx;
	struct arena CLEAN_ARENA a = {0};
	struct str_list parts = record_key_parts(&a, e->key);
	if (parts.n == 6)
		w->fn(w->ctx, parts.v[2], parts.v[3], parts.v[4], parts.v[5]);
}

struct ecs_services_watch *ecs_watch_services(struct cloud *cloud, ecs_service_changed_fn *fn, void *ctx)
{
	struct arena CLEAN_ARENA a = {0};
	struct ecs_services_watch *w = calloc(1, sizeof(*w));
	if (!w)
		abort();
	*w = (struct ecs_services_watch){.fn = fn, .ctx = ctx};
	struct str under = KEY_UNDER(&a, S("ecs"), S("service"));
	w->watch = store_watch(cloud->store, under, store_prefix_end(&a, under), store_revision(cloud->store), changed, w);
	return w;
}

void ecs_unwatch_services(struct ecs_services_watch *w)
{
	if (!w)
		return;
	store_unwatch(w->watch);
	free(w);
}

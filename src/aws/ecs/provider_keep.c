/* Managers of capacity providers: what their groups and instances are asked for. Nothing is recorded of it: all is asked for as
 * long as it is not so. On the loop. */
#include "provider.h"

#include "aws/autoscaling/autoscaling.h"
#include "base/clock.h"
#include "base/log.h"
#include "container_instance.h"
#include "core/rounds.h"
#include "crew.h"
#include "engine/metrics/metrics.h"
#include "gen/autoscaling.h"
#include "gen/ecs_agent.h"
#include "scheduled.h"
#include "service_instance.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	MINUTE_US = 60 * 1000000,
	ASK_AGAIN_US = 5 * 1000000,
	NEXT_US = 50 * 1000,
	HOOK_S = 3600,
	BATCH_MAX = 10,
	WAITING_SEEN = 500
};
#define HOOK "ecs-managed-draining-termination-hook"
#define TERMINATING "autoscaling:EC2_INSTANCE_TERMINATING"

struct manager {
	struct round_item round; /* first: rounds.h */
	struct managers *all;
	struct arena arena;
	struct str account, region, name, key;
	const struct principal *owner;
	bool measured;  /* measured: its reservation is due */
	bool asked;     /* something has been asked for, one thing at a time */
	char tried[40]; /* the task that was to be placed last; until something changes */
	struct loop_timer *pause;
};

struct managers {
	struct crew *crew;
	struct map providers;
	struct store_watch *watch, *watch_tasks, *watch_instances;
	struct autoscaling_groups_watch *groups;
	struct rounds rounds;
	struct loop_timer *minute;
};

static void mark(struct manager *m);

/* --- asking */

static void pause_over(void *ctx)
{
	struct manager *m = ctx;
	m->pause = NULL;
	mark(m);
}

static void answered(void *ctx, struct call *sub)
{
	struct manager *m = ctx;
	bool failed = str_set(sub->error.code);
	m->asked = false;
	if (failed)
		log_warn("ecs: capacity provider %.*s: %.*s", STR_ARG(m->name), STR_ARG(sub->error.message));
	m->pause = loop_add_timer(m->all->crew->cloud->loop, failed ? ASK_AGAIN_US : NEXT_US, pause_over, m);
}

static void ask(struct manager *m, const struct api *api, const char *operation, const void *in)
{
	m->asked = true;
	call_op(m->all->crew->cloud, m->owner, m->region, api, operation, in, answered, m);
}

/* --- what there is */

struct view {
	struct ecs_scope s;
	struct state_ecs_provider_record r;
	struct autoscaling_group_seen group;
	struct ecs_nodes nodes; /* of the cluster; those of the provider are `own` */
	bool *own, *used;
	struct str waiting[WAITING_SEEN];
	struct provider_size sizes[WAITING_SEEN];
	uint32_t waiting_count;
};

static bool is_daemon(const struct view *v, struct str group)
{
	struct state_ecs_service_record service = {0};
	return str_starts(group, S("service:")) &&
	       ecs_service_find(&v->s, v->r.cluster, str_from_at(group, sizeof("service:") - 1), &service) &&
	       service_is_daemon(service.service);
}

static void see_nodes(struct view *v, struct roster *roster)
{
	v->nodes = ecs_nodes(&v->s, roster, v->r.cluster);
	v->own = arena_array(v->s.arena, v->nodes.n + 1, sizeof(*v->own));
	v->used = arena_array(v->s.arena, v->nodes.n + 1, sizeof(*v->used));
	for (uint32_t i = 0; i < v->nodes.n; i++) {
		v->own[i] = str_eq(v->nodes.records[i].instance->capacity_provider_name, v->r.provider->name);
		for (uint32_t k = 0; k < v->nodes.v[i].task_count && !v->used[i]; k++)
			v->used[i] = !is_daemon(v, v->nodes.v[i].tasks[k].group);
	}
}

static void see_waiting(struct view *v)
{
	struct str under = ecs_tasks_under(&v->s, v->r.cluster), key;
	struct store_iter *iter = store_scan(v->s.txn, under, store_prefix_end(v->s.arena, under), false);
	struct store_value value;
	while (v->waiting_count < WAITING_SEEN && store_next(iter, &key, &value)) {
		struct state_ecs_task_record t = {0};
		if (!ecs_task_read(v->s.arena, value.value, &t) || !ecs_task_waits(t.task) ||
		    ecs_task_status(t.task) == ECS_STOPPED || !str_is(t.task->desired_status, "RUNNING") ||
		    !str_eq(t.task->capacity_provider_name, v->r.provider->name))
			continue;
		struct placement_need need = ecs_need(v->s.arena, t.definition, t.task->group);
		v->waiting[v->waiting_count] = t.id;
		v->sizes[v->waiting_count++] = (struct provider_size){need.cpu, need.memory};
	}
}

static int64_t registered(const struct ecs_container_instance *i, const char *name)
{
	for (uint32_t k = 0; k < i->registered_resources.n; k++)
		if (str_is(i->registered_resources.v[k].name, name))
			return i->registered_resources.v[k].integer_value.v;
	return 0;
}

/* --- what is asked for; true: it has been */

static bool keep_policy(struct manager *m, struct view *v)
{
	const struct ecs_managed_scaling *scaling = v->r.provider->auto_scaling_group_provider->managed_scaling;
	bool wanted = str_set(v->r.cluster) && ecs_provider_scales(&v->r) && str_is(v->r.provider->status, "ACTIVE");
	if (!str_set(v->r.policy))
		return false;
	double target = wanted ? (double)scaling->target_capacity.v : 0;
	bool as_it_is = autoscaling_has_policy(v->s.txn, v->s.arena, m->account, m->region, v->group.name, v->r.policy, target,
	                                       scaling->instance_warmup_period.v);
	if (wanted && !as_it_is) {
		struct autoscaling_metric_dimension dimensions[] = {{S("CapacityProviderName"), m->name},
		                                                    {S("ClusterName"), v->r.cluster}};
		struct autoscaling_customized_metric_specification metric = {.metric_name = S("CapacityProviderReservation"),
		                                                             .namespace = S("AWS/ECS/ManagedScaling"),
		                                                             .statistic = S("Average"),
		                                                             .dimensions = {.v = dimensions, .n = 2, .set = true}};
		struct autoscaling_target_tracking_configuration t = {.customized_metric_specification = &metric,
		                                                      .target_value = OPT_DOUBLE(target)};
		struct autoscaling_put_scaling_policy_type in = {.auto_scaling_group_name = v->group.name,
		                                                 .policy_name = v->r.policy,
		                                                 .policy_type = S("TargetTrackingScaling"),
		                                                 .estimated_instance_warmup = scaling->instance_warmup_period,
		                                                 .target_tracking_configuration = &t};
		ask(m, &autoscaling_api, "PutScalingPolicy", &in);
		return true;
	}
	if (!wanted && as_it_is) {
		struct autoscaling_delete_policy_type in = {.auto_scaling_group_name = v->group.name, .policy_name = v->r.policy};
		ask(m, &autoscaling_api, "DeletePolicy", &in);
		return true;
	}
	return false;
}

static bool keep_hook(struct manager *m, struct view *v)
{
	bool wanted = str_set(v->r.cluster) && str_is(v->r.provider->auto_scaling_group_provider->managed_draining, "ENABLED");
	bool there = autoscaling_has_hook(v->s.txn, v->s.arena, m->account, m->region, v->group.name, S(HOOK));
	if (wanted == there)
		return false;
	if (wanted) {
		struct autoscaling_put_lifecycle_hook_type in = {.auto_scaling_group_name = v->group.name,
		                                                 .lifecycle_hook_name = S(HOOK),
		                                                 .lifecycle_transition = S(TERMINATING),
		                                                 .heartbeat_timeout = OPT_INT(HOOK_S),
		                                                 .default_result = S("CONTINUE")};
		ask(m, &autoscaling_api, "PutLifecycleHook", &in);
	} else {
		struct autoscaling_delete_lifecycle_hook_type in = {.auto_scaling_group_name = v->group.name,
		                                                    .lifecycle_hook_name = S(HOOK)};
		ask(m, &autoscaling_api, "DeleteLifecycleHook", &in);
	}
	return true;
}

static int node_of(const struct view *v, struct str ec2_id)
{
	for (uint32_t i = 0; i < v->nodes.n; i++)
		if (str_eq(v->nodes.v[i].ec2_id, ec2_id))
			return (int)i;
	return -1;
}

/* Who has tasks is not to end while others could. */
static bool keep_protection(struct manager *m, struct view *v)
{
	struct autoscaling_set_instance_protection_query in = {.auto_scaling_group_name = v->group.name};
	if (!str_is(v->r.provider->auto_scaling_group_provider->managed_termination_protection, "ENABLED"))
		return false;
	for (unsigned protect = 0; protect < 2; protect++) {
		for (uint32_t i = 0; i < v->group.member_count && in.instance_ids.n < BATCH_MAX; i++) {
			const struct autoscaling_member_seen *member = &v->group.members[i];
			int at = node_of(v, member->id);
			if (member->serves && at >= 0 && v->own[at] && v->used[at] == (protect == 1) &&
			    member->protected != v->used[at])
				*LIST_ADD(v->s.arena, &in.instance_ids) = member->id;
		}
		if (!in.instance_ids.n)
			continue;
		in.protected_from_scale_in = OPT_BOOL(protect == 1);
		ask(m, &autoscaling_api, "SetInstanceProtection", &in);
		return true;
	}
	return false;
}

/* Who is to end is drained first, and ends when it is empty. */
static bool keep_draining(struct manager *m, struct view *v)
{
	for (uint32_t i = 0; i < v->group.member_count; i++) {
		const struct autoscaling_member_seen *member = &v->group.members[i];
		int at = node_of(v, member->id);
		bool ours = false;
		for (uint32_t k = 0; k < member->waits.n; k++)
			ours |= str_is(member->waits.v[k], HOOK);
		if (!ours)
			continue;
		if (at >= 0 && str_is(v->nodes.v[at].status, "ACTIVE")) {
			struct ecs_update_container_instances_state_request in = {.cluster = v->r.cluster, .status = S("DRAINING")};
			*LIST_ADD(v->s.arena, &in.container_instances) = v->nodes.v[at].arn;
			ask(m, &ecs_api, "UpdateContainerInstancesState", &in);
			return true;
		}
		if (at >= 0 && v->used[at])
			continue;
		struct autoscaling_complete_lifecycle_action_type in = {.auto_scaling_group_name = v->group.name,
		                                                        .lifecycle_hook_name = S(HOOK),
		                                                        .lifecycle_action_result = S("CONTINUE"),
		                                                        .instance_id = member->id};
		ask(m, &autoscaling_api, "CompleteLifecycleAction", &in);
		return true;
	}
	return false;
}

/* The first that has room is placed; placing looks again, and so does this afterwards. */
static bool place_waiting(struct manager *m, struct view *v)
{
	for (uint32_t k = 0; k < v->waiting_count; k++) {
		if (str_is(v->waiting[k], m->tried)) /* what it asks for besides room is not there */
			continue;
		for (uint32_t i = 0; i < v->nodes.n; i++) {
			const struct placement_node *n = &v->nodes.v[i];
			if (!v->own[i] || !n->connected || !str_is(n->status, "ACTIVE") || n->cpu < v->sizes[k].cpu ||
			    n->memory < v->sizes[k].memory)
				continue;
			struct state_ecs_task_record t = {0};
			if (!ecs_task_find(&v->s, v->r.cluster, v->waiting[k], &t))
				continue;
			struct placement_need need = ecs_need(v->s.arena, t.definition, t.task->group);
			if (placement_refuses(v->s.arena, n, &need))
				continue;
			struct ecs_agent_place_task_request in = {.cluster = v->r.cluster, .task = v->waiting[k]};
			snprintf(m->tried, sizeof(m->tried), "%.*s", STR_ARG(v->waiting[k]));
			ask(m, &ecs_agent_api, "PlaceTask", &in);
			return true;
		}
	}
	return false;
}

static void measure(struct manager *m, const struct view *v)
{
	const struct ecs_managed_scaling *scaling = v->r.provider->auto_scaling_group_provider->managed_scaling;
	const struct metric_dimension by[] = {{S("CapacityProviderName"), m->name}, {S("ClusterName"), v->r.cluster}};
	struct metric metric = {.account = m->account,
	                        .region = m->region,
	                        .space = S("AWS/ECS/ManagedScaling"),
	                        .name = S("CapacityProviderReservation"),
	                        .unit = S("Percent"),
	                        .dimensions = by,
	                        .dimension_count = 2};
	struct provider_size each = {0};
	int64_t used = 0, there = 0;
	for (uint32_t i = 0; i < v->nodes.n; i++) {
		if (!v->own[i] || !str_is(v->nodes.v[i].status, "ACTIVE"))
			continue;
		used += v->used[i];
		each.cpu = registered(v->nodes.records[i].instance, "CPU");
		each.memory = registered(v->nodes.records[i].instance, "MEMORY");
	}
	for (uint32_t i = 0; i < v->group.member_count; i++)
		there += v->group.members[i].serves;
	int64_t needed = provider_needed(used, v->sizes, v->waiting_count, &each);
	double percent =
	        provider_reservation(needed, there, scaling->minimum_scaling_step_size.v, scaling->maximum_scaling_step_size.v);
	metric.unit = S("None");
	metrics_add(m->all->crew->cloud->metrics, &metric, percent);
}

/* --- a look */

static bool over(struct manager *m, struct view *v)
{
	if (!str_is(v->r.provider->status, "INACTIVE"))
		return false;
	ecs_provider_drop(&v->s, m->name);
	return true;
}

static void dropped(void *ctx, int result, uint64_t revision)
{
	struct arena *a = ctx;
	(void)result;
	(void)revision;
	arena_done(a);
	free(a);
}

static void look(void *item)
{
	struct manager *m = item;
	m->round.busy = false; /* it is over when it returns */
	struct arena *a = calloc(1, sizeof(*a));
	if (!a)
		abort();
	struct view *v = arena_new(a, struct view);
	v->s = (struct ecs_scope){
	        .txn = store_begin(m->all->crew->cloud->store, a), .arena = a, .account = m->account, .region = m->region};
	bool there = ecs_provider_find(&v->s, m->name, &v->r);
	bool group = there && autoscaling_see_group(v->s.txn, a, m->account, m->region,
	                                            v->r.provider->auto_scaling_group_provider->auto_scaling_group_arn, &v->group);
	if (there && str_set(v->r.cluster)) {
		see_nodes(v, m->all->crew->roster);
		see_waiting(v);
	}
	bool busy = m->asked || m->pause;
	if (group && str_set(v->r.cluster) && m->measured && ecs_provider_scales(&v->r))
		measure(m, v);
	m->measured = false;
	if (busy || !there || (group && (keep_policy(m, v) || keep_hook(m, v)))) {
		store_abort(v->s.txn);
	} else if (group && str_set(v->r.cluster)) {
		if (!keep_draining(m, v) && !place_waiting(m, v))
			keep_protection(m, v);
		store_abort(v->s.txn);
	} else if (over(m, v)) {
		store_commit(v->s.txn, dropped, a);
		return;
	} else {
		store_abort(v->s.txn);
	}
	arena_done(a);
	free(a);
}

static void mark(struct manager *m)
{
	rounds_mark(&m->all->rounds, &m->round);
}

static void minute(void *ctx)
{
	struct managers *all = ctx;
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&all->providers, &at, &key, &value)) {
		struct manager *m = value;
		m->measured = true;
		mark(m);
	}
	all->minute = all->providers.count ? loop_add_clock_timer(all->crew->cloud->loop, MINUTE_US, minute, all) : NULL;
}

/* --- finding what there is */

static void found(struct managers *all, struct str key)
{
	struct arena CLEAN_ARENA a = {0};
	struct str_list parts = record_key_parts(&a, key);
	struct manager *m = map_get(&all->providers, key);
	if (parts.n != 5)
		return;
	if (!m) {
		m = calloc(1, sizeof(*m));
		if (!m)
			abort();
		m->all = all;
		m->key = arena_dup(&m->arena, key);
		m->account = arena_dup(&m->arena, parts.v[2]);
		m->region = arena_dup(&m->arena, parts.v[3]);
		m->name = arena_dup(&m->arena, parts.v[4]);
		/* The role that AWS makes for ECS in every account may do what a provider needs. */
		m->owner = principal_new(PRINCIPAL_ROOT, m->account);
		map_put(&all->providers, m->key, m);
	}
	mark(m);
	if (!all->minute)
		all->minute = loop_add_clock_timer(all->crew->cloud->loop, MINUTE_US, minute, all);
}

static void manager_free(struct manager *m)
{
	loop_remove_timer(m->all->crew->cloud->loop, m->pause);
	principal_unref(m->owner);
	arena_done(&m->arena);
	free(m);
}

static void provider_changed(void *ctx, const struct store_event *e)
{
	struct managers *all = ctx;
	struct manager *m = map_get(&all->providers, e->key);
	if (str_set(e->value)) {
		found(all, e->key);
	} else if (m && !m->asked) {
		map_remove(&all->providers, m->key);
		manager_free(m);
	}
}

void managers_mark(struct managers *all, struct str account, struct str region)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (all && map_next(&all->providers, &at, &key, &value)) {
		struct manager *m = value;
		if (!str_eq(m->account, account) || !str_eq(m->region, region))
			continue;
		m->tried[0] = '\0';
		mark(m);
	}
}

static void thing_changed(void *ctx, const struct store_event *e)
{
	struct managers *all = ctx;
	struct arena CLEAN_ARENA a = {0};
	if (!all->providers.count)
		return;
	struct str_list parts = record_key_parts(&a, e->key);
	if (parts.n > 3)
		managers_mark(all, parts.v[2], parts.v[3]);
}

static void group_changed(void *ctx, struct str account, struct str region, struct str group)
{
	(void)group;
	managers_mark(ctx, account, region);
}

struct managers *managers_new(struct crew *crew)
{
	struct arena CLEAN_ARENA a = {0};
	struct managers *all = calloc(1, sizeof(*all));
	if (!all)
		abort();
	all->crew = crew;
	all->rounds = (struct rounds){.loop = crew->cloud->loop, .items = &all->providers, .step = look};
	struct store *store = crew->cloud->store;
	struct str under = KEY_UNDER(&a, S("ecs"), S("provider")), end = store_prefix_end(&a, under), key;
	struct str tasks = KEY_UNDER(&a, S("ecs"), S("task")), instances = KEY_UNDER(&a, S("ecs"), S("instance"));
	all->watch = store_watch(store, under, end, store_revision(store), provider_changed, all);
	all->watch_tasks = store_watch(store, tasks, store_prefix_end(&a, tasks), store_revision(store), thing_changed, all);
	all->watch_instances =
	        store_watch(store, instances, store_prefix_end(&a, instances), store_revision(store), thing_changed, all);
	all->groups = autoscaling_watch_groups(crew->cloud, group_changed, all);
	struct store_txn *t = store_begin(store, &a);
	struct store_iter *iter = store_scan(t, under, end, false);
	struct store_value v;
	while (store_next(iter, &key, &v))
		found(all, key);
	store_abort(t);
	return all;
}

void managers_free(struct managers *all)
{
	size_t at = 0;
	struct str key;
	void *value;
	if (!all)
		return;
	store_unwatch(all->watch);
	store_unwatch(all->watch_tasks);
	store_unwatch(all->watch_instances);
	autoscaling_unwatch_groups(all->groups);
	rounds_end(&all->rounds);
	loop_remove_timer(all->crew->cloud->loop, all->minute);
	while (map_next(&all->providers, &at, &key, &value))
		manager_free(value);
	map_done(&all->providers);
	free(all);
}

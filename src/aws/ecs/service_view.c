/* What there is of a service: its tasks, by deployment and by what they are good for. */
#include "crew.h"
#include "deployment.h"
#include "rollout.h"
#include "service_look.h"
#include "service_targets.h"

enum { SEEN_MAX = 5000 };
/* A task without a health check counts as healthy when it has run for so long. */
enum { SETTLE_MS = 40 * 1000 };

static uint32_t deployment_of(const struct ecs_service *v, struct str id)
{
	uint32_t i = 0;
	while (i < v->deployments.n && !str_eq(v->deployments.v[i].id, id))
		i++;
	return i;
}

static void classify(struct service_look *l, struct service_seen *t, int64_t now_ms)
{
	const struct ecs_task *task = t->record.task;
	int64_t settled_ms = task->started_at.ms + SETTLE_MS;
	t->protected = t->record.protected_until.set && t->record.protected_until.ms > now_ms;
	if (t->protected)
		service_look_at(l, t->record.protected_until.ms);
	if (ecs_task_status(task) != ECS_RUNNING) {
		t->as = SEEN_PENDING;
	} else if (ecs_definition_checks_health(t->record.definition)) {
		t->as = str_is(task->health_status, "HEALTHY")     ? SEEN_HEALTHY
		        : str_is(task->health_status, "UNHEALTHY") ? SEEN_UNHEALTHY
		                                                   : SEEN_SETTLING;
	} else {
		t->as = settled_ms <= now_ms ? SEEN_HEALTHY : SEEN_SETTLING;
		if (t->as == SEEN_SETTLING)
			service_look_at(l, settled_ms);
	}
}

/* It ended by itself before it could be called healthy: a start that failed, whatever it showed for a moment. */
static bool never_settled(const struct state_ecs_task_record *t)
{
	const struct ecs_task *task = t->task;
	if (str_is(task->stop_code, "TaskFailedToStart"))
		return true;
	if (!str_is(task->stop_code, "EssentialContainerExited"))
		return false;
	if (!task->started_at.set)
		return true;
	return ecs_definition_checks_health(t->definition) ? !str_is(task->health_status, "HEALTHY")
	                                                   : task->stopping_at.ms - task->started_at.ms < SETTLE_MS;
}

/* Counts a failed start once. */
static void count_end(const struct ecs_scope *s, struct state_ecs_service_record *r, struct state_ecs_task_record *t,
                      uint32_t deployment, int64_t now_ms)
{
	if (t->counted.v || ecs_task_status(t->task) != ECS_STOPPED)
		return;
	t->counted = OPT_BOOL(true);
	if (never_settled(t))
		service_start_failed(r, deployment, now_ms);
	ecs_task_put(s, t);
}

struct service_view service_view(struct service_look *l, const struct ecs_scope *s, struct state_ecs_service_record *r,
                                 int64_t now_ms)
{
	struct service_view view = {.v = arena_array(s->arena, SEEN_MAX, sizeof(*view.v))};
	struct str under = ecs_tasks_under(s, l->cluster), key, group = ARENA_CAT(s->arena, S("service:"), l->name);
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value value;
	while (store_next(iter, &key, &value) && view.n < SEEN_MAX) {
		struct state_ecs_task_record t = {0};
		if (!ecs_task_read(s->arena, value.value, &t) || !str_eq(t.task->group, group))
			continue;
		uint32_t d = deployment_of(r->service, t.task->started_by);
		if (d == r->service->deployments.n || d >= VIEW_DEPLOYMENTS)
			continue;
		count_end(s, r, &t, d, now_ms);
		if (service_targets_tell(&view, &t))
			ecs_task_put(s, &t);
		if (d == 0)
			ecs_deployment_images(s, r, t.task);
		if (!str_is(t.task->desired_status, "RUNNING"))
			continue;
		struct service_seen *to = &view.v[view.n++];
		*to = (struct service_seen){.record = t, .deployment = d};
		classify(l, to, now_ms);
		service_targets_classify(l, s, r->service, to, now_ms);
		if (d == 0 && to->as == SEEN_HEALTHY && t.task->started_at.ms > view.newest_healthy_ms)
			view.newest_healthy_ms = t.task->started_at.ms;
		view.unproven = view.unproven || (d == 0 && to->as == SEEN_SETTLING &&
		                                  (t.balancers.n || ecs_definition_checks_health(t.definition)));
		view.pending[d] += to->as == SEEN_PENDING;
		view.running[d] += to->as != SEEN_PENDING;
	}
	return view;
}

struct rollout_count service_view_count(const struct service_view *view, bool primary)
{
	struct rollout_count n = {0};
	for (uint32_t k = 0; k < view->n; k++) {
		if ((view->v[k].deployment == 0 && !view->v[k].leaving) != primary)
			continue;
		n.pending += view->v[k].as == SEEN_PENDING;
		n.settling += view->v[k].as == SEEN_SETTLING;
		n.healthy += view->v[k].as == SEEN_HEALTHY;
		n.unhealthy += view->v[k].as == SEEN_UNHEALTHY;
	}
	return n;
}

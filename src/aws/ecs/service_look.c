#include "service_look.h"

#include "connect.h"
#include "deployment.h"
#include "rollout.h"
#include "service_instance.h"
#include "service_targets.h"

enum { START_MOST = 10, CONSISTENT_LEAST = 3 };

void service_look_at(struct service_look *l, int64_t at_ms)
{
	if (!l->wake_ms || at_ms < l->wake_ms)
		l->wake_ms = at_ms;
}

/* --- stopping */

static struct str short_id(const struct state_ecs_task_record *t)
{
	return t->id;
}

struct stopped {
	int64_t running;
	struct str text, zone; /* zone: of the last */
};

/* Protection is from being scaled in and from deployments; who fails his checks goes nevertheless. */
static bool may_stop(const struct service_seen *t, bool primary, int as)
{
	return (t->deployment == 0 && !t->leaving) == primary && (int)t->as == as && (!t->protected || as == SEEN_UNHEALTHY) &&
	       str_is(t->record.task->desired_status, "RUNNING");
}

/* The next one to go; of the primary's, one of the fullest zone. */
static struct service_seen *choose(const struct service_view *view, bool primary, int as)
{
	struct str zones[ZONES_MAX];
	int64_t tasks[ZONES_MAX] = {0};
	uint32_t n = 0;
	struct service_seen *best[ZONES_MAX] = {0};
	for (uint32_t k = 0; k < view->n; k++) {
		struct service_seen *t = &view->v[k];
		if ((t->deployment == 0 && !t->leaving) != primary || !str_is(t->record.task->desired_status, "RUNNING"))
			continue;
		uint32_t at = 0;
		while (primary && at < n && !str_eq(zones[at], t->record.task->availability_zone))
			at++;
		if (at == n && n < ZONES_MAX)
			zones[n++] = t->record.task->availability_zone;
		if (at == ZONES_MAX)
			at = 0;
		tasks[at]++;
		if (!best[at] && may_stop(t, primary, as))
			best[at] = t;
	}
	for (uint32_t k = 0; k < n; k++)
		if (!best[k])
			tasks[k] = -1; /* nothing to take there */
	return n ? best[zones_most(tasks, n)] : NULL;
}

static void stop_some(const struct ecs_scope *s, struct state_ecs_service_record *r, struct service_view *view, bool primary,
                      int as, int64_t n, int64_t now_ms, struct stopped *ret)
{
	struct service_seen *t;
	for (; n > 0 && (t = choose(view, primary, as)) != NULL; n--) {
		const struct ecs_deployment *d = &r->service->deployments.v[0];
		bool sick = as == SEEN_UNHEALTHY;
		struct str why = sick && str_set(t->sick_group)
		                         ? arena_printf(s->arena, "Task failed ELB health checks in (target-group %.*s)",
		                                        STR_ARG(t->sick_group))
		                 : sick ? S("Task failed container health checks")
		                        : arena_printf(s->arena, "Scaling activity initiated by (deployment %.*s)", STR_ARG(d->id));
		if (sick && str_set(t->sick_group))
			ecs_service_event(s->arena, r, now_ms,
			                  "(port %lld) is unhealthy in (target-group %.*s) due to (reason %.*s).",
			                  (long long)t->sick_port, STR_ARG(t->sick_group), STR_ARG(t->sick_why));
		if (sick)
			service_start_failed(r, t->deployment, now_ms);
		ecs_task_stop(s, &t->record, "ServiceSchedulerInitiated", why, now_ms);
		ecs_task_put(s, &t->record);
		view->running[t->deployment] -= as != SEEN_PENDING;
		view->pending[t->deployment] -= as == SEEN_PENDING;
		ret->running += as != SEEN_PENDING;
		ret->zone = t->record.task->availability_zone;
		if (as != SEEN_PENDING)
			ret->text = arena_printf(s->arena, "%.*s%s(task %.*s)", STR_ARG(ret->text), ret->text.n ? " " : "",
			                         STR_ARG(short_id(&t->record)));
	}
}

static void stop_all(const struct ecs_scope *s, struct state_ecs_service_record *r, struct service_view *view, bool primary,
                     const struct rollout_count *n, int64_t now_ms, struct stopped *ret)
{
	stop_some(s, r, view, primary, SEEN_PENDING, n->pending, now_ms, ret);
	stop_some(s, r, view, primary, SEEN_UNHEALTHY, n->unhealthy, now_ms, ret);
	stop_some(s, r, view, primary, SEEN_SETTLING, n->settling, now_ms, ret);
	stop_some(s, r, view, primary, SEEN_HEALTHY, n->healthy, now_ms, ret);
}

/* --- what the service shows */

static void show_counts(const struct ecs_scope *s, struct state_ecs_service_record *r, const struct service_view *view,
                        int64_t now_ms)
{
	struct ecs_service *v = r->service;
	struct ecs_deployments left = {0};
	struct state_ecs_runs runs = {0};
	v->running_count = v->pending_count = OPT_INT(0);
	for (uint32_t i = 0; i < v->deployments.n && i < VIEW_DEPLOYMENTS; i++) {
		struct ecs_deployment *d = &v->deployments.v[i];
		int64_t running = view->running[i], pending = view->pending[i];
		v->running_count.v += running;
		v->pending_count.v += pending;
		if (i == 0 && d->desired_count.v != v->desired_count.v) {
			d->desired_count = v->desired_count;
			d->updated_at = OPT_TIME(now_ms);
		}
		if (d->running_count.v != running || d->pending_count.v != pending)
			d->updated_at = OPT_TIME(now_ms);
		d->running_count = OPT_INT(running);
		d->pending_count = OPT_INT(pending);
		if (i && !running && !pending)
			continue;
		*LIST_ADD(s->arena, &left) = *d;
		struct state_ecs_run *run = ecs_service_run(r, d->id);
		if (run)
			*LIST_ADD(s->arena, &runs) = *run;
	}
	v->deployments = left;
	r->runs = runs;
	ecs_revisions_show(s->arena, r);
}

static void completed(const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms)
{
	struct ecs_deployment *d = &r->service->deployments.v[0];
	if (str_is(d->rollout_state, "IN_PROGRESS")) {
		d->rollout_state = S("COMPLETED");
		d->rollout_state_reason = arena_printf(s->arena, "ECS deployment %.*s completed.", STR_ARG(d->id));
		d->updated_at = OPT_TIME(now_ms);
		r->good = d;
		r->good_run = ecs_service_run(r, d->id);
		connect_clean(s, r, false);
		ecs_deployment_end(s, r, ecs_deployment_turned_back(s, r) ? "ROLLBACK_SUCCESSFUL" : "SUCCESSFUL", STR_NONE, now_ms);
		ecs_service_event(s->arena, r, now_ms, "(deployment %.*s) deployment completed.", STR_ARG(d->id));
	}
	if (!r->steady.v)
		ecs_service_event(s->arena, r, now_ms, "has reached a steady state.");
	r->steady = OPT_BOOL(true);
}

static void tell_news(struct service_look *l, const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms)
{
	if (l->started_count && str_set(r->rebalancing))
		ecs_service_event(s->arena, r, now_ms, "has started %lld tasks in %.*s to AZ Rebalance: %.*s.",
		                  (long long)l->started_count, STR_ARG(r->rebalancing), STR_ARG(l->started));
	else if (l->started_count)
		ecs_service_event(s->arena, r, now_ms, "has started %lld tasks: %.*s.", (long long)l->started_count,
		                  STR_ARG(l->started));
	if (l->trouble.n)
		ecs_service_event(s->arena, r, now_ms, "was unable to place a task%.*s.", STR_ARG(l->trouble));
}

static void plan(struct service_look *l, const struct ecs_scope *s, const struct state_ecs_service_record *r,
                 const struct service_view *view, int64_t n, int64_t now_ms)
{
	const struct ecs_deployment *d = &r->service->deployments.v[0];
	const struct state_ecs_run *run = ecs_service_run((struct state_ecs_service_record *)r, d->id);
	int64_t at = run && run->failed_in_row.v ? run->last_failed.ms + rollout_backoff_ms(run->failed_in_row.v) : 0;
	at = at < l->not_before_ms ? l->not_before_ms : at;
	if (at > now_ms) {
		if (n)
			service_look_at(l, at);
		return;
	}
	l->start = n > START_MOST ? START_MOST : n;
	bool strategy = d->capacity_provider_strategy.n;
	l->request = (struct ecs_run_task_request){
	        .cluster = l->cluster,
	        .task_definition = d->task_definition,
	        .count = OPT_INT(l->start),
	        .launch_type = strategy ? STR_NONE : d->launch_type,
	        .capacity_provider_strategy = d->capacity_provider_strategy,
	        .network_configuration = d->network_configuration,
	        .platform_version = d->platform_version,
	        .group = ARENA_CAT(s->arena, S("service:"), l->name),
	        .started_by = d->id,
	        .enable_ecs_managed_tags = r->service->enable_ecs_managed_tags,
	        .enable_execute_command = r->service->enable_execute_command,
	};
	struct service_zones zones = {0};
	if (!service_on_instances(r->service))
		zones = service_zones(l, s, r, d->network_configuration, view);
	if (zones.n > 1)
		l->request.network_configuration = service_zone_subnets(s->arena, d->network_configuration, zones, l->start);
	service_place(s->arena, r->service, &l->request);
	if (str_set(r->rebalancing) && service_on_instances(r->service))
		service_place_zone(s->arena, r->rebalancing, &l->request);
	if (str_is(r->service->propagate_tags, "TASK_DEFINITION"))
		l->request.propagate_tags = r->service->propagate_tags;
	else if (str_is(r->service->propagate_tags, "SERVICE"))
		l->request.tags = r->service->tags;
}

static bool resets(const struct ecs_service *v)
{
	const struct ecs_deployment_circuit_breaker *b = v->deployment_configuration->deployment_circuit_breaker;
	return !b || !b->reset_on_healthy_task.set || b->reset_on_healthy_task.v;
}

void service_look(struct service_look *l, const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms)
{
	struct ecs_service *v = r->service;
	struct service_view view = service_view(l, s, r, now_ms);
	struct service_places places = {0};
	service_mark_leaving(s, l->cluster, &view);
	if (service_is_daemon(v)) {
		places = service_places(l, s, r);
		v->desired_count = OPT_INT(places.all);
	}
	struct rollout_view roll = {.desired = v->desired_count.v,
	                            .minimum_percent = v->deployment_configuration->minimum_healthy_percent.v,
	                            .maximum_percent = v->deployment_configuration->maximum_percent.v,
	                            .primary = service_view_count(&view, true),
	                            .others = service_view_count(&view, false)};
	tell_news(l, s, r, now_ms);
	service_targets_events(s, r, &view, now_ms);
	struct state_ecs_run *run = ecs_service_run(r, v->deployments.v[0].id);
	ecs_deployment_take_up(s, r, now_ms);
	if (run && resets(v) && view.newest_healthy_ms > run->last_failed.ms)
		run->failed_in_row = OPT_INT(0);
	if (service_break_circuit(s, r, now_ms) || service_alarmed(s, r, now_ms)) {
		l->wake_ms = now_ms; /* what was counted has another place in the list now */
		return;
	}
	bool moving = str_set(r->rebalancing);
	service_rebalance(l, s, r, &view, &roll, now_ms);
	moving = moving && !str_set(r->rebalancing) && r->unbalanced.v;
	struct rollout_step step = rollout_next(&roll);
	if (service_is_daemon(v) && step.start > places.free)
		step.start = places.free; /* the rest when what is stopping there has stopped */
	if (service_gave_up(r)) {         /* nothing of it is started any more, and what there was before goes on */
		int64_t lower = (roll.desired * roll.minimum_percent + 99) / 100;
		step.start = 0;
		if (roll.desired && roll.primary.healthy < lower)
			step.stop = (struct rollout_count){.pending = step.stop.pending, .unhealthy = step.stop.unhealthy};
	}
	struct stopped stopped = {0};
	stop_all(s, r, &view, false, &step.stop, now_ms, &stopped);
	stop_all(s, r, &view, true, &step.stop_primary, now_ms, &stopped);
	if (stopped.running && moving)
		ecs_service_event(s->arena, r, now_ms, "has stopped %lld running tasks in %.*s due to AZ rebalancing: %.*s.",
		                  (long long)stopped.running, STR_ARG(stopped.zone), STR_ARG(stopped.text));
	else if (stopped.running)
		ecs_service_event(s->arena, r, now_ms, "has stopped %lld running tasks: %.*s.", (long long)stopped.running,
		                  STR_ARG(stopped.text));
	show_counts(s, r, &view, now_ms);
	bool complete = step.complete && !view.unproven && !service_gave_up(r);
	int64_t baked_ms = complete ? service_bake_until(s, r, now_ms) : 0;
	if (baked_ms)
		service_look_at(l, baked_ms);
	else if (complete)
		completed(s, r, now_ms);
	else
		r->steady = OPT_BOOL(false);
	if (step.stuck && !r->stuck.v && !service_gave_up(r))
		ecs_service_event(
		        s->arena, r, now_ms,
		        "was unable to stop or start tasks during a deployment because of the service deployment configuration. "
		        "Update the minimumHealthyPercent or maximumPercent value and try again.");
	r->stuck = OPT_BOOL(step.stuck);
	run = ecs_service_run(r, v->deployments.v[0].id);
	if (run && run->failed_in_row.v >= CONSISTENT_LEAST && !r->inconsistent.v) {
		r->inconsistent = OPT_BOOL(true);
		ecs_service_event(
		        s->arena, r, now_ms,
		        "is unable to consistently start tasks successfully. For more information, see the Troubleshooting "
		        "section of the Amazon ECS Developer Guide.");
	}
	if (step.start)
		plan(l, s, r, &view, step.start, now_ms);
	if (str_is(v->status, "DRAINING"))
		ecs_deployment_end(s, r, "STOPPED", S("The service was deleted."), now_ms);
	if (str_is(v->status, "DRAINING") && !view.n) {
		v->status = S("INACTIVE");
		connect_clean(s, r, true);
	}
}

#include "scheduled.h"

#include "base/clock.h"
#include "base/log.h"
#include "crew.h"
#include "rollout.h"

#include <errno.h>
#include <stdlib.h>

enum { EDIT_AGAIN_US = 1000000, START_MOST = 10, PLACE_AGAIN_MS = 10 * 1000, SEEN_MAX = 5000, CONSISTENT_LEAST = 3 };
/* A task without a health check counts as healthy when it has run for so long. */
enum { SETTLE_MS = 40 * 1000 };

struct schedule {
	struct schedules *all;
	struct str account, region, cluster, name, key;
	struct arena arena;
	struct arena step; /* of the edit under way */
	const struct principal *owner;
	bool dirty, busy;
	struct loop_timer *timer;
	/* Of the last edit: what is to be started, by what. */
	int64_t start;
	struct ecs_run_task_request request;
	int64_t wake_ms;
	/* What the next edit tells in an event. */
	struct arena news;
	struct str started, trouble;
	int64_t started_count, not_before_ms;
};

struct schedules {
	struct crew *crew;
	struct map services; /* by key: struct schedule */
	struct store_watch *watch, *watch_tasks;
	struct loop_timer *soon;
};

static void mark(struct schedule *i);

/* --- what there is of a deployment */

struct seen {
	struct state_ecs_task_record record;
	uint32_t deployment;
	enum { SEEN_PENDING, SEEN_SETTLING, SEEN_HEALTHY, SEEN_UNHEALTHY } as;
	bool protected;
};
struct view {
	struct seen *v;
	uint32_t n;
	int64_t running[32], pending[32];
	int64_t newest_healthy_ms; /* when the newest healthy task of the primary deployment began to run */
	bool unproven;             /* a task of the primary deployment has a check that was not passed yet */
};

static uint32_t deployment_of(const struct ecs_service *v, struct str id)
{
	uint32_t i = 0;
	while (i < v->deployments.n && !str_eq(v->deployments.v[i].id, id))
		i++;
	return i;
}

static struct state_ecs_run *run_of(struct state_ecs_service_record *r, struct str id)
{
	for (uint32_t i = 0; i < r->runs.n; i++)
		if (str_eq(r->runs.v[i].id, id))
			return &r->runs.v[i];
	return NULL;
}

static void failed(struct state_ecs_service_record *r, uint32_t deployment, int64_t now_ms)
{
	struct ecs_deployment *d = &r->service->deployments.v[deployment];
	struct state_ecs_run *run = run_of(r, d->id);
	d->failed_tasks = OPT_INT(d->failed_tasks.v + 1);
	if (!run)
		return;
	run->failed_in_row = OPT_INT(run->failed_in_row.v + 1);
	run->last_failed = OPT_TIME(now_ms);
}

static void classify(struct schedule *i, struct seen *t, int64_t now_ms)
{
	const struct ecs_task *task = t->record.task;
	int64_t settled_ms = task->started_at.ms + SETTLE_MS;
	t->protected = t->record.protected_until.set && t->record.protected_until.ms > now_ms;
	if (ecs_task_status(task) != ECS_RUNNING) {
		t->as = SEEN_PENDING;
	} else if (ecs_definition_checks_health(t->record.definition)) {
		t->as = str_is(task->health_status, "HEALTHY")     ? SEEN_HEALTHY
		        : str_is(task->health_status, "UNHEALTHY") ? SEEN_UNHEALTHY
		                                                   : SEEN_SETTLING;
	} else {
		t->as = settled_ms <= now_ms ? SEEN_HEALTHY : SEEN_SETTLING;
		if (t->as == SEEN_SETTLING && (!i->wake_ms || settled_ms < i->wake_ms))
			i->wake_ms = settled_ms;
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
		failed(r, deployment, now_ms);
	ecs_task_put(s, t);
}

static struct view gather(struct schedule *i, const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms)
{
	struct view view = {.v = arena_array(s->arena, SEEN_MAX, sizeof(*view.v))};
	struct str under = ecs_tasks_under(s, i->cluster), key, group = ARENA_CAT(s->arena, S("service:"), i->name);
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value value;
	while (store_next(iter, &key, &value) && view.n < SEEN_MAX) {
		struct state_ecs_task_record t = {0};
		if (!ecs_task_read(s->arena, value.value, &t) || !str_eq(t.task->group, group))
			continue;
		uint32_t d = deployment_of(r->service, t.task->started_by);
		if (d == r->service->deployments.n || d >= 32)
			continue;
		count_end(s, r, &t, d, now_ms);
		if (!str_is(t.task->desired_status, "RUNNING"))
			continue;
		struct seen *to = &view.v[view.n++];
		*to = (struct seen){.record = t, .deployment = d};
		classify(i, to, now_ms);
		if (d == 0 && to->as == SEEN_HEALTHY && t.task->started_at.ms > view.newest_healthy_ms)
			view.newest_healthy_ms = t.task->started_at.ms;
		view.unproven = view.unproven || (d == 0 && to->as == SEEN_SETTLING && ecs_definition_checks_health(t.definition));
		view.pending[d] += to->as == SEEN_PENDING;
		view.running[d] += to->as != SEEN_PENDING;
	}
	return view;
}

static struct rollout_count count(const struct view *view, bool primary)
{
	struct rollout_count n = {0};
	for (uint32_t k = 0; k < view->n; k++) {
		if ((view->v[k].deployment == 0) != primary)
			continue;
		n.pending += view->v[k].as == SEEN_PENDING;
		n.settling += view->v[k].as == SEEN_SETTLING;
		n.healthy += view->v[k].as == SEEN_HEALTHY;
		n.unhealthy += view->v[k].as == SEEN_UNHEALTHY;
	}
	return n;
}

/* --- stopping */

static struct str short_id(const struct state_ecs_task_record *t)
{
	return t->id;
}

struct stopped {
	int64_t running;
	struct str text;
};

static void stop_some(const struct ecs_scope *s, struct state_ecs_service_record *r, struct view *view, bool primary, int as,
                      int64_t n, int64_t now_ms, struct stopped *ret)
{
	for (uint32_t k = 0; k < view->n && n > 0; k++) {
		struct seen *t = &view->v[k];
		if ((t->deployment == 0) != primary || (int)t->as != as || t->protected ||
		    !str_is(t->record.task->desired_status, "RUNNING"))
			continue;
		const struct ecs_deployment *d = &r->service->deployments.v[0];
		bool sick = as == SEEN_UNHEALTHY;
		struct str why = sick ? S("Task failed container health checks")
		                      : arena_printf(s->arena, "Scaling activity initiated by (deployment %.*s)", STR_ARG(d->id));
		if (sick)
			failed(r, t->deployment, now_ms);
		ecs_task_stop(s, &t->record, "ServiceSchedulerInitiated", why, now_ms);
		ecs_task_put(s, &t->record);
		view->running[t->deployment] -= as != SEEN_PENDING;
		view->pending[t->deployment] -= as == SEEN_PENDING;
		ret->running += as != SEEN_PENDING;
		if (as != SEEN_PENDING)
			ret->text = arena_printf(s->arena, "%.*s%s(task %.*s)", STR_ARG(ret->text), ret->text.n ? " " : "",
			                         STR_ARG(short_id(&t->record)));
		n--;
	}
}

static void stop_all(const struct ecs_scope *s, struct state_ecs_service_record *r, struct view *view, bool primary,
                     const struct rollout_count *n, int64_t now_ms, struct stopped *ret)
{
	stop_some(s, r, view, primary, SEEN_PENDING, n->pending, now_ms, ret);
	stop_some(s, r, view, primary, SEEN_UNHEALTHY, n->unhealthy, now_ms, ret);
	stop_some(s, r, view, primary, SEEN_SETTLING, n->settling, now_ms, ret);
	stop_some(s, r, view, primary, SEEN_HEALTHY, n->healthy, now_ms, ret);
}

/* --- what the service shows */

static void show_counts(const struct ecs_scope *s, struct state_ecs_service_record *r, const struct view *view, int64_t now_ms)
{
	struct ecs_service *v = r->service;
	struct ecs_deployments left = {0};
	struct state_ecs_runs runs = {0};
	v->running_count = v->pending_count = OPT_INT(0);
	for (uint32_t i = 0; i < v->deployments.n && i < 32; i++) {
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
		struct state_ecs_run *run = run_of(r, d->id);
		if (run)
			*LIST_ADD(s->arena, &runs) = *run;
	}
	v->deployments = left;
	r->runs = runs;
}

static void completed(const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms)
{
	struct ecs_deployment *d = &r->service->deployments.v[0];
	if (str_is(d->rollout_state, "IN_PROGRESS")) {
		d->rollout_state = S("COMPLETED");
		d->rollout_state_reason = arena_printf(s->arena, "ECS deployment %.*s completed.", STR_ARG(d->id));
		d->updated_at = OPT_TIME(now_ms);
		r->good = d;
		r->good_registries = r->service->service_registries;
		ecs_service_event(s->arena, r, now_ms, "(deployment %.*s) deployment completed.", STR_ARG(d->id));
	}
	if (!r->steady.v)
		ecs_service_event(s->arena, r, now_ms, "has reached a steady state.");
	r->steady = OPT_BOOL(true);
}

/* --- the circuit breaker */

static bool is_failed(const struct state_ecs_service_record *r)
{
	return str_is(r->service->deployments.v[0].rollout_state, "FAILED");
}

static void roll_back(const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms)
{
	struct ecs_service *v = r->service;
	const struct ecs_deployment *good = r->good;
	v->task_definition = good->task_definition;
	v->platform_version = good->platform_version;
	v->network_configuration = good->network_configuration;
	v->capacity_provider_strategy = good->capacity_provider_strategy;
	v->service_registries = r->good_registries;
	struct str to = good->id;
	struct ecs_deployment *d = ecs_service_deploy(s->arena, r, now_ms);
	d->rollout_state_reason =
	        arena_printf(s->arena, "ECS deployment circuit breaker: rolling back to deploymentId %.*s.", STR_ARG(to));
	ecs_service_event(s->arena, r, now_ms, "rolling back to deployment %.*s.", STR_ARG(to));
}

/* True: the deployment has been given up. */
static bool break_circuit(const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms)
{
	const struct ecs_deployment_configuration *conf = r->service->deployment_configuration;
	const struct ecs_deployment_circuit_breaker *b = conf ? conf->deployment_circuit_breaker : NULL;
	struct ecs_deployment *d = &r->service->deployments.v[0];
	struct state_ecs_run *run = run_of(r, d->id);
	if (!b || !b->enable.v || !str_is(d->rollout_state, "IN_PROGRESS") || !run ||
	    run->failed_in_row.v < rollout_breaker_threshold(r->service->desired_count.v))
		return false;
	d->rollout_state = S("FAILED");
	d->rollout_state_reason = S("ECS deployment circuit breaker: tasks failed to start.");
	d->updated_at = OPT_TIME(now_ms);
	ecs_service_event(s->arena, r, now_ms, "(deployment %.*s) deployment failed: tasks failed to start.", STR_ARG(d->id));
	if (b->rollback.v && r->good && !str_eq(r->good->id, d->id))
		roll_back(s, r, now_ms);
	return true;
}

/* --- one look */

static void tell_news(struct schedule *i, const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms)
{
	if (i->started_count)
		ecs_service_event(s->arena, r, now_ms, "has started %lld tasks: %.*s.", (long long)i->started_count,
		                  STR_ARG(i->started));
	if (i->trouble.n)
		ecs_service_event(s->arena, r, now_ms, "was unable to place a task. Reason: %.*s.", STR_ARG(i->trouble));
}

static void plan(struct schedule *i, const struct ecs_scope *s, const struct state_ecs_service_record *r, int64_t n, int64_t now_ms)
{
	const struct ecs_deployment *d = &r->service->deployments.v[0];
	const struct state_ecs_run *run = run_of((struct state_ecs_service_record *)r, d->id);
	int64_t at = run && run->failed_in_row.v ? run->last_failed.ms + rollout_backoff_ms(run->failed_in_row.v) : 0;
	at = at < i->not_before_ms ? i->not_before_ms : at;
	if (at > now_ms) {
		if (n && (!i->wake_ms || at < i->wake_ms))
			i->wake_ms = at;
		return;
	}
	i->start = n > START_MOST ? START_MOST : n;
	bool strategy = d->capacity_provider_strategy.n;
	i->request = (struct ecs_run_task_request){
	        .cluster = i->cluster,
	        .task_definition = d->task_definition,
	        .count = OPT_INT(i->start),
	        .launch_type = strategy ? STR_NONE : S("FARGATE"),
	        .capacity_provider_strategy = d->capacity_provider_strategy,
	        .network_configuration = d->network_configuration,
	        .platform_version = d->platform_version,
	        .group = ARENA_CAT(s->arena, S("service:"), i->name),
	        .started_by = d->id,
	        .enable_ecs_managed_tags = r->service->enable_ecs_managed_tags,
	};
	if (str_is(r->service->propagate_tags, "TASK_DEFINITION"))
		i->request.propagate_tags = r->service->propagate_tags;
	else if (str_is(r->service->propagate_tags, "SERVICE"))
		i->request.tags = r->service->tags;
}

static void advance(struct schedule *i, const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms)
{
	struct ecs_service *v = r->service;
	struct view view = gather(i, s, r, now_ms);
	struct rollout_view roll = {.desired = v->desired_count.v,
	                            .minimum_percent = v->deployment_configuration->minimum_healthy_percent.v,
	                            .maximum_percent = v->deployment_configuration->maximum_percent.v,
	                            .primary = count(&view, true),
	                            .others = count(&view, false)};
	tell_news(i, s, r, now_ms);
	struct state_ecs_run *run = run_of(r, v->deployments.v[0].id);
	if (run && view.newest_healthy_ms > run->last_failed.ms)
		run->failed_in_row = OPT_INT(0);
	if (break_circuit(s, r, now_ms)) {
		i->wake_ms = now_ms; /* what was counted has another place in the list now */
		return;
	}
	if (is_failed(r))
		roll.desired =
		        roll.primary.healthy + roll.primary.settling + roll.primary.pending; /* nothing of it is started any more */
	struct rollout_step step = rollout_next(&roll);
	struct stopped stopped = {0};
	stop_all(s, r, &view, false, &step.stop, now_ms, &stopped);
	stop_all(s, r, &view, true, &step.stop_primary, now_ms, &stopped);
	if (stopped.running)
		ecs_service_event(s->arena, r, now_ms, "has stopped %lld running tasks: %.*s.", (long long)stopped.running,
		                  STR_ARG(stopped.text));
	show_counts(s, r, &view, now_ms);
	if (step.complete && !view.unproven && !is_failed(r))
		completed(s, r, now_ms);
	else
		r->steady = OPT_BOOL(false);
	if (step.stuck && !r->stuck.v && !is_failed(r))
		ecs_service_event(
		        s->arena, r, now_ms,
		        "was unable to stop or start tasks during a deployment because of the service deployment configuration. "
		        "Update the minimumHealthyPercent or maximumPercent value and try again.");
	r->stuck = OPT_BOOL(step.stuck);
	run = run_of(r, v->deployments.v[0].id);
	if (run && run->failed_in_row.v >= CONSISTENT_LEAST && !r->inconsistent.v) {
		r->inconsistent = OPT_BOOL(true);
		ecs_service_event(
		        s->arena, r, now_ms,
		        "is unable to consistently start tasks successfully. For more information, see the Troubleshooting "
		        "section of the Amazon ECS Developer Guide.");
	}
	if (step.start)
		plan(i, s, r, step.start, now_ms);
	if (str_is(v->status, "DRAINING") && !view.n)
		v->status = S("INACTIVE");
}

/* --- edits and starts */

static void run_done(void *ctx, struct call *sub)
{
	struct schedule *i = ctx;
	const struct ecs_run_task_response *out = sub->out;
	i->busy = false;
	if (str_set(sub->error.code)) {
		i->trouble = arena_dup(&i->news, sub->error.message);
	} else {
		for (uint32_t k = 0; k < out->tasks.n; k++) {
			struct str arn = out->tasks.v[k].task_arn, id = str_from_at(arn, (size_t)str_rfind_char(arn, '/') + 1);
			i->started = arena_printf(&i->news, "%.*s%s(task %.*s)", STR_ARG(i->started), i->started.n ? " " : "",
			                          STR_ARG(id));
		}
		i->started_count += out->tasks.n;
		if (out->failures.n)
			i->trouble = arena_dup(&i->news, out->failures.v[0].reason);
	}
	if (i->trouble.n)
		i->not_before_ms = clock_wall_ms() + PLACE_AGAIN_MS;
	mark(i);
}

static void woken(void *ctx)
{
	struct schedule *i = ctx;
	i->timer = NULL;
	mark(i);
}

static void edit_run(struct schedule *i);

static void edit_again(void *ctx)
{
	edit_run(ctx);
}

static void edit_done(void *ctx, int result, uint64_t revision)
{
	struct schedule *i = ctx;
	struct loop *l = i->all->crew->cloud->loop;
	(void)revision;
	if (result == -EAGAIN) {
		edit_run(i);
		return;
	}
	if (result < 0) {
		log_error("ecs: a service's state could not be written, and is tried again: %s", strerror(-result));
		loop_add_timer(l, EDIT_AGAIN_US, edit_again, i);
		return;
	}
	arena_reset(&i->news);
	i->started = i->trouble = STR_NONE;
	i->started_count = 0;
	int64_t now_ms = clock_wall_ms();
	loop_remove_timer(l, i->timer);
	i->timer = i->wake_ms ? loop_add_timer(l, (i->wake_ms > now_ms ? i->wake_ms - now_ms : 0) * 1000, woken, i) : NULL;
	if (i->start) {
		call_op(i->all->crew->cloud, i->owner, i->region, &ecs_api, "RunTask", &i->request, run_done, i);
		return;
	}
	i->busy = false;
	if (i->dirty)
		mark(i);
}

static void edit_run(struct schedule *i)
{
	struct state_ecs_service_record r = {0};
	struct record_type row = {&state_ecs_api, "ServiceRecord"};
	arena_reset(&i->step);
	i->start = i->wake_ms = 0;
	struct ecs_scope s = {.arena = &i->step, .account = i->account, .region = i->region};
	s.txn = store_begin(i->all->crew->cloud->store, &i->step);
	if (ecs_service_find(&s, i->cluster, i->name, &r) && !str_is(r.service->status, "INACTIVE")) {
		struct str before = record_write(s.arena, &row, &r);
		advance(i, &s, &r, clock_wall_ms());
		if (!str_eq(before, record_write(s.arena, &row, &r)))
			ecs_service_put(&s, &r);
	}
	store_commit(s.txn, edit_done, i);
}

static void round_of_looks(void *ctx)
{
	struct schedules *all = ctx;
	size_t at = 0;
	struct str key;
	void *value;
	all->soon = NULL;
	while (map_next(&all->services, &at, &key, &value)) {
		struct schedule *i = value;
		if (!i->dirty || i->busy)
			continue;
		i->dirty = false;
		i->busy = true;
		edit_run(i);
	}
}

static void mark(struct schedule *i)
{
	i->dirty = true;
	if (!i->all->soon)
		i->all->soon = loop_add_timer(i->all->crew->cloud->loop, 0, round_of_looks, i->all);
}

/* --- finding what there is */

static void look_at(struct schedules *all, struct arena *a, struct str key)
{
	struct str_list parts = record_key_parts(a, key);
	struct schedule *i = map_get(&all->services, key);
	if (parts.n != 6)
		return;
	if (!i) {
		i = calloc(1, sizeof(*i));
		if (!i)
			abort();
		i->all = all;
		i->key = arena_dup(&i->arena, key);
		i->account = arena_dup(&i->arena, parts.v[2]);
		i->region = arena_dup(&i->arena, parts.v[3]);
		i->cluster = arena_dup(&i->arena, parts.v[4]);
		i->name = arena_dup(&i->arena, parts.v[5]);
		/* The role that AWS makes for ECS in every account may do what a service needs. */
		i->owner = principal_new(PRINCIPAL_ROOT, i->account);
		map_put(&all->services, i->key, i);
	}
	mark(i);
}

static void service_changed(void *ctx, const struct store_event *e)
{
	struct arena CLEAN_ARENA a = {0};
	look_at(ctx, &a, e->key);
}

static void task_changed(void *ctx, const struct store_event *e)
{
	struct schedules *all = ctx;
	struct arena CLEAN_ARENA a = {0};
	struct state_ecs_task_record t = {0};
	struct str_list parts = record_key_parts(&a, e->key);
	if (parts.n != 6 || !str_set(e->value) || !ecs_task_read(&a, e->value, &t) || !str_starts(t.task->group, S("service:")))
		return;
	struct str name = str_from_at(t.task->group, sizeof("service:") - 1);
	struct schedule *i = map_get(&all->services, KEY(&a, S("ecs"), S("service"), parts.v[2], parts.v[3], parts.v[4], name));
	if (i)
		mark(i);
}

struct schedules *schedules_new(struct crew *crew)
{
	struct arena CLEAN_ARENA a = {0};
	struct schedules *all = calloc(1, sizeof(*all));
	if (!all)
		abort();
	all->crew = crew;
	struct store *store = crew->cloud->store;
	struct str under = KEY_UNDER(&a, S("ecs"), S("service")), end = store_prefix_end(&a, under), key;
	struct str tasks = KEY_UNDER(&a, S("ecs"), S("task"));
	all->watch = store_watch(store, under, end, store_revision(store), service_changed, all);
	all->watch_tasks = store_watch(store, tasks, store_prefix_end(&a, tasks), store_revision(store), task_changed, all);
	struct store_txn *t = store_begin(store, &a);
	struct store_iter *iter = store_scan(t, under, end, false);
	struct store_value v;
	while (store_next(iter, &key, &v))
		look_at(all, &a, key);
	store_abort(t);
	return all;
}

void schedules_free(struct schedules *all)
{
	size_t at = 0;
	struct str key;
	void *value;
	if (!all)
		return;
	store_unwatch(all->watch);
	store_unwatch(all->watch_tasks);
	loop_remove_timer(all->crew->cloud->loop, all->soon);
	while (map_next(&all->services, &at, &key, &value)) {
		struct schedule *i = value;
		loop_remove_timer(all->crew->cloud->loop, i->timer);
		principal_unref(i->owner);
		arena_done(&i->step);
		arena_done(&i->news);
		arena_done(&i->arena);
		free(i);
	}
	map_done(&all->services);
	free(all);
}

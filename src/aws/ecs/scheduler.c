#include "scheduled.h"

#include "aws/cloudwatch/cloudwatch.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/rounds.h"
#include "crew.h"
#include "service_instance.h"
#include "service_look.h"

#include <errno.h>
#include <stdlib.h>

enum { EDIT_AGAIN_US = 1000000, PLACE_AGAIN_MS = 10 * 1000 };

struct schedule {
	struct round_item round; /* first: rounds.h */
	struct schedules *all;
	struct str account, region, key;
	struct arena arena;
	struct arena step; /* of the edit under way */
	struct arena news; /* of what the next look tells */
	const struct principal *owner;
	bool alarmed; /* alarms can stop its deployment */
	struct loop_timer *timer;
	struct service_look look;
};

struct schedules {
	struct crew *crew;
	struct map services; /* by key: struct schedule */
	struct store_watch *watch, *watch_tasks, *watch_instances;
	struct cloudwatch_alarms_watch *watch_alarms;
	struct rounds rounds;
};

static void mark(struct schedule *i);

/* --- edits and starts */

static void run_done(void *ctx, struct call *sub)
{
	struct schedule *i = ctx;
	const struct ecs_run_task_response *out = sub->out;
	i->round.busy = false;
	if (str_set(sub->error.code)) {
		i->look.trouble = arena_printf(&i->news, ". Reason: %.*s", STR_ARG(sub->error.message));
	} else {
		for (uint32_t k = 0; k < out->tasks.n; k++) {
			struct str arn = out->tasks.v[k].task_arn, id = str_from_at(arn, (size_t)str_rfind_char(arn, '/') + 1);
			i->look.started = arena_printf(&i->news, "%.*s%s(task %.*s)", STR_ARG(i->look.started),
			                               i->look.started.n ? " " : "", STR_ARG(id));
		}
		i->look.started_count += out->tasks.n;
		if (out->failures.n)
			i->look.trouble = service_trouble(&i->news, &out->failures.v[0]);
	}
	if (i->look.trouble.n)
		i->look.not_before_ms = clock_wall_ms() + PLACE_AGAIN_MS;
	mark(i);
}

static void woken(void *ctx)
{
	struct schedule *i = ctx;
	i->timer = NULL;
	mark(i);
}

static void edit_run(void *item);

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
	i->look.started = i->look.trouble = STR_NONE;
	i->look.started_count = 0;
	int64_t now_ms = clock_wall_ms();
	loop_remove_timer(l, i->timer);
	i->timer = i->look.wake_ms
	                   ? loop_add_clock_timer(l, (i->look.wake_ms > now_ms ? i->look.wake_ms - now_ms : 0) * 1000, woken, i)
	                   : NULL;
	if (i->look.start) {
		call_op(i->all->crew->cloud, i->owner, i->region, &ecs_api, "RunTask", &i->look.request, run_done, i);
		return;
	}
	i->round.busy = false;
	if (i->round.dirty)
		mark(i);
}

static void edit_run(void *item)
{
	struct schedule *i = item;
	struct state_ecs_service_record r = {0};
	struct record_type row = {&state_ecs_api, "ServiceRecord"};
	arena_reset(&i->step);
	i->look.start = i->look.wake_ms = 0;
	struct ecs_scope s = {.arena = &i->step, .account = i->account, .region = i->region};
	s.txn = store_begin(i->all->crew->cloud->store, &i->step);
	if (ecs_service_find(&s, i->look.cluster, i->look.name, &r) && !str_is(r.service->status, "INACTIVE")) {
		struct str before = record_write(s.arena, &row, &r);
		const struct ecs_deployment_configuration *conf = r.service->deployment_configuration;
		i->alarmed = conf && conf->alarms && conf->alarms->enable.v;
		service_look(&i->look, &s, &r, clock_wall_ms());
		if (!str_eq(before, record_write(s.arena, &row, &r)))
			ecs_service_put(&s, &r);
	}
	store_commit(s.txn, edit_done, i);
}

static void mark(struct schedule *i)
{
	rounds_mark(&i->all->rounds, &i->round);
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
		i->look.cluster = arena_dup(&i->arena, parts.v[4]);
		i->look.name = arena_dup(&i->arena, parts.v[5]);
		i->look.roster = all->crew->roster;
		i->look.cloud = all->crew->cloud;
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

void schedules_mark_cluster(struct schedules *all, struct str account, struct str region, struct str cluster)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&all->services, &at, &key, &value)) {
		struct schedule *i = value;
		if (!str_eq(i->account, account) || !str_eq(i->region, region) || !str_eq(i->look.cluster, cluster))
			continue;
		i->look.not_before_ms = 0; /* what had no place may have one */
		mark(i);
	}
}

static void instance_changed(void *ctx, const struct store_event *e)
{
	struct arena CLEAN_ARENA a = {0};
	struct str_list parts = record_key_parts(&a, e->key);
	if (parts.n == 6)
		schedules_mark_cluster(ctx, parts.v[2], parts.v[3], parts.v[4]);
}

static void alarm_changed(void *ctx, struct str account, struct str region)
{
	struct schedules *all = ctx;
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&all->services, &at, &key, &value)) {
		struct schedule *i = value;
		if (i->alarmed && str_eq(i->account, account) && str_eq(i->region, region))
			mark(i);
	}
}

struct schedules *schedules_new(struct crew *crew)
{
	struct arena CLEAN_ARENA a = {0};
	struct schedules *all = calloc(1, sizeof(*all));
	if (!all)
		abort();
	all->crew = crew;
	all->rounds = (struct rounds){.loop = crew->cloud->loop, .items = &all->services, .step = edit_run};
	struct store *store = crew->cloud->store;
	struct str under = KEY_UNDER(&a, S("ecs"), S("service")), end = store_prefix_end(&a, under), key;
	struct str tasks = KEY_UNDER(&a, S("ecs"), S("task")), instances = KEY_UNDER(&a, S("ecs"), S("instance"));
	all->watch = store_watch(store, under, end, store_revision(store), service_changed, all);
	all->watch_tasks = store_watch(store, tasks, store_prefix_end(&a, tasks), store_revision(store), task_changed, all);
	all->watch_instances =
	        store_watch(store, instances, store_prefix_end(&a, instances), store_revision(store), instance_changed, all);
	all->watch_alarms = cloudwatch_watch_alarms(crew->cloud, alarm_changed, all);
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
	store_unwatch(all->watch_instances);
	cloudwatch_unwatch_alarms(all->watch_alarms);
	rounds_end(&all->rounds);
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

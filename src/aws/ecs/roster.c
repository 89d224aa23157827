/* Which agents are there. An agent is connected while a poll of it waits, and for a few seconds after its last word.
 *
 * Every two seconds somebody looks whether the EC2 instances still run: the tasks of one that does not have ended, and a
 * container instance whose EC2 instance is terminated is deregistered, as ECS does it. */
#include "agent.h"

#include "aws/ec2/ec2.h"
#include "base/clock.h"
#include "provider.h"
#include "scheduled.h"

#include <stdlib.h>

enum { LOOK_US = 2000000, SILENT_MS = 12 * 1000, INACTIVE_MS = 3600 * 1000 };

struct roster {
	struct crew *crew;
	struct map members; /* by id: struct agent_link */
	struct loop_timer *look;
	struct arena arena;
	bool busy;
};

struct roster *roster_of(struct call *c)
{
	return ((struct crew *)cloud_state(c->cloud, &ecs_service))->roster;
}

struct agent_link *roster_member(struct call *c, struct str cluster, struct str id)
{
	struct roster *r = roster_of(c);
	struct agent_link *m = map_get(&r->members, id);
	if (m)
		return m;
	m = calloc(1, sizeof(*m));
	if (!m)
		abort();
	m->all = r;
	m->id = arena_dup(&m->arena, id);
	m->cluster = arena_dup(&m->arena, cluster);
	m->account = arena_dup(&m->arena, c->account);
	m->region = arena_dup(&m->arena, c->region);
	map_put(&r->members, m->id, m);
	return m;
}

static bool is_connected(const struct agent_link *m, int64_t now_ms)
{
	return m->waiting || (m->seen_ms && m->seen_ms + SILENT_MS > now_ms);
}

bool roster_connected(struct roster *r, struct str id)
{
	struct agent_link *m = map_get(&r->members, id);
	return m && is_connected(m, clock_wall_ms());
}

static void tell(struct agent_link *m, bool connected)
{
	if (m->connected == connected)
		return;
	m->connected = connected;
	schedules_mark_cluster(m->all->crew->schedules, m->account, m->region, m->cluster);
	managers_mark(m->all->crew->managers, m->account, m->region);
}

void roster_heard(struct call *c, struct str id)
{
	struct agent_link *m = map_get(&roster_of(c)->members, id);
	if (!m) {
		const struct ecs_register_container_instance_request *in = c->in;
		m = roster_member(c, ecs_cluster_name(c, in->cluster), id);
	}
	m->seen_ms = clock_wall_ms();
	tell(m, true);
}

/* --- polls */

void agent_link_let_go(struct agent_link *m)
{
	loop_remove_timer(m->all->crew->cloud->loop, m->timer);
	m->timer = NULL;
	m->waiting = NULL;
	m->due = false;
	m->seen_ms = clock_wall_ms();
}

static void answer(struct agent_link *m)
{
	struct call *c = m->waiting;
	if (!c || m->due)
		return;
	m->due = true;
	call_resume(c);
}

static void waited(void *ctx)
{
	struct agent_link *m = ctx;
	m->timer = NULL;
	answer(m);
}

void agent_link_wait(struct agent_link *m, struct call *c, int64_t us)
{
	m->waiting = c;
	m->due = false;
	m->seen_ms = clock_wall_ms();
	loop_remove_timer(m->all->crew->cloud->loop, m->timer);
	m->timer = loop_add_timer(m->all->crew->cloud->loop, us, waited, m);
	tell(m, true);
}

void roster_wake(struct roster *r, struct str instance)
{
	struct agent_link *m = map_get(&r->members, instance);
	if (m)
		answer(m);
}

void agent_link_take_runtime(struct agent_link *m, bool works)
{
	int64_t now_ms = clock_wall_ms();
	if (!m->runtime_ms || m->runtime_works != works)
		m->runtime_since_ms = now_ms;
	m->runtime_ms = now_ms;
	m->runtime_works = works;
}

struct ecs_container_instance_health_status *roster_health(struct roster *r, struct arena *a, struct str instance)
{
	struct agent_link *m = map_get(&r->members, instance);
	bool connected = m && is_connected(m, clock_wall_ms());
	struct ecs_container_instance_health_status *h = arena_new(a, struct ecs_container_instance_health_status);
	struct ecs_instance_health_check_result *one = LIST_ADD(a, &h->details);
	h->overall_status = !connected         ? S("INSUFFICIENT_DATA")
	                    : !m->runtime_ms   ? S("INITIALIZING")
	                    : m->runtime_works ? S("OK")
	                                       : S("IMPAIRED");
	one->type = S("CONTAINER_RUNTIME");
	one->status = h->overall_status;
	if (m && m->runtime_ms) {
		one->last_updated = OPT_TIME(m->runtime_ms);
		one->last_status_change = OPT_TIME(m->runtime_since_ms);
	}
	return h;
}

static void names_changed(void *ctx, const struct store_event *e)
{
	(void)e;
	answer(ctx);
}

void agent_link_watch_names(struct agent_link *m)
{
	struct arena CLEAN_ARENA a = {0};
	struct store *store = m->all->crew->cloud->store;
	struct discovery_scope s = {.arena = &a, .account = m->account, .region = m->region};
	if (m->names)
		return;
	struct str under = discovery_changes_under(&s);
	m->names = store_watch(store, under, store_prefix_end(&a, under), store_revision(store), names_changed, m);
}

void roster_measure(struct roster *r, struct str instance)
{
	struct agent_link *m = map_get(&r->members, instance);
	if (!m || m->measure)
		return;
	m->measure = true;
	answer(m);
}

/* --- what has become of the instances */

static void looked(void *ctx, int result, uint64_t revision)
{
	struct roster *r = ctx;
	(void)result; /* what could not be written is found again at the next look */
	(void)revision;
	r->busy = false;
	arena_reset(&r->arena);
}

static void end_tasks(const struct ecs_scope *s, const struct state_ecs_instance_record *r, const char *how, int64_t now_ms)
{
	struct str under = ecs_tasks_under(s, r->cluster), key;
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value v;
	while (store_next(iter, &key, &v)) {
		struct state_ecs_task_record t = {0};
		if (!ecs_task_read(s->arena, v.value, &t) || !ecs_task_is_remote(t.task) ||
		    !str_eq(ecs_task_instance(t.task), r->id) || ecs_task_status(t.task) == ECS_STOPPED)
			continue;
		struct str why = arena_printf(s->arena, "Host EC2 (instance %.*s) %s.", STR_ARG(r->instance->ec2_instance_id), how);
		ecs_task_stop(s, &t, "TerminationNotice", why, now_ms);
		ecs_task_end(s, &t, now_ms);
		ecs_task_put(s, &t);
	}
}

static void look_at(struct roster *all, const struct ecs_scope *s, struct state_ecs_instance_record *r, int64_t now_ms)
{
	if (str_is(r->instance->status, "INACTIVE")) {
		if (r->ended.ms + INACTIVE_MS > now_ms)
			return;
		struct agent_link *m = map_get(&all->members, r->id);
		if (m && m->waiting)
			return;
		if (m) {
			map_remove(&all->members, m->id);
			loop_remove_timer(all->crew->cloud->loop, m->timer);
			store_unwatch(m->names);
			arena_done(&m->arena);
			free(m);
		}
		ecs_instance_drop(s, r);
		return;
	}
	enum ec2_life life = ec2_instance_life(s->txn, s->arena, s->account, s->region, r->instance->ec2_instance_id);
	if (life != EC2_LIFE_UP)
		end_tasks(s, r, life == EC2_LIFE_GONE ? "terminated" : "stopped", now_ms);
	if (life == EC2_LIFE_GONE) {
		r->instance->status = S("INACTIVE");
		r->ended = OPT_TIME(now_ms);
		ecs_instance_put(s, r);
	}
}

static void look(void *ctx)
{
	struct roster *all = ctx;
	struct store *store = all->crew->cloud->store;
	int64_t now_ms = clock_wall_ms();
	size_t at = 0;
	struct str key;
	void *value;
	all->look = loop_add_timer(all->crew->cloud->loop, LOOK_US, look, all);
	while (map_next(&all->members, &at, &key, &value))
		tell(value, is_connected(value, now_ms));
	if (all->busy)
		return;
	struct arena *a = &all->arena;
	struct store_txn *t = store_begin(store, a);
	struct str under = KEY_UNDER(a, S("ecs"), S("instance"));
	struct store_iter *iter = store_scan(t, under, store_prefix_end(a, under), false);
	struct store_value v;
	while (store_next(iter, &key, &v)) {
		struct state_ecs_instance_record r = {0};
		struct str_list parts = record_key_parts(a, key);
		if (parts.n != 6 || !ecs_instance_read(a, v.value, &r))
			continue;
		struct ecs_scope s = {.txn = t, .arena = a, .account = parts.v[2], .region = parts.v[3]};
		look_at(all, &s, &r, now_ms);
	}
	all->busy = true;
	store_commit(t, looked, all);
}

struct roster *roster_new(struct crew *crew)
{
	struct roster *r = calloc(1, sizeof(*r));
	if (!r)
		abort();
	r->crew = crew;
	r->look = loop_add_timer(crew->cloud->loop, LOOK_US, look, r);
	return r;
}

void roster_free(struct roster *r)
{
	size_t at = 0;
	struct str key;
	void *value;
	if (!r)
		return;
	loop_remove_timer(r->crew->cloud->loop, r->look);
	while (map_next(&r->members, &at, &key, &value)) {
		struct agent_link *m = value;
		loop_remove_timer(r->crew->cloud->loop, m->timer);
		if (m->waiting) /* its client is there yet, and leaves last */
			m->waiting->state = NULL;
		store_unwatch(m->names);
		arena_done(&m->arena);
		free(m);
	}
	map_done(&r->members);
	arena_done(&r->arena);
	free(r);
}

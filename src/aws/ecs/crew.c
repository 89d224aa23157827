#include "crew.h"

#include "container_instance.h"
#include "journal.h"
#include "provider.h"
#include "scheduled.h"

#include "aws/ec2/ec2.h"
#include "aws/ecs/ecs.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { EDIT_AGAIN_US = 1000000, TOKEN_LIFE_MS = 24 * 3600 * 1000, HOUR_MS = 3600 * 1000 };

/* --- steps */

static void duty_free(struct duty *i)
{
	struct crew *d = i->crew;
	map_remove(&d->duties, i->key);
	map_remove(&d->by_id, i->id);
	if (i->port.n)
		map_remove(&d->by_port, i->port);
	duty_clear(i);
	arena_done(&i->arena);
	free(i);
}

/* One round of steps, all on one snapshot of the records. */
static void round_of_steps(void *ctx)
{
	struct crew *d = ctx;
	size_t at = 0, n = 0;
	struct str key;
	void *value;
	d->soon = NULL;
	struct duty **due = arena_array(&d->arena, d->duties.count + 1, sizeof(*due));
	while (map_next(&d->duties, &at, &key, &value)) {
		struct duty *i = value;
		if (i->dirty && !i->busy)
			due[n++] = i;
	}
	d->txn = store_begin(d->cloud->store, &d->arena);
	for (size_t k = 0; k < n; k++) {
		struct duty *i = due[k];
		struct ecs_scope s = {.txn = d->txn, .arena = &d->arena, .account = i->account, .region = i->region};
		i->dirty = false;
		duty_step(i, &s);
	}
	store_abort(d->txn);
	d->txn = NULL;
	for (size_t k = 0; k < n; k++)
		if (!due[k]->busy && !due[k]->dirty && !due[k]->task && !due[k]->launch && !due[k]->timer && due[k]->port_fd < 0 &&
		    !due[k]->memory_mib)
			duty_free(due[k]);
	arena_reset(&d->arena);
}

void crew_mark(struct duty *i)
{
	i->dirty = true;
	if (!i->crew->soon)
		i->crew->soon = loop_add_timer(i->crew->cloud->loop, 0, round_of_steps, i->crew);
}

/* --- edits */

struct edit {
	struct duty *duty;
	struct arena arena;
};

static void edit_run(struct edit *e);

static void edit_again(void *ctx)
{
	edit_run(ctx);
}

static void edit_done(void *ctx, int result, uint64_t revision)
{
	struct edit *e = ctx;
	(void)revision;
	if (result == -EAGAIN) {
		edit_run(e);
		return;
	}
	if (result < 0) {
		log_error("ecs: a change of state could not be written, and is tried again: %s", strerror(-result));
		loop_add_timer(e->duty->crew->cloud->loop, EDIT_AGAIN_US, edit_again, e);
		return;
	}
	struct duty *i = e->duty;
	arena_done(&e->arena);
	free(e);
	i->busy = false;
	crew_mark(i);
}

static void edit_run(struct edit *e)
{
	struct duty *i = e->duty;
	struct state_ecs_task_record r = {0};
	arena_reset(&e->arena);
	struct ecs_scope s = {.arena = &e->arena, .account = i->account, .region = i->region};
	s.txn = store_begin(i->crew->cloud->store, &e->arena);
	if (ecs_task_find(&s, i->cluster, i->id, &r))
		duty_advance(i, &s, &r, clock_wall_ms());
	store_commit(s.txn, edit_done, e);
}

void crew_edit(struct duty *i)
{
	struct edit *e = calloc(1, sizeof(*e));
	if (!e)
		abort();
	e->duty = i;
	i->busy = true;
	edit_run(e);
}

/* --- finding what there is */

static struct duty *duty_make(struct crew *d, struct str key, const struct str_list *parts)
{
	struct duty *i = map_get(&d->duties, key);
	if (i)
		return i;
	i = calloc(1, sizeof(*i));
	if (!i)
		abort();
	i->crew = d;
	list_init(&i->entered);
	i->port_fd = -1;
	i->key = arena_dup(&i->arena, key);
	i->account = arena_dup(&i->arena, parts->v[2]);
	i->region = arena_dup(&i->arena, parts->v[3]);
	i->cluster = arena_dup(&i->arena, parts->v[4]);
	i->id = arena_dup(&i->arena, parts->v[5]);
	map_put(&d->duties, i->key, i);
	map_put(&d->by_id, i->id, i);
	return i;
}

/* The interface is known before the commit that makes it is heard of by the network, and the memory is taken before whoever asked
 * for the task can ask for the next one. */
static void look_at(struct crew *d, struct arena *a, struct str key, struct str value)
{
	struct state_ecs_task_record r = {0};
	struct str_list parts = record_key_parts(a, key);
	if (parts.n != 6)
		return;
	struct duty *i = map_get(&d->duties, key);
	bool known = i && i->port.n && i->memory_mib, there = !known && str_set(value) && ecs_task_read(a, value, &r);
	if (!i && there && ecs_task_status(r.task) == ECS_STOPPED && !ended_is_over(r.task, clock_wall_ms())) {
		ended_keep(d, parts.v[5], key, r.task);
		return;
	}
	i = duty_make(d, key, &parts);
	if (there) {
		if (!i->port.n && str_set(r.interface) && !ecs_task_is_remote(r.task)) {
			i->port = arena_dup(&i->arena, r.interface);
			map_put(&d->by_port, i->port, i);
		}
		if (!i->memory_mib)
			i->memory_mib = duty_memory_mib(r.task);
	}
	crew_mark(i);
}

void crew_look_at(struct crew *d, struct str key)
{
	struct arena CLEAN_ARENA a = {0};
	struct str_list parts = record_key_parts(&a, key);
	crew_mark(duty_make(d, key, &parts));
}

static void changed(void *ctx, const struct store_event *e)
{
	struct arena CLEAN_ARENA a = {0};
	look_at(ctx, &a, e->key, e->value);
}

static bool port(void *ctx, struct str interface, int fd)
{
	struct crew *d = ctx;
	struct duty *i = map_get(&d->by_port, interface);
	if (!i)
		return false;
	if (i->port_fd >= 0)
		close(i->port_fd);
	i->port_fd = fd;
	crew_mark(i);
	return true;
}

struct crew *crew_new(struct cloud *cloud)
{
	struct arena CLEAN_ARENA a = {0};
	struct crew *d = calloc(1, sizeof(*d));
	if (!d)
		abort();
	d->cloud = cloud;
	list_init(&d->rooms);
	struct principal *self = principal_new(PRINCIPAL_SERVICE, S("000000000000"));
	self->name = self->arn = self->user_id = S("ecs-tasks.amazonaws.com");
	d->self = self;
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
	d->memory_mib = cloud->task_mib ? cloud->task_mib : pages > 0 && page > 0 ? (int64_t)pages * page >> 20 : 0;
	struct str under = KEY_UNDER(&a, S("ecs"), S("task")), key;
	struct str end = store_prefix_end(&a, under);
	d->watch = store_watch(cloud->store, under, end, store_revision(cloud->store), changed, d);
	struct store_txn *t = store_begin(cloud->store, &a);
	struct store_iter *iter = store_scan(t, under, end, false);
	struct store_value v;
	while (store_next(iter, &key, &v))
		look_at(d, &a, key, v.value);
	store_abort(t);
	ec2_watch_ports(cloud, port, d);
	if (cloud->cells) {
		d->images = cloud->images;
		d->tasks = tasks_new(cloud->loop, cloud->cells, cloud->data_dir, cloud->container_runtime, &duty_events, duty_found,
		                     d);
	}
	d->roster = roster_new(d);
	d->schedules = schedules_new(d);
	d->managers = managers_new(d);
	usage_sample_begin(d);
	return d;
}

void crew_free(struct crew *d)
{
	size_t at = 0;
	struct str key;
	void *value;
	roster_free(d->roster);
	managers_free(d->managers);
	schedules_free(d->schedules);
	ec2_unwatch_ports(d->cloud, port, d);
	store_unwatch(d->watch);
	loop_remove_timer(d->cloud->loop, d->soon);
	loop_remove_timer(d->cloud->loop, d->sampler);
	/* The tasks go on: whoever comes next finds them. */
	if (d->tasks)
		tasks_free(d->tasks);
	while (map_next(&d->duties, &at, &key, &value)) {
		struct duty *i = value;
		i->task = NULL;
		entered_all_end(i);
		journal_drop(i->journal);
		i->journal = NULL;
		duty_clear(i);
		arena_done(&i->arena);
		free(i);
	}
	map_done(&d->duties);
	map_done(&d->by_id);
	map_done(&d->by_port);
	ended_clear(d);
	principal_unref(d->self);
	arena_done(&d->arena);
	free(d);
}

/* One lease serves the tokens of an hour. */
int64_t crew_token_lease(struct call *c)
{
	struct crew *d = cloud_state(c->cloud, &ecs_service);
	if (!d->token_lease || c->now_ms >= d->token_lease_until_ms) {
		d->token_lease = store_lease_grant(c->cloud->store, TOKEN_LIFE_MS + HOUR_MS);
		d->token_lease_until_ms = c->now_ms + HOUR_MS;
	}
	return d->token_lease;
}

struct tasks *ecs_tasks(const struct cloud *cloud)
{
	const struct crew *d = cloud_state(cloud, &ecs_service);
	return d ? d->tasks : NULL;
}

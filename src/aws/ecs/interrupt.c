/* The end that tasks on FARGATE_SPOT come to before their own: their place is wanted by a task on demand, or whoever runs the cloud
 * says so. A task has its notice with SIGTERM, and what its definition gives it between that and SIGKILL. */
#include "interrupt.h"
#include "crew.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>

static bool is_spot(const struct ecs_task *t)
{
	return str_is(t->capacity_provider_name, "FARGATE_SPOT");
}

static void interrupt(const struct ecs_scope *s, struct state_ecs_task_record *r, int64_t now_ms)
{
	ecs_task_stop(s, r, "SpotInterruption", S("Your Spot Task was interrupted."), now_ms);
	ecs_task_put(s, r);
}

/* --- taking capacity back */

struct candidate {
	struct ecs_scope scope;
	struct state_ecs_task_record record;
	int64_t mib;
	bool told;
};

static uint32_t find_candidates(struct call *c, struct crew *d, struct candidate *all)
{
	size_t at = 0;
	struct str key;
	void *value;
	uint32_t n = 0;
	while (map_next(&d->duties, &at, &key, &value)) {
		const struct duty *i = value;
		struct candidate *k = &all[n];
		*k = (struct candidate){.mib = i->memory_mib};
		k->scope = (struct ecs_scope){.txn = call_txn(c), .arena = c->arena, .account = i->account, .region = i->region};
		if (!i->memory_mib || !ecs_task_find(&k->scope, i->cluster, i->id, &k->record) || !is_spot(k->record.task))
			continue;
		k->told = str_is(k->record.task->desired_status, "STOPPED");
		n++;
	}
	return n;
}

static struct candidate *oldest(struct candidate *all, uint32_t n)
{
	struct candidate *found = NULL;
	for (uint32_t k = 0; k < n; k++)
		if (!all[k].told && (!found || all[k].record.task->created_at.ms < found->record.task->created_at.ms))
			found = &all[k];
	return found;
}

bool ecs_spot_reclaim(struct call *c, int64_t mib)
{
	struct crew *d = cloud_state(c->cloud, &ecs_service);
	struct candidate *all = arena_array(c->arena, d->duties.count + 1, sizeof(*all)),
	                 **list = arena_array(c->arena, d->duties.count + 1, sizeof(*list));
	int64_t used = crew_used_mib(c);
	uint32_t n = find_candidates(c, d, all), told = 0;
	/* Who has been told goes anyway; who waits for that place is among what is used. */
	for (uint32_t k = 0; k < n; k++)
		used -= all[k].told ? all[k].mib : 0;
	while (used + mib > d->memory_mib) {
		struct candidate *k = oldest(all, n);
		if (!k)
			return false;
		k->told = true;
		used -= k->mib;
		list[told++] = k;
	}
	for (uint32_t k = 0; k < told; k++)
		interrupt(&list[k]->scope, &list[k]->record, c->now_ms);
	return true;
}

bool duty_must_wait(struct duty *i)
{
	struct crew *d = i->crew;
	size_t at = 0;
	struct str key;
	void *value;
	int64_t used = i->memory_mib;
	bool ending = false;
	while (map_next(&d->duties, &at, &key, &value)) {
		const struct duty *other = value;
		if (other == i || !(other->task || other->launch))
			continue;
		used += other->memory_mib;
		ending |= other->stops && other->memory_mib;
	}
	i->waits = ending && d->memory_mib && used > d->memory_mib;
	return i->waits;
}

void duty_left_room(struct duty *i)
{
	struct crew *d = i->crew;
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&d->duties, &at, &key, &value)) {
		struct duty *other = value;
		if (other->waits)
			crew_mark(other);
		other->waits = false;
	}
}

/* --- on demand */

struct asked {
	struct cloud *cloud;
	struct str account, region, cluster, id;
	ecs_interrupt_done_fn *done;
	void *ctx;
	struct arena arena, scratch;
	bool stopped; /* somebody was faster */
};

static void asked_run(struct asked *k);

static void asked_done(void *ctx, int result, uint64_t revision)
{
	(void)revision;
	struct asked *k = ctx;
	arena_done(&k->scratch);
	if (result == -EAGAIN) {
		asked_run(k);
		return;
	}
	k->done(k->ctx, result < 0   ? "the interruption could not be recorded"
	                : k->stopped ? "the task has ended, or ends already"
	                             : NULL);
	arena_done(&k->arena);
	free(k);
}

static void asked_run(struct asked *k)
{
	struct ecs_scope s = {
	        .txn = store_begin(k->cloud->store, &k->scratch), .arena = &k->scratch, .account = k->account, .region = k->region};
	struct state_ecs_task_record r = {0};
	k->stopped = !ecs_task_find(&s, k->cluster, k->id, &r) || str_is(r.task->desired_status, "STOPPED") || !is_spot(r.task);
	if (!k->stopped)
		interrupt(&s, &r, clock_wall_ms());
	store_commit(s.txn, asked_done, k);
}

bool ecs_interrupt(struct cloud *cloud, struct http_request *r, struct arena *a, const struct principal *who, struct str region,
                   struct str task, ecs_interrupt_done_fn *done, void *ctx, unsigned *ret_status, struct str *ret_why)
{
	struct named_task t = {.who = who, .name = task, .region = region, .action = "quartet:InterruptTask"};
	if (!ecs_task_named(cloud, r, a, &t, ret_status, ret_why))
		return false;
	*ret_status = 409;
	if (!is_spot(t.record.task)) {
		*ret_why = arena_printf(a, "The task '%.*s' is not one of FARGATE_SPOT: it has its place for as long as it runs",
		                        STR_ARG(t.id));
		return false;
	}
	struct asked *k = calloc(1, sizeof(*k));
	if (!k)
		abort();
	*k = (struct asked){.cloud = cloud, .done = done, .ctx = ctx};
	k->account = arena_dup(&k->arena, who->account);
	k->region = arena_dup(&k->arena, t.region);
	k->cluster = arena_dup(&k->arena, t.cluster);
	k->id = arena_dup(&k->arena, t.id);
	asked_run(k);
	return true;
}

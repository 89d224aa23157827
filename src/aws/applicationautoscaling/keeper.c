#include "keeper.h"

#include "aws/ecs/ecs.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "core/alarm_wish.h"
#include "core/rounds.h"

#include <errno.h>
#include <stdlib.h>

enum { WRITE_AGAIN_US = 1000000, ASK_AGAIN_US = 5 * 1000000, DAY_MS = 24 * 3600 * 1000, KEPT_DAYS = 42 };

struct keeper {
	struct round_item round; /* first: rounds.h */
	struct keepers *all;
	struct arena arena, scratch, answer; /* scratch: of the step under way */
	struct str key, account, region;
	struct resource of;
	const struct principal *owner;
	bool over;
	bool asked;               /* the other service has not answered */
	int64_t asked_count;      /* what it is asked for */
	bool answered, applied;   /* applied: the answer is in the step under way */
	struct str code, message; /* of the answer; absent: it was done */
	struct str request_id;
	struct loop_timer *timer, *pause;
	int64_t wake_ms, count; /* count: to be asked for; -1: nothing */
};

struct keepers {
	struct cloud *cloud;
	struct map targets;
	struct store_watch *watch, *schedules;
	struct alarm_wishes *alarms;
	struct ecs_services_watch *services;
	struct rounds rounds;
	int64_t lease, lease_until_ms;
};

static void mark(struct keeper *k);
static void run_step(void *item);

/* --- asking the other service */

static void pause_over(void *ctx)
{
	struct keeper *k = ctx;
	k->pause = NULL;
	mark(k);
}

static void told(void *ctx, struct call *sub)
{
	struct keeper *k = ctx;
	k->asked = false;
	if (str_set(sub->error.code) && sub->error.receiver) {
		log_warn("application-autoscaling: %.*s: %.*s", STR_ARG(k->of.id), STR_ARG(sub->error.message));
		k->pause = loop_add_timer(k->all->cloud->loop, ASK_AGAIN_US, pause_over, k);
		return; /* it may have been done: the same count again */
	}
	arena_reset(&k->answer);
	k->answered = true;
	k->code = arena_dup(&k->answer, sub->error.code);
	k->message = arena_dup(&k->answer, sub->error.message);
	k->request_id = arena_dup(&k->answer, sub->request_id);
	mark(k);
}

static void ask(struct keeper *k)
{
	if (k->asked || k->pause || k->answered)
		return;
	k->asked = true;
	k->asked_count = k->count;
	k->of.kind->set(k->all->cloud, k->owner, k->region, k->of.id, k->count, told, k);
}

/* --- a step */

static void fail(const struct appscale *s, const struct resource *of, struct state_applicationautoscaling_target_record *r,
                 struct str why)
{
	activity_say(s, of, r, "Failed",
	             arena_printf(s->arena, "Failed to set %s to %lld. Reason: %.*s", of->kind->what, (long long)r->want.v,
	                          STR_ARG(why)));
	r->want = (struct opt_int){0};
	r->told = (struct opt_bool){0};
	r->out_until = r->in_until = (struct opt_time){0};
}

/* An answer to what is not wanted any more says nothing. */
static bool apply_answer(struct keeper *k, const struct appscale *s, struct state_applicationautoscaling_target_record *r)
{
	if (!r->want.set || r->told.v || r->want.v != k->asked_count)
		return false;
	if (str_set(k->code)) {
		fail(s, &k->of, r,
		     arena_printf(s->arena, "%.*s (Status Code: 400; Error Code: %.*s; Request ID: %.*s)", STR_ARG(k->message),
		                  STR_ARG(k->code), STR_ARG(k->request_id)));
		return true;
	}
	r->told = OPT_BOOL(true);
	activity_say(s, &k->of, r, "InProgress",
	             arena_printf(s->arena, "Successfully set %s to %lld. Waiting for change to be fulfilled by %.*s.",
	                          k->of.kind->what, (long long)r->want.v, STR_ARG(k->of.namespace)));
	return true;
}

static bool look(struct keeper *k, const struct appscale *s, struct state_applicationautoscaling_target_record *r)
{
	struct resource_seen seen;
	resource_see(s, &k->of, &seen);
	if (!r->want.set)
		return false;
	if (!seen.there) {
		fail(s, &k->of, r, ARENA_CAT(s->arena, str_from(k->of.kind->missing), k->of.id));
		return true;
	}
	if (!r->told.v) {
		k->count = r->want.v;
		return false;
	}
	if (seen.wanted != r->want.v)
		activity_say(s, &k->of, r, "Overridden",
		             arena_printf(s->arena,
		                          "Successfully set %s to %lld. It was changed to %lld outside of Application Auto "
		                          "Scaling.",
		                          k->of.kind->what, (long long)r->want.v, (long long)seen.wanted));
	else if (seen.running == seen.wanted)
		activity_say(s, &k->of, r, "Successful",
		             arena_printf(s->arena, "Successfully set %s to %lld. Change successfully fulfilled by %.*s.",
		                          k->of.kind->what, (long long)r->want.v, STR_ARG(k->of.namespace)));
	else {
		int64_t again_ms = s->now_ms + k->of.kind->poll_ms;
		if (k->of.kind->poll_ms && (!k->wake_ms || again_ms < k->wake_ms))
			k->wake_ms = again_ms;
		return false;
	}
	r->want = (struct opt_int){0};
	r->told = (struct opt_bool){0};
	return true;
}

static void keeper_free(struct keeper *k)
{
	struct loop *l = k->all->cloud->loop;
	loop_remove_timer(l, k->timer);
	loop_remove_timer(l, k->pause);
	principal_unref(k->owner);
	arena_done(&k->answer);
	arena_done(&k->scratch);
	arena_done(&k->arena);
	free(k);
}

static void woken(void *ctx)
{
	struct keeper *k = ctx;
	k->timer = NULL;
	mark(k);
}

static void stepped(void *ctx, int result, uint64_t revision)
{
	struct keeper *k = ctx;
	struct loop *l = k->all->cloud->loop;
	(void)revision;
	if (result == -EAGAIN) {
		run_step(k);
		return;
	}
	if (result < 0) {
		log_error("application-autoscaling: a target's state could not be written, and is tried again: %s",
		          strerror(-result));
		loop_add_timer(l, WRITE_AGAIN_US, run_step, k);
		return;
	}
	if (k->applied)
		k->answered = false;
	loop_remove_timer(l, k->timer);
	k->timer = NULL;
	k->round.busy = false;
	if (k->over && !k->round.dirty && !k->asked) {
		map_remove(&k->all->targets, k->key);
		keeper_free(k);
		return;
	}
	int64_t now_ms = clock_wall_ms();
	if (k->wake_ms)
		k->timer = loop_add_clock_timer(l, (k->wake_ms > now_ms ? k->wake_ms - now_ms : 0) * 1000, woken, k);
	if (k->count >= 0)
		ask(k);
	if (k->round.dirty)
		mark(k);
}

static void run_step(void *item)
{
	struct keeper *k = item;
	struct state_applicationautoscaling_target_record r;
	arena_reset(&k->scratch);
	struct appscale s = {.txn = store_begin(k->all->cloud->store, &k->scratch),
	                     .arena = &k->scratch,
	                     .cloud = k->all->cloud,
	                     .account = k->account,
	                     .region = k->region,
	                     .now_ms = clock_wall_ms()};
	bool changed = false, due = false;
	k->count = -1;
	k->wake_ms = 0;
	k->applied = k->answered;
	k->over = !target_find(&s, &k->of, &r);
	if (!k->over) {
		changed = k->applied && apply_answer(k, &s, &r);
		k->wake_ms = appscale_schedules_step(&s, &k->of, &r, &due);
		changed |= look(k, &s, &r);
		if (changed || due)
			target_put(&s, &k->of, &r);
	}
	store_commit(s.txn, stepped, k);
}

static void mark(struct keeper *k)
{
	rounds_mark(&k->all->rounds, &k->round);
}

/* --- finding what there is */

static struct keeper *keeper_of(struct keepers *all, struct str key)
{
	struct keeper *k = map_get(&all->targets, key);
	struct arena CLEAN_ARENA a = {0};
	if (k)
		return k;
	struct str_list parts = record_key_parts(&a, key);
	const struct resource_kind *kind = parts.n == 7 ? resource_kind_of(parts.v[4], parts.v[6]) : NULL;
	if (!kind)
		return NULL;
	k = calloc(1, sizeof(*k));
	if (!k)
		abort();
	k->all = all;
	k->key = arena_dup(&k->arena, key);
	k->account = arena_dup(&k->arena, parts.v[2]);
	k->region = arena_dup(&k->arena, parts.v[3]);
	k->of = (struct resource){kind, arena_dup(&k->arena, parts.v[4]), arena_dup(&k->arena, parts.v[5]),
	                          arena_dup(&k->arena, parts.v[6])};
	/* The role that AWS makes for it in every account may do what a target needs. */
	k->owner = principal_new(PRINCIPAL_ROOT, k->account);
	map_put(&all->targets, key, k);
	return k;
}

static void target_changed(void *ctx, const struct store_event *e)
{
	struct keeper *k = keeper_of(ctx, e->key);
	if (k)
		mark(k);
}

static void wake_target(struct keepers *all, struct arena *a, struct str account, struct str region, const struct resource *of)
{
	struct appscale s = {.arena = a, .account = account, .region = region};
	struct keeper *k = map_get(&all->targets, appscale_key(&s, "target", of, STR_NONE));
	if (k)
		mark(k);
}

static void schedule_changed(void *ctx, const struct store_event *e)
{
	struct arena CLEAN_ARENA a = {0};
	struct str_list parts = record_key_parts(&a, e->key);
	if (parts.n == 8)
		wake_target(ctx, &a, parts.v[2], parts.v[3], &(struct resource){NULL, parts.v[4], parts.v[5], parts.v[6]});
}

static void service_changed(void *ctx, struct str account, struct str region, struct str cluster, struct str name)
{
	struct keepers *all = ctx;
	struct arena CLEAN_ARENA a = {0};
	if (all->targets.count)
		wake_target(all, &a, account, region,
		            &(struct resource){NULL, S("ecs"), ARENA_CAT(&a, S("service/"), cluster, S("/"), name),
		                               S("ecs:service:DesiredCount")});
}

int64_t appscale_keepers_activity_lease(struct cloud *cloud, int64_t now_ms)
{
	struct keepers *all = cloud_state(cloud, &application_autoscaling_service);
	if (!all->lease || now_ms >= all->lease_until_ms) {
		all->lease = store_lease_grant(cloud->store, (int64_t)(KEPT_DAYS + 1) * DAY_MS);
		all->lease_until_ms = now_ms + DAY_MS;
	}
	return all->lease;
}

struct alarm_wishes *appscale_keepers_alarms(struct cloud *cloud)
{
	return ((struct keepers *)cloud_state(cloud, &application_autoscaling_service))->alarms;
}

struct keepers *appscale_keepers_new(struct cloud *cloud)
{
	struct arena CLEAN_ARENA a = {0};
	struct keepers *all = calloc(1, sizeof(*all));
	if (!all)
		abort();
	all->cloud = cloud;
	all->rounds = (struct rounds){.loop = cloud->loop, .items = &all->targets, .step = run_step};
	struct str under = KEY_UNDER(&a, S(APPSCALE), S("target")), end = store_prefix_end(&a, under), key;
	struct str schedules = KEY_UNDER(&a, S(APPSCALE), S("schedule"));
	all->watch = store_watch(cloud->store, under, end, store_revision(cloud->store), target_changed, all);
	all->schedules = store_watch(cloud->store, schedules, store_prefix_end(&a, schedules), store_revision(cloud->store),
	                             schedule_changed, all);
	all->alarms = alarm_wishes_new(cloud, APPSCALE);
	all->services = ecs_watch_services(cloud, service_changed, all);
	struct store_txn *t = store_begin(cloud->store, &a);
	struct store_iter *iter = store_scan(t, under, end, false);
	struct store_value v;
	while (store_next(iter, &key, &v)) {
		struct keeper *k = keeper_of(all, key);
		if (k)
			mark(k);
	}
	store_abort(t);
	return all;
}

void appscale_keepers_free(struct keepers *all)
{
	size_t at = 0;
	struct str key;
	void *value;
	if (!all)
		return;
	store_unwatch(all->watch);
	store_unwatch(all->schedules);
	alarm_wishes_free(all->alarms);
	ecs_unwatch_services(all->services);
	rounds_end(&all->rounds);
	while (map_next(&all->targets, &at, &key, &value))
		keeper_free(value);
	map_done(&all->targets);
	free(all);
}

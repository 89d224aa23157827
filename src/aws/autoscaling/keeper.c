#include "keeper.h"
#include "hooks.h"
#include "measure.h"
#include "policy.h"
#include "step.h"

#include "aws/cloudwatch/cloudwatch.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "core/alarm_wish.h"
#include "core/rounds.h"
#include "gen/ec2.h"

#include <errno.h>
#include <stdlib.h>

enum { EDIT_AGAIN_US = 1000000, MINUTE_US = 60 * 1000000, ASK_AGAIN_MS = 5000, DAY_MS = 24 * 3600 * 1000, KEPT_DAYS = 42 };

struct keeper {
	struct round_item round; /* first: rounds.h */
	struct keepers *all;
	struct str account, region, name;
	struct arena arena, scratch; /* scratch: of the step under way */
	const struct principal *owner;
	bool measured;  /* its metrics are collected */
	bool refreshed; /* a refresh is under way */
	struct loop_timer *timer;
	struct step step;
	struct scope scope;
	struct list news; /* what came of launches, not yet in the record */
	unsigned applied; /* so many of them are in the step under way */
	struct map asked; /* what EC2 is being asked for, by slot: struct asked */
	struct list asks;
};

struct keepers {
	struct cloud *cloud;
	struct map groups;
	struct store_watch *watch, *schedules;
	struct alarm_wishes *alarms;
	struct ec2_instances_watch *instances;
	struct cloudwatch_alarms_watch *alarmed;
	struct rounds rounds;
	struct loop_timer *minute; /* NULL: no group is measured */
	int64_t lease, lease_until_ms;
};

struct news {
	struct list node;
	struct arena arena;
	struct str slot, id, code, message; /* code absent: launched as id */
};

/* One call to EC2, or the pause after one that failed. */
struct asked {
	struct list node;
	struct keeper *keeper;
	enum act_kind kind;
	struct arena arena;
	struct str slot, id;
	struct loop_timer *pause;
};

static void mark(struct keeper *k);

static void free_news(struct news *n)
{
	list_remove(&n->node);
	arena_done(&n->arena);
	free(n);
}

/* --- asking EC2 */

static void drop_asked(struct asked *a)
{
	map_remove(&a->keeper->asked, a->slot);
	list_remove(&a->node);
	arena_done(&a->arena);
	free(a);
}

static void pause_over(void *ctx)
{
	struct asked *a = ctx;
	struct keeper *k = a->keeper;
	a->pause = NULL;
	drop_asked(a);
	mark(k);
}

static void wait_a_while(struct asked *a)
{
	a->pause = loop_add_timer(a->keeper->all->cloud->loop, (int64_t)ASK_AGAIN_MS * 1000, pause_over, a);
}

static void told(struct asked *a, struct call *sub)
{
	struct keeper *k = a->keeper;
	const struct ec2_reservation *out = sub->out;
	bool failed = str_set(sub->error.code);
	bool full = str_starts(sub->error.code, S("Insufficient")); /* EC2's own fault, and yet an answer */
	if (failed && !full && (sub->error.receiver || str_is(sub->error.code, "RequestLimitExceeded"))) {
		log_warn("autoscaling: %.*s: %.*s", STR_ARG(sub->error.code), STR_ARG(sub->error.message));
		wait_a_while(a); /* it may have been done: the same token again */
		return;
	}
	struct news *n = calloc(1, sizeof(*n));
	if (!n)
		abort();
	list_init(&n->node);
	n->slot = arena_dup(&n->arena, a->slot);
	if (failed) {
		n->code = arena_dup(&n->arena, sub->error.code);
		n->message = arena_dup(&n->arena, sub->error.message);
	} else {
		n->id = arena_dup(&n->arena, out->instances.v[0].instance_id);
	}
	list_push(&k->news, &n->node);
	drop_asked(a);
	mark(k);
}

static void unprotected(void *ctx, struct call *sub)
{
	struct asked *a = ctx;
	(void)sub;
	struct keeper *k = a->keeper;
	drop_asked(a);
	mark(k);
}

/* Protection from termination is for people; a group ends what it began. */
static void unprotect(struct asked *a)
{
	struct ec2_modify_instance_attribute_request in = {.instance_id = a->id};
	struct ec2_attribute_boolean_value off = {.value = OPT_BOOL(false)};
	in.disable_api_termination = &off;
	call_op(a->keeper->all->cloud, a->keeper->owner, a->keeper->region, &ec2_api, "ModifyInstanceAttribute", &in, unprotected,
	        a);
}

static void answered(void *ctx, struct call *sub)
{
	struct asked *a = ctx;
	if (a->kind == ACT_LAUNCH) {
		told(a, sub);
	} else if (!str_set(sub->error.code)) {
		struct keeper *k = a->keeper;
		drop_asked(a);
		mark(k);
	} else if (a->kind == ACT_TERMINATE && str_is(sub->error.code, "OperationNotPermitted")) {
		unprotect(a);
	} else {
		if (!str_is(sub->error.code, "InvalidInstanceID.NotFound"))
			log_warn("autoscaling: %.*s: %.*s", STR_ARG(a->id), STR_ARG(sub->error.message));
		wait_a_while(a);
	}
}

/* A step that was under way when its launch was answered asks for what is over: that would be another launch. */
static bool answered_meanwhile(const struct keeper *k, struct str slot)
{
	list_each (&k->news, struct news, node, n)
		if (str_eq(n->slot, slot))
			return true;
	return false;
}

static void ask(struct keeper *k, const struct act *act)
{
	struct cloud *cloud = k->all->cloud;
	struct arena CLEAN_ARENA scratch = {0};
	struct asked *a = map_get(&k->asked, act->slot);
	if (a || answered_meanwhile(k, act->slot))
		return; /* it has not answered, or waits; or has, and the record does not know yet */
	a = calloc(1, sizeof(*a));
	if (!a)
		abort();
	list_init(&a->node);
	a->keeper = k;
	a->kind = act->kind;
	a->slot = arena_dup(&a->arena, act->slot);
	a->id = arena_dup(&a->arena, act->id);
	map_put(&k->asked, a->slot, a);
	list_push(&k->asks, &a->node);
	struct str_list ids = {.v = &a->id, .n = 1, .set = true};
	struct ec2_tag tag = {S("aws:autoscaling:groupName"), k->name};
	struct ec2_tag_list tags = {.v = &tag, .n = 1, .set = true};
	switch (act->kind) {
	case ACT_LAUNCH: {
		struct ec2_run_instances_request in = {0};
		if (!record_read(&scratch, act->request, &scaling_request_row, &in))
			abort();
		call_op(cloud, k->owner, k->region, &ec2_api, "RunInstances", &in, answered, a);
		break;
	}
	case ACT_TERMINATE: {
		struct ec2_terminate_instances_request in = {.instance_ids = ids};
		call_op(cloud, k->owner, k->region, &ec2_api, "TerminateInstances", &in, answered, a);
		break;
	}
	case ACT_START: {
		struct ec2_start_instances_request in = {.instance_ids = ids};
		call_op(cloud, k->owner, k->region, &ec2_api, "StartInstances", &in, answered, a);
		break;
	}
	case ACT_STOP: {
		struct ec2_stop_instances_request in = {.instance_ids = ids};
		call_op(cloud, k->owner, k->region, &ec2_api, "StopInstances", &in, answered, a);
		break;
	}
	case ACT_TAG: {
		struct ec2_create_tags_request in = {.resources = ids, .tags = tags};
		call_op(cloud, k->owner, k->region, &ec2_api, "CreateTags", &in, answered, a);
		break;
	}
	case ACT_UNTAG: {
		struct ec2_delete_tags_request in = {.resources = ids, .tags = tags};
		call_op(cloud, k->owner, k->region, &ec2_api, "DeleteTags", &in, answered, a);
		break;
	}
	}
}

/* --- metrics */

static void minute(void *ctx)
{
	struct keepers *all = ctx;
	struct arena CLEAN_ARENA a = {0};
	size_t at = 0;
	struct str key;
	void *value;
	bool any = false;
	struct store_txn *t = store_begin(all->cloud->store, &a);
	while (map_next(&all->groups, &at, &key, &value)) {
		const struct keeper *k = value;
		struct state_autoscaling_group_record r = {0};
		struct scope s = {.txn = t, .arena = &a, .cloud = all->cloud, .account = k->account, .region = k->region};
		any |= k->measured;
		if (k->measured && scaling_find(&s, k->name, &r))
			measure_group(&s, &r);
	}
	store_abort(t);
	all->minute = any ? loop_add_clock_timer(all->cloud->loop, MINUTE_US, minute, all) : NULL;
}

/* --- steps */

static void run_step(void *item);
static void keeper_free(struct keeper *k);

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
		log_error("autoscaling: a group's state could not be written, and is tried again: %s", strerror(-result));
		loop_add_timer(l, EDIT_AGAIN_US, run_step, k);
		return;
	}
	for (; k->applied; k->applied--)
		free_news(list_first(&k->news, struct news, node));
	int64_t now_ms = clock_wall_ms();
	loop_remove_timer(l, k->timer);
	k->timer = NULL;
	if (k->step.over && !k->round.dirty && list_empty(&k->asks)) {
		map_remove(&k->all->groups, scaling_group_key(&k->scope, k->name));
		keeper_free(k);
		return;
	}
	if (k->step.wake_ms)
		k->timer = loop_add_clock_timer(l, (k->step.wake_ms > now_ms ? k->step.wake_ms - now_ms : 0) * 1000, woken, k);
	k->round.busy = false;
	if (k->measured && !k->all->minute)
		k->all->minute = loop_add_clock_timer(l, MINUTE_US, minute, k->all);
	for (uint32_t i = 0; i < k->step.acts.n; i++)
		ask(k, &k->step.acts.v[i]);
	if (k->round.dirty)
		mark(k);
}

static void drop_group(const struct scope *s, struct str name)
{
	policies_drop(s, name);
	scaling_drop_all(s, "schedule", name);
	scaling_drop_all(s, "notify", name);
	scaling_drop_all(s, "refresh", name);
	scaling_drop(s, name);
}

static void run_step(void *item)
{
	struct keeper *k = item;
	static const struct record_type row = {&state_autoscaling_api, "GroupRecord"};
	struct state_autoscaling_group_record r = {0};
	arena_reset(&k->scratch);
	k->applied = 0;
	k->scope = (struct scope){.arena = &k->scratch,
	                          .cloud = k->all->cloud,
	                          .account = k->account,
	                          .region = k->region,
	                          .now_ms = clock_wall_ms()};
	k->scope.txn = store_begin(k->all->cloud->store, &k->scratch);
	k->step = (struct step){.s = &k->scope, .r = &r, .over = true};
	list_each (&k->news, struct news, node, n)
		k->applied++;
	k->measured = false;
	if (scaling_find(&k->scope, k->name, &r)) {
		struct str before = record_write(&k->scratch, &row, &r);
		list_each (&k->news, struct news, node, n) {
			if (str_set(n->code))
				step_launch_failed(&k->scope, &r, n->slot, n->code, n->message);
			else
				step_launched(&k->scope, &r, n->slot, n->id);
		}
		step_run(&k->step);
		k->measured = r.group->enabled_metrics.n > 0;
		k->refreshed = r.refresh != NULL;
		if (k->step.over)
			drop_group(&k->scope, k->name);
		else if (!str_eq(before, record_write(&k->scratch, &row, &r)))
			scaling_put(&k->scope, &r);
	}
	k->step.r = NULL;
	store_commit(k->scope.txn, stepped, k);
}

static void mark(struct keeper *k)
{
	rounds_mark(&k->all->rounds, &k->round);
}

/* --- finding what there is */

static struct keeper *keeper_of(struct keepers *all, struct arena *a, struct str key)
{
	struct str_list parts = record_key_parts(a, key);
	struct keeper *k = map_get(&all->groups, key);
	if (k || parts.n != 5)
		return k;
	k = calloc(1, sizeof(*k));
	if (!k)
		abort();
	k->all = all;
	k->account = arena_dup(&k->arena, parts.v[2]);
	k->region = arena_dup(&k->arena, parts.v[3]);
	k->name = arena_dup(&k->arena, parts.v[4]);
	/* The role that AWS makes for Auto Scaling in every account may do what a group needs. */
	k->owner = principal_new(PRINCIPAL_ROOT, k->account);
	list_init(&k->news);
	list_init(&k->asks);
	map_put(&all->groups, key, k);
	return k;
}

static void keeper_free(struct keeper *k)
{
	loop_remove_timer(k->all->cloud->loop, k->timer);
	list_each (&k->news, struct news, node, n)
		free_news(n);
	list_each (&k->asks, struct asked, node, a) {
		loop_remove_timer(k->all->cloud->loop, a->pause);
		drop_asked(a); /* under way only at the end of the role, after which no answer comes */
	}
	map_done(&k->asked);
	principal_unref(k->owner);
	arena_done(&k->scratch);
	arena_done(&k->arena);
	free(k);
}

static void group_changed(void *ctx, const struct store_event *e)
{
	struct arena CLEAN_ARENA a = {0};
	struct keeper *k = keeper_of(ctx, &a, e->key);
	if (k)
		mark(k);
}

static void schedule_changed(void *ctx, const struct store_event *e)
{
	struct keepers *all = ctx;
	struct arena CLEAN_ARENA a = {0};
	struct str_list parts = record_key_parts(&a, e->key);
	if (parts.n != 6)
		return;
	struct scope s = {.arena = &a, .account = parts.v[2], .region = parts.v[3]};
	struct keeper *k = map_get(&all->groups, scaling_group_key(&s, parts.v[4]));
	if (k)
		mark(k);
}

static void instance_changed(void *ctx, struct str account, struct str region, struct str id)
{
	struct keepers *all = ctx;
	struct arena CLEAN_ARENA a = {0};
	if (!all->groups.count)
		return;
	struct scope s = {.txn = store_begin(all->cloud->store, &a), .arena = &a, .account = account, .region = region};
	struct str group = scaling_group_of(&s, id);
	struct keeper *k = str_set(group) ? map_get(&all->groups, scaling_group_key(&s, group)) : NULL;
	store_abort(s.txn);
	if (k)
		mark(k);
}

/* A refresh may be waiting for that one. */
static void alarm_changed(void *ctx, struct str account, struct str region)
{
	struct keepers *all = ctx;
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&all->groups, &at, &key, &value)) {
		struct keeper *k = value;
		if (k->refreshed && str_eq(k->account, account) && str_eq(k->region, region))
			mark(k);
	}
}

int64_t keepers_activity_lease(struct cloud *cloud, int64_t now_ms)
{
	struct keepers *all = cloud_state(cloud, &autoscaling_service);
	if (!all->lease || now_ms >= all->lease_until_ms) {
		all->lease = store_lease_grant(cloud->store, (int64_t)(KEPT_DAYS + 1) * DAY_MS);
		all->lease_until_ms = now_ms + DAY_MS;
	}
	return all->lease;
}

struct alarm_wishes *keepers_alarms(struct cloud *cloud)
{
	return ((struct keepers *)cloud_state(cloud, &autoscaling_service))->alarms;
}

struct keepers *keepers_new(struct cloud *cloud)
{
	struct arena CLEAN_ARENA a = {0};
	struct keepers *all = calloc(1, sizeof(*all));
	if (!all)
		abort();
	all->cloud = cloud;
	all->rounds = (struct rounds){.loop = cloud->loop, .items = &all->groups, .step = run_step};
	struct str under = KEY_UNDER(&a, S("autoscaling"), S("group")), end = store_prefix_end(&a, under), key;
	all->watch = store_watch(cloud->store, under, end, store_revision(cloud->store), group_changed, all);
	struct str schedules = KEY_UNDER(&a, S("autoscaling"), S("schedule"));
	all->schedules = store_watch(cloud->store, schedules, store_prefix_end(&a, schedules), store_revision(cloud->store),
	                             schedule_changed, all);
	all->alarms = alarm_wishes_new(cloud, "autoscaling");
	all->instances = ec2_watch_instances(cloud, instance_changed, all);
	all->alarmed = cloudwatch_watch_alarms(cloud, alarm_changed, all);
	struct store_txn *t = store_begin(cloud->store, &a);
	struct store_iter *iter = store_scan(t, under, end, false);
	struct store_value v;
	while (store_next(iter, &key, &v)) {
		struct keeper *k = keeper_of(all, &a, key);
		if (k)
			mark(k);
	}
	store_abort(t);
	return all;
}

void keepers_free(struct keepers *all)
{
	size_t at = 0;
	struct str key;
	void *value;
	if (!all)
		return;
	store_unwatch(all->watch);
	store_unwatch(all->schedules);
	alarm_wishes_free(all->alarms);
	ec2_unwatch_instances(all->instances);
	cloudwatch_unwatch_alarms(all->alarmed);
	rounds_end(&all->rounds);
	loop_remove_timer(all->cloud->loop, all->minute);
	while (map_next(&all->groups, &at, &key, &value))
		keeper_free(value);
	map_done(&all->groups);
	free(all);
}

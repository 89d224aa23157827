#include "desk.h"

#include "aws/ec2/ec2.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

enum { EDIT_AGAIN_US = 1000000 };

void elb_group_mark(struct elb_group_item *i)
{
	i->dirty = true;
	elb_desk_soon(i->desk);
}

void elb_group_item_free(struct elb_group_item *i)
{
	loop_remove_timer(i->desk->cloud->loop, i->timer);
	arena_done(&i->step);
	arena_done(&i->arena);
	free(i);
}

static void woken(void *ctx)
{
	struct elb_group_item *i = ctx;
	i->timer = NULL;
	elb_group_mark(i);
}

static void run(struct elb_group_item *i);

static void run_again(void *ctx)
{
	run(ctx);
}

static void done(void *ctx, int result, uint64_t revision)
{
	struct elb_group_item *i = ctx;
	struct loop *l = i->desk->cloud->loop;
	(void)revision;
	if (result == -EAGAIN) {
		run(i);
		return;
	}
	if (result < 0) {
		log_error("elbv2: a target group could not be written, and is tried again: %s", strerror(-result));
		loop_add_timer(l, EDIT_AGAIN_US, run_again, i);
		return;
	}
	i->busy = false;
	for (uint32_t k = 0; k < i->users.n; k++) {
		struct elb_item *user = elb_item_named(i->desk, &i->step, i->account, i->region, i->users.v[k]);
		if (user)
			elb_item_mark(user);
	}
	loop_remove_timer(l, i->timer);
	i->timer = NULL;
	if (i->gone && !i->dirty) {
		map_remove(&i->desk->groups, i->key);
		elb_group_item_free(i);
		return;
	}
	int64_t now_ms = clock_wall_ms();
	if (i->wake_ms)
		i->timer = loop_add_clock_timer(l, (i->wake_ms > now_ms ? i->wake_ms - now_ms : 0) * 1000, woken, i);
	if (i->dirty)
		elb_desk_soon(i->desk);
}

/* Does the target go: has it drained, or is its instance no more? */
static bool is_over(const struct elb_scope *s, const struct state_elbv2_group_record *r, const struct state_elbv2_target *t)
{
	struct ec2_seen seen;
	if (t->drained.set && t->drained.ms <= s->now_ms)
		return true;
	if (!str_is(r->group->target_type, "instance"))
		return false;
	ec2_see_instance(s->txn, s->arena, s->account, s->region, t->id, &seen);
	return !seen.there || str_is(seen.state, "terminated");
}

static void run(struct elb_group_item *i)
{
	struct state_elbv2_group_record r = {0};
	arena_reset(&i->step);
	struct elb_scope s = {
	        .arena = &i->step, .cloud = i->desk->cloud, .account = i->account, .region = i->region, .now_ms = clock_wall_ms()};
	s.txn = store_begin(s.cloud->store, &i->step);
	i->wake_ms = 0;
	i->users = elb_group_users(&s, i->name);
	i->gone = !elb_group_find(&s, i->name, &r);
	if (!i->gone) {
		uint32_t left = 0, had = r.targets.n;
		for (uint32_t k = 0; k < had; k++) {
			const struct state_elbv2_target t = r.targets.v[k];
			if (is_over(&s, &r, &t))
				continue;
			r.targets.v[left++] = t;
			if (t.drained.set && (!i->wake_ms || t.drained.ms < i->wake_ms))
				i->wake_ms = t.drained.ms;
		}
		r.targets.n = left;
		if (left != had)
			elb_group_put(&s, &r);
	}
	store_commit(s.txn, done, i);
}

void elb_group_step(struct elb_group_item *i)
{
	i->dirty = false;
	i->busy = true;
	run(i);
}

void elb_group_look(struct elb_desk *d, struct str key, struct str value)
{
	struct arena CLEAN_ARENA a = {0};
	struct state_elbv2_group_record r = {0};
	struct str_list parts = record_key_parts(&a, key);
	struct elb_group_item *i = map_get(&d->groups, key);
	if (!i && !str_set(value))
		return;
	if (!i) {
		i = calloc(1, sizeof(*i));
		if (!i)
			abort();
		i->desk = d;
		i->key = arena_dup(&i->arena, key);
		i->account = arena_dup(&i->arena, parts.v[2]);
		i->region = arena_dup(&i->arena, parts.v[3]);
		i->name = arena_dup(&i->arena, parts.v[4]);
		map_put(&d->groups, i->key, i);
	}
	if (str_set(value) && elb_read(&a, value, "GroupRecord", &r) && str_is(r.group->target_type, "instance"))
		for (uint32_t k = 0; k < r.targets.n; k++)
			map_put(&d->targets, r.targets.v[k].id, d);
	elb_group_mark(i);
}

#include "aws/ec2/desk.h"

#include "aws/ec2/capacity/capacity.h"
#include "aws/ec2/capacity/fleet.h"
#include "aws/ec2/capacity/reservation.h"
#include "aws/ec2/capacity/spot.h"
#include "aws/ec2/network/nat_usage.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct desk_item *desk_item(struct desk *d, struct str id)
{
	return map_get(&d->items, id);
}

static void step(struct desk_item *i)
{
	struct desk *d = i->desk;
	struct ec2_scope s = {.txn = d->txn, .arena = &d->arena, .account = i->account, .region = i->region};
	i->dirty = i->waiting = false;
	if (i->kind == &ec2_kind_volume)
		storage_step_volume(i, &s);
	else if (i->kind == &ec2_kind_snapshot)
		storage_step_snapshot(i, &s);
	else if (i->kind == &ec2_kind_layer)
		storage_step_layer(i, &s);
	else if (i->kind == &ec2_kind_reservation)
		reservation_step(i, &s);
	else if (i->kind == &ec2_kind_spot_request)
		spot_step_request(i, &s);
	else if (i->kind == &ec2_kind_fleet)
		fleet_step(i, &s);
	else
		instances_step(i, &s);
}

static void item_free(struct desk_item *i)
{
	map_remove(&i->desk->items, i->id);
	loop_remove_timer(i->desk->cloud->loop, i->timer);
	loop_remove_timer(i->desk->cloud->loop, i->event_timer);
	arena_done(&i->arena);
	free(i);
}

/* One round of steps, all on one snapshot of the records. */
static void round_of_steps(void *ctx)
{
	struct desk *d = ctx;
	size_t at = 0, n = 0, cap = d->items.count;
	struct str key;
	void *value;
	d->soon = NULL;
	struct desk_item **due = arena_array(&d->arena, cap + 1, sizeof(*due));
	while (map_next(&d->items, &at, &key, &value)) {
		struct desk_item *i = value;
		if (i->dirty && !i->busy)
			due[n++] = i;
	}
	d->txn = store_begin(d->cloud->store, &d->arena);
	for (size_t k = 0; k < n; k++)
		step(due[k]);
	store_abort(d->txn);
	d->txn = NULL;
	capacity_counted(d);
	for (size_t k = 0; k < n; k++)
		if (!due[k]->busy && !due[k]->dirty && !due[k]->waiting && !due[k]->machine && !due[k]->timer &&
		    !due[k]->event_timer && !due[k]->memory_mib && !due[k]->counted)
			item_free(due[k]);
	arena_reset(&d->arena);
}

void desk_soon(struct desk *d)
{
	if (!d->soon)
		d->soon = loop_add_timer(d->cloud->loop, 0, round_of_steps, d);
}

void desk_mark(struct desk_item *i)
{
	i->dirty = true;
	desk_soon(i->desk);
}

void desk_wake(struct desk *d)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&d->items, &at, &key, &value))
		if (((struct desk_item *)value)->waiting)
			((struct desk_item *)value)->dirty = true;
	desk_soon(d);
}

void desk_done(struct desk_item *i)
{
	i->busy--;
	i->dirty = true;
	desk_wake(i->desk);
}

static struct desk_item *item_make(struct desk *d, const struct ec2_kind *kind, struct str account, struct str region,
                                   struct str id)
{
	struct desk_item *i = desk_item(d, id);
	if (i)
		return i;
	i = calloc(1, sizeof(*i));
	if (!i)
		abort();
	i->desk = d;
	i->kind = kind;
	i->resets = -1;
	for (size_t k = 0; k < sizeof(i->taps) / sizeof(*i->taps); k++)
		i->taps[k].fd = -1;
	i->account = arena_dup(&i->arena, account);
	i->region = arena_dup(&i->arena, region);
	i->id = arena_dup(&i->arena, id);
	map_put(&d->items, i->id, i);
	return i;
}

void desk_look(struct desk *d, const struct ec2_kind *kind, struct str account, struct str region, struct str id)
{
	desk_mark(item_make(d, kind, account, region, id));
}

/* A layer is called as the snapshot that made it, and may be in several regions and accounts. */
static struct str item_id(struct arena *a, const struct ec2_kind *kind, struct str account, struct str region, struct str id)
{
	return kind == &ec2_kind_layer ? ARENA_CAT(a, S("layer:"), account, S(":"), region, S(":"), id) : id;
}

struct desk_item *desk_hold(struct desk *d, const struct ec2_kind *kind, struct str account, struct str region, struct str id,
                            struct desk_item *holder)
{
	struct desk_item *i = item_make(d, kind, account, region, id);
	if (i->busy)
		return NULL;
	i->busy++;
	i->holder = holder;
	return i;
}

void desk_release(struct desk_item *held)
{
	held->holder = NULL;
	desk_done(held);
}

static void look_at(struct desk *d, struct arena *a, struct str record_key)
{
	static const struct ec2_kind *const kinds[] = {&ec2_kind_volume,   &ec2_kind_snapshot,    &ec2_kind_layer,
	                                               &ec2_kind_instance, &ec2_kind_reservation, &ec2_kind_spot_request,
	                                               &ec2_kind_fleet};
	struct str_list parts = record_key_parts(a, record_key);
	if (parts.n != 5)
		return;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++)
		if (str_is(parts.v[3], kinds[k]->prefix))
			desk_mark(item_make(d, kinds[k], parts.v[1], parts.v[2],
			                    item_id(a, kinds[k], parts.v[1], parts.v[2], parts.v[4])));
}

static void changed(void *ctx, const struct store_event *e)
{
	struct arena CLEAN_ARENA a = {0};
	look_at(ctx, &a, e->key);
}

static void look_at_all(struct desk *d)
{
	struct arena CLEAN_ARENA a = {0};
	struct store_txn *t = store_begin(d->cloud->store, &a);
	struct str under = KEY_UNDER(&a, S("ec2")), key;
	struct store_iter *iter = store_scan(t, under, store_prefix_end(&a, under), false);
	struct store_value v;
	while (store_next(iter, &key, &v))
		look_at(d, &a, key);
	store_abort(t);
}

struct desk *desk_new(struct ec2_state *ec2)
{
	struct arena CLEAN_ARENA a = {0};
	struct desk *d = calloc(1, sizeof(*d));
	if (!d)
		abort();
	d->cloud = ec2->cloud;
	d->ec2 = ec2;
	list_init(&d->gates);
	list_init(&d->holds);
	list_init(&d->launches);
	struct str under = KEY_UNDER(&a, S("ec2"));
	d->watch = store_watch(d->cloud->store, under, store_prefix_end(&a, under), store_revision(d->cloud->store), changed, d);
	look_at_all(d);
	return d;
}

void desk_free(struct desk *d)
{
	if (!d)
		return;
	size_t at = 0;
	struct str key;
	void *value;
	store_unwatch(d->watch);
	loop_remove_timer(d->cloud->loop, d->soon);
	while (map_next(&d->items, &at, &key, &value)) {
		struct desk_item *i = value;
		loop_remove_timer(d->cloud->loop, i->timer);
		loop_remove_timer(d->cloud->loop, i->event_timer);
		arena_done(&i->arena);
		free(i);
	}
	nat_usage_forget(d);
	capacity_forget(d);
	fleet_launches_forget(d);
	map_done(&d->items);
	arena_done(&d->arena);
	free(d);
}

/* --- changes of records */

enum { EDIT_AGAIN_US = 1000000 };

struct edit {
	struct desk *desk;
	struct str account, region;
	desk_edit_fn *fn;
	desk_ended_fn *ended;
	void *ctx;
	struct arena arena, step;
};

static void edit_run(struct edit *e);

static void edit_again(void *ctx)
{
	edit_run(ctx);
}

static void edit_done(void *ctx, int result, uint64_t revision)
{
	(void)revision;
	struct edit *e = ctx;
	if (result == -EAGAIN) {
		edit_run(e);
		return;
	}
	if (result < 0) {
		log_error("ec2: a change of state could not be written, and is tried again: %s", strerror(-result));
		loop_add_timer(e->desk->cloud->loop, EDIT_AGAIN_US, edit_again, e);
		return;
	}
	if (e->ended)
		e->ended(e->ctx);
	arena_done(&e->step);
	arena_done(&e->arena);
	free(e);
}

static void edit_run(struct edit *e)
{
	arena_reset(&e->step);
	struct ec2_scope s = {.arena = &e->step, .account = e->account, .region = e->region};
	s.txn = store_begin(e->desk->cloud->store, &e->step);
	e->fn(&s, e->ctx);
	store_commit(s.txn, edit_done, e);
}

void desk_edit(struct desk *d, struct str account, struct str region, desk_edit_fn *edit, desk_ended_fn *ended, void *ctx)
{
	struct edit *e = calloc(1, sizeof(*e));
	if (!e)
		abort();
	*e = (struct edit){.desk = d, .fn = edit, .ended = ended, .ctx = ctx};
	e->account = arena_dup(&e->arena, account);
	e->region = arena_dup(&e->arena, region);
	edit_run(e);
}

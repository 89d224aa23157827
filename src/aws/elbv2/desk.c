#include "desk.h"

#include "aws/ec2/ec2.h"

#include <stdlib.h>

struct elb_desk *elb_desk(const struct cloud *cloud)
{
	return cloud_state(cloud, &elbv2_service);
}

void elb_desk_health(const struct elb_scope *s, const struct state_elbv2_group_record *r, const struct state_elbv2_target *t,
                     struct elbv2_target_health *ret)
{
	(void)s;
	(void)r;
	(void)t;
	*ret = (struct elbv2_target_health){.state = S("initial"),
	                                    .reason = S("Elb.RegistrationInProgress"),
	                                    .description = S("Target registration is in progress")};
}

static void round_of_steps(void *ctx)
{
	struct elb_desk *d = ctx;
	struct elb_group_item *due[64];
	unsigned n = 0;
	size_t at = 0;
	struct str key;
	void *value;
	d->soon = NULL;
	/* a step without writes ends at once, and may take its item out of the map */
	while (n < 64 && map_next(&d->groups, &at, &key, &value)) {
		struct elb_group_item *i = value;
		if (i->dirty && !i->busy)
			due[n++] = i;
	}
	if (n == 64)
		elb_desk_soon(d);
	for (unsigned i = 0; i < n; i++)
		elb_group_step(due[i]);
}

void elb_desk_soon(struct elb_desk *d)
{
	if (!d->soon)
		d->soon = loop_add_timer(d->cloud->loop, 0, round_of_steps, d);
}

static void look_at(struct elb_desk *d, struct arena *a, struct str key, struct str value)
{
	struct str_list parts = record_key_parts(a, key);
	if (parts.n == 5 && str_is(parts.v[1], "group"))
		elb_group_look(d, key, value);
}

static void changed(void *ctx, const struct store_event *e)
{
	struct arena CLEAN_ARENA a = {0};
	look_at(ctx, &a, e->key, e->value);
}

static void instance_changed(void *ctx, struct str account, struct str region, struct str id)
{
	struct elb_desk *d = ctx;
	size_t at = 0;
	struct str key;
	void *value;
	if (!map_get(&d->targets, id))
		return;
	while (map_next(&d->groups, &at, &key, &value)) {
		struct elb_group_item *i = value;
		if (str_eq(i->account, account) && str_eq(i->region, region))
			elb_group_mark(i);
	}
}

struct elb_desk *elb_desk_new(struct cloud *cloud)
{
	struct arena CLEAN_ARENA a = {0};
	struct elb_desk *d = calloc(1, sizeof(*d));
	if (!d)
		abort();
	d->cloud = cloud;
	struct str under = KEY_UNDER(&a, S("elbv2")), end = store_prefix_end(&a, under), key;
	d->watch = store_watch(cloud->store, under, end, store_revision(cloud->store), changed, d);
	d->instances = ec2_watch_instances(cloud, instance_changed, d);
	struct store_txn *t = store_begin(cloud->store, &a);
	struct store_iter *iter = store_scan(t, under, end, false);
	struct store_value v;
	while (store_next(iter, &key, &v))
		look_at(d, &a, key, v.value);
	store_abort(t);
	return d;
}

void elb_desk_free(struct elb_desk *d)
{
	size_t at = 0;
	struct str key;
	void *value;
	if (!d)
		return;
	store_unwatch(d->watch);
	ec2_unwatch_instances(d->instances);
	loop_remove_timer(d->cloud->loop, d->soon);
	while (map_next(&d->groups, &at, &key, &value))
		elb_group_item_free(value);
	map_done(&d->groups);
	map_done(&d->targets);
	free(d);
}

#include "desk.h"

#include "aws/acm/acm.h"
#include "aws/ec2/ec2.h"
#include "aws/ecs/ecs.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "function.h"
#include "log.h"

#include <stdlib.h>
#include <unistd.h>

enum { DUE_MAX = 64 };

struct elb_desk *elb_desk(const struct cloud *cloud)
{
	return cloud_state(cloud, &elbv2_service);
}

/* --- health */

static const struct elb_seen_group *seen_group(const struct elb_item *i, struct str arn)
{
	for (size_t k = 0; k < i->group_count; k++)
		if (str_is(arn, i->groups[k].arn))
			return &i->groups[k];
	return NULL;
}

/* The target itself, or one of its nodes where it is a balancer: one that is healthy is enough then. */
static bool is_part(const char *seen, const char *id)
{
	size_t n = strlen(id);
	return strncmp(seen, id, n) == 0 && (!seen[n] || seen[n] == '@');
}

void elb_desk_health(const struct elb_scope *s, const struct state_elbv2_group_record *r, const struct state_elbv2_target *t,
                     struct elbv2_target_health *ret)
{
	struct elb_desk *d = elb_desk(s->cloud);
	struct str_list users = elb_group_users(s, r->group->target_group_name);
	const char *id = elb_target_id(s->arena, t);
	*ret = (struct elbv2_target_health){.state = S("initial"),
	                                    .reason = S("Elb.RegistrationInProgress"),
	                                    .description = S("Target registration is in progress")};
	bool said = false;
	for (uint32_t u = 0; u < users.n; u++) {
		const struct elb_item *i = !d ? NULL : elb_item_named(d, s->arena, s->account, s->region, users.v[u]);
		const struct elb_seen_group *g = i ? seen_group(i, r->group->target_group_arn) : NULL;
		for (size_t k = 0; g && k < g->target_count; k++) {
			struct lb_target_health h;
			if (!is_part(g->targets[k].id, id))
				continue;
			enum lb_health health = elb_item_health(i, g, &g->targets[k], &h);
			if (said && health != LB_HEALTHY)
				continue;
			said = true;
			ret->state = health == LB_HEALTHY ? S("healthy") : health == LB_UNHEALTHY ? S("unhealthy") : S("initial");
			ret->reason = h.reason[0] ? arena_dup(s->arena, str_from(h.reason)) : STR_NONE;
			ret->description = h.description[0] ? arena_dup(s->arena, str_from(h.description)) : STR_NONE;
		}
	}
}

/* --- steps */

static void step_balancers(struct elb_desk *d)
{
	struct arena CLEAN_ARENA a = {0};
	struct elb_item *due[DUE_MAX];
	unsigned n = 0;
	size_t at = 0;
	struct str key;
	void *value;
	while (n < DUE_MAX && map_next(&d->balancers, &at, &key, &value)) {
		struct elb_item *i = value;
		if (i->dirty && !i->busy)
			due[n++] = i;
	}
	if (n == DUE_MAX)
		elb_desk_soon(d);
	struct store_txn *t = store_begin(d->cloud->store, &a);
	for (unsigned k = 0; k < n; k++) {
		struct elb_scope s = {.txn = t,
		                      .arena = &a,
		                      .cloud = d->cloud,
		                      .account = due[k]->account,
		                      .region = due[k]->region,
		                      .now_ms = clock_wall_ms()};
		elb_item_step(due[k], &s);
	}
	store_abort(t);
	if (n < DUE_MAX && !d->settled) {
		d->settled = true;
		lb_settle(d->lb);
	}
}

static void round_of_steps(void *ctx)
{
	struct elb_desk *d = ctx;
	struct elb_group_item *due[DUE_MAX];
	unsigned n = 0;
	size_t at = 0;
	struct str key;
	void *value;
	d->soon = NULL;
	step_balancers(d);
	/* a step without writes ends at once, and may take its item out of the map */
	while (n < DUE_MAX && map_next(&d->groups, &at, &key, &value)) {
		struct elb_group_item *i = value;
		if (i->dirty && !i->busy)
			due[n++] = i;
	}
	if (n == DUE_MAX)
		elb_desk_soon(d);
	for (unsigned i = 0; i < n; i++)
		elb_group_step(due[i]);
}

void elb_desk_soon(struct elb_desk *d)
{
	if (!d->soon)
		d->soon = loop_add_timer(d->cloud->loop, 0, round_of_steps, d);
}

/* --- what changes */

/* Of an application load balancer: whose target it may be has to know its nodes. */
static void mark_chained(struct elb_desk *d)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&d->balancers, &at, &key, &value))
		if (((struct elb_item *)value)->chained)
			elb_item_mark(value);
}

/* Of a trust store: listeners of any of its account's balancers there may ask for it. */
static void mark_trusting(struct elb_desk *d, struct str account, struct str region)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&d->balancers, &at, &key, &value)) {
		struct elb_item *i = value;
		if (str_eq(i->account, account) && str_eq(i->region, region))
			elb_item_mark(i);
	}
}

static void look_at(struct elb_desk *d, struct arena *a, struct str key, struct str value)
{
	struct str_list parts = record_key_parts(a, key);
	if (parts.n < 5)
		return;
	if (str_is(parts.v[1], "group"))
		elb_group_look(d, key, value);
	else if (str_is(parts.v[1], "balancer")) {
		elb_item_look(d, a, parts.v[2], parts.v[3], parts.v[4], &value);
		mark_chained(d);
	} else if (str_is(parts.v[1], "trust"))
		mark_trusting(d, parts.v[2], parts.v[3]);
	else if (str_is(parts.v[1], "listener") || str_is(parts.v[1], "rule"))
		elb_item_look(d, a, parts.v[2], parts.v[3], parts.v[4], NULL);
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

/* One that was renewed or imported anew. */
static void certificate_changed(void *ctx, struct str arn)
{
	struct elb_desk *d = ctx;
	size_t at = 0;
	struct str key;
	void *value;
	(void)arn;
	while (map_next(&d->balancers, &at, &key, &value))
		if (((struct elb_item *)value)->tls)
			elb_item_mark(value);
}

static bool port(void *ctx, struct str interface, int fd)
{
	struct elb_desk *d = ctx;
	struct arena CLEAN_ARENA a = {0};
	struct elb_item *i = map_get(&d->by_port, interface);
	struct elb_item_node *n = i ? elb_item_node(i, arena_dupz(&a, interface)) : NULL;
	if (!n)
		return false;
	if (n->fd >= 0)
		close(n->fd);
	n->fd = fd;
	elb_item_mark(i);
	return true;
}

/* --- what the engine says */

static void on_node(void *ctx, const char *balancer, const char *node, bool serves, const char *why)
{
	struct elb_desk *d = ctx;
	struct elb_item *i = map_get(&d->by_id, str_from(balancer));
	struct elb_item_node *n = i ? elb_item_node(i, node) : NULL;
	if (!n)
		return;
	n->serves = serves;
	elb_item_heard(i);
	if (!serves && why[0])
		log_warn("elbv2: %s: the node %s does not serve: %s", balancer, node, why);
	elb_item_mark(i);
}

static void on_health(void *ctx, const char *balancer, const char *node, const char *group, const char *target,
                      const struct lb_target_health *h)
{
	/* asked for when somebody wants to know: lb_health_of() */
	struct elb_desk *d = ctx;
	struct elb_item *i = map_get(&d->by_id, str_from(balancer));
	if (i)
		elb_item_heard(i);
	(void)node;
	(void)group;
	(void)target;
	(void)h;
}

static void on_counters(void *ctx, const char *balancer, const char *node, const char *group, const struct lb_counters *of_node,
                        const struct lb_group_counters *of_group)
{
	struct elb_desk *d = ctx;
	struct elb_item *i = map_get(&d->by_id, str_from(balancer));
	struct elb_item_node *n = i ? elb_item_node(i, node) : NULL;
	if (n && of_node)
		elb_metrics_node(i, n, of_node);
	else if (n && of_group)
		elb_metrics_group(i, n, group, of_group);
}

static void on_flows(void *ctx, const char *balancer, const char *node, const struct lb_flow *flows, size_t count)
{
	struct elb_desk *d = ctx;
	struct elb_item *i = map_get(&d->by_id, str_from(balancer));
	struct elb_item_node *n = i ? elb_item_node(i, node) : NULL;
	if (n)
		elb_flows_lead(i, n, flows, count);
}

static void on_connection(void *ctx, const char *balancer, const char *node, int fd)
{
	struct elb_desk *d = ctx;
	struct elb_item *i = map_get(&d->by_id, str_from(balancer));
	struct elb_item_node *n = i ? elb_item_node(i, node) : NULL;
	if (n)
		elb_door_take(i, n, fd);
	else
		close(fd);
}

static void on_access(void *ctx, const char *balancer, const char *node, const struct lb_log *l)
{
	struct elb_desk *d = ctx;
	struct elb_item *i = map_get(&d->by_id, str_from(balancer));
	struct elb_item_node *n = i ? elb_item_node(i, node) : NULL;
	if (n)
		elb_log_request(i, n, l);
}

static void on_check(void *ctx, const char *balancer, const char *node, const char *group, const char *target,
                     const struct lb_check *check)
{
	struct elb_desk *d = ctx;
	struct elb_item *i = map_get(&d->by_id, str_from(balancer));
	struct elb_item_node *n = i ? elb_item_node(i, node) : NULL;
	if (n)
		elb_log_checked(i, n, group, target, check);
}

static const struct lb_events events = {.node = on_node,
                                        .health = on_health,
                                        .counters = on_counters,
                                        .flows = on_flows,
                                        .connection = on_connection,
                                        .access = on_access,
                                        .check = on_check};

/* --- life */

struct elb_desk *elb_desk_new(struct cloud *cloud)
{
	struct arena CLEAN_ARENA a = {0};
	struct elb_desk *d = calloc(1, sizeof(*d));
	if (!d)
		abort();
	d->cloud = cloud;
	rand_bytes(d->link_key, sizeof(d->link_key));
	d->lb = lb_new(cloud->loop, ecs_tasks(cloud), &events, d);
	struct str under = KEY_UNDER(&a, S("elbv2")), end = store_prefix_end(&a, under), key;
	d->watch = store_watch(cloud->store, under, end, store_revision(cloud->store), changed, d);
	d->instances = ec2_watch_instances(cloud, instance_changed, d);
	struct store_txn *t = store_begin(cloud->store, &a);
	struct store_iter *iter = store_scan(t, under, end, false);
	struct store_value v;
	while (store_next(iter, &key, &v))
		look_at(d, &a, key, v.value);
	store_abort(t);
	elb_log_sweep(d);
	d->certificates = acm_watch(cloud, certificate_changed, d);
	ec2_watch_ports(cloud, port, d);
	elb_desk_soon(d);
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
	acm_unwatch(d->certificates);
	ec2_unwatch_ports(d->cloud, port, d);
	loop_remove_timer(d->cloud->loop, d->soon);
	loop_remove_timer(d->cloud->loop, d->minute);
	/* The nodes go on: whoever comes next finds them. */
	lb_free(d->lb);
	while (map_next(&d->groups, &at, &key, &value))
		elb_group_item_free(value);
	for (at = 0; map_next(&d->balancers, &at, &key, &value);)
		elb_item_free(value);
	map_done(&d->groups);
	map_done(&d->targets);
	map_done(&d->balancers);
	map_done(&d->by_id);
	map_done(&d->by_port);
	map_done(&d->by_name);
	free(d);
}

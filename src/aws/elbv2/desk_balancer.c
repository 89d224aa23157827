#include "desk.h"

#include "aws/ec2/ec2.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "engine/oci/task.h"
#include "function.h"
#include "log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EDIT_AGAIN_US = 1000000 };

void elb_item_mark(struct elb_item *i)
{
	i->dirty = true;
	elb_desk_soon(i->desk);
}

static struct str item_key(struct arena *a, struct str account, struct str region, struct str name)
{
	return KEY(a, account, region, name);
}

struct elb_item *elb_item_named(const struct elb_desk *d, struct arena *a, struct str account, struct str region, struct str name)
{
	return map_get(&d->balancers, item_key(a, account, region, name));
}

struct elb_item_node *elb_item_node(struct elb_item *i, const char *interface)
{
	for (unsigned k = 0; k < i->node_count; k++)
		if (strcmp(i->nodes[k].interface, interface) == 0)
			return &i->nodes[k];
	return NULL;
}

static struct str lower(struct arena *a, struct str text)
{
	char *z = arena_dupz(a, text);
	for (size_t i = 0; i < text.n; i++)
		z[i] = ascii_lower(z[i]);
	return str_of(z, text.n);
}

/* --- what is known of it at once, when its record changes: nodes' interfaces before the network speaks of them, and the name */

static void drop_node(struct elb_item *i, unsigned at)
{
	if (i->nodes[at].fd >= 0)
		close(i->nodes[at].fd);
	map_remove(&i->desk->by_port, str_from(i->nodes[at].interface));
	elb_door_close(i->nodes[at].door);
	i->nodes[at] = i->nodes[--i->node_count];
}

static bool is_wanted(const struct state_elbv2_balancer_record *r, const char *interface)
{
	for (uint32_t k = 0; k < r->nodes.n; k++)
		if (str_is(r->nodes.v[k].interface, interface))
			return true;
	return false;
}

static void take_nodes(struct elb_item *i, const struct state_elbv2_balancer_record *r)
{
	for (unsigned k = i->node_count; k-- > 0;)
		if (!is_wanted(r, i->nodes[k].interface))
			drop_node(i, k);
	for (uint32_t k = 0; k < r->nodes.n && i->node_count < LB_NODES_MAX; k++) {
		struct elb_item_node *n = &i->nodes[i->node_count];
		char interface[LB_ID_MAX];
		snprintf(interface, sizeof(interface), "%.*s", STR_ARG(r->nodes.v[k].interface));
		if (elb_item_node(i, interface))
			continue;
		*n = (struct elb_item_node){.fd = -1, .fresh = str_is(r->balancer->state->code, "provisioning")};
		memcpy(n->interface, interface, sizeof(interface));
		snprintf(n->zone, sizeof(n->zone), "%.*s", STR_ARG(r->nodes.v[k].zone));
		i->node_count++;
		map_put(&i->desk->by_port, str_from(n->interface), i);
	}
}

/* Another balancer may have the name of one that is gone. */
static void forget(struct elb_item *i)
{
	while (i->node_count)
		drop_node(i, i->node_count - 1);
	if (str_set(i->dns_name))
		map_remove(&i->desk->by_name, i->dns_name);
	if (i->id[0]) {
		map_remove(&i->desk->by_id, str_from(i->id));
		lb_remove(i->desk->lb, i->id);
	}
	i->id[0] = '\0';
	i->dns_name = STR_NONE;
	elb_metrics_forget(i);
	elb_log_end(i);
	arena_reset(&i->seen);
	i->groups = NULL;
	i->listeners = NULL;
	i->group_count = i->listener_count = 0;
}

static void take_record(struct elb_item *i, struct arena *a, const struct state_elbv2_balancer_record *r)
{
	struct elb_scope s = {.arena = a, .account = i->account, .region = i->region};
	struct elb_name name;
	if (!elb_name_parse(&s, r->balancer->load_balancer_arn, &name))
		return;
	struct str id = elb_engine_id(a, &name);
	if (!str_is(id, i->id)) {
		forget(i);
		snprintf(i->id, sizeof(i->id), "%.*s", STR_ARG(id));
		map_put(&i->desk->by_id, str_from(i->id), i);
		i->dns_name = lower(&i->arena, r->balancer->dns_name);
		map_put(&i->desk->by_name, i->dns_name, i);
		i->zone_id = arena_dup(&i->arena, r->balancer->canonical_hosted_zone_id);
		i->vpc = arena_dup(&i->arena, r->balancer->vpc_id);
		i->internal = str_is(r->balancer->scheme, "internal");
		i->network = name.network;
		i->path = ARENA_CAT(&i->arena, name.network ? S("net/") : S("app/"), name.name, S("/"), name.id);
	}
	take_nodes(i, r);
}

void elb_item_look(struct elb_desk *d, struct arena *a, struct str account, struct str region, struct str name,
                   const struct str *value)
{
	struct state_elbv2_balancer_record r = {0};
	struct elb_item *i = elb_item_named(d, a, account, region, name);
	if (!i && !(value && str_set(*value)))
		return;
	if (!i) {
		i = calloc(1, sizeof(*i));
		if (!i)
			abort();
		i->desk = d;
		i->key = item_key(&i->arena, account, region, name);
		i->account = arena_dup(&i->arena, account);
		i->region = arena_dup(&i->arena, region);
		i->name = arena_dup(&i->arena, name);
		map_put(&d->balancers, i->key, i);
	}
	if (value && str_set(*value) && elb_read(a, *value, "BalancerRecord", &r))
		take_record(i, a, &r);
	elb_item_mark(i);
}

void elb_item_free(struct elb_item *i)
{
	for (unsigned k = 0; k < i->node_count; k++) {
		if (i->nodes[k].fd >= 0)
			close(i->nodes[k].fd);
		elb_door_close(i->nodes[k].door);
	}
	elb_metrics_forget(i);
	elb_log_forget(i);
	arena_done(&i->seen);
	arena_done(&i->arena);
	free(i);
}

/* --- provisioning -> active */

struct edit {
	struct elb_item *item;
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
		log_error("elbv2: the state of a load balancer could not be written, and is tried again: %s", strerror(-result));
		loop_add_timer(e->item->desk->cloud->loop, EDIT_AGAIN_US, edit_again, e);
		return;
	}
	struct elb_item *i = e->item;
	arena_done(&e->arena);
	free(e);
	i->busy = false;
	if (i->dirty)
		elb_desk_soon(i->desk);
}

static void edit_run(struct edit *e)
{
	struct elb_item *i = e->item;
	struct state_elbv2_balancer_record r = {0};
	struct elb_name name;
	arena_reset(&e->arena);
	struct elb_scope s = {.arena = &e->arena, .account = i->account, .region = i->region};
	s.txn = store_begin(i->desk->cloud->store, &e->arena);
	if (elb_balancer_find(&s, i->name, &r) && elb_name_parse(&s, r.balancer->load_balancer_arn, &name) &&
	    str_is(elb_engine_id(s.arena, &name), i->id) && str_is(r.balancer->state->code, "provisioning")) {
		r.balancer->state->code = S("active");
		elb_balancer_put(&s, &r);
	}
	store_commit(s.txn, edit_done, e);
}

static void make_active(struct elb_item *i)
{
	struct edit *e = calloc(1, sizeof(*e));
	if (!e)
		abort();
	e->item = i;
	i->busy = true;
	edit_run(e);
}

/* --- the step */

static uint32_t address_of(struct arena *a, struct str text)
{
	struct in_addr at;
	return str_set(text) && inet_pton(AF_INET, arena_dupz(a, text), &at) == 1 ? ntohl(at.s_addr) : 0;
}

/* Gives the engine the links that have come. */
static void give_ports(struct elb_item *i, const struct elb_scope *s, bool ipv6)
{
	for (unsigned k = 0; k < i->node_count; k++) {
		struct elb_item_node *n = &i->nodes[k];
		struct ec2_lent lent;
		if (!ec2_find_lent(s->txn, s->arena, i->account, i->region, str_from(n->interface), &lent))
			continue;
		n->private = lent.ip;
		n->public = address_of(s->arena, lent.public);
		n->has_address6 = ipv6 && str_set(lent.address6); /* subnets may give one to everybody */
		memcpy(n->address6, lent.ip6, sizeof(n->address6));
		struct task_port port = {.fd = n->fd,
		                         .address = lent.ip,
		                         .gateway = lent.gateway,
		                         .prefix = lent.prefix,
		                         .has_address6 = n->has_address6};
		memcpy(port.address6, lent.ip6, sizeof(port.address6));
		int e = lb_port(i->desk->lb, n->interface, &port);
		if (e < 0)
			log_error("elbv2: %s: the node %s cannot be started: %s", i->id, n->interface, strerror(-e));
		if (n->fd >= 0)
			close(n->fd);
		n->fd = -1;
	}
}

/* As nodes name it that have shown it. */
static void sum_of(struct arena *a, const char *pem, char ret[41])
{
	const char *begin = strstr(pem, "-----BEGIN CERTIFICATE-----"), *end = begin ? strstr(begin, "-----END") : NULL;
	unsigned char sum[HASH_MAX_BYTES];
	char *text = arena_alloc(a, end ? (size_t)(end - begin) : 1);
	size_t n = 0;
	for (const char *p = begin ? begin + 27 : NULL; p && p < end; p++)
		if (!ascii_is_space(*p))
			text[n++] = *p;
	struct str der = base64_decode(a, str_of(text, n));
	hash_of(HASH_SHA1, str_set(der) ? der : S(""), sum);
	hex_encode(sum, 20, ret);
}

static void remember_listeners(struct elb_item *i, const struct lb_balancer *b)
{
	static const char *const actions[] = {"forward", "redirect", "fixed-response"};
	struct arena *a = &i->seen;
	i->listener_count = b->listener_count;
	i->listeners = arena_array(a, b->listener_count + 1, sizeof(*i->listeners));
	for (size_t k = 0; k < b->listener_count; k++) {
		const struct lb_listener *l = &b->listeners[k];
		struct elb_seen_listener *to = &i->listeners[k];
		*to = (struct elb_seen_listener){
		        .tls = l->certificate_count > 0, .rule_count = l->rule_count, .certificate_count = l->certificate_count};
		to->rules = arena_array(a, l->rule_count + 1, sizeof(*to->rules));
		to->certificates = arena_array(a, l->certificate_count + 1, sizeof(*to->certificates));
		for (size_t r = 0; r < l->rule_count; r++) {
			to->rules[r].priority =
			        strcmp(l->rules[r].priority, "default") == 0 ? "0" : arena_dupz(a, str_from(l->rules[r].priority));
			to->rules[r].action = actions[l->rules[r].action.kind];
		}
		for (size_t c = 0; c < l->certificate_count; c++) {
			to->certificates[c].arn = arena_dupz(a, str_from(l->certificates[c].name));
			sum_of(a, l->certificates[c].pem, to->certificates[c].sum);
		}
	}
}

/* What health, names and logs are asked about until the next step. */
static void remember(struct elb_item *i, const struct lb_balancer *b)
{
	struct arena *a = &i->seen;
	arena_reset(a);
	i->group_count = b->group_count;
	i->groups = arena_array(a, b->group_count + 1, sizeof(*i->groups));
	for (size_t k = 0; k < b->group_count; k++) {
		const struct lb_group *g = &b->groups[k];
		struct elb_seen_group *to = &i->groups[k];
		to->arn = arena_dupz(a, str_from(g->name));
		to->cross_zone = g->cross_zone;
		to->function = g->function;
		to->route_count = g->healthy_min_count;
		to->route_percent = g->healthy_min_percent;
		to->name_count = g->name_min_count;
		to->name_percent = g->name_min_percent;
		to->grpc = g->version == LB_GRPC;
		to->multi = g->function && g->multi_values;
		to->targets = arena_array(a, g->target_count + 1, sizeof(*to->targets));
		for (size_t t = 0; t < g->target_count; t++)
			if (!g->targets[t].draining)
				to->targets[to->target_count++] = (struct elb_seen_target){
				        arena_dupz(a, str_from(g->targets[t].id)), arena_dupz(a, str_from(g->targets[t].zone))};
	}
}

static bool all_serve(const struct elb_item *i)
{
	for (unsigned k = 0; k < i->node_count; k++)
		if (!i->nodes[k].serves)
			return false;
	return i->node_count > 0;
}

void elb_item_step(struct elb_item *i, const struct elb_scope *s)
{
	struct state_elbv2_balancer_record r = {0};
	struct lb_balancer b;
	i->dirty = false;
	elb_metrics_begin(i->desk);
	if (!elb_balancer_find(s, i->name, &r)) {
		forget(i);
		map_remove(&i->desk->balancers, i->key);
		elb_item_free(i);
		return;
	}
	take_record(i, s->arena, &r);
	elb_plan(s, &r, &b, &i->chained);
	remember(i, &b);
	remember_listeners(i, &b);
	elb_log_take(i, s->arena, &r);
	i->tls = false;
	for (size_t k = 0; k < b.listener_count; k++)
		i->tls |= b.listeners[k].certificate_count > 0;
	/* first, so that nodes that lack an address are not told to listen at it */
	give_ports(i, s, elb_has_ipv6(r.balancer));
	int e = lb_put(i->desk->lb, &b);
	if (e < 0)
		log_error("elbv2: %s cannot be as it is wanted: %s", i->id, strerror(-e));
	elb_item_heard(i);
	if (str_is(r.balancer->state->code, "provisioning") && all_serve(i))
		make_active(i);
}

/* --- health */

enum sight { SEES_NOTHING_YET, SEES_NONE, SEES_SOME }; /* healthy targets, of any group */

static enum sight sight_of(const struct elb_item *i, const struct elb_item_node *n)
{
	struct lb_target_health h;
	bool unhealthy = false, initial = false;
	for (size_t g = 0; g < i->group_count && n->serves; g++)
		for (size_t t = 0; t < i->groups[g].target_count; t++) {
			bool said =
			        lb_health_of(i->desk->lb, i->id, n->interface, i->groups[g].arn, i->groups[g].targets[t].id, &h);
			if (said && h.health == LB_HEALTHY)
				return SEES_SOME;
			unhealthy |= said && h.health == LB_UNHEALTHY;
			initial |= said && h.health == LB_INITIAL;
		}
	return unhealthy && !initial ? SEES_NONE : SEES_NOTHING_YET;
}

static bool is_cut_off(const struct elb_item *i, const struct elb_item_node *n)
{
	bool others = false;
	if (sight_of(i, n) != SEES_NONE)
		return false;
	for (unsigned k = 0; k < i->node_count && !others; k++)
		others = &i->nodes[k] != n && sight_of(i, &i->nodes[k]) == SEES_SOME;
	return others;
}

bool elb_node_has_enough(const struct elb_item *i, const struct elb_item_node *n, const struct elb_seen_group *g, bool by_name)
{
	size_t count = 0, healthy = 0, least = by_name ? g->name_count : g->route_count,
	       percent = by_name ? g->name_percent : g->route_percent;
	for (size_t t = 0; t < g->target_count; t++) {
		const struct elb_seen_target *at = &g->targets[t];
		struct lb_target_health h;
		if (!g->cross_zone && strcmp(at->zone, "all") != 0 && strcmp(at->zone, n->zone) != 0)
			continue;
		count++;
		healthy += !lb_health_of(i->desk->lb, i->id, n->interface, g->arn, at->id, &h) || h.health != LB_UNHEALTHY;
	}
	return healthy >= least && healthy * 100 >= count * percent;
}

void elb_item_heard(struct elb_item *i)
{
	i->heard += i->heard + 1 ? 1 : 2;
}

/* Every ill target asks this: it is found out once for all of them, until something else is heard. */
bool elb_node_is_cut_off(const struct elb_item *i, const struct elb_item_node *node)
{
	struct elb_item_node *n = (struct elb_item_node *)(uintptr_t)node;
	if (!i->heard || n->cut_off_at != i->heard) {
		n->cut_off = is_cut_off(i, n);
		n->cut_off_at = i->heard;
	}
	return n->cut_off;
}

enum lb_health elb_item_health(const struct elb_item *i, const struct elb_seen_group *g, const struct elb_seen_target *t,
                               struct lb_target_health *ret_why)
{
	bool asked = false, initial = false;
	*ret_why = (struct lb_target_health){
	        .health = LB_INITIAL, .reason = "Elb.RegistrationInProgress", .description = "Target registration is in progress"};
	for (unsigned k = 0; k < i->node_count; k++) {
		const struct elb_item_node *n = &i->nodes[k];
		struct lb_target_health h;
		if (!n->serves || (!g->cross_zone && strcmp(t->zone, "all") != 0 && strcmp(t->zone, n->zone) != 0))
			continue;
		asked = true;
		if (!lb_health_of(i->desk->lb, i->id, n->interface, g->arn, t->id, &h) || h.health == LB_INITIAL) {
			initial = true;
			continue;
		}
		if (h.health == LB_UNHEALTHY) {
			if (elb_node_is_cut_off(i, n))
				continue;
			*ret_why = h;
			return LB_UNHEALTHY;
		}
	}
	if (!asked)
		return LB_INITIAL;
	*ret_why = initial ? (struct lb_target_health){.health = LB_INITIAL,
	                                               .reason = "Elb.InitialHealthChecking",
	                                               .description = "Initial health checks in progress"}
	                   : (struct lb_target_health){.health = LB_HEALTHY, .reason = "", .description = ""};
	return ret_why->health;
}

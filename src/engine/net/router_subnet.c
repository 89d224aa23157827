/* Two tables a subnet: the packet's mark says which. Only the one for addresses that have a public one leads to the internet; ways
 * through a NAT gateway are in both. Routes within the VPC are "throw": the main table has one route for each address that is in
 * use, and nothing else. What a subnet's table does not know is dropped, like what is led to something that is not there. */
#include "engine/net/link.h"
#include "engine/net/router.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_BASE = 1000, LOOPBACK = 1 };

uint32_t subnet_acl(const struct thing *t)
{
	const struct thing *acl = thing_find(t->router, t->message->subnet.acl);
	/* number 0 lets nothing pass */
	return acl && acl->verb == NET_ACL ? acl->number : 0;
}

bool subnet_is_served(const struct thing *t)
{
	for (size_t i = 0; i < t->message->h.value; i++)
		if (t->message->subnet.routes[i].kind == NETWORK_SERVICE)
			return true;
	return false;
}

uint32_t subnet_mark(uint32_t number)
{
	return 2 * number;
}

static bool matches(const struct net_prefix *p, uint32_t address)
{
	return !((address ^ p->base) & (p->bits ? ~0u << (32 - p->bits) : 0));
}

/* A NAT gateway works where it has a public address and its own subnet leads to the internet. */
static bool nat_works(const struct thing *t, const struct net_route *route)
{
	const struct thing *gate = thing_find(t->router, route->target);
	if (!gate || gate->verb != NET_PORT || !gate->message || !gate->live || !gate->message->port.addresses[0].public)
		return false;
	const struct thing *subnet = thing_find(t->router, gate->message->port.subnet);
	if (!subnet || subnet->verb != NET_SUBNET || !subnet->message)
		return false;
	const struct net_route *best = NULL;
	for (size_t i = 0; i < subnet->message->h.value; i++) {
		const struct net_route *o = &subnet->message->subnet.routes[i];
		if (!o->ipv6 && matches(&o->to, route->to.base) && o->to.bits <= route->to.bits &&
		    (!best || o->to.bits > best->to.bits))
			best = o;
	}
	return best && best->kind == NETWORK_INTERNET;
}

static struct route one_route(const struct thing *t, const struct net_route *m, bool has_public)
{
	const struct router *r = t->router;
	struct route route = {.table = TABLE_BASE + subnet_mark(t->number) + has_public,
	                      .base = m->to.base,
	                      .bits = (uint8_t)m->to.bits,
	                      .kind = ROUTE_BLACKHOLE};
	const struct thing *target = m->kind == NETWORK_PORT ? thing_find(r, m->target) : NULL;
	bool out = (m->kind == NETWORK_INTERNET && has_public) || (m->kind == NETWORK_NAT && nat_works(t, m));
	if (m->kind == NETWORK_LOCAL) {
		route.kind = ROUTE_THROW;
	} else if (out && r->uplink) {
		route.kind = ROUTE_VIA;
		route.ifindex = r->uplink_ifindex;
		route.gateway = r->uplink;
	} else if (target && target->verb == NET_PORT && target->live && target->ifindex && !target->is_down) {
		route.kind = ROUTE_VIA;
		route.ifindex = target->ifindex;
		route.gateway = target->message->port.addresses[0].private;
	}
	if (m->kind == NETWORK_PEER) {
		route.ifindex = peering_link(net_peerings(r->net), r, m->target, &route.gateway);
		route.kind = route.ifindex ? ROUTE_VIA : ROUTE_BLACKHOLE;
	}
	return route;
}

static const struct route *find_prefix(const struct route *routes, size_t n, const struct route *r)
{
	for (size_t i = 0; i < n; i++)
		if (routes[i].base == r->base && routes[i].bits == r->bits)
			return &routes[i];
	return NULL;
}

static bool same_route(const struct route *a, const struct route *b)
{
	return a && a->kind == b->kind && a->ifindex == b->ifindex && a->gateway == b->gateway;
}

/* Routes that stay are not touched. */
static int update_table(struct thing *t, bool has_public)
{
	const struct net_subnet *m = &t->message->subnet;
	struct route *next = calloc(m->h.value + 1, sizeof(*next)), *had = t->routes[has_public];
	size_t n = 0, had_count = t->route_counts[has_public];
	int error = next ? 0 : -ENOMEM;
	bool has_default = false;
	for (size_t i = 0; next && i < m->h.value; i++) {
		if (m->routes[i].ipv6)
			continue;
		next[n++] = one_route(t, &m->routes[i], has_public);
		has_default = has_default || m->routes[i].to.bits == 0;
	}
	if (next && !has_default)
		next[n++] = (struct route){.table = TABLE_BASE + subnet_mark(t->number) + has_public, .kind = ROUTE_BLACKHOLE};
	for (size_t i = 0; i < n && !error; i++)
		if (!same_route(find_prefix(had, had_count, &next[i]), &next[i]))
			error = route_set(t->router->netlink, &next[i]);
	for (size_t i = 0; i < had_count; i++)
		if (!find_prefix(next, n, &had[i]))
			route_remove(t->router->netlink, &had[i]);
	free(had);
	t->routes[has_public] = next;
	t->route_counts[has_public] = n;
	return error;
}

static bool has_targets(const struct thing *t)
{
	for (size_t i = 0; i < t->message->h.value; i++)
		if (t->message->subnet.routes[i].target[0])
			return true;
	return false;
}

void subnet_count_nats(struct thing *t)
{
	const struct net_subnet *m = &t->message->subnet;
	struct rules_nat routes[NETWORK_ROUTES_MAX];
	size_t n = 0;
	bool any = false;
	for (size_t i = 0; i < m->h.value && n < NETWORK_ROUTES_MAX; i++) {
		const struct net_route *r = &m->routes[i];
		const struct thing *gate = r->kind == NETWORK_NAT ? thing_find(t->router, r->target) : NULL;
		if (r->ipv6)
			continue;
		any |= gate != NULL;
		routes[n++] = (struct rules_nat){r->to, gate ? gate->number : 0};
	}
	if (any || t->has_nats)
		rules_nats(&t->router->batch, t->number, subnet_mark(t->number), routes, n);
	t->has_nats |= any;
}

static int update_tables(struct thing *t)
{
	int error = 0;
	subnet_count_nats(t);
	for (int i = 0; i < 2 && !error; i++)
		error = update_table(t, i);
	return error ? error : subnet6_update(t);
}

void subnet_update_routes(struct router *r, bool targets_alone)
{
	list_each (&r->things, struct thing, at, t)
		if (t->verb == NET_SUBNET && t->live && t->message && (!targets_alone || has_targets(t)))
			update_tables(t);
}

/* An earlier net may have begun the same. */
static int begin(struct thing *t)
{
	struct router *r = t->router;
	uint32_t mark = subnet_mark(t->number);
	int error = link_add_address(r->netlink, LOOPBACK, t->gateway, 32);
	for (uint32_t i = 0; i < 2 && (!error || error == -EEXIST); i++)
		error = route_add_mark_rule(r->netlink, mark + i, TABLE_BASE + mark + i);
	if (!error || error == -EEXIST)
		error = subnet6_begin(t);
	return error == -EEXIST ? 0 : error;
}

int subnet_take_over(struct thing *t)
{
	t->gateway = t->message->subnet.prefix.base + 1;
	int error = begin(t);
	t->live = !error;
	return error;
}

int subnet_apply(struct thing *t)
{
	struct router *r = t->router;
	uint32_t gateway = t->message->subnet.prefix.base + 1, mark = subnet_mark(t->number);
	int error = 0;
	if (t->live && t->gateway != gateway) {
		device_remove_address(r->netlink, LOOPBACK, t->gateway, 32);
		error = link_add_address(r->netlink, LOOPBACK, gateway, 32);
	}
	t->gateway = gateway;
	if (!error)
		error = update_tables(t);
	if (!error && !t->live)
		error = begin(t);
	rules_subnet(&r->batch, t->number, subnet_acl(t), mark, subnet_is_served(t));
	rules6_subnet(&r->batch, t->number, subnet_acl(t), &t->message->subnet);
	t->live = true;
	/* this one's routes decide what NAT gateways in it can do for others */
	subnet_update_routes(r, true);
	return error;
}

void subnet_drop(struct thing *t)
{
	struct router *r = t->router;
	uint32_t mark = subnet_mark(t->number);
	for (uint32_t i = 0; i < 2; i++) {
		route_remove_mark_rule(r->netlink, mark + i, TABLE_BASE + mark + i);
		for (size_t k = 0; k < t->route_counts[i]; k++)
			route_remove(r->netlink, &t->routes[i][k]);
		free(t->routes[i]);
		t->routes[i] = NULL;
		t->route_counts[i] = 0;
	}
	device_remove_address(r->netlink, LOOPBACK, t->gateway, 32);
	subnet6_drop(t);
	if (t->has_nats)
		rules_remove_nats(&r->batch, t->number, mark);
	t->has_nats = false;
	rules_remove_subnet(&r->batch, t->number, mark);
	t->live = false;
}

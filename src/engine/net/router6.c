/* IPv6 of a router. Every address is what it is on both sides of the router, so a subnet has one table; packets go on as long as
 * they have a hop. A port's link has the router's fe80::1, and a permanent neighbour for each address. */
#include "engine/net/router.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_BASE = 1000, MAIN_TABLE = 254, LOOPBACK = 1 };

static const uint8_t router_address[16] = ROUTER6_ADDRESS;
static const uint8_t peer_address[16] = {0xfe, 0x80, [15] = 2}; /* the other end of every peering's */
static const uint8_t metadata_address[16] = {0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54};

int router6_set_up(struct router *r)
{
	int error = address6_add(r->netlink, LOOPBACK, metadata_address, 128);
	r->has_ipv6 = !error;
	if (error == -EOPNOTSUPP || error == -EAFNOSUPPORT || error == -EACCES)
		return 0;
	/* what no table knows goes nowhere, without a word */
	struct route6 nowhere = {.table = MAIN_TABLE, .kind = ROUTE_BLACKHOLE};
	return error ? error : route6_set(r->netlink, &nowhere);
}

/* ---- subnets ---- */

static struct route6 one_route(const struct thing *t, const struct net_route *m)
{
	const struct router *r = t->router;
	struct route6 route = {.table = TABLE_BASE + subnet_mark(t->number), .bits = (uint8_t)m->to6.bits, .kind = ROUTE_BLACKHOLE};
	const struct thing *target = m->kind == NETWORK_PORT ? thing_find(r, m->target) : NULL;
	uint32_t unused;
	memcpy(route.base, m->to6.base, sizeof(route.base));
	if (m->kind == NETWORK_LOCAL) {
		route.kind = ROUTE_THROW;
	} else if ((m->kind == NETWORK_INTERNET || m->kind == NETWORK_EGRESS_ONLY) && r->uplink) {
		route.kind = ROUTE_VIA;
		route.ifindex = r->uplink_ifindex;
		network_outside6(r->uplink, route.gateway);
	} else if (target && target->verb == NET_PORT && target->live && target->ifindex && !target->is_down &&
	           target->message->port.address6_count) {
		route.kind = ROUTE_VIA;
		route.ifindex = target->ifindex;
		memcpy(route.gateway, target->message->port.addresses6[0], sizeof(route.gateway));
	} else if (m->kind == NETWORK_PEER && (route.ifindex = peering_link(net_peerings(r->net), r, m->target, &unused)) != 0) {
		route.kind = ROUTE_VIA;
		memcpy(route.gateway, peer_address, sizeof(route.gateway));
	}
	return route;
}

static const struct route6 *find_prefix(const struct route6 *routes, size_t n, const struct route6 *r)
{
	for (size_t i = 0; i < n; i++)
		if (routes[i].bits == r->bits && memcmp(routes[i].base, r->base, sizeof(r->base)) == 0)
			return &routes[i];
	return NULL;
}

static bool same_route(const struct route6 *a, const struct route6 *b)
{
	return a->kind == b->kind && a->ifindex == b->ifindex && memcmp(a->gateway, b->gateway, sizeof(a->gateway)) == 0;
}

int subnet6_update(struct thing *t)
{
	const struct net_subnet *m = &t->message->subnet;
	int sock = t->router->netlink, error = 0;
	if (!t->router->has_ipv6)
		return 0;
	struct route6 *next = calloc(m->h.value + 1, sizeof(*next)), *had = t->routes6;
	size_t n = 0, had_count = t->route6_count;
	if (!next)
		return -ENOMEM;
	next[n++] = (struct route6){.table = TABLE_BASE + subnet_mark(t->number), .kind = ROUTE_BLACKHOLE};
	for (size_t i = 0; i < m->h.value; i++)
		if (m->routes[i].ipv6)
			next[m->routes[i].to6.bits ? n++ : 0] = one_route(t, &m->routes[i]);
	for (size_t i = 0; i < had_count; i++) {
		const struct route6 *to = find_prefix(next, n, &had[i]);
		/* the kernel does not replace a route of another kind: for a moment nothing leads there */
		if (!to || !same_route(to, &had[i]))
			route6_remove(sock, &had[i]);
	}
	for (size_t i = 0; i < n && !error; i++) {
		const struct route6 *was = find_prefix(had, had_count, &next[i]);
		if (t->router->adopting)
			route6_remove(sock, &next[i]); /* the earlier net's, of whatever kind */
		if (!was || !same_route(was, &next[i]))
			error = route6_set(sock, &next[i]);
	}
	free(had);
	t->routes6 = next;
	t->route6_count = n;
	return error;
}

int subnet6_begin(struct thing *t)
{
	uint32_t mark = subnet_mark(t->number);
	return t->router->has_ipv6 ? route6_add_mark_rule(t->router->netlink, mark, TABLE_BASE + mark) : 0;
}

void subnet6_drop(struct thing *t)
{
	uint32_t mark = subnet_mark(t->number);
	if (t->router->has_ipv6)
		route6_remove_mark_rule(t->router->netlink, mark, TABLE_BASE + mark);
	for (size_t i = 0; i < t->route6_count; i++)
		route6_remove(t->router->netlink, &t->routes6[i]);
	free(t->routes6);
	t->routes6 = NULL;
	t->route6_count = 0;
}

/* ---- ports ---- */

static bool has_address(const struct net_port *m, const uint8_t address[16])
{
	for (size_t i = 0; m && i < m->address6_count; i++)
		if (memcmp(m->addresses6[i], address, 16) == 0)
			return true;
	return false;
}

static int lead(const struct thing *t, const uint8_t mac[6], const uint8_t address[16], bool add)
{
	int sock = t->router->netlink;
	struct route6 route = {.table = MAIN_TABLE, .bits = 128, .kind = ROUTE_LINK, .ifindex = t->ifindex};
	memcpy(route.base, address, sizeof(route.base));
	if (t->is_down)
		return 0; /* the kernel has forgotten all, and is told all when the link comes up */
	if (!add) {
		neighbour6_remove(sock, t->ifindex, address);
		return route6_remove(sock, &route);
	}
	int error = neighbour6_set(sock, t->ifindex, address, mac);
	return error ? error : route6_set(sock, &route);
}

int port6_lead(const struct thing *t, const struct net_port *had, const struct net_port *m)
{
	int error = 0;
	if (!t->router->has_ipv6)
		return 0;
	if (!had) {
		error = address6_add(t->router->netlink, t->ifindex, router_address, 64);
		if (!error)
			error = link6_join(t);
	}
	for (size_t i = 0; i < m->address6_count && !error; i++)
		if (!has_address(had, m->addresses6[i]))
			error = lead(t, m->mac, m->addresses6[i], true);
	for (size_t i = 0; had && i < had->address6_count && !error; i++)
		if (!has_address(m, had->addresses6[i]))
			lead(t, m->mac, had->addresses6[i], false);
	return error;
}

int port6_lead_again(const struct thing *t, const struct net_port *m)
{
	if (!t->router->has_ipv6)
		return 0;
	int error = address6_add(t->router->netlink, t->ifindex, router_address, 64);
	for (size_t i = 0; i < m->address6_count && (!error || error == -EEXIST); i++)
		error = lead(t, m->mac, m->addresses6[i], true);
	return error == -EEXIST ? 0 : error;
}

int port6_inside(const struct net_port *had, const struct net_port *m, int sock, unsigned eth0)
{
	struct route6 out = {.table = MAIN_TABLE, .kind = ROUTE_VIA, .ifindex = eth0};
	int error = 0;
	memcpy(out.gateway, router_address, sizeof(out.gateway));
	for (size_t i = 0; i < m->address6_count && !error; i++)
		if (!has_address(had, m->addresses6[i]))
			error = address6_add(sock, eth0, m->addresses6[i], 128);
	for (size_t i = 0; had && i < had->address6_count && !error; i++)
		if (!has_address(m, had->addresses6[i]))
			error = address6_remove(sock, eth0, had->addresses6[i], 128);
	if (!error && m->address6_count && (!had || !had->address6_count))
		error = route6_set(sock, &out);
	return error;
}

/* ---- peerings ---- */

int peering6_link(const struct router *r, unsigned ifindex, const uint8_t mac[6])
{
	return r->has_ipv6 ? neighbour6_set(r->netlink, ifindex, peer_address, mac) : 0;
}

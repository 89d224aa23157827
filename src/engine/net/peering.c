/* A peering is a veth pair between two routers. Nobody asks for neighbours on it: both ends are known, as are the addresses that
 * stand for them. A group that a rule names and that is the other VPC's has its members' addresses in a set here, worked out anew
 * when anything has changed. */
#include "engine/net/link.h"
#include "engine/net/router.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PEER_ADDRESS = 0xa9fe0001, MEMBERS_MAX = 4096 };

struct peering {
	struct list at;
	char id[NETWORK_ID_MAX];
	char vpcs[2][NETWORK_ID_MAX];
	uint32_t number;
	bool seen, untold;
	struct router *routers[2]; /* both: it is linked */
	unsigned ifindex[2];
};
struct peerings {
	struct net *net;
	struct list all;
	uint32_t next_number;
	bool touched, used;
};

struct peerings *peerings_new(struct net *net)
{
	struct peerings *p = calloc(1, sizeof(*p));
	if (!p)
		die("out of memory");
	*p = (struct peerings){.net = net};
	list_init(&p->all);
	return p;
}

static struct router *find_router(const struct peerings *p, const char *id)
{
	list_each (net_routers(p->net), struct router, at, r)
		if (strcmp(r->id, id) == 0)
			return r;
	return NULL;
}

/* ---- links ---- */

static int be_end(const struct peering *x, int side)
{
	char name[16];
	const struct router *r = x->routers[side];
	uint8_t mac[6] = {0x02, 'p', 'e', 'e', 'r', (uint8_t)side}, other[6] = {0x02, 'p', 'e', 'e', 'r', (uint8_t)!side};
	unsigned ifindex = 0;
	snprintf(name, sizeof(name), "x%u", x->number);
	int error = link_index(r->netlink, name, &ifindex);
	if (!error)
		error = device_set_mac(r->netlink, ifindex, mac);
	if (!error)
		error = link_set_forwarding(r->netlink, ifindex, true);
	if (!error)
		error = link_up(r->netlink, ifindex);
	if (!error)
		error = peering6_link(r, ifindex, other);
	return error ? error : neighbour_set(r->netlink, ifindex, PEER_ADDRESS, other);
}

static void unlink_peering(struct peering *x)
{
	if (!x->routers[0])
		return;
	/* the other end goes with it */
	link_remove(x->routers[0]->netlink, x->ifindex[0]);
	for (int i = 0; i < 2; i++) {
		struct router *r = x->routers[i];
		x->routers[i] = NULL;
		if (r->live)
			rules_remove_peering(&r->batch, x->number);
	}
}

static void add_rules(const struct peering *x, int side)
{
	const struct net_vpc *other = &x->routers[!side]->vpc;
	rules_peering(&x->routers[side]->batch, x->number, other->prefixes, other->h.value);
	rules6_peering(&x->routers[side]->batch, x->number, other);
}

static void link_peering(struct peerings *p, struct peering *x)
{
	struct router *a = find_router(p, x->vpcs[0]), *b = find_router(p, x->vpcs[1]);
	char name[16];
	const uint8_t mac[6] = {0x02, 'p', 'e', 'e', 'r', 1};
	if (!a || !b || !a->live || !b->live)
		return;
	/* an end that was left behind would have the old name */
	x->number = ++p->next_number;
	snprintf(name, sizeof(name), "x%u", x->number);
	x->routers[0] = a;
	x->routers[1] = b;
	int error = device_add_veth(a->netlink, name, name, b->ns_fd, mac);
	for (int i = 0; i < 2 && !error; i++)
		error = link_index(x->routers[i]->netlink, name, &x->ifindex[i]);
	for (int i = 0; i < 2 && !error; i++)
		error = be_end(x, i);
	if (error) {
		log_error("%s: %s", x->id, strerror(-error));
		if (x->ifindex[0])
			link_remove(a->netlink, x->ifindex[0]);
		x->routers[0] = x->routers[1] = NULL;
		return;
	}
	for (int i = 0; i < 2; i++)
		add_rules(x, i);
}

unsigned peering_link(struct peerings *p, const struct router *r, const char *id, uint32_t *ret_gateway)
{
	*ret_gateway = PEER_ADDRESS;
	list_each (&p->all, struct peering, at, x)
		for (int i = 0; i < 2 && strcmp(x->id, id) == 0; i++)
			if (x->routers[i] == r)
				return x->ifindex[i];
	*ret_gateway = 0;
	return 0;
}

/* ---- groups of the other side ---- */

static bool is_in(const struct net_port *port, const char *group)
{
	for (size_t i = 0; i < port->group_count; i++)
		if (strcmp(port->groups[i], group) == 0)
			return true;
	return false;
}

static void add_members(const struct router *r, const char *group, uint32_t *addresses, size_t *n)
{
	list_each (&r->things, struct thing, at, t)
		for (size_t i = 0; t->verb == NET_PORT && t->live && i < t->message->port.address_count && *n < MEMBERS_MAX; i++)
			if (is_in(&t->message->port, group))
				addresses[(*n)++] = t->message->port.addresses[i].private;
}

static void add_members6(const struct router *r, const char *group, uint8_t (*addresses)[16], size_t *n)
{
	list_each (&r->things, struct thing, at, t)
		for (size_t i = 0; t->verb == NET_PORT && t->live && i < t->message->port.address6_count && *n < MEMBERS_MAX; i++)
			if (is_in(&t->message->port, group))
				memcpy(addresses[(*n)++], t->message->port.addresses6[i], 16);
}

static void update_members(struct peerings *p, struct router *r)
{
	static uint32_t addresses[MEMBERS_MAX];
	static uint8_t addresses6[MEMBERS_MAX][16];
	list_each (&r->things, struct thing, at, t) {
		size_t n = 0, n6 = 0;
		if (t->verb != NET_GROUP || t->message || !r->live)
			continue;
		list_each (&p->all, struct peering, at, x)
			for (int i = 0; i < 2 && x->routers[0]; i++)
				if (x->routers[i] == r) {
					add_members(x->routers[!i], t->id, addresses, &n);
					add_members6(x->routers[!i], t->id, addresses6, &n6);
				}
		rules_members(&r->batch, t->number, addresses, n);
		rules6_members(&r->batch, t->number, (const uint8_t(*)[16])addresses6, n6);
	}
}

/* ---- the face to net.c and the routers ---- */

static struct peering *find(struct peerings *p, const char *id)
{
	list_each (&p->all, struct peering, at, x)
		if (strcmp(x->id, id) == 0)
			return x;
	return NULL;
}

static void drop(struct peerings *p, struct peering *x)
{
	heir_forget(net_heir(p->net), "", x->id);
	unlink_peering(x);
	list_remove(&x->at);
	free(x);
}

void peering_put(struct peerings *p, const struct net_peering *m)
{
	struct peering *x = find(p, m->h.id);
	if (x && memcmp(x->vpcs, m->vpcs, sizeof(x->vpcs)) != 0) {
		drop(p, x);
		x = NULL;
	}
	if (!x) {
		x = calloc(1, sizeof(*x));
		if (!x)
			die("out of memory");
		memcpy(x->id, m->h.id, sizeof(x->id));
		memcpy(x->vpcs, m->vpcs, sizeof(x->vpcs));
		x->untold = true;
		list_push(&p->all, &x->at);
	}
	x->seen = p->used = true;
}

void peering_remove(struct peerings *p, const char *id)
{
	struct peering *x = find(p, id);
	if (x)
		drop(p, x);
}

void peerings_forget_seen(struct peerings *p)
{
	list_each (&p->all, struct peering, at, x)
		x->seen = false;
}

void peerings_settle(struct peerings *p)
{
	list_each (&p->all, struct peering, at, x)
		if (!x->seen)
			drop(p, x);
	p->touched = true;
}

void peerings_bequeath(struct peerings *p, bool all)
{
	list_each (&p->all, struct peering, at, x) {
		if (!x->untold && !all)
			continue;
		x->untold = false;
		struct net_peering m = {.h = {.verb = NET_PEERING}};
		struct legacy l = {.bytes = sizeof(m), .message = (const void *)&m};
		memset(l.fds, -1, sizeof(l.fds));
		memcpy(l.id, x->id, sizeof(l.id));
		memcpy(m.h.id, x->id, sizeof(m.h.id));
		memcpy(m.vpcs, x->vpcs, sizeof(m.vpcs));
		heir_tell(net_heir(p->net), &l);
	}
}

void peerings_touch(struct peerings *p)
{
	p->touched = true;
}

void peerings_forget_router(struct peerings *p, const struct router *r)
{
	list_each (&p->all, struct peering, at, x)
		if (x->routers[0] == r || x->routers[1] == r)
			unlink_peering(x);
	p->touched = true;
}

void peerings_gather(struct peerings *p, struct router *r)
{
	list_each (&p->all, struct peering, at, x)
		for (int i = 0; i < 2 && x->routers[0]; i++)
			if (x->routers[i] == r)
				add_rules(x, i);
	p->touched = true;
}

void peerings_update(struct peerings *p)
{
	if (!p->touched || !p->used)
		return;
	p->touched = false;
	list_each (&p->all, struct peering, at, x) {
		if (!x->routers[0])
			link_peering(p, x);
		else
			for (int i = 0; i < 2; i++)
				add_rules(x, i); /* the blocks may have changed */
	}
	list_each (net_routers(p->net), struct router, at, r) {
		if (!r->live)
			continue;
		subnet_update_routes(r, true);
		update_members(p, r);
	}
}

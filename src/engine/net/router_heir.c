/* What a router hands on to the next net, and how that one goes on with it. In the namespace all is as it was: links, addresses,
 * routes, rules, flows. Numbers stay what they were, because they are in names of links, in route tables and in marks of flows; so
 * everything can be said to the kernel again, over what is there. Only the rules begin anew, in the end, when all that they speak
 * of is known: that is the moment in which packets get lost. */
#include "engine/net/link.h"
#include "engine/net/router.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Places of descriptors. */
enum { NAMESPACE, LISTENERS, DEVICE = 0, PLUG, SOCKETS };
_Static_assert(LISTENERS + NETWORK_LISTENERS <= LEGACY_FDS_MAX && SOCKETS + PORT_SOCKETS <= LEGACY_FDS_MAX, "places");

/* ---- handing on ---- */

static struct legacy legacy_of(const struct router *r, const char *id, const void *message, size_t bytes)
{
	struct legacy l = {.last_number = r->next_number, .bytes = bytes, .message = message};
	memset(l.fds, -1, sizeof(l.fds));
	memcpy(l.router, r->id, sizeof(l.router));
	memcpy(l.id, id, NETWORK_ID_MAX);
	return l;
}

static void bequeath_router(const struct router *r)
{
	struct legacy l = legacy_of(r, r->id, &r->vpc, sizeof(r->vpc));
	l.uplink = r->uplink;
	l.fds[NAMESPACE] = r->ns_fd;
	memcpy(l.fds + LISTENERS, r->listeners, sizeof(r->listeners));
	heir_tell(net_heir(r->net), &l);
}

void thing_bequeath(const struct thing *t)
{
	struct legacy l = legacy_of(t->router, t->id, t->message, t->message_bytes);
	l.number = t->number;
	l.device = t->device;
	if (t->verb == NET_PORT && t->live) {
		l.fds[DEVICE] = t->fd;
		l.fds[PLUG] = t->plug;
		memcpy(l.fds + SOCKETS, t->sockets, sizeof(t->sockets));
	}
	heir_tell(net_heir(t->router->net), &l);
}

void router_bequeath(struct router *r, bool all)
{
	if (!r->live)
		return;
	if (r->untold || all)
		bequeath_router(r);
	r->untold = false;
	list_each (&r->things, struct thing, at, t) {
		if (t->message && (t->untold || all))
			thing_bequeath(t);
		t->untold = false;
	}
}

/* ---- taking over ---- */

static int take(struct legacy *l, unsigned place)
{
	int fd = l->fds[place];
	l->fds[place] = -1;
	return fd;
}

void router_inherit(struct router *r, struct legacy *l)
{
	memcpy(&r->vpc, l->message, l->bytes < sizeof(r->vpc) ? l->bytes : sizeof(r->vpc));
	r->uplink = l->uplink;
	r->ns_fd = take(l, NAMESPACE);
	for (unsigned i = 0; i < NETWORK_LISTENERS; i++)
		r->listeners[i] = take(l, LISTENERS + i);
}

void thing_inherit(struct router *r, struct legacy *l)
{
	struct thing *t = thing_named(r, l->message->h.verb, l->id);
	union net_message *copy = calloc(1, l->bytes);
	if (!t || !copy)
		die("a thing is there twice");
	if (r->next_number < l->last_number)
		r->next_number = l->last_number;
	memcpy(copy, l->message, l->bytes);
	t->number = l->number;
	t->device = l->device;
	t->message = copy;
	t->message_bytes = l->bytes;
	if (t->verb != NET_PORT)
		return;
	t->fd = take(l, DEVICE);
	t->plug = take(l, PLUG);
	for (unsigned i = 0; i < PORT_SOCKETS; i++)
		t->sockets[i] = take(l, SOCKETS + i);
}

static bool has_port(const struct router *r, unsigned number)
{
	list_each (&r->things, struct thing, at, t)
		if (t->verb == NET_PORT && t->number == number && t->fd >= 0)
			return true;
	return false;
}

/* Links of ports that were being made or removed go, and those of peerings, which are made anew. */
static void look_at_link(void *ctx, unsigned ifindex, const char *name)
{
	struct router *r = ctx;
	unsigned number;
	char more;
	bool port = sscanf(name, "p%u%c", &number, &more) == 1, peering = sscanf(name, "x%u%c", &number, &more) == 1;
	if (peering || (port && !has_port(r, number)))
		router_doom(r, ifindex);
}

/* In its namespace. */
static int open_again(struct router *r)
{
	r->netlink = link_socket();
	if (r->netlink < 0)
		return r->netlink;
	int walk = link_socket(), error = walk < 0 ? walk : link_each(walk, "", look_at_link, r);
	if (walk >= 0)
		close(walk);
	return error ? error : router_open(r);
}

static void say(const struct thing *t, int error)
{
	if (error)
		log_error("%s: it is made anew: %s", t->id, strerror(-error));
}

static void take_over_things(struct router *r)
{
	uint32_t uplink = r->uplink;
	r->uplink = 0;
	router_set_uplink(r, uplink);
	list_each (&r->things, struct thing, at, t)
		if (t->verb == NET_SUBNET && t->message)
			say(t, subnet_take_over(t));
	list_each (&r->things, struct thing, at, t)
		if (t->verb == NET_PORT && t->message && t->fd >= 0)
			say(t, port_take_over(t));
	static const uint32_t order[] = {NET_SUBNET, NET_PORT, NET_BALANCE};
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		list_each (&r->things, struct thing, at, t)
			if (t->verb == order[i] && (t->verb != NET_PORT || !t->live))
				thing_apply(t);
}

int router_take_over(struct router *r)
{
	/* what they name has a number behind those that there are */
	list_each (&r->things, struct thing, at, t)
		if (t->message)
			thing_name_others(r, t->verb, t->message);
	int error = router_enter(r);
	if (error)
		return error;
	error = open_again(r);
	router_leave(r);
	if (error)
		return error;
	r->live = r->adopting = true;
	router_remove_doomed(r);
	take_over_things(r);
	r->adopting = false;
	router_make_rules(r);
	list_each (&r->things, struct thing, at, t) {
		if (t->verb == NET_GROUP || t->verb == NET_ACL)
			t->live = t->message;
		if (t->verb != NET_PORT || !t->live || t->message->port.kind == NETWORK_GATEWAY)
			continue;
		flow_update(t);
		fault_update(t);
		link6_advertise(t, &t->message->port);
	}
	return 0;
}

/* The steps are in the order of rules.h; each function answers for one of them. Answers are asked for separately: groups let them
 * pass, routes and ACLs do not know of them. */
#include "engine/net/explain.h"
#include "engine/net/networks.h"

#include <string.h>

enum { EPHEMERAL_FIRST = 32768, EPHEMERAL_LAST = 60999, METADATA = 0xa9fea9fe, RESOLVER = 0xa9fea9fd };

static const struct network_ip metadata6 = {{0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54}};

struct walk {
	const struct networks *n;
	struct network_verdict v;
	const struct net_port *from, *to;
	const char *vpc;  /* in which this is asked */
	const char *peer; /* the VPC at the other end of the peering that the way leads over; "": none */
	struct network_ip source, destination;
	bool ipv6;
	int16_t protocol;
	uint16_t port;
};

static struct network_block peer_of(const struct net_rule *r)
{
	return r->ipv6 ? network_block6(r->peer6.base, r->peer6.bits) : network_block4(r->peer.base, r->peer.bits);
}

static struct network_block to_of(const struct net_route *r)
{
	return r->ipv6 ? network_block6(r->to6.base, r->to6.bits) : network_block4(r->to.base, r->to.bits);
}

static const union net_message *find(const struct networks *n, uint32_t verb, const char *id)
{
	const struct want *w = map_get(&n->wants, str_from(id));
	return w && w->verb == verb ? w->message : NULL;
}

static const struct net_port *port(const struct networks *n, const char *id)
{
	const union net_message *m = find(n, NET_PORT, id);
	return m ? &m->port : NULL;
}

static bool has(const struct net_port *p, struct network_ip address)
{
	for (size_t i = 0; i < p->address_count; i++)
		if (network_ip_equal(network_ip4(p->addresses[i].private), address))
			return true;
	for (size_t i = 0; i < p->address6_count; i++)
		if (network_ip_equal(network_ip6(p->addresses6[i]), address))
			return true;
	return false;
}

/* Can the world speak to it? An address of IPv6 is the same inside and outside. */
static bool has_public(const struct net_port *p, struct network_ip address)
{
	for (size_t i = 0; i < p->address_count; i++)
		if (network_ip_equal(network_ip4(p->addresses[i].private), address))
			return p->addresses[i].public != 0;
	return !network_ip_is4(address) && has(p, address);
}

static bool stop(struct walk *w, enum network_stop why, const struct net_port *p)
{
	w->v.stop = why;
	if (p)
		memcpy(w->v.port, p->h.id, sizeof(w->v.port));
	return false;
}

static const struct net_port *holder_in(const struct walk *w, const char *vpc, struct network_ip address)
{
	list_each (&w->n->order, struct want, at, o)
		if (o->verb == NET_PORT && strcmp(o->message->port.vpc, vpc) == 0 && has(&o->message->port, address))
			return &o->message->port;
	return NULL;
}

/* Blocks of peers do not overlap, so an address is somebody's in one of the two at most. */
static const struct net_port *holder(const struct walk *w, struct network_ip address)
{
	const struct net_port *p = holder_in(w, w->vpc, address);
	return p || !w->peer[0] ? p : holder_in(w, w->peer, address);
}

static bool in_vpc(const struct walk *w, struct network_ip address)
{
	const union net_message *m = find(w->n, NET_VPC, w->vpc);
	for (size_t i = 0; m && i < m->h.value; i++)
		if (network_block_has(network_block4(m->vpc.prefixes[i].base, m->vpc.prefixes[i].bits), address))
			return true;
	for (size_t i = 0; m && i < m->vpc.prefix6_count; i++)
		if (network_block_has(network_block6(m->vpc.prefixes6[i].base, m->vpc.prefixes6[i].bits), address))
			return true;
	return false;
}

/* It is asked over IPv4 alone. */
static bool is_resolver(const struct walk *w, struct network_ip address)
{
	const union net_message *m = find(w->n, NET_VPC, w->vpc);
	for (size_t i = 0; m && i < m->h.value; i++)
		if (network_ip_equal(network_ip4(m->vpc.prefixes[i].base + 2), address))
			return true;
	return network_ip_equal(network_ip4(RESOLVER), address);
}

static bool is_router(const struct walk *w, struct network_ip address)
{
	return network_ip_equal(address, w->ipv6 ? metadata6 : network_ip4(METADATA)) || is_resolver(w, address);
}

/* ---- rules ---- */

static bool in_group(const struct walk *w, const char *group, struct network_ip address)
{
	const struct net_port *p = holder(w, address);
	for (size_t i = 0; p && i < p->group_count; i++)
		if (strcmp(p->groups[i], group) == 0)
			return true;
	return false;
}

static bool matches(const struct walk *w, const struct net_rule *r, bool egress, uint16_t to_port, struct network_ip peer)
{
	if (r->egress != egress || (r->protocol >= 0 && r->protocol != w->protocol))
		return false;
	if (r->protocol >= 0 && r->from >= 0 && (to_port < r->from || to_port > r->to))
		return false;
	return r->peer_group[0] ? in_group(w, r->peer_group, peer) : network_block_has(peer_of(r), peer);
}

static bool groups_let(struct walk *w, const struct net_port *p, bool egress, struct network_ip peer)
{
	if (!p->group_count && p->kind != NETWORK_GATEWAY)
		return true;
	for (size_t i = 0; i < p->group_count; i++) {
		const union net_message *m = find(w->n, NET_GROUP, p->groups[i]);
		for (size_t k = 0; m && k < m->h.value; k++)
			if (matches(w, &m->rules.rules[k], egress, w->port, peer))
				return true;
	}
	w->v.egress = egress;
	return stop(w, NETWORK_STOP_GROUPS, p);
}

static bool acl_lets_port(struct walk *w, const struct net_rules *acl, bool egress, uint16_t to_port, struct network_ip peer)
{
	w->v.rule = 0;
	for (size_t i = 0; acl && i < acl->h.value; i++)
		if (matches(w, &acl->rules[i], egress, to_port, peer)) {
			w->v.rule = acl->rules[i].number;
			return acl->rules[i].allow;
		}
	return false;
}

/* Answers go to whatever port the client has taken: every one of those is asked for at which the rules may change their mind. */
static bool acl_lets_answers(struct walk *w, const struct net_rules *acl, bool egress, struct network_ip peer, uint16_t *ret_port)
{
	*ret_port = EPHEMERAL_FIRST;
	if (!acl_lets_port(w, acl, egress, EPHEMERAL_FIRST, peer))
		return false;
	for (size_t i = 0; i < acl->h.value; i++)
		for (int k = 0; k < 2; k++) {
			int32_t at = k ? acl->rules[i].to + 1 : acl->rules[i].from;
			if (at < EPHEMERAL_FIRST || at > EPHEMERAL_LAST)
				continue;
			*ret_port = (uint16_t)at;
			if (!acl_lets_port(w, acl, egress, *ret_port, peer))
				return false;
		}
	return true;
}

static bool acl_lets(struct walk *w, const char *subnet, bool egress, struct network_ip peer)
{
	const union net_message *s = find(w->n, NET_SUBNET, subnet);
	const union net_message *acl = s ? find(w->n, NET_ACL, s->subnet.acl) : NULL;
	const struct net_rules *rules = acl ? &acl->rules : NULL;
	uint16_t client = 0;
	if (w->v.reply ? acl_lets_answers(w, rules, egress, peer, &client) : acl_lets_port(w, rules, egress, w->port, peer))
		return true;
	w->v.egress = egress;
	w->v.client_port = client;
	memcpy(w->v.subnet, subnet, strlen(subnet) + 1);
	if (s)
		memcpy(w->v.acl, s->subnet.acl, sizeof(w->v.acl));
	return stop(w, NETWORK_STOP_ACL, NULL);
}

/* ---- routes ---- */

static const struct net_route *best_route(const union net_message *subnet, struct network_ip address)
{
	const struct net_route *best = NULL;
	for (size_t i = 0; i < subnet->h.value; i++) {
		const struct net_route *o = &subnet->subnet.routes[i];
		if (network_block_has(to_of(o), address) && (!best || to_of(o).bits > to_of(best).bits))
			best = o;
	}
	return best;
}

static bool nat_works(const struct walk *w, const struct net_route *route)
{
	const struct net_port *gate = port(w->n, route->target);
	const union net_message *subnet = gate ? find(w->n, NET_SUBNET, gate->subnet) : NULL;
	const struct net_route *out = subnet ? best_route(subnet, network_ip4(route->to.base)) : NULL;
	return gate && gate->addresses[0].public && out && out->kind == NETWORK_INTERNET;
}

/* Who has the address at the other end. */
static const struct net_port *over_peering(struct walk *w, const char *vpc, const char *id, struct network_ip address)
{
	const union net_message *m = find(w->n, NET_PEERING, id);
	for (int i = 0; m && i < 2; i++)
		if (strcmp(m->peering.vpcs[i], vpc) == 0) {
			const struct net_port *to = holder_in(w, m->peering.vpcs[!i], address);
			if (to && !w->v.reply)
				w->peer = to->vpc;
			return to;
		}
	return NULL;
}

/* Where packets of a port go: *ret is the port that gets them, or NULL for the outside. */
static bool routed(struct walk *w, const struct net_port *p, struct network_ip source, struct network_ip address,
                   const struct net_port **ret)
{
	const union net_message *subnet = find(w->n, NET_SUBNET, p->subnet);
	*ret = NULL;
	if (!subnet)
		return stop(w, NETWORK_STOP_UNKNOWN, p);
	memcpy(w->v.subnet, p->subnet, sizeof(w->v.subnet));
	const struct net_route *r = best_route(subnet, address);
	if (!r)
		return stop(w, NETWORK_STOP_NO_ROUTE, p);
	w->v.route = to_of(r);
	switch ((enum network_target)r->kind) {
	case NETWORK_LOCAL:
		*ret = holder_in(w, p->vpc, address);
		return (*ret && (*ret)->kind != NETWORK_GATEWAY) || stop(w, NETWORK_STOP_NOBODY, p);
	case NETWORK_INTERNET:
		return has_public(p, source) || stop(w, NETWORK_STOP_NO_PUBLIC, p);
	case NETWORK_EGRESS_ONLY:
		return true;
	case NETWORK_NAT:
		return nat_works(w, r) || stop(w, NETWORK_STOP_ROUTE, p);
	case NETWORK_PORT:
		*ret = port(w->n, r->target);
		return (*ret && (*ret)->kind != NETWORK_GATEWAY && strcmp((*ret)->vpc, p->vpc) == 0) ||
		       stop(w, NETWORK_STOP_ROUTE, p);
	case NETWORK_PEER:
		*ret = over_peering(w, p->vpc, r->target, address);
		return (*ret && (*ret)->kind != NETWORK_GATEWAY) || stop(w, NETWORK_STOP_ROUTE, p);
	default:
		return stop(w, NETWORK_STOP_ROUTE, p);
	}
}

/* ---- the walk ---- */

/* From the sender's router to the receiver's interface; `to` NULL: to the outside. */
static bool delivered(struct walk *w, const struct net_port *from, const struct net_port *to, struct network_ip source,
                      struct network_ip destination)
{
	bool same_subnet = from && to && strcmp(from->subnet, to->subnet) == 0;
	if (to && !has(to, destination)) {
		if (to->source_check)
			return stop(w, NETWORK_STOP_SOURCE_CHECK, to);
		memcpy(w->v.through, to->h.id, sizeof(w->v.through));
	}
	if (!w->v.reply && from && !groups_let(w, from, true, destination))
		return false;
	if (from && !same_subnet && !acl_lets(w, from->subnet, true, destination))
		return false;
	if (to && !same_subnet && !acl_lets(w, to->subnet, false, source))
		return false;
	return w->v.reply || !to || groups_let(w, to, false, source);
}

/* What the router itself serves, which neither groups nor ACLs are asked about. */
static bool to_router(struct walk *w)
{
	bool resolver = is_resolver(w, w->destination);
	bool metadata = w->protocol == 6 && (w->port == 80 || (w->port == 4566 && !w->ipv6));
	return (resolver ? w->port == 53 : metadata) || stop(w, NETWORK_STOP_LISTENER, NULL);
}

static bool leaves_the_machine(struct network_ip address)
{
	const uint8_t *b = address.b;
	if (network_ip_is4(address))
		return b[12] != 0 && b[12] != 127 && b[12] < 224 && !(b[12] == 0xa9 && b[13] == 0xfe);
	/* addresses of networks' own (fc00::/7) are this machine's and its VPCs' */
	return b[0] != 0 && b[0] != 0xff && (b[0] & 0xfe) != 0xfc && !(b[0] == 0xfe && (b[1] & 0x80));
}

/* Over IPv6 who asks from outside is let in by the route that leads back to him, if that is an internet gateway's. */
static bool may_ask(struct walk *w)
{
	const union net_message *subnet = find(w->n, NET_SUBNET, w->to->subnet);
	const struct net_route *r = subnet ? best_route(subnet, w->source) : NULL;
	if (!w->ipv6 || (r && r->kind == NETWORK_INTERNET))
		return true;
	memcpy(w->v.subnet, w->to->subnet, sizeof(w->v.subnet));
	if (r)
		w->v.route = to_of(r);
	return stop(w,
	            !r                               ? NETWORK_STOP_NO_ROUTE
	            : r->kind == NETWORK_EGRESS_ONLY ? NETWORK_STOP_EGRESS_ONLY
	                                             : NETWORK_STOP_ROUTE,
	            w->to);
}

static bool there(struct walk *w)
{
	const struct net_port *next = w->to;
	if (w->from && is_router(w, w->destination))
		return to_router(w);
	if (w->from && !routed(w, w->from, w->source, w->destination, &next))
		return false;
	if (w->from && !next && in_vpc(w, w->destination))
		return stop(w, NETWORK_STOP_ROUTE, w->from); /* out there nobody leads it back */
	if (!w->from && !has_public(w->to, w->destination))
		return stop(w, NETWORK_STOP_NO_PUBLIC, w->to);
	if (!w->from && !may_ask(w))
		return false;
	if (!delivered(w, w->from, next, w->source, w->destination))
		return false;
	if (!next && !leaves_the_machine(w->destination))
		return stop(w, NETWORK_STOP_MACHINE, NULL);
	return true;
}

static bool and_back(struct walk *w)
{
	const struct net_port *next = NULL, *to = holder(w, w->destination);
	bool by_router = w->from && is_router(w, w->destination);
	if (by_router || w->v.through[0])
		return true;
	w->v.reply = true;
	if (to && !routed(w, to, w->destination, w->source, &next))
		return false;
	if (to && !w->from && next)
		return stop(w, NETWORK_STOP_ROUTE, to);
	if (to && w->from && !next)
		return stop(w, NETWORK_STOP_ROUTE, to);
	return delivered(w, to, to ? next : w->from, w->destination, w->source);
}

static bool is_ipv6(struct network_ip address)
{
	return !network_ip_none(address) && !network_ip_is4(address);
}

/* The address that an end is asked about: the one that is named, or the port's first of that family. */
static bool end_of(struct walk *w, const struct net_port *p, struct network_ip named, struct network_ip *ret)
{
	if (p && network_ip_none(named) && w->ipv6 && !p->address6_count)
		return stop(w, NETWORK_STOP_NO_ADDRESS, p);
	*ret = named;
	if (p && network_ip_none(named))
		*ret = w->ipv6 ? network_ip6(p->addresses6[0]) : network_ip4(p->addresses[0].private);
	return true;
}

struct network_verdict network_explain(const struct networks *n, const struct network_question *q)
{
	struct walk w = {.n = n,
	                 .peer = "",
	                 .from = q->from ? port(n, q->from) : NULL,
	                 .to = q->to ? port(n, q->to) : NULL,
	                 .protocol = q->protocol,
	                 .port = q->to_port};
	const char *missing = q->from && !w.from ? q->from : q->to && !w.to ? q->to : NULL;
	w.vpc = w.from ? w.from->vpc : w.to ? w.to->vpc : "";
	w.ipv6 = is_ipv6(q->from_address) || is_ipv6(q->to_address);
	if (missing || (!w.from && !w.to)) {
		w.v.stop = NETWORK_STOP_UNKNOWN;
		memcpy(w.v.port, missing ? missing : "", missing ? strnlen(missing, NETWORK_ID_MAX - 1) : 0);
		return w.v;
	}
	if (!end_of(&w, w.from, q->from_address, &w.source) || !end_of(&w, w.to, q->to_address, &w.destination))
		return w.v;
	/* packets for another VPC's private address know nothing of whom they are meant for */
	if (w.from && w.to && strcmp(w.from->vpc, w.to->vpc) != 0)
		w.to = NULL;
	if (there(&w) && and_back(&w)) {
		struct network_verdict passes = {.stop = NETWORK_STOP_NONE};
		memcpy(passes.through, w.v.through, sizeof(passes.through));
		return passes;
	}
	return w.v;
}

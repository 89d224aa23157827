/* From the face's structs to messages. Padding and unused room are zero, so that equal wishes are equal bytes. */
#include "engine/net/networks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An id or a name into its field; false: too long. */
static bool put_text(char *field, size_t cap, const char *text)
{
	size_t n = text ? strlen(text) : 0;
	if (n >= cap)
		return false;
	memcpy(field, text ? text : "", n);
	return true;
}
#define PUT(field, text) put_text(field, sizeof(field), text)

static struct net_prefix prefix_of(const struct network_prefix *p)
{
	return (struct net_prefix){p->base, p->bits};
}

static struct net_prefix6 prefix6_of(const struct network_prefix6 *p)
{
	struct net_prefix6 r = {.bits = p->bits};
	memcpy(r.base, p->base, sizeof(r.base));
	return r;
}

static void put_match(struct net_rule *r, const struct network_match *m)
{
	r->ipv6 = m->ipv6;
	if (m->ipv6)
		r->peer6 = prefix6_of(&m->peer6);
	else
		r->peer = prefix_of(&m->peer);
	r->protocol = m->protocol;
	r->from = m->from;
	r->to = m->to;
}

int network_put_vpc(struct networks *n, const struct network_vpc *v)
{
	struct net_vpc m = {.h = {.verb = NET_VPC, .value = (uint32_t)v->prefix_count}};
	if (v->prefix_count > NETWORK_PREFIXES_MAX || v->prefix6_count > NETWORK_PREFIXES_MAX || !PUT(m.h.id, v->id))
		return -EINVAL;
	m.prefix6_count = (uint32_t)v->prefix6_count;
	for (size_t i = 0; i < v->prefix6_count; i++)
		m.prefixes6[i] = prefix6_of(&v->prefixes6[i]);
	for (size_t i = 0; i < v->prefix_count; i++)
		m.prefixes[i] = prefix_of(&v->prefixes[i]);
	return networks_want(n, &m, offsetof(struct net_vpc, prefixes) + v->prefix_count * sizeof(m.prefixes[0]));
}

static struct net_rules *new_rules(uint32_t verb, const char *id, const char *vpc, size_t count, size_t most)
{
	struct net_rules *m = count <= most ? calloc(1, sizeof(*m)) : NULL;
	if (!m || !PUT(m->h.id, id) || !PUT(m->vpc, vpc)) {
		free(m);
		return NULL;
	}
	m->h.verb = verb;
	m->h.value = (uint32_t)count;
	return m;
}

static int want_rules(struct networks *n, struct net_rules *m)
{
	int error = networks_want(n, m, offsetof(struct net_rules, rules) + m->h.value * sizeof(m->rules[0]));
	free(m);
	return error;
}

int network_put_group(struct networks *n, const struct network_group *g)
{
	struct net_rules *m = new_rules(NET_GROUP, g->id, g->vpc, g->rule_count, NETWORK_GROUP_RULES_MAX);
	if (!m)
		return -EINVAL;
	for (size_t i = 0; i < g->rule_count; i++) {
		const struct network_group_rule *r = &g->rules[i];
		m->rules[i].egress = r->egress;
		put_match(&m->rules[i], &r->match);
		if (!r->peer_group)
			continue;
		m->rules[i].ipv6 = 0;
		m->rules[i].peer = (struct net_prefix){0};
		m->rules[i].peer6 = (struct net_prefix6){.bits = 0};
		if (!r->peer_group[0] || !PUT(m->rules[i].peer_group, r->peer_group)) {
			free(m);
			return -EINVAL;
		}
	}
	return want_rules(n, m);
}

int network_put_acl(struct networks *n, const struct network_acl *a)
{
	struct net_rules *m = new_rules(NET_ACL, a->id, a->vpc, a->rule_count, NETWORK_ACL_RULES_MAX);
	if (!m)
		return -EINVAL;
	/* by number, and those of one number as they came */
	for (size_t i = 0; i < a->rule_count; i++) {
		const struct network_acl_rule *r = &a->rules[i];
		size_t at = i;
		for (; at > 0 && m->rules[at - 1].number > r->number; at--)
			m->rules[at] = m->rules[at - 1];
		m->rules[at] = (struct net_rule){.number = r->number, .egress = r->egress, .allow = r->allow};
		put_match(&m->rules[at], &r->match);
	}
	return want_rules(n, m);
}

int network_put_subnet(struct networks *n, const struct network_subnet *s)
{
	struct net_subnet *m = s->route_count <= NETWORK_ROUTES_MAX ? calloc(1, sizeof(*m)) : NULL;
	bool good = m && PUT(m->h.id, s->id) && PUT(m->vpc, s->vpc) && PUT(m->acl, s->acl);
	for (size_t i = 0; good && i < s->route_count; i++) {
		const struct network_route *r = &s->routes[i];
		m->routes[i].ipv6 = r->ipv6;
		if (r->ipv6)
			m->routes[i].to6 = prefix6_of(&r->to6);
		else
			m->routes[i].to = prefix_of(&r->to);
		m->routes[i].kind = r->kind;
		good = PUT(m->routes[i].target,
		           r->kind == NETWORK_NAT || r->kind == NETWORK_PORT || r->kind == NETWORK_PEER ? r->target : NULL);
	}
	int error = -EINVAL;
	if (good) {
		m->h.verb = NET_SUBNET;
		m->h.value = (uint32_t)s->route_count;
		m->prefix = prefix_of(&s->prefix);
		if (s->has_prefix6)
			m->prefix6 = prefix6_of(&s->prefix6);
		error = networks_want(n, m, offsetof(struct net_subnet, routes) + s->route_count * sizeof(m->routes[0]));
	}
	free(m);
	return error;
}

int network_put_peering(struct networks *n, const struct network_peering *p)
{
	struct net_peering m = {.h.verb = NET_PEERING};
	if (!PUT(m.h.id, p->id) || !PUT(m.vpcs[0], p->vpcs[0]) || !PUT(m.vpcs[1], p->vpcs[1]))
		return -EINVAL;
	return networks_want(n, &m, sizeof(m));
}

int network_put_port(struct networks *n, const struct network_port *p)
{
	struct net_port m = {.h.verb = NET_PORT,
	                     .kind = p->kind,
	                     .address_count = (uint32_t)p->address_count,
	                     .group_count = (uint32_t)p->group_count,
	                     .address6_count = (uint32_t)p->address6_count,
	                     .source_check = p->source_check,
	                     .flows = p->flows,
	                     .refusals = p->refusals,
	                     .bits_per_s = p->bits_per_s,
	                     .dhcp = p->dhcp,
	                     .fault_until_us = p->fault.until_us,
	                     .delay_ms = p->fault.delay_ms,
	                     .down = p->fault.down,
	                     .loss_percent = p->fault.loss_percent,
	                     .zone = (uint8_t)p->zone};
	if (p->zone > NETWORK_ZONES_MAX || p->address_count > NETWORK_ADDRESSES_MAX || p->address6_count > NETWORK_ADDRESSES_MAX ||
	    p->group_count > NETWORK_GROUPS_MAX || !PUT(m.h.id, p->id) || !PUT(m.vpc, p->vpc) || !PUT(m.subnet, p->subnet) ||
	    !PUT(m.host_name, p->host_name) || !PUT(m.domain, p->domain))
		return -EINVAL;
	memcpy(m.mac, p->mac, sizeof(m.mac));
	for (size_t i = 0; i < p->address_count; i++)
		m.addresses[i] = (struct net_address){p->addresses[i].private, p->addresses[i].public};
	for (size_t i = 0; i < p->address6_count; i++)
		memcpy(m.addresses6[i], p->addresses6[i], sizeof(m.addresses6[i]));
	for (size_t i = 0; i < p->group_count; i++)
		if (!PUT(m.groups[i], p->groups[i]))
			return -EINVAL;
	return networks_want(n, &m, sizeof(m));
}

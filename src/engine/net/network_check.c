#include "engine/net/network_proto.h"

#include <errno.h>
#include <string.h>

static bool is_id(const char id[NETWORK_ID_MAX])
{
	size_t n = strnlen(id, NETWORK_ID_MAX);
	if (n == 0 || n == NETWORK_ID_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = id[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'))
			return false;
	}
	return true;
}

static bool is_name(const char name[NETWORK_NAME_MAX])
{
	size_t n = strnlen(name, NETWORK_NAME_MAX);
	if (n == NETWORK_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = name[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
			return false;
	}
	return true;
}

static bool is_prefix(const struct net_prefix *p, uint32_t least_bits)
{
	return p->bits >= least_bits && p->bits <= 32 && (p->bits == 32 || !(p->base & (~0u >> p->bits)));
}

static bool holds(const struct net_prefix *p, uint32_t address)
{
	return !((address ^ p->base) & (p->bits ? ~0u << (32 - p->bits) : 0));
}

static bool is_prefix6(const struct net_prefix6 *p)
{
	if (p->bits > 128)
		return false;
	for (uint32_t i = 0; i < 16; i++)
		if (p->bits < 8 * (i + 1) && (p->base[i] & (p->bits <= 8 * i ? 0xff : 0xff >> (p->bits - 8 * i))))
			return false;
	return true;
}

/* Unique local addresses alone, and not where Amazon's own services are (fd00:ec2::/32). */
static bool is_inside6(const uint8_t a[16])
{
	return a[0] == 0xfd && a[1] != 0;
}

/* Where instances may have addresses: not where link-local services, loopback and multicast are. */
static bool is_inside(uint32_t address)
{
	unsigned first = address >> 24;
	return first != 0 && first != 127 && first < 224 && address >> 16 != 0xa9fe;
}

static bool ports_match(const struct net_rule *r)
{
	switch (r->protocol) {
	case 6:
	case 17:
		return (r->from == -1 && r->to == -1) || (r->from >= 0 && r->from <= r->to && r->to <= 65535);
	case 1:
	case 58:
		return r->from >= -1 && r->from <= 255 && r->to >= -1 && r->to <= 255;
	default:
		return r->protocol >= -1 && r->protocol <= 255;
	}
}

static int check_rules(const struct net_rules *m, size_t n, bool acl)
{
	const struct net_rule *before = NULL;
	if (m->h.value > (acl ? NETWORK_ACL_RULES_MAX : NETWORK_GROUP_RULES_MAX) ||
	    n != offsetof(struct net_rules, rules) + m->h.value * sizeof(m->rules[0]) || !is_id(m->h.id) || !is_id(m->vpc))
		return -EINVAL;
	for (size_t i = 0; i < m->h.value; i++) {
		const struct net_rule *r = &m->rules[i];
		bool by_group = r->peer_group[0];
		if (r->egress > 1 || r->allow > 1 || r->ipv6 > 1 || !ports_match(r) || !is_prefix(&r->peer, 0) ||
		    !is_prefix6(&r->peer6))
			return -EINVAL;
		if (by_group && (acl || !is_id(r->peer_group)))
			return -EINVAL;
		if (acl && before && r->number < before->number)
			return -EINVAL;
		before = r;
	}
	return 0;
}

static int check_subnet(const struct net_subnet *m, size_t n)
{
	if (m->h.value > NETWORK_ROUTES_MAX || n != offsetof(struct net_subnet, routes) + m->h.value * sizeof(m->routes[0]) ||
	    !is_id(m->h.id) || !is_id(m->vpc) || !is_id(m->acl) || !is_prefix(&m->prefix, 16) || m->prefix.bits > 28 ||
	    !is_inside(m->prefix.base) || !is_prefix6(&m->prefix6) || (m->prefix6.bits && !is_inside6(m->prefix6.base)))
		return -EINVAL;
	for (size_t i = 0; i < m->h.value; i++) {
		const struct net_route *r = &m->routes[i];
		bool aimed = r->kind == NETWORK_NAT || r->kind == NETWORK_PORT || r->kind == NETWORK_PEER;
		bool family = r->ipv6 ? r->kind != NETWORK_NAT && r->kind != NETWORK_SERVICE : r->kind != NETWORK_EGRESS_ONLY;
		if (r->ipv6 > 1 || !family || !is_prefix(&r->to, 0) || !is_prefix6(&r->to6) || r->kind > NETWORK_SERVICE ||
		    (aimed ? !is_id(r->target) : r->target[0] != 0))
			return -EINVAL;
		for (size_t k = 0; k < i; k++)
			if (m->routes[k].ipv6 == r->ipv6 && m->routes[k].to.base == r->to.base &&
			    m->routes[k].to.bits == r->to.bits && memcmp(&m->routes[k].to6, &r->to6, sizeof(r->to6)) == 0)
				return -EINVAL;
	}
	return 0;
}

static int check_port(const struct net_port *m, size_t n)
{
	if (n != sizeof(*m) || m->h.value || m->flows > 1 || m->refusals > 1 || !is_id(m->h.id) || !is_id(m->vpc) ||
	    !is_id(m->subnet) || m->kind > NETWORK_SHARED || m->address_count == 0 || m->address_count > NETWORK_ADDRESSES_MAX ||
	    m->address6_count > NETWORK_ADDRESSES_MAX || m->group_count > NETWORK_GROUPS_MAX || m->source_check > 1 ||
	    m->down > 1 || m->loss_percent > 100 || m->zone > NETWORK_ZONES_MAX || m->fault_until_us < 0 || (m->mac[0] & 1) ||
	    !is_name(m->host_name) || !is_name(m->domain) || m->dhcp.netbios_node > 8)
		return -EINVAL;
	for (size_t i = 0; i < m->address_count; i++) {
		const struct net_address *a = &m->addresses[i];
		if (!is_inside(a->private) || (a->public && !link_public_allowed(a->public)))
			return -EINVAL;
		for (size_t k = 0; k < i; k++)
			if (m->addresses[k].private == a->private || (a->public && m->addresses[k].public == a->public))
				return -EINVAL;
	}
	for (size_t i = 0; i < m->address6_count; i++) {
		if (!is_inside6(m->addresses6[i]))
			return -EINVAL;
		for (size_t k = 0; k < i; k++)
			if (memcmp(m->addresses6[k], m->addresses6[i], 16) == 0)
				return -EINVAL;
	}
	for (size_t i = 0; i < m->group_count; i++)
		if (!is_id(m->groups[i]))
			return -EINVAL;
	return 0;
}

static int check_balance(const struct net_balance *m, size_t n)
{
	if (m->h.value > NETWORK_BALANCE_TARGETS_MAX ||
	    n != offsetof(struct net_balance, targets) + m->h.value * sizeof(m->targets[0]) || !is_id(m->h.id) || !is_id(m->vpc) ||
	    !is_id(m->port) || (m->protocol != 6 && m->protocol != 17) || !m->listens || m->by_source > 1 || m->cut_gone > 1 ||
	    m->others > 10000 || m->idle_s < 1 || m->idle_s > 86400)
		return -EINVAL;
	for (size_t i = 0; i < m->h.value; i++) {
		const struct net_balance_target *t = &m->targets[i];
		if (!is_inside(t->address) || !t->port || t->state > NETWORK_CUT || t->weight < 1 || t->weight > 1000000)
			return -EINVAL;
	}
	return 0;
}

static int check_vpc(const struct net_vpc *m, size_t n)
{
	if (m->h.value == 0 || m->h.value > NETWORK_PREFIXES_MAX || m->prefix6_count > NETWORK_PREFIXES_MAX ||
	    n != offsetof(struct net_vpc, prefixes) + m->h.value * sizeof(m->prefixes[0]) || !is_id(m->h.id))
		return -EINVAL;
	for (size_t i = 0; i < m->h.value; i++)
		if (!is_prefix(&m->prefixes[i], 16) || m->prefixes[i].bits > 28 || !is_inside(m->prefixes[i].base) ||
		    holds(&m->prefixes[i], 0xa9fea9fe))
			return -EINVAL;
	for (size_t i = 0; i < m->prefix6_count; i++)
		if (!is_prefix6(&m->prefixes6[i]) || m->prefixes6[i].bits < 40 || !is_inside6(m->prefixes6[i].base))
			return -EINVAL;
	return 0;
}

int network_check(const void *p, size_t n)
{
	const union net_message *m = p;
	if (n < sizeof(m->h) || n > sizeof(*m))
		return -EINVAL;
	switch (m->h.verb) {
	case NET_HELLO:
	case NET_END:
		return n == sizeof(m->h) ? 0 : -EINVAL;
	case NET_SETTLED:
		return n == sizeof(m->h) && (!m->h.id[0] || is_id(m->h.id)) ? 0 : -EINVAL;
	case NET_VPC:
		return n >= offsetof(struct net_vpc, prefixes) ? check_vpc(&m->vpc, n) : -EINVAL;
	case NET_GROUP:
	case NET_ACL:
		return n >= offsetof(struct net_rules, rules) ? check_rules(&m->rules, n, m->h.verb == NET_ACL) : -EINVAL;
	case NET_SUBNET:
		return n >= offsetof(struct net_subnet, routes) ? check_subnet(&m->subnet, n) : -EINVAL;
	case NET_PORT:
		return check_port(&m->port, n);
	case NET_BALANCE:
		return n >= offsetof(struct net_balance, targets) ? check_balance(&m->balance, n) : -EINVAL;
	case NET_PEERING:
		return n == sizeof(m->peering) && !m->h.value && is_id(m->h.id) && is_id(m->peering.vpcs[0]) &&
		                       is_id(m->peering.vpcs[1]) && strcmp(m->peering.vpcs[0], m->peering.vpcs[1]) != 0
		               ? 0
		               : -EINVAL;
	case NET_OPEN:
		return n == sizeof(m->socket) && is_id(m->h.id) && m->h.value <= NETWORK_SOCKET_TCP && m->socket.tag ? 0 : -EINVAL;
	case NET_REMOVE:
	case NET_UPLINK:
	case NET_STATS:
	case NET_FLOWS:
		return n == sizeof(m->h) && is_id(m->h.id) ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

bool link_public_allowed(uint32_t address)
{
	/* 127.0/16 has the machine's own services, resolvers among them */
	return address >> 24 == 127 && address >> 16 != 0x7f00 && (address & 0xff) != 0xff;
}

int link_check(const void *p, size_t n)
{
	struct link_request r;
	if (n != sizeof(r))
		return -EINVAL;
	memcpy(&r, p, n);
	static const struct net_prefix6 none;
	bool prefix6 = r.verb == LINK_PREFIX6 || r.verb == LINK_NO_PREFIX6;
	if (prefix6 ? r.prefix6.bits != 56 || !is_prefix6(&r.prefix6) || !is_inside6(r.prefix6.base)
	            : memcmp(&r.prefix6, &none, sizeof(none)) != 0)
		return -EINVAL;
	switch (r.verb) {
	case LINK_FACTS:
	case LINK_START:
	case LINK_END:
		return r.number == 0 && r.address == 0 ? 0 : -EINVAL;
	case LINK_UPLINK:
	case LINK_UNLINK:
	case LINK_PREFIX6:
	case LINK_NO_PREFIX6:
	case LINK_SETTLED:
		return r.number > 0 && r.address == 0 ? 0 : -EINVAL;
	case LINK_PUBLIC:
	case LINK_PRIVATE:
		return r.number > 0 && link_public_allowed(r.address) ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

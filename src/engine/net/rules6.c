#include "engine/net/rules6.h"
#include "engine/net/rules_both.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const char base[] =
        "add table ip6 q\ndelete table ip6 q\n"
        "table ip6 q {\n"
        "set macs { type ifname . ether_addr; }\n"
        "set bound { type ifname . ipv6_addr; }\n"
        "set loose { type ifname; }\n"
        "set own { type ipv6_addr; flags interval; }\n"
        "map marks { type ifname : mark; }\n"
        "set asking { type ifname; size 65535; flags dynamic, timeout; timeout 10s; }\n"
        "map drops { type ifname : counter; }\n"
        "map leaving { type ifname : verdict; }\n"
        "map entering { type ifname : verdict; }\n"
        "map subnet_leaving { type ifname : verdict; }\n"
        "map subnet_entering { type ifname : verdict; }\n"
        "map fast_leaving { type ifname : verdict; }\n"
        "map fast_entering { type ifname : verdict; }\n"
        "map opened { type ifname : verdict; }\n"
        "map peers { type ifname : verdict; }\n"
        "chain marked {\n"
        "meta mark set iifname map @marks\n"
        "accept\n"
        "}\n"
        /* link-local addresses are whatever an instance likes: they mean something on its own link alone, and are never forwarded
         */
        "chain source { type filter hook prerouting priority raw; policy drop;\n"
        "iifname { \"lo\", \"" RULES_UPLINK "\" } accept\n"
        "iifname . ether saddr @macs iifname . ip6 saddr @bound goto marked\n"
        "iifname . ether saddr @macs ip6 saddr fe80::/10 ip6 daddr { fe80::/10, ff02::/16 } accept\n"
        "iifname . ether saddr @macs ip6 saddr :: ip6 daddr ff02::/16 icmpv6 type { nd-neighbor-solicit, nd-router-solicit } accept\n"
        "iifname . ether saddr @macs iifname @loose goto marked\n"
        "iifname vmap @peers\n"
        "counter name iifname map @drops drop\n"
        "}\n"
        "chain deliver { type filter hook forward priority -20; policy drop;\n"
        "iifname \"" RULES_UPLINK "\" oifname \"" RULES_UPLINK "\" drop\n"
        "iifname \"" RULES_UPLINK "\" ct state invalid drop\n"
        "iifname \"" RULES_UPLINK "\" ct direction original oifname vmap @opened\n"
        "oifname \"" RULES_UPLINK "\" ct state invalid drop\n"
        "oifname \"" RULES_UPLINK "\" ip6 saddr != @own drop\n"
        "oifname \"" RULES_UPLINK "\" iifname != \"" RULES_PEERS "\" accept\n"
        "oifname \"" RULES_PEERS "\" iifname != \"" RULES_PEERS "\" iifname != \"" RULES_UPLINK "\" accept\n"
        "oifname . ip6 daddr @bound accept\n"
        "oifname @loose accept\n"
        "counter name iifname map @drops drop\n"
        "}\n"
        "chain rate { type filter hook forward priority -15; policy accept;\n"
        "iifname vmap @fast_leaving\n"
        "oifname vmap @fast_entering\n"
        "}\n"
        "chain egress { type filter hook forward priority -10; policy drop;\n"
        "iifname \"" RULES_UPLINK "\" accept\n"
        "iifname \"" RULES_PEERS "\" accept\n"
        "ct state related accept\n"
        "ct state established ct direction reply accept\n"
        "iifname vmap @leaving\n"
        "}\n"
        "chain acl_out { type filter hook forward priority -8; policy accept; iifname vmap @subnet_leaving\n}\n"
        "chain acl_in { type filter hook forward priority -6; policy accept; oifname vmap @subnet_entering\n}\n"
        /* as IPv4's: where flow logs count */
        "chain reject_out { drop; }\n"
        "chain reject_in { drop; }\n"
        "chain ingress { type filter hook forward priority 0; policy drop;\n"
        "oifname \"" RULES_UPLINK "\" accept\n"
        "oifname \"" RULES_PEERS "\" accept\n"
        "ct state related accept\n"
        "ct state established ct direction reply accept\n"
        "oifname vmap @entering\n"
        "}\n"
        /* what the router itself serves: discovery, DHCPv6, metadata; an advertisement may be about a link-local address alone */
        "chain input { type filter hook input priority filter; policy drop;\n"
        "iifname \"lo\" accept\n"
        "iifname \"" RULES_UPLINK "\" drop\n"
        "iifname \"" RULES_PEERS "\" drop\n"
        "update @asking { iifname limit rate over 1024/second burst 1024 packets } counter name iifname map @drops drop\n"
        "icmpv6 type { nd-neighbor-solicit, nd-router-solicit } ip6 hoplimit 255 accept\n"
        "icmpv6 type nd-neighbor-advert ip6 hoplimit 255 @th,64,16 & 0xffc0 == 0xfe80 accept\n"
        "ip6 saddr fe80::/10 udp sport 546 udp dport 547 accept\n"
        "iifname . ip6 saddr != @bound counter name iifname map @drops drop\n"
        "ip6 daddr " RULES_METADATA6 " tcp dport 80 accept\n"
        "counter name iifname map @drops drop\n"
        "}\n"
        "chain output { type filter hook output priority filter; policy drop;\n"
        "oifname \"lo\" accept\n"
        "ct state established accept\n"
        "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept\n"
        "udp sport 547 udp dport 546 accept\n"
        "}\n"
        "}\n";

struct text {
	char p[INET6_ADDRSTRLEN];
};
static struct text text_of(const uint8_t address[16])
{
	struct text t = {""};
	inet_ntop(AF_INET6, address, t.p, sizeof(t.p));
	return t;
}

void rules6_base(struct buf *b)
{
	buf_add(b, base, sizeof(base) - 1);
	rules_zones(&rules_ip6, b);
}

void rules6_own(struct buf *b, const struct net_vpc *vpc)
{
	buf_printf(b, "flush set ip6 q own\n");
	for (size_t i = 0; i < vpc->prefix6_count; i++)
		buf_printf(b, "add element ip6 q own { %s/%u }\n", text_of(vpc->prefixes6[i].base).p, vpc->prefixes6[i].bits);
}

static void add_peer(struct buf *b, const struct net_rule *r)
{
	if (r->peer6.bits)
		buf_printf(b, "%s %s/%u ", rules_ip6.side[r->egress], text_of(r->peer6.base).p, r->peer6.bits);
}

/* ---- groups ---- */

void rules6_declare_group(struct buf *b, uint32_t number)
{
	rules_both_declare_group(&rules_ip6, b, number);
}

void rules6_group(struct buf *b, uint32_t number, const struct net_rules *m, rules_number_fn *find, void *ctx)
{
	rules6_declare_group(b, number);
	buf_printf(b, "flush chain ip6 q g%uo\nflush chain ip6 q g%ui\n", number, number);
	for (size_t i = 0; m && i < m->h.value; i++) {
		const struct net_rule *r = &m->rules[i];
		if (!r->ipv6 && !r->peer_group[0])
			continue;
		buf_printf(b, "add rule ip6 q g%u%c ", number, r->egress ? 'o' : 'i');
		rules_match(&rules_ip6, b, r);
		if (r->peer_group[0])
			buf_printf(b, "%s @m%u ", rules_ip6.side[r->egress], find(ctx, r->peer_group));
		else
			add_peer(b, r);
		buf_printf(b, "accept\n");
	}
}

void rules6_remove_group(struct buf *b, uint32_t number)
{
	rules_both_remove_group(&rules_ip6, b, number);
}

/* ---- ACLs and subnets ---- */

void rules6_declare_acl(struct buf *b, uint32_t number)
{
	rules_both_declare_acl(&rules_ip6, b, number);
}

void rules6_acl(struct buf *b, uint32_t number, const struct net_rules *m)
{
	rules6_declare_acl(b, number);
	buf_printf(b, "flush chain ip6 q a%uo\nflush chain ip6 q a%ui\n", number, number);
	for (size_t i = 0; m && i < m->h.value; i++) {
		const struct net_rule *r = &m->rules[i];
		if (!r->ipv6)
			continue;
		buf_printf(b, "add rule ip6 q a%u%c ", number, r->egress ? 'o' : 'i');
		rules_match(&rules_ip6, b, r);
		add_peer(b, r);
		rules_acl_verdict(b, r);
	}
	rules_acl_last(&rules_ip6, b, number);
}

void rules6_remove_acl(struct buf *b, uint32_t number)
{
	rules_both_remove_acl(&rules_ip6, b, number);
}

/* Who asks from outside is answered by the route that leads back to him: only an internet gateway lets him ask. */
static void add_outside(struct buf *b, uint32_t number, const struct net_subnet *m)
{
	buf_printf(b, "add chain ip6 q w%u\nflush chain ip6 q w%u\n", number, number);
	for (int bits = 128; bits >= 0; bits--)
		for (size_t i = 0; i < m->h.value; i++) {
			const struct net_route *r = &m->routes[i];
			if (!r->ipv6 || r->to6.bits != (uint32_t)bits)
				continue;
			buf_printf(b, "add rule ip6 q w%u ", number);
			if (bits)
				buf_printf(b, "ip6 saddr %s/%d ", text_of(r->to6.base).p, bits);
			buf_printf(b, "%s\n", r->kind == NETWORK_INTERNET ? "return" : "drop");
		}
	buf_printf(b, "add rule ip6 q w%u drop\n", number);
}

void rules6_subnet(struct buf *b, uint32_t number, uint32_t acl, const struct net_subnet *m)
{
	rules_subnet_chains(&rules_ip6, b, number, acl);
	add_outside(b, number, m);
}

void rules6_remove_subnet(struct buf *b, uint32_t number)
{
	buf_printf(b, "delete chain ip6 q s%uo\ndelete chain ip6 q s%ui\ndelete chain ip6 q w%u\ndelete set ip6 q t%u\n", number,
	           number, number, number);
}

/* ---- peerings ---- */

void rules6_peering(struct buf *b, uint32_t number, const struct net_vpc *other)
{
	buf_printf(b, "add chain ip6 q x%u\nflush chain ip6 q x%u\n", number, number);
	for (size_t i = 0; i < other->prefix6_count; i++)
		buf_printf(b, "add rule ip6 q x%u ip6 saddr %s/%u accept\n", number, text_of(other->prefixes6[i].base).p,
		           other->prefixes6[i].bits);
	buf_printf(b, "add rule ip6 q x%u drop\nadd element ip6 q peers { \"x%u\" : goto x%u }\n", number, number, number);
}

void rules6_remove_peering(struct buf *b, uint32_t number)
{
	buf_printf(b, "delete element ip6 q peers { \"x%u\" }\ndelete chain ip6 q x%u\n", number, number);
}

void rules6_members(struct buf *b, uint32_t number, const uint8_t (*addresses)[16], size_t n)
{
	buf_printf(b, "flush set ip6 q m%u\n", number);
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "add element ip6 q m%u { %s }\n", number, text_of(addresses[i]).p);
}

/* ---- ports ---- */

static void add_elements(struct buf *b, const struct rules_port *p, bool add)
{
	const struct net_port *m = p->port;
	char key[INET6_ADDRSTRLEN + 4];
	rules_port_elements(&rules_ip6, b, p, add);
	rules_element(b, add, p->number, "ip6 q opened", "", "jump w%u", p->subnet);
	for (size_t i = 0; i < m->address6_count; i++) {
		snprintf(key, sizeof(key), " . %s", text_of(m->addresses6[i]).p);
		rules_element(b, add, p->number, "ip6 q bound", key, NULL);
		for (size_t k = 0; k < m->group_count; k++)
			buf_printf(b, "%s element ip6 q m%u { %s }\n", add ? "add" : "delete", p->groups[k],
			           text_of(m->addresses6[i]).p);
	}
}

void rules6_port(struct buf *b, const struct rules_port *p)
{
	rules_port_chains(&rules_ip6, b, p);
	add_elements(b, p, true);
}

void rules6_remove_port(struct buf *b, const struct rules_port *p)
{
	add_elements(b, p, false);
	rules_remove_port_chains(&rules_ip6, b, p);
}

void rules6_forget_port(struct buf *b, const struct rules_port *p)
{
	rules_forget_port_counters(&rules_ip6, b, p);
}

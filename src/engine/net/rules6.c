#include "engine/net/rules6.h"

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

#define MAC "%02x:%02x:%02x:%02x:%02x:%02x"
#define MAC_ARG(m) (m)[0], (m)[1], (m)[2], (m)[3], (m)[4], (m)[5]

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
}

void rules6_own(struct buf *b, const struct net_vpc *vpc)
{
	buf_printf(b, "flush set ip6 q own\n");
	for (size_t i = 0; i < vpc->prefix6_count; i++)
		buf_printf(b, "add element ip6 q own { %s/%u }\n", text_of(vpc->prefixes6[i].base).p, vpc->prefixes6[i].bits);
}

/* ---- what a rule matches ---- */

static void add_match(struct buf *b, const struct net_rule *r)
{
	if (r->protocol == 6 || r->protocol == 17) {
		const char *name = r->protocol == 6 ? "tcp" : "udp";
		if (r->from < 0)
			buf_printf(b, "meta l4proto %s ", name);
		else if (r->from == r->to)
			buf_printf(b, "%s dport %d ", name, r->from);
		else
			buf_printf(b, "%s dport %d-%d ", name, r->from, r->to);
	} else if (r->protocol == 58) {
		buf_printf(b, "meta l4proto ipv6-icmp ");
		if (r->from >= 0)
			buf_printf(b, "icmpv6 type %d ", r->from);
		if (r->from >= 0 && r->to >= 0)
			buf_printf(b, "icmpv6 code %d ", r->to);
	} else if (r->protocol >= 0) {
		buf_printf(b, "meta l4proto %d ", r->protocol);
	}
}

static const char *peer_side(bool egress)
{
	return egress ? "ip6 daddr" : "ip6 saddr";
}

static void add_peer(struct buf *b, const struct net_rule *r)
{
	if (r->peer6.bits)
		buf_printf(b, "%s %s/%u ", peer_side(r->egress), text_of(r->peer6.base).p, r->peer6.bits);
}

/* ---- groups ---- */

void rules6_declare_group(struct buf *b, uint32_t number)
{
	buf_printf(b, "add chain ip6 q g%uo\nadd chain ip6 q g%ui\nadd set ip6 q m%u { type ipv6_addr; }\n", number, number,
	           number);
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
		add_match(b, r);
		if (r->peer_group[0])
			buf_printf(b, "%s @m%u ", peer_side(r->egress), find(ctx, r->peer_group));
		else
			add_peer(b, r);
		buf_printf(b, "accept\n");
	}
}

void rules6_remove_group(struct buf *b, uint32_t number)
{
	buf_printf(b, "delete chain ip6 q g%uo\ndelete chain ip6 q g%ui\ndelete set ip6 q m%u\n", number, number, number);
}

/* ---- ACLs and subnets ---- */

void rules6_declare_acl(struct buf *b, uint32_t number)
{
	buf_printf(b, "add chain ip6 q a%uo\nadd chain ip6 q a%ui\n", number, number);
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
		add_match(b, r);
		add_peer(b, r);
		buf_printf(b, "%s\n", r->allow ? "accept" : "counter drop");
	}
	buf_printf(b, "add rule ip6 q a%uo counter drop\nadd rule ip6 q a%ui counter drop\n", number, number);
}

void rules6_remove_acl(struct buf *b, uint32_t number)
{
	buf_printf(b, "delete chain ip6 q a%uo\ndelete chain ip6 q a%ui\n", number, number);
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
	buf_printf(b, "add set ip6 q t%u { type ifname; }\nadd chain ip6 q s%uo\nadd chain ip6 q s%ui\n", number, number, number);
	buf_printf(b, "flush chain ip6 q s%uo\nflush chain ip6 q s%ui\n", number, number);
	buf_printf(b, "add rule ip6 q s%uo oifname @t%u accept\nadd rule ip6 q s%uo goto a%uo\n", number, number, number, acl);
	buf_printf(b, "add rule ip6 q s%ui iifname @t%u accept\nadd rule ip6 q s%ui goto a%ui\n", number, number, number, acl);
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

/* One element of a set, or of a map when there is a value; `key` follows the link's name. */
static void element(struct buf *b, const char *verb, uint32_t port, const char *set, const char *key, const char *value)
{
	bool valued = value && verb[0] == 'a';
	buf_printf(b, "%s element ip6 q %s { \"p%u\"%s%s%s }\n", verb, set, port, key, valued ? " : " : "", valued ? value : "");
}

static void add_elements(struct buf *b, const struct rules_port *p, const char *verb)
{
	const struct net_port *m = p->port;
	uint32_t n = p->number;
	char key[INET6_ADDRSTRLEN + 4], value[32];
#define VALUE(...) (snprintf(value, sizeof(value), __VA_ARGS__), value)
	snprintf(key, sizeof(key), " . " MAC, MAC_ARG(m->mac));
	element(b, verb, n, "macs", key, NULL);
	if (!m->source_check)
		element(b, verb, n, "loose", "", NULL);
	element(b, verb, n, "marks", "", VALUE("%u", p->mark));
	element(b, verb, n, "drops", "", VALUE("\"d%u\"", n));
	element(b, verb, n, "leaving", "", VALUE("goto o%u", n));
	element(b, verb, n, "entering", "", VALUE("goto i%u", n));
	element(b, verb, n, "subnet_leaving", "", VALUE("goto s%uo", p->subnet));
	element(b, verb, n, "subnet_entering", "", VALUE("goto s%ui", p->subnet));
	element(b, verb, n, "opened", "", VALUE("jump w%u", p->subnet));
	if (m->bits_per_s) {
		element(b, verb, n, "fast_leaving", "", VALUE("jump f%uo", n));
		element(b, verb, n, "fast_entering", "", VALUE("jump f%ui", n));
	}
	buf_printf(b, "%s element ip6 q t%u { \"p%u\" }\n", verb, p->subnet, n);
	for (size_t i = 0; i < m->address6_count; i++) {
		snprintf(key, sizeof(key), " . %s", text_of(m->addresses6[i]).p);
		element(b, verb, n, "bound", key, NULL);
		for (size_t k = 0; k < m->group_count; k++)
			buf_printf(b, "%s element ip6 q m%u { %s }\n", verb, p->groups[k], text_of(m->addresses6[i]).p);
	}
#undef VALUE
}

static void add_limit(struct buf *b, uint32_t number, char direction, uint64_t bits_per_s)
{
	unsigned long long bytes = bits_per_s / 8 ? bits_per_s / 8 : 1;
	buf_printf(b, "add rule ip6 q f%u%c limit rate over %llu bytes/second counter name d%u drop\n", number, direction, bytes,
	           number);
}

void rules6_port(struct buf *b, const struct rules_port *p)
{
	uint32_t n = p->number;
	buf_printf(
	        b,
	        "add counter ip6 q d%u\nadd chain ip6 q o%u\nadd chain ip6 q i%u\nflush chain ip6 q o%u\nflush chain ip6 q i%u\n",
	        n, n, n, n, n);
	for (size_t i = 0; i < p->port->group_count; i++)
		buf_printf(b, "add rule ip6 q o%u jump g%uo\nadd rule ip6 q i%u jump g%ui\n", n, p->groups[i], n, p->groups[i]);
	buf_printf(b, "add rule ip6 q o%u counter name d%u drop\nadd rule ip6 q i%u counter name d%u drop\n", n, n, n, n);
	if (p->port->bits_per_s) {
		buf_printf(b, "add chain ip6 q f%uo\nadd chain ip6 q f%ui\nflush chain ip6 q f%uo\nflush chain ip6 q f%ui\n", n, n,
		           n, n);
		add_limit(b, n, 'o', p->port->bits_per_s);
		add_limit(b, n, 'i', p->port->bits_per_s);
	}
	add_elements(b, p, "add");
}

void rules6_remove_port(struct buf *b, const struct rules_port *p)
{
	uint32_t n = p->number;
	add_elements(b, p, "delete");
	buf_printf(b, "flush chain ip6 q o%u\nflush chain ip6 q i%u\ndelete chain ip6 q o%u\ndelete chain ip6 q i%u\n", n, n, n, n);
	if (p->port->bits_per_s)
		buf_printf(b, "flush chain ip6 q f%uo\nflush chain ip6 q f%ui\ndelete chain ip6 q f%uo\ndelete chain ip6 q f%ui\n",
		           n, n, n, n);
}

void rules6_forget_port(struct buf *b, uint32_t number)
{
	buf_printf(b, "delete counter ip6 q d%u\n", number);
}

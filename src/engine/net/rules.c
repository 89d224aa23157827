#include "engine/net/rules.h"
#include "engine/net/rules6.h"
#include "engine/net/rules_both.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE "192.0.0.65" /* NETWORK_SERVICE_ADDRESS */

static const char base[] =
        "add table ip q\ndelete table ip q\nadd table arp q\ndelete table arp q\n"
        "table ip q {\n"
        "set macs { type ifname . ether_addr; }\n"
        "set bound { type ifname . ipv4_addr; }\n"
        "set loose { type ifname; }\n"
        "set known { type ifname . ipv4_addr; }\n"
        "set dns { type ipv4_addr; }\n"
        "map marks { type ifname : mark; }\n"
        "set asking { type ifname; size 65535; flags dynamic, timeout; timeout 10s; }\n"
        "map inward { type ipv4_addr : ipv4_addr; }\n"
        /* new flows that load balancers' ports give to their targets (rules_balance.c) */
        "map balanced { type ipv4_addr . inet_proto . inet_service : verdict; }\n"
        "map balanced_coming { type ipv4_addr . inet_proto . inet_service : verdict; }\n"
        "map drops { type ifname : counter; }\n"
        "map nats { type mark : verdict; }\n"
        "map gates { type mark : counter; }\n"
        "map gates_back { type mark : counter; }\n"
        "map gates_tried { type mark : counter; }\n"
        "map gates_met { type mark : counter; }\n"
        "map gates_new { type mark : counter; }\n"
        "map gates_left { type mark : counter; }\n"
        "map gates_left_back { type mark : counter; }\n"
        "map gates_left_new { type mark : counter; }\n"
        "map leaving { type ifname : verdict; }\n"
        "map entering { type ifname : verdict; }\n"
        "map subnet_leaving { type ifname : verdict; }\n"
        "map subnet_entering { type ifname : verdict; }\n"
        "map fast_leaving { type ifname : verdict; }\n"
        "map peers { type ifname : verdict; }\n"
        "set served { type mark; }\n"
        "map fast_entering { type ifname : verdict; }\n"
        "chain marked {\n"
        "meta mark set iifname map @marks\n"
        "iifname . ip saddr @known meta mark set meta mark | 0x1\n"
        "accept\n"
        "}\n"
        "chain source { type filter hook prerouting priority raw; policy drop;\n"
        "iifname { \"lo\", \"" RULES_UPLINK "\" } accept\n"
        "iifname . ether saddr @macs ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept\n"
        "iifname . ether saddr @macs iifname . ip saddr @bound goto marked\n"
        "iifname . ether saddr @macs iifname @loose goto marked\n"
        "iifname vmap @peers\n"
        "counter name iifname map @drops drop\n"
        "}\n"
        "chain translate { type nat hook prerouting priority dstnat; policy accept;\n"
        "iifname \"" RULES_UPLINK "\" ip daddr . meta l4proto . th dport vmap @balanced_coming\n"
        "iifname != \"" RULES_UPLINK "\" ip daddr . meta l4proto . th dport vmap @balanced\n"
        "iifname \"" RULES_UPLINK "\" dnat to ip daddr map @inward\n"
        "iifname != \"" RULES_UPLINK "\" ip daddr @dns udp dport 53 dnat to 169.254.169.253\n"
        "iifname != \"" RULES_UPLINK "\" ip daddr @dns tcp dport 53 dnat to 169.254.169.253\n"
        "}\n"
        "chain hide { type nat hook postrouting priority srcnat; policy accept;\n"
        "oifname \"" RULES_UPLINK "\" masquerade\n"
        "}\n"
        "chain deliver { type filter hook forward priority -20; policy drop;\n"
        "iifname \"" RULES_UPLINK "\" oifname \"" RULES_UPLINK "\" drop\n"
        "iifname \"" RULES_UPLINK "\" ct state new ct status & dnat == 0 drop\n"
        /* what is not tracked would leave under its private address */
        "oifname \"" RULES_UPLINK "\" ct state invalid drop\n"
        "oifname \"" RULES_UPLINK "\" iifname != \"" RULES_PEERS "\" accept\n"
        "oifname \"" RULES_PEERS "\" iifname != \"" RULES_PEERS "\" iifname != \"" RULES_UPLINK "\" accept\n"
        "oifname . ip daddr @bound accept\n"
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
        /* its groups were asked about the balancer's address */
        "ct mark & 0x80000000 == 0x80000000 accept\n"
        "iifname vmap @leaving\n"
        "}\n"
        "chain acl_out { type filter hook forward priority -8; policy accept; iifname vmap @subnet_leaving\n}\n"
        "chain acl_in { type filter hook forward priority -6; policy accept; oifname vmap @subnet_entering\n}\n"
        /* where what groups and ACLs refuse ends, so that flow logs can count it (router_flow.c) */
        "chain reject_out { drop; }\n"
        "chain reject_in { drop; }\n"
        "chain ingress { type filter hook forward priority 0; policy drop;\n"
        "oifname \"" RULES_UPLINK "\" accept\n"
        "oifname \"" RULES_PEERS "\" accept\n"
        "ct state related accept\n"
        "ct state established ct direction reply accept\n"
        "oifname vmap @entering\n"
        "}\n"
        /* what NAT gateways carry, both ways: the first packet of a connection says by its subnet's routes which one it is */
        "chain carried { type filter hook forward priority 5; policy accept;\n"
        "oifname \"" RULES_UPLINK "\" ct mark 0x0 meta mark vmap @nats\n"
        "ct mark 0x0 accept\n"
        "ct direction original counter name ct mark map @gates\n"
        "ct direction reply counter name ct mark map @gates_back\n"
        "ct state new counter name ct mark map @gates_new\n"
        "tcp flags & (syn|ack) == syn ct direction original counter name ct mark map @gates_tried\n"
        "tcp flags & (syn|ack) == (syn|ack) ct direction reply counter name ct mark map @gates_met\n"
        "}\n"
        /* and what of it has left again: a port that could not be given takes the packet with it */
        "chain left { type filter hook postrouting priority 110; policy accept;\n"
        "ct mark 0x0 accept\n"
        "ct direction original counter name ct mark map @gates_left\n"
        "ct direction reply counter name ct mark map @gates_left_back\n"
        "ct state new counter name ct mark map @gates_left_new\n"
        "}\n"
        /* what the router itself serves: DHCP, metadata, the cloud's endpoint, DNS; nothing else of it answers */
        "chain input { type filter hook input priority filter; policy drop;\n"
        "iifname \"lo\" accept\n"
        "iifname \"" RULES_UPLINK "\" drop\n"
        "iifname \"" RULES_PEERS "\" drop\n"
        /* the service of gateway endpoints, where the subnet's routes lead to one: groups are asked last */
        "ip daddr " SERVICE " tcp dport { 80, 443 } meta mark @served iifname . ip saddr @bound iifname vmap @leaving\n"
        /* as many packets a second as AWS takes from one interface; what is beyond is lost */
        "update @asking { iifname limit rate over 1024/second burst 1024 packets } counter name iifname map @drops drop\n"
        "udp sport 68 udp dport 67 accept\n"
        "iifname . ip saddr != @bound counter name iifname map @drops drop\n"
        "ip daddr 169.254.169.254 tcp dport { 80, 4566 } accept\n"
        "ip daddr 169.254.169.253 meta l4proto { tcp, udp } th dport 53 accept\n"
        "counter name iifname map @drops drop\n"
        "}\n"
        /* ACLs of what goes to that service and comes from it */
        "chain service_out { type filter hook input priority -2; policy accept; ip daddr " SERVICE
        " iifname vmap @subnet_leaving\n}\n"
        "chain service_in { type filter hook output priority -2; policy accept; ip saddr " SERVICE
        " oifname vmap @subnet_entering\n}\n"
        "chain output { type filter hook output priority filter; policy drop;\n"
        "oifname \"lo\" accept\n"
        "ct state established accept\n"
        "udp sport 67 udp dport 68 accept\n"
        "}\n"
        "}\n"
        "table arp q {\n"
        "set bound { type ifname . ether_addr . ipv4_addr; }\n"
        "set macs { type ifname . ether_addr; }\n"
        "chain input { type filter hook input priority filter; policy drop;\n"
        "iifname \"" RULES_UPLINK "\" accept\n"
        "arp operation request iifname . arp saddr ether . arp saddr ip @bound accept\n"
        /* a client asks whether its new address is in use before it has one */
        "arp operation request arp saddr ip 0.0.0.0 iifname . arp saddr ether @macs accept\n"
        "}\n"
        "}\n";

#define IP4 "%u.%u.%u.%u"
#define IP4_ARG(a) (a) >> 24, (a) >> 16 & 255, (a) >> 8 & 255, (a)&255

void rules_base(struct buf *b)
{
	buf_add(b, base, sizeof(base) - 1);
	rules_zones(&rules_ip4, b);
	rules6_base(b);
}

void rules_dns(struct buf *b, const struct net_prefix *prefixes, size_t n)
{
	buf_printf(b, "flush set ip q dns\n");
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "add element ip q dns { " IP4 " }\n", IP4_ARG(prefixes[i].base + 2));
}

/* ---- what a rule matches ---- */

static bool same_packets(const struct net_rule *a, const struct net_rule *b)
{
	return a->ipv6 == b->ipv6 && a->egress == b->egress && a->protocol == b->protocol && a->from == b->from && a->to == b->to;
}

static bool contains(const struct net_prefix *outer, const struct net_prefix *inner)
{
	return outer->bits <= inner->bits && !((outer->base ^ inner->base) & (outer->bits ? ~0u << (32 - outer->bits) : 0));
}

/* Prefixes of a set may not overlap: is this one in another, or the same as an earlier one? */
static bool is_covered(const struct net_rules *m, size_t first, size_t i)
{
	for (size_t k = first; k < m->h.value; k++) {
		const struct net_rule *r = &m->rules[k];
		if (k == i || r->peer_group[0] || !same_packets(r, &m->rules[i]) || !contains(&r->peer, &m->rules[i].peer))
			continue;
		if (r->peer.bits < m->rules[i].peer.bits || k < i)
			return true;
	}
	return false;
}

/* Is rule i one of those that are about the same packets as rule `first`, with a prefix that is not covered? */
static bool is_listed(const struct net_rules *m, size_t first, size_t i)
{
	return !m->rules[i].peer_group[0] && same_packets(&m->rules[i], &m->rules[first]) && !is_covered(m, first, i);
}

/* ---- groups ---- */

void rules_declare_group(struct buf *b, uint32_t number)
{
	rules_both_declare_group(&rules_ip4, b, number);
	rules6_declare_group(b, number);
}

/* One rule for all prefixes of the rules that are about the same packets as rule `first`, which is the first of them. */
static void add_prefixes(struct buf *b, uint32_t number, const struct net_rules *m, size_t first)
{
	bool any = false, all = false;
	for (size_t i = first; i < m->h.value; i++)
		if (!m->rules[i].peer_group[0] && same_packets(&m->rules[i], &m->rules[first])) {
			any = true;
			all = all || m->rules[i].peer.bits == 0;
		}
	if (!any)
		return;
	const struct net_rule *r = &m->rules[first];
	buf_printf(b, "add rule ip q g%u%c ", number, r->egress ? 'o' : 'i');
	rules_match(&rules_ip4, b, r);
	size_t count = 0;
	for (size_t i = first; i < m->h.value && !all; i++)
		count += is_listed(m, first, i);
	/* a set of one costs more room in a batch than it is worth */
	if (count)
		buf_printf(b, "%s %s", rules_ip4.side[r->egress], count > 1 ? "{ " : "");
	for (size_t i = first, left = count; i < m->h.value && left; i++)
		if (is_listed(m, first, i))
			buf_printf(b, IP4 "/%u%s", IP4_ARG(m->rules[i].peer.base), m->rules[i].peer.bits, --left ? ", " : " ");
	if (count > 1)
		buf_printf(b, "} ");
	buf_printf(b, "accept\n");
}

void rules_group(struct buf *b, uint32_t number, const struct net_rules *m, rules_number_fn *find, void *ctx)
{
	rules_declare_group(b, number);
	rules6_group(b, number, m, find, ctx);
	buf_printf(b, "flush chain ip q g%uo\nflush chain ip q g%ui\n", number, number);
	if (!m)
		return;
	for (size_t i = 0; i < m->h.value; i++) {
		const struct net_rule *r = &m->rules[i];
		bool first = !r->ipv6;
		for (size_t k = 0; k < i && first; k++)
			first = !same_packets(&m->rules[k], r);
		if (first)
			add_prefixes(b, number, m, i);
		if (!r->peer_group[0])
			continue; /* IPv6: rules6.c */
		buf_printf(b, "add rule ip q g%u%c ", number, r->egress ? 'o' : 'i');
		rules_match(&rules_ip4, b, r);
		buf_printf(b, "%s @m%u accept\n", rules_ip4.side[r->egress], find(ctx, r->peer_group));
		if (r->egress)
			continue;
		/* what a balancer of that group has led here */
		buf_printf(b, "add rule ip q g%ui ", number);
		rules_match(&rules_ip4, b, r);
		buf_printf(b, "ct mark & 0x80000000 == 0x80000000 ct original ip daddr @m%u accept\n", find(ctx, r->peer_group));
	}
}

void rules_remove_group(struct buf *b, uint32_t number)
{
	rules6_remove_group(b, number);
	rules_both_remove_group(&rules_ip4, b, number);
}

/* ---- ACLs and subnets ---- */

void rules_declare_acl(struct buf *b, uint32_t number)
{
	rules_both_declare_acl(&rules_ip4, b, number);
}

void rules_acl(struct buf *b, uint32_t number, const struct net_rules *m)
{
	rules_declare_acl(b, number);
	rules6_acl(b, number, m);
	buf_printf(b, "flush chain ip q a%uo\nflush chain ip q a%ui\n", number, number);
	for (size_t i = 0; m && i < m->h.value; i++) {
		const struct net_rule *r = &m->rules[i];
		if (r->ipv6)
			continue;
		buf_printf(b, "add rule ip q a%u%c ", number, r->egress ? 'o' : 'i');
		rules_match(&rules_ip4, b, r);
		if (r->peer.bits)
			buf_printf(b, "%s " IP4 "/%u ", rules_ip4.side[r->egress], IP4_ARG(r->peer.base), r->peer.bits);
		rules_acl_verdict(b, r);
	}
	rules_acl_last(&rules_ip4, b, number);
}

void rules_remove_acl(struct buf *b, uint32_t number)
{
	rules6_remove_acl(b, number);
	rules_both_remove_acl(&rules_ip4, b, number);
}

static void unserve(struct buf *b, uint32_t mark)
{
	/* what is not there cannot be taken away */
	buf_printf(b, "add element ip q served { %u, %u }\ndelete element ip q served { %u, %u }\n", mark, mark + 1, mark,
	           mark + 1);
}

void rules_subnet(struct buf *b, uint32_t number, uint32_t acl, uint32_t mark, bool served)
{
	if (served)
		buf_printf(b, "add element ip q served { %u, %u }\n", mark, mark + 1);
	else
		unserve(b, mark);
	rules_subnet_chains(&rules_ip4, b, number, acl);
}

void rules_remove_subnet(struct buf *b, uint32_t number, uint32_t mark)
{
	rules6_remove_subnet(b, number);
	unserve(b, mark);
	buf_printf(b, "delete chain ip q s%uo\ndelete chain ip q s%ui\ndelete set ip q t%u\n", number, number, number);
}

/* ---- NAT gateways ---- */

void rules_nats(struct buf *b, uint32_t number, uint32_t mark, const struct rules_nat *routes, size_t n)
{
	buf_printf(b, "add chain ip q n%u\nflush chain ip q n%u\n", number, number);
	for (int bits = 32; bits >= 0; bits--)
		for (size_t i = 0; i < n; i++) {
			const struct rules_nat *r = &routes[i];
			if ((int)r->to.bits != bits)
				continue;
			buf_printf(b, "add rule ip q n%u ", number);
			if (bits)
				buf_printf(b, "ip daddr " IP4 "/%u ", IP4_ARG(r->to.base), r->to.bits);
			if (r->gate)
				buf_printf(b, "ct mark set %u ", r->gate);
			buf_printf(b, "return\n");
		}
	buf_printf(b, "add element ip q nats { %u : jump n%u, %u : jump n%u }\n", mark, number, mark + 1, number);
}

void rules_remove_nats(struct buf *b, uint32_t number, uint32_t mark)
{
	buf_printf(b, "delete element ip q nats { %u, %u }\ndelete chain ip q n%u\n", mark, mark + 1, number);
}

static const struct {
	enum rules_gate_counter letter;
	const char *map;
} gate_counters[] = {{RULES_GATE_OUT, "gates"},
                     {RULES_GATE_BACK, "gates_back"},
                     {RULES_GATE_TRIED, "gates_tried"},
                     {RULES_GATE_MET, "gates_met"},
                     {RULES_GATE_NEW, "gates_new"},
                     {RULES_GATE_LEFT, "gates_left"},
                     {RULES_GATE_LEFT_BACK, "gates_left_back"},
                     {RULES_GATE_LEFT_NEW, "gates_left_new"}};

void rules_gate(struct buf *b, uint32_t number)
{
	for (size_t i = 0; i < sizeof(gate_counters) / sizeof(*gate_counters); i++)
		buf_printf(b, "add counter ip q %c%u\nadd element ip q %s { %u : \"%c%u\" }\n", gate_counters[i].letter, number,
		           gate_counters[i].map, number, gate_counters[i].letter, number);
}

void rules_remove_gate(struct buf *b, uint32_t number)
{
	for (size_t i = 0; i < sizeof(gate_counters) / sizeof(*gate_counters); i++)
		buf_printf(b, "delete element ip q %s { %u }\ndelete counter ip q %c%u\n", gate_counters[i].map, number,
		           gate_counters[i].letter, number);
}

/* ---- peerings ---- */

void rules_peering(struct buf *b, uint32_t number, const struct net_prefix *prefixes, size_t n)
{
	buf_printf(b, "add chain ip q x%u\nflush chain ip q x%u\n", number, number);
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "add rule ip q x%u ip saddr " IP4 "/%u accept\n", number, IP4_ARG(prefixes[i].base),
		           prefixes[i].bits);
	buf_printf(b, "add rule ip q x%u drop\nadd element ip q peers { \"x%u\" : goto x%u }\n", number, number, number);
}

void rules_remove_peering(struct buf *b, uint32_t number)
{
	rules6_remove_peering(b, number);
	buf_printf(b, "delete element ip q peers { \"x%u\" }\ndelete chain ip q x%u\n", number, number);
}

void rules_members(struct buf *b, uint32_t number, const uint32_t *addresses, size_t n)
{
	buf_printf(b, "flush set ip q m%u\n", number);
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "add element ip q m%u { " IP4 " }\n", number, IP4_ARG(addresses[i]));
}

/* ---- ports ---- */

static void add_elements(struct buf *b, const struct rules_port *p, bool add)
{
	const struct net_port *m = p->port;
	char key[64];
	rules_port_elements(&rules_ip4, b, p, add);
	snprintf(key, sizeof(key), " . " RULES_MAC, RULES_MAC_ARG(m->mac));
	rules_element(b, add, p->number, "arp q macs", key, NULL);
	for (size_t i = 0; i < m->address_count; i++) {
		const struct net_address *a = &m->addresses[i];
		snprintf(key, sizeof(key), " . " IP4, IP4_ARG(a->private));
		rules_element(b, add, p->number, "ip q bound", key, NULL);
		if (a->public)
			rules_element(b, add, p->number, "ip q known", key, NULL);
		if (a->public)
			buf_printf(b,
			           add ? "add element ip q inward { " IP4 " : " IP4 " }\n"
			               : "delete element ip q inward { " IP4 " }\n",
			           IP4_ARG(a->public), IP4_ARG(a->private));
		snprintf(key, sizeof(key), " . " RULES_MAC " . " IP4, RULES_MAC_ARG(m->mac), IP4_ARG(a->private));
		rules_element(b, add, p->number, "arp q bound", key, NULL);
		for (size_t k = 0; k < m->group_count; k++)
			buf_printf(b, "%s element ip q m%u { " IP4 " }\n", add ? "add" : "delete", p->groups[k],
			           IP4_ARG(a->private));
		/* nobody sends from there: only what comes through a balancer from outside was first for such an address */
		for (size_t k = 0; k < m->group_count && a->public; k++)
			buf_printf(b, "%s element ip q m%u { " IP4 " }\n", add ? "add" : "delete", p->groups[k],
			           IP4_ARG(a->public));
	}
}

void rules_port(struct buf *b, const struct rules_port *p)
{
	rules6_port(b, p);
	rules_port_chains(&rules_ip4, b, p);
	add_elements(b, p, true);
}

/* The counter stays, so that a port that is changed goes on counting; it goes with rules_forget_port(). */
void rules_remove_port(struct buf *b, const struct rules_port *p)
{
	rules6_remove_port(b, p);
	add_elements(b, p, false);
	rules_remove_port_chains(&rules_ip4, b, p);
}

void rules_forget_port(struct buf *b, const struct rules_port *p)
{
	rules6_forget_port(b, p);
	rules_forget_port_counters(&rules_ip4, b, p);
}

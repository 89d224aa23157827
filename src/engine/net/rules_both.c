#include "engine/net/rules_both.h"

#include <stdarg.h>
#include <stdio.h>

const struct rules_family rules_ip4 = {"ip q", "ipv4_addr", {"ip saddr", "ip daddr"}, "icmp", "icmp", 1};
const struct rules_family rules_ip6 = {"ip6 q", "ipv6_addr", {"ip6 saddr", "ip6 daddr"}, "ipv6-icmp", "icmpv6", 58};

void rules_match(const struct rules_family *f, struct buf *b, const struct net_rule *r)
{
	if (r->protocol == 6 || r->protocol == 17) {
		const char *name = r->protocol == 6 ? "tcp" : "udp";
		if (r->from < 0)
			buf_printf(b, "meta l4proto %s ", name);
		else if (r->from == r->to)
			buf_printf(b, "%s dport %d ", name, r->from);
		else
			buf_printf(b, "%s dport %d-%d ", name, r->from, r->to);
	} else if (r->protocol == f->icmp_number) {
		buf_printf(b, "meta l4proto %s ", f->icmp);
		if (r->from >= 0)
			buf_printf(b, "%s type %d ", f->icmp_name, r->from);
		if (r->from >= 0 && r->to >= 0)
			buf_printf(b, "%s code %d ", f->icmp_name, r->to);
	} else if (r->protocol >= 0) {
		buf_printf(b, "meta l4proto %d ", r->protocol);
	}
}

/* ---- groups, ACLs, subnets ---- */

static void two_chains(const struct rules_family *f, struct buf *b, const char *verb, char letter, uint32_t number)
{
	buf_printf(b, "%s chain %s %c%uo\n%s chain %s %c%ui\n", verb, f->table, letter, number, verb, f->table, letter, number);
}

void rules_both_declare_group(const struct rules_family *f, struct buf *b, uint32_t number)
{
	two_chains(f, b, "add", 'g', number);
	buf_printf(b, "add set %s m%u { type %s; }\n", f->table, number, f->address);
}

void rules_both_remove_group(const struct rules_family *f, struct buf *b, uint32_t number)
{
	two_chains(f, b, "delete", 'g', number);
	buf_printf(b, "delete set %s m%u\n", f->table, number);
}

void rules_both_declare_acl(const struct rules_family *f, struct buf *b, uint32_t number)
{
	two_chains(f, b, "add", 'a', number);
}

void rules_acl_verdict(struct buf *b, const struct net_rule *r)
{
	buf_printf(b, "%s\n", r->allow ? "accept" : r->egress ? "counter goto reject_out" : "counter goto reject_in");
}

void rules_acl_last(const struct rules_family *f, struct buf *b, uint32_t number)
{
	buf_printf(b, "add rule %s a%uo counter goto reject_out\nadd rule %s a%ui counter goto reject_in\n", f->table, number,
	           f->table, number);
}

void rules_both_remove_acl(const struct rules_family *f, struct buf *b, uint32_t number)
{
	two_chains(f, b, "delete", 'a', number);
}

void rules_subnet_chains(const struct rules_family *f, struct buf *b, uint32_t number, uint32_t acl)
{
	const char *t = f->table;
	buf_printf(b, "add set %s t%u { type ifname; }\n", t, number);
	two_chains(f, b, "add", 's', number);
	two_chains(f, b, "flush", 's', number);
	buf_printf(b, "add rule %s s%uo oifname @t%u accept\nadd rule %s s%uo goto a%uo\n", t, number, number, t, number, acl);
	buf_printf(b, "add rule %s s%ui iifname @t%u accept\nadd rule %s s%ui goto a%ui\n", t, number, number, t, number, acl);
}

/* ---- zones ---- */

void rules_zones(const struct rules_family *f, struct buf *b)
{
	buf_printf(b,
	           "table %s {\n"
	           "counter crossed { }\n"
	           "set zoned { type ifname; }\n"
	           "map in_zone { type ifname : verdict; }\n",
	           f->table);
	for (unsigned zone = 1; zone <= NETWORK_ZONES_MAX; zone++)
		buf_printf(b,
		           "set zone%u { type ifname; }\n"
		           "chain to_zone%u {\n"
		           "iifname @zone%u return\n"
		           "iifname @zoned counter name \"crossed\"\n"
		           "}\n",
		           zone, zone, zone);
	buf_add_lit(b, "chain zones { type filter hook forward priority 6; policy accept; oifname vmap @in_zone\n}\n}\n");
}

/* ---- ports ---- */

void rules_element(struct buf *b, bool add, uint32_t port, const char *set, const char *key, const char *value, ...)
{
	buf_printf(b, "%s element %s { \"p%u\"%s", add ? "add" : "delete", set, port, key);
	if (value && add) {
		char text[48];
		va_list ap;
		va_start(ap, value);
		vsnprintf(text, sizeof(text), value, ap);
		va_end(ap);
		buf_printf(b, " : %s", text);
	}
	buf_printf(b, " }\n");
}

/* Does it have chains in which packets may be lost? */
static bool is_limited(const struct rules_port *p)
{
	return p->port->bits_per_s || p->loss_percent;
}

void rules_port_elements(const struct rules_family *f, struct buf *b, const struct rules_port *p, bool add)
{
	char set[32], key[64];
	uint32_t n = p->number;
#define IN(name) (snprintf(set, sizeof(set), "%s " name, f->table), set)
	snprintf(key, sizeof(key), " . " RULES_MAC, RULES_MAC_ARG(p->port->mac));
	rules_element(b, add, n, IN("macs"), key, NULL);
	if (!p->port->source_check)
		rules_element(b, add, n, IN("loose"), "", NULL);
	rules_element(b, add, n, IN("marks"), "", "%u", p->mark);
	rules_element(b, add, n, IN("drops"), "", "\"d%u\"", n);
	rules_element(b, add, n, IN("leaving"), "", "goto o%u", n);
	rules_element(b, add, n, IN("entering"), "", "goto i%u", n);
	rules_element(b, add, n, IN("subnet_leaving"), "", "goto s%uo", p->subnet);
	rules_element(b, add, n, IN("subnet_entering"), "", "goto s%ui", p->subnet);
	if (p->port->zone) {
		char zone[32];
		snprintf(zone, sizeof(zone), "%s zone%u", f->table, p->port->zone);
		rules_element(b, add, n, zone, "", NULL);
		rules_element(b, add, n, IN("zoned"), "", NULL);
		rules_element(b, add, n, IN("in_zone"), "", "jump to_zone%u", p->port->zone);
	}
	if (is_limited(p)) {
		rules_element(b, add, n, IN("fast_leaving"), "", "jump f%uo", n);
		rules_element(b, add, n, IN("fast_entering"), "", "jump f%ui", n);
	}
#undef IN
	buf_printf(b, "%s element %s t%u { \"p%u\" }\n", add ? "add" : "delete", f->table, p->subnet, n);
}

/* The kernel's bucket for bytes holds a second's worth: so much may come at once after a pause. */
static void add_limit(const struct rules_family *f, struct buf *b, uint32_t number, char direction, uint64_t bits_per_s)
{
	unsigned long long bytes = bits_per_s / 8 ? bits_per_s / 8 : 1;
	if (!bits_per_s)
		return;
	buf_printf(b, "add rule %s f%u%c limit rate over %llu bytes/second counter name d%u drop\n", f->table, number, direction,
	           bytes, number);
}

/* Which packets are lost is drawn anew for each. A number below 100 is always below 100, and nft does not take that for a question.
 */
static void add_loss(const struct rules_family *f, struct buf *b, const struct rules_port *p)
{
	for (const char *direction = "oi"; *direction && p->loss_percent; direction++) {
		buf_printf(b, "add rule %s f%u%c ", f->table, p->number, *direction);
		if (p->loss_percent < 100)
			buf_printf(b, "numgen random mod 100 < %u ", p->loss_percent);
		buf_printf(b, "drop\n");
	}
}

/* First packets of flows that no group has let pass, by protocol. */
static void add_refusals(const struct rules_family *f, struct buf *b, const struct rules_port *p)
{
	const int protocols[] = {f->icmp_number, 6, 17};
	for (const char *direction = "oi"; *direction && p->port->refusals; direction++)
		for (size_t k = 0; k < NETWORK_REFUSALS; k++)
			buf_printf(b,
			           "add counter %s d%u%c%c\nadd rule %s %c%u meta l4proto %d ct state new counter name d%u%c%c\n",
			           f->table, p->number, *direction, RULES_REFUSALS[k], f->table, *direction, p->number,
			           protocols[k], p->number, *direction, RULES_REFUSALS[k]);
}

void rules_forget_port_counters(const struct rules_family *f, struct buf *b, const struct rules_port *p)
{
	buf_printf(b, "delete counter %s d%u\n", f->table, p->number);
	for (const char *direction = "oi"; *direction && p->port->refusals; direction++)
		for (const char *kind = RULES_REFUSALS; *kind; kind++)
			buf_printf(b, "delete counter %s d%u%c%c\n", f->table, p->number, *direction, *kind);
}

void rules_port_chains(const struct rules_family *f, struct buf *b, const struct rules_port *p)
{
	const char *t = f->table;
	uint32_t n = p->number;
	buf_printf(b, "add counter %s d%u\nadd chain %s o%u\nadd chain %s i%u\nflush chain %s o%u\nflush chain %s i%u\n", t, n, t,
	           n, t, n, t, n, t, n);
	for (size_t i = 0; i < p->port->group_count; i++)
		buf_printf(b, "add rule %s o%u jump g%uo\nadd rule %s i%u jump g%ui\n", t, n, p->groups[i], t, n, p->groups[i]);
	if (!p->port->group_count && p->port->kind != NETWORK_GATEWAY)
		buf_printf(b, "add rule %s o%u accept\nadd rule %s i%u accept\n", t, n, t, n);
	add_refusals(f, b, p);
	buf_printf(b, "add rule %s o%u counter name d%u goto reject_out\nadd rule %s i%u counter name d%u goto reject_in\n", t, n,
	           n, t, n, n);
	if (!is_limited(p))
		return;
	two_chains(f, b, "add", 'f', n);
	two_chains(f, b, "flush", 'f', n);
	add_loss(f, b, p);
	add_limit(f, b, n, 'o', p->port->bits_per_s);
	add_limit(f, b, n, 'i', p->port->bits_per_s);
}

void rules_remove_port_chains(const struct rules_family *f, struct buf *b, const struct rules_port *p)
{
	const char *t = f->table;
	uint32_t n = p->number;
	buf_printf(b, "flush chain %s o%u\nflush chain %s i%u\ndelete chain %s o%u\ndelete chain %s i%u\n", t, n, t, n, t, n, t, n);
	if (!is_limited(p))
		return;
	two_chains(f, b, "flush", 'f', n);
	two_chains(f, b, "delete", 'f', n);
}

#include "engine/net/rules_balance.h"
#include "engine/net/rules.h"

#include <math.h>

enum { TCP = 6, PARTS_MIN = 64, PARTS_OF_ONE = 8, CLOSED_S = 5 };

#define IP4 "%u.%u.%u.%u"
#define IP4_ARG(a) (a) >> 24, (a) >> 16 & 255, (a) >> 8 & 255, (a)&255
#define KEY "ip daddr . meta l4proto . th dport"
#define BALANCED "ct mark & 0x80000000 == 0x80000000"

/* ---- who gets which part ---- */

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* The higher, the more this part wants to be this target's: a share of parts as large as its weight's (rendezvous hashing). */
static double wish(const struct net_balance_target *t, size_t part)
{
	uint64_t h = mix(((uint64_t)t->address << 16 | t->port) + mix(part + 1));
	double unit = ((double)(h >> 11) + 1) / 9007199254740993.0;
	return (double)t->weight / -log(unit);
}

size_t rules_balance_parts(const struct net_balance *m, uint16_t ret[RULES_BALANCE_PARTS_MAX])
{
	uint16_t serving[NETWORK_BALANCE_TARGETS_MAX], room[NETWORK_BALANCE_TARGETS_MAX];
	size_t n = 0, count = PARTS_MIN;
	uint64_t weights = 0;
	for (size_t i = 0; i < m->h.value; i++)
		if (m->targets[i].state == NETWORK_SERVES) {
			serving[n++] = (uint16_t)i;
			weights += m->targets[i].weight;
		}
	if (!n)
		return 0;
	while (count < RULES_BALANCE_PARTS_MAX && count < n * PARTS_OF_ONE)
		count *= 2;
	for (size_t i = 0; i < n; i++)
		room[i] = (uint16_t)((count * m->targets[serving[i]].weight + weights - 1) / weights);
	for (size_t part = 0; part < count; part++) {
		size_t best = n;
		double most = -1;
		for (size_t i = 0; i < n; i++) {
			double w = room[i] ? wish(&m->targets[serving[i]], part) : -2;
			if (w > most) {
				most = w;
				best = i;
			}
		}
		/* rooms come to at least as many as there are parts */
		room[best]--;
		ret[part] = serving[best];
	}
	return count;
}

/* ---- the chains of all ---- */

void rules_balances_begin(struct buf *b)
{
	buf_add_lit(b, "add map ip q balance_leaving { type ipv4_addr . inet_proto . inet_service : verdict; }\n"
	               "add map ip q balance_entering { type ipv4_addr . inet_proto . inet_service : verdict; }\n"
	               "add map ip q balance_coming { type ipv4_addr . inet_proto . inet_service : verdict; }\n"
	               "add map ip q balance_marks { type mark : mark; }\n"
	               "add map ip q balance_bytes { type mark : counter; }\n"
	               "add map ip q balance_client_resets { type mark : counter; }\n"
	               "add map ip q balance_target_resets { type mark : counter; }\n"
	               "add chain ip q balance_sender\n"
	               "add rule ip q balance_sender iifname vmap @leaving\n"
	               "add chain ip q balance_egress { type filter hook prerouting priority -150; policy accept; }\n"
	               "add rule ip q balance_egress " BALANCED " meta mark set ct mark map @balance_marks\n"
	               "add rule ip q balance_egress iifname { \"lo\", \"" RULES_UPLINK "\" } accept\n"
	               "add rule ip q balance_egress iifname \"" RULES_PEERS "\" accept\n"
	               "add rule ip q balance_egress ct state established ct direction reply accept\n"
	               "add rule ip q balance_egress " KEY " vmap @balance_leaving\n"
	               "add chain ip q balance_ingress { type filter hook prerouting priority -149; policy accept; }\n"
	               "add rule ip q balance_ingress ct state established ct direction reply accept\n"
	               "add rule ip q balance_ingress iifname \"" RULES_UPLINK "\" " KEY " vmap @balance_coming\n"
	               "add rule ip q balance_ingress iifname != \"" RULES_UPLINK "\" " KEY " vmap @balance_entering\n"
	               "add chain ip q balance_carried { type filter hook forward priority 6; policy accept; }\n"
	               "add rule ip q balance_carried ct mark & 0x80000000 == 0x0 accept\n"
	               "add rule ip q balance_carried counter name ct mark map @balance_bytes\n"
	               "add rule ip q balance_carried tcp flags & rst == rst ct direction original "
	               "counter name ct mark map @balance_client_resets\n"
	               "add rule ip q balance_carried tcp flags & rst == rst ct direction reply "
	               "counter name ct mark map @balance_target_resets\n");
}

void rules_balances_end(struct buf *b)
{
	static const char *const chains[] = {"balance_egress", "balance_ingress", "balance_carried", "balance_sender"},
	                         *const maps[] = {"balance_leaving",      "balance_entering", "balance_coming",
	                                          "balance_marks",        "balance_bytes",    "balance_client_resets",
	                                          "balance_target_resets"};
	for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++)
		buf_printf(b, "flush chain ip q %s\n", chains[i]);
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		buf_printf(b, "delete map ip q %s\n", maps[i]);
	for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++)
		buf_printf(b, "delete chain ip q %s\n", chains[i]);
}

/* ---- one ---- */

/* By which parts flows are told from each other. AWS takes a connection's sequence number too, so that a client that uses a port
 * again may come to another target. */
static const char *part_of(const struct net_balance *m)
{
	return m->by_source ? "ip saddr" : m->protocol == TCP ? "ip saddr . tcp sport . tcp sequence" : "ip saddr . udp sport";
}

static void add_timeout(struct buf *b, const struct net_balance *m)
{
	if (m->protocol == TCP)
		buf_printf(b,
		           "add ct timeout ip q bt6s%u { protocol tcp; l3proto ip; policy = { established : %u, close : %d, "
		           "time_wait : %d }; }\n",
		           m->idle_s, m->idle_s, CLOSED_S, CLOSED_S);
	else
		buf_printf(b,
		           "add ct timeout ip q bt17s%u { protocol udp; l3proto ip; policy = { unreplied : %u, replied : %u }; }\n",
		           m->idle_s, m->idle_s, m->idle_s);
}

void rules_balance_targets(struct buf *b, const struct rules_balance *p, const struct net_balance *m)
{
	/* a flow that is not known begins with its first packet, or is none */
	const char *first = m->protocol == TCP ? "tcp flags & (fin|syn|rst|ack) == syn" : "meta l4proto udp";
	uint16_t parts[RULES_BALANCE_PARTS_MAX];
	size_t count = rules_balance_parts(m, parts);
	add_timeout(b, m);
	buf_printf(b, "flush chain ip q b%u\n", p->number);
	if (m->others)
		buf_printf(b, "add rule ip q b%u numgen random mod 10000 < %u return\n", p->number,
		           m->others > 9999 ? 9999 : m->others);
	if (!count) {
		buf_printf(b, "add rule ip q b%u %s counter name b%ue\n", p->number, first, p->number);
		return;
	}
	buf_printf(b, "add rule ip q b%u %s ct timeout set \"bt%us%u\" ct mark set 0x%x meta mark set %u counter name b%un ",
	           p->number, first, m->protocol, m->idle_s, RULES_BALANCED | p->number, p->mark, p->number);
	if (m->open)
		buf_printf(b, "counter name b%uo ", p->number);
	buf_printf(b, "dnat ip addr . port to jhash %s mod %zu seed 0x51ba1a4c map { ", part_of(m), count);
	for (size_t i = 0; i < count; i++) {
		const struct net_balance_target *t = &m->targets[parts[i]];
		buf_printf(b, "%s%zu : " IP4 " . %u", i ? ", " : "", i, IP4_ARG(t->address), t->port);
	}
	buf_add_lit(b, " }\n");
}

/* An element of a map by the address that a flow is for first. */
static void lead(struct buf *b, const struct rules_balance *p, bool add, const char *map, uint32_t address, const char *to,
                 uint32_t chain)
{
	if (!address)
		return;
	buf_printf(b, "%s element ip q %s { " IP4 " . %u . %u", add ? "add" : "delete", map, IP4_ARG(address), p->protocol,
	           p->listens);
	if (add)
		buf_printf(b, " : %s", to);
	if (add && chain)
		buf_printf(b, "%u", chain);
	buf_add_lit(b, " }\n");
}

void rules_balance_door(struct buf *b, const struct rules_balance *p, bool add)
{
	lead(b, p, add, "balance_entering", p->private, "goto i", p->port);
	lead(b, p, add, "balance_coming", p->public, "goto i", p->port);
}

/* What leads packets to the balance's chain, by its private address from within and by its public one from the machine. */
static void elements(struct buf *b, const struct rules_balance *p, bool add)
{
	const struct {
		const char *map;
		uint32_t address, chain;
		const char *to;
	} ways[] = {{"balanced", p->private, p->number, "jump b"},
	            {"balanced_coming", p->public, p->number, "jump b"},
	            {"balance_leaving", p->private, 0, "goto balance_sender"}};
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		lead(b, p, add, ways[i].map, ways[i].address, ways[i].to, ways[i].chain);
	buf_printf(b, add ? "add element ip q balance_marks { 0x%x : %u }\n" : "delete element ip q balance_marks { 0x%x }\n",
	           RULES_BALANCED | p->number, p->mark);
	static const struct {
		const char *map;
		char letter;
	} counters[] = {{"balance_bytes", 'c'}, {"balance_client_resets", 'r'}, {"balance_target_resets", 't'}};
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		if (add)
			buf_printf(b, "add element ip q %s { 0x%x : \"b%u%c\" }\n", counters[i].map, RULES_BALANCED | p->number,
			           p->number, counters[i].letter);
		else
			buf_printf(b, "delete element ip q %s { 0x%x }\n", counters[i].map, RULES_BALANCED | p->number);
}

void rules_balance(struct buf *b, const struct rules_balance *p, const struct net_balance *m)
{
	for (const char *letter = "nocert"; *letter; letter++)
		buf_printf(b, "add counter ip q b%u%c\n", p->number, *letter);
	buf_printf(b, "add chain ip q b%u\n", p->number);
	rules_balance_targets(b, p, m);
	elements(b, p, true);
}

void rules_remove_balance(struct buf *b, const struct rules_balance *p)
{
	elements(b, p, false);
	buf_printf(b, "flush chain ip q b%u\ndelete chain ip q b%u\n", p->number, p->number);
	for (const char *letter = "nocert"; *letter; letter++)
		buf_printf(b, "delete counter ip q b%u%c\n", p->number, *letter);
}

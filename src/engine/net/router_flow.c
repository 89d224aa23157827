/* Packets of a port by flow, counted by the kernel in sets that the rules fill themselves; nothing of a packet comes to this side.
 * What has passed all groups and ACLs runs through a chain of its own behind them, what was refused through reject_out and
 * reject_in. Both are there only while some port of the router counts flows, so others cost nothing.
 *
 * A port has eight pairs of sets a family, by direction, verdict and whether the protocol has ports: one counts, and its elements'
 * age says when the first packet came; in the other every packet renews its element, whose age says when the last one did. Reading
 * begins a new round of sets in one atomic change and takes the old ones once no packet can be in their rules any more. */
#include "engine/net/flow_read.h"
#include "engine/net/router.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SET_SIZE = 8192, KINDS = 4, TEXT_MAX = 1 << 16, READ_AFTER_US = 20000 };

#define HAVE_PORTS "{ tcp, udp, sctp }"

/* Each family has a table of its own. Bits of thing.flow_families say in which of them a port counts. */
static const struct family {
	const char *table, *address, *source, *destination;
} families[] = {{"ip q", "ipv4_addr", "ip saddr", "ip daddr"}, {"ip6 q", "ipv6_addr", "ip6 saddr", "ip6 daddr"}};
enum { FAMILIES = sizeof(families) / sizeof(families[0]), IPV6 = 1 };

/* Kinds: of direction and verdict. */
static bool kind_out(unsigned kind)
{
	return kind < 2;
}

static bool kind_accepted(unsigned kind)
{
	return kind % 2 == 0;
}

static const char *const hooks[KINDS] = {"flows_out", "rejects_out", "flows_in", "rejects_in"};

static void run(struct router *r, struct buf *b)
{
	char why[400] = "";
	buf_add_char(b, '\0');
	if (b->overflow || nft_run(r->nft, b->p, why, sizeof(why)))
		log_error("%s: flows are not counted: %s", r->id, why);
	buf_clear(b);
}

static void add_hooks(struct buf *b, unsigned family)
{
	const char *t = families[family].table;
	for (unsigned k = 0; k < KINDS; k++)
		buf_printf(b, "add map %s %s { type ifname : verdict; }\n", t, hooks[k]);
	buf_printf(b,
	           "add chain %s flows_out { type filter hook forward priority -7; policy accept; }\n"
	           "add rule %s flows_out iifname vmap @flows_out\n"
	           "add chain %s flows_in { type filter hook forward priority 10; policy accept; }\n"
	           "add rule %s flows_in oifname vmap @flows_in\n"
	           "insert rule %s reject_out iifname vmap @rejects_out\n"
	           "insert rule %s reject_in oifname vmap @rejects_in\n",
	           t, t, t, t, t, t);
	if (family != IPV6)
		buf_printf(b, "add chain ip q flows_to_service { type filter hook input priority 10; policy accept; }\n"
		              "add rule ip q flows_to_service ip daddr 192.0.0.65 iifname vmap @flows_out\n"
		              "add chain ip q flows_of_service { type filter hook output priority 10; policy accept; }\n"
		              "add rule ip q flows_of_service ip saddr 192.0.0.65 oifname vmap @flows_in\n");
}

static void remove_hooks(struct buf *b, unsigned family)
{
	const char *t = families[family].table;
	buf_printf(b,
	           "flush chain %s flows_out\nflush chain %s flows_in\n"
	           "delete chain %s flows_out\ndelete chain %s flows_in\n"
	           "flush chain %s reject_out\nadd rule %s reject_out drop\n"
	           "flush chain %s reject_in\nadd rule %s reject_in drop\n",
	           t, t, t, t, t, t, t, t);
	if (family != IPV6)
		buf_printf(b, "flush chain ip q flows_to_service\nflush chain ip q flows_of_service\n"
		              "delete chain ip q flows_to_service\ndelete chain ip q flows_of_service\n");
	for (unsigned k = 0; k < KINDS; k++)
		buf_printf(b, "delete map %s %s\n", t, hooks[k]);
}

/* The sets of a kind: what counts and what is renewed, of protocols with ports and without. */
static void fill_kind(struct buf *b, const struct family *f, uint32_t port, uint32_t round, unsigned k)
{
	const char *t = f->table, *verdict = kind_accepted(k) ? "accept" : "drop";
	char with[96], without[64];
	snprintf(with, sizeof(with), "meta l4proto . %s . th sport . %s . th dport", f->source, f->destination);
	snprintf(without, sizeof(without), "meta l4proto . %s . %s", f->source, f->destination);
	for (unsigned i = 0; i < 4; i++) {
		const char *service = i < 2 ? " . inet_service" : "";
		buf_printf(b,
		           "add set %s w%u_%u_%u%s { type inet_proto . %s%s . %s%s; size %d; flags dynamic,timeout; "
		           "timeout %ds; }\n",
		           t, port, round, k, (const char *[]){"p", "pl", "n", "nl"}[i], f->address, service, f->address, service,
		           SET_SIZE, FLOW_SET_LIFE_S);
	}
	buf_printf(b, "add chain %s w%u_%u\nflush chain %s w%u_%u\n", t, port, k, t, port, k);
	buf_printf(b,
	           "add rule %s w%u_%u meta l4proto " HAVE_PORTS " add @w%u_%u_%up { %s counter } update @w%u_%u_%upl { %s } %s\n",
	           t, port, k, port, round, k, with, port, round, k, with, verdict);
	buf_printf(b,
	           "add rule %s w%u_%u meta l4proto != " HAVE_PORTS
	           " add @w%u_%u_%un { %s counter } update @w%u_%u_%unl { %s } %s\n",
	           t, port, k, port, round, k, without, port, round, k, without, verdict);
	/* for what the sets have no room any more */
	buf_printf(b, "add rule %s w%u_%u counter name w%u_%u %s\n", t, port, k, port, round, verdict);
}

/* The sets of a round, and the port's chains filled with rules that use them. */
static void fill(struct buf *b, const struct thing *t, uint32_t round)
{
	for (unsigned f = 0; f < FAMILIES; f++) {
		if (!(t->flow_families & 1u << f))
			continue;
		buf_printf(b, "add counter %s w%u_%u\n", families[f].table, t->number, round);
		for (unsigned k = 0; k < KINDS; k++)
			fill_kind(b, &families[f], t->number, round, k);
	}
}

static void begin(struct thing *t, unsigned in)
{
	struct router *r = t->router;
	struct buf b;
	buf_init(&b, TEXT_MAX);
	t->flow_round = 1;
	t->flow_families = in;
	for (unsigned f = 0; f < FAMILIES; f++)
		if ((in & 1u << f) && r->flow_ports[f]++ == 0)
			add_hooks(&b, f);
	fill(&b, t, t->flow_round);
	for (unsigned f = 0; f < FAMILIES; f++)
		for (unsigned k = 0; (in & 1u << f) && k < KINDS; k++)
			buf_printf(&b, "add element %s %s { \"p%u\" : goto w%u_%u }\n", families[f].table, hooks[k], t->number,
			           t->number, k);
	run(r, &b);
	buf_done(&b);
}

static void take_kind(struct thing *t, unsigned f, uint32_t round, unsigned i, struct buf *b, struct flow_table *table)
{
	char counted[40], last[48];
	struct flow_kind kind = {.ipv6 = f == IPV6, .ports = i % 2 == 0, .out = kind_out(i / 2), .accepted = kind_accepted(i / 2)};
	snprintf(counted, sizeof(counted), "w%u_%u_%u%s", t->number, round, i / 2, kind.ports ? "p" : "n");
	snprintf(last, sizeof(last), "%sl", counted);
	int error = router_enter(t->router);
	if (!error) {
		error = flow_read(counted, last, kind, table);
		router_leave(t->router);
	}
	if (error)
		log_error("%s: %s: %s", t->id, counted, strerror(-error));
	buf_printf(b, "delete set %s %s\ndelete set %s %s\n", families[f].table, counted, families[f].table, last);
}

/* Takes the sets of a round, which no rule names any more. */
static void take(struct thing *t, uint32_t round, struct flow_table *table, uint64_t *missed)
{
	struct buf b;
	char counter[40];
	buf_init(&b, TEXT_MAX);
	snprintf(counter, sizeof(counter), "w%u_%u", t->number, round);
	for (unsigned f = 0; f < FAMILIES; f++) {
		if (!(t->flow_families & 1u << f))
			continue;
		for (unsigned i = 0; i < 2 * KINDS; i++)
			take_kind(t, f, round, i, &b, table);
		*missed += nft_counter(t->router->nft, families[f].table, counter);
		buf_printf(&b, "delete counter %s %s\n", families[f].table, counter);
	}
	run(t->router, &b);
	buf_done(&b);
}

static void tell(struct thing *t, struct flow_table *table, uint64_t missed)
{
	net_tell_flows(t->router->net, t->id, table->flows, table->n, missed);
	free(table->flows);
}

static void take_old(void *ctx)
{
	struct thing *t = ctx;
	struct flow_table table = {0};
	uint64_t missed = 0;
	t->flow_timer = NULL;
	take(t, t->flow_old, &table, &missed);
	t->flow_old = 0;
	tell(t, &table, missed);
}

void flow_collect(struct thing *t)
{
	struct buf b;
	if (!t->flow_round || t->flow_old)
		return; /* the answer to the last time comes */
	t->flow_old = t->flow_round++;
	buf_init(&b, TEXT_MAX);
	fill(&b, t, t->flow_round);
	run(t->router, &b);
	buf_done(&b);
	t->flow_timer = loop_add_timer(net_loop(t->router->net), READ_AFTER_US, take_old, t);
}

void flow_end(struct thing *t)
{
	struct router *r = t->router;
	struct flow_table table = {0};
	struct buf b;
	uint64_t missed = 0;
	if (!t->flow_round)
		return;
	buf_init(&b, TEXT_MAX);
	for (unsigned f = 0; f < FAMILIES; f++) {
		const char *table_of = families[f].table;
		if (!(t->flow_families & 1u << f))
			continue;
		for (unsigned k = 0; k < KINDS; k++)
			buf_printf(&b, "delete element %s %s { \"p%u\" }\nflush chain %s w%u_%u\ndelete chain %s w%u_%u\n",
			           table_of, hooks[k], t->number, table_of, t->number, k, table_of, t->number, k);
		if (--r->flow_ports[f] == 0)
			remove_hooks(&b, f);
	}
	run(r, &b);
	buf_done(&b);
	loop_remove_timer(net_loop(r->net), t->flow_timer);
	t->flow_timer = NULL;
	if (t->flow_old)
		take(t, t->flow_old, &table, &missed);
	take(t, t->flow_round, &table, &missed);
	t->flow_old = t->flow_round = 0;
	tell(t, &table, missed);
}

void flow_update(struct thing *t)
{
	const struct net_port *m = &t->message->port;
	bool wanted = m->flows && m->kind != NETWORK_GATEWAY;
	unsigned in = 1u | (t->router->has_ipv6 && m->address6_count ? 1u << IPV6 : 0);
	if (!wanted || (t->flow_round && t->flow_families != in))
		flow_end(t);
	if (wanted && !t->flow_round)
		begin(t, in);
}

void flow_again(struct router *r)
{
	memset(r->flow_ports, 0, sizeof(r->flow_ports));
	list_each (&r->things, struct thing, at, t) {
		bool counted = t->flow_round;
		loop_remove_timer(net_loop(r->net), t->flow_timer);
		t->flow_timer = NULL;
		t->flow_old = t->flow_round = 0;
		if (counted && t->live)
			begin(t, t->flow_families);
	}
}

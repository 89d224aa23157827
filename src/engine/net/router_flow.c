/* Packets of a port by flow, counted by the kernel in sets that the rules fill themselves; nothing of a packet comes to this side.
 * What has passed all groups and ACLs runs through a chain of its own behind them, what was refused through reject_out and
 * reject_in. Both are there only while some port of the router counts flows, so others cost nothing.
 *
 * A port has eight pairs of sets, by direction, verdict and whether the protocol has ports: one counts, and its elements' age says
 * when the first packet came; in the other every packet renews its element, whose age says when the last one did. Reading begins a
 * new round of sets in one atomic change and takes the old ones once no packet can be in their rules any more. */
#include "engine/net/flow_read.h"
#include "engine/net/router.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SET_SIZE = 8192, KINDS = 4, TEXT_MAX = 1 << 16, READ_AFTER_US = 20000 };

#define WITH_PORTS "meta l4proto . ip saddr . th sport . ip daddr . th dport"
#define WITHOUT_PORTS "meta l4proto . ip saddr . ip daddr"
#define HAVE_PORTS "{ tcp, udp, sctp }"

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

static void add_hooks(struct buf *b)
{
	for (unsigned k = 0; k < KINDS; k++)
		buf_printf(b, "add map ip q %s { type ifname : verdict; }\n", hooks[k]);
	buf_printf(b, "add chain ip q flows_out { type filter hook forward priority -7; policy accept; }\n"
	              "add rule ip q flows_out iifname vmap @flows_out\n"
	              "add chain ip q flows_in { type filter hook forward priority 10; policy accept; }\n"
	              "add rule ip q flows_in oifname vmap @flows_in\n"
	              "add chain ip q flows_to_service { type filter hook input priority 10; policy accept; }\n"
	              "add rule ip q flows_to_service ip daddr 192.0.0.65 iifname vmap @flows_out\n"
	              "add chain ip q flows_of_service { type filter hook output priority 10; policy accept; }\n"
	              "add rule ip q flows_of_service ip saddr 192.0.0.65 oifname vmap @flows_in\n"
	              "insert rule ip q reject_out iifname vmap @rejects_out\n"
	              "insert rule ip q reject_in oifname vmap @rejects_in\n");
}

static void remove_hooks(struct buf *b)
{
	buf_printf(b, "flush chain ip q flows_out\nflush chain ip q flows_in\n"
	              "delete chain ip q flows_out\ndelete chain ip q flows_in\n"
	              "flush chain ip q flows_to_service\nflush chain ip q flows_of_service\n"
	              "delete chain ip q flows_to_service\ndelete chain ip q flows_of_service\n"
	              "flush chain ip q reject_out\nadd rule ip q reject_out drop\n"
	              "flush chain ip q reject_in\nadd rule ip q reject_in drop\n");
	for (unsigned k = 0; k < KINDS; k++)
		buf_printf(b, "delete map ip q %s\n", hooks[k]);
}

/* The sets of a round, and the port's chains filled with rules that use them. */
static void fill(struct buf *b, uint32_t port, uint32_t round)
{
	buf_printf(b, "add counter ip q w%u_%u\n", port, round);
	for (unsigned k = 0; k < KINDS; k++) {
		const char *verdict = kind_accepted(k) ? "accept" : "drop";
		for (unsigned i = 0; i < 4; i++)
			buf_printf(b,
			           "add set ip q w%u_%u_%u%s { type inet_proto . ipv4_addr%s . ipv4_addr%s; size %d; "
			           "flags dynamic,timeout; timeout %ds; }\n",
			           port, round, k, (const char *[]){"p", "pl", "n", "nl"}[i], i < 2 ? " . inet_service" : "",
			           i < 2 ? " . inet_service" : "", SET_SIZE, FLOW_SET_LIFE_S);
		buf_printf(b, "add chain ip q w%u_%u\nflush chain ip q w%u_%u\n", port, k, port, k);
		buf_printf(b,
		           "add rule ip q w%u_%u meta l4proto " HAVE_PORTS " add @w%u_%u_%up { " WITH_PORTS " counter } "
		           "update @w%u_%u_%upl { " WITH_PORTS " } %s\n",
		           port, k, port, round, k, port, round, k, verdict);
		buf_printf(b,
		           "add rule ip q w%u_%u meta l4proto != " HAVE_PORTS " add @w%u_%u_%un { " WITHOUT_PORTS " counter } "
		           "update @w%u_%u_%unl { " WITHOUT_PORTS " } %s\n",
		           port, k, port, round, k, port, round, k, verdict);
		/* for what the sets have no room any more */
		buf_printf(b, "add rule ip q w%u_%u counter name w%u_%u %s\n", port, k, port, round, verdict);
	}
}

static void begin(struct thing *t)
{
	struct router *r = t->router;
	struct buf b;
	buf_init(&b, TEXT_MAX);
	if (r->flow_ports++ == 0)
		add_hooks(&b);
	t->flow_round = 1;
	fill(&b, t->number, t->flow_round);
	for (unsigned k = 0; k < KINDS; k++)
		buf_printf(&b, "add element ip q %s { \"p%u\" : goto w%u_%u }\n", hooks[k], t->number, t->number, k);
	run(r, &b);
	buf_done(&b);
}

/* Takes the sets of a round, which no rule names any more. */
static void take(struct thing *t, uint32_t round, struct flow_table *table, uint64_t *missed)
{
	struct router *r = t->router;
	struct buf b;
	char counted[40], last[48];
	buf_init(&b, TEXT_MAX);
	for (unsigned i = 0; i < 2 * KINDS; i++) {
		bool ports = i % 2 == 0;
		snprintf(counted, sizeof(counted), "w%u_%u_%u%s", t->number, round, i / 2, ports ? "p" : "n");
		snprintf(last, sizeof(last), "%sl", counted);
		int error = router_enter(r);
		if (!error) {
			error = flow_read(counted, last, ports, kind_out(i / 2), kind_accepted(i / 2), table);
			router_leave(r);
		}
		if (error)
			log_error("%s: %s: %s", t->id, counted, strerror(-error));
		buf_printf(&b, "delete set ip q %s\ndelete set ip q %s\n", counted, last);
	}
	snprintf(counted, sizeof(counted), "w%u_%u", t->number, round);
	*missed += nft_counter(r->nft, "ip q", counted);
	buf_printf(&b, "delete counter ip q %s\n", counted);
	run(r, &b);
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
	fill(&b, t->number, t->flow_round);
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
	for (unsigned k = 0; k < KINDS; k++)
		buf_printf(&b, "delete element ip q %s { \"p%u\" }\nflush chain ip q w%u_%u\ndelete chain ip q w%u_%u\n", hooks[k],
		           t->number, t->number, k, t->number, k);
	if (--r->flow_ports == 0)
		remove_hooks(&b);
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
	bool wanted = t->message->port.flows && t->message->port.kind != NETWORK_GATEWAY;
	if (wanted && !t->flow_round)
		begin(t);
	if (!wanted)
		flow_end(t);
}

void flow_again(struct router *r)
{
	r->flow_ports = 0;
	list_each (&r->things, struct thing, at, t) {
		bool counted = t->flow_round;
		loop_remove_timer(net_loop(r->net), t->flow_timer);
		t->flow_timer = NULL;
		t->flow_old = t->flow_round = 0;
		if (counted && t->live)
			begin(t);
	}
}

/* Balances of a router: their rules are made when their port is there, and made anew when its addresses change. Flows are cut by
 * forgetting them: what comes of one then is no known flow's, and is answered by the balancer's own node with a reset. */
#include "engine/net/conntrack.h"
#include "engine/net/router.h"
#include "engine/net/rules_balance.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

static uint32_t flow_mark(const struct thing *t)
{
	return RULES_BALANCED | t->number;
}

static void forget(const struct thing *t, uint32_t address, uint16_t port)
{
	int error = router_enter(t->router);
	if (!error) {
		error = conntrack_forget(flow_mark(t), address, port);
		router_leave(t->router);
	}
	if (error)
		log_error("%s: flows are not cut: %s", t->id, strerror(-error));
}

/* As its port is now; false: that is not there. */
static bool describe(const struct thing *t, struct rules_balance *ret)
{
	const struct net_balance *m = &t->message->balance;
	const struct thing *port = thing_find(t->router, m->port);
	if (!port || port->verb != NET_PORT || !port->live || port->message->port.kind == NETWORK_GATEWAY)
		return false;
	const struct net_address *a = &port->message->port.addresses[0];
	*ret = (struct rules_balance){.number = t->number,
	                              .port = port->number,
	                              .private = a->private,
	                              .public = a->public,
	                              .mark = subnet_mark(port->subnet_number) + 1,
	                              .listens = m->listens,
	                              .protocol = m->protocol};
	return true;
}

void balance_apply(struct thing *t)
{
	struct router *r = t->router;
	struct rules_balance now;
	bool there = describe(t, &now);
	if (there && t->live && memcmp(&now, &t->balance, sizeof(now)) == 0) {
		if (t->shut)
			rules_balance_door(&r->batch, &now, true);
		t->shut = false;
		rules_balance_targets(&r->batch, &now, &t->message->balance);
		return;
	}
	balance_drop(t);
	if (!there)
		return;
	if (r->balances++ == 0)
		rules_balances_begin(&r->batch);
	t->balance = now;
	t->live = true;
	rules_balance(&r->batch, &now, &t->message->balance);
	rules_balance_door(&r->batch, &now, true);
}

void balance_drop(struct thing *t)
{
	struct router *r = t->router;
	if (!t->live)
		return;
	t->live = false;
	if (!t->shut)
		rules_balance_door(&r->batch, &t->balance, false);
	t->shut = false;
	rules_remove_balance(&r->batch, &t->balance);
	if (--r->balances == 0)
		rules_balances_end(&r->batch);
}

void balance_end(struct thing *t)
{
	bool live = t->live;
	balance_drop(t);
	if (!live)
		return;
	router_flush(t->router);
	forget(t, 0, 0);
}

static bool has(const struct net_balance *m, const struct net_balance_target *like, bool uncut)
{
	for (size_t i = 0; i < m->h.value; i++)
		if (m->targets[i].address == like->address && m->targets[i].port == like->port &&
		    !(uncut && m->targets[i].state == NETWORK_CUT))
			return true;
	return false;
}

void balance_cut(struct thing *t, const struct net_balance *had)
{
	const struct net_balance *m = &t->message->balance;
	if (!t->live)
		return;
	router_flush(t->router); /* no new flow may come to whom is cut off */
	for (size_t i = 0; i < m->h.value; i++)
		if (m->targets[i].state == NETWORK_CUT && !has(m, &m->targets[i], true))
			forget(t, m->targets[i].address, m->targets[i].port);
	for (size_t i = 0; had && m->cut_gone && i < had->h.value; i++)
		if (!has(m, &had->targets[i], false))
			forget(t, had->targets[i].address, had->targets[i].port);
}

void balances_follow(struct router *r, const char *port)
{
	list_each (&r->things, struct thing, at, t)
		if (t->verb == NET_BALANCE && t->message && strcmp(t->message->balance.port, port) == 0)
			balance_apply(t);
}

void balances_shut(struct router *r, const char *port)
{
	list_each (&r->things, struct thing, at, t)
		if (t->verb == NET_BALANCE && t->live && !t->shut && strcmp(t->message->balance.port, port) == 0) {
			rules_balance_door(&r->batch, &t->balance, false);
			t->shut = true;
		}
}

void balances_settle(struct router *r, const char *port, bool all)
{
	list_each (&r->things, struct thing, at, t)
		if (t->verb == NET_BALANCE && t->message && (all || !t->seen) && strcmp(t->message->balance.port, port) == 0)
			thing_remove(t);
}

void balances_gather(struct router *r)
{
	bool any = false;
	list_each (&r->things, struct thing, at, t)
		if (t->verb == NET_BALANCE && t->live) {
			if (!any)
				rules_balances_begin(&r->batch);
			any = true;
			rules_balance(&r->batch, &t->balance, &t->message->balance);
			rules_balance_door(&r->batch, &t->balance, true);
			t->shut = false;
		}
}

bool balances_forget(struct router *r)
{
	bool any = false;
	list_each (&r->things, struct thing, at, t)
		if (t->verb == NET_BALANCE && t->live) {
			log_error("%s: this kernel cannot balance flows", t->id);
			t->live = t->shut = false;
			any = true;
		}
	r->balances = 0;
	return any;
}

static uint64_t counter(const struct thing *t, char letter, bool bytes)
{
	char name[16];
	snprintf(name, sizeof(name), "b%u%c", t->number, letter);
	return bytes ? nft_counter_bytes(t->router->nft, "ip q", name) : nft_counter(t->router->nft, "ip q", name);
}

int balance_stats(const struct thing *t, struct network_balance_stats *ret)
{
	*ret = (struct network_balance_stats){0};
	if (!t->live)
		return 0;
	int error = router_enter(t->router);
	struct conntrack_counts now = {0};
	if (!error) {
		error = conntrack_count(flow_mark(t), 0, &now);
		router_leave(t->router);
	}
	ret->active = now.flows;
	ret->flows = counter(t, 'n', false);
	ret->open_flows = counter(t, 'o', false);
	ret->packets = counter(t, 'c', false);
	ret->bytes = counter(t, 'c', true);
	ret->refused = counter(t, 'e', false);
	ret->client_resets = counter(t, 'r', false);
	ret->target_resets = counter(t, 't', false);
	return error;
}

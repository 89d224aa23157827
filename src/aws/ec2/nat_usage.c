/* What NAT gateways have carried, for the bill: the router counts it, and once a minute what has come together is handed to the
 * meter. A gateway is known from when the network has it in place, after a restart of the role too; what was counted before such a
 * restart and not handed on, and in the last minute of a gateway, costs nothing. */
#include "aws/ec2/nat_usage.h"

#include "aws/ec2/desk.h"
#include "aws/ec2/vpc.h"
#include "core/meter.h"

#include <stdlib.h>
#include <string.h>

struct gate {
	struct list node;
	struct arena arena;
	struct str account, region, id, interface;
	uint64_t bytes;
	bool known; /* bytes are what was handed on last */
};

void nat_usage_note(struct desk *d, const struct ec2_scope *s, const struct ec2_nat_gateway *nat, bool is_new)
{
	list_each (&d->gates, struct gate, node, old)
		if (str_eq(old->id, nat->nat_gateway_id) && str_eq(old->account, s->account) && str_eq(old->region, s->region))
			return;
	struct gate *g = calloc(1, sizeof(*g));
	if (!g)
		abort();
	g->known = is_new;
	g->account = arena_dup(&g->arena, s->account);
	g->region = arena_dup(&g->arena, s->region);
	g->id = arena_dup(&g->arena, nat->nat_gateway_id);
	g->interface = arena_dup(&g->arena, nat->nat_gateway_addresses.v[0].network_interface_id);
	list_push(&d->gates, &g->node);
}

static void drop(struct gate *g)
{
	list_remove(&g->node);
	arena_done(&g->arena);
	free(g);
}

void nat_usage_count(struct desk *d, struct store_txn *t, struct arena *a)
{
	list_each (&d->gates, struct gate, node, g) {
		struct ec2_scope s = {.txn = t, .arena = a, .account = g->account, .region = g->region};
		struct ec2_nat_gateway nat;
		struct network_port_stats stats;
		if (!ec2_find(&s, &ec2_kind_nat, g->id, &nat) || str_is(nat.state, "deleted")) {
			drop(g);
			continue;
		}
		if (!d->ec2->networks || !network_port_stats(d->ec2->networks, arena_dupz(a, g->interface), &stats))
			continue; /* asked for now, known the next time */
		/* a counter that has become less has begun anew */
		uint64_t more = stats.tx_bytes >= g->bytes ? stats.tx_bytes - g->bytes : stats.tx_bytes;
		if (g->known)
			meter_count(d->cloud->meter, g->account, g->region, S("NatGateway-Bytes"), (int64_t)more);
		g->bytes = stats.tx_bytes;
		g->known = true;
	}
}

void nat_usage_forget(struct desk *d)
{
	list_each (&d->gates, struct gate, node, g)
		drop(g);
}

/* What NAT gateways have carried, for the bill and for AWS/NATGateway: the router counts it, and once a minute what has come
 * together is handed to the meter and to metrics. A gateway is known from when the network has it in place, after a restart of the
 * role too; what was counted before such a restart and not handed on, and in the last minute of a gateway, costs nothing. */
#include "aws/ec2/nat_usage.h"

#include "aws/ec2/desk.h"
#include "aws/ec2/vpc.h"
#include "base/clock.h"
#include "core/meter.h"
#include "engine/metrics/metrics.h"
#include "engine/net/network.h"

#include <stdlib.h>
#include <string.h>

struct gate {
	struct list node;
	struct arena arena;
	struct str account, region, id, interface;
	struct network_port_stats seen;
	bool known; /* that was handed on */
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

/* A counter that has become less has begun anew. */
static uint64_t grown(uint64_t now, uint64_t before)
{
	return now >= before ? now - before : now;
}

/* All that comes in on one side goes out on the other. */
static void publish(struct desk *d, const struct gate *g, const struct network_port_stats *more)
{
	const struct metric_dimension by = {S("NatGatewayId"), g->id};
	const struct {
		const char *name, *unit;
		uint64_t value;
	} all[] = {{"BytesInFromSource", "Bytes", more->tx_bytes},          {"BytesOutToDestination", "Bytes", more->tx_bytes},
	           {"BytesInFromDestination", "Bytes", more->rx_bytes},     {"BytesOutToSource", "Bytes", more->rx_bytes},
	           {"PacketsInFromSource", "Count", more->tx_packets},      {"PacketsOutToDestination", "Count", more->tx_packets},
	           {"PacketsInFromDestination", "Count", more->rx_packets}, {"PacketsOutToSource", "Count", more->rx_packets}};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		const struct metric m = {g->account, g->region, S("AWS/NATGateway"), str_from(all[i].name), str_from(all[i].unit),
		                         &by,        1};
		metrics_add(d->cloud->metrics, &m, (double)all[i].value);
	}
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
		const struct network_port_stats more = {.rx_bytes = grown(stats.rx_bytes, g->seen.rx_bytes),
		                                        .tx_bytes = grown(stats.tx_bytes, g->seen.tx_bytes),
		                                        .rx_packets = grown(stats.rx_packets, g->seen.rx_packets),
		                                        .tx_packets = grown(stats.tx_packets, g->seen.tx_packets)};
		if (g->known) {
			meter_count(d->cloud->meter, g->account, g->region, S("NatGateway-Bytes"),
			            (int64_t)(more.rx_bytes + more.tx_bytes));
			publish(d, g, &more);
		}
		g->seen = stats;
		g->known = true;
	}
}

void nat_usage_forget(struct desk *d)
{
	list_each (&d->gates, struct gate, node, g)
		drop(g);
}

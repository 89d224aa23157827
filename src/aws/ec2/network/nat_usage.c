/* What NAT gateways have carried, for the bill and for AWS/NATGateway: the router counts it, and once a minute what has come
 * together is handed to the meter and to metrics. Every ten seconds it is asked, because a minute's peaks are the greatest of
 * its tens of seconds. A gateway is known from when the network has it in place, after a restart of the
 * role too; what was counted before such a restart and not handed on, and in the last minute of a gateway, costs nothing. */
#include "aws/ec2/network/nat_usage.h"

#include "aws/ec2/desk.h"
#include "aws/ec2/network/vpc.h"
#include "base/clock.h"
#include "core/meter.h"
#include "engine/metrics/metrics.h"
#include "engine/net/network.h"

#include <stdlib.h>
#include <string.h>

enum { LOOK_US = 10 * 1000000 };

struct gate {
	struct list node;
	struct arena arena;
	struct str account, region, id, interface;
	struct network_port_stats seen;
	bool known;                     /* that was handed on */
	struct network_port_stats last; /* look, if there was one */
	int64_t looked_us;
	double peak_bytes, peak_packets; /* a second, of this minute */
	uint64_t most_active;
};

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

/* What comes in on one side goes out on the other, but for what the gateway itself has dropped. */
static void publish(struct desk *d, const struct gate *g, const struct network_port_stats *more)
{
	const struct metric_dimension by = {S("NatGatewayId"), g->id};
	const struct {
		const char *name, *unit;
		double value;
	} all[] = {{"BytesInFromSource", "Bytes", (double)more->tx_bytes},
	           {"BytesOutToDestination", "Bytes", (double)more->tx_bytes},
	           {"BytesInFromDestination", "Bytes", (double)more->rx_bytes},
	           {"BytesOutToSource", "Bytes", (double)more->rx_bytes},
	           {"PacketsInFromSource", "Count", (double)more->tx_packets},
	           {"PacketsOutToDestination", "Count", (double)more->tx_packets - (double)more->drops},
	           {"PacketsInFromDestination", "Count", (double)more->rx_packets},
	           {"PacketsOutToSource", "Count", (double)more->rx_packets},
	           {"PacketsDropCount", "Count", (double)more->drops},
	           {"ErrorPortAllocation", "Count", (double)more->gate.unported},
	           {"ConnectionAttemptCount", "Count", (double)more->gate.tried},
	           {"ConnectionEstablishedCount", "Count", (double)more->gate.met},
	           {"IdleTimeoutCount", "Count", (double)more->gate.idle},
	           {"ActiveConnectionCount", "Count", (double)more->gate.active},
	           {"PeakBytesPerSecond", "Count", g->peak_bytes},
	           {"PeakPacketsPerSecond", "Count", g->peak_packets}};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		const struct metric m = {g->account, g->region, S("AWS/NATGateway"), str_from(all[i].name), str_from(all[i].unit),
		                         &by,        1};
		metrics_add(d->cloud->metrics, &m, all[i].value > 0 ? all[i].value : 0);
	}
}

static struct network_port_stats difference(const struct network_port_stats *now, const struct network_port_stats *then)
{
	return (struct network_port_stats){.rx_bytes = grown(now->rx_bytes, then->rx_bytes),
	                                   .tx_bytes = grown(now->tx_bytes, then->tx_bytes),
	                                   .rx_packets = grown(now->rx_packets, then->rx_packets),
	                                   .tx_packets = grown(now->tx_packets, then->tx_packets),
	                                   .drops = grown(now->drops, then->drops),
	                                   .gate = {.tried = grown(now->gate.tried, then->gate.tried),
	                                            .met = grown(now->gate.met, then->gate.met),
	                                            .unported = grown(now->gate.unported, then->gate.unported),
	                                            .idle = grown(now->gate.idle, then->gate.idle)}};
}

static bool ask(struct desk *d, struct arena *a, const struct gate *g, struct network_port_stats *ret)
{
	return d->ec2->networks && network_port_stats(d->ec2->networks, arena_dupz(a, g->interface), ret);
}

/* What the network answers is what it was asked the last time, ten seconds ago too. */
static void look(void *ctx)
{
	struct desk *d = ctx;
	struct arena CLEAN_ARENA a = {0};
	int64_t now_us = clock_mono_us();
	d->gates_timer = NULL;
	list_each (&d->gates, struct gate, node, g) {
		struct network_port_stats now;
		if (!ask(d, &a, g, &now))
			continue;
		double passed_s = (double)(now_us - g->looked_us) / 1e6;
		if (g->looked_us && passed_s >= 1) {
			struct network_port_stats more = difference(&now, &g->last);
			double bytes = (double)(more.rx_bytes + more.tx_bytes) / passed_s,
			       packets = (double)(more.rx_packets + more.tx_packets) / passed_s;
			g->peak_bytes = bytes > g->peak_bytes ? bytes : g->peak_bytes;
			g->peak_packets = packets > g->peak_packets ? packets : g->peak_packets;
		}
		g->most_active = now.gate.active > g->most_active ? now.gate.active : g->most_active;
		g->last = now;
		g->looked_us = now_us;
	}
	if (!list_empty(&d->gates))
		d->gates_timer = loop_add_clock_timer(d->cloud->loop, LOOK_US, look, d);
}

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
	if (!d->gates_timer)
		d->gates_timer = loop_add_clock_timer(d->cloud->loop, LOOK_US, look, d);
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
		if (!ask(d, a, g, &stats))
			continue; /* asked for now, known the next time */
		struct network_port_stats more = difference(&stats, &g->seen);
		more.gate.active = stats.gate.active > g->most_active ? stats.gate.active : g->most_active;
		if (g->known) {
			meter_count_of(d->cloud->meter, g->account, g->region, g->id, S("NatGateway-Bytes"),
			               (int64_t)(more.rx_bytes + more.tx_bytes));
			publish(d, g, &more);
		}
		g->seen = stats;
		g->known = true;
		g->peak_bytes = g->peak_packets = 0;
		g->most_active = 0;
	}
}

void nat_usage_forget(struct desk *d)
{
	loop_remove_timer(d->cloud->loop, d->gates_timer);
	d->gates_timer = NULL;
	list_each (&d->gates, struct gate, node, g)
		drop(g);
}

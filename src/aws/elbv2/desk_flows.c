/* Network balancers: flows that the VPC's router leads for a node are handed on to it, and counted together with what the node's
 * own program carries, by protocol. */
#include "desk.h"

#include "aws/ec2/ec2.h"
#include "base/clock.h"
#include "core/meter.h"
#include "engine/metrics/metrics.h"

#include <stdlib.h>
#include <string.h>

enum { TCP = 6, SECOND_US = 1000000 };
static const char *const suffixes[ELB_FLOW_KINDS] = {"_TCP", "_TLS", "_UDP"};

_Static_assert((int)LB_FLOW_SERVES == (int)NETWORK_SERVES && (int)LB_FLOW_KEEPS == (int)NETWORK_KEEPS &&
                       (int)LB_FLOW_CUT == (int)NETWORK_CUT,
               "both sides have the same states");

/* --- to the router */

static struct elb_led *led(struct elb_item_node *n, uint8_t protocol, uint16_t port)
{
	for (unsigned k = 0; k < n->led_count; k++)
		if (n->led[k].protocol == protocol && n->led[k].port == port)
			return &n->led[k];
	return NULL;
}

static void leave(struct elb_item *i, struct elb_item_node *n, const struct lb_flow *flows, size_t count)
{
	for (unsigned k = n->led_count; k-- > 0;) {
		bool wanted = false;
		for (size_t f = 0; f < count && !wanted; f++)
			wanted = flows[f].protocol == n->led[k].protocol && flows[f].port == n->led[k].port;
		if (wanted)
			continue;
		ec2_lent_unbalance(i->desk->cloud, n->interface, n->led[k].protocol, n->led[k].port);
		n->led[k] = n->led[--n->led_count];
	}
}

void elb_flows_lead(struct elb_item *i, struct elb_item_node *n, const struct lb_flow *flows, size_t count)
{
	struct arena CLEAN_ARENA a = {0};
	leave(i, n, flows, count);
	for (size_t f = 0; f < count; f++) {
		const struct lb_flow *from = &flows[f];
		struct network_balance_target *targets = arena_array(&a, from->target_count + 1, sizeof(*targets));
		for (size_t t = 0; t < from->target_count; t++)
			targets[t] =
			        (struct network_balance_target){.address = from->targets[t].address,
			                                        .weight = from->targets[t].weight ? from->targets[t].weight : 1,
			                                        .port = from->targets[t].port,
			                                        .state = (enum network_balance_state)from->targets[t].state};
		if (!led(n, from->protocol, from->port)) {
			if (n->led_count == ELB_LED_MAX)
				continue;
			n->led[n->led_count++] = (struct elb_led){.protocol = from->protocol, .port = from->port};
		}
		ec2_lent_balance(i->desk->cloud, &(struct network_balance){.vpc = arena_dupz(&a, i->vpc),
		                                                           .port = n->interface,
		                                                           .protocol = from->protocol,
		                                                           .listens = from->port,
		                                                           .by_source = from->by_source,
		                                                           .cut_gone = from->cut_gone,
		                                                           .open = from->open,
		                                                           .idle_s = from->idle_s,
		                                                           .others = from->others,
		                                                           .targets = targets,
		                                                           .target_count = from->target_count});
	}
	ec2_lent_balances_settled(i->desk->cloud, n->interface);
}

/* --- counting */

struct sums {
	struct elb_carried of[ELB_FLOW_KINDS];
	uint64_t packets, client_resets, target_resets, elb_resets, open, refused, refused_tcp;
};

/* What has come since the last time; after a start of whoever counts, all that it has. */
static uint64_t grown(uint64_t now, uint64_t before)
{
	return now >= before ? now - before : now;
}

static void add_program(const struct elb_item_node *n, const struct lb_counters *now, struct sums *ret)
{
	static const struct lb_counters zero;
	const struct lb_counters *was = &n->counted;
	bool known = n->counts || n->fresh;
	if (now->connections < was->connections || now->bytes_in < was->bytes_in)
		was = &zero; /* it began anew */
	uint64_t tls = now->tls_connections - was->tls_connections, tls_bytes = now->tls_bytes - was->tls_bytes;
	ret->of[ELB_FLOWS_TLS].active += now->tls_active;
	ret->of[ELB_FLOWS_TCP].active += now->active_connections - now->tls_active;
	if (!known)
		return;
	ret->of[ELB_FLOWS_TLS].flows += tls;
	ret->of[ELB_FLOWS_TLS].bytes += tls_bytes;
	ret->of[ELB_FLOWS_TCP].flows += now->connections - was->connections - tls;
	ret->of[ELB_FLOWS_TCP].bytes += now->bytes_in + now->bytes_out - was->bytes_in - was->bytes_out - tls_bytes;
}

static void add_router(const struct elb_item *i, struct elb_item_node *n, struct sums *ret)
{
	for (unsigned k = 0; k < n->led_count; k++) {
		struct elb_led *l = &n->led[k];
		struct network_balance_stats now = {0}, was = l->counted;
		if (!ec2_lent_balance_stats(i->desk->cloud, n->interface, l->protocol, l->port, &now))
			continue;
		struct elb_carried *of = &ret->of[l->protocol == TCP ? ELB_FLOWS_TCP : ELB_FLOWS_UDP];
		bool known = l->counts || n->fresh;
		of->active += now.active;
		l->counted = now;
		l->counts = true;
		if (!known)
			continue;
		of->flows += grown(now.flows, was.flows);
		of->bytes += grown(now.bytes, was.bytes);
		ret->packets += grown(now.packets, was.packets);
		ret->client_resets += grown(now.client_resets, was.client_resets);
		ret->target_resets += grown(now.target_resets, was.target_resets);
		uint64_t refused = grown(now.refused, was.refused);
		ret->open += grown(now.open_flows, was.open_flows);
		ret->refused += refused;
		ret->refused_tcp += l->protocol == TCP ? refused : 0;
		ret->elb_resets += l->protocol == TCP ? refused : 0;
	}
}

/* Nothing is said of what did not happen, but for what AWS always says. */
static void say(const struct elb_place *p, const char *name, const char *suffix, const char *unit, uint64_t value)
{
	struct arena CLEAN_ARENA a = {0};
	const struct metric_set set = metric_sample((double)value);
	if (value)
		elb_metric_put(p, ARENA_CAT(&a, str_from(name), str_from(suffix)).p, unit, &set);
}

static void say_always(const struct elb_place *p, const char *name, const char *unit, uint64_t value)
{
	const struct metric_set set = metric_sample((double)value);
	elb_metric_put(p, name, unit, &set);
}

/* What groups of the balancer have refused: flows to a node, and those that it would begin itself. */
static void say_refusals(const struct elb_place *p, struct elb_item_node *n)
{
	static const char *const kinds[NETWORK_REFUSALS] = {"ICMP", "TCP", "UDP"};
	struct network_port_stats now;
	if (!ec2_lent_port_stats(p->item->desk->cloud, n->interface, &now))
		return;
	for (int out = 0; out < 2 && (n->refuses || n->fresh); out++)
		for (int k = 0; k < NETWORK_REFUSALS; k++)
			say(p, out ? "SecurityGroupBlockedFlowCount_Outbound_" : "SecurityGroupBlockedFlowCount_Inbound_", kinds[k],
			    "Count", grown(now.refused[out][k], n->refused[out][k]));
	memcpy(n->refused, now.refused, sizeof(n->refused));
	n->refuses = true;
}

void elb_flows_count(struct elb_item *i, struct elb_item_node *n, const struct lb_counters *now)
{
	const struct elb_place p = {.item = i, .zone = n->zone};
	struct sums s = {0};
	struct elb_carried all = {0};
	bool known = n->counts || n->fresh, anew = now->connections < n->counted.connections;
	uint64_t failures = anew ? now->tls_failures : grown(now->tls_failures, n->counted.tls_failures);
	add_program(n, now, &s);
	add_router(i, n, &s);
	for (unsigned k = 0; k < ELB_FLOW_KINDS; k++) {
		const struct elb_carried *of = &s.of[k];
		all.active += of->active;
		all.flows += of->flows;
		all.bytes += of->bytes;
		say(&p, "ActiveFlowCount", suffixes[k], "Count", of->active);
		say(&p, "NewFlowCount", suffixes[k], "Count", of->flows);
		say(&p, "ProcessedBytes", suffixes[k], "Bytes", of->bytes);
		i->used[k].flows += of->flows;
		i->used[k].bytes += of->bytes;
		n->active[k] = of->active;
	}
	say_always(&p, "ActiveFlowCount", "Count", all.active);
	say_always(&p, "NewFlowCount", "Count", all.flows);
	say_always(&p, "ProcessedBytes", "Bytes", all.bytes);
	say(&p, "ClientTLSNegotiationErrorCount", "", "Count", known ? failures : 0);
	say_always(&p, "ProcessedPackets", "Count", s.packets);
	say_always(&p, "TCP_Client_Reset_Count", "Count", s.client_resets);
	say_always(&p, "TCP_Target_Reset_Count", "Count", s.target_resets);
	say_always(&p, "TCP_ELB_Reset_Count", "Count", s.elb_resets);
	say_always(&p, "PortAllocationErrorCount", "Count", known ? grown(now->portless, n->counted.portless) : 0);
	say_always(&p, "RejectedFlowCount", "Count", s.refused);
	say(&p, "RejectedFlowCount_TCP", "", "Count", s.refused_tcp);
	say(&p, "UnhealthyRoutingFlowCount", "", "Count", s.open);
	say_refusals(&p, n);
	/* The greatest of a minute's is its peak. */
	int64_t now_us = clock_mono_us();
	if (n->counted_us && now_us - n->counted_us >= SECOND_US) {
		uint64_t took_us = (uint64_t)(now_us - n->counted_us);
		say_always(&p, "PeakPacketsPerSecond", "Count", s.packets * SECOND_US / took_us);
		say(&p, "PeakBytesPerSecond", "", "Bytes/Second", all.bytes * SECOND_US / took_us);
	}
	n->counted_us = now_us;
	n->counted = *now;
	n->counts = true;
}

/* Capacity units of the last minute: of each protocol what is used most, and all of them together. */
double elb_flows_units(struct elb_item *i)
{
	static const struct {
		double flows, active;
	} unit[ELB_FLOW_KINDS] = {{800, 100000}, {50, 3000}, {400, 50000}};
	const struct elb_place p = {.item = i};
	double sum = 0;
	for (unsigned k = 0; k < ELB_FLOW_KINDS; k++) {
		struct arena CLEAN_ARENA a = {0};
		uint64_t active = 0;
		for (unsigned n = 0; n < i->node_count; n++)
			active += i->nodes[n].active[k];
		double units = (double)i->used[k].flows / 60 / unit[k].flows, open = (double)active / unit[k].active,
		       carried = (double)i->used[k].bytes * 60 / 1e9;
		units = open > units ? open : units;
		units = carried > units ? carried : units;
		i->used[k] = (struct elb_carried){0};
		const struct metric_set set = metric_sample(units);
		if (units > 0)
			elb_metric_put(&p, ARENA_CAT(&a, S("ConsumedLCUs"), str_from(suffixes[k])).p, "Count", &set);
		sum += units;
	}
	return sum;
}

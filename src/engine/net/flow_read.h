/* What the kernel has counted in a set of rules_flow's making, by netlink. Used by router_flow.c alone. */
#pragma once
#include "engine/net/network.h"

/* Flows as they are read, one after the other; the owner frees flows. */
struct flow_table {
	struct network_flow *flows;
	size_t n, cap;
};

/* Sets' elements last so long: what is left of it says how old they are. */
#define FLOW_SET_LIFE_S 86400

/* Appends what the set `counted` holds, with the time of each flow's last packet from `last`, a set of the same keys whose elements
 * are renewed by every packet. Keys are protocol, sender, receiver - with ports behind the two addresses when `ports`. Of the
 * calling thread's network namespace. 0 or negative errno. */
struct flow_kind {
	bool ipv6, ports, out, accepted;
};
int flow_read(const char *counted, const char *last, struct flow_kind kind, struct flow_table *t);

/* The packet rules of a VPC's router as text for libnftables, made of checked structs. Names are numbers that the caller gave:
 * p5 is a port's link, o5 and i5 its chains for what leaves and enters the instance; g7o, g7i, m7 a group's chains and its members'
 * addresses; a3o, a3i an ACL's; s2o, s2i, t2 a subnet's and the links of its ports. Each function appends commands that are one
 * part of a batch; a change of one thing touches only its own chains and sets.
 *
 * The way of a packet: `source` (who may send it) - routing - `deliver` (who may get it) - `rate` - `egress` (groups of the sender)
 * - `acl_out`, `acl_in` - `ingress` (groups of the receiver). Answers of tracked flows pass the groups; everything else is asked
 * for every packet, so that a change acts at once. */
#pragma once
#include "base/buf.h"
#include "engine/net/network_proto.h"

#define RULES_UPLINK "up" /* the link to the machine */
#define RULES_PEERS "x*"  /* links to other VPCs */

/* Number of a group that a rule names. */
typedef uint32_t rules_number_fn(void *ctx, const char *group);

/* Letters of counters of refusals, as enum network_refusal has them. */
#define RULES_REFUSALS "ctu"

struct rules_port {
	uint32_t number, subnet;
	uint32_t mark;          /* of the subnet's table for addresses without a public one; mark + 1: with */
	const uint32_t *groups; /* as many as port->group_count */
	const struct net_port *port;
	uint8_t loss_percent; /* of its packets, in each direction */
};

/* An empty router: nothing passes. */
void rules_base(struct buf *b);
void rules_dns(struct buf *b, const struct net_prefix *prefixes, size_t n);

void rules_declare_group(struct buf *b, uint32_t number);
/* m NULL: nothing is allowed. Groups that the rules name must have been declared. */
void rules_group(struct buf *b, uint32_t number, const struct net_rules *m, rules_number_fn *find, void *ctx);
void rules_remove_group(struct buf *b, uint32_t number);

void rules_declare_acl(struct buf *b, uint32_t number);
void rules_acl(struct buf *b, uint32_t number, const struct net_rules *m);
void rules_remove_acl(struct buf *b, uint32_t number);

/* mark: of its ports without a public address; served: they may speak to the service of gateway endpoints. */
void rules_subnet(struct buf *b, uint32_t number, uint32_t acl, uint32_t mark, bool served);
void rules_remove_subnet(struct buf *b, uint32_t number, uint32_t mark);

/* Of a subnet with routes to NAT gateways: which one's a new connection is, by the longest prefix; gate: its port's number, 0:
 * none's. Chain n2 is the subnet's; of the gateway counter n5 has
 * what leaves through it, b5 what comes back. */
struct rules_nat {
	struct net_prefix to;
	uint32_t gate;
};
void rules_nats(struct buf *b, uint32_t number, uint32_t mark, const struct rules_nat *routes, size_t n);
void rules_remove_nats(struct buf *b, uint32_t number, uint32_t mark);
/* A gateway's counters: what comes to it and what has left it, in both directions; packets that begin connections, before and after
 * they were given a port; SYN and its answers. Named by these letters and the number. */
enum rules_gate_counter {
	RULES_GATE_OUT = 'n',
	RULES_GATE_BACK = 'b',
	RULES_GATE_LEFT = 'o',
	RULES_GATE_LEFT_BACK = 'i',
	RULES_GATE_NEW = 'f',
	RULES_GATE_LEFT_NEW = 'l',
	RULES_GATE_TRIED = 'y',
	RULES_GATE_MET = 'k'
};
void rules_gate(struct buf *b, uint32_t number);
void rules_remove_gate(struct buf *b, uint32_t number);

/* What comes by link x5 has to come from the peer's own blocks. */
void rules_peering(struct buf *b, uint32_t number, const struct net_prefix *prefixes, size_t n);
void rules_remove_peering(struct buf *b, uint32_t number);
/* The addresses of a group that is another VPC's. */
void rules_members(struct buf *b, uint32_t number, const uint32_t *addresses, size_t n);

void rules_port(struct buf *b, const struct rules_port *p);
/* Exactly what rules_port() has added for it; its counters, d5 and those of refusals (d5it: flows of TCP to it), stay until
 * rules_forget_port(). */
void rules_remove_port(struct buf *b, const struct rules_port *p);
void rules_forget_port(struct buf *b, const struct rules_port *p);

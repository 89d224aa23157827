/* The packet rules of balances (NETWORK_BALANCE in network.h), as rules.h has the others: b7 is a balance's chain, which gives a
 * new flow to a target; its mark is in every packet's flow from then on. Counters b7n (new flows), b7o (of these, while it was
 * open), b7c (all that is carried), b7e (refused), b7r and b7t (resets of clients and of targets). Behind the balance come chains
 * that are there while a router has any: they ask the groups of client and balancer before the flow's address is changed, lead
 * answers as the balancer's subnet does, and count. */
#pragma once
#include "base/buf.h"
#include "engine/net/network_proto.h"

/* Of a flow: this bit, and the balance's number. */
#define RULES_BALANCED 0x80000000u

struct rules_balance {
	uint32_t number, port;    /* port: the balancer's */
	uint32_t private, public; /* its addresses; 0: none */
	uint32_t mark;            /* of its subnet's table for addresses with a public one */
	uint16_t listens;
	uint8_t protocol;
};

/* Once, before the first and after the last. */
void rules_balances_begin(struct buf *b);
void rules_balances_end(struct buf *b);
void rules_balance(struct buf *b, const struct rules_balance *p, const struct net_balance *m);
/* What becomes of new flows, when that is all that has changed. */
void rules_balance_targets(struct buf *b, const struct rules_balance *p, const struct net_balance *m);
/* Whom the balancer's groups let in is asked by the chains of its port, which have to be there; without a door nobody is asked. */
void rules_balance_door(struct buf *b, const struct rules_balance *p, bool add);
/* Without its door. */
void rules_remove_balance(struct buf *b, const struct rules_balance *p);

/* For each of `count` equal parts of the flows a target's place among the message's; count is a power of two. By weights, and so
 * that a target that comes or goes changes little else. 0: nobody serves. */
enum { RULES_BALANCE_PARTS_MAX = 4096 };
size_t rules_balance_parts(const struct net_balance *m, uint16_t ret[RULES_BALANCE_PARTS_MAX]);

/* The same rules as in rules.h for packets of IPv6, in a table of their own with the same names; rules.c calls these beside its
 * own. What a link needs beside: neighbour and router discovery and DHCPv6 between an instance and its router; nothing of that
 * passes on. w5 is a subnet's chain for what the outside asks: its routes say who may. */
#pragma once
#include "engine/net/rules.h"

#define RULES_METADATA6 "fd00:ec2::254"

void rules6_base(struct buf *b);
void rules6_own(struct buf *b, const struct net_vpc *vpc);

void rules6_declare_group(struct buf *b, uint32_t number);
void rules6_group(struct buf *b, uint32_t number, const struct net_rules *m, rules_number_fn *find, void *ctx);
void rules6_remove_group(struct buf *b, uint32_t number);

void rules6_acl(struct buf *b, uint32_t number, const struct net_rules *m);
void rules6_declare_acl(struct buf *b, uint32_t number);
void rules6_remove_acl(struct buf *b, uint32_t number);

void rules6_subnet(struct buf *b, uint32_t number, uint32_t acl, const struct net_subnet *m);
void rules6_remove_subnet(struct buf *b, uint32_t number);

void rules6_peering(struct buf *b, uint32_t number, const struct net_vpc *other);
void rules6_remove_peering(struct buf *b, uint32_t number);
/* The addresses of a group that is another VPC's. */
void rules6_members(struct buf *b, uint32_t number, const uint8_t (*addresses)[16], size_t n);

void rules6_port(struct buf *b, const struct rules_port *p);
void rules6_remove_port(struct buf *b, const struct rules_port *p);
void rules6_forget_port(struct buf *b, const struct rules_port *p);

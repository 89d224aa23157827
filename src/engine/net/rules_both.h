/* What the rules of IPv4 and IPv6 have in common: the same text in one table or the other. Private to rules.c and rules6.c. */
#pragma once
#include "engine/net/rules.h"

#define RULES_MAC "%02x:%02x:%02x:%02x:%02x:%02x"
#define RULES_MAC_ARG(m) (m)[0], (m)[1], (m)[2], (m)[3], (m)[4], (m)[5]

struct rules_family {
	const char *table;     /* "ip q" */
	const char *address;   /* a set's type: "ipv4_addr" */
	const char *side[2];   /* of the packet: "ip saddr", "ip daddr" */
	const char *icmp;      /* of this family; its number */
	const char *icmp_name; /* of the layer: "icmp" */
	int icmp_number;
};
extern const struct rules_family rules_ip4, rules_ip6;

/* Counts what passes between ports of different zones, once it may pass. */
void rules_zones(const struct rules_family *f, struct buf *b);

/* Protocol and ports of a rule. */
void rules_match(const struct rules_family *f, struct buf *b, const struct net_rule *r);

void rules_both_declare_group(const struct rules_family *f, struct buf *b, uint32_t number);
void rules_both_remove_group(const struct rules_family *f, struct buf *b, uint32_t number);
void rules_both_declare_acl(const struct rules_family *f, struct buf *b, uint32_t number);
/* The end of an ACL's entry, and the one behind all entries. */
void rules_acl_verdict(struct buf *b, const struct net_rule *r);
void rules_acl_last(const struct rules_family *f, struct buf *b, uint32_t number);
void rules_both_remove_acl(const struct rules_family *f, struct buf *b, uint32_t number);
void rules_subnet_chains(const struct rules_family *f, struct buf *b, uint32_t number, uint32_t acl);

/* A port's counter and chains, and what its link means in sets and maps but for its addresses. */
void rules_port_chains(const struct rules_family *f, struct buf *b, const struct rules_port *p);
void rules_remove_port_chains(const struct rules_family *f, struct buf *b, const struct rules_port *p);
void rules_forget_port_counters(const struct rules_family *f, struct buf *b, const struct rules_port *p);
void rules_port_elements(const struct rules_family *f, struct buf *b, const struct rules_port *p, bool add);
/* One element of a set, or of a map when there is a value; `key` follows the link's name. */
__attribute__((format(printf, 6, 7))) void rules_element(struct buf *b, bool add, uint32_t port, const char *set, const char *key,
                                                         const char *value, ...);

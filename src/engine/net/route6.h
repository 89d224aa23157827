/* Routes, rules, neighbours and addresses of IPv6 by rtnetlink, as route.h has them of IPv4. Addresses are in network byte order.
 * Every call works in the network namespace in which its socket was opened; 0 or negative errno (-EOPNOTSUPP, -EAFNOSUPPORT where
 * the kernel has no IPv6). */
#pragma once
#include "engine/net/route.h"

/* The router's own, on every port's link. */
#define ROUTER6_ADDRESS \
	{ \
		0xfe, 0x80, [15] = 1 \
	}

struct route6 {
	uint32_t table;
	uint8_t base[16];
	uint8_t bits;
	enum route_kind kind;
	unsigned ifindex;
	uint8_t gateway[16]; /* VIA: need not be in a prefix of the link */
};

int route6_set(int sock, const struct route6 *r);
int route6_remove(int sock, const struct route6 *r);
int route6_add_mark_rule(int sock, uint32_t mark, uint32_t table);
int route6_remove_mark_rule(int sock, uint32_t mark, uint32_t table);

/* A neighbour that nobody's advertisements can change. */
int neighbour6_set(int sock, unsigned ifindex, const uint8_t address[16], const uint8_t mac[6]);
int neighbour6_remove(int sock, unsigned ifindex, const uint8_t address[16]);

/* Used at once, nobody is asked whether it is taken. */
int address6_add(int sock, unsigned ifindex, const uint8_t address[16], unsigned bits);
int address6_remove(int sock, unsigned ifindex, const uint8_t address[16], unsigned bits);
/* The link gets no address by itself. */
int device_no_own_address6(int sock, unsigned ifindex);

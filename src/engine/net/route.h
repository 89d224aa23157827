/* Routes, rules, neighbours and devices by rtnetlink: what the router of a VPC needs beyond link.h. Every call works in the network
 * namespace in which its socket (link_socket()) was opened. IPv4 in host byte order; 0 or negative errno. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum route_kind { ROUTE_VIA, ROUTE_LINK, ROUTE_BLACKHOLE, ROUTE_THROW /* go on with the next rule */ };
struct route {
	uint32_t table;
	uint32_t base;
	uint8_t bits;
	enum route_kind kind;
	unsigned ifindex;
	uint32_t gateway; /* VIA: need not be in a prefix of the link */
};

/* Replaces the route to the same prefix in that table. */
int route_set(int sock, const struct route *r);
int route_remove(int sock, const struct route *r);

/* Packets with this mark are looked up in that table. -EEXIST: is there. */
int route_add_mark_rule(int sock, uint32_t mark, uint32_t table);
int route_remove_mark_rule(int sock, uint32_t mark, uint32_t table);

/* A neighbour that nobody's ARP can change. */
int neighbour_set(int sock, unsigned ifindex, uint32_t address, const uint8_t mac[6]);
int neighbour_remove(int sock, unsigned ifindex, uint32_t address);

/* A veth pair, both ends down: `ours` here, `theirs` with its address in another namespace. */
int device_add_veth(int sock, const char *ours, const char *theirs, int their_ns_fd, const uint8_t their_mac[6]);
int device_set_mac(int sock, unsigned ifindex, const uint8_t mac[6]);
/* A number that links have in common; new ones have 0. Removing many by it takes the kernel as long as removing one. */
int device_set_group(int sock, unsigned ifindex, uint32_t group);
int device_remove_group(int sock, uint32_t group);
/* Answers for neighbours at once (proxy ARP, also for those behind the same link), forwards, and gets no IPv6 address. */
int device_be_router_port(int sock, unsigned ifindex);
/* Packets from and to 127.0.0.0/8 may pass this link. */
int device_allow_loopback_addresses(int sock, unsigned ifindex);
int device_remove_address(int sock, unsigned ifindex, uint32_t address, unsigned prefix);

struct device_counters {
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
};
int device_counters(int sock, unsigned ifindex, struct device_counters *ret_counters);

/* DHCPv6 for the addresses of one interface: what a client on a port's link asks, and the one answer that it may get. Pure; bytes
 * come from instances. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { DHCP6_ANSWER_MAX = 1024, DHCP6_SERVER_PORT = 547, DHCP6_CLIENT_PORT = 546 };

struct dhcp6_lease {
	uint8_t server_mac[6];
	const uint8_t (*addresses)[16];
	size_t address_count;
};

/* Reads a request; returns the size of the answer, 0: there is none to give. */
size_t dhcp6_answer(const void *request, size_t n, const struct dhcp6_lease *lease, uint8_t answer[DHCP6_ANSWER_MAX]);

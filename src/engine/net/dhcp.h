/* DHCP for one address: what a client on a port's link asks, and the one answer that it may get. Pure; bytes come from instances.
 */
#pragma once
#include "engine/net/network.h"

enum { DHCP_ANSWER_MAX = 576, DHCP_SERVER_PORT = 67, DHCP_CLIENT_PORT = 68 };

struct dhcp_lease {
	uint8_t mac[6];
	uint32_t address, router, dns; /* host byte order; the router is also who answers; dns: of the VPC */
	struct network_dhcp servers;
	uint8_t mask_bits;
	uint16_t mtu;
	const char *host_name, *domain; /* "": not said */
};

/* Reads a request; returns the size of the answer, 0: there is none to give (another's request, no request, or one that needs no
 * answer). *ret_to is where it goes, host byte order; all ones: to everybody on the link. */
size_t dhcp_answer(const void *request, size_t n, const struct dhcp_lease *lease, uint8_t answer[DHCP_ANSWER_MAX],
                   uint32_t *ret_to);

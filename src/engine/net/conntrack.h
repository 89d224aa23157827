/* The kernel's table of flows, by netlink, in the network namespace that the process is in: those with a mark. Nothing is kept. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct conntrack_counts {
	uint64_t flows;       /* under way: of TCP those that have not ended */
	uint64_t connections; /* of TCP among them */
	uint64_t idle;        /* connections that were forgotten, and are in no other count */
};
/* idle_s > 0: connections that nothing has passed for so long are forgotten, whose timeout is the kernel's own. 0 or negative
 * errno. */
int conntrack_count(uint32_t mark, uint32_t idle_s, struct conntrack_counts *ret);
/* Is a connection idle that is forgotten in left_s seconds unless something passes it? Established ones alone are. */
bool conntrack_idle(uint8_t tcp_state, uint32_t left_s, uint32_t idle_s);
/* Forgets those whose answers come from this address and port; address 0: all of the mark. 0 or negative errno. */
int conntrack_forget(uint32_t mark, uint32_t address, uint16_t port);

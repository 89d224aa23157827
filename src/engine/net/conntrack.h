/* The kernel's table of flows, by netlink, in the network namespace that the process is in: those with a mark. Nothing is kept. */
#pragma once
#include <stdint.h>

/* How many are under way: of TCP those that have not ended. 0 or negative errno. */
int conntrack_count(uint32_t mark, uint64_t *ret);
/* Forgets those whose answers come from this address and port; address 0: all of the mark. 0 or negative errno. */
int conntrack_forget(uint32_t mark, uint32_t address, uint16_t port);

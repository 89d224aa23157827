/* One request to the kernel by netlink and its answer, for link.c and route.c. */
#pragma once
#include <libmnl/libmnl.h>
#include <stdint.h>

enum { NETLINK_ROOM = 1024 /* for one request */ };

struct nlmsghdr *netlink_start(char room[static NETLINK_ROOM], uint16_t type, uint16_t flags);
/* Sends it and waits for the acknowledgement, which the kernel has queued before send returns: 0 or the kernel's negative errno.
 * Answers that are none are handed to each(), which may be NULL. */
int netlink_ask(int sock, struct nlmsghdr *h, void (*each)(void *ctx, const struct nlmsghdr *r), void *ctx);

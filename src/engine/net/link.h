/* Links and addresses by rtnetlink: the few messages that sandboxes need. Runs in `priv` and in its children, before they
 * give their capabilities up. Every call works in the network namespace in which its socket was opened. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A route netlink socket of the calling thread's network namespace; the caller closes it. */
int link_socket(void);

/* Makes a veth pair, both ends up: `inside` in the socket's namespace, `outside` in the namespace of host_ns_fd.
 * -EEXIST: the name outside is taken. */
int link_add_veth(int sock, const char *inside, const char *outside, int host_ns_fd);
int link_up(int sock, unsigned ifindex);
/* The kernel forgets its routes, neighbours and addresses of IPv6. */
int link_down(int sock, unsigned ifindex);
/* Index of a link in the socket's namespace. */
int link_index(int sock, const char *name, unsigned *ret_ifindex);
/* IPv4, host byte order. */
int link_add_address(int sock, unsigned ifindex, uint32_t address, unsigned prefix);
int link_add_default_route(int sock, unsigned ifindex, uint32_t gateway);
/* Lets IPv4 packets that come in by this link be forwarded, and gives it no IPv6 address. */
int link_set_forwarding(int sock, unsigned ifindex, bool on);
int link_remove(int sock, unsigned ifindex);

/* Calls fn for every link whose name starts with prefix. */
typedef void link_fn(void *ctx, unsigned ifindex, const char *name);
int link_each(int sock, const char *prefix, link_fn *fn, void *ctx);
/* Does any local address of the socket's namespace lie in base/prefix? 1, 0 or negative errno. */
int link_range_in_use(int sock, uint32_t base, unsigned prefix);
/* Calls fn (with NULL for the name) for every link that a default route of the main table leaves by. */
int link_each_uplink(int sock, bool ipv6, link_fn *fn, void *ctx);

/* The one link of a VPC to the machine, a veth pair between the router's namespace and the machine's own, by the slot that it was
 * given. Runs in `priv`; keeps nothing. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct outbound;

/* host, inside: route sockets in both namespaces; host_ns: the machine's. Takes the place of one that an earlier priv has made.
 * *ret_ipv6: both ends have IPv6. 0 or negative errno: a part of it may be there. */
int uplink_make(const struct outbound *o, unsigned slot, int host, int inside, int host_ns, unsigned *ret_ifindex, bool *ret_ipv6);
/* It goes with the namespace, and with it another may have got its number. */
bool uplink_is_there(const struct outbound *o, unsigned slot, unsigned ifindex);
/* It may have gone already. */
void uplink_remove(const struct outbound *o, unsigned slot);

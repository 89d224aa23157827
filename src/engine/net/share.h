/* A sandbox's link into a shared port (NETWORK_SHARED) of a VPC, in place of the one to the machine. `priv` makes it when the
 * sandbox becomes a function's. It goes with the sandbox's namespace, or with the port's. */
#pragma once

#include "engine/net/outbound.h"

/* shared: a namespace of net's making, as events->port() gave it; anything else is -EPERM. cell: the sandbox's network namespace;
 * home: the caller's own, to which the process has come back. `slot` is the sandbox's: its addresses are made of it, and are no
 * other sandbox's of this cloud. 0 or negative errno.
 *
 * The link that the sandbox had has no address and no route any more, so nothing passes it. To take it away waits for every
 * processor: share_sweep() does that for all of them at once, when nobody waits. */
int share_link(const struct outbound *o, int shared, int cell, int home, unsigned slot);
void share_sweep(const struct outbound *o);

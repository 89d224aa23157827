/* Flows as net has counted them: a file that nobody else changes, of which no more is believed than fits. */
#include "engine/net/networks.h"

#include "base/log.h"

#include <stdlib.h>
#include <unistd.h>

enum { FLOWS_MAX = 1 << 20 };

void networks_take_flows(struct networks *n, const struct net_flows *m, int fd)
{
	size_t count = m->h.value;
	if (!n->events->flows || count > FLOWS_MAX)
		return;
	struct network_flow *flows = calloc(count + 1, sizeof(*flows));
	if (!flows)
		die("out of memory");
	ssize_t got = pread(fd, flows, count * sizeof(*flows), 0);
	if (got >= 0)
		n->events->flows(n->ctx, m->h.id, flows, (size_t)got / sizeof(*flows), m->missed);
	free(flows);
}

void network_collect_flows(struct networks *n, const char *port_id)
{
	networks_tell(n, NET_FLOWS, port_id);
}

/* What is known of networks: whose an address is, and what net has counted. */
#include "engine/net/networks.h"

#include <string.h>

enum { STATS_US = 1000000 };

uint32_t network_outside_address(const struct networks *n, const char *vpc_id)
{
	const struct want *w = networks_find(n, vpc_id);
	return w && w->verb == NET_VPC && w->uplink ? w->uplink : n->share.base;
}

const char *network_port_at(const struct networks *n, const char *vpc_id, uint32_t address)
{
	list_each (&n->order, struct want, at, w)
		for (size_t i = 0;
		     w->verb == NET_PORT && strcmp(w->message->port.vpc, vpc_id) == 0 && i < w->message->port.address_count; i++)
			if (w->message->port.addresses[i].private == address)
				return w->id;
	return NULL;
}

const char *network_port_at6(const struct networks *n, const char *vpc_id, const uint8_t address[16])
{
	list_each (&n->order, struct want, at, w)
		for (size_t i = 0;
		     w->verb == NET_PORT && strcmp(w->message->port.vpc, vpc_id) == 0 && i < w->message->port.address6_count; i++)
			if (memcmp(w->message->port.addresses6[i], address, 16) == 0)
				return w->id;
	return NULL;
}

void networks_ask_stats(struct networks *n, struct want *w)
{
	int64_t now = loop_now_us(n->loop);
	if (!n->greeted || (w->stats_asked_us && now - w->stats_asked_us <= STATS_US))
		return;
	w->stats_asked_us = now;
	networks_tell(n, NET_STATS, w->id);
}

bool network_vpc_stats(struct networks *n, const char *vpc_id, struct network_vpc_stats *ret_stats)
{
	struct want *w = networks_find(n, vpc_id);
	if (!w || w->verb != NET_VPC)
		return false;
	networks_ask_stats(n, w);
	if (w->has_stats)
		*ret_stats = w->vpc;
	return w->has_stats;
}

bool network_port_stats(struct networks *n, const char *port_id, struct network_port_stats *ret_stats)
{
	struct want *w = networks_find(n, port_id);
	if (!w || w->verb != NET_PORT)
		return false;
	networks_ask_stats(n, w);
	if (w->has_stats)
		*ret_stats = w->stats;
	return w->has_stats;
}

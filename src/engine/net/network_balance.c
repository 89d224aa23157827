/* The api side of balances: what is wanted of a load balancer's port, and what `net` has counted of it. */
#include "engine/net/networks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool name(char ret[NETWORK_ID_MAX], const char *port, uint8_t protocol, uint16_t listens)
{
	return snprintf(ret, NETWORK_ID_MAX, "%s-%u-%u", port, protocol, listens) < NETWORK_ID_MAX;
}

int network_put_balance(struct networks *n, const struct network_balance *b)
{
	struct net_balance *m = b->target_count <= NETWORK_BALANCE_TARGETS_MAX ? calloc(1, sizeof(*m)) : NULL;
	int error = -EINVAL;
	if (m && name(m->h.id, b->port, b->protocol, b->listens) && strlen(b->vpc) < NETWORK_ID_MAX) {
		m->h.verb = NET_BALANCE;
		m->h.value = (uint32_t)b->target_count;
		memcpy(m->vpc, b->vpc, strlen(b->vpc));
		memcpy(m->port, b->port, strlen(b->port));
		m->idle_s = b->idle_s;
		m->others = b->others;
		m->listens = b->listens;
		m->protocol = b->protocol;
		m->by_source = b->by_source;
		m->cut_gone = b->cut_gone;
		m->open = b->open;
		for (size_t i = 0; i < b->target_count; i++)
			m->targets[i] = (struct net_balance_target){.address = b->targets[i].address,
			                                            .weight = b->targets[i].weight,
			                                            .port = b->targets[i].port,
			                                            .state = (uint8_t)b->targets[i].state};
		error = networks_want(n, m, offsetof(struct net_balance, targets) + b->target_count * sizeof(m->targets[0]));
	}
	free(m);
	return error;
}

void network_remove_balance(struct networks *n, const char *port, uint8_t protocol, uint16_t listens)
{
	char id[NETWORK_ID_MAX];
	if (name(id, port, protocol, listens))
		network_remove(n, id);
}

void network_settle_balances(struct networks *n, const char *port)
{
	struct want *w = networks_find(n, port);
	if (!w || w->verb != NET_PORT || w->balanced)
		return;
	w->balanced = true;
	networks_tell(n, NET_SETTLED, port);
}

bool network_balance_stats(struct networks *n, const char *port, uint8_t protocol, uint16_t listens,
                           struct network_balance_stats *ret_stats)
{
	char id[NETWORK_ID_MAX];
	struct want *w = name(id, port, protocol, listens) ? networks_find(n, id) : NULL;
	if (!w || w->verb != NET_BALANCE)
		return false;
	networks_ask_stats(n, w);
	if (w->has_stats)
		*ret_stats = w->balance;
	return w->has_stats;
}

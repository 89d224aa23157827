#include "elbv2.h"

#include "base/rand.h"
#include "desk.h"

#include <arpa/inet.h>

enum { TTL_S = 60 };

/* --- whose name it is */

const struct elb_item *elb_desk_named(const struct elb_desk *d, struct str name, struct str *ret_zone)
{
	const struct elb_item *i = map_get(&d->by_name, name);
	*ret_zone = STR_NONE;
	if (i)
		return i;
	struct str rest = name, first = str_cut(&rest, '.');
	i = str_set(rest) ? map_get(&d->by_name, rest) : NULL;
	if (!i || str_is(first, "dualstack"))
		return i;
	for (unsigned k = 0; k < i->node_count; k++)
		if (str_is(first, i->nodes[k].zone)) {
			*ret_zone = str_from(i->nodes[k].zone);
			return i;
		}
	return NULL;
}

/* A name on the wire as text; STR_NONE: it has bytes that no balancer's name has. */
static struct str text_of(const uint8_t *wire, char out[static DNS_NAME_MAX])
{
	size_t n = 0;
	for (; *wire; wire += 1 + *wire) {
		if (n)
			out[n++] = '.';
		for (unsigned k = 1; k <= *wire; k++) {
			if (wire[k] == '.')
				return STR_NONE;
			out[n++] = (char)wire[k];
		}
	}
	return str_of(out, n);
}

bool elb_node_is_good(const struct elb_item *i, const struct elb_item_node *n)
{
	bool good = n->serves && !elb_node_is_cut_off(i, n);
	for (size_t g = 0; g < i->group_count && good; g++)
		good = !i->groups[g].target_count || elb_node_has_enough(i, n, &i->groups[g], true);
	return good;
}

unsigned elb_item_addresses(const struct elb_item *i, struct str vpc, struct str zone, uint32_t out[static LB_NODES_MAX])
{
	bool inside = i->internal || str_eq(vpc, i->vpc), any = false;
	unsigned n = 0;
	for (unsigned k = 0; k < i->node_count; k++)
		any |= elb_node_is_good(i, &i->nodes[k]) && (!str_set(zone) || str_is(zone, i->nodes[k].zone));
	for (unsigned k = 0; k < i->node_count; k++) {
		const struct elb_item_node *node = &i->nodes[k];
		uint32_t address = inside ? node->private : node->public;
		if (!address || (any && !elb_node_is_good(i, node)) || (str_set(zone) && !str_is(zone, node->zone)))
			continue;
		unsigned at = (unsigned)rand_below(n + 1);
		out[n++] = out[at];
		out[at] = address;
	}
	return n;
}

unsigned elb_item_addresses6(const struct elb_item *i, struct str zone, uint8_t out[static LB_NODES_MAX][16])
{
	bool any = false;
	unsigned n = 0;
	for (unsigned k = 0; k < i->node_count; k++)
		any |= elb_node_is_good(i, &i->nodes[k]) && (!str_set(zone) || str_is(zone, i->nodes[k].zone));
	for (unsigned k = 0; k < i->node_count; k++) {
		const struct elb_item_node *node = &i->nodes[k];
		if (!node->has_address6 || (any && !elb_node_is_good(i, node)) || (str_set(zone) && !str_is(zone, node->zone)))
			continue;
		unsigned at = (unsigned)rand_below(n + 1);
		memmove(out[n++], out[at], 16);
		memcpy(out[at], node->address6, 16);
	}
	return n;
}

/* --- answers */

enum dns_said elbv2_answer(const struct cloud *cloud, struct str vpc, const struct dns_query *q, struct dns_writer *w)
{
	const struct elb_desk *d = elb_desk(cloud);
	struct str zone;
	uint32_t addresses[LB_NODES_MAX];
	uint8_t addresses6[LB_NODES_MAX][16];
	const struct elb_item *i = d && q->plain && q->class == DNS_IN ? elb_desk_named(d, str_from(q->name), &zone) : NULL;
	if (!i)
		return DNS_NOT_MINE;
	unsigned n = q->type == DNS_A || q->type == DNS_ANY ? elb_item_addresses(i, vpc, zone, addresses) : 0;
	for (unsigned k = 0; k < n; k++)
		dns_put_address(w, DNS_ANSWER, NULL, TTL_S, addresses[k]);
	unsigned n6 = q->type == DNS_AAAA || q->type == DNS_ANY ? elb_item_addresses6(i, zone, addresses6) : 0;
	for (unsigned k = 0; k < n6; k++)
		dns_put(w, DNS_ANSWER, NULL, DNS_AAAA, TTL_S, addresses6[k], sizeof(addresses6[k]));
	if (!n && !n6) {
		/* the name without its first label is the domain of the region's balancers */
		const char *domain = strchr(q->name, '.');
		dns_put_soa(w, domain ? domain + 1 : q->name, "ns0.amazonaws.com", TTL_S);
	}
	return DNS_ANSWERED;
}

static bool is_healthy(const struct elb_item *i)
{
	for (size_t k = 0; k < i->group_count; k++) {
		const struct elb_seen_group *g = &i->groups[k];
		struct lb_target_health why;
		bool well = false;
		for (size_t t = 0; t < g->target_count && !well; t++)
			well = elb_item_health(i, g, &g->targets[t], &why) == LB_HEALTHY;
		if (!well)
			return false;
	}
	return true;
}

int elbv2_addresses(const struct cloud *cloud, struct str vpc, const uint8_t *name, uint16_t type, uint8_t (*out)[16], int max,
                    bool *ret_healthy)
{
	const struct elb_desk *d = elb_desk(cloud);
	char text[DNS_NAME_MAX];
	uint32_t addresses[LB_NODES_MAX];
	struct str zone;
	const struct elb_item *i = d ? elb_desk_named(d, text_of(name, text), &zone) : NULL;
	if (!i)
		return -1;
	*ret_healthy = is_healthy(i);
	if (type == DNS_AAAA) {
		uint8_t all[LB_NODES_MAX][16];
		int six = (int)elb_item_addresses6(i, zone, all);
		six = six < max ? six : max;
		memcpy(out, all, (size_t)six * sizeof(all[0]));
		return six;
	}
	int n = type == DNS_A ? (int)elb_item_addresses(i, vpc, zone, addresses) : 0;
	n = n < max ? n : max;
	for (int k = 0; k < n; k++) {
		uint32_t wire = htonl(addresses[k]);
		memcpy(out[k], &wire, sizeof(wire));
	}
	return n;
}

unsigned elbv2_named_addresses(const struct cloud *cloud, struct str vpc, struct str name, uint32_t *out, unsigned max)
{
	struct arena CLEAN_ARENA a = {0};
	const struct elb_desk *d = elb_desk(cloud);
	uint32_t addresses[LB_NODES_MAX];
	struct str zone;
	char *lower = arena_dupz(&a, name);
	for (size_t k = 0; k < name.n; k++)
		lower[k] = ascii_lower(lower[k]);
	const struct elb_item *i = d ? elb_desk_named(d, str_of(lower, name.n), &zone) : NULL;
	unsigned n = i ? elb_item_addresses(i, vpc, zone, addresses) : 0;
	n = n < max ? n : max;
	memcpy(out, addresses, n * sizeof(*out));
	return n;
}

bool elbv2_is_alias(const struct cloud *cloud, struct str zone_id, const uint8_t *name)
{
	const struct elb_desk *d = elb_desk(cloud);
	char text[DNS_NAME_MAX];
	struct str zone;
	const struct elb_item *i = d ? elb_desk_named(d, text_of(name, text), &zone) : NULL;
	return i && str_eq(i->zone_id, zone_id);
}

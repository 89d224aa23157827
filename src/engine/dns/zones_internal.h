/* What the files of zones share. Private to engine/dns. */
#pragma once
#include "base/map.h"
#include "engine/dns/zones.h"

enum { DNS_PICKS_MAX = 8, DNS_ALIAS_DEPTH = 8 };

struct dns_node {
	struct dns_set *sets;
	uint32_t below; /* nodes directly below it */
};
struct dns_zone {
	struct dns_zone *next; /* of the same name */
	char *id, *owner;
	bool known; /* its name is */
	uint8_t name[DNS_NAME_MAX];
	size_t name_n;
	bool private;
	char **vpcs;
	uint32_t vpc_count;
	uint64_t order;
	struct dns_counts counts;
	struct map nodes; /* name on the wire -> struct dns_node; with those that have only others below them */
};
struct dns_zones {
	struct dns_zones_hooks hooks;
	struct map by_id, by_name; /* by_name: the first of a list */
};

const struct dns_node *dns_node_at(const struct dns_zone *z, const uint8_t *name);

/* zones_policy.c: which of a name's sets of one type answer. How many. */
struct dns_picks {
	const struct dns_set *v[DNS_PICKS_MAX];
	unsigned n;
	uint8_t scope_bits;
	bool any; /* there are sets of this type */
};
void dns_pick(struct dns_zones *z, const struct dns_zone *zone, const struct dns_asking *who, const struct dns_node *node,
              uint16_t type, struct dns_picks *ret);

/* The way from a question to its answer (RFC 1034 4.3.2, RFC 4592): the innermost zone, delegations on the way down, the name or
 * the wildcard that stands for it, aliases and CNAMEs. */
#include "engine/dns/zones_internal.h"

#include "base/rand.h"
#include "engine/dns/name.h"

#include <string.h>

enum { CHAIN_MAX = 8, VALUES_MAX = 400, ADDRESSES_MAX = 32, ALIAS_TTL_S = 60, SOA_NUMBERS = 20 };

struct looking {
	struct dns_zones *zones;
	const struct dns_asking *who;
	const struct dns_query *q;
	struct dns_writer *w;
	struct dns_found *found;
};

/* --- which zone */

static bool in_vpc(const struct dns_zone *z, struct str vpc)
{
	for (uint32_t i = 0; i < z->vpc_count; i++)
		if (str_is(vpc, z->vpcs[i]))
			return true;
	return false;
}

static const struct dns_zone *innermost(const struct dns_zones *z, struct str vpc, const uint8_t *name, bool private)
{
	for (;; name += 1 + *name) {
		for (const struct dns_zone *zone = map_get(&z->by_name, str_of(name, dns_name_size(name))); zone; zone = zone->next)
			if (zone->private == private && (!private || in_vpc(zone, vpc)))
				return zone;
		if (!*name)
			return NULL;
	}
}

/* A private zone of the VPC hides public ones, also those within it. */
static const struct dns_zone *zone_for(const struct looking *l, const uint8_t *name)
{
	const struct dns_zone *z = NULL;
	if (str_set(l->who->zone)) {
		z = map_get(&l->zones->by_id, l->who->zone);
		return z && z->known && dns_name_within(name, z->name) ? z : NULL;
	}
	if (str_set(l->who->vpc))
		z = innermost(l->zones, l->who->vpc, name, true);
	return z ? z : innermost(l->zones, STR_NONE, name, false);
}

/* What says where a zone begins lies in the zone around it. */
static const struct dns_zone *zone_asked(const struct looking *l)
{
	const struct dns_zone *z = zone_for(l, l->q->wire), *around;
	if (!z || l->q->type != DNS_DS || !z->name[0] || dns_name_size(l->q->wire) != z->name_n)
		return z;
	around = zone_for(l, l->q->wire + 1 + l->q->wire[0]);
	return around ? around : z;
}

int dns_zones_private(const struct dns_zones *z, struct str vpc, const uint8_t *name)
{
	const struct dns_zone *zone = innermost(z, vpc, name, true);
	int labels = 0;
	for (const uint8_t *at = zone ? zone->name : NULL; at && *at; at += 1 + *at)
		labels++;
	return zone ? labels : -1;
}

/* --- what lies at a name */

static bool has_type(const struct dns_node *n, uint16_t type)
{
	for (const struct dns_set *s = n ? n->sets : NULL; s; s = s->next)
		if (s->about.type == type)
			return true;
	return false;
}

/* Below the apex a name with NS records ends the zone: the outermost one on the way down. NULL: none. */
static const uint8_t *cut_above(const struct dns_zone *z, const uint8_t *name, uint16_t type)
{
	const uint8_t *cut = NULL;
	for (const uint8_t *at = name; dns_name_size(at) > z->name_n; at += 1 + *at)
		if (has_type(dns_node_at(z, at), DNS_NS) && (at != name || type != DNS_DS))
			cut = at;
	return cut;
}

/* The wildcard of the innermost name above that exists stands for one that does not. */
static const struct dns_node *node_for(const struct dns_zone *z, const uint8_t *name)
{
	const struct dns_node *n = dns_node_at(z, name);
	uint8_t star[DNS_NAME_MAX + 2] = {1, '*'};
	if (n)
		return n;
	while (dns_name_size(name) > z->name_n) {
		name += 1 + *name;
		if (dns_node_at(z, name))
			break;
	}
	size_t size = dns_name_size(name);
	if (size + 2 > DNS_NAME_MAX)
		return NULL;
	memcpy(star + 2, name, size);
	return dns_node_at(z, star);
}

/* --- writing */

static void put_owned(struct looking *l, enum dns_section section, const uint8_t *owner, uint16_t type, uint32_t ttl,
                      struct str data)
{
	if (owner == l->q->wire)
		dns_put(l->w, section, NULL, (enum dns_type)type, ttl, data.p, data.n);
	else
		dns_put_record(l->w, section, owner, dns_name_size(owner), type, ttl, data.p, data.n);
}

static void put_values(struct looking *l, enum dns_section section, const uint8_t *owner, const struct dns_set *s)
{
	if (s->about.value_count == 1) {
		put_owned(l, section, owner, s->about.type, s->about.ttl, s->about.values[0]);
		return;
	}
	__attribute__((uninitialized)) const struct str *order[VALUES_MAX]; /* clearing it would cost more than the answer */
	uint32_t n = s->about.value_count < VALUES_MAX ? s->about.value_count : VALUES_MAX;
	for (uint32_t i = 0; i < n; i++)
		order[i] = &s->about.values[i];
	for (uint32_t i = 0; i < n; i++) {
		uint32_t k = i + (uint32_t)rand_below(n - i);
		const struct str *one = order[k];
		order[k] = order[i];
		put_owned(l, section, owner, s->about.type, s->about.ttl, *one);
	}
}

/* The zone's own SOA; a "no" may be kept for the shorter of its time to live and its last number. */
static void put_soa(struct looking *l, const struct dns_zone *z)
{
	const struct dns_node *apex = dns_node_at(z, z->name);
	for (const struct dns_set *s = apex ? apex->sets : NULL; s; s = s->next) {
		if (s->about.type != DNS_SOA || !s->about.value_count || s->about.values[0].n < SOA_NUMBERS)
			continue;
		const uint8_t *last = (const uint8_t *)s->about.values[0].p + s->about.values[0].n - 4;
		uint32_t minimum = (uint32_t)last[0] << 24 | (uint32_t)last[1] << 16 | (uint32_t)last[2] << 8 | last[3];
		dns_put_record(l->w, DNS_AUTHORITY, z->name, z->name_n, DNS_SOA, minimum < s->about.ttl ? minimum : s->about.ttl,
		               s->about.values[0].p, s->about.values[0].n);
	}
}

/* Where to ask on, with addresses of those servers that this zone knows. */
static void put_referral(struct looking *l, const struct dns_zone *z, const uint8_t *cut)
{
	const struct dns_node *n = dns_node_at(z, cut);
	const struct dns_set *servers = NULL;
	for (const struct dns_set *s = n->sets; s; s = s->next)
		if (s->about.type == DNS_NS)
			servers = s;
	if (!servers)
		return;
	l->w->authoritative = false;
	put_values(l, DNS_AUTHORITY, cut, servers);
	for (uint32_t i = 0; i < servers->about.value_count; i++) {
		uint8_t name[DNS_NAME_MAX];
		struct str value = servers->about.values[i];
		for (size_t k = 0; k < value.n; k++)
			name[k] = (uint8_t)ascii_lower(value.p[k]);
		const struct dns_node *glue = dns_node_at(z, name);
		for (const struct dns_set *s = glue ? glue->sets : NULL; s; s = s->next)
			if ((s->about.type == DNS_A || s->about.type == DNS_AAAA) && !s->about.alias)
				put_values(l, DNS_ADDITIONAL, name, s);
	}
}

/* --- answers */

static unsigned put_set(struct looking *l, const struct dns_zone *z, const uint8_t *owner, const struct dns_set *s, unsigned depth);

static unsigned put_picked(struct looking *l, const struct dns_zone *z, const uint8_t *owner, const struct dns_node *n,
                           uint16_t type, unsigned depth)
{
	struct dns_picks picks;
	unsigned put = 0;
	dns_pick(l->zones, z, l->who, n, type, &picks);
	if (picks.scope_bits > l->w->scope_bits)
		l->w->scope_bits = picks.scope_bits;
	for (unsigned i = 0; i < picks.n; i++)
		put += put_set(l, z, owner, picks.v[i], depth);
	return put;
}

static unsigned put_elsewhere(struct looking *l, const uint8_t *owner, const struct dns_set *s)
{
	uint8_t addresses[ADDRESSES_MAX][16];
	bool healthy;
	int n = -1;
	if (l->zones->hooks.addresses)
		n = l->zones->hooks.addresses(l->zones->hooks.ctx, l->who->vpc, s->about.alias, s->about.type, addresses,
		                              ADDRESSES_MAX, &healthy);
	l->found->alias = l->found->alias || n >= 0;
	for (int i = 0; i < n; i++)
		put_owned(l, DNS_ANSWER, owner, s->about.type, ALIAS_TTL_S, str_of(addresses[i], s->about.type == DNS_A ? 4 : 16));
	return n > 0 ? (unsigned)n : 0;
}

/* An alias answers in its own name with what its target has. How many records. */
static unsigned put_set(struct looking *l, const struct dns_zone *z, const uint8_t *owner, const struct dns_set *s, unsigned depth)
{
	if (!s->about.alias) {
		put_values(l, DNS_ANSWER, owner, s);
		return s->about.value_count;
	}
	if (depth == DNS_ALIAS_DEPTH)
		return 0;
	if (!str_is(s->about.alias_zone, z->id))
		return put_elsewhere(l, owner, s);
	const struct dns_node *n = node_for(z, s->about.alias);
	return n ? put_picked(l, z, owner, n, s->about.type, depth + 1) : 0;
}

static unsigned put_all_types(struct looking *l, const struct dns_zone *z, const uint8_t *owner, const struct dns_node *n)
{
	unsigned put = 0;
	for (const struct dns_set *s = n->sets; s; s = s->next) {
		bool first = true;
		for (const struct dns_set *before = n->sets; before != s; before = before->next)
			first = first && before->about.type != s->about.type;
		if (first)
			put += put_picked(l, z, owner, n, s->about.type, 0);
	}
	return put;
}

/* A name's CNAME is written; where it leads in *next, in lower case. False: it has none, as things are. */
static bool put_cname(struct looking *l, const struct dns_zone *z, const uint8_t *owner, const struct dns_node *n, uint8_t *next)
{
	struct dns_picks picks;
	dns_pick(l->zones, z, l->who, n, DNS_CNAME, &picks);
	const struct dns_set *s = picks.n ? picks.v[0] : NULL;
	for (unsigned depth = 0; s && s->about.alias; depth++) {
		const struct dns_node *target = node_for(z, s->about.alias);
		if (depth == DNS_ALIAS_DEPTH || !target)
			return false;
		dns_pick(l->zones, z, l->who, target, DNS_CNAME, &picks);
		s = picks.n ? picks.v[0] : NULL;
	}
	if (!s || !s->about.value_count || s->about.values[0].n > DNS_NAME_MAX)
		return false;
	put_values(l, DNS_ANSWER, owner, s);
	for (size_t i = 0; i < s->about.values[0].n; i++)
		next[i] = (uint8_t)ascii_lower(s->about.values[0].p[i]);
	return true;
}

enum dns_said dns_zones_answer(struct dns_zones *zones, const struct dns_asking *who, const struct dns_query *q,
                               struct dns_writer *w, struct dns_found *ret)
{
	struct looking l = {.zones = zones, .who = who, .q = q, .w = w, .found = ret};
	static uint8_t names[CHAIN_MAX][DNS_NAME_MAX];
	const uint8_t *name = q->wire;
	*ret = (struct dns_found){0};
	const struct dns_zone *z = q->class == DNS_IN ? zone_asked(&l) : NULL;
	if (!z)
		return DNS_NOT_MINE;
	ret->zone = z->id;
	ret->owner = z->owner;
	ret->private = z->private;
	ret->counts = (struct dns_counts *)&z->counts;
	w->authoritative = true;
	for (unsigned step = 0;; step++) {
		const uint8_t *cut = cut_above(z, name, q->type);
		if (cut) {
			if (step == 0)
				put_referral(&l, z, cut);
			return DNS_ANSWERED;
		}
		const struct dns_node *n = node_for(z, name);
		if (!n) {
			put_soa(&l, z);
			return DNS_ABSENT;
		}
		if (!has_type(n, DNS_CNAME) || q->type == DNS_CNAME || q->type == DNS_ANY) {
			unsigned put = q->type == DNS_ANY ? put_all_types(&l, z, name, n) : put_picked(&l, z, name, n, q->type, 0);
			if (!put)
				put_soa(&l, z);
			return DNS_ANSWERED;
		}
		if (step == CHAIN_MAX || !put_cname(&l, z, name, n, names[step % CHAIN_MAX])) {
			put_soa(&l, z);
			return DNS_ANSWERED;
		}
		name = names[step];
		z = zone_for(&l, name);
		if (!z) {
			ret->leads_out = true;
			memcpy(ret->out, name, dns_name_size(name));
			return DNS_ANSWERED;
		}
	}
}

/* Which of several record sets of one name and type answer: Route 53's routing policies. A group none of whose sets is healthy is
 * answered as if all of it were. */
#include "engine/dns/zones_internal.h"

#include "base/rand.h"
#include "engine/dns/places.h"

enum { GROUP_MAX = 512 };

struct group {
	struct dns_zones *zones;
	const struct dns_zone *zone;
	const struct dns_asking *who;
	const struct dns_set *v[GROUP_MAX];
	bool healthy[GROUP_MAX];
	unsigned n;
};

/* --- health */

static bool is_healthy(struct dns_zones *z, const struct dns_zone *zone, const struct dns_set *s, unsigned depth)
{
	const struct dns_set_about *a = &s->about;
	if (str_set(a->health_check) && z->hooks.healthy && !z->hooks.healthy(z->hooks.ctx, a->health_check))
		return false;
	if (!a->alias || !a->evaluate || depth == DNS_ALIAS_DEPTH)
		return true;
	if (!str_is(a->alias_zone, zone->id)) {
		uint8_t addresses[1][16];
		bool well = true;
		return !z->hooks.addresses ||
		       (z->hooks.addresses(z->hooks.ctx, STR_NONE, a->alias, a->type, addresses, 1, &well) >= 0 && well);
	}
	/* A group of records is as healthy as the best of it. */
	const struct dns_node *n = dns_node_at(zone, a->alias);
	for (const struct dns_set *t = n ? n->sets : NULL; t; t = t->next)
		if (t->about.type == a->type && is_healthy(z, zone, t, depth + 1))
			return true;
	return false;
}

/* All of them count where none is healthy. */
static void judge(struct group *g)
{
	bool any = false;
	for (unsigned i = 0; i < g->n; i++)
		any = (g->healthy[i] = is_healthy(g->zones, g->zone, g->v[i], 0)) || any;
	for (unsigned i = 0; i < g->n && !any; i++)
		g->healthy[i] = true;
}

/* --- one policy each */

static const struct dns_set *by_weight(const struct group *g)
{
	uint64_t sum = 0, count = 0;
	for (unsigned i = 0; i < g->n; i++)
		if (g->healthy[i]) {
			sum += g->v[i]->about.weight;
			count++;
		}
	uint64_t at = rand_below(sum ? sum : count);
	for (unsigned i = 0; i < g->n; i++) {
		uint64_t share = sum ? g->v[i]->about.weight : 1;
		if (g->healthy[i] && at < share)
			return g->v[i];
		at -= g->healthy[i] ? share : 0;
	}
	return NULL;
}

static const struct dns_set *by_failover(const struct group *g)
{
	const struct dns_set *first = NULL, *second = NULL;
	for (unsigned i = 0; i < g->n; i++) {
		const struct dns_set **to = g->v[i]->about.secondary ? &second : &first;
		if (!*to && g->healthy[i])
			*to = g->v[i];
	}
	return first ? first : second;
}

/* Where something is that a region or degrees say. */
static bool place_of(const struct dns_set_about *a, struct dns_place_at *ret)
{
	*ret = (struct dns_place_at){a->latitude, a->longitude};
	return a->located || dns_region_at(a->region, ret);
}

/* The nearest one, by the way over the globe; a bias makes it nearer or farther. Who asks from nowhere known gets the first. */
static const struct dns_set *by_distance(const struct group *g)
{
	struct dns_place_at here, there;
	bool known = dns_region_at(g->who->region, &here);
	const struct dns_set *best = NULL;
	double best_km = 0;
	for (unsigned i = 0; i < g->n; i++) {
		const struct dns_set_about *a = &g->v[i]->about;
		double km = known && place_of(a, &there) ? dns_distance_km(here, there) : 0;
		km = a->bias >= 0 ? km * (1 - a->bias / 100.0) : km / (1 + a->bias / 100.0);
		if (!g->healthy[i] || (best && km >= best_km))
			continue;
		best = g->v[i];
		best_km = km;
	}
	return best;
}

/* How narrow the place is that a set is for: 4 a subdivision, 1 everybody; 0: another one. */
static int fits(const struct dns_set_about *a, const struct dns_asking *who)
{
	if (str_set(a->continent))
		return str_eq(a->continent, who->continent) ? 2 : 0;
	if (str_is(a->country, "*"))
		return 1;
	if (!str_eq(a->country, who->country))
		return 0;
	if (!str_set(a->subdivision))
		return 3;
	return str_eq(a->subdivision, who->subdivision) ? 4 : 0;
}

static const struct dns_set *by_location(const struct group *g)
{
	const struct dns_set *best = NULL, *any = NULL;
	int best_fit = 0, any_fit = 0;
	for (unsigned i = 0; i < g->n; i++) {
		int fit = fits(&g->v[i]->about, g->who);
		if (fit > any_fit) {
			any = g->v[i];
			any_fit = fit;
		}
		if (fit > best_fit && g->healthy[i]) {
			best = g->v[i];
			best_fit = fit;
		}
	}
	return best ? best : any;
}

static const struct dns_set *by_block(const struct group *g, struct dns_picks *ret)
{
	const struct dns_set *mine = NULL, *rest = NULL;
	bool mine_well = false, rest_well = false;
	for (unsigned i = 0; i < g->n; i++) {
		const struct dns_set_about *a = &g->v[i]->about;
		unsigned bits = 0;
		if (str_is(a->location, "*")) {
			rest = g->v[i];
			rest_well = g->healthy[i];
		} else if (g->zones->hooks.block &&
		           str_eq(a->location, g->zones->hooks.block(g->zones->hooks.ctx, a->collection, g->who, &bits))) {
			mine = g->v[i];
			mine_well = g->healthy[i];
			ret->scope_bits = (uint8_t)(bits < g->who->bits ? bits : g->who->bits);
		}
	}
	return mine && (mine_well || !rest_well) ? mine : rest;
}

/* Up to eight of the healthy ones. */
static void several(struct group *g, struct dns_picks *ret)
{
	unsigned n = 0;
	for (unsigned i = 0; i < g->n; i++)
		if (g->healthy[i])
			g->v[n++] = g->v[i];
	for (unsigned i = 0; i < n && i < DNS_PICKS_MAX; i++) {
		unsigned k = i + (unsigned)rand_below(n - i);
		const struct dns_set *one = g->v[k];
		g->v[k] = g->v[i];
		g->v[i] = one;
		ret->v[ret->n++] = one;
	}
}

void dns_pick(struct dns_zones *z, const struct dns_zone *zone, const struct dns_asking *who, const struct dns_node *node,
              uint16_t type, struct dns_picks *ret)
{
	__attribute__((uninitialized)) struct group g; /* clearing it would cost more than the choice */
	const struct dns_set *one = NULL, *first = node->sets;
	while (first && first->about.type != type)
		first = first->next;
	*ret = (struct dns_picks){.any = first != NULL};
	if (first && first->about.policy == DNS_SIMPLE)
		ret->v[ret->n++] = first;
	if (!first || ret->n)
		return;
	g.zones = z;
	g.zone = zone;
	g.who = who;
	g.n = 0;
	for (const struct dns_set *s = first; s && g.n < GROUP_MAX; s = s->next)
		if (s->about.type == type)
			g.v[g.n++] = s;
	enum dns_policy policy = g.v[0]->about.policy;
	judge(&g);
	if (policy == DNS_LATENCY || policy == DNS_GEOLOCATION || policy == DNS_PROXIMITY)
		ret->scope_bits = who->bits;
	switch (policy) {
	case DNS_WEIGHTED:
		one = by_weight(&g);
		break;
	case DNS_FAILOVER:
		one = by_failover(&g);
		break;
	case DNS_GEOLOCATION:
		one = by_location(&g);
		break;
	case DNS_BLOCKS:
		one = by_block(&g, ret);
		break;
	case DNS_MULTIVALUE:
		several(&g, ret);
		return;
	default:
		one = by_distance(&g);
	}
	if (one)
		ret->v[ret->n++] = one;
}

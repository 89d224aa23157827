/* Members over zones, and who goes first. */
#include "step.h"

#include "base/rand.h"

static bool zone_bad(const struct step *t, struct str zone)
{
	const struct state_autoscaling_zone_failures *f = &t->r->bad_zones;
	for (uint32_t i = 0; i < f->n; i++)
		if (str_eq(f->v[i].zone, zone) && f->v[i].until.ms > t->s->now_ms)
			return true;
	return false;
}

/* Of those who stay. */
static unsigned count_in(const struct step *t, struct str zone, struct str subnet)
{
	unsigned n = 0;
	for (uint32_t i = 0; i < t->r->members.n; i++) {
		const struct state_autoscaling_member *m = &t->r->members.v[i];
		n += member_counts(m) && !str_set(m->leaving) && str_eq(m->zone, zone) &&
		     (!str_set(subnet) || str_eq(m->subnet, subnet));
	}
	return n;
}

static bool strict(const struct step *t)
{
	const struct autoscaling_availability_zone_distribution *d = t->r->group->availability_zone_distribution;
	return d && str_is(d->capacity_distribution_strategy, "balanced-only");
}

int balance_place(const struct step *t, const struct places *all)
{
	int best = -1;
	for (unsigned round = 0; best < 0 && round < 2; round++)
		for (uint32_t i = 0; i < all->n; i++) {
			const struct place *p = &all->v[i];
			if (!round && !strict(t) && zone_bad(t, p->zone))
				continue;
			unsigned here = count_in(t, p->zone, STR_NONE),
			         there = best < 0 ? 0 : count_in(t, all->v[best].zone, STR_NONE);
			if (best < 0 || here < there ||
			    (str_eq(p->zone, all->v[best].zone) && str_set(p->subnet) &&
			     count_in(t, p->zone, p->subnet) < count_in(t, p->zone, all->v[best].subnet)))
				best = (int)i;
		}
	return best;
}

static bool zone_among(const struct places *all, struct str zone)
{
	for (uint32_t i = 0; i < all->n; i++)
		if (str_eq(all->v[i].zone, zone))
			return true;
	return false;
}

/* --- who goes */

struct candidate {
	struct state_autoscaling_member *m;
};
struct candidates {
	struct candidate *v;
	uint32_t n;
	bool set;
};

/* Less is: goes first. */
typedef int64_t rank_fn(const struct step *t, const struct state_autoscaling_member *m);

static int64_t oldest(const struct step *t, const struct state_autoscaling_member *m)
{
	(void)t;
	return m->launched.ms;
}

static int64_t newest(const struct step *t, const struct state_autoscaling_member *m)
{
	(void)t;
	return -m->launched.ms;
}

static int64_t oldest_source(const struct step *t, const struct state_autoscaling_member *m)
{
	return scaling_age(t->s, t->r, m);
}

static int64_t next_hour(const struct step *t, const struct state_autoscaling_member *m)
{
	int64_t up = t->s->now_ms - m->launched.ms;
	return -(up > 0 ? up % 3600000 : 0);
}

/* On demand where there are more of them than the policy asks for, else spot. */
static int64_t allocation(const struct step *t, const struct state_autoscaling_member *m)
{
	const struct autoscaling_mixed_instances_policy *p = t->r->group->mixed_instances_policy;
	const struct autoscaling_instances_distribution *d = p ? p->instances_distribution : NULL;
	int64_t desired = t->r->group->desired_capacity.v, have = 0;
	if (!d)
		return 0;
	int64_t base = d->on_demand_base_capacity.v, above = desired > base ? desired - base : 0;
	int64_t want = base + (above * d->on_demand_percentage_above_base_capacity.v + 99) / 100;
	for (uint32_t i = 0; i < t->r->members.n; i++)
		if (member_counts(&t->r->members.v[i]) && !t->r->members.v[i].spot.v)
			have += member_weight(&t->r->members.v[i]);
	return (have > want) == !m->spot.v ? 0 : 1;
}

static void keep_least(const struct step *t, struct candidates *all, rank_fn *rank)
{
	int64_t least = INT64_MAX;
	uint32_t n = 0;
	for (uint32_t i = 0; i < all->n; i++) {
		int64_t x = rank(t, all->v[i].m);
		least = x < least ? x : least;
	}
	for (uint32_t i = 0; i < all->n; i++)
		if (rank(t, all->v[i].m) == least)
			all->v[n++] = all->v[i];
	all->n = n;
}

static void apply(const struct step *t, struct candidates *all, struct str policy)
{
	if (str_is(policy, "OldestInstance")) {
		keep_least(t, all, oldest);
	} else if (str_is(policy, "NewestInstance")) {
		keep_least(t, all, newest);
	} else if (str_is(policy, "OldestLaunchConfiguration") || str_is(policy, "OldestLaunchTemplate")) {
		keep_least(t, all, oldest_source);
	} else if (str_is(policy, "ClosestToNextInstanceHour")) {
		keep_least(t, all, next_hour);
	} else if (str_is(policy, "AllocationStrategy")) {
		keep_least(t, all, allocation);
	} else { /* Default */
		keep_least(t, all, allocation);
		keep_least(t, all, oldest_source);
		keep_least(t, all, next_hour);
	}
}

static bool may_go(const struct state_autoscaling_member *m)
{
	return member_counts(m) && str_set(m->id) && (!m->protected.v || str_set(m->leaving));
}

/* Those that are to be replaced anyway go first. */
static bool goes_first(const struct state_autoscaling_member *m)
{
	return m->old.v || str_set(m->leaving);
}

struct state_autoscaling_member *balance_victim(const struct step *t)
{
	struct places all = scaling_places(t->s, t->r->group);
	struct candidates of = {0};
	struct str zone = STR_NONE;
	bool old = false;
	for (uint32_t i = 0; i < t->r->members.n; i++)
		old |= may_go(&t->r->members.v[i]) && goes_first(&t->r->members.v[i]);
	for (uint32_t i = 0; i < t->r->members.n; i++) {
		struct state_autoscaling_member *m = &t->r->members.v[i];
		if (!may_go(m) || (old && !goes_first(m)))
			continue;
		/* a zone that the group has no more, else the one with the most */
		bool out = !zone_among(&all, m->zone), worst_out = str_set(zone) && !zone_among(&all, zone);
		if (!str_set(zone) || (out && !worst_out) ||
		    (out == worst_out && count_in(t, m->zone, STR_NONE) > count_in(t, zone, STR_NONE)))
			zone = m->zone;
	}
	for (uint32_t i = 0; i < t->r->members.n; i++)
		if (may_go(&t->r->members.v[i]) && str_eq(t->r->members.v[i].zone, zone) &&
		    (!old || goes_first(&t->r->members.v[i])))
			*LIST_ADD(t->s->arena, &of) = (struct candidate){&t->r->members.v[i]};
	if (!of.n)
		return NULL;
	for (uint32_t i = 0; i < t->r->group->termination_policies.n; i++)
		apply(t, &of, t->r->group->termination_policies.v[i]);
	return of.v[rand_below(of.n)].m;
}

/* --- rebalancing */

int balance_wanted(const struct step *t, const struct places *all, struct str *ret_zones)
{
	unsigned most = 0, least = UINT32_MAX;
	bool stray = false;
	int to = -1;
	for (uint32_t i = 0; i < t->r->members.n; i++) {
		const struct state_autoscaling_member *m = &t->r->members.v[i];
		if (!member_counts(m))
			continue;
		if (!member_in(m, "InService") || (m->weight.set && m->weight.v != 1))
			return -1;
		if (!may_go(m))
			continue;
		unsigned here = count_in(t, m->zone, STR_NONE);
		most = here > most ? here : most;
		stray |= !zone_among(all, m->zone);
	}
	for (uint32_t i = 0; i < all->n; i++) {
		unsigned here = count_in(t, all->v[i].zone, STR_NONE);
		if (zone_bad(t, all->v[i].zone) || here >= least)
			continue;
		least = here;
		to = (int)i;
	}
	if (to < 0 || (!stray && most < least + 2))
		return -1;
	*ret_zones = all->v[to].zone;
	return to;
}

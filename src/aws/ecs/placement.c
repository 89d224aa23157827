#include "placement.h"

struct str placement_attribute(const struct placement_node *n, struct str name, bool *ret_there)
{
	for (uint32_t i = 0; i < n->attribute_count; i++)
		if (str_eq(n->attributes[i].name, name)) {
			*ret_there = true;
			return n->attributes[i].value;
		}
	*ret_there = false;
	return STR_NONE;
}

static bool port_taken(const struct placement_node *n, const struct placement_port *p)
{
	for (uint32_t i = 0; i < n->port_count; i++)
		if (n->ports[i].port == p->port && n->ports[i].udp == p->udp)
			return true;
	return false;
}

static bool has_of_group(const struct placement_node *n, struct str group)
{
	for (uint32_t i = 0; i < n->task_count; i++)
		if (str_eq(n->tasks[i].group, group))
			return true;
	return false;
}

const struct placement_site *placement_site(const struct placement_node *n, const struct placement_need *need, uint32_t from)
{
	bool there;
	struct str vpc = placement_attribute(n, S("ecs.vpc-id"), &there),
	           zone = placement_attribute(n, S("ecs.availability-zone"), &there);
	for (uint32_t i = 0; i < need->site_count; i++) {
		const struct placement_site *s = &need->sites[(from + i) % need->site_count];
		if (str_eq(s->vpc, vpc) && str_eq(s->zone, zone))
			return s;
	}
	return NULL;
}

const char *placement_refuses(struct arena *scratch, const struct placement_node *n, const struct placement_need *need)
{
	bool there;
	if (!str_is(n->status, "ACTIVE"))
		return "INACTIVE";
	if (!n->connected)
		return "AGENT";
	for (uint32_t i = 0; i < need->attribute_count; i++) {
		placement_attribute(n, need->attributes[i], &there);
		if (!there)
			return "ATTRIBUTE";
	}
	if (need->site_count && !placement_site(n, need, 0))
		return "ATTRIBUTE";
	if (need->cpu > n->cpu)
		return "RESOURCE:CPU";
	if (need->memory > n->memory)
		return "RESOURCE:MEMORY";
	if (need->interfaces > n->interfaces)
		return "RESOURCE:ENI";
	for (uint32_t i = 0; i < need->port_count; i++)
		if (port_taken(n, &need->ports[i]))
			return "RESOURCE:PORTS";
	for (uint32_t i = 0; i < need->query_count; i++)
		if (!placement_query_fits(scratch, need->queries[i], n))
			return "MemberOf placement constraint unsatisfied.";
	if (need->distinct && has_of_group(n, need->group))
		return "DistinctInstance placement constraint unsatisfied.";
	return NULL;
}

/* --- strategies: each keeps the best of what the one before has left */

static struct str place_of(const struct placement_node *n, const struct placement_strategy *s)
{
	bool there;
	if (!str_set(s->field))
		return n->id;
	struct str value = placement_attribute(n, s->field, &there);
	return there && str_set(value) ? value : S("");
}

/* How many of the group's tasks are at the same place as this node, on whatever instance. */
static int64_t crowd(const struct placement_node *nodes, uint32_t n, const struct placement_node *at,
                     const struct placement_strategy *s, struct str group)
{
	int64_t count = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (!str_eq(place_of(&nodes[i], s), place_of(at, s)))
			continue;
		for (uint32_t k = 0; k < nodes[i].task_count; k++)
			count += str_eq(nodes[i].tasks[k].group, group);
	}
	return count;
}

struct placement_node *placement_choose(struct arena *scratch, struct placement_node *nodes, uint32_t n,
                                        const struct placement_need *need, uint64_t random)
{
	struct placement_node **left = arena_array(scratch, n + 1, sizeof(struct placement_node *));
	int64_t *scores = arena_array(scratch, n + 1, sizeof(*scores));
	uint32_t count = 0;
	for (uint32_t i = 0; i < n; i++)
		if (!placement_refuses(scratch, &nodes[i], need))
			left[count++] = &nodes[i];
	for (uint32_t k = 0; k < need->strategy_count && count > 1; k++) {
		const struct placement_strategy *s = &need->strategies[k];
		int64_t best = INT64_MAX;
		uint32_t kept = 0;
		if (s->by == PLACE_RANDOM)
			break;
		for (uint32_t i = 0; i < count; i++) {
			scores[i] = s->by == PLACE_BINPACK_CPU      ? left[i]->cpu
			            : s->by == PLACE_BINPACK_MEMORY ? left[i]->memory
			                                            : crowd(nodes, n, left[i], s, need->group);
			best = scores[i] < best ? scores[i] : best;
		}
		for (uint32_t i = 0; i < count; i++)
			if (scores[i] == best)
				left[kept++] = left[i];
		count = kept;
	}
	return count ? left[random % count] : NULL;
}

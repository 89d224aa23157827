/* The table of zones: who has which name, and what lies at it. */
#include "engine/dns/zones_internal.h"

#include "engine/dns/name.h"

#include <stdlib.h>
#include <string.h>

static struct str wire_str(const uint8_t *name)
{
	return str_of(name, dns_name_size(name));
}

struct dns_zones *dns_zones_new(const struct dns_zones_hooks *hooks)
{
	struct dns_zones *z = calloc(1, sizeof(*z));
	if (!z)
		abort();
	if (hooks)
		z->hooks = *hooks;
	return z;
}

/* --- record sets */

static char *copy(char **at, struct str *s)
{
	char *to = *at;
	if (!str_set(*s))
		return to;
	if (s->n)
		memcpy(to, s->p, s->n);
	*at += s->n;
	s->p = to;
	return to;
}

/* A set and all that it points to are one piece of memory. */
static struct dns_set *set_new(const struct dns_set_about *about)
{
	const struct str texts[] = {about->key,      about->region,     about->continent,    about->country,   about->subdivision,
	                            about->location, about->collection, about->health_check, about->alias_zone};
	size_t bytes = about->alias ? dns_name_size(about->alias) : 0;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		bytes += texts[i].n;
	for (uint32_t i = 0; i < about->value_count; i++)
		bytes += about->values[i].n;
	size_t head = sizeof(struct dns_set) + about->value_count * sizeof(struct str);
	struct dns_set *s = calloc(1, head + bytes + 1);
	if (!s)
		abort();
	s->about = *about;
	struct dns_set_about *a = &s->about;
	struct str *values = (struct str *)(void *)(s + 1), *const owned[] = {&a->key,        &a->region,       &a->continent,
	                                                                      &a->country,    &a->subdivision,  &a->location,
	                                                                      &a->collection, &a->health_check, &a->alias_zone};
	char *at = (char *)s + head;
	for (size_t i = 0; i < sizeof(owned) / sizeof(*owned); i++)
		copy(&at, owned[i]);
	for (uint32_t i = 0; i < about->value_count; i++) {
		values[i] = about->values[i];
		copy(&at, &values[i]);
	}
	a->values = values;
	if (about->alias) {
		struct str alias = wire_str(about->alias);
		a->alias = (const uint8_t *)copy(&at, &alias);
	}
	return s;
}

/* --- zones and nodes */

static struct dns_zone *zone_of(struct dns_zones *z, struct str id)
{
	struct dns_zone *zone = map_get(&z->by_id, id);
	if (zone)
		return zone;
	zone = calloc(1, sizeof(*zone));
	if (!zone || !(zone->id = strndup(id.p, id.n)))
		abort();
	map_put(&z->by_id, id, zone);
	return zone;
}

const struct dns_node *dns_node_at(const struct dns_zone *z, const uint8_t *name)
{
	return map_get(&z->nodes, wire_str(name));
}

/* The node of a name, with all above it. */
static struct dns_node *node_of(struct dns_zone *z, const uint8_t *name)
{
	struct dns_node *n = map_get(&z->nodes, wire_str(name));
	if (n)
		return n;
	n = calloc(1, sizeof(*n));
	if (!n)
		abort();
	map_put(&z->nodes, wire_str(name), n);
	if (*name)
		node_of(z, name + 1 + *name)->below++;
	return n;
}

static void node_trim(struct dns_zone *z, const uint8_t *name)
{
	struct dns_node *n = map_get(&z->nodes, wire_str(name));
	while (n && !n->sets && !n->below) {
		map_remove(&z->nodes, wire_str(name));
		free(n);
		n = NULL;
		if (*name) {
			name += 1 + *name;
			n = map_get(&z->nodes, wire_str(name));
			n->below--;
		}
	}
}

static void unlist(struct dns_zones *z, struct dns_zone *zone)
{
	struct str name = str_of(zone->name, zone->name_n);
	struct dns_zone *first = map_get(&z->by_name, name), **at = &first;
	while (*at && *at != zone)
		at = &(*at)->next;
	if (*at)
		*at = zone->next;
	zone->next = NULL;
	if (first)
		map_put(&z->by_name, name, first);
	else
		map_remove(&z->by_name, name);
	zone->known = false;
}

static void drop_vpcs(struct dns_zone *zone)
{
	for (uint32_t i = 0; i < zone->vpc_count; i++)
		free(zone->vpcs[i]);
	free(zone->vpcs);
	zone->vpcs = NULL;
	zone->vpc_count = 0;
}

void dns_zone_put(struct dns_zones *z, struct str id, const struct dns_zone_about *about)
{
	struct dns_zone *zone = zone_of(z, id);
	if (zone->known)
		unlist(z, zone);
	drop_vpcs(zone);
	zone->name_n = dns_name_size(about->name);
	memcpy(zone->name, about->name, zone->name_n);
	zone->private = about->private;
	free(zone->owner);
	if (!(zone->owner = strndup(str_set(about->owner) ? about->owner.p : "", about->owner.n)))
		abort();
	zone->order = about->order;
	zone->vpcs = calloc(about->vpc_count + 1, sizeof(*zone->vpcs));
	for (; zone->vpcs && zone->vpc_count < about->vpc_count; zone->vpc_count++)
		if (!(zone->vpcs[zone->vpc_count] = strndup(about->vpcs[zone->vpc_count].p, about->vpcs[zone->vpc_count].n)))
			abort();
	struct str name = str_of(zone->name, zone->name_n);
	struct dns_zone *first = map_get(&z->by_name, name), **at = &first;
	while (*at && (*at)->order < zone->order)
		at = &(*at)->next;
	zone->next = *at;
	*at = zone;
	map_put(&z->by_name, name, first);
	zone->known = true;
}

static void zone_free(struct dns_zone *zone)
{
	size_t at = 0;
	struct str name;
	void *v;
	while (map_next(&zone->nodes, &at, &name, &v)) {
		struct dns_node *n = v;
		for (struct dns_set *s = n->sets, *next; s; s = next) {
			next = s->next;
			free(s);
		}
		free(n);
	}
	map_done(&zone->nodes);
	drop_vpcs(zone);
	free(zone->owner);
	free(zone->id);
	free(zone);
}

void dns_zone_drop(struct dns_zones *z, struct str id)
{
	struct dns_zone *zone = map_remove(&z->by_id, id);
	if (!zone)
		return;
	if (zone->known)
		unlist(z, zone);
	zone_free(zone);
}

static struct dns_set **find_set(struct dns_node *n, uint16_t type, struct str key)
{
	struct dns_set **at = &n->sets;
	while (*at && ((*at)->about.type != type || !str_eq((*at)->about.key, key)))
		at = &(*at)->next;
	return at;
}

void dns_set_put(struct dns_zones *z, struct str zone, const uint8_t *name, const struct dns_set_about *about)
{
	struct dns_node *n = node_of(zone_of(z, zone), name);
	struct dns_set **at = find_set(n, about->type, about->key), *made = set_new(about);
	made->next = *at ? (*at)->next : NULL;
	free(*at);
	*at = made;
}

void dns_set_drop(struct dns_zones *z, struct str zone, const uint8_t *name, uint16_t type, struct str key)
{
	struct dns_zone *zone_found = map_get(&z->by_id, zone);
	struct dns_node *n = zone_found ? map_get(&zone_found->nodes, wire_str(name)) : NULL;
	struct dns_set **at = n ? find_set(n, type, key) : NULL, *gone = at ? *at : NULL;
	if (!gone)
		return;
	*at = gone->next;
	free(gone);
	node_trim(zone_found, name);
}

void dns_zones_counts(struct dns_zones *z, void (*each)(void *ctx, const char *zone, const char *owner, struct dns_counts *counts),
                      void *ctx)
{
	size_t at = 0;
	struct str id;
	void *v;
	while (map_next(&z->by_id, &at, &id, &v)) {
		struct dns_zone *zone = v;
		if (zone->known && zone->counts.queries)
			each(ctx, zone->id, zone->owner, &zone->counts);
	}
}

void dns_zones_free(struct dns_zones *z)
{
	size_t at = 0;
	struct str id;
	void *zone;
	if (!z)
		return;
	while (map_next(&z->by_id, &at, &id, &zone))
		zone_free(zone);
	map_done(&z->by_id);
	map_done(&z->by_name);
	free(z);
}

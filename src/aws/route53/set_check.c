/* Whether a record set may be: its members together, its values, and what else lies at its name. */
#include "rows.h"

#include "aws/elbv2/elbv2.h"
#include "engine/dns/name.h"
#include "engine/dns/places.h"
#include "engine/dns/rdata.h"

#include <string.h>

enum { VALUES_MAX = 400, GROUP_MAX = 100 };

void route53_wrong(struct call *c, struct route53_checking *k, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str text = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	*LIST_ADD(c->arena, &k->wrong) = text;
}

/* --- the form */

static unsigned policies_of(const struct route53_resource_record_set *s)
{
	return (unsigned)s->weight.set + str_set(s->region) + str_set(s->failover) + (s->geo_location != NULL) +
	       s->multi_value_answer.set + (s->cidr_routing_config != NULL) + (s->geo_proximity_location != NULL);
}

enum dns_policy route53_policy(const struct route53_resource_record_set *s)
{
	return s->weight.set               ? DNS_WEIGHTED
	       : str_set(s->region)        ? DNS_LATENCY
	       : str_set(s->failover)      ? DNS_FAILOVER
	       : s->geo_location           ? DNS_GEOLOCATION
	       : s->geo_proximity_location ? DNS_PROXIMITY
	       : s->cidr_routing_config    ? DNS_BLOCKS
	       : s->multi_value_answer.v   ? DNS_MULTIVALUE
	                                   : DNS_SIMPLE;
}

static struct str change_text(struct call *c, const struct route53_change *change)
{
	const struct route53_resource_record_set *s = change->resource_record_set;
	uint8_t name[DNS_NAME_MAX];
	const char *why;
	struct str text = dns_name_parse(s->name, true, name, &why) ? dns_name_text(c->arena, name) : s->name;
	return arena_printf(c->arena, "Change with [Action=%.*s, Name=%.*s, Type=%.*s, SetIdentifier=%.*s]",
	                    STR_ARG(change->action), STR_ARG(text), STR_ARG(s->type),
	                    STR_ARG(str_set(s->set_identifier) ? s->set_identifier : S("null")));
}

/* One region, or degrees. */
static bool is_place(const struct route53_geo_proximity_location *p)
{
	struct dns_place_at at;
	if (p->local_zone_group.n || !!p->aws_region.n == (p->coordinates != NULL))
		return false;
	if (p->aws_region.n)
		return dns_region_at(p->aws_region, &at);
	return str_to_double(p->coordinates->latitude, &at.latitude) && str_to_double(p->coordinates->longitude, &at.longitude);
}

int route53_set_check_form(struct call *c, const struct route53_change *change)
{
	const struct route53_resource_record_set *s = change->resource_record_set;
	struct str text = change_text(c, change);
	unsigned policies = policies_of(s);
	bool records = s->ttl.set && s->resource_records.n, part = s->ttl.set || s->resource_records.n;
	if (str_set(s->traffic_policy_instance_id))
		return route53_invalid(
		        c, "Invalid request: Traffic policies are not provided by Quartet: TrafficPolicyInstanceId in %.*s",
		        STR_ARG(text));
	if (s->alias_target ? part : !records)
		return route53_invalid(
		        c,
		        "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or "
		        "TrafficPolicyInstanceId], but found %s in %.*s",
		        s->alias_target ? "more than one" : "none", STR_ARG(text));
	if (policies > 1)
		return route53_invalid(
		        c,
		        "Invalid request: Expected exactly one of [Weight, Region, Failover, GeoLocation, MultiValueAnswer, "
		        "GeoProximityLocation, or CidrRoutingConfig], but found more than one in %.*s",
		        STR_ARG(text));
	if (policies && !str_set(s->set_identifier))
		return route53_invalid(c, "Invalid request: Missing field 'SetIdentifier' in %.*s", STR_ARG(text));
	if (!policies && str_set(s->set_identifier))
		return route53_invalid(
		        c,
		        "Invalid request: Expected exactly one of [Weight, Region, Failover, GeoLocation, MultiValueAnswer, "
		        "GeoProximityLocation, or CidrRoutingConfig], but found none in %.*s",
		        STR_ARG(text));
	if (s->multi_value_answer.set &&
	    (s->alias_target || !s->multi_value_answer.v || str_is(s->type, "CNAME") || str_is(s->type, "NS")))
		return route53_invalid(c, "Invalid request: MultiValueAnswer is not possible with these members in %.*s",
		                       STR_ARG(text));
	if (s->cidr_routing_config && !str_is(change->action, "DELETE") && !route53_cidr_there(c, s->cidr_routing_config))
		return route53_invalid(c,
		                       "Invalid request: The CIDR collection %.*s with the location %.*s does not exist, in %.*s",
		                       STR_ARG(s->cidr_routing_config->collection_id),
		                       STR_ARG(s->cidr_routing_config->location_name), STR_ARG(text));
	if (s->geo_proximity_location && !is_place(s->geo_proximity_location))
		return route53_invalid(
		        c,
		        "Invalid request: GeoProximityLocation is not exactly one of [AWSRegion, or Coordinates] that Quartet "
		        "knows, in %.*s",
		        STR_ARG(text));
	if (s->geo_location) {
		const struct route53_geo_location *g = s->geo_location;
		if (!!str_set(g->continent_code) == !!str_set(g->country_code) ||
		    (str_set(g->subdivision_code) && !str_set(g->country_code)))
			return route53_invalid(
			        c,
			        "Invalid request: Expected exactly one of [ContinentCode, or CountryCode with or without "
			        "SubdivisionCode] in %.*s",
			        STR_ARG(text));
		if (!str_is(change->action, "DELETE") && !route53_geo_there(g))
			return route53_invalid(c, "Invalid request: The GeoLocation is not supported in %.*s", STR_ARG(text));
	}
	return CALL_OK;
}

/* --- what else lies at the name */

static const struct route53_geo_location no_place;

static bool same_role(const struct route53_resource_record_set *a, const struct route53_resource_record_set *b)
{
	const struct route53_geo_location *x = a->geo_location ? a->geo_location : &no_place,
	                                  *y = b->geo_location ? b->geo_location : &no_place;
	switch (route53_policy(a)) {
	case DNS_LATENCY:
		return str_eq(a->region, b->region);
	case DNS_FAILOVER:
		return str_eq(a->failover, b->failover);
	case DNS_GEOLOCATION:
		return str_eq(x->continent_code, y->continent_code) && str_eq(x->country_code, y->country_code) &&
		       str_eq(x->subdivision_code, y->subdivision_code);
	case DNS_BLOCKS:
		/* all of a name go by one collection */
		return str_eq(a->cidr_routing_config->location_name, b->cidr_routing_config->location_name) ||
		       !str_eq(a->cidr_routing_config->collection_id, b->cidr_routing_config->collection_id);
	default:
		return false;
	}
}

static void check_neighbours(struct call *c, struct route53_checking *k, const struct route53_resource_record_set *s,
                             const uint8_t *name)
{
	struct str under = route53_sets_named(c->arena, route53_zone_id(k->zone), name, STR_NONE), key, zone = k->zone->zone->name;
	struct store_iter *iter = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	bool is_cname = str_is(s->type, "CNAME");
	unsigned group = 0;
	while (store_next(iter, &key, &v)) {
		struct route53_resource_record_set other;
		if (!route53_set_read(c->arena, v.value, &other))
			continue;
		bool same_type = str_eq(other.type, s->type);
		if (is_cname && !same_type) {
			route53_wrong(
			        c, k,
			        "RRSet of type CNAME with DNS name %.*s is not permitted as it conflicts with other records with the same "
			        "DNS name in zone %.*s",
			        STR_ARG(s->name), STR_ARG(zone));
			return;
		}
		if (!is_cname && str_is(other.type, "CNAME")) {
			route53_wrong(
			        c, k,
			        "RRSet of type %.*s with DNS name %.*s is not permitted because a conflicting RRSet of type CNAME with "
			        "the same DNS name already exists in zone %.*s",
			        STR_ARG(s->type), STR_ARG(s->name), STR_ARG(zone));
			return;
		}
		if (!same_type || str_eq(other.set_identifier, s->set_identifier))
			continue;
		group++;
		if (route53_policy(&other) != route53_policy(s) || same_role(s, &other)) {
			struct str id =
			        str_set(s->set_identifier) ? ARENA_CAT(c->arena, S(", SetIdentifier "), s->set_identifier) : S("");
			route53_wrong(
			        c, k,
			        "RRSet with DNS name %.*s, type %.*s%.*s cannot be created as other RRSets exist with the same name and type.",
			        STR_ARG(s->name), STR_ARG(s->type), STR_ARG(id));
			return;
		}
	}
	if (group >= GROUP_MAX)
		route53_wrong(
		        c, k,
		        "RRSet with DNS name %.*s, type %.*s cannot be created as the maximum of %d RRSets with the same name and type is reached.",
		        STR_ARG(s->name), STR_ARG(s->type), GROUP_MAX);
}

/* --- aliases */

static void check_alias(struct call *c, struct route53_checking *k, const struct route53_resource_record_set *s)
{
	const struct route53_alias_target *t = s->alias_target;
	struct str zone = route53_zone_id(k->zone), found;
	uint8_t target[DNS_NAME_MAX];
	const char *why;
	struct store_value v;
	if (!dns_name_parse(t->dns_name, true, target, &why)) {
		route53_wrong(c, k, "FATAL problem: %s encountered with '%.*s'", why, STR_ARG(t->dns_name));
		return;
	}
	if (str_is(s->type, "NS") || str_is(s->type, "SOA")) {
		route53_wrong(c, k, "Alias records of type %.*s are not possible", STR_ARG(s->type));
		return;
	}
	if (elbv2_is_alias(c->cloud, t->hosted_zone_id, target)) {
		if (!str_is(s->type, "A") && !str_is(s->type, "AAAA"))
			route53_wrong(
			        c, k,
			        "Tried to create an alias that targets %.*s, type %.*s in zone %.*s, but that target was not found",
			        STR_ARG(t->dns_name), STR_ARG(s->type), STR_ARG(t->hosted_zone_id));
		return;
	}
	if (!str_eq(t->hosted_zone_id, zone)) {
		route53_wrong(
		        c, k,
		        "Tried to create an alias that targets %.*s, type %.*s in zone %.*s, but the alias target name does not lie within the target zone",
		        STR_ARG(t->dns_name), STR_ARG(s->type), STR_ARG(t->hosted_zone_id));
		return;
	}
	if (!dns_name_within(target, k->apex)) {
		route53_wrong(
		        c, k,
		        "Tried to create an alias that targets %.*s, type %.*s in zone %.*s, but the alias target name does not lie within the target zone",
		        STR_ARG(t->dns_name), STR_ARG(s->type), STR_ARG(zone));
		return;
	}
	struct str under = route53_sets_named(c->arena, zone, target, s->type);
	struct store_iter *iter = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	if (!store_next(iter, &found, &v) || str_eq(t->dns_name, s->name))
		route53_wrong(c, k,
		              "Tried to create an alias that targets %.*s, type %.*s in zone %.*s, but that target was not found",
		              STR_ARG(t->dns_name), STR_ARG(s->type), STR_ARG(zone));
}

/* --- values */

static void check_records(struct call *c, struct route53_checking *k, const struct route53_resource_record_set *s)
{
	uint8_t wire[DNS_RDATA_MAX];
	size_t n;
	uint16_t type = dns_type_named(s->type);
	for (uint32_t i = 0; i < s->resource_records.n; i++) {
		struct str value = s->resource_records.v[i].value;
		const char *why = dns_rdata_parse(type, value, wire, &n);
		if (why)
			route53_wrong(c, k, "Invalid Resource Record: 'FATAL problem: %s encountered with '%.*s''", why,
			              STR_ARG(value));
		for (uint32_t j = 0; j < i; j++)
			if (str_eq(s->resource_records.v[j].value, value)) {
				route53_wrong(c, k, "Duplicate Resource Record: '%.*s'", STR_ARG(value));
				break;
			}
	}
	if (s->resource_records.n > VALUES_MAX)
		route53_wrong(c, k, "A resource record set has at most %d values", VALUES_MAX);
	if (s->resource_records.n > 1 && (type == DNS_CNAME || type == DNS_SOA || s->multi_value_answer.v))
		route53_wrong(c, k, "RRSet of type %.*s with DNS name %.*s may have only one value", STR_ARG(s->type),
		              STR_ARG(s->name));
}

void route53_set_check_values(struct call *c, struct route53_checking *k, const struct route53_resource_record_set *s,
                              const uint8_t *name)
{
	size_t n = dns_name_size(name);
	bool apex = n == dns_name_size(k->apex);
	if (apex && str_is(s->type, "CNAME"))
		route53_wrong(c, k, "RRSet of type CNAME with DNS name %.*s is not permitted at apex in zone %.*s",
		              STR_ARG(s->name), STR_ARG(k->zone->zone->name));
	if (!apex && str_is(s->type, "SOA"))
		route53_wrong(c, k, "RRSet of type SOA with DNS name %.*s is not permitted as it is not at the apex of zone %.*s",
		              STR_ARG(s->name), STR_ARG(k->zone->zone->name));
	if (str_set(s->set_identifier) && (str_is(s->type, "SOA") || (apex && str_is(s->type, "NS"))))
		route53_wrong(c, k, "RRSet of type %.*s with DNS name %.*s has no routing policy", STR_ARG(s->type),
		              STR_ARG(s->name));
	if (s->alias_target)
		check_alias(c, k, s);
	else
		check_records(c, k, s);
	check_neighbours(c, k, s, name);
}

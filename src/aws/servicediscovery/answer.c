/* Names of private namespaces, as the resolver of their VPC answers them.
 *
 *	service.namespace            A: addresses of instances; SRV: targets below, with those' addresses beside them
 *	instance.service.namespace   A, in services with SRV records
 *
 * Up to eight healthy instances in random order, all of them when none is healthy; one with the routing policy WEIGHTED. */
#include "rows.h"

#include "base/rand.h"

#include <arpa/inet.h>

enum { ANSWERS_MAX = 8, SRV_PRIORITY = 1, SRV_WEIGHT = 1 };

struct question {
	const struct discovery_scope *scope;
	const struct dns_query *query;
	struct dns_writer *answer;
	struct str zone;
	struct state_servicediscovery_namespace_record namespace;
	struct state_servicediscovery_service_record service;
	struct str service_name;
};

struct hosts {
	struct state_servicediscovery_instance_record *v;
	uint32_t n;
	bool set;
};

static bool wants(const struct question *q, enum dns_type type)
{
	return q->query->type == type || q->query->type == DNS_ANY;
}

static enum dns_said nothing(const struct question *q, bool exists)
{
	const struct servicediscovery_dns_properties *d = q->namespace.namespace->properties->dns_properties;
	dns_put_soa(q->answer, arena_dupz(q->scope->arena, q->zone), "ns0.amazonaws.com", (uint32_t)(d->soa ? d->soa->ttl.v : 0));
	return exists ? DNS_ANSWERED : DNS_ABSENT;
}

static uint32_t ttl(const struct question *q)
{
	return (uint32_t)q->service.service->dns_config->dns_records.v[0].ttl.v;
}

static uint32_t address_of(const struct question *q, const struct state_servicediscovery_instance_record *i)
{
	struct in_addr a = {0};
	inet_pton(AF_INET, arena_dupz(q->scope->arena, str_map_get(&i->attributes, S("AWS_INSTANCE_IPV4"))), &a);
	return ntohl(a.s_addr);
}

/* --- which instances */

static struct hosts of_service(const struct question *q, bool *ret_any)
{
	struct str under = discovery_instances_under(q->scope, q->service.service->id), key;
	struct store_iter *iter = store_scan(q->scope->txn, under, store_prefix_end(q->scope->arena, under), false);
	struct store_value value;
	struct hosts all = {0}, well = {0};
	while (store_next(iter, &key, &value)) {
		struct state_servicediscovery_instance_record r;
		if (!discovery_instance_read(q->scope->arena, value.value, &r))
			continue;
		*LIST_ADD(q->scope->arena, &all) = r;
		if (!r.unhealthy.v)
			*LIST_ADD(q->scope->arena, &well) = r;
	}
	*ret_any = all.n;
	return well.n ? well : all;
}

static struct hosts chosen(const struct question *q, bool *ret_any)
{
	struct hosts all = of_service(q, ret_any);
	uint32_t most = str_is(q->service.service->dns_config->routing_policy, "WEIGHTED") ? 1 : ANSWERS_MAX;
	for (uint32_t i = 0; i < all.n && i < most; i++) {
		uint32_t k = i + (uint32_t)rand_below(all.n - i);
		struct state_servicediscovery_instance_record one = all.v[k];
		all.v[k] = all.v[i];
		all.v[i] = one;
	}
	all.n = all.n < most ? all.n : most;
	return all;
}

/* --- answers */

static const char *target_name(const struct question *q, const struct state_servicediscovery_instance_record *i)
{
	struct str name = ARENA_CAT(q->scope->arena, i->id, S("."), q->service_name, S("."), q->zone);
	return arena_dupz(q->scope->arena, discovery_lower(q->scope->arena, name));
}

static enum dns_said service_name(const struct question *q)
{
	bool any, targets = discovery_has_record(q->service.service, "SRV");
	struct hosts found = chosen(q, &any);
	if (!any)
		return nothing(q, false);
	if (!wants(q, targets ? DNS_SRV : DNS_A))
		return nothing(q, true);
	for (uint32_t i = 0; i < found.n; i++) {
		int64_t port = 0;
		str_to_i64(str_map_get(&found.v[i].attributes, S("AWS_INSTANCE_PORT")), &port);
		if (targets)
			dns_put_service(q->answer, DNS_ANSWER, NULL, ttl(q), SRV_PRIORITY, SRV_WEIGHT, (uint16_t)port,
			                target_name(q, &found.v[i]));
		else
			dns_put_address(q->answer, DNS_ANSWER, NULL, ttl(q), address_of(q, &found.v[i]));
	}
	for (uint32_t i = 0; targets && i < found.n; i++)
		dns_put_address(q->answer, DNS_ADDITIONAL, target_name(q, &found.v[i]), ttl(q), address_of(q, &found.v[i]));
	return DNS_ANSWERED;
}

static enum dns_said instance_name(const struct question *q, struct str id)
{
	bool any;
	struct str under = discovery_instances_under(q->scope, q->service.service->id), key;
	struct store_iter *iter = store_scan(q->scope->txn, under, store_prefix_end(q->scope->arena, under), false);
	struct store_value value;
	any = discovery_has_record(q->service.service, "SRV");
	while (any && store_next(iter, &key, &value)) {
		struct state_servicediscovery_instance_record r;
		if (!discovery_instance_read(q->scope->arena, value.value, &r) || !str_ieq(r.id, id))
			continue;
		if (!wants(q, DNS_A))
			return nothing(q, true);
		dns_put_address(q->answer, DNS_ANSWER, NULL, ttl(q), address_of(q, &r));
		return DNS_ANSWERED;
	}
	return nothing(q, false);
}

static bool find_service(struct question *q, struct str name)
{
	struct str id;
	q->service_name = name;
	return discovery_service_named(q->scope, q->namespace.namespace->id, name, &id) &&
	       discovery_service_find(q->scope, id, &q->service) && q->service.service->dns_config;
}

struct str discovery_zone_of(const struct discovery_scope *s, struct str vpc, struct str name)
{
	struct str id, zone;
	for (zone = name; str_set(zone); str_cut(&zone, '.'))
		if (discovery_zone(s, vpc, zone, &id))
			return zone;
	return STR_NONE;
}

enum dns_said discovery_answer(const struct discovery_scope *s, struct str vpc, const struct dns_query *query, struct dns_writer *w)
{
	struct question q = {.scope = s, .query = query, .answer = w};
	struct str name = str_from(query->name), id;
	/* The innermost of zones within zones is the one that knows. */
	for (q.zone = name; str_set(q.zone); str_cut(&q.zone, '.'))
		if (discovery_zone(s, vpc, q.zone, &id) && discovery_namespace_find(s, id, &q.namespace))
			break;
	if (!str_set(q.zone))
		return DNS_NOT_MINE;
	if (q.zone.n == name.n)
		return nothing(&q, true);
	struct str inner = str_sub(name, 0, name.n - q.zone.n - 1), outer = inner;
	if (find_service(&q, inner))
		return service_name(&q);
	id = str_cut(&outer, '.');
	return str_set(outer) && find_service(&q, outer) ? instance_name(&q, id) : nothing(&q, false);
}

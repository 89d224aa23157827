/* DiscoverInstances and DiscoverInstancesRevision: by the names of namespace and service. */
#include "rows.h"

#include "base/rand.h"

enum { FOUND_STANDARD = 100 };

static int find(struct call *c, struct str namespace_name, struct str service_name,
                struct state_servicediscovery_service_record *ret)
{
	struct discovery_scope s = discovery_scope(c);
	struct str namespace, service;
	if (!discovery_namespace_named(&s, namespace_name, &namespace))
		return call_fail(c, "NamespaceNotFound", 400, "Namespace %.*s was not found", STR_ARG(namespace_name));
	if (!discovery_service_named(&s, namespace, service_name, &service) || !discovery_service_find(&s, service, ret))
		return call_fail(c, "ServiceNotFound", 400, "Service %.*s was not found", STR_ARG(service_name));
	return CALL_OK;
}

static bool matches(const struct str_map *attributes, const struct str_map *wanted)
{
	for (uint32_t i = 0; i < wanted->n; i++) {
		struct str value = str_map_get(attributes, wanted->v[i].key);
		if (!str_set(value) || !str_eq(value, wanted->v[i].value))
			return false;
	}
	return true;
}

struct found {
	struct state_servicediscovery_instance_record *v;
	uint32_t n;
	bool set;
};

static struct found all_of(struct call *c, struct str service, const struct str_map *wanted)
{
	struct discovery_scope s = discovery_scope(c);
	struct str under = discovery_instances_under(&s, service), key;
	struct store_iter *iter = store_scan(s.txn, under, store_prefix_end(c->arena, under), false);
	struct store_value value;
	struct found all = {0};
	while (store_next(iter, &key, &value)) {
		struct state_servicediscovery_instance_record r;
		if (discovery_instance_read(c->arena, value.value, &r) && matches(&r.attributes, wanted))
			*LIST_ADD(c->arena, &all) = r;
	}
	return all;
}

/* Those that pass, or all when none does and that is what is wanted. */
static struct found with_health(struct call *c, struct found all, struct str filter)
{
	struct found left = {0};
	bool unhealthy = str_is(filter, "UNHEALTHY");
	if (str_is(filter, "ALL"))
		return all;
	for (uint32_t i = 0; i < all.n; i++)
		if (all.v[i].unhealthy.v == unhealthy)
			*LIST_ADD(c->arena, &left) = all.v[i];
	return left.n || (filter.n && !str_is(filter, "HEALTHY_OR_ELSE_ALL")) ? left : all;
}

static struct found with_wishes(struct call *c, struct found all, const struct str_map *wishes)
{
	struct found left = {0};
	for (uint32_t i = 0; i < all.n; i++)
		if (matches(&all.v[i].attributes, wishes))
			*LIST_ADD(c->arena, &left) = all.v[i];
	return left.n ? left : all;
}

int servicediscovery_discover_instances(struct call *c, const struct servicediscovery_discover_instances_request *in,
                                        struct servicediscovery_discover_instances_response *out)
{
	struct discovery_scope s = discovery_scope(c);
	struct state_servicediscovery_service_record r;
	out->instances.set = true;
	if (find(c, in->namespace_name, in->service_name, &r) != CALL_OK)
		return CALL_FAIL;
	bool told = r.service->health_check_custom_config != NULL;
	struct found all = all_of(c, r.service->id, &in->query_parameters);
	if (told)
		all = with_health(c, all, in->health_status);
	all = with_wishes(c, all, &in->optional_parameters);
	uint32_t most = (uint32_t)(in->max_results.set ? in->max_results.v : FOUND_STANDARD);
	for (uint32_t i = 0; i < all.n && i < most; i++) {
		uint32_t k = i + (uint32_t)rand_below(all.n - i);
		struct state_servicediscovery_instance_record one = all.v[k];
		all.v[k] = all.v[i];
		one.attributes.set = true;
		*LIST_ADD(c->arena, &out->instances) =
		        (struct servicediscovery_http_instance_summary){.instance_id = one.id,
		                                                        .namespace_name = in->namespace_name,
		                                                        .service_name = r.service->name,
		                                                        .health_status = !told             ? S("UNKNOWN")
		                                                                         : one.unhealthy.v ? S("UNHEALTHY")
		                                                                                           : S("HEALTHY"),
		                                                        .attributes = one.attributes};
	}
	out->instances_revision = OPT_INT(discovery_revision(&s, r.service->id));
	return CALL_OK;
}

int servicediscovery_discover_instances_revision(struct call *c,
                                                 const struct servicediscovery_discover_instances_revision_request *in,
                                                 struct servicediscovery_discover_instances_revision_response *out)
{
	struct discovery_scope s = discovery_scope(c);
	struct state_servicediscovery_service_record r;
	if (find(c, in->namespace_name, in->service_name, &r) != CALL_OK)
		return CALL_FAIL;
	out->instances_revision = OPT_INT(discovery_revision(&s, r.service->id));
	return CALL_OK;
}

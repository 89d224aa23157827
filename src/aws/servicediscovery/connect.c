/* Names in a namespace, for whoever reaches instances through a proxy and not through a resolver. */
#include "base/id.h"
#include "rows.h"

static struct str arn_of(const struct discovery_scope *s, const char *type, struct str id)
{
	return arena_printf(s->arena, "arn:aws:servicediscovery:%.*s:%.*s:%s/%.*s", STR_ARG(s->region), STR_ARG(s->account), type,
	                    STR_ARG(id));
}

static struct str id_of(const struct discovery_scope *s, const char *type, struct str text)
{
	struct str head = arn_of(s, type, S(""));
	return str_starts(text, head) ? str_from_at(text, head.n) : text;
}

bool discovery_find_namespace(const struct discovery_scope *s, struct str text, struct discovery_namespace *ret)
{
	struct state_servicediscovery_namespace_record r = {0};
	struct str id = id_of(s, "namespace", text), named;
	if (!discovery_namespace_find(s, id, &r) &&
	    (!discovery_namespace_named(s, text, &named) || !discovery_namespace_find(s, named, &r)))
		return false;
	*ret = (struct discovery_namespace){r.namespace->id, r.namespace->name, r.namespace->arn};
	return true;
}

int discovery_make_namespace(struct call *c, struct str name, struct discovery_namespace *ret)
{
	struct discovery_scope s = discovery_scope(c);
	struct servicediscovery_create_http_namespace_request in = {.name = name};
	struct servicediscovery_create_http_namespace_response out = {0};
	if (discovery_find_namespace(&s, name, ret))
		return CALL_OK;
	if (servicediscovery_create_http_namespace(c, &in, &out) != CALL_OK)
		return CALL_FAIL;
	discovery_find_namespace(&s, name, ret);
	return CALL_OK;
}

struct str discovery_make_service(const struct discovery_scope *s, struct str namespace, struct str name, int64_t now_ms)
{
	struct str id;
	if (discovery_service_named(s, namespace, name, &id))
		return arn_of(s, "service", id);
	struct servicediscovery_service *v = arena_new(s->arena, struct servicediscovery_service);
	*v = (struct servicediscovery_service){
	        .id = ARENA_CAT(s->arena, S("srv-"), discovery_lower(s->arena, id_base32(s->arena, STR_NONE, 16))),
	        .resource_owner = s->account,
	        .name = name,
	        .namespace_id = namespace,
	        .description = S("Managed by Amazon ECS Service Connect"),
	        .type = S("HTTP"),
	        .create_date = OPT_TIME(now_ms),
	        .creator_request_id = id_uuid(s->arena),
	        .created_by_account = s->account,
	};
	v->arn = arn_of(s, "service", v->id);
	v->health_check_custom_config = arena_new(s->arena, struct servicediscovery_health_check_custom_config);
	v->health_check_custom_config->failure_threshold = OPT_INT(1);
	struct state_servicediscovery_service_record r = {.service = v};
	discovery_service_put(s, &r);
	return v->arn;
}

struct each {
	const struct discovery_scope *s;
	struct store_iter *iter;
};

static struct each each_instance(const struct discovery_scope *s, struct str service)
{
	struct str under = discovery_instances_under(s, service);
	return (struct each){s, store_scan(s->txn, under, store_prefix_end(s->arena, under), false)};
}

static bool next_instance(struct each *e, struct state_servicediscovery_instance_record *ret)
{
	struct str key;
	struct store_value v;
	*ret = (struct state_servicediscovery_instance_record){0};
	return store_next(e->iter, &key, &v) && discovery_instance_read(e->s->arena, v.value, ret);
}

void discovery_retire_service(const struct discovery_scope *s, struct str arn)
{
	struct str id = id_of(s, "service", arn);
	struct state_servicediscovery_service_record r;
	struct state_servicediscovery_instance_record i;
	struct str_list all = {0};
	if (!discovery_service_find(s, id, &r))
		return;
	for (struct each e = each_instance(s, id); next_instance(&e, &i);)
		*LIST_ADD(s->arena, &all) = i.id;
	for (uint32_t k = 0; k < all.n; k++)
		discovery_instance_drop(s, id, all.v[k]);
	discovery_service_drop(s, &r);
}

struct str_list discovery_endpoints(const struct discovery_scope *s, struct str arn)
{
	struct str_list all = {0};
	struct state_servicediscovery_instance_record i;
	for (struct each e = each_instance(s, id_of(s, "service", arn)); next_instance(&e, &i);) {
		struct str address = str_map_get(&i.attributes, S("AWS_INSTANCE_IPV4")),
		           port = str_map_get(&i.attributes, S("AWS_INSTANCE_PORT"));
		if (!i.unhealthy.v && address.n && port.n)
			*LIST_ADD(s->arena, &all) = ARENA_CAT(s->arena, address, S(":"), port);
	}
	return all;
}

struct str discovery_changes_under(const struct discovery_scope *s)
{
	return KEY_UNDER(s->arena, S("discovery"), S("revision"), s->account, s->region);
}

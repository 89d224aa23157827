/* Instances of a service: what a name leads to. They are registered, told to be well or not, and deregistered. */
#include "rows.h"

#include "base/id.h"

#include <arpa/inet.h>

enum { ATTRIBUTES_MAX = 30, ATTRIBUTES_BYTES_MAX = 5000, PORT_MAX = 65535 };

/* --- checks */

static bool good_address(struct str text)
{
	char dots[INET_ADDRSTRLEN];
	struct in_addr a;
	if (!text.n || text.n >= sizeof(dots))
		return false;
	memcpy(dots, text.p, text.n);
	dots[text.n] = '\0';
	return inet_pton(AF_INET, dots, &a) == 1;
}

static int check_special(struct call *c, const struct servicediscovery_service *v, const struct str_map *given)
{
	struct str ipv4 = str_map_get(given, S("AWS_INSTANCE_IPV4")), port = str_map_get(given, S("AWS_INSTANCE_PORT"));
	struct str health = str_map_get(given, S("AWS_INIT_HEALTH_STATUS"));
	int64_t number = 0;
	if (str_set(str_map_get(given, S("AWS_ALIAS_DNS_NAME"))) || str_set(str_map_get(given, S("AWS_EC2_INSTANCE_ID"))))
		return discovery_invalid(
		        c, "The attributes AWS_ALIAS_DNS_NAME and AWS_EC2_INSTANCE_ID are not supported by this cloud.");
	if (str_set(ipv4) && !good_address(ipv4))
		return discovery_invalid(c, "The value of AWS_INSTANCE_IPV4 is not an IPv4 address.");
	if (str_set(port) && (!str_to_i64(port, &number) || number < 1 || number > PORT_MAX))
		return discovery_invalid(c, "The value of AWS_INSTANCE_PORT is not a port.");
	if ((discovery_has_record(v, "A") || discovery_has_record(v, "SRV")) && !str_set(ipv4))
		return discovery_invalid(c, "AWS_INSTANCE_IPV4 is needed by a service with records of the type A or SRV.");
	if (discovery_has_record(v, "SRV") && !str_set(port))
		return discovery_invalid(c, "AWS_INSTANCE_PORT is needed by a service with records of the type SRV.");
	if (!str_set(health))
		return CALL_OK;
	if (!v->health_check_custom_config)
		return discovery_invalid(c, "AWS_INIT_HEALTH_STATUS is for services with HealthCheckCustomConfig.");
	if (!str_is(health, "HEALTHY") && !str_is(health, "UNHEALTHY"))
		return discovery_invalid(c, "AWS_INIT_HEALTH_STATUS is HEALTHY or UNHEALTHY.");
	return CALL_OK;
}

static int check(struct call *c, const struct servicediscovery_service *v,
                 const struct servicediscovery_register_instance_request *in)
{
	size_t bytes = 0;
	uint32_t own = 0;
	for (uint32_t i = 0; i < in->attributes.n; i++) {
		bytes += in->attributes.v[i].key.n + in->attributes.v[i].value.n;
		own += !str_starts(in->attributes.v[i].key, S("AWS_"));
	}
	if (own > ATTRIBUTES_MAX || bytes > ATTRIBUTES_BYTES_MAX)
		return discovery_invalid(c, "An instance can have at most %d attributes of %d characters altogether.",
		                         ATTRIBUTES_MAX, ATTRIBUTES_BYTES_MAX);
	return check_special(c, v, &in->attributes);
}

/* --- operations */

int servicediscovery_register_instance(struct call *c, const struct servicediscovery_register_instance_request *in,
                                       struct servicediscovery_register_instance_response *out)
{
	struct discovery_scope s = discovery_scope(c);
	struct state_servicediscovery_service_record r;
	struct state_servicediscovery_instance_record i = {.id = in->instance_id};
	if (discovery_service_get(c, in->service_id, &r) != CALL_OK || check(c, r.service, in) != CALL_OK)
		return CALL_FAIL;
	i.creator_request_id = in->creator_request_id.n ? in->creator_request_id : id_uuid(c->arena);
	for (uint32_t k = 0; k < in->attributes.n; k++)
		if (!str_is(in->attributes.v[k].key, "AWS_INIT_HEALTH_STATUS"))
			*LIST_ADD(c->arena, &i.attributes) = in->attributes.v[k];
	if (r.service->health_check_custom_config)
		i.unhealthy = OPT_BOOL(str_is(str_map_get(&in->attributes, S("AWS_INIT_HEALTH_STATUS")), "UNHEALTHY"));
	discovery_instance_put(&s, r.service->id, &i);
	out->operation_id = discovery_done(c, "REGISTER_INSTANCE", "INSTANCE", i.id, "SERVICE", r.service->id);
	return CALL_OK;
}

/* The service and one instance of it. */
static int get(struct call *c, struct str service, struct str instance, struct state_servicediscovery_service_record *ret,
               struct state_servicediscovery_instance_record *ret_instance)
{
	struct discovery_scope s = discovery_scope(c);
	if (discovery_service_get(c, service, ret) != CALL_OK)
		return CALL_FAIL;
	if (!discovery_instance_find(&s, ret->service->id, instance, ret_instance))
		return call_fail(c, "InstanceNotFound", 400, "Instance %.*s was not found", STR_ARG(instance));
	return CALL_OK;
}

int servicediscovery_deregister_instance(struct call *c, const struct servicediscovery_deregister_instance_request *in,
                                         struct servicediscovery_deregister_instance_response *out)
{
	struct discovery_scope s = discovery_scope(c);
	struct state_servicediscovery_service_record r;
	struct state_servicediscovery_instance_record i;
	if (get(c, in->service_id, in->instance_id, &r, &i) != CALL_OK)
		return CALL_FAIL;
	discovery_instance_drop(&s, r.service->id, i.id);
	out->operation_id = discovery_done(c, "DEREGISTER_INSTANCE", "INSTANCE", i.id, "SERVICE", r.service->id);
	return CALL_OK;
}

int servicediscovery_get_instance(struct call *c, const struct servicediscovery_get_instance_request *in,
                                  struct servicediscovery_get_instance_response *out)
{
	struct state_servicediscovery_service_record r;
	struct state_servicediscovery_instance_record i;
	if (get(c, in->service_id, in->instance_id, &r, &i) != CALL_OK)
		return CALL_FAIL;
	out->resource_owner = c->account;
	out->instance = arena_new(c->arena, struct servicediscovery_instance);
	*out->instance = (struct servicediscovery_instance){.id = i.id,
	                                                    .creator_request_id = i.creator_request_id,
	                                                    .attributes = i.attributes,
	                                                    .created_by_account = c->account};
	out->instance->attributes.set = true;
	return CALL_OK;
}

int servicediscovery_list_instances(struct call *c, const struct servicediscovery_list_instances_request *in,
                                    struct servicediscovery_list_instances_response *out)
{
	struct discovery_scope s = discovery_scope(c);
	struct state_servicediscovery_service_record r;
	struct discovery_walk w;
	struct str last = STR_NONE;
	out->instances.set = true;
	if (discovery_service_get(c, in->service_id, &r) != CALL_OK ||
	    discovery_walk_begin(c, &w, discovery_instances_under(&s, r.service->id), in->next_token, in->max_results) != CALL_OK)
		return CALL_FAIL;
	out->resource_owner = c->account;
	while (discovery_walk_next(&w)) {
		struct state_servicediscovery_instance_record i;
		if (!discovery_instance_read(c->arena, w.value, &i))
			continue;
		if (out->instances.n == w.limit) {
			out->next_token = discovery_page_token(c, last);
			break;
		}
		i.attributes.set = true;
		*LIST_ADD(c->arena, &out->instances) = (struct servicediscovery_instance_summary){
		        .id = i.id, .attributes = i.attributes, .created_by_account = c->account};
		last = w.key;
	}
	return CALL_OK;
}

/* --- health */

static struct str health(const struct state_servicediscovery_service_record *r,
                         const struct state_servicediscovery_instance_record *i)
{
	return !r->service->health_check_custom_config ? S("UNKNOWN") : i->unhealthy.v ? S("UNHEALTHY") : S("HEALTHY");
}

int servicediscovery_get_instances_health_status(struct call *c,
                                                 const struct servicediscovery_get_instances_health_status_request *in,
                                                 struct servicediscovery_get_instances_health_status_response *out)
{
	struct discovery_scope s = discovery_scope(c);
	struct state_servicediscovery_service_record r;
	struct state_servicediscovery_instance_record i;
	struct discovery_walk w;
	struct str last = STR_NONE;
	out->status.set = true;
	if (discovery_service_get(c, in->service_id, &r) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t k = 0; k < in->instances.n; k++) {
		if (get(c, in->service_id, in->instances.v[k], &r, &i) != CALL_OK)
			return CALL_FAIL;
		*LIST_ADD(c->arena, &out->status) = (struct str_map_entry){i.id, health(&r, &i)};
	}
	if (in->instances.set)
		return CALL_OK;
	if (discovery_walk_begin(c, &w, discovery_instances_under(&s, r.service->id), in->next_token, in->max_results) != CALL_OK)
		return CALL_FAIL;
	while (discovery_walk_next(&w)) {
		if (!discovery_instance_read(c->arena, w.value, &i))
			continue;
		if (out->status.n == w.limit) {
			out->next_token = discovery_page_token(c, last);
			break;
		}
		*LIST_ADD(c->arena, &out->status) = (struct str_map_entry){i.id, health(&r, &i)};
		last = w.key;
	}
	return CALL_OK;
}

int servicediscovery_update_instance_custom_health_status(
        struct call *c, const struct servicediscovery_update_instance_custom_health_status_request *in, struct model_none *out)
{
	struct discovery_scope s = discovery_scope(c);
	struct state_servicediscovery_service_record r;
	struct state_servicediscovery_instance_record i;
	(void)out;
	if (get(c, in->service_id, in->instance_id, &r, &i) != CALL_OK)
		return CALL_FAIL;
	if (!r.service->health_check_custom_config)
		return call_fail(c, "CustomHealthNotFound", 400, "The service %.*s has no custom health check.",
		                 STR_ARG(r.service->id));
	i.unhealthy = OPT_BOOL(str_is(in->status, "UNHEALTHY"));
	discovery_instance_put(&s, r.service->id, &i);
	return CALL_OK;
}

#include "rows.h"

#include <stdlib.h>

enum { OPERATION_LIFE_MS = 24 * 3600 * 1000, HOUR_MS = 3600 * 1000 };

struct state {
	struct cloud *cloud;
	int64_t lease, lease_until_ms;
};

/* One lease serves the operations of an hour. */
int64_t discovery_lease(struct call *c)
{
	struct state *s = cloud_state(c->cloud, &servicediscovery_service);
	if (!s->lease || c->now_ms >= s->lease_until_ms) {
		s->lease = store_lease_grant(c->cloud->store, OPERATION_LIFE_MS + HOUR_MS);
		s->lease_until_ms = c->now_ms + HOUR_MS;
	}
	return s->lease;
}

/* --- what permissions are about */

static int about_namespace(struct call *c, struct authz *az, struct str text)
{
	struct discovery_scope s = discovery_scope(c);
	struct state_servicediscovery_namespace_record r;
	struct str id = discovery_id(c, "namespace", text);
	az->resource = str_set(id) ? discovery_arn(c, "namespace", id) : text;
	if (str_set(id) && discovery_namespace_find(&s, id, &r))
		discovery_authz_tags(c, az, &r.tags);
	return CALL_OK;
}

static int about_service(struct call *c, struct authz *az, struct str text)
{
	struct discovery_scope s = discovery_scope(c);
	struct state_servicediscovery_service_record r;
	struct str id = discovery_id(c, "service", text);
	az->resource = str_set(id) ? discovery_arn(c, "service", id) : text;
	authz_add(c, az, "servicediscovery:ServiceArn", az->resource);
	if (str_set(id) && discovery_service_find(&s, id, &r))
		discovery_authz_tags(c, az, &r.tags);
	return CALL_OK;
}

static int about_arn(struct call *c, struct authz *az, struct str arn)
{
	return str_starts(arn, discovery_arn(c, "service", S(""))) ? about_service(c, az, arn) : about_namespace(c, az, arn);
}

/* The rows have names, and no ARN is given. */
static int about_names(struct call *c, struct authz *az, struct str namespace, struct str service)
{
	az->resource = S("*");
	authz_add(c, az, "servicediscovery:NamespaceName", namespace);
	authz_add(c, az, "servicediscovery:ServiceName", service);
	return CALL_OK;
}

static int about_new(struct call *c, struct authz *az, const struct servicediscovery_tag_list *tags)
{
	az->resource = S("*");
	return discovery_tags_authorize(c, az, tags);
}

#define ABOUT(type, answer) \
	static int about_##type(struct call *c, const void *input, struct authz *az) \
	{ \
		const struct servicediscovery_##type##_request *in = input; \
		return answer; \
	}
ABOUT(create_http_namespace, about_new(c, az, &in->tags))
ABOUT(create_private_dns_namespace, about_new(c, az, &in->tags))
ABOUT(get_namespace, about_namespace(c, az, in->id))
ABOUT(update_http_namespace, about_namespace(c, az, in->id))
ABOUT(update_private_dns_namespace, about_namespace(c, az, in->id))
ABOUT(delete_namespace, about_namespace(c, az, in->id))
ABOUT(get_service, about_service(c, az, in->id))
ABOUT(update_service, about_service(c, az, in->id))
ABOUT(delete_service, about_service(c, az, in->id))
ABOUT(get_service_attributes, about_service(c, az, in->service_id))
ABOUT(update_service_attributes, about_service(c, az, in->service_id))
ABOUT(delete_service_attributes, about_service(c, az, in->service_id))
ABOUT(register_instance, about_service(c, az, in->service_id))
ABOUT(deregister_instance, about_service(c, az, in->service_id))
ABOUT(get_instance, about_service(c, az, in->service_id))
ABOUT(list_instances, about_service(c, az, in->service_id))
ABOUT(get_instances_health_status, about_service(c, az, in->service_id))
ABOUT(update_instance_custom_health_status, about_service(c, az, in->service_id))
ABOUT(discover_instances, about_names(c, az, in->namespace_name, in->service_name))
ABOUT(discover_instances_revision, about_names(c, az, in->namespace_name, in->service_name))
ABOUT(untag_resource, about_arn(c, az, in->resource_arn))
ABOUT(list_tags_for_resource, about_arn(c, az, in->resource_arn))

static int about_tag_resource(struct call *c, const void *input, struct authz *az)
{
	const struct servicediscovery_tag_resource_request *in = input;
	struct str_map map = {0};
	about_arn(c, az, in->resource_arn);
	for (uint32_t i = 0; i < in->tags.n; i++) {
		*LIST_ADD(c->arena, &map) = (struct str_map_entry){in->tags.v[i].key, in->tags.v[i].value};
		authz_add(c, az, "aws:TagKeys", in->tags.v[i].key);
	}
	authz_add_tags(c, az, "aws:RequestTag", &map);
	return CALL_OK;
}

/* A service is made in its namespace. */
static int about_create_service(struct call *c, const void *input, struct authz *az)
{
	const struct servicediscovery_create_service_request *in = input;
	about_namespace(c, az, in->namespace_id.n ? in->namespace_id : in->dns_config ? in->dns_config->namespace_id : S("*"));
	return discovery_tags_authorize(c, az, &in->tags);
}

/* --- the table */

#define ROW(c_name, name, ...) OP(servicediscovery, c_name, name, ##__VA_ARGS__)
static const struct service_op ops[] = {
        ROW(create_http_namespace, CreateHttpNamespace, .resource = about_create_http_namespace),
        ROW(create_private_dns_namespace, CreatePrivateDnsNamespace, .resource = about_create_private_dns_namespace),
        ROW(create_service, CreateService, .resource = about_create_service,
            .missing = "records of AAAA and CNAME, health checks of Route 53"),
        ROW(delete_namespace, DeleteNamespace, .resource = about_delete_namespace),
        ROW(delete_service, DeleteService, .resource = about_delete_service),
        ROW(delete_service_attributes, DeleteServiceAttributes, .resource = about_delete_service_attributes),
        ROW(deregister_instance, DeregisterInstance, .resource = about_deregister_instance),
        ROW(discover_instances, DiscoverInstances, .resource = about_discover_instances, .flags = OP_READ),
        ROW(discover_instances_revision, DiscoverInstancesRevision, .resource = about_discover_instances_revision,
            .flags = OP_READ),
        ROW(get_instance, GetInstance, .resource = about_get_instance, .flags = OP_READ),
        ROW(get_instances_health_status, GetInstancesHealthStatus, .resource = about_get_instances_health_status, .flags = OP_READ),
        ROW(get_namespace, GetNamespace, .resource = about_get_namespace, .flags = OP_READ),
        ROW(get_operation, GetOperation, .flags = OP_READ),
        ROW(get_service, GetService, .resource = about_get_service, .flags = OP_READ),
        ROW(get_service_attributes, GetServiceAttributes, .resource = about_get_service_attributes, .flags = OP_READ),
        ROW(list_instances, ListInstances, .resource = about_list_instances, .flags = OP_READ),
        ROW(list_namespaces, ListNamespaces, .flags = OP_READ),
        ROW(list_operations, ListOperations, .flags = OP_READ),
        ROW(list_services, ListServices, .flags = OP_READ),
        ROW(list_tags_for_resource, ListTagsForResource, .resource = about_list_tags_for_resource, .flags = OP_READ),
        ROW(register_instance, RegisterInstance, .resource = about_register_instance,
            .missing = "aliases of load balancers, EC2 instances by id, IPv6, CNAME"),
        ROW(tag_resource, TagResource, .resource = about_tag_resource),
        ROW(untag_resource, UntagResource, .resource = about_untag_resource),
        ROW(update_http_namespace, UpdateHttpNamespace, .resource = about_update_http_namespace),
        ROW(update_instance_custom_health_status, UpdateInstanceCustomHealthStatus,
            .resource = about_update_instance_custom_health_status),
        ROW(update_private_dns_namespace, UpdatePrivateDnsNamespace, .resource = about_update_private_dns_namespace),
        ROW(update_service, UpdateService, .resource = about_update_service),
        ROW(update_service_attributes, UpdateServiceAttributes, .resource = about_update_service_attributes),
};

static int servicediscovery_start(struct cloud *cloud, void **ret_state)
{
	struct state *s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	s->cloud = cloud;
	*ret_state = s;
	return 0;
}

static void servicediscovery_stop(void *state)
{
	free(state);
}

const struct service servicediscovery_service = {
        .api = &servicediscovery_api,
        .iam_prefix = "servicediscovery",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(ops[0]),
        .start = servicediscovery_start,
        .stop = servicediscovery_stop,
};

/* Cloud Map's records, keys, names and pages. Private to aws/servicediscovery.
 *
 * A record lies under ("discovery", kind, account, region, ...): namespaces, services and operations by id, instances by service
 * and id; names of namespaces, of services in a namespace, and of a VPC's zones lead to ids. A service's instances have a revision:
 * that of a key which each change of them writes without having read it, so that changes do not get in each other's way. */
#pragma once
#include "core/record.h"
#include "core/service.h"
#include "gen/servicediscovery.h"
#include "gen/state_servicediscovery.h"
#include "servicediscovery.h"

extern const struct service servicediscovery_service;
/* The lease that operations are kept under. */
int64_t discovery_lease(struct call *c);

struct discovery_scope discovery_scope(struct call *c);
int discovery_invalid(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct str discovery_arn(struct call *c, const char *type, struct str id);
/* The id in an id or an ARN of this type, account and region; absent: another ARN. */
struct str discovery_id(struct call *c, const char *type, struct str text);
struct str discovery_make_id(struct call *c, const char *prefix);
struct str discovery_lower(struct arena *a, struct str text);

/* --- namespaces */
bool discovery_namespace_find(const struct discovery_scope *s, struct str id, struct state_servicediscovery_namespace_record *ret);
void discovery_namespace_put(const struct discovery_scope *s, const struct state_servicediscovery_namespace_record *r);
void discovery_namespace_drop(const struct discovery_scope *s, const struct state_servicediscovery_namespace_record *r);
struct str discovery_namespaces_under(const struct discovery_scope *s);
/* The id of the one with this name. */
bool discovery_namespace_named(const struct discovery_scope *s, struct str name, struct str *ret_id);
/* The namespace whose zone in a VPC is exactly this. */
bool discovery_zone(const struct discovery_scope *s, struct str vpc, struct str name, struct str *ret_id);
/* By id or ARN, or NamespaceNotFound. */
int discovery_namespace_get(struct call *c, struct str text, struct state_servicediscovery_namespace_record *ret);

/* --- services */
bool discovery_service_find(const struct discovery_scope *s, struct str id, struct state_servicediscovery_service_record *ret);
void discovery_service_put(const struct discovery_scope *s, const struct state_servicediscovery_service_record *r);
void discovery_service_drop(const struct discovery_scope *s, const struct state_servicediscovery_service_record *r);
struct str discovery_services_under(const struct discovery_scope *s);
/* How many services a namespace has. */
int64_t discovery_service_count(const struct discovery_scope *s, struct str namespace);
bool discovery_service_named(const struct discovery_scope *s, struct str namespace, struct str name, struct str *ret_id);
int discovery_service_get(struct call *c, struct str text, struct state_servicediscovery_service_record *ret);
/* Has it records of this type ("A", "SRV")? */
bool discovery_has_record(const struct servicediscovery_service *v, const char *type);

/* --- instances */
bool discovery_instance_find(const struct discovery_scope *s, struct str service, struct str id,
                             struct state_servicediscovery_instance_record *ret);
void discovery_instance_put(const struct discovery_scope *s, struct str service,
                            const struct state_servicediscovery_instance_record *r);
void discovery_instance_drop(const struct discovery_scope *s, struct str service, struct str id);
struct str discovery_instances_under(const struct discovery_scope *s, struct str service);
bool discovery_instance_read(struct arena *a, struct str value, struct state_servicediscovery_instance_record *ret);
int64_t discovery_instance_count(const struct discovery_scope *s, struct str service);
int64_t discovery_revision(const struct discovery_scope *s, struct str service);

/* --- operation.c: one that is done already. targets: of what type and id. */
struct str discovery_done(struct call *c, const char *type, const char *target, struct str id, const char *target2, struct str id2);

/* --- walks over records, a page at a time; the token is the key that was listed last */
struct discovery_walk {
	struct store_iter *iter;
	struct str key, value;
	uint32_t limit;
};
int discovery_walk_begin(struct call *c, struct discovery_walk *w, struct str prefix, struct str token, struct opt_int max_results);
bool discovery_walk_next(struct discovery_walk *w);
struct str discovery_page_token(struct call *c, struct str key);

/* Does a value pass a filter of values and a condition (absent: EQ)? */
bool discovery_passes(struct str value, const struct str_list *values, struct str condition);

/* --- tag.c */
int discovery_tags_check(struct call *c, const struct servicediscovery_tag_list *tags);
void discovery_authz_tags(struct call *c, struct authz *az, const struct servicediscovery_tag_list *tags);
int discovery_tags_authorize(struct call *c, struct authz *az, const struct servicediscovery_tag_list *tags);

/* Handlers; each file says which. */
servicediscovery_create_http_namespace_handler servicediscovery_create_http_namespace;
servicediscovery_create_private_dns_namespace_handler servicediscovery_create_private_dns_namespace;
servicediscovery_get_namespace_handler servicediscovery_get_namespace;
servicediscovery_list_namespaces_handler servicediscovery_list_namespaces;
servicediscovery_update_http_namespace_handler servicediscovery_update_http_namespace;
servicediscovery_update_private_dns_namespace_handler servicediscovery_update_private_dns_namespace;
servicediscovery_delete_namespace_handler servicediscovery_delete_namespace;
servicediscovery_create_service_handler servicediscovery_create_service;
servicediscovery_get_service_handler servicediscovery_get_service;
servicediscovery_list_services_handler servicediscovery_list_services;
servicediscovery_update_service_handler servicediscovery_update_service;
servicediscovery_delete_service_handler servicediscovery_delete_service;
servicediscovery_get_service_attributes_handler servicediscovery_get_service_attributes;
servicediscovery_update_service_attributes_handler servicediscovery_update_service_attributes;
servicediscovery_delete_service_attributes_handler servicediscovery_delete_service_attributes;
servicediscovery_register_instance_handler servicediscovery_register_instance;
servicediscovery_deregister_instance_handler servicediscovery_deregister_instance;
servicediscovery_get_instance_handler servicediscovery_get_instance;
servicediscovery_list_instances_handler servicediscovery_list_instances;
servicediscovery_get_instances_health_status_handler servicediscovery_get_instances_health_status;
servicediscovery_update_instance_custom_health_status_handler servicediscovery_update_instance_custom_health_status;
servicediscovery_discover_instances_handler servicediscovery_discover_instances;
servicediscovery_discover_instances_revision_handler servicediscovery_discover_instances_revision;
servicediscovery_get_operation_handler servicediscovery_get_operation;
servicediscovery_list_operations_handler servicediscovery_list_operations;
servicediscovery_tag_resource_handler servicediscovery_tag_resource;
servicediscovery_untag_resource_handler servicediscovery_untag_resource;
servicediscovery_list_tags_for_resource_handler servicediscovery_list_tags_for_resource;

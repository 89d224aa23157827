/* What all nouns of ECS share: names, ARNs, records and their keys, pages, failures, tags. Private to aws/ecs.
 *
 * A record lies under ("ecs", kind, account, region, name...). Clusters are kept as AWS's own structure; task definitions with
 * their tags beside it (models/state/ecs.json). */
#pragma once
#include "core/call.h"
#include "core/record.h"
#include "core/service.h"
#include "gen/ecs.h"
#include "gen/state_ecs.h"

extern const struct service ecs_service;

/* --- rows.c: errors in ECS's words */
int ecs_client_error(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int ecs_invalid(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void ecs_failure(struct call *c, struct ecs_failures *to, struct str arn, const char *reason);
/* Letters, digits, '_' and '-', at most 255 of them. */
bool ecs_name_good(struct str name);

/* arn:aws:ecs:REGION:ACCOUNT:<rest> */
struct str ecs_arn(struct call *c, struct str rest);
/* What is behind "<type>/" in an ARN of this service, account and region; a text that is no ARN itself; absent: another ARN. */
struct str ecs_of_arn(struct call *c, const char *type, struct str text);
/* The id of what an id or an ARN of this type names in the cluster; absent: nothing there. */
struct str ecs_id_in_cluster(struct call *c, const char *type, struct str cluster, struct str text);

/* --- pages: the token is the name that was listed last */
struct ecs_walk {
	struct store_iter *iter;
	struct str key, value;
};
/* From the prefix's beginning or end on, or behind the token. max_results out of 1 to `most`: refused. */
int ecs_walk_begin(struct call *c, struct ecs_walk *w, struct str prefix, struct str token, bool descending);
bool ecs_walk_next(struct ecs_walk *w);
struct str ecs_page_token(struct call *c, struct str key);
int ecs_page_size(struct call *c, struct opt_int max_results, int64_t most, uint32_t *ret);

/* --- cluster.c. Counts are filled in where they are shown. A record's key ends in the name. */
extern const struct record_type ecs_cluster_row;
struct str ecs_cluster_name(struct call *c, struct str text); /* of a name, an ARN, or "default"; absent: another account's */
struct str ecs_cluster_arn(struct call *c, struct str name);
bool ecs_cluster_find(struct call *c, struct str name, struct ecs_cluster *ret);
void ecs_cluster_put(struct call *c, const struct ecs_cluster *cluster);
/* An active one, or ClusterNotFoundException. */
int ecs_cluster_get(struct call *c, struct str text, struct ecs_cluster *ret);
int ecs_strategy_check(struct call *c, const struct ecs_capacity_provider_strategy *s, const struct str_list *associated);

/* --- definition.c */
struct ecs_definition_name {
	struct str family;
	int64_t revision; /* 0: the latest active one */
};
bool ecs_definition_name(struct call *c, struct str text, struct ecs_definition_name *ret);
bool ecs_definition_find(struct call *c, const struct ecs_definition_name *name, struct state_ecs_definition_record *ret);
void ecs_definition_put(struct call *c, const struct state_ecs_definition_record *r);
struct str ecs_definition_key(struct call *c, struct str family, int64_t revision);
struct str ecs_definitions_under(struct call *c, struct str family); /* absent: of all families */
/* A role by name or ARN, which the caller must be allowed to pass on to tasks; absent stays absent. */
int ecs_role_take(struct call *c, struct str given, struct str *ret);
extern const struct record_type ecs_definition_row, ecs_family_row;
struct str ecs_families_under(struct call *c);

/* --- definition_check.c and container_check.c: what the model does not know of a definition. They also write in AWS's defaults. */
int ecs_definition_check(struct call *c, struct ecs_task_definition *d);
int ecs_container_check(struct call *c, const struct ecs_task_definition *d, struct ecs_container_definition *k);
/* fargate.c: why it cannot run on Fargate; absent: it can. */
struct str ecs_fargate_refuses(struct call *c, const struct ecs_task_definition *d);
/* "0.5 vCPU" or "512", "1 GB" or "1024": as number; 0: neither. */
int64_t ecs_cpu_units(struct str text);
int64_t ecs_memory_mib(struct str text);
/* attributes.c: what an agent must know to run it */
void ecs_definition_attributes(struct call *c, struct ecs_task_definition *d);

/* --- setting.c: the value that holds for the caller */
struct str ecs_setting(struct call *c, const char *name);

/* --- tag.c */
int ecs_tags_check(struct call *c, const struct ecs_tags *tags);
/* May the caller tag what it makes? Asked unless the account has turned the question off. */
int ecs_tags_authorize(struct call *c, struct authz *az, const struct ecs_tags *tags);
void ecs_authz_tags(struct call *c, struct authz *az, const struct ecs_tags *tags);

/* Handlers; each file says which. */
ecs_create_cluster_handler ecs_create_cluster;
ecs_update_cluster_handler ecs_update_cluster;
ecs_update_cluster_settings_handler ecs_update_cluster_settings;
ecs_delete_cluster_handler ecs_delete_cluster;
ecs_describe_clusters_handler ecs_describe_clusters;
ecs_list_clusters_handler ecs_list_clusters;
ecs_put_cluster_capacity_providers_handler ecs_put_cluster_capacity_providers;
ecs_describe_capacity_providers_handler ecs_describe_capacity_providers;
ecs_put_account_setting_handler ecs_put_account_setting;
ecs_put_account_setting_default_handler ecs_put_account_setting_default;
ecs_delete_account_setting_handler ecs_delete_account_setting;
ecs_list_account_settings_handler ecs_list_account_settings;
ecs_register_task_definition_handler ecs_register_task_definition;
ecs_describe_task_definition_handler ecs_describe_task_definition;
ecs_deregister_task_definition_handler ecs_deregister_task_definition;
ecs_delete_task_definitions_handler ecs_delete_task_definitions;
ecs_list_task_definitions_handler ecs_list_task_definitions;
ecs_list_task_definition_families_handler ecs_list_task_definition_families;
ecs_tag_resource_handler ecs_tag_resource;
ecs_untag_resource_handler ecs_untag_resource;
ecs_list_tags_for_resource_handler ecs_list_tags_for_resource;

/* What all nouns of Auto Scaling share: records and their keys, errors in AWS's words, ARNs, pages, activities. Private to
 * aws/autoscaling.
 *
 * A group's record holds the group and its members, so that one transaction decides about all of them; policies, scheduled actions,
 * activities and refreshes lie beside it. Records lie under ("autoscaling", kind, account, region, name...). */
#pragma once
#include "core/call.h"
#include "core/record.h"
#include "core/service.h"
#include "gen/autoscaling.h"
#include "gen/state_autoscaling.h"

extern const struct service autoscaling_service;

/* Whose records, in which transaction: a call's, or a keeper's. */
struct scope {
	struct store_txn *txn;
	struct arena *arena;
	struct cloud *cloud;
	struct str account, region;
	int64_t now_ms;
};
struct scope scaling_scope(struct call *c);

/* --- rows.c */
/* ValidationError */
int scaling_invalid(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int scaling_no_group(struct call *c, struct str name);
struct str scaling_arn(const struct scope *s, const char *kind, struct str uuid, struct str rest);
struct str scaling_time(struct arena *a, int64_t ms);

/* The group's structure has no instances: its members are beside it. */
bool scaling_find(const struct scope *s, struct str name, struct state_autoscaling_group_record *ret);
void scaling_put(const struct scope *s, const struct state_autoscaling_group_record *r);
void scaling_drop(const struct scope *s, struct str name);
/* By name or ARN; a group that is being deleted is not found. */
int scaling_get(struct call *c, struct str name, struct state_autoscaling_group_record *ret);
struct str scaling_group_key(const struct scope *s, struct str name);
/* Keys of a kind, below further parts or not (absent). */
struct str scaling_under(const struct scope *s, const char *kind, struct str group);
struct str scaling_key(const struct scope *s, const char *kind, struct str group, struct str name);
/* Records of a group that go with it. */
void scaling_drop_all(const struct scope *s, const char *kind, struct str group);

/* Which group an instance is in; absent: none. */
struct str scaling_group_of(const struct scope *s, struct str instance);
void scaling_note_member(const struct scope *s, struct str instance, struct str group);
void scaling_forget_member(const struct scope *s, struct str instance);
struct state_autoscaling_member *scaling_member(const struct state_autoscaling_group_record *r, struct str instance);
/* The group and the member that an instance is, or ValidationError. */
int scaling_get_member(struct call *c, struct str instance, struct state_autoscaling_group_record *ret,
                       struct state_autoscaling_member **ret_member);

/* Pages over what is sorted by a text: the token is the last text. */
struct page {
	struct str after;
	uint32_t left;
};
int scaling_page(struct call *c, struct opt_int max_records, struct str token, uint32_t usual, uint32_t most, struct page *ret);
struct str scaling_token(struct call *c, struct str last);

bool scaling_among(const struct str_list *l, struct str text); /* an absent or empty list: among all */

/* --- configuration.c */
bool scaling_configuration_find(const struct scope *s, struct str name, struct state_autoscaling_configuration_record *ret);

/* --- activity.c: the journal of a group */
struct str scaling_activity_begin(const struct scope *s, const struct state_autoscaling_group_record *r,
                                  struct state_autoscaling_member *m, struct str description, struct str cause, const char *status);
/* Of the member's last activity. description, message: absent: as they are. */
void scaling_activity_say(const struct scope *s, const struct state_autoscaling_group_record *r,
                          const struct state_autoscaling_member *m, struct str description, const char *status, int progress,
                          struct str message);
/* One that is over as it begins. */
void scaling_activity_done(const struct scope *s, const struct state_autoscaling_group_record *r,
                           struct state_autoscaling_member *m, struct str description, struct str cause,
                           struct autoscaling_activity *ret);
bool scaling_activity_read(const struct scope *s, struct str group, int64_t at_ms, struct str id, struct autoscaling_activity *ret);
/* A failed or cancelled one without a member. */
void scaling_activity_refused(const struct scope *s, const struct state_autoscaling_group_record *r, struct str description,
                              struct str cause, const char *status, struct str message);

/* --- news.c: what EventBridge is told of an activity that is over, and of a member that waits for a hook */
void scaling_tell_activity(const struct scope *s, const struct state_autoscaling_group_record *r,
                           const struct state_autoscaling_member *m, const struct autoscaling_activity *a);
void scaling_tell_hook(const struct scope *s, const struct state_autoscaling_group_record *r,
                       const struct state_autoscaling_member *m, const struct autoscaling_lifecycle_hook *h, struct str token);

/* --- states of members */
static inline bool member_in(const struct state_autoscaling_member *m, const char *state)
{
	return str_is(m->state, state);
}
/* Does it count towards the desired capacity? */
bool member_counts(const struct state_autoscaling_member *m);
bool member_ends(const struct state_autoscaling_member *m);   /* Terminating... */
bool member_begins(const struct state_autoscaling_member *m); /* Pending... */
bool member_warm(const struct state_autoscaling_member *m);   /* of the warm pool */
int64_t member_weight(const struct state_autoscaling_member *m);
bool scaling_suspended(const struct state_autoscaling_group_record *r, const char *process);
/* Capacity of the members that count. */
int64_t scaling_capacity(const struct state_autoscaling_group_record *r);

/* --- group.c */
/* Sets the desired capacity, with the reason why as the causes of activities begin with it. */
void scaling_set_desired(const struct scope *s, struct state_autoscaling_group_record *r, int64_t desired, struct str reason);
void scaling_group_show(struct call *c, const struct state_autoscaling_group_record *r, struct autoscaling_auto_scaling_group *ret,
                        bool instances);
void scaling_member_show(const struct scope *s, const struct state_autoscaling_member *m, struct autoscaling_instance *ret);

/* Handlers */
autoscaling_attach_instances_handler autoscaling_attach_instances;
autoscaling_attach_load_balancer_target_groups_handler autoscaling_attach_load_balancer_target_groups;
autoscaling_attach_traffic_sources_handler autoscaling_attach_traffic_sources;
autoscaling_batch_delete_scheduled_action_handler autoscaling_batch_delete_scheduled_action;
autoscaling_batch_put_scheduled_update_group_action_handler autoscaling_batch_put_scheduled_update_group_action;
autoscaling_cancel_instance_refresh_handler autoscaling_cancel_instance_refresh;
autoscaling_complete_lifecycle_action_handler autoscaling_complete_lifecycle_action;
autoscaling_create_auto_scaling_group_handler autoscaling_create_auto_scaling_group;
autoscaling_create_launch_configuration_handler autoscaling_create_launch_configuration;
autoscaling_create_or_update_tags_handler autoscaling_create_or_update_tags;
autoscaling_delete_auto_scaling_group_handler autoscaling_delete_auto_scaling_group;
autoscaling_delete_launch_configuration_handler autoscaling_delete_launch_configuration;
autoscaling_delete_lifecycle_hook_handler autoscaling_delete_lifecycle_hook;
autoscaling_delete_policy_handler autoscaling_delete_policy;
autoscaling_delete_scheduled_action_handler autoscaling_delete_scheduled_action;
autoscaling_delete_tags_handler autoscaling_delete_tags;
autoscaling_delete_warm_pool_handler autoscaling_delete_warm_pool;
autoscaling_describe_account_limits_handler autoscaling_describe_account_limits;
autoscaling_describe_adjustment_types_handler autoscaling_describe_adjustment_types;
autoscaling_describe_auto_scaling_groups_handler autoscaling_describe_auto_scaling_groups;
autoscaling_describe_auto_scaling_instances_handler autoscaling_describe_auto_scaling_instances;
autoscaling_describe_instance_refreshes_handler autoscaling_describe_instance_refreshes;
autoscaling_describe_launch_configurations_handler autoscaling_describe_launch_configurations;
autoscaling_describe_lifecycle_hook_types_handler autoscaling_describe_lifecycle_hook_types;
autoscaling_describe_lifecycle_hooks_handler autoscaling_describe_lifecycle_hooks;
autoscaling_describe_load_balancer_target_groups_handler autoscaling_describe_load_balancer_target_groups;
autoscaling_describe_metric_collection_types_handler autoscaling_describe_metric_collection_types;
autoscaling_describe_policies_handler autoscaling_describe_policies;
autoscaling_describe_scaling_activities_handler autoscaling_describe_scaling_activities;
autoscaling_describe_scaling_process_types_handler autoscaling_describe_scaling_process_types;
autoscaling_describe_scheduled_actions_handler autoscaling_describe_scheduled_actions;
autoscaling_describe_tags_handler autoscaling_describe_tags;
autoscaling_describe_termination_policy_types_handler autoscaling_describe_termination_policy_types;
autoscaling_describe_traffic_sources_handler autoscaling_describe_traffic_sources;
autoscaling_describe_warm_pool_handler autoscaling_describe_warm_pool;
autoscaling_detach_instances_handler autoscaling_detach_instances;
autoscaling_detach_load_balancer_target_groups_handler autoscaling_detach_load_balancer_target_groups;
autoscaling_detach_traffic_sources_handler autoscaling_detach_traffic_sources;
autoscaling_disable_metrics_collection_handler autoscaling_disable_metrics_collection;
autoscaling_enable_metrics_collection_handler autoscaling_enable_metrics_collection;
autoscaling_enter_standby_handler autoscaling_enter_standby;
autoscaling_execute_policy_handler autoscaling_execute_policy;
autoscaling_exit_standby_handler autoscaling_exit_standby;
autoscaling_put_lifecycle_hook_handler autoscaling_put_lifecycle_hook;
autoscaling_put_scaling_policy_handler autoscaling_put_scaling_policy;
autoscaling_put_scheduled_update_group_action_handler autoscaling_put_scheduled_update_group_action;
autoscaling_put_warm_pool_handler autoscaling_put_warm_pool;
autoscaling_record_lifecycle_action_heartbeat_handler autoscaling_record_lifecycle_action_heartbeat;
autoscaling_resume_processes_handler autoscaling_resume_processes;
autoscaling_rollback_instance_refresh_handler autoscaling_rollback_instance_refresh;
autoscaling_set_desired_capacity_handler autoscaling_set_desired_capacity;
autoscaling_set_instance_health_handler autoscaling_set_instance_health;
autoscaling_set_instance_protection_handler autoscaling_set_instance_protection;
autoscaling_start_instance_refresh_handler autoscaling_start_instance_refresh;
autoscaling_suspend_processes_handler autoscaling_suspend_processes;
autoscaling_terminate_instance_in_auto_scaling_group_handler autoscaling_terminate_instance_in_auto_scaling_group;
autoscaling_update_auto_scaling_group_handler autoscaling_update_auto_scaling_group;

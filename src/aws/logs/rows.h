/* Groups and streams: their records, keys and names. Private to aws/logs. */
#pragma once
#include "base/buf.h"
#include "base/list.h"
#include "core/call.h"
#include "core/record.h"
#include "core/service.h"
#include "engine/logs/logs.h"
#include "gen/logs.h"
#include "gen/state_logs.h"

#define LOGS_ROW(name) (&(const struct record_type){&state_logs_api, name "Record"})

/* The service's running state. */
struct logs_state {
	struct cloud *cloud;
	struct logs *events;
	struct loop_timer *expiry, *usage;
	struct arena usage_arena; /* of the measurement under way */
	bool purging;
	struct loop_timer *purge_retry;
	struct buf expire_after; /* key of the group that was looked at last */
	struct list live;        /* sessions of StartLiveTail */
	struct measure *measure; /* metrics out of events */
	struct forward *forward; /* events to functions */
	struct queries *queries; /* of Logs Insights */
	struct exports *exports; /* of groups to buckets */
};
extern const struct service logs_service;
struct logs_state *logs_state(const struct call *c);
static inline struct logs *logs_events(const struct call *c)
{
	return logs_state(c)->events;
}

struct logs_group {
	struct state_logs_group_record record;
	struct str key;
	uint64_t id;
};
struct logs_stream {
	struct state_logs_stream_record record;
	struct str key;
	uint64_t id;
};

/* Keys hold names up to a length that the store takes; longer ones their beginning and a digest, so they sort by their beginning.
 */
/* A name as a part of a key. */
struct str logs_name_part(struct arena *a, struct str name);
struct str logs_group_key(struct call *c, struct str name);
struct str logs_stream_key(struct arena *a, uint64_t group, struct str name);
struct str logs_purge_key(struct arena *a, uint64_t group, uint64_t stream);
/* The prefix of the keys of all groups of the call's account and region / of all streams of a group. */
struct str logs_groups_under(struct call *c);
struct str logs_streams_under(struct arena *a, uint64_t group);
/* The prefix of the keys of names that start with `prefix` (and, when that is long, of some that do not). */
struct str logs_names_under(struct arena *a, struct str under, struct str prefix);

bool logs_find_group(struct call *c, struct str name, struct logs_group *ret);
bool logs_find_stream(struct call *c, uint64_t group, struct str name, struct logs_stream *ret);
/* The same for handlers: CALL_OK, or CALL_FAIL with ResourceNotFoundException. */
int logs_get_group(struct call *c, struct str name, struct logs_group *ret);
int logs_get_stream(struct call *c, const struct logs_group *group, struct str name, struct logs_stream *ret);
void logs_put_group(struct call *c, const struct logs_group *group);

/* The name in what a request gives: a name, or an identifier that is a name or an ARN; exactly one of them. STR_NONE: the error is
 * set. */
struct str logs_group_name(struct call *c, struct str name, struct str identifier);
/* The name in a group's ARN, with or without ":*"; STR_NONE: it is none of this account and region. */
struct str logs_name_of_arn(struct call *c, struct str arn);
struct str logs_group_arn(struct call *c, struct str name);
/* Events older than this are expired; 0: none are. */
int64_t logs_cutoff_ms(const struct call *c, const struct logs_group *group);
int64_t logs_retention_cutoff_ms(int64_t retention_days, int64_t now_ms);

int logs_invalid(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Ids of groups and streams: 63 random bits, never 0. */
uint64_t logs_new_id(void);
/* A stream's name by its id, which events carry; STR_NONE: it has been deleted. */
struct str logs_stream_name_key(struct arena *a, uint64_t group, uint64_t stream);
struct str logs_stream_names_under(struct arena *a, uint64_t group);
struct str logs_stream_name(struct store_txn *t, struct arena *a, uint64_t group, uint64_t stream);

/* A position among the events of `owner` (a group or stream) as 56 digits: in tokens and event ids. */
struct str logs_position_digits(struct arena *a, struct log_position at, uint64_t owner);
bool logs_position_parse(struct str digits, uint64_t owner, struct log_position *ret);

/* Pages: the token is the key (or name) that was listed last. False: the error is set; `ret` is absent without a token. */
bool logs_page_from(struct call *c, struct str token, struct str under, struct str *ret);
struct str logs_page_token(struct call *c, struct str last);

/* expire.c: works off what is to be removed, in the background. */
void logs_purge_pending(struct logs_state *s);
void logs_expire_start(struct logs_state *s);
/* usage.c: measures what is stored, for the bill. */
void logs_usage_start(struct logs_state *s);
void logs_put_purge(struct call *c, uint64_t group, uint64_t stream);

/* resource_policy.c: what the account's resource policies say, as one document. Absent: there are none. */
struct str logs_resource_policy(struct call *c);

/* record.c: the group that a pointer to a record names; false: there is none. */
bool logs_pointer_group(struct call *c, struct str pointer, struct logs_group *ret);

/* live.c: ends the sessions that are left. */
void logs_live_stop(struct logs_state *s);

/* Handlers; each file says which. */
logs_create_log_group_handler logs_create_log_group;
logs_delete_log_group_handler logs_delete_log_group;
logs_describe_log_groups_handler logs_describe_log_groups;
logs_list_log_groups_handler logs_list_log_groups;
logs_put_retention_policy_handler logs_put_retention_policy;
logs_delete_retention_policy_handler logs_delete_retention_policy;
logs_put_log_group_deletion_protection_handler logs_put_log_group_deletion_protection;
logs_tag_log_group_handler logs_tag_log_group;
logs_untag_log_group_handler logs_untag_log_group;
logs_list_tags_log_group_handler logs_list_tags_log_group;
logs_tag_resource_handler logs_tag_resource;
logs_untag_resource_handler logs_untag_resource;
logs_list_tags_for_resource_handler logs_list_tags_for_resource;
logs_create_export_task_handler logs_create_export_task;
logs_describe_export_tasks_handler logs_describe_export_tasks;
logs_cancel_export_task_handler logs_cancel_export_task;
logs_create_log_stream_handler logs_create_log_stream;
logs_delete_log_stream_handler logs_delete_log_stream;
logs_describe_log_streams_handler logs_describe_log_streams;
logs_put_log_events_handler logs_put_log_events;
logs_get_log_events_handler logs_get_log_events;
logs_filter_log_events_handler logs_filter_log_events;
logs_test_metric_filter_handler logs_test_metric_filter;
logs_put_metric_filter_handler logs_put_metric_filter;
logs_describe_metric_filters_handler logs_describe_metric_filters;
logs_delete_metric_filter_handler logs_delete_metric_filter;
logs_start_query_handler logs_start_query;
logs_get_query_results_handler logs_get_query_results;
logs_stop_query_handler logs_stop_query;
logs_describe_queries_handler logs_describe_queries;
logs_put_query_definition_handler logs_put_query_definition;
logs_describe_query_definitions_handler logs_describe_query_definitions;
logs_delete_query_definition_handler logs_delete_query_definition;
logs_get_log_record_handler logs_get_log_record;
logs_get_log_group_fields_handler logs_get_log_group_fields;
logs_put_resource_policy_handler logs_put_resource_policy;
logs_describe_resource_policies_handler logs_describe_resource_policies;
logs_delete_resource_policy_handler logs_delete_resource_policy;
logs_put_subscription_filter_handler logs_put_subscription_filter;
logs_describe_subscription_filters_handler logs_describe_subscription_filters;
logs_delete_subscription_filter_handler logs_delete_subscription_filter;
logs_start_live_tail_handler logs_start_live_tail;

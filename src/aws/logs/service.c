#include "export.h"
#include "forward.h"
#include "measure.h"
#include "query.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

/* --- what permissions are about */

static struct str stream_arn(struct call *c, struct str group, struct str stream)
{
	return ARENA_CAT(c->arena, logs_group_arn(c, group), S(":log-stream:"), stream);
}

/* A group, by name: permissions see it as <ARN>:log-stream: . Tags count as conditions where the group is there. */
static int about_group(struct call *c, struct authz *az, struct str name)
{
	struct logs_group group;
	az->resource = stream_arn(c, name, S(""));
	az->resource_policy = logs_resource_policy(c);
	if (str_set(name) && logs_find_group(c, name, &group))
		authz_add_tags(c, az, "aws:ResourceTag", &group.record.tags);
	return CALL_OK;
}

static int about_identified(struct call *c, struct authz *az, struct str name, struct str identifier)
{
	struct str found = logs_group_name(c, name, identifier);
	return str_set(found) ? about_group(c, az, found) : CALL_FAIL;
}

static int about_arn(struct call *c, struct authz *az, struct str arn)
{
	struct logs_group group;
	struct str name = logs_name_of_arn(c, arn);
	az->resource = str_set(name) ? logs_group_arn(c, name) : arn;
	if (str_set(name) && logs_find_group(c, name, &group))
		authz_add_tags(c, az, "aws:ResourceTag", &group.record.tags);
	return CALL_OK;
}

#define ABOUT(type, answer) \
	static int about_##type(struct call *c, const void *input, struct authz *az) \
	{ \
		const struct logs_##type##_request *in = input; \
		return answer; \
	}
ABOUT(delete_log_group, about_group(c, az, in->log_group_name))
ABOUT(put_subscription_filter, about_group(c, az, in->log_group_name))
ABOUT(delete_subscription_filter, about_group(c, az, in->log_group_name))
ABOUT(describe_subscription_filters, about_group(c, az, in->log_group_name))
ABOUT(put_metric_filter, about_group(c, az, in->log_group_name))
ABOUT(delete_metric_filter, about_group(c, az, in->log_group_name))
ABOUT(describe_metric_filters, about_group(c, az, str_set(in->log_group_name) ? in->log_group_name : S("")))
ABOUT(put_retention_policy, about_group(c, az, in->log_group_name))
ABOUT(delete_retention_policy, about_group(c, az, in->log_group_name))
ABOUT(put_log_group_deletion_protection, about_identified(c, az, STR_NONE, in->log_group_identifier))
ABOUT(untag_log_group, about_group(c, az, in->log_group_name))
ABOUT(list_tags_log_group, about_group(c, az, in->log_group_name))
ABOUT(untag_resource, about_arn(c, az, in->resource_arn))
ABOUT(list_tags_for_resource, about_arn(c, az, in->resource_arn))
ABOUT(describe_log_streams, about_identified(c, az, in->log_group_name, in->log_group_identifier))
ABOUT(create_export_task, about_group(c, az, in->log_group_name))
ABOUT(get_log_group_fields, about_identified(c, az, in->log_group_name, in->log_group_identifier))
ABOUT(filter_log_events, about_identified(c, az, in->log_group_name, in->log_group_identifier))

#define ABOUT_STREAM(type, group) \
	static int about_##type(struct call *c, const void *input, struct authz *az) \
	{ \
		const struct logs_##type##_request *in = input; \
		struct str name = group; \
		if (!str_set(name) || about_group(c, az, name) != CALL_OK) \
			return CALL_FAIL; \
		az->resource = stream_arn(c, name, in->log_stream_name); \
		return CALL_OK; \
	}
ABOUT_STREAM(create_log_stream, in->log_group_name)
ABOUT_STREAM(delete_log_stream, in->log_group_name)
ABOUT_STREAM(put_log_events, in->log_group_name)
ABOUT_STREAM(get_log_events, logs_group_name(c, in->log_group_name, in->log_group_identifier))

static void add_request_tags(struct call *c, struct authz *az, const struct str_map *tags)
{
	authz_add_tags(c, az, "aws:RequestTag", tags);
	for (uint32_t i = 0; i < tags->n; i++)
		authz_add(c, az, "aws:TagKeys", tags->v[i].key);
}

static int about_create_log_group(struct call *c, const void *input, struct authz *az)
{
	const struct logs_create_log_group_request *in = input;
	add_request_tags(c, az, &in->tags);
	return about_group(c, az, in->log_group_name);
}

static int about_tag_log_group(struct call *c, const void *input, struct authz *az)
{
	const struct logs_tag_log_group_request *in = input;
	add_request_tags(c, az, &in->tags);
	return about_group(c, az, in->log_group_name);
}

static int about_tag_resource(struct call *c, const void *input, struct authz *az)
{
	const struct logs_tag_resource_request *in = input;
	add_request_tags(c, az, &in->tags);
	return about_arn(c, az, in->resource_arn);
}

static int about_all_groups(struct call *c, const void *input, struct authz *az)
{
	(void)input;
	az->resource = stream_arn(c, S(""), S(""));
	return CALL_OK;
}

static int about_get_log_record(struct call *c, const void *input, struct authz *az)
{
	const struct logs_get_log_record_request *in = input;
	struct logs_group group;
	return about_group(c, az, logs_pointer_group(c, in->log_record_pointer, &group) ? group.record.name : S(""));
}

/* Every group of a live tail must be allowed: all but the last are asked here, the last by the gate. */
static int about_start_live_tail(struct call *c, const void *input, struct authz *az)
{
	const struct logs_start_live_tail_request *in = input;
	for (uint32_t i = 0; i < in->log_group_identifiers.n; i++) {
		if (i && !call_allowed(c, "logs:StartLiveTail", az->resource))
			return CALL_FAIL;
		struct str name = logs_group_name(c, STR_NONE, in->log_group_identifiers.v[i]);
		if (!str_set(name))
			return CALL_FAIL;
		az->resource = logs_group_arn(c, name);
	}
	return CALL_OK;
}

/* Every group of a query must be allowed, as those of a live tail. */
static int about_start_query(struct call *c, const void *input, struct authz *az)
{
	const struct logs_start_query_request *in = input;
	struct str_list all = {0};
	if (str_set(in->log_group_name))
		*LIST_ADD(c->arena, &all) = in->log_group_name;
	for (uint32_t i = 0; i < in->log_group_names.n; i++)
		*LIST_ADD(c->arena, &all) = in->log_group_names.v[i];
	for (uint32_t i = 0; i < in->log_group_identifiers.n; i++)
		*LIST_ADD(c->arena, &all) = in->log_group_identifiers.v[i];
	for (uint32_t i = 0; i < all.n; i++) {
		if (i && !call_allowed(c, "logs:StartQuery", az->resource))
			return CALL_FAIL;
		struct str name = logs_group_name(c, STR_NONE, all.v[i]);
		if (!str_set(name) || about_group(c, az, name) != CALL_OK)
			return CALL_FAIL;
	}
	if (!all.n)
		az->resource = stream_arn(c, S(""), S(""));
	return CALL_OK;
}

/* --- the table */

static const struct service_op ops[] = {
        OP(logs, cancel_export_task, CancelExportTask),
        OP(logs, create_export_task, CreateExportTask, .resource = about_create_export_task),
        OP(logs, create_log_group, CreateLogGroup, .resource = about_create_log_group,
           .missing = "encryption with a KMS key, the DELIVERY class"),
        OP(logs, create_log_stream, CreateLogStream, .resource = about_create_log_stream),
        OP(logs, delete_log_group, DeleteLogGroup, .resource = about_delete_log_group),
        OP(logs, delete_log_stream, DeleteLogStream, .resource = about_delete_log_stream),
        OP(logs, delete_metric_filter, DeleteMetricFilter, .resource = about_delete_metric_filter),
        OP(logs, delete_query_definition, DeleteQueryDefinition),
        OP(logs, delete_resource_policy, DeleteResourcePolicy, .missing = "policies of single resources"),
        OP(logs, delete_retention_policy, DeleteRetentionPolicy, .resource = about_delete_retention_policy),
        OP(logs, delete_subscription_filter, DeleteSubscriptionFilter, .resource = about_delete_subscription_filter),
        OP(logs, describe_export_tasks, DescribeExportTasks, .flags = OP_READ),
        OP(logs, describe_log_groups, DescribeLogGroups, .resource = about_all_groups, .flags = OP_READ,
           .missing = "groups of linked accounts"),
        OP(logs, describe_log_streams, DescribeLogStreams, .resource = about_describe_log_streams, .flags = OP_READ),
        OP(logs, describe_metric_filters, DescribeMetricFilters, .resource = about_describe_metric_filters, .flags = OP_READ),
        OP(logs, describe_queries, DescribeQueries, .flags = OP_READ),
        OP(logs, describe_query_definitions, DescribeQueryDefinitions, .flags = OP_READ, .missing = "parameters"),
        OP(logs, describe_resource_policies, DescribeResourcePolicies, .flags = OP_READ, .missing = "policies of single resources"),
        OP(logs, describe_subscription_filters, DescribeSubscriptionFilters, .resource = about_describe_subscription_filters,
           .flags = OP_READ),
        OP(logs, filter_log_events, FilterLogEvents, .resource = about_filter_log_events, .flags = OP_READ),
        OP(logs, get_log_events, GetLogEvents, .resource = about_get_log_events, .flags = OP_READ),
        OP(logs, get_log_group_fields, GetLogGroupFields, .resource = about_get_log_group_fields, .flags = OP_READ),
        OP(logs, get_log_record, GetLogRecord, .resource = about_get_log_record, .flags = OP_READ),
        OP(logs, get_query_results, GetQueryResults, .flags = OP_READ),
        OP(logs, list_log_groups, ListLogGroups, .resource = about_all_groups, .flags = OP_READ,
           .missing = "data sources, field indexes, tags and linked accounts as filters"),
        OP(logs, list_tags_for_resource, ListTagsForResource, .resource = about_list_tags_for_resource, .flags = OP_READ),
        OP(logs, list_tags_log_group, ListTagsLogGroup, .resource = about_list_tags_log_group, .flags = OP_READ),
        OP(logs, put_log_events, PutLogEvents, .resource = about_put_log_events, .missing = "entities"),
        OP(logs, put_log_group_deletion_protection, PutLogGroupDeletionProtection,
           .resource = about_put_log_group_deletion_protection),
        OP(logs, put_metric_filter, PutMetricFilter, .resource = about_put_metric_filter,
           .missing = "transformed logs, system fields"),
        OP(logs, put_query_definition, PutQueryDefinition, .missing = "SQL and PPL, parameters"),
        OP(logs, put_resource_policy, PutResourcePolicy, .missing = "policies of single resources"),
        OP(logs, put_retention_policy, PutRetentionPolicy, .resource = about_put_retention_policy),
        OP(logs, put_subscription_filter, PutSubscriptionFilter, .resource = about_put_subscription_filter,
           .missing = "destinations that are no functions, transformed logs, system fields"),
        OP(logs, start_live_tail, StartLiveTail, .resource = about_start_live_tail, .flags = OP_READ),
        OP(logs, start_query, StartQuery, .resource = about_start_query, .flags = OP_READ,
           .missing = "SQL and PPL, regular expressions in parse, commands and functions that are seldom used"),
        OP(logs, stop_query, StopQuery, .flags = OP_READ),
        OP(logs, tag_log_group, TagLogGroup, .resource = about_tag_log_group),
        OP(logs, tag_resource, TagResource, .resource = about_tag_resource),
        OP(logs, test_metric_filter, TestMetricFilter, .flags = OP_READ),
        OP(logs, untag_log_group, UntagLogGroup, .resource = about_untag_log_group),
        OP(logs, untag_resource, UntagResource, .resource = about_untag_resource),
};

static void logs_prepare(const char *data_dir, bool ephemeral)
{
	char dir[4096];
	snprintf(dir, sizeof(dir), "%s/logs", data_dir);
	logs_make(dir, ephemeral);
}

static int logs_start(struct cloud *cloud, void **ret_state)
{
	struct logs_state *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory (logs)");
	char dir[4096], why[200];
	snprintf(dir, sizeof(dir), "%s/logs", cloud->data_dir);
	s->cloud = cloud;
	list_init(&s->live);
	buf_init(&s->expire_after, 4096);
	int r = logs_open(&s->events, cloud->loop, dir, cloud->ephemeral, why);
	if (r < 0) {
		log_error("%s", why);
		free(s);
		return r;
	}
	s->measure = measure_new(cloud);
	s->forward = forward_new(cloud);
	s->queries = queries_new(cloud, s->events);
	s->exports = exports_new(cloud, s->events);
	logs_purge_pending(s);
	logs_expire_start(s);
	logs_usage_start(s);
	*ret_state = s;
	return 0;
}

static void logs_stop(void *state)
{
	struct logs_state *s = state;
	if (!s)
		return;
	logs_live_stop(s);
	exports_free(s->exports);
	queries_free(s->queries);
	measure_free(s->measure);
	forward_free(s->forward);
	loop_remove_timer(s->cloud->loop, s->expiry);
	loop_remove_timer(s->cloud->loop, s->usage);
	arena_done(&s->usage_arena);
	loop_remove_timer(s->cloud->loop, s->purge_retry);
	logs_close(s->events);
	buf_done(&s->expire_after);
	free(s);
}

const struct service logs_service = {
        .api = &logs_api,
        .iam_prefix = "logs",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(ops[0]),
        .body_limit_bytes = 8 * 1024 * 1024, /* a batch of 1 MiB with every character escaped, and 10,000 times its framing */
        .prepare = logs_prepare,
        .start = logs_start,
        .stop = logs_stop,
};

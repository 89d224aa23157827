/* Log groups: CreateLogGroup, DeleteLogGroup, DescribeLogGroups, ListLogGroups, retention, deletion protection. */
#include "forward.h"
#include "measure.h"

int logs_create_log_group(struct call *c, const struct logs_create_log_group_request *in, struct model_none *out)
{
	(void)out;
	struct logs_group group;
	if (logs_find_group(c, in->log_group_name, &group))
		return call_fail(c, "ResourceAlreadyExistsException", 0, "The specified log group already exists");
	if (str_starts(in->log_group_name, S("aws/")))
		return logs_invalid(c, "Log groups starting with AWS/ are reserved for AWS.");
	if (str_set(in->kms_key_id))
		return logs_invalid(c, "Encryption of log groups with a KMS key is not supported.");
	if (str_is(in->log_group_class, "DELIVERY"))
		return logs_invalid(c, "Log groups of the DELIVERY class are not supported.");
	group.record = (struct state_logs_group_record){
	        .name = in->log_group_name,
	        .id = OPT_INT((int64_t)logs_new_id()),
	        .created = OPT_INT(c->now_ms),
	        .class = str_set(in->log_group_class) ? in->log_group_class : S("STANDARD"),
	        .protected = OPT_BOOL(in->deletion_protection_enabled.v),
	        .tags = in->tags,
	};
	logs_put_group(c, &group);
	return CALL_OK;
}

static void purge_soon(struct call *c)
{
	logs_purge_pending(logs_state(c));
}

int logs_delete_log_group(struct call *c, const struct logs_delete_log_group_request *in, struct model_none *out)
{
	(void)out;
	struct logs_group group;
	if (logs_get_group(c, in->log_group_name, &group) != CALL_OK)
		return CALL_FAIL;
	if (group.record.protected.v)
		return call_fail(c, "ValidationException", 0,
		                 "The log group has deletion protection enabled and cannot be deleted.");
	metric_filters_drop(c, group.id);
	subscriptions_drop(c, group.id);
	store_delete(call_txn(c), group.key);
	logs_put_purge(c, group.id, 0);
	call_after_commit(c, purge_soon);
	return CALL_OK;
}

/* --- lists */

static bool name_matches(struct str name, struct str prefix, struct str pattern)
{
	return (!str_set(prefix) || str_starts(name, prefix)) && (!str_set(pattern) || str_find(name, pattern) >= 0);
}

static void describe(struct call *c, const struct logs_group *group, struct logs_log_group *ret)
{
	struct log_stats stats;
	logs_stats(logs_events(c), group->id, 0, &stats);
	ret->log_group_name = group->record.name;
	ret->creation_time = group->record.created;
	if (group->record.retention_in_days.v)
		ret->retention_in_days = group->record.retention_in_days;
	ret->metric_filter_count = OPT_INT(metric_filters_count(c, group->id));
	ret->log_group_arn = logs_group_arn(c, group->record.name);
	ret->arn = ARENA_CAT(c->arena, ret->log_group_arn, S(":*"));
	ret->stored_bytes = OPT_INT(stats.bytes);
	ret->log_group_class = group->record.class;
	ret->deletion_protection_enabled = OPT_BOOL(group->record.protected.v);
}

/* A walk over the groups of the call's account and region behind a page token. */
struct group_walk {
	struct store_iter *iter;
	struct logs_group group;
};

static bool groups_begin(struct call *c, struct group_walk *w, struct str prefix, struct str token)
{
	struct str under = logs_groups_under(c), from, after;
	if (!logs_page_from(c, token, under, &after))
		return false;
	from = logs_names_under(c->arena, under, prefix);
	struct str end = store_prefix_end(c->arena, from);
	if (str_set(after) && str_cmp(after, from) >= 0)
		from = ARENA_CAT(c->arena, after, str_of("", 1));
	w->iter = store_scan(call_txn(c), from, end, false);
	return true;
}

static bool groups_next(struct call *c, struct group_walk *w)
{
	struct store_value v;
	if (!store_next(w->iter, &w->group.key, &v))
		return false;
	if (!record_read(c->arena, v.value, LOGS_ROW("Group"), &w->group.record))
		return groups_next(c, w);
	w->group.id = (uint64_t)w->group.record.id.v;
	return true;
}

static int describe_named(struct call *c, const struct logs_describe_log_groups_request *in,
                          struct logs_describe_log_groups_response *out)
{
	for (uint32_t i = 0; i < in->log_group_identifiers.n; i++) {
		struct str name = logs_group_name(c, STR_NONE, in->log_group_identifiers.v[i]);
		struct logs_group group;
		if (!str_set(name))
			return CALL_FAIL;
		if (logs_find_group(c, name, &group))
			describe(c, &group, LIST_ADD(c->arena, &out->log_groups));
	}
	return CALL_OK;
}

int logs_describe_log_groups(struct call *c, const struct logs_describe_log_groups_request *in,
                             struct logs_describe_log_groups_response *out)
{
	uint32_t limit = in->limit.set ? (uint32_t)in->limit.v : 50;
	out->log_groups.set = true;
	if (str_set(in->log_group_name_prefix) && str_set(in->log_group_name_pattern))
		return logs_invalid(c,
		                    "LogGroupNamePrefix and LogGroupNamePattern are mutually exclusive. Please specify only one.");
	if (in->log_group_identifiers.n)
		return describe_named(c, in, out);
	struct group_walk w;
	struct str last = STR_NONE;
	if (!groups_begin(c, &w, in->log_group_name_prefix, in->next_token))
		return CALL_FAIL;
	while (groups_next(c, &w)) {
		if (!name_matches(w.group.record.name, in->log_group_name_prefix, in->log_group_name_pattern))
			continue;
		if (str_set(in->log_group_class) && !str_eq(in->log_group_class, w.group.record.class))
			continue;
		if (out->log_groups.n == limit) {
			out->next_token = logs_page_token(c, last);
			break;
		}
		last = w.group.key;
		describe(c, &w.group, LIST_ADD(c->arena, &out->log_groups));
	}
	return CALL_OK;
}

/* name|^name|...: each part is found anywhere, or with ^ at the beginning. */
static bool list_pattern_matches(struct str pattern, struct str name)
{
	if (!str_set(pattern))
		return true;
	while (str_set(pattern)) {
		struct str part = str_cut(&pattern, '|');
		if (str_starts(part, S("^")) ? str_starts(name, str_from_at(part, 1)) : str_find(name, part) >= 0)
			return true;
	}
	return false;
}

int logs_list_log_groups(struct call *c, const struct logs_list_log_groups_request *in, struct logs_list_log_groups_response *out)
{
	uint32_t limit = in->limit.set ? (uint32_t)in->limit.v : 50;
	out->log_groups.set = true;
	if (in->data_sources.n || in->field_index_names.n || in->log_group_tags.n)
		return logs_invalid(c, "Listing log groups by data source, field index or tag is not supported.");
	struct group_walk w;
	struct str last = STR_NONE;
	if (!groups_begin(c, &w, STR_NONE, in->next_token))
		return CALL_FAIL;
	while (groups_next(c, &w)) {
		if (!list_pattern_matches(in->log_group_name_pattern, w.group.record.name))
			continue;
		if (str_set(in->log_group_class) && !str_eq(in->log_group_class, w.group.record.class))
			continue;
		if (out->log_groups.n == limit) {
			out->next_token = logs_page_token(c, last);
			break;
		}
		last = w.group.key;
		struct logs_log_group_summary *summary = LIST_ADD(c->arena, &out->log_groups);
		summary->log_group_name = w.group.record.name;
		summary->log_group_arn = logs_group_arn(c, w.group.record.name);
		summary->log_group_class = w.group.record.class;
	}
	return CALL_OK;
}

/* --- retention and protection */

int logs_put_retention_policy(struct call *c, const struct logs_put_retention_policy_request *in, struct model_none *out)
{
	static const int16_t days[] = {1,   3,   5,   7,   14,   30,   60,   90,   120,  150,  180,
	                               365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653};
	(void)out;
	struct logs_group group;
	bool known = false;
	for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++)
		known |= in->retention_in_days.v == days[i];
	if (!known)
		return logs_invalid(
		        c,
		        "1 validation error detected: Value '%ld' at 'retentionInDays' failed to satisfy constraint: Member must satisfy "
		        "enum value set: [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, "
		        "3288, 3653]",
		        in->retention_in_days.v);
	if (logs_get_group(c, in->log_group_name, &group) != CALL_OK)
		return CALL_FAIL;
	group.record.retention_in_days = in->retention_in_days;
	logs_put_group(c, &group);
	return CALL_OK;
}

int logs_delete_retention_policy(struct call *c, const struct logs_delete_retention_policy_request *in, struct model_none *out)
{
	(void)out;
	struct logs_group group;
	if (logs_get_group(c, in->log_group_name, &group) != CALL_OK)
		return CALL_FAIL;
	group.record.retention_in_days = (struct opt_int){0};
	logs_put_group(c, &group);
	return CALL_OK;
}

int logs_put_log_group_deletion_protection(struct call *c, const struct logs_put_log_group_deletion_protection_request *in,
                                           struct model_none *out)
{
	(void)out;
	struct logs_group group;
	struct str name = logs_group_name(c, STR_NONE, in->log_group_identifier);
	if (!str_set(name) || logs_get_group(c, name, &group) != CALL_OK)
		return CALL_FAIL;
	group.record.protected = in->deletion_protection_enabled;
	logs_put_group(c, &group);
	return CALL_OK;
}

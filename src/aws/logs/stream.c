/* Log streams: CreateLogStream, DeleteLogStream, DescribeLogStreams. */
#include "rows.h"

#include <stdlib.h>

int logs_create_log_stream(struct call *c, const struct logs_create_log_stream_request *in, struct model_none *out)
{
	(void)out;
	struct logs_group group;
	struct logs_stream stream;
	if (logs_get_group(c, in->log_group_name, &group) != CALL_OK)
		return CALL_FAIL;
	if (logs_find_stream(c, group.id, in->log_stream_name, &stream))
		return call_fail(c, "ResourceAlreadyExistsException", 0, "The specified log stream already exists");
	stream.id = logs_new_id();
	stream.record = (struct state_logs_stream_record){
	        .name = in->log_stream_name, .id = OPT_INT((int64_t)stream.id), .created = OPT_INT(c->now_ms)};
	record_put(call_txn(c), c->arena, stream.key, LOGS_ROW("Stream"), &stream.record);
	store_put(call_txn(c), logs_stream_name_key(c->arena, group.id, stream.id), in->log_stream_name);
	return CALL_OK;
}

static void purge_soon(struct call *c)
{
	logs_purge_pending(logs_state(c));
}

int logs_delete_log_stream(struct call *c, const struct logs_delete_log_stream_request *in, struct model_none *out)
{
	(void)out;
	struct logs_group group;
	struct logs_stream stream;
	if (logs_get_group(c, in->log_group_name, &group) != CALL_OK ||
	    logs_get_stream(c, &group, in->log_stream_name, &stream) != CALL_OK)
		return CALL_FAIL;
	store_delete(call_txn(c), stream.key);
	store_delete(call_txn(c), logs_stream_name_key(c->arena, group.id, stream.id));
	logs_put_purge(c, group.id, stream.id);
	call_after_commit(c, purge_soon);
	return CALL_OK;
}

/* --- DescribeLogStreams */

static void describe(struct call *c, const struct logs_group *group, const struct state_logs_stream_record *record,
                     const struct log_stats *stats, struct logs_log_stream *ret)
{
	ret->log_stream_name = record->name;
	ret->creation_time = record->created;
	if (stats->first_ms >= 0) {
		ret->first_event_timestamp = OPT_INT(stats->first_ms);
		ret->last_event_timestamp = OPT_INT(stats->last_ms);
	}
	if (stats->ingested_ms) {
		ret->last_ingestion_time = OPT_INT(stats->ingested_ms);
		ret->upload_sequence_token =
		        logs_position_digits(c->arena, (struct log_position){stats->ingested_ms, 0}, (uint64_t)record->id.v);
	}
	ret->arn = ARENA_CAT(c->arena, logs_group_arn(c, group->record.name), S(":log-stream:"), record->name);
	ret->stored_bytes = OPT_INT(0); /* as CloudWatch does since 2019 */
}

static int describe_by_name(struct call *c, const struct logs_group *group, const struct logs_describe_log_streams_request *in,
                            uint32_t limit, struct logs_describe_log_streams_response *out)
{
	struct str under = logs_streams_under(c->arena, group->id), after, last = STR_NONE, key;
	if (!logs_page_from(c, in->next_token, under, &after))
		return CALL_FAIL;
	bool descending = in->descending.v;
	struct str from = logs_names_under(c->arena, under, in->log_stream_name_prefix), to = store_prefix_end(c->arena, from);
	if (str_set(after) && descending)
		to = after;
	else if (str_set(after) && str_cmp(after, from) >= 0)
		from = ARENA_CAT(c->arena, after, str_of("", 1));
	struct store_iter *i = store_scan(call_txn(c), from, to, descending);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct state_logs_stream_record record;
		struct log_stats stats;
		if (!record_read(c->arena, v.value, LOGS_ROW("Stream"), &record))
			continue;
		if (str_set(in->log_stream_name_prefix) && !str_starts(record.name, in->log_stream_name_prefix))
			continue;
		if (out->log_streams.n == limit) {
			out->next_token = logs_page_token(c, last);
			break;
		}
		last = key;
		logs_stats(logs_events(c), group->id, (uint64_t)record.id.v, &stats);
		describe(c, group, &record, &stats, LIST_ADD(c->arena, &out->log_streams));
	}
	return CALL_OK;
}

struct timed {
	struct state_logs_stream_record record;
	struct log_stats stats;
};

static int timed_cmp(const struct timed *a, const struct timed *b)
{
	if (a->stats.last_ms != b->stats.last_ms)
		return a->stats.last_ms < b->stats.last_ms ? -1 : 1;
	return str_cmp(a->record.name, b->record.name);
}

static int timed_up(const void *a, const void *b)
{
	return timed_cmp(a, b);
}

static int timed_down(const void *a, const void *b)
{
	return timed_cmp(b, a);
}

/* By the time of the newest event, which is kept nowhere in order: all streams of the group are looked at. */
static int describe_by_time(struct call *c, const struct logs_group *group, const struct logs_describe_log_streams_request *in,
                            uint32_t limit, struct logs_describe_log_streams_response *out)
{
	struct {
		struct timed *v;
		uint32_t n;
		bool set;
	} all = {0};
	struct str under = logs_streams_under(c->arena, group->id), after, key;
	struct timed last = {0};
	if (!logs_page_from(c, in->next_token, under, &after))
		return CALL_FAIL;
	if (str_set(after)) {
		struct str_list parts = record_key_parts(c->arena, str_from_at(after, under.n));
		if (parts.n != 2 || !str_to_i64(parts.v[0], &last.stats.last_ms))
			return logs_invalid(c, "The specified nextToken is invalid.");
		last.record.name = parts.v[1];
	}
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct timed *t = LIST_ADD(c->arena, &all);
		if (!record_read(c->arena, v.value, LOGS_ROW("Stream"), &t->record))
			all.n--;
		else
			logs_stats(logs_events(c), group->id, (uint64_t)t->record.id.v, &t->stats);
	}
	int (*cmp)(const void *, const void *) = in->descending.v ? timed_down : timed_up;
	if (all.n)
		qsort(all.v, all.n, sizeof(all.v[0]), cmp);
	for (uint32_t n = 0; n < all.n; n++) {
		if (str_set(after) && cmp(&all.v[n], &last) <= 0)
			continue;
		if (out->log_streams.n == limit) {
			const struct timed *t = &all.v[n - 1];
			struct str at = KEY(c->arena, arena_printf(c->arena, "%ld", t->stats.last_ms), t->record.name);
			out->next_token = logs_page_token(c, ARENA_CAT(c->arena, under, at));
			break;
		}
		describe(c, group, &all.v[n].record, &all.v[n].stats, LIST_ADD(c->arena, &out->log_streams));
	}
	return CALL_OK;
}

int logs_describe_log_streams(struct call *c, const struct logs_describe_log_streams_request *in,
                              struct logs_describe_log_streams_response *out)
{
	struct logs_group group;
	struct str name = logs_group_name(c, in->log_group_name, in->log_group_identifier);
	bool by_time = str_is(in->order_by, "LastEventTime");
	out->log_streams.set = true;
	if (!str_set(name))
		return CALL_FAIL;
	if (by_time && str_set(in->log_stream_name_prefix))
		return logs_invalid(c, "Cannot order by LastEventTime with a logStreamNamePrefix.");
	if (logs_get_group(c, name, &group) != CALL_OK)
		return CALL_FAIL;
	uint32_t limit = in->limit.set ? (uint32_t)in->limit.v : 50;
	return by_time ? describe_by_time(c, &group, in, limit, out) : describe_by_name(c, &group, in, limit, out);
}

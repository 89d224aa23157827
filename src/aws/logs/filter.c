/* FilterLogEvents and TestMetricFilter.
 *
 * Events of all streams of a group come interleaved, in order of time. One call looks at a bounded number of them, so that a search
 * through gigabytes does not hold up others: as on AWS, a page may be short or empty and still have a token to go on with. */
#include "rows.h"

#include "base/clock.h"
#include "base/map.h"
#include "engine/logs/filter.h"

#include <stdlib.h>

enum { EVENTS_MAX = 10000, PAGE_BYTES_MAX = 1048576, SEARCH_US_MAX = 8000, LOOK_BYTES = 65536 };

/* The streams met so far, by id: an absent name is not wanted. */
struct stream_names {
	struct call *call;
	const struct logs_filter_log_events_request *in;
	uint64_t group;
	struct map by_id;
};
struct stream_entry {
	struct str name;
};

static bool stream_wanted(const struct logs_filter_log_events_request *in, struct str name)
{
	if (!str_set(name) || (str_set(in->log_stream_name_prefix) && !str_starts(name, in->log_stream_name_prefix)))
		return false;
	for (uint32_t i = 0; i < in->log_stream_names.n; i++)
		if (str_eq(in->log_stream_names.v[i], name))
			return true;
	return in->log_stream_names.n == 0;
}

static struct str stream_name(struct stream_names *names, uint64_t id)
{
	struct str key = str_of(&id, sizeof(id));
	struct stream_entry *e = map_get(&names->by_id, key);
	if (!e) {
		struct call *c = names->call;
		e = arena_new(c->arena, struct stream_entry);
		struct str name = logs_stream_name(call_txn(c), c->arena, names->group, id);
		e->name = stream_wanted(names->in, name) ? name : STR_NONE;
		map_put(&names->by_id, key, e);
	}
	return e->name;
}

struct search {
	uint64_t group, stream; /* stream 0: all */
	struct log_position from, to;
	uint32_t limit;
	const struct log_filter *filter;
};

/* Fills a page. True: there may be more, from *ret_next on. */
static bool search_run(struct call *c, const struct search *s, struct stream_names *names, struct logs_filtered_log_events *out,
                       struct log_position *ret_next)
{
	CLEAN_ARENA struct arena a, scratch;
	arena_init(&a, 0);
	arena_init(&scratch, 0);
	struct logs_walk *w = logs_walk(logs_events(c), &a, s->group, s->stream, s->from, s->to, false);
	struct log_event e;
	size_t bytes = 0;
	int64_t until = clock_mono_us() + SEARCH_US_MAX;
	size_t looked_bytes = 0;
	bool more = false;
	for (unsigned looked = 1; logs_walk_next(w, &e); looked++) {
		bool look_up = looked % 64 == 0 || looked_bytes > LOOK_BYTES;
		if (out->n == s->limit || (look_up && clock_mono_us() > until)) {
			more = true;
			break;
		}
		looked_bytes = look_up ? 0 : looked_bytes + e.message.n;
		struct str name = stream_name(names, e.stream);
		if (!str_set(name))
			continue;
		arena_reset(&scratch);
		if (!log_filter_match(&scratch, s->filter, e.message))
			continue;
		bytes += e.message.n + LOG_EVENT_OVERHEAD_BYTES;
		if (bytes > PAGE_BYTES_MAX && out->n) {
			more = true;
			break;
		}
		struct logs_filtered_log_event *o = LIST_ADD(c->arena, out);
		o->log_stream_name = name;
		o->timestamp = OPT_INT(e.at.time_ms);
		o->ingestion_time = OPT_INT(e.ingested_ms);
		o->message = arena_dup(c->arena, e.message);
		o->event_id = logs_position_digits(c->arena, e.at, s->group);
	}
	logs_walk_end(w);
	*ret_next = e.at;
	return more;
}

/* Named streams must be there; a single one is searched by itself. */
static int check_streams(struct call *c, const struct logs_filter_log_events_request *in, const struct logs_group *group,
                         struct search *s)
{
	if (in->log_stream_names.n && str_set(in->log_stream_name_prefix))
		return logs_invalid(c, "LogStreamNames and LogStreamNamePrefix are mutually exclusive. Please specify only one.");
	for (uint32_t i = 0; i < in->log_stream_names.n; i++) {
		struct logs_stream stream;
		if (logs_get_stream(c, group, in->log_stream_names.v[i], &stream) != CALL_OK)
			return CALL_FAIL;
		s->stream = in->log_stream_names.n == 1 ? stream.id : 0;
	}
	return CALL_OK;
}

int logs_filter_log_events(struct call *c, const struct logs_filter_log_events_request *in,
                           struct logs_filter_log_events_response *out)
{
	struct logs_group group;
	struct str name = logs_group_name(c, in->log_group_name, in->log_group_identifier), error;
	if (!str_set(name) || logs_get_group(c, name, &group) != CALL_OK)
		return CALL_FAIL;
	if (in->start_time.set && in->end_time.set && in->start_time.v > in->end_time.v)
		return logs_invalid(c, "startTime must be less than or equal to endTime.");
	int64_t cutoff = logs_cutoff_ms(c, &group), start = in->start_time.v > cutoff ? in->start_time.v : cutoff;
	struct search s = {.group = group.id,
	                   .from = {start, 0},
	                   .to = in->end_time.set && in->end_time.v < INT64_MAX ? (struct log_position){in->end_time.v + 1, 0}
	                                                                        : LOG_POSITION_LAST,
	                   .limit = in->limit.set ? (uint32_t)in->limit.v : EVENTS_MAX,
	                   .filter = log_filter_compile(c->arena, in->filter_pattern, &error)};
	if (!s.filter)
		return logs_invalid(c, "%.*s", STR_ARG(error));
	if (check_streams(c, in, &group, &s) != CALL_OK)
		return CALL_FAIL;
	struct log_position next;
	if (str_set(in->next_token)) {
		if (!logs_position_parse(in->next_token, group.id, &next))
			return logs_invalid(c, "The specified nextToken is invalid.");
		if (next.time_ms >= start)
			s.from = next;
	}
	struct stream_names names = {.call = c, .in = in, .group = group.id};
	out->events.set = out->searched_log_streams.set = true;
	if (search_run(c, &s, &names, &out->events, &next))
		out->next_token = logs_position_digits(c->arena, next, group.id);
	map_done(&names.by_id);
	return CALL_OK;
}

int logs_test_metric_filter(struct call *c, const struct logs_test_metric_filter_request *in,
                            struct logs_test_metric_filter_response *out)
{
	struct str error;
	const struct log_filter *filter = log_filter_compile(c->arena, in->filter_pattern, &error);
	if (!filter)
		return logs_invalid(c, "%.*s", STR_ARG(error));
	out->matches.set = true;
	for (uint32_t i = 0; i < in->log_event_messages.n; i++) {
		struct str message = in->log_event_messages.v[i];
		if (!log_filter_match(c->arena, filter, message))
			continue;
		struct logs_metric_filter_match_record *match = LIST_ADD(c->arena, &out->matches);
		match->event_number = OPT_INT(i + 1);
		match->event_message = message;
		match->extracted_values = log_filter_fields(c->arena, filter, message);
		match->extracted_values.set = true;
	}
	return CALL_OK;
}

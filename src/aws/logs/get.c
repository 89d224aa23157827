/* GetLogEvents. A forward token names the position from which to read on, a backward token the one before which to read back; where
 * nothing more is found, the same token comes back. */
#include "rows.h"

enum { EVENTS_MAX = 10000, PAGE_BYTES_MAX = 1048576 };

struct page {
	uint64_t group, stream;
	struct log_position from, to;
	uint32_t limit;
	bool backward;
};

static bool before(struct log_position a, struct log_position b)
{
	return a.time_ms != b.time_ms ? a.time_ms < b.time_ms : a.number < b.number;
}

/* f/<56 digits>/s or b/... */
static bool token_read(struct str token, uint64_t stream, bool *ret_backward, struct log_position *ret)
{
	if (token.n != 60 || !str_ends(token, S("/s")) || (!str_starts(token, S("f/")) && !str_starts(token, S("b/"))))
		return false;
	*ret_backward = token.p[0] == 'b';
	return logs_position_parse(str_sub(token, 2, 56), stream, ret);
}

static struct str token_write(struct call *c, struct str direction, struct log_position at, uint64_t stream)
{
	return ARENA_CAT(c->arena, direction, S("/"), logs_position_digits(c->arena, at, stream), S("/s"));
}

/* Reads the page; events come in order of time in either direction. Where it began and ended is in *ret_first and *ret_next. False:
 * there is nothing. */
static bool page_read(struct call *c, const struct page *p, struct logs_output_log_events *out, struct log_position *ret_first,
                      struct log_position *ret_next)
{
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	struct logs_walk *w = logs_walk(logs_events(c), &a, p->group, p->stream, p->from, p->to, p->backward);
	struct log_event e;
	size_t bytes = 0;
	while (out->n < p->limit && logs_walk_next(w, &e)) {
		bytes += e.message.n + LOG_EVENT_OVERHEAD_BYTES;
		if (bytes > PAGE_BYTES_MAX && out->n)
			break;
		bool newest = out->n == 0 || !p->backward, oldest = out->n == 0 || p->backward;
		if (newest)
			*ret_next = (struct log_position){e.at.time_ms, e.at.number + 1};
		if (oldest)
			*ret_first = e.at;
		struct logs_output_log_event *o = LIST_ADD(c->arena, out);
		o->timestamp = OPT_INT(e.at.time_ms);
		o->ingestion_time = OPT_INT(e.ingested_ms);
		o->message = arena_dup(c->arena, e.message);
	}
	logs_walk_end(w);
	for (uint32_t i = 0; p->backward && i < out->n / 2; i++) {
		struct logs_output_log_event swap = out->v[i];
		out->v[i] = out->v[out->n - 1 - i];
		out->v[out->n - 1 - i] = swap;
	}
	return out->n > 0;
}

int logs_get_log_events(struct call *c, const struct logs_get_log_events_request *in, struct logs_get_log_events_response *out)
{
	struct logs_group group;
	struct logs_stream stream;
	struct str name = logs_group_name(c, in->log_group_name, in->log_group_identifier);
	if (!str_set(name) || logs_get_group(c, name, &group) != CALL_OK ||
	    logs_get_stream(c, &group, in->log_stream_name, &stream) != CALL_OK)
		return CALL_FAIL;
	if (in->start_time.set && in->end_time.set && in->start_time.v > in->end_time.v)
		return logs_invalid(c, "startTime must be less than or equal to endTime.");
	int64_t cutoff = logs_cutoff_ms(c, &group), start = in->start_time.v > cutoff ? in->start_time.v : cutoff;
	struct page p = {.group = group.id,
	                 .stream = stream.id,
	                 .from = {start, 0},
	                 .to = in->end_time.set ? (struct log_position){in->end_time.v, 0} : LOG_POSITION_LAST,
	                 .limit = in->limit.set ? (uint32_t)in->limit.v : EVENTS_MAX,
	                 .backward = !in->start_from_head.v};
	struct log_position at = p.from, first, next;
	if (str_set(in->next_token)) {
		if (!token_read(in->next_token, stream.id, &p.backward, &at))
			return logs_invalid(c, "The specified nextToken is invalid.");
		if (p.backward && before(at, p.to))
			p.to = at;
		else if (!p.backward && before(p.from, at))
			p.from = at;
	}
	first = next = at;
	out->events.set = true;
	page_read(c, &p, &out->events, &first, &next);
	out->next_forward_token = token_write(c, S("f"), next, stream.id);
	out->next_backward_token = token_write(c, S("b"), first, stream.id);
	return CALL_OK;
}

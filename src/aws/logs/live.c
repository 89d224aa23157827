/* StartLiveTail: a stream of what is being written to up to ten groups, once a second. A session hears every event as it becomes
 * durable, keeps those that it wants, at most 500 a second, and sends them with its next update. */
#include "rows.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "engine/logs/filter.h"

#include <stdlib.h>

enum { UPDATE_US = 1000 * 1000, EVENTS_A_SECOND = 500, SESSIONS_MAX = 15, SESSION_MS = 3 * 3600 * 1000, GROUPS_MAX = 10 };

struct live_group {
	uint64_t id;
	struct str identifier;
};

struct live {
	struct list link; /* logs_state.live */
	struct call *call;
	struct logs_state *state; /* NULL: the service has stopped */
	struct logs_ear *ear;
	struct loop_timer *timer;
	int64_t started_us;
	const struct logs_start_live_tail_request *in;
	const struct log_filter *filter;
	struct live_group groups[GROUPS_MAX];
	uint32_t group_count;
	bool blocked;       /* the client does not read: updates wait */
	struct arena arena; /* the events of the next update */
	struct logs_live_tail_session_results results;
	bool sampled; /* there were more than fit */
};

static void live_detach(struct live *l)
{
	if (!l->state)
		return;
	loop_remove_timer(l->state->cloud->loop, l->timer);
	logs_unlisten(l->ear);
	list_remove(&l->link);
	l->timer = NULL;
	l->ear = NULL;
	l->state = NULL;
}

static void live_free(struct call *c)
{
	struct live *l = c->state;
	live_detach(l);
	arena_done(&l->arena);
	free(l);
}

void logs_live_stop(struct logs_state *s)
{
	list_each (&s->live, struct live, link, l)
		live_detach(l);
}

static bool stream_wanted(const struct logs_start_live_tail_request *in, struct str name)
{
	for (uint32_t i = 0; i < in->log_stream_names.n; i++)
		if (str_eq(in->log_stream_names.v[i], name))
			return true;
	for (uint32_t i = 0; i < in->log_stream_name_prefixes.n; i++)
		if (str_starts(name, in->log_stream_name_prefixes.v[i]))
			return true;
	return in->log_stream_names.n == 0 && in->log_stream_name_prefixes.n == 0;
}

static void live_hear(void *ctx, uint64_t group, const struct log_event *e)
{
	struct live *l = ctx;
	uint32_t at = 0;
	while (at < l->group_count && l->groups[at].id != group)
		at++;
	if (at == l->group_count)
		return;
	if (l->results.n == EVENTS_A_SECOND) {
		l->sampled = true;
		return;
	}
	CLEAN_ARENA struct arena scratch;
	arena_init(&scratch, 0);
	if (!log_filter_match(&scratch, l->filter, e->message))
		return;
	struct store_txn *t = store_begin(l->state->cloud->store, &scratch);
	struct str name = logs_stream_name(t, &scratch, group, e->stream);
	store_abort(t);
	if (!str_set(name) || !stream_wanted(l->in, name))
		return;
	struct logs_live_tail_session_log_event *o = LIST_ADD(&l->arena, &l->results);
	o->log_stream_name = arena_dup(&l->arena, name);
	o->log_group_identifier = l->groups[at].identifier;
	o->message = arena_dup(&l->arena, e->message);
	o->timestamp = OPT_INT(e->at.time_ms);
	o->ingestion_time = OPT_INT(e->ingested_ms);
}

static void live_update(void *ctx)
{
	struct live *l = ctx;
	l->timer = NULL;
	if (clock_mono_us() - l->started_us > SESSION_MS * (int64_t)1000) {
		call_write_exception(l->call, "SessionTimeoutException",
		                     S("The session has reached its maximum duration of three hours."));
		call_end(l->call);
		return;
	}
	l->timer = loop_add_timer(l->state->cloud->loop, UPDATE_US, live_update, l);
	if (l->blocked)
		return;
	struct logs_live_tail_session_metadata metadata = {.sampled = OPT_BOOL(l->sampled)};
	struct logs_live_tail_session_update update = {.session_metadata = &metadata, .session_results = l->results};
	update.session_results.set = true;
	l->blocked = !call_write_event(l->call, "sessionUpdate", &update);
	arena_reset(&l->arena);
	memset(&l->results, 0, sizeof(l->results));
	l->sampled = false;
}

static void live_start(struct call *c)
{
	struct live *l = c->state;
	struct logs_live_tail_session_start start = {
	        .request_id = c->request_id,
	        .session_id = id_uuid(c->arena),
	        .log_group_identifiers = l->in->log_group_identifiers,
	        .log_stream_names = l->in->log_stream_names,
	        .log_stream_name_prefixes = l->in->log_stream_name_prefixes,
	        .log_event_filter_pattern = l->in->log_event_filter_pattern,
	};
	l->blocked = !call_write_event(c, "sessionStart", &start);
}

static void live_drained(struct call *c)
{
	struct live *l = c->state;
	l->blocked = false;
}

static int live_find_groups(struct call *c, struct live *l)
{
	for (uint32_t i = 0; i < l->in->log_group_identifiers.n && i < GROUPS_MAX; i++) {
		struct logs_group group;
		struct str identifier = l->in->log_group_identifiers.v[i], name = logs_group_name(c, STR_NONE, identifier);
		if (!str_set(name) || logs_get_group(c, name, &group) != CALL_OK)
			return CALL_FAIL;
		if (!str_is(group.record.class, "STANDARD"))
			return call_fail(c, "InvalidOperationException", 0, "Live Tail is for log groups of the STANDARD class.");
		struct str arn = logs_group_arn(c, name);
		l->groups[l->group_count++] = (struct live_group){
		        .id = group.id, .identifier = ARENA_CAT(c->arena, c->account, S(":"), str_from_at(arn, arn.n - name.n))};
	}
	return CALL_OK;
}

static int live_check(struct call *c, const struct logs_start_live_tail_request *in)
{
	unsigned sessions = 0;
	bool named = in->log_stream_names.n || in->log_stream_name_prefixes.n;
	if (in->log_stream_names.n && in->log_stream_name_prefixes.n)
		return logs_invalid(c, "LogStreamNames and LogStreamNamePrefixes are mutually exclusive. Please specify only one.");
	if (named && in->log_group_identifiers.n > 1)
		return logs_invalid(c, "LogStreamNames and LogStreamNamePrefixes can be specified for a single log group only.");
	list_each (&logs_state(c)->live, struct live, link, l)
		sessions += str_eq(l->call->account, c->account) && str_eq(l->call->region, c->region);
	if (sessions >= SESSIONS_MAX)
		return call_fail(c, "LimitExceededException", 0, "There are %d Live Tail sessions already.", SESSIONS_MAX);
	return CALL_OK;
}

int logs_start_live_tail(struct call *c, const struct logs_start_live_tail_request *in, struct logs_start_live_tail_response *out)
{
	(void)out;
	struct str error;
	const struct log_filter *filter = log_filter_compile(c->arena, in->log_event_filter_pattern, &error);
	if (!filter)
		return logs_invalid(c, "%.*s", STR_ARG(error));
	if (!c->http)
		return call_fail(c, "InvalidOperationException", 0, "Live Tail is for clients.");
	if (live_check(c, in) != CALL_OK)
		return CALL_FAIL;
	struct live found = {.in = in};
	if (live_find_groups(c, &found) != CALL_OK)
		return CALL_FAIL;
	struct live *l = malloc(sizeof(*l));
	if (!l)
		die("out of memory (Live Tail)");
	*l = found;
	l->call = c;
	l->state = logs_state(c);
	l->filter = filter;
	l->started_us = clock_mono_us();
	arena_init(&l->arena, 0);
	list_init(&l->link);
	list_push(&l->state->live, &l->link);
	l->ear = logs_listen(l->state->events, live_hear, l);
	l->timer = loop_add_timer(l->state->cloud->loop, UPDATE_US, live_update, l);
	c->state = l;
	call_on_free(c, live_free);
	c->reply = (struct reply_body){
	        .kind = REPLY_STREAM, .fd = -1, .stream_length = -1, .stream_start = live_start, .stream_drained = live_drained};
	return CALL_OK;
}

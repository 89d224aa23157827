/* StartQuery, GetQueryResults, StopQuery, DescribeQueries. A query walks over its groups one after the other, each from its newest
 * event on, in slices, so that a search through gigabytes holds up nobody. */
#include "query.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/map.h"
#include "core/meter.h"
#include "engine/logs/insights.h"

#include <stdlib.h>

enum {
	RUNNING_MAX = 30,
	KEPT_MAX = 100,
	GROUPS_MAX = 50,
	SLICE_US = 4000,
	PAUSE_US = 1000,
	KEPT_MS = 3600 * 1000,
	TIMEOUT_MS = 3600 * 1000,
	LIMIT = 10000,
	PAGE = 1000
};

struct searched {
	uint64_t id;
	struct str name;
	int64_t cutoff_ms;
	struct map streams; /* id -> name, in the query's arena */
};
struct query {
	struct list link;
	struct queries *all;
	struct arena arena;
	struct str id, account, region, text;
	struct searched *groups;
	uint32_t group_count, at; /* the one that it is at */
	struct log_position from, to;
	int64_t begun_ms, ended_ms, start_ms, end_ms;
	int64_t scanned, bytes;
	const char *status;
	struct insights_run *run;
	struct loop_timer *timer;
};
struct queries {
	struct cloud *cloud;
	struct logs *events;
	struct list list; /* newest last */
	unsigned count, running;
};

static void query_free(struct query *q)
{
	loop_remove_timer(q->all->cloud->loop, q->timer);
	insights_run_free(q->run);
	for (uint32_t i = 0; i < q->group_count; i++)
		map_done(&q->groups[i].streams);
	q->all->running -= !q->ended_ms;
	q->all->count--;
	list_remove(&q->link);
	arena_done(&q->arena);
	free(q);
}

static void end(struct query *q, const char *status)
{
	q->status = status;
	q->ended_ms = clock_wall_ms();
	q->all->running--;
	loop_remove_timer(q->all->cloud->loop, q->timer);
	q->timer = NULL;
	meter_count(q->all->cloud->meter, q->account, q->region, S("DataScanned-Bytes"), q->bytes);
}

/* --- a slice of the work */

static struct str stream_name(struct query *q, struct searched *g, struct store_txn *t, uint64_t id)
{
	struct str key = str_of(&id, sizeof(id)), *name = map_get(&g->streams, key);
	if (!name) {
		name = arena_new(&q->arena, struct str);
		*name = logs_stream_name(t, &q->arena, g->id, id);
		map_put(&g->streams, key, name);
	}
	return *name;
}

/* False: the group is done with. */
static bool search(struct query *q, struct searched *g, struct store_txn *t, struct arena *a, int64_t until_us, bool *ret_enough)
{
	struct log_event e;
	struct logs_walk *w = logs_walk(q->all->events, a, g->id, 0, q->from, q->to, true);
	struct arena CLEAN_ARENA scratch = {0};
	bool more = false;
	while (!*ret_enough && logs_walk_next(w, &e)) {
		if (clock_mono_us() > until_us) {
			/* This one comes again: a walk ends before `to`. */
			q->to = (struct log_position){e.at.time_ms, e.at.number + 1};
			more = true;
			break;
		}
		struct str stream = stream_name(q, g, t, e.stream);
		if (!str_set(stream))
			continue;
		arena_reset(&scratch);
		q->scanned++;
		q->bytes += (int64_t)e.message.n;
		*ret_enough =
		        !insights_add(q->run, &(struct insights_event){.time_ms = e.at.time_ms,
		                                                       .ingested_ms = e.ingested_ms,
		                                                       .message = e.message,
		                                                       .stream = stream,
		                                                       .log = ARENA_CAT(&scratch, q->account, S(":"), g->name),
		                                                       .ptr = logs_position_digits(&scratch, e.at, g->id)});
	}
	logs_walk_end(w);
	return more;
}

static void group_begin(struct query *q)
{
	const struct searched *g = &q->groups[q->at];
	q->from = (struct log_position){q->start_ms > g->cutoff_ms ? q->start_ms : g->cutoff_ms, 0};
	q->to = (struct log_position){q->end_ms + 1, 0};
}

static void slice(void *ctx)
{
	struct query *q = ctx;
	struct arena CLEAN_ARENA a = {0};
	bool enough = false;
	q->timer = NULL;
	q->status = "Running";
	struct store_txn *t = store_begin(q->all->cloud->store, &a);
	bool more = search(q, &q->groups[q->at], t, &a, clock_mono_us() + SLICE_US, &enough);
	store_abort(t);
	if (!more && !enough && ++q->at < q->group_count)
		group_begin(q);
	if (insights_failed(q->run))
		end(q, "Failed");
	else if (enough || q->at == q->group_count)
		end(q, "Complete");
	else if (clock_wall_ms() > q->begun_ms + TIMEOUT_MS)
		end(q, "Timeout");
	else
		q->timer = loop_add_timer(q->all->cloud->loop, PAUSE_US, slice, q);
}

/* --- StartQuery */

static void forget_old(struct queries *all, int64_t now_ms)
{
	list_each (&all->list, struct query, link, q) {
		if (q->ended_ms && (q->ended_ms < now_ms - KEPT_MS || all->count >= KEPT_MAX)) {
			query_free(q);
			forget_old(all, now_ms);
			return;
		}
	}
}

static bool names(struct call *c, const struct logs_start_query_request *in, struct str_list *ret)
{
	unsigned given = str_set(in->log_group_name) + (in->log_group_names.n > 0) + (in->log_group_identifiers.n > 0);
	if (given != 1) {
		logs_invalid(c, given ? "Specify only one of logGroupName, logGroupNames and logGroupIdentifiers."
		                      : "Log groups must be specified by logGroupName, logGroupNames or logGroupIdentifiers.");
		return false;
	}
	if (str_set(in->log_group_name))
		*LIST_ADD(c->arena, ret) = in->log_group_name;
	for (uint32_t i = 0; i < in->log_group_names.n; i++)
		*LIST_ADD(c->arena, ret) = in->log_group_names.v[i];
	for (uint32_t i = 0; i < in->log_group_identifiers.n; i++) {
		struct str name = logs_group_name(c, STR_NONE, in->log_group_identifiers.v[i]);
		if (!str_set(name))
			return false;
		*LIST_ADD(c->arena, ret) = name;
	}
	if (ret->n > GROUPS_MAX)
		logs_invalid(c, "At most 50 log groups can be specified.");
	return ret->n <= GROUPS_MAX;
}

static int start(struct call *c, struct query *q, const struct logs_start_query_request *in, const struct str_list *l)
{
	struct str error;
	const struct insights *compiled = insights_compile(&q->arena, in->query_string, &error);
	if (!compiled)
		return call_fail(c, "MalformedQueryException", 0, "%.*s", STR_ARG(error));
	q->run = insights_run_new(compiled, in->limit.set && in->limit.v < LIMIT ? (uint32_t)in->limit.v : LIMIT);
	q->groups = arena_array(&q->arena, l->n, sizeof(*q->groups));
	for (uint32_t i = 0; i < l->n; i++) {
		struct logs_group group;
		if (logs_get_group(c, l->v[i], &group) != CALL_OK)
			return CALL_FAIL;
		q->groups[q->group_count++] = (struct searched){
		        .id = group.id, .name = arena_dup(&q->arena, group.record.name), .cutoff_ms = logs_cutoff_ms(c, &group)};
	}
	return CALL_OK;
}

int logs_start_query(struct call *c, const struct logs_start_query_request *in, struct logs_start_query_response *out)
{
	struct queries *all = logs_state(c)->queries;
	struct str_list l = {0};
	if (str_set(in->query_language) && !str_is(in->query_language, "CWLI"))
		return logs_invalid(c, "Queries in %.*s are not supported.", STR_ARG(in->query_language));
	if (in->start_time.v > in->end_time.v)
		return logs_invalid(c, "End time should not be before start time.");
	if (!names(c, in, &l))
		return CALL_FAIL;
	forget_old(all, c->now_ms);
	if (all->running >= RUNNING_MAX || all->count >= KEPT_MAX)
		return call_fail(c, "LimitExceededException", 0, "Account maximum query concurrency limit of [%d] reached.",
		                 RUNNING_MAX);
	struct query *q = calloc(1, sizeof(*q));
	if (!q)
		die("out of memory (queries)");
	char id[37];
	id_uuid_to(id);
	q->all = all;
	list_push(&all->list, &q->link);
	all->count++;
	all->running++;
	if (start(c, q, in, &l) != CALL_OK) {
		query_free(q);
		return CALL_FAIL;
	}
	q->id = arena_dup(&q->arena, str_of(id, 36));
	q->account = arena_dup(&q->arena, c->account);
	q->region = arena_dup(&q->arena, c->region);
	q->text = arena_dup(&q->arena, in->query_string);
	q->begun_ms = c->now_ms;
	q->status = "Scheduled";
	/* Seconds; whoever gives milliseconds is understood too. */
	int64_t scale = in->end_time.v > INT64_C(100000000000) ? 1 : 1000;
	q->start_ms = in->start_time.v * scale;
	q->end_ms = in->end_time.v * scale + scale - 1;
	group_begin(q);
	q->timer = loop_add_timer(c->cloud->loop, 0, slice, q);
	out->query_id = arena_dup(c->arena, q->id);
	return CALL_OK;
}

/* --- the others */

static struct query *find(struct call *c, struct str id)
{
	list_each (&logs_state(c)->queries->list, struct query, link, q) {
		if (str_eq(q->id, id) && str_eq(q->account, c->account) && str_eq(q->region, c->region))
			return q;
	}
	return NULL;
}

static int not_found(struct call *c, struct str id)
{
	return call_fail(c, "ResourceNotFoundException", 0, "Query %.*s not found.", STR_ARG(id));
}

int logs_get_query_results(struct call *c, const struct logs_get_query_results_request *in,
                           struct logs_get_query_results_response *out)
{
	struct query *q = find(c, in->query_id);
	uint64_t from = 0;
	uint32_t n, most = in->max_items.set ? (uint32_t)in->max_items.v : LIMIT;
	if (!q)
		return not_found(c, in->query_id);
	if (str_set(in->next_token) && !str_to_u64(in->next_token, &from))
		return logs_invalid(c, "The specified nextToken is invalid.");
	const struct insights_row *rows = insights_rows(q->run, &n);
	out->results.set = true;
	for (uint64_t i = from; i < n; i++) {
		if (out->results.n == most) {
			out->next_token = arena_printf(c->arena, "%llu", (unsigned long long)i);
			break;
		}
		struct logs_result_rows *r = LIST_ADD(c->arena, &out->results);
		*r = (struct logs_result_rows){.set = true};
		for (uint32_t k = 0; k < rows[i].n; k++)
			*LIST_ADD(c->arena, r) = (struct logs_result_field){arena_dup(c->arena, rows[i].v[k].name),
			                                                    arena_dup(c->arena, rows[i].v[k].value)};
	}
	out->status = str_from(q->status);
	out->query_language = S("CWLI");
	out->statistics = arena_new(c->arena, struct logs_query_statistics);
	out->statistics->records_matched = OPT_DOUBLE((double)insights_matched(q->run));
	out->statistics->records_scanned = OPT_DOUBLE((double)q->scanned);
	out->statistics->bytes_scanned = OPT_DOUBLE((double)q->bytes);
	out->statistics->log_groups_scanned = OPT_DOUBLE(q->at < q->group_count ? q->at + 1 : q->group_count);
	return CALL_OK;
}

int logs_stop_query(struct call *c, const struct logs_stop_query_request *in, struct logs_stop_query_response *out)
{
	struct query *q = find(c, in->query_id);
	if (!q)
		return not_found(c, in->query_id);
	if (q->ended_ms)
		return logs_invalid(c, "Query is not in a state that can be stopped.");
	end(q, "Cancelled");
	out->success = OPT_BOOL(true);
	return CALL_OK;
}

int logs_describe_queries(struct call *c, const struct logs_describe_queries_request *in,
                          struct logs_describe_queries_response *out)
{
	uint64_t skip = 0, seen = 0;
	uint32_t most = in->max_results.set ? (uint32_t)in->max_results.v : PAGE;
	if (str_set(in->next_token) && !str_to_u64(in->next_token, &skip))
		return logs_invalid(c, "The specified nextToken is invalid.");
	out->queries.set = true;
	list_each (&logs_state(c)->queries->list, struct query, link, q) {
		bool named = !str_set(in->log_group_name);
		for (uint32_t i = 0; i < q->group_count; i++)
			named |= str_eq(q->groups[i].name, in->log_group_name);
		if (!named || !str_eq(q->account, c->account) || !str_eq(q->region, c->region) ||
		    (str_set(in->status) && !str_is(in->status, q->status)) || seen++ < skip)
			continue;
		if (out->queries.n == most) {
			out->next_token = arena_printf(c->arena, "%llu", (unsigned long long)seen - 1);
			break;
		}
		struct logs_query_info *i = LIST_ADD(c->arena, &out->queries);
		i->query_id = arena_dup(c->arena, q->id);
		i->query_string = arena_dup(c->arena, q->text);
		i->status = str_from(q->status);
		i->create_time = OPT_INT(q->begun_ms);
		i->query_language = S("CWLI");
		if (q->group_count == 1)
			i->log_group_name = arena_dup(c->arena, q->groups[0].name);
	}
	return CALL_OK;
}

struct queries *queries_new(struct cloud *cloud, struct logs *events)
{
	struct queries *q = calloc(1, sizeof(*q));
	if (!q)
		die("out of memory (queries)");
	q->cloud = cloud;
	q->events = events;
	list_init(&q->list);
	return q;
}

void queries_free(struct queries *all)
{
	struct query *q;
	if (!all)
		return;
	while ((q = list_first(&all->list, struct query, link)))
		query_free(q);
	free(all);
}

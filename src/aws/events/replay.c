/* StartReplay, DescribeReplay, ListReplays, CancelReplay. A replay takes a piece of its archive after the other; how far it is
 * stands in its record, which is written in the transaction that takes the events again. */
#include "kept.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 50, WRITE_AGAIN_US = 1000000 };

struct replays {
	struct events_state *events;
	struct map all; /* key -> struct replay, of those that run */
	struct store_watch *watch;
};
struct replay {
	struct replays *of; /* NULL: the service has ended */
	struct arena arena, work;
	struct str key, account, region, name;
	struct loop_timer *timer;
	bool busy;
};

static bool runs(struct str state)
{
	return str_is(state, "STARTING") || str_is(state, "RUNNING") || str_is(state, "CANCELLING");
}

static struct str key_of(struct call *c, struct str name)
{
	return KEY(c->arena, S("events"), S("replay"), c->account, c->region, name);
}

static struct str replay_arn(struct call *c, struct str name)
{
	return ARENA_CAT(c->arena, S("arn:aws:events:"), c->region, S(":"), c->account, S(":replay/"), name);
}

static int get(struct call *c, struct str name, struct state_events_replay_record *ret)
{
	if (record_get(call_txn(c), c->arena, key_of(c, name), EVENTS_ROW("Replay"), ret))
		return CALL_OK;
	return events_absent(c, "Replay %.*s does not exist.", STR_ARG(name));
}

/* --- operations */

int events_start_replay(struct call *c, const struct events_start_replay_request *in, struct events_start_replay_response *out)
{
	struct state_events_replay_record r;
	struct state_events_archive_record archive;
	if (record_get(call_txn(c), c->arena, key_of(c, in->replay_name), EVENTS_ROW("Replay"), &r))
		return call_fail(c, "ResourceAlreadyExistsException", 400, "Replay %.*s already exists.", STR_ARG(in->replay_name));
	if (!archive_of_arn(c, in->event_source_arn, &archive))
		return events_absent(c, "Parameter EventSourceArn is not valid. Reason: %.*s does not exist.",
		                     STR_ARG(in->event_source_arn));
	if (!str_eq(in->destination->arn, archive.bus))
		return events_invalid(c,
		                      "Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted.");
	if (in->event_end_time.ms <= in->event_start_time.ms)
		return events_invalid(c,
		                      "Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime.");
	r = (struct state_events_replay_record){.state = S("STARTING"),
	                                        .description = in->description,
	                                        .archive = in->event_source_arn,
	                                        .destination = in->destination,
	                                        .from = in->event_start_time,
	                                        .to = in->event_end_time,
	                                        .started = OPT_TIME(c->now_ms)};
	record_put(call_txn(c), c->arena, key_of(c, in->replay_name), EVENTS_ROW("Replay"), &r);
	out->replay_arn = replay_arn(c, in->replay_name);
	out->state = r.state;
	out->replay_start_time = r.started;
	return CALL_OK;
}

int events_describe_replay(struct call *c, const struct events_describe_replay_request *in,
                           struct events_describe_replay_response *out)
{
	struct state_events_replay_record r;
	if (get(c, in->replay_name, &r) != CALL_OK)
		return CALL_FAIL;
	*out = (struct events_describe_replay_response){.replay_name = in->replay_name,
	                                                .replay_arn = replay_arn(c, in->replay_name),
	                                                .description = r.description,
	                                                .state = r.state,
	                                                .event_source_arn = r.archive,
	                                                .destination = r.destination,
	                                                .event_start_time = r.from,
	                                                .event_end_time = r.to,
	                                                .event_last_replayed_time = r.last,
	                                                .replay_start_time = r.started,
	                                                .replay_end_time = r.ended};
	return CALL_OK;
}

int events_list_replays(struct call *c, const struct events_list_replays_request *in, struct events_list_replays_response *out)
{
	struct events_page p;
	out->replays.set = true;
	events_page_begin(c, &p, KEY_UNDER(c->arena, S("events"), S("replay"), c->account, c->region), in->limit, in->next_token);
	while (events_page_next(c, &p, in->name_prefix, &out->next_token)) {
		struct state_events_replay_record r;
		if (!record_read(c->arena, p.value, EVENTS_ROW("Replay"), &r) ||
		    (str_set(in->state) && !str_eq(in->state, r.state)) ||
		    (str_set(in->event_source_arn) && !str_eq(in->event_source_arn, r.archive)))
			continue;
		*LIST_ADD(c->arena, &out->replays) = (struct events_replay){.replay_name = p.last,
		                                                            .event_source_arn = r.archive,
		                                                            .state = r.state,
		                                                            .event_start_time = r.from,
		                                                            .event_end_time = r.to,
		                                                            .event_last_replayed_time = r.last,
		                                                            .replay_start_time = r.started,
		                                                            .replay_end_time = r.ended};
	}
	return CALL_OK;
}

int events_cancel_replay(struct call *c, const struct events_cancel_replay_request *in, struct events_cancel_replay_response *out)
{
	struct state_events_replay_record r;
	if (get(c, in->replay_name, &r) != CALL_OK)
		return CALL_FAIL;
	if (!str_is(r.state, "STARTING") && !str_is(r.state, "RUNNING"))
		return call_fail(c, "IllegalStatusException", 400, "Replay %.*s is not in a valid state for this operation.",
		                 STR_ARG(in->replay_name));
	r.state = S("CANCELLING");
	record_put(call_txn(c), c->arena, key_of(c, in->replay_name), EVENTS_ROW("Replay"), &r);
	out->replay_arn = replay_arn(c, in->replay_name);
	out->state = r.state;
	return CALL_OK;
}

/* --- replaying */

static void step(void *ctx);

static void replay_free(struct replay *r)
{
	if (r->of) {
		loop_remove_timer(r->of->events->cloud->loop, r->timer);
		map_remove(&r->of->all, r->key);
	}
	arena_done(&r->work);
	arena_done(&r->arena);
	free(r);
}

static void stepped(void *ctx, int result, uint64_t revision)
{
	struct replay *r = ctx;
	(void)revision;
	r->busy = false;
	if (!r->of) {
		replay_free(r);
		return;
	}
	if (result < 0 && result != -EAGAIN)
		log_error("events: a replay could not be written, and is tried again: %s", strerror(-result));
	r->timer = loop_add_timer(r->of->events->cloud->loop, result < 0 && result != -EAGAIN ? WRITE_AGAIN_US : 0, step, r);
}

struct taking {
	const struct happening *happening;
	const struct str_list *only; /* rules' ARNs; none: all */
};

static void wanted(void *ctx, const struct state_events_rule_record *rule)
{
	const struct taking *t = ctx;
	struct str arn = rule_arn(t->happening->arena, &t->happening->bus, rule->name);
	bool yes = !t->only->n;
	for (uint32_t i = 0; i < t->only->n; i++)
		yes |= str_eq(t->only->v[i], arn);
	if (yes)
		events_give(t->happening, rule);
}

static void take(struct replay *r, struct store_txn *t, const struct state_events_replay_record *row, struct str text)
{
	struct str name = str_from_at(row->destination->arn, (size_t)(str_find(row->destination->arn, S("event-bus/")) + 10));
	const struct happening h = {.cloud = r->of->events->cloud,
	                            .txn = t,
	                            .arena = &r->work,
	                            .bus = {r->account, r->region, name},
	                            .text = ARENA_CAT(&r->work, S("{\"replay-name\":\""), r->name, S("\","), str_from_at(text, 1)),
	                            .now_ms = clock_wall_ms()};
	struct taking q = {&h, &row->destination->filter_arns};
	event_rules_match(r->of->events->rules, &h.bus, json_parse(&r->work, h.text, NULL), wanted, &q);
}

static void step(void *ctx)
{
	struct replay *r = ctx;
	struct state_events_replay_record row;
	struct kept_event events[AT_ONCE];
	r->timer = NULL;
	arena_reset(&r->work);
	struct store_txn *t = store_begin(r->of->events->cloud->store, &r->work);
	if (!record_get(t, &r->work, r->key, EVENTS_ROW("Replay"), &row) || !runs(row.state)) {
		store_abort(t);
		replay_free(r);
		return;
	}
	struct str archive = kept_archive(&r->work, r->account, r->region,
	                                  str_from_at(row.archive, (size_t)(str_rfind_char(row.archive, '/') + 1)));
	size_t n = str_is(row.state, "CANCELLING") ? 0
	                                           : kept_read(kept_open(r->of->events, false), &r->work, archive, row.from.ms,
	                                                       row.to.ms, row.place, events, AT_ONCE);
	for (size_t i = 0; i < n; i++)
		take(r, t, &row, events[i].text);
	if (n) {
		row.state = S("RUNNING");
		row.place = events[n - 1].place;
		row.last = OPT_TIME(events[n - 1].time_ms);
	} else {
		row.state = str_is(row.state, "CANCELLING") ? S("CANCELLED") : S("COMPLETED");
		row.ended = OPT_TIME(clock_wall_ms());
	}
	record_put(t, &r->work, r->key, EVENTS_ROW("Replay"), &row);
	r->busy = true;
	store_commit(t, stepped, r);
}

static void changed(struct replays *all, struct str key, struct str value)
{
	struct state_events_replay_record row;
	struct arena CLEAN_ARENA a = {0};
	if (!str_set(value) || map_get(&all->all, key) || !record_read(&a, value, EVENTS_ROW("Replay"), &row) || !runs(row.state))
		return;
	struct replay *r = calloc(1, sizeof(*r));
	if (!r)
		die("out of memory (events)");
	r->of = all;
	r->key = arena_dup(&r->arena, key);
	struct str_list parts = record_key_parts(&r->arena, r->key);
	r->account = parts.v[2];
	r->region = parts.v[3];
	r->name = parts.v[4];
	map_put(&all->all, r->key, r);
	r->timer = loop_add_timer(all->events->cloud->loop, 0, step, r);
}

static void on_change(void *ctx, const struct store_event *e)
{
	changed(ctx, e->key, e->value);
}

struct replays *replays_new(struct events_state *s)
{
	struct arena CLEAN_ARENA a = {0};
	struct replays *all = calloc(1, sizeof(*all));
	struct store *store = s->cloud->store;
	if (!all)
		die("out of memory (events)");
	all->events = s;
	all->watch = record_follow(store, KEY_UNDER(&a, S("events"), S("replay")), on_change, all);
	return all;
}

/* The store still has what is being written: that frees itself. */
void replays_free(struct replays *all)
{
	size_t at = 0;
	struct str key;
	void *value;
	if (!all)
		return;
	store_unwatch(all->watch);
	while (map_next(&all->all, &at, &key, &value)) {
		struct replay *r = value;
		loop_remove_timer(all->events->cloud->loop, r->timer);
		r->of = NULL;
		if (!r->busy)
			replay_free(r);
	}
	map_done(&all->all);
	free(all);
}

#include "aws/lambda/async.h"

#include "aws/lambda/destination.h"
#include "aws/lambda/pool.h"
#include "aws/lambda/provision.h"
#include "aws/lambda/publish.h"
#include "aws/lambda/recursion.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	RUNNING_MAX = 200, /* events in functions at once */
	STARTING_MIN = 4,  /* events start no environment while so many, or two a processor, are starting: see must_wait() */
	ROOM_US = 10 * 1000,
	ROOM_TRIES = 32,
	PENDING_MS = 100,
	RETRIES = 2,
	AGE_S = 21600,
	DELIVERY_S = 2 * AGE_S, /* of an event's life, until it is given up to tell its destination */
};

struct async_queue {
	struct lambda *lambda;
	int64_t opened_ms; /* events from before were counted then */
	struct map events; /* key -> struct event */
	struct list ready; /* due, waiting for room */
	unsigned running, starting_max;
	struct loop_timer *room_timer;
	struct store_watch *watch;
};
struct event {
	struct list link; /* on ready */
	struct async_queue *queue;
	struct arena arena;
	struct str key, account, region;
	struct loop_timer *timer;
	bool busy, deleted, committing;
	/* while an attempt or a write is under way */
	struct arena work;
	struct state_lambda_event_record row;
	struct invocation *inv;
	bool remove; /* the write under way deletes the record */
	bool has_letter;
	struct state_lambda_event_record letter; /* which it writes beside */
	unsigned tries;
};

int64_t async_retry_delay_ms(int64_t attempts)
{
	return attempts <= 1 ? 60000 : 120000;
}

int64_t async_throttle_delay_ms(int64_t throttles)
{
	int64_t delay = 1000;
	for (int64_t i = 1; i < throttles && delay < 300000; i++)
		delay *= 2;
	return delay < 300000 ? delay : 300000;
}

void async_accept(struct call *c, const struct lambda_name *n, struct str payload, struct str client_context, struct str trace_id)
{
	struct state_lambda_event_record row = {
	        .request_id = c->request_id,
	        .function_name = n->name,
	        .qualifier = n->qualifier,
	        .payload = payload,
	        .client_context = client_context,
	        .trace_id = trace_id,
	        .accepted = OPT_TIME(c->now_ms),
	        .due = OPT_TIME(c->now_ms),
	};
	record_put(call_txn(c), c->arena, lambda_event_key(c->arena, n->account, n->region, c->request_id), ROW("Event"), &row);
}

/* --- one event */

static void schedule(struct event *v, int64_t due_ms);
static bool try_event(struct event *v);

static void free_event(struct event *v)
{
	loop_remove_timer(v->queue->lambda->cloud->loop, v->timer);
	list_remove(&v->link);
	map_remove(&v->queue->events, v->key);
	arena_done(&v->work);
	arena_done(&v->arena);
	free(v);
}

static void run_ready(struct async_queue *q)
{
	for (unsigned waiting = 0; q->running < RUNNING_MAX && waiting < ROOM_TRIES;) {
		struct event *v = list_first(&q->ready, struct event, link);
		if (!v)
			return;
		list_remove(&v->link);
		waiting += !try_event(v);
	}
}

static void look_for_room(void *ctx)
{
	struct async_queue *q = ctx;
	q->room_timer = NULL;
	run_ready(q);
}

/* A burst of events would start an environment for each of them, whose starts then take one another's time until none is done
 * within its limit. Waiting for a few that start is quicker for all. */
static bool must_wait(struct event *v, struct fn_version *version)
{
	struct async_queue *q = v->queue;
	struct pools_stats now;
	pools_stats(q->lambda->pools, &now);
	if (now.starting < q->starting_max || pool_is_warm(version->pool) ||
	    provision_has_room(pool_provision(version->pool), v->row.qualifier))
		return false;
	list_push(&q->ready, &v->link);
	if (!q->room_timer)
		q->room_timer = loop_add_timer(q->lambda->cloud->loop, ROOM_US, look_for_room, q);
	return true;
}

static void write_row(void *ctx);

static void written(void *ctx, int result, uint64_t revision)
{
	(void)revision;
	struct event *v = ctx;
	struct async_queue *q = v->queue;
	v->committing = false;
	if (result && ++v->tries < 100) {
		if (result != -EAGAIN)
			log_error("lambda: writing an event: %s", strerror(-result));
		v->timer = loop_add_timer(q->lambda->cloud->loop, result == -EAGAIN ? 0 : 1000000, write_row, v);
		return;
	}
	v->busy = v->has_letter = false;
	bool gone = v->deleted || v->remove;
	int64_t due = v->row.due.ms;
	if (gone)
		free_event(v);
	else
		schedule(v, due);
}

/* A dead letter is an event of its own, so that a crash loses it no more than the delivery to a destination. */
static struct str letter_key(struct event *v)
{
	return lambda_event_key(&v->work, v->account, v->region, ARENA_CAT(&v->work, v->row.request_id, S("-dead")));
}

/* Writes v->row, or deletes the record. */
static void write_row(void *ctx)
{
	struct event *v = ctx;
	v->timer = NULL;
	struct store_txn *t = store_begin(v->queue->lambda->cloud->store, &v->work);
	if (v->has_letter)
		record_put(t, &v->work, letter_key(v), ROW("Event"), &v->letter);
	if (v->remove)
		store_delete(t, v->key);
	else
		record_put(t, &v->work, v->key, ROW("Event"), &v->row);
	v->committing = true;
	store_commit(t, written, v);
}

static void write_later(struct event *v, bool remove)
{
	v->remove = remove;
	v->tries = 0;
	v->timer = loop_add_timer(v->queue->lambda->cloud->loop, 0, write_row, v);
}

/* --- the end of an event */

static void try_later(struct event *v, int64_t delay_ms)
{
	v->row.due = OPT_TIME(clock_wall_ms() + delay_ms);
	write_later(v, false);
}

static void back_off(struct event *v)
{
	v->row.throttles = OPT_INT(v->row.throttles.v + 1);
	try_later(v, async_throttle_delay_ms(v->row.throttles.v));
}

static void tell(struct event *v, const struct state_lambda_event_record *row, const char *name, const char *unit, double value)
{
	const struct event_name n = {v->account, v->region, row->function_name, row->qualifier};
	publish_event(v->queue->lambda->publish, &n, name, unit, value);
}

/* The event is over. With a destination its record becomes one of the delivery, which a crash cannot lose; else it goes. trace: as
 * the function saw it, so that whoever is told next knows that it has been passed. */
static void conclude(struct event *v, struct fn *fn, const struct fn_version *version, const char *condition,
                     const struct outcome *o, struct str trace)
{
	bool success = !strcmp(condition, "Success");
	v->row.trace_id = arena_dup(&v->work, trace);
	struct str target = destination_of(fn_event_config(fn, v->row.qualifier), success);
	if (!success) {
		tell(v, &v->row, "AsyncEventsDropped", "Count", 1);
		v->has_letter = destination_dead_letter(&v->work, &v->row, version, o, &v->letter);
		if (v->has_letter)
			v->letter.due = OPT_TIME(clock_wall_ms());
	}
	if (!str_set(target)) {
		write_later(v, true);
		return;
	}
	v->row.payload = destination_record(&v->work, &v->row, v->account, v->region, version, condition, o);
	v->row.destination = arena_dup(&v->work, target);
	v->row.role = arena_dup(&v->work, version->config->role);
	v->row.throttles = OPT_INT(0);
	try_later(v, 0);
}

static void delivered(void *ctx, enum destination_result result)
{
	struct event *v = ctx;
	if (result == DESTINATION_LATER && clock_wall_ms() - v->row.accepted.ms < DELIVERY_S * 1000LL)
		back_off(v);
	else {
		if (result != DESTINATION_TOLD)
			tell(v, &v->row, v->row.dead_letter.v ? "DeadLetterErrors" : "DestinationDeliveryFailures", "Count", 1);
		write_later(v, true);
	}
}

/* --- attempts */

static void attempt_done(void *ctx, struct invocation *inv, const struct outcome *o)
{
	struct event *v = ctx;
	struct async_queue *q = v->queue;
	v->inv = NULL;
	q->running--;
	const struct lambda_function_event_invoke_config *config = fn_event_config(inv->fn, v->row.qualifier);
	int64_t retries = config && config->maximum_retry_attempts.set ? config->maximum_retry_attempts.v : RETRIES;
	if (o->code) {
		back_off(v);
	} else {
		v->row.attempts = OPT_INT(v->row.attempts.v + 1);
		if (!o->function_error)
			conclude(v, inv->fn, inv->version, "Success", o, inv->trace_id);
		else if (v->row.attempts.v > retries)
			conclude(v, inv->fn, inv->version, "RetriesExhausted", o, inv->trace_id);
		else
			try_later(v, async_retry_delay_ms(v->row.attempts.v));
	}
	run_ready(q);
}

/* False: it waits for room, on the list. */
static bool try_event(struct event *v)
{
	struct async_queue *q = v->queue;
	struct lambda *l = q->lambda;
	arena_reset(&v->work);
	v->row = (struct state_lambda_event_record){0};
	v->busy = true;
	struct store_txn *t = store_begin(l->cloud->store, &v->work);
	bool there = record_get(t, &v->work, v->key, ROW("Event"), &v->row);
	store_abort(t);
	if (!there) {
		free_event(v);
		return true;
	}
	if (str_set(v->row.destination)) {
		destination_deliver(l, v->account, v->region, &v->row, delivered, v);
		return true;
	}
	struct fn *fn = directory_find(l->directory, v->account, v->region, v->row.function_name);
	struct fn_version *version = fn ? fn_choose_version(fn, v->row.qualifier) : NULL;
	if (!version) {
		write_later(v, true); /* the function is gone, and its events with it */
		return true;
	}
	const struct lambda_function_event_invoke_config *config = fn_event_config(fn, v->row.qualifier);
	int64_t age_s = config && config->maximum_event_age_in_seconds.set ? config->maximum_event_age_in_seconds.v : AGE_S;
	int64_t now = clock_wall_ms();
	if (now - v->row.accepted.ms > age_s * 1000) {
		conclude(v, fn, version, "EventAgeExceeded", NULL, v->row.trace_id);
		return true;
	}
	if (fn->reserved.set && fn->reserved.v == 0) {
		conclude(v, fn, version, "RetriesExhausted", NULL, v->row.trace_id);
		return true;
	}
	bool pending = str_eq(version->shown->state, S("Pending"));
	if (pending) {
		try_later(v, PENDING_MS);
		return true;
	}
	if (invocation_throttled(fn, version, v->row.qualifier)) {
		publish_throttle(l->publish, fn);
		back_off(v);
		return true;
	}
	if (must_wait(v, version)) {
		v->busy = false;
		return false;
	}
	struct str trace = v->row.trace_id;
	if (!recursion_enter(&v->work, l, fn, v->row.qualifier, &trace)) {
		conclude(v, fn, version, "RetriesExhausted", NULL, v->row.trace_id);
		return true;
	}
	struct invocation *inv = invocation_new(l, fn, version, v->row.qualifier);
	memcpy(inv->request_id, v->row.request_id.p, v->row.request_id.n < 36 ? v->row.request_id.n : 36);
	inv->arn = lambda_function_arn(&inv->arena, v->region, v->account, v->row.function_name, v->row.qualifier);
	inv->payload = arena_dup(&inv->arena, v->row.payload);
	inv->client_context = arena_dup(&inv->arena, v->row.client_context);
	inv->trace_id = arena_dup(&inv->arena, trace);
	inv->done = attempt_done;
	inv->ctx = v;
	v->inv = inv;
	tell(v, &v->row, "AsyncEventAge", "Milliseconds", (double)(now - v->row.accepted.ms));
	q->running++;
	invocation_start(inv);
	return true;
}

static void due(void *ctx)
{
	struct event *v = ctx;
	v->timer = NULL;
	if (v->queue->running >= RUNNING_MAX)
		list_push(&v->queue->ready, &v->link);
	else
		try_event(v);
}

static void schedule(struct event *v, int64_t due_ms)
{
	struct loop *loop = v->queue->lambda->cloud->loop;
	int64_t delay_ms = due_ms - clock_wall_ms();
	loop_remove_timer(loop, v->timer);
	v->timer = loop_add_clock_timer(loop, delay_ms > 0 ? delay_ms * 1000 : 0, due, v);
}

/* --- the queue */

static void take_record(struct async_queue *q, struct str key, struct str value)
{
	struct event *v = map_get(&q->events, key);
	if (!str_set(value)) {
		if (v && v->busy)
			v->deleted = true;
		else if (v)
			free_event(v);
		return;
	}
	if (v)
		return; /* our own writing: written() goes on */
	v = calloc(1, sizeof(*v));
	if (!v)
		abort();
	v->queue = q;
	list_init(&v->link);
	arena_init(&v->arena, 0);
	arena_init(&v->work, 0);
	v->key = arena_dup(&v->arena, key);
	struct str_list parts = record_key_parts(&v->arena, v->key);
	v->account = parts.v[2];
	v->region = parts.v[3];
	map_put(&q->events, v->key, v);
	struct state_lambda_event_record row = {0};
	if (!record_read(&v->work, value, ROW("Event"), &row))
		return;
	if (row.accepted.ms >= q->opened_ms && !row.attempts.v && !row.throttles.v && !str_set(row.destination))
		tell(v, &row, "AsyncEventsReceived", "Count", 1);
	schedule(v, row.due.ms);
}

static void on_change(void *ctx, const struct store_event *e)
{
	take_record(ctx, e->key, e->value);
}

struct async_queue *async_open(struct lambda *l)
{
	struct async_queue *q = calloc(1, sizeof(*q));
	if (!q)
		abort();
	q->lambda = l;
	q->opened_ms = clock_wall_ms();
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	q->starting_max = processors * 2 > STARTING_MIN ? (unsigned)processors * 2 : STARTING_MIN;
	list_init(&q->ready);
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	q->watch = record_follow(l->cloud->store, KEY_UNDER(&a, S("lambda"), S("event")), on_change, q);
	return q;
}

void async_close(struct async_queue *q)
{
	if (!q)
		return;
	store_unwatch(q->watch);
	loop_remove_timer(q->lambda->cloud->loop, q->room_timer);
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&q->events, &at, &key, &value)) {
		struct event *v = value;
		loop_remove_timer(q->lambda->cloud->loop, v->timer);
		if (v->committing) {
			/* The store, which closes after us, still reads what is being written. */
			static struct list unfinished = {&unfinished, &unfinished};
			list_remove(&v->link);
			list_push(&unfinished, &v->link);
			continue;
		}
		arena_done(&v->work);
		arena_done(&v->arena);
		free(v);
	}
	map_done(&q->events);
	free(q);
}

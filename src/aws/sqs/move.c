/* StartMessageMoveTask, ListMessageMoveTasks, CancelMessageMoveTask: messages leave a dead-letter queue in the background. A task
 * is a record; what runs it starts again with the service and takes one bounded step after another. */
#include "sqs.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

enum { RATE_MAX = 500, LIST_MAX = 10, KEPT_MAX = 10, SECOND_US = 1000 * 1000, AGAIN_US = 200 * 1000 };

struct move {
	struct list link;
	struct moves *all;
	struct arena arena, step;
	struct str key, region;
	struct sqs_name source;
	struct loop_timer *timer;
	size_t moved; /* by the step under way */
	bool stopped, nothing, waits, writing;
};
struct moves {
	struct sqs_state *sqs;
	struct list running;
};

static struct str under_tasks(struct arena *a, struct str region, const struct sqs_name *at)
{
	return KEY_UNDER(a, S("sqs"), S("move"), at->account, region, at->name);
}

static bool is_active(struct str status)
{
	return str_is(status, "RUNNING") || str_is(status, "CANCELLING");
}

/* --- running */

static void step(void *ctx);

static void move_free(struct move *m)
{
	loop_remove_timer(m->all->sqs->cloud->loop, m->timer);
	list_remove(&m->link);
	arena_done(&m->arena);
	arena_done(&m->step);
	free(m);
}

static void note(struct move *m);

/* What the step came to is written; then comes the next one, or the end. */
static void noted(void *ctx, int result, uint64_t revision)
{
	struct move *m = ctx;
	struct loop *loop = m->all->sqs->cloud->loop;
	struct state_sqs_move_record r;
	(void)revision;
	m->writing = false;
	if (result == -EAGAIN) {
		note(m);
		return;
	}
	arena_reset(&m->step);
	struct store_txn *t = store_begin(m->all->sqs->cloud->store, &m->step);
	bool there = record_get(t, &m->step, m->key, SQS_ROW("Move"), &r);
	store_abort(t);
	if (there && is_active(r.status)) {
		m->timer = r.rate.v ? loop_add_clock_timer(loop, SECOND_US, step, m)
		                    : loop_add_timer(loop, result < 0 ? AGAIN_US : 0, step, m);
		return;
	}
	move_free(m);
}

static void note(struct move *m)
{
	struct state_sqs_move_record r;
	arena_reset(&m->step);
	struct store_txn *t = store_begin(m->all->sqs->cloud->store, &m->step);
	if (record_get(t, &m->step, m->key, SQS_ROW("Move"), &r)) {
		r.moved = OPT_INT(r.moved.v + (int64_t)m->moved);
		if (str_is(r.status, "CANCELLING"))
			r.status = S("CANCELLED");
		else if (m->stopped && !m->moved) {
			r.status = S("FAILED");
			r.failure = S("CouldNotDetermineMessageSource");
		} else if (m->nothing)
			r.status = S("COMPLETED");
		record_put(t, &m->step, m->key, SQS_ROW("Move"), &r);
	}
	m->writing = true;
	store_commit(t, noted, m);
}

static void moved(void *ctx, int result)
{
	struct move *m = ctx;
	if (result < 0)
		m->moved = 0;
	if (m->waits)
		m->timer = loop_add_timer(m->all->sqs->cloud->loop, AGAIN_US, step, m);
	else
		note(m);
}

/* Where messages go: to one queue, or each to where it came from. */
struct route {
	struct move *move;
	struct store_txn *txn;
	struct str destination, last;
	struct queue *queue; /* of `last` */
};

static struct queue *route(void *ctx, struct str source)
{
	struct route *to = ctx;
	struct str arn = to->destination.n ? to->destination : source;
	struct sqs_name at;
	struct sqs_queue q;
	if (str_set(to->last) && str_eq(to->last, arn))
		return to->queue;
	if (!str_set(arn) || !sqs_name_of_arn(to->move->region, arn, &at) ||
	    !sqs_find(to->txn, &to->move->step, to->move->region, &at, &q))
		return NULL;
	to->last = arena_dup(&to->move->step, arn);
	to->queue = sqs_messages(to->move->all->sqs, &q, clock_wall_ms());
	return to->queue;
}

static void step(void *ctx)
{
	struct move *m = ctx;
	struct sqs_state *s = m->all->sqs;
	struct state_sqs_move_record r;
	struct sqs_queue source;
	m->timer = NULL;
	m->moved = 0;
	m->stopped = m->nothing = m->waits = false;
	arena_reset(&m->step);
	struct store_txn *t = store_begin(s->cloud->store, &m->step);
	bool there = record_get(t, &m->step, m->key, SQS_ROW("Move"), &r),
	     goes_on = there && str_is(r.status, "RUNNING") && sqs_find(t, &m->step, m->region, &m->source, &source);
	struct queue *from = goes_on ? sqs_messages(s, &source, clock_wall_ms()) : NULL;
	if (from) {
		struct route to = {.move = m, .txn = t, .destination = r.destination};
		m->moved = queue_move(from, r.rate.v ? (size_t)r.rate.v : RATE_MAX, clock_wall_ms(), route, &to, &m->stopped, moved,
		                      m);
		/* What is on its way there counts already, and can be moved when it is durable. */
		struct queue_counts left;
		queue_count(from, clock_wall_ms(), &left);
		m->waits = !m->moved && !m->stopped && left.visible > 0;
		m->nothing = !m->moved && !m->stopped && !m->waits;
	}
	store_abort(t);
	if (from)
		return;
	m->nothing = true;
	note(m);
}

static void move_run(struct moves *all, struct str key, struct str region, const struct sqs_name *source)
{
	struct move *m = calloc(1, sizeof(*m));
	if (!m)
		die("out of memory (move tasks)");
	m->all = all;
	arena_init(&m->arena, 0);
	arena_init(&m->step, 0);
	m->key = arena_dup(&m->arena, key);
	m->region = arena_dup(&m->arena, region);
	m->source = (struct sqs_name){arena_dup(&m->arena, source->account), arena_dup(&m->arena, source->name)};
	list_init(&m->link);
	list_push(&all->running, &m->link);
	m->timer = loop_add_timer(all->sqs->cloud->loop, 0, step, m);
}

struct moves *moves_new(struct sqs_state *s)
{
	struct moves *all = calloc(1, sizeof(*all));
	if (!all)
		die("out of memory (move tasks)");
	all->sqs = s;
	list_init(&all->running);
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	struct store_txn *t = store_begin(s->cloud->store, &a);
	struct str under = KEY_UNDER(&a, S("sqs"), S("move")), key;
	struct store_iter *i = store_scan(t, under, store_prefix_end(&a, under), false);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct str_list parts = record_key_parts(&a, key);
		struct state_sqs_move_record r;
		if (parts.n == 6 && record_read(&a, v.value, SQS_ROW("Move"), &r) && is_active(r.status))
			move_run(all, key, parts.v[3], &(struct sqs_name){parts.v[2], parts.v[4]});
	}
	store_abort(t);
	return all;
}

void moves_free(struct moves *all)
{
	if (!all)
		return;
	list_each (&all->running, struct move, link, m)
		move_free(m);
	free(all);
}

void sqs_forget_moves(struct call *c, const struct sqs_name *at)
{
	struct str under = under_tasks(c->arena, c->region, at), key;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	while (store_next(i, &key, &v))
		store_delete(call_txn(c), key);
}

/* --- operations */

static int no_source(struct call *c)
{
	return call_fail(c, "ResourceNotFoundException", 404,
	                 "The resource that you specified for the SourceArn parameter doesn't exist.");
}

static int find_source(struct call *c, struct str arn, struct sqs_queue *ret)
{
	struct sqs_name at;
	if (!sqs_name_of_arn(c->region, arn, &at) || !sqs_find(call_txn(c), c->arena, c->region, &at, ret))
		return no_source(c);
	return CALL_OK;
}

static bool is_dead_letter_queue(struct call *c, const struct sqs_queue *q)
{
	struct str under = KEY_UNDER(c->arena, S("sqs"), S("queue"), q->at.account, c->region), key;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct sqs_queue one = {0};
		struct sqs_name to;
		int64_t max;
		if (record_read(c->arena, v.value, SQS_ROW("Queue"), &one.record) &&
		    sqs_redrive(c->arena, &one, c->region, &to, &max) && str_eq(to.name, q->at.name))
			return true;
	}
	return false;
}

/* Is a task running from this queue? Old ones beyond the newest few go. */
static bool is_busy(struct call *c, const struct sqs_queue *q)
{
	struct str under = under_tasks(c->arena, c->region, &q->at), key;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), true);
	struct store_value v;
	unsigned count = 0;
	while (store_next(i, &key, &v)) {
		struct state_sqs_move_record r;
		if (record_read(c->arena, v.value, SQS_ROW("Move"), &r) && is_active(r.status))
			return true;
		if (++count >= KEPT_MAX)
			store_delete(call_txn(c), key);
	}
	return false;
}

static struct str handle_of(struct arena *a, struct str id, struct str source_arn)
{
	return base64_encode(a, arena_printf(a, "{\"taskId\":\"%.*s\",\"sourceArn\":\"%.*s\"}", STR_ARG(id), STR_ARG(source_arn)));
}

struct started {
	struct str key;
	struct sqs_name source;
};

static void run_started(struct call *c)
{
	const struct started *s = c->state;
	move_run(sqs_state(c)->moves, s->key, c->region, &s->source);
}

static int check_destination(struct call *c, const struct sqs_queue *source, struct str arn)
{
	struct sqs_name at;
	struct sqs_queue to;
	if (!str_set(arn))
		return CALL_OK;
	if (!sqs_name_of_arn(c->region, arn, &at) || !sqs_find(call_txn(c), c->arena, c->region, &at, &to))
		return call_fail(c, "ResourceNotFoundException", 404,
		                 "The resource that you specified for the DestinationArn parameter doesn't exist.");
	if (str_eq(at.name, source->at.name) && str_eq(at.account, source->at.account))
		return sqs_invalid(c, "Source queue arn and destination queue arn cannot be the same.");
	if (sqs_is_fifo(at.name) != sqs_is_fifo(source->at.name))
		return sqs_invalid(c, "Source and destination queues must be of the same type.");
	return CALL_OK;
}

int sqs_start_message_move_task(struct call *c, const struct sqs_start_message_move_task_request *in,
                                struct sqs_start_message_move_task_result *out)
{
	struct sqs_queue source;
	struct queue_counts n;
	struct opt_int rate = in->max_number_of_messages_per_second;
	if (find_source(c, in->source_arn, &source) != CALL_OK)
		return CALL_FAIL;
	if (rate.set && (rate.v < 1 || rate.v > RATE_MAX))
		return sqs_invalid(c,
		                   "Value for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: Must be between 1 and %d.",
		                   RATE_MAX);
	if (!is_dead_letter_queue(c, &source))
		return sqs_invalid(c, "Source queue must be configured as a Dead Letter Queue.");
	if (check_destination(c, &source, in->destination_arn) != CALL_OK)
		return CALL_FAIL;
	if (is_busy(c, &source))
		return call_fail(
		        c, "UnsupportedOperation", 400,
		        "There is already a task running. Only one active task is allowed for a source queue arn at a given time.");
	struct queue *messages = sqs_open(c, &source);
	if (!messages)
		return CALL_FAIL;
	queue_count(messages, c->now_ms, &n);
	struct started *s = arena_new(c->arena, struct started);
	struct str id = id_uuid(c->arena);
	s->source = source.at;
	s->key =
	        ARENA_CAT(c->arena, under_tasks(c->arena, c->region, &source.at), arena_printf(c->arena, "%016ld-", c->now_ms), id);
	c->state = s;
	record_put(call_txn(c), c->arena, s->key, SQS_ROW("Move"),
	           &(struct state_sqs_move_record){.id = id,
	                                           .status = S("RUNNING"),
	                                           .destination = str_set(in->destination_arn) ? in->destination_arn : S(""),
	                                           .rate = OPT_INT(rate.v),
	                                           .moved = OPT_INT(0),
	                                           .to_move = OPT_INT(n.visible),
	                                           .started = OPT_INT(c->now_ms)});
	call_after_commit(c, run_started);
	out->task_handle = handle_of(c->arena, id, in->source_arn);
	return CALL_OK;
}

int sqs_list_message_move_tasks(struct call *c, const struct sqs_list_message_move_tasks_request *in,
                                struct sqs_list_message_move_tasks_result *out)
{
	struct sqs_queue source;
	int64_t max = in->max_results.set ? in->max_results.v : 1;
	if (find_source(c, in->source_arn, &source) != CALL_OK)
		return CALL_FAIL;
	if (max < 1 || max > LIST_MAX)
		return sqs_invalid(c, "Value for parameter MaxResults is invalid. Reason: Must be between 1 and %d.", LIST_MAX);
	struct str under = under_tasks(c->arena, c->region, &source.at), key;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), true);
	struct store_value v;
	out->results.set = true;
	while (out->results.n < max && store_next(i, &key, &v)) {
		struct state_sqs_move_record r;
		if (!record_read(c->arena, v.value, SQS_ROW("Move"), &r))
			continue;
		struct sqs_list_message_move_tasks_result_entry *e = LIST_ADD(c->arena, &out->results);
		e->status = r.status;
		e->source_arn = in->source_arn;
		if (r.destination.n)
			e->destination_arn = r.destination;
		if (str_is(r.status, "RUNNING"))
			e->task_handle = handle_of(c->arena, r.id, in->source_arn);
		if (r.rate.v)
			e->max_number_of_messages_per_second = r.rate;
		e->approximate_number_of_messages_moved = r.moved;
		e->approximate_number_of_messages_to_move = r.to_move;
		e->started_timestamp = r.started;
		if (r.failure.n)
			e->failure_reason = r.failure;
	}
	return CALL_OK;
}

/* The source's ARN in a handle, which permissions are about. STR_NONE: it is no handle. */
struct str sqs_source_of_task(struct arena *a, struct str handle, struct str *ret_id)
{
	struct str text = base64_decode(a, handle);
	const struct json_value *v = str_set(text) ? json_parse(a, text, NULL) : NULL;
	*ret_id = json_get_str(v, S("taskId"));
	return json_get_str(v, S("sourceArn"));
}

int sqs_cancel_message_move_task(struct call *c, const struct sqs_cancel_message_move_task_request *in,
                                 struct sqs_cancel_message_move_task_result *out)
{
	struct str id, arn = sqs_source_of_task(c->arena, in->task_handle, &id), key;
	struct sqs_queue source;
	if (!str_set(arn) || !str_set(id))
		return sqs_invalid(c, "Value for parameter TaskHandle is invalid.");
	if (find_source(c, arn, &source) != CALL_OK)
		return CALL_FAIL;
	struct str under = under_tasks(c->arena, c->region, &source.at);
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), true);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct state_sqs_move_record r;
		if (!record_read(c->arena, v.value, SQS_ROW("Move"), &r) || !str_eq(r.id, id))
			continue;
		if (!str_is(r.status, "RUNNING"))
			return call_fail(c, "UnsupportedOperation", 400, "Only active tasks can be cancelled.");
		r.status = S("CANCELLING");
		record_put(call_txn(c), c->arena, key, SQS_ROW("Move"), &r);
		out->approximate_number_of_messages_moved = r.moved;
		return CALL_OK;
	}
	return call_fail(c, "ResourceNotFoundException", 404, "Task does not exist.");
}

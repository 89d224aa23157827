/* ReceiveMessage. A receive that waits is on its queue's list of waiters, and is called when there is something. */
#include "batch.h"
#include "sqs.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

enum { RECEIVE_MAX = 10, WAIT_MAX_S = 20, VISIBILITY_MAX_S = 43200, WORD_MAX_CHARS = 128 };

/* A receive that waits; it is the call's state. */
struct waiting {
	struct queue_waiter waiter;
	struct call *call;
	struct loop_timer *deadline;
	bool over; /* its time */
};

/* --- what is answered */

static bool wanted(const struct sqs_receive_message_request *in, const char *name)
{
	const struct str_list *lists[] = {&in->attribute_names, &in->message_system_attribute_names};
	for (int k = 0; k < 2; k++)
		for (uint32_t i = 0; i < lists[k]->n; i++)
			if (str_is(lists[k]->v[i], "All") || str_is(lists[k]->v[i], name))
				return true;
	return false;
}

static void add(struct call *c, struct sqs_message *out, const char *name, struct str value)
{
	if (str_set(value) && wanted(c->in, name))
		*LIST_ADD(c->arena, &out->attributes) = (struct str_map_entry){str_from(name), value};
}

static void add_number(struct call *c, struct sqs_message *out, const char *name, int64_t value)
{
	if (wanted(c->in, name))
		add(c, out, name, arena_printf(c->arena, "%ld", value));
}

static bool attribute_wanted(const struct str_list *names, struct str name)
{
	for (uint32_t i = 0; i < names->n; i++) {
		struct str n = names->v[i];
		if (str_is(n, "All") || str_eq(n, name))
			return true;
		if (str_ends(n, S(".*")) && str_starts(name, str_sub(n, 0, n.n - 2)))
			return true;
	}
	return false;
}

/* Those of the attributes that were asked for, and the digest of these. */
static void add_attributes(struct call *c, struct sqs_message *out, struct str kept)
{
	const struct sqs_receive_message_request *in = c->in;
	struct state_sqs_attributes_record r;
	struct sqs_message_body_attribute_map *to = &out->message_attributes;
	if (!kept.n || !in->message_attribute_names.n || !record_read(c->arena, kept, SQS_ROW("Attributes"), &r))
		return;
	for (uint32_t i = 0; i < r.attributes.n; i++)
		if (attribute_wanted(&in->message_attribute_names, r.attributes.v[i].key))
			*LIST_ADD(c->arena, to) = r.attributes.v[i];
	out->md5_of_message_attributes = sqs_attributes_md5(c->arena, to);
}

static void spell(struct call *c, const struct sqs_queue *q, const struct queue_message *m, struct sqs_message *out)
{
	bool fifo = sqs_is_fifo(q->at.name);
	out->message_id = sqs_uuid(c->arena, m->id);
	out->receipt_handle = sqs_spell_handle(c->arena, m->handle);
	out->body = m->body;
	out->md5_of_body = hash_hex(c->arena, HASH_MD5, m->body);
	add(c, out, "SenderId", m->sender);
	add_number(c, out, "SentTimestamp", m->sent_ms);
	add_number(c, out, "ApproximateReceiveCount", m->receives);
	add_number(c, out, "ApproximateFirstReceiveTimestamp", m->first_received_ms);
	add(c, out, "SequenceNumber", fifo ? sqs_sequence(c->arena, m->seq) : STR_NONE);
	add(c, out, "MessageDeduplicationId", fifo ? m->dedup : STR_NONE);
	add(c, out, "MessageGroupId", m->group);
	add(c, out, "AWSTraceHeader", m->trace);
	add(c, out, "DeadLetterQueueSourceArn", m->source);
	add_attributes(c, out, m->attributes);
}

/* Bodies as they were sent; where one cannot be read, all are visible again at once. */
static int unseal(struct call *c, const struct sqs_queue *q, struct queue *messages, struct queue_message *got, size_t n)
{
	bool too_long;
	for (size_t i = 0; i < n; i++)
		if (sqs_unseal(c, q, &got[i].body) != CALL_OK) {
			for (size_t k = 0; k < n; k++)
				queue_change(messages, got[k].handle, 0, clock_wall_ms(), &too_long);
			return CALL_FAIL;
		}
	return CALL_OK;
}

static int take(struct call *c, const struct sqs_queue *q, struct queue *messages)
{
	const struct sqs_receive_message_request *in = c->in;
	struct sqs_receive_message_result *out = c->out;
	struct queue_message got[RECEIVE_MAX];
	struct sqs_name to;
	struct sqs_queue dead;
	size_t n;
	struct queue_take t = {
	        .max = in->max_number_of_messages.set ? (size_t)in->max_number_of_messages.v : 1,
	        .visibility_ms =
	                (in->visibility_timeout.set ? in->visibility_timeout.v : sqs_number(q, "VisibilityTimeout")) * 1000,
	        .now_ms = clock_wall_ms(),
	        .attempt = in->receive_request_attempt_id,
	};
	if (sqs_redrive(c->arena, q, c->region, &to, &t.receives_max) && sqs_find(call_txn(c), c->arena, c->region, &to, &dead)) {
		t.dead = sqs_messages(sqs_state(c), &dead, t.now_ms);
		t.source = sqs_arn(c->arena, c->region, &q->at);
	}
	if (queue_take(messages, c->arena, &t, got, &n) == -EMFILE)
		return call_fail(c, "OverLimit", 403, "There are %d messages in flight.", QUEUE_IN_FLIGHT_MAX);
	if (unseal(c, q, messages, got, n) != CALL_OK)
		return CALL_FAIL;
	for (size_t i = 0; i < n; i++)
		spell(c, q, &got[i], LIST_ADD(c->arena, &out->messages));
	if (n)
		sqs_measure(c->cloud, q->at.account, c->region, q->at.name, "NumberOfMessagesReceived", "Count", (double)n);
	return CALL_OK;
}

/* --- waiting */

static int receive(struct call *c);

static void wake(struct queue_waiter *w)
{
	call_resume(container_of(w, struct waiting, waiter)->call);
}

static void out_of_time(void *ctx)
{
	struct waiting *w = ctx;
	w->deadline = NULL;
	w->over = true;
	call_resume(w->call);
}

static void gone(struct call *c)
{
	(void)c;
}

static void let_go(struct call *c)
{
	struct waiting *w = c->state;
	if (!w)
		return;
	queue_unwait(&w->waiter);
	loop_remove_timer(c->cloud->loop, w->deadline);
	free(w);
}

static int wait_for_some(struct call *c, struct queue *messages, int64_t wait_s)
{
	struct waiting *w = c->state;
	if (!w) {
		w = calloc(1, sizeof(*w));
		if (!w)
			die("out of memory (ReceiveMessage)");
		w->call = c;
		w->waiter.fn = wake;
		list_init(&w->waiter.link);
		w->deadline = loop_add_clock_timer(c->cloud->loop, wait_s * 1000000, out_of_time, w);
		c->state = w;
		call_on_free(c, let_go);
	}
	if (!list_linked(&w->waiter.link))
		queue_wait(messages, &w->waiter);
	return call_wait(c, receive, gone);
}

static int receive(struct call *c)
{
	const struct sqs_receive_message_request *in = c->in;
	const struct sqs_receive_message_result *out = c->out;
	struct waiting *w = c->state;
	struct sqs_queue q;
	if (sqs_get(c, in->queue_url, &q) != CALL_OK)
		return CALL_FAIL;
	struct queue *messages = sqs_open(c, &q);
	if (!messages || sqs_may_open(c, &q) != CALL_OK || take(c, &q, messages) != CALL_OK)
		return CALL_FAIL;
	int64_t wait_s = in->wait_time_seconds.set ? in->wait_time_seconds.v : sqs_number(&q, "ReceiveMessageWaitTimeSeconds");
	if (!out->messages.n && wait_s && !(w && w->over))
		return wait_for_some(c, messages, wait_s);
	if (!out->messages.n)
		sqs_measure(c->cloud, q.at.account, c->region, q.at.name, "NumberOfEmptyReceives", "Count", 1);
	return CALL_OK;
}

static int out_of_range(struct call *c, struct opt_int v, int64_t min, int64_t max, const char *name)
{
	if (!v.set || (v.v >= min && v.v <= max))
		return CALL_OK;
	return sqs_invalid(c, "Value %ld for parameter %s is invalid. Reason: Must be between %ld and %ld, if provided.", v.v, name,
	                   min, max);
}

static int check_names(struct call *c, const struct sqs_receive_message_request *in)
{
	static const char *const names[] = {"All",
	                                    "SenderId",
	                                    "SentTimestamp",
	                                    "ApproximateReceiveCount",
	                                    "ApproximateFirstReceiveTimestamp",
	                                    "SequenceNumber",
	                                    "MessageDeduplicationId",
	                                    "MessageGroupId",
	                                    "AWSTraceHeader",
	                                    "DeadLetterQueueSourceArn"};
	const struct str_list *lists[] = {&in->attribute_names, &in->message_system_attribute_names};
	for (int k = 0; k < 2; k++)
		for (uint32_t i = 0; i < lists[k]->n; i++) {
			bool known = false;
			for (size_t n = 0; n < sizeof(names) / sizeof(*names); n++)
				known |= str_is(lists[k]->v[i], names[n]);
			if (!known)
				return call_fail(c, "InvalidAttributeName", 400, "Unknown Attribute %.*s.",
				                 STR_ARG(lists[k]->v[i]));
		}
	return CALL_OK;
}

int sqs_receive_message(struct call *c, const struct sqs_receive_message_request *in, struct sqs_receive_message_result *out)
{
	(void)out;
	if (out_of_range(c, in->max_number_of_messages, 1, RECEIVE_MAX, "MaxNumberOfMessages") != CALL_OK ||
	    out_of_range(c, in->wait_time_seconds, 0, WAIT_MAX_S, "WaitTimeSeconds") != CALL_OK ||
	    out_of_range(c, in->visibility_timeout, 0, VISIBILITY_MAX_S, "VisibilityTimeout") != CALL_OK ||
	    check_names(c, in) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->receive_request_attempt_id) &&
	    (!in->receive_request_attempt_id.n || in->receive_request_attempt_id.n > WORD_MAX_CHARS))
		return sqs_invalid(
		        c, "Value %.*s for parameter ReceiveRequestAttemptId is invalid. Reason: Must be 1 to 128 in length.",
		        STR_ARG(in->receive_request_attempt_id));
	return receive(c);
}

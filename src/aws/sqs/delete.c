/* DeleteMessage, ChangeMessageVisibility and their batches: what is done by receipt handles. */
#include "batch.h"
#include "sqs.h"

enum { VISIBILITY_MAX_S = 43200 };

static bool fault(struct fault *f, const char *code, struct str text)
{
	*f = (struct fault){code, text};
	return false;
}

static struct str invalid_because(struct arena *a, struct str handle, const char *why)
{
	return arena_printf(a, "Value %.*s for parameter ReceiptHandle is invalid. Reason: %s", STR_ARG(handle), why);
}

/* What the text stands for. False: it is no handle of this queue. */
static bool read_handle(struct arena *a, const struct queue *messages, struct str text, struct str *ret, struct fault *f)
{
	*ret = sqs_read_handle(a, text);
	if (str_set(*ret) && queue_handle_valid(messages, *ret))
		return true;
	return fault(f, "ReceiptHandleIsInvalid",
	             arena_printf(a, "The input receipt handle \"%.*s\" is not a valid receipt handle.", STR_ARG(text)));
}

static bool deleted_well(struct arena *a, struct str text, enum queue_answer answer, struct fault *f)
{
	if (answer != QUEUE_STALE)
		return true;
	return fault(f, "InvalidParameterValue", invalid_because(a, text, "The receipt handle has expired."));
}

static void measure(struct call *c, const struct sqs_queue *q, size_t n)
{
	if (n)
		sqs_measure(c->cloud, q->at.account, c->region, q->at.name, "NumberOfMessagesDeleted", "Count", (double)n);
}

int sqs_delete_message(struct call *c, const struct sqs_delete_message_request *in, struct model_none *out)
{
	struct sqs_queue q;
	struct str handle;
	struct fault f;
	enum queue_answer answer;
	(void)out;
	if (sqs_get(c, in->queue_url, &q) != CALL_OK)
		return CALL_FAIL;
	struct queue *messages = sqs_open(c, &q);
	if (!messages)
		return CALL_FAIL;
	if (!read_handle(c->arena, messages, in->receipt_handle, &handle, &f))
		return call_fail(c, f.code, 404, "%.*s", STR_ARG(f.text));
	struct sqs_wait *w = sqs_wait_new(c);
	queue_delete(messages, &handle, 1, c->now_ms, &answer, sqs_wait_done, w);
	if (!deleted_well(c->arena, in->receipt_handle, answer, &f))
		return call_fail(c, f.code, 400, "%.*s", STR_ARG(f.text));
	measure(c, &q, 1);
	return sqs_wait(c, w, NULL);
}

int sqs_delete_message_batch(struct call *c, const struct sqs_delete_message_batch_request *in,
                             struct sqs_delete_message_batch_result *out)
{
	struct sqs_queue q;
	struct str ids[SQS_BATCH_MAX], handles[SQS_BATCH_MAX];
	uint32_t at[SQS_BATCH_MAX];
	enum queue_answer answers[SQS_BATCH_MAX];
	struct fault f;
	size_t n = 0;
	if (sqs_get(c, in->queue_url, &q) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->entries.n && i < SQS_BATCH_MAX; i++)
		ids[i] = in->entries.v[i].id;
	if (sqs_check_batch(c, "DeleteMessageBatchRequestEntry", ids, in->entries.n) != CALL_OK)
		return CALL_FAIL;
	struct queue *messages = sqs_open(c, &q);
	if (!messages)
		return CALL_FAIL;
	out->successful.set = true;
	for (uint32_t i = 0; i < in->entries.n; i++) {
		if (read_handle(c->arena, messages, in->entries.v[i].receipt_handle, &handles[n], &f))
			at[n++] = i;
		else
			sqs_batch_failed(c, &out->failed, ids[i], &f);
	}
	if (!n)
		return CALL_OK;
	struct sqs_wait *w = sqs_wait_new(c);
	queue_delete(messages, handles, n, c->now_ms, answers, sqs_wait_done, w);
	for (size_t i = 0; i < n; i++) {
		if (deleted_well(c->arena, in->entries.v[at[i]].receipt_handle, answers[i], &f))
			LIST_ADD(c->arena, &out->successful)->id = ids[at[i]];
		else
			sqs_batch_failed(c, &out->failed, ids[at[i]], &f);
	}
	measure(c, &q, out->successful.n);
	return sqs_wait(c, w, NULL);
}

/* --- visibility */

static bool change(struct call *c, struct queue *messages, struct str text, struct opt_int timeout, struct fault *f)
{
	struct str handle;
	bool too_long = false;
	if (!timeout.set)
		return fault(f, "MissingParameter", S("The request must contain the parameter VisibilityTimeout."));
	if (timeout.v < 0 || timeout.v > VISIBILITY_MAX_S)
		return fault(
		        f, "InvalidParameterValue",
		        arena_printf(c->arena,
		                     "Value %ld for parameter VisibilityTimeout is invalid. Reason: VisibilityTimeout must be an "
		                     "integer between 0 and 43200.",
		                     timeout.v));
	if (!read_handle(c->arena, messages, text, &handle, f))
		return false;
	switch (queue_change(messages, handle, timeout.v * 1000, c->now_ms, &too_long)) {
	case QUEUE_GOOD:
		break;
	case QUEUE_GONE:
		return fault(f, "InvalidParameterValue",
		             invalid_because(c->arena, text,
		                             "Message does not exist or is not available for visibility timeout change."));
	case QUEUE_STALE:
		return fault(f, "InvalidParameterValue", invalid_because(c->arena, text, "The receipt handle has expired."));
	case QUEUE_VISIBLE:
		return fault(f, "MessageNotInflight", S("The message referred to is not in flight."));
	}
	if (too_long)
		return fault(
		        f, "InvalidParameterValue",
		        arena_printf(
		                c->arena,
		                "Value %ld for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the "
		                "message is beyond the limit [43200 seconds].",
		                timeout.v));
	return true;
}

int sqs_change_message_visibility(struct call *c, const struct sqs_change_message_visibility_request *in, struct model_none *out)
{
	struct sqs_queue q;
	struct fault f;
	(void)out;
	if (sqs_get(c, in->queue_url, &q) != CALL_OK)
		return CALL_FAIL;
	struct queue *messages = sqs_open(c, &q);
	if (!messages)
		return CALL_FAIL;
	if (!change(c, messages, in->receipt_handle, in->visibility_timeout, &f))
		return call_fail(c, f.code, str_is(str_from(f.code), "ReceiptHandleIsInvalid") ? 404 : 400, "%.*s",
		                 STR_ARG(f.text));
	return CALL_OK;
}

int sqs_change_message_visibility_batch(struct call *c, const struct sqs_change_message_visibility_batch_request *in,
                                        struct sqs_change_message_visibility_batch_result *out)
{
	struct sqs_queue q;
	struct str ids[SQS_BATCH_MAX];
	struct fault f;
	if (sqs_get(c, in->queue_url, &q) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->entries.n && i < SQS_BATCH_MAX; i++)
		ids[i] = in->entries.v[i].id;
	if (sqs_check_batch(c, "ChangeMessageVisibilityBatchRequestEntry", ids, in->entries.n) != CALL_OK)
		return CALL_FAIL;
	struct queue *messages = sqs_open(c, &q);
	if (!messages)
		return CALL_FAIL;
	out->successful.set = true;
	for (uint32_t i = 0; i < in->entries.n; i++) {
		if (change(c, messages, in->entries.v[i].receipt_handle, in->entries.v[i].visibility_timeout, &f))
			LIST_ADD(c->arena, &out->successful)->id = ids[i];
		else
			sqs_batch_failed(c, &out->failed, ids[i], &f);
	}
	return CALL_OK;
}

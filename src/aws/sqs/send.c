/* SendMessage, SendMessageBatch. A batch takes what is right and names what is not. */
#include "batch.h"
#include "sqs.h"

#include "base/hash.h"
#include "base/rand.h"

enum { GROUP_MAX_CHARS = 128, DELAY_MAX_S = 900, TRACE_MAX_CHARS = 500 };

/* One message as either operation gives it. */
struct given {
	struct str body, dedup, group;
	struct opt_int delay_s;
	const struct sqs_message_body_attribute_map *attributes;
	const struct sqs_message_body_system_attribute_map *system;
};
#define GIVEN(in) \
	{ \
		(in)->message_body, (in)->message_deduplication_id, (in)->message_group_id, (in)->delay_seconds, \
		        &(in)->message_attributes, &(in)->message_system_attributes \
	}

/* What is known of a message once it is looked at. */
struct ready {
	struct queue_message message;
	int64_t delay_ms;
	struct str md5, attributes_md5, system_md5;
	size_t bytes;
};

static bool fault(struct fault *f, const char *code, struct str text)
{
	*f = (struct fault){code, text};
	return false;
}

static bool not_for_this_queue(struct arena *a, struct fault *f, const char *parameter, struct str value)
{
	return fault(
	        f, "InvalidParameterValue",
	        arena_printf(
	                a,
	                "Value %.*s for parameter %s is invalid. Reason: The request include parameter that is not valid for this "
	                "queue type.",
	                STR_ARG(value), parameter));
}

static bool word_good(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '!' || s.p[i] > '~')
			return false;
	return s.n > 0 && s.n <= GROUP_MAX_CHARS;
}

static bool check_word(struct arena *a, struct fault *f, const char *parameter, struct str value)
{
	if (!str_set(value) || word_good(value))
		return true;
	return fault(
	        f, "InvalidParameterValue",
	        arena_printf(a,
	                     "Value %.*s for parameter %s is invalid. Reason: %s can only include alphanumeric and punctuation "
	                     "characters. 1 to 128 in length.",
	                     STR_ARG(value), parameter, parameter));
}

static bool check_order(struct arena *a, const struct sqs_queue *q, const struct given *g, struct fault *f)
{
	if (!check_word(a, f, "MessageGroupId", g->group) || !check_word(a, f, "MessageDeduplicationId", g->dedup))
		return false;
	if (!sqs_is_fifo(q->at.name))
		return !str_set(g->dedup) || not_for_this_queue(a, f, "MessageDeduplicationId", g->dedup);
	if (g->delay_s.set && g->delay_s.v)
		return not_for_this_queue(a, f, "DelaySeconds", arena_printf(a, "%ld", g->delay_s.v));
	if (!str_set(g->group))
		return fault(f, "MissingParameter", S("The request must contain the parameter MessageGroupId."));
	if (!str_set(g->dedup) && !sqs_flag(q, "ContentBasedDeduplication"))
		return fault(
		        f, "InvalidParameterValue",
		        S("The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"));
	return true;
}

/* The one system attribute that a sender gives. */
static bool take_system(struct arena *a, const struct given *g, struct ready *r, struct fault *f)
{
	struct sqs_message_body_attribute_map same = {0};
	for (uint32_t i = 0; i < g->system->n; i++) {
		const struct sqs_message_system_attribute_value *v = &g->system->v[i].value;
		if (!str_is(g->system->v[i].key, "AWSTraceHeader"))
			return fault(
			        f, "InvalidParameterValue",
			        arena_printf(a, "Message system attribute name '%.*s' is invalid.", STR_ARG(g->system->v[i].key)));
		if (!str_is(v->data_type, "String") || !v->string_value.n)
			return fault(f, "InvalidParameterValue",
			             S("The message system attribute 'AWSTraceHeader' must be a non-empty String."));
		r->message.trace = v->string_value;
		struct sqs_message_body_attribute_map_entry *e = LIST_ADD(a, &same);
		e->key = g->system->v[i].key;
		e->value = (struct sqs_message_attribute_value){.data_type = v->data_type, .string_value = v->string_value};
	}
	r->system_md5 = sqs_attributes_md5(a, &same);
	return true;
}

static bool make_ready(struct call *c, const struct sqs_queue *q, const struct given *g, struct ready *r, struct fault *f)
{
	struct arena *a = c->arena;
	struct str wrong = sqs_attributes_wrong(a, g->attributes);
	int64_t max = sqs_number(q, "MaximumMessageSize"), delay_s = g->delay_s.set ? g->delay_s.v : sqs_number(q, "DelaySeconds");
	*r = (struct ready){.bytes = g->body.n + sqs_attributes_bytes(g->attributes)};
	if (!g->body.n)
		return fault(f, "MissingParameter", S("The request must contain the parameter MessageBody."));
	if (!sqs_text_good(g->body))
		return fault(
		        f, "InvalidMessageContents",
		        S("Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | "
		          "#x10000 to #x10FFFF"));
	if ((int64_t)r->bytes > max)
		return fault(f, "InvalidParameterValue",
		             arena_printf(a, "One or more parameters are invalid. Reason: Message must be shorter than %ld bytes.",
		                          max));
	if (str_set(wrong))
		return fault(f, "InvalidParameterValue", wrong);
	if (g->delay_s.set && (g->delay_s.v < 0 || g->delay_s.v > DELAY_MAX_S))
		return fault(
		        f, "InvalidParameterValue",
		        arena_printf(
		                a, "Value %ld for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.",
		                g->delay_s.v));
	if (!check_order(a, q, g, f) || !take_system(a, g, r, f))
		return false;
	/* SDKs say so by themselves within functions, and the next function hears of it. */
	struct str trace = call_header(c, S("x-amzn-trace-id"));
	if (!str_set(r->message.trace) && str_set(trace) && trace.n <= TRACE_MAX_CHARS && str_find(trace, S("Root=")) >= 0)
		r->message.trace = trace;
	r->delay_ms = delay_s * 1000;
	r->md5 = hash_hex(a, HASH_MD5, g->body);
	r->attributes_md5 = sqs_attributes_md5(a, g->attributes);
	struct queue_message *m = &r->message;
	m->body = g->body;
	m->group = g->group;
	m->sender = c->caller->user_id;
	m->sent_ms = c->now_ms;
	if (sqs_is_fifo(q->at.name))
		m->dedup = str_set(g->dedup) ? g->dedup : hash_hex(a, HASH_SHA256, g->body);
	if (g->attributes->n)
		m->attributes =
		        record_write(a, SQS_ROW("Attributes"), &(struct state_sqs_attributes_record){.attributes = *g->attributes});
	rand_bytes(m->id, sizeof(m->id));
	m->id[6] = (unsigned char)((m->id[6] & 0x0f) | 0x40);
	m->id[8] = (unsigned char)((m->id[8] & 0x3f) | 0x80);
	return true;
}

/* Twenty digits, as AWS's have. */
static struct str sequence(struct arena *a, const struct sqs_queue *q, uint64_t seq)
{
	return sqs_is_fifo(q->at.name) ? sqs_sequence(a, seq) : STR_NONE;
}

static void measure(struct call *c, const struct sqs_queue *q, const struct ready *r)
{
	sqs_measure(c->cloud, q->at.account, c->region, q->at.name, "NumberOfMessagesSent", "Count", 1);
	sqs_measure(c->cloud, q->at.account, c->region, q->at.name, "SentMessageSize", "Bytes", (double)r->bytes);
}

int sqs_send_message(struct call *c, const struct sqs_send_message_request *in, struct sqs_send_message_result *out)
{
	const struct given g = GIVEN(in);
	struct sqs_queue q;
	struct ready r;
	struct fault f;
	struct queue_sent sent;
	if (sqs_get(c, in->queue_url, &q) != CALL_OK)
		return CALL_FAIL;
	if (!make_ready(c, &q, &g, &r, &f))
		return call_fail(c, f.code, 400, "%.*s", STR_ARG(f.text));
	struct queue *messages = sqs_open(c, &q);
	struct sqs_data_key key;
	if (!messages || sqs_data_key(c, &q, &key) != CALL_OK)
		return CALL_FAIL;
	r.message.body = sqs_seal(c->arena, &key, r.message.body);
	struct sqs_wait *w = sqs_wait_new(c);
	queue_send(messages, &r.message, &r.delay_ms, 1, c->now_ms, &sent, sqs_wait_done, w);
	out->message_id = sqs_uuid(c->arena, sent.id);
	out->md5_of_message_body = r.md5;
	out->md5_of_message_attributes = r.attributes_md5;
	out->md5_of_message_system_attributes = r.system_md5;
	out->sequence_number = sequence(c->arena, &q, sent.seq);
	measure(c, &q, &r);
	return sqs_wait(c, w, NULL);
}

int sqs_send_message_batch(struct call *c, const struct sqs_send_message_batch_request *in,
                           struct sqs_send_message_batch_result *out)
{
	struct sqs_queue q;
	struct ready ready[SQS_BATCH_MAX];
	struct queue_message messages[SQS_BATCH_MAX];
	struct queue_sent sent[SQS_BATCH_MAX];
	int64_t delays[SQS_BATCH_MAX];
	struct str ids[SQS_BATCH_MAX];
	uint32_t at[SQS_BATCH_MAX];
	size_t n = 0, bytes = 0;
	if (sqs_get(c, in->queue_url, &q) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->entries.n && i < SQS_BATCH_MAX; i++)
		ids[i] = in->entries.v[i].id;
	if (sqs_check_batch(c, "SendMessageBatchRequestEntry", ids, in->entries.n) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->entries.n; i++)
		bytes += in->entries.v[i].message_body.n + sqs_attributes_bytes(&in->entries.v[i].message_attributes);
	if (bytes > SQS_SIZE_MAX)
		return call_fail(c, "BatchRequestTooLong", 400,
		                 "Batch requests cannot be longer than %d bytes. You have sent %zu bytes.", SQS_SIZE_MAX, bytes);
	out->successful.set = true;
	for (uint32_t i = 0; i < in->entries.n; i++) {
		const struct given g = GIVEN(&in->entries.v[i]);
		struct fault f;
		if (!make_ready(c, &q, &g, &ready[n], &f)) {
			sqs_batch_failed(c, &out->failed, ids[i], &f);
			continue;
		}
		messages[n] = ready[n].message;
		delays[n] = ready[n].delay_ms;
		at[n++] = i;
	}
	if (!n)
		return CALL_OK;
	struct queue *to = sqs_open(c, &q);
	struct sqs_data_key key;
	if (!to || sqs_data_key(c, &q, &key) != CALL_OK)
		return CALL_FAIL;
	for (size_t i = 0; i < n; i++)
		messages[i].body = sqs_seal(c->arena, &key, messages[i].body);
	struct sqs_wait *w = sqs_wait_new(c);
	queue_send(to, messages, delays, n, c->now_ms, sent, sqs_wait_done, w);
	for (size_t i = 0; i < n; i++) {
		struct sqs_send_message_batch_result_entry *e = LIST_ADD(c->arena, &out->successful);
		e->id = ids[at[i]];
		e->message_id = sqs_uuid(c->arena, sent[i].id);
		e->md5_of_message_body = ready[i].md5;
		e->md5_of_message_attributes = ready[i].attributes_md5;
		e->md5_of_message_system_attributes = ready[i].system_md5;
		e->sequence_number = sequence(c->arena, &q, sent[i].seq);
		measure(c, &q, &ready[i]);
	}
	return sqs_wait(c, w, NULL);
}

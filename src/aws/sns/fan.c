/* Who gets a message. What Publish answers for is one transaction: copies in all queues that want it, and one in the outbox of each
 * function and endpoint that does. A queue that cannot be reached is replaced by the subscription's dead-letter queue there and
 * then, since trying again would not help. */
#include "envelope.h"
#include "outbox.h"
#include "publish.h"

#include "aws/sqs/sqs.h"
#include "base/hash.h"
#include "base/json.h"

#define SEQUENCE_FIRST UINT64_C(10000000000000000000)

static bool add(void *ctx, const struct sns_sub *s)
{
	struct fan *f = ctx;
	if (!s->record.pending.v)
		*LIST_ADD(f->call->arena, &f->subs) = *s;
	return true;
}

void fan_open(struct fan *f, struct call *c, const struct topic *t)
{
	*f = (struct fan){.call = c, .topic = t, .self = sns_self(t->at.account, t->arn)};
	sns_each_sub(call_txn(c), c->arena, &t->at, add, f);
}

void fan_close(struct fan *f)
{
	principal_unref(f->self);
}

static bool is_raw(const struct sns_sub *s)
{
	return sns_flag(&s->record.attributes, "RawMessageDelivery");
}

bool fan_signs(const struct fan *f)
{
	for (uint32_t i = 0; i < f->subs.n; i++)
		if (!is_raw(&f->subs.v[i]))
			return true;
	return false;
}

static enum way way_of(const struct sns_sub *s)
{
	struct str p = s->record.protocol;
	return str_is(p, "sqs") ? WAY_SQS : str_is(p, "lambda") ? WAY_LAMBDA : str_is(p, "http") ? WAY_HTTP : WAY_HTTPS;
}

static void measure(const struct fan *f, const char *metric)
{
	sns_measure(f->call->cloud, &f->topic->at, metric, "Count", 1);
}

/* --- filters */

static bool wants(struct fan *f, const struct sns_sub *s, const struct publication *p)
{
	struct arena *a = f->call->arena;
	struct str json = sns_attribute(&s->record.attributes, "FilterPolicy");
	if (!json.n)
		return true;
	const struct json_value *policy = json_parse(a, json, NULL), *body;
	bool by_body = str_is(sns_attribute(&s->record.attributes, "FilterPolicyScope"), "MessageBody");
	bool good = by_body ? (body = json_parse(a, p->text[way_of(s)], NULL)) && filter_matches_body(policy, body)
	                    : filter_matches_attributes(policy, a, p->attributes);
	if (good)
		return true;
	measure(f, "NumberOfNotificationsFilteredOut");
	if (by_body)
		measure(f, json_is(body, JSON_OBJECT) ? "NumberOfNotificationsFilteredOut-MessageBody"
		                                      : "NumberOfNotificationsFilteredOut-InvalidMessageBody");
	else
		measure(f, p->attributes->n ? "NumberOfNotificationsFilteredOut-MessageAttributes"
		                            : "NumberOfNotificationsFilteredOut-NoMessageAttributes");
	return false;
}

/* --- letters */

struct sending {
	struct fan *fan;
	struct publication *publication;
	struct queue_letter *letters;
	struct queue_message *messages;
	size_t n;
};

static void put(struct sending *s, struct queue *to, const struct queue_message *m)
{
	s->messages[s->n] = *m;
	s->letters[s->n] = (struct queue_letter){.queue = to, .message = &s->messages[s->n]};
	if (s->fan->topic->fifo && s->n)
		s->letters[s->n].unless = &s->letters[0];
	s->n++;
}

/* The ledger of a FIFO topic: a queue that nobody reads, whose messages are its deduplication ids and numbers. */
static bool put_ledger(struct sending *s)
{
	const struct topic *t = s->fan->topic;
	struct call *c = s->fan->call;
	struct publication *p = s->publication;
	const struct queue_settings settings = {
	        .fifo = true,
	        .dedup_by_group = str_is(sns_attribute(&t->record.attributes, "FifoThroughputScope"), "MessageGroup"),
	        .retention_ms = QUEUE_DEDUP_MS};
	struct queue *ledger = sqs_outbox(c->cloud, (uint64_t)t->record.ledger.v, &settings, c->now_ms);
	if (!ledger)
		return false;
	struct queue_message m = {.body = S(""), .group = p->group, .dedup = p->dedup, .sent_ms = c->now_ms};
	memcpy(m.id, p->id, sizeof(m.id));
	p->sequence = arena_printf(c->arena, "%lu", SEQUENCE_FIRST + queue_next(ledger));
	put(s, ledger, &m);
	return true;
}

static struct sqs_message_body_attribute_map raw_attributes(struct arena *a, const struct sns_message_attribute_map *from)
{
	struct sqs_message_body_attribute_map m = {0};
	for (uint32_t i = 0; i < from->n; i++) {
		struct sqs_message_body_attribute_map_entry *e = LIST_ADD(a, &m);
		e->key = from->v[i].key;
		e->value = (struct sqs_message_attribute_value){.data_type = from->v[i].value.data_type,
		                                                .string_value = from->v[i].value.string_value,
		                                                .binary_value = from->v[i].value.binary_value};
	}
	return m;
}

static bool put_queue(struct sending *s, const struct sns_sub *sub, struct str arn)
{
	struct fan *f = s->fan;
	struct call *c = f->call;
	struct arena *a = c->arena;
	const struct publication *p = s->publication;
	struct sqs_target to;
	struct queue_message m;
	struct state_sns_notification_record what;
	if (sqs_reach(c, f->self, arn, &to) != SQS_REACHED || (to.fifo && !f->topic->fifo))
		return false;
	publication_record(p, f->topic, WAY_SQS, c->now_ms, &what);
	const struct envelope e = {.endpoint = c->cloud->endpoint,
	                           .topic_arn = f->topic->arn,
	                           .sub_arn = sub->arn,
	                           .certificate_url = signer_certificate_url(sns_state(c)->signer, a),
	                           .what = &what};
	bool raw = is_raw(sub);
	const struct sqs_message_body_attribute_map attributes =
	        raw ? raw_attributes(a, p->attributes) : (struct sqs_message_body_attribute_map){0};
	if (!sqs_letter(a, &to, raw ? what.message : envelope_json(a, &e), &attributes, f->self->user_id, c->now_ms, &m))
		return false;
	m.group = p->group;
	m.dedup = to.fifo ? p->dedup : STR_NONE;
	m.trace = p->trace;
	put(s, to.messages, &m);
	sqs_letter_sent(c->cloud, &to, &m);
	return true;
}

static bool put_outbox(struct sending *s, const struct sns_sub *sub)
{
	struct call *c = s->fan->call;
	struct state_sns_notification_record what;
	struct queue_message m;
	struct queue *q = outbox_open(sns_state(c)->outboxes, (uint64_t)sub->record.outbox.v, &sub->topic, sub->id);
	if (!q)
		return false;
	publication_record(s->publication, s->fan->topic, way_of(sub), c->now_ms, &what);
	outbox_letter(c->arena, &what, c->now_ms, &m);
	put(s, q, &m);
	return true;
}

static void put_one(struct sending *s, const struct sns_sub *sub)
{
	struct fan *f = s->fan;
	if (way_of(sub) != WAY_SQS) {
		put_outbox(s, sub);
		return;
	}
	if (put_queue(s, sub, sub->record.endpoint)) {
		measure(f, "NumberOfNotificationsDelivered");
		return;
	}
	measure(f, "NumberOfNotificationsFailed");
	const struct json_value *policy = json_parse(f->call->arena, sns_attribute(&sub->record.attributes, "RedrivePolicy"), NULL);
	struct str dead = json_get_str(policy, S("deadLetterTargetArn"));
	if (str_set(dead))
		measure(f, put_queue(s, sub, dead) ? "NumberOfNotificationsRedrivenToDlq"
		                                   : "NumberOfNotificationsFailedToRedriveToDlq");
}

bool fan_send(struct fan *f, struct publication *p, queue_done *done, void *ctx)
{
	struct call *c = f->call;
	struct queues *all = sqs_store(c->cloud);
	struct sending s = {.fan = f,
	                    .publication = p,
	                    .letters = arena_array(c->arena, f->subs.n + 1, sizeof(*s.letters)),
	                    .messages = arena_array(c->arena, f->subs.n + 1, sizeof(*s.messages))};
	if (!all || (f->topic->fifo && !put_ledger(&s))) {
		call_broken(c, "the store of messages cannot be opened");
		return false;
	}
	for (uint32_t i = 0; i < f->subs.n; i++)
		if (wants(f, &f->subs.v[i], p))
			put_one(&s, &f->subs.v[i]);
	queue_post(all, s.letters, s.n, c->now_ms, done, ctx);
	if (f->topic->fifo && s.letters[0].sent.duplicate) {
		char hex[2 * QUEUE_ID_BYTES + 1];
		hex_encode(s.letters[0].sent.id, QUEUE_ID_BYTES, hex);
		p->message_id = arena_printf(c->arena, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
		p->sequence = arena_printf(c->arena, "%lu", SEQUENCE_FIRST + s.letters[0].sent.seq);
	}
	sns_measure(c->cloud, &f->topic->at, "NumberOfMessagesPublished", "Count", 1);
	sns_measure(c->cloud, &f->topic->at, "PublishSize", "Bytes", (double)p->bytes);
	sns_bill(c->cloud, &f->topic->at, p->bytes);
	return true;
}

/* What queues are to other services: places where these put messages, in one transaction with what else they have to remember. */
#include "sqs.h"

#include "base/rand.h"
#include "core/authz.h"

static struct sqs_state *state_of(const struct cloud *cloud)
{
	return cloud_state(cloud, &sqs_service);
}

struct queues *sqs_store(const struct cloud *cloud)
{
	return sqs_queues(state_of(cloud));
}

/* --- queues of others */

static bool allows(struct call *c, const struct principal *as, const struct sqs_queue *q, struct str arn)
{
	struct authz az = {.action = S("sqs:SendMessage"),
	                   .resource = arn,
	                   .resource_account = q->at.account,
	                   .resource_policy = sqs_attribute(q, "Policy")};
	struct principal_policies none = {0};
	struct authz_decision d;
	authz_decide(c, as, &none, &az, &d);
	return d.result == AUTHZ_ALLOW;
}

/* What it does not get is no error of the call, whoever's it is. */
static bool data_key(struct call *c, const struct principal *as, const struct sqs_queue *q, struct sqs_data_key *ret)
{
	const struct principal *caller = c->caller;
	c->caller = as;
	bool good = sqs_data_key(c, q, ret) == CALL_OK;
	c->caller = caller;
	if (!good)
		c->error = (struct call_error){0};
	return good;
}

enum sqs_reach sqs_reach(struct call *c, const struct principal *as, struct str arn, struct sqs_target *ret)
{
	struct str rest = arn, region = STR_NONE;
	for (unsigned i = 0; i < 4 && str_set(rest); i++)
		region = str_cut(&rest, ':');
	struct sqs_queue q;
	struct sqs_name at;
	if (!str_set(region) || !sqs_name_of_arn(region, arn, &at) || !sqs_find(call_txn(c), c->arena, region, &at, &q))
		return SQS_NO_SUCH_QUEUE;
	if (!allows(c, as, &q, arn))
		return SQS_NOT_ALLOWED;
	struct queue *messages = sqs_messages(state_of(c->cloud), &q, c->now_ms);
	struct sqs_data_key key;
	if (!messages)
		return SQS_BROKEN;
	if (!data_key(c, as, &q, &key))
		return SQS_NOT_ALLOWED;
	*ret = (struct sqs_target){.messages = messages,
	                           .key = key,
	                           .at = at,
	                           .region = region,
	                           .fifo = sqs_is_fifo(at.name),
	                           .dedup_by_content = sqs_flag(&q, "ContentBasedDeduplication"),
	                           .bytes_max = sqs_number(&q, "MaximumMessageSize")};
	return SQS_REACHED;
}

bool sqs_letter(struct arena *a, const struct sqs_target *to, struct str body,
                const struct sqs_message_body_attribute_map *attributes, struct str sender, int64_t now_ms,
                struct queue_message *ret)
{
	struct state_sqs_attributes_record kept = {0};
	size_t bytes = body.n + (attributes ? sqs_attributes_bytes(attributes) : 0);
	if (!body.n || !sqs_text_good(body) || (int64_t)bytes > to->bytes_max ||
	    (attributes && str_set(sqs_attributes_wrong(a, attributes))))
		return false;
	*ret = (struct queue_message){.body = sqs_seal(a, &to->key, body), .sender = sender, .sent_ms = now_ms};
	if (attributes && attributes->n) {
		kept.attributes = *attributes;
		ret->attributes = record_write(a, SQS_ROW("Attributes"), &kept);
	}
	rand_bytes(ret->id, sizeof(ret->id));
	ret->id[6] = (unsigned char)((ret->id[6] & 0x0f) | 0x40);
	ret->id[8] = (unsigned char)((ret->id[8] & 0x3f) | 0x80);
	return true;
}

void sqs_letter_sent(const struct cloud *cloud, const struct sqs_target *to, const struct queue_message *m)
{
	sqs_measure(cloud, to->at.account, to->region, to->at.name, "NumberOfMessagesSent", "Count", 1);
	sqs_measure(cloud, to->at.account, to->region, to->at.name, "SentMessageSize", "Bytes", (double)m->body.n);
}

/* --- outboxes */

static struct str outbox_key(struct arena *a, uint64_t id)
{
	return KEY(a, S("sqs"), S("outbox"), arena_printf(a, "%lu", id));
}

uint64_t sqs_outbox_make(struct store_txn *t, struct arena *a)
{
	uint64_t id = rand_u64() >> 1 | 1;
	store_put(t, outbox_key(a, id), S(""));
	return id;
}

struct queue *sqs_outbox(const struct cloud *cloud, uint64_t id, const struct queue_settings *settings, int64_t now_ms)
{
	struct queues *all = sqs_store(cloud);
	return all ? queue_get(all, id, settings, now_ms) : NULL;
}

void sqs_outbox_forget(struct store_txn *t, struct arena *a, uint64_t id)
{
	store_delete(t, outbox_key(a, id));
}

void sqs_outbox_drop(const struct cloud *cloud, uint64_t id)
{
	struct queues *all = sqs_store(cloud);
	if (all)
		queue_drop(all, id);
}

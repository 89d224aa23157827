/* CreateTopic, DeleteTopic, ListTopics, GetTopicAttributes, SetTopicAttributes. */
#include "outbox.h"
#include "sns.h"

#include "aws/sqs/sqs.h"
#include "base/base64.h"
#include "base/json.h"
#include "core/policy.h"

#include <stdlib.h>

enum { NAME_MAX_CHARS = 256, DISPLAY_MAX_CHARS = 100, PAGE = 100, TAGS_MAX = 50, POLICY_MAX = 30 * 1024 };

/* --- attributes */

enum kind { KIND_TEXT, KIND_POLICY, KIND_DELIVERY, KIND_FLAG, KIND_SIGNATURE, KIND_TRACING, KIND_SCOPE };
static const struct attribute {
	const char *name;
	enum kind kind;
	bool fifo;
} attributes[] = {
        {"DisplayName", KIND_TEXT, false},         {"Policy", KIND_POLICY, false},
        {"DeliveryPolicy", KIND_DELIVERY, false},  {"SignatureVersion", KIND_SIGNATURE, false},
        {"TracingConfig", KIND_TRACING, false},    {"ContentBasedDeduplication", KIND_FLAG, true},
        {"FifoThroughputScope", KIND_SCOPE, true},
};

static bool is_one_of(struct str v, const char *a, const char *b)
{
	return str_is(v, a) || str_is(v, b);
}

static int check_policy(struct call *c, struct str json)
{
	struct str why;
	if (json.n > POLICY_MAX)
		return sns_invalid(c, "Policy Reason: Policy is too long");
	struct policy *p = policy_parse(json, POLICY_RESOURCE, S("topic policy"), c->arena, &why);
	if (!p)
		return sns_invalid(c, "Policy Error: %.*s", STR_ARG(why));
	policy_free(p);
	return CALL_OK;
}

static int check_value(struct call *c, const struct attribute *a, struct str value)
{
	bool good = true;
	switch (a->kind) {
	case KIND_TEXT:
		good = str_utf8_len(value) <= DISPLAY_MAX_CHARS;
		break;
	case KIND_POLICY:
		return value.n ? check_policy(c, value) : CALL_OK;
	case KIND_DELIVERY:
		return value.n && !sns_check_delivery(c, value, true) ? CALL_FAIL : CALL_OK;
	case KIND_FLAG:
		good = str_ieq(value, S("true")) || str_ieq(value, S("false"));
		break;
	case KIND_SIGNATURE:
		good = is_one_of(value, "1", "2");
		break;
	case KIND_TRACING:
		good = str_is(value, "PassThrough");
		break;
	case KIND_SCOPE:
		good = is_one_of(value, "Topic", "MessageGroup");
		break;
	}
	return good ? CALL_OK : sns_invalid(c, "%s Reason: %.*s is not a valid value", a->name, STR_ARG(value));
}

static int set_attribute(struct call *c, struct topic *t, struct str name, struct str value)
{
	for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++) {
		const struct attribute *a = &attributes[i];
		if (!str_is(name, a->name) || (a->fifo && !t->fifo))
			continue;
		if (check_value(c, a, value) != CALL_OK)
			return CALL_FAIL;
		sns_keep(c->arena, &t->record.attributes, str_from(a->name), value);
		return CALL_OK;
	}
	if (str_is(name, "KmsMasterKeyId"))
		return sns_invalid(c, "KmsMasterKeyId Reason: topics cannot be encrypted with a KMS key here");
	return sns_invalid(c, "AttributeName");
}

/* --- making */

static bool name_good(struct str name, bool fifo)
{
	size_t n = fifo && name.n >= 5 ? name.n - 5 : name.n;
	for (size_t i = 0; i < n; i++)
		if (!ascii_is_alnum(name.p[i]) && name.p[i] != '-' && name.p[i] != '_')
			return false;
	return n > 0 && name.n <= NAME_MAX_CHARS && sns_is_fifo(name) == fifo;
}

static int check_tags(struct call *c, const struct sns_tag_list *given, struct str_map *ret)
{
	for (uint32_t i = 0; i < given->n; i++) {
		if (str_istarts(given->v[i].key, S("aws:")))
			return sns_invalid(c, "Tags Reason: Tag keys must not begin with aws:");
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(given->v[k].key, given->v[i].key))
				return sns_invalid(c, "Duplicated keys are not allowed.");
		*LIST_ADD(c->arena, ret) = (struct str_map_entry){given->v[i].key, given->v[i].value};
	}
	return ret->n <= TAGS_MAX ? CALL_OK
	                          : call_fail(c, "TagLimitExceededException", 400,
	                                      "Could not complete request: tag quota of per resource exceeded");
}

static bool same_map(const struct str_map *a, const struct str_map *b)
{
	for (uint32_t i = 0; i < a->n; i++)
		if (!str_eq(str_map_get(b, a->v[i].key), a->v[i].value))
			return false;
	return true;
}

int sns_create_topic(struct call *c, const struct sns_create_topic_input *in, struct sns_create_topic_response *out)
{
	struct topic t = {.at = {.account = c->account, .region = c->region, .name = in->name}}, old;
	struct str asked = str_map_get(&in->attributes, S("FifoTopic"));
	bool fifo = str_ieq(asked, S("true"));
	if (str_set(in->data_protection_policy))
		return sns_invalid(c, "DataProtectionPolicy Reason: data protection is not supported by this cloud");
	if (!name_good(in->name, fifo)) {
		if (!fifo && sns_is_fifo(in->name))
			return sns_invalid(c, "Topic Name");
		return fifo ? sns_invalid(c,
		                          "Fifo Topic names must end with .fifo and must be made up of only uppercase and "
		                          "lowercase ASCII letters, numbers, underscores, and hyphens, and must be between 1 and "
		                          "256 characters long.")
		            : sns_invalid(c, "Topic Name");
	}
	t.fifo = fifo;
	t.arn = sns_topic_arn(c->arena, &t.at);
	t.record.created = OPT_INT(c->now_ms);
	for (uint32_t i = 0; i < in->attributes.n; i++)
		if (!str_is(in->attributes.v[i].key, "FifoTopic") &&
		    set_attribute(c, &t, in->attributes.v[i].key, in->attributes.v[i].value) != CALL_OK)
			return CALL_FAIL;
	if (check_tags(c, &in->tags, &t.record.tags) != CALL_OK)
		return CALL_FAIL;
	out->topic_arn = t.arn;
	if (sns_find_topic(call_txn(c), c->arena, &t.at, &old)) {
		if (!same_map(&t.record.attributes, &old.record.attributes))
			return sns_invalid(c, "Attributes Reason: Topic already exists with different attributes");
		if (!same_map(&t.record.tags, &old.record.tags))
			return sns_invalid(c, "Tags Reason: Topic already exists with different tags");
		return CALL_OK;
	}
	t.key = old.key;
	if (fifo)
		t.record.ledger = OPT_INT((int64_t)sqs_outbox_make(call_txn(c), c->arena));
	sns_put_topic(c, &t);
	return CALL_OK;
}

/* --- deleting */

struct gone {
	struct outbox_ids ids;
};

struct deleting {
	struct call *call;
	struct gone *gone;
};

static bool delete_one(void *ctx, const struct sns_sub *s)
{
	const struct deleting *d = ctx;
	sns_delete_sub(call_txn(d->call), d->call->arena, s);
	if (s->record.outbox.v)
		*LIST_ADD(d->call->arena, &d->gone->ids) = (uint64_t)s->record.outbox.v;
	return true;
}

static void drop_outboxes(struct call *c)
{
	const struct gone *g = c->state;
	for (uint32_t i = 0; i < g->ids.n; i++)
		outbox_drop(sns_state(c)->outboxes, g->ids.v[i]);
}

int sns_delete_topic(struct call *c, const struct sns_delete_topic_input *in, struct model_none *out)
{
	struct sns_name at;
	struct str id;
	struct topic t;
	(void)out;
	if (!sns_name_of_arn(in->topic_arn, &at, &id) || str_set(id) || !str_eq(at.region, c->region))
		return sns_invalid(c, "TopicArn");
	if (!sns_find_topic(call_txn(c), c->arena, &at, &t))
		return CALL_OK;
	struct deleting d = {c, arena_new(c->arena, struct gone)};
	sns_each_sub(call_txn(c), c->arena, &at, delete_one, &d);
	store_delete(call_txn(c), t.key);
	if (t.record.ledger.v) {
		sqs_outbox_forget(call_txn(c), c->arena, (uint64_t)t.record.ledger.v);
		*LIST_ADD(c->arena, &d.gone->ids) = (uint64_t)t.record.ledger.v;
	}
	c->state = d.gone;
	call_after_commit(c, drop_outboxes);
	return CALL_OK;
}

/* --- listing and reading */

int sns_list_topics(struct call *c, const struct sns_list_topics_input *in, struct sns_list_topics_response *out)
{
	struct str under = KEY_UNDER(c->arena, S("sns"), S("topic"), c->account, c->region), key, from = under;
	out->topics.set = true;
	if (str_set(in->next_token)) {
		struct str after = base64url_decode(c->arena, in->next_token);
		if (!str_set(after))
			return sns_invalid(c, "NextToken");
		from = ARENA_CAT(c->arena, KEY(c->arena, S("sns"), S("topic"), c->account, c->region, after), str_of("", 1));
	}
	struct store_iter *i = store_scan(call_txn(c), from, store_prefix_end(c->arena, under), false);
	struct store_value v;
	struct str last = STR_NONE;
	while (store_next(i, &key, &v)) {
		struct str_list parts = record_key_parts(c->arena, key);
		if (out->topics.n == PAGE) {
			out->next_token = base64url_encode(c->arena, last);
			return CALL_OK;
		}
		last = parts.v[parts.n - 1];
		LIST_ADD(c->arena, &out->topics)->topic_arn =
		        sns_topic_arn(c->arena, &(struct sns_name){.account = c->account, .region = c->region, .name = last});
	}
	return CALL_OK;
}

struct counted {
	int64_t confirmed, pending;
};

static bool count_one(void *ctx, const struct sns_sub *s)
{
	struct counted *n = ctx;
	if (s->record.pending.v)
		n->pending++;
	else
		n->confirmed++;
	return true;
}

static void say(struct call *c, struct sns_get_topic_attributes_response *out, const char *name, struct str value)
{
	*LIST_ADD(c->arena, &out->attributes) = (struct str_map_entry){str_from(name), value};
}

int sns_get_topic_attributes(struct call *c, const struct sns_get_topic_attributes_input *in,
                             struct sns_get_topic_attributes_response *out)
{
	struct topic t;
	struct counted n = {0};
	if (sns_get_topic(c, in->topic_arn, &t) != CALL_OK)
		return CALL_FAIL;
	const struct str_map *kept = &t.record.attributes;
	sns_each_sub(call_txn(c), c->arena, &t.at, count_one, &n);
	say(c, out, "TopicArn", t.arn);
	say(c, out, "Owner", t.at.account);
	say(c, out, "DisplayName", sns_attribute(kept, "DisplayName"));
	struct str policy = sns_attribute(kept, "Policy");
	say(c, out, "Policy", policy.n ? policy : sns_default_policy(c->arena, &t));
	say(c, out, "EffectiveDeliveryPolicy", sns_effective_delivery(c->arena, &t, NULL));
	say(c, out, "SubscriptionsConfirmed", arena_printf(c->arena, "%ld", n.confirmed));
	say(c, out, "SubscriptionsPending", arena_printf(c->arena, "%ld", n.pending));
	say(c, out, "SubscriptionsDeleted", S("0"));
	for (unsigned i = 2; i < 5; i++) {
		struct str v = sns_attribute(kept, attributes[i].name);
		if (v.n)
			say(c, out, attributes[i].name, v);
	}
	if (t.fifo) {
		struct str scope = sns_attribute(kept, "FifoThroughputScope");
		say(c, out, "FifoTopic", S("true"));
		say(c, out, "ContentBasedDeduplication", sns_flag(kept, "ContentBasedDeduplication") ? S("true") : S("false"));
		say(c, out, "FifoThroughputScope", scope.n ? scope : S("Topic"));
	}
	return CALL_OK;
}

int sns_set_topic_attributes(struct call *c, const struct sns_set_topic_attributes_input *in, struct model_none *out)
{
	struct topic t;
	(void)out;
	if (sns_get_topic(c, in->topic_arn, &t) != CALL_OK)
		return CALL_FAIL;
	if (set_attribute(c, &t, in->attribute_name, str_set(in->attribute_value) ? in->attribute_value : S("")) != CALL_OK)
		return CALL_FAIL;
	sns_put_topic(c, &t);
	return CALL_OK;
}

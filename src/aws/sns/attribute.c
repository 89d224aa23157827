/* Attributes of subscriptions: GetSubscriptionAttributes, SetSubscriptionAttributes, and what Subscribe is given. */
#include "sns.h"

#include "aws/sqs/sqs.h"
#include "base/json.h"

enum { COMBINATIONS_MAX = 150, FILTERS_MAX = 200, FILTER_BYTES_MAX = 256 * 1024 };

struct counting {
	const struct sns_sub *but;
	unsigned n;
};

static bool count_one(void *ctx, const struct sns_sub *s)
{
	struct counting *k = ctx;
	k->n += sns_attribute(&s->record.attributes, "FilterPolicy").n && !str_eq(s->id, k->but->id);
	return true;
}

static enum filter_scope scope_of(const struct sns_sub *s)
{
	return str_is(sns_attribute(&s->record.attributes, "FilterPolicyScope"), "MessageBody") ? FILTER_BODY : FILTER_ATTRIBUTES;
}

static int check_filter(struct call *c, const struct sns_sub *s, struct str json)
{
	struct str why;
	int64_t combinations = 0;
	const struct json_value *v = json_parse(c->arena, json, &why);
	if (json.n > FILTER_BYTES_MAX)
		return sns_invalid(c, "FilterPolicy: Filter policy is too long");
	if (!v)
		return sns_invalid(c, "FilterPolicy: failed to parse JSON. %.*s", STR_ARG(why));
	if (v->kind != JSON_OBJECT)
		return sns_invalid(c, "FilterPolicy: Filter policy is not an object");
	const char *wrong = filter_check(v, scope_of(s), &combinations);
	if (wrong)
		return sns_invalid(c, "FilterPolicy: %s", wrong);
	if (combinations > COMBINATIONS_MAX)
		return sns_invalid(c, "FilterPolicy: Filter policy is too complex");
	struct counting k = {.but = s};
	sns_each_sub(call_txn(c), c->arena, &s->topic, count_one, &k);
	if (k.n >= FILTERS_MAX)
		return call_fail(c, "FilterPolicyLimitExceededException", 403,
		                 "Filter policy limit exceeded: a topic can have %d of them", FILTERS_MAX);
	return CALL_OK;
}

static int check_redrive(struct call *c, const struct sns_sub *s, struct str json)
{
	const struct json_value *v = json_parse(c->arena, json, NULL);
	struct str arn = json_get_str(v, S("deadLetterTargetArn")), rest = arn, region = STR_NONE;
	struct sqs_name at;
	if (!json_is(v, JSON_OBJECT))
		return sns_invalid(c, "RedrivePolicy: failed to parse JSON.");
	json_each(v, m)
	{
		if (!str_is(m->key, "deadLetterTargetArn"))
			return sns_invalid(c, "RedrivePolicy: Unexpected JSON member: %.*s", STR_ARG(m->key));
	}
	for (unsigned i = 0; i < 4 && str_set(rest); i++)
		region = str_cut(&rest, ':');
	if (!str_set(arn) || !str_set(region) || !sqs_name_of_arn(region, arn, &at))
		return sns_invalid(c, "RedrivePolicy: deadLetterTargetArn is an invalid arn");
	if (!str_eq(region, s->topic.region) || !str_eq(at.account, s->record.owner))
		return sns_invalid(c,
		                   "RedrivePolicy: deadLetterTargetArn must be in the same account and region as the subscription");
	if (sqs_is_fifo(at.name) && !sns_is_fifo(s->topic.name))
		return sns_invalid(c, "RedrivePolicy: must use a standard queue as DLQ for a standard topic");
	return CALL_OK;
}

static int check_scope(struct call *c, struct sns_sub *s, struct str value)
{
	if (!str_is(value, "MessageBody") && !str_is(value, "MessageAttributes"))
		return sns_invalid(c, "FilterPolicyScope: Invalid value [%.*s]. Please use either MessageBody or MessageAttributes",
		                   STR_ARG(value));
	sns_keep(c->arena, &s->record.attributes, S("FilterPolicyScope"), value);
	struct str filter = sns_attribute(&s->record.attributes, "FilterPolicy");
	return filter.n ? check_filter(c, s, filter) : CALL_OK;
}

int sns_set_sub_attribute(struct call *c, struct sns_sub *s, struct str name, struct str value)
{
	struct str protocol = s->record.protocol;
	bool http = str_starts(protocol, S("http")), sqs = str_is(protocol, "sqs");
	int r = CALL_OK;
	if (str_is(name, "RawMessageDelivery")) {
		if (!str_ieq(value, S("true")) && !str_ieq(value, S("false")))
			return sns_invalid(c, "RawMessageDelivery: Invalid value [%.*s]. Must be true or false.", STR_ARG(value));
		if (str_ieq(value, S("true")) && !http && !sqs)
			return sns_invalid(c, "Delivery protocol [%.*s] does not support raw message delivery.", STR_ARG(protocol));
		value = str_ieq(value, S("true")) ? S("true") : S("");
	} else if (str_is(name, "FilterPolicy")) {
		if (str_is(value, "{}"))
			value = S("");
		r = value.n ? check_filter(c, s, value) : CALL_OK;
	} else if (str_is(name, "FilterPolicyScope")) {
		r = check_scope(c, s, value);
	} else if (str_is(name, "RedrivePolicy")) {
		r = value.n ? check_redrive(c, s, value) : CALL_OK;
	} else if (str_is(name, "DeliveryPolicy")) {
		if (value.n && !http)
			return sns_invalid(c, "DeliveryPolicy: only HTTP(S) subscriptions have one");
		r = value.n && !sns_check_delivery(c, value, false) ? CALL_FAIL : CALL_OK;
	} else
		return sns_invalid(c, "AttributeName");
	if (r == CALL_OK)
		sns_keep(c->arena, &s->record.attributes, name, value);
	return r;
}

int sns_set_subscription_attributes(struct call *c, const struct sns_set_subscription_attributes_input *in, struct model_none *out)
{
	struct sns_sub s;
	(void)out;
	if (sns_get_sub(c, in->subscription_arn, &s) != CALL_OK)
		return CALL_FAIL;
	struct str value = str_set(in->attribute_value) ? in->attribute_value : S("");
	if (sns_set_sub_attribute(c, &s, in->attribute_name, value) != CALL_OK)
		return CALL_FAIL;
	sns_put_sub(call_txn(c), c->arena, &s);
	return CALL_OK;
}

static void say(struct call *c, struct sns_get_subscription_attributes_response *out, const char *name, struct str value)
{
	if (value.n)
		*LIST_ADD(c->arena, &out->attributes) = (struct str_map_entry){str_from(name), value};
}

static struct str flag(bool on)
{
	return on ? S("true") : S("false");
}

int sns_get_subscription_attributes(struct call *c, const struct sns_get_subscription_attributes_input *in,
                                    struct sns_get_subscription_attributes_response *out)
{
	struct sns_sub s;
	struct topic t;
	if (sns_get_sub(c, in->subscription_arn, &s) != CALL_OK)
		return CALL_FAIL;
	const struct str_map *kept = &s.record.attributes;
	say(c, out, "SubscriptionArn", s.arn);
	say(c, out, "TopicArn", sns_topic_arn(c->arena, &s.topic));
	say(c, out, "Owner", s.record.owner);
	say(c, out, "Protocol", s.record.protocol);
	say(c, out, "Endpoint", s.record.endpoint);
	say(c, out, "SubscriptionPrincipal", s.record.principal);
	say(c, out, "PendingConfirmation", flag(s.record.pending.v));
	say(c, out, "ConfirmationWasAuthenticated", flag(s.record.authenticated.v));
	say(c, out, "RawMessageDelivery", flag(sns_flag(kept, "RawMessageDelivery")));
	struct str filter = sns_attribute(kept, "FilterPolicy"), scope = sns_attribute(kept, "FilterPolicyScope");
	say(c, out, "FilterPolicy", filter);
	if (filter.n || scope.n)
		say(c, out, "FilterPolicyScope", scope.n ? scope : S("MessageAttributes"));
	say(c, out, "RedrivePolicy", sns_attribute(kept, "RedrivePolicy"));
	say(c, out, "DeliveryPolicy", sns_attribute(kept, "DeliveryPolicy"));
	if (str_starts(s.record.protocol, S("http")) && sns_find_topic(call_txn(c), c->arena, &s.topic, &t))
		say(c, out, "EffectiveDeliveryPolicy", sns_effective_delivery(c->arena, &t, &s));
	return CALL_OK;
}

#include "envelope.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/json.h"

enum { ENVELOPE_MAX = 8 * SNS_MESSAGE_MAX };

static bool is_confirmation(const struct envelope *e)
{
	return str_is(e->what->type, "SubscriptionConfirmation");
}

struct str envelope_subscribe_url(struct arena *a, const struct envelope *e)
{
	return ARENA_CAT(a, str_from(e->endpoint), S("/?Action=ConfirmSubscription&TopicArn="), e->topic_arn, S("&Token="),
	                 e->what->token);
}

struct str envelope_unsubscribe_url(struct arena *a, const struct envelope *e)
{
	return ARENA_CAT(a, str_from(e->endpoint), S("/?Action=Unsubscribe&SubscriptionArn="), e->sub_arn);
}

/* Names and values, each on a line of its own, in the order of the names. */
struct str envelope_to_sign(struct arena *a, const struct envelope *e)
{
	const struct state_sns_notification_record *n = e->what;
	struct str when = time_format(a, n->sent.v, TIME_ISO8601_MS), middle = S("");
	if (is_confirmation(e))
		middle = ARENA_CAT(a, S("SubscribeURL\n"), envelope_subscribe_url(a, e), S("\n"));
	else if (n->subject.n)
		middle = ARENA_CAT(a, S("Subject\n"), n->subject, S("\n"));
	return ARENA_CAT(a, S("Message\n"), n->message, S("\nMessageId\n"), n->message_id, S("\n"), middle, S("Timestamp\n"), when,
	                 S("\n"), is_confirmation(e) ? ARENA_CAT(a, S("Token\n"), n->token, S("\n")) : S(""), S("TopicArn\n"),
	                 e->topic_arn, S("\nType\n"), n->type, S("\n"));
}

struct out {
	struct buf *b;
	bool more;
};

static void put(struct out *o, const char *name, struct str value)
{
	buf_add_str(o->b, o->more ? S(",\n  ") : S("{\n  "));
	o->more = true;
	json_put_string(o->b, str_from(name));
	buf_add_str(o->b, S(" : "));
	json_put_string(o->b, value);
}

static struct str value_of(struct arena *a, const struct sns_message_attribute_value *v)
{
	return str_starts(v->data_type, S("Binary")) ? base64_encode(a, v->binary_value) : v->string_value;
}

static void put_attributes(struct out *o, struct arena *a, const struct sns_message_attribute_map *m)
{
	buf_add_str(o->b, S(",\n  \"MessageAttributes\" : {"));
	for (uint32_t i = 0; i < m->n; i++) {
		buf_add_str(o->b, i ? S(",\n    ") : S("\n    "));
		json_put_string(o->b, m->v[i].key);
		buf_add_str(o->b, S(" : {\"Type\":"));
		json_put_string(o->b, m->v[i].value.data_type);
		buf_add_str(o->b, S(",\"Value\":"));
		json_put_string(o->b, value_of(a, &m->v[i].value));
		buf_add_str(o->b, S("}"));
	}
	buf_add_str(o->b, S("\n  }"));
}

/* Spaced as AWS spaces it. */
struct str envelope_json(struct arena *a, const struct envelope *e)
{
	const struct state_sns_notification_record *n = e->what;
	struct buf CLEAN_BUF b;
	buf_init(&b, ENVELOPE_MAX);
	struct out o = {.b = &b};
	put(&o, "Type", n->type);
	put(&o, "MessageId", n->message_id);
	if (n->sequence.n)
		put(&o, "SequenceNumber", n->sequence);
	if (is_confirmation(e))
		put(&o, "Token", n->token);
	put(&o, "TopicArn", e->topic_arn);
	if (n->subject.n)
		put(&o, "Subject", n->subject);
	put(&o, "Message", n->message);
	if (is_confirmation(e))
		put(&o, "SubscribeURL", envelope_subscribe_url(a, e));
	put(&o, "Timestamp", time_format(a, n->sent.v, TIME_ISO8601_MS));
	put(&o, "SignatureVersion", n->signature_version);
	put(&o, "Signature", n->signature);
	put(&o, "SigningCertURL", e->certificate_url);
	if (!is_confirmation(e))
		put(&o, "UnsubscribeURL", envelope_unsubscribe_url(a, e));
	if (n->attributes.n)
		put_attributes(&o, a, &n->attributes);
	buf_add_str(&b, S("\n}"));
	return arena_dup(a, buf_str(&b));
}

static void member(struct json_out *o, const char *name, struct str value)
{
	json_key(o, str_from(name));
	json_string(o, value);
}

struct str envelope_event(struct arena *a, const struct envelope *e)
{
	const struct state_sns_notification_record *n = e->what;
	struct buf CLEAN_BUF b;
	buf_init(&b, ENVELOPE_MAX);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	json_key(&o, S("Records"));
	json_open(&o, '[');
	json_open(&o, '{');
	member(&o, "EventSource", S("aws:sns"));
	member(&o, "EventVersion", S("1.0"));
	member(&o, "EventSubscriptionArn", e->sub_arn);
	json_key(&o, S("Sns"));
	json_open(&o, '{');
	member(&o, "Type", n->type);
	member(&o, "MessageId", n->message_id);
	member(&o, "TopicArn", e->topic_arn);
	member(&o, "Subject", n->subject.n ? n->subject : STR_NONE);
	member(&o, "Message", n->message);
	member(&o, "Timestamp", time_format(a, n->sent.v, TIME_ISO8601_MS));
	member(&o, "SignatureVersion", n->signature_version);
	member(&o, "Signature", n->signature);
	member(&o, "SigningCertUrl", e->certificate_url);
	member(&o, "UnsubscribeUrl", envelope_unsubscribe_url(a, e));
	json_key(&o, S("MessageAttributes"));
	json_open(&o, '{');
	for (uint32_t i = 0; i < n->attributes.n; i++) {
		const struct sns_message_attribute_map_entry *m = &n->attributes.v[i];
		json_key(&o, m->key);
		json_open(&o, '{');
		member(&o, "Type", m->value.data_type);
		member(&o, "Value", value_of(a, &m->value));
		json_close(&o, '}');
	}
	json_close(&o, '}');
	json_close(&o, '}');
	json_close(&o, '}');
	json_close(&o, ']');
	json_close(&o, '}');
	return arena_dup(a, buf_str(&b));
}

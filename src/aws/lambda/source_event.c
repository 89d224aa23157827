/* What a function sees of a queue's messages, and what it says about them. */
#include "aws/lambda/source.h"

#include "base/base64.h"
#include "base/buf.h"
#include "base/json.h"

static void put_text(struct json_out *j, const char *name, struct str value)
{
	json_key(j, str_from(name));
	json_string(j, value);
}

static void put_attribute(struct json_out *j, struct arena *a, const struct sqs_message_attribute_value *v)
{
	json_open(j, '{');
	if (str_set(v->string_value))
		put_text(j, "stringValue", v->string_value);
	if (str_set(v->binary_value))
		put_text(j, "binaryValue", base64_encode(a, v->binary_value));
	json_key(j, S("stringListValues"));
	json_raw(j, S("[]"));
	json_key(j, S("binaryListValues"));
	json_raw(j, S("[]"));
	put_text(j, "dataType", v->data_type);
	json_close(j, '}');
}

void source_put_record(struct buf *b, struct arena *a, const struct sqs_message *m, struct str source_arn, struct str region,
                       bool for_filter)
{
	struct json_out j = json_out(b);
	json_open(&j, '{');
	put_text(&j, "messageId", m->message_id);
	put_text(&j, "receiptHandle", m->receipt_handle);
	json_key(&j, S("body"));
	if (for_filter && json_is(json_parse(a, m->body, NULL), JSON_OBJECT))
		json_raw(&j, m->body);
	else
		json_string(&j, m->body);
	json_key(&j, S("attributes"));
	json_open(&j, '{');
	for (uint32_t i = 0; i < m->attributes.n; i++) {
		json_key(&j, m->attributes.v[i].key);
		json_string(&j, m->attributes.v[i].value);
	}
	json_close(&j, '}');
	json_key(&j, S("messageAttributes"));
	json_open(&j, '{');
	for (uint32_t i = 0; i < m->message_attributes.n; i++) {
		json_key(&j, m->message_attributes.v[i].key);
		put_attribute(&j, a, &m->message_attributes.v[i].value);
	}
	json_close(&j, '}');
	if (str_set(m->md5_of_message_attributes))
		put_text(&j, "md5OfMessageAttributes", m->md5_of_message_attributes);
	put_text(&j, "md5OfBody", m->md5_of_body);
	put_text(&j, "eventSource", S("aws:sqs"));
	put_text(&j, "eventSourceARN", source_arn);
	put_text(&j, "awsRegion", region);
	json_close(&j, '}');
}

bool source_read_failures(struct arena *a, struct str payload, const struct str *ids, size_t count, bool *failed)
{
	if (!str_set(payload) || str_empty(str_trim(payload)))
		return true;
	const struct json_value *answer = json_parse(a, payload, NULL);
	if (json_is(answer, JSON_NULL))
		return true;
	if (!json_is(answer, JSON_OBJECT))
		return false;
	const struct json_value *list = json_get(answer, S("batchItemFailures"));
	if (!list || list->kind == JSON_NULL)
		return true;
	if (list->kind != JSON_ARRAY)
		return false;
	json_each(list, item)
	{
		struct str id = json_get_str(item, S("itemIdentifier"));
		size_t i = 0;
		while (i < count && !str_eq(ids[i], id))
			i++;
		if (i == count)
			return false;
		failed[i] = true;
	}
	return true;
}

/* Attributes of queues: GetQueueAttributes, SetQueueAttributes, and what the others say of them. */
#include "sqs.h"

#include "core/policy.h"

#include <stdio.h>

enum kind { KIND_NUMBER, KIND_FLAG, KIND_CHOICE, KIND_POLICY, KIND_REDRIVE, KIND_REDRIVE_ALLOW, KIND_KEY };
struct attribute {
	const char *name;
	enum kind kind;
	int64_t min, max;
	const char *standard; /* its default; NULL: it has none */
	bool fifo;            /* of FIFO queues alone */
	bool with_key;        /* its default, of those with a key alone */
	const char *choices[2];
};
static const struct attribute attributes[] = {
        {.name = "VisibilityTimeout", .max = 43200, .standard = "30"},
        {.name = "MaximumMessageSize", .min = 1024, .max = SQS_SIZE_MAX, .standard = "1048576"},
        {.name = "MessageRetentionPeriod", .min = 60, .max = 1209600, .standard = "345600"},
        {.name = "DelaySeconds", .max = 900, .standard = "0"},
        {.name = "ReceiveMessageWaitTimeSeconds", .max = 20, .standard = "0"},
        {.name = "SqsManagedSseEnabled", .kind = KIND_FLAG, .standard = "true"},
        {.name = "Policy", .kind = KIND_POLICY},
        {.name = "RedrivePolicy", .kind = KIND_REDRIVE},
        {.name = "RedriveAllowPolicy", .kind = KIND_REDRIVE_ALLOW},
        {.name = "KmsMasterKeyId", .kind = KIND_KEY},
        {.name = "KmsDataKeyReusePeriodSeconds", .min = 60, .max = 86400, .standard = "300", .with_key = true},
        {.name = "ContentBasedDeduplication", .kind = KIND_FLAG, .standard = "false", .fifo = true},
        {.name = "DeduplicationScope",
         .kind = KIND_CHOICE,
         .standard = "queue",
         .fifo = true,
         .choices = {"queue", "messageGroup"}},
        {.name = "FifoThroughputLimit",
         .kind = KIND_CHOICE,
         .standard = "perQueue",
         .fifo = true,
         .choices = {"perQueue", "perMessageGroupId"}},
};
enum { ATTRIBUTES = sizeof(attributes) / sizeof(*attributes), KEY_NAME_MAX_CHARS = 2048 };

static const struct attribute *find(struct str name)
{
	for (unsigned i = 0; i < ATTRIBUTES; i++)
		if (str_is(name, attributes[i].name))
			return &attributes[i];
	return NULL;
}

struct str sqs_attribute(const struct sqs_queue *q, const char *name)
{
	struct str v = str_map_get(&q->record.attributes, str_from(name));
	const struct attribute *a = find(str_from(name));
	if (str_set(v) || !a || !a->standard || (a->fifo && !sqs_is_fifo(q->at.name)) ||
	    (a->with_key && !str_set(str_map_get(&q->record.attributes, S("KmsMasterKeyId")))))
		return v;
	return str_from(a->standard);
}

int64_t sqs_number(const struct sqs_queue *q, const char *name)
{
	int64_t n = 0;
	str_to_i64(sqs_attribute(q, name), &n);
	return n;
}

bool sqs_flag(const struct sqs_queue *q, const char *name)
{
	return str_is(sqs_attribute(q, name), "true");
}

void sqs_keep(struct call *c, struct sqs_queue *q, const char *name, struct str value)
{
	struct str_map *m = &q->record.attributes;
	for (uint32_t i = 0; i < m->n; i++)
		if (str_is(m->v[i].key, name)) {
			if (value.n)
				m->v[i].value = value;
			else
				m->v[i] = m->v[--m->n];
			return;
		}
	if (value.n)
		*LIST_ADD(c->arena, m) = (struct str_map_entry){str_from(name), value};
}

/* --- setting */

static int bad_value(struct call *c, const char *name)
{
	return call_fail(c, "InvalidAttributeValue", 400, "Invalid value for the parameter %s.", name);
}

static int check_policy(struct call *c, struct str json)
{
	struct str why;
	if (!json.n)
		return CALL_OK;
	struct policy *p = policy_parse(json, POLICY_RESOURCE, S("queue policy"), c->arena, &why);
	if (!p)
		return call_fail(c, "InvalidAttributeValue", 400, "Invalid value for the parameter Policy. Reason: %.*s",
		                 STR_ARG(why));
	policy_free(p);
	return CALL_OK;
}

/* *ret: as it is kept. */
static int check(struct call *c, const struct sqs_queue *q, const struct attribute *a, struct str value, struct str *ret)
{
	int64_t n;
	*ret = value;
	switch (a->kind) {
	case KIND_NUMBER:
		if (!str_to_i64(value, &n) || n < a->min || n > a->max)
			return bad_value(c, a->name);
		*ret = arena_printf(c->arena, "%ld", n);
		return CALL_OK;
	case KIND_FLAG:
		if (!str_ieq(value, S("true")) && !str_ieq(value, S("false")))
			return bad_value(c, a->name);
		*ret = str_ieq(value, S("true")) ? S("true") : S("false");
		return CALL_OK;
	case KIND_CHOICE:
		return str_is(value, a->choices[0]) || str_is(value, a->choices[1]) ? CALL_OK : bad_value(c, a->name);
	case KIND_POLICY:
		return check_policy(c, value);
	case KIND_REDRIVE:
		return value.n ? sqs_check_redrive(c, q, value, ret) : CALL_OK;
	case KIND_REDRIVE_ALLOW:
		return value.n ? sqs_check_redrive_allow(c, q, value, ret) : CALL_OK;
	case KIND_KEY: /* whether there is such a key is seen when it is used */
		return value.n <= KEY_NAME_MAX_CHARS ? CALL_OK : bad_value(c, a->name);
	}
	return CALL_OK;
}

static int unknown(struct call *c, struct str name)
{
	return call_fail(c, "InvalidAttributeName", 400, "Unknown Attribute %.*s.", STR_ARG(name));
}

int sqs_set_attributes(struct call *c, struct sqs_queue *q, const struct str_map *given, bool made)
{
	bool fifo = sqs_is_fifo(q->at.name);
	for (uint32_t i = 0; i < given->n; i++) {
		struct str name = given->v[i].key, value = given->v[i].value, kept;
		const struct attribute *a = find(name);
		if (made && fifo && str_is(name, "FifoQueue") && str_ieq(value, S("true")))
			continue;
		if (!a || (a->fifo && !fifo))
			return unknown(c, name);
		if (check(c, q, a, value, &kept) != CALL_OK)
			return CALL_FAIL;
		sqs_keep(c, q, a->name, kept);
	}
	/* Keys of KMS and those of SQS exclude each other; the one that is asked for last holds. */
	struct str key = str_map_get(given, S("KmsMasterKeyId")), own = str_map_get(given, S("SqsManagedSseEnabled"));
	if (key.n && str_ieq(own, S("true")))
		return call_fail(
		        c, "InvalidAttributeValue", 400,
		        "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE.");
	if (key.n)
		sqs_keep(c, q, "SqsManagedSseEnabled", S("false"));
	else if (str_ieq(own, S("true")))
		sqs_keep(c, q, "KmsMasterKeyId", S(""));
	if (fifo && str_is(sqs_attribute(q, "FifoThroughputLimit"), "perMessageGroupId") &&
	    !str_is(sqs_attribute(q, "DeduplicationScope"), "messageGroup"))
		return call_fail(
		        c, "InvalidAttributeValue", 400,
		        "The value perMessageGroupId for FifoThroughputLimit is only valid when DeduplicationScope is messageGroup.");
	return CALL_OK;
}

struct str sqs_different(struct call *c, const struct sqs_queue *q, const struct str_map *given)
{
	struct sqs_queue asked = {.at = q->at};
	if (sqs_set_attributes(c, &asked, given, true) != CALL_OK)
		return STR_NONE;
	for (uint32_t i = 0; i < given->n; i++) {
		const struct attribute *a = find(given->v[i].key);
		struct str has = a ? sqs_attribute(q, a->name) : STR_NONE, wants = a ? sqs_attribute(&asked, a->name) : STR_NONE;
		if (a && !str_eq(has, wants))
			return given->v[i].key;
	}
	return STR_NONE;
}

int sqs_set_queue_attributes(struct call *c, const struct sqs_set_queue_attributes_request *in, struct model_none *out)
{
	struct sqs_queue q;
	(void)out;
	if (sqs_get(c, in->queue_url, &q) != CALL_OK || sqs_set_attributes(c, &q, &in->attributes, false) != CALL_OK)
		return CALL_FAIL;
	q.record.modified = OPT_INT(c->now_ms);
	sqs_put(c, &q);
	return CALL_OK;
}

/* --- getting */

static const char *const counted[] = {"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible",
                                      "ApproximateNumberOfMessagesDelayed"};
static const char *const stated[] = {"QueueArn", "CreatedTimestamp", "LastModifiedTimestamp", "FifoQueue"};

/* Absent: the queue has none such. */
static struct str value_of(struct call *c, const struct sqs_queue *q, struct str name, const struct queue_counts *n)
{
	if (str_is(name, "QueueArn"))
		return sqs_arn(c->arena, c->region, &q->at);
	if (str_is(name, "CreatedTimestamp"))
		return arena_printf(c->arena, "%ld", q->record.created.v / 1000);
	if (str_is(name, "LastModifiedTimestamp"))
		return arena_printf(c->arena, "%ld", q->record.modified.v / 1000);
	if (str_is(name, "FifoQueue"))
		return sqs_is_fifo(q->at.name) ? S("true") : STR_NONE;
	if (str_is(name, counted[0]))
		return arena_printf(c->arena, "%ld", n->visible);
	if (str_is(name, counted[1]))
		return arena_printf(c->arena, "%ld", n->in_flight);
	if (str_is(name, counted[2]))
		return arena_printf(c->arena, "%ld", n->delayed);
	return find(name) ? sqs_attribute(q, arena_dupz(c->arena, name)) : STR_NONE;
}

static bool known(struct str name)
{
	bool found = find(name) || str_is(name, "All");
	for (unsigned i = 0; i < 3; i++)
		found |= str_is(name, counted[i]);
	for (unsigned i = 0; i < 4; i++)
		found |= str_is(name, stated[i]);
	return found;
}

static void add(struct call *c, const struct sqs_queue *q, struct str name, const struct queue_counts *n, struct str_map *out)
{
	struct str value = value_of(c, q, name, n);
	for (uint32_t i = 0; i < out->n; i++)
		if (str_eq(out->v[i].key, name))
			return;
	if (!str_set(value))
		return;
	struct str_map_entry *e = LIST_ADD(c->arena, out);
	e->key = name;
	e->value = value;
}

int sqs_get_queue_attributes(struct call *c, const struct sqs_get_queue_attributes_request *in,
                             struct sqs_get_queue_attributes_result *out)
{
	struct sqs_queue q;
	struct queue_counts n;
	if (sqs_get(c, in->queue_url, &q) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->attribute_names.n; i++)
		if (!known(in->attribute_names.v[i]))
			return unknown(c, in->attribute_names.v[i]);
	struct queue *messages = sqs_open(c, &q);
	if (!messages)
		return CALL_FAIL;
	queue_count(messages, c->now_ms, &n);
	for (uint32_t i = 0; i < in->attribute_names.n; i++) {
		if (!str_is(in->attribute_names.v[i], "All")) {
			add(c, &q, in->attribute_names.v[i], &n, &out->attributes);
			continue;
		}
		for (unsigned k = 0; k < 4; k++)
			add(c, &q, str_from(stated[k]), &n, &out->attributes);
		for (unsigned k = 0; k < 3; k++)
			add(c, &q, str_from(counted[k]), &n, &out->attributes);
		for (unsigned k = 0; k < ATTRIBUTES; k++)
			add(c, &q, str_from(attributes[k].name), &n, &out->attributes);
	}
	return CALL_OK;
}

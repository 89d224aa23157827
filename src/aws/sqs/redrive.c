/* Redrive policies: which queue takes what was received too often, and from whom a queue takes it. */
#include "sqs.h"

#include "base/json.h"

enum { SOURCES_MAX = 10, RECEIVES_MAX = 1000, KEPT_MAX = 4096 };

static int bad(struct call *c, const char *parameter, struct str json, const char *why)
{
	return sqs_invalid(c, "Value %.*s for parameter %s is invalid. Reason: %s", STR_ARG(json), parameter, why);
}

/* Numbers may come as text. */
static bool number(const struct json_value *v, int64_t *ret)
{
	return v && (v->kind == JSON_NUMBER || v->kind == JSON_STRING) && str_to_i64(v->text, ret);
}

/* May this queue send what it cannot deliver there? */
static bool allowed(struct call *c, const struct sqs_queue *dead, struct str source)
{
	const struct json_value *v = json_parse(c->arena, sqs_attribute(dead, "RedriveAllowPolicy"), NULL);
	struct str permission = json_get_str(v, S("redrivePermission"));
	if (!str_set(permission) || str_is(permission, "allowAll"))
		return true;
	if (str_is(permission, "denyAll"))
		return false;
	json_each(json_get(v, S("sourceQueueArns")), one) if (str_eq(one->text, source)) return true;
	return false;
}

int sqs_check_redrive(struct call *c, const struct sqs_queue *q, struct str json, struct str *ret_kept)
{
	static const char *const what = "RedrivePolicy";
	const struct json_value *v = json_parse(c->arena, json, NULL);
	struct str target = json_get_str(v, S("deadLetterTargetArn")), source = sqs_arn(c->arena, c->region, &q->at);
	struct sqs_name at;
	struct sqs_queue dead;
	int64_t max;
	if (!json_is(v, JSON_OBJECT))
		return bad(c, what, json, "Redrive policy is not a valid JSON map.");
	if (!str_set(target))
		return bad(c, what, json, "Redrive policy does not contain mandatory attribute: deadLetterTargetArn.");
	if (!json_get(v, S("maxReceiveCount")))
		return bad(c, what, json, "Redrive policy does not contain mandatory attribute: maxReceiveCount.");
	if (!number(json_get(v, S("maxReceiveCount")), &max) || max < 1 || max > RECEIVES_MAX)
		return bad(c, what, json, "Invalid value for maxReceiveCount, valid values are from 1 to 1000 both inclusive.");
	if (!sqs_name_of_arn(c->region, target, &at) || !str_eq(at.account, q->at.account))
		return bad(c, what, json, "Invalid value for deadLetterTargetArn.");
	if (!sqs_find(call_txn(c), c->arena, c->region, &at, &dead))
		return bad(c, what, json, "Dead letter target does not exist.");
	if (sqs_is_fifo(at.name) != sqs_is_fifo(q->at.name))
		return bad(c, what, json, "Dead-letter target must be same type of queue as the source.");
	if (!allowed(c, &dead, source))
		return bad(c, what, json, "The dead-letter queue's redrive allow policy does not permit this source queue.");
	*ret_kept = arena_printf(c->arena, "{\"deadLetterTargetArn\":\"%.*s\",\"maxReceiveCount\":%ld}", STR_ARG(target), max);
	return CALL_OK;
}

int sqs_check_redrive_allow(struct call *c, const struct sqs_queue *q, struct str json, struct str *ret_kept)
{
	static const char *const what = "RedriveAllowPolicy";
	const struct json_value *v = json_parse(c->arena, json, NULL), *sources = json_get(v, S("sourceQueueArns"));
	struct str permission = json_get_str(v, S("redrivePermission"));
	struct sqs_name at;
	bool by_queue = str_is(permission, "byQueue");
	(void)q;
	if (!json_is(v, JSON_OBJECT))
		return bad(c, what, json, "Redrive allow policy is not a valid JSON map.");
	if (!by_queue && !str_is(permission, "allowAll") && !str_is(permission, "denyAll"))
		return bad(c, what, json, "Redrive permission is not one of allowAll, denyAll, byQueue.");
	if (by_queue ? !json_is(sources, JSON_ARRAY) || !sources->count || sources->count > SOURCES_MAX : sources != NULL)
		return bad(c, what, json, "sourceQueueArns has between 1 and 10 queues, with byQueue alone.");
	json_each(sources, one) if (one->kind != JSON_STRING || !sqs_name_of_arn(c->region, one->text, &at)) return bad(
	        c, what, json, "sourceQueueArns must be ARNs of queues.");
	struct buf CLEAN_BUF b;
	buf_init(&b, KEPT_MAX);
	json_put_value(&b, v);
	*ret_kept = arena_dup(c->arena, buf_str(&b));
	return CALL_OK;
}

bool sqs_redrive(struct arena *a, const struct sqs_queue *q, struct str region, struct sqs_name *ret_to, int64_t *ret_max)
{
	struct str policy = sqs_attribute(q, "RedrivePolicy");
	if (!policy.n)
		return false;
	const struct json_value *v = json_parse(a, policy, NULL);
	return sqs_name_of_arn(region, json_get_str(v, S("deadLetterTargetArn")), ret_to) &&
	       number(json_get(v, S("maxReceiveCount")), ret_max);
}

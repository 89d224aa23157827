/* AddPermission, RemovePermission: statements of the queue's policy, by their label. */
#include "sqs.h"

#include "base/json.h"

enum { LABEL_MAX_CHARS = 80, STATEMENTS_MAX = 20, ACTIONS_MAX = 7, POLICY_MAX = 64 * 1024 };

static bool label_good(struct str label)
{
	for (size_t i = 0; i < label.n; i++)
		if (!ascii_is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
			return false;
	return label.n > 0 && label.n <= LABEL_MAX_CHARS;
}

static bool action_good(struct str action)
{
	static const char *const names[] = {"*",
	                                    "SendMessage",
	                                    "ReceiveMessage",
	                                    "DeleteMessage",
	                                    "ChangeMessageVisibility",
	                                    "GetQueueAttributes",
	                                    "GetQueueUrl",
	                                    "ListDeadLetterSourceQueues",
	                                    "PurgeQueue"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (str_is(action, names[i]))
			return true;
	return false;
}

static int check(struct call *c, const struct sqs_add_permission_request *in)
{
	if (!label_good(in->label))
		return sqs_invalid(
		        c,
		        "Value %.*s for parameter Label is invalid. Reason: Can only include alphanumeric characters, hyphens, or "
		        "underscores. 1 to 80 in length.",
		        STR_ARG(in->label));
	if (!in->aws_account_ids.n)
		return sqs_missing(c, "AWSAccountId");
	if (!in->actions.n)
		return sqs_missing(c, "ActionName");
	if (in->actions.n > ACTIONS_MAX)
		return call_fail(c, "OverLimit", 403, "%u Actions were found, maximum allowed is %d.", in->actions.n, ACTIONS_MAX);
	for (uint32_t i = 0; i < in->aws_account_ids.n; i++) {
		struct str id = in->aws_account_ids.v[i];
		bool good = id.n == 12;
		for (size_t k = 0; k < id.n; k++)
			good &= ascii_is_digit(id.p[k]);
		if (!good)
			return sqs_invalid(c, "Value %.*s for parameter PrincipalId is invalid. Reason: Unable to verify.",
			                   STR_ARG(id));
	}
	for (uint32_t i = 0; i < in->actions.n; i++)
		if (!action_good(in->actions.v[i]))
			return sqs_invalid(
			        c,
			        "Value SQS:%.*s for parameter ActionName is invalid. Reason: Only the queue owner is allowed to invoke "
			        "this action.",
			        STR_ARG(in->actions.v[i]));
	return CALL_OK;
}

/* The statements of the policy as it is; a single one may stand without brackets. NULL: none. */
static const struct json_value *statements(const struct json_value *policy)
{
	const struct json_value *s = json_get(policy, S("Statement"));
	return json_is(s, JSON_ARRAY) ? s->first : s;
}

static const struct json_value *labelled(const struct json_value *policy, struct str label)
{
	for (const struct json_value *s = statements(policy); s; s = s->next)
		if (str_eq(json_get_str(s, S("Sid")), label))
			return s;
	return NULL;
}

static void put_statement(struct json_out *o, struct call *c, const struct sqs_add_permission_request *in, struct str arn)
{
	json_open(o, '{');
	json_key(o, S("Sid"));
	json_string(o, in->label);
	json_key(o, S("Effect"));
	json_string(o, S("Allow"));
	json_key(o, S("Principal"));
	json_open(o, '{');
	json_key(o, S("AWS"));
	json_open(o, '[');
	for (uint32_t i = 0; i < in->aws_account_ids.n; i++)
		json_string(o, ARENA_CAT(c->arena, S("arn:aws:iam::"), in->aws_account_ids.v[i], S(":root")));
	json_close(o, ']');
	json_close(o, '}');
	json_key(o, S("Action"));
	json_open(o, '[');
	for (uint32_t i = 0; i < in->actions.n; i++)
		json_string(o, ARENA_CAT(c->arena, S("SQS:"), in->actions.v[i]));
	json_close(o, ']');
	json_key(o, S("Resource"));
	json_string(o, arn);
	json_close(o, '}');
}

/* The policy with what is added and without what is removed; absent: nothing is left of it. */
static struct str rewrite(struct call *c, const struct sqs_queue *q, const struct json_value *policy,
                          const struct sqs_add_permission_request *added, const struct json_value *removed)
{
	struct buf CLEAN_BUF b;
	struct str arn = sqs_arn(c->arena, c->region, &q->at);
	unsigned count = 0;
	buf_init(&b, POLICY_MAX);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	json_key(&o, S("Version"));
	json_string(&o, policy ? json_get_str(policy, S("Version")) : S("2012-10-17"));
	json_key(&o, S("Id"));
	struct str id = json_get_str(policy, S("Id"));
	json_string(&o, str_set(id) ? id : ARENA_CAT(c->arena, arn, S("/SQSDefaultPolicy")));
	json_key(&o, S("Statement"));
	json_open(&o, '[');
	for (const struct json_value *s = statements(policy); s; s = s->next) {
		if (s == removed)
			continue;
		struct buf CLEAN_BUF one;
		buf_init(&one, POLICY_MAX);
		json_put_value(&one, s);
		json_raw(&o, arena_dup(c->arena, buf_str(&one)));
		count++;
	}
	if (added) {
		put_statement(&o, c, added, arn);
		count++;
	}
	json_close(&o, ']');
	json_close(&o, '}');
	return count ? arena_dup(c->arena, buf_str(&b)) : STR_NONE;
}

int sqs_add_permission(struct call *c, const struct sqs_add_permission_request *in, struct model_none *out)
{
	struct sqs_queue q;
	unsigned count = 0;
	(void)out;
	if (sqs_get(c, in->queue_url, &q) != CALL_OK || check(c, in) != CALL_OK)
		return CALL_FAIL;
	const struct json_value *policy = json_parse(c->arena, sqs_attribute(&q, "Policy"), NULL);
	if (labelled(policy, in->label))
		return sqs_invalid(c, "Value %.*s for parameter Label is invalid. Reason: Already exists.", STR_ARG(in->label));
	for (const struct json_value *s = statements(policy); s; s = s->next)
		count++;
	if (count >= STATEMENTS_MAX)
		return call_fail(c, "OverLimit", 403, "%u statements were found, maximum allowed is %d.", count + 1,
		                 STATEMENTS_MAX);
	sqs_keep(c, &q, "Policy", rewrite(c, &q, policy, in, NULL));
	sqs_put(c, &q);
	return CALL_OK;
}

int sqs_remove_permission(struct call *c, const struct sqs_remove_permission_request *in, struct model_none *out)
{
	struct sqs_queue q;
	(void)out;
	if (sqs_get(c, in->queue_url, &q) != CALL_OK)
		return CALL_FAIL;
	const struct json_value *policy = json_parse(c->arena, sqs_attribute(&q, "Policy"), NULL),
	                        *found = labelled(policy, in->label);
	if (!found)
		return sqs_invalid(c, "Value %.*s for parameter Label is invalid. Reason: can't find label on existing policy.",
		                   STR_ARG(in->label));
	sqs_keep(c, &q, "Policy", rewrite(c, &q, policy, NULL, found));
	sqs_put(c, &q);
	return CALL_OK;
}

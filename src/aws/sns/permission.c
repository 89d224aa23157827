/* AddPermission, RemovePermission: statements of the topic's policy, by their label; and the policy of a topic that has none. */
#include "sns.h"

#include "base/json.h"

enum { LABEL_MAX_CHARS = 80, POLICY_BYTES = 64 * 1024 };

static const char *const actions[] = {
        "GetTopicAttributes", "SetTopicAttributes",       "AddPermission", "RemovePermission", "DeleteTopic",
        "Subscribe",          "ListSubscriptionsByTopic", "Publish"};
enum { ACTIONS = sizeof(actions) / sizeof(*actions) };

struct str sns_default_policy(struct arena *a, const struct topic *t)
{
	struct str listed = S("");
	for (unsigned i = 0; i < ACTIONS; i++)
		listed = ARENA_CAT(a, listed, i ? S(",\"SNS:") : S("\"SNS:"), str_from(actions[i]), S("\""));
	return arena_printf(
	        a,
	        "{\"Version\":\"2008-10-17\",\"Id\":\"__default_policy_ID\",\"Statement\":[{\"Sid\":\"__default_statement_ID\","
	        "\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"*\"},\"Action\":[%.*s],\"Resource\":\"%.*s\",\"Condition\":{"
	        "\"StringEquals\":{\"AWS:SourceOwner\":\"%.*s\"}}}]}",
	        STR_ARG(listed), STR_ARG(t->arn), STR_ARG(t->at.account));
}

/* The statements of the policy as it is; a single one may stand without brackets. */
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

static int check(struct call *c, const struct sns_add_permission_input *in)
{
	for (size_t i = 0; i < in->label.n; i++)
		if (!ascii_is_alnum(in->label.p[i]) && in->label.p[i] != '-' && in->label.p[i] != '_')
			return sns_invalid(c, "Label");
	if (!in->label.n || in->label.n > LABEL_MAX_CHARS)
		return sns_invalid(c, "Label");
	if (!in->aws_account_id.n)
		return sns_invalid(c, "AWSAccountId");
	for (uint32_t i = 0; i < in->aws_account_id.n; i++) {
		struct str id = in->aws_account_id.v[i];
		bool good = id.n == 12;
		for (size_t k = 0; k < id.n; k++)
			good &= ascii_is_digit(id.p[k]);
		if (!good)
			return sns_invalid(c, "AWSAccountId");
	}
	if (!in->action_name.n)
		return sns_invalid(c, "ActionName");
	for (uint32_t i = 0; i < in->action_name.n; i++) {
		bool known = false;
		for (unsigned k = 0; k < ACTIONS; k++)
			known |= str_is(in->action_name.v[i], actions[k]);
		if (!known)
			return sns_invalid(c, "Policy statement action out of service scope!");
	}
	return CALL_OK;
}

static void put_statement(struct json_out *o, struct call *c, const struct sns_add_permission_input *in, struct str arn)
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
	for (uint32_t i = 0; i < in->aws_account_id.n; i++)
		json_string(o, ARENA_CAT(c->arena, S("arn:aws:iam::"), in->aws_account_id.v[i], S(":root")));
	json_close(o, ']');
	json_close(o, '}');
	json_key(o, S("Action"));
	json_open(o, '[');
	for (uint32_t i = 0; i < in->action_name.n; i++)
		json_string(o, ARENA_CAT(c->arena, S("SNS:"), in->action_name.v[i]));
	json_close(o, ']');
	json_key(o, S("Resource"));
	json_string(o, arn);
	json_close(o, '}');
}

/* The policy without `removed` and with what is added. */
static struct str rewrite(struct call *c, const struct topic *t, const struct json_value *policy,
                          const struct sns_add_permission_input *added, const struct json_value *removed)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, POLICY_BYTES);
	struct json_out o = json_out(&b);
	struct str version = json_get_str(policy, S("Version")), id = json_get_str(policy, S("Id"));
	json_open(&o, '{');
	json_key(&o, S("Version"));
	json_string(&o, str_set(version) ? version : S("2008-10-17"));
	if (str_set(id)) {
		json_key(&o, S("Id"));
		json_string(&o, id);
	}
	json_key(&o, S("Statement"));
	json_open(&o, '[');
	for (const struct json_value *s = statements(policy); s; s = s->next) {
		if (s == removed)
			continue;
		struct buf CLEAN_BUF one;
		buf_init(&one, POLICY_BYTES);
		json_put_value(&one, s);
		json_raw(&o, arena_dup(c->arena, buf_str(&one)));
	}
	if (added)
		put_statement(&o, c, added, t->arn);
	json_close(&o, ']');
	json_close(&o, '}');
	return arena_dup(c->arena, buf_str(&b));
}

static const struct json_value *policy_of(struct call *c, const struct topic *t)
{
	struct str policy = sns_attribute(&t->record.attributes, "Policy");
	return json_parse(c->arena, policy.n ? policy : sns_default_policy(c->arena, t), NULL);
}

int sns_add_permission(struct call *c, const struct sns_add_permission_input *in, struct model_none *out)
{
	struct topic t;
	(void)out;
	if (sns_get_topic(c, in->topic_arn, &t) != CALL_OK || check(c, in) != CALL_OK)
		return CALL_FAIL;
	const struct json_value *policy = policy_of(c, &t);
	if (labelled(policy, in->label))
		return sns_invalid(c, "Statement already exists");
	sns_keep(c->arena, &t.record.attributes, S("Policy"), rewrite(c, &t, policy, in, NULL));
	sns_put_topic(c, &t);
	return CALL_OK;
}

int sns_remove_permission(struct call *c, const struct sns_remove_permission_input *in, struct model_none *out)
{
	struct topic t;
	(void)out;
	if (sns_get_topic(c, in->topic_arn, &t) != CALL_OK)
		return CALL_FAIL;
	const struct json_value *policy = policy_of(c, &t), *found = labelled(policy, in->label);
	if (!found)
		return CALL_OK;
	sns_keep(c->arena, &t.record.attributes, S("Policy"), rewrite(c, &t, policy, NULL, found));
	sns_put_topic(c, &t);
	return CALL_OK;
}

/* PutResourcePolicy, DescribeResourcePolicies, DeleteResourcePolicy: who else may do what with an account's groups, above all other
 * services. All documents of an account and region are one resource policy to the decision. */
#include "rows.h"

#include "base/json.h"
#include "core/policy.h"

enum { POLICIES_MAX = 10, DOCUMENT_MAX = 5120, ALL_MAX = 1 << 20 };

static struct str under_all(struct call *c)
{
	return KEY_UNDER(c->arena, S("logs"), S("policy"), c->account, c->region);
}

static struct str key_of(struct call *c, struct str name)
{
	return KEY(c->arena, S("logs"), S("policy"), c->account, c->region, logs_name_part(c->arena, name));
}

static void put_one(struct buf *b, const struct json_value *statement)
{
	if (b->p[b->n - 1] != '[')
		buf_add_char(b, ',');
	json_put_value(b, statement);
}

struct str logs_resource_policy(struct call *c)
{
	struct str under = under_all(c), key;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	struct buf CLEAN_BUF b = {0};
	while (store_next(i, &key, &v)) {
		struct state_logs_policy_record r;
		if (!record_read(c->arena, v.value, LOGS_ROW("Policy"), &r))
			continue;
		if (!b.n) {
			buf_init(&b, ALL_MAX);
			buf_add_lit(&b, "{\"Version\":\"2012-10-17\",\"Statement\":[");
		}
		const struct json_value *s = json_get(json_parse(c->arena, r.policy->policy_document, NULL), S("Statement"));
		if (json_is(s, JSON_OBJECT))
			put_one(&b, s);
		for (const struct json_value *one = json_is(s, JSON_ARRAY) ? s->first : NULL; one; one = one->next)
			put_one(&b, one);
	}
	if (!b.n)
		return STR_NONE;
	buf_add_lit(&b, "]}");
	return arena_dup(c->arena, buf_str(&b));
}

static int check(struct call *c, const struct logs_put_resource_policy_request *in)
{
	struct str why;
	if (str_set(in->resource_arn) || str_set(in->expected_revision_id))
		return logs_invalid(c, "Policies of single resources are not supported.");
	if (!in->policy_name.n)
		return logs_invalid(c, "policyName must be specified.");
	if (!in->policy_document.n || in->policy_document.n > DOCUMENT_MAX)
		return logs_invalid(c, "The policy document must have between 1 and %d characters.", DOCUMENT_MAX);
	struct policy *p = policy_parse(in->policy_document, POLICY_RESOURCE, in->policy_name, c->arena, &why);
	if (!p)
		return logs_invalid(c, "Invalid policy document: %.*s", STR_ARG(why));
	policy_free(p);
	return CALL_OK;
}

int logs_put_resource_policy(struct call *c, const struct logs_put_resource_policy_request *in,
                             struct logs_put_resource_policy_response *out)
{
	struct str under = under_all(c), key = key_of(c, in->policy_name), at;
	struct store_value v;
	unsigned count = 0;
	if (check(c, in) != CALL_OK)
		return CALL_FAIL;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	while (store_next(i, &at, &v))
		count += !str_eq(at, key);
	if (count >= POLICIES_MAX)
		return call_fail(c, "LimitExceededException", 0, "Resource limit exceeded.");
	out->resource_policy = arena_new(c->arena, struct logs_resource_policy);
	*out->resource_policy = (struct logs_resource_policy){.policy_name = in->policy_name,
	                                                      .policy_document = in->policy_document,
	                                                      .last_updated_time = OPT_INT(c->now_ms),
	                                                      .policy_scope = S("ACCOUNT")};
	record_put(call_txn(c), c->arena, key, LOGS_ROW("Policy"), &(struct state_logs_policy_record){out->resource_policy});
	return CALL_OK;
}

int logs_delete_resource_policy(struct call *c, const struct logs_delete_resource_policy_request *in, struct model_none *out)
{
	struct store_value v;
	struct str key = key_of(c, in->policy_name.n ? in->policy_name : S("-"));
	(void)out;
	if (str_set(in->resource_arn) || str_set(in->expected_revision_id))
		return logs_invalid(c, "Policies of single resources are not supported.");
	if (!in->policy_name.n || !store_get(call_txn(c), key, &v))
		return call_fail(c, "ResourceNotFoundException", 0, "Policy with name [%.*s] does not exist.",
		                 STR_ARG(in->policy_name));
	store_delete(call_txn(c), key);
	return CALL_OK;
}

/* There are ten at most: one page. */
int logs_describe_resource_policies(struct call *c, const struct logs_describe_resource_policies_request *in,
                                    struct logs_describe_resource_policies_response *out)
{
	struct str under = under_all(c), key;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	out->resource_policies.set = true;
	while (!str_set(in->resource_arn) && !str_is(in->policy_scope, "RESOURCE") && store_next(i, &key, &v)) {
		struct state_logs_policy_record r;
		if (record_read(c->arena, v.value, LOGS_ROW("Policy"), &r))
			*LIST_ADD(c->arena, &out->resource_policies) = *r.policy;
	}
	return CALL_OK;
}

/* GetKeyPolicy, PutKeyPolicy, ListKeyPolicies; and what a permission on a key is about. A key has one policy, "default", and it has
 * to allow: the one that a key gets by itself leaves it to IAM's. */
#include "rows.h"

#include "core/policy.h"

enum { POLICY_MAX = 32768 };

struct str kms_policy_default(struct arena *a, struct str account)
{
	return arena_printf(
	        a,
	        "{\n  \"Version\" : \"2012-10-17\",\n  \"Id\" : \"key-default-1\",\n  \"Statement\" : [ {\n"
	        "    \"Sid\" : \"Enable IAM User Permissions\",\n    \"Effect\" : \"Allow\",\n    \"Principal\" : {\n"
	        "      \"AWS\" : \"arn:aws:iam::%.*s:root\"\n    },\n    \"Action\" : \"kms:*\",\n    \"Resource\" : \"*\"\n"
	        "  } ]\n}",
	        STR_ARG(account));
}

static bool no_keys(void *ctx, struct str key, struct str_list *ret)
{
	(void)ctx, (void)key, (void)ret;
	return false;
}

int kms_policy_check(struct call *c, struct str key_arn, struct str text, bool bypass)
{
	struct str why;
	if (text.n > POLICY_MAX)
		return call_fail(c, "LimitExceededException", 0, "The key policy is longer than %d bytes.", POLICY_MAX);
	struct policy *p = policy_parse(text, POLICY_RESOURCE, S("key policy"), c->arena, &why);
	if (!p)
		return call_fail(c, "MalformedPolicyDocumentException", 0, "%.*s", STR_ARG(why));
	const struct policy_request q = {
	        .action = S("kms:PutKeyPolicy"), .resource = key_arn, .who = c->caller, .key = no_keys, .arena = c->arena};
	struct policy_answer answer;
	policy_eval(p, &q, &answer);
	policy_free(p);
	if (bypass || answer.effect == POLICY_ALLOW)
		return CALL_OK;
	return call_fail(c, "MalformedPolicyDocumentException", 0,
	                 "The new key policy will not allow you to update the key policy in the future.");
}

void kms_about(struct call *c, struct authz *az, const struct kms_found *k, const struct str_map *context)
{
	az->resource = k->arn;
	az->resource_account = k->account;
	az->resource_policy = k->r.policy;
	az->policy_must_allow = true;
	az->granted = kms_granted(c, k, az->action, context);
	authz_add(c, az, "kms:CallerAccount", c->caller->account);
	authz_add(c, az, "kms:KeySpec", k->r.spec);
	authz_add(c, az, "kms:KeyUsage", k->r.usage);
	authz_add(c, az, "kms:KeyOrigin", S("AWS_KMS"));
	authz_add(c, az, "kms:MultiRegion", S("false"));
	authz_add(c, az, "kms:RequestAlias", k->alias);
	authz_add_tags(c, az, "aws:ResourceTag", &k->r.tags);
	if (!context || !context->n)
		return;
	for (uint32_t i = 0; i < context->n; i++)
		authz_add(c, az, ARENA_CAT(c->arena, S("kms:EncryptionContext:"), context->v[i].key).p, context->v[i].value);
	authz_add(c, az, "kms:EncryptionContextKeys", context->v[0].key);
	for (uint32_t i = 1; i < context->n; i++)
		*LIST_ADD(c->arena, &az->keys[az->key_count - 1].values) = context->v[i].key;
}

static int check_name(struct call *c, struct str name)
{
	return !str_set(name) || str_is(name, "default") ? CALL_OK : call_fail(c, "NotFoundException", 0, "No such policy exists");
}

int kms_get_key_policy(struct call *c, const struct kms_get_key_policy_request *in, struct kms_get_key_policy_response *out)
{
	struct kms_found k;
	if (kms_find_key(c, in->key_id, &k) != CALL_OK || check_name(c, in->policy_name) != CALL_OK)
		return CALL_FAIL;
	out->policy = k.r.policy;
	out->policy_name = S("default");
	return CALL_OK;
}

int kms_put_key_policy(struct call *c, const struct kms_put_key_policy_request *in, struct model_none *out)
{
	(void)out;
	struct kms_found k;
	if (kms_find_key(c, in->key_id, &k) != CALL_OK || kms_changeable(c, &k) != CALL_OK ||
	    check_name(c, in->policy_name) != CALL_OK ||
	    kms_policy_check(c, k.arn, in->policy, in->bypass_policy_lockout_safety_check.v) != CALL_OK)
		return CALL_FAIL;
	k.r.policy = in->policy;
	kms_save(c, &k);
	return CALL_OK;
}

int kms_list_key_policies(struct call *c, const struct kms_list_key_policies_request *in,
                          struct kms_list_key_policies_response *out)
{
	struct kms_found k;
	if (kms_find_key(c, in->key_id, &k) != CALL_OK)
		return CALL_FAIL;
	*LIST_ADD(c->arena, &out->policy_names) = S("default");
	out->policy_names.set = true;
	out->truncated = OPT_BOOL(false);
	return CALL_OK;
}

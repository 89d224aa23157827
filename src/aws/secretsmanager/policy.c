/* PutResourcePolicy, GetResourcePolicy, DeleteResourcePolicy, ValidateResourcePolicy: who else may do what with a secret. */
#include "rows.h"

#include "core/policy.h"

/* *ret_public: anybody at all may do something. */
static int read_policy(struct call *c, struct str text, bool *ret_public)
{
	struct str why;
	struct policy *p = policy_parse(text, POLICY_RESOURCE, S("resource policy"), c->arena, &why);
	if (!p)
		return call_fail(c, "MalformedPolicyDocumentException", 0, "This resource policy contains a syntax error. %.*s",
		                 STR_ARG(why));
	*ret_public = policy_is_public(p);
	policy_free(p);
	return CALL_OK;
}

int secretsmanager_put_resource_policy(struct call *c, const struct secretsmanager_put_resource_policy_request *in,
                                       struct secretsmanager_put_resource_policy_response *out)
{
	struct secret s;
	bool public;
	if (secret_find(c, in->secret_id, false, &s) != CALL_OK || read_policy(c, in->resource_policy, &public) != CALL_OK)
		return CALL_FAIL;
	if (public && in->block_public_policy.v)
		return call_fail(c, "PublicPolicyException", 0,
		                 "You can't attach a resource-based policy that allows broad access to the secret.");
	s.r.policy = in->resource_policy;
	secret_save(c, &s);
	out->arn = s.arn;
	out->name = s.r.name;
	return CALL_OK;
}

int secretsmanager_get_resource_policy(struct call *c, const struct secretsmanager_get_resource_policy_request *in,
                                       struct secretsmanager_get_resource_policy_response *out)
{
	struct secret s;
	if (secret_find(c, in->secret_id, false, &s) != CALL_OK)
		return CALL_FAIL;
	out->arn = s.arn;
	out->name = s.r.name;
	out->resource_policy = s.r.policy;
	return CALL_OK;
}

int secretsmanager_delete_resource_policy(struct call *c, const struct secretsmanager_delete_resource_policy_request *in,
                                          struct secretsmanager_delete_resource_policy_response *out)
{
	struct secret s;
	if (secret_find(c, in->secret_id, false, &s) != CALL_OK)
		return CALL_FAIL;
	s.r.policy = STR_NONE;
	secret_save(c, &s);
	out->arn = s.arn;
	out->name = s.r.name;
	return CALL_OK;
}

int secretsmanager_validate_resource_policy(struct call *c, const struct secretsmanager_validate_resource_policy_request *in,
                                            struct secretsmanager_validate_resource_policy_response *out)
{
	struct secret s;
	bool public;
	if ((str_set(in->secret_id) && secret_find(c, in->secret_id, false, &s) != CALL_OK) ||
	    read_policy(c, in->resource_policy, &public) != CALL_OK)
		return CALL_FAIL;
	out->policy_validation_passed = OPT_BOOL(!public);
	out->validation_errors.set = true;
	if (public)
		*LIST_ADD(c->arena, &out->validation_errors) = (struct secretsmanager_validation_errors_entry){
		        .check_name = S("ACCESS_POLICY_PUBLIC"),
		        .error_message = S("The policy allows broad access to the secret.")};
	return CALL_OK;
}

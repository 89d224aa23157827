/* Policies of repositories (SetRepositoryPolicy, GetRepositoryPolicy, DeleteRepositoryPolicy) and of the registry
 * (PutRegistryPolicy, GetRegistryPolicy, DeleteRegistryPolicy, DescribeRegistry). access.c asks them. */
#include "aws/ecr/rows.h"

#include "aws/iam/iam.h"
#include "base/json.h"
#include "core/policy.h"

static int bad_policy(struct call *c, struct str why)
{
	return ecr_invalid(
	        c, "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided: %.*s'",
	        STR_ARG(why));
}

static bool principal_exists(void *ctx, struct str type, struct str value)
{
	return !str_is(type, "AWS") || iam_principal_exists(ctx, value);
}

/* ecr:*, "*", or a list of such. */
static bool is_of_ecr(const struct json_value *action)
{
	if (json_is(action, JSON_STRING))
		return str_is(action->text, "*") || str_istarts(action->text, S("ecr:"));
	json_each(action, one) if (!is_of_ecr(one)) return false;
	return json_is(action, JSON_ARRAY);
}

static const char *statement_fault(const struct json_value *s, bool registry)
{
	const struct json_value *action = json_get(s, S("Action")) ? json_get(s, S("Action")) : json_get(s, S("NotAction"));
	bool resource = json_get(s, S("Resource")) || json_get(s, S("NotResource"));
	if (action && !is_of_ecr(action))
		return "an action is none of ecr:";
	if (resource && !registry)
		return "a repository's policy names no resource";
	if (!resource && registry)
		return "a registry's policy names its resources";
	return NULL;
}

int ecr_check_policy(struct call *c, struct str text, bool registry)
{
	struct str why;
	struct policy *p = policy_parse(text, POLICY_RESOURCE, S("repository policy"), c->arena, &why);
	if (!p)
		return bad_policy(c, why);
	bool exist = policy_each_principal(p, principal_exists, c);
	policy_free(p);
	if (!exist)
		return bad_policy(c, S("Principal not found"));
	const struct json_value *v = json_parse(c->arena, text, NULL), *s = json_get(v, S("Statement"));
	const char *fault = json_is(s, JSON_OBJECT) ? statement_fault(s, registry) : NULL;
	for (const struct json_value *one = json_is(s, JSON_ARRAY) ? s->first : NULL; one && !fault; one = one->next)
		fault = statement_fault(one, registry);
	return fault ? bad_policy(c, str_from(fault)) : CALL_OK;
}

int ecr_set_repository_policy(struct call *c, const struct ecr_set_repository_policy_request *in,
                              struct ecr_set_repository_policy_response *out)
{
	struct ecr_place p;
	struct state_ecr_repository_record r;
	if (ecr_get(c, in->registry_id, in->repository_name, &p, &r) != CALL_OK ||
	    ecr_check_policy(c, in->policy_text, false) != CALL_OK)
		return CALL_FAIL;
	r.policy = in->policy_text;
	record_put(call_txn(c), c->arena, ecr_repository_key(c->arena, &p), ECR_ROW("Repository"), &r);
	if (!in->force.v && !ecr_allowed(c, "ecr:SetRepositoryPolicy", &p))
		return bad_policy(c, S("it would keep you from setting another one; use force"));
	out->registry_id = p.account;
	out->repository_name = p.name;
	out->policy_text = r.policy;
	return CALL_OK;
}

static int get_policy(struct call *c, struct str registry_id, struct str name, struct ecr_place *ret_place,
                      struct state_ecr_repository_record *ret)
{
	if (ecr_get(c, registry_id, name, ret_place, ret) != CALL_OK)
		return CALL_FAIL;
	if (str_set(ret->policy))
		return CALL_OK;
	return call_fail(c, "RepositoryPolicyNotFoundException", 0,
	                 "Repository policy does not exist for the repository with name '%.*s' in the registry with id '%.*s'",
	                 STR_ARG(ret_place->name), STR_ARG(ret_place->account));
}

int ecr_get_repository_policy(struct call *c, const struct ecr_get_repository_policy_request *in,
                              struct ecr_get_repository_policy_response *out)
{
	struct ecr_place p;
	struct state_ecr_repository_record r;
	if (get_policy(c, in->registry_id, in->repository_name, &p, &r) != CALL_OK)
		return CALL_FAIL;
	out->registry_id = p.account;
	out->repository_name = p.name;
	out->policy_text = r.policy;
	return CALL_OK;
}

int ecr_delete_repository_policy(struct call *c, const struct ecr_delete_repository_policy_request *in,
                                 struct ecr_delete_repository_policy_response *out)
{
	struct ecr_place p;
	struct state_ecr_repository_record r;
	if (get_policy(c, in->registry_id, in->repository_name, &p, &r) != CALL_OK)
		return CALL_FAIL;
	out->registry_id = p.account;
	out->repository_name = p.name;
	out->policy_text = r.policy;
	r.policy = STR_NONE;
	record_put(call_txn(c), c->arena, ecr_repository_key(c->arena, &p), ECR_ROW("Repository"), &r);
	return CALL_OK;
}

/* --- the registry's */

static bool get_registry(struct call *c, struct state_ecr_registry_record *ret)
{
	*ret = (struct state_ecr_registry_record){0};
	return record_get(call_txn(c), c->arena, ecr_registry_key(c->arena, c->account, c->region), ECR_ROW("Registry"), ret) &&
	       str_set(ret->policy);
}

static int no_registry_policy(struct call *c)
{
	return call_fail(c, "RegistryPolicyNotFoundException", 0, "Registry policy does not exist in the registry with id '%.*s'",
	                 STR_ARG(c->account));
}

int ecr_put_registry_policy(struct call *c, const struct ecr_put_registry_policy_request *in,
                            struct ecr_put_registry_policy_response *out)
{
	struct state_ecr_registry_record r = {.policy = in->policy_text};
	if (ecr_check_policy(c, in->policy_text, true) != CALL_OK)
		return CALL_FAIL;
	record_put(call_txn(c), c->arena, ecr_registry_key(c->arena, c->account, c->region), ECR_ROW("Registry"), &r);
	out->registry_id = c->account;
	out->policy_text = r.policy;
	return CALL_OK;
}

int ecr_get_registry_policy(struct call *c, const struct ecr_get_registry_policy_request *in,
                            struct ecr_get_registry_policy_response *out)
{
	(void)in;
	struct state_ecr_registry_record r;
	if (!get_registry(c, &r))
		return no_registry_policy(c);
	out->registry_id = c->account;
	out->policy_text = r.policy;
	return CALL_OK;
}

int ecr_delete_registry_policy(struct call *c, const struct ecr_delete_registry_policy_request *in,
                               struct ecr_delete_registry_policy_response *out)
{
	(void)in;
	struct state_ecr_registry_record r;
	if (!get_registry(c, &r))
		return no_registry_policy(c);
	store_delete(call_txn(c), ecr_registry_key(c->arena, c->account, c->region));
	out->registry_id = c->account;
	out->policy_text = r.policy;
	return CALL_OK;
}

/* Nothing is replicated: there are no rules. */
int ecr_describe_registry(struct call *c, const struct ecr_describe_registry_request *in,
                          struct ecr_describe_registry_response *out)
{
	(void)in;
	out->registry_id = c->account;
	out->replication_configuration = arena_new(c->arena, struct ecr_replication_configuration);
	out->replication_configuration->rules.set = true;
	return CALL_OK;
}

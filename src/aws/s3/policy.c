#include "aws/s3/bucket.h"

#include "base/json.h"
#include "core/policy.h"

enum { POLICY_MAX_BYTES = 20 * 1024 };

/* --- what S3 checks when a policy is put */

/* Calls fits() for the string or every string of an array; false for anything else. */
static bool all_strings(const struct json_value *v, bool (*fits)(const void *ctx, struct str s), const void *ctx)
{
	if (json_is(v, JSON_STRING))
		return fits(ctx, v->text);
	if (!json_is(v, JSON_ARRAY) || !v->count)
		return false;
	json_each(v, one) if (!json_is(one, JSON_STRING) || !fits(ctx, one->text)) return false;
	return true;
}

static bool is_s3_action(const void *ctx, struct str s)
{
	(void)ctx;
	return str_is(s, "*") || (str_istarts(s, S("s3:")) && s.n > 3);
}

/* The bucket itself or something in it. */
static bool is_own_resource(const void *ctx, struct str s)
{
	const struct str *bucket = ctx;
	if (!str_starts(s, S("arn:aws:s3:::")))
		return false;
	struct str rest = str_from_at(s, 13);
	struct str name = str_cut(&rest, '/');
	return str_glob(name, *bucket, false);
}

static const char *statement_fault(const struct json_value *s, const struct str *bucket)
{
	const struct json_value *action = json_get(s, S("Action")), *resource = json_get(s, S("Resource"));
	if (!action)
		action = json_get(s, S("NotAction"));
	if (!action)
		return "Missing required field Action";
	if (!all_strings(action, is_s3_action, NULL))
		return "Policy has invalid action";
	if (!resource)
		resource = json_get(s, S("NotResource"));
	if (!resource)
		return "Missing required field Resource";
	if (!all_strings(resource, is_own_resource, bucket))
		return "Policy has invalid resource";
	return NULL;
}

/* What is left to check of a document that is a policy: it may speak of this bucket alone. */
static const char *policy_fault(struct arena *a, struct str text, struct str bucket)
{
	const struct json_value *statements = json_get(json_parse(a, text, NULL), S("Statement"));
	if (json_is(statements, JSON_OBJECT))
		return statement_fault(statements, &bucket);
	json_each(statements, s)
	{
		const char *fault = statement_fault(s, &bucket);
		if (fault)
			return fault;
	}
	return NULL;
}

int s3_put_bucket_policy(struct call *c, const struct s3_put_bucket_policy_request *in, struct model_none *out)
{
	(void)out;
	struct state_s3_bucket b;
	if (bucket_change(c, in->bucket, &b) != CALL_OK)
		return CALL_FAIL;
	if (!str_set(in->policy) || str_empty(in->policy))
		return call_fail(c, "MissingRequestBodyError", 400, "Request Body is empty");
	if (in->policy.n > POLICY_MAX_BYTES)
		return call_fail(c, "PolicyTooLarge", 400, "The policy you provided is larger than the maximum allowed size");
	struct str why;
	struct policy *policy = policy_parse(in->policy, POLICY_RESOURCE, S("bucket policy"), c->arena, &why);
	if (!policy)
		return call_fail(c, "MalformedPolicy", 400, "%.*s", STR_ARG(why));
	bool public = policy_is_public(policy);
	policy_free(policy);
	const char *fault = policy_fault(c->arena, in->policy, in->bucket);
	if (fault)
		return call_fail(c, "MalformedPolicy", 400, "%s", fault);
	if (b.public_access_block && b.public_access_block->block_public_policy.v && public)
		return call_fail(
		        c, "AccessDenied", 403,
		        "User: %.*s is not authorized to perform: s3:PutBucketPolicy on resource: \"%.*s\" because public policies are blocked by the BlockPublicPolicy block public access setting.",
		        STR_ARG(c->caller->arn), STR_ARG(s3_bucket_arn(c->arena, in->bucket)));
	b.policy = in->policy;
	bucket_put(c, in->bucket, &b);
	return CALL_OK;
}

int s3_get_bucket_policy(struct call *c, const struct s3_get_bucket_policy_request *in, struct s3_get_bucket_policy_output *out)
{
	struct state_s3_bucket b;
	if (bucket_change(c, in->bucket, &b) != CALL_OK)
		return CALL_FAIL;
	out->policy = b.policy;
	if (str_set(b.policy))
		return CALL_OK;
	s3_fail(c, S3_NO_SUCH_POLICY);
	return call_field(c, "BucketName", in->bucket);
}

int s3_delete_bucket_policy(struct call *c, const struct s3_delete_bucket_policy_request *in, struct model_none *out)
{
	(void)out;
	struct state_s3_bucket b;
	if (bucket_change(c, in->bucket, &b) != CALL_OK)
		return CALL_FAIL;
	b.policy = STR_NONE;
	bucket_put(c, in->bucket, &b);
	return CALL_OK;
}

int s3_get_bucket_policy_status(struct call *c, const struct s3_get_bucket_policy_status_request *in,
                                struct s3_get_bucket_policy_status_output *out)
{
	struct state_s3_bucket b;
	if (bucket_change(c, in->bucket, &b) != CALL_OK)
		return CALL_FAIL;
	if (!str_set(b.policy))
		return s3_fail(c, S3_NO_SUCH_POLICY);
	out->policy_status = arena_new(c->arena, struct s3_policy_status);
	struct str why;
	struct policy *policy = policy_parse(b.policy, POLICY_RESOURCE, S("bucket policy"), c->arena, &why);
	out->policy_status->is_public = OPT_BOOL(policy && policy_is_public(policy));
	policy_free(policy);
	return CALL_OK;
}

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

/* Actions on what is in a bucket; all others are on the bucket, or on no resource that a bucket's policy could name. */
static bool is_of_objects(struct str action)
{
	static const struct str of_bucket[] = {S_INIT("GetBucket"), S_INIT("PutBucket"), S_INIT("DeleteBucket")},
	                        of_objects[] = {S_INIT("AbortMultipartUpload"),
	                                        S_INIT("BypassGovernanceRetention"),
	                                        S_INIT("DeleteObject"),
	                                        S_INIT("GetObject"),
	                                        S_INIT("ListMultipartUploadParts"),
	                                        S_INIT("PutObject"),
	                                        S_INIT("RestoreObject"),
	                                        S_INIT("Replicate"),
	                                        S_INIT("InitiateReplication"),
	                                        S_INIT("ObjectOwnerOverrideToBucketOwner"),
	                                        S_INIT("UpdateObject")};
	for (size_t i = 0; i < sizeof(of_bucket) / sizeof(*of_bucket); i++)
		if (str_istarts(action, of_bucket[i]))
			return false;
	for (size_t i = 0; i < sizeof(of_objects) / sizeof(*of_objects); i++)
		if (str_istarts(action, of_objects[i]))
			return true;
	return false;
}

/* Could the pattern mean an object (or, when not, a bucket)? A star passes the slash, so "bucket*" means both. */
static bool means(struct str resource, bool object)
{
	bool slash = str_find_char(resource, '/') >= 0, wild = str_find_char(resource, '*') >= 0;
	return object ? slash || wild : !slash;
}

static bool some_resource_fits(const struct json_value *resource, bool object)
{
	if (json_is(resource, JSON_STRING))
		return means(str_from_at(resource->text, 13), object);
	json_each(resource, one) if (means(str_from_at(one->text, 13), object)) return true;
	return false;
}

/* Is an action asked for that none of the statement's resources can be the object of? */
static bool action_fits(const void *resource, struct str s)
{
	return str_is(s, "*") || str_find_char(s, '*') >= 0 || str_find_char(s, '?') >= 0 ||
	       some_resource_fits(resource, is_of_objects(str_from_at(s, 3)));
}

static const char *statement_fault(const struct json_value *s, const struct str *bucket)
{
	const struct json_value *action = json_get(s, S("Action")), *resource = json_get(s, S("Resource"));
	const struct json_value *effect = json_get(s, S("Effect"));
	if (!json_is(s, JSON_OBJECT))
		return "Could not parse the policy: Statement is not an object";
	if (!effect)
		return "Missing required field Effect";
	if (!json_is(effect, JSON_STRING) || (!str_is(effect->text, "Allow") && !str_is(effect->text, "Deny")))
		return "Invalid effect";
	if (!json_get(s, S("Principal")) && !json_get(s, S("NotPrincipal")))
		return "Missing required field Principal";
	bool listed = action != NULL;
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
	if (listed && json_get(s, S("Resource")) && !all_strings(action, action_fits, resource))
		return "Action does not apply to any resource(s) in statement";
	return NULL;
}

/* What S3 says to a document before it is read as a policy: it may speak of this bucket alone. */
static const char *policy_fault(struct arena *a, struct str text, struct str bucket)
{
	if (!str_starts(text, S("{")))
		return "Policies must be valid JSON and the first byte must be '{'";
	const struct json_value *document = json_parse(a, text, NULL), *statements = json_get(document, S("Statement")),
	                        *version = json_get(document, S("Version"));
	if (!document)
		return "This policy contains invalid Json";
	if (version &&
	    (!json_is(version, JSON_STRING) || (!str_is(version->text, "2012-10-17") && !str_is(version->text, "2008-10-17"))))
		return "The policy must contain a valid version string";
	if (!statements)
		return "Missing required field Statement";
	if (json_is(statements, JSON_OBJECT))
		return statement_fault(statements, &bucket);
	if (!json_is(statements, JSON_ARRAY) || !statements->count)
		return "Could not parse the policy: Statement is empty!";
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
	const char *fault = policy_fault(c->arena, in->policy, in->bucket);
	if (fault)
		return call_fail(c, "MalformedPolicy", 400, "%s", fault);
	struct str why;
	struct policy *policy = policy_parse(in->policy, POLICY_RESOURCE, S("bucket policy"), c->arena, &why);
	if (!policy)
		return call_fail(c, "MalformedPolicy", 400, "%.*s", STR_ARG(why));
	bool public = policy_is_public(policy);
	policy_free(policy);
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
	return s3_fail_bucket(c, S3_NO_SUCH_POLICY, in->bucket);
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
		return s3_fail_bucket(c, S3_NO_SUCH_POLICY, in->bucket);
	out->policy_status = arena_new(c->arena, struct s3_policy_status);
	struct str why;
	struct policy *policy = policy_parse(b.policy, POLICY_RESOURCE, S("bucket policy"), c->arena, &why);
	out->policy_status->is_public = OPT_BOOL(policy && policy_is_public(policy));
	policy_free(policy);
	return CALL_OK;
}

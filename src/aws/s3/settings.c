#include "aws/s3/acl.h"
#include "aws/s3/bucket.h"
#include "aws/s3/tags.h"

#define LOAD(b) \
	struct state_s3_bucket b; \
	if (bucket_change(c, in->bucket, &b) != CALL_OK) \
	return CALL_FAIL

int s3_get_bucket_versioning(struct call *c, const struct s3_get_bucket_versioning_request *in,
                             struct s3_get_bucket_versioning_output *out)
{
	LOAD(b);
	out->status = b.versioning;
	return CALL_OK;
}

int s3_put_bucket_versioning(struct call *c, const struct s3_put_bucket_versioning_request *in, struct model_none *out)
{
	(void)out;
	LOAD(b);
	struct str status = in->versioning_configuration ? in->versioning_configuration->status : STR_NONE;
	if (!str_is(status, "Enabled") && !str_is(status, "Suspended"))
		return call_fail(c, "IllegalVersioningConfigurationException", 400, "The Versioning element must be specified");
	if (str_is(in->versioning_configuration->mfa_delete, "Enabled"))
		return s3_unsupported(c, "MFA delete");
	b.versioning = status;
	bucket_put(c, in->bucket, &b);
	return CALL_OK;
}

int s3_get_public_access_block(struct call *c, const struct s3_get_public_access_block_request *in,
                               struct s3_get_public_access_block_output *out)
{
	LOAD(b);
	if (!b.public_access_block)
		return s3_fail_bucket(c, S3_NO_SUCH_PUBLIC_ACCESS_BLOCK, in->bucket);
	out->public_access_block_configuration = b.public_access_block;
	return CALL_OK;
}

int s3_put_public_access_block(struct call *c, const struct s3_put_public_access_block_request *in, struct model_none *out)
{
	(void)out;
	LOAD(b);
	if (!in->public_access_block_configuration)
		return s3_fail(c, S3_MALFORMED_XML);
	struct s3_public_access_block_configuration block = *in->public_access_block_configuration;
	struct opt_bool *flags[] = {&block.block_public_acls, &block.ignore_public_acls, &block.block_public_policy,
	                            &block.restrict_public_buckets};
	for (size_t i = 0; i < 4; i++)
		flags[i]->set = true;
	b.public_access_block = &block;
	bucket_put(c, in->bucket, &b);
	return CALL_OK;
}

int s3_delete_public_access_block(struct call *c, const struct s3_delete_public_access_block_request *in, struct model_none *out)
{
	(void)out;
	LOAD(b);
	b.public_access_block = NULL;
	bucket_put(c, in->bucket, &b);
	return CALL_OK;
}

int s3_get_bucket_ownership_controls(struct call *c, const struct s3_get_bucket_ownership_controls_request *in,
                                     struct s3_get_bucket_ownership_controls_output *out)
{
	LOAD(b);
	if (!str_set(b.ownership))
		return s3_fail_bucket(c, S3_NO_SUCH_OWNERSHIP, in->bucket);
	out->ownership_controls = arena_new(c->arena, struct s3_ownership_controls);
	LIST_ADD(c->arena, &out->ownership_controls->rules)->object_ownership = b.ownership;
	return CALL_OK;
}

int s3_put_bucket_ownership_controls(struct call *c, const struct s3_put_bucket_ownership_controls_request *in,
                                     struct model_none *out)
{
	(void)out;
	LOAD(b);
	if (!in->ownership_controls || in->ownership_controls->rules.n != 1)
		return s3_fail(c, S3_MALFORMED_XML);
	struct str rule = in->ownership_controls->rules.v[0].object_ownership;
	if (!str_is(rule, "BucketOwnerEnforced") && !str_is(rule, "BucketOwnerPreferred") && !str_is(rule, "ObjectWriter"))
		return s3_fail(c, S3_MALFORMED_XML);
	if (str_is(rule, "BucketOwnerEnforced") && b.grants.n)
		return call_fail(c, "InvalidBucketAclWithObjectOwnership", 400,
		                 "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting");
	b.ownership = rule;
	bucket_put(c, in->bucket, &b);
	return CALL_OK;
}

int s3_delete_bucket_ownership_controls(struct call *c, const struct s3_delete_bucket_ownership_controls_request *in,
                                        struct model_none *out)
{
	(void)out;
	LOAD(b);
	b.ownership = STR_NONE;
	bucket_put(c, in->bucket, &b);
	return CALL_OK;
}

/* Under S3's own keys ("AES256") objects lie as they are: that is the disk's business. */
int s3_get_bucket_encryption(struct call *c, const struct s3_get_bucket_encryption_request *in,
                             struct s3_get_bucket_encryption_output *out)
{
	LOAD(b);
	out->server_side_encryption_configuration = b.encryption;
	if (b.encryption)
		return CALL_OK;
	struct s3_server_side_encryption_configuration *k = arena_new(c->arena, struct s3_server_side_encryption_configuration);
	struct s3_server_side_encryption_rule *rule = LIST_ADD(c->arena, &k->rules);
	rule->apply_server_side_encryption_by_default = arena_new(c->arena, struct s3_server_side_encryption_by_default);
	rule->apply_server_side_encryption_by_default->sse_algorithm = S("AES256");
	rule->bucket_key_enabled = OPT_BOOL(false);
	out->server_side_encryption_configuration = k;
	return CALL_OK;
}

int s3_put_bucket_encryption(struct call *c, const struct s3_put_bucket_encryption_request *in, struct model_none *out)
{
	(void)out;
	LOAD(b);
	const struct s3_server_side_encryption_configuration *k = in->server_side_encryption_configuration;
	if (!k || k->rules.n != 1)
		return s3_fail(c, S3_MALFORMED_XML);
	const struct s3_server_side_encryption_by_default *by_default = k->rules.v[0].apply_server_side_encryption_by_default;
	bool kms = by_default && str_is(by_default->sse_algorithm, "aws:kms");
	if (by_default && !kms && !str_is(by_default->sse_algorithm, "AES256"))
		return s3_unsupported(c, "encryption in two layers (aws:kms:dsse)");
	if (by_default && !kms && str_set(by_default->kms_master_key_id))
		return s3_bad_argument(
		        c, "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
		        "ApplyServerSideEncryptionByDefault", by_default->sse_algorithm);
	if (k->rules.v[0].blocked_encryption_types)
		return s3_unsupported(c, "blocked encryption types");
	b.encryption = in->server_side_encryption_configuration;
	bucket_put(c, in->bucket, &b);
	return CALL_OK;
}

int s3_delete_bucket_encryption(struct call *c, const struct s3_delete_bucket_encryption_request *in, struct model_none *out)
{
	(void)out;
	LOAD(b);
	b.encryption = NULL;
	bucket_put(c, in->bucket, &b);
	return CALL_OK;
}

int s3_get_bucket_tagging(struct call *c, const struct s3_get_bucket_tagging_request *in, struct s3_get_bucket_tagging_output *out)
{
	LOAD(b);
	if (!b.tags.n)
		return s3_fail_bucket(c, S3_NO_SUCH_TAGS, in->bucket);
	tags_to_set(c->arena, &b.tags, &out->tag_set);
	return CALL_OK;
}

int s3_put_bucket_tagging(struct call *c, const struct s3_put_bucket_tagging_request *in, struct model_none *out)
{
	(void)out;
	LOAD(b);
	if (!in->tagging)
		return s3_fail(c, S3_MALFORMED_XML);
	if (tags_of_set(c, &in->tagging->tag_set, TAGS_OF_BUCKET_MAX, &b.tags) != CALL_OK)
		return CALL_FAIL;
	bucket_put(c, in->bucket, &b);
	return CALL_OK;
}

int s3_delete_bucket_tagging(struct call *c, const struct s3_delete_bucket_tagging_request *in, struct model_none *out)
{
	(void)out;
	LOAD(b);
	b.tags = (struct str_map){0};
	bucket_put(c, in->bucket, &b);
	return CALL_OK;
}

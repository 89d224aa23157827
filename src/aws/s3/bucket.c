#include "aws/s3/bucket.h"

#include "aws/s3/access.h"
#include "aws/s3/acl.h"
#include "aws/s3/tags.h"

enum { BUCKETS_MAX = 10000 };

int bucket_change(struct call *c, struct str name, struct state_s3_bucket *ret)
{
	const struct state_s3_bucket *b = bucket_get(c, name);
	if (!b)
		return s3_fail_bucket(c, S3_NO_SUCH_BUCKET, name);
	*ret = *b;
	return CALL_OK;
}

int s3_bad_location(struct call *c, struct str location)
{
	s3_fail(c, S3_INVALID_LOCATION);
	return call_field(c, "LocationConstraint", location);
}

/* Is the region that CreateBucket names the one that the request was sent to? */
static int check_location(struct call *c, const struct s3_create_bucket_request *in)
{
	const struct s3_create_bucket_configuration *k = in->create_bucket_configuration;
	struct str where = k ? k->location_constraint : STR_NONE;
	if (k && (k->location || k->bucket))
		return s3_unsupported(c, "directory buckets");
	if (!str_set(where) || str_empty(where)) {
		if (str_is(c->region, "us-east-1"))
			return CALL_OK;
		return s3_fail(c, S3_LOCATION_MISMATCH);
	}
	if (str_is(where, "EU"))
		where = S("eu-west-1");
	if (str_is(c->region, "us-east-1") && str_is(where, "us-east-1"))
		return s3_bad_location(c, where);
	if (!str_eq(where, c->region))
		return call_fail(
		        c, "IllegalLocationConstraintException", 400,
		        "The %.*s location constraint is incompatible for the region specific endpoint this request was sent to.",
		        STR_ARG(where));
	return CALL_OK;
}

static bool too_many(struct call *c)
{
	struct str key, under = KEY_UNDER(c->arena, S("s3"), S("owned"), c->account);
	struct store_value value;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	unsigned n = 0;
	while (n < BUCKETS_MAX && store_next(i, &key, &value))
		n++;
	return n == BUCKETS_MAX;
}

int s3_create_bucket(struct call *c, const struct s3_create_bucket_request *in, struct s3_create_bucket_output *out)
{
	if (in->object_lock_enabled_for_bucket.v)
		return s3_unsupported(c, "object lock");
	if (str_is(in->bucket_namespace, "account-regional"))
		return s3_unsupported(c, "bucket names of an account and region");
	if (str_set(in->object_ownership) && !str_is(in->object_ownership, "BucketOwnerEnforced") &&
	    !str_is(in->object_ownership, "BucketOwnerPreferred") && !str_is(in->object_ownership, "ObjectWriter"))
		return s3_bad_argument(
		        c, ARENA_CAT(c->arena, S("Invalid x-amz-object-ownership header: "), in->object_ownership, str_of("", 1)).p,
		        "x-amz-object-ownership", in->object_ownership);
	if (check_location(c, in) != CALL_OK)
		return CALL_FAIL;
	const struct state_s3_bucket *old = bucket_get(c, in->bucket);
	out->location = ARENA_CAT(c->arena, S("/"), in->bucket);
	if (old) {
		call_reply_header(c, S("x-amz-bucket-region"), old->region);
		/* What S3 has always answered in its first region. */
		if (str_eq(old->account, c->account) && str_is(old->region, "us-east-1") && str_is(c->region, "us-east-1"))
			return CALL_OK;
		s3_fail(c, str_eq(old->account, c->account) ? S3_BUCKET_OWNED : S3_BUCKET_EXISTS);
		return call_field(c, "BucketName", in->bucket);
	}
	if (too_many(c))
		return s3_fail(c, S3_TOO_MANY_BUCKETS);
	struct s3_public_access_block_configuration block = {OPT_BOOL(true), OPT_BOOL(true), OPT_BOOL(true), OPT_BOOL(true)};
	struct state_s3_bucket b = {
	        .account = c->account,
	        .region = c->region,
	        .created = s3_now(c),
	        .ownership = str_set(in->object_ownership) ? in->object_ownership : S("BucketOwnerEnforced"),
	        .public_access_block = &block,
	};
	struct acl_request acl = ACL_REQUEST_BUCKET(in);
	if (str_is(acl.canned, "private"))
		acl.canned = STR_NONE;
	if (acl_requested(&acl) && !acl_enabled(&b))
		return call_fail(c, "InvalidBucketAclWithObjectOwnership", 400,
		                 "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting");
	if (acl_grants(c, &b, &acl, c->account, &b.grants) != CALL_OK)
		return CALL_FAIL;
	if (in->create_bucket_configuration &&
	    tags_of_set(c, &in->create_bucket_configuration->tags, TAGS_OF_BUCKET_MAX, &b.tags) != CALL_OK)
		return CALL_FAIL;
	bucket_put(c, in->bucket, &b);
	out->bucket_arn = s3_bucket_arn(c->arena, in->bucket);
	return CALL_OK;
}

/* Does a tree of this bucket hold anything? */
static bool tree_used(struct call *c, const char *what, struct str bucket)
{
	struct tree_walk w;
	struct str name, tail;
	struct store_value value;
	tree_walk(&w, call_txn(c), c->arena, tree_root(c->arena, what, bucket), STR_NONE);
	return tree_next(&w, &name, &tail, &value);
}

int s3_delete_bucket(struct call *c, const struct s3_delete_bucket_request *in, struct model_none *out)
{
	(void)out;
	struct state_s3_bucket b;
	if (bucket_change(c, in->bucket, &b) != CALL_OK)
		return CALL_FAIL;
	if (tree_used(c, "object", in->bucket)) {
		if (bucket_versioning(&b) == VERSIONING_OFF)
			s3_fail(c, S3_BUCKET_NOT_EMPTY);
		else
			call_fail(c, "BucketNotEmpty", 409,
			          "The bucket you tried to delete is not empty. You must delete all versions in the bucket.");
		return call_field(c, "BucketName", in->bucket);
	}
	/* Uploads that were never completed do not keep a bucket; they go with it. */
	struct tree_walk w;
	struct str key, upload_id;
	struct store_value value;
	tree_walk(&w, call_txn(c), c->arena, tree_root(c->arena, "upload", in->bucket), STR_NONE);
	while (tree_next(&w, &key, &upload_id, &value))
		upload_discard(call_txn(c), c->arena, in->bucket, key, upload_id);
	bucket_delete(c, in->bucket, &b);
	return CALL_OK;
}

int s3_head_bucket(struct call *c, const struct s3_head_bucket_request *in, struct s3_head_bucket_output *out)
{
	struct state_s3_bucket b;
	if (bucket_change(c, in->bucket, &b) != CALL_OK)
		return CALL_FAIL;
	out->bucket_region = b.region;
	out->access_point_alias = OPT_BOOL(false);
	out->bucket_arn = s3_bucket_arn(c->arena, in->bucket);
	return CALL_OK;
}

int s3_get_bucket_location(struct call *c, const struct s3_get_bucket_location_request *in,
                           struct s3_get_bucket_location_output *out)
{
	struct state_s3_bucket b;
	if (bucket_change(c, in->bucket, &b) != CALL_OK)
		return CALL_FAIL;
	out->location_constraint = str_is(b.region, "us-east-1") ? S("") : b.region;
	return CALL_OK;
}

int s3_list_buckets(struct call *c, const struct s3_list_buckets_request *in, struct s3_list_buckets_output *out)
{
	static const struct record_type owned_type = {&state_s3_api, "Owned"};
	int64_t max = in->max_buckets.set ? in->max_buckets.v : BUCKETS_MAX;
	if (max < 1 || max > BUCKETS_MAX)
		return s3_bad_argument(c, "The specified value is not valid.", "max-buckets", STR_NONE);
	struct arena *a = c->arena;
	struct str key, under = KEY_UNDER(a, S("s3"), S("owned"), c->account), last = STR_NONE;
	struct store_value value;
	struct str from = str_set(in->continuation_token)
	                          ? KEY(a, S("s3"), S("owned"), c->account, ARENA_CAT(a, in->continuation_token, S("!")))
	                          : under;
	struct store_iter *i = store_scan(call_txn(c), from, store_prefix_end(a, under), false);
	out->owner = arena_new(a, struct s3_owner);
	out->owner->id = s3_canonical_id(a, c->account);
	out->buckets.set = true;
	out->prefix = in->prefix;
	while (store_next(i, &key, &value)) {
		struct str name = arena_dup(a, str_from_at(key, under.n));
		struct state_s3_owned owned = {0};
		if (!record_read(a, value.value, &owned_type, &owned))
			return call_broken(c, "bucket list entry %.*s does not read", STR_ARG(name));
		if ((str_set(in->prefix) && !str_starts(name, in->prefix)) ||
		    (str_set(in->bucket_region) && !str_eq(owned.region, in->bucket_region)))
			continue;
		if (out->buckets.n == (uint32_t)max) {
			out->continuation_token = last;
			break;
		}
		struct s3_bucket *b = LIST_ADD(a, &out->buckets);
		b->name = last = name;
		b->creation_date = owned.created;
		if (in->max_buckets.set || str_set(in->prefix) || str_set(in->bucket_region) || str_set(in->continuation_token))
			b->bucket_region = owned.region;
	}
	return CALL_OK;
}

#include "aws/s3/access.h"

#include "aws/s3/acl.h"

#include <inttypes.h>
#include <stdlib.h>

/* 1 + offset of a member that is a struct str; 0: the input has none. */
static struct {
	uint16_t bucket, key, version_id, owner, prefix, delimiter, max_keys, acl, tagging, storage_class, encryption, kms_key;
} fields[S3_OPS];

static uint16_t find_member(const struct shape *in, const char *name)
{
	for (unsigned i = 0; in && i < in->members; i++) {
		const struct member *m = &s3_api.members[in->first_member + i];
		if (str_is(api_text(&s3_api, m->name), name))
			return (uint16_t)(m->offset + 1);
	}
	return 0;
}

void access_init(void)
{
	for (unsigned i = 0; i < S3_OPS; i++) {
		const struct shape *in = operation_input(&s3_api, &s3_api.operations[i]);
		fields[i].bucket = find_member(in, "Bucket");
		fields[i].key = find_member(in, "Key");
		fields[i].version_id = find_member(in, "VersionId");
		fields[i].owner = find_member(in, "ExpectedBucketOwner");
		fields[i].prefix = find_member(in, "Prefix");
		fields[i].delimiter = find_member(in, "Delimiter");
		fields[i].max_keys = find_member(in, "MaxKeys");
		fields[i].acl = find_member(in, "ACL");
		fields[i].storage_class = find_member(in, "StorageClass");
		fields[i].encryption = find_member(in, "ServerSideEncryption");
		fields[i].kms_key = find_member(in, "SSEKMSKeyId");
	}
}

static struct str text_at(const void *in, uint16_t at)
{
	return at ? *(const struct str *)(const void *)((const char *)in + at - 1) : STR_NONE;
}

struct s3_names s3_input_names(const struct call *c, const void *in)
{
	uint32_t i = api_operation_index(&s3_api, c->op);
	return (struct s3_names){text_at(in, fields[i].bucket), text_at(in, fields[i].key), text_at(in, fields[i].version_id),
	                         text_at(in, fields[i].owner)};
}

static int wrong_region(struct call *c, const struct state_s3_bucket *b)
{
	bool head = c->op && str_is(api_text(&s3_api, c->op->name), "HeadBucket");
	if (head)
		call_fail(
		        c, "PermanentRedirect", 301,
		        "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.");
	else if (str_set(call_query(c, S("X-Amz-Credential"))))
		call_fail(c, "AuthorizationQueryParametersError", 400,
		          "Error parsing the X-Amz-Credential parameter; the region '%.*s' is wrong; expecting '%.*s'",
		          STR_ARG(c->region), STR_ARG(b->region));
	else
		call_fail(c, "AuthorizationHeaderMalformed", 400,
		          "The authorization header is malformed; the region '%.*s' is wrong; expecting '%.*s'", STR_ARG(c->region),
		          STR_ARG(b->region));
	call_reply_header(c, S("x-amz-bucket-region"), b->region);
	return call_field(c, "Region", b->region);
}

const struct state_s3_bucket *s3_bucket_open(struct call *c, struct str bucket, struct str expected_owner)
{
	if (bucket.n < 3 || bucket.n > 63 || str_find_char(bucket, '/') >= 0) {
		s3_fail_bucket(c, S3_INVALID_BUCKET_NAME, bucket);
		return NULL;
	}
	const struct state_s3_bucket *b = bucket_get(c, bucket);
	if (!b) {
		s3_fail_bucket(c, S3_NO_SUCH_BUCKET, bucket);
		return NULL;
	}
	/* Anonymous requests and old signatures name no region; where a bucket is may be asked from anywhere. */
	bool any_region = c->caller->kind == PRINCIPAL_ANONYMOUS || c->region.n == 0 ||
	                  (c->op && str_is(api_text(&s3_api, c->op->name), "GetBucketLocation"));
	if (!any_region && !str_eq(c->region, b->region)) {
		wrong_region(c, b);
		return NULL;
	}
	uint64_t digits;
	if (str_set(expected_owner) && (expected_owner.n != 12 || !str_to_u64(expected_owner, &digits))) {
		call_fail(c, "InvalidBucketOwnerAWSAccountID", 400,
		          "The value of the expected bucket owner parameter must be an AWS account ID");
		return NULL;
	}
	if (str_set(expected_owner) && !str_eq(expected_owner, b->account)) {
		s3_fail(c, S3_ACCESS_DENIED);
		return NULL;
	}
	return b;
}

/* What the bucket (and the object, when its record is given) says about a request. */
static void resource_say(struct call *c, struct authz *az, const struct state_s3_bucket *b, struct str bucket, struct str key,
                         const struct state_s3_object *o)
{
	const struct s3_public_access_block_configuration *block = b->public_access_block;
	az->resource = str_set(key) ? s3_object_arn(c->arena, bucket, key) : s3_bucket_arn(c->arena, bucket);
	az->resource_account = b->account;
	az->resource_policy = acl_with_policy(c->arena, b, bucket, key, o);
	az->policy_public_blocked = block && block->restrict_public_buckets.v;
	if (o && o->tags.n)
		authz_add_tags(c, az, "s3:ExistingObjectTag", &o->tags);
}

/* Does the permission depend on the object that is there: its tags, its ACL? */
static bool action_reads_object(struct str action)
{
	static const struct str words[] = {S_INIT("s3:GetObject"),        S_INIT("s3:DeleteObject"),
	                                   S_INIT("s3:PutObjectTagging"), S_INIT("s3:PutObjectVersionTagging"),
	                                   S_INIT("s3:PutObjectAcl"),     S_INIT("s3:PutObjectVersionAcl")};
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (str_starts(action, words[i]))
			return true;
	return false;
}

static const struct object_found *existing_object(struct call *c, struct str action, struct str bucket, struct str key,
                                                  struct str version_id)
{
	if (!str_set(key) || !action_reads_object(action))
		return NULL;
	struct object_found *f = arena_new(c->arena, struct object_found);
	f->key = key;
	f->there = str_set(version_id) ? object_get_version(call_txn(c), c->arena, bucket, key, version_id, &f->object, &f->tail)
	                               : object_get(call_txn(c), c->arena, bucket, key, &f->object);
	return f;
}

static const struct state_s3_object *object_there(const struct object_found *f)
{
	return f && f->there ? &f->object : NULL;
}

bool s3_may(struct call *c, const char *action, const struct state_s3_bucket *b, struct str bucket, struct str key,
            struct str version_id)
{
	struct authz az = {.action = str_from(action)};
	resource_say(c, &az, b, bucket, key, object_there(existing_object(c, az.action, bucket, key, version_id)));
	authz_add(c, &az, "s3:VersionId", version_id);
	return call_authorize(c, &az);
}

int s3_no_such_key(struct call *c, const struct state_s3_bucket *b, struct str bucket, struct str key)
{
	struct authz az = {.action = S("s3:ListBucket")};
	resource_say(c, &az, b, bucket, STR_NONE, NULL);
	authz_add(c, &az, "s3:prefix", key);
	if (!call_authorize(c, &az))
		return CALL_FAIL;
	s3_fail(c, S3_NO_SUCH_KEY);
	return call_field(c, "Key", key);
}

int s3_bucket_resource(struct call *c, const void *in, struct authz *az)
{
	uint32_t op = api_operation_index(&s3_api, c->op);
	struct s3_names names = s3_input_names(c, in);
	const struct state_s3_bucket *b = s3_bucket_open(c, names.bucket, names.expected_owner);
	if (!b)
		return CALL_FAIL;
	resource_say(c, az, b, names.bucket, STR_NONE, NULL);
	authz_add(c, az, "s3:prefix", text_at(in, fields[op].prefix));
	authz_add(c, az, "s3:delimiter", text_at(in, fields[op].delimiter));
	if (fields[op].max_keys) {
		const struct opt_int *n = (const void *)((const char *)in + fields[op].max_keys - 1);
		if (n->set)
			authz_add(c, az, "s3:max-keys", arena_printf(c->arena, "%" PRId64, n->v));
	}
	authz_add(c, az, "s3:x-amz-acl", text_at(in, fields[op].acl));
	return CALL_OK;
}

/* s3:GetObject on a version is s3:GetObjectVersion, s3:PutObjectTagging s3:PutObjectVersionTagging. */
static struct str versioned_action(struct call *c, struct str action)
{
	ptrdiff_t at = str_find(action, S("Object"));
	if (at < 0)
		return action;
	return ARENA_CAT(c->arena, str_sub(action, 0, (size_t)at + 6), S("Version"), str_from_at(action, (size_t)at + 6));
}

int s3_object_resource(struct call *c, const void *in, struct authz *az)
{
	uint32_t op = api_operation_index(&s3_api, c->op);
	struct s3_names names = s3_input_names(c, in);
	const struct state_s3_bucket *b = s3_bucket_open(c, names.bucket, names.expected_owner);
	if (!b)
		return CALL_FAIL;
	if (names.key.n > S3_KEY_MAX_BYTES) {
		s3_fail(c, S3_KEY_TOO_LONG);
		call_field(c, "Size", arena_printf(c->arena, "%zu", names.key.n));
		return call_field(c, "MaxSizeAllowed", S("1024"));
	}
	if (str_set(names.version_id) && str_empty(names.version_id))
		return s3_bad_argument(c, "Version id cannot be the empty string", "versionId", names.version_id);
	if (str_set(names.version_id) && !s3_version_id_valid(names.version_id))
		return s3_bad_argument(c, "Invalid version id specified", "versionId", names.version_id);
	if (str_set(names.version_id))
		az->action = versioned_action(c, az->action);
	const struct object_found *found = existing_object(c, az->action, names.bucket, names.key, names.version_id);
	resource_say(c, az, b, names.bucket, names.key, object_there(found));
	/* An operation that only reads runs in the same transaction and need not look again. */
	if (c->row->flags & OP_READ)
		c->state = (void *)found;
	authz_add(c, az, "s3:VersionId", names.version_id);
	authz_add(c, az, "s3:x-amz-acl", text_at(in, fields[op].acl));
	authz_add(c, az, "s3:x-amz-storage-class", text_at(in, fields[op].storage_class));
	authz_add(c, az, "s3:x-amz-server-side-encryption", text_at(in, fields[op].encryption));
	authz_add(c, az, "s3:x-amz-server-side-encryption-aws-kms-key-id", text_at(in, fields[op].kms_key));
	return CALL_OK;
}

int s3_new_bucket_resource(struct call *c, const void *in, struct authz *az)
{
	struct s3_names names = s3_input_names(c, in);
	if (!s3_bucket_name_valid(names.bucket))
		return s3_fail_bucket(c, S3_INVALID_BUCKET_NAME, names.bucket);
	az->resource = s3_bucket_arn(c->arena, names.bucket);
	return CALL_OK;
}

#include "aws/s3/access.h"
#include "aws/s3/acl.h"
#include "aws/s3/bucket.h"
#include "aws/s3/content.h"
#include "aws/s3/cors.h"
#include "aws/s3/lifecycle.h"
#include "aws/s3/metrics.h"
#include "aws/s3/notify.h"
#include "aws/s3/object.h"
#include "aws/s3/tags.h"
#include "aws/s3/usage.h"
#include "core/listen.h"

#include "base/id.h"

#include <errno.h>
#include <stdlib.h>

static const struct {
	const char *code;
	unsigned status;
	const char *message;
} errors[] = {
#define S3_ERROR(name, code, status, message) {code, status, message},
#include "aws/s3/errors.def"
#undef S3_ERROR
};

int s3_fail(struct call *c, enum s3_fault error)
{
	return call_fail(c, errors[error].code, errors[error].status, "%s", errors[error].message);
}

int s3_fail_bucket(struct call *c, enum s3_fault error, struct str bucket)
{
	s3_fail(c, error);
	return call_field(c, "BucketName", bucket);
}

struct opt_time s3_now(const struct call *c)
{
	return OPT_TIME(c->now_ms / 1000 * 1000);
}

int s3_bad_argument(struct call *c, const char *message, const char *name, struct str value)
{
	call_fail(c, "InvalidArgument", 400, "%s", message);
	call_field(c, "ArgumentName", str_from(name));
	return call_field(c, "ArgumentValue", value);
}

int s3_unsupported(struct call *c, const char *what)
{
	return call_fail(c, "NotImplemented", 501, "Quartet does not provide %s.", what);
}

struct str s3_quoted(struct arena *a, struct str etag)
{
	return ARENA_CAT(a, S("\""), etag, S("\""));
}

struct s3_state *s3_state(const struct call *c)
{
	return cloud_state(c->cloud, &s3_service);
}

#define BUCKET(c_name, op, act, ...) OP(s3, c_name, op, .action = "s3:" act, .resource = s3_bucket_resource, ##__VA_ARGS__)
#define OBJECT(c_name, op, act, ...) OP(s3, c_name, op, .action = "s3:" act, .resource = s3_object_resource, ##__VA_ARGS__)
#define READ .flags = OP_ANONYMOUS | OP_READ
#define WRITE .flags = OP_ANONYMOUS

static const struct service_op ops[] = {
        OBJECT(abort_multipart_upload, AbortMultipartUpload, "AbortMultipartUpload", WRITE),
        OBJECT(complete_multipart_upload, CompleteMultipartUpload, "PutObject", WRITE),
        OBJECT(copy_object, CopyObject, "PutObject", WRITE),
        OP(s3, create_bucket, CreateBucket, .resource = s3_new_bucket_resource, .missing = "object lock, directory buckets"),
        OBJECT(create_multipart_upload, CreateMultipartUpload, "PutObject", WRITE),
        BUCKET(delete_bucket, DeleteBucket, "DeleteBucket", WRITE),
        BUCKET(delete_bucket_cors, DeleteBucketCors, "PutBucketCORS", WRITE),
        BUCKET(delete_bucket_encryption, DeleteBucketEncryption, "PutEncryptionConfiguration", WRITE),
        BUCKET(delete_bucket_lifecycle, DeleteBucketLifecycle, "PutLifecycleConfiguration", WRITE),
        BUCKET(delete_bucket_metrics_configuration, DeleteBucketMetricsConfiguration, "PutMetricsConfiguration", WRITE),
        BUCKET(delete_bucket_ownership_controls, DeleteBucketOwnershipControls, "PutBucketOwnershipControls", WRITE),
        BUCKET(delete_bucket_policy, DeleteBucketPolicy, "DeleteBucketPolicy", WRITE),
        BUCKET(delete_bucket_tagging, DeleteBucketTagging, "PutBucketTagging", WRITE),
        OBJECT(delete_object, DeleteObject, "DeleteObject", WRITE),
        OBJECT(delete_object_tagging, DeleteObjectTagging, "DeleteObjectTagging", WRITE),
        /* Every key is a permission of its own, asked by the handler. */
        OP(s3, delete_objects, DeleteObjects, .flags = OP_OPEN | OP_ANONYMOUS),
        BUCKET(delete_public_access_block, DeletePublicAccessBlock, "PutBucketPublicAccessBlock", WRITE),
        BUCKET(get_bucket_accelerate_configuration, GetBucketAccelerateConfiguration, "GetAccelerateConfiguration", READ,
               .missing = "acceleration: always off"),
        BUCKET(get_bucket_acl, GetBucketAcl, "GetBucketAcl", READ),
        BUCKET(get_bucket_cors, GetBucketCors, "GetBucketCORS", READ),
        BUCKET(get_bucket_encryption, GetBucketEncryption, "GetEncryptionConfiguration", READ),
        BUCKET(get_bucket_lifecycle_configuration, GetBucketLifecycleConfiguration, "GetLifecycleConfiguration", READ),
        BUCKET(get_bucket_location, GetBucketLocation, "GetBucketLocation", READ),
        BUCKET(get_bucket_logging, GetBucketLogging, "GetBucketLogging", READ, .missing = "logging: always off"),
        BUCKET(get_bucket_metrics_configuration, GetBucketMetricsConfiguration, "GetMetricsConfiguration", READ),
        BUCKET(get_bucket_notification_configuration, GetBucketNotificationConfiguration, "GetBucketNotification", READ),
        BUCKET(get_bucket_ownership_controls, GetBucketOwnershipControls, "GetBucketOwnershipControls", READ),
        BUCKET(get_bucket_policy, GetBucketPolicy, "GetBucketPolicy", READ),
        BUCKET(get_bucket_policy_status, GetBucketPolicyStatus, "GetBucketPolicyStatus", READ),
        BUCKET(get_bucket_replication, GetBucketReplication, "GetReplicationConfiguration", READ,
               .missing = "replication: always none"),
        BUCKET(get_bucket_request_payment, GetBucketRequestPayment, "GetBucketRequestPayment", READ, .missing = "requester pays"),
        BUCKET(get_bucket_tagging, GetBucketTagging, "GetBucketTagging", READ),
        BUCKET(get_bucket_versioning, GetBucketVersioning, "GetBucketVersioning", READ, .missing = "MFA delete"),
        BUCKET(get_bucket_website, GetBucketWebsite, "GetBucketWebsite", READ, .missing = "websites: always none"),
        OBJECT(get_object, GetObject, "GetObject", READ),
        OBJECT(get_object_acl, GetObjectAcl, "GetObjectAcl", READ),
        OBJECT(get_object_attributes, GetObjectAttributes, "GetObjectAttributes", READ),
        BUCKET(get_object_lock_configuration, GetObjectLockConfiguration, "GetBucketObjectLockConfiguration", READ,
               .missing = "object lock: always off"),
        OBJECT(get_object_tagging, GetObjectTagging, "GetObjectTagging", READ),
        BUCKET(get_public_access_block, GetPublicAccessBlock, "GetBucketPublicAccessBlock", READ),
        BUCKET(head_bucket, HeadBucket, "ListBucket", READ),
        OBJECT(head_object, HeadObject, "GetObject", READ),
        BUCKET(list_bucket_metrics_configurations, ListBucketMetricsConfigurations, "GetMetricsConfiguration", READ),
        OP(s3, list_buckets, ListBuckets, .action = "s3:ListAllMyBuckets", .flags = OP_READ),
        BUCKET(list_multipart_uploads, ListMultipartUploads, "ListBucketMultipartUploads", READ),
        BUCKET(list_object_versions, ListObjectVersions, "ListBucketVersions", READ),
        BUCKET(list_objects, ListObjects, "ListBucket", READ),
        BUCKET(list_objects_v2, ListObjectsV2, "ListBucket", READ),
        OBJECT(list_parts, ListParts, "ListMultipartUploadParts", READ),
        BUCKET(put_bucket_acl, PutBucketAcl, "PutBucketAcl", WRITE),
        BUCKET(put_bucket_cors, PutBucketCors, "PutBucketCORS", WRITE),
        BUCKET(put_bucket_encryption, PutBucketEncryption, "PutEncryptionConfiguration", WRITE,
               .missing = "encryption in two layers (aws:kms:dsse)"),
        BUCKET(put_bucket_lifecycle_configuration, PutBucketLifecycleConfiguration, "PutLifecycleConfiguration", WRITE,
               .missing = "transitions"),
        BUCKET(put_bucket_metrics_configuration, PutBucketMetricsConfiguration, "PutMetricsConfiguration", WRITE,
               .missing = "access points"),
        BUCKET(put_bucket_notification_configuration, PutBucketNotificationConfiguration, "PutBucketNotification", WRITE),
        BUCKET(put_bucket_ownership_controls, PutBucketOwnershipControls, "PutBucketOwnershipControls", WRITE),
        BUCKET(put_bucket_policy, PutBucketPolicy, "PutBucketPolicy", WRITE),
        BUCKET(put_bucket_tagging, PutBucketTagging, "PutBucketTagging", WRITE),
        BUCKET(put_bucket_versioning, PutBucketVersioning, "PutBucketVersioning", WRITE, .missing = "MFA delete"),
        OBJECT(put_object, PutObject, "PutObject", WRITE, .missing = "SSE-C, aws:kms:dsse, object lock, appending"),
        OBJECT(put_object_acl, PutObjectAcl, "PutObjectAcl", WRITE),
        OBJECT(put_object_tagging, PutObjectTagging, "PutObjectTagging", WRITE),
        BUCKET(put_public_access_block, PutPublicAccessBlock, "PutBucketPublicAccessBlock", WRITE),
        OBJECT(upload_part, UploadPart, "PutObject", WRITE),
        OBJECT(upload_part_copy, UploadPartCopy, "PutObject", WRITE),
};

static int s3_start(struct cloud *cloud, void **ret_state)
{
	struct s3_state *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->cloud = cloud;
	access_init();
	content_start(s);
	s->lifecycle = lifecycle_start(s);
	s->notifier = notifier_start(s);
	s->usage = usage_start(s);
	*ret_state = s;
	return 0;
}

static void s3_stop(void *state)
{
	struct s3_state *s = state;
	lifecycle_stop(s->lifecycle);
	notifier_stop(s->notifier);
	usage_stop(s->usage);
	content_stop(s);
	bucket_cache_done(s);
	free(s);
}

static struct str s3_address(struct arena *a, struct str host, struct str path)
{
	struct str bucket = s3_bucket_of_host(host);
	return str_set(bucket) ? ARENA_CAT(a, S("/"), s3_small(a, bucket), path) : STR_NONE;
}

/* The elements that S3 puts in every error. */
static void s3_dress_error(struct call *c)
{
	if (str_is(c->error.code, "InternalFailure"))
		c->error.code = S("InternalError");
	/* Who shows no key is not told what he lacks. */
	if (str_is(c->error.code, "AccessDenied") && c->caller && c->caller->kind == PRINCIPAL_ANONYMOUS)
		c->error.message = S("Access Denied");
	if (!c->http)
		return;
	if (str_is(c->error.code, "MethodNotAllowed") && !str_set(str_map_get(&c->error.fields, S("Method")))) {
		struct s3_names_of_path names = s3_request_names(c);
		call_field(c, "Method", listen_method(c->http));
		call_field(c, "ResourceType",
		           str_set(names.key)                        ? S("OBJECT")
		           : str_set(names.bucket) && names.bucket.n ? S("BUCKET")
		                                                     : S("SERVICE"));
	}
	if (str_is(c->error.code, "InvalidURI"))
		call_field(c, "URI", listen_path(c->http));
	else if (!str_set(str_map_get(&c->error.fields, S("BucketName"))) && !str_set(str_map_get(&c->error.fields, S("Key"))))
		call_field(c, "Resource", listen_path(c->http));
}

static void s3_dress_reply(struct call *c)
{
	usage_count_request(c);
	metrics_measure_request(c);
	cors_dress(c);
}

const struct service s3_service = {
        .api = &s3_api,
        .iam_prefix = "s3",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(*ops),
        /* CompleteMultipartUpload names up to 10,000 parts with their checksums, DeleteObjects 1000 keys of up to 1024 bytes, each
           perhaps escaped. */
        .body_limit_bytes = 8 << 20,
        .start = s3_start,
        .stop = s3_stop,
        .intercept = cors_intercept,
        .check = s3_check_input,
        .address = s3_address,
        .dress_error = s3_dress_error,
        .dress_reply = s3_dress_reply,
        .wants_blob = content_wanted,
};

/* Operations on objects, and what they share. */
#pragma once
#include "aws/s3/checksum.h"
#include "aws/s3/content.h"
#include "aws/s3/range.h"

/* A version of an object, found for an operation. */
struct object_at {
	const struct state_s3_bucket *bucket;
	struct state_s3_object object;
	struct str tail; /* absent: it is the current one */
};
/* Finds it; version_id may be absent. Delete markers and missing keys fail in S3's ways. CALL_OK or CALL_FAIL. */
int object_open(struct call *c, struct str bucket, struct str key, struct str version_id, struct object_at *ret);
/* x-amz-version-id: absent in buckets that never had versions. */
struct str object_version_shown(const struct object_at *at);
struct str object_version_made(const struct state_s3_bucket *b, const struct state_s3_object *o);

/* The settings of a new object that PutObject, CopyObject, CreateMultipartUpload and forms take alike. */
struct object_settings {
	struct str content_type, cache_control, content_disposition, content_encoding, content_language, expires, redirect,
	        storage_class, tagging;
	struct str tag_document; /* browser forms give tags as XML */
	struct str sse, sse_customer_algorithm, sse_kms_key_id, sse_context, lock_mode, lock_hold;
	struct opt_bool sse_bucket_key;
	const struct str_map *metadata;
	struct acl_request *acl;
};
#define OBJECT_SETTINGS(in, acl_) \
	((struct object_settings){.content_type = (in)->content_type, \
	                          .cache_control = (in)->cache_control, \
	                          .content_disposition = (in)->content_disposition, \
	                          .content_encoding = (in)->content_encoding, \
	                          .content_language = (in)->content_language, \
	                          .expires = (in)->expires, \
	                          .redirect = (in)->website_redirect_location, \
	                          .storage_class = (in)->storage_class, \
	                          .tagging = (in)->tagging, \
	                          .sse = (in)->server_side_encryption, \
	                          .sse_customer_algorithm = (in)->sse_customer_algorithm, \
	                          .sse_kms_key_id = (in)->ssekms_key_id, \
	                          .sse_context = (in)->ssekms_encryption_context, \
	                          .sse_bucket_key = (in)->bucket_key_enabled, \
	                          .lock_mode = (in)->object_lock_mode, \
	                          .lock_hold = (in)->object_lock_legal_hold_status, \
	                          .metadata = &(in)->metadata, \
	                          .acl = (acl_)})
/* Checks them, asks for the permissions that tags and ACLs need, and fills the record. CALL_OK or CALL_FAIL. */
int object_settle(struct call *c, const struct state_s3_bucket *b, struct str bucket, struct str key,
                  const struct object_settings *k, struct state_s3_object *o);
/* If-Match and If-None-Match of a write against what is there. CALL_OK or CALL_FAIL. */
int object_write_conditions(struct call *c, struct str bucket, struct str key, struct str if_match, struct str if_none_match);
/* x-amz-expiration for this object, or absent. */
struct str object_expiration(struct call *c, const struct state_s3_bucket *b, struct str key, const struct state_s3_object *o);
/* Who owns what the caller writes. */
struct str object_owner(const struct call *c, const struct state_s3_bucket *b);
/* The ETag of a content that came in one piece. */
struct str object_etag(struct arena *a, const unsigned char *md5);

/* CopyObject's and UploadPartCopy's source: found, permitted, and its conditions met. CALL_OK or CALL_FAIL. */
struct object_source {
	struct s3_source name;
	struct object_at at;
};
int object_source_open(struct call *c, struct str copy_source, struct str expected_owner, const struct conditions *k,
                       struct object_source *ret);

/* object_put.c, object_get.c, object_attributes.c, copy.c, delete.c, list.c, list_versions.c */
s3_put_object_handler s3_put_object;
s3_get_object_handler s3_get_object;
s3_head_object_handler s3_head_object;
s3_get_object_attributes_handler s3_get_object_attributes;
s3_copy_object_handler s3_copy_object;
s3_upload_part_copy_handler s3_upload_part_copy;
s3_delete_object_handler s3_delete_object;
s3_delete_objects_handler s3_delete_objects;
s3_list_objects_handler s3_list_objects;
s3_list_objects_v2_handler s3_list_objects_v2;
s3_list_object_versions_handler s3_list_object_versions;
/* multipart.c, multipart_complete.c, multipart_list.c */
s3_create_multipart_upload_handler s3_create_multipart_upload;
s3_upload_part_handler s3_upload_part;
s3_complete_multipart_upload_handler s3_complete_multipart_upload;
s3_abort_multipart_upload_handler s3_abort_multipart_upload;
s3_list_multipart_uploads_handler s3_list_multipart_uploads;
s3_list_parts_handler s3_list_parts;

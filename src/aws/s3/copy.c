#include "aws/s3/access.h"
#include "aws/s3/acl.h"
#include "aws/s3/encryption.h"
#include "aws/s3/transfer.h"

#include <inttypes.h>

#define COPY_MAX_BYTES (5ll << 30)

int object_source_open(struct call *c, struct str copy_source, struct str expected_owner, const struct conditions *k,
                       struct object_source *ret)
{
	struct object_source s;
	if (!s3_source_parse(c->arena, copy_source, &s.name))
		return s3_bad_argument(c, "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
		                       "x-amz-copy-source", copy_source);
	if (str_set(s.name.version_id) && !s3_version_id_valid(s.name.version_id))
		return s3_bad_argument(c, "Invalid version id specified", "x-amz-copy-source", s.name.version_id);
	const struct state_s3_bucket *b = s3_bucket_open(c, s.name.bucket, expected_owner);
	if (!b || !s3_may(c, str_set(s.name.version_id) ? "s3:GetObjectVersion" : "s3:GetObject", b, s.name.bucket, s.name.key,
	                  s.name.version_id))
		return CALL_FAIL;
	if (object_open(c, s.name.bucket, s.name.key, s.name.version_id, &s.at) != CALL_OK) {
		if (str_is(c->error.code, "MethodNotAllowed"))
			return call_fail(
			        c, "InvalidRequest", 400,
			        "The source of a copy request may not specifically refer to a delete marker by version id.");
		return CALL_FAIL;
	}
	const char *failed;
	if (conditions_check(k, s.at.object.e_tag, s.at.object.last_modified.ms, &failed) != CONDITION_MET) {
		s3_fail(c, S3_PRECONDITION_FAILED);
		return call_field(c, "Condition", ARENA_CAT(c->arena, S("x-amz-copy-source-"), str_from(failed)));
	}
	*ret = s;
	return CALL_OK;
}

/* COPY takes the source's settings, REPLACE the request's; both are checked. */
static int settle(struct call *c, const struct s3_copy_object_request *in, const struct object_source *s, struct state_s3_object *o)
{
	const struct state_s3_bucket *b = bucket_get(c, in->bucket);
	struct acl_request acl = ACL_REQUEST_OBJECT(in);
	struct object_settings k = OBJECT_SETTINGS(in, &acl);
	bool replace_tags = str_is(in->tagging_directive, "REPLACE"), replace = str_is(in->metadata_directive, "REPLACE");
	const struct state_s3_object *from = &s->at.object;
	if (str_set(in->metadata_directive) && !replace && !str_is(in->metadata_directive, "COPY"))
		return s3_bad_argument(c, "Unknown metadata directive.", "x-amz-metadata-directive", in->metadata_directive);
	if (str_set(in->tagging_directive) && !replace_tags && !str_is(in->tagging_directive, "COPY"))
		return s3_bad_argument(c, "Unknown tagging directive.", "x-amz-tagging-directive", in->tagging_directive);
	if (!replace_tags)
		k.tagging = STR_NONE;
	if (!b)
		return s3_fail_bucket(c, S3_NO_SUCH_BUCKET, in->bucket);
	if (object_settle(c, b, in->bucket, in->key, &k, o) != CALL_OK)
		return CALL_FAIL;
	if (!replace) {
		o->content_type = from->content_type;
		o->cache_control = from->cache_control;
		o->content_disposition = from->content_disposition;
		o->content_encoding = from->content_encoding;
		o->content_language = from->content_language;
		o->expires = from->expires;
		o->metadata = from->metadata;
	}
	if (!replace_tags && from->tags.n) {
		if (!s3_may(c, "s3:GetObjectTagging", s->at.bucket, s->name.bucket, s->name.key, s->name.version_id) ||
		    !s3_may(c, "s3:PutObjectTagging", b, in->bucket, in->key, STR_NONE))
			return CALL_FAIL;
		o->tags = from->tags;
	}
	bool same = str_eq(in->bucket, s->name.bucket) && str_eq(in->key, s->name.key) && !str_set(s->name.version_id);
	if (same && !replace && !str_set(in->storage_class) && !str_set(in->website_redirect_location) &&
	    !str_set(in->server_side_encryption) && !str_set(in->checksum_algorithm))
		return s3_fail(c, S3_SELF_COPY);
	if (from->size.v > COPY_MAX_BYTES)
		return call_fail(
		        c, "InvalidRequest", 400,
		        "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120");
	return CALL_OK;
}

/* The whole copy as one step: it runs again after the digests that it lacked have been computed. The bytes themselves are not
 * copied, both objects refer to one content; unless one of them is under a key of KMS. */
static int copy_step(struct call *c)
{
	const struct s3_copy_object_request *in = c->in;
	struct s3_copy_object_output *out = c->out;
	struct conditions k = {in->copy_source_if_match, in->copy_source_if_none_match, in->copy_source_if_modified_since,
	                       in->copy_source_if_unmodified_since};
	struct object_source s;
	struct state_s3_object o = {0};
	struct checksum sum = {0};
	struct cipher from_key = {0}, key = {0};
	if (str_set(in->copy_source_sse_customer_algorithm))
		return s3_unsupported(c, "encryption with customer keys (SSE-C)");
	if (object_source_open(c, in->copy_source, in->expected_source_bucket_owner, &k, &s) != CALL_OK ||
	    settle(c, in, &s, &o) != CALL_OK ||
	    object_write_conditions(c, in->bucket, in->key, in->if_match, in->if_none_match) != CALL_OK)
		return CALL_FAIL;
	const struct state_s3_object *from = &s.at.object;
	struct str algorithm = str_set(in->checksum_algorithm) ? in->checksum_algorithm : from->checksum_algorithm;
	if (str_set(algorithm) && !checksum_kind(algorithm, &sum.kind))
		return s3_unsupported(c, "this checksum algorithm");
	sum.set = str_set(algorithm);
	/* What came in parts has an ETag and perhaps a checksum made of its parts'; a copy is one piece. */
	bool digest = from->parts.v || !str_ieq(algorithm, from->checksum_algorithm) || !str_is(from->checksum_type, "FULL_OBJECT");
	bool anew = str_set(from->sealed) || str_set(o.kms_key);
	digest = digest || anew;
	enum content_kind kind = (enum content_kind)from->kind.v;
	if (digest && !transfer_pending(c, from->content)) {
		struct content_pieces pieces;
		if (encryption_open(c, s.name.bucket, s.name.key, from, &from_key) != CALL_OK ||
		    encryption_begin(c, in->bucket, in->key, &o, &key) != CALL_OK)
			return CALL_FAIL;
		content_pieces(call_txn(c), c->arena, kind, from->content, &from_key, 0, (uint64_t)from->size.v, &pieces);
		return transfer_start(c, from->content, &pieces, &sum, anew, &key, copy_step);
	}
	if (digest && transfer_check(c) != CALL_OK)
		return CALL_FAIL;
	if (anew && encryption_seal(c, in->bucket, in->key, transfer_cipher(c), &o) != CALL_OK)
		return CALL_FAIL;
	const struct state_s3_bucket *b = bucket_get(c, in->bucket);
	if (anew)
		transfer_store(c, &kind, &o.content);
	else
		o.content = content_share(call_txn(c), c->arena, kind, from->content);
	o.kind = OPT_INT(kind);
	o.size = from->size;
	o.e_tag = digest ? encryption_etag(c->arena, transfer_md5(c), transfer_cipher(c)) : from->e_tag;
	o.checksum_algorithm = algorithm;
	o.checksum = digest ? transfer_checksum(c) : from->checksum;
	o.checksum_type = S("FULL_OBJECT");
	o.last_modified = s3_now(c);
	object_install(call_txn(c), c->arena, bucket_versioning(b), in->bucket, in->key, &o, c->now_ms);
	object_tell_created(c, b, in->bucket, in->key, &o, "CopyObject");
	out->copy_object_result = arena_new(c->arena, struct s3_copy_object_result);
	out->copy_object_result->e_tag = s3_quoted(c->arena, o.e_tag);
	out->copy_object_result->last_modified = o.last_modified;
	CHECKSUM_SET(out->copy_object_result, o.checksum_algorithm, o.checksum);
	out->copy_object_result->checksum_type = o.checksum_type;
	out->version_id = object_version_made(b, &o);
	out->copy_source_version_id = object_version_shown(&s.at);
	ENCRYPTION_SET(out, &o);
	out->ssekms_encryption_context = in->ssekms_encryption_context;
	out->expiration = object_expiration(c, b, in->key, &o);
	return CALL_OK;
}

int s3_copy_object(struct call *c, const struct s3_copy_object_request *in, struct s3_copy_object_output *out)
{
	(void)in, (void)out;
	return copy_step(c);
}

static int range_of_copy(struct call *c, struct str header, int64_t size, uint64_t *ret_offset, uint64_t *ret_length)
{
	switch (range_parse_exact(header, (uint64_t)size, ret_offset, ret_length)) {
	case RANGE_PART:
		return CALL_OK;
	case RANGE_OUTSIDE:
		return s3_bad_argument(
		        c, arena_printf(c->arena, "Range specified is not valid for source object of size: %" PRId64, size).p,
		        "x-amz-copy-source-range", header);
	default:
		return s3_bad_argument(
		        c,
		        "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
		        "x-amz-copy-source-range", header);
	}
}

static int part_copy_step(struct call *c)
{
	const struct s3_upload_part_copy_request *in = c->in;
	struct s3_upload_part_copy_output *out = c->out;
	struct conditions k = {in->copy_source_if_match, in->copy_source_if_none_match, in->copy_source_if_modified_since,
	                       in->copy_source_if_unmodified_since};
	struct object_source s;
	struct state_s3_upload u;
	struct checksum sum = {0};
	if (str_set(in->copy_source_sse_customer_algorithm) || str_set(in->sse_customer_algorithm))
		return s3_unsupported(c, "encryption with customer keys (SSE-C)");
	if (in->part_number.v < 1 || in->part_number.v > 10000)
		return s3_bad_argument(c, "Part number must be an integer between 1 and 10000, inclusive", "partNumber",
		                       arena_printf(c->arena, "%" PRId64, in->part_number.v));
	if (!upload_get(call_txn(c), c->arena, in->bucket, in->key, in->upload_id, &u)) {
		s3_fail(c, S3_NO_SUCH_UPLOAD);
		return call_field(c, "UploadId", in->upload_id);
	}
	if (object_source_open(c, in->copy_source, in->expected_source_bucket_owner, &k, &s) != CALL_OK)
		return CALL_FAIL;
	const struct state_s3_object *from = &s.at.object;
	uint64_t offset = 0, length = (uint64_t)from->size.v;
	if (str_set(in->copy_source_range) && range_of_copy(c, in->copy_source_range, from->size.v, &offset, &length) != CALL_OK)
		return CALL_FAIL;
	if (length > (uint64_t)COPY_MAX_BYTES)
		return call_fail(
		        c, "InvalidRequest", 400,
		        "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120");
	sum.set = str_set(u.object->checksum_algorithm) && checksum_kind(u.object->checksum_algorithm, &sum.kind);
	if (!transfer_pending(c, from->content)) {
		struct content_pieces pieces;
		struct cipher from_key, key;
		if (encryption_open(c, s.name.bucket, s.name.key, from, &from_key) != CALL_OK ||
		    encryption_open(c, in->bucket, in->key, u.object, &key) != CALL_OK)
			return CALL_FAIL;
		cipher_renew(&key);
		content_pieces(call_txn(c), c->arena, (enum content_kind)from->kind.v, from->content, &from_key, offset, length,
		               &pieces);
		return transfer_start(c, from->content, &pieces, &sum, true, &key, part_copy_step);
	}
	if (transfer_check(c) != CALL_OK)
		return CALL_FAIL;
	struct state_s3_segment part = {.number = in->part_number, .size = OPT_INT((int64_t)length), .last_modified = s3_now(c)},
	                        old;
	if (part_get(call_txn(c), c->arena, in->upload_id, in->part_number.v, &old))
		content_drop(call_txn(c), c->arena, (enum content_kind)old.kind.v, old.content);
	enum content_kind kind;
	transfer_store(c, &kind, &part.content);
	part.kind = OPT_INT(kind);
	part.e_tag = encryption_etag(c->arena, transfer_md5(c), transfer_cipher(c));
	if (transfer_cipher(c)->set)
		part.nonce = cipher_nonce(transfer_cipher(c));
	part.checksum = transfer_checksum(c);
	part_put(call_txn(c), c->arena, in->upload_id, &part);
	out->copy_part_result = arena_new(c->arena, struct s3_copy_part_result);
	out->copy_part_result->e_tag = s3_quoted(c->arena, part.e_tag);
	out->copy_part_result->last_modified = part.last_modified;
	CHECKSUM_SET(out->copy_part_result, u.object->checksum_algorithm, part.checksum);
	out->copy_source_version_id = object_version_shown(&s.at);
	ENCRYPTION_SET(out, u.object);
	return CALL_OK;
}

int s3_upload_part_copy(struct call *c, const struct s3_upload_part_copy_request *in, struct s3_upload_part_copy_output *out)
{
	(void)in, (void)out;
	return part_copy_step(c);
}

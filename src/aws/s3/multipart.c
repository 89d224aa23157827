#include "aws/s3/access.h"
#include "aws/s3/acl.h"
#include "aws/s3/encryption.h"
#include "aws/s3/object.h"
#include "aws/s3/upload.h"
#include "base/id.h"

#include <inttypes.h>

#define PART_MAX_BYTES (5ull << 30)

static int no_such_upload(struct call *c, struct str upload_id)
{
	s3_fail(c, S3_NO_SUCH_UPLOAD);
	return call_field(c, "UploadId", upload_id);
}

int s3_create_multipart_upload(struct call *c, const struct s3_create_multipart_upload_request *in,
                               struct s3_create_multipart_upload_output *out)
{
	const struct state_s3_bucket *b = bucket_get(c, in->bucket);
	if (!b)
		return s3_fail_bucket(c, S3_NO_SUCH_BUCKET, in->bucket);
	struct acl_request acl = ACL_REQUEST_OBJECT(in);
	struct object_settings k = OBJECT_SETTINGS(in, &acl);
	struct state_s3_object o = {0};
	enum hash_kind kind = HASH_CRC64NVME;
	struct cipher e;
	struct str type = in->checksum_type;
	if (object_settle(c, b, in->bucket, in->key, &k, &o) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->checksum_algorithm) && !checksum_kind(in->checksum_algorithm, &kind))
		return s3_unsupported(c, "this checksum algorithm");
	if (str_set(type) && !str_is(type, "COMPOSITE") && !str_is(type, "FULL_OBJECT"))
		return s3_bad_argument(c, "Value for x-amz-checksum-type header is invalid.", "x-amz-checksum-type", type);
	if (str_set(type) && !str_set(in->checksum_algorithm))
		return call_fail(c, "InvalidRequest", 400,
		                 "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.");
	if (!str_set(type))
		type = kind == HASH_CRC64NVME ? S("FULL_OBJECT") : S("COMPOSITE");
	if ((str_is(type, "FULL_OBJECT") && !checksum_is_crc(kind)) || (str_is(type, "COMPOSITE") && kind == HASH_CRC64NVME))
		return call_fail(c, "InvalidRequest", 400, "The %.*s checksum type cannot be used with the %s checksum algorithm.",
		                 STR_ARG(type), checksum_name(kind));
	if (encryption_begin(c, in->bucket, in->key, &o, &e) != CALL_OK ||
	    encryption_seal(c, in->bucket, in->key, &e, &o) != CALL_OK)
		return CALL_FAIL;
	o.checksum_algorithm = str_from(checksum_name(kind));
	o.checksum_type = type;
	struct state_s3_upload u = {
	        /* Begins with the time: uploads of one key are listed as they came. */
	        .upload_id = arena_printf(c->arena, "%012" PRIx64 "%.*s", (uint64_t)c->now_ms, STR_ARG(id_hex(c->arena, 36))),
	        .initiated = s3_now(c),
	        .initiator_id = c->caller->kind == PRINCIPAL_ROOT ? s3_canonical_id(c->arena, c->account) : c->caller->arn,
	        .initiator_name = c->caller->name,
	        .object = &o,
	};
	upload_put(call_txn(c), c->arena, in->bucket, in->key, &u);
	out->bucket = in->bucket;
	out->key = in->key;
	out->upload_id = u.upload_id;
	ENCRYPTION_SET(out, &o);
	out->ssekms_encryption_context = in->ssekms_encryption_context;
	if (str_set(in->checksum_algorithm)) {
		out->checksum_algorithm = o.checksum_algorithm;
		out->checksum_type = o.checksum_type;
	}
	return CALL_OK;
}

static int part_finish(struct call *c)
{
	const struct s3_upload_part_request *in = c->in;
	struct s3_upload_part_output *out = c->out;
	struct state_s3_upload u;
	if (upload_check(c, in->content_md5) != CALL_OK)
		return CALL_FAIL;
	/* The upload may have been completed or aborted meanwhile. */
	if (!upload_get(call_txn(c), c->arena, in->bucket, in->key, in->upload_id, &u))
		return no_such_upload(c, in->upload_id);
	struct state_s3_segment part = {.number = in->part_number,
	                                .size = OPT_INT((int64_t)upload_size(c)),
	                                .last_modified = s3_now(c)},
	                        old;
	if (part_get(call_txn(c), c->arena, in->upload_id, in->part_number.v, &old))
		content_drop(call_txn(c), c->arena, (enum content_kind)old.kind.v, old.content);
	struct str algorithm, value;
	enum content_kind kind;
	upload_store(c, &kind, &part.content);
	upload_checksum(c, &algorithm, &value);
	if (str_eq(algorithm, u.object->checksum_algorithm))
		part.checksum = value;
	part.kind = OPT_INT(kind);
	part.e_tag = encryption_etag(c->arena, upload_md5(c), upload_cipher(c));
	if (upload_cipher(c)->set)
		part.nonce = cipher_nonce(upload_cipher(c));
	part_put(call_txn(c), c->arena, in->upload_id, &part);
	out->e_tag = s3_quoted(c->arena, part.e_tag);
	ENCRYPTION_SET(out, u.object);
	CHECKSUM_SET(out, algorithm, value);
	return CALL_OK;
}

int s3_upload_part(struct call *c, const struct s3_upload_part_request *in, struct s3_upload_part_output *out)
{
	(void)out;
	struct state_s3_upload u;
	struct checksum k;
	struct cipher e;
	enum hash_kind kind;
	if (encryption_no_customer_key(c, in->sse_customer_algorithm) != CALL_OK)
		return CALL_FAIL;
	if (in->part_number.v < 1 || in->part_number.v > 10000)
		return s3_bad_argument(c, "Part number must be an integer between 1 and 10000, inclusive", "partNumber",
		                       arena_printf(c->arena, "%" PRId64, in->part_number.v));
	if (!upload_get(call_txn(c), c->arena, in->bucket, in->key, in->upload_id, &u))
		return no_such_upload(c, in->upload_id);
	if (checksum_requested(c, CHECKSUM_OF(in), in->checksum_algorithm, &k) != CALL_OK)
		return CALL_FAIL;
	if (!checksum_kind(u.object->checksum_algorithm, &kind))
		return call_broken(c, "upload without a checksum algorithm");
	/* An upload that asked for none takes parts with any, checks them, and keeps its own. What is made of the parts' own
	 * checksums wants them from the client. */
	bool lacks = !k.set && str_is(u.object->checksum_type, "COMPOSITE");
	if (lacks || (k.set && k.kind != kind && kind != HASH_CRC64NVME))
		return call_fail(c, "InvalidRequest", 400,
		                 "Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s",
		                 s3_small(c->arena, u.object->checksum_algorithm).p,
		                 lacks ? "null" : s3_small(c->arena, str_from(checksum_name(k.kind))).p);
	if (!k.set) {
		k.set = true;
		k.kind = kind;
	}
	uint64_t length;
	if (upload_length(c, &length) != CALL_OK)
		return CALL_FAIL;
	if (length > PART_MAX_BYTES)
		return s3_fail(c, S3_ENTITY_TOO_LARGE);
	if (encryption_open(c, in->bucket, in->key, u.object, &e) != CALL_OK)
		return CALL_FAIL;
	cipher_renew(&e);
	return upload_receive(c, &k, &e, PART_MAX_BYTES, part_finish);
}

int s3_abort_multipart_upload(struct call *c, const struct s3_abort_multipart_upload_request *in,
                              struct s3_abort_multipart_upload_output *out)
{
	(void)out;
	struct state_s3_upload u;
	if (!upload_get(call_txn(c), c->arena, in->bucket, in->key, in->upload_id, &u))
		return no_such_upload(c, in->upload_id);
	if (in->if_match_initiated_time.set && in->if_match_initiated_time.ms / 1000 != u.initiated.ms / 1000)
		return s3_fail(c, S3_PRECONDITION_FAILED);
	upload_discard(call_txn(c), c->arena, in->bucket, in->key, in->upload_id);
	return CALL_OK;
}

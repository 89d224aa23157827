#include "aws/s3/access.h"
#include "aws/s3/acl.h"
#include "aws/s3/encryption.h"
#include "aws/s3/object.h"
#include "aws/s3/upload.h"

#define PUT_MAX_BYTES (5ull << 30)

/* The record of a PutObject, without what only the body tells; *ret_bucket is where it goes. */
static int settle(struct call *c, const struct s3_put_object_request *in, struct state_s3_object *o,
                  const struct state_s3_bucket **ret_bucket)
{
	struct acl_request acl = ACL_REQUEST_OBJECT(in);
	struct object_settings k = OBJECT_SETTINGS(in, &acl);
	const struct state_s3_bucket *b = *ret_bucket = bucket_get(c, in->bucket);
	if (!b)
		return s3_fail_bucket(c, S3_NO_SUCH_BUCKET, in->bucket);
	return object_settle(c, b, in->bucket, in->key, &k, o);
}

/* The body is there: the object, in one transaction with its bucket as it is now. */
static int put_finish(struct call *c)
{
	const struct s3_put_object_request *in = c->in;
	struct s3_put_object_output *out = c->out;
	const struct state_s3_bucket *b;
	struct state_s3_object o = {0};
	if (upload_check(c, in->content_md5) != CALL_OK || settle(c, in, &o, &b) != CALL_OK ||
	    object_write_conditions(c, in->bucket, in->key, in->if_match, in->if_none_match) != CALL_OK ||
	    encryption_seal(c, in->bucket, in->key, upload_cipher(c), &o) != CALL_OK)
		return CALL_FAIL;
	enum content_kind kind;
	upload_store(c, &kind, &o.content);
	upload_checksum(c, &o.checksum_algorithm, &o.checksum);
	o.kind = OPT_INT(kind);
	o.size = OPT_INT((int64_t)upload_size(c));
	o.e_tag = encryption_etag(c->arena, upload_md5(c), upload_cipher(c));
	o.last_modified = s3_now(c);
	o.checksum_type = S("FULL_OBJECT");
	object_install(call_txn(c), c->arena, bucket_versioning(b), in->bucket, in->key, &o, c->now_ms);
	object_tell_created(c, b, in->bucket, in->key, &o, "PutObject");
	out->e_tag = s3_quoted(c->arena, o.e_tag);
	out->version_id = object_version_made(b, &o);
	ENCRYPTION_SET(out, &o);
	out->ssekms_encryption_context = in->ssekms_encryption_context;
	out->expiration = object_expiration(c, b, in->key, &o);
	CHECKSUM_SET(out, o.checksum_algorithm, o.checksum);
	out->checksum_type = o.checksum_type;
	return CALL_OK;
}

int s3_put_object(struct call *c, const struct s3_put_object_request *in, struct s3_put_object_output *out)
{
	(void)out;
	const struct state_s3_bucket *b;
	struct state_s3_object o = {0};
	struct checksum k;
	struct cipher e;
	if (in->write_offset_bytes.set)
		return s3_unsupported(c, "appending to objects");
	/* Half of what makes a part: nobody wants that to become the object. */
	static const char *const of_parts[] = {"uploadId", "partNumber"};
	for (size_t i = 0; i < sizeof(of_parts) / sizeof(*of_parts); i++)
		if (str_set(call_query(c, str_from(of_parts[i]))))
			return s3_bad_argument(c, "This operation does not accept a query-string.", of_parts[i],
			                       call_query(c, str_from(of_parts[i])));
	/* Everything that can be refused is refused before the client sends its body. */
	if (settle(c, in, &o, &b) != CALL_OK || checksum_requested(c, CHECKSUM_OF(in), in->checksum_algorithm, &k) != CALL_OK ||
	    encryption_begin(c, in->bucket, in->key, &o, &e) != CALL_OK)
		return CALL_FAIL;
	uint64_t length;
	if (upload_length(c, &length) != CALL_OK)
		return CALL_FAIL;
	if (length > PUT_MAX_BYTES) {
		s3_fail(c, S3_ENTITY_TOO_LARGE);
		return call_field(c, "MaxSizeAllowed", S("5368709120"));
	}
	if (!k.set) {
		k.set = true;
		k.kind = HASH_CRC64NVME;
	}
	return upload_receive(c, &k, &e, PUT_MAX_BYTES, put_finish);
}

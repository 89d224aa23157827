#include "aws/s3/access.h"
#include "aws/s3/object.h"

enum { DELETE_MAX_KEYS = 1000 };

/* If-Match and its like on a delete: the size and time of what is there count too. */
static int check_delete_conditions(struct call *c, struct str bucket, struct str key, struct str if_match, struct opt_time modified,
                                   struct opt_int size)
{
	struct state_s3_object o;
	if (!str_set(if_match) && !modified.set && !size.set)
		return CALL_OK;
	bool found = object_get(call_txn(c), c->arena, bucket, key, &o) && !o.delete_marker.v;
	if (!found)
		return str_set(if_match) ? s3_fail(c, S3_PRECONDITION_FAILED) : CALL_OK;
	if ((str_set(if_match) && !etag_matches(if_match, o.e_tag)) ||
	    (modified.set && modified.ms / 1000 != o.last_modified.ms / 1000) || (size.set && size.v != o.size.v)) {
		s3_fail(c, S3_PRECONDITION_FAILED);
		return call_field(c, "Condition", S("If-Match"));
	}
	return CALL_OK;
}

static void remove_one(struct call *c, const struct state_s3_bucket *b, struct str bucket, struct str key, struct str version_id,
                       struct object_removal *ret)
{
	if (str_set(version_id))
		object_remove_version(call_txn(c), c->arena, bucket, key, version_id, ret);
	else
		object_remove(call_txn(c), c->arena, bucket_versioning(b), bucket, key, object_owner(c, b), c->now_ms, ret);
	object_tell_removed(c, b, bucket, key, ret, str_set(version_id));
}

int s3_delete_object(struct call *c, const struct s3_delete_object_request *in, struct s3_delete_object_output *out)
{
	const struct state_s3_bucket *b = bucket_get(c, in->bucket);
	if (!b)
		return s3_fail_bucket(c, S3_NO_SUCH_BUCKET, in->bucket);
	if (str_set(in->mfa))
		return s3_unsupported(c, "MFA delete");
	if (check_delete_conditions(c, in->bucket, in->key, in->if_match, in->if_match_last_modified_time, in->if_match_size) !=
	    CALL_OK)
		return CALL_FAIL;
	struct object_removal gone;
	remove_one(c, b, in->bucket, in->key, in->version_id, &gone);
	out->version_id = gone.version_id;
	if (gone.marker)
		out->delete_marker = OPT_BOOL(true);
	return CALL_OK;
}

static void add_error(struct call *c, struct s3_delete_objects_output *out, const struct s3_object_identifier *which,
                      struct str code, struct str message)
{
	*LIST_ADD(c->arena, &out->errors) =
	        (struct s3_error){.key = which->key, .version_id = which->version_id, .code = code, .message = message};
	c->error = (struct call_error){0};
}

/* The digest of the body has been checked before decoding; that there is one is checked here. */
static bool has_digest(struct call *c)
{
	static const char *const names[] = {
	        "content-md5",         "x-amz-checksum-crc32",  "x-amz-checksum-crc32c", "x-amz-checksum-crc64nvme",
	        "x-amz-checksum-sha1", "x-amz-checksum-sha256", "x-amz-checksum-sha512", "x-amz-checksum-md5",
	        "x-amz-trailer"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (str_set(call_header(c, str_from(names[i]))))
			return true;
	return !c->http;
}

int s3_delete_objects(struct call *c, const struct s3_delete_objects_request *in, struct s3_delete_objects_output *out)
{
	const struct state_s3_bucket *b = s3_bucket_open(c, in->bucket, in->expected_bucket_owner);
	if (!b)
		return CALL_FAIL;
	if (!has_digest(c))
		return s3_fail(c, S3_MISSING_MD5);
	if (!in->delete || !in->delete->objects.n || in->delete->objects.n > DELETE_MAX_KEYS)
		return s3_fail(c, S3_MALFORMED_XML);
	if (str_set(in->mfa))
		return s3_unsupported(c, "MFA delete");
	bool quiet = in->delete->quiet.v;
	for (unsigned i = 0; i < in->delete->objects.n; i++) {
		const struct s3_object_identifier *which = &in->delete->objects.v[i];
		struct str version = str_empty(which->version_id) ? STR_NONE : which->version_id;
		if (!which->key.n)
			return s3_fail(c, S3_MALFORMED_XML);
		if (which->key.n > S3_KEY_MAX_BYTES) {
			add_error(c, out, which, S("KeyTooLongError"), S("Your key is too long"));
			continue;
		}
		if (str_set(version) && !s3_version_id_valid(version)) {
			add_error(c, out, which, S("NoSuchVersion"), S("The specified version does not exist."));
			continue;
		}
		if (!s3_may(c, str_set(version) ? "s3:DeleteObjectVersion" : "s3:DeleteObject", b, in->bucket, which->key,
		            version) ||
		    check_delete_conditions(c, in->bucket, which->key, which->e_tag, which->last_modified_time, which->size) !=
		            CALL_OK) {
			add_error(c, out, which, c->error.code, c->error.message);
			continue;
		}
		struct object_removal gone;
		remove_one(c, b, in->bucket, which->key, version, &gone);
		if (quiet)
			continue;
		struct s3_deleted_object *d = LIST_ADD(c->arena, &out->deleted);
		d->key = which->key;
		d->version_id = version;
		if (gone.marker) {
			d->delete_marker = OPT_BOOL(true);
			d->delete_marker_version_id = gone.version_id;
		}
	}
	return CALL_OK;
}

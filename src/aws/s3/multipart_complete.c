/* Completing an upload copies nothing: the parts that the client names become the segments of the object's content, in order, and
 * the others are dropped, all in the one transaction that makes the object. */
#include "aws/s3/encryption.h"
#include "aws/s3/transfer.h"

#include <inttypes.h>

enum { PART_MIN_BYTES = 5 * 1024 * 1024, PARTS_MAX = 10000 };
#define OBJECT_MAX_BYTES (50ll << 40)

static int bad_part(struct call *c, enum s3_fault error, struct str upload_id, int64_t number, struct str etag)
{
	s3_fail(c, error);
	call_field(c, "UploadId", upload_id);
	call_field(c, "PartNumber", arena_printf(c->arena, "%" PRId64, number));
	return call_field(c, "ETag", etag);
}

/* Finds the named parts and takes their segments, checking numbers, ETags, checksums and sizes. */
static int take_parts(struct call *c, const struct s3_complete_multipart_upload_request *in, const struct state_s3_upload *u,
                      struct state_s3_segments *ret, int64_t *ret_size)
{
	const struct s3_completed_part_list *list = &in->multipart_upload->parts;
	int64_t last = 0, size = 0;
	for (unsigned i = 0; i < list->n; i++) {
		if (list->v[i].part_number.v <= last) {
			s3_fail(c, S3_INVALID_PART_ORDER);
			return call_field(c, "UploadId", in->upload_id);
		}
		last = list->v[i].part_number.v;
	}
	for (unsigned i = 0; i < list->n; i++) {
		const struct s3_completed_part *named = &list->v[i];
		struct state_s3_segment part;
		if (!named->part_number.set || !str_set(named->e_tag))
			return s3_fail(c, S3_MALFORMED_XML);
		last = named->part_number.v;
		if (!part_get(call_txn(c), c->arena, in->upload_id, last, &part) || !etag_matches(named->e_tag, part.e_tag))
			return bad_part(c, S3_INVALID_PART, in->upload_id, last, named->e_tag);
		struct str sum = checksum_member(CHECKSUM_OF(named), u->object->checksum_algorithm);
		if (!str_set(sum) && str_is(u->object->checksum_type, "COMPOSITE"))
			return call_fail(
			        c, "InvalidRequest", 400,
			        "The upload was created using a %s checksum. The complete request must include the checksum for each part. It was missing for part %" PRId64
			        " in the request.",
			        s3_small(c->arena, u->object->checksum_algorithm).p, last);
		if (str_set(sum) && str_set(part.checksum) && !str_eq(sum, part.checksum))
			return bad_part(c, S3_INVALID_PART, in->upload_id, last, named->e_tag);
		if (i + 1 < list->n && part.size.v < PART_MIN_BYTES) {
			bad_part(c, S3_ENTITY_TOO_SMALL, in->upload_id, last, named->e_tag);
			call_field(c, "ProposedSize", arena_printf(c->arena, "%" PRId64, part.size.v));
			return call_field(c, "MinSizeAllowed", S("5242880"));
		}
		size += part.size.v;
		*LIST_ADD(c->arena, ret) = part;
	}
	if (size > OBJECT_MAX_BYTES)
		return s3_fail(c, S3_ENTITY_TOO_LARGE);
	*ret_size = size;
	return CALL_OK;
}

/* The ETag and checksum of the whole from those of the parts. */
static int sum_up(struct call *c, const struct s3_complete_multipart_upload_request *in, const struct state_s3_segments *parts,
                  struct state_s3_object *o)
{
	struct arena *a = c->arena;
	struct hash md5;
	unsigned char digest[HASH_MAX_BYTES];
	struct str *sums = arena_array(a, parts->n, sizeof(*sums));
	uint64_t *sizes = arena_array(a, parts->n, sizeof(*sizes));
	hash_init(&md5, HASH_MD5);
	for (unsigned i = 0; i < parts->n; i++) {
		if (!hex_decode(parts->v[i].e_tag, digest, 16))
			return call_broken(c, "part without a digest");
		hash_add(&md5, digest, 16);
		sums[i] = parts->v[i].checksum;
		sizes[i] = (uint64_t)parts->v[i].size.v;
	}
	hash_end(&md5, digest);
	o->e_tag = arena_printf(a, "%.*s-%u", STR_ARG(object_etag(a, digest)), parts->n);
	enum hash_kind kind;
	struct str algorithm = o->checksum_algorithm, expected = checksum_member(CHECKSUM_OF(in), algorithm);
	if (!checksum_kind(algorithm, &kind))
		return call_broken(c, "upload without a checksum algorithm");
	if (str_set(in->checksum_type) && !str_eq(in->checksum_type, o->checksum_type))
		return call_fail(
		        c, "InvalidRequest", 400,
		        "The upload was created using the %.*s checksum mode. The complete request must use the same checksum mode.",
		        STR_ARG(o->checksum_type));
	o->checksum = str_is(o->checksum_type, "COMPOSITE") ? checksum_composite(a, kind, sums, parts->n)
	                                                    : checksum_full(a, kind, sums, sizes, parts->n);
	if (!str_set(o->checksum)) {
		o->checksum_algorithm = o->checksum_type = STR_NONE;
		return CALL_OK;
	}
	/* A client may name a composite value with or without its number of parts. */
	struct str bare = o->checksum;
	bare = str_cut(&bare, '-');
	if (str_set(expected) && !str_eq(expected, o->checksum) && !str_eq(expected, bare))
		return call_fail(c, "BadDigest", 400, "The %.*s you specified did not match the calculated checksum.",
		                 STR_ARG(algorithm));
	return CALL_OK;
}

/* A client that did not hear the answer asks again: the object that the upload made answers for it. */
static bool already_done(struct call *c, const struct s3_complete_multipart_upload_request *in, const struct state_s3_bucket *b,
                         struct s3_complete_multipart_upload_output *out)
{
	struct state_s3_object o;
	if (!object_get(call_txn(c), c->arena, in->bucket, in->key, &o) || !str_eq(o.upload_id, in->upload_id))
		return false;
	out->e_tag = s3_quoted(c->arena, o.e_tag);
	out->version_id = object_version_made(b, &o);
	ENCRYPTION_SET(out, &o);
	CHECKSUM_SET(out, o.checksum_algorithm, o.checksum);
	out->checksum_type = o.checksum_type;
	return true;
}

int s3_complete_multipart_upload(struct call *c, const struct s3_complete_multipart_upload_request *in,
                                 struct s3_complete_multipart_upload_output *out)
{
	struct arena *a = c->arena;
	struct store_txn *t = call_txn(c);
	struct state_s3_upload u;
	const struct state_s3_bucket *b = bucket_get(c, in->bucket);
	if (!b)
		return s3_fail_bucket(c, S3_NO_SUCH_BUCKET, in->bucket);
	out->bucket = in->bucket;
	out->key = in->key;
	out->location = ARENA_CAT(a, str_from(c->cloud->endpoint), S("/"), in->bucket, S("/"), in->key);
	if (!upload_get(t, a, in->bucket, in->key, in->upload_id, &u)) {
		if (already_done(c, in, b, out))
			return CALL_OK;
		s3_fail(c, S3_NO_SUCH_UPLOAD);
		return call_field(c, "UploadId", in->upload_id);
	}
	if (!in->multipart_upload)
		return call_fail(c, "InvalidRequest", 400, "You must specify at least one part");
	if (!in->multipart_upload->parts.n || in->multipart_upload->parts.n > PARTS_MAX)
		return s3_fail(c, S3_MALFORMED_XML);
	struct state_s3_segments parts = {0};
	struct state_s3_object o = *u.object;
	int64_t size = 0;
	if (object_write_conditions(c, in->bucket, in->key, in->if_match, in->if_none_match) != CALL_OK ||
	    take_parts(c, in, &u, &parts, &size) != CALL_OK || sum_up(c, in, &parts, &o) != CALL_OK)
		return CALL_FAIL;
	if (in->mpu_object_size.set && in->mpu_object_size.v != size)
		return call_fail(c, "InvalidRequest", 400,
		                 "The provided 'x-amz-mp-object-size' header value does not match the size of the object: %" PRId64,
		                 size);
	/* What the client left out goes; what it named now belongs to the object. */
	struct part_walk w;
	struct state_s3_segment part;
	unsigned next = 0;
	part_walk(&w, t, a, in->upload_id, 0);
	while (part_next(&w, &part)) {
		if (next < parts.n && parts.v[next].number.v == part.number.v)
			next++;
		else
			content_drop(t, a, (enum content_kind)part.kind.v, part.content);
		part_delete(t, a, in->upload_id, part.number.v);
	}
	upload_delete(t, a, in->bucket, in->key, in->upload_id);
	o.upload_id = in->upload_id;
	o.kind = OPT_INT(CONTENT_CHAIN);
	o.content = content_add_chain(t, a, &parts);
	o.parts = OPT_INT(parts.n);
	o.size = OPT_INT(size);
	o.last_modified = s3_now(c);
	object_install(t, a, bucket_versioning(b), in->bucket, in->key, &o, c->now_ms);
	object_tell_created(c, b, in->bucket, in->key, &o, "CompleteMultipartUpload");
	out->e_tag = s3_quoted(a, o.e_tag);
	ENCRYPTION_SET(out, &o);
	out->version_id = object_version_made(b, &o);
	out->expiration = object_expiration(c, b, in->key, &o);
	CHECKSUM_SET(out, o.checksum_algorithm, o.checksum);
	out->checksum_type = o.checksum_type;
	return CALL_OK;
}

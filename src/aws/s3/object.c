#include "aws/s3/object.h"

#include "aws/s3/access.h"
#include "aws/s3/acl.h"
#include "aws/s3/encryption.h"
#include "aws/s3/lifecycle.h"
#include "aws/s3/tags.h"

enum { METADATA_MAX_BYTES = 2048 };

struct str object_version_made(const struct state_s3_bucket *b, const struct state_s3_object *o)
{
	return bucket_versioning(b) == VERSIONING_OFF ? STR_NONE : o->version_id;
}

struct str object_version_shown(const struct object_at *at)
{
	return object_version_made(at->bucket, &at->object);
}

int object_open(struct call *c, struct str bucket, struct str key, struct str version_id, struct object_at *ret)
{
	struct object_at at = {.bucket = bucket_get(c, bucket), .tail = STR_NONE};
	if (!at.bucket)
		return s3_fail_bucket(c, S3_NO_SUCH_BUCKET, bucket);
	const struct object_found *known = c->row && (c->row->flags & OP_READ) ? c->state : NULL;
	bool found;
	if (known && known->key.p == key.p) {
		found = known->there;
		at.object = known->object;
		at.tail = known->tail;
	} else {
		found = str_set(version_id)
		                ? object_get_version(call_txn(c), c->arena, bucket, key, version_id, &at.object, &at.tail)
		                : object_get(call_txn(c), c->arena, bucket, key, &at.object);
	}
	if (!found && str_set(version_id)) {
		if (s3_no_such_key(c, at.bucket, bucket, key) == CALL_FAIL && !str_is(c->error.code, "NoSuchKey"))
			return CALL_FAIL;
		s3_fail(c, S3_NO_SUCH_VERSION);
		call_field(c, "Key", key);
		return call_field(c, "VersionId", version_id);
	}
	if (!found)
		return s3_no_such_key(c, at.bucket, bucket, key);
	if (at.object.delete_marker.v) {
		if (str_set(version_id)) {
			s3_fail(c, S3_METHOD_NOT_ALLOWED);
			call_field(c, "Method", S("GET"));
			call_field(c, "ResourceType", S("DeleteMarker"));
			call_reply_header(c, S("allow"), S("DELETE"));
		} else {
			s3_no_such_key(c, at.bucket, bucket, key);
		}
		call_reply_header(c, S("x-amz-delete-marker"), S("true"));
		call_reply_header(c, S("x-amz-version-id"), at.object.version_id);
		return CALL_FAIL;
	}
	*ret = at;
	return CALL_OK;
}

static int check_storage_class(struct call *c, struct str class)
{
	/* Classes cost differently on AWS and are labels here, but those that need a restore before reading would be a promise. */
	static const char *const known[] = {"STANDARD",   "REDUCED_REDUNDANCY",  "STANDARD_IA",
	                                    "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"};
	if (!str_set(class))
		return CALL_OK;
	if (str_is(class, "GLACIER") || str_is(class, "DEEP_ARCHIVE"))
		return s3_unsupported(c, "archive storage classes");
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (str_is(class, known[i]))
			return CALL_OK;
	s3_fail(c, S3_INVALID_STORAGE_CLASS);
	return call_field(c, "StorageClassRequested", class);
}

static int check_metadata(struct call *c, const struct str_map *m)
{
	size_t bytes = 0;
	for (unsigned i = 0; m && i < m->n; i++)
		bytes += m->v[i].key.n + m->v[i].value.n;
	if (bytes <= METADATA_MAX_BYTES)
		return CALL_OK;
	s3_fail(c, S3_METADATA_TOO_LARGE);
	call_field(c, "Size", arena_printf(c->arena, "%zu", bytes));
	return call_field(c, "MaxSizeAllowed", S("2048"));
}

/* aws-chunked tells how the body travels and is no property of the object. */
static struct str stored_encoding(struct arena *a, struct str encoding)
{
	if (!str_set(encoding) || str_find(encoding, S("aws-chunked")) < 0)
		return encoding;
	struct str kept = STR_NONE;
	while (str_set(encoding)) {
		struct str one = str_trim(str_cut(&encoding, ','));
		if (one.n && !str_ieq(one, S("aws-chunked")))
			kept = str_set(kept) ? ARENA_CAT(a, kept, S(","), one) : one;
	}
	return kept;
}

struct str object_owner(const struct call *c, const struct state_s3_bucket *b)
{
	return !acl_enabled(b) || c->caller->kind == PRINCIPAL_ANONYMOUS || str_empty(c->account) ? b->account : c->account;
}

int object_settle(struct call *c, const struct state_s3_bucket *b, struct str bucket, struct str key,
                  const struct object_settings *k, struct state_s3_object *o)
{
	if (encryption_choose(c, b, k, o) != CALL_OK || check_storage_class(c, k->storage_class) != CALL_OK ||
	    check_metadata(c, k->metadata) != CALL_OK)
		return CALL_FAIL;
	if (str_set(k->redirect) && !str_starts(k->redirect, S("/")) && !str_starts(k->redirect, S("http://")) &&
	    !str_starts(k->redirect, S("https://")))
		return call_fail(c, "InvalidRedirectLocation", 400,
		                 "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.");
	if (str_set(k->lock_mode) || str_set(k->lock_hold))
		return call_fail(c, "InvalidRequest", 400, "Bucket is missing Object Lock Configuration");
	o->owner = object_owner(c, b);
	bool document = str_set(k->tag_document);
	if (document || (str_set(k->tagging) && k->tagging.n)) {
		if ((document ? tags_of_document(c, k->tag_document, &o->tags) : tags_of_header(c, k->tagging, &o->tags)) !=
		            CALL_OK ||
		    !s3_may(c, "s3:PutObjectTagging", b, bucket, key, STR_NONE))
			return CALL_FAIL;
	}
	if (k->acl && acl_requested(k->acl)) {
		if (acl_grants(c, b, k->acl, o->owner, &o->grants) != CALL_OK)
			return CALL_FAIL;
		if (acl_enabled(b) && !s3_may(c, "s3:PutObjectAcl", b, bucket, key, STR_NONE))
			return CALL_FAIL;
	}
	o->content_type = str_set(k->content_type) ? k->content_type : S("binary/octet-stream");
	o->cache_control = k->cache_control;
	o->content_disposition = k->content_disposition;
	o->content_encoding = stored_encoding(c->arena, k->content_encoding);
	o->content_language = k->content_language;
	o->expires = k->expires;
	o->redirect = k->redirect;
	o->storage_class = k->storage_class;
	for (unsigned i = 0; k->metadata && i < k->metadata->n; i++)
		*LIST_ADD(c->arena, &o->metadata) =
		        (struct str_map_entry){s3_small(c->arena, k->metadata->v[i].key), k->metadata->v[i].value};
	return CALL_OK;
}

int object_write_conditions(struct call *c, struct str bucket, struct str key, struct str if_match, struct str if_none_match)
{
	if (!str_set(if_match) && !str_set(if_none_match))
		return CALL_OK;
	if (str_set(if_none_match) && (str_set(if_match) || !str_is(if_none_match, "*"))) {
		s3_fail(c, S3_NOT_IMPLEMENTED_HEADER);
		return call_field(c, "Header", S("If-None-Match"));
	}
	struct state_s3_object there;
	bool found = object_get(call_txn(c), c->arena, bucket, key, &there) && !there.delete_marker.v;
	if (str_set(if_match) && !found) {
		s3_fail(c, S3_NO_SUCH_KEY);
		return call_field(c, "Key", key);
	}
	bool holds = str_set(if_match) ? etag_matches(if_match, there.e_tag) : !found;
	if (holds)
		return CALL_OK;
	s3_fail(c, S3_PRECONDITION_FAILED);
	return call_field(c, "Condition", str_set(if_match) ? S("If-Match") : S("If-None-Match"));
}

struct str object_expiration(struct call *c, const struct state_s3_bucket *b, struct str key, const struct state_s3_object *o)
{
	return b->lifecycle ? lifecycle_header(c->arena, b->lifecycle, key, o) : STR_NONE;
}

struct str object_etag(struct arena *a, const unsigned char *md5)
{
	char *hex = arena_alloc(a, 33);
	hex_encode(md5, 16, hex);
	return str_of(hex, 32);
}

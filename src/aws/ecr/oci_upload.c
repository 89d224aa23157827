/* Blobs going in: at once, in pieces, or taken over from another repository. */
#include "aws/ecr/oci.h"
#include "aws/ecr/upload.h"

static void put_progress(struct call *c, const struct ecr_upload *u)
{
	uint64_t size = ecr_upload_size(u);
	call_reply_header(c, S("Location"), oci_path(c, "blobs/uploads", ecr_upload_id(u)));
	call_reply_header(c, S("Range"), arena_printf(c->arena, "0-%llu", (unsigned long long)(size ? size - 1 : 0)));
	call_reply_header(c, S("Docker-Upload-UUID"), ecr_upload_id(u));
}

static int created(struct call *c, struct str digest)
{
	call_reply_header(c, S("Location"), oci_path(c, "blobs", digest));
	call_reply_header(c, S("Docker-Content-Digest"), digest);
	return oci_reply(c, 201, NULL, S(""));
}

static int completed(struct call *c)
{
	return created(c, oci_request(c)->digest);
}

static int last_received(struct call *c)
{
	struct ecr_upload *u = ecr_upload_of(c);
	if (ecr_upload_received(c, u) != CALL_OK)
		return CALL_FAIL;
	return ecr_upload_complete(c, u, oci_request(c)->digest, completed);
}

static int kept(struct call *c)
{
	put_progress(c, ecr_upload_of(c));
	return oci_reply(c, 202, NULL, S(""));
}

static int piece_received(struct call *c)
{
	struct ecr_upload *u = ecr_upload_of(c);
	if (ecr_upload_received(c, u) != CALL_OK)
		return CALL_FAIL;
	return ecr_upload_keep(c, u, kept);
}

/* The digest that completes an upload; absent: none is given. */
static int take_digest(struct call *c)
{
	struct oci_request *r = (struct oci_request *)(uintptr_t)c->in;
	r->digest = call_query(c, S("digest"));
	if (str_set(r->digest) && !ecr_digest_good(r->digest))
		return oci_fail(c, "DIGEST_INVALID", 400, "This is no digest of the kind sha256: %.*s", STR_ARG(r->digest));
	return CALL_OK;
}

/* --- POST /blobs/uploads/ */

/* Takes over a blob that another repository of the registry has. False: it does not, or the caller may not read it there. */
static bool mount(struct call *c, const struct oci_request *r, struct str digest)
{
	struct ecr_place from = r->place;
	struct state_ecr_layer_record layer;
	from.name = call_query(c, S("from"));
	if (!str_set(from.name) || !ecr_name_good(from.name) || !ecr_digest_good(digest) ||
	    !ecr_find_layer(call_txn(c), c->arena, &from, digest, &layer))
		return false;
	if (!ecr_allowed(c, "ecr:GetDownloadUrlForLayer", &from)) {
		c->error = (struct call_error){0};
		return false;
	}
	ecr_layer_add(call_txn(c), c->arena, &r->place, digest, S(""), (uint64_t)layer.size.v, c->now_ms);
	return true;
}

int oci_serve_uploads(struct call *c, const struct oci_request *r)
{
	if (!str_is(r->method, "POST"))
		return oci_fail(c, "UNSUPPORTED", 405, "An upload begins with POST.");
	if (!ecr_allowed(c, "ecr:InitiateLayerUpload", &r->place) || take_digest(c) != CALL_OK)
		return CALL_FAIL;
	struct str algorithm = call_query(c, S("digest-algorithm"));
	if (str_set(algorithm) && !str_is(algorithm, "sha256"))
		return oci_fail(c, "DIGEST_INVALID", 400, "Digests are of the kind sha256, not %.*s.", STR_ARG(algorithm));
	struct str mounted = call_query(c, S("mount"));
	if (str_set(mounted) && mount(c, r, mounted))
		return created(c, mounted);
	if (str_set(r->digest) &&
	    (!ecr_allowed(c, "ecr:UploadLayerPart", &r->place) || !ecr_allowed(c, "ecr:CompleteLayerUpload", &r->place)))
		return CALL_FAIL;
	struct ecr_upload *u = ecr_upload_begin(c, &r->place);
	if (!u) {
		oci_fail(c, "TOOMANYREQUESTS", 429, "%.*s", STR_ARG(c->error.message));
		call_reply_header(c, S("Retry-After"), S("60"));
		return CALL_FAIL;
	}
	if (str_set(r->digest))
		return ecr_upload_receive(c, u, STR_NONE, last_received);
	return ecr_upload_keep(c, u, kept);
}

/* --- /blobs/uploads/ID */

/* Content-Range, where it is given, must go on where the upload stands. */
static int check_range(struct call *c, const struct ecr_upload *u)
{
	struct str text = call_header(c, S("content-range")), rest = text;
	uint64_t from, to;
	if (!str_set(text))
		return CALL_OK;
	if (str_istarts(rest, S("bytes")))
		rest = str_trim(str_from_at(rest, 5));
	struct str first = str_cut(&rest, '-');
	int64_t length = body_length(c->body);
	bool good = str_set(rest) && str_to_u64(first, &from) && str_to_u64(str_cut(&rest, '/'), &to) && to >= from;
	if (good && from == ecr_upload_size(u) && (length < 0 || (uint64_t)length == to - from + 1))
		return CALL_OK;
	oci_fail(c, "BLOB_UPLOAD_INVALID", good ? 416 : 400, "The upload goes on at byte %llu, and Content-Range says %.*s.",
	         (unsigned long long)ecr_upload_size(u), STR_ARG(text));
	put_progress(c, u);
	return CALL_FAIL;
}

int oci_serve_upload(struct call *c, const struct oci_request *r)
{
	bool put = str_is(r->method, "PUT"), patch = str_is(r->method, "PATCH"), get = str_is(r->method, "GET");
	if (!put && !patch && !get && !str_is(r->method, "DELETE"))
		return oci_fail(c, "UNSUPPORTED", 405, "An upload goes on with PATCH and ends with PUT or DELETE.");
	if (!ecr_allowed(c, put ? "ecr:CompleteLayerUpload" : "ecr:UploadLayerPart", &r->place) ||
	    (put && oci_has_body(c) && !ecr_allowed(c, "ecr:UploadLayerPart", &r->place)))
		return CALL_FAIL;
	struct ecr_upload *u = ecr_upload_find(c, &r->place, r->id);
	if (!u)
		return oci_fail(c, "BLOB_UPLOAD_UNKNOWN", 404, "The repository has no upload %.*s.", STR_ARG(r->id));
	if (ecr_upload_busy(u))
		return oci_fail(c, "BLOB_UPLOAD_INVALID", 409, "Another request brings the upload on.");
	if (get) {
		put_progress(c, u);
		return oci_reply(c, 204, NULL, S(""));
	}
	if (patch)
		return check_range(c, u) == CALL_OK ? ecr_upload_receive(c, u, STR_NONE, piece_received) : CALL_FAIL;
	if (!put) {
		ecr_upload_cancel(c, u);
		return oci_reply(c, 204, NULL, S(""));
	}
	if (take_digest(c) != CALL_OK)
		return CALL_FAIL;
	if (!str_set(r->digest))
		return oci_fail(c, "DIGEST_INVALID", 400, "An upload ends with ?digest=sha256:...");
	if (!oci_has_body(c))
		return ecr_upload_complete(c, u, r->digest, completed);
	return check_range(c, u) == CALL_OK ? ecr_upload_receive(c, u, STR_NONE, last_received) : CALL_FAIL;
}

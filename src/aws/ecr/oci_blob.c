/* Blobs: looked for, read, whole or in a range, and removed where no image needs them. */
#include "aws/ecr/oci.h"

#include "store/blob.h"

struct range {
	uint64_t from, length;
	bool partial;
};

/* bytes=a-b, a-, -n: one range. What is no range is as if it were not there; one that begins behind the end is an error. */
static bool range_read(struct str text, uint64_t size, struct range *ret)
{
	uint64_t first = 0, last = 0;
	*ret = (struct range){.length = size};
	if (!str_set(text) || !str_starts(text, S("bytes=")))
		return true;
	struct str rest = str_from_at(text, 6), from = str_cut(&rest, '-');
	if (!str_set(rest) || str_find_char(rest, ',') >= 0)
		return true;
	bool has_first = str_to_u64(from, &first), has_last = str_to_u64(rest, &last);
	if ((from.n && !has_first) || (rest.n && !has_last) || (!has_first && !has_last) || (has_first && has_last && last < first))
		return true;
	if (!has_first) { /* the last n */
		if (last == 0)
			return false;
		first = last > size ? 0 : size - last;
		last = size - 1;
	}
	if (first >= size)
		return false;
	if (!has_last || last >= size)
		last = size - 1;
	*ret = (struct range){.from = first, .length = last - first + 1, .partial = true};
	return true;
}

static int read_blob(struct call *c, const struct oci_request *r, bool head)
{
	struct state_ecr_layer_record layer;
	struct state_ecr_content_record content;
	bool linked = c->state == r;
	if (!linked && !ecr_allowed(c, head ? "ecr:BatchCheckLayerAvailability" : "ecr:GetDownloadUrlForLayer", &r->place))
		return CALL_FAIL;
	if (!ecr_find_layer(call_txn(c), c->arena, &r->place, r->id, &layer) ||
	    !ecr_find_content(call_txn(c), c->arena, r->id, &content))
		return oci_fail(c, "BLOB_UNKNOWN", 404, "The repository has no blob %.*s.", STR_ARG(r->id));
	if (oci_is_meant(c, S("if-none-match"), r->id)) {
		call_reply_header(c, S("ETag"), ARENA_CAT(c->arena, S("\""), r->id, S("\"")));
		return oci_reply(c, 304, NULL, S(""));
	}
	struct range range;
	if (!range_read(head ? STR_NONE : call_header(c, S("range")), (uint64_t)content.size.v, &range)) {
		oci_fail(c, "SIZE_INVALID", 416, "The range begins behind the end of the blob.");
		call_reply_header(c, S("Content-Range"), arena_printf(c->arena, "bytes */%lld", (long long)content.size.v));
		return CALL_FAIL;
	}
	int fd = blob_open(c->cloud->blobs, content.blob);
	if (fd < 0)
		return call_broken(c, "content file %.*s cannot be opened: error %d", STR_ARG(content.blob), -fd);
	if (head)
		ecr_layer_touch(call_txn(c), c->arena, &r->place, r->id, c->now_ms);
	call_reply_header(c, S("Content-Type"), S("application/octet-stream"));
	call_reply_header(c, S("Docker-Content-Digest"), r->id);
	call_reply_header(c, S("Accept-Ranges"), S("bytes"));
	call_reply_header(c, S("ETag"), ARENA_CAT(c->arena, S("\""), r->id, S("\"")));
	if (range.partial)
		call_reply_header(c, S("Content-Range"),
		                  arena_printf(c->arena, "bytes %llu-%llu/%lld", (unsigned long long)range.from,
		                               (unsigned long long)(range.from + range.length - 1), (long long)content.size.v));
	call_reply_status(c, range.partial ? 206 : 200);
	c->reply = (struct reply_body){.kind = REPLY_FILE, .fd = fd, .offset = range.from, .length = range.length};
	return CALL_OK;
}

static int delete_blob(struct call *c, const struct oci_request *r)
{
	struct state_ecr_layer_record layer;
	if (!ecr_allowed(c, "ecr:BatchDeleteImage", &r->place))
		return CALL_FAIL;
	if (!ecr_find_layer(call_txn(c), c->arena, &r->place, r->id, &layer))
		return oci_fail(c, "BLOB_UNKNOWN", 404, "The repository has no blob %.*s.", STR_ARG(r->id));
	if (layer.refs.v > 0)
		return oci_fail(c, "UNSUPPORTED", 405, "Images need the blob %.*s.", STR_ARG(r->id));
	ecr_layer_drop(call_txn(c), c->arena, &r->place, r->id, c->now_ms);
	return oci_reply(c, 202, NULL, S(""));
}

int oci_serve_blob(struct call *c, const struct oci_request *r)
{
	bool head = str_is(r->method, "HEAD");
	if (!ecr_digest_good(r->id))
		return oci_fail(c, "DIGEST_INVALID", 400, "This is no digest of the kind sha256: %.*s", STR_ARG(r->id));
	if (head || str_is(r->method, "GET"))
		return read_blob(c, r, head);
	if (str_is(r->method, "DELETE"))
		return delete_blob(c, r);
	return oci_fail(c, "UNSUPPORTED", 405, "A blob is read or deleted.");
}

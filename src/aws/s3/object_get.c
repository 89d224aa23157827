#include "aws/s3/access.h"
#include "aws/s3/encryption.h"
#include "base/clock.h"

#include <inttypes.h>

/* What of the object a reader gets. */
struct selection {
	uint64_t offset, length;
	bool part;           /* 206 */
	int64_t parts;       /* x-amz-mp-parts-count; 0: none */
	struct str checksum; /* of the part that partNumber chose */
	bool whole;          /* the object's checksum is the one of what is sent */
};

static int not_satisfiable(struct call *c, struct str range, int64_t size)
{
	s3_fail(c, S3_INVALID_RANGE);
	call_field(c, "RangeRequested", range);
	call_field(c, "ActualObjectSize", arena_printf(c->arena, "%" PRId64, size));
	call_reply_header(c, S("content-range"), arena_printf(c->arena, "bytes */%" PRId64, size));
	return CALL_FAIL;
}

/* partNumber=n of an object uploaded in parts, or of one that is its own only part. */
static int select_part(struct call *c, const struct state_s3_object *o, int64_t number, struct selection *ret)
{
	if (number < 1 || number > 10000)
		return s3_bad_argument(c, "Part number must be an integer between 1 and 10000, inclusive", "partNumber",
		                       arena_printf(c->arena, "%" PRId64, number));
	int64_t parts = o->parts.v ? o->parts.v : 1;
	if (number > parts) {
		s3_fail(c, S3_INVALID_PART_NUMBER);
		call_field(c, "PartNumberRequested", arena_printf(c->arena, "%" PRId64, number));
		return call_field(c, "ActualPartCount", arena_printf(c->arena, "%" PRId64, parts));
	}
	ret->part = true;
	ret->parts = o->parts.v;
	if (!o->parts.v)
		return CALL_OK;
	struct state_s3_segments segments;
	content_segments(call_txn(c), c->arena, o->content, &segments);
	ret->offset = 0;
	for (unsigned i = 0; i < segments.n; i++) {
		if (i + 1 == number) {
			ret->length = (uint64_t)segments.v[i].size.v;
			ret->checksum = segments.v[i].checksum;
			ret->whole = false;
			return CALL_OK;
		}
		ret->offset += (uint64_t)segments.v[i].size.v;
	}
	return call_broken(c, "object has fewer parts than it says");
}

/* A client that goes on with what it has of an older state gets the whole object in place of its rest. */
static bool range_still_holds(struct call *c, const struct state_s3_object *o)
{
	struct str state = call_header(c, S("if-range"));
	int64_t ms;
	if (!str_set(state))
		return true;
	if (time_parse(state, &ms))
		return o->last_modified.ms / 1000 == ms / 1000;
	return !str_starts(state, S("W/")) && !str_is(state, "*") && etag_matches(state, o->e_tag);
}

static int choose(struct call *c, const struct state_s3_object *o, struct str range, struct opt_int part_number,
                  struct selection *ret)
{
	*ret = (struct selection){.length = (uint64_t)o->size.v, .whole = true};
	if (str_set(range) && !range_still_holds(c, o))
		range = STR_NONE;
	if (part_number.set && str_set(range))
		return call_fail(c, "InvalidRequest", 400, "Cannot specify both Range header and partNumber query parameter");
	if (part_number.set)
		return select_part(c, o, part_number.v, ret);
	switch (range_parse(range, (uint64_t)o->size.v, &ret->offset, &ret->length)) {
	case RANGE_WHOLE:
		return CALL_OK;
	case RANGE_OUTSIDE:
		return not_satisfiable(c, range, o->size.v);
	case RANGE_PART:
		ret->part = true;
		ret->whole = ret->length == (uint64_t)o->size.v;
		return CALL_OK;
	}
	return CALL_OK;
}

static int check_conditions(struct call *c, const struct conditions *k, const struct object_at *at)
{
	const struct state_s3_object *o = &at->object;
	const char *failed = NULL;
	switch (conditions_check(k, o->e_tag, o->last_modified.ms, &failed)) {
	case CONDITION_MET:
		return CALL_OK;
	case CONDITION_FAILED:
		s3_fail(c, S3_PRECONDITION_FAILED);
		return call_field(c, "Condition", str_from(failed));
	case CONDITION_NOT_MODIFIED:
		call_fail(c, "NotModified", 304, "Not Modified");
		call_reply_header(c, S("ETag"), s3_quoted(c->arena, o->e_tag));
		call_reply_header(c, S("Last-Modified"), time_format(c->arena, o->last_modified.ms, TIME_RFC822));
		if (str_set(o->cache_control))
			call_reply_header(c, S("Cache-Control"), o->cache_control);
		if (str_set(object_version_shown(at)))
			call_reply_header(c, S("x-amz-version-id"), object_version_shown(at));
		return CALL_FAIL;
	}
	return CALL_OK;
}

/* response-content-type and its like: only for signed requests. */
static int override(struct call *c, struct str given, struct str *member)
{
	if (!str_set(given))
		return CALL_OK;
	if (c->caller->kind == PRINCIPAL_ANONYMOUS)
		return call_fail(c, "InvalidRequest", 400,
		                 "Request specific response headers cannot be used for anonymous GET requests.");
	*member = given;
	return CALL_OK;
}

/* The members that GetObject and HeadObject share by name but not by type. */
#define FILL_HEAD(c, out, at, sel, checksum_mode) \
	do { \
		const struct state_s3_object *o_ = &(at)->object; \
		(out)->accept_ranges = S("bytes"); \
		(out)->last_modified = o_->last_modified; \
		(out)->content_length = OPT_INT((int64_t)(sel)->length); \
		(out)->e_tag = s3_quoted((c)->arena, o_->e_tag); \
		(out)->version_id = object_version_shown(at); \
		(out)->content_type = o_->content_type; \
		(out)->cache_control = o_->cache_control; \
		(out)->content_disposition = o_->content_disposition; \
		(out)->content_encoding = o_->content_encoding; \
		(out)->content_language = o_->content_language; \
		(out)->expires = o_->expires; \
		(out)->website_redirect_location = o_->redirect; \
		ENCRYPTION_SET(out, o_); \
		(out)->metadata = o_->metadata; \
		if (str_set(o_->storage_class) && !str_is(o_->storage_class, "STANDARD")) \
			(out)->storage_class = o_->storage_class; \
		if (o_->tags.n) \
			(out)->tag_count = OPT_INT(o_->tags.n); \
		if ((sel)->parts) \
			(out)->parts_count = OPT_INT((sel)->parts); \
		if ((sel)->part) \
			(out)->content_range = arena_printf((c)->arena, "bytes %" PRIu64 "-%" PRIu64 "/%" PRId64, (sel)->offset, \
			                                    (sel)->offset + (sel)->length - 1, o_->size.v); \
		(out)->expiration = object_expiration((c), (at)->bucket, in->key, o_); \
		if (str_is((checksum_mode), "ENABLED") && str_set(o_->checksum_algorithm)) { \
			struct str sum_ = (sel)->whole ? o_->checksum : (sel)->checksum; \
			if (str_set(sum_)) { \
				CHECKSUM_SET((out), o_->checksum_algorithm, sum_); \
				(out)->checksum_type = o_->checksum_type; \
			} \
		} \
		if (override((c), in->response_cache_control, &(out)->cache_control) != CALL_OK || \
		    override((c), in->response_content_disposition, &(out)->content_disposition) != CALL_OK || \
		    override((c), in->response_content_encoding, &(out)->content_encoding) != CALL_OK || \
		    override((c), in->response_content_language, &(out)->content_language) != CALL_OK || \
		    override((c), in->response_content_type, &(out)->content_type) != CALL_OK || \
		    override((c), \
		             in->response_expires.set ? time_format((c)->arena, in->response_expires.ms, TIME_RFC822) : STR_NONE, \
		             &(out)->expires) != CALL_OK) \
			return CALL_FAIL; \
	} while (0)

int s3_get_object(struct call *c, const struct s3_get_object_request *in, struct s3_get_object_output *out)
{
	struct object_at at;
	struct selection sel;
	struct conditions k = {in->if_match, in->if_none_match, in->if_modified_since, in->if_unmodified_since};
	struct cipher e;
	if (encryption_no_customer_key(c, in->sse_customer_algorithm) != CALL_OK ||
	    object_open(c, in->bucket, in->key, in->version_id, &at) != CALL_OK || check_conditions(c, &k, &at) != CALL_OK ||
	    choose(c, &at.object, in->range, in->part_number, &sel) != CALL_OK ||
	    encryption_open(c, in->bucket, in->key, &at.object, &e) != CALL_OK)
		return CALL_FAIL;
	FILL_HEAD(c, out, &at, &sel, in->checksum_mode);
	if (sel.part)
		call_reply_status(c, 206);
	return content_reply(c, (enum content_kind)at.object.kind.v, at.object.content, &e, sel.offset, sel.length);
}

int s3_head_object(struct call *c, const struct s3_head_object_request *in, struct s3_head_object_output *out)
{
	struct object_at at;
	struct selection sel;
	struct conditions k = {in->if_match, in->if_none_match, in->if_modified_since, in->if_unmodified_since};
	if (encryption_no_customer_key(c, in->sse_customer_algorithm) != CALL_OK ||
	    object_open(c, in->bucket, in->key, in->version_id, &at) != CALL_OK || check_conditions(c, &k, &at) != CALL_OK ||
	    choose(c, &at.object, in->range, in->part_number, &sel) != CALL_OK)
		return CALL_FAIL;
	FILL_HEAD(c, out, &at, &sel, in->checksum_mode);
	if (sel.part)
		call_reply_status(c, 206);
	/* No bytes follow, but the length that GetObject would send is announced. */
	c->reply =
	        (struct reply_body){.kind = REPLY_STREAM, .fd = -1, .stream_length = (int64_t)sel.length, .stream_start = call_end};
	return CALL_OK;
}

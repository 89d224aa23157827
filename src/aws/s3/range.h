/* What part of an object a reader asks for, and whether he wants it at all: Range and the conditional headers, in S3's
 * precedence. Pure; used by GetObject, HeadObject, CopyObject, UploadPartCopy and conditional writes. */
#pragma once
#include "model/model.h"

enum range_result {
	RANGE_WHOLE,   /* no range, one that does not parse, or several: the whole object with 200 */
	RANGE_PART,    /* 206 */
	RANGE_OUTSIDE, /* 416 */
};
/* "bytes=0-9", "bytes=5-", "bytes=-3" against an object of `size` bytes; header may be absent. */
enum range_result range_parse(struct str header, uint64_t size, uint64_t *ret_offset, uint64_t *ret_length);
/* x-amz-copy-source-range: "bytes=first-last", both given and inside the object. RANGE_WHOLE: it is not spelled so. */
enum range_result range_parse_exact(struct str header, uint64_t size, uint64_t *ret_offset, uint64_t *ret_length);

/* The four conditional headers; absent members were not given. */
struct conditions {
	struct str if_match, if_none_match;
	struct opt_time if_modified_since, if_unmodified_since;
};
enum condition_result { CONDITION_MET, CONDITION_NOT_MODIFIED, CONDITION_FAILED };
/* Against an object's ETag (unquoted) and time. If-Match that holds overrides If-Unmodified-Since; If-None-Match, when given,
 * overrides If-Modified-Since. *ret_failed names the header that failed. */
enum condition_result conditions_check(const struct conditions *k, struct str etag, int64_t modified_ms, const char **ret_failed);
/* Is the (unquoted) ETag in a header's list: "a", W/"a", a, *? */
bool etag_matches(struct str header, struct str etag);

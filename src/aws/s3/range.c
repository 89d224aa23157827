#include "aws/s3/range.h"

enum range_result range_parse(struct str header, uint64_t size, uint64_t *ret_offset, uint64_t *ret_length)
{
	if (!str_set(header) || !str_istarts(header, S("bytes=")))
		return RANGE_WHOLE;
	struct str last = str_trim(str_from_at(header, 6));
	if (str_find_char(last, '-') < 0 || str_find_char(last, ',') >= 0)
		return RANGE_WHOLE;
	struct str first = str_trim(str_cut(&last, '-'));
	last = str_trim(last);
	uint64_t from = 0, to = UINT64_MAX;
	if ((first.n && !str_to_u64(first, &from)) || (last.n && !str_to_u64(last, &to)) || (!first.n && !last.n))
		return RANGE_WHOLE;
	if (!first.n) { /* the last `to` bytes */
		if (to == 0 || size == 0)
			return RANGE_OUTSIDE;
		*ret_length = to < size ? to : size;
		*ret_offset = size - *ret_length;
		return RANGE_PART;
	}
	if (to < from)
		return RANGE_WHOLE;
	if (from >= size)
		return RANGE_OUTSIDE;
	*ret_offset = from;
	*ret_length = (to < size - 1 ? to : size - 1) - from + 1;
	return RANGE_PART;
}

enum range_result range_parse_exact(struct str header, uint64_t size, uint64_t *ret_offset, uint64_t *ret_length)
{
	uint64_t from, to;
	if (!str_starts(header, S("bytes=")))
		return RANGE_WHOLE;
	struct str last = str_from_at(header, 6);
	struct str first = str_cut(&last, '-');
	if (!str_set(last) || !str_to_u64(first, &from) || !str_to_u64(last, &to) || from > to)
		return RANGE_WHOLE;
	if (to >= size)
		return RANGE_OUTSIDE;
	*ret_offset = from;
	*ret_length = to - from + 1;
	return RANGE_PART;
}

bool etag_matches(struct str header, struct str etag)
{
	while (str_set(header)) {
		struct str one = str_trim(str_cut(&header, ','));
		if (str_is(one, "*"))
			return true;
		if (str_starts(one, S("W/")))
			one = str_from_at(one, 2);
		if (one.n >= 2 && one.p[0] == '"' && one.p[one.n - 1] == '"')
			one = str_sub(one, 1, one.n - 2);
		if (str_eq(one, etag))
			return true;
	}
	return false;
}

enum condition_result conditions_check(const struct conditions *k, struct str etag, int64_t modified_ms, const char **ret_failed)
{
	/* HTTP dates have whole seconds. */
	int64_t modified_s = modified_ms / 1000;
	if (str_set(k->if_match)) {
		if (!etag_matches(k->if_match, etag)) {
			*ret_failed = "If-Match";
			return CONDITION_FAILED;
		}
	} else if (k->if_unmodified_since.set && modified_s > k->if_unmodified_since.ms / 1000) {
		*ret_failed = "If-Unmodified-Since";
		return CONDITION_FAILED;
	}
	if (str_set(k->if_none_match)) {
		if (etag_matches(k->if_none_match, etag)) {
			*ret_failed = "If-None-Match";
			return CONDITION_NOT_MODIFIED;
		}
	} else if (k->if_modified_since.set && modified_s <= k->if_modified_since.ms / 1000) {
		*ret_failed = "If-Modified-Since";
		return CONDITION_NOT_MODIFIED;
	}
	return CONDITION_MET;
}

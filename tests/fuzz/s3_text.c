/* What S3 reads off requests by itself: form bodies and policies, hosts, copy sources, ranges. The first byte chooses. */
#include "aws/s3/names.h"
#include "aws/s3/post_form.h"
#include "aws/s3/range.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena CLEAN_ARENA a = {0};
	if (size == 0)
		return 0;
	struct str s = str_of(data + 1, size - 1);
	switch (data[0] % 4) {
	case 0: {
		struct post_fields f;
		long at = post_fields_parse(&a, s, S("B"), &f);
		assert(at <= (long)s.n && f.n <= POST_FIELDS_MAX);
		/* What came before the file stays the same, whatever follows. */
		struct post_fields g;
		if (at > 0)
			assert(post_fields_parse(&a, str_sub(s, 0, (size_t)at), S("B"), &g) == at && g.n == f.n);
		break;
	}
	case 1: {
		struct str why;
		int64_t min = 0, max = INT64_MAX;
		struct post_field field = {S("key"), S("value")};
		struct post_fields f = {.v = &field, .n = 1};
		post_policy_permits(&a, s, &f, S("bucket"), 0, &why, &min, &max);
		assert(str_set(why));
		break;
	}
	case 2: {
		struct s3_source source;
		struct str bucket = s3_bucket_of_host(s);
		assert(!str_set(bucket) || bucket.n < s.n);
		if (s3_source_parse(&a, s, &source))
			assert(source.bucket.n && source.key.n);
		s3_bucket_name_valid(s);
		break;
	}
	default: {
		uint64_t offset, length;
		for (uint64_t n = 0; n < 20; n++)
			if (range_parse(s, n, &offset, &length) == RANGE_PART)
				assert(length > 0 && offset + length <= n);
		break;
	}
	}
	return 0;
}

/* What is read as JSON must be written as JSON that reads the same. */
#include "base/json.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena CLEAN_ARENA a = {0};
	struct buf CLEAN_BUF once, again;
	buf_init(&once, 8 << 20);
	buf_init(&again, 8 << 20);
	struct json_value *v = json_parse(&a, str_of(data, size), NULL);
	/* Passing over a value accepts what reading it accepts. */
	struct json_reader r;
	json_reader_init(&r, &a, str_of(data, size), 0);
	bool skipped = json_skip(&r, json_next(&r)) && json_next(&r) == JSON_END;
	assert(skipped == (v != NULL));
	if (!v)
		return 0;
	json_duplicate(v);
	json_put_value(&once, v);
	struct json_value *w = json_parse(&a, buf_str(&once), NULL);
	assert(w);
	json_put_value(&again, w);
	assert(str_eq(buf_str(&once), buf_str(&again)));
	return 0;
}

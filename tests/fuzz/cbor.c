/* Skipping must end where walking ends, and neither may read beyond the input. */
#include "base/cbor.h"

#include <assert.h>
#include <stdint.h>

static void walk(struct cbor_reader *r, struct cbor_item item)
{
	while (item.kind == CBOR_TAG)
		item = cbor_next(r);
	if (item.kind == CBOR_TEXT)
		assert(str_is_utf8(item.text));
	if (item.kind != CBOR_ARRAY && item.kind != CBOR_MAP)
		return;
	struct cbor_walk w = cbor_enter(r, &item);
	while (cbor_more(r, &w)) {
		walk(r, cbor_next(r));
		if (item.kind == CBOR_MAP)
			walk(r, cbor_next(r));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena CLEAN_ARENA a = {0};
	struct cbor_reader one, two;
	cbor_reader_init(&one, &a, str_of(data, size));
	cbor_reader_init(&two, &a, str_of(data, size));
	walk(&one, cbor_next(&one));
	struct cbor_item first = cbor_next(&two);
	bool skipped = cbor_skip(&two, &first);
	assert(skipped == !one.error);
	assert(!skipped || one.next == two.next);
	return 0;
}

/* Input: a block of slots, or a pack of them. Whatever reads can be written, and reads again as the same. */
#include "base/buf.h"
#include "engine/metrics/pack.h"
#include "engine/metrics/slot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { MAX = 300 };
	struct arena a CLEAN_ARENA;
	static struct slot slots[MAX], again[MAX];
	uint32_t n = 0, m = 0;
	arena_init(&a, 0);
	for (unsigned i = 0; i < PACK_SERIES; i++) {
		struct str block = pack_get(str_of(data, size), i);
		if (str_set(block))
			block_read(&a, block, slots, MAX, &n, 8);
	}
	if (!block_read(&a, str_of(data, size), slots, MAX, &n, 1) || n > MAX)
		return 0;
	struct buf CLEAN_BUF b;
	buf_init(&b, 16 << 20);
	block_write(&b, slots, n, 1);
	if (!block_read(&a, buf_str(&b), again, MAX, &m, 1) || m < n)
		__builtin_trap();
	for (uint32_t i = 0; i < n; i++)
		if (slots[i].set.count != again[i].set.count || (slots[i].set.count > 0 && slots[i].set.min != again[i].set.min))
			__builtin_trap();
	return 0;
}

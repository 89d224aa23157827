#include "engine/metrics/pack.h"

/* In front: how many bytes each has, in order. */
struct head {
	uint32_t bytes[PACK_SERIES];
};

struct str pack_get(struct str pack, unsigned member)
{
	struct head h;
	size_t from = sizeof(h);
	if (pack.n < sizeof(h))
		return STR_NONE;
	memcpy(&h, pack.p, sizeof(h));
	for (unsigned i = 0; i < member; i++)
		from += h.bytes[i];
	if (!h.bytes[member] || from > pack.n || h.bytes[member] > pack.n - from)
		return STR_NONE;
	return str_sub(pack, from, h.bytes[member]);
}

void pack_write(struct buf *b, const struct str blocks[static PACK_SERIES])
{
	struct head h;
	for (unsigned i = 0; i < PACK_SERIES; i++)
		h.bytes[i] = (uint32_t)blocks[i].n;
	buf_add(b, &h, sizeof(h));
	for (unsigned i = 0; i < PACK_SERIES; i++)
		if (blocks[i].n)
			buf_add_str(b, blocks[i]);
}

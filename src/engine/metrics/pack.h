/* Blocks of many series as one value of the store, because a value of its own costs each block more than its data. A series belongs
 * to the pack of its number, with the fifteen beside it. Private to engine/metrics. */
#pragma once
#include "base/buf.h"

enum { PACK_SERIES = 16 };

/* The block of one of them; absent: it has none, or these are no such bytes. A view. */
struct str pack_get(struct str pack, unsigned member);
/* Absent ones are left out. */
void pack_write(struct buf *b, const struct str blocks[static PACK_SERIES]);

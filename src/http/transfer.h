/* Transfer-Encoding: chunked, as bytes arrive: what HTTP/1.1 itself does to bodies. (The chunks that AWS signs are in chunked.h.)
 *
 * Used by the connection for request bodies. The decoder holds no body bytes; trailer lines wait in its buffer, of at most 8 KiB.
 */
#pragma once
#include "base/buf.h"

struct transfer {
	uint8_t step;
	uint64_t left;       /* of the chunk: while its size is read, the size so far */
	unsigned line_bytes; /* of the size line so far */
	struct buf trailers; /* lines of the trailer part, with the empty line that ends it */
};

void transfer_init(struct transfer *t);
void transfer_done(struct transfer *t);
/* Decodes p[0..n) in place: decoded bytes end up at p[0..*ret_n), *ret_used bytes were read. It stops at the end of the body:
 * what follows belongs to the next request. -EPROTO: not chunks, the connection is beyond repair. */
int transfer_decode(struct transfer *t, char *p, size_t n, size_t *ret_n, size_t *ret_used);
bool transfer_ended(const struct transfer *t);

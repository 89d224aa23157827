/* Numbers as few bits: a binary arithmetic coder whose odds learn from what has passed. Private to engine/metrics.
 *
 * A number is said as how long it is, its first bits and the rest; each kind of number has odds of its own, so what is always alike
 * costs next to nothing. One set of functions goes both ways: with a buffer they write what they are given, without one they read
 * and return what was written, whatever they are given. A coder lives as long as one block is worked on. */
#pragma once
#include "base/buf.h"

struct odds {
	uint16_t one, seen; /* how likely it is, of 65536; how often it was looked at, up to a limit */
};
enum { CODER_LENGTHS = 17, CODER_FIRST = 32 }; /* longer numbers share odds; how many there are for the bits behind the first */
struct coder_kind {
	struct odds length[128], first[CODER_LENGTHS][CODER_FIRST], sign[CODER_LENGTHS];
};
struct coder {
	struct buf *out; /* NULL: reads */
	struct str rest; /* of what is read */
	uint32_t low, high, at;
	unsigned missing; /* bytes that were read behind the end */
	bool bad;
};

void odds_begin(struct odds *o, size_t n);
static inline void coder_kind_begin(struct coder_kind *k)
{
	odds_begin((struct odds *)k, sizeof(*k) / sizeof(struct odds));
}
void coder_write(struct coder *c, struct buf *out);
void coder_read(struct coder *c, struct str bytes);
void coder_end(struct coder *c); /* of writing */
/* Nonsense was read, or more than there was. */
bool coder_bad(const struct coder *c);

bool coder_bit(struct coder *c, struct odds *o, bool bit);
uint64_t coder_number(struct coder *c, struct coder_kind *k, uint64_t x);
int64_t coder_signed(struct coder *c, struct coder_kind *k, int64_t x); /* above INT64_MIN */

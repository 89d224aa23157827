/* The coder keeps an interval [low, high] of 32 bits and cuts it at each bit by the odds; bytes at its top that are the same in
 * both are done with. */
#include "engine/metrics/coder.h"

enum { SEEN_MAX = 56, ODDS_LEAST = 48, LENGTH_BITS = 7, LOOKAHEAD = 4 };

void odds_begin(struct odds *o, size_t n)
{
	for (size_t i = 0; i < n; i++)
		o[i] = (struct odds){32768, 0};
}

/* 65536 / (1.5 + how often it was seen): the first bits teach more than later ones. */
#define RATE(n) 131072 / (2 * (n) + 3)
#define RATES(n) RATE(n), RATE((n) + 1), RATE((n) + 2), RATE((n) + 3), RATE((n) + 4), RATE((n) + 5), RATE((n) + 6), RATE((n) + 7)
static const uint16_t rates[SEEN_MAX + 1] = {RATES(0), RATES(8), RATES(16), RATES(24), RATES(32), RATES(40), RATES(48), RATE(56)};

static void learn(struct odds *o, bool bit)
{
	int32_t to = bit ? 65535 - ODDS_LEAST : ODDS_LEAST;
	o->one = (uint16_t)((int32_t)o->one + (int32_t)((int64_t)(to - (int32_t)o->one) * rates[o->seen] / 65536));
	o->seen += o->seen < SEEN_MAX;
}

static uint8_t next_byte(struct coder *c)
{
	if (!c->rest.n) {
		c->missing++;
		return 0;
	}
	uint8_t x = (uint8_t)c->rest.p[0];
	c->rest = str_from_at(c->rest, 1);
	return x;
}

void coder_write(struct coder *c, struct buf *out)
{
	*c = (struct coder){.out = out, .high = UINT32_MAX};
}

void coder_read(struct coder *c, struct str bytes)
{
	*c = (struct coder){.rest = bytes, .high = UINT32_MAX};
	for (unsigned i = 0; i < LOOKAHEAD; i++)
		c->at = c->at << 8 | next_byte(c);
}

/* One byte that is in the interval whatever follows; a reader goes on with zeros. */
void coder_end(struct coder *c)
{
	buf_add_char(c->out, (char)((c->low >> 24) + (c->low << 8 != 0)));
}

bool coder_bad(const struct coder *c)
{
	return c->bad || c->missing >= LOOKAHEAD;
}

static bool cut(struct coder *c, uint32_t one, bool bit)
{
	uint32_t middle = c->low + (uint32_t)((uint64_t)(c->high - c->low) * one >> 16);
	if (!c->out)
		bit = c->at <= middle;
	if (bit)
		c->high = middle;
	else
		c->low = middle + 1;
	while (!((c->low ^ c->high) >> 24)) {
		if (c->out)
			buf_add_char(c->out, (char)(c->high >> 24));
		else
			c->at = c->at << 8 | next_byte(c);
		c->low <<= 8;
		c->high = c->high << 8 | 255;
	}
	return bit;
}

bool coder_bit(struct coder *c, struct odds *o, bool bit)
{
	bit = cut(c, o->one, bit);
	learn(o, bit);
	return bit;
}

static unsigned length_of(uint64_t x)
{
	return x ? 64 - (unsigned)__builtin_clzll(x) : 0;
}

uint64_t coder_number(struct coder *c, struct coder_kind *k, uint64_t x)
{
	unsigned length = length_of(x), node = 1;
	for (unsigned i = LENGTH_BITS; i-- > 0;)
		node = node << 1 | coder_bit(c, &k->length[node], length >> i & 1);
	length = node & ((1 << LENGTH_BITS) - 1);
	if (length > 64) {
		c->bad = true;
		return 0;
	}
	if (length <= 1)
		return length;
	uint64_t made = 1;
	struct odds *first = k->first[length < CODER_LENGTHS ? length : CODER_LENGTHS - 1];
	for (unsigned i = length - 1; i-- > 0;) {
		bool bit = x >> i & 1;
		bit = made < CODER_FIRST ? coder_bit(c, &first[made], bit) : cut(c, 32768, bit);
		made = made << 1 | bit;
	}
	return made;
}

int64_t coder_signed(struct coder *c, struct coder_kind *k, int64_t x)
{
	uint64_t size = coder_number(c, k, x < 0 ? -(uint64_t)x : (uint64_t)x);
	if (size >> 63) {
		c->bad = true;
		return 0;
	}
	unsigned length = length_of(size);
	bool below = size && coder_bit(c, &k->sign[length < CODER_LENGTHS ? length : CODER_LENGTHS - 1], x < 0);
	return below ? -(int64_t)size : (int64_t)size;
}

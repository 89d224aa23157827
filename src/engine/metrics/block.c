/* A block says one slot after the other, in numbers that the coder makes short: is there one, has it as many samples as the last,
 * is it one value, and how far is that from the last one's. Most metrics are decimal numbers of few digits, so values are integers
 * of a power of ten where that is exact; otherwise the bits of doubles that differ from the last one's. Writing and reading are the
 * same walk (coder.h). */
#include "engine/metrics/coder.h"
#include "engine/metrics/slot.h"

#include <math.h>

enum { VERSION = 2, RAW = 7, EXPONENT_MAX = 6, ROLLED_BITS = 20 };
#define EXACT_MAX 4503599627370496.0 /* 2^52 */

static const double powers[EXPONENT_MAX + 1] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};

enum { AMOUNTS = 6 };
enum { HEAD, COUNT, LEAST, RANGE, SUM, ZEROS, BITS, BUCKETS, GAP, AMOUNT, KINDS = AMOUNT + AMOUNTS };
struct block {
	struct coder c;
	struct coder_kind kinds[KINDS];
	struct odds there[2], same_count, plain[2], spread[2], unknown[2], regular, whole[2];
	unsigned begun; /* which kinds are */
	unsigned e;     /* values are integers of 10^-e; RAW: doubles */
	unsigned steps; /* of buckets in one */
	/* Of the slot before. */
	bool was_there, was_plain;
	double count, value;
	int64_t least;
};

static bool writes(const struct block *b)
{
	return b->c.out != NULL;
}

/* Most blocks need few of them. */
static struct coder_kind *kind_of(struct block *b, unsigned kind)
{
	if (!(b->begun >> kind & 1))
		coder_kind_begin(&b->kinds[kind]);
	b->begun |= 1u << kind;
	return &b->kinds[kind];
}

static uint64_t number(struct block *b, unsigned kind, uint64_t x)
{
	return coder_number(&b->c, kind_of(b, kind), x);
}

/* A double as its bits that differ from another's, without the zeros at their end. */
static double bits(struct block *b, double x, double like)
{
	uint64_t u, v;
	memcpy(&u, &x, sizeof(u));
	memcpy(&v, &like, sizeof(v));
	uint64_t other = u ^ v, zeros = number(b, ZEROS, other ? (uint64_t)__builtin_ctzll(other) : 64);
	b->c.bad |= zeros > 64;
	other = zeros < 64 ? number(b, BITS, other >> zeros) << zeros : 0;
	u = other ^ v;
	memcpy(&x, &u, sizeof(x));
	b->c.bad |= !isfinite(x);
	return isfinite(x) ? x : 0;
}

static double amount(struct block *b, unsigned kind, double x)
{
	/* while it is read, x is whatever lay there */
	bool fits = x >= 0 && x < EXACT_MAX, whole = coder_bit(&b->c, &b->whole[0], fits && x == floor(x));
	double made = whole ? (double)number(b, kind, fits ? (uint64_t)x : 0) : bits(b, x, 1);
	b->c.bad |= made <= 0;
	return made;
}

/* --- values */

/* One value says all: a set that somebody put may have a sum of its own. */
static bool is_plain(const struct metric_set *s)
{
	return slot_single(s) && fabs(s->sum - s->min * s->count) <= fabs(s->sum) * 1e-9;
}

static bool decimal(double x, unsigned e)
{
	double scaled = round(x * powers[e]);
	return fabs(scaled) < EXACT_MAX && scaled / powers[e] == x;
}

/* Sums of decimals are decimals but for the last bits of a double. */
static bool nearly_decimal(double x, unsigned e)
{
	double scaled = x * powers[e];
	return fabs(scaled) < EXACT_MAX && fabs(scaled - round(scaled)) <= 1e-7 + fabs(scaled) * 1e-14;
}

static bool suits(const struct metric_set *s, unsigned e)
{
	return s->count <= 0 ||
	       (decimal(s->min, e) && (s->max == s->min || decimal(s->max, e)) && (is_plain(s) || nearly_decimal(s->sum, e)));
}

static unsigned exponent_of(const struct slot *slots, uint32_t n)
{
	unsigned e = 0;
	for (uint32_t i = 0; i < n && e <= EXPONENT_MAX; i++)
		if (!suits(&slots[i].set, e)) {
			e++;
			i = (uint32_t)-1;
		}
	return e > EXPONENT_MAX ? RAW : e;
}

static int64_t scaled(double x, unsigned e)
{
	return (int64_t)round(x * powers[e]);
}

static double middle(double count, double min, double max)
{
	return count * (min + max) / 2;
}

/* Of roll-ups only so many bits of a sum are kept that it is within a billionth. */
static double shortened(const struct block *b, double sum)
{
	uint64_t u;
	if (b->steps == 1)
		return sum;
	memcpy(&u, &sum, sizeof(u));
	u &= ~((UINT64_C(1) << ROLLED_BITS) - 1);
	memcpy(&sum, &u, sizeof(u));
	return sum;
}

static void raw_values(struct block *b, bool plain, struct metric_set *s)
{
	s->min = b->value = bits(b, s->min, b->value);
	s->max = plain ? s->min : bits(b, s->max, s->min);
	s->sum = plain ? s->min * s->count : bits(b, shortened(b, s->sum), shortened(b, middle(s->count, s->min, s->max)));
}

static void decimal_values(struct block *b, bool plain, struct metric_set *s)
{
	int64_t min = 0, max = 0;
	double off = 0;
	if (writes(b)) {
		min = scaled(s->min, b->e);
		max = scaled(s->max, b->e);
	}
	min = b->least + coder_signed(&b->c, kind_of(b, LEAST), min - b->least) % (INT64_C(1) << 54);
	max = min + (plain ? 0 : (int64_t)(number(b, RANGE, (uint64_t)(max - min)) & ((UINT64_C(1) << 54) - 1)));
	b->c.bad |= min > INT64_C(1) << 53 || min < -(INT64_C(1) << 53);
	if (b->c.bad)
		return;
	b->least = min;
	double between = round(middle(s->count, (double)min, (double)max));
	if (writes(b) && !plain)
		off = (double)scaled(s->sum, b->e) - between;
	s->min = (double)min / powers[b->e];
	s->max = (double)max / powers[b->e];
	if (plain) {
		s->sum = s->min * s->count;
		return;
	}
	if (coder_bit(&b->c, &b->whole[1], fabs(off) < EXACT_MAX))
		s->sum = ((double)coder_signed(&b->c, kind_of(b, SUM), (int64_t)off) + between) / powers[b->e];
	else
		s->sum = bits(b, s->sum, 0);
}

static void values(struct block *b, struct metric_set *s)
{
	bool plain = coder_bit(&b->c, &b->plain[b->was_plain], is_plain(s));
	b->was_plain = plain;
	if (b->e == RAW)
		raw_values(b, plain, s);
	else
		decimal_values(b, plain, s);
	b->c.bad |= s->max < s->min || !isfinite(s->sum);
}

/* --- spreads */

static int32_t coarse(int32_t at, unsigned steps)
{
	return at == SLOT_ZERO || steps == 1 ? at : (int32_t)ceil((double)at / steps);
}

static int32_t fine(int32_t at, unsigned steps)
{
	return at == SLOT_ZERO || steps == 1 ? at : at * (int32_t)steps - (int32_t)steps / 2;
}

static uint32_t coarsened(const struct slot *s, unsigned steps, struct slot_bucket *made)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < s->spread.n; i++) {
		int32_t at = coarse(s->spread.v[i].at, steps);
		if (n && made[n - 1].at == at)
			made[n - 1].count += s->spread.v[i].count;
		else
			made[n++] = (struct slot_bucket){at, s->spread.v[i].count};
	}
	return n;
}

static bool is_regular(const struct slot *s, const struct slot_bucket *v, uint32_t n, int32_t first, int32_t last)
{
	double rest = s->set.count;
	for (uint32_t i = 0; i + 1 < n; i++)
		rest -= v[i].count;
	return n && v[0].at == first && v[n - 1].at == last && rest == v[n - 1].count && (n == 1) == (first == last);
}

/* By about how many are to be expected. */
static unsigned amount_kind(double rest, uint32_t n)
{
	unsigned kind = 0;
	for (double each = rest / n; each >= 1.5 && kind + 1 < AMOUNTS; each /= 2)
		kind++;
	return AMOUNT + kind;
}

/* The buckets of the least and the greatest value need not be said, nor the last one's count, where all samples are counted. */
static uint32_t buckets(struct block *b, const struct slot *s, struct slot_bucket *v, uint32_t n)
{
	int32_t first = coarse(slot_bucket_of(s->set.min), b->steps), last = coarse(slot_bucket_of(s->set.max), b->steps);
	int64_t most = -SLOT_ZERO / (int32_t)b->steps;
	double rest = s->set.count;
	bool regular = coder_bit(&b->c, &b->regular, is_regular(s, v, n, first, last));
	n = (uint32_t)number(b, BUCKETS, n);
	if (n > SLOT_BUCKETS_MAX) {
		b->c.bad = true;
		return 0;
	}
	int64_t at = first;
	for (uint32_t i = 0; i < n && !coder_bad(&b->c); i++) {
		bool end = regular && i + 1 == n;
		if (end)
			v[i].at = i || first == last ? last : SLOT_ZERO;
		else if (!(regular && !i)) {
			int64_t gap = coder_signed(&b->c, kind_of(b, GAP), v[i].at - at);
			b->c.bad |= gap > 1 << 20 || gap < -(1 << 20);
			at += b->c.bad ? 0 : gap;
			b->c.bad |= at != SLOT_ZERO && (at < -most || at > most);
			v[i].at = (int32_t)at;
		} else
			v[i].at = first;
		v[i].count = end ? rest : amount(b, amount_kind(rest, n - i), v[i].count);
		rest -= v[i].count;
		b->c.bad |= v[i].count <= 0 || (i && v[i].at <= v[i - 1].at);
		at = v[i].at;
	}
	return coder_bad(&b->c) ? 0 : n;
}

static void spread(struct block *b, struct arena *a, struct slot *s)
{
	struct slot_bucket v[SLOT_BUCKETS_MAX];
	uint32_t n = buckets(b, s, v, writes(b) ? coarsened(s, b->steps, v) : 0);
	if (writes(b))
		return;
	s->spread = (struct slot_buckets){.v = arena_array(a, n + 1, sizeof(*v)), .n = n, .set = true};
	for (uint32_t i = 0; i < n; i++)
		s->spread.v[i] = (struct slot_bucket){fine(v[i].at, b->steps), v[i].count};
}

/* --- blocks */

static void block_begin(struct block *b, unsigned steps)
{
	b->steps = steps;
	b->was_there = b->was_plain = true;
	b->count = 1;
	b->value = 0;
	b->least = 0;
	b->begun = 0;
	struct odds *all[] = {b->there, &b->same_count, b->plain, b->spread, b->unknown, &b->regular, b->whole};
	const unsigned n[] = {2, 1, 2, 2, 2, 1, 2};
	for (unsigned i = 0; i < sizeof(n) / sizeof(*n); i++)
		odds_begin(all[i], n[i]);
}

static void one_slot(struct block *b, struct arena *a, struct slot *s)
{
	b->was_there = coder_bit(&b->c, &b->there[b->was_there], s->set.count > 0);
	if (!b->was_there) {
		s->set.count = 0;
		return;
	}
	if (coder_bit(&b->c, &b->same_count, s->set.count == b->count))
		s->set.count = b->count;
	else
		s->set.count = b->count = amount(b, COUNT, s->set.count);
	values(b, &s->set);
	bool known = coder_bit(&b->c, &b->spread[b->was_plain], s->spread.n > 0);
	s->unknown = coder_bit(&b->c, &b->unknown[known], s->unknown);
	if (known && !coder_bad(&b->c))
		spread(b, a, s);
}

void block_write(struct buf *out, const struct slot *slots, uint32_t n, unsigned steps)
{
	struct block b;
	block_begin(&b, steps);
	b.e = exponent_of(slots, n);
	buf_add_char(out, (char)(VERSION << 4 | b.e));
	coder_write(&b.c, out);
	number(&b, HEAD, n);
	for (uint32_t i = 0; i < n; i++) {
		struct slot s = slots[i];
		one_slot(&b, NULL, &s);
	}
	coder_end(&b.c);
}

bool block_read(struct arena *a, struct str bytes, struct slot *slots, uint32_t max, uint32_t *ret_n, unsigned steps)
{
	struct block b;
	if (!bytes.n || (uint8_t)bytes.p[0] >> 4 != VERSION)
		return false;
	b.e = (uint8_t)bytes.p[0] & 15;
	if (b.e != RAW && b.e > EXPONENT_MAX)
		return false;
	block_begin(&b, steps);
	coder_read(&b.c, str_from_at(bytes, 1));
	uint64_t n = number(&b, HEAD, 0);
	if (n > max)
		return false;
	for (uint32_t i = 0; i < n && !coder_bad(&b.c); i++) {
		slots[i] = (struct slot){0};
		one_slot(&b, a, &slots[i]);
	}
	*ret_n = (uint32_t)n;
	return !coder_bad(&b.c);
}

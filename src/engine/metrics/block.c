/* A block is columns, because what lies beside each other is alike then: which slots are there and of what kind (in runs), counts
 * that are not the last one's, values, spreads. Most metrics are decimal numbers of few digits, so values are integers of a power
 * of ten where that is exact, as differences; otherwise the bits of doubles that differ from the last one's. Numbers have seven
 * bits a byte. */
#include "engine/metrics/slot.h"

#include <math.h>

enum { VERSION = 1, RAW = 15, EXPONENT_MAX = 6, RUN_MAX = 4096 };
enum { THERE = 1, SAME_COUNT = 2, SINGLE = 4, SPREAD = 8, UNKNOWN = 16, FLAGS = 31 };
#define EXACT_MAX 4503599627370496.0 /* 2^52 */

static const double powers[EXPONENT_MAX + 1] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};

/* --- numbers */

static void put_number(struct buf *b, uint64_t x)
{
	for (; x >= 0x80; x >>= 7)
		buf_add_char(b, (char)(x | 0x80));
	buf_add_char(b, (char)x);
}

static uint64_t zigzag(int64_t x)
{
	return (uint64_t)x << 1 ^ (uint64_t)(x >> 63);
}

static int64_t unzigzag(uint64_t x)
{
	return (int64_t)(x >> 1) ^ -(int64_t)(x & 1);
}

static void put_double(struct buf *b, double x, double before)
{
	uint64_t u, v;
	memcpy(&u, &x, sizeof(u));
	memcpy(&v, &before, sizeof(v));
	/* Doubles of few digits end in zeros, which cost nothing this way round. */
	put_number(b, __builtin_bswap64(u ^ v));
}

static void put_count(struct buf *b, double x)
{
	bool whole = x >= 0 && x < EXACT_MAX && x == floor(x);
	put_number(b, whole ? (uint64_t)x << 1 : 1);
	if (!whole)
		put_double(b, x, 0);
}

struct reader {
	struct str rest;
	bool bad;
};

static uint64_t get_number(struct reader *r)
{
	uint64_t x = 0;
	for (size_t i = 0; i < r->rest.n && i < 10; i++) {
		uint8_t c = (uint8_t)r->rest.p[i];
		x |= (uint64_t)(c & 0x7f) << (7 * i);
		if (!(c & 0x80)) {
			r->rest = str_from_at(r->rest, i + 1);
			return x;
		}
	}
	r->bad = true;
	return 0;
}

static double get_double(struct reader *r, double before)
{
	uint64_t u, v;
	double x;
	memcpy(&v, &before, sizeof(v));
	u = __builtin_bswap64(get_number(r)) ^ v;
	memcpy(&x, &u, sizeof(x));
	r->bad |= !isfinite(x);
	return isfinite(x) ? x : 0;
}

static double get_count(struct reader *r)
{
	uint64_t x = get_number(r);
	double made = x & 1 ? get_double(r, 0) : (double)(x >> 1);
	r->bad |= made <= 0;
	return made;
}

/* --- values */

/* One value says all: a set that somebody put may have a sum of its own. */
static bool plain(const struct metric_set *s)
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

static unsigned exponent_of(const struct slot *slots, uint32_t n)
{
	unsigned e = 0;
	for (uint32_t i = 0; i < n && e <= EXPONENT_MAX; i++) {
		const struct metric_set *s = &slots[i].set;
		while (s->count > 0 && e <= EXPONENT_MAX &&
		       !(decimal(s->min, e) && decimal(s->max, e) && (plain(s) || nearly_decimal(s->sum, e)))) {
			e++;
			i = 0;
			s = &slots[0].set;
		}
	}
	return e > EXPONENT_MAX ? RAW : e;
}

static int64_t scaled(double x, unsigned e)
{
	return (int64_t)round(x * powers[e]);
}

static double middle(double count, int64_t min, int64_t max)
{
	return round(count * ((double)min + (double)max) / 2);
}

struct values {
	unsigned e;
	int64_t min;
	double raw;
};

static void put_values(struct buf *b, struct values *v, const struct metric_set *s)
{
	bool single = plain(s);
	if (v->e == RAW) {
		put_double(b, s->min, v->raw);
		v->raw = s->min;
		if (single)
			return;
		put_double(b, s->max, s->min);
		put_double(b, s->sum, 0);
		return;
	}
	int64_t min = scaled(s->min, v->e), max = scaled(s->max, v->e);
	put_number(b, zigzag(min - v->min));
	v->min = min;
	if (single)
		return;
	put_number(b, (uint64_t)(max - min));
	double off = (double)scaled(s->sum, v->e) - middle(s->count, min, max);
	bool whole = fabs(off) < EXACT_MAX;
	put_number(b, whole ? zigzag((int64_t)off) << 1 : 1);
	if (!whole)
		put_double(b, s->sum, 0);
}

static void get_values(struct reader *r, struct values *v, bool single, struct metric_set *s)
{
	if (v->e == RAW) {
		s->min = s->max = v->raw = get_double(r, v->raw);
		if (!single) {
			s->max = get_double(r, s->min);
			s->sum = get_double(r, 0);
		}
	} else {
		int64_t min = v->min += unzigzag(get_number(r)) % (INT64_C(1) << 54), max = min;
		r->bad |= min > INT64_C(1) << 53 || min < -(INT64_C(1) << 53);
		if (r->bad)
			return;
		s->min = s->max = (double)min / powers[v->e];
		if (!single) {
			max += (int64_t)(get_number(r) & ((UINT64_C(1) << 54) - 1));
			s->max = (double)max / powers[v->e];
			uint64_t off = get_number(r);
			s->sum = off & 1 ? get_double(r, 0)
			                 : ((double)unzigzag(off >> 1) + middle(s->count, min, max)) / powers[v->e];
		}
	}
	if (single)
		s->sum = s->min * s->count;
	r->bad |= s->max < s->min || !isfinite(s->sum);
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

static void put_spread(struct buf *b, const struct slot *s, unsigned steps)
{
	struct slot_bucket made[SLOT_BUCKETS_MAX];
	uint32_t n = 0;
	for (uint32_t i = 0; i < s->spread.n; i++) {
		int32_t at = coarse(s->spread.v[i].at, steps);
		if (n && made[n - 1].at == at)
			made[n - 1].count += s->spread.v[i].count;
		else
			made[n++] = (struct slot_bucket){at, s->spread.v[i].count};
	}
	int32_t before = coarse(slot_bucket_of(s->set.min), steps);
	put_number(b, n);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t step = zigzag(made[i].at - before) << 1;
		put_number(b, step | (made[i].count == 1));
		if (made[i].count != 1)
			put_count(b, made[i].count);
		before = made[i].at == SLOT_ZERO ? SLOT_ZERO : made[i].at;
	}
}

static void get_spread(struct reader *r, struct arena *a, struct slot *s, unsigned steps)
{
	uint64_t n = get_number(r);
	int64_t at = coarse(slot_bucket_of(s->set.min), steps);
	if (n > SLOT_BUCKETS_MAX || n > r->rest.n) {
		r->bad = true;
		return;
	}
	s->spread = (struct slot_buckets){.v = arena_array(a, n + 1, sizeof(struct slot_bucket)), .set = true};
	for (uint64_t i = 0; i < n && !r->bad; i++) {
		uint64_t step = get_number(r);
		int64_t moved = unzigzag(step >> 1);
		r->bad |= moved > 1 << 20 || moved < -(1 << 20) || (i && moved <= 0);
		if (r->bad)
			return;
		at += moved;
		r->bad |= at < SLOT_ZERO || at > -SLOT_ZERO;
		double count = step & 1 ? 1 : get_count(r);
		s->spread.v[s->spread.n++] = (struct slot_bucket){r->bad ? 0 : fine((int32_t)at, steps), count};
	}
}

/* --- blocks */

static uint8_t flags_of(const struct slot *s, double *count)
{
	if (s->set.count <= 0)
		return 0;
	unsigned f = THERE;
	f |= s->set.count == *count ? SAME_COUNT : 0;
	f |= plain(&s->set) ? SINGLE : 0;
	f |= s->spread.n ? SPREAD : 0;
	f |= s->unknown ? UNKNOWN : 0;
	*count = s->set.count;
	return (uint8_t)f;
}

static void put_flags(struct buf *b, const struct slot *slots, uint32_t n)
{
	double count = 1;
	for (uint32_t i = 0; i < n;) {
		uint8_t f = flags_of(&slots[i], &count);
		uint32_t run = 1;
		double next = count;
		while (i + run < n && flags_of(&slots[i + run], &next) == f) {
			run++;
			count = next;
		}
		put_number(b, (uint64_t)run << 5 | f);
		i += run;
	}
	put_number(b, 0);
}

void block_write(struct buf *b, const struct slot *slots, uint32_t n, unsigned steps)
{
	double count = 1;
	struct values v = {.e = exponent_of(slots, n)};
	buf_add_char(b, (char)(VERSION << 4 | v.e));
	put_flags(b, slots, n);
	for (uint32_t i = 0; i < n; i++)
		if (slots[i].set.count > 0 && slots[i].set.count != count)
			put_count(b, count = slots[i].set.count);
	for (uint32_t i = 0; i < n; i++)
		if (slots[i].set.count > 0)
			put_values(b, &v, &slots[i].set);
	for (uint32_t i = 0; i < n; i++)
		if (slots[i].set.count > 0 && slots[i].spread.n)
			put_spread(b, &slots[i], steps);
}

static uint32_t get_flags(struct reader *r, uint8_t *flags, uint32_t max)
{
	uint32_t n = 0;
	uint64_t run;
	while (!r->bad && (run = get_number(r))) {
		uint64_t times = run >> 5;
		r->bad |= !times || times > max - n;
		for (uint64_t k = 0; k < times && !r->bad; k++)
			flags[n++] = run & FLAGS;
	}
	return n;
}

bool block_read(struct arena *a, struct str bytes, struct slot *slots, uint32_t max, uint32_t *ret_n, unsigned steps)
{
	uint8_t flags[RUN_MAX];
	struct reader r = {.rest = str_from_at(bytes, 1)};
	struct values v = {0};
	if (!bytes.n || (uint8_t)bytes.p[0] >> 4 != VERSION || max > RUN_MAX)
		return false;
	v.e = (uint8_t)bytes.p[0] & 15;
	uint32_t n = v.e == RAW || v.e <= EXPONENT_MAX ? get_flags(&r, flags, max) : (r.bad = true, 0);
	double count = 1;
	for (uint32_t i = 0; i < n && !r.bad; i++) {
		slots[i] = (struct slot){.unknown = flags[i] & UNKNOWN};
		if ((flags[i] & THERE) && !(flags[i] & SAME_COUNT))
			count = get_count(&r);
		slots[i].set.count = flags[i] & THERE ? count : 0;
	}
	for (uint32_t i = 0; i < n && !r.bad; i++)
		if (flags[i] & THERE)
			get_values(&r, &v, flags[i] & SINGLE, &slots[i].set);
	for (uint32_t i = 0; i < n && !r.bad; i++)
		if ((flags[i] & THERE) && (flags[i] & SPREAD))
			get_spread(&r, a, &slots[i], steps);
	*ret_n = n;
	return !r.bad;
}

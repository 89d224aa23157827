/* One period of one metric: a statistic set, and how its samples are spread, for percentiles. Private to engine/metrics.
 *
 * The spread is a list of counted buckets whose bounds grow by 2 %: bucket i holds (1.02^(i-1), 1.02^i], and a bucket of its own
 * holds zero. A sample is known to within 1 % then, and two spreads are merged by adding up. The roll-ups to five minutes
 * keep four buckets as one, which is within 5 %, as many as AWS's own agents send; those to hours eight, within 9 %. Where all
 * samples were equal there are no buckets, and the value is exact. Negative values and sets that came without their samples have no
 * spread. */
#pragma once
#include "base/buf.h"
#include "engine/metrics/metrics.h"

enum { SLOT_BUCKETS_MAX = 512, SLOT_ZERO = -32768 };

struct slot_bucket {
	int32_t at; /* SLOT_ZERO: zero */
	double count;
};
struct slot_buckets {
	struct slot_bucket *v; /* in order of `at` */
	uint32_t n;
	bool set;
};
struct slot {
	struct metric_set set; /* count 0: an empty slot */
	bool unknown;          /* how the samples are spread */
	struct slot_buckets spread;
};

int32_t slot_bucket_of(double value); /* not negative */
double slot_bucket_value(int32_t at);
/* Is there one value alone? */
static inline bool slot_single(const struct metric_set *s)
{
	return s->min == s->max;
}
struct slot slot_of_set(const struct metric_set *set);
/* Adds one to the other; what is made lies in the arena. */
void slot_merge(struct arena *a, struct slot *into, const struct slot *from);
/* count samples of a value. */
void slot_add(struct arena *a, struct slot *into, double value, double count);

/* --- block.c: many slots as bytes. Steps says how many buckets become one. */
void block_write(struct buf *b, const struct slot *slots, uint32_t n, unsigned steps);
/* False: these are no such bytes. Reads at most max slots, *ret_n are there. */
bool block_read(struct arena *a, struct str bytes, struct slot *slots, uint32_t max, uint32_t *ret_n, unsigned steps);

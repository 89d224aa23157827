#include "engine/metrics/slot.h"

#include <math.h>

#define LN_STEP 0.019802627296179712 /* ln 1.02 */
enum { AT_MAX = 30000 };

int32_t slot_bucket_of(double value)
{
	if (value <= 0)
		return SLOT_ZERO;
	double at = ceil(log(value) / LN_STEP - 1e-9);
	return at > AT_MAX ? AT_MAX : at < -AT_MAX ? -AT_MAX : (int32_t)at;
}

double slot_bucket_value(int32_t at)
{
	return at == SLOT_ZERO ? 0 : exp((at - 0.5) * LN_STEP);
}

struct slot slot_of_set(const struct metric_set *set)
{
	return (struct slot){.set = *set, .unknown = set->min < 0 || !slot_single(set)};
}

/* The list that stands for a slot of one value too. */
static struct slot_buckets spelled(const struct slot *s, struct slot_bucket *room)
{
	if (s->spread.n || s->set.count <= 0)
		return s->spread;
	*room = (struct slot_bucket){slot_bucket_of(s->set.min), s->set.count};
	return (struct slot_buckets){.v = room, .n = 1, .set = true};
}

/* Too many become fewer where values are least, because high percentiles are asked for more than low ones. */
static void shorten(struct slot_buckets *l)
{
	uint32_t over = l->n > SLOT_BUCKETS_MAX ? l->n - SLOT_BUCKETS_MAX : 0;
	for (uint32_t i = 0; i < over; i++)
		l->v[over].count += l->v[i].count;
	if (over)
		memmove(l->v, l->v + over, (l->n -= over) * sizeof(*l->v));
}

static struct slot_buckets merged(struct arena *a, const struct slot_buckets *x, const struct slot_buckets *y)
{
	struct slot_buckets made = {.v = arena_array(a, x->n + y->n + 1, sizeof(struct slot_bucket)), .set = true};
	uint32_t i = 0, k = 0;
	while (i < x->n || k < y->n) {
		bool left = k == y->n || (i < x->n && x->v[i].at <= y->v[k].at);
		const struct slot_bucket *next = left ? &x->v[i++] : &y->v[k++];
		if (made.n && made.v[made.n - 1].at == next->at)
			made.v[made.n - 1].count += next->count;
		else
			made.v[made.n++] = *next;
	}
	shorten(&made);
	return made;
}

static void merge_set(struct metric_set *into, const struct metric_set *s)
{
	into->count += s->count;
	into->sum += s->sum;
	into->min = s->min < into->min ? s->min : into->min;
	into->max = s->max > into->max ? s->max : into->max;
}

/* A sample of a bucket that is there needs no new list. */
static bool counted(struct slot *into, const struct slot_bucket *one)
{
	uint32_t low = 0, high = into->spread.n;
	while (low < high) {
		uint32_t mid = (low + high) / 2;
		if (into->spread.v[mid].at < one->at)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == into->spread.n || into->spread.v[low].at != one->at)
		return false;
	into->spread.v[low].count += one->count;
	return true;
}

void slot_merge(struct arena *a, struct slot *into, const struct slot *from)
{
	if (from->set.count <= 0)
		return;
	if (into->set.count <= 0) {
		*into = *from;
		if (from->spread.n) {
			into->spread.v = arena_array(a, from->spread.n, sizeof(struct slot_bucket));
			memcpy(into->spread.v, from->spread.v, from->spread.n * sizeof(struct slot_bucket));
		}
		return;
	}
	bool unknown = into->unknown || from->unknown || from->set.min < 0 || into->set.min < 0;
	bool same = slot_single(&into->set) && slot_single(&from->set) && into->set.min == from->set.min;
	if (unknown)
		into->spread = (struct slot_buckets){0};
	else if (!same) {
		struct slot_bucket x, y;
		struct slot_buckets theirs = spelled(from, &y);
		if (theirs.n != 1 || !into->spread.n || !counted(into, theirs.v)) {
			struct slot_buckets ours = spelled(into, &x);
			into->spread = merged(a, &ours, &theirs);
		}
	}
	into->unknown = unknown && !same;
	merge_set(&into->set, &from->set);
}

void slot_add(struct arena *a, struct slot *into, double value, double count)
{
	struct slot one = {.set = {.count = count, .sum = value * count, .min = value, .max = value}, .unknown = value < 0};
	slot_merge(a, into, &one);
}

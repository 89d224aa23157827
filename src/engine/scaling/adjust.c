#include "engine/scaling/adjust.h"

#include <math.h>

enum { CAPACITY_MOST = 100000 };

static int64_t bounded(double x)
{
	return x > CAPACITY_MOST ? CAPACITY_MOST : x < 0 ? 0 : (int64_t)x;
}

/* Percents are rounded towards zero, but never to zero. */
static int64_t percent_of(int64_t capacity, int64_t percent)
{
	double change = (double)capacity * (double)percent / 100;
	if (change > 0 && change < 1)
		return 1;
	if (change < 0 && change > -1)
		return -1;
	return (int64_t)change;
}

int64_t adjust_capacity(struct str type, int64_t capacity, int64_t adjustment, int64_t least)
{
	int64_t change = adjustment;
	if (str_is(type, "ExactCapacity"))
		return bounded((double)adjustment);
	if (str_is(type, "PercentChangeInCapacity")) {
		change = percent_of(capacity, adjustment);
		if (least > 0 && change > 0 && change < least)
			change = least;
		if (least > 0 && change < 0 && change > -least)
			change = -least;
	}
	return bounded((double)capacity + (double)change);
}

const struct adjust_step *adjust_find(const struct adjust_step *all, unsigned count, double distance)
{
	for (unsigned i = 0; i < count; i++) {
		const struct adjust_step *s = &all[i];
		if (distance >= 0 ? distance >= s->lower && distance < s->upper : distance > s->lower && distance <= s->upper)
			return s;
	}
	return NULL;
}

const char *adjust_check(const struct adjust_step *all, unsigned count)
{
	unsigned open_below = 0, open_above = 0;
	for (unsigned i = 0; i < count; i++) {
		open_below += isinf(all[i].lower) != 0;
		open_above += isinf(all[i].upper) != 0;
		if (!(all[i].lower < all[i].upper))
			return "The lower bound of a step adjustment must be less than its upper bound";
		for (unsigned k = 0; k < i; k++)
			if (all[i].lower < all[k].upper && all[k].lower < all[i].upper)
				return "Step adjustment intervals cannot overlap";
	}
	if (open_below > 1 || open_above > 1)
		return "At most one step adjustment can have an unspecified lower bound, and one an unspecified upper bound";
	for (unsigned i = 0; i < count; i++) {
		bool next = isinf(all[i].upper) != 0, last = true;
		for (unsigned k = 0; k < count; k++) {
			last &= all[k].lower <= all[i].lower;
			next |= all[k].lower == all[i].upper;
		}
		if (!next && !last)
			return "Step adjustment intervals can't have a gap between them";
	}
	for (unsigned i = 0; i < count; i++)
		if (all[i].lower < 0 && !isinf(all[i].lower) && !open_below)
			return "There must be a step adjustment with an unspecified lower bound when there is a negative lower bound";
	for (unsigned i = 0; i < count; i++)
		if (all[i].upper > 0 && !isinf(all[i].upper) && !open_above)
			return "There must be a step adjustment with an unspecified upper bound when there is a positive upper bound";
	return NULL;
}

int64_t adjust_to_target(int64_t capacity, double value, double target)
{
	/* a hair above a whole number is that number */
	return bounded(ceil((double)capacity * value / target - 1e-9));
}

/* How policies change a capacity: arithmetic, without effects. For the services that scale: EC2 Auto Scaling, Application Auto
 * Scaling. */
#pragma once
#include "base/str.h"

struct adjust_step {
	double lower, upper; /* -INFINITY and INFINITY: unbounded */
	int64_t adjustment;
};
/* ChangeInCapacity, ExactCapacity or PercentChangeInCapacity of a capacity, with the least change (0: none). Not yet within the
 * group's bounds. */
int64_t adjust_capacity(struct str type, int64_t capacity, int64_t adjustment, int64_t least);
/* The step that a metric's distance from the threshold is in; NULL: none. Above the threshold lower bounds are inclusive and upper
 * ones exclusive, below it the other way round. */
const struct adjust_step *adjust_find(const struct adjust_step *all, unsigned count, double distance);
/* Overlapping, with gaps, without order or all unbounded: what is wrong with steps; NULL: nothing. */
const char *adjust_check(const struct adjust_step *all, unsigned count);
/* The capacity with which the metric would be at its target. */
int64_t adjust_to_target(int64_t capacity, double value, double target);

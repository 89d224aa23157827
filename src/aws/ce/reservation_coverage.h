/* Hours of instances that run, by who pays for them: ten-billionths of hours, of units of the size "small", and of USD. Private to
 * aws/ce. */
#pragma once
#include "aws/ce/cost.h"

struct reservation_coverage {
	__int128 demand, reserved;
	__int128 demand_units, reserved_units;
	__int128 usd; /* of those on demand */
};
/* Is the line about what a reservation may cover? Then adds it. What a savings plan covers is neither. */
bool reservation_coverage_add(struct reservation_coverage *to, const struct cost_line *l);

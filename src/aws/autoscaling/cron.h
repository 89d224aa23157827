/* Cron expressions of five fields: minute, hour, day of the month, month, day of the week; UTC. Without effects. */
#pragma once
#include "base/str.h"

struct cron {
	uint64_t minutes;
	uint32_t hours, days, months, weekdays; /* bits; Sunday is 0 */
	bool any_day, any_weekday;              /* where both are given, either is enough */
};
/* Lists, ranges, steps and names as crontab(5) has them. False: it is none. */
bool cron_parse(struct str text, struct cron *ret);
/* The first minute after that time; 0: there is none within five years. */
int64_t cron_next(const struct cron *c, int64_t after_ms);

/* When schedules are due: cron expressions of five fields (crontab's) and of six (AWS's, with a year and ?), rate() and at().
 * Without effects. Used by services that scale by time. */
#pragma once
#include "engine/scaling/zone.h"

struct cron {
	uint64_t minutes;
	uint32_t hours, days, months, weekdays; /* bits; Sunday is 0 */
	bool any_day, any_weekday;              /* where both are given, either is enough */
	uint64_t years[4];                      /* bits from 1970 on; none: every year */
	bool last_day, last_workday;            /* L, LW */
	uint32_t workdays;                      /* nW: the day from Monday to Friday that is next to it in its month */
	uint32_t last_weekdays;                 /* nL: the last such day of the month */
	uint32_t nth_weekdays[5];               /* n#k: the k-th such day */
};
/* Minute, hour, day of the month, month, day of the week; lists, ranges, steps and names as crontab(5) has them. False: it is none.
 */
bool cron_parse(struct str text, struct cron *ret);
/* Minute, hour, day of the month, month, day of the week (1: Sunday), year; one of both days is ?. */
bool cron_parse_years(struct str text, struct cron *ret);
/* The first minute after that time, by the clocks of a zone (NULL: UTC); 0: there is none within nine years or the given years. */
int64_t cron_next(const struct cron *c, const struct zone *z, int64_t after_ms);

/* "at(2026-05-01T12:00:00)", "rate(5 minutes)", "cron(0 12 * * ? *)" */
enum when_kind { WHEN_AT, WHEN_RATE, WHEN_CRON };
struct when {
	enum when_kind kind;
	const struct zone *zone;
	int64_t at_ms, period_ms;
	struct cron cron;
};
bool when_parse(struct str text, const struct zone *z, struct when *ret);
/* The first time after that; rates count from start_ms on. 0: there is none. */
int64_t when_next(const struct when *w, int64_t start_ms, int64_t after_ms);

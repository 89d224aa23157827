#include "cron.h"

#include <time.h>

enum { MINUTE_MS = 60 * 1000, DAYS_MOST = 5 * 366, DAY_S = 24 * 3600 };

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const day_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

static bool number(struct str text, const char *const *names, int64_t base, int64_t *ret)
{
	for (int64_t i = 0; names && names[i]; i++)
		if (str_ieq(text, str_from(names[i]))) {
			*ret = base + i;
			return true;
		}
	return text.n && ascii_is_digit(text.p[0]) && str_to_i64(text, ret);
}

/* One item of a list: *, n, a-b, with /step. */
static bool item(struct str text, int64_t min, int64_t max, const char *const *names, uint64_t *bits)
{
	struct str rest = text, range = str_cut(&rest, '/');
	int64_t from = min, to = max, step = 1;
	if (str_set(rest) && (!str_to_i64(rest, &step) || step < 1))
		return false;
	if (!str_is(range, "*")) {
		struct str end = range, begin = str_cut(&end, '-');
		if (!number(begin, names, min, &from))
			return false;
		to = str_set(rest) ? max : from;
		if (str_set(end) && !number(end, names, min, &to))
			return false;
	}
	if (from < min || to > max || from > to)
		return false;
	for (int64_t i = from; i <= to; i += step)
		*bits |= UINT64_C(1) << i;
	return true;
}

static bool field(struct str text, int64_t min, int64_t max, const char *const *names, uint64_t *ret)
{
	struct str rest = text;
	*ret = 0;
	while (str_set(rest))
		if (!item(str_cut(&rest, ','), min, max, names, ret))
			return false;
	return *ret != 0;
}

bool cron_parse(struct str text, struct cron *ret)
{
	struct str parts[5], rest = str_trim(text);
	uint64_t bits[5];
	unsigned n = 0;
	while (str_set(rest)) {
		struct str part = str_cut(&rest, ' ');
		if (!part.n)
			continue;
		if (n == 5)
			return false;
		parts[n++] = part;
	}
	if (n != 5 || !field(parts[0], 0, 59, NULL, &bits[0]) || !field(parts[1], 0, 23, NULL, &bits[1]) ||
	    !field(parts[2], 1, 31, NULL, &bits[2]) || !field(parts[3], 1, 12, month_names, &bits[3]) ||
	    !field(parts[4], 0, 7, day_names, &bits[4]))
		return false;
	*ret = (struct cron){.minutes = bits[0],
	                     .hours = (uint32_t)bits[1],
	                     .days = (uint32_t)bits[2],
	                     .months = (uint32_t)bits[3],
	                     .weekdays = (uint32_t)(bits[4] | (bits[4] >> 7 & 1)),
	                     .any_day = parts[2].p[0] == '*',
	                     .any_weekday = parts[4].p[0] == '*'};
	return true;
}

static bool day_fits(const struct cron *c, const struct tm *t)
{
	bool day = c->days >> t->tm_mday & 1, weekday = c->weekdays >> t->tm_wday & 1;
	if (!(c->months >> (t->tm_mon + 1) & 1))
		return false;
	return c->any_day || c->any_weekday ? day && weekday : day || weekday;
}

int64_t cron_next(const struct cron *c, int64_t after_ms)
{
	int64_t first = after_ms / MINUTE_MS * 60 + 60; /* seconds */
	time_t day = first / DAY_S * DAY_S;
	for (int i = 0; i < DAYS_MOST; i++, day += DAY_S) {
		struct tm t;
		gmtime_r(&day, &t);
		if (!day_fits(c, &t))
			continue;
		for (int m = 0; m < 24 * 60; m++)
			if (day + m * 60 >= first && c->hours >> (m / 60) & 1 && c->minutes >> (m % 60) & 1)
				return (day + m * 60) * 1000;
	}
	return 0;
}

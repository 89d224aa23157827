#include "engine/scaling/cron.h"

#include "base/clock.h"

#include <time.h>

enum { YEARS_MOST = 9, FIRST_YEAR = 1970, LAST_YEAR = 2199, DAY_S = 24 * 3600 };

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

/* The parts of an expression; false: it has not so many. */
static bool split(struct str text, struct str *parts, unsigned count)
{
	struct str rest = str_trim(text);
	unsigned n = 0;
	while (str_set(rest)) {
		struct str part = str_cut(&rest, ' ');
		if (!part.n)
			continue;
		if (n == count)
			return false;
		parts[n++] = part;
	}
	return n == count;
}

bool cron_parse(struct str text, struct cron *ret)
{
	struct str parts[5];
	uint64_t bits[5];
	if (!split(text, parts, 5) || !field(parts[0], 0, 59, NULL, &bits[0]) || !field(parts[1], 0, 23, NULL, &bits[1]) ||
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

/* --- AWS's form */

static bool parse_days(struct str text, struct cron *c)
{
	struct str rest = text;
	int64_t n;
	while (str_set(rest)) {
		struct str part = str_cut(&rest, ',');
		uint64_t bits = 0;
		if (str_is(part, "L"))
			c->last_day = true;
		else if (str_is(part, "LW"))
			c->last_workday = true;
		else if (part.n > 1 && str_ends(part, S("W")) && str_to_i64(str_sub(part, 0, part.n - 1), &n) && n >= 1 && n <= 31)
			c->workdays |= UINT32_C(1) << n;
		else if (item(part, 1, 31, NULL, &bits))
			c->days |= (uint32_t)bits;
		else
			return false;
	}
	return true;
}

static bool one_weekday(struct str text, unsigned *ret)
{
	int64_t n;
	if (!number(text, day_names, 1, &n) || n < 1 || n > 7)
		return false;
	*ret = (unsigned)n - 1;
	return true;
}

static bool parse_weekdays(struct str text, struct cron *c)
{
	struct str rest = text;
	while (str_set(rest)) {
		struct str part = str_cut(&rest, ','), nth = part, day = str_cut(&nth, '#');
		uint64_t bits = 0;
		unsigned n;
		int64_t k;
		if (str_set(nth)) {
			if (!one_weekday(day, &n) || !str_to_i64(nth, &k) || k < 1 || k > 5)
				return false;
			c->nth_weekdays[k - 1] |= UINT32_C(1) << n;
		} else if (str_is(part, "L")) {
			c->weekdays |= 1 << 6; /* the last day of the week */
		} else if (part.n > 1 && str_ends(part, S("L")) && one_weekday(str_sub(part, 0, part.n - 1), &n)) {
			c->last_weekdays |= UINT32_C(1) << n;
		} else if (item(part, 1, 7, day_names, &bits)) {
			c->weekdays |= (uint32_t)(bits >> 1);
		} else {
			return false;
		}
	}
	return true;
}

static bool parse_years(struct str text, struct cron *c)
{
	struct str rest = text;
	if (str_is(text, "*"))
		return true;
	while (str_set(rest)) {
		struct str part = str_cut(&rest, ','), steps = part, range = str_cut(&steps, '/');
		struct str to_text = range, from_text = str_cut(&to_text, '-');
		int64_t from = FIRST_YEAR, to = LAST_YEAR, step = 1;
		if (str_set(steps) && (!str_to_i64(steps, &step) || step < 1))
			return false;
		if (!str_is(range, "*")) {
			if (!str_to_i64(from_text, &from))
				return false;
			to = str_set(steps) ? LAST_YEAR : from;
			if (str_set(to_text) && !str_to_i64(to_text, &to))
				return false;
		}
		if (from < FIRST_YEAR || to > LAST_YEAR || from > to)
			return false;
		for (int64_t y = from - FIRST_YEAR; y <= to - FIRST_YEAR; y += step)
			c->years[y / 64] |= UINT64_C(1) << (y % 64);
	}
	return true;
}

bool cron_parse_years(struct str text, struct cron *ret)
{
	struct str parts[6];
	uint64_t bits[3];
	struct cron c = {0};
	if (!split(text, parts, 6) || !field(parts[0], 0, 59, NULL, &bits[0]) || !field(parts[1], 0, 23, NULL, &bits[1]) ||
	    !field(parts[3], 1, 12, month_names, &bits[2]))
		return false;
	c.minutes = bits[0];
	c.hours = (uint32_t)bits[1];
	c.months = (uint32_t)bits[2];
	c.any_day = str_is(parts[2], "?") || str_is(parts[2], "*");
	c.any_weekday = str_is(parts[4], "?") || str_is(parts[4], "*");
	if (str_is(parts[2], "?") == str_is(parts[4], "?"))
		return false;
	if (c.any_day)
		c.days = UINT32_MAX;
	else if (!parse_days(parts[2], &c))
		return false;
	if (c.any_weekday)
		c.weekdays = UINT32_MAX;
	else if (!parse_weekdays(parts[4], &c))
		return false;
	if (!parse_years(parts[5], &c))
		return false;
	*ret = c;
	return true;
}

/* --- days */

static int days_in(const struct tm *t)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int y = t->tm_year + 1900;
	return days[t->tm_mon] + (t->tm_mon == 1 && y % 4 == 0 && (y % 100 != 0 || y % 400 == 0));
}

/* The day of the month from Monday to Friday that is next to this one. */
static int workday_at(const struct tm *t, int day)
{
	int weekday = (t->tm_wday + (day - t->tm_mday) % 7 + 7) % 7, last = days_in(t);
	if (weekday == 6)
		return day > 1 ? day - 1 : day + 2;
	if (weekday == 0)
		return day < last ? day + 1 : day - 2;
	return day;
}

static bool special_day(const struct cron *c, const struct tm *t)
{
	int last = days_in(t), end = last;
	for (int d = 1; c->workdays && d <= last; d++)
		if (c->workdays >> d & 1 && workday_at(t, d) == t->tm_mday)
			return true;
	if (c->last_day && t->tm_mday == last)
		return true;
	for (int weekday = (t->tm_wday + (last - t->tm_mday)) % 7; weekday == 0 || weekday == 6; weekday = (weekday + 6) % 7)
		end--;
	return c->last_workday && t->tm_mday == end;
}

static bool special_weekday(const struct cron *c, const struct tm *t)
{
	if (c->last_weekdays >> t->tm_wday & 1 && t->tm_mday + 7 > days_in(t))
		return true;
	return c->nth_weekdays[(t->tm_mday - 1) / 7] >> t->tm_wday & 1;
}

static bool in_years(const struct cron *c, int year)
{
	int at = year - FIRST_YEAR;
	if (!(c->years[0] | c->years[1] | c->years[2] | c->years[3]))
		return true;
	return at >= 0 && year <= LAST_YEAR && c->years[at / 64] >> (at % 64) & 1;
}

static bool day_fits(const struct cron *c, const struct tm *t)
{
	bool day = c->days >> t->tm_mday & 1 || special_day(c, t);
	bool weekday = c->weekdays >> t->tm_wday & 1 || special_weekday(c, t);
	if (!(c->months >> (t->tm_mon + 1) & 1) || !in_years(c, t->tm_year + 1900))
		return false;
	return c->any_day || c->any_weekday ? day && weekday : day || weekday;
}

static int last_year(const struct cron *c, int from)
{
	int last = 0;
	for (int y = FIRST_YEAR; y <= LAST_YEAR; y++)
		last = in_years(c, y) ? y : last;
	return c->years[0] | c->years[1] | c->years[2] | c->years[3] ? last : from + YEARS_MOST;
}

int64_t cron_next(const struct cron *c, const struct zone *z, int64_t after_ms)
{
	int64_t after = after_ms / 1000, local = after + zone_offset_s(z, after);
	time_t day = (local / DAY_S - 1) * DAY_S;
	struct tm t;
	gmtime_r(&day, &t);
	for (int end = last_year(c, t.tm_year + 1900); t.tm_year + 1900 <= end; day += DAY_S, gmtime_r(&day, &t)) {
		if (!day_fits(c, &t))
			continue;
		for (int m = 0; m < 24 * 60; m++) {
			if (!(c->hours >> (m / 60) & 1 && c->minutes >> (m % 60) & 1))
				continue;
			int64_t at = zone_to_utc_s(z, day + m * 60);
			if (at * 1000 > after_ms)
				return at * 1000;
		}
	}
	return 0;
}

/* --- rate() and at() */

static bool within(struct str text, struct str head, struct str *ret)
{
	if (!str_starts(text, head) || !str_ends(text, S(")")))
		return false;
	*ret = str_sub(text, head.n, text.n - head.n - 1);
	return true;
}

static bool parse_rate(struct str text, int64_t *ret_ms)
{
	static const struct {
		const char *one, *many;
		int64_t ms;
	} units[] = {{"minute", "minutes", 60000}, {"hour", "hours", 3600000}, {"day", "days", 86400000}};
	struct str unit = text, count = str_cut(&unit, ' ');
	int64_t n;
	if (!str_to_i64(count, &n) || n < 1 || n > 1000000)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (str_is(unit, n == 1 ? units[i].one : units[i].many)) {
			*ret_ms = n * units[i].ms;
			return true;
		}
	return false;
}

bool when_parse(struct str text, const struct zone *z, struct when *ret)
{
	struct when w = {.zone = z};
	struct str in;
	int64_t ms;
	if (within(text, S("cron("), &in)) {
		w.kind = WHEN_CRON;
		if (!cron_parse_years(in, &w.cron))
			return false;
	} else if (within(text, S("rate("), &in)) {
		w.kind = WHEN_RATE;
		if (!parse_rate(in, &w.period_ms))
			return false;
	} else if (within(text, S("at("), &in)) { /* as clocks show it there: yyyy-mm-ddThh:mm:ss */
		if (in.n != S("2026-01-01T00:00:00").n || !time_parse(in, &ms))
			return false;
		w.at_ms = zone_to_utc_s(z, ms / 1000) * 1000;
	} else {
		return false;
	}
	*ret = w;
	return true;
}

int64_t when_next(const struct when *w, int64_t start_ms, int64_t after_ms)
{
	int64_t from = start_ms - 1 > after_ms ? start_ms - 1 : after_ms;
	if (w->kind == WHEN_AT)
		return w->at_ms > after_ms ? w->at_ms : 0;
	if (w->kind == WHEN_CRON)
		return cron_next(&w->cron, w->zone, from);
	return from < start_ms ? start_ms : start_ms + ((from - start_ms) / w->period_ms + 1) * w->period_ms;
}

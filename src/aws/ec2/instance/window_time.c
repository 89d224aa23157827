/* The hours of an event window, without effects. Ranges and cron expressions are two ways to say the same: which of the 168 hours
 * of a week are open. */
#include "aws/ec2/instance/event_window.h"

#include <string.h>

enum { HOUR_MS = 3600 * 1000, LEAST_HOURS = 4, LEAST_RUN = 2, SUNDAY = 3 /* days from 1 January 1970 to the first one */ };

static const char *const days[] = {"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"};

static int day_named(struct str name, bool in_short)
{
	for (int i = 0; i < 7; i++) {
		struct str day = str_from(days[i]);
		if (in_short ? str_ieq(name, str_sub(day, 0, 3)) : str_eq(name, day))
			return i;
	}
	return -1;
}

static const char *add_range(const struct ec2_instance_event_window_time_range *r, bool open[WINDOW_HOURS])
{
	int from = day_named(r->start_week_day, false), to = day_named(r->end_week_day, false);
	if (from < 0 || to < 0)
		return "A day of the week is not valid.";
	if (!r->start_hour.set || !r->end_hour.set || r->start_hour.v < 0 || r->start_hour.v > 23 || r->end_hour.v < 0 ||
	    r->end_hour.v > 23)
		return "An hour is not valid.";
	int at = from * 24 + (int)r->start_hour.v, end = to * 24 + (int)r->end_hour.v, n = (end - at + WINDOW_HOURS) % WINDOW_HOURS;
	if (n < LEAST_RUN)
		return "Each time range must be at least 2 hours.";
	for (int i = 0; i < n; i++)
		open[(at + i) % WINDOW_HOURS] = true;
	return NULL;
}

/* --- cron: "* 0-4,20-23 * * 1,5" */

/* The part before the first of these characters; *rest goes on behind it. */
static struct str next_part(struct str *rest, char end)
{
	int64_t at = str_find_char(*rest, end);
	struct str part = at < 0 ? *rest : str_sub(*rest, 0, (size_t)at);
	*rest = at < 0 ? STR_NONE : str_from_at(*rest, (size_t)at + 1);
	return part;
}

static int number_of(struct str text, int most)
{
	uint64_t n;
	return text.n && text.n <= 2 && str_to_u64(text, &n) && n <= (uint64_t)most ? (int)n : -1;
}

static bool read_hours(struct str text, bool hours[24])
{
	if (str_is(text, "*")) {
		memset(hours, true, 24);
		return true;
	}
	while (str_set(text)) {
		struct str range = next_part(&text, ',');
		int from = number_of(next_part(&range, '-'), 23), to = str_set(range) ? number_of(range, 23) : -1;
		if (from < 0 || to - from < LEAST_RUN)
			return false;
		for (int i = from; i < to; i++)
			hours[i] = true;
	}
	return true;
}

static int cron_day(struct str text)
{
	int n = number_of(text, 6);
	return n < 0 ? day_named(text, true) : n;
}

static bool read_days(struct str text, bool list[7])
{
	if (str_is(text, "*")) {
		memset(list, true, 7);
		return true;
	}
	while (str_set(text)) {
		struct str range = next_part(&text, ',');
		int from = cron_day(next_part(&range, '-')), to = str_set(range) ? cron_day(range) : from;
		if (from < 0 || to < from)
			return false;
		for (int i = from; i <= to; i++)
			list[i] = true;
	}
	return true;
}

static const char *add_cron(struct str cron, bool open[WINDOW_HOURS])
{
	bool hours[24] = {false}, list[7] = {false};
	struct str minute = next_part(&cron, ' '), hour = next_part(&cron, ' '), day = next_part(&cron, ' '),
	           month = next_part(&cron, ' ');
	if (!str_is(minute, "*") || !str_is(day, "*") || !str_is(month, "*") || !str_set(hour) || !str_set(cron) ||
	    !read_hours(hour, hours) || !read_days(cron, list))
		return "The cron expression is not valid.";
	for (int d = 0; d < 7; d++)
		for (int h = 0; h < 24; h++)
			open[d * 24 + h] = list[d] && hours[h];
	return NULL;
}

const char *window_hours(const struct ec2_instance_event_window *w, bool ret_open[WINDOW_HOURS])
{
	const char *wrong = NULL;
	int n = 0;
	memset(ret_open, false, WINDOW_HOURS);
	if (str_set(w->cron_expression) && w->cron_expression.n)
		wrong = add_cron(w->cron_expression, ret_open);
	for (uint32_t i = 0; i < w->time_ranges.n && !wrong; i++)
		wrong = add_range(&w->time_ranges.v[i], ret_open);
	for (int i = 0; i < WINDOW_HOURS; i++)
		n += ret_open[i];
	if (!wrong && n < LEAST_HOURS)
		wrong = "The combined time ranges in the event window must be at least 4 hours.";
	return wrong;
}

int64_t window_next(const bool open[WINDOW_HOURS], int64_t at_ms)
{
	int64_t hour = at_ms / HOUR_MS;
	for (int i = 0; i < WINDOW_HOURS; i++) {
		int64_t in_week = (hour + i - SUNDAY * 24 + WINDOW_HOURS) % WINDOW_HOURS;
		if (open[in_week])
			return i ? (hour + i) * HOUR_MS : at_ms;
	}
	return at_ms;
}

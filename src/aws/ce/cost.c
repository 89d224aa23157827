#include "aws/ce/cost.h"

#include "core/cloud.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

/* --- days and months */

static struct tm civil(int64_t day)
{
	time_t at = (time_t)(day * 86400);
	struct tm tm;
	gmtime_r(&at, &tm);
	return tm;
}

static int64_t day_of(int year, int month, int mday)
{
	struct tm tm = {.tm_year = year, .tm_mon = month, .tm_mday = mday};
	return timegm(&tm) / 86400;
}

int64_t cost_month_start(int64_t day)
{
	struct tm tm = civil(day);
	return day - tm.tm_mday + 1;
}

int cost_month_of(int64_t day)
{
	return civil(day).tm_mon + 1;
}

int64_t cost_month_end(int64_t day)
{
	struct tm tm = civil(day);
	return day_of(tm.tm_year, tm.tm_mon + 1, 1);
}

struct str cost_day_text(struct arena *a, int64_t day)
{
	struct tm tm = civil(day);
	return arena_printf(a, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
}

bool cost_day_parse(struct str text, int64_t *ret_day)
{
	int64_t year, month, mday;
	if (text.n != 10 || text.p[4] != '-' || text.p[7] != '-' || !str_to_i64(str_sub(text, 0, 4), &year) ||
	    !str_to_i64(str_sub(text, 5, 2), &month) || !str_to_i64(str_sub(text, 8, 2), &mday))
		return false;
	int64_t day = day_of((int)year - 1900, (int)month - 1, (int)mday);
	struct tm tm = civil(day);
	if (year < 1970 || tm.tm_year + 1900 != year || tm.tm_mon + 1 != month || tm.tm_mday != mday)
		return false;
	*ret_day = day;
	return true;
}

/* --- refusals */

int cost_invalid(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str message = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "ValidationException", 400, "%.*s", STR_ARG(message));
}

/* "2026-11-28", and "2026-11-28T13:00:00Z" where hours are told apart. */
static bool hour_parse(struct str text, bool hourly, int64_t *ret)
{
	int64_t day, hour = 0;
	if (!cost_day_parse(hourly ? str_sub(text, 0, 10) : text, &day))
		return false;
	if (hourly && (text.n != 20 || text.p[10] != 'T' || !str_is(str_from_at(text, 13), ":00:00Z") ||
	               !str_to_i64(str_sub(text, 11, 2), &hour) || hour < 0 || hour > 23))
		return false;
	*ret = day * 24 + hour;
	return true;
}

int cost_period(struct call *c, const struct ce_date_interval *i, struct str granularity, struct cost_period *ret)
{
	struct cost_period p = {.granularity = str_is(granularity, "HOURLY")    ? COST_HOURLY
	                                       : str_is(granularity, "MONTHLY") ? COST_MONTHLY
	                                                                        : COST_DAILY};
	bool hourly = p.granularity == COST_HOURLY;
	const char *form = hourly ? "yyyy-MM-ddTHH:00:00Z" : "yyyy-MM-dd";
	int64_t now = c->now_ms / METER_HOUR_MS;
	if (!hour_parse(i->start, hourly, &p.from))
		return cost_invalid(c, "Start time %.*s is invalid. Valid format is: %s.", STR_ARG(i->start), form);
	if (!hour_parse(i->end, hourly, &p.to))
		return cost_invalid(c, "End time %.*s is invalid. Valid format is: %s.", STR_ARG(i->end), form);
	if (p.from >= p.to)
		return cost_invalid(c, "Start date (and hour) should be before end date (and hour)");
	if (p.from / 24 < now / 24 - METER_DAYS)
		return cost_invalid(c, "You haven't enabled historical data beyond 14 months");
	if (hourly && p.from < now - METER_HOUR_DAYS * 24)
		return cost_invalid(c, "Hourly data is only available for the last %d days", METER_HOUR_DAYS);
	if (p.to / 24 > now / 24 + 366)
		return cost_invalid(c, "End date is more than a year from now");
	*ret = p;
	return CALL_OK;
}

int64_t cost_part_end(const struct cost_period *p, int64_t from)
{
	int64_t end = p->granularity == COST_HOURLY  ? from + 1
	              : p->granularity == COST_DAILY ? from + 24
	                                             : cost_month_end(from / 24) * 24;
	return end < p->to ? end : p->to;
}

struct str cost_time_text(struct arena *a, const struct cost_period *p, int64_t hour)
{
	struct str day = cost_day_text(a, hour / 24);
	return p->granularity == COST_HOURLY ? arena_printf(a, "%.*sT%02d:00:00Z", STR_ARG(day), (int)(hour % 24)) : day;
}

int cost_view(struct call *c, struct str arn)
{
	struct str primary = ARENA_CAT(c->arena, S("arn:aws:billing::"), c->account, S(":billingview/primary"));
	if (!str_set(arn) || str_eq(arn, primary))
		return CALL_OK;
	return call_fail(c, "ResourceNotFoundException", 400, "The billing view %.*s does not exist.", STR_ARG(arn));
}

struct cost_scope cost_scope(struct call *c)
{
	return (struct cost_scope){call_txn(c), c->arena, c->cloud->prices, c->account, c->now_ms};
}

struct cost_lines cost_bill(const struct cost_scope *s, const struct meter_lines *used, int64_t from_day)
{
	return cost_fold(s->arena, s->prices, s->account, used, from_day);
}

/* The days of the month before count for its tiers; of the last, those hours that the period has. */
struct cost_lines cost_read(const struct cost_scope *s, enum meter_detail detail, const struct cost_period *p)
{
	int64_t from_day = p->from / 24, month = cost_month_start(from_day);
	struct meter_lines used;
	if (p->granularity != COST_HOURLY) {
		used = meter_read(s->txn, s->arena, s->account, detail, month, p->to / 24, s->now_ms);
		return cost_bill(s, &used, from_day);
	}
	used = meter_read(s->txn, s->arena, s->account, METER_PLAIN, month, from_day, s->now_ms);
	struct meter_lines hours = meter_read_hours(s->txn, s->arena, s->account, from_day * 24, p->to, s->now_ms);
	for (uint32_t i = 0; i < hours.n; i++)
		*LIST_ADD(s->arena, &used) = hours.v[i];
	struct cost_lines all = cost_bill(s, &used, from_day), asked = {0};
	for (uint32_t i = 0; i < all.n; i++)
		if (cost_line_hour(&all.v[i]) >= p->from)
			*LIST_ADD(s->arena, &asked) = all.v[i];
	return asked;
}

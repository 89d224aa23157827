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

int cost_period(struct call *c, const struct ce_date_interval *i, int64_t *ret_from, int64_t *ret_to)
{
	int64_t from, to;
	if (!cost_day_parse(i->start, &from))
		return cost_invalid(c, "Start time %.*s is invalid. Valid format is: yyyy-MM-dd.", STR_ARG(i->start));
	if (!cost_day_parse(i->end, &to))
		return cost_invalid(c, "End time %.*s is invalid. Valid format is: yyyy-MM-dd.", STR_ARG(i->end));
	if (from >= to)
		return cost_invalid(c, "Start date (and hour) should be before end date (and hour)");
	if (from < c->now_ms / METER_DAY_MS - METER_DAYS)
		return cost_invalid(c, "You haven't enabled historical data beyond 14 months");
	if (to > c->now_ms / METER_DAY_MS + 366)
		return cost_invalid(c, "End date is more than a year from now");
	*ret_from = from;
	*ret_to = to;
	return CALL_OK;
}

int cost_granularity(struct call *c, struct str granularity)
{
	if (str_is(granularity, "DAILY") || str_is(granularity, "MONTHLY"))
		return CALL_OK;
	return call_fail(c, "DataUnavailableException", 400, "Usage is kept by the day: the granularity is DAILY or MONTHLY.");
}

int cost_view(struct call *c, struct str arn)
{
	struct str primary = ARENA_CAT(c->arena, S("arn:aws:billing::"), c->account, S(":billingview/primary"));
	if (!str_set(arn) || str_eq(arn, primary))
		return CALL_OK;
	return call_fail(c, "ResourceNotFoundException", 400, "The billing view %.*s does not exist.", STR_ARG(arn));
}

struct cost_lines cost_read(struct call *c, int64_t from_day, int64_t to_day, int64_t now_ms)
{
	struct meter_lines used = meter_read(call_txn(c), c->arena, c->account, cost_month_start(from_day), to_day, now_ms);
	return cost_fold(c->arena, c->cloud->prices, c->account, &used, from_day);
}

struct cost_lines cost_read_resources(struct call *c, int64_t from_day, int64_t to_day)
{
	struct meter_lines used =
	        meter_read_resources(call_txn(c), c->arena, c->account, cost_month_start(from_day), to_day, c->now_ms);
	return cost_fold(c->arena, c->cloud->prices, c->account, &used, from_day);
}

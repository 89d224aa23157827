#include "aws/ce/cost.h"

#include "aws/savingsplans/savingsplans.h"
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
	return (struct cost_scope){call_txn(c), c->arena, c->cloud->prices, c->account, c->now_ms, NULL};
}

/* Two lists by time become one. */
static struct cost_lines merged(struct arena *a, const struct cost_lines *x, const struct cost_lines *y, int64_t from_day)
{
	struct cost_lines all = {0};
	uint32_t i = 0, k = 0;
	while (i < x->n || k < y->n) {
		bool first = k == y->n || (i < x->n && cost_line_hour(&x->v[i]) <= cost_line_hour(&y->v[k]));
		const struct cost_line *l = first ? &x->v[i++] : &y->v[k++];
		if (l->day >= from_day)
			*LIST_ADD(a, &all) = *l;
	}
	return all;
}

static struct cost_lines bill(const struct cost_scope *s, const struct meter_lines *used, struct cost_cover_question *q)
{
	struct meter_commitments commitments = meter_commitments(s->txn, s->arena, s->account);
	struct savings_plans *plans = arena_new(s->arena, struct savings_plans);
	struct cost_lines fees = {0};
	int64_t from_day = q->from_day;
	*plans = savings_plans_read(s->txn, s->arena, s->account);
	if (s->tried)
		*LIST_ADD(s->arena, plans) = *s->tried;
	if (!commitments.n && !plans->n)
		return cost_fold(s->arena, s->prices, s->account, used, from_day, NULL);
	q->from_day = cost_month_start(from_day);
	struct meter_lines hours = meter_read_hours(s->txn, s->arena, s->account, q->from_day * 24, q->to_day * 24, q->now_ms);
	q->commitments = &commitments;
	q->plans = plans;
	q->book = s->prices;
	q->hours = &hours;
	struct cost_covers covers = cost_cover(s->arena, s->account, q, &fees);
	struct cost_lines lines = cost_fold(s->arena, s->prices, s->account, used, from_day, &covers);
	return merged(s->arena, &lines, &fees, from_day);
}

struct cost_lines cost_bill(const struct cost_scope *s, const struct meter_lines *used, int64_t from_day, int64_t to_day,
                            int64_t now_ms)
{
	return bill(s, used, &(struct cost_cover_question){.from_day = from_day, .to_day = to_day, .now_ms = now_ms});
}

/* The days of the month before count for its tiers; of the last, those hours that the period has. */
struct cost_lines cost_read(const struct cost_scope *s, enum meter_detail detail, const struct cost_period *p)
{
	int64_t from_day = p->from / 24, month = cost_month_start(from_day);
	struct meter_lines used;
	if (p->granularity != COST_HOURLY) {
		used = meter_read(s->txn, s->arena, s->account, detail, month, p->to / 24, s->now_ms);
		return cost_bill(s, &used, from_day, p->to / 24, s->now_ms);
	}
	used = meter_read(s->txn, s->arena, s->account, METER_PLAIN, month, from_day, s->now_ms);
	struct meter_lines hours = meter_read_hours(s->txn, s->arena, s->account, from_day * 24, p->to, s->now_ms);
	for (uint32_t i = 0; i < hours.n; i++)
		*LIST_ADD(s->arena, &used) = hours.v[i];
	struct cost_cover_question q = {.from_day = from_day, .to_day = (p->to + 23) / 24, .now_ms = s->now_ms, .hourly = true};
	struct cost_lines all = bill(s, &used, &q), asked = {0};
	for (uint32_t i = 0; i < all.n; i++)
		if (cost_line_hour(&all.v[i]) >= p->from && cost_line_hour(&all.v[i]) < p->to)
			*LIST_ADD(s->arena, &asked) = all.v[i];
	return asked;
}

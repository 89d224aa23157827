/* Reserved instances against usage, hour by hour as AWS applies them.
 *
 * A regional reservation of Linux covers its whole family: it is so many units of the smallest size, and covers from the smallest
 * size of what runs to the largest; sizes that have no units are covered by reservations of the same type alone. What nothing uses
 * in an hour is lost. Units are hundredths of the small size, times milliseconds, so all of it is exact. A fee is due for the whole
 * month at its beginning (or the reservation's); amortized, it is shared out among what it covers, and the rest is a line of its
 * own. */
#include "aws/ce/cover.h"

#include <stdlib.h>

enum { HOUR_MS = 3600000 };

/* A commitment, and how much of the day (or hour) at hand it has covered so far. */
struct pool {
	const struct meter_commitment *c;
	int64_t size_e2; /* 1: its own type alone */
	bool flexible;
	int64_t at; /* the day or hour */
	__int128 used;
};
static struct str family(struct str type)
{
	return str_cut(&type, '.');
}

/* So many units cost so much, rounded once. */
static __int128 fee_e10(const struct pool *p, __int128 units)
{
	__int128 by = (__int128)p->size_e2 * HOUR_MS * 100;
	return (units * p->c->price_e12 + by / 2) / by;
}

static int64_t overlap(const struct meter_commitment *c, int64_t from_ms, int64_t to_ms)
{
	int64_t from = c->from_ms > from_ms ? c->from_ms : from_ms, to = c->to_ms < to_ms ? c->to_ms : to_ms;
	return to > from ? to - from : 0;
}

static __int128 units(const struct pool *p, int64_t from_ms, int64_t to_ms)
{
	return (__int128)p->c->count * overlap(p->c, from_ms, to_ms) * p->size_e2;
}

static int by_size(const void *x, const void *y)
{
	const struct cost_run *a = x, *b = y;
	return a->size_e2 != b->size_e2 ? (a->size_e2 < b->size_e2 ? -1 : 1) : str_cmp(a->usage, b->usage);
}

/* What commitments may cover of one hour, from line `at` on; returns the first line behind it. */
static uint32_t take_hour(struct arena *a, const struct meter_lines *hours, uint32_t at, struct cost_runs *ret)
{
	const struct meter_line *first = &hours->v[at];
	for (; at < hours->n && hours->v[at].day == first->day && hours->v[at].hour == first->hour; at++) {
		const struct meter_line *l = &hours->v[at];
		struct cost_run *r = NULL;
		bool box = str_starts(l->usage, S("BoxUsage:"));
		if (!box && !meter_hours_last(l->usage))
			continue;
		for (uint32_t i = 0; i < ret->n && !r; i++)
			if (str_eq(ret->v[i].usage, l->usage) && str_eq(ret->v[i].region, l->region))
				r = &ret->v[i];
		if (!r) {
			r = LIST_ADD(a, ret);
			*r = (struct cost_run){
			        .region = l->region, .usage = l->usage, .type = box ? str_from_at(l->usage, 9) : S("")};
			r->size_e2 = box ? cost_size_e2(r->type) : 0;
		}
		r->left += l->amount;
	}
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_size);
	return at;
}

struct cost_cover *cost_cover_of(struct arena *a, struct cost_covers *covers, const struct cost_cover *wanted)
{
	for (uint32_t i = covers->n; i > 0; i--) {
		struct cost_cover *c = &covers->v[i - 1];
		if (c->day != wanted->day || c->hour != wanted->hour)
			break;
		if (str_eq(c->usage, wanted->usage) && str_eq(c->region, wanted->region) &&
		    str_eq(c->reservation, wanted->reservation) && c->plan == wanted->plan)
			return c;
	}
	struct cost_cover *made = LIST_ADD(a, covers);
	*made = *wanted;
	return made;
}

static bool fits(const struct pool *p, const struct cost_run *r)
{
	if (!str_eq(p->c->region, r->region))
		return false;
	return p->flexible ? r->size_e2 > 0 && str_eq(family(p->c->instance_type), family(r->type))
	                   : str_eq(p->c->instance_type, r->type);
}

static void cover_hour(struct arena *a, const struct cost_cover_question *q, struct pool *p, int64_t hour, struct cost_runs *runs,
                       struct cost_covers *covers)
{
	int64_t span = q->hourly ? hour : hour / 24;
	__int128 left = units(p, hour * HOUR_MS, (hour + 1) * HOUR_MS);
	if (p->at != span)
		p->used = 0;
	p->at = span;
	for (uint32_t i = 0; i < runs->n && left > 0; i++) {
		struct cost_run *r = &runs->v[i];
		int64_t size = p->flexible ? r->size_e2 : 1;
		if (!fits(p, r) || r->left <= 0)
			continue;
		int64_t ms = left / size < r->left ? (int64_t)(left / size) : r->left;
		if (ms <= 0)
			continue;
		const struct cost_cover wanted = {.day = hour / 24,
		                                  .hour = q->hourly ? hour % 24 : 0,
		                                  .region = r->region,
		                                  .usage = r->usage,
		                                  .reservation = p->c->id};
		struct cost_cover *c = cost_cover_of(a, covers, &wanted);
		__int128 before = fee_e10(p, p->used);
		p->used += (__int128)ms * size;
		c->amount += ms;
		c->fee_e10 += fee_e10(p, p->used) - before;
		r->left -= ms;
		left -= (__int128)ms * size;
	}
}

/* --- fees */

static void add_fee(struct arena *a, struct str account, const struct pool *p, int64_t hour, struct cost_lines *fees,
                    const struct cost_line *amounts)
{
	struct str usage = ARENA_CAT(a, S("HeavyUsage:"), p->c->instance_type);
	const struct price *price = price_find(usage);
	struct cost_line *l = price ? LIST_ADD(a, fees) : NULL;
	if (!l)
		return;
	*l = *amounts;
	l->day = hour / 24;
	l->hour = hour % 24;
	l->region = p->c->region;
	l->account = account;
	l->usage_type = price_usage_type(a, p->c->region, usage);
	l->record = "RIFee";
	l->reservation = p->c->id;
	l->price = price;
}

/* What a month costs, where it begins. */
static void add_months(struct arena *a, struct str account, const struct cost_cover_question *q, const struct pool *p,
                       struct cost_lines *fees)
{
	for (int64_t day = cost_month_start(q->from_day); day < q->to_day; day = cost_month_end(day)) {
		int64_t from_ms = day * METER_DAY_MS, to_ms = cost_month_end(day) * METER_DAY_MS;
		int64_t first = p->c->from_ms > from_ms ? p->c->from_ms : from_ms;
		__int128 due = units(p, from_ms, to_ms);
		if (due <= 0 || first > q->now_ms || first / METER_DAY_MS >= q->to_day)
			continue;
		__int128 by = (__int128)p->size_e2 * HOUR_MS, e10 = INT64_C(10000000000);
		const struct cost_line amounts = {.usd_e10 = fee_e10(p, due),
		                                  .quantity_e10 = due / by * e10 + (due % by * e10 + by / 2) / by};
		add_fee(a, account, p, q->hourly ? first / HOUR_MS : first / METER_DAY_MS * 24, fees, &amounts);
	}
}

/* What of a day (or hour) nothing has used. */
static void add_unused(struct arena *a, struct str account, const struct cost_cover_question *q, const struct pool *p,
                       const struct cost_covers *covers, struct cost_lines *fees)
{
	int64_t step = q->hourly ? 1 : 24, to = q->now_ms < p->c->to_ms ? q->now_ms : p->c->to_ms;
	int64_t from = p->c->from_ms / HOUR_MS / step * step;
	uint32_t at = 0;
	if (from < q->from_day * 24)
		from = q->from_day * 24;
	for (int64_t hour = from; hour < q->to_day * 24 && hour * HOUR_MS < to; hour += step) {
		int64_t end = (hour + step) * HOUR_MS;
		__int128 fee = fee_e10(p, units(p, hour * HOUR_MS, end < q->now_ms ? end : q->now_ms));
		while (at < covers->n && covers->v[at].day * 24 + covers->v[at].hour < hour)
			at++;
		for (uint32_t i = at; i < covers->n && covers->v[i].day * 24 + covers->v[i].hour == hour; i++)
			if (str_eq(covers->v[i].reservation, p->c->id))
				fee -= covers->v[i].fee_e10;
		if (fee > 0)
			add_fee(a, account, p, hour, fees, &(struct cost_line){.amortized_e10 = fee});
	}
}

static int by_time(const void *x, const void *y)
{
	const struct cost_line *a = x, *b = y;
	int64_t i = cost_line_hour(a), k = cost_line_hour(b);
	int order = str_cmp(a->usage_type, b->usage_type);
	return i != k ? (i < k ? -1 : 1) : order ? order : str_cmp(a->reservation, b->reservation);
}

struct cost_covers cost_cover(struct arena *a, struct str account, const struct cost_cover_question *q, struct cost_lines *ret_fees)
{
	struct cost_covers covers = {0};
	uint32_t n = q->commitments->n;
	struct cost_plans *plans = cost_plans_begin(a, q);
	struct pool *pools = arena_array(a, n + 1, sizeof(*pools));
	for (uint32_t i = 0; i < n; i++) {
		int64_t size = cost_size_e2(q->commitments->v[i].instance_type);
		pools[i] = (struct pool){&q->commitments->v[i], size ? size : 1, size > 0, -1, 0};
	}
	for (uint32_t at = 0; at < q->hours->n;) {
		int64_t hour = q->hours->v[at].day * 24 + q->hours->v[at].hour;
		struct cost_runs runs = {0};
		at = take_hour(a, q->hours, at, &runs);
		for (uint32_t i = 0; i < n && runs.n; i++)
			cover_hour(a, q, &pools[i], hour, &runs, &covers);
		cost_plans_cover_hour(a, q, plans, hour, &runs, &covers);
	}
	for (uint32_t i = 0; i < n; i++) {
		add_months(a, account, q, &pools[i], ret_fees);
		add_unused(a, account, q, &pools[i], &covers, ret_fees);
	}
	cost_plans_add_fees(a, account, q, plans, &covers, ret_fees);
	cost_plans_end(plans);
	if (ret_fees->n)
		qsort(ret_fees->v, ret_fees->n, sizeof(*ret_fees->v), by_time);
	return covers;
}

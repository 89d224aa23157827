/* Savings plans against usage, hour by hour as AWS applies them, after reserved instances and after what is free every month.
 *
 * Plans of EC2 instances come first, then those of all compute. Of all pairs of a plan and a usage that it has a rate for, the one
 * with the highest part saved is served first, of several the one with the lowest rate, until nothing is left to be covered or the
 * hour's commitment is used up; the last usage is covered in part then. What nothing uses in an hour is lost.
 *
 * Money is counted in whole parts of trillionths of a dollar that every rate's smallest amount is a multiple of, so an hour is
 * exact; it is rounded to ten decimals once a day (or hour) and plan. Fees grow with the time since the plan's beginning, so that
 * however a term is cut, its parts add up. */
#include "aws/ce/cover.h"

#include "aws/savingsplans/savingsplans.h"

#include <stdlib.h>

enum { HOUR_MS = 3600000 };
/* Parts of a trillionth: of hours with 1024 parts (MB, thousandths of processors) and of GB-seconds in MB and milliseconds. */
#define PARTS INT64_C(3686400000)
#define E7 INT64_C(10000000)

struct plan_pool {
	const struct savings_plan *p;
	struct map rates; /* "REGION/USAGE": struct price_rate */
	int64_t at;       /* the day or hour */
	__int128 used, left;
};
struct free_pool {
	int64_t month;
	__int128 taken;
};
struct cost_plans {
	struct plan_pool *v;
	uint32_t n;
	struct map free; /* by its name: struct free_pool */
};
/* A plan and a usage that it may cover. */
struct pair {
	struct plan_pool *pool;
	struct cost_run *run;
	const struct price *price;
	int64_t rate_e12, demand_e12;
};
struct pairs {
	struct pair *v;
	uint32_t n;
	bool set;
};

static struct str rate_key(struct arena *a, struct str region, struct str usage)
{
	return ARENA_CAT(a, region, S("/"), usage);
}

struct cost_plans *cost_plans_begin(struct arena *a, const struct cost_cover_question *q)
{
	if (!q->plans || !q->plans->n)
		return NULL;
	struct cost_plans *all = arena_new(a, struct cost_plans);
	all->v = arena_array(a, q->plans->n, sizeof(*all->v));
	all->n = q->plans->n;
	for (uint32_t i = 0; i < all->n; i++) {
		struct plan_pool *pool = &all->v[i];
		*pool = (struct plan_pool){.p = &q->plans->v[i], .at = -1};
		for (uint32_t k = 0; k < pool->p->rates.n; k++) {
			struct price_rate *r = &pool->p->rates.v[k];
			map_put(&pool->rates, rate_key(a, r->region, r->usage), r);
		}
	}
	return all;
}

void cost_plans_end(struct cost_plans *plans)
{
	for (uint32_t i = 0; plans && i < plans->n; i++)
		map_done(&plans->v[i].rates);
	if (plans)
		map_done(&plans->free);
}

static int64_t overlap(const struct savings_plan *p, int64_t from_ms, int64_t to_ms)
{
	int64_t from = p->from_ms > from_ms ? p->from_ms : from_ms, to = p->to_ms < to_ms ? p->to_ms : to_ms;
	return to > from ? to - from : 0;
}

/* Parts, of what is committed in a time. */
static __int128 committed(const struct savings_plan *p, int64_t from_ms, int64_t to_ms)
{
	return (__int128)p->commitment_e5 * E7 * (PARTS / HOUR_MS) * overlap(p, from_ms, to_ms);
}

static __int128 parts_e10(__int128 parts)
{
	__int128 by = (__int128)PARTS * 100;
	return (parts + by / 2) / by;
}

/* Parts, of one of what the meter counts; 0: it cannot be said exactly, and no plan covers it. */
static __int128 cost_of_one(const struct price *p, int64_t rate_e12)
{
	int64_t by = p->denominator * (p->per == PER_HOUR ? HOUR_MS : 1);
	return p->per == PER_MONTH || PARTS % by ? 0 : (__int128)p->numerator * rate_e12 * (PARTS / by);
}

/* --- one hour */

/* What is free of the month goes first. */
static void take_free(struct arena *a, const struct cost_cover_question *q, struct cost_plans *plans, int64_t hour,
                      const struct price *p, struct cost_run *run)
{
	int64_t month = cost_month_start(hour / 24);
	if (!p->free_pool || !price_book_free(q->book))
		return;
	struct free_pool *pool = map_get(&plans->free, str_from(p->free_pool));
	if (!pool) {
		pool = arena_new(a, struct free_pool);
		map_put(&plans->free, str_from(p->free_pool), pool);
	}
	if (pool->month != month)
		*pool = (struct free_pool){.month = month};
	__int128 left = price_free_amount(p, (int)(cost_month_end(month) - month)) - pool->taken;
	int64_t taken = left < run->left ? (int64_t)left : run->left;
	pool->taken += taken;
	run->left -= taken;
}

static int by_order(const void *x, const void *y)
{
	const struct pair *a = x, *b = y;
	bool instance = str_is(a->pool->p->type, "EC2Instance");
	if (instance != str_is(b->pool->p->type, "EC2Instance"))
		return instance ? -1 : 1;
	/* The part saved is 1 - rate / demand. */
	__int128 i = (__int128)a->rate_e12 * b->demand_e12, k = (__int128)b->rate_e12 * a->demand_e12;
	if (i != k)
		return i < k ? -1 : 1;
	if (a->rate_e12 != b->rate_e12)
		return a->rate_e12 < b->rate_e12 ? -1 : 1;
	if (a->pool != b->pool)
		return a->pool < b->pool ? -1 : 1; /* the elder plan */
	int order = str_cmp(a->run->usage, b->run->usage);
	return order ? order : str_cmp(a->run->region, b->run->region);
}

static void add_pairs(struct arena *a, const struct cost_cover_question *q, struct cost_plans *plans, int64_t hour,
                      struct cost_run *run, struct pairs *pairs)
{
	const struct price *p = price_find(run->usage), *own = p ? price_in(q->book, p, run->usage, run->region) : NULL;
	if (!own)
		return;
	take_free(a, q, plans, hour, p, run);
	for (uint32_t i = 0; i < plans->n && run->left > 0; i++) {
		const struct price_rate *r =
		        plans->v[i].left > 0 ? map_get(&plans->v[i].rates, rate_key(a, run->region, run->usage)) : NULL;
		if (r && cost_of_one(p, r->usd_e12) > 0)
			*LIST_ADD(a, pairs) = (struct pair){&plans->v[i], run, p, r->usd_e12, own->tiers[0].usd_e12};
	}
}

/* The part of the usage for which there is commitment left. */
static void cover(struct arena *a, const struct cost_cover_question *q, int64_t hour, const struct pair *pair,
                  struct cost_covers *covers)
{
	struct plan_pool *pool = pair->pool;
	__int128 one = cost_of_one(pair->price, pair->rate_e12), most = pool->left / one;
	int64_t amount = most < pair->run->left ? (int64_t)most : pair->run->left;
	if (amount <= 0)
		return;
	/* What is left of the commitment is less than the smallest amount costs: it is used too. */
	__int128 spent = amount < pair->run->left ? pool->left : amount * one;
	const struct cost_cover wanted = {.day = hour / 24,
	                                  .hour = q->hourly ? hour % 24 : 0,
	                                  .region = pair->run->region,
	                                  .usage = pair->run->usage,
	                                  .plan = pool->p};
	struct cost_cover *c = cost_cover_of(a, covers, &wanted);
	__int128 before = parts_e10(pool->used);
	pool->used += spent;
	pool->left -= spent;
	c->amount += amount;
	c->fee_e10 += parts_e10(pool->used) - before;
	pair->run->left -= amount;
}

void cost_plans_cover_hour(struct arena *a, const struct cost_cover_question *q, struct cost_plans *plans, int64_t hour,
                           struct cost_runs *runs, struct cost_covers *covers)
{
	struct pairs pairs = {0};
	int64_t span = q->hourly ? hour : hour / 24;
	for (uint32_t i = 0; plans && i < plans->n; i++) {
		struct plan_pool *pool = &plans->v[i];
		if (pool->at != span)
			pool->used = 0;
		pool->at = span;
		pool->left = committed(pool->p, hour * HOUR_MS, (hour + 1) * HOUR_MS);
	}
	for (uint32_t i = 0; plans && i < runs->n; i++)
		add_pairs(a, q, plans, hour, &runs->v[i], &pairs);
	if (pairs.n)
		qsort(pairs.v, pairs.n, sizeof(*pairs.v), by_order);
	for (uint32_t i = 0; i < pairs.n; i++)
		cover(a, q, hour, &pairs.v[i], covers);
}

/* --- fees */

/* Of a plan from its beginning until a time; n_e5: what the whole term costs so. */
static __int128 until_e10(const struct savings_plan *p, __int128 n_e5, int64_t to_ms)
{
	__int128 by = p->to_ms - p->from_ms, ms = overlap(p, p->from_ms, to_ms);
	return (n_e5 * 100000 * ms + by / 2) / by;
}

static struct cost_line *add_line(struct arena *a, struct str account, const struct savings_plan *p, const char *record,
                                  int64_t hour, struct cost_lines *fees)
{
	struct str usage = savings_plan_usage(a, p->type, p->family, p->years, p->payment);
	bool here = str_set(p->region);
	struct cost_line *l = LIST_ADD(a, fees);
	*l = (struct cost_line){.day = hour / 24,
	                        .hour = hour % 24,
	                        .region = here ? p->region : S("global"),
	                        .account = account,
	                        .usage_type = here ? price_usage_type(a, p->region, usage) : usage,
	                        .record = record,
	                        .plan = p,
	                        .price = price_find(usage)};
	return l;
}

/* Of each day (or hour) that has begun: what is due of it, and, shared out, what of the commitment nothing has used. */
static void add_recurring(struct arena *a, struct str account, const struct cost_cover_question *q, const struct savings_plan *p,
                          const struct cost_covers *covers, struct cost_lines *fees)
{
	int64_t step = q->hourly ? 1 : 24, now_ms = (q->now_ms + HOUR_MS - 1) / HOUR_MS * HOUR_MS;
	__int128 all_e5 = (__int128)p->commitment_e5 * p->years * SAVINGS_YEAR_H, due_e5 = all_e5 - p->upfront_e5;
	uint32_t at = 0;
	for (int64_t hour = q->from_day * 24; hour < q->to_day * 24 && hour * HOUR_MS < now_ms; hour += step) {
		int64_t from = hour * HOUR_MS, to = (hour + step) * HOUR_MS < now_ms ? (hour + step) * HOUR_MS : now_ms;
		int64_t ms = overlap(p, from, to);
		if (!ms)
			continue;
		__int128 rest = until_e10(p, all_e5, to) - until_e10(p, all_e5, from);
		while (at < covers->n && covers->v[at].day * 24 + covers->v[at].hour < hour)
			at++;
		for (uint32_t i = at; i < covers->n && covers->v[i].day * 24 + covers->v[i].hour == hour; i++)
			if (covers->v[i].plan == p)
				rest -= covers->v[i].fee_e10;
		struct cost_line *l = add_line(a, account, p, "SavingsPlanRecurringFee", hour, fees);
		l->usd_e10 = until_e10(p, due_e5, to) - until_e10(p, due_e5, from);
		l->amortized_e10 = rest;
		l->quantity_e10 = ((__int128)ms * INT64_C(10000000000) + HOUR_MS / 2) / HOUR_MS;
	}
}

static void add_upfront(struct arena *a, struct str account, const struct cost_cover_question *q, const struct savings_plan *p,
                        struct cost_lines *fees)
{
	int64_t hour = p->from_ms / HOUR_MS;
	if (!p->upfront_e5 || p->from_ms > q->now_ms || hour / 24 < q->from_day || hour / 24 >= q->to_day)
		return;
	struct cost_line *l = add_line(a, account, p, "SavingsPlanUpfrontFee", q->hourly ? hour : hour / 24 * 24, fees);
	l->usd_e10 = (__int128)p->upfront_e5 * 100000;
	l->quantity_e10 = INT64_C(10000000000);
}

void cost_plans_add_fees(struct arena *a, struct str account, const struct cost_cover_question *q, const struct cost_plans *plans,
                         const struct cost_covers *covers, struct cost_lines *fees)
{
	for (uint32_t i = 0; plans && i < plans->n; i++) {
		add_upfront(a, account, q, plans->v[i].p, fees);
		add_recurring(a, account, q, plans->v[i].p, covers, fees);
	}
}

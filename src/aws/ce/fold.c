/* From amounts to money. A line costs what the month has cost with it less what it had cost before it, so a month's lines add up to
 * exactly what the month costs, however it is cut into days. What is free goes to whoever comes first in the month. */
#include "aws/ce/cost.h"

#include "base/map.h"

struct month_total {
	int64_t month;
	__int128 amount, billed; /* billed: without what was free */
};

static struct month_total *total_of(struct arena *a, struct map *totals, struct str key, int64_t month)
{
	struct month_total *t = map_get(totals, key);
	if (!t) {
		t = arena_new(a, struct month_total);
		map_put(totals, key, t);
	}
	if (t->month != month)
		*t = (struct month_total){.month = month};
	return t;
}

/* How much of an amount the pool has left; it is gone then. */
static __int128 take_free(struct arena *a, struct map *pools, const struct price *p, int64_t month, int month_days, __int128 amount)
{
	if (!p->free_pool)
		return 0;
	struct month_total *pool = total_of(a, pools, str_from(p->free_pool), month);
	__int128 left = price_free_amount(p, month_days) - pool->amount, taken = amount < left ? amount : left;
	pool->amount += taken;
	return taken;
}

/* --- what is covered */

static struct str cover_key(struct arena *a, int64_t day, int64_t hour, struct str region, struct str usage)
{
	return ARENA_CAT(a, arena_printf(a, "%lld/%lld/", (long long)day, (long long)hour), region, S("/"), usage);
}

static void index_covers(struct arena *a, struct cost_covers *covers, struct map *found)
{
	for (uint32_t i = covers->n; i > 0; i--) {
		struct cost_cover *c = &covers->v[i - 1];
		struct str key = cover_key(a, c->day, c->hour, c->region, c->usage);
		c->next = map_get(found, key);
		map_put(found, key, c);
	}
}

/* What a plan covers is shown at its price on demand, and taken off again. */
static void add_negation(struct arena *a, const struct cost_line *covered, struct cost_lines *lines)
{
	struct cost_line *line = LIST_ADD(a, lines);
	*line = *covered;
	line->record = "SavingsPlanNegation";
	line->usd_e10 = -covered->demand_e10;
	line->quantity_e10 = line->amortized_e10 = line->demand_e10 = 0;
}

/* The part of an amount that covers have left becomes lines, each without a cost of its own; returns the rest. Of a fee each line
 * has what its part makes it grow by, so that they add up. own: the price on demand; NULL: it is not known. */
static int64_t take_covered(struct arena *a, struct cost_cover *c, const struct cost_line *like, const struct price *own,
                            int64_t amount, int days, struct cost_lines *lines)
{
	for (; c && amount > 0; c = c->next) {
		int64_t part = c->amount - c->taken < amount ? c->amount - c->taken : amount;
		if (part <= 0)
			continue;
		struct cost_line line = *like;
		line.record = c->plan ? "SavingsPlanCoveredUsage" : "DiscountedUsage";
		line.reservation = c->reservation;
		line.plan = c->plan;
		line.quantity_e10 =
		        price_units_e10(like->price, c->taken + part, days) - price_units_e10(like->price, c->taken, days);
		line.amortized_e10 = c->fee_e10 * (c->taken + part) / c->amount - c->fee_e10 * c->taken / c->amount;
		if (own)
			line.demand_e10 = price_usd_e10(own, c->taken + part, days) - price_usd_e10(own, c->taken, days);
		line.usd_e10 = c->plan ? line.demand_e10 : 0;
		*LIST_ADD(a, lines) = line;
		if (c->plan)
			add_negation(a, &line, lines);
		c->taken += part;
		amount -= part;
	}
	return amount;
}

struct cost_lines cost_fold(struct arena *a, const struct price_book *book, struct str account, const struct meter_lines *used,
                            int64_t from_day, struct cost_covers *covers)
{
	struct cost_lines lines = {0}, before_lines = {0};
	struct map totals = {0}, pools = {0}, covered = {0};
	if (covers)
		index_covers(a, covers, &covered);
	for (uint32_t i = 0; i < used->n; i++) {
		const struct meter_line *m = &used->v[i];
		const struct price *p = price_find(m->usage);
		if (!p)
			continue;
		int64_t month = cost_month_start(m->day), amount = m->amount;
		int days = (int)(cost_month_end(m->day) - month);
		const struct price *own = price_in(book, p, m->usage, m->region);
		const struct cost_line like = {.day = m->day,
		                               .hour = m->hour,
		                               .region = m->region,
		                               .account = account,
		                               .resource = m->resource,
		                               .tags = m->tags,
		                               .usage_type = price_usage_type(a, m->region, m->usage),
		                               .record = "Usage",
		                               .price = p};
		if (covered.count)
			amount = take_covered(a, map_get(&covered, cover_key(a, m->day, m->hour, m->region, m->usage)), &like, own,
			                      amount, days, m->day < from_day ? &before_lines : &lines);
		if (!amount)
			continue;
		struct month_total *t = total_of(a, &totals, ARENA_CAT(a, m->region, S("/"), m->usage), month);
		struct month_total before = *t;
		t->amount += amount;
		t->billed += amount - (own && price_book_free(book) ? take_free(a, &pools, p, month, days, amount) : 0);
		if (m->day < from_day)
			continue;
		struct cost_line *line = LIST_ADD(a, &lines);
		*line = like;
		line->quantity_e10 = price_units_e10(p, t->amount, days) - price_units_e10(p, before.amount, days);
		if (own)
			line->usd_e10 = price_usd_e10(own, t->billed, days) - price_usd_e10(own, before.billed, days);
		line->amortized_e10 = line->usd_e10;
	}
	map_done(&covered);
	map_done(&pools);
	map_done(&totals);
	return lines;
}

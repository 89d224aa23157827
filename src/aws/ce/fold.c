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

struct cost_lines cost_fold(struct arena *a, const struct price_book *book, struct str account, const struct meter_lines *used,
                            int64_t from_day)
{
	struct cost_lines lines = {0};
	struct map totals = {0}, pools = {0};
	for (uint32_t i = 0; i < used->n; i++) {
		const struct meter_line *m = &used->v[i];
		const struct price *p = price_find(m->usage);
		if (!p)
			continue;
		int64_t month = cost_month_start(m->day);
		int days = (int)(cost_month_end(m->day) - month);
		const struct price *own = price_in(book, p, m->usage, m->region);
		struct month_total *t = total_of(a, &totals, ARENA_CAT(a, m->region, S("/"), m->usage), month);
		struct month_total before = *t;
		t->amount += m->amount;
		t->billed += m->amount - (own && price_book_free(book) ? take_free(a, &pools, p, month, days, m->amount) : 0);
		if (m->day < from_day)
			continue;
		struct cost_line *line = LIST_ADD(a, &lines);
		*line = (struct cost_line){.day = m->day,
		                           .hour = m->hour,
		                           .region = m->region,
		                           .account = account,
		                           .resource = m->resource,
		                           .tags = m->tags,
		                           .usage_type = price_usage_type(a, m->region, m->usage),
		                           .price = p};
		line->quantity_e10 = price_units_e10(p, t->amount, days) - price_units_e10(p, before.amount, days);
		if (own)
			line->usd_e10 = price_usd_e10(own, t->billed, days) - price_usd_e10(own, before.billed, days);
	}
	map_done(&pools);
	map_done(&totals);
	return lines;
}

/* A period's costs for budgets: the days until now as they were, the rest as it is expected. */
#include "aws/ce/ce.h"

#include "aws/ce/cost.h"

struct total {
	__int128 sum_e10;
	const char *unit;
	bool several;
};

static enum cost_metric metric_of(const struct ce_spend *q)
{
	return q->usage ? COST_QUANTITY : q->amortized ? COST_AMORTIZED : COST_UNBLENDED;
}

static void add(const struct ce_spend *q, const struct cost_lines *lines, int64_t from, int64_t to, struct total *t)
{
	for (uint32_t i = 0; i < lines->n; i++) {
		const struct cost_line *l = &lines->v[i];
		if (l->day < from || l->day >= to || !cost_filter_matches(q->arena, q->filter, l))
			continue;
		t->several |= t->unit && !str_is(str_from(t->unit), l->price->unit);
		t->unit = l->price->unit;
		t->sum_e10 += cost_metric_e10(l, metric_of(q));
	}
}

struct ce_spent ce_spent(const struct ce_spend *q)
{
	const struct cost_scope s = {q->txn, q->arena, q->prices, q->account, q->now_ms, NULL};
	enum meter_detail detail = cost_filter_has_tags(q->filter) ? METER_TAGGED : METER_PLAIN;
	int64_t today = q->now_ms / METER_DAY_MS;
	const struct cost_period all = {q->from_day * 24, q->to_day * 24, COST_DAILY},
	                         rest = {today * 24, q->to_day * 24, COST_DAILY};
	struct cost_lines lines = cost_read(&s, detail, &all);
	struct cost_past past = cost_look_back(&s, q->filter, metric_of(q), detail);
	struct cost_lines coming = cost_expect(&s, &past, detail, &rest);
	struct total actual = {0}, forecast = {0};
	add(q, &lines, q->from_day, q->to_day, &actual);
	add(q, &lines, q->from_day, today, &forecast);
	add(q, &coming, today, q->to_day, &forecast);
	bool one = actual.unit && !actual.several;
	return (struct ce_spent){.actual = price_text_e10(q->arena, actual.sum_e10),
	                         .forecast = price_text_e10(q->arena, forecast.sum_e10),
	                         .unit = !q->usage ? S("USD")
	                                 : one     ? str_from(actual.unit)
	                                           : S("N/A")};
}

void ce_unit_days(int64_t day, int months, int64_t *ret_from, int64_t *ret_to)
{
	int64_t from = cost_month_start(day);
	/* Back to the first month of the quarter or year. */
	while ((cost_month_of(from) - 1) % months != 0)
		from = cost_month_start(from - 1);
	*ret_from = *ret_to = from;
	for (int i = 0; i < months; i++)
		*ret_to = cost_month_end(*ret_to);
}

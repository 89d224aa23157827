/* What questions about commitments share, and what budgets ask of them. */
#include "aws/ce/savings.h"

#include "aws/ce/ce.h"
#include "aws/ce/reservation_coverage.h"

struct str cost_percentage(struct arena *a, __int128 part, __int128 whole)
{
	__int128 e10 = INT64_C(10000000000);
	return price_text_e10(a, whole > 0 ? (part * 100 * e10 + whole / 2) / whole : 0);
}

int cost_name_index(struct str name, const char *const *names)
{
	for (int i = 0; names[i]; i++)
		if (str_is(name, names[i]))
			return i;
	return -1;
}

int cost_question_period(struct call *c, const struct ce_date_interval *i, struct str granularity, bool groups,
                         struct cost_period *ret)
{
	if (str_is(granularity, "HOURLY"))
		return cost_invalid(c, "Granularity HOURLY is not supported: DAILY and MONTHLY are");
	if (groups && str_set(granularity))
		return cost_invalid(c, "Granularity can't be set if GroupBy is set");
	return cost_period(c, i, granularity, ret);
}

static int check(struct call *c, const struct ce_expression *e, const char *const *names)
{
	if (e->or.n || e->not || e->tags)
		return cost_invalid(c, "Only And of dimensions is supported in this filter");
	if (e->dimensions && cost_name_index(e->dimensions->key, names) < 0)
		return cost_invalid(c, "The dimension %.*s is not supported in this filter", STR_ARG(e->dimensions->key));
	for (uint32_t i = 0; i < e->and.n; i++)
		if (check(c, &e->and.v[i], names) != CALL_OK)
			return CALL_FAIL;
	return CALL_OK;
}

int cost_only_dimensions(struct call *c, const struct ce_expression *e, const char *const *names)
{
	if (!e)
		return CALL_OK;
	return cost_filter_check(c, e, false) == CALL_OK ? check(c, e, names) : CALL_FAIL;
}

/* --- budgets */

struct str ce_commitment_share(const struct ce_spend *q, enum ce_share what)
{
	const struct cost_scope s = {q->txn, q->arena, q->prices, q->account, q->now_ms, NULL};
	const struct cost_period p = {q->from_day * 24, q->to_day * 24, COST_DAILY};
	struct cost_lines lines = cost_read(&s, METER_PLAIN, &p);
	struct plan_use use = {0};
	struct plan_coverage coverage = {0};
	struct reservation_coverage hours = {0};
	__int128 part, whole;
	for (uint32_t i = 0; i < lines.n; i++) {
		const struct cost_line *l = &lines.v[i];
		if (!cost_filter_matches(q->arena, q->filter, l))
			continue;
		plan_use_add(&use, l);
		plan_coverage_add(&coverage, l);
		reservation_coverage_add(&hours, l);
	}
	if (what == CE_RESERVATION_UTILIZATION) {
		struct reservation_uses all = reservation_uses(&s, &lines, q->filter, p.from, p.to);
		struct reservation_use sum = reservation_sum(&all);
		part = sum.used_units;
		whole = sum.units;
	} else if (what == CE_RESERVATION_COVERAGE) {
		part = hours.reserved;
		whole = hours.reserved + hours.demand;
	} else if (what == CE_PLAN_COVERAGE) {
		part = coverage.covered;
		whole = coverage.covered + coverage.demand;
	} else {
		part = use.used;
		whole = use.used + use.unused;
	}
	return whole > 0 ? cost_percentage(q->arena, part, whole) : STR_NONE;
}

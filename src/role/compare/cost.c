/* What it cost: Cost Explorer's usage before and after, for the models run one after the other, at the list's first price: what an
 * account has free every month would make the first one that is compared look cheaper than it is. */
#include "role/compare/compare.h"

#include "aws/pricing/pricing.h"
#include "base/clock.h"
#include "gen/ce.h"

#include <time.h>

#define MONTH_MS (INT64_C(730) * 3600 * 1000)
enum { DAY_S = 24 * 3600 };

static struct str day_text(struct arena *a, int64_t at_s)
{
	struct tm tm;
	time_t at = (time_t)at_s;
	gmtime_r(&at, &tm);
	return arena_printf(a, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
}

int compare_spent(struct compare *c, struct compare_costs *ret)
{
	struct arena *a = &c->cli->arena;
	struct tm tm;
	time_t now = (time_t)(clock_wall_ms() / 1000);
	gmtime_r(&now, &tm);
	struct tm next = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon + 1, .tm_mday = 1};
	time_t then = timegm(&next);
	gmtime_r(&then, &next);
	struct ce_date_interval month = {arena_printf(a, "%04d-%02d-01", tm.tm_year + 1900, tm.tm_mon + 1),
	                                 arena_printf(a, "%04d-%02d-01", next.tm_year + 1900, next.tm_mon + 1)};
	struct str metric = S("UsageQuantity");
	struct ce_group_definition by[] = {{S("DIMENSION"), S("SERVICE")}, {S("DIMENSION"), S("USAGE_TYPE")}};
	const struct ce_get_cost_and_usage_request in = {.time_period = &month,
	                                                 .granularity = S("MONTHLY"),
	                                                 .metrics = {.v = &metric, .n = 1, .set = true},
	                                                 .group_by = {.v = by, .n = 2, .set = true}};
	struct ce_get_cost_and_usage_response out = {0};
	int status = compare_call(c, &ce_api, "GetCostAndUsage", &in, &out);
	*ret = (struct compare_costs){0};
	for (uint32_t i = 0; status == CLI_OK && out.results_by_time.n && i < out.results_by_time.v[0].groups.n; i++) {
		const struct ce_group *g = &out.results_by_time.v[0].groups.v[i];
		struct compare_cost *one = LIST_ADD(a, ret);
		one->service = g->keys.v[0];
		one->usage = g->keys.v[1];
		for (uint32_t k = 0; k < g->metrics.n; k++)
			if (str_is(g->metrics.v[k].key, "UsageQuantity"))
				str_to_double(g->metrics.v[k].value.amount, &one->quantity);
	}
	return status;
}

void compare_costs_since(struct compare *c, const struct compare_costs *before, const struct compare_costs *now,
                         struct compare_row *r)
{
	double again = 0;
	for (uint32_t i = 0; i < now->n; i++) {
		struct str region;
		struct compare_cost one = now->v[i];
		const struct price *p = price_find_shown(one.service, one.usage, &region);
		for (uint32_t k = 0; k < before->n; k++)
			if (str_eq(before->v[k].usage, one.usage) && str_eq(before->v[k].service, one.service))
				one.quantity -= before->v[k].quantity;
		if (p)
			p = price_in(NULL, p, str_from(p->usage), region);
		if (!p || one.quantity <= 1e-12)
			continue;
		one.usd = one.quantity * (double)p->tiers[0].usd_e12 / 1e12;
		one.once = str_is(one.service, "Amazon Simple Storage Service") ||
		           str_is(one.service, "Amazon EC2 Container Registry (ECR)");
		*LIST_ADD(&c->cli->arena, &r->costs) = one;
		r->usd += one.usd;
		again += one.once ? 0 : one.usd;
	}
	/* A function costs by what is asked of it, so its month is so many times the load. */
	if (r->model->by_request && r->load.for_ms)
		r->usd_month = again * (double)MONTH_MS / (double)r->load.for_ms;
}

int compare_rate(struct compare *c, double *ret_usd_month)
{
	struct arena *a = &c->cli->arena;
	int64_t tomorrow_s = (clock_wall_ms() / 1000 / DAY_S + 1) * DAY_S;
	struct ce_date_interval day = {day_text(a, tomorrow_s), day_text(a, tomorrow_s + DAY_S)};
	const struct ce_get_cost_forecast_request in = {
	        .time_period = &day, .granularity = S("DAILY"), .metric = S("UNBLENDED_COST")};
	struct ce_get_cost_forecast_response out = {0};
	double usd = 0;
	int status = compare_call(c, &ce_api, "GetCostForecast", &in, &out);
	if (status == CLI_OK && out.total)
		str_to_double(out.total->amount, &usd);
	*ret_usd_month = usd * (double)MONTH_MS / (DAY_S * 1000.0);
	return status;
}

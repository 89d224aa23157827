/* GetCostForecast: what it will have cost if everything that goes on now goes on. No other guess is made: what is counted one by
 * one (requests) is expected to stop. */
#include "aws/ce/cost.h"

#include "core/meter.h"

static int check(struct call *c, const struct ce_get_cost_forecast_request *in)
{
	static const char *const costs[] = {"AMORTIZED_COST", "BLENDED_COST", "NET_AMORTIZED_COST", "NET_UNBLENDED_COST",
	                                    "UNBLENDED_COST"};
	bool known = false;
	for (size_t i = 0; i < sizeof(costs) / sizeof(*costs); i++)
		known |= str_is(in->metric, costs[i]);
	if (!known)
		return cost_invalid(c, "The metric %.*s is not supported", STR_ARG(in->metric));
	if (in->prediction_interval_level.set)
		return cost_invalid(c, "PredictionIntervalLevel is not supported");
	return cost_filter_check(c, in->filter, false);
}

int ce_get_cost_forecast(struct call *c, const struct ce_get_cost_forecast_request *in, struct ce_get_cost_forecast_response *out)
{
	int64_t from, to, today = c->now_ms / METER_DAY_MS;
	__int128 total = 0;
	if (cost_view(c, in->billing_view_arn) != CALL_OK || cost_period(c, in->time_period, &from, &to) != CALL_OK ||
	    cost_granularity(c, in->granularity) != CALL_OK || check(c, in) != CALL_OK)
		return CALL_FAIL;
	if (from < today)
		return cost_invalid(c, "The start date of a forecast is today or later");
	struct cost_lines lines = cost_read(c, from, to, to * METER_DAY_MS);
	bool daily = str_is(in->granularity, "DAILY");
	out->forecast_results_by_time.set = true;
	while (from < to) {
		int64_t end = daily ? from + 1 : cost_month_end(from);
		__int128 usd = 0;
		if (end > to)
			end = to;
		for (uint32_t i = 0; i < lines.n; i++)
			if (lines.v[i].day >= from && lines.v[i].day < end &&
			    cost_filter_matches(c->arena, in->filter, &lines.v[i]))
				usd += lines.v[i].usd_e10;
		struct ce_forecast_result *r = LIST_ADD(c->arena, &out->forecast_results_by_time);
		r->time_period = arena_new(c->arena, struct ce_date_interval);
		r->time_period->start = cost_day_text(c->arena, from);
		r->time_period->end = cost_day_text(c->arena, end);
		r->mean_value = price_text_e10(c->arena, usd);
		total += usd;
		from = end;
	}
	out->total = arena_new(c->arena, struct ce_metric_value);
	out->total->amount = price_text_e10(c->arena, total);
	out->total->unit = S("USD");
	return CALL_OK;
}

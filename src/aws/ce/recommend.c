/* GetSavingsPlansPurchaseRecommendation: which commitment would have saved most in the last days, of the plans that can be bought
 * here.
 *
 * What an hour costs by a plan's rates is what a plan without an end of its commitment would have covered of it. The best
 * commitment is one of these amounts: between two of them each further cent saves the same an hour, or loses it. So a plan is tried
 * at some of them, from the least to the most, against the bill of those hours as it was, with all that was bought before. */
#include "aws/ce/savings.h"

#include "aws/savingsplans/savingsplans.h"
#include "base/id.h"
#include "core/cloud.h"

#include <stdlib.h>
#include <time.h>

enum { TRIES = 16, MONTH_H = 730 };
#define E5 INT64_C(100000)
#define MOST_E5 (1000000 * E5) /* AWS's largest commitment */
#define TRIED "recommended"

struct trial {
	int64_t commitment_e5;
	__int128 used, rest; /* ten-billionths of USD: of the commitment; what stays on demand */
};
struct spend {
	__int128 sum, least, most;
};

static bool is_tried(const struct cost_line *l)
{
	return l->plan && str_is(l->plan->id, TRIED);
}

/* On demand and eligible, by the hour. */
static struct spend demand_of(const struct cost_lines *lines, const struct cost_period *p)
{
	struct spend all = {0};
	uint32_t at = 0;
	for (int64_t hour = p->from; hour < p->to; hour++) {
		struct plan_coverage one = {0};
		for (; at < lines->n && cost_line_hour(&lines->v[at]) <= hour; at++)
			plan_coverage_add(&one, &lines->v[at]);
		all.sum += one.demand;
		all.least = hour == p->from || one.demand < all.least ? one.demand : all.least;
		all.most = one.demand > all.most ? one.demand : all.most;
	}
	return all;
}

static struct cost_lines read_with(const struct cost_scope *s, const struct price_offer *o, int64_t commitment_e5,
                                   const struct cost_period *p)
{
	struct savings_plan *plan = arena_new(s->arena, struct savings_plan);
	struct cost_scope with = *s;
	*plan = (struct savings_plan){.id = S(TRIED),
	                              .arn = S(TRIED),
	                              .type = o->type,
	                              .payment = S("No Upfront"),
	                              .region = o->region,
	                              .family = o->family,
	                              .years = o->years,
	                              .commitment_e5 = commitment_e5,
	                              .from_ms = p->from * METER_HOUR_MS,
	                              .to_ms = p->to * METER_HOUR_MS,
	                              .rates = o->rates};
	with.tried = plan;
	return cost_read(&with, METER_PLAIN, p);
}

static int by_amount(const void *x, const void *y)
{
	const int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;
	return (a > b) - (a < b);
}

/* What each hour would have cost by the offer's rates, in whole thousandths of a dollar, upwards; n: hours. */
static int64_t *amounts_of(const struct cost_scope *s, const struct price_offer *o, const struct cost_period *p, int64_t n)
{
	struct cost_lines lines = read_with(s, o, MOST_E5, p);
	int64_t *all = arena_array(s->arena, (size_t)n, sizeof(*all));
	__int128 milli = INT64_C(10000000);
	uint32_t at = 0;
	for (int64_t i = 0; i < n; i++) {
		__int128 used = 0;
		for (; at < lines.n && cost_line_hour(&lines.v[at]) <= p->from + i; at++)
			if (is_tried(&lines.v[at]) && str_is(str_from(lines.v[at].record), "SavingsPlanCoveredUsage"))
				used += lines.v[at].amortized_e10;
		all[i] = (int64_t)((used + milli - 1) / milli);
	}
	qsort(all, (size_t)n, sizeof(*all), by_amount);
	return all;
}

static struct trial try(const struct cost_scope *s, const struct price_offer *o, int64_t commitment_e5, const struct cost_period *p)
{
	struct cost_lines lines = read_with(s, o, commitment_e5, p);
	struct trial t = {.commitment_e5 = commitment_e5};
	for (uint32_t i = 0; i < lines.n; i++) {
		struct plan_coverage one = {0};
		struct plan_use use = {0};
		plan_coverage_add(&one, &lines.v[i]);
		if (is_tried(&lines.v[i]))
			plan_use_add(&use, &lines.v[i]);
		t.used += use.used;
		t.rest += one.demand;
	}
	return t;
}

static __int128 paid_e10(const struct trial *t, int64_t hours)
{
	return (__int128)t->commitment_e5 * 100000 * hours;
}

/* False: none would have saved anything. */
static bool find_best(const struct cost_scope *s, const struct price_offer *o, const struct cost_period *p, const struct spend *now,
                      struct trial *ret)
{
	int64_t hours = p->to - p->from, before = 0;
	const int64_t *amounts = amounts_of(s, o, p, hours);
	__int128 best = 0;
	for (int i = 1; i <= TRIES; i++) {
		int64_t amount = amounts[hours * i / TRIES - 1];
		if (amount == before)
			continue;
		before = amount;
		struct trial t = try(s, o, amount * 100, p);
		__int128 saved = now->sum - t.rest - paid_e10(&t, hours);
		if (saved > best) {
			best = saved;
			*ret = t;
		}
	}
	return best > 0;
}

/* --- the answer */

static struct str usd(struct arena *a, __int128 n_e10)
{
	return price_text_e10(a, n_e10);
}

static void add_detail(struct call *c, const struct price_offer *o, const struct trial *t, const struct spend *now, int64_t hours,
                       struct ce_savings_plans_purchase_recommendation *r)
{
	struct arena *a = c->arena;
	__int128 paid = paid_e10(t, hours), saved = now->sum - t->rest - paid;
	__int128 all = (__int128)t->commitment_e5 * 100000 * o->years * SAVINGS_YEAR_H;
	bool none = str_is(o->payment, "No Upfront"), partial = str_is(o->payment, "Partial Upfront");
	struct ce_savings_plans_purchase_recommendation_detail *d = LIST_ADD(a, &r->savings_plans_purchase_recommendation_details);
	*d = (struct ce_savings_plans_purchase_recommendation_detail){
	        .savings_plans_details = arena_new(a, struct ce_savings_plans_details),
	        .account_id = c->account,
	        .upfront_cost = usd(a, none      ? 0
	                               : partial ? all / 2
	                                         : all),
	        .estimated_roi = cost_percentage(a, saved, paid),
	        .currency_code = S("USD"),
	        .estimated_sp_cost = usd(a, paid),
	        .estimated_on_demand_cost = usd(a, t->rest),
	        .estimated_on_demand_cost_with_current_commitment = usd(a, now->sum),
	        .estimated_savings_amount = usd(a, saved),
	        .estimated_savings_percentage = cost_percentage(a, saved, now->sum),
	        .hourly_commitment_to_purchase = usd(a, (__int128)t->commitment_e5 * 100000),
	        .estimated_average_utilization = cost_percentage(a, t->used, paid),
	        .estimated_monthly_savings_amount = usd(a, saved * MONTH_H / hours),
	        .current_minimum_hourly_on_demand_spend = usd(a, now->least),
	        .current_maximum_hourly_on_demand_spend = usd(a, now->most),
	        .current_average_hourly_on_demand_spend = usd(a, now->sum / hours)};
	*d->savings_plans_details = (struct ce_savings_plans_details){o->region, o->family, STR_NONE};
	struct ce_savings_plans_purchase_recommendation_summary *s = r->savings_plans_purchase_recommendation_summary;
	/* Of several families' plans each was tried alone: what they cost and save adds up. */
	__int128 cost = 0, saving = 0, hourly = 0;
	for (uint32_t i = 0; i < r->savings_plans_purchase_recommendation_details.n; i++) {
		const struct ce_savings_plans_purchase_recommendation_detail *one =
		        &r->savings_plans_purchase_recommendation_details.v[i];
		__int128 n = 0;
		price_parse(one->estimated_sp_cost, 10, &n);
		cost += n;
		price_parse(one->estimated_savings_amount, 10, &n);
		saving += n;
		price_parse(one->hourly_commitment_to_purchase, 10, &n);
		hourly += n;
	}
	*s = (struct ce_savings_plans_purchase_recommendation_summary){
	        .estimated_roi = cost_percentage(a, saving, cost),
	        .currency_code = S("USD"),
	        .estimated_total_cost = usd(a, now->sum - saving),
	        .current_on_demand_spend = usd(a, now->sum),
	        .estimated_savings_amount = usd(a, saving),
	        .total_recommendation_count = arena_printf(a, "%u", r->savings_plans_purchase_recommendation_details.n),
	        .daily_commitment_to_purchase = usd(a, hourly * 24),
	        .hourly_commitment_to_purchase = usd(a, hourly),
	        .estimated_savings_percentage = cost_percentage(a, saving, now->sum),
	        .estimated_monthly_savings_amount = usd(a, saving * MONTH_H / hours),
	        .estimated_on_demand_cost_with_current_commitment = usd(a, now->sum)};
}

static bool is_wanted(const struct ce_get_savings_plans_purchase_recommendation_request *in, const struct price_offer *o)
{
	return str_is(o->type, str_is(in->savings_plans_type, "COMPUTE_SP") ? "Compute" : "EC2Instance") &&
	       o->years == (str_is(in->term_in_years, "ONE_YEAR") ? 1 : 3) &&
	       str_is(o->payment, str_is(in->payment_option, "NO_UPFRONT")        ? "No Upfront"
	                          : str_is(in->payment_option, "PARTIAL_UPFRONT") ? "Partial Upfront"
	                                                                          : "All Upfront");
}

static int check(struct call *c, const struct ce_get_savings_plans_purchase_recommendation_request *in)
{
	static const char *const types[] = {"COMPUTE_SP", "EC2_INSTANCE_SP", NULL};
	static const char *const payments[] = {"NO_UPFRONT", "PARTIAL_UPFRONT", "ALL_UPFRONT", NULL};
	static const char *const names[] = {"LINKED_ACCOUNT", NULL};
	if (cost_name_index(in->savings_plans_type, types) < 0)
		return cost_invalid(c, "Savings plans of the type %.*s are not supported", STR_ARG(in->savings_plans_type));
	if (cost_name_index(in->payment_option, payments) < 0)
		return cost_invalid(c, "The payment option %.*s is none of savings plans", STR_ARG(in->payment_option));
	if (str_set(in->next_page_token))
		return call_fail(c, "InvalidNextTokenException", 400, "The pagination token is invalid. Try again without one.");
	return cost_only_dimensions(c, in->filter, names);
}

int ce_get_savings_plans_purchase_recommendation(struct call *c,
                                                 const struct ce_get_savings_plans_purchase_recommendation_request *in,
                                                 struct ce_get_savings_plans_purchase_recommendation_response *out)
{
	int64_t days = str_is(in->lookback_period_in_days, "SEVEN_DAYS")    ? 7
	               : str_is(in->lookback_period_in_days, "THIRTY_DAYS") ? 30
	                                                                    : 60;
	int64_t to = c->now_ms / METER_HOUR_MS;
	const struct cost_period p = {to - days * 24, to, COST_HOURLY};
	struct price_offers offers = price_book_offers(c->cloud->prices);
	struct arena *a = c->arena;
	if (check(c, in) != CALL_OK)
		return CALL_FAIL;
	const struct cost_scope s = cost_scope(c);
	struct cost_lines lines = cost_read(&s, METER_PLAIN, &p);
	struct spend now = demand_of(&lines, &p);
	struct ce_savings_plans_purchase_recommendation *r = arena_new(a, struct ce_savings_plans_purchase_recommendation);
	*r = (struct ce_savings_plans_purchase_recommendation){.account_scope =
	                                                               str_set(in->account_scope) ? in->account_scope : S("PAYER"),
	                                                       .savings_plans_type = in->savings_plans_type,
	                                                       .term_in_years = in->term_in_years,
	                                                       .payment_option = in->payment_option,
	                                                       .lookback_period_in_days = in->lookback_period_in_days};
	r->savings_plans_purchase_recommendation_details.set = true;
	r->savings_plans_purchase_recommendation_summary = arena_new(a, struct ce_savings_plans_purchase_recommendation_summary);
	r->savings_plans_purchase_recommendation_summary->total_recommendation_count = S("0");
	for (uint32_t i = 0; i < offers.n; i++) {
		struct trial best;
		if (is_wanted(in, &offers.v[i]) && find_best(&s, &offers.v[i], &p, &now, &best))
			add_detail(c, &offers.v[i], &best, &now, p.to - p.from, r);
	}
	out->metadata = arena_new(a, struct ce_savings_plans_purchase_recommendation_metadata);
	out->metadata->recommendation_id = id_uuid(a);
	out->metadata->generation_timestamp = ARENA_CAT(a, cost_time_text(a, &p, to));
	if (!offers.n)
		out->metadata->additional_metadata = S(
		        "There are no rates of savings plans: \"savings_plans\" in the price file that [bill] prices names has them.");
	out->savings_plans_purchase_recommendation = r;
	return CALL_OK;
}

/* DescribeSavingsPlansOfferings: what the price file has rates of. Without rates nothing is offered. */
#include "aws/savingsplans/rows.h"

#include "base/hash.h"

struct str offering_id(struct arena *a, const struct price_offer *o)
{
	struct str where = str_set(o->region) ? ARENA_CAT(a, o->region, S("/"), o->family) : S("");
	struct str h =
	        hash_hex(a, HASH_SHA256,
	                 ARENA_CAT(a, S("savings plan/"), o->type, S("/"), o->payment, o->years == 1 ? S("/1/") : S("/3/"), where));
	return ARENA_CAT(a, str_sub(h, 0, 8), S("-"), str_sub(h, 8, 4), S("-"), str_sub(h, 12, 4), S("-"), str_sub(h, 16, 4),
	                 S("-"), str_sub(h, 20, 12));
}

struct str offering_words(struct arena *a, const struct price_offer *o)
{
	struct str years = o->years == 1 ? S("1 year ") : S("3 year ");
	if (str_is(o->type, "Compute"))
		return ARENA_CAT(a, years, o->payment, S(" Compute Savings Plan"));
	return ARENA_CAT(a, years, o->payment, S(" "), o->family, S(" EC2 Instance Savings Plan in "), o->region);
}

void offering_products(struct arena *a, struct str type, struct str_list *ret)
{
	*LIST_ADD(a, ret) = S("EC2");
	if (!str_is(type, "Compute"))
		return;
	*LIST_ADD(a, ret) = S("Fargate");
	*LIST_ADD(a, ret) = S("Lambda");
}

static struct savingsplans_savings_plan_offering shown(struct call *c, const struct price_offer *o)
{
	struct arena *a = c->arena;
	struct savingsplans_savings_plan_offering made = {.offering_id = offering_id(a, o),
	                                                  .plan_type = o->type,
	                                                  .description = offering_words(a, o),
	                                                  .payment_option = o->payment,
	                                                  .duration_seconds = OPT_INT(o->years * SAVINGS_YEAR_H * 3600),
	                                                  .currency = S("USD"),
	                                                  .service_code = S("ComputeSavingsPlans"),
	                                                  .usage_type =
	                                                          savings_plan_usage(a, o->type, o->family, o->years, o->payment),
	                                                  .operation = S(""),
	                                                  .properties = {.set = true}};
	if (str_set(o->region)) {
		made.usage_type = price_usage_type(a, o->region, made.usage_type);
		*LIST_ADD(a, &made.properties) = (struct savingsplans_savings_plan_offering_property){S("region"), o->region};
		*LIST_ADD(a, &made.properties) =
		        (struct savingsplans_savings_plan_offering_property){S("instanceFamily"), o->family};
	}
	offering_products(a, o->type, &made.product_types);
	return made;
}

static bool lasts(const struct savingsplans_durations_list *durations, int64_t s)
{
	for (uint32_t i = 0; i < durations->n; i++)
		if (durations->v[i].v == s)
			return true;
	return !durations->n;
}

static bool wanted(const struct savingsplans_describe_savings_plans_offerings_request *in, const struct price_offer *o,
                   const struct savingsplans_savings_plan_offering *s)
{
	for (uint32_t i = 0; i < in->filters.n; i++)
		if (!plan_one_of(str_is(in->filters.v[i].name, "region") ? o->region : o->family, &in->filters.v[i].values))
			return false;
	return plan_wanted(s->offering_id, &in->offering_ids) && plan_wanted(s->payment_option, &in->payment_options) &&
	       plan_wanted(s->plan_type, &in->plan_types) && plan_wanted(s->currency, &in->currencies) &&
	       plan_wanted(s->description, &in->descriptions) && plan_wanted(s->service_code, &in->service_codes) &&
	       plan_wanted(s->usage_type, &in->usage_types) && plan_wanted(s->operation, &in->operations) &&
	       lasts(&in->durations, s->duration_seconds.v) &&
	       (!str_set(in->product_type) || plan_one_of(in->product_type, &s->product_types));
}

int savingsplans_describe_savings_plans_offerings(struct call *c,
                                                  const struct savingsplans_describe_savings_plans_offerings_request *in,
                                                  struct savingsplans_describe_savings_plans_offerings_response *out)
{
	struct price_offers all = price_book_offers(c->cloud->prices);
	struct savingsplans_savings_plan_offerings_list found = {0};
	uint32_t from, to;
	for (uint32_t i = 0; i < all.n; i++) {
		struct savingsplans_savings_plan_offering o = shown(c, &all.v[i]);
		if (wanted(in, &all.v[i], &o))
			*LIST_ADD(c->arena, &found) = o;
	}
	if (plan_page(c, in->next_token, &in->max_results, found.n, &from, &to, &out->next_token) != CALL_OK)
		return CALL_FAIL;
	out->search_results.set = true;
	for (uint32_t i = from; i < to; i++)
		*LIST_ADD(c->arena, &out->search_results) = found.v[i];
	return CALL_OK;
}

/* DescribeSavingsPlansOfferingRates and DescribeSavingsPlanRates: those that can be bought now, and those of a purchase. */
#include "aws/savingsplans/rows.h"

struct rate_words rate_words(struct arena *a, const struct price_rate *r)
{
	const struct price *p = price_find(r->usage);
	struct rate_words w = {.usage = price_usage_type(a, r->region, r->usage), .type = STR_NONE, .family = STR_NONE};
	if (str_starts(r->usage, S("BoxUsage:"))) {
		struct str rest = w.type = str_from_at(r->usage, 9);
		w.family = str_cut(&rest, '.');
	}
	bool box = str_set(w.type), lambda = str_starts(r->usage, S("Lambda-"));
	w.service = box ? S("AmazonEC2") : lambda ? S("AWSLambda") : S("AmazonECS");
	w.product = box ? S("EC2") : lambda ? S("Lambda") : S("Fargate");
	w.operation = box ? S("RunInstances") : lambda ? S("") : S("FargateTask");
	w.unit = lambda && p ? str_from(p->unit) : S("Hrs");
	return w;
}

static struct str property(const struct price_rate *r, const struct rate_words *w, struct str name)
{
	bool box = str_set(w->type);
	return str_is(name, "region")               ? r->region
	       : str_is(name, "instanceType")       ? w->type
	       : str_is(name, "instanceFamily")     ? w->family
	       : str_is(name, "productDescription") ? (box ? S("Linux/UNIX") : STR_NONE)
	       : str_is(name, "tenancy")            ? (box ? S("shared") : STR_NONE)
	       : str_is(name, "productType")        ? w->product
	       : str_is(name, "serviceCode")        ? w->service
	       : str_is(name, "usageType")          ? w->usage
	       : str_is(name, "operation")          ? w->operation
	                                            : STR_NONE;
}

bool rate_has(struct arena *a, const struct price_rate *r, struct str name, const struct str_list *values)
{
	struct rate_words w = rate_words(a, r);
	return plan_one_of(property(r, &w, name), values);
}

static const char *const properties[] = {"region", "instanceType", "instanceFamily", "productDescription", "tenancy"};
enum { PROPERTIES = sizeof(properties) / sizeof(*properties) };

/* --- of what can be bought */

static struct savingsplans_savings_plan_offering_rate offered(struct call *c, const struct price_offer *o,
                                                              const struct price_rate *r)
{
	struct arena *a = c->arena;
	struct rate_words w = rate_words(a, r);
	struct savingsplans_savings_plan_offering_rate made = {
	        .savings_plan_offering = arena_new(a, struct savingsplans_parent_savings_plan_offering),
	        .rate = price_text_e12(a, r->usd_e12),
	        .unit = w.unit,
	        .product_type = w.product,
	        .service_code = w.service,
	        .usage_type = w.usage,
	        .operation = w.operation,
	        .properties = {.set = true}};
	*made.savings_plan_offering =
	        (struct savingsplans_parent_savings_plan_offering){.offering_id = offering_id(a, o),
	                                                           .payment_option = o->payment,
	                                                           .plan_type = o->type,
	                                                           .duration_seconds = OPT_INT(o->years * SAVINGS_YEAR_H * 3600),
	                                                           .currency = S("USD"),
	                                                           .plan_description = offering_words(a, o)};
	for (int i = 0; i < PROPERTIES; i++) {
		struct str value = property(r, &w, str_from(properties[i]));
		if (str_set(value))
			*LIST_ADD(a, &made.properties) =
			        (struct savingsplans_savings_plan_offering_rate_property){str_from(properties[i]), value};
	}
	return made;
}

static bool wanted(struct call *c, const struct savingsplans_describe_savings_plans_offering_rates_request *in,
                   const struct price_offer *o, const struct price_rate *r)
{
	struct rate_words w = rate_words(c->arena, r);
	for (uint32_t i = 0; i < in->filters.n; i++)
		if (!rate_has(c->arena, r, in->filters.v[i].name, &in->filters.v[i].values))
			return false;
	return plan_wanted(offering_id(c->arena, o), &in->savings_plan_offering_ids) &&
	       plan_wanted(o->payment, &in->savings_plan_payment_options) && plan_wanted(o->type, &in->savings_plan_types) &&
	       plan_wanted(w.product, &in->products) && plan_wanted(w.service, &in->service_codes) &&
	       plan_wanted(w.usage, &in->usage_types) && plan_wanted(w.operation, &in->operations);
}

int savingsplans_describe_savings_plans_offering_rates(struct call *c,
                                                       const struct savingsplans_describe_savings_plans_offering_rates_request *in,
                                                       struct savingsplans_describe_savings_plans_offering_rates_response *out)
{
	struct price_offers all = price_book_offers(c->cloud->prices);
	struct savingsplans_savings_plan_offering_rates_list found = {0};
	uint32_t from, to;
	for (uint32_t i = 0; i < all.n; i++)
		for (uint32_t k = 0; k < all.v[i].rates.n; k++)
			if (wanted(c, in, &all.v[i], &all.v[i].rates.v[k]))
				*LIST_ADD(c->arena, &found) = offered(c, &all.v[i], &all.v[i].rates.v[k]);
	if (plan_page(c, in->next_token, &in->max_results, found.n, &from, &to, &out->next_token) != CALL_OK)
		return CALL_FAIL;
	out->search_results.set = true;
	for (uint32_t i = from; i < to; i++)
		*LIST_ADD(c->arena, &out->search_results) = found.v[i];
	return CALL_OK;
}

/* --- of a purchase */

static struct savingsplans_savings_plan_rate bought(struct arena *a, const struct price_rate *r)
{
	struct rate_words w = rate_words(a, r);
	struct savingsplans_savings_plan_rate made = {.rate = price_text_e12(a, r->usd_e12),
	                                              .currency = S("USD"),
	                                              .unit = w.unit,
	                                              .product_type = w.product,
	                                              .service_code = w.service,
	                                              .usage_type = w.usage,
	                                              .operation = w.operation,
	                                              .properties = {.set = true}};
	for (int i = 0; i < PROPERTIES; i++) {
		struct str value = property(r, &w, str_from(properties[i]));
		if (str_set(value))
			*LIST_ADD(a, &made.properties) =
			        (struct savingsplans_savings_plan_rate_property){str_from(properties[i]), value};
	}
	return made;
}

int savingsplans_describe_savings_plan_rates(struct call *c, const struct savingsplans_describe_savings_plan_rates_request *in,
                                             struct savingsplans_describe_savings_plan_rates_response *out)
{
	struct plan p;
	struct savingsplans_savings_plan_rate_list found = {0};
	uint32_t from, to;
	if (plan_get(c, in->savings_plan_id, &p) != CALL_OK)
		return CALL_FAIL;
	struct price_rates rates = plan_rates(call_txn(c), c->arena, c->account, p.id);
	for (uint32_t i = 0; i < rates.n; i++) {
		bool is = true;
		for (uint32_t k = 0; k < in->filters.n; k++)
			is &= rate_has(c->arena, &rates.v[i], in->filters.v[k].name, &in->filters.v[k].values);
		if (is)
			*LIST_ADD(c->arena, &found) = bought(c->arena, &rates.v[i]);
	}
	if (plan_page(c, in->next_token, &in->max_results, found.n, &from, &to, &out->next_token) != CALL_OK)
		return CALL_FAIL;
	out->savings_plan_id = p.id;
	out->search_results.set = true;
	for (uint32_t i = from; i < to; i++)
		*LIST_ADD(c->arena, &out->search_results) = found.v[i];
	return CALL_OK;
}

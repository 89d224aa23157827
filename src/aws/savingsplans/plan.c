/* DescribeSavingsPlans. A plan's state follows from the time. */
#include "aws/savingsplans/rows.h"

#include <time.h>

enum { PAGE_MAX = 1000 };

int plan_page(struct call *c, struct str token, const struct opt_int *limit, uint32_t n, uint32_t *ret_from, uint32_t *ret_to,
              struct str *ret_token)
{
	int64_t from = 0, most = limit->set && limit->v > 0 ? limit->v : PAGE_MAX;
	if (str_set(token) && (!str_to_i64(token, &from) || from < 0 || from > n))
		return plan_invalid(c, "The next token is invalid.");
	*ret_from = (uint32_t)from;
	*ret_to = n - from > most ? (uint32_t)(from + most) : n;
	*ret_token = *ret_to < n ? arena_printf(c->arena, "%u", *ret_to) : STR_NONE;
	return CALL_OK;
}

bool plan_one_of(struct str s, const struct str_list *values)
{
	for (uint32_t i = 0; str_set(s) && i < values->n; i++)
		if (str_eq(values->v[i], s))
			return true;
	return false;
}

bool plan_wanted(struct str s, const struct str_list *values)
{
	return !values->n || plan_one_of(s, values);
}

static struct str state_of(struct call *c, const struct state_savingsplans_plan_record *r)
{
	return str_set(r->ended)             ? r->ended
	       : c->now_ms < r->from.ms      ? S("queued")
	       : c->now_ms >= plan_end_ms(r) ? S("retired")
	                                     : S("active");
}

static struct str time_text(struct arena *a, int64_t ms)
{
	time_t at = (time_t)(ms / 1000);
	struct tm tm;
	gmtime_r(&at, &tm);
	return arena_printf(a, "%04d-%02d-%02dT%02d:%02d:%02d.000Z", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
	                    tm.tm_min, tm.tm_sec);
}

static struct str usd_text(struct arena *a, int64_t n_e5)
{
	return price_text_e10(a, (__int128)n_e5 * 100000);
}

static struct savingsplans_savings_plan shown(struct call *c, const struct plan *p)
{
	struct arena *a = c->arena;
	const struct state_savingsplans_plan_record *r = &p->r;
	const struct price_offer like = {
	        .type = r->type, .payment = r->payment, .years = r->years.v, .region = r->region, .family = r->family};
	int64_t hours = r->years.v * SAVINGS_YEAR_H;
	__int128 rest_e10 = ((__int128)r->commitment_e5.v * hours - r->upfront_e5.v) * 100000;
	struct savingsplans_savings_plan made = {.offering_id = r->offering_id,
	                                         .savings_plan_id = p->id,
	                                         .savings_plan_arn = plan_arn(c, p->id),
	                                         .description = offering_words(a, &like),
	                                         .start = time_text(a, r->from.ms),
	                                         .end = time_text(a, plan_end_ms(r) - 1000),
	                                         .state = state_of(c, r),
	                                         .region = r->region,
	                                         .ec2_instance_family = r->family,
	                                         .savings_plan_type = r->type,
	                                         .payment_option = r->payment,
	                                         .currency = S("USD"),
	                                         .commitment = usd_text(a, r->commitment_e5.v),
	                                         .upfront_payment_amount = usd_text(a, r->upfront_e5.v),
	                                         .recurring_payment_amount = price_text_e10(a, (rest_e10 + hours / 2) / hours),
	                                         .term_duration_in_seconds = OPT_INT(hours * 3600),
	                                         .tags = r->tags,
	                                         .returnable_until = time_text(a, plan_returnable_until(r))};
	offering_products(a, r->type, &made.product_types);
	made.tags.set = true;
	return made;
}

/* Decimals are compared as numbers: "1.0" finds a commitment of 1. */
static bool has_number(struct str text, const struct str_list *values)
{
	__int128 n, wanted;
	for (uint32_t i = 0; i < values->n; i++)
		if (price_parse(text, 12, &n) && price_parse(values->v[i], 12, &wanted) && n == wanted)
			return true;
	return false;
}

static bool fits(const struct savingsplans_savings_plan_filter_list *filters, const struct savingsplans_savings_plan *p)
{
	for (uint32_t i = 0; i < filters->n; i++) {
		const struct savingsplans_savings_plan_filter *f = &filters->v[i];
		struct str term =
		        p->term_duration_in_seconds.v > INT64_C(2) * SAVINGS_YEAR_H * 3600 ? S("94608000") : S("31536000");
		bool is = str_is(f->name, "commitment") ? has_number(p->commitment, &f->values)
		          : str_is(f->name, "upfront")  ? has_number(p->upfront_payment_amount, &f->values)
		                                        : plan_one_of(str_is(f->name, "region")              ? p->region
		                                                      : str_is(f->name, "term")              ? term
		                                                      : str_is(f->name, "savings-plan-type") ? p->savings_plan_type
		                                                      : str_is(f->name, "payment-option")    ? p->payment_option
		                                                      : str_is(f->name, "start")             ? p->start
		                                                      : str_is(f->name, "end")               ? p->end
		                                                                               : p->ec2_instance_family,
		                                                     &f->values);
		if (!is)
			return false;
	}
	return true;
}

int savingsplans_describe_savings_plans(struct call *c, const struct savingsplans_describe_savings_plans_request *in,
                                        struct savingsplans_describe_savings_plans_response *out)
{
	struct plans all = plans_list(c);
	struct savingsplans_savings_plan_list found = {0};
	uint32_t from, to;
	for (uint32_t i = 0; i < all.n; i++) {
		struct savingsplans_savings_plan p = shown(c, &all.v[i]);
		if (plan_wanted(p.savings_plan_id, &in->savings_plan_ids) &&
		    plan_wanted(p.savings_plan_arn, &in->savings_plan_arns) && plan_wanted(p.state, &in->states) &&
		    fits(&in->filters, &p))
			*LIST_ADD(c->arena, &found) = p;
	}
	if (plan_page(c, in->next_token, &in->max_results, found.n, &from, &to, &out->next_token) != CALL_OK)
		return CALL_FAIL;
	out->savings_plans.set = true;
	for (uint32_t i = from; i < to; i++)
		*LIST_ADD(c->arena, &out->savings_plans) = found.v[i];
	return CALL_OK;
}

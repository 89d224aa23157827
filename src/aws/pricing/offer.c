/* Rates of savings plans in the user's price file. */
#include "aws/pricing/offer.h"

enum { RATES_MAX = 20000 };

static bool is_one_of(struct str s, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_is(s, names[i]))
			return true;
	return false;
}

/* What AWS's plans of the type cover, of what is metered here. */
static bool is_covered(struct str type, struct str usage)
{
	static const char *const others[] = {"Fargate-vCPU-Hours:perCPU",
	                                     "Fargate-GB-Hours",
	                                     "Fargate-ARM-vCPU-Hours:perCPU",
	                                     "Fargate-ARM-GB-Hours",
	                                     "Lambda-GB-Second",
	                                     "Lambda-GB-Second-ARM",
	                                     "Lambda-Provisioned-Concurrency",
	                                     "Lambda-Provisioned-Concurrency-ARM",
	                                     "Lambda-Provisioned-GB-Second",
	                                     "Lambda-Provisioned-GB-Second-ARM"};
	if (!price_find(usage))
		return false;
	return str_starts(usage, S("BoxUsage:")) ||
	       (str_is(type, "Compute") && is_one_of(usage, others, sizeof(others) / sizeof(*others)));
}

static struct str family_of(struct str usage)
{
	struct str type = str_from_at(usage, sizeof("BoxUsage:") - 1);
	return str_cut(&type, '.');
}

/* The offer that a rate belongs to; made if there is none yet. NULL: it was there before this entry of the list. */
static struct price_offer *offer_of(struct arena *a, struct price_offers *all, uint32_t first, const struct price_offer *like)
{
	for (uint32_t i = 0; i < all->n; i++) {
		struct price_offer *o = &all->v[i];
		if (str_eq(o->type, like->type) && str_eq(o->payment, like->payment) && o->years == like->years &&
		    str_eq(o->region, like->region) && str_eq(o->family, like->family))
			return i < first ? NULL : o;
	}
	struct price_offer *made = LIST_ADD(a, all);
	*made = *like;
	return made;
}

static bool read_rates(struct arena *a, const struct json_value *region, const struct price_offer *like, uint32_t first,
                       struct price_offers *all, uint32_t *count, struct str *ret_why)
{
	json_each(region, v)
	{
		struct price_offer mine = *like;
		__int128 usd_e12;
		if (!is_covered(like->type, v->key)) {
			*ret_why = arena_printf(a, "savings_plans: %.*s plans cover no usage type %.*s", STR_ARG(like->type),
			                        STR_ARG(v->key));
			return false;
		}
		if (!json_is(v, JSON_NUMBER) || !price_parse(v->text, 12, &usd_e12) || usd_e12 <= 0 || usd_e12 > INT64_MAX) {
			*ret_why = arena_printf(a, "savings_plans: %.*s: a rate is a number of USD above 0", STR_ARG(v->key));
			return false;
		}
		if (str_is(like->type, "EC2Instance")) {
			mine.region = region->key;
			mine.family = family_of(v->key);
		}
		struct price_offer *o = offer_of(a, all, first, &mine);
		if (!o || ++*count > RATES_MAX) {
			*ret_why = o ? arena_printf(a, "savings_plans: more than %d rates", RATES_MAX)
			             : arena_printf(a, "savings_plans: %.*s, %lld years, %.*s is there twice", STR_ARG(like->type),
			                            (long long)like->years, STR_ARG(like->payment));
			return false;
		}
		*LIST_ADD(a, &o->rates) = (struct price_rate){region->key, v->key, (int64_t)usd_e12};
	}
	return true;
}

static bool read_offer(struct arena *a, const struct json_value *v, struct price_offers *all, uint32_t *count, struct str *ret_why)
{
	static const char *const types[] = {"Compute", "EC2Instance"};
	static const char *const payments[] = {"No Upfront", "Partial Upfront", "All Upfront"};
	const struct json_value *years = json_get(v, S("years")), *rates = json_get(v, S("rates"));
	struct price_offer like = {.type = json_get_str(v, S("type")),
	                           .payment = json_get_str(v, S("payment")),
	                           .region = STR_NONE,
	                           .family = STR_NONE};
	uint32_t first = all->n;
	if (!json_is(v, JSON_OBJECT) || !is_one_of(like.type, types, 2) || !is_one_of(like.payment, payments, 3) ||
	    !json_is(years, JSON_NUMBER) || !json_to_int(years->text, &like.years) || (like.years != 1 && like.years != 3) ||
	    !json_is(rates, JSON_OBJECT) || v->count != 4) {
		*ret_why = S(
		        "savings_plans: a plan has a \"type\" (Compute, EC2Instance), \"years\" (1, 3), a \"payment\" (No Upfront, "
		        "Partial Upfront, All Upfront) and \"rates\" by region");
		return false;
	}
	json_each(rates, region)
	{
		if (!json_is(region, JSON_OBJECT)) {
			*ret_why = arena_printf(a, "savings_plans: %.*s is no object of rates", STR_ARG(region->key));
			return false;
		}
		if (!read_rates(a, region, &like, first, all, count, ret_why))
			return false;
	}
	return true;
}

bool price_offers_read(struct arena *a, const struct json_value *list, struct price_offers *ret, struct str *ret_why)
{
	struct price_offers all = {0};
	uint32_t count = 0;
	if (!json_is(list, JSON_ARRAY)) {
		*ret_why = S("savings_plans is a list of plans");
		return false;
	}
	json_each(list, v)
	{
		if (!read_offer(a, v, &all, &count, ret_why))
			return false;
	}
	*ret = all;
	return true;
}

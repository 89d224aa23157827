/* Records of savings plans, ("savingsplans", "plan", account, id), and their rates, ("savingsplans", "rates", account, id), which
 * only bills read. Private to aws/savingsplans. */
#pragma once
#include "aws/pricing/pricing.h"
#include "aws/savingsplans/savingsplans.h"
#include "core/record.h"
#include "core/service.h"
#include "gen/savingsplans.h"
#include "gen/state_savingsplans.h"

#define PLAN_RETURNED "returned" /* what a record's `ended` says; absent: the clock alone says how it is */
#define PLAN_DELETED "queued-deleted"
enum { PLAN_TAGS_MAX = 200 };

struct plan {
	struct str id;
	struct state_savingsplans_plan_record r;
};
struct plans {
	struct plan *v;
	uint32_t n;
	bool set;
};
struct plans plans_list(struct call *c); /* of the account, by their beginnings */
void plan_put(struct call *c, const struct plan *p);
void plan_put_rates(struct call *c, struct str id, const struct price_rates *rates);
struct price_rates plan_rates(struct store_txn *t, struct arena *a, struct str account, struct str id);
/* CALL_OK, or CALL_FAIL with ResourceNotFoundException. */
int plan_get(struct call *c, struct str id, struct plan *ret);
int plan_get_by_arn(struct call *c, struct str arn, struct plan *ret);
struct str plan_arn(struct call *c, struct str id);
int64_t plan_end_ms(const struct state_savingsplans_plan_record *r);
int64_t plan_returnable_until(const struct state_savingsplans_plan_record *r); /* purchase.c */
int plan_invalid(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* CALL_OK with the pairs added to `to`, or CALL_FAIL. */
int plan_tags_take(struct call *c, const struct str_map *tags, struct str_map *to);

/* offering.c */
struct str offering_id(struct arena *a, const struct price_offer *o);
struct str offering_words(struct arena *a, const struct price_offer *o); /* "1 year No Upfront Compute Savings Plan" */
void offering_products(struct arena *a, struct str type, struct str_list *ret);

/* rate.c: what a rate is for, in AWS's words. */
struct rate_words {
	struct str service, product, usage, operation, unit;
	struct str type, family; /* "m5.large", "m5"; absent: it is none of an instance */
};
struct rate_words rate_words(struct arena *a, const struct price_rate *r);
/* Has it one of the values for a filter ("instanceType")? */
bool rate_has(struct arena *a, const struct price_rate *r, struct str name, const struct str_list *values);
bool plan_one_of(struct str s, const struct str_list *values);
/* The same, or nothing is asked for. */
bool plan_wanted(struct str s, const struct str_list *values);

/* The page of `n` from a token on; CALL_OK, or CALL_FAIL. */
int plan_page(struct call *c, struct str token, const struct opt_int *limit, uint32_t n, uint32_t *ret_from, uint32_t *ret_to,
              struct str *ret_token);

savingsplans_create_savings_plan_handler savingsplans_create_savings_plan;
savingsplans_delete_queued_savings_plan_handler savingsplans_delete_queued_savings_plan;
savingsplans_describe_savings_plan_rates_handler savingsplans_describe_savings_plan_rates;
savingsplans_describe_savings_plans_handler savingsplans_describe_savings_plans;
savingsplans_describe_savings_plans_offering_rates_handler savingsplans_describe_savings_plans_offering_rates;
savingsplans_describe_savings_plans_offerings_handler savingsplans_describe_savings_plans_offerings;
savingsplans_list_tags_for_resource_handler savingsplans_list_tags_for_resource;
savingsplans_return_savings_plan_handler savingsplans_return_savings_plan;
savingsplans_tag_resource_handler savingsplans_tag_resource;
savingsplans_untag_resource_handler savingsplans_untag_resource;

/* CreateSavingsPlan, DeleteQueuedSavingsPlan, ReturnSavingsPlan. There is no payment to wait for, so a plan is active when its time
 * has come; one that is given back counts as if it had never been. */
#include "aws/savingsplans/rows.h"

#include "base/id.h"

#include <time.h>

enum { PLANS_MAX = 1000, RETURN_DAYS = 7, QUEUE_YEARS = 3 };
#define DAY_MS INT64_C(86400000)
#define E5 INT64_C(100000)
#define COMMITMENT_MIN_E5 100 /* 0.001 */
#define COMMITMENT_MAX_E5 (1000000 * E5)
#define RETURN_MAX_E5 (100 * E5)

/* A decimal of at most five places. */
static bool parse_e5(struct str text, int64_t *ret)
{
	__int128 n;
	if (!price_parse(text, 12, &n) || n % 10000000 || n < 0 || n / 10000000 > INT64_MAX)
		return false;
	*ret = (int64_t)(n / 10000000);
	return true;
}

static int find_offer(struct call *c, struct str id, struct price_offer *ret)
{
	struct price_offers all = price_book_offers(c->cloud->prices);
	for (uint32_t i = 0; i < all.n; i++)
		if (str_eq(offering_id(c->arena, &all.v[i]), id)) {
			*ret = all.v[i];
			return CALL_OK;
		}
	return call_fail(c, "ResourceNotFoundException", 404, "The savings plan offering %.*s does not exist.%s", STR_ARG(id),
	                 all.n ? ""
	                       : " There are none: rates come from \"savings_plans\" in the price file that [bill] prices names.");
}

static int take_upfront(struct call *c, const struct savingsplans_create_savings_plan_request *in, struct str payment,
                        int64_t total_e5, int64_t *ret)
{
	bool partial = str_is(payment, "Partial Upfront");
	int64_t whole;
	*ret = str_is(payment, "No Upfront") ? 0 : partial ? total_e5 / 2 : total_e5;
	if (!str_set(in->upfront_payment_amount))
		return CALL_OK;
	if (!partial)
		return plan_invalid(c, "An upfront payment amount is only for the payment option Partial Upfront.");
	if (!parse_e5(in->upfront_payment_amount, &whole) || whole % E5 || whole < total_e5 / 2 || whole > total_e5 / 100 * 99)
		return plan_invalid(
		        c, "The upfront payment amount is a whole number between 50 and 99 percent of the savings plan's value.");
	*ret = whole;
	return CALL_OK;
}

static int take_time(struct call *c, const struct opt_time *asked, int64_t *ret)
{
	*ret = c->now_ms / 1000 * 1000;
	if (!asked->set)
		return CALL_OK;
	if (asked->ms <= c->now_ms)
		return plan_invalid(c, "The purchase time must be in the future.");
	if (asked->ms > c->now_ms + QUEUE_YEARS * INT64_C(365) * DAY_MS)
		return plan_invalid(c, "The purchase time must be within three years from now.");
	*ret = asked->ms / 1000 * 1000;
	return CALL_OK;
}

/* The same token again is the same purchase, or a mistake. True: that is answered. */
static bool was_asked(struct call *c, const struct savingsplans_create_savings_plan_request *in, struct str asked,
                      const struct plans *all, struct savingsplans_create_savings_plan_response *out, int *ret)
{
	for (uint32_t i = 0; i < all->n; i++) {
		if (!str_set(in->client_token) || !str_eq(all->v[i].r.token, in->client_token))
			continue;
		out->savings_plan_id = all->v[i].id;
		*ret = str_eq(all->v[i].r.asked, asked) ? CALL_OK
		                                        : plan_invalid(c, "The client token has been used with other parameters.");
		return true;
	}
	return false;
}

int savingsplans_create_savings_plan(struct call *c, const struct savingsplans_create_savings_plan_request *in,
                                     struct savingsplans_create_savings_plan_response *out)
{
	struct price_offer offer;
	int64_t commitment = 0, upfront, from_ms;
	int status;
	struct str_map tags = {0};
	struct plans all = plans_list(c);
	struct str asked =
	        ARENA_CAT(c->arena, in->savings_plan_offering_id, S(" "), in->commitment, S(" "),
	                  str_set(in->upfront_payment_amount) ? in->upfront_payment_amount : S(""), S(" "),
	                  in->purchase_time.set ? arena_printf(c->arena, "%lld", (long long)in->purchase_time.ms) : S(""));
	if (was_asked(c, in, asked, &all, out, &status))
		return status;
	if (find_offer(c, in->savings_plan_offering_id, &offer) != CALL_OK)
		return CALL_FAIL;
	if (!parse_e5(in->commitment, &commitment) || commitment < COMMITMENT_MIN_E5 || commitment > COMMITMENT_MAX_E5)
		return plan_invalid(
		        c, "The commitment is a value between 0.001 and 1000000 with at most five digits after the decimal point.");
	if (take_upfront(c, in, offer.payment, commitment * SAVINGS_YEAR_H * offer.years, &upfront) != CALL_OK ||
	    take_time(c, &in->purchase_time, &from_ms) != CALL_OK || plan_tags_take(c, &in->tags, &tags) != CALL_OK)
		return CALL_FAIL;
	if (all.n >= PLANS_MAX)
		return call_fail(c, "ServiceQuotaExceededException", 402, "The account has %d savings plans already.", PLANS_MAX);
	const struct plan p = {.id = id_uuid(c->arena),
	                       .r = {.offering_id = in->savings_plan_offering_id,
	                             .type = offer.type,
	                             .payment = offer.payment,
	                             .region = offer.region,
	                             .family = offer.family,
	                             .years = OPT_INT(offer.years),
	                             .commitment_e5 = OPT_INT(commitment),
	                             .upfront_e5 = OPT_INT(upfront),
	                             .bought = OPT_TIME(c->now_ms),
	                             .from = OPT_TIME(from_ms),
	                             .token = in->client_token,
	                             .asked = asked,
	                             .tags = tags}};
	plan_put(c, &p);
	plan_put_rates(c, p.id, &offer.rates);
	out->savings_plan_id = p.id;
	return CALL_OK;
}

int savingsplans_delete_queued_savings_plan(struct call *c, const struct savingsplans_delete_queued_savings_plan_request *in,
                                            struct savingsplans_delete_queued_savings_plan_response *out)
{
	(void)out;
	struct plan p;
	if (plan_get(c, in->savings_plan_id, &p) != CALL_OK)
		return CALL_FAIL;
	if (str_set(p.r.ended) || p.r.from.ms <= c->now_ms)
		return plan_invalid(c, "The savings plan %.*s is not queued.", STR_ARG(p.id));
	p.r.ended = S(PLAN_DELETED);
	plan_put(c, &p);
	return CALL_OK;
}

/* Seven days, and not beyond the month of the purchase. */
int64_t plan_returnable_until(const struct state_savingsplans_plan_record *r)
{
	time_t at = (time_t)(r->from.ms / 1000);
	struct tm tm;
	gmtime_r(&at, &tm);
	struct tm next = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon + 1, .tm_mday = 1};
	int64_t month_ms = (int64_t)timegm(&next) * 1000, until_ms = r->from.ms + RETURN_DAYS * DAY_MS;
	if (r->commitment_e5.v > RETURN_MAX_E5)
		return r->from.ms;
	return until_ms < month_ms ? until_ms : month_ms - 1000;
}

int savingsplans_return_savings_plan(struct call *c, const struct savingsplans_return_savings_plan_request *in,
                                     struct savingsplans_return_savings_plan_response *out)
{
	struct plan p;
	if (plan_get(c, in->savings_plan_id, &p) != CALL_OK)
		return CALL_FAIL;
	out->savings_plan_id = p.id;
	if (str_set(p.r.ended) && str_is(p.r.ended, PLAN_RETURNED))
		return CALL_OK;
	if (str_set(p.r.ended) || c->now_ms < p.r.from.ms || c->now_ms >= plan_end_ms(&p.r))
		return plan_invalid(c, "Only an active savings plan can be returned.");
	if (p.r.commitment_e5.v > RETURN_MAX_E5)
		return plan_invalid(c, "A savings plan with a commitment above $100 an hour cannot be returned.");
	if (c->now_ms > plan_returnable_until(&p.r))
		return plan_invalid(
		        c, "The savings plan was bought more than seven days ago, or in another month, and cannot be returned.");
	p.r.ended = S(PLAN_RETURNED);
	plan_put(c, &p);
	return CALL_OK;
}

/* Reading and writing plans. */
#include "aws/savingsplans/rows.h"

#include <stdarg.h>
#include <stdlib.h>

static const struct record_type plan_row = {&state_savingsplans_api, "PlanRecord"};
static const struct record_type rates_row = {&state_savingsplans_api, "RatesRecord"};

int plan_invalid(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str message = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "ValidationException", 400, "%.*s", STR_ARG(message));
}

static struct str arn_of(struct arena *a, struct str account, struct str id)
{
	return ARENA_CAT(a, S("arn:aws:savingsplans::"), account, S(":savingsplan/"), id);
}

struct str plan_arn(struct call *c, struct str id)
{
	return arn_of(c->arena, c->account, id);
}

int64_t plan_end_ms(const struct state_savingsplans_plan_record *r)
{
	return r->from.ms + r->years.v * SAVINGS_YEAR_H * 3600 * 1000;
}

static int by_beginning(const void *x, const void *y)
{
	const struct plan *a = x, *b = y;
	return a->r.from.ms != b->r.from.ms ? (a->r.from.ms < b->r.from.ms ? -1 : 1) : str_cmp(a->id, b->id);
}

static struct plans list(struct store_txn *t, struct arena *a, struct str account)
{
	struct plans all = {0};
	struct str under = KEY_UNDER(a, S("savingsplans"), S("plan"), account), key;
	struct store_iter *i = store_scan(t, under, store_prefix_end(a, under), false);
	struct store_value v;
	struct plan p;
	while (store_next(i, &key, &v)) {
		struct str_list parts = record_key_parts(a, key);
		if (parts.n != 4 || !record_read(a, v.value, &plan_row, &p.r))
			continue;
		p.id = parts.v[3];
		*LIST_ADD(a, &all) = p;
	}
	if (all.n)
		qsort(all.v, all.n, sizeof(*all.v), by_beginning);
	return all;
}

struct plans plans_list(struct call *c)
{
	return list(call_txn(c), c->arena, c->account);
}

void plan_put(struct call *c, const struct plan *p)
{
	record_put(call_txn(c), c->arena, KEY(c->arena, S("savingsplans"), S("plan"), c->account, p->id), &plan_row, &p->r);
}

void plan_put_rates(struct call *c, struct str id, const struct price_rates *rates)
{
	struct state_savingsplans_rates_record r = {0};
	for (uint32_t i = 0; i < rates->n; i++)
		*LIST_ADD(c->arena, &r.rates) =
		        (struct state_savingsplans_rate){rates->v[i].region, rates->v[i].usage, OPT_INT(rates->v[i].usd_e12)};
	record_put(call_txn(c), c->arena, KEY(c->arena, S("savingsplans"), S("rates"), c->account, id), &rates_row, &r);
}

struct price_rates plan_rates(struct store_txn *t, struct arena *a, struct str account, struct str id)
{
	struct state_savingsplans_rates_record r = {0};
	struct price_rates all = {0};
	record_get(t, a, KEY(a, S("savingsplans"), S("rates"), account, id), &rates_row, &r);
	for (uint32_t i = 0; i < r.rates.n; i++)
		*LIST_ADD(a, &all) = (struct price_rate){r.rates.v[i].region, r.rates.v[i].usage, r.rates.v[i].usd_e12.v};
	return all;
}

int plan_get(struct call *c, struct str id, struct plan *ret)
{
	ret->id = id;
	if (id.n &&
	    record_get(call_txn(c), c->arena, KEY(c->arena, S("savingsplans"), S("plan"), c->account, id), &plan_row, &ret->r))
		return CALL_OK;
	return call_fail(c, "ResourceNotFoundException", 404, "The savings plan %.*s does not exist.", STR_ARG(id));
}

int plan_get_by_arn(struct call *c, struct str arn, struct plan *ret)
{
	struct str own = plan_arn(c, S(""));
	if (str_starts(arn, own))
		return plan_get(c, str_from_at(arn, own.n), ret);
	return call_fail(c, "ResourceNotFoundException", 404, "The savings plan %.*s does not exist.", STR_ARG(arn));
}

struct savings_plans savings_plans_read(struct store_txn *t, struct arena *a, struct str account)
{
	struct savings_plans read = {0};
	struct plans all = list(t, a, account);
	for (uint32_t i = 0; i < all.n; i++) {
		const struct state_savingsplans_plan_record *r = &all.v[i].r;
		if (str_set(r->ended))
			continue;
		*LIST_ADD(a, &read) = (struct savings_plan){.id = all.v[i].id,
		                                            .arn = arn_of(a, account, all.v[i].id),
		                                            .type = r->type,
		                                            .payment = r->payment,
		                                            .region = r->region,
		                                            .family = r->family,
		                                            .years = r->years.v,
		                                            .commitment_e5 = r->commitment_e5.v,
		                                            .upfront_e5 = r->upfront_e5.v,
		                                            .from_ms = r->from.ms,
		                                            .to_ms = plan_end_ms(r),
		                                            .rates = plan_rates(t, a, account, all.v[i].id)};
	}
	return read;
}

struct str savings_plan_usage(struct arena *a, struct str type, struct str family, int64_t years, struct str payment)
{
	struct str word = str_is(payment, "All Upfront")  ? S("AllUpfront")
	                  : str_is(payment, "No Upfront") ? S("NoUpfront")
	                                                  : S("PartialUpfront");
	bool compute = str_is(type, "Compute");
	return ARENA_CAT(a, compute ? S("ComputeSP:") : S("EC2SP:"), compute ? S("") : family, compute ? S("") : S("."),
	                 years == 1 ? S("1yr") : S("3yr"), word);
}

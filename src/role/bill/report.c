/* `quartet bill --csv`: lines of a cost and usage report, one a day and usage type (and resource or tag), in the report's columns.
 * What Quartet does not know (invoices, zones) stays empty, as AWS leaves it empty where it does not apply. */
#include "role/bill/bill.h"

#include "base/hash.h"
#include "gen/sts.h"

#include <stdio.h>

struct report {
	struct cli *cli;
	const struct bill *bill;
	struct str account, tag; /* tag: its key; absent: no such column */
	bool resources;
};

static void field(struct str s)
{
	bool quote = str_find_char(s, ',') >= 0 || str_find_char(s, '"') >= 0 || str_find_char(s, '\n') >= 0;
	if (quote)
		putchar('"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"')
			putchar('"');
		putchar(s.p[i]);
	}
	if (quote)
		putchar('"');
}

static const char *const columns[] = {
        "identity/LineItemId",
        "identity/TimeInterval",
        "bill/InvoiceId",
        "bill/BillingEntity",
        "bill/BillType",
        "bill/PayerAccountId",
        "bill/BillingPeriodStartDate",
        "bill/BillingPeriodEndDate",
        "lineItem/UsageAccountId",
        "lineItem/LineItemType",
        "lineItem/UsageStartDate",
        "lineItem/UsageEndDate",
        "lineItem/ProductCode",
        "lineItem/UsageType",
        "lineItem/Operation",
        "lineItem/AvailabilityZone",
        "lineItem/ResourceId",
        "lineItem/UsageAmount",
        "lineItem/CurrencyCode",
        "lineItem/UnblendedRate",
        "lineItem/UnblendedCost",
        "lineItem/BlendedRate",
        "lineItem/BlendedCost",
        "lineItem/LineItemDescription",
        "product/ProductName",
        "product/region",
        "pricing/unit",
        "pricing/publicOnDemandCost",
        "reservation/SubscriptionId",
        "reservation/EffectiveCost",
        "reservation/UnusedRecurringFee",
        "savingsPlan/SavingsPlanARN",
        "savingsPlan/SavingsPlanEffectiveCost",
        "savingsPlan/UsedCommitment",
        "savingsPlan/RecurringCommitmentForBillingPeriod",
        "savingsPlan/UnusedCommitment",
};

/* The first day of a day's month, and that of the next. */
static struct str month_start(struct cli *cli, struct str day, int more)
{
	int64_t year = 1970, month = 1;
	str_to_i64(str_sub(day, 0, 4), &year);
	str_to_i64(str_sub(day, 5, 2), &month);
	month += more;
	if (month > 12) {
		month = 1;
		year++;
	}
	return arena_printf(&cli->arena, "%04lld-%02lld-01T00:00:00Z", (long long)year, (long long)month);
}

static struct str operation_of(struct cli *cli, const struct bill_line *l)
{
	struct str words = str_from(price_products + l->price->product);
	while (str_set(words)) {
		struct str word = str_cut(&words, '\t');
		if (str_starts(word, S("operation=")))
			return arena_dup(&cli->arena, str_from_at(word, 10));
	}
	return S("");
}

/* Where lines are told apart by it, what they are; else what their usage type is. */
static struct str record_of(const struct report *r, const struct bill_line *l, struct str more)
{
	if (!r->resources && !str_set(r->tag))
		return more;
	return !l->price ? S("Fee") : str_starts(str_from(l->price->usage), S("HeavyUsage:")) ? S("RIFee") : S("Usage");
}

/* buyer: the reservation or the plan, of those that have one; else empty. */
static void print_line(const struct report *r, const struct bill_line *l, const struct bill_group *g, struct str more,
                       struct str buyer)
{
	struct cli *cli = r->cli;
	struct arena *a = &cli->arena;
	struct str from = ARENA_CAT(a, g->start, S("T00:00:00Z")), to = ARENA_CAT(a, g->end, S("T00:00:00Z"));
	struct str cost = l->known ? price_text_e10(a, g->usd_e10) : S("");
	struct str rate = l->price && l->known && !l->tiers && !l->price->free_pool ? price_text_e12(a, l->price_e12) : S("");
	struct str whole =
	        ARENA_CAT(a, r->account, S("/"), g->start, S("/"), l->service, S("/"), l->usage, S("/"), more, S("/"), buyer);
	struct str resource = r->resources && !str_is(more, "NoResourceId") ? more : S("");
	struct str amortized = price_text_e10(a, g->amortized_e10);
	bool covered = str_is(more, "SavingsPlanCoveredUsage"), recurring = str_is(more, "SavingsPlanRecurringFee");
	bool plan = str_starts(more, S("SavingsPlan")), reserved = buyer.n && !plan;
	const struct str values[] = {hash_hex(a, HASH_SHA256, whole),
	                             ARENA_CAT(a, from, S("/"), to),
	                             S(""),
	                             S("AWS"),
	                             S("Anniversary"),
	                             r->account,
	                             month_start(cli, g->start, 0),
	                             month_start(cli, g->start, 1),
	                             r->account,
	                             record_of(r, l, more),
	                             from,
	                             to,
	                             l->price ? bill_code(l) : S(""),
	                             l->usage,
	                             l->price ? operation_of(cli, l) : S(""),
	                             S(""),
	                             resource,
	                             price_text_e10(a, g->quantity_e10),
	                             S("USD"),
	                             rate,
	                             cost,
	                             rate,
	                             cost,
	                             str_set(rate) && rate.n ? ARENA_CAT(a, S("$"), rate, S(" per "), l->unit) : S(""),
	                             l->service,
	                             l->region,
	                             l->unit,
	                             covered ? cost : S(""),
	                             reserved ? buyer : S(""),
	                             str_is(more, "DiscountedUsage") ? amortized : S(""),
	                             str_is(more, "RIFee") ? amortized : S(""),
	                             plan ? buyer : S(""),
	                             covered ? amortized : S(""),
	                             covered ? amortized : S(""),
	                             recurring ? cost : S(""),
	                             recurring ? amortized : S("")};
	_Static_assert(sizeof(values) / sizeof(*values) == sizeof(columns) / sizeof(*columns), "a value a column");
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		if (i)
			putchar(',');
		field(values[i]);
	}
	if (str_set(r->tag)) {
		putchar(',');
		field(more);
	}
	putchar('\n');
}

static const struct bill_line *line_of(const struct bill *b, struct str service, struct str usage)
{
	for (uint32_t i = 0; i < b->lines.n; i++)
		if (str_eq(b->lines.v[i].service, service) && str_eq(b->lines.v[i].usage, usage))
			return &b->lines.v[i];
	return NULL;
}

static void add_once(struct arena *a, struct str_list *to, struct str s)
{
	for (uint32_t i = 0; i < to->n; i++)
		if (str_eq(to->v[i], s))
			return;
	*LIST_ADD(a, to) = s;
}

static void print_header(const struct report *r)
{
	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++)
		printf("%s%s", i ? "," : "", columns[i]);
	if (str_set(r->tag)) {
		printf(",");
		field(ARENA_CAT(&r->cli->arena, S("resourceTags/user:"), r->tag));
	}
	printf("\n");
}

/* Who bought what a record type is about, by the dimension that says so; NULL: nobody did. */
static const char *buyer_of(struct str record)
{
	return str_starts(record, S("SavingsPlan"))                           ? "SAVINGS_PLAN_ARN"
	       : str_is(record, "DiscountedUsage") || str_is(record, "RIFee") ? "RESERVATION_ID"
	                                                                      : NULL;
}

static int print_bought(const struct report *r, const struct cli_cloud *cloud, struct str service, struct str record)
{
	struct bill_question q = {.bill = r->bill,
	                          .granularity = "DAILY",
	                          .keys = {"USAGE_TYPE", buyer_of(record)},
	                          .service = service,
	                          .record = record};
	struct bill_groups found = {0};
	int status = bill_ask(r->cli, cloud, &q, &found);
	for (uint32_t i = 0; status == CLI_OK && i < found.n; i++) {
		const struct bill_group *g = &found.v[i];
		const struct bill_line *l = str_set(g->keys[0]) ? line_of(r->bill, service, g->keys[0]) : NULL;
		if (l)
			print_line(r, l, g, record, g->keys[1]);
	}
	return status;
}

/* Two keys a question is Cost Explorer's limit, so services are asked about one by one, and so are the records of what was bought.
 */
static int print_service(const struct report *r, const struct cli_cloud *cloud, struct str service)
{
	struct bill_question q = {.bill = r->bill, .granularity = "DAILY", .keys = {"USAGE_TYPE", NULL}, .service = service};
	struct bill_groups found = {0};
	if (str_set(r->tag))
		q.keys[1] = arena_dupz(&r->cli->arena, ARENA_CAT(&r->cli->arena, S("TAG:"), r->tag));
	else
		q.keys[1] = r->resources ? "RESOURCE_ID" : "RECORD_TYPE";
	int status = bill_ask(r->cli, cloud, &q, &found);
	bool by_record = !str_set(r->tag) && !r->resources;
	struct str_list bought = {0};
	for (uint32_t i = 0; status == CLI_OK && i < found.n; i++) {
		const struct bill_group *g = &found.v[i];
		const struct bill_line *l = str_set(g->keys[0]) ? line_of(r->bill, service, g->keys[0]) : NULL;
		if (l && by_record && str_set(g->keys[1]) && buyer_of(g->keys[1]))
			add_once(&r->cli->arena, &bought, g->keys[1]);
		else if (l)
			print_line(r, l, g,
			           str_set(r->tag)       ? str_from_at(g->keys[1], r->tag.n + 1)
			           : str_set(g->keys[1]) ? g->keys[1]
			                                 : S(""),
			           S(""));
	}
	for (uint32_t i = 0; status == CLI_OK && i < bought.n; i++)
		status = print_bought(r, cloud, service, bought.v[i]);
	return status;
}

int bill_print_report(struct cli *cli, const struct cli_cloud *cloud, const struct bill *b)
{
	struct report r = {.cli = cli, .bill = b, .tag = STR_NONE};
	struct str by = b->by ? str_from(b->by) : S("");
	struct model_none nothing = {0};
	struct sts_get_caller_identity_response who = {0};
	r.resources = str_is(by, "resource");
	if (str_starts(by, S("tag:")))
		r.tag = str_from_at(by, 4);
	int status = cli_call(cli, cloud, &sts_api, "GetCallerIdentity", &nothing, &who, NULL);
	if (status != CLI_OK)
		return status;
	r.account = who.account;
	print_header(&r);
	for (uint32_t i = 0; i < b->lines.n && status == CLI_OK; i++)
		if (i == 0 || !str_eq(b->lines.v[i].service, b->lines.v[i - 1].service))
			status = print_service(&r, cloud, b->lines.v[i].service);
	return status;
}

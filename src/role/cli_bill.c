/* `quartet bill`: Cost Explorer's answer as a table. */
#include "role/cli.h"

#include "aws/pricing/pricing.h"
#include "base/clock.h"
#include "base/json.h"
#include "gen/ce.h"
#include "gen/pricing.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct period {
	struct str start, end, today; /* YYYY-MM-DD; the month's end is not in it */
	bool current;
};

static struct str day_text(struct cli *cli, int year, int month, int day)
{
	struct tm tm = {.tm_year = year, .tm_mon = month, .tm_mday = day};
	time_t at = timegm(&tm);
	gmtime_r(&at, &tm);
	return arena_printf(&cli->arena, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
}

static int find_period(struct cli *cli, const char *month, struct period *ret)
{
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct tm tm;
	gmtime_r(&now, &tm);
	int year = tm.tm_year, mon = tm.tm_mon;
	ret->today = day_text(cli, year, mon, tm.tm_mday);
	if (month) {
		int64_t y = 0, m = 0;
		struct str text = str_from(month);
		if (text.n != 7 || text.p[4] != '-' || !str_to_i64(str_sub(text, 0, 4), &y) ||
		    !str_to_i64(str_sub(text, 5, 2), &m) || y < 1970 || m < 1 || m > 12)
			return cli_fail(cli, CLI_USAGE, "--month wants YYYY-MM, not \"%s\"", month);
		year = (int)y - 1900;
		mon = (int)m - 1;
	}
	ret->current = year == tm.tm_year && mon == tm.tm_mon;
	ret->start = day_text(cli, year, mon, 1);
	ret->end = day_text(cli, year, mon + 1, 1);
	return CLI_OK;
}

static struct ce_expression *in_region(struct cli *cli, const char *region)
{
	if (!region)
		return NULL;
	struct ce_expression *e = arena_new(&cli->arena, struct ce_expression);
	e->dimensions = arena_new(&cli->arena, struct ce_dimension_values);
	e->dimensions->key = S("REGION");
	*LIST_ADD(&cli->arena, &e->dimensions->values) = str_from(region);
	return e;
}

static __int128 metric_e10(const struct ce_metrics *m, const char *name, struct str *ret_unit)
{
	__int128 n = 0;
	for (uint32_t i = 0; i < m->n; i++)
		if (str_is(m->v[i].key, name)) {
			price_parse(m->v[i].value.amount, 10, &n);
			*ret_unit = m->v[i].value.unit;
		}
	return n;
}

struct line {
	struct str service, usage, region, unit;
	const struct price *price;
	__int128 quantity_e10, usd_e10;
	__int128 price_e12; /* of its first tier */
	bool known, tiers;
};

struct lines {
	struct line *v;
	uint32_t n;
	bool set;
};

struct bill {
	struct period period;
	struct lines lines;
	__int128 total_e10, projected_e10;
	unsigned unknown;
	bool projecting;
};

/* "2.00": a number as JSON has it, all of its digits. */
static struct str exact(struct cli *cli, __int128 n_e10)
{
	return price_text_e10(&cli->arena, n_e10);
}

static struct str first_price(struct cli *cli, const struct line *l)
{
	return price_text_e12(&cli->arena, l->price_e12);
}

static void print_json(struct cli *cli, const struct bill *b)
{
	printf("{\"start\":\"%.*s\",\"end\":\"%.*s\",\"lines\":[", STR_ARG(b->period.start), STR_ARG(b->period.end));
	for (uint32_t i = 0; i < b->lines.n; i++) {
		const struct line *l = &b->lines.v[i];
		printf("%s{\"service\":\"%.*s\",\"usageType\":\"%.*s\",\"region\":\"%.*s\",\"quantity\":%.*s,\"unit\":\"%.*s\",",
		       i ? "," : "", STR_ARG(l->service), STR_ARG(l->usage), STR_ARG(l->region),
		       STR_ARG(exact(cli, l->quantity_e10)), STR_ARG(l->unit));
		if (l->known)
			printf("\"price\":%.*s,\"usd\":%.*s}", STR_ARG(first_price(cli, l)), STR_ARG(exact(cli, l->usd_e10)));
		else
			printf("\"price\":null,\"usd\":null}");
	}
	printf("],\"usd\":%.*s,\"unknownPrices\":%u", STR_ARG(exact(cli, b->total_e10)), b->unknown);
	if (b->projecting)
		printf(",\"projectedUsd\":%.*s", STR_ARG(exact(cli, b->projected_e10)));
	printf("}\n");
}

/* At most six decimals, for people; rounded. */
static struct str shown(struct cli *cli, __int128 n_e10)
{
	__int128 n = (n_e10 + 5000) / 10000;
	return arena_printf(&cli->arena, "%lld.%06lld", (long long)(n / 1000000), (long long)(n % 1000000));
}

static void print_table(struct cli *cli, const struct bill *b)
{
	struct str service = STR_NONE;
	bool tiered = false, free = false;
	printf("%.*s to %.*s%s\n", STR_ARG(b->period.start), STR_ARG(b->period.end), b->period.current ? ", so far" : "");
	if (!b->lines.n)
		printf("nothing was used\n");
	for (uint32_t i = 0; i < b->lines.n; i++) {
		const struct line *l = &b->lines.v[i];
		if (!str_eq(l->service, service))
			printf("\n%.*s\n", STR_ARG(l->service));
		service = l->service;
		printf("  %-36.*s %16.*s %-17.*s", STR_ARG(l->usage), STR_ARG(shown(cli, l->quantity_e10)), STR_ARG(l->unit));
		tiered |= l->known && l->tiers;
		free |= l->known && l->price->free_pool;
		if (l->known)
			printf(" x %-12.*s %s %14.*s USD\n", STR_ARG(first_price(cli, l)),
			       l->price->free_pool ? "+"
			       : l->tiers          ? "*"
			                           : " ",
			       STR_ARG(shown(cli, l->usd_e10)));
		else
			printf("   %-12s   %14s\n", "no price", "unknown");
	}
	printf("\n%-88s %14.*s USD\n", b->unknown ? "Total of what has a known price" : "Total", STR_ARG(shown(cli, b->total_e10)));
	if (b->projecting)
		printf("%-88s %14.*s USD\n", "By the end of the month, if what goes on now goes on",
		       STR_ARG(shown(cli, b->projected_e10)));
	if (free)
		printf("+ some of it is free every month; what exceeds that has this price\n");
	if (tiered)
		printf("* the first tier's price; more of it a month is cheaper\n");
	if (b->lines.n)
		printf("Prices: AWS, us-east-1, on demand, without taxes.\n");
	if (b->unknown)
		printf("%u usage type%s no known price (other regions, ...) and %s not in the total.\n", b->unknown,
		       b->unknown == 1 ? " has" : "s have", b->unknown == 1 ? "is" : "are");
}

/* The whole month: the days before today as they were, the rest as it is now. */
static int project(struct cli *cli, const struct cli_cloud *cloud, const struct period *p, const char *region, __int128 *ret_e10)
{
	struct ce_get_cost_and_usage_response past = {0};
	struct ce_get_cost_forecast_response rest = {0};
	struct str unit;
	__int128 usd = 0;
	*ret_e10 = 0;
	if (!str_eq(p->start, p->today)) {
		struct ce_date_interval days = {p->start, p->today};
		struct str name = S("UnblendedCost");
		struct ce_get_cost_and_usage_request in = {.time_period = &days,
		                                           .granularity = S("MONTHLY"),
		                                           .filter = in_region(cli, region),
		                                           .metrics = {.v = &name, .n = 1, .set = true}};
		int status = cli_call(cli, cloud, &ce_api, "GetCostAndUsage", &in, &past, NULL);
		if (status != CLI_OK)
			return status;
		if (past.results_by_time.n)
			*ret_e10 += metric_e10(&past.results_by_time.v[0].total, "UnblendedCost", &unit);
	}
	struct ce_date_interval days = {p->today, p->end};
	struct ce_get_cost_forecast_request in = {
	        .time_period = &days, .granularity = S("MONTHLY"), .filter = in_region(cli, region), .metric = S("UNBLENDED_COST")};
	int status = cli_call(cli, cloud, &ce_api, "GetCostForecast", &in, &rest, NULL);
	if (status != CLI_OK)
		return status;
	if (rest.total && price_parse(rest.total->amount, 10, &usd))
		*ret_e10 += usd;
	return CLI_OK;
}

static int by_service(const void *x, const void *y)
{
	const struct line *a = x, *b = y;
	int order = str_cmp(a->service, b->service);
	return order ? order : str_cmp(a->usage, b->usage);
}

static struct lines read_lines(struct cli *cli, const struct ce_get_cost_and_usage_response *out)
{
	struct lines lines = {0};
	const struct ce_result_by_time *r = out->results_by_time.n ? &out->results_by_time.v[0] : NULL;
	for (uint32_t i = 0; r && i < r->groups.n; i++) {
		const struct ce_group *g = &r->groups.v[i];
		struct str usage = g->keys.v[1], region, none;
		const struct price *p = price_find_shown(g->keys.v[0], usage, &region);
		if (!p)
			continue;
		struct line *l = LIST_ADD(&cli->arena, &lines);
		*l = (struct line){.service = str_from(p->service), .usage = usage, .region = region, .price = p};
		l->quantity_e10 = metric_e10(&g->metrics, "UsageQuantity", &l->unit);
		l->usd_e10 = metric_e10(&g->metrics, "UnblendedCost", &none);
	}
	if (lines.n)
		qsort(lines.v, lines.n, sizeof(*lines.v), by_service);
	return lines;
}

/* --- prices, as the cloud's price list has them: it may be the user's own */

static struct str code_of(const struct line *l)
{
	struct str words = str_from(price_products + l->price->product);
	return str_cut(&words, '\t');
}

/* A product's first price goes to its lines: the first product of a usage type wins. */
static void take_product(struct bill *b, struct str code, const struct json_value *product)
{
	const struct json_value *of = json_get(product, S("product"));
	struct str usage = json_get_str(json_get(of, S("attributes")), S("usagetype"));
	const struct json_value *terms = json_get(json_get(product, S("terms")), S("OnDemand"));
	const struct json_value *tiers = terms && terms->first ? json_get(terms->first, S("priceDimensions")) : NULL;
	for (uint32_t i = 0; i < b->lines.n; i++) {
		struct line *l = &b->lines.v[i];
		if (l->known || !str_eq(l->usage, usage) || !str_eq(code_of(l), code))
			continue;
		l->tiers = tiers && tiers->count > 1;
		json_each(tiers, tier)
		{
			struct str usd = json_get_str(json_get(tier, S("pricePerUnit")), S("USD"));
			if (str_is(json_get_str(tier, S("beginRange")), "0"))
				l->known = price_parse(usd, 12, &l->price_e12);
		}
	}
}

static int ask_prices(struct cli *cli, const struct cli_cloud *cloud, struct bill *b, struct str code, struct str usages)
{
	struct pricing_filter any = {.type = S("ANY_OF"), .field = S("usagetype"), .value = usages};
	struct pricing_get_products_request in = {.service_code = code, .filters = {.v = &any, .n = 1, .set = true}};
	struct pricing_get_products_response out = {0};
	do {
		int status = cli_call(cli, cloud, &pricing_api, "GetProducts", &in, &out, NULL);
		if (status != CLI_OK)
			return status;
		for (uint32_t i = 0; i < out.price_list.n; i++)
			take_product(b, code, json_parse(&cli->arena, out.price_list.v[i], NULL));
		in.next_token = out.next_token;
	} while (str_set(in.next_token));
	return CLI_OK;
}

static int find_prices(struct cli *cli, const struct cli_cloud *cloud, struct bill *b)
{
	enum { VALUE_MAX = 1000 };
	bool *asked = arena_array(&cli->arena, b->lines.n + 1, sizeof(*asked));
	for (uint32_t i = 0; i < b->lines.n; i++) {
		struct str code = code_of(&b->lines.v[i]), usages = STR_NONE;
		for (uint32_t k = i; k < b->lines.n; k++) {
			const struct line *l = &b->lines.v[k];
			if (asked[k] || !str_eq(code_of(l), code) || usages.n + l->usage.n >= VALUE_MAX)
				continue;
			usages = str_set(usages) ? ARENA_CAT(&cli->arena, usages, S(","), l->usage) : l->usage;
			asked[k] = true;
		}
		int status = str_set(usages) ? ask_prices(cli, cloud, b, code, usages) : CLI_OK;
		if (status != CLI_OK)
			return status;
	}
	/* Spot prices are no products. */
	for (uint32_t i = 0; i < b->lines.n; i++) {
		struct line *l = &b->lines.v[i];
		const struct price *p = price_in(NULL, l->price, l->usage, l->region);
		if (!l->known && p && str_starts(str_from(p->usage), S("SpotUsage:"))) {
			l->known = true;
			l->price_e12 = p->tiers[0].usd_e12;
		}
	}
	return CLI_OK;
}

int cli_bill(struct cli *cli)
{
	struct cli_cloud cloud;
	struct bill b = {0};
	const char *month = cli_option(cli, "--month", NULL), *region = cli_option(cli, "--region", NULL);
	bool json = cli_flag(cli, "--json");
	b.projecting = cli_flag(cli, "--project-month");
	int status = cli_open(cli, 0, &cloud);
	if (status != CLI_OK || (status = cli_take_clock(cli, &cloud)) != CLI_OK ||
	    (status = find_period(cli, month, &b.period)) != CLI_OK)
		return status;
	if (b.projecting && !b.period.current)
		return cli_fail(cli, CLI_USAGE, "--project-month is about the present month");
	struct ce_date_interval days = {b.period.start, b.period.end};
	struct str names[] = {S("UnblendedCost"), S("UsageQuantity")};
	struct ce_group_definition by[] = {{S("DIMENSION"), S("SERVICE")}, {S("DIMENSION"), S("USAGE_TYPE")}};
	struct ce_get_cost_and_usage_request in = {.time_period = &days,
	                                           .granularity = S("MONTHLY"),
	                                           .filter = in_region(cli, region),
	                                           .metrics = {.v = names, .n = 2, .set = true},
	                                           .group_by = {.v = by, .n = 2, .set = true}};
	struct ce_get_cost_and_usage_response out = {0};
	status = cli_call(cli, &cloud, &ce_api, "GetCostAndUsage", &in, &out, NULL);
	if (status == CLI_OK && b.projecting)
		status = project(cli, &cloud, &b.period, region, &b.projected_e10);
	if (status != CLI_OK)
		return status;
	b.lines = read_lines(cli, &out);
	status = find_prices(cli, &cloud, &b);
	if (status != CLI_OK)
		return status;
	for (uint32_t i = 0; i < b.lines.n; i++) {
		b.total_e10 += b.lines.v[i].usd_e10;
		b.unknown += !b.lines.v[i].known;
	}
	(json ? print_json : print_table)(cli, &b);
	return CLI_OK;
}

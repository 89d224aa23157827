/* `quartet bill`: Cost Explorer's answer as a table. */
#include "role/bill/bill.h"

#include "base/clock.h"
#include "gen/ce.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct str day_text(struct cli *cli, int year, int month, int day)
{
	struct tm tm = {.tm_year = year, .tm_mon = month, .tm_mday = day};
	time_t at = timegm(&tm);
	gmtime_r(&at, &tm);
	return arena_printf(&cli->arena, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
}

static int find_period(struct cli *cli, const char *month, struct bill_period *ret)
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

/* YYYY-MM-DD as it is, if there is such a day. */
static bool is_day(struct cli *cli, struct str text)
{
	int64_t y, m, d;
	return text.n == 10 && text.p[4] == '-' && text.p[7] == '-' && str_to_i64(str_sub(text, 0, 4), &y) && y >= 1970 &&
	       str_to_i64(str_sub(text, 5, 2), &m) && str_to_i64(str_sub(text, 8, 2), &d) &&
	       str_eq(text, day_text(cli, (int)y - 1900, (int)m - 1, (int)d));
}

/* --from and --to in place of a month's ends. */
static int take_days(struct cli *cli, const char *from, const char *to, struct bill_period *p)
{
	if ((from && !is_day(cli, str_from(from))) || (to && !is_day(cli, str_from(to))))
		return cli_fail(cli, CLI_USAGE, "--from and --to want YYYY-MM-DD");
	if (from)
		p->start = str_from(from);
	if (to)
		p->end = str_from(to);
	p->current &= !from && !to;
	if (str_cmp(p->start, p->end) >= 0)
		return cli_fail(cli, CLI_USAGE, "--from %.*s is not before --to %.*s, whose day is not in it", STR_ARG(p->start),
		                STR_ARG(p->end));
	return CLI_OK;
}

static struct ce_expression *one_of(struct cli *cli, struct str key, struct str value)
{
	struct ce_expression *e = arena_new(&cli->arena, struct ce_expression);
	e->dimensions = arena_new(&cli->arena, struct ce_dimension_values);
	e->dimensions->key = key;
	*LIST_ADD(&cli->arena, &e->dimensions->values) = value;
	return e;
}

struct ce_expression *bill_filter(struct cli *cli, const char *region, struct str service, struct str record)
{
	const struct {
		struct str key, value;
	} parts[] = {{S("REGION"), region ? str_from(region) : STR_NONE}, {S("SERVICE"), service}, {S("RECORD_TYPE"), record}};
	struct ce_expression *all = arena_new(&cli->arena, struct ce_expression);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (str_set(parts[i].value))
			*LIST_ADD(&cli->arena, &all->and) = *one_of(cli, parts[i].key, parts[i].value);
	return all->and.n > 1 ? all : all->and.n ? &all->and.v[0] : NULL;
}

bool bill_is_plan(const struct price *p)
{
	return str_starts(str_from(p->usage), S("ComputeSP:")) || str_starts(str_from(p->usage), S("EC2SP:"));
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

static struct ce_group_definition definition(const char *key)
{
	struct str name = str_from(key);
	bool tag = str_starts(name, S("TAG:"));
	return (struct ce_group_definition){tag ? S("TAG") : S("DIMENSION"), tag ? str_from_at(name, 4) : name};
}

static void read_results(struct cli *cli, const struct ce_results_by_time *results, struct bill_groups *ret)
{
	struct str none;
	for (uint32_t i = 0; i < results->n; i++) {
		const struct ce_result_by_time *r = &results->v[i];
		for (uint32_t k = 0; k < r->groups.n; k++) {
			const struct ce_group *g = &r->groups.v[k];
			struct bill_group *made = LIST_ADD(&cli->arena, ret);
			*made = (struct bill_group){.start = r->time_period->start, .end = r->time_period->end};
			for (uint32_t n = 0; n < g->keys.n && n < 2; n++)
				made->keys[n] = g->keys.v[n];
			made->quantity_e10 = metric_e10(&g->metrics, "UsageQuantity", &made->unit);
			made->usd_e10 = metric_e10(&g->metrics, "UnblendedCost", &none);
			made->amortized_e10 = metric_e10(&g->metrics, "AmortizedCost", &none);
		}
		if (r->groups.n || !r->total.n)
			continue;
		struct bill_group *made = LIST_ADD(&cli->arena, ret);
		*made = (struct bill_group){.start = r->time_period->start, .end = r->time_period->end};
		made->usd_e10 = metric_e10(&r->total, "UnblendedCost", &none);
	}
}

int bill_ask(struct cli *cli, const struct cli_cloud *cloud, const struct bill_question *q, struct bill_groups *ret)
{
	struct ce_date_interval days = {q->bill->period.start, q->bill->period.end};
	struct str names[] = {S("UnblendedCost"), S("UsageQuantity"), S("AmortizedCost")};
	struct ce_group_definitions by = {0};
	bool resources = false;
	for (int i = 0; i < 2; i++) {
		if (!q->keys[i])
			continue;
		*LIST_ADD(&cli->arena, &by) = definition(q->keys[i]);
		resources |= strcmp(q->keys[i], "RESOURCE_ID") == 0;
	}
	struct ce_expression *filter = bill_filter(cli, q->bill->region, q->service, q->record);
	if (resources && !filter) /* it must have one */
		filter = one_of(cli, S("BILLING_ENTITY"), S("AWS"));
	const struct ce_get_cost_and_usage_with_resources_request of = {.time_period = &days,
	                                                                .granularity = str_from(q->granularity),
	                                                                .filter = filter,
	                                                                .metrics = {.v = names, .n = 3, .set = true},
	                                                                .group_by = by};
	const struct ce_get_cost_and_usage_request in = {
	        .time_period = &days, .granularity = of.granularity, .filter = filter, .metrics = of.metrics, .group_by = by};
	struct ce_get_cost_and_usage_response out = {0};
	struct ce_get_cost_and_usage_with_resources_response found = {0};
	int status = resources ? cli_call(cli, cloud, &ce_api, "GetCostAndUsageWithResources", &of, &found, NULL)
	                       : cli_call(cli, cloud, &ce_api, "GetCostAndUsage", &in, &out, NULL);
	if (status == CLI_OK)
		read_results(cli, resources ? &found.results_by_time : &out.results_by_time, ret);
	return status;
}

/* "2.00": a number as JSON has it, all of its digits. */
static struct str exact(struct cli *cli, __int128 n_e10)
{
	return price_text_e10(&cli->arena, n_e10);
}

static struct str first_price(struct cli *cli, const struct bill_line *l)
{
	return price_text_e12(&cli->arena, l->price_e12);
}

static void print_json(struct cli *cli, const struct bill *b)
{
	printf("{\"start\":\"%.*s\",\"end\":\"%.*s\",\"lines\":[", STR_ARG(b->period.start), STR_ARG(b->period.end));
	for (uint32_t i = 0; i < b->lines.n; i++) {
		const struct bill_line *l = &b->lines.v[i];
		printf("%s{\"service\":\"%.*s\",\"usageType\":\"%.*s\",\"region\":\"%.*s\",\"quantity\":%.*s,\"unit\":\"%.*s\",",
		       i ? "," : "", STR_ARG(l->service), STR_ARG(l->usage), STR_ARG(l->region),
		       STR_ARG(exact(cli, l->quantity_e10)), STR_ARG(l->unit));
		if (!l->price)
			printf("\"price\":null,\"usd\":%.*s}", STR_ARG(exact(cli, l->usd_e10)));
		else if (l->known)
			printf("\"price\":%.*s,\"usd\":%.*s}", STR_ARG(first_price(cli, l)), STR_ARG(exact(cli, l->usd_e10)));
		else
			printf("\"price\":null,\"usd\":null}");
	}
	printf("],\"usd\":%.*s,\"unknownPrices\":%u", STR_ARG(exact(cli, b->total_e10)), b->unknown);
	if (b->projecting)
		printf(",\"projectedUsd\":%.*s", STR_ARG(exact(cli, b->projected_e10)));
	printf("}\n");
}

struct str bill_shown(struct cli *cli, __int128 n_e10)
{
	__int128 n = (n_e10 + 5000) / 10000;
	return arena_printf(&cli->arena, "%lld.%06lld", (long long)(n / 1000000), (long long)(n % 1000000));
}

static void print_unknown(const struct bill *b)
{
	if (b->unknown)
		printf("%u usage type%s no known price (other regions, ...) and %s not in the total.\n", b->unknown,
		       b->unknown == 1 ? " has" : "s have", b->unknown == 1 ? "is" : "are");
}

void bill_print_total(struct cli *cli, const struct bill *b)
{
	printf("%-88s %14.*s USD\n", b->unknown ? "Total of what has a known price" : "Total",
	       STR_ARG(bill_shown(cli, b->total_e10)));
}

static void print_table(struct cli *cli, const struct bill *b)
{
	struct str service = STR_NONE;
	bool tiered = false, free = false, reserved = false, planned = false;
	printf("%.*s to %.*s%s\n", STR_ARG(b->period.start), STR_ARG(b->period.end), b->period.current ? ", so far" : "");
	if (!b->lines.n)
		printf("nothing was used\n");
	for (uint32_t i = 0; i < b->lines.n; i++) {
		const struct bill_line *l = &b->lines.v[i];
		if (!str_eq(l->service, service))
			printf("\n%.*s\n", STR_ARG(l->service));
		service = l->service;
		printf("  %-36.*s %16.*s %-17.*s", STR_ARG(l->usage), STR_ARG(bill_shown(cli, l->quantity_e10)), STR_ARG(l->unit));
		tiered |= l->known && l->tiers;
		reserved |= l->price && str_starts(str_from(l->price->usage), S("HeavyUsage:"));
		planned |= !l->price && str_is(l->service, "Savings Plans for AWS Compute usage");
		free |= l->price && l->known && l->price->free_pool;
		if (!l->price)
			printf("   %-12s   %14.*s USD\n", "a fee", STR_ARG(bill_shown(cli, l->usd_e10)));
		else if (l->known)
			printf(" x %-12.*s %s %14.*s USD\n", STR_ARG(first_price(cli, l)),
			       l->price->free_pool ? "+"
			       : l->tiers          ? "*"
			                           : " ",
			       STR_ARG(bill_shown(cli, l->usd_e10)));
		else
			printf("   %-12s   %14s\n", "no price", "unknown");
	}
	printf("\n");
	bill_print_total(cli, b);
	if (b->projecting)
		printf("%-88s %14.*s USD\n", "By the end of the month, if what goes on now goes on",
		       STR_ARG(bill_shown(cli, b->projected_e10)));
	if (free)
		printf("+ some of it is free every month; what exceeds that has this price\n");
	if (reserved)
		printf("HeavyUsage is the month's fee of reserved instances; hours of BoxUsage that they cover cost nothing more.\n");
	if (planned)
		printf("ComputeSP and EC2SP are fees of savings plans; what they cover costs nothing more.\n");
	if (tiered)
		printf("* the first tier's price; more of it a month is cheaper\n");
	if (b->lines.n)
		printf("Prices: AWS, us-east-1, on demand, without taxes.\n");
	print_unknown(b);
}

/* The whole month: the days before today as they were, the rest as it is now. */
static int project(struct cli *cli, const struct cli_cloud *cloud, const struct bill_period *p, const char *region,
                   __int128 *ret_e10)
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
		                                           .filter = bill_filter(cli, region, STR_NONE, STR_NONE),
		                                           .metrics = {.v = &name, .n = 1, .set = true}};
		int status = cli_call(cli, cloud, &ce_api, "GetCostAndUsage", &in, &past, NULL);
		if (status != CLI_OK)
			return status;
		if (past.results_by_time.n)
			*ret_e10 += metric_e10(&past.results_by_time.v[0].total, "UnblendedCost", &unit);
	}
	struct ce_date_interval days = {p->today, p->end};
	struct ce_get_cost_forecast_request in = {.time_period = &days,
	                                          .granularity = S("MONTHLY"),
	                                          .filter = bill_filter(cli, region, STR_NONE, STR_NONE),
	                                          .metric = S("UNBLENDED_COST")};
	int status = cli_call(cli, cloud, &ce_api, "GetCostForecast", &in, &rest, NULL);
	if (status != CLI_OK)
		return status;
	if (rest.total && price_parse(rest.total->amount, 10, &usd))
		*ret_e10 += usd;
	return CLI_OK;
}

static int by_service(const void *x, const void *y)
{
	const struct bill_line *a = x, *b = y;
	int order = str_cmp(a->service, b->service);
	return order ? order : str_cmp(a->usage, b->usage);
}

/* One line a usage type, however many months there are. */
static struct bill_lines read_lines(struct cli *cli, const struct bill_groups *groups)
{
	struct bill_lines lines = {0};
	for (uint32_t i = 0; i < groups->n; i++) {
		const struct bill_group *g = &groups->v[i];
		struct bill_line *l = NULL;
		if (!str_set(g->keys[1]))
			continue;
		for (uint32_t k = 0; k < lines.n && !l; k++)
			if (str_eq(lines.v[k].service, g->keys[0]) && str_eq(lines.v[k].usage, g->keys[1]))
				l = &lines.v[k];
		if (!l) {
			l = LIST_ADD(&cli->arena, &lines);
			*l = (struct bill_line){.service = g->keys[0], .usage = g->keys[1], .region = S("")};
			l->price = price_find_shown(l->service, l->usage, &l->region);
			if (l->price && bill_is_plan(l->price)) /* its amount is the price */
				l->price = NULL;
			l->known = !l->price;
		}
		l->unit = g->unit;
		l->quantity_e10 += g->quantity_e10;
		l->usd_e10 += g->usd_e10;
	}
	if (lines.n)
		qsort(lines.v, lines.n, sizeof(*lines.v), by_service);
	return lines;
}

int cli_bill(struct cli *cli)
{
	struct cli_cloud cloud;
	struct bill b = {.region = cli_option(cli, "--region", NULL), .by = cli_option(cli, "--by", NULL)};
	const char *month = cli_option(cli, "--month", NULL), *from = cli_option(cli, "--from", NULL),
	           *to = cli_option(cli, "--to", NULL);
	bool json = cli_flag(cli, "--json"), csv = cli_flag(cli, "--csv");
	b.projecting = cli_flag(cli, "--project-month");
	int status = cli_open(cli, 0, &cloud);
	if (status != CLI_OK || (status = cli_take_clock(cli, &cloud)) != CLI_OK ||
	    (status = find_period(cli, month, &b.period)) != CLI_OK || (status = take_days(cli, from, to, &b.period)) != CLI_OK)
		return status;
	if (b.projecting && (!b.period.current || b.by || csv))
		return cli_fail(cli, CLI_USAGE, "--project-month is about the present month, and goes with neither --by nor --csv");
	if (b.by && !bill_by_known(str_from(b.by)))
		return cli_fail(cli, CLI_USAGE, "--by wants service, tag:KEY, resource or day, not \"%s\"", b.by);
	if (json && csv)
		return cli_fail(cli, CLI_USAGE, "--json and --csv are two answers");
	struct bill_groups groups = {0};
	const struct bill_question all = {.bill = &b, .granularity = "MONTHLY", .keys = {"SERVICE", "USAGE_TYPE"}};
	status = bill_ask(cli, &cloud, &all, &groups);
	if (status == CLI_OK && b.projecting)
		status = project(cli, &cloud, &b.period, b.region, &b.projected_e10);
	if (status != CLI_OK)
		return status;
	b.lines = read_lines(cli, &groups);
	status = bill_find_prices(cli, &cloud, &b);
	if (status != CLI_OK)
		return status;
	for (uint32_t i = 0; i < b.lines.n; i++) {
		b.total_e10 += b.lines.v[i].usd_e10;
		b.unknown += !b.lines.v[i].known;
	}
	if (csv)
		return bill_print_report(cli, &cloud, &b);
	if (b.by)
		return bill_print_by(cli, &cloud, &b, json);
	(json ? print_json : print_table)(cli, &b);
	return CLI_OK;
}

/* `quartet bill`: Cost Explorer's answer as a table. */
#include "role/cli.h"

#include "aws/ce/price.h"
#include "base/clock.h"
#include "gen/ce.h"

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

static double metric(const struct ce_metrics *m, const char *name, struct str *ret_unit)
{
	double n = 0;
	for (uint32_t i = 0; i < m->n; i++)
		if (str_is(m->v[i].key, name)) {
			str_to_double(m->v[i].value.amount, &n);
			*ret_unit = m->v[i].value.unit;
		}
	return n;
}

struct line {
	struct str service, usage, region, unit;
	const struct price *price;
	double quantity, usd;
	bool known;
};

static bool tiers(const struct line *l)
{
	return l->price->tier_count > 1;
}

static void print_json(const struct line *lines, uint32_t n, const struct period *p, double total, unsigned unknown,
                       double projected)
{
	printf("{\"start\":\"%.*s\",\"end\":\"%.*s\",\"lines\":[", STR_ARG(p->start), STR_ARG(p->end));
	for (uint32_t i = 0; i < n; i++) {
		const struct line *l = &lines[i];
		printf("%s{\"service\":\"%.*s\",\"usageType\":\"%.*s\",\"region\":\"%.*s\",\"quantity\":%.10g,\"unit\":\"%.*s\",",
		       i ? "," : "", STR_ARG(l->service), STR_ARG(l->usage), STR_ARG(l->region), l->quantity, STR_ARG(l->unit));
		if (l->known)
			printf("\"price\":%.10g,\"usd\":%.10g}", l->price->tiers[0].usd, l->usd);
		else
			printf("\"price\":null,\"usd\":null}");
	}
	printf("],\"usd\":%.10g,\"unknownPrices\":%u", total, unknown);
	if (projected >= 0)
		printf(",\"projectedUsd\":%.10g", projected);
	printf("}\n");
}

static void print_table(const struct line *lines, uint32_t n, const struct period *p, double total, unsigned unknown,
                        double projected)
{
	struct str service = STR_NONE;
	bool tiered = false;
	printf("%.*s to %.*s%s\n", STR_ARG(p->start), STR_ARG(p->end), p->current ? ", so far" : "");
	if (!n)
		printf("nothing was used\n");
	for (uint32_t i = 0; i < n; i++) {
		const struct line *l = &lines[i];
		if (!str_eq(l->service, service))
			printf("\n%.*s\n", STR_ARG(l->service));
		service = l->service;
		printf("  %-36.*s %16.6f %-17.*s", STR_ARG(l->usage), l->quantity, STR_ARG(l->unit));
		tiered |= l->known && tiers(l);
		if (l->known)
			printf(" x %-12.10g %s %14.6f USD\n", l->price->tiers[0].usd, tiers(l) ? "*" : " ", l->usd);
		else
			printf("   %-12s   %14s\n", "no price", "unknown");
	}
	printf("\n%-88s %14.6f USD\n", unknown ? "Total of what has a known price" : "Total", total);
	if (projected >= 0)
		printf("%-88s %14.6f USD\n", "By the end of the month, if what goes on now goes on", projected);
	if (tiered)
		printf("* the first tier's price; more of it a month is cheaper\n");
	if (n)
		printf("Prices: AWS, us-east-1, on demand, without free tiers and taxes.\n");
	if (unknown)
		printf("%u usage type%s no known price (other regions, spot, ...) and %s not in the total.\n", unknown,
		       unknown == 1 ? " has" : "s have", unknown == 1 ? "is" : "are");
}

/* The whole month: the days before today as they were, the rest as it is now. */
static int project(struct cli *cli, const struct cli_cloud *cloud, const struct period *p, const char *region, double *ret)
{
	struct ce_get_cost_and_usage_response past = {0};
	struct ce_get_cost_forecast_response rest = {0};
	struct str unit;
	double usd = 0;
	*ret = 0;
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
			*ret += metric(&past.results_by_time.v[0].total, "UnblendedCost", &unit);
	}
	struct ce_date_interval days = {p->today, p->end};
	struct ce_get_cost_forecast_request in = {
	        .time_period = &days, .granularity = S("MONTHLY"), .filter = in_region(cli, region), .metric = S("UNBLENDED_COST")};
	int status = cli_call(cli, cloud, &ce_api, "GetCostForecast", &in, &rest, NULL);
	if (status != CLI_OK)
		return status;
	if (rest.total && str_to_double(rest.total->amount, &usd))
		*ret += usd;
	return CLI_OK;
}

struct lines {
	struct line *v;
	uint32_t n;
	bool set;
};

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
		*l = (struct line){.service = str_from(p->service),
		                   .usage = usage,
		                   .region = region,
		                   .price = p,
		                   .known = price_known(p, region)};
		l->quantity = metric(&g->metrics, "UsageQuantity", &l->unit);
		l->usd = metric(&g->metrics, "UnblendedCost", &none);
	}
	if (lines.n)
		qsort(lines.v, lines.n, sizeof(*lines.v), by_service);
	return lines;
}

int cli_bill(struct cli *cli)
{
	struct cli_cloud cloud;
	struct period p;
	const char *month = cli_option(cli, "--month", NULL), *region = cli_option(cli, "--region", NULL);
	bool json = cli_flag(cli, "--json"), projecting = cli_flag(cli, "--project-month");
	int status = cli_open(cli, 0, &cloud);
	if (status != CLI_OK || (status = cli_take_clock(cli, &cloud)) != CLI_OK ||
	    (status = find_period(cli, month, &p)) != CLI_OK)
		return status;
	if (projecting && !p.current)
		return cli_fail(cli, CLI_USAGE, "--project-month is about the present month");
	struct ce_date_interval days = {p.start, p.end};
	struct str names[] = {S("UnblendedCost"), S("UsageQuantity")};
	struct ce_group_definition by[] = {{S("DIMENSION"), S("SERVICE")}, {S("DIMENSION"), S("USAGE_TYPE")}};
	struct ce_get_cost_and_usage_request in = {.time_period = &days,
	                                           .granularity = S("MONTHLY"),
	                                           .filter = in_region(cli, region),
	                                           .metrics = {.v = names, .n = 2, .set = true},
	                                           .group_by = {.v = by, .n = 2, .set = true}};
	struct ce_get_cost_and_usage_response out = {0};
	double projected = -1, total = 0;
	unsigned unknown = 0;
	status = cli_call(cli, &cloud, &ce_api, "GetCostAndUsage", &in, &out, NULL);
	if (status == CLI_OK && projecting)
		status = project(cli, &cloud, &p, region, &projected);
	if (status != CLI_OK)
		return status;
	struct lines lines = read_lines(cli, &out);
	for (uint32_t i = 0; i < lines.n; i++) {
		total += lines.v[i].usd;
		unknown += !lines.v[i].known;
	}
	(json ? print_json : print_table)(lines.v, lines.n, &p, total, unknown, projected);
	return CLI_OK;
}

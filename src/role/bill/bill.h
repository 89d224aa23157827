/* `quartet bill`: Cost Explorer's answers as tables, JSON and lines of a cost and usage report. cli_bill.c has the command,
 * prices.c asks the price list, by.c sums by service, tag, resource or day, report.c writes CSV. Everything lives in the command's
 * arena. */
#pragma once
#include "aws/pricing/pricing.h"
#include "gen/ce.h"
#include "role/cli.h"

struct bill_period {
	struct str start, end, today; /* YYYY-MM-DD; the end's day is not in it */
	bool current;                 /* it is the present month */
};

/* A usage type of a region over the whole period. */
struct bill_line {
	struct str service, usage, region, unit;
	const struct price *price;
	__int128 quantity_e10, usd_e10;
	__int128 price_e12; /* of its first tier */
	bool known, tiers;
};
struct bill_lines {
	struct bill_line *v;
	uint32_t n;
	bool set;
};

struct bill {
	struct bill_period period;
	const char *region; /* NULL: all */
	const char *by;     /* "service", "tag:KEY", "resource", "day"; NULL: usage types */
	struct bill_lines lines;
	__int128 total_e10, projected_e10;
	unsigned unknown; /* lines without a known price */
	bool projecting;
};

/* What Cost Explorer says of one time and one pair of keys; a key that was not asked for is absent. */
struct bill_group {
	struct str start, end, keys[2], unit;
	__int128 quantity_e10, usd_e10, amortized_e10;
};
struct bill_groups {
	struct bill_group *v;
	uint32_t n;
	bool set;
};
struct bill_question {
	const struct bill *bill;
	const char *granularity;
	const char *keys[2]; /* "SERVICE", "TAG:KEY", ...; NULL: none */
	struct str service;  /* of this one alone; absent: all */
	struct str record;   /* "RIFee": of this record type alone; absent: all */
};
/* CLI_OK or what the command ends with. A key RESOURCE_ID asks GetCostAndUsageWithResources. */
int bill_ask(struct cli *cli, const struct cli_cloud *cloud, const struct bill_question *q, struct bill_groups *ret);
/* The filter of a region, a service and a record type; NULL: none of them is given. */
struct ce_expression *bill_filter(struct cli *cli, const char *region, struct str service, struct str record);
/* Is it the fee of a savings plan? */
bool bill_is_plan(const struct price *p);

/* Fills the lines' prices, as the cloud's price list has them: it may be the user's own. */
int bill_find_prices(struct cli *cli, const struct cli_cloud *cloud, struct bill *b);
/* The price list's code of a line's service: "AmazonEC2". */
struct str bill_code(const struct bill_line *l);

/* Is it something to sum by? */
bool bill_by_known(struct str by);
int bill_print_by(struct cli *cli, const struct cli_cloud *cloud, const struct bill *b, bool json);
int bill_print_report(struct cli *cli, const struct cli_cloud *cloud, const struct bill *b);

/* At most six decimals, for people; rounded. */
struct str bill_shown(struct cli *cli, __int128 n_e10);
/* What is said below a table of lines whose prices are not all known. */
void bill_print_total(struct cli *cli, const struct bill *b);

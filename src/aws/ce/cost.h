/* The bill, line by line: what the meter says, in AWS's usage types and USD. Private to aws/ce.
 *
 * Nothing is discounted here, so all of AWS's kinds of costs (unblended, blended, amortized, net) are the same number. */
#pragma once
#include "aws/pricing/pricing.h"
#include "core/call.h"
#include "core/meter.h"
#include "gen/ce.h"

struct cost_line {
	int64_t day; /* since 1970, UTC */
	struct str region, account, usage_type;
	struct str resource; /* absent: of none, or it was not asked for */
	const struct price *price;
	__int128 quantity_e10, usd_e10; /* exact: see price.h */
};
struct cost_lines {
	struct cost_line *v;
	uint32_t n;
	bool set;
};
/* Of the call's account, on the days [from, to), as of now_ms, by day. */
struct cost_lines cost_read(struct call *c, int64_t from_day, int64_t to_day, int64_t now_ms);
/* The same by resource. */
struct cost_lines cost_read_resources(struct call *c, int64_t from_day, int64_t to_day);

/* fold.c, pure: lines of what was used, of which those before from_day are there because tiers and free tiers count by the month;
 * `used` is by day and begins with a month. */
struct cost_lines cost_fold(struct arena *a, const struct price_book *book, struct str account, const struct meter_lines *used,
                            int64_t from_day);

/* "2026-11-28" as days since 1970; false: it is no date. */
bool cost_day_parse(struct str text, int64_t *ret_day);
struct str cost_day_text(struct arena *a, int64_t day);
/* The first day of the month after that of `day`; of its own month. */
int64_t cost_month_end(int64_t day);
int64_t cost_month_start(int64_t day);
/* CALL_OK with the days of an interval, or CALL_FAIL with ValidationException. */
int cost_period(struct call *c, const struct ce_date_interval *i, int64_t *ret_from, int64_t *ret_to);
/* Is it a granularity that there are data for? CALL_OK or CALL_FAIL. */
int cost_granularity(struct call *c, struct str granularity);
int cost_invalid(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The account's own view alone. */
int cost_view(struct call *c, struct str arn);

/* filter.c: the value of a dimension ("USAGE_TYPE") of a line. False: it is none that lines have. */
bool cost_dimension(struct arena *a, const struct cost_line *line, struct str key, struct str *ret);
/* CALL_OK, or CALL_FAIL for an expression that is wrong or about what is not kept. NULL: fine. resources: RESOURCE_ID is a
 * dimension. */
int cost_filter_check(struct call *c, const struct ce_expression *e, bool resources);
bool cost_filter_matches(struct arena *a, const struct ce_expression *e, const struct cost_line *line);

ce_get_cost_and_usage_handler ce_get_cost_and_usage;
ce_get_cost_and_usage_with_resources_handler ce_get_cost_and_usage_with_resources;
ce_get_dimension_values_handler ce_get_dimension_values;
ce_get_cost_forecast_handler ce_get_cost_forecast;

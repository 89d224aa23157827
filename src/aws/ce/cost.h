/* The bill, line by line: what the meter says, in AWS's usage types and USD. Private to aws/ce. */
#pragma once
#include "aws/pricing/pricing.h"
#include "core/call.h"
#include "core/meter.h"
#include "gen/ce.h"

struct savings_plan;
struct savings_plans;

struct cost_line {
	int64_t day;  /* since 1970, UTC */
	int64_t hour; /* of the day; 0 where days are asked for */
	struct str region, account, usage_type;
	struct str resource;    /* absent: of none, or it was not asked for */
	struct str tags;        /* see meter_tag(); absent: none, or they were not asked for */
	const char *record;     /* "Usage", "DiscountedUsage": a reservation covers it, "RIFee", or "SavingsPlan...": see plan.c */
	struct str reservation; /* its id; absent: none */
	const struct savings_plan *plan; /* the savings plan that it is covered by, or a fee of; NULL: none */
	const struct price *price;
	__int128 quantity_e10, usd_e10; /* exact: see price.h */
	__int128 amortized_e10;         /* with fees shared out among what they cover */
	__int128 demand_e10;            /* of what is covered: what it would have cost on demand */
};
struct cost_lines {
	struct cost_line *v;
	uint32_t n;
	bool set;
};

/* Whose bill is read, as of when. */
struct cost_scope {
	struct store_txn *txn;
	struct arena *arena;
	const struct price_book *prices;
	struct str account;
	int64_t now_ms;
	const struct savings_plan *tried; /* as if it had been bought too; NULL: none */
};
struct cost_scope cost_scope(struct call *c);

/* A period in hours since 1970, [from, to), cut into parts of a granularity. */
struct cost_period {
	int64_t from, to;
	enum { COST_HOURLY, COST_DAILY, COST_MONTHLY } granularity;
};
/* CALL_OK with an interval and a granularity (absent: daily), or CALL_FAIL with AWS's words. */
int cost_period(struct call *c, const struct ce_date_interval *i, struct str granularity, struct cost_period *ret);
/* The next part of the period that begins at `from`: where it ends. */
int64_t cost_part_end(const struct cost_period *p, int64_t from);
/* A time as replies have it: a date, or a time of day where hours are told apart. */
struct str cost_time_text(struct arena *a, const struct cost_period *p, int64_t hour);
static inline int64_t cost_line_hour(const struct cost_line *l)
{
	return l->day * 24 + l->hour;
}

/* The lines of the period, by time. */
struct cost_lines cost_read(const struct cost_scope *s, enum meter_detail detail, const struct cost_period *p);
/* Lines of what was used, or will have been, on the days [from, to) as of now_ms, from_day on. `used` begins with a month. */
struct cost_lines cost_bill(const struct cost_scope *s, const struct meter_lines *used, int64_t from_day, int64_t to_day,
                            int64_t now_ms);

/* cover.c and plan.c, pure: what reservations and savings plans cover, hour by hour, and what they cost. */
struct cost_cover {
	int64_t day, hour; /* hour: 0 where days are told apart */
	struct str region, usage;
	struct str reservation;          /* who covers it: either this, */
	const struct savings_plan *plan; /* or this */
	int64_t amount;                  /* as the meter counts */
	__int128 fee_e10;
	int64_t taken; /* by lines so far */
	struct cost_cover *next;
};
struct cost_covers {
	struct cost_cover *v;
	uint32_t n;
	bool set;
};
struct cost_cover_question {
	const struct meter_commitments *commitments;
	const struct savings_plans *plans; /* NULL: none */
	const struct price_book *book;
	const struct meter_lines *hours; /* by hour */
	int64_t from_day, to_day, now_ms;
	bool hourly; /* hours are told apart */
};
/* *ret_fees: lines of the fees themselves, by time: what is due once a month, and what of it nothing used. */
struct cost_covers cost_cover(struct arena *a, struct str account, const struct cost_cover_question *q,
                              struct cost_lines *ret_fees);

/* fold.c, pure: lines of what was used, of which those before from_day are there because tiers and free tiers count by the month;
 * `used` is by day and begins with a month. covers, or NULL: what is covered becomes lines of its own. */
struct cost_lines cost_fold(struct arena *a, const struct price_book *book, struct str account, const struct meter_lines *used,
                            int64_t from_day, struct cost_covers *covers);

/* "2026-11-28" as days since 1970; false: it is no date. */
bool cost_day_parse(struct str text, int64_t *ret_day);
struct str cost_day_text(struct arena *a, int64_t day);
/* The first day of the month after that of `day`; of its own month. */
int64_t cost_month_end(int64_t day);
int64_t cost_month_start(int64_t day);
int cost_month_of(int64_t day); /* 1 to 12 */
int cost_invalid(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The account's own view alone. */
int cost_view(struct call *c, struct str arn);

/* dimension.c: the value of a dimension ("USAGE_TYPE") of a line. False: it is none that lines have. */
bool cost_dimension(struct arena *a, const struct cost_line *line, struct str key, struct str *ret);
/* Is it one, for who has resources or not? */
bool cost_dimension_known(struct str key, bool resources);
/* How many of the smallest size of its family an instance of the type counts as, in hundredths; 0: it is none, or not known. */
int64_t cost_size_e2(struct str instance_type);
/* "m5.large" of a line of instance hours; absent: it is none. */
struct str cost_instance_type(const struct cost_line *line);

/* filter.c: CALL_OK, or CALL_FAIL for an expression that is wrong or about what is not kept. NULL: fine. resources: RESOURCE_ID is
 * a dimension. */
int cost_filter_check(struct call *c, const struct ce_expression *e, bool resources);
bool cost_filter_matches(struct arena *a, const struct ce_expression *e, const struct cost_line *line);
/* Does it ask about tags; about one of these dimensions ("USAGE_TYPE")? */
bool cost_filter_has_tags(const struct ce_expression *e);
bool cost_filter_has(const struct ce_expression *e, const char *dimension);

enum cost_metric { COST_UNBLENDED, COST_AMORTIZED, COST_QUANTITY, COST_NORMALIZED, COST_METRICS };

/* forecast.c: what the two weeks before today say about the days to come. */
struct cost_past {
	int64_t from, days;        /* whole days that there are, before today */
	struct meter_lines counts; /* what is counted, all of it summed by usage: a mean day has `amount / days` */
	double deviation;          /* of a day's matching sum */
};
struct cost_past cost_look_back(const struct cost_scope *s, const struct ce_expression *filter, enum cost_metric metric,
                                enum meter_detail detail);
/* Lines of a period that ends in the future. */
struct cost_lines cost_expect(const struct cost_scope *s, const struct cost_past *past, enum meter_detail detail,
                              const struct cost_period *p);

/* values.c: which values there are, by name or by what they cost, in pages. */
/* By its name in either spelling ("UnblendedCost", "UNBLENDED_COST"); COST_METRICS: it is none. */
enum cost_metric cost_metric_find(struct str name);
__int128 cost_metric_e10(const struct cost_line *line, enum cost_metric metric);
struct cost_value {
	struct str text;
	__int128 sort_e10;
};
struct cost_values {
	struct cost_value *v;
	uint32_t n;
	bool set;
};
void cost_value_add(struct arena *a, struct cost_values *values, struct str text, __int128 sort_e10);
/* CALL_OK with the metric to sort by (COST_METRICS: none) and the direction. */
int cost_sort_check(struct call *c, const struct ce_sort_definitions *by, enum cost_metric *ret, bool *ret_descending);
void cost_values_sort(struct cost_values *values, enum cost_metric by, bool descending);
/* The page from *ret_from to *ret_to, and the token of the next; or CALL_FAIL. */
int cost_page(struct call *c, struct str token, const struct opt_int *limit, uint32_t n, uint32_t *ret_from, uint32_t *ret_to,
              struct str *ret_token);

ce_get_cost_and_usage_handler ce_get_cost_and_usage;
ce_get_cost_and_usage_with_resources_handler ce_get_cost_and_usage_with_resources;
ce_get_dimension_values_handler ce_get_dimension_values;
ce_get_tags_handler ce_get_tags;
ce_get_cost_forecast_handler ce_get_cost_forecast;
ce_get_usage_forecast_handler ce_get_usage_forecast;
ce_list_cost_allocation_tags_handler ce_list_cost_allocation_tags;
ce_update_cost_allocation_tags_status_handler ce_update_cost_allocation_tags_status;
ce_get_reservation_coverage_handler ce_get_reservation_coverage;
ce_get_reservation_utilization_handler ce_get_reservation_utilization;
ce_get_savings_plans_coverage_handler ce_get_savings_plans_coverage;
ce_get_savings_plans_purchase_recommendation_handler ce_get_savings_plans_purchase_recommendation;
ce_get_savings_plans_utilization_handler ce_get_savings_plans_utilization;
ce_get_savings_plans_utilization_details_handler ce_get_savings_plans_utilization_details;

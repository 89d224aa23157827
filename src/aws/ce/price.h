/* What usage costs: a constant table out of models/data/prices.json and instance_types.json. Used by Cost Explorer and by
 * `quartet bill`.
 *
 * The prices are those of us-east-1. Other regions put a prefix before their usage types, as AWS does, and have no known price. */
#pragma once
#include "base/arena.h"

enum price_per { PER_HOUR, PER_MONTH, PER_COUNT };
enum { PRICE_TIERS_MAX = 4 };

struct price {
	const char *usage, *service, *unit; /* usage: "SERVICE/..." where another service has a type of that name */
	enum price_per per;
	double scale; /* units in one of what the meter counts */
	struct {
		double up_to; /* a month, in units; 0: whatever is left */
		double usd;
	} tiers[PRICE_TIERS_MAX];
	unsigned tier_count; /* 0: not known */
};
extern const struct price prices[]; /* by usage */
extern const unsigned price_count;

/* Of a usage type as the meter has it or as it is shown, without its region's prefix; NULL: there is none such. */
const struct price *price_find(struct str usage);
/* The same of one service alone, of a usage type as it is shown, with its region's prefix: several services have a
 * "TimedStorage-ByteHrs". *ret_region: what the prefix says. */
const struct price *price_find_shown(struct str service, struct str usage, struct str *ret_region);
/* "BoxUsage:t3.micro" in eu-west-1: "EU-BoxUsage:t3.micro". A region that is not AWS's has its name in front. */
struct str price_usage_type(struct arena *a, struct str region, struct str usage);
/* Is the price of this region the table's? */
bool price_known(const struct price *p, struct str region);
/* The units of an amount of the meter that was used on one day of a month that has so many days. */
double price_quantity(const struct price *p, int64_t amount, int month_days);
/* USD of `quantity` units when `before` of them were used earlier in the month. */
double price_cost(const struct price *p, double before, double quantity);

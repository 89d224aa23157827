/* What usage costs: a constant table out of models/data/prices.json and instance_types.json. Used by Cost Explorer, the price list
 * and `quartet bill`.
 *
 * All of it is exact: what the meter counts are integers, a price is a whole number of trillionths of a dollar, and what comes out
 * is rounded once, to the ten decimals that AWS shows. The prices are those of us-east-1. Other regions put a prefix before their
 * usage types, as AWS does, and have no known price. */
#pragma once
#include "base/arena.h"
#include "model/model.h"

enum price_per { PER_HOUR, PER_MONTH, PER_COUNT };
enum { PRICE_TIERS_MAX = 4 };
#define PRICE_HOME "us-east-1" /* where list prices are known */

struct price_tier {
	int64_t up_to; /* a month, in units; 0: whatever is left */
	int64_t usd_e12;
};
struct price {
	const char *usage, *service, *unit; /* usage: "SERVICE/..." where another service has a type of that name */
	enum price_per per;
	int64_t numerator, denominator; /* units in one of what the meter counts */
	struct price_tier tiers[PRICE_TIERS_MAX];
	unsigned tier_count;   /* 0: not known */
	const char *free_pool; /* NULL: none of it is free */
	int64_t free_units;    /* a month, of all types of this pool together */
	uint32_t product;      /* where in price_products[] the price list's words about it are */
};
extern const struct price prices[]; /* by usage */
extern const unsigned price_count;
/* AWS's code of the service, its name there, the family, and "name=value" each, with tabs between: one block without pointers,
 * which nobody's memory holds until it is asked for. */
extern const char price_products[];

/* Of a usage type as the meter has it or as it is shown, without its region's prefix; NULL: there is none such. */
const struct price *price_find(struct str usage);
/* Of a name as the table has it alone, which takes no time. */
const struct price *price_exactly(struct str usage);
/* The same of one service alone, of a usage type as it is shown, with its region's prefix: several services have a
 * "TimedStorage-ByteHrs". *ret_region: what the prefix says. */
const struct price *price_find_shown(struct str service, struct str usage, struct str *ret_region);
/* "BoxUsage:t3.micro" in eu-west-1: "EU-BoxUsage:t3.micro". A region that is not AWS's has its name in front. */
struct str price_usage_type(struct arena *a, struct str region, struct str usage);

/* --- the book: AWS's list prices, and what the user's own file says instead */

struct price_book; /* NULL: AWS's list prices, after what is free */
/* Out of JSON: {"free_tiers": false, "us-east-1": {"BoxUsage:t3.micro": 0.01, "Lambda-GB-Second": [[6000000000, 0.0000166667],
 * [null, 0.000015]]}, "eu-west-1": {...}}. Usage types are those of the table; a price is a number, tiers or null (not known). What
 * it does not name keeps its list price. "savings_plans": price_book_offers(). Lives in the arena; NULL: *ret_why. */
struct price_book *price_book_read(struct arena *a, struct str json, struct str *ret_why);
/* Frees what is not the arena's. NULL is harmless. */
void price_book_done(struct price_book *b);
/* What a usage type costs in a region; NULL: it is not known. */
const struct price *price_in(const struct price_book *b, const struct price *p, struct str usage, struct str region);
bool price_book_free(const struct price_book *b); /* is there something free every month? */
/* What AWS calls a region in texts: "EU (Ireland)"; its own name where it is none of AWS's. */
struct str price_location(struct str region);
/* The regions that have prices, by name. */
struct str_list price_book_regions(const struct price_book *b, struct arena *a);

/* --- savings plans that can be bought: those of the user's own file alone, since AWS's rates are not among the facts that this
 * program has. They live as long as the book. */

struct price_rate {
	struct str region, usage; /* the usage type as the meter has it */
	int64_t usd_e12;
};
struct price_rates {
	struct price_rate *v;
	uint32_t n;
	bool set;
};
struct price_offer {
	struct str type;           /* "Compute" or "EC2Instance" */
	struct str payment;        /* "No Upfront", "Partial Upfront" or "All Upfront" */
	int64_t years;             /* 1 or 3 */
	struct str region, family; /* of an EC2Instance plan: "us-east-1", "m5"; else absent */
	struct price_rates rates;
};
struct price_offers {
	struct price_offer *v;
	uint32_t n;
	bool set;
};
struct price_offers price_book_offers(const struct price_book *b); /* b NULL: none */

/* --- arithmetic */

/* Amounts are what the meter counts, and those of a whole month together: what a part of the month adds is the difference to what
 * was before it, so that parts always add up to the whole. month_days: of that month. */
/* Ten-billionths of units. */
__int128 price_units_e10(const struct price *p, __int128 amount, int month_days);
/* Ten-billionths of a dollar, for an amount of which nothing is free. */
__int128 price_usd_e10(const struct price *p, __int128 amount, int month_days);
/* What a month has free of the price's pool, as an amount; 0: nothing. */
__int128 price_free_amount(const struct price *p, int month_days);
/* "0.0104" of 104000000. */
struct str price_text_e10(struct arena *a, __int128 n_e10);
/* The same of 12 decimals. */
struct str price_text_e12(struct arena *a, __int128 n_e12);
/* A decimal, maybe with an exponent, in units of so many decimals; further ones are cut off. False: it is none, or too large. */
bool price_parse(struct str text, unsigned decimals, __int128 *ret);

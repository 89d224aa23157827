/* What is used, by whom, since when: the facts that bills are made of.
 *
 * Two kinds of usage. What goes on over time (an instance that runs, a volume that is there) is said in the transaction that
 * changes it: meter_set() compares with what the resource used until now, and what has ended becomes a fact. So a bill can neither
 * lose nor repeat what was acknowledged, whatever is killed. What comes in great numbers (invocations) is counted in memory and
 * added to the sums every second: a crash loses the last second at most.
 *
 * Facts are folded into one sum a day, account, region and usage type, kept for METER_DAYS, and one a resource too, kept for less;
 * so the store holds what goes on, the facts of the last minute and the sums. Usage types are AWS's without the region in front
 * ("BoxUsage:t3.micro"); amounts are integers: rate times milliseconds of what goes on, else whatever is counted. What that costs
 * is the business of aws/ce. */
#pragma once
#include "base/arena.h"
#include "store/store.h"

struct meter;

enum { METER_DAYS = 430 /* 14 months */, METER_RESOURCE_DAYS = 14 };
#define METER_DAY_MS INT64_C(86400000)

struct meter_use {
	struct str usage;
	int64_t rate;                /* of one: 1; a volume's GiB, its operations a second, ... */
	int64_t minimum_ms, step_ms; /* what an interval counts at least; rounded up to steps. 0: as it is */
};

/* From now on the resource (an id, unique in its account and region) uses these, and nothing else; n == 0: nothing any more. */
void meter_set(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str resource,
               const struct meter_use *uses, size_t n, int64_t now_ms);

/* So much of it at once, in the transaction that it comes of; below 2^63 in all. */
void meter_lump(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str usage, int64_t amount,
                int64_t now_ms);

/* For what is measured now and then, as what is stored: the time of the last measurement of this kind (a name), 0: there was none;
 * writing one, in the transaction that has its amounts; and an amount that came together in between, shared out among its days. */
int64_t meter_measured(struct store_txn *t, struct arena *a, struct str what);
void meter_measure(struct store_txn *t, struct arena *a, struct str what, int64_t now_ms);
void meter_spread(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str usage, int64_t amount,
                  int64_t from_ms, int64_t to_ms);

struct meter *meter_new(struct loop *l, struct store *s);
void meter_free(struct meter *m); /* forgets what was counted and not written */
/* Adds to the day of now. m NULL: nothing is counted. */
void meter_count(struct meter *m, struct str account, struct str region, struct str usage, int64_t amount);
/* The same of a resource, by its id or ARN as AWS's bills have it. */
void meter_count_of(struct meter *m, struct str account, struct str region, struct str resource, struct str usage, int64_t amount);
/* Is there something counted and not written? Then writes it: for an orderly end. */
bool meter_busy(struct meter *m);

/* --- reading */

struct meter_line {
	int64_t day; /* since 1970 */
	struct str region, usage;
	struct str resource; /* absent: of none, or of all */
	int64_t amount;
};
struct meter_lines {
	struct meter_line *v;
	uint32_t n;
	bool set;
};
/* What the account has used on the days [from, to), what goes on included as it stands at now_ms, by day, region and usage. One
 * transaction: nothing is seen twice. A now_ms to come: if everything goes on as it is. */
struct meter_lines meter_read(struct store_txn *t, struct arena *a, struct str account, int64_t from_day, int64_t to_day,
                              int64_t now_ms);
/* The same by resource too, which is kept for METER_RESOURCE_DAYS; what belongs to none, or was so long ago, has lines without. */
struct meter_lines meter_read_resources(struct store_txn *t, struct arena *a, struct str account, int64_t from_day, int64_t to_day,
                                        int64_t now_ms);

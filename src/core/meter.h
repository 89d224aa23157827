/* What is used, by whom, since when: the facts that bills are made of.
 *
 * Two kinds of usage. What goes on over time (an instance that runs, a volume that is there) is said in the transaction that
 * changes it: meter_set() compares with what the resource used until now, and what has ended becomes a fact. So a bill can neither
 * lose nor repeat what was acknowledged, whatever is killed. What comes in great numbers (invocations) is counted in memory and
 * added to the sums every second: a crash loses the last second at most.
 *
 * Facts are folded into one sum a day, account, region and usage type, kept for METER_DAYS, and one a set of tags as well; one a
 * resource and one an hour are kept for less. So the store holds what goes on, the facts of the last minute and the sums. Usage
 * types are AWS's without the region in front
 * ("BoxUsage:t3.micro"); amounts are integers: rate times milliseconds of what goes on, else whatever is counted. What that costs
 * is the business of aws/ce. */
#pragma once
#include "base/arena.h"
#include "model/model.h"
#include "store/store.h"

struct meter;

enum { METER_DAYS = 430 /* 14 months */, METER_RESOURCE_DAYS = 14, METER_HOUR_DAYS = 14 };
#define METER_DAY_MS INT64_C(86400000)
#define METER_HOUR_MS INT64_C(3600000)

struct meter_use {
	struct str usage;
	int64_t rate;                /* of one: 1; a volume's GiB, its operations a second, ... */
	int64_t minimum_ms, step_ms; /* what an interval counts at least; rounded up to steps. 0: as it is */
};

/* From now on the resource (an id, unique in its account and region) uses these, and nothing else; n == 0: nothing any more. */
void meter_set(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str resource,
               const struct meter_use *uses, size_t n, int64_t now_ms);

/* The resource has these tags from now on, in the transaction that changes them (before what the change means for meter_set(), and
 * after it when the resource goes; NULL: none). What it uses is cut in two, so that each part is billed under the tags of its time.
 * Those count whose keys the account has activated. */
void meter_tags(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str resource,
                const struct str_map *tags, int64_t now_ms);
/* A key that was seen on something metered. */
struct meter_key {
	struct str key;
	bool active;
	int64_t updated_ms, used_ms; /* when it was (de)activated last, 0: never; when something was tagged with it last */
};
struct meter_keys {
	struct meter_key *v;
	uint32_t n;
	bool set;
};
struct meter_keys meter_list_keys(struct store_txn *t, struct arena *a, struct str account); /* by key */
/* What comes from now on counts by this key, or no longer. False: no such key was seen. */
bool meter_activate_key(struct store_txn *t, struct arena *a, struct str account, struct str key, bool active, int64_t now_ms);

/* So much of it at once, in the transaction that it comes of; below 2^63 in all. */
void meter_lump(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str usage, int64_t amount,
                int64_t now_ms);

/* For what is measured now and then, as what is stored: the time of the last measurement of this kind (a name), 0: there was none;
 * writing one, in the transaction that has its amounts; and an amount that came together in between, shared out among its days. */
int64_t meter_measured(struct store_txn *t, struct arena *a, struct str what);
void meter_measure(struct store_txn *t, struct arena *a, struct str what, int64_t now_ms);
void meter_spread(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str usage, int64_t amount,
                  int64_t from_ms, int64_t to_ms);

/* --- what usage was bought in advance: reserved instances, by EC2 */

struct meter_commitment {
	struct str id, region, instance_type;
	int64_t count;
	int64_t price_e12; /* of one, an hour, in trillionths of a dollar, as of the purchase */
	int64_t from_ms, to_ms;
};
struct meter_commitments {
	struct meter_commitment *v;
	uint32_t n;
	bool set;
};
void meter_commit(struct store_txn *t, struct arena *a, struct str account, const struct meter_commitment *c);
/* The account's, those that have ended too, by their beginnings. */
struct meter_commitments meter_commitments(struct store_txn *t, struct arena *a, struct str account);

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
	int64_t day;  /* since 1970 */
	int64_t hour; /* of the day; 0 where days are asked for */
	struct str region, usage;
	struct str resource; /* absent: of none, or of all */
	struct str tags;     /* of activated keys, see meter_tag(); absent: none, or they are not told apart */
	int64_t amount;
};
struct meter_lines {
	struct meter_line *v;
	uint32_t n;
	bool set;
};
/* Which lines are told apart besides day, region and usage. */
enum meter_detail { METER_PLAIN, METER_TAGGED, METER_RESOURCES /* and tags */ };
/* What the account has used on the days [from, to), what goes on included as it stands at now_ms, by day, region and usage (and
 * tags, and resource). One transaction: nothing is seen twice. A now_ms to come: if everything goes on as it is. By resource, which
 * is kept for METER_RESOURCE_DAYS, what belongs to none, or was so long ago, has lines without. */
struct meter_lines meter_read(struct store_txn *t, struct arena *a, struct str account, enum meter_detail detail, int64_t from_day,
                              int64_t to_day, int64_t now_ms);
/* The same by hour and tags, of hours since 1970: what is younger than METER_HOUR_DAYS, and longer of what commitments may cover
 * (meter_hours_last()). */
struct meter_lines meter_read_hours(struct store_txn *t, struct arena *a, struct str account, int64_t from_hour, int64_t to_hour,
                                    int64_t now_ms);
bool meter_hours_last(struct str usage);
/* The value that a line's tags have for a key; absent: none. */
struct str meter_tag(struct arena *a, struct str tags, struct str key);

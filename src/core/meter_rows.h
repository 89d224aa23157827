/* The meter's records: ("meter", "open", account, region, resource), ("meter", "fact", time, random), sums ("meter", "sum", day,
 * account, region, usage), ("meter", "tagged", ..., tags), ("meter", "of", ..., resource, tags) and ("meter", "hour", hour,
 * account, region, usage, tags), tags ("meter", "tags", account, region, resource) and ("meter", "key", account, key). Private to
 * core/meter*.c. */
#pragma once
#include "core/meter.h"
#include "core/record.h"
#include "gen/state_meter.h"

#define METER_ROW(name) (&(const struct record_type){&state_meter_api, name "Record"})

/* Sortable: 20 digits of hexadecimal are too many for a day, so these are milliseconds or days. */
static inline struct str meter_number(struct arena *a, int64_t n)
{
	return arena_printf(a, "%014llx", (unsigned long long)(n < 0 ? 0 : n));
}

struct meter_tally {
	int64_t amount;
	struct str account;
	struct meter_line line;
};
/* Amounts by day, account, region and usage while they are gathered; all of it lies in the arena. */
struct meter_tallies {
	struct meter_tally *v; /* a list, as LIST_ADD() wants it */
	uint32_t n;
	bool set;
	struct arena *arena;
	uint32_t *buckets, bucket_count;
};
/* Whose: the line's amount is not looked at. */
void meter_tally(struct meter_tallies *t, struct str account, const struct meter_line *of, int64_t amount);
/* An interval, shared out among its days of [from_day, to_day); what the detail does not tell apart goes together. */
void meter_tally_interval(struct meter_tallies *t, const struct state_meter_fact_record *f, enum meter_detail detail,
                          int64_t from_day, int64_t to_day);
/* The same among its hours: their lines' `day` is an hour since 1970. */
void meter_tally_hours(struct meter_tallies *t, const struct state_meter_fact_record *f, int64_t from_hour, int64_t to_hour);
/* What a resource's tags are for the bill: the pairs of activated keys as JSON's object, by key; absent: none. */
struct str meter_tags_of(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str resource);
/* Ends what goes on in a fact and begins it anew, with nothing lost or gained. */
void meter_cut(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str resource, int64_t now_ms);
/* When an interval that began at since and goes on until now ends for the bill. */
int64_t meter_end(const struct state_meter_use *use, int64_t now_ms);

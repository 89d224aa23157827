/* Private to engine/metrics: what is kept in memory and in the store, between writing (metrics.c) and reading (read.c).
 *
 * Keys of the store:
 *	"s" account NUL region NUL digest unit -> a series' number, its newest time and its names; a metric has a series for each
 *unit "h" number (5 bytes) tier (1) block (4) -> slots of a stretch of time that may still grow (block.c) "p" group (5 bytes) tier
 *(1) span (4)   -> slots of a longer stretch, of all series of the group (pack.h, roll.c) "n" -> the next number "b" -> which batch
 *was written last: readers add what is not written yet to what they find
 */
#pragma once
#include "base/buf.h"
#include "base/map.h"
#include "engine/metrics/slot.h"
#include "model/model.h"
#include "store/store.h"

enum { TIERS = 4, SLOTS_MAX = 300 };
struct tier {
	int64_t step_s;
	unsigned slots;      /* in a block that may still grow; divides a day but for seconds */
	unsigned pack_slots; /* in a pack; whole days, and a divisor of the next tier's time */
	int64_t kept_s;
	unsigned steps; /* of buckets in one (slot.h) */
};
extern const struct tier metrics_tiers[TIERS];
static inline int64_t tier_block_ms(const struct tier *t)
{
	return t->step_s * 1000 * t->slots;
}

/* One unit's data of a metric. The first of a metric is in the map, the others hang on it. */
struct series {
	struct series *next_unit;
	char unit;
	uint64_t id;                         /* 0: not looked up */
	int64_t hour;                        /* metrics_begins_hour() was asked for */
	int64_t last_ms, written_ms;         /* newest data; as its row has it */
	struct gathered *gathered, *writing; /* of this series, in the two batches */
	struct str account, region, names;   /* lie behind this struct */
};

/* What came for one period and is not written yet. */
struct gathered {
	struct series *series;
	struct gathered *next; /* of the same series */
	uint32_t at;           /* in its batch */
	int64_t time_ms;       /* when the period began */
	unsigned tier;         /* the finest */
	struct slot slot;
};
struct gathered_list {
	struct gathered **v;
	uint32_t n;
	bool set;
};
struct batch {
	struct arena arena;
	struct gathered_list all;
};
struct waiter {
	metrics_written_fn *fn;
	void *ctx;
};
struct waiters {
	struct waiter *v;
	uint32_t n;
	bool set;
};

/* How far roll.c has come. */
struct sweep {
	unsigned stage;
	struct str after; /* in text */
	char text[512];
	uint64_t group;
};

struct metrics {
	struct loop *loop;
	struct store *store;
	struct map series; /* account, region, names -> struct series; forgotten when there are many */
	struct buf name;   /* of the metric that is looked for */
	struct batch gather, write;
	struct arena job;             /* of the transaction under way */
	uint32_t part_from, part_to;  /* of write.all: what is before is written, what is between is under way */
	uint64_t part;                /* counts transactions */
	struct waiters waiting, told; /* for gather; for write */
	struct loop_timer *put_timer, *sweep_timer;
	bool writing, sweep_next, more;
	struct sweep sweep;
};

/* NULL: nothing of it in memory. */
struct series *metrics_find(struct metrics *m, const struct metric *metric);

/* --- names.c */
struct series_row {
	uint64_t id;
	int64_t last_ms;
};
enum { NAMES_MAX = 65536 };
/* The names as bytes: namespace, name, then dimensions in order of their names, each ended by a NUL. */
struct str metrics_names(struct buf *b, const struct metric *m);
/* Below which a metric's series lie; the unit's letter comes behind. */
struct str metrics_key(struct arena *a, struct str account, struct str region, struct str names);
struct str metrics_unit(char code); /* "None" for what nobody knows */
char metrics_unit_code(struct str unit);
struct str metrics_block_key(struct arena *a, uint64_t id, unsigned tier, int64_t block);
struct str metrics_pack_key(struct arena *a, uint64_t group, unsigned tier, int64_t span);
uint64_t metrics_key_number(struct str key); /* the series or group of such a key */
int64_t metrics_key_block(struct str key);   /* its block or span */
/* A row of the store as a metric. */
bool metrics_row_read(struct arena *a, struct str key, struct str value, struct metric *ret, struct series_row *ret_row);

/* --- roll.c: a part of the sweep, which an hour begins. False: that was the last part. */
bool metrics_sweep(struct metrics *m, struct store_txn *t);

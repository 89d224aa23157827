/* How events lie in the store of logs. Private to engine/logs.
 *
 *	e group time number            -> stream, ingestion time, message
 *	s group stream time number     -> nothing: the same events by stream
 *	t group stream (0: the group)  -> bytes, newest ingestion
 *	n                              -> the next number
 *
 * All numbers are 8 bytes, big-endian. */
#pragma once
#include "base/list.h"
#include "base/map.h"
#include "engine/logs/logs.h"

enum { KEEP_KEY_MAX = 33 };

struct keep_key {
	char bytes[KEEP_KEY_MAX];
	size_t n;
};
struct keep_total {
	int64_t bytes, ingested_ms;
};

/* What is known of a group or stream while transactions that write its total are under way. Totals are written as absolute values,
 * so they are taken from here, not from a snapshot that may be older. */
struct keep_live {
	struct keep_key key;
	struct keep_total total;
	unsigned uses;
};

struct logs {
	struct store *store;
	struct loop *loop;
	struct map live; /* keep_live by key */
	uint64_t next_number;
	struct list ears;
	bool telling;
	struct list appends, purges; /* under way */
};

/* kind and up to four numbers. */
struct keep_key keep_key(char kind, unsigned count, uint64_t a, uint64_t b, uint64_t c, uint64_t d);
uint64_t keep_number(const char *p);
static inline struct str keep_str(const struct keep_key *k)
{
	return str_of(k->bytes, k->n);
}

struct keep_live *keep_use(struct logs *l, uint64_t group, uint64_t stream);
void keep_unuse(struct logs *l, struct keep_live *live);
void keep_put_total(struct store_txn *t, const struct keep_live *live);
/* Forgets the purges under way, whose transactions have ended. */
void keep_close_purges(struct logs *l);

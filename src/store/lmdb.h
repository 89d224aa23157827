/* The embedded backend's inside: lmdb.c opens and reads, lmdb_commit.c writes. Private to these two. */
#pragma once
#include "backend.h"

#include <lmdb.h>

/* Before each value in `keys`, as it is in memory (a store does not move between machines of different byte order). */
struct lmdb_head {
	uint64_t created, modified;
	int64_t lease;
};
/* The record "state" in the unnamed database. */
struct lmdb_state {
	uint64_t format; /* LMDB_FORMAT */
	uint64_t revision;
	uint64_t changes; /* ever made: numbers the history */
};
struct lmdb_lease {
	int64_t ttl_ms, deadline_ms;
};
/* A change in a chunk of the history; key_n bytes of key follow. */
struct lmdb_change {
	uint64_t revision;
	uint16_t key_n;
	uint8_t deleted;
} __attribute__((packed));

enum {
	LMDB_FORMAT = 1,
	HISTORY_CHUNK_BYTES = 1900, /* two chunks a page, no overflow pages */
	RING_SLOTS = 4096,
};
#define LMDB_STATE_KEY S("state")

/* The newest changes, for the check of walked ranges. Commit thread only. */
struct ring_slot {
	uint64_t revision;
	char *key;
	size_t key_n, key_cap;
};
struct ring {
	struct ring_slot *slots;
	uint64_t count; /* ever pushed */
	uint64_t floor; /* changes up to this revision may be missing */
};

struct store_reader {
	struct store_backend *b;
	MDB_txn *txn;
	struct store_reader *next_idle;
};
struct store_cursor {
	struct store_backend *b;
	MDB_cursor *at;
	struct store_cursor *next_idle;
};

struct store_backend {
	struct store *store;
	MDB_env *env;
	MDB_dbi main, keys, leases, lease_keys, history;
	int lock_fd;

	/* loop thread */
	struct store_reader *idle_readers;
	struct store_cursor *idle_cursors;
	size_t cached_txn; /* LMDB's id of the snapshot whose revision is cached_revision */
	uint64_t cached_revision;

	/* commit thread */
	struct lmdb_state state;              /* as committed */
	uint64_t history_keep, history_first; /* changes to keep; number of the oldest that is kept */
	struct ring ring;

	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t more, idle;
	struct store_txn *queue, **queue_last;
	bool applying; /* what was taken off the queue */
	bool stop;
};

static inline MDB_val lmdb_val(struct str s)
{
	return (MDB_val){.mv_size = s.n, .mv_data = (void *)(uintptr_t)s.p};
}
static inline struct str lmdb_str(MDB_val v)
{
	return str_of(v.mv_data, v.mv_size);
}
/* Numbers as keys sort as numbers. */
static inline uint64_t lmdb_order(uint64_t x)
{
	return __builtin_bswap64(x);
}
static inline uint64_t lmdb_number(MDB_val v)
{
	uint64_t x;
	memcpy(&x, v.mv_data, sizeof(x));
	return __builtin_bswap64(x);
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "lmdb_order");

int lmdb_commit_start(struct store_backend *b);
void lmdb_commit_stop(struct store_backend *b);
void lmdb_settle(struct store_backend *b); /* waits until the queue is empty and applied */
void lmdb_submit(struct store_backend *b, struct store_txn *first, struct store_txn *last);

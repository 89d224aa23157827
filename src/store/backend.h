/* What stands between store.h and the thing that keeps the data. Private to src/store.
 *
 * store.c, txn.c, watch.c and lease.c are the same for every backend: they overlay a transaction's own writes on a
 * snapshot, remember what it read, deliver results and events on the loop, and time leases. A backend keeps ordered keys,
 * checks and applies transactions one after the other, and makes them durable. */
#pragma once
#include "base/list.h"
#include "base/map.h"
#include "store/store.h"

#include <pthread.h>

enum { STORE_KEY_MAX = 480, STORE_VALUE_MAX = 16 * 1024 * 1024 };

struct store_reader; /* a backend's snapshot */
struct store_cursor; /* a backend's position in one */
struct store_backend;

/* One key's write. `created` and `same` are the backend's findings: the key was absent before / nothing changed (a delete of an
 * absent key). */
struct store_write {
	struct str key, value;
	int64_t lease;
	bool deleted, created, same;
};
/* A key that was read, and the revision that it had: 0 for absent. The value is the snapshot's, and of use while that lasts. */
struct store_seen {
	struct store_seen *next;
	struct str key;
	uint64_t modified;
	bool read; /* by store_get(): value is there */
	struct store_value value;
};
/* A range [from, to) that was walked over; an absent `to` is the end. */
struct store_range {
	struct store_range *next;
	struct str from, to;
};

enum store_txn_kind {
	TXN_WRITES,       /* a caller's */
	TXN_LEASE_GRANT,  /* keeps lease_ttl_ms and lease_deadline_ms (wall) under lease */
	TXN_LEASE_REVOKE, /* the backend adds to writes a delete of every key of lease, and forgets the lease */
};

struct store_txn {
	struct store *store;
	struct arena *arena;
	struct store_txn *next; /* in a queue of the backend, then of store_finish() */
	enum store_txn_kind kind;

	struct store_reader *reader; /* NULL until something is read */
	uint64_t snapshot;           /* revision of the snapshot */
	struct store_write **writes; /* by key */
	size_t write_count, write_cap, write_bytes;
	struct store_seen *seen;
	struct store_iter *iters;
	struct store_range *ranges; /* made from iters at commit */

	int64_t lease, lease_ttl_ms, lease_deadline_ms;

	store_done *done;
	void *ctx;
	int result; /* a write that can never be applied sets it; the backend gets only those with 0 */
	uint64_t revision;
	bool changed; /* applied, and something is different now */
};

/* A change of the history: only the key and whether it was deleted. */
typedef void store_change_fn(void *ctx, struct str key, bool deleted, uint64_t revision);
typedef void store_lease_fn(void *ctx, int64_t lease, int64_t ttl_ms, int64_t deadline_ms);

struct store_ops {
	/* Sets s->backend and s->revision. Negative errno with ret_why filled. */
	int (*open)(struct store *s, const struct store_config *config, char ret_why[static 200]);
	void (*make)(const struct store_config *config);
	/* Waits until what is queued was applied and went to store_finish(). */
	void (*settle)(struct store_backend *b);
	/* The same, and frees the backend. */
	void (*close)(struct store_backend *b);

	/* Loop thread. The snapshot is the newest durable one; reads from it stay valid until read_end(). */
	struct store_reader *(*read_begin)(struct store_backend *b, uint64_t *ret_revision);
	void (*read_end)(struct store_reader *r);
	bool (*get)(struct store_reader *r, struct str key, struct store_value *ret);
	struct store_cursor *(*cursor_open)(struct store_reader *r);
	void (*cursor_close)(struct store_cursor *c);
	/* First key >= at, or descending: last key < at; an absent `at` is the start / the end. */
	bool (*cursor_seek)(struct store_cursor *c, struct str at, bool descending, struct str *ret_key, struct store_value *ret);
	bool (*cursor_step)(struct store_cursor *c, bool descending, struct str *ret_key, struct store_value *ret);
	/* Visits the changes with revisions > after in this snapshot, newest first. False: some are not kept any more (fn may have
	 * been called). */
	bool (*changes)(struct store_reader *r, uint64_t after, store_change_fn *fn, void *ctx);
	void (*leases)(struct store_reader *r, store_lease_fn *fn, void *ctx);

	/* Takes over transactions linked by next, which were committed in one round of the loop; they come back through
	 * store_finish(), in order. */
	void (*submit)(struct store_backend *b, struct store_txn *first, struct store_txn *last);
};
extern const struct store_ops store_lmdb;

struct store {
	const struct store_ops *ops;
	struct store_backend *backend;
	struct loop *loop;
	uint64_t revision; /* newest one whose results were delivered */

	pthread_mutex_t lock; /* guards finished */
	struct store_txn *finished, **finished_last;
	int wake; /* eventfd: finished is not empty */
	struct loop_fd *wake_watch;

	struct store_txn *committed, **committed_last; /* in this round of the loop */
	size_t pending;                                /* committed, and done not called */

	struct list watches;
	bool delivering, dead_watches;
	struct list leases;
	struct map leases_by_id;
};

/* From any thread: these transactions, linked by next, are done (result, revision, changed are set). */
void store_finish(struct store *s, struct store_txn *first, struct store_txn *last);

/* Queues a transaction for the backend until the end of the loop's round. */
void store_submit(struct store_txn *t);

/* txn.c */
void txn_release(struct store_txn *t);
/* watch.c */
void watch_deliver(struct store *s, const struct store_txn *t);
void watch_close(struct store *s);
/* lease.c */
void lease_open(struct store *s);
void lease_close(struct store *s);
/* Frees a transaction that lease.c made, by its ctx. */
void lease_txn_free(void *ctx);

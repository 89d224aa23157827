/* The state of the cloud: ordered byte keys, one revision, multi-key compare-and-commit, leases, watches.
 *
 * The data model is etcd's, so that etcd can stand behind the same face when there are several nodes; lmdb.c is the
 * embedded default. All functions belong to the loop's thread; commits are written by a thread of the store and
 * concurrent ones share one fsync (group commit).
 *
 * A transaction is optimistic. It reads one snapshot, remembers what it read and gathers writes in memory; at commit
 * the whole of it is applied only if nothing that it read has changed since, else it ends with -EAGAIN and the caller
 * runs it again. So two racing "create if absent" cannot both win, and callers write plain code: read, decide, write. */
#pragma once
#include "base/arena.h"
#include "io/loop.h"

struct store;
struct store_txn;
struct store_iter;

struct store_config {
	const char *path; /* directory, made when missing (mode 0700) */
	size_t map_bytes; /* address space reserved for the file; 0: 64 GiB */
	bool ephemeral;   /* never fsync: the directory is thrown away */
	uint64_t history; /* revisions kept for watchers that resume; 0: 100000 changes */
};
/* A history of nothing: for bulk data that nobody resumes to watch. */
#define STORE_NO_HISTORY UINT64_MAX
/* Opens or makes a store. Negative errno, with the reason in ret_why (static or arena of the caller's choosing: at most 200 bytes).
 */
int store_open(struct store **ret, struct loop *l, const struct store_config *config, char ret_why[static 200]);
/* Any thread, while nobody has it open: makes an empty store where there is none, for store_open() to find. */
void store_make(const struct store_config *config);
/* Before the owners of transactions under way go, and their arenas with them: waits until what was committed is written. The
 * callbacks and watches of that do not come any more. Not from a callback of the store; store_close() follows soon. */
void store_settle(struct store *s);
/* Waits for commits under way (their callbacks do not come any more) and closes; watches end with it. Not from a callback of the
 * store. */
void store_close(struct store *s);
/* The newest committed revision; the first commit makes 1. */
uint64_t store_revision(const struct store *s);
/* Commits whose done has not come yet. */
size_t store_pending(const struct store *s);

struct store_value {
	struct str value;           /* valid until the transaction ends */
	uint64_t created, modified; /* revisions; 0 for a key written in this very transaction */
	int64_t lease;              /* 0: none */
};

/* A transaction on the newest snapshot. Its memory is the arena's, which must outlive it. Reads are cheap to begin
 * and must end soon: never keep one over a wait. */
struct store_txn *store_begin(struct store *s, struct arena *a);
/* The value of key as this transaction sees it, its own writes included. False: absent. */
bool store_get(struct store_txn *t, struct str key, struct store_value *ret);
/* Walks keys of [from, to) in order (descending: from the last one down), own writes included. An absent `to` means
 * the end. Conflicts are detected for the part that was walked over. Iterators end with their transaction. */
struct store_iter *store_scan(struct store_txn *t, struct str from, struct str to, bool descending);
bool store_next(struct store_iter *i, struct str *ret_key, struct store_value *ret);
/* The end of the range of all keys that start with prefix (absent when there is none). */
struct str store_prefix_end(struct arena *a, struct str prefix);
/* Writes; keys at most 480 bytes, values at most 16 MiB, both copied. A longer key makes the commit fail with -ENAMETOOLONG. */
void store_put(struct store_txn *t, struct str key, struct str value);
void store_put_leased(struct store_txn *t, struct str key, struct str value, int64_t lease);
void store_delete(struct store_txn *t, struct str key);
/* An explicit condition: the key's modified revision must be `modified` (0: the key is absent) at commit. */
void store_expect(struct store_txn *t, struct str key, uint64_t modified);
/* Has it writes to commit? */
bool store_dirty(const struct store_txn *t);
/* Ends the transaction without writing. */
void store_abort(struct store_txn *t);
/* Ends the transaction: done(ctx, result, revision) comes on the loop once it is durable, or failed with nothing written:
 * -EAGAIN (what it read has changed: run again), -ENOSPC, -EIO, -ENAMETOOLONG or -EINVAL (a key too long or empty), -EFBIG, -ENOENT
 * (a lease that it puts under is gone). One without writes ends at once with 0 (done is called before store_commit returns). The
 * arena must live until done. */
typedef void store_done(void *ctx, int result, uint64_t revision);
void store_commit(struct store_txn *t, store_done *done, void *ctx);

/* Watches [from, to): fn comes on the loop for every committed change in order, before the done of the commit that made it.
 * Starting at `after` (a revision; store_revision() for "from now on") replays what has happened since, compacted: each key
 * that has changed gets one event, with its newest value and revision (`created`: it was not there, or another one, at `after`), in
 * order of revision. NULL: that revision is older than the history kept; read everything and watch from now. The event's strs live
 * during the call. */
struct store_event {
	struct str key;
	struct str value; /* absent: the key was deleted */
	uint64_t revision;
	bool created;
};
typedef void store_watch_fn(void *ctx, const struct store_event *e);
struct store_watch *store_watch(struct store *s, struct str from, struct str to, uint64_t after, store_watch_fn *fn, void *ctx);
void store_unwatch(struct store_watch *w); /* NULL is harmless */

/* A lease: its keys are deleted when ttl_ms passes without store_lease_renew(). Ids are never 0 and survive restarts with their
 * remaining time. */
int64_t store_lease_grant(struct store *s, int64_t ttl_ms);
int store_lease_renew(struct store *s, int64_t lease); /* -ENOENT: expired */
void store_lease_revoke(struct store *s, int64_t lease);

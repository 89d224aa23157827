/* The embedded backend, reading side.
 *
 * One LMDB environment with four databases: `keys` (key -> head, value), `leases` (id -> ttl, deadline), `lease_keys`
 * (id, key -> nothing) and `history` (number of the first change -> a chunk of changes); the unnamed one holds the state record.
 * Snapshots are LMDB's read transactions. They are kept and renewed rather than made anew, which costs 0.1 us, and
 * what they hand out points into the memory map, so that reading copies nothing. */
#include "lmdb.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READERS_MAX = 1024 };

static void must(int rc, const char *what)
{
	if (rc)
		die("store: %s: %s", what, mdb_strerror(rc));
}

static struct store_reader *lmdb_read_begin(struct store_backend *b, uint64_t *ret_revision)
{
	struct store_reader *r = b->idle_readers;
	if (r) {
		b->idle_readers = r->next_idle;
		must(mdb_txn_renew(r->txn), "renewing a snapshot");
	} else {
		r = calloc(1, sizeof(*r));
		if (!r)
			die("out of memory (store)");
		r->b = b;
		must(mdb_txn_begin(b->env, NULL, MDB_RDONLY, &r->txn), "taking a snapshot");
	}
	size_t id = mdb_txn_id(r->txn);
	if (id != b->cached_txn) {
		MDB_val key = lmdb_val(LMDB_STATE_KEY), v;
		struct lmdb_state state;
		must(mdb_get(r->txn, b->main, &key, &v), "reading the revision");
		memcpy(&state, v.mv_data, sizeof(state));
		b->cached_txn = id;
		b->cached_revision = state.revision;
	}
	*ret_revision = b->cached_revision;
	return r;
}

static void lmdb_read_end(struct store_reader *r)
{
	mdb_txn_reset(r->txn);
	r->next_idle = r->b->idle_readers;
	r->b->idle_readers = r;
}

static void lmdb_value(MDB_val v, struct store_value *ret)
{
	struct lmdb_head head;
	memcpy(&head, v.mv_data, sizeof(head));
	*ret = (struct store_value){.value = str_of((const char *)v.mv_data + sizeof(head), v.mv_size - sizeof(head)),
	                            .created = head.created,
	                            .modified = head.modified,
	                            .lease = head.lease};
}

static bool lmdb_get(struct store_reader *r, struct str key, struct store_value *ret)
{
	MDB_val k = lmdb_val(key), v;
	int rc = mdb_get(r->txn, r->b->keys, &k, &v);
	if (rc == MDB_NOTFOUND)
		return false;
	must(rc, "reading a key");
	lmdb_value(v, ret);
	return true;
}

static struct store_cursor *lmdb_cursor_open(struct store_reader *r)
{
	struct store_cursor *c = r->b->idle_cursors;
	if (c) {
		r->b->idle_cursors = c->next_idle;
		must(mdb_cursor_renew(r->txn, c->at), "renewing a cursor");
		return c;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		die("out of memory (store)");
	c->b = r->b;
	must(mdb_cursor_open(r->txn, r->b->keys, &c->at), "opening a cursor");
	return c;
}

static void lmdb_cursor_close(struct store_cursor *c)
{
	c->next_idle = c->b->idle_cursors;
	c->b->idle_cursors = c;
}

static bool cursor_get(struct store_cursor *c, MDB_cursor_op op, struct str at, struct str *ret_key, struct store_value *ret)
{
	MDB_val k = lmdb_val(at), v;
	int rc = mdb_cursor_get(c->at, &k, &v, op);
	if (rc == MDB_NOTFOUND)
		return false;
	must(rc, "walking over keys");
	*ret_key = lmdb_str(k);
	lmdb_value(v, ret);
	return true;
}

static bool lmdb_cursor_seek(struct store_cursor *c, struct str at, bool descending, struct str *ret_key, struct store_value *ret)
{
	/* LMDB knows no empty key, and cannot compare one that is too long; no key is longer than its first 480 bytes and a NUL. */
	if (at.n > STORE_KEY_MAX + 1)
		at.n = STORE_KEY_MAX + 1;
	if (!descending)
		return cursor_get(c, at.n ? MDB_SET_RANGE : MDB_FIRST, at, ret_key, ret);
	if (str_set(at) && at.n == 0)
		return false;
	if (at.n && cursor_get(c, MDB_SET_RANGE, at, ret_key, ret))
		return cursor_get(c, MDB_PREV, STR_NONE, ret_key, ret);
	return cursor_get(c, MDB_LAST, STR_NONE, ret_key, ret);
}

static bool lmdb_cursor_step(struct store_cursor *c, bool descending, struct str *ret_key, struct store_value *ret)
{
	return cursor_get(c, descending ? MDB_PREV : MDB_NEXT, STR_NONE, ret_key, ret);
}

/* --- history and leases */

/* Visits a chunk's changes from the last to the first; false when one is not newer than after. */
static bool chunk_visit(struct str chunk, uint64_t after, store_change_fn *fn, void *ctx)
{
	struct lmdb_change change;
	uint16_t starts[HISTORY_CHUNK_BYTES / sizeof(change) + 1];
	size_t n = 0;
	for (size_t at = 0; at + sizeof(change) <= chunk.n; at += sizeof(change) + change.key_n) {
		memcpy(&change, chunk.p + at, sizeof(change));
		starts[n++] = (uint16_t)at;
	}
	while (n) {
		size_t at = starts[--n];
		memcpy(&change, chunk.p + at, sizeof(change));
		if (change.revision <= after)
			return false;
		fn(ctx, str_sub(chunk, at + sizeof(change), change.key_n), change.deleted, change.revision);
	}
	return true;
}

static bool lmdb_changes(struct store_reader *r, uint64_t after, store_change_fn *fn, void *ctx)
{
	MDB_cursor *c;
	MDB_val k, v;
	must(mdb_cursor_open(r->txn, r->b->history, &c), "opening the history");
	bool whole = after >= r->b->cached_revision; /* with no history at all, nothing must have happened */
	int rc = mdb_cursor_get(c, &k, &v, MDB_LAST);
	for (; rc == 0; rc = mdb_cursor_get(c, &k, &v, MDB_PREV)) {
		/* Trimming may have cut a transaction in two, so nothing is sure until an older change, or the very first one, is
		 * met. */
		whole = lmdb_number(k) == 0;
		if (!chunk_visit(lmdb_str(v), after, fn, ctx)) {
			whole = true;
			break;
		}
	}
	mdb_cursor_close(c);
	return whole;
}

static void lmdb_leases(struct store_reader *r, store_lease_fn *fn, void *ctx)
{
	MDB_cursor *c;
	MDB_val k, v;
	must(mdb_cursor_open(r->txn, r->b->leases, &c), "opening the leases");
	while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0) {
		struct lmdb_lease lease;
		memcpy(&lease, v.mv_data, sizeof(lease));
		fn(ctx, (int64_t)lmdb_number(k), lease.ttl_ms, lease.deadline_ms);
	}
	mdb_cursor_close(c);
}

/* --- opening and closing */

static int lmdb_prepare(struct store_backend *b, MDB_txn *w)
{
	int rc = mdb_dbi_open(w, NULL, 0, &b->main);
	if (rc == 0)
		rc = mdb_dbi_open(w, "keys", MDB_CREATE, &b->keys);
	if (rc == 0)
		rc = mdb_dbi_open(w, "leases", MDB_CREATE, &b->leases);
	if (rc == 0)
		rc = mdb_dbi_open(w, "lease_keys", MDB_CREATE, &b->lease_keys);
	if (rc == 0)
		rc = mdb_dbi_open(w, "history", MDB_CREATE, &b->history);
	if (rc)
		return rc;
	MDB_val key = lmdb_val(LMDB_STATE_KEY), v;
	rc = mdb_get(w, b->main, &key, &v);
	if (rc == MDB_NOTFOUND) {
		b->state = (struct lmdb_state){.format = LMDB_FORMAT};
		v = (MDB_val){.mv_data = &b->state, .mv_size = sizeof(b->state)};
		return mdb_put(w, b->main, &key, &v, 0);
	}
	if (rc)
		return rc;
	if (v.mv_size != sizeof(b->state))
		return MDB_VERSION_MISMATCH;
	memcpy(&b->state, v.mv_data, sizeof(b->state));
	if (b->state.format != LMDB_FORMAT)
		return MDB_VERSION_MISMATCH;
	MDB_cursor *c;
	rc = mdb_cursor_open(w, b->history, &c);
	if (rc)
		return rc;
	b->history_first = mdb_cursor_get(c, &key, &v, MDB_FIRST) == 0 ? lmdb_number(key) : b->state.changes;
	mdb_cursor_close(c);
	return 0;
}

static int lmdb_env_open(struct store_backend *b, const struct store_config *config)
{
	int rc = mdb_env_create(&b->env);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(b->env, 8);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(b->env, READERS_MAX);
	if (rc == 0)
		rc = mdb_env_set_mapsize(b->env, config->map_bytes ? config->map_bytes : (size_t)64 << 30);
	/* Random access: reading ahead would only push out other files' pages. */
	if (rc == 0)
		rc = mdb_env_open(b->env, config->path, MDB_NOTLS | MDB_NORDAHEAD | (config->ephemeral ? MDB_NOSYNC : 0), 0600);
	MDB_txn *w;
	if (rc == 0)
		rc = mdb_txn_begin(b->env, NULL, 0, &w);
	if (rc)
		return rc;
	rc = lmdb_prepare(b, w);
	if (rc) {
		mdb_txn_abort(w);
		return rc;
	}
	return mdb_txn_commit(w);
}

static void lmdb_free(struct store_backend *b)
{
	for (struct store_cursor *c = b->idle_cursors, *next; c; c = next) {
		next = c->next_idle;
		mdb_cursor_close(c->at);
		free(c);
	}
	for (struct store_reader *r = b->idle_readers, *next; r; r = next) {
		next = r->next_idle;
		mdb_txn_abort(r->txn);
		free(r);
	}
	if (b->env)
		mdb_env_close(b->env);
	if (b->lock_fd >= 0)
		close(b->lock_fd);
	for (size_t i = 0; b->ring.slots && i < RING_SLOTS; i++)
		free(b->ring.slots[i].key);
	free(b->ring.slots);
	free(b);
}

/* LMDB lets several processes in; two clouds on one directory would not see each other's memory. */
static int lmdb_lock(struct store_backend *b, const char *path, char why[static 200])
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		int e = errno;
		snprintf(why, 200, "cannot make %.120s: %s", path, strerror(e));
		return -e;
	}
	b->lock_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->lock_fd < 0) {
		int e = errno;
		snprintf(why, 200, "cannot open %.120s: %s", path, strerror(e));
		return -e;
	}
	if (flock(b->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		snprintf(why, 200, "%.120s is in use by another process", path);
		return -EBUSY;
	}
	return 0;
}

static int lmdb_open(struct store *s, const struct store_config *config, char ret_why[static 200])
{
	struct store_backend *b = calloc(1, sizeof(*b));
	if (!b)
		die("out of memory (store)");
	b->store = s;
	b->lock_fd = -1;
	b->history_keep = config->history ? config->history : 100000;
	int r = lmdb_lock(b, config->path, ret_why);
	if (r == 0) {
		int rc = lmdb_env_open(b, config);
		if (rc) {
			r = rc > 0 ? -rc : rc == MDB_MAP_FULL ? -ENOSPC : -EIO;
			snprintf(ret_why, 200, "cannot open the store in %.100s: %.70s", config->path,
			         rc == MDB_VERSION_MISMATCH ? "made by another version of the program" : mdb_strerror(rc));
		}
	}
	b->ring.floor = b->state.revision;
	if (r == 0)
		r = lmdb_commit_start(b);
	if (r < 0) {
		lmdb_free(b);
		return r;
	}
	s->backend = b;
	s->revision = b->state.revision;
	return 0;
}

static void lmdb_make(const struct store_config *config)
{
	char why[200];
	struct store_backend *b = calloc(1, sizeof(*b));
	if (!b)
		die("out of memory (store)");
	b->lock_fd = -1;
	if (lmdb_lock(b, config->path, why) == 0)
		lmdb_env_open(b, config);
	lmdb_free(b);
}

static void lmdb_close(struct store_backend *b)
{
	lmdb_commit_stop(b);
	lmdb_free(b);
}

const struct store_ops store_lmdb = {
        .open = lmdb_open,
        .make = lmdb_make,
        .settle = lmdb_settle,
        .close = lmdb_close,
        .read_begin = lmdb_read_begin,
        .read_end = lmdb_read_end,
        .get = lmdb_get,
        .cursor_open = lmdb_cursor_open,
        .cursor_close = lmdb_cursor_close,
        .cursor_seek = lmdb_cursor_seek,
        .cursor_step = lmdb_cursor_step,
        .changes = lmdb_changes,
        .leases = lmdb_leases,
        .submit = lmdb_submit,
};

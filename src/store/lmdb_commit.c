/* The embedded backend, writing side: one thread, group commit.
 *
 * While a commit waits for the disk, transactions gather in the queue; the thread then takes them all, applies each that
 * still holds to one LMDB transaction, and makes them durable together. So the number of syncs does not grow with the
 * number of writers.
 *
 * A transaction holds when every key that it read has the revision that it saw, which is looked up, and no range
 * that it walked over has changed since its snapshot, which the ring of recent changes tells (it finds keys that have come into the
 * range, too). All of that is checked before its first write, so one that fails leaves nothing behind for its neighbours to trip
 * over. When LMDB itself fails (a full disk), the whole batch is dropped and each transaction is tried alone: a huge one must not
 * take small ones down with it. */
#include "lmdb.h"

#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/statvfs.h>

/* LMDB keeps the pages of a commit in memory until it is written. */
enum { BATCH_TXNS_MAX = 8192, BATCH_BYTES_MAX = 64 * 1024 * 1024, DISK_FULL_BYTES = 1024 * 1024 };

/* A batch in the making. */
struct batch {
	struct store_backend *b;
	MDB_txn *w;
	struct lmdb_state state;
	bool dirty; /* there is something to commit */
	char chunk[HISTORY_CHUNK_BYTES];
	size_t chunk_n;
	uint64_t chunk_first; /* number of its first change */
};

/* --- the ring */

static void ring_push(struct ring *ring, struct str key, uint64_t revision)
{
	if (!ring->slots && !(ring->slots = calloc(RING_SLOTS, sizeof(*ring->slots))))
		die("out of memory (store)");
	struct ring_slot *slot = &ring->slots[ring->count % RING_SLOTS];
	if (ring->count >= RING_SLOTS && slot->revision > ring->floor)
		ring->floor = slot->revision;
	if (slot->key_cap < key.n) {
		free(slot->key);
		slot->key_cap = key.n < 64 ? 64 : key.n;
		if (!(slot->key = malloc(slot->key_cap)))
			die("out of memory (store)");
	}
	memcpy(slot->key, key.p, key.n);
	slot->key_n = key.n;
	slot->revision = revision;
	ring->count++;
}

static bool ranges_cover(const struct store_range *range, struct str key)
{
	for (; range; range = range->next)
		if (str_cmp(key, range->from) >= 0 && (!str_set(range->to) || str_cmp(key, range->to) < 0))
			return true;
	return false;
}

/* Has a key in these ranges changed after the snapshot, or can it not be told any more? */
static bool ring_conflicts(const struct ring *ring, const struct store_range *ranges, uint64_t snapshot)
{
	if (snapshot < ring->floor)
		return true;
	uint64_t least = ring->count > RING_SLOTS ? ring->count - RING_SLOTS : 0;
	for (uint64_t i = ring->count; i > least; i--) {
		const struct ring_slot *slot = &ring->slots[(i - 1) % RING_SLOTS];
		if (slot->revision <= snapshot)
			break;
		if (ranges_cover(ranges, str_of(slot->key, slot->key_n)))
			return true;
	}
	return false;
}

/* --- one transaction. Functions return 0 or LMDB's error, which ends the batch. */

static int key_head(struct batch *batch, struct str key, struct lmdb_head *ret)
{
	MDB_val k = lmdb_val(key), v;
	if (key.n == 0 || key.n > STORE_KEY_MAX) { /* expected to be absent, and so it is */
		*ret = (struct lmdb_head){0};
		return 0;
	}
	int rc = mdb_get(batch->w, batch->b->keys, &k, &v);
	if (rc == 0)
		memcpy(ret, v.mv_data, sizeof(*ret));
	else if (rc == MDB_NOTFOUND)
		*ret = (struct lmdb_head){0};
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int txn_check(struct batch *batch, struct store_txn *t)
{
	for (const struct store_seen *seen = t->seen; seen; seen = seen->next) {
		struct lmdb_head head;
		int rc = key_head(batch, seen->key, &head);
		if (rc)
			return rc;
		if (head.modified != seen->modified) {
			t->result = -EAGAIN;
			return 0;
		}
	}
	if (t->ranges && ring_conflicts(&batch->b->ring, t->ranges, t->snapshot))
		t->result = -EAGAIN;
	for (size_t i = 0; i < t->write_count && !t->result; i++) {
		if (!t->writes[i]->lease)
			continue;
		uint64_t id = lmdb_order((uint64_t)t->writes[i]->lease);
		MDB_val k = {.mv_data = &id, .mv_size = sizeof(id)}, v;
		int rc = mdb_get(batch->w, batch->b->leases, &k, &v);
		if (rc == MDB_NOTFOUND)
			t->result = -ENOENT;
		else if (rc)
			return rc;
	}
	return 0;
}

static int lease_link(struct batch *batch, int64_t lease, struct str key, bool add)
{
	char at[8 + STORE_KEY_MAX];
	uint64_t id = lmdb_order((uint64_t)lease);
	memcpy(at, &id, 8);
	memcpy(at + 8, key.p, key.n);
	MDB_val k = {.mv_data = at, .mv_size = 8 + key.n}, v = {.mv_data = at, .mv_size = 0};
	if (add)
		return mdb_put(batch->w, batch->b->lease_keys, &k, &v, 0);
	int rc = mdb_del(batch->w, batch->b->lease_keys, &k, NULL);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int chunk_flush(struct batch *batch)
{
	uint64_t number = lmdb_order(batch->chunk_first);
	MDB_val k = {.mv_data = &number, .mv_size = sizeof(number)}, v = {.mv_data = batch->chunk, .mv_size = batch->chunk_n};
	int rc = batch->chunk_n ? mdb_put(batch->w, batch->b->history, &k, &v, MDB_APPEND) : 0;
	batch->chunk_n = 0;
	return rc;
}

static int change_note(struct batch *batch, const struct store_write *write, uint64_t revision)
{
	ring_push(&batch->b->ring, write->key, revision);
	if (batch->b->history_keep == STORE_NO_HISTORY)
		return 0;
	const struct lmdb_change change = {.revision = revision, .key_n = (uint16_t)write->key.n, .deleted = write->deleted};
	int rc = 0;
	if (batch->chunk_n + sizeof(change) + write->key.n > sizeof(batch->chunk))
		rc = chunk_flush(batch);
	if (batch->chunk_n == 0)
		batch->chunk_first = batch->state.changes;
	memcpy(batch->chunk + batch->chunk_n, &change, sizeof(change));
	memcpy(batch->chunk + batch->chunk_n + sizeof(change), write->key.p, write->key.n);
	batch->chunk_n += sizeof(change) + write->key.n;
	batch->state.changes++;
	return rc;
}

static int value_put(struct batch *batch, const struct store_write *write, const struct lmdb_head *head, unsigned flags, MDB_val *v)
{
	MDB_val k = lmdb_val(write->key);
	v->mv_size = sizeof(*head) + write->value.n;
	int rc = mdb_put(batch->w, batch->b->keys, &k, v, MDB_RESERVE | flags);
	if (rc)
		return rc;
	memcpy(v->mv_data, head, sizeof(*head));
	memcpy((char *)v->mv_data + sizeof(*head), write->value.p, write->value.n);
	return 0;
}

/* Most keys that are written are new: one search finds that out and the place for them. */
static int write_new(struct batch *batch, struct store_write *write, uint64_t revision, struct lmdb_head *ret_old)
{
	const struct lmdb_head head = {.created = revision, .modified = revision};
	MDB_val v;
	int rc = value_put(batch, write, &head, MDB_NOOVERWRITE, &v);
	if (rc == MDB_KEYEXIST)
		memcpy(ret_old, v.mv_data, sizeof(*ret_old));
	else if (rc == 0)
		write->created = true;
	return rc;
}

static int write_apply(struct batch *batch, struct store_write *write, uint64_t revision)
{
	struct lmdb_head old;
	int rc;
	if (write->deleted || write->lease) {
		rc = key_head(batch, write->key, &old);
		if (rc)
			return rc;
	} else {
		rc = write_new(batch, write, revision, &old);
		if (rc != MDB_KEYEXIST)
			return rc ? rc : change_note(batch, write, revision);
		rc = 0;
	}
	write->created = !write->deleted && old.modified == 0;
	write->same = write->deleted && old.modified == 0;
	if (write->same)
		return 0;
	if (old.lease && old.lease != write->lease)
		rc = lease_link(batch, old.lease, write->key, false);
	if (rc == 0 && write->lease && old.lease != write->lease)
		rc = lease_link(batch, write->lease, write->key, true);
	if (rc)
		return rc;
	if (write->deleted) {
		MDB_val k = lmdb_val(write->key);
		rc = mdb_del(batch->w, batch->b->keys, &k, NULL);
	} else {
		const struct lmdb_head head = {
		        .created = write->created ? revision : old.created, .modified = revision, .lease = write->lease};
		MDB_val v;
		rc = value_put(batch, write, &head, 0, &v);
	}
	return rc ? rc : change_note(batch, write, revision);
}

static int lease_keep(struct batch *batch, const struct store_txn *t)
{
	uint64_t id = lmdb_order((uint64_t)t->lease);
	struct lmdb_lease lease = {.ttl_ms = t->lease_ttl_ms, .deadline_ms = t->lease_deadline_ms};
	MDB_val k = {.mv_data = &id, .mv_size = sizeof(id)}, v = {.mv_data = &lease, .mv_size = sizeof(lease)};
	batch->dirty = true;
	return mdb_put(batch->w, batch->b->leases, &k, &v, 0);
}

/* Forgets the lease and fills the transaction's writes with a delete of each of its keys. */
static int lease_gather(struct batch *batch, struct store_txn *t)
{
	uint64_t id = lmdb_order((uint64_t)t->lease);
	MDB_val k = {.mv_data = &id, .mv_size = sizeof(id)}, v;
	int rc = mdb_del(batch->w, batch->b->leases, &k, NULL);
	if (rc)
		return rc == MDB_NOTFOUND ? 0 : rc;
	batch->dirty = true;
	MDB_cursor *c;
	rc = mdb_cursor_open(batch->w, batch->b->lease_keys, &c);
	if (rc)
		return rc;
	t->write_count = t->write_cap = 0;
	k = (MDB_val){.mv_data = &id, .mv_size = sizeof(id)};
	for (rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE); rc == 0; rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
		if (k.mv_size < 8 || memcmp(k.mv_data, &id, 8) != 0)
			break;
		if (t->write_count == t->write_cap) {
			struct store_write **was = t->writes;
			t->write_cap = t->write_cap ? t->write_cap * 2 : 16;
			t->writes = arena_alloc(t->arena, t->write_cap * sizeof(struct store_write *));
			if (t->write_count)
				memcpy(t->writes, was, t->write_count * sizeof(struct store_write *));
		}
		struct store_write *write = t->writes[t->write_count++] = arena_new(t->arena, struct store_write);
		write->key = arena_dup(t->arena, str_from_at(lmdb_str(k), 8));
		write->deleted = true;
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int txn_apply(struct batch *batch, struct store_txn *t)
{
	t->result = 0;
	t->changed = false;
	int rc = t->kind == TXN_LEASE_GRANT ? lease_keep(batch, t) : t->kind == TXN_LEASE_REVOKE ? lease_gather(batch, t) : 0;
	if (rc == 0)
		rc = txn_check(batch, t);
	if (rc || t->result)
		return rc;
	uint64_t revision = batch->state.revision + 1;
	for (size_t i = 0; i < t->write_count; i++) {
		rc = write_apply(batch, t->writes[i], revision);
		if (rc)
			return rc;
		t->changed |= !t->writes[i]->same;
	}
	if (t->changed) {
		batch->state.revision = revision;
		batch->dirty = true;
	}
	t->revision = batch->state.revision;
	return 0;
}

/* --- the batch */

/* Drops whole chunks from the old end of the history; a few a batch, so that no commit takes long. */
static int history_trim(struct batch *batch, uint64_t *first)
{
	uint64_t keep = batch->b->history_keep;
	if (batch->state.changes - *first <= keep)
		return 0;
	MDB_cursor *c;
	MDB_val k, v;
	int rc = mdb_cursor_open(batch->w, batch->b->history, &c);
	if (rc)
		return rc;
	for (int i = 0; i < 64; i++) {
		if (mdb_cursor_get(c, &k, &v, MDB_FIRST) || mdb_cursor_get(c, &k, &v, MDB_NEXT))
			break;
		uint64_t second = lmdb_number(k);
		if (batch->state.changes - second < keep)
			break;
		if ((rc = mdb_cursor_get(c, &k, &v, MDB_FIRST)) || (rc = mdb_cursor_del(c, 0)))
			break;
		*first = second;
	}
	mdb_cursor_close(c);
	return rc;
}

static int batch_write(struct batch *batch, struct store_txn *first)
{
	int rc = 0;
	for (struct store_txn *t = first; t && rc == 0; t = t->next)
		rc = txn_apply(batch, t);
	if (rc || !batch->dirty)
		return rc;
	uint64_t history_first = batch->b->history_first;
	rc = chunk_flush(batch);
	if (rc == 0)
		rc = history_trim(batch, &history_first);
	if (rc)
		return rc;
	MDB_val k = lmdb_val(LMDB_STATE_KEY), v = {.mv_data = &batch->state, .mv_size = sizeof(batch->state)};
	rc = mdb_put(batch->w, batch->b->main, &k, &v, 0);
	if (rc)
		return rc;
	rc = mdb_txn_commit(batch->w);
	batch->w = NULL;
	if (rc == 0) {
		batch->b->state = batch->state;
		batch->b->history_first = history_first;
	}
	return rc;
}

static int batch_error(const struct store_backend *b, int rc)
{
	struct statvfs fs;
	if (rc == MDB_TXN_FULL)
		return -EFBIG;
	if (rc == MDB_MAP_FULL || rc == ENOSPC || rc == EDQUOT || rc == EFBIG)
		return -ENOSPC;
	/* LMDB calls a write that was cut short by the end of the disk EIO. */
	if (rc == EIO && fstatvfs(b->lock_fd, &fs) == 0 && fs.f_bavail * fs.f_bsize < DISK_FULL_BYTES)
		return -ENOSPC;
	return -EIO;
}

/* Applies the list of transactions and sets their results. Says with what error all of it failed, or 0. */
static int batch_run(struct store_backend *b, struct store_txn *first)
{
	struct batch batch = {.b = b, .state = b->state};
	int rc = mdb_txn_begin(b->env, NULL, 0, &batch.w);
	if (rc == 0)
		rc = batch_write(&batch, first);
	if (batch.w)
		mdb_txn_abort(batch.w);
	if (rc == 0)
		return 0;
	/* What went onto the ring has not happened, and what it pushed out is lost. */
	b->ring.count = 0;
	b->ring.floor = b->state.revision;
	int result = batch_error(b, rc);
	for (struct store_txn *t = first; t; t = t->next) {
		t->result = result;
		t->changed = false;
	}
	return result;
}

static void batch_commit(struct store_backend *b, struct store_txn *first)
{
	int failed = batch_run(b, first);
	if (!failed || failed == -EIO || !first->next)
		return;
	for (struct store_txn *t = first; t; t = t->next) {
		struct store_txn *next = t->next;
		t->next = NULL;
		batch_run(b, t);
		t->next = next;
	}
}

/* Cuts the first batch off the queue. */
static struct store_txn *queue_take(struct store_backend *b, struct store_txn **ret_last)
{
	struct store_txn *first = b->queue, *last = first;
	size_t bytes = first->write_bytes;
	for (size_t n = 1; last->next && n < BATCH_TXNS_MAX; n++, last = last->next) {
		bytes += last->next->write_bytes;
		if (bytes > BATCH_BYTES_MAX)
			break;
	}
	b->queue = last->next;
	if (!b->queue)
		b->queue_last = &b->queue;
	last->next = NULL;
	*ret_last = last;
	return first;
}

static void *commit_thread(void *arg)
{
	struct store_backend *b = arg;
	pthread_mutex_lock(&b->lock);
	for (;;) {
		while (!b->queue && !b->stop)
			pthread_cond_wait(&b->more, &b->lock);
		if (!b->queue)
			break;
		struct store_txn *last, *first = queue_take(b, &last);
		b->applying = true;
		pthread_mutex_unlock(&b->lock);
		batch_commit(b, first);
		store_finish(b->store, first, last);
		pthread_mutex_lock(&b->lock);
		b->applying = false;
		if (!b->queue)
			pthread_cond_signal(&b->idle);
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

int lmdb_commit_start(struct store_backend *b)
{
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->more, NULL);
	pthread_cond_init(&b->idle, NULL);
	b->queue_last = &b->queue;
	/* Signals belong to the loop's thread. */
	sigset_t all, was;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	int rc = pthread_create(&b->thread, NULL, commit_thread, b);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	if (rc)
		return -rc;
	pthread_setname_np(b->thread, "store");
	return 0;
}

void lmdb_settle(struct store_backend *b)
{
	pthread_mutex_lock(&b->lock);
	while (b->queue || b->applying)
		pthread_cond_wait(&b->idle, &b->lock);
	pthread_mutex_unlock(&b->lock);
}

void lmdb_commit_stop(struct store_backend *b)
{
	pthread_mutex_lock(&b->lock);
	b->stop = true;
	pthread_cond_signal(&b->more);
	pthread_mutex_unlock(&b->lock);
	pthread_join(b->thread, NULL);
	pthread_cond_destroy(&b->more);
	pthread_cond_destroy(&b->idle);
	pthread_mutex_destroy(&b->lock);
}

void lmdb_submit(struct store_backend *b, struct store_txn *first, struct store_txn *last)
{
	last->next = NULL;
	pthread_mutex_lock(&b->lock);
	bool idle = b->queue == NULL;
	*b->queue_last = first;
	b->queue_last = &last->next;
	if (idle)
		pthread_cond_signal(&b->more);
	pthread_mutex_unlock(&b->lock);
}

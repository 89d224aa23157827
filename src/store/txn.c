/* A transaction as its caller sees it: one snapshot with the transaction's own writes laid over it.
 *
 * Nothing is done before it is needed: a transaction that only writes never takes a snapshot. Writes are kept sorted by
 * key so that a scan can merge them with the snapshot; a later write of a key replaces the earlier one. What was read is
 * remembered as (key, revision) pairs and as the ranges that iterators walked over, for the backend's check at commit. */
#include "backend.h"

#include <errno.h>

struct store_iter {
	struct store_iter *next;
	struct store_txn *txn;
	struct str from, to;
	bool descending, started, ended;
	struct store_cursor *cursor;
	struct str last;  /* the last key that was returned; absent before the first */
	struct str ahead; /* the cursor's key, not yet returned; absent: the snapshot is exhausted */
	struct store_value ahead_value;
};

struct store_txn *store_begin(struct store *s, struct arena *a)
{
	struct store_txn *t = arena_new(a, struct store_txn);
	t->store = s;
	t->arena = a;
	return t;
}

static struct store_reader *txn_reader(struct store_txn *t)
{
	if (!t->reader)
		t->reader = t->store->ops->read_begin(t->store->backend, &t->snapshot);
	return t->reader;
}

/* Index of the first write with a key >= key. */
static size_t txn_find(const struct store_txn *t, struct str key)
{
	size_t low = 0, high = t->write_count;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (str_cmp(t->writes[mid]->key, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct store_seen *txn_saw(struct store_txn *t, struct str key, uint64_t modified)
{
	struct store_seen *seen = arena_alloc(t->arena, sizeof(*seen));
	*seen = (struct store_seen){.next = t->seen, .key = arena_dup(t->arena, key), .modified = modified};
	return t->seen = seen;
}

/* A key that is asked for again and again (the bucket of an object) is looked up once. Only the newest few are looked through. */
static const struct store_seen *txn_read_before(const struct store_txn *t, struct str key)
{
	unsigned n = 0;
	for (const struct store_seen *seen = t->seen; seen && n < 4; seen = seen->next, n++)
		if (seen->read && str_eq(seen->key, key))
			return seen;
	return NULL;
}

bool store_get(struct store_txn *t, struct str key, struct store_value *ret)
{
	size_t at = txn_find(t, key);
	if (at < t->write_count && str_eq(t->writes[at]->key, key)) {
		const struct store_write *w = t->writes[at];
		if (w->deleted)
			return false;
		*ret = (struct store_value){.value = w->value, .lease = w->lease};
		return true;
	}
	if (key.n == 0 || key.n > STORE_KEY_MAX)
		return false; /* no such key can ever be there */
	const struct store_seen *before = txn_read_before(t, key);
	if (!before) {
		struct store_value v;
		bool found = t->store->ops->get(txn_reader(t), key, &v);
		struct store_seen *seen = txn_saw(t, key, found ? v.modified : 0);
		seen->read = true;
		seen->value = found ? v : (struct store_value){0};
		before = seen;
	}
	if (!before->modified)
		return false;
	*ret = before->value;
	return true;
}

struct store_iter *store_scan(struct store_txn *t, struct str from, struct str to, bool descending)
{
	struct store_iter *i = arena_new(t->arena, struct store_iter);
	*i = (struct store_iter){.next = t->iters, .txn = t, .descending = descending};
	i->from = arena_dup(t->arena, from);
	i->to = arena_dup(t->arena, to);
	t->iters = i;
	return i;
}

static bool iter_inside(const struct store_iter *i, struct str key)
{
	return str_cmp(key, i->from) >= 0 && (!str_set(i->to) || str_cmp(key, i->to) < 0);
}

/* Moves the cursor on and keeps its key in i->ahead. */
static void iter_advance(struct store_iter *i)
{
	const struct store_ops *ops = i->txn->store->ops;
	bool found;
	if (!i->started) {
		i->started = true;
		i->cursor = ops->cursor_open(txn_reader(i->txn));
		found = ops->cursor_seek(i->cursor, i->descending ? i->to : i->from, i->descending, &i->ahead, &i->ahead_value);
	} else {
		found = ops->cursor_step(i->cursor, i->descending, &i->ahead, &i->ahead_value);
	}
	if (!found || !iter_inside(i, i->ahead))
		i->ahead = STR_NONE;
}

/* The transaction's own write that comes next after i->last in the direction of the walk, or NULL. */
static const struct store_write *iter_own(const struct store_iter *i)
{
	const struct store_txn *t = i->txn;
	if (t->write_count == 0)
		return NULL;
	size_t at;
	if (i->descending) {
		struct str below = str_set(i->last) ? i->last : i->to;
		at = str_set(below) ? txn_find(t, below) : t->write_count;
		if (at == 0)
			return NULL;
		at--;
	} else {
		at = txn_find(t, str_set(i->last) ? i->last : i->from);
		if (at < t->write_count && str_set(i->last) && str_eq(t->writes[at]->key, i->last))
			at++;
		if (at == t->write_count)
			return NULL;
	}
	return iter_inside(i, t->writes[at]->key) ? t->writes[at] : NULL;
}

bool store_next(struct store_iter *i, struct str *ret_key, struct store_value *ret)
{
	if (i->ended)
		return false;
	if (!i->started)
		iter_advance(i);
	for (;;) {
		const struct store_write *own = iter_own(i);
		if (!own && !str_set(i->ahead)) {
			i->ended = true;
			return false;
		}
		int order = !own ? -1 : !str_set(i->ahead) ? 1 : str_cmp(i->ahead, own->key);
		if (own && str_set(i->ahead) && i->descending)
			order = -order;
		if (order < 0) {
			i->last = *ret_key = i->ahead;
			*ret = i->ahead_value;
			iter_advance(i);
			return true;
		}
		i->last = own->key;
		if (order == 0)
			iter_advance(i);
		if (own->deleted)
			continue;
		*ret_key = own->key;
		*ret = (struct store_value){.value = own->value, .lease = own->lease};
		return true;
	}
}

struct str store_prefix_end(struct arena *a, struct str prefix)
{
	size_t n = prefix.n;
	while (n && (unsigned char)prefix.p[n - 1] == 0xff)
		n--;
	if (n == 0)
		return STR_NONE;
	char *p = arena_dupz(a, str_sub(prefix, 0, n));
	p[n - 1] = (char)((unsigned char)p[n - 1] + 1);
	return str_of(p, n);
}

static void txn_write(struct store_txn *t, struct str key, struct str value, int64_t lease, bool deleted)
{
	if (key.n > STORE_KEY_MAX)
		t->result = -ENAMETOOLONG;
	else if (key.n == 0)
		t->result = -EINVAL;
	else if (value.n > STORE_VALUE_MAX)
		t->result = -EFBIG;
	if (t->result)
		return;
	size_t at = txn_find(t, key);
	if (at == t->write_count || !str_eq(t->writes[at]->key, key)) {
		if (t->write_count == t->write_cap) {
			t->write_cap = t->write_cap ? t->write_cap * 2 : 8;
			struct store_write **more = arena_alloc(t->arena, t->write_cap * sizeof(*more));
			if (t->write_count)
				memcpy(more, t->writes, t->write_count * sizeof(*more));
			t->writes = more;
		}
		memmove(t->writes + at + 1, t->writes + at, (t->write_count - at) * sizeof(*t->writes));
		t->writes[at] = arena_new(t->arena, struct store_write);
		t->writes[at]->key = arena_dup(t->arena, key);
		t->write_count++;
		t->write_bytes += key.n;
	}
	/* An earlier value stays where it is in the arena: a caller may still hold it. */
	struct store_write *w = t->writes[at];
	w->value = deleted ? STR_NONE : arena_dup(t->arena, str_set(value) ? value : S(""));
	w->lease = lease;
	w->deleted = deleted;
	t->write_bytes += value.n;
}

void store_put(struct store_txn *t, struct str key, struct str value)
{
	txn_write(t, key, value, 0, false);
}

void store_put_leased(struct store_txn *t, struct str key, struct str value, int64_t lease)
{
	txn_write(t, key, value, lease, false);
}

void store_delete(struct store_txn *t, struct str key)
{
	txn_write(t, key, STR_NONE, 0, true);
}

void store_expect(struct store_txn *t, struct str key, uint64_t modified)
{
	txn_saw(t, key, modified);
}

bool store_dirty(const struct store_txn *t)
{
	return t->write_count > 0 || t->result;
}

/* Says as ranges what the iterators walked over. The keys are copied: they lie in the snapshot, which ends now. */
static void txn_keep_ranges(struct store_txn *t)
{
	for (struct store_iter *i = t->iters; i; i = i->next) {
		if (!i->ended && !str_set(i->last))
			continue;
		struct store_range *range = arena_new(t->arena, struct store_range);
		range->from = i->from;
		range->to = i->to;
		if (!i->ended && i->descending)
			range->from = arena_dup(t->arena, i->last);
		else if (!i->ended) /* up to and with the last: the least key behind it has one NUL more */
			range->to = str_of(arena_dupz(t->arena, i->last), i->last.n + 1);
		range->next = t->ranges;
		t->ranges = range;
	}
}

void txn_release(struct store_txn *t)
{
	for (struct store_iter *i = t->iters; i; i = i->next) {
		if (i->cursor)
			t->store->ops->cursor_close(i->cursor);
		i->ended = true;
		i->cursor = NULL;
	}
	if (t->reader)
		t->store->ops->read_end(t->reader);
	t->iters = NULL;
	t->reader = NULL;
}

void store_abort(struct store_txn *t)
{
	txn_release(t);
}

void store_commit(struct store_txn *t, store_done *done, void *ctx)
{
	bool dirty = store_dirty(t);
	if (dirty)
		txn_keep_ranges(t);
	txn_release(t);
	t->done = done;
	t->ctx = ctx;
	if (t->result) {
		t->store->pending++;
		store_finish(t->store, t, t);
	} else if (dirty) {
		store_submit(t);
	} else {
		done(ctx, 0, t->store->revision);
	}
}

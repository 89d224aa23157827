/* Leases: the loop's monotonic clock decides when one ends; what is kept on disk is its length and its end in the machine's
 * wall time, so that a restart gives it what was left. Expiry and renewal are both decided on the loop, so a renewal that
 * was answered with 0 is never overtaken by the end. The keys go by an ordinary commit. */
#include "backend.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

struct lease {
	struct list link;
	struct store *store;
	int64_t id, ttl_ms;
	struct loop_timer *timer;
};

enum { LEASE_RETRY_MS = 1000 };

struct lease_txn {
	struct store_txn txn;
	struct arena arena;
};

static void lease_add(struct store *s, int64_t id, int64_t ttl_ms, int64_t left_ms);

/* The machine's own wall clock: moving the cloud's clock must not end leases. */
static int64_t lease_wall_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void lease_txn_free(void *ctx)
{
	struct lease_txn *lt = ctx;
	arena_done(&lt->arena);
	free(lt);
}

static void lease_txn_done(void *ctx, int result, uint64_t revision)
{
	(void)revision;
	struct lease_txn *lt = ctx;
	/* Keys that could not be deleted, with the disk full, must still go: try until they are. */
	if (result < 0 && lt->txn.kind == TXN_LEASE_REVOKE)
		lease_add(lt->txn.store, lt->txn.lease, 0, LEASE_RETRY_MS);
	lease_txn_free(lt);
}

static void lease_submit(struct store *s, enum store_txn_kind kind, int64_t id, int64_t ttl_ms)
{
	struct lease_txn *lt = calloc(1, sizeof(*lt));
	if (!lt)
		die("out of memory (lease)");
	arena_init(&lt->arena, 0);
	lt->txn = (struct store_txn){.store = s,
	                             .arena = &lt->arena,
	                             .kind = kind,
	                             .lease = id,
	                             .lease_ttl_ms = ttl_ms,
	                             .lease_deadline_ms = lease_wall_ms() + ttl_ms,
	                             .done = lease_txn_done,
	                             .ctx = lt};
	store_submit(&lt->txn);
}

static struct str lease_key(const int64_t *id)
{
	return str_of(id, sizeof(*id));
}

static void lease_free(struct lease *e)
{
	map_remove(&e->store->leases_by_id, lease_key(&e->id));
	list_remove(&e->link);
	loop_remove_timer(e->store->loop, e->timer);
	free(e);
}

static void lease_end(void *ctx)
{
	struct lease *e = ctx;
	e->timer = NULL;
	lease_submit(e->store, TXN_LEASE_REVOKE, e->id, 0);
	lease_free(e);
}

static void lease_add(struct store *s, int64_t id, int64_t ttl_ms, int64_t left_ms)
{
	struct lease *e = calloc(1, sizeof(*e));
	if (!e)
		die("out of memory (lease)");
	*e = (struct lease){.store = s, .id = id, .ttl_ms = ttl_ms};
	list_init(&e->link);
	list_push(&s->leases, &e->link);
	if (ttl_ms > 0) /* else it has ended already: nobody can renew it */
		map_put(&s->leases_by_id, lease_key(&e->id), e);
	e->timer = loop_add_timer(s->loop, left_ms * 1000, lease_end, e);
}

int64_t store_lease_grant(struct store *s, int64_t ttl_ms)
{
	if (ttl_ms < 1)
		ttl_ms = 1;
	int64_t id = 0;
	while (id == 0 || map_get(&s->leases_by_id, lease_key(&id)))
		id = (int64_t)(rand_u64() >> 1);
	lease_add(s, id, ttl_ms, ttl_ms);
	lease_submit(s, TXN_LEASE_GRANT, id, ttl_ms);
	return id;
}

int store_lease_renew(struct store *s, int64_t id)
{
	struct lease *e = map_get(&s->leases_by_id, lease_key(&id));
	if (!e)
		return -ENOENT;
	loop_remove_timer(s->loop, e->timer);
	e->timer = loop_add_timer(s->loop, e->ttl_ms * 1000, lease_end, e);
	lease_submit(s, TXN_LEASE_GRANT, id, e->ttl_ms);
	return 0;
}

void store_lease_revoke(struct store *s, int64_t id)
{
	struct lease *e = map_get(&s->leases_by_id, lease_key(&id));
	if (!e)
		return;
	lease_submit(s, TXN_LEASE_REVOKE, id, 0);
	lease_free(e);
}

static void lease_restore(void *ctx, int64_t id, int64_t ttl_ms, int64_t deadline_ms)
{
	int64_t left = deadline_ms - lease_wall_ms();
	/* A wall clock that was set back must not make a lease longer than it was granted. */
	lease_add(ctx, id, ttl_ms, left < 0 ? 0 : left > ttl_ms ? ttl_ms : left);
}

void lease_open(struct store *s)
{
	uint64_t revision;
	struct store_reader *r = s->ops->read_begin(s->backend, &revision);
	s->ops->leases(r, lease_restore, s);
	s->ops->read_end(r);
}

void lease_close(struct store *s)
{
	list_each (&s->leases, struct lease, link, e)
		lease_free(e);
	map_done(&s->leases_by_id);
}

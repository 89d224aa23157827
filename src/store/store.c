#include "backend.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

void store_finish(struct store *s, struct store_txn *first, struct store_txn *last)
{
	last->next = NULL;
	pthread_mutex_lock(&s->lock);
	bool wake = s->finished == NULL;
	*s->finished_last = first;
	s->finished_last = &last->next;
	pthread_mutex_unlock(&s->lock);
	if (wake) {
		uint64_t one = 1;
		ssize_t ignored = write(s->wake, &one, sizeof(one));
		(void)ignored;
	}
}

static struct store_txn *store_take_finished(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	struct store_txn *t = s->finished;
	s->finished = NULL;
	s->finished_last = &s->finished;
	pthread_mutex_unlock(&s->lock);
	return t;
}

static void store_deliver(void *ctx, uint32_t events)
{
	(void)events;
	struct store *s = ctx;
	uint64_t count;
	ssize_t ignored = read(s->wake, &count, sizeof(count));
	(void)ignored;
	for (struct store_txn *t = store_take_finished(s), *next; t; t = next) {
		next = t->next; /* done() ends the arena that t lies in */
		s->pending--;
		if (t->changed) {
			s->revision = t->revision;
			watch_deliver(s, t);
		}
		t->done(t->ctx, t->result, t->revision);
	}
}

void store_submit(struct store_txn *t)
{
	struct store *s = t->store;
	t->next = NULL;
	s->pending++;
	*s->committed_last = t;
	s->committed_last = &t->next;
}

/* All that one round has committed goes over together: handed over one by one, the first would be synced alone and the
 * others would wait for that. */
static void store_hand_over(void *ctx)
{
	struct store *s = ctx;
	if (!s->committed)
		return;
	struct store_txn *first = s->committed, *last = container_of(s->committed_last, struct store_txn, next);
	s->committed = NULL;
	s->committed_last = &s->committed;
	s->ops->submit(s->backend, first, last);
}

static void store_free(struct store *s)
{
	loop_off_round(s->loop, store_hand_over, s);
	loop_remove_fd(s->loop, s->wake_watch);
	if (s->wake >= 0)
		close(s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int store_open(struct store **ret, struct loop *l, const struct store_config *config, char ret_why[static 200])
{
	struct store *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory (store)");
	s->ops = &store_lmdb;
	s->loop = l;
	s->finished_last = &s->finished;
	s->committed_last = &s->committed;
	list_init(&s->watches);
	list_init(&s->leases);
	pthread_mutex_init(&s->lock, NULL);
	s->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	s->wake_watch = s->wake < 0 ? NULL : loop_add_fd(l, s->wake, EPOLLIN, store_deliver, s);
	if (!s->wake_watch)
		die("cannot watch a store: %s", strerror(errno));
	int r = s->ops->open(s, config, ret_why);
	if (r < 0) {
		store_free(s);
		return r;
	}
	lease_open(s);
	loop_on_round(l, store_hand_over, s);
	*ret = s;
	return 0;
}

void store_make(const struct store_config *config)
{
	store_lmdb.make(config);
}

static void drop_finished(struct store *s)
{
	for (struct store_txn *t = store_take_finished(s), *next; t; t = next) {
		next = t->next;
		s->pending--;
		if (t->kind != TXN_WRITES)
			lease_txn_free(t->ctx);
	}
}

void store_settle(struct store *s)
{
	store_hand_over(s);
	s->ops->settle(s->backend);
	drop_finished(s);
}

void store_close(struct store *s)
{
	if (!s)
		return;
	lease_close(s);
	store_hand_over(s);
	s->ops->close(s->backend);
	drop_finished(s);
	watch_close(s);
	store_free(s);
}

uint64_t store_revision(const struct store *s)
{
	return s->revision;
}

size_t store_pending(const struct store *s)
{
	return s->pending;
}

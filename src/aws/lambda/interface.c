#include "aws/lambda/interface.h"

#include "aws/ec2/ec2.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	LINGER_MS = 60 * 1000, /* of one that no version uses: the next function often wants the same */
	AGAIN_US = 1000 * 1000,
	PATIENCE_US = 120 * 1000 * 1000,
};

struct interface {
	struct interfaces *all;
	struct arena arena;
	struct str key, account, region, id;
	int fd;          /* -1: not in place */
	unsigned device; /* one more with each port that is made for it */
	unsigned users;  /* environments */
	bool unused, removing, forgotten;
	int64_t unused_since_ms;
	struct loop_timer *timer;
	struct arena work;
};

struct interface_wait {
	struct list link;
	struct interfaces *all;
	struct arena arena;
	struct str_list keys;
	bool every;
	interface_fn *fn;
	void *ctx;
	struct loop_timer *timer;
};

struct interfaces {
	struct lambda *lambda;
	struct map by_key, by_id;
	struct list waits;
	struct loop_timer *soon;
	struct store_watch *watch;
};

static struct loop *loop_of(const struct interfaces *s)
{
	return s->lambda->cloud->loop;
}

/* --- going */

static void remove_soon(struct interface *i, int64_t delay_us);

static void free_interface(struct interface *i)
{
	loop_remove_timer(loop_of(i->all), i->timer);
	if (i->fd >= 0)
		close(i->fd);
	arena_done(&i->work);
	arena_done(&i->arena);
	free(i);
}

static void free_if_done(struct interface *i)
{
	if (i->forgotten && !i->removing && !i->users)
		free_interface(i);
}

static void removed(void *ctx, int result, uint64_t revision)
{
	struct interface *i = ctx;
	(void)revision;
	i->removing = false;
	if (result && result != -EAGAIN)
		log_error("lambda: a network interface that nobody uses: %s", strerror(-result));
	if (i->forgotten)
		free_if_done(i);
	else if (result)
		remove_soon(i, result == -EAGAIN ? 0 : AGAIN_US);
}

static void remove_now(void *ctx)
{
	struct interface *i = ctx;
	struct state_lambda_interface_record row = {0};
	i->timer = NULL;
	if (!i->unused || i->removing)
		return;
	if (i->users) {
		remove_soon(i, AGAIN_US); /* an invocation of a function that is gone may go on for long */
		return;
	}
	arena_reset(&i->work);
	struct store_txn *t = store_begin(i->all->lambda->cloud->store, &i->work);
	if (record_get(t, &i->work, i->key, ROW("Interface"), &row) && row.references.v <= 0) {
		ec2_return_interface(t, &i->work, i->account, i->region, row.id);
		store_delete(t, i->key);
	}
	i->removing = true;
	store_commit(t, removed, i);
}

static void remove_soon(struct interface *i, int64_t delay_us)
{
	loop_remove_timer(loop_of(i->all), i->timer);
	i->timer = loop_add_clock_timer(loop_of(i->all), delay_us, remove_now, i);
}

/* --- records */

static void forget(struct interface *i)
{
	map_remove(&i->all->by_key, i->key);
	map_remove(&i->all->by_id, i->id);
	i->forgotten = true;
	i->unused = false;
	free_if_done(i);
}

static struct interface *add(struct interfaces *s, struct str key, struct str id)
{
	struct interface *i = calloc(1, sizeof(*i));
	if (!i)
		abort();
	i->all = s;
	i->fd = -1;
	arena_init(&i->arena, 0);
	arena_init(&i->work, 0);
	i->key = arena_dup(&i->arena, key);
	i->id = arena_dup(&i->arena, id);
	struct str_list parts = record_key_parts(&i->arena, i->key);
	i->account = parts.v[2];
	i->region = parts.v[3];
	map_put(&s->by_key, i->key, i);
	map_put(&s->by_id, i->id, i);
	return i;
}

static void on_change(void *ctx, const struct store_event *e)
{
	struct interfaces *s = ctx;
	struct arena CLEAN_ARENA a = {0};
	struct state_lambda_interface_record row = {0};
	struct interface *i = map_get(&s->by_key, e->key);
	bool there = str_set(e->value) && record_read(&a, e->value, ROW("Interface"), &row);
	if (i && (!there || !str_eq(row.id, i->id))) {
		forget(i);
		i = NULL;
	}
	if (!there)
		return;
	if (!i)
		i = add(s, e->key, row.id);
	i->unused = row.references.v <= 0;
	loop_remove_timer(loop_of(s), i->timer);
	i->timer = NULL;
	if (!i->unused)
		return;
	int64_t left_ms = row.unused_since.ms + LINGER_MS - clock_wall_ms();
	remove_soon(i, left_ms > 0 ? left_ms * 1000 : 0);
}

/* --- waiting */

static void look(void *ctx);

static void look_soon(struct interfaces *s)
{
	if (!s->soon)
		s->soon = loop_add_timer(loop_of(s), 0, look, s);
}

static bool is_over(const struct interface_wait *w)
{
	uint32_t there = 0;
	for (uint32_t k = 0; k < w->keys.n; k++) {
		const struct interface *i = map_get(&w->all->by_key, w->keys.v[k]);
		there += i && i->fd >= 0;
	}
	return w->every ? there == w->keys.n : there > 0;
}

static void end_wait(struct interface_wait *w, int error)
{
	interface_fn *fn = w->fn;
	void *ctx = w->ctx;
	interface_forget(w);
	fn(ctx, error);
}

static void look(void *ctx)
{
	struct interfaces *s = ctx;
	s->soon = NULL;
	/* what is called may end other waits */
	for (struct interface_wait *found = NULL;; found = NULL) {
		list_each (&s->waits, struct interface_wait, link, w)
			if (!found && is_over(w))
				found = w;
		if (!found)
			return;
		end_wait(found, 0);
	}
}

static void is_late(void *ctx)
{
	struct interface_wait *w = ctx;
	w->timer = NULL;
	end_wait(w, -ETIMEDOUT);
}

struct interface_wait *interface_await(struct interfaces *s, struct str account, struct str region,
                                       const struct lambda_function_configuration *f, bool all, interface_fn *fn, void *ctx)
{
	struct interface_wait *w = calloc(1, sizeof(*w));
	if (!w)
		abort();
	w->all = s;
	w->every = all;
	w->fn = fn;
	w->ctx = ctx;
	arena_init(&w->arena, 0);
	const struct lambda_vpc_config_response *v = f->vpc_config;
	for (uint32_t i = 0; i < v->subnet_ids.n; i++)
		*LIST_ADD(&w->arena, &w->keys) =
		        lambda_interface_key(&w->arena, account, region, v->subnet_ids.v[i], &v->security_group_ids);
	list_push(&s->waits, &w->link);
	w->timer = loop_add_timer(loop_of(s), PATIENCE_US, is_late, w);
	look_soon(s);
	return w;
}

void interface_forget(struct interface_wait *w)
{
	if (!w)
		return;
	loop_remove_timer(loop_of(w->all), w->timer);
	list_remove(&w->link);
	arena_done(&w->arena);
	free(w);
}

/* --- use */

struct interface *interface_take(struct interfaces *s, struct str account, struct str region,
                                 const struct lambda_function_configuration *f)
{
	struct arena CLEAN_ARENA a = {0};
	const struct lambda_vpc_config_response *v = f->vpc_config;
	struct interface *best = NULL;
	for (uint32_t k = 0; k < v->subnet_ids.n; k++) {
		struct str key = lambda_interface_key(&a, account, region, v->subnet_ids.v[k], &v->security_group_ids);
		struct interface *i = map_get(&s->by_key, key);
		if (i && i->fd >= 0 && (!best || i->users < best->users))
			best = i;
	}
	if (!best)
		return NULL;
	best->users++;
	return best;
}

void interface_release(struct interface *i)
{
	if (!i)
		return;
	i->users--;
	free_if_done(i);
}

int interface_fd(const struct interface *i)
{
	return i->fd;
}

unsigned interface_device(const struct interface *i)
{
	return i->device;
}

static bool port(void *ctx, struct str id, int fd)
{
	struct interfaces *s = ctx;
	struct interface *i = map_get(&s->by_id, id);
	if (!i)
		return false;
	if (i->fd >= 0)
		close(i->fd);
	i->fd = fd;
	i->device++;
	look_soon(s);
	return true;
}

/* --- beginning and end */

struct interfaces *interfaces_open(struct lambda *l)
{
	struct arena CLEAN_ARENA a = {0};
	struct interfaces *s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	s->lambda = l;
	list_init(&s->waits);
	s->watch = record_follow(l->cloud->store, KEY_UNDER(&a, S("lambda"), S("interface")), on_change, s);
	ec2_watch_ports(l->cloud, port, s);
	return s;
}

void interfaces_close(struct interfaces *s)
{
	size_t at = 0;
	struct str key;
	void *value;
	if (!s)
		return;
	ec2_unwatch_ports(s->lambda->cloud, port, s);
	store_unwatch(s->watch);
	loop_remove_timer(loop_of(s), s->soon);
	list_each (&s->waits, struct interface_wait, link, w)
		interface_forget(w);
	while (map_next(&s->by_key, &at, &key, &value)) {
		struct interface *i = value;
		/* the store, which closes after us, still reads what is being written */
		if (!i->removing)
			free_interface(i);
	}
	map_done(&s->by_key);
	map_done(&s->by_id);
	free(s);
}

/* Tasks that have ended are told of for an hour. Nothing is to be done for them meanwhile, so all that is kept of each is where its
 * record lies and when that goes; a duty of its own would be eighty times as much. */
#include "base/clock.h"
#include "crew.h"

#include <stdlib.h>

enum {
	KEPT_MS = 3600 * 1000,
	AGAIN_US = 1000000, /* who end one after another go together */
	AT_ONCE = 64,       /* but not all of an hour that was leapt over */
	NEXT_US = 5000,
};

struct ended {
	int64_t over_ms;
	size_t n;
	char key[];
};

static void look(void *ctx);

static void wake(struct crew *d, int64_t at_ms, int64_t least_us)
{
	int64_t us = (at_ms - clock_wall_ms()) * 1000;
	if (d->ended_timer && d->ended_at_ms <= at_ms)
		return;
	loop_remove_timer(d->cloud->loop, d->ended_timer);
	d->ended_at_ms = at_ms;
	d->ended_timer = loop_add_clock_timer(d->cloud->loop, us > least_us ? us : least_us, look, d);
}

static void look(void *ctx)
{
	struct crew *d = ctx;
	int64_t now_ms = clock_wall_ms(), next_ms = 0;
	size_t at = 0, n = 0;
	struct str id, over[AT_ONCE];
	void *value;
	d->ended_timer = NULL;
	while (n < AT_ONCE && map_next(&d->ended, &at, &id, &value)) {
		const struct ended *e = value;
		if (e->over_ms <= now_ms)
			over[n++] = id;
		else if (!next_ms || e->over_ms < next_ms)
			next_ms = e->over_ms;
	}
	for (size_t k = 0; k < n; k++) {
		struct ended *e = map_remove(&d->ended, over[k]);
		crew_look_at(d, str_of(e->key, e->n));
		free(e);
	}
	if (n == AT_ONCE)
		wake(d, now_ms, NEXT_US);
	else if (next_ms)
		wake(d, next_ms, AGAIN_US);
}

bool ended_is_over(const struct ecs_task *t, int64_t now_ms)
{
	return t->stopped_at.ms + KEPT_MS <= now_ms;
}

void ended_keep(struct crew *d, struct str id, struct str key, const struct ecs_task *t)
{
	struct ended *e = malloc(sizeof(*e) + key.n);
	if (!e)
		abort();
	e->over_ms = t->stopped_at.ms + KEPT_MS;
	e->n = key.n;
	memcpy(e->key, key.p, key.n);
	free(map_put(&d->ended, id, e));
	wake(d, e->over_ms, 0);
}

void ended_forget(struct crew *d, struct str id)
{
	free(map_remove(&d->ended, id));
}

struct str ended_key(const struct crew *d, struct str id)
{
	const struct ended *e = map_get(&d->ended, id);
	return e ? str_of(e->key, e->n) : STR_NONE;
}

void ended_clear(struct crew *d)
{
	size_t at = 0;
	struct str id;
	void *value;
	loop_remove_timer(d->cloud->loop, d->ended_timer);
	while (map_next(&d->ended, &at, &id, &value))
		free(value);
	map_done(&d->ended);
}

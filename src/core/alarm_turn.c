#include "core/alarm_turn.h"

#include "base/clock.h"
#include "core/cloud.h"

#include <errno.h>
#include <stdlib.h>

struct run {
	struct alarm_turn act;
	struct arena arena;
	alarm_decide_fn *decide;
	const char *unwritten;
	alarm_ran_fn *ran;
	void *ctx;
};

static void once(struct run *run);

static void committed(void *ctx, int result, uint64_t revision)
{
	struct run *run = ctx;
	(void)revision;
	if (result == -EAGAIN) {
		once(run);
		return;
	}
	if (result < 0)
		run->act.error = str_from(run->unwritten);
	run->ran(run->ctx, run->act.error, run->act.what);
	arena_done(&run->arena);
	free(run);
}

static void once(struct run *run)
{
	struct alarm_turn *a = &run->act;
	arena_reset(&run->arena);
	a->error = a->what = STR_NONE;
	a->txn = store_begin(a->cloud->store, &run->arena);
	a->now_ms = clock_wall_ms();
	run->decide(a);
	store_commit(a->txn, committed, run);
}

void alarm_turn_begin(struct cloud *cloud, const struct alarm_event *e, alarm_decide_fn *decide, const char *unwritten,
                      alarm_ran_fn *ran, void *ctx)
{
	struct run *run = calloc(1, sizeof(*run));
	if (!run)
		abort();
	*run = (struct run){.act = {.event = e, .cloud = cloud, .arena = &run->arena},
	                    .decide = decide,
	                    .unwritten = unwritten,
	                    .ran = ran,
	                    .ctx = ctx};
	once(run);
}

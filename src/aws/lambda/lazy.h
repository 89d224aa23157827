/* A timer that is moved at nearly every request and hardly ever fires: to move it away costs an assignment. It fires at the time
 * that it was armed with, finds a later one and waits on. Zeroed is idle. Belongs to an environment; its owner stops it before he
 * goes. */
#pragma once
#include "io/loop.h"

struct lazy_timer {
	struct loop_timer *timer;
	int64_t armed_us, due_us; /* due_us: 0: it is not wanted */
};

/* To fire delay_us from now; 0: not at all. */
void lazy_set(struct lazy_timer *t, struct loop *l, int64_t delay_us, loop_fn *fn, void *ctx);
/* First thing in fn: was it meant? Else it waits on, with the same fn and ctx. */
bool lazy_is_due(struct lazy_timer *t, struct loop *l, loop_fn *fn, void *ctx);
void lazy_stop(struct lazy_timer *t, struct loop *l);

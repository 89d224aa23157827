/* A turn of a simulated cloud's loop. Real time passes only while a thread has something of the cloud's: a commit, a job. All else
 * goes by the clock that the test moves. */
#pragma once
#include "core/cloud.h"
#include "io/work.h"
#include "store/store.h"

static inline void cloud_turn(struct cloud *c)
{
	loop_turn(c->loop, store_pending(c->store) || work_pending(c->work) ? 10000 : 0);
}

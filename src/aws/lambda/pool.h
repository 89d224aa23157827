/* Execution environments of a version, and the choice among them: the one used last first, so that the others can be recycled. */
#pragma once
#include "aws/lambda/invocation.h"

struct environment;

struct pools *pools_new(struct lambda *l);
void pools_free(struct pools *p);

struct pool *pool_new(struct lambda *l);
struct pool *pool_ref(struct pool *p);
void pool_unref(struct pool *p);
struct lambda *pool_lambda(const struct pool *p);
/* Its version is gone or has changed: idle environments end now, busy ones when they are done. */
void pool_retire(struct pool *p);

/* Runs inv in an idle environment, in one that is about to be idle, or in a new one. */
void pool_run(struct pool *p, struct invocation *inv);
/* Would it need no new one now? */
bool pool_is_warm(struct pool *p);
/* Its provisioned concurrency (provision.h); lives as long as the pool. */
struct provision *pool_provision(struct pool *p);
/* It wants some, or none any more. Those that idle and are more than wanted end. */
void pool_note_provision(struct pool *p, bool wants);
void pool_end_surplus(struct pool *p);

struct cell;
/* For lambda_enter(): the cell of some environment that runs, thawed for good; NULL: none. */
struct cell *pool_enter(struct pool *p);

/* Processor time of all its environments, of those too that are gone. */
int64_t pool_cpu_us(struct pool *p);

/* --- for environments */
void pool_add(struct pool *p, struct environment *e);
void pool_set_idle(struct pool *p, struct environment *e, bool idle);
void pool_set_starting(struct pool *p, struct environment *e, bool starting);
void pool_remove(struct pool *p, struct environment *e);
/* One that has nothing to do is to end: its version is gone, or it is one provisioned too many. */
bool pool_lets_go(const struct pool *p, const struct environment *e);
/* No cell could be had: ends the environment that has idled longest, anywhere. One with extensions goes in a moment
 * (POOLS_EVICTING: then ask again), however long it would like to. */
enum pools_evicted { POOLS_BUSY, POOLS_EVICTED, POOLS_EVICTING };
enum pools_evicted pools_evict_idle(struct pools *p);
/* An environment that takes no invocation any more but is not gone yet, because its extensions have their last seconds. */
void pools_add_leaving(struct pools *p, struct environment *e);
/* Ends all of those now. */
void pools_end_leaving(struct pools *p);
struct pools_stats {
	unsigned environments, idle, busy;
	unsigned starting; /* of the busy ones, those whose runtime is not there yet */
};
void pools_stats(const struct pools *p, struct pools_stats *ret);

/* Provisioned concurrency of one version: environments that are initialised ahead and kept for the calls that name it by one
 * qualifier (its number, or an alias). A pool owns one of these; the directory says how many are wanted, and environments tell when
 * they are ready and when they are gone. Loop thread alone. Private to aws/lambda. */
#pragma once
#include "aws/lambda/pool.h"
#include "base/list.h"

struct provision {
	struct list link; /* of those that want some; pools.c */
	struct pool *pool;
	struct fn_version *version; /* a reference; NULL: none is wanted */
	char qualifier[130];
	int64_t requested_ms;        /* when that was asked for: what has failed is tried anew with another one */
	int64_t wanted, kept, ready; /* kept: ready and coming ones */
	int64_t busy, peak;          /* invocations that have one; the most of them since the last metric */
	unsigned failures;           /* initialisations in a row that ended in error */
	bool failed;
	struct loop_timer *timer;
};
void provision_init(struct provision *p, struct pool *pool);
/* wanted 0: none, and those that idle end. */
void provision_set(struct provision *p, struct fn_version *v, struct str qualifier, int64_t wanted, int64_t requested_ms);

/* Is a call by this qualifier served by these? Is one free for it? Takes it; gives it back. */
bool provision_is_for(const struct provision *p, struct str qualifier);
bool provision_has_room(const struct provision *p, struct str qualifier);
bool provision_take(struct provision *p, struct str qualifier);
void provision_give(struct provision *p);

/* --- for environments */
void provision_is_ready(struct provision *p);
void provision_is_gone(struct provision *p, bool was_ready);
void provision_init_failed(struct provision *p);
/* There are more than wanted: one that idles may end. */
bool provision_lets_go(const struct provision *p);

/* Metrics of the minute that is over. */
void provision_publish(struct provision *p);

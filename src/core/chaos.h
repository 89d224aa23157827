/* Faults that somebody has asked for, each for a time (`quartet chaos`). This is the list of those that are in force; who causes
 * them looks here: the gate for throttling, aws/ec2 for zones.
 *
 * It lives in memory alone, so an end of the role ends them all; what has been told to a process that outlives the role (net, for
 * the links of a zone) carries its own end. Times are of the monotonic clock. All of it runs on the loop. */
#pragma once
#include "base/str.h"
#include "io/loop.h"

enum chaos_kind { CHAOS_ZONE_DOWN, CHAOS_SLOW, CHAOS_LOSSY, CHAOS_THROTTLE, CHAOS_KINDS };
enum { CHAOS_FAULTS_MAX = 32, CHAOS_TARGET_MAX = 64, CHAOS_DURATION_MAX_S = 24 * 3600 };

struct chaos_fault {
	unsigned number; /* > 0; never given twice */
	enum chaos_kind kind;
	char target[CHAOS_TARGET_MAX]; /* a zone, or an API's id; "all": each */
	unsigned amount;               /* SLOW: milliseconds; LOSSY, THROTTLE: percent */
	int64_t until_us;
};

struct chaos;
struct chaos *chaos_new(struct loop *l);
void chaos_free(struct chaos *c); /* NULL is harmless; nobody is told any more */

/* Its number; 0: there are as many as may be. The longest target is CHAOS_TARGET_MAX - 1 bytes. */
unsigned chaos_begin(struct chaos *c, enum chaos_kind kind, struct str target, unsigned amount, int64_t duration_us);
/* Ends one before its time, or with 0 all. How many there were. */
unsigned chaos_end(struct chaos *c, unsigned number);
/* Those in force, in the order of their numbers, from the one after `number` on; NULL: no more. Valid until the next change. */
const struct chaos_fault *chaos_after(const struct chaos *c, unsigned number);
/* The strongest of a kind that hits this target. NULL: none does; c NULL: there is no chaos. */
const struct chaos_fault *chaos_find(const struct chaos *c, enum chaos_kind kind, struct str target);

/* fn(ctx) comes when one has begun or ended. One listener; NULL: none any more. */
void chaos_listen(struct chaos *c, loop_fn *fn, void *ctx);

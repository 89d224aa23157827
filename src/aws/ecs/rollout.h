/* What a service's scheduler does next: a pure decision over counts, so that a simulation can try every case.
 *
 * The primary deployment is to reach the desired count, the others none. Tasks that are being stopped do not count any more. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct rollout_count {
	int64_t pending;   /* not RUNNING yet */
	int64_t settling;  /* RUNNING, and not yet known to be healthy */
	int64_t healthy;   /* RUNNING and healthy, or without a check and RUNNING for long enough */
	int64_t unhealthy; /* RUNNING, and its checks fail */
};
struct rollout_view {
	int64_t desired;
	int64_t minimum_percent, maximum_percent;
	struct rollout_count primary, others; /* all other deployments together */
};
struct rollout_step {
	int64_t start;                           /* tasks of the primary deployment */
	struct rollout_count stop, stop_primary; /* how many of which, of the others and of the primary */
	bool stuck;                              /* the percentages leave no room for anything that is still to be done */
	bool complete;                           /* the primary has its count, none of them unhealthy, and nothing else is there */
};
struct rollout_step rollout_next(const struct rollout_view *v);

/* How many tasks may fail before a deployment's circuit breaker opens: so many, or so many percent of the desired count; bounded:
 * between 3 and 200. */
enum rollout_threshold { ROLLOUT_BOUNDED_PERCENT, ROLLOUT_UNBOUNDED_PERCENT, ROLLOUT_COUNT };
int64_t rollout_breaker_threshold(enum rollout_threshold type, int64_t value, int64_t desired);
/* How long the next start waits after so many failed ones in a row: nothing for a few, then twice as long each time, up to 15
 * minutes. */
int64_t rollout_backoff_ms(int64_t failed_in_a_row);

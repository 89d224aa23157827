/* A load on one deployment: when each request is due, and how long each took from then on. Requests do not wait for each other, as
 * those of different people do not: whoever is answered late because the one before was slow has waited all the same. */
#pragma once
#include "base/arena.h"

#include <stdatomic.h>

enum { LOAD_REQUESTS_MAX = 1000000, LOAD_CALLERS = 64 };

struct load_plan {
	uint32_t *due_ms; /* of each request, from the beginning, in order */
	uint32_t n;
	int64_t for_ms;
	struct str text; /* as it was asked for */
};

/* "steady:50rps", "spiky:5rps-100rps/20s" (the second rate for the first fifth of each period), "cron:30s" (one at a time), or the
 * path of a file with lines "SECOND RATE" (requests per second from that second on). False: *ret_why says what is wrong. Lives in
 * the arena. */
bool load_parse(struct arena *a, struct str text, int64_t for_ms, struct load_plan *ret, struct str *ret_why);

enum { LOAD_SILENT = 1 /* no answer at all, or not in time */ };

/* One caller's state, made and used by its own thread. */
struct load_target {
	void *(*open)(void *ctx);
	unsigned (*ask)(void *caller); /* one request, to its end; 0: it was answered well, else LOAD_SILENT or HTTP's status */
	void (*close)(void *caller);
	void *ctx;
	const atomic_bool *cancel; /* set by somebody else: what is not yet due is not asked any more, and counts as failed */
};

struct load_result {
	int32_t *took_us; /* of each request, from when it was due; -1: it failed */
	uint16_t *why;    /* of each: see ask() */
	uint32_t n, failed;
	int64_t for_ms; /* until the last one had ended */
};
/* Carries the plan out; blocks until all have ended. progress(ctx, done) is called about ten times a second; NULL: nobody looks.
 * 0, or -EAGAIN: no thread could be made. */
typedef void load_progress_fn(void *ctx, uint32_t done);
int load_run(struct arena *a, const struct load_plan *plan, const struct load_target *target, load_progress_fn *progress, void *ctx,
             struct load_result *ret);
/* "12 x 429, 3 without an answer": why requests failed, the most frequent first; absent: none did. */
struct str load_failures(struct arena *a, const struct load_result *r);
/* Of those that did not fail; -1: none. p from 0 to 100. */
int32_t load_percentile(struct arena *a, const struct load_result *r, double p);

/* What deployments of all policies share: their steps, and how members are looked at. Private to rollout.c and immutable.c, and to
 * whoever aborts them. */
#pragma once
#include "environment.h"

#define ROLLOUT_COMMAND "aws:elasticbeanstalk:command"
enum { ROLLOUT_POLL_MS = 500 };

enum {
	BEGIN = 0,
	/* of what the parts of the environment are told; ONLY: nothing else has to be done */
	ONLY = CHANGE_STEPS,
	ONLY_SETTLE,
	FILL = ROLLOUT_CREATED,
	START,
	RENEW, /* instances are to be others: what they are launched by */
	/* in place: an additional batch, batches, what becomes of each */
	GROW,
	GROWN,
	PICK,
	OUT,
	DRAIN,
	WORK,
	JOIN,
	ARRIVE,
	SHRINK,
	SHRUNK,
	END,
	ROLLOUT_UNDO, /* an operation with new instances is aborted */
	SETTLE = ROLLOUT_CREATED + 50,
	REPLACE = ROLLOUT_CREATED + 70,          /* immutable.c's own, from here on */
	ROLLOUT_REPLACE = ROLLOUT_CREATED + 100, /* batches.c's */
};

bool rollout_policy_is(const struct environment_record *r, const char *policy);
/* By instances that take the place of those that are there? */
bool rollout_replaces(const struct environment_record *r);
bool rollout_is_done(const struct state_elasticbeanstalk_member *m);
/* Shall it run what is being deployed? How many shall? */
bool rollout_takes_part(const struct environment_record *r, const struct state_elasticbeanstalk_member *m);
uint32_t rollout_taking_part(const struct environment_record *r);
struct next rollout_pause(int64_t ms);
/* As the balancer sees it. Absent: it is not registered. */
struct str rollout_target_state(const struct answer *a, struct str instance);
/* All of one phase have another one now. */
void rollout_move(struct environment_record *r, int64_t from, int64_t to);
uint32_t rollout_in_phase(const struct environment_record *r, int64_t phase);

/* --- immutable.c: Immutable and TrafficSplitting */
struct health_samples;
struct next immutable_begin(const struct scope *s, struct environment_record *r);
/* The next step when those that take part have done it, and when they serve as they should. */
int64_t immutable_worked(const struct environment_record *r);
struct next immutable_arrived(const struct scope *s, struct environment_record *r);
struct next immutable_step(const struct scope *s, struct environment_record *r, const struct answer *a,
                           const struct health_samples *samples);
/* After a failure: what was made for it goes. True: *ret is next. */
bool immutable_tidy(struct environment_record *r, const struct answer *a, struct next *ret);

/* --- batches.c: other instances in batches. Does the change under way go so? */
bool batches_rolls(const struct environment_record *r);
struct next batches_begin(const struct scope *s, struct environment_record *r);
struct next batches_arrived(struct environment_record *r);
struct next batches_step(const struct scope *s, struct environment_record *r, const struct answer *a);

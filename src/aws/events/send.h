/* One try of one delivery: makes what the target gets, becomes who may give it, and gives it. Private to aws/events. */
#pragma once
#include "rows.h"

struct sqs_message_body_attribute_map;

enum send_outcome {
	SEND_DONE,
	SEND_LATER,   /* throttled, or our fault: it may be otherwise the next time */
	SEND_REFUSED, /* it will not be otherwise */
	SEND_NOT_YET, /* nothing was tried: its turn comes at slot_ms */
};
struct send_result {
	enum send_outcome outcome;
	const char *code; /* as dead letters have it */
	struct str message;
};
/* The maker's, with an arena of its own; it must live until done(), which comes once, perhaps from inside of the call. */
struct sending {
	struct cloud *cloud;
	struct events_roles *roles;
	struct arena *arena;
	struct str account, region; /* of the rule or schedule */
	const struct state_events_delivery_record *row;
	void (*done)(void *ctx, const struct send_result *r);
	void *ctx;
	struct str payload;
	const struct sqs_message_body_attribute_map *attributes; /* of a dead letter */
	const struct principal *as;
	int64_t slot_ms; /* when its turn is, of targets with a rate; 0: it has none yet */
	int64_t wait_ms; /* SEND_LATER: at least so long, as the target wants it */
};
void send_to_target(struct sending *s);
/* The event itself to the dead-letter queue, with why it comes. exhausted NULL: it was refused. */
void send_to_queue_of_dead(struct sending *s, const struct send_result *why, const char *exhausted);

/* For send_*.c */
void send_end(struct sending *s, enum send_outcome outcome, const char *code, struct str message);
void send_answered(void *ctx, struct call *sub); /* call_done_fn; ctx: the sending */
/* The parts of an ARN, and what is behind the fifth colon. */
struct arn_parts {
	struct str service, region, account, rest;
};
struct arn_parts send_arn(struct str arn);
void send_task(struct sending *s);
void send_event(struct sending *s); /* to another bus */
void send_api(struct sending *s);   /* to an API destination */
void send_to_archive(struct sending *s);

/* role.c: principals of roles that were assumed; their sessions are kept while they are good */
struct events_roles *events_roles_new(struct cloud *cloud);
void events_roles_free(struct events_roles *r);
/* NULL: the role cannot be assumed by this service ("events.amazonaws.com"). Valid during the call. */
typedef void role_fn(void *ctx, const struct principal *as);
void events_roles_get(struct events_roles *r, struct str region, struct str role, struct str service, role_fn *fn, void *ctx);

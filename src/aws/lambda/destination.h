/* Where the results of events go: to another function, a queue, a topic, an event bus or a bucket, as the invocation record that
 * AWS makes, or to a dead letter queue or topic, as the event itself. Called by async.c, which keeps the record durable until it
 * has arrived.
 */
#pragma once
#include "aws/lambda/invocation.h"

/* A destination that a client names: CALL_FAIL with the error set unless results can go there. what: the setting's name. */
int destination_check(struct call *c, const char *what, struct str arn);
/* The same for a dead letter queue. */
int destination_check_letters(struct call *c, struct str arn);

/* The destination for an event that succeeded or failed; absent: none. */
struct str destination_of(const struct lambda_function_event_invoke_config *config, bool success);
/* The invocation record, in a. o: how the last try ended; NULL: there was none, or it does not count. */
struct str destination_record(struct arena *a, const struct state_lambda_event_record *row, struct str account, struct str region,
                              const struct fn_version *version, const char *condition, const struct outcome *o);

enum destination_result {
	DESTINATION_TOLD,
	DESTINATION_REFUSED, /* it will not be otherwise: the role may not, the destination is not there */
	DESTINATION_LATER,   /* throttled, or our fault */
};
/* The row that sends an event to the function's dead letter queue; false: it has none. o: how the last try ended, NULL: there was
 * none. */
bool destination_dead_letter(struct arena *a, const struct state_lambda_event_record *row, const struct fn_version *version,
                             const struct outcome *o, struct state_lambda_event_record *ret);
/* Sends row->payload to row->destination as row->role, of a function in this account and region; done() comes once, later. The row
 * must live until then. */
typedef void destination_fn(void *ctx, enum destination_result result);
void destination_deliver(struct lambda *l, struct str account, struct str region, const struct state_lambda_event_record *row,
                         destination_fn *done, void *ctx);

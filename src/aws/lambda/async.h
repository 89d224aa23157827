/* Asynchronous invocations: events that were accepted, kept in the store until the function has taken them or they are given up.
 *
 * The record of an event is written in the call's own transaction, so a reply of 202 means that it is on disk; it is deleted when
 * the event has succeeded or failed for good. A watch of the store (and a scan at the start) tells what is due, so a restart goes
 * on where the last process was, with the same request ids. */
#pragma once
#include "aws/lambda/invocation.h"

struct async_queue *async_open(struct lambda *l);
void async_close(struct async_queue *q);
/* Writes the event within the call's transaction. */
void async_accept(struct call *c, const struct lambda_name *n, struct str payload, struct str client_context, struct str trace_id);

/* When to try again: after a function error, attempts already made (1..); after a throttle, throttles already met (1..). */
int64_t async_retry_delay_ms(int64_t attempts);
int64_t async_throttle_delay_ms(int64_t throttles);

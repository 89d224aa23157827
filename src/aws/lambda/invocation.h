/* One invocation of a function on its way: made by invoke.c or async.c, run by an environment, ended exactly once through done().
 */
#pragma once
#include "aws/lambda/directory.h"

enum { LAMBDA_RESPONSE_BYTES = 6 * 1024 * 1024 + 100, LAMBDA_REQUEST_BYTES = 6 * 1024 * 1024, LAMBDA_EVENT_BYTES = 1024 * 1024 };
enum { LAMBDA_TAIL_BYTES = 4096 };

/* How it ended. Strs live during done() alone. */
struct outcome {
	const char *code; /* the service's error, or NULL when the function ran */
	unsigned status;
	struct str message;
	const char *reason; /* of a TooManyRequestsException */
	struct str payload; /* what the function answered, or its error body */
	bool function_error;
	struct str log_tail; /* the last 4 KiB of its log, when asked for */
};

struct invocation {
	struct lambda *lambda;
	struct arena arena;         /* holds the strs below; done with after done() */
	struct fn *fn;              /* counted in fn->running */
	struct fn_version *version; /* a reference */
	char request_id[37];
	struct str arn; /* as it was invoked */
	struct str payload, client_context, trace_id;
	bool tail;
	struct publish_place *place; /* where it is counted while it runs */
	bool provisioned;            /* it has one of the environments that are kept ahead for its qualifier */
	bool spilled;                /* it should have had one */
	void (*done)(void *ctx, struct invocation *inv, const struct outcome *o); /* NULL: it was called */
	/* Streamed responses; NULL: gathered. begin comes before the first piece; piece returns false when the reader is behind:
	 * then invocation_drained() says go on. done() ends it. */
	void (*stream_begin)(void *ctx, struct str content_type);
	bool (*stream_piece)(void *ctx, struct str piece);
	void *ctx;
	struct environment *environment; /* that runs it; NULL: none yet */
	bool streaming;
	unsigned lost_starts; /* environments that were lost before the function saw the event */
};

/* --- payload.c: what clients send. CALL_FAIL with the error set. */
/* JSON, within the limit of the type of invocation; nothing is {}. */
int payload_check(struct call *c, struct str *payload, size_t limit, const char *type);
/* Base64 of a JSON object -> that object on one line; absent: none was given. */
int payload_client_context(struct call *c, struct str given, struct str *ret);

/* The caller's trace, or a new one that is not sampled; in the call's arena. */
struct str invocation_trace(struct call *c);
struct str invocation_trace_new(struct arena *a, int64_t now_ms);
/* For an invocation that a call waits for: that trace with this pass in it. CALL_FAIL: it is one of a loop (recursion.h). */
int invocation_trace_enter(struct call *c, const struct fn *fn, struct str qualifier, struct str *ret);

/* An invocation of fn's version, called by that qualifier (absent: none), counted against the limits; its arena is ready to be
 * filled. */
struct invocation *invocation_new(struct lambda *l, struct fn *fn, struct fn_version *version, struct str qualifier);
/* May one more run now? Else the throttle's Reason. */
const char *invocation_throttled(const struct fn *fn, struct fn_version *version, struct str qualifier);
/* Starts it; done() may come from inside the call. */
void invocation_start(struct invocation *inv);
/* Calls done() now: the invocation itself goes on until invocation_end(), which calls it no more. */
void invocation_answer(struct invocation *inv, const struct outcome *o);
/* Ends it: calls done(), gives back counts and memory. */
void invocation_end(struct invocation *inv, const struct outcome *o);
/* The reader of a stream has caught up. */
void invocation_drained(struct invocation *inv);
/* {"errorType":..., "errorMessage":"RequestId: <id> Error: <what>"} in inv's arena. */
struct str invocation_error_body(struct invocation *inv, const char *type, const char *what);

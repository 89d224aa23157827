/* A call with what only the gate's own files see of it: gate.c walks the steps, call.c is the face that handlers use, identify.c
 * and authenticate.c are the first steps, reply.c the last; gate_count.c counts them. */
#pragma once
#include "base/buf.h"
#include "base/list.h"
#include "core/gate.h"
#include "core/sigv4.h"
#include "http/http.h"
#include "wire/wire.h"

enum gate_step {
	STEP_IDENTIFY,
	STEP_KEY,
	STEP_RECEIVE,
	STEP_VERIFY,
	STEP_DECODE,
	STEP_AUTHORIZE,
	STEP_HANDLE,
	STEP_COMMIT,
	STEP_ENCODE,
	STEP_SENT
};
/* What a step returns: on to the next one; wait for gate_go(); or straight to ENCODE, with the call's error set or not. */
enum gate_next { GATE_NEXT, GATE_WAIT, GATE_REPLY };

enum { HOOKS_MAX = 8 };
struct gate_hooks {
	void (*fn[HOOKS_MAX])(struct call *);
	unsigned n;
};

struct gate_call {
	struct call call; /* first: a call is a gate_call */
	struct gate *gate;
	struct list link; /* gate->calls */
	enum gate_step step;
	bool running, again; /* inside gate_go(); gate_go() was asked for meanwhile */
	unsigned busy;       /* inside code that uses this call after a callback: gate_go() waits */
	bool from_cell;
	bool refused; /* it came by an endpoint of a VPC that lets nobody in from there */
	bool gone;    /* the client left while a commit was under way */
	bool sent;    /* the reply has been handed over */
	const struct api *api;
	struct wire_request wire;  /* the request as the codecs see it */
	struct str compressed;     /* the body as it came and was signed, where wire.body is what was in it; absent: that is it */
	struct wire_target target; /* operation and labels */
	bool named_in_body;        /* an unsigned form: `api` is a guess until the body is there */
	call_resume_fn *taken;     /* a service's intercept() took the call */
	bool taken_checked;        /* and wants its signature to be checked */
	struct sigv4_request signed_request;
	struct sigv4 signature;
	struct credential credential;
	struct http_header *reply_headers;
	unsigned reply_header_count, reply_header_cap;
	unsigned reply_status, sent_status; /* asked for; what it became */
	uint64_t sent_bytes;
	struct store_txn *txn;
	call_resume_fn *resume;
	call_gone_fn *gone_fn;
	bool waiting;                    /* a handler said CALL_WAIT */
	void *state_before;              /* call.state as of the start of this step: restored when the step runs again */
	unsigned races;                  /* how often another commit got in between */
	struct list racer;               /* gate->racers */
	bool race_waits;                 /* for its turn among them */
	int64_t started_us, received_us; /* received: the body had come in whole; 0: there was none */
	struct gate_hooks after_commit, on_free;
	bool events_begun;      /* the reply is an event stream whose first frame has been written */
	struct arena own_arena; /* internal calls */
	call_done_fn *done;     /* internal calls */
	void *done_ctx;
};

/* What one operation's calls came to. */
struct op_counter {
	uint64_t ok, client_errors, server_errors, total_us;
};

/* The gate itself; gate.c makes it and has it. */
struct gate {
	struct cloud *cloud;
	struct gate_config config;
	struct list calls;
	size_t under_way;
	struct list racers; /* gate_race.c */
	struct loop_timer *race_timer;
	struct audit *audit;
	struct buf scratch;
	unsigned api_count;
	const struct service **services; /* by position in model_apis */
	struct op_counter **counters;    /* the same; an API's array is made at its first call */
	const struct service_op ***rows; /* the same: a service's rows by operation of its API */
};

static inline struct gate_call *gate_call_of(struct call *c)
{
	return (struct gate_call *)(void *)c;
}

/* Goes on with a waiting call. */
void gate_go(struct gate_call *g);

enum gate_next gate_identify(struct gate_call *g);      /* identify.c */
enum gate_next gate_identify_body(struct gate_call *g); /* the rest, once the body is there */
enum gate_next gate_find_key(struct gate_call *g);      /* authenticate.c */
enum gate_next gate_verify(struct gate_call *g);
enum gate_next gate_refuse_signature(struct gate_call *g, enum sigv4_fault fault);
void gate_encode(struct gate_call *g); /* reply.c: spells the reply, sends it and ends the call */
void gate_call_free(struct gate_call *g);
/* The row of an operation in its service's table; NULL: the operation is not real. */
const struct service_op *gate_row(const struct gate *g, const struct api *api, const struct operation *op);
/* The code for an operation or a service that is not real, as a protocol's services would call it. */
/* Is this call one of those that are throttled (gate_throttle.c)? The error is set. */
bool gate_throttles(struct gate_call *g);
const char *gate_unsupported(enum protocol p);
/* Does the body pass to a handler as it comes? Else it is received whole first: where there is nobody to take it, and what is
 * signed is the body itself, it has to be there for the signature to be checked. */
bool gate_streams_in(const struct gate_call *g);
unsigned gate_api_position(const struct api *api); /* in model_apis */
void gate_count(struct gate_call *g);              /* the call has ended */
struct buf *gate_scratch(struct gate *g);          /* for one reply's body at a time */
/* gate_race.c: the call's commit came too late, and it is to be handled again. False: later, by gate_go(), when it is its turn. */
bool gate_race_lost(struct gate_call *g);
/* It has won, or does not try any more. */
void gate_race_over(struct gate_call *g);
/* inflate.c: takes a body that came compressed out of its wrapping. False: the error is set. */
bool gate_inflate(struct gate_call *g);
/* digest.c: are the digests that the client sent with a whole body right? False: the error is set. */
bool gate_check_digests(struct gate_call *g);
/* body.c: the streamed body of this request, verified by the call's signature as it passes. */
struct body *gate_body_new(struct gate_call *g);
/* The body of a call of our own: these bytes, which live as long as it. */
struct body *gate_body_of_bytes(struct gate_call *g, struct str bytes);

/* One record a call of what was asked and decided; kept in a ring (audit.c). */
struct audit;
struct audit *audit_new(void);
void audit_free(struct audit *a);
void audit_add(struct audit *a, const struct call *c, const struct principal *who, const struct authz *az,
               const struct authz_decision *d);
struct str audit_why(const struct audit *a, struct arena *arena, struct str request_id);
struct audit *gate_audit(struct gate *g);
bool gate_trusts_well_known(const struct gate *g);

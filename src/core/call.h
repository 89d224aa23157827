/* One call of one operation, from whoever makes it: a client over HTTP, or one of our own services.
 *
 * The gate (gate.h) makes a call, walks it through its steps and frees it when the reply is sent. A service sees it in its
 *handlers:
 *
 *	int logs_create_log_group(struct call *c, const struct logs_create_log_group_request *in, struct model_none *out)
 *
 * A handler checks what the model cannot, loads through the call's transaction, decides, writes the new desired state into it,
 *fills `out` from the call's arena and returns CALL_OK; the reply goes out once the writes are durable. Handlers may be run again
 *when a concurrent commit got in between, so they have no effect outside the transaction: what must follow a successful commit is
 * registered with call_after_commit(). Everything runs on the loop's thread. */
#pragma once
#include "base/arena.h"
#include "core/body.h"
#include "core/identity.h"
#include "model/model.h"
#include "store/store.h"

struct cloud;
struct service;
struct service_op;
struct http_request;
struct call;

enum call_step {
	CALL_OK,   /* commit what was written and answer with `out` */
	CALL_FAIL, /* answer with the error that call_fail() set; nothing is written */
	CALL_WAIT, /* call_wait() said who goes on later */
};

struct call_error {
	struct str code; /* absent: none */
	struct str message;
	unsigned status;           /* HTTP; 0: as the model says for this code, else 400 */
	bool receiver;             /* our fault, not the sender's */
	struct str_map fields;     /* further elements: S3's <Key>, Lambda's Reason */
	const struct shape *shape; /* a modelled exception with members of its own, filled in `value`; or NULL */
	void *value;
};

/* How the payload of an operation with a streaming output (or an event stream) is given. */
enum reply_kind { REPLY_PLAIN, REPLY_MEMORY, REPLY_FILE, REPLY_STREAM };
struct reply_body {
	enum reply_kind kind;
	struct str memory; /* REPLY_MEMORY: lies in the call's arena */
	int fd;            /* REPLY_FILE: the gate owns it from now on */
	uint64_t offset, length;
	int64_t stream_length;                  /* REPLY_STREAM: -1 when unknown */
	void (*stream_start)(struct call *c);   /* the head has been sent: call_write() away */
	void (*stream_drained)(struct call *c); /* after call_write() said false */
};

/* A VPC endpoint that a call came through. Its policy has the last word after all others have allowed. */
struct call_endpoint {
	struct str id, vpc; /* "vpce-...", "vpc-..." */
	struct str source;  /* the caller's address in there */
	struct str policy;  /* JSON */
	const char *api;    /* the one that can be called through it: "s3" */
};

struct call {
	struct arena *arena; /* lives until the call is freed */
	struct cloud *cloud;
	const struct service *service;
	const struct service_op *row; /* NULL: the operation is not real */
	const struct operation *op;
	enum protocol protocol;
	struct str request_id;      /* UUID */
	struct str region, account; /* whose resources this call is about: the credential scope's region, the caller's account */
	const struct principal *caller;
	int64_t now_ms; /* wall clock as of the start of the call */
	const void *in;
	void *out;
	struct call_error error;
	struct body *body;                    /* streaming input */
	struct reply_body reply;              /* streaming output */
	struct http_request *http;            /* NULL: called by one of our own services */
	struct str trace;                     /* what such a call has for X-Amzn-Trace-Id; absent: none */
	const struct call_endpoint *endpoint; /* NULL: it came through none */
	void *state;                          /* the service's own, across waits */
};

/* The transaction of this step, begun at first use. Reads and writes of records go through it (record.h). */
struct store_txn *call_txn(struct call *c);

/* Sets the error and returns CALL_FAIL; forgets reply headers given so far (later ones go with the error). Codes are the model's
 * exception names or the service's errors; status 0 asks the model. */
__attribute__((format(printf, 4, 5))) int call_fail(struct call *c, const char *code, unsigned status, const char *fmt, ...);
/* Our own fault: logged under the request id, answered as InternalFailure in the service's words. `what` is not shown to the
 * client. */
__attribute__((format(printf, 2, 3))) int call_broken(struct call *c, const char *fmt, ...);
/* Adds an element to the error: call_field(c, "Key", key). Returns CALL_FAIL. */
int call_field(struct call *c, const char *name, struct str value);

/* Ends this step without an answer (its reads and writes are dropped); when call_resume() is called, `resume` runs as the next step
 * and may answer, fail or wait again. gone(c) is called instead when the client has left, and is the last that is heard of the
 * call: whoever holds c to resume it must let go of it there. */
typedef int call_resume_fn(struct call *c);
typedef void call_gone_fn(struct call *c);
int call_wait(struct call *c, call_resume_fn *resume, call_gone_fn *gone);
void call_resume(struct call *c);

/* Runs fn(c) after the writes are durable and before the reply is sent: waking a reconciler, dropping a file. */
void call_after_commit(struct call *c, void (*fn)(struct call *c));
/* Runs fn(c) when the call is freed, whatever its end: releasing what c->state holds. */
void call_on_free(struct call *c, void (*fn)(struct call *c));

/* --- streaming replies (REPLY_STREAM, after stream_start) */
bool call_write(struct call *c, struct str piece); /* false: 256 KiB wait; go on after stream_drained */
/* One event of the operation's event stream, by its member's name ("PayloadChunk"); value is that event's struct. As call_write().
 */
bool call_write_event(struct call *c, const char *event_type, const void *value);
/* The stream's modelled exception, as its last event: call_end() comes next. */
bool call_write_exception(struct call *c, const char *type, struct str message);
void call_end(struct call *c); /* complete; c is freed by the gate */
void call_cut(struct call *c); /* broken: the connection is cut; c is freed */

/* --- the request as the wire had it, for what no model says (S3's presigned overrides, user agents) */
struct str call_header(const struct call *c, struct str name); /* absent for internal calls */
struct str call_query(const struct call *c, struct str name);  /* decoded; absent when not given */
struct str call_path(const struct call *c);                    /* raw; absent for internal calls */
struct str call_source_ip(const struct call *c);
bool call_over_tls(const struct call *c);
/* From this machine itself, and from no sandbox or VPC on it. */
bool call_from_here(const struct call *c);
/* Adds a header to the reply: for the few that no model has (x-amz-id-2). */
void call_reply_header(struct call *c, struct str name, struct str value);
/* The reply's HTTP status in place of the model's (206 for ranges, 304). 0: the model's. */
void call_reply_status(struct call *c, unsigned status);

/* What a service that measures its requests asks in dress_reply(): the reply's status, how many bytes of payload came in (decoded;
 * 0: none) and go out, and when the call began and had come in whole. */
struct call_facts {
	unsigned status;
	uint64_t bytes_in, bytes_out;
	int64_t started_us, received_us; /* of the monotonic clock */
};
struct call_facts call_facts(const struct call *c);

/* For a service's intercept(): the call that it takes is received whole and its signature checked, as an operation's is. Who did
 * not sign it is anonymous. */
void call_check_signature(struct call *c);

/* --- permissions beyond the operation's own row */

/* May the caller do `action` on `resource` as well (iam:PassRole, s3:GetObject on a copy's source)? False: the error is set, return
 * CALL_FAIL. */
bool call_allowed(struct call *c, const char *action, struct str resource);
/* The same with everything spelled out (authz.h). */
struct authz;
bool call_authorize(struct call *c, struct authz *az);

/* --- calling another service's operation through the gate, from AUTHORIZE on, as `as` (a principal that outlives the call). `in`
 * is copied. done(ctx, sub) comes once, later, on the loop: sub->error.code set or sub->out filled; both live until it returns. */
typedef void call_done_fn(void *ctx, struct call *sub);
void call_op(struct cloud *cloud, const struct principal *as, struct str region, const struct api *api, const char *operation,
             const void *in, call_done_fn *done, void *ctx);
/* The same for what came to pass in a trace, which goes on (X-Amzn-Trace-Id; absent: none). */
void call_op_traced(struct cloud *cloud, const struct principal *as, struct str region, const struct api *api,
                    const char *operation, const void *in, struct str trace, call_done_fn *done, void *ctx);
/* The same for an operation with a streaming input: its body is a copy of these bytes. */
void call_op_body(struct cloud *cloud, const struct principal *as, struct str region, const struct api *api, const char *operation,
                  const void *in, struct str body, call_done_fn *done, void *ctx);
/* What a handler waits for in steps of its own (calls of other services, mostly): the first member of the caller's struct, which is
 * c->state until the operation ends and outlives it if its client leaves. The handler returns what call_wait_for() returns, and
 * runs again from its beginning after call_over(), perhaps to wait for the same errand once more. drop(), once, when nobody needs
 * it. */
struct call_errand {
	struct call *call; /* NULL: it is gone */
	bool over;
	void (*drop)(struct call_errand *e);
};
int call_wait_for(struct call *c, struct call_errand *e);
void call_over(struct call_errand *e);
/* Asks what another service says of a call of its own, in the middle of an operation: may this function be invoked, is there such a
 * group? The operation's handler runs again from its beginning then, and call_tried() has the answer. Once a call; its c->state is
 * taken by it. What it returns is the handler's to return. */
int call_try(struct call *c, const struct principal *as, struct str region, const struct api *api, const char *operation,
             const void *in);
/* False: nothing has been tried. *ret_code: of the error, "" where it went well; lives as long as the call. */
bool call_tried(const struct call *c, const char **ret_code);

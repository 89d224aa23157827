/* What a service is to the gate: an API, a table of its real operations, a beginning and an end. src/aws/<service>/service.c has
 * the table; src/aws/services.c lists the services. To add an operation: a row here, a handler in its noun's file, a test. */
#pragma once
#include "core/authz.h"
#include "core/call.h"
#include "core/cloud.h"

typedef int call_handler(struct call *c, const void *in, void *out);

enum service_op_flag {
	OP_OPEN = 1 << 0,      /* no permission is asked: sts:GetCallerIdentity */
	OP_ANONYMOUS = 1 << 1, /* unsigned requests may come this far; the resource policy decides */
	OP_READ = 1 << 2,      /* changes nothing */
};

struct service_op {
	const char *name; /* as the model spells it */
	call_handler *handle;
	const char *action; /* NULL: <iam prefix>:<name> */
	/* Says what the permission is about: fills az->resource and whatever else is known from the input. May look into the store
	 * (call_txn). Returns CALL_OK, or CALL_FAIL with an error for input that names no resource at all. NULL: resource "*". */
	int (*resource)(struct call *c, const void *in, struct authz *az);
	unsigned flags;
	const char *missing; /* partial: what AWS does and this does not; NULL: real */
};

/* A row with its handler's type checked against the generated one:  OP(logs, create_log_group, CreateLogGroup, .resource =
 * group_arn) */
#define OP(api, c_name, op_name, ...) \
	{ \
		.name = #op_name, .handle = (call_handler *)(void (*)(void))(1 ? api##_##c_name : (api##_##c_name##_handler *)0), \
		##__VA_ARGS__ \
	}

struct alarm_action_kind;

struct service {
	const struct api *api;
	const char *iam_prefix; /* "logs" in logs:PutLogEvents */
	const char *region;     /* of a global service: where it is, whatever region a request is signed for; NULL: there */
	const struct service_op *ops;
	unsigned op_count;
	/* The code by which its model refuses an operation that it does not support (with 400); NULL: it has none, and the
	 * protocol's usual one is answered with 501. */
	const char *unsupported;
	size_t body_limit_bytes; /* largest request that is not streamed; 0: 1 MiB */
	/* Before a first start, on a thread of its own: makes files that start() finds then, because bringing them to the disk one
	 * after the other would be most of its time. What does not succeed, start() tries again. NULL: nothing. */
	void (*prepare)(const char *data_dir, bool ephemeral);
	/* Before any service starts: brings records that an earlier version wrote up to date. May turn the loop. 0 or negative
	 * errno. NULL: nothing. */
	int (*upgrade)(struct cloud *cloud);
	/* Starts the service, without turning the loop: others may not have started. Restores what was recorded, then catches up. 0
	 * or negative errno. state: found again by cloud_state(). */
	int (*start)(struct cloud *cloud, void **ret_state);
	void (*stop)(void *state);
	/* Is there still something to be written before a stop? Asked again and again, for a second or two, once no client is left.
	 * NULL: never. */
	bool (*busy)(void *state);
	/* A look at a request before any operation is chosen: S3's CORS preflights and browser forms. Not NULL: that function
	 * handles the call in place of an operation's handler, without signature, input or permission checks of the gate's (c->op
	 * is NULL, c->body is the body, c->caller anonymous unless it asks for call_check_signature()); its reply is c->reply with
	 * call_reply_status() and call_reply_header() alone. */
	call_resume_fn *(*intercept)(struct call *c);
	/* Holds an input against its model's constraints and says in the service's own way what is wrong. NULL: the gate does, in
	 * the words that most services share. CALL_OK or CALL_FAIL. */
	int (*check)(struct call *c, const void *in);
	/* The path that a request to this host and path means: S3's virtual-host style puts the bucket in front. Absent: the host
	 * says nothing. */
	struct str (*address)(struct arena *a, struct str host, struct str path);
	/* Runs an operation's handler in the place of the gate: for what surrounds all handlers of a service (EC2's client tokens).
	 * As the handler, it may be run again. NULL: the handler is run as it is. */
	int (*around)(struct call *c, call_handler *handle);
	/* Is there something in an operation's input that this service refuses in words of its own, before its model is asked?
	 * False: the error is set. */
	bool (*check_first)(struct call *c, const void *in);
	/* Last touch on an error before it is spelled: S3 adds elements. */
	void (*dress_error)(struct call *c);
	/* Spells the error of a call that intercept() took, in place of the model's protocol: the reply and its status, as an
	 * intercepted call's handler does. NULL: the protocol does. */
	void (*spell_error)(struct call *c);
	/* Last touch on every reply to a client, errors too, before it is spelled: headers that do not depend on the operation. */
	void (*dress_reply)(struct call *c);
	/* Does a record of this service name this content file (store/blob.h)? Asked at start-up for every file; what no service
	 * wants is deleted. NULL: it keeps none. */
	bool (*wants_blob)(struct store_txn *t, struct arena *a, struct str id);
	/* What alarms can do through this service (core/alarm.h). */
	const struct alarm_action_kind *alarm_actions;
	unsigned alarm_action_count;
};

extern const struct service *const cloud_services[]; /* ends with NULL; src/aws/services.c */

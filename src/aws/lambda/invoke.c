/* The ways to call a function over the API: Invoke (waiting, as an event, or dry) and InvokeWithResponseStream.
 *
 * A waiting call touches no store: the directory has all it needs. The call waits while the invocation runs; when its client
 * leaves, the invocation goes on for itself, as it does on AWS. */
#include "aws/lambda/async.h"
#include "aws/lambda/publish.h"
#include "aws/lambda/recursion.h"
#include "aws/lambda/snapstart.h"

#include "base/base64.h"
#include "base/buf.h"
#include "base/rand.h"

#include <stdio.h>
#include <stdlib.h>

struct target {
	struct lambda_name name;
	struct fn *fn;
	struct fn_version *version;
};

static int find_target(struct call *c, struct str function, struct str qualifier, bool tail, struct target *ret)
{
	struct lambda_name n;
	if (lambda_name_parse(c, function, qualifier, &n) != CALL_OK)
		return CALL_FAIL;
	if (tail && !str_eq(n.account, c->account))
		return call_fail(c, "AccessDeniedException", 403, "Cross-account log access is not allowed");
	struct fn *fn = directory_find(lambda_of(c->cloud)->directory, n.account, n.region, n.name);
	struct fn_version *v = fn ? fn_choose_version(fn, n.qualifier) : NULL;
	if (!v) {
		if (!str_set(n.qualifier))
			n.qualifier = S(LAMBDA_LATEST);
		return lambda_no_function(c, &n);
	}
	if (str_eq(v->shown->state, S("Pending")) && snapstart_wanted(v->shown))
		return call_fail(
		        c, "SnapStartNotReadyException", 409,
		        "Lambda is initializing your function. It will be ready to invoke once your function state becomes ACTIVE.");
	if (!str_eq(v->shown->state, S("Active"))) {
		return call_fail(
		        c, "ResourceConflictException", 409,
		        "The operation cannot be performed at this time. The function is currently in the following state: %.*s",
		        STR_ARG(v->shown->state));
	}
	*ret = (struct target){n, fn, v};
	return CALL_OK;
}

struct str invocation_trace(struct call *c)
{
	struct str given = c->http ? call_header(c, S("x-amzn-trace-id")) : c->trace;
	if (str_set(given) && given.n < 500 && str_find(given, S("Root=")) >= 0)
		return given;
	return invocation_trace_new(c->arena, c->now_ms);
}

struct str invocation_trace_new(struct arena *a, int64_t now_ms)
{
	char id[33];
	unsigned char raw[16];
	rand_bytes(raw, sizeof(raw));
	for (int i = 0; i < 16; i++)
		snprintf(id + 2 * i, 3, "%02x", raw[i]);
	return arena_printf(a, "Root=1-%08llx-%.24s;Parent=%.16s;Sampled=0", (unsigned long long)(now_ms / 1000), id, id + 8);
}

int invocation_trace_enter(struct call *c, const struct fn *fn, struct str qualifier, struct str *ret)
{
	struct str trace = invocation_trace(c);
	if (!recursion_enter(c->arena, lambda_of(c->cloud), fn, qualifier, &trace))
		return call_fail(c, "RecursiveInvocationException", 400,
		                 "Lambda has detected that the function is invoked in a recursive loop, and stopped it.");
	*ret = trace;
	return CALL_OK;
}

/* --- a waiting call */

struct waiting {
	struct invocation *inv;
	struct call *call; /* NULL: the client has left */
	bool starting, done;
	struct outcome outcome;
	struct str trace_id;
	/* a stream */
	bool began, open;
	struct buf early;
};

static int throttled(struct call *c, const struct fn *fn, const char *reason)
{
	publish_throttle(lambda_of(c->cloud)->publish, fn);
	call_fail(c, "TooManyRequestsException", 429, "Rate Exceeded.");
	return call_field(c, "Reason", str_from(reason));
}

static struct invocation *new_invocation(struct call *c, const struct target *t, struct str payload, struct str client_context,
                                         struct str trace)
{
	struct invocation *inv = invocation_new(lambda_of(c->cloud), t->fn, t->version, t->name.qualifier);
	memcpy(inv->request_id, c->request_id.p, c->request_id.n < 36 ? c->request_id.n : 36);
	inv->arn = lambda_function_arn(&inv->arena, t->name.region, t->name.account, t->name.name, t->name.qualifier);
	inv->payload = arena_dup(&inv->arena, payload);
	inv->client_context = arena_dup(&inv->arena, client_context);
	inv->trace_id = arena_dup(&inv->arena, trace);
	return inv;
}

static int outcome_error(struct call *c, const struct outcome *o)
{
	call_fail(c, o->code, o->status, "%.*s", STR_ARG(o->message));
	if (o->reason)
		call_field(c, "Reason", str_from(o->reason));
	return CALL_FAIL;
}

/* The call whose wait is over; NULL: its client has left, and w is freed. */
static struct call *take_outcome(struct waiting *w, const struct outcome *o)
{
	struct call *c = w->call;
	w->done = true;
	w->inv = NULL;
	if (!c) {
		free(w);
		return NULL;
	}
	w->outcome = *o;
	w->outcome.payload = arena_dup(c->arena, o->payload);
	w->outcome.log_tail = arena_dup(c->arena, o->log_tail);
	w->outcome.message = arena_dup(c->arena, o->message);
	return c;
}

static void say_trace(struct call *c, struct str trace_id)
{
	call_reply_header(c, S("X-Amzn-Trace-Id"), trace_id);
}

static void waiting_gone(struct call *c)
{
	struct waiting *w = c->state;
	w->call = NULL;
}

static void waiting_free(struct call *c)
{
	struct waiting *w = c->state;
	w->call = NULL;
	buf_done(&w->early);
	if (w->done)
		free(w);
}

static int finish_invoke(struct call *c)
{
	struct waiting *w = c->state;
	struct lambda_invocation_response *out = c->out;
	const struct outcome *o = &w->outcome;
	if (o->code)
		return outcome_error(c, o);
	say_trace(c, w->trace_id);
	out->status_code = OPT_INT(200);
	out->payload = str_set(o->payload) ? o->payload : S("");
	if (o->function_error)
		out->function_error = S("Unhandled");
	if (str_set(o->log_tail))
		out->log_result = base64_encode(c->arena, o->log_tail);
	return CALL_OK;
}

static void invoke_done(void *ctx, struct invocation *inv, const struct outcome *o)
{
	struct waiting *w = ctx;
	struct call *c = take_outcome(w, o);
	(void)inv;
	if (c && !w->starting)
		call_resume(c);
}

static struct waiting *begin_wait(struct call *c, struct invocation *inv)
{
	struct waiting *w = calloc(1, sizeof(*w));
	if (!w)
		abort();
	buf_init(&w->early, 8 << 20);
	w->call = c;
	w->inv = inv;
	w->starting = true;
	w->trace_id = arena_dup(c->arena, inv->trace_id);
	c->state = w;
	call_on_free(c, waiting_free);
	inv->ctx = w;
	return w;
}

static int invoke_now(struct call *c, const struct target *t, struct str payload, struct str client_context, bool tail,
                      struct lambda_invocation_response *out)
{
	const char *reason = invocation_throttled(t->fn, t->version, t->name.qualifier);
	if (reason)
		return throttled(c, t->fn, reason);
	struct str trace;
	if (invocation_trace_enter(c, t->fn, t->name.qualifier, &trace) != CALL_OK)
		return CALL_FAIL;
	out->executed_version = arena_dup(c->arena, t->version->version);
	struct invocation *inv = new_invocation(c, t, payload, client_context, trace);
	inv->tail = tail;
	inv->done = invoke_done;
	struct waiting *w = begin_wait(c, inv);
	invocation_start(inv);
	w->starting = false;
	return w->done ? finish_invoke(c) : call_wait(c, finish_invoke, waiting_gone);
}

int lambda_invoke(struct call *c, const struct lambda_invocation_request *in, struct lambda_invocation_response *out)
{
	struct target t;
	struct str payload = in->payload, client_context;
	bool event = str_eq(in->invocation_type, S("Event")), tail = str_eq(in->log_type, S("Tail"));
	if (str_set(in->durable_execution_name) || str_set(in->tenant_id))
		return lambda_invalid(c, "Durable executions and tenants are not supported by this cloud.");
	if (find_target(c, in->function_name, in->qualifier, tail, &t) != CALL_OK ||
	    payload_check(c, &payload, event ? LAMBDA_EVENT_BYTES : LAMBDA_REQUEST_BYTES, event ? "Event" : "RequestResponse") !=
	            CALL_OK ||
	    payload_client_context(c, in->client_context, &client_context) != CALL_OK)
		return CALL_FAIL;
	if (str_eq(in->invocation_type, S("DryRun"))) {
		out->status_code = OPT_INT(204);
		return CALL_OK;
	}
	if (event) {
		struct str trace_id = invocation_trace(c);
		async_accept(c, &t.name, payload, client_context, trace_id);
		say_trace(c, trace_id);
		out->status_code = OPT_INT(202);
		return CALL_OK;
	}
	return invoke_now(c, &t, payload, client_context, tail, out);
}

/* --- a streamed response */

static void stream_close(struct call *c, struct waiting *w)
{
	const struct outcome *o = &w->outcome;
	if (o->code) {
		call_cut(c);
		return;
	}
	if (!o->function_error && str_set(o->payload) && o->payload.n) {
		struct lambda_invoke_response_stream_update chunk = {.payload = o->payload};
		call_write_event(c, "PayloadChunk", &chunk);
	}
	struct lambda_invoke_with_response_stream_complete_event end = {0};
	if (o->function_error) {
		end.error_code = S("Unhandled");
		end.error_details = o->payload;
	}
	if (str_set(o->log_tail))
		end.log_result = base64_encode(c->arena, o->log_tail);
	call_write_event(c, "InvokeComplete", &end);
	call_end(c);
}

static void stream_start(struct call *c)
{
	struct waiting *w = c->state;
	w->open = true;
	bool held = w->early.n > 0; /* a piece that came before the head stopped the reading */
	if (held) {
		struct lambda_invoke_response_stream_update chunk = {.payload = buf_str(&w->early)};
		call_write_event(c, "PayloadChunk", &chunk);
		buf_clear(&w->early);
	}
	if (w->done)
		stream_close(c, w);
	else if (held && w->inv)
		invocation_drained(w->inv);
}

static void stream_drained(struct call *c)
{
	struct waiting *w = c->state;
	if (w->inv)
		invocation_drained(w->inv);
}

/* The head goes out as soon as the function begins to answer. */
static int stream_head(struct call *c)
{
	struct waiting *w = c->state;
	struct lambda_invoke_with_response_stream_response *out = c->out;
	if (w->done && w->outcome.code)
		return outcome_error(c, &w->outcome);
	say_trace(c, w->trace_id);
	out->status_code = OPT_INT(200);
	out->response_stream_content_type = S("application/vnd.amazon.eventstream");
	c->reply = (struct reply_body){.kind = REPLY_STREAM,
	                               .fd = -1,
	                               .stream_length = -1,
	                               .stream_start = stream_start,
	                               .stream_drained = stream_drained};
	return CALL_OK;
}

static void stream_begin(void *ctx, struct str content_type)
{
	struct waiting *w = ctx;
	(void)content_type;
	w->began = true;
	if (w->call && !w->starting)
		call_resume(w->call);
}

static bool stream_piece(void *ctx, struct str piece)
{
	struct waiting *w = ctx;
	if (!w->call)
		return true; /* nobody reads: the function goes on all the same */
	if (!w->open) {
		buf_add_str(&w->early, piece);
		return false;
	}
	struct lambda_invoke_response_stream_update chunk = {.payload = piece};
	return call_write_event(w->call, "PayloadChunk", &chunk);
}

static void stream_done(void *ctx, struct invocation *inv, const struct outcome *o)
{
	struct waiting *w = ctx;
	struct call *c = take_outcome(w, o);
	(void)inv;
	if (!c)
		return;
	if (w->open)
		stream_close(c, w);
	else if (!w->began && !w->starting)
		call_resume(c);
}

int lambda_invoke_with_response_stream(struct call *c, const struct lambda_invoke_with_response_stream_request *in,
                                       struct lambda_invoke_with_response_stream_response *out)
{
	struct target t;
	struct str payload = in->payload, client_context;
	bool tail = str_eq(in->log_type, S("Tail"));
	if (!c->http)
		return lambda_invalid(c, "Response streams are for clients.");
	if (str_set(in->tenant_id))
		return lambda_invalid(c, "Tenants are not supported by this cloud.");
	if (find_target(c, in->function_name, in->qualifier, tail, &t) != CALL_OK ||
	    payload_check(c, &payload, LAMBDA_REQUEST_BYTES, "RequestResponse") != CALL_OK ||
	    payload_client_context(c, in->client_context, &client_context) != CALL_OK)
		return CALL_FAIL;
	if (str_eq(in->invocation_type, S("DryRun"))) {
		out->status_code = OPT_INT(204);
		return CALL_OK;
	}
	const char *reason = invocation_throttled(t.fn, t.version, t.name.qualifier);
	if (reason)
		return throttled(c, t.fn, reason);
	struct str trace;
	if (invocation_trace_enter(c, t.fn, t.name.qualifier, &trace) != CALL_OK)
		return CALL_FAIL;
	out->executed_version = arena_dup(c->arena, t.version->version);
	struct invocation *inv = new_invocation(c, &t, payload, client_context, trace);
	inv->tail = tail;
	inv->done = stream_done;
	inv->stream_begin = stream_begin;
	inv->stream_piece = stream_piece;
	struct waiting *w = begin_wait(c, inv);
	invocation_start(inv);
	w->starting = false;
	return w->done || w->began ? stream_head(c) : call_wait(c, stream_head, waiting_gone);
}

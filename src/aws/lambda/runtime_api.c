/* The Runtime API is spoken by the runtime's client inside the cell, over a listener that was made there: between it and the
 * environment is no other process. A request is one of a handful of paths; what it may do depends on the environment's state alone.
 */
#include "aws/lambda/runtime_api.h"

#include "aws/lambda/extension.h"
#include "aws/lambda/snapstart.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "core/listen.h"

#include <errno.h>
#include <stdio.h>

static const struct listen_header json_type = {S_INIT("Content-Type"), S_INIT("application/json")};

enum runtime_request runtime_api_route(struct str method, struct str path, struct str *ret_id)
{
	*ret_id = STR_NONE;
	bool get = str_eq(method, S("GET")), post = str_eq(method, S("POST"));
	struct str prefix = S("/2018-06-01/");
	if (!str_starts(path, prefix))
		return get && str_eq(path, S(SNAPSTART_CREDENTIALS)) ? RUNTIME_CREDENTIALS : RUNTIME_UNKNOWN;
	path = str_from_at(path, prefix.n);
	if (get && str_eq(path, S("runtime/invocation/next")))
		return RUNTIME_NEXT;
	if (get && str_eq(path, S("ping")))
		return RUNTIME_PING;
	if (post && str_eq(path, S("runtime/init/error")))
		return RUNTIME_INIT_ERROR;
	if (get && str_eq(path, S("runtime/restore/next")))
		return RUNTIME_RESTORE_NEXT;
	if (post && str_eq(path, S("runtime/restore/error")))
		return RUNTIME_RESTORE_ERROR;
	if (!post || !str_starts(path, S("runtime/invocation/")))
		return RUNTIME_UNKNOWN;
	path = str_from_at(path, S("runtime/invocation/").n);
	*ret_id = str_cut(&path, '/');
	if (str_eq(path, S("response")))
		return RUNTIME_RESPONSE;
	return str_eq(path, S("error")) ? RUNTIME_ERROR : RUNTIME_UNKNOWN;
}

bool runtime_api_allows(enum environment_state state, enum runtime_request request, const char **ret_from, const char **ret_to)
{
	static const char *const states[] = {
	        [ENVIRONMENT_CLAIMING] = "Started",      [ENVIRONMENT_STARTING] = "Started",  [ENVIRONMENT_READY] = "Ready",
	        [ENVIRONMENT_BUSY] = "Running",          [ENVIRONMENT_DONE] = "ResponseSent", [ENVIRONMENT_COLD] = "Started",
	        [ENVIRONMENT_STOPPING] = "ShuttingDown",
	};
	static const char *const goals[] = {
	        [RUNTIME_NEXT] = "Ready",
	        [RUNTIME_RESPONSE] = "InvocationResponse",
	        [RUNTIME_ERROR] = "InvocationErrorResponse",
	        [RUNTIME_INIT_ERROR] = "InitError",
	        [RUNTIME_RESTORE_NEXT] = "RestoreReady",
	        [RUNTIME_RESTORE_ERROR] = "RestoreError",
	};
	*ret_from = states[state];
	*ret_to = goals[request];
	switch (request) {
	case RUNTIME_NEXT:
		return state == ENVIRONMENT_STARTING || state == ENVIRONMENT_DONE || state == ENVIRONMENT_READY;
	case RUNTIME_RESPONSE:
	case RUNTIME_ERROR:
		return state == ENVIRONMENT_BUSY;
	case RUNTIME_INIT_ERROR:
	case RUNTIME_RESTORE_NEXT:
	case RUNTIME_RESTORE_ERROR:
		return state == ENVIRONMENT_STARTING;
	case RUNTIME_CREDENTIALS:
	case RUNTIME_PING:
	case RUNTIME_UNKNOWN:
		break;
	}
	return true;
}

struct str runtime_api_error_type(struct str given)
{
	struct str unknown = str_starts(given, S("Runtime.")) ? S("Runtime.Unknown") : S("Function.Unknown");
	struct str rest = given, category = str_cut(&rest, '.');
	if (!str_set(rest) || rest.n < 2 || (!str_eq(category, S("Runtime")) && !str_eq(category, S("Function"))) ||
	    rest.p[0] < 'A' || rest.p[0] > 'Z')
		return unknown;
	for (size_t i = 0; i < rest.n; i++)
		if (!ascii_is_alpha(rest.p[i]))
			return unknown;
	return given;
}

/* --- replies */

/* After the caller of the function has its answer: he waits longer than the runtime does. */
static void reply_ok(struct http_request *r)
{
	listen_reply_after(r, 202, &json_type, 1, S("{\"status\":\"OK\"}\n"));
}

static void reply_error(struct http_request *r, unsigned status, const char *type, struct str message)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, 1 << 16);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	json_key(&o, S("errorMessage"));
	json_string(&o, message);
	json_key(&o, S("errorType"));
	json_string(&o, str_from(type));
	json_close(&o, '}');
	listen_reply(r, status, &json_type, 1, buf_str(&b));
}

/* --- /next */

static void next_gone(void *ctx)
{
	struct environment *e = ctx;
	e->next = NULL; /* the process has most likely ended: exited() says so */
}

void runtime_api_send_event(struct environment *e)
{
	struct invocation *inv = e->current;
	struct http_request *r = e->next;
	memcpy(e->request_id, inv->request_id, sizeof(e->request_id));
	if (!r)
		return; /* its process died in this moment; the invocation ends with that */
	e->next = NULL;
	char deadline[24];
	int n = snprintf(deadline, sizeof(deadline), "%lld", (long long)(clock_wall_ms() + e->version->config->timeout.v * 1000));
	struct listen_header headers[8] = {
	        json_type,
	        {S("Lambda-Runtime-Aws-Request-Id"), str_of(inv->request_id, 36)},
	        {S("Lambda-Runtime-Deadline-Ms"), str_of(deadline, (size_t)n)},
	        {S("Lambda-Runtime-Invoked-Function-Arn"), inv->arn},
	};
	unsigned count = 4;
	if (str_set(inv->trace_id))
		headers[count++] = (struct listen_header){S("Lambda-Runtime-Trace-Id"), inv->trace_id};
	if (str_set(inv->client_context))
		headers[count++] = (struct listen_header){S("Lambda-Runtime-Client-Context"), inv->client_context};
	listen_reply(r, 200, headers, count, inv->payload);
}

/* --- answers */

static void answer_gone(void *ctx)
{
	struct environment *e = ctx;
	e->response = NULL; /* cut in the middle: the runtime's end or the timeout closes the invocation */
}

/* The invocation may have ended (timeout, crash) while its answer was on the way. */
static bool stale(struct environment *e, struct http_request *r)
{
	if (e->state == ENVIRONMENT_BUSY && e->current && e->response == r)
		return false;
	reply_error(r, 400, "InvalidRequestID", S("Invalid request ID"));
	return true;
}

static void body_failed(struct environment *e, struct http_request *r, int status)
{
	e->response = NULL;
	if (status == -EMSGSIZE) {
		struct str text =
		        arena_printf(listen_arena(r), "Exceeded maximum allowed payload size (%d bytes).", LAMBDA_RESPONSE_BYTES);
		reply_error(r, 413, "RequestEntityTooLarge", text);
		environment_runtime_too_large(e);
		return;
	}
	reply_error(r, 400, "TruncatedHTTPRequest", S("HTTP request was truncated."));
}

static void answer_whole(struct environment *e, struct str body, int status, bool failed)
{
	struct http_request *r = e->response;
	if (!r || stale(e, r))
		return;
	if (status < 0) {
		body_failed(e, r, status);
		return;
	}
	e->response = NULL;
	/* A streaming client may say at the very end that it failed. */
	struct str type = listen_trailer(r, S("Lambda-Runtime-Function-Error-Type"));
	struct str error = str_set(type)
	                           ? base64_decode(&e->current->arena, listen_trailer(r, S("Lambda-Runtime-Function-Error-Body")))
	                           : STR_NONE;
	struct str payload = str_set(error) ? error : arena_dup(&e->current->arena, body);
	reply_ok(r);
	environment_runtime_answered(e, payload, failed || str_set(type));
}

static void response_whole(void *ctx, struct str body, int status)
{
	answer_whole(ctx, body, status, false);
}

static void error_whole(void *ctx, struct str body, int status)
{
	answer_whole(ctx, body, status, true);
}

static void piece(void *ctx, struct str bytes, int status)
{
	struct environment *e = ctx;
	struct http_request *r = e->response;
	if (!r || stale(e, r))
		return;
	bool go_on = true;
	if (!str_empty(bytes))
		go_on = e->current->stream_piece(e->current->ctx, bytes);
	if (status > 0) {
		if (go_on)
			listen_body_next(r, piece, e);
		return;
	}
	e->response = NULL;
	if (status < 0) {
		reply_error(r, 400, "TruncatedHTTPRequest", S("HTTP request was truncated."));
		environment_runtime_streamed(
		        e, S("Runtime.TruncatedResponse"),
		        S("{\"errorType\":\"Runtime.TruncatedResponse\",\"errorMessage\":\"Response was truncated.\"}"));
		return;
	}
	struct str type = listen_trailer(r, S("Lambda-Runtime-Function-Error-Type"));
	struct str error = str_set(type)
	                           ? base64_decode(&e->current->arena, listen_trailer(r, S("Lambda-Runtime-Function-Error-Body")))
	                           : STR_NONE;
	if (str_set(type))
		type = arena_dup(&e->current->arena, type);
	reply_ok(r);
	environment_runtime_streamed(e, type, error);
}

void runtime_api_send_restored(struct environment *e, struct http_request *r)
{
	/* the one variable that is another one in each environment */
	const struct listen_header headers[] = {json_type, {S("Lambda-Runtime-Log-Stream-Name"), output_stream(e->output)}};
	listen_on_gone(r, NULL, NULL);
	listen_reply(r, 200, headers, 2, S("{}"));
}

void runtime_api_drained(struct environment *e)
{
	if (e->response)
		listen_body_next(e->response, piece, e);
}

static void take_response(struct environment *e, struct http_request *r)
{
	struct str mode = listen_header(r, S("Lambda-Runtime-Function-Response-Mode"));
	bool streaming = str_ieq(mode, S("streaming"));
	if (str_set(mode) && !str_empty(mode) && !streaming) {
		reply_error(r, 400, "InvalidFunctionResponseMode", S("Invalid function response mode"));
		return;
	}
	e->response = r;
	e->answer_us = clock_mono_us();
	listen_on_gone(r, answer_gone, e);
	if (streaming && e->current->stream_piece) {
		e->current->streaming = true;
		struct str type = listen_header(r, S("Content-Type"));
		e->current->stream_begin(e->current->ctx, str_set(type) ? type : S("application/octet-stream"));
		listen_body_next(r, piece, e);
		return;
	}
	listen_body_collect(r, LAMBDA_RESPONSE_BYTES, response_whole, e);
}

static void init_error_whole(void *ctx, struct str body, int status)
{
	struct environment *e = ctx;
	struct http_request *r = e->response;
	if (!r)
		return;
	e->response = NULL;
	struct str type = listen_header(r, S("Lambda-Runtime-Function-Error-Type"));
	if (status >= 0 && e->state == ENVIRONMENT_STARTING)
		environment_runtime_init_error(e, runtime_api_error_type(str_set(type) ? type : S("")), body);
	reply_ok(r);
}

/* --- serving */

void runtime_api_serve(void *environment, struct http_request *r)
{
	struct environment *e = environment;
	struct str id;
	const char *from, *to;
	enum runtime_request request = runtime_api_route(listen_method(r), listen_path(r), &id);
	bool restores = request == RUNTIME_RESTORE_NEXT || request == RUNTIME_RESTORE_ERROR || request == RUNTIME_CREDENTIALS;
	if (request == RUNTIME_UNKNOWN && extension_api_takes(e, r))
		return;
	if (request == RUNTIME_UNKNOWN || (restores && !e->snap)) {
		reply_error(r, 404, "NotFound", S("404 page not found"));
		return;
	}
	if (request == RUNTIME_CREDENTIALS) {
		snapstart_serve_credentials(e, r);
		return;
	}
	if (request == RUNTIME_PING) {
		listen_reply(r, 200, NULL, 0, S("pong"));
		return;
	}
	if ((request == RUNTIME_RESPONSE || request == RUNTIME_ERROR) && !str_is(id, e->request_id)) {
		reply_error(r, 400, "InvalidRequestID", S("Invalid request ID"));
		return;
	}
	bool waits = request == RUNTIME_NEXT || request == RUNTIME_RESTORE_NEXT;
	bool taken = waits ? e->next != NULL : e->response != NULL;
	if (taken || !runtime_api_allows(e->state, request, &from, &to)) {
		runtime_api_allows(e->state, request, &from, &to);
		struct str text = arena_printf(
		        listen_arena(r),
		        "State transition from %s to %s failed for runtime. Error: State transition is not allowed", from, to);
		reply_error(r, 403, "InvalidStateTransition", text);
		return;
	}
	if (waits) {
		listen_on_gone(r, next_gone, e);
		if (request == RUNTIME_NEXT)
			environment_runtime_next(e, r);
		else
			environment_runtime_restore_next(e, r);
	} else if (request == RUNTIME_RESPONSE) {
		take_response(e, r);
	} else {
		e->response = r;
		listen_on_gone(r, answer_gone, e);
		listen_body_collect(r, LAMBDA_RESPONSE_BYTES, request == RUNTIME_ERROR ? error_whole : init_error_whole, e);
	}
}

/* A request to a function URL: body, permission, invocation, reply. A stream's head goes out as soon as the function has said it,
 * and what it sends after that as it comes, as fast as the client takes it. */
#include "aws/lambda/url.h"

#include "aws/lambda/publish.h"
#include "base/buf.h"
#include "base/clock.h"
#include "core/authz.h"

#include <errno.h>
#include <stdlib.h>

#define HTTP_INTEGRATION "application/vnd.awslambda.http-integration-response"
#define FORBIDDEN \
	"{\"Message\":\"Forbidden. For troubleshooting Function URL authorization issues, see: " \
	"https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html\"}"

enum { PRELUDE_MAX = 256 * 1024, PRELUDE_END = 8, NAMES_MAX = 256 };

struct visit {
	struct call *call; /* NULL: the client has left */
	struct invocation *inv;
	struct buf body;
	int body_status;
	struct url_answer cors; /* the headers that the URL's own rules want */
	bool has_cors, streams;
	struct lambda_name name;
	struct str id, auth_type;
	bool starting, done;
	struct outcome outcome;
	/* a stream */
	bool prelude; /* its head comes as JSON in front of the body */
	bool headed, open, bad;
	struct url_answer head;
	struct buf early;
};

/* --- replies */

static void measure(struct call *c, unsigned status)
{
	const struct visit *v = c->state;
	if (!v)
		return;
	const struct event_name n = {v->name.account, v->name.region, v->name.name, v->name.qualifier};
	struct publish *p = lambda_of(c->cloud)->publish;
	publish_event(p, &n, "UrlRequestCount", "Count", 1);
	publish_event(p, &n, "Url4xxCount", "Count", status / 100 == 4);
	publish_event(p, &n, "Url5xxCount", "Count", status / 100 == 5);
	publish_event(p, &n, "UrlRequestLatency", "Milliseconds", (double)(clock_mono_us() - call_facts(c).started_us) / 1000);
}

static int reply(struct call *c, unsigned status, struct str type, struct str body)
{
	measure(c, status);
	call_reply_status(c, status);
	call_reply_header(c, S("content-type"), type);
	call_reply_header(c, S("x-amzn-RequestId"), c->request_id);
	c->reply = (struct reply_body){.kind = REPLY_MEMORY, .fd = -1, .memory = body};
	return CALL_OK;
}

static int reply_error(struct call *c, unsigned status, const char *type, struct str body)
{
	call_reply_header(c, S("x-amzn-ErrorType"), str_from(type));
	return reply(c, status, S("application/json"), body);
}

static int reply_broken(struct call *c)
{
	return reply_error(c, 502, "InternalServerErrorException", S("Internal Server Error"));
}

static void say_head(struct call *c, const struct visit *v, const struct url_answer *r)
{
	measure(c, r->status);
	call_reply_status(c, r->status);
	for (size_t i = 0; i < r->header_count; i++)
		if (!v->has_cors || !str_istarts(r->headers[i].name, S("access-control-")))
			call_reply_header(c, r->headers[i].name, r->headers[i].value);
	for (size_t i = 0; i < v->cors.header_count; i++)
		call_reply_header(c, v->cors.headers[i].name, v->cors.headers[i].value);
	call_reply_header(c, S("x-amzn-RequestId"), c->request_id);
}

/* --- the end of the invocation */

static void visit_free(struct visit *v)
{
	buf_done(&v->body);
	buf_done(&v->early);
	free(v);
}

static void call_freed(struct call *c)
{
	struct visit *v = c->state;
	v->call = NULL;
	if (!v->inv)
		visit_free(v);
}

static void client_left(struct call *c)
{
	((struct visit *)c->state)->call = NULL;
}

static void stream_close(struct call *c, struct visit *v)
{
	if (v->outcome.code || v->outcome.function_error) {
		call_cut(c);
		return;
	}
	call_end(c);
}

static void stream_start(struct call *c)
{
	struct visit *v = c->state;
	v->open = true;
	if (v->early.n)
		call_write(c, buf_str(&v->early));
	buf_clear(&v->early);
	if (v->done)
		stream_close(c, v);
	else if (v->inv)
		invocation_drained(v->inv);
}

static void stream_drained(struct call *c)
{
	struct visit *v = c->state;
	if (v->inv)
		invocation_drained(v->inv);
}

static int answer(struct call *c)
{
	struct visit *v = c->state;
	const struct outcome *o = &v->outcome;
	struct url_answer r;
	if (v->headed) {
		say_head(c, v, &v->head);
		c->reply = (struct reply_body){.kind = REPLY_STREAM,
		                               .fd = -1,
		                               .stream_length = -1,
		                               .stream_start = stream_start,
		                               .stream_drained = stream_drained};
		return CALL_OK;
	}
	if (v->bad || o->code || o->function_error || v->prelude)
		return reply_broken(c);
	if (v->streams) {
		/* it has not streamed: its answer is passed on as it is */
		say_head(c, v, &(struct url_answer){.status = 200});
		call_reply_header(c, S("content-type"), S("application/octet-stream"));
		c->reply = (struct reply_body){.kind = REPLY_MEMORY, .fd = -1, .memory = o->payload};
		return CALL_OK;
	}
	if (!url_answer(c->arena, o->payload, &r))
		return reply_broken(c);
	say_head(c, v, &r);
	c->reply = (struct reply_body){.kind = REPLY_MEMORY, .fd = -1, .memory = r.body};
	return CALL_OK;
}

static void invoke_done(void *ctx, struct invocation *inv, const struct outcome *o)
{
	struct visit *v = ctx;
	struct call *c = v->call;
	(void)inv;
	v->inv = NULL;
	v->done = true;
	if (!c) {
		visit_free(v);
		return;
	}
	v->outcome = *o;
	v->outcome.payload = arena_dup(c->arena, o->payload);
	if (v->open)
		stream_close(c, v);
	else if (!v->headed && !v->starting)
		call_resume(c);
}

/* --- a streamed answer */

static void resume(struct visit *v)
{
	if (!v->starting)
		call_resume(v->call);
}

static void stream_begin(void *ctx, struct str type)
{
	struct visit *v = ctx;
	if (!v->call)
		return;
	v->prelude = str_istarts(type, S(HTTP_INTEGRATION));
	if (v->prelude)
		return;
	struct arena *a = v->call->arena;
	v->head = (struct url_answer){.status = 200, .headers = arena_zalloc(a, sizeof(*v->head.headers)), .header_count = 1};
	v->head.headers[0] = (struct listen_header){S("content-type"), arena_dup(a, type)};
	v->headed = true;
	resume(v);
}

/* Is the head there? What is behind it stays in v->early. */
static void read_prelude(struct visit *v)
{
	ptrdiff_t end = str_find(buf_str(&v->early), str_of("\0\0\0\0\0\0\0", PRELUDE_END));
	if (end < 0) {
		v->bad = v->early.n > PRELUDE_MAX;
	} else {
		struct arena *a = v->call->arena;
		v->headed = url_prelude(a, arena_dup(a, str_sub(buf_str(&v->early), 0, (size_t)end)), &v->head);
		v->bad = !v->headed;
		buf_consume(&v->early, (size_t)end + PRELUDE_END);
	}
	if (v->headed || v->bad)
		resume(v);
}

static bool stream_piece(void *ctx, struct str piece)
{
	struct visit *v = ctx;
	if (!v->call || v->bad)
		return true; /* nobody reads: the function goes on all the same */
	if (v->open)
		return call_write(v->call, piece);
	buf_add_str(&v->early, piece);
	if (!v->headed)
		read_prelude(v);
	return !v->headed; /* what follows a head waits until that is out */
}

/* --- the invocation */

/* Both permissions that AWS asks for: of the URL, and of what it does. */
static bool allowed(struct call *c, const struct visit *v, const struct fn *fn)
{
	struct str policy = fn_policy_document(fn, v->name.qualifier);
	struct authz az = {
	        .action = S("lambda:InvokeFunctionUrl"),
	        .resource = lambda_function_arn(c->arena, v->name.region, v->name.account, v->name.name, v->name.qualifier),
	        .resource_account = v->name.account,
	        .resource_policy = policy,
	};
	struct authz also = az;
	also.action = S("lambda:InvokeFunction");
	authz_add(c, &az, "lambda:FunctionUrlAuthType", v->auth_type);
	authz_add(c, &also, "lambda:FunctionUrlAuthType", v->auth_type);
	authz_add(c, &also, "lambda:InvokedViaFunctionUrl", S("true"));
	bool may = call_authorize(c, &az) && call_authorize(c, &also);
	c->error = (struct call_error){0};
	return may;
}

static struct str event_of(struct call *c, const struct visit *v)
{
	struct listen_header *headers = arena_zalloc(c->arena, NAMES_MAX * sizeof(*headers));
	size_t n = 0;
	while (n < NAMES_MAX && listen_header_at(c->http, (unsigned)n, &headers[n]))
		n++;
	struct str domain = listen_header(c->http, S("host"));
	const struct url_request q = {
	        .id = v->id,
	        .domain = str_cut(&domain, ':'),
	        .request_id = c->request_id,
	        .source_ip = call_source_ip(c),
	        .tls = call_over_tls(c),
	        .now_ms = c->now_ms,
	        .caller = c->caller,
	        .method = listen_method(c->http),
	        .path = listen_path(c->http),
	        .query = listen_query(c->http),
	        .headers = headers,
	        .header_count = n,
	        .body = buf_str(&v->body),
	};
	return url_event(c->arena, &q);
}

static int invoke(struct call *c)
{
	struct visit *v = c->state;
	struct lambda *l = lambda_of(c->cloud);
	if (v->body_status == -EMSGSIZE)
		return reply_error(c, 413, "RequestEntityTooLargeException", S("{\"message\":\"Request Too Long\"}"));
	if (v->body_status < 0)
		return reply_error(c, 400, "BadRequestException", S("{\"message\":\"Bad Request\"}"));
	struct fn *fn = directory_find(l->directory, v->name.account, v->name.region, v->name.name);
	struct fn_version *version = fn ? fn_choose_version(fn, v->name.qualifier) : NULL;
	if (!version || !allowed(c, v, fn))
		return reply_error(c, 403, "AccessDeniedException", S(FORBIDDEN));
	if (!str_eq(version->shown->state, S("Active")))
		return reply_broken(c);
	const char *reason = invocation_throttled(fn, version, v->name.qualifier);
	if (reason) {
		publish_throttle(l->publish, fn);
		return reply_error(
		        c, 429, "TooManyRequestsException",
		        arena_printf(c->arena, "{\"Reason\":\"%s\",\"Type\":\"User\",\"message\":\"Rate Exceeded.\"}", reason));
	}
	struct str trace, event = event_of(c, v);
	if (invocation_trace_enter(c, fn, v->name.qualifier, &trace) != CALL_OK) {
		c->error = (struct call_error){0};
		return reply_error(c, 400, "RecursiveInvocationException", S("{\"message\":\"Recursive invocation\"}"));
	}
	if (event.n > LAMBDA_REQUEST_BYTES)
		return reply_error(c, 413, "RequestEntityTooLargeException", S("{\"message\":\"Request Too Long\"}"));
	struct invocation *inv = invocation_new(l, fn, version, v->name.qualifier);
	memcpy(inv->request_id, c->request_id.p, c->request_id.n < 36 ? c->request_id.n : 36);
	inv->arn = lambda_function_arn(&inv->arena, v->name.region, v->name.account, v->name.name, v->name.qualifier);
	inv->payload = arena_dup(&inv->arena, event);
	inv->trace_id = arena_dup(&inv->arena, trace);
	call_reply_header(c, S("X-Amzn-Trace-Id"), trace);
	inv->done = invoke_done;
	inv->ctx = v;
	if (v->streams) {
		inv->stream_begin = stream_begin;
		inv->stream_piece = stream_piece;
	}
	v->inv = inv;
	v->starting = true;
	invocation_start(inv);
	v->starting = false;
	return v->done || v->headed || v->bad ? answer(c) : call_wait(c, answer, client_left);
}

/* --- the request */

static void body_piece(void *ctx, struct str piece, int status)
{
	struct visit *v = ctx;
	if (!v->call)
		return;
	if (status >= 0 && v->body.n + piece.n > LAMBDA_REQUEST_BYTES)
		status = -EMSGSIZE;
	if (status >= 0)
		buf_add_str(&v->body, piece);
	if (status > 0) {
		body_next(v->call->body, body_piece, v);
		return;
	}
	v->body_status = status;
	call_resume(v->call);
}

static int serve(struct call *c)
{
	const struct url *url;
	if (!url_of_host(lambda_of(c->cloud), listen_header(c->http, S("host")), &url) || !url)
		return reply_error(c, 403, "AccessDeniedException", S("{\"Message\":null}"));
	struct visit *v = calloc(1, sizeof(*v));
	if (!v)
		abort();
	struct arena *a = c->arena;
	v->call = c;
	c->state = v;
	call_on_free(c, call_freed);
	buf_init(&v->body, LAMBDA_REQUEST_BYTES + 1);
	buf_init(&v->early, 8 << 20);
	v->id = arena_dup(a, url->id);
	v->auth_type = arena_dup(a, url->config->auth_type);
	v->streams = str_eq(url->config->invoke_mode, S("RESPONSE_STREAM"));
	v->name = (struct lambda_name){arena_dup(a, url->region), arena_dup(a, url->account), arena_dup(a, url->name),
	                               arena_dup(a, url->qualifier)};
	c->region = v->name.region;
	struct str origin = call_header(c, S("origin"));
	bool preflight = str_is(listen_method(c->http), "OPTIONS") && str_set(origin) &&
	                 str_set(call_header(c, S("access-control-request-method")));
	v->has_cors = url->config->cors != NULL;
	if (v->has_cors)
		url_cors(a, url->config->cors, origin, preflight, &v->cors);
	if (v->has_cors && preflight) {
		say_head(c, v, &(struct url_answer){.status = 200});
		c->reply = (struct reply_body){.kind = REPLY_MEMORY, .fd = -1, .memory = S("")};
		return CALL_OK;
	}
	int said = call_wait(c, invoke, client_left);
	body_next(c->body, body_piece, v);
	return said;
}

call_resume_fn *url_intercept(struct call *c)
{
	const struct url *url;
	if (!c->http || !url_of_host(lambda_of(c->cloud), listen_header(c->http, S("host")), &url))
		return NULL;
	if (url && str_eq(url->config->auth_type, S("AWS_IAM")))
		call_check_signature(c);
	return serve;
}

struct str url_address(struct arena *a, struct str host, struct str path)
{
	const struct url *url;
	(void)a;
	return url_of_host(NULL, host, &url) ? path : STR_NONE;
}

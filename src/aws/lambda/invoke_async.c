/* InvokeAsync, the operation before Invoke with the type Event: its arguments are a stream, its trace is the function's own. */
#include "aws/lambda/async.h"
#include "aws/lambda/directory.h"
#include "base/buf.h"

#include <errno.h>
#include <stdlib.h>

struct arguments {
	struct call *call; /* NULL: nobody waits any more */
	struct buf bytes;
	int status; /* below 0: they did not come whole */
	bool over;
};

static void arguments_free(struct call *c)
{
	struct arguments *g = c->state;
	c->state = NULL;
	if (!g)
		return;
	buf_done(&g->bytes);
	free(g);
}

static void arguments_left(struct call *c)
{
	struct arguments *g = c->state;
	g->call = NULL;
}

static void piece(void *ctx, struct str bytes, int status)
{
	struct arguments *g = ctx;
	if (!g->call)
		return;
	buf_add_str(&g->bytes, bytes);
	g->status = status;
	g->over = status <= 0 || g->bytes.overflow;
	if (g->over)
		call_resume(g->call);
	else
		body_next(g->call->body, piece, g);
}

static int invoke_again(struct call *c)
{
	return lambda_invoke_async(c, c->in, c->out);
}

static int gather(struct call *c)
{
	struct arguments *g = calloc(1, sizeof(*g));
	if (!g)
		abort();
	g->call = c;
	buf_init(&g->bytes, LAMBDA_EVENT_BYTES);
	c->state = g;
	call_on_free(c, arguments_free);
	int said = call_wait(c, invoke_again, arguments_left);
	body_next(c->body, piece, g);
	return said;
}

int lambda_invoke_async(struct call *c, const struct lambda_invoke_async_request *in, struct lambda_invoke_async_response *out)
{
	struct lambda_name n;
	const struct arguments *g = c->state;
	if (lambda_name_parse(c, in->function_name, STR_NONE, &n) != CALL_OK)
		return CALL_FAIL;
	struct fn *fn = directory_find(lambda_of(c->cloud)->directory, n.account, n.region, n.name);
	const struct fn_version *v = fn ? fn_choose_version(fn, n.qualifier) : NULL;
	if (!v)
		return lambda_no_function(c, &n);
	if (!g)
		return gather(c);
	if (g->status < 0)
		return call_fail(c, "InvalidRequestContentException", 400, "The body of the request did not arrive completely.");
	if (g->bytes.overflow)
		return call_fail(c, "RequestTooLargeException", 413,
		                 "Request must be smaller than %d bytes for the InvokeAsync operation", LAMBDA_EVENT_BYTES);
	struct str payload = arena_dup(c->arena, buf_str(&g->bytes));
	if (payload_check(c, &payload, LAMBDA_EVENT_BYTES, "Event") != CALL_OK)
		return CALL_FAIL;
	async_accept(c, &n, payload, STR_NONE, invocation_trace_new(c->arena, c->now_ms));
	out->status = OPT_INT(202);
	return CALL_OK;
}

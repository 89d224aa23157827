/* The function of a target group, as RegisterTargets looks at it: it is called as the balancer will call it, but for the call
 * itself. */
#include "function.h"

#include "gen/lambda.h"

#include <stdlib.h>

struct trial {
	struct call *call; /* NULL: its client has left */
	bool done;
	char code[64];
};

static void trial_freed(struct call *c)
{
	struct trial *t = c->state;
	if (!t)
		return;
	t->call = NULL;
	if (t->done)
		free(t);
}

static void trial_left(struct call *c)
{
	((struct trial *)c->state)->call = NULL; /* tried() frees it */
	c->state = NULL;
}

static void tried(void *ctx, struct call *sub)
{
	struct trial *t = ctx;
	size_t n = sub->error.code.n < sizeof(t->code) ? sub->error.code.n : sizeof(t->code) - 1;
	memcpy(t->code, n ? sub->error.code.p : "", n);
	t->done = true;
	if (t->call)
		call_resume(t->call);
	else
		free(t);
}

static int again(struct call *c)
{
	return c->row->handle(c, c->in, c->out);
}

int elb_function_check(struct call *c, struct str group_arn, struct str function)
{
	struct trial *t = c->state;
	if (t && t->done) {
		if (!t->code[0])
			return CALL_OK;
		if (strcmp(t->code, "ResourceNotFoundException") == 0)
			return call_fail(c, "InvalidTarget", 0, "The following Lambda function does not exist: '%.*s'",
			                 STR_ARG(function));
		return call_fail(c, "AccessDenied", 403,
		                 "elasticloadbalancing principal does not have permission to invoke %.*s from target group %.*s",
		                 STR_ARG(function), STR_ARG(group_arn));
	}
	t = calloc(1, sizeof(*t));
	if (!t)
		abort();
	t->call = c;
	c->state = t;
	call_on_free(c, trial_freed);
	struct principal *self = elb_function_principal(c->account, group_arn);
	const struct lambda_invocation_request in = {.function_name = function, .invocation_type = S("DryRun"), .payload = S("{}")};
	call_op(c->cloud, self, c->region, &lambda_api, "Invoke", &in, tried, t);
	principal_unref(self);
	return call_wait(c, again, trial_left);
}

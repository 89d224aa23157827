/* The try outlives the call that asked, if its client leaves: whichever of the two ends last frees it. */
#include "core/service.h"

#include <stdlib.h>
#include <string.h>

struct attempt {
	struct call *call; /* NULL: it is gone */
	bool done;
	char code[64];
};

static void call_freed(struct call *c)
{
	struct attempt *t = c->state;
	if (!t)
		return;
	t->call = NULL;
	if (t->done)
		free(t);
}

static void client_left(struct call *c)
{
	((struct attempt *)c->state)->call = NULL; /* tried() frees it */
	c->state = NULL;
}

static void tried(void *ctx, struct call *sub)
{
	struct attempt *t = ctx;
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
	return c->service->around ? c->service->around(c, c->row->handle) : c->row->handle(c, c->in, c->out);
}

int call_try(struct call *c, const struct principal *as, struct str region, const struct api *api, const char *operation,
             const void *in)
{
	struct attempt *t = calloc(1, sizeof(*t));
	if (!t)
		abort();
	t->call = c;
	c->state = t;
	call_on_free(c, call_freed);
	call_op(c->cloud, as, region, api, operation, in, tried, t);
	return call_wait(c, again, client_left);
}

bool call_tried(const struct call *c, const char **ret_code)
{
	const struct attempt *t = c->state;
	if (!t)
		return false;
	*ret_code = t->code;
	return true;
}

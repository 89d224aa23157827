/* An errand outlives the call that waits for it, if its client leaves: whichever of the two ends last drops it. */
#include "core/service.h"

#include <stdlib.h>
#include <string.h>

static void call_freed(struct call *c)
{
	struct call_errand *e = c->state;
	if (!e)
		return;
	e->call = NULL;
	if (e->over)
		e->drop(e);
}

static void client_left(struct call *c)
{
	((struct call_errand *)c->state)->call = NULL; /* call_over() drops it */
	c->state = NULL;
}

static int again(struct call *c)
{
	return c->service->around ? c->service->around(c, c->row->handle) : c->row->handle(c, c->in, c->out);
}

int call_wait_for(struct call *c, struct call_errand *e)
{
	if (c->state != e)
		call_on_free(c, call_freed);
	c->state = e;
	e->call = c;
	e->over = false;
	return call_wait(c, again, client_left);
}

void call_over(struct call_errand *e)
{
	e->over = true;
	if (e->call)
		call_resume(e->call);
	else
		e->drop(e);
}

/* --- one call of another service */

struct attempt {
	struct call_errand errand;
	char code[64];
};

static void drop(struct call_errand *e)
{
	free(e);
}

static void tried(void *ctx, struct call *sub)
{
	struct attempt *t = ctx;
	size_t n = sub->error.code.n < sizeof(t->code) ? sub->error.code.n : sizeof(t->code) - 1;
	memcpy(t->code, n ? sub->error.code.p : "", n);
	call_over(&t->errand);
}

int call_try(struct call *c, const struct principal *as, struct str region, const struct api *api, const char *operation,
             const void *in)
{
	struct attempt *t = calloc(1, sizeof(*t));
	if (!t)
		abort();
	t->errand.drop = drop;
	call_op(c->cloud, as, region, api, operation, in, tried, t);
	return call_wait_for(c, &t->errand);
}

bool call_tried(const struct call *c, const char **ret_code)
{
	const struct attempt *t = c->state;
	if (!t)
		return false;
	*ret_code = t->code;
	return true;
}

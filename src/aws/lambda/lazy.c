#include "aws/lambda/lazy.h"

#include <stddef.h>

static void arm(struct lazy_timer *t, struct loop *l, loop_fn *fn, void *ctx)
{
	if (t->timer && t->armed_us <= t->due_us)
		return;
	loop_remove_timer(l, t->timer);
	int64_t delay = t->due_us - loop_now_us(l);
	t->armed_us = t->due_us;
	t->timer = loop_add_timer(l, delay > 0 ? delay : 0, fn, ctx);
}

void lazy_set(struct lazy_timer *t, struct loop *l, int64_t delay_us, loop_fn *fn, void *ctx)
{
	t->due_us = delay_us ? loop_now_us(l) + delay_us : 0;
	if (t->due_us)
		arm(t, l, fn, ctx);
}

bool lazy_is_due(struct lazy_timer *t, struct loop *l, loop_fn *fn, void *ctx)
{
	t->timer = NULL;
	if (!t->due_us)
		return false;
	if (t->due_us > loop_now_us(l)) {
		arm(t, l, fn, ctx);
		return false;
	}
	t->due_us = 0;
	return true;
}

void lazy_stop(struct lazy_timer *t, struct loop *l)
{
	loop_remove_timer(l, t->timer);
	*t = (struct lazy_timer){0};
}

#include "core/rounds.h"

enum { AT_ONCE = 64 };

static void one_round(void *ctx)
{
	struct rounds *r = ctx;
	struct round_item *due[AT_ONCE];
	unsigned n = 0;
	size_t at = 0;
	struct str key;
	void *value;
	r->soon = NULL;
	/* a step without writes ends at once, and may take its item out of the map */
	while (n < AT_ONCE && map_next(r->items, &at, &key, &value)) {
		struct round_item *i = value;
		if (i->dirty && !i->busy)
			due[n++] = i;
	}
	if (n == AT_ONCE)
		r->soon = loop_add_timer(r->loop, 0, one_round, r);
	for (unsigned i = 0; i < n; i++) {
		due[i]->dirty = false;
		due[i]->busy = true;
		r->step(due[i]);
	}
}

void rounds_mark(struct rounds *r, struct round_item *i)
{
	i->dirty = true;
	if (!r->soon)
		r->soon = loop_add_timer(r->loop, 0, one_round, r);
}

void rounds_end(struct rounds *r)
{
	loop_remove_timer(r->loop, r->soon);
	r->soon = NULL;
}

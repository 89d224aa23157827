/* Rounds of steps over things that are looked after: whoever has something to look at is marked, and gets a step soon, on the loop
 * and never from inside the mark. A step that waits for its commit keeps the thing busy, and marks wait so long. Loop thread alone.
 * For services whose keepers lie in a map. */
#pragma once
#include "base/map.h"
#include "io/loop.h"

/* The first member of what the map holds. */
struct round_item {
	bool dirty;
	bool busy; /* set before its step; whoever takes the step unsets it */
};
struct rounds {
	struct loop *loop;
	struct map *items;
	void (*step)(void *item); /* it may take the item out of the map */
	struct loop_timer *soon;
};
void rounds_mark(struct rounds *r, struct round_item *i);
/* No step comes after it. */
void rounds_end(struct rounds *r);

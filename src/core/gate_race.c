/* Calls that lose against each other. A commit fails when another one got in between, and its call is handled again on what is
 * there now; somebody has won each time. But when two hundred calls want the next of something, all of them would be handled two
 * hundred times, and the last one loses as often. So who has lost a few times waits in a row, and only the first in it goes on. */
#include "core/gate_call.h"

enum { FREE_TRIES = 3 };

bool gate_race_lost(struct gate_call *g)
{
	struct gate *gate = g->gate;
	g->races++;
	if (g->races <= FREE_TRIES || list_linked(&g->racer))
		return true;
	g->race_waits = !list_empty(&gate->racers);
	list_push(&gate->racers, &g->racer);
	return !g->race_waits;
}

static void next(void *ctx)
{
	struct gate *gate = ctx;
	struct gate_call *g = list_first(&gate->racers, struct gate_call, racer);
	gate->race_timer = NULL;
	if (!g || !g->race_waits)
		return;
	g->race_waits = false;
	gate_go(g);
}

void gate_race_over(struct gate_call *g)
{
	struct gate *gate = g->gate;
	if (!list_linked(&g->racer))
		return;
	list_remove(&g->racer);
	if (!gate->race_timer && !list_empty(&gate->racers))
		gate->race_timer = loop_add_timer(gate->cloud->loop, 0, next, gate);
}

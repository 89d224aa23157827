/* What an alarm's action decides, in a transaction: again with the next state when something that it read has changed meanwhile.
 * For the `run` of an alarm_action_kind. */
#pragma once
#include "core/alarm.h"
#include "store/store.h"

struct alarm_turn {
	const struct alarm_event *event;
	struct cloud *cloud;
	struct store_txn *txn; /* of this time */
	struct arena *arena;   /* the same */
	int64_t now_ms;
	struct str error, what; /* as alarm_ran_fn gets them; absent at first */
};
typedef void alarm_decide_fn(struct alarm_turn *act);
/* unwritten: the error where it cannot be committed. */
void alarm_turn_begin(struct cloud *cloud, const struct alarm_event *e, alarm_decide_fn *decide, const char *unwritten,
                      alarm_ran_fn *ran, void *ctx);

/* CloudWatch's face for other services: alarms as those see them that stop when one goes off. */
#pragma once
#include "core/call.h"

struct cloudwatch_alarm_seen {
	bool there, alarm; /* alarm: its state is ALARM */
	int64_t window_s;  /* how long ago the oldest period is that it looks at; 0: a composite one */
};
/* By name or ARN. */
void cloudwatch_see_alarm(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str name,
                          struct cloudwatch_alarm_seen *ret);
/* fn is called for every change of an alarm of that account and region. */
typedef void cloudwatch_alarms_changed_fn(void *ctx, struct str account, struct str region);
struct cloudwatch_alarms_watch;
struct cloudwatch_alarms_watch *cloudwatch_watch_alarms(struct cloud *cloud, cloudwatch_alarms_changed_fn *fn, void *ctx);
void cloudwatch_unwatch_alarms(struct cloudwatch_alarms_watch *w); /* NULL is harmless */

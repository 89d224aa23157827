/* CloudWatch's face for other services: alarms as those see them that stop when one goes off. */
#pragma once
#include "core/call.h"

/* "OK", "ALARM" or "INSUFFICIENT_DATA"; absent: there is no such alarm. */
struct str cloudwatch_alarm_state(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str name);
/* fn is called for every change of an alarm of that account and region. */
typedef void cloudwatch_alarms_changed_fn(void *ctx, struct str account, struct str region);
struct cloudwatch_alarms_watch;
struct cloudwatch_alarms_watch *cloudwatch_watch_alarms(struct cloud *cloud, cloudwatch_alarms_changed_fn *fn, void *ctx);
void cloudwatch_unwatch_alarms(struct cloudwatch_alarms_watch *w); /* NULL is harmless */

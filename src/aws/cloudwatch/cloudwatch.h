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
/* The settings of a metric alarm, for who keeps a copy of them and asks below how things stand by it. *ret_composite: there is an
 * alarm of that name, but it has no metric. */
struct cloudwatch_metric_alarm;
bool cloudwatch_get_alarm(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str name,
                          struct cloudwatch_metric_alarm *ret, bool *ret_composite);
enum cloudwatch_standing { CLOUDWATCH_OK, CLOUDWATCH_ALARM, CLOUDWATCH_INSUFFICIENT, CLOUDWATCH_AS_BEFORE };
/* By the metric's data until the last full minute, whatever state an alarm was set to. */
enum cloudwatch_standing cloudwatch_standing(struct cloud *cloud, struct str account, struct str region,
                                             const struct cloudwatch_metric_alarm *settings, int64_t now_ms);
/* The newest value of the metric by whose alarm something is done, by another statistic (Minimum, Maximum, Average) than the
 * alarm's own; the alarm's value where that is the same one, NaN for an alarm without a metric. */
struct alarm_event;
double cloudwatch_alarm_value(struct cloud *cloud, struct arena *a, const struct alarm_event *e, struct str statistic,
                              int64_t now_ms);
/* fn is called for every change of an alarm of that account and region. */
typedef void cloudwatch_alarms_changed_fn(void *ctx, struct str account, struct str region);
struct cloudwatch_alarms_watch;
struct cloudwatch_alarms_watch *cloudwatch_watch_alarms(struct cloud *cloud, cloudwatch_alarms_changed_fn *fn, void *ctx);
void cloudwatch_unwatch_alarms(struct cloudwatch_alarms_watch *w); /* NULL is harmless */

/* --- metrics of an account's own that other services publish for it, such as metric filters of log groups: kept as PutMetricData
 * keeps them, and as that paid for by the hours in which something came. What the cloud says of itself (AWS/...) costs nothing and
 * goes to engine/metrics directly. */
struct metric;
struct metric_value;
/* resolution_s: 1 or 60. Nothing happens where the cloud keeps no metrics. */
void cloudwatch_publish(struct cloud *cloud, const struct metric *metric, int64_t time_ms, unsigned resolution_s,
                        const struct metric_value *values, size_t n);
/* CloudWatch's name for a unit that a client gave; "None" for an absent one, absent for one that it does not know. */
struct str cloudwatch_unit(struct str unit);
/* Can CloudWatch keep this number? */
bool cloudwatch_number(double x);

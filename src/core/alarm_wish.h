/* Alarms that a service of ours has CloudWatch make for its policies, and delete with them. What CloudWatch is to be asked for lies
 * as a record of its own under (service, "alarm", account, region, of, name), written together with the policy that wants it, and
 * goes when it has been done; so a crash between both is made up for. On the loop's thread. Who calls: the services that scale. */
#pragma once
#include "core/cloud.h"
#include "gen/cloudwatch.h"

struct alarm_wishes;
/* service: as in its records' keys; a constant. */
struct alarm_wishes *alarm_wishes_new(struct cloud *cloud, const char *service);
void alarm_wishes_free(struct alarm_wishes *all);

/* Whose alarms, in which transaction; `of` is what the policies are of. */
struct alarm_wisher {
	struct store_txn *txn;
	struct arena *arena;
	const char *service;
	struct str account, region, of;
};
void alarm_want(const struct alarm_wisher *w, const struct cloudwatch_put_metric_alarm_input *alarm);
void alarm_unwant(const struct alarm_wisher *w, struct str name);

/* The two alarms of target tracking, as AWS names and sets them: high is 3 of 3 periods above the target, low 15 of 15 below nine
 * tenths of it; of ECS's managed scaling high is one period, and low whatever is below the target. The metric is in `a`. */
void alarm_track(struct arena *arena, struct str of, struct str policy_arn, double target, bool enabled, bool high,
                 struct cloudwatch_put_metric_alarm_input *a);
struct str alarm_arn_of(struct arena *arena, struct str region, struct str account, struct str name);

/* That a policy's low alarm says so, and with how much its metric would be at its target, by the policy's ARN: several policies
 * shrink to what the one asks for that needs the most. Kept in memory alone: alarms that last say so every minute. */
void alarm_saw_low(struct alarm_wishes *all, struct str policy_arn, int64_t now_ms, int64_t wanted);
/* False: it has not been said for two and a half minutes. */
bool alarm_is_low(const struct alarm_wishes *all, struct str policy_arn, int64_t now_ms, int64_t *ret_wanted);

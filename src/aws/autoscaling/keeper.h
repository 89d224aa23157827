/* Keepers: one a group, which takes a step (step.h) whenever its record, an instance of it or time has moved, and carries out what
 * the step asked for. A group that is as it should be has no timer and writes nothing. After a start of the role every group gets a
 * step. All of it runs on the loop. Private to aws/autoscaling. */
#pragma once
#include "core/cloud.h"

struct keepers;
struct keepers *keepers_new(struct cloud *cloud);
void keepers_free(struct keepers *k);
/* Activities of one day lie under one lease, which ends six weeks after it. */
int64_t keepers_activity_lease(struct cloud *cloud, int64_t now_ms);
struct alarm_wishes;
struct alarm_wishes *keepers_alarms(struct cloud *cloud);

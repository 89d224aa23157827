/* Keepers: one a target, which takes a step whenever its record, a schedule, its resource or time has moved: does what is due by
 * the clock, has the other service set a count, and waits until it is so. A target that nothing is to be done for has no timer and
 * writes nothing. After a start of the role every target gets a step. All of it runs on the loop. Private to
 * aws/applicationautoscaling. */
#pragma once
#include "rows.h"

struct keepers;
struct keepers *appscale_keepers_new(struct cloud *cloud);
void appscale_keepers_free(struct keepers *k);
/* Activities of one day lie under one lease, which ends six weeks after it. */
int64_t appscale_keepers_activity_lease(struct cloud *cloud, int64_t now_ms);
struct alarm_wishes;
struct alarm_wishes *appscale_keepers_alarms(struct cloud *cloud);

/* schedule.c: does what is due of a target. The next time that something is, 0: nothing. *ret_changed: the target's record is. */
int64_t appscale_schedules_step(const struct appscale *s, const struct resource *of,
                                struct state_applicationautoscaling_target_record *r, bool *ret_changed);

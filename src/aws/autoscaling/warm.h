/* Warm pools: members that are launched and stopped (or left running) ahead of need. They do not count towards the capacity; who is
 * needed is started, which is quicker than a launch. Private to aws/autoscaling. */
#pragma once
#include "step.h"

/* One member of the pool. */
void warm_member_step(struct step *t, struct state_autoscaling_member *m, const struct ec2_seen *e);
/* As many as are wanted: launches, or ends. */
void warm_pool_step(struct step *t);
/* A member of the pool comes into the group. False: there is none that could. */
bool warm_take(struct step *t, struct str cause);
/* A member goes back to the pool instead of ending. False: the pool does not take it. */
bool warm_give(struct step *t, struct state_autoscaling_member *m, struct str cause);
/* Its hooks are over. */
void warm_returned(struct step *t, struct state_autoscaling_member *m);
int64_t warm_wanted(const struct state_autoscaling_group_record *r);
int64_t warm_count(const struct state_autoscaling_group_record *r, bool ending);

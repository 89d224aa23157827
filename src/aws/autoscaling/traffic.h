/* Target groups of load balancers that a group's members are targets of: who serves is registered, who leaves is taken out and
 * drained first. Classic load balancers and other traffic sources are refused. Private to aws/autoscaling. */
#pragma once
#include "step.h"

/* A member that serves: registers it where it is missing. Does a balancer say that it is unhealthy? */
bool traffic_serves(struct step *t, struct state_autoscaling_member *m);
/* A member that leaves: takes it out. True: nobody sends it anything any more. */
bool traffic_left(struct step *t, struct state_autoscaling_member *m);
/* Groups that were detached are forgotten when nobody is registered in them any more. */
void traffic_step(struct step *t);
/* Of CreateAutoScalingGroup: what is given by either member. CALL_FAIL: it cannot be. */
int traffic_take(struct call *c, const struct str_list *arns, const struct autoscaling_traffic_sources *sources,
                 struct autoscaling_auto_scaling_group *g);

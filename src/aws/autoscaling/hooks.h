/* Lifecycle hooks: members wait on their way in and on their way out until somebody says so, or time is up. Private to
 * aws/autoscaling. */
#pragma once
#include "step.h"

/* The member has just begun (or begins to end): its hooks are waited for from now on. */
void hooks_begin(const struct scope *s, struct state_autoscaling_group_record *r, struct state_autoscaling_member *m);
/* May it go on? An abandoned launch becomes a termination: false, and the state has changed. */
bool hooks_passed(struct step *t, struct state_autoscaling_member *m);
/* The same hooks as a group is made with. */
int hooks_add(struct call *c, struct state_autoscaling_group_record *r, const struct autoscaling_lifecycle_hook *given);

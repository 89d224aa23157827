/* Scaling policies. Private to aws/autoscaling. */
#pragma once
#include "rows.h"

extern const struct record_type policy_row;
bool policy_find(const struct scope *s, struct str group, struct str name, struct state_autoscaling_policy_record *ret);
/* By the ARN of one; the parts of it. False: it is none of a group's policy. */
bool policy_of_arn(struct str arn, struct str *ret_group, struct str *ret_name);
/* With the group: nothing of them stays. */
void policies_drop(const struct scope *s, struct str group);

/* policy_run.c: what a policy wants of a group now. */
struct policy_event {
	double value, threshold; /* NaN: there is none */
	bool high;               /* the metric is above what is wanted, else below */
	bool honor_cooldown;
	struct str reason; /* as the cause of activities begins: "a monitor alarm x in state ALARM triggered policy p" */
	struct str alarms; /* JSON; absent: none */
};
/* Changes the group's desired capacity, or says why not: a code and its message. True: it has changed. */
bool policy_run(const struct scope *s, struct state_autoscaling_group_record *r, const struct autoscaling_scaling_policy *p,
                const struct policy_event *e, const char **ret_code, struct str *ret_why);
struct alarm_action_kind;
extern const struct alarm_action_kind policy_alarm_action;

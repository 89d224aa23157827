/* Scaling policies. Private to aws/applicationautoscaling. */
#pragma once
#include "rows.h"

struct alarm_action_kind;
extern const struct alarm_action_kind appscale_alarm_action;
/* By the ARN of one, as alarms have it in their actions. */
bool appscale_policy_of_arn(const struct appscale *s, struct str arn, struct state_applicationautoscaling_policy_record *ret);
struct policies {
	struct state_applicationautoscaling_policy_record *v;
	uint32_t n;
	bool set;
};
struct policies appscale_policies_of(const struct appscale *s, const struct resource *of);
/* Its steps as engine/scaling/adjust.h has them. */
struct adjust_step *appscale_policy_steps(struct arena *a,
                                          const struct application_autoscaling_step_scaling_policy_configuration *conf);

/* What a group may be asked to be. Private to aws/autoscaling. */
#pragma once
#include "rows.h"

/* What CreateAutoScalingGroup and UpdateAutoScalingGroup share, in one form; absent: as it is (or its default). */
struct group_wish {
	struct str configuration;
	const struct autoscaling_launch_template_specification *template;
	const struct autoscaling_mixed_instances_policy *mixed;
	struct opt_int min, max, desired, cooldown, grace, lifetime, warmup;
	const struct str_list *zones, *zone_ids, *termination;
	struct str health, placement_group, subnets, role, desired_type, deletion, context;
	struct opt_bool protect, rebalance;
	const struct autoscaling_instance_maintenance_policy *maintenance;
	const struct autoscaling_availability_zone_distribution *distribution;
	const struct autoscaling_availability_zone_impairment_policy *impairment;
	const struct autoscaling_capacity_reservation_specification *reservation;
	const struct autoscaling_instance_lifecycle_policy *lifecycle;
};
/* Writes the wish into the group, with its defaults where it is new. CALL_FAIL: it cannot be. */
int group_apply(struct call *c, const struct group_wish *w, bool new, struct autoscaling_auto_scaling_group *g);
/* Of a desired configuration: one of both is given. Looked up, and as the group would keep it. */
int group_check_source(struct call *c, const struct autoscaling_launch_template_specification *template,
                       const struct autoscaling_mixed_instances_policy *mixed,
                       struct autoscaling_launch_template_specification **ret_template,
                       struct autoscaling_mixed_instances_policy **ret_mixed);
int group_tags_check(struct call *c, const struct autoscaling_tags *tags);

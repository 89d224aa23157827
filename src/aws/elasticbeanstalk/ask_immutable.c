/* Questions about a second group of instances, and a second group of targets, as long as a deployment needs them. */
#include "environment.h"

#include "core/cloud.h"
#include "gen/autoscaling.h"
#include "gen/elbv2.h"

static void ask_of(const struct question *q, const struct api *api, const char *operation, const void *in)
{
	call_op(q->cloud, q->owner, q->region, api, operation, in, q->done, q->ctx);
}

/* Those at a place, as many as one question can be about. */
static struct str_list at(struct arena *a, const struct environment_record *r, int64_t place)
{
	struct str_list l = {.set = true};
	for (uint32_t i = 0; i < r->members.n && l.n < MEMBERS_MOVED_MAX; i++)
		if (r->members.v[i].place.v == place)
			*LIST_ADD(a, &l) = r->members.v[i].instance;
	return l;
}

static void set_sizes(const struct question *q, struct arena *a, const struct environment_record *r)
{
	ask_of(q, &autoscaling_api, "UpdateAutoScalingGroup",
	       &(struct autoscaling_update_auto_scaling_group_type){.auto_scaling_group_name = environment_other_scaling_name(a, r),
	                                                            .desired_capacity = r->extra});
}

/* For those that are there and those that come. */
static void make_room(const struct question *q, struct arena *a, const struct environment_record *r)
{
	int64_t most = option_number(r, "aws:autoscaling:asg", "MaxSize"), needed = r->members.n;
	ask_of(q, &autoscaling_api, "UpdateAutoScalingGroup",
	       &(struct autoscaling_update_auto_scaling_group_type){.auto_scaling_group_name = environment_scaling_name(a, r),
	                                                            .max_size = OPT_INT(needed > most ? needed : most)});
}

static void register_targets(const struct question *q, struct arena *a, const struct environment_record *r)
{
	struct elbv2_register_targets_input in = {.target_group_arn = r->other_targets, .targets.set = true};
	for (uint32_t i = 0; i < r->members.n; i++)
		if (r->members.v[i].place.v == PLACE_OTHER)
			LIST_ADD(a, &in.targets)->id = r->members.v[i].instance;
	ask_of(q, &elbv2_api, "RegisterTargets", &in);
}

/* All to the one group, or shares of a hundred to both. */
static void set_shares(const struct question *q, struct arena *a, const struct environment_record *r)
{
	struct elbv2_modify_listener_input in = {.listener_arn = r->listener, .default_actions.set = true};
	struct elbv2_action *to = LIST_ADD(a, &in.default_actions);
	struct elbv2_forward_action_config forward = {.target_groups.set = true};
	*to = (struct elbv2_action){.type = S("forward")};
	if (r->share.set) {
		*LIST_ADD(a, &forward.target_groups) = (struct elbv2_target_group_tuple){r->targets, OPT_INT(100 - r->share.v)};
		*LIST_ADD(a, &forward.target_groups) = (struct elbv2_target_group_tuple){r->other_targets, r->share};
		to->forward_config = &forward;
	} else {
		to->target_group_arn = r->targets;
	}
	ask_of(q, &elbv2_api, "ModifyListener", &in);
}

void environment_ask_immutable(const struct question *q, struct arena *a, const struct environment_record *r, enum ask_kind kind)
{
	const struct state_elasticbeanstalk_member *old = member_old(r);
	switch (kind) {
	case ASK_OTHER_SIZES:
		set_sizes(q, a, r);
		break;
	case ASK_ROOM:
		make_room(q, a, r);
		break;
	case ASK_DETACH:
		ask_of(q, &autoscaling_api, "DetachInstances",
		       &(struct autoscaling_detach_instances_query){.auto_scaling_group_name = environment_other_scaling_name(a, r),
		                                                    .instance_ids = at(a, r, PLACE_OTHER),
		                                                    .should_decrement_desired_capacity = OPT_BOOL(true)});
		break;
	case ASK_ATTACH_MEMBERS:
		ask_of(q, &autoscaling_api, "AttachInstances",
		       &(struct autoscaling_attach_instances_query){.auto_scaling_group_name = environment_scaling_name(a, r),
		                                                    .instance_ids = at(a, r, PLACE_NONE)});
		break;
	case ASK_DROP_OLD:
		ask_of(q, &autoscaling_api, "TerminateInstanceInAutoScalingGroup",
		       &(struct autoscaling_terminate_instance_in_auto_scaling_group_type){
		               .instance_id = old ? old->instance : S("i-0"), .should_decrement_desired_capacity = OPT_BOOL(true)});
		break;
	case ASK_REPLACE: /* the group brings another one */
		old = batches_leaving(r);
		ask_of(q, &autoscaling_api, "TerminateInstanceInAutoScalingGroup",
		       &(struct autoscaling_terminate_instance_in_auto_scaling_group_type){
		               .instance_id = old ? old->instance : S("i-0"),
		               .should_decrement_desired_capacity = OPT_BOOL(false)});
		break;
	case ASK_DROP_OTHER_SCALING:
		ask_of(q, &autoscaling_api, "DeleteAutoScalingGroup",
		       &(struct autoscaling_delete_auto_scaling_group_type){
		               .auto_scaling_group_name = environment_other_scaling_name(a, r), .force_delete = OPT_BOOL(true)});
		break;
	case ASK_OTHER_REGISTER:
		register_targets(q, a, r);
		break;
	case ASK_SHARES:
		set_shares(q, a, r);
		break;
	case ASK_OTHER_HEALTH:
		ask_of(q, &elbv2_api, "DescribeTargetHealth",
		       &(struct elbv2_describe_target_health_input){.target_group_arn = r->other_targets});
		break;
	default: /* ASK_DROP_OTHER_TARGETS */
		ask_of(q, &elbv2_api, "DeleteTargetGroup",
		       &(struct elbv2_delete_target_group_input){.target_group_arn = r->other_targets});
		break;
	}
}

/* Fleets of EC2: one call that has a target capacity launched over several types, subnets and prices. An instant one launches once
 * and answers with what came of it; one of type maintain keeps its target, one of type request launches it when it can. The
 * instances carry the tag aws:ec2:fleet-id, by which they are found, whatever died meanwhile. Private to aws/ec2. */
#pragma once
#include "aws/ec2/desk.h"

#define FLEET_TAG "aws:ec2:fleet-id"

extern const struct ec2_kind ec2_kind_fleet;
/* The fleet that an instance is of; absent: none. */
struct str fleet_of(const struct ec2_instance *i);

/* fleet.c. The desk's step: a launch that a restart cut off is settled by what runs; what is over is forgotten after two
 * days. */
void fleet_step(struct desk_item *i, const struct ec2_scope *s);
/* In the step of an instance that has ended or is about to: its fleet looks at it. */
void fleet_instance_ends(struct desk_item *i, const struct ec2_instance *instance);

/* fleet_launch.c. Is the fleet being launched just now? */
bool fleet_launch_is_under_way(const struct desk *d, struct str fleet);
void fleet_launches_forget(struct desk *d);

ec2_create_fleet_handler ec2_create_fleet;
ec2_delete_fleets_handler ec2_delete_fleets;
ec2_describe_fleets_handler ec2_describe_fleets;
ec2_describe_fleet_history_handler ec2_describe_fleet_history;
ec2_describe_fleet_instances_handler ec2_describe_fleet_instances;
ec2_modify_fleet_handler ec2_modify_fleet;

/* Fleets of EC2 (CreateFleet): one call that launches a target capacity over several types, subnets and prices. Only instant ones
 * are there: they launch once and answer with what came of it. The instances carry the tag aws:ec2:fleet-id, by which they are
 * found, whatever died meanwhile. Private to aws/ec2. */
#pragma once
#include "aws/ec2/desk.h"

#define FLEET_TAG "aws:ec2:fleet-id"

extern const struct ec2_kind ec2_kind_fleet;

/* fleet.c. The desk's step: a launch that a restart cut off is settled by what runs; what is over is forgotten after two
 * days. */
void fleet_step(struct desk_item *i, const struct ec2_scope *s);

/* fleet_launch.c. Is the fleet being launched just now? */
bool fleet_launch_is_under_way(const struct desk *d, struct str fleet);
void fleet_launches_forget(struct desk *d);

ec2_create_fleet_handler ec2_create_fleet;
ec2_delete_fleets_handler ec2_delete_fleets;
ec2_describe_fleets_handler ec2_describe_fleets;

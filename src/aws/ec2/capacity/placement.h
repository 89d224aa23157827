/* Placement groups and what they mean for instances. Private to aws/ec2. */
#pragma once
#include "aws/ec2/compute.h"

extern const struct ec2_kind ec2_kind_placement_group;

/* Where the instances of one launch go. */
struct placement {
	struct ec2_placement_group group; /* group_name absent: none */
	struct opt_int partition;         /* asked for */
	int64_t in_zone;                  /* instances of the group there already */
	int64_t of_partition[8];          /* by partition number */
};
/* What a launch or a change asks for, checked. zone and type: of the instances; name and id of the group: absent or empty for none.
 */
int placement_take(struct call *c, struct str name, struct str id, struct opt_int partition, struct str zone,
                   const struct instance_type *type, struct placement *ret);
/* As RunInstances asks for it; tenancies other than the default are refused. */
int placement_of_launch(struct call *c, const struct ec2_placement *asked, struct str zone, const struct instance_type *type,
                        struct placement *ret);
/* How many more instances the group takes in the zone, at most `room`. */
int64_t placement_room(const struct placement *p, int64_t room);
/* Puts one more instance into it. */
void placement_put(struct placement *p, struct ec2_placement *ret);

ec2_create_placement_group_handler ec2_create_placement_group;
ec2_delete_placement_group_handler ec2_delete_placement_group;
ec2_describe_placement_groups_handler ec2_describe_placement_groups;
ec2_modify_instance_placement_handler ec2_modify_instance_placement;

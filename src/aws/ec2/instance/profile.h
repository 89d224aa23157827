/* The instance profile of an instance, as an association with an id. Private to aws/ec2. */
#pragma once
#include "aws/ec2/instance/run.h"

/* The instance has the profile that its record names from now on, by a new association; none: nothing. The caller puts r. */
void profile_given(struct call *c, struct state_ec2_instance_record *r);

ec2_associate_iam_instance_profile_handler ec2_associate_iam_instance_profile;
ec2_describe_iam_instance_profile_associations_handler ec2_describe_iam_instance_profile_associations;
ec2_disassociate_iam_instance_profile_handler ec2_disassociate_iam_instance_profile;
ec2_replace_iam_instance_profile_association_handler ec2_replace_iam_instance_profile_association;

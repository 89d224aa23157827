/* Instance types by their attributes. Private to aws/ec2. */
#pragma once
#include "aws/ec2/compute.h"

ec2_get_instance_types_from_instance_requirements_handler ec2_get_instance_types_from_instance_requirements;
ec2_get_spot_placement_scores_handler ec2_get_spot_placement_scores;

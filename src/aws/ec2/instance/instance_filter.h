/* The filters of DescribeInstances: they see an instance as it is shown, what its reservation says and its interfaces' own records.
 * Private to aws/ec2. */
#pragma once
#include "aws/ec2/compute.h"
#include "aws/ec2/filter.h"

struct ec2_shown {
	struct ec2_instance *instance; /* first, as the kind's records have it */
	const struct state_ec2_instance_record *record;
};
extern const struct ec2_field ec2_instance_fields[]; /* of a struct ec2_shown */

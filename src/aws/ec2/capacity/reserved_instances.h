/* Reserved instances: places' prices bought in advance. What was bought is a fact of the meter's (core/meter.h), which Cost
 * Explorer sets against usage; nothing else of EC2 asks for it. Private to aws/ec2. */
#pragma once
#include "aws/ec2/ec2.h"
#include "aws/ec2/state.h"

ec2_describe_reserved_instances_offerings_handler ec2_describe_reserved_instances_offerings;
ec2_purchase_reserved_instances_offering_handler ec2_purchase_reserved_instances_offering;
ec2_describe_reserved_instances_handler ec2_describe_reserved_instances;

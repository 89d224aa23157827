#include "aws/ec2/vpc.h"

bool ec2_default_vpc(struct call *c, struct state_vpc_vpc_record *ret)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_all all = ec2_all(&s, &ec2_kind_vpc);
	while (ec2_next(&all, ret))
		if (ret->vpc->is_default.v)
			return true;
	return false;
}

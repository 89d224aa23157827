/* EC2's table of operations, its beginning and its end. */
#include "aws/ec2/tag.h"
#include "aws/ec2/vpc.h"
#include "base/log.h"

#include <stdlib.h>

#define ROW(c_name, name, ...) OP(ec2, c_name, name, .resource = ec2_resource, ##__VA_ARGS__)
#define READ .flags = OP_READ

static const struct service_op ops[] = {
        ROW(create_tags, CreateTags),
        ROW(delete_tags, DeleteTags),
        ROW(describe_account_attributes, DescribeAccountAttributes, READ,
            .missing = "max-instances and the attributes of EC2-Classic"),
        ROW(describe_availability_zones, DescribeAvailabilityZones, READ, .missing = "local and wavelength zones"),
        ROW(describe_regions, DescribeRegions, READ, .missing = "regions that have to be opted in to"),
        ROW(describe_tags, DescribeTags, READ),
};

struct ec2_state *ec2_state(const struct call *c)
{
	return cloud_state(c->cloud, &ec2_service);
}

static int ec2_start(struct cloud *cloud, void **ret_state)
{
	struct ec2_state *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory (ec2)");
	s->cloud = cloud;
	*ret_state = s;
	return 0;
}

static void ec2_stop(void *state)
{
	free(state);
}

const struct service ec2_service = {
        .api = &ec2_api,
        .iam_prefix = "ec2",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(ops[0]),
        .around = ec2_run,
        .start = ec2_start,
        .stop = ec2_stop,
};

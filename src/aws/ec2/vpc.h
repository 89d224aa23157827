/* What the nouns of a VPC share: quotas, addresses and blocks, look-ups from one noun to another, handlers. Private to aws/ec2. */
#pragma once
#include "aws/ec2/interface.h"
#include "aws/ec2/state.h"

/* Amazon's default quotas. */
enum {
	EC2_VPCS_MAX = 5,
	EC2_VPC_BLOCKS_MAX = 5,
	EC2_SUBNETS_MAX = 200,      /* of a VPC */
	EC2_ROUTE_TABLES_MAX = 200, /* of a VPC */
	EC2_ROUTES_MAX = 50,
	EC2_GATEWAYS_MAX = 5,
	EC2_NATS_MAX = 5,       /* of a zone */
	EC2_ACLS_MAX = 200,     /* of a VPC */
	EC2_ACL_RULES_MAX = 20, /* in each direction */
	EC2_GROUPS_MAX = 2500,
	EC2_GROUP_RULES_MAX = 60, /* in each direction */
	EC2_INTERFACE_GROUPS_MAX = 5,
	EC2_INTERFACE_ADDRESSES_MAX = 15, /* what the network takes: fewer than most instance types have */
	EC2_ADDRESSES_MAX = 5,
};

/* The default VPC of the scope; false: it was deleted. */
bool ec2_default_vpc(struct call *c, struct state_vpc_vpc_record *ret);

ec2_describe_account_attributes_handler ec2_describe_account_attributes;
ec2_describe_availability_zones_handler ec2_describe_availability_zones;
ec2_describe_regions_handler ec2_describe_regions;

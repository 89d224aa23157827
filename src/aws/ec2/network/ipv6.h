/* IPv6 of VPCs, subnets and interfaces: what the nouns' own files call. Blocks of VPCs are /56s of unique local addresses (RFC
 * 4193), drawn at random: nobody else's networks have them, no two VPCs of any cloud share one, and programs prefer IPv4 for the
 * world outside, where these addresses do not lead. Private to aws/ec2. */
#pragma once
#include "aws/ec2/network/block6.h"
#include "aws/ec2/network/vpc.h"

enum { EC2_VPC_BLOCKS6_MAX = 5 };

/* Of a request that wants a block: UnsupportedOperation for what is not Amazon's, InvalidParameterValue for another border group.
 */
int ec2_vpc_check_ipv6(struct call *c, struct str block, struct str pool, struct str ipam, struct str border_group);
/* Adds a block with the routes and rules that Amazon adds with it. Nothing is put but those: the VPC is the caller's. */
struct ec2_vpc_ipv6_cidr_block_association *ec2_vpc_add_ipv6(struct call *c, struct ec2_vpc *vpc);
/* Removes the association `at`; CALL_FAIL: a subnet has some of it. */
int ec2_vpc_drop_ipv6(struct call *c, struct state_vpc_vpc_record *vpc, uint32_t at,
                      struct ec2_vpc_ipv6_cidr_block_association **ret);
/* The blocks are free again. */
void ec2_vpc_forget_ipv6(const struct ec2_scope *s, const struct ec2_vpc *vpc);
bool ec2_vpc_has_block6(const struct ec2_vpc *vpc, const struct ec2_block6 *block); /* lies in one of its blocks? */
bool ec2_vpc_has_ipv6(const struct ec2_scope *s, struct str vpc);

/* A block that a new or existing subnet (absent: none yet) of the VPC may have. CALL_FAIL: InvalidSubnet.Range, .Conflict. */
int ec2_subnet_check_block6(struct call *c, const struct ec2_vpc *vpc, struct str text, struct ec2_block6 *ret);
struct ec2_subnet_ipv6_cidr_block_association *ec2_subnet_add_block6(struct call *c, struct ec2_subnet *subnet,
                                                                     const struct ec2_block6 *block);
bool ec2_subnet_block6(const struct ec2_subnet *subnet, struct ec2_block6 *ret);
/* As ec2_subnet_reserved(). */
struct ec2_reserved6 {
	struct ec2_block6 *v;
	uint32_t n;
};
struct ec2_reserved6 ec2_subnet_reserved6(const struct ec2_scope *s, struct str subnet);

/* Addresses that an interface is to have beside its IPv4 ones. */
int ec2_interface_check_ipv6(struct call *c, const struct str_list *given, struct opt_int count);
int ec2_interface_add_ipv6(struct call *c, struct ec2_network_interface *eni, const struct ec2_subnet *subnet,
                           const struct str_list *given, int64_t count, struct str_list *ret_added);
/* All of an interface that goes. */
void ec2_interface_forget_ipv6(const struct ec2_scope *s, struct ec2_network_interface *eni);
struct str_list ec2_addresses6_of(struct arena *a, const struct ec2_instance_ipv6_address_list *l);

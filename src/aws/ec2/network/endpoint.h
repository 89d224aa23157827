/* Gateway endpoints of VPCs, to S3. An endpoint is an entry in route tables: from the subnets of these S3's names lead to an
 * address inside the VPC (engine/net/network.h: NETWORK_SERVICE_ADDRESS), where the cloud itself listens and says of each request
 * through which endpoint it came. endpoint.c has the operations, endpoint_find.c what comes through. Private to aws/ec2. */
#pragma once
#include "aws/ec2/state.h"

extern const struct ec2_kind ec2_kind_endpoint;

/* Amazon's own prefix list of S3, and what is in it here. */
#define EC2_SERVICE_LIST "pl-63a5400a"
#define EC2_SERVICE_BLOCK "192.0.0.64/26"
bool ec2_is_service_list(struct str prefix_list);
/* Has the VPC an endpoint? */
bool ec2_vpc_has_endpoint(const struct ec2_scope *s, struct str vpc);

/* The endpoint that an interface's subnet leads to; false: none. */
bool ec2_endpoint_of(const struct ec2_scope *s, struct str interface, struct ec2_vpc_endpoint *ret);

/* The sockets of VPCs that serve what comes through endpoints. */
struct desk;
struct ec2_doors;
struct ec2_doors *ec2_doors_new(struct desk *desk);
void ec2_doors_free(struct ec2_doors *d);
/* fd is the door's from now on. */
void ec2_doors_open(struct ec2_doors *d, const char *vpc, bool tls, int fd);
void ec2_doors_close(struct ec2_doors *d, struct str vpc);

ec2_create_vpc_endpoint_handler ec2_create_vpc_endpoint;
ec2_delete_vpc_endpoints_handler ec2_delete_vpc_endpoints;
ec2_describe_prefix_lists_handler ec2_describe_prefix_lists;
ec2_describe_vpc_endpoint_services_handler ec2_describe_vpc_endpoint_services;
ec2_describe_vpc_endpoints_handler ec2_describe_vpc_endpoints;
ec2_modify_vpc_endpoint_handler ec2_modify_vpc_endpoint;

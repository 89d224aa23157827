/* What VPCs' resolvers say of their own: names of private and public addresses, and the way back. Private to aws/ec2. */
#pragma once
#include "aws/ec2/desk.h"
#include "engine/dns/dns.h"

struct ec2_names;
struct ec2_names *ec2_names_new(struct desk *desk);
void ec2_names_free(struct ec2_names *n); /* NULL is harmless */
/* A VPC has been deleted. */
void ec2_names_forget(struct ec2_names *n, struct str vpc);
/* For the table of engine/dns, with the names as ctx. */
enum dns_said ec2_names_ask(void *ctx, const char *vpc, uint32_t peer, const struct dns_query *q, struct dns_writer *w);

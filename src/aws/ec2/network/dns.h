/* What VPCs' resolvers say of their own: names of private and public addresses, and the way back. Private to aws/ec2. */
#pragma once
#include "aws/ec2/desk.h"
#include "engine/dns/dns.h"

struct ec2_names;
struct ec2_names *ec2_names_new(struct desk *desk);
void ec2_names_free(struct ec2_names *n); /* NULL is harmless */
/* A VPC has been deleted. */
void ec2_names_forget(struct ec2_names *n, struct str vpc);
/* An interface answers from now on as the resolver of its VPC does, whoever reaches it: the place that it is in engine/dns. */
void ec2_names_open(struct ec2_names *n, const char *interface, const char *vpc);
void ec2_names_close(struct ec2_names *n, const char *interface);
/* For the table of engine/dns, with the names as ctx. */
enum dns_said ec2_names_ask(void *ctx, const char *vpc, uint32_t peer, const struct dns_query *q, struct dns_writer *w);

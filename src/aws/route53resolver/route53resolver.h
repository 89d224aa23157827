/* Route 53 Resolver's face for EC2, whose resolvers of VPCs ask it before they answer. From memory alone. */
#pragma once
#include "core/cloud.h"
#include "engine/dns/dns.h"

/* Which rule of a VPC leads this name (on the wire, in lower case) elsewhere, if the innermost of those that have it does: the
 * labels of its domain, and where to in *ret; -1: none. */
int resolver_rule(const struct cloud *cloud, struct str vpc, const uint8_t *name, struct dns_way *ret);
/* A question came in at an endpoint's interface, or leaves by one, once. */
void resolver_count(const struct cloud *cloud, const char *interface);
/* Does the VPC answer for the names of its own addresses? */
bool resolver_reverse(const struct cloud *cloud, struct str vpc);

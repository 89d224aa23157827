/* Load balancers for other services: the names that they have in DNS. Answers come from memory; nothing is read. */
#pragma once
#include "core/cloud.h"
#include "engine/dns/dns.h"

/* vpc: whose resolver asks; absent: this machine's responder. Within its own VPC a balancer is at its private addresses, elsewhere
 * at its public ones, where it has some. DNS_NOT_MINE: no balancer is called so. */
enum dns_said elbv2_answer(const struct cloud *cloud, struct str vpc, const struct dns_query *q, struct dns_writer *w);
/* The same for an alias: 4 bytes of each address (of type A) in the order of the wire. How many, at most `max`; -1: there is no
 * such balancer. *ret_healthy: each of its target groups has a healthy target. name: on the wire, in lower case. */
int elbv2_addresses(const struct cloud *cloud, struct str vpc, const uint8_t *name, uint16_t type, uint8_t (*out)[16], int max,
                    bool *ret_healthy);
/* Is there a balancer with this name in this hosted zone? */
bool elbv2_is_alias(const struct cloud *cloud, struct str zone_id, const uint8_t *name);

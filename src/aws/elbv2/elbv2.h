/* Load balancers for other services: the names that they have in DNS, answered from memory, and target groups for those who
 * register what they run (registered.c). */
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
/* By its name as a text, in host byte order. vpc: as above. How many, at most `max`; 0: there are none, or no such balancer. */
unsigned elbv2_named_addresses(const struct cloud *cloud, struct str vpc, struct str name, uint32_t *out, unsigned max);
/* Is there a balancer with this name in this hosted zone? */
bool elbv2_is_alias(const struct cloud *cloud, struct str zone_id, const uint8_t *name);

/* Where this machine reaches a balancer by a name that browsers and curl take for this machine's own: NAME-ID.REGION.elb.localhost,
 * and NAME-ID.elb.REGION.localhost of network balancers. A node's public address and the first port of a listener for HTTP or TCP,
 * both in host byte order. -ENOENT: no balancer is called so; -EHOSTUNREACH: it has no such listener, or no public address. */
int elbv2_find_local(struct cloud *cloud, struct str host, uint32_t *ret_address, uint16_t *ret_port);
/* Can such a name only be a balancer's? Hosts in lower case and without a port. */
bool elbv2_is_local_name(struct str host);

/* --- registered.c: reads and writes with the scope's transaction, in its arena */
struct elbv2_scope {
	struct store_txn *txn;
	struct arena *arena;
	struct cloud *cloud;
	struct str account, region;
	int64_t now_ms;
};
struct elbv2_group_seen {
	struct str vpc, type; /* "ip", "instance" */
	bool used;            /* a rule of a balancer leads to it */
};
/* False: there is no such target group. */
bool elbv2_see_group(const struct elbv2_scope *s, struct str arn, struct elbv2_group_seen *ret);

struct elbv2_target {
	struct str id;   /* of an instance, or an address */
	struct str zone; /* of an address */
	int64_t port;    /* 0: the group's */
};
/* Does nothing to a target that is there and does not drain. False: the group is gone, or full. */
bool elbv2_register(const struct elbv2_scope *s, struct str arn, const struct elbv2_target *t);
/* Until when it drains, and what is there should stay; 0: nobody uses it. Harmless where it is not registered. */
int64_t elbv2_deregister(const struct elbv2_scope *s, struct str arn, const struct elbv2_target *t);
enum elbv2_health { ELBV2_ABSENT, ELBV2_UNUSED, ELBV2_INITIAL, ELBV2_HEALTHY, ELBV2_UNHEALTHY };
/* ABSENT: it is not registered, or drains. UNUSED: no balancer asks it. *ret_why: as DescribeTargetHealth describes it. */
enum elbv2_health elbv2_target_health(const struct elbv2_scope *s, struct str arn, const struct elbv2_target *t,
                                      struct str *ret_why);

/* Cloud Map's face for other services: instances that ECS registers, and the names that VPCs' resolvers answer. What the functions
 * give lives in the arena of the scope. */
#pragma once
#include "core/call.h"
#include "engine/dns/dns.h"

/* Whose services, in which transaction: a call's, or a reconciler's. */
struct discovery_scope {
	struct store_txn *txn;
	struct arena *arena;
	struct str account, region;
};

/* A service of Cloud Map, which something of ECS is registered in. */
struct discovery_service {
	struct str id, vpc;   /* vpc absent: its names are answered by no resolver */
	bool address, target; /* it has A records; SRV records */
	bool health;          /* it is told whether instances are well */
};
/* False: there is none with this ARN here. */
bool discovery_find(const struct discovery_scope *s, struct str arn, struct discovery_service *ret);
/* Registers an instance, or changes one. healthy: as of now; it means nothing to a service that is not told. False: the service is
 * gone. */
bool discovery_put(const struct discovery_scope *s, struct str service, struct str instance, const struct str_map *attributes,
                   bool healthy);
/* Harmless when it is gone. */
void discovery_drop(const struct discovery_scope *s, struct str service, struct str instance);

/* --- connect.c: Service Connect's names */
struct discovery_namespace {
	struct str id, name, arn;
};
/* By name, id or ARN. False: there is none. */
bool discovery_find_namespace(const struct discovery_scope *s, struct str text, struct discovery_namespace *ret);
/* Makes an HTTP namespace of this name, unless there is one with it. */
int discovery_make_namespace(struct call *c, struct str name, struct discovery_namespace *ret);
/* The ARN of the service of this name in it, which is told whether instances are well; made when it is missing. */
struct str discovery_make_service(const struct discovery_scope *s, struct str namespace, struct str name, int64_t now_ms);
/* With all its instances. Harmless when it is gone. */
void discovery_retire_service(const struct discovery_scope *s, struct str arn);
/* Where the healthy instances of a service are: "ADDRESS:PORT". */
struct str_list discovery_endpoints(const struct discovery_scope *s, struct str arn);
/* Below it lies what changes when instances do. */
struct str discovery_changes_under(const struct discovery_scope *s);

/* The innermost of a VPC's namespaces that has a name; absent: none has. */
struct str discovery_zone_of(const struct discovery_scope *s, struct str vpc, struct str name);
/* What a resolver of a VPC says of a name in one of its namespaces. DNS_NOT_MINE: it is in none of them. */
enum dns_said discovery_answer(const struct discovery_scope *s, struct str vpc, const struct dns_query *q, struct dns_writer *w);

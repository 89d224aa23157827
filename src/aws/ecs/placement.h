/* Which container instance a task goes to: a decision over facts alone, so that every case can be tried. Private to aws/ecs. */
#pragma once
#include "base/arena.h"

struct placement_query;

struct placement_pair {
	struct str name, value;
};
struct placement_port {
	int64_t port;
	bool udp;
};
/* Where a subnet is. */
struct placement_site {
	struct str subnet, vpc, zone;
};
/* A task that is on a node. */
struct placement_task {
	struct str group;
};
/* What is known of one container instance. */
struct placement_node {
	struct str id, arn, ec2_id, status, agent_version;
	bool connected;
	int64_t registered_ms, cpu, memory, running; /* cpu and memory: what is left */
	int64_t interfaces;                          /* that it could still be given */
	struct placement_pair *attributes;
	uint32_t attribute_count;
	struct placement_port *ports; /* that are taken */
	uint32_t port_count;
	struct placement_task *tasks;
	uint32_t task_count;
};

enum { PLACEMENT_QUERIES = 20, PLACEMENT_STRATEGIES = 5 };
enum placement_by { PLACE_RANDOM, PLACE_BINPACK_CPU, PLACE_BINPACK_MEMORY, PLACE_SPREAD };
struct placement_strategy {
	enum placement_by by;
	struct str field; /* of PLACE_SPREAD: an attribute; absent: each instance for itself */
};
struct placement_need {
	int64_t cpu, memory, interfaces;
	struct placement_site *sites; /* of the subnets that it may be in; none: anywhere */
	uint32_t site_count;
	struct placement_port *ports;
	uint32_t port_count;
	struct str *attributes; /* that the agent must have */
	uint32_t attribute_count;
	struct str group;
	bool distinct;
	const struct placement_query *queries[PLACEMENT_QUERIES];
	uint32_t query_count;
	struct placement_strategy strategies[PLACEMENT_STRATEGIES];
	uint32_t strategy_count;
};

/* Why the node cannot take the task, in ECS's words; NULL: it can. */
const char *placement_refuses(struct arena *scratch, const struct placement_node *n, const struct placement_need *need);
/* The node that the strategies choose; NULL: none can take it. random: decides among equals. */
struct placement_node *placement_choose(struct arena *scratch, struct placement_node *nodes, uint32_t n,
                                        const struct placement_need *need, uint64_t random);
/* The first site that is the node's, from one on, round about; NULL: none is. */
const struct placement_site *placement_site(const struct placement_node *n, const struct placement_need *need, uint32_t from);
struct str placement_attribute(const struct placement_node *n, struct str name, bool *ret_there);

/* --- placement_query.c: the cluster query language */
/* NULL: it is no expression, *ret_why says why. Lives as long as its arena; text is copied. */
const struct placement_query *placement_query_parse(struct arena *a, struct str text, const char **ret_why);
bool placement_query_fits(struct arena *scratch, const struct placement_query *q, const struct placement_node *n);

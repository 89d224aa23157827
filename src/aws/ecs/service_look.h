/* One look at a service: counts what there is of it, decides (rollout.h), stops tasks and writes what is shown, all in one
 * transaction; what is to be started is left to the scheduler, which calls RunTask after it. Private to aws/ecs. */
#pragma once
#include "scheduled.h"
#include "zones.h"

/* From look to look: what the scheduler knows of a service, and what the look tells it. */
struct roster;
struct service_look {
	struct str cluster, name;
	struct roster *roster; /* of agents */
	struct cloud *cloud;
	/* What came of the last start: told in an event. */
	struct str started, trouble;
	int64_t started_count, not_before_ms; /* no start before */
	/* Of this look: what is to be started, by what, and when to look again; 0: nothing, not by itself. */
	int64_t start;
	struct ecs_run_task_request request;
	int64_t wake_ms;
};
void service_look(struct service_look *l, const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms);
/* Looks again at that time, unless it is done earlier anyway. */
void service_look_at(struct service_look *l, int64_t at_ms);

/* --- service_view.c: what there is of each deployment; the primary is 0 */
enum { VIEW_DEPLOYMENTS = 32 };
struct service_seen {
	struct state_ecs_task_record record;
	uint32_t deployment;
	enum { SEEN_PENDING, SEEN_SETTLING, SEEN_HEALTHY, SEEN_UNHEALTHY } as;
	bool protected, leaving; /* leaving: its container instance is drained */
	/* SEEN_UNHEALTHY as a target: of which group, at which port, and why. */
	struct str sick_group, sick_why;
	int64_t sick_port;
};
struct service_view {
	struct service_seen *v;
	uint32_t n;
	int64_t running[VIEW_DEPLOYMENTS], pending[VIEW_DEPLOYMENTS];
	int64_t newest_healthy_ms; /* when the newest healthy task of the primary deployment began to run */
	int64_t joined, left;      /* tasks that were registered with load balancers, and deregistered, since the last look */
	bool unproven;             /* a task of the primary deployment has a check that was not passed yet */
};
/* Counts failed starts too, each once. */
struct service_view service_view(struct service_look *l, const struct ecs_scope *s, struct state_ecs_service_record *r,
                                 int64_t now_ms);
struct rollout_count service_view_count(const struct service_view *view, bool primary);

/* --- service_zones.c: the zones of the service's subnets, with a subnet and the primary's tasks of each; on container instances
 * those where some are that may run its tasks */
struct service_zones {
	struct str zone[ZONES_MAX], subnet[ZONES_MAX];
	int64_t tasks[ZONES_MAX];
	uint32_t n;
};
struct service_zones service_zones(const struct service_look *l, const struct ecs_scope *s,
                                   const struct state_ecs_service_record *r, const struct ecs_network_configuration *network,
                                   const struct service_view *view);
/* The network with a subnet for each of `count` tasks. There is a zone at least. */
struct ecs_network_configuration *service_zone_subnets(struct arena *a, const struct ecs_network_configuration *network,
                                                       struct service_zones zones, int64_t count);
/* While tasks are moved, one more than desired is wanted. */
struct rollout_view;
void service_rebalance(const struct service_look *l, const struct ecs_scope *s, struct state_ecs_service_record *r,
                       const struct service_view *view, struct rollout_view *roll, int64_t now_ms);

/* --- service_breaker.c */
void service_start_failed(struct state_ecs_service_record *r, uint32_t deployment, int64_t now_ms);
bool service_gave_up(const struct state_ecs_service_record *r);
void service_give_up(struct state_ecs_service_record *r, struct str why, int64_t now_ms);
/* Is there a deployment that was completed before this one? Then to that one. */
bool service_can_roll_back(const struct state_ecs_service_record *r);
void service_roll_back(const struct ecs_scope *s, struct state_ecs_service_record *r, struct str why, int64_t now_ms);
/* True: the deployment has been given up. */
bool service_break_circuit(const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms);
/* Gives the deployment up, and turns it back where that is wanted. */
void service_fail_deployment(const struct ecs_scope *s, struct state_ecs_service_record *r, struct str why, struct str back,
                             bool rollback, int64_t now_ms);

/* --- service_alarms.c: alarms that stop a deployment. True: one has, and the deployment has been given up. */
bool service_alarmed(const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms);
/* All tasks are as they should be: for how long alarms are still watched. 0: not any more. */
int64_t service_bake_until(const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms);

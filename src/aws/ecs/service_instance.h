/* Services whose tasks are on container instances: what they ask besides, and what becomes of instances that are left. Private
 * to aws/ecs. */
#pragma once
#include "container_instance.h"
#include "service_look.h"

bool service_on_instances(const struct ecs_service *v);
bool service_is_daemon(const struct ecs_service *v);
/* A definition's reason not to run where the service's tasks run; absent: none. */
struct str service_refuses(struct call *c, const struct ecs_service *v, const struct ecs_task_definition *d);
/* Has each of its tasks a network interface of its own? */
bool service_has_interfaces(struct call *c, const struct ecs_service *v);
/* What container instances cannot do, or only for tasks with interfaces of their own. */
int service_check_names(struct call *c, const struct ecs_service *v, const struct ecs_service_registries *registries,
                        const struct ecs_service_connect_configuration *connect);
/* What is given takes the place of what was. CALL_FAIL: the error is set. */
int service_take_placement(struct call *c, const struct ecs_placement_constraints *constraints,
                           const struct ecs_placement_strategies *strategies, struct ecs_service *v);
/* CreateService with the strategy DAEMON: one on each instance, so nobody says how many; replaced in place. */
int service_take_daemon(struct call *c, const struct ecs_create_service_request *in, struct ecs_service *v);

/* Which of the tasks are on an instance that is drained: they are to be replaced, as those of an older deployment. */
void service_mark_leaving(const struct ecs_scope *s, struct str cluster, struct service_view *view);
/* How many instances a daemon is to run on; and on how many of them nothing of the service is, not even what is stopping. */
struct service_places {
	int64_t all, free;
};
struct service_places service_places(const struct service_look *l, const struct ecs_scope *s,
                                     const struct state_ecs_service_record *r);
/* Adds to a request of tasks what the service says of their places. */
void service_place(struct arena *a, const struct ecs_service *v, struct ecs_run_task_request *request);
/* And that this is to be their zone. */
void service_place_zone(struct arena *a, struct str zone, struct ecs_run_task_request *request);
/* The zones of instances that may run its tasks, each once. How many; at most `max`. */
uint32_t service_instance_zones(const struct service_look *l, const struct ecs_scope *s, const struct state_ecs_service_record *r,
                                struct str *ret, uint32_t max);
/* May its tasks be moved for the balance of zones? Only where nothing else comes first when they are placed. */
bool service_spreads_zones(const struct ecs_service *v);
/* Why a task had no place, as an event goes on behind "was unable to place a task". */
struct str service_trouble(struct arena *a, const struct ecs_failure *f);

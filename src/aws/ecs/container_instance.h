/* Container instances as records, and what is known of their agents. Private to aws/ecs.
 *
 * A record lies under ("ecs", "instance", account, region, cluster, id): AWS's own structure with what was registered. What
 * is left of it and how many tasks it has follow from the tasks and are worked out where they are shown. Whether its agent is
 * connected is in memory alone (roster.c). */
#pragma once
#include "placement.h"
#include "task.h"

struct crew;
struct roster;

/* --- container_rows.c */
bool ecs_instance_find(const struct ecs_scope *s, struct str cluster, struct str id, struct state_ecs_instance_record *ret);
bool ecs_instance_read(struct arena *a, struct str value, struct state_ecs_instance_record *ret);
void ecs_instance_put(const struct ecs_scope *s, struct state_ecs_instance_record *r); /* counts the version up */
void ecs_instance_drop(const struct ecs_scope *s, const struct state_ecs_instance_record *r);
struct str ecs_instances_under(const struct ecs_scope *s, struct str cluster);
struct str ecs_instance_arn(struct arena *a, const struct ecs_scope *s, struct str cluster, struct str id);
/* The id of one that a request names by id or ARN; absent: none of this cluster. */
struct str ecs_instance_id(struct call *c, struct str cluster, struct str text);
int64_t ecs_instance_count(struct call *c, struct str cluster); /* that are not INACTIVE */
/* Is it a task that an agent runs? Then which container instance's id. */
bool ecs_task_is_remote(const struct ecs_task *t);
struct str ecs_task_instance(const struct ecs_task *t);
/* The task has ended, wherever it was on its way: by all edges that lead to STOPPED. The caller puts. */
void ecs_task_end(const struct ecs_scope *s, struct state_ecs_task_record *r, int64_t now_ms);

/* --- placement_view.c: what placement decides over */
/* An integer one: "CPU", "MEMORY"; 0: it has none. */
int64_t ecs_resource_of(const struct ecs_resources *l, const char *name);
struct ecs_nodes {
	struct state_ecs_instance_record *records;
	struct placement_node *v;
	uint32_t n;
};
/* Every container instance of the cluster that is not INACTIVE, with what is left of it. */
struct ecs_nodes ecs_nodes(const struct ecs_scope *s, struct roster *roster, struct str cluster);
/* What one task of this definition takes; group: of the task. */
struct placement_need ecs_need(struct arena *a, const struct ecs_task_definition *d, struct str group);
/* The task is one of the node's from now on. */
void ecs_node_take(struct arena *a, struct placement_node *n, const struct ecs_task *t, const struct ecs_task_definition *d);
struct placement_node ecs_node(const struct ecs_scope *s, struct roster *roster, const struct state_ecs_instance_record *r);
/* A filter or constraint: checked, in the call's arena. CALL_FAIL: the error is set. */
int ecs_expression(struct call *c, struct str text, const struct placement_query **ret);
int ecs_constraints_check(struct call *c, const struct ecs_placement_constraints *in);
int ecs_strategies_check(struct call *c, const struct ecs_placement_strategies *in);

/* --- instance_check.c: why our agent cannot run it; absent: it can. */
struct str ecs_instance_refuses(struct call *c, const struct ecs_task_definition *d);

/* --- roster.c: the agents */
struct roster *roster_new(struct crew *crew);
void roster_free(struct roster *r);
struct roster *roster_of(struct call *c);
bool roster_connected(struct roster *r, struct str id);
/* What it has said of its container runtime. */
struct ecs_container_instance_health_status *roster_health(struct roster *r, struct arena *a, struct str instance);
/* Its agent has just been heard of. */
void roster_heard(struct call *c, struct str id);
/* Something has changed that the agent wants to know. */
void roster_wake(struct roster *r, struct str instance);
/* Its agent is asked what its containers use, and says so at its next call. */
void roster_measure(struct roster *r, struct str instance);

/* --- remote.c: the duty of a task that an agent runs (crew.h) */
struct duty;
void remote_step(struct duty *i, const struct ecs_scope *s, struct state_ecs_task_record *r, int64_t now_ms);
bool remote_advance(struct duty *i, const struct ecs_scope *s, struct state_ecs_task_record *r, int64_t now_ms);
void remote_clear(struct duty *i);

ecs_register_container_instance_handler ecs_register_container_instance;
ecs_deregister_container_instance_handler ecs_deregister_container_instance;
ecs_update_container_agent_handler ecs_update_container_agent;
ecs_describe_container_instances_handler ecs_describe_container_instances;
ecs_list_container_instances_handler ecs_list_container_instances;
ecs_update_container_instances_state_handler ecs_update_container_instances_state;
ecs_put_attributes_handler ecs_put_attributes;
ecs_delete_attributes_handler ecs_delete_attributes;
ecs_list_attributes_handler ecs_list_attributes;
ecs_discover_poll_endpoint_handler ecs_discover_poll_endpoint;
ecs_submit_task_state_change_handler ecs_submit_task_state_change;
ecs_submit_attachment_state_changes_handler ecs_submit_attachment_state_changes;
ecs_submit_container_state_change_handler ecs_submit_container_state_change;
ecs_start_task_handler ecs_start_task;

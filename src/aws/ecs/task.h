/* Tasks as records: what was asked for, how far they have come, and how they are changed. Private to aws/ecs.
 *
 * A record lies under ("ecs", "task", account, region, cluster, id) and holds AWS's own structure, a copy of the task definition
 * with the overrides applied, and what AWS does not show. Whoever changes a status does it by ecs_task_move(). */
#pragma once
#include "rows.h"

enum ecs_status {
	ECS_PROVISIONING, /* its network interface is being put in place */
	ECS_PENDING,      /* images, secrets, containers */
	ECS_ACTIVATING,   /* every container has started */
	ECS_RUNNING,
	ECS_DEACTIVATING, /* to be stopped */
	ECS_STOPPING,     /* its containers are being stopped */
	ECS_DEPROVISIONING,
	ECS_STOPPED,
};

/* Whose tasks, in which transaction: a call's, or a reconciler's. */
struct ecs_scope {
	struct store_txn *txn;
	struct arena *arena;
	struct str account, region;
};
struct ecs_scope ecs_scope(struct call *c);

/* --- task_rows.c */
struct str ecs_task_key(const struct ecs_scope *s, struct str cluster, struct str id);
struct str ecs_tasks_under(const struct ecs_scope *s, struct str cluster);
bool ecs_task_find(const struct ecs_scope *s, struct str cluster, struct str id, struct state_ecs_task_record *ret);
bool ecs_task_read(struct arena *a, struct str value, struct state_ecs_task_record *ret);
void ecs_task_put(const struct ecs_scope *s, struct state_ecs_task_record *r); /* counts the version up */
/* news.c: what EventBridge is told of records that are about to be written. Called by those that write them alone. */
void ecs_tell_task(const struct ecs_scope *s, const struct state_ecs_task_record *r);
void ecs_tell_service(const struct ecs_scope *s, const struct state_ecs_service_record *r);
void ecs_tell_instance(const struct ecs_scope *s, const struct state_ecs_instance_record *r);
void ecs_task_drop(const struct ecs_scope *s, const struct state_ecs_task_record *r);
/* The id of a task that a request names by id or ARN; absent: no task of this cluster. */
struct str ecs_task_id(struct call *c, struct str cluster, struct str text);
struct ecs_task_counts {
	int64_t running, pending;
};
struct ecs_task_counts ecs_task_count(struct call *c, struct str cluster);

/* --- announce.c: whoever sends clients to a task hears of every change of it, in the transaction that makes it: a task that is to
 * stop has left before its containers are told. Called by ecs_task_put() alone. */
void ecs_task_announce(const struct ecs_scope *s, struct state_ecs_task_record *r);
/* The address of its own interface; absent: it has none. */
struct str ecs_task_address(const struct ecs_task *t);

/* --- targets.c: load balancers. Called by ecs_task_announce() and ecs_task_move() alone. */
void ecs_targets_join(const struct ecs_scope *s, struct state_ecs_task_record *r);
void ecs_targets_leave(const struct ecs_scope *s, struct state_ecs_task_record *r, int64_t now_ms);
/* Its targets have been deregistered and still serve who is connected: its containers go on until r->drain_until. */
bool ecs_task_drains(const struct state_ecs_task_record *r, int64_t now_ms);
struct elbv2_target;
/* What it is as a target. False: it is none yet. */
bool ecs_task_target(const struct ecs_scope *s, const struct state_ecs_task_record *r, const struct ecs_load_balancer *b,
                     struct elbv2_target *ret);

/* Are these registries of Cloud Map such as a service's tasks can be registered in? */
int ecs_registries_check(struct call *c, const struct ecs_service_registries *given);
/* And of tasks that are found at ports of their container instances? */
int ecs_registries_check_published(struct call *c, const struct ecs_service_registries *given);

/* definition.c: by ARN, for reconcilers. */
bool ecs_definition_in(const struct ecs_scope *s, struct str arn, struct state_ecs_definition_record *ret);
/* Has an essential container of it a health check? */
bool ecs_definition_checks_health(const struct ecs_task_definition *d);

/* --- lifecycle.c: the table of states */
/* The task's tags are its bill's from now on; the container instance pays for one that it runs. */
void ecs_task_bill_tags(const struct ecs_scope *s, const struct state_ecs_task_record *r, int64_t now_ms);
enum ecs_status ecs_task_status(const struct ecs_task *t);
struct str ecs_status_name(enum ecs_status status);
/* Asserts that the table has the edge, sets the times that go with it, and what the task uses from now on. The caller puts. */
void ecs_task_move(const struct ecs_scope *s, struct state_ecs_task_record *r, enum ecs_status to, int64_t now_ms);
/* The task is to end: desired status and reason, unless it has one already. Moves it as far as it can go at once. */
void ecs_task_stop(const struct ecs_scope *s, struct state_ecs_task_record *r, const char *code, struct str reason, int64_t now_ms);
struct str ecs_task_arn(struct arena *a, const struct ecs_scope *s, struct str cluster, struct str id);

ecs_execute_command_handler ecs_execute_command;
ecs_run_task_handler ecs_run_task;
ecs_stop_task_handler ecs_stop_task;
ecs_describe_tasks_handler ecs_describe_tasks;
ecs_list_tasks_handler ecs_list_tasks;
ecs_get_task_protection_handler ecs_get_task_protection;
ecs_update_task_protection_handler ecs_update_task_protection;

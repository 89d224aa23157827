/* Services as records, and the scheduler that keeps them at what they say. Private to aws/ecs.
 *
 * A record lies under ("ecs", "service", account, region, cluster, name): AWS's own structure, with the count of failures of each
 * of its deployments and the last deployment that was completed. Every change of a service or of one of its tasks makes the
 * scheduler look at it: one transaction counts, decides (rollout.h), stops tasks and writes what is shown; starts are calls of
 * RunTask after it. */
#pragma once
#include "task.h"

struct crew;
struct schedules;

/* --- scheduled_rows.c */
bool ecs_service_find(const struct ecs_scope *s, struct str cluster, struct str name, struct state_ecs_service_record *ret);
bool ecs_service_read(struct arena *a, struct str value, struct state_ecs_service_record *ret);
void ecs_service_put(const struct ecs_scope *s, const struct state_ecs_service_record *r);
struct str ecs_services_under(const struct ecs_scope *s, struct str cluster);
/* The name of a service that a request names by name or ARN; absent: none of this cluster. */
struct str ecs_service_name(struct call *c, struct str cluster, struct str text);
int64_t ecs_service_count(struct call *c, struct str cluster); /* active and draining ones */
void ecs_service_event(struct arena *a, struct state_ecs_service_record *r, int64_t now_ms, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));
/* A new primary deployment, with what the service says now; the one before goes on as ACTIVE. again: with the revision of that run;
 * NULL: it is a new revision. */
struct ecs_deployment *ecs_service_deploy(const struct ecs_scope *s, struct state_ecs_service_record *r,
                                          const struct state_ecs_run *again, int64_t now_ms);
/* What is known of a deployment beside AWS's own structure; NULL: nothing. */
struct state_ecs_run *ecs_service_run(struct state_ecs_service_record *r, struct str id);

/* A page of the ARNs of those services below `under` that `wanted` takes. */
typedef bool ecs_service_wanted_fn(const struct state_ecs_service_record *r, const void *ctx);
int ecs_services_page(struct call *c, struct str under, struct opt_int max_results, struct str token, ecs_service_wanted_fn *wanted,
                      const void *ctx, struct str_list *ret_arns, struct str *ret_token);

/* --- service_breaker.c */
int64_t ecs_breaker_threshold(const struct ecs_deployment_circuit_breaker *b, int64_t desired);

/* --- scheduler.c */
struct schedules *schedules_new(struct crew *crew);
void schedules_free(struct schedules *s);
/* Container instances of the cluster have come or gone. */
void schedules_mark_cluster(struct schedules *s, struct str account, struct str region, struct str cluster);

ecs_create_service_handler ecs_create_service;
ecs_update_service_handler ecs_update_service;
ecs_delete_service_handler ecs_delete_service;
ecs_describe_services_handler ecs_describe_services;
ecs_list_services_handler ecs_list_services;

/* --- task_set.c */
ecs_create_task_set_handler ecs_create_task_set;
ecs_update_task_set_handler ecs_update_task_set;
ecs_delete_task_set_handler ecs_delete_task_set;
ecs_describe_task_sets_handler ecs_describe_task_sets;
ecs_update_service_primary_task_set_handler ecs_update_service_primary_task_set;

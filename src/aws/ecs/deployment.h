/* The history of services: each deployment with what it came from and went to, each revision as it was. Private to aws/ecs.
 *
 * Records are AWS's own structures, under ("ecs", "service-deployment" or "service-revision", account, region, cluster, service,
 * id). One deployment of a service is under way at most (`Deploying` in the service's record, by its currentServiceDeployment); how
 * many tasks it has is in the service, and is written into its record when it ends. What has ended is kept for 90 days, and so
 * many of a service. */
#pragma once
#include "scheduled.h"

/* --- deployment_rows.c */
/* What the service says now, as a revision: its ARN. */
struct str ecs_revision_make(const struct ecs_scope *s, const struct state_ecs_service_record *r, int64_t now_ms);
/* A deployment of the primary's revision begins, after ecs_service_deploy(); one that was under way has been stopped by it. */
void ecs_deployment_begin(const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms);
/* The scheduler has taken it up; it turns back to the primary's revision; it ends with that status. Harmless when none is under
 * way. */
void ecs_deployment_take_up(const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms);
void ecs_deployment_turn_back(const struct ecs_scope *s, struct state_ecs_service_record *r, struct str reason, int64_t now_ms);
void ecs_deployment_end(const struct ecs_scope *s, struct state_ecs_service_record *r, const char *status, struct str reason,
                        int64_t now_ms);
/* Its circuit breaker has opened. */
void ecs_deployment_trip(const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms);
/* Alarms have gone off. */
void ecs_deployment_alarm(const struct ecs_scope *s, struct state_ecs_service_record *r, const struct str_list *triggered,
                          int64_t now_ms);
/* Is what is under way a way back already? */
bool ecs_deployment_turned_back(const struct ecs_scope *s, const struct state_ecs_service_record *r);
/* A task of the primary has found its images: that is what they are for the whole deployment. */
void ecs_deployment_images(const struct ecs_scope *s, struct state_ecs_service_record *r, const struct ecs_task *t);
/* Writes currentServiceRevisions. */
void ecs_revisions_show(struct arena *a, struct state_ecs_service_record *r);
/* With its counts as of now, where it is under way. */
bool ecs_deployment_find(const struct ecs_scope *s, struct str cluster, struct str service, struct str id,
                         struct ecs_service_deployment *ret);
bool ecs_revision_find(const struct ecs_scope *s, struct str cluster, struct str service, struct str id,
                       struct ecs_service_revision *ret);
/* The newest first. */
struct ecs_service_deployments ecs_deployments_of(const struct ecs_scope *s, struct str cluster, struct str service);
bool ecs_deployment_over(const struct ecs_service_deployment *d);

ecs_list_service_deployments_handler ecs_list_service_deployments;
ecs_describe_service_deployments_handler ecs_describe_service_deployments;
ecs_describe_service_revisions_handler ecs_describe_service_revisions;
ecs_stop_service_deployment_handler ecs_stop_service_deployment;
ecs_continue_service_deployment_handler ecs_continue_service_deployment;

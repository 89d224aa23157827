/* Services behind load balancers, for those who make them and the scheduler. Private to aws/ecs. */
#pragma once
#include "aws/elbv2/elbv2.h"
#include "service_look.h"

/* Are the service's load balancers such as its tasks can be targets of? After its definition has been taken. */
int service_targets_check(struct call *c, const struct ecs_service *v);
/* Corrects how a task is (t->as) by how its targets are, and says when to look again. */
void service_targets_classify(struct service_look *l, const struct ecs_scope *s, const struct ecs_service *v,
                              struct service_seen *t, int64_t now_ms);
/* Counts, once, a task that has joined or left; true: the record has changed. */
bool service_targets_tell(struct service_view *view, struct state_ecs_task_record *t);
void service_targets_events(const struct ecs_scope *s, struct state_ecs_service_record *r, const struct service_view *view,
                            int64_t now_ms);

/* Interruptions of tasks on FARGATE_SPOT by whoever runs the cloud: `quartet retire TASK`. AWS makes them itself; the permission is
 * an action of ours, quartet:InterruptTask on the task. */
#pragma once
#include "core/cloud.h"

struct http_request;

/* Comes once, later, when it is durable. error NULL: it is done. */
typedef void ecs_interrupt_done_fn(void *ctx, const char *error);
/* For `who`, who came with request r. False: *ret_status (of HTTP) and *ret_why say why not, in r's arena, and done() does not
 * come. */
bool ecs_interrupt(struct cloud *cloud, struct http_request *r, struct arena *a, const struct principal *who, struct str region,
                   struct str task, ecs_interrupt_done_fn *done, void *ctx, unsigned *ret_status, struct str *ret_why);

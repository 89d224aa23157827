/* A way into a container that runs: `quartet exec`. The permission is ecs:ExecuteCommand on the task, which is what AWS asks for
 * the same, and the task must have been run with it enabled. */
#pragma once
#include "core/cloud.h"
#include "core/use.h"

struct gate;
struct http_request;
struct ecs_entered;

struct ecs_enter_events {
	/* The command's terminal, ctx's own from now on; -1: it could not be started, and nothing follows. Never from inside. */
	void (*opened)(void *ctx, int fd, const char *why);
	void (*closed)(void *ctx, int code); /* it has ended */
};
struct ecs_enter {
	struct str region, task; /* an id or an ARN */
	struct str container;    /* absent: the task's only one */
	const char *const *argv;
	const char *term; /* NULL: none */
};

/* Where a container of a task on a container instance is. */
struct ecs_enter_remote {
	struct str instance;  /* of EC2; absent: the task is none of an instance's */
	const char *words[3]; /* that start a command in it when they stand before the command's own */
};

/* For `who`, who came with request r. NULL: *ret_remote says in which instance the command is to be started, or *ret_status (of
 * HTTP) and *ret_why say why not; all in a. */
struct ecs_entered *ecs_enter(struct cloud *cloud, struct http_request *r, struct arena *a, const struct principal *who,
                              const struct ecs_enter *what, const struct ecs_enter_events *events, void *ctx,
                              struct ecs_enter_remote *ret_remote, unsigned *ret_status, struct str *ret_why);
#define ECS_ENTER_PROGRAM "/usr/bin/python3", "/usr/lib/quartet/ecs_exec.py" /* guest/ecs_exec.py, in an instance */
/* Nothing is called any more. Not after closed(), or opened() with -1. */
void ecs_enter_forget(struct ecs_entered *e);
/* 32 hexadecimal digits, or an ARN of a task. */
bool ecs_names_task(struct str name);

/* Which container a name means, or none where there is but one; -1: *ret_why says why not, in a. */
struct ecs_task;
int ecs_enter_container(struct arena *a, const struct ecs_task *t, struct str name, struct str *ret_why);
/* Does the container run, so that a command can be started in it? */
bool ecs_enter_can(struct cloud *cloud, struct str task, unsigned container);
/* A command that was allowed before, in a container by its name. NULL: the container does not run, or errno of *ret_error. */
struct ecs_entered *ecs_enter_begin(struct cloud *cloud, const struct ecs_enter *what, const struct ecs_enter_events *events,
                                    void *ctx, int *ret_error);
/* What the containers of a task use together, for `who`, who must be allowed ecs:DescribeTasks on it; it is asked for anew as well,
 * so the next answer is of about now. False: *ret_status (of HTTP) and *ret_why say why not, in a. */
bool ecs_use(struct cloud *cloud, struct http_request *r, struct arena *a, const struct principal *who, struct str region,
             struct str task, struct workload_use *ret, unsigned *ret_status, struct str *ret_why);

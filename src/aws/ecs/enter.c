/* The engine forgets a task's commands with the task, and does not say so: a duty keeps who has entered, and tells them itself. */
#include "enter.h"
#include "container_instance.h"
#include "crew.h"

#include "base/list.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { ID_CHARS = 32, KILLED = 137 };

struct ecs_entered {
	struct list node;                      /* of the duty */
	const struct ecs_enter_events *events; /* NULL: forgotten */
	void *ctx;
};

bool ecs_names_task(struct str name)
{
	if (str_starts(name, S("arn:aws:ecs:")))
		return str_find(name, S(":task/")) >= 0;
	if (name.n != ID_CHARS)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_digit(name.p[i]) && (name.p[i] < 'a' || name.p[i] > 'f'))
			return false;
	return true;
}

static void entered_end(struct ecs_entered *e)
{
	list_remove(&e->node);
	free(e);
}

static void opened(void *ctx, int fd, int error, const char *why)
{
	struct ecs_entered *e = ctx;
	if (e->events)
		e->events->opened(e->ctx, error ? -1 : fd, why && *why ? why : error ? strerror(-error) : "");
	else if (!error)
		close(fd); /* its command is hung up */
	if (error)
		entered_end(e);
}

static void closed(void *ctx, int code)
{
	struct ecs_entered *e = ctx;
	if (e->events)
		e->events->closed(e->ctx, code);
	entered_end(e);
}

static const struct task_exec_events engine_events = {.opened = opened, .closed = closed};

void entered_all_end(struct duty *i)
{
	list_each (&i->entered, struct ecs_entered, node, e)
		closed(e, KILLED);
}

void ecs_enter_forget(struct ecs_entered *e)
{
	e->events = NULL;
}

int ecs_enter_container(struct arena *a, const struct ecs_task *t, struct str name, struct str *ret_why)
{
	for (uint32_t i = 0; i < t->containers.n; i++)
		if (str_set(name) && name.n ? str_eq(t->containers.v[i].name, name) : t->containers.n == 1)
			return (int)i;
	*ret_why = str_set(name) && name.n ? arena_printf(a, "The task has no container '%.*s'", STR_ARG(name))
	                                   : S("The task has several containers: one of them has to be named");
	return -1;
}

static struct duty *find_duty(struct cloud *cloud, struct str id)
{
	struct crew *d = cloud_state(cloud, &ecs_service);
	return d ? map_get(&d->by_id, id) : NULL;
}

static bool runs(const struct duty *i, unsigned container)
{
	return i && i->task && container < i->count && i->containers[container].state == ORDER_RUNNING;
}

bool ecs_enter_can(struct cloud *cloud, struct str task, unsigned container)
{
	return runs(find_duty(cloud, task), container);
}

static struct ecs_entered *begin(struct duty *i, unsigned container, const struct ecs_enter *what,
                                 const struct ecs_enter_events *enter_events, void *ctx, int *ret_error)
{
	struct arena CLEAN_ARENA a = {0};
	const char *term = what->term ? arena_printf(&a, "TERM=%s", what->term).p : NULL;
	struct ecs_entered *e = calloc(1, sizeof(*e));
	if (!e)
		abort();
	*e = (struct ecs_entered){.events = enter_events, .ctx = ctx};
	*ret_error = task_exec(i->task, container, what->argv, (const char *const[]){term, NULL}, &engine_events, e);
	if (!*ret_error) {
		list_push(&i->entered, &e->node);
		return e;
	}
	free(e);
	return NULL;
}

struct ecs_entered *ecs_enter_begin(struct cloud *cloud, const struct ecs_enter *what, const struct ecs_enter_events *enter_events,
                                    void *ctx, int *ret_error)
{
	struct arena CLEAN_ARENA a = {0};
	struct duty *i = find_duty(cloud, what->task);
	struct state_ecs_task_record r = {0};
	struct str why;
	*ret_error = -ESRCH;
	if (!i)
		return NULL;
	struct ecs_scope s = {.txn = store_begin(cloud->store, &a), .arena = &a, .account = i->account, .region = i->region};
	bool known = ecs_task_find(&s, i->cluster, what->task, &r);
	store_abort(s.txn);
	int index = known ? ecs_enter_container(&a, r.task, what->container, &why) : -1;
	return index >= 0 && runs(i, (unsigned)index) ? begin(i, (unsigned)index, what, enter_events, ctx, ret_error) : NULL;
}

/* The instance has to be there, its agent connected and the container started. */
static void find_remote(struct cloud *cloud, struct arena *a, const struct named_task *t, unsigned index,
                        struct ecs_enter_remote *ret, struct str *ret_why)
{
	const struct ecs_task *task = t->record.task;
	const struct ecs_container *k = &task->containers.v[index];
	struct ecs_scope s = {.txn = store_begin(cloud->store, a), .arena = a, .account = t->who->account, .region = t->region};
	struct state_ecs_instance_record at = {0};
	struct str id = ecs_task_instance(task);
	bool known = ecs_instance_find(&s, t->cluster, id, &at);
	store_abort(s.txn);
	if (!str_is(k->last_status, "RUNNING"))
		*ret_why = arena_printf(a, "The container '%.*s' of the task does not run (the task is %.*s)", STR_ARG(k->name),
		                        STR_ARG(task->last_status));
	else if (!known || !t->duty || !roster_connected(t->duty->crew->roster, id))
		*ret_why = S("The agent of the task's container instance is not connected");
	else
		*ret = (struct ecs_enter_remote){at.instance->ec2_instance_id, {ECS_ENTER_PROGRAM, arena_dupz(a, k->runtime_id)}};
}

struct ecs_entered *ecs_enter(struct cloud *cloud, struct http_request *r, struct arena *a, const struct principal *who,
                              const struct ecs_enter *what, const struct ecs_enter_events *events, void *ctx,
                              struct ecs_enter_remote *ret_remote, unsigned *ret_status, struct str *ret_why)
{
	*ret_remote = (struct ecs_enter_remote){.instance = STR_NONE};
	struct named_task t = {.who = who, .name = what->task, .region = what->region, .action = "ecs:ExecuteCommand"};
	if (!ecs_task_named(cloud, r, a, &t, ret_status, ret_why))
		return NULL;
	const struct ecs_task *task = t.record.task;
	int index = ecs_enter_container(a, task, what->container, ret_why);
	*ret_status = 409;
	if (index < 0)
		*ret_status = 400;
	else if (!task->enable_execute_command.v)
		*ret_why = S(
		        "The execute command failed because execute command was not enabled when the task was run or the execute command "
		        "agent isn't running. Run a new task with execute command enabled (--enable-execute-command) and try again.");
	else if (ecs_task_is_remote(task))
		find_remote(cloud, a, &t, (unsigned)index, ret_remote, ret_why);
	else if (!runs(t.duty, (unsigned)index))
		*ret_why = arena_printf(a, "The container '%.*s' of the task does not run (the task is %.*s)",
		                        STR_ARG(task->containers.v[index].name), STR_ARG(task->last_status));
	else {
		int error;
		struct ecs_entered *e = begin(t.duty, (unsigned)index, what, events, ctx, &error);
		if (e)
			return e;
		*ret_status = 500;
		*ret_why = arena_printf(a, "The command cannot be started: %s", strerror(-error));
	}
	return NULL;
}

/* From records of tasks to what really runs. Every change of a task's record is watched, and one idempotent step looks at the
 * record and at what there is, and does the next thing; what the engine reports is kept here and written into the record by one
 * edit. After a start of the role each record is looked at, and tasks that the engine still has are adopted.
 *
 * crew.c finds what has changed and writes what has come of it, duty.c is the step of a task, launch.c makes a task ready to be
 * started. All of it runs on the loop. Private to aws/ecs. */
#pragma once
#include "base/list.h"
#include "base/map.h"
#include "engine/oci/task.h"
#include "order.h"
#include "task.h"

struct launch;
struct journal;
struct metadata;
struct ecr_pulled;
struct schedules;
struct roster;
struct managers;
struct session;
struct session_wait;

struct crew {
	struct cloud *cloud;
	struct tasks *tasks; /* NULL: this machine has no sandboxes */
	struct images *images;
	struct map duties; /* by account, region, cluster and id: struct duty */
	struct map by_id, by_port;
	struct store_watch *watch;
	struct loop_timer *soon;
	struct store_txn *txn; /* of the round of steps under way */
	struct arena arena;
	const struct principal *self; /* ecs-tasks.amazonaws.com: who assumes tasks' roles */
	int64_t memory_mib;           /* of this machine; 0: not known */
	struct list rooms;            /* what calls under way have taken of it: struct room in room.c */
	int64_t token_lease, token_lease_until_ms;
	struct schedules *schedules; /* of services */
	struct roster *roster;       /* of container instances' agents */
	struct managers *managers;   /* of capacity providers */
	struct loop_timer *sampler;
	struct map ended; /* by id: struct ended in ended.c */
	struct loop_timer *ended_timer;
	int64_t ended_at_ms;
};

/* One task that is looked after, until it has stopped. */
struct duty {
	struct crew *crew;
	struct str account, region, cluster, id, key, port;
	struct arena arena;
	bool dirty, busy;
	int64_t memory_mib; /* that it takes of this machine, from the commit that made it on */
	bool stops;         /* the task is to end */
	bool waits;         /* for memory of one that ends */
	int port_fd;        /* its interface in the kernel; -1: not there yet */
	struct launch *launch;
	struct journal *journal; /* NULL: nothing was written yet, or nobody wants it */
	bool no_journal;
	struct metadata *metadata;
	struct task *task;
	bool ready, ending; /* the engine's task stands; it is being taken away */
	/* From the engine, by container of the definition. */
	struct order_container containers[TASK_CONTAINERS_MAX];
	struct duty_container {
		bool oom;
		char why[160];
		struct str digest;         /* of the image */
		struct ecr_pulled *pulled; /* its files, which stay while it is used; NULL: none, or adopted */
		struct image *image;
		struct task_usage usage, usage_before; /* the last two answers; at_us 0: none yet */
		struct task_usage sampled;             /* as the last minute's metrics had it */
		struct usage_traffic {
			uint64_t received, sent;
			int64_t at_us; /* 0: not known */
		} traffic;             /* as its agent has it */
	} more[TASK_CONTAINERS_MAX];
	uint32_t count;
	struct usage_traffic traffic; /* of the task, as the last minute's metrics had it */
	struct {
		double processors, memory_bytes;
		bool known;      /* false: not in the last minute */
	} used;                  /* on a container instance */
	int64_t pulled_ms;       /* every image is there */
	const char *failed_code; /* it could not be launched, or was lost: the stop code; NULL: neither */
	struct str failed_reason;
	struct loop_timer *timer;
	struct session *remote_sessions[2]; /* remote.c: of the roles of a task that an agent runs; NULL: none */
	struct session_wait *remote_waits[2];
	struct list entered; /* enter.c: whose commands run in it */
};

struct crew *crew_new(struct cloud *cloud);
void crew_free(struct crew *d);
void crew_mark(struct duty *i);
/* The task of this key is looked after (again). */
void crew_look_at(struct crew *d, struct str key);
/* Runs advance() (duty.c) on the record in a transaction, again when somebody was faster; then a step follows. */
void crew_edit(struct duty *i);

/* duty.c */
void duty_step(struct duty *i, const struct ecs_scope *s);
/* Brings the record as far as what is known allows. True: it has changed, and was put (or dropped). */
bool duty_advance(struct duty *i, const struct ecs_scope *s, struct state_ecs_task_record *r, int64_t now_ms);
extern const struct task_events duty_events;
void *duty_found(void *ctx, struct task *t, const char *id);
void duty_clear(struct duty *i);
/* Looks at it again then. */
void duty_wake_at(struct duty *i, int64_t when_ms, int64_t now_ms);
/* As AWS calls containers on Fargate. */
struct str duty_runtime_id(struct arena *a, const struct duty *i, unsigned index);

/* ended.c: who has stopped has no duty any more; its record goes then. */
bool ended_is_over(const struct ecs_task *t, int64_t now_ms);
void ended_keep(struct crew *d, struct str id, struct str key, const struct ecs_task *t);
void ended_forget(struct crew *d, struct str id);
struct str ended_key(const struct crew *d, struct str id); /* absent: it is none of them */
void ended_clear(struct crew *d);

/* launch.c: credentials of the execution role, secrets, environment files, log streams, images; then the engine's task. done comes
 * once, from the loop: launched (i->task is set) or i->failed_code says why not. */
typedef void launch_done_fn(struct duty *i);
struct launch *launch_begin(struct duty *i, const struct state_ecs_task_record *r, const struct ecs_scope *s, launch_done_fn *done);
void launch_cancel(struct launch *l); /* NULL is harmless */
void launch_drop_images(struct duty *i);
/* launch_secret.c: "ARN:JSON-KEY:STAGE:VERSION": what is behind the ARN may be missing or empty, and is absent then. */
struct launch_wanted {
	struct str arn, json_key, stage, version;
};
struct launch_wanted launch_wanted(struct str from);
/* The text of a member as a variable has it: a string without its quotes, all else as JSON. False: there is none such. */
bool launch_member(struct arena *a, struct str json, struct str key, struct str *ret);

/* launch_spec.c: the containers as the engine wants them, in the arena. False: *ret_why says why not. */
struct launch_secret {
	struct str name, value; /* a variable */
	uint32_t container;
	bool from_file; /* gives way to the definition's own variables */
};
struct launch_facts {
	const struct state_ecs_task_record *record;
	const struct launch_secret *secrets;
	uint32_t secret_count;
	struct str region, host_name;
	struct str configs[TASK_CONTAINERS_MAX]; /* the images' configurations: JSON */
};
bool launch_containers(struct arena *a, const struct launch_facts *f, struct duty_container *more, struct task_container *ret,
                       struct str *ret_why);
/* The volumes' names, ending with NULL. */
const char *const *launch_volumes(struct arena *a, const struct ecs_task_definition *d);

/* named.c: a task as who is no client of the API names it, by its id or ARN, and whether he may do that to it. region: of the
 * request, and then of the ARN. Who may not is not told whether it is there. False: *ret_status (of HTTP) and *ret_why say why not,
 * in a. */
struct named_task {
	const struct principal *who;
	struct str name, region;
	const char *action;
	struct state_ecs_task_record record; /* found */
	struct str cluster, id;
	struct duty *duty; /* NULL: it has stopped */
};
struct http_request;
bool ecs_task_named(struct cloud *cloud, struct http_request *r, struct arena *a, struct named_task *t, unsigned *ret_status,
                    struct str *ret_why);

/* enter.c: the engine's task is gone, and with it all commands in it. */
void entered_all_end(struct duty *i);

/* duty.c: what a task takes of this machine. */
int64_t duty_memory_mib(const struct ecs_task *t);

/* usage.c: asks what the containers use; what is known is in `more`. And once a minute, for AWS/ECS's metrics of services. */
void usage_look(struct duty *i);
/* The agent of a container instance says it; traffic NULL: it has none of its own. */
void usage_heard(struct duty *i, uint32_t index, const struct task_usage *usage, const struct usage_traffic *traffic);
void usage_sample_begin(struct crew *d);

/* room.c, for RunTask: how much is taken by others than this call; is there so much more; and so much is taken by the call from now
 * on, until its tasks count themselves or it has ended in vain. */
int64_t crew_used_mib(struct call *c);
bool crew_has_room(struct call *c, int64_t mib);
void crew_take_room(struct call *c, int64_t mib);

/* interrupt.c: makes room for so much by interrupting tasks on FARGATE_SPOT, the oldest first. False: there is none to be had. */
bool ecs_spot_reclaim(struct call *c, int64_t mib);
/* Is what it needs still with tasks that end? It is looked at again when one of them has ended: duty_left_room(). */
bool duty_must_wait(struct duty *i);
void duty_left_room(struct duty *i);

/* The lease under which RunTask's tokens lie for a day. */
int64_t crew_token_lease(struct call *c);

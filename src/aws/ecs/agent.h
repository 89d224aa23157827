/* What is known of container instances' agents, in memory. Private to aws/ecs: roster.c keeps it, agent.c is what agents call. */
#pragma once
#include "connect.h"
#include "container_instance.h"
#include "crew.h"

/* One agent; from its first call on, until its container instance is gone. */
struct agent_link {
	struct roster *all;
	struct str account, region, cluster, id;
	struct arena arena;
	struct call *waiting; /* its poll; NULL: none */
	struct loop_timer *timer;
	bool due;                  /* the poll that waits is to be answered, with whatever there is */
	struct store_watch *names; /* of Service Connect, while it has tasks that know some; NULL: not yet */
	bool measure;              /* the next answer asks what containers use */
	int64_t seen_ms;
	bool runtime_works; /* as it has found at runtime_ms (0: not yet); other than before at runtime_since_ms */
	int64_t runtime_ms, runtime_since_ms;
	bool connected; /* as was told to services */
};
struct agent_link *roster_member(struct call *c, struct str cluster, struct str id);
/* The poll waits for so long, or for roster_wake(). */
void agent_link_wait(struct agent_link *m, struct call *c, int64_t us);
void agent_link_let_go(struct agent_link *m);
/* Whether its container runtime answers. */
void agent_link_take_runtime(struct agent_link *m, bool works);
/* From now on its poll is answered too when endpoints of Service Connect come or go. */
void agent_link_watch_names(struct agent_link *m);

/* remote.c: the sessions of a task's roles, which its agent hands on. */
enum remote_role { REMOTE_TASK, REMOTE_EXECUTION, REMOTE_ROLES };
/* NULL: there is none (yet). */
const struct session *remote_session(const struct duty *i, enum remote_role which);
bool remote_ready(const struct duty *i, const struct state_ecs_task_record *r);

#include "gen/ecs_agent.h"
ecs_agent_poll_handler ecs_agent_poll;
ecs_agent_place_task_handler ecs_agent_place_task;

/* A task that a container instance's agent runs: here are its roles' sessions, and the record's edges that need no agent. What
 * the agent says comes in by agent.c. */
#include "agent.h"
#include "provider.h"
#include "session.h"

enum { RENEW_MS = 15 * 60 * 1000, LOOK_MS = 5 * 60 * 1000 };

static void came(struct duty *i, enum remote_role which, struct session *s, struct str code, struct str message)
{
	i->remote_waits[which] = NULL;
	if (s) {
		session_free(i->remote_sessions[which]);
		i->remote_sessions[which] = s;
	} else if (!i->remote_sessions[which] && !i->failed_code) {
		i->failed_code = "TaskFailedToStart";
		i->failed_reason = arena_printf(&i->arena,
		                                "ECS was unable to assume the role that was provided for this task. Please verify "
		                                "that the role being passed has the proper trust relationship and permissions: "
		                                "%.*s: %.*s",
		                                STR_ARG(code), STR_ARG(message));
	}
	crew_mark(i);
}

static void task_came(void *ctx, struct session *s, struct str code, struct str message)
{
	came(ctx, REMOTE_TASK, s, code, message);
}

static void execution_came(void *ctx, struct session *s, struct str code, struct str message)
{
	came(ctx, REMOTE_EXECUTION, s, code, message);
}

static struct str role_of(const struct state_ecs_task_record *r, enum remote_role which)
{
	return which == REMOTE_TASK ? r->task_role : r->execution_role;
}

const struct session *remote_session(const struct duty *i, enum remote_role which)
{
	return i->remote_sessions[which];
}

bool remote_ready(const struct duty *i, const struct state_ecs_task_record *r)
{
	for (enum remote_role k = 0; k < REMOTE_ROLES; k++)
		if (str_set(role_of(r, k)) && !i->remote_sessions[k])
			return false;
	return !i->failed_code;
}

void remote_clear(struct duty *i)
{
	for (enum remote_role k = 0; k < REMOTE_ROLES; k++) {
		session_forget(i->remote_waits[k]);
		session_free(i->remote_sessions[k]);
		i->remote_waits[k] = NULL;
		i->remote_sessions[k] = NULL;
	}
}

bool remote_advance(struct duty *i, const struct ecs_scope *s, struct state_ecs_task_record *r, int64_t now_ms)
{
	bool changed = false;
	if (ecs_task_status(r->task) == ECS_STOPPED) {
		bool over = ended_is_over(r->task, now_ms);
		if (over)
			ecs_task_drop(s, r);
		return over;
	}
	/* The agent has not heard of it: without its roles it is no order. */
	if (i->failed_code && ecs_task_status(r->task) <= ECS_PENDING) {
		ecs_task_stop(s, r, i->failed_code, i->failed_reason, now_ms);
		ecs_task_end(s, r, now_ms);
		changed = true;
	}
	if (ecs_task_waits(r->task) && str_is(r->task->desired_status, "STOPPED")) { /* no agent has heard of it */
		ecs_task_end(s, r, now_ms);
		changed = true;
	}
	if (ecs_task_status(r->task) == ECS_DEACTIVATING && !ecs_task_drains(r, now_ms)) {
		ecs_task_move(s, r, ECS_STOPPING, now_ms);
		changed = true;
	}
	if (changed)
		ecs_task_put(s, r);
	return changed;
}

void remote_step(struct duty *i, const struct ecs_scope *s, struct state_ecs_task_record *r, int64_t now_ms)
{
	static session_fn *const fns[] = {task_came, execution_came};
	roster_wake(i->crew->roster, ecs_task_instance(r->task));
	if (ecs_task_status(r->task) == ECS_STOPPED) {
		duty_clear(i);
		if (!ended_is_over(r->task, now_ms))
			ended_keep(i->crew, i->id, i->key, r->task);
	} else {
		for (enum remote_role k = 0; k < REMOTE_ROLES; k++) {
			const struct session *have = i->remote_sessions[k];
			if (str_set(role_of(r, k)) && !i->remote_waits[k] && !i->failed_code &&
			    (!have || have->expires_ms < now_ms + RENEW_MS))
				i->remote_waits[k] = session_get(i->crew, i->region, role_of(r, k), i->id, fns[k], i);
		}
		bool soon = ecs_task_drains(r, now_ms) && r->drain_until.ms < now_ms + LOOK_MS;
		duty_wake_at(i, soon ? r->drain_until.ms : now_ms + LOOK_MS, now_ms);
	}
	if (remote_advance(i, s, r, now_ms))
		crew_edit(i);
}

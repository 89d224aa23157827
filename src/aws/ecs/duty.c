/* The step of one task. It does what the engine can do now (launch, start, stop, take away), and has written what has come of that:
 * duty_advance() brings a record as far as the facts allow, and is tried on a snapshot first, so that nothing is written for
 *nothing.
 *
 *	PROVISIONING    until the interface is there
 *	PENDING         launch; then the containers in their order
 *	RUNNING         all have started; what ends or restarts is the order's business
 *	STOPPING        the containers stop in their order, then the engine's task goes
 *	DEPROVISIONING  the interface goes
 *	STOPPED         an hour later the record goes */
#include "container_instance.h"
#include "crew.h"

#include "aws/ec2/ec2.h"
#include "base/clock.h"
#include "journal.h"
#include "metadata.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { INTERFACE_MS = 180 * 1000 };

/* --- what the engine says */

static struct order_container *at(struct duty *i, unsigned index)
{
	return index < i->count ? &i->containers[index] : NULL;
}

static void ready(void *ctx, struct task *t)
{
	struct duty *i = ctx;
	i->ready = true;
	/* In a task that was found: what is heard of it next must not be taken for new meanwhile, and given up when the task stops.
	 */
	for (unsigned k = 0; k < i->count; k++)
		if (i->containers[k].state == ORDER_NEW && task_has_begun(t, k))
			i->containers[k].state = ORDER_STARTING;
	if (!i->metadata)
		i->metadata = metadata_open(i, task_metadata_listener(t));
	crew_mark(i);
}

static void started(void *ctx, struct task *t, unsigned index, int64_t at_us)
{
	struct order_container *k = at(ctx, index);
	(void)t;
	if (!k)
		return;
	k->state = ORDER_RUNNING;
	k->started = true;
	k->stopping = k->not_started = false;
	k->started_ms = at_us / 1000;
	k->asked_ms = k->asked_ms ? k->asked_ms : k->started_ms;
	k->health = ORDER_HEALTH_UNKNOWN;
	usage_look(ctx); /* the answer takes a moment, and whoever asks for it soon shall have it */
	crew_mark(ctx);
}

static void exited(void *ctx, struct task *t, unsigned index, const struct task_exit *e)
{
	struct duty *i = ctx;
	struct order_container *k = at(i, index);
	(void)t;
	if (!k)
		return;
	k->state = ORDER_ENDED;
	k->not_started = e->not_started;
	k->started = k->started || !e->not_started;
	k->exit_code = e->code;
	k->ended_ms = e->at_us / 1000;
	i->more[index].oom = e->oom;
	snprintf(i->more[index].why, sizeof(i->more[index].why), "%s", e->why ? e->why : "");
	crew_mark(i);
}

/* The journal is opened at the first line: after a restart that may be before any step. */
static struct journal *journal_of(struct duty *i)
{
	struct arena CLEAN_ARENA a = {0};
	struct state_ecs_task_record r = {0};
	if (i->journal || i->no_journal)
		return i->journal;
	struct ecs_scope s = {.arena = &a, .account = i->account, .region = i->region};
	s.txn = store_begin(i->crew->cloud->store, &a);
	if (ecs_task_find(&s, i->cluster, i->id, &r))
		i->journal = journal_new(i->crew, i->region, &r);
	i->no_journal = !i->journal;
	store_abort(s.txn);
	return i->journal;
}

static void output(void *ctx, struct task *t, unsigned index, bool is_error, int64_t at_us, struct str line)
{
	struct journal *j = journal_of(ctx);
	(void)t;
	(void)is_error;
	if (j)
		journal_line(j, index, at_us, line);
}

static void health(void *ctx, struct task *t, unsigned index, enum task_health_state state)
{
	struct order_container *k = at(ctx, index);
	(void)t;
	if (!k)
		return;
	k->health = state == TASK_HEALTHY ? ORDER_HEALTHY : state == TASK_UNHEALTHY ? ORDER_UNHEALTHY : ORDER_HEALTH_UNKNOWN;
	crew_mark(ctx);
}

/* Whatever ran in it has ended with it. */
static void ended(void *ctx, struct task *t, int error, const char *why)
{
	struct duty *i = ctx;
	/* who was making it died, perhaps with the interface: it is made again, with a new one */
	bool again = error == -EAGAIN && !i->ready && i->port_fd >= 0;
	if (again) {
		close(i->port_fd);
		i->port_fd = -1;
		ec2_renew_port(i->crew->cloud, i->port);
	}
	if (!i->ending && !i->failed_code && !again) {
		i->failed_code = i->ready ? "EssentialContainerExited" : "TaskFailedToStart";
		i->failed_reason = i->ready ? S("Essential container in task exited")
		                            : arena_printf(&i->arena, "CannotCreateContainerError: %s", why ? why : "");
	}
	for (uint32_t k = 0; k < i->count; k++)
		if (i->containers[k].state == ORDER_RUNNING || i->containers[k].state == ORDER_STARTING) {
			i->containers[k].state = ORDER_ENDED;
			i->containers[k].exit_code = 137;
		}
	i->ready = i->ending = false;
	metadata_close(i->metadata);
	i->metadata = NULL;
	i->task = NULL;
	task_free(t);
	entered_all_end(i);
	launch_drop_images(i);
	crew_mark(i);
}

static void settled(void *ctx)
{
	struct crew *d = ctx;
	size_t pos = 0;
	struct str key;
	void *value;
	while (map_next(&d->duties, &pos, &key, &value))
		crew_mark(value);
}

const struct task_events duty_events = {.ready = ready,
                                        .started = started,
                                        .exited = exited,
                                        .output = output,
                                        .health = health,
                                        .ended = ended,
                                        .settled = settled};

void *duty_found(void *ctx, struct task *t, const char *id)
{
	struct crew *d = ctx;
	struct duty *i = map_get(&d->by_id, str_from(id));
	if (!i || i->task)
		return NULL;
	i->task = t;
	i->count = task_container_count(t);
	if (i->count > TASK_CONTAINERS_MAX)
		i->count = TASK_CONTAINERS_MAX;
	crew_mark(i);
	return i;
}

void duty_clear(struct duty *i)
{
	launch_cancel(i->launch);
	i->launch = NULL;
	remote_clear(i);
	if (i->task)
		task_free(i->task);
	i->task = NULL;
	entered_all_end(i);
	launch_drop_images(i);
	journal_close(i->journal);
	metadata_close(i->metadata);
	i->journal = NULL;
	i->metadata = NULL;
	loop_remove_timer(i->crew->cloud->loop, i->timer);
	i->timer = NULL;
	if (i->port_fd >= 0)
		close(i->port_fd);
	i->port_fd = -1;
}

/* --- the order, with the record's definition under it */

/* Are its containers to end? Not while it still serves who came through a load balancer. */
static bool stops(const struct state_ecs_task_record *r, int64_t now_ms)
{
	return str_is(r->task->desired_status, "STOPPED") && !ecs_task_drains(r, now_ms);
}

static void look(struct duty *i, const struct state_ecs_task_record *r, int64_t now_ms, enum order_verb *verbs,
                 struct order_next *next)
{
	i->count = r->definition->container_definitions.n;
	for (uint32_t k = 0; k < i->count; k++)
		i->containers[k].definition = &r->definition->container_definitions.v[k];
	order_next(i->containers, i->count, stops(r, now_ms), now_ms, verbs, next);
	if (ecs_task_drains(r, now_ms) && (!next->again_ms || r->drain_until.ms < next->again_ms))
		next->again_ms = r->drain_until.ms;
}

/* --- the record follows */

static bool change(struct str *to, struct str value)
{
	if (str_eq(*to, value))
		return false;
	*to = value;
	return true;
}

static struct str container_reason(struct arena *a, const struct order_container *k, const struct duty_container *more)
{
	if (more->oom)
		return S("OutOfMemoryError: Container killed due to memory usage");
	return k->not_started ? arena_printf(a, "CannotStartContainerError: %s", more->why) : STR_NONE;
}

static const char *health_name(enum order_health h)
{
	return h == ORDER_HEALTHY ? "HEALTHY" : h == ORDER_UNHEALTHY ? "UNHEALTHY" : "UNKNOWN";
}

struct str duty_runtime_id(struct arena *a, const struct duty *i, unsigned index)
{
	return arena_printf(a, "%.*s-%010u", STR_ARG(i->id), index);
}

/* What `quartet exec` enters by is there as long as the container runs. */
static void write_agents(struct ecs_container *to, const struct order_container *k)
{
	for (uint32_t n = 0; n < to->managed_agents.n; n++) {
		struct ecs_managed_agent *agent = &to->managed_agents.v[n];
		agent->last_status = k->state == ORDER_RUNNING ? S("RUNNING")
		                     : k->state == ORDER_ENDED ? S("STOPPED")
		                                               : S("PENDING");
		if (k->state == ORDER_RUNNING)
			agent->last_started_at = OPT_TIME(k->started_ms);
	}
}

static bool write_containers(struct duty *i, struct arena *a, struct ecs_task *t)
{
	bool changed = false;
	for (uint32_t n = 0; n < i->count && n < t->containers.n; n++) {
		const struct order_container *k = &i->containers[n];
		struct ecs_container *to = &t->containers.v[n];
		bool over = k->state == ORDER_ENDED;
		if (k->state == ORDER_NEW)
			continue;
		const char *status = k->state == ORDER_RUNNING ? "RUNNING" : over ? "STOPPED" : "PENDING";
		if (change(&to->last_status, str_from(status))) {
			write_agents(to, k);
			changed = true;
		}
		if (k->started)
			changed |= change(&to->runtime_id, duty_runtime_id(a, i, n));
		changed |= change(&to->health_status, str_from(health_name(k->health)));
		changed |= change(&to->reason, over ? container_reason(a, k, &i->more[n]) : STR_NONE);
		struct opt_int code = over && k->started && !k->not_started ? OPT_INT(k->exit_code) : (struct opt_int){0};
		changed |= code.set != to->exit_code.set || code.v != to->exit_code.v;
		to->exit_code = code;
	}
	for (uint32_t n = 0; n < i->count && n < t->containers.n; n++)
		if (i->more[n].digest.n)
			changed |= change(&t->containers.v[n].image_digest, i->more[n].digest);
	return changed | change(&t->health_status, str_from(health_name(order_task_health(i->containers, i->count))));
}

/* Why it ends by itself; NULL: it goes on. */
static const char *stop_code(struct duty *i, struct arena *a, const struct order_next *next, struct str *reason)
{
	if (i->failed_code) {
		*reason = i->failed_reason;
		return i->failed_code;
	}
	if (next->end == ORDER_GOES_ON)
		return NULL;
	if (next->end == ORDER_FAILED_TO_START) {
		const struct order_container *k = &i->containers[next->because];
		*reason = k->not_started ? container_reason(a, k, &i->more[next->because]) : S("Task failed to start");
		return "TaskFailedToStart";
	}
	*reason = S("Essential container in task exited");
	return "EssentialContainerExited";
}

static bool move(const struct ecs_scope *s, struct state_ecs_task_record *r, enum ecs_status to, int64_t now_ms)
{
	ecs_task_move(s, r, to, now_ms);
	return true;
}

/* One more edge, if the facts allow it. */
static bool follow(struct duty *i, const struct ecs_scope *s, struct state_ecs_task_record *r, const struct order_next *next,
                   int64_t now_ms)
{
	bool ends = str_is(r->task->desired_status, "STOPPED"), settled = !i->crew->tasks || tasks_facts(i->crew->tasks)->known;
	switch (ecs_task_status(r->task)) {
	case ECS_PROVISIONING:
		if (ends)
			return move(s, r, ECS_DEPROVISIONING, now_ms);
		return i->port_fd >= 0 && move(s, r, ECS_PENDING, now_ms);
	case ECS_PENDING:
		if (ends)
			return settled && move(s, r, i->task ? ECS_STOPPING : ECS_DEPROVISIONING, now_ms);
		return i->task && i->ready && next->up && move(s, r, ECS_ACTIVATING, now_ms);
	case ECS_ACTIVATING:
		return !ends && move(s, r, ECS_RUNNING, now_ms);
	case ECS_RUNNING:
		return false;
	case ECS_DEACTIVATING:
		return (next->down || !ecs_task_drains(r, now_ms)) && move(s, r, ECS_STOPPING, now_ms);
	case ECS_STOPPING:
		return settled && !i->task && move(s, r, ECS_DEPROVISIONING, now_ms);
	case ECS_DEPROVISIONING:
		ec2_return_interface(s->txn, s->arena, s->account, s->region, r->interface);
		return move(s, r, ECS_STOPPED, now_ms);
	case ECS_STOPPED:
		return false;
	}
	return false;
}

/* A task that should run, and that the engine does not have any more: its shim is gone, or the machine was started again. */
static void notice_loss(struct duty *i, const struct state_ecs_task_record *r)
{
	enum ecs_status status = ecs_task_status(r->task);
	bool should = status == ECS_ACTIVATING || status == ECS_RUNNING;
	if (!should || i->task || i->failed_code || !i->crew->tasks || !tasks_facts(i->crew->tasks)->known)
		return;
	i->failed_code = "TerminationNotice";
	i->failed_reason = S("The machine that the task ran on was stopped, or the cloud on it.");
}

/* All its containers have started, whatever became of them since: what was short was up nevertheless. */
static bool came_up(const struct duty *i, const struct order_next *next)
{
	bool all = i->ready && !i->failed_code && next->end != ORDER_FAILED_TO_START;
	for (uint32_t n = 0; n < i->count; n++)
		all = all && i->containers[n].started && !i->containers[n].not_started;
	return all;
}

bool duty_advance(struct duty *i, const struct ecs_scope *s, struct state_ecs_task_record *r, int64_t now_ms)
{
	enum order_verb verbs[TASK_CONTAINERS_MAX];
	struct order_next next;
	struct str reason = STR_NONE;
	bool changed = false;
	if (ecs_task_is_remote(r->task))
		return remote_advance(i, s, r, now_ms);
	if (ecs_task_status(r->task) == ECS_STOPPED) {
		bool over = ended_is_over(r->task, now_ms);
		if (over)
			ecs_task_drop(s, r);
		return over;
	}
	notice_loss(i, r);
	look(i, r, now_ms, verbs, &next);
	changed |= write_containers(i, s->arena, r->task);
	if (i->pulled_ms && !r->task->pull_stopped_at.set) {
		r->task->pull_stopped_at = OPT_TIME(i->pulled_ms);
		changed = true;
	}
	const char *code = str_is(r->task->desired_status, "STOPPED") ? NULL : stop_code(i, s->arena, &next, &reason);
	if (code && ecs_task_status(r->task) == ECS_PENDING && came_up(i, &next)) {
		ecs_task_move(s, r, ECS_ACTIVATING, now_ms);
		ecs_task_move(s, r, ECS_RUNNING, now_ms);
	}
	if (code) {
		ecs_task_stop(s, r, code, reason, now_ms);
		changed = true;
	}
	while (follow(i, s, r, &next, now_ms))
		changed = true;
	if (changed)
		ecs_task_put(s, r);
	return changed;
}

/* --- the step */

static void timer_over(void *ctx)
{
	struct duty *i = ctx;
	i->timer = NULL;
	crew_mark(i);
}

void duty_wake_at(struct duty *i, int64_t when_ms, int64_t now_ms)
{
	loop_remove_timer(i->crew->cloud->loop, i->timer);
	i->timer = when_ms ? loop_add_clock_timer(i->crew->cloud->loop, (when_ms > now_ms ? when_ms - now_ms : 0) * 1000,
	                                          timer_over, i)
	                   : NULL;
}

static void launched(struct duty *i)
{
	i->launch = NULL;
	crew_mark(i);
}

static void act(struct duty *i, unsigned index, enum order_verb verb, int64_t now_ms)
{
	struct order_container *k = &i->containers[index];
	if (verb == ORDER_START && i->task && i->ready) {
		int error = task_start(i->task, index);
		if (error && error != -EBUSY)
			return;
		k->state = ORDER_STARTING;
		k->asked_ms = k->asked_ms ? k->asked_ms : now_ms;
	} else if (verb == ORDER_STOP && i->task) {
		k->stopping = true;
		task_stop(i->task, index);
	} else if (verb == ORDER_GIVE_UP) {
		k->state = ORDER_ENDED;
		k->ended_ms = now_ms;
		crew_mark(i);
	}
}

static void work(struct duty *i, const struct ecs_scope *s, const struct state_ecs_task_record *r, int64_t now_ms)
{
	enum order_verb verbs[TASK_CONTAINERS_MAX];
	struct order_next next;
	bool ends = stops(r, now_ms);
	look(i, r, now_ms, verbs, &next);
	if (ends && i->launch) {
		launch_cancel(i->launch);
		i->launch = NULL;
	}
	if (!i->task) {
		bool may = i->crew->tasks && tasks_facts(i->crew->tasks)->known;
		if (may && !ends && !i->launch && !i->failed_code && i->port_fd >= 0 && ecs_task_status(r->task) == ECS_PENDING &&
		    !duty_must_wait(i))
			i->launch = launch_begin(i, r, s, launched);
		return;
	}
	if (ends && next.down && !i->ending) {
		i->ending = true;
		task_end(i->task);
		return;
	}
	for (uint32_t k = 0; k < i->count; k++)
		if (verbs[k] != ORDER_NOTHING)
			act(i, k, verbs[k], now_ms);
	duty_wake_at(i, next.again_ms, now_ms);
}

int64_t duty_memory_mib(const struct ecs_task *t)
{
	return ecs_task_is_remote(t) || ecs_task_status(t) == ECS_STOPPED ? 0 : ecs_memory_mib(t->memory);
}

void duty_step(struct duty *i, const struct ecs_scope *s)
{
	struct state_ecs_task_record r = {0};
	int64_t now_ms = clock_wall_ms(), had_mib = i->memory_mib;
	i->memory_mib = 0;
	if (!ecs_task_find(s, i->cluster, i->id, &r)) {
		duty_clear(i);
		ended_forget(i->crew, i->id);
		return;
	}
	if (ecs_task_is_remote(r.task)) {
		remote_step(i, s, &r, now_ms);
		return;
	}
	enum ecs_status status = ecs_task_status(r.task);
	i->stops = str_is(r.task->desired_status, "STOPPED");
	if (status == ECS_STOPPED)
		duty_clear(i);
	i->memory_mib = duty_memory_mib(r.task);
	if (had_mib && !i->memory_mib)
		duty_left_room(i);
	if (status >= ECS_PENDING && status <= ECS_STOPPING)
		work(i, s, &r, now_ms);
	else if (status == ECS_STOPPED && !ended_is_over(r.task, now_ms))
		ended_keep(i->crew, i->id, i->key, r.task);
	if (status == ECS_PROVISIONING && !i->failed_code && r.task->created_at.ms + INTERFACE_MS <= now_ms) {
		i->failed_code = "TaskFailedToStart";
		i->failed_reason = S("Timeout waiting for network interface provisioning to complete.");
	} else if (status == ECS_PROVISIONING) {
		duty_wake_at(i, r.task->created_at.ms + INTERFACE_MS, now_ms);
	}
	/* Tried on the snapshot: what would not change is not written. */
	if (duty_advance(i, s, &r, now_ms))
		crew_edit(i);
	for (uint32_t k = 0; k < i->count; k++)
		i->containers[k].definition = NULL;
}

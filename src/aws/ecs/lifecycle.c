/* The life of a task: the table of its states, the times that go with each, and what it uses while it is in them.
 *
 *	PROVISIONING   PENDING   ACTIVATING   RUNNING   DEACTIVATING   STOPPING   DEPROVISIONING   STOPPED
 *
 * A task that is to end before it runs skips what it has nothing to do for. */
#include "task.h"

#include "core/meter.h"

#include <assert.h>

static const char *const names[] = {
        [ECS_PROVISIONING] = "PROVISIONING",     [ECS_PENDING] = "PENDING",
        [ECS_ACTIVATING] = "ACTIVATING",         [ECS_RUNNING] = "RUNNING",
        [ECS_DEACTIVATING] = "DEACTIVATING",     [ECS_STOPPING] = "STOPPING",
        [ECS_DEPROVISIONING] = "DEPROVISIONING", [ECS_STOPPED] = "STOPPED",
};
enum { STATES = sizeof(names) / sizeof(*names), MINUTE_MS = 60 * 1000, SECOND_MS = 1000 };

static const struct {
	enum ecs_status from, to;
} edges[] = {
        {ECS_PROVISIONING, ECS_PENDING},    {ECS_PROVISIONING, ECS_DEPROVISIONING}, {ECS_PENDING, ECS_ACTIVATING},
        {ECS_PENDING, ECS_STOPPING},        {ECS_PENDING, ECS_DEPROVISIONING},      {ECS_ACTIVATING, ECS_RUNNING},
        {ECS_ACTIVATING, ECS_DEACTIVATING}, {ECS_RUNNING, ECS_DEACTIVATING},        {ECS_DEACTIVATING, ECS_STOPPING},
        {ECS_STOPPING, ECS_DEPROVISIONING}, {ECS_DEPROVISIONING, ECS_STOPPED},
};

struct str ecs_status_name(enum ecs_status status)
{
	return str_from(names[status]);
}

enum ecs_status ecs_task_status(const struct ecs_task *t)
{
	for (int i = 0; i < STATES; i++)
		if (str_is(t->last_status, names[i]))
			return (enum ecs_status)i;
	assert(!"a task's status is none");
	return ECS_STOPPED;
}

void ecs_task_bill_tags(const struct ecs_scope *s, const struct state_ecs_task_record *r, int64_t now_ms)
{
	struct str_map tags = {0};
	if (str_is(r->task->launch_type, "EC2"))
		return;
	for (uint32_t i = 0; i < r->task->tags.n; i++)
		*LIST_ADD(s->arena, &tags) = (struct str_map_entry){r->task->tags.v[i].key, r->task->tags.v[i].value};
	meter_tags(s->txn, s->arena, s->account, s->region, ARENA_CAT(s->arena, S("task/"), r->id), &tags, now_ms);
}

/* vCPU and GB by the second, from the pull on to the end, a minute at least. Rates are thousandths of a vCPU and MiB; what exceeds
 * the first 20 GiB of storage counts too. */
static void meter(const struct ecs_scope *s, const struct state_ecs_task_record *r, int64_t now_ms, bool uses)
{
	int64_t cpu = 0, memory = 0, storage = 0;
	str_to_i64(r->task->cpu, &cpu);
	str_to_i64(r->task->memory, &memory);
	if (r->task->ephemeral_storage)
		storage = r->task->ephemeral_storage->size_in_gib.v - 20;
	const char *vcpu = r->spot.v ? "SpotUsage-Fargate-vCPU-Hours:perCPU" : "Fargate-vCPU-Hours:perCPU";
	const char *gb = r->spot.v ? "SpotUsage-Fargate-GB-Hours" : "Fargate-GB-Hours";
	struct meter_use use[] = {
	        {.usage = str_from(vcpu), .rate = cpu, .minimum_ms = MINUTE_MS, .step_ms = SECOND_MS},
	        {.usage = str_from(gb), .rate = memory, .minimum_ms = MINUTE_MS, .step_ms = SECOND_MS},
	        {.usage = S("Fargate-EphemeralStorage-GB-Hours"), .rate = storage, .minimum_ms = MINUTE_MS, .step_ms = SECOND_MS},
	};
	struct str id = ARENA_CAT(s->arena, S("task/"), r->id);
	if (uses)
		ecs_task_bill_tags(s, r, now_ms);
	meter_set(s->txn, s->arena, s->account, s->region, id, use, !uses ? 0 : storage > 0 ? 3 : 2, now_ms);
	if (!uses)
		meter_tags(s->txn, s->arena, s->account, s->region, id, NULL, now_ms);
}

static void attachment(struct ecs_task *t, const char *status)
{
	for (uint32_t i = 0; i < t->attachments.n; i++)
		t->attachments.v[i].status = str_from(status);
}

static void containers_stopped(struct ecs_task *t)
{
	for (uint32_t i = 0; i < t->containers.n; i++)
		t->containers.v[i].last_status = S("STOPPED");
}

void ecs_task_move(const struct ecs_scope *s, struct state_ecs_task_record *r, enum ecs_status to, int64_t now_ms)
{
	struct ecs_task *t = r->task;
	bool known = false;
	for (size_t i = 0; i < sizeof(edges) / sizeof(*edges); i++)
		known |= edges[i].from == ecs_task_status(t) && edges[i].to == to;
	assert(known);
	t->last_status = ecs_status_name(to);
	switch (to) {
	case ECS_PENDING:
		attachment(t, "ATTACHED");
		t->connectivity = S("CONNECTED");
		t->connectivity_at = OPT_TIME(now_ms);
		/* On a container instance the agent says when it pulls, and the instance is what is paid for. */
		if (str_is(t->launch_type, "EC2"))
			break;
		t->pull_started_at = OPT_TIME(now_ms);
		meter(s, r, now_ms, true);
		break;
	case ECS_RUNNING:
		t->started_at = OPT_TIME(now_ms);
		break;
	case ECS_DEACTIVATING:
		ecs_targets_leave(s, r, now_ms);
		break;
	case ECS_DEPROVISIONING:
		t->execution_stopped_at = OPT_TIME(now_ms);
		containers_stopped(t);
		break;
	case ECS_STOPPED:
		attachment(t, "DELETED");
		t->stopped_at = OPT_TIME(now_ms);
		meter(s, r, now_ms, false);
		break;
	default:
		break;
	}
}

void ecs_task_stop(const struct ecs_scope *s, struct state_ecs_task_record *r, const char *code, struct str reason, int64_t now_ms)
{
	struct ecs_task *t = r->task;
	if (!str_is(t->desired_status, "STOPPED")) {
		t->desired_status = S("STOPPED");
		t->stop_code = str_from(code);
		t->stopped_reason = reason;
		t->stopping_at = OPT_TIME(now_ms);
		/* what ended by itself ran, even if that was not written down any more */
		if (strcmp(code, "EssentialContainerExited") == 0 && !t->started_at.set)
			t->started_at = OPT_TIME(now_ms);
	}
	enum ecs_status status = ecs_task_status(t);
	if (status == ECS_ACTIVATING || status == ECS_RUNNING)
		ecs_task_move(s, r, ECS_DEACTIVATING, now_ms);
}

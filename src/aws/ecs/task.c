/* Tasks that are there: StopTask, DescribeTasks, ListTasks, GetTaskProtection, UpdateTaskProtection. */
#include "container_instance.h"

enum {
	DESCRIBED_MAX = 100,
	LISTED_MAX = 100,
	PROTECTED_MAX = 10,
	PROTECTION_MINUTES = 120,
	PROTECTION_MOST = 2880,
	REASON_MAX = 255
};
#define MINUTE_MS INT64_C(60000)

int ecs_stop_task(struct call *c, const struct ecs_stop_task_request *in, struct ecs_stop_task_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_cluster cluster = {0};
	struct state_ecs_task_record r = {0};
	if (ecs_cluster_get(c, in->cluster, &cluster) != CALL_OK)
		return CALL_FAIL;
	struct str id = ecs_task_id(c, cluster.cluster_name, in->task);
	if (!str_set(id) || !ecs_task_find(&s, cluster.cluster_name, id, &r))
		return ecs_invalid(c, "The referenced task was not found.");
	if (in->reason.n > REASON_MAX)
		return ecs_invalid(c, "reason can have at most %d characters.", REASON_MAX);
	if (ecs_task_status(r.task) != ECS_STOPPED) {
		ecs_task_stop(&s, &r, "UserInitiated", in->reason.n ? in->reason : S("Task stopped by user"), c->now_ms);
		ecs_task_put(&s, &r);
	}
	out->task = r.task;
	return CALL_OK;
}

int ecs_describe_tasks(struct call *c, const struct ecs_describe_tasks_request *in, struct ecs_describe_tasks_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_cluster cluster = {0};
	bool tags = false;
	out->tasks.set = out->failures.set = true;
	if (ecs_cluster_get(c, in->cluster, &cluster) != CALL_OK)
		return CALL_FAIL;
	if (!in->tasks.n)
		return ecs_invalid(c, "Tasks cannot be empty.");
	if (in->tasks.n > DESCRIBED_MAX)
		return ecs_invalid(c, "tasks can have at most %d items.", DESCRIBED_MAX);
	for (uint32_t i = 0; i < in->include.n; i++)
		tags = tags || str_is(in->include.v[i], "TAGS");
	for (uint32_t i = 0; i < in->tasks.n; i++) {
		struct state_ecs_task_record r = {0};
		struct str text = in->tasks.v[i], id = ecs_task_id(c, cluster.cluster_name, text);
		if (!str_set(id) || !ecs_task_find(&s, cluster.cluster_name, id, &r)) {
			struct str arn = str_set(id) ? ecs_task_arn(c->arena, &s, cluster.cluster_name, id) : text;
			ecs_failure(c, &out->failures, arn, "MISSING");
			continue;
		}
		struct ecs_task *to = LIST_ADD(c->arena, &out->tasks);
		*to = *r.task;
		if (!tags)
			to->tags = (struct ecs_tags){.set = true};
	}
	return CALL_OK;
}

static bool wanted(struct call *c, const struct ecs_list_tasks_request *in, struct str instance, const struct ecs_task *t)
{
	struct str family = str_from_at(t->task_definition_arn, (size_t)str_rfind_char(t->task_definition_arn, '/') + 1);
	struct str service = ecs_of_arn(c, "service", in->service_name);
	if (str_starts(in->service_name, S("arn:")) && str_find_char(service, '/') >= 0)
		service = str_from_at(service, (size_t)str_rfind_char(service, '/') + 1);
	return str_eq(t->desired_status, in->desired_status.n ? in->desired_status : S("RUNNING")) &&
	       (!str_set(instance) || (ecs_task_is_remote(t) && str_eq(ecs_task_instance(t), instance))) &&
	       (!in->family.n || str_eq(str_cut(&family, ':'), in->family)) &&
	       (!in->started_by.n || str_eq(t->started_by, in->started_by)) &&
	       (!in->launch_type.n || str_eq(t->launch_type, in->launch_type)) &&
	       (!in->service_name.n || str_eq(t->group, ARENA_CAT(c->arena, S("service:"), service)));
}

int ecs_list_tasks(struct call *c, const struct ecs_list_tasks_request *in, struct ecs_list_tasks_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_cluster cluster = {0};
	struct ecs_walk w;
	struct str last = STR_NONE;
	uint32_t limit;
	out->task_arns.set = true;
	if (ecs_cluster_get(c, in->cluster, &cluster) != CALL_OK)
		return CALL_FAIL;
	struct state_ecs_instance_record at = {0};
	struct str instance =
	        in->container_instance.n ? ecs_instance_id(c, cluster.cluster_name, in->container_instance) : STR_NONE;
	if (in->container_instance.n && (!str_set(instance) || !ecs_instance_find(&s, cluster.cluster_name, instance, &at)))
		return ecs_invalid(c, "The referenced container instance was not found.");
	if (str_is(in->desired_status, "PENDING"))
		return CALL_OK; /* no task has that for its desired status */
	if (ecs_page_size(c, in->max_results, LISTED_MAX, &limit) != CALL_OK ||
	    ecs_walk_begin(c, &w, ecs_tasks_under(&s, cluster.cluster_name), in->next_token, false) != CALL_OK)
		return CALL_FAIL;
	while (ecs_walk_next(&w)) {
		struct state_ecs_task_record r = {0};
		if (!ecs_task_read(c->arena, w.value, &r) || !wanted(c, in, instance, r.task))
			continue;
		if (out->task_arns.n == limit) {
			out->next_token = ecs_page_token(c, last);
			break;
		}
		*LIST_ADD(c->arena, &out->task_arns) = r.task->task_arn;
		last = w.key;
	}
	return CALL_OK;
}

/* --- protection from being scaled in */

static bool of_service(const struct ecs_task *t)
{
	return str_starts(t->group, S("service:"));
}

static void show(struct call *c, const struct state_ecs_task_record *r, struct ecs_protected_tasks *to)
{
	bool is = r->protected_until.set && r->protected_until.ms > c->now_ms;
	*LIST_ADD(c->arena, to) = (struct ecs_protected_task){
	        .task_arn = r->task->task_arn,
	        .protection_enabled = OPT_BOOL(is),
	        .expiration_date = is ? r->protected_until : (struct opt_time){0},
	};
}

/* Each of the tasks that may be protected, in turn; others become failures. */
static bool next_task(struct call *c, struct str cluster, struct str text, struct ecs_failures *failures,
                      struct state_ecs_task_record *ret)
{
	struct ecs_scope s = ecs_scope(c);
	struct str id = ecs_task_id(c, cluster, text);
	*ret = (struct state_ecs_task_record){0};
	if (!str_set(id) || !ecs_task_find(&s, cluster, id, ret))
		ecs_failure(c, failures, text, "MISSING");
	else if (!of_service(ret->task) || !str_is(ret->task->desired_status, "RUNNING"))
		ecs_failure(c, failures, ret->task->task_arn, "TASK_NOT_VALID");
	else
		return true;
	return false;
}

int ecs_get_task_protection(struct call *c, const struct ecs_get_task_protection_request *in,
                            struct ecs_get_task_protection_response *out)
{
	struct ecs_cluster cluster = {0};
	struct ecs_scope s = ecs_scope(c);
	struct state_ecs_task_record r = {0};
	out->protected_tasks.set = out->failures.set = true;
	if (ecs_cluster_get(c, in->cluster, &cluster) != CALL_OK)
		return CALL_FAIL;
	if (in->tasks.n > DESCRIBED_MAX)
		return ecs_invalid(c, "tasks can have at most %d items.", DESCRIBED_MAX);
	for (uint32_t i = 0; i < in->tasks.n; i++)
		if (next_task(c, cluster.cluster_name, in->tasks.v[i], &out->failures, &r))
			show(c, &r, &out->protected_tasks);
	if (in->tasks.n)
		return CALL_OK;
	struct ecs_walk w;
	if (ecs_walk_begin(c, &w, ecs_tasks_under(&s, cluster.cluster_name), STR_NONE, false) != CALL_OK)
		return CALL_FAIL;
	while (ecs_walk_next(&w)) {
		r = (struct state_ecs_task_record){0};
		if (ecs_task_read(c->arena, w.value, &r) && of_service(r.task) && str_is(r.task->desired_status, "RUNNING"))
			show(c, &r, &out->protected_tasks);
	}
	return CALL_OK;
}

int ecs_update_task_protection(struct call *c, const struct ecs_update_task_protection_request *in,
                               struct ecs_update_task_protection_response *out)
{
	struct ecs_cluster cluster = {0};
	struct ecs_scope s = ecs_scope(c);
	int64_t minutes = in->expires_in_minutes.set ? in->expires_in_minutes.v : PROTECTION_MINUTES;
	out->protected_tasks.set = out->failures.set = true;
	if (ecs_cluster_get(c, in->cluster, &cluster) != CALL_OK)
		return CALL_FAIL;
	if (!in->tasks.n || in->tasks.n > PROTECTED_MAX)
		return ecs_invalid(c, "tasks must have from 1 to %d items.", PROTECTED_MAX);
	if (minutes < 1 || minutes > PROTECTION_MOST)
		return ecs_invalid(c, "expiresInMinutes must be between 1 and %d.", PROTECTION_MOST);
	for (uint32_t i = 0; i < in->tasks.n; i++) {
		struct state_ecs_task_record r;
		if (!next_task(c, cluster.cluster_name, in->tasks.v[i], &out->failures, &r))
			continue;
		r.protected_until = in->protection_enabled.v ? OPT_TIME(c->now_ms + minutes * MINUTE_MS) : (struct opt_time){0};
		ecs_task_put(&s, &r);
		show(c, &r, &out->protected_tasks);
	}
	return CALL_OK;
}

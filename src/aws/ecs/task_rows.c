#include "task.h"

static const struct record_type task_row = {&state_ecs_api, "TaskRecord"};

struct ecs_scope ecs_scope(struct call *c)
{
	return (struct ecs_scope){.txn = call_txn(c), .arena = c->arena, .account = c->account, .region = c->region};
}

struct str ecs_task_key(const struct ecs_scope *s, struct str cluster, struct str id)
{
	return KEY(s->arena, S("ecs"), S("task"), s->account, s->region, cluster, id);
}

struct str ecs_tasks_under(const struct ecs_scope *s, struct str cluster)
{
	return KEY_UNDER(s->arena, S("ecs"), S("task"), s->account, s->region, cluster);
}

bool ecs_task_read(struct arena *a, struct str value, struct state_ecs_task_record *ret)
{
	return record_read(a, value, &task_row, ret);
}

bool ecs_task_find(const struct ecs_scope *s, struct str cluster, struct str id, struct state_ecs_task_record *ret)
{
	return record_get(s->txn, s->arena, ecs_task_key(s, cluster, id), &task_row, ret);
}

void ecs_task_put(const struct ecs_scope *s, struct state_ecs_task_record *r)
{
	r->task->version = OPT_INT(r->task->version.v + 1);
	ecs_task_announce(s, r);
	ecs_tell_task(s, r);
	record_put(s->txn, s->arena, ecs_task_key(s, r->cluster, r->id), &task_row, r);
}

void ecs_task_drop(const struct ecs_scope *s, const struct state_ecs_task_record *r)
{
	store_delete(s->txn, ecs_task_key(s, r->cluster, r->id));
}

struct str ecs_task_arn(struct arena *a, const struct ecs_scope *s, struct str cluster, struct str id)
{
	return arena_printf(a, "arn:aws:ecs:%.*s:%.*s:task/%.*s/%.*s", STR_ARG(s->region), STR_ARG(s->account), STR_ARG(cluster),
	                    STR_ARG(id));
}

struct str ecs_task_id(struct call *c, struct str cluster, struct str text)
{
	return ecs_id_in_cluster(c, "task", cluster, text);
}

struct ecs_task_counts ecs_task_count(struct call *c, struct str cluster)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_task_counts n = {0};
	struct ecs_walk w;
	if (ecs_walk_begin(c, &w, ecs_tasks_under(&s, cluster), STR_NONE, false) != CALL_OK)
		return n;
	while (ecs_walk_next(&w)) {
		struct state_ecs_task_record r = {0};
		if (!ecs_task_read(c->arena, w.value, &r))
			continue;
		enum ecs_status status = ecs_task_status(r.task);
		n.pending += status < ECS_RUNNING;
		n.running += status >= ECS_RUNNING && status < ECS_STOPPED;
	}
	return n;
}

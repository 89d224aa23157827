#include "crew.h"

#include "core/gate.h"

bool ecs_task_named(struct cloud *cloud, struct http_request *r, struct arena *a, struct named_task *t, unsigned *ret_status,
                    struct str *ret_why)
{
	struct crew *d = cloud_state(cloud, &ecs_service);
	struct str id = str_from_at(t->name, (size_t)(str_rfind_char(t->name, '/') + 1));
	struct str_map tags = {0};
	if (str_starts(t->name, S("arn:"))) {
		struct str rest = t->name;
		for (int i = 0; i < 4; i++)
			t->region = str_cut(&rest, ':');
	}
	t->duty = d ? map_get(&d->by_id, id) : NULL;
	struct ecs_scope s = {.txn = store_begin(cloud->store, a), .arena = a, .account = t->who->account, .region = t->region};
	if (t->duty && (!str_eq(t->duty->account, t->who->account) || !str_eq(t->duty->region, t->region) ||
	                !ecs_task_find(&s, t->duty->cluster, id, &t->record)))
		t->duty = NULL;
	store_abort(s.txn);
	const struct ecs_task *task = t->duty ? t->record.task : NULL;
	for (uint32_t i = 0; task && i < task->tags.n; i++)
		*LIST_ADD(a, &tags) = (struct str_map_entry){.key = task->tags.v[i].key, .value = task->tags.v[i].value};
	struct authz az = {.action = str_from(t->action), .resource = task ? task->task_arn : t->name};
	*ret_status = 403;
	if (!gate_may(cloud->gate, r, t->who, t->region, &az, &tags, ret_why))
		return false;
	*ret_status = 404;
	if (!task)
		*ret_why = arena_printf(a, "The task '%.*s' was not found", STR_ARG(id));
	return task;
}

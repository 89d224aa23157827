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
	struct str key = t->duty ? t->duty->key : d ? ended_key(d, id) : STR_NONE;
	struct str_list parts = record_key_parts(a, key);
	struct ecs_scope s = {.txn = store_begin(cloud->store, a), .arena = a, .account = t->who->account, .region = t->region};
	bool there = parts.n == 6 && str_eq(parts.v[2], t->who->account) && str_eq(parts.v[3], t->region) &&
	             ecs_task_find(&s, parts.v[4], id, &t->record);
	store_abort(s.txn);
	const struct ecs_task *task = there ? t->record.task : NULL;
	t->id = id;
	t->cluster = there ? parts.v[4] : STR_NONE;
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

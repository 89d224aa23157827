#include "aws/ec2/ec2.h"
#include "container_instance.h"

static const struct record_type instance_row = {&state_ecs_api, "InstanceRecord"};

static struct str instance_key(const struct ecs_scope *s, struct str cluster, struct str id)
{
	return KEY(s->arena, S("ecs"), S("instance"), s->account, s->region, cluster, id);
}

struct str ecs_instances_under(const struct ecs_scope *s, struct str cluster)
{
	return KEY_UNDER(s->arena, S("ecs"), S("instance"), s->account, s->region, cluster);
}

bool ecs_instance_read(struct arena *a, struct str value, struct state_ecs_instance_record *ret)
{
	return record_read(a, value, &instance_row, ret);
}

bool ecs_instance_find(const struct ecs_scope *s, struct str cluster, struct str id, struct state_ecs_instance_record *ret)
{
	return record_get(s->txn, s->arena, instance_key(s, cluster, id), &instance_row, ret);
}

void ecs_instance_put(const struct ecs_scope *s, struct state_ecs_instance_record *r)
{
	r->instance->version = OPT_INT(r->instance->version.v + 1);
	ecs_tell_instance(s, r);
	record_put(s->txn, s->arena, instance_key(s, r->cluster, r->id), &instance_row, r);
}

void ecs_instance_drop(const struct ecs_scope *s, const struct state_ecs_instance_record *r)
{
	store_delete(s->txn, instance_key(s, r->cluster, r->id));
}

struct str ecs_instance_arn(struct arena *a, const struct ecs_scope *s, struct str cluster, struct str id)
{
	return arena_printf(a, "arn:aws:ecs:%.*s:%.*s:container-instance/%.*s/%.*s", STR_ARG(s->region), STR_ARG(s->account),
	                    STR_ARG(cluster), STR_ARG(id));
}

struct str ecs_instance_id(struct call *c, struct str cluster, struct str text)
{
	return ecs_id_in_cluster(c, "container-instance", cluster, text);
}

int64_t ecs_instance_count(struct call *c, struct str cluster)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_walk w;
	int64_t n = 0;
	if (ecs_walk_begin(c, &w, ecs_instances_under(&s, cluster), STR_NONE, false) != CALL_OK)
		return 0;
	while (ecs_walk_next(&w)) {
		struct state_ecs_instance_record r = {0};
		n += ecs_instance_read(c->arena, w.value, &r) && !str_is(r.instance->status, "INACTIVE");
	}
	return n;
}

bool ecs_task_is_remote(const struct ecs_task *t)
{
	return str_is(t->launch_type, "EC2");
}

struct str ecs_task_instance(const struct ecs_task *t)
{
	return str_from_at(t->container_instance_arn, (size_t)(str_rfind_char(t->container_instance_arn, '/') + 1));
}

void ecs_task_end(const struct ecs_scope *s, struct state_ecs_task_record *r, int64_t now_ms)
{
	for (;;) {
		switch (ecs_task_status(r->task)) {
		case ECS_ACTIVATING:
		case ECS_RUNNING:
			ecs_task_move(s, r, ECS_DEACTIVATING, now_ms);
			break;
		case ECS_DEACTIVATING:
			ecs_task_move(s, r, ECS_STOPPING, now_ms);
			break;
		case ECS_PROVISIONING:
		case ECS_PENDING:
		case ECS_STOPPING:
			ecs_task_move(s, r, ECS_DEPROVISIONING, now_ms);
			break;
		case ECS_DEPROVISIONING:
			ec2_return_interface(s->txn, s->arena, s->account, s->region, r->interface);
			ecs_task_move(s, r, ECS_STOPPED, now_ms);
			break;
		case ECS_STOPPED:
			return;
		}
	}
}

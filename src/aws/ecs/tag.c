/* Tags: TagResource, UntagResource, ListTagsForResource; and those given when something is made. */
#include "container_instance.h"
#include "scheduled.h"

enum { TAGS_MAX = 50 };
#define TOO_MANY "The maximum number of tags that can be applied to a resource is %d."
#define NOT_FOUND "The specified resource was not found. Specify a valid resource ARN and try again."

int ecs_tags_check(struct call *c, const struct ecs_tags *tags)
{
	if (tags->n > TAGS_MAX)
		return ecs_invalid(c, TOO_MANY, TAGS_MAX);
	for (uint32_t i = 0; i < tags->n; i++) {
		if (!tags->v[i].key.n)
			return ecs_invalid(c, "Tag key cannot be empty.");
		if (str_istarts(tags->v[i].key, S("aws:")))
			return ecs_invalid(c, "Tag keys beginning with aws: are reserved for system use.");
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(tags->v[k].key, tags->v[i].key))
				return ecs_invalid(c, "Duplicate tag keys found. Please note that Tag keys are case insensitive.");
	}
	return CALL_OK;
}

void ecs_authz_tags(struct call *c, struct authz *az, const struct ecs_tags *tags)
{
	struct str_map map = {0};
	for (uint32_t i = 0; i < tags->n; i++)
		*LIST_ADD(c->arena, &map) = (struct str_map_entry){tags->v[i].key, tags->v[i].value};
	authz_add_tags(c, az, "aws:ResourceTag", &map);
}

int ecs_tags_authorize(struct call *c, struct authz *az, const struct ecs_tags *tags)
{
	struct str_map map = {0};
	if (!tags->n)
		return CALL_OK;
	for (uint32_t i = 0; i < tags->n; i++)
		*LIST_ADD(c->arena, &map) = (struct str_map_entry){tags->v[i].key, tags->v[i].value};
	authz_add_tags(c, az, "aws:RequestTag", &map);
	for (uint32_t i = 0; i < tags->n; i++)
		authz_add(c, az, "aws:TagKeys", tags->v[i].key);
	if (!str_is(ecs_setting(c, "tagResourceAuthorization"), "on"))
		return CALL_OK;
	struct authz tagging = *az;
	tagging.action = S("ecs:TagResource");
	return call_authorize(c, &tagging) ? CALL_OK : CALL_FAIL;
}

/* Something with tags, by its ARN: its record, and where in that the tags are. */
struct tagged {
	struct ecs_cluster cluster;
	struct state_ecs_definition_record definition;
	struct state_ecs_task_record task;
	struct state_ecs_service_record service;
	struct state_ecs_instance_record instance;
	struct ecs_tags *tags;
	enum { OF_CLUSTER, OF_DEFINITION, OF_TASK, OF_SERVICE, OF_INSTANCE } of;
};

/* "CLUSTER/NAME", behind the type in an ARN. A task that has stopped has no tags to change. */
static bool get_below_cluster(struct call *c, struct str arn, struct tagged *ret)
{
	struct ecs_scope s = ecs_scope(c);
	struct str task = ecs_of_arn(c, "task", arn), service = ecs_of_arn(c, "service", arn),
	           instance = ecs_of_arn(c, "container-instance", arn),
	           name = str_set(task)      ? task
	                  : str_set(service) ? service
	                                     : instance;
	struct str cluster = str_cut(&name, '/');
	if (!ecs_name_good(cluster) || !ecs_name_good(name))
		return false;
	if (str_set(task)) {
		ret->of = OF_TASK;
		if (!ecs_task_find(&s, cluster, name, &ret->task) || ecs_task_status(ret->task.task) == ECS_STOPPED)
			return false;
		ret->tags = &ret->task.task->tags;
		return true;
	}
	if (str_set(instance)) {
		ret->of = OF_INSTANCE;
		if (!ecs_instance_find(&s, cluster, name, &ret->instance) || str_is(ret->instance.instance->status, "INACTIVE"))
			return false;
		ret->tags = &ret->instance.instance->tags;
		return true;
	}
	ret->of = OF_SERVICE;
	if (!ecs_service_find(&s, cluster, name, &ret->service) || str_is(ret->service.service->status, "INACTIVE"))
		return false;
	ret->tags = &ret->service.service->tags;
	return true;
}

static int get_tagged(struct call *c, struct str arn, struct tagged *ret)
{
	struct ecs_definition_name name;
	struct str cluster = ecs_of_arn(c, "cluster", arn);
	*ret = (struct tagged){0};
	if (!str_starts(arn, ecs_arn(c, S(""))))
		return ecs_invalid(c, "Invalid identifier: %.*s", STR_ARG(arn));
	if (str_set(cluster)) {
		if (ecs_cluster_get(c, cluster, &ret->cluster) != CALL_OK)
			return CALL_FAIL;
		ret->of = OF_CLUSTER;
		ret->tags = &ret->cluster.tags;
		return CALL_OK;
	}
	if (str_starts(arn, ecs_arn(c, S("task/"))) || str_starts(arn, ecs_arn(c, S("service/"))) ||
	    str_starts(arn, ecs_arn(c, S("container-instance/"))))
		return get_below_cluster(c, arn, ret) ? CALL_OK : ecs_invalid(c, NOT_FOUND);
	if (!ecs_definition_name(c, arn, &name) || !name.revision || !ecs_definition_find(c, &name, &ret->definition))
		return ecs_invalid(c, NOT_FOUND);
	ret->of = OF_DEFINITION;
	ret->tags = &ret->definition.tags;
	return CALL_OK;
}

static void put_tagged(struct call *c, struct tagged *t)
{
	struct ecs_scope s = ecs_scope(c);
	if (t->of == OF_CLUSTER)
		ecs_cluster_put(c, &t->cluster);
	else if (t->of == OF_DEFINITION)
		ecs_definition_put(c, &t->definition);
	else if (t->of == OF_TASK) {
		ecs_task_put(&s, &t->task);
		if (ecs_task_status(t->task.task) > ECS_PROVISIONING)
			ecs_task_bill_tags(&s, &t->task, c->now_ms);
	} else if (t->of == OF_INSTANCE)
		ecs_instance_put(&s, &t->instance);
	else
		ecs_service_put(&s, &t->service);
}

int ecs_tag_resource(struct call *c, const struct ecs_tag_resource_request *in, struct ecs_tag_resource_response *out)
{
	struct tagged t;
	(void)out;
	if (ecs_tags_check(c, &in->tags) != CALL_OK || get_tagged(c, in->resource_arn, &t) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->tags.n; i++) {
		uint32_t at = 0;
		while (at < t.tags->n && !str_eq(t.tags->v[at].key, in->tags.v[i].key))
			at++;
		struct ecs_tag *to = at < t.tags->n ? &t.tags->v[at] : LIST_ADD(c->arena, t.tags);
		*to = in->tags.v[i];
	}
	if (t.tags->n > TAGS_MAX)
		return ecs_invalid(c, TOO_MANY, TAGS_MAX);
	put_tagged(c, &t);
	return CALL_OK;
}

int ecs_untag_resource(struct call *c, const struct ecs_untag_resource_request *in, struct ecs_untag_resource_response *out)
{
	struct tagged t;
	struct ecs_tags left = {.set = true};
	(void)out;
	for (uint32_t k = 0; k < in->tag_keys.n; k++)
		if (str_istarts(in->tag_keys.v[k], S("aws:")))
			return ecs_invalid(c, "Tag keys beginning with aws: are reserved for system use.");
	if (get_tagged(c, in->resource_arn, &t) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < t.tags->n; i++) {
		bool gone = false;
		for (uint32_t k = 0; k < in->tag_keys.n; k++)
			gone = gone || str_eq(in->tag_keys.v[k], t.tags->v[i].key);
		if (!gone)
			*LIST_ADD(c->arena, &left) = t.tags->v[i];
	}
	*t.tags = left;
	put_tagged(c, &t);
	return CALL_OK;
}

int ecs_list_tags_for_resource(struct call *c, const struct ecs_list_tags_for_resource_request *in,
                               struct ecs_list_tags_for_resource_response *out)
{
	struct tagged t;
	if (get_tagged(c, in->resource_arn, &t) != CALL_OK)
		return CALL_FAIL;
	out->tags = *t.tags;
	out->tags.set = true;
	return CALL_OK;
}

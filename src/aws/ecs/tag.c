/* Tags: TagResource, UntagResource, ListTagsForResource; and those given when something is made. */
#include "rows.h"

enum { TAGS_MAX = 50 };

int ecs_tags_check(struct call *c, const struct ecs_tags *tags)
{
	if (tags->n > TAGS_MAX)
		return ecs_invalid(c, "The maximum number of tags that can be applied to a resource is %d.", TAGS_MAX);
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
	struct ecs_tags *tags;
	bool is_cluster;
};

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
		ret->is_cluster = true;
		ret->tags = &ret->cluster.tags;
		return CALL_OK;
	}
	if (!ecs_definition_name(c, arn, &name) || !name.revision || !ecs_definition_find(c, &name, &ret->definition))
		return ecs_invalid(c, "The specified resource was not found. Specify a valid resource ARN and try again.");
	ret->tags = &ret->definition.tags;
	return CALL_OK;
}

static void put_tagged(struct call *c, const struct tagged *t)
{
	if (t->is_cluster)
		ecs_cluster_put(c, &t->cluster);
	else
		ecs_definition_put(c, &t->definition);
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
	if (ecs_tags_check(c, t.tags) != CALL_OK)
		return CALL_FAIL;
	put_tagged(c, &t);
	return CALL_OK;
}

int ecs_untag_resource(struct call *c, const struct ecs_untag_resource_request *in, struct ecs_untag_resource_response *out)
{
	struct tagged t;
	struct ecs_tags left = {.set = true};
	(void)out;
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

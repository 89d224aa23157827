/* Tags of log groups, by name (the older operations) and by ARN: TagLogGroup, UntagLogGroup, ListTagsLogGroup, TagResource,
 * UntagResource, ListTagsForResource. */
#include "rows.h"

enum { TAGS_MAX = 50 };

static int tag(struct call *c, struct logs_group *group, const struct str_map *tags, const char *too_many)
{
	for (uint32_t i = 0; i < tags->n; i++) {
		uint32_t at = 0;
		while (at < group->record.tags.n && !str_eq(group->record.tags.v[at].key, tags->v[i].key))
			at++;
		struct str_map_entry *e =
		        at < group->record.tags.n ? &group->record.tags.v[at] : LIST_ADD(c->arena, &group->record.tags);
		*e = tags->v[i];
	}
	if (group->record.tags.n > TAGS_MAX)
		return call_fail(c, too_many, 0, "A resource can have at most %d tags.", TAGS_MAX);
	logs_put_group(c, group);
	return CALL_OK;
}

static int untag(struct call *c, struct logs_group *group, const struct str_list *keys)
{
	struct str_map left = {0};
	for (uint32_t i = 0; i < group->record.tags.n; i++) {
		bool gone = false;
		for (uint32_t j = 0; j < keys->n; j++)
			gone |= str_eq(keys->v[j], group->record.tags.v[i].key);
		if (!gone)
			*LIST_ADD(c->arena, &left) = group->record.tags.v[i];
	}
	group->record.tags = left;
	logs_put_group(c, group);
	return CALL_OK;
}

static int group_of_arn(struct call *c, struct str arn, struct logs_group *ret)
{
	struct str name = logs_name_of_arn(c, arn);
	if (!str_starts(arn, S("arn:")))
		return logs_invalid(c, "The specified resourceArn is not valid.");
	if (!str_set(name) || !logs_find_group(c, name, ret))
		return call_fail(c, "ResourceNotFoundException", 0, "The specified resource does not exist.");
	return CALL_OK;
}

int logs_tag_log_group(struct call *c, const struct logs_tag_log_group_request *in, struct model_none *out)
{
	(void)out;
	struct logs_group group;
	if (logs_get_group(c, in->log_group_name, &group) != CALL_OK)
		return CALL_FAIL;
	return tag(c, &group, &in->tags, "InvalidParameterException");
}

int logs_untag_log_group(struct call *c, const struct logs_untag_log_group_request *in, struct model_none *out)
{
	(void)out;
	struct logs_group group;
	return logs_get_group(c, in->log_group_name, &group) == CALL_OK ? untag(c, &group, &in->tags) : CALL_FAIL;
}

static struct str_map tags_or_none(const struct logs_group *group)
{
	struct str_map tags = group->record.tags;
	tags.set = true; /* none is said as {} */
	return tags;
}

int logs_list_tags_log_group(struct call *c, const struct logs_list_tags_log_group_request *in,
                             struct logs_list_tags_log_group_response *out)
{
	struct logs_group group;
	if (logs_get_group(c, in->log_group_name, &group) != CALL_OK)
		return CALL_FAIL;
	out->tags = tags_or_none(&group);
	return CALL_OK;
}

int logs_tag_resource(struct call *c, const struct logs_tag_resource_request *in, struct model_none *out)
{
	(void)out;
	struct logs_group group;
	if (group_of_arn(c, in->resource_arn, &group) != CALL_OK)
		return CALL_FAIL;
	return tag(c, &group, &in->tags, "TooManyTagsException");
}

int logs_untag_resource(struct call *c, const struct logs_untag_resource_request *in, struct model_none *out)
{
	(void)out;
	struct logs_group group;
	return group_of_arn(c, in->resource_arn, &group) == CALL_OK ? untag(c, &group, &in->tag_keys) : CALL_FAIL;
}

int logs_list_tags_for_resource(struct call *c, const struct logs_list_tags_for_resource_request *in,
                                struct logs_list_tags_for_resource_response *out)
{
	struct logs_group group;
	if (group_of_arn(c, in->resource_arn, &group) != CALL_OK)
		return CALL_FAIL;
	out->tags = tags_or_none(&group);
	return CALL_OK;
}

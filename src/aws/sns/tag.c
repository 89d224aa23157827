/* TagResource, UntagResource, ListTagsForResource: of topics. */
#include "sns.h"

enum { TAGS_MAX = 50 };

static int get(struct call *c, struct str arn, struct topic *ret)
{
	struct sns_name at;
	struct str id;
	if (!sns_name_of_arn(arn, &at, &id) || str_set(id))
		return sns_invalid(c, "ResourceArn");
	if (!str_eq(at.region, c->region) || !sns_find_topic(call_txn(c), c->arena, &at, ret))
		return call_fail(c, "ResourceNotFoundException", 404, "Resource does not exist");
	return CALL_OK;
}

int sns_tag_resource(struct call *c, const struct sns_tag_resource_request *in, struct sns_tag_resource_response *out)
{
	struct topic t;
	(void)out;
	if (get(c, in->resource_arn, &t) != CALL_OK)
		return CALL_FAIL;
	struct str_map *tags = &t.record.tags;
	for (uint32_t i = 0; i < in->tags.n; i++) {
		uint32_t at = 0;
		if (str_istarts(in->tags.v[i].key, S("aws:")))
			return sns_invalid(c, "Tags Reason: Tag keys must not begin with aws:");
		while (at < tags->n && !str_eq(tags->v[at].key, in->tags.v[i].key))
			at++;
		if (at < tags->n)
			tags->v[at].value = in->tags.v[i].value;
		else
			*LIST_ADD(c->arena, tags) = (struct str_map_entry){in->tags.v[i].key, in->tags.v[i].value};
	}
	if (tags->n > TAGS_MAX)
		return call_fail(c, "TagLimitExceededException", 400,
		                 "Could not complete request: tag quota of per resource exceeded");
	sns_put_topic(c, &t);
	return CALL_OK;
}

int sns_untag_resource(struct call *c, const struct sns_untag_resource_request *in, struct sns_untag_resource_response *out)
{
	struct topic t;
	(void)out;
	if (get(c, in->resource_arn, &t) != CALL_OK)
		return CALL_FAIL;
	struct str_map left = {0};
	for (uint32_t i = 0; i < t.record.tags.n; i++) {
		bool goes = false;
		for (uint32_t k = 0; k < in->tag_keys.n; k++)
			goes |= str_eq(t.record.tags.v[i].key, in->tag_keys.v[k]);
		if (!goes)
			*LIST_ADD(c->arena, &left) = t.record.tags.v[i];
	}
	t.record.tags = left;
	sns_put_topic(c, &t);
	return CALL_OK;
}

int sns_list_tags_for_resource(struct call *c, const struct sns_list_tags_for_resource_request *in,
                               struct sns_list_tags_for_resource_response *out)
{
	struct topic t;
	if (get(c, in->resource_arn, &t) != CALL_OK)
		return CALL_FAIL;
	out->tags.set = true;
	for (uint32_t i = 0; i < t.record.tags.n; i++)
		*LIST_ADD(c->arena, &out->tags) = (struct sns_tag){t.record.tags.v[i].key, t.record.tags.v[i].value};
	return CALL_OK;
}

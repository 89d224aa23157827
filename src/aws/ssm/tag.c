/* Tags of parameters: AddTagsToResource, RemoveTagsFromResource, ListTagsForResource. Nothing else here has tags. */
#include "rows.h"

enum { TAGS_MAX = 50 };

static int merge(struct call *c, const struct ssm_tag_list *tags, struct str_map *to)
{
	for (uint32_t i = 0; i < tags->n; i++) {
		uint32_t at = 0;
		if (str_istarts(tags->v[i].key, S("aws:")))
			return ssm_invalid(c, "Tag keys beginning with aws: are reserved for system use.");
		while (at < to->n && !str_eq(to->v[at].key, tags->v[i].key))
			at++;
		struct str_map_entry *e = at < to->n ? &to->v[at] : LIST_ADD(c->arena, to);
		*e = (struct str_map_entry){tags->v[i].key, tags->v[i].value};
	}
	if (to->n > TAGS_MAX)
		return call_fail(c, "TooManyTagsError", 0, "A resource can have a maximum of %d tags.", TAGS_MAX);
	return CALL_OK;
}

int ssm_tags_take(struct call *c, const struct ssm_tag_list *tags, struct str_map *ret)
{
	return merge(c, tags, ret);
}

static int get_tagged(struct call *c, struct str type, struct str id, struct state_ssm_parameter_record *ret)
{
	struct ssm_reference ref = ssm_reference(c, id);
	if (!str_is(type, "Parameter") || str_set(ref.selector) || ssm_name_public(ref.name) || !ssm_find(c, ref.name, ret))
		return call_fail(c, "InvalidResourceId", 0,
		                 "The resource ID isn't valid. Verify that you entered the correct ID and try "
		                 "again.");
	return CALL_OK;
}

int ssm_add_tags_to_resource(struct call *c, const struct ssm_add_tags_to_resource_request *in,
                             struct ssm_add_tags_to_resource_result *out)
{
	(void)out;
	struct state_ssm_parameter_record p;
	if (get_tagged(c, in->resource_type, in->resource_id, &p) != CALL_OK || merge(c, &in->tags, &p.tags) != CALL_OK)
		return CALL_FAIL;
	ssm_put_row(c, &p);
	return CALL_OK;
}

int ssm_remove_tags_from_resource(struct call *c, const struct ssm_remove_tags_from_resource_request *in,
                                  struct ssm_remove_tags_from_resource_result *out)
{
	(void)out;
	struct state_ssm_parameter_record p;
	struct str_map left = {0};
	if (get_tagged(c, in->resource_type, in->resource_id, &p) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < p.tags.n; i++) {
		bool gone = false;
		for (uint32_t k = 0; k < in->tag_keys.n; k++)
			gone = gone || str_eq(in->tag_keys.v[k], p.tags.v[i].key);
		if (!gone)
			*LIST_ADD(c->arena, &left) = p.tags.v[i];
	}
	p.tags = left;
	ssm_put_row(c, &p);
	return CALL_OK;
}

int ssm_list_tags_for_resource(struct call *c, const struct ssm_list_tags_for_resource_request *in,
                               struct ssm_list_tags_for_resource_result *out)
{
	struct state_ssm_parameter_record p;
	out->tag_list.set = true;
	if (get_tagged(c, in->resource_type, in->resource_id, &p) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < p.tags.n; i++)
		*LIST_ADD(c->arena, &out->tag_list) = (struct ssm_tag){p.tags.v[i].key, p.tags.v[i].value};
	return CALL_OK;
}

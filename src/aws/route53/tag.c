/* ChangeTagsForResource, ListTagsForResource, ListTagsForResources. */
#include "rows.h"

enum { TAGS_MAX = 50 };

/* A zone or a health check, by the type that says which. */
struct tagged {
	bool is_check;
	struct state_route53_zone_record zone;
	struct state_route53_check_record check;
	struct route53_tag_list *tags;
};

static int get_tagged(struct call *c, struct str type, struct str id, struct tagged *ret)
{
	ret->is_check = str_is(type, "healthcheck");
	ret->tags = ret->is_check ? &ret->check.tags : &ret->zone.tags;
	return ret->is_check ? route53_check_get(c, id, &ret->check) : route53_zone_get(c, id, &ret->zone);
}

static void put_tag(struct call *c, struct route53_tag_list *tags, const struct route53_tag *tag)
{
	for (uint32_t i = 0; i < tags->n; i++)
		if (str_eq(tags->v[i].key, tag->key)) {
			tags->v[i].value = tag->value;
			return;
		}
	*LIST_ADD(c->arena, tags) = *tag;
}

static void drop_tag(struct route53_tag_list *tags, struct str key)
{
	for (uint32_t i = 0; i < tags->n; i++)
		if (str_eq(tags->v[i].key, key)) {
			for (tags->n--; i < tags->n; i++)
				tags->v[i] = tags->v[i + 1];
			return;
		}
}

int route53_change_tags_for_resource(struct call *c, const struct route53_change_tags_for_resource_request *in,
                                     struct route53_change_tags_for_resource_response *out)
{
	struct tagged r;
	(void)out;
	if (!in->add_tags.n && !in->remove_tag_keys.n)
		return route53_invalid(c, "Either AddTags or RemoveTagKeys must be specified");
	if (get_tagged(c, in->resource_type, in->resource_id, &r) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->add_tags.n; i++)
		if (!in->add_tags.v[i].key.n || str_istarts(in->add_tags.v[i].key, S("aws:")))
			return route53_invalid(c, "Tag keys must not be empty and must not begin with aws:");
	for (uint32_t i = 0; i < in->remove_tag_keys.n; i++)
		drop_tag(r.tags, in->remove_tag_keys.v[i]);
	for (uint32_t i = 0; i < in->add_tags.n; i++)
		put_tag(c, r.tags, &in->add_tags.v[i]);
	if (r.tags->n > TAGS_MAX)
		return route53_invalid(c, "A resource can have at most %d tags", TAGS_MAX);
	if (r.is_check)
		route53_check_put(c, &r.check);
	else
		route53_zone_put(c, &r.zone);
	return CALL_OK;
}

static int tags_of(struct call *c, struct str type, struct str id, struct route53_resource_tag_set *ret)
{
	struct tagged r;
	if (get_tagged(c, type, id, &r) != CALL_OK)
		return CALL_FAIL;
	*ret = (struct route53_resource_tag_set){type, route53_id(id), *r.tags};
	ret->tags.set = true;
	return CALL_OK;
}

int route53_list_tags_for_resource(struct call *c, const struct route53_list_tags_for_resource_request *in,
                                   struct route53_list_tags_for_resource_response *out)
{
	out->resource_tag_set = arena_new(c->arena, struct route53_resource_tag_set);
	return tags_of(c, in->resource_type, in->resource_id, out->resource_tag_set);
}

int route53_list_tags_for_resources(struct call *c, const struct route53_list_tags_for_resources_request *in,
                                    struct route53_list_tags_for_resources_response *out)
{
	out->resource_tag_sets.set = true;
	for (uint32_t i = 0; i < in->resource_ids.n; i++)
		if (tags_of(c, in->resource_type, in->resource_ids.v[i], LIST_ADD(c->arena, &out->resource_tag_sets)) != CALL_OK)
			return CALL_FAIL;
	return CALL_OK;
}

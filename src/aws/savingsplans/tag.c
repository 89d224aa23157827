/* Tags of savings plans. */
#include "aws/savingsplans/rows.h"

enum { KEY_BYTES_MAX = 128, VALUE_BYTES_MAX = 256 };

int plan_tags_take(struct call *c, const struct str_map *tags, struct str_map *to)
{
	for (uint32_t i = 0; i < tags->n; i++) {
		const struct str_map_entry *tag = &tags->v[i];
		struct str_map_entry *at = NULL;
		if (!tag->key.n || tag->key.n > KEY_BYTES_MAX || tag->value.n > VALUE_BYTES_MAX)
			return plan_invalid(c, "A tag's key has 1 to %d characters and its value at most %d.", KEY_BYTES_MAX,
			                    VALUE_BYTES_MAX);
		if (str_istarts(tag->key, S("aws:")))
			return plan_invalid(c, "Tag keys starting with 'aws:' are reserved for system use.");
		for (uint32_t k = 0; k < to->n && !at; k++)
			if (str_eq(to->v[k].key, tag->key))
				at = &to->v[k];
		*(at ? at : LIST_ADD(c->arena, to)) = *tag;
	}
	if (to->n > PLAN_TAGS_MAX)
		return call_fail(c, "ServiceQuotaExceededException", 402, "A savings plan has at most %d tags.", PLAN_TAGS_MAX);
	return CALL_OK;
}

int savingsplans_tag_resource(struct call *c, const struct savingsplans_tag_resource_request *in,
                              struct savingsplans_tag_resource_response *out)
{
	(void)out;
	struct plan p;
	if (plan_get_by_arn(c, in->resource_arn, &p) != CALL_OK || plan_tags_take(c, &in->tags, &p.r.tags) != CALL_OK)
		return CALL_FAIL;
	plan_put(c, &p);
	return CALL_OK;
}

int savingsplans_untag_resource(struct call *c, const struct savingsplans_untag_resource_request *in,
                                struct savingsplans_untag_resource_response *out)
{
	(void)out;
	struct plan p;
	struct str_map left = {.set = true};
	if (plan_get_by_arn(c, in->resource_arn, &p) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < p.r.tags.n; i++)
		if (!plan_one_of(p.r.tags.v[i].key, &in->tag_keys))
			*LIST_ADD(c->arena, &left) = p.r.tags.v[i];
	p.r.tags = left;
	plan_put(c, &p);
	return CALL_OK;
}

int savingsplans_list_tags_for_resource(struct call *c, const struct savingsplans_list_tags_for_resource_request *in,
                                        struct savingsplans_list_tags_for_resource_response *out)
{
	struct plan p;
	if (plan_get_by_arn(c, in->resource_arn, &p) != CALL_OK)
		return CALL_FAIL;
	out->tags = p.r.tags;
	out->tags.set = true;
	return CALL_OK;
}

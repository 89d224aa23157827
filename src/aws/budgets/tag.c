/* Tags of budgets. */
#include "aws/budgets/rows.h"

enum { TAGS_MAX = 200 };

int budgets_tags_take(struct call *c, const struct budgets_resource_tag_list *tags, struct budgets_resource_tag_list *to)
{
	for (uint32_t i = 0; i < tags->n; i++) {
		struct budgets_resource_tag *at = NULL;
		if (str_istarts(tags->v[i].key, S("aws:")))
			return budgets_invalid(c, "Tag keys starting with 'aws:' are reserved");
		for (uint32_t k = 0; k < to->n && !at; k++)
			if (str_eq(to->v[k].key, tags->v[i].key))
				at = &to->v[k];
		*(at ? at : LIST_ADD(c->arena, to)) = tags->v[i];
	}
	if (to->n > TAGS_MAX)
		return call_fail(c, "ServiceQuotaExceededException", 400, "A budget has at most %d tags", TAGS_MAX);
	return CALL_OK;
}

static int find(struct call *c, struct str arn, struct state_budgets_budget_record *ret)
{
	struct str own = budgets_arn(c, S(""));
	if (!str_starts(arn, own))
		return call_fail(c, "NotFoundException", 400, "There is no budget %.*s.", STR_ARG(arn));
	return budgets_get(c, str_from_at(arn, own.n), ret);
}

int budgets_tag_resource(struct call *c, const struct budgets_tag_resource_request *in, struct budgets_tag_resource_response *out)
{
	(void)out;
	struct state_budgets_budget_record r;
	if (find(c, in->resource_arn, &r) != CALL_OK || budgets_tags_take(c, &in->resource_tags, &r.tags) != CALL_OK)
		return CALL_FAIL;
	budgets_put(c, &r);
	return CALL_OK;
}

int budgets_untag_resource(struct call *c, const struct budgets_untag_resource_request *in,
                           struct budgets_untag_resource_response *out)
{
	(void)out;
	struct state_budgets_budget_record r;
	struct budgets_resource_tag_list left = {.set = true};
	if (find(c, in->resource_arn, &r) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < r.tags.n; i++) {
		bool goes = false;
		for (uint32_t k = 0; k < in->resource_tag_keys.n; k++)
			goes |= str_eq(in->resource_tag_keys.v[k], r.tags.v[i].key);
		if (!goes)
			*LIST_ADD(c->arena, &left) = r.tags.v[i];
	}
	r.tags = left;
	budgets_put(c, &r);
	return CALL_OK;
}

int budgets_list_tags_for_resource(struct call *c, const struct budgets_list_tags_for_resource_request *in,
                                   struct budgets_list_tags_for_resource_response *out)
{
	struct state_budgets_budget_record r;
	if (find(c, in->resource_arn, &r) != CALL_OK)
		return CALL_FAIL;
	out->resource_tags = r.tags;
	out->resource_tags.set = true;
	return CALL_OK;
}

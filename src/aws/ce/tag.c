/* Cost allocation tags: which keys lines are told apart by. The meter knows those that something metered was tagged with. */
#include "aws/ce/cost.h"

#include <time.h>

enum { LIST_MAX = 1000, LIST_DEFAULT = 100 };

static struct str time_text(struct arena *a, int64_t ms)
{
	time_t at = (time_t)(ms / 1000);
	struct tm tm;
	gmtime_r(&at, &tm);
	return arena_printf(a, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
	                    tm.tm_min, tm.tm_sec);
}

static struct str type_of(struct str key)
{
	return str_starts(key, S("aws:")) ? S("AWSGenerated") : S("UserDefined");
}

static bool is_asked(const struct ce_list_cost_allocation_tags_request *in, const struct meter_key *k)
{
	bool named = !in->tag_keys.n;
	for (uint32_t i = 0; i < in->tag_keys.n; i++)
		named |= str_eq(in->tag_keys.v[i], k->key);
	return named && (!str_set(in->type) || str_eq(in->type, type_of(k->key))) &&
	       (!str_set(in->status) || str_is(in->status, "Active") == k->active);
}

int ce_list_cost_allocation_tags(struct call *c, const struct ce_list_cost_allocation_tags_request *in,
                                 struct ce_list_cost_allocation_tags_response *out)
{
	struct meter_keys keys = meter_list_keys(call_txn(c), c->arena, c->account), asked = {0};
	uint32_t from, to;
	const struct opt_int limit = in->max_results.set ? in->max_results : (struct opt_int)OPT_INT(LIST_DEFAULT);
	for (uint32_t i = 0; i < keys.n; i++)
		if (is_asked(in, &keys.v[i]))
			*LIST_ADD(c->arena, &asked) = keys.v[i];
	if (cost_page(c, in->next_token, &limit, asked.n, &from, &to, &out->next_token) != CALL_OK)
		return CALL_FAIL;
	out->cost_allocation_tags.set = true;
	for (uint32_t i = from; i < to; i++) {
		const struct meter_key *k = &asked.v[i];
		struct ce_cost_allocation_tag *tag = LIST_ADD(c->arena, &out->cost_allocation_tags);
		tag->tag_key = k->key;
		tag->type = type_of(k->key);
		tag->status = k->active ? S("Active") : S("Inactive");
		if (k->updated_ms)
			tag->last_updated_date = time_text(c->arena, k->updated_ms);
		if (k->used_ms)
			tag->last_used_date = time_text(c->arena, k->used_ms);
	}
	return CALL_OK;
}

int ce_update_cost_allocation_tags_status(struct call *c, const struct ce_update_cost_allocation_tags_status_request *in,
                                          struct ce_update_cost_allocation_tags_status_response *out)
{
	struct str unknown = STR_NONE;
	for (uint32_t i = 0; i < in->cost_allocation_tags_status.n; i++) {
		const struct ce_cost_allocation_tag_status_entry *e = &in->cost_allocation_tags_status.v[i];
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(in->cost_allocation_tags_status.v[k].tag_key, e->tag_key))
				return cost_invalid(c, "Duplicate tag key: %.*s", STR_ARG(e->tag_key));
		if (!meter_activate_key(call_txn(c), c->arena, c->account, e->tag_key, str_is(e->status, "Active"), c->now_ms))
			unknown = str_set(unknown) ? ARENA_CAT(c->arena, unknown, S(", "), e->tag_key) : e->tag_key;
	}
	if (str_set(unknown))
		return cost_invalid(c, "Tag keys not found: %.*s", STR_ARG(unknown));
	out->errors.set = true;
	return CALL_OK;
}

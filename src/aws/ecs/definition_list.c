/* ListTaskDefinitions and ListTaskDefinitionFamilies. */
#include "rows.h"

enum { LISTED_MAX = 100 };

/* By family and revision, as the keys lie; the newest first if so asked. */
int ecs_list_task_definitions(struct call *c, const struct ecs_list_task_definitions_request *in,
                              struct ecs_list_task_definitions_response *out)
{
	struct str status = in->status.n ? in->status : S("ACTIVE"), last = STR_NONE;
	struct str under = ecs_definitions_under(c, in->family_prefix.n ? in->family_prefix : STR_NONE);
	struct ecs_walk w;
	uint32_t limit;
	out->task_definition_arns.set = true;
	if (in->family_prefix.n && !ecs_name_good(in->family_prefix))
		return ecs_invalid(c, "Family contains invalid characters.");
	if (ecs_page_size(c, in->max_results, LISTED_MAX, &limit) != CALL_OK ||
	    ecs_walk_begin(c, &w, under, in->next_token, str_is(in->sort, "DESC")) != CALL_OK)
		return CALL_FAIL;
	while (ecs_walk_next(&w)) {
		struct state_ecs_definition_record r;
		if (!record_read(c->arena, w.value, &ecs_definition_row, &r) || !str_eq(r.definition->status, status))
			continue;
		if (out->task_definition_arns.n == limit) {
			out->next_token = ecs_page_token(c, last);
			break;
		}
		*LIST_ADD(c->arena, &out->task_definition_arns) = r.definition->task_definition_arn;
		last = w.key;
	}
	return CALL_OK;
}

int ecs_list_task_definition_families(struct call *c, const struct ecs_list_task_definition_families_request *in,
                                      struct ecs_list_task_definition_families_response *out)
{
	struct str status = in->status.n ? in->status : S("ACTIVE"), last = STR_NONE;
	struct ecs_walk w;
	uint32_t limit;
	out->families.set = true;
	if (ecs_page_size(c, in->max_results, LISTED_MAX, &limit) != CALL_OK ||
	    ecs_walk_begin(c, &w, ecs_families_under(c), in->next_token, false) != CALL_OK)
		return CALL_FAIL;
	while (ecs_walk_next(&w)) {
		struct state_ecs_family_record f;
		struct str_list parts = record_key_parts(c->arena, w.key);
		struct str family = parts.v[parts.n - 1];
		if (!str_starts(family, in->family_prefix) || !record_read(c->arena, w.value, &ecs_family_row, &f))
			continue;
		bool active = f.active.v > 0, there = active || f.inactive.v > 0;
		if (!there || (!str_is(status, "ALL") && active != str_is(status, "ACTIVE")))
			continue;
		if (out->families.n == limit) {
			out->next_token = ecs_page_token(c, last);
			break;
		}
		*LIST_ADD(c->arena, &out->families) = family;
		last = w.key;
	}
	return CALL_OK;
}

/* DescribeParameters: what there is, without values. */
#include "rows.h"

static void describe(struct call *c, const struct state_ssm_parameter_record *p, struct ssm_parameter_metadata *ret)
{
	const struct state_ssm_version_record *v = p->latest;
	*ret = (struct ssm_parameter_metadata){
	        .name = p->name,
	        .arn = ssm_arn(c, p->name),
	        .type = v->type,
	        .key_id = ssm_key_of(v),
	        .last_modified_date = v->modified,
	        .last_modified_user = v->modified_by,
	        .description = v->description,
	        .allowed_pattern = v->allowed_pattern,
	        .version = v->version,
	        .tier = v->tier,
	        .data_type = v->data_type,
	};
	ret->policies.set = true;
}

/* The older spelling of filters: exact names, types and keys. */
static void add_old(struct call *c, const struct ssm_parameters_filter_list *old, struct ssm_parameter_string_filter_list *ret)
{
	for (uint32_t i = 0; i < old->n; i++)
		*LIST_ADD(c->arena, ret) = (struct ssm_parameter_string_filter){.key = old->v[i].key, .values = old->v[i].values};
}

int ssm_describe_parameters(struct call *c, const struct ssm_describe_parameters_request *in,
                            struct ssm_describe_parameters_result *out)
{
	static const char *const keys[] = {"tag:", "Name", "Type", "KeyId", "Path", "Label", "Tier", "DataType", NULL};
	uint32_t limit = in->max_results.set ? (uint32_t)in->max_results.v : 50;
	struct ssm_parameter_string_filter_list filters = in->parameter_filters;
	out->parameters.set = true;
	if (in->filters.n && in->parameter_filters.n)
		return ssm_invalid(c, "You can use either Filters or ParameterFilters in a single request.");
	if (in->shared.v)
		return CALL_OK; /* nothing is shared with this account */
	add_old(c, &in->filters, &filters);
	for (uint32_t i = 0; i < filters.n; i++)
		if (ssm_filter_check(c, &filters.v[i], keys) != CALL_OK)
			return CALL_FAIL;
	struct ssm_walk w;
	struct str last = STR_NONE;
	if (ssm_walk_begin(c, &w, S(""), in->next_token) != CALL_OK)
		return CALL_FAIL;
	while (ssm_walk_next(c, &w)) {
		bool is = true;
		for (uint32_t i = 0; is && i < filters.n; i++)
			is = ssm_filter_matches(c, &w.row, &filters.v[i]);
		if (!is)
			continue;
		if (out->parameters.n == limit) {
			out->next_token = ssm_page_token(c, last);
			break;
		}
		describe(c, &w.row, LIST_ADD(c->arena, &out->parameters));
		last = w.key;
	}
	return CALL_OK;
}

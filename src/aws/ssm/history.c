/* GetParameterHistory: every version that is kept, the oldest first. */
#include "rows.h"

static void add_labels(struct call *c, const struct state_ssm_parameter_record *p, int64_t version, struct str_list *ret)
{
	ret->set = true;
	for (uint32_t i = 0; i < p->labels.n; i++)
		if (p->labels.v[i].version.v == version)
			*LIST_ADD(c->arena, ret) = p->labels.v[i].name;
}

static bool add(struct call *c, const struct state_ssm_parameter_record *p, const struct state_ssm_version_record *v, bool decrypt,
                struct ssm_parameter_history *ret)
{
	*ret = (struct ssm_parameter_history){
	        .name = p->name,
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
	add_labels(c, p, v->version.v, &ret->labels);
	return ssm_value(c, p->name, v, decrypt, &ret->value);
}

int ssm_get_parameter_history(struct call *c, const struct ssm_get_parameter_history_request *in,
                              struct ssm_get_parameter_history_result *out)
{
	struct state_ssm_parameter_record p;
	int64_t limit = in->max_results.set ? in->max_results.v : 50, from = 0;
	out->parameters.set = true;
	if (in->next_token.n && (!str_to_i64(in->next_token, &from) || from < 0))
		return call_fail(c, "InvalidNextToken", 0, "The specified token is not valid.");
	if (!ssm_find(c, ssm_reference(c, in->name).name, &p))
		return call_fail(c, "ParameterNotFound", 0, "%s", "");
	if (from < p.oldest.v)
		from = p.oldest.v;
	for (; from <= p.latest->version.v; from++) {
		struct state_ssm_version_record v;
		if (out->parameters.n == limit) {
			out->next_token = arena_printf(c->arena, "%lld", (long long)from);
			break;
		}
		if (ssm_find_version(c, &p, from, &v) &&
		    !add(c, &p, &v, in->with_decryption.v, LIST_ADD(c->arena, &out->parameters)))
			return CALL_FAIL;
	}
	return CALL_OK;
}

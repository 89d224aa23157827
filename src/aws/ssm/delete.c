/* DeleteParameter and DeleteParameters. */
#include "rows.h"

static bool find_own(struct call *c, struct str text, struct state_ssm_parameter_record *ret)
{
	struct ssm_reference ref = ssm_reference(c, text);
	return !str_set(ref.selector) && !ssm_name_public(ref.name) && ssm_find(c, ref.name, ret);
}

int ssm_delete_parameter(struct call *c, const struct ssm_delete_parameter_request *in, struct ssm_delete_parameter_result *out)
{
	(void)out;
	struct state_ssm_parameter_record p;
	if (!find_own(c, in->name, &p))
		return call_fail(c, "ParameterNotFound", 0, "%s", "");
	ssm_drop(c, &p);
	return CALL_OK;
}

int ssm_delete_parameters(struct call *c, const struct ssm_delete_parameters_request *in, struct ssm_delete_parameters_result *out)
{
	out->deleted_parameters.set = out->invalid_parameters.set = true;
	for (uint32_t i = 0; i < in->names.n; i++) {
		struct state_ssm_parameter_record p;
		if (!find_own(c, in->names.v[i], &p)) {
			*LIST_ADD(c->arena, &out->invalid_parameters) = in->names.v[i];
			continue;
		}
		ssm_drop(c, &p);
		*LIST_ADD(c->arena, &out->deleted_parameters) = in->names.v[i];
	}
	return CALL_OK;
}

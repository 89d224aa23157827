/* How a function's runtime comes by its versions, and who may sign its code. A runtime is this machine's interpreter: there is one
 * version of it, which changes when the machine's does, so `Auto` is all that can be kept. No function has a code signing
 * configuration. */
#include "aws/lambda/lambda.h"

static struct str qualified(struct call *c, const struct lambda_name *n)
{
	return lambda_function_arn(c->arena, n->region, n->account, n->name,
	                           str_set(n->qualifier) ? n->qualifier : S(LAMBDA_LATEST));
}

int lambda_get_runtime_management_config(struct call *c, const struct lambda_get_runtime_management_config_request *in,
                                         struct lambda_get_runtime_management_config_response *out)
{
	struct lambda_name n;
	struct state_lambda_version_record row = {0};
	if (lambda_load_qualified(c, in->function_name, in->qualifier, &n, &row) != CALL_OK)
		return CALL_FAIL;
	out->update_runtime_on = S("Auto");
	out->function_arn = qualified(c, &n);
	return CALL_OK;
}

int lambda_put_runtime_management_config(struct call *c, const struct lambda_put_runtime_management_config_request *in,
                                         struct lambda_put_runtime_management_config_response *out)
{
	struct lambda_name n;
	struct state_lambda_version_record row = {0};
	if (lambda_load_qualified(c, in->function_name, in->qualifier, &n, &row) != CALL_OK)
		return CALL_FAIL;
	if (str_eq(row.config->package_type, S("Image")))
		return lambda_invalid(c, "Runtime management is not supported for functions created with container images.");
	bool manual = str_eq(in->update_runtime_on, S("Manual")),
	     named = str_set(in->runtime_version_arn) && in->runtime_version_arn.n;
	if (manual && !named)
		return lambda_invalid(c, "RuntimeVersionArn is required when UpdateRuntimeOn is Manual.");
	if (!manual && named)
		return lambda_invalid(c, "RuntimeVersionArn can only be specified when UpdateRuntimeOn is Manual.");
	if (!str_eq(in->update_runtime_on, S("Auto")))
		return lambda_invalid(
		        c,
		        "UpdateRuntimeOn %.*s is not supported by this cloud: a runtime is this machine's interpreter, whatever version that has.",
		        STR_ARG(in->update_runtime_on));
	out->update_runtime_on = in->update_runtime_on;
	out->function_arn = qualified(c, &n);
	return CALL_OK;
}

int lambda_get_function_code_signing_config(struct call *c, const struct lambda_get_function_code_signing_config_request *in,
                                            struct lambda_get_function_code_signing_config_response *out)
{
	struct lambda_name n;
	struct state_lambda_function_record row = {0};
	if (lambda_load_function(c, in->function_name, &n, &row) != CALL_OK)
		return CALL_FAIL;
	out->function_name = n.name;
	out->code_signing_config_arn = S(""); /* none; clients' models want the member */
	return CALL_OK;
}

/* The function of a target group, as RegisterTargets looks at it: it is called as the balancer will call it, but for the call
 * itself. */
#include "function.h"

#include "gen/lambda.h"

int elb_function_check(struct call *c, struct str group_arn, struct str function)
{
	const char *code;
	if (!call_tried(c, &code)) {
		const struct lambda_invocation_request in = {
		        .function_name = function, .invocation_type = S("DryRun"), .payload = S("{}")};
		struct principal *self = elb_function_principal(c->account, group_arn);
		int result = call_try(c, self, c->region, &lambda_api, "Invoke", &in);
		principal_unref(self);
		return result;
	}
	if (!code[0])
		return CALL_OK;
	if (strcmp(code, "ResourceNotFoundException") == 0)
		return call_fail(c, "InvalidTarget", 0, "The following Lambda function does not exist: '%.*s'", STR_ARG(function));
	return call_fail(c, "AccessDenied", 403,
	                 "elasticloadbalancing principal does not have permission to invoke %.*s from target group %.*s",
	                 STR_ARG(function), STR_ARG(group_arn));
}

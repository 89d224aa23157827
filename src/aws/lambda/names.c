/* Functions are named in four ways, with the qualifier inside the name or beside it; here they become one. */
#include "aws/lambda/lambda.h"

bool lambda_is_version_number(struct str s, int64_t *ret)
{
	int64_t n;
	if (!str_set(s) || str_empty(s) || s.n > 18 || !ascii_is_digit(s.p[0]) || !str_to_i64(s, &n) || n < 1)
		return false;
	*ret = n;
	return true;
}

struct str lambda_function_arn(struct arena *a, struct str region, struct str account, struct str name, struct str qualifier)
{
	if (!str_set(qualifier))
		return ARENA_CAT(a, S("arn:aws:lambda:"), region, S(":"), account, S(":function:"), name);
	return ARENA_CAT(a, S("arn:aws:lambda:"), region, S(":"), account, S(":function:"), name, S(":"), qualifier);
}

int lambda_name_parse(struct call *c, struct str text, struct str qualifier, struct lambda_name *ret)
{
	struct lambda_name n = {.region = c->region, .account = c->account};
	struct str rest = text;
	if (str_starts(text, S("arn:"))) {
		struct str parts[6] = {0};
		for (int i = 0; i < 6; i++)
			parts[i] = str_cut(&rest, ':');
		if (!str_set(rest) || !str_eq(parts[2], S("lambda")) || !str_eq(parts[5], S("function")))
			return lambda_invalid(c, "Invalid function ARN: %.*s", STR_ARG(text));
		n.region = parts[3];
		n.account = parts[4];
	} else {
		struct str first = str_cut(&rest, ':'), tail = rest;
		struct str second = str_set(tail) ? str_cut(&tail, ':') : STR_NONE;
		/* 123456789012:function:name, else name[:qualifier] */
		if (str_set(second) && str_eq(second, S("function")) && str_set(tail)) {
			n.account = first;
			rest = tail;
		} else {
			rest = text;
		}
	}
	n.name = str_cut(&rest, ':');
	if (str_set(rest) && !str_empty(rest))
		n.qualifier = rest;
	if (!str_eq(n.region, c->region)) {
		return call_fail(c, "ResourceNotFoundException", 404,
		                 "Functions from '%.*s' are not reachable in this region ('%.*s')", STR_ARG(n.region),
		                 STR_ARG(c->region));
	}
	if (str_empty(n.name) || n.name.n > 64) {
		return call_fail(
		        c, "ValidationException", 400,
		        "1 validation error detected: Value '%.*s' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 64",
		        STR_ARG(n.name));
	}
	if (str_set(qualifier)) {
		if (str_set(n.qualifier) && !str_eq(n.qualifier, qualifier))
			return lambda_invalid(
			        c, "The derived qualifier from the function name does not match the specified qualifier.");
		n.qualifier = qualifier;
	}
	*ret = n;
	return CALL_OK;
}

struct str lambda_input_text(const struct call *c, const char *member)
{
	const struct api *api = c->service->api;
	const struct shape *shape = operation_input(api, c->op);
	for (uint32_t i = 0; shape && i < shape->members; i++) {
		const struct member *m = &api->members[shape->first_member + i];
		if (!str_is(api_text(api, m->name), member))
			continue;
		uint8_t kind = api_shape(api, m->shape)->kind;
		if (kind == SHAPE_STRING)
			return *(const struct str *)(const void *)((const char *)c->in + m->offset);
		return STR_NONE;
	}
	return STR_NONE;
}

int lambda_no_function(struct call *c, const struct lambda_name *n)
{
	struct str arn = lambda_function_arn(c->arena, n->region, n->account, n->name, n->qualifier);
	return call_fail(c, "ResourceNotFoundException", 404, "Function not found: %.*s", STR_ARG(arn));
}

int lambda_invalid(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str text = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "InvalidParameterValueException", 400, "%.*s", STR_ARG(text));
}

int lambda_check_revision(struct call *c, struct str given, struct str current)
{
	if (!str_set(given) || str_eq(given, current))
		return CALL_OK;
	return call_fail(
	        c, "PreconditionFailedException", 412,
	        "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id");
}

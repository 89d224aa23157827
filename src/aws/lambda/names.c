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

/* us-east-1, us-gov-west-1: small letters in parts, and a digit at the end. */
static bool is_region(struct str s)
{
	if (s.n < 6 || s.p[2] != '-' || s.p[s.n - 2] != '-' || !ascii_is_digit(s.p[s.n - 1]))
		return false;
	for (size_t i = 0; i < s.n - 1; i++)
		if (s.p[i] != '-' && (s.p[i] < 'a' || s.p[i] > 'z'))
			return false;
	return true;
}

bool lambda_is_account(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_digit(s.p[i]))
			return false;
	return s.n == 12;
}

static bool is_function_word(struct str s)
{
	return str_is(s, "function");
}

/* Takes the part in front of the next colon off, if it is such a one. */
static struct str take_part(struct str *rest, bool (*is_one)(struct str))
{
	struct str after = *rest, part = str_cut(&after, ':');
	if (!str_set(after) || !is_one(part))
		return STR_NONE;
	*rest = after;
	return part;
}

/* [arn:aws:lambda:][region:][account:][function:]name[:qualifier] */
bool lambda_name_split(struct str text, struct lambda_name *ret)
{
	struct lambda_name n = {0};
	struct str rest = text;
	bool arn = str_starts(text, S("arn:"));
	if (arn) {
		str_cut(&rest, ':');
		str_cut(&rest, ':');
		if (!str_eq(str_cut(&rest, ':'), S("lambda")) || !str_set(rest))
			return false;
	}
	n.region = take_part(&rest, is_region);
	n.account = take_part(&rest, lambda_is_account);
	if (!str_set(take_part(&rest, is_function_word)) && arn)
		return false;
	n.name = str_cut(&rest, ':');
	if (str_set(rest) && !str_empty(rest))
		n.qualifier = rest;
	*ret = n;
	return true;
}

int lambda_name_parse(struct call *c, struct str text, struct str qualifier, struct lambda_name *ret)
{
	struct lambda_name n;
	if (!lambda_name_split(text, &n))
		return lambda_invalid(c, "Invalid function ARN: %.*s", STR_ARG(text));
	if (!str_set(n.region))
		n.region = c->region;
	if (!str_set(n.account))
		n.account = c->account;
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

int lambda_name_whole(struct call *c, struct str text, struct lambda_name *ret)
{
	if (lambda_name_parse(c, text, STR_NONE, ret) != CALL_OK)
		return CALL_FAIL;
	if (str_set(ret->qualifier) && !str_eq(ret->qualifier, S(LAMBDA_LATEST)))
		return lambda_not_qualified(c);
	ret->qualifier = STR_NONE;
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

int lambda_not_qualified(struct call *c)
{
	return lambda_invalid(
	        c,
	        "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please specify either a function name or an unqualified function ARN.");
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

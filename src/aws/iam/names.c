/* Names and paths that hold what they must not: IAM says that in words of its own, where it says everything else about its input
 * (what is missing, too long, too many) as all services do. */
#include "aws/iam/entity.h"

static bool good_name(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_alnum(s.p[i]) && str_find_char(S("+=,.@_-"), s.p[i]) < 0)
			return false;
	return true;
}

static bool good_prefix(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '!' || s.p[i] > '~')
			return false;
	return s.p[0] == '/';
}

static bool good_path(struct str s)
{
	return good_prefix(s) && s.p[s.n - 1] == '/';
}

static const struct {
	const char *member;
	bool (*good)(struct str s);
	const char *words;
} rules[] = {
        {"Name", good_name, "contain only alphanumeric characters and/or the following: +=,.@_-"},
        {"Path", good_path, "begin and end with / and contain only alphanumeric characters and/or / characters."},
        {"PathPrefix", good_prefix, "begin with the / character and contain only alphanumeric characters and/or / characters."},
};

bool iam_check_names(struct call *c, const void *in)
{
	const struct api *api = c->service->api;
	const struct shape *input = operation_input(api, c->op);
	for (uint16_t i = 0; i < input->members; i++) {
		const struct member *m = &api->members[input->first_member + i];
		const struct shape *shape = api_shape(api, m->shape);
		if (shape->kind != SHAPE_STRING || !(shape->have & HAS_PATTERN))
			continue;
		struct str name = api_text(api, m->name), value = *(const struct str *)(const void *)((const char *)in + m->offset);
		if (value.n == 0 || (int64_t)value.n > shape->max)
			continue;
		for (size_t r = 0; r < sizeof(rules) / sizeof(rules[0]); r++)
			if (str_ends(name, str_from(rules[r].member)) && !rules[r].good(value)) {
				call_fail(c, "ValidationError", 400, "The specified value for %c%.*s is invalid. It must %s",
				          ascii_lower(name.p[0]), STR_ARG(str_from_at(name, 1)), rules[r].words);
				return false;
			}
	}
	return true;
}

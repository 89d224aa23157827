/* What parameters and their versions are called. */
#include "rows.h"

enum { ARN_CHARACTERS_MAX = 1011, LABEL_MAX = 100 };

bool ssm_name_public(struct str name)
{
	return str_starts(name, S("/aws/service/"));
}

struct str ssm_arn(struct call *c, struct str name)
{
	struct str rest = str_starts(name, S("/")) ? str_from_at(name, 1) : name;
	return arena_printf(c->arena, "arn:aws:ssm:%.*s:%.*s:parameter/%.*s", STR_ARG(c->region),
	                    STR_ARG(ssm_name_public(name) ? S("") : c->account), STR_ARG(rest));
}

static bool characters_good(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && !strchr("/._-", name.p[i]))
			return false;
	return name.n && !memchr(name.p, 0, name.n) && name.p[name.n - 1] != '/' && str_find(name, S("//")) < 0;
}

int ssm_name_check(struct call *c, struct str name)
{
	struct str rest = str_starts(name, S("/")) ? str_from_at(name, 1) : name;
	if (str_istarts(name, S("/aws/")) || str_ieq(name, S("/aws")))
		return call_fail(c, "AccessDeniedException", 400, "No access to reserved parameter name: %.*s.", STR_ARG(name));
	if (str_istarts(rest, S("aws")) || str_istarts(rest, S("ssm")) || !characters_good(name))
		return ssm_invalid(
		        c,
		        "Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). If formed as a path, it can consist of "
		        "sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 "
		        "symbols .-_");
	if (rest.n == name.n && str_find_char(name, '/') >= 0)
		return ssm_invalid(c, "Parameter name must be a fully qualified name.");
	unsigned levels = 0;
	for (size_t i = 0; i < name.n; i++)
		levels += name.p[i] == '/';
	if (levels > SSM_LEVELS_MAX)
		return call_fail(
		        c, "HierarchyLevelLimitExceededException", 0,
		        "A hierarchy can have a maximum of %d levels. For more information, see Requirements and constraints for "
		        "parameter names in the AWS Systems Manager User Guide.",
		        SSM_LEVELS_MAX);
	if (ssm_arn(c, name).n > ARN_CHARACTERS_MAX)
		return ssm_invalid(c, "Parameter name: it can have at most %d characters, with its ARN's in front of it.",
		                   ARN_CHARACTERS_MAX);
	return CALL_OK;
}

/* The ARNs of "a" and of "/a" are the same: the one that is there is meant. */
static struct str name_in_arn(struct call *c, struct str arn)
{
	struct str own = arena_printf(c->arena, "arn:aws:ssm:%.*s:%.*s:parameter/", STR_ARG(c->region), STR_ARG(c->account));
	struct str public = arena_printf(c->arena, "arn:aws:ssm:%.*s::parameter/", STR_ARG(c->region));
	if (str_starts(arn, public))
		return ARENA_CAT(c->arena, S("/"), str_from_at(arn, public.n));
	if (!str_starts(arn, own))
		return S("");
	struct state_ssm_parameter_record row;
	struct str plain = str_from_at(arn, own.n), rooted = ARENA_CAT(c->arena, S("/"), plain);
	bool plain_is = str_find_char(plain, '/') < 0 && !ssm_find(c, rooted, &row);
	return plain_is ? plain : rooted;
}

struct ssm_reference ssm_reference(struct call *c, struct str text)
{
	struct ssm_reference r = {.name = text};
	size_t from = 0;
	bool arn = str_starts(text, S("arn:"));
	if (arn) {
		ptrdiff_t at = str_find(text, S(":parameter/"));
		from = at < 0 ? text.n : (size_t)at + 1;
	}
	ptrdiff_t colon = str_find_char(str_from_at(text, from), ':');
	if (colon >= 0) {
		r.name = str_sub(text, 0, from + (size_t)colon);
		r.selector = str_from_at(text, from + (size_t)colon + 1);
	}
	if (arn)
		r.name = name_in_arn(c, r.name);
	return r;
}

bool ssm_label_good(struct str label)
{
	if (!label.n || label.n > LABEL_MAX || ascii_is_digit(label.p[0]) || str_istarts(label, S("aws")) ||
	    str_istarts(label, S("ssm")))
		return false;
	for (size_t i = 0; i < label.n; i++)
		if (!ascii_is_alnum(label.p[i]) && label.p[i] != '.' && label.p[i] != '-' && label.p[i] != '_')
			return false;
	return true;
}

int64_t ssm_select(const struct state_ssm_parameter_record *p, struct str selector)
{
	int64_t version;
	if (!str_set(selector))
		return p->latest->version.v;
	if (str_to_i64(selector, &version))
		return version >= p->oldest.v && version <= p->latest->version.v ? version : 0;
	for (uint32_t i = 0; i < p->labels.n; i++)
		if (str_eq(p->labels.v[i].name, selector))
			return p->labels.v[i].version.v;
	return 0;
}

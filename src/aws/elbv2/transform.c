/* What a rule makes of a request before it forwards it. The nodes' library has nine groups, two of which are the text around what
 * matches. */
#include "rows.h"

#include "model/pattern.h"

enum { TEXT_MAX = 1024, GROUPS_MAX = 7 };

static bool printable(struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < ' ' || text.p[i] >= 127)
			return false;
	return true;
}

unsigned elb_regex_groups(struct str regex)
{
	unsigned n = 0;
	bool class = false;
	for (size_t i = 0; i < regex.n; i++) {
		if (regex.p[i] == '\\')
			i++;
		else if (regex.p[i] == '[' || regex.p[i] == ']')
			class = regex.p[i] == '[';
		else if (regex.p[i] == '(' && !class)
			n += i + 1 == regex.n || regex.p[i + 1] != '?';
	}
	return n;
}

static int check_rewrite(struct call *c, const struct elbv2_rewrite_config *r)
{
	unsigned groups = elb_regex_groups(r->regex);
	if (!r->regex.n || r->regex.n > TEXT_MAX || !printable(r->regex) || groups > GROUPS_MAX ||
	    str_find(r->regex, S("\\p")) >= 0 || str_find(r->regex, S("\\P")) >= 0 || !pattern_compile(c->arena, r->regex, NULL))
		return elb_invalid(c, "Rewrite regex '%.*s' is not a valid regular expression", STR_ARG(r->regex));
	if (r->replace.n > TEXT_MAX || !printable(r->replace) || str_find_char(r->replace, '\'') >= 0 ||
	    str_find_char(r->replace, ' ') >= 0)
		return elb_invalid(c, "Rewrite replacement '%.*s' is not valid", STR_ARG(r->replace));
	for (size_t i = 0; i + 1 < r->replace.n; i++)
		if (r->replace.p[i] == '$' && ascii_is_digit(r->replace.p[i + 1]) && (unsigned)(r->replace.p[i + 1] - '0') > groups)
			return elb_invalid(c, "Rewrite replacement '%.*s' names a group that the regex has not",
			                   STR_ARG(r->replace));
	return CALL_OK;
}

int elb_transforms_check(struct call *c, const struct elbv2_rule_transform_list *in, const struct elbv2_actions *actions)
{
	for (uint32_t i = 0; i < in->n; i++) {
		const struct elbv2_rule_transform *t = &in->v[i];
		bool host = str_is(t->type, "host-header-rewrite"), url = str_is(t->type, "url-rewrite");
		const struct elbv2_rewrite_config_list *l = host && t->host_header_rewrite_config
		                                                    ? &t->host_header_rewrite_config->rewrites
		                                            : url && t->url_rewrite_config ? &t->url_rewrite_config->rewrites
		                                                                           : NULL;
		if (!host && !url)
			return elb_invalid(c, "Transform type '%.*s' must be one of 'host-header-rewrite, url-rewrite'",
			                   STR_ARG(t->type));
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(in->v[k].type, t->type))
				return elb_invalid(c, "A transform of type '%.*s' can be specified only once", STR_ARG(t->type));
		if (!l || l->n != 1 || (host ? t->url_rewrite_config != NULL : t->host_header_rewrite_config != NULL))
			return elb_invalid(c, "Exactly one rewrite must be specified for a transform of type '%.*s'",
			                   STR_ARG(t->type));
		if (check_rewrite(c, &l->v[0]) != CALL_OK)
			return CALL_FAIL;
	}
	if (in->n && !str_is(actions->v[actions->n - 1].type, "forward"))
		return elb_absent(c, "Transforms in rules that do not forward are");
	return CALL_OK;
}

/* Paths and filters: which parameters a list is about. */
#include "rows.h"

int ssm_path_check(struct call *c, struct str path)
{
	bool good = str_starts(path, S("/"));
	for (size_t i = 0; i < path.n; i++)
		good = good && path.p[i] && (ascii_is_alnum(path.p[i]) || strchr("/._-", path.p[i]));
	return good ? CALL_OK
	            : ssm_invalid(
	                      c,
	                      "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a "
	                      "forward slash \"/\". It can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). It must use only "
	                      "letters, numbers, or the following symbols: . (period), - (hyphen), _ (underscore). Special "
	                      "characters are not allowed. All sub-paths, if specified, must use the forward slash symbol \"/\". "
	                      "Valid example: /get/parameters2-/by1./path0_.");
}

bool ssm_below(struct str name, struct str path, bool recursive)
{
	if (path.n > 1 && path.p[path.n - 1] == '/')
		path.n--;
	if (path.n == 1) /* the root: names without a path are below it too */
		return recursive || str_find_char(str_from_at(name, str_starts(name, path) ? 1 : 0), '/') < 0;
	if (!str_starts(name, path) || name.n == path.n || name.p[path.n] != '/')
		return false;
	return recursive || str_find_char(str_from_at(name, path.n + 1), '/') < 0;
}

static bool tag_key(struct str key, struct str *ret)
{
	if (!str_starts(key, S("tag:")))
		return false;
	*ret = str_from_at(key, 4);
	return true;
}

static struct str names(struct call *c, const char *const *list)
{
	struct str all = S("");
	for (; *list; list++)
		all = ARENA_CAT(c->arena, all, all.n ? S(", ") : S(""), str_from(*list));
	return all;
}

int ssm_filter_check(struct call *c, const struct ssm_parameter_string_filter *f, const char *const *keys)
{
	static const char *const for_name[] = {"Equals", "BeginsWith", "Contains", NULL},
	                         *const for_key[] = {"Equals", "BeginsWith", NULL},
	                         *const for_path[] = {"Recursive", "OneLevel", NULL}, *const for_others[] = {"Equals", NULL};
	struct str tag;
	bool known = false;
	for (const char *const *k = keys; *k; k++)
		known = known || str_is(f->key, *k) || (str_is(S("tag:"), *k) && tag_key(f->key, &tag));
	if (!known)
		return call_fail(c, "InvalidFilterKey", 0,
		                 "The following filter key is not valid: %.*s. Valid filter keys include: [%.*s].", STR_ARG(f->key),
		                 STR_ARG(names(c, keys)));
	const char *const *options = str_is(f->key, "Name")    ? for_name
	                             : str_is(f->key, "KeyId") ? for_key
	                             : str_is(f->key, "Path")  ? for_path
	                                                       : for_others;
	bool good = !str_set(f->option);
	for (const char *const *o = options; *o; o++)
		good = good || str_is(f->option, *o);
	if (!good)
		return call_fail(c, "InvalidFilterOption", 0,
		                 "The following filter option is not valid: %.*s. Valid options include: [%.*s].",
		                 STR_ARG(f->option), STR_ARG(names(c, options)));
	if (!f->values.n && !str_starts(f->key, S("tag:")))
		return call_fail(c, "InvalidFilterValue", 0, "The following filter values are missing for filter key %.*s.",
		                 STR_ARG(f->key));
	for (uint32_t i = 0; str_is(f->key, "Path") && i < f->values.n; i++)
		if (ssm_path_check(c, f->values.v[i]) != CALL_OK)
			return CALL_FAIL;
	return CALL_OK;
}

static bool text_matches(struct str text, struct str value, struct str option)
{
	if (str_is(option, "BeginsWith"))
		return str_starts(text, value);
	return str_is(option, "Contains") ? str_find(text, value) >= 0 : str_eq(text, value);
}

static bool one_matches(const struct state_ssm_parameter_record *p, const struct ssm_parameter_string_filter *f, struct str value)
{
	const struct state_ssm_version_record *v = p->latest;
	struct str key;
	if (str_is(f->key, "Path"))
		return ssm_below(p->name, value, str_is(f->option, "Recursive"));
	if (str_is(f->key, "Name")) {
		/* "/a" and "a" both find either: the leading slash is no part of what people search for. */
		bool rooted = str_starts(p->name, S("/")) && !str_starts(value, S("/")) && str_is(f->option, "BeginsWith");
		return text_matches(rooted ? str_from_at(p->name, 1) : p->name, value, f->option);
	}
	if (str_is(f->key, "Type"))
		return str_eq(v->type, value);
	if (str_is(f->key, "Tier"))
		return str_eq(v->tier, value);
	if (str_is(f->key, "DataType"))
		return str_eq(v->data_type, value);
	if (str_is(f->key, "KeyId"))
		return str_is(v->type, "SecureString") && text_matches(ssm_key_of(v), value, f->option);
	if (str_is(f->key, "Label"))
		return ssm_label_good(value) && ssm_select(p, value);
	return tag_key(f->key, &key) && str_set(str_map_get(&p->tags, key)) && str_eq(str_map_get(&p->tags, key), value);
}

bool ssm_filter_matches(struct call *c, const struct state_ssm_parameter_record *p, const struct ssm_parameter_string_filter *f)
{
	struct str key;
	(void)c;
	if (!f->values.n)
		return tag_key(f->key, &key) && str_set(str_map_get(&p->tags, key));
	for (uint32_t i = 0; i < f->values.n; i++)
		if (one_matches(p, f, f->values.v[i]))
			return true;
	return false;
}

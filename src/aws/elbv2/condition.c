/* Which requests a rule is about. */
#include "rows.h"

#include "model/pattern.h"

#include <arpa/inet.h>

enum { VALUE_MAX = 128, METHOD_MAX = 40, HEADER_NAME_MAX = 40, CONDITION_VALUES_MAX = 3 };

struct counts {
	unsigned values, wildcards, fields[4]; /* of those that a rule can have once */
};

static bool of_characters(struct str text, const char *others)
{
	for (size_t i = 0; i < text.n; i++)
		if (!ascii_is_alnum(text.p[i]) && (!text.p[i] || !strchr(others, text.p[i])))
			return false;
	return true;
}

static bool printable(struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < ' ' || text.p[i] >= 127)
			return false;
	return true;
}

static void count(struct counts *n, struct str value, bool wild)
{
	for (size_t i = 0; wild && i < value.n; i++)
		n->wildcards += value.p[i] == '*' || value.p[i] == '?';
}

static int bad_value(struct call *c, struct str field, struct str value)
{
	return elb_invalid(c, "Condition value '%.*s' is not valid for field '%.*s'", STR_ARG(value), STR_ARG(field));
}

/* What the nodes' library reads as well: no properties of Unicode, which both spell differently. */
static bool is_regex(struct call *c, struct str text)
{
	return text.n && text.n <= VALUE_MAX && printable(text) && str_find(text, S("\\p")) < 0 && str_find(text, S("\\P")) < 0 &&
	       pattern_compile(c->arena, text, NULL);
}

/* The values of a condition, in its config or, of the two oldest kinds, beside it: patterns, or regular expressions. */
struct given {
	const struct str_list *plain, *config, *plain_regex, *config_regex; /* config: NULL: it has none */
};

static int values_of(struct call *c, struct str field, const struct given *in, struct str_list *ret, struct str_list *ret_regex)
{
	static const struct str_list none;
	const struct str_list *config = in->config ? in->config : &none,
	                      *config_regex = in->config_regex ? in->config_regex : &none;
	if ((in->plain->n > 0) + (config->n > 0) + (in->plain_regex->n > 0) + (config_regex->n > 0) > 1)
		return elb_invalid(c, "Values can be specified only once for condition field '%.*s'", STR_ARG(field));
	*ret = in->plain->n ? *in->plain : *config;
	*ret_regex = in->plain_regex->n ? *in->plain_regex : *config_regex;
	ret->set = !ret_regex->n;
	if (!ret->n && !ret_regex->n)
		return elb_invalid(c, "A condition value must be specified");
	for (uint32_t i = 0; i < ret_regex->n; i++)
		if (!is_regex(c, ret_regex->v[i]))
			return elb_invalid(c, "Condition value '%.*s' is not a valid regular expression for field '%.*s'",
			                   STR_ARG(ret_regex->v[i]), STR_ARG(field));
	return CALL_OK;
}

static int take_host(struct call *c, struct counts *n, const struct elbv2_rule_condition *in, struct elbv2_rule_condition *ret)
{
	const struct elbv2_host_header_condition_config *k = in->host_header_config;
	const struct given given = {&in->values, k ? &k->values : NULL, &in->regex_values, k ? &k->regex_values : NULL};
	struct str_list values, regex;
	if (values_of(c, in->field, &given, &values, &regex) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < values.n; i++) {
		if (!values.v[i].n || values.v[i].n > VALUE_MAX || !of_characters(values.v[i], "-.*?") ||
		    str_find_char(values.v[i], '.') < 0)
			return bad_value(c, in->field, values.v[i]);
		count(n, values.v[i], true);
	}
	ret->values = values;
	ret->host_header_config = arena_new(c->arena, struct elbv2_host_header_condition_config);
	ret->host_header_config->values = values;
	ret->host_header_config->regex_values = regex;
	n->values += values.n + regex.n;
	return CALL_OK;
}

static int take_path(struct call *c, struct counts *n, const struct elbv2_rule_condition *in, struct elbv2_rule_condition *ret)
{
	const struct elbv2_path_pattern_condition_config *k = in->path_pattern_config;
	const struct given given = {&in->values, k ? &k->values : NULL, &in->regex_values, k ? &k->regex_values : NULL};
	struct str_list values, regex;
	if (values_of(c, in->field, &given, &values, &regex) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < values.n; i++) {
		if (!values.v[i].n || values.v[i].n > VALUE_MAX || !of_characters(values.v[i], "_-.$/~\"'@:+&*?%=,;!()"))
			return bad_value(c, in->field, values.v[i]);
		count(n, values.v[i], true);
	}
	ret->values = values;
	ret->path_pattern_config = arena_new(c->arena, struct elbv2_path_pattern_condition_config);
	ret->path_pattern_config->values = values;
	ret->path_pattern_config->regex_values = regex;
	n->values += values.n + regex.n;
	return CALL_OK;
}

static int take_header(struct call *c, struct counts *n, const struct elbv2_rule_condition *in, struct elbv2_rule_condition *ret)
{
	const struct elbv2_http_header_condition_config *k = in->http_header_config;
	struct str_list values, regex;
	if (!k || !k->http_header_name.n || in->values.n || in->regex_values.n)
		return elb_invalid(c, "An HTTP header config with a header name must be specified for field 'http-header'");
	if (k->http_header_name.n > HEADER_NAME_MAX || !of_characters(k->http_header_name, "!#$%&'*+-.^_`|~") ||
	    str_ieq(k->http_header_name, S("Host")))
		return elb_invalid(c, "HTTP header name '%.*s' is not valid", STR_ARG(k->http_header_name));
	const struct given given = {&in->values, &k->values, &in->regex_values, &k->regex_values};
	if (values_of(c, in->field, &given, &values, &regex) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < values.n; i++) {
		if (values.v[i].n > VALUE_MAX || !printable(values.v[i]))
			return bad_value(c, in->field, values.v[i]);
		count(n, values.v[i], true);
	}
	ret->http_header_config = in->http_header_config;
	n->values += values.n + regex.n;
	return CALL_OK;
}

static int take_method(struct call *c, struct counts *n, const struct elbv2_rule_condition *in, struct elbv2_rule_condition *ret)
{
	const struct elbv2_http_request_method_condition_config *k = in->http_request_method_config;
	if (!k || !k->values.n || in->values.n)
		return elb_invalid(c, "An HTTP request method config must be specified for field 'http-request-method'");
	for (uint32_t i = 0; i < k->values.n; i++) {
		struct str v = k->values.v[i];
		bool good = v.n && v.n <= METHOD_MAX;
		for (size_t j = 0; j < v.n; j++)
			good &= (v.p[j] >= 'A' && v.p[j] <= 'Z') || v.p[j] == '-' || v.p[j] == '_';
		if (!good)
			return bad_value(c, in->field, v);
	}
	ret->http_request_method_config = in->http_request_method_config;
	n->values += k->values.n;
	return CALL_OK;
}

static int take_query(struct call *c, struct counts *n, const struct elbv2_rule_condition *in, struct elbv2_rule_condition *ret)
{
	const struct elbv2_query_string_condition_config *k = in->query_string_config;
	if (!k || !k->values.n || in->values.n)
		return elb_invalid(c, "A query string config must be specified for field 'query-string'");
	for (uint32_t i = 0; i < k->values.n; i++) {
		struct str key = k->values.v[i].key, value = k->values.v[i].value;
		if (!str_set(value) || value.n > VALUE_MAX || !printable(value) || !printable(key) || key.n > VALUE_MAX)
			return bad_value(c, in->field, str_set(value) ? value : key);
		count(n, value, true);
		count(n, key, true);
	}
	ret->query_string_config = in->query_string_config;
	n->values += k->values.n;
	return CALL_OK;
}

static bool is_block(struct call *c, struct str text)
{
	struct str bits = text, address = str_cut(&bits, '/');
	unsigned char raw[16];
	int64_t n;
	if (!str_set(bits) || address.n >= INET6_ADDRSTRLEN || !str_to_i64(bits, &n) || n < 0)
		return false;
	const char *z = arena_dupz(c->arena, address);
	return (inet_pton(AF_INET, z, raw) == 1 && n <= 32) || (inet_pton(AF_INET6, z, raw) == 1 && n <= 128);
}

static int take_source(struct call *c, struct counts *n, const struct elbv2_rule_condition *in, struct elbv2_rule_condition *ret)
{
	const struct elbv2_source_ip_condition_config *k = in->source_ip_config;
	if (!k || !k->values.n || in->values.n)
		return elb_invalid(c, "A source IP config must be specified for field 'source-ip'");
	for (uint32_t i = 0; i < k->values.n; i++)
		if (!is_block(c, k->values.v[i]) || str_is(k->values.v[i], "255.255.255.255/32"))
			return elb_invalid(c, "The source IP '%.*s' is not a valid CIDR block", STR_ARG(k->values.v[i]));
	ret->source_ip_config = in->source_ip_config;
	n->values += k->values.n;
	return CALL_OK;
}

int elb_conditions_check(struct call *c, const struct elbv2_rule_condition_list *in, struct elbv2_rule_condition_list *ret)
{
	static const struct {
		const char *field;
		int (*take)(struct call *c, struct counts *n, const struct elbv2_rule_condition *in,
		            struct elbv2_rule_condition *ret);
		bool once;
	} kinds[] = {
	        {"host-header", take_host, true}, {"path-pattern", take_path, true},   {"http-request-method", take_method, true},
	        {"source-ip", take_source, true}, {"http-header", take_header, false}, {"query-string", take_query, false},
	};
	struct counts n = {0};
	*ret = (struct elbv2_rule_condition_list){.set = true};
	if (!in->n)
		return elb_invalid(c, "A condition must be specified");
	for (uint32_t i = 0; i < in->n; i++) {
		size_t k = 0;
		unsigned before = n.values;
		while (k < sizeof(kinds) / sizeof(*kinds) && !str_is(in->v[i].field, kinds[k].field))
			k++;
		if (k == sizeof(kinds) / sizeof(*kinds))
			return elb_invalid(c,
			                   "Condition field '%.*s' must be one of '[path-pattern, host-header, http-header, "
			                   "http-request-method, query-string, source-ip]'",
			                   STR_ARG(in->v[i].field));
		if (kinds[k].once && n.fields[k]++)
			return elb_invalid(c, "Condition field '%s' can be specified only once", kinds[k].field);
		struct elbv2_rule_condition *made = LIST_ADD(c->arena, ret);
		*made = (struct elbv2_rule_condition){.field = in->v[i].field};
		if (kinds[k].take(c, &n, &in->v[i], made) != CALL_OK)
			return CALL_FAIL;
		if (n.values - before > CONDITION_VALUES_MAX)
			return elb_invalid(c, "A condition can have at most '%d' values", CONDITION_VALUES_MAX);
	}
	if (n.values > ELB_RULE_VALUES_MAX)
		return elb_invalid(c, "A rule can have at most '%d' condition values", ELB_RULE_VALUES_MAX);
	if (n.wildcards > ELB_RULE_WILDCARDS_MAX)
		return elb_invalid(c, "A rule can have at most '%d' condition wildcards", ELB_RULE_WILDCARDS_MAX);
	return CALL_OK;
}

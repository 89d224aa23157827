/* Filter policies: which messages a subscription gets. A policy is an object: each key has a list of conditions of which one must
 * hold, or, for bodies, an object again; "$or" has a list of policies of which one must hold beside the rest. */
#include "sns.h"

#include "base/json.h"

#include <arpa/inet.h>
#include <math.h>

enum { KEYS_MAX = 5, DEPTH_MAX = 20 };
#define NUMBER_MAX 1e9

/* --- whether a value fulfils a condition */

typedef bool condition_fn(const struct json_value *wanted, const struct json_value *v);

static bool any_in(const struct json_value *list, const struct json_value *v, condition_fn *fn)
{
	if (!json_is(list, JSON_ARRAY))
		return fn(list, v);
	json_each(list, one)
	{
		if (fn(one, v))
			return true;
	}
	return false;
}

static bool equals(const struct json_value *wanted, const struct json_value *v)
{
	double a, b;
	if (wanted->kind == JSON_NUMBER && v->kind == JSON_NUMBER)
		return json_to_double(wanted->text, &a) && json_to_double(v->text, &b) && fabs(a - b) < 1e-9;
	return wanted->kind == v->kind && (wanted->kind != JSON_STRING || str_eq(wanted->text, v->text));
}

static bool has_prefix(const struct json_value *wanted, const struct json_value *v)
{
	return v->kind == JSON_STRING && str_starts(v->text, wanted->text);
}

static bool has_suffix(const struct json_value *wanted, const struct json_value *v)
{
	return v->kind == JSON_STRING && str_ends(v->text, wanted->text);
}

static bool equals_folded(const struct json_value *wanted, const struct json_value *v)
{
	return v->kind == JSON_STRING && str_ieq(wanted->text, v->text);
}

static bool in_numbers(const struct json_value *wanted, const struct json_value *v)
{
	double x, limit;
	if (v->kind != JSON_NUMBER || !json_to_double(v->text, &x))
		return false;
	for (const struct json_value *op = wanted->first; op && op->next; op = op->next->next) {
		if (!json_to_double(op->next->text, &limit))
			return false;
		bool good = str_is(op->text, "=")    ? fabs(x - limit) < 1e-9
		            : str_is(op->text, "<")  ? x < limit
		            : str_is(op->text, "<=") ? x <= limit
		            : str_is(op->text, ">")  ? x > limit
		                                     : x >= limit;
		if (!good)
			return false;
	}
	return true;
}

struct network {
	int family;
	unsigned char at[16];
	unsigned bits;
};

static bool read_network(struct str text, struct network *ret)
{
	char z[INET6_ADDRSTRLEN];
	struct str rest = text, address = str_cut(&rest, '/');
	int64_t bits = -1;
	if (address.n >= sizeof(z) || (str_set(rest) && !str_to_i64(rest, &bits)))
		return false;
	memcpy(z, address.p, address.n);
	z[address.n] = 0;
	ret->family = memchr(z, ':', address.n) ? AF_INET6 : AF_INET;
	int64_t most = ret->family == AF_INET ? 32 : 128;
	if (inet_pton(ret->family, z, ret->at) != 1 || bits > most || (str_set(rest) && bits < 0))
		return false;
	ret->bits = (unsigned)(str_set(rest) ? bits : most);
	return true;
}

static bool in_network(const struct json_value *wanted, const struct json_value *v)
{
	struct network n, a;
	if (v->kind != JSON_STRING || str_find_char(v->text, '/') >= 0 || !read_network(wanted->text, &n) ||
	    !read_network(v->text, &a) || n.family != a.family)
		return false;
	unsigned whole = n.bits / 8, left = n.bits % 8;
	return memcmp(n.at, a.at, whole) == 0 && (!left || ((n.at[whole] ^ a.at[whole]) >> (8 - left)) == 0);
}

static const struct operator
{
	const char *name;
	condition_fn *fn;
}
operators[] = {
        {"prefix", has_prefix},  {"suffix", has_suffix}, {"equals-ignore-case", equals_folded},
        {"numeric", in_numbers}, {"cidr", in_network},
};
enum { OPERATORS = sizeof(operators) / sizeof(*operators), TEXT_OPERATORS = 3 };

static condition_fn *find(struct str name, unsigned among)
{
	for (unsigned i = 0; i < among; i++)
		if (str_is(name, operators[i].name))
			return operators[i].fn;
	return NULL;
}

static bool holds(const struct json_value *condition, const struct json_value *v)
{
	if (condition->kind != JSON_OBJECT)
		return equals(condition, v);
	const struct json_value *what = condition->first;
	if (str_is(what->key, "exists"))
		return what->kind == JSON_TRUE;
	if (str_is(what->key, "anything-but"))
		return what->kind == JSON_OBJECT ? !any_in(what->first, v, find(what->first->key, TEXT_OPERATORS))
		                                 : !any_in(what, v, equals);
	condition_fn *fn = find(what->key, OPERATORS);
	return fn && fn(what, v);
}

/* Of several values one is enough, whatever the condition. */
static bool some_holds(const struct json_value *condition, const struct json_value *v, unsigned depth)
{
	if (v->kind != JSON_ARRAY)
		return v->kind != JSON_OBJECT && holds(condition, v);
	json_each(v, one)
	{
		if (depth < DEPTH_MAX && some_holds(condition, one, depth + 1))
			return true;
	}
	return false;
}

static bool leaf_matches(const struct json_value *conditions, const struct json_value *v)
{
	json_each(conditions, one)
	{
		bool absent = json_is(one, JSON_OBJECT) && str_is(one->first->key, "exists") && one->first->kind == JSON_FALSE;
		if (absent ? !v : v && some_holds(one, v, 0))
			return true;
	}
	return false;
}

static bool matches(const struct json_value *policy, const struct json_value *body, unsigned depth);

static bool member_matches(const struct json_value *member, const struct json_value *body, unsigned depth)
{
	if (str_is(member->key, "$or")) {
		json_each(member, one)
		{
			if (matches(one, body, depth + 1))
				return true;
		}
		return false;
	}
	const struct json_value *v = json_get(body, member->key);
	if (member->kind == JSON_ARRAY)
		return leaf_matches(member, v);
	if (!json_is(v, JSON_ARRAY))
		return matches(member, json_is(v, JSON_OBJECT) ? v : NULL, depth + 1);
	json_each(v, one)
	{
		if (one->kind == JSON_OBJECT && matches(member, one, depth + 1))
			return true;
	}
	return false;
}

static bool matches(const struct json_value *policy, const struct json_value *body, unsigned depth)
{
	if (depth > DEPTH_MAX)
		return false;
	json_each(policy, member)
	{
		if (!member_matches(member, body, depth))
			return false;
	}
	return true;
}

bool filter_matches_body(const struct json_value *policy, const struct json_value *body)
{
	return json_is(body, JSON_OBJECT) && matches(policy, body, 0);
}

/* Attributes as an object of values; those in binary do not count. */
bool filter_matches_attributes(const struct json_value *policy, struct arena *a, const struct sns_message_attribute_map *attributes)
{
	struct json_value all = {.kind = JSON_OBJECT}, **at = &all.first;
	for (uint32_t i = 0; i < attributes->n; i++) {
		const struct sns_message_attribute_value *given = &attributes->v[i].value;
		struct json_value *v = NULL;
		if (str_starts(given->data_type, S("Binary")))
			continue;
		if (str_starts(given->data_type, S("String.Array")))
			v = json_parse(a, given->string_value, NULL);
		if (!v) {
			v = arena_new(a, struct json_value);
			v->kind = str_starts(given->data_type, S("Number")) ? JSON_NUMBER : JSON_STRING;
			v->text = given->string_value;
		}
		v->key = attributes->v[i].key;
		v->next = NULL;
		*at = v;
		at = &v->next;
		all.count++;
	}
	return matches(policy, &all, 0);
}

/* --- checking */

static const char *check_numbers(const struct json_value *v)
{
	static const char *const wrong = "Value of numeric must be an array of operators and numbers";
	double x, low = -INFINITY;
	if (v->kind != JSON_ARRAY || (v->count != 2 && v->count != 4))
		return wrong;
	unsigned n = 0;
	for (const struct json_value *op = v->first; op; op = op->next->next, n++) {
		bool less = str_is(op->text, "<") || str_is(op->text, "<="), more = str_is(op->text, ">") || str_is(op->text, ">=");
		if (op->kind != JSON_STRING || op->next->kind != JSON_NUMBER || !json_to_double(op->next->text, &x))
			return wrong;
		if (!less && !more && !str_is(op->text, "="))
			return "Unrecognized numeric range operator";
		if (fabs(x) > NUMBER_MAX)
			return "Value of numeric is out of range";
		if (v->count == 4 && (n == 0 ? !more : !less))
			return "Bad numeric range operator";
		if (n == 1 && x <= low)
			return "Bottom must be less than top";
		low = x;
	}
	return NULL;
}

static const char *check_texts(const struct json_value *v)
{
	static const char *const wrong = "Value of a prefix, suffix or equals-ignore-case must be a string";
	if (v->kind == JSON_STRING)
		return NULL;
	if (v->kind != JSON_ARRAY || !v->count)
		return wrong;
	json_each(v, one)
	{
		if (one->kind != JSON_STRING)
			return wrong;
	}
	return NULL;
}

static const char *check_anything_but(const struct json_value *v)
{
	if (v->kind == JSON_OBJECT) {
		if (v->count != 1 || !find(v->first->key, TEXT_OPERATORS))
			return "Unsupported anything-but pattern";
		return check_texts(v->first);
	}
	if (v->kind == JSON_STRING || v->kind == JSON_NUMBER)
		return NULL;
	if (v->kind != JSON_ARRAY || !v->count)
		return "Value of anything-but must be an array or single string/number value.";
	json_each(v, one)
	{
		if ((one->kind != JSON_STRING && one->kind != JSON_NUMBER) || one->kind != v->first->kind)
			return "Inside anything-but list, either all values are number or string, mixed type is not supported";
	}
	return NULL;
}

static const char *check_condition(const struct json_value *c)
{
	struct network n;
	if (c->kind == JSON_ARRAY)
		return "Match value must be String, number, true, false, or null";
	if (c->kind != JSON_OBJECT)
		return NULL;
	if (c->count != 1)
		return "Only one key allowed in match expression";
	const struct json_value *what = c->first;
	if (str_is(what->key, "exists"))
		return what->kind == JSON_TRUE || what->kind == JSON_FALSE ? NULL
		                                                           : "exists match pattern must be either true or false.";
	if (str_is(what->key, "anything-but"))
		return check_anything_but(what);
	if (str_is(what->key, "numeric"))
		return check_numbers(what);
	if (str_is(what->key, "cidr"))
		return what->kind == JSON_STRING && str_find_char(what->text, '/') > 0 && read_network(what->text, &n)
		               ? NULL
		               : "Malformed CIDR, one '/' required";
	if (!find(what->key, OPERATORS))
		return "Unrecognized match type";
	return what->kind == JSON_STRING ? NULL : "Value of a prefix, suffix or equals-ignore-case must be a string";
}

struct checking {
	enum filter_scope scope;
	int64_t keys;
};

static const char *check_object(struct checking *k, const struct json_value *policy, unsigned depth, int64_t *ret_combinations);

static const char *check_or(struct checking *k, const struct json_value *v, unsigned depth, int64_t *ret)
{
	int64_t sum = 0;
	if (v->kind != JSON_ARRAY || v->count < 2)
		return "$or must be an array of at least two objects";
	json_each(v, one)
	{
		int64_t n;
		if (one->kind != JSON_OBJECT)
			return "$or must be an array of at least two objects";
		const char *why = check_object(k, one, depth, &n);
		if (why)
			return why;
		sum += n;
	}
	*ret = sum;
	return NULL;
}

static const char *check_member(struct checking *k, const struct json_value *m, unsigned depth, int64_t *ret)
{
	if (str_is(m->key, "$or"))
		return check_or(k, m, depth, ret);
	if (m->kind == JSON_OBJECT && k->scope == FILTER_BODY)
		return check_object(k, m, depth + 1, ret);
	if (m->kind == JSON_OBJECT)
		return "Filter policy scope MessageAttributes does not support nested filter policy";
	if (m->kind != JSON_ARRAY)
		return "\"key\" must be an object or an array";
	if (!m->count)
		return "Empty arrays are not allowed";
	k->keys++;
	json_each(m, one)
	{
		const char *why = check_condition(one);
		if (why)
			return why;
	}
	*ret = (int64_t)m->count * depth;
	return NULL;
}

static const char *check_object(struct checking *k, const struct json_value *policy, unsigned depth, int64_t *ret_combinations)
{
	int64_t product = 1;
	if (depth > DEPTH_MAX)
		return "Filter policy is nested too deeply";
	if (!policy->count && depth > 1)
		return "Empty objects are not allowed";
	json_each(policy, m)
	{
		int64_t n = 1;
		const char *why = check_member(k, m, depth, &n);
		if (why)
			return why;
		product = product > INT32_MAX ? product : product * n;
	}
	*ret_combinations = product;
	return NULL;
}

const char *filter_check(const struct json_value *policy, enum filter_scope scope, int64_t *ret_combinations)
{
	struct checking k = {.scope = scope};
	const char *why = check_object(&k, policy, 1, ret_combinations);
	if (!why && k.keys > KEYS_MAX)
		return "Filter policy can not have more than 5 keys";
	return why;
}

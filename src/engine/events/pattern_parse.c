#include "engine/events/pattern_tree.h"

#include <arpa/inet.h>
#include <math.h>
#include <string.h>

static const double number_max = 5e9;

struct parser {
	struct arena *arena;
	struct str text;
	struct str why;
};

/* Where it is, as the reader of AWS's service says it. */
static void *wrong_at(struct parser *p, size_t at, struct str what)
{
	unsigned line = 1, column = 1;
	if (str_set(p->why))
		return NULL;
	for (size_t i = 0; i < at && i < p->text.n; i++) {
		column = p->text.p[i] == '\n' ? 1 : column + 1;
		line += p->text.p[i] == '\n';
	}
	p->why = arena_printf(p->arena, "%.*s\n at [Source: (String)\"%.*s\"; line: %u, column: %u]", STR_ARG(what),
	                      STR_ARG(p->text), line, column);
	return NULL;
}
#define WRONG(p, v, ...) wrong_at((p), (v)->at, arena_printf((p)->arena, __VA_ARGS__))

/* --- tests */

static bool is_scalar(const struct json_value *v)
{
	return v->kind != JSON_ARRAY && v->kind != JSON_OBJECT;
}

static struct test *new_test(struct parser *p, enum test_kind kind, struct str text)
{
	struct test *t = arena_new(p->arena, struct test);
	t->kind = kind;
	t->text = text;
	return t;
}

static struct test *exact(struct parser *p, const struct json_value *v)
{
	struct test *t = new_test(p, TEST_EXACT, v->text);
	t->value = v->kind;
	return t;
}

/* \* and \\ are themselves. */
static struct test *wildcard(struct parser *p, const struct json_value *v)
{
	struct test *t = new_test(p, TEST_WILDCARD, v->text);
	char *to = arena_alloc(p->arena, v->text.n + 1), *begin = to;
	for (size_t i = 0; i < v->text.n; i++) {
		char c = v->text.p[i];
		if (c == '*') {
			if (i + 1 < v->text.n && v->text.p[i + 1] == '*')
				return WRONG(p, v, "Consecutive wildcard characters at pos %zu", i);
			*LIST_ADD(p->arena, &t->parts) = str_of(begin, (size_t)(to - begin));
			begin = to;
			continue;
		}
		if (c == '\\') {
			if (++i == v->text.n || (v->text.p[i] != '*' && v->text.p[i] != '\\'))
				return WRONG(p, v, "Invalid escape character at pos %zu", i - 1);
			c = v->text.p[i];
		}
		*to++ = c;
	}
	*LIST_ADD(p->arena, &t->parts) = str_of(begin, (size_t)(to - begin));
	return t;
}

/* A string, or an object that says that case does not matter. */
static struct test *affix(struct parser *p, const struct json_value *v, enum test_kind kind, const char *name)
{
	const struct json_value *folded =
	        json_is(v, JSON_OBJECT) && v->count == 1 && str_is(v->first->key, "equals-ignore-case") ? v->first : NULL;
	const struct json_value *text = folded ? folded : v;
	if (text->kind != JSON_STRING)
		return WRONG(p, v, "%s match pattern must be a string", name);
	struct test *t = new_test(p, kind, text->text);
	t->fold = folded != NULL;
	return t;
}

static struct test *texts(struct parser *p, const struct json_value *v, enum test_kind kind, const char *name)
{
	struct test *first = NULL, **end = &first;
	const struct json_value *one = v->kind == JSON_ARRAY ? v->first : v;
	if (!one)
		return WRONG(p, v, "Empty arrays are not allowed");
	for (; one; one = v->kind == JSON_ARRAY ? one->next : NULL) {
		bool word = kind == TEST_FOLDED || kind == TEST_WILDCARD;
		if (word && one->kind != JSON_STRING)
			return WRONG(p, one, "%s match pattern must be a string", name);
		struct test *t = kind == TEST_WILDCARD ? wildcard(p, one)
		                 : word                ? new_test(p, kind, one->text)
		                                       : affix(p, one, kind, name);
		if (!t)
			return NULL;
		*end = t;
		end = &t->next;
	}
	return first;
}

static struct test *anything_but(struct parser *p, const struct json_value *v)
{
	static const struct {
		const char *name;
		enum test_kind kind;
	} nested[] = {
	        {"prefix", TEST_PREFIX}, {"suffix", TEST_SUFFIX}, {"equals-ignore-case", TEST_FOLDED}, {"wildcard", TEST_WILDCARD}};
	struct test *t = new_test(p, TEST_NONE_OF, STR_NONE), **end = &t->of;
	if (v->kind == JSON_OBJECT) {
		if (v->count != 1)
			return WRONG(p, v, "Anything-But expression can only have one nested expression");
		for (size_t i = 0; i < sizeof(nested) / sizeof(*nested); i++)
			if (str_is(v->first->key, nested[i].name)) {
				t->of = texts(p, v->first, nested[i].kind, nested[i].name);
				return t->of ? t : NULL;
			}
		return WRONG(p, v->first, "Unsupported anything-but pattern: %.*s", STR_ARG(v->first->key));
	}
	const struct json_value *one = v->kind == JSON_ARRAY ? v->first : v;
	if (!one)
		return WRONG(p, v, "Empty arrays are not allowed");
	enum json_token kind = one->kind;
	for (; one; one = v->kind == JSON_ARRAY ? one->next : NULL) {
		if (one->kind != JSON_STRING && one->kind != JSON_NUMBER)
			return WRONG(p, one, "Value of anything-but must be an array or single string/number value.");
		if (one->kind != kind)
			return WRONG(
			        p, one,
			        "Inside anything but list, either all values are number or string, mixed type is not supported");
		*end = exact(p, one);
		end = &(*end)->next;
	}
	return t;
}

static struct test *numeric(struct parser *p, const struct json_value *v)
{
	struct test *t = new_test(p, TEST_RANGE, STR_NONE);
	t->from = -INFINITY;
	t->to = INFINITY;
	if (v->kind != JSON_ARRAY)
		return WRONG(p, v, "Value of numeric must be an array.");
	if (!v->count)
		return WRONG(p, v, "Invalid member in numeric match: ]");
	for (const struct json_value *op = v->first; op; op = op->next->next) {
		const struct json_value *n = op->next;
		double x;
		if (op->kind != JSON_STRING)
			return WRONG(p, op, "Invalid member in numeric match: %.*s", STR_ARG(op->text));
		if (!n || n->kind != JSON_NUMBER || !json_to_double(n->text, &x))
			return WRONG(p, n ? n : op, "Value of %.*s must be numeric", STR_ARG(op->text));
		if (fabs(x) > number_max)
			return WRONG(p, n, "Value must be between -5.0E9 and 5.0E9, inclusive");
		bool lower = str_starts(op->text, S(">")), upper = str_starts(op->text, S("<")),
		     also = str_is(op->text, ">=") || str_is(op->text, "<=");
		if (str_is(op->text, "=")) {
			if (v->count != 2)
				return WRONG(p, n->next ? n->next : n, "Too many terms in numeric range expression");
			t->from = t->to = x;
		} else if ((lower || upper) && (op->text.n == 1 || also)) {
			if ((lower && op != v->first) || (upper && n->next))
				return WRONG(p, n->next ? n->next : op, "Too many elements in numeric expression");
			if (lower) {
				t->from = x;
				t->above = !also;
			} else {
				t->to = x;
				t->below = !also;
			}
		} else {
			return WRONG(p, op, "Unrecognized numeric range operator: %.*s", STR_ARG(op->text));
		}
	}
	if (t->from > t->to || (t->from == t->to && (t->above || t->below)))
		return WRONG(p, v, "Bottom must be less than top");
	return t;
}

bool test_parse_cidr(struct str text, struct test *ret)
{
	char address[64];
	struct str bits = text, host = str_cut(&bits, '/');
	int64_t n;
	if (host.n >= sizeof(address))
		return false;
	memcpy(address, host.p, host.n);
	address[host.n] = 0;
	ret->six = str_find_char(host, ':') >= 0;
	int most = ret->six ? 128 : 32;
	if (inet_pton(ret->six ? AF_INET6 : AF_INET, address, ret->network) != 1)
		return false;
	if (!str_set(bits))
		n = most;
	else if (!str_to_i64(bits, &n) || n < 0 || n > most)
		return false;
	ret->bits = (unsigned)n;
	return true;
}

static struct test *cidr(struct parser *p, const struct json_value *v)
{
	struct test *t = new_test(p, TEST_CIDR, STR_NONE);
	if (v->kind != JSON_STRING)
		return WRONG(p, v, "prefix match pattern must be a string");
	if (str_find_char(v->text, '/') < 0 || !test_parse_cidr(v->text, t))
		return WRONG(p, v, "Malformed CIDR, one '/' required");
	return t;
}

static struct test *parse_test(struct parser *p, const struct json_value *v)
{
	if (is_scalar(v))
		return exact(p, v);
	if (v->kind == JSON_ARRAY)
		return WRONG(p, v, "Match value must be String, number, true, false, or null");
	if (v->count != 1)
		return WRONG(p, v, v->count ? "Only one key allowed in match expression" : "Empty match expression");
	const struct json_value *of = v->first;
	struct str name = of->key;
	if (str_is(name, "exists")) {
		if (of->kind != JSON_TRUE && of->kind != JSON_FALSE)
			return WRONG(p, of, "exists match pattern must be either true or false.");
		return new_test(p, of->kind == JSON_TRUE ? TEST_THERE : TEST_ABSENT, STR_NONE);
	}
	if (str_is(name, "anything-but"))
		return anything_but(p, of);
	if (str_is(name, "numeric"))
		return numeric(p, of);
	if (str_is(name, "cidr"))
		return cidr(p, of);
	if (str_is(name, "prefix"))
		return affix(p, of, TEST_PREFIX, "prefix");
	if (str_is(name, "suffix"))
		return affix(p, of, TEST_SUFFIX, "suffix");
	bool folded = str_is(name, "equals-ignore-case");
	if (!folded && !str_is(name, "wildcard"))
		return WRONG(p, of, "Unrecognized match type %.*s", STR_ARG(name));
	if (of->kind != JSON_STRING)
		return WRONG(p, of, "%.*s match pattern must be a string", STR_ARG(name));
	return texts(p, of, folded ? TEST_FOLDED : TEST_WILDCARD, "wildcard");
}

/* --- fields */

static bool parse_fields(struct parser *p, const struct json_value *v, struct fields *ret, uint64_t *ways);

/* Where $or holds no objects, or ones that are matches, it is a field like any other. */
static bool is_or(const struct json_value *v)
{
	static const char *const words[] = {"exists", "equals-ignore-case", "prefix", "suffix", "anything-but", "numeric",
	                                    "cidr",   "wildcard",           NULL};
	if (!str_is(v->key, "$or") || v->kind != JSON_ARRAY || v->count < 2)
		return false;
	json_each(v, one)
	{
		if (one->kind != JSON_OBJECT)
			return false;
		json_each(one, member) for (int i = 0; words[i]; i++) if (str_is(member->key, words[i])) return false;
	}
	return true;
}

static bool parse_or(struct parser *p, const struct json_value *v, struct fields *ret, uint64_t *ways)
{
	struct ways *w = arena_new(p->arena, struct ways);
	struct fields **end = &w->any;
	uint64_t sum = 0;
	json_each(v, one)
	{
		struct fields *f = arena_new(p->arena, struct fields);
		uint64_t n = 1;
		if (!parse_fields(p, one, f, &n))
			return false;
		sum += n;
		*end = f;
		end = &f->next;
	}
	w->next = ret->ways;
	ret->ways = w;
	*ways *= sum;
	if (*ways > PATTERN_WAYS_MAX)
		return WRONG(p, v,
		             "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences after a wildcard character") !=
		       NULL;
	return true;
}

static bool parse_field(struct parser *p, const struct json_value *v, struct fields *ret, uint64_t *ways)
{
	struct field *f = arena_new(p->arena, struct field);
	f->name = v->key;
	if (v->kind == JSON_OBJECT) {
		f->fields = arena_new(p->arena, struct fields);
		if (!parse_fields(p, v, f->fields, ways))
			return false;
	} else if (v->kind == JSON_ARRAY) {
		struct test **end = &f->tests;
		if (!v->count)
			return WRONG(p, v, "Empty arrays are not allowed") != NULL;
		json_each(v, one)
		{
			if (!(*end = parse_test(p, one)))
				return false;
			end = &(*end)->next;
		}
	} else {
		return WRONG(p, v, "\"%.*s\" must be an object or an array", STR_ARG(v->key)) != NULL;
	}
	f->next = ret->first;
	ret->first = f;
	return true;
}

static bool parse_fields(struct parser *p, const struct json_value *v, struct fields *ret, uint64_t *ways)
{
	if (!v->count)
		return WRONG(p, v, "Empty objects are not allowed") != NULL;
	json_each(v, member)
	{
		if (json_get(v, member->key) != member)
			continue; /* of two with one name the last one counts */
		if (is_or(member) ? !parse_or(p, member, ret, ways) : !parse_field(p, member, ret, ways))
			return false;
	}
	return true;
}

const struct event_pattern *event_pattern_compile(struct arena *a, struct str text, struct str *ret_why)
{
	struct parser p = {.arena = a, .text = arena_dup(a, text)};
	struct event_pattern *made = arena_new(a, struct event_pattern);
	struct str error;
	uint64_t ways = 1;
	const struct json_value *v = json_parse(a, p.text, &error);
	if (!v)
		p.why = error;
	else if (v->kind != JSON_OBJECT)
		p.why = S("Filter is not an object");
	else if (parse_fields(&p, v, &made->all, &ways))
		return made;
	*ret_why = p.why;
	return NULL;
}

/* The cluster query language:
 *
 *	expression  = term { ("and" | "&&" | "or" | "||") term }         "and" binds closer
 *	term        = ["not" | "!"] ( "(" expression ")" | subject operator [argument] )
 *	subject     = attribute:NAME | task:group | agentConnected | agentVersion | ec2InstanceId | registeredAt | runningTasksCount
 *	argument    = word | "text" | 'text' | "[" word { "," word } "]"
 *
 * Operators have two names each (`==` and `equals`). Regular expressions take time that grows with the text alone (pattern.h). */
#include "placement.h"

#include "base/clock.h"
#include "model/model.h"
#include "model/pattern.h"

enum { TEXT_MAX = 2000, DEPTH_MAX = 16, NODES_MAX = 200 };

enum operator{
	OP_EQUALS,
	OP_NOT_EQUALS,
	OP_GREATER,
	OP_GREATER_EQUAL,
	OP_LESS,
	OP_LESS_EQUAL,
	OP_EXISTS,
	OP_NOT_EXISTS,
	OP_IN,
	OP_NOT_IN,
	OP_MATCHES,
	OP_NOT_MATCHES,
};
static const struct {
	const char *text;
	enum operator op;
} operators[] = {
        {"==", OP_EQUALS},
        {"equals", OP_EQUALS},
        {"!=", OP_NOT_EQUALS},
        {"not_equals", OP_NOT_EQUALS},
        {">", OP_GREATER},
        {"greater_than", OP_GREATER},
        {">=", OP_GREATER_EQUAL},
        {"greater_than_equal", OP_GREATER_EQUAL},
        {"<", OP_LESS},
        {"less_than", OP_LESS},
        {"<=", OP_LESS_EQUAL},
        {"less_than_equal", OP_LESS_EQUAL},
        {"exists", OP_EXISTS},
        {"!exists", OP_NOT_EXISTS},
        {"not_exists", OP_NOT_EXISTS},
        {"in", OP_IN},
        {"!in", OP_NOT_IN},
        {"not_in", OP_NOT_IN},
        {"=~", OP_MATCHES},
        {"matches", OP_MATCHES},
        {"!~", OP_NOT_MATCHES},
        {"not_matches", OP_NOT_MATCHES},
};

enum kind { QUERY_AND, QUERY_OR, QUERY_NOT, QUERY_TEST };
struct placement_query {
	enum kind kind;
	const struct placement_query *left, *right;
	struct str subject; /* of a test */
	enum operator op;
	struct str_list values;
	const struct pattern *pattern;
};

struct parser {
	struct arena *arena;
	struct str rest;
	const char *why;
	unsigned depth, nodes;
};

static const struct placement_query *fail(struct parser *p, const char *why)
{
	if (!p->why)
		p->why = why;
	return NULL;
}

/* --- words */

static void skip(struct parser *p)
{
	while (p->rest.n && (p->rest.p[0] == ' ' || p->rest.p[0] == '\t' || p->rest.p[0] == '\n' || p->rest.p[0] == '\r'))
		p->rest = str_from_at(p->rest, 1);
}

static bool is_word(char c)
{
	return c && !strchr(" \t\r\n()[],\"'", c);
}

static bool symbol(struct parser *p, const char *text)
{
	skip(p);
	if (!str_starts(p->rest, str_from(text)))
		return false;
	p->rest = str_from_at(p->rest, strlen(text));
	return true;
}

/* A word of letters, which has to end here. */
static bool keyword(struct parser *p, const char *text)
{
	size_t n = strlen(text);
	skip(p);
	if (!str_starts(p->rest, str_from(text)) || (p->rest.n > n && is_word(p->rest.p[n])))
		return false;
	p->rest = str_from_at(p->rest, n);
	return true;
}

/* A subject ends where an operator begins too: `attribute:x==y`. */
static struct str take_word(struct parser *p, const char *also_ends)
{
	size_t n = 0;
	skip(p);
	while (n < p->rest.n && is_word(p->rest.p[n]) && !strchr(also_ends, p->rest.p[n]))
		n++;
	struct str word = str_sub(p->rest, 0, n);
	p->rest = str_from_at(p->rest, n);
	return word;
}

static bool take_value(struct parser *p, struct str_list *to)
{
	struct str value;
	skip(p);
	if (p->rest.n && (p->rest.p[0] == '"' || p->rest.p[0] == '\'')) {
		char quote = p->rest.p[0];
		size_t n = 1;
		while (n < p->rest.n && p->rest.p[n] != quote)
			n++;
		if (n == p->rest.n)
			return fail(p, "a quotation does not end") != NULL;
		value = str_sub(p->rest, 1, n - 1);
		p->rest = str_from_at(p->rest, n + 1);
	} else {
		value = take_word(p, "");
		if (!value.n)
			return fail(p, "an argument is missing") != NULL;
	}
	*LIST_ADD(p->arena, to) = value;
	return true;
}

/* --- one test */

static bool take_operator(struct parser *p, enum operator* ret)
{
	size_t best = 0;
	skip(p);
	for (size_t i = 0; i < sizeof(operators) / sizeof(*operators); i++) {
		size_t n = strlen(operators[i].text);
		bool letters = ascii_is_alnum(operators[i].text[n - 1]);
		if (n <= best || !str_starts(p->rest, str_from(operators[i].text)) ||
		    (letters && p->rest.n > n && (ascii_is_alnum(p->rest.p[n]) || p->rest.p[n] == '_')))
			continue;
		best = n;
		*ret = operators[i].op;
	}
	p->rest = str_from_at(p->rest, best);
	return best > 0;
}

static bool known(struct str subject)
{
	static const char *const names[] = {"agentConnected", "agentVersion",      "ec2InstanceId",
	                                    "registeredAt",   "runningTasksCount", "task:group"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (str_is(subject, names[i]))
			return true;
	return str_starts(subject, S("attribute:")) && subject.n > sizeof("attribute:") - 1;
}

static bool take_arguments(struct parser *p, struct placement_query *q)
{
	if (q->op == OP_EXISTS || q->op == OP_NOT_EXISTS)
		return true;
	if (q->op != OP_IN && q->op != OP_NOT_IN)
		return take_value(p, &q->values);
	if (!symbol(p, "["))
		return fail(p, "a list begins with [") != NULL;
	do
		if (!take_value(p, &q->values))
			return false;
	while (symbol(p, ","));
	return symbol(p, "]") || fail(p, "a list ends with ]");
}

/* Times are compared as numbers of milliseconds. */
static bool take_times(struct parser *p, struct placement_query *q)
{
	for (uint32_t i = 0; i < q->values.n; i++) {
		int64_t ms;
		if (!time_parse(q->values.v[i], &ms))
			return fail(p, "registeredAt is compared with a time, as 2030-01-31T12:00:00Z") != NULL;
		q->values.v[i] = arena_printf(p->arena, "%lld", (long long)ms);
	}
	return true;
}

static const struct placement_query *take_test(struct parser *p)
{
	struct placement_query *q = arena_new(p->arena, struct placement_query);
	*q = (struct placement_query){.kind = QUERY_TEST, .subject = take_word(p, "=!<>")};
	if (!known(q->subject))
		return fail(p, "a subject is attribute:NAME, task:group, agentConnected, agentVersion, ec2InstanceId, registeredAt "
		               "or runningTasksCount");
	if (!take_operator(p, &q->op))
		return fail(p, "an operator is missing");
	if (!take_arguments(p, q))
		return NULL;
	if (str_is(q->subject, "registeredAt") && !take_times(p, q))
		return NULL;
	if (q->op == OP_MATCHES || q->op == OP_NOT_MATCHES) {
		q->pattern = pattern_compile(p->arena, q->values.v[0], NULL);
		if (!q->pattern)
			return fail(p, "the regular expression is malformed");
	}
	return q;
}

/* --- expressions */

static const struct placement_query *take_or(struct parser *p);

static const struct placement_query *join(struct parser *p, enum kind kind, const struct placement_query *left,
                                          const struct placement_query *right)
{
	struct placement_query *q = arena_new(p->arena, struct placement_query);
	*q = (struct placement_query){.kind = kind, .left = left, .right = right};
	return q;
}

static const struct placement_query *take_term(struct parser *p)
{
	const struct placement_query *q;
	if (++p->nodes > NODES_MAX || ++p->depth > DEPTH_MAX)
		return fail(p, "the expression is too large");
	if (keyword(p, "not") || symbol(p, "!")) {
		q = take_term(p);
		q = q ? join(p, QUERY_NOT, q, NULL) : NULL;
	} else if (symbol(p, "(")) {
		q = take_or(p);
		if (q && !symbol(p, ")"))
			q = fail(p, "a parenthesis does not end");
	} else {
		q = take_test(p);
	}
	p->depth--;
	return q;
}

static const struct placement_query *take_and(struct parser *p)
{
	const struct placement_query *q = take_term(p);
	while (q && (keyword(p, "and") || symbol(p, "&&"))) {
		const struct placement_query *right = take_term(p);
		q = right ? join(p, QUERY_AND, q, right) : NULL;
	}
	return q;
}

static const struct placement_query *take_or(struct parser *p)
{
	const struct placement_query *q = take_and(p);
	while (q && (keyword(p, "or") || symbol(p, "||"))) {
		const struct placement_query *right = take_and(p);
		q = right ? join(p, QUERY_OR, q, right) : NULL;
	}
	return q;
}

const struct placement_query *placement_query_parse(struct arena *a, struct str text, const char **ret_why)
{
	struct parser p = {.arena = a, .rest = arena_dup(a, text)};
	const struct placement_query *q = text.n > TEXT_MAX ? fail(&p, "the expression is too long") : take_or(&p);
	skip(&p);
	if (q && p.rest.n)
		q = fail(&p, "there is more behind the expression");
	if (!q && ret_why)
		*ret_why = p.why ? p.why : "it is malformed";
	return q;
}

/* --- does it hold? */

/* Versions and numbers by their parts, all else as text. */
static int compare(struct str a, struct str b)
{
	while (a.n && b.n) {
		size_t x = 0, y = 0;
		while (x < a.n && ascii_is_digit(a.p[x]))
			x++;
		while (y < b.n && ascii_is_digit(b.p[y]))
			y++;
		if (x && y) {
			int64_t left = 0, right = 0;
			if (str_to_i64(str_sub(a, 0, x), &left) && str_to_i64(str_sub(b, 0, y), &right) && left != right)
				return left < right ? -1 : 1;
			a = str_from_at(a, x);
			b = str_from_at(b, y);
			continue;
		}
		if (a.p[0] != b.p[0])
			return (unsigned char)a.p[0] < (unsigned char)b.p[0] ? -1 : 1;
		a = str_from_at(a, 1);
		b = str_from_at(b, 1);
	}
	return a.n == b.n ? 0 : a.n < b.n ? -1 : 1;
}

static bool holds(struct arena *scratch, const struct placement_query *q, struct str value)
{
	bool in = false;
	switch (q->op) {
	case OP_EQUALS:
		return str_eq(value, q->values.v[0]);
	case OP_NOT_EQUALS:
		return !str_eq(value, q->values.v[0]);
	case OP_GREATER:
		return compare(value, q->values.v[0]) > 0;
	case OP_GREATER_EQUAL:
		return compare(value, q->values.v[0]) >= 0;
	case OP_LESS:
		return compare(value, q->values.v[0]) < 0;
	case OP_LESS_EQUAL:
		return compare(value, q->values.v[0]) <= 0;
	case OP_EXISTS:
		return true;
	case OP_NOT_EXISTS:
		return false;
	case OP_IN:
	case OP_NOT_IN:
		for (uint32_t i = 0; i < q->values.n; i++)
			in = in || str_eq(value, q->values.v[i]);
		return in == (q->op == OP_IN);
	case OP_MATCHES:
	case OP_NOT_MATCHES:
		return pattern_match(scratch, q->pattern, value) == (q->op == OP_MATCHES);
	}
	return false;
}

static bool is_negative(enum operator op)
{
	return op == OP_NOT_EQUALS || op == OP_NOT_EXISTS || op == OP_NOT_IN || op == OP_NOT_MATCHES;
}

/* Of several tasks one has to fit; of a negation all have to. */
static bool tasks_fit(struct arena *scratch, const struct placement_query *q, const struct placement_node *n)
{
	bool all = is_negative(q->op);
	for (uint32_t i = 0; i < n->task_count; i++)
		if (holds(scratch, q, n->tasks[i].group) != all)
			return !all;
	return all;
}

static bool test(struct arena *scratch, const struct placement_query *q, const struct placement_node *n)
{
	bool there = true;
	struct str value = STR_NONE;
	if (str_is(q->subject, "task:group"))
		return tasks_fit(scratch, q, n);
	if (str_starts(q->subject, S("attribute:"))) {
		value = placement_attribute(n, str_from_at(q->subject, sizeof("attribute:") - 1), &there);
	} else if (str_is(q->subject, "agentConnected")) {
		value = n->connected ? S("true") : S("false");
	} else if (str_is(q->subject, "agentVersion")) {
		value = n->agent_version;
	} else if (str_is(q->subject, "ec2InstanceId")) {
		value = n->ec2_id;
	} else if (str_is(q->subject, "registeredAt")) {
		value = arena_printf(scratch, "%lld", (long long)n->registered_ms);
	} else {
		value = arena_printf(scratch, "%lld", (long long)n->running);
	}
	if (!there)
		return is_negative(q->op);
	return holds(scratch, q, str_set(value) ? value : S(""));
}

bool placement_query_fits(struct arena *scratch, const struct placement_query *q, const struct placement_node *n)
{
	switch (q->kind) {
	case QUERY_AND:
		return placement_query_fits(scratch, q->left, n) && placement_query_fits(scratch, q->right, n);
	case QUERY_OR:
		return placement_query_fits(scratch, q->left, n) || placement_query_fits(scratch, q->right, n);
	case QUERY_NOT:
		return !placement_query_fits(scratch, q->left, n);
	case QUERY_TEST:
		return test(scratch, q, n);
	}
	return false;
}

#include "aws/cloudwatch/math.h"

struct parser {
	struct arena *arena;
	struct str text;
	size_t at;
	unsigned depth, nodes;
	struct str why;
};

static struct math_node *fail(struct parser *p, const char *what)
{
	if (!str_set(p->why))
		p->why = arena_printf(p->arena, "%s at position %zu", what, p->at);
	return NULL;
}

static void skip(struct parser *p)
{
	while (p->at < p->text.n && ascii_is_space(p->text.p[p->at]))
		p->at++;
}

static bool eat(struct parser *p, const char *what)
{
	skip(p);
	struct str rest = str_from_at(p->text, p->at);
	if (!str_starts(rest, str_from(what)))
		return false;
	p->at += strlen(what);
	return true;
}

static struct math_node *make(struct parser *p, enum math_op op)
{
	if (++p->nodes > MATH_NODES_MAX)
		return fail(p, "The expression is too long");
	struct math_node *n = arena_new(p->arena, struct math_node);
	n->op = op;
	return n;
}

static struct math_node *binary(struct parser *p, const char *what, struct math_node *x, struct math_node *y)
{
	struct math_node *n = x && y ? make(p, MATH_BINARY) : NULL;
	if (!n)
		return NULL;
	memcpy(n->what, what, strlen(what) + 1);
	n->first = x;
	x->next = y;
	n->count = 2;
	return n;
}

static struct math_node *level(struct parser *p, unsigned at);

/* Operands between commas, up to a bracket. */
static bool operands(struct parser *p, struct math_node *n, const char *end)
{
	struct math_node **last = &n->first;
	if (eat(p, end))
		return true;
	do {
		struct math_node *one = level(p, 0);
		if (!one)
			return false;
		*last = one;
		last = &one->next;
		n->count++;
	} while (eat(p, ","));
	return eat(p, end) || fail(p, "A bracket is missing");
}

static struct math_node *number(struct parser *p)
{
	size_t from = p->at;
	while (p->at < p->text.n && (ascii_is_digit(p->text.p[p->at]) || p->text.p[p->at] == '.'))
		p->at++;
	if (p->at < p->text.n && ascii_lower(p->text.p[p->at]) == 'e') {
		p->at++;
		if (p->at < p->text.n && (p->text.p[p->at] == '-' || p->text.p[p->at] == '+'))
			p->at++;
		while (p->at < p->text.n && ascii_is_digit(p->text.p[p->at]))
			p->at++;
	}
	struct math_node *n = make(p, MATH_NUMBER);
	if (n && !str_to_double(str_sub(p->text, from, p->at - from), &n->number))
		return fail(p, "A number is malformed");
	return n;
}

static struct math_node *string(struct parser *p, char quote)
{
	size_t from = ++p->at;
	while (p->at < p->text.n && p->text.p[p->at] != quote)
		p->at += p->text.p[p->at] == '\\' && p->at + 1 < p->text.n ? 2 : 1;
	if (p->at >= p->text.n)
		return fail(p, "A text is not ended");
	struct math_node *n = make(p, MATH_STRING);
	if (n) {
		char *made = arena_alloc(p->arena, p->at - from + 1);
		size_t k = 0;
		for (size_t i = from; i < p->at; i++) {
			if (p->text.p[i] == '\\' && i + 1 < p->at)
				i++;
			made[k++] = p->text.p[i];
		}
		n->text = str_of(made, k);
	}
	p->at++;
	return n;
}

static struct math_node *word(struct parser *p)
{
	size_t from = p->at;
	while (p->at < p->text.n && (ascii_is_alnum(p->text.p[p->at]) || p->text.p[p->at] == '_'))
		p->at++;
	struct str text = str_sub(p->text, from, p->at - from);
	bool call = eat(p, "(");
	struct math_node *n = make(p, call ? MATH_CALL : MATH_NAME);
	if (!n)
		return NULL;
	n->text = text;
	if (call && !math_known(text))
		return fail(p, arena_printf(p->arena, "The function %.*s is not supported,", STR_ARG(text)).p);
	return !call || operands(p, n, ")") ? n : NULL;
}

static struct math_node *operand(struct parser *p)
{
	skip(p);
	char c = p->at < p->text.n ? p->text.p[p->at] : 0;
	struct math_node *n;
	if (ascii_is_digit(c) || c == '.')
		return number(p);
	if (c == '"' || c == '\'')
		return string(p, c);
	if (ascii_is_alpha(c))
		return word(p);
	if (eat(p, "(")) {
		n = level(p, 0);
		return n && eat(p, ")") ? n : n ? fail(p, "A bracket is missing") : NULL;
	}
	if (eat(p, "[")) {
		n = make(p, MATH_LIST);
		return n && operands(p, n, "]") ? n : NULL;
	}
	return fail(p, "An operand is missing");
}

static struct math_node *unary(struct parser *p)
{
	if (++p->depth > MATH_DEPTH_MAX)
		return fail(p, "The expression is nested too deeply");
	struct math_node *n;
	if (eat(p, "-")) {
		struct math_node *x = unary(p);
		n = x ? make(p, MATH_NEGATE) : NULL;
		if (n) {
			n->first = x;
			n->count = 1;
		}
	} else {
		n = operand(p);
		if (n && eat(p, "^"))
			n = binary(p, "^", n, unary(p));
	}
	p->depth--;
	return n;
}

static bool eat_word(struct parser *p, const char *what)
{
	skip(p);
	struct str rest = str_from_at(p->text, p->at);
	size_t n = strlen(what);
	if (rest.n <= n || !str_ieq(str_sub(rest, 0, n), str_from(what)) || ascii_is_alnum(rest.p[n]) || rest.p[n] == '_')
		return false;
	p->at += n;
	return true;
}

/* The operator of a level that comes next; NULL: none. */
static const char *operator_at(struct parser *p, unsigned at)
{
	static const char *const levels[][7] = {{"||"}, {"&&"}, {"==", "!=", "<=", ">=", "<", ">"}, {"+", "-"}, {"*", "/"}};
	if ((at == 0 && eat_word(p, "OR")) || (at == 1 && eat_word(p, "AND")))
		return levels[at][0];
	for (unsigned i = 0; i < 7 && levels[at][i]; i++)
		if (eat(p, levels[at][i]))
			return levels[at][i];
	return NULL;
}

static struct math_node *level(struct parser *p, unsigned at)
{
	if (at == 5)
		return unary(p);
	if (++p->depth > MATH_DEPTH_MAX * 6)
		return fail(p, "The expression is nested too deeply");
	struct math_node *n = level(p, at + 1);
	const char *what;
	while (n && (what = operator_at(p, at)))
		n = binary(p, what, n, level(p, at + 1));
	p->depth--;
	return n;
}

struct math_node *math_parse(struct arena *a, struct str text, struct str *ret_why)
{
	struct parser p = {.arena = a, .text = text};
	struct math_node *n = level(&p, 0);
	skip(&p);
	if (n && p.at < text.n)
		n = fail(&p, "An operator is missing");
	if (!n)
		*ret_why = str_set(p.why) ? p.why : S("The expression is malformed");
	return n;
}

static void add_names(struct arena *a, const struct math_node *n, struct str_list *l)
{
	for (; n; n = n->next) {
		bool query = n->op == MATH_NAME && n->text.p[0] >= 'a' && n->text.p[0] <= 'z';
		for (uint32_t i = 0; i < l->n && query; i++)
			query = !str_eq(l->v[i], n->text);
		if (query)
			*LIST_ADD(a, l) = n->text;
		add_names(a, n->first, l);
	}
}

struct str_list math_names(struct arena *a, const struct math_node *n)
{
	struct str_list l = {0};
	add_names(a, n, &l);
	return l;
}

bool math_calls(const struct math_node *n, const char *function)
{
	for (; n; n = n->next)
		if ((n->op == MATH_CALL && str_ieq(n->text, str_from(function))) || math_calls(n->first, function))
			return true;
	return false;
}

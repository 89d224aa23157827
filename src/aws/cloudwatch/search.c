/* SEARCH: {Namespace,Dimension,...} before it says which dimensions a metric has, exactly; words then say what is in its names.
 * Words side by side must all be there; AND, OR, NOT and brackets combine them; Name="word" and Name=word look into one name. A
 * word in quotes is a whole name, others are parts of one, and case does not count. */
#include "aws/cloudwatch/query.h"

#include "engine/metrics/metrics.h"

enum { DEPTH_MAX = 32, NODES_MAX = 200, SCHEMA_MAX = 11 };
enum node_kind { NODE_WORD, NODE_AND, NODE_OR, NODE_NOT };

struct node {
	enum node_kind kind;
	struct str where, word; /* where absent: anywhere */
	bool exact;
	struct node *left, *right;
};
struct search {
	bool schema;
	struct str parts[SCHEMA_MAX]; /* namespace, dimensions */
	unsigned part_count;
	struct node *root; /* NULL: everything */
};
struct parser {
	struct arena *arena;
	struct str text;
	size_t at;
	unsigned depth, nodes;
	const char *why;
};

static void *fail(struct parser *p, const char *why)
{
	p->why = p->why ? p->why : why;
	return NULL;
}

static char peek(struct parser *p)
{
	while (p->at < p->text.n && ascii_is_space(p->text.p[p->at]))
		p->at++;
	return p->at < p->text.n ? p->text.p[p->at] : 0;
}

static struct node *make(struct parser *p, enum node_kind kind, struct node *left, struct node *right)
{
	if (p->why || ++p->nodes > NODES_MAX)
		return fail(p, "the search is too long");
	struct node *n = arena_new(p->arena, struct node);
	*n = (struct node){.kind = kind, .left = left, .right = right};
	return n;
}

static bool part_of_word(char c)
{
	return c && !ascii_is_space(c) && c != '(' && c != ')' && c != '=' && c != '"' && c != '{' && c != '}' && c != ',';
}

/* Absent: there is none. */
static struct str word(struct parser *p, bool *exact)
{
	char c = peek(p);
	*exact = c == '"';
	size_t from = *exact ? ++p->at : p->at;
	while (p->at < p->text.n && (*exact ? p->text.p[p->at] != '"' : part_of_word(p->text.p[p->at])))
		p->at++;
	struct str made = str_sub(p->text, from, p->at - from);
	if (*exact && p->at++ >= p->text.n)
		fail(p, "a quote is not ended");
	return made.n ? made : (fail(p, "a word is missing"), STR_NONE);
}

/* AND, OR, NOT are words in capitals. */
static bool keyword(struct parser *p, const char *what)
{
	size_t n = strlen(what);
	peek(p);
	struct str rest = str_from_at(p->text, p->at);
	if (!str_starts(rest, str_from(what)) || (rest.n > n && part_of_word(rest.p[n])))
		return false;
	p->at += n;
	return true;
}

static struct node *either(struct parser *p);

static struct node *term(struct parser *p)
{
	struct node *n;
	if (++p->depth > DEPTH_MAX)
		return fail(p, "the search is nested too deeply");
	if (keyword(p, "NOT"))
		n = make(p, NODE_NOT, term(p), NULL);
	else if (peek(p) == '(') {
		p->at++;
		n = either(p);
		if (peek(p) == ')')
			p->at++;
		else
			fail(p, "a bracket is missing");
	} else {
		n = make(p, NODE_WORD, NULL, NULL);
		bool exact = false;
		struct str first = word(p, &exact), second = STR_NONE;
		if (peek(p) == '=') {
			p->at++;
			second = word(p, &exact);
		}
		if (n) {
			n->where = str_set(second) ? first : STR_NONE;
			n->word = str_set(second) ? second : first;
			n->exact = exact;
		}
	}
	p->depth--;
	return p->why ? NULL : n;
}

static struct node *both(struct parser *p)
{
	struct node *n = term(p);
	while (!p->why) {
		bool and = keyword(p, "AND");
		size_t at = p->at;
		if (!and&&(!peek(p) || peek(p) == ')' || keyword(p, "OR"))) {
			p->at = at;
			break;
		}
		struct node *right = term(p);
		n = make(p, NODE_AND, n, right);
	}
	return p->why ? NULL : n;
}

static struct node *either(struct parser *p)
{
	struct node *n = both(p);
	while (!p->why && keyword(p, "OR")) {
		struct node *right = both(p);
		n = make(p, NODE_OR, n, right);
	}
	return p->why ? NULL : n;
}

static void schema(struct parser *p, struct search *s)
{
	bool exact;
	s->schema = true;
	do {
		p->at++;
		struct str one = word(p, &exact);
		if (s->part_count == SCHEMA_MAX)
			fail(p, "there are too many dimensions");
		else
			s->parts[s->part_count++] = one;
	} while (!p->why && peek(p) == ',');
	if (peek(p) == '}')
		p->at++;
	else
		fail(p, "a bracket is missing");
}

struct search *search_parse(struct arena *a, struct str text, struct str *ret_why)
{
	struct parser p = {.arena = a, .text = text};
	struct search *s = arena_new(a, struct search);
	if (peek(&p) == '{')
		schema(&p, s);
	if (!p.why && peek(&p))
		s->root = either(&p);
	if (!p.why && peek(&p))
		fail(&p, "a bracket is too many");
	if (!p.why && !s->schema && !s->root)
		fail(&p, "there is nothing to search for");
	if (p.why)
		*ret_why = str_from(p.why);
	return p.why ? NULL : s;
}

static bool contains(struct str text, struct str part)
{
	for (size_t i = 0; part.n <= text.n && i <= text.n - part.n; i++)
		if (str_ieq(str_sub(text, i, part.n), part))
			return true;
	return false;
}

static bool in_text(const struct node *n, struct str text)
{
	return n->exact ? str_eq(text, n->word) : contains(text, n->word);
}

static bool word_matches(const struct node *n, const struct metric *m)
{
	bool any = !str_set(n->where);
	if ((any || str_ieq(n->where, S("Namespace"))) && in_text(n, m->space))
		return true;
	if ((any || str_ieq(n->where, S("MetricName"))) && in_text(n, m->name))
		return true;
	for (size_t i = 0; i < m->dimension_count; i++)
		if (any ? in_text(n, m->dimensions[i].name) || in_text(n, m->dimensions[i].value)
		        : str_ieq(n->where, m->dimensions[i].name) && in_text(n, m->dimensions[i].value))
			return true;
	return false;
}

static bool matches(const struct node *n, const struct metric *m)
{
	switch (n->kind) {
	case NODE_AND:
		return matches(n->left, m) && matches(n->right, m);
	case NODE_OR:
		return matches(n->left, m) || matches(n->right, m);
	case NODE_NOT:
		return !matches(n->left, m);
	default:
		return word_matches(n, m);
	}
}

static bool schema_matches(const struct search *s, const struct metric *m)
{
	if (!str_eq(s->parts[0], m->space) || s->part_count - 1 != m->dimension_count)
		return false;
	for (unsigned i = 1; i < s->part_count; i++) {
		size_t k = 0;
		while (k < m->dimension_count && !str_eq(m->dimensions[k].name, s->parts[i]))
			k++;
		if (k == m->dimension_count)
			return false;
	}
	return true;
}

bool search_matches(const struct search *s, const struct metric *m)
{
	return (!s->schema || schema_matches(s, m)) && (!s->root || matches(s->root, m));
}

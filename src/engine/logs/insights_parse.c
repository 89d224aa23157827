#include "insights_tree.h"

#include "base/buf.h"
#include "model/model.h"

enum { COMMANDS_MAX = 40, DEPTH_MAX = 60, COLUMNS_MAX = 100 };

struct parser {
	struct arena *arena;
	struct str all, rest;
	struct str error;
	unsigned depth;
};

static void *fail(struct parser *p, const char *what)
{
	if (!str_set(p->error))
		p->error = arena_printf(p->arena, "%s at offset %zu", what, p->all.n - p->rest.n);
	return NULL;
}

/* --- tokens */

static void skip(struct parser *p)
{
	for (;;) {
		while (p->rest.n && ascii_is_space(p->rest.p[0]))
			p->rest = str_from_at(p->rest, 1);
		if (!p->rest.n || p->rest.p[0] != '#')
			return;
		while (p->rest.n && p->rest.p[0] != '\n')
			p->rest = str_from_at(p->rest, 1);
	}
}

static bool in_name(char c)
{
	return ascii_is_alnum(c) || c == '_' || c == '@' || c == '.';
}

static bool accept(struct parser *p, const char *sign)
{
	struct str s = str_from(sign);
	skip(p);
	if (!str_starts(p->rest, s))
		return false;
	p->rest = str_from_at(p->rest, s.n);
	return true;
}

static struct str peek_word(struct parser *p)
{
	size_t n = 0;
	skip(p);
	while (n < p->rest.n && in_name(p->rest.p[n]))
		n++;
	return str_sub(p->rest, 0, n);
}

static bool accept_word(struct parser *p, const char *word)
{
	struct str w = peek_word(p);
	if (!str_ieq(w, str_from(word)))
		return false;
	p->rest = str_from_at(p->rest, w.n);
	return true;
}

static struct str take_quoted(struct parser *p)
{
	char quote = p->rest.p[0], *text = arena_alloc(p->arena, p->rest.n + 1);
	size_t n = 0, i = 1;
	for (; i < p->rest.n && p->rest.p[i] != quote; i++) {
		if (p->rest.p[i] == '\\' && i + 1 < p->rest.n && (p->rest.p[i + 1] == quote || p->rest.p[i + 1] == '\\'))
			i++;
		text[n++] = p->rest.p[i];
	}
	if (i >= p->rest.n) {
		fail(p, "a text without end");
		return STR_NONE;
	}
	p->rest = str_from_at(p->rest, i + 1);
	return str_of(text, n);
}

static bool at_quote(struct parser *p)
{
	skip(p);
	return p->rest.n && (p->rest.p[0] == '"' || p->rest.p[0] == '\'');
}

static struct str take_name(struct parser *p)
{
	skip(p);
	if (p->rest.n && p->rest.p[0] == '`')
		return take_quoted(p);
	struct str w = peek_word(p);
	if (!w.n)
		fail(p, "a field's name is expected");
	p->rest = str_from_at(p->rest, w.n);
	return w.n ? w : STR_NONE;
}

static bool take_number(struct parser *p, double *ret)
{
	size_t n = 0;
	skip(p);
	while (n < p->rest.n && (ascii_is_digit(p->rest.p[n]) || p->rest.p[n] == '.'))
		n++;
	if (!n || !str_to_double(str_sub(p->rest, 0, n), ret))
		return false;
	p->rest = str_from_at(p->rest, n);
	return true;
}

/* 5m, 1 hour, 30s, ... */
static int64_t take_period(struct parser *p)
{
	static const struct {
		const char *name;
		int64_t ms;
	} units[] = {{"ms", 1},         {"msec", 1},        {"s", 1000},       {"sec", 1000},       {"second", 1000},
	             {"seconds", 1000}, {"m", 60000},       {"min", 60000},    {"minute", 60000},   {"minutes", 60000},
	             {"h", 3600000},    {"hr", 3600000},    {"hour", 3600000}, {"hours", 3600000},  {"d", 86400000},
	             {"day", 86400000}, {"days", 86400000}, {"w", 604800000},  {"week", 604800000}, {"weeks", 604800000}};
	double x = 1;
	take_number(p, &x);
	struct str unit = peek_word(p);
	for (unsigned i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (str_ieq(unit, str_from(units[i].name)) && x >= 1 && x <= 1e6) {
			p->rest = str_from_at(p->rest, unit.n);
			return (int64_t)x * units[i].ms;
		}
	fail(p, "a period such as 5m is expected");
	return 0;
}

/* --- expressions */

static struct expr *parse_or(struct parser *p);

static struct expr *node(struct parser *p, enum expr_kind kind, int op, const struct expr *x, const struct expr *y)
{
	struct expr *e = arena_new(p->arena, struct expr);
	*e = (struct expr){.kind = kind, .op = op, .args = {x, y}, .n = y ? 2 : 1};
	return x && (y || kind == EXPR_NOT) ? e : fail(p, "an expression is expected");
}

static struct expr *literal(struct parser *p, struct value v)
{
	struct expr *e = arena_new(p->arena, struct expr);
	e->kind = EXPR_VALUE;
	e->value = v;
	return e;
}

static struct expr *parse_call(struct parser *p, struct str name)
{
	static const struct {
		const char *name;
		uint8_t least, most;
	} calls[CALLS] = {[CALL_STRLEN] = {"strlen", 1, 1},
	                  [CALL_UPPER] = {"toupper", 1, 1},
	                  [CALL_LOWER] = {"tolower", 1, 1},
	                  [CALL_TRIM] = {"trim", 1, 1},
	                  [CALL_CONTAINS] = {"strcontains", 2, 2},
	                  [CALL_SUBSTR] = {"substr", 2, 3},
	                  [CALL_REPLACE] = {"replace", 3, 3},
	                  [CALL_CONCAT] = {"concat", 1, ARGUMENTS_MAX},
	                  [CALL_ISEMPTY] = {"isempty", 1, 1},
	                  [CALL_ISBLANK] = {"isblank", 1, 1},
	                  [CALL_ISPRESENT] = {"ispresent", 1, 1},
	                  [CALL_COALESCE] = {"coalesce", 1, ARGUMENTS_MAX},
	                  [CALL_ABS] = {"abs", 1, 1},
	                  [CALL_CEIL] = {"ceil", 1, 1},
	                  [CALL_FLOOR] = {"floor", 1, 1},
	                  [CALL_SQRT] = {"sqrt", 1, 1},
	                  [CALL_BIN] = {"bin", 0, 0},
	                  [CALL_DATEFLOOR] = {"datefloor", 1, 1}};
	struct expr *e = arena_new(p->arena, struct expr);
	e->kind = EXPR_CALL;
	for (e->op = 0; e->op < CALLS && !str_ieq(name, str_from(calls[e->op].name)); e->op++)
		;
	if (e->op == CALLS)
		return fail(p, "a function that is not known here");
	if (e->op == CALL_BIN)
		e->step_ms = take_period(p);
	while (e->op != CALL_BIN && !str_set(p->error)) {
		if (e->n == ARGUMENTS_MAX)
			return fail(p, "too many arguments");
		e->args[e->n++] = parse_or(p);
		if (!accept(p, ","))
			break;
		if (e->op == CALL_DATEFLOOR) {
			e->step_ms = take_period(p);
			break;
		}
	}
	if (!accept(p, ")") || e->n < calls[e->op].least || e->n > calls[e->op].most || (e->op == CALL_DATEFLOOR && !e->step_ms))
		return fail(p, "wrong arguments of a function");
	return e;
}

static struct expr *parse_primary(struct parser *p)
{
	double x;
	if (accept(p, "(")) {
		struct expr *e = parse_or(p);
		return accept(p, ")") ? e : fail(p, ") is expected");
	}
	if (at_quote(p))
		return literal(p, (struct value){.kind = VALUE_TEXT, .text = take_quoted(p)});
	if (accept(p, "-")) {
		struct expr *zero = literal(p, (struct value){.kind = VALUE_NUMBER});
		if (++p->depth > DEPTH_MAX)
			return fail(p, "too deep an expression");
		struct expr *e = node(p, EXPR_ARITHMETIC, '-', zero, parse_primary(p));
		p->depth--;
		return e;
	}
	if (p->rest.n && ascii_is_digit(p->rest.p[0]) && take_number(p, &x))
		return literal(p, (struct value){.kind = VALUE_NUMBER, .number = x});
	bool plain = p->rest.n && p->rest.p[0] != '`';
	struct str name = take_name(p);
	if (!str_set(name))
		return NULL;
	if (plain && p->rest.n && p->rest.p[0] == '(' && accept(p, "("))
		return parse_call(p, name);
	if (plain && (str_is(name, "true") || str_is(name, "false")))
		return literal(p, (struct value){.kind = VALUE_BOOL, .number = str_is(name, "true")});
	struct expr *e = arena_new(p->arena, struct expr);
	e->kind = EXPR_FIELD;
	e->field = name;
	return e;
}

static struct expr *parse_product(struct parser *p)
{
	struct expr *left = parse_primary(p);
	while (left) {
		int sign = accept(p, "*") ? '*' : accept(p, "/") ? '/' : accept(p, "%") ? '%' : 0;
		if (!sign)
			break;
		left = node(p, EXPR_ARITHMETIC, sign, left, parse_primary(p));
	}
	return left;
}

static struct expr *parse_sum(struct parser *p)
{
	struct expr *left = parse_product(p);
	while (left) {
		int sign = accept(p, "+") ? '+' : accept(p, "-") ? '-' : 0;
		if (!sign)
			break;
		left = node(p, EXPR_ARITHMETIC, sign, left, parse_product(p));
	}
	return left;
}

/* What stands between slashes. Absent: the error is set. */
static struct str take_regex(struct parser *p)
{
	size_t n = 1;
	skip(p);
	while (n < p->rest.n && p->rest.p[n] != '/')
		n += p->rest.p[n] == '\\' ? 2 : 1;
	if (!p->rest.n || p->rest.p[0] != '/' || n >= p->rest.n) {
		fail(p, "a text or /regular expression/ is expected");
		return STR_NONE;
	}
	struct str text = str_sub(p->rest, 1, n - 1);
	p->rest = str_from_at(p->rest, n + 1);
	return text;
}

/* /.../ is found anywhere; (?i) stands in front. */
static struct expr *parse_like(struct parser *p, struct expr *left)
{
	struct expr *e = node(p, EXPR_LIKE, 0, left, left);
	skip(p);
	if (!e)
		return NULL;
	if (at_quote(p)) {
		e->value = (struct value){.kind = VALUE_TEXT, .text = take_quoted(p)};
		return e;
	}
	struct str text = take_regex(p);
	if (!str_set(text))
		return NULL;
	bool any_case = str_starts(text, S("(?i)"));
	e->regex = pattern_compile(p->arena,
	                           ARENA_CAT(p->arena, any_case ? S("(?i)") : S(""), S("[\\s\\S]*(?:"),
	                                     any_case ? str_from_at(text, 4) : text, S(")[\\s\\S]*")),
	                           NULL);
	if (!e->regex)
		return fail(p, "a regular expression that is not valid, or not known here");
	return e;
}

static struct expr *parse_in(struct parser *p, struct expr *left)
{
	struct expr *e = arena_new(p->arena, struct expr);
	e->kind = EXPR_IN;
	e->args[e->n++] = left;
	if (!accept(p, "["))
		return fail(p, "[ is expected");
	do {
		if (e->n == ARGUMENTS_MAX)
			return fail(p, "too many values");
		e->args[e->n++] = parse_sum(p);
	} while (accept(p, ",") && !str_set(p->error));
	return accept(p, "]") ? e : fail(p, "] is expected");
}

static struct expr *parse_compare(struct parser *p)
{
	static const struct {
		const char *sign;
		enum compare op;
	} signs[] = {{"!=", COMPARE_NE}, {"<=", COMPARE_LE}, {">=", COMPARE_GE},
	             {"<", COMPARE_LT},  {">", COMPARE_GT},  {"=", COMPARE_EQ}};
	struct expr *left = parse_sum(p);
	if (!left)
		return NULL;
	if (accept(p, "=~") || accept_word(p, "like"))
		return parse_like(p, left);
	for (unsigned i = 0; i < sizeof(signs) / sizeof(*signs); i++)
		if (accept(p, signs[i].sign))
			return node(p, EXPR_COMPARE, (int)signs[i].op, left, parse_sum(p));
	if (accept_word(p, "in"))
		return parse_in(p, left);
	if (!accept_word(p, "not"))
		return left;
	struct expr *e = accept_word(p, "like") ? parse_like(p, left)
	                 : accept_word(p, "in") ? parse_in(p, left)
	                                        : fail(p, "like or in is expected");
	return e ? node(p, EXPR_NOT, 0, e, NULL) : NULL;
}

static struct expr *parse_not(struct parser *p)
{
	if (++p->depth > DEPTH_MAX)
		return fail(p, "too deep an expression");
	struct expr *e = accept_word(p, "not") ? node(p, EXPR_NOT, 0, parse_not(p), NULL) : parse_compare(p);
	p->depth--;
	return e;
}

static struct expr *parse_and(struct parser *p)
{
	struct expr *left = parse_not(p);
	while (left && accept_word(p, "and"))
		left = node(p, EXPR_AND, 0, left, parse_not(p));
	return left;
}

static struct expr *parse_or(struct parser *p)
{
	if (++p->depth > DEPTH_MAX)
		return fail(p, "too deep an expression");
	struct expr *left = parse_and(p);
	while (left && accept_word(p, "or"))
		left = node(p, EXPR_OR, 0, left, parse_and(p));
	p->depth--;
	return left;
}

/* --- commands */

static struct column *column_new(struct parser *p, struct columns *l)
{
	if (l->n == COLUMNS_MAX)
		return fail(p, "too many columns");
	return LIST_ADD(p->arena, l);
}

/* A column is called as it is written, unless it says how. */
static struct str column_name(struct parser *p, struct str from)
{
	struct str written = str_trim(str_sub(from, 0, from.n - p->rest.n));
	if (written.n > 1 && written.p[0] == '`')
		written = str_sub(written, 1, written.n - 2);
	return accept_word(p, "as") ? take_name(p) : written;
}

static void parse_columns(struct parser *p, struct columns *l)
{
	do {
		skip(p);
		struct str from = p->rest;
		struct column *c = column_new(p, l);
		if (!c)
			return;
		c->expr = parse_or(p);
		c->name = column_name(p, from);
		if (accept_word(p, "desc"))
			c->descending = true;
		else
			accept_word(p, "asc");
	} while (!str_set(p->error) && accept(p, ","));
}

static void parse_aggregate(struct parser *p, struct column *c)
{
	static const char *const names[AGGREGATES] = {[AGG_COUNT] = "count",   [AGG_DISTINCT] = "count_distinct",
	                                              [AGG_SUM] = "sum",       [AGG_AVG] = "avg",
	                                              [AGG_MIN] = "min",       [AGG_MAX] = "max",
	                                              [AGG_PCT] = "pct",       [AGG_EARLIEST] = "earliest",
	                                              [AGG_LATEST] = "latest", [AGG_STDDEV] = "stddev"};
	struct str word = peek_word(p);
	unsigned kind = 0;
	while (kind < AGGREGATES && !str_ieq(word, str_from(names[kind])))
		kind++;
	p->rest = str_from_at(p->rest, word.n);
	if (kind == AGGREGATES || !accept(p, "(")) {
		fail(p, "a function of many values is expected");
		return;
	}
	c->aggregate = kind;
	if (accept(p, "*")) {
		if (kind != AGG_COUNT)
			fail(p, "a field is expected");
	} else if (!accept(p, ")"))
		c->expr = parse_or(p);
	else if (kind == AGG_COUNT)
		return;
	if (kind == AGG_PCT && (!accept(p, ",") || !take_number(p, &c->percent) || c->percent > 100))
		fail(p, "a percentage is expected");
	if (!accept(p, ")") || (kind != AGG_COUNT && !c->expr))
		fail(p, "wrong arguments of a function");
}

static void parse_stats(struct parser *p, struct command *c)
{
	do {
		skip(p);
		struct str from = p->rest;
		struct column *k = column_new(p, &c->columns);
		if (!k)
			return;
		parse_aggregate(p, k);
		k->name = column_name(p, from);
	} while (!str_set(p->error) && accept(p, ","));
	if (accept_word(p, "by"))
		parse_columns(p, &c->by);
}

/* /...(?<x>...)/: its groups' names are those of the fields. */
static void parse_named(struct parser *p, struct command *c)
{
	struct str text = take_regex(p), *names = NULL;
	uint32_t n = 0;
	c->regex = str_set(text) ? insights_regex(p->arena, text, &names, &n) : NULL;
	if (str_set(text) && !c->regex)
		fail(p, "a regular expression whose groups all have names is expected");
	for (uint32_t i = 0; i < n && !str_set(p->error); i++) {
		struct column *k = column_new(p, &c->columns);
		if (k)
			k->name = names[i];
	}
}

/* parse [FIELD] "a *, b *" as x, y; or, as above, parse [FIELD] /.../ */
static void parse_parse(struct parser *p, struct command *c)
{
	struct expr *of = NULL;
	if (!at_quote(p) && p->rest.n && p->rest.p[0] != '/')
		of = parse_primary(p);
	c->expr = of;
	if (!at_quote(p)) {
		parse_named(p, c);
		return;
	}
	struct str text = take_quoted(p);
	uint32_t stars = 0;
	for (size_t i = 0; i < text.n; i++)
		stars += text.p[i] == '*';
	c->pieces = arena_array(p->arena, stars + 1, sizeof(*c->pieces));
	for (uint32_t i = 0; i <= stars; i++)
		c->pieces[i] = str_cut(&text, '*');
	if (!accept_word(p, "as")) {
		fail(p, "as is expected");
		return;
	}
	do {
		struct column *k = column_new(p, &c->columns);
		if (!k)
			return;
		k->name = take_name(p);
	} while (!str_set(p->error) && accept(p, ","));
	if (c->columns.n != stars)
		fail(p, "as many names as asterisks are expected");
}

static void parse_command(struct parser *p, struct command *c)
{
	double x;
	if (accept_word(p, "fields")) {
		c->kind = DO_FIELDS;
		parse_columns(p, &c->columns);
	} else if (accept_word(p, "display")) {
		c->kind = DO_DISPLAY;
		parse_columns(p, &c->columns);
	} else if (accept_word(p, "filter")) {
		c->kind = DO_FILTER;
		c->expr = parse_or(p);
	} else if (accept_word(p, "parse")) {
		c->kind = DO_PARSE;
		parse_parse(p, c);
	} else if (accept_word(p, "stats")) {
		c->kind = DO_STATS;
		parse_stats(p, c);
	} else if (accept_word(p, "sort")) {
		c->kind = DO_SORT;
		parse_columns(p, &c->columns);
	} else if (accept_word(p, "dedup")) {
		c->kind = DO_DEDUP;
		parse_columns(p, &c->columns);
	} else if (accept_word(p, "limit")) {
		c->kind = DO_LIMIT;
		if (!take_number(p, &x) || x < 1 || x > INSIGHTS_ROWS_MAX)
			fail(p, "a limit from 1 to 10000 is expected");
		else
			c->limit = (uint32_t)x;
	} else
		fail(p, "a command that is not known here");
}

const struct insights *insights_compile(struct arena *a, struct str text, struct str *ret_error)
{
	struct insights *q = arena_new(a, struct insights);
	struct command **last = &q->first;
	struct parser p = {.arena = a, .all = arena_dup(a, str_trim(text))};
	p.rest = p.all;
	for (unsigned n = 0; p.rest.n && !str_set(p.error); n++) {
		if (accept(&p, "|") && !n)
			continue;
		struct command *c = arena_new(a, struct command);
		*last = c;
		last = &c->next;
		if (n == COMMANDS_MAX)
			fail(&p, "too many commands");
		else
			parse_command(&p, c);
		skip(&p);
		if (p.rest.n && p.rest.p[0] != '|')
			fail(&p, "| is expected");
	}
	if (!str_set(p.error))
		return q;
	*ret_error = p.error;
	return NULL;
}

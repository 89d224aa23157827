#include "filter_tree.h"

#include "base/buf.h"

enum { FIELDS_MAX = 256, STEPS_MAX = 64 };

struct parser {
	struct arena *arena;
	struct str rest; /* not read yet */
	unsigned regexes;
	struct str error; /* absent: none so far; the first one stays */
	struct str field; /* the name that conditions of a field must repeat; absent in JSON patterns */
	bool json;
};

static void *fail(struct parser *p)
{
	if (!str_set(p->error))
		p->error = S("Invalid filter pattern");
	return NULL;
}

static void *fail_term(struct parser *p, struct str term)
{
	if (!str_set(p->error))
		p->error = arena_printf(p->arena, "Invalid character(s) in term '%.*s'", STR_ARG(term));
	return NULL;
}

/* --- tokens */

static void skip_space(struct parser *p)
{
	while (p->rest.n && ascii_is_space(p->rest.p[0]))
		p->rest = str_from_at(p->rest, 1);
}

static char peek(const struct parser *p)
{
	return p->rest.n ? p->rest.p[0] : '\0';
}

static struct str take(struct parser *p, size_t n)
{
	struct str s = str_sub(p->rest, 0, n);
	p->rest = str_from_at(p->rest, n);
	return s;
}

/* Takes what is next if it is this. */
static bool accept(struct parser *p, struct str what)
{
	if (!str_starts(p->rest, what))
		return false;
	take(p, what.n);
	return true;
}

/* A word of letters, in any case, that stands alone. */
static bool accept_word(struct parser *p, struct str word)
{
	skip_space(p);
	if (!str_istarts(p->rest, word) || (p->rest.n > word.n && (ascii_is_alnum(p->rest.p[word.n]) || p->rest.p[word.n] == '_')))
		return false;
	take(p, word.n);
	return true;
}

/* "..." with \" and \\ inside. */
static struct str take_quoted(struct parser *p)
{
	char *text = arena_alloc(p->arena, p->rest.n + 1);
	size_t n = 0, i = 1;
	for (; i < p->rest.n && p->rest.p[i] != '"'; i++) {
		if (p->rest.p[i] == '\\' && i + 1 < p->rest.n && (p->rest.p[i + 1] == '"' || p->rest.p[i + 1] == '\\'))
			i++;
		text[n++] = p->rest.p[i];
	}
	if (i == p->rest.n) {
		fail(p);
		return STR_NONE;
	}
	take(p, i + 1);
	return str_of(text, n);
}

/* %...%, found anywhere in a text: CloudWatch's own subset, which has no groups. */
static const struct pattern *take_regex(struct parser *p)
{
	struct str rest = str_from_at(p->rest, 1);
	size_t n = 0;
	for (; n < rest.n && rest.p[n] != '%'; n++)
		if (!ascii_is_alnum(rest.p[n]) && !memchr(":_#=@/;,-^$?[]{}|\\*+.", rest.p[n], 21))
			return fail_term(p, rest);
	if (n == 0 || n == rest.n || ++p->regexes > LOG_FILTER_REGEX_MAX)
		return fail(p);
	const struct pattern *regex =
	        pattern_compile(p->arena, ARENA_CAT(p->arena, S("[\\s\\S]*(?:"), str_sub(rest, 0, n), S(")[\\s\\S]*")), NULL);
	if (!regex)
		return fail_term(p, str_sub(rest, 0, n));
	take(p, n + 2);
	return regex;
}

/* --- values and conditions, which both structured kinds of pattern share */

static bool value_ends(const struct parser *p, size_t at)
{
	char c = p->rest.p[at];
	if (ascii_is_space(c) || c == '(' || c == ')' || c == '"' || c == '%')
		return true;
	if (at + 1 < p->rest.n && (c == '&' || c == '|') && p->rest.p[at + 1] == c)
		return true;
	return p->json ? c == '}' : c == ',' || c == ']';
}

static bool take_value(struct parser *p, struct filter_value *ret)
{
	skip_space(p);
	*ret = (struct filter_value){0};
	bool quoted = peek(p) == '"';
	if (peek(p) == '%') {
		ret->regex = take_regex(p);
		return ret->regex != NULL;
	}
	if (quoted) {
		ret->text = take_quoted(p);
	} else {
		size_t n = 0;
		while (n < p->rest.n && !value_ends(p, n))
			n++;
		ret->text = take(p, n);
		if (n == 0)
			fail(p);
	}
	if (str_set(p->error))
		return false;
	struct str plain = ret->text;
	ret->is_number = !quoted && str_to_double(str_starts(plain, S("+")) ? str_from_at(plain, 1) : plain, &ret->number);
	ret->any_before = str_starts(ret->text, S("*"));
	if (ret->any_before)
		ret->text = str_from_at(ret->text, 1);
	ret->any_after = str_ends(ret->text, S("*"));
	if (ret->any_after)
		ret->text.n--;
	return true;
}

static bool take_op(struct parser *p, enum cond_op *ret)
{
	static const struct {
		const char *text;
		enum cond_op op;
	} ops[] = {{"!=", OP_NE}, {"<=", OP_LE}, {">=", OP_GE}, {"=", OP_EQ}, {"<", OP_LT}, {">", OP_GT}};
	skip_space(p);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (accept(p, str_from(ops[i].text))) {
			*ret = ops[i].op;
			return true;
		}
	if (p->json && accept_word(p, S("IS"))) {
		*ret = accept_word(p, S("TRUE")) ? OP_IS_TRUE : accept_word(p, S("FALSE")) ? OP_IS_FALSE : OP_IS_NULL;
		return *ret != OP_IS_NULL || accept_word(p, S("NULL"));
	}
	if (p->json && accept_word(p, S("NOT"))) {
		*ret = OP_NOT_EXISTS;
		return accept_word(p, S("EXISTS"));
	}
	*ret = OP_EXISTS;
	return p->json && accept_word(p, S("EXISTS"));
}

/* A step's key: a name of letters, digits, - and _, or anything in brackets and quotes. */
static bool take_key(struct parser *p, struct filter_step *ret)
{
	if (peek(p) == '[') {
		char quote = p->rest.n > 1 ? p->rest.p[1] : '\0';
		struct str inner = str_from_at(p->rest, 2);
		ptrdiff_t end = quote == '\'' || quote == '"' ? str_find_char(inner, quote) : -1;
		if (end <= 0 || (size_t)end + 1 >= inner.n || inner.p[end + 1] != ']')
			return false;
		ret->key = str_sub(inner, 0, (size_t)end);
		take(p, (size_t)end + 4);
		return true;
	}
	size_t n = 0;
	while (n < p->rest.n && (ascii_is_alnum(p->rest.p[n]) || p->rest.p[n] == '_' || p->rest.p[n] == '-'))
		n++;
	ret->key = take(p, n);
	return n > 0;
}

static bool take_index(struct parser *p, struct filter_step *ret)
{
	ptrdiff_t end = str_find_char(p->rest, ']');
	uint64_t index;
	if (end < 2 || end > 10 || !str_to_u64(str_sub(p->rest, 1, (size_t)end - 1), &index))
		return false;
	ret->key = STR_NONE;
	ret->index = (uint32_t)index;
	take(p, (size_t)end + 1);
	return index <= UINT32_MAX;
}

static bool take_selector(struct parser *p, struct filter_cond *cond)
{
	struct filter_step steps[STEPS_MAX];
	uint32_t n = 0;
	if (!accept(p, S("$")))
		return false;
	for (;; n++) {
		char next = p->rest.n > 1 ? p->rest.p[1] : '\0';
		if (peek(p) != '.' && peek(p) != '[')
			break;
		if (n == STEPS_MAX)
			return false;
		bool key = accept(p, S(".")) || next == '\'' || next == '"';
		if (key ? !take_key(p, &steps[n]) : !take_index(p, &steps[n]))
			return false;
	}
	struct filter_step *kept = arena_array(p->arena, n, sizeof(*kept));
	if (n)
		memcpy(kept, steps, n * sizeof(*kept));
	cond->steps = kept;
	cond->step_count = n;
	return n > 0;
}

static size_t name_length(struct str s)
{
	size_t n = 0;
	while (n < s.n && (ascii_is_alnum(s.p[n]) || s.p[n] == '_' || s.p[n] == '-' || s.p[n] == '.'))
		n++;
	return n;
}

static struct filter_cond *parse_or(struct parser *p);

static struct filter_cond *parse_test(struct parser *p)
{
	skip_space(p);
	if (accept(p, S("("))) {
		struct filter_cond *inside = parse_or(p);
		skip_space(p);
		return inside && accept(p, S(")")) ? inside : fail(p);
	}
	struct filter_cond *cond = arena_new(p->arena, struct filter_cond);
	cond->kind = COND_TEST;
	if (p->json ? !take_selector(p, cond) : !str_eq(take(p, name_length(p->rest)), p->field))
		return fail(p);
	if (!take_op(p, &cond->op))
		return fail(p);
	if (cond->op <= OP_GE && !take_value(p, &cond->value))
		return fail(p);
	bool ordered = cond->op >= OP_LT && cond->op <= OP_GE;
	return ordered && !cond->value.is_number ? fail(p) : cond;
}

static struct filter_cond *parse_pair(struct parser *p, enum cond_kind kind, struct str sign,
                                      struct filter_cond *(*parse)(struct parser *))
{
	struct filter_cond *left = parse(p);
	for (skip_space(p); left && accept(p, sign); skip_space(p)) {
		struct filter_cond *both = arena_new(p->arena, struct filter_cond);
		*both = (struct filter_cond){.kind = kind, .left = left, .right = parse(p)};
		left = both->right ? both : NULL;
	}
	return left;
}

static struct filter_cond *parse_and(struct parser *p)
{
	return parse_pair(p, COND_AND, S("&&"), parse_test);
}

static struct filter_cond *parse_or(struct parser *p)
{
	return parse_pair(p, COND_OR, S("||"), parse_and);
}

/* --- the three kinds */

static void parse_json(struct parser *p, struct log_filter *f)
{
	f->kind = FILTER_JSON;
	p->json = true;
	take(p, 1);
	f->cond = parse_or(p);
	skip_space(p);
	if (!f->cond || !accept(p, S("}")) || p->rest.n)
		fail(p);
}

static void parse_field(struct parser *p, struct filter_field *ret)
{
	skip_space(p);
	*ret = (struct filter_field){0};
	if (peek(p) == ',' || peek(p) == ']')
		return;
	struct str all = p->rest, name;
	bool inside = accept(p, S("("));
	skip_space(p);
	name = take(p, name_length(p->rest));
	skip_space(p);
	if (name.n == 0) {
		fail(p);
		return;
	}
	ret->name = name;
	if (!inside && (peek(p) == ',' || peek(p) == ']'))
		return;
	p->rest = all;
	p->field = name;
	ret->cond = parse_or(p);
}

static void parse_fields(struct parser *p, struct log_filter *f)
{
	struct filter_field fields[FIELDS_MAX];
	f->kind = FILTER_FIELDS;
	f->ellipsis = -1;
	take(p, 1);
	for (;;) {
		skip_space(p);
		if (accept(p, S("...")) || accept(p, S("\xe2\x80\xa6"))) {
			if (f->ellipsis >= 0)
				fail(p);
			f->ellipsis = (int32_t)f->field_count;
			skip_space(p);
		} else if (f->field_count == FIELDS_MAX) {
			fail(p);
		} else {
			parse_field(p, &fields[f->field_count++]);
		}
		if (str_set(p->error))
			return;
		skip_space(p);
		if (accept(p, S("]")))
			break;
		if (!accept(p, S(","))) {
			fail(p);
			return;
		}
	}
	skip_space(p);
	if (p->rest.n)
		fail(p);
	struct filter_field *kept = arena_array(p->arena, f->field_count, sizeof(*kept));
	if (f->field_count)
		memcpy(kept, fields, f->field_count * sizeof(*kept));
	f->fields = kept;
}

static void parse_term(struct parser *p, struct filter_term *term)
{
	term->kind = accept(p, S("?")) ? TERM_MAY : accept(p, S("-")) ? TERM_NOT : TERM_MUST;
	skip_space(p);
	if (peek(p) == '"') {
		term->text = take_quoted(p);
	} else if (peek(p) == '%') {
		term->regex = take_regex(p);
	} else {
		size_t n = 0;
		bool plain = true;
		for (; n < p->rest.n && !ascii_is_space(p->rest.p[n]); n++)
			plain &= ascii_is_alnum(p->rest.p[n]) || p->rest.p[n] == '_';
		term->text = take(p, n);
		if (n == 0)
			fail(p);
		else if (!plain)
			fail_term(p, term->text);
	}
}

static void parse_terms(struct parser *p, struct log_filter *f)
{
	struct filter_term **last = &f->terms;
	f->kind = FILTER_TERMS;
	for (skip_space(p); p->rest.n && !str_set(p->error); skip_space(p)) {
		struct filter_term *term = arena_new(p->arena, struct filter_term);
		parse_term(p, term);
		*last = term;
		last = &term->next;
		f->has_must |= term->kind != TERM_MAY;
		f->has_may |= term->kind == TERM_MAY;
	}
}

const struct log_filter *log_filter_compile(struct arena *a, struct str pattern, struct str *ret_error)
{
	struct log_filter *f = arena_new(a, struct log_filter);
	struct parser p = {.arena = a, .rest = arena_dup(a, str_trim(pattern))};
	if (p.rest.n == 0)
		f->kind = FILTER_ALL;
	else if (peek(&p) == '{')
		parse_json(&p, f);
	else if (peek(&p) == '[')
		parse_fields(&p, f);
	else
		parse_terms(&p, f);
	if (!str_set(p.error))
		return f;
	*ret_error = p.error;
	return NULL;
}

const struct log_selector *log_selector_compile(struct arena *a, const struct log_filter *f, struct str text)
{
	struct log_selector *s = arena_new(a, struct log_selector);
	struct parser p = {.arena = a, .rest = arena_dup(a, text), .json = true};
	s->name = p.rest;
	if (f->kind == FILTER_JSON)
		return take_selector(&p, &s->at) && !p.rest.n ? s : NULL;
	if (f->kind != FILTER_FIELDS || !str_starts(s->name, S("$")))
		return NULL;
	uint64_t position;
	bool found = f->ellipsis < 0 && str_to_u64(str_from_at(s->name, 1), &position) && position && position <= f->field_count &&
	             !str_set(f->fields[position - 1].name);
	for (uint32_t i = 0; i < f->field_count; i++)
		found |= str_eq(f->fields[i].name, str_from_at(s->name, 1));
	return found ? s : NULL;
}

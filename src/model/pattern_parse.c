/* Recursive descent over Java's notation, by code points. Every rule returns NULL once `why` is set, and parents pass that on. */
#include "model/pattern_tree.h"

#define MAX_DEPTH 32
#define MAX_REPEAT 1000000

struct parser {
	struct arena *a;
	struct str text;
	size_t at;
	unsigned depth;
	bool fold_case; /* (?i) was seen */
	const char *why;
};

static const struct pattern_range digits[] = {{'0', '9'}};
static const struct pattern_range words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
static const struct pattern_range spaces[] = {{'\t', '\r'}, {' ', ' '}};
static const struct pattern_range line_ends[] = {{'\n', '\n'}, {'\r', '\r'}, {0x85, 0x85}, {0x2028, 0x2029}};

uint32_t pattern_times(uint32_t a, uint32_t b)
{
	uint64_t product = (uint64_t)a * b;
	return product >= PATTERN_NO_LIMIT ? PATTERN_NO_LIMIT : (uint32_t)product;
}

uint32_t pattern_plus(uint32_t a, uint32_t b)
{
	return a >= PATTERN_NO_LIMIT - b ? PATTERN_NO_LIMIT : a + b;
}

uint32_t pattern_decode(struct str text, size_t *at)
{
	const unsigned char *p = (const unsigned char *)text.p + *at;
	size_t left = text.n - *at;
	unsigned more = p[0] < 0x80 ? 0 : p[0] >= 0xf0 ? 3 : p[0] >= 0xe0 ? 2 : 1;
	*at += 1;
	if (more == 0)
		return p[0];
	uint32_t c = p[0] & (0x3fu >> more);
	if (p[0] < 0xc2 || p[0] > 0xf4 || left <= more)
		return 0xfffd;
	for (unsigned i = 1; i <= more; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0xfffd;
		c = c << 6 | (p[i] & 0x3f);
	}
	*at += more;
	return c;
}

static void *fail(struct parser *p, const char *why)
{
	if (!p->why)
		p->why = why;
	return NULL;
}

static bool at_end(const struct parser *p)
{
	return p->at >= p->text.n;
}

static char peek(const struct parser *p, size_t ahead)
{
	return p->at + ahead < p->text.n ? p->text.p[p->at + ahead] : '\0';
}

static bool eat(struct parser *p, struct str token)
{
	if (!str_starts(str_from_at(p->text, p->at), token))
		return false;
	p->at += token.n;
	return true;
}

static struct node *new_node(struct parser *p, enum node_kind kind)
{
	struct node *node = arena_new(p->a, struct node);
	node->kind = kind;
	return node;
}

/* `count` hexadecimal digits as a number; -1: they are not there. */
static int32_t parse_hex(struct parser *p, unsigned count)
{
	int32_t value = 0;
	for (unsigned i = 0; i < count; i++, p->at++) {
		char c = ascii_lower(peek(p, 0));
		if (!ascii_is_digit(c) && (c < 'a' || c > 'f'))
			return -1;
		value = value * 16 + (ascii_is_digit(c) ? c - '0' : c - 'a' + 10);
	}
	return value;
}

/* Behind \p or \P: {L}. */
static bool parse_category(struct parser *p, struct pattern_set *set, bool complement)
{
	static const struct {
		struct str name;
		uint8_t category;
	} categories[] = {{S_INIT("{L}"), SET_LETTERS}, {S_INIT("{N}"), SET_NUMBERS}, {S_INIT("{Z}"), SET_SEPARATORS}};
	for (size_t i = 0; i < sizeof(categories) / sizeof(categories[0]); i++)
		if (eat(p, categories[i].name)) {
			*(complement ? &set->not_categories : &set->categories) |= categories[i].category;
			return true;
		}
	if (!complement && eat(p, S("{ASCII}"))) {
		pattern_set_add(p->a, set, 0, 0x7f);
		return true;
	}
	if (!complement && eat(p, S("{Print}"))) {
		pattern_set_add(p->a, set, ' ', '~');
		return true;
	}
	fail(p, "unknown category");
	return false;
}

static void add_class(struct parser *p, struct pattern_set *set, const struct pattern_range *ranges, uint32_t count,
                      bool complement)
{
	if (complement) {
		pattern_set_add_others(p->a, set, ranges, count);
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		pattern_set_add(p->a, set, ranges[i].low, ranges[i].high);
}

/* Behind a backslash. Returns true and *ret_char for an escape that is one character; false for one that is a class, which has been
 * added to the set, or when there is none such. */
static bool parse_escape(struct parser *p, struct pattern_set *set, uint32_t *ret_char)
{
	char c = peek(p, 0);
	if (at_end(p)) {
		fail(p, "backslash at the end");
		return false;
	}
	if ((unsigned char)c >= 0x80) {
		*ret_char = pattern_decode(p->text, &p->at);
		return true;
	}
	p->at++;
	*ret_char = (unsigned char)c;
	switch (c) {
	case 'd':
	case 'D':
		add_class(p, set, digits, 1, c == 'D');
		return false;
	case 'w':
	case 'W':
		add_class(p, set, words, 4, c == 'W');
		return false;
	case 's':
	case 'S':
		add_class(p, set, spaces, 2, c == 'S');
		return false;
	case 'p':
	case 'P':
		parse_category(p, set, c == 'P');
		return false;
	case 'n':
		*ret_char = '\n';
		return true;
	case 'r':
		*ret_char = '\r';
		return true;
	case 't':
		*ret_char = '\t';
		return true;
	case 'f':
		*ret_char = '\f';
		return true;
	case 'x':
	case 'u': {
		int32_t value = parse_hex(p, c == 'x' ? 2 : 4);
		if (value >= 0xd800 && value < 0xdc00 && eat(p, S("\\u"))) {
			/* Java reads two halves in a row as the character that they make. */
			int32_t low = parse_hex(p, 4);
			value = low < 0xdc00 || low > 0xdfff ? -1 : 0x10000 + ((value - 0xd800) << 10) + (low - 0xdc00);
		}
		if (value < 0)
			fail(p, "malformed code point");
		*ret_char = (uint32_t)value;
		return value >= 0;
	}
	default:
		if (ascii_is_alnum(c)) {
			fail(p, ascii_is_digit(c) ? "back reference" : "unknown escape");
			return false;
		}
		return true;
	}
}

/* One element of a class: true and its character, or false when it was a class of its own (already added) or a fault. */
static bool parse_class_char(struct parser *p, struct pattern_set *set, uint32_t *ret_char)
{
	if (eat(p, S("\\")))
		return parse_escape(p, set, ret_char);
	if (peek(p, 0) == '[' || (peek(p, 0) == '&' && peek(p, 1) == '&')) {
		fail(p, "class inside a class");
		return false;
	}
	*ret_char = pattern_decode(p->text, &p->at);
	return true;
}

/* Behind the opening bracket. */
static struct pattern_set *parse_class(struct parser *p)
{
	struct pattern_set *set = arena_new(p->a, struct pattern_set);
	set->negated = eat(p, S("^"));
	while (!p->why && !at_end(p) && peek(p, 0) != ']') {
		uint32_t low, high;
		if (!parse_class_char(p, set, &low))
			continue;
		if (peek(p, 0) != '-' || peek(p, 1) == ']') {
			pattern_set_add(p->a, set, low, low);
			continue;
		}
		p->at++;
		if (at_end(p))
			break;
		if (!parse_class_char(p, set, &high)) {
			/* A class cannot end a range: the dash stands for itself. */
			pattern_set_add(p->a, set, low, low);
			pattern_set_add(p->a, set, '-', '-');
		} else if (low > high) {
			fail(p, "range that ends before it begins");
		} else {
			pattern_set_add(p->a, set, low, high);
		}
	}
	if (!eat(p, S("]")))
		return fail(p, "class without an end");
	pattern_set_finish(p->a, set, p->fold_case);
	return set;
}

static struct node *set_node(struct parser *p, const struct pattern_set *set)
{
	if (p->why)
		return NULL;
	struct node *node = new_node(p, NODE_SET);
	node->set = set;
	node->longest = 1;
	return node;
}

static struct node *parse_alternatives(struct parser *p);

/* Behind the opening parenthesis. */
static struct node *parse_group(struct parser *p)
{
	enum node_kind kind = NODE_CAT;
	bool negative = false;
	if (eat(p, S("?=")) || eat(p, S("?!"))) {
		kind = NODE_AHEAD;
		negative = p->text.p[p->at - 1] == '!';
	} else if (eat(p, S("?<=")) || eat(p, S("?<!"))) {
		kind = NODE_BEHIND;
		negative = p->text.p[p->at - 1] == '!';
	} else if (eat(p, S("?i)"))) {
		p->fold_case = true;
		return new_node(p, NODE_EMPTY);
	} else if (!eat(p, S("?:")) && peek(p, 0) == '?') {
		return fail(p, "unknown group");
	}
	if (++p->depth > MAX_DEPTH)
		return fail(p, "groups too deep");
	struct node *inner = parse_alternatives(p);
	p->depth--;
	if (!inner)
		return NULL;
	if (!eat(p, S(")")))
		return fail(p, "group without an end");
	if (kind == NODE_CAT)
		return inner;
	struct node *node = new_node(p, kind);
	node->negative = negative;
	node->first = inner;
	if (kind == NODE_BEHIND) {
		if (inner->kind != NODE_SET)
			return fail(p, "look-behind of more than one character");
		node->set = inner->set;
	}
	return node;
}

static struct node *parse_escaped_atom(struct parser *p)
{
	if (eat(p, S("b")))
		return new_node(p, NODE_WORD);
	if (eat(p, S("B")))
		return new_node(p, NODE_NOT_WORD);
	struct pattern_set *set = arena_new(p->a, struct pattern_set);
	uint32_t c;
	if (parse_escape(p, set, &c))
		pattern_set_add(p->a, set, c, c);
	pattern_set_finish(p->a, set, p->fold_case);
	return set_node(p, set);
}

static struct node *parse_atom(struct parser *p)
{
	if (eat(p, S("^")))
		return new_node(p, NODE_BEGIN);
	if (eat(p, S("$")))
		return new_node(p, NODE_END);
	if (eat(p, S("(")))
		return parse_group(p);
	if (eat(p, S("[")))
		return set_node(p, parse_class(p));
	if (eat(p, S("\\")))
		return parse_escaped_atom(p);
	if (strchr("*+?{", peek(p, 0)))
		return fail(p, "repeat of nothing");
	struct pattern_set *set = arena_new(p->a, struct pattern_set);
	if (eat(p, S("."))) {
		pattern_set_add_others(p->a, set, line_ends, sizeof(line_ends) / sizeof(line_ends[0]));
	} else {
		uint32_t c = pattern_decode(p->text, &p->at);
		pattern_set_add(p->a, set, c, c);
	}
	pattern_set_finish(p->a, set, p->fold_case);
	return set_node(p, set);
}

static bool parse_count(struct parser *p, uint32_t *ret)
{
	uint32_t value = 0;
	if (!ascii_is_digit(peek(p, 0)))
		return false;
	while (ascii_is_digit(peek(p, 0)) && value <= MAX_REPEAT)
		value = value * 10 + (uint32_t)(p->text.p[p->at++] - '0');
	*ret = value;
	return value <= MAX_REPEAT;
}

/* *, +, ?, {m}, {m,} or {m,n} behind an atom; false: there is none, or a fault. */
static bool parse_repeat(struct parser *p, uint32_t *min, uint32_t *max)
{
	*min = 0;
	*max = PATTERN_NO_LIMIT;
	if (eat(p, S("?"))) {
		*max = 1;
	} else if (eat(p, S("+"))) {
		*min = 1;
	} else if (eat(p, S("{"))) {
		bool good = parse_count(p, min);
		if (good && !eat(p, S(",")))
			*max = *min;
		else if (good && peek(p, 0) != '}')
			good = parse_count(p, max);
		if (!good || !eat(p, S("}")) || *min > *max) {
			fail(p, "malformed repeat");
			return false;
		}
	} else if (!eat(p, S("*"))) {
		return false;
	}
	if (peek(p, 0) == '+')
		fail(p, "possessive repeat");
	/* Lazy or greedy makes no difference to whether the whole string matches. */
	eat(p, S("?"));
	return !p->why;
}

static struct node *parse_sequence(struct parser *p)
{
	struct node *sequence = new_node(p, NODE_CAT), **end = &sequence->first;
	while (!at_end(p) && peek(p, 0) != '|' && peek(p, 0) != ')') {
		struct node *part = parse_atom(p);
		uint32_t min, max;
		while (part && parse_repeat(p, &min, &max)) {
			struct node *repeat = new_node(p, NODE_REPEAT);
			repeat->first = part;
			repeat->min = min;
			repeat->max = max;
			repeat->longest = max && part->longest ? pattern_times(part->longest, max) : 0;
			part = repeat;
		}
		if (!part || p->why)
			return NULL;
		sequence->longest = pattern_plus(sequence->longest, part->longest);
		*end = part;
		end = &part->next;
	}
	/* A sequence of one is that one: a repeat wants to see the set itself. */
	return sequence->first && !sequence->first->next ? sequence->first : sequence;
}

static struct node *parse_alternatives(struct parser *p)
{
	struct node *first = parse_sequence(p);
	if (!first || peek(p, 0) != '|')
		return first;
	struct node *alternatives = new_node(p, NODE_ALT), **end = &first->next;
	alternatives->first = first;
	alternatives->longest = first->longest;
	while (eat(p, S("|"))) {
		struct node *other = parse_sequence(p);
		if (!other)
			return NULL;
		if (other->longest > alternatives->longest)
			alternatives->longest = other->longest;
		*end = other;
		end = &other->next;
	}
	return alternatives;
}

struct node *pattern_parse(struct arena *a, struct str text, const char **ret_why)
{
	struct parser parser = {.a = a, .text = text};
	struct node *tree = parse_alternatives(&parser);
	if (tree && !at_end(&parser))
		tree = fail(&parser, "parenthesis that closes nothing");
	if (!tree && ret_why)
		*ret_why = parser.why;
	return tree;
}

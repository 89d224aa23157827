#include "filter_tree.h"

#include "base/json.h"

enum { WORDS_MAX = 4096 };

/* --- words */

static bool term_in(struct arena *scratch, const struct filter_term *term, struct str message)
{
	return term->regex ? pattern_match(scratch, term->regex, message) : str_find(message, term->text) >= 0;
}

/* Where a word must be there or must not, those with a question mark count for nothing. */
static bool terms_match(struct arena *scratch, const struct log_filter *f, struct str message)
{
	for (const struct filter_term *term = f->terms; term; term = term->next) {
		if (f->has_must && term->kind == TERM_MAY)
			continue;
		bool in = term_in(scratch, term, message);
		if (term->kind == TERM_MAY ? in : in == (term->kind == TERM_NOT))
			return term->kind == TERM_MAY;
	}
	return f->has_must;
}

/* --- values */

static bool text_matches(struct arena *scratch, const struct filter_value *want, struct str text)
{
	if (want->regex)
		return pattern_match(scratch, want->regex, text);
	if (want->any_before && want->any_after)
		return str_find(text, want->text) >= 0;
	return want->any_before  ? str_ends(text, want->text)
	       : want->any_after ? str_starts(text, want->text)
	                         : str_eq(text, want->text);
}

static bool number_matches(enum cond_op op, double got, double want)
{
	switch (op) {
	case OP_EQ:
		return got == want;
	case OP_NE:
		return got != want;
	case OP_LT:
		return got < want;
	case OP_LE:
		return got <= want;
	case OP_GT:
		return got > want;
	default:
		return got >= want;
	}
}

/* A text that may be a number, against a value that may be one. */
static bool value_matches(struct arena *scratch, const struct filter_cond *cond, struct str text, bool may_be_number)
{
	double got;
	if (cond->value.is_number && may_be_number && str_to_double(text, &got))
		return number_matches(cond->op, got, cond->value.number);
	if (cond->op != OP_EQ && cond->op != OP_NE)
		return false;
	return text_matches(scratch, &cond->value, text) == (cond->op == OP_EQ);
}

/* --- JSON */

static const struct json_value *json_find(const struct json_value *v, const struct filter_cond *cond)
{
	for (uint32_t i = 0; v && i < cond->step_count; i++) {
		const struct filter_step *step = &cond->steps[i];
		if (str_set(step->key)) {
			v = json_get(v, step->key);
			continue;
		}
		if (!json_is(v, JSON_ARRAY) || step->index >= v->count)
			return NULL;
		v = v->first;
		for (uint32_t n = 0; n < step->index; n++)
			v = v->next;
	}
	return v;
}

static bool json_test(struct arena *scratch, const struct filter_cond *cond, const struct json_value *root)
{
	const struct json_value *v = json_find(root, cond);
	switch (cond->op) {
	case OP_IS_TRUE:
		return json_is(v, JSON_TRUE);
	case OP_IS_FALSE:
		return json_is(v, JSON_FALSE);
	case OP_IS_NULL:
		return json_is(v, JSON_NULL);
	case OP_EXISTS:
		return v != NULL;
	case OP_NOT_EXISTS:
		return v == NULL;
	default:
		break;
	}
	/* What is no single value equals nothing and differs from nothing. */
	if (json_is(v, JSON_STRING) || json_is(v, JSON_NUMBER))
		return value_matches(scratch, cond, v->text, v->kind == JSON_NUMBER);
	if (json_is(v, JSON_TRUE) || json_is(v, JSON_FALSE))
		return value_matches(scratch, cond, v->kind == JSON_TRUE ? S("true") : S("false"), false);
	return false;
}

static bool json_matches(struct arena *scratch, const struct filter_cond *cond, const struct json_value *root)
{
	if (cond->kind == COND_TEST)
		return json_test(scratch, cond, root);
	bool left = json_matches(scratch, cond->left, root);
	return left == (cond->kind == COND_AND) ? json_matches(scratch, cond->right, root) : left;
}

/* --- fields */

/* Cuts the next field off: up to a space, or what stands in quotes or brackets. */
static struct str field_cut(struct str *rest)
{
	while (rest->n && ascii_is_space(rest->p[0]))
		*rest = str_from_at(*rest, 1);
	char close = rest->n == 0 ? '\0' : rest->p[0] == '"' ? '"' : rest->p[0] == '[' ? ']' : '\0';
	ptrdiff_t end = close ? str_find_char(str_from_at(*rest, 1), close) : -1;
	struct str field;
	if (end >= 0) {
		field = str_sub(*rest, 1, (size_t)end);
		*rest = str_from_at(*rest, (size_t)end + 2);
		return field;
	}
	size_t n = 0;
	while (n < rest->n && !ascii_is_space(rest->p[n]))
		n++;
	field = str_sub(*rest, 0, n);
	*rest = str_from_at(*rest, n);
	return field;
}

/* The fields of a message, at most WORDS_MAX; false: it has another number of them than the pattern wants. */
static bool fields_cut(struct arena *a, const struct log_filter *f, struct str message, struct str **ret, uint32_t *ret_count)
{
	uint32_t most = f->ellipsis < 0 ? f->field_count : WORDS_MAX, n = 0, cap = f->field_count < 16 ? 16 : f->field_count;
	struct str *fields = arena_array(a, cap, sizeof(*fields));
	for (message = str_trim(message); message.n; n++) {
		if (n == most)
			return false;
		if (n == cap) {
			struct str *more = arena_array(a, cap * 2, sizeof(*more));
			memcpy(more, fields, cap * sizeof(*more));
			fields = more;
			cap *= 2;
		}
		fields[n] = field_cut(&message);
	}
	*ret = fields;
	*ret_count = n;
	return n >= f->field_count;
}

static bool field_matches(struct arena *scratch, const struct filter_cond *cond, struct str field)
{
	if (cond->kind == COND_TEST)
		return value_matches(scratch, cond, field, true);
	bool left = field_matches(scratch, cond->left, field);
	return left == (cond->kind == COND_AND) ? field_matches(scratch, cond->right, field) : left;
}

/* The pattern's i-th field among n of a message: those behind the ellipsis are counted from the end. */
static uint32_t field_at(const struct log_filter *f, uint32_t i, uint32_t n)
{
	return f->ellipsis < 0 || i < (uint32_t)f->ellipsis ? i : n - (f->field_count - i);
}

static bool fields_match(struct arena *scratch, const struct log_filter *f, struct str message, struct str **ret,
                         uint32_t *ret_count)
{
	if (!fields_cut(scratch, f, message, ret, ret_count))
		return false;
	for (uint32_t i = 0; i < f->field_count; i++)
		if (f->fields[i].cond && !field_matches(scratch, f->fields[i].cond, (*ret)[field_at(f, i, *ret_count)]))
			return false;
	return true;
}

struct str_map log_filter_fields(struct arena *a, const struct log_filter *f, struct str message)
{
	struct str_map map = {0};
	struct str *fields;
	uint32_t n;
	if (f->kind != FILTER_FIELDS || !fields_match(a, f, message, &fields, &n))
		return map;
	struct str *names = arena_array(a, n, sizeof(*names));
	for (uint32_t i = 0; i < f->field_count; i++)
		names[field_at(f, i, n)] = f->fields[i].name;
	for (uint32_t i = 0; i < n; i++) {
		struct str_map_entry *e = LIST_ADD(a, &map);
		e->key = str_set(names[i]) ? ARENA_CAT(a, S("$"), names[i]) : arena_printf(a, "$%u", i + 1);
		e->value = fields[i];
	}
	return map;
}

bool log_filter_match(struct arena *scratch, const struct log_filter *f, struct str message)
{
	struct str *fields;
	uint32_t n;
	switch (f->kind) {
	case FILTER_TERMS:
		return terms_match(scratch, f, message);
	case FILTER_JSON: {
		/* Most lines that are no JSON are told by their first character. */
		struct str trimmed = str_trim(message);
		if (trimmed.n == 0 || (trimmed.p[0] != '{' && trimmed.p[0] != '['))
			return false;
		const struct json_value *root = json_parse(scratch, trimmed, NULL);
		return root && json_matches(scratch, f->cond, root);
	}
	case FILTER_FIELDS:
		return fields_match(scratch, f, message, &fields, &n);
	default:
		return true;
	}
}

struct str log_selector_take(struct arena *scratch, const struct log_filter *f, const struct log_selector *s, struct str message)
{
	if (f->kind == FILTER_JSON) {
		const struct json_value *v = json_find(json_parse(scratch, str_trim(message), NULL), &s->at);
		if (json_is(v, JSON_TRUE) || json_is(v, JSON_FALSE))
			return v->kind == JSON_TRUE ? S("true") : S("false");
		return json_is(v, JSON_STRING) || json_is(v, JSON_NUMBER) ? v->text : STR_NONE;
	}
	struct str_map fields = log_filter_fields(scratch, f, message);
	for (uint32_t i = 0; i < fields.n; i++)
		if (str_eq(fields.v[i].key, s->name))
			return fields.v[i].value;
	return STR_NONE;
}

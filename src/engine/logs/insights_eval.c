#include "insights_tree.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"

#include <math.h>

enum { REPLACED_MAX = 4 << 20 };

static struct value number(double x)
{
	return isfinite(x) ? (struct value){.kind = VALUE_NUMBER, .number = x} : (struct value){0};
}

static struct value text(struct str s)
{
	return str_set(s) ? (struct value){.kind = VALUE_TEXT, .text = s} : (struct value){0};
}

/* Beyond what can be spelled there is none. */
static struct value time_value(double ms)
{
	return ms >= 0 && ms < 253402300800000.0 ? (struct value){.kind = VALUE_TIME, .number = ms} : (struct value){0};
}

static struct value truth(bool b)
{
	return (struct value){.kind = VALUE_BOOL, .number = b};
}

/* 2026-01-31 23:55:00.000 */
static struct str spelled_time(struct arena *a, int64_t ms)
{
	struct str s = time_format(a, ms, TIME_ISO8601_MS);
	char *p = arena_dupz(a, str_sub(s, 0, s.n - 1));
	p[10] = ' ';
	return str_from(p);
}

struct str insights_text(struct arena *a, struct value v)
{
	char digits[32];
	switch (v.kind) {
	case VALUE_NUMBER:
		return arena_dup(a, str_of(digits, json_double_to(digits, v.number)));
	case VALUE_BOOL:
		return v.number != 0 ? S("1") : S("0");
	case VALUE_TEXT:
		return v.text;
	case VALUE_TIME:
		return spelled_time(a, (int64_t)v.number);
	default:
		return STR_NONE;
	}
}

bool insights_number(struct value v, double *ret)
{
	if (v.kind == VALUE_TEXT)
		return str_to_double(v.text, ret) && isfinite(*ret);
	*ret = v.number;
	return v.kind != VALUE_NONE;
}

bool insights_true(struct value v)
{
	return v.kind == VALUE_TEXT ? str_is(v.text, "true") : v.kind != VALUE_NONE && v.number != 0;
}

void insights_set(struct arena *a, struct row *r, struct str name, struct value v)
{
	if (r->n == r->cap) {
		uint32_t cap = r->cap ? r->cap * 2 : 8;
		struct named *more = arena_array(a, cap, sizeof(*more));
		if (r->n)
			memcpy(more, r->v, r->n * sizeof(*more));
		r->v = more;
		r->cap = cap;
	}
	r->v[r->n++] = (struct named){name, v};
}

/* --- fields */

static const struct json_value *child(const struct json_value *v, struct str name)
{
	uint64_t at;
	if (!json_is(v, JSON_ARRAY))
		return json_get(v, name);
	if (!str_to_u64(name, &at) || at >= v->count)
		return NULL;
	for (v = v->first; at; at--)
		v = v->next;
	return v;
}

static struct value from_json(struct arena *a, struct row *r, struct str name)
{
	if (!r->parsed && str_starts(str_trim(r->event.message), S("{")))
		r->json = json_parse(a, str_trim(r->event.message), NULL);
	r->parsed = true;
	const struct json_value *v = json_get(r->json, name);
	struct str rest = name;
	if (!v)
		for (v = r->json; v && str_set(rest) && rest.n;)
			v = child(v, str_cut(&rest, '.'));
	double x;
	if (json_is(v, JSON_NUMBER))
		return json_to_double(v->text, &x) ? number(x) : text(v->text);
	if (json_is(v, JSON_TRUE) || json_is(v, JSON_FALSE))
		return truth(v->kind == JSON_TRUE);
	return json_is(v, JSON_STRING) ? text(v->text) : (struct value){0};
}

struct value insights_field_value(struct arena *a, struct row *r, struct str name)
{
	for (uint32_t i = r->n; i-- > 0;)
		if (str_eq(r->v[i].name, name))
			return r->v[i].value;
	if (r->of_stats)
		return (struct value){0};
	const struct insights_event *e = &r->event;
	if (!str_starts(name, S("@")))
		return from_json(a, r, name);
	return str_is(name, "@timestamp")       ? time_value((double)e->time_ms)
	       : str_is(name, "@ingestionTime") ? time_value((double)e->ingested_ms)
	       : str_is(name, "@message")       ? text(e->message)
	       : str_is(name, "@logStream")     ? text(e->stream)
	       : str_is(name, "@log")           ? text(e->log)
	       : str_is(name, "@ptr")           ? text(e->ptr)
	                                        : insights_line_value(e->message, name);
}

/* --- comparisons */

static bool compared(enum compare op, int order)
{
	switch (op) {
	case COMPARE_EQ:
		return order == 0;
	case COMPARE_NE:
		return order != 0;
	case COMPARE_LT:
		return order < 0;
	case COMPARE_LE:
		return order <= 0;
	case COMPARE_GT:
		return order > 0;
	default:
		return order >= 0;
	}
}

/* As numbers if both are, else as texts. What is not there equals nothing. */
static bool compare(struct arena *a, enum compare op, struct value x, struct value y)
{
	double n, m;
	if (x.kind == VALUE_NONE || y.kind == VALUE_NONE)
		return op == COMPARE_NE && x.kind != y.kind;
	if (insights_number(x, &n) && insights_number(y, &m))
		return compared(op, n < m ? -1 : n > m);
	return compared(op, str_cmp(insights_text(a, x), insights_text(a, y)));
}

static bool like(struct arena *a, const struct expr *e, struct value v)
{
	struct str s = insights_text(a, v);
	if (!str_set(s))
		return false;
	return e->regex ? pattern_match(a, e->regex, s) : str_find(s, e->value.text) >= 0;
}

static struct value arithmetic(int sign, struct value x, struct value y)
{
	double n, m;
	if (!insights_number(x, &n) || !insights_number(y, &m))
		return (struct value){0};
	return number(sign == '+' ? n + m : sign == '-' ? n - m : sign == '*' ? n * m : sign == '/' ? n / m : fmod(n, m));
}

/* --- functions */

static struct str cased(struct arena *a, struct str s, bool upper)
{
	char *p = arena_dupz(a, s);
	for (size_t i = 0; i < s.n; i++)
		if (upper ? p[i] >= 'a' && p[i] <= 'z' : p[i] >= 'A' && p[i] <= 'Z')
			p[i] ^= 0x20;
	return str_of(p, s.n);
}

static struct str replaced(struct arena *a, struct str s, struct str what, struct str by)
{
	struct buf CLEAN_BUF b;
	ptrdiff_t at;
	buf_init(&b, REPLACED_MAX);
	while (what.n && (at = str_find(s, what)) >= 0) {
		buf_add_str(&b, str_sub(s, 0, (size_t)at));
		buf_add_str(&b, by);
		s = str_from_at(s, (size_t)at + what.n);
	}
	buf_add_str(&b, s);
	return arena_dup(a, buf_str(&b));
}

static struct str substring(struct arena *a, struct row *r, const struct expr *e, struct str s)
{
	double from, n = (double)s.n;
	if (!insights_number(insights_eval(a, r, e->args[1]), &from) || from < 0 ||
	    (e->n > 2 && (!insights_number(insights_eval(a, r, e->args[2]), &n) || n < 0)))
		return STR_NONE;
	size_t at = from < (double)s.n ? (size_t)from : s.n;
	return str_sub(s, at, n < (double)(s.n - at) ? (size_t)n : s.n - at);
}

static struct value floored(struct value v, int64_t step_ms)
{
	double x;
	return insights_number(v, &x) ? time_value(floor(x / (double)step_ms) * (double)step_ms) : (struct value){0};
}

static struct value of_number(enum scalar call, struct value v)
{
	double x;
	if (!insights_number(v, &x))
		return (struct value){0};
	return number(call == CALL_ABS ? fabs(x) : call == CALL_CEIL ? ceil(x) : call == CALL_FLOOR ? floor(x) : sqrt(x));
}

static struct value joined(struct arena *a, struct row *r, const struct expr *e)
{
	struct str made = S("");
	for (uint32_t i = 0; i < e->n; i++) {
		struct str s = insights_text(a, insights_eval(a, r, e->args[i]));
		if (str_set(s))
			made = ARENA_CAT(a, made, s);
	}
	return text(made);
}

static struct value call(struct arena *a, struct row *r, const struct expr *e)
{
	struct value v = e->n ? insights_eval(a, r, e->args[0]) : (struct value){0};
	struct str s = insights_text(a, v);
	bool there = str_set(s);
	switch ((enum scalar)e->op) {
	case CALL_STRLEN:
		return there ? number((double)s.n) : (struct value){0};
	case CALL_UPPER:
	case CALL_LOWER:
		return there ? text(cased(a, s, e->op == CALL_UPPER)) : (struct value){0};
	case CALL_TRIM:
		return there ? text(str_trim(s)) : (struct value){0};
	case CALL_CONTAINS: {
		struct str what = insights_text(a, insights_eval(a, r, e->args[1]));
		return truth(there && str_set(what) && str_find(s, what) >= 0);
	}
	case CALL_SUBSTR:
		return there ? text(substring(a, r, e, s)) : (struct value){0};
	case CALL_REPLACE: {
		struct str what = insights_text(a, insights_eval(a, r, e->args[1])),
		           by = insights_text(a, insights_eval(a, r, e->args[2]));
		return there && str_set(what) && str_set(by) ? text(replaced(a, s, what, by)) : (struct value){0};
	}
	case CALL_CONCAT:
		return joined(a, r, e);
	case CALL_ISEMPTY:
		return truth(!there || !s.n);
	case CALL_ISBLANK:
		return truth(!there || !str_trim(s).n);
	case CALL_ISPRESENT:
		return truth(there);
	case CALL_COALESCE:
		for (uint32_t i = 1; i < e->n && v.kind == VALUE_NONE; i++)
			v = insights_eval(a, r, e->args[i]);
		return v;
	case CALL_BIN:
		return floored(insights_field_value(a, r, S("@timestamp")), e->step_ms);
	case CALL_DATEFLOOR:
		return floored(v, e->step_ms);
	default:
		return of_number((enum scalar)e->op, v);
	}
}

struct value insights_eval(struct arena *a, struct row *r, const struct expr *e)
{
	switch (e->kind) {
	case EXPR_VALUE:
		return e->value;
	case EXPR_FIELD:
		return insights_field_value(a, r, e->field);
	case EXPR_CALL:
		return call(a, r, e);
	case EXPR_NOT:
		return truth(!insights_true(insights_eval(a, r, e->args[0])));
	case EXPR_AND:
		return truth(insights_true(insights_eval(a, r, e->args[0])) && insights_true(insights_eval(a, r, e->args[1])));
	case EXPR_OR:
		return truth(insights_true(insights_eval(a, r, e->args[0])) || insights_true(insights_eval(a, r, e->args[1])));
	case EXPR_COMPARE:
		return truth(compare(a, (enum compare)e->op, insights_eval(a, r, e->args[0]), insights_eval(a, r, e->args[1])));
	case EXPR_LIKE:
		return truth(like(a, e, insights_eval(a, r, e->args[0])));
	case EXPR_ARITHMETIC:
		return arithmetic(e->op, insights_eval(a, r, e->args[0]), insights_eval(a, r, e->args[1]));
	default: {
		struct value v = insights_eval(a, r, e->args[0]);
		bool found = false;
		for (uint32_t i = 1; i < e->n; i++)
			found |= compare(a, COMPARE_EQ, v, insights_eval(a, r, e->args[i]));
		return truth(found);
	}
	}
}

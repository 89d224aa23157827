/* Operators. Two series meet where both have a point; a series and an array, and an array and a scalar, one by one. */
#include "aws/cloudwatch/math.h"

#include <math.h>

bool math_fail(struct math *m, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (!str_set(m->error))
		m->error = arena_vprintf(m->arena, fmt, ap);
	va_end(ap);
	return false;
}

struct math_value math_scalar(double x)
{
	return (struct math_value){.kind = MATH_SCALAR, .scalar = x};
}

static bool calculate(const char *op, double x, double y, double *ret)
{
	switch (op[0]) {
	case '+':
		*ret = x + y;
		break;
	case '-':
		*ret = x - y;
		break;
	case '*':
		*ret = x * y;
		break;
	case '/':
		*ret = x / y;
		break;
	case '^':
		*ret = pow(x, y);
		break;
	case '|':
		*ret = x != 0 || y != 0;
		break;
	case '&':
		*ret = x != 0 && y != 0;
		break;
	case '=':
		*ret = x == y;
		break;
	case '!':
		*ret = x != y;
		break;
	case '<':
		*ret = op[1] ? x <= y : x < y;
		break;
	default:
		*ret = op[1] ? x >= y : x > y;
		break;
	}
	return isfinite(*ret); /* what is divided by zero is no point */
}

static struct math_series with_scalar(struct math *m, const char *op, const struct math_series *s, double x, bool scalar_first)
{
	struct math_series made = {.label = s->label, .period_s = s->period_s, .points.set = true};
	for (uint32_t i = 0; i < s->points.n; i++) {
		double v = s->points.v[i].value, y;
		if (scalar_first ? calculate(op, x, v, &y) : calculate(op, v, x, &y))
			*LIST_ADD(m->arena, &made.points) = (struct math_point){s->points.v[i].time_ms, y};
	}
	return made;
}

static struct math_series with_series(struct math *m, const char *op, const struct math_series *x, const struct math_series *y)
{
	struct math_series made = {
	        .label = x->label, .period_s = x->period_s > y->period_s ? x->period_s : y->period_s, .points.set = true};
	uint32_t i = 0, k = 0;
	while (i < x->points.n && k < y->points.n) {
		int64_t a = x->points.v[i].time_ms, b = y->points.v[k].time_ms;
		double v;
		if (a == b && calculate(op, x->points.v[i].value, y->points.v[k].value, &v))
			*LIST_ADD(m->arena, &made.points) = (struct math_point){a, v};
		i += a <= b;
		k += b <= a;
	}
	return made;
}

static bool binary(struct math *m, const char *op, const struct math_value *x, const struct math_value *y, struct math_value *ret)
{
	if (x->kind > MATH_ARRAY || y->kind > MATH_ARRAY)
		return math_fail(m, "An operator cannot be used with a text.");
	if (x->kind == MATH_SCALAR && y->kind == MATH_SCALAR) {
		double v;
		if (!calculate(op, x->scalar, y->scalar, &v))
			return math_fail(m, "The result is not a number.");
		*ret = math_scalar(v);
		return true;
	}
	bool arrays = x->kind == MATH_ARRAY && y->kind == MATH_ARRAY;
	if (arrays && x->all.n != y->all.n)
		return math_fail(m, "Arrays of different lengths cannot be combined.");
	const struct math_value *wide = x->kind == MATH_ARRAY || y->kind == MATH_SCALAR ? x
	                                : y->kind == MATH_ARRAY                         ? y
	                                : x->kind == MATH_SCALAR                        ? y
	                                                                                : x;
	struct math_value made = {.kind = wide->kind, .all.set = true};
	for (uint32_t i = 0; i < wide->all.n; i++) {
		struct math_series one;
		if (x->kind == MATH_SCALAR || y->kind == MATH_SCALAR)
			one = with_scalar(m, op, &wide->all.v[i], x->kind == MATH_SCALAR ? x->scalar : y->scalar,
			                  x->kind == MATH_SCALAR);
		else
			one = with_series(m, op, &x->all.v[x->kind == MATH_ARRAY ? i : 0],
			                  &y->all.v[y->kind == MATH_ARRAY ? i : 0]);
		one.label = wide->all.v[i].label;
		*LIST_ADD(m->arena, &made.all) = one;
	}
	*ret = made;
	return true;
}

static bool list(struct math *m, const struct math_node *n, struct math_value *ret)
{
	struct math_value made = {.kind = MATH_ARRAY, .all.set = true};
	for (const struct math_node *x = n->first; x; x = x->next) {
		struct math_value v;
		if (!math_eval(m, x, &v))
			return false;
		if (v.kind != MATH_SERIES && v.kind != MATH_ARRAY)
			return math_fail(m, "An array holds time series.");
		for (uint32_t i = 0; i < v.all.n; i++) {
			if (made.all.n == MATH_SERIES_MAX)
				return math_fail(m, "There are more than %d time series.", MATH_SERIES_MAX);
			*LIST_ADD(m->arena, &made.all) = v.all.v[i];
		}
	}
	*ret = made;
	return true;
}

static bool name(struct math *m, const struct math_node *n, struct math_value *ret)
{
	static const char *const words[] = {"ASC", "DESC", "REPEAT", "LINEAR", "AVG",  "SUM",
	                                    "MIN", "MAX",  "STDDEV", "TRUE",   "FALSE"};
	for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (str_is(n->text, words[i])) {
			*ret = (struct math_value){.kind = MATH_WORD, .text = n->text};
			if (i >= 9)
				*ret = math_scalar(i == 9);
			return true;
		}
	return m->named(m, n->text, ret);
}

bool math_eval(struct math *m, const struct math_node *n, struct math_value *ret)
{
	struct math_value x, y;
	bool good = false;
	if (++m->depth > MATH_DEPTH_MAX * 16)
		return math_fail(m, "The expressions are nested too deeply.");
	switch (n->op) {
	case MATH_NUMBER:
		*ret = math_scalar(n->number);
		good = true;
		break;
	case MATH_STRING:
		*ret = (struct math_value){.kind = MATH_TEXT, .text = n->text};
		good = true;
		break;
	case MATH_NAME:
		good = name(m, n, ret);
		break;
	case MATH_CALL:
		good = math_call(m, n, ret);
		break;
	case MATH_LIST:
		good = list(m, n, ret);
		break;
	case MATH_NEGATE:
		x = math_scalar(0);
		good = math_eval(m, n->first, &y) && binary(m, "-", &x, &y, ret);
		break;
	case MATH_BINARY:
		good = math_eval(m, n->first, &x) && math_eval(m, n->first->next, &y) && binary(m, n->what, &x, &y, ret);
		break;
	}
	m->depth--;
	return good;
}

/* Input: an expression of metric math. It is refused with words, or evaluated over a series to an end. */
#include "aws/cloudwatch/math.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool named(struct math *m, struct str name, struct math_value *ret)
{
	(void)name;
	struct math_series s = {.label = S("m"), .period_s = 60, .points.set = true};
	for (int i = 0; i < 3; i++)
		*LIST_ADD(m->arena, &s.points) = (struct math_point){i * 60000, i};
	*ret = (struct math_value){.kind = MATH_SERIES, .all.set = true};
	*LIST_ADD(m->arena, &ret->all) = s;
	return true;
}

static bool metrics(struct math *m, struct str like, struct math_all *ret)
{
	struct math_value v;
	named(m, like, &v);
	*LIST_ADD(m->arena, ret) = v.all.v[0];
	return true;
}

static bool search(struct math *m, struct str query, struct str statistic, int64_t period_s, struct math_all *ret)
{
	(void)statistic;
	return period_s > 0 && metrics(m, query, ret);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a CLEAN_ARENA;
	struct str why = STR_NONE;
	arena_init(&a, 0);
	struct math m = {.arena = &a, .to_ms = 600000, .period_s = 60, .named = named, .metrics = metrics, .search = search};
	struct math_value v;
	struct math_node *n = math_parse(&a, str_of(data, size < 2048 ? size : 2048), &why);
	if (!n && !str_set(why))
		__builtin_trap();
	if (!n)
		return 0;
	math_names(&a, n);
	if (!math_eval(&m, n, &v))
		return 0;
	for (uint32_t i = 0; v.kind != MATH_SCALAR && i < v.all.n; i++)
		for (uint32_t k = 1; k < v.all.v[i].points.n; k++)
			if (v.all.v[i].points.v[k].time_ms <= v.all.v[i].points.v[k - 1].time_ms)
				__builtin_trap();
	return 0;
}

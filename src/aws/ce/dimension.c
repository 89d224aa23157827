/* GetDimensionValues: which values of a dimension a period has. */
#include "aws/ce/cost.h"

#include <stdlib.h>

enum { VALUES_MAX = 1000 };

static int by_text(const void *x, const void *y)
{
	return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

static bool has(const struct str_list *values, struct str value)
{
	for (uint32_t i = 0; i < values->n; i++)
		if (str_eq(values->v[i], value))
			return true;
	return false;
}

int ce_get_dimension_values(struct call *c, const struct ce_get_dimension_values_request *in,
                            struct ce_get_dimension_values_response *out)
{
	static const struct price some = {.usage = "", .service = "", .unit = ""};
	const struct cost_line any = {.price = &some};
	int64_t from, to, skip = 0, limit = in->max_results.set ? in->max_results.v : VALUES_MAX;
	struct str value;
	struct str_list values = {0};
	if (cost_view(c, in->billing_view_arn) != CALL_OK || cost_period(c, in->time_period, &from, &to) != CALL_OK ||
	    cost_filter_check(c, in->filter, false) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->context) && !str_is(in->context, "COST_AND_USAGE"))
		return cost_invalid(c, "There are no data of the context %.*s", STR_ARG(in->context));
	if (in->sort_by.n)
		return cost_invalid(c, "SortBy is not supported: values come in order of their names");
	if (!cost_dimension(c->arena, &any, in->dimension, &value) || str_is(in->dimension, "RESOURCE_ID"))
		return cost_invalid(c, "The dimension %.*s is not supported", STR_ARG(in->dimension));
	if (str_set(in->next_page_token) && (!str_to_i64(in->next_page_token, &skip) || skip < 0))
		return call_fail(c, "InvalidNextTokenException", 400, "The pagination token is invalid. Try again without one.");
	struct cost_lines lines = cost_read(c, from, to, c->now_ms);
	for (uint32_t i = 0; i < lines.n; i++)
		if (cost_filter_matches(c->arena, in->filter, &lines.v[i]) &&
		    cost_dimension(c->arena, &lines.v[i], in->dimension, &value) &&
		    (!str_set(in->search_string) || str_find(value, in->search_string) >= 0) && !has(&values, value))
			*LIST_ADD(c->arena, &values) = value;
	if (values.n)
		qsort(values.v, values.n, sizeof(*values.v), by_text);
	out->dimension_values.set = true;
	for (int64_t i = skip; i < values.n && i - skip < limit; i++) {
		struct ce_dimension_values_with_attributes *v = LIST_ADD(c->arena, &out->dimension_values);
		v->value = values.v[i];
		v->attributes.set = true;
	}
	out->return_size = OPT_INT(out->dimension_values.n);
	out->total_size = OPT_INT(values.n);
	if (skip + out->dimension_values.n < values.n)
		out->next_page_token = arena_printf(c->arena, "%lld", (long long)(skip + out->dimension_values.n));
	return CALL_OK;
}

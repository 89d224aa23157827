/* GetDimensionValues and GetTags: which values of a dimension or a tag a period has. */
#include "aws/ce/cost.h"

#include <stdlib.h>

enum { PAGE_MAX = 1000 };

/* --- metrics */

enum cost_metric cost_metric_find(struct str name)
{
	static const struct {
		const char *name;
		enum cost_metric metric;
	} metrics[] = {{"AmortizedCost", COST_AMORTIZED},
	               {"AMORTIZED_COST", COST_AMORTIZED},
	               {"BlendedCost", COST_UNBLENDED},
	               {"BLENDED_COST", COST_UNBLENDED},
	               {"NetAmortizedCost", COST_AMORTIZED},
	               {"NET_AMORTIZED_COST", COST_AMORTIZED},
	               {"NetUnblendedCost", COST_UNBLENDED},
	               {"NET_UNBLENDED_COST", COST_UNBLENDED},
	               {"UnblendedCost", COST_UNBLENDED},
	               {"UNBLENDED_COST", COST_UNBLENDED},
	               {"UsageQuantity", COST_QUANTITY},
	               {"USAGE_QUANTITY", COST_QUANTITY},
	               {"NormalizedUsageAmount", COST_NORMALIZED},
	               {"NORMALIZED_USAGE_AMOUNT", COST_NORMALIZED}};
	for (size_t i = 0; i < sizeof(metrics) / sizeof(*metrics); i++)
		if (str_is(name, metrics[i].name))
			return metrics[i].metric;
	return COST_METRICS;
}

__int128 cost_metric_e10(const struct cost_line *line, enum cost_metric metric)
{
	if (metric == COST_UNBLENDED)
		return line->usd_e10;
	if (metric == COST_AMORTIZED)
		return line->amortized_e10;
	if (metric == COST_QUANTITY)
		return line->quantity_e10;
	struct str type = cost_instance_type(line);
	return str_set(type) ? line->quantity_e10 * cost_size_e2(type) / 100 : 0;
}

/* --- values */

void cost_value_add(struct arena *a, struct cost_values *values, struct str text, __int128 sort_e10)
{
	for (uint32_t i = 0; i < values->n; i++)
		if (str_eq(values->v[i].text, text)) {
			values->v[i].sort_e10 += sort_e10;
			return;
		}
	*LIST_ADD(a, values) = (struct cost_value){text, sort_e10};
}

int cost_sort_check(struct call *c, const struct ce_sort_definitions *by, enum cost_metric *ret, bool *ret_descending)
{
	*ret = COST_METRICS;
	*ret_descending = false;
	if (!by->n)
		return CALL_OK;
	if (by->n > 1)
		return cost_invalid(c, "SortBy takes one sort definition");
	*ret = cost_metric_find(by->v[0].key);
	if (*ret == COST_METRICS)
		return cost_invalid(c, "The sort key %.*s is not supported", STR_ARG(by->v[0].key));
	*ret_descending = str_is(by->v[0].sort_order, "DESCENDING");
	return CALL_OK;
}

static int by_text(const void *x, const void *y)
{
	return str_cmp(((const struct cost_value *)x)->text, ((const struct cost_value *)y)->text);
}

static int by_sum(const void *x, const void *y)
{
	const struct cost_value *a = x, *b = y;
	return a->sort_e10 != b->sort_e10 ? (a->sort_e10 < b->sort_e10 ? -1 : 1) : by_text(x, y);
}

static int by_sum_down(const void *x, const void *y)
{
	const struct cost_value *a = x, *b = y;
	return a->sort_e10 != b->sort_e10 ? (a->sort_e10 > b->sort_e10 ? -1 : 1) : by_text(x, y);
}

void cost_values_sort(struct cost_values *values, enum cost_metric by, bool descending)
{
	if (values->n)
		qsort(values->v, values->n, sizeof(*values->v), by == COST_METRICS ? by_text : descending ? by_sum_down : by_sum);
}

int cost_page(struct call *c, struct str token, const struct opt_int *limit, uint32_t n, uint32_t *ret_from, uint32_t *ret_to,
              struct str *ret_token)
{
	int64_t from = 0, most = limit->set && limit->v < PAGE_MAX ? limit->v : PAGE_MAX;
	if (str_set(token) && (!str_to_i64(token, &from) || from < 0 || from > n))
		return call_fail(c, "InvalidNextTokenException", 400, "The pagination token is invalid. Try again without one.");
	*ret_from = (uint32_t)from;
	*ret_to = n - from > most ? (uint32_t)(from + most) : n;
	*ret_token = *ret_to < n ? arena_printf(c->arena, "%u", *ret_to) : STR_NONE;
	return CALL_OK;
}

int ce_get_dimension_values(struct call *c, const struct ce_get_dimension_values_request *in,
                            struct ce_get_dimension_values_response *out)
{
	struct cost_period p;
	enum cost_metric sort;
	bool descending;
	struct str value;
	struct cost_values values = {0};
	if (cost_view(c, in->billing_view_arn) != CALL_OK || cost_period(c, in->time_period, STR_NONE, &p) != CALL_OK ||
	    cost_filter_check(c, in->filter, false) != CALL_OK || cost_sort_check(c, &in->sort_by, &sort, &descending) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->context) && !str_is(in->context, "COST_AND_USAGE"))
		return cost_invalid(c, "There are no data of the context %.*s", STR_ARG(in->context));
	if (!cost_dimension_known(in->dimension, false))
		return cost_invalid(c, "The dimension %.*s is not supported", STR_ARG(in->dimension));
	const struct cost_scope scope = cost_scope(c);
	struct cost_lines lines = cost_read(&scope, cost_filter_has_tags(in->filter) ? METER_TAGGED : METER_PLAIN, &p);
	for (uint32_t i = 0; i < lines.n; i++)
		if (cost_filter_matches(c->arena, in->filter, &lines.v[i]) &&
		    cost_dimension(c->arena, &lines.v[i], in->dimension, &value) &&
		    (!str_set(in->search_string) || str_find(value, in->search_string) >= 0))
			cost_value_add(c->arena, &values, value, sort == COST_METRICS ? 0 : cost_metric_e10(&lines.v[i], sort));
	cost_values_sort(&values, sort, descending);
	uint32_t from, to;
	if (cost_page(c, in->next_page_token, &in->max_results, values.n, &from, &to, &out->next_page_token) != CALL_OK)
		return CALL_FAIL;
	out->dimension_values.set = true;
	for (uint32_t i = from; i < to; i++) {
		struct ce_dimension_values_with_attributes *v = LIST_ADD(c->arena, &out->dimension_values);
		v->value = values.v[i].text;
		v->attributes.set = true;
	}
	out->return_size = OPT_INT(to - from);
	out->total_size = OPT_INT(values.n);
	return CALL_OK;
}

/* --- tags */

/* The values that a line has: of one key, or the keys themselves. */
static void take_tags(struct call *c, const struct ce_get_tags_request *in, const struct cost_line *line, __int128 sort_e10,
                      const struct meter_keys *keys, struct cost_values *values)
{
	for (uint32_t i = 0; i < keys->n; i++) {
		struct str key = keys->v[i].key, value = meter_tag(c->arena, line->tags, key);
		bool asked = str_set(in->tag_key);
		if ((asked && !str_eq(key, in->tag_key)) || (!asked && !str_set(value)))
			continue;
		struct str text = !asked ? key : str_set(value) ? value : S("");
		if (!str_set(in->search_string) || str_find(text, in->search_string) >= 0)
			cost_value_add(c->arena, values, text, sort_e10);
	}
}

int ce_get_tags(struct call *c, const struct ce_get_tags_request *in, struct ce_get_tags_response *out)
{
	struct cost_period p;
	enum cost_metric sort;
	bool descending;
	struct cost_values values = {0};
	if (cost_view(c, in->billing_view_arn) != CALL_OK || cost_period(c, in->time_period, STR_NONE, &p) != CALL_OK ||
	    cost_filter_check(c, in->filter, false) != CALL_OK || cost_sort_check(c, &in->sort_by, &sort, &descending) != CALL_OK)
		return CALL_FAIL;
	struct meter_keys keys = meter_list_keys(call_txn(c), c->arena, c->account);
	const struct cost_scope scope = cost_scope(c);
	struct cost_lines lines = cost_read(&scope, METER_TAGGED, &p);
	for (uint32_t i = 0; i < lines.n; i++)
		if (cost_filter_matches(c->arena, in->filter, &lines.v[i]))
			take_tags(c, in, &lines.v[i], sort == COST_METRICS ? 0 : cost_metric_e10(&lines.v[i], sort), &keys,
			          &values);
	cost_values_sort(&values, sort, descending);
	uint32_t from, to;
	if (cost_page(c, in->next_page_token, &in->max_results, values.n, &from, &to, &out->next_page_token) != CALL_OK)
		return CALL_FAIL;
	out->tags.set = true;
	for (uint32_t i = from; i < to; i++)
		*LIST_ADD(c->arena, &out->tags) = values.v[i].text;
	out->return_size = OPT_INT(to - from);
	out->total_size = OPT_INT(values.n);
	return CALL_OK;
}

/* PutMetricFilter, DescribeMetricFilters, DeleteMetricFilter. What filters do with events is measure.c's. */
#include "measure.h"

#include "aws/cloudwatch/cloudwatch.h"
#include "engine/logs/filter.h"
#include "engine/metrics/metrics.h"

enum { PAGE = 50, DIMENSIONS_MAX = 3 };

static struct str all_under(struct call *c)
{
	return KEY_UNDER(c->arena, S("logs"), S("metric_filter"), c->account, c->region);
}

static struct str group_part(struct call *c, uint64_t group)
{
	return arena_printf(c->arena, "%016lx", group);
}

struct str metric_filters_under(struct call *c, uint64_t group)
{
	return KEY_UNDER(c->arena, S("logs"), S("metric_filter"), c->account, c->region, group_part(c, group));
}

static struct str filter_key(struct call *c, uint64_t group, struct str name)
{
	return KEY(c->arena, S("logs"), S("metric_filter"), c->account, c->region, group_part(c, group),
	           logs_name_part(c->arena, name));
}

uint32_t metric_filters_count(struct call *c, uint64_t group)
{
	struct str under = metric_filters_under(c, group), key;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	uint32_t n = 0;
	while (store_next(i, &key, &v))
		n++;
	return n;
}

void metric_filters_drop(struct call *c, uint64_t group)
{
	struct str under = metric_filters_under(c, group), key;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	while (store_next(i, &key, &v))
		store_delete(call_txn(c), arena_dup(c->arena, key));
}

/* --- PutMetricFilter */

static int bad_transformation(struct call *c, const char *why)
{
	return logs_invalid(c, "Invalid metric transformation: %s", why);
}

static int check_selector(struct call *c, const struct log_filter *filter, struct str text, const char *what)
{
	if (!log_selector_compile(c->arena, filter, text))
		return logs_invalid(c, "Invalid metric transformation: the %s '%.*s' is no field of the filter pattern", what,
		                    STR_ARG(text));
	return CALL_OK;
}

static int check_transformation(struct call *c, const struct log_filter *filter, const struct logs_metric_transformation *t)
{
	double x;
	if (str_starts(t->metric_namespace, S("AWS/")))
		return bad_transformation(c, "metricNamespace must not begin with AWS/");
	if (str_starts(t->metric_value, S("$")) ? check_selector(c, filter, t->metric_value, "metric value") != CALL_OK
	                                        : !str_to_double(t->metric_value, &x) || !cloudwatch_number(x))
		return str_set(c->error.code) ? CALL_FAIL : bad_transformation(c, "metricValue must be a number or a field");
	if (str_set(t->unit) && !str_set(cloudwatch_unit(t->unit)))
		return bad_transformation(c, "unit is not known");
	if (t->dimensions.n > DIMENSIONS_MAX)
		return bad_transformation(c, "at most 3 dimensions can be specified");
	if (t->dimensions.n && t->default_value.set)
		return bad_transformation(c, "dimensions and default value are mutually exclusive properties.");
	for (uint32_t i = 0; i < t->dimensions.n; i++)
		if (check_selector(c, filter, t->dimensions.v[i].value, "dimension") != CALL_OK)
			return CALL_FAIL;
	return CALL_OK;
}

int logs_put_metric_filter(struct call *c, const struct logs_put_metric_filter_request *in, struct model_none *out)
{
	(void)out;
	struct logs_group group;
	struct store_value v;
	struct str error;
	if (logs_get_group(c, in->log_group_name, &group) != CALL_OK)
		return CALL_FAIL;
	if (in->apply_on_transformed_logs.v || str_set(in->field_selection_criteria) || in->emit_system_field_dimensions.n)
		return logs_invalid(c, "Metric filters on transformed logs and by system fields are not supported.");
	const struct log_filter *filter = log_filter_compile(c->arena, in->filter_pattern, &error);
	if (!filter)
		return logs_invalid(c, "%.*s", STR_ARG(error));
	if (check_transformation(c, filter, &in->metric_transformations.v[0]) != CALL_OK)
		return CALL_FAIL;
	struct str key = filter_key(c, group.id, in->filter_name);
	if (!store_get(call_txn(c), key, &v) && metric_filters_count(c, group.id) >= METRIC_FILTERS_MAX)
		return call_fail(c, "LimitExceededException", 0, "Resource limit exceeded.");
	struct logs_metric_filter filter_record = {.filter_name = in->filter_name,
	                                           .filter_pattern = in->filter_pattern,
	                                           .metric_transformations = in->metric_transformations,
	                                           .creation_time = OPT_INT(c->now_ms),
	                                           .log_group_name = in->log_group_name};
	struct state_logs_metric_filter_record record = {.filter = &filter_record};
	record_put(call_txn(c), c->arena, key, LOGS_ROW("MetricFilter"), &record);
	return CALL_OK;
}

int logs_delete_metric_filter(struct call *c, const struct logs_delete_metric_filter_request *in, struct model_none *out)
{
	(void)out;
	struct logs_group group;
	struct store_value v;
	if (logs_get_group(c, in->log_group_name, &group) != CALL_OK)
		return CALL_FAIL;
	struct str key = filter_key(c, group.id, in->filter_name);
	if (!store_get(call_txn(c), key, &v))
		return call_fail(c, "ResourceNotFoundException", 0, "The specified metric filter does not exist.");
	store_delete(call_txn(c), key);
	return CALL_OK;
}

/* --- DescribeMetricFilters */

static bool wanted(const struct logs_describe_metric_filters_request *in, const struct logs_metric_filter *f)
{
	const struct logs_metric_transformation *t = &f->metric_transformations.v[0];
	return (!str_set(in->filter_name_prefix) || str_starts(f->filter_name, in->filter_name_prefix)) &&
	       (!str_set(in->metric_name) ||
	        (str_eq(t->metric_name, in->metric_name) && str_eq(t->metric_namespace, in->metric_namespace)));
}

int logs_describe_metric_filters(struct call *c, const struct logs_describe_metric_filters_request *in,
                                 struct logs_describe_metric_filters_response *out)
{
	uint32_t limit = in->limit.set ? (uint32_t)in->limit.v : PAGE;
	struct str under = all_under(c), after, last = STR_NONE, key;
	struct logs_group group;
	out->metric_filters.set = true;
	if (str_set(in->metric_name) != str_set(in->metric_namespace))
		return logs_invalid(c, "metricName and metricNamespace must be specified together.");
	if (str_set(in->filter_name_prefix) && !str_set(in->log_group_name))
		return logs_invalid(c, "filterNamePrefix can only be specified together with logGroupName.");
	if (str_set(in->log_group_name)) {
		if (logs_get_group(c, in->log_group_name, &group) != CALL_OK)
			return CALL_FAIL;
		under = metric_filters_under(c, group.id);
	}
	if (!logs_page_from(c, in->next_token, under, &after))
		return CALL_FAIL;
	struct store_iter *i = store_scan(call_txn(c), str_set(after) ? ARENA_CAT(c->arena, after, str_of("", 1)) : under,
	                                  store_prefix_end(c->arena, under), false);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct state_logs_metric_filter_record record;
		if (!record_read(c->arena, v.value, LOGS_ROW("MetricFilter"), &record) || !wanted(in, record.filter))
			continue;
		if (out->metric_filters.n == limit) {
			out->next_token = logs_page_token(c, last);
			break;
		}
		last = arena_dup(c->arena, key);
		*LIST_ADD(c->arena, &out->metric_filters) = *record.filter;
	}
	return CALL_OK;
}

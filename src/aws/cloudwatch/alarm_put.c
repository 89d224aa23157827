/* Making and changing alarms. */
#include "aws/cloudwatch/alarm_op.h"

#include "aws/cloudwatch/query.h"
#include "aws/cloudwatch/statistic.h"

#include <math.h>

enum { DAY_S = 86400, WEEK_S = 7 * DAY_S, TAGS_MAX = 50 };

int alarm_invalid(struct call *c, const char *what, struct str value)
{
	return call_fail(c, "InvalidParameterValueException", 0, "Invalid value for parameter %s: %.*s", what, STR_ARG(value));
}

static int required(struct call *c, const char *name)
{
	return call_fail(c, "MissingRequiredParameterException", 0, "The parameter %s is required.", name);
}

static bool one_of(struct str s, const char *const *words)
{
	for (; *words; words++)
		if (str_is(s, *words))
			return true;
	return false;
}

static int check_single(struct call *c, const struct cloudwatch_put_metric_alarm_input *in)
{
	struct statistic s;
	if (!str_set(in->namespace))
		return required(c, "Namespace");
	if (!in->period.set)
		return required(c, "Period");
	if (str_set(in->statistic) == str_set(in->extended_statistic))
		return str_set(in->statistic)
		               ? call_fail(
		                         c, "InvalidParameterCombinationException", 0,
		                         "The parameters Statistic and ExtendedStatistic are mutually exclusive and you have specified both.")
		               : call_fail(c, "MissingRequiredParameterException", 0,
		                           "At least one of the parameters must be specified: Statistic, ExtendedStatistic.");
	if (str_set(in->extended_statistic) && (!statistic_parse(in->extended_statistic, &s) || !statistic_spread(&s)))
		return alarm_invalid(c, "ExtendedStatistic", in->extended_statistic);
	int64_t p = in->period.v;
	if (p != 10 && p != 20 && p != 30 && p % 60)
		return call_fail(c, "InvalidParameterValueException", 0,
		                 "The parameter Period must be 10, 20, 30 or a multiple of 60.");
	return CALL_OK;
}

static int check_rule(struct call *c, const struct cloudwatch_put_metric_alarm_input *in, int64_t period)
{
	static const char *const missing[] = {"breaching", "notBreaching", "ignore", "missing", NULL};
	static const char *const few[] = {"evaluate", "ignore", NULL};
	if (!in->evaluation_periods.set)
		return required(c, "EvaluationPeriods");
	if (!in->threshold.set)
		return required(c, "Threshold");
	if (!isfinite(in->threshold.v))
		return alarm_invalid(c, "Threshold", S("NaN"));
	if (in->datapoints_to_alarm.set && in->datapoints_to_alarm.v > in->evaluation_periods.v)
		return call_fail(c, "InvalidParameterValueException", 0,
		                 "The parameter DatapointsToAlarm must be less than or equal to the parameter EvaluationPeriods.");
	int64_t most = period >= 3600 ? WEEK_S : DAY_S;
	if (in->evaluation_periods.v > most / period)
		return call_fail(c, "InvalidParameterCombinationException", 0,
		                 "Metrics cannot be checked across more than %s (EvaluationPeriods * Period must be <= %lld).",
		                 most == DAY_S ? "a day" : "a week", (long long)most);
	if (in->evaluation_periods.v > ALARM_PERIODS_MAX)
		return alarm_invalid(c, "EvaluationPeriods", arena_printf(c->arena, "%lld", (long long)in->evaluation_periods.v));
	if (str_set(in->treat_missing_data) && !one_of(in->treat_missing_data, missing))
		return alarm_invalid(c, "TreatMissingData", in->treat_missing_data);
	if (str_set(in->evaluate_low_sample_count_percentile) && !one_of(in->evaluate_low_sample_count_percentile, few))
		return alarm_invalid(c, "EvaluateLowSampleCountPercentile", in->evaluate_low_sample_count_percentile);
	return CALL_OK;
}

enum { METRICS_MAX = 20 };

int alarm_check_metrics(struct call *c, const struct cloudwatch_metric_data_queries *metrics, int64_t *ret_period_s)
{
	struct query_set q = {.cloud = c->cloud,
	                      .arena = c->arena,
	                      .account = c->account,
	                      .region = c->region,
	                      .all = metrics,
	                      .from_ms = c->now_ms - 3600000,
	                      .to_ms = c->now_ms};
	struct cloudwatch_metric_alarm probe = {.metrics = *metrics};
	struct math_all all;
	struct str why;
	uint32_t returned = 0, which = 0;
	if (metrics->n > METRICS_MAX)
		return call_fail(c, "ValidationError", 400, "An alarm has at most %d metrics and expressions.", METRICS_MAX);
	if (!query_begin(&q, &why))
		return call_fail(c, "ValidationError", 400, "%.*s", STR_ARG(why));
	for (uint32_t i = 0; i < metrics->n; i++) {
		const struct cloudwatch_metric_data_query *x = &metrics->v[i];
		if (!x->return_data.set || x->return_data.v) {
			returned++;
			which = i;
		}
		if (str_set(x->expression) && math_calls(math_parse(c->arena, x->expression, &why), "SEARCH"))
			return call_fail(c, "ValidationError", 400, "SEARCH cannot be used in an alarm.");
	}
	if (returned != 1)
		return call_fail(c, "ValidationError", 400, "Exactly one element of the metrics list should return data.");
	if (!query_run(&q, which, &all, &why))
		return call_fail(c, "ValidationError", 400, "%.*s", STR_ARG(why));
	if (all.n != 1)
		return call_fail(c, "ValidationError", 400, "The expression of an alarm must result in one time series.");
	*ret_period_s = alarm_period_s(&probe);
	return CALL_OK;
}

static int check(struct call *c, const struct cloudwatch_put_metric_alarm_input *in)
{
	static const char *const operators[] = {"GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold",
	                                        "LessThanOrEqualToThreshold", NULL};
	int64_t period = in->period.v;
	if (str_set(in->threshold_metric_id) || (str_set(in->comparison_operator) && !one_of(in->comparison_operator, operators)))
		return call_fail(c, "InvalidParameterValueException", 0, "Anomaly detection is not supported.");
	if (in->evaluation_criteria || in->evaluation_interval.set)
		return call_fail(c, "InvalidParameterValueException", 0, "Alarms on PromQL queries are not supported.");
	if (!str_set(in->comparison_operator))
		return required(c, "ComparisonOperator");
	if (str_set(in->metric_name) == (in->metrics.n > 0))
		return str_set(in->metric_name)
		               ? call_fail(
		                         c, "InvalidParameterCombinationException", 0,
		                         "The parameters MetricName and Metrics are mutually exclusive and you have specified both.")
		               : call_fail(c, "MissingRequiredParameterException", 0,
		                           "At least one of the parameters must be specified: MetricName, Metrics.");
	if (in->metrics.n) {
		if (str_set(in->namespace) || in->period.set || in->dimensions.n || str_set(in->statistic) ||
		    str_set(in->extended_statistic) || str_set(in->unit))
			return call_fail(
			        c, "InvalidParameterCombinationException", 0,
			        "With Metrics, none of Namespace, Dimensions, Period, Unit, Statistic and ExtendedStatistic can be given.");
		if (alarm_check_metrics(c, &in->metrics, &period) != CALL_OK)
			return CALL_FAIL;
	} else if (check_single(c, in) != CALL_OK)
		return CALL_FAIL;
	return check_rule(c, in, period);
}

int alarm_take_tags(struct call *c, const struct cloudwatch_tag_list *tags, struct str_map *ret)
{
	for (uint32_t i = 0; i < tags->n; i++) {
		const struct cloudwatch_tag *t = &tags->v[i];
		uint32_t at = 0;
		while (at < ret->n && !str_eq(ret->v[at].key, t->key))
			at++;
		if (str_starts(t->key, S("aws:")))
			return alarm_invalid(c, "Tags", t->key);
		struct str_map_entry *e = at < ret->n ? &ret->v[at] : LIST_ADD(c->arena, ret);
		*e = (struct str_map_entry){t->key, str_set(t->value) ? t->value : S("")};
	}
	if (ret->n > TAGS_MAX)
		return call_fail(c, "InvalidParameterValueException", 0, "A resource can have at most %d tags.", TAGS_MAX);
	return CALL_OK;
}

/* What a change leaves as it was: the state, and the tags. */
static void keep_state(struct call *c, struct state_cloudwatch_alarm_record *r, const struct state_cloudwatch_alarm_record *old)
{
	struct alarm_face f = alarm_face(r);
	*f.updated = *f.transitioned = OPT_TIME(c->now_ms);
	*f.state = str_from(alarm_state_names[ALARM_INSUFFICIENT]);
	*f.reason = S("Unchecked: Initial alarm creation");
	if (!old)
		return;
	struct state_cloudwatch_alarm_record copy = *old;
	struct alarm_face before = alarm_face(&copy);
	*f.state = *before.state;
	*f.reason = *before.reason;
	*f.reason_data = *before.reason_data;
	*f.updated = *before.updated;
	*f.transitioned = *before.transitioned;
	r->tags = old->tags;
	r->due = old->due;
	r->old_state = old->old_state;
	if (r->composite && str_eq(r->composite->actions_suppressor, old->composite->actions_suppressor)) {
		r->composite->actions_suppressed_by = old->composite->actions_suppressed_by;
		r->composite->actions_suppressed_reason = old->composite->actions_suppressed_reason;
		r->suppressed_until = old->suppressed_until;
	}
}

int alarm_install(struct call *c, struct state_cloudwatch_alarm_record *r, struct str name, const struct cloudwatch_tag_list *tags)
{
	struct alarm_scope s = alarm_scope(c);
	struct state_cloudwatch_alarm_record old;
	bool there = alarm_find(&s, name, &old);
	if (there && !old.metric != !r->metric)
		return call_fail(c, "InvalidParameterValueException", 0, "The alarm %.*s is of another type.", STR_ARG(name));
	keep_state(c, r, there ? &old : NULL);
	if (!there && alarm_take_tags(c, tags, &r->tags) != CALL_OK)
		return CALL_FAIL;
	alarm_save(&s, r);
	alarm_remember(&s, r, c->now_ms, "ConfigurationUpdate",
	               ARENA_CAT(c->arena, S("Alarm \""), name, there ? S("\" updated") : S("\" created")),
	               alarm_configuration(c->arena, there ? "Update" : "Create", r));
	alarm_meter(&s, r, true, c->now_ms);
	return CALL_OK;
}

int cloudwatch_put_metric_alarm(struct call *c, const struct cloudwatch_put_metric_alarm_input *in, struct model_none *out)
{
	(void)out;
	if (check(c, in) != CALL_OK || alarm_check_actions(c, &in->alarm_actions, &in->dimensions, true) != CALL_OK ||
	    alarm_check_actions(c, &in->ok_actions, &in->dimensions, true) != CALL_OK ||
	    alarm_check_actions(c, &in->insufficient_data_actions, &in->dimensions, true) != CALL_OK)
		return CALL_FAIL;
	struct cloudwatch_metric_alarm m = {
	        .alarm_name = in->alarm_name,
	        .alarm_arn = alarm_arn(c->arena, c->region, c->account, in->alarm_name),
	        .alarm_description = in->alarm_description,
	        .alarm_configuration_updated_timestamp = OPT_TIME(c->now_ms),
	        .actions_enabled = OPT_BOOL(!in->actions_enabled.set || in->actions_enabled.v),
	        .ok_actions = in->ok_actions,
	        .alarm_actions = in->alarm_actions,
	        .insufficient_data_actions = in->insufficient_data_actions,
	        .metric_name = in->metric_name,
	        .namespace = in->namespace,
	        .statistic = in->statistic,
	        .extended_statistic = in->extended_statistic,
	        .dimensions = in->dimensions,
	        .period = in->period,
	        .unit = in->unit,
	        .evaluation_periods = in->evaluation_periods,
	        .datapoints_to_alarm = in->datapoints_to_alarm,
	        .threshold = in->threshold,
	        .comparison_operator = in->comparison_operator,
	        .treat_missing_data = str_set(in->treat_missing_data) ? in->treat_missing_data : S("missing"),
	        .evaluate_low_sample_count_percentile = in->evaluate_low_sample_count_percentile,
	        .metrics = in->metrics,
	};
	m.ok_actions.set = m.alarm_actions.set = m.insufficient_data_actions.set = true;
	if (!in->metrics.n)
		m.dimensions.set = true;
	struct state_cloudwatch_alarm_record r = {.metric = &m};
	return alarm_install(c, &r, in->alarm_name, &in->tags);
}

/* --- what is done to alarms by name */

int cloudwatch_delete_alarms(struct call *c, const struct cloudwatch_delete_alarms_input *in, struct model_none *out)
{
	(void)out;
	struct alarm_scope s = alarm_scope(c);
	for (uint32_t i = 0; i < in->alarm_names.n; i++) {
		struct state_cloudwatch_alarm_record r;
		if (!alarm_find(&s, in->alarm_names.v[i], &r))
			continue;
		alarm_remember(&s, &r, c->now_ms, "ConfigurationUpdate",
		               ARENA_CAT(c->arena, S("Alarm \""), in->alarm_names.v[i], S("\" deleted")),
		               alarm_configuration(c->arena, "Delete", &r));
		alarm_meter(&s, &r, false, c->now_ms);
		store_delete(s.txn, alarm_key(&s, in->alarm_names.v[i]));
	}
	return CALL_OK;
}

static int enable(struct call *c, const struct str_list *names, bool on)
{
	struct alarm_scope s = alarm_scope(c);
	for (uint32_t i = 0; i < names->n; i++) {
		struct state_cloudwatch_alarm_record r;
		if (!alarm_find(&s, names->v[i], &r))
			continue;
		struct alarm_face f = alarm_face(&r);
		if (f.enabled->v == on)
			continue;
		*f.enabled = OPT_BOOL(on);
		alarm_save(&s, &r);
		alarm_remember(&s, &r, c->now_ms, "ConfigurationUpdate",
		               ARENA_CAT(c->arena, S("Alarm \""), names->v[i], S("\" updated")),
		               alarm_configuration(c->arena, "Update", &r));
	}
	return CALL_OK;
}

int cloudwatch_enable_alarm_actions(struct call *c, const struct cloudwatch_enable_alarm_actions_input *in, struct model_none *out)
{
	(void)out;
	return enable(c, &in->alarm_names, true);
}

int cloudwatch_disable_alarm_actions(struct call *c, const struct cloudwatch_disable_alarm_actions_input *in,
                                     struct model_none *out)
{
	(void)out;
	return enable(c, &in->alarm_names, false);
}

int cloudwatch_set_alarm_state(struct call *c, const struct cloudwatch_set_alarm_state_input *in, struct model_none *out)
{
	(void)out;
	struct alarm_scope s = alarm_scope(c);
	struct state_cloudwatch_alarm_record r;
	if (str_set(in->state_reason_data) && !json_parse(c->arena, in->state_reason_data, NULL))
		return call_fail(c, "InvalidFormatFault", 0, "Data was not syntactically valid JSON.");
	if (!alarm_find(&s, in->alarm_name, &r))
		return call_fail(c, "ResourceNotFound", 0, "Unknown");
	alarm_transition(&s, &r, alarm_state_of(in->state_value), in->state_reason, in->state_reason_data, c->now_ms);
	return CALL_OK;
}

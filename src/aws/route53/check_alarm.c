/* Health checks of an alarm: they watch what the alarm watches, by a copy of its settings, and not the state that it was set to.
 * The alarm may change or go afterwards; UpdateHealthCheck takes its settings anew where it names one. */
#include "check.h"

#include "aws/cloudwatch/cloudwatch.h"
#include "gen/cloudwatch.h"

enum { PERIOD_MIN_S = 60 };

static struct route53_cloud_watch_alarm_configuration *copy(struct arena *a, const struct cloudwatch_metric_alarm *m)
{
	struct route53_cloud_watch_alarm_configuration *f = arena_new(a, struct route53_cloud_watch_alarm_configuration);
	*f = (struct route53_cloud_watch_alarm_configuration){.evaluation_periods = m->evaluation_periods,
	                                                      .threshold = m->threshold,
	                                                      .comparison_operator = m->comparison_operator,
	                                                      .period = m->period,
	                                                      .metric_name = m->metric_name,
	                                                      .namespace = m->namespace,
	                                                      .statistic = m->statistic,
	                                                      .dimensions = {.set = true}};
	for (uint32_t i = 0; i < m->dimensions.n; i++)
		*LIST_ADD(a, &f->dimensions) =
		        (struct route53_dimension){.name = m->dimensions.v[i].name, .value = m->dimensions.v[i].value};
	return f;
}

int route53_check_alarm(struct call *c, struct route53_health_check_config *f,
                        struct route53_cloud_watch_alarm_configuration **ret_copy)
{
	struct cloudwatch_metric_alarm m;
	bool composite;
	if (f->ip_address.n || f->port.set || f->resource_path.n || f->fully_qualified_domain_name.n || f->search_string.n ||
	    f->request_interval.set || f->failure_threshold.set || f->child_health_checks.n || f->health_threshold.set)
		return route53_invalid(
		        c, "Invalid parameter: a health check of type CLOUDWATCH_METRIC has no endpoint and no children");
	if (!f->alarm_identifier)
		return route53_invalid(
		        c, "Invalid parameter: AlarmIdentifier must be specified for a health check of type CLOUDWATCH_METRIC");
	if (*ret_copy) /* an update of something else, when the alarm may be gone */
		return CALL_OK;
	struct str region = f->alarm_identifier->region, name = f->alarm_identifier->name;
	if (!call_allowed(c, "cloudwatch:DescribeAlarms", S("*")))
		return CALL_FAIL;
	if (!cloudwatch_get_alarm(call_txn(c), c->arena, c->account, region, name, &m, &composite))
		return composite ? route53_invalid(c, "Invalid parameter: the alarm %.*s is a composite one", STR_ARG(name))
		                 : route53_invalid(c, "Invalid parameter: the alarm %.*s does not exist in %.*s", STR_ARG(name),
		                                   STR_ARG(region));
	if (m.metrics.n || !str_set(m.statistic))
		return route53_invalid(c,
		                       "Invalid parameter: the alarm %.*s does not look at one metric by one of the statistics "
		                       "Average, Minimum, Maximum, Sum and SampleCount",
		                       STR_ARG(name));
	if (m.period.v < PERIOD_MIN_S)
		return route53_invalid(c, "Invalid parameter: the alarm %.*s is one of high resolution", STR_ARG(name));
	if (m.datapoints_to_alarm.set && m.datapoints_to_alarm.v != m.evaluation_periods.v)
		return route53_invalid(c, "Invalid parameter: the alarm %.*s goes off by some of its periods only", STR_ARG(name));
	if (!str_set(f->insufficient_data_health_status))
		f->insufficient_data_health_status = S("LastKnownStatus");
	*ret_copy = copy(c->arena, &m);
	return CALL_OK;
}

bool route53_alarm_well(struct cloud *cloud, struct str account, const struct route53_health_check *check, int64_t now_ms, bool was)
{
	struct arena CLEAN_ARENA a = {0};
	const struct route53_health_check_config *f = check->health_check_config;
	const struct route53_cloud_watch_alarm_configuration *from = check->cloud_watch_alarm_configuration;
	struct cloudwatch_metric_alarm m = {.evaluation_periods = from->evaluation_periods,
	                                    .threshold = from->threshold,
	                                    .comparison_operator = from->comparison_operator,
	                                    .period = from->period,
	                                    .metric_name = from->metric_name,
	                                    .namespace = from->namespace,
	                                    .statistic = from->statistic};
	for (uint32_t i = 0; i < from->dimensions.n; i++)
		*LIST_ADD(&a, &m.dimensions) =
		        (struct cloudwatch_dimension){.name = from->dimensions.v[i].name, .value = from->dimensions.v[i].value};
	switch (cloudwatch_standing(cloud, account, f->alarm_identifier->region, &m, now_ms)) {
	case CLOUDWATCH_OK:
		return true;
	case CLOUDWATCH_ALARM:
		return false;
	case CLOUDWATCH_INSUFFICIENT:
		return str_is(f->insufficient_data_health_status, "Healthy") ||
		       (was && str_is(f->insufficient_data_health_status, "LastKnownStatus"));
	case CLOUDWATCH_AS_BEFORE:
		break;
	}
	return was;
}

/* Metrics of AWS/Events, and of AWS/Scheduler, whose deliveries are ours. */
#include "rows.h"

#include "engine/metrics/metrics.h"

void events_measure_rule(const struct cloud *cloud, struct str account, struct str region, struct str bus, struct str rule,
                         const char *metric, const char *unit, double value)
{
	const struct metric_dimension by[] = {{S("RuleName"), rule}, {S("EventBusName"), bus}};
	const struct metric m = {
	        account, region, S("AWS/Events"), str_from(metric), str_from(unit), by, str_is(bus, "default") ? 1 : 2};
	metrics_add(cloud->metrics, &m, value);
}

void events_count(const struct cloud *cloud, struct str account, struct str region, struct str bus, struct str rule,
                  const char *metric, double value)
{
	events_measure_rule(cloud, account, region, bus, rule, metric, "Count", value);
}

void events_measure(const struct cloud *cloud, struct str account, struct str region, const char *metric, const char *unit,
                    double value)
{
	const struct metric m = {account, region, S("AWS/Events"), str_from(metric), str_from(unit), NULL, 0};
	metrics_add(cloud->metrics, &m, value);
}

void events_count_schedule(const struct cloud *cloud, struct str account, struct str region, struct str schedule,
                           const char *metric)
{
	/* arn:aws:scheduler:region:account:schedule/group/name */
	struct str group = str_from_at(schedule, (size_t)(str_find_char(schedule, '/') + 1));
	const struct metric_dimension by[] = {{S("ScheduleGroup"), str_sub(group, 0, (size_t)str_find_char(group, '/'))}};
	const struct metric m = {account, region, S("AWS/Scheduler"), str_from(metric), S("Count"), by, 1};
	metrics_add(cloud->metrics, &m, 1);
}

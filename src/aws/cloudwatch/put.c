/* PutMetricData. A batch is checked as a whole before anything of it counts; the answer goes out when it is on the disk. */
#include "aws/cloudwatch/cloudwatch.h"
#include "aws/cloudwatch/metric.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/meter.h"
#include "engine/metrics/metrics.h"

#include <math.h>
#include <stdlib.h>

#define HOUR_MS INT64_C(3600000)
enum { METRICS_MAX = 1000, VALUES_MAX = 150, MINUTE_S = 60 };
#define OLDEST_MS (INT64_C(14) * 86400 * 1000)
#define NEWEST_MS (INT64_C(2) * 3600 * 1000)
#define GREATEST 2.3485425827738332e108 /* 2^360 */

bool cloudwatch_number(double x)
{
	return isfinite(x) && fabs(x) <= GREATEST;
}

/* Names are of ASCII with something to see in them. */
static bool text_fine(struct str s)
{
	bool seen = false;
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] < 0x20 || (unsigned char)s.p[i] > 0x7e)
			return false;
		seen |= s.p[i] != ' ';
	}
	return seen;
}

static int bad_value(struct call *c, uint32_t at, const char *what, double x)
{
	return call_fail(c, "InvalidParameterValueException", 0,
	                 "The value %.17g for parameter MetricData.member.%u.%s is invalid.", x, at + 1, what);
}

static int check_dimensions(struct call *c, const struct cloudwatch_metric_datum *d, uint32_t at)
{
	if (!text_fine(d->metric_name))
		return call_fail(c, "InvalidParameterValueException", 0,
		                 "The parameter MetricData.member.%u.MetricName has characters that are not ASCII.", at + 1);
	for (uint32_t i = 0; i < d->dimensions.n; i++) {
		const struct cloudwatch_dimension *x = &d->dimensions.v[i];
		if (!text_fine(x->name) || !text_fine(x->value) || str_starts(x->name, S(":")))
			return call_fail(c, "InvalidParameterValueException", 0,
			                 "The parameter MetricData.member.%u.Dimensions.member.%u is invalid.", at + 1, i + 1);
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(d->dimensions.v[k].name, x->name))
				return call_fail(
				        c, "InvalidParameterValueException", 0,
				        "The parameter MetricData.member.%u.Dimensions.member.%u.Name is given more than once.",
				        at + 1, i + 1);
	}
	return CALL_OK;
}

static int check_set(struct call *c, const struct cloudwatch_statistic_set *s, uint32_t at)
{
	const double all[] = {s->sample_count.v, s->sum.v, s->minimum.v, s->maximum.v};
	const char *const names[] = {"SampleCount", "Sum", "Minimum", "Maximum"};
	for (unsigned i = 0; i < 4; i++)
		if (!cloudwatch_number(all[i]) || (!i && all[i] < 0))
			return bad_value(c, at, arena_printf(c->arena, "StatisticValues.%s", names[i]).p, all[i]);
	if (s->minimum.v > s->maximum.v)
		return call_fail(
		        c, "InvalidParameterValueException", 0,
		        "The parameter MetricData.member.%u.StatisticValues.Maximum must be greater than or equal to MetricData.member.%u.StatisticValues.Minimum.",
		        at + 1, at + 1);
	return CALL_OK;
}

static int check_values(struct call *c, const struct cloudwatch_metric_datum *d, uint32_t at)
{
	if (d->values.n > VALUES_MAX)
		return call_fail(c, "InvalidParameterValueException", 0,
		                 "The collection MetricData.member.%u.Values must not have a size greater than %d.", at + 1,
		                 VALUES_MAX);
	if (d->counts.n && d->counts.n != d->values.n)
		return call_fail(
		        c, "InvalidParameterValueException", 0,
		        "The parameters MetricData.member.%u.Values and MetricData.member.%u.Counts must be of the same size.",
		        at + 1, at + 1);
	for (uint32_t i = 0; i < d->values.n; i++) {
		if (!cloudwatch_number(d->values.v[i].v))
			return bad_value(c, at, "Values", d->values.v[i].v);
		if (d->counts.n && (!cloudwatch_number(d->counts.v[i].v) || d->counts.v[i].v < 0))
			return bad_value(c, at, "Counts", d->counts.v[i].v);
	}
	return CALL_OK;
}

static int check_datum(struct call *c, const struct cloudwatch_metric_datum *d, uint32_t at)
{
	int given = d->value.set + (d->statistic_values != NULL) + (d->values.n > 0);
	if (check_dimensions(c, d, at) != CALL_OK)
		return CALL_FAIL;
	if (!given)
		return call_fail(
		        c, "MissingRequiredParameterException", 0,
		        "At least one of the parameters must be specified: MetricData.member.%u.Value, MetricData.member.%u.Values, MetricData.member.%u.StatisticValues.",
		        at + 1, at + 1, at + 1);
	if (given > 1)
		return call_fail(
		        c, "InvalidParameterCombinationException", 0,
		        "The parameters MetricData.member.%u.Value, MetricData.member.%u.Values and MetricData.member.%u.StatisticValues are mutually exclusive and you have specified more than one.",
		        at + 1, at + 1, at + 1);
	if (d->storage_resolution.set && d->storage_resolution.v != 1 && d->storage_resolution.v != MINUTE_S)
		return call_fail(c, "InvalidParameterValueException", 0,
		                 "The parameter MetricData.member.%u.StorageResolution must be 1 or 60.", at + 1);
	if (d->timestamp.set && d->timestamp.ms < c->now_ms - OLDEST_MS)
		return call_fail(
		        c, "InvalidParameterValueException", 0,
		        "The parameter MetricData.member.%u.Timestamp must specify a time no more than two weeks in the past.",
		        at + 1);
	if (d->timestamp.set && d->timestamp.ms > c->now_ms + NEWEST_MS)
		return call_fail(c, "InvalidParameterValueException", 0,
		                 "The parameter MetricData.member.%u.Timestamp must specify a time within two hours of now.",
		                 at + 1);
	if (d->value.set && !cloudwatch_number(d->value.v))
		return bad_value(c, at, "Value", d->value.v);
	if (d->statistic_values && check_set(c, d->statistic_values, at) != CALL_OK)
		return CALL_FAIL;
	return check_values(c, d, at);
}

static int check(struct call *c, const struct cloudwatch_put_metric_data_input *in)
{
	if (str_starts(in->namespace, S("AWS/")))
		return call_fail(c, "InvalidParameterValueException", 0, "The value AWS/ for parameter Namespace is invalid.");
	if (!text_fine(in->namespace))
		return call_fail(c, "InvalidParameterValueException", 0, "The value %.*s for parameter Namespace is invalid.",
		                 STR_ARG(in->namespace));
	if (in->entity_metric_data.n)
		return call_fail(c, "InvalidParameterValueException", 0, "Metrics with entities are not supported.");
	if (!in->metric_data.n)
		return call_fail(c, "MissingRequiredParameterException", 0, "The parameter MetricData is required.");
	if (in->metric_data.n > METRICS_MAX)
		return call_fail(c, "InvalidParameterValueException", 0,
		                 "The collection MetricData must not have a size greater than %d.", METRICS_MAX);
	for (uint32_t i = 0; i < in->metric_data.n; i++)
		if (check_datum(c, &in->metric_data.v[i], i) != CALL_OK)
			return CALL_FAIL;
	if (metrics_full(c->cloud->metrics))
		return call_fail(c, "Throttling", 400, "Rate exceeded");
	return CALL_OK;
}

struct str cloudwatch_unit(struct str unit)
{
	return !str_set(unit) ? S("None") : metrics_unit_known(unit) ? unit : STR_NONE;
}

/* A metric costs for the hours that something came in. */
static void bill(struct cloud *cloud, const struct metric *m, int64_t now_ms)
{
	if (metrics_begins_hour(cloud->metrics, m, now_ms))
		meter_count(cloud->meter, m->account, m->region, S("CW:MetricMonitorUsage"), HOUR_MS);
}

void cloudwatch_publish(struct cloud *cloud, const struct metric *metric, int64_t time_ms, unsigned resolution_s,
                        const struct metric_value *values, size_t n)
{
	if (!cloud->metrics)
		return;
	metrics_put_values(cloud->metrics, metric, time_ms, resolution_s, values, n);
	bill(cloud, metric, clock_wall_ms());
}

static void put_datum(struct call *c, struct str space, const struct cloudwatch_metric_datum *d)
{
	struct metric m = cloudwatch_metric_of(c, space, d->metric_name, &d->dimensions, str_set(d->unit) ? d->unit : S("None"));
	int64_t at = d->timestamp.set ? d->timestamp.ms : c->now_ms;
	unsigned resolution = d->storage_resolution.v == 1 ? 1 : MINUTE_S;
	struct metric_value values[VALUES_MAX] = {{d->value.v, 1}};
	const struct cloudwatch_statistic_set *s = d->statistic_values;
	for (uint32_t i = 0; i < d->values.n; i++)
		values[i] = (struct metric_value){d->values.v[i].v, d->counts.n ? d->counts.v[i].v : 1};
	if (s)
		metrics_put(c->cloud->metrics, &m, at, resolution,
		            &(struct metric_set){s->sample_count.v, s->sum.v, s->minimum.v, s->maximum.v});
	else
		metrics_put_values(c->cloud->metrics, &m, at, resolution, values, d->values.n ? d->values.n : 1);
	bill(c->cloud, &m, c->now_ms);
}

/* Lives until it was written, whether or not the client still waits. */
struct put {
	struct call *call; /* NULL: the client has left */
	int result;
	bool done;
};

static void put_done(void *ctx, int result)
{
	struct put *p = ctx;
	p->result = result;
	p->done = true;
	if (p->call)
		call_resume(p->call);
	else
		free(p);
}

static void put_gone(struct call *c)
{
	struct put *p = c->state;
	p->call = NULL;
	if (p->done)
		free(p);
}

static int put_resume(struct call *c)
{
	struct put *p = c->state;
	int result = p->result;
	free(p);
	return result < 0 ? call_broken(c, "metrics: %s", strerror(-result)) : CALL_OK;
}

int cloudwatch_put_metric_data(struct call *c, const struct cloudwatch_put_metric_data_input *in, struct model_none *out)
{
	(void)out;
	if (check(c, in) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->metric_data.n; i++)
		put_datum(c, in->namespace, &in->metric_data.v[i]);
	meter_count(c->cloud->meter, c->account, c->region, S("CW:Requests"), 1);
	struct put *p = calloc(1, sizeof(*p));
	if (!p)
		die("out of memory (PutMetricData)");
	p->call = c;
	c->state = p;
	metrics_when_written(c->cloud->metrics, put_done, p);
	return call_wait(c, put_resume, put_gone);
}

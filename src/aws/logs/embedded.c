/* The embedded metric format: an event that is a JSON object whose member _aws.CloudWatchMetrics says which of its other members
 * are metrics, of which dimensions. An event that is not understood is a log event like others, and counts in AWS/Logs. */
#include "measure.h"

#include "aws/cloudwatch/cloudwatch.h"
#include "base/json.h"
#include "engine/metrics/metrics.h"

enum { METRICS_MAX = 100, VALUES_MAX = 100, NAME_MAX_BYTES = 1024, RESOLUTION_S = 60 };
#define OLDEST_MS (INT64_C(14) * 86400 * 1000)
#define NEWEST_MS (INT64_C(2) * 3600 * 1000)

struct embedded {
	struct call *call;
	struct arena *arena;
	const struct json_value *root;
	int64_t at_ms;
};

static bool name_fine(struct str s)
{
	return s.n && s.n <= NAME_MAX_BYTES && !memchr(s.p, 0, s.n);
}

static bool directive_fine(const struct json_value *d)
{
	struct str space = json_get_str(d, S("Namespace"));
	return name_fine(space) && !str_starts(space, S("AWS/")) && json_is(json_get(d, S("Metrics")), JSON_ARRAY) &&
	       json_is(json_get(d, S("Dimensions")), JSON_ARRAY) && json_get(d, S("Metrics"))->count <= METRICS_MAX;
}

/* A set of names that the root has texts for. */
static bool dimensions_of(const struct embedded *e, const struct json_value *set, struct metric_dimension *ret)
{
	uint32_t n = 0;
	if (!json_is(set, JSON_ARRAY) || set->count > METRIC_DIMENSIONS_MAX)
		return false;
	json_each(set, name)
	{
		struct str value = json_is(name, JSON_STRING) ? json_get_str(e->root, name->text) : STR_NONE;
		if (!name_fine(name->text) || !name_fine(value))
			return false;
		ret[n++] = (struct metric_dimension){name->text, value};
	}
	return true;
}

static size_t values_of(const struct json_value *v, struct metric_value *ret)
{
	double x;
	size_t n = 0;
	if (json_is(v, JSON_NUMBER))
		n = json_to_double(v->text, &x) && cloudwatch_number(x) ? (ret[0] = (struct metric_value){x, 1}, 1) : 0;
	else if (json_is(v, JSON_ARRAY) && v->count <= VALUES_MAX)
		json_each(v, one)
		{
			if (!json_is(one, JSON_NUMBER) || !json_to_double(one->text, &x) || !cloudwatch_number(x))
				return 0;
			ret[n++] = (struct metric_value){x, 1};
		}
	return n;
}

static bool publish_metric(const struct embedded *e, const struct json_value *directive, const struct json_value *m)
{
	struct metric_value values[VALUES_MAX];
	struct metric_dimension dimensions[METRIC_DIMENSIONS_MAX];
	struct str name = json_get_str(m, S("Name")), unit = cloudwatch_unit(json_get_str(m, S("Unit")));
	const struct json_value *resolution = json_get(m, S("StorageResolution"));
	size_t n = str_set(name) ? values_of(json_get(e->root, name), values) : 0;
	if (!n || !name_fine(name) || !str_set(unit))
		return false;
	struct metric metric = {.account = e->call->account,
	                        .region = e->call->region,
	                        .space = json_get_str(directive, S("Namespace")),
	                        .name = name,
	                        .unit = unit,
	                        .dimensions = dimensions};
	json_each(json_get(directive, S("Dimensions")), set)
	{
		if (!dimensions_of(e, set, dimensions))
			return false;
		metric.dimension_count = set->count;
		cloudwatch_publish(e->call->cloud, &metric, e->at_ms,
		                   json_is(resolution, JSON_NUMBER) && str_is(resolution->text, "1") ? 1 : RESOLUTION_S, values, n);
	}
	return true;
}

static bool publish(struct embedded *e, const struct json_value *aws)
{
	int64_t at_ms;
	const struct json_value *time = json_get(aws, S("Timestamp")), *directives = json_get(aws, S("CloudWatchMetrics"));
	bool fine = json_is(directives, JSON_ARRAY);
	if (time) {
		if (!json_is(time, JSON_NUMBER) || !json_to_int(time->text, &at_ms))
			return false;
		e->at_ms = at_ms;
	}
	if (e->at_ms < e->call->now_ms - OLDEST_MS || e->at_ms > e->call->now_ms + NEWEST_MS)
		return false;
	json_each(fine ? directives : NULL, d)
	{
		if (!directive_fine(d)) {
			fine = false;
			continue;
		}
		json_each(json_get(d, S("Metrics")), m) fine &= publish_metric(e, d, m);
	}
	return fine;
}

void embedded_publish(struct call *c, struct arena *scratch, const struct logs_group *group, const struct log_input *event)
{
	struct str text = str_trim(event->message);
	if (!str_starts(text, S("{")) || str_find(text, S("\"_aws\"")) < 0)
		return;
	struct embedded e = {.call = c, .arena = scratch, .root = json_parse(scratch, text, NULL), .at_ms = event->time_ms};
	const struct json_value *aws = json_get(e.root, S("_aws"));
	if (!e.root)
		measure_own(c, group->record.name, "EMFParsingErrors", "None", 1);
	else if (json_get(aws, S("CloudWatchMetrics")) && !publish(&e, aws))
		measure_own(c, group->record.name, "EMFValidationErrors", "None", 1);
}

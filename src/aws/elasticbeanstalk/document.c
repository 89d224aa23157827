/* The option ConfigDocument of healthreporting:system: which figures of enhanced health CloudWatch shall get, by the minute, and
 * which failures are to be overlooked. */
#include "health.h"

static const char *const shared[] = {"ApplicationRequestsTotal", "ApplicationRequests2xx",
                                     "ApplicationRequests3xx",   "ApplicationRequests4xx",
                                     "ApplicationRequests5xx",   "ApplicationLatencyP99.9",
                                     "ApplicationLatencyP99",    "ApplicationLatencyP95",
                                     "ApplicationLatencyP90",    "ApplicationLatencyP85",
                                     "ApplicationLatencyP75",    "ApplicationLatencyP50",
                                     "ApplicationLatencyP10",    NULL};
static const char *const of_environment[] = {
        "EnvironmentHealth", "InstancesNoData",  "InstancesUnknown",  "InstancesPending", "InstancesOk",
        "InstancesInfo",     "InstancesWarning", "InstancesDegraded", "InstancesSevere",  NULL};
static const char *const of_instance[] = {"InstanceHealth", "LoadAverage1min", "LoadAverage5min", "RootFilesystemUtil",
                                          "CPUUser",        "CPUNice",         "CPUSystem",       "CPUIdle",
                                          "CPUIowait",      "CPUIrq",          "CPUSoftirq",      NULL};

static bool among(const char *const *all, struct str name)
{
	for (; *all; all++)
		if (str_is(name, *all))
			return true;
	return false;
}

static int wrong(struct call *c, struct str text, struct str why)
{
	return call_fail(c, "ConfigurationValidationException", 400,
	                 "Configuration validation exception: Invalid option value: '%.*s' (Namespace: "
	                 "'aws:elasticbeanstalk:healthreporting:system', OptionName: 'ConfigDocument'): %.*s",
	                 STR_ARG(text), STR_ARG(why));
}

static int check_metrics(struct call *c, struct str text, const struct json_value *metrics)
{
	json_each(metrics, kind)
	{
		bool whole = str_is(kind->key, "Environment");
		if ((!whole && !str_is(kind->key, "Instance")) || !json_is(kind, JSON_OBJECT))
			return wrong(c, text, S("CloudWatchMetrics are of Environment and Instance."));
		json_each(kind, m)
		{
			if (!among(shared, m->key) && !among(whole ? of_environment : of_instance, m->key))
				return wrong(c, text, ARENA_CAT(c->arena, S("There is no metric "), m->key, S(".")));
			if (!json_is(m, JSON_NULL) && (!json_is(m, JSON_NUMBER) || !str_is(m->text, "60")))
				return wrong(c, text, S("60 is the only supported period of a metric."));
		}
	}
	return CALL_OK;
}

static int check_rules(struct call *c, struct str text, const struct json_value *rules)
{
	json_each(rules, whole)
	{
		if (!str_is(whole->key, "Environment"))
			return wrong(c, text, S("Rules are of Environment."));
		json_each(whole, side)
		{
			bool application = str_is(side->key, "Application");
			if (!application && !str_is(side->key, "ELB"))
				return wrong(c, text, S("Rules of an environment are of Application and ELB."));
			json_each(side, rule)
			{
				const struct json_value *enabled = json_get(rule, S("Enabled"));
				if (!str_is(rule->key, application ? "ApplicationRequests4xx" : "ELBRequests4xx") ||
				    (!json_is(enabled, JSON_TRUE) && !json_is(enabled, JSON_FALSE)))
					return wrong(c, text, S("A rule is of requests with 4xx, and Enabled or not."));
			}
		}
	}
	return CALL_OK;
}

int document_check(struct call *c, struct str text)
{
	struct str why = STR_NONE;
	if (!str_set(text) || !text.n)
		return CALL_OK;
	const struct json_value *d = json_parse(c->arena, text, &why);
	if (!json_is(d, JSON_OBJECT))
		return wrong(c, text, S("It is no JSON object."));
	json_each(d, part)
	{
		bool known = str_is(part->key, "CloudWatchMetrics") || str_is(part->key, "Rules");
		if (str_is(part->key, "Version") ? !json_is(part, JSON_NUMBER) || !str_is(part->text, "1") : !known)
			return wrong(c, text, S("It has CloudWatchMetrics, Rules and the Version 1."));
	}
	if (check_metrics(c, text, json_get(d, S("CloudWatchMetrics"))) != CALL_OK)
		return CALL_FAIL;
	return check_rules(c, text, json_get(d, S("Rules")));
}

const struct json_value *document_of(struct arena *a, const struct environment_record *r)
{
	struct str text = option_value(r, "aws:elasticbeanstalk:healthreporting:system", "ConfigDocument");
	return str_set(text) && text.n ? json_parse(a, text, NULL) : NULL;
}

bool document_wishes(const struct json_value *document, const char *kind, struct str metric)
{
	const struct json_value *all = json_get(json_get(document, S("CloudWatchMetrics")), str_from(kind));
	return json_is(json_get(all, metric), JSON_NUMBER);
}

bool document_ignores_4xx(const struct json_value *document)
{
	const struct json_value *rules = json_get(json_get(document, S("Rules")), S("Environment"));
	const struct json_value *rule = json_get(json_get(rules, S("Application")), S("ApplicationRequests4xx"));
	return json_is(json_get(rule, S("Enabled")), JSON_FALSE);
}

/* Enhanced health as metrics of CloudWatch: how an environment is, always; and what else its ConfigDocument asks for. */
#include "health.h"

#include "core/cloud.h"
#include "engine/metrics/metrics.h"

struct about {
	const struct scope *s;
	const struct json_value *document;
	const char *kind; /* in the document */
	struct metric_dimension by[2];
	size_t n;
};

static void put(const struct about *w, const char *name, const char *unit, double value)
{
	bool always = strcmp(name, "EnvironmentHealth") == 0;
	const struct metric m = {.account = w->s->account,
	                         .region = w->s->region,
	                         .space = S("AWS/ElasticBeanstalk"),
	                         .name = str_from(name),
	                         .unit = str_from(unit),
	                         .dimensions = w->by,
	                         .dimension_count = w->n};
	if (always || document_wishes(w->document, w->kind, m.name))
		metrics_add(w->s->cloud->metrics, &m, value);
}

/* AWS's numbers for states of health. */
static double number_of(const char *status)
{
	static const struct {
		const char *status;
		double number;
	} all[] = {{"Ok", 0}, {"Info", 1}, {"Unknown", 5}, {"NoData", 10}, {"Warning", 15}, {"Degraded", 20}, {"Severe", 25}};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (strcmp(all[i].status, status) == 0)
			return all[i].number;
	return 5;
}

/* Of its last minute. */
static void put_requests(const struct about *w, const struct health_sample *h)
{
	static const char *const names[HEALTH_LATENCIES] = {
	        "ApplicationLatencyP99.9", "ApplicationLatencyP99", "ApplicationLatencyP95", "ApplicationLatencyP90",
	        "ApplicationLatencyP85",   "ApplicationLatencyP75", "ApplicationLatencyP50", "ApplicationLatencyP10"};
	put(w, "ApplicationRequestsTotal", "Count", (double)h->minute);
	put(w, "ApplicationRequests2xx", "Count", (double)h->minute_classes[0]);
	put(w, "ApplicationRequests3xx", "Count", (double)h->minute_classes[1]);
	put(w, "ApplicationRequests4xx", "Count", (double)h->minute_classes[2]);
	put(w, "ApplicationRequests5xx", "Count", (double)h->minute_classes[3]);
	for (int i = 0; i < HEALTH_LATENCIES; i++)
		if (h->minute_latency[i].set)
			put(w, names[i], "Seconds", h->minute_latency[i].v);
}

static void put_system(const struct about *w, const struct health_sample *h)
{
	put(w, "LoadAverage1min", "None", h->load[0]);
	put(w, "LoadAverage5min", "None", h->load[1]);
	put(w, "RootFilesystemUtil", "Percent", h->root_used);
	put(w, "CPUUser", "Percent", h->cpu[0]);
	put(w, "CPUNice", "Percent", h->cpu[1]);
	put(w, "CPUSystem", "Percent", h->cpu[2]);
	put(w, "CPUIdle", "Percent", h->cpu[3]);
	put(w, "CPUIowait", "Percent", h->cpu[4]);
	put(w, "CPUIrq", "Percent", h->cpu[5]);
	put(w, "CPUSoftirq", "Percent", h->cpu[6]);
}

static void add(struct health_sample *all, const struct health_sample *one)
{
	double before = (double)all->minute, more = (double)one->minute;
	for (int i = 0; one->minute && i < HEALTH_LATENCIES; i++)
		all->minute_latency[i] =
		        OPT_DOUBLE((all->minute_latency[i].v * before + one->minute_latency[i].v * more) / (before + more));
	all->minute += one->minute;
	for (int i = 0; i < 4; i++)
		all->minute_classes[i] += one->minute_classes[i];
}

void measure_environment(const struct scope *s, const struct environment_record *r, const struct health_samples *samples)
{
	static const char *const states[] = {"NoData", "Unknown", "Pending", "Ok", "Info", "Warning", "Degraded", "Severe"};
	static const char *const names[] = {"InstancesNoData", "InstancesUnknown", "InstancesPending",  "InstancesOk",
	                                    "InstancesInfo",   "InstancesWarning", "InstancesDegraded", "InstancesSevere"};
	double n[8] = {0};
	struct health_sample all = {0};
	struct about whole = {
	        s, document_of(s->arena, r), "Environment", {{S("EnvironmentName"), r->environment->environment_name}}, 1};
	struct about part = whole;
	part.kind = "Instance";
	part.n = 2;
	for (uint32_t i = 0; i < r->members.n; i++) {
		const struct health_sample *one = health_sample_of(samples, r->members.v[i].instance);
		const char *status = health_judge_member(s->arena, r, &r->members.v[i], samples, s->now_ms).status;
		part.by[1] = (struct metric_dimension){S("InstanceId"), r->members.v[i].instance};
		for (int k = 0; k < 8; k++)
			n[k] += strcmp(states[k], status) == 0;
		put(&part, "InstanceHealth", "None", number_of(status));
		if (!one)
			continue;
		add(&all, one);
		put_requests(&part, one);
		put_system(&part, one);
	}
	put(&whole, "EnvironmentHealth", "None", number_of(health_judge(s->arena, r, samples, s->now_ms).status));
	for (int k = 0; k < 8; k++)
		put(&whole, names[k], "Count", n[k]);
	put_requests(&whole, &all);
}

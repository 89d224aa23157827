/* Judges an environment by what its instance says, as AWS's enhanced health does: operations first, then silence, processes that do
 * not run, a version that could not be installed, and the share of requests that fail. */
#include "health.h"

#include <stdio.h>

enum { SILENT_MS = 60 * 1000, FEW_REQUESTS = 60, WARNS = 10, DEGRADES = 20, IS_SEVERE = 40 };

bool health_enhanced(const struct environment_record *r)
{
	return str_is(option_value(r, "aws:elasticbeanstalk:healthreporting:system", "SystemType"), "enhanced");
}

int64_t health_stale_ms(const struct health_sample *sample)
{
	return (sample->at_ms > sample->since_ms ? sample->at_ms : sample->since_ms) + SILENT_MS;
}

static const char *colour_of(const char *status)
{
	static const struct {
		const char *status, *colour;
	} all[] = {{"Ok", "Green"}, {"Info", "Green"}, {"Warning", "Yellow"}, {"Degraded", "Red"}, {"Severe", "Red"}};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (strcmp(all[i].status, status) == 0)
			return all[i].colour;
	return "Grey";
}

static void cause(struct arena *a, struct str_list *l, struct str text)
{
	*LIST_ADD(a, l) = text;
}

static struct verdict verdict(const char *environment, const char *instance)
{
	return (struct verdict){.status = environment,
	                        .colour = colour_of(environment),
	                        .instance = instance,
	                        .instance_colour = colour_of(instance),
	                        .causes.set = true,
	                        .instance_causes.set = true};
}

static struct verdict said(struct arena *a, const char *status, struct str text, struct str of_instance)
{
	struct verdict v = verdict(status, status);
	cause(a, &v.causes, text);
	cause(a, &v.instance_causes, of_instance);
	return v;
}

static const char *name_of(struct str operation)
{
	return str_is(operation, "create")      ? "Initialization"
	       : str_is(operation, "terminate") ? "Environment termination"
	       : str_is(operation, "deploy")    ? "Application update"
	                                        : "Configuration update";
}

struct str health_done(struct arena *a, const struct environment_record *r, struct str operation, int64_t took_ms)
{
	bool failed = str_set(r->failure) && r->done.v >= r->deployment.v;
	int64_t s = took_ms / 1000;
	return arena_printf(a, " %s %s 0 seconds ago and took %lld second%s.", name_of(operation), failed ? "failed" : "completed",
	                    (long long)s, s == 1 ? "" : "s");
}

static struct verdict operating(struct arena *a, const struct environment_record *r, int64_t now_ms)
{
	const struct elasticbeanstalk_environment_description *e = r->environment;
	bool made = str_is(r->operation, "create");
	int64_t seconds = (now_ms - (made ? e->date_created.ms : e->date_updated.ms)) / 1000;
	struct str text = arena_printf(a, "%s in progress (running for %lld second%s).", name_of(r->operation), (long long)seconds,
	                               seconds == 1 ? "" : "s");
	struct verdict v = said(a, made ? "Pending" : "Info", text, text);
	if (!str_set(r->instance))
		cause(a, &v.causes, S("There are no instances."));
	return v;
}

/* Of the requests of the last minute. */
static bool failing(struct arena *a, const struct health_sample *sample, int class, const char *text, struct verdict *ret)
{
	int64_t failed = sample->minute_classes[class];
	double share = sample->minute ? 100.0 * (double)failed / (double)sample->minute : 0;
	bool few = sample->minute < FEW_REQUESTS;
	if (share < WARNS)
		return false;
	struct str what = arena_printf(a, "%.1f %% of the requests are %s.", share, text);
	*ret = said(a, few || share < DEGRADES ? "Warning" : share < IS_SEVERE ? "Degraded" : "Severe", what, what);
	if (few) {
		what = arena_printf(a, "Insufficient request rate (%lld.0 requests/min) to determine application health.",
		                    (long long)sample->minute);
		cause(a, &ret->causes, what);
		cause(a, &ret->instance_causes, what);
	}
	return true;
}

static struct verdict not_running(struct arena *a, const struct health_sample *sample)
{
	return said(a, "Severe", S("Impaired services on all instances."),
	            sample->stopped[0] ? arena_printf(a, "Following services are not running: %s.", sample->stopped)
	                               : S("Following services are not answering: proxy."));
}

static struct verdict wrong_version(struct arena *a, const struct environment_record *r)
{
	struct str expected = arena_printf(a, "Expected version \"%.*s\" (deployment %lld).",
	                                   STR_ARG(r->environment->version_label), (long long)r->deployment.v);
	struct verdict v = said(a, "Degraded", S("Command failed on all instances."), S("Application update failed."));
	cause(a, &v.causes, ARENA_CAT(a, S("Incorrect application version found on all instances. "), expected));
	return v;
}

struct verdict health_judge(struct arena *a, const struct environment_record *r, const struct health_sample *sample, int64_t now_ms)
{
	struct verdict v;
	if (str_set(r->operation))
		return operating(a, r, now_ms);
	if (!str_set(r->instance)) {
		v = verdict("Severe", "NoData");
		cause(a, &v.causes, S("There are no instances."));
		return v;
	}
	if (now_ms >= health_stale_ms(sample)) {
		v = verdict("Severe", "NoData");
		cause(a, &v.causes, S("None of the instances are sending data."));
		cause(a, &v.instance_causes, S("No data received from the instance."));
		return v;
	}
	if (r->done.v >= r->deployment.v && str_set(r->failure))
		return wrong_version(a, r);
	if (!r->answers.v && r->done.v >= r->deployment.v)
		return not_running(a, sample);
	if (failing(a, sample, 3, "failing with HTTP 5xx", &v) || failing(a, sample, 2, "erroring with HTTP 4xx", &v))
		return v;
	return verdict("Ok", "Ok");
}

static struct str texts(struct arena *a, const struct str_list *l)
{
	struct str all = S("");
	for (uint32_t i = 0; i < l->n; i++)
		all = ARENA_CAT(a, all, S(" "), l->v[i]);
	return all;
}

bool health_note(const struct scope *s, struct environment_record *r, const struct health_sample *sample, struct str done)
{
	struct elasticbeanstalk_environment_description *e = r->environment;
	struct verdict v = health_judge(s->arena, r, sample, s->now_ms);
	struct str status = str_from(v.status), request = r->request, from = e->health_status;
	if (str_eq(from, status) && str_is(e->health, v.colour))
		return false;
	bool well = !str_is(status, "Warning") && !str_is(status, "Degraded") && !str_is(status, "Severe");
	e->health_status = status;
	e->health = str_from(v.colour);
	/* these are of no call */
	r->request = STR_NONE;
	if (str_eq(from, status))
		;
	else if (str_set(from))
		environment_event(s, r, well ? "INFO" : "WARN",
		                  arena_printf(s->arena, "Environment health has transitioned from %.*s to %.*s.%.*s%.*s",
		                               STR_ARG(from), STR_ARG(status), STR_ARG(texts(s->arena, &v.causes)), STR_ARG(done)));
	else
		environment_event(s, r, "INFO",
		                  arena_printf(s->arena, "Environment health has transitioned to %.*s.%.*s", STR_ARG(status),
		                               STR_ARG(texts(s->arena, &v.causes))));
	r->request = request;
	return true;
}

/* --- describing */

#define COLOURS(X) \
	X(no_data, "NoData") \
	X(unknown, "Unknown") \
	X(pending, "Pending") X(ok, "Ok") X(info, "Info") X(warning, "Warning") X(degraded, "Degraded") X(severe, "Severe")

static struct elasticbeanstalk_instance_health_summary *counts(struct arena *a, const struct environment_record *r,
                                                               const struct verdict *v)
{
	struct elasticbeanstalk_instance_health_summary *n = arena_new(a, struct elasticbeanstalk_instance_health_summary);
	bool any = str_set(r->instance);
#define COUNT(member, name) n->member = OPT_INT(any && strcmp(v->instance, name) == 0);
	COLOURS(COUNT)
#undef COUNT
	return n;
}

static struct elasticbeanstalk_application_metrics *metrics(struct arena *a, const struct health_sample *sample)
{
	struct elasticbeanstalk_application_metrics *m = arena_new(a, struct elasticbeanstalk_application_metrics);
	m->duration = OPT_INT(10);
	m->request_count = OPT_INT(sample->requests);
	if (!sample->requests)
		return m;
	m->status_codes = arena_new(a, struct elasticbeanstalk_status_codes);
	*m->status_codes = (struct elasticbeanstalk_status_codes){OPT_INT(sample->classes[0]), OPT_INT(sample->classes[1]),
	                                                          OPT_INT(sample->classes[2]), OPT_INT(sample->classes[3])};
	const struct opt_double *l = sample->latency;
	m->latency = arena_new(a, struct elasticbeanstalk_latency);
	*m->latency = (struct elasticbeanstalk_latency){
	        .p999 = l[0], .p99 = l[1], .p95 = l[2], .p90 = l[3], .p85 = l[4], .p75 = l[5], .p50 = l[6], .p10 = l[7]};
	return m;
}

static bool wished(const struct str_list *l, const char *name)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (str_is(l->v[i], name) || str_is(l->v[i], "All"))
			return true;
	return false;
}

static int get(struct call *c, struct str id, struct str name, const char *operation, struct environment_record *r,
               struct health_sample *sample)
{
	struct scope s = beanstalk_scope(c);
	if (environment_get(c, id, name, r) != CALL_OK)
		return CALL_FAIL;
	if (!health_enhanced(r))
		return call_fail(c, "InvalidRequestException", 400, "%s is not supported.", operation);
	*sample = environment_sample(c->cloud, environment_key(&s, r->environment->environment_id));
	return CALL_OK;
}

int elasticbeanstalk_describe_environment_health(struct call *c,
                                                 const struct elasticbeanstalk_describe_environment_health_request *in,
                                                 struct elasticbeanstalk_describe_environment_health_result *out)
{
	struct environment_record r;
	struct health_sample sample;
	const struct str_list *l = &in->attribute_names;
	if (get(c, in->environment_id, in->environment_name, "DescribeEnvironmentHealth", &r, &sample) != CALL_OK)
		return CALL_FAIL;
	struct verdict v = health_judge(c->arena, &r, &sample, c->now_ms);
	out->environment_name = r.environment->environment_name;
	if (wished(l, "HealthStatus"))
		out->health_status = str_from(v.status);
	if (wished(l, "Status"))
		out->status = r.environment->status;
	if (wished(l, "Color"))
		out->color = str_from(v.colour);
	if (wished(l, "Causes"))
		out->causes = v.causes;
	if (wished(l, "ApplicationMetrics"))
		out->application_metrics = metrics(c->arena, &sample);
	if (wished(l, "InstancesHealth"))
		out->instances_health = counts(c->arena, &r, &v);
	if (wished(l, "RefreshedAt"))
		out->refreshed_at = OPT_TIME(sample.at_ms ? sample.at_ms : c->now_ms);
	return CALL_OK;
}

static struct elasticbeanstalk_system_status *system_of(struct arena *a, const struct health_sample *sample)
{
	struct elasticbeanstalk_system_status *y = arena_new(a, struct elasticbeanstalk_system_status);
	const double *u = sample->cpu;
	y->cpu_utilization = arena_new(a, struct elasticbeanstalk_cpu_utilization);
	*y->cpu_utilization = (struct elasticbeanstalk_cpu_utilization){.user = OPT_DOUBLE(u[0]),
	                                                                .nice = OPT_DOUBLE(u[1]),
	                                                                .system = OPT_DOUBLE(u[2]),
	                                                                .idle = OPT_DOUBLE(u[3]),
	                                                                .io_wait = OPT_DOUBLE(u[4]),
	                                                                .irq = OPT_DOUBLE(u[5]),
	                                                                .soft_irq = OPT_DOUBLE(u[6])};
	for (int i = 0; i < 2; i++)
		*LIST_ADD(a, &y->load_average) = OPT_DOUBLE(sample->load[i]);
	y->load_average.set = true;
	return y;
}

static struct elasticbeanstalk_deployment *deployment_of(struct arena *a, const struct environment_record *r,
                                                         const struct health_sample *sample)
{
	struct elasticbeanstalk_deployment *d = arena_new(a, struct elasticbeanstalk_deployment);
	bool under_way = r->done.v < r->deployment.v;
	d->version_label = r->environment->version_label;
	d->deployment_id = OPT_INT(r->done.v);
	d->status = under_way ? S("In Progress") : str_set(r->failure) ? S("Failed") : S("Deployed");
	if (sample->deployed_s)
		d->deployment_time = OPT_TIME(sample->deployed_s * 1000);
	return d;
}

int elasticbeanstalk_describe_instances_health(struct call *c, const struct elasticbeanstalk_describe_instances_health_request *in,
                                               struct elasticbeanstalk_describe_instances_health_result *out)
{
	struct environment_record r;
	struct health_sample sample;
	const struct str_list *l = &in->attribute_names;
	if (get(c, in->environment_id, in->environment_name, "DescribeInstancesHealth", &r, &sample) != CALL_OK)
		return CALL_FAIL;
	struct verdict v = health_judge(c->arena, &r, &sample, c->now_ms);
	out->instance_health_list.set = true;
	if (wished(l, "RefreshedAt"))
		out->refreshed_at = OPT_TIME(sample.at_ms ? sample.at_ms : c->now_ms);
	if (!str_set(r.instance))
		return CALL_OK;
	struct elasticbeanstalk_single_instance_health *one = LIST_ADD(c->arena, &out->instance_health_list);
	one->instance_id = r.instance;
	if (wished(l, "HealthStatus"))
		one->health_status = str_from(v.instance);
	if (wished(l, "Color"))
		one->color = str_from(v.instance_colour);
	if (wished(l, "Causes"))
		one->causes = v.instance_causes;
	if (wished(l, "ApplicationMetrics"))
		one->application_metrics = metrics(c->arena, &sample);
	if (wished(l, "Deployment"))
		one->deployment = deployment_of(c->arena, &r, &sample);
	if (!sample.at_ms)
		return CALL_OK;
	if (wished(l, "LaunchedAt"))
		one->launched_at = OPT_TIME(sample.launched_s * 1000);
	if (wished(l, "System"))
		one->system = system_of(c->arena, &sample);
	if (wished(l, "AvailabilityZone"))
		one->availability_zone = arena_dup(c->arena, str_from(sample.zone));
	if (wished(l, "InstanceType"))
		one->instance_type = arena_dup(c->arena, str_from(sample.type));
	return CALL_OK;
}

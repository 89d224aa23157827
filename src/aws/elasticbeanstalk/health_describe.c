/* DescribeEnvironmentHealth and DescribeInstancesHealth: verdicts and figures, as far as they are asked for. */
#include "health.h"

#define COLOURS(X) \
	X(no_data, "NoData") \
	X(unknown, "Unknown") \
	X(pending, "Pending") X(ok, "Ok") X(info, "Info") X(warning, "Warning") X(degraded, "Degraded") X(severe, "Severe")

static struct elasticbeanstalk_instance_health_summary *counts(struct call *c, const struct environment_record *r,
                                                               const struct health_samples *samples)
{
	struct elasticbeanstalk_instance_health_summary *n = arena_new(c->arena, struct elasticbeanstalk_instance_health_summary);
#define ZERO(member, name) n->member = OPT_INT(0);
	COLOURS(ZERO)
#undef ZERO
	for (uint32_t i = 0; i < r->members.n; i++) {
		struct verdict v = health_judge_member(c->arena, r, &r->members.v[i], samples, c->now_ms);
#define COUNT(member, name) n->member.v += strcmp(v.status, name) == 0;
		COLOURS(COUNT)
#undef COUNT
	}
	return n;
}

/* Percentiles of all together cannot be known of those of each: theirs are weighed by their requests. */
static struct health_sample sum(const struct environment_record *r, const struct health_samples *samples)
{
	struct health_sample all = {0};
	for (uint32_t i = 0; i < r->members.n; i++) {
		const struct health_sample *one = health_sample_of(samples, r->members.v[i].instance);
		if (!one)
			continue;
		int64_t requests = all.requests + one->requests;
		for (int k = 0; one->requests && k < HEALTH_LATENCIES; k++)
			all.latency[k] =
			        OPT_DOUBLE((all.latency[k].v * (double)all.requests + one->latency[k].v * (double)one->requests) /
			                   (double)requests);
		all.requests = requests;
		for (int k = 0; k < 4; k++)
			all.classes[k] += one->classes[k];
		all.at_ms = one->at_ms > all.at_ms ? one->at_ms : all.at_ms;
	}
	return all;
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
               struct health_samples *samples)
{
	struct scope s = beanstalk_scope(c);
	if (environment_get(c, id, name, r) != CALL_OK)
		return CALL_FAIL;
	if (!health_enhanced(r))
		return call_fail(c, "InvalidRequestException", 400, "%s is not supported.", operation);
	*samples = environment_samples(c->cloud, environment_key(&s, r->environment->environment_id));
	return CALL_OK;
}

int elasticbeanstalk_describe_environment_health(struct call *c,
                                                 const struct elasticbeanstalk_describe_environment_health_request *in,
                                                 struct elasticbeanstalk_describe_environment_health_result *out)
{
	struct environment_record r;
	struct health_samples samples;
	const struct str_list *l = &in->attribute_names;
	if (get(c, in->environment_id, in->environment_name, "DescribeEnvironmentHealth", &r, &samples) != CALL_OK)
		return CALL_FAIL;
	struct verdict v = health_judge(c->arena, &r, &samples, c->now_ms);
	struct health_sample sample = sum(&r, &samples);
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
		out->instances_health = counts(c, &r, &samples);
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
                                                         const struct state_elasticbeanstalk_member *m,
                                                         const struct health_sample *sample)
{
	struct elasticbeanstalk_deployment *d = arena_new(a, struct elasticbeanstalk_deployment);
	bool under_way = m->done.v < m->wants.v;
	d->version_label = r->environment->version_label;
	d->deployment_id = OPT_INT(m->done.v);
	d->status = under_way ? S("In Progress") : str_set(m->failure) ? S("Failed") : S("Deployed");
	if (sample->deployed_s)
		d->deployment_time = OPT_TIME(sample->deployed_s * 1000);
	return d;
}

static void describe(struct call *c, const struct environment_record *r, const struct state_elasticbeanstalk_member *m,
                     const struct health_samples *samples, const struct str_list *l,
                     struct elasticbeanstalk_single_instance_health *one)
{
	const struct health_sample none = {0}, *known = health_sample_of(samples, m->instance), *sample = known ? known : &none;
	struct verdict v = health_judge_member(c->arena, r, m, samples, c->now_ms);
	*one = (struct elasticbeanstalk_single_instance_health){.instance_id = m->instance};
	if (wished(l, "HealthStatus"))
		one->health_status = str_from(v.status);
	if (wished(l, "Color"))
		one->color = str_from(v.colour);
	if (wished(l, "Causes"))
		one->causes = v.causes;
	if (wished(l, "ApplicationMetrics"))
		one->application_metrics = metrics(c->arena, sample);
	if (wished(l, "Deployment"))
		one->deployment = deployment_of(c->arena, r, m, sample);
	if (!sample->at_ms)
		return;
	if (wished(l, "LaunchedAt"))
		one->launched_at = OPT_TIME(sample->launched_s * 1000);
	if (wished(l, "System"))
		one->system = system_of(c->arena, sample);
	if (wished(l, "AvailabilityZone"))
		one->availability_zone = arena_dup(c->arena, str_from(sample->zone));
	if (wished(l, "InstanceType"))
		one->instance_type = arena_dup(c->arena, str_from(sample->type));
}

int elasticbeanstalk_describe_instances_health(struct call *c, const struct elasticbeanstalk_describe_instances_health_request *in,
                                               struct elasticbeanstalk_describe_instances_health_result *out)
{
	struct environment_record r;
	struct health_samples samples;
	if (get(c, in->environment_id, in->environment_name, "DescribeInstancesHealth", &r, &samples) != CALL_OK)
		return CALL_FAIL;
	struct health_sample all = sum(&r, &samples);
	out->instance_health_list.set = true;
	if (wished(&in->attribute_names, "RefreshedAt"))
		out->refreshed_at = OPT_TIME(all.at_ms ? all.at_ms : c->now_ms);
	for (uint32_t i = 0; i < r.members.n; i++)
		describe(c, &r, &r.members.v[i], &samples, &in->attribute_names, LIST_ADD(c->arena, &out->instance_health_list));
	return CALL_OK;
}

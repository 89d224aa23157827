/* What an instance of an environment says of itself, and what it is told to run. Only the instance itself may: it proves who it is
 * by the session of its role. */
#include "health.h"

#include "gen/beanstalk_agent.h"

#include <stdio.h>

static bool same_texts(const struct str_list *a, const struct str_list *b)
{
	bool same = a->n == b->n;
	for (uint32_t i = 0; same && i < a->n; i++)
		same = str_eq(a->v[i], b->v[i]);
	return same;
}

enum { TEXT_BYTES = 500, NOTES = 10 };

static struct str shortened(struct str text)
{
	return str_sub(text, 0, text.n < TEXT_BYTES ? text.n : TEXT_BYTES);
}

/* True: it says something new. */
static bool take(struct arena *a, struct state_elasticbeanstalk_member *m, const struct beanstalk_agent_report_request *in)
{
	struct str failure = in->failure.n ? shortened(in->failure) : STR_NONE;
	struct str_list notes = {0};
	for (uint32_t i = 0; i < in->notes.n && i < NOTES; i++)
		*LIST_ADD(a, &notes) = shortened(in->notes.v[i]);
	if (m->done.v == in->done.v && str_eq(m->failure, failure) && m->answers.v == in->answers.v &&
	    same_texts(&m->notes, &notes))
		return false;
	m->done = OPT_INT(in->done.v);
	m->failure = failure;
	m->answers = OPT_BOOL(in->answers.v);
	m->notes = notes;
	return true;
}

static void text_into(char *to, size_t room, struct str text)
{
	snprintf(to, room, "%.*s", STR_ARG(text));
}

/* A report is a sign of life; the figures of its last ten seconds come along once there are some. */
static void sample(struct call *c, struct scope *s, const struct environment_record *r,
                   const struct beanstalk_agent_report_request *in)
{
	struct str key = environment_key(s, r->environment->environment_id);
	const struct beanstalk_agent_health *f = in->health;
	struct health_samples before = environment_samples(c->cloud, key);
	const struct health_sample *known = health_sample_of(&before, in->instance_id);
	struct health_sample h = known ? *known : (struct health_sample){0};
	h.at_ms = c->now_ms;
	text_into(h.instance, sizeof(h.instance), in->instance_id);
	if (f) {
		h = (struct health_sample){
		        .at_ms = h.at_ms,
		        .requests = f->requests.v,
		        .classes = {f->status2xx.v, f->status3xx.v, f->status4xx.v, f->status5xx.v},
		        .minute = f->minute_requests.v,
		        .minute_classes = {f->minute_status2xx.v, f->minute_status3xx.v, f->minute_status4xx.v,
		                           f->minute_status5xx.v},
		        .root_used = f->root_used.v,
		        .latency = {f->p999, f->p99, f->p95, f->p90, f->p85, f->p75, f->p50, f->p10},
		        .cpu = {f->user.v, f->nice.v, f->system.v, f->idle.v, f->io_wait.v, f->irq.v, f->soft_irq.v},
		        .load = {f->load1.v, f->load5.v},
		        .launched_s = f->launched.v,
		        .deployed_s = f->deployed.v};
		for (uint32_t i = 0; i < f->minute_latency.n && i < HEALTH_LATENCIES; i++)
			h.minute_latency[i] = f->minute_latency.v[i];
		text_into(h.instance, sizeof(h.instance), in->instance_id);
		text_into(h.zone, sizeof(h.zone), f->zone);
		text_into(h.type, sizeof(h.type), f->type);
		size_t at = 0;
		for (uint32_t i = 0; i < f->stopped.n && at < sizeof(h.stopped); i++)
			at += (size_t)snprintf(h.stopped + at, sizeof(h.stopped) - at, "%s%.*s", i ? ", " : "",
			                       STR_ARG(shortened(f->stopped.v[i])));
	}
	environment_sampled(c->cloud, key, &h);
	struct health_samples all = environment_samples(c->cloud, key);
	if (health_enhanced(r) && !str_set(r->operation) &&
	    !str_is(r->environment->health_status, health_judge(c->arena, r, &all, c->now_ms).status))
		environment_look(c->cloud, key);
}

/* What it shall run: others than those that take part in a deployment stay with the version of before. */
static struct str label_of(const struct environment_record *r, const struct state_elasticbeanstalk_member *m)
{
	bool new = m->wants.v == r->deployment.v &&str_set(r->deploying);
	return new ? r->deploying : r->environment->version_label;
}

/* The first that takes part in an operation leads it; one that comes in place of another finds done what is done once. True: it is
 * chosen. */
static bool leader(struct environment_record *r, const struct state_elasticbeanstalk_member *m)
{
	if (!str_set(r->operation) || str_set(r->leader) || m->wants.v != r->deployment.v || m->done.v >= m->wants.v)
		return false;
	r->leader = m->instance;
	return true;
}

/* Who sends what cron.yaml says to the queue: one of all, the first that has been there long enough to serve. */
static struct str schedules(const struct environment_record *r)
{
	for (uint32_t i = 0; i < r->members.n; i++)
		if (r->members.v[i].done.v > 0 && r->members.v[i].answers.v && !str_set(r->members.v[i].failure))
			return r->members.v[i].instance;
	return r->members.n ? r->members.v[0].instance : STR_NONE;
}

static beanstalk_agent_report_handler beanstalk_agent_report;
static int beanstalk_agent_report(struct call *c, const struct beanstalk_agent_report_request *in,
                                  struct beanstalk_agent_report_response *out)
{
	struct scope s = beanstalk_scope(c);
	struct environment_record r = {0};
	struct state_elasticbeanstalk_version_record v = {0};
	if (c->caller->kind != PRINCIPAL_ROLE || !str_eq(c->caller->name, in->instance_id))
		return call_fail(c, "AccessDeniedException", 400, "Only the instance itself may report.");
	struct state_elasticbeanstalk_member *m =
	        environment_find(&s, in->environment_id, &r) ? member_find(&r, in->instance_id) : NULL;
	if (!m || str_is(r.operation, "terminate") || str_is(r.operation, "rebuild") ||
	    (!version_find(&s, r.environment->application_name, label_of(&r, m), &v) && !sample_is(label_of(&r, m))))
		return CALL_OK;
	bool news = take(c->arena, m, in), logs = logs_take(c, &r, in), leads = leader(&r, m);
	if (news)
		members_sum(&r);
	if (news || logs || leads)
		environment_put(&s, &r);
	sample(c, &s, &r, in);
	logs_order(c, &r, in->instance_id, out);
	struct elasticbeanstalk_configuration_option_settings_list links = {0};
	if (!links_resolve(&s, &r, &links) && m->done.v < m->wants.v) /* until the others can be reached */
		return CALL_OK;
	const struct platform *p = platform_of(r.environment->solution_stack_name);
	out->deployment = m->wants;
	out->version_label = label_of(&r, m);
	out->bucket = v.version ? v.version->source_bundle->s3_bucket : environment_bucket(c->arena, &r, c->region);
	out->key = v.version ? v.version->source_bundle->s3_key : sample_key(c->arena, p ? str_from(p->name) : S(""));
	out->environment_name = r.environment->environment_name;
	out->platform = p ? str_from(p->name) : STR_NONE;
	out->queue = r.queue;
	out->cluster = r.cluster;
	out->leader = OPT_BOOL(str_set(r.operation) && str_eq(r.leader, in->instance_id));
	out->schedules = OPT_BOOL(str_eq(schedules(&r), in->instance_id));
	out->restart = OPT_BOOL(str_is(r.operation, "restart"));
	for (uint32_t i = 0; i < r.options.n; i++)
		*LIST_ADD(c->arena, &out->options) = (struct beanstalk_agent_option){
		        .namespace = r.options.v[i].namespace, .name = r.options.v[i].option_name, .value = r.options.v[i].value};
	for (uint32_t i = 0; i < links.n; i++)
		*LIST_ADD(c->arena, &out->options) = (struct beanstalk_agent_option){
		        .namespace = links.v[i].namespace, .name = links.v[i].option_name, .value = links.v[i].value};
	return CALL_OK;
}

static int about(struct call *c, const void *input, struct authz *az)
{
	const struct beanstalk_agent_report_request *in = input;
	struct scope s = beanstalk_scope(c);
	struct environment_record r = {0};
	az->resource = environment_find(&s, in->environment_id, &r) ? r.environment->environment_arn
	                                                            : beanstalk_arn(&s, "environment", S("*"), S("*"));
	return CALL_OK;
}

static int about_definition(struct call *c, const void *input, struct authz *az)
{
	const struct beanstalk_agent_define_request *in = input;
	return about(c, &(struct beanstalk_agent_report_request){.environment_id = in->environment_id}, az);
}

static const struct service_op ops[] = {
        OP(beanstalk_agent, define, Define, .action = "elasticbeanstalk:PutInstanceStatistics", .resource = about_definition),
        OP(beanstalk_agent, report, Report, .action = "elasticbeanstalk:PutInstanceStatistics", .resource = about),
};

const struct service beanstalk_agent_service = {
        .api = &beanstalk_agent_api,
        .iam_prefix = "elasticbeanstalk",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(*ops),
};

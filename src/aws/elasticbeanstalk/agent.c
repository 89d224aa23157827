/* What an instance of an environment says of itself, and what it is told to run. Only the instance itself may: it proves who it is
 * by the session of its role. */
#include "environment.h"

#include "gen/beanstalk_agent.h"

static bool same_texts(const struct str_list *a, const struct str_list *b)
{
	bool same = a->n == b->n;
	for (uint32_t i = 0; same && i < a->n; i++)
		same = str_eq(a->v[i], b->v[i]);
	return same;
}

static bool take(struct environment_record *r, const struct beanstalk_agent_report_request *in)
{
	struct str failure = in->failure.n ? in->failure : STR_NONE;
	if (failure.n > 500)
		failure.n = 500;
	if (r->done.v == in->done.v && str_eq(r->failure, failure) && str_set(r->failure) == str_set(failure) &&
	    r->answers.v == in->answers.v && same_texts(&r->notes, &in->notes))
		return false;
	r->done = OPT_INT(in->done.v);
	r->failure = failure;
	r->answers = OPT_BOOL(in->answers.v);
	r->notes = in->notes;
	if (r->notes.n > 10)
		r->notes.n = 10;
	return true;
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
	if (!environment_find(&s, in->environment_id, &r) || !str_eq(r.instance, in->instance_id) ||
	    str_is(r.operation, "terminate") ||
	    !version_find(&s, r.environment->application_name, str_set(r.deploying) ? r.deploying : r.environment->version_label,
	                  &v))
		return CALL_OK;
	if (take(&r, in))
		environment_put(&s, &r);
	out->deployment = r.deployment;
	out->version_label = v.version->version_label;
	out->bucket = v.version->source_bundle->s3_bucket;
	out->key = v.version->source_bundle->s3_key;
	out->wsgi_path = option_value(&r, "aws:elasticbeanstalk:container:python", "WSGIPath");
	out->num_processes = option_value(&r, "aws:elasticbeanstalk:container:python", "NumProcesses");
	out->num_threads = option_value(&r, "aws:elasticbeanstalk:container:python", "NumThreads");
	for (uint32_t i = 0; i < r.options.n; i++)
		if (str_is(r.options.v[i].namespace, PROPERTIES))
			*LIST_ADD(c->arena, &out->properties) = (struct beanstalk_agent_property){
			        .name = r.options.v[i].option_name, .value = r.options.v[i].value};
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

static const struct service_op ops[] = {
        OP(beanstalk_agent, report, Report, .action = "elasticbeanstalk:PutInstanceStatistics", .resource = about),
};

const struct service beanstalk_agent_service = {
        .api = &beanstalk_agent_api,
        .iam_prefix = "elasticbeanstalk",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(*ops),
};

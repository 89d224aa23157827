/* What is asked of environments that are there: they are written down as they should be, and the keeper does the rest. */
#include "bundle.h"
#include "extra.h"
#include "health.h"

int environment_get_ready(struct call *c, struct str id, struct str name, struct environment_record *r)
{
	if (environment_get(c, id, name, r) != CALL_OK)
		return CALL_FAIL;
	if (str_is(r->environment->status, "Ready") && !str_set(r->operation))
		return CALL_OK;
	return beanstalk_invalid(c, "Environment named %.*s is in an invalid state for this operation. Must be Ready.",
	                         STR_ARG(r->environment->environment_name));
}

void environment_begin(struct call *c, struct environment_record *r, struct str operation, struct str status)
{
	const struct scope s = beanstalk_scope(c);
	environment_begin_as(&s, r, operation, status, c->request_id);
}

void environment_begin_as(const struct scope *s, struct environment_record *r, struct str operation, struct str status,
                          struct str request)
{
	r->operation = operation;
	r->request = request;
	r->step = OPT_INT(0);
	r->until = (struct opt_time){0};
	r->previous = (struct elasticbeanstalk_configuration_option_settings_list){0};
	r->leader = STR_NONE;
	r->environment->status = status;
	r->environment->abortable_operation_in_progress = OPT_BOOL(false);
	if (!health_enhanced(r))
		r->environment->health = S("Grey");
	r->environment->date_updated = OPT_TIME(s->now_ms);
}

/* Another platform of the same language is another instance with the same application. */
static int take_platform(struct call *c, struct environment_record *r, struct str stack, struct str arn)
{
	if (!str_set(stack) && !str_set(arn))
		return CALL_OK;
	const struct platform *p = platform_get(c, stack, arn), *was = platform_of(r->environment->solution_stack_name);
	if (!p)
		return CALL_FAIL;
	if (was && strcmp(was->name, p->name) != 0)
		return beanstalk_invalid(c, "The platform %s of an environment cannot be changed to %s.", was->branch, p->branch);
	r->environment->solution_stack_name = platform_stack(c->arena, p);
	r->environment->platform_arn = platform_arn(c->arena, c->region, p);
	return CALL_OK;
}

/* The options as they shall be. */
static int take_options(struct call *c, const struct elasticbeanstalk_update_environment_message *in,
                        const struct environment_record *before, const struct bundle *b,
                        const struct state_elasticbeanstalk_template_record *t, struct environment_record *r)
{
	static const char launch[] = "aws:autoscaling:launchconfiguration";
	r->said = r->extensions = (struct elasticbeanstalk_configuration_option_settings_list){0};
	if (options_check(c, &in->option_settings) != CALL_OK || extra_check_new(c, &in->option_settings) != CALL_OK)
		return CALL_FAIL;
	if (t->template && take_platform(c, r, STR_NONE, t->template->platform_arn) != CALL_OK)
		return CALL_FAIL;
	options_set(c->arena, &r->said, t->template ? &t->template->option_settings : options_said(before));
	options_set(c->arena, &r->said, &in->option_settings);
	options_remove(&r->said, &in->options_to_remove);
	if (b)
		bundle_options(c->arena, b, &r->extensions);
	else
		options_set(c->arena, &r->extensions, &before->extensions);
	options_resolve(c->arena, r);
	if (options_check(c, &r->options) != CALL_OK || options_match(c, r) != CALL_OK ||
	    worker_check_change(c, before, r) != CALL_OK || options_fixed(c, before, r) != CALL_OK)
		return CALL_FAIL;
	struct str profile = option_value(r, launch, "IamInstanceProfile");
	return str_eq(profile, option_value(before, launch, "IamInstanceProfile")) ? CALL_OK
	                                                                           : environment_check_profile(c, profile);
}

/* A bundle that cannot be deployed: events say why, and nothing is changed. */
static int reject(struct call *c, struct environment_record *r, const struct str_list *why)
{
	struct scope s = beanstalk_scope(c);
	r->request = c->request_id;
	environment_event(&s, r, "INFO", S("Environment update is starting."));
	for (uint32_t i = 0; i < why->n; i++)
		environment_event(&s, r, "ERROR", why->v[i]);
	environment_event(&s, r, "ERROR", S("Failed to deploy application."));
	return CALL_OK;
}

/* How what is wished comes to be. */
static void begin_update(struct call *c, const struct environment_record *before, struct environment_record *r, struct str label,
                         const struct bundle *b)
{
	struct scope s = beanstalk_scope(c);
	bool other_type = environment_many(before) != environment_many(r),
	     other_platform = !str_eq(before->environment->platform_arn, r->environment->platform_arn);
	enum option_change change = other_platform ? CHANGE_INSTANCES : options_change(before, r);
	bool deploys = str_set(label) && change != CHANGE_INSTANCES;
	environment_begin(c, r, other_type ? S("rebuild") : deploys ? S("deploy") : S("configure"), S("Updating"));
	change_begin(&s, r, before, deploys ? CHANGE_SERVER : change);
	r->deploying = str_set(label) ? label : r->environment->version_label;
	r->environment->abortable_operation_in_progress = OPT_BOOL(
	        !other_type && (deploys || change == CHANGE_SERVER || (change == CHANGE_INSTANCES && environment_many(r))));
	environment_event(&s, r, "INFO", S("Environment update is starting."));
	for (uint32_t i = 0; b && i < b->skipped.n; i++)
		environment_event(&s, r, "WARN", b->skipped.v[i]);
	if (!other_type)
		return;
	/* all that it is made of is of the one kind or of the other */
	r->retyped = OPT_BOOL(true);
	r->step = OPT_INT(0);
	environment_event(&s, r, "INFO",
	                  arena_printf(c->arena, "Updating environment %.*s's configuration settings.",
	                               STR_ARG(r->environment->environment_name)));
}

int environment_change(struct call *c, const struct elasticbeanstalk_update_environment_message *in, struct environment_record *r)
{
	struct scope s = beanstalk_scope(c);
	struct environment_record before;
	struct state_elasticbeanstalk_version_record v;
	struct state_elasticbeanstalk_template_record t = {0};
	const struct bundle *b = NULL;
	bool configures = in->option_settings.n || in->options_to_remove.n || str_set(in->template_name);
	if (environment_get_ready(c, in->environment_id, in->environment_name, &before) != CALL_OK ||
	    environment_check_tier(c, in->tier) != CALL_OK)
		return CALL_FAIL;
	struct elasticbeanstalk_environment_description *e = arena_new(c->arena, struct elasticbeanstalk_environment_description);
	*r = before;
	*e = *before.environment;
	r->environment = e;
	if (in->tier && !str_eq(in->tier->name, e->tier->name))
		return beanstalk_invalid(c, "Changing the tier of an environment is not supported.");
	if (take_platform(c, r, in->solution_stack_name, in->platform_arn) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->version_label)) {
		if (environment_check_version(c, e->application_name, in->version_label, &v) != CALL_OK)
			return CALL_FAIL;
		int said = bundle_of(c, v.version, &b);
		if (said != CALL_OK)
			return said;
		struct str_list why = {0};
		if (bundle_faults(c, b, &why))
			return reject(c, r, &why);
	}
	if (str_set(in->template_name)) {
		int said = template_saved(c, e->application_name, in->template_name, &t);
		if (said != CALL_OK)
			return said;
	}
	if (take_options(c, in, &before, b, &t, r) != CALL_OK)
		return CALL_FAIL;
	if (environment_is_worker(r) && environment_many(&before) != environment_many(r))
		return beanstalk_invalid(c, "Changing the type of a worker environment is not supported.");
	if (str_set(in->description))
		e->description = in->description.n ? in->description : STR_NONE;
	if (b && b->manifest.there && environment_take_links(c, &b->manifest, in->group_name, e) != CALL_OK)
		return CALL_FAIL;
	if (configures || str_set(in->version_label) || str_set(in->solution_stack_name) || str_set(in->platform_arn))
		begin_update(c, &before, r, in->version_label, b);
	environment_put(&s, r);
	return CALL_OK;
}

int elasticbeanstalk_update_environment(struct call *c, const struct elasticbeanstalk_update_environment_message *in,
                                        struct elasticbeanstalk_environment_description *out)
{
	struct environment_record r;
	int said = environment_change(c, in, &r);
	if (said == CALL_OK)
		*out = *r.environment;
	return said;
}

int elasticbeanstalk_restart_app_server(struct call *c, const struct elasticbeanstalk_restart_app_server_message *in,
                                        struct model_none *out)
{
	(void)out;
	struct scope s = beanstalk_scope(c);
	struct environment_record r;
	if (environment_get_ready(c, in->environment_id, in->environment_name, &r) != CALL_OK)
		return CALL_FAIL;
	environment_begin(c, &r, S("restart"), S("Updating"));
	r.deployment = OPT_INT(r.deployment.v + 1);
	r.deploying = r.environment->version_label;
	environment_event(&s, &r, "INFO", S("restartAppServer is starting."));
	environment_put(&s, &r);
	return CALL_OK;
}

int elasticbeanstalk_terminate_environment(struct call *c, const struct elasticbeanstalk_terminate_environment_message *in,
                                           struct elasticbeanstalk_environment_description *out)
{
	struct scope s = beanstalk_scope(c);
	struct environment_record r;
	if (in->terminate_resources.set && !in->terminate_resources.v)
		return beanstalk_invalid(c, "Leaving resources behind is not supported.");
	if (environment_get_ready(c, in->environment_id, in->environment_name, &r) != CALL_OK)
		return CALL_FAIL;
	environment_begin(c, &r, S("terminate"), S("Terminating"));
	environment_event(&s, &r, "INFO", S("terminateEnvironment is starting."));
	environment_put(&s, &r);
	*out = *r.environment;
	return CALL_OK;
}

int elasticbeanstalk_swap_environment_cnames(struct call *c, const struct elasticbeanstalk_swap_environment_cnames_message *in,
                                             struct model_none *out)
{
	(void)out;
	struct scope s = beanstalk_scope(c);
	struct environment_record one, other;
	if (environment_get_ready(c, in->source_environment_id, in->source_environment_name, &one) != CALL_OK ||
	    environment_get_ready(c, in->destination_environment_id, in->destination_environment_name, &other) != CALL_OK)
		return CALL_FAIL;
	if (environment_is_worker(&one) || environment_is_worker(&other))
		return beanstalk_invalid(c, "A worker environment has no CNAME.");
	if (str_eq(one.environment->environment_id, other.environment->environment_id))
		return beanstalk_combination(c, "The source and the destination environment must not be the same.");
	if (!call_allowed(c, "elasticbeanstalk:SwapEnvironmentCNAMEs", other.environment->environment_arn))
		return CALL_FAIL;
	struct str both = arena_printf(c->arena, " CNAMEs for environments '%.*s' and '%.*s'.",
	                               STR_ARG(one.environment->environment_name), STR_ARG(other.environment->environment_name));
	struct str cname = one.environment->cname;
	one.environment->cname = other.environment->cname;
	other.environment->cname = cname;
	one.request = other.request = c->request_id;
	environment_event(&s, &one, "INFO", S("swapEnvironmentCNAMEs is starting."));
	environment_event(&s, &one, "INFO", ARENA_CAT(c->arena, S("Swapping"), both));
	environment_event(&s, &one, "INFO", ARENA_CAT(c->arena, S("Completed swapping"), both));
	environment_put(&s, &one);
	environment_put(&s, &other);
	return CALL_OK;
}

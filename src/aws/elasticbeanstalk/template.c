/* Saved configurations: a platform and options under a name of an application. An environment that is made from one gets a copy. */
#include "environment.h"

/* Refuses what more than one of them says, and finds where the new one comes from: an environment, another one, or a platform. */
static int take_source(struct call *c, const struct elasticbeanstalk_create_configuration_template_message *in,
                       struct elasticbeanstalk_configuration_settings_description *d)
{
	const struct elasticbeanstalk_source_configuration *from = in->source_configuration;
	struct state_elasticbeanstalk_template_record other;
	struct environment_record r;
	if (from && str_set(in->environment_id))
		return beanstalk_combination(c, "Both SourceConfiguration and EnvironmentId may not be specified.");
	if (from) {
		struct str application = str_set(from->application_name) ? from->application_name : in->application_name;
		if (template_get(c, application, from->template_name, &other) != CALL_OK)
			return CALL_FAIL;
		options_set(c->arena, &d->option_settings, &other.template->option_settings);
		d->solution_stack_name = other.template->solution_stack_name;
		d->platform_arn = other.template->platform_arn;
	} else if (str_set(in->environment_id)) {
		if (environment_get(c, in->environment_id, STR_NONE, &r) != CALL_OK)
			return CALL_FAIL;
		if (!str_eq(r.environment->application_name, in->application_name))
			return beanstalk_invalid(c, "Environment %.*s is not of application %.*s.", STR_ARG(in->environment_id),
			                         STR_ARG(in->application_name));
		options_set(c->arena, &d->option_settings, &r.options);
		d->solution_stack_name = r.environment->solution_stack_name;
		d->platform_arn = r.environment->platform_arn;
	}
	if (str_set(d->platform_arn) && !str_set(in->solution_stack_name) && !str_set(in->platform_arn))
		return CALL_OK;
	const struct platform *p = platform_get(c, in->solution_stack_name, in->platform_arn);
	if (!p)
		return CALL_FAIL;
	struct str arn = platform_arn(c->arena, c->region, p);
	if (str_set(d->platform_arn) && !str_eq(arn, d->platform_arn))
		return beanstalk_combination(c, "The platform is not the one of the source: %.*s.",
		                             STR_ARG(d->solution_stack_name));
	d->solution_stack_name = platform_stack(c->arena, p);
	d->platform_arn = arn;
	return CALL_OK;
}

/* Replies of changes do not list the options. */
static void answer(const struct elasticbeanstalk_configuration_settings_description *d,
                   struct elasticbeanstalk_configuration_settings_description *out)
{
	*out = *d;
	out->option_settings = (struct elasticbeanstalk_configuration_option_settings_list){0};
}

int elasticbeanstalk_create_configuration_template(struct call *c,
                                                   const struct elasticbeanstalk_create_configuration_template_message *in,
                                                   struct elasticbeanstalk_configuration_settings_description *out)
{
	struct scope s = beanstalk_scope(c);
	struct state_elasticbeanstalk_application_record a;
	struct state_elasticbeanstalk_template_record r = {0};
	if (application_get(c, in->application_name, &a) != CALL_OK ||
	    beanstalk_check_name(c, "Template name", in->template_name) != CALL_OK)
		return CALL_FAIL;
	if (template_find(&s, in->application_name, in->template_name, &r))
		return beanstalk_invalid(c, "Configuration Template %.*s already exists.", STR_ARG(in->template_name));
	if (beanstalk_count(&s, "template") >= TEMPLATES_MAX)
		return call_fail(c, "TooManyConfigurationTemplatesException", 400,
		                 "Maximum number of Configuration Templates (%d) reached.", TEMPLATES_MAX);
	r.template = arena_new(c->arena, struct elasticbeanstalk_configuration_settings_description);
	*r.template = (struct elasticbeanstalk_configuration_settings_description){.application_name = in->application_name,
	                                                                           .template_name = in->template_name,
	                                                                           .description = in->description,
	                                                                           .date_created = OPT_TIME(c->now_ms),
	                                                                           .date_updated = OPT_TIME(c->now_ms)};
	if (take_source(c, in, r.template) != CALL_OK || options_check(c, &in->option_settings) != CALL_OK ||
	    tags_check(c, &in->tags) != CALL_OK)
		return CALL_FAIL;
	options_set(c->arena, &r.template->option_settings, &in->option_settings);
	if (options_check(c, &r.template->option_settings) != CALL_OK) /* together they may be too long */
		return CALL_FAIL;
	int said = template_write(c, r.template);
	if (said != CALL_OK)
		return said;
	tags_copy(c->arena, &in->tags, &r.tags);
	template_put(&s, &r);
	answer(r.template, out);
	return CALL_OK;
}

int elasticbeanstalk_update_configuration_template(struct call *c,
                                                   const struct elasticbeanstalk_update_configuration_template_message *in,
                                                   struct elasticbeanstalk_configuration_settings_description *out)
{
	struct scope s = beanstalk_scope(c);
	struct state_elasticbeanstalk_template_record r;
	if (template_get(c, in->application_name, in->template_name, &r) != CALL_OK ||
	    options_check(c, &in->option_settings) != CALL_OK)
		return CALL_FAIL;
	options_remove(&r.template->option_settings, &in->options_to_remove);
	options_set(c->arena, &r.template->option_settings, &in->option_settings);
	if (options_check(c, &r.template->option_settings) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->description))
		r.template->description = in->description.n ? in->description : STR_NONE;
	r.template->date_updated = OPT_TIME(c->now_ms);
	int said = template_write(c, r.template);
	if (said != CALL_OK)
		return said;
	template_put(&s, &r);
	answer(r.template, out);
	return CALL_OK;
}

int elasticbeanstalk_delete_configuration_template(struct call *c,
                                                   const struct elasticbeanstalk_delete_configuration_template_message *in,
                                                   struct model_none *out)
{
	(void)out;
	struct scope s = beanstalk_scope(c);
	struct state_elasticbeanstalk_template_record r;
	if (template_get(c, in->application_name, in->template_name, &r) != CALL_OK)
		return CALL_FAIL;
	int said = template_erase(c, in->application_name, in->template_name);
	if (said != CALL_OK)
		return said;
	template_drop(&s, in->application_name, in->template_name);
	return CALL_OK;
}

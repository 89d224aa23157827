/* Configuration options: what an environment says of them, and what is told of all that there are. */
#include "option.h"
#include "extra.h"

/* Resources are named by tools for others as well, which have but one. */
static bool same_option(const struct elasticbeanstalk_configuration_option_setting *one,
                        const struct elasticbeanstalk_configuration_option_setting *other)
{
	return str_eq(one->namespace, other->namespace) && str_eq(one->option_name, other->option_name) &&
	       (!str_is(one->namespace, SCHEDULED) || str_eq(one->resource_name, other->resource_name));
}

void options_set(struct arena *a, struct elasticbeanstalk_configuration_option_settings_list *l,
                 const struct elasticbeanstalk_configuration_option_settings_list *more)
{
	l->set = true;
	for (uint32_t i = 0; i < more->n; i++) {
		uint32_t at = 0;
		while (at < l->n && !same_option(&l->v[at], &more->v[i]))
			at++;
		if (at == l->n)
			LIST_ADD(a, l);
		l->v[at] = more->v[i];
	}
}

void options_remove(struct elasticbeanstalk_configuration_option_settings_list *l,
                    const struct elasticbeanstalk_options_specifier_list *which)
{
	for (uint32_t i = 0; i < which->n; i++) {
		uint32_t left = 0;
		for (uint32_t k = 0; k < l->n; k++)
			if (!str_eq(l->v[k].namespace, which->v[i].namespace) ||
			    !str_eq(l->v[k].option_name, which->v[i].option_name) ||
			    (str_is(which->v[i].namespace, SCHEDULED) && !str_eq(l->v[k].resource_name, which->v[i].resource_name)))
				l->v[left++] = l->v[k];
		l->n = left;
	}
}

const struct elasticbeanstalk_configuration_option_settings_list *options_said(const struct environment_record *r)
{
	return r->said.set ? &r->said : &r->options; /* one of before has said all of them */
}

void options_resolve(struct arena *a, struct environment_record *r)
{
	r->options = (struct elasticbeanstalk_configuration_option_settings_list){0};
	options_set(a, &r->options, &r->extensions);
	options_set(a, &r->options, &r->said);
}

/* What the options of `one` are, and `other` has otherwise or not at all: how bad is the worst? */
static enum option_change differs(const struct environment_record *one, const struct environment_record *other)
{
	enum option_change worst = CHANGE_NONE;
	for (uint32_t i = 0; i < one->options.n; i++) {
		const struct elasticbeanstalk_configuration_option_setting *o = &one->options.v[i];
		const struct option *known = option_find(o->namespace, o->option_name);
		enum option_change change = !known || strcmp(known->severity, OPTION_SERVER) == 0 ? CHANGE_SERVER
		                            : strcmp(known->severity, OPTION_ALL) == 0            ? CHANGE_INSTANCES
		                                                                                  : CHANGE_NONE;
		struct str before = known && known->value ? str_from(known->value) : STR_NONE;
		for (uint32_t k = 0; k < other->options.n; k++)
			if (same_option(&other->options.v[k], o))
				before = other->options.v[k].value;
		if ((str_set(before) != str_set(o->value) || !str_eq(before, o->value)) && change > worst)
			worst = change;
	}
	return worst;
}

enum option_change options_change(const struct environment_record *before, const struct environment_record *after)
{
	enum option_change came = differs(after, before), went = differs(before, after);
	return came > went ? came : went;
}

bool environment_many(const struct environment_record *r)
{
	return !str_is(option_value(r, "aws:elasticbeanstalk:environment", "EnvironmentType"), "SingleInstance");
}

bool environment_balanced(const struct environment_record *r)
{
	return environment_many(r) && !environment_is_worker(r);
}

int64_t option_number(const struct environment_record *r, const char *namespace, const char *name)
{
	int64_t n = 0;
	str_to_i64(option_value(r, namespace, name), &n);
	return n;
}

struct str option_value(const struct environment_record *r, const char *namespace, const char *name)
{
	for (uint32_t i = 0; i < r->options.n; i++)
		if (str_is(r->options.v[i].namespace, namespace) && str_is(r->options.v[i].option_name, name))
			return r->options.v[i].value;
	const struct option *known = option_find(str_from(namespace), str_from(name));
	return known && known->value ? str_from(known->value) : STR_NONE;
}

/* A template's options as if an environment had them; name absent: there are none. */
static int options_of_template(struct call *c, struct str application, struct str name, struct environment_record *ret,
                               struct elasticbeanstalk_configuration_settings_description *of)
{
	struct state_elasticbeanstalk_template_record t;
	*ret = (struct environment_record){0};
	*of = (struct elasticbeanstalk_configuration_settings_description){0};
	if (!str_set(name))
		return CALL_OK;
	int said = template_saved(c, application, name, &t);
	if (said != CALL_OK)
		return said;
	ret->options = t.template->option_settings;
	*of = *t.template;
	of->option_settings = (struct elasticbeanstalk_configuration_option_settings_list){0};
	return CALL_OK;
}

/* Settings of these are told where they are said alone: of what environments have by names, and of what none has. */
static bool is_hidden(struct str namespace)
{
	return str_is(namespace, SCHEDULED) || routes_is_process(namespace) || routes_is_rule(namespace) ||
	       str_starts(namespace, S("aws:elb:")) || str_starts(namespace, S("aws:rds:"));
}

int elasticbeanstalk_describe_configuration_settings(struct call *c,
                                                     const struct elasticbeanstalk_describe_configuration_settings_message *in,
                                                     struct elasticbeanstalk_configuration_settings_descriptions *out)
{
	struct scope s = beanstalk_scope(c);
	struct elasticbeanstalk_configuration_settings_description *d;
	struct environment_record r;
	if (!str_set(in->template_name) == !str_set(in->environment_name))
		return beanstalk_combination(c, "You must specify either an EnvironmentName or a TemplateName, and not both.");
	out->configuration_settings = (struct elasticbeanstalk_configuration_settings_description_list){0}; /* of a run before */
	d = LIST_ADD(c->arena, &out->configuration_settings);
	int found = options_of_template(c, in->application_name, in->template_name, &r, d);
	if (found != CALL_OK)
		return found;
	if (str_set(in->environment_name)) {
		if (environment_get(c, STR_NONE, in->environment_name, &r) != CALL_OK)
			return CALL_FAIL;
		const struct elasticbeanstalk_environment_description *e = r.environment;
		*d = (struct elasticbeanstalk_configuration_settings_description){.solution_stack_name = e->solution_stack_name,
		                                                                  .platform_arn = e->platform_arn,
		                                                                  .application_name = e->application_name,
		                                                                  .description = e->description,
		                                                                  .environment_name = e->environment_name,
		                                                                  .deployment_status = S("deployed"),
		                                                                  .date_created = e->date_created,
		                                                                  .date_updated = e->date_updated};
	}
	out->configuration_settings.set = true;
	const struct option *o;
	bool of_template = str_set(in->template_name); /* it may become a worker's */
	for (uint32_t n = 0; (o = option_at(n)); n++)
		if (!is_hidden(str_from(o->namespace)) && option_of_platform(o, d->solution_stack_name) &&
		    (environment_is_worker(&r) || strcmp(o->namespace, SQSD) != 0))
			*LIST_ADD(c->arena, &d->option_settings) = (struct elasticbeanstalk_configuration_option_setting){
			        .namespace = str_from(o->namespace),
			        .option_name = str_from(o->name),
			        .value = option_value(&r, o->namespace, o->name)};
	for (uint32_t i = 0; i < r.options.n; i++)
		if (option_is_free(r.options.v[i].namespace) || is_hidden(r.options.v[i].namespace) ||
		    listener_is_port(r.options.v[i].namespace) || (of_template && str_is(r.options.v[i].namespace, SQSD)))
			*LIST_ADD(c->arena, &d->option_settings) = r.options.v[i];
	if (str_set(in->environment_name))
		links_resolve(&s, &r, &d->option_settings);
	return CALL_OK;
}

/* --- what options there are */

static bool asked(const struct elasticbeanstalk_options_specifier_list *l, const struct option *o)
{
	for (uint32_t i = 0; i < l->n; i++)
		if ((!str_set(l->v[i].namespace) || str_is(l->v[i].namespace, o->namespace)) &&
		    (!str_set(l->v[i].option_name) || str_is(l->v[i].option_name, o->name)))
			return true;
	return !l->n;
}

static void describe(struct arena *a, const struct option *o, struct elasticbeanstalk_configuration_option_description *ret)
{
	*ret = (struct elasticbeanstalk_configuration_option_description){.namespace = str_from(o->namespace),
	                                                                  .name = str_from(o->name),
	                                                                  .default_value = o->value ? str_from(o->value) : STR_NONE,
	                                                                  .change_severity = str_from(o->severity),
	                                                                  .user_defined = OPT_BOOL(false),
	                                                                  .value_type = S("Scalar")};
	struct str rest = o->kind == CHOICE ? str_from(o->choices) : STR_NONE;
	while (str_set(rest))
		*LIST_ADD(a, &ret->value_options) = str_cut(&rest, ',');
	ret->value_options.set = o->kind == CHOICE;
	if (o->kind == NUMBER) {
		ret->min_value = OPT_INT(o->least);
		ret->max_value = OPT_INT(o->most);
	}
}

int elasticbeanstalk_describe_configuration_options(struct call *c,
                                                    const struct elasticbeanstalk_describe_configuration_options_message *in,
                                                    struct elasticbeanstalk_configuration_options_description *out)
{
	struct elasticbeanstalk_configuration_settings_description of;
	const struct option *o;
	struct environment_record r;
	int found = options_of_template(c, in->application_name, in->template_name, &r, &of);
	if (found != CALL_OK)
		return found;
	if (str_set(in->template_name)) {
		out->solution_stack_name = of.solution_stack_name;
		out->platform_arn = of.platform_arn;
	} else if (str_set(in->environment_name)) {
		if (environment_get(c, STR_NONE, in->environment_name, &r) != CALL_OK)
			return CALL_FAIL;
		out->solution_stack_name = r.environment->solution_stack_name;
		out->platform_arn = r.environment->platform_arn;
	} else {
		const struct platform *p = platform_get(c, in->solution_stack_name, in->platform_arn);
		if (!p)
			return CALL_FAIL;
		out->solution_stack_name = platform_stack(c->arena, p);
		out->platform_arn = platform_arn(c->arena, c->region, p);
	}
	out->options.set = true;
	for (uint32_t n = 0; (o = option_at(n)); n++)
		if (option_of_platform(o, out->solution_stack_name) && asked(&in->options, o))
			describe(c->arena, o, LIST_ADD(c->arena, &out->options));
	return CALL_OK;
}

/* Each is judged for itself, and what is wrong is said instead of refused. */
int elasticbeanstalk_validate_configuration_settings(struct call *c,
                                                     const struct elasticbeanstalk_validate_configuration_settings_message *in,
                                                     struct elasticbeanstalk_configuration_settings_validation_messages *out)
{
	struct state_elasticbeanstalk_application_record a;
	struct elasticbeanstalk_configuration_settings_description of;
	struct environment_record r;
	if (application_get(c, in->application_name, &a) != CALL_OK)
		return CALL_FAIL;
	int found = options_of_template(c, in->application_name, in->template_name, &r, &of);
	if (found != CALL_OK)
		return found;
	if (str_set(in->environment_name) && environment_get(c, STR_NONE, in->environment_name, &r) != CALL_OK)
		return CALL_FAIL;
	out->messages.set = true;
	for (uint32_t i = 0; i < in->option_settings.n; i++) {
		const struct elasticbeanstalk_configuration_option_setting *o = &in->option_settings.v[i];
		struct str why = option_fault(c, o);
		if (!str_set(why))
			continue;
		*LIST_ADD(c->arena, &out->messages) = (struct elasticbeanstalk_validation_message){
		        .message = why, .severity = S("error"), .namespace = o->namespace, .option_name = o->option_name};
	}
	return CALL_OK;
}

/* What is asked of environments: they are written down as they should be, and the keeper does the rest. */
#include "health.h"

#include "aws/ec2/ec2.h"
#include "aws/iam/iam.h"
#include "base/rand.h"

static struct str random_text(struct arena *a, size_t n, const char *of)
{
	char *p = arena_alloc(a, n + 1);
	for (size_t i = 0; i < n; i++)
		p[i] = of[rand_below((uint32_t)strlen(of))];
	p[n] = 0;
	return str_of(p, n);
}
#define LOWER "abcdefghijklmnopqrstuvwxyz23456789"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

struct str environment_suffix(struct arena *a)
{
	return random_text(a, 12, UPPER);
}

static bool is_label(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-')
			return false;
	return s.n && s.p[0] != '-' && s.p[s.n - 1] != '-';
}

int elasticbeanstalk_check_dns_availability(struct call *c, const struct elasticbeanstalk_check_dns_availability_message *in,
                                            struct elasticbeanstalk_check_dns_availability_result_message *out)
{
	struct scope s = beanstalk_scope(c);
	if (!is_label(in->cname_prefix))
		return beanstalk_invalid(c, "Invalid CNAME prefix '%.*s'.", STR_ARG(in->cname_prefix));
	out->available = OPT_BOOL(!cname_taken(&s, in->cname_prefix));
	if (out->available.v)
		out->fully_qualified_cname = ARENA_CAT(c->arena, in->cname_prefix, S("."), c->region, S(".elasticbeanstalk.com"));
	return CALL_OK;
}

static int check_profile(struct call *c, struct str profile)
{
	struct str arn, id, role = STR_NONE;
	if (!profile.n)
		return beanstalk_invalid(c, "Environment must have instance profile associated with it.");
	if (!iam_find_profile(c->cloud, c->arena, c->account, profile, &arn, &id, &role))
		return beanstalk_invalid(c, "The instance profile %.*s associated with the environment does not exist.",
		                         STR_ARG(profile));
	if (!str_set(role))
		return beanstalk_invalid(c, "The instance profile %.*s has no role.", STR_ARG(profile));
	struct authz az = {.action = S("iam:PassRole"), .resource = role};
	authz_add(c, &az, "iam:PassedToService", S("ec2.amazonaws.com"));
	return call_authorize(c, &az) ? CALL_OK : CALL_FAIL;
}

static int check_tier(struct call *c, const struct elasticbeanstalk_environment_tier *t)
{
	if (!t || (str_is(t->name, "WebServer") && (!t->type.n || str_is(t->type, "Standard"))) ||
	    (str_is(t->name, "Worker") && (!t->type.n || str_is(t->type, "SQS/HTTP"))))
		return CALL_OK;
	return beanstalk_invalid(c, "The tier %.*s/%.*s is not supported.", STR_ARG(t->name), STR_ARG(t->type));
}

static int check_name(struct call *c, struct str name)
{
	struct scope s = beanstalk_scope(c);
	if (!str_set(name))
		return beanstalk_combination(c, "An EnvironmentName is needed.");
	if (!is_label(name))
		return beanstalk_invalid(c,
		                         "Value %.*s at 'EnvironmentName' failed to satisfy constraint: Member must contain only "
		                         "letters, digits, and the dash character and may not start or end with a dash",
		                         STR_ARG(name));
	if (str_set(environment_named(&s, name)))
		return beanstalk_invalid(c, "Environment %.*s already exists.", STR_ARG(name));
	return CALL_OK;
}

static int choose_cname(struct call *c, const struct elasticbeanstalk_create_environment_message *in, struct str *ret)
{
	struct scope s = beanstalk_scope(c);
	struct str prefix = str_set(in->cname_prefix) ? in->cname_prefix : in->environment_name;
	if (str_set(in->cname_prefix) && !is_label(prefix))
		return beanstalk_invalid(c, "Invalid CNAME prefix '%.*s'.", STR_ARG(prefix));
	if (cname_taken(&s, prefix)) {
		if (str_set(in->cname_prefix))
			return beanstalk_invalid(c, "DNS name (%.*s.%.*s.elasticbeanstalk.com) is not available.", STR_ARG(prefix),
			                         STR_ARG(c->region));
		prefix = ARENA_CAT(c->arena, prefix, S(".eba-"), random_text(c->arena, 8, LOWER));
	}
	char *name = arena_dupz(c->arena, prefix);
	for (size_t i = 0; i < prefix.n; i++)
		name[i] = ascii_lower(name[i]);
	*ret = ARENA_CAT(c->arena, str_of(name, prefix.n), S("."), c->region, S(".elasticbeanstalk.com"));
	return CALL_OK;
}

/* The version that an environment shall run. */
static int check_version(struct call *c, struct str application, struct str label)
{
	struct state_elasticbeanstalk_version_record v;
	if (!str_set(label))
		return beanstalk_invalid(c, "A VersionLabel is needed: sample applications are not supported.");
	return version_get(c, application, label, &v);
}

static int check_create(struct call *c, const struct elasticbeanstalk_create_environment_message *in)
{
	struct scope s = beanstalk_scope(c);
	struct state_elasticbeanstalk_application_record a;
	if (application_get(c, in->application_name, &a) != CALL_OK || check_name(c, in->environment_name) != CALL_OK ||
	    check_tier(c, in->tier) != CALL_OK)
		return CALL_FAIL;
	if (in->tier && str_is(in->tier->name, "Worker") && str_set(in->cname_prefix))
		return beanstalk_combination(c, "A worker environment has no CNAME.");
	if (str_set(in->group_name) || str_set(in->operations_role))
		return beanstalk_invalid(c, "Environment groups and operations roles are not supported.");
	if (check_version(c, in->application_name, in->version_label) != CALL_OK || tags_check(c, &in->tags) != CALL_OK ||
	    options_check(c, &in->option_settings) != CALL_OK)
		return CALL_FAIL;
	if (environment_count(&s, STR_NONE) >= ENVIRONMENTS_MAX)
		return call_fail(c, "TooManyEnvironmentsException", 400, "Maximum number of Environments (%d) reached.",
		                 ENVIRONMENTS_MAX);
	return CALL_OK;
}

/* What a saved configuration says, if one is named, goes into the options. */
static const struct platform *take_platform(struct call *c, const struct elasticbeanstalk_create_environment_message *in,
                                            struct environment_record *r)
{
	struct state_elasticbeanstalk_template_record t;
	if (!str_set(in->template_name))
		return platform_get(c, in->solution_stack_name, in->platform_arn);
	if (str_set(in->solution_stack_name) || str_set(in->platform_arn)) {
		beanstalk_combination(c, "A TemplateName and a platform may not both be specified.");
		return NULL;
	}
	if (template_get(c, in->application_name, in->template_name, &t) != CALL_OK)
		return NULL;
	options_set(c->arena, &r->options, &t.template->option_settings);
	return platform_get(c, STR_NONE, t.template->platform_arn);
}

int elasticbeanstalk_create_environment(struct call *c, const struct elasticbeanstalk_create_environment_message *in,
                                        struct elasticbeanstalk_environment_description *out)
{
	struct scope s = beanstalk_scope(c);
	struct environment_record r = {0};
	struct ec2_default_image image;
	struct str cname = STR_NONE;
	if (check_create(c, in) != CALL_OK)
		return CALL_FAIL;
	const struct platform *p = take_platform(c, in, &r);
	if (!p)
		return CALL_FAIL;
	bool works = in->tier && str_is(in->tier->name, "Worker");
	struct elasticbeanstalk_environment_tier *tier = arena_new(c->arena, struct elasticbeanstalk_environment_tier);
	*tier = (struct elasticbeanstalk_environment_tier){works ? S("Worker") : S("WebServer"),
	                                                   works ? S("SQS/HTTP") : S("Standard"), S("1.0")};
	r.environment = arena_new(c->arena, struct elasticbeanstalk_environment_description);
	r.environment->tier = tier;
	options_remove(&r.options, &in->options_to_remove);
	options_set(c->arena, &r.options, &in->option_settings);
	if (works)
		worker_default(c->arena, &r.options);
	if (options_check(c, &r.options) != CALL_OK || options_match(c, &r) != CALL_OK ||
	    check_profile(c, option_value(&r, "aws:autoscaling:launchconfiguration", "IamInstanceProfile")) != CALL_OK ||
	    worker_check(c, &r) != CALL_OK || (!works && choose_cname(c, in, &cname) != CALL_OK))
		return CALL_FAIL;
	if (!ec2_find_default_image(c, &image))
		return beanstalk_invalid(c, "There is no machine image that the platform could run on.");
	*r.environment = (struct elasticbeanstalk_environment_description){
	        .environment_name = in->environment_name,
	        .environment_id = ARENA_CAT(c->arena, S("e-"), random_text(c->arena, 10, LOWER)),
	        .application_name = in->application_name,
	        .version_label = in->version_label,
	        .solution_stack_name = platform_stack(c->arena, p),
	        .platform_arn = platform_arn(c->arena, c->region, p),
	        .description = in->description,
	        .cname = cname,
	        .date_created = OPT_TIME(c->now_ms),
	        .date_updated = OPT_TIME(c->now_ms),
	        .status = S("Launching"),
	        .abortable_operation_in_progress = OPT_BOOL(false),
	        .health = S("Grey"),
	        .tier = tier,
	        .environment_arn = beanstalk_arn(&s, "environment", in->application_name, in->environment_name)};
	tags_copy(c->arena, &in->tags, &r.tags);
	r.image = image.id;
	r.suffix = environment_suffix(c->arena);
	r.operation = S("create");
	r.request = c->request_id;
	r.step = OPT_INT(0);
	r.deployment = OPT_INT(1);
	r.deploying = in->version_label;
	environment_event(&s, &r, "INFO", S("createEnvironment is starting."));
	environment_put(&s, &r);
	*out = *r.environment;
	return CALL_OK;
}

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
	r->operation = operation;
	r->request = c->request_id;
	r->step = OPT_INT(0);
	r->until = (struct opt_time){0};
	r->previous = (struct elasticbeanstalk_configuration_option_settings_list){0};
	r->leader = STR_NONE;
	r->environment->status = status;
	r->environment->abortable_operation_in_progress = OPT_BOOL(false);
	if (!health_enhanced(r))
		r->environment->health = S("Grey");
	r->environment->date_updated = OPT_TIME(c->now_ms);
}

/* The platform is the one that it has. */
static int check_platform(struct call *c, const struct environment_record *r, struct str stack, struct str arn)
{
	if (!str_set(stack) && !str_set(arn))
		return CALL_OK;
	const struct platform *p = platform_get(c, stack, arn);
	if (!p)
		return CALL_FAIL;
	return str_eq(platform_arn(c->arena, c->region, p), r->environment->platform_arn)
	               ? CALL_OK
	               : beanstalk_invalid(c, "Changing the platform of an environment is not supported.");
}

/* The options as they shall be. */
static int take_options(struct call *c, const struct elasticbeanstalk_update_environment_message *in,
                        const struct environment_record *before, struct environment_record *r)
{
	static const char launch[] = "aws:autoscaling:launchconfiguration";
	struct state_elasticbeanstalk_template_record t = {0};
	r->options = (struct elasticbeanstalk_configuration_option_settings_list){0};
	if (options_check(c, &in->option_settings) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->template_name) && (template_get(c, r->environment->application_name, in->template_name, &t) != CALL_OK ||
	                                   check_platform(c, r, STR_NONE, t.template->platform_arn) != CALL_OK))
		return CALL_FAIL;
	options_set(c->arena, &r->options, t.template ? &t.template->option_settings : &before->options);
	options_set(c->arena, &r->options, &in->option_settings);
	options_remove(&r->options, &in->options_to_remove);
	if (options_check(c, &r->options) != CALL_OK || options_match(c, r) != CALL_OK ||
	    worker_check_change(c, before, r) != CALL_OK)
		return CALL_FAIL;
	struct str profile = option_value(r, launch, "IamInstanceProfile");
	return str_eq(profile, option_value(before, launch, "IamInstanceProfile")) ? CALL_OK : check_profile(c, profile);
}

int elasticbeanstalk_update_environment(struct call *c, const struct elasticbeanstalk_update_environment_message *in,
                                        struct elasticbeanstalk_environment_description *out)
{
	struct scope s = beanstalk_scope(c);
	struct environment_record before, r;
	bool configures = in->option_settings.n || in->options_to_remove.n || str_set(in->template_name);
	if (environment_get_ready(c, in->environment_id, in->environment_name, &before) != CALL_OK ||
	    check_tier(c, in->tier) != CALL_OK)
		return CALL_FAIL;
	r = before;
	if (in->tier && !str_eq(in->tier->name, r.environment->tier->name))
		return beanstalk_invalid(c, "Changing the tier of an environment is not supported.");
	if (str_set(in->group_name))
		return beanstalk_invalid(c, "Environment groups are not supported.");
	if (check_platform(c, &r, in->solution_stack_name, in->platform_arn) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->version_label) && check_version(c, r.environment->application_name, in->version_label) != CALL_OK)
		return CALL_FAIL;
	if (take_options(c, in, &before, &r) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->description))
		r.environment->description = in->description.n ? in->description : STR_NONE;
	enum option_change change = options_change(&before, &r);
	if (environment_balanced(&before) != environment_balanced(&r))
		return beanstalk_invalid(c, "Changing the type of an environment is not supported.");
	if (configures || str_set(in->version_label)) {
		bool deploys = str_set(in->version_label) && change != CHANGE_INSTANCES;
		environment_begin(c, &r, deploys ? S("deploy") : S("configure"), S("Updating"));
		change_begin(&s, &r, &before.options, deploys ? CHANGE_SERVER : change);
		r.deploying = str_set(in->version_label) ? in->version_label : r.environment->version_label;
		r.environment->abortable_operation_in_progress =
		        OPT_BOOL((deploys || change == CHANGE_SERVER) && !environment_balanced(&r));
		environment_event(&s, &r, "INFO", S("Environment update is starting."));
	}
	environment_put(&s, &r);
	*out = *r.environment;
	return CALL_OK;
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

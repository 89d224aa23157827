/* Environments as they are made: what the request, a saved configuration and the bundle say together becomes a record, and the
 * keeper does the rest. */
#include "bundle.h"
#include "extra.h"

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

int environment_check_profile(struct call *c, struct str profile)
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

int environment_check_tier(struct call *c, const struct elasticbeanstalk_environment_tier *t)
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

static int choose_cname(struct call *c, struct str wish, struct str environment, struct str *ret)
{
	struct scope s = beanstalk_scope(c);
	struct str prefix = str_set(wish) ? wish : environment;
	if (str_set(wish) && !is_label(prefix))
		return beanstalk_invalid(c, "Invalid CNAME prefix '%.*s'.", STR_ARG(prefix));
	if (cname_taken(&s, prefix)) {
		if (str_set(wish))
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

int environment_check_version(struct call *c, struct str application, struct str label,
                              struct state_elasticbeanstalk_version_record *ret)
{
	if (version_get(c, application, label, ret) != CALL_OK)
		return CALL_FAIL;
	if (str_is(ret->version->status, "FAILED"))
		return beanstalk_invalid(c, "Application Version %.*s has failed processing and cannot be deployed.",
		                         STR_ARG(label));
	return CALL_OK;
}

/* --- what the environment manifest says where the request does not */

/* A name that ends in "+" is one of the group's. */
int environment_in_group(struct call *c, struct str said, struct str group, struct str *ret)
{
	*ret = said;
	if (!str_ends(said, S("+")))
		return CALL_OK;
	if (!str_set(group))
		return beanstalk_combination(c, "The name '%.*s' in env.yaml needs a GroupName.", STR_ARG(said));
	*ret = ARENA_CAT(c->arena, str_sub(said, 0, said.n - 1), S("-"), group);
	return CALL_OK;
}

int environment_take_links(struct call *c, const struct manifest *m, struct str group,
                           struct elasticbeanstalk_environment_description *e)
{
	e->environment_links = (struct elasticbeanstalk_environment_links){.set = m->links.n > 0};
	for (uint32_t i = 0; i < m->links.n; i++) {
		struct str to;
		if (environment_in_group(c, m->links.v[i].environment_name, group, &to) != CALL_OK)
			return CALL_FAIL;
		if (!option_is_property(m->links.v[i].link_name))
			return beanstalk_invalid(c, "The link '%.*s' in env.yaml cannot be an environment property.",
			                         STR_ARG(m->links.v[i].link_name));
		*LIST_ADD(c->arena, &e->environment_links) =
		        (struct elasticbeanstalk_environment_link){m->links.v[i].link_name, to};
	}
	return CALL_OK;
}

int environment_check_links(struct call *c, const struct environment_record *r)
{
	struct scope s = beanstalk_scope(c);
	const struct elasticbeanstalk_environment_links *l = &r->environment->environment_links;
	for (uint32_t i = 0; i < l->n; i++)
		if (!str_set(environment_named(&s, l->v[i].environment_name)))
			return beanstalk_invalid(c, "No Environment found for EnvironmentName = '%.*s'.",
			                         STR_ARG(l->v[i].environment_name));
	return CALL_OK;
}

/* The request, with what the manifest adds to it. */
static int with_manifest(struct call *c, const struct bundle *b, struct elasticbeanstalk_create_environment_message *in)
{
	const struct manifest *m = &b->manifest;
	bool of_group = !str_set(in->environment_name) && str_ends(m->name, S("+"));
	if (str_set(in->group_name) && !of_group)
		return beanstalk_combination(
		        c, "A GroupName is for environments that env.yaml gives a name with '+' at its end, and the request none.");
	if (!str_set(in->environment_name) && environment_in_group(c, m->name, in->group_name, &in->environment_name) != CALL_OK)
		return CALL_FAIL;
	if (!str_set(in->cname_prefix) && environment_in_group(c, m->cname, in->group_name, &in->cname_prefix) != CALL_OK)
		return CALL_FAIL;
	if (!str_set(in->solution_stack_name) && !str_set(in->platform_arn) && !str_set(in->template_name)) {
		in->platform_arn = m->platform;
		in->solution_stack_name = str_set(m->platform) ? STR_NONE : m->stack;
	}
	if (!in->tier && str_set(m->tier_name)) {
		in->tier = arena_new(c->arena, struct elasticbeanstalk_environment_tier);
		*in->tier = (struct elasticbeanstalk_environment_tier){m->tier_name, m->tier_type, STR_NONE};
	}
	struct elasticbeanstalk_tags own = in->tags;
	in->tags = (struct elasticbeanstalk_tags){0};
	for (uint32_t i = 0; i < own.n; i++)
		*LIST_ADD(c->arena, &in->tags) = own.v[i];
	for (uint32_t i = 0; i < m->tags.n; i++) {
		bool said = false;
		for (uint32_t k = 0; k < own.n; k++)
			said |= str_eq(own.v[k].key, m->tags.v[i].key);
		if (!said)
			*LIST_ADD(c->arena, &in->tags) = m->tags.v[i];
	}
	return CALL_OK;
}

/* --- the creation */

/* What an environment that another one is like is made with, where the request does not say it. */
static int take_source(struct call *c, struct elasticbeanstalk_create_environment_message *in, struct environment_record *r)
{
	const struct elasticbeanstalk_template_source *from =
	        in->template_specification ? in->template_specification->template_source : NULL;
	struct environment_record other;
	if (!from || !str_set(from->environment_name))
		return CALL_OK;
	if (environment_get(c, STR_NONE, from->environment_name, &other) != CALL_OK)
		return CALL_FAIL;
	if (!str_eq(other.environment->application_name, in->application_name))
		return beanstalk_invalid(c, "Environment %.*s is not of application %.*s.", STR_ARG(from->environment_name),
		                         STR_ARG(in->application_name));
	if (!str_set(in->solution_stack_name) && !str_set(in->platform_arn) && !str_set(in->template_name))
		in->platform_arn = other.environment->platform_arn;
	if (!str_set(in->version_label) && !sample_is(other.environment->version_label))
		in->version_label = other.environment->version_label;
	if (!in->tier)
		in->tier = other.environment->tier;
	options_set(c->arena, &r->said, options_said(&other));
	return CALL_OK;
}

static int check_create(struct call *c, const struct elasticbeanstalk_create_environment_message *in)
{
	struct scope s = beanstalk_scope(c);
	if (check_name(c, in->environment_name) != CALL_OK || environment_check_tier(c, in->tier) != CALL_OK)
		return CALL_FAIL;
	if (in->tier && str_is(in->tier->name, "Worker") && str_set(in->cname_prefix))
		return beanstalk_combination(c, "A worker environment has no CNAME.");
	if (str_set(in->operations_role))
		return beanstalk_invalid(c, "Operations roles are not supported.");
	if (tags_check(c, &in->tags) != CALL_OK || options_check(c, &in->option_settings) != CALL_OK ||
	    extra_check_new(c, &in->option_settings) != CALL_OK)
		return CALL_FAIL;
	if (environment_count(&s, STR_NONE) >= ENVIRONMENTS_MAX)
		return call_fail(c, "TooManyEnvironmentsException", 400, "Maximum number of Environments (%d) reached.",
		                 ENVIRONMENTS_MAX);
	return CALL_OK;
}

/* What a saved configuration says, if one is named, goes into the options. */
static const struct platform *take_platform(struct call *c, const struct elasticbeanstalk_create_environment_message *in,
                                            const struct state_elasticbeanstalk_template_record *t, struct environment_record *r)
{
	if (!str_set(in->template_name))
		return platform_get(c, in->solution_stack_name, in->platform_arn);
	options_set(c->arena, &r->said, &t->template->option_settings);
	return platform_get(c, STR_NONE, t->template->platform_arn);
}

/* The options by their precedence: of the request, of the saved configuration, of env.yaml, of .ebextensions. */
static int take_options(struct call *c, const struct elasticbeanstalk_create_environment_message *in, const struct bundle *b,
                        struct environment_record *r)
{
	options_remove(&r->said, &in->options_to_remove);
	options_set(c->arena, &r->said, &in->option_settings);
	if (!str_set(b->wrong))
		bundle_options(c->arena, b, &r->extensions);
	options_resolve(c->arena, r);
	if (options_check(c, &r->options) != CALL_OK || options_match(c, r) != CALL_OK)
		return CALL_FAIL;
	return worker_check(c, r);
}

/* It begins, or, where its bundle cannot be deployed, it has failed already. */
static void begin(struct call *c, struct environment_record *r, const struct bundle *b, const struct str_list *faults)
{
	struct scope s = beanstalk_scope(c);
	r->request = c->request_id;
	environment_event(&s, r, "INFO", S("createEnvironment is starting."));
	for (uint32_t i = 0; i < b->skipped.n; i++)
		environment_event(&s, r, "WARN", b->skipped.v[i]);
	if (!faults->n) {
		r->operation = S("create");
		return;
	}
	for (uint32_t i = 0; i < faults->n; i++)
		environment_event(&s, r, "ERROR", faults->v[i]);
	environment_event(&s, r, "ERROR", S("Failed to launch environment."));
	r->environment->status = S("Ready");
	r->environment->health = S("Red");
}

int environment_make(struct call *c, const struct elasticbeanstalk_create_environment_message *wish, struct environment_record *ret)
{
	struct scope s = beanstalk_scope(c);
	struct elasticbeanstalk_create_environment_message in = *wish;
	struct environment_record r = {0};
	struct state_elasticbeanstalk_application_record a;
	struct state_elasticbeanstalk_version_record v;
	struct state_elasticbeanstalk_template_record t = {0};
	struct ec2_default_image image;
	struct str cname = STR_NONE;
	struct str_list faults = {0};
	const struct bundle *b = NULL;
	static const struct bundle nothing;
	if (application_get(c, in.application_name, &a) != CALL_OK || take_source(c, &in, &r) != CALL_OK ||
	    (str_set(in.version_label) && environment_check_version(c, in.application_name, in.version_label, &v) != CALL_OK) ||
	    (str_set(in.environment_name) && check_create(c, &in) != CALL_OK))
		return CALL_FAIL;
	int said = str_set(in.version_label) ? bundle_of(c, v.version, &b) : CALL_OK;
	if (said != CALL_OK)
		return said;
	b = b ? b : &nothing;
	if (str_set(b->wrong) && !str_set(in.environment_name))
		return beanstalk_invalid(c, "%.*s", STR_ARG(b->wrong));
	if (with_manifest(c, b, &in) != CALL_OK || check_create(c, &in) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in.template_name) && (str_set(in.solution_stack_name) || str_set(in.platform_arn)))
		return beanstalk_combination(c, "A TemplateName and a platform may not both be specified.");
	if (str_set(in.template_name))
		said = template_saved(c, in.application_name, in.template_name, &t);
	if (said != CALL_OK)
		return said;
	const struct platform *p = take_platform(c, &in, &t, &r);
	if (!p)
		return CALL_FAIL;
	if (!str_set(in.version_label) && !sample_there(str_from(p->name)))
		return beanstalk_invalid(c, "A VersionLabel is needed: there is no sample application for %s.", p->name);
	bool works = in.tier && str_is(in.tier->name, "Worker");
	struct elasticbeanstalk_environment_tier *tier = arena_new(c->arena, struct elasticbeanstalk_environment_tier);
	*tier = (struct elasticbeanstalk_environment_tier){works ? S("Worker") : S("WebServer"),
	                                                   works ? S("SQS/HTTP") : S("Standard"), S("1.0")};
	r.environment = arena_new(c->arena, struct elasticbeanstalk_environment_description);
	r.environment->tier = tier;
	const struct bundle bad = {.wrong = S("it cannot be deployed"), .skipped = b->skipped};
	if (bundle_faults(c, b, &faults)) /* what it says is left out */
		b = &bad;
	if (take_options(c, &in, b, &r) != CALL_OK ||
	    environment_check_profile(c, option_value(&r, "aws:autoscaling:launchconfiguration", "IamInstanceProfile")) !=
	            CALL_OK ||
	    (!works && choose_cname(c, in.cname_prefix, in.environment_name, &cname) != CALL_OK))
		return CALL_FAIL;
	if (!ec2_find_default_image(c, &image))
		return beanstalk_invalid(c, "There is no machine image that the platform could run on.");
	*r.environment = (struct elasticbeanstalk_environment_description){
	        .environment_name = in.environment_name,
	        .environment_id = ARENA_CAT(c->arena, S("e-"), random_text(c->arena, 10, LOWER)),
	        .application_name = in.application_name,
	        .version_label = str_set(in.version_label) ? in.version_label : S(SAMPLE_LABEL),
	        .solution_stack_name = platform_stack(c->arena, p),
	        .platform_arn = platform_arn(c->arena, c->region, p),
	        .description = in.description,
	        .cname = cname,
	        .date_created = OPT_TIME(c->now_ms),
	        .date_updated = OPT_TIME(c->now_ms),
	        .status = S("Launching"),
	        .abortable_operation_in_progress = OPT_BOOL(false),
	        .health = S("Grey"),
	        .tier = tier,
	        .environment_arn = beanstalk_arn(&s, "environment", in.application_name, in.environment_name)};
	if (environment_take_links(c, &b->manifest, in.group_name, r.environment) != CALL_OK)
		return CALL_FAIL;
	tags_copy(c->arena, &in.tags, &r.tags);
	r.image = image.id;
	r.suffix = environment_suffix(c->arena);
	r.step = OPT_INT(0);
	r.deployment = OPT_INT(1);
	r.deploying = r.environment->version_label;
	begin(c, &r, b, &faults);
	environment_put(&s, &r);
	*ret = r;
	return CALL_OK;
}

int elasticbeanstalk_create_environment(struct call *c, const struct elasticbeanstalk_create_environment_message *in,
                                        struct elasticbeanstalk_environment_description *out)
{
	struct environment_record r;
	int said = environment_make(c, in, &r);
	if (said != CALL_OK)
		return said;
	if (environment_check_links(c, &r) != CALL_OK)
		return CALL_FAIL;
	*out = *r.environment;
	return CALL_OK;
}

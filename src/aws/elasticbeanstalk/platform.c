/* Platforms: what this cloud's machine image can run, under the names that AWS gives to the same languages, so that tools which
 * know those names find them. A new image is a new version of all of its platforms: the last part of a version is the image's day.
 */
#include "environment.h"

#include "aws/ec2/ec2.h"
#include "base/clock.h"

enum { USUAL = 1000 };
#define SYSTEM " running on 64bit Amazon Linux 2023"

/* By their branches. */
static const struct platform platforms[] = {
        {"dotnet8", ".NET Core on Linux", ".NET", "8", ".NET 8", "3.9", ".NET 8" SYSTEM},
        {"corretto17", "Java", "Java", "17", "Corretto 17", "4.9", "Corretto 17" SYSTEM},
        {"docker", "Docker", "Docker", NULL, "Docker", "4.3", "Docker" SYSTEM},
        {"ecs", "ECS", "Docker", NULL, "ECS", "4.1", "ECS" SYSTEM},
        {"go1", "Go", "Go", "1.19", "Go 1", "4.9", "Go 1" SYSTEM},
        {"nodejs18", "Node.js", "Node.js", "18", "Node.js 18", "6.8", "Node.js 18" SYSTEM},
        {"php8.2", "PHP", "PHP", "8.2", "PHP 8.2", "4.9", "PHP 8.2" SYSTEM},
        {"python3.11", "Python", "Python", "3.11", "Python 3.11", "4.9", "Python 3.11" SYSTEM},
        {"ruby3.1", "Ruby", "Ruby", "3.1", "Ruby 3.1", "4.9", "Ruby 3.1" SYSTEM},
        {"tomcat10", "Tomcat", "Java", "17", "Tomcat 10 Corretto 17", "5.9", "Tomcat 10 with Corretto 17" SYSTEM},
};
enum { PLATFORMS = sizeof(platforms) / sizeof(*platforms) };

/* What there is to choose from. */
struct listed {
	struct platform v[PLATFORMS];
	int n;
};

/* Those that the image says it can run. Without an image nothing runs, and these are what `tools/make-image` would make. */
static const struct listed *listed(const struct cloud *cloud, struct arena *a)
{
	static const char *const usual[] = {"corretto17", "docker",     "ecs",     "nodejs18",
	                                    "php8.2",     "python3.11", "ruby3.1", "tomcat10"};
	struct listed *l = arena_new(a, struct listed);
	struct ec2_default_image image = {0};
	bool there = ec2_get_default_image(cloud, a, &image);
	for (size_t i = 0; !there && i < sizeof(usual) / sizeof(*usual); i++)
		*LIST_ADD(a, &image.platforms) = str_from(usual[i]);
	/* 2026-11-30T.. */
	struct str day = there && image.created.n >= 10 ? ARENA_CAT(a, str_sub(image.created, 2, 2), str_sub(image.created, 5, 2),
	                                                            str_sub(image.created, 8, 2))
	                                                : S("0");
	for (int i = 0; i < PLATFORMS; i++)
		for (uint32_t k = 0; k < image.platforms.n; k++)
			if (str_is(image.platforms.v[k], platforms[i].key)) {
				struct platform *p = &l->v[l->n++];
				*p = platforms[i];
				p->version = arena_dupz(a, ARENA_CAT(a, str_from(p->version), S("."), day));
				break;
			}
	return l;
}

struct str platform_stack(struct arena *a, const struct platform *p)
{
	return arena_printf(a, "64bit Amazon Linux 2023 v%s running %s", p->version, p->stack);
}

struct str platform_arn(struct arena *a, struct str region, const struct platform *p)
{
	return arena_printf(a, "arn:aws:elasticbeanstalk:%.*s::platform/%s/%s", STR_ARG(region), p->branch, p->version);
}

const struct platform *platform_of(struct str stack)
{
	ptrdiff_t at = str_find(stack, S(" running "));
	for (int i = 0; at >= 0 && i < PLATFORMS; i++)
		if (str_is(str_from_at(stack, (size_t)at + strlen(" running ")), platforms[i].stack))
			return &platforms[i];
	return NULL;
}

const struct platform *platform_now(const struct cloud *cloud, struct arena *a, const struct platform *p)
{
	const struct listed *l = listed(cloud, a);
	for (int i = 0; i < l->n; i++)
		if (strcmp(l->v[i].key, p->key) == 0)
			return &l->v[i];
	return NULL;
}

static const struct platform *find(struct call *c, struct str stack, struct str arn)
{
	const struct listed *l = listed(c->cloud, c->arena);
	for (int i = 0; i < l->n; i++) {
		const struct platform *p = &l->v[i];
		/* without a version the newest of the branch is meant */
		struct str branch =
		        arena_printf(c->arena, "arn:aws:elasticbeanstalk:%.*s::platform/%s", STR_ARG(c->region), p->branch);
		if (str_set(arn) ? str_eq(arn, platform_arn(c->arena, c->region, p)) || str_eq(arn, branch)
		                 : str_eq(stack, platform_stack(c->arena, p)))
			return p;
	}
	return NULL;
}

const struct platform *platform_get(struct call *c, struct str stack, struct str arn)
{
	const struct platform *p = find(c, stack, arn);
	if (str_set(stack) && str_set(arn))
		beanstalk_combination(c, "You may not specify both SolutionStackName and PlatformArn.");
	else if (!p && str_set(arn))
		beanstalk_invalid(c, "No Platform found for PlatformArn: '%.*s'.", STR_ARG(arn));
	else if (!p)
		beanstalk_invalid(c, "No Solution Stack named '%.*s' found.", STR_ARG(stack));
	else
		return p;
	return NULL;
}

int elasticbeanstalk_list_available_solution_stacks(struct call *c, const struct model_none *in,
                                                    struct elasticbeanstalk_list_available_solution_stacks_result_message *out)
{
	(void)in;
	const struct listed *l = listed(c->cloud, c->arena);
	out->solution_stacks.set = true;
	for (int i = 0; i < l->n; i++) {
		struct elasticbeanstalk_solution_stack_description *d = LIST_ADD(c->arena, &out->solution_stack_details);
		bool java = strcmp(l->v[i].language, "Java") == 0, tomcat = strcmp(l->v[i].name, "Tomcat") == 0;
		d->solution_stack_name = platform_stack(c->arena, &l->v[i]);
		if (java)
			*LIST_ADD(c->arena, &d->permitted_file_types) = tomcat ? S("war") : S("jar");
		*LIST_ADD(c->arena, &d->permitted_file_types) = S("zip");
		*LIST_ADD(c->arena, &out->solution_stacks) = d->solution_stack_name;
	}
	out->solution_stack_details.set = true;
	return CALL_OK;
}

/* --- filters */

static bool number_part(struct str *s, int64_t *ret)
{
	struct str part = str_cut(s, '.');
	return str_to_i64(part, ret);
}

/* Versions are compared by their numbers, all else as texts. */
static int compare(struct str is, struct str wish, bool version)
{
	struct str a = is, b = wish;
	while (version && str_set(a) && str_set(b)) {
		int64_t one, other;
		if (!number_part(&a, &one) || !number_part(&b, &other))
			break;
		if (one != other)
			return one < other ? -1 : 1;
	}
	return str_cmp(is, wish);
}

/* False as `known`: there is no such operator. */
static bool holds(struct str operator, struct str is, struct str wish, bool version, bool *known)
{
	if (str_is(operator, "contains"))
		return str_find(is, wish) >= 0;
	if (str_is(operator, "begins_with"))
		return str_starts(is, wish);
	if (str_is(operator, "ends_with"))
		return str_ends(is, wish);
	int said = compare(is, wish, version);
	if (str_is(operator, "=") || str_is(operator, "in"))
		return said == 0;
	if (str_is(operator, "!=") || str_is(operator, "not_in"))
		return said != 0;
	if (str_is(operator, "<"))
		return said < 0;
	if (str_is(operator, "<="))
		return said <= 0;
	if (str_is(operator, ">"))
		return said > 0;
	if (str_is(operator, ">="))
		return said >= 0;
	*known = false;
	return false;
}

/* Values are alternatives, for a negation all of them hold. CALL_FAIL: the operator is unknown, or nothing is given. */
static int judge(struct call *c, struct str name, struct str operator, const struct str_list * values, struct str is, bool version,
                 bool *pass)
{
	bool all = str_is(operator, "!=") || str_is(operator, "not_in"), known = true, any = false, every = true;
	if (!values->n)
		return beanstalk_invalid(c, "The filter '%.*s' has no values.", STR_ARG(name));
	for (uint32_t i = 0; i < values->n; i++) {
		bool one = holds(operator, is, values->v[i], version, &known);
		any |= one;
		every &= one;
	}
	if (!known)
		return beanstalk_invalid(c, "Invalid filter operator '%.*s'.", STR_ARG(operator));
	*pass &= all ? every : any;
	return CALL_OK;
}

static struct str property(const struct platform *p, struct str name)
{
	return str_is(name, "PlatformName")                                                     ? str_from(p->branch)
	       : str_is(name, "PlatformBranchName")                                             ? str_from(p->branch)
	       : str_is(name, "BranchName")                                                     ? str_from(p->branch)
	       : str_is(name, "PlatformVersion")                                                ? str_from(p->version)
	       : str_is(name, "PlatformStatus")                                                 ? S("Ready")
	       : str_is(name, "PlatformLifecycleState")                                         ? S("Recommended")
	       : str_is(name, "PlatformBranchLifecycleState") || str_is(name, "LifecycleState") ? S("Supported")
	       : str_is(name, "PlatformOwner")                                                  ? S("AWSElasticBeanstalk")
	       : str_is(name, "SupportedTier") || str_is(name, "TierType")                      ? S("WebServer/Standard")
	       : str_is(name, "ProgrammingLanguageName")                                        ? str_from(p->language)
	       : str_is(name, "OperatingSystemName")                                            ? S("Amazon Linux")
	                                                                                        : STR_NONE;
}

static struct str_list tiers(struct arena *a)
{
	struct str_list l = {.set = true};
	*LIST_ADD(a, &l) = S("WebServer/Standard");
	return l;
}

int elasticbeanstalk_list_platform_versions(struct call *c, const struct elasticbeanstalk_list_platform_versions_request *in,
                                            struct elasticbeanstalk_list_platform_versions_result *out)
{
	struct page p;
	const struct listed *l = listed(c->cloud, c->arena);
	struct str last = STR_NONE;
	if (beanstalk_page(c, in->max_records, in->next_token, USUAL, &p) != CALL_OK)
		return CALL_FAIL;
	out->platform_summary_list.set = true;
	for (int i = 0; i < l->n; i++) {
		struct str arn = platform_arn(c->arena, c->region, &l->v[i]);
		bool pass = !str_set(p.after) || str_cmp(arn, p.after) > 0;
		for (uint32_t k = 0; k < in->filters.n; k++) {
			const struct elasticbeanstalk_platform_filter *f = &in->filters.v[k];
			struct str is = property(&l->v[i], f->type);
			if (!str_set(is) || str_is(f->type, "BranchName") || str_is(f->type, "LifecycleState") ||
			    str_is(f->type, "TierType"))
				return beanstalk_invalid(c, "Invalid filter type '%.*s'.", STR_ARG(f->type));
			if (judge(c, f->type, f->operator, & f->values, is, str_is(f->type, "PlatformVersion"), &pass) != CALL_OK)
				return CALL_FAIL;
		}
		if (!pass)
			continue;
		if (!p.left--) {
			out->next_token = beanstalk_token(c, last);
			break;
		}
		last = arn;
		*LIST_ADD(c->arena, &out->platform_summary_list) =
		        (struct elasticbeanstalk_platform_summary){.platform_arn = arn,
		                                                   .platform_owner = S("AWSElasticBeanstalk"),
		                                                   .platform_status = S("Ready"),
		                                                   .platform_category = str_from(l->v[i].name),
		                                                   .operating_system_name = S("Amazon Linux"),
		                                                   .operating_system_version = S("2023"),
		                                                   .supported_tier_list = tiers(c->arena),
		                                                   .platform_lifecycle_state = S("Recommended"),
		                                                   .platform_version = str_from(l->v[i].version),
		                                                   .platform_branch_name = str_from(l->v[i].branch),
		                                                   .platform_branch_lifecycle_state = S("Supported")};
	}
	return CALL_OK;
}

int elasticbeanstalk_list_platform_branches(struct call *c, const struct elasticbeanstalk_list_platform_branches_request *in,
                                            struct elasticbeanstalk_list_platform_branches_result *out)
{
	struct page p;
	const struct listed *l = listed(c->cloud, c->arena);
	struct str last = STR_NONE;
	if (beanstalk_page(c, in->max_records, in->next_token, USUAL, &p) != CALL_OK)
		return CALL_FAIL;
	out->platform_branch_summary_list.set = true;
	for (int i = 0; i < l->n; i++) {
		bool pass = !str_set(p.after) || str_cmp(str_from(l->v[i].branch), p.after) > 0;
		for (uint32_t k = 0; k < in->filters.n; k++) {
			const struct elasticbeanstalk_search_filter *f = &in->filters.v[k];
			struct str n = f->attribute;
			struct str is = str_is(n, "PlatformName") ? str_from(l->v[i].name) : property(&l->v[i], n);
			if (!str_is(n, "BranchName") && !str_is(n, "LifecycleState") && !str_is(n, "PlatformName") &&
			    !str_is(n, "TierType"))
				return beanstalk_invalid(c, "Invalid filter attribute '%.*s'.", STR_ARG(n));
			if (judge(c, n, f->operator, & f->values, is, false, &pass) != CALL_OK)
				return CALL_FAIL;
		}
		if (!pass)
			continue;
		if (!p.left--) {
			out->next_token = beanstalk_token(c, last);
			break;
		}
		last = str_from(l->v[i].branch);
		*LIST_ADD(c->arena, &out->platform_branch_summary_list) =
		        (struct elasticbeanstalk_platform_branch_summary){.platform_name = str_from(l->v[i].name),
		                                                          .branch_name = str_from(l->v[i].branch),
		                                                          .lifecycle_state = S("Supported"),
		                                                          .branch_order = OPT_INT(i + 1),
		                                                          .supported_tier_list = tiers(c->arena)};
	}
	return CALL_OK;
}

/* One that has been replaced is known as long as an environment is of it. NULL: it is none such. */
static const struct platform *version_of_environment(struct call *c, struct str arn)
{
	struct scope s = beanstalk_scope(c);
	const struct environments all = environment_all(&s);
	for (uint32_t i = 0; str_set(arn) && i < all.n; i++) {
		const struct elasticbeanstalk_environment_description *e = all.v[i].environment;
		const struct platform *of = str_eq(e->platform_arn, arn) ? platform_of(e->solution_stack_name) : NULL;
		const struct platform *now = of ? platform_now(c->cloud, c->arena, of) : NULL;
		if (!of || (now && str_eq(platform_arn(c->arena, c->region, now), arn)))
			continue;
		struct platform *p = arena_new(c->arena, struct platform);
		*p = *of;
		p->version = arena_dupz(c->arena, str_from_at(arn, (size_t)str_rfind_char(arn, '/') + 1));
		return p;
	}
	return NULL;
}

int elasticbeanstalk_describe_platform_version(struct call *c, const struct elasticbeanstalk_describe_platform_version_request *in,
                                               struct elasticbeanstalk_describe_platform_version_result *out)
{
	const struct platform *p = version_of_environment(c, in->platform_arn);
	bool newest = !p;
	if (newest)
		p = platform_get(c, STR_NONE, str_set(in->platform_arn) ? in->platform_arn : S(""));
	/* the day that this platform is of, as AWS dates its own: the release of the image's system */
	int64_t made_ms = 0;
	time_parse(S("2023-06-10T00:00:00Z"), &made_ms);
	if (!p)
		return CALL_FAIL;
	struct elasticbeanstalk_platform_description *d = arena_new(c->arena, struct elasticbeanstalk_platform_description);
	*d = (struct elasticbeanstalk_platform_description){.platform_arn = platform_arn(c->arena, c->region, p),
	                                                    .platform_owner = S("AWSElasticBeanstalk"),
	                                                    .platform_name = str_from(p->branch),
	                                                    .platform_version = str_from(p->version),
	                                                    .solution_stack_name = platform_stack(c->arena, p),
	                                                    .platform_status = S("Ready"),
	                                                    .date_created = OPT_TIME(made_ms),
	                                                    .date_updated = OPT_TIME(made_ms),
	                                                    .platform_category = str_from(p->name),
	                                                    .description = arena_printf(c->arena, "%s (Debian 12)", p->branch),
	                                                    .operating_system_name = S("Amazon Linux"),
	                                                    .operating_system_version = S("2023"),
	                                                    .supported_tier_list = tiers(c->arena),
	                                                    .platform_lifecycle_state = newest ? S("Recommended") : STR_NONE,
	                                                    .platform_branch_name = str_from(p->branch),
	                                                    .platform_branch_lifecycle_state = S("Supported")};
	if (p->language_version)
		*LIST_ADD(c->arena, &d->programming_languages) = (struct elasticbeanstalk_platform_programming_language){
		        .name = str_from(p->language), .version = str_from(p->language_version)};
	out->platform_description = d;
	return CALL_OK;
}

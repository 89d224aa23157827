/* Rules by which versions of an application go that are too many or too old. They are applied as a new version comes. */
#include "environment.h"

#include "core/identity.h"

#include <stdlib.h>

enum { MAX_COUNT = 200, MAX_AGE_DAYS = 180, DAY_MS = 24 * 3600 * 1000 };

static int check_role(struct call *c, struct str role)
{
	struct authz az = {.action = S("iam:PassRole"), .resource = role};
	authz_add(c, &az, "iam:PassedToService", S("elasticbeanstalk.amazonaws.com"));
	return call_authorize(c, &az) ? CALL_OK : CALL_FAIL;
}

int lifecycle_check(struct call *c, const struct elasticbeanstalk_application_resource_lifecycle_config *wish,
                    struct elasticbeanstalk_application_resource_lifecycle_config *ret)
{
	const struct elasticbeanstalk_application_version_lifecycle_config *v = wish ? wish->version_lifecycle_config : NULL;
	struct elasticbeanstalk_application_version_lifecycle_config *kept =
	        arena_new(c->arena, struct elasticbeanstalk_application_version_lifecycle_config);
	kept->max_count_rule = arena_new(c->arena, struct elasticbeanstalk_max_count_rule);
	kept->max_age_rule = arena_new(c->arena, struct elasticbeanstalk_max_age_rule);
	struct elasticbeanstalk_max_count_rule *count = kept->max_count_rule;
	struct elasticbeanstalk_max_age_rule *age = kept->max_age_rule;
	*count = (struct elasticbeanstalk_max_count_rule){OPT_BOOL(false), OPT_INT(MAX_COUNT), OPT_BOOL(false)};
	*age = (struct elasticbeanstalk_max_age_rule){OPT_BOOL(false), OPT_INT(MAX_AGE_DAYS), OPT_BOOL(false)};
	if (v && v->max_count_rule) {
		count->enabled = v->max_count_rule->enabled;
		if (v->max_count_rule->max_count.set)
			count->max_count = v->max_count_rule->max_count;
		if (v->max_count_rule->delete_source_from_s3.set)
			count->delete_source_from_s3 = v->max_count_rule->delete_source_from_s3;
	}
	if (v && v->max_age_rule) {
		age->enabled = v->max_age_rule->enabled;
		if (v->max_age_rule->max_age_in_days.set)
			age->max_age_in_days = v->max_age_rule->max_age_in_days;
		if (v->max_age_rule->delete_source_from_s3.set)
			age->delete_source_from_s3 = v->max_age_rule->delete_source_from_s3;
	}
	if (count->enabled.v && age->enabled.v)
		return beanstalk_combination(c, "MaxCountRule and MaxAgeRule cannot be enabled at the same time.");
	if (count->max_count.v < 1 || count->max_count.v > VERSIONS_MAX)
		return beanstalk_invalid(c, "MaxCount must be between 1 and %d.", VERSIONS_MAX);
	if (age->max_age_in_days.v < 1)
		return beanstalk_invalid(c, "MaxAgeInDays must be at least 1.");
	ret->version_lifecycle_config = kept;
	ret->service_role = wish ? wish->service_role : STR_NONE;
	if ((count->enabled.v || age->enabled.v) && !str_set(ret->service_role))
		return beanstalk_invalid(c, "A service role is needed to enable a lifecycle rule.");
	return str_set(ret->service_role) ? check_role(c, ret->service_role) : CALL_OK;
}

/* One that goes with its source bundle. */
struct going {
	const struct principal *as;
};

static void gone(void *ctx, struct call *sub)
{
	struct going *g = ctx;
	(void)sub; /* whose bundle cannot be deleted stays, and is tried again with the next version */
	principal_unref(g->as);
	free(g);
}

/* The bundle first and then the version, as the operation does it. */
static void drop_with_source(struct call *c, struct str application, struct str label)
{
	const struct elasticbeanstalk_delete_application_version_message in = {
	        .application_name = application, .version_label = label, .delete_source_bundle = OPT_BOOL(true)};
	struct going *g = calloc(1, sizeof(*g));
	if (!g)
		abort();
	g->as = principal_ref(c->caller);
	call_op(c->cloud, g->as, c->region, &elasticbeanstalk_api, "DeleteApplicationVersion", &in, gone, g);
}

void lifecycle_apply(struct call *c, const struct state_elasticbeanstalk_application_record *r)
{
	struct scope s = beanstalk_scope(c);
	const struct elasticbeanstalk_application_version_lifecycle_config *v =
	        r->application->resource_lifecycle_config->version_lifecycle_config;
	bool counts = v->max_count_rule->enabled.v,
	     source = counts ? v->max_count_rule->delete_source_from_s3.v : v->max_age_rule->delete_source_from_s3.v;
	struct str application = r->application->application_name;
	if (!counts && !v->max_age_rule->enabled.v)
		return;
	struct versions all = version_all(&s, application);
	int64_t oldest_ms = c->now_ms - v->max_age_rule->max_age_in_days.v * DAY_MS;
	for (uint32_t i = 0; i < all.n; i++) {
		struct str label = all.v[i].version->version_label;
		bool goes = counts ? i >= v->max_count_rule->max_count.v : all.v[i].version->date_created.ms < oldest_ms;
		if (!goes || version_used(&s, application, label))
			continue;
		if (source)
			drop_with_source(c, application, label);
		else
			version_drop(&s, application, label);
	}
}

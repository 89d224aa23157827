/* Rules by which versions of an application go that are too many or too old. They are applied as a new version comes. */
#include "environment.h"

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
	if (count->delete_source_from_s3.v || age->delete_source_from_s3.v)
		return beanstalk_invalid(c, "DeleteSourceFromS3 is not supported.");
	ret->version_lifecycle_config = kept;
	ret->service_role = wish ? wish->service_role : STR_NONE;
	if ((count->enabled.v || age->enabled.v) && !str_set(ret->service_role))
		return beanstalk_invalid(c, "A service role is needed to enable a lifecycle rule.");
	return str_set(ret->service_role) ? check_role(c, ret->service_role) : CALL_OK;
}

void lifecycle_apply(const struct scope *s, const struct state_elasticbeanstalk_application_record *r)
{
	const struct elasticbeanstalk_application_version_lifecycle_config *v =
	        r->application->resource_lifecycle_config->version_lifecycle_config;
	if (!v->max_count_rule->enabled.v && !v->max_age_rule->enabled.v)
		return;
	struct versions all = version_all(s, r->application->application_name);
	int64_t oldest_ms = s->now_ms - v->max_age_rule->max_age_in_days.v * DAY_MS;
	for (uint32_t i = 0; i < all.n; i++)
		if ((v->max_count_rule->enabled.v ? i >= v->max_count_rule->max_count.v
		                                  : all.v[i].version->date_created.ms < oldest_ms) &&
		    !version_used(s, r->application->application_name, all.v[i].version->version_label))
			version_drop(s, r->application->application_name, all.v[i].version->version_label);
}

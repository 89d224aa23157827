#include "rows.h"

static struct elasticbeanstalk_resource_quota *most(struct call *c, int n)
{
	struct elasticbeanstalk_resource_quota *q = arena_new(c->arena, struct elasticbeanstalk_resource_quota);
	q->maximum = OPT_INT(n);
	return q;
}

int elasticbeanstalk_describe_account_attributes(struct call *c, const struct model_none *in,
                                                 struct elasticbeanstalk_describe_account_attributes_result *out)
{
	(void)in;
	out->resource_quotas = arena_new(c->arena, struct elasticbeanstalk_resource_quotas);
	out->resource_quotas->application_quota = most(c, APPLICATIONS_MAX);
	out->resource_quotas->application_version_quota = most(c, VERSIONS_MAX);
	out->resource_quotas->environment_quota = most(c, ENVIRONMENTS_MAX);
	out->resource_quotas->configuration_template_quota = most(c, TEMPLATES_MAX);
	out->resource_quotas->custom_platform_quota = most(c, 0);
	return CALL_OK;
}

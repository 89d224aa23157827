/* ComposeEnvironments: the components of an application, each a version whose env.yaml says its name, as one group of environments
 * that are made or get the version, all together or none of them. */
#include "bundle.h"
#include "environment.h"

static int compose_one(struct call *c, const struct elasticbeanstalk_compose_environments_message *in, struct str label,
                       struct environment_record *ret)
{
	struct scope s = beanstalk_scope(c);
	struct state_elasticbeanstalk_version_record v;
	struct environment_record there = {0};
	const struct bundle *b = NULL;
	struct str name;
	if (environment_check_version(c, in->application_name, label, &v) != CALL_OK)
		return CALL_FAIL;
	int said = bundle_of(c, v.version, &b);
	if (said != CALL_OK)
		return said;
	if (str_set(b->wrong))
		return beanstalk_invalid(c, "%.*s", STR_ARG(b->wrong));
	if (!b->manifest.there || !str_set(b->manifest.name))
		return beanstalk_invalid(c, "Application Version %.*s has no env.yaml with an EnvironmentName.", STR_ARG(label));
	if (environment_in_group(c, b->manifest.name, in->group_name, &name) != CALL_OK)
		return CALL_FAIL;
	if (!environment_find(&s, environment_named(&s, name), &there))
		return environment_make(c,
		                        &(struct elasticbeanstalk_create_environment_message){
		                                .application_name = in->application_name,
		                                .group_name = str_ends(b->manifest.name, S("+")) ? in->group_name : STR_NONE,
		                                .version_label = label},
		                        ret);
	if (!str_eq(there.environment->application_name, in->application_name))
		return beanstalk_invalid(c, "Environment %.*s already exists.", STR_ARG(name));
	return environment_change(c,
	                          &(struct elasticbeanstalk_update_environment_message){
	                                  .environment_name = name, .group_name = in->group_name, .version_label = label},
	                          ret);
}

int elasticbeanstalk_compose_environments(struct call *c, const struct elasticbeanstalk_compose_environments_message *in,
                                          struct elasticbeanstalk_environment_descriptions_message *out)
{
	struct state_elasticbeanstalk_application_record a;
	struct environment_record *all = arena_array(c->arena, in->version_labels.n ? in->version_labels.n : 1, sizeof(*all));
	if (application_get(c, in->application_name, &a) != CALL_OK)
		return CALL_FAIL;
	if (!in->version_labels.n)
		return beanstalk_combination(c, "At least one VersionLabel is needed.");
	for (uint32_t i = 0; i < in->version_labels.n; i++) {
		int said = compose_one(c, in, in->version_labels.v[i], &all[i]);
		if (said != CALL_OK)
			return said;
	}
	out->environments.set = true;
	for (uint32_t i = 0; i < in->version_labels.n; i++) {
		if (environment_check_links(c, &all[i]) != CALL_OK)
			return CALL_FAIL;
		*LIST_ADD(c->arena, &out->environments) = *all[i].environment;
	}
	return CALL_OK;
}

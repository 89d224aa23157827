/* Links: an environment knows others of its application by properties, whose values are where those can be reached. */
#include "environment.h"

/* A worker is reached by its queue, others by their names. Absent: the other one has not come so far. */
static struct str endpoint_of(const struct scope *s, struct str name)
{
	struct environment_record r = {0};
	if (!environment_find(s, environment_named(s, name), &r) || str_is(r.environment->status, "Terminated"))
		return STR_NONE;
	return environment_is_worker(&r) ? r.queue : r.environment->cname;
}

bool links_resolve(const struct scope *s, const struct environment_record *r,
                   struct elasticbeanstalk_configuration_option_settings_list *to)
{
	const struct elasticbeanstalk_environment_links *l = &r->environment->environment_links;
	bool all = true;
	for (uint32_t i = 0; i < l->n; i++) {
		struct str endpoint = endpoint_of(s, l->v[i].environment_name);
		all &= str_set(endpoint);
		if (str_set(endpoint))
			*LIST_ADD(s->arena, to) = (struct elasticbeanstalk_configuration_option_setting){
			        .namespace = S(PROPERTIES), .option_name = l->v[i].link_name, .value = endpoint};
	}
	return all;
}

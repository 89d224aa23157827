/* Operations on what an environment is made of and on the one that is under way: all of it anew, and back to what was. */
#include "health.h"
#include "rollout.h"

/* One that has ended comes back as long as its record is kept, under the names that it had. */
static int get_any(struct call *c, const struct elasticbeanstalk_rebuild_environment_message *in, struct environment_record *r)
{
	struct scope s = beanstalk_scope(c);
	struct state_elasticbeanstalk_application_record a;
	struct state_elasticbeanstalk_version_record v;
	if (!environment_find(&s, in->environment_id, r) || !str_is(r->environment->status, "Terminated"))
		return environment_get_ready(c, in->environment_id, in->environment_name, r);
	const struct elasticbeanstalk_environment_description *e = r->environment;
	struct str rest = str_set(e->cname) ? e->cname : S("."), prefix = str_cut(&rest, '.');
	if (str_starts(rest, S("eba-"))) { /* a prefix that was made has a dot of its own */
		struct str more = str_cut(&rest, '.');
		prefix = ARENA_CAT(c->arena, prefix, S("."), more);
	}
	if (str_set(environment_named(&s, e->environment_name)))
		return beanstalk_invalid(c, "Environment %.*s already exists.", STR_ARG(e->environment_name));
	if (str_set(e->cname) && cname_taken(&s, prefix))
		return beanstalk_invalid(c, "DNS name (%.*s) is not available.", STR_ARG(e->cname));
	if (environment_count(&s, STR_NONE) >= ENVIRONMENTS_MAX)
		return call_fail(c, "TooManyEnvironmentsException", 400, "Maximum number of Environments (%d) reached.",
		                 ENVIRONMENTS_MAX);
	if (application_get(c, e->application_name, &a) != CALL_OK)
		return CALL_FAIL;
	return sample_is(e->version_label) ? CALL_OK : version_get(c, e->application_name, e->version_label, &v);
}

struct next rebuild_from_nothing(struct arena *a, struct environment_record *r)
{
	const struct environment_record old = *r;
	*r = (struct environment_record){.environment = old.environment,
	                                 .options = old.options,
	                                 .said = old.said,
	                                 .extensions = old.extensions,
	                                 .retyped = old.retyped,
	                                 .tags = old.tags,
	                                 .operation = S("create"),
	                                 .request = old.request,
	                                 .step = OPT_INT(0),
	                                 .image = old.image,
	                                 .suffix = environment_suffix(a), /* names of before may not be free yet */
	                                 .deployment = old.deployment,
	                                 .deploying = old.deploying,
	                                 .logs_number = old.logs_number,
	                                 .logs = old.logs,
	                                 .log_groups = old.log_groups,
	                                 .cluster = old.cluster,
	                                 .definitions = old.definitions,
	                                 .topic = old.topic,
	                                 .topic_own = old.topic_own,
	                                 .subscribed = old.subscribed,
	                                 .managed_runs = old.managed_runs};
	r->environment->endpoint_url = STR_NONE;
	return (struct next){.changed = true};
}

int elasticbeanstalk_rebuild_environment(struct call *c, const struct elasticbeanstalk_rebuild_environment_message *in,
                                         struct model_none *out)
{
	(void)out;
	struct scope s = beanstalk_scope(c);
	struct environment_record r = {0};
	if (get_any(c, in, &r) != CALL_OK)
		return CALL_FAIL;
	bool ended = str_is(r.environment->status, "Terminated");
	environment_begin(c, &r, S("rebuild"), S("Updating"));
	r.deployment = OPT_INT(r.deployment.v + 1);
	r.deploying = r.environment->version_label;
	environment_event(&s, &r, "INFO", S("rebuildEnvironment is starting."));
	if (ended)
		rebuild_from_nothing(c->arena, &r);
	environment_put(&s, &r);
	return CALL_OK;
}

/* Whoever waits for the update is told that it has failed; what was is deployed as another operation. An instance ends what it does
 * for the one and goes on with the other. New instances that have not moved in go, and nobody else has been touched; where those of
 * before got something, they get back what they had. */
int elasticbeanstalk_abort_environment_update(struct call *c, const struct elasticbeanstalk_abort_environment_update_message *in,
                                              struct model_none *out)
{
	(void)out;
	struct scope s = beanstalk_scope(c);
	struct environment_record r;
	if (environment_get(c, in->environment_id, in->environment_name, &r) != CALL_OK)
		return CALL_FAIL;
	bool deploys = str_is(r.operation, "deploy"), undoes = environment_many(&r) && rollout_replaces(&r);
	if (!r.environment->abortable_operation_in_progress.v)
		return beanstalk_invalid(
		        c, "Environment named %.*s is in an invalid state for this operation. Must be pending deployment.",
		        STR_ARG(r.environment->environment_name));
	environment_event(&s, &r, "ERROR", deploys ? S("Failed to deploy application.") : S("Failed to deploy configuration."));
	struct elasticbeanstalk_configuration_option_settings_list aborted = r.options;
	bool changed = r.previous.set;
	change_revert(&r);
	environment_begin(c, &r, S("abort"), S("Aborting"));
	if (undoes)
		r.step = OPT_INT(ROLLOUT_UNDO);
	else
		r.deployment = OPT_INT(r.deployment.v + 1);
	if (changed) /* of which its parts may have been told */
		r.previous = aborted;
	r.deploying = r.environment->version_label;
	environment_event(&s, &r, "INFO", S("abortEnvironmentUpdate is starting."));
	environment_put(&s, &r);
	return CALL_OK;
}

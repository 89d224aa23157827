/* Applications: names under which versions, templates and environments stand together. */
#include "environment.h"

static void show(struct call *c, const struct state_elasticbeanstalk_application_record *r,
                 struct elasticbeanstalk_application_description *ret)
{
	struct scope s = beanstalk_scope(c);
	struct versions all = version_all(&s, r->application->application_name);
	struct str under = beanstalk_under(&s, "template", r->application->application_name), key;
	struct store_iter *iter = store_scan(s.txn, under, store_prefix_end(s.arena, under), false);
	struct store_value v;
	*ret = *r->application;
	ret->versions = (struct str_list){.set = true};
	ret->configuration_templates = (struct str_list){.set = true};
	for (uint32_t i = 0; i < all.n; i++)
		*LIST_ADD(c->arena, &ret->versions) = all.v[i].version->version_label;
	while (store_next(iter, &key, &v)) {
		struct str_list parts = record_key_parts(c->arena, key);
		*LIST_ADD(c->arena, &ret->configuration_templates) = parts.v[parts.n - 1];
	}
}

static struct elasticbeanstalk_application_description *shown(struct call *c,
                                                              const struct state_elasticbeanstalk_application_record *r)
{
	struct elasticbeanstalk_application_description *d = arena_new(c->arena, struct elasticbeanstalk_application_description);
	show(c, r, d);
	return d;
}

int application_make(struct call *c, struct str name, struct str description, const struct elasticbeanstalk_tags *tags,
                     const struct elasticbeanstalk_application_resource_lifecycle_config *lifecycle,
                     struct state_elasticbeanstalk_application_record *ret)
{
	struct scope s = beanstalk_scope(c);
	struct state_elasticbeanstalk_application_record r = {0};
	struct elasticbeanstalk_application_resource_lifecycle_config *kept =
	        arena_new(c->arena, struct elasticbeanstalk_application_resource_lifecycle_config);
	if (beanstalk_check_name(c, "Application name", name) != CALL_OK || lifecycle_check(c, lifecycle, kept) != CALL_OK)
		return CALL_FAIL;
	if (tags && tags_check(c, tags) != CALL_OK)
		return CALL_FAIL;
	if (beanstalk_count(&s, "application") >= APPLICATIONS_MAX)
		return call_fail(c, "TooManyApplicationsException", 400, "Maximum number of Applications (%d) reached.",
		                 APPLICATIONS_MAX);
	r.application = arena_new(c->arena, struct elasticbeanstalk_application_description);
	*r.application = (struct elasticbeanstalk_application_description){.application_name = name,
	                                                                   .application_arn =
	                                                                           beanstalk_arn(&s, "application", name, STR_NONE),
	                                                                   .description = description,
	                                                                   .date_created = OPT_TIME(c->now_ms),
	                                                                   .date_updated = OPT_TIME(c->now_ms),
	                                                                   .resource_lifecycle_config = kept};
	if (tags)
		tags_copy(c->arena, tags, &r.tags);
	application_put(&s, &r);
	*ret = r;
	return CALL_OK;
}

int elasticbeanstalk_create_application(struct call *c, const struct elasticbeanstalk_create_application_message *in,
                                        struct elasticbeanstalk_application_description_message *out)
{
	struct scope s = beanstalk_scope(c);
	struct state_elasticbeanstalk_application_record r = {0};
	if (application_find(&s, in->application_name, &r))
		return beanstalk_invalid(c, "Application %.*s already exists.", STR_ARG(in->application_name));
	if (application_make(c, in->application_name, in->description, &in->tags, in->resource_lifecycle_config, &r) != CALL_OK)
		return CALL_FAIL;
	out->application = shown(c, &r);
	return CALL_OK;
}

int elasticbeanstalk_describe_applications(struct call *c, const struct elasticbeanstalk_describe_applications_message *in,
                                           struct elasticbeanstalk_application_descriptions_message *out)
{
	struct scope s = beanstalk_scope(c);
	struct str under = beanstalk_under(&s, "application", STR_NONE), key;
	struct store_iter *iter = store_scan(s.txn, under, store_prefix_end(s.arena, under), false);
	struct store_value v;
	struct str_list names = in->application_names;
	out->applications.set = true;
	if (!names.n)
		while (store_next(iter, &key, &v)) {
			struct str_list parts = record_key_parts(c->arena, key);
			*LIST_ADD(c->arena, &names) = parts.v[parts.n - 1];
		}
	for (uint32_t i = 0; i < names.n; i++) {
		struct state_elasticbeanstalk_application_record r = {0};
		if (application_find(&s, names.v[i], &r))
			show(c, &r, LIST_ADD(c->arena, &out->applications));
	}
	return CALL_OK;
}

int elasticbeanstalk_update_application(struct call *c, const struct elasticbeanstalk_update_application_message *in,
                                        struct elasticbeanstalk_application_description_message *out)
{
	struct scope s = beanstalk_scope(c);
	struct state_elasticbeanstalk_application_record r;
	if (application_get(c, in->application_name, &r) != CALL_OK)
		return CALL_FAIL;
	/* what is not said stays; an empty text takes the description away */
	if (str_set(in->description))
		r.application->description = in->description.n ? in->description : STR_NONE;
	r.application->date_updated = OPT_TIME(c->now_ms);
	application_put(&s, &r);
	out->application = shown(c, &r);
	return CALL_OK;
}

int elasticbeanstalk_update_application_resource_lifecycle(
        struct call *c, const struct elasticbeanstalk_update_application_resource_lifecycle_message *in,
        struct elasticbeanstalk_application_resource_lifecycle_description_message *out)
{
	struct scope s = beanstalk_scope(c);
	struct state_elasticbeanstalk_application_record r;
	if (application_get(c, in->application_name, &r) != CALL_OK)
		return CALL_FAIL;
	struct elasticbeanstalk_application_resource_lifecycle_config wish = *in->resource_lifecycle_config, *kept;
	if (!str_set(wish.service_role))
		wish.service_role = r.application->resource_lifecycle_config->service_role;
	kept = arena_new(c->arena, struct elasticbeanstalk_application_resource_lifecycle_config);
	if (lifecycle_check(c, &wish, kept) != CALL_OK)
		return CALL_FAIL;
	r.application->resource_lifecycle_config = kept;
	r.application->date_updated = OPT_TIME(c->now_ms);
	application_put(&s, &r);
	out->application_name = in->application_name;
	out->resource_lifecycle_config = kept;
	return CALL_OK;
}

static void delete_all(const struct scope *s, struct str name, struct str request)
{
	beanstalk_drop_all(s, "version", name);
	beanstalk_drop_all(s, "template", name);
	application_drop(s, name);
	event_add(s, request,
	          &(struct elasticbeanstalk_event_description){.message = S("The application has been deleted successfully."),
	                                                       .severity = S("INFO"),
	                                                       .application_name = name});
}

void application_let_go(const struct scope *s, struct str name)
{
	struct state_elasticbeanstalk_application_record r = {0};
	if (application_find(s, name, &r) && str_set(r.deleting) && !environment_count(s, name))
		delete_all(s, name, r.deleting);
}

/* Nothing of them is touched where one is not ready, or not the caller's to end. */
static int terminate_all(struct call *c, struct str application)
{
	struct scope s = beanstalk_scope(c);
	struct environments all = environment_all(&s);
	for (uint32_t i = 0; i < all.n; i++) {
		struct environment_record *r = &all.v[i];
		if (!str_eq(r->environment->application_name, application) || str_is(r->environment->status, "Terminated"))
			continue;
		if (environment_get_ready(c, r->environment->environment_id, STR_NONE, r) != CALL_OK ||
		    !call_allowed(c, "elasticbeanstalk:TerminateEnvironment", r->environment->environment_arn))
			return CALL_FAIL;
		environment_begin(c, r, S("terminate"), S("Terminating"));
		environment_event(&s, r, "INFO", S("terminateEnvironment is starting."));
		environment_put(&s, r);
	}
	return CALL_OK;
}

int elasticbeanstalk_delete_application(struct call *c, const struct elasticbeanstalk_delete_application_message *in,
                                        struct model_none *out)
{
	(void)out;
	struct scope s = beanstalk_scope(c);
	struct state_elasticbeanstalk_application_record r;
	if (application_get(c, in->application_name, &r) != CALL_OK)
		return CALL_FAIL;
	if (environment_count(&s, in->application_name) && in->terminate_env_by_force.v) {
		if (terminate_all(c, in->application_name) != CALL_OK)
			return CALL_FAIL;
		r.deleting = c->request_id;
		application_put(&s, &r);
		event_add(&s, c->request_id,
		          &(struct elasticbeanstalk_event_description){.message = S("deleteApplication is starting."),
		                                                       .severity = S("INFO"),
		                                                       .application_name = in->application_name});
		return CALL_OK;
	}
	if (environment_count(&s, in->application_name))
		return beanstalk_invalid(
		        c, "Unable to delete application %.*s because it has a version that is deployed to a running environment.",
		        STR_ARG(in->application_name));
	delete_all(&s, in->application_name, c->request_id);
	return CALL_OK;
}

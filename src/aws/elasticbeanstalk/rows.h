/* What all nouns of Elastic Beanstalk share: records and their keys, ARNs, errors in AWS's words, events, pages. Private to
 * aws/elasticbeanstalk.
 *
 * Records lie under ("elasticbeanstalk", kind, account, region, application or event, name). An application's record holds neither
 * its versions nor its templates: those lie beside it, and its description gathers their names. What is given lives in the arena.
 */
#pragma once
#include "core/call.h"
#include "core/record.h"
#include "core/service.h"
#include "gen/elasticbeanstalk.h"
#include "gen/state_elasticbeanstalk.h"

extern const struct service elasticbeanstalk_service;

/* Whose records, in which transaction. */
struct scope {
	struct store_txn *txn;
	struct arena *arena;
	struct cloud *cloud;
	struct str account, region;
	int64_t now_ms;
};
struct scope beanstalk_scope(struct call *c);

/* What an account may have in a region. */
enum {
	APPLICATIONS_MAX = 75,
	VERSIONS_MAX = 1000,
	TEMPLATES_MAX = 2000,
	ENVIRONMENTS_MAX = 200,
	TAGS_MAX = 50,
};

/* --- rows.c: errors; all return CALL_FAIL */
int beanstalk_invalid(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));     /* InvalidParameterValue */
int beanstalk_combination(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* ...Combination */
int beanstalk_no_application(struct call *c, struct str name);

/* "application", "applicationversion", "configurationtemplate"; name absent: of the application itself. */
struct str beanstalk_arn(const struct scope *s, const char *kind, struct str application, struct str name);
/* A name that becomes part of an ARN. what: "Application name". */
int beanstalk_check_name(struct call *c, const char *what, struct str name);

struct str beanstalk_under(const struct scope *s, const char *kind, struct str application);
uint32_t beanstalk_count(const struct scope *s, const char *kind);
void beanstalk_drop_all(const struct scope *s, const char *kind, struct str application);

bool application_find(const struct scope *s, struct str name, struct state_elasticbeanstalk_application_record *ret);
/* Or "No Application named 'x' found." */
int application_get(struct call *c, struct str name, struct state_elasticbeanstalk_application_record *ret);
void application_put(const struct scope *s, const struct state_elasticbeanstalk_application_record *r);
void application_drop(const struct scope *s, struct str name);

bool version_find(const struct scope *s, struct str application, struct str label,
                  struct state_elasticbeanstalk_version_record *ret);
int version_get(struct call *c, struct str application, struct str label, struct state_elasticbeanstalk_version_record *ret);
void version_put(const struct scope *s, const struct state_elasticbeanstalk_version_record *r);
void version_drop(const struct scope *s, struct str application, struct str label);
/* Of one application (absent: of all), newest first. */
struct versions {
	struct state_elasticbeanstalk_version_record *v;
	uint32_t n;
	bool set;
};
struct versions version_all(const struct scope *s, struct str application);

/* The name of a template is found in its description. */
bool template_find(const struct scope *s, struct str application, struct str name,
                   struct state_elasticbeanstalk_template_record *ret);
int template_get(struct call *c, struct str application, struct str name, struct state_elasticbeanstalk_template_record *ret);
void template_put(const struct scope *s, const struct state_elasticbeanstalk_template_record *r);
void template_drop(const struct scope *s, struct str application, struct str name);

/* Pages over what is sorted by a text: the token says the last text. most: how many a page has where nobody says. */
struct page {
	struct str after;
	uint32_t left;
};
int beanstalk_page(struct call *c, struct opt_int max_records, struct str token, uint32_t usual, struct page *ret);
struct str beanstalk_token(struct call *c, struct str last);

/* --- application.c */
int application_make(struct call *c, struct str name, struct str description, const struct elasticbeanstalk_tags *tags,
                     const struct elasticbeanstalk_application_resource_lifecycle_config *lifecycle,
                     struct state_elasticbeanstalk_application_record *ret);

/* Ends one that is being deleted with the last of its environments. */
void application_let_go(const struct scope *s, struct str name);

/* --- lifecycle.c */
/* Fills in what is not said, or refuses it. */
int lifecycle_check(struct call *c, const struct elasticbeanstalk_application_resource_lifecycle_config *wish,
                    struct elasticbeanstalk_application_resource_lifecycle_config *ret);
/* Deletes versions that are too many or too old, as a new one comes; those whose bundles go as well some time later. */
void lifecycle_apply(struct call *c, const struct state_elasticbeanstalk_application_record *r);

/* --- platform.c */
struct platform {
	const char *key;                         /* in the image's list: "python3.11" */
	const char *name;                        /* "Python" */
	const char *language, *language_version; /* "Python", "3.11"; NULL: it is none of a language */
	const char *stack;                       /* "Python 3.11" */
	const char *version, *branch;            /* "4.9.261130", "Python 3.11 running on 64bit Amazon Linux 2023" */
};
/* Which one a solution stack is a version of, whether that version runs here or not. NULL: there is no such one. Its own version is
 * not all of it. */
const struct platform *platform_of(struct str stack);
struct str platform_stack(struct arena *a, const struct platform *p);
struct str platform_arn(struct arena *a, struct str region, const struct platform *p);
/* Of an operation that takes either of both and needs one of them: one that runs here. NULL: the error is set. */
const struct platform *platform_get(struct call *c, struct str stack, struct str arn);
/* The version of that one that runs here now. NULL: none does. */
const struct platform *platform_now(const struct cloud *cloud, struct arena *a, const struct platform *p);

/* --- tag.c */
int tags_check(struct call *c, const struct elasticbeanstalk_tags *tags);
void tags_copy(struct arena *a, const struct elasticbeanstalk_tags *from, struct elasticbeanstalk_tag_list *ret);

/* --- event.c */
struct events;
struct events *events_new(void);
void events_free(struct events *e); /* NULL is harmless */
/* e->message and e->severity are set, and whom it is about; the time and the request are filled in. request: of the call that the
 * event comes of. */
void event_add(const struct scope *s, struct str request, struct elasticbeanstalk_event_description *e);

/* Handlers */
elasticbeanstalk_abort_environment_update_handler elasticbeanstalk_abort_environment_update;
elasticbeanstalk_apply_environment_managed_action_handler elasticbeanstalk_apply_environment_managed_action;
elasticbeanstalk_check_dns_availability_handler elasticbeanstalk_check_dns_availability;
elasticbeanstalk_compose_environments_handler elasticbeanstalk_compose_environments;
elasticbeanstalk_create_application_handler elasticbeanstalk_create_application;
elasticbeanstalk_create_application_version_handler elasticbeanstalk_create_application_version;
elasticbeanstalk_create_configuration_template_handler elasticbeanstalk_create_configuration_template;
elasticbeanstalk_create_storage_location_handler elasticbeanstalk_create_storage_location;
elasticbeanstalk_delete_application_handler elasticbeanstalk_delete_application;
elasticbeanstalk_delete_application_version_handler elasticbeanstalk_delete_application_version;
elasticbeanstalk_delete_configuration_template_handler elasticbeanstalk_delete_configuration_template;
elasticbeanstalk_describe_account_attributes_handler elasticbeanstalk_describe_account_attributes;
elasticbeanstalk_describe_application_versions_handler elasticbeanstalk_describe_application_versions;
elasticbeanstalk_describe_applications_handler elasticbeanstalk_describe_applications;
elasticbeanstalk_describe_configuration_settings_handler elasticbeanstalk_describe_configuration_settings;
elasticbeanstalk_describe_events_handler elasticbeanstalk_describe_events;
elasticbeanstalk_describe_platform_version_handler elasticbeanstalk_describe_platform_version;
elasticbeanstalk_list_available_solution_stacks_handler elasticbeanstalk_list_available_solution_stacks;
elasticbeanstalk_list_platform_branches_handler elasticbeanstalk_list_platform_branches;
elasticbeanstalk_list_platform_versions_handler elasticbeanstalk_list_platform_versions;
elasticbeanstalk_list_tags_for_resource_handler elasticbeanstalk_list_tags_for_resource;
elasticbeanstalk_update_application_handler elasticbeanstalk_update_application;
elasticbeanstalk_update_application_resource_lifecycle_handler elasticbeanstalk_update_application_resource_lifecycle;
elasticbeanstalk_update_application_version_handler elasticbeanstalk_update_application_version;
elasticbeanstalk_update_configuration_template_handler elasticbeanstalk_update_configuration_template;
elasticbeanstalk_update_tags_for_resource_handler elasticbeanstalk_update_tags_for_resource;
elasticbeanstalk_create_environment_handler elasticbeanstalk_create_environment;
elasticbeanstalk_describe_environment_managed_action_history_handler elasticbeanstalk_describe_environment_managed_action_history;
elasticbeanstalk_describe_environment_managed_actions_handler elasticbeanstalk_describe_environment_managed_actions;
elasticbeanstalk_describe_environments_handler elasticbeanstalk_describe_environments;
elasticbeanstalk_describe_environment_resources_handler elasticbeanstalk_describe_environment_resources;
elasticbeanstalk_describe_environment_health_handler elasticbeanstalk_describe_environment_health;
elasticbeanstalk_describe_instances_health_handler elasticbeanstalk_describe_instances_health;
elasticbeanstalk_request_environment_info_handler elasticbeanstalk_request_environment_info;
elasticbeanstalk_retrieve_environment_info_handler elasticbeanstalk_retrieve_environment_info;
elasticbeanstalk_rebuild_environment_handler elasticbeanstalk_rebuild_environment;
elasticbeanstalk_restart_app_server_handler elasticbeanstalk_restart_app_server;
elasticbeanstalk_terminate_environment_handler elasticbeanstalk_terminate_environment;
elasticbeanstalk_update_environment_handler elasticbeanstalk_update_environment;
elasticbeanstalk_describe_configuration_options_handler elasticbeanstalk_describe_configuration_options;
elasticbeanstalk_swap_environment_cnames_handler elasticbeanstalk_swap_environment_cnames;
elasticbeanstalk_validate_configuration_settings_handler elasticbeanstalk_validate_configuration_settings;

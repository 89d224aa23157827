/* Environments inside this service: their records, options, and what is done next about one. Private to aws/elasticbeanstalk.
 *
 * A record says what should be and how far the operation under way has come: Operation ("create", "deploy", "terminate" or absent)
 * and Step. step.c decides from a record and the last answer alone; keeper.c asks other services and writes. */
#pragma once
#include "rows.h"

#define environment_record state_elasticbeanstalk_environment_record

/* --- environment_list.c: records */
bool environment_find(const struct scope *s, struct str id, struct environment_record *ret);
/* A terminated one is not found by its name. absent: there is none. */
struct str environment_named(const struct scope *s, struct str name);
/* By either, one that is not terminated; or AWS's error. */
int environment_get(struct call *c, struct str id, struct str name, struct environment_record *ret);
void environment_put(const struct scope *s, const struct environment_record *r);
/* Its name and its CNAME are free from now on; the record stays for an hour. */
void environment_forget(const struct scope *s, struct environment_record *r);
struct str environment_key(const struct scope *s, struct str id);
bool cname_taken(const struct scope *s, struct str prefix);
struct environments {
	struct environment_record *v;
	uint32_t n;
	bool set;
};
struct environments environment_all(const struct scope *s);
/* Of an application, and not terminated. */
uint32_t environment_count(const struct scope *s, struct str application);
bool version_used(const struct scope *s, struct str application, struct str label);

/* --- option.c */
/* In AWS's words where one is unknown, cannot be or is not supported. */
int options_check(struct call *c, const struct elasticbeanstalk_configuration_option_settings_list *l);
void options_set(struct arena *a, struct elasticbeanstalk_configuration_option_settings_list *l,
                 const struct elasticbeanstalk_configuration_option_settings_list *more);
void options_remove(struct elasticbeanstalk_configuration_option_settings_list *l,
                    const struct elasticbeanstalk_options_specifier_list *which);
/* What has to be done with the instance where options are these and no longer those. */
enum option_change { CHANGE_NONE, CHANGE_SERVER, CHANGE_INSTANCES };
enum option_change options_change(const struct environment_record *before, const struct environment_record *after);
/* What is said, else the default. */
struct str option_value(const struct environment_record *r, const char *namespace, const char *name);
#define PROPERTIES "aws:elasticbeanstalk:application:environment"
#define STATIC_FILES "aws:elasticbeanstalk:environment:proxy:staticfiles"
bool option_is_free(struct str namespace); /* options of it have names that users give them */

/* --- step.c */
enum ask_kind {
	ASK_NOTHING,
	ASK_BUCKET,
	ASK_SUBNETS,
	ASK_GROUP,
	ASK_GROUP_THERE,
	ASK_OPEN,
	ASK_ADDRESS_THERE,
	ASK_ADDRESS,
	ASK_TEMPLATE,
	ASK_SCALING,
	ASK_MEMBER,
	ASK_ASSOCIATE,
	ASK_VERSION,
	ASK_DROP_MEMBER,
	ASK_DROP_SCALING,
	ASK_DROP_TEMPLATE,
	ASK_DROP_ADDRESS,
	ASK_DROP_GROUP,
};
/* What came of the last question. */
struct answer {
	enum ask_kind kind;       /* ASK_NOTHING: there is none */
	struct str code, message; /* of an error */
	bool ours;                /* the error is of this cloud, and passes */
	struct str first, second; /* the vpc; the group's id; allocation and address; the member */
	struct str_list all;      /* subnets */
};
struct next {
	enum ask_kind ask;
	int64_t wait_ms; /* before it is asked, or looked at again; 0: at once */
	bool changed;    /* the record is */
	bool over;       /* nothing is to be done about it, as it is */
};
struct health_sample;
/* checks: the members may have changed. sample: what the instance last said of its health. */
struct next environment_step(const struct scope *s, struct environment_record *r, const struct answer *a, bool checks,
                             const struct health_sample *sample);
struct str environment_group_name(struct arena *a, const struct environment_record *r);
struct str environment_scaling_name(struct arena *a, const struct environment_record *r);
struct str environment_template_name(struct arena *a, const struct environment_record *r);
void environment_event(const struct scope *s, const struct environment_record *r, const char *severity, struct str message);

/* --- change.c: "configure", from the step CHANGE_STEPS on */
enum { CHANGE_STEPS = 50 };
/* Options are others now; before: what they were. */
void change_begin(const struct scope *s, struct environment_record *r,
                  const struct elasticbeanstalk_configuration_option_settings_list *before, enum option_change change);
/* They are what they were, as long as an instance is there that runs by them. */
void change_revert(struct environment_record *r);
struct next change_step(const struct scope *s, struct environment_record *r, const struct answer *a);

/* --- logs.c: what the instance is asked for, what it has done (true: that is written into the record), and what it has not done
 * in time */
struct beanstalk_agent_report_request;
struct beanstalk_agent_report_response;
void logs_order(struct call *c, const struct environment_record *r, struct beanstalk_agent_report_response *out);
bool logs_take(struct call *c, struct environment_record *r, const struct beanstalk_agent_report_request *in);
bool logs_late(const struct scope *s, struct environment_record *r);

/* --- keeper.c */
struct environment_keepers;
struct environment_keepers *environments_keep(struct cloud *cloud);
void environments_let_go(struct environment_keepers *k); /* NULL is harmless */
struct events *environments_events(struct cloud *cloud);

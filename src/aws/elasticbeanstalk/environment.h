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

/* --- environment.c */
/* environment_get(), and nothing else is under way with it. */
int environment_get_ready(struct call *c, struct str id, struct str name, struct environment_record *r);
struct str environment_suffix(struct arena *a); /* of the names of what it is made of */
void environment_begin(struct call *c, struct environment_record *r, struct str operation, struct str status);
/* What UpdateEnvironment does; the record as it is then. CALL_WAIT: the bundle is fetched, and the handler runs again. */
int environment_change(struct call *c, const struct elasticbeanstalk_update_environment_message *in, struct environment_record *r);

/* --- environment_create.c */
/* What CreateEnvironment does, but for environment_check_links(): all that it is linked to has to be there. */
int environment_make(struct call *c, const struct elasticbeanstalk_create_environment_message *in, struct environment_record *ret);
/* A name of env.yaml's: one that ends in "+" is one of the group's. */
int environment_in_group(struct call *c, struct str said, struct str group, struct str *ret);
int environment_check_links(struct call *c, const struct environment_record *r);
struct manifest;
int environment_take_links(struct call *c, const struct manifest *m, struct str group,
                           struct elasticbeanstalk_environment_description *e);
int environment_check_profile(struct call *c, struct str profile);
int environment_check_tier(struct call *c, const struct elasticbeanstalk_environment_tier *t);
/* The version that an environment shall run. */
int environment_check_version(struct call *c, struct str application, struct str label,
                              struct state_elasticbeanstalk_version_record *ret);
/* The same of no call. */
void environment_begin_as(const struct scope *s, struct environment_record *r, struct str operation, struct str status,
                          struct str request);

/* --- option.c */
/* In AWS's words where one is unknown, cannot be or is not supported. */
int options_check(struct call *c, const struct elasticbeanstalk_configuration_option_settings_list *l);
/* ... and all together. */
int options_match(struct call *c, const struct environment_record *r);
/* ... and what cannot become another one. */
int options_fixed(struct call *c, const struct environment_record *before, const struct environment_record *after);
void options_set(struct arena *a, struct elasticbeanstalk_configuration_option_settings_list *l,
                 const struct elasticbeanstalk_configuration_option_settings_list *more);
void options_remove(struct elasticbeanstalk_configuration_option_settings_list *l,
                    const struct elasticbeanstalk_options_specifier_list *which);
/* What was said by operations and saved configurations, which goes before what the bundle says; both together are r->options. */
const struct elasticbeanstalk_configuration_option_settings_list *options_said(const struct environment_record *r);
void options_resolve(struct arena *a, struct environment_record *r);
/* Why it cannot be, in the words of an event. Absent: it can. */
struct str option_fault(struct call *c, const struct elasticbeanstalk_configuration_option_setting *o);
bool option_is_property(struct str name); /* may an environment property be called so? */
/* What has to be done with the instance where options are these and no longer those. */
enum option_change { CHANGE_NONE, CHANGE_SERVER, CHANGE_INSTANCES };
enum option_change options_change(const struct environment_record *before, const struct environment_record *after);
/* What is said, else the default. */
struct str option_value(const struct environment_record *r, const char *namespace, const char *name);
#define PROPERTIES "aws:elasticbeanstalk:application:environment"
#define STATIC_FILES "aws:elasticbeanstalk:environment:proxy:staticfiles"
bool option_is_free(struct str namespace); /* options of it have names that users give them */

bool environment_many(const struct environment_record *r);     /* of as many instances as its group has */
bool environment_balanced(const struct environment_record *r); /* ... behind a load balancer */
int64_t option_number(const struct environment_record *r, const char *namespace, const char *name);

/* --- members.c: instances by their ids, and the record's own Instance, Done, Failure, Notes and Answers, which sum them up */
enum { PHASE_NEW, PHASE_IN, PHASE_OUT, PHASE_WORK, PHASE_JOIN }; /* of a member, as the load balancer sees it */
/* In the environment's group; in a deployment's; between both; on the way into the environment's. */
enum { PLACE_OWN, PLACE_OTHER, PLACE_NONE, PLACE_COMING };
enum { MEMBERS_MOVED_MAX = 20 }; /* from place to place at once */
struct state_elasticbeanstalk_member *member_find(const struct environment_record *r, struct str instance);
/* One that has come for the last deployment, and has not got it. NULL: there is none. */
const struct state_elasticbeanstalk_member *member_unborn(const struct environment_record *r);
void members_sum(struct environment_record *r);
/* Those and no others are there; true: they are not those of before. A new one shall run what was deployed last. */
bool members_take(struct arena *a, struct environment_record *r, const struct str_list *there);
/* Those there and, in a deployment's group, those of `other`. */
bool members_take_both(struct arena *a, struct environment_record *r, const struct str_list *there, const struct str_list *other);
/* The first that runs what was there before the deployment under way. NULL: there is none. */
const struct state_elasticbeanstalk_member *member_old(const struct environment_record *r);
/* Those in the other group are members no longer. */
void members_leave_other(struct environment_record *r);
/* All of them shall run the deployment. */
void members_want(struct environment_record *r);

/* --- ask.c, ask_balance.c, ask_immutable.c: the questions that other services are asked */
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
	ASK_DEAD_QUEUE,
	ASK_QUEUE,
	ASK_DROP_QUEUE,
	ASK_DROP_DEAD_QUEUE,
	ASK_DROP_MEMBER,
	ASK_SIZES,
	ASK_DROP_SCALING,
	ASK_DROP_TEMPLATE,
	ASK_DROP_ADDRESS,
	ASK_DROP_GROUP,
	/* of those with a load balancer */
	ASK_BALANCER_GROUP,
	ASK_BALANCER_GROUP_THERE,
	ASK_BALANCER_OPEN,
	ASK_TARGETS,
	ASK_TARGETS_THERE,
	ASK_CHECKS,
	ASK_DELAY,
	ASK_BALANCER,
	ASK_BALANCER_THERE,
	ASK_LISTENER,
	ASK_SUSPEND,
	ASK_ATTACH,
	ASK_POLICY_UP,
	ASK_POLICY_DOWN,
	ASK_ALARM_HIGH,
	ASK_ALARM_LOW,
	ASK_REGISTER,
	ASK_DEREGISTER,
	ASK_HOLD, /* the group neither scales nor balances its zones during a deployment */
	ASK_RELEASE,
	ASK_HEALTH,
	ASK_TERMINATE, /* member_unborn() */
	ASK_OTHER_SCALING,
	ASK_OTHER_TARGETS,
	ASK_DROP_ALARMS,
	ASK_DROP_BALANCER,
	ASK_DROP_TARGETS,
	ASK_DROP_BALANCER_GROUP,
	/* of a deployment's own instances */
	ASK_OTHER_SIZES,
	ASK_ROOM,
	ASK_DETACH,
	ASK_ATTACH_MEMBERS,
	ASK_DROP_OLD, /* member_old() */
	ASK_DROP_OTHER_SCALING,
	ASK_OTHER_REGISTER,
	ASK_SHARES,
	ASK_OTHER_HEALTH,
	ASK_DROP_OTHER_TARGETS,
	ASK_BALANCER_SET,
	ASK_BALANCER_GROUPS,
	ASK_SAMPLE,
	ASK_QUEUE_SET,
	ASK_DEAD_QUEUE_SET,
	ASK_REPLACE, /* batches_leaving() */
	/* of what stands beside it: beside_is() */
	ASK_LOG_GROUP,
	ASK_LOG_RETENTION,
	ASK_DROP_LOG_GROUP,
	ASK_CLUSTER,
	ASK_DROP_DEFINITION,
	ASK_DROP_CLUSTER,
	ASK_TOPIC,
	ASK_SUBSCRIBE,
	ASK_DROP_TOPIC,
	ASK_EXTRA, /* extra.c */
	ASK_EXTRA_DROP,
};
/* What came of the last question. */
struct answer {
	enum ask_kind kind;       /* ASK_NOTHING: there is none */
	struct str code, message; /* of an error */
	bool ours;                /* the error is of this cloud, and passes */
	struct str first, second; /* the vpc; the group's id; allocation and address; the first member; an ARN and a name */
	struct str_list all;      /* subnets; members that are in service; targets */
	struct str_list states;   /* of these targets */
	struct str_list other;    /* members of a deployment's own group */
	bool unsettled;           /* members come or go */
};
/* Whom to ask, as whom, and who is told. */
struct question {
	struct cloud *cloud;
	const struct principal *owner;
	struct str region;
	void (*done)(void *ctx, struct call *sub);
	void *ctx;
};
void environment_ask(const struct question *q, struct arena *a, const struct environment_record *r, enum ask_kind kind);
void environment_ask_immutable(const struct question *q, struct arena *a, const struct environment_record *r, enum ask_kind kind);
void environment_ask_balance(const struct question *q, struct arena *a, const struct environment_record *r, enum ask_kind kind);
/* to->kind is set. */
void environment_take(struct arena *a, struct answer *to, const struct call *sub);
void environment_take_balance(struct arena *a, struct answer *to, const struct call *sub);
/* Where what belongs to environments of its region lies. */
struct str environment_bucket(struct arena *a, const struct environment_record *r, struct str region);
struct ec2_tag_specification_list;
struct environment_tag {
	struct str key, value;
};
/* What all that belongs to it is tagged with: *ret_n of them. */
struct environment_tag *environment_tags(struct arena *a, const struct environment_record *r, uint32_t *ret_n);

/* --- launch.c: what instances are launched with */
struct ec2_request_launch_template_data;
void launch_data(struct arena *a, const struct environment_record *r, struct str region,
                 struct ec2_request_launch_template_data *ret);
/* For a group: the template alone, or (the other one is NULL) a policy that has it. */
struct autoscaling_launch_template_specification;
struct autoscaling_mixed_instances_policy;
void launch_policy(struct arena *a, const struct environment_record *r, struct autoscaling_launch_template_specification **ret_one,
                   struct autoscaling_mixed_instances_policy **ret_mixed);
/* Why such an option of it cannot be; NULL: it can. And all of its options together. */
const char *launch_fault(struct call *c, const struct elasticbeanstalk_configuration_option_setting *o);
int launch_match(struct call *c, const struct environment_record *r);

/* --- step.c: what is common to all, and environments of one instance */
struct next {
	enum ask_kind ask;
	int64_t wait_ms; /* before it is asked, or looked at again; 0: at once */
	bool changed;    /* the record is */
	bool over;       /* nothing is to be done about it, as it is */
};
struct health_samples;
/* checks: the members may have changed. samples: what the instances last said of their health. */
struct next environment_step(const struct scope *s, struct environment_record *r, const struct answer *a, bool checks,
                             const struct health_samples *samples);
struct str environment_group_name(struct arena *a, const struct environment_record *r);
struct str environment_scaling_name(struct arena *a, const struct environment_record *r);
struct str environment_template_name(struct arena *a, const struct environment_record *r);
struct str environment_other_scaling_name(struct arena *a, const struct environment_record *r);
struct str environment_part_name(struct arena *a, const struct environment_record *r, const char *what);
struct str environment_balancer_name(struct arena *a, const struct environment_record *r);
struct str environment_targets_name(struct arena *a, const struct environment_record *r);
/* For balance.c and rollout.c: */
struct next step_ask(enum ask_kind kind);
struct next step_ask_later(enum ask_kind kind, int64_t ms);
struct next step_go_on(struct environment_record *r, int64_t step);
void step_say(const struct scope *s, const struct environment_record *r, const char *what, struct str name);
bool step_is(const struct environment_record *r, const char *operation);
/* What is to be made is there already. */
bool step_was_there(const struct answer *a);
/* How operations end: well; with an application that does not answer; not; and with members that could not do it, or (late) have
 * not said so in time, as far as they shall run the deployment. */
struct next step_done(const struct scope *s, struct environment_record *r);
/* One of its instances has done it. */
void step_say_deployed(const struct scope *s, const struct environment_record *r, const struct state_elasticbeanstalk_member *m);
struct next step_done_badly(const struct scope *s, struct environment_record *r);
struct next step_failed(const struct scope *s, struct environment_record *r, struct str why);
struct next step_unsuccessful(const struct scope *s, struct environment_record *r);
struct next step_late(const struct scope *s, struct environment_record *r);
struct next step_terminated(const struct scope *s, struct environment_record *r);
/* Basic health is another one from now on, unless it is that one already. */
struct next step_colour(const struct scope *s, struct environment_record *r, const char *colour);
int64_t step_patience_ms(const struct environment_record *r);
enum { STEP_AGAIN_MS = 500, STEP_MEMBER_MS = 200, STEP_LAUNCH_MS = 15 * 60 * 1000, STEP_ANSWER_MS = 10 * 1000 };

/* --- balance.c: what an environment with a load balancer is made of, and its end */
struct next balance_create(const struct scope *s, struct environment_record *r, const struct answer *a, bool checks,
                           const struct health_samples *samples);
struct next balance_terminate(const struct scope *s, struct environment_record *r, const struct answer *a);

/* --- batches.c */
/* The next one that is to end and has left the balancer. NULL: there is none. */
const struct state_elasticbeanstalk_member *batches_leaving(const struct environment_record *r);
/* "PT1M30S". False: it is none. */
bool batches_duration(struct str text, int64_t *ret_ms);

/* --- listeners.c */
enum { LISTENERS_MAX = 20 };
struct listener_wish {
	bool any, wanted; /* not wanted: it is there, and goes */
	int64_t port;
	struct str protocol, certificate, policy;
	struct str arn; /* absent: it is to be made */
};
/* The first that is not as the options have it; !any: all are. */
struct listener_wish listener_next(struct arena *a, const struct environment_record *r);
/* Until all are; `then` the next step. */
struct next listeners_step(const struct scope *s, struct environment_record *r, const struct answer *a, int64_t then);
int listeners_check(struct call *c, const struct environment_record *r);
bool listener_is_port(struct str namespace); /* of the options of one beside the usual one */

/* --- settle.c: what that is made of takes other options. Steps from `first` on, and `then` the next one. */
bool settle_needed(const struct environment_record *r);
struct next settle_step(const struct scope *s, struct environment_record *r, const struct answer *a, int64_t first, int64_t then);

/* --- rollout.c: environments with a load balancer. The operation under way, on all members in the order of its policy. */
/* A creation, all of whose parts are there, comes to it with this step. */
enum { ROLLOUT_CREATED = 100 };
struct next rollout_step(const struct scope *s, struct environment_record *r, const struct answer *a, bool checks,
                         const struct health_samples *samples);
/* What is to be done while there is none: who comes is led to the balancer, and targets are looked at. */
struct next rollout_tend(const struct scope *s, struct environment_record *r, const struct answer *a, bool checks);

void environment_event(const struct scope *s, const struct environment_record *r, const char *severity, struct str message);

/* --- change.c: "configure", from the step CHANGE_STEPS on */
enum { CHANGE_STEPS = 50 };
/* Options are others now; before: what they were. */
void change_begin(const struct scope *s, struct environment_record *r, const struct environment_record *before,
                  enum option_change change);
/* They are what they were, and so is the platform, as long as an instance is there that runs by them. */
void change_revert(struct environment_record *r);
struct next change_step(const struct scope *s, struct environment_record *r, const struct answer *a);

/* --- rebuild.c: a rebuilding whose old parts are gone goes on as a creation */
struct next rebuild_from_nothing(struct arena *a, struct environment_record *r);

/* --- links.c: properties of its links, as far as those it is linked to can be reached. False: one of them cannot yet. */
bool links_resolve(const struct scope *s, const struct environment_record *r,
                   struct elasticbeanstalk_configuration_option_settings_list *to);
/* --- beside.c: log groups, and the topic of notifications */
bool beside_is(enum ask_kind kind);
const struct api *beside_question(struct arena *a, const struct environment_record *r, enum ask_kind kind,
                                  const char **ret_operation, const void **ret_in);
struct str beside_answer(struct arena *a, const void *out); /* of ASK_TOPIC */
/* True: *ret is next, before anything else. beside_end(): of an environment that is gone otherwise. */
bool beside_step(const struct scope *s, struct environment_record *r, const struct answer *a, struct next *ret);
bool beside_end(const struct scope *s, struct environment_record *r, const struct answer *a, struct next *ret);
int beside_check(struct call *c, const struct environment_record *r); /* its options */
bool beside_streams_health(const struct environment_record *r);
struct str beside_health_group(struct arena *a, const struct environment_record *r);

/* --- cluster.c: environments of the platform ECS */
bool cluster_is_wanted(const struct environment_record *r);
struct str cluster_name(struct arena *a, const struct environment_record *r);
const struct api *cluster_question(struct arena *a, const struct environment_record *r, enum ask_kind kind,
                                   const char **ret_operation, const void **ret_in);
/* What came of it, into the record. */
void cluster_take(const struct scope *s, struct environment_record *r, const struct answer *a);
/* The next thing of it to be dropped; ASK_NOTHING: there is none. */
enum ask_kind cluster_left(const struct environment_record *r);
struct beanstalk_agent_define_request;
struct beanstalk_agent_define_response;
/* A definition that an instance has read in its bundle becomes one of ECS's, once for all instances. */
int beanstalk_agent_define(struct call *c, const struct beanstalk_agent_define_request *in,
                           struct beanstalk_agent_define_response *out);

/* --- managed.c: managed updates */
/* True: one has begun. *ret_wait_ms: when it is to be asked again; 0: not before something changes. */
bool managed_due(const struct scope *s, struct environment_record *r, int64_t *ret_wait_ms);
void managed_failed(struct environment_record *r, struct str why); /* the operation under way, if it is one */
void managed_ended(const struct scope *s, struct environment_record *r);
int managed_check(struct call *c, const struct environment_record *r); /* its options */

/* --- news.c: who else hears of an event */
void news_tell(const struct scope *s, const struct environment_record *r, const char *severity, struct str message);

/* --- sample.c: applications of environments without a version */
#define SAMPLE_LABEL "Sample Application"
bool sample_there(struct str platform); /* by the platform's name */
bool sample_is(struct str label);
struct str sample_key(struct arena *a, struct str platform);    /* in the storage bucket */
struct str sample_bundle(struct arena *a, struct str platform); /* a zip file */

/* --- template_file.c: CALL_WAIT is the handler's to return, and it runs again */
/* As its file in the storage bucket has it, where there is one. */
int template_saved(struct call *c, struct str application, struct str name, struct state_elasticbeanstalk_template_record *ret);
/* Not in a handler that reads files or bundles. */
int template_write(struct call *c, const struct elasticbeanstalk_configuration_settings_description *d);
int template_erase(struct call *c, struct str application, struct str name);

/* --- worker.c */
#define SQSD "aws:elasticbeanstalk:sqsd"
bool environment_is_worker(const struct environment_record *r);
int worker_check(struct call *c, const struct environment_record *r); /* its options, and that others have none of them */
int worker_check_change(struct call *c, const struct environment_record *before, const struct environment_record *after);
/* Which operation of SQS's a question is, and what it is asked with; and the queue's URL that it was answered with. */
const char *worker_question(struct arena *a, const struct environment_record *r, struct str region, enum ask_kind kind,
                            const void **ret_in);
struct str worker_answer(struct arena *a, const void *out);
/* True: they are made, or gone; else *ret is next. */
bool worker_make(const struct scope *s, struct environment_record *r, const struct answer *a, struct next *ret);
bool worker_drop(const struct scope *s, struct environment_record *r, const struct answer *a, struct next *ret);
/* At the beginning of an operation: its queues have other settings. False: nothing is to be asked, or all is. */
bool worker_settle(const struct scope *s, struct environment_record *r, const struct answer *a, struct next *ret);
void worker_queues(struct arena *a, const struct environment_record *r, struct elasticbeanstalk_queue_list *ret);

/* --- logs.c: what the instance is asked for, what it has done (true: that is written into the record), and what it has not done
 * in time */
struct beanstalk_agent_report_request;
struct beanstalk_agent_report_response;
void logs_order(struct call *c, const struct environment_record *r, struct str instance,
                struct beanstalk_agent_report_response *out);
bool logs_take(struct call *c, struct environment_record *r, const struct beanstalk_agent_report_request *in);
bool logs_late(const struct scope *s, struct environment_record *r);

/* --- keeper.c */
struct environment_keepers;
struct environment_keepers *environments_keep(struct cloud *cloud);
void environments_let_go(struct environment_keepers *k); /* NULL is harmless */
struct events *environments_events(struct cloud *cloud);

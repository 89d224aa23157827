/* What an environment has as often as its options say (extra.c, routes.c). Private to aws/elasticbeanstalk. */
#pragma once
#include "environment.h"

#define SCHEDULED "aws:autoscaling:scheduledaction" /* its options are of an action each, by ResourceName */

/* In the order in which they are made; they go the other way round. */
enum extra_kind {
	EXTRA_SSH,
	EXTRA_ACTION,
	EXTRA_PORT, /* of instances, open to the balancer */
	EXTRA_TARGETS,
	EXTRA_CHECKS,
	EXTRA_ATTRIBUTES,
	EXTRA_MEMBERS, /* who is a target */
	EXTRA_RULE,
	EXTRA_KINDS
};
struct extra {
	bool any, wanted; /* not wanted, or on other terms: it is there, and goes */
	enum extra_kind kind;
	struct str name, terms, arn;
};
struct extras {
	struct extra *v;
	uint32_t n;
	bool set;
};

/* --- extra.c */
bool extra_is_source(struct arena *a, struct str text);              /* of SSHSourceRestriction */
int extra_check(struct call *c, const struct environment_record *r); /* all of its options together */
/* What may have been, and cannot come anew: times in the past. */
int extra_check_new(struct call *c, const struct elasticbeanstalk_configuration_option_settings_list *l);
struct state_elasticbeanstalk_extra *extra_there(const struct environment_record *r, enum extra_kind kind, struct str name);
/* ASK_EXTRA: about the next that is not as it should be. */
void extra_ask(const struct question *q, struct arena *a, const struct environment_record *r);
/* True: *ret is next. Only while its group of instances is there. */
bool extra_step(const struct scope *s, struct environment_record *r, const struct answer *a, struct next *ret);
/* The same as its balancer is gone: target groups go. */
bool extra_end(const struct scope *s, struct environment_record *r, const struct answer *a, struct next *ret);

/* --- routes.c */
bool routes_is_process(struct str space); /* namespaces of processes beside the usual one, and of rules */
bool routes_is_rule(struct str space);
void routes_want(struct arena *a, const struct environment_record *r, struct extras *to);
void routes_ask(const struct question *q, struct arena *a, const struct environment_record *r, const struct extra *e);
struct str routes_answer(struct arena *a, const struct call *sub); /* the ARN of what was made */
int routes_check(struct call *c, const struct environment_record *r);
int routes_fixed(struct call *c, const struct environment_record *before, const struct environment_record *after);
/* What is registered after the next question: some leave, or, if none has to, some join. */
struct str routes_registered(struct arena *a, const struct state_elasticbeanstalk_extra *had, const struct extra *e,
                             struct str_list *ret_leave, struct str_list *ret_join);

/* --- ask_balance.c */
void balance_make_targets(const struct question *q, struct arena *a, const struct environment_record *r, const char *process,
                          struct str name);
void balance_set_checks(const struct question *q, const struct environment_record *r, const char *process, struct str targets);
void balance_set_attributes(const struct question *q, struct arena *a, const struct environment_record *r, const char *process,
                            struct str targets);

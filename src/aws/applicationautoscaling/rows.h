/* What all nouns of Application Auto Scaling share: records and their keys, errors in AWS's words, ARNs, pages, activities. Private
 * to aws/applicationautoscaling.
 *
 * A target is a count of something that another service runs, between a least and a greatest one. Its record also holds the change
 * that is under way. Records lie under ("application-autoscaling", kind, account, region, namespace, resource, dimension[, name]);
 * targets and policies are found by their ids too ("target-id", "policy-id"). */
#pragma once
#include "core/call.h"
#include "core/record.h"
#include "core/service.h"
#include "gen/application_autoscaling.h"
#include "gen/state_applicationautoscaling.h"

#include "resource.h"

extern const struct service application_autoscaling_service;
#define APPSCALE "application-autoscaling"

/* --- rows.c */
struct appscale appscale_of_call(struct call *c);
int appscale_invalid(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* ObjectNotFoundException about "No scalable target registered", "No scaling policy found"... */
int appscale_none(struct call *c, const char *what, const struct resource *of, struct str policy);
int appscale_full(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The resource that a request names; CALL_FAIL: there are no such ones. */
int appscale_resource(struct call *c, struct str namespace, struct str id, struct str dimension, struct resource *ret);

struct str appscale_key(const struct appscale *s, const char *kind, const struct resource *of, struct str name); /* absent: none */
/* All of a kind of a namespace; of a resource and dimension, where they are given. */
struct str appscale_under(const struct appscale *s, const char *kind, struct str namespace, struct str id, struct str dimension);
struct str appscale_id_key(const struct appscale *s, const char *kind, struct str id);

bool target_find(const struct appscale *s, const struct resource *of, struct state_applicationautoscaling_target_record *ret);
void target_put(const struct appscale *s, const struct resource *of, const struct state_applicationautoscaling_target_record *r);
/* One that is registered, or ObjectNotFoundException. */
int target_get(struct call *c, const struct resource *of, struct state_applicationautoscaling_target_record *ret);

/* Pages over what lies in the order of its keys: the token is the last key. */
struct page {
	struct store_iter *iter;
	struct str after, last, key, value;
	int64_t left;
};
/* under absent: what is paged over is given to page_take() in p->key. */
int page_begin(struct call *c, struct page *p, struct str under, struct opt_int max_results, struct str token);
bool page_next(struct page *p);
/* Is there room for one more? Else the page is full, and *ret_token leads on. */
bool page_take(struct call *c, struct page *p, struct str *ret_token);
bool appscale_among(const struct str_list *l, struct str text); /* an empty list: among all */

/* --- target.c: brings what is wanted within the bounds of now; cause as AWS has it. */
void target_bound(const struct appscale *s, const struct resource *of, struct state_applicationautoscaling_target_record *r);
/* A change of the count begins: it is written in the record, and the keeper carries it out. */
void target_want(const struct appscale *s, const struct resource *of, struct state_applicationautoscaling_target_record *r,
                 int64_t count, struct str cause);
/* What is wanted now: of a change that is under way, else of the resource. */
int64_t target_count(const struct state_applicationautoscaling_target_record *r, const struct resource_seen *seen);

/* --- activity.c: the journal of a target */
void activity_begin(const struct appscale *s, const struct resource *of, struct state_applicationautoscaling_target_record *r,
                    struct str description, struct str cause);
/* Of the change that is under way. */
void activity_say(const struct appscale *s, const struct resource *of, const struct state_applicationautoscaling_target_record *r,
                  const char *status, struct str message);
void activity_done(const struct appscale *s, const struct resource *of, struct str description, struct str cause,
                   const char *status, struct str message);
/* Told once for each reason and cause in a row. */
void activity_not_scaled(const struct appscale *s, const struct resource *of, struct state_applicationautoscaling_target_record *r,
                         const char *code, struct str cause);

/* --- policy.c, schedule.c: with the target nothing of them stays. */
void appscale_policies_drop(const struct appscale *s, const struct resource *of);
void appscale_schedules_drop(const struct appscale *s, const struct resource *of);
extern const struct record_type appscale_policy_row;

/* Handlers */
application_autoscaling_delete_scaling_policy_handler application_autoscaling_delete_scaling_policy;
application_autoscaling_delete_scheduled_action_handler application_autoscaling_delete_scheduled_action;
application_autoscaling_deregister_scalable_target_handler application_autoscaling_deregister_scalable_target;
application_autoscaling_describe_scalable_targets_handler application_autoscaling_describe_scalable_targets;
application_autoscaling_describe_scaling_activities_handler application_autoscaling_describe_scaling_activities;
application_autoscaling_describe_scaling_policies_handler application_autoscaling_describe_scaling_policies;
application_autoscaling_describe_scheduled_actions_handler application_autoscaling_describe_scheduled_actions;
application_autoscaling_list_tags_for_resource_handler application_autoscaling_list_tags_for_resource;
application_autoscaling_put_scaling_policy_handler application_autoscaling_put_scaling_policy;
application_autoscaling_put_scheduled_action_handler application_autoscaling_put_scheduled_action;
application_autoscaling_register_scalable_target_handler application_autoscaling_register_scalable_target;
application_autoscaling_tag_resource_handler application_autoscaling_tag_resource;
application_autoscaling_untag_resource_handler application_autoscaling_untag_resource;

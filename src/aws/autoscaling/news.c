/* What EventBridge is told of groups: instances that were launched or have ended, and those that wait for somebody's action. */
#include "aws/events/events.h"
#include "base/clock.h"
#include "hooks.h"
#include "notify.h"

enum { DETAIL_MAX = 16384 };

static void put(struct json_out *j, const char *key, struct str value)
{
	json_key(j, str_from(key));
	json_string(j, str_set(value) ? value : S(""));
}

static void put_time(struct json_out *j, const char *key, struct opt_time at)
{
	char text[40];
	time_format_to(text, at.ms, TIME_ISO8601_MS);
	put(j, key, str_from(text));
}

static void tell(const struct scope *s, const struct autoscaling_auto_scaling_group *g, struct str type, struct buf *detail)
{
	const struct events_news news = {.account = s->account,
	                                 .region = s->region,
	                                 .source = S("aws.autoscaling"),
	                                 .type = type,
	                                 .resource = g->auto_scaling_group_arn,
	                                 .detail = arena_dup(s->arena, buf_str(detail)),
	                                 .at_ms = s->now_ms};
	events_tell(s->txn, s->arena, &news);
}

void scaling_tell_activity(const struct scope *s, const struct state_autoscaling_group_record *r,
                           const struct state_autoscaling_member *m, const struct autoscaling_activity *a)
{
	bool launch = str_starts(a->description, S("Launching a new EC2 instance")), good = str_is(a->status_code, "Successful");
	scaling_notify_activity(s, r, m, a);
	struct buf CLEAN_BUF b = {0};
	if (!events_heard(s->account, s->region) || (!launch && !str_starts(a->description, S("Terminating EC2 instance"))))
		return;
	buf_init(&b, DETAIL_MAX);
	struct json_out j = json_out(&b);
	json_open(&j, '{');
	put(&j, "StatusCode", good ? S("InProgress") : a->status_code);
	put(&j, "AutoScalingGroupName", a->auto_scaling_group_name);
	put(&j, "ActivityId", a->activity_id);
	put(&j, "RequestId", a->activity_id);
	put(&j, "Description", a->description);
	put(&j, "StatusMessage", a->status_message);
	put(&j, "Cause", a->cause);
	put_time(&j, "StartTime", a->start_time);
	put_time(&j, "EndTime", a->end_time);
	put(&j, "EC2InstanceId", m->id);
	put(&j, "Origin", launch ? S("EC2") : S("AutoScalingGroup"));
	put(&j, "Destination", launch ? S("AutoScalingGroup") : S("EC2"));
	json_key(&j, S("Details"));
	json_raw(&j, str_set(a->details) ? a->details : S("{}"));
	json_close(&j, '}');
	tell(s, r->group,
	     ARENA_CAT(s->arena, launch ? S("EC2 Instance Launch ") : S("EC2 Instance Terminate "),
	               good ? S("Successful") : S("Unsuccessful")),
	     &b);
}

void scaling_tell_hook(const struct scope *s, const struct state_autoscaling_group_record *r,
                       const struct state_autoscaling_member *m, const struct autoscaling_lifecycle_hook *h, struct str token)
{
	bool launch = str_is(h->lifecycle_transition, "autoscaling:EC2_INSTANCE_LAUNCHING");
	struct str pool = member_warm(m) ? S("WarmPool") : S("AutoScalingGroup");
	struct buf CLEAN_BUF b = {0};
	scaling_notify_hook(s, r, m, h, token);
	if (!events_heard(s->account, s->region))
		return;
	buf_init(&b, DETAIL_MAX);
	struct json_out j = json_out(&b);
	json_open(&j, '{');
	put(&j, "LifecycleActionToken", token);
	put(&j, "AutoScalingGroupName", r->group->auto_scaling_group_name);
	put(&j, "LifecycleHookName", h->lifecycle_hook_name);
	put(&j, "EC2InstanceId", m->id);
	put(&j, "LifecycleTransition", h->lifecycle_transition);
	if (str_set(h->notification_metadata))
		put(&j, "NotificationMetadata", h->notification_metadata);
	put(&j, "Origin", launch ? S("EC2") : pool);
	put(&j, "Destination", launch ? pool : S("EC2"));
	json_close(&j, '}');
	tell(s, r->group, launch ? S("EC2 Instance-launch Lifecycle Action") : S("EC2 Instance-terminate Lifecycle Action"), &b);
}

/* PutNotificationConfiguration and its like, and what topics are told. */
#include "notify.h"

#include "aws/events/events.h"
#include "aws/sns/sns.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"

enum { TYPES_MAX = 5, MESSAGE_MAX = 16384, PAGE = 50, PAGE_MAX = 100 };
#define TEST "autoscaling:TEST_NOTIFICATION"
#define ROW_TYPE (&(const struct record_type){&state_autoscaling_api, "NotifyRecord"})

static const char *const types[TYPES_MAX] = {"autoscaling:EC2_INSTANCE_LAUNCH", "autoscaling:EC2_INSTANCE_LAUNCH_ERROR",
                                             "autoscaling:EC2_INSTANCE_TERMINATE", "autoscaling:EC2_INSTANCE_TERMINATE_ERROR",
                                             TEST};

/* --- telling */

static void put(struct json_out *j, const char *key, struct str value)
{
	json_key(j, str_from(key));
	json_string(j, str_set(value) ? value : S(""));
}

static void put_time(struct json_out *j, const char *key, int64_t ms)
{
	char text[40];
	time_format_to(text, ms, TIME_ISO8601_MS);
	put(j, key, str_from(text));
}

static void begin(struct json_out *j, const struct scope *s, const struct autoscaling_auto_scaling_group *g, const char *type,
                  struct str request)
{
	json_open(j, '{');
	put(j, "Service", S("AWS Auto Scaling"));
	put_time(j, "Time", s->now_ms);
	put(j, "Event", str_from(type));
	put(j, "AccountId", s->account);
	put(j, "RequestId", request);
	put(j, "AutoScalingGroupARN", g->auto_scaling_group_arn);
	put(j, "AutoScalingGroupName", g->auto_scaling_group_name);
}

static void tell(const struct scope *s, const struct autoscaling_auto_scaling_group *g, struct str topic, const char *what,
                 struct buf *message)
{
	struct str subject =
	        arena_printf(s->arena, "Auto Scaling: %s for group \"%.*s\"", what, STR_ARG(g->auto_scaling_group_name));
	while (str_utf8_len(subject) > 100 || !str_is_utf8(subject))
		subject.n--;
	sns_notify(s->txn, s->arena,
	           &(struct sns_notice){.account = s->account,
	                                .service = "autoscaling.amazonaws.com",
	                                .source = g->auto_scaling_group_arn,
	                                .topic = topic,
	                                .subject = subject,
	                                .message = arena_dup(s->arena, buf_str(message))});
}

static void tell_activity(const struct scope *s, const struct autoscaling_auto_scaling_group *g, struct str topic, unsigned type,
                          const struct state_autoscaling_member *m, const struct autoscaling_activity *a)
{
	static const char *const what[] = {"launch", "failed launch", "termination", "failed termination"};
	struct buf CLEAN_BUF b = {0};
	buf_init(&b, MESSAGE_MAX);
	struct json_out j = json_out(&b);
	begin(&j, s, g, types[type], a->activity_id);
	put(&j, "ActivityId", a->activity_id);
	put(&j, "Description", a->description);
	put(&j, "Cause", a->cause);
	put(&j, "StatusCode", str_is(a->status_code, "Successful") ? S("InProgress") : a->status_code);
	put(&j, "StatusMessage", a->status_message);
	json_key(&j, S("Progress"));
	json_int(&j, 50);
	put_time(&j, "StartTime", a->start_time.ms);
	put_time(&j, "EndTime", a->end_time.ms);
	put(&j, "EC2InstanceId", m->id);
	json_key(&j, S("Details"));
	json_raw(&j, str_set(a->details) ? a->details : S("{}"));
	json_close(&j, '}');
	tell(s, g, topic, what[type], &b);
}

void scaling_notify_activity(const struct scope *s, const struct state_autoscaling_group_record *r,
                             const struct state_autoscaling_member *m, const struct autoscaling_activity *a)
{
	bool launch = str_starts(a->description, S("Launching a new EC2 instance"));
	if (!launch && !str_starts(a->description, S("Terminating EC2 instance")))
		return;
	unsigned type = (launch ? 0 : 2) + !str_is(a->status_code, "Successful");
	struct str under = scaling_under(s, "notify", r->group->auto_scaling_group_name), key;
	struct store_iter *i = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct str_list parts = record_key_parts(s->arena, key);
		struct state_autoscaling_notify_record n;
		if (record_read(s->arena, v.value, ROW_TYPE, &n) && scaling_among(&n.types, str_from(types[type])))
			tell_activity(s, r->group, parts.v[parts.n - 1], type, m, a);
	}
}

/* --- targets of lifecycle hooks */

void scaling_notify_hook(const struct scope *s, const struct state_autoscaling_group_record *r,
                         const struct state_autoscaling_member *m, const struct autoscaling_lifecycle_hook *h, struct str token)
{
	struct buf CLEAN_BUF b = {0};
	bool launch = str_is(h->lifecycle_transition, "autoscaling:EC2_INSTANCE_LAUNCHING");
	struct str subject = ARENA_CAT(s->arena, S("Auto Scaling: test notification for lifecycle hook "), h->lifecycle_hook_name);
	if (!h->notification_target_arn.n)
		return;
	buf_init(&b, MESSAGE_MAX);
	struct json_out j = json_out(&b);
	if (!m)
		begin(&j, s, r->group, TEST, id_uuid(s->arena));
	else {
		struct str pool = member_warm(m) ? S("WarmPool") : S("AutoScalingGroup");
		subject = ARENA_CAT(s->arena, S("Auto Scaling:  Lifecycle action '"), launch ? S("LAUNCHING") : S("TERMINATING"),
		                    S("' for instance "), m->id, S(" in progress."));
		json_open(&j, '{');
		put(&j, "Service", S("AWS Auto Scaling"));
		put_time(&j, "Time", s->now_ms);
		put(&j, "RequestId", id_uuid(s->arena));
		put(&j, "AccountId", s->account);
		put(&j, "AutoScalingGroupName", r->group->auto_scaling_group_name);
		put(&j, "LifecycleHookName", h->lifecycle_hook_name);
		put(&j, "LifecycleTransition", h->lifecycle_transition);
		put(&j, "LifecycleActionToken", token);
		put(&j, "EC2InstanceId", m->id);
		if (str_set(h->notification_metadata))
			put(&j, "NotificationMetadata", h->notification_metadata);
		put(&j, "Origin", launch ? S("EC2") : pool);
		put(&j, "Destination", launch ? pool : S("EC2"));
	}
	json_close(&j, '}');
	while (str_utf8_len(subject) > 100 || !str_is_utf8(subject))
		subject.n--;
	events_notify(s->txn, s->arena,
	              &(struct events_notice){.account = s->account,
	                                      .region = s->region,
	                                      .service = "autoscaling.amazonaws.com",
	                                      .target = h->notification_target_arn,
	                                      .role = h->role_arn,
	                                      .subject = subject,
	                                      .message = arena_dup(s->arena, buf_str(&b))},
	              s->now_ms);
}

/* --- operations */

int autoscaling_put_notification_configuration(struct call *c, const struct autoscaling_put_notification_configuration_type *in,
                                               struct model_none *out)
{
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	struct buf CLEAN_BUF b = {0};
	(void)out;
	if (scaling_get(c, in->auto_scaling_group_name, &r) != CALL_OK)
		return CALL_FAIL;
	if (!in->notification_types.n)
		return scaling_invalid(c, "At least one notification type is required.");
	for (uint32_t i = 0; i < in->notification_types.n; i++) {
		bool known = false;
		for (unsigned k = 0; k < TYPES_MAX; k++)
			known |= str_is(in->notification_types.v[i], types[k]);
		if (!known)
			return scaling_invalid(c, "\"%.*s\" is not a valid Notification Type.",
			                       STR_ARG(in->notification_types.v[i]));
	}
	if (!sns_has_topic(s.txn, s.arena, in->topic_arn))
		return scaling_invalid(c, "The topic %.*s does not exist.", STR_ARG(in->topic_arn));
	record_put(s.txn, s.arena, scaling_key(&s, "notify", r.group->auto_scaling_group_name, in->topic_arn), ROW_TYPE,
	           &(struct state_autoscaling_notify_record){.types = in->notification_types});
	buf_init(&b, MESSAGE_MAX);
	struct json_out j = json_out(&b);
	begin(&j, &s, r.group, TEST, id_uuid(s.arena));
	json_close(&j, '}');
	tell(&s, r.group, in->topic_arn, "test notification", &b);
	return CALL_OK;
}

int autoscaling_delete_notification_configuration(struct call *c,
                                                  const struct autoscaling_delete_notification_configuration_type *in,
                                                  struct model_none *out)
{
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	(void)out;
	if (scaling_get(c, in->auto_scaling_group_name, &r) != CALL_OK)
		return CALL_FAIL;
	store_delete(s.txn, scaling_key(&s, "notify", r.group->auto_scaling_group_name, in->topic_arn));
	return CALL_OK;
}

int autoscaling_describe_auto_scaling_notification_types(struct call *c, const struct model_none *in,
                                                         struct autoscaling_describe_auto_scaling_notification_types_answer *out)
{
	(void)in;
	for (unsigned i = 0; i < TYPES_MAX; i++)
		*LIST_ADD(c->arena, &out->auto_scaling_notification_types) = str_from(types[i]);
	return CALL_OK;
}

int autoscaling_describe_notification_configurations(struct call *c,
                                                     const struct autoscaling_describe_notification_configurations_type *in,
                                                     struct autoscaling_describe_notification_configurations_answer *out)
{
	struct scope s = scaling_scope(c);
	struct page page;
	if (scaling_page(c, in->max_records, in->next_token, PAGE, PAGE_MAX, &page) != CALL_OK)
		return CALL_FAIL;
	struct str under = scaling_under(&s, "notify", STR_NONE), key, last = STR_NONE;
	struct store_iter *i = store_scan(s.txn, under, store_prefix_end(s.arena, under), false);
	struct store_value v;
	out->notification_configurations.set = true;
	while (store_next(i, &key, &v)) {
		struct str_list parts = record_key_parts(s.arena, key);
		struct state_autoscaling_notify_record n;
		struct str group = parts.v[parts.n - 2], topic = parts.v[parts.n - 1];
		struct str at = ARENA_CAT(s.arena, group, str_of("", 1), topic);
		if (!scaling_among(&in->auto_scaling_group_names, group) || !record_read(s.arena, v.value, ROW_TYPE, &n) ||
		    (str_set(page.after) && str_cmp(at, page.after) <= 0))
			continue;
		/* All of a topic stay on one page. */
		if (page.left < n.types.n && str_set(last)) {
			out->next_token = scaling_token(c, last);
			return CALL_OK;
		}
		page.left -= page.left < n.types.n ? page.left : n.types.n;
		last = at;
		for (uint32_t k = 0; k < n.types.n; k++)
			*LIST_ADD(s.arena, &out->notification_configurations) = (struct autoscaling_notification_configuration){
			        .auto_scaling_group_name = group, .topic_arn = topic, .notification_type = n.types.v[k]};
	}
	return CALL_OK;
}

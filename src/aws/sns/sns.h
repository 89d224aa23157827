/* Topics and their subscriptions: records, names and settings. Private to aws/sns, but for its end, which is for other services.
 *
 * Who publishes is answered when all that follows is on disk, in one transaction of the store of queues: messages in the SQS queues
 * that are subscribed, and in an outbox for each subscription of another kind (outbox.h), from which they are delivered. */
#pragma once
#include "core/call.h"
#include "core/record.h"
#include "core/service.h"
#include "gen/sns.h"
#include "gen/state_sns.h"

#define SNS_ROW(name) (&(const struct record_type){&state_sns_api, name "Record"})
#define SNS_PRINCIPAL "sns.amazonaws.com"

enum { SNS_MESSAGE_MAX = 256 * 1024, SNS_BATCH_MAX = 10 };

struct outboxes;
struct signer;
struct notices;
/* The service's running state. */
struct sns_state {
	struct cloud *cloud;
	struct outboxes *outboxes;
	struct signer *signer;
	struct notices *notices;
	struct loop_timer *tick;
};
extern const struct service sns_service;
struct json_value;
struct sns_state *sns_state(const struct call *c);

struct sns_name {
	struct str account, region, name;
};
struct topic {
	struct sns_name at;
	struct str arn, key;
	bool fifo;
	struct state_sns_topic_record record;
};
struct sns_sub {
	struct sns_name topic;
	struct str id, arn, key;
	struct state_sns_subscription_record record;
};

/* rows.c */
/* "Invalid parameter: ..." */
int sns_invalid(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool sns_is_fifo(struct str name);
struct str sns_topic_arn(struct arena *a, const struct sns_name *at);
/* *ret_id: of a subscription's ARN; absent: it is a topic's. False: it is neither. */
bool sns_name_of_arn(struct str arn, struct sns_name *ret, struct str *ret_id);
bool sns_find_topic(struct store_txn *t, struct arena *a, const struct sns_name *at, struct topic *ret);
bool sns_find_sub(struct store_txn *t, struct arena *a, const struct sns_name *topic, struct str id, struct sns_sub *ret);
/* For handlers: CALL_OK, or CALL_FAIL with an error. The topic is of the call's region. */
int sns_get_topic(struct call *c, struct str arn, struct topic *ret);
int sns_get_sub(struct call *c, struct str arn, struct sns_sub *ret);
void sns_put_topic(struct call *c, struct topic *t);
void sns_put_sub(struct store_txn *t, struct arena *a, struct sns_sub *s);
/* All subscriptions of a topic, or of an account's region where its name is absent. False from fn ends it. */
typedef bool sns_each_fn(void *ctx, const struct sns_sub *s);
void sns_each_sub(struct store_txn *t, struct arena *a, const struct sns_name *under, sns_each_fn *fn, void *ctx);
/* What is gone with a subscription. After the commit: sns_drop_outbox(). */
void sns_delete_sub(struct store_txn *t, struct arena *a, const struct sns_sub *s);
struct str sns_attribute(const struct str_map *m, const char *name); /* "": it has none */
bool sns_flag(const struct str_map *m, const char *name);
void sns_keep(struct arena *a, struct str_map *m, struct str name, struct str value); /* empty: it goes */
/* SNS as it acts for this topic. The caller gives it back. */
struct principal *sns_self(struct str account, struct str topic_arn);

/* permission.c */
struct str sns_default_policy(struct arena *a, const struct topic *t);

/* retry.c: delivery policies. */
struct retry_policy {
	int64_t min_s, max_s, retries, no_delay, min_delay, max_delay;
	struct str backoff;
	struct str content_type; /* absent: the standard one */
};
/* False: the error is set. `of_topic`: in an "http" object, as topics have it. */
bool sns_check_delivery(struct call *c, struct str json, bool of_topic);
struct retry_policy sns_retry_policy(struct arena *a, const struct topic *t, const struct sns_sub *s);
struct str sns_effective_delivery(struct arena *a, const struct topic *t, const struct sns_sub *s); /* s NULL: the topic's */
/* How long after the n-th try (from 1) the next one comes. -1: there is none. */
int64_t sns_retry_delay_ms(const struct retry_policy *p, int64_t tries);

/* filter.c */
enum filter_scope { FILTER_ATTRIBUTES, FILTER_BODY };
/* NULL: it is good, and *ret_combinations says how many it comes to; else a sentence. */
const char *filter_check(const struct json_value *policy, enum filter_scope scope, int64_t *ret_combinations);
bool filter_matches_attributes(const struct json_value *policy, struct arena *a,
                               const struct sns_message_attribute_map *attributes);
bool filter_matches_body(const struct json_value *policy, const struct json_value *body);

/* attribute.c: of subscriptions. */
/* Takes one over as it is kept; CALL_OK or CALL_FAIL. */
int sns_set_sub_attribute(struct call *c, struct sns_sub *s, struct str name, struct str value);

/* alarm.c: alarms whose action is a topic. */
extern const struct alarm_action_kind sns_alarm_action;

/* notice.c */
struct notices *notices_new(struct sns_state *s);
void notices_free(struct notices *n); /* NULL is harmless */

/* measure.c */
void sns_measure(const struct cloud *cloud, const struct sns_name *topic, const char *metric, const char *unit, double value);
void sns_bill(const struct cloud *cloud, const struct sns_name *topic, int64_t bytes);
void sns_bill_http(const struct cloud *cloud, const struct sns_name *topic, int64_t bytes);

/* Handlers; each file says which. */
sns_add_permission_handler sns_add_permission;
sns_confirm_subscription_handler sns_confirm_subscription;
sns_create_topic_handler sns_create_topic;
sns_delete_topic_handler sns_delete_topic;
sns_get_subscription_attributes_handler sns_get_subscription_attributes;
sns_get_topic_attributes_handler sns_get_topic_attributes;
sns_list_subscriptions_handler sns_list_subscriptions;
sns_list_subscriptions_by_topic_handler sns_list_subscriptions_by_topic;
sns_list_tags_for_resource_handler sns_list_tags_for_resource;
sns_list_topics_handler sns_list_topics;
sns_publish_handler sns_publish;
sns_publish_batch_handler sns_publish_batch;
sns_remove_permission_handler sns_remove_permission;
sns_set_subscription_attributes_handler sns_set_subscription_attributes;
sns_set_topic_attributes_handler sns_set_topic_attributes;
sns_subscribe_handler sns_subscribe;
sns_tag_resource_handler sns_tag_resource;
sns_unsubscribe_handler sns_unsubscribe;
sns_untag_resource_handler sns_untag_resource;

/* --- for other services (notice.c): what they publish of something that happened, in the transaction in which it does. It is
 * published when that is durable, at least once; what the topic refuses is dropped. */
struct sns_notice {
	struct str account;  /* whose */
	const char *service; /* who tells: "autoscaling.amazonaws.com"; NULL: the account itself, by a role of its own */
	struct str source;   /* the ARN of what it is about */
	struct str topic;    /* ARN */
	struct str subject, message;
};
void sns_notify(struct store_txn *t, struct arena *a, const struct sns_notice *n);
/* Is there a topic of this ARN? */
bool sns_has_topic(struct store_txn *t, struct arena *a, struct str arn);

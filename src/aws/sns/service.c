#include "sns.h"

#include "aws/sqs/sqs.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/alarm.h"
#include "outbox.h"
#include "sign.h"

#include <stdlib.h>

enum { TICK_US = 60 * 1000 * 1000, PENDING_MS = 3 * 24 * 3600 * 1000 };

/* --- what permissions are about */

/* A topic without a policy of its own lets this account's alarms and groups publish; S3, like anybody, it does not let. */
static bool is_own_service(const struct call *c, const struct topic *t)
{
	static const char *const names[] = {"cloudwatch.amazonaws.com", "autoscaling.amazonaws.com"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (c->caller->kind == PRINCIPAL_SERVICE && str_is(c->caller->name, names[i]))
			return str_eq(c->caller->account, t->at.account);
	return false;
}

static int about_topic(struct call *c, struct authz *az, struct str arn)
{
	struct sns_name at;
	struct str id;
	struct topic t;
	if (!str_set(arn) || !sns_name_of_arn(arn, &at, &id)) {
		az->resource = str_set(arn) ? arn : S("*");
		return CALL_OK;
	}
	az->resource = sns_topic_arn(c->arena, &at);
	az->resource_account = at.account;
	if (!sns_find_topic(call_txn(c), c->arena, &at, &t))
		return CALL_OK;
	struct str policy = sns_attribute(&t.record.attributes, "Policy");
	if (policy.n)
		az->resource_policy = policy;
	else
		az->granted = is_own_service(c, &t) && str_is(api_text(&sns_api, c->op->name), "Publish");
	authz_add_tags(c, az, "aws:ResourceTag", &t.record.tags);
	return CALL_OK;
}

#define ABOUT(op, type, answer) \
	static int about_##op(struct call *c, const void *input, struct authz *az) \
	{ \
		const struct sns_##type *in = input; \
		return about_topic(c, az, answer); \
	}
ABOUT(add_permission, add_permission_input, in->topic_arn)
ABOUT(remove_permission, remove_permission_input, in->topic_arn)
ABOUT(delete_topic, delete_topic_input, in->topic_arn)
ABOUT(get_topic_attributes, get_topic_attributes_input, in->topic_arn)
ABOUT(set_topic_attributes, set_topic_attributes_input, in->topic_arn)
ABOUT(list_subscriptions_by_topic, list_subscriptions_by_topic_input, in->topic_arn)
ABOUT(publish, publish_input, str_set(in->topic_arn) ? in->topic_arn : in->target_arn)
ABOUT(publish_batch, publish_batch_input, in->topic_arn)
ABOUT(list_tags_for_resource, list_tags_for_resource_request, in->resource_arn)
ABOUT(get_subscription_attributes, get_subscription_attributes_input, in->subscription_arn)
ABOUT(set_subscription_attributes, set_subscription_attributes_input, in->subscription_arn)

static int about_subscribe(struct call *c, const void *input, struct authz *az)
{
	const struct sns_subscribe_input *in = input;
	authz_add(c, az, "sns:Protocol", in->protocol);
	if (str_set(in->endpoint))
		authz_add(c, az, "sns:Endpoint", in->endpoint);
	return about_topic(c, az, in->topic_arn);
}

static int about_create_topic(struct call *c, const void *input, struct authz *az)
{
	const struct sns_create_topic_input *in = input;
	for (uint32_t i = 0; i < in->tags.n; i++) {
		authz_add(c, az, arena_dupz(c->arena, ARENA_CAT(c->arena, S("aws:RequestTag/"), in->tags.v[i].key)),
		          in->tags.v[i].value);
		authz_add(c, az, "aws:TagKeys", in->tags.v[i].key);
	}
	return about_topic(
	        c, az, sns_topic_arn(c->arena, &(struct sns_name){.account = c->account, .region = c->region, .name = in->name}));
}

static int about_tag_resource(struct call *c, const void *input, struct authz *az)
{
	const struct sns_tag_resource_request *in = input;
	for (uint32_t i = 0; i < in->tags.n; i++)
		authz_add(c, az, "aws:TagKeys", in->tags.v[i].key);
	return about_topic(c, az, in->resource_arn);
}

static int about_untag_resource(struct call *c, const void *input, struct authz *az)
{
	const struct sns_untag_resource_request *in = input;
	for (uint32_t i = 0; i < in->tag_keys.n; i++)
		authz_add(c, az, "aws:TagKeys", in->tag_keys.v[i]);
	return about_topic(c, az, in->resource_arn);
}

/* --- the table */

/* ConfirmSubscription and Unsubscribe are asked by links that messages hold: whoever has the token, or the subscription's name,
 * may. */
static const struct service_op ops[] = {
        OP(sns, add_permission, AddPermission, .resource = about_add_permission),
        OP(sns, confirm_subscription, ConfirmSubscription, .flags = OP_OPEN | OP_ANONYMOUS),
        OP(sns, create_topic, CreateTopic, .resource = about_create_topic, .missing = "encryption, data protection, archives"),
        OP(sns, delete_topic, DeleteTopic, .resource = about_delete_topic),
        OP(sns, get_subscription_attributes, GetSubscriptionAttributes, .resource = about_get_subscription_attributes,
           .flags = OP_READ),
        OP(sns, get_topic_attributes, GetTopicAttributes, .resource = about_get_topic_attributes, .flags = OP_READ),
        OP(sns, list_subscriptions, ListSubscriptions, .flags = OP_READ),
        OP(sns, list_subscriptions_by_topic, ListSubscriptionsByTopic, .resource = about_list_subscriptions_by_topic,
           .flags = OP_READ),
        OP(sns, list_tags_for_resource, ListTagsForResource, .resource = about_list_tags_for_resource, .flags = OP_READ),
        OP(sns, list_topics, ListTopics, .flags = OP_READ),
        OP(sns, publish, Publish, .resource = about_publish, .flags = OP_ANONYMOUS, .missing = "text messages, mobile push"),
        OP(sns, publish_batch, PublishBatch, .action = "sns:Publish", .resource = about_publish_batch, .flags = OP_ANONYMOUS),
        OP(sns, remove_permission, RemovePermission, .resource = about_remove_permission),
        OP(sns, set_subscription_attributes, SetSubscriptionAttributes, .resource = about_set_subscription_attributes,
           .missing = "throttle policies, replay of archives"),
        OP(sns, set_topic_attributes, SetTopicAttributes, .resource = about_set_topic_attributes,
           .missing = "encryption, delivery status logs, archives"),
        OP(sns, subscribe, Subscribe, .resource = about_subscribe,
           .missing = "e-mail, text messages, mobile push, Firehose; endpoints of other accounts"),
        OP(sns, tag_resource, TagResource, .resource = about_tag_resource),
        OP(sns, unsubscribe, Unsubscribe, .flags = OP_OPEN | OP_ANONYMOUS),
        OP(sns, untag_resource, UntagResource, .resource = about_untag_resource),
};

/* --- the certificate of signatures, which anybody may have */

static struct str sns_address(struct arena *a, struct str host, struct str path)
{
	(void)a, (void)host;
	return signer_is_path(path) ? path : STR_NONE;
}

static int certificate(struct call *c)
{
	struct str pem = signer_certificate(sns_state(c)->signer, call_path(c));
	call_reply_status(c, str_set(pem) ? 200 : 404);
	if (str_set(pem)) {
		call_reply_header(c, S("content-type"), S("application/x-pem-file"));
		c->reply = (struct reply_body){.kind = REPLY_MEMORY, .fd = -1, .memory = pem};
	}
	return CALL_OK;
}

static call_resume_fn *sns_intercept(struct call *c)
{
	return signer_is_path(call_path(c)) ? certificate : NULL;
}

static void sns_dress_error(struct call *c)
{
	if (str_is(c->error.code, "AccessDenied"))
		c->error.code = S("AuthorizationError");
}

/* --- once a minute: subscriptions that nobody confirmed go, and old deduplication ids of FIFO topics */

struct tidy {
	struct sns_state *sns;
	struct store_txn *txn;
	struct arena arena;
	struct outbox_ids gone;
	int64_t now_ms;
};

static bool tidy_sub(void *ctx, const struct sns_sub *s)
{
	struct tidy *t = ctx;
	if (!s->record.pending.v || s->record.asked.v + PENDING_MS > t->now_ms)
		return true;
	sns_delete_sub(t->txn, &t->arena, s);
	*LIST_ADD(&t->arena, &t->gone) = (uint64_t)s->record.outbox.v;
	return true;
}

static void tidied(void *ctx, int result, uint64_t revision)
{
	struct tidy *t = ctx;
	(void)revision;
	for (uint32_t i = 0; i < t->gone.n && result == 0; i++)
		outbox_drop(t->sns->outboxes, t->gone.v[i]);
	arena_done(&t->arena);
	free(t);
}

static void sweep_ledgers(struct tidy *t)
{
	struct str under = KEY_UNDER(&t->arena, S("sns"), S("topic")), key;
	struct store_iter *i = store_scan(t->txn, under, store_prefix_end(&t->arena, under), false);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct state_sns_topic_record r;
		const struct queue_settings settings = {.fifo = true, .retention_ms = QUEUE_DEDUP_MS};
		if (!record_read(&t->arena, v.value, SNS_ROW("Topic"), &r) || !r.ledger.v)
			continue;
		struct queue *ledger = sqs_outbox(t->sns->cloud, (uint64_t)r.ledger.v, &settings, t->now_ms);
		if (ledger)
			queue_sweep(ledger, t->now_ms);
	}
}

static void tick(void *ctx)
{
	struct sns_state *s = ctx;
	struct tidy *t = calloc(1, sizeof(*t));
	if (!t)
		die("out of memory (subscriptions)");
	s->tick = loop_add_clock_timer(s->cloud->loop, TICK_US, tick, s);
	*t = (struct tidy){.sns = s, .now_ms = clock_wall_ms()};
	arena_init(&t->arena, 0);
	t->txn = store_begin(s->cloud->store, &t->arena);
	sweep_ledgers(t);
	sns_each_sub(t->txn, &t->arena, &(struct sns_name){0}, tidy_sub, t);
	if (t->gone.n)
		store_commit(t->txn, tidied, t);
	else {
		store_abort(t->txn);
		tidied(t, 0, 0);
	}
}

/* --- beginning and end */

static int sns_start(struct cloud *cloud, void **ret_state)
{
	struct sns_state *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory (topics)");
	s->cloud = cloud;
	s->signer = signer_new(cloud);
	s->outboxes = outboxes_new(s);
	s->notices = notices_new(s);
	s->tick = loop_add_clock_timer(cloud->loop, TICK_US, tick, s);
	*ret_state = s;
	return 0;
}

static void sns_stop(void *state)
{
	struct sns_state *s = state;
	if (!s)
		return;
	loop_remove_timer(s->cloud->loop, s->tick);
	notices_free(s->notices);
	outboxes_free(s->outboxes);
	signer_free(s->signer);
	free(s);
}

const struct service sns_service = {
        .api = &sns_api,
        .iam_prefix = "sns",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(ops[0]),
        .body_limit_bytes = 4 * 1024 * 1024, /* 256 KiB of messages with every character escaped */
        .address = sns_address,
        .intercept = sns_intercept,
        .dress_error = sns_dress_error,
        .start = sns_start,
        .stop = sns_stop,
        .alarm_actions = &sns_alarm_action,
        .alarm_action_count = 1,
};

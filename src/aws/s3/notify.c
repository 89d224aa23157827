/* GetBucketNotificationConfiguration, PutBucketNotificationConfiguration. Whoever is named is asked first: queues and topics get a
 * test event, functions an invocation that is none. */
#include "aws/s3/notify.h"

#include "aws/s3/access.h"
#include "aws/s3/bucket.h"
#include "base/list.h"
#include "base/log.h"

#include <stdlib.h>

int s3_get_bucket_notification_configuration(struct call *c, const struct s3_get_bucket_notification_configuration_request *in,
                                             struct s3_notification_configuration *out)
{
	const struct state_s3_bucket *b = s3_bucket_open(c, in->bucket, in->expected_bucket_owner);
	if (!b)
		return CALL_FAIL;
	if (b->notification)
		*out = *b->notification;
	out->event_bridge_configuration = b->events.v ? arena_new(c->arena, struct s3_event_bridge_configuration) : NULL;
	return CALL_OK;
}

/* --- asking those who are named, one after the other */

struct asking {
	struct call_errand errand;
	struct arena arena;
	struct cloud *cloud;
	struct principal *self;
	struct str_list targets;
	struct str test;
	uint32_t at;
	struct str refused; /* the first that does not let us; absent: none so far */
};

static void drop(struct call_errand *e)
{
	struct asking *q = container_of(e, struct asking, errand);
	principal_unref(q->self);
	arena_done(&q->arena);
	free(q);
}

static void ask_next(struct asking *q);

static void asked(void *ctx, struct call *sub)
{
	struct asking *q = ctx;
	if (str_set(sub->error.code))
		q->refused = q->targets.v[q->at];
	q->at++;
	ask_next(q);
}

static void ask_next(struct asking *q)
{
	if (str_set(q->refused) || q->at == q->targets.n)
		call_over(&q->errand);
	else
		notify_call(q->cloud, q->self, q->targets.v[q->at], q->test, true, asked, q);
}

static int ask(struct call *c, const struct state_s3_bucket *b, struct str bucket, const struct notify_rules *rules)
{
	struct asking *q = calloc(1, sizeof(*q));
	if (!q)
		die("out of memory (notifications)");
	q->errand.drop = drop;
	q->cloud = c->cloud;
	arena_init(&q->arena, 0);
	q->self = notify_self(b->account, bucket);
	q->test = arena_dup(&q->arena, notify_test_event(c, bucket));
	for (uint32_t i = 0; i < rules->n; i++) {
		bool known = false;
		for (uint32_t k = 0; k < i; k++)
			known |= str_eq(rules->v[k].arn, rules->v[i].arn);
		if (!known)
			*LIST_ADD(&q->arena, &q->targets) = arena_dup(&q->arena, rules->v[i].arn);
	}
	int r = call_wait_for(c, &q->errand);
	ask_next(q);
	return r;
}

static int refuse(struct call *c, struct str target)
{
	call_fail(c, "InvalidArgument", 400, "Unable to validate the following destination configurations");
	call_field(c, "ArgumentName1", target);
	return call_field(c, "ArgumentValue1",
	                  ARENA_CAT(c->arena, S("Permissions on the destination "),
	                            str_starts(target, S("arn:aws:sqs:"))   ? S("queue")
	                            : str_starts(target, S("arn:aws:sns:")) ? S("topic")
	                                                                    : S("function"),
	                            S(" do not allow S3 to publish notifications from this bucket")));
}

int s3_put_bucket_notification_configuration(struct call *c, const struct s3_put_bucket_notification_configuration_request *in,
                                             struct model_none *out)
{
	const struct asking *q = c->state;
	struct state_s3_bucket b;
	struct notify_rules rules;
	(void)out;
	if (!in->notification_configuration)
		return s3_fail(c, S3_MALFORMED_XML);
	if (bucket_change(c, in->bucket, &b) != CALL_OK)
		return CALL_FAIL;
	struct s3_notification_configuration *kept = arena_new(c->arena, struct s3_notification_configuration);
	*kept = *in->notification_configuration;
	kept->event_bridge_configuration = NULL;
	notify_rules(c->arena, kept, &rules);
	if (notify_check_rules(c, &rules, b.region) != CALL_OK)
		return CALL_FAIL;
	if (!q && rules.n && !in->skip_destination_validation.v)
		return ask(c, &b, in->bucket, &rules);
	if (q && str_set(q->refused))
		return refuse(c, q->refused);
	b.events = OPT_BOOL(in->notification_configuration->event_bridge_configuration != NULL);
	b.notification = rules.n ? kept : NULL;
	bucket_put(c, in->bucket, &b);
	return CALL_OK;
}

/* What others ask of EventBridge: to hear of what has happened to them, and to deliver something to a target. Results live as long
 * as the arena that they are given. */
#pragma once
#include "base/json.h"
#include "core/call.h"
#include "gen/state_events.h"

/* Something that happened in one of our own services, for the account's default bus. */
struct events_news {
	struct str account, region;
	struct str source, type; /* "aws.ec2", "EC2 Instance State-change Notification" */
	struct str resource;     /* an ARN; absent: none */
	struct str detail;       /* JSON */
	int64_t at_ms;
};
/* Does any rule there listen? Else nothing has to be made ready: events_tell() would do nothing. */
bool events_heard(struct str account, struct str region);
/* In the transaction of what happened: who listens hears of it if that is committed. A process has one cloud, and so one
 * EventBridge. */
void events_tell(struct store_txn *t, struct arena *a, const struct events_news *news);
/* What a detail is often made of: a struct of an API as JSON, with times as texts. */
void events_put_shape(struct json_out *j, const struct api *api, const char *shape, const void *value);

/* What others say to queues and topics by a role of the user's, which `service` assumes: delivered at least once, beginning when
 * the transaction is durable, with a day of retries. */
struct events_notice {
	struct str account, region;
	const char *service;         /* "autoscaling.amazonaws.com" */
	struct str target, role;     /* ARNs */
	struct str subject, message; /* subject: of topics */
};
void events_notify(struct store_txn *t, struct arena *a, const struct events_notice *n, int64_t now_ms);

/* Delivers to a target at least once, beginning when the transaction is durable, with the retries and the dead-letter queue that
 * the row says. The row's Target is one that events_target_wrong() has nothing against. */
void events_deliver(struct store_txn *t, struct arena *a, struct str account, struct str region,
                    const struct state_events_delivery_record *row);
/* Why this ARN can be no target; absent: it can. */
struct str events_target_wrong(struct arena *a, struct str arn);
/* Is it a target that AWS reaches by a role alone? */
bool events_target_needs_role(struct str arn);

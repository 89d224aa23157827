/* What others ask of EventBridge: to hear of what has happened to them, and to deliver something to a target. Results live as long
 * as the arena that they are given. */
#pragma once
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
/* Does any rule there listen? What follows costs nothing then, but neither does it have to be written. */
bool events_heard(const struct cloud *cloud, struct str account, struct str region);
/* In the transaction of what happened: who listens will hear of it exactly if that is committed. */
void events_tell(const struct cloud *cloud, struct store_txn *t, struct arena *a, const struct events_news *news);
/* The same from where there is no transaction; it is written soon. */
void events_tell_later(struct cloud *cloud, const struct events_news *news);

/* Delivers to a target at least once, beginning when the transaction is durable, with the retries and the dead-letter queue that
 * the row says. The row's Target is one that events_target_wrong() has nothing against. */
void events_deliver(struct store_txn *t, struct arena *a, struct str account, struct str region,
                    const struct state_events_delivery_record *row);
/* Why this ARN can be no target; absent: it can. */
struct str events_target_wrong(struct arena *a, struct str arn);
/* Is it a target that AWS reaches by a role alone? */
bool events_target_needs_role(struct str arn);

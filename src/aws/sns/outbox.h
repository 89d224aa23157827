/* What is still to be delivered to functions and to HTTP(S) endpoints: a queue for each such subscription, in the store of queues
 * (sqs_outbox()). What Publish put there is taken, delivered and deleted, or tried again by the subscription's delivery policy, or
 * goes to its dead-letter queue. A crash may deliver something twice, and forgets nothing.
 *
 * Called by Subscribe, Publish and whoever deletes subscriptions. Loop thread alone. */
#pragma once
#include "sns.h"

#include "engine/queue/queue.h"

struct outbox_ids {
	uint64_t *v;
	uint32_t n;
	bool set;
};

struct outboxes;
struct outboxes *outboxes_new(struct sns_state *s);
void outboxes_free(struct outboxes *all); /* NULL is harmless */

/* The queue of a subscription that is committed, from now on looked after. NULL: the store of queues cannot be opened. */
struct queue *outbox_open(struct outboxes *all, uint64_t id, const struct sns_name *topic, struct str sub);
/* Its subscription is deleted, and that is on disk. */
void outbox_drop(struct outboxes *all, uint64_t id);
/* Asks an endpoint whether it wants to be subscribed. */
void outbox_ask(struct outboxes *all, const struct sns_sub *s);
/* What lies in an outbox, in the arena; the record is not copied. */
void outbox_letter(struct arena *a, const struct state_sns_notification_record *what, int64_t now_ms, struct queue_message *ret);

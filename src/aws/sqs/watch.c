/* What event sources of functions see of a queue without asking it: that there is something, and for how long it would be theirs.
 */
#include "sqs.h"

#include "base/clock.h"

static bool find(struct cloud *cloud, struct arena *a, struct str region, struct str arn, struct sqs_queue *ret)
{
	struct sqs_name at;
	if (!sqs_name_of_arn(region, arn, &at))
		return false;
	struct store_txn *t = store_begin(cloud->store, a);
	bool there = sqs_find(t, a, region, &at, ret);
	store_abort(t);
	return there;
}

bool sqs_wait_at(struct cloud *cloud, struct str region, struct str arn, struct queue_waiter *w)
{
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	struct sqs_queue q;
	struct queue *messages = NULL;
	if (find(cloud, &a, region, arn, &q))
		messages = sqs_messages(cloud_state(cloud, &sqs_service), &q, clock_wall_ms());
	if (messages)
		queue_wait(messages, w);
	return messages != NULL;
}

int64_t sqs_visibility_ms(struct cloud *cloud, struct str region, struct str arn)
{
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	struct sqs_queue q;
	return find(cloud, &a, region, arn, &q) ? sqs_number(&q, "VisibilityTimeout") * 1000 : -1;
}

bool sqs_has_dead_letters(struct cloud *cloud, struct str region, struct str arn)
{
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	struct sqs_queue q;
	return find(cloud, &a, region, arn, &q) && str_set(sqs_attribute(&q, "RedrivePolicy"));
}

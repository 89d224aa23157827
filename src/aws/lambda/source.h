/* Event source mappings: queues of SQS whose messages functions work off. source.c has the operations, source_keep.c looks after
 * the mappings that are there, source_batch.c takes one batch from receipt to deletion, source_event.c spells and reads what
 * functions see.
 *
 * Nothing of a batch is recorded: its messages are in flight in their queue, which gives them out again when nobody has deleted
 * them. So a crash at any moment costs at most a second delivery. Loop thread alone. */
#pragma once
#include "aws/lambda/invocation.h"
#include "engine/events/pattern.h"
#include "engine/queue/queue.h"
#include "gen/sqs.h"

struct buf;
struct credentials;

struct sources *sources_open(struct lambda *l);
void sources_close(struct sources *s); /* NULL is harmless */

enum { SOURCE_FILTERS_MAX = 5, SOURCE_RECEIVE_MAX = 10 };
struct source {
	struct lambda *lambda;
	struct arena arena; /* holds key, account, region */
	struct str key, account, region;
	struct arena config; /* holds what the record says */
	struct state_lambda_event_source_record record;
	struct str queue_url;
	struct lambda_name function; /* qualifier absent: none */
	const struct event_pattern *filters[SOURCE_FILTERS_MAX];
	unsigned filter_count;
	bool there;     /* false: its record is gone, and it goes with its last batch */
	bool receiving; /* a receive is under way */
	bool settling;  /* its new state is being written */
	bool listening; /* the waiter is at the queue */
	struct queue_waiter waiter;
	struct loop_timer *soon, *again; /* soon: it is looked at; again: until it is tried again */
	struct credentials *role;        /* of the receive under way */
	int64_t refused_ms;              /* how long it waits after it was refused; 0: it was not */
	struct batch *gathering;         /* takes more, until its window is over */
	struct list ready;               /* batches that wait for others to end */
	unsigned running;                /* batches that are with the function */
	unsigned limit;                  /* how many may be */
	int64_t raised_us;
};

/* --- source_keep.c */
/* Something about it has changed: whatever is to be done next is begun. */
void source_look(struct source *s);
/* How a batch went: more or fewer may run at once. */
enum source_end { SOURCE_GOOD, SOURCE_FAILED, SOURCE_THROTTLED };
void source_went(struct source *s, enum source_end how);
bool source_is_on(const struct source *s);
/* The queue of that ARN as SQS's operations name it; absent: it is no queue. */
struct str source_queue_url(struct arena *a, struct str arn);

/* --- source_batch.c */
/* Takes over what was received, as batches that wait on s->ready or gather. */
void batch_take(struct source *s, const struct sqs_message_list *messages, int64_t visible_ms, const struct credentials *role);
/* Its window is over, or it is full. */
void batch_close(struct source *s);
/* Gives the batch, which is on s->ready, to the function. */
void batch_run(struct batch *b);
struct batch *batch_first_ready(struct source *s);
void batch_free(struct batch *b);

/* --- source_event.c */
/* One record of the event: AWS's JSON of a message. for_filter: its body is JSON in itself, where it is an object. */
void source_put_record(struct buf *b, struct arena *a, const struct sqs_message *m, struct str source_arn, struct str region,
                       bool for_filter);
/* Which of the batch's messages failed, by the function's answer: sets failed[]. False: the answer is none, all have. */
bool source_read_failures(struct arena *a, struct str payload, const struct str *ids, size_t count, bool *failed);

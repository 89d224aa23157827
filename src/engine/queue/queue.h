/* Where messages of queues are kept, apart from the state of the cloud: a store of its own, DATA/queues.
 *
 * Queues are numbers here; names, attributes and policies are records of SQS (aws/sqs), which is the only caller. Ids are never
 * used twice, so messages of a queue that was deleted are out of sight at once and go at leisure.
 *
 * A message stands at a position: the time from which it may be received, and a number that orders the messages of one queue by
 * arrival. What was sent, deleted or moved is durable when done comes; what comes together shares one sync. Memory holds only what
 * has been received and is not deleted yet; the rest is read from the store in order when it is wanted. Receives are written a
 * tenth of a second later without anybody waiting: a crash may forget the last ones, whose messages are seen again then.
 *
 * Everything happens on the loop's thread. Times are the cloud's (clock_wall_ms), given by the caller. */
#pragma once
#include "base/list.h"
#include "store/store.h"

struct queues;
struct queue;

/* Negative errno, with the reason in ret_why. */
int queues_open(struct queues **ret, struct loop *l, const char *dir, bool ephemeral, char ret_why[static 200]);
/* Waits for what is under way; its done does not come any more. NULL is harmless. */
void queues_close(struct queues *s);
/* Has something been received that is not written yet? For an orderly end. */
bool queues_busy(const struct queues *s);
/* Removes what is there of queues that fn does not know, in the background. */
typedef bool queues_known_fn(void *ctx, uint64_t id);
void queues_forget_unknown(struct queues *s, queues_known_fn *fn, void *ctx);

struct queue_settings {
	bool fifo;
	bool dedup_by_group; /* a deduplication id counts within its group alone */
	int64_t retention_ms;
	int64_t delay_ms; /* FIFO: of every message, those that are there included */
};
/* The queue of this id, from now on with these settings; it is made by its first message. Good until queue_drop(). */
struct queue *queue_get(struct queues *s, uint64_t id, const struct queue_settings *settings, int64_t now_ms);
/* The queue is deleted: whoever waits at it is woken, its messages are removed in the background. */
void queue_drop(struct queues *s, uint64_t id);

typedef void queue_done(void *ctx, int result);

/* --- messages */

enum { QUEUE_ID_BYTES = 16 };
struct queue_message {
	struct str body, attributes; /* attributes: as the caller spells them */
	struct str group, dedup;     /* absent: none. dedup: FIFO alone */
	struct str sender, trace, source;
	unsigned char id[QUEUE_ID_BYTES];
	int64_t sent_ms;
	/* of a received one */
	uint64_t seq;
	int64_t first_received_ms;
	int64_t receives;
	struct str handle; /* QUEUE_HANDLE_BYTES */
};
enum { QUEUE_HANDLE_BYTES = 32, QUEUE_DEDUP_MS = 5 * 60 * 1000 };

struct queue_sent {
	unsigned char id[QUEUE_ID_BYTES];
	uint64_t seq;
	bool duplicate; /* the id and number are those of the message that was there already */
};
/* Sends messages, which are copied, each to be seen after its delay. ret_sent[] is filled at once. done: 0, -ENOSPC, -EIO. */
void queue_send(struct queue *q, const struct queue_message *messages, const int64_t *delays_ms, size_t count, int64_t now_ms,
                struct queue_sent *ret_sent, queue_done *done, void *ctx);

/* The number that its next message will have. */
uint64_t queue_next(const struct queue *q);
/* One message for one of several queues. */
struct queue_letter {
	struct queue *queue;
	const struct queue_message *message;
	const struct queue_letter *unless; /* one before it: this one is not sent if that is a duplicate; NULL: it is in any case */
	struct queue_sent sent;            /* filled at once, where it is sent */
};
/* Sends messages to several queues at once: a crash leaves all of them there or none. Else as queue_send(), without delays of
 * messages. */
void queue_post(struct queues *s, struct queue_letter *letters, size_t count, int64_t now_ms, queue_done *done, void *ctx);

struct queue_take {
	size_t max;
	int64_t visibility_ms;
	int64_t now_ms;
	int64_t receives_max; /* a message that was received so often goes to `dead` instead; 0: none does */
	struct queue *dead;   /* NULL: none */
	struct str source;    /* what a message that goes there says of where it was */
	struct str attempt;   /* FIFO: the same word within five minutes is given the same messages; absent: none */
};
enum { QUEUE_IN_FLIGHT_MAX = 120000 };
/* Takes messages that may be seen, which lie in `a`; there may be none. -EMFILE: too many are in flight. */
int queue_take(struct queue *q, struct arena *a, const struct queue_take *take, struct queue_message *ret, size_t *ret_count);

/* What is to be done about handles that receives gave out. */
enum queue_answer {
	QUEUE_GOOD,
	QUEUE_GONE /* no such message any more */,
	QUEUE_STALE /* FIFO: it is not yours any more */,
	QUEUE_VISIBLE
};
/* Is it a handle of this queue at all? */
bool queue_handle_valid(const struct queue *q, struct str handle);
/* Deletes what the handles, all valid, stand for; answers come at once (GOOD, GONE, STALE), done when it is durable. */
void queue_delete(struct queue *q, const struct str *handles, size_t count, int64_t now_ms, enum queue_answer *ret_answers,
                  queue_done *done, void *ctx);
enum { QUEUE_VISIBILITY_MAX_MS = 12 * 3600 * 1000 };
/* In flight for so long from now on, 0: not any more. *ret_too_long: in all that would be more than twelve hours, nothing is
 * changed. */
enum queue_answer queue_change(struct queue *q, struct str handle, int64_t visibility_ms, int64_t now_ms, bool *ret_too_long);

/* Moves up to max messages that may be seen to the queues that `to` says for each by its source, as new ones; the first for which
 * there is none (NULL), or too many queues at once, stops it. Returns how many; done comes when that is durable, also for none. */
typedef struct queue *queue_to_fn(void *ctx, struct str source);
size_t queue_move(struct queue *q, size_t max, int64_t now_ms, queue_to_fn *to, void *to_ctx, bool *ret_stopped, queue_done *done,
                  void *ctx);

/* All messages that are there now are out of sight at once, and when done comes for ever. */
void queue_purge(struct queue *q, queue_done *done, void *ctx);
/* Removes what is expired, in the background; what is expired is never received, with or without this. */
void queue_sweep(struct queue *q, int64_t now_ms);

struct queue_counts {
	int64_t visible, in_flight, delayed;
};
void queue_count(struct queue *q, int64_t now_ms, struct queue_counts *ret);
/* When the oldest message that is there was sent; 0: there is none. */
int64_t queue_oldest_ms(struct queue *q);

/* --- waiting */

/* Whoever waits for something to take: fn is called once, when there is something or when the queue is dropped; the waiter is not
 * waiting any more then. The first who waits is the first to be called. */
struct queue_waiter {
	struct list link;
	void (*fn)(struct queue_waiter *w);
};
void queue_wait(struct queue *q, struct queue_waiter *w);
void queue_unwait(struct queue_waiter *w);

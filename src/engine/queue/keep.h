/* How messages lie in the store of queues, and what is known of a queue in memory. Private to engine/queue.
 *
 *	m queue time number   -> the message
 *	v queue time number   -> how it was received, once it was
 *	t queue               -> how many there are, the next number, and below which all are purged
 *	d queue digest        -> a deduplication id: when, number and id of its message
 *	x queue time number   -> the same by time: the digest
 *
 * All numbers in keys are 8 bytes, big-endian. */
#pragma once
#include "base/map.h"
#include "engine/queue/queue.h"

enum { ROW_KEY_MAX = 33, DIGEST_BYTES = 16, LOADED_MAX = 120000, DELAY_SLOTS = 1024, BATCH = 500, CHANGE_QUEUES_MAX = 12 };

struct row_key {
	char bytes[ROW_KEY_MAX];
	size_t n;
};
struct row_key row_key(char kind, unsigned count, uint64_t a, uint64_t b, uint64_t c);
uint64_t row_number(const char *p);
static inline struct str row_str(const struct row_key *k)
{
	return str_of(k->bytes, k->n);
}
struct row_key row_digest_key(uint64_t queue, const unsigned char digest[DIGEST_BYTES]);

struct keep_total {
	int64_t count;
	uint64_t next_seq, purged;
};
struct keep_dedup {
	int64_t at_ms;
	uint64_t seq;
	unsigned char id[QUEUE_ID_BYTES];
};
/* As "v" holds it. */
struct keep_state {
	int64_t visible_ms, first_ms, received_ms;
	uint64_t nonce;
	int64_t receives;
};

enum item_where {
	ITEM_WAITS,    /* of a group, to be received */
	ITEM_READY,    /* in the heap `ready` */
	ITEM_FLIES,    /* in the heap `flying` */
	ITEM_LEAVES,   /* what takes it away is not durable yet */
	ITEM_UNLOADED, /* FIFO, after a start: known to have been received, not read yet */
};
/* A message that memory knows: it was received, or is of a group in front of which one was. */
struct item {
	int64_t time_ms;
	uint64_t seq;
	struct keep_state state;
	enum item_where where;
	bool saved; /* there is a "v" of it */
	size_t heap_at;
	struct group *group;  /* NULL: the queue is no FIFO one */
	struct list in_group; /* by number */
	struct list dirty;    /* queues.dirty: its state is to be written */
	struct queue *queue;
};
struct group {
	struct str name;
	struct list items;
	struct list ready;  /* queue.ready_groups: something waits, nothing flies or leaves */
	size_t waits, busy; /* items that wait; that fly or leave */
};

struct heap {
	struct item **v;
	size_t n, cap;
	bool by_time; /* of visibility; else by position */
};
void heap_push(struct heap *h, struct item *i);
void heap_remove(struct heap *h, struct item *i);
void heap_again(struct heap *h, struct item *i); /* its order has changed */
static inline struct item *heap_top(const struct heap *h)
{
	return h->n ? h->v[0] : NULL;
}

struct attempt;
struct queue {
	struct queues *all;
	uint64_t id;
	struct queue_settings settings;
	struct keep_total total; /* what is under way included */
	int64_t last_ms;         /* FIFO: no message is before that time */
	/* The position of the newest message that was looked at: what is behind it is only in the store. */
	int64_t cursor_ms;
	uint64_t cursor_seq;
	struct map items; /* by number */
	size_t unloaded;
	struct heap flying, ready;
	struct map groups;
	struct list ready_groups;
	size_t available;   /* items that wait in groups that are not busy */
	struct map pending; /* digest -> struct keep_dedup, of sends that are not durable yet */
	struct list attempts;
	uint32_t delayed_at[DELAY_SLOTS]; /* how many become visible, by second */
	int64_t delayed_s;                /* up to which second they have */
	int64_t delayed;
	struct list waiters;
	struct loop_timer *due;
	unsigned uses;    /* changes under way */
	struct list stir; /* queues.stirred */
	bool dropped, sweeping;
};

struct queues {
	struct store *store;
	struct loop *loop;
	struct map open; /* struct queue by id */
	struct list changes, dirty, drops, stirred;
	struct loop_timer *flush, *stir;
	struct arena flush_arena;
	bool flushing, behind; /* behind: more has been received than one transaction takes */
};

/* A transaction under way, and what becomes true with it. */
struct arrival {
	struct queue *queue;
	int64_t time_ms;
	uint64_t seq;
	bool deduped;
	unsigned char digest[DIGEST_BYTES];
};
struct change {
	struct list link;
	struct queues *all;
	struct arena arena;
	struct store_txn *txn;
	struct item **leaving;
	struct arrival *arriving;
	size_t leaving_count, leaving_max, arriving_count, arriving_max;
	struct queue **queues;
	size_t queue_count, queue_max;
	queue_done *done;
	void *ctx;
};

/* change.c */
struct change *change_new(struct queues *s, size_t leaving_max, size_t arriving_max);
/* The queue is part of it: its total is written, and it stays until the change is over. */
void change_touch(struct change *c, struct queue *q);
/* The message goes. */
void change_leave(struct change *c, struct item *i);
/* A message comes, at that time or as soon as its queue has room behind the ones before. Returns its number. */
uint64_t change_arrive(struct change *c, struct queue *q, const struct queue_message *m, int64_t time_ms);
void change_commit(struct change *c, queue_done *done, void *ctx);
void changes_forget(struct queues *s); /* at the end, when their transactions have ended */

/* item.c: what memory knows. None of these writes. */
struct item *item_get(const struct queue *q, uint64_t seq);
struct item *item_new(struct queue *q, int64_t time_ms, uint64_t seq);
void item_free(struct item *i);
void item_end(struct item *i); /* the same for who empties the map `items` himself */
/* Into the state that is said by its times. */
void item_fly(struct item *i, int64_t visible_ms);
void item_land(struct item *i);
void item_leave(struct item *i);
void item_mark(struct item *i);
void item_join(struct item *i, struct str group); /* behind what the group has */
/* What has become visible until now lands, what was delayed is counted as visible. */
void queue_settle(struct queue *q, int64_t now_ms);
void queue_delay(struct queue *q, int64_t until_ms, int64_t now_ms);

/* keep.c */
struct str keep_message(struct arena *a, const struct queue_message *m);
/* False: it is not what keep_message() wrote. Views of the value. */
bool keep_read_message(struct str value, struct queue_message *ret);
bool keep_get(struct store_txn *t, const struct queue *q, int64_t time_ms, uint64_t seq, struct queue_message *ret);
void keep_open(struct queue *q, int64_t now_ms);

/* take.c */
/* The next message in the store behind the cursor that may be seen at now_ms; the cursor is moved onto it. Iterator made by
 * keep_scan(). */
struct store_iter *keep_scan(struct queue *q, struct store_txn *t);
bool take_next(struct queue *q, struct store_iter *i, int64_t now_ms, int64_t *ret_time_ms, uint64_t *ret_seq,
               struct str *ret_value);
/* FIFO: reads on until so many are available, if there are. */
void take_load(struct queue *q, struct store_txn *t, size_t want, int64_t now_ms);
bool queue_has_some(struct queue *q, int64_t now_ms);
void attempts_forget(struct queue *q);

/* wait.c: soon, whoever waits is called if there is something. */
void queue_stir(struct queue *q);
void queue_wake_all(struct queue *q);

/* sweep.c */
void drops_forget(struct queues *s);
void queue_free(struct queue *q);

/* Queues: their records, names and settings. Private to aws/sqs, but for the part that says what it is to other services. */
#pragma once
#include "base/map.h"
#include "core/call.h"
#include "core/record.h"
#include "core/seal.h"
#include "core/service.h"
#include "engine/queue/queue.h"
#include "gen/sqs.h"
#include "gen/state_sqs.h"

#define SQS_ROW(name) (&(const struct record_type){&state_sqs_api, name "Record"})

enum { SQS_BATCH_MAX = 10, SQS_ATTRIBUTES_MAX = 10, SQS_SIZE_MAX = 1024 * 1024 };

/* The service's running state. */
struct sqs_state {
	struct cloud *cloud;
	struct queues *queues; /* NULL: nobody has needed it yet */
	struct loop_timer *tick;
	struct moves *moves;
	struct map keys; /* encryption.c's: a queue's ARN -> its last data key */
};
extern const struct service sqs_service;
struct sqs_state *sqs_state(const struct call *c);
/* Where messages are; opened when it is needed first. NULL: it cannot be, which is logged. */
struct queues *sqs_queues(struct sqs_state *s);

/* Whose queue of which name. */
struct sqs_name {
	struct str account, name;
};
struct sqs_queue {
	struct sqs_name at;
	struct state_sqs_queue_record record;
	struct str key;
	uint64_t id;
};

/* rows.c */
/* What a QueueUrl says, or the path of a request that has none. False: InvalidAddress or MissingParameter is set. */
bool sqs_name_of_url(struct call *c, struct str url, struct sqs_name *ret);
/* False: it is no ARN of a queue in this region. */
bool sqs_name_of_arn(struct str region, struct str arn, struct sqs_name *ret);
struct str sqs_arn(struct arena *a, struct str region, const struct sqs_name *at);
struct str sqs_url(struct call *c, const struct sqs_name *at);
bool sqs_is_fifo(struct str name);
struct str sqs_key(struct arena *a, struct str region, const struct sqs_name *at);
bool sqs_find(struct store_txn *t, struct arena *a, struct str region, const struct sqs_name *at, struct sqs_queue *ret);
/* For handlers: CALL_OK, or CALL_FAIL with an error. */
int sqs_get(struct call *c, struct str url, struct sqs_queue *ret);
int sqs_no_queue(struct call *c);
void sqs_put(struct call *c, struct sqs_queue *q);
/* Its messages; NULL: the error is set. */
struct queue *sqs_open(struct call *c, const struct sqs_queue *q);
struct queue *sqs_messages(struct sqs_state *s, const struct sqs_queue *q, int64_t now_ms);
int sqs_invalid(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int sqs_missing(struct call *c, const char *parameter);

/* attribute.c */
/* The value, its default where none was given; absent: it has none. */
struct str sqs_attribute(const struct sqs_queue *q, const char *name);
int64_t sqs_number(const struct sqs_queue *q, const char *name);
bool sqs_flag(const struct sqs_queue *q, const char *name);
/* Takes attributes over, as they are to be kept. `made`: the queue is new. */
int sqs_set_attributes(struct call *c, struct sqs_queue *q, const struct str_map *given, bool made);
/* The attribute of `given` that is another one than the queue has; absent: none is. */
struct str sqs_different(struct call *c, const struct sqs_queue *q, const struct str_map *given);
void sqs_keep(struct call *c, struct sqs_queue *q, const char *name, struct str value); /* empty: it goes */

/* redrive.c */
/* Checks a redrive policy, a redrive allow policy, and says how they are kept. */
int sqs_check_redrive(struct call *c, const struct sqs_queue *q, struct str json, struct str *ret_kept);
int sqs_check_redrive_allow(struct call *c, const struct sqs_queue *q, struct str json, struct str *ret_kept);
/* Where messages go that were received too often, and after how often. False: nowhere. */
bool sqs_redrive(struct arena *a, const struct sqs_queue *q, struct str region, struct sqs_name *ret_to, int64_t *ret_max);

/* digest.c */
bool sqs_text_good(struct str s); /* characters that messages may have */
struct str sqs_attributes_wrong(struct arena *a,
                                const struct sqs_message_body_attribute_map *map); /* a sentence; absent: nothing */
size_t sqs_attributes_bytes(const struct sqs_message_body_attribute_map *map);
struct str sqs_attributes_md5(struct arena *a, const struct sqs_message_body_attribute_map *map); /* as SDKs check it */

/* encryption.c */
/* What bodies for a queue are sealed with; not set: they lie as they are. */
struct sqs_data_key {
	bool set;
	struct seal seal;
	struct str queue, sealed;
};
/* For sending to q, as the caller. CALL_OK or CALL_FAIL; what it tells lives in the call's arena. */
int sqs_data_key(struct call *c, const struct sqs_queue *q, struct sqs_data_key *ret);
struct str sqs_seal(struct arena *a, const struct sqs_data_key *k, struct str body);
/* Before a receive: may the caller read what q's own key has sealed? CALL_OK or CALL_FAIL. */
int sqs_may_open(struct call *c, const struct sqs_queue *q);
/* The body as it was sent. CALL_OK or CALL_FAIL. */
int sqs_unseal(struct call *c, const struct sqs_queue *q, struct str *body);
void sqs_keys_forget(struct sqs_state *s);

/* tag.c */
int sqs_check_tags(struct call *c, const struct str_map *tags);

/* measure.c */
void sqs_measure(const struct cloud *cloud, struct str account, struct str region, struct str name, const char *metric,
                 const char *unit, double value);
void sqs_tick_start(struct sqs_state *s);
void sqs_bill(struct call *c);

/* move.c */
struct moves;
struct moves *moves_new(struct sqs_state *s);
void moves_free(struct moves *m);
void sqs_forget_moves(struct call *c, const struct sqs_name *at); /* of a queue that is deleted */
struct str sqs_source_of_task(struct arena *a, struct str handle, struct str *ret_id);

/* watch.c: for Lambda, whose event sources are woken by their queues. */
/* w waits for something to take from the queue of that ARN (queue.h). False: there is no such queue. */
bool sqs_wait_at(struct cloud *cloud, struct str region, struct str arn, struct queue_waiter *w);
/* For how long what is received there is out of sight; -1: there is no such queue. */
int64_t sqs_visibility_ms(struct cloud *cloud, struct str region, struct str arn);
bool sqs_has_dead_letters(struct cloud *cloud, struct str region, struct str arn);

/* --- for other services (deposit.c): queues that they send to in a transaction of their own making (queue_post()), and outboxes:
 * queues that nobody sees, in which a service keeps what it still has to deliver. */
enum sqs_reach { SQS_REACHED, SQS_NO_SUCH_QUEUE, SQS_NOT_ALLOWED, SQS_BROKEN };
struct sqs_target {
	struct queue *messages;
	struct sqs_name at;
	struct str region;
	bool fifo, dedup_by_content;
	int64_t bytes_max;
	struct sqs_data_key key;
};
/* The queue of that ARN, whatever its region, if `as` may send there by its policy and with its key. */
enum sqs_reach sqs_reach(struct call *c, const struct principal *as, struct str arn, struct sqs_target *ret);
/* A message for it, in the arena; the texts are not copied. Attributes may be NULL. False: the queue would not take it. */
bool sqs_letter(struct arena *a, const struct sqs_target *to, struct str body,
                const struct sqs_message_body_attribute_map *attributes, struct str sender, int64_t now_ms,
                struct queue_message *ret);
/* Counts it among the queue's messages. */
void sqs_letter_sent(const struct cloud *cloud, const struct sqs_target *to, const struct queue_message *m);
/* A new outbox, which is there with this transaction; its id. */
uint64_t sqs_outbox_make(struct store_txn *t, struct arena *a);
struct queue *sqs_outbox(const struct cloud *cloud, uint64_t id, const struct queue_settings *settings, int64_t now_ms);
/* In the transaction that has no use for it any more; then, when that is durable, sqs_outbox_drop(). */
void sqs_outbox_forget(struct store_txn *t, struct arena *a, uint64_t id);
void sqs_outbox_drop(const struct cloud *cloud, uint64_t id);
/* Where all of them are; NULL: the store cannot be opened, which is logged. */
struct queues *sqs_store(const struct cloud *cloud);

/* Waiting for the store of messages. The call's state is taken by it; the operation ends well after that, or goes on with `then`.
 */
struct sqs_wait;
struct sqs_wait *sqs_wait_new(struct call *c);
void sqs_wait_done(void *ctx, int result); /* queue_done; ctx: the sqs_wait */
int sqs_wait(struct call *c, struct sqs_wait *w, call_resume_fn *then);

/* Handlers; each file says which. */
sqs_create_queue_handler sqs_create_queue;
sqs_delete_queue_handler sqs_delete_queue;
sqs_get_queue_url_handler sqs_get_queue_url;
sqs_list_queues_handler sqs_list_queues;
sqs_list_dead_letter_source_queues_handler sqs_list_dead_letter_source_queues;
sqs_purge_queue_handler sqs_purge_queue;
sqs_get_queue_attributes_handler sqs_get_queue_attributes;
sqs_set_queue_attributes_handler sqs_set_queue_attributes;
sqs_send_message_handler sqs_send_message;
sqs_send_message_batch_handler sqs_send_message_batch;
sqs_receive_message_handler sqs_receive_message;
sqs_delete_message_handler sqs_delete_message;
sqs_delete_message_batch_handler sqs_delete_message_batch;
sqs_change_message_visibility_handler sqs_change_message_visibility;
sqs_change_message_visibility_batch_handler sqs_change_message_visibility_batch;
sqs_add_permission_handler sqs_add_permission;
sqs_remove_permission_handler sqs_remove_permission;
sqs_tag_queue_handler sqs_tag_queue;
sqs_untag_queue_handler sqs_untag_queue;
sqs_list_queue_tags_handler sqs_list_queue_tags;
sqs_start_message_move_task_handler sqs_start_message_move_task;
sqs_list_message_move_tasks_handler sqs_list_message_move_tasks;
sqs_cancel_message_move_task_handler sqs_cancel_message_move_task;

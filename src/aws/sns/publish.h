/* One message that is published, as it is checked (message.c) and sent to those who want it (fan.c). Private to Publish and
 * PublishBatch (publish.c). Texts are those of the call's input; all else lies in its arena. */
#pragma once
#include "sign.h"
#include "sns.h"

#include "engine/queue/queue.h"

/* Protocols, which may have texts of their own (MessageStructure). */
enum way { WAY_SQS, WAY_LAMBDA, WAY_HTTP, WAY_HTTPS, WAYS };
struct publication {
	struct str text[WAYS]; /* mostly all the same */
	struct str signature[WAYS];
	struct str subject, group, dedup;
	const struct sns_message_attribute_map *attributes;
	int64_t bytes;
	unsigned char id[QUEUE_ID_BYTES];
	struct str message_id, sequence; /* sequence: of FIFO topics */
	struct str trace;                /* the header that it came with, which goes on to queues and functions; absent: none */
};
/* As either operation gives it. */
struct published {
	struct str message, structure, subject, group, dedup;
	const struct sns_message_attribute_map *attributes;
};
struct publish_fault {
	const char *code;
	struct str text;
};
/* message.c */
bool publication_read(struct call *c, const struct topic *t, const struct published *in, struct publication *ret,
                      struct publish_fault *ret_fault);
void publication_record(const struct publication *p, const struct topic *t, enum way way, int64_t now_ms,
                        struct state_sns_notification_record *ret);

/* fan.c */
struct fan {
	struct call *call;
	const struct topic *topic;
	const struct principal *self;
	struct sns_subs {
		struct sns_sub *v;
		uint32_t n;
		bool set;
	} subs;
};
void fan_open(struct fan *f, struct call *c, const struct topic *t);
void fan_close(struct fan *f);
/* Does anybody get it in an envelope, which is signed? */
bool fan_signs(const struct fan *f);
/* Sends it; done comes when all of it is on disk. False: the store cannot be opened, and the error is set. */
bool fan_send(struct fan *f, struct publication *p, queue_done *done, void *ctx);

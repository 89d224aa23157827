/* Notifications of buckets: queues, topics and functions that hear of what happens to objects.
 *
 * What a configuration asks for lies in the bucket's record. A notice is a row, put by the transaction that changes the object
 * ("s3 told"), and goes when it has been delivered: a change that was acknowledged is told at least once, whatever dies meanwhile.
 * EventBridge is told by news.c. */
#pragma once
#include "aws/s3/rows.h"

struct notifier;
struct notifier *notifier_start(struct s3_state *s);
void notifier_stop(struct notifier *n);

/* --- notify_rules.c, without effects but errors */
enum notify_kind { NOTIFY_QUEUE, NOTIFY_TOPIC, NOTIFY_FUNCTION };
struct notify_rule {
	enum notify_kind kind;
	struct str *id, arn; /* id: where it stands */
	const struct str_list *events;
	const struct s3_notification_configuration_filter *filter;
};
struct notify_rules {
	struct notify_rule *v;
	uint32_t n;
	bool set;
};
void notify_rules(struct arena *a, const struct s3_notification_configuration *k, struct notify_rules *ret);
/* Is it one that may be put? CALL_OK or CALL_FAIL. */
int notify_check_rules(struct call *c, const struct notify_rules *rules, struct str region);
/* event: "s3:ObjectCreated:Put". */
bool notify_matches(const struct notify_rule *r, struct str event, struct str key);

/* --- notify_event.c */
struct notice {
	const struct state_s3_bucket *b;
	struct str bucket, key;
	const char *event;                  /* "s3:ObjectCreated:Put" */
	const struct state_s3_object *made; /* NULL: it is gone */
	struct str version_id;              /* absent: it has none */
	struct str principal, ip, request_id;
	int64_t now_ms;
};
/* Puts a row for everybody who is to be told. */
void notify_tell(struct store_txn *t, struct arena *a, const struct notice *n);
struct str notify_test_event(struct call *c, struct str bucket);

/* --- notify_send.c */
/* S3 as it acts for this bucket. The caller gives it back. */
struct principal *notify_self(struct str account, struct str bucket);
void notify_call(struct cloud *cloud, const struct principal *as, struct str target, struct str body, bool try_only,
                 call_done_fn *done, void *ctx);

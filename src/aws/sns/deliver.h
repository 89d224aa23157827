/* One notification to one function or endpoint: what it is, one try of delivering it, and its way to the dead-letter queue. Called
 * by outbox.c; results come on the loop, once, now or later. */
#pragma once
#include "envelope.h"
#include "sign.h"
#include "sns.h"

struct deliverer;
struct deliverer *deliverer_new(struct sns_state *s);
void deliverer_free(struct deliverer *d); /* no result comes any more */
/* How many more may be under way. */
size_t deliverer_room(const struct deliverer *d);

struct delivery {
	struct arena *arena;
	struct topic topic;
	struct sns_sub sub;
	struct state_sns_notification_record what;
	struct envelope envelope;
};
/* From what lies in an outbox. False: its subscription is not there any more. */
bool delivery_read(struct deliverer *d, struct arena *a, const struct sns_name *topic, struct str sub, struct str body,
                   struct delivery *ret);
enum delivery_result {
	DELIVERY_GOOD,
	DELIVERY_LATER,  /* it may go well another time */
	DELIVERY_REFUSED /* it will not */
};
typedef void delivery_done_fn(void *ctx, enum delivery_result result);
void delivery_start(struct deliverer *d, struct delivery *what, delivery_done_fn *done, void *ctx);
/* How long after the n-th try the next one comes; -1: there is none. */
int64_t delivery_pause_ms(const struct delivery *what, int64_t tries);
/* Into the dead-letter queue, if there is one, or nowhere. false: that has to be tried again. */
typedef void delivery_buried_fn(void *ctx, bool over);
void delivery_bury(struct deliverer *d, struct delivery *what, delivery_buried_fn *done, void *ctx);

#include "outbox.h"

#include "aws/sqs/sqs.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/map.h"
#include "base/rand.h"
#include "deliver.h"

#include <stdlib.h>

/* In flight: longer than any try, and not so long that what a crash left in flight is missed. */
enum { FLIES_MS = 40 * 1000, AT_ONCE = 8, TAKE_MAX = 10, LATER_MS = 20 * 1000 };
static const int64_t retention_ms = INT64_C(40) * 86400 * 1000, forget_ms = INT64_C(23) * 86400 * 1000;

struct outbox {
	struct queue_waiter waiter;
	struct outboxes *all;
	uint64_t id;
	struct sns_name topic;
	struct str sub;
	struct arena arena;
	struct queue *queue; /* NULL: it is dropped */
	bool waits;
	unsigned under_way;
	struct list going;
	struct list hungry; /* outboxes.hungry: it waits for others to end */
};
struct outboxes {
	struct sns_state *sns;
	struct deliverer *deliverer;
	struct map open; /* struct outbox by id */
	struct list hungry;
	struct loop_timer *begin;
};
/* One notification on its way. */
struct going {
	struct list link; /* outbox.going */
	struct outbox *outbox;
	uint64_t seq;
	struct arena arena;
	struct delivery delivery;
	struct str handle;
	int64_t tries, since_ms;
};

static void outbox_free(struct outbox *o)
{
	list_remove(&o->hungry);
	arena_done(&o->arena);
	free(o);
}

static void going_end(struct going *g)
{
	struct outbox *o = g->outbox;
	list_remove(&g->link);
	arena_done(&g->arena);
	free(g);
	o->under_way--;
	if (!o->queue && !o->under_way)
		outbox_free(o);
}

/* --- how a try ended */

static void pump(struct outbox *o);

static void feed(struct outboxes *all)
{
	struct outbox *o = list_first(&all->hungry, struct outbox, hungry);
	if (!o)
		return;
	list_remove(&o->hungry);
	pump(o);
}

static void deleted(void *ctx, int result)
{
	(void)ctx, (void)result; /* one that could not be deleted is delivered once more */
}

static void over(struct going *g)
{
	struct outbox *o = g->outbox;
	struct outboxes *all = o->all;
	enum queue_answer answer;
	if (o->queue)
		queue_delete(o->queue, &g->handle, 1, clock_wall_ms(), &answer, deleted, NULL);
	o->under_way++;
	going_end(g);
	if (o->queue)
		pump(o);
	if (--o->under_way == 0 && !o->queue)
		outbox_free(o);
	feed(all);
}

static void later(struct going *g, int64_t delay_ms)
{
	struct outbox *o = g->outbox;
	struct outboxes *all = o->all;
	bool too_long;
	if (o->queue)
		queue_change(o->queue, g->handle, delay_ms, clock_wall_ms(), &too_long);
	o->under_way++;
	going_end(g);
	if (o->queue)
		pump(o);
	if (--o->under_way == 0 && !o->queue)
		outbox_free(o);
	feed(all);
}

static void buried(void *ctx, bool now)
{
	if (now)
		over(ctx);
	else
		later(ctx, LATER_MS);
}

static void delivered(void *ctx, enum delivery_result result)
{
	struct going *g = ctx;
	int64_t wait_ms = result == DELIVERY_LATER && g->since_ms + forget_ms > clock_wall_ms()
	                          ? delivery_pause_ms(&g->delivery, g->tries)
	                          : -1;
	if (result == DELIVERY_GOOD)
		over(g);
	else if (wait_ms >= 0)
		later(g, wait_ms);
	else
		delivery_bury(g->outbox->all->deliverer, &g->delivery, buried, g);
}

/* --- taking */

/* Where the cloud's clock was moved, a try may take longer than what it takes is in flight. */
static bool is_going(const struct outbox *o, const struct queue_message *m)
{
	list_each (&o->going, struct going, link, g)
		if (g->seq == m->seq)
			return true;
	return false;
}

static void send_one(struct outbox *o, const struct queue_message *m)
{
	if (is_going(o, m))
		return;
	struct going *g = calloc(1, sizeof(*g));
	if (!g)
		die("out of memory (notifications)");
	arena_init(&g->arena, 0);
	g->outbox = o;
	g->seq = m->seq;
	list_init(&g->link);
	list_push(&o->going, &g->link);
	g->handle = arena_dup(&g->arena, m->handle);
	g->tries = m->receives;
	g->since_ms = m->sent_ms;
	o->under_way++;
	if (!delivery_read(o->all->deliverer, &g->arena, &o->topic, o->sub, m->body, &g->delivery)) {
		/* its subscription is gone, and it with it soon */
		enum queue_answer answer;
		queue_delete(o->queue, &g->handle, 1, clock_wall_ms(), &answer, deleted, NULL);
		going_end(g);
		return;
	}
	delivery_start(o->all->deliverer, &g->delivery, delivered, g);
}

static void wanted(struct queue_waiter *w)
{
	struct outbox *o = container_of(w, struct outbox, waiter);
	o->waits = false;
	/* Woken because it is dropped? */
	if (o->queue)
		pump(o);
}

static void pump(struct outbox *o)
{
	struct queue_message got[TAKE_MAX];
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	if (o->waits || list_linked(&o->hungry))
		return;
	o->under_way++; /* so that it outlives what ends at once */
	while (o->queue && o->under_way <= AT_ONCE) {
		size_t room = deliverer_room(o->all->deliverer), n = 0, max = AT_ONCE + 1 - o->under_way;
		if (!room) {
			list_push(&o->all->hungry, &o->hungry);
			break;
		}
		max = max < room ? max : room;
		const struct queue_take take = {
		        .max = max < TAKE_MAX ? max : TAKE_MAX, .visibility_ms = FLIES_MS, .now_ms = clock_wall_ms()};
		if (queue_take(o->queue, &a, &take, got, &n) < 0 || !n) {
			o->waits = true;
			queue_wait(o->queue, &o->waiter);
			break;
		}
		for (size_t i = 0; i < n; i++)
			send_one(o, &got[i]);
		arena_reset(&a);
	}
	if (--o->under_way == 0 && !o->queue)
		outbox_free(o);
}

/* --- the set of them */

static struct queue *open_queue(struct outboxes *all, uint64_t id)
{
	const struct queue_settings settings = {.retention_ms = retention_ms};
	return sqs_outbox(all->sns->cloud, id, &settings, clock_wall_ms());
}

struct queue *outbox_open(struct outboxes *all, uint64_t id, const struct sns_name *topic, struct str sub)
{
	struct outbox *o = map_get(&all->open, str_of(&id, sizeof(id)));
	if (o)
		return o->queue;
	struct queue *q = open_queue(all, id);
	if (!q)
		return NULL;
	o = calloc(1, sizeof(*o));
	if (!o)
		die("out of memory (notifications)");
	*o = (struct outbox){.all = all, .id = id, .queue = q, .waiter.fn = wanted};
	arena_init(&o->arena, 0);
	list_init(&o->hungry);
	list_init(&o->going);
	o->topic = (struct sns_name){.account = arena_dup(&o->arena, topic->account),
	                             .region = arena_dup(&o->arena, topic->region),
	                             .name = arena_dup(&o->arena, topic->name)};
	o->sub = arena_dup(&o->arena, sub);
	map_put(&all->open, str_of(&id, sizeof(id)), o);
	o->waits = true;
	queue_wait(q, &o->waiter);
	return q;
}

void outbox_drop(struct outboxes *all, uint64_t id)
{
	struct outbox *o = map_remove(&all->open, str_of(&id, sizeof(id)));
	if (o) {
		if (o->waits)
			queue_unwait(&o->waiter);
		o->queue = NULL;
		if (!o->under_way)
			outbox_free(o);
	}
	sqs_outbox_drop(all->sns->cloud, id);
}

static bool open_one(void *ctx, const struct sns_sub *s)
{
	if (s->record.outbox.v)
		outbox_open(ctx, (uint64_t)s->record.outbox.v, &s->topic, s->id);
	return true;
}

/* After a start, what was not delivered before is; by then all services are there. */
static void begin(void *ctx)
{
	struct outboxes *all = ctx;
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	all->begin = NULL;
	struct store_txn *t = store_begin(all->sns->cloud->store, &a);
	sns_each_sub(t, &a, &(struct sns_name){0}, open_one, all);
	store_abort(t);
}

struct outboxes *outboxes_new(struct sns_state *s)
{
	struct outboxes *all = calloc(1, sizeof(*all));
	if (!all)
		die("out of memory (notifications)");
	all->sns = s;
	list_init(&all->hungry);
	all->deliverer = deliverer_new(s);
	all->begin = loop_add_timer(s->cloud->loop, 0, begin, all);
	return all;
}

/* The queues are gone already, and nothing comes any more of what is under way. */
void outboxes_free(struct outboxes *all)
{
	size_t at = 0;
	struct str key;
	void *value;
	if (!all)
		return;
	loop_remove_timer(all->sns->cloud->loop, all->begin);
	deliverer_free(all->deliverer);
	while (map_next(&all->open, &at, &key, &value))
		outbox_free(value);
	map_done(&all->open);
	free(all);
}

/* --- what is put in */

void outbox_letter(struct arena *a, const struct state_sns_notification_record *what, int64_t now_ms, struct queue_message *ret)
{
	*ret = (struct queue_message){.body = record_write(a, SNS_ROW("Notification"), what), .sent_ms = now_ms};
	rand_bytes(ret->id, sizeof(ret->id));
}

static void asked(void *ctx, int result)
{
	(void)ctx;
	if (result < 0)
		log_warn("sns: a confirmation could not be asked for (%d)", result);
}

void outbox_ask(struct outboxes *all, const struct sns_sub *s)
{
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	struct queue *q = outbox_open(all, (uint64_t)s->record.outbox.v, &s->topic, s->id);
	struct queue_message m;
	struct queue_sent sent;
	int64_t now_ms = clock_wall_ms(), delay = 0;
	struct str arn = sns_topic_arn(&a, &s->topic);
	const struct state_sns_notification_record what = {
	        .type = S("SubscriptionConfirmation"),
	        .message_id = id_uuid(&a),
	        .message = ARENA_CAT(&a, S("You have chosen to subscribe to the topic "), arn,
	                             S(".\nTo confirm the subscription, visit the SubscribeURL included in this message.")),
	        .token = s->record.token,
	        .sent = OPT_INT(now_ms),
	        .signature_version = S("1"),
	};
	if (!q)
		return;
	outbox_letter(&a, &what, now_ms, &m);
	queue_send(q, &m, &delay, 1, now_ms, &sent, asked, NULL);
}

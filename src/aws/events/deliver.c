/* Deliveries: each is a record from the moment its event is taken until its target has it, or it is given up. A watch tells of new
 * ones, a scan at the start of those from before. What fails and may be otherwise later is tried again, more and more slowly, as
 * often and as long as the target's retry policy says; then it goes to the dead-letter queue. */
#include "send.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/rand.h"

#include <errno.h>
#include <stdlib.h>

enum {
	RUNNING_MAX = 256,
	ATTEMPTS_MAX = 185,
	AGE_MAX_S = 86400,
	FIRST_WAIT_MS = 1000,
	WAIT_MAX_MS = 900 * 1000,
	DEAD_TRIES = 5,
	WRITE_AGAIN_US = 1000000,
};

struct deliveries {
	struct cloud *cloud;
	struct map all; /* key -> struct delivery */
	struct list ready;
	unsigned running;
	struct events_roles *roles;
	struct store_watch *watch;
};
struct delivery {
	struct list link;      /* on ready, or unfinished */
	struct deliveries *of; /* NULL: the service has ended */
	struct arena arena, work;
	struct str key, account, region;
	struct loop_timer *timer;
	bool busy, deleted, remove;
	int64_t slot_ms; /* when its turn is, of a target with a rate; 0: it has none yet */
	unsigned dead_tries;
	struct send_result why;
	const char *exhausted;
	struct state_events_delivery_record row;
	struct sending sending;
};

void events_deliver(struct store_txn *t, struct arena *a, struct str account, struct str region,
                    const struct state_events_delivery_record *row)
{
	record_put(t, a, KEY(a, S("events"), S("delivery"), account, region, id_uuid(a)), EVENTS_ROW("Delivery"), row);
}

void events_notify(struct store_txn *t, struct arena *a, const struct events_notice *n, int64_t now_ms)
{
	struct events_target to = {.id = S("notice"), .arn = n->target};
	const struct state_events_delivery_record row = {.service = str_from(n->service),
	                                                 .subject = n->subject,
	                                                 .event = n->message,
	                                                 .role = n->role,
	                                                 .target = &to,
	                                                 .accepted = OPT_TIME(now_ms),
	                                                 .due = OPT_TIME(now_ms)};
	events_deliver(t, a, n->account, n->region, &row);
}

static void try_delivery(struct delivery *d);

static void delivery_free(struct delivery *d)
{
	if (d->of) {
		loop_remove_timer(d->of->cloud->loop, d->timer);
		map_remove(&d->of->all, d->key);
	}
	list_remove(&d->link);
	arena_done(&d->work);
	arena_done(&d->arena);
	free(d);
}

/* What a schedule's deliveries are called, whose metrics are others. */
static const struct {
	const char *rule, *schedule;
} names[] = {
        {"InvocationAttempts", "InvocationAttemptCount"},
        {"FailedInvocations", "InvocationDroppedCount"},
        {"InvocationsSentToDlq", "InvocationsSentToDeadLetterCount"},
        {"InvocationsFailedToBeSentToDlq", "InvocationsFailedToBeSentToDeadLetterCount"},
};

static void count(const struct delivery *d, const char *metric)
{
	if (str_set(d->row.rule)) {
		events_count(d->of->cloud, d->account, d->region, d->row.bus, d->row.rule_name, metric, 1);
		return;
	}
	for (size_t i = 0; str_set(d->row.schedule) && i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(metric, names[i].rule))
			events_count_schedule(d->of->cloud, d->account, d->region, d->row.schedule, names[i].schedule);
}

static void took(const struct delivery *d, const char *metric, int64_t now_ms)
{
	if (str_set(d->row.rule))
		events_measure_rule(d->of->cloud, d->account, d->region, d->row.bus, d->row.rule_name, metric, "Milliseconds",
		                    (double)(now_ms - d->row.accepted.ms));
}

/* --- writing what became of it */

static void due(void *ctx)
{
	struct delivery *d = ctx;
	d->timer = NULL;
	if (d->of->running >= RUNNING_MAX)
		list_push(&d->of->ready, &d->link);
	else
		try_delivery(d);
}

static void schedule(struct delivery *d, int64_t due_ms)
{
	struct loop *loop = d->of->cloud->loop;
	int64_t wait_ms = due_ms - clock_wall_ms();
	loop_remove_timer(loop, d->timer);
	d->timer = loop_add_clock_timer(loop, wait_ms > 0 ? wait_ms * 1000 : 0, due, d);
}

static void write_row(void *ctx);

static void written(void *ctx, int result, uint64_t revision)
{
	struct delivery *d = ctx;
	(void)revision;
	if (!d->of) {
		delivery_free(d);
		return;
	}
	if (result < 0) {
		if (result != -EAGAIN)
			log_error("events: a delivery could not be written: %s", strerror(-result));
		d->timer = loop_add_timer(d->of->cloud->loop, result == -EAGAIN ? 0 : WRITE_AGAIN_US, write_row, d);
		return;
	}
	d->busy = false;
	if (d->remove || d->deleted)
		delivery_free(d);
	else
		schedule(d, d->row.due.ms);
}

static void write_row(void *ctx)
{
	struct delivery *d = ctx;
	d->timer = NULL;
	struct store_txn *t = store_begin(d->of->cloud->store, &d->work);
	if (d->remove)
		store_delete(t, d->key);
	else
		record_put(t, &d->work, d->key, EVENTS_ROW("Delivery"), &d->row);
	store_commit(t, written, d);
}

static void run_ready(struct deliveries *all)
{
	while (all->running < RUNNING_MAX) {
		struct delivery *d = list_first(&all->ready, struct delivery, link);
		if (!d)
			return;
		list_remove(&d->link);
		try_delivery(d);
	}
}

/* The attempt is over. From a timer, since a target may have answered at once. */
static void settle(struct delivery *d, bool remove)
{
	struct deliveries *all = d->of;
	d->remove = remove;
	all->running--;
	d->timer = loop_add_timer(all->cloud->loop, 0, write_row, d);
	run_ready(all);
}

/* --- attempts */

static void dead_done(void *ctx, const struct send_result *r);

static void send_dead(struct delivery *d)
{
	d->sending.done = dead_done;
	send_to_queue_of_dead(&d->sending, &d->why, d->exhausted);
}

static void send_dead_again(void *ctx)
{
	struct delivery *d = ctx;
	d->timer = NULL;
	send_dead(d);
}

static void dead_done(void *ctx, const struct send_result *r)
{
	struct delivery *d = ctx;
	if (!d->of) {
		delivery_free(d);
		return;
	}
	if (r->outcome == SEND_LATER && ++d->dead_tries < DEAD_TRIES) {
		d->timer = loop_add_clock_timer(d->of->cloud->loop, (int64_t)FIRST_WAIT_MS * 1000 << d->dead_tries, send_dead_again,
		                                d);
		return;
	}
	count(d, r->outcome == SEND_DONE ? "InvocationsSentToDlq" : "InvocationsFailedToBeSentToDlq");
	settle(d, true);
}

static void give_up(struct delivery *d, const struct send_result *r, const char *exhausted)
{
	count(d, "FailedInvocations");
	if (!str_set(d->row.dead_letter)) {
		log_warn("events: %.*s did not get an event: %s: %.*s", STR_ARG(d->row.target->arn), r->code, STR_ARG(r->message));
		settle(d, true);
		return;
	}
	d->why = *r;
	d->exhausted = exhausted;
	send_dead(d);
}

static int64_t wait_ms(int64_t attempts)
{
	int64_t wait = FIRST_WAIT_MS;
	for (int64_t i = 1; i < attempts && wait < WAIT_MAX_MS; i++)
		wait *= 2;
	if (wait > WAIT_MAX_MS)
		wait = WAIT_MAX_MS;
	return wait / 2 + (int64_t)(rand_u64() % (uint64_t)(wait / 2 + 1));
}

/* Its turn comes later; nothing is written of that. */
static void put_off(void *ctx)
{
	struct delivery *d = ctx;
	struct deliveries *all = d->of;
	d->timer = NULL;
	d->busy = false;
	all->running--;
	if (d->deleted)
		delivery_free(d);
	else
		schedule(d, d->slot_ms);
	run_ready(all);
}

static void sent(void *ctx, const struct send_result *r)
{
	struct delivery *d = ctx;
	if (!d->of) {
		delivery_free(d);
		return;
	}
	if (r->outcome == SEND_NOT_YET) {
		d->slot_ms = d->sending.slot_ms;
		d->timer = loop_add_timer(d->of->cloud->loop, 0, put_off, d);
		return;
	}
	d->slot_ms = 0;
	const struct events_retry_policy *p = d->row.target->retry_policy;
	int64_t attempts = p && p->maximum_retry_attempts.set ? p->maximum_retry_attempts.v : ATTEMPTS_MAX;
	int64_t age_s = p && p->maximum_event_age_in_seconds.set ? p->maximum_event_age_in_seconds.v : AGE_MAX_S,
	        now_ms = clock_wall_ms();
	d->row.attempts = OPT_INT(d->row.attempts.v + 1);
	if (r->outcome != SEND_DONE && str_set(d->row.schedule))
		events_count_schedule(d->of->cloud, d->account, d->region, d->row.schedule,
		                      strcmp(r->code, "THROTTLING") ? "TargetErrorCount" : "TargetErrorThrottledCount");
	if (r->outcome == SEND_DONE) {
		took(d, "IngestionToInvocationSuccessLatency", now_ms);
		count(d, "Invocations");
		count(d, "SuccessfulInvocationAttempts");
		settle(d, true);
	} else if (r->outcome == SEND_REFUSED) {
		give_up(d, r, NULL);
	} else if (d->row.attempts.v > attempts) {
		give_up(d, r, "MaximumRetryAttempts");
	} else if (now_ms - d->row.accepted.ms > age_s * 1000) {
		give_up(d, r, "MaximumEventAgeInSeconds");
	} else {
		count(d, "RetryInvocationAttempts");
		int64_t pause_ms = wait_ms(d->row.attempts.v);
		d->row.due = OPT_TIME(now_ms + (pause_ms > d->sending.wait_ms ? pause_ms : d->sending.wait_ms));
		settle(d, false);
	}
}

static void try_delivery(struct delivery *d)
{
	struct deliveries *all = d->of;
	arena_reset(&d->work);
	d->row = (struct state_events_delivery_record){0};
	d->busy = true;
	d->dead_tries = 0;
	struct store_txn *t = store_begin(all->cloud->store, &d->work);
	bool there = record_get(t, &d->work, d->key, EVENTS_ROW("Delivery"), &d->row);
	store_abort(t);
	if (!there) {
		delivery_free(d);
		return;
	}
	all->running++;
	if (!d->slot_ms)
		count(d, "InvocationAttempts");
	if (!d->row.attempts.v && !d->slot_ms)
		took(d, "IngestionToInvocationStartLatency", clock_wall_ms());
	d->sending = (struct sending){.cloud = all->cloud,
	                              .roles = all->roles,
	                              .arena = &d->work,
	                              .account = d->account,
	                              .region = d->region,
	                              .row = &d->row,
	                              .slot_ms = d->slot_ms,
	                              .done = sent,
	                              .ctx = d};
	send_to_target(&d->sending);
}

/* --- what there is */

static void changed(struct deliveries *all, struct str key, struct str value)
{
	struct delivery *d = map_get(&all->all, key);
	if (!str_set(value)) {
		if (d && d->busy)
			d->deleted = true;
		else if (d)
			delivery_free(d);
		return;
	}
	if (d)
		return; /* our own writing: written() goes on */
	d = calloc(1, sizeof(*d));
	if (!d)
		die("out of memory (events)");
	d->of = all;
	list_init(&d->link);
	d->key = arena_dup(&d->arena, key);
	struct str_list parts = record_key_parts(&d->arena, d->key);
	d->account = parts.v[2];
	d->region = parts.v[3];
	map_put(&all->all, d->key, d);
	if (record_read(&d->work, value, EVENTS_ROW("Delivery"), &d->row))
		schedule(d, d->row.due.ms);
}

static void on_change(void *ctx, const struct store_event *e)
{
	changed(ctx, e->key, e->value);
}

struct deliveries *deliveries_new(struct cloud *cloud)
{
	struct arena CLEAN_ARENA a = {0};
	struct deliveries *all = calloc(1, sizeof(*all));
	if (!all)
		die("out of memory (events)");
	all->cloud = cloud;
	all->roles = events_roles_new(cloud);
	list_init(&all->ready);
	all->watch = record_follow(cloud->store, KEY_UNDER(&a, S("events"), S("delivery")), on_change, all);
	return all;
}

/* Those that a call or the store still has free themselves when that is over, if it comes to that. */
void deliveries_free(struct deliveries *all)
{
	static struct list unfinished = LIST_INIT(unfinished);
	size_t at = 0;
	struct str key;
	void *value;
	if (!all)
		return;
	store_unwatch(all->watch);
	while (map_next(&all->all, &at, &key, &value)) {
		struct delivery *d = value;
		loop_remove_timer(all->cloud->loop, d->timer);
		d->of = NULL;
		if (d->busy) {
			list_remove(&d->link);
			list_push(&unfinished, &d->link);
		} else
			delivery_free(d);
	}
	map_done(&all->all);
	events_roles_free(all->roles);
	free(all);
}

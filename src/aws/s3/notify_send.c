/* Delivering notices. Rows are taken in the order in which they came, some dozens at a time; one that is delivered, or refused by
 * who should get it, goes. What failed by a fault of ours is tried again, ever more seldom. */
#include "aws/s3/notify.h"

#include "base/list.h"
#include "base/log.h"
#include "gen/lambda.h"
#include "gen/sns.h"
#include "gen/sqs.h"

#include <errno.h>
#include <stdlib.h>

enum { AT_ONCE = 32, PAUSE_MAX_S = 60 };

struct notifier {
	struct s3_state *s3;
	struct store_watch *watch;
	struct loop_timer *soon;
	struct map going; /* struct sending by key */
	bool more;        /* rows that were passed over, as enough were under way */
};
struct sending {
	struct notifier *notifier;
	struct arena arena;
	struct str key;
	struct state_s3_told row;
	struct loop_timer *again;
	int64_t pause_s;
};

/* --- one call */

struct principal *notify_self(struct str account, struct str bucket)
{
	struct principal *p = principal_new(PRINCIPAL_SERVICE, account);
	p->name = p->arn = p->user_id = S("s3.amazonaws.com");
	p->issuer_arn = ARENA_CAT(&p->arena, S("arn:aws:s3:::"), bucket);
	return p;
}

void notify_call(struct cloud *cloud, const struct principal *as, struct str target, struct str body, bool try_only,
                 call_done_fn *done, void *ctx)
{
	CLEAN_ARENA struct arena a;
	struct str rest = target, parts[6] = {STR_NONE};
	arena_init(&a, 0);
	for (unsigned i = 0; i < 6 && str_set(rest); i++)
		parts[i] = str_cut(&rest, ':');
	struct str region = arena_dup(&a, parts[3]);
	if (str_is(parts[2], "sqs")) {
		const struct sqs_send_message_request in = {.queue_url = ARENA_CAT(&a, S("/"), parts[4], S("/"), parts[5]),
		                                            .message_body = body};
		call_op(cloud, as, region, &sqs_api, "SendMessage", &in, done, ctx);
	} else if (str_is(parts[2], "sns")) {
		const struct sns_publish_input in = {.topic_arn = target, .subject = S("Amazon S3 Notification"), .message = body};
		call_op(cloud, as, region, &sns_api, "Publish", &in, done, ctx);
	} else {
		const struct lambda_invocation_request in = {
		        .function_name = target, .invocation_type = try_only ? S("DryRun") : S("Event"), .payload = body};
		call_op(cloud, as, region, &lambda_api, "Invoke", &in, done, ctx);
	}
}

/* --- rows */

static void look_soon(struct notifier *n);

static void sending_free(struct sending *s)
{
	loop_remove_timer(s->notifier->s3->cloud->loop, s->again);
	arena_done(&s->arena);
	free(s);
}

static void start(void *ctx);

static void try_later(struct sending *s)
{
	s->pause_s = s->pause_s ? 2 * s->pause_s : 1;
	if (s->pause_s > PAUSE_MAX_S)
		s->pause_s = PAUSE_MAX_S;
	s->again = loop_add_clock_timer(s->notifier->s3->cloud->loop, s->pause_s * 1000000, start, s);
}

static void forgotten(void *ctx, int result, uint64_t revision)
{
	struct sending *s = ctx;
	struct notifier *n = s->notifier;
	(void)revision;
	if (result < 0)
		log_warn("s3: a notification that was delivered could not be forgotten: %s", strerror(-result));
	map_remove(&n->going, s->key);
	sending_free(s);
	if (n->more)
		look_soon(n);
}

static void sent(void *ctx, struct call *sub)
{
	struct sending *s = ctx;
	struct str code = sub->error.code;
	if (str_set(code) &&
	    (sub->error.receiver || str_is(code, "TooManyRequestsException") || str_is(code, "ResourceConflictException"))) {
		try_later(s);
		return;
	}
	struct store_txn *t = store_begin(s->notifier->s3->cloud->store, &s->arena);
	store_delete(t, s->key);
	store_commit(t, forgotten, s);
}

static void start(void *ctx)
{
	struct sending *s = ctx;
	s->again = NULL;
	struct principal *self = notify_self(s->row.account, s->row.bucket);
	notify_call(s->notifier->s3->cloud, self, s->row.target, s->row.body, false, sent, s);
	principal_unref(self);
}

static void take(struct notifier *n, struct str key, struct str value)
{
	struct sending *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory (notifications)");
	s->notifier = n;
	arena_init(&s->arena, 0);
	s->key = arena_dup(&s->arena, key);
	record_read(&s->arena, arena_dup(&s->arena, value), &(const struct record_type){&state_s3_api, "Told"}, &s->row);
	map_put(&n->going, s->key, s);
	start(s);
}

static void look(void *ctx)
{
	struct notifier *n = ctx;
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	n->soon = NULL;
	n->more = false;
	struct store_txn *t = store_begin(n->s3->cloud->store, &a);
	struct str under = KEY_UNDER(&a, S("s3"), S("told")), key;
	struct store_iter *i = store_scan(t, under, store_prefix_end(&a, under), false);
	struct store_value v;
	while (!n->more && store_next(i, &key, &v)) {
		if (map_get(&n->going, key))
			continue;
		if (n->going.count >= AT_ONCE)
			n->more = true;
		else
			take(n, key, v.value);
	}
	store_abort(t);
}

static void look_soon(struct notifier *n)
{
	if (!n->soon)
		n->soon = loop_add_timer(n->s3->cloud->loop, 0, look, n);
}

static void changed(void *ctx, const struct store_event *e)
{
	if (str_set(e->value))
		look_soon(ctx);
}

struct notifier *notifier_start(struct s3_state *s)
{
	struct notifier *n = calloc(1, sizeof(*n));
	CLEAN_ARENA struct arena a;
	if (!n)
		die("out of memory (notifications)");
	arena_init(&a, 0);
	n->s3 = s;
	struct str under = KEY_UNDER(&a, S("s3"), S("told"));
	n->watch = store_watch(s->cloud->store, under, store_prefix_end(&a, under), store_revision(s->cloud->store), changed, n);
	look_soon(n); /* what was left, once all services are there */
	return n;
}

void notifier_stop(struct notifier *n)
{
	size_t at = 0;
	struct str key;
	void *value;
	store_unwatch(n->watch);
	loop_remove_timer(n->s3->cloud->loop, n->soon);
	while (map_next(&n->going, &at, &key, &value))
		sending_free(value);
	map_done(&n->going);
	free(n);
}

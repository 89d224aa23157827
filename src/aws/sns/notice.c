/* What other services publish: rows of their transactions, which go when they are published. */
#include "sns.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/rand.h"

#include <stdlib.h>

enum { AT_ONCE = 16, PAUSE_US = 5 * 1000 * 1000 };

struct notices {
	struct sns_state *sns;
	struct store_watch *watch;
	struct loop_timer *soon;
	struct map going; /* struct telling by key */
	bool more;
};
struct telling {
	struct notices *all;
	struct arena arena;
	struct str key;
	struct state_sns_notice_record row;
	struct loop_timer *again;
};

static struct str under(struct arena *a)
{
	return KEY_UNDER(a, S("sns"), S("notice"));
}

void sns_notify(struct store_txn *t, struct arena *a, const struct sns_notice *n)
{
	const struct state_sns_notice_record row = {.account = n->account,
	                                            .service = n->service ? str_from(n->service) : STR_NONE,
	                                            .source = n->source,
	                                            .topic = n->topic,
	                                            .subject = n->subject,
	                                            .message = n->message};
	struct str at = arena_printf(a, "%016lx-%016lx", clock_wall_ms(), rand_u64());
	record_put(t, a, KEY(a, S("sns"), S("notice"), at), SNS_ROW("Notice"), &row);
}

bool sns_has_topic(struct store_txn *t, struct arena *a, struct str arn)
{
	struct sns_name at;
	struct str id;
	struct topic topic;
	return sns_name_of_arn(arn, &at, &id) && !str_set(id) && sns_find_topic(t, a, &at, &topic);
}

/* --- publishing them */

static void look_soon(struct notices *n);
static void start(void *ctx);

static void telling_free(struct telling *k)
{
	loop_remove_timer(k->all->sns->cloud->loop, k->again);
	arena_done(&k->arena);
	free(k);
}

static void forgotten(void *ctx, int result, uint64_t revision)
{
	struct telling *k = ctx;
	struct notices *n = k->all;
	(void)result, (void)revision;
	map_remove(&n->going, k->key);
	telling_free(k);
	if (n->more)
		look_soon(n);
}

static void told(void *ctx, struct call *sub)
{
	struct telling *k = ctx;
	if (str_set(sub->error.code) && sub->error.receiver) {
		k->again = loop_add_clock_timer(k->all->sns->cloud->loop, PAUSE_US, start, k);
		return;
	}
	struct store_txn *t = store_begin(k->all->sns->cloud->store, &k->arena);
	store_delete(t, k->key);
	store_commit(t, forgotten, k);
}

static void start(void *ctx)
{
	struct telling *k = ctx;
	struct sns_name at;
	struct str id;
	k->again = NULL;
	if (!sns_name_of_arn(k->row.topic, &at, &id))
		at.region = S("us-east-1");
	bool service = str_set(k->row.service);
	struct principal *self = principal_new(service ? PRINCIPAL_SERVICE : PRINCIPAL_ROOT, k->row.account);
	if (service) {
		self->name = self->arn = self->user_id = arena_dup(&self->arena, k->row.service);
		self->issuer_arn = arena_dup(&self->arena, k->row.source);
	}
	const struct sns_publish_input in = {.topic_arn = k->row.topic, .subject = k->row.subject, .message = k->row.message};
	call_op(k->all->sns->cloud, self, at.region, &sns_api, "Publish", &in, told, k);
	principal_unref(self);
}

static void take(struct notices *n, struct str key, struct str value)
{
	struct telling *k = calloc(1, sizeof(*k));
	if (!k)
		die("out of memory (notices)");
	k->all = n;
	arena_init(&k->arena, 0);
	k->key = arena_dup(&k->arena, key);
	record_read(&k->arena, arena_dup(&k->arena, value), SNS_ROW("Notice"), &k->row);
	map_put(&n->going, k->key, k);
	start(k);
}

static void look(void *ctx)
{
	struct notices *n = ctx;
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	n->soon = NULL;
	n->more = false;
	struct store_txn *t = store_begin(n->sns->cloud->store, &a);
	struct str from = under(&a), key;
	struct store_iter *i = store_scan(t, from, store_prefix_end(&a, from), false);
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

static void look_soon(struct notices *n)
{
	if (!n->soon)
		n->soon = loop_add_timer(n->sns->cloud->loop, 0, look, n);
}

static void changed(void *ctx, const struct store_event *e)
{
	if (str_set(e->value))
		look_soon(ctx);
}

struct notices *notices_new(struct sns_state *s)
{
	struct notices *n = calloc(1, sizeof(*n));
	CLEAN_ARENA struct arena a;
	if (!n)
		die("out of memory (notices)");
	arena_init(&a, 0);
	n->sns = s;
	struct str from = under(&a);
	n->watch = store_watch(s->cloud->store, from, store_prefix_end(&a, from), store_revision(s->cloud->store), changed, n);
	look_soon(n);
	return n;
}

void notices_free(struct notices *n)
{
	size_t at = 0;
	struct str key;
	void *value;
	if (!n)
		return;
	store_unwatch(n->watch);
	loop_remove_timer(n->sns->cloud->loop, n->soon);
	while (map_next(&n->going, &at, &key, &value))
		telling_free(value);
	map_done(&n->going);
	free(n);
}

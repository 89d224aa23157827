/* What a filter selects of a batch is written as AWS's message, compressed by a thread, and given to the function's queue, which
 * keeps it from then on. A queue that refuses is asked again some times; what cannot be delivered then is dropped, and counts in
 * AWS/Logs. A crash loses what is on this way. */
#include "forward.h"

#include "base/base64.h"
#include "base/json.h"
#include "base/log.h"
#include "base/rand.h"
#include "core/identity.h"
#include "engine/logs/filter.h"
#include "engine/metrics/metrics.h"
#include "gen/lambda.h"
#include "io/work.h"

#include <stdlib.h>
#include <zlib.h>

enum {
	BATCH_BYTES = 160 * 1024,
	MESSAGE_MAX = 8 << 20,
	PENDING_BYTES_MAX = 64 << 20,
	TRIES = 5,
	RETRY_US = 1000000,
	GZIP_BITS = 15 + 16
};

struct forward {
	struct cloud *cloud;
	struct list deliveries;
	size_t bytes; /* that are under way */
};

struct delivery {
	struct forward *forward; /* NULL: it has ended */
	struct list link;
	struct arena arena;
	struct str account, region, group, group_arn, filter, function;
	struct str message, payload;
	uint32_t events;
	unsigned tries;
	bool working; /* a thread or a call has it */
	struct loop_timer *timer;
};

struct principal *forward_principal(struct str account, struct str group_arn)
{
	struct principal *p = principal_new(PRINCIPAL_SERVICE, account);
	p->name = p->arn = p->user_id = S("logs.amazonaws.com");
	p->issuer_arn = ARENA_CAT(&p->arena, group_arn, S(":*"));
	return p;
}

static void delivery_free(struct delivery *d)
{
	if (d->forward) {
		d->forward->bytes -= d->message.n;
		list_remove(&d->link);
		loop_remove_timer(d->forward->cloud->loop, d->timer);
	}
	arena_done(&d->arena);
	free(d);
}

static void count(const struct delivery *d, const char *name, const char *unit, double x)
{
	const struct metric_dimension by[] = {
	        {S("LogGroupName"), d->group}, {S("DestinationType"), S("Lambda")}, {S("FilterName"), d->filter}};
	const struct metric m = {d->account, d->region, S("AWS/Logs"), str_from(name), str_from(unit), by, 3};
	metrics_add(d->forward->cloud->metrics, &m, x);
}

/* --- to the function */

static void invoke(void *ctx);

static void invoked(void *ctx, struct call *sub)
{
	struct delivery *d = ctx;
	d->working = false;
	if (!d->forward) {
		delivery_free(d);
		return;
	}
	if (!str_set(sub->error.code)) {
		count(d, "ForwardedBytes", "Bytes", (double)d->payload.n);
		count(d, "ForwardedLogEvents", "None", d->events);
	} else if (++d->tries < TRIES) {
		d->timer = loop_add_clock_timer(d->forward->cloud->loop, (int64_t)RETRY_US << (2 * (d->tries - 1)), invoke, d);
		return;
	} else
		count(d, "DeliveryErrors", "None", 1);
	delivery_free(d);
}

static void invoke(void *ctx)
{
	struct delivery *d = ctx;
	struct principal *self = forward_principal(d->account, d->group_arn);
	struct lambda_invocation_request in = {.function_name = d->function, .invocation_type = S("Event"), .payload = d->payload};
	d->timer = NULL;
	d->working = true;
	call_op(d->forward->cloud, self, d->region, &lambda_api, "Invoke", &in, invoked, d);
	principal_unref(self);
}

/* --- the message */

static void pack(void *ctx)
{
	struct delivery *d = ctx;
	z_stream z = {0};
	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_BITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return;
	size_t room = deflateBound(&z, d->message.n) + 32;
	char *to = arena_alloc(&d->arena, room);
	z.next_in = (unsigned char *)(uintptr_t)d->message.p;
	z.avail_in = (unsigned)d->message.n;
	z.next_out = (unsigned char *)to;
	z.avail_out = (unsigned)room;
	if (deflate(&z, Z_FINISH) == Z_STREAM_END)
		d->payload = ARENA_CAT(&d->arena, S("{\"awslogs\":{\"data\":\""),
		                       base64_encode(&d->arena, str_of(to, room - z.avail_out)), S("\"}}"));
	deflateEnd(&z);
}

static void packed(void *ctx)
{
	struct delivery *d = ctx;
	d->working = false;
	if (!d->forward || !str_set(d->payload)) {
		delivery_free(d);
		return;
	}
	invoke(d);
}

struct batch {
	struct call *call;
	const struct logs_group *group;
	const struct logs_subscription_filter *filter;
	struct str stream;
	struct buf text;
	struct json_out out;
	uint32_t events;
};

static void batch_begin(struct batch *b)
{
	buf_clear(&b->text);
	b->events = 0;
	b->out = json_out(&b->text);
	json_open(&b->out, '{');
	json_key(&b->out, S("messageType"));
	json_string(&b->out, S("DATA_MESSAGE"));
	json_key(&b->out, S("owner"));
	json_string(&b->out, b->call->account);
	json_key(&b->out, S("logGroup"));
	json_string(&b->out, b->group->record.name);
	json_key(&b->out, S("logStream"));
	json_string(&b->out, b->stream);
	json_key(&b->out, S("subscriptionFilters"));
	json_open(&b->out, '[');
	json_string(&b->out, b->filter->filter_name);
	json_close(&b->out, ']');
	json_key(&b->out, S("logEvents"));
	json_open(&b->out, '[');
}

static void batch_send(struct batch *b)
{
	struct forward *f = logs_state(b->call)->forward;
	struct call *c = b->call;
	if (!b->events)
		return;
	json_close(&b->out, ']');
	json_close(&b->out, '}');
	struct delivery *d = calloc(1, sizeof(*d));
	if (!d)
		die("out of memory (subscription filters)");
	*d = (struct delivery){.forward = f, .events = b->events, .working = true};
	list_push(&f->deliveries, &d->link);
	d->account = arena_dup(&d->arena, c->account);
	d->region = arena_dup(&d->arena, c->region);
	d->group = arena_dup(&d->arena, b->group->record.name);
	d->group_arn = arena_dup(&d->arena, logs_group_arn(c, b->group->record.name));
	d->filter = arena_dup(&d->arena, b->filter->filter_name);
	d->function = arena_dup(&d->arena, b->filter->destination_arn);
	if (f->bytes + b->text.n > PENDING_BYTES_MAX || b->text.overflow) {
		count(d, "DeliveryThrottling", "None", 1);
		delivery_free(d);
	} else {
		d->message = arena_dup(&d->arena, buf_str(&b->text));
		f->bytes += d->message.n;
		work_add(f->cloud->work, pack, packed, d);
	}
	batch_begin(b);
}

static void batch_add(struct batch *b, const struct log_input *e)
{
	if (b->events && b->text.n + e->message.n > BATCH_BYTES)
		batch_send(b);
	json_open(&b->out, '{');
	json_key(&b->out, S("id"));
	json_string(&b->out,
	            logs_position_digits(b->call->arena, (struct log_position){e->time_ms, rand_u64() >> 4}, b->group->id));
	json_key(&b->out, S("timestamp"));
	json_int(&b->out, e->time_ms);
	json_key(&b->out, S("message"));
	json_string(&b->out, e->message);
	json_close(&b->out, '}');
	b->events++;
}

static void apply(struct call *c, const struct logs_group *group, const struct logs_subscription_filter *filter, struct str stream,
                  const struct log_input *events, uint32_t n)
{
	struct batch b = {.call = c, .group = group, .filter = filter, .stream = stream};
	struct arena CLEAN_ARENA scratch = {0};
	struct str error;
	const struct log_filter *f = log_filter_compile(c->arena, filter->filter_pattern, &error);
	if (!f)
		return;
	buf_init(&b.text, MESSAGE_MAX);
	batch_begin(&b);
	for (uint32_t i = 0; i < n; i++) {
		arena_reset(&scratch);
		if (log_filter_match(&scratch, f, events[i].message))
			batch_add(&b, &events[i]);
	}
	batch_send(&b);
	buf_done(&b.text);
}

void forward_events(struct call *c, const struct logs_group *group, struct str stream, const struct log_input *events, uint32_t n)
{
	struct str under = subscriptions_under(c, group->id), key;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct state_logs_subscription_record record;
		if (record_read(c->arena, v.value, LOGS_ROW("Subscription"), &record))
			apply(c, group, record.filter, stream, events, n);
	}
}

struct forward *forward_new(struct cloud *cloud)
{
	struct forward *f = calloc(1, sizeof(*f));
	if (!f)
		die("out of memory (subscription filters)");
	f->cloud = cloud;
	list_init(&f->deliveries);
	return f;
}

/* What a thread or a call has frees itself when that is over, if it comes to that. */
void forward_free(struct forward *f)
{
	if (!f)
		return;
	while (!list_empty(&f->deliveries)) {
		struct delivery *d = list_first(&f->deliveries, struct delivery, link);
		if (!d->working) {
			delivery_free(d);
			continue;
		}
		list_remove(&d->link);
		d->forward = NULL;
	}
	free(f);
}

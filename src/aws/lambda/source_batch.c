/* One batch of messages: gathered, given to the function, deleted from the queue where the function is done with it.
 *
 * A throttled batch is tried again for as long as its messages are out of sight, as then they are somebody else's. What the
 * function fails at is left alone: the queue gives it out again, or moves it to its dead-letter queue. */
#include "aws/lambda/source.h"

#include "aws/lambda/credentials.h"
#include "aws/lambda/publish.h"
#include "aws/lambda/recursion.h"
#include "aws/sqs/sqs.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"

#include <stdlib.h>

enum {
	RETRY_US = 100 * 1000,
	RETRY_MAX_US = 5 * 1000 * 1000,
	ENDING_BYTES = 2, /* what closes the list of records */
	DELETE_MAX = 10,
};

struct batch {
	struct list link; /* source.ready */
	struct source *source;
	struct credentials *role;
	struct arena arena;
	struct buf json;
	struct str_list ids, handles;
	bool *failed;
	struct str trace;         /* of the message that has come round most often; absent: none says */
	int64_t visible_ms;       /* until when its messages are ours */
	struct loop_timer *timer; /* of its window, or until it is tried again */
	int64_t retry_us;
	struct invocation *inv;
	unsigned deletes; /* under way */
};

static struct batch *batch_new(struct source *s, const struct credentials *role, int64_t visible_ms)
{
	struct batch *b = calloc(1, sizeof(*b));
	if (!b)
		abort();
	b->source = s;
	b->role = (struct credentials *)role;
	b->role->refs++;
	b->visible_ms = visible_ms;
	b->retry_us = RETRY_US;
	list_init(&b->link);
	arena_init(&b->arena, 0);
	buf_init(&b->json, LAMBDA_REQUEST_BYTES);
	buf_add_lit(&b->json, "{\"Records\":[");
	return b;
}

void batch_free(struct batch *b)
{
	if (!b)
		return;
	list_remove(&b->link);
	loop_remove_timer(b->source->lambda->cloud->loop, b->timer);
	credentials_unref(b->role);
	buf_done(&b->json);
	arena_done(&b->arena);
	free(b);
}

struct batch *batch_first_ready(struct source *s)
{
	return list_first(&s->ready, struct batch, link);
}

/* Where the mapping's metrics are wanted (MetricsConfig). */
static void count(const struct source *s, const char *name, size_t events)
{
	const struct lambda_event_source_mapping_configuration *f = s->record.config;
	if (events && f && f->metrics_config)
		publish_source(s->lambda->publish, s->account, s->region, f->uuid, name, (double)events);
}

/* --- gathering */

static void window_over(void *ctx)
{
	struct batch *b = ctx;
	struct source *s = b->source;
	b->timer = NULL;
	batch_close(s);
	source_look(s);
}

void batch_close(struct source *s)
{
	struct batch *b = s->gathering;
	if (!b)
		return;
	s->gathering = NULL;
	loop_remove_timer(s->lambda->cloud->loop, b->timer);
	b->timer = NULL;
	buf_add_lit(&b->json, "]}");
	list_push(&s->ready, &b->link);
}

static bool wanted(struct source *s, struct arena *a, const struct sqs_message *m)
{
	if (!s->filter_count)
		return true;
	struct buf CLEAN_BUF b;
	buf_init(&b, 16 << 20);
	source_put_record(&b, a, m, s->record.config->event_source_arn, s->region, true);
	const struct json_value *record = json_parse(a, buf_str(&b), NULL);
	for (unsigned i = 0; i < s->filter_count; i++)
		if (event_pattern_match(s->filters[i], record))
			return true;
	return false;
}

/* One that the function itself has caused, again and again: it is left to the queue's dead-letter queue, or goes where there is
 * none. */
static bool is_looped(struct source *s, struct arena *a, const struct fn *fn, const struct sqs_message *m)
{
	struct str trace = str_map_get(&m->attributes, S("AWSTraceHeader"));
	return fn && str_set(trace) && !recursion_enter(a, s->lambda, fn, s->function.qualifier, &trace);
}

static void unwanted_deleted(void *ctx, struct call *sub)
{
	(void)ctx;
	if (str_set(sub->error.code))
		log_warn("lambda: deleting what a filter leaves out: %.*s", STR_ARG(sub->error.message));
}

static void delete_some(struct source *s, const struct credentials *role, const struct str *handles, size_t count,
                        call_done_fn *done, void *ctx)
{
	static const char digits[] = "0123456789";
	struct sqs_delete_message_batch_request_entry entries[DELETE_MAX];
	for (size_t i = 0; i < count; i++)
		entries[i] = (struct sqs_delete_message_batch_request_entry){str_of(digits + i, 1), handles[i]};
	const struct sqs_delete_message_batch_request in = {s->queue_url, {entries, (uint32_t)count, true}};
	call_op(s->lambda->cloud, role->principal, s->region, &sqs_api, "DeleteMessageBatch", &in, done, ctx);
}

void batch_take(struct source *s, const struct sqs_message_list *messages, int64_t visible_ms, const struct credentials *role)
{
	const struct lambda_event_source_mapping_configuration *f = s->record.config;
	int64_t window_s = f->maximum_batching_window_in_seconds.v;
	const struct fn *fn = directory_find(s->lambda->directory, s->function.account, s->function.region, s->function.name);
	struct str unwanted[SOURCE_RECEIVE_MAX];
	size_t unwanted_count = 0, left_out = 0;
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	for (uint32_t i = 0; i < messages->n; i++) {
		const struct sqs_message *m = &messages->v[i];
		struct buf CLEAN_BUF record;
		buf_init(&record, 16 << 20);
		bool looped = is_looped(s, &a, fn, m);
		if (looped || !wanted(s, &a, m)) {
			left_out += !looped;
			if (!looped || !sqs_has_dead_letters(s->lambda->cloud, s->region, f->event_source_arn))
				unwanted[unwanted_count++] = m->receipt_handle;
			continue;
		}
		source_put_record(&record, &a, m, f->event_source_arn, s->region, false);
		if (s->gathering && s->gathering->json.n + record.n + 1 + ENDING_BYTES > LAMBDA_REQUEST_BYTES)
			batch_close(s);
		struct batch *b = s->gathering;
		if (!b) {
			b = s->gathering = batch_new(s, role, visible_ms);
			if (window_s)
				b->timer = loop_add_clock_timer(s->lambda->cloud->loop, window_s * 1000000, window_over, b);
		}
		if (b->ids.n)
			buf_add_char(&b->json, ',');
		buf_add_str(&b->json, buf_str(&record));
		*LIST_ADD(&b->arena, &b->ids) = arena_dup(&b->arena, m->message_id);
		*LIST_ADD(&b->arena, &b->handles) = arena_dup(&b->arena, m->receipt_handle);
		struct str trace = str_map_get(&m->attributes, S("AWSTraceHeader"));
		if (fn && str_set(trace) && (!str_set(b->trace) || recursion_passes(trace, fn) > recursion_passes(b->trace, fn)))
			b->trace = arena_dup(&b->arena, trace);
		if (b->ids.n >= f->batch_size.v)
			batch_close(s);
	}
	if (!window_s || !source_is_on(s))
		batch_close(s);
	count(s, "PolledEventCount", messages->n);
	count(s, "FilteredOutEventCount", left_out);
	if (unwanted_count)
		delete_some(s, role, unwanted, unwanted_count, unwanted_deleted, NULL);
}

/* --- with the function */

static void over(struct batch *b, enum source_end how)
{
	struct source *s = b->source;
	batch_free(b);
	s->running--;
	source_went(s, how);
}

static void deleted(void *ctx, struct call *sub)
{
	struct batch *b = ctx;
	const struct sqs_delete_message_batch_result *out = sub->out;
	if (!str_set(sub->error.code))
		count(b->source, "DeletedEventCount", out->successful.n);
	else
		log_warn("lambda: deleting messages of %.*s: %.*s: %.*s", STR_ARG(b->source->record.config->event_source_arn),
		         STR_ARG(sub->error.code), STR_ARG(sub->error.message));
	if (!--b->deletes)
		over(b, SOURCE_GOOD);
}

/* Deletes all that has not failed. */
static void settle(struct batch *b, bool all_failed)
{
	struct str handles[DELETE_MAX];
	size_t n = 0;
	for (uint32_t i = 0; !all_failed && i < b->handles.n; i++) {
		if (!b->failed[i])
			handles[n++] = b->handles.v[i];
		if (n == DELETE_MAX || (n && i + 1 == b->handles.n)) {
			b->deletes++;
			delete_some(b->source, b->role, handles, n, deleted, b);
			n = 0;
		}
	}
	if (!b->deletes)
		over(b, SOURCE_FAILED);
}

static bool reports_failures(const struct source *s)
{
	const struct str_list *types = &s->record.config->function_response_types;
	return types->n && str_eq(types->v[0], S("ReportBatchItemFailures"));
}

static void try_again(void *ctx)
{
	struct batch *b = ctx;
	struct source *s = b->source;
	b->timer = NULL;
	s->running--;
	batch_run(b);
}

static void throttled(struct batch *b)
{
	struct source *s = b->source;
	if (clock_wall_ms() + b->retry_us / 1000 >= b->visible_ms || !source_is_on(s)) {
		over(b, SOURCE_THROTTLED);
		return;
	}
	b->timer = loop_add_timer(s->lambda->cloud->loop, b->retry_us, try_again, b);
	b->retry_us = b->retry_us * 2 < RETRY_MAX_US ? b->retry_us * 2 : RETRY_MAX_US;
}

static void done(void *ctx, struct invocation *inv, const struct outcome *o)
{
	struct batch *b = ctx;
	(void)inv;
	b->inv = NULL;
	if (o->code) {
		throttled(b);
		return;
	}
	b->failed = arena_zalloc(&b->arena, b->ids.n * sizeof(*b->failed));
	bool all = o->function_error;
	if (!all && reports_failures(b->source))
		all = !source_read_failures(&b->arena, o->payload, b->ids.v, b->ids.n, b->failed);
	size_t failures = 0;
	for (uint32_t i = 0; i < b->ids.n; i++)
		failures += all || b->failed[i];
	count(b->source, "InvokedEventCount", b->ids.n);
	count(b->source, "FailedInvokeEventCount", failures);
	settle(b, all);
}

void batch_run(struct batch *b)
{
	struct source *s = b->source;
	struct lambda *l = s->lambda;
	list_remove(&b->link);
	s->running++;
	if (clock_wall_ms() >= b->visible_ms) {
		over(b, SOURCE_THROTTLED); /* it has waited for others for too long */
		return;
	}
	struct fn *fn = directory_find(l->directory, s->function.account, s->function.region, s->function.name);
	struct fn_version *version = fn ? fn_choose_version(fn, s->function.qualifier) : NULL;
	if (!version || !str_eq(version->shown->state, S("Active"))) {
		throttled(b);
		return;
	}
	if (invocation_throttled(fn, version, s->function.qualifier)) {
		publish_throttle(l->publish, fn);
		throttled(b);
		return;
	}
	struct invocation *inv = invocation_new(l, fn, version, s->function.qualifier);
	id_uuid_to(inv->request_id);
	inv->arn =
	        lambda_function_arn(&inv->arena, s->function.region, s->function.account, s->function.name, s->function.qualifier);
	struct str trace = str_set(b->trace) ? b->trace : invocation_trace_new(&inv->arena, clock_wall_ms());
	recursion_enter(&inv->arena, l, fn, s->function.qualifier, &trace); /* loops were left out when the batch was gathered */
	inv->trace_id = arena_dup(&inv->arena, trace);
	inv->payload = arena_dup(&inv->arena, buf_str(&b->json));
	inv->done = done;
	inv->ctx = b;
	b->inv = inv;
	invocation_start(inv);
}

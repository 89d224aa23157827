#include "deliver.h"

#include "aws/sqs/sqs.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "engine/fetch/post.h"
#include "gen/lambda.h"
#include "gen/sqs.h"

#include <stdlib.h>

enum { POSTS_MAX = 8, POST_US = 15 * 1000 * 1000, HEADERS_MAX = 8 };
/* Functions are tried at once, then every second, then more seldom, for weeks. */
enum { LAMBDA_AT_ONCE = 3, LAMBDA_SOON = 5, LAMBDA_GROWING = 15, LAMBDA_TRIES = 100015, LAMBDA_MAX_S = 20 };

struct deliverer {
	struct sns_state *sns;
	struct work *posts; /* NULL: nothing has been posted yet */
	size_t under_way;
	atomic_bool cancel;
};

/* --- what it is */

bool delivery_read(struct deliverer *d, struct arena *a, const struct sns_name *topic, struct str sub, struct str body,
                   struct delivery *ret)
{
	struct store_txn *t = store_begin(d->sns->cloud->store, a);
	*ret = (struct delivery){.arena = a};
	bool there = sns_find_topic(t, a, topic, &ret->topic) && sns_find_sub(t, a, topic, sub, &ret->sub) &&
	             record_read(a, arena_dup(a, body), SNS_ROW("Notification"), &ret->what);
	store_abort(t);
	ret->envelope = (struct envelope){
	        .endpoint = d->sns->cloud->endpoint, .topic_arn = ret->topic.arn, .sub_arn = ret->sub.arn, .what = &ret->what};
	return there;
}

static bool is_lambda(const struct delivery *w)
{
	return str_is(w->sub.record.protocol, "lambda");
}

static bool is_confirmation(const struct delivery *w)
{
	return str_is(w->what.type, "SubscriptionConfirmation");
}

static bool is_raw(const struct delivery *w)
{
	return sns_flag(&w->sub.record.attributes, "RawMessageDelivery") && !is_confirmation(w);
}

int64_t delivery_pause_ms(const struct delivery *w, int64_t tries)
{
	if (is_lambda(w)) {
		if (tries > LAMBDA_TRIES)
			return -1;
		if (tries <= LAMBDA_AT_ONCE)
			return 0;
		int64_t grown = tries - LAMBDA_SOON;
		return 1000 * (tries <= LAMBDA_SOON ? 1 : grown > LAMBDA_GROWING ? LAMBDA_MAX_S : 1 + grown);
	}
	const struct retry_policy p = sns_retry_policy(w->arena, &w->topic, &w->sub);
	return sns_retry_delay_ms(&p, tries);
}

/* --- a try */

struct attempt {
	struct deliverer *deliverer;
	struct delivery *what;
	delivery_done_fn *done;
	void *ctx;
	struct sign_text text;
	struct post post;
	struct post_header headers[HEADERS_MAX];
	unsigned status;
	struct str why;
};

static void end(struct attempt *t, enum delivery_result result)
{
	struct deliverer *d = t->deliverer;
	const struct delivery *w = t->what;
	/* Every try of an endpoint that fails counts; of a function, the last one. */
	if (!is_confirmation(w) && (result != DELIVERY_LATER || !is_lambda(w)))
		sns_measure(d->sns->cloud, &w->topic.at,
		            result == DELIVERY_GOOD ? "NumberOfNotificationsDelivered" : "NumberOfNotificationsFailed", "Count", 1);
	d->under_way--;
	t->done(t->ctx, result);
	free(t);
}

static void invoked(void *ctx, struct call *sub)
{
	struct str code = sub->error.code;
	bool later = sub->error.receiver || str_is(code, "TooManyRequestsException") || str_is(code, "ThrottlingException") ||
	             str_is(code, "ResourceConflictException") || str_is(code, "ResourceNotReadyException");
	end(ctx, !str_set(code) ? DELIVERY_GOOD : later ? DELIVERY_LATER : DELIVERY_REFUSED);
}

static struct str region_of(struct str arn)
{
	struct str rest = arn, region = STR_NONE;
	for (unsigned i = 0; i < 4 && str_set(rest); i++)
		region = str_cut(&rest, ':');
	return region;
}

static void invoke(struct attempt *t)
{
	const struct delivery *w = t->what;
	struct str function = w->sub.record.endpoint;
	struct principal *self = sns_self(w->topic.at.account, w->topic.arn);
	const struct lambda_invocation_request in = {
	        .function_name = function, .invocation_type = S("Event"), .payload = envelope_event(w->arena, &w->envelope)};
	call_op_traced(t->deliverer->sns->cloud, self, region_of(function), &lambda_api, "Invoke", &in, w->what.trace, invoked, t);
	principal_unref(self);
}

static void post(void *job)
{
	struct attempt *t = job;
	t->status = post_send(t->what->arena, &t->post, &t->why);
}

static void posted(void *job)
{
	struct attempt *t = job;
	unsigned s = t->status;
	sns_bill_http(t->deliverer->sns->cloud, &t->what->topic.at, (int64_t)t->post.body.n);
	end(t, s >= 200 && s < 300 ? DELIVERY_GOOD : s >= 400 && s < 500 && s != 429 ? DELIVERY_REFUSED : DELIVERY_LATER);
}

static void add_header(struct attempt *t, const char *name, struct str value)
{
	t->headers[t->post.header_count++] = (struct post_header){name, value};
}

static void start_post(struct attempt *t)
{
	struct deliverer *d = t->deliverer;
	const struct delivery *w = t->what;
	const struct retry_policy p = sns_retry_policy(w->arena, &w->topic, &w->sub);
	bool raw = is_raw(w);
	t->post = (struct post){.url = w->sub.record.endpoint,
	                        .headers = t->headers,
	                        .body = raw ? w->what.message : envelope_json(w->arena, &w->envelope),
	                        .anywhere = w->sub.record.local.v,
	                        .timeout_us = POST_US,
	                        .cancel = &d->cancel};
	add_header(t, "x-amz-sns-message-type", w->what.type);
	add_header(t, "x-amz-sns-message-id", w->what.message_id);
	add_header(t, "x-amz-sns-topic-arn", w->topic.arn);
	if (!is_confirmation(w))
		add_header(t, "x-amz-sns-subscription-arn", w->sub.arn);
	if (raw)
		add_header(t, "x-amz-sns-rawdelivery", S("true"));
	add_header(t, "Content-Type", str_set(p.content_type) ? p.content_type : S("text/plain; charset=UTF-8"));
	add_header(t, "User-Agent", S("Amazon Simple Notification Service Agent"));
	if (!d->posts)
		d->posts = work_new(d->sns->cloud->loop, POSTS_MAX);
	work_add(d->posts, post, posted, t);
}

static void go(struct attempt *t)
{
	t->what->envelope.certificate_url = signer_certificate_url(t->deliverer->sns->signer, t->what->arena);
	if (is_lambda(t->what))
		invoke(t);
	else
		start_post(t);
}

static void was_signed(void *ctx)
{
	struct attempt *t = ctx;
	t->what->what.signature = t->text.ret_signature;
	go(t);
}

void delivery_start(struct deliverer *d, struct delivery *w, delivery_done_fn *done, void *ctx)
{
	struct attempt *t = calloc(1, sizeof(*t));
	if (!t)
		die("out of memory (notifications)");
	*t = (struct attempt){.deliverer = d, .what = w, .done = done, .ctx = ctx};
	d->under_way++;
	w->envelope.what = &w->what; /* it has its place now */
	t->text = (struct sign_text){.text = envelope_to_sign(w->arena, &w->envelope),
	                             .sha256 = str_is(w->what.signature_version, "2")};
	if (is_raw(w) || w->what.signature.n)
		go(t);
	else
		signer_sign(d->sns->signer, w->arena, &t->text, 1, was_signed, t);
}

/* --- what cannot be delivered */

struct burial {
	struct deliverer *deliverer;
	struct delivery *what;
	delivery_buried_fn *done;
	void *ctx;
};

static void measure(const struct burial *b, const char *metric)
{
	sns_measure(b->deliverer->sns->cloud, &b->what->topic.at, metric, "Count", 1);
}

static void buried(void *ctx, struct call *sub)
{
	struct burial *b = ctx;
	bool failed = str_set(sub->error.code), again = failed && sub->error.receiver;
	if (!again)
		measure(b, failed ? "NumberOfNotificationsFailedToRedriveToDlq" : "NumberOfNotificationsRedrivenToDlq");
	b->done(b->ctx, !again);
	free(b);
}

static struct sqs_message_body_attribute_map attributes_of(const struct delivery *w)
{
	struct sqs_message_body_attribute_map m = {0};
	for (uint32_t i = 0; i < w->what.attributes.n && is_raw(w); i++) {
		struct sqs_message_body_attribute_map_entry *e = LIST_ADD(w->arena, &m);
		e->key = w->what.attributes.v[i].key;
		e->value = (struct sqs_message_attribute_value){.data_type = w->what.attributes.v[i].value.data_type,
		                                                .string_value = w->what.attributes.v[i].value.string_value,
		                                                .binary_value = w->what.attributes.v[i].value.binary_value};
	}
	return m;
}

void delivery_bury(struct deliverer *d, struct delivery *w, delivery_buried_fn *done, void *ctx)
{
	const struct json_value *policy = json_parse(w->arena, sns_attribute(&w->sub.record.attributes, "RedrivePolicy"), NULL);
	struct str arn = json_get_str(policy, S("deadLetterTargetArn"));
	struct sqs_name at;
	if (is_confirmation(w) || !str_set(arn) || !sqs_name_of_arn(region_of(arn), arn, &at)) {
		done(ctx, true);
		return;
	}
	struct burial *b = malloc(sizeof(*b));
	if (!b)
		die("out of memory (notifications)");
	*b = (struct burial){d, w, done, ctx};
	struct principal *self = sns_self(w->topic.at.account, w->topic.arn);
	const struct sqs_send_message_request in = {.queue_url = ARENA_CAT(w->arena, S("/"), at.account, S("/"), at.name),
	                                            .message_body = is_raw(w)      ? w->what.message
	                                                            : is_lambda(w) ? envelope_event(w->arena, &w->envelope)
	                                                                           : envelope_json(w->arena, &w->envelope),
	                                            .message_attributes = attributes_of(w)};
	call_op(d->sns->cloud, self, region_of(arn), &sqs_api, "SendMessage", &in, buried, b);
	principal_unref(self);
}

/* --- all of them */

struct deliverer *deliverer_new(struct sns_state *s)
{
	struct deliverer *d = calloc(1, sizeof(*d));
	if (!d)
		die("out of memory (notifications)");
	d->sns = s;
	return d;
}

/* Posts end at their next look at `cancel`. */
void deliverer_free(struct deliverer *d)
{
	if (!d)
		return;
	atomic_store(&d->cancel, true);
	if (d->posts)
		work_free(d->posts);
	free(d);
}

size_t deliverer_room(const struct deliverer *d)
{
	return d->under_way < POSTS_MAX ? POSTS_MAX - d->under_way : 0;
}

/* Subscribe, ConfirmSubscription, Unsubscribe, ListSubscriptions, ListSubscriptionsByTopic. */
#include "outbox.h"
#include "sns.h"

#include "aws/sqs/sqs.h"
#include "base/base64.h"
#include "base/id.h"

enum { PAGE = 100, ENDPOINT_MAX = 2048, TOKEN_CHARS = 160, TOKEN_MS = 3 * 24 * 3600 * 1000 };

static bool is_http(struct str protocol)
{
	return str_is(protocol, "http") || str_is(protocol, "https");
}

/* The account that an ARN is of, and of what service. False: it is none. */
static bool read_arn(struct str arn, const char *service, struct str *ret_account)
{
	struct str rest = arn, parts[6];
	for (unsigned i = 0; i < 6; i++) {
		if (!str_set(rest))
			return false;
		parts[i] = str_cut(&rest, ':');
	}
	*ret_account = parts[4];
	return str_is(parts[0], "arn") && str_is(parts[2], service) && parts[3].n && parts[4].n == 12 && parts[5].n;
}

static int check_endpoint(struct call *c, const struct topic *t, struct str protocol, struct str endpoint, bool *ret_pending)
{
	static const char *const absent[] = {"email", "email-json", "sms", "application", "firehose"};
	struct str account = STR_NONE;
	for (size_t i = 0; i < sizeof(absent) / sizeof(*absent); i++)
		if (str_is(protocol, absent[i]))
			return sns_invalid(c, "Protocol Reason: subscriptions by %s are not supported by this cloud", absent[i]);
	bool sqs = str_is(protocol, "sqs"), lambda = str_is(protocol, "lambda");
	if (!sqs && !lambda && !is_http(protocol))
		return sns_invalid(c, "Does not support this protocol string: %.*s", STR_ARG(protocol));
	if (t->fifo && !sqs)
		return sns_invalid(c, "Invalid protocol type: %.*s", STR_ARG(protocol));
	if (!endpoint.n || endpoint.n > ENDPOINT_MAX)
		return sns_invalid(c, "Endpoint");
	if (sqs && !read_arn(endpoint, "sqs", &account))
		return sns_invalid(c, "SQS endpoint ARN");
	if (sqs && sqs_is_fifo(endpoint) && !t->fifo)
		return sns_invalid(c, "Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics");
	if (lambda && (!read_arn(endpoint, "lambda", &account) || str_find(endpoint, S(":function:")) < 0))
		return sns_invalid(c, "Lambda endpoint ARN");
	if (is_http(protocol) && !str_starts(endpoint, ARENA_CAT(c->arena, protocol, S("://"))))
		return sns_invalid(c, "Endpoint must match the specified protocol");
	for (size_t i = 0; is_http(protocol) && i < endpoint.n; i++)
		if (endpoint.p[i] <= ' ' || endpoint.p[i] > '~')
			return sns_invalid(c, "Unreachable Endpoint");
	if (!is_http(protocol) && !str_eq(account, c->account))
		return call_fail(c, "AuthorizationErrorException", 403,
		                 "Not authorized to subscribe a %.*s endpoint of another account: its owner has to subscribe it",
		                 STR_ARG(protocol));
	*ret_pending = is_http(protocol);
	return CALL_OK;
}

struct same {
	struct arena *arena;
	struct str protocol, endpoint;
	struct sns_sub found;
	bool there;
};

static bool look(void *ctx, const struct sns_sub *s)
{
	struct same *k = ctx;
	k->there = str_eq(s->record.protocol, k->protocol) && str_eq(s->record.endpoint, k->endpoint);
	if (k->there)
		k->found = *s;
	return !k->there;
}

static bool same_attributes(struct call *c, const struct sns_sub *has, const struct str_map *given)
{
	struct sns_sub asked = *has;
	asked.record.attributes = (struct str_map){0};
	for (uint32_t i = 0; i < given->n; i++)
		if (sns_set_sub_attribute(c, &asked, given->v[i].key, given->v[i].value) != CALL_OK)
			return false;
	for (uint32_t i = 0; i < given->n; i++) {
		const char *name = arena_dupz(c->arena, given->v[i].key);
		if (!str_eq(sns_attribute(&has->record.attributes, name), sns_attribute(&asked.record.attributes, name)))
			return false;
	}
	return true;
}

static void ask(struct call *c)
{
	outbox_ask(sns_state(c)->outboxes, c->state);
}

/* Outlives the handler. */
static void ask_later(struct call *c, const struct sns_sub *s)
{
	struct sns_sub *kept = arena_new(c->arena, struct sns_sub);
	*kept = *s;
	c->state = kept;
	call_after_commit(c, ask);
}

static struct str reply_arn(const struct sns_subscribe_input *in, const struct sns_sub *s)
{
	return s->record.pending.v && !in->return_subscription_arn.v ? S("pending confirmation") : s->arn;
}

int sns_subscribe(struct call *c, const struct sns_subscribe_input *in, struct sns_subscribe_response *out)
{
	struct topic t;
	struct sns_sub s;
	bool pending = false;
	if (sns_get_topic(c, in->topic_arn, &t) != CALL_OK)
		return CALL_FAIL;
	struct same k = {.arena = c->arena, .protocol = in->protocol, .endpoint = str_set(in->endpoint) ? in->endpoint : S("")};
	if (check_endpoint(c, &t, k.protocol, k.endpoint, &pending) != CALL_OK)
		return CALL_FAIL;
	sns_each_sub(call_txn(c), c->arena, &t.at, look, &k);
	if (k.there) {
		if (!same_attributes(c, &k.found, &in->attributes))
			return str_set(c->error.code)
			               ? CALL_FAIL
			               : sns_invalid(c, "Attributes Reason: Subscription already exists with different "
			                                "attributes");
		out->subscription_arn = reply_arn(in, &k.found);
		if (k.found.record.pending.v)
			ask_later(c, &k.found);
		return CALL_OK;
	}
	sns_find_sub(call_txn(c), c->arena, &t.at, id_uuid(c->arena), &s);
	s.record = (struct state_sns_subscription_record){.owner = c->account,
	                                                  .principal = c->caller->arn,
	                                                  .protocol = k.protocol,
	                                                  .endpoint = k.endpoint,
	                                                  .pending = OPT_BOOL(pending),
	                                                  .authenticated = OPT_BOOL(!pending),
	                                                  .local = OPT_BOOL(call_from_here(c)),
	                                                  .asked = OPT_INT(c->now_ms)};
	for (uint32_t i = 0; i < in->attributes.n; i++)
		if (sns_set_sub_attribute(c, &s, in->attributes.v[i].key, in->attributes.v[i].value) != CALL_OK)
			return CALL_FAIL;
	if (!str_is(k.protocol, "sqs"))
		s.record.outbox = OPT_INT((int64_t)sqs_outbox_make(call_txn(c), c->arena));
	if (pending) {
		s.record.token = id_hex(c->arena, TOKEN_CHARS);
		ask_later(c, &s);
	}
	sns_put_sub(call_txn(c), c->arena, &s);
	out->subscription_arn = reply_arn(in, &s);
	return CALL_OK;
}

/* --- confirming */

static bool look_token(void *ctx, const struct sns_sub *s)
{
	struct same *k = ctx;
	k->there = str_eq(s->record.token, k->endpoint);
	if (k->there)
		k->found = *s;
	return !k->there;
}

int sns_confirm_subscription(struct call *c, const struct sns_confirm_subscription_input *in,
                             struct sns_confirm_subscription_response *out)
{
	struct topic t;
	struct same k = {.arena = c->arena, .endpoint = in->token};
	struct sns_name at;
	struct str id;
	bool is_signed = c->caller->kind != PRINCIPAL_ANONYMOUS;
	/* A link names no region but the topic's. */
	if (!is_signed && sns_name_of_arn(in->topic_arn, &at, &id))
		c->region = at.region;
	if (sns_get_topic(c, in->topic_arn, &t) != CALL_OK)
		return CALL_FAIL;
	if (in->token.n == TOKEN_CHARS)
		sns_each_sub(call_txn(c), c->arena, &t.at, look_token, &k);
	if (!k.there)
		return sns_invalid(c, "Invalid token");
	struct sns_sub *s = &k.found;
	out->subscription_arn = s->arn;
	if (!s->record.pending.v)
		return CALL_OK;
	if (s->record.asked.v + TOKEN_MS < c->now_ms)
		return sns_invalid(c, "Token has expired");
	s->record.pending = OPT_BOOL(false);
	s->record.authenticated = OPT_BOOL(is_signed);
	s->record.guarded = OPT_BOOL(is_signed && str_ieq(in->authenticate_on_unsubscribe, S("true")));
	sns_put_sub(call_txn(c), c->arena, s);
	return CALL_OK;
}

/* --- ending */

void sns_delete_sub(struct store_txn *t, struct arena *a, const struct sns_sub *s)
{
	store_delete(t, s->key);
	if (s->record.outbox.v)
		sqs_outbox_forget(t, a, (uint64_t)s->record.outbox.v);
}

static void drop(struct call *c)
{
	outbox_drop(sns_state(c)->outboxes, *(const uint64_t *)c->state);
}

int sns_unsubscribe(struct call *c, const struct sns_unsubscribe_input *in, struct model_none *out)
{
	struct sns_sub s;
	(void)out;
	if (sns_get_sub(c, in->subscription_arn, &s) != CALL_OK) {
		/* One that is gone is as it should be. */
		if (str_starts(c->error.code, S("NotFound")))
			c->error = (struct call_error){0};
		return str_set(c->error.code) ? CALL_FAIL : CALL_OK;
	}
	if (c->caller->kind == PRINCIPAL_ANONYMOUS && s.record.guarded.v)
		return call_fail(c, "AuthorizationErrorException", 403, "The subscription can be ended by a signed request only");
	sns_delete_sub(call_txn(c), c->arena, &s);
	if (s.record.outbox.v) {
		uint64_t *id = arena_new(c->arena, uint64_t);
		*id = (uint64_t)s.record.outbox.v;
		c->state = id;
		call_after_commit(c, drop);
	}
	return CALL_OK;
}

/* --- listing */

struct listing {
	struct call *call;
	struct sns_subscriptions_list *out;
	struct str after, last, *ret_token; /* names of topic and subscription, in the order of keys */
};

static bool list_one(void *ctx, const struct sns_sub *s)
{
	struct listing *l = ctx;
	struct arena *a = l->call->arena;
	struct str at = ARENA_CAT(a, s->topic.name, str_of("", 1), s->id);
	if (str_set(l->after) && str_cmp(at, l->after) <= 0)
		return true;
	if (l->out->n == PAGE) {
		*l->ret_token = base64url_encode(a, l->last);
		return false;
	}
	l->last = at;
	*LIST_ADD(a, l->out) =
	        (struct sns_subscription){.subscription_arn = s->record.pending.v ? S("PendingConfirmation") : s->arn,
	                                  .owner = s->record.owner,
	                                  .protocol = s->record.protocol,
	                                  .endpoint = s->record.endpoint,
	                                  .topic_arn = sns_topic_arn(a, &s->topic)};
	return true;
}

static int list(struct call *c, const struct sns_name *under, struct str token, struct sns_subscriptions_list *out,
                struct str *ret_token)
{
	struct listing l = {.call = c, .out = out, .ret_token = ret_token};
	if (str_set(token) && !str_set(l.after = base64url_decode(c->arena, token)))
		return sns_invalid(c, "NextToken");
	out->set = true;
	sns_each_sub(call_txn(c), c->arena, under, list_one, &l);
	return CALL_OK;
}

int sns_list_subscriptions(struct call *c, const struct sns_list_subscriptions_input *in,
                           struct sns_list_subscriptions_response *out)
{
	return list(c, &(struct sns_name){.account = c->account, .region = c->region}, in->next_token, &out->subscriptions,
	            &out->next_token);
}

int sns_list_subscriptions_by_topic(struct call *c, const struct sns_list_subscriptions_by_topic_input *in,
                                    struct sns_list_subscriptions_by_topic_response *out)
{
	struct topic t;
	if (sns_get_topic(c, in->topic_arn, &t) != CALL_OK)
		return CALL_FAIL;
	return list(c, &t.at, in->next_token, &out->subscriptions, &out->next_token);
}

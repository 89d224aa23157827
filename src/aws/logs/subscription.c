/* PutSubscriptionFilter, DescribeSubscriptionFilters, DeleteSubscriptionFilter. A function must be one that CloudWatch Logs may
 * invoke: that is tried before the filter is there. */
#include "forward.h"

#include "base/log.h"
#include "core/identity.h"
#include "engine/logs/filter.h"
#include "gen/lambda.h"

#include <stdlib.h>

enum { PAGE = 50, FILTERS_MAX = 2 };

struct str subscriptions_under(struct call *c, uint64_t group)
{
	return KEY_UNDER(c->arena, S("logs"), S("subscription"), arena_printf(c->arena, "%016lx", group));
}

static struct str subscription_key(struct call *c, uint64_t group, struct str name)
{
	return KEY(c->arena, S("logs"), S("subscription"), arena_printf(c->arena, "%016lx", group), logs_name_part(c->arena, name));
}

void subscriptions_drop(struct call *c, uint64_t group)
{
	struct str under = subscriptions_under(c, group), key;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	while (store_next(i, &key, &v))
		store_delete(call_txn(c), arena_dup(c->arena, key));
}

/* --- PutSubscriptionFilter */

/* The look at the function; it outlives the call when the client leaves. */
struct trial {
	struct call *call;
	bool refused;
};

static int not_invoked(struct call *c)
{
	return logs_invalid(c,
	                    "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission to execute "
	                    "your function.");
}

static int put(struct call *c, const struct logs_put_subscription_filter_request *in)
{
	struct logs_group group;
	struct store_value v;
	struct str under, key, other;
	if (logs_get_group(c, in->log_group_name, &group) != CALL_OK)
		return CALL_FAIL;
	under = subscriptions_under(c, group.id);
	key = subscription_key(c, group.id, in->filter_name);
	if (!store_get(call_txn(c), key, &v)) {
		uint32_t n = 0;
		struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
		while (store_next(i, &other, &v))
			n++;
		if (n >= FILTERS_MAX)
			return call_fail(c, "LimitExceededException", 0, "Resource limit exceeded.");
	}
	struct logs_subscription_filter filter = {.filter_name = in->filter_name,
	                                          .log_group_name = in->log_group_name,
	                                          .filter_pattern = in->filter_pattern,
	                                          .destination_arn = in->destination_arn,
	                                          .distribution = str_set(in->distribution) ? in->distribution : S("ByLogStream"),
	                                          .creation_time = OPT_INT(c->now_ms)};
	struct state_logs_subscription_record record = {.filter = &filter};
	record_put(call_txn(c), c->arena, key, LOGS_ROW("Subscription"), &record);
	return CALL_OK;
}

static int put_resume(struct call *c)
{
	const struct trial *t = c->state;
	return t->refused ? not_invoked(c) : put(c, c->in);
}

static void put_gone(struct call *c)
{
	struct trial *t = c->state;
	t->call = NULL;
}

static void free_trial(struct call *c)
{
	free(c->state);
}

static void tried(void *ctx, struct call *sub)
{
	struct trial *t = ctx;
	t->refused = str_set(sub->error.code);
	if (t->call) {
		call_on_free(t->call, free_trial);
		call_resume(t->call);
	} else
		free(t);
}

int logs_put_subscription_filter(struct call *c, const struct logs_put_subscription_filter_request *in, struct model_none *out)
{
	(void)out;
	struct logs_group group;
	struct str error;
	if (logs_get_group(c, in->log_group_name, &group) != CALL_OK)
		return CALL_FAIL;
	if (in->apply_on_transformed_logs.v || str_set(in->field_selection_criteria) || in->emit_system_fields.n)
		return logs_invalid(c, "Subscription filters on transformed logs and with system fields are not supported.");
	if (str_is(group.record.class, "INFREQUENT_ACCESS"))
		return logs_invalid(c, "Subscription filters are not supported for log groups of the INFREQUENT_ACCESS class.");
	if (!log_filter_compile(c->arena, in->filter_pattern, &error))
		return logs_invalid(c, "%.*s", STR_ARG(error));
	if (!str_starts(in->destination_arn, S("arn:aws:lambda:")))
		return logs_invalid(c, "Destinations that are no Lambda functions are not supported.");
	if (str_set(in->role_arn))
		return logs_invalid(c, "destinationArn for vendor lambda cannot be used with roleArn");
	struct trial *t = calloc(1, sizeof(*t));
	if (!t)
		die("out of memory (subscription filters)");
	t->call = c;
	c->state = t;
	struct principal *self = forward_principal(c->account, logs_group_arn(c, in->log_group_name));
	struct lambda_invocation_request ask = {
	        .function_name = in->destination_arn, .invocation_type = S("DryRun"), .payload = S("{}")};
	call_op(c->cloud, self, c->region, &lambda_api, "Invoke", &ask, tried, t);
	principal_unref(self);
	return call_wait(c, put_resume, put_gone);
}

/* --- the others */

int logs_delete_subscription_filter(struct call *c, const struct logs_delete_subscription_filter_request *in,
                                    struct model_none *out)
{
	(void)out;
	struct logs_group group;
	struct store_value v;
	if (logs_get_group(c, in->log_group_name, &group) != CALL_OK)
		return CALL_FAIL;
	struct str key = subscription_key(c, group.id, in->filter_name);
	if (!store_get(call_txn(c), key, &v))
		return call_fail(c, "ResourceNotFoundException", 0, "The specified subscription filter does not exist.");
	store_delete(call_txn(c), key);
	return CALL_OK;
}

int logs_describe_subscription_filters(struct call *c, const struct logs_describe_subscription_filters_request *in,
                                       struct logs_describe_subscription_filters_response *out)
{
	struct logs_group group;
	struct str after, last = STR_NONE, key;
	uint32_t limit = in->limit.set ? (uint32_t)in->limit.v : PAGE;
	out->subscription_filters.set = true;
	if (logs_get_group(c, in->log_group_name, &group) != CALL_OK)
		return CALL_FAIL;
	struct str under = subscriptions_under(c, group.id);
	if (!logs_page_from(c, in->next_token, under, &after))
		return CALL_FAIL;
	struct store_iter *i = store_scan(call_txn(c), str_set(after) ? ARENA_CAT(c->arena, after, str_of("", 1)) : under,
	                                  store_prefix_end(c->arena, under), false);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct state_logs_subscription_record record;
		if (!record_read(c->arena, v.value, LOGS_ROW("Subscription"), &record) ||
		    (str_set(in->filter_name_prefix) && !str_starts(record.filter->filter_name, in->filter_name_prefix)))
			continue;
		if (out->subscription_filters.n == limit) {
			out->next_token = logs_page_token(c, last);
			break;
		}
		last = arena_dup(c->arena, key);
		*LIST_ADD(c->arena, &out->subscription_filters) = *record.filter;
	}
	return CALL_OK;
}

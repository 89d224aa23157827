#include "aws/lambda/destination.h"

#include "aws/lambda/credentials.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#include <stdlib.h>

enum { RECORD_BYTES = 15 << 20 };

struct str destination_of(const struct lambda_function_event_invoke_config *config, bool success)
{
	const struct lambda_destination_config *d = config ? config->destination_config : NULL;
	struct str target = STR_NONE;
	if (d && success && d->on_success)
		target = d->on_success->destination;
	if (d && !success && d->on_failure)
		target = d->on_failure->destination;
	return str_set(target) && !str_empty(target) ? target : STR_NONE;
}

struct str destination_record(struct arena *a, const struct state_lambda_event_record *row, struct str account, struct str region,
                              const struct fn_version *version, const char *condition, const struct outcome *o)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, RECORD_BYTES);
	struct json_out j = json_out(&b);
	char when[40];
	time_format_to(when, clock_wall_ms(), TIME_ISO8601_MS);
	struct str qualifier = str_set(row->qualifier) ? row->qualifier : S(LAMBDA_LATEST);
	json_open(&j, '{');
	json_key(&j, S("version"));
	json_string(&j, S("1.0"));
	json_key(&j, S("timestamp"));
	json_string(&j, str_from(when));
	json_key(&j, S("requestContext"));
	json_open(&j, '{');
	json_key(&j, S("requestId"));
	json_string(&j, row->request_id);
	json_key(&j, S("functionArn"));
	json_string(&j, lambda_function_arn(a, region, account, row->function_name, qualifier));
	json_key(&j, S("condition"));
	json_string(&j, str_from(condition));
	json_key(&j, S("approximateInvokeCount"));
	json_int(&j, row->attempts.v);
	json_close(&j, '}');
	json_key(&j, S("requestPayload"));
	json_raw(&j, row->payload);
	if (o) {
		json_key(&j, S("responseContext"));
		json_open(&j, '{');
		json_key(&j, S("statusCode"));
		json_int(&j, 200);
		json_key(&j, S("executedVersion"));
		json_string(&j, version->version);
		if (o->function_error) {
			json_key(&j, S("functionError"));
			json_string(&j, S("Unhandled"));
		}
		json_close(&j, '}');
		json_key(&j, S("responsePayload"));
		if (json_parse(a, o->payload, NULL))
			json_raw(&j, o->payload);
		else
			json_string(&j, o->payload);
	}
	json_close(&j, '}');
	return arena_dup(a, buf_str(&b));
}

struct delivery {
	struct lambda *lambda;
	struct str region;
	const struct state_lambda_event_record *row;
	destination_fn *done;
	void *ctx;
};

static void end(struct delivery *d, enum destination_result result, struct str code, struct str message)
{
	if (result == DESTINATION_REFUSED)
		log_warn("lambda: delivering to %.*s: %.*s: %.*s", STR_ARG(d->row->destination), STR_ARG(code), STR_ARG(message));
	d->done(d->ctx, result);
	free(d);
}

static void invoked(void *ctx, struct call *sub)
{
	struct str code = sub->error.code;
	if (!str_set(code))
		end(ctx, DESTINATION_TOLD, code, code);
	else if (sub->error.receiver || str_is(code, "TooManyRequestsException") || str_is(code, "ResourceConflictException"))
		end(ctx, DESTINATION_LATER, code, code);
	else
		end(ctx, DESTINATION_REFUSED, code, sub->error.message);
}

static void deliver_as(void *ctx, const struct credentials *credentials)
{
	struct delivery *d = ctx;
	struct lambda_name n = {0};
	if (!credentials || !credentials->principal) {
		end(d, DESTINATION_REFUSED, S("AccessDeniedException"), S("the function's role cannot be assumed"));
		return;
	}
	lambda_name_split(d->row->destination, &n);
	struct lambda_invocation_request in = {
	        .function_name = d->row->destination, .invocation_type = S("Event"), .payload = d->row->payload};
	call_op(d->lambda->cloud, credentials->principal, str_set(n.region) ? n.region : d->region, &lambda_api, "Invoke", &in,
	        invoked, d);
}

void destination_deliver(struct lambda *l, struct str account, struct str region, const struct state_lambda_event_record *row,
                         destination_fn *done, void *ctx)
{
	struct delivery *d = malloc(sizeof(*d));
	if (!d)
		abort();
	*d = (struct delivery){l, region, row, done, ctx};
	credentials_get(l, account, region, row->role, row->function_name, CREDENTIALS_LEFT_MS, deliver_as, d);
}
